"""Two tables on two servers compared by checksums of key ranges: traffic grows with the differences, not the tables.

Rows are cut into ranges of keys, at the same keys on both servers, and each server sends a checksum of each range: the
number of its rows, and the sums of both halves of their digests modulo ``2**64``, which no order of the rows changes.
Ranges that differ are cut further, by the digests of the keys; of what then still differs, keys and digests are
fetched, and where the digests differ, the rows. `checksum.sql` says what a digest is.

Rows are missed only where checksums are equal by chance. Two different sets of rows have equal ones with a probability
of ``2**-128``, unless rows are made up so that they have.

A table is scanned as a whole once, digests and all. Before that, the larger one is scanned for a sample of its keys,
without digests. After it, what differs is read through an index of the key where that is at most a hundred places, and
otherwise in two scans, with digests of what may differ only.

Needs SQLAlchemy, and is only imported once tables of two databases are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from math import isqrt
from typing import Any, Final, TypeVar

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.engines.checksum.sql import (
    BITS,
    CHECKSUM_DIALECTS,
    ColumnText,
    Expression,
    SideName,
    column_text,
    digest_of,
    lanes_of,
    part_of,
)
from datastoresync.engines.relation import CannotPushDown, DifferingRows
from datastoresync.errors import SyncerError
from datastoresync.syncers.records import Columns
from datastoresync.syncers.sql.dialects import dialect_of

_FEW: Final = 100
"""How many ranges are named one by one, so that the database may look them up in an index."""


@attrs.frozen
class Range:
    """Keys that are at least ``start`` and less than ``stop``, where None is no limit."""

    start: Any = None
    stop: Any = None


@attrs.frozen(eq=False)
class RangeKey:
    """What a table is cut by.

    Args:
        columns: Columns that sort alike on all servers; with several, a value of the key is a tuple.
        kinds: The types that values of theirs are sent as.
    """

    columns: Sequence[sa.ColumnElement[Any]]
    kinds: Sequence[TypeEngine[Any]]

    def number(self, ranges: Sequence[Range]) -> sa.ColumnElement[Any]:
        """Return the index of the range that a row is in, NULL if it is in none.

        It takes as many comparisons as the number of ranges has binary digits.

        Args:
            ranges: Some at least, in ascending order, none of which reaches into the next.
        """
        cuts: list[Any] = []
        numbers: list[int | None] = []  # one for what lies before each cut, and one for what lies behind them all
        for number, wanted in enumerate(ranges):
            if wanted.start is not None and (not cuts or cuts[-1] != wanted.start):
                cuts.append(wanted.start)
                numbers.append(None)
            numbers.append(number)
            if wanted.stop is not None:
                cuts.append(wanted.stop)
        if len(numbers) == len(cuts):
            numbers.append(None)

        def chosen(low: int, high: int) -> sa.ColumnElement[Any]:
            if low == high:
                number = numbers[low]
                return sa.null() if number is None else sa.literal_column(str(number), sa.Integer)
            middle = (low + high) // 2
            return sa.case((self._before(cuts[middle]), chosen(low, middle)), else_=chosen(middle + 1, high))

        return chosen(0, len(cuts))

    def within(self, ranges: Sequence[Range]) -> sa.ColumnElement[bool]:
        """Return whether a row is in one of the ranges, which are in ascending order."""
        joined = merged(ranges)
        if len(joined) > _FEW:
            return self.number(joined).is_not(None)
        return sa.or_(*(sa.and_(*self._limits(wanted)) for wanted in joined))

    def _limits(self, wanted: Range) -> list[sa.ColumnElement[bool]]:
        limits: list[sa.ColumnElement[bool]] = [sa.true()]
        if wanted.start is not None:
            limits.append(self._value >= self._literal(wanted.start))
        if wanted.stop is not None:
            limits.append(self._before(wanted.stop))
        return limits

    def _before(self, value: Any) -> sa.ColumnElement[bool]:
        return self._value < self._literal(value)

    @property
    def _value(self) -> sa.ColumnElement[Any]:
        return self.columns[0] if len(self.columns) == 1 else sa.tuple_(*self.columns)

    def _literal(self, value: Any) -> sa.ColumnElement[Any]:
        if len(self.columns) == 1:
            return sa.literal(value, self.kinds[0])
        return sa.tuple_(*map(sa.literal, value, self.kinds))


def cut(keys: Iterable[Any], pieces: int) -> list[Range]:
    """Return at most so many ranges that hold all keys there may be, and about equally many of these.

    >>> cut([5, 3, 4, 1, 2, 6], 3)
    [Range(start=None, stop=3), Range(start=3, stop=5), Range(start=5, stop=None)]
    """
    known = sorted(set(keys))
    indexes = sorted({len(known) * piece // pieces for piece in range(1, pieces)})
    cuts = [known[index] for index in indexes if known]
    return [Range(start, stop) for start, stop in zip([None, *cuts], [*cuts, None], strict=True)]


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Join those of the ranges, which are in ascending order, that follow each other without a gap.

    >>> merged([Range(None, 3), Range(3, 5), Range(8, None)])
    [Range(start=None, stop=5), Range(start=8, stop=None)]
    """
    joined: list[Range] = []
    for wanted in ranges:
        if joined and joined[-1].stop is not None and joined[-1].stop == wanted.start:
            joined[-1] = Range(joined[-1].start, wanted.stop)
        else:
            joined.append(wanted)
    return joined


_ROWS: Final = 1_000
"""About how many rows a range has; some 200 bytes travel for each range of both sides, statements among them."""
_RANGES: Final = 16_384
"""How many ranges there are at most; a statement that tells them apart has half a megabyte."""
_SAMPLED: Final = 4
"""How many keys of a sample a range has, so that few are much larger than others."""
_SUSPECTS: Final = 1_000
"""Of how many rows, at most, keys and digests are fetched without cutting them once more."""
_PARTS: Final = 1_024
"""Into how many parts a range is cut at most."""
_MOST: Final = 1_000_000
"""How many keys and digests are held at most; some 200 MB a million."""
_SMALL: Final = 10_000
"""So many rows are compared one by one, however many of them differ."""
_KEYS: Final = 1_000
"""Rows per query, where they are looked up by their keys."""
_SETTINGS: Final = (
    # To compile a statement that tells thousands of ranges apart would take longer than to run it.
    "SELECT set_config('jit', 'off', true), "
    # What the text of doubles and dates depends on.
    "set_config('extra_float_digits', '1', true), set_config('datestyle', 'ISO', true)"
)


_Answer = TypeVar("_Answer")


@attrs.frozen(eq=False)
class ServerTable:
    """A table, or the rows of a query, as its server keeps it.

    Args:
        connect: Gives the connection for one query, in a transaction that sees the same rows every time. It may be
            called in another thread than the other side's, at the same time; the two have connections of their own.
        source: What is selected from.
        columns: What is read, by attribute, the identifiers among them.
        kinds: The types of the columns as the catalogue has them, by attribute.
        key: The identifiers; no two rows have equal ones, and none is NULL.
        count: How many rows there are.
        converted: By attribute, what is compared in place of a column whose values are converted; of the type in
            ``kinds``.
    """

    connect: Callable[[], AbstractContextManager[sa.Connection]]
    source: sa.FromClause
    columns: Mapping[str, Expression]
    kinds: Mapping[str, TypeEngine[Any]]
    key: Sequence[str]
    count: int
    converted: Mapping[str, Expression] = attrs.field(factory=dict)


def differing_by_ranges(left: ServerTable, right: ServerTable, attributes: Sequence[str]) -> DifferingRows:
    """Compare two tables of two servers, in two threads. Which rows differ is known on return; they are read later.

    Args:
        left: The source.
        right: The destination.
        attributes: What is compared, besides the keys.

    Raises:
        CannotPushDown: An attribute is not written alike on both servers, or fetching everything is quicker.
        SyncerError: If ``connect`` raises it.
    """
    names = [*left.key, *(name for name in attributes if name not in left.key)]
    sides = (_ServerSide(left, "left", names), _ServerSide(right, "right", names))
    for name, source, destination in zip(names, *(side.fields for side in sides), strict=True):
        if source.family != destination.family:
            message = f"{name} is {source.family} in the source and {destination.family} in the destination"
            raise CannotPushDown(message)
    return _compare(*sides)


class _ServerSide:
    """What one of the servers is asked."""

    def __init__(self, table: ServerTable, side: SideName, names: Sequence[str]) -> None:
        self.table = table
        with table.connect() as connection:
            self.dialect = dialect_of(connection.dialect).name
        if self.dialect not in CHECKSUM_DIALECTS:
            message = f"checksums are proved for {' and '.join(sorted(CHECKSUM_DIALECTS))} only, not for {self.dialect}"
            raise CannotPushDown(message)
        self.fields = [self._column_text(name, side) for name in names]
        keys = self.fields[: len(table.key)]
        sorted_by = [field.key for field in keys if field.key is not None]
        if len(sorted_by) != len(keys):
            message = f"the key of {' and '.join(table.key)} does not sort in the same order on all servers"
            raise CannotPushDown(message)
        self.key = RangeKey([column for column, _ in sorted_by], [kind for _, kind in sorted_by])
        self._digest = digest_of(self.fields, self.dialect, side)
        self._key_digest = digest_of(keys, self.dialect, "left")
        self._key_columns = [table.columns[name] for name in table.key]

    def _column_text(self, name: str, side: SideName) -> ColumnText:
        column = self.table.converted.get(name, self.table.columns[name])
        try:
            return column_text(column, self.table.kinds[name], self.dialect, side)
        except CannotPushDown as error:
            message = f"{name}: {error}"
            raise CannotPushDown(message) from None

    def sample(self, size: int) -> list[Any]:
        """Return about so many keys."""
        random = sa.func.random() if self.dialect == "postgresql" else sa.func.rand()
        chosen = random < sa.literal(size / max(1, self.table.count), sa.Double)
        return [self._key(row) for row in self._run(self._select(*self._key_columns).where(chosen))]

    def sums(self, ranges: Sequence[Range], parts: int) -> dict[int, tuple[int, ...]]:
        """Return the checksum of each part of each range that has rows: their number, and the sums of the lanes."""
        number = self._number(ranges, parts).label("number")
        rows = self._select(number, self._digest.label("digest")).where(self.key.within(ranges))
        if self.dialect == "postgresql":
            rows = rows.offset(0)  # or it would make the digest once for each lane; elsewhere that is quicker
        found = rows.subquery()
        lanes = lanes_of(found.c.digest, self.dialect)
        statement = sa.select(found.c.number, sa.func.count(), *lanes).group_by(found.c.number)
        rows_found: Iterable[Sequence[Any]] = self._run(statement)
        return {
            int(number): (count, *(int(total) % 2**BITS for total in totals)) for number, count, *totals in rows_found
        }

    def digests(self, ranges: Sequence[Range], parts: int, numbers: Collection[int] | None) -> dict[Any, str]:
        """Return the digests of the rows of ranges, or of those of their parts that have these numbers, by key."""
        statement = self._select(*self._key_columns, self._digest).where(self.key.within(ranges))
        if numbers is not None:
            wanted: list[Expression] = [sa.literal_column(str(number)) for number in sorted(numbers)]
            statement = statement.where(self._number(ranges, parts).in_(wanted))
        return {self._key(row[:-1]): row[-1] for row in self._run(statement)}

    def rows(self, keys: Sequence[Any]) -> Iterator[Columns]:
        """Yield the rows of these keys, in their order."""
        columns = self.table.columns
        indexes = [list(columns).index(name) for name in self.table.key]
        waiting = iter(keys)
        while wanted := list(islice(waiting, _KEYS)):
            # The database may hold more keys to be equal than are.
            found = {
                self._key([row[index] for index in indexes]): row
                for row in self._run(self._select(*columns.values()).where(self._is_one_of(wanted)))
            }
            if missing := len(wanted) - sum(key in found for key in wanted):
                message = (
                    f"{missing} of the rows that differ are gone: the database was not kept as it was; import it again"
                )
                raise SyncerError(message)
            yield list(zip(*map(found.__getitem__, wanted), strict=True))

    def _is_one_of(self, keys: Sequence[Any]) -> sa.ColumnElement[bool]:
        if len(self._key_columns) == 1:
            return self._key_columns[0].in_(keys)
        return sa.tuple_(*self._key_columns).in_(keys)

    def _number(self, ranges: Sequence[Range], parts: int) -> Expression:
        number = self.key.number(ranges)
        return number * parts + part_of(self._key_digest, parts, self.dialect) if parts > 1 else number

    def _select(self, *columns: Expression) -> sa.Select[Any]:
        return sa.select(*columns).select_from(self.table.source)

    @staticmethod
    def _key(values: Sequence[Any]) -> Any:
        return values[0] if len(values) == 1 else tuple(values)

    def _run(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self.table.connect() as connection:
            savepoint = connection.begin_nested()
            try:
                if self.dialect == "postgresql":
                    connection.exec_driver_sql(_SETTINGS)
                # Hardly any two of these statements are the same, and they are large.
                return connection.execute(statement, execution_options={"compiled_cache": None}).all()
            finally:
                savepoint.rollback()


def _compare(left: _ServerSide, right: _ServerSide) -> DifferingRows:
    count = max(left.table.count, right.table.count)
    ranges = _first_ranges(left, right)
    differing = _unequal_sums(left, right, ranges, 1)
    reason = f"checksums of {len(ranges)} ranges of keys, {len(differing)} of which differ"
    ranges = [ranges[number] for number in sorted(differing)]
    parts, numbers, suspects = 1, None, sum(differing.values())
    if suspects > _SUSPECTS and (pieces := min(_PARTS, isqrt(suspects // len(ranges)))) > 1:
        parts, numbers = pieces, _unequal_sums(left, right, ranges, pieces)
        suspects = sum(numbers.values())
    if suspects > max(_SMALL, min(count // 4, _MOST)):
        message = f"by their checksums, up to {suspects} of {count} rows differ, which is quicker without any"
        raise CannotPushDown(message)
    if not ranges:
        return DifferingRows(iter(()), iter(()), reason)
    digests = _on_both(*(partial(side.digests, ranges, parts, numbers) for side in (left, right)))
    return DifferingRows(left.rows(_differing_keys(*digests)), right.rows(_differing_keys(*reversed(digests))), reason)


def _first_ranges(left: _ServerSide, right: _ServerSide) -> list[Range]:
    larger = max(left, right, key=lambda side: side.table.count)
    pieces = min(_RANGES, larger.table.count // _ROWS)
    return cut(larger.sample(_SAMPLED * pieces) if pieces > 1 else (), pieces)


def _unequal_sums(left: _ServerSide, right: _ServerSide, ranges: Sequence[Range], parts: int) -> dict[int, int]:
    """Return how many rows there are, on the side that has more, in the parts of ranges that differ."""
    left_sums, right_sums = _on_both(*(partial(side.sums, ranges, parts) for side in (left, right)))
    pairs = ((number, left_sums.get(number, (0,)), right_sums.get(number, (0,))) for number in left_sums | right_sums)
    return {number: max(left[0], right[0]) for number, left, right in pairs if left != right}


def _differing_keys(left: Mapping[Any, str], right: Mapping[Any, str]) -> list[Any]:
    return sorted(key for key, digest in left.items() if right.get(key) != digest)


def _on_both(left: Callable[[], _Answer], right: Callable[[], _Answer]) -> tuple[_Answer, _Answer]:
    """Ask both servers at once."""
    with ThreadPoolExecutor(1) as pool:
        right_answer = pool.submit(right)
        return left(), right_answer.result()
