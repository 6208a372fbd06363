"""Compares a table with objects that are in memory: its rows pass by, and only those that differ stay objects."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import attrs

from datastoresync.diffing.engine import Candidates, InMemoryEngine
from datastoresync.diffing.side import Side
from datastoresync.engines.table import TableObjects

__all__ = ["beside"]


def beside(left: Side, right: Side) -> Candidates:
    """Return where two sides may differ, of which one is a table and the other one in memory.

    Costs an object a row, of which a chunk is in memory at a time.
    """
    passing = _Passing(left, right)
    table = passing.table
    touched = table.touched
    for columns in table.relation.rows():
        keys, objects = table.made(columns)
        passing.look({key: item for key, item in zip(keys, objects, strict=True) if key not in touched})
    if touched:
        passing.look(table.many(touched))
    return passing.found()


class _Passing:
    """The one side, some objects at a time, and what was found of them so far."""

    def __init__(self, left: Side, right: Side) -> None:
        self.sides = [left, right]
        self.place = 0 if isinstance(left.objects, TableObjects) else 1
        self.table: TableObjects = self.sides[self.place].objects  # type: ignore[assignment]  # one of them is a table
        self.others = self.sides[1 - self.place].objects
        self.seen: set[Any] = set()
        self.alone: dict[Any, Any] = {}
        self.pairs: list[tuple[Any, Any, Any]] = []

    def look(self, objects: dict[Any, Any]) -> None:
        """Compare some objects of the table with their partners."""
        recent = self.table.recent
        mine = {key: recent.get(key, item) for key, item in objects.items()} if recent else objects
        partners = {key: self.others[key] for key in mine if key in self.others}
        sides = list(self.sides)
        sides[self.place] = attrs.evolve(sides[self.place], objects={key: mine[key] for key in partners})
        sides[1 - self.place] = attrs.evolve(sides[1 - self.place], objects=partners)
        self.pairs += InMemoryEngine().candidates(*sides).pairs
        self.seen.update(partners)
        self.alone.update((key, item) for key, item in mine.items() if key not in partners)

    def found(self) -> Candidates:
        """Return everything that was found."""
        self.pairs.sort(key=itemgetter(0))
        there = {pair[0]: pair[1 + self.place] for pair in self.pairs}
        only = [sorted(self.alone), sorted(key for key in self.others if key not in self.seen)]
        self.table.recall({**there, **self.alone}, absent=only[1])
        new, old = only if self.place == 0 else reversed(only)
        name = self.sides[1 - self.place].name
        why = f"{name} is in memory, and the rows of the other side passed by"
        return Candidates(new, old, self.pairs, len(self.seen), why, self.table.relation.engine)
