"""The columns of PostgreSQL whose values a COPY carries, and a query compares, just as Python has them.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import compress
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import attrs
import sqlalchemy as sa

from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.values import Encoder, UnfitValueError, as_it_is

_NONE = type(None)


@attrs.frozen
class _Exact:
    """A type of PostgreSQL.

    Args:
        sql: A type that carries its values, and has no length, precision or range to which one would be made to fit.
        types: The types of the values that it holds as they are.
        zoned: Whether these have a time zone; None where there is no such thing.
    """

    sql: str
    types: frozenset[type]
    zoned: bool | None = None


# The object identifiers never change: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat
# Left out are types whose values are changed on their way or compared otherwise: real, char(n), citext, domains, ...
_EXACT: Final[Mapping[int, _Exact]] = MappingProxyType(
    {
        16: _Exact("bool", frozenset({bool})),
        17: _Exact("bytea", frozenset({bytes})),
        20: _Exact("int8", frozenset({int})),
        # A driver may cut what does not fit into so many bytes; the database refuses it when it gets all of them.
        21: _Exact("int8", frozenset({int})),
        23: _Exact("int8", frozenset({int})),
        25: _Exact("text", frozenset({str})),
        701: _Exact("float8", frozenset({float})),
        1043: _Exact("text", frozenset({str})),
        1082: _Exact("date", frozenset({date})),
        1083: _Exact("time", frozenset({time}), zoned=False),
        1114: _Exact("timestamp", frozenset({datetime}), zoned=False),
        1184: _Exact("timestamptz", frozenset({datetime}), zoned=True),
        1700: _Exact("numeric", frozenset({Decimal, int})),
        2950: _Exact("uuid", frozenset({UUID})),
    }
)
_NUMERIC = 1700
# Of tables proper, without rules of their own, and in which no two rows have one key: what inherits from a table has
# keys of its own, and an index that could not be built holds nobody back. Not of text whose collation holds different
# texts to be equal.
_COLUMNS = sa.text(
    """
    SELECT a.attname, a.atttypid::bigint,
           CASE WHEN c.oid IS NULL THEN '' ELSE quote_ident(n.nspname) || '.' || quote_ident(c.collname) END
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_collation c ON c.oid = a.attcollation
        LEFT JOIN pg_namespace n ON n.oid = c.collnamespace
    WHERE t.oid = to_regclass(:name) AND t.relkind IN ('r', 'p') AND NOT t.relhasrules
        AND (t.relkind = 'p' OR NOT t.relhassubclass)
        AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisunique AND NOT i.indisvalid)
        AND (c.oid IS NULL OR c.collisdeterministic)
    """
)


# Of the table and its partitions, which may have triggers of their own.
_TRIGGERS = sa.text(
    """
    SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE NOT tgisinternal AND tgattr::text <> '' AND (
            tgrelid = to_regclass(:name) OR tgrelid IN (SELECT relid FROM pg_partition_tree(to_regclass(:name)))
        )
    )
    """
)


@attrs.frozen(eq=False)
class ExactColumn:
    """A column that is written and compared exactly.

    Args:
        name: Its name, as a statement has it.
        sql: The name of a type that carries its values.
        kind: The same, with the collation of the column.
        types: The types of the values that it holds as they are.
        zoned: Whether these have a time zone; None where there is no such thing.
        encode: What makes other values fit.
        widens: Whether integers are read as decimals.
    """

    name: str
    sql: str
    kind: str
    types: frozenset[type]
    zoned: bool | None
    encode: Encoder
    widens: bool

    def encoded(self, values: Sequence[Any], unfit: set[int], flags: Sequence[bool] | None = None) -> Sequence[Any]:
        """Return values as the column holds them; put the places of those that it does not hold exactly into a set.

        Those without a flag are None, if there are flags.
        """
        asked = values if flags is None else compress(values, flags)
        if set(map(type, asked)) <= self.types and self.zoned is None:
            return values
        encoded = []
        for place, value in enumerate(values):
            try:
                made = self.encode(value)
            except UnfitValueError:
                made = value
            if type(made) not in self.types or not self._in_zone(made):
                unfit.add(place)
            encoded.append(made)
        return encoded

    def _in_zone(self, value: Any) -> bool:
        return self.zoned is None or value is None or (value.tzinfo is not None) is self.zoned

    def raw(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return what the database would give for such values."""
        if not self.widens or int not in map(type, values):
            return values
        return [Decimal(value) if type(value) is int else value for value in values]


def exact_columns(connection: sa.Connection, stored: StoredTable) -> dict[str, ExactColumn]:
    """Return the exact columns of a table; none if the table is not written to directly."""
    preparer = connection.dialect.identifier_preparer
    quote: Callable[[str], str] = preparer.quote
    rows = connection.execute(_COLUMNS, {"name": preparer.format_table(stored.table)})
    return {
        name: ExactColumn(
            quote(name),
            exact.sql,
            f"{exact.sql} COLLATE {collation}" if collation else exact.sql,
            exact.types | {_NONE},
            exact.zoned,
            stored.encoders[name],
            widens=number == _NUMERIC,
        )
        for name, number, collation in rows
        if name in stored.encoders and (exact := _EXACT.get(number)) is not None
    }


def has_column_triggers(connection: sa.Connection, stored: StoredTable) -> bool:
    """Say whether something is to happen where certain columns are updated, with their own value, too."""
    name = connection.dialect.identifier_preparer.format_table(stored.table)
    return bool(connection.execute(_TRIGGERS, {"name": name}).scalar())


FLAG = ExactColumn("", "bool", "bool", frozenset({bool}), None, as_it_is, widens=False)
"""A column that says something about each row, and is in no other table."""
