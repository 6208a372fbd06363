"""What is to be written, in savepoints: what is refused is found by halves, and put off if it may be taken later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import attrs

from datastoresync.syncers.changes import Outcome, Outcomes, WriteOptions
from datastoresync.syncers.sql.block_writer import BlockWriter
from datastoresync.syncers.sql.bulk import BulkWriter
from datastoresync.syncers.sql.cascades import CascadeGuard
from datastoresync.syncers.sql.effects import DONE, EffectError, outcomes_of
from datastoresync.syncers.sql.groups import groups
from datastoresync.syncers.sql.spellings import Key
from datastoresync.syncers.sql.statements import (
    Batch,
    RefusalError,
    Statements,
    Unit,
    blocks_of,
)

MOST_FAILURES = 100
"""Objects that are named if everything is rolled back; more of them are not looked for."""


@attrs.define(eq=False)
class UnitWriter:
    """Writes changes: many at once where it can, the others block by block. What cannot be done is left out.

    Args:
        statements: The statements, with their transaction.
        blocks: Writes blocks.
        bulk: Writes batches; None where nothing is copied.
        options: How the changes are applied.
        guard: Keeps deletions from taking along what is to stay.
        outcomes: The outcomes of all changes so far, done unless something else is told.
        failures: The positions of the first change of each unit that failed.
        waiting: What is put off until other rows are changed, in order.
        reasons: What becomes of units that are never written, by the position of their first change.
        unseen: How many changes were not tried because so much had failed.
        tolerated: What violated constraints before.
        checked: Whether constraints that are checked at the end of the transaction are checked after each block.
    """

    statements: Statements
    blocks: BlockWriter
    bulk: BulkWriter | None
    options: WriteOptions
    guard: CascadeGuard
    outcomes: Outcomes = attrs.field(factory=Outcomes)
    failures: set[int] = attrs.field(init=False, factory=set)
    waiting: list[Batch | list[Unit]] = attrs.field(init=False, factory=list)
    reasons: dict[int, Outcome] = attrs.field(init=False, factory=dict)
    tolerated: Counter[Any] = attrs.field(init=False, factory=Counter)
    unseen: int = attrs.field(init=False, default=0)
    checked: bool = attrs.field(init=False, default=False)
    _keys: set[tuple[str, Key]] = attrs.field(init=False, factory=set)

    @property
    def is_full(self) -> bool:
        """Whether so much has failed that no more is looked for."""
        return self.options.on_error == "stop" and len(self.failures) >= MOST_FAILURES

    def write(self, changes: Batch | list[Unit], *, again: bool = False) -> None:
        """Write changes, all but those that wait for others, or depend on what was not done.

        Args:
            changes: The changes.
            again: Whether they were put off before.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        found = groups(changes) if isinstance(changes, list) else iter([self._left(changes, again=again)])
        for block in chain.from_iterable(map(blocks_of, found)):
            if again and not isinstance(changes, list):
                self.put_off(block)
            else:
                self.write_block(block)

    def write_block(self, block: Sequence[Unit], *, again: bool = False) -> None:
        """Write units of one verb and table; if that is refused, each half of them, down to one unit.

        Args:
            block: The units.
            again: Whether what may be taken later is tried by halves, too, rather than put off all together.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        if self.is_full:
            self.unseen += sum(len(unit.changes) for unit in block)
            return
        block = self._without_kept(self.free(block))
        if not block:
            return
        try:
            with self.statements.savepoint():
                outcomes = self.blocks.write(block)
                if self.checked:
                    self.check()
        except RefusalError as refusal:
            if refusal.blames_store:
                raise
            self._refused(block, refusal, again=again)
            return
        for unit, outcome in zip(block, outcomes, strict=True):
            if outcome is not DONE:
                self.tell(unit, outcome)

    def _without_kept(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return the units without the deletions that would take along what is there; these are put off."""
        if not units or units[0].verb != "delete":
            return units
        kept = self.guard.kept(units[0].keyed, [unit.key for unit in units])
        for unit in units if kept else ():
            if unit.key in kept:
                self.reasons[unit.changes[0][0]] = Outcome("conflict", kept[unit.key])
                self.put_off([unit])
        return [unit for unit in units if unit.key not in kept]

    def _refused(self, block: Sequence[Unit], refusal: RefusalError, *, again: bool) -> None:
        alone = len(block) == 1
        if alone:
            self.reasons.setdefault(block[0].changes[0][0], Outcome("failed", refusal.reason))
        if isinstance(refusal, EffectError):
            failed = dict(refusal.failed)
            for unit, outcome in failed.items():
                self.tell(unit, outcome)
            self.write_block([unit for unit in block if unit not in failed], again=again)
        elif refusal.may_pass and (alone or not again):
            self.put_off(block)
        elif alone:
            self.tell(block[0], Outcome("failed", refusal.reason))
        else:
            half = len(block) // 2
            self.write_block(block[:half], again=again)
            self.write_block(block[half:], again=again)

    def check(self) -> None:
        """Check the constraints whose check was put off; what they refuse may be taken later, whatever they are.

        Raises:
            RefusalError: One of them is violated, as it was not before.
        """
        statements = self.statements
        try:
            with statements.guarded():
                statements.dialect.end_deferring(statements.connection)
                violated = statements.dialect.violations(statements.connection) - self.tolerated
        except RefusalError as refusal:
            refusal.may_pass = True
            raise
        if violated:
            message = "FOREIGN KEY constraint failed"
            raise RefusalError(message, None, may_pass=True)

    def tolerate(self) -> None:
        """Hold what violates constraints now against nobody."""
        with self.statements.guarded():
            self.tolerated = self.statements.dialect.violations(self.statements.connection)

    def tell(self, unit: Unit, outcome: Outcome) -> None:
        """Note the outcome of a unit that is not simply done."""
        if unit.verb == "delete" and outcome.status != "done":
            self.guard.forget(*object_of(unit))
        if outcome.status == "failed":
            self.failures.add(unit.changes[0][0])
        self.blocks.effects.note(unit, outcome)
        for (position, change), one in zip(unit.changes, outcomes_of(unit, outcome), strict=True):
            self.outcomes[position] = one
            if outcome.status != "done" and self.options.dependencies is not None:
                self.options.dependencies.note(change, outcome)

    def put_off(self, changes: Batch | Sequence[Unit]) -> None:
        """Have changes wait, and all others of the same objects that come later."""
        if isinstance(changes, Batch):
            self.waiting.append(changes)
            self._keys.update((changes.keyed.target.stored.full_name, key) for key in changes.keys)
        elif changes:
            self.waiting.append(list(changes))
            self._keys.update(map(object_of, changes))

    def taken(self) -> list[Batch | list[Unit]]:
        """Return what waits, and have it wait no longer."""
        waiting, self.waiting = self.waiting, []
        self._keys.clear()
        return waiting

    def _left(self, batch: Batch, *, again: bool) -> list[Unit]:
        """Write a batch; return units of what is to be looked at one by one."""
        if self.is_full:
            self.unseen += len(batch.keys)
            return []
        batch = self._free_of(batch)
        if batch.changes.verb == "delete" and (kept := self.guard.kept(batch.keyed, batch.keys)):
            indexes = range(len(batch.keys))
            self._without_kept(batch.units([index for index in indexes if batch.keys[index] in kept]))
            batch = batch.at([index for index in indexes if batch.keys[index] not in kept])
        if self.bulk is None or not batch.keys:
            return batch.units(range(len(batch.keys)))
        self.bulk.check = self.check if self.checked else None
        written = self.bulk.write(batch, again=again)
        for unit, outcome in written.told:
            self.tell(unit, outcome)
        if again:
            return batch.units(sorted(written.left + written.put_off))
        if written.put_off:
            self.put_off(batch.at(sorted(written.put_off)))
        return batch.units(sorted(written.left))

    def free(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return the units that can be written now; the others are put off or skipped."""
        if self._keys:
            waiting = [unit for unit in units if object_of(unit) in self._keys]
            if waiting:
                self.put_off(waiting)
                units = [unit for unit in units if object_of(unit) not in self._keys]
        dependencies = self.options.dependencies
        if dependencies is None or not dependencies.active:
            return units
        free = []
        for unit in units:
            reason = next(filter(None, (dependencies.blocked(change) for _, change in unit.changes)), "")
            if reason:
                self.tell(unit, Outcome("skipped", reason))
            else:
                free.append(unit)
        if len(free) < len(units):
            self.blocks.meet(set(units).difference(free))
        return free

    def _free_of(self, batch: Batch) -> Batch:
        """Return the changes of a batch that can be written now."""
        dependencies = self.options.dependencies
        indexes: Sequence[int] = range(len(batch.keys))
        if self._keys:
            table = batch.keyed.target.stored.full_name
            indexes = [index for index in indexes if (table, batch.keys[index]) not in self._keys]
        if dependencies is not None and dependencies.active:
            indexes = [index for index in indexes if not dependencies.blocked(batch.changes[index])]
        if len(indexes) < len(batch.keys):
            self.free(batch.units(sorted(set(range(len(batch.keys))).difference(indexes))))
        return batch.at(indexes)

    def reset(self, written: Iterable[Batch | list[Unit]], failures: Iterable[int]) -> None:
        """Forget what was found out about changes that were written and undone; these failures are from before."""
        for position, _ in _changes(written):
            self.outcomes[position] = DONE
        self.failures = set(failures)
        self.reasons.clear()
        self.taken()

    def blocked(self, written: Iterable[Batch | list[Unit]]) -> bool:
        """Say whether something was done that depends on what turned out not to be done."""
        dependencies = self.options.dependencies
        if dependencies is None or not dependencies.active:
            return False
        return any(
            dependencies.blocked(change)
            for position, change in _changes(written)
            if self.outcomes[position].status == "done"
        )


def object_of(unit: Unit) -> tuple[str, Key]:
    """Return the table and the key of an object."""
    return unit.keyed.target.stored.full_name, unit.key


def _changes(written: Iterable[Batch | list[Unit]]) -> Iterator[tuple[int, Any]]:
    for changes in written:
        if isinstance(changes, Batch):
            yield from zip(changes.positions, changes.changes, strict=True)
        else:
            for unit in changes:
                yield from unit.changes
