"""Columns of a PostgreSQL table or query: their Python types, and how they are compared in the database.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import attrs
import sqlalchemy as sa

from datastoresync.engines.relation import CannotPushDown

KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        16: "bool",
        17: "bytea",
        20: "int8",
        21: "int2",
        23: "int4",
        25: "text",
        700: "float4",
        701: "float8",
        1042: "char",
        1043: "text",
        1082: "date",
        1083: "time",
        1114: "timestamp",
        1184: "timestamptz",
        1700: "numeric",
        2950: "uuid",
    }
)
"""The types that have a counterpart, by their numbers in the catalogue pg_type; an enum is a type of its own."""

_PYTHON: Final[Mapping[str, type]] = MappingProxyType(
    {
        "bool": bool,
        "bytea": bytes,
        "int2": int,
        "int4": int,
        "int8": int,
        "text": str,
        "char": str,
        "enum": str,
        "float4": float,
        "float8": float,
        "date": date,
        "time": time,
        "timestamp": datetime,
        "timestamptz": datetime,
        "numeric": Decimal,
        "uuid": UUID,
    }
)
_INTEGERS = ("int2", "int4", "int8")
_EXACT_IN_FLOAT = ("int2", "int4")
_SCALARS: Final = frozenset({*_PYTHON.values(), timedelta, type(None)})
_NAMES: Final = frozenset({"None"} | {kind.__name__ for kind in _SCALARS})
# Days and times that Python has, with a day left at both ends for any time zone.
_DAYS = ("0001-01-02", "9999-12-30")


@attrs.frozen(eq=False)
class StoredColumn:
    """A column of a table or query.

    Args:
        attribute: The attribute that it holds.
        kind: One of `KINDS`, or ``enum``.
        column: Where it is.
        nullable: Whether it may be NULL, as far as that is known.
        length: Of ``char``: how many characters it is filled up to.
        precision: Of ``numeric``: its digits; None if any number fits.
        scale: Of ``numeric``: how many of them are behind the point.
    """

    attribute: str
    kind: str
    column: sa.ColumnElement[Any]
    nullable: bool = True
    length: int | None = None
    precision: int | None = None
    scale: int | None = None

    @property
    def value(self) -> sa.ColumnElement[Any]:
        """What Python is given, as a value whose equality in the database is Python's, or is stricter."""
        column = self.column
        if self.kind == "char":  # as text it would lose the blanks that the driver delivers
            return _bytewise(sa.func.rpad(sa.cast(column, sa.Text), self.length))
        if self.kind in ("text", "enum"):
            return _bytewise(sa.cast(column, sa.Text))
        if self.kind == "float4":  # the driver delivers its shortest text, which is another double than the one it is
            return sa.cast(sa.cast(column, sa.Text), sa.Double)
        return column

    @property
    def unreadable(self) -> sa.ColumnElement[bool] | None:
        """When Python has no such value, or cannot say which of two is larger; None for never."""
        column = self.column
        if self.kind in ("date", "timestamp", "timestamptz"):
            kind = {"date": "date", "timestamp": "timestamp", "timestamptz": "timestamptz"}[self.kind]
            first, last = (sa.text(f"{kind} '{day}'") for day in _DAYS)
            return sa.not_(column.between(first, last))
        if self.kind == "time":
            return column >= sa.text("time '24:00'")
        if self.kind == "numeric":
            return sa.cast(column, sa.Text).in_(["NaN", "Infinity", "-Infinity"])
        return None


@attrs.frozen(eq=False)
class Form:
    """How an attribute is compared: a value that stands for it in the database, and of which family that is.

    Args:
        family: ``text``, ``int``, ``numeric``, ``float``, ``bool``, ... Values of one family can be equal.
        value: Its converted value.
        exact: Whether it is a number that a float holds exactly.
    """

    family: str
    value: sa.ColumnElement[Any]
    exact: bool = False


def form_of(stored: StoredColumn, converter: Any) -> Form:
    """Return how a column is compared once its values are converted.

    Args:
        stored: The column.
        converter: To its declared type; None if it is taken as it is.

    Raises:
        CannotPushDown: No value in the database is sure to be equal where the converted ones are.
    """
    kind, value = stored.kind, stored.value
    family = {"char": "text", "enum": "text", "float4": "float", "float8": "float"}.get(kind, kind)
    if kind in _INTEGERS:
        family = "int"
    if converter is None or converter.identity or _PYTHON[kind] in _kinds(converter):
        return Form(family, value, kind in _EXACT_IN_FLOAT)
    wanted = _kinds(converter) - {type(None)}
    if wanted == {str} and (kind in _INTEGERS or kind == "uuid"):
        return Form("text", _bytewise(sa.cast(value, sa.Text)))
    if wanted == {Decimal} and kind in _INTEGERS:
        return Form("numeric", sa.cast(value, sa.Numeric))
    if wanted == {float} and kind in _EXACT_IN_FLOAT:
        return Form("float", sa.cast(value, sa.Double))
    message = f"{stored.attribute} is {kind} in the database and declared {converter.describe}"
    raise CannotPushDown(message)


def counterpart(name: str, left: Form, right: Form) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Return the values of both sides in one type.

    Raises:
        CannotPushDown: They have none in which they are equal just where Python's are.
    """
    families = {left.family, right.family}
    if len(families) == 1 or families == {"int", "numeric"}:
        return left.value, right.value
    if "bool" in families and families <= {"bool", "int", "numeric", "float"}:
        one, other = (
            sa.cast(sa.cast(form.value, sa.Integer), sa.Numeric if "numeric" in families else sa.Integer)
            if form.family == "bool"
            else form.value
            for form in (left, right)
        )
        return one, other
    if families == {"int", "float"} and all(form.exact for form in (left, right) if form.family == "int"):
        return left.value, right.value
    message = f"{name} is {left.family} on one side and {right.family} on the other"
    raise CannotPushDown(message)


def _kinds(converter: Any) -> frozenset[type]:
    """Return the types whose values pass as they are; none if that depends on the value."""
    plain = set(converter.describe.split(" | ")) <= _NAMES
    kinds: frozenset[type] = converter.kinds
    return kinds if plain and kinds <= _SCALARS else frozenset()


def _bytewise(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.collate(value, "C")
