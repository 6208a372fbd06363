"""The neutral outline that everything here can describe itself as, before anyone knows where it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs


@attrs.frozen
class Grid:
    """Rows under named columns, for what is better shown as a table.

    Args:
        columns: The names over the columns.
        rows: Called to get the rows; each has a value a column. A renderer takes as many as it shows.
        total: How many rows there are in all.
    """

    columns: Sequence[str]
    rows: Callable[[], Iterable[Sequence[Any]]]
    total: int


@attrs.frozen
class Outline:
    """A line of text and what is below it.

    Args:
        text: One line. Renderers make control characters visible and escape markup; nothing here does.
        kind: A word that a renderer may colour by: ``datastore``, ``tree``, ``branch``, ``object``; a verb
            (``new``, ``update``, ``add``, ``remove``, ``old``); a status (``succeeded``, ``failed``, ``skipped``,
            ``conflict``, ``unhandled``, ``pending``); ``stat``, ``warning``, ``refused`` or nothing.
        note: Less important text behind it on the same line.
        children: Called to get the lines below; a renderer takes as many as it shows.
        total: How many lines there are directly below, in all.
        grid: A table below the line, before its children.
        expanded: Whether a renderer that can fold shows what is below at once.
    """

    text: str
    kind: str = ""
    note: str = ""
    children: Callable[[], Iterable[Outline]] = tuple
    total: int = 0
    grid: Grid | None = None
    expanded: bool = False


class Outlined(Protocol):
    """Anything that can be shown."""

    def __outline__(self) -> Outline: ...
