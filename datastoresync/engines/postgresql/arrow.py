"""All rows of a relation in a database, as Arrow: through ADBC if its driver is installed, through the relation if not.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database; pyarrow is loaded on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from datastoresync.conversion.scalars import SCALARS
from datastoresync.engines.postgresql.source import SnapshotRelation
from datastoresync.engines.postgresql.types import StoredColumn, python_type
from datastoresync.engines.relation import CannotPushDown
from datastoresync.errors import MissingDependencyError, SyncerError
from datastoresync.syncers.sql.translate_errors import without_secrets

_MISSING = "pulling the rows of a table needs pyarrow: pip install 'datastoresync[arrow]'"
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
    if column.kind == "enum":
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
        reason = without_secrets(first, database.secrets)
        message = f"cannot read {relation.source.shown} through ADBC: {reason}"
        raise SyncerError(message) from None
