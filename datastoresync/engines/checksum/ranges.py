"""Ranges of keys, and how a database tells which one a row is in.

Needs SQLAlchemy, and is only imported once tables of two databases are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

__all__ = ["Key", "Range", "cut", "merged"]

_FEW: Final = 100
"""How many ranges are named one by one, so that the database may look them up in an index."""


@attrs.frozen
class Range:
    """Keys that are at least ``start`` and less than ``stop``, where None is no limit."""

    start: Any = None
    stop: Any = None


@attrs.frozen(eq=False)
class Key:
    """What a table is cut by.

    Args:
        columns: Columns that sort alike on all servers; with several, a value of the key is a tuple.
        kinds: The types that values of theirs are sent as.
    """

    columns: Sequence[sa.ColumnElement[Any]]
    kinds: Sequence[TypeEngine[Any]]

    def number(self, ranges: Sequence[Range]) -> sa.ColumnElement[Any]:
        """Return the place of the range that a row is in, NULL if it is in none.

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
    places = sorted({len(known) * piece // pieces for piece in range(1, pieces)})
    cuts = [known[place] for place in places if known]
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
