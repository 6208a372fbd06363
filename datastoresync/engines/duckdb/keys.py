"""Idnumbers in SQL: how their parts are found and sorted there, as Python does it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

from datastoresync.engines.duckdb.types import declared, forms
from datastoresync.engines.relation import Unfaithful

__all__ = ["KeyPart", "bounded", "parts_of"]

_LEAST, _MOST = -(2**63), 2**63 - 1
_SQL_TYPES: Mapping[str, str] = MappingProxyType(
    {"text": "VARCHAR", "whole": "BIGINT", "date": "DATE", "uuid": "VARCHAR"}
)
_SAMPLES: Mapping[str, Any] = MappingProxyType({"text": "", "whole": 0, "date": date.min, "uuid": UUID(int=0)})


@attrs.frozen
class KeyPart:
    """A field of the idnumber.

    Args:
        family: ``text``, ``whole``, ``date`` or ``uuid``; forms of one family sort as their values do.
        column: What the column is called in SQL.
        form: Its values there, as they are compared; `@` stands for the table.
    """

    family: str
    column: str
    form: str

    def sql(self, table: str = "") -> str:
        """Return the expression for the values."""
        return self.form.replace("@", table)

    @property
    def type(self) -> str:
        """The type of the expression."""
        return _SQL_TYPES[self.family]

    def holds(self, value: Any) -> bool:
        """Say whether a value can be one of these at all; if not, SQL would convert it, or refuse it."""
        if self.family == "text":
            return isinstance(value, str) and "\0" not in value and value == value.encode(errors="ignore").decode()
        if self.family == "whole":
            return isinstance(value, (int, float, Decimal)) and _LEAST <= value <= _MOST and value == int(value)
        if self.family == "date":
            return isinstance(value, date) and not isinstance(value, datetime)
        return isinstance(value, UUID)

    def given(self, value: Any) -> Any:
        """Return a value as SQL is given it."""
        if self.family == "uuid":
            return value.hex
        return int(value) if self.family == "whole" else value

    def taken(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return values that SQL gives as they are in keys."""
        return list(map(UUID, values)) if self.family == "uuid" else values

    def beside(self, symbol: str, value: Any) -> tuple[str, list[Any]]:
        """Return a condition that is true where the values are ``>`` or ``<`` another one.

        Raises:
            TypeError: if they cannot be sorted together.
        """
        if self.holds(value):
            return f"{self.sql()} {symbol} ?", [self.given(value)]
        operator.lt(_SAMPLES[self.family], value)
        if self.family == "text":  # no text of a file is encoded so, or has a NUL
            return self._beside_odd(symbol, value)
        if value != value or math.isinf(value) or not _LEAST <= value <= _MOST:  # noqa: PLR0124 - NaN differs from itself
            return str((symbol == "<") == (value > 0) and value == value).lower(), []  # noqa: PLR0124 - as above
        return f"{self.sql()} {symbol}= ?", [math.ceil(value) if symbol == ">" else math.floor(value)]

    def _beside_odd(self, symbol: str, value: str) -> tuple[str, list[Any]]:
        """Compare with a text that SQL cannot be given, by what it begins with and the first character that is odd."""
        place = next(place for place, one in enumerate(value) if one == "\0" or "\ud800" <= one <= "\udfff")
        begin, odd = value[:place], value[place]
        # What begins alike and goes on with a greater character is greater: with any, but for those below the odd one.
        edge = begin + ("\x01" if odd == "\0" else "\ue000")
        if symbol == ">":
            return f"{self.sql()} >= ?", [edge]
        return f"{self.sql()} < ?", [edge]


def parts_of(
    identifiers: Sequence[str], kinds: Mapping[str, str], converter: Callable[[str], Any], raw: Callable[[str], str]
) -> list[KeyPart]:
    """Return the fields of the idnumber.

    Args:
        identifiers: Their names.
        kinds: What each column holds.
        converter: Gives the converter of one.
        raw: Gives what its column is called in SQL.

    Raises:
        Unfaithful: if SQL sorts or finds them in another way.
    """
    parts = []
    for name in identifiers:
        if name not in kinds:
            raise Unfaithful("a column of the idnumber is missing")
        found = forms(kinds[name], converter(name), f"@{raw(name)}")
        known = [family for family in found if family in _SQL_TYPES]
        if not known or declared(kinds[name], converter(name))[0] == "bool":
            raise Unfaithful("the idnumber is of a type that SQL sorts in another way")
        parts.append(KeyPart(known[0], raw(name), found[known[0]]))
    return parts


def bounded(parts: Sequence[KeyPart], symbol: str, key: Any) -> tuple[str, list[Any]]:
    """Return a condition that is true for the keys that are ``>=``, ``>`` or ``<`` another one, and its parameters.

    A tuple of another length is less than those that begin with it, as in Python.

    Raises:
        TypeError: if they cannot be sorted together.
    """
    composite = len(parts) > 1
    if composite:
        operator.lt((), key)
    values = list(key) if composite else [key]
    condition, parameters = _from(parts, symbol, values, 0)
    return condition, parameters


def _from(parts: Sequence[KeyPart], symbol: str, values: Sequence[Any], place: int) -> tuple[str, list[Any]]:
    if place == len(values):
        longer = place < len(parts)
        return ("true" if symbol == ">=" or (longer and symbol == ">") else "false"), []
    if place == len(parts):
        return ("true" if symbol == "<" else "false"), []
    part, value = parts[place], values[place]
    condition, parameters = part.beside(symbol[0], value)
    if not part.holds(value):
        return condition, parameters
    rest, more = _from(parts, symbol, values, place + 1)
    given = part.given(value)
    return f"({condition} OR ({part.sql()} = ? AND {rest}))", [*parameters, given, *more]
