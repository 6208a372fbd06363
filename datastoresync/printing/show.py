"""The base of objects that print themselves in a REPL and in a notebook."""

from __future__ import annotations

import sys
from typing import Self, TextIO

from datastoresync.printing.outline import Outline
from datastoresync.printing.text import encodable, terminal_columns, text, write

_LINES, _COLUMNS = 25, 100


class Printable:
    """Renders the ``__outline__`` of a subclass as text, and in a notebook as HTML."""

    __slots__ = ()

    def __outline__(self) -> Outline:
        """Describe the object as an outline."""
        raise NotImplementedError

    def text(self, *, lines: int | None = _LINES, columns: int | None = _COLUMNS, colour: bool = False) -> str:
        """Return indented text of at most so many lines and columns; None for no limit."""
        return text(self.__outline__(), lines=lines, columns=columns, colour=colour)

    def _in_repl(self) -> str:
        """Return the text for a REPL: a screen of it, in characters that standard output has."""
        columns = min(_COLUMNS, terminal_columns(sys.stdout) or _COLUMNS)
        return encodable(text(self.__outline__(), lines=_LINES, columns=columns), getattr(sys.stdout, "encoding", None))

    def _repr_html_(self) -> str:
        from datastoresync.printing.html import html  # only notebooks ask for it

        return html(self.__outline__())


class BoundedPrintable(Printable):
    """Prints itself in part or as a whole. A subclass has ``outline``."""

    __slots__ = ()

    def outline(self, *, whole: bool = False) -> Outline:
        """Describe the object; as a whole, or folded, shortened, and with counts of what is not shown."""
        raise NotImplementedError

    def __outline__(self) -> Outline:
        """Describe the object in part."""
        return self.outline()

    def text(self, *, lines: int | None = _LINES, columns: int | None = _COLUMNS, colour: bool = False) -> str:
        """Return indented text of at most so many lines and columns; None for no limit, which shortens nothing."""
        return text(self.outline(whole=lines is None), lines=lines, columns=columns, colour=colour)

    def show(
        self,
        file: TextIO | None = None,
        *,
        limit: int | None = 50,
        colour: bool | None = None,
        rest: str | None = None,
    ) -> Self:
        """Print it and return it.

        Args:
            file: The file; standard output if None.
            limit: About how many objects are shown, the others being counted; None for all, with whole values.
            colour: Whether to use colours; None asks the file.
            rest: How to see what was left out, on a last line if anything is; None says it in Python.
        """
        file = sys.stdout if file is None else file
        columns = terminal_columns(file)
        last = self._see_all if rest is None else rest
        write(self.outline(whole=limit is None), file, limit=limit, columns=columns, colour=colour, rest=last)
        return self

    @property
    def _see_all(self) -> str:
        """What to write to see what was left out."""
        return ""
