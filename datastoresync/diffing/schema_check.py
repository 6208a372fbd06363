"""Check that two sides can be compared, made before any action exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from typing import Any
from uuid import UUID

from datastoresync.diffing.compare import Block, blocks
from datastoresync.diffing.equality import comparable
from datastoresync.diffing.side import Side
from datastoresync.errors import DeclarationError, SchemaMismatchError

_PLAIN = frozenset({str, int, bool, float, Decimal, bytes, date, time, timedelta, UUID})
"""Types whose values can be equal to any other of the same type, which need no closer look."""
_STRANGERS = 100
"""How many objects to hold against each other where no two belong together."""


def check_children(tree: str, children: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse children in branches that are not there; ``children`` has the ``_children`` of each branch's class.

    Raises:
        DeclarationError: naming the first, and the nearest branch that is there.
    """
    for name, below in children.items():
        for child in below:
            if child not in children:
                near = get_close_matches(child, list(children), 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(children)}"
                message = f"{tree}.{name} has children in {child!r}, which is no branch of {tree}: {hint}"
                raise DeclarationError(message)


def check_branches(source: tuple[str, Sequence[str]], dest: tuple[str, Sequence[str]]) -> None:
    """Refuse two trees, each given by its name and its branches' names, that do not have the same branches.

    Raises:
        SchemaMismatchError: naming each branch that one of them lacks.
    """
    problems = [
        f"{has} has a branch {name!r}, {lacks} does not: declare it there, or call it _{name} if it only feeds others"
        for (has, names), (lacks, others) in ((source, dest), (dest, source))
        for name in sorted(set(names) - set(others))
    ]
    if problems:
        message = "the two trees cannot be compared:" + "".join(f"\n  - {problem}" for problem in problems)
        raise SchemaMismatchError(message, problems=problems)


def refuse(problems: Sequence[str]) -> None:
    """Raise one error for all problems, if there are any.

    Raises:
        SchemaMismatchError: naming each of them.
    """
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        message = f"the two sides cannot be compared:{lines}"
        raise SchemaMismatchError(message, problems=problems)


def check_attributes(left: Side, right: Side) -> list[str]:
    """Return a sentence for each attribute that only one side has, and for keys of different types."""
    problems = []
    if left.objects and right.objects and not _keys_comparable(*_some_keys(left, right)):
        one, other = next(iter(left.objects)), next(iter(right.objects))
        if not _keys_comparable(one, other):
            problems.append(
                f"idnumber: {_type(one)} in {left.name} and {_type(other)} in {right.name} ({one!r} and {other!r}): "
                f"{_fix('idnumber', left, right, one, other)}"
            )
    if any(side.sparse and not side.objects for side in (left, right)):
        return problems  # an open class without objects has no attributes yet
    for has, lacks in ((left, right), (right, left)):
        for name in sorted(set(has.attributes) - set(lacks.attributes)):
            near = get_close_matches(name, set(lacks.attributes) - set(has.attributes), 1)
            meant = f" (which has {near[0]!r})" if near else ""
            problems.append(
                f"{name}: {has.name} has it, {lacks.name} does not{meant}: give {lacks.owner} a field or a property "
                f"{name!r}, or {has.owner} a leading underscore (_{name}) if it is not to be synced"
            )
    return problems


def _some_keys(*sides: Side) -> Iterable[Any]:
    """Return a key of each side, which stands for its others: the first, or one that is known without sorting them."""
    for side in sides:
        known = getattr(side.objects, "sample_key", None)
        yield next(iter(side.objects)) if known is None else known


def _keys_comparable(one: Any, other: Any) -> bool:
    if not comparable(one, other):
        return False
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(comparable, one, other))
    return True


def check_types(left: Side, right: Side, read: Iterable[Block], *, matched: int) -> list[str]:
    """Return a sentence for each attribute whose values cannot be equal in some pair, with the first such pair.

    Only values that differ need a look: those whose types cannot be equal are never equal. Where no key is on both
    sides, the values of one are held against those of the other.
    """
    exempt = left.flexible | right.flexible
    names = [name for name in left.attributes if name not in exempt]
    problems: dict[str, str] = {}
    for block in read if matched else blocks(left, right, _strangers(left, right)):
        for index, place in block.unlike:
            name, values, old_values = block.columns[place]
            value, old_value = values[index], old_values[index]
            if type(value) is type(old_value) and type(value) in _PLAIN:
                continue
            if name not in problems and name not in exempt and not comparable(value, old_value):
                where = f" at idnumber {block.keys[index]!r}" if matched else ""
                problems[name] = (
                    f"{name}: {_type(value)} in {left.name} and {_type(old_value)} in {right.name} "
                    f"({value!r} and {old_value!r}{where}): {_fix(name, left, right, value, old_value)}"
                )
    for name in names:
        if name in problems or comparable(*(_some(side, name) for side in (left, right))):
            continue
        value, old_value = (_first(side, name) for side in (left, right))
        if not comparable(value, old_value):
            problems[name] = (
                f"{name}: {_type(value)} in {left.name} and {_type(old_value)} in {right.name} "
                f"({value!r} and {old_value!r}): {_fix(name, left, right, value, old_value)}"
            )
    return list(problems.values())


def _some(side: Side, name: str) -> Any:
    """Return a value that stands for the others: one that is known without sorting objects, or the first."""
    known = getattr(side.objects, "sample", {}).get(name)
    return _first(side, name) if known is None else known


def _first(side: Side, name: str) -> Any:
    """Return the first value that is there, which stands for those of objects that only one side has."""
    for key, item in islice(side.objects.items(), _STRANGERS):
        value = side.read(key, item, name)
        if value is not None:
            return value
    return None


def _strangers(left: Side, right: Side) -> Iterable[tuple[Any, Any, Any]]:
    """Pair the first objects of both sides, when no two belong together."""
    return (
        (key, left.objects[key], right.objects[other])
        for key, other in islice(zip(left.objects, right.objects, strict=False), _STRANGERS)
    )


def _type(value: Any) -> str:
    if isinstance(value, (set, frozenset, list, tuple)) and value:
        return f"{type(value).__name__}[{' | '.join(sorted({type(member).__name__ for member in value}))}]"
    offset = getattr(value, "utcoffset", None)
    if offset is not None:
        return f"{type(value).__name__} {'without' if offset() is None else 'with'} a time zone"
    return type(value).__name__


def _fix(name: str, left: Side, right: Side, value: Any, old_value: Any) -> str:
    """Say what to declare: the richer of the two types, on the side whose values are text."""
    if _type(value).startswith("datetime") and _type(old_value).startswith("datetime"):
        return "give both a time zone, or neither"
    if isinstance(value, float) or isinstance(old_value, float):
        decimals = right if isinstance(value, float) else left
        if not isinstance(value, str) and not isinstance(old_value, str):
            return f"declare `{name}: float` in {decimals.owner}, since a float is seldom exactly a Decimal"
    loser, better = (left, old_value) if isinstance(value, str) else (right, value)
    if not isinstance(value, str) and not isinstance(old_value, str):
        loser, better = right, value
    wanted = (right if loser is left else left).declared.get(name) or _type(better)
    owner = f"a class for {loser.name}" if loser.owner == "Object" else loser.owner
    return f"declare `{name}: {wanted}` in {owner}, so that it is converted when it is imported"
