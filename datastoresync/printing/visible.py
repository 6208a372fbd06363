"""Text from anywhere, made fit to be shown on one line: nothing hidden in it, and no wider than there is room."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

__all__ = ["cell", "clipped", "visible", "width"]

_NAMED = (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))

# `str.isprintable` takes these for printable, but a reader cannot see them (Unicode's default ignorable code points,
# and a Braille pattern without dots).
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

_PICTURE = "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u27ff\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
# What holds an emoji together is part of it: a joiner between two pictures, a selector behind one, and in a keycap.
_ORDINARY = re.compile(
    f"\u3000|(?:(?<=[{_PICTURE}])|(?<=[{_PICTURE}]\ufe0f))\u200d(?=[{_PICTURE}])"
    f"|(?<=[{_PICTURE}])[\ufe0e\ufe0f]|(?<=[#*0-9])\ufe0f(?=\u20e3)"
)

_OPEN = "\u200d\ufe0f"  # whether these are ordinary depends on what follows

# Unicode's Stream-Safe Text Format (UAX #15) has at most 30 marks on one character; no language needs more.
_MARKS = 30


def visible(text: str) -> str:
    r"""Return the text on one line, with all that is hidden or acts on a terminal as backslash escapes.

    These are control and format characters, line separators, blanks other than the usual ones, what has no width of
    its own, private and unassigned characters and lone surrogates. All else is left as it is, and so are backslashes.

    >>> print(visible("a\x1b[31m\u202eb\nc"))
    a\x1b[31m\u202eb\nc
    >>> visible("Zoë 山田 👩‍🚀")
    'Zoë 山田 👩‍🚀'
    """
    if text.isprintable() and (text.isascii() or not _UNSEEN.search(text)):
        return text
    ordinary = {match.start() for match in _ORDINARY.finditer(text)}
    return "".join(
        character
        if index in ordinary or (character.isprintable() and not _UNSEEN.match(character))
        else _escaped(character)
        for index, character in enumerate(text)
    )


def _escaped(character: str) -> str:
    for named, escape in _NAMED:
        if character == named:
            return escape
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """Return how many columns of a terminal the text takes; never less than it really does.

    >>> width("abc"), width("山田"), width("e\u0301")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(_widths(text))


def clipped(text: str, columns: int) -> str:
    """Return as much of the text as fits into so many columns of a terminal, with an ellipsis if that is not all.

    >>> clipped("datastore", 6), clipped("山田太郎", 6)
    ('datas…', '山田…')
    """
    if columns < 1:
        return ""
    if text.isascii():
        return text if len(text) <= columns else f"{text[: columns - 1]}…"
    taken = cut = 0
    for index, wide in enumerate(_widths(text)):
        taken += wide
        if taken < columns:
            cut = index + 1
        elif taken > columns:
            # A joiner that joins nothing any more would be hidden in the text.
            return text[:cut].rstrip("\u200d") + "…"
    return text


def _widths(text: str) -> Iterator[int]:
    """Yield the columns that each character adds."""
    marks = 0
    wide = 1
    for character in text:
        if character == "\u200d" or unicodedata.category(character) in {"Mn", "Me"}:
            marks += 1
            # Many terminals draw a picture wide once a selector asks for the coloured one.
            widened = character == "\ufe0f" and marks == 1 and wide == 1
            yield 1 if widened or marks > _MARKS else 0
        else:
            marks = 0
            wide = 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
            yield wide


def cell(value: Any, columns: int | None = None) -> str:
    r"""Return any value as visible text of at most so many columns; the members of a set in a steady order.

    >>> cell("a\tb"), cell({"b", "a"}), cell(None), cell("x" * 1_000_000, 4)
    ('a\\tb', "{'a', 'b'}", 'None', 'xxx…')
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, AbstractSet):
        text = f"{{{', '.join(sorted(map(repr, value)))}}}"
    else:
        text = str(value)
    if columns is None:
        return visible(text)
    # Nearly always a character a column is enough to see that a text is too wide; marks and joiners need more, but
    # not without end. Whether what the head ends with joins anything is not known yet.
    size, most = columns + 2, (columns + 2) * (_MARKS + 1)
    while True:
        rest = size < min(len(text), most)
        head = visible(text[:size].rstrip(_OPEN) if rest else text[:size])
        shown = clipped(head, columns)
        if shown != head or not rest:
            return shown
        size *= 2
