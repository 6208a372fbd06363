"""Unique ids as text: joined with two underscores as in diffsync, but unambiguous."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import total_ordering
from itertools import combinations, product
from typing import Any

_SEPARATOR = "__"


class UniqueId(str):
    """The text of a unique id in a field of children, with the key that it stands for."""

    __slots__ = ("key",)

    key: Any


def unique_id_of(key: Any, text: str | None = None) -> str:
    """Return the member of a field for the child with this key: its text, or the given one."""
    if isinstance(key, str) and text in (None, key):
        return key
    found = UniqueId(text_of(key) if text is None else text)
    found.key = key
    return found


def keys_of(members: Iterable[Any]) -> list[Any]:
    """Return the keys of the children in a field; a member that is no unique id is a key itself."""
    return [member.key if type(member) is UniqueId else member for member in members]


@total_ordering
class _Sortable:
    """A part of a key whose type has no order, or that is among parts of other types; None comes first.

    It is equal to the value itself, and otherwise to what has its type and its text.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return _order(self.value) == _order(original_part(other))

    def __hash__(self) -> int:
        try:
            return hash(self.value)
        except TypeError:
            return hash(str(self.value))

    def __lt__(self, other: object) -> bool:
        return _order(self.value) < _order(original_part(other))

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def _order(value: Any) -> tuple[bool, str, str]:
    return value is not None, type(value).__qualname__, str(value)


def sortable_part(value: Any, sortable: type) -> Any:
    """Return a part of a key: itself if it is a text or of the type that can be sorted, otherwise what can be."""
    return value if type(value) in (sortable, str) else _Sortable(value)


def original_part(part: Any) -> Any:
    """Return a part of a key as it was given."""
    return part.value if type(part) is _Sortable else part


def text_of(key: Any) -> str:
    """Return the unique id of a key as text.

    The parts of a composite key are joined with two underscores, unless another key has the same text: then it
    is the repr of the tuple.

    >>> text_of("nyc"), text_of(("nyc", 1)), text_of(("u__v", "w")), text_of(("u", "v__w"))
    ('nyc', 'nyc__1', "('u__v', 'w')", "('u', 'v__w')")
    """
    if not isinstance(key, tuple):
        return str(key)
    if not key:
        return ""  # a model without identifiers is the only one of its kind
    parts = [str(part) for part in key]
    joined = _SEPARATOR.join(parts)
    unlike = parts and (joined.startswith("(") or joined.split(_SEPARATOR) != parts)
    return repr(key) if unlike else joined


def find_keys(
    text: str, keys: Collection[Any], names: tuple[str, ...], convert: Callable[[str, str], Any], *, plain: bool = False
) -> list[Any]:
    """Return the keys that a text may stand for: one, none, or several if the text is ambiguous.

    Args:
        text: A unique id, as `text_of` or old code writes it.
        keys: The existing keys.
        names: The names of the identifiers that a key is made of.
        convert: Takes the name of an identifier and a text, and returns its value, or raises ValueError or TypeError.
        plain: Whether the text of every identifier converts back to it, so that no search is needed.
    """
    found: dict[Any, None] = {}
    for parts in _splits(text, len(names)):
        choices = [_choices(convert, name, part) for name, part in zip(names, parts, strict=True)]
        for values in product(*choices):
            key = values if len(values) > 1 else values[0]
            if key in keys and [str(value) for value in values] == parts:
                found[key] = None
    # The others are values whose text does not convert back, such as an Enum, and reprs of tuples.
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
    """Yield all splits of a joined text into that number of parts."""
    separators = [index for index in range(len(text)) if text.startswith(_SEPARATOR, index)]
    for chosen in combinations(separators, count - 1):
        starts = [0, *(index + len(_SEPARATOR) for index in chosen)]
        ends = [*chosen, len(text)]
        if all(start <= end for start, end in zip(starts, ends, strict=True)):
            yield [text[start:end] for start, end in zip(starts, ends, strict=True)]
