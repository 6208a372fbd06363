"""Reads the rows of a sheet as a stream.

Needs openpyxl, and is only imported once a workbook is opened.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from datastoresync.errors import MalformedFileError
from datastoresync.syncers.files.excel_cells import value_of
from datastoresync.syncers.files.excel_workbook import refusals, title_of, workbook
from datastoresync.syncers.records import Columns

__all__ = ["SheetRows"]

_CHUNK = 4096
"""Records a chunk."""
_STEP = 64
"""Rows that are read at a time."""


class SheetRows:
    """The rows of one sheet, as a stream."""

    def __init__(self, path: Path, identifier: str) -> None:
        self._path = path
        self._identifier = identifier
        self._numbers: list[int] = []
        self._title = ""
        self._header: list[str] = []
        self.formula = ""
        """The place of the first formula among the rows that were read; empty without any."""

    def where(self, index: int) -> str:
        """Return the place of a record that was read."""
        return self._where(self._numbers[index])

    def header(self) -> list[str]:
        """Read the names of the columns; an empty sheet has none."""
        for number, values in self._values():
            self._header = self._names(number, values)
            break
        return self._header

    def chunks(self) -> Iterator[Columns]:
        """Yield the records behind the header."""
        rows = self._values()
        if self._header and next(rows, (0, []))[1][: len(self._header)] != self._header:
            message = "the workbook changed while it was read: read it again"
            raise MalformedFileError(message, where=str(self._path))
        width = len(self._header)
        while chunk := list(islice(rows, _CHUNK)):
            for number, values in chunk:
                if any(value is not None and value != "" for value in values[width:]):
                    message = f"a value stands behind the last of the {width} columns: give its column a name"
                    raise MalformedFileError(message, where=self._where(number), line=number)
            self._numbers += [number for number, _ in chunk]
            yield list(zip(*([*values[:width], *[None] * (width - len(values))] for _, values in chunk), strict=True))

    def _names(self, number: int, values: Sequence[Any]) -> list[str]:
        while values and values[-1] in (None, ""):
            values = values[:-1]
        for place, name in enumerate(values, 1):
            if not isinstance(name, str) or not name.strip():
                what = (
                    "no name" if name in (None, "") or isinstance(name, str) else f"a {type(name).__name__} for a name"
                )
                message = f"column {place} of the header has {what}: give it a text"
                raise MalformedFileError(message, where=self._where(number), line=number)
            if name in values[: place - 1]:
                message = f"columns {values.index(name) + 1} and {place} of the header are both {name!r}: rename one"
                raise MalformedFileError(message, where=self._where(number), line=number)
        return list(values)

    def _values(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield each row that is not empty, with its number."""
        with workbook(self._path, read_only=True) as book:
            sheet = self._sheet(book)
            results: Iterator[Any] | None = None
            with refusals(self._path):
                for number, cells in enumerate(_quiet(sheet.iter_rows()), 1):
                    if formulas := [cell for cell in cells if cell.data_type == "f"]:
                        self.formula = self.formula or self._cell(formulas[0])
                        results = results or _results(self._path, sheet.title, number)
                    saved = next(results, ()) if results is not None else ()
                    values = [
                        self._result(cell, saved[place]) if cell.data_type == "f" else self._value(cell)
                        for place, cell in enumerate(cells)
                    ]
                    if any(value is not None for value in values):
                        yield number, values

    def _result(self, formula: Any, saved: Any) -> Any:
        if saved.value is not None:
            return self._value(saved)
        if saved.data_type == "str":
            return ""
        message = "a formula whose result was not saved: open the workbook in Excel, and save it"
        raise MalformedFileError(message, where=self._cell(formula), line=formula.row)

    def _value(self, cell: Any) -> Any:
        if cell.data_type == "e":
            message = f"an error, {cell.value}, and no value: mend it in Excel, or empty the cell"
            raise MalformedFileError(message, where=self._cell(cell), line=cell.row)
        return value_of(cell)

    def _cell(self, cell: Any) -> str:
        return f"{self._where(cell.row)}, cell {cell.coordinate}"

    def _sheet(self, book: Any) -> Any:
        """Return the sheet of the table: the one of its name, or the only one."""
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        found = sheets.get(title_of(self._identifier))
        if found is None and len(sheets) == 1:
            (found,) = sheets.values()
        if found is None:
            message = f"no sheet is called {self._identifier!r}: there are {', '.join(map(repr, sheets)) or 'none'}"
            raise MalformedFileError(message, where=str(self._path))
        self._title = found.title
        found.reset_dimensions()  # what a file says about its size need not be so
        return found

    def _where(self, number: int) -> str:
        return f"{self._path}, sheet {self._title!r}, row {number}"


def _results(path: Path, title: str, first: int) -> Iterator[Any]:
    """Yield the cells of a sheet from a row on, with the saved results in the place of formulas."""
    with workbook(path, read_only=True, data_only=True) as book:
        sheet = book[title]
        sheet.reset_dimensions()
        yield from islice(_quiet(sheet.iter_rows()), first - 1, None)


def _quiet(rows: Iterator[Any]) -> Iterator[Any]:
    """Yield rows, without warnings of what a sheet has beside them."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            some = list(islice(rows, _STEP))
        if not some:
            return
        yield from some
