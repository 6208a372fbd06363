"""Columns and keys of a PostgreSQL table or query: their Python types, and how they are compared and looked up there.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.


Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from math import isfinite
from types import MappingProxyType
from typing import Any, Final

import attrs
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from datastoresync.conversion.lookalikes import lookalike_form
from datastoresync.conversion.scalars import KINDS, SCALARS
from datastoresync.engines.relation import CannotPushDown, Page
from datastoresync.syncers.sql.read import chunks_of

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
        if self.kind in ("text", "enum", "char"):  # as text it loses the blanks that it is filled up with
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


KEY_FAMILIES: Final = frozenset({"bytea", "date", "int", "numeric", "text", "timestamp", "uuid"})
"""The families whose values are keys that the database orders as Python does."""

_BATCH = 10_000
_LARGEST = 2**63
_NOT_STORED = re.compile("[\0\ud800-\udfff]")
_FIRST_BEHIND_SURROGATES = "\ue000"


@attrs.frozen(eq=False)
class KeyColumns:
    """The key of a relation.

    Args:
        columns: How each of its parts is compared.
        indexed: For parts that are text: the column, which an index may be on, where its equality is no stricter.
    """

    columns: Sequence[ConvertedColumn]
    indexed: Sequence[sa.ColumnElement[Any] | None]

    @property
    def values(self) -> list[sa.ColumnElement[Any]]:
        """The parts, converted."""
        return [column.value for column in self.columns]

    def parts(self, key: Any) -> tuple[Any, ...] | None:
        """Return the parts of a key as the database can be asked for them, or None if it cannot be there."""
        parts = key if isinstance(key, tuple) and len(self.columns) > 1 else (key,)
        if len(parts) != len(self.columns):
            return None
        found = tuple(_stored_value(column.family, part) for column, part in zip(self.columns, parts, strict=True))
        return None if None in found else found

    def among(self, keys: Collection[Any]) -> Iterator[sa.ColumnElement[bool]]:
        """Yield conditions that together hold for these keys, each for many of them."""
        waiting = iter({parts for parts in map(self.parts, keys) if parts is not None})
        while batch := list(islice(waiting, _BATCH)):
            arrays = [
                sa.literal(list(values), ARRAY(SQL_TYPES[column.family]))
                for column, values in zip(self.columns, zip(*batch, strict=True), strict=True)
            ]
            if len(arrays) == 1:
                condition = self.values[0] == sa.any_(arrays[0])
                plain = self.indexed[0]
                yield condition if plain is None else sa.and_(plain == sa.any_(arrays[0]), condition)
            else:
                names = [f"part{index}" for index in range(len(arrays))]
                wanted = sa.func.unnest(*arrays).table_valued(*names).render_derived()
                yield sa.tuple_(*self.values).in_(sa.select(*wanted.columns))

    def within(self, page: Page) -> Iterator[sa.ColumnElement[bool]]:
        """Yield conditions that hold for the keys of a page, but for its limit.

        Raises:
            TypeError: A bound is of a type that no key here can be compared with.
        """
        for bound, below, strict in ((page.start, False, False), (page.after, False, True), (page.stop, True, True)):
            if bound is None:
                continue
            values, gap = self._bound(bound)
            if not values:  # the empty tuple is before all others
                if below:
                    yield sa.false()
                continue
            key = sa.tuple_(*self.values[: len(values)]) if len(values) > 1 else self.values[0]
            limit = sa.tuple_(*values) if len(values) > 1 else values[0]
            if below:
                yield key <= limit if gap > 0 else key < limit
            else:
                yield key > limit if gap > 0 or (strict and gap == 0) else key >= limit

    def _bound(self, bound: Any) -> tuple[list[sa.ColumnElement[Any]], int]:
        """Return values that a bound is at, and whether it is right behind (1) or before (-1) all keys with them.

        It is before those that it is a part of, and next to those that the database's texts can come to it.
        """
        parts = bound if isinstance(bound, tuple) and len(self.columns) > 1 else (bound,)
        values: list[sa.ColumnElement[Any]] = []
        for column, part in zip(self.columns, parts, strict=False):
            kind = SQL_TYPES[column.family]
            text, gap = part, 0
            if column.family == "text" and isinstance(part, str):
                text, gap = _storable(part)
            elif column.family in ("int", "numeric") and isinstance(part, (int, float, Decimal)):
                text = Decimal(part) if isinstance(part, float) else +part  # a truth value becomes its number
                if not isinstance(part, int) or not -_LARGEST <= part < _LARGEST:
                    kind = sa.Numeric()
            elif not isinstance(part, python_type(column.family)) or (
                column.family == "date" and isinstance(part, datetime)
            ):
                message = f"idnumbers here are {column.family}, and cannot be compared with {type(part).__name__}"
                raise TypeError(message)
            values.append(sa.literal(text, kind))
            if gap:
                return values, gap
        return values, -1 if len(values) < len(self.columns) else 0


def _stored_value(family: str, part: Any) -> Any:
    """Return a part of a key as a value of the database, or None if none can be equal to it."""
    if family == "text":
        return part if isinstance(part, str) and _storable(part)[1] == 0 else None
    if family in ("int", "numeric") and isinstance(part, (int, float, Decimal)):
        if not isfinite(part):
            return None
        if family == "numeric":
            return Decimal(part)
        return int(part) if part == int(part) and -_LARGEST <= part < _LARGEST else None
    if family == "date" and isinstance(part, datetime):
        return None
    if family == "timestamp" and getattr(part, "tzinfo", None) is not None:
        return None
    return part if isinstance(part, python_type(family)) else None


def _storable(text: str) -> tuple[str, int]:
    """Return the part of a text that PostgreSQL holds, and whether the text is right behind (1) or before it (-1)."""
    found = _NOT_STORED.search(text)
    if found is None:
        return text, 0
    before = text[: found.start()]
    return (before, 1) if found[0] == "\0" else (before + _FIRST_BEHIND_SURROGATES, -1)


_BLANKS: Final = " \t\n\v\f\r\x1c\x1d\x1e\x1f"
"""What Python strips of a text in ASCII."""
_STREAMED: Final = {"stream_results": True}


@attrs.frozen(eq=False)
class LookalikeKeys:
    """The text keys of a relation.

    Args:
        selectable: Where they are.
        keys: What they are.
    """

    selectable: sa.FromClause
    keys: KeyColumns

    @property
    def _texts(self) -> list[sa.ColumnElement[Any]]:
        return [column.value for column in self.keys.columns if column.family == "text"]

    @property
    def plain(self) -> sa.ColumnElement[bool]:
        """An aggregate: whether all are made of the letters a to z, digits and underscores alone, if there are any.

        Such texts do not look alike if they are different. A name of these that does not begin with a digit needs no
        quotes in SQL, and there is nothing in PostgreSQL that says so more quickly; that it may quote a reserved word
        as well does no harm.
        """
        names = [sa.literal_column("'a'").op("||")(sa.collate(text, "C")) for text in self._texts]
        lengths = [(sa.func.octet_length(sa.func.quote_ident(name)), sa.func.octet_length(name)) for name in names]
        return sa.func.bool_and(sa.and_(sa.true(), *(quoted == plain for quoted, plain in lengths)))

    @property
    def _suspicion(self) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
        """Two aggregates: whether some have blanks at their ends or are not in ASCII, and whether some have capitals.

        Texts of one case, without blanks at their ends and in ASCII do not look alike if they are different.
        """
        texts = [sa.collate(text, "C") for text in self._texts]  # by bytes, which takes half the time
        edges = [sa.or_(text < "!", sa.collate(sa.func.right(text, 1), "C") < "!") for text in texts]
        return sa.func.bool_or(sa.or_(*edges, self._beyond)), self._changed_by(sa.func.lower)

    def suspected(self, connection: sa.Connection) -> bool:
        """Say whether there may be some that look alike, where not all are `plain`."""
        suspicious, capitals = connection.execute(sa.select(*self._suspicion).select_from(self.selectable)).one()
        if suspicious or not capitals:
            return bool(suspicious)
        both = sa.select(self._changed_by(sa.func.upper)).select_from(self.selectable)
        return bool(connection.execute(both).scalar_one())

    def _changed_by(self, function: Any) -> sa.ColumnElement[bool]:
        texts = [sa.collate(text, "C") for text in self._texts]
        return sa.func.bool_or(sa.or_(*(function(text) != text for text in texts)))

    @property
    def _beyond(self) -> sa.ColumnElement[bool]:
        """Which rows have something in their key that is not in ASCII, if the database is in UTF-8."""
        return sa.or_(*(sa.func.octet_length(text) != sa.func.char_length(text) for text in self._texts))

    def found(self, connection: sa.Connection, *, everywhere: bool) -> bool:
        """Say whether there are any.

        The database looks as far as they are in ASCII; beyond, its lower case is not Python's, and they come here.

        Args:
            connection: Where to ask.
            everywhere: Whether the database cannot tell which texts are in ASCII.
        """
        beyond = sa.true() if everywhere else self._beyond
        folded = [
            attrs.evolve(column, value=sa.func.lower(sa.func.btrim(column.value, _BLANKS)))
            if column.family == "text"
            else column
            for column in self.keys.columns
        ]
        plain = KeyColumns(folded, [None] * len(folded))
        rows = sa.select(sa.literal(1)).select_from(self.selectable).where(sa.not_(beyond))
        twice = rows.group_by(*plain.values).having(sa.func.count() > 1)
        if connection.execute(twice.limit(1)).first() is not None:
            return True
        names = [value.label(f"part{index}") for index, value in enumerate(self.keys.values)]
        others = sa.select(*names).select_from(self.selectable).where(beyond)
        seen: set[int] = set()  # a number a key, as there may be very many
        count, in_ascii = 0, []
        for columns in chunks_of(connection.execute(others, execution_options=_STREAMED)):
            for key in zip(*columns, strict=True):
                folded_key = tuple(lookalike_form(part) if isinstance(part, str) else part for part in key)
                seen.add(hash(folded_key))
                count += 1
                if all(part.isascii() for part in folded_key if isinstance(part, str)):
                    in_ascii.append(folded_key if len(folded_key) > 1 else folded_key[0])
        if len(seen) < count:
            return True
        return any(
            connection.execute(rows.where(condition).limit(1)).first() is not None
            for condition in plain.among(in_ascii)
        )
