"""Flat records on their way in or out of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

Columns = Sequence[Sequence[Any]]
"""A chunk of records, column by column: one sequence a column, all of one length."""


class Records:
    """A stream of flat records: named columns that arrive in chunks and know where each record stands.

    Chunks are columns rather than rows, so that whatever handles a million values can do so in one call.

    Args:
        columns: The names, in the order of the columns of every chunk.
        chunks: Yields chunks; each is a sequence of ``len(columns)`` sequences of one length. It is read once.
        where: Gives the place of a record, counted from 0 over all the chunks, as a person would look it up:
            ``people.csv:17`` or ``row 17 of table users``.
        origin: Where they come from, if an engine could read them by itself; see `origin`.

    >>> records = Records(["idnumber", "name"], [[["1", "2"], ["Ann", "Bob"]]], lambda index: f"row {index + 1}")
    >>> list(records)
    [{'idnumber': '1', 'name': 'Ann'}, {'idnumber': '2', 'name': 'Bob'}]
    """

    __slots__ = ("chunks", "columns", "origin", "where")

    def __init__(
        self, columns: Sequence[str], chunks: Iterable[Columns], where: Callable[[int], str], *, origin: Any = None
    ) -> None:
        self.columns = tuple(columns)
        self.chunks = chunks
        self.where = where
        self.origin = origin

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each record as a dictionary; this consumes the stream."""
        for chunk in self.chunks:
            for row in zip(*chunk, strict=True):
                yield dict(zip(self.columns, row, strict=True))

    def __repr__(self) -> str:
        return f"<Records: {', '.join(self.columns)}>"
