"""Applies a diff to the store that the destination was read from: in bulk, and in one transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter

from datastoresync.applying.changes import Changes, Making, Stored, Stores
from datastoresync.applying.plan import Plan, Step, by_object, followers, members_together, ordered, whole_update
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import Reporter
from datastoresync.applying.result import Result, Status
from datastoresync.applying.results import Results
from datastoresync.applying.safeguards import Limits, check
from datastoresync.applying.template import Run
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.streamed import Streamed, is_streamed
from datastoresync.errors import DeclarationError
from datastoresync.syncers.changes import AppliesChanges, Change, Outcome, Outcomes, Same

__all__ = ["StoreTemplate", "Stored"]

_STATUSES: Mapping[str, Status] = {
    "done": "succeeded",
    "conflict": "conflict",
    "failed": "failed",
    "undone": "pending",
}


_MEMBERS = frozenset({"add", "remove"})


class StoreTemplate:
    """Applies changes to a syncer that can change single records, parents first, all or none of them.

    What was changed in the store since it was imported is a conflict: that object is left as it is now, and the rest
    goes on. If a statement fails, everything is rolled back. The actions of a streamed diff are gone through twice: for
    the changes, and for what became of them.

    Args:
        syncer: Has ``apply_changes``.
        stored: How each branch is kept, by its name.
        reporters: Who is to hear of it.
    """

    def __init__(
        self, syncer: AppliesChanges, stored: Mapping[str, Stored], *, reporters: Iterable[Reporter] = ()
    ) -> None:
        self.syncer = syncer
        self.stored = stored
        self.reporters = list(reporters)

    def apply(
        self,
        diff: Diff,
        *,
        mock: bool = False,
        limits: Limits | None = None,
        only: Filter = None,
        exclude: Filter = None,
        on_error: str | None = None,
        reporters: Iterable[Reporter] = (),
    ) -> Report:
        """Carry out a diff in one transaction; the arguments are those of `Template.apply`.

        Raises:
            SafeguardError: if it would do more than the limits allow.
            LockedError: if another run is writing to the same tables.
            SyncerError: if the store is not there, or lacks a table or a column.
            SyncInterrupted: on Ctrl-C, with everything as it was; if it came too late for that, the report says so.
        """
        if on_error not in (None, "stop"):
            message = f"a store takes all changes in one transaction, so on_error can only be 'stop' (got {on_error!r})"
            raise DeclarationError(message)
        diff = diff.filtered(only, exclude)
        check(diff, limits)
        started = time.perf_counter()
        alone, following = followers(ordered(diff), diff)
        actions = self._united(alone, diff)
        run = Run(diff, [*self.reporters, *reporters], mock=mock)
        run.tell("start", Plan(diff, Streamed(lambda: chain(map(self._step, actions), following))))
        if run.unheard:
            self._at_once(run, actions)
        else:
            results = self._results(run, actions)
            with run.interruptible():  # all is written by now; it is to be in memory too
                run.note(results)
        for step in following:
            run.note(run.followed(step))
        return run.finish(started)

    def _step(self, action: Action) -> Step:
        return Step(action.method, self.apply, (action,))

    def _results(self, run: Run, actions: Sequence[Action]) -> Iterator[Result]:
        """Let the store have the changes; return what became of each action."""
        if run.mock or not actions:
            return (Result("succeeded", "mock", action, action.method) for action in actions)
        streamed = is_streamed(run.diff)
        changes = Changes(actions, Making(run.diff, self.stored), streamed=streamed)
        outcomes = self._outcomes(run, actions, changes)
        told: Iterable[Action | None] = changes.again(run.warnings) if streamed else actions
        return (
            Result(_STATUSES[outcome.status], outcome.reason, one, "" if one is None else one.method)
            for one, outcome in zip(told, outcomes, strict=True)
        )

    def _at_once(self, run: Run, actions: Sequence[Action]) -> None:
        """Let the store have the changes; a result for each is made only if somebody asks for it."""
        changes = Changes(actions, Making(run.diff, self.stored), streamed=False)
        outcomes = self._outcomes(run, actions, changes) if actions else []

        def results() -> Iterator[Result]:
            for action, outcome in zip(actions, outcomes, strict=True):
                yield Result(_STATUSES[outcome.status], outcome.reason, action, action.method)

        statuses = Counter(map(attrgetter("status"), outcomes))
        done = actions
        if statuses != Counter(done=len(actions)):
            done = [action for action, outcome in zip(actions, outcomes, strict=True) if outcome.status == "done"]
        with run.interruptible():  # as above
            run.note_together(Results({_STATUSES[one]: count for one, count in statuses.items()}, results), done)

    def _outcomes(self, run: Run, actions: Sequence[Action], changes: Sequence[Change]) -> Sequence[Outcome]:
        try:
            outcomes = self.syncer.apply_changes(changes, same=self._same(actions, changes))
            return outcomes if isinstance(outcomes, Outcomes) else list(outcomes)  # they may be looked at much later
        except KeyboardInterrupt as interrupt:
            run.interrupted = True
            if known := getattr(
                interrupt, "outcomes", ()
            ):  # it came with the commit, or after it: nothing can be undone
                return list(known)
            return Outcomes(len(actions), Outcome("undone", "interrupted, and everything rolled back"))

    def _same(self, actions: Sequence[Action], changes: Sequence[Change]) -> Same:  # noqa: ARG002 - for subclasses
        return Stores(self.stored)

    def _united(self, actions: Sequence[Action], diff: Diff) -> Sequence[Action]:
        """Return the actions in order; members of an attribute without a table of its own become one update.

        In a streamed diff these stand together, object by object.
        """
        if not is_streamed(diff) and _MEMBERS.isdisjoint(map(attrgetter("verb"), actions)):
            return actions
        sides = {one.name: one for one in diff.compared}

        def united(some: Sequence[Action]) -> Iterator[Action]:
            together = members_together(some)
            for action in some:
                place = (action.branch, action.idnumber, action.attr)
                if action.verb not in _MEMBERS or action.attr in self.stored[action.branch].table.links:
                    yield action
                elif place in together:
                    yield whole_update(sides[action.branch], together.pop(place))

        return Streamed(lambda: by_object(actions, united)) if is_streamed(diff) else list(united(actions))
