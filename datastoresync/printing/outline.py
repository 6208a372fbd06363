"""The outline that objects describe themselves as, and the selection of it that fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar

import attrs


@attrs.frozen(eq=False, repr=False)
class Grid:
    """A table: rows under named columns.

    Args:
        columns: The names over the columns.
        rows: Returns the rows; each has a value a column. A renderer takes as many as it shows.
        total: The number of rows.
    """

    columns: Sequence[str]
    rows: Callable[[], Iterable[Sequence[Any]]]
    total: int


Span = tuple[str, str]
"""Words of a line, and what they are: ``removed`` or ``added`` (a whole value), ``cut`` or ``put`` (words of a text),
``note`` (less important) or nothing."""


@attrs.frozen(eq=False, repr=False)
class Outline:
    """A line of text, with lines and a table below it.

    Args:
        text: One line. Renderers make control characters visible and escape markup; nothing here does.
        kind: A word that a renderer may colour by: ``datastore``, ``tree``, ``branch``, ``object``; a verb
            (``new``, ``update``, ``add``, ``remove``, ``old``); a status (``succeeded``, ``failed``, ``skipped``,
            ``conflict``, ``unhandled``, ``pending``, ``planned``); ``stat``, ``warning``, ``refused`` or nothing.
        note: Less important text behind it on the same line.
        children: Returns the outlines below; a renderer takes as many as it shows.
        total: The number of outlines directly below.
        grid: A table below the line, before its children.
        expanded: Whether a renderer that can fold shows the lines below at once.
        spans: What comes behind text and note. It is never cut: a renderer goes on in another line.
        count: How many things the line stands for, where lines that are left out are counted.
        things: How many things the outlines below stand for; None if a thing each.
        beyond: How many more things there are, which no outline below stands for.
        unit: What is counted: ``change``.
    """

    text: str
    kind: str = ""
    note: str = ""
    children: Callable[[], Iterable[Outline]] = tuple
    total: int = 0
    grid: Grid | None = None
    expanded: bool = False
    spans: Sequence[Span] = ()
    count: int = 1
    things: int | None = None
    beyond: int = 0
    unit: str = ""


T = TypeVar("T")

_VERBS = ("new", "update", "add", "remove", "old")
_STATUSES = ("succeeded", "failed", "skipped", "conflict", "unhandled", "pending", "planned", "warning", "refused")
_MARKS = frozenset((*_VERBS, *_STATUSES))
SIGNS: Mapping[str, str] = MappingProxyType({"new": "+", "update": "~", "old": "-"})
"""What stands for a verb before the name of an object."""


@attrs.define(eq=False, repr=False)
class Selected:
    """The part of an outline that is shown, and counts of the rest.

    Args:
        outline: The outline itself; its line is always shown.
        level: The number of outlines above it.
        heading: Whether the grid's columns are shown.
        rows: The rows that are shown of the grid.
        more_rows: How many are left out, to be said on a line of its own.
        children: What is shown of the children.
        more_children: How many are left out, to be said on a line of its own.
        more_below: How many rows and children are left out that there is no line for, to be said on the outline's.
    """

    outline: Outline
    level: int = 0
    heading: bool = False
    rows: Sequence[Sequence[Any]] = ()
    more_rows: int = 0
    children: Sequence[Selected] = ()
    more_children: int = 0
    more_below: int = 0


def share(amount: int, wishes: Sequence[int]) -> list[int]:
    """Divide an amount evenly; none gets more than it wishes. A remainder goes to those that wish most, in order.

    >>> share(10, [2, 1_000_000, 1_000_000])
    [2, 4, 4]
    """
    shares = [0] * len(wishes)
    left = max(amount, 0)
    smallest_first = sorted(range(len(wishes)), key=lambda index: (wishes[index], -index))
    for position, index in enumerate(smallest_first):
        shares[index] = min(wishes[index], left // (len(wishes) - position))
        left -= shares[index]
    return shares


def select(outline: Outline, *, lines: int | None, rows: int | None = None, depth: int | None = None) -> Selected:
    """Select the part of an outline to show: level by level from the top, evenly within a level.

    No more children and rows are taken than are shown, so a million cost no more than a few.

    Args:
        outline: The outline.
        lines: The most lines, including those that count what is left out; at least 1.
        rows: The most children, and the most rows, of any one outline.
        depth: The most levels below the first.
    """
    top = Selected(outline)
    left = None if lines is None else lines - 1
    level = [top]
    while level:
        if depth is not None and level[0].level >= depth:
            left = 0
        sections = [section for one in level for section in _sections(one, rows)]
        wishes = [section.wish for section in sections]
        shares = wishes if left is None else share(left, wishes)
        for section, lent in zip(sections, shares, strict=True):
            used = section.fill(lent)
            left = None if left is None else left - used
        level = [child for one in level for child in one.children]
    return top


@attrs.frozen(eq=False, repr=False)
class _Section:
    """A grid or the children of one outline, of which ``most`` are shown."""

    into: Selected
    grid: Grid | None
    total: int
    most: int
    beyond: int = 0

    @property
    def wish(self) -> int:
        """The number of lines that shows all."""
        return (self.grid is not None) + self.most + (self.total > self.most or self.beyond > 0)

    def fill(self, lines: int) -> int:
        """Show as much as fits into these lines; return the number of lines used."""
        heading = self.grid is not None and lines > 0
        room = lines - heading
        count = self.most if lines == self.wish else max(0, room - 1)
        if self.grid is None:
            children = [Selected(child, self.into.level + 1) for child in _first(self.into.outline.children, count)]
            self.into.children = children
            shown = len(children)
            missing = left_out(self.into.outline, sum(one.outline.count for one in children))
        else:
            taken = _first(self.grid.rows, count)
            shown, self.into.rows, self.into.heading = len(taken), taken, heading
            missing = self.total - shown
        if missing and not room:
            self.into.more_below += missing
        elif self.grid is None:
            self.into.more_children = missing
        else:
            self.into.more_rows = missing
        return heading + shown + (missing > 0 and room > 0)


def _first(source: Callable[[], Iterable[T]], count: int) -> list[T]:
    return list(islice(source(), count)) if count else []


def _sections(one: Selected, rows: int | None) -> list[_Section]:
    def most(total: int) -> int:
        return total if rows is None else min(total, max(rows, 0))

    grid, total = one.outline.grid, one.outline.total
    sections = [] if grid is None else [_Section(one, grid, grid.total, most(grid.total))]
    return [*sections, _Section(one, None, total, most(total), one.outline.beyond)] if total else sections


def left_out(outline: Outline, shown: int) -> int:
    """Return how many things of an outline are left out if lines below it that stand for so many are shown."""
    return max(0, (outline.total if outline.things is None else outline.things) + outline.beyond - shown)


def walk(outline: Outline) -> Iterator[Selected | tuple[int, str]]:
    """Yield all of an outline from top to bottom, and level and words of what says that there is more.

    Children are asked for one after the other, and none is kept.
    """
    top = _whole(outline, 0)
    yield top
    waiting, shown = [(top, iter(outline.children()))], [0]
    while waiting:
        above, children = waiting[-1]
        child = next(children, None)
        if child is None:
            waiting.pop()
            missing = left_out(above.outline, shown.pop())
            if missing:
                yield above.level + 1, more(missing, above.outline.unit)
            continue
        shown[-1] += child.count
        one = _whole(child, above.level + 1)
        yield one
        if child.children is tuple and not left_out(child, 0):  # as of most lines, nothing is below
            continue
        waiting.append((one, iter(child.children())))
        shown.append(0)


def _whole(outline: Outline, level: int) -> Selected:
    grid = outline.grid
    return Selected(outline, level, grid is not None, () if grid is None else list(grid.rows()))


def more(count: int, what: str = "") -> str:
    """Return the words for a number of things left out, in the plural if there are several.

    >>> more(999_977), more(2, "column"), more(1, "change")
    ('… and 999,977 more', '… and 2 more columns', '… and 1 more change')
    """
    return f"… and {count:,} more{' ' if what else ''}{what}{'s' if what and count != 1 else ''}"


def marked(outline: Outline) -> tuple[str, str, str]:
    """Return the text before the verb or status in an outline's text, the verb or status, and the text after it.

    The sign of a verb does as well. If neither is there, before the first bracket, colon or quote, the word is put
    first: colour alone must not tell a failure from a success.

    >>> marked(Outline("update_name(idnumber='1')", kind="update"))
    ('', 'update', "_name(idnumber='1')")
    >>> marked(Outline("update_name(idnumber='1')", kind="failed"))
    ('', 'failed', "  update_name(idnumber='1')")
    >>> marked(Outline("+ users 22222", kind="new"))
    ('', '+', ' users 22222')
    >>> marked(Outline("users", kind="branch"))
    ('users', '', '')
    """
    if outline.kind not in _MARKS:
        return outline.text, "", ""
    sign = SIGNS.get(outline.kind, "")
    if sign and outline.text.startswith(f"{sign} "):
        return "", sign, outline.text[len(sign) :]
    said = re.match(rf"([^:('\"]{{0,40}}(?<!\w))?{outline.kind}(?![^\W_])", outline.text)
    if said:
        return said[1] or "", outline.kind, outline.text[said.end() :]
    return "", outline.kind, f"  {outline.text}" if outline.text else ""
