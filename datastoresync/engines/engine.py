"""Compares branches that are tables: only the rows that differ become objects."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from sortedcontainers import SortedDict

from datastoresync.diffing.engine import Candidates, InMemoryEngine
from datastoresync.diffing.side import Side
from datastoresync.engines.relation import Compared, Relation, Unfaithful, Work
from datastoresync.engines.table import TableObjects

__all__ = ["TableEngine"]


class TableEngine:
    """Finds the rows that differ where they are, and makes objects of them.

    Where that cannot be done faithfully, both sides are brought into files that the embedded engine reads, and if that
    cannot be done either, into memory.
    """

    name = "table"

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        try:
            return self._found(left, right)
        except Unfaithful as reason:
            memory = InMemoryEngine()
            sides = (_in_memory(left), _in_memory(right))
            found = memory.candidates(*sides)
            return Candidates(
                found.new, found.old, found.pairs, found.compared, f"everything became objects: {reason}", memory.name
            )

    def _found(self, left: Side, right: Side) -> Candidates:
        lefts, rights = table_of(left), table_of(right)
        work = _work(left, right, lefts, rights)
        mine, theirs = lefts.relation, rights.relation
        if mine.place != theirs.place:
            raise Unfaithful("the two are kept in different places")
        compared = mine.differing(theirs, work)
        return _paired(lefts, rights, compared, mine.engine)


def table_of(side: Side) -> TableObjects:
    """Return the table of a side."""
    if isinstance(side.objects, TableObjects):
        return side.objects
    raise Unfaithful(f"{side.name} is in memory")


def _in_memory(side: Side) -> Side:
    import attrs

    return attrs.evolve(side, objects=side.objects.objects()) if isinstance(side.objects, TableObjects) else side


def _work(left: Side, right: Side, lefts: TableObjects, rights: TableObjects) -> Work:
    for table in (lefts, rights):
        lacking = [name for name in left.attributes if name not in table.relation.columns]
        if lacking:
            raise Unfaithful(f"{', '.join(lacking)} is no column")
    return Work(left.attributes, _converters(lefts), _converters(rights))


def _converters(table: TableObjects) -> Mapping[str, Any]:
    fields = table.layout.fields or {}
    return {name: field.converter for name, field in fields.items()}


def _paired(lefts: TableObjects, rights: TableObjects, compared: Compared, engine: str) -> Candidates:
    """Make objects of what differs, and put together what has one key."""
    mine: dict[Any, Any] = {}
    theirs: dict[Any, Any] = {}
    for table, rows, objects in ((lefts, compared.left, mine), (rights, compared.right, theirs)):
        for columns in rows:
            keys, made = table.made(columns)
            objects.update(zip(keys, made, strict=True))
        if table.recent:  # whoever has an object of before keeps it
            objects.update((key, item) for key, item in table.recent.items() if key in objects)
    sizes = lefts.relation.count, rights.relation.count
    new = [key for key in mine if key not in theirs]
    old = [key for key in theirs if key not in mine]
    both = sizes[0] - len(new)
    touched = lefts.touched | rights.touched
    lefts.recent, rights.recent = mine, theirs
    pairs = [(key, mine[key], theirs[key]) for key in mine.keys() & theirs.keys() if key not in touched]
    if touched:
        both += _touched(lefts, rights, touched, new, old, pairs)
    return Candidates(sorted(new), sorted(old), sorted(pairs, key=itemgetter(0)), both, compared.why, engine)


def _touched(
    lefts: TableObjects,
    rights: TableObjects,
    touched: set[Any],
    new: list[Any],
    old: list[Any],
    pairs: list[tuple[Any, Any, Any]],
) -> int:
    """Look at the keys whose objects are not as their tables have them; return how many more keys both sides have."""
    ones, others = lefts.many(touched), rights.many(touched)
    before = [table.relation.present(touched) for table in (lefts, rights)]
    new[:] = [key for key in new if key not in touched] + [key for key in ones if key not in others]
    old[:] = [key for key in old if key not in touched] + [key for key in others if key not in ones]
    pairs += [(key, ones[key], others[key]) for key in ones if key in others]
    return len(ones.keys() & others.keys()) - len(before[0] & before[1])
