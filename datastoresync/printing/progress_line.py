"""One line that says how far something is, in a notebook or on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TextIO

_WORDS: Mapping[str, str] = MappingProxyType({"import": "reading", "diff": "comparing", "sync": "writing"})


def in_notebook() -> bool:
    """Say whether this runs in a kernel, of which the output is a page; without loading anything."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def progress_text(stage: str, done: int, total: int) -> str:
    """Return how much of a stage is done; of an unknown total, which is 0, the rows.

    >>> progress_text("diff", 1_000, 2_000), progress_text("import", 1_000, 0)
    ('comparing: 1,000 of 2,000', 'reading: 1,000 rows')
    """
    return f"{_WORDS.get(stage, stage)}: {done:,}{f' of {total:,}' if total else ' rows'}"


class ProgressLine:
    """Keeps one line up to date, below a notebook's cell or on a terminal, and is quiet anywhere else.

    It goes where a ``progress`` is asked for: ``source.sync_to(dest, progress=ProgressLine())``, and for imports,
    ``with import_progress(ProgressLine()): source.load()``. Each is for one cell.

    Args:
        file: Where to, outside of a notebook; standard error if None.
        interval: The shortest time between two updates, in seconds.
    """

    def __init__(self, file: TextIO | None = None, *, interval: float = 0.1) -> None:
        self.file = sys.stderr if file is None else file
        self.interval = interval
        self._notebook = file is None and in_notebook()
        self._display: Any = None
        self._shown, self._width = float("-inf"), 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        self.show(progress_text(stage, done, total), done, total)

    def show(self, text: str, done: int, total: int) -> None:
        """Show a text in place of the last one, unless that was shown just now and there is more to come."""
        now = time.monotonic()
        if now - self._shown < self.interval and done != total:
            return
        self._shown = now
        if self._notebook:
            self._update(text, done, total)
        elif self.file.isatty():
            self.file.write(f"\r{text.ljust(self._width)}")
            self.file.flush()
            self._width = len(text)

    def close(self) -> None:
        """Leave the line of a terminal."""
        if self._width:
            self.file.write("\n")
            self.file.flush()
            self._width = 0

    def _update(self, text: str, done: int, total: int) -> None:
        from html import escape  # which no terminal needs

        from IPython.display import display

        bar = f'<progress value="{done}" max="{total}"></progress> ' if total else ""
        shown = {"text/plain": text, "text/html": f"<label>{bar}{escape(text)}</label>"}
        if self._display is None:
            show: Any = display  # which has no types
            self._display = show(shown, raw=True, display_id=True)
        else:
            self._display.update(shown, raw=True)
