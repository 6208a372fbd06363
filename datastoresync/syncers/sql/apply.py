"""Changes applied to tables of a database: in blocks, in one transaction, never over a change by another program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Generic, TypeVar

import attrs

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Change, Outcome, Outcomes, Same, WriteOptions, segments_of
from datastoresync.syncers.sql.block_writer import BlockWriter
from datastoresync.syncers.sql.bulk import FEWEST, BulkWriter
from datastoresync.syncers.sql.catalog import Catalogue
from datastoresync.syncers.sql.database import CommitInterrupt, Database
from datastoresync.syncers.sql.effects import DONE, Effects, outcomes_of
from datastoresync.syncers.sql.statements import (
    SEGMENT,
    Batch,
    RefusalError,
    Statements,
    TableLookup,
    Unit,
    blocks_of,
    groups,
)

T = TypeVar("T")

_UNDONE = Outcome("undone", "rolled back together with a change that failed")
_UNKNOWN = Outcome("failed", "interrupted during the commit: it may be done all the same, so import again")


class _CulpritError(Exception):
    """The change for which everything is rolled back."""

    def __init__(self, unit: Unit, reason: str) -> None:
        super().__init__(reason)
        self.unit = unit
        self.reason = reason


def apply_changes(
    database: Database, changes: Iterable[Change], *, same: Same, options: WriteOptions | None = None
) -> Sequence[Outcome]:
    """Apply changes in one transaction, as `SQLSyncer.apply_changes` describes; they are taken as they come.

    Raises:
        LockedError: Another run is writing to one of the tables.
        SyncerError: A table or column is not there, or the store as a whole gave up. Nothing was written.
        CommitInterrupt: Ctrl-C came too late to undo the changes; it has their ``outcomes``.
    """
    segments = map(Segment, segments_of(changes, SEGMENT, FEWEST))
    first = next(segments, None)
    outcomes = Outcomes()
    if first is None:
        return outcomes
    prefetched = Prefetched(chain([first], segments), lambda segment: segment.prepare(lookup, bulk, len(outcomes)))
    try:
        with database.writing() as connection:
            with database.translated_errors("cannot apply the changes to"):
                lookup = TableLookup(Catalogue(connection, database.name))
            statements = Statements(connection, database.secrets, prefetched.prefetch)
            options = options or WriteOptions()
            effects = Effects(statements, same, options.attributes)
            bulk = BulkWriter(statements, same, effects) if statements.dialect.copies(connection.dialect) else None
            writer = _Writer(statements, BlockWriter(statements, same, options, effects), bulk)
            locked: set[str] = set()
            for segment in prefetched:
                with database.translated_errors("cannot apply the changes to"):
                    found = segment.batches(lookup, bulk, len(outcomes))
                    names = lookup.catalogue.names_to_write()
                database.lock(connection, locked.symmetric_difference(names))
                locked.update(names)
                outcomes.extend(segment.count, DONE)
                for unit, outcome in chain.from_iterable(map(writer.write, found)):
                    effects.note(unit, outcome)
                    for position, one in outcomes_of(unit, outcome):
                        outcomes[position] = one
                found.clear()  # before the next ones are made
            outcomes.warnings += effects.warnings()
    except _CulpritError as culprit:
        return _failed(culprit, len(outcomes) + sum(segment.count for segment in prefetched))
    except CommitInterrupt as interrupt:
        interrupt.outcomes = outcomes if interrupt.committed else Outcomes(len(outcomes), _UNKNOWN)
        raise
    except RefusalError as refusal:
        message = f"{database.name} gave up, and nothing was written: {refusal.reason}"
        raise (refusal.blames_store or SyncerError)(message) from None
    return outcomes


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


def _failed(culprit: _CulpritError, count: int) -> Outcomes:
    outcomes = Outcomes(count, _UNDONE)
    for position, _ in culprit.unit.changes:
        outcomes[position] = Outcome("failed", culprit.reason)
    return outcomes


@attrs.frozen(eq=False)
class _Writer:
    """Writes changes: many at once where it can, the others block by block.

    Args:
        statements: The statements, with their transaction.
        blocks: Writes blocks.
        bulk: Writes batches; None where nothing is copied.
    """

    statements: Statements
    blocks: BlockWriter
    bulk: BulkWriter | None

    def write(self, changes: Batch | list[Unit]) -> Iterator[tuple[Unit, Outcome]]:
        """Apply changes; yield the units that were looked at one by one, with their outcomes. All others are done.

        Raises:
            _CulpritError: A unit could not be written.
            RefusalError: The store as a whole gave up.
        """
        left: Iterable[Sequence[Unit]] = groups(changes) if isinstance(changes, list) else [self._left(changes)]
        for block in chain.from_iterable(map(blocks_of, left)):
            yield from zip(block, self._block(block), strict=True)
        if self.bulk is not None:
            yield from self.bulk.told
            self.bulk.told.clear()

    def _left(self, batch: Batch) -> list[Unit]:
        return batch.units(range(len(batch.changes)) if self.bulk is None else self.bulk.write(batch))

    def _block(self, block: Sequence[Unit]) -> list[Outcome]:
        """Apply a block; if a statement fails, each half of it, down to the one unit that it fails for."""
        try:
            with self.statements.savepoint():
                return self.blocks.write(block)
        except RefusalError as refusal:
            if refusal.blames_store:
                raise
            if len(block) == 1:
                raise _CulpritError(block[0], refusal.reason) from None
        half = len(block) // 2
        return self._block(block[:half]) + self._block(block[half:])
