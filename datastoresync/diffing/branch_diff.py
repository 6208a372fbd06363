"""The difference of one branch: its two sides, and the actions between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import groupby, islice
from operator import attrgetter, is_
from types import MappingProxyType
from typing import Any

import attrs

from datastoresync.diffing.action import Action, actions_of
from datastoresync.diffing.compare import SIZE, Block, Candidates
from datastoresync.diffing.equality import equal, is_membership, membership_changes
from datastoresync.diffing.hierarchy import Hierarchy, in_order
from datastoresync.diffing.side import Side
from datastoresync.errors import ComparisonError

_OF_MEMBERS = frozenset({"add", "remove"})
_FEW = 200_000
"""Pairs whose values are kept while their types and then they themselves are compared, instead of being read again."""
_EXACT = frozenset({str, int, bool, bytes, date})
"""Types whose values are the same, or else differ, just as ``!=`` says."""
_PHASES: Mapping[str, int] = MappingProxyType({"new": 0, "old": 2})

Hierarchies = tuple[Hierarchy, Hierarchy]


@attrs.frozen(eq=False)
class BranchDiff:
    """One branch of a comparison, and how it went.

    Args:
        left: The source.
        right: The destination.
        sizes: How many objects the source and the destination had.
        engine: The engine's name.
        candidates: How many pairs the engine named.
        pairs: How many keys both sides have.
        reason: Why this engine ran.
        carried_out: The idnumbers of what was done already, by verb; all parts of one diff share it.
    """

    left: Side
    right: Side
    sizes: tuple[int, int]
    engine: str = ""
    candidates: int = 0
    pairs: int = 0
    reason: str = ""
    carried_out: defaultdict[str, set[Any]] = attrs.field(factory=lambda: defaultdict(set))

    @property
    def name(self) -> str:
        """The branch's name."""
        return self.right.branch or self.left.branch

    @property
    def both(self) -> tuple[Side, Side]:
        """The source's and the destination's side."""
        return self.left, self.right

    def inverse(self) -> BranchDiff:
        """Return the same with the sides changed."""
        return attrs.evolve(
            self, left=self.right, right=self.left, sizes=self.sizes[::-1], carried_out=defaultdict(set)
        )


def materialize_pairs(left: Side, right: Side, candidates: Candidates) -> list[Block] | None:
    """Return the values of all pairs, to be gone through twice; None if they are too many to be kept."""
    few = not candidates.streamed and len(candidates.pairs) <= _FEW
    return list(candidates.read(left, right)) if few else None


def actions_between(
    branch_diff: BranchDiff, candidates: Candidates, read: Iterable[Block] | None = None
) -> tuple[Iterator[Action], Iterator[Action], Iterator[Action]]:
    """Return what the right side must do to become the left one: creations, updates, deletions, each sorted by key.

    Args:
        branch_diff: The branch.
        candidates: Where its sides may differ.
        read: The values of the candidates' pairs, if they were read before.

    Raises:
        ComparisonError: while the updates are gone through, if values do not let themselves be compared.
    """
    left, right, branch = branch_diff.left, branch_diff.right, branch_diff.name
    new: Iterator[Action]
    old: Iterator[Action]
    if candidates.streamed:  # which is not read ahead
        new = (Action("new", branch, key, source=item) for key, item in candidates.created(left))
        old = (Action("old", branch, key, dest=item) for key, item in candidates.deleted(right))
    else:
        new = _alone("new", branch, candidates.created(left), "sources")
        old = _alone("old", branch, candidates.deleted(right), "dests")
    return new, _updates(branch_diff, candidates.read(left, right) if read is None else read), old


def _alone(verb: str, branch: str, pairs: Iterator[tuple[Any, Any]], side: str) -> Iterator[Action]:
    """Yield the actions for keys and objects of one side alone."""
    while some := list(islice(pairs, SIZE)):
        keys, items = zip(*some, strict=True)
        yield from actions_of(verb, branch, keys, **{side: items})


def _updates(branch_diff: BranchDiff, read: Iterable[Block]) -> Iterator[Action]:
    for block in read:
        values = [block.columns[place][1][index] for index, place in block.unlike]
        old_values = [block.columns[place][2][index] for index, place in block.unlike]
        types = list(map(type, values))
        if _EXACT.issuperset(types) and all(map(is_, types, map(type, old_values))):
            yield from actions_of(
                "update",
                branch_diff.name,
                [block.keys[index] for index, _ in block.unlike],
                names=[block.columns[place][0] for _, place in block.unlike],
                values=values,
                old_values=old_values,
                sources=[block.left[index] for index, _ in block.unlike],
                dests=[block.right[index] for index, _ in block.unlike],
            )
            continue
        for (index, place), value, old_value in zip(block.unlike, values, old_values, strict=True):
            name = block.columns[place][0]
            where = (branch_diff.name, block.keys[index], name)
            objects = (block.left[index], block.right[index])
            if type(value) is type(old_value) and type(value) in _EXACT:
                yield Action("update", *where, value, old_value, *objects)
                continue
            try:
                changes = _changes(where, value, old_value, objects)
            except Exception as error:
                message = (
                    f"{branch_diff.right.name}[{block.keys[index]!r}].{name} cannot be compared with what is in "
                    f"{branch_diff.left.name}: {type(error).__name__}: {error}; "
                    "give it a type whose `==` is true or false"
                )
                raise ComparisonError(message) from error
            yield from changes


def _changes(where: tuple[str, Any, str], value: Any, old_value: Any, objects: tuple[Any, Any]) -> list[Action]:
    """Return the actions between two values."""
    if is_membership(value) and is_membership(old_value):
        added, removed = membership_changes(value, old_value)
        changes = [Action("add", *where, member, None, *objects) for member in added]
        return changes + [Action("remove", *where, member, None, *objects) for member in removed]
    return [] if equal(value, old_value) else [Action("update", *where, value, old_value, *objects)]


def moves_between(hierarchies: Hierarchies, branch_diffs: Sequence[BranchDiff]) -> list[Action]:
    """Return what the fields that hold children must lose and gain, for children of both sides with other parents.

    The children that one side alone has come and go with their own actions.
    """
    sides = {one.name: (one.left, one.right) for one in branch_diffs}
    left, right = hierarchies
    actions = []
    for branch, keys in _held_otherwise(sides).items():
        for key in keys:
            if left.parent(branch, key) == right.parent(branch, key):
                continue
            if any(key not in side.objects for side in sides[branch]):
                continue
            for verb, hierarchy in (("add", left), ("remove", right)):
                holder = hierarchy.holder(branch, key)
                if holder is not None:
                    name, parent, field = holder
                    one, other = (side.objects.get(parent) for side in sides[name])
                    actions.append(Action(verb, name, parent, field, key, None, one, other))
    return sorted(actions, key=lambda action: (action.branch, action.idnumber, action.attr, action.verb, action.value))


def _held_otherwise(sides: Mapping[str, tuple[Side, Side]]) -> dict[str, set[Any]]:
    """Return what one parent holds and the same one on the other side does not, by branch.

    Parents are compared, not children: what a parent holds lies together, and is mostly the same.
    """
    found: dict[str, set[Any]] = {}
    for left, right in sides.values():
        for child in (left.held | right.held) & sides.keys():
            differing = found.setdefault(child, set())
            for key in dict.fromkeys((*left.objects, *right.objects)):
                mine, theirs = _members(left, child, key), _members(right, child, key)
                if mine != theirs:
                    differing |= set(mine).symmetric_difference(theirs)
    return found


def _members(side: Side, child: str, key: Any) -> Collection[Any]:
    if child not in side.held or key not in side.objects:
        return ()
    members: Collection[Any] = side.read(key, side.objects[key], side.children[child]) or ()
    return members


def actions_in_order(
    actions: Iterable[Action], branch_diffs: Sequence[BranchDiff], hierarchies: Hierarchies | None = None
) -> tuple[Action, ...]:
    """Put creations first, parents before children, then updates, then deletions, children before parents."""
    ranks = ranks_of(branch_diffs)
    place = cache(lambda verb, branch: place_of(verb, branch, ranks))
    ordered = sorted(actions, key=lambda action: place(action.verb, action.branch))
    if not _OF_MEMBERS.isdisjoint(map(attrgetter("verb"), ordered)):
        ordered = list(members_in_order(ordered))
    if hierarchies is not None and any(one.recursive for one in hierarchies):
        _by_depth(ordered, hierarchies)
    return tuple(ordered)


def members_in_order(actions: Iterable[Action]) -> Iterator[Action]:
    """Let what is added to an attribute of an object come before what is removed from it; all else stays in place."""
    groups = groupby(
        actions,
        key=lambda action: (action.branch, action.idnumber, action.attr) if action.verb in _OF_MEMBERS else None,
    )
    for place, group in groups:
        yield from group if place is None else sorted(group, key=lambda action: action.verb)


def ranks_of(branch_diffs: Sequence[BranchDiff]) -> dict[str, int]:
    """Return where each branch stands, parents and what is referred to before the others."""
    return {name: rank for rank, name in enumerate(_branch_order(branch_diffs))}


def place_of(verb: str, branch: str, ranks: Mapping[str, int]) -> tuple[int, int]:
    """Return what sorts actions: creations, updates, deletions, and these in the opposite order of the branches."""
    phase = _PHASES.get(verb, 1)
    rank = ranks.get(branch, 0)
    return phase, -rank if phase == 2 else rank


def _by_depth(actions: list[Action], hierarchies: Hierarchies) -> None:
    """Order what concerns branches that may be below themselves by how deep it is.

    What moves goes from the top down, so that nothing is ever below itself: all above it has found its place by then.
    """
    left, right = hierarchies

    def kind_of(action: Action) -> tuple[str, tuple[Any, ...]] | None:
        branch, key = action.branch, action.idnumber
        if action.verb == "new" and branch in left.recursive:
            return "new", (left.depth(branch, key),)
        if action.verb == "old" and branch in right.recursive:
            return "old", (-right.depth(branch, key),)
        child = left.child_branch(branch, action.attr) or right.child_branch(branch, action.attr)
        if child in left.recursive | right.recursive:
            return "move", (left.depth(str(child), action.value), child, action.value, action.verb)
        return None

    found: dict[str, list[tuple[int, tuple[Any, ...]]]] = {}
    for place, action in enumerate(actions):
        kind = kind_of(action)
        if kind is not None:
            found.setdefault(kind[0], []).append((place, kind[1]))
    for places in found.values():
        ordered = [actions[place] for place, _ in sorted(places, key=lambda one: one[1])]
        for (place, _), action in zip(places, ordered, strict=True):
            actions[place] = action


def _branch_order(branch_diffs: Sequence[BranchDiff]) -> list[str]:
    after: dict[str, set[str]] = {one.name: set() for one in branch_diffs}
    for one in branch_diffs:
        for side in (one.left, one.right):
            after[one.name].update(name for name in side.references.values() if name != one.name)
            for child in side.children:
                after.setdefault(child, set()).add(one.name)
    return in_order([one.name for one in branch_diffs], after, circles=True)
