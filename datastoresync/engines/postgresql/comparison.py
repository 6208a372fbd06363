"""The statement that finds what differs between two relations of one database; whole relations as Arrow.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.


Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database; pyarrow is loaded on first use.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from importlib import import_module
from itertools import compress, islice, starmap
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
import sqlalchemy as sa

from datastoresync.conversion.scalars import SCALARS
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
    python_type,
)
from datastoresync.engines.relation import CannotPushDown, DifferingRows, Work
from datastoresync.errors import MissingDependencyError, SyncerError
from datastoresync.masking import masked
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


_MISSING = "reading the rows of a table as Arrow needs pyarrow: pip install 'datastoresync[arrow]'"
_MOST_DIGITS = 76
"""Of Arrow's widest decimal."""
_NARROW: Mapping[str, str] = MappingProxyType({"int2": "int16", "int4": "int32"})
_HINT = "adbc.postgresql.batch_size_hint_bytes"
_BATCH = str(16 * 2**20)


def has_adbc() -> bool:
    """Say whether rows can come through ADBC: ``pip install 'datastoresync[postgresql]' adbc-driver-postgresql``."""
    try:
        import_module("adbc_driver_postgresql")
    except ImportError:
        return False
    return True


def to_arrow(relation: SnapshotRelation) -> Any:
    """Return a ``pyarrow.RecordBatchReader`` of all rows, in any order, as they were when they were imported.

    What `read_arrow` makes of it are the values that `SQLSyncer.read` gives: their types, the digits of a decimal, and
    the time zone of a moment too. It is to be read to its end, or closed, before the relation is.

    Args:
        relation: Whose rows; it stays open.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        CannotPushDown: A column has no counterpart in Arrow.
        SyncerError: The table was changed since, or the database ended the snapshot; while rows are read, too.
    """
    try:
        pyarrow = import_module("pyarrow")
    except ImportError as error:
        raise MissingDependencyError(_MISSING) from error
    columns = relation.source.columns.values()
    zone = _python_zone(relation.snapshot.zone)
    schema = pyarrow.schema([(column.attribute, _arrow_type(pyarrow, column, zone)) for column in columns])
    with relation.reading():
        pass  # what has changed is said here, as Arrow's streams wrap errors in their own
    statement = _statement(relation) if has_adbc() else None
    exported = None if statement is None else relation.snapshot.export()
    if statement is None or exported is None:
        batches = _from_rows(pyarrow, relation, schema)
    else:
        batches = _through_adbc(pyarrow, relation, schema, (exported, statement))
    return pyarrow.RecordBatchReader.from_batches(schema, batches)


def _python_zone(zone: str) -> str:
    """Return the time zone that psycopg gives moments: the server's, or UTC if Python does not know that one."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
    return zone


def _statement(relation: SnapshotRelation) -> str | None:
    """Return what ADBC is to send, or None if it would not be sent as the same person, or needs parameters."""
    columns = relation.source.columns.values()
    selected = [_selected(column).label(f"c{index}") for index, column in enumerate(columns)]
    statement = sa.select(*selected).select_from(relation.source.selectable)
    compiled = statement.compile(relation.snapshot.database.engine)
    if compiled.params or relation.snapshot.role != relation.snapshot.user:
        return None
    return str(compiled).replace("%%", "%")  # psycopg would have it so


def _from_rows(pyarrow: Any, relation: SnapshotRelation, schema: Any) -> Iterator[Any]:
    for chunk in relation.rows():
        columns = [_array(pyarrow, values, kind) for values, kind in zip(chunk, schema.types, strict=True)]
        yield pyarrow.record_batch(columns, schema=schema)


def _arrow_type(pyarrow: Any, column: StoredColumn, zone: str) -> Any:
    if column.kind == "timestamptz":
        return pyarrow.timestamp("us", zone)
    if column.kind == "uuid":
        return pyarrow.uuid()
    if column.kind != "numeric":
        alias = _NARROW.get(column.kind) or SCALARS[python_type(column.kind)].arrow
        return pyarrow.type_for_alias(alias)
    if column.precision is None or column.scale is None:
        message = f"{column.attribute} is a numeric without a scale, whose digits Arrow would not keep"
        raise CannotPushDown(message)
    if not 0 <= column.scale <= column.precision <= _MOST_DIGITS:
        message = f"{column.attribute} has digits where Arrow has none"
        raise CannotPushDown(message)
    return pyarrow.decimal256(column.precision, column.scale)


def _array(pyarrow: Any, values: Any, kind: Any) -> Any:
    if kind != pyarrow.uuid():
        return pyarrow.array(values, kind)
    return _uuids(
        pyarrow, pyarrow.array([None if value is None else value.bytes for value in values], pyarrow.binary())
    )


def _uuids(pyarrow: Any, column: Any) -> Any:
    return pyarrow.ExtensionArray.from_storage(pyarrow.uuid(), column.cast(pyarrow.binary(16)))


def _cast(column: Any, kind: Any) -> Any:
    return column if column.type == kind else column.cast(kind)  # its own check would import all of Arrow's functions


def _through_adbc(
    pyarrow: Any, relation: SnapshotRelation, schema: Any, snapshot_query: tuple[str, str]
) -> Iterator[Any]:
    exported, statement = snapshot_query
    source = relation.source
    with relation.reading() as connection:  # until the last row is there, nobody can alter or empty the table
        raw: Any = connection.connection.dbapi_connection
        with _translated_errors(relation), _connected(raw) as ask, ExitStack() as stack:
            ask("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            ask(f"SET TRANSACTION SNAPSHOT '{exported}'")
            if source.search_path is not None:
                ask("SET LOCAL standard_conforming_strings = on")
                ask(f"SELECT set_config('search_path', '{source.search_path.replace(chr(39), chr(39) * 2)}', true)")
            reader = pyarrow.RecordBatchReader.from_stream(ask(statement, **{_HINT: _BATCH}))
            stack.callback(reader.close)
            for batch in reader:
                columns = [
                    _uuids(pyarrow, column) if kind == pyarrow.uuid() else _cast(column, kind)
                    for column, kind in zip(batch.columns, schema.types, strict=True)
                ]
                yield pyarrow.record_batch(columns, schema=schema)


def _selected(column: StoredColumn) -> sa.ColumnElement[Any]:
    """Return what is asked for instead of a column whose type is another one in ADBC than in psycopg."""
    if column.kind == "float4":
        return column.value
    if column.kind in ("char", "enum"):
        return sa.cast(column.column, sa.Text)
    return sa.func.uuid_send(column.column) if column.kind == "uuid" else column.column


@contextmanager
def _connected(raw: Any) -> Iterator[Callable[..., Any]]:
    """Connect to where another connection is connected to, with everything that that one was given.

    Not through ADBC's own ``dbapi``, which imports pandas, polars and more of Arrow than all else takes that is done.

    Yields:
        What sends a statement with options, and returns the stream of what it gives.
    """
    from psycopg.conninfo import make_conninfo

    manager: Any = import_module("adbc_driver_manager")
    driver: Any = import_module("adbc_driver_postgresql")
    with ExitStack() as stack:
        database = stack.enter_context(driver.connect(make_conninfo(raw.info.dsn, password=raw.info.password or None)))
        connection = stack.enter_context(manager.AdbcConnection(database))
        connection.set_autocommit(False)

        def ask(text: str, **options: str) -> Any:
            statement = stack.enter_context(manager.AdbcStatement(connection))
            statement.set_options(**options)
            statement.set_sql_query(text)
            return statement.execute_query()[0]

        yield ask


@contextmanager
def _translated_errors(relation: SnapshotRelation) -> Iterator[None]:
    errors: Any = import_module("adbc_driver_manager")
    try:
        yield
    except errors.Error as error:
        database = relation.snapshot.database
        first = next(iter(str(error).splitlines()), "")
        reason = masked(first, database.secrets)
        message = f"cannot read {relation.source.shown} through ADBC: {reason}"
        raise SyncerError(message) from None
