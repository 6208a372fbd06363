"""The rows of a branch that stay in the database that they are in.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.engines.postgresql.comparison import (
    ComparedSide,
    differing_by_checksums,
    differing_rows,
    refuse_other_names,
    side_by_side,
    streamed,
)
from datastoresync.engines.postgresql.snapshot import Snapshot, snapshot_of
from datastoresync.engines.postgresql.source import Source, query_source, table_source
from datastoresync.engines.postgresql.types import KEY_FAMILIES, SQL_TYPES, LookalikeKeys, converted_column, python_type
from datastoresync.engines.relation import CannotPushDown, DifferingRows, Page, Relation, Work
from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Table
from datastoresync.syncers.records import Columns, StoredRows
from datastoresync.syncers.sql.read import chunks_of
from datastoresync.syncers.sql.syncer import SQLSyncer

_SAMPLE = 100
_STREAMED = {"stream_results": True}


class StoredRelation:
    """A table or query of a PostgreSQL, as it was when it was imported; the database is asked on demand.

    It holds a `Snapshot`, which ends once it is closed or forgotten. Rows come as `SQLSyncer.read` gives them.

    Args:
        snapshot: Where it is asked for.
        source: What it is.
        layout: The class of its objects.

    Raises:
        CannotPushDown: There is something in it that only an import row by row can judge.
        SyncerError: It cannot be read.
    """

    engine = "postgresql"

    def __init__(self, snapshot: Snapshot, source: Source, layout: Any) -> None:
        self.source = source
        self.columns: tuple[str, ...] = tuple(source.columns)
        self.identifiers = layout.identifiers
        self._side = ComparedSide.of(source, layout.identifiers, _converters_of(source, layout), None)
        self._preconditions = dict(_preconditions_of(source, self._side, layout))
        self.snapshot = snapshot
        self.location: Hashable = snapshot.place
        self._let_go = snapshot.hold(self)
        try:
            self.count = self._counted(snapshot)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<StoredRelation: {self.count:,} rows of {self.source.shown}>"

    def rows(self, page: Page | None = None) -> Iterator[Columns]:
        """Yield chunks of columns, in the order of the keys if a page is asked for.

        Raises:
            SyncerError: The table was changed since, or the database ended the snapshot.
            TypeError: A bound cannot be compared with keys, while they are read.
        """
        statement = sa.select(self.source.selectable)
        if page is not None:
            order = [value.desc() if page.backwards else value for value in self._side.keys.values]
            statement = statement.where(*self._side.keys.within(page)).order_by(*order).limit(page.limit)
        return self._read(statement)

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the existing rows of these keys, in any order.

        Raises:
            SyncerError: The table was changed since, or the database ended the snapshot.
        """
        for condition in self._side.keys.among(keys):
            yield from self._read(sa.select(self.source.selectable).where(condition))

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are.

        Raises:
            SyncerError: The table was changed since, or the database ended the snapshot.
        """
        found: set[tuple[Any, ...]] = set()
        wanted = [value.label(f"part{index}") for index, value in enumerate(self._side.keys.values)]
        for condition in self._side.keys.among(keys):
            for columns in self._read(sa.select(*wanted).where(condition)):
                found.update(zip(*columns, strict=True))
        return {key for key in keys if self._side.keys.parts(key) in found}

    def differing(self, other: Relation, work: Work) -> DifferingRows:
        """Compare with another relation of the database, which does it by itself: only rows that differ are read.

        If the two were imported at different moments, and no snapshot shows both as they were, it does as two databases
        would.

        Raises:
            CannotPushDown: The database cannot.
            SyncerError: A table was changed since, or the database ended the snapshot; while rows are read, too.
        """
        if not isinstance(other, StoredRelation) or self.location != other.location:
            message = "the other side is elsewhere"
            raise CannotPushDown(message)
        refuse_other_names(self.columns, other.columns, work.attributes)
        if len(self.identifiers) != len(other.identifiers):
            message = "the keys have different numbers of parts"
            raise CannotPushDown(message)
        paths = {side.source.search_path for side in (self, other)} - {None}
        if len(paths) > 1:
            message = "the queries look for their tables in different schemas"
            raise CannotPushDown(message)
        left = ComparedSide.of(self.source, self.identifiers, work.left, "source")
        right = ComparedSide.of(other.source, other.identifiers, work.right, "destination")
        statement = differing_rows(left, right, work.attributes)
        common = self._common(other)
        if common is None:
            found = differing_by_checksums(self, other, work)
            return attrs.evolve(
                found, reason=f"both sides changed in one PostgreSQL between their imports: {found.reason}"
            )
        width = len(self.columns)
        keys = (self.columns.index(self.identifiers[0]), width + other.columns.index(other.identifiers[0]))
        chunks = _differing_chunks(common, statement, (self.source, other.source), next(iter(paths), None))
        rows = side_by_side(chunks, width, keys)
        return DifferingRows(*rows, reason="both sides are in one PostgreSQL, which compared them")

    def differing_apart(self, other: StoredRelation, work: Work) -> DifferingRows:
        """Compare with a relation of another database; see `differing_by_checksums`."""
        return differing_by_checksums(self, other, work)

    def arrow(self) -> Any:
        """Return a ``pyarrow.RecordBatchReader`` of all rows; see `comparison.to_arrow`, which needs pyarrow."""
        from datastoresync.engines.postgresql.comparison import to_arrow

        return to_arrow(self)

    def close(self) -> None:
        """Let go of the snapshot; nothing is asked afterwards."""
        self._let_go()

    def _common(self, other: StoredRelation) -> Snapshot | None:
        """Return a snapshot in which both are what they were when they were imported; None if none is known to be one.

        If something happened between the two imports, which may have been anywhere on the server, this looks whether
        any of it happened to the tables of one side: then the other side's snapshot shows them as they were, too.

        Raises:
            SyncerError: A table was changed since, or the database ended the snapshot.
        """
        if self.snapshot is other.snapshot:
            return self.snapshot
        orders = (self.snapshot.order, other.snapshot.order)
        if orders[0] is None or orders[1] is None:
            return None
        if orders[0] == orders[1]:
            return self.snapshot
        earlier, later = (self, other) if orders[0] < orders[1] else (other, self)
        if earlier.is_unchanged(earlier.snapshot, later.snapshot):
            return later.snapshot
        return earlier.snapshot if later.is_unchanged(earlier.snapshot, later.snapshot) else None

    def is_unchanged(self, earlier: Snapshot, later: Snapshot) -> bool:
        """Say whether the tables are the same in two snapshots of the database; False if that is not sure.

        They are if none of the rows in the later one was written by a transaction that was not over in the earlier one,
        and no row is missing. All of these have numbers from that of the oldest one on that was going on.

        Raises:
            SyncerError: A table was changed since, or the database ended the snapshot.
        """
        if earlier.order is None or later.order is None:
            return False
        counted = []
        for snapshot in (later, earlier):
            with snapshot.reading(self.source.search_path) as connection:
                self.source.check(connection)
                tables = self.source.written(connection, earlier.order[1], later.order[0])
            if tables is None or (snapshot is later and any(new for _, new in tables)):
                return False
            counted.append([rows for rows, _ in tables])
        return counted[0] == counted[1]

    def _counted(self, snapshot: Snapshot) -> int:
        """Return the number of rows, in the one pass that also looks for what only an import can judge."""
        side, source = self._side, self.source
        violated_sql = sa.func.bool_or(sa.or_(sa.false(), *self._preconditions.values()))
        lookalikes = LookalikeKeys(side.selectable, side.keys)
        with snapshot.reading(source.search_path) as connection:
            source.check(connection)
            wanted = sa.select(sa.func.count(), violated_sql, lookalikes.plain).select_from(side.selectable)
            count, violated, plain = connection.execute(wanted).one()
            if violated:
                for reason, condition in self._preconditions.items():
                    if _any(connection, sa.select(sa.literal(1)).select_from(side.selectable).where(condition)):
                        raise CannotPushDown(reason)
            if not any(index <= set(self.identifiers) for index in source.unique):
                groups = sa.select(sa.literal(1)).select_from(side.selectable).group_by(*side.keys.values)
                if _any(connection, groups.having(sa.func.count() > 1)):
                    message = "an idnumber is there twice"
                    raise CannotPushDown(message)
            everywhere = snapshot.encoding != "UTF8"
            suspected = plain is False and (everywhere or lookalikes.suspected(connection))
            if suspected and lookalikes.found(connection, everywhere=everywhere):
                message = "some idnumbers may look alike"
                raise CannotPushDown(message)
        return int(count)

    @property
    def sample(self) -> Mapping[str, Any]:
        """For each attribute, a value of one of the first rows, None if they have none."""
        columns = next(self._read(sa.select(self.source.selectable).limit(_SAMPLE)), [()] * len(self.columns))
        firsts = (next((value for value in column if value is not None), None) for column in columns)
        return dict(zip(self.columns, firsts, strict=True))

    def _read(self, statement: sa.Select[Any]) -> Iterator[Columns]:
        with self.reading() as connection:
            yield from chunks_of(connection.execute(statement, execution_options=_STREAMED))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give the connection for a question, after a look at whether there is still what was imported.

        Raises:
            SyncerError: The table was changed since, or the database ended the snapshot.
        """
        with self.snapshot.reading(self.source.search_path) as connection:
            self.source.check(connection)
            yield connection


def open_stored(
    syncer: SQLSyncer,
    *,
    table: Table | None = None,
    query: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    attributes: Sequence[str] | None = None,
    layout: Any,
) -> StoredRelation:
    """Open a table, or a query, as a relation of its database, without reading it.

    Args:
        syncer: The database.
        table: The table; or else
        query: A statement that gives rows, and
        parameters: the values for its ``:names``, if it has any.
        attributes: The attributes of the table to read; None for all columns.
        layout: The class of the objects.

    Raises:
        CannotPushDown: It has to be read; the reason is in the message. An error in the data shows then,
            as always.
    """
    database = syncer._database  # noqa: SLF001 - as its other methods, this one is only kept in a file of its own
    try:
        snapshot = snapshot_of(database)
        holder = _Holder()
        let_go = snapshot.hold(holder)
        try:
            if table is not None:
                source = table_source(snapshot, table, attributes)
            else:
                source = query_source(snapshot, query or "", parameters)
            return StoredRelation(snapshot, source, layout)
        finally:
            let_go()
    except SyncerError as error:
        message = "it cannot be read in place"
        raise CannotPushDown(message) from error


def _any(connection: sa.Connection, statement: sa.Select[Any]) -> bool:
    return connection.execute(statement.limit(1)).first() is not None


def _differing_chunks(
    snapshot: Snapshot, statement: sa.Select[Any], sources: Sequence[Source], search_path: str | None
) -> Iterator[Columns]:
    """Yield what a comparison finds.

    Through a connection of its own: a cursor would let others ask meanwhile, but has a query run by one process.
    """
    exported = snapshot.export()
    way = snapshot.reading(search_path) if exported is None else snapshot.sharing(exported, search_path)
    with way as connection:
        for source in sources:
            source.check(connection)
        if exported is None:
            yield from chunks_of(connection.execute(statement, execution_options=_STREAMED))
        else:
            yield from streamed(connection, statement)


def _converters_of(source: Source, layout: Any) -> dict[str, Any]:
    """Return how each attribute is converted.

    Raises:
        CannotPushDown: The class does not take these columns, or converts one of them by itself.
    """
    fields = layout.fields
    columns = source.columns
    if fields is None:
        missing, unknown = [name for name in layout.identifiers if name not in columns], []
    else:
        missing = [name for name, field in fields.items() if field.default is None and name not in columns]
        missing += [name for name in layout.identifiers if name not in columns]
        unknown = [name for name in columns if name not in fields]
    if missing or unknown:
        message = f"{(missing or unknown)[0]} is not both a column and a field"
        raise CannotPushDown(message)
    if fields is None:
        return dict.fromkeys(columns)
    own = next((name for name in columns if fields[name].converter is None), None)
    if own is not None:
        message = f"{own} has a converter of its own"
        raise CannotPushDown(message)
    return {name: fields[name].converter for name in columns}


def _preconditions_of(source: Source, side: ComparedSide, layout: Any) -> Iterator[tuple[str, sa.ColumnElement[bool]]]:
    """Yield what would make an import refuse a row, or the driver fail: a reason, and when it is so.

    Raises:
        CannotPushDown: That cannot be told of some column.
    """
    for name, key in zip(layout.identifiers, side.keys.columns, strict=True):
        if key.family not in KEY_FAMILIES:
            message = f"{name} is {key.family}, whose order may be another one in the database"
            raise CannotPushDown(message)
        if key.family in ("text", "bytea"):
            yield (
                f"{name} is empty somewhere",
                key.value == sa.literal(python_type(key.family)(), SQL_TYPES[key.family]),
            )
    for name, column in source.columns.items():
        converter = side.converters.get(name)
        converted_column(column, converter)  # raises if there is none
        takes_none = converter is None or converter.identity or type(None) in converter.kinds
        if column.nullable and (name in layout.identifiers or not takes_none):
            yield f"{name} is NULL somewhere", column.column.is_(None)
        if column.unreadable is not None:
            yield f"{name} is somewhere what Python has no value for", column.unreadable


class _Holder:
    """Holds a snapshot until a relation does."""


_SUPPORTED = "postgresql"
_ESTIMATE = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(to_regclass(:name) AS oid)")
"""How many rows a table had when it was last looked through; -1 if it never was."""


def open_large(source_info: StoredRows, layout: Any, least: int) -> StoredRelation | None:
    """Return the relation over a table or a query; None if it has fewer rows than that.

    Args:
        source_info: The table or the query.
        layout: The class of the objects.
        least: The number of rows from which on it stays where it is; 0 for any number.

    Raises:
        CannotPushDown: with the reason why it must be read.
    """
    database = source_info.syncer._database  # noqa: SLF001 - as its other methods, this one is only kept in a file of its own
    if database.dialect.name != _SUPPORTED:
        if least:  # nobody asked for it
            return None
        raise CannotPushDown(f"it is in {database.dialect.name}, which is read into memory")
    if least:
        try:
            with database.reading() as connection, database.translated_errors("count the rows of"):
                if not _has(connection, source_info, least):
                    return None
        except SyncerError:
            return None  # reading it says what is wrong
    return open_stored(
        source_info.syncer,
        table=source_info.table,
        query=source_info.query,
        parameters=source_info.parameters,
        attributes=source_info.attributes,
        layout=layout,
    )


def _has(connection: sa.Connection, source_info: StoredRows, least: int) -> bool:
    """Say whether there are so many rows, without counting more of them."""
    if source_info.table is None:
        text = (source_info.query or "").strip().rstrip(";")
        some = f"SELECT count(*) FROM (SELECT 1 FROM ({text}) AS rows LIMIT {least}) AS some"  # noqa: S608 - the user's own
        if source_info.parameters is None:
            return bool(
                connection.exec_driver_sql(some, execution_options={"no_parameters": True}).scalar_one() >= least
            )
        return bool(connection.execute(sa.text(some), dict(source_info.parameters)).scalar_one() >= least)
    schema, _, name = source_info.table.name.rpartition(".")
    table = sa.table(name, schema=schema or None)
    named = {"name": connection.dialect.identifier_preparer.format_table(table)}
    if (connection.execute(_ESTIMATE, named).scalar() or 0) > 2 * least:
        return True
    rows = sa.select(sa.literal_column("1")).select_from(table).limit(least).subquery()
    return bool(connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one() >= least)
