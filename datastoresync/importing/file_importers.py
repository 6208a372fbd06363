"""Importers of files other than CSV: those with tabs, Parquet, workbooks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from datastoresync.errors import DataWarning
from datastoresync.importing.importer import CSVImporter, FileImporter
from datastoresync.syncers.files.sheet_format import SheetFormat
from datastoresync.syncers.files.text_format import format_of
from datastoresync.syncers.records import Records


@attrs.define(eq=False, slots=False)
class TSVImporter(CSVImporter):
    """Reads files whose columns are separated by tabs; the same as `CSVImporter` otherwise."""

    delimiter: str = attrs.field(default="\t", kw_only=True)


@attrs.define(eq=False, slots=False)
class ParquetImporter(FileImporter):
    """Reads Parquet files: one, several, or those that a pattern such as ``"lake/*.parquet"`` finds, into one branch.

    Values are of the types that the file gives them: text is never read as a number. It needs pyarrow.

    Args:
        files: A path, a pattern, or several of them.
        columns: As in `TextFormat`: the columns to read, or a mapping from attributes to columns with other names.
        newest: Takes only the newest of the files, by its time of modification or by its name.
        on_bad_row, number_from: As in `Importer`: rows that are refused, and those without an idnumber.
    """

    columns: Mapping[str, str] | Sequence[str | tuple[str, str]] | None = attrs.field(default=None, kw_only=True)

    def _opened(self, paths: Sequence[Path]) -> Iterator[Records]:
        from datastoresync.syncers.files.parquet import read_parquet

        for path in paths:
            records = read_parquet(path, columns=self.columns)
            if len(paths) == 1 and records.source_info is not None and not records.source_info.rows:
                message = f"{path}: the file has columns and no rows"
                warnings.warn(message, DataWarning, stacklevel=4)
            yield records


@attrs.define(eq=False, slots=False)
class ExcelImporter(SheetFormat, FileImporter):
    """Reads a sheet of a workbook, or of several that a pattern such as ``"exports/*.xlsx"`` finds, into one branch.

    Values are of the types that cells show: text, int, float, bool, date, datetime, time. Text is never read as a
    number. The options of `SheetFormat` are keywords here: ``skip_rows=2``, ``footer=1``, ``merged="fill"``.

    Args:
        files: A path, a pattern, or several of them.
        sheet: The title of the sheet; None for the only one.
        newest: Takes only the newest of the files, by its time of modification or by its name.
        on_bad_row, number_from: As in `Importer`: rows that are refused, and those without an idnumber.
    """

    sheet: str | None = attrs.field(default=None, kw_only=True)

    def _opened(self, paths: Sequence[Path]) -> Iterator[Records]:
        from datastoresync.syncers.files.excel_reader import read_sheet

        sheet_format = format_of(SheetFormat, self)
        reject = self.reject if self.on_bad_row == "collect" else None
        return (read_sheet(path, self.sheet or "", sheet_format, reject=reject) for path in paths)
