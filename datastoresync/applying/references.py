"""References that would be written and lead nowhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import Compared
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import members_of
from datastoresync.diffing.hierarchy import Hierarchy
from datastoresync.diffing.side import Side

__all__ = ["dangling"]

_SHOWN = 5
_BATCH = 20_000
"""Actions of a streamed diff that are looked at together."""


def dangling(diff: Diff, allowed: int) -> Iterator[str]:
    """Name the values of references that would be written and that one side does not have afterwards.

    Args:
        diff: What would be written.
        allowed: How many of an attribute may lead nowhere.
    """
    created: defaultdict[str, set[Any]] = defaultdict(set)
    branches = {one.name: one for one in diff.compared}
    references = {name: _references(one, diff) for name, one in branches.items()}
    if not any(references.values()):
        return
    missing: defaultdict[tuple[str, str, str], _Places] = defaultdict(_Places)
    for some in _batches(diff):
        for action in some:
            if action.verb == "new" and not diff.streamed:
                created[action.branch].add(action.idnumber)
        for branch, attr, places in _written(some, branches, references):
            target = references[branch][attr]
            both = branches[branch].both
            known = [_referred(side, target, diff.hierarchies[which]) for which, side in enumerate(both)]
            members = {member for _, member in places if member is not None}
            source, dest = (one if one is None else _present(one, members) for one in known)
            # What a streamed diff creates is not remembered: whatever the source has will be there.
            new = created[target] if not diff.streamed or source is None else source
            for idnumber, member in places:
                why = _lost(member, target, source, dest, new)
                if why:
                    missing[branch, attr, why].note(idnumber, member)
    for (branch, attr, what), lost in missing.items():
        if lost.count > allowed:
            shown = ", ".join(f"{member!r} of {idnumber!r}" for idnumber, member in lost.first)
            more = f" and {lost.count - len(lost.first):,} more" if lost.count > len(lost.first) else ""
            yield (
                f"{branch}.{attr} refers to {what}: {shown}{more}: "
                f"mend the data, or allow it with limits=Limits(dangling={lost.count})"
            )


class _Places:
    """References that lead nowhere: how many there are, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[tuple[Any, Any]] = []

    def note(self, idnumber: Any, member: Any) -> None:
        self.count += 1
        if self.count <= _SHOWN:
            self.first.append((idnumber, member))


def _batches(diff: Diff) -> Iterator[Sequence[Action]]:
    """Yield all actions at once, or those of a streamed diff some at a time."""
    if not diff.streamed:
        yield diff.actions
        return
    actions = iter(diff)
    while some := list(islice(actions, _BATCH)):
        yield some


def _written(
    actions: Sequence[Action], branches: Mapping[str, Compared], references: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str, list[tuple[Any, Any]]]]:
    """Yield the branches and attributes whose references would be written, each with idnumbers and members."""
    found: defaultdict[tuple[str, str], list[tuple[Any, Any]]] = defaultdict(list)
    for action in actions:
        if not references.get(action.branch) or action.verb not in ("new", "add", "update"):
            continue
        values = {action.attr: action.value}
        if action.verb == "new":  # a part of the idnumber may name something too
            read = branches[action.branch].left.read
            values = {attr: read(action.idnumber, action.source, attr) for attr in references[action.branch]}
        for attr in references[action.branch].keys() & values.keys():
            found[action.branch, attr] += ((action.idnumber, member) for member in members_of(values[attr]))
    for (branch, attr), places in sorted(found.items(), key=lambda one: one[0]):
        yield branch, attr, places


def _present(known: Collection[Any], members: set[Any]) -> Collection[Any]:
    """Return what is known of some members; a table is asked for all of them at once."""
    ask = getattr(known, "present", None)
    return known if ask is None else ask(members)


def _references(one: Compared, diff: Diff) -> dict[str, str]:
    """Return the attributes that hold idnumbers, of a parent too, each with the branch that they are of."""
    above = (hierarchy.references(one.name) for hierarchy in diff.hierarchies)
    declared = (one.right.references, one.left.references)
    return {attr: branch for found in (*above, *declared) for attr, branch in found.items()}


def _referred(side: Side, target: str, hierarchy: Hierarchy) -> Collection[Any] | None:
    known = side.referred.get(target)
    return hierarchy.sides[target].objects if known is None and target in hierarchy.sides else known


def _lost(member: Any, target: str, source: Any, dest: Any, created: Collection[Any]) -> str:
    """Say which side has nothing under an idnumber, or nothing if both will; a side that is not known has all."""
    if member is None:
        return ""
    if source is not None and member not in source:
        return f"{target} that the source does not have"
    if dest is not None and member not in dest and member not in created:
        return f"{target} that the destination will not have"
    return ""
