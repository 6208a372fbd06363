"""Cells of workbooks: what they hold of a value, and what comes back from them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from enum import Enum
from typing import Any

from datastoresync.conversion.scalars import scalar_of
from datastoresync.errors import SyncerError

ROWS, COLUMNS = 2**20, 2**14
"""The size of a sheet."""
EMPTY_TEXT = '@""'
"""The number format of a cell that holds an empty text, and of one after the last column of a row without values."""
LONGEST_TEXT = 32_767
"""Of a cell, in units of UTF-16."""
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


def make_cell(cell_of: Callable[[Any], Any], value: Any) -> Any:
    """Return the cell for a value that `cell_value` returned; None for None.

    Args:
        cell_of: Returns a cell of openpyxl that holds a value.
    """
    if value is None:
        return None
    if isinstance(value, str):
        cell = cell_of(escape(value) or None)
        if value:
            cell.data_type = "s"  # whatever it looks like: never a formula, an error or a number
        else:
            cell.number_format = EMPTY_TEXT
        return cell
    if isinstance(value, float):
        cell = cell_of(repr(value))  # as a number it would be rounded to 15 digits
        cell.data_type = "n"
        return cell
    cell = cell_of(value)
    if type(value) in _FORMATS:
        cell.number_format = _FORMATS[type(value)]
    return cell


def _check_text(text: str) -> str:
    try:
        units = len(escape(text).encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        raise SyncerError(message) from None
    if units > LONGEST_TEXT:
        message = f"a cell holds {LONGEST_TEXT} characters, and the text has {units}: shorten or divide it"
        raise SyncerError(message)
    return text


def escape(text: str) -> str:
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
