"""Rows as CSV, JSON and Markdown, a text a row; the first one is the header."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from datastoresync.conversion.formulas import escape_formula
from datastoresync.conversion.scalars import scalar_of
from datastoresync.errors import DeclarationError, SyncerError
from datastoresync.exporting.export import Export
from datastoresync.printing.text import visible

_QUOTED = r'["\r\n\t;,|\ufeff]|^\s|\s$'
"""What a program that guesses may take for a separator or drop, unless the field is quoted."""
_MARKUP = re.compile(r"[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])|^ | $")
"""What Markdown or HTML would take for markup, and the blanks that a cell would lose."""
_ENTITIES = "<>& "
_DIGITS = 10_000
"""Bits of an int that Python surely writes."""


def plain_value(value: Any) -> Any:
    """Return a value as JSON has it: None, truth, a number, a text, or a list or dictionary of these.

    Raises:
        SyncerError: an integer has more digits than Python writes.

    >>> from datetime import date
    >>> plain_value({"b", "a"}), plain_value(date(2024, 7, 1)), plain_value([float("nan"), b"ab"])
    (['a', 'b'], '2024-07-01', ['nan', '6162'])
    """
    if value is None or type(value) is str:  # nearly always
        return value
    if isinstance(value, Enum):
        return plain_value(value.value)
    if isinstance(value, Mapping):
        return {text_of(key) or "": plain_value(member) for key, member in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain_value, value), key=lambda one: (isinstance(one, str), _order(one)))
    if isinstance(value, (list, tuple)):
        return list(map(plain_value, value))
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    scalar = scalar_of(value)
    if scalar is None or scalar.cls is timedelta:
        return str(value)
    if scalar.cls is int:
        return _checked(int(value))
    if scalar.cls is float:
        return float(value) if math.isfinite(value) else str(float(value))
    if scalar.to_text is None:
        return bytes(value).hex()
    return value if scalar.cls is bool else scalar.to_text(value)


def text_of(value: Any) -> str | None:
    """Return the text of a value; None for None. Lists, sets and dictionaries are JSON.

    >>> text_of(True), text_of(("1", 2)), text_of(None)
    ('True', '["1", 2]', None)
    """
    found = plain_value(value)
    if found is None or isinstance(found, str):
        return found
    return _json(found) if isinstance(found, (list, dict)) else str(found)


def csv_lines(export: Export, delimiter: str) -> Iterator[str]:
    """Yield the lines of a CSV file.

    Raises:
        DeclarationError: the delimiter is none.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        message = f"a delimiter is one character, and neither a quote nor the end of a line (got {delimiter!r})"
        raise DeclarationError(message)
    special = re.compile(f"{_QUOTED}|{re.escape(delimiter)}")

    def field(value: Any) -> str:
        text = value if type(value) is str else text_of(value)
        if text is None:
            return ""
        text = escape_formula(text)
        quoted = not text or special.search(text)
        return '"{}"'.format(text.replace('"', '""')) if quoted else text

    yield delimiter.join(map(field, export.columns)) + "\n"
    for row in export.rows():
        yield delimiter.join(map(field, row)) + "\n"


def jsonl_lines(export: Export) -> Iterator[str]:
    """Yield an object a row; the header is empty."""
    yield ""
    for row in export.rows():
        yield _json(dict(zip(export.columns, map(plain_value, row), strict=True))) + "\n"


def json_lines(export: Export) -> Iterator[str]:
    """Yield the lines of a JSON array."""
    lines = jsonl_lines(export)
    before = "["
    for line in lines:
        yield before + line.removesuffix("\n")
        before = ",\n" if line else "\n"
    yield "\n]\n"


def markdown_lines(export: Export) -> Iterator[str]:
    """Yield the lines of a Markdown table, title and summary first."""
    title = f"### {_cell(export.title)}\n\n" + (f"{_cell(export.summary)}\n\n" if export.summary else "")
    yield f"{title}{_row(export.columns)}{'| --- ' * len(export.columns)}|\n"
    for row in export.rows():
        yield _row(row)


def _row(values: Any) -> str:
    return f"| {' | '.join(map(_cell, values))} |\n"


def _cell(value: Any) -> str:
    text = text_of(value)
    if not text:
        return "" if text is None else '`""`'
    lines = (visible(line) for line in text.split("\n"))
    return "<br>".join(_MARKUP.sub(_escaped, line) for line in lines)


def _escaped(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};" if found[0] in _ENTITIES else f"\\{found[0]}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _order(value: Any) -> Any:
    return value if isinstance(value, (str, float, int)) else _json(value)


def _checked(number: int) -> int:
    if number.bit_length() > _DIGITS:
        try:
            str(number)
        except ValueError:
            message = "an integer has too many digits to be written: see sys.set_int_max_str_digits"
            raise SyncerError(message) from None
    return number
