"""Creations and deletions that may be of one object, which has another idnumber now."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Any

import attrs

from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.printing.text import counted

_FEWEST = 3
"""New and deleted objects from which on it is no accident that their keys differ in zeros alone."""


@attrs.frozen
class Rename:
    """A new object and one to be deleted that have a value in common which no other of them has.

    Args:
        branch: The branch of both.
        old_idnumber: The idnumber of the one to be deleted.
        idnumber: The idnumber of the new one.
        attr: The attribute; one that the class names in ``_correlate``.
        shown: The value, as it may be shown.
    """

    branch: str
    old_idnumber: Any
    idnumber: Any
    attr: str
    shown: str

    @property
    def sentence(self) -> str:
        """Say what it may be."""
        return (
            f"{self.branch} {self.old_idnumber!r} may be {self.idnumber!r} under another idnumber, as both have "
            f"{self.attr}={self.shown}: if so, give it that idnumber in the store first, so that it is not deleted"
        )


def renames_of(diff: Diff) -> list[Rename]:
    """Return what may have been renamed, in the order of the creations; nothing is looked for in a streamed diff."""
    sides = {one.name: (one.left, one.right) for one in diff.branch_diffs if one.left.correlate or one.right.correlate}
    alike: defaultdict[tuple[str, str, Any], list[Action]] = defaultdict(list)
    for action in diff if sides and not diff.streamed else ():
        if action.verb in ("new", "old") and action.branch in sides:
            left, right = sides[action.branch]
            side, item = (left, action.source) if action.verb == "new" else (right, action.dest)
            for name in dict.fromkeys((*left.correlate, *right.correlate)):
                value = side.read(action.idnumber, item, name)
                with suppress(TypeError):  # what has no hash
                    if value not in (None, ""):
                        alike[action.branch, name, value].append(action)
    found: dict[tuple[str, Any], Rename] = {}
    for (branch, name, value), actions in alike.items():
        if [action.verb for action in actions] == ["new", "old"]:
            new, old = (action.idnumber for action in actions)
            found.setdefault((branch, new), Rename(branch, old, new, name, sides[branch][1].shown(name, value)))
    return list(found.values())


def lost_zeros(diff: Diff) -> list[str]:
    """Return a sentence for each branch of which nearly all new and deleted objects differ in leading zeros alone.

    Nothing is looked for in a streamed diff, and in one that changes more than it creates and deletes.
    """
    counts = {} if diff.streamed else diff.counts
    if not counts or min(counts["new"], counts["old"]) < _FEWEST or counts["update"] > counts["new"] + counts["old"]:
        return []
    keys: defaultdict[str, dict[str, dict[str, str]]] = defaultdict(lambda: {"new": {}, "old": {}})
    for action in diff:
        if action.verb in ("new", "old") and isinstance(action.idnumber, str):
            keys[action.branch][action.verb][action.idnumber.lstrip("0")] = action.idnumber
    found = []
    for branch, one in keys.items():
        alike = one["new"].keys() & one["old"].keys()
        if len(alike) >= _FEWEST and 10 * len(alike) >= 9 * min(map(len, one.values())):
            first = min(alike)
            found.append(
                f"{branch}: {counted(len(alike), 'new object')} have the keys of deleted ones but for zeros in front, "
                f"such as {one['new'][first]!r} and {one['old'][first]!r}: a spreadsheet may have dropped them, so "
                "take the file as it was exported"
            )
    return found
