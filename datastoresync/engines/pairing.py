"""Puts together the rows that an engine names: in memory if they are few, streamed from temporary files if not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count
from operator import itemgetter
from typing import Any

import attrs

from datastoresync.diffing.blocks import Block, in_blocks
from datastoresync.diffing.compare import Candidates
from datastoresync.diffing.side import Side
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.relation import Compared, Rows, Unfaithful
from datastoresync.engines.table import TableObjects
from datastoresync.syncers.records import Columns, Records

__all__ = ["paired"]

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
        Unfaithful: if it is too much, and cannot be kept in files, or if objects were changed by hand.
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
        raise Unfaithful("more differs than fits into memory, beside what was changed by hand")
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
        return in_blocks(names, self, *(made.reader(names) for made in self.made))


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
    relation = ColumnarRelation.of_records(duckdb, records, table.plain_layout)
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
