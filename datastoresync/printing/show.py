"""The base of objects that print themselves in a REPL and in a notebook."""

from __future__ import annotations

from datastoresync.printing.outline import Outline
from datastoresync.printing.text import text


class Printable:
    """Renders the ``__outline__`` of a subclass as text, and in a notebook as HTML."""

    __slots__ = ()

    def __outline__(self) -> Outline:
        """Describe the object as an outline."""
        raise NotImplementedError

    def text(self, *, lines: int | None = 25, columns: int | None = 100, colour: bool = False) -> str:
        """Return indented text of at most so many lines and columns; None for no limit."""
        return text(self.__outline__(), lines=lines, columns=columns, colour=colour)

    def _repr_html_(self) -> str:
        from datastoresync.printing.html import html  # only notebooks ask for it

        return html(self.__outline__())
