"""The difference of one branch: its two sides, and the actions between them, held or made anew on each pass."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache, cached_property, partial
from heapq import merge
from itertools import chain, groupby, islice
from operator import attrgetter, is_, itemgetter
from types import MappingProxyType
from typing import Any, TypeVar, overload

import attrs

from datastoresync.diffing.action import Action, actions_of
from datastoresync.diffing.equality import equal, equal_inside, is_membership, membership_changes
from datastoresync.diffing.hierarchy import Hierarchy, topological_order
from datastoresync.diffing.listing import Scan
from datastoresync.diffing.side import BLOCK_SIZE, Block, Candidates, Side
from datastoresync.errors import ComparisonError
from datastoresync.printing.text import counted

_KEPT = 1_000
"""Actions of each kind and branch that a streamed diff keeps, to be shown."""
_OF_MEMBERS = frozenset({"add", "remove"})
_FEW = 200_000
"""The most pairs whose values are kept for both the check of types and the comparison, rather than read twice."""
_EXACT = frozenset({str, int, bool, bytes, date})
"""Types whose values differ exactly if ``!=`` says so."""
_PHASES: Mapping[str, int] = MappingProxyType({"new": 0, "old": 2})

Hierarchies = tuple[Hierarchy, Hierarchy]


@attrs.frozen(eq=False, repr=False)
class BranchDiff:
    """The comparison of one branch: its two sides, and statistics.

    Args:
        left: The source.
        right: The destination.
        sizes: How many objects the source and the destination had.
        engine: The engine's name.
        candidates: How many pairs the engine found worth a look.
        pairs: How many keys both sides have.
        reason: Why this engine ran.
        warnings: What the comparison warned of.
        carried_out: The idnumbers of the actions carried out so far, by verb; all parts of one diff share it.
    """

    left: Side
    right: Side
    sizes: tuple[int, int]
    engine: str = ""
    candidates: int = 0
    pairs: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()
    carried_out: defaultdict[str, set[Any]] = attrs.field(factory=partial(defaultdict, set))

    @property
    def name(self) -> str:
        """The branch's name."""
        return self.right.branch or self.left.branch

    @cached_property
    def documents(self) -> frozenset[str]:
        """The attributes whose lists are values; see `Side.declares_document`."""
        declared = {name: {side.declares_document(name) for side in self.both} for name in self.left.attributes}
        return frozenset(name for name, found in declared.items() if True in found and False not in found)

    @property
    def both(self) -> tuple[Side, Side]:
        """The source's and the destination's side."""
        return self.left, self.right

    def inverse(self) -> BranchDiff:
        """Return the opposite comparison."""
        return attrs.evolve(
            self, left=self.right, right=self.left, sizes=self.sizes[::-1], carried_out=defaultdict(set)
        )


def materialize_pairs(left: Side, right: Side, candidates: Candidates) -> list[Block] | None:
    """Return the values of all pairs, for two passes over them; None if they are too many to keep."""
    few = not candidates.streamed and len(candidates.pairs) <= _FEW
    return list(candidates.read(left, right)) if few else None


def actions_between(
    branch_diff: BranchDiff, candidates: Candidates, read: Iterable[Block] | None = None
) -> tuple[Iterator[Action], Iterator[Action], Iterator[Action]]:
    """Return the creations, updates and deletions that make the right side equal to the left, each sorted by key.

    Args:
        branch_diff: The branch.
        candidates: The keys and pairs that may differ.
        read: The values of the pairs, if already read.

    Raises:
        ComparisonError: if values cannot be compared, while the updates are iterated.
    """
    left, right, branch = branch_diff.left, branch_diff.right, branch_diff.name
    new: Iterator[Action]
    old: Iterator[Action]
    if candidates.streamed:  # columns would read ahead
        new = (Action("new", branch, key, source=item) for key, item in candidates.created(left))
        old = (Action("old", branch, key, dest=item) for key, item in candidates.deleted(right))
    else:
        new = _one_sided("new", branch, candidates.created(left), "sources")
        old = _one_sided("old", branch, candidates.deleted(right), "dests")
    return new, _updates(branch_diff, candidates.read(left, right) if read is None else read), old


def _one_sided(verb: str, branch: str, pairs: Iterator[tuple[Any, Any]], side: str) -> Iterator[Action]:
    """Yield the actions for objects that only one side has."""
    while some := list(islice(pairs, BLOCK_SIZE)):
        keys, items = zip(*some, strict=True)
        yield from actions_of(verb, branch, keys, **{side: items})


def _updates(branch_diff: BranchDiff, read: Iterable[Block]) -> Iterator[Action]:
    for block in read:
        values = [block.columns[column][1][index] for index, column in block.differing_columns]
        old_values = [block.columns[column][2][index] for index, column in block.differing_columns]
        types = list(map(type, values))
        if _EXACT.issuperset(types) and all(map(is_, types, map(type, old_values))):
            yield from actions_of(
                "update",
                branch_diff.name,
                [block.keys[index] for index, _ in block.differing_columns],
                names=[block.columns[column][0] for _, column in block.differing_columns],
                values=values,
                old_values=old_values,
                sources=[block.left[index] for index, _ in block.differing_columns],
                dests=[block.right[index] for index, _ in block.differing_columns],
            )
            continue
        for (index, column), value, old_value in zip(block.differing_columns, values, old_values, strict=True):
            name = block.columns[column][0]
            where = (branch_diff.name, block.keys[index], name)
            objects = (block.left[index], block.right[index])
            if type(value) is type(old_value) and type(value) in _EXACT:
                yield Action("update", *where, value, old_value, *objects)
                continue
            try:
                changes = _changes(where, value, old_value, objects, document=name in branch_diff.documents)
            except Exception as error:
                said = "" if name in branch_diff.right.sensitive else f": {error}"
                message = (
                    f"{branch_diff.right.name}[{block.keys[index]!r}].{name} cannot be compared with what is in "
                    f"{branch_diff.left.name}: {type(error).__name__}{said}; "
                    "give it a type whose `==` is true or false"
                )
                raise ComparisonError(message) from error
            yield from changes


def _changes(
    where: tuple[str, Any, str], value: Any, old_value: Any, objects: tuple[Any, Any], *, document: bool
) -> list[Action]:
    """Return the actions that turn the old value into the new one."""
    if document and isinstance(value, list) and isinstance(old_value, list):
        return [] if equal_inside(value, old_value) else [Action("update", *where, value, old_value, *objects)]
    if is_membership(value) and is_membership(old_value):
        added, removed = membership_changes(value, old_value)
        changes = [Action("add", *where, member, None, *objects) for member in added]
        return changes + [Action("remove", *where, member, None, *objects) for member in removed]
    return [] if equal(value, old_value) else [Action("update", *where, value, old_value, *objects)]


def moves_between(hierarchies: Hierarchies, branch_diffs: Sequence[BranchDiff]) -> list[Action]:
    """Return the additions to and removals from fields of parents, for children whose parent differs.

    What is created or deleted itself brings its list of new children along, or takes it away.
    """
    sides = {one.name: (one.left, one.right) for one in branch_diffs}
    left, right = hierarchies
    actions = []
    for branch, keys in _reparented(sides).items():
        for key in keys:
            if left.parent(branch, key) == right.parent(branch, key):
                continue
            moved = all(key in side.objects for side in sides[branch])
            for verb, hierarchy in (("add", left), ("remove", right)):
                holder = hierarchy.holder(branch, key)
                if holder is not None and (moved or lists_apart(sides[holder[0]], branch, holder[1])):
                    name, parent, field = holder
                    source, dest = (side.objects.get(parent) for side in sides[name])
                    actions.append(Action(verb, name, parent, field, key, None, source, dest))
    return sorted(actions, key=lambda action: (action.branch, action.idnumber, action.attr, action.verb, action.value))


def lists_children(sides: tuple[Side, Side], child: str) -> bool:
    """Say whether a field of the parents on both sides lists the children of a branch, and no property computes it."""
    return all(child in side.held_children and side.children[child] not in side.computed for side in sides)


def lists_apart(sides: tuple[Side, Side], child: str, parent: Any) -> bool:
    """Say whether a child that comes or goes is an action on its parent's list: whether that stays on both sides."""
    return lists_children(sides, child) and all(parent in side.objects for side in sides)


def _reparented(sides: Mapping[str, tuple[Side, Side]]) -> dict[str, set[Any]]:
    """Return what one parent holds and the same one on the other side does not, by branch.

    Parents are compared, not children: what a parent holds lies together, and is mostly the same.
    """
    found: dict[str, set[Any]] = {}
    for left, right in sides.values():
        for child in (left.held_children | right.held_children) & sides.keys():
            differing = found.setdefault(child, set())
            for key in dict.fromkeys((*left.objects, *right.objects)):
                members, old_members = _members(left, child, key), _members(right, child, key)
                if members != old_members:
                    differing |= set(members).symmetric_difference(old_members)
    return found


def _members(side: Side, child: str, key: Any) -> Collection[Any]:
    if child not in side.held_children or key not in side.objects:
        return ()
    members: Collection[Any] = side.read(key, side.objects[key], side.children[child]) or ()
    return members


def ordered_actions(
    actions: Iterable[Action], branch_diffs: Sequence[BranchDiff], hierarchies: Hierarchies | None = None
) -> tuple[Action, ...]:
    """Return creations, parents first, then updates, then deletions, children first."""
    runs = [list(run) for _, run in groupby(actions, key=attrgetter("verb", "branch"))]
    return ordered_runs(runs, branch_diffs, hierarchies)


def ordered_runs(
    runs: Iterable[Sequence[Action]], branch_diffs: Sequence[BranchDiff], hierarchies: Hierarchies | None = None
) -> tuple[Action, ...]:
    """Order actions as `ordered_actions` does, of which runs of one branch are creations, changes or deletions."""
    ranks = branch_ranks(branch_diffs)
    sort_key = cache(lambda verb, branch: action_sort_key(verb, branch, ranks))
    in_order = sorted(filter(None, runs), key=lambda run: sort_key(run[0].verb, run[0].branch))
    ordered = list(chain.from_iterable(in_order))
    if not _OF_MEMBERS.isdisjoint(map(attrgetter("verb"), ordered)):
        ordered = list(additions_first(ordered))
    if hierarchies is not None and any(one.recursive for one in hierarchies):
        _sort_by_depth(ordered, hierarchies)
    return tuple(ordered)


def additions_first(actions: Iterable[Action]) -> Iterator[Action]:
    """Yield the additions to each attribute of an object before the removals from it; all else in the given order."""
    groups = groupby(
        actions,
        key=lambda action: (action.branch, action.idnumber, action.attr) if action.verb in _OF_MEMBERS else None,
    )
    for attribute, group in groups:
        yield from group if attribute is None else sorted(group, key=lambda action: action.verb)


def branch_ranks(branch_diffs: Sequence[BranchDiff]) -> dict[str, int]:
    """Return the rank of each branch: parents and branches that are referred to come first."""
    return {name: rank for rank, name in enumerate(_branch_order(branch_diffs))}


def action_sort_key(verb: str, branch: str, ranks: Mapping[str, int]) -> tuple[int, int]:
    """Return a sort key: creations, updates, deletions; the latter in reverse order of the branches."""
    phase = _PHASES.get(verb, 1)
    rank = ranks.get(branch, 0)
    return phase, -rank if phase == 2 else rank


def _sort_by_depth(actions: list[Action], hierarchies: Hierarchies) -> None:
    """Sort the actions on recursive branches by depth, in place.

    Moves go from the top down, so that no object is ever below itself: its ancestors have moved by then.
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
    for index, action in enumerate(actions):
        kind = kind_of(action)
        if kind is not None:
            found.setdefault(kind[0], []).append((index, kind[1]))
    for sort_keys in found.values():
        ordered = [actions[index] for index, _ in sorted(sort_keys, key=lambda one: one[1])]
        for (index, _), action in zip(sort_keys, ordered, strict=True):
            actions[index] = action


def _branch_order(branch_diffs: Sequence[BranchDiff]) -> list[str]:
    after: dict[str, set[str]] = {one.name: set() for one in branch_diffs}
    for one in branch_diffs:
        for side in (one.left, one.right):
            after[one.name].update(name for name in side.references.values() if name != one.name)
            for child in side.children:
                after.setdefault(child, set()).add(one.name)
    return topological_order([one.name for one in branch_diffs], after, circles=True)


@attrs.frozen(eq=False, repr=False)
class StreamedPart:
    """One branch of a comparison whose candidates are streamed.

    Args:
        branch_diff: The branch.
        candidates: What its engine found; each pass over it, or its parts, asks the engine again.
        backwards: Whether this is the inverse: the sides are those of the opposite comparison.
    """

    branch_diff: BranchDiff
    candidates: Candidates
    backwards: bool = False

    def phases(self) -> list[Iterator[Action]]:
        """Return the creations, the updates and the deletions, each sorted by key."""
        found = actions_between(self.branch_diff, self.candidates)
        if not self.backwards:
            return list(found)
        return [additions_first(action.inverse() for action in actions) for actions in reversed(found)]

    def inverse(self) -> StreamedPart:
        """Return the same part of the opposite comparison."""
        return attrs.evolve(self, backwards=not self.backwards)


class StreamedActions(Sequence[Action]):
    """Actions in the order in which they are carried out, in bounded memory.

    An iteration costs a pass over the differences. The length and the counts cost one pass, once; an index costs a
    pass up to it.

    Args:
        parts: The branches that are streamed.
        in_memory: The actions of all other branches, in order.
        ranks: Where each branch stands among those that refer to each other; see `branch_ranks`.
        conditions: What an action must fulfil.
    """

    def __init__(
        self,
        parts: Sequence[StreamedPart],
        in_memory: Sequence[Action],
        ranks: dict[str, int],
        conditions: tuple[Callable[[Action], bool], ...] = (),
    ) -> None:
        self._parts = parts
        self._in_memory = in_memory
        self._ranks = ranks
        self._conditions = conditions
        self._scan: Scan | None = None

    def __iter__(self) -> Iterator[Action]:
        def sort_key(action: Action) -> tuple[int, int]:
            return action_sort_key(action.verb, action.branch, self._ranks)

        streams: list[list[tuple[tuple[int, int], Iterable[Action]]]]
        streams = [[(key, list(run)) for key, run in groupby(self._in_memory, key=sort_key)]]
        for part in self._parts:
            for verb, actions in zip(("new", "update", "old"), part.phases(), strict=True):
                streams.append([(action_sort_key(verb, part.branch_diff.name, self._ranks), actions)])
        found: Iterable[Action] = chain.from_iterable(actions for _, actions in merge(*streams, key=itemgetter(0)))
        for condition in self._conditions:
            found = filter(condition, found)
        return iter(found)

    def scanned(self) -> Iterator[Action]:
        """Yield the actions, in a pass that is also the one for the counts and the first ones, unless that was made."""
        if self._scan is not None:
            return iter(self)
        return self._scanned()

    def _scanned(self) -> Iterator[Action]:
        scan = Scan({}, {})
        yield from scan.noting(self, _KEPT)
        self._scan = scan

    @property
    def counts(self) -> Counter[str]:
        """How many there are of each verb."""
        return self.scan.total

    @property
    def scan(self) -> Scan:
        """The counts, and the first actions, of one pass that is made once; see `scanned`."""
        if self._scan is None:
            deque(self._scanned(), maxlen=0)
        return self._scan  # type: ignore[return-value]  # the pass has set it

    def __len__(self) -> int:
        return self.counts.total()

    def __bool__(self) -> bool:
        if self._scan is not None:
            return bool(self._scan.counts)
        return next(iter(self), None) is not None

    @overload
    def __getitem__(self, index: int) -> Action: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Action]: ...
    def __getitem__(self, index: int | slice) -> Action | Sequence[Action]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step < 0:
                return list(self)[index]
            return list(islice(self, start, stop, step))
        position = index + len(self) if index < 0 else index
        if 0 <= position < len(self):
            return next(islice(self, position, None))
        message = f"there are {len(self):,} actions, and none at {index}"
        raise IndexError(message)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(left == right for left, right in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # a sequence that is compared by its members

    def where(self, condition: Callable[[Action], bool]) -> StreamedActions:
        """Return the actions that satisfy a condition."""
        return StreamedActions(self._parts, self._in_memory, self._ranks, (*self._conditions, condition))

    def inverse(self, in_memory: Sequence[Action], ranks: dict[str, int]) -> StreamedActions:
        """Return the inverse of each, in the order of the opposite comparison.

        Args:
            in_memory: The inverse of the actions that are not streamed, in order.
            ranks: The ranks of the branches in the opposite comparison.
        """
        conditions = tuple(_through_inverse(condition) for condition in self._conditions)
        return StreamedActions([part.inverse() for part in self._parts], in_memory, ranks, conditions)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)

    @property
    def in_memory(self) -> Sequence[Action]:
        """The actions of the branches that are not streamed, whether or not they satisfy the conditions."""
        return self._in_memory

    def __repr__(self) -> str:
        return f"<StreamedActions: {len(self):,}>"


def _through_inverse(condition: Callable[[Action], bool]) -> Callable[[Action], bool]:
    return lambda action: condition(action.inverse())


T = TypeVar("T")


class Streamed(Sequence[T]):
    """A sequence over a function that yields the same items each time it is called.

    The length costs one pass, and an index a pass up to it.

    Args:
        make: Yields the items.
        length: How many items there are, if known.

    >>> numbers = Streamed(lambda: iter(range(1_000_000)))
    >>> numbers[7], len(numbers)
    (7, 1000000)
    """

    __slots__ = ("_length", "_make")

    def __init__(self, make: Callable[[], Iterable[T]], length: int | None = None) -> None:
        self._make = make
        self._length = length

    def __iter__(self) -> Iterator[T]:
        return iter(self._make())

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def __bool__(self) -> bool:
        return any(True for _ in self)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index if index >= 0 else index + len(self)
        for item in islice(self, position, position + 1) if position >= 0 else ():
            return item
        message = f"there is no item {index} of {len(self)}"
        raise IndexError(message)

    def __repr__(self) -> str:
        return f"<Streamed{'' if self._length is None else f': {self._length:,} items'}>"


def explanation(branch_diffs: Sequence[BranchDiff], left_out: Counter[str]) -> str:
    """Return, for each branch, the engine, why it ran, what it compared, and why objects are in memory.

    Args:
        branch_diffs: The branches that were compared.
        left_out: The number of actions of each verb that flags left out.
    """
    if not branch_diffs:
        return "nothing was compared"
    lines = []
    for branch_diff in branch_diffs:
        left, right = branch_diff.sizes
        lines.append(
            f"{branch_diff.name or branch_diff.right.owner}: {branch_diff.engine} engine, since {branch_diff.reason}; "
            f"{counted(left, 'object')} against {right:,}, {branch_diff.pairs:,} in both, "
            f"{branch_diff.candidates:,} of them worth a look; "
            f"attributes: {', '.join(branch_diff.right.attributes) or 'none'}"
        )
        lines += [f"  {side.name} is in memory: {side.reason}" for side in branch_diff.both if side.reason]
    named = {branch_diff.name for branch_diff in branch_diffs}
    apart = [
        f"{branch_diff.name}: what it holds of {child}"
        for branch_diff in branch_diffs
        for child in branch_diff.right.held_children - named
    ]
    lines += [f"not compared: {what}" for what in sorted(apart)]
    if left_out:
        lines.append("left out by flags or imports: " + " ".join(f"{verb}={count}" for verb, count in left_out.items()))
    return "\n".join(lines)
