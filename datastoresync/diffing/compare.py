"""The comparison in memory, which is the reference for every engine, and the candidates that an engine returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, filterfalse, islice, repeat
from operator import attrgetter, is_not, itemgetter, ne, not_
from typing import Any, Protocol

import attrs

from datastoresync.diffing.side import Side

BLOCK_SIZE = 1024
"""Pairs that are compared, and actions that are built, at a time."""

Triple = tuple[Any, Any, Any]
Reader = Callable[[Sequence[Any], Sequence[Any]], Iterable[Sequence[Any]]]
"""Called with keys and objects; returns a column of values for each attribute."""


@attrs.frozen(eq=False)
class Block:
    """A block of pairs and their values.

    Args:
        keys: Their keys.
        left: The source's objects.
        right: The destination's.
        columns: The name, the source's values and the destination's values of each attribute.
        differing_columns: The cells that may differ: index of the pair and index of the column, pair by pair.
    """

    keys: Sequence[Any]
    left: Sequence[Any]
    right: Sequence[Any]
    columns: Sequence[tuple[str, Sequence[Any], Sequence[Any]]]
    differing_columns: Sequence[tuple[int, int]]


def read_blocks(left: Side, right: Side, pairs: Iterable[Triple]) -> Iterator[Block]:
    """Yield the values of ``(key, left, right)`` triples in blocks.

    Raises:
        ComparisonError: if a property raises.
    """
    return read_columns(left.attributes, pairs, left.value_columns, right.value_columns)


def read_columns(names: Sequence[str], pairs: Iterable[Triple], left: Reader, right: Reader) -> Iterator[Block]:
    """Yield the values of triples in blocks; ``left`` and ``right`` read the columns of the named attributes."""
    rest = iter(pairs)
    while block := list(islice(rest, BLOCK_SIZE)):
        keys, lefts, rights = zip(*block, strict=True)
        columns = list(zip(names, left(keys, lefts), right(keys, rights), strict=True))
        yield Block(keys, lefts, rights, columns, _differing_cells(columns, len(keys)))


def _differing_cells(columns: Sequence[tuple[str, Sequence[Any], Sequence[Any]]], count: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for column, (_, values, old_values) in enumerate(columns):
        try:
            indices = list(compress(range(count), map(ne, values, old_values)))
        except Exception:  # noqa: BLE001 - some value cannot be compared: find it
            indices = [index for index in range(count) if may_differ(values[index], old_values[index])]
        found += zip(indices, repeat(column))
    return sorted(found)


def may_differ(value: Any, old_value: Any) -> bool:
    """Return whether two values differ, or cannot be compared."""
    try:
        return value is not old_value and bool(value != old_value)
    except Exception:  # noqa: BLE001 - the closer look says which values cannot be compared
        return True


_CACHE_BLOCK = 512
"""Objects that are compared at a time: few enough to stay in the processor's cache."""


@attrs.frozen(eq=False)
class Candidates:
    """The result of an engine: keys of one side only, and pairs that may differ.

    Args:
        new: Keys that only the left side has, sorted.
        old: Keys that only the right side has, sorted.
        pairs: ``(key, left, right)`` for keys of both whose objects may differ, sorted by key.
        matched: How many keys both sides have.
        reason: Why this engine ran, in a few words.
        engine: The name of the engine that ran, if it is not the one that was called.
    """

    new: Sequence[Any]
    old: Sequence[Any]
    pairs: Sequence[Triple]
    matched: int
    reason: str
    engine: str = ""

    streamed = False
    """Whether there are too many for the memory, so that each pass asks the engine again."""

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects that only the left side has, sorted."""
        return ((key, left.objects[key]) for key in self.new)

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects that only the right side has, sorted."""
        return ((key, right.objects[key]) for key in self.old)

    def __iter__(self) -> Iterator[Triple]:
        """Yield ``(key, left, right)`` triples; None stands for a missing object."""
        yield from self.pairs

    def read(self, left: Side, right: Side) -> Iterator[Block]:
        """Yield the pairs and their values in blocks.

        Raises:
            ComparisonError: if a property raises.
        """
        return read_blocks(left, right, self)


def _blocks(objects: Mapping[Any, Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield keys and objects in blocks, in order of insertion where the mapping has one.

    Objects created one after the other lie next to each other in memory, which sorted keys would not follow.
    """
    keys, items = iter(objects.keys()), iter(objects.values())
    if isinstance(objects, dict):
        keys, items = iter(dict.keys(objects)), iter(dict.values(objects))
    while block := list(islice(keys, _CACHE_BLOCK)):
        yield block, list(islice(items, _CACHE_BLOCK))


class Engine(Protocol):
    """Finds candidates between two sides that have the same attributes and comparable keys."""

    name: str

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return the keys and pairs that may differ."""
        ...


def engine_of(left: Side, right: Side) -> Engine:
    """Return the engine of the side whose objects are still rows of a table; otherwise the one in memory."""
    for side in (left, right):
        engine: Engine | None = getattr(side.objects, "engine", None)
        if engine is not None:
            return engine
    return InMemoryEngine()


class InMemoryEngine:
    """The reference: looks up each partner by its key and compares all attributes of a pair at once.

    Costs one look-up and one comparison of two tuples a pair, nearly all of it in C.
    """

    name = "memory"

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return the keys and pairs that may differ."""
        left_objects, right_objects = left.objects, right.objects
        new: list[Any] = []
        differing: list[Triple] = []
        compared = 0
        for keys, lefts in _blocks(left_objects):
            rights = list(map(right_objects.get, keys))
            there = list(map(is_not, rights, repeat(None)))
            both: Sequence[list[Any]] = (keys, lefts, rights)
            if not all(there):
                new += compress(keys, map(not_, there))
                both = [list(compress(part, there)) for part in both]
            compared += len(both[0])
            if left.attributes:
                differing += _differing(left, right, *both)
        right_keys = dict.keys(right_objects) if isinstance(right_objects, dict) else right_objects
        old = sorted(filterfalse(left_objects.__contains__, right_keys)) if len(right_objects) > compared else []
        overridden = left.overrides.keys() | right.overrides.keys()
        if overridden:
            found = {key for key, _, _ in differing}
            differing += [
                (key, left_objects[key], right_objects[key])
                for key in overridden - found
                if key in left_objects and key in right_objects
            ]
        differing.sort(key=itemgetter(0))
        return Candidates(sorted(new), old, differing, compared, "both sides are in memory")


def _differing(left: Side, right: Side, keys: list[Any], lefts: list[Any], rights: list[Any]) -> list[Triple]:
    read = attrgetter(*left.attributes)
    dotted = any("." in name for name in left.attributes)  # attrgetter would follow the dot into the value
    try:
        flags = [True] * len(keys) if dotted else list(map(ne, map(read, lefts), map(read, rights)))
        return list(compress(zip(keys, lefts, rights, strict=True), flags))
    except Exception:  # noqa: BLE001 - an attribute is missing or a property fails: `Side.read` knows which
        return [
            (key, left_item, right_item)
            for key, left_item, right_item in zip(keys, lefts, rights, strict=True)
            if any(
                may_differ(left.read(key, left_item, name), right.read(key, right_item, name))
                for name in left.attributes
            )
        ]
