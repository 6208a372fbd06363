"""Equality of values and memberships, and which types can be equal."""

from __future__ import annotations

import datetime
import decimal
import enum
import numbers
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from datastoresync.conversion.scalars import SCALARS, instant

_MEMBERSHIPS = (set, frozenset, list)

_FAMILIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "str"),
    (numbers.Number, "number"),
    *((scalar.cls, scalar.family) for scalar in SCALARS.values()),
    ((bytearray, memoryview), "bytes"),
    (_MEMBERSHIPS, "membership"),
    (tuple, "tuple"),
    (Mapping, "mapping"),
)
_PLAIN = frozenset({type(None), *SCALARS} - {datetime.datetime})
_FIXED = frozenset({type(None), datetime.timezone})
_CLOSER_LOOK = (datetime.datetime, *_MEMBERSHIPS, tuple, Mapping)
_SORTED_BY_VALUE = frozenset(scalar.family for scalar in SCALARS.values()) - {"number", "date", "datetime"}


def is_blank(value: Any) -> bool:
    """Say whether a value says nothing: None, an empty text, a membership without members."""
    return value is None or (isinstance(value, (str, bytes, set, frozenset, list, tuple, Mapping)) and not value)


def is_membership(value: Any) -> bool:
    """Say whether a value is a membership: its order carries no meaning, and it changes member by member."""
    return isinstance(value, _MEMBERSHIPS)


def members_of(value: Any) -> Iterable[Any]:
    """Return the members of a membership, or the value alone if it is none."""
    return value if is_membership(value) else (value,)


def equal(left: Any, right: Any) -> bool:
    """Say whether two values are the same. NaN is; ``1`` and ``"1"`` are not; memberships are without order.

    Moments with a time zone are the same at one instant. Inside a mapping, as JSON documents are, lists have an order,
    and a truth value is no number.

    >>> equal(float("nan"), float("nan")), equal([1, 2], [2, 1]), equal((1, 2), (2, 1)), equal(1, "1")
    (True, True, False, False)
    >>> equal({"a": [1, 2]}, {"a": [2, 1]}), equal({"a": True}, {"a": 1})
    (False, False)
    """
    if left is right:
        return True
    if is_membership(left) and is_membership(right):
        if type(left) is type(right) and left == right and _PLAIN.issuperset(map(type, left)):
            return True
        added, removed = membership_changes(left, right)
        return not added and not removed
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal_inside(left[name], right[name]) for name in left)
    if isinstance(left, datetime.datetime) and isinstance(right, datetime.datetime):
        left, right = instant(left), instant(right)
    if left == right:
        return True
    return _is_nan(left) and _is_nan(right)


def equal_inside(left: Any, right: Any) -> bool:
    """Say whether two values are the same inside a document."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal_inside, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and equal(left, right)


def columns_differ(values: Sequence[Any], old_values: Sequence[Any]) -> list[bool]:
    """Say of each pair of values of an attribute whether they may differ; no difference is missed.

    It costs one comparison in C a pair, and a closer look only where Python takes for equal what is not.
    """
    differ = list(map(operator.ne, values, old_values))
    if not _python_knows(values):
        differ = [flag or not equal_inside(*pair) for flag, *pair in zip(differ, values, old_values, strict=True)]
    return differ


def rows_differ(rows: Sequence[Sequence[Any]], old_rows: Sequence[Sequence[Any]]) -> list[bool]:
    """Say of each pair of rows of values whether they may differ; no difference is missed."""
    differ = list(map(operator.ne, rows, old_rows))
    if _PLAIN.issuperset(map(type, chain.from_iterable(rows))):
        return differ
    for index, values in enumerate(zip(*rows, strict=True)):
        if not _python_knows(values):
            pairs = zip(differ, values, map(operator.itemgetter(index), old_rows), strict=True)
            differ = [flag or not equal_inside(*pair) for flag, *pair in pairs]
    return differ


def _python_knows(values: Sequence[Any]) -> bool:
    """Say whether values that ``==`` calls equal are so: no moments of a time zone, and nothing that has members."""
    kinds = set(map(type, values)) - _PLAIN
    if kinds == {datetime.datetime}:
        moments = (value.tzinfo for value in values if value is not None and type(value) is datetime.datetime)
        return _FIXED.issuperset(map(type, moments))
    return not any(issubclass(kind, _CLOSER_LOOK) for kind in kinds)


def _is_nan(value: Any) -> bool:
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    return isinstance(value, (float, datetime.datetime)) and value != value  # noqa: PLR0124 - only NaN differs from itself


def sort_key(value: Any) -> tuple[str, Any, str]:
    """Return a key that sorts values of any types reproducibly, by value where they can be compared."""
    kind = type_family(value)
    if isinstance(value, datetime.datetime) and kind != "None":
        return (kind, instant(value), "")
    if kind in _SORTED_BY_VALUE or type(value) is datetime.date:
        return (kind, value, "")
    if kind == "number" and not isinstance(value, complex) and not _is_nan(value):
        return (kind, value, type(value).__name__)
    return (f"{kind}:{type(value).__name__}", repr(value), "")


def _ordered(values: Iterable[Any]) -> list[Any]:
    found = list(values)
    try:
        return sorted(found, key=sort_key)
    except TypeError:  # a str subclass with a comparison of its own, say
        return sorted(found, key=repr)


def membership_changes(value: Iterable[Any], old_value: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return the members to add to ``old_value`` and those to remove, each sorted, so that it becomes ``value``.

    A member counts as often as it stands there in two lists, and once as soon as one side is a set.

    >>> membership_changes(["b", "a"], ["c", "a", "a"])
    (['b'], ['a', 'c'])
    """
    as_sets = not (isinstance(value, list) and isinstance(old_value, list))
    left, right = _ordered(value), _ordered(old_value)  # so that of 0 and False always the same one is first
    try:
        added, removed = _hashed_changes(left, right, as_sets=as_sets)
    except TypeError:  # members that cannot be hashed, such as dictionaries
        added, removed = _plain_changes(left, right, as_sets=as_sets)
    return _ordered(added), _ordered(removed)


class _NaN:
    """Stands for every NaN as a dictionary key."""


def _name(member: Any) -> Any:
    """Return a dictionary key that is equal for equal members."""
    if isinstance(member, tuple):
        return tuple(map(_name, member))
    if isinstance(member, datetime.datetime):
        member = instant(member)
    return _NaN if _is_nan(member) else member


def _hashed_changes(left: list[Any], right: list[Any], *, as_sets: bool) -> tuple[list[Any], list[Any]]:
    counts: dict[Any, int] = {}
    members: dict[Any, Any] = {}
    for side, step in ((left, 1), (right, -1)):
        names = [_name(member) for member in side]
        for name, member in zip(names, side, strict=True):
            members.setdefault(name, member)
        for name in set(names) if as_sets else names:
            counts[name] = counts.get(name, 0) + step
    added = [members[name] for name, count in counts.items() for _ in range(count)]
    removed = [members[name] for name, count in counts.items() for _ in range(-count)]
    return added, removed


def _plain_changes(left: list[Any], right: list[Any], *, as_sets: bool) -> tuple[list[Any], list[Any]]:
    def position(values: Sequence[Any], member: Any) -> int:
        same = equal_inside if isinstance(member, list) else equal
        return next((index for index, value in enumerate(values) if same(value, member)), -1)

    if as_sets:
        left = [member for index, member in enumerate(left) if position(left[:index], member) < 0]
        right = [member for index, member in enumerate(right) if position(right[:index], member) < 0]
    added: list[Any] = []
    removed = list(right)
    for member in left:
        index = position(removed, member)
        if index < 0:
            added.append(member)
        else:
            del removed[index]
    return added, removed


def type_family(value: Any) -> str:
    """Return the family of a value's type: only values of one family can be equal.

    >>> type_family(1) == type_family(1.0), type_family(1) == type_family("1")
    (True, False)
    """
    if value is None:
        return "None"
    if isinstance(value, datetime.datetime):
        if value != value:  # noqa: PLR0124 - the NaT of pandas, which stands for no time at all
            return "None"
        return "datetime without a time zone" if value.utcoffset() is None else "datetime with a time zone"
    for types, name in _FAMILIES:
        if isinstance(value, types):
            return name
    if isinstance(value, enum.Enum):
        return f"Enum {type(value).__name__}"
    return "other"


def comparable(left: Any, right: Any) -> bool:
    """Say whether values of these two types can be equal at all; None and unknown types always may."""
    kinds = {type_family(left), type_family(right)}
    if len(kinds) == 1:
        if kinds == {"membership"} and left and right:
            return any(comparable(one, other) for one in _kinds(left) for other in _kinds(right))
        if kinds == {"number"} and {type(left), type(right)} == {float, decimal.Decimal}:
            # 0.1 is not exactly Decimal("0.1"): it would be written every night, and differ again the next.
            return not equal(float(left), float(right)) or bool(left == right)
        if kinds == {"tuple"} and len(left) == len(right):
            return all(map(comparable, left, right))
        return True
    # What JSON has may be an object in one document and an array in the next one; no conversion makes one the other.
    return "None" in kinds or "other" in kinds or kinds == {"mapping", "membership"}


def _kinds(members: Iterable[Any]) -> list[Any]:
    """Return one member of each type."""
    first: dict[Callable[..., Any], Any] = {}
    for member in members:
        first.setdefault(type(member), member)
    return list(first.values())
