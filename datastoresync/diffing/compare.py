"""Comparison in memory, the reference for every engine: the keys of two sides and the pairs that may differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, filterfalse, islice, repeat
from operator import attrgetter, is_not, itemgetter, ne, not_
from typing import Any, Protocol

import attrs

from datastoresync.diffing.side import Side

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
        yield Block(keys, ones, others, columns, _differing_cells(columns, len(keys)))


def _differing_cells(columns: Sequence[tuple[str, Sequence[Any], Sequence[Any]]], count: int) -> list[tuple[int, int]]:
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


_BLOCK = 512
"""Objects that are looked at together: few enough to be in the processor's cache still when they are needed again."""


@attrs.frozen(eq=False)
class Candidates:
    """What an engine found: keys of one side only, and pairs worth a look.

    Args:
        new: Keys that only the left side has, sorted.
        old: Keys that only the right side has, sorted.
        pairs: ``(key, left, right)`` for keys of both whose objects may differ, sorted by key.
        matched: How many keys both sides have.
        reason: Why this engine ran, in a few words.
        engine: Which one it was, if it is another one than was asked.
    """

    new: Sequence[Any]
    old: Sequence[Any]
    pairs: Sequence[Triple]
    matched: int
    reason: str
    engine: str = ""

    streamed = False
    """Whether they are too many for the memory, so that each pass over them asks the engine again."""

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the left side alone, sorted."""
        return ((key, left.objects[key]) for key in self.new)

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the right side alone, sorted."""
        return ((key, right.objects[key]) for key in self.old)

    def __iter__(self) -> Iterator[Triple]:
        """Yield ``(key, left, right)`` triples, with None for an object that is not there."""
        yield from self.pairs

    def read(self, left: Side, right: Side) -> Iterator[Block]:
        """Yield the pairs with the values of their objects.

        Raises:
            ComparisonError: if a property raises.
        """
        return blocks(left, right, self)


def _blocks(objects: Mapping[Any, Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield keys and objects, some at a time, in the order in which they were put in where the mapping knows it.

    That is not the order of the keys: as they were made, the objects of one side lie side by side in memory.
    """
    keys, items = iter(objects.keys()), iter(objects.values())
    if isinstance(objects, dict):
        keys, items = iter(dict.keys(objects)), iter(dict.values(objects))
    while block := list(islice(keys, _BLOCK)):
        yield block, list(islice(items, _BLOCK))


class Engine(Protocol):
    """Finds candidates among two sides with the same attributes and comparable keys."""

    name: str

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        ...


def engine_of(left: Side, right: Side) -> Engine:
    """Return the engine of objects that have one, since they are still rows somewhere; the in-memory one otherwise."""
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
        """Return where the two sides may differ."""
        mine, theirs = left.objects, right.objects
        new: list[Any] = []
        differing: list[Triple] = []
        compared = 0
        for keys, lefts in _blocks(mine):
            rights = list(map(theirs.get, keys))
            there = list(map(is_not, rights, repeat(None)))
            both: Sequence[list[Any]] = (keys, lefts, rights)
            if not all(there):
                new += compress(keys, map(not_, there))
                both = [list(compress(part, there)) for part in both]
            compared += len(both[0])
            if left.attributes:
                differing += _differing(left, right, *both)
        their_keys = dict.keys(theirs) if isinstance(theirs, dict) else theirs
        old = sorted(filterfalse(mine.__contains__, their_keys)) if len(theirs) > compared else []
        overridden = left.overrides.keys() | right.overrides.keys()
        if overridden:
            found = {key for key, _, _ in differing}
            differing += [(key, mine[key], theirs[key]) for key in overridden - found if key in mine and key in theirs]
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
            (key, one, other)
            for key, one, other in zip(keys, lefts, rights, strict=True)
            if any(may_differ(left.read(key, one, name), right.read(key, other, name)) for name in left.attributes)
        ]
