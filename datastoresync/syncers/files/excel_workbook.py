"""Workbooks opened through openpyxl: sheet titles, what a rewrite would lose, and rows as a stream.

Needs openpyxl, and is only imported once a workbook is opened.
"""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from datastoresync.errors import MalformedFileError, MissingDependencyError, SyncerError
from datastoresync.syncers.files.excel_cells import value_of
from datastoresync.syncers.records import Columns

_TITLE = 31
_LOST = (
    "xl/charts/",
    "xl/chartsheets/",
    "xl/media/",
    "xl/pivotTables/",
    "xl/slicers/",
    "xl/vbaProject",
    "xl/embeddings/",
    "xl/diagrams/",
    "xl/threadedComments/",
    "xl/ctrlProps/",
    "xl/activeX/",
    "xl/queryTables/",
    "customXml/",
)
"""Parts of a workbook that openpyxl would leave out when it saves it again."""
_SHAPE = re.compile(rb"<(\w+:)?(sp|cxnSp|grpSp)[\s/>]")
"""What openpyxl would leave out of a drawing: text boxes, arrows and the like, and groups of them."""


def title_of(identifier: str) -> str:
    """Return the name of the sheet of a table that has a workbook of its own."""
    return "Sheet1" if title_fault(identifier) else identifier


def title_fault(identifier: str) -> str:
    """Return why a table's name cannot be that of a sheet; empty if it can."""
    if not isinstance(identifier, str):
        return f"it is {type(identifier).__name__}, and names are str"
    if not identifier.strip():
        return "it is empty"
    if len(identifier.encode("utf-16-le", "surrogatepass")) // 2 > _TITLE:
        return f"it has more than {_TITLE} characters"
    if found := sorted(set("[]:*?/\\") & set(identifier)):
        return f"it holds {' '.join(found)}"
    if identifier.startswith("'") or identifier.endswith("'"):
        return "it begins or ends with an apostrophe"
    if any(not character.isprintable() for character in identifier):
        return "it holds a character that cannot be printed"
    return "Excel keeps this name for itself" if identifier.casefold() == "history" else ""


def check_kept(path: Path) -> None:
    """Refuse to write a workbook again if something in it would be lost."""
    with refusals(path), zipfile.ZipFile(path) as parts:
        lost = [name for name in parts.namelist() if name.startswith(_LOST) or _has_shapes(parts, name)]
    if lost:
        message = (
            f"{path} holds {lost[0]}, which would be lost: keep charts, pictures, shapes, pivot tables, controls, "
            "threads of comments and macros elsewhere"
        )
        raise SyncerError(message)


def _has_shapes(parts: zipfile.ZipFile, name: str) -> bool:
    is_drawing = name.startswith("xl/drawings/") and name.endswith(".xml")
    return is_drawing and _SHAPE.search(parts.read(name)) is not None


@contextmanager
def workbook(path: Path, **options: Any) -> Iterator[Any]:
    """Open a workbook with the options of openpyxl, and close it in the end.

    Raises:
        MalformedFileError: It cannot be read.
        MissingDependencyError: openpyxl is not installed.
    """
    openpyxl = openpyxl_module()
    with ExitStack() as stack:
        with refusals(path):
            file = stack.enter_context(path.open("rb"))  # openpyxl would leave its own open if it gave up
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # styles and extensions that it does not know
                if not options.get("read_only"):
                    warnings.filterwarnings("error", ".*removed")  # and would leave out when it saves them
                book = openpyxl.load_workbook(file, **options)
        stack.callback(book.close)
        yield book


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Say which file it is that is no workbook."""
    try:
        yield
    except MalformedFileError:
        raise
    except UserWarning as error:
        message = f"{path} holds what would be lost if it were saved again: {error}"
        raise SyncerError(message) from error
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or error}"
        raise MalformedFileError(message, where=os.fspath(path)) from error
    except Exception as error:
        message = f"not a workbook that openpyxl can read ({type(error).__name__}): see the error that caused this"
        raise MalformedFileError(message, where=os.fspath(path)) from error


def openpyxl_module() -> Any:
    """Return openpyxl.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        message = "Excel workbooks need openpyxl: pip install 'datastoresync[excel]'"
        raise MissingDependencyError(message) from error
    return openpyxl


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
