"""Safeguards that must hold before anything is changed: limits on what one run changes, and dangling references."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby, islice
from numbers import Number
from operator import attrgetter
from typing import Any, Final

from datastoresync.applying.change_counts import (
    FLOOR,
    ChangeCounts,
    MembersChanged,
    count_values,
    is_inverted,
    items_of,
    part_reader,
    switches_off,
    values_of,
)
from datastoresync.applying.dangling import ReferenceCheck
from datastoresync.applying.limits import Limits, Violation, refusal
from datastoresync.applying.side_effects import SideEffect, outside, rows_by_branch
from datastoresync.diffing.branch_diff import BranchDiff
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import equal, is_blank, is_membership
from datastoresync.diffing.renames import lost_zeros
from datastoresync.diffing.side import Side
from datastoresync.errors import SafeguardError
from datastoresync.printing.text import counted
from datastoresync.runtime import collector_paused

_EXAMPLES = 5
_FEW_CREATIONS = 20
"""The least that a share of creations amounts to."""
_FEW_MEMBERS = 50
"""The same of new members, unless these are more than half of all that could be."""
_TEN = 10
"""Members of an object, or objects of a part, from which on it has limits of its own."""
_SMALLEST_PART = 3
"""Objects of a part from which on it cannot be emptied: that two go on one day is no wonder."""
_FEW_PARTS, _SHOWN_PARTS = 2, 5
"""Parts that have a sentence each, and those that are named of more, at most."""
_RAISE = "look at the source; if that is meant, raise it for this run with"


def violations(diff: Diff, limits: Limits | None = None, side_effects: Sequence[SideEffect] = ()) -> tuple[str, ...]:
    """Return a sentence for each violation of the limits and each dangling reference.

    Args:
        diff: The actions.
        limits: The limits of this run, which stand before those that branches and trees declare.
        side_effects: What the store would do to other rows.
    """
    related = (side for hierarchy in diff.hierarchies for side in hierarchy.sides.values())
    # A part of the diff may have been applied before.
    for side in chain(*(branch_diff.both for branch_diff in diff.branch_diffs), related):
        side.settle()
    counts = {one.name: ChangeCounts(one, streamed=diff.streamed) for one in diff.branch_diffs}
    unknown: set[str] = set()
    references = ReferenceCheck(diff)
    with collector_paused():  # streamed ones become new objects
        for (branch, verb), actions in groupby(references.noting(diff.scanned()), key=attrgetter("branch", "verb")):
            if branch in counts:
                counts[branch].take(verb, actions)
            else:
                unknown.add(branch)
    found = [f"{name}: its actions come from no comparison: use a - b" for name in sorted(unknown)]
    along = rows_by_branch(side_effects)
    checks = {
        one.name: _BranchCheck(one, counts[one.name], _limits_of(one, limits), along.get(one.name, Counter()))
        for one in diff.branch_diffs
    }
    # What a sentence tells to allow must do for all branches, since a limit given for a run is one of each.
    needed: dict[str, int] = {}
    for check_ in checks.values():
        needed = {name: max(count, needed.get(name, 0)) for name, count in check_.totals.items()}
    for check_ in checks.values():
        check_.needed = needed
        found += check_.violations()
    smallest = [check_.limits for check_ in checks.values()] or [limits or Limits()]
    for table, (rows, size) in outside(side_effects).items():
        what = f"{counted(rows, 'row')} deleted or changed along with others"
        strictest = min(smallest, key=lambda one: _allowed_deletions(one.cascades, size))
        limit = strictest.cascades
        found += _excess(rows, "cascades", limit, _allowed_deletions(limit, size), size, table, what)
    deleted = {name: one.deleted for name, one in counts.items()}
    found.extend(references.violations(lambda name: checks[name].limits.dangling, deleted))
    return (*found, *lost_zeros(diff)) if found else ()


def check(diff: Diff, limits: Limits | None = None, side_effects: Sequence[SideEffect] = ()) -> None:
    """Refuse a diff that exceeds the limits.

    Raises:
        SafeguardError: with a sentence for each violation; nothing was changed.
    """
    found = violations(diff, limits, side_effects)
    if found:
        raise SafeguardError(refusal(found, limits), violations=found)


def _limits_of(branch_diff: BranchDiff, limits: Limits | None) -> Limits:
    """Return the limits of one branch: those of the run, then what the destination declares, then the source."""
    declared = branch_diff.left.limits
    if branch_diff.right.limits is not None:
        declared = branch_diff.right.limits.over(declared)
    return (limits or Limits()).over(declared)


class _BranchCheck:
    """What one branch would change, against its limits; what parts of the same diff did before counts as well.

    Args:
        branch_diff: The branch.
        counts: What its actions would change.
        limits: Its limits.
        along: How many more objects the store deletes and updates, and members it removes.
    """

    def __init__(self, branch_diff: BranchDiff, counts: ChangeCounts, limits: Limits, along: Counter[str]) -> None:
        self.left, self.right, self.name = branch_diff.left, branch_diff.right, branch_diff.name
        self.source_size, self.size = branch_diff.sizes
        self.counts, self.limits = counts, limits
        self.display_name = self.right.name or self.name
        done = branch_diff.carried_out
        updates = counts.updated.union(done["update"]) if counts.updated else ()
        self.going = len(counts.deleted) + len(counts.switched_off)
        if self.going and type(counts.deleted) is set:  # otherwise they are only counted
            self.going = len(counts.deleted | counts.switched_off | done["old"])
        self.deletions = self.going + along["deleted"]
        self.updates = len(updates) + along["updated"]
        self.removals = counts.removed + along["removed"]
        self.creations = counts.created + len(done["new"]) if counts.created else 0
        self.totals = {
            "deletions": self.deletions,
            "updates": self.updates,
            "creations": self.creations,
            "removals": self.removals,
            "additions": counts.added,
        }
        self.needed: Mapping[str, int] = {}

    def violations(self) -> Iterator[str]:
        """Yield a sentence for each violation."""
        yield from self._deletions()
        if self.source_size:
            yield from self._empty_sources()
            yield from self._parts()
        yield from self._over("updates", self.updates, self.size)
        yield from self._attributes()
        yield from self._members()
        yield from self._creations()

    # Objects.

    def _deletions(self) -> Iterator[str]:
        deleted, switched_off = self.counts.deleted, self.counts.switched_off
        if deleted and not self.source_size and self.name not in self.limits.empty:
            lost = counted(self.going, "object")
            reason = f"{self.left.name} is empty, and {lost} of {self.display_name} would be deleted"
            first = "import the source" if self.left.not_imported else "look at what it reads"
            advice = f"{first} first; only if it is meant to be empty, allow that with"
            yield Violation(reason, advice, "empty", [self.name])
            return
        limit = self.limits.deletions
        most = _allowed_deletions(limit, self.size)
        if self.deletions and self.deletions > most:
            what = ""
            if switched_off:
                what = f"{counted(self.deletions, 'object')} deleted or switched off by {self.counts.active}"
            yield from self._excess("deletions", self.deletions, most, self.size, what)
        elif len(switched_off) > FLOOR and not isinstance(limit, int):
            needed = self._needed_base(len(switched_off), limit)
            values = values_of(self.right, self.counts.active)
            off = partial(switches_off, inverted=is_inverted(self.counts.active))
            on = (one for one in values if isinstance(one, Number) and not off(one))
            size = sum(1 for _ in islice(on, needed))
            most = _allowed_deletions(limit, size)
            if 0 < size < needed and len(switched_off) > most:
                what = f"{counted(len(switched_off), 'object')} switched off by {self.counts.active}"
                yield from self._excess("deletions", len(switched_off), most, size, what)

    def _creations(self) -> Iterator[str]:
        if self.creations and self.size and self.name not in self.limits.first_load:
            most = _allowed(self.limits.creations, self.size, _FEW_CREATIONS)
            yield from self._excess("creations", self.creations, most, self.size)
        if self.left.rejected and (self.counts.deleted or self.counts.removed):
            reason = (
                f"{self.display_name}: nothing may be deleted, since {counted(self.left.rejected, 'row')} of "
                f"{self.left.name} could not be read"
            )
            yield Violation(reason, "mend the data", python=", or leave deletions out with exclude=['old', 'remove']")
        if self.right.rejected and self.counts.created:
            reason = (
                f"{self.display_name}: nothing may be created, since {counted(self.right.rejected, 'row')} of it could "
                "not be read, and what they hold would be created again"
            )
            yield Violation(reason, "mend the data", python=", or leave creations out with exclude=['new']")
        if self.right.not_imported and self.counts.created:
            reason = f"{self.display_name} was never imported, so all that it holds would be created again"
            yield Violation(reason, "import it first", python=", with +")

    # Parts.

    def _empty_sources(self) -> Iterator[str]:
        """Yield a sentence for each file or branch without rows, among others that have some, if anything goes."""
        losses = [(self.going, "object"), (self.removals, "member")]
        lost = " and ".join(counted(count, what) for count, what in losses if count)
        for part in self.left.empty_parts if lost else ():
            if not {part, f"{self.name}:{part}"}.isdisjoint(self.limits.empty):
                continue
            reason = f"{part}, which {self.left.name} is made of, is empty, and {lost} of {self.display_name} would go"
            yield Violation(reason, _EMPTY_PART, "empty", [f"{self.name}:{part}"])

    def _parts(self) -> Iterator[str]:
        """Yield a sentence for each part of which nothing, or less than half, is left."""
        lost = {part: count for part, count in self.counts.parts.items() if not is_blank(part)}
        large = {part for part, count in lost.items() if count >= _SMALLEST_PART}
        if not large:
            return
        absent = list(_absent(large, self.left, part_reader(self.left, self.right)))
        large.difference_update(absent)
        for parts in _together([part for part in absent if f"{self.name}:{part}" not in self.limits.empty]):
            count, it = counted(sum(lost[part] for part in parts), "object"), "it" if len(parts) == 1 else "them"
            reason = f"{self.display_name}: the source has nothing of {_few_named(parts)}, and {count} of {it} would go"
            yield Violation(reason, _EMPTY_PART, "empty", [f"{self.name}:{part}" for part in parts])
        if isinstance(self.limits.deletions, int):
            return
        large = {part for part in large if lost[part] > FLOOR}
        sizes = _sizes({part: 2 * lost[part] for part in large}, self.right, part_reader(self.right, self.left))
        halved = [part for part in large if sizes[part] >= _TEN and lost[part] * 2 > sizes[part]]
        for parts in _together(sorted(halved, key=repr)):
            gone, whole = sum(lost[part] for part in parts), sum(sizes[part] for part in parts)
            each = "more than half" if len(parts) == 1 else "more than half of each"
            objects = f"{gone:,} of {counted(whole, 'object')} of {_few_named(parts)}"
            reason = f"{self.display_name}: {objects} would go, {each}"
            yield Violation(reason, _RAISE, "deletions", self.needed["deletions"])

    # Attributes.

    def _attributes(self) -> Iterator[str]:
        counts, limits = self.counts, self.limits
        for attribute, count in sorted(counts.replaced.items()):
            blanked = counts.blanked[attribute]
            name = f"{self.name}.{attribute}"
            lacking = attribute in self.left.absent and count > FLOOR and self._is_constant_in_source(attribute)
            if not {attribute, name}.isdisjoint(limits.missing):
                continue
            if (count if lacking else blanked) > FLOOR and (lacking or self._is_blank_in_source(attribute)):
                fault = "has no column" if lacking else "has in none of its objects a value of"
                what = f"{counted(count, 'object')} of {self.display_name} would lose it"
                advice = "mend the source; only if that is meant, allow it with"
                yield Violation(f"{self.left.name} {fault} {attribute!r}, and {what}", advice, "missing", [name])
                continue
            yield from self._attribute("blanks", attribute, blanked, f"{blanked:,} blank {attribute!r}")
            if self.updates <= _allowed(limits.updates, self.size):  # otherwise that is said
                what = f"{count:,} other values of {attribute!r}"
                yield from self._attribute("updates", attribute, count, what)
            yield from self._switches(attribute, count)

    def _switches(self, attribute: str, count: int) -> Iterator[str]:
        """Yield a violation if too many objects lose a True that most have, or the like: nobody said what it means."""
        share = self.limits.switches
        least = _allowed(share, self.size // 2)
        if attribute == self.counts.active or count <= least:
            return
        for (old, new), switched in self.counts.switches[attribute].most_common(1):
            size = sum(isinstance(value, type(old)) and value == old for value in values_of(self.right, attribute))
            if switched > least and size * 2 > self.size:
                before, after = (self.right.shown(attribute, value) for value in (old, new))
                what = f"{switched:,} objects would have {attribute}={after}, no longer {before}"
                yield from self._excess("switches", switched, _allowed(share, size), size, what)

    def _is_constant_in_source(self, attribute: str) -> bool:
        """Say whether the source has one value alone: its default, if not computed from others."""
        values = values_of(self.left, attribute)
        first = next(values, None)
        return all(equal(value, first) for value in values)

    def _is_blank_in_source(self, attribute: str) -> bool:
        return all(map(is_blank, values_of(self.left, attribute)))

    def _attribute(self, limit: str, attribute: str, count: int, what: str) -> Iterator[str]:
        """Yield a violation if more values of an attribute are lost than a share of those that there are."""
        share = getattr(self.limits, limit)
        if count <= _allowed(share, 0):
            return
        base = 0
        if not isinstance(share, int):
            wanted = self._needed_base(count, share)
            base = count_values(self.right, attribute, wanted)
            if base >= wanted or count <= _allowed(share, base):
                return
        yield from self._excess(limit, count, _allowed(share, base), base, what)

    @staticmethod
    def _needed_base(count: int, share: float) -> int:
        """Return the number of values of which a count is no more than a share."""
        return math.ceil(count / share) if share else count + 1

    # Members.

    def _members(self) -> Iterator[str]:
        removed, added, limits = self.removals, self.counts.added, self.limits
        over: list[str] = []
        if removed > _allowed(limits.removals, 0):  # the members are counted only where that can matter
            over = list(self._over("removals", removed, _count_members(self.right)))
            yield from over
        losing = [
            one for one in self.counts.losing if one.size >= _TEN and one.count > _allowed(limits.removals, one.size)
        ]
        yield from () if over else self._of_one("removals", "lose", losing)
        if self.name in limits.first_load:
            return
        gaining = [one for one in self.counts.gaining if one.count > self._most_members(one)]
        if not gaining and added <= _allowed(limits.additions, 0, _FEW_MEMBERS):
            return
        members = _count_members(self.right)
        if members:
            over = list(self._excess("additions", added, _allowed(limits.additions, members, _FEW_MEMBERS), members))
            yield from over
        first = {one.attribute for one in gaining if _has_no_members(self.right, one.attribute)}
        gaining = [one for one in gaining if one.attribute not in first]
        yield from () if over else self._of_one("additions", "get", gaining)

    def _most_members(self, one: MembersChanged) -> int:
        """Return how many members one object may get."""
        target = self.left.references.get(one.attribute, "")
        keys = self.left.referenced_keys.get(target)
        few = _FEW_MEMBERS if keys is None else min(_FEW_MEMBERS, max(_TEN, math.ceil(len(keys) / 2)))
        return _allowed(self.limits.additions, one.size, few)

    def _of_one(self, limit: str, verb: str, changed: Sequence[MembersChanged]) -> Iterator[str]:
        if changed:
            some = ", ".join(
                f"{one.attribute} of {one.idnumber!r} would {verb} {one.count:,} ({one.size:,} now)"
                for one in changed[:_EXAMPLES]
            )
            more = f", and {len(changed) - _EXAMPLES:,} more such" if len(changed) > _EXAMPLES else ""
            share = getattr(self.limits, limit)
            allowed = f"{share:,}" if isinstance(share, int) else f"{share:.0%}"
            reason = f"{self.display_name}: {some}{more}, over the limit of {allowed} for each"
            yield Violation(reason, _RAISE, limit, self.needed[limit])

    # Sentences.

    def _over(self, limit: str, count: int, size: int) -> Iterator[str]:
        return self._excess(limit, count, _allowed(getattr(self.limits, limit), size), size)

    def _excess(self, limit: str, count: int, most: int, size: int, what: str = "") -> Iterator[str]:
        needed = max(count, self.needed.get(limit, 0))
        return _excess(count, limit, getattr(self.limits, limit), most, size, self.display_name, what, needed)


_EMPTY_PART = "look at the source; only if it is meant to be empty, allow that with"


def _together(parts: list[Any]) -> list[list[Any]]:
    """Return many parts together, since one sentence is enough for them; a few one by one."""
    return [parts] if len(parts) > _FEW_PARTS else [[part] for part in parts]


def _few_named(parts: Sequence[Any]) -> str:
    more = f" and {len(parts) - _SHOWN_PARTS:,} more" if len(parts) > _SHOWN_PARTS else ""
    return ", ".join(map(repr, parts[:_SHOWN_PARTS])) + more


def _allowed(limit: float, size: int, few: int = FLOOR) -> int:
    return limit if isinstance(limit, int) else max(few, math.ceil(limit * size))


def _allowed_deletions(limit: float, size: int) -> int:
    """Return how many of the objects may be deleted: as a share never all, and of a few at most half."""
    if isinstance(limit, int) or limit >= 1:
        return limit if isinstance(limit, int) else size
    return min(max(min(FLOOR, size // 2), math.ceil(limit * size)), size - 1)


_DONE: Final = {"deletions": "deleted", "updates": "changed"}


def _excess(
    count: int,
    name: str,
    limit: float,
    most: int,
    size: int,
    display_name: str,
    what: str = "",
    needed: int = 0,
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
        needed: The count to allow, if that must be more.
    """
    if count > most:
        share = math.ceil(limit * size)
        rule = "and at least" if most > share else "and never all, so" if most < share else "which is"
        allowed = f"{limit:,}" if isinstance(limit, int) else f"{limit:.0%} of {size:,}, {rule} {most:,}"
        known = not what and name in _DONE
        branch = display_name.rpartition(".")[2]
        subject = f"{count:,} of {size:,} {branch} would be {_DONE[name]}" if known else ""
        first = ("of a first load, allow it with", "first_load", [branch])
        also = first if name == "creations" and count > size else None
        reason = f"{display_name}: {what or counted(count, name[:-1])}, over the limit of {allowed}"
        yield Violation(reason, _RAISE, name, needed or count, subject=subject, also=also)


def _absent(parts: Collection[Any], side: Side, part_of: Callable[[Any, Any], Any] | None) -> list[Any]:
    """Return the parts of which a side has nothing."""
    rest = set(parts)
    if part_of is not None:
        for key, item in items_of(side):
            rest.discard(part_of(key, item))
            if not rest:
                break
    return sorted(rest, key=repr)


def _sizes(most: Mapping[Any, int], side: Side, part_of: Callable[[Any, Any], Any] | None) -> Counter[Any]:
    """Return how many objects of some parts a side has; no more than so many of each are looked for."""
    found: Counter[Any] = Counter()
    rest = set(most)
    if part_of is None or not most:
        return found
    for key, item in items_of(side):
        part = part_of(key, item)
        found[part] += 1
        if part in rest and found[part] >= most[part]:
            rest.discard(part)
            if not rest:
                break
    return found


def _memberships(side: Side, names: Iterable[str]) -> Iterator[Any]:
    names = tuple(names)
    for key, item in side.objects.items():
        yield from (value for value in (side.read(key, item, name) for name in names) if is_membership(value))


def _count_members(side: Side) -> int:
    """Return how many members all memberships of a side's objects have."""
    return sum(map(len, _memberships(side, (*side.attributes, *side.child_fields))))


def _has_no_members(side: Side, attribute: str) -> bool:
    return not any(map(len, _memberships(side, (attribute,))))
