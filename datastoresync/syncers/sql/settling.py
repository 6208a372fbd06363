"""What was refused for the sake of other rows is tried again: in order, with constraints deferred, or by parking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import attrs

from datastoresync.syncers.changes import Outcome
from datastoresync.syncers.sql.constraints import RowChanges
from datastoresync.syncers.sql.effects import DONE
from datastoresync.syncers.sql.ordering import connected, ordered_groups, runs_of
from datastoresync.syncers.sql.parking import STYLES, CannotParkError, Parking, write_in_order
from datastoresync.syncers.sql.statements import KEYS, Batch, RefusalError, Unit
from datastoresync.syncers.sql.unit_writer import UnitWriter

_TOGETHER = 10_000
"""Units up to which all that is left is tried at once."""
_FEW = 50
"""Units up to which every little progress is worth another round."""
_REFUSED_TOGETHER = (
    "the database takes it neither before nor after the other changes that wait for each other: mend those that name "
    "another reason first, and let the constraints between the tables be deferrable if there are none"
)


class _UnsettledError(Exception):
    """Some units of a group turned out to be in conflict, so that the others have to be looked at again."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("some are in conflict")
        self.outcomes = outcomes


def settle(writer: UnitWriter) -> None:
    """Write what waits, as far as that can be done; the rest has failed.

    Raises:
        RefusalError: The store as a whole gave up.
    """
    if writer.waiting:
        _Settlement(writer, RowChanges(writer.statements)).run()


@attrs.define(eq=False)
class _Settlement:
    """Writes what waits.

    Args:
        writer: Writes blocks, and knows what waits.
        rows: Finds out which rows units change.
    """

    writer: UnitWriter
    rows: RowChanges

    def run(self) -> None:
        """Try batches as they came, then units in the order in which they need each other, then those left."""
        for changes in self.writer.taken():
            if isinstance(changes, Batch):
                self.writer.write(changes, again=True)
            else:
                self.writer.put_off(changes)
        stuck = self._in_order(self._waiting())
        while self._together(stuck):
            stuck = self._in_order(self._waiting())
        self.writer.taken()
        for unit in stuck:
            if self.writer.is_full:
                self.writer.unseen += len(unit.changes)
                continue
            together = Outcome("failed", _REFUSED_TOGETHER)
            self.writer.tell(unit, self.writer.reasons.get(unit.changes[0][0], together))

    def _waiting(self) -> list[Unit]:
        return [
            unit
            for changes in self.writer.taken()
            for unit in (changes.units(range(len(changes.keys))) if isinstance(changes, Batch) else changes)
        ]

    def _in_order(self, stuck: list[Unit]) -> list[Unit]:
        """Write units as long as that makes progress, parents and what frees a value first; return what is left.

        Constraints that the schema does not tell everything about may ask for the order backwards.
        """
        backwards = False
        while stuck and not self.writer.is_full:
            groups = list(ordered_groups(stuck, self.rows.of(stuck)))
            for run in runs_of(reversed(groups) if backwards else groups):
                if isinstance(run, list):
                    self.writer.write_block(run, again=True)
                elif not self._group(list(run)):
                    for part in runs_of([unit] for unit in run):
                        self.writer.write_block(part, again=True)
            before, stuck = len(stuck), self._waiting()
            progress = before - len(stuck)
            if before > _FEW and progress * 10 < before and (backwards or before > KEYS):
                break
            if not progress and backwards:
                break
            backwards = not backwards
        return stuck

    def _together(self, stuck: list[Unit]) -> bool:
        """Write those together that have to do with each other; say whether that made progress."""
        if self.writer.is_full:
            return False
        progress = False
        components = connected(stuck, self.rows.of(stuck))
        if len(components) > 1 and len(stuck) <= _TOGETHER and self._group(stuck):
            return True
        for component in components:
            if self._is_ring(component) and self._group(component):
                progress = True
            else:
                self.writer.put_off(component)
        return progress

    def _is_ring(self, units: list[Unit]) -> bool:
        """Say whether units may be in each other's way: several are, or one that refers to itself."""
        if len(units) > 1:
            return True
        (own,) = self.rows.of(units)
        return not {token for row in own for token in row.needs()}.isdisjoint(
            token for row in own for token in row.gives()
        )

    def _group(self, units: list[Unit]) -> bool:
        """Write units together, or not at all; say whether they are done with, but for those that wait."""
        units = list(self.writer.free(units))
        if not self.writer.statements.dialect.has_savepoints:
            return False
        parking = Parking(self.writer, self.rows)
        attempts: list[Callable[[], list[Outcome]]] = [partial(parking.write, units, style) for style in range(STYLES)]
        last = self.writer.statements.dialect.looks_for_violations
        attempts.insert(len(attempts) if last else 0, partial(self._deferred, units))
        outcomes = next(filter(None, map(self._outcomes, attempts)), None)
        if outcomes is None:
            return False
        settled = all(outcome.status == "done" for outcome in outcomes)
        for unit, outcome in zip(units, outcomes, strict=True):
            if outcome.status == "done" and not settled:
                self.writer.put_off([unit])
            elif outcome is not DONE:
                self.writer.tell(unit, outcome)
        return True

    def _outcomes(self, attempt: Callable[[], list[Outcome]]) -> list[Outcome] | None:
        """Return the outcomes of an attempt, which is undone if one of them is not done; None, if it is refused."""
        try:
            with self.writer.statements.savepoint():
                outcomes = attempt()
                if self.writer.checked:
                    self.writer.check()
                if any(outcome.status != "done" for outcome in outcomes):
                    raise _UnsettledError(outcomes)
        except RefusalError as refusal:
            if refusal.blames_store:
                raise
            return None
        except CannotParkError:
            return None
        except _UnsettledError as unsettled:
            return unsettled.outcomes
        return outcomes

    def _deferred(self, units: Sequence[Unit]) -> list[Outcome]:
        """Write units with all constraints deferred that can be."""
        statements = self.writer.statements
        if not self.writer.checked:
            self.writer.tolerate()
        with statements.guarded():
            statements.dialect.begin_deferring(statements.connection)
        outcomes = write_in_order(self.writer, self.rows, units)
        self.writer.check()
        return outcomes
