"""Comparison of branches that are tables: only the rows that differ become objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, count
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import attrs

from datastoresync.diffing.side import Block, Candidates, InMemoryEngine, Side, read_columns
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.join import JoinedRelation
from datastoresync.engines.lines import LineEngine, LineObjects, Writing, in_memory, keyed_lines, lines_compare
from datastoresync.engines.relation import CannotPushDown, ComparedApart, DifferingRows, Rows, Work
from datastoresync.engines.table import TableObjects
from datastoresync.printing.text import counted
from datastoresync.syncers.records import Columns, Records

if TYPE_CHECKING:
    from datastoresync.engines.duckdb.parquet import Spool

MANY = 300_000
"""Rows that differ, from which on they are not all made objects at once."""


def candidates_of(
    left_table: TableObjects,
    right_table: TableObjects,
    compared: DifferingRows,
    engine: str,
    *,
    duckdb: DuckDB,
    limit: int | None = None,
) -> Candidates:
    """Return the candidates among the rows that an engine named.

    Args:
        left_table: The source's table.
        right_table: The destination's.
        compared: What the engine found.
        engine: Its name.
        duckdb: Keeps what differs in files, if it is too much for the memory.
        limit: How many rows that is; None for the usual number.

    Raises:
        CannotPushDown: if it is too much, and cannot be kept in files, or if objects were changed by hand.
    """
    few: list[list[Columns]] = []
    rest: list[Rows] = [iter(compared.left), iter(compared.right)]
    held, most = 0, MANY if limit is None else limit
    for rows in rest:
        chunks: list[Columns] = []
        few.append(chunks)
        while held <= most and (columns := next(rows, None)) is not None:
            chunks.append(columns)
            held += len(columns[0])
    if held <= most:
        return _materialize_pairs(left_table, right_table, few, compared.reason, engine)
    if left_table.dirty or right_table.dirty:
        raise CannotPushDown("more differs than fits into memory, beside what was changed by hand")
    parts = [
        _spooled(table, chain(chunks, rows), duckdb)
        for table, chunks, rows in zip((left_table, right_table), few, rest, strict=True)
    ]
    left_table.recent, right_table.recent = {}, {}
    return _streamed(parts[0], parts[1], left_table.relation.count, compared.reason, engine)


# In memory.


class _MaterializedRows:
    """The objects of one side's rows, and the values of their columns."""

    def __init__(self, table: TableObjects, chunks: Sequence[Columns]) -> None:
        self.objects: dict[Any, Any] = {}
        self._indexes: dict[Any, int] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in table.relation.columns}
        for chunk in chunks:
            keys, made, converted = table.make_objects(chunk)
            self._indexes.update(zip(keys, count(len(self._indexes)), strict=False))
            self.objects.update(zip(keys, made, strict=True))
            for known, values in zip(self._columns.values(), converted or (), strict=False):
                known.extend(values)

    def has(self, names: Iterable[str]) -> bool:
        """Say whether the values of these attributes are known for all objects."""
        whole = all(len(column) == len(self.objects) for column in self._columns.values())
        return whole and self._columns.keys() >= set(names)

    def reader(self, names: Sequence[str]) -> Callable[[Sequence[Any], Sequence[Any]], list[list[Any]]]:
        """Return a function from keys to columns of known values, which is quicker than reading the objects."""

        def read(keys: Sequence[Any], _: Sequence[Any]) -> list[list[Any]]:
            indexes = list(map(self._indexes.__getitem__, keys))
            return [list(map(self._columns[name].__getitem__, indexes)) for name in names]

        return read


@attrs.frozen(eq=False)
class _MaterializedCandidates(Candidates):
    """Candidates whose objects are made already."""

    made: tuple[_MaterializedRows, _MaterializedRows] | None = None

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the source alone, sorted."""
        return super().created(left) if self.made is None else _with_objects(self.new, self.made[0])

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the destination alone, sorted."""
        return super().deleted(right) if self.made is None else _with_objects(self.old, self.made[1])

    def read(self, left: Side, right: Side) -> Iterator[Block]:
        """Yield the pairs with the values of their objects."""
        names = left.attributes
        if self.made is None or left.overrides or right.overrides or not all(made.has(names) for made in self.made):
            return super().read(left, right)
        return read_columns(names, self, *(made.reader(names) for made in self.made))


def _with_objects(keys: Sequence[Any], made: _MaterializedRows) -> Iterator[tuple[Any, Any]]:
    return zip(keys, map(made.objects.__getitem__, keys), strict=True)


def _materialize_pairs(
    left_table: TableObjects, right_table: TableObjects, few: Sequence[Sequence[Columns]], reason: str, engine: str
) -> Candidates:
    materialized = (_MaterializedRows(left_table, few[0]), _MaterializedRows(right_table, few[1]))
    left, right = (made.objects for made in materialized)
    new = [key for key in left if key not in right]
    old = [key for key in right if key not in left]
    both = left_table.relation.count - len(new)
    dirty = left_table.dirty | right_table.dirty
    pairs = [(key, item, right[key]) for key, item in left.items() if key in right and key not in dirty]
    left_table.remember(left, absent=old)
    right_table.remember(right, absent=new)
    if dirty:
        both += _include_dirty(left_table, right_table, dirty, new, old, pairs)
    pairs.sort(key=itemgetter(0))
    return _MaterializedCandidates(
        sorted(new), sorted(old), pairs, both, reason, engine, None if dirty else materialized
    )


def _include_dirty(
    left_table: TableObjects,
    right_table: TableObjects,
    dirty: set[Any],
    new: list[Any],
    old: list[Any],
    pairs: list[tuple[Any, Any, Any]],
) -> int:
    """Add the candidates whose objects are not as their tables have them; return how many more keys both sides have."""
    left_objects, right_objects = left_table.get_many(dirty), right_table.get_many(dirty)
    before = [table.relation.present(dirty) for table in (left_table, right_table)]
    new[:] = [key for key in new if key not in dirty] + [key for key in left_objects if key not in right_objects]
    old[:] = [key for key in old if key not in dirty] + [key for key in right_objects if key not in left_objects]
    pairs += [(key, left_objects[key], right_objects[key]) for key in left_objects if key in right_objects]
    return len(left_objects.keys() & right_objects.keys()) - len(before[0] & before[1])


# Streamed.


def _spooled(table: TableObjects, rows: Rows, duckdb: DuckDB) -> TableObjects | None:
    """Return the rows as a table in temporary files; None if there are none."""
    first = next(rows, None)
    if first is None:
        return None
    # It needs pyarrow.
    from datastoresync.engines.duckdb.parquet import ColumnarRelation

    records = Records(table.relation.columns, chain([first], rows), lambda index: f"row {index + 1}")
    relation = ColumnarRelation.of_records(duckdb, records, table.plain_schema)
    return table.subset(relation)


@attrs.frozen(eq=False)
class _PairedRows:
    """The pairs that may differ, read again by each iteration.

    Args:
        left: The rows of the source whose keys the destination's have, too; None if there are none.
        right: Those of the destination.
    """

    left: TableObjects | None = None
    right: TableObjects | None = None

    def __len__(self) -> int:
        return 0 if self.left is None else len(self.left)

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        if self.left is None or self.right is None:
            return iter(())
        pairs = zip(self.left.pairs(), self.right.pairs(), strict=True)
        return ((key, left, right) for (key, left), (_, right) in pairs)


@attrs.frozen(eq=False)
class _Streamed(Candidates):
    """Candidates in temporary files, which each pass reads again.

    Args:
        alone: The rows that only the source has, and those that only the destination has; None if there are none.
    """

    alone: tuple[TableObjects | None, TableObjects | None] = (None, None)
    streamed = True

    def created(self, left: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the source alone."""
        del left
        return iter(()) if self.alone[0] is None else self.alone[0].pairs()

    def deleted(self, right: Side) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and objects of the destination alone."""
        del right
        return iter(()) if self.alone[1] is None else self.alone[1].pairs()


def _streamed(left: TableObjects | None, right: TableObjects | None, size: int, reason: str, engine: str) -> Candidates:
    alone, pairs = (left, right), _PairedRows()
    common = 0 if left is None or right is None else left.relation.common(right.relation)  # type: ignore[attr-defined]  # it is one of ours
    if left is not None and right is not None and common:
        paired = [_among(*tables, common, there=True) for tables in ((left, right), (right, left))]
        alone = (
            _among(left, right, len(left) - common, there=False),
            _among(right, left, len(right) - common, there=False),
        )
        pairs = _PairedRows(*paired)
    reason = f"{reason}; what differs is in temporary files"
    new = 0 if left is None else len(left) - common
    return _Streamed((), (), pairs, size - new, reason, engine, alone)  # type: ignore[arg-type]  # a sequence in all that is asked of it


def _among(table: TableObjects, other: TableObjects, count: int, *, there: bool) -> TableObjects | None:
    """Return so many rows of a table, those whose keys another one has or lacks; None if there are none."""
    relation: Any = table.relation
    return table.subset(relation.among(other.relation, count, there=there)) if count else None


class _TableLines(LineObjects):
    """The lines of a table, which makes the objects."""

    def __init__(self, lines: dict[Any, str], writing: Writing, table: TableObjects) -> None:
        super().__init__(lines, writing, table.branch)
        self.table = table

    def make(self, keys: Iterable[Any]) -> None:
        """Let the table make the objects of some keys, and keep them."""
        self.made |= self.table.get_many([key for key in keys if key not in self.made])
        self.table.remember(self.made)


def _joined(left: Side, right: Side) -> Candidates:
    """Return where two sides may differ, of which one is a table and the other one in memory."""
    sides = [left, right]
    index = 0 if isinstance(left.objects, TableObjects) else 1
    table: Any = sides[index].objects
    files = getattr(table.relation, "files", ())
    if isinstance(sides[1 - index].objects, LineObjects) and files and not table.dirty:
        found = keyed_lines(files, table.plain_schema)
        if found is not None:
            sides[index] = attrs.evolve(sides[index], objects=_TableLines(*found, table))
            if lines_compare(*sides):
                return LineEngine().candidates(*sides)
    return stream_join(*(attrs.evolve(side, objects=in_memory(side.objects)) for side in (left, right)))


_CHUNK = 65_536
"""Pairs that are looked up together, where they are too many to be kept."""


def stream_join(left: Side, right: Side) -> Candidates:
    """Return where two sides may differ, of which one is a table and the other one in memory.

    Costs an object a row, of which a chunk is in memory at a time. If more rows differ than are to be kept as objects,
    each iteration reads them again.
    """
    passing = _PassingRows(left, right)
    table = passing.table
    dirty = table.dirty
    for columns in table.relation.rows():
        keys, objects, _ = table.make_objects(columns)
        passing.compare({key: item for key, item in zip(keys, objects, strict=True) if key not in dirty})
    if dirty:
        passing.compare(table.get_many(dirty))
    return passing.candidates()


@attrs.frozen(eq=False)
class _Sides:
    """A table and the objects in memory, as the sides of a comparison.

    Args:
        both: The left and the right one.
        table_index: Which of them is the table.
    """

    both: tuple[Side, Side]
    table_index: int

    @property
    def table(self) -> TableObjects:
        """The table."""
        table: Any = self.both[self.table_index].objects
        return table  # type: ignore[no-any-return]  # `table_index` says so

    @property
    def partners(self) -> Mapping[Any, Any]:
        """The objects in memory."""
        return self.both[1 - self.table_index].objects

    def differing(self, objects: dict[Any, Any], partners: dict[Any, Any]) -> Sequence[tuple[Any, Any, Any]]:
        """Return the pairs that may differ among some objects of the table and their partners."""
        sides = list(self.both)
        sides[self.table_index] = attrs.evolve(sides[self.table_index], objects=objects)
        sides[1 - self.table_index] = attrs.evolve(sides[1 - self.table_index], objects=partners)
        return InMemoryEngine().candidates(*sides).pairs


class _PassingRows:
    """The rows of the table, compared some at a time, and the candidates among them so far."""

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

    def compare(self, objects: dict[Any, Any]) -> None:
        """Compare some objects of the table with their partners."""
        in_memory = self.sides.partners
        partners = {key: in_memory[key] for key in objects if key in in_memory}
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

    def candidates(self) -> Candidates:
        """Return all candidates."""
        partners, name = self.sides.partners, self.sides.both[1 - self.sides.table_index].name
        reason = f"{name} is in memory, and the rows of the other side passed by"
        missing = sorted(key for key in partners if key not in self.seen)
        if self.streamed:
            self.table.remember({}, absent=missing)
            both = sorted(key for key in partners if key in self.seen)
            pairs: Any = _JoinedPairs(self.sides, both, self.differing)
            reason += "; what differs is read again whenever it is asked for"
            new, old = ((), missing) if self.sides.table_index == 0 else (missing, ())
            return _StreamJoin(new, old, pairs, len(self.seen), reason, self.table.relation.engine)
        pairs = self._named()
        there = {pair[0]: pair[1 + self.sides.table_index] for pair in pairs}
        self.table.remember({**there, **self.alone}, absent=missing)
        new, old = (sorted(self.alone), missing) if self.sides.table_index == 0 else (missing, sorted(self.alone))
        return Candidates(new, old, pairs, len(self.seen), reason, self.table.relation.engine)

    def _named(self) -> list[tuple[Any, Any, Any]]:
        """Return the pairs under the keys of the left side, which may be of another type than those of the table."""
        pairs = sorted(self.pairs, key=itemgetter(0))
        if self.sides.table_index == 0 or not pairs:
            return pairs
        wanted = {pair[0] for pair in pairs}
        own = {key: key for key in self.sides.partners if key in wanted}
        return [(own[key], left, right) for key, left, right in pairs]


@attrs.frozen(eq=False)
class _JoinedPairs:
    """The pairs that may differ, looked up again by each iteration.

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
            partners = {key: self.sides.partners[key] for key in keys if key in self.sides.partners}
            yield from self.sides.differing(self.sides.table.get_many(keys), partners)


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

    Rows in different places are spooled into files that the embedded engine reads, with properties as further columns.
    Objects in memory are compared with the rows of a table as these stream by. Where no engine compares as Python does,
    both sides become objects.

    Args:
        duckdb: How the embedded engine runs; options of another engine, and None, stand for the usual.
    """

    name = "table"

    def __init__(self, duckdb: DuckDB | None = None) -> None:
        self.duckdb = duckdb if isinstance(duckdb, DuckDB) else DuckDB()

    @cached_property
    def spool(self) -> Spool:
        """What keeps the rows that come from elsewhere."""
        from datastoresync.engines.duckdb.parquet import Spool  # rows of one place need none

        return Spool(self.duckdb)

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        left_table, right_table = left.objects, right.objects
        if not isinstance(left_table, TableObjects) or not isinstance(right_table, TableObjects):
            return _joined(left, right)
        try:
            return self._found(left, right, left_table, right_table)
        except CannotPushDown as reason:
            return _in_memory(left, right, left_table, right_table, str(reason))

    def _found(self, left: Side, right: Side, left_table: TableObjects, right_table: TableObjects) -> Candidates:
        work = Work(left.attributes, _converters(left_table), _converters(right_table))
        try:
            found = self._in_place(left_table, right_table, work)
        except CannotPushDown as reason:
            if isinstance(left_table.relation, JoinedRelation) and isinstance(right_table.relation, JoinedRelation):
                raise
            found = self._in_files(left_table, right_table, work, [str(reason)])
        return _with_overridden(found, left, right, left_table, right_table)

    def _in_place(self, left_table: TableObjects, right_table: TableObjects, work: Work) -> Candidates:
        left, right = left_table.relation, right_table.relation
        if any(_lacking(table, work) for table in (left_table, right_table)):
            return self._in_files(left_table, right_table, work, [])
        if left.location == right.location:
            compared = left.differing(right, work)
        elif left.engine == right.engine and isinstance(left, ComparedApart):
            compared = left.differing_apart(right, work)
        else:
            return self._in_files(left_table, right_table, work, [])
        return candidates_of(left_table, right_table, compared, left.engine, duckdb=self.duckdb)

    def _in_files(
        self, left_table: TableObjects, right_table: TableObjects, work: Work, notes: list[str]
    ) -> Candidates:
        """Compare all rows in files, with everything that is compared as columns."""
        from datastoresync.engines.duckdb.properties import follow_columns, with_properties  # it needs pyarrow

        tables = (left_table, right_table)
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
        left, right = locals_
        compared = left.differing(right, work)
        compared = attrs.evolve(
            compared,
            left=_of_table(left_table, compared.left),
            right=_of_table(right_table, compared.right),
            reason="; ".join([compared.reason, *dict.fromkeys(notes)]),
        )
        return candidates_of(left_table, right_table, compared, left.engine, duckdb=self.duckdb)

    def _local(self, table: TableObjects, notes: list[str]) -> JoinedRelation:
        spool = table.engine.spool if isinstance(table.engine, TableEngine) else self.spool
        local = spool.local(table.relation, table.plain_schema)
        if local is not table.relation:
            notes.append(f"{counted(local.count, 'row')} came from {table.relation.engine}")
        return local


def _lacking(table: TableObjects, work: Work) -> list[str]:
    """Return the attributes that are compared and are no columns."""
    known = {*table.relation.columns, *getattr(table.relation, "constants", ())}
    return [name for name in work.attributes if name not in known]


def _with_overridden(
    found: Candidates, left: Side, right: Side, left_table: TableObjects, right_table: TableObjects
) -> Candidates:
    """Return the candidates with the pairs that have an override."""
    keys = left.overrides.keys() | right.overrides.keys()
    if not keys:
        return found
    if found.streamed:
        raise CannotPushDown("more differs than fits into memory, beside what was applied to properties")
    pairs = {pair[0]: pair for pair in found.pairs}
    left_objects, right_objects = left_table.get_many(keys), right_table.get_many(keys)
    pairs |= {
        key: (key, left_objects[key], right_objects[key])
        for key in keys
        if key in left_objects and key in right_objects
    }
    return attrs.evolve(found, pairs=sorted(pairs.values(), key=itemgetter(0)))


def _in_memory(left: Side, right: Side, left_table: TableObjects, right_table: TableObjects, reason: str) -> Candidates:
    """Compare all objects in memory, and keep those that may be asked for next."""
    memory = InMemoryEngine()
    left_objects, right_objects = left_table.objects(), right_table.objects()
    found = memory.candidates(attrs.evolve(left, objects=left_objects), attrs.evolve(right, objects=right_objects))
    left_table.remember(
        {key: left_objects[key] for key in (*found.new, *(pair[0] for pair in found.pairs))}, absent=found.old
    )
    right_table.remember(
        {key: right_objects[key] for key in (*found.old, *(pair[0] for pair in found.pairs))}, absent=found.new
    )
    return attrs.evolve(found, reason=f"everything became objects: {reason}", engine=memory.name)


def _of_table(table: TableObjects, chunks: Rows) -> Rows:
    """Return rows without the columns that were computed."""
    width = len(table.relation.columns)
    return (columns[:width] for columns in chunks)


def _converters(table: TableObjects) -> Mapping[str, Any]:
    fields = table.schema.fields or {}
    return {name: field.converter for name, field in fields.items()}
