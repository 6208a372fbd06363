"""What must hold before anything is changed: limits that can be raised for one run and never be switched off."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any

import attrs

from datastoresync.diffing.compared import Compared
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.values import is_membership, members_of
from datastoresync.errors import DeclarationError, SafeguardError
from datastoresync.printing.words import counted

__all__ = ["DEFAULT_LIMITS", "Limits", "check", "violations"]

_FLOOR = 5
"""A share never means fewer objects than this, so that a class of twenty can lose four pupils."""


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

    A whole number is a count of objects, a fraction a share of the destination's objects (at least five).
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
    created: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    updated: defaultdict[str, set[object]] = defaultdict(set)
    for action in diff:
        if action.verb == "old":
            deleted[action.branch] += 1
        elif action.verb == "new":
            created[action.branch] += 1
        else:
            updated[action.branch].add(action.idnumber)
            removed[action.branch] += action.verb == "remove"
    found: list[str] = []
    for one in diff.compared:
        name, size = one.name, one.sizes[1]
        shown = one.right.name or name
        if deleted[name] and not one.sizes[0] and name not in limits.empty:
            found.append(
                f"{one.left.name} is empty, and {counted(deleted[name], 'object')} of {shown} would be deleted: "
                f"import the source first, or allow it with limits=Limits(empty=[{name!r}], deletions={deleted[name]})"
            )
        elif deleted[name] > _most(limits.deletions, size):
            found.append(_over(deleted[name], "deletion", limits.deletions, size, shown))
        if len(updated[name]) > _most(limits.updates, size):
            found.append(_over(len(updated[name]), "update", limits.updates, size, shown))
        if removed[name] > _most(limits.removals, 0):  # the members are counted only where that can matter
            members = _members(one)
            if removed[name] > _most(limits.removals, members):
                found.append(_over(removed[name], "removal", limits.removals, members, shown))
        if one.left.rejected and deleted[name] + removed[name]:
            found.append(
                f"{shown}: nothing may be deleted, since {counted(one.left.rejected, 'row')} of {one.left.name} could "
                f"not be read: mend the data, or leave deletions out with exclude=['old', 'remove']"
            )
        if one.right.rejected and created[name]:
            found.append(
                f"{shown}: nothing may be created, since {counted(one.right.rejected, 'row')} of it could not be read, "
                f"and what they hold would be created again: mend the data, or leave creations out with exclude=['new']"
            )
    found.extend(_dangling(diff, limits))
    return tuple(found)


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


def _over(count: int, what: str, limit: float, size: int, where: str) -> str:
    shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:.0%} of {size:,}, which is {_most(limit, size):,}"
    return (
        f"{where}: {counted(count, what)}, over the limit of {shown}: if that is meant, raise it for this run with "
        f"limits=Limits({what}s={count})"
    )


def _members(one: Compared) -> int:
    side = one.right
    total = 0
    for key, item in side.objects.items():
        for name in side.attributes:
            value = side.read(key, item, name)
            total += len(value) if is_membership(value) else 0
    return total


def _dangling(diff: Diff, limits: Limits) -> Iterator[str]:
    """Name the values of references that would be written and that the source does not have."""
    known = {one.name: one.left.objects for one in diff.compared}
    references = {
        (one.name, attr): branch
        for one in diff.compared
        for attr, branch in {**one.right.references, **one.left.references}.items()
        if branch in known
    }
    if not references:
        return
    missing: defaultdict[tuple[str, str], list[tuple[object, object]]] = defaultdict(list)
    for action in diff:
        if action.verb == "new":
            values = diff.values(action)
            pairs = [(attr, values.get(attr)) for branch, attr in references if branch == action.branch]
        elif action.verb in ("add", "update"):
            pairs = [(action.attr, action.value)]
        else:
            continue
        for attr, value in pairs:
            target = references.get((action.branch, attr))
            if target is None:
                continue
            for member in members_of(value):
                if member is not None and member not in known[target]:
                    missing[action.branch, attr].append((action.idnumber, member))
    for (branch, attr), places in missing.items():
        if len(places) > limits.dangling:
            shown = ", ".join(f"{member!r} of {idnumber!r}" for idnumber, member in places[:5])
            more = f" and {len(places) - 5:,} more" if len(places) > 5 else ""
            yield (
                f"{branch}.{attr} refers to {references[branch, attr]} that the source does not have: {shown}{more}: "
                f"mend the data, or allow it with limits=Limits(dangling={len(places)})"
            )
