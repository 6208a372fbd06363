"""The values of pairs of objects, column by column, some pairs at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, islice, repeat
from operator import ne
from typing import Any

import attrs

from datastoresync.diffing.side import Side

__all__ = ["SIZE", "Block", "blocks", "in_blocks", "may_differ"]

SIZE = 1024
"""Pairs, or actions, that are looked at or made together."""

Triple = tuple[Any, Any, Any]
Reader = Callable[[Sequence[Any], Sequence[Any]], Iterable[Sequence[Any]]]
"""Gives the columns of values of objects, given their keys and themselves."""


@attrs.frozen(eq=False)
class Block:
    """Some pairs.

    Args:
        keys: Their keys.
        left: The source's objects.
        right: The destination's.
        columns: The name, the source's values and the destination's values of each attribute.
        unlike: Where these may differ: the index of the pair and the place of the attribute, pair by pair.
    """

    keys: Sequence[Any]
    left: Sequence[Any]
    right: Sequence[Any]
    columns: Sequence[tuple[str, Sequence[Any], Sequence[Any]]]
    unlike: Sequence[tuple[int, int]]


def blocks(left: Side, right: Side, pairs: Iterable[Triple]) -> Iterator[Block]:
    """Yield ``(key, left, right)`` triples with the values of their objects.

    Raises:
        ComparisonError: if a property raises.
    """
    return in_blocks(left.attributes, pairs, left.together, right.together)


def in_blocks(names: Sequence[str], pairs: Iterable[Triple], left: Reader, right: Reader) -> Iterator[Block]:
    """Yield triples with the values of the attributes of these names, which ``left`` and ``right`` give."""
    rest = iter(pairs)
    while some := list(islice(rest, SIZE)):
        keys, ones, others = zip(*some, strict=True)
        columns = list(zip(names, left(keys, ones), right(keys, others), strict=True))
        yield Block(keys, ones, others, columns, _unlike(columns, len(keys)))


def _unlike(columns: Sequence[tuple[str, Sequence[Any], Sequence[Any]]], count: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for place, (_, values, old_values) in enumerate(columns):
        try:
            indices = list(compress(range(count), map(ne, values, old_values)))
        except Exception:  # noqa: BLE001 - one of them cannot be compared: each is looked at by itself
            indices = [index for index in range(count) if may_differ(values[index], old_values[index])]
        found += zip(indices, repeat(place))
    return sorted(found)


def may_differ(value: Any, old_value: Any) -> bool:
    """Return whether two values differ, or cannot be compared."""
    try:
        return value is not old_value and bool(value != old_value)
    except Exception:  # noqa: BLE001 - what cannot be compared is worth a look, which then says what and where
        return True
