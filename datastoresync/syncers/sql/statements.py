"""The statements that changes are made of, for blocks of one kind and one table; refusals told apart and cleaned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa

from datastoresync.errors import LockedError, SyncerError
from datastoresync.printing.text import shortened
from datastoresync.syncers.changes import Change, ChangeBatch, Column, Table
from datastoresync.syncers.sql.canonical import printed_texts
from datastoresync.syncers.sql.catalog import Catalogue, StoredLink, StoredTable, Target
from datastoresync.syncers.sql.column_forms import ColumnForm
from datastoresync.syncers.sql.dialects import Dialect, dialect_of
from datastoresync.syncers.sql.id_lookup import MissingIdError, with_ids, with_known_ids
from datastoresync.syncers.sql.references import Joins, followed_of
from datastoresync.syncers.sql.row_counts import RowCounts
from datastoresync.syncers.sql.spellings import Found, Key, among, compared, found_for
from datastoresync.syncers.sql.translate_errors import (
    DATABASE_ERRORS,
    cancelled,
    concerns_constraint,
    concerns_store,
    detail_of,
    locked,
    reason_of,
)
from datastoresync.syncers.sql.values import UnfitValueError

T = TypeVar("T")

KEYS = 1_000
"""Keys a block: few enough for the parameters that a statement may have, in any database."""
SEGMENT = 50_000
"""Changes that are looked at together: few enough for the memory."""

LINKS = ("link", "unlink")
"""The verbs of changes of one member."""


class KeyedTable:
    """A table, and the columns that the keys of its changes are in.

    Raises:
        SyncerError: A table or column is not there, or a link table has another number of owner columns.
    """

    def __init__(self, catalogue: Catalogue, change: Change | ChangeBatch) -> None:
        self.table: Table = change.table
        self.target = Target(catalogue, change.table, change.identifiers)
        self.keys = tuple(self.target.column(attribute) for attribute in change.identifiers)
        own = (*(column.name for column in self.keys), *map(change.table.column, change.table.references))
        self.target.stored = attrs.evolve(self.target.stored.keyed(own), attributes=change.table.attributes)
        self.match = self.target.stored.matcher(self.keys)
        for link in self.target.links.values():
            self.target.owner_columns(link, change.identifiers)


class Unit:
    """Changes that stand or fall together: the updates of one object, or a single change of another kind.

    There is one for almost every change, so it has no more to it than it needs.

    Args:
        keyed: Where it is.
        verb: The verb of them all.
        key: The key of the object, as the database compares it.
        position: The position of the first change among all that are applied.
        change: The first change.
        member: The attribute of a link, with its owner and member as the database compares them; else nothing.
    """

    __slots__ = ("attributes", "change", "changes", "key", "keyed", "member", "rivals", "verb")

    def __init__(
        self,
        keyed: KeyedTable,
        verb: str,
        key: tuple[Any, ...],
        position: int,
        change: Change,
        member: tuple[Any, ...] = (),
    ) -> None:
        self.keyed = keyed
        self.verb = verb
        self.key = key
        self.change = change
        self.changes = [(position, change)]
        self.member = member
        self.attributes: AbstractSet[str] = change.values.keys()
        """Of an update, the attributes that nothing more may be merged for."""
        self.rivals: Sequence[tuple[Any, ...]] = ()
        """Of an unlink, the members that come to the same attribute after it, each with its owner."""

    @property
    def asked(self) -> set[str]:
        """The attributes that the changes write."""
        return {name for _, change in self.changes for name in change.values}


class Batch:
    """Many changes of one verb to one table without link tables, no two of them for one object.

    Args:
        keyed: Where they are.
        changes: The changes.
        keys: The key of each, as the database compares it.
        positions: The position of each among all that are applied.

    ``prepared`` is what was prepared to write it; None if nothing was.
    """

    __slots__ = ("changes", "keyed", "keys", "positions", "prepared")

    def __init__(
        self, keyed: KeyedTable, changes: ChangeBatch, keys: Sequence[tuple[Any, ...]], positions: Sequence[int]
    ) -> None:
        self.keyed = keyed
        self.changes = changes
        self.keys = keys
        self.positions = positions
        self.prepared: Sequence[Any] | None = None

    def at(self, indexes: Sequence[int]) -> Batch:
        """Return a batch of those of its changes that have these indexes, which are in order."""
        if len(indexes) == len(self.keys):
            return self
        keys, positions = [self.keys[index] for index in indexes], [self.positions[index] for index in indexes]
        return Batch(self.keyed, self.changes.at(indexes), keys, positions)

    def units(self, indexes: Iterable[int]) -> list[Unit]:
        """Return units of those of its changes that have these indexes."""
        verb = self.changes.verb
        return [
            Unit(self.keyed, verb, self.keys[index], self.positions[index], self.changes[index]) for index in indexes
        ]

    def column(self, attribute: str) -> str:
        """Return the name of the column of an attribute."""
        return self.keyed.target.column(attribute).name

    @property
    def expected(self) -> dict[str, Column]:
        """What is to be compared; an update is not asked about attributes that it does not change."""
        values, expected = self.changes.values, self.changes.expected
        if self.changes.verb != "update":
            return dict(expected)
        return {name: column.where(values[name]) for name, column in expected.items() if name in values}


class TableLookup:
    """Finds the tables of changes, each once.

    Args:
        catalogue: What to look them up in.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._found: dict[tuple[int, tuple[str, ...]], KeyedTable] = {}

    def _keyed(self, change: Change | ChangeBatch) -> KeyedTable:
        identity = (id(change.table), change.identifiers)
        keyed = self._found.get(identity)
        if keyed is None:
            keyed = self._found[identity] = KeyedTable(self.catalogue, change)
        return keyed

    def knows(self, parts: Iterable[Sequence[Change]]) -> bool:
        """Say whether the tables of parts were found before, so that the database need not be asked."""
        return all(
            isinstance(part, ChangeBatch) and (id(part.table), part.identifiers) in self._found for part in parts
        )

    def batches(self, parts: Iterable[Sequence[Change]], first: int, fewest: int) -> Iterator[Batch | list[Unit]]:
        """Return batches, and units of the changes that are in none.

        Args:
            parts: The changes, as `segments_of` gives them.
            first: The position of the first of them.
            fewest: Changes below which there is no batch.

        Raises:
            SyncerError: As for `units`.
        """
        for part in parts:
            if isinstance(part, ChangeBatch) and len(part) >= fewest:
                yield from self._batch(part, first, fewest)
            else:
                yield self.units(part, range(first, first + len(part)))
            first += len(part)

    def _batch(self, part: ChangeBatch, first: int, fewest: int) -> Iterator[Batch | list[Unit]]:
        keyed = self._keyed(part)
        keyed.target.check((*part.values, *part.expected))
        keys = keyed.target.stored.matched(keyed.keys, part.keys)
        whole = Batch(keyed, part, keys, range(first, first + len(part)))
        if len(set(keys)) == len(keys):
            yield whole
            return
        counts = Counter(keys)
        alone = [index for index, key in enumerate(keys) if counts[key] == 1]
        if part.verb != "update" or len(alone) < fewest:
            yield self.units(part, range(first, first + len(part)))
            return
        yield whole.at(alone)
        together = [index for index, key in enumerate(keys) if counts[key] > 1]
        yield self.units([part[index] for index in together], [first + index for index in together])

    def units(self, changes: Sequence[Change], positions: Iterable[int]) -> list[Unit]:
        """Put the updates of one object together, where the first is.

        Args:
            changes: The changes.
            positions: The position of each among all that are applied.

        Raises:
            SyncerError: A table, column or link table is not there; nothing was written for these changes yet.
        """
        merging: dict[tuple[KeyedTable, tuple[Any, ...]], Unit] = {}
        found: list[Unit] = []
        for position, change in zip(positions, changes, strict=True):
            keyed = self._keyed(change)
            verb, values, target = change.verb, change.values, keyed.target
            target.check(values)
            if change.expected:
                target.check(change.expected)
            member = _member(keyed, change) if verb in LINKS else ()
            unit = Unit(keyed, verb, keyed.match(change.key), position, change, member)
            if merging or verb == "update":
                own = (keyed, unit.key)
                earlier = merging.get(own)
                if verb == "update":
                    if earlier is not None and earlier.attributes.isdisjoint(unit.attributes):
                        earlier.changes.append((position, change))
                        earlier.attributes = earlier.attributes | unit.attributes
                        continue
                    merging[own] = unit
                elif earlier is not None and verb in LINKS:
                    earlier.attributes = earlier.attributes | unit.attributes
                elif earlier is not None:
                    del merging[own]
            found.append(unit)
        return found


def blocks_of(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items in blocks of at most `KEYS`."""
    waiting = iter(items)
    while block := list(islice(waiting, KEYS)):
        yield block


def _member(keyed: KeyedTable, change: Change) -> tuple[Any, ...]:
    attribute, member = change.linked(keyed.target.links)
    link = keyed.target.links[attribute]
    match = link.stored.matcher((*link.owners, link.member))
    return (attribute, *match((*keyed.match(change.key), member)))


Row = dict[str, Any]
_Field = tuple[str, str, ColumnForm]


class RefusalError(Exception):
    """A statement was refused, for this reason.

    ``blames_store`` is the error to raise if no change is to blame for it: a lock, the connection, the disk.
    ``cancelled`` says that the statement was broken off, by a limit to its time, say; ``may_pass`` that it may be taken
    once other rows are changed; ``detail`` what the database says of the row, which is for no message.
    """

    def __init__(
        self,
        reason: str,
        blames_store: type[SyncerError] | None,
        *,
        cancelled: bool = False,
        may_pass: bool = False,
        detail: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.blames_store = blames_store
        self.cancelled = cancelled
        self.may_pass = may_pass
        self.detail = detail


@attrs.frozen(eq=False)
class Statements:
    """Reads and writes rows by key, within a transaction.

    What the database refuses is raised as `RefusalError`. Keys are as ``KeyedTable.match`` gives them.

    Args:
        connection: Where the transaction is.
        secrets: What reasons must not hold.
        meanwhile: Is called while the database is at work for long; it must not ask the database anything.
        shows_values: Whether reasons say which value does not fit a column.
    """

    connection: sa.Connection
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    meanwhile: Callable[[], None] | None = None
    shows_values: bool = False
    counts: RowCounts = attrs.field(init=False)
    _written: dict[tuple[str, str], StoredTable] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "counts", RowCounts(self._written_rows))

    def _written_rows(self) -> Mapping[tuple[str, str], int] | None:
        with self.guarded():
            return self.dialect.written_rows(self.connection)

    def rows(
        self, keyed: KeyedTable, keys: Collection[Key], attributes: Iterable[str], *, lock: bool = True
    ) -> Found[Row]:
        """Return the rows of these keys, locked where the database can; there may be several of one key."""
        names = [name for name in dict.fromkeys(attributes) if name not in keyed.target.links]
        columns = [keyed.target.column(name) for name in names]
        width = len(keyed.keys)
        rows = self._select(keyed.keys, columns, keys, lock=lock and not keyed.target.stored.is_view)
        by_key = ((row[:width], dict(zip(names, row[width:], strict=True))) for row in rows)
        return found_for(keys, keyed.match, by_key, lambda: self._compared(keyed.keys, keys))

    def current(
        self, keyed: KeyedTable, keys: Collection[Key], columns: Sequence[sa.Column[Any]]
    ) -> dict[Key, dict[str, Any]]:
        """Return some columns of the rows of these keys by key, locked as above; of several, one."""
        width = len(keyed.keys)
        names = [column.name for column in columns]
        return {
            keyed.match(row[:width]): dict(zip(names, row[width:], strict=True))
            for row in self._select(keyed.keys, columns, keys)
        }

    def members(self, keyed: KeyedTable, link: StoredLink, keys: Collection[Key]) -> dict[Key, dict[Key, Any]]:
        """Return the members of these owners by owner: each as it was read, by what the matcher makes of it."""
        match = link.stored.matcher([link.member])
        rows = ((tuple(owner), member) for *owner, member in self._select(link.owners, [link.member], keys))
        owned = found_for(keys, keyed.match, rows, lambda: self._compared(link.owners, keys))
        found = {key: {match([member]): member for member in members} for key, members in owned.exact.items()}
        for key, others in owned.spelled.items():
            for other in map(keyed.match, others):
                found[key] = found.get(key, {}) | found.get(other, {})
        return found

    def linked(self, link: StoredLink, pairs: Collection[Key]) -> Found[Key]:
        """Return which of these are in a link table: each an owner's key and a member, as its matcher gives them."""
        columns = (*link.owners, link.member)
        rows = ((row, row) for row in self._select(columns, [], pairs))
        return found_for(pairs, link.stored.matcher(columns), rows, lambda: self._compared(columns, pairs))

    def refuse_doubles(self, columns: Sequence[sa.Column[Any]], keys: Collection[Key]) -> None:
        """Raise `RefusalError` if the database takes two rows of these keys for those of one."""
        for block in blocks_of(keys):
            joins = Joins(columns[0].table)
            found = list(map(joins.column, columns))
            several = sa.select(*found).select_from(joins.source).where(self._among(found, block)).group_by(*found)
            if self.execute(several.having(sa.func.count() > 1).limit(1)):
                message = "its key stands in more than one row"
                raise RefusalError(message, None)

    def _compared(self, columns: Sequence[sa.Column[Any]], keys: Collection[Key]) -> Iterator[tuple[Key, Key]]:
        """Yield each of the keys with every key in the table, as it is read, that the database takes for the same."""
        return compared(self.execute, self.dialect, columns, keys)

    def insert(self, stored: StoredTable, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows of values for these columns, in their order; what the database gives itself is left out."""
        with self.guarded():
            given = stored.given(columns)
        if len(given) < len(columns):
            places = [place for place, name in enumerate(columns) if name in given]
            columns, rows = given, [[row[place] for place in places] for row in rows]
        self.note_written(stored, columns)
        bound = stored.parameters(columns)
        statement = self._refusing(sa.insert(stored.table).values(dict(zip(columns, bound, strict=True))))
        for some in self._with_ids(stored, columns, rows):
            self._execute_many(stored, "insert", statement, _fields(stored, columns, bound), some)

    def update(
        self, stored: StoredTable, columns: Sequence[str], keys: Sequence[sa.Column[Any]], rows: Iterable[Sequence[Any]]
    ) -> int:
        """Update rows; each is given as the values of these columns, followed by its key.

        Return how many of them were not written, as far as the database says so.

        Raises:
            RefusalError: The database refused it, or it was done to more rows than were given.
        """
        names = [*columns, *(column.name for column in keys)]
        bound = stored.parameters(names)
        values = dict(zip(columns, bound[: len(columns)], strict=True))
        conditions = [column == value for column, value in zip(keys, bound[len(columns) :], strict=True)]
        statement = self._refusing(sa.update(stored.table).where(*conditions).values(values))
        fields = _fields(stored, names, bound)
        found = self._with_ids(stored, names, rows)
        return sum(self._execute_many(stored, "update", statement, fields, some) for some in found)

    def _refusing(self, statement: Any) -> Any:
        with self.guarded():
            return self.dialect.refusing(self.connection, statement)

    def note_written(self, stored: StoredTable, columns: Iterable[str]) -> None:
        """Take note of columns that were given values in new rows, of which their sequences know nothing."""
        for name in stored.sequences.keys() & columns:
            self._written[stored.full_name, name] = stored

    def advance_sequences(self) -> list[str]:
        """Move the sequences behind columns that were written on, so that they give none of these values again.

        Return a sentence for each that could not be moved.
        """
        warnings = []
        for (table, name), stored in self._written.items():
            try:
                with self.savepoint(), self.guarded():
                    self.dialect.advance(self.connection, stored.table, name, stored.sequences[name])
            except RefusalError as refusal:
                if refusal.blames_store:
                    raise
                warnings.append(
                    f"the sequence behind column {name!r} of table {table!r} could not be moved on, and may give keys "
                    f"that are there already: {refusal.reason}"
                )
        self._written.clear()
        return warnings

    def delete(self, stored: StoredTable, columns: Sequence[sa.Column[Any]], keys: Iterable[Key]) -> None:
        """Delete the rows that have one of these keys in these columns."""
        for block in blocks_of(keys):
            if found := with_known_ids(self, columns, block):
                with self.guarded():
                    result = self.connection.execute(sa.delete(stored.table).where(self._among(columns, found)))
                # One that goes with another one of them, by a foreign key, is not in the count.
                self._count(stored, "delete", max(result.rowcount, len(found)))

    def _with_ids(
        self, stored: StoredTable, names: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> Iterator[Iterable[Sequence[Any]]]:
        """Yield rows with ids in the place of idnumbers; those that refer to others of them come later."""
        if all(followed_of(stored.column(name)) is None for name in names):
            yield rows
            return
        try:
            for block in blocks_of(rows):
                yield from with_ids(self, stored, names, block)
        except MissingIdError as error:
            raise RefusalError(str(error), None, may_pass=error.may_come) from None

    def _select(
        self,
        keys: Sequence[sa.Column[Any]],
        columns: Sequence[sa.Column[Any]],
        among: Collection[Key],
        *,
        lock: bool = True,
    ) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for block in blocks_of(among):
            with self.guarded():
                joins = Joins(keys[0].table)
                statement = sa.select(*map(joins.column, (*keys, *columns)))
                statement = statement.select_from(joins.source).where(self._among(list(map(joins.column, keys)), block))
                if lock and self.dialect.has_row_locks:
                    statement = statement.with_for_update(of=None if joins.source is keys[0].table else keys[0].table)
                rows += map(tuple, self.connection.execute(statement))
        return rows

    def _among(self, columns: Sequence[sa.ColumnElement[Any]], keys: Sequence[Key]) -> sa.ColumnElement[bool]:
        return among(self.dialect, columns, keys)

    @property
    def dialect(self) -> Dialect:
        """The kind of database."""
        return dialect_of(self.connection.dialect)

    def _execute_many(
        self,
        stored: StoredTable,
        verb: str,
        statement: sa.Insert | sa.Update,
        fields: Sequence[_Field],
        rows: Iterable[Sequence[Any]],
    ) -> int:
        missing = 0
        for block in blocks_of(rows):
            with self.guarded():
                result = self.connection.execute(statement, self._encoded(fields, block))
            # Two keys that the database takes for one, say: the same statement would write to the rows of both.
            if self.connection.dialect.supports_sane_multi_rowcount and result.rowcount > len(block):
                message = f"it was done to {result.rowcount} rows instead of {len(block)}"
                raise RefusalError(message, None)
            if self.connection.dialect.supports_sane_multi_rowcount and not stored.is_view:
                missing += len(block) - max(result.rowcount, 0)
            self._count(stored, verb, len(block))
        return missing

    def _count(self, stored: StoredTable, verb: str, rows: int) -> None:
        if not stored.is_view:  # its rows are those of other tables
            self.counts.note(stored.full_name, verb, rows)

    def execute(self, statement: sa.Executable) -> Sequence[Any]:
        """Execute a statement; return its rows, if it gives any."""
        with self.guarded():
            result = self.connection.execute(statement)
            return result.all() if result.returns_rows else ()

    def count_of(self, statement: sa.Executable) -> int:
        """Execute a statement; return how many rows it found to change, or -1 where the driver does not tell."""
        with self.guarded():
            return int(self.connection.execute(statement).rowcount)

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
        mark = self.counts.mark()
        with self.guarded():
            savepoint = self.connection.begin_nested()
        try:
            with self.dialect.quiet():
                yield
        except RefusalError as refusal:
            try:
                with self.guarded():
                    savepoint.rollback()
            except RefusalError as further:  # the connection is lost, say
                blamed = refusal.blames_store or further.blames_store or SyncerError
                raise RefusalError(refusal.reason, blamed, cancelled=refusal.cancelled) from None
            self.counts.undo(mark)
            raise
        except BaseException:
            with self.guarded():
                savepoint.rollback()
            self.counts.undo(mark)
            raise
        with self.guarded():
            savepoint.commit()

    def _encoded(self, fields: Sequence[_Field], rows: Sequence[Sequence[Any]]) -> list[Row]:
        encoded: list[Sequence[Any]] = []
        for (_, name, form), values in zip(fields, zip(*rows, strict=True), strict=True):
            try:
                encoded.append(form.column(values))
            except UnfitValueError as error:
                value = next(value for value in values if form.refuses(value))
                what = f"column {name} cannot hold {shortened(value)}" if self.shows_values else f"column {name}"
                message = f"{what}: {error}"
                raise UnfitValueError(message) from None
            if form.printed is not None:
                encoded[-1] = printed_texts(self.connection, name, form, encoded[-1], self.secrets)
        parameters = [parameter for parameter, _, _ in fields]
        return [dict(zip(parameters, row, strict=True)) for row in zip(*encoded, strict=True)]

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise errors of the database, and values that do not fit, as `RefusalError`."""
        driver: Any = self.connection.dialect.loaded_dbapi  # which COPY is spoken to through, past SQLAlchemy
        try:
            yield
        except (*DATABASE_ERRORS, driver.Error) as error:
            store = (LockedError if locked(error) else SyncerError) if concerns_store(error) else None
            reason = reason_of(error, self.secrets)
            if store is not None:
                raise RefusalError(reason, store, cancelled=cancelled(error)) from None
            raise RefusalError(reason, None, may_pass=concerns_constraint(error), detail=detail_of(error)) from None


def _fields(stored: StoredTable, names: Sequence[str], bound: Sequence[sa.BindParameter[Any]]) -> list[_Field]:
    return [
        (parameter.key, stored.called(name), stored.encoders[name])
        for name, parameter in zip(names, bound, strict=True)
    ]
