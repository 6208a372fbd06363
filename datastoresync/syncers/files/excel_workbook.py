"""Workbooks through openpyxl: values for cells, and parts that a rewrite would lose.

Needs openpyxl, so it is imported when a workbook is opened.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time
from enum import Enum
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell

from datastoresync.conversion.scalars import scalar_of
from datastoresync.errors import SyncerError
from datastoresync.syncers.files.excel_package import package, translate_errors
from datastoresync.syncers.files.sheet_format import EMPTY_TEXT

_LONGEST_TEXT = 32_767
_DIGITS = 15
_FIRST_DATE = date(1900, 3, 1)
"""Before it, Excel counts a 29th of February that 1900 did not have."""
_FORMATS: dict[type, str] = {date: "yyyy-mm-dd", datetime: "yyyy-mm-dd hh:mm:ss.000", time: "hh:mm:ss.000"}
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


def check_rewritable(path: Path) -> None:
    """Refuse to rewrite a workbook with parts that would be lost.

    Raises:
        SyncerError: It has some.
        MalformedFileError: It cannot be read.
    """
    lost: list[str] = []
    with package(path) as book:
        for name in book.names:
            with book.open(name) as part:  # which refuses what would fill the memory
                is_drawing = name.startswith("xl/drawings/") and name.endswith(".xml")
                if name.startswith(_LOST_PARTS) or (is_drawing and _SHAPE.search(part.read())):
                    lost.append(name)
    if lost:
        message = (
            f"{path} holds {lost[0]}, which would be lost: keep charts, pictures, shapes, pivot tables, controls, "
            "threads of comments and macros elsewhere"
        )
        raise SyncerError(message)


@contextmanager
def workbook(path: Path) -> Iterator[Any]:
    """Open a workbook to change it, and close it in the end.

    Raises:
        MalformedFileError: It cannot be read.
    """
    with ExitStack() as stack:
        with translate_errors(path):
            file = stack.enter_context(path.open("rb"))  # openpyxl would leave its own open if it gave up
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # styles and extensions that it does not know
                warnings.filterwarnings("error", ".*removed")  # and would leave out when it saves them
                book = openpyxl.load_workbook(file)
        stack.callback(book.close)
        yield book
