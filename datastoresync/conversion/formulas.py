"""Texts that a spreadsheet would compute, and how they are made harmless in files."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - spreadsheets take the wide signs for the narrow ones
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def escape_formula(text: str) -> str:
    """Put an apostrophe in front of a text that a spreadsheet would compute.

    A formula begins with ``=``, ``+``, ``-``, ``@``, a tab or a newline, and is not a plain number. A text that begins
    like one after apostrophes gets one more, so that `unescape_formula` restores every text.

    >>> [escape_formula(text) for text in ["=cmd()", "-5", "-x", "'=x", "it's"]]
    ["'=cmd()", '-5', "'-x", "''=x", "it's"]
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescape_formula(text: str) -> str:
    """Return the text that `escape_formula` was called with; every other text as it is.

    >>> [unescape_formula(text) for text in ["'=cmd()", "-5", "'-x", "''=x", "it's"]]
    ['=cmd()', '-5', '-x', "'=x", "it's"]
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
