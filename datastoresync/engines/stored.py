"""The rows of a branch that stay in the database that they are in.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from datastoresync.engines.relation import Compared, Page, Relation, Unfaithful, Work
from datastoresync.engines.snapshot import Snapshot, snapshot_of
from datastoresync.engines.stored_comparison import Part, differing_rows, refuse_other_names, side_by_side, streamed
from datastoresync.engines.stored_keys import KEYS
from datastoresync.engines.stored_source import Source, query_source, table_source
from datastoresync.engines.stored_types import form_of
from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Table
from datastoresync.syncers.records import Columns
from datastoresync.syncers.sql import SQLSyncer
from datastoresync.syncers.sql_reading import chunks_of

__all__ = ["StoredRelation", "open_stored"]

_SAMPLE = 100
_STREAMED = {"stream_results": True}


class StoredRelation:
    """A table or query of a PostgreSQL, as it was when it was imported; the database is asked for whatever is needed.

    It holds a `Snapshot`, which ends once it is closed or forgotten. Rows come as `SQLSyncer.read` gives them.

    Args:
        snapshot: Where it is asked for.
        source: What it is.
        layout: The class of its objects.

    Raises:
        Unfaithful: There is something in it that only an import row by row can judge.
        SyncerError: It cannot be read.
    """

    engine = "postgresql"

    def __init__(self, snapshot: Snapshot, source: Source, layout: Any) -> None:
        self.source = source
        self.columns: tuple[str, ...] = tuple(source.columns)
        self.identifiers = layout.identifiers
        self._part = Part.of(source, layout.identifiers, _converters(source, layout), None)
        self._doubts = dict(_doubts(source, self._part, layout))
        self.snapshot = snapshot
        self.place: Hashable = snapshot.place
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
            order = [value.desc() if page.backwards else value for value in self._part.keys.values]
            statement = statement.where(*self._part.keys.within(page)).order_by(*order).limit(page.limit)
        return self._read(statement)

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the rows of these keys, as far as they are there, in any order.

        Raises:
            SyncerError: The table was changed since, or the database ended the snapshot.
        """
        for condition in self._part.keys.among(keys):
            yield from self._read(sa.select(self.source.selectable).where(condition))

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are.

        Raises:
            SyncerError: The table was changed since, or the database ended the snapshot.
        """
        found: set[tuple[Any, ...]] = set()
        wanted = [value.label(f"part{place}") for place, value in enumerate(self._part.keys.values)]
        for condition in self._part.keys.among(keys):
            for columns in self._read(sa.select(*wanted).where(condition)):
                found.update(zip(*columns, strict=True))
        return {key for key in keys if self._part.keys.parts(key) in found}

    def differing(self, other: Relation, work: Work) -> Compared:
        """Compare with another relation of the database, which does it by itself: only rows that differ are read.

        If the two were imported at different moments, both move to the later one, and are what they were then.

        Raises:
            Unfaithful: The database cannot, or what is there at that moment is not what may be compared there.
            SyncerError: A table was changed since, or the database ended the snapshot; while rows are read, too.
        """
        if not isinstance(other, StoredRelation) or self.place != other.place:
            message = "the other side is elsewhere"
            raise Unfaithful(message)
        refuse_other_names(self.columns, other.columns, work.attributes)
        if len(self.identifiers) != len(other.identifiers):
            message = "the keys have different numbers of parts"
            raise Unfaithful(message)
        paths = {one.source.search_path for one in (self, other)} - {None}
        if len(paths) > 1:
            message = "the queries look for their tables in different schemas"
            raise Unfaithful(message)
        left = Part.of(self.source, self.identifiers, work.left, "mine")
        right = Part.of(other.source, other.identifiers, work.right, "theirs")
        statement = differing_rows(left, right, work.attributes)
        self._meet(other)
        width = len(self.columns)
        places = (
            self.columns.index(self.identifiers[0]),
            width + other.columns.index(other.identifiers[0]),
        )
        chunks = self._told(statement, (self.source, other.source), next(iter(paths), None))
        rows = side_by_side(chunks, width, places)
        return Compared(*rows, why="both sides are in one PostgreSQL, which compared them")

    def arrow(self) -> Any:
        """Return a ``pyarrow.RecordBatchReader`` of all rows; see `pulling.pull`, which needs pyarrow."""
        from datastoresync.engines.pulling import pull

        return pull(self)

    def move(self, snapshot: Snapshot) -> None:
        """Become what it was at the moment of another snapshot of the same place.

        Raises:
            Unfaithful: Then, there was something in it that only an import row by row can judge. It stays what it is.
            SyncerError: It cannot be read.
        """
        if snapshot is self.snapshot:
            return
        if snapshot.moment != self.snapshot.moment:
            self.count = self._counted(snapshot)
        let_go, self.snapshot = self._let_go, snapshot
        self._let_go = snapshot.hold(self)
        let_go()

    def close(self) -> None:
        """Let go of the snapshot; nothing is asked afterwards."""
        self._let_go()

    def _meet(self, other: StoredRelation) -> None:
        earlier, later = sorted((self, other), key=lambda one: one.snapshot.taken)
        earlier.move(later.snapshot)

    def _counted(self, snapshot: Snapshot) -> int:
        """Return the number of rows, in the one pass that also looks for what only an import can judge."""
        part, source = self._part, self.source
        doubtful = sa.func.bool_or(sa.or_(sa.false(), *self._doubts.values()))
        with snapshot.reading(source.search_path) as connection:
            source.check(connection)
            count, doubted = connection.execute(sa.select(sa.func.count(), doubtful).select_from(part.selectable)).one()
            if doubted:
                for reason, doubt in self._doubts.items():
                    if _any(connection, sa.select(sa.literal(1)).select_from(part.selectable).where(doubt)):
                        raise Unfaithful(reason)
            if not any(index <= set(self.identifiers) for index in source.unique):
                groups = sa.select(sa.literal(1)).select_from(part.selectable).group_by(*part.keys.values)
                if _any(connection, groups.having(sa.func.count() > 1)):
                    message = "an idnumber is there twice"
                    raise Unfaithful(message)
        return int(count)

    @property
    def sample(self) -> Mapping[str, Any]:
        """For each attribute, a value of one of the first rows, None if they have none."""
        columns = next(self._read(sa.select(self.source.selectable).limit(_SAMPLE)), [()] * len(self.columns))
        firsts = (next((value for value in column if value is not None), None) for column in columns)
        return dict(zip(self.columns, firsts, strict=True))

    def _read(self, statement: sa.Select[Any]) -> Iterator[Columns]:
        with self.asked() as connection:
            yield from chunks_of(connection.execute(statement, execution_options=_STREAMED))

    def _told(self, statement: sa.Select[Any], sources: Sequence[Source], search_path: str | None) -> Iterator[Columns]:
        """Yield what a comparison finds.

        Through a connection of its own: a cursor would let others ask meanwhile, but has a query run by one process.
        """
        exported = self.snapshot.export()
        way = self.snapshot.reading(search_path) if exported is None else self.snapshot.beside(exported, search_path)
        with way as connection:
            for source in sources:
                source.check(connection)
            if exported is None:
                yield from chunks_of(connection.execute(statement, execution_options=_STREAMED))
            else:
                yield from streamed(connection, statement)

    @contextmanager
    def asked(self) -> Iterator[sa.Connection]:
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
        Unfaithful: It has to be read; the reason is said in a few words. What is wrong with it, if anything is, shows
            then, as it always does.
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
        raise Unfaithful(message) from error


def _any(connection: sa.Connection, statement: sa.Select[Any]) -> bool:
    return connection.execute(statement.limit(1)).first() is not None


class _Holder:
    """Holds a snapshot until a relation does."""


def _converters(source: Source, layout: Any) -> dict[str, Any]:
    """Return how each attribute is converted.

    Raises:
        Unfaithful: The class does not take these columns, or converts one of them by itself.
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
        raise Unfaithful(message)
    if fields is None:
        return dict.fromkeys(columns)
    own = next((name for name in columns if fields[name].converter is None), None)
    if own is not None:
        message = f"{own} has a converter of its own"
        raise Unfaithful(message)
    return {name: fields[name].converter for name in columns}


def _doubts(source: Source, part: Part, layout: Any) -> Iterator[tuple[str, sa.ColumnElement[bool]]]:
    """Yield what would make an import refuse a row, or the driver fail: a reason, and when it is so.

    Raises:
        Unfaithful: That cannot be told of some column.
    """
    for name, form in zip(layout.identifiers, part.keys.forms, strict=True):
        if form.family not in KEYS:
            message = f"{name} is {form.family}, whose order may be another one in the database"
            raise Unfaithful(message)
        if form.family in ("text", "bytea"):
            empty = sa.literal("" if form.family == "text" else b"", KEYS[form.family][1])
            yield f"{name} is empty somewhere", form.value == empty
    for name, column in source.columns.items():
        converter = part.converters.get(name)
        form_of(column, converter)
        takes_none = converter is None or converter.identity or type(None) in converter.kinds
        if column.nullable and (name in layout.identifiers or not takes_none):
            yield f"{name} is NULL somewhere", column.column.is_(None)
        if column.unreadable is not None:
            yield f"{name} is somewhere what Python has no value for", column.unreadable
