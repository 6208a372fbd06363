"""Safeguards that must hold before anything is changed: limits on deletions and updates, and dangling references."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any

import attrs

from datastoresync.applying.dependents import existing, references_of
from datastoresync.applying.side_effects import SideEffect, outside, rows_by_branch
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import BranchDiff
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import is_membership, members_of
from datastoresync.diffing.hierarchy import Hierarchy
from datastoresync.diffing.side import Side
from datastoresync.errors import DeclarationError, SafeguardError
from datastoresync.printing.text import counted

_EXAMPLES = 5
_BATCH = 20_000
"""Actions of a streamed diff whose references are looked up together."""
_FLOOR = 5
"""The least that a share amounts to, so that a class of twenty can lose four pupils."""
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
        cascades: Rows of a table outside of the tree that a database deletes or changes along with deleted ones; as a
            share, of its rows. Those inside count as deletions, updates and removals.
        dangling: Values of ``_references`` that are written and name nothing in the source.
        empty: The branches that may be empty in the source and still delete what the destination has.
    """

    deletions: float = attrs.field(default=0.2, validator=_limit)
    updates: float = attrs.field(default=0.5, validator=_limit)
    removals: float = attrs.field(default=0.5, validator=_limit)
    cascades: float = attrs.field(default=0.2, validator=_limit)
    dangling: int = attrs.field(default=0, validator=_count)
    empty: Collection[str] = attrs.field(default=(), converter=_names)


DEFAULT_LIMITS = Limits()


def violations(diff: Diff, limits: Limits | None = None, side_effects: Sequence[SideEffect] = ()) -> tuple[str, ...]:
    """Return a sentence for each violation of the limits and each dangling reference.

    Args:
        diff: The actions.
        limits: The limits; None for the usual ones.
        side_effects: What the store would do to other rows.
    """
    limits = limits or DEFAULT_LIMITS
    related = (side for hierarchy in diff.hierarchies for side in hierarchy.sides.values())
    # A part of the diff may have been applied before.
    for side in chain(*(branch_diff.both for branch_diff in diff.branch_diffs), related):
        side.settle()
    created: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    key_set: type[set[Any]] = _DistinctCount if diff.streamed else set
    deleted: defaultdict[str, set[Any]] = defaultdict(key_set)
    updated: defaultdict[str, set[Any]] = defaultdict(key_set)
    branches: set[str] = set()
    for (branch, verb), group in groupby(diff, key=attrgetter("branch", "verb")):
        branches.add(branch)
        if verb == "old":
            deleted[branch].update(map(attrgetter("idnumber"), group))
        elif verb == "new":
            created[branch] += sum(1 for _ in group)
        else:
            while block := list(islice(group, _BLOCK)):
                updated[branch].update(map(attrgetter("idnumber"), block))
                if verb == "remove" or any(map(is_membership, map(attrgetter("old_value"), block))):
                    removed[branch] += sum(map(_removals, block))
    unknown = branches - {branch_diff.name for branch_diff in diff.branch_diffs}
    found = [f"{name}: its actions come from no comparison: use a - b" for name in sorted(unknown)]
    along = rows_by_branch(side_effects)
    for branch_diff in diff.branch_diffs:
        name = branch_diff.name
        counts = (created[name], removed[name], deleted[name], updated[name], along.get(name, Counter()))
        found += _branch_violations(branch_diff, limits, *counts)
    for table, (rows, size) in outside(side_effects).items():
        what = f"{counted(rows, 'row')} deleted or changed along with others"
        found += _excess(
            rows, "cascades", limits.cascades, _allowed_deletions(limits.cascades, size), size, table, what
        )
    found.extend(dangling(diff, limits.dangling))
    return tuple(found)


class _DistinctCount(set[Any]):
    """Counts the distinct keys of a streamed diff, which come in order, without keeping them."""

    def __init__(self) -> None:
        super().__init__()
        self._last: Any = None
        self._count = 0

    def add(self, key: Any) -> None:
        """Count a key, unless it equals the one before."""
        if not self._count or key != self._last:
            self._last = key
            self._count += 1

    def update(self, *members: Any) -> None:
        """Count several keys."""
        for key in chain(*members):
            self.add(key)

    def union(self, *members: Any) -> Any:
        """Return the same count: actions of a streamed diff that were carried out are not kept either."""
        del members
        return self

    __or__ = union

    def __len__(self) -> int:
        return self._count


def _removals(action: Action) -> int:
    """Return how many members an action removes; one that replaces a membership by another value removes all."""
    if action.verb == "update" and is_membership(action.old_value) and not is_membership(action.value):
        return len(action.old_value)
    return int(action.verb == "remove")


def _branch_violations(
    branch_diff: BranchDiff,
    limits: Limits,
    created: int,
    removed: int,
    deleted: set[Any],
    updated: set[Any],
    along: Counter[str],
) -> Iterator[str]:
    """Yield the violations in one branch; what parts of the same diff did before counts as well.

    Args:
        branch_diff: The branch.
        limits: The limits.
        created: How many objects are created.
        removed: How many members are removed.
        deleted: The idnumbers of the objects that are deleted.
        updated: The idnumbers of the objects that are updated.
        along: How many more the store deletes, updates and removes.
    """
    left, right, name = branch_diff.left, branch_diff.right, branch_diff.name
    (source_size, size), done = branch_diff.sizes, branch_diff.carried_out
    display_name = right.name or name
    deletions = len(deleted | done["old"]) if deleted else 0
    updates = len(updated.union(*(done[verb] for verb in ("update", "add", "remove")))) if updated else 0
    if deleted and not source_size and name not in limits.empty:
        yield (
            f"{left.name} is empty, and {counted(deletions, 'object')} of {display_name} would be deleted: "
            f"import the source first; only if it is meant to be empty, allow that with limits=Limits(empty=[{name!r}])"
        )
    elif deleted or along["deleted"]:
        most, count = _allowed_deletions(limits.deletions, size), deletions + along["deleted"]
        yield from _excess(count, "deletions", limits.deletions, most, size, display_name)
    updates += along["updated"]
    removed += along["removed"]
    yield from _excess(updates, "updates", limits.updates, _allowed(limits.updates, size), size, display_name)
    if removed > _allowed(limits.removals, 0):  # the members are counted only where that can matter
        members = _count_members(right)
        most = _allowed(limits.removals, members)
        yield from _excess(removed, "removals", limits.removals, most, members, display_name)
    if left.rejected and (deleted or removed):
        yield (
            f"{display_name}: nothing may be deleted, since {counted(left.rejected, 'row')} of {left.name} could "
            f"not be read: mend the data, or leave deletions out with exclude=['old', 'remove']"
        )
    if right.rejected and created:
        yield (
            f"{display_name}: nothing may be created, since {counted(right.rejected, 'row')} of it could not be read, "
            f"and what they hold would be created again: mend the data, or leave creations out with exclude=['new']"
        )
    if right.not_imported and created:
        yield f"{display_name} was never imported, so all that it holds would be created again: import it first, with +"


def check(diff: Diff, limits: Limits | None = None, side_effects: Sequence[SideEffect] = ()) -> None:
    """Refuse a diff that exceeds the limits.

    Raises:
        SafeguardError: with a sentence for each violation; nothing was changed.
    """
    found = violations(diff, limits, side_effects)
    if found:
        lines = "".join(f"\n  - {sentence}" for sentence in found)
        message = f"refused, and nothing was changed:{lines}"
        raise SafeguardError(message, violations=found)


def _allowed(limit: float, size: int) -> int:
    return limit if isinstance(limit, int) else max(_FLOOR, math.ceil(limit * size))


def _allowed_deletions(limit: float, size: int) -> int:
    """Return how many of the objects may be deleted: as a share never all, and of a few at most half."""
    if isinstance(limit, int) or limit >= 1:
        return limit if isinstance(limit, int) else size
    return min(max(min(_FLOOR, size // 2), math.ceil(limit * size)), size - 1)


def _excess(
    count: int, name: str, limit: float, most: int, size: int, display_name: str, what: str = ""
) -> Iterator[str]:
    """Yield a violation if a count is over the most that a limit allows.

    Args:
        count: The count.
        name: The name of the limit.
        limit: The limit.
        most: What it allows.
        size: How many objects, members or rows there are.
        display_name: The branch or table.
        what: The count in words; empty for the limit's own.
    """
    if count > most:
        allowed = f"{limit:,}" if isinstance(limit, int) else f"{limit:.0%} of {size:,}, which is {most:,}"
        what = what or counted(count, name[:-1])
        yield (
            f"{display_name}: {what}, over the limit of {allowed}: if that is meant, raise it for this run with "
            f"limits=Limits({name}={count})"
        )


def _count_members(side: Side) -> int:
    """Return how many members all memberships of a side's objects have."""
    total = 0
    for key, item in side.objects.items():
        for name in (*side.attributes, *side.child_fields):
            value = side.read(key, item, name)
            total += len(value) if is_membership(value) else 0
    return total


def dangling(diff: Diff, allowed: int) -> Iterator[str]:
    """Yield a sentence for each attribute whose references would lead to objects that the source does not have.

    What the destination will not have, since the run leaves it out, holds back what refers to it; see `dependents`.

    Args:
        diff: The diff to apply.
        allowed: How many references of one attribute may dangle.
    """
    branches = {one.name: one for one in diff.branch_diffs}
    related = references_of(diff)
    references = {name: related.get(name, {}) for name in branches}
    if not any(references.values()):
        return
    missing: defaultdict[tuple[str, str], _DanglingReferences] = defaultdict(_DanglingReferences)
    for actions in _batches(diff):
        for branch, attr, written in _written_references(actions, branches, references):
            keys = _source_keys(branches[branch].left, references[branch][attr], diff.hierarchies[0])
            if keys is None:
                continue
            there = existing(keys, {member for _, member in written if member is not None})
            for idnumber, member in written:
                if member is not None and member not in there:
                    missing[branch, attr].note(idnumber, member)
    for (branch, attr), references_lost in missing.items():
        count, first = references_lost.count, references_lost.first
        if count > allowed:
            examples = ", ".join(f"{member!r} of {idnumber!r}" for idnumber, member in first)
            more = f" and {count - len(first):,} more" if count > len(first) else ""
            target = references[branch][attr]
            yield (
                f"{branch}.{attr} refers to {target} that the source does not have: {examples}{more}: "
                f"mend the data, or allow it with limits=Limits(dangling={count})"
            )


class _DanglingReferences:
    """Counts dangling references and keeps the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[tuple[Any, Any]] = []

    def note(self, idnumber: Any, member: Any) -> None:
        self.count += 1
        if self.count <= _EXAMPLES:
            self.first.append((idnumber, member))


def _batches(diff: Diff) -> Iterator[Sequence[Action]]:
    """Yield the actions of a streamed diff batch by batch; those of any other diff all at once."""
    if not diff.streamed:
        yield diff.actions
        return
    actions = iter(diff)
    while batch := list(islice(actions, _BATCH)):
        yield batch


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
