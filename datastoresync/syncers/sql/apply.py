"""Changes applied to tables of a database: in blocks, in one transaction, never over a change by another program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Generic, TypeVar

import attrs
import sqlalchemy as sa

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Change, Outcome, Outcomes, Same, WriteOptions, segments_of
from datastoresync.syncers.sql.block_writer import BlockWriter
from datastoresync.syncers.sql.bulk import FEWEST, BulkWriter
from datastoresync.syncers.sql.cascades import CascadeGuard
from datastoresync.syncers.sql.catalog import Catalogue
from datastoresync.syncers.sql.column_forms import Mode
from datastoresync.syncers.sql.database import CommitInterrupt, Database
from datastoresync.syncers.sql.effects import DONE, Effects
from datastoresync.syncers.sql.row_counts import Mark
from datastoresync.syncers.sql.settling import settle
from datastoresync.syncers.sql.statements import SEGMENT, Batch, RefusalError, Statements, TableLookup, Unit
from datastoresync.syncers.sql.unit_writer import UnitWriter

T = TypeVar("T")

_UNDONE = Outcome("undone", "rolled back together with a change that failed")
_UNKNOWN = Outcome("failed", "interrupted during the commit: it may be done all the same, so import again")
_REPLAYS = 20
"""Times that changes are written again because something that was done depends on what was not."""


class _RollbackError(Exception):
    """All is to be rolled back, and these are the outcomes."""

    def __init__(self, outcomes: Outcomes) -> None:
        super().__init__("to be rolled back")
        self.outcomes = outcomes


def apply_changes(
    database: Database, changes: Iterable[Change], *, same: Same, options: WriteOptions | None = None
) -> Sequence[Outcome]:
    """Apply changes in one transaction, as `SQLSyncer.apply_changes` describes; they are taken as they come.

    Raises:
        LockedError: Another run is writing to one of the tables.
        SyncerError: A table or column is not there, the store as a whole gave up, or it cannot go on after a failure
            as the options ask. Nothing was written.
        CommitInterrupt: Ctrl-C came too late to undo the changes; it has their ``outcomes``.
    """
    options = options or WriteOptions(whole=lambda _: True)  # without an import, what is there already is done
    if options.on_error == "continue" and not database.dialect.has_savepoints:
        message = (
            f"{database.name} has no savepoints, so a change that fails cannot be undone alone: use on_error='stop'"
        )
        raise SyncerError(message)
    segments, outcomes = map(Segment, segments_of(changes, SEGMENT, FEWEST)), Outcomes()
    first = next(segments, None)
    if first is None:
        return outcomes
    prefetched = Prefetched(chain([first], segments), lambda segment: segment.prepare(lookup, bulk, len(outcomes)))
    try:
        with database.writing() as connection:
            with database.translated_errors("cannot apply the changes to"):
                mode: Mode = "normalized" if database.normalize else "kept"
                lookup = TableLookup(Catalogue(connection, database.name, mode=mode))
            statements = Statements(connection, database.secrets, prefetched.prefetch, shows_values=True)
            effects = Effects(statements, same, options.attributes)
            bulk = BulkWriter(statements, same, effects) if statements.dialect.copies(connection.dialect) else None
            blocks = BlockWriter(statements, same, options, effects)
            guard = CascadeGuard(connection, database.name, statements.execute, list(options.tables), options.along)
            writer = UnitWriter(statements, blocks, bulk, options, guard, outcomes)
            run = _begun(writer, lookup)
            locked: set[str] = set()
            for segment in prefetched:
                outcomes.extend(segment.count, DONE)
                if writer.is_full:
                    writer.unseen += segment.count
                    segment.parts.clear()
                    continue
                with database.translated_errors("cannot apply the changes to"):
                    found = segment.batches(lookup, bulk, len(outcomes) - segment.count)
                    names = lookup.catalogue.names_to_write()
                database.lock(connection, locked.symmetric_difference(names))
                locked.update(names)
                run.write(found)
                found.clear()  # before the next ones are made
            run.end()
            if writer.failures and options.on_error == "stop":
                raise _RollbackError(_rolled_back(writer))
            _tell_besides(outcomes, writer, guard)
            if options.rehearse:
                raise _RollbackError(outcomes)
            outcomes.warnings += statements.advance_sequences()
    except _RollbackError as rollback:
        return rollback.outcomes
    except CommitInterrupt as interrupt:
        interrupt.outcomes = outcomes if interrupt.committed else Outcomes(len(outcomes), _UNKNOWN)
        raise
    except RefusalError as refusal:
        message = f"{database.name} gave up, and nothing was written: {refusal.reason}"
        raise (refusal.blames_store or SyncerError)(message) from None
    return outcomes


def _tell_besides(outcomes: Outcomes, writer: UnitWriter, guard: CascadeGuard) -> None:
    """Say what the database did besides, and whether there may be more of it."""
    effects = writer.blocks.effects
    outcomes.acts = effects.acts
    counted = writer.statements.dialect.counts_cascades
    besides = writer.statements.counts.warnings(guard.done() if counted else {})
    outcomes.warnings += [*effects.warnings(outcomes), *besides, *guard.warnings()]


def _rolled_back(writer: UnitWriter) -> Outcomes:
    """Return the outcomes after all was rolled back: what failed is named, and all the rest is undone."""
    outcomes = Outcomes(len(writer.outcomes), _UNDONE)
    outcomes.warnings += writer.outcomes.warnings
    for position, outcome in enumerate(writer.outcomes):
        if outcome.status == "failed":
            outcomes[position] = outcome
    if writer.unseen:
        outcomes.warnings.append(
            f"{len(writer.failures)} objects could not be written; {writer.unseen:,} changes were not tried any more"
        )
    return outcomes


@attrs.define(eq=False)
class _Run:
    """Writes segments, so that they can be written again as long as it may turn out that they have to be.

    That is, if something was done that depends on what was not, or if a constraint that is checked at the end of the
    transaction is violated.

    Args:
        writer: Writes changes.
    """

    writer: UnitWriter
    _savepoint: sa.NestedTransaction | None = attrs.field(init=False, default=None)
    _mark: Mark | None = attrs.field(init=False, default=None)
    _written: list[Batch | list[Unit]] = attrs.field(init=False, factory=list)
    _failures: frozenset[int] = attrs.field(init=False, default=frozenset())
    _deferring: bool = attrs.field(init=False, default=False)

    def write(self, found: Iterable[Batch | list[Unit]]) -> None:
        """Write a segment.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        found = list(found)
        statements = self.writer.statements
        if self._written and self._deferring:
            self._let_go_if_valid()
        if not self._deferring:
            with statements.guarded():
                self._deferring = statements.dialect.has_deferred(statements.connection)
        if self._savepoint is None and (self._deferring or self.writer.options.dependencies is not None):
            self._begin()
        if self._savepoint is not None:
            self._written += found
        for changes in found:
            self.writer.write(changes)
            if isinstance(changes, Batch):
                changes.prepared = None  # which takes the memory of the values once more
        if self._savepoint is not None and not self.writer.waiting and not self._deferring:
            self._settle()
            self._let_go()

    def _let_go_if_valid(self) -> None:
        """Hold what was written no longer if all constraints are met by now, which they need not be before the end."""
        statements = self.writer.statements
        with statements.guarded():
            early = statements.dialect.runs_triggers_last(statements.connection)
        if early or self.writer.waiting:
            return
        self._settle()
        try:
            with statements.savepoint():
                self._check()
        except RefusalError as refusal:
            if refusal.blames_store:
                raise
            return
        self._let_go()

    def _let_go(self) -> None:
        """Forget what was written since the savepoint; it is never written again."""
        if self._savepoint is not None:
            with self.writer.statements.guarded():
                self._savepoint.commit()
            self._savepoint = None
        self._written.clear()

    def end(self) -> None:
        """Write what is still waiting, and check what is left to check.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        self._settle()
        try:
            with self.writer.statements.savepoint():
                self._check()
        except RefusalError as refusal:
            if refusal.blames_store or self._savepoint is None:
                raise
            self._replay(checked=True)
            self._settle()

    def _check(self) -> None:
        """Check what the end of the transaction would check."""
        statements = self.writer.statements
        if self._deferring:
            self.writer.check()
        else:
            with statements.guarded():
                statements.dialect.end_deferring(statements.connection)

    def _settle(self) -> None:
        settle(self.writer)
        for _ in range(_REPLAYS):
            if self._savepoint is None or not self.writer.blocked(self._written):
                return
            self._replay()
            settle(self.writer)

    def _begin(self) -> None:
        if self.writer.statements.dialect.has_savepoints:
            self._mark = self.writer.statements.counts.mark()
            with self.writer.statements.guarded():
                self._savepoint = self.writer.statements.connection.begin_nested()
            self._failures = frozenset(self.writer.failures)

    def _replay(self, *, checked: bool = False) -> None:
        """Undo what was written since the savepoint, and write it again, with what is known now.

        Args:
            checked: Whether it turned out that something violates a constraint whose check was put off.
        """
        if self._savepoint is None:
            return
        with self.writer.statements.guarded():
            self._savepoint.rollback()
        self.writer.statements.counts.undo(self._mark)
        self._begin()
        if checked:
            self.writer.tolerate()
            self.writer.checked = True
        self.writer.reset(self._written, self._failures)
        for changes in self._written:
            self.writer.write(changes)


def _begun(writer: UnitWriter, lookup: TableLookup) -> _Run:
    """Return a run that knows what is there under another spelling of what is left out."""
    left_out = writer.options.left_out
    writer.blocks.meet(lookup.units(left_out, range(len(left_out))))
    return _Run(writer)


class Prefetched(Generic[T]):
    """An iterator whose next item may be made before it is asked for. An error made then is raised when it is.

    Args:
        items: What makes the items.
        prepare: Does to an item what can be done ahead of its time.

    >>> made = Prefetched(iter("ab"), print)
    >>> made.prefetch()
    a
    >>> list(made)
    ['a', 'b']
    """

    def __init__(self, items: Iterable[T], prepare: Callable[[T], object]) -> None:
        self._items = iter(items)
        self._prepare = prepare
        self._made: list[T] = []
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._made.pop() if self._made else next(self._items)

    def prefetch(self) -> None:
        """Make and prepare the next item, unless that was done already. A preparation that fails has no effect."""
        if self._made or self._error is not None:
            return
        try:
            self._made.extend(islice(self._items, 1))
        except Exception as error:  # noqa: BLE001 - it is raised when the item is asked for
            self._error = error
        for item in self._made:
            with suppress(Exception):
                self._prepare(item)


@attrs.define(eq=False)
class Segment:
    """Changes that are looked at together.

    Args:
        parts: The changes, as `segments_of` gives them.
    """

    parts: list[Sequence[Change]]
    count: int = attrs.field(init=False)
    _found: list[Batch | list[Unit]] | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.count = sum(map(len, self.parts))

    def batches(self, lookup: TableLookup, bulk: BulkWriter | None, first: int) -> list[Batch | list[Unit]]:
        """Return the changes ready to be written, and let go of them.

        Raises:
            SyncerError: As for `TableLookup.batches`.
        """
        found, self._found = self._found, None
        if found is None:
            found = list(lookup.batches(self.parts, first, sys.maxsize if bulk is None else FEWEST))
        self.parts.clear()
        return found

    def prepare(self, lookup: TableLookup, bulk: BulkWriter | None, first: int) -> None:
        """Do what can be done before its turn, and without the database."""
        if bulk is not None and lookup.knows(self.parts):
            found = list(lookup.batches(self.parts, first, FEWEST))
            for batch in found:
                if isinstance(batch, Batch):
                    bulk.prepare(batch)
            self._found = found
