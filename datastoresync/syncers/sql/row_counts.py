"""Rows that a database wrote in a transaction, held against those that it was asked to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import attrs

RowCount = tuple[str, str]
"""A table with its schema, and what was done to rows: inserted, updated or deleted; empty where that is not known."""
_DONE = {"insert": "inserted", "update": "updated", "delete": "deleted"}


@attrs.frozen
class Mark:
    """The counts at the beginning of something that may be undone."""

    seen: Counter[RowCount]
    undone: Counter[RowCount]
    own: Counter[RowCount]


@attrs.define(eq=False)
class RowCounts:
    """Counts rows, from the first statement on that may write more than it says.

    Args:
        read: Gives how many rows the database has written so far, those that were undone as well; None if unknown.
    """

    read: Callable[[], Mapping[RowCount, int] | None]
    _first: Counter[RowCount] | None = attrs.field(init=False, default=None)
    _undone: Counter[RowCount] = attrs.field(init=False, factory=Counter)
    _own: Counter[RowCount] = attrs.field(init=False, factory=Counter)

    def begin(self) -> None:
        """Begin to count, if that was not done before."""
        if self._first is None:
            self._first = self._seen()

    def _seen(self) -> Counter[RowCount]:
        return Counter(self.read() or {})

    def note(self, table: str, verb: str, rows: int) -> None:
        """Take note of rows that were written as it was asked for."""
        if self._first is not None:
            self._own[table, _DONE[verb]] += rows

    def mark(self) -> Mark | None:
        """Return the counts as they are, for `undo`; None if nothing is counted yet."""
        if self._first is None:
            return None
        return Mark(self._seen(), Counter(self._undone), Counter(self._own))

    def undo(self, mark: Mark | None) -> None:
        """Count what was written since a mark as undone: a rollback does not reset the counts of the database."""
        if self._first is None:
            return
        mark = mark or Mark(self._first, Counter(), Counter())
        self._undone = Counter(mark.undone)
        self._undone.update(self._seen())
        self._undone.subtract(mark.seen)
        self._own = Counter(mark.own)

    def warnings(self, told: Mapping[RowCount, int]) -> Iterator[str]:
        """Yield a sentence for each table with rows that nobody asked for.

        Args:
            told: Rows that are known to have been written besides, for which somebody else has a sentence.
        """
        if self._first is None:
            return
        more = self._seen()
        for other in (self._first, self._undone):
            more.subtract(other)
        if any(not table for table, _ in more):
            rows = sum(more.values()) - sum(self._own.values()) - sum(told.values())
            if rows > 0:
                yield f"{_rows(rows)} inserted, updated or deleted besides, by triggers or foreign keys"
            return
        more.subtract(self._own)
        more.subtract(told)
        for table in sorted({table for table, _ in more}):
            # A row that moves from one partition to another is deleted and inserted.
            moved = min(more[table, "inserted"], more[table, "deleted"], -more[table, "updated"])
            for done in _DONE.values():
                rows = more[table, done] - (max(moved, 0) if done != "updated" else 0)
                if rows > 0:
                    yield f"table {table!r}: {_rows(rows)} {done} besides, by triggers or foreign keys"


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count:,} rows were"
