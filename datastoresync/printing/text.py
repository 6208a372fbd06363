"""An outline as plain text: indented, in columns, fitted to a width, with control characters made visible."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from itertools import accumulate, islice
from types import MappingProxyType
from typing import IO, Any

from datastoresync.printing.outline import Outline, Selected, marked, more, select, share, walk

_NAMED = (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))

# `str.isprintable` takes these for printable, but a reader cannot see them (Unicode's default ignorable code points,
# and a Braille pattern without dots).
_UNSEEN = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"

_PICTURE = "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u27ff\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
# What holds an emoji together is part of it: a joiner between two pictures, a selector behind one, and in a keycap.
_ORDINARY = (
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
    if _is_visible(text):
        return text
    ordinary = {match.start() for match in re.finditer(_ORDINARY, text)}
    return "".join(
        character
        if index in ordinary or (character.isprintable() and not re.match(_UNSEEN, character))
        else _escaped(character)
        for index, character in enumerate(text)
    )


def _is_visible(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not re.search(_UNSEEN, text))


def _escaped(character: str) -> str:
    for named, escape in _NAMED:
        if character == named:
            return escape
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """Return an upper bound of the columns that the text takes on a terminal.

    >>> width("abc"), width("山田"), width("e\u0301")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(_widths(text))


def clipped(text: str, columns: int) -> str:
    """Return the text clipped to so many columns of a terminal, with an ellipsis if it is longer.

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
    """Yield the width of each character in columns."""
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


_RESET = "\x1b[0m"
# Select Graphic Rendition, ECMA-48 8.3.117.
_BOLD, _DIM, _UNDERLINED, _STRUCK, _RED, _GREEN, _YELLOW, _MAGENTA = "1", "2", "4", "9", "31", "32", "33", "35"
_TERMINALS_ON_WINDOWS = ("WT_SESSION", "TERM", "ANSICON", "ConEmuANSI")


def wants_colour(stream: IO[str]) -> bool:
    """Say whether text for this stream should be coloured.

    ``NO_COLOR`` (https://no-color.org) is heard first, then ``FORCE_COLOR`` (https://force-color.org), then
    ``TERM=dumb``; without them a terminal wants colours, and a file or a pipe does not.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    isatty = getattr(stream, "isatty", None)  # what stands in for a stream may only write
    if os.environ.get("TERM") == "dumb" or isatty is None or not isatty():
        return False
    # The old console of Windows would print the escapes; the newer ones give themselves away.
    return sys.platform != "win32" or any(os.environ.get(name) for name in _TERMINALS_ON_WINDOWS)


def paint(text: str, kind: str) -> str:
    r"""Return the text in the colour of its kind: that of an outline, or ``note``. Unknown kinds have none.

    The text must be visible already: escapes in it would be obeyed.

    >>> paint("new_users", "new")
    '\x1b[32mnew_users\x1b[0m'
    """
    code = _code(kind)
    return f"\x1b[{code}m{text}{_RESET}" if code and text else text


def _code(kind: str) -> str:
    return next((code for code, kinds in _CODES.items() if kind in kinds), "")


_CODES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        _GREEN: frozenset({"new", "add", "succeeded", "added"}),
        _YELLOW: frozenset({"update", "warning", "unhandled"}),
        _RED: frozenset({"old", "remove", "failed", "refused", "removed"}),
        f"{_UNDERLINED};{_GREEN}": frozenset({"put"}),
        f"{_STRUCK};{_RED}": frozenset({"cut"}),
        _MAGENTA: frozenset({"conflict"}),
        _DIM: frozenset({"note", "skipped", "pending", "planned"}),
        _BOLD: frozenset({"datastore", "tree", "branch", "object", "diff", "report", "stat", "heading"}),
    }
)


_GAP = "  "
_NARROW = 8  # the columns that every column of a grid can have before any is left out

_Parts = Sequence[tuple[str, str]]
"""Pieces of one line, each with the kind that determines its colour."""


def text(outline: Outline, *, lines: int | None = 25, columns: int | None = 100, colour: bool = False) -> str:
    r"""Return the outline as text, without a newline at its end.

    What is left out is counted in it. Only as many children and rows are taken as are shown.

    Args:
        outline: What is to be shown.
        lines: The most lines, or None for all. They are shared evenly by all on one level, top level first.
        columns: The most columns of a terminal that a line takes, or None for as many as it needs.
        colour: Whether to colour it for a terminal.

    >>> users = Outline("users", "branch", children=lambda: map(Outline, "abc"), total=3)
    >>> text(Outline("source", "tree", note="1 branch", children=lambda: [users], total=1), lines=4)
    'source  1 branch\n  users\n    a\n    … and 2 more'
    """
    if lines is not None and lines < 1:
        return ""
    return "\n".join(line for one in _selected(outline, lines) for line in _text_lines(one, columns, colour=colour))


def write(
    outline: Outline,
    file: IO[str],
    *,
    lines: int | None = None,
    limit: int | None = None,
    columns: int | None = None,
    colour: bool | None = None,
    rest: str = "",
) -> None:
    """Write the outline and a newline to a file, line by line if there is no limit.

    What the file's encoding does not have is written as backslash escapes, but for arrows and dots.

    Args:
        outline: What is to be shown.
        file: An open text file, such as ``sys.stdout``.
        lines: The most lines, or None for all.
        limit: The most lines below the first level, or None for all; instead of ``lines``.
        columns: The most columns of a line, or None for as many as it needs; see `terminal_columns`.
        colour: Whether to colour it, or None to do as the file and the environment want it.
        rest: A last line that says how to see what is left out, if anything is.
    """
    coloured = wants_colour(file) if colour is None else colour
    encoding = getattr(file, "encoding", None)
    if limit is not None:
        lines = 1 + limit + min(limit + 20, 2 * outline.total)
    cut = False
    for one in _selected(outline, lines):
        cut = cut or isinstance(one, tuple) or one.more_rows + one.more_below > 0
        for line in _text_lines(one, columns, colour=coloured):
            file.write(f"{encodable(line, encoding)}\n")
    if rest and cut:
        write(Outline(rest, "note"), file, colour=coloured)


def encodable(text: str, encoding: str | None) -> str:
    r"""Return a text that an encoding can hold: plain signs for arrows and dots, and backslash escapes for all else.

    >>> encodable("grade: 7 → 8 …", "cp1252"), encodable("ő → …", "ascii")
    ('grade: 7 -> 8 …', '\\u0151 -> ...')
    """
    if not encoding or text.isascii() or not _lacks(encoding, text):
        return text
    for character, plain in _PLAIN_SIGNS.items():
        if _lacks(encoding, character):
            text = text.replace(character, plain)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _lacks(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


_PLAIN_SIGNS: Mapping[str, str] = MappingProxyType({"→": "->", "…": "..."})


def terminal_columns(stream: IO[str]) -> int | None:
    """Return the width of the terminal that a stream writes to; None if it writes to none.

    ``COLUMNS`` is heard first, as everywhere.
    """
    isatty = getattr(stream, "isatty", None)
    if isatty is None or not isatty():
        return None
    from shutil import get_terminal_size  # most processes print on no terminal

    return get_terminal_size((100, 24)).columns


def numeric(values: Sequence[Any]) -> bool:
    """Say whether all values are numbers, which are aligned right.

    >>> numeric([1, 2.5]), numeric([1, "2"]), numeric([True]), numeric([])
    (True, False, False, False)
    """
    return bool(values) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values
    )


def _selected(outline: Outline, lines: int | None) -> Iterable[Selected | tuple[int, str]]:
    """Return what is shown from top to bottom, and level and words of what says that there is more."""
    return walk(outline) if lines is None else _from_top(select(outline, lines=lines))


def _from_top(top: Selected) -> Iterator[Selected | tuple[int, str]]:
    waiting: list[Selected | tuple[int, str]] = [top]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, Selected):
            if one.more_children:
                waiting.append((one.level + 1, more(one.more_children, one.outline.unit)))
            waiting.extend(reversed(one.children))


def _text_lines(one: Selected | tuple[int, str], columns: int | None, *, colour: bool) -> list[str]:
    room = None if columns is None else max(columns, 0)
    lines = _lines(one, room, marks=not colour)
    return ["".join([paint(*part) for part in parts] if colour else [piece for piece, _ in parts]) for parts in lines]


def _lines(one: Selected | tuple[int, str], columns: int | None, *, marks: bool) -> Sequence[_Parts]:
    if isinstance(one, tuple):
        level, words = one
        return [_fitted(_indent(level, columns), [(words, "note")], columns)]
    return [*_own_lines(one, columns, marks=marks), *_grid(one, columns)]


def _indent(level: int, columns: int | None) -> str:
    """Return the indentation of a line, at most half of the columns."""
    return " " * (2 * level if columns is None else min(2 * level, columns // 2))


def _own_lines(one: Selected, columns: int | None, *, marks: bool) -> Sequence[_Parts]:
    """Return the outline's line; several where its spans need them.

    Args:
        one: The outline.
        columns: The most columns of a line.
        marks: Whether signs mark the words that changed, as no colour does.
    """
    outline = one.outline
    before, mark, after = marked(outline)
    indent = _indent(one.level, columns)
    parts = [(before + mark + after, outline.kind)]
    if outline.note:
        parts.append((_GAP + outline.note, "note"))
    behind = f"{_GAP}{more(one.more_below, outline.unit)}" if one.more_below else ""
    if not outline.spans:
        return [_fitted(indent, parts, columns, behind)]
    gap = " " if outline.text.endswith(":") else _GAP
    if mark:  # what it is of stands out, and what happens to it is in its own colour
        parts[:1] = [(before + mark, outline.kind), (after, "heading")]
    spans = [
        (f"{_MARKED[kind][0]}{words}{_MARKED[kind][1]}", kind) if marks and kind in _MARKED else (words, kind)
        for words, kind in outline.spans
    ]
    parts += [(gap, ""), *spans, (behind, "note")]
    if not _is_visible("".join([words for words, _ in parts])):  # nearly always at once
        parts = [(visible(words), kind) for words, kind in parts]
    if columns is None:
        return [[(indent, ""), *parts]]
    room = max(columns - len(indent) - len(_HANGING), 1)
    return [[(indent + _HANGING * (number > 0), ""), *line] for number, line in enumerate(_wrapped(parts, room))]


_MARKED: Mapping[str, tuple[str, str]] = MappingProxyType({"cut": ("[-", "-]"), "put": ("{+", "+}")})
_HANGING = "    "
_WORDS = re.compile(r"\S+|\s+")


def _wrapped(parts: _Parts, columns: int) -> Iterator[_Parts]:
    """Yield the parts as lines of at most so many columns, between words where there are any.

    Nothing is lost but the blank in whose place a line ends.
    """
    line: list[tuple[str, str]] = []
    taken = 0
    for words, kind in parts:
        for word in _split(words, columns):
            wide = width(word)
            if taken + wide > columns and line:
                yield line[:-1] if len(line) > 1 and line[-1][0] == " " else line
                line, taken = [], 0
                if word == " ":
                    continue
            line.append((word, kind))
            taken += wide
    if line:
        yield line


def _split(words: str, columns: int) -> Iterator[str]:
    """Yield the words of a text and the blanks between them, in pieces of at most so many columns."""
    for word in _WORDS.findall(words):
        rest = word
        while width(rest) > columns and len(rest) > 1:
            head = _head(rest, columns)
            yield rest[:head]
            rest = rest[head:]
        yield rest


def _head(word: str, columns: int) -> int:
    """Return how many characters of a word take at most so many columns; at least one."""
    ends = accumulate(_widths(word))
    return max(1, sum(1 for end in ends if end <= columns))


def _fitted(indent: str, parts: _Parts, columns: int | None, behind: str = "") -> _Parts:
    """Return the parts of a line, made visible and clipped to its columns; the last part is clipped last."""
    if columns is None:
        return [(indent, ""), *((visible(words), kind) for words, kind in parts), (behind, "note")]
    behind = clipped(behind, columns - len(indent) - 1)
    room = columns - len(indent) - width(behind)
    # One column more than there is, so that the whole is found too wide where a part is.
    pieces = [cell(words, room + 1) for words, _ in parts]
    whole = clipped("".join(pieces), room)
    ends = list(accumulate(map(len, pieces)))
    fitted = [(whole[end - len(piece) : end], kind) for piece, end, (_, kind) in zip(pieces, ends, parts, strict=True)]
    return [(indent, ""), *fitted, (behind, "note")]


def _grid(one: Selected, columns: int | None) -> Iterator[_Parts]:
    grid = one.outline.grid
    if grid is None:
        return
    indent = _indent(one.level + 1, columns)
    if one.heading:
        room = None if columns is None else columns - len(indent)
        count = len(grid.columns) if room is None else min(len(grid.columns), room // 3 + 1)
        rows = [list(islice(row, count)) for row in one.rows]
        rows = [row + [""] * (count - len(row)) for row in rows]
        names = [cell(name, room) for name in islice(grid.columns, count)]
        cells = [[cell(value, room) for value in row] for row in rows]
        natural = [max(map(width, column)) for column in zip(names, *cells, strict=True)]
        widths, behind = _layout(natural, len(grid.columns), room)
        right = [numeric([row[index] for row in rows]) for index in range(len(widths))]
        yield _fitted(indent, [(_aligned(names, widths, right) + behind, "heading")], columns)
        for row in cells:
            yield _fitted(indent, [(_aligned(row, widths, right), "")], columns)
    if one.more_rows:
        yield _fitted(indent, [(more(one.more_rows), "note")], columns)


def _layout(natural: Sequence[int], total: int, room: int | None) -> tuple[list[int], str]:
    """Return the widths of the columns that fit, and the words for the others."""
    if room is None:
        return list(natural), ""
    count, behind = len(natural), ""
    if count < total or sum(min(one, _NARROW) for one in natural) + len(_GAP) * (count - 1) > room:
        needed, count = len(_GAP) + len(more(total, "column")), 0
        for one in natural:
            needed += min(one, _NARROW) + len(_GAP) * (count > 0)
            if needed > room and count:
                break
            count += 1
        behind = f"{_GAP}{more(total - count, 'column')}"
    space = room - len(behind) - len(_GAP) * (count - 1)
    return [max(one, 1) for one in share(max(space, 1), natural[:count])], behind


def _aligned(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for words, wide, at_right in zip(cells, widths, right, strict=False):
        piece = clipped(words, wide)
        blanks = " " * (wide - width(piece))
        padded.append(blanks + piece if at_right else piece + blanks)
    return _GAP.join(padded).rstrip()


_LONGEST_VALUE = 80
"""Characters of a value within a sentence."""


def shortened(value: Any) -> str:
    """Return the repr of a value for a sentence, cut off if it is long; members of a set are in order.

    >>> shortened({"b", "a"}), shortened("x" * 100)[-3:]
    ("['a', 'b']", 'xx…')
    """
    try:
        whole = repr(sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value)
    except ValueError:  # the digits of a very long int
        return f"a very long {type(value).__name__}"
    return whole if len(whole) <= _LONGEST_VALUE else f"{whole[: _LONGEST_VALUE - 1]}…"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless the count is one.

    >>> counted(1, "object"), counted(28226, "object"), counted(2, "branch")
    ('1 object', '28,226 objects', '2 branches')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith(('ch', 's', 'x')) else 's'}"
