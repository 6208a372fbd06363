"""Safeguards that must hold before anything is changed: limits on deletions and updates, and dangling references."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any

import attrs

from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import BranchDiff
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import is_membership, members_of
from datastoresync.diffing.hierarchy import Hierarchy
from datastoresync.diffing.side import Side
from datastoresync.errors import DeclarationError, SafeguardError
from datastoresync.printing.text import counted

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
    branches = {one.name: one for one in diff.branch_diffs}
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
    actions: Sequence[Action], branches: Mapping[str, BranchDiff], references: Mapping[str, Mapping[str, str]]
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


def _references(one: BranchDiff, diff: Diff) -> dict[str, str]:
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


_FLOOR = 5
"""A share never means fewer objects than this, so that a class of twenty can lose four pupils."""
_BLOCK = 1024
"""Actions that are counted together."""


def _limit(_: object, attribute: Any, value: Any) -> None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    good = good or (isinstance(value, float) and 0 <= value <= 1)
    if not good:
        message = f"{attribute.name} is a count such as 500 or a share such as 0.2 (got {value!r})"
        raise DeclarationError(message)


def _count(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{attribute.name} is a count such as 3 (got {value!r})"
        raise DeclarationError(message)


def _names(names: str | Collection[str]) -> Collection[str]:
    return (names,) if isinstance(names, str) else names


@attrs.frozen(kw_only=True)
class Limits:
    """How much one run may change in each branch; what is over refuses the whole run before its first change.

    A whole number is a count of objects, a fraction a share of the destination's objects (at least five,
    but of deletions at most half of so few, and never all).
    Give other limits for one call where a big change is meant: ``source.sync_to(dest, limits=Limits(deletions=800))``.

    Args:
        deletions: Objects deleted.
        updates: Objects changed.
        removals: Members removed; as a share, of all members that the destination's objects of the branch have.
        dangling: Values of ``_references`` that are written and name nothing in the source.
        empty: The branches that may be empty in the source and still delete what the destination has.
    """

    deletions: float = attrs.field(default=0.2, validator=_limit)
    updates: float = attrs.field(default=0.5, validator=_limit)
    removals: float = attrs.field(default=0.5, validator=_limit)
    dangling: int = attrs.field(default=0, validator=_count)
    empty: Collection[str] = attrs.field(default=(), converter=_names)


DEFAULT_LIMITS = Limits()


def violations(diff: Diff, limits: Limits | None = None) -> tuple[str, ...]:
    """Return a sentence for each reason not to apply a diff; none if it may be applied."""
    limits = limits or DEFAULT_LIMITS
    around = (side for hierarchy in diff.hierarchies for side in hierarchy.sides.values())
    for side in chain(*(one.both for one in diff.branch_diffs), around):  # a part of it may have been applied before
        side.settle()
    created: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    kept: type[set[Any]] = _Distinct if diff.streamed else set
    deleted: defaultdict[str, set[Any]] = defaultdict(kept)
    updated: defaultdict[str, set[Any]] = defaultdict(kept)
    branches: set[str] = set()
    for (branch, verb), some in groupby(diff, key=attrgetter("branch", "verb")):
        branches.add(branch)
        if verb == "old":
            deleted[branch].update(map(attrgetter("idnumber"), some))
        elif verb == "new":
            created[branch] += sum(1 for _ in some)
        else:
            while block := list(islice(some, _BLOCK)):
                updated[branch].update(map(attrgetter("idnumber"), block))
                if verb == "remove" or any(map(is_membership, map(attrgetter("old_value"), block))):
                    removed[branch] += sum(map(_removals, block))
    unknown = branches - {one.name for one in diff.branch_diffs}
    found = [f"{name}: its actions come from no comparison: use a - b" for name in sorted(unknown)]
    for one in diff.branch_diffs:
        found += _of_branch(one, limits, created[one.name], removed[one.name], deleted[one.name], updated[one.name])
    found.extend(dangling(diff, limits.dangling))
    return tuple(found)


class _Distinct(set[Any]):
    """Counts the keys of a streamed diff, which come one after the other, without keeping them."""

    def __init__(self) -> None:
        super().__init__()
        self._last: Any = None
        self._count = 0

    def add(self, key: Any) -> None:
        """Count a key, unless it is the one before."""
        if not self._count or key != self._last:
            self._last = key
            self._count += 1

    def update(self, *others: Any) -> None:
        """Count several keys."""
        for key in chain(*others):
            self.add(key)

    def union(self, *others: Any) -> Any:
        """Return what has the same number of keys, and those of others."""
        del others  # what was carried out of a streamed diff is not kept either
        return self

    __or__ = union

    def __len__(self) -> int:
        return self._count


def _removals(action: Action) -> int:
    """Return how many members an action takes away; one that replaces a membership by nothing takes all."""
    if action.verb == "update" and is_membership(action.old_value) and not is_membership(action.value):
        return len(action.old_value)
    return int(action.verb == "remove")


def _of_branch(
    one: BranchDiff, limits: Limits, created: int, removed: int, deleted: set[Any], updated: set[Any]
) -> Iterator[str]:
    """Yield the reasons that lie in one branch. What parts of the same diff did before counts with this one."""
    name, size = one.name, one.sizes[1]
    shown = one.right.name or name
    done = one.carried_out
    deletions = len(deleted | done["old"]) if deleted else 0
    updates = len(updated.union(*(done[verb] for verb in ("update", "add", "remove")))) if updated else 0
    if deleted and not one.sizes[0] and name not in limits.empty:
        yield (
            f"{one.left.name} is empty, and {counted(deletions, 'object')} of {shown} would be deleted: "
            f"import the source first, or allow it with limits=Limits(empty=[{name!r}], deletions={deletions})"
        )
    elif deleted and deletions > _most_deletions(limits.deletions, size):
        yield _over(deletions, "deletion", limits.deletions, _most_deletions(limits.deletions, size), size, shown)
    if updates > _most(limits.updates, size):
        yield _over(updates, "update", limits.updates, _most(limits.updates, size), size, shown)
    if removed > _most(limits.removals, 0):  # the members are counted only where that can matter
        members = _members(one)
        if removed > _most(limits.removals, members):
            yield _over(removed, "removal", limits.removals, _most(limits.removals, members), members, shown)
    if one.left.rejected and (deleted or removed):
        yield (
            f"{shown}: nothing may be deleted, since {counted(one.left.rejected, 'row')} of {one.left.name} could "
            f"not be read: mend the data, or leave deletions out with exclude=['old', 'remove']"
        )
    if one.right.rejected and created:
        yield (
            f"{shown}: nothing may be created, since {counted(one.right.rejected, 'row')} of it could not be read, "
            f"and what they hold would be created again: mend the data, or leave creations out with exclude=['new']"
        )
    if one.right.unread and created:
        yield f"{shown} was never imported, so all that it holds would be created again: import it first, with +"


def check(diff: Diff, limits: Limits | None = None) -> None:
    """Refuse a diff that does more than the limits allow.

    Raises:
        SafeguardError: naming every reason; nothing was changed.
    """
    found = violations(diff, limits)
    if found:
        lines = "".join(f"\n  - {sentence}" for sentence in found)
        message = f"refused, and nothing was changed:{lines}"
        raise SafeguardError(message, violations=found)


def _most(limit: float, size: int) -> int:
    return limit if isinstance(limit, int) else max(_FLOOR, math.ceil(limit * size))


def _most_deletions(limit: float, size: int) -> int:
    """Return how many of the objects may be deleted: as a share never all, and of a few at most half."""
    if isinstance(limit, int) or limit >= 1:
        return limit if isinstance(limit, int) else size
    return min(max(min(_FLOOR, size // 2), math.ceil(limit * size)), size - 1)


def _over(count: int, what: str, limit: float, most: int, size: int, where: str) -> str:
    shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:.0%} of {size:,}, which is {most:,}"
    return (
        f"{where}: {counted(count, what)}, over the limit of {shown}: if that is meant, raise it for this run with "
        f"limits=Limits({what}s={count})"
    )


def _members(one: BranchDiff) -> int:
    side = one.right
    total = 0
    for key, item in side.objects.items():
        for name in (*side.attributes, *side.holding):
            value = side.read(key, item, name)
            total += len(value) if is_membership(value) else 0
    return total
