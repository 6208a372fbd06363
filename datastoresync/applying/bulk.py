"""Applies a diff to the store that the destination was read from: in bulk, and in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import attrs

from datastoresync.applying.plan import Plan, Step, followers, members_together, ordered, whole_update
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import Reporter
from datastoresync.applying.result import Result, Status
from datastoresync.applying.safeguards import Limits, check
from datastoresync.applying.template import Run
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.values import equal, is_membership
from datastoresync.errors import DeclarationError
from datastoresync.syncers.changes import AppliesChanges, Change, Outcome, Same, Table

__all__ = ["StoreTemplate", "Stored"]

_VERBS: Mapping[str, Literal["insert", "update", "delete", "link", "unlink"]] = {
    "new": "insert",
    "update": "update",
    "add": "link",
    "remove": "unlink",
    "old": "delete",
}

_STATUSES: Mapping[str, Status] = {
    "done": "succeeded",
    "conflict": "conflict",
    "failed": "failed",
    "undone": "pending",
}


@attrs.frozen(eq=False)
class Stored:
    """How the objects of a branch are kept in a store.

    Args:
        table: Where they are.
        identifiers: The attributes that the key is made of.
        convert: Converts a raw value of an attribute as an import would.
    """

    table: Table
    identifiers: tuple[str, ...]
    convert: Callable[[str, Any], Any]


class StoreTemplate:
    """Applies changes to a syncer that can change single records, parents first, all or none of them.

    What was changed in the store since it was imported is a conflict: that object is left as it is now, and the rest
    goes on. If a statement fails, everything is rolled back.

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
            SyncInterrupted: on Ctrl-C, with everything as it was.
        """
        if on_error not in (None, "stop"):
            message = f"a store takes all changes in one transaction, so on_error can only be 'stop' (got {on_error!r})"
            raise DeclarationError(message)
        diff = diff.filtered(only, exclude)
        check(diff, limits)
        started = time.perf_counter()
        alone, following = followers(ordered(diff), diff)
        actions = self._united(alone, diff)
        plan = Plan(diff, (*(Step(action.method, self.apply, (action,)) for action in actions), *following))
        run = Run(diff, [*self.reporters, *reporters], mock=mock)
        run.tell("start", plan)
        if mock or not actions:
            outcomes = [Outcome("done", "mock" if mock else "") for _ in actions]
        else:
            changes = [self._change(diff, action) for action in actions]
            try:
                outcomes = self.syncer.apply_changes(changes, same=self._same(actions, changes))
            except KeyboardInterrupt:
                run.interrupted = True
                outcomes = [Outcome("undone", "interrupted, and everything rolled back")] * len(actions)
        run.note(
            Result(_STATUSES[outcome.status], outcome.reason, action, action.method)
            for action, outcome in zip(actions, outcomes, strict=True)
        )
        for step in following:
            run.note(run.followed(step))
        return run.finish(started)

    def _united(self, ordered_actions: Sequence[Action], diff: Diff) -> list[Action]:
        """Return the actions in order; members of an attribute without a table of its own become one update."""
        actions: list[Action] = []
        seen: set[tuple[str, Any, str]] = set()
        sides = {one.name: one for one in diff.compared}
        together = members_together(ordered_actions)
        for action in ordered_actions:
            if action.verb not in ("add", "remove") or action.attr in self.stored[action.branch].table.links:
                actions.append(action)
                continue
            place = (action.branch, action.idnumber, action.attr)
            if place not in seen:
                seen.add(place)
                actions.append(whole_update(sides[action.branch], together[place]))
        return actions

    def _change(self, diff: Diff, action: Action) -> Change:
        stored = self.stored[action.branch]
        key = action.idnumber if len(stored.identifiers) > 1 else (action.idnumber,)
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        if action.verb == "new":
            values = diff.values(action)
        elif action.verb == "old":
            expected = diff.values(action)
        else:
            values = {action.attr: action.value}
            if action.verb == "update":
                expected = {action.attr: action.old_value}
        return Change(_VERBS[action.verb], stored.table, stored.identifiers, key, values, expected)

    def _same(self, actions: list[Action], changes: list[Change]) -> Same:
        branches = {id(change.table): action.branch for action, change in zip(actions, changes, strict=True)}

        def same(change: Change, attribute: str, raw: Any, expected: Any) -> bool:
            try:
                found = self.stored[branches[id(change.table)]].convert(attribute, raw)
            except (ValueError, TypeError):
                return False  # what cannot be converted is not what was imported
            if found is None and is_membership(expected):
                found = type(expected)()
            return equal(found, expected)

        return same
