"""Statements that read and write rows by key, a block at a time, and the errors that they end in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.sql.blocks import KeyedTable, blocks_of
from datastoresync.syncers.sql.catalog import StoredLink, StoredTable
from datastoresync.syncers.sql.dialects import Dialect, dialect_of
from datastoresync.syncers.sql.translate_errors import (
    DATABASE_ERRORS,
    cancelled,
    concerns_store,
    locked,
    reason_of,
)
from datastoresync.syncers.sql.values import Encoder, UnfitValueError

Key = tuple[Any, ...]
Row = dict[str, Any]
_Field = tuple[str, str, Encoder]


class RefusalError(Exception):
    """A statement was refused, for this reason.

    ``blames_store`` is the error to raise if no change is to blame for it: a lock, the connection, the disk.
    ``cancelled`` says that the statement was broken off, by a limit to its time, say.
    """

    def __init__(self, reason: str, blames_store: type[SyncerError] | None, *, cancelled: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.blames_store = blames_store
        self.cancelled = cancelled


@attrs.frozen(eq=False)
class Statements:
    """Reads and writes rows by key, within a transaction.

    What the database refuses is raised as `RefusalError`. Keys are as ``KeyedTable.match`` gives them.

    Args:
        connection: Where the transaction is.
        secrets: What reasons must not hold.
        meanwhile: Is called while the database is at work for long; it must not ask the database anything.
    """

    connection: sa.Connection
    secrets: tuple[str, ...] = ()
    meanwhile: Callable[[], None] | None = None

    def rows(self, keyed: KeyedTable, keys: Collection[Key], attributes: Iterable[str]) -> dict[Key, list[Row]]:
        """Return the rows of these keys by key, locked where the database can; there may be several of one key."""
        names = [name for name in dict.fromkeys(attributes) if name not in keyed.target.links]
        columns = [keyed.target.column(name) for name in names]
        width = len(keyed.keys)
        asked_for = _asked_for(keys, keyed.match)
        found: dict[Key, list[Row]] = {}
        for row in self._select(keyed.keys, columns, keys):
            found.setdefault(asked_for(row[:width]), []).append(dict(zip(names, row[width:], strict=True)))
        return found

    def members(self, keyed: KeyedTable, link: StoredLink, keys: Collection[Key]) -> dict[Key, dict[Key, Any]]:
        """Return the members of these owners by owner: each as it was read, by what the matcher makes of it."""
        asked_for = _asked_for(keys, keyed.match)
        match = link.stored.matcher([link.member])
        found: dict[Key, dict[Key, Any]] = {}
        for *owner, member in self._select(link.owners, [link.member], keys):
            found.setdefault(asked_for(owner), {})[match([member])] = member
        return found

    def linked(self, link: StoredLink, pairs: Collection[Key]) -> set[Key]:
        """Return which of these are in a link table: each an owner's key and a member, as its matcher gives them."""
        columns = (*link.owners, link.member)
        asked_for = _asked_for(pairs, link.stored.matcher(columns))
        return {asked_for(row) for row in self._select(columns, [], pairs)}

    def insert(self, stored: StoredTable, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows of values for these columns, in their order."""
        bound = stored.parameters(columns)
        statement = sa.insert(stored.table).values(dict(zip(columns, bound, strict=True)))
        self._execute_many(statement, _fields(stored, columns, bound), rows)

    def update(
        self, stored: StoredTable, columns: Sequence[str], keys: Sequence[sa.Column[Any]], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Update rows; each is given as the values of these columns, followed by its key."""
        names = [*columns, *(column.name for column in keys)]
        bound = stored.parameters(names)
        values = dict(zip(columns, bound[: len(columns)], strict=True))
        conditions = [column == value for column, value in zip(keys, bound[len(columns) :], strict=True)]
        statement = sa.update(stored.table).where(*conditions).values(values)
        self._execute_many(statement, _fields(stored, names, bound), rows)

    def delete(self, stored: StoredTable, columns: Sequence[sa.Column[Any]], keys: Iterable[Key]) -> None:
        """Delete the rows that have one of these keys in these columns."""
        for block in blocks_of(keys):
            self.execute(sa.delete(stored.table).where(self._among(columns, block)))

    def _select(
        self, keys: Sequence[sa.Column[Any]], columns: Sequence[sa.Column[Any]], among: Collection[Key]
    ) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for block in blocks_of(among):
            with self.guarded():
                statement = sa.select(*keys, *columns).where(self._among(keys, block))
                if self.dialect.has_row_locks:
                    statement = statement.with_for_update()
                rows += map(tuple, self.connection.execute(statement))
        return rows

    def _among(self, columns: Sequence[sa.Column[Any]], keys: Sequence[Key]) -> sa.ColumnElement[bool]:
        if len(columns) > 1:
            return sa.tuple_(*columns).in_(sa.bindparam("keys", keys, expanding=True))
        return self.dialect.among(columns[0], [key[0] for key in keys])

    @property
    def dialect(self) -> Dialect:
        """The kind of database."""
        return dialect_of(self.connection.dialect)

    def _execute_many(
        self, statement: sa.Insert | sa.Update, fields: Sequence[_Field], rows: Iterable[Sequence[Any]]
    ) -> None:
        for block in blocks_of(rows):
            with self.guarded():
                self.connection.execute(statement, _encoded(fields, block))

    def execute(self, statement: sa.Executable) -> Sequence[Any]:
        """Execute a statement; return its rows, if it gives any."""
        with self.guarded():
            result = self.connection.execute(statement)
            return result.all() if result.returns_rows else ()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done within if it fails, where the database can.

        Elsewhere the transaction goes on after a statement that failed, and what was done before it is found done.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        if not self.dialect.has_savepoints:
            yield
            return
        with self.guarded():
            savepoint = self.connection.begin_nested()
        try:
            yield
        except RefusalError as refusal:
            try:
                with self.guarded():
                    savepoint.rollback()
            except RefusalError as further:  # the connection is lost, say
                blamed = refusal.blames_store or further.blames_store or SyncerError
                raise RefusalError(refusal.reason, blamed, cancelled=refusal.cancelled) from None
            raise
        except BaseException:
            with self.guarded():
                savepoint.rollback()
            raise
        with self.guarded():
            savepoint.commit()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise errors of the database, and values that do not fit, as `RefusalError`."""
        driver: Any = self.connection.dialect.loaded_dbapi  # which COPY is spoken to through, past SQLAlchemy
        try:
            yield
        except (*DATABASE_ERRORS, driver.Error) as error:
            store = (LockedError if locked(error) else SyncerError) if concerns_store(error) else None
            raise RefusalError(reason_of(error, self.secrets), store, cancelled=cancelled(error)) from None


def _asked_for(keys: Collection[Key], match: Callable[[Iterable[Any]], Key]) -> Callable[[Iterable[Any]], Key]:
    """Return what finds the key that was asked for in the row that it was answered with.

    A database may hold keys to be equal that Python does not, by a collation that ignores case, say.
    """
    exactly = set(keys)
    loosely: dict[Key, Key] = {}

    def find(raw: Iterable[Any]) -> Key:
        key = match(raw)
        if key in exactly:
            return key
        if not loosely:
            loosely.update((_loosened(key), key) for key in exactly)
        return loosely.get(_loosened(key), key)

    return find


def _loosened(key: Key) -> Key:
    return tuple(value.rstrip().casefold() if isinstance(value, str) else value for value in key)


def _fields(stored: StoredTable, names: Sequence[str], bound: Sequence[sa.BindParameter[Any]]) -> list[_Field]:
    return [(parameter.key, name, stored.encoders[name]) for name, parameter in zip(names, bound, strict=True)]


def _encoded(fields: Sequence[_Field], rows: Sequence[Sequence[Any]]) -> list[Row]:
    encoded: list[Sequence[Any]] = []
    for (_, name, encode), values in zip(fields, zip(*rows, strict=True), strict=True):
        try:
            encoded.append([encode(value) for value in values])
        except UnfitValueError as error:
            message = f"column {name!r}: {error}"
            raise UnfitValueError(message) from None
    parameters = [parameter for parameter, _, _ in fields]
    return [dict(zip(parameters, row, strict=True)) for row in zip(*encoded, strict=True)]
