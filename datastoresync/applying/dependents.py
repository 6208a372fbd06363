"""What must be left alone because something above or below it could not be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datastoresync.applying.result import Result
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.hierarchy import Hierarchy

__all__ = ["Dependents", "gone_with_parent"]

Place = tuple[str, Any]


class Dependents:
    """Hears every result of one run, and says which actions can no longer be done.

    What is below an object that could not be created is not created either, and an object stays if something below it
    could not be deleted.
    """

    def __init__(self, diff: Diff) -> None:
        self._left, self._right = diff.hierarchies
        self._missing: dict[Place, str] = {}
        self._closed: dict[Place, str] = {}
        self._kept: dict[Place, str] = {}
        self._stuck: dict[Place, str] = {}

    def note(self, result: Result) -> None:
        """Hear a result."""
        action = result.action
        if action is None or result.status in ("succeeded", "unhandled"):
            return
        place = (action.branch, action.idnumber)
        if action.verb == "new" and result.status in ("failed", "skipped"):
            self._missing[place] = "created"
        elif result.status in ("failed", "conflict"):
            self._keep_parent(action)
        if result.status == "failed" and result.skip_children:
            self._closed[place] = {"new": "created", "old": "deleted"}.get(action.verb, "updated")

    def left(self, action: Action, method: str) -> Result | None:
        """Return the result of an action that is not to be tried; None if it is."""
        if not (self._missing or self._closed or self._kept):
            return None
        place = (action.branch, action.idnumber)
        why = ""
        child = self._child(action)
        if action.verb == "old":
            why = self._kept.get(place, "") or self._above(self._right, place, (self._closed,))
        else:
            # Below something that did not move, an object might come to be below itself.
            stuck = () if child is None else (self._stuck,)
            why = self._above(self._left, child or place, (*stuck, self._missing, self._closed))
        if not why:
            return None
        if action.verb == "new":
            self._missing[place] = "created"
        self._keep_parent(action)
        return Result("skipped", why, action, method)

    def _above(self, hierarchy: Hierarchy, place: Place, closed: Sequence[Mapping[Place, str]]) -> str:
        """Return why something above a place keeps it from being done, or nothing."""
        found = ((above, some[above]) for above in hierarchy.ancestors(*place) for some in closed if above in some)
        above, what = next(found, (None, ""))
        return "" if above is None else f"its parent {_shown(above)} could not be {what}"

    def _child(self, action: Action) -> Place | None:
        """Return the child that an action puts below another parent, or takes from one."""
        if action.verb not in ("add", "remove"):
            return None
        branches = (hierarchy.child_branch(action.branch, action.attr) for hierarchy in (self._left, self._right))
        branch = next(filter(None, branches), None)
        return None if branch is None else (branch, action.value)

    def _keep_parent(self, action: Action) -> None:
        """Remember that what is above something that stays, or could not be taken away, must stay too."""
        place = (action.branch, action.idnumber)
        child = self._child(action)
        if child is not None:
            self._stuck[child] = "moved"
        if action.verb == "old":
            parent = self._right.parent(*place)
            if parent is not None:
                self._kept[parent] = f"its child {_shown(place)} could not be deleted"
        elif child is not None:
            self._kept[place] = f"its child {_shown(child)} could not be moved"
        elif self._right.child_branch(action.branch, action.attr):
            self._kept[place] = "its children could not be moved"


def _shown(place: Place) -> str:
    return f"{place[0]} {place[1]!r}"


def gone_with_parent(diff: Diff) -> dict[Place, Place]:
    """Return what needs no deletion of its own, each with the object above it whose deletion takes it along."""
    hierarchy, exclusion = diff.hierarchies[1], diff.exclusion
    if not hierarchy or exclusion is None or not exclusion.flagged:
        return {}
    deleted = {(action.branch, action.idnumber): None for action in diff if action.verb == "old"}
    found: dict[Place, Place] = {}
    for place in deleted:
        for above in hierarchy.ancestors(*place):
            if above not in deleted:
                break
            if exclusion.leaves_children(*above):
                found[place] = above
    return found
