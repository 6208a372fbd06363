"""Descriptions of where records come from, for an engine that reads them by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

LARGE = 150_000
"""Rows from which on objects would cost more than a table."""


@attrs.frozen(eq=False)
class DelimitedFile:
    """A CSV or TSV file that was looked through, and whose records were not read yet.

    Args:
        path: The file.
        encoding: What it is written in.
        delimiter: What separates its columns.
        header: The names of all its columns.
        line: The line of the header.
        places: Which of the columns are taken.
        columns: What those are called here.
        null: The text that stands for None.
        state: What changes when the file does; see `textfile.state_of`.
        special: What is in it, as far as somebody else might read it otherwise; see `textfile.scan`.
    """

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    line: int
    places: tuple[int, ...]
    columns: tuple[str, ...]
    null: str | None
    state: tuple[int, ...]
    special: frozenset[str]


@attrs.frozen(eq=False)
class DelimitedFiles:
    """Several of them, whose records follow each other."""

    files: tuple[DelimitedFile, ...]

    @property
    def size(self) -> int:
        """How many bytes they have together."""
        return sum(file.state[2] for file in self.files)


@attrs.frozen(eq=False)
class ParquetFile:
    """A Parquet file whose schema was read, and whose records were not read yet.

    Args:
        path: The file.
        header: The names of all its columns.
        places: Which of the columns are taken.
        columns: What those are called here.
        types: Their Arrow types.
        rows: How many rows it has.
        state: What changes when the file does; see `textfile.state_of`.
    """

    path: Path
    header: tuple[str, ...]
    places: tuple[int, ...]
    columns: tuple[str, ...]
    types: tuple[Any, ...]
    rows: int
    state: tuple[int, ...]


@attrs.frozen(eq=False)
class ParquetFiles:
    """Several of them, whose records follow each other; all have the same columns."""

    files: tuple[ParquetFile, ...]

    @property
    def rows(self) -> int:
        """How many rows they have together."""
        return sum(file.rows for file in self.files)


@attrs.frozen(eq=False)
class StoredRows:
    """The rows of a table or a query.

    Args:
        syncer: The `SQLSyncer` of the database.
        table: The `Table`; None for a query.
        query: The query; None for a table.
        parameters: Of the query.
        attributes: Those that are wanted; None for all columns.
    """

    syncer: Any
    table: Any = None
    query: str | None = None
    parameters: Mapping[str, Any] | None = None
    attributes: Sequence[str] | None = None
