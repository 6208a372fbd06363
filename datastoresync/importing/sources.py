"""Feeds a branch from CSV, TSV and Parquet files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs

from datastoresync.errors import ColumnError, DataWarning
from datastoresync.importing.importer import Importer
from datastoresync.syncers.files.csv_reader import read_csv, resolve_files
from datastoresync.syncers.records import Columns, Records

__all__ = ["CSVImporter", "ParquetImporter", "TSVImporter"]


@attrs.define(eq=False, slots=False)
class CSVImporter(Importer):
    """Reads CSV files: one, several, or those that a pattern such as ``"exports/*.csv"`` finds, into one branch.

    Text stays text; the branch's class says what is converted. A file that is malformed is refused with the line.

    Args:
        files: A path, a pattern, or several of them.
        encoding: What the files are written in; a byte order mark is read through.
        delimiter: What separates the columns.
        columns: The columns to take, or a mapping from a column's name to the attribute it becomes. None takes all.
        null: The text that stands for None.
        newest: Takes only the newest of the files, by its time of modification or by its name.
        final_newline: Refuses a file whose last line does not end in a newline, since it may be cut off.
        on_bad_row: ``"stop"`` or ``"collect"``; see `Importer`.
    """

    files: str | Path | Sequence[str | Path]
    encoding: str = attrs.field(default="utf-8", kw_only=True)
    delimiter: str = attrs.field(default=",", kw_only=True)
    columns: Mapping[str, str] | Sequence[str] | None = attrs.field(default=None, kw_only=True)
    null: str | None = attrs.field(default=None, kw_only=True)
    newest: Literal["modified", "name"] | None = attrs.field(default=None, kw_only=True)
    final_newline: bool = attrs.field(default=False, kw_only=True)
    on_bad_row: Literal["stop", "collect"] = attrs.field(default="stop", kw_only=True)

    def read(self) -> Records:
        """Return the records of all the files, in the order of their names."""
        return _joined([self._open(path) for path in resolve_files(self.files, newest=self.newest)])

    def _open(self, path: Path) -> Records:
        return read_csv(
            path,
            encoding=self.encoding,
            delimiter=self.delimiter,
            columns=self.columns,
            null=self.null,
            final_newline=self.final_newline,
            reject=self.reject,
        )


@attrs.define(eq=False, slots=False)
class TSVImporter(CSVImporter):
    """Reads files whose columns are separated by tabs; the same as `CSVImporter` otherwise."""

    delimiter: str = attrs.field(default="\t", kw_only=True)


@attrs.define(eq=False, slots=False)
class ParquetImporter(Importer):
    """Reads Parquet files: one, several, or those that a pattern such as ``"lake/*.parquet"`` finds, into one branch.

    Values are of the types that the file gives them: text is never read as a number. It needs pyarrow.

    Args:
        files: A path, a pattern, or several of them.
        columns: The columns to take, or a mapping from a column's name to the attribute it becomes. None takes all.
        newest: Takes only the newest of the files, by its time of modification or by its name.
        on_bad_row: ``"stop"`` or ``"collect"``; see `Importer`.
    """

    files: str | Path | Sequence[str | Path]
    columns: Mapping[str, str] | Sequence[str] | None = attrs.field(default=None, kw_only=True)
    newest: Literal["modified", "name"] | None = attrs.field(default=None, kw_only=True)
    on_bad_row: Literal["stop", "collect"] = attrs.field(default="stop", kw_only=True)

    def read(self) -> Records:
        """Return the records of all the files, in the order of their names."""
        from datastoresync.syncers.files.parquet import read_parquet

        paths = resolve_files(self.files, newest=self.newest)
        parts = [read_parquet(path, columns=self.columns) for path in paths]
        if len(parts) == 1 and parts[0].origin is not None and not parts[0].origin.rows:
            message = f"{paths[0]}: the file has columns and no rows"
            warnings.warn(message, DataWarning, stacklevel=2)
        return _joined(parts)


def _joined(parts: list[Records]) -> Records:
    """Return several records as one; their columns must be the same, in any order.

    Raises:
        ColumnError: if a file has other columns than the first.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if set(part.columns) != set(first.columns):
            differing = sorted(set(part.columns) ^ set(first.columns))
            message = f"not the columns of {first.where(0)}: they differ in {', '.join(map(repr, differing))}"
            raise ColumnError(message, where=part.where(0), columns=differing)
    starts: list[int] = []

    def chunks() -> Iterator[Columns]:
        count = 0
        for part in parts:
            starts.append(count)
            places = [part.columns.index(name) for name in first.columns]
            for columns in part.chunks:
                count += len(columns[0])
                yield [columns[place] for place in places]
            if count == starts[-1]:
                message = f"{part.where(0)}: the file has a header and no rows"
                warnings.warn(message, DataWarning, stacklevel=2)

    def where(index: int) -> str:
        place = max(place for place, start in enumerate(starts) if start <= index)
        return parts[place].where(index - starts[place])

    files = tuple(file for part in parts if part.origin is not None for file in part.origin.files)
    origin = None if first.origin is None else attrs.evolve(first.origin, files=files)
    return Records(first.columns, chunks(), where, origin=origin)
