"""Compares branches that are tables: only the rows that differ become objects."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from operator import itemgetter
from typing import Any

import attrs

from datastoresync.diffing.compare import Candidates, InMemoryEngine
from datastoresync.diffing.side import Side
from datastoresync.engines.beside import beside
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.engines.duckdb.spool import Bringer
from datastoresync.engines.pairing import paired
from datastoresync.engines.relation import Rows, Unfaithful, Work
from datastoresync.engines.table import TableObjects
from datastoresync.printing.words import counted

__all__ = ["TableEngine"]

_SERVED = "postgresql"


class TableEngine:
    """Finds the rows that differ where they are, and makes objects of them.

    What is in different places is brought into files that the embedded engine reads. Properties are computed on the
    way there. Objects in memory meet the rows of a table as these pass by. Where nothing of it can be done faithfully,
    both sides are brought into memory.

    Args:
        duckdb: How the embedded engine runs.
    """

    name = "table"

    def __init__(self, duckdb: DuckDB) -> None:
        self.bringer = Bringer(duckdb)

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        lefts, rights = left.objects, right.objects
        if not isinstance(lefts, TableObjects) or not isinstance(rights, TableObjects):
            return beside(left, right)
        try:
            return self._found(left, right, lefts, rights)
        except Unfaithful as reason:
            return _in_memory(left, right, lefts, rights, str(reason))

    def _found(self, left: Side, right: Side, lefts: TableObjects, rights: TableObjects) -> Candidates:
        work = Work(left.attributes, _converters(lefts), _converters(rights))
        try:
            found = self._in_place(lefts, rights, work)
        except Unfaithful as reason:
            if isinstance(lefts.relation, LocalRelation) and isinstance(rights.relation, LocalRelation):
                raise
            found = self._brought_together(lefts, rights, work, [str(reason)])
        return _with_overridden(found, left, right, lefts, rights)

    def _in_place(self, lefts: TableObjects, rights: TableObjects, work: Work) -> Candidates:
        mine, theirs = lefts.relation, rights.relation
        if any(_lacking(table, work) for table in (lefts, rights)):
            return self._brought_together(lefts, rights, work, [])
        if mine.place == theirs.place:
            compared = mine.differing(theirs, work)
        elif mine.engine == theirs.engine == _SERVED:
            # It needs SQLAlchemy, which is there where such relations are.
            compared = import_module("datastoresync.engines.postgresql.served").differing_far_apart(mine, theirs, work)
        else:
            return self._brought_together(lefts, rights, work, [])
        return paired(lefts, rights, compared, mine.engine, duckdb=self.bringer.duckdb)

    def _brought_together(self, lefts: TableObjects, rights: TableObjects, work: Work, notes: list[str]) -> Candidates:
        """Compare files that have all rows, with everything that is compared as columns."""
        from datastoresync.engines.duckdb.properties import check_properties, derived, read_alike  # it needs pyarrow

        tables = (lefts, rights)
        locals_ = [self._local(table, notes) for table in tables]
        lacking = [_lacking(table, work) for table in tables]
        read = read_alike(lefts, rights, lacking[0]) if lacking[0] and lacking[0] == lacking[1] else None
        if read is not None:
            check_properties(lefts, locals_[0], lacking[0], read)
            notes += [f"{_computed(name, locals_[0])}, and alike wherever {', '.join(read)} is" for name in lacking[0]]
            names = [name for name in work.attributes if name not in lacking[0]]
            work = attrs.evolve(work, attributes=list(dict.fromkeys([*names, *read])))
        else:
            for place, table in enumerate(tables):
                if lacking[place]:
                    notes += [_computed(name, locals_[place]) for name in lacking[place]]
                    locals_[place] = derived(table, locals_[place], lacking[place])
        mine, theirs = locals_
        compared = mine.differing(theirs, work)
        compared = attrs.evolve(
            compared,
            left=_of_table(lefts, compared.left),
            right=_of_table(rights, compared.right),
            why="; ".join([compared.why, *dict.fromkeys(notes)]),
        )
        return paired(lefts, rights, compared, mine.engine, duckdb=self.bringer.duckdb)

    def _local(self, table: TableObjects, notes: list[str]) -> LocalRelation:
        bringer = table.engine.bringer if isinstance(table.engine, TableEngine) else self.bringer
        local = bringer.local(table.relation, table.plain_layout)
        if local is not table.relation:
            notes.append(f"{counted(local.count, 'row')} came from {table.relation.engine}")
        return local


def _computed(name: str, relation: LocalRelation) -> str:
    return f"{name}: computed in Python for {counted(relation.count, 'row')}"


def _lacking(table: TableObjects, work: Work) -> list[str]:
    """Return what is compared and is no column."""
    known = {*table.relation.columns, *getattr(table.relation, "constants", ())}
    return [name for name in work.attributes if name not in known]


def _with_overridden(
    found: Candidates, left: Side, right: Side, lefts: TableObjects, rights: TableObjects
) -> Candidates:
    """Return the candidates with the pairs of which a value stands before the objects' own."""
    keys = left.overrides.keys() | right.overrides.keys()
    if not keys:
        return found
    if found.streamed:
        raise Unfaithful("more differs than fits into memory, beside what was applied to properties")
    pairs = {pair[0]: pair for pair in found.pairs}
    ones, others = lefts.many(keys), rights.many(keys)
    pairs |= {key: (key, ones[key], others[key]) for key in keys if key in ones and key in others}
    return attrs.evolve(found, pairs=sorted(pairs.values(), key=itemgetter(0)))


def _in_memory(left: Side, right: Side, lefts: TableObjects, rights: TableObjects, reason: str) -> Candidates:
    """Compare all objects, and keep those that somebody may ask for."""
    memory = InMemoryEngine()
    ones, others = lefts.objects(), rights.objects()
    found = memory.candidates(attrs.evolve(left, objects=ones), attrs.evolve(right, objects=others))
    lefts.recall({key: ones[key] for key in (*found.new, *(pair[0] for pair in found.pairs))}, absent=found.old)
    rights.recall({key: others[key] for key in (*found.old, *(pair[0] for pair in found.pairs))}, absent=found.new)
    return attrs.evolve(found, why=f"everything became objects: {reason}", engine=memory.name)


def _of_table(table: TableObjects, chunks: Rows) -> Rows:
    """Return rows without the columns that were computed."""
    width = len(table.relation.columns)
    return (columns[:width] for columns in chunks)


def _converters(table: TableObjects) -> Mapping[str, Any]:
    fields = table.layout.fields or {}
    return {name: field.converter for name, field in fields.items()}
