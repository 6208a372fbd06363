"""What a cell of a spreadsheet holds for a value, and what value a cell stands for.

Needs openpyxl, and is only imported once a workbook is opened.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from openpyxl.cell import WriteOnlyCell
from openpyxl.styles.numbers import is_datetime

from datastoresync.errors import SyncerError

EMPTY_TEXT = '@""'
"""The number format of a cell that holds an empty text, and of one behind the last column that keeps a row in being."""
_LONGEST = 32_767
_DIGITS = 15
_FIRST = date(1900, 3, 1)
"""Before it, Excel counts a 29th of February that 1900 did not have."""
_FORMATS: dict[type, str] = {date: "yyyy-mm-dd", datetime: "yyyy-mm-dd hh:mm:ss.000", time: "hh:mm:ss.000"}
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def kept(value: Any) -> Any:
    """Return what is left of a value in a cell.

    Raises:
        SyncerError: No cell can hold it.
    """
    if isinstance(value, Enum):
        return kept(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _checked(str.__str__(value))
    if isinstance(value, int):
        return int(value) if abs(value) < 10**_DIGITS else _long_number(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        message = "a cell holds finite numbers only: make it a text, or leave it empty"
        raise SyncerError(message)
    if isinstance(value, (date, time)):
        return value if _fits(value) else value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    message = f"a cell cannot hold a {type(value).__name__}: make it a text first"
    if isinstance(value, (set, frozenset, list, tuple)):
        message += ", or give memberships a table of their own with Table(links=...)"
    raise SyncerError(message)


def cell_of(sheet: Any, value: Any) -> Any:
    """Return the cell for a value that `kept` gave; None for none at all."""
    if value is None:
        return None
    if isinstance(value, str):
        cell = WriteOnlyCell(sheet, _escaped(value) or None)
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


def value_of(cell: Any) -> Any:
    """Return the value that a cell stands for."""
    value = cell.value
    if isinstance(value, str):
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if "_x" in value else value
    if value is None:
        return "" if getattr(cell, "number_format", None) == EMPTY_TEXT else None
    if isinstance(value, datetime) and is_datetime(cell.number_format) == "date" and value.time() == time():
        return value.date()
    return value


def _checked(text: str) -> str:
    try:
        units = len(_escaped(text).encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        raise SyncerError(message) from None
    if units > _LONGEST:
        message = f"a cell holds {_LONGEST} characters, and the text has {units}: shorten or divide it"
        raise SyncerError(message)
    return text


def _escaped(text: str) -> str:
    """Return a text as a workbook spells it: what XML cannot hold as ``_x000D_``."""
    return _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def _long_number(value: int) -> str:
    try:
        return _checked(str(int(value)))
    except ValueError:
        message = "an integer has too many digits to be written: see sys.set_int_max_str_digits"
        raise SyncerError(message) from None


def _fits(value: date | time) -> bool:
    """Whether a workbook keeps a date or time as it is: in whole milliseconds, without a time zone."""
    if isinstance(value, datetime):
        return value.tzinfo is None and value.microsecond % 1000 == 0 and value.date() >= _FIRST and not value.fold
    if isinstance(value, date):
        return value >= _FIRST
    return value.tzinfo is None and value.microsecond % 1000 == 0 and not value.fold
