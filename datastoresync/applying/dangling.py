"""References that would lead to nothing: to what the source does not have, or what the run deletes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from datastoresync.applying.dependents import existing, references_of
from datastoresync.applying.limits import Violation
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import BranchDiff
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import members_of
from datastoresync.diffing.hierarchy import Hierarchy
from datastoresync.diffing.side import Side

_EXAMPLES = 5
_BATCH = 20_000
"""Actions of a streamed diff, and objects, whose references are looked up together."""


class ReferenceCheck:
    """Looks for references that would lead to objects that the source does not have, or that the run deletes.

    What the destination will not have, since the run leaves it out, holds back what refers to it; see `dependents`.

    Args:
        diff: The diff to apply.
    """

    def __init__(self, diff: Diff) -> None:
        self._diff = diff
        self._branches = {one.name: one for one in diff.branch_diffs}
        related = references_of(diff)
        self._references = {name: related.get(name, {}) for name in self._branches}
        self._missing: defaultdict[tuple[str, str], _DanglingReferences] = defaultdict(_DanglingReferences)
        self._going: defaultdict[tuple[str, str], _DanglingReferences] = defaultdict(_DanglingReferences)
        """Those of them to objects that the destination has, and that the run deletes."""

    def noting(self, actions: Iterator[Action]) -> Iterator[Action]:
        """Return the actions; those of a streamed diff are looked at as they pass, batch by batch."""
        return self._noting(actions) if self._diff.streamed and any(self._references.values()) else actions

    def _noting(self, actions: Iterator[Action]) -> Iterator[Action]:
        batch: list[Action] = []
        for action in actions:
            if self._references.get(action.branch):
                batch.append(action)
            if len(batch) == _BATCH:
                self._look_up(batch, {})
                batch = []
            yield action
        self._look_up(batch, {})

    def _look_up(self, actions: Sequence[Action], deleted: Mapping[str, Collection[Any]]) -> None:
        branches, references = self._branches, self._references
        for branch, attr, written in _written_references(actions, branches, references):
            keys = _source_keys(branches[branch].left, references[branch][attr], self._diff.hierarchies[0])
            if keys is None:
                continue
            there = existing(keys, {member for _, member in written if member is not None})
            lost = [pair for pair in written if pair[1] is not None and pair[1] not in there]
            target = references[branch][attr]
            going = deleted.get(target, ())
            if self._diff.streamed and target in branches:
                going = existing(branches[target].right.objects, {member for _, member in lost})
            for idnumber, member in sorted(lost, key=repr):  # as members of a set come in any order
                (self._going if member in going else self._missing)[branch, attr].note(idnumber, member)

    def violations(self, allowed: Callable[[str], int], deleted: Mapping[str, set[Any]]) -> Iterator[Violation]:
        """Yield a sentence for each attribute with such references; all actions have passed.

        Args:
            allowed: Returns how many references of one attribute of a branch may dangle.
            deleted: The idnumbers of the objects that are deleted, by branch; of a streamed diff just how many.
        """
        branches, references = self._branches, self._references
        if not any(references.values()):
            return
        if not self._diff.streamed:
            self._look_up(self._diff.actions, deleted)
        missing, still = self._missing, self._going
        for name, attributes in references.items():
            for attr, target in attributes.items():
                if target in branches and deleted.get(target) and attr in branches[name].left.references:
                    # All of these, not only those that are written.
                    still[name, attr] = _DanglingReferences()
                    for idnumber, member in _referring(branches[name].left, attr, branches[target], deleted[target]):
                        still[name, attr].note(idnumber, member)
                elif kept := still.pop((name, attr), None):  # of a streamed diff, whose deletions are left out
                    missing[name, attr].take(kept)
        for fault, found in ((_MISSING, missing), (_DELETED, still)):
            for (name, attr), lost in list(found.items()):
                count = missing[name, attr].count + still[name, attr].count
                if lost.count and count > allowed(name):
                    reason = f"{name}.{attr} refers to {references[name][attr]} {fault}: {lost.examples}"
                    yield Violation(reason, "mend the data, or allow it with", "dangling", count)


_MISSING = "that the source does not have"
_DELETED = "that would be deleted, as the source has them no longer, although it refers to them"


def _referring(side: Side, attr: str, target: BranchDiff, deleted: set[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the idnumbers of objects of the source, each with what it refers to and is deleted."""
    items = iter(side.objects.items())
    while batch := list(islice(items, _BATCH)):
        written = [
            (key, [one for one in members_of(side.read(key, item, attr)) if one is not None]) for key, item in batch
        ]
        going: Collection[Any] = deleted
        if type(deleted) is not set:  # just their number
            named = {member for _, members in written for member in members}
            source, dest = existing(target.left.objects, named), existing(target.right.objects, named)
            going = {member for member in named if member in dest and member not in source}
        for key, members in written:
            yield from ((key, member) for member in sorted((one for one in members if one in going), key=repr))


class _DanglingReferences:
    """Counts dangling references and keeps the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[tuple[Any, Any]] = []

    def note(self, idnumber: Any, member: Any) -> None:
        self.count += 1
        if self.count <= _EXAMPLES:
            self.first.append((idnumber, member))

    def take(self, other: _DanglingReferences) -> None:
        self.count += other.count
        self.first = (self.first + other.first)[:_EXAMPLES]

    @property
    def examples(self) -> str:
        """The first, and how many more there are."""
        shown = ", ".join(f"{member!r} of {idnumber!r}" for idnumber, member in self.first)
        return shown + (f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else "")


def _written_references(
    actions: Sequence[Action], branches: Mapping[str, BranchDiff], references: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str, list[tuple[Any, Any]]]]:
    """Yield branch, attribute, and the (idnumber, member) pairs whose references would be written."""
    found: defaultdict[tuple[str, str], list[tuple[Any, Any]]] = defaultdict(list)
    for action in actions:
        if not references.get(action.branch) or action.verb not in ("new", "add", "update"):
            continue
        values = {action.attr: action.value}
        if action.verb == "new":  # a part of the idnumber may be a reference too
            read = branches[action.branch].left.read
            values = {attr: read(action.idnumber, action.source, attr) for attr in references[action.branch]}
        for attr in references[action.branch].keys() & values.keys():
            found[action.branch, attr] += ((action.idnumber, member) for member in members_of(values[attr]))
    for branch, attr in sorted(found):
        yield branch, attr, found[branch, attr]


def _source_keys(side: Side, target: str, hierarchy: Hierarchy) -> Collection[Any] | None:
    """Return the keys of a branch of the source; None if it does not know them."""
    keys = side.referenced_keys.get(target)
    return hierarchy.sides[target].objects if keys is None and target in hierarchy.sides else keys
