"""Workbooks through openpyxl: cells and values, sheet titles, parts that a rewrite would lose, and rows as a stream.

Needs openpyxl, so it is imported when a workbook is opened.
"""

from __future__ import annotations

import math
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles.numbers import is_datetime

from datastoresync.conversion.scalars import scalar_of
from datastoresync.errors import MalformedFileError, SyncerError
from datastoresync.syncers.records import Columns

EMPTY_TEXT = '@""'
"""The number format of a cell that holds an empty text, and of one after the last column of a row without values."""
_LONGEST_TEXT = 32_767
_DIGITS = 15
_FIRST_DATE = date(1900, 3, 1)
"""Before it, Excel counts a 29th of February that 1900 did not have."""
_FORMATS: dict[type, str] = {date: "yyyy-mm-dd", datetime: "yyyy-mm-dd hh:mm:ss.000", time: "hh:mm:ss.000"}
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def cell_value(value: Any) -> Any:
    """Return the value that comes back from a cell for a value.

    Raises:
        SyncerError: A cell cannot hold it.
    """
    if isinstance(value, Enum):
        return cell_value(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _check_text(str.__str__(value))
    if isinstance(value, int):
        return int(value) if abs(value) < 10**_DIGITS else _long_number(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        message = "a cell holds finite numbers only: make it a text, or leave it empty"
        raise SyncerError(message)
    if isinstance(value, (date, time)):
        return value if _fits(value) else value.isoformat()
    scalar = scalar_of(value)
    if scalar is not None and scalar.to_text is not None:
        return scalar.to_text(value)
    message = f"a cell cannot hold a {type(value).__name__}: make it a text first"
    if isinstance(value, (set, frozenset, list, tuple)):
        message += ", or give memberships a table of their own with Table(links=...)"
    raise SyncerError(message)


def make_cell(sheet: Any, value: Any) -> Any:
    """Return the cell for a value that `cell_value` returned; None for None."""
    if value is None:
        return None
    if isinstance(value, str):
        cell = WriteOnlyCell(sheet, _escape(value) or None)
        if value:
            cell.data_type = "s"  # whatever it looks like: never a formula, an error or a number
        else:
            cell.number_format = EMPTY_TEXT
        return cell
    if isinstance(value, float):
        cell = WriteOnlyCell(sheet, repr(value))  # as a number it would be rounded to 15 digits
        cell.data_type = "n"
        return cell
    cell = WriteOnlyCell(sheet, value)
    if type(value) in _FORMATS:
        cell.number_format = _FORMATS[type(value)]
    return cell


def read_cell(cell: Any) -> Any:
    """Return the value of a cell."""
    value = cell.value
    if isinstance(value, str):
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value) if "_x" in value else value
    if value is None:
        return "" if getattr(cell, "number_format", None) == EMPTY_TEXT else None
    if isinstance(value, datetime) and is_datetime(cell.number_format) == "date" and value.time() == time():
        return value.date()
    return value


def _check_text(text: str) -> str:
    try:
        units = len(_escape(text).encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        raise SyncerError(message) from None
    if units > _LONGEST_TEXT:
        message = f"a cell holds {_LONGEST_TEXT} characters, and the text has {units}: shorten or divide it"
        raise SyncerError(message)
    return text


def _escape(text: str) -> str:
    """Return a text as a workbook writes it: characters that XML cannot hold as ``_x000D_``."""
    return _UNWRITABLE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def _long_number(value: int) -> str:
    try:
        return _check_text(str(int(value)))
    except ValueError:
        message = "an integer has too many digits to be written: see sys.set_int_max_str_digits"
        raise SyncerError(message) from None


def _fits(value: date | time) -> bool:
    """Whether a workbook keeps a date or time exactly: in whole milliseconds, without a time zone."""
    if isinstance(value, datetime):
        return value.tzinfo is None and value.microsecond % 1000 == 0 and value.date() >= _FIRST_DATE and not value.fold
    if isinstance(value, date):
        return value >= _FIRST_DATE
    return value.tzinfo is None and value.microsecond % 1000 == 0 and not value.fold


# Workbooks -----------------------------------------------------------------------------------------------------------

_LONGEST_TITLE = 31
_LOST_PARTS = (
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
"""Parts of a workbook that openpyxl drops when it saves it again."""
_SHAPE = re.compile(rb"<(\w+:)?(sp|cxnSp|grpSp)[\s/>]")
"""Elements of a drawing that openpyxl drops: text boxes, arrows and the like, and groups of them."""


def title_of(identifier: str) -> str:
    """Return the title of the sheet of a table with a workbook of its own."""
    return "Sheet1" if title_fault(identifier) else identifier


def title_fault(identifier: str) -> str:
    """Return the reason that the name of a table cannot be that of a sheet; empty if it can."""
    if not isinstance(identifier, str):
        return f"it is {type(identifier).__name__}, and names are str"
    if not identifier.strip():
        return "it is empty"
    if len(identifier.encode("utf-16-le", "surrogatepass")) // 2 > _LONGEST_TITLE:
        return f"it has more than {_LONGEST_TITLE} characters"
    if refused := sorted(set("[]:*?/\\") & set(identifier)):
        return f"it holds {' '.join(refused)}"
    if identifier.startswith("'") or identifier.endswith("'"):
        return "it begins or ends with an apostrophe"
    if any(not character.isprintable() for character in identifier):
        return "it holds a character that cannot be printed"
    return "Excel keeps this name for itself" if identifier.casefold() == "history" else ""


def check_rewritable(path: Path) -> None:
    """Refuse to rewrite a workbook with parts that would be lost."""
    with translate_errors(path), zipfile.ZipFile(path) as parts:
        lost = [name for name in parts.namelist() if name.startswith(_LOST_PARTS) or _has_shapes(parts, name)]
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
    """Open a workbook with options of openpyxl, and close it in the end.

    Raises:
        MalformedFileError: It cannot be read.
    """
    with ExitStack() as stack:
        with translate_errors(path):
            file = stack.enter_context(path.open("rb"))  # openpyxl would leave its own open if it gave up
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # styles and extensions that it does not know
                if not options.get("read_only"):
                    warnings.filterwarnings("error", ".*removed")  # and would leave out when it saves them
                book = openpyxl.load_workbook(file, **options)
        stack.callback(book.close)
        yield book


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Translate errors of openpyxl, naming the file."""
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
        """The position of the first formula in the rows read so far; empty without any."""

    def where(self, index: int) -> str:
        """Return the position of a record that was read."""
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
        for column, name in enumerate(values, 1):
            if not isinstance(name, str) or not name.strip():
                fault = (
                    "no name" if name in (None, "") or isinstance(name, str) else f"a {type(name).__name__} for a name"
                )
                message = f"column {column} of the header has {fault}: give it a text"
                raise MalformedFileError(message, where=self._where(number), line=number)
            if name in values[: column - 1]:
                message = f"columns {values.index(name) + 1} and {column} of the header are both {name!r}: rename one"
                raise MalformedFileError(message, where=self._where(number), line=number)
        return list(values)

    def _values(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield each row that is not empty, with its number."""
        with workbook(self._path, read_only=True) as book:
            sheet = self._sheet(book)
            results: Iterator[Any] | None = None
            with translate_errors(self._path):
                for number, cells in enumerate(_without_warnings(sheet.iter_rows()), 1):
                    if formulas := [cell for cell in cells if cell.data_type == "f"]:
                        self.formula = self.formula or self._cell(formulas[0])
                        results = results or _results(self._path, sheet.title, number)
                    saved = next(results, ()) if results is not None else ()
                    values = [
                        self._result(cell, saved[index]) if cell.data_type == "f" else self._value(cell)
                        for index, cell in enumerate(cells)
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
        return read_cell(cell)

    def _cell(self, cell: Any) -> str:
        return f"{self._where(cell.row)}, cell {cell.coordinate}"

    def _sheet(self, book: Any) -> Any:
        """Return the sheet of the table: the one of its name, or the only one."""
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        sheet = sheets.get(title_of(self._identifier))
        if sheet is None and len(sheets) == 1:
            (sheet,) = sheets.values()
        if sheet is None:
            message = f"no sheet is called {self._identifier!r}: there are {', '.join(map(repr, sheets)) or 'none'}"
            raise MalformedFileError(message, where=str(self._path))
        self._title = sheet.title
        sheet.reset_dimensions()  # the size in the file may be wrong
        return sheet

    def _where(self, number: int) -> str:
        return f"{self._path}, sheet {self._title!r}, row {number}"


def _results(path: Path, title: str, first: int) -> Iterator[Any]:
    """Yield the cells of a sheet from a row on, with the saved results instead of formulas."""
    with workbook(path, read_only=True, data_only=True) as book:
        sheet = book[title]
        sheet.reset_dimensions()
        yield from islice(_without_warnings(sheet.iter_rows()), first - 1, None)


def _without_warnings(rows: Iterator[Any]) -> Iterator[Any]:
    """Yield rows without warnings about other parts of a sheet."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            step = list(islice(rows, _STEP))
        if not step:
            return
        yield from step
