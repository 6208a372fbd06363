"""What an application says on standard error: progress to a person, failures to anyone."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from datastoresync.app.report import PartReport, hidden, trace_of
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import text, write

_DETAILS = 25


class _Nowhere(io.TextIOBase):
    """A file that keeps nothing, for a process without standard output or error."""

    def write(self, text: str) -> int:
        return len(text)


def _usable(file: Any) -> Any:
    return _Nowhere() if file is None or file.closed else file


def say(line: str) -> None:
    """Say what was asked for, such as what a dry run would do, on standard output if there is any."""
    with suppress(OSError, ValueError):  # as when `head` has seen enough
        write(Outline(line), _usable(sys.stdout))


def finish() -> None:
    """Flush standard output and error, so that a reader who has left is no error when the process ends."""
    for file in (sys.stdout, sys.stderr):
        try:
            _usable(file).flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), file.fileno())


class Console:
    """Says what happens on standard error: to a terminal, or if it is asked to; and always what went wrong.

    Args:
        verbose: Say all, with details and tracebacks.
        quiet: Say only what went wrong.
        file: Where to; standard error if None.
    """

    def __init__(self, *, verbose: bool = False, quiet: bool = False, file: TextIO | None = None) -> None:
        self.file = _usable(sys.stderr if file is None else file)
        self.verbose = verbose
        self.talks = not quiet and (verbose or self.file.isatty())

    def begin(self, name: str, doing: str) -> None:
        """Say that a part begins."""
        if self.talks:
            self._line(f"{name}: {doing} …", "note")

    def end(self, report: PartReport) -> None:
        """Say what became of a part: success to who wants to hear it, all else to everybody."""
        if report.status == "pending" or (report.ok and not self.talks):
            return
        first, *more = report.message.splitlines() or [""]
        note = f" in {report.seconds:.1f} s" if report.status == "succeeded" else ""
        self._line(first + note, report.status)
        for line in more:
            self._line(line, "")
        if report.ok:
            return
        if isinstance(report.returned, Printable):
            details = text(report.returned.__outline__(), lines=None if self.verbose else _DETAILS, columns=None)
            self._text(details.partition("\n")[2])  # the first line has been said
        if self.verbose and report.error is not None:
            self._text(trace_of(report.error))

    def _text(self, lines: str) -> None:
        for line in hidden(lines).splitlines():
            self._line(f"  {line}", "")

    def say(self, lines: str, kind: str) -> None:
        """Say something, without passwords; the first line is of this kind."""
        for line in hidden(lines).splitlines():
            self._line(line, kind)
            kind = ""

    def _line(self, line: str, kind: str) -> None:
        try:
            write(Outline(line, kind), self.file)
            self.file.flush()
        except (OSError, ValueError):  # nobody is there to be told, which is no reason to stop
            self.file = _Nowhere()

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Show the package's log meanwhile, if all is to be said; through the program's own handlers if it has any."""
        logger = logging.getLogger("datastoresync")
        level, handlers = logger.level, list(logger.handlers)
        if self.verbose:
            if not logger.hasHandlers():
                handler = logging.StreamHandler(self.file)
                handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
                logger.addHandler(handler)
            logger.setLevel(min(level or logging.INFO, logging.INFO))
        try:
            yield
        finally:
            logger.handlers[:] = handlers
            logger.setLevel(level)
