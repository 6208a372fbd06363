"""What the actions of one branch would change, counted while they pass: objects, values, members, parts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, groupby, islice
from numbers import Number
from operator import attrgetter, not_
from typing import Any

import attrs

from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import BranchDiff
from datastoresync.diffing.equality import is_blank, is_membership
from datastoresync.diffing.side import Side
from datastoresync.errors import ComparisonError

FLOOR = 5
"""The least that a share amounts to, so that a class of twenty can lose four pupils."""
_BLOCK = 1024
"""Actions that are counted together."""
_SAMPLE = 100_000
"""Rows of a table that are read to learn how many of them have a value."""


_STATES = 100
"""Changes of one value to another from which on an attribute does not tell what is on and off."""
_OFF = {"false", "no", "n", "f", "off", "0", "inactive", "disabled", "deactivated", "suspended", "blocked", "locked"}
"""What says that an object is switched off: texts, and names of attributes that are true of it then."""


def is_inverted(attribute: str | None) -> bool:
    """Say whether an attribute is called like what is true of objects that are switched off."""
    return attribute is not None and attribute.lower().removeprefix("is_") in _OFF


def switches_off(value: Any, *, inverted: bool = False) -> bool:
    """Say whether an attribute that switches objects off does so with a value: all but True and numbers other than 0.

    What a text or a date means is not known, so that each change to it counts.

    Args:
        value: Its new value.
        inverted: Whether it is the other way round; see `is_inverted`.
    """
    return bool(value) is inverted if isinstance(value, Number) else True


def distinct_keys(*, streamed: bool) -> set[Any]:
    """Return a set for the keys of actions, or, of a streamed diff, what counts them."""
    return _DistinctCount() if streamed else set()


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

    def __bool__(self) -> bool:
        return self._count > 0


@attrs.frozen
class MembersChanged:
    """How many members one object gets or loses.

    Args:
        attribute: The attribute.
        idnumber: The object.
        count: How many.
        size: How many it has.
    """

    attribute: str
    idnumber: Any
    count: int
    size: int


class ChangeCounts:
    """The counts of one branch.

    Args:
        branch_diff: The branch.
        streamed: Whether its actions are too many for the memory.
    """

    def __init__(self, branch_diff: BranchDiff, *, streamed: bool) -> None:
        left, right = branch_diff.left, branch_diff.right
        self._right = right
        self._done = branch_diff.carried_out
        self._moves = {*left.child_fields, *right.child_fields}
        self.active = right.active or left.active
        self.part = part_reader(right, left)
        self.created = self.added = self.removed = 0
        self.deleted, self.updated, self.switched_off = (distinct_keys(streamed=streamed) for _ in range(3))
        self.replaced: Counter[str] = Counter()
        """Values that were not blank and become others, by attribute; blank ones as well."""
        self.blanked: Counter[str] = Counter()
        self.switches: defaultdict[str, Counter[tuple[Any, Any]]] = defaultdict(Counter)
        """Changes from what may be on to what is off, by attribute, as old value and new one; none if they are many."""
        self._stateless: set[str] = set()
        self.parts: Counter[Any] = Counter()
        """Objects that are deleted or switched off, by their part."""
        self.losing: list[MembersChanged] = []
        self.gaining: list[MembersChanged] = []

    def take(self, verb: str, actions: Iterable[Action]) -> None:
        """Count actions of one verb."""
        if verb == "new":
            done = self._done["new"]
            self.created += sum(map(not_, map(done.__contains__, map(attrgetter("idnumber"), actions))))
        elif verb == "old":
            self._take_deletions(actions)
        elif verb == "update":
            actions = iter(actions)
            while block := list(islice(actions, _BLOCK)):
                self._take_updates(block)
        else:
            self._take_members(verb, actions)

    def _take_deletions(self, actions: Iterable[Action]) -> None:
        if self.part is None:
            self.deleted.update(map(attrgetter("idnumber"), actions))
            return
        for action in actions:
            self.deleted.add(action.idnumber)
            self.parts[self.part(action.idnumber, action.dest)] += 1

    def _take_updates(self, block: list[Action]) -> None:
        self.updated.update(map(attrgetter("idnumber"), block))
        replaced = Counter(map(attrgetter("attr"), block))
        if self.active in replaced:
            self._take_switches(block)
        names, values, old_values = (list(map(attrgetter(name), block)) for name in ("attr", "value", "old_value"))
        self._take_states(zip(names, old_values, values, strict=True))
        if _any_false(old_values):
            replaced -= Counter(action.attr for action in block if is_blank(action.old_value))
        if _any_false(values):
            lost = (one for one in block if is_blank(one.value) and not is_blank(one.old_value))
            self.blanked.update(map(attrgetter("attr"), lost))
        self.replaced += replaced
        if any(map(is_membership, old_values)):
            for action in block:
                if is_membership(action.old_value) and not is_membership(action.value):
                    count = len(action.old_value)
                    self.removed += count
                    self.losing.append(MembersChanged(action.attr, action.idnumber, count, count))

    def _take_switches(self, block: list[Action]) -> None:
        inverted = is_inverted(self.active)
        for action in block:
            if action.attr == self.active and switches_off(action.value, inverted=inverted):
                self.switched_off.add(action.idnumber)
                if self.part is not None:
                    self.parts[self.part(action.idnumber, action.dest)] += 1

    def _take_states(self, changes: Iterable[tuple[str, Any, Any]]) -> None:
        changes = list(changes)
        try:
            counts = Counter(changes)
        except TypeError:  # some have no hash
            counts = Counter(one for one in changes if _is_switch(*one))
        for (attribute, old, new), count in counts.items():
            if attribute not in self._stateless and _is_switch(attribute, old, new):
                found = self.switches[attribute]
                found[old, new] += count
                if len(found) > _STATES:
                    self._stateless.add(attribute)
                    del self.switches[attribute]

    def _take_members(self, verb: str, actions: Iterable[Action]) -> None:
        for (idnumber, attribute), members in groupby(actions, key=attrgetter("idnumber", "attr")):
            first, *others = members
            count = 1 + len(others)
            moved = attribute in self._moves
            if verb == "remove":
                self.removed += count
            elif not moved:
                self.added += count
            if count > FLOOR and not moved and first.dest is not None:
                size = len(self._right.read(idnumber, first.dest, attribute) or ())
                changed = self.losing if verb == "remove" else self.gaining
                changed.append(MembersChanged(attribute, idnumber, count, size))


def _is_switch(attribute: str, old: Any, new: Any) -> bool:
    """Say whether a value that may stand for on becomes one that stands for off."""
    on, off = (new, old) if is_inverted(attribute) else (old, new)
    state = isinstance(old, Number) or (isinstance(old, str) and old != "")
    return state and _is_off(off) and not _is_off(on) and isinstance(new, Hashable)


def _is_off(value: Any) -> bool:
    if isinstance(value, str):
        return value.casefold() in _OFF
    return isinstance(value, Number) and not value


def _any_false(values: list[Any]) -> bool:
    try:
        return any(map(not_, values))
    except Exception:  # noqa: BLE001 - the truth of an array, for example: each is looked at
        return True


def part_reader(side: Side, other: Side) -> Callable[[Any, Any], Any] | None:
    """Return what gives the part that an object with its key belongs to; None if there are no parts.

    Args:
        side: The side.
        other: The other one, whose parts are those of both if this one declares none.

    Raises:
        ComparisonError: by what is returned, if an object lacks the attribute, or a property raises.
    """
    part = side.part or other.part
    if part is None:
        return None
    if callable(part):
        return lambda _, item: part(item)

    def read(key: Any, item: Any) -> Any:
        try:
            return side.read(key, item, part)
        except ComparisonError as error:
            if hasattr(type(item), part):
                raise
            message = (
                f"{side.name}: {side.owner} has no attribute {part!r}, the part of {other.name}, and what would go is "
                f"looked up there: declare it in {side.owner}, or give that branch a part= of its own"
            )
            raise ComparisonError(message) from error

    return read


def items_of(side: Side) -> Iterator[tuple[Any, Any]]:
    """Yield keys and objects, in any order; those of a table pass by and are not kept."""
    objects: Any = side.objects
    passing = getattr(objects, "passing", None)
    if passing is None:
        return iter(dict.items(objects) if isinstance(objects, dict) else objects.items())  # past the sorting
    return (one for keys, items in passing() for one in zip(keys, items, strict=True))


def values_of(side: Side, attribute: str) -> Iterator[Any]:
    """Yield the values of an attribute, of one object after the other, as they are asked for."""
    if isinstance(side.objects, dict) and not (side.sparse or side.overrides or "." in attribute):
        return map(attrgetter(attribute), dict.values(side.objects))
    of_lines: Callable[[str], Iterator[Any]] | None = getattr(side.objects, "values_of", None)
    if of_lines is not None and attribute in side.objects.columns and not (side.sparse or side.overrides):  # type: ignore[attr-defined]  # they have both
        return of_lines(attribute)
    return (side.read(key, item, attribute) for key, item in items_of(side))


def count_values(side: Side, attribute: str, most: int) -> int:
    """Return how many objects have a value in an attribute; no more than ``most`` are looked for.

    Of a table, only the first rows are read, and the number is estimated by them.
    """
    if not hasattr(side.objects, "passing"):
        with suppress(Exception):  # the truth of an array, or a property that fails: the slow way says of which
            if sum(1 for _ in islice(filter(None, values_of(side, attribute)), most)) == most:
                return most
        return sum(1 for _ in islice((value for value in values_of(side, attribute) if not is_blank(value)), most))
    found = read = 0
    for value in islice(values_of(side, attribute), _SAMPLE):
        read += 1
        found += not is_blank(value)
        if found == most:
            return most
    return min(most, found if read < _SAMPLE else found * len(side.objects) // read)
