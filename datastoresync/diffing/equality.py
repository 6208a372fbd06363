"""Equality of values and memberships, which types can be equal, and the check of two sides before a comparison."""

from __future__ import annotations

import datetime
import decimal
import enum
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from datastoresync.conversion.scalars import SCALARS
from datastoresync.diffing.side import Block, Side, read_blocks
from datastoresync.errors import DeclarationError, SchemaMismatchError
from datastoresync.spelling import closest, nearest

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
_SORTED_BY_VALUE = frozenset(scalar.family for scalar in SCALARS.values()) - {"number", "date", "datetime"}


def is_membership(value: Any) -> bool:
    """Say whether a value is a membership: its order carries no meaning, and it changes member by member."""
    return isinstance(value, _MEMBERSHIPS)


def members_of(value: Any) -> Iterable[Any]:
    """Return the members of a membership, or the value alone if it is none."""
    return value if is_membership(value) else (value,)


def equal(left: Any, right: Any) -> bool:
    """Say whether two values are the same. NaN is; ``1`` and ``"1"`` are not; memberships are without order.

    >>> equal(float("nan"), float("nan")), equal([1, 2], [2, 1]), equal((1, 2), (2, 1)), equal(1, "1")
    (True, True, False, False)
    """
    if left is right:
        return True
    if is_membership(left) and is_membership(right):
        if type(left) is type(right) and left == right:
            return True
        added, removed = membership_changes(left, right)
        return not added and not removed
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
    if left == right:
        return True
    return _is_nan(left) and _is_nan(right)


def _is_nan(value: Any) -> bool:
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    return isinstance(value, (float, datetime.datetime)) and value != value  # noqa: PLR0124 - only NaN differs from itself


def sort_key(value: Any) -> tuple[str, Any, str]:
    """Return a key that sorts values of any types reproducibly, by value where they can be compared."""
    kind = type_family(value)
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
        return next((index for index, value in enumerate(values) if equal(value, member)), -1)

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
    return "None" in kinds or "other" in kinds


def _kinds(members: Iterable[Any]) -> list[Any]:
    """Return one member of each type."""
    first: dict[Callable[..., Any], Any] = {}
    for member in members:
        first.setdefault(type(member), member)
    return list(first.values())


_PLAIN = frozenset({*SCALARS} - {datetime.datetime})
"""Types of which any two values are comparable."""
_SAMPLES = 100
"""The most pairs of objects that are compared where no key is on both sides."""


def check_related(tree: str, branch: str, cls: Any, branches: Iterable[str]) -> None:
    """Refuse a class whose ``_children`` or ``_references`` name branches that do not exist.

    Args:
        tree: The name of the tree.
        branch: The name of the branch of the class.
        cls: The class.
        branches: The names of the branches of the tree.

    Raises:
        DeclarationError: for the first one; suggests the nearest name.
    """
    names = list(branches)
    for relation, targets in (("has children in", cls._children), ("refers to", cls._references.values())):
        for name in targets:
            if name not in names:
                message = f"{tree}.{branch} {relation} {name!r}, which is no branch of {tree}: {nearest(name, names)}"
                raise DeclarationError(message)


def check_branches(source: tuple[str, Sequence[str]], dest: tuple[str, Sequence[str]]) -> None:
    """Refuse two trees with different branches; each is given by its name and the names of its branches.

    Raises:
        SchemaMismatchError: with a sentence for each branch that one of them lacks.
    """
    problems = [
        f"{has} has a branch {name!r}, {lacks} does not: declare it there, or call it _{name} if it only feeds others"
        for (has, names), (lacks, other_names) in ((source, dest), (dest, source))
        for name in sorted(set(names) - set(other_names))
    ]
    if problems:
        message = "the two trees cannot be compared:" + "".join(f"\n  - {problem}" for problem in problems)
        raise SchemaMismatchError(message, problems=problems)


def raise_problems(problems: Sequence[str]) -> None:
    """Raise one error for all problems, if there are any.

    Raises:
        SchemaMismatchError: with a sentence for each of them.
    """
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        message = f"the two sides cannot be compared:{lines}"
        raise SchemaMismatchError(message, problems=problems)


def check_attributes(left: Side, right: Side) -> list[str]:
    """Return a sentence for each attribute that only one side has, and for keys that cannot be compared."""
    problems = []
    if left.objects and right.objects and not _keys_comparable(*_some_keys(left, right)):
        left_key, right_key = next(iter(left.objects)), next(iter(right.objects))
        if not _keys_comparable(left_key, right_key):
            problems.append(
                f"idnumber: {_type(left_key)} in {left.name} and {_type(right_key)} in {right.name} "
                f"({left_key!r} and {right_key!r}): "
                f"{_fix('idnumber', left, right, left_key, right_key)}"
            )
    if any(side.sparse and not side.objects for side in (left, right)):
        return problems  # an open class without objects has no attributes yet
    for has, lacks in ((left, right), (right, left)):
        for name in sorted(set(has.attributes) - set(lacks.attributes)):
            near = closest(name, set(lacks.attributes) - set(has.attributes))
            meant = f" (which has {near!r})" if near else ""
            problems.append(
                f"{name}: {has.name} has it, {lacks.name} does not{meant}: give {lacks.owner} a field or a property "
                f"{name!r}, or {has.owner} a leading underscore (_{name}) if it is not to be synced"
            )
    return problems


def _some_keys(*sides: Side) -> Iterable[Any]:
    """Yield a sample key of each side: the first one, or one that takes no sorting."""
    for side in sides:
        sample = getattr(side.objects, "sample_key", None)
        yield next(iter(side.objects)) if sample is None else sample


def _keys_comparable(left_key: Any, right_key: Any) -> bool:
    if isinstance(left_key, tuple) and isinstance(right_key, tuple) and len(left_key) != len(right_key):
        return False
    return comparable(left_key, right_key)


def check_types(left: Side, right: Side, read: Iterable[Block], *, matched: int) -> list[str]:
    """Return a sentence for each attribute with values that cannot be equal, with the first such pair.

    Only values that differ are checked: those of incomparable types always do. Where no key is on both sides, the
    first values of one side are checked against those of the other.
    """
    exempt = left.flexible | right.flexible
    names = [name for name in left.attributes if name not in exempt]
    problems: dict[str, str] = {}
    for block in read if matched else read_blocks(left, right, _sample_pairs(left, right)):
        for index, column in block.differing_columns:
            name, values, old_values = block.columns[column]
            value, old_value = values[index], old_values[index]
            if type(value) is type(old_value) and type(value) in _PLAIN:
                continue
            if name not in problems and name not in exempt and not comparable(value, old_value):
                where = f" at idnumber {block.keys[index]!r}" if matched else ""
                problems[name] = (
                    f"{name}: {_type(value)} in {left.name} and {_type(old_value)} in {right.name} "
                    f"({left.shown(name, value)} and {right.shown(name, old_value)}{where}): "
                    f"{_fix(name, left, right, value, old_value)}"
                )
    for name in names:
        if name in problems or comparable(*(_some(side, name) for side in (left, right))):
            continue
        value, old_value = (_first(side, name) for side in (left, right))
        if not comparable(value, old_value):
            problems[name] = (
                f"{name}: {_type(value)} in {left.name} and {_type(old_value)} in {right.name} "
                f"({left.shown(name, value)} and {right.shown(name, old_value)}): "
                f"{_fix(name, left, right, value, old_value)}"
            )
    return list(problems.values())


def _some(side: Side, name: str) -> Any:
    """Return a sample value: one that takes no sorting of objects, or the first."""
    sample = getattr(side.objects, "sample", {}).get(name)
    return _first(side, name) if sample is None else sample


def _first(side: Side, name: str) -> Any:
    """Return the first value that is not None."""
    for key, item in islice(side.objects.items(), _SAMPLES):
        value = side.read(key, item, name)
        if value is not None:
            return value
    return None


def _sample_pairs(left: Side, right: Side) -> Iterable[tuple[Any, Any, Any]]:
    """Pair the first objects of both sides, where no key is on both."""
    return (
        (key, left.objects[key], right.objects[other])
        for key, other in islice(zip(left.objects, right.objects, strict=False), _SAMPLES)
    )


def _type(value: Any) -> str:
    if isinstance(value, (set, frozenset, list, tuple)) and value:
        return f"{type(value).__name__}[{' | '.join(sorted({type(member).__name__ for member in value}))}]"
    offset = getattr(value, "utcoffset", None)
    if offset is not None:
        return f"{type(value).__name__} {'without' if offset() is None else 'with'} a time zone"
    return type(value).__name__


def _fix(name: str, left: Side, right: Side, value: Any, old_value: Any) -> str:
    """Return what to declare: the richer of the two types, on the side whose values are text."""
    if _type(value).startswith("datetime") and _type(old_value).startswith("datetime"):
        return "give both a time zone, or neither"
    if isinstance(value, float) or isinstance(old_value, float):
        decimals = right if isinstance(value, float) else left
        if not isinstance(value, str) and not isinstance(old_value, str):
            return f"declare `{name}: float` in {decimals.owner}, since a float is seldom exactly a Decimal"
    loser, better = (left, old_value) if isinstance(value, str) else (right, value)
    if not isinstance(value, str) and not isinstance(old_value, str):
        loser, better = right, value
    declared = (right if loser is left else left).declared.get(name)
    if declared in (None, "Any"):
        declared = _type(better)
    owner = f"a class for {loser.name}" if loser.owner == "Object" else loser.owner
    return f"declare `{name}: {declared}` in {owner}, so that it is converted when it is imported"
