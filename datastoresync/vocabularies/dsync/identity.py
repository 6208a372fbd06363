"""Unique ids as text: what diffsync joined with two underscores, but so that different things have different ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import total_ordering
from itertools import combinations, product
from typing import Any

_JOINT = "__"


class UniqueId(str):
    """The text of a unique id, as a field that holds children has it, which knows the key that it stands for."""

    __slots__ = ("key",)

    key: Any


def unique_id_of(key: Any, text: str | None = None) -> str:
    """Return what a field holds for the child under this key: its text, or the one that somebody has written."""
    if isinstance(key, str):
        return key
    found = UniqueId(text_of(key) if text is None else text)
    found.key = key
    return found


def keys_of(members: Iterable[Any]) -> list[Any]:
    """Return the keys of children that a field holds; what is no unique id is a key itself."""
    return [member.key if type(member) is UniqueId else member for member in members]


@total_ordering
class _Absence:
    """Stands for None in a composite key, so that it can be sorted beside others: before them all."""

    def __eq__(self, other: object) -> bool:
        return other is None or other is self

    def __hash__(self) -> int:
        return hash(None)

    def __lt__(self, other: object) -> bool:
        return self != other

    def __repr__(self) -> str:
        return "None"

    def __reduce__(self) -> str:
        return "_ABSENCE"  # a copy is the same one


_ABSENCE = _Absence()


def absence_marked(key: Any) -> Any:
    """Return a composite key that can be sorted: equal to the one given, whose parts may be None."""
    if type(key) is tuple and None in key:
        return tuple(_ABSENCE if part is None else part for part in key)
    return key


def without_absence(part: Any) -> Any:
    """Return an identifier as it was given."""
    return None if part is _ABSENCE else part


def text_of(key: Any) -> str:
    """Return the unique id of a key as text.

    The parts of a composite key are joined with two underscores, unless another key would give the same text: then
    it is the tuple as Python writes it.

    >>> text_of("nyc"), text_of(("nyc", 1)), text_of(("u__v", "w")), text_of(("u", "v__w"))
    ('nyc', 'nyc__1', "('u__v', 'w')", "('u', 'v__w')")
    """
    if not isinstance(key, tuple):
        return str(key)
    parts = [str(part) for part in key]
    joined = _JOINT.join(parts)
    return repr(key) if joined.startswith("(") or joined.split(_JOINT) != parts else joined


def find(
    text: str, keys: Collection[Any], names: tuple[str, ...], convert: Callable[[str, str], Any], *, plain: bool = False
) -> list[Any]:
    """Return the keys that a text may stand for: one, none, or several where old code joined it ambiguously.

    Args:
        text: A unique id, as `text_of` or old code writes it.
        keys: Those there are, to be looked up in.
        names: The names of the identifiers that a key is made of.
        convert: Takes the name of an identifier and a text, and returns its value, or raises ValueError or TypeError.
        plain: Whether every identifier reads as it is written, so that no key needs to be looked at one by one.
    """
    found: dict[Any, None] = {}
    for parts in _splits(text, len(names)):
        choices = [_choices(convert, name, part) for name, part in zip(names, parts, strict=True)]
        for values in product(*choices):
            key = values if len(values) > 1 else values[0]
            if key in keys and [str(value) for value in values] == parts:
                found[key] = None
    # What is left is what reads differently than it is written, such as an Enum, and tuples as Python writes them.
    if found or (plain and not text.startswith("(")):
        return list(found)
    return [key for key in keys if text_of(key) == text]


def _choices(convert: Callable[[str, str], Any], name: str, part: str) -> list[Any]:
    """Return the values that a part of a text may stand for."""
    try:
        value = convert(name, part)
    except (ValueError, TypeError):
        return [None] if part == "None" else []
    return [value, None] if part == "None" and value is not None else [value]


def _splits(text: str, count: int) -> Iterator[list[str]]:
    """Yield every way to take a joined text apart into so many parts."""
    joints = [place for place in range(len(text)) if text.startswith(_JOINT, place)]
    for chosen in combinations(joints, count - 1):
        starts = [0, *(place + len(_JOINT) for place in chosen)]
        ends = [*chosen, len(text)]
        if all(start <= end for start, end in zip(starts, ends, strict=True)):
            yield [text[start:end] for start, end in zip(starts, ends, strict=True)]
