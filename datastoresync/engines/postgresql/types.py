"""Columns of a PostgreSQL table or query: their Python types, and how they are compared in the database.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.conversion.scalars import KINDS, SCALARS
from datastoresync.engines.relation import CannotPushDown

STORED_TYPES: Final[Mapping[int, str]] = MappingProxyType(
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

_FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("int2", "int4", "int8"), "int")
    | dict.fromkeys(("float4", "float8"), "float")
    | dict.fromkeys(("char", "enum"), "text")
)
"""The family of a type, where it is not called the same."""
_PYTHON: Final[Mapping[str, type]] = MappingProxyType(
    {kind: scalar.cls for kind, scalar in KINDS.items()}
    | {own: KINDS[kind].cls for own, kind in (("bytea", "bytes"), ("numeric", "decimal"), ("timestamptz", "instant"))}
)
"""The types in Python of the values of a family."""
SQL_TYPES: Final[Mapping[str, TypeEngine[Any]]] = MappingProxyType(
    {
        "bool": sa.Boolean(),
        "bytea": sa.LargeBinary(),
        "date": sa.Date(),
        "float": sa.Double(),
        "int": sa.BigInteger(),
        "numeric": sa.Numeric(),
        "text": sa.Text(),
        "time": sa.Time(),
        "timestamp": sa.DateTime(),
        "timestamptz": sa.DateTime(timezone=True),
        "uuid": sa.Uuid(),
    }
)
"""The types that values of a family are sent as."""
_EXACT_IN_FLOAT = ("int2", "int4")
_SCALARS: Final = frozenset({*SCALARS, type(None)})
_NAMES: Final = frozenset({"None"} | {scalar.name for scalar in SCALARS.values()})
# Days and times that Python has, with a day left at both ends for any time zone.
_DAYS = ("0001-01-02", "9999-12-30")


@attrs.frozen(eq=False)
class StoredColumn:
    """A column of a table or query.

    Args:
        attribute: The attribute that it holds.
        kind: One of `STORED_TYPES`, or ``enum``.
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
            first, last = (sa.text(f"{self.kind} '{day}'") for day in _DAYS)
            return sa.not_(column.between(first, last))
        if self.kind == "time":
            return column >= sa.text("time '24:00'")
        if self.kind == "numeric":
            return sa.cast(column, sa.Text).in_(["NaN", "Infinity", "-Infinity"])
        return None


def family_of(kind: str) -> str:
    """Return the family of a type: values of one family can be equal."""
    return _FAMILIES.get(kind, kind)


def python_type(kind: str) -> type:
    """Return the type in Python of the values of a type or a family."""
    return _PYTHON[family_of(kind)]


@attrs.frozen(eq=False)
class ConvertedColumn:
    """A column as it is compared: the value that stands for its converted one in the database, and its family.

    Args:
        family: ``text``, ``int``, ``numeric``, ``float``, ``bool``, ... Values of one family can be equal.
        value: Its converted value.
        exact: Whether it is a number that a float holds exactly.
    """

    family: str
    value: sa.ColumnElement[Any]
    exact: bool = False


def converted_column(stored: StoredColumn, converter: Any) -> ConvertedColumn:
    """Return how a column is compared once its values are converted.

    Args:
        stored: The column.
        converter: To its declared type; None if it is taken as it is.

    Raises:
        CannotPushDown: No value in the database is sure to be equal where the converted ones are.
    """
    kind, value = stored.kind, stored.value
    family = family_of(kind)
    if converter is None or converter.identity or python_type(kind) in _kinds(converter):
        return ConvertedColumn(family, value, kind in _EXACT_IN_FLOAT)
    wanted = _kinds(converter) - {type(None)}
    if wanted == {str} and (family == "int" or kind == "uuid"):
        return ConvertedColumn("text", _bytewise(sa.cast(value, sa.Text)))
    if wanted == {Decimal} and family == "int":
        return ConvertedColumn("numeric", sa.cast(value, sa.Numeric))
    if wanted == {float} and kind in _EXACT_IN_FLOAT:
        return ConvertedColumn("float", sa.cast(value, sa.Double))
    message = f"{stored.attribute} is {kind} in the database and declared {converter.describe}"
    raise CannotPushDown(message)


def counterpart(
    name: str, left: ConvertedColumn, right: ConvertedColumn
) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Return the values of both sides in one type.

    Raises:
        CannotPushDown: They have none in which they are equal just where Python's are.
    """
    families = {left.family, right.family}
    if len(families) == 1 or families == {"int", "numeric"}:
        return left.value, right.value
    if "bool" in families and families <= {"bool", "int", "numeric", "float"}:
        left_value, right_value = (
            sa.cast(sa.cast(side.value, sa.Integer), sa.Numeric if "numeric" in families else sa.Integer)
            if side.family == "bool"
            else side.value
            for side in (left, right)
        )
        return left_value, right_value
    if families == {"int", "float"} and all(side.exact for side in (left, right) if side.family == "int"):
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
