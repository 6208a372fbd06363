"""Comparisons in PostgreSQL: of relations of one database by a join, of those of two by checksums of their rows.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from importlib import import_module
from itertools import compress, islice, starmap
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.engines.checksum.comparison import ServerTable, differing_by_ranges
from datastoresync.engines.postgresql.source import SnapshotRelation, Source
from datastoresync.engines.postgresql.types import (
    SQL_TYPES,
    ConvertedColumn,
    KeyColumns,
    StoredColumn,
    converted_column,
    counterpart,
    family_of,
)
from datastoresync.engines.relation import CannotPushDown, DifferingRows, Work
from datastoresync.syncers.records import Columns

_ROWS = 10_000
_CHUNK = 1000
"""Rows that the driver asks for at a time."""


@attrs.frozen(eq=False)
class ComparedSide:
    """One side of a comparison in the database.

    Args:
        selectable: Where its columns are.
        columns: The columns.
        keys: Its key.
        converters: How its values are converted, by attribute.
    """

    selectable: sa.FromClause
    columns: Mapping[str, StoredColumn]
    keys: KeyColumns
    converters: Mapping[str, Any]

    @classmethod
    def of(
        cls, source: Source, identifiers: Sequence[str], converters: Mapping[str, Any], name: str | None
    ) -> ComparedSide:
        """Return a source as a side, under another name unless that is None.

        Raises:
            CannotPushDown: A part of the key has no counterpart.
        """
        selectable = source.selectable if name is None else source.selectable.alias(name)
        columns = {column.attribute: column for column in source.columns_of(selectable)}
        parts = [converted_column(columns[name], converters.get(name)) for name in identifiers]
        indexed = [
            columns[name].column if columns[name].kind == "text" and part.family == "text" else None
            for name, part in zip(identifiers, parts, strict=True)
        ]
        return cls(selectable, columns, KeyColumns(parts, indexed), converters)


def differing_rows(left: ComparedSide, right: ComparedSide, attributes: Sequence[str]) -> sa.Select[Any]:
    """Return the statement: all columns of the left side and then of the right, NULL where one has no such row.

    One pass over both, joined by a hash; rows travel only if they are on one side alone or differ, in the order of the
    keys.

    Raises:
        CannotPushDown: Values of an attribute, or of the key, are equal elsewhere in the database than in Python.
    """
    keys = list(map(partial(counterpart, "the key"), left.keys.columns, right.keys.columns))
    values = []
    for name in attributes:
        columns = (converted_column(side.columns[name], side.converters.get(name)) for side in (left, right))
        values.append(counterpart(name, *columns))
    alone = [side.keys.values[0].is_(None) for side in (left, right)]
    differs = [sa.ColumnElement.is_distinct_from(*pair) for pair in values]
    joined = left.selectable.join(right.selectable, sa.and_(*starmap(operator.eq, keys)), full=True)
    selected = [
        column.column.label(f"{name}{index}")
        for name, side in (("left", left), ("right", right))
        for index, column in enumerate(side.columns.values())
    ]
    order = [sa.func.coalesce(*pair) for pair in keys]
    return sa.select(*selected).select_from(joined).where(sa.or_(*alone, *differs)).order_by(*order)


def side_by_side(
    chunks: Iterator[Columns], width: int, keys: tuple[int, int]
) -> tuple[Iterator[Columns], Iterator[Columns]]:
    """Split chunks with the columns of both sides into two streams; rows that one of them is ahead wait for the other.

    Args:
        chunks: What `differing_rows` gives.
        width: The number of the left side's columns.
        keys: The indexes of a column that is None where there is no left, and no right row.
    """
    waiting: tuple[deque[Columns], deque[Columns]] = (deque(), deque())

    def stream(side: int) -> Iterator[Columns]:
        while True:
            while waiting[side]:
                yield waiting[side].popleft()
            columns = next(chunks, None)
            if columns is None:
                return
            for number, part in enumerate((columns[:width], columns[width:])):
                present = [value is not None for value in columns[keys[number]]]
                if any(present):
                    waiting[number].append(
                        part if all(present) else [list(compress(column, present)) for column in part]
                    )

    return stream(0), stream(1)


def streamed(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[Columns]:
    """Yield the rows of a statement as they come, in chunks of columns; the connection is busy until the end.

    The values are psycopg's, which SQLAlchemy would give as they are, too.
    """
    compiled = statement.compile(connection)
    raw: Any = connection.connection.dbapi_connection
    with closing(raw.cursor()) as cursor, closing(_stream(cursor, str(compiled), compiled.params)) as rows:
        while chunk := list(islice(rows, _ROWS)):
            yield list(zip(*chunk, strict=True))


def _stream(cursor: Any, statement: str, parameters: Mapping[str, Any]) -> Any:
    try:
        many = import_module("psycopg").capabilities.has_stream_chunked()
    except AttributeError:  # since psycopg 3.2, and with libpq 17
        many = False
    return cursor.stream(statement, parameters, **({"size": _CHUNK} if many else {}))


def refuse_other_names(left: Sequence[str], right: Sequence[str], attributes: Sequence[str]) -> None:
    """Raise `CannotPushDown` unless both sides have all of the attributes."""
    for name in attributes:
        if name not in left or name not in right:
            message = f"{name} is no column of both sides"
            raise CannotPushDown(message)


def differing_by_checksums(left: SnapshotRelation, right: SnapshotRelation, work: Work) -> DifferingRows:
    """Compare tables of two databases, or of two states of one, of which little more travels than what differs.

    Args:
        left: The source.
        right: The destination.
        work: What is compared; the identifiers need not be among its attributes.

    Raises:
        CannotPushDown: A type cannot be told by its checksum, or so much differs that reading everything is quicker.
        SyncerError: A table was changed since, or a database ended the snapshot; while rows are read, too.
    """
    if left.identifiers != right.identifiers:
        message = "the keys have different names"
        raise CannotPushDown(message)
    refuse_other_names(left.columns, right.columns, work.attributes)
    sides = (_server_table(left, work.left), _server_table(right, work.right))
    return differing_by_ranges(*sides, [name for name in work.attributes if name not in left.identifiers])


def _server_table(relation: SnapshotRelation, converters: Mapping[str, Any]) -> ServerTable:
    columns = relation.source.columns
    converted = {name: converted_column(column, converters.get(name)) for name, column in columns.items()}
    changed = {name: column.value for name, column in converted.items() if not _is_plain(columns[name], column)}
    if name := next((name for name in relation.identifiers if name in changed), None):
        message = f"{name} is {columns[name].kind} in the database, and another type here"
        raise CannotPushDown(message)
    return ServerTable(
        connect=relation.reading,
        source=relation.source.selectable,
        columns={name: column.column for name, column in columns.items()},
        kinds={name: SQL_TYPES[column.family] for name, column in converted.items()},
        key=relation.identifiers,
        count=relation.count,
        converted=changed,
    )


def _is_plain(column: StoredColumn, converted: ConvertedColumn) -> bool:
    """Say whether a column is compared as it is, and not converted before."""
    plain = column.kind not in ("char", "enum", "float4")  # whose values are made first
    return plain and family_of(column.kind) == converted.family
