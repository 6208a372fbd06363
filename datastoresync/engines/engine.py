"""Comparison of branches that are tables: only the rows that differ become objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from operator import itemgetter
from typing import Any

import attrs

from datastoresync.diffing.compare import Block, Candidates, InMemoryEngine, read_columns
from datastoresync.diffing.side import Side
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.join import JoinedRelation
from datastoresync.engines.duckdb.parquet import Spool
from datastoresync.engines.relation import CannotPushDown, Compared, ComparedApart, Rows, Work
from datastoresync.engines.table import TableObjects
from datastoresync.printing.text import counted
from datastoresync.syncers.records import Columns, Records

MANY = 300_000
"""Rows that differ, from which on they are not all made objects at once."""


def paired(
    lefts: TableObjects,
    rights: TableObjects,
    compared: Compared,
    engine: str,
    *,
    duckdb: DuckDB,
    many: int | None = None,
) -> Candidates:
    """Return the candidates among the rows that an engine named.

    Args:
        lefts: The source's table.
        rights: The destination's.
        compared: What the engine found.
        engine: Its name.
        duckdb: Keeps what differs in files, if it is too much for the memory.
        many: How many rows that is; None for the usual number.

    Raises:
        CannotPushDown: if it is too much, and cannot be kept in files, or if objects were changed by hand.
    """
    few: list[list[Columns]] = []
    rest: list[Rows] = [iter(compared.left), iter(compared.right)]
    held, most = 0, MANY if many is None else many
    for rows in rest:
        chunks: list[Columns] = []
        few.append(chunks)
        while held <= most and (columns := next(rows, None)) is not None:
            chunks.append(columns)
            held += len(columns[0])
    if held <= most:
        return _few(lefts, rights, few, compared.why, engine)
    if lefts.touched or rights.touched:
        raise CannotPushDown("more differs than fits into memory, beside what was changed by hand")
    parts = [
        _kept(table, chain(chunks, rows), duckdb)
        for table, chunks, rows in zip((lefts, rights), few, rest, strict=True)
    ]
    lefts.recent, rights.recent = {}, {}
    return _streamed(parts[0], parts[1], lefts.relation.count, compared.why, engine)


# In memory.


class _Made:
    """The objects that were made of one side's rows, and their values as they came: column by column."""

    def __init__(self, table: TableObjects, chunks: Sequence[Columns]) -> None:
        self.objects: dict[Any, Any] = {}
        self._places: dict[Any, int] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in table.relation.columns}
        for chunk in chunks:
            keys, made, converted = table.made(chunk)
            self._places.update(zip(keys, count(len(self._places)), strict=False))
            self.objects.update(zip(keys, made, strict=True))
            for known, values in zip(self._columns.values(), converted or (), strict=False):
                known.extend(values)

    def has(self, names: Iterable[str]) -> bool:
        """Say whether the values of these attributes are known, of all objects."""
        whole = all(len(column) == len(self.objects) for column in self._columns.values())
        return whole and self._columns.keys() >= set(names)

    def reader(self, names: Sequence[str]) -> Callable[[Sequence[Any], Sequence[Any]], list[list[Any]]]:
        """Return what gives the values of attributes of objects, which is quicker than to look at these again."""

        def read(keys: Sequence[Any], _: Sequence[Any]) -> list[list[Any]]:
            places = list(map(self._places.__getitem__, keys))
            return [list(map(self._columns[name].__getitem__, places)) for name in names]

        return read


@attrs.frozen(eq=False)
class _Found(Candidates):
    """Candidates whose objects are there already."""

    made: tuple[_Made, _Made] | None = None

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the source alone, sorted."""
        return super().created(left) if self.made is None else _known(self.new, self.made[0])

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the destination alone, sorted."""
        return super().deleted(right) if self.made is None else _known(self.old, self.made[1])

    def read(self, left: Side, right: Side) -> Iterator[Block]:
        """Yield the pairs with the values of their objects."""
        names = left.attributes
        if self.made is None or left.overrides or right.overrides or not all(made.has(names) for made in self.made):
            return super().read(left, right)
        return read_columns(names, self, *(made.reader(names) for made in self.made))


def _known(keys: Sequence[Any], made: _Made) -> Iterator[tuple[Any, Any]]:
    return zip(keys, map(made.objects.__getitem__, keys), strict=True)


def _few(
    lefts: TableObjects, rights: TableObjects, few: Sequence[Sequence[Columns]], why: str, engine: str
) -> Candidates:
    both_made = (_Made(lefts, few[0]), _Made(rights, few[1]))
    mine, theirs = (made.objects for made in both_made)
    new = [key for key in mine if key not in theirs]
    old = [key for key in theirs if key not in mine]
    both = lefts.relation.count - len(new)
    touched = lefts.touched | rights.touched
    pairs = [(key, item, theirs[key]) for key, item in mine.items() if key in theirs and key not in touched]
    lefts.recall(mine, absent=old)
    rights.recall(theirs, absent=new)
    if touched:
        both += _touched(lefts, rights, touched, new, old, pairs)
    pairs.sort(key=itemgetter(0))
    return _Found(sorted(new), sorted(old), pairs, both, why, engine, None if touched else both_made)


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


# Streamed.


def _kept(table: TableObjects, rows: Rows, duckdb: DuckDB) -> TableObjects | None:
    """Return the rows as a table in temporary files; None if there are none."""
    first = next(rows, None)
    if first is None:
        return None
    # It needs pyarrow.
    from datastoresync.engines.duckdb.parquet import ColumnarRelation

    records = Records(table.relation.columns, chain([first], rows), lambda index: f"row {index + 1}")
    relation = ColumnarRelation.of_records(duckdb, records, table.plain_schema)
    return table.over(relation)


@attrs.frozen(eq=False)
class _Pairs:
    """The pairs that may differ, made anew by each iteration."""

    left: TableObjects | None
    right: TableObjects | None
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        return (
            (key, one, other)
            for key, one, other in _merged(self.left, self.right)
            if not (one is None or other is None)
        )


class _Streamed(Candidates):
    """Candidates in temporary files, which each pass reads again."""

    streamed = True

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the source alone."""
        del left
        pairs: Any = self.pairs
        return ((key, one) for key, one, other in _merged(pairs.left, pairs.right) if other is None)

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the destination alone."""
        del right
        pairs: Any = self.pairs
        return ((key, other) for key, one, other in _merged(pairs.left, pairs.right) if one is None)


def _streamed(left: TableObjects | None, right: TableObjects | None, size: int, why: str, engine: str) -> Candidates:
    both = 0
    if left is not None and right is not None:
        both = left.relation.common(right.relation)  # type: ignore[attr-defined]  # it is one of ours
    new = (0 if left is None else len(left)) - both
    pairs: Any = _Pairs(left, right, both)
    return _Streamed((), (), pairs, size - new, f"{why}; what differs is in temporary files", engine)


def _merged(left: TableObjects | None, right: TableObjects | None) -> Iterator[tuple[Any, Any, Any]]:
    """Yield keys with the objects of both sides, or None where one has none, in order."""
    ones = iter(()) if left is None else left.pairs()
    others = iter(()) if right is None else right.pairs()
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            yield one[0], one[1], None  # type: ignore[index]  # one of the two is there
            one = next(ones, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(others, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(ones, None), next(others, None)


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
        self._may_stream = right.expire is not None and not left.children and not right.children

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
        if self._may_stream and len(self.alone) + len(self.pairs) > MANY:
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
            pairs: Any = _JoinedPairs(self.sides, both, self.differing)
            why += "; what differs is read again whenever it is asked for"
            new, old = ((), missing) if self.sides.place == 0 else (missing, ())
            return _StreamJoin(new, old, pairs, len(self.seen), why, self.table.relation.engine)
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
class _JoinedPairs:
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


class _StreamJoin(Candidates):
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


class TableEngine:
    """Finds the rows that differ where they are, and makes objects of them.

    What is in different places is brought into files that the embedded engine reads. Properties are computed on the
    way there. Objects in memory meet the rows of a table as these pass by. Where nothing of it can be done faithfully,
    both sides are brought into memory.

    Args:
        duckdb: How the embedded engine runs; options of another engine, and None, stand for the usual.
    """

    name = "table"

    def __init__(self, duckdb: DuckDB | None = None) -> None:
        self.bringer = Spool(duckdb if isinstance(duckdb, DuckDB) else DuckDB())

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        lefts, rights = left.objects, right.objects
        if not isinstance(lefts, TableObjects) or not isinstance(rights, TableObjects):
            return beside(left, right)
        try:
            return self._found(left, right, lefts, rights)
        except CannotPushDown as reason:
            return _in_memory(left, right, lefts, rights, str(reason))

    def _found(self, left: Side, right: Side, lefts: TableObjects, rights: TableObjects) -> Candidates:
        work = Work(left.attributes, _converters(lefts), _converters(rights))
        try:
            found = self._in_place(lefts, rights, work)
        except CannotPushDown as reason:
            if isinstance(lefts.relation, JoinedRelation) and isinstance(rights.relation, JoinedRelation):
                raise
            found = self._brought_together(lefts, rights, work, [str(reason)])
        return _with_overridden(found, left, right, lefts, rights)

    def _in_place(self, lefts: TableObjects, rights: TableObjects, work: Work) -> Candidates:
        mine, theirs = lefts.relation, rights.relation
        if any(_lacking(table, work) for table in (lefts, rights)):
            return self._brought_together(lefts, rights, work, [])
        if mine.place == theirs.place:
            compared = mine.differing(theirs, work)
        elif mine.engine == theirs.engine and isinstance(mine, ComparedApart):
            compared = mine.differing_apart(theirs, work)
        else:
            return self._brought_together(lefts, rights, work, [])
        return paired(lefts, rights, compared, mine.engine, duckdb=self.bringer.duckdb)

    def _brought_together(self, lefts: TableObjects, rights: TableObjects, work: Work, notes: list[str]) -> Candidates:
        """Compare files that have all rows, with everything that is compared as columns."""
        from datastoresync.engines.duckdb.properties import follow_columns, with_properties  # it needs pyarrow

        tables = (lefts, rights)
        locals_ = [self._local(table, notes) for table in tables]
        lacking = [_lacking(table, work) for table in tables]
        if lacking[0] and lacking[0] == lacking[1] and follow_columns(tables, locals_, lacking[0]):
            notes += [f"{name}: compared in Python where a column differs" for name in lacking[0]]
            names = [name for name in work.attributes if name not in lacking[0]]
            work = attrs.evolve(work, attributes=names, identical=locals_[0].columns)
        else:
            for side, table in enumerate(tables):
                if lacking[side]:
                    rows = counted(locals_[side].count, "row")
                    notes += [f"{name}: computed in Python for {rows}" for name in lacking[side]]
                    locals_[side] = with_properties(table, locals_[side], lacking[side])
        mine, theirs = locals_
        compared = mine.differing(theirs, work)
        compared = attrs.evolve(
            compared,
            left=_of_table(lefts, compared.left),
            right=_of_table(rights, compared.right),
            why="; ".join([compared.why, *dict.fromkeys(notes)]),
        )
        return paired(lefts, rights, compared, mine.engine, duckdb=self.bringer.duckdb)

    def _local(self, table: TableObjects, notes: list[str]) -> JoinedRelation:
        bringer = table.engine.bringer if isinstance(table.engine, TableEngine) else self.bringer
        local = bringer.local(table.relation, table.plain_schema)
        if local is not table.relation:
            notes.append(f"{counted(local.count, 'row')} came from {table.relation.engine}")
        return local


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
        raise CannotPushDown("more differs than fits into memory, beside what was applied to properties")
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
    return attrs.evolve(found, reason=f"everything became objects: {reason}", engine=memory.name)


def _of_table(table: TableObjects, chunks: Rows) -> Rows:
    """Return rows without the columns that were computed."""
    width = len(table.relation.columns)
    return (columns[:width] for columns in chunks)


def _converters(table: TableObjects) -> Mapping[str, Any]:
    fields = table.schema.fields or {}
    return {name: field.converter for name, field in fields.items()}
