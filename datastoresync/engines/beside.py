"""Compares a table with objects that are in memory: its rows pass by, and only those that differ stay objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import attrs

from datastoresync.diffing.compare import Candidates, InMemoryEngine
from datastoresync.diffing.side import Side
from datastoresync.engines import pairing
from datastoresync.engines.table import TableObjects

__all__ = ["beside"]

_CHUNK = 65_536
"""Pairs that are looked up together, where they are too many to be kept."""


def beside(left: Side, right: Side) -> Candidates:
    """Return where two sides may differ, of which one is a table and the other one in memory.

    Costs an object a row, of which a chunk is in memory at a time. If more rows differ than are to be kept as objects,
    they are read again by whoever goes through them.
    """
    passing = _Passing(left, right)
    table = passing.table
    touched = table.touched
    for columns in table.relation.rows():
        keys, objects, _ = table.made(columns)
        passing.look({key: item for key, item in zip(keys, objects, strict=True) if key not in touched})
    if touched:
        passing.look(table.many(touched))
    return passing.found()


@attrs.frozen(eq=False)
class _Sides:
    """A table and the objects in memory, as the sides of a comparison.

    Args:
        both: The left and the right one.
        place: Which of them is the table.
    """

    both: tuple[Side, Side]
    place: int

    @property
    def table(self) -> TableObjects:
        """The table."""
        objects: Any = self.both[self.place].objects
        return objects  # type: ignore[no-any-return]  # it is one, as whoever made this knows

    @property
    def others(self) -> Mapping[Any, Any]:
        """The objects in memory."""
        return self.both[1 - self.place].objects

    def differing(self, mine: dict[Any, Any], theirs: dict[Any, Any]) -> Sequence[tuple[Any, Any, Any]]:
        """Return the pairs that may differ among some objects of the table and their partners."""
        sides = list(self.both)
        sides[self.place] = attrs.evolve(sides[self.place], objects=mine)
        sides[1 - self.place] = attrs.evolve(sides[1 - self.place], objects=theirs)
        return InMemoryEngine().candidates(*sides).pairs


class _Passing:
    """The one side, some objects at a time, and what was found of them so far."""

    def __init__(self, left: Side, right: Side) -> None:
        self.sides = _Sides((left, right), 0 if isinstance(left.objects, TableObjects) else 1)
        self.table = self.sides.table
        self.seen: set[Any] = set()
        self.alone: dict[Any, Any] = {}
        self.pairs: list[tuple[Any, Any, Any]] = []
        self.differing = 0
        self.streamed = False
        # What is carried out of a stream is not taken in one by one: the destination must be able to import it.
        self._may_stream = right.folded_all is not None and not left.children and not right.children

    def look(self, objects: dict[Any, Any]) -> None:
        """Compare some objects of the table with their partners."""
        others = self.sides.others
        partners = {key: others[key] for key in objects if key in others}
        pairs = self.sides.differing({key: objects[key] for key in partners}, partners)
        self.differing += len(pairs)
        self.seen.update(partners)
        if self.streamed:
            return
        self.pairs += pairs
        self.alone.update((key, item) for key, item in objects.items() if key not in partners)
        if self._may_stream and len(self.alone) + len(self.pairs) > pairing.MANY:
            self.streamed = True
            self.alone, self.pairs = {}, []

    def found(self) -> Candidates:
        """Return everything that was found."""
        others, name = self.sides.others, self.sides.both[1 - self.sides.place].name
        why = f"{name} is in memory, and the rows of the other side passed by"
        missing = sorted(key for key in others if key not in self.seen)
        if self.streamed:
            self.table.recall({}, absent=missing)
            both = sorted(key for key in others if key in self.seen)
            pairs: Any = _Pairs(self.sides, both, self.differing)
            why += "; what differs is read again whenever it is asked for"
            new, old = ((), missing) if self.sides.place == 0 else (missing, ())
            return _Streamed(new, old, pairs, len(self.seen), why, self.table.relation.engine)
        pairs = self._named()
        there = {pair[0]: pair[1 + self.sides.place] for pair in pairs}
        self.table.recall({**there, **self.alone}, absent=missing)
        new, old = (sorted(self.alone), missing) if self.sides.place == 0 else (missing, sorted(self.alone))
        return Candidates(new, old, pairs, len(self.seen), why, self.table.relation.engine)

    def _named(self) -> list[tuple[Any, Any, Any]]:
        """Return the pairs under the keys of the left side, which may be of another type than those of the table."""
        pairs = sorted(self.pairs, key=itemgetter(0))
        if self.sides.place == 0 or not pairs:
            return pairs
        wanted = {pair[0] for pair in pairs}
        own = {key: key for key in self.sides.others if key in wanted}
        return [(own[key], one, other) for key, one, other in pairs]


@attrs.frozen(eq=False)
class _Pairs:
    """The pairs that may differ, looked up anew by each iteration.

    Args:
        sides: The table and the objects.
        keys: What both sides have, sorted, as the objects have it.
        count: How many of them may differ.
    """

    sides: _Sides
    keys: Sequence[Any]
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        for start in range(0, len(self.keys) if self.count else 0, _CHUNK):
            keys = self.keys[start : start + _CHUNK]
            theirs = {key: self.sides.others[key] for key in keys if key in self.sides.others}
            yield from self.sides.differing(self.sides.table.many(keys), theirs)


class _Streamed(Candidates):
    """Candidates of which the table's own rows are read again by each pass."""

    streamed = True

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the source alone."""
        return self._alone(left) if isinstance(left.objects, TableObjects) else super().created(left)

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the destination alone."""
        return self._alone(right) if isinstance(right.objects, TableObjects) else super().deleted(right)

    def _alone(self, side: Side) -> Iterator[tuple[Any, Any]]:
        pairs: Any = self.pairs
        both = set(pairs.keys)
        table: Any = side.objects
        return ((key, item) for key, item in table.pairs() if key not in both)
