"""Finds where two sides may differ. An engine may name too many places, and must never miss one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, filterfalse
from operator import attrgetter, ne
from typing import Any, Protocol

import attrs

from datastoresync.diffing.side import Side

__all__ = ["Candidates", "Engine", "InMemoryEngine"]

Triple = tuple[Any, Any, Any]


@attrs.frozen(eq=False)
class Candidates:
    """What an engine found: keys of one side only, and pairs worth a look.

    Args:
        new: Keys that only the left side has, sorted.
        old: Keys that only the right side has, sorted.
        pairs: ``(key, left, right)`` for keys of both whose objects may differ, sorted by key.
        compared: How many keys both sides have.
        why: Why this engine ran, in a few words.
    """

    new: Sequence[Any]
    old: Sequence[Any]
    pairs: Sequence[Triple]
    compared: int
    why: str

    def __iter__(self) -> Iterator[Triple]:
        """Yield ``(key, left, right)`` triples, with None for an object that is not there."""
        yield from self.pairs


def _as_made(objects: Mapping[Any, Any]) -> tuple[list[Any], list[Any]]:
    """Return the keys and the objects in the order in which they were put in, past the sorting of a sorted mapping."""
    if isinstance(objects, dict):
        return list(dict.keys(objects)), list(dict.values(objects))
    return list(objects), [objects[key] for key in objects]


class Engine(Protocol):
    """Finds candidates among two sides with the same attributes and comparable keys."""

    name: str

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        ...


class InMemoryEngine:
    """The reference: looks up each partner by its key and compares all attributes of a pair at once.

    Costs one look-up and one comparison of two tuples a pair, nearly all of it in C.
    """

    name = "memory"

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        mine, theirs = left.objects, right.objects
        # Not in the order of the keys: as they were made, the objects of one side lie side by side in memory.
        keys, lefts = _as_made(mine)
        rights = list(map(theirs.get, keys))
        new: list[Any] = []
        if None in rights:
            there = [other is not None for other in rights]
            new = sorted(key for key, found in zip(keys, there, strict=True) if not found)
            keys, lefts, rights = (list(compress(part, there)) for part in (keys, lefts, rights))
        old = sorted(filterfalse(mine.__contains__, _as_made(theirs)[0])) if len(theirs) > len(keys) else []
        differing = self._differing(left, right, keys, lefts, rights) if left.attributes else []
        overridden = left.overrides.keys() | right.overrides.keys()
        if overridden:
            found = {key for key, _, _ in differing}
            differing += [(key, mine[key], theirs[key]) for key in overridden - found if key in mine and key in theirs]
        differing.sort(key=lambda triple: triple[0])
        return Candidates(new, old, differing, len(keys), "both sides are in memory")

    def _differing(self, left: Side, right: Side, keys: list[Any], lefts: list[Any], rights: list[Any]) -> list[Triple]:
        read = attrgetter(*left.attributes)
        try:
            flags = list(map(ne, map(read, lefts), map(read, rights)))
            return list(compress(zip(keys, lefts, rights, strict=True), flags))
        except Exception:  # noqa: BLE001 - an attribute is missing or a property fails: `Side.read` knows which
            return [
                (key, one, other)
                for key, one, other in zip(keys, lefts, rights, strict=True)
                if any(left.read(key, one, name) != right.read(key, other, name) for name in left.attributes)
            ]
