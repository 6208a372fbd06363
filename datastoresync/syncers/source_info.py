"""Descriptions of the source of records, for an engine that reads them by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

LARGE = 150_000
"""Rows from which on a table costs less than objects."""


def unreadable_reason(path: Path, error: OSError) -> str:
    """Return the reason that a file cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return f"there is no such file in {path.absolute().parent}"
    return f"the file cannot be read: {error.strerror or error}"


def file_state(status: os.stat_result) -> tuple[int, ...]:
    """Return the device, inode, size and time of a file: one of them changes when the file does."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@attrs.frozen(eq=False)
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


@attrs.frozen(eq=False)
class DelimitedFiles:
    """Several delimited files, whose records follow each other."""

    files: tuple[DelimitedFile, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.state[2] for file in self.files)


@attrs.frozen(eq=False)
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


@attrs.frozen(eq=False)
class ParquetFiles:
    """Several Parquet files with the same columns, whose records follow each other."""

    files: tuple[ParquetFile, ...]

    @property
    def rows(self) -> int:
        """The rows of all files."""
        return sum(file.rows for file in self.files)


@attrs.frozen(eq=False)
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
    parameters: Mapping[str, Any] | None = None
    attributes: Sequence[str] | None = None
