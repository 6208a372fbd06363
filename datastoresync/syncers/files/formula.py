"""Text that a spreadsheet would take for a formula, made harmless in a way that can be undone."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - spreadsheets take the wide signs for the narrow ones
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def escaped(text: str) -> str:
    """Return a text that no spreadsheet computes: one that might be a formula gets an apostrophe in front.

    A formula begins with ``=``, ``+``, ``-``, ``@``, a tab or a newline, and is no plain number. What begins like one
    behind apostrophes gets one more, so that `unescaped` gives every text back.

    >>> [escaped(text) for text in ["=cmd()", "-5", "-x", "'=x", "it's"]]
    ["'=cmd()", '-5', "'-x", "''=x", "it's"]
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescaped(text: str) -> str:
    """Return the text that `escaped` made this of; every other text as it is.

    >>> [unescaped(text) for text in ["'=cmd()", "-5", "'-x", "''=x", "it's"]]
    ['=cmd()', '-5', '-x', "'=x", "it's"]
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
