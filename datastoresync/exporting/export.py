"""The rows that something is exported as."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from datastoresync.printing.outline import Outline


@attrs.frozen(eq=False, repr=False)
class Export:
    """A table for other programs: rows under named columns.

    Args:
        title: What it is, in a few words.
        columns: The names of the columns.
        rows: Returns the rows; each has a value a column. Those of a million need not be in memory.
        summary: One line about all of it.
        outline: Describes it for people, above the table of a page; None if the table says it all.
        typed: Whether a column has values of one kind, as that of a branch has, rather than those of any attribute.
    """

    title: str
    columns: Sequence[str]
    rows: Callable[[], Iterable[Sequence[Any]]]
    summary: str = ""
    outline: Callable[[], Outline] | None = None
    typed: bool = False
