"""Finds where two sides may differ. An engine may name too many places, and must never miss one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, filterfalse, islice, repeat
from operator import attrgetter, is_not, itemgetter, ne, not_
from typing import Any, Protocol

import attrs

from datastoresync.diffing.blocks import Block, blocks, may_differ
from datastoresync.diffing.side import Side

__all__ = ["Candidates", "Engine", "InMemoryEngine", "engine_of"]

Triple = tuple[Any, Any, Any]

_BLOCK = 512
"""Objects that are looked at together: few enough to be in the processor's cache still when they are needed again."""


@attrs.frozen(eq=False)
class Candidates:
    """What an engine found: keys of one side only, and pairs worth a look.

    Args:
        new: Keys that only the left side has, sorted.
        old: Keys that only the right side has, sorted.
        pairs: ``(key, left, right)`` for keys of both whose objects may differ, sorted by key.
        compared: How many keys both sides have.
        why: Why this engine ran, in a few words.
        engine: Which one it was, if it is another one than was asked.
    """

    new: Sequence[Any]
    old: Sequence[Any]
    pairs: Sequence[Triple]
    compared: int
    why: str
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
