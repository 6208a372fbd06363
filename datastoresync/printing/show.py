"""Base of objects that show themselves as an outline, in a REPL and in a notebook."""

from __future__ import annotations

from datastoresync.printing.html import html
from datastoresync.printing.outline import Outline
from datastoresync.printing.text import text


class Printable:
    """Has an ``__outline__``, and so can be shown as text, and by a notebook as HTML."""

    __slots__ = ()

    def __outline__(self) -> Outline:
        """Describe the thing."""
        raise NotImplementedError

    def text(self, *, lines: int | None = 25, columns: int | None = 100, colour: bool = False) -> str:
        """Return it as an indented text of at most so many lines and columns; None for as many as it takes."""
        return text(self.__outline__(), lines=lines, columns=columns, colour=colour)

    def _repr_html_(self) -> str:
        return html(self.__outline__())
