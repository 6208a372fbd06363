"""Progress as a line of a terminal that is written over, and as lines of the log elsewhere."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Self

from datastoresync.app.console import Console
from datastoresync.printing.progress_line import progress_text

_INTERVAL = 0.1
"""Seconds between two updates of a terminal, at least."""
_SELDOM = 10.0
"""Seconds between two lines of the log, at least."""


class Progress:
    """Is called with a stage, the number done and the total, as `Tree.diff` calls its ``progress``.

    Args:
        console: Where it is shown, if that is a terminal that shows progress.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._shown = self._logged = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show it, unless that was done just now."""
        now = time.monotonic()
        line = progress_text(stage, done, total)
        if now - self._logged >= _SELDOM:
            self._logged = now
            logging.getLogger("datastoresync").info("%s", line)
        if self.console.shows_progress and self.console.file.isatty() and now - self._shown >= _INTERVAL:
            self._shown = now
            self.console.overwrite(line)

    def close(self) -> None:
        """Remove the line."""
        self.console.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
