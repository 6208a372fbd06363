"""Flat records on their way in or out of a store, the columns that are taken, and where they come from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from datastoresync.conversion.value_format import ValueFormat
from datastoresync.errors import ColumnError, DeclarationError, system_reason
from datastoresync.spelling import nearest

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
        source_info: Description of their source, if an engine can read it by itself; see `syncers.records`.
        value_format: How texts in them stand for values, and how messages speak of that.
        empty_parts: The names of those of several files that turned out to have no records.

    >>> records = Records(["idnumber", "name"], [[["1", "2"], ["Ann", "Bob"]]], lambda index: f"row {index + 1}")
    >>> list(records)
    [{'idnumber': '1', 'name': 'Ann'}, {'idnumber': '2', 'name': 'Bob'}]
    """

    __slots__ = ("chunks", "columns", "empty_parts", "source_info", "value_format", "where")

    def __init__(
        self,
        columns: Sequence[str],
        chunks: Iterable[Columns],
        where: Callable[[int], str],
        *,
        source_info: Any = None,
        value_format: ValueFormat | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.chunks = chunks
        self.where = where
        self.source_info = source_info
        self.value_format = value_format
        self.empty_parts: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each record as a dictionary; this consumes the stream."""
        for chunk in self.chunks:
            for row in zip(*chunk, strict=True):
                yield dict(zip(self.columns, row, strict=True))

    def __repr__(self) -> str:
        return f"<Records: {', '.join(self.columns)}>"


def choose_columns(
    names: Sequence[str], columns: Mapping[str, str] | Sequence[str | tuple[str, str]] | None, *, where: str = ""
) -> tuple[list[int], list[str]]:
    """Return the indexes of the chosen columns, and their new names.

    Args:
        names: The names of all columns.
        columns: The columns to choose, each as its name or as ``(new name, name)``, or a mapping from new names to
            names, which chooses all, as None does. The new name is on the left, as in `Table`.
        where: The position of the names, for messages.

    Raises:
        DeclarationError: if ``columns`` is one text, or empty.
        ColumnError: if a column does not exist, or if two would have one name.

    >>> choose_columns(["id", "name", "age"], {"idnumber": "id"})
    ([0, 1, 2], ['idnumber', 'name', 'age'])
    >>> choose_columns(["id", "name", "age"], ["age", ("idnumber", "id")])
    ([2, 0], ['age', 'idnumber'])
    """
    if columns is None:
        return list(range(len(names))), list(names)
    if isinstance(columns, str) or not columns:
        message = f"columns must be a list of names, or a mapping from new names to names (got {columns!r})"
        raise DeclarationError(message)
    pairs = (
        list(columns.items())
        if isinstance(columns, Mapping)
        else [(column, column) if isinstance(column, str) else tuple(column) for column in columns]
    )
    indexes = {name: index for index, name in enumerate(names)}
    unknown = [(new, name) for new, name in pairs if name not in indexes]
    if unknown:
        new, name = unknown[0]
        turned = new in indexes and new != name
        reason = (
            f"it is the new name that stands first, as in {{{name!r}: {new!r}}}" if turned else nearest(name, names)
        )
        message = f"there is no column {', '.join(repr(name) for _, name in unknown)}: {reason}"
        raise ColumnError(message, where=where, columns=[name for _, name in unknown])
    if isinstance(columns, Mapping):
        renamed = {name: new for new, name in pairs}
        others = [(name, name) for name in names if name not in renamed]
        pairs = sorted([*pairs, *others], key=lambda pair: indexes[pair[1]])
    twice = [name for name, many in Counter(new for new, _ in pairs).items() if many > 1]
    if twice:
        raise ColumnError(f"columns names {', '.join(map(repr, twice))} twice", where=where, columns=twice)
    return [indexes[name] for _, name in pairs], [new for new, _ in pairs]


LARGE = 150_000
"""Rows from which on a table costs less than objects."""


def unreadable_reason(path: Path, error: Exception) -> str:
    """Return the reason that a file cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return f"there is no such file in {path.absolute().parent}"
    return f"the file cannot be read: {system_reason(error)}"


def with_none(values: Sequence[Any], null: str | None) -> Sequence[Any]:
    """Return values with None for the text that stands for it; without such a text, as they are."""
    if null is None or null not in values:
        return values
    return [None if value == null else value for value in values]


def file_state(status: os.stat_result) -> tuple[int, ...]:
    """Return the device, inode, size and time of a file: one of them changes when the file does."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@attrs.frozen(eq=False, repr=False)
class DelimitedFile:
    """A CSV or TSV file that was scanned, and whose records were not read yet.

    Args:
        path: The file.
        encoding: What it is written in.
        delimiter: What separates its columns.
        header: The names of all its columns.
        line: The line of the header.
        indexes: The indexes of the columns that are read.
        columns: Their names in the records.
        null: The text that means None.
        state: What `file_state` returned for it.
        special: The marks of what other readers may read differently; see `csv_reader.scan`.
        text_format: All the options that it is read with.
        own_reader: Whether they, or how it is written, are for our own reader alone.
    """

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    line: int
    indexes: tuple[int, ...]
    columns: tuple[str, ...]
    null: str | None
    state: tuple[int, ...]
    special: frozenset[str]
    text_format: Any
    own_reader: bool


@attrs.frozen(eq=False, repr=False)
class DelimitedFiles:
    """Several delimited files, whose records follow each other."""

    files: tuple[DelimitedFile, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.state[2] for file in self.files)


@attrs.frozen(eq=False, repr=False)
class ParquetFile:
    """A Parquet file whose schema was read, and whose records were not read yet.

    Args:
        path: The file.
        header: The names of all its columns.
        indexes: The indexes of the columns that are read.
        columns: Their names in the records.
        types: Their Arrow types.
        rows: The number of its rows.
        state: What `file_state` returned for it.
    """

    path: Path
    header: tuple[str, ...]
    indexes: tuple[int, ...]
    columns: tuple[str, ...]
    types: tuple[Any, ...]
    rows: int
    state: tuple[int, ...]


@attrs.frozen(eq=False, repr=False)
class ParquetFiles:
    """Several Parquet files with the same columns, whose records follow each other."""

    files: tuple[ParquetFile, ...]

    @property
    def rows(self) -> int:
        """The rows of all files."""
        return sum(file.rows for file in self.files)


@attrs.frozen(eq=False, repr=False)
class StoredRows:
    """The rows of a table or a query.

    Args:
        syncer: The `SQLSyncer` of the database.
        table: The `Table`; None for a query.
        query: The query; None for a table.
        parameters: Of the query.
        attributes: The attributes to read; None for all columns.
    """

    syncer: Any
    table: Any = None
    query: str | None = None
    parameters: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    attributes: Sequence[str] | None = None


def is_arrow(value: object) -> bool:
    """Return whether a value offers an Arrow stream: its class has ``__arrow_c_stream__``."""
    return hasattr(type(value), "__arrow_c_stream__")
