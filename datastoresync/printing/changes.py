"""Values as they are read in a line, and the words that changed between two of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any
from unicodedata import normalize

from datastoresync.printing.outline import Span

_READABLE = frozenset({"datetime", "decimal", "fractions", "ipaddress", "pathlib", "uuid"})
"""Modules whose values are read best as ``str`` has them."""
_PLAIN_KEY = re.compile(r"[\w.@+-]+")
_PLAIN = (str, int, float, bool, type(None))
"""Types of the most frequent values, which need no second look."""
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_LONG = 24
"""Characters from which on two texts are compared word by word."""
_WORDS = 1_500
"""The most words of two texts that are compared, as it takes the square of their number."""
_EQUAL, _AROUND = 80, 30
"""Characters of an unchanged passage that is shown as a whole, and what is shown of a longer one at each end."""
OLD, NEW = 1_000, 200
"""Characters of an old and of a new value that are shown, where not all is."""


def literal(value: Any) -> str:
    """Return a value as it stands in a line: texts in quotes, members of a set in order, dates and decimals plainly.

    >>> literal("7"), literal(7), literal({"b", "a"}), literal(None)
    ("'7'", '7', "{'a', 'b'}", 'None')
    """
    try:
        if type(value) in _PLAIN:
            return repr(value)
        if isinstance(value, AbstractSet):
            return f"{{{', '.join(sorted(map(literal, value)))}}}"
        return str(value) if type(value).__module__ in _READABLE else repr(value)
    except ValueError:  # the digits of a very long int
        return f"a very long {type(value).__name__}"


def key_text(key: Any) -> str:
    """Return a key as it stands behind the name of its branch: without quotes, if it is one word.

    >>> key_text("11111"), key_text("Zoë B"), key_text(("rtr-1", "e0"))
    ('11111', "'Zoë B'", "('rtr-1', 'e0')")
    """
    return key if isinstance(key, str) and _PLAIN_KEY.fullmatch(key) else literal(key)


def cut(text: str, most: int | None) -> str:
    """Return at most so many characters of a text, and how many there are if that is not all; None for all.

    >>> cut("abcdef", 3)
    'abc… (6 characters)'
    """
    return text if most is None or len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def change(old: Any, new: Any, *, whole: bool = False) -> list[Span]:
    """Return the old value and the new one, or, of long texts that are much alike, one with the words that changed.

    Args:
        old: The old value.
        new: The new value.
        whole: Whether all is shown; otherwise a thousand characters of an old value are, and fewer of a new one. Of
            longer texts that are much alike it is the words that changed, and the ends of the passages between them.

    >>> change(7, 8)
    [('7', 'removed'), (' → ', 'note'), ('8', 'added')]
    >>> change("the quick brown fox jumps", "the quick red fox jumps")
    [("'the quick ", ''), ('brown', 'cut'), ('red', 'put'), (" fox jumps'", '')]
    """
    before, after = literal(old), literal(new)
    if not before.isascii() and normalize("NFC", before) == normalize("NFC", after):  # they look the same
        before, after = (each.encode("ascii", "backslashreplace").decode() for each in (before, after))
    alike = type(old) is type(new) and isinstance(old, (str, list, tuple, Mapping))
    words = changed_words(before, after) if alike else []
    if not words:
        both = (before, after) if whole else (cut(before, OLD), cut(after, NEW))
        return [(both[0], "removed"), (" → ", "note"), (both[1], "added")]
    if whole or max(len(before), len(after)) <= OLD:
        return words
    found: list[Span] = []
    for text, kind in words:
        found += [(cut(text, OLD if kind == "cut" else NEW), kind)] if kind else _passage(text)
    return found


def _passage(text: str) -> Iterator[Span]:
    if len(text) <= _EQUAL:
        yield text, ""
    else:
        yield text[:_AROUND], ""
        yield f"… ({len(text) - 2 * _AROUND:,} characters) …", "note"
        yield text[-_AROUND:], ""


def changed_words(old: str, new: str) -> list[Span]:
    """Return what is equal, what was cut and what was put in its place; nothing if the texts are short or unlike.

    >>> changed_words("the quick brown fox jumps up", "the quick red fox jumps up")
    [('the quick ', ''), ('brown', 'cut'), ('red', 'put'), (' fox jumps up', '')]
    """
    if min(len(old), len(new)) < _LONG:
        return []
    start = next((index for index, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), 0)
    start = old.rfind(" ", 0, start) + 1  # whole words only
    most = min(len(old), len(new)) - start
    end = next((index for index in range(most) if old[-1 - index] != new[-1 - index]), most)
    space = old.find(" ", len(old) - end)
    end = len(old) - space if space >= 0 else 0
    left, right = (_WORD.findall(text[start : len(text) - end]) for text in (old, new))
    if len(left) + len(right) > _WORDS:
        return []
    from difflib import SequenceMatcher  # few texts are so long

    found: list[Span] = [(old[:start], "")]
    equal = start + end
    for what, *ends in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        removed, added = "".join(left[ends[0] : ends[1]]), "".join(right[ends[2] : ends[3]])
        if what == "equal":
            equal += len(removed)
            found.append((removed, ""))
        else:
            found += [(removed, "cut"), (added, "put")]
    found.append((old[len(old) - end :] if end else "", ""))
    return [one for one in found if one[0]] if equal * 2 >= max(len(old), len(new)) else []
