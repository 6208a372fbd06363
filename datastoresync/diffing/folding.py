"""Folding of actions that succeeded into the destination's branches, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import BranchDiff
from datastoresync.diffing.diff import Diff
from datastoresync.errors import ComparisonError


def fold_together(diff: Diff, actions: Iterable[Action]) -> Iterator[Action]:
    """Note that actions were carried out; yield those that are to be folded one by one, each at its turn.

    Nothing is noted of what is yielded. All others are as if `Diff.fold` had been called for each.
    """
    for (name, verb), group in groupby(actions, key=attrgetter("branch", "verb")):
        some = list(group)
        one = next((one for one in diff.branch_diffs if one.name == name), None)
        if one is None or diff.nested or diff.streamed or not _folded(one, verb, some):
            yield from some


def _folded(one: BranchDiff, verb: str, actions: Sequence[Action]) -> bool:
    """Note actions of one verb in one branch, or say that nothing was noted."""
    fold_all = one.right.fold_all
    if fold_all is None or verb not in ("new", "update", "old") or one.left.holding:
        return False
    columns: Mapping[str, Sequence[Any]] = {}
    keys = [action.idnumber for action in actions]
    if verb == "new":
        try:
            columns = one.left.columns(keys, [action.source for action in actions])
        except ComparisonError:  # one of them is not as it was: whoever folds that one will hear of it
            return False
    if not fold_all(verb, actions, columns):
        return False
    one.carried_out[verb].update(keys)
    return True
