"""Flat records on their way into or out of a store, and the choice of their columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from datastoresync.errors import ColumnError, DeclarationError
from datastoresync.syncers.names import nearest

Columns = Sequence[Sequence[Any]]
"""A chunk of records, column by column: one sequence a column, all of one length."""


class Records:
    """A stream of flat records: named columns that arrive in chunks, and the position of each record.

    Chunks are columns rather than rows, so that one call handles a million values.

    Args:
        columns: The names, in the order of the columns of every chunk.
        chunks: Yields chunks; each is a sequence of ``len(columns)`` sequences of one length. It is read once.
        where: Returns the position of a record, counted from 0 over all chunks, as a person would look it up:
            ``people.csv:17`` or ``row 17 of table users``.
        source_info: Description of their source, if an engine can read it by itself; see `syncers.source_info`.

    >>> records = Records(["idnumber", "name"], [[["1", "2"], ["Ann", "Bob"]]], lambda index: f"row {index + 1}")
    >>> list(records)
    [{'idnumber': '1', 'name': 'Ann'}, {'idnumber': '2', 'name': 'Bob'}]
    """

    __slots__ = ("chunks", "columns", "source_info", "where")

    def __init__(
        self, columns: Sequence[str], chunks: Iterable[Columns], where: Callable[[int], str], *, source_info: Any = None
    ) -> None:
        self.columns = tuple(columns)
        self.chunks = chunks
        self.where = where
        self.source_info = source_info

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each record as a dictionary; this consumes the stream."""
        for chunk in self.chunks:
            for row in zip(*chunk, strict=True):
                yield dict(zip(self.columns, row, strict=True))

    def __repr__(self) -> str:
        return f"<Records: {', '.join(self.columns)}>"


def choose_columns(
    names: Sequence[str], columns: Mapping[str, str] | Sequence[str] | None, *, where: str = ""
) -> tuple[list[int], list[str]]:
    """Return the indexes of the chosen columns, and their new names.

    Args:
        names: The names of all columns.
        columns: The names to choose, or a mapping from them to new names; None for all.
        where: The position of the names, for messages.

    Raises:
        DeclarationError: if ``columns`` is one text, or empty.
        ColumnError: if a column does not exist, or if two would have one name.

    >>> choose_columns(["id", "name", "age"], {"age": "years", "id": "idnumber"})
    ([2, 0], ['years', 'idnumber'])
    """
    if columns is None:
        return list(range(len(names))), list(names)
    if isinstance(columns, str) or not columns:
        message = f"columns must be a list of names, or a mapping from names to new names (got {columns!r})"
        raise DeclarationError(message)
    renamed = columns if isinstance(columns, Mapping) else dict.fromkeys(columns)
    indexes = {name: index for index, name in enumerate(names)}
    unknown = [name for name in renamed if name not in indexes]
    if unknown:
        message = f"there is no column {', '.join(map(repr, unknown))}: {nearest(unknown[0], names)}"
        raise ColumnError(message, where=where, columns=unknown)
    chosen = [new or name for name, new in renamed.items()]
    counts = Counter(chosen if isinstance(columns, Mapping) else columns)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ColumnError(f"columns names {', '.join(map(repr, twice))} twice", where=where, columns=twice)
    return [indexes[name] for name in renamed], chosen
