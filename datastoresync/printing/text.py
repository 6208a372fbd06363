"""An outline as indented plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import accumulate, islice
from typing import IO, Any

from datastoresync.printing.outline import Outline
from datastoresync.printing.selection import Selected, marked, more, select, share
from datastoresync.printing.terminal import paint, wants_colour
from datastoresync.printing.visible import cell, clipped, visible, width

__all__ = ["numeric", "text", "write"]

_GAP = "  "
_NARROW = 8  # the columns that every column of a grid can have before any is left out

_Parts = Sequence[tuple[str, str]]
"""Pieces of one line, each with the kind that it is painted by."""


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
    room = None if columns is None else max(columns, 0)
    return "\n".join(
        "".join(paint(piece, kind) if colour else piece for piece, kind in parts)
        for parts in _lines(select(outline, lines=lines), room)
    )


def write(
    outline: Outline,
    file: IO[str],
    *,
    lines: int | None = None,
    columns: int | None = None,
    colour: bool | None = None,
) -> None:
    """Write the outline to a file, and a newline behind it.

    What the file's encoding does not have is written as backslash escapes.

    Args:
        outline: What is to be shown.
        file: An open text file, such as ``sys.stdout``.
        lines: The most lines, or None for all.
        columns: The most columns of a line, or None for as many as it needs.
        colour: Whether to colour it, or None to do as the file and the environment want it.
    """
    coloured = wants_colour(file) if colour is None else colour
    written = text(outline, lines=lines, columns=columns, colour=coloured)
    encoding = getattr(file, "encoding", None)
    if encoding and not written.isascii():
        written = written.encode(encoding, "backslashreplace").decode(encoding)
    file.write(f"{written}\n")


def numeric(values: Sequence[Any]) -> bool:
    """Say whether these are all numbers, and so better aligned at their right.

    >>> numeric([1, 2.5]), numeric([1, "2"]), numeric([True]), numeric([])
    (True, False, False, False)
    """
    return bool(values) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values
    )


def _lines(top: Selected, columns: int | None) -> Iterator[_Parts]:
    """Yield the lines from top to bottom."""
    waiting: list[Selected | tuple[int, str]] = [top]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            level, words = one
            yield _fitted(_indent(level, columns), [(words, "note")], columns)
            continue
        yield _own_line(one, columns)
        yield from _grid(one, columns)
        if one.more_children:
            waiting.append((one.level + 1, more(one.more_children)))
        waiting.extend(reversed(one.children))


def _indent(level: int, columns: int | None) -> str:
    """Return the blanks before a line; where it is deep, they leave half of the columns to it."""
    return " " * (2 * level if columns is None else min(2 * level, columns // 2))


def _own_line(one: Selected, columns: int | None) -> _Parts:
    outline = one.outline
    before, mark, after = marked(outline)
    kind = outline.kind
    parts = [(before + mark + after, kind)]
    if outline.note:
        parts.append((_GAP + outline.note, "note"))
    behind = f"{_GAP}{more(one.more_below)}" if one.more_below else ""
    return _fitted(_indent(one.level, columns), parts, columns, behind)


def _fitted(indent: str, parts: _Parts, columns: int | None, behind: str = "") -> _Parts:
    """Make the parts visible and fit for their line; what is behind them is the last to be clipped."""
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
    """Return the widths of the columns that are shown, and what to say about the others."""
    if room is None:
        return list(natural), ""
    count, behind = len(natural), ""
    if count < total or sum(min(one, _NARROW) for one in natural) + len(_GAP) * (count - 1) > room:
        needed, count = len(_GAP) + len(more(total, "columns")), 0
        for one in natural:
            needed += min(one, _NARROW) + len(_GAP) * (count > 0)
            if needed > room and count:
                break
            count += 1
        behind = f"{_GAP}{more(total - count, 'columns')}"
    space = room - len(behind) - len(_GAP) * (count - 1)
    return [max(one, 1) for one in share(max(space, 1), natural[:count])], behind


def _aligned(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for words, wide, at_right in zip(cells, widths, right, strict=False):
        piece = clipped(words, wide)
        blanks = " " * (wide - width(piece))
        padded.append(blanks + piece if at_right else piece + blanks)
    return _GAP.join(padded).rstrip()
