"""The check of two sides before a comparison: their branches, their attributes, and the types of their values."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from datastoresync.conversion.scalars import SCALARS
from datastoresync.diffing.equality import comparable
from datastoresync.diffing.side import Block, Side, read_blocks
from datastoresync.errors import DeclarationError, SchemaMismatchError
from datastoresync.spelling import closest, nearest

_PLAIN = frozenset({*SCALARS} - {datetime.datetime})
"""Types of which any two values are comparable."""
_SAMPLES = 100
"""The most pairs of objects that are compared where no key is on both sides."""


def check_related(tree: str, branch: str, classes: Mapping[str, Any]) -> None:
    """Refuse a class whose ``_children`` or ``_references`` name branches or fields that do not exist.

    Args:
        tree: The name of the tree.
        branch: The name of the branch of the class.
        classes: The classes of the branches of the tree.

    Raises:
        DeclarationError: for the first one; suggests the nearest name.
    """
    cls, names = classes[branch], list(classes)
    for relation, targets in (("has children in", cls._children), ("refers to", cls._references.values())):
        for name in targets:
            if name not in names:
                message = f"{tree}.{branch} {relation} {name!r}, which is no branch of {tree}: {nearest(name, names)}"
                raise DeclarationError(message)
    for name, field in cls._children.items():
        related = (cls, classes[name])
        known = [{one.name for one in getattr(each, "__attrs_attrs__", ())} for each in related]
        if all(known) and not any(hasattr(each, field) for each in related):
            message = (
                f"{tree}.{branch} has children in {name!r} by {field!r}, which neither {cls.__name__} nor "
                f"{classes[name].__name__} has: {nearest(field, sorted(known[0] | known[1]))}"
            )
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
            problems.append(_problem("idnumber", left, right, left_key, right_key))
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
                problems[name] = _problem(name, left, right, value, old_value, where)
    for name in names:
        if name in problems or comparable(*(_some(side, name) for side in (left, right))):
            continue
        value, old_value = (_first(side, name) for side in (left, right))
        if not comparable(value, old_value):
            problems[name] = _problem(name, left, right, value, old_value)
    return list(problems.values())


def _problem(name: str, left: Side, right: Side, value: Any, old_value: Any, where: str = "") -> str:
    """Say that two values cannot be equal, and what to declare so that they can."""
    types = f"{_type(value)} in {left.name} and {_type(old_value)} in {right.name}"
    shown = f"{left.shown(name, value)} and {right.shown(name, old_value)}{where}"
    return f"{name}: {types} ({shown}): {_fix(name, left, right, value, old_value)}"


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
    if declared in (None, "Any", loser.declared.get(name)):
        declared = next((kind for each in (value, old_value) if "float" in (kind := _type(each))), _type(better))
        if _type(value) == _type(old_value):
            return "give all a time zone, or none"
    owner = f"a class for {loser.name}" if loser.owner == "Object" else loser.owner
    return f"declare `{name}: {declared}` in {owner}, so that it is converted when it is imported"
