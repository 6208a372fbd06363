"""The output of an application on standard error: progress on a terminal, failures everywhere."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from datastoresync.app.exit_codes import ExitCode, code_of
from datastoresync.masking import masked
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import write

if TYPE_CHECKING:
    from datastoresync.app.report import PartReport

VERBOSE = "show progress and all details; -vv: each action, too"
QUIET = "show nothing but the result and failures"
_DETAILS = 25
_REFUSALS = (ExitCode.REFUSED, ExitCode.LOCKED)


class _NullFile(io.TextIOBase):
    """A file that discards all, for a process without standard output or error."""

    def write(self, text: str) -> int:
        return len(text)


def _open_or_null(file: Any) -> Any:
    return _NullFile() if file is None or file.closed else file


def say(line: str) -> None:
    """Print a result, such as that of a dry run, to standard output if it is open."""
    with suppress(OSError, ValueError):  # such as a pipe that `head` has closed
        write(Outline(line), _open_or_null(sys.stdout))


def finish() -> None:
    """Flush standard output and error, so that a closed pipe is no error when the process ends."""
    for file in (sys.stdout, sys.stderr):
        try:
            _open_or_null(file).flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), file.fileno())


class Console:
    """Prints progress to standard error if that is a terminal or ``verbose`` asks for it, and failures always.

    Args:
        verbose: Print all, with details and tracebacks; 2 for the log of each action, too.
        quiet: Print only failures.
        file: The file to print to; standard error if None.
        log_file: The file that the log is added to.
    """

    def __init__(
        self, *, verbose: int = 0, quiet: bool = False, file: TextIO | None = None, log_file: str | None = None
    ) -> None:
        self.log_file = log_file
        self._kept: logging.Handler | None = None
        self._passing = 0
        self.file = _open_or_null(sys.stderr if file is None else file)
        self.verbose = verbose
        self.shows_progress = not quiet and (verbose or self.file.isatty())

    def begin(self, name: str, activity: str) -> None:
        """Print that a part begins."""
        if self.shows_progress:
            self._line(f"{name}: {activity} …", "note")

    def end(self, report: PartReport) -> None:
        """Print the outcome of a part: a success only where progress is shown."""
        if report.status == "pending":
            return
        if self._kept is not None:
            level = logging.INFO if report.ok else logging.ERROR
            self._kept.handle(logging.LogRecord("datastoresync", level, "", 0, masked(report.message), None, None))
        returned = report.returned if isinstance(report.returned, list) else [report.returned]
        if report.ok:
            for warning in (one for each in returned for one in getattr(each, "warnings", ())):
                self.say(f"warning: {warning}", "warning")
        if report.ok and not self.shows_progress:
            return
        first, *more = report.message.splitlines() or [""]
        note = f" in {report.seconds:.1f} s" if report.status == "succeeded" else ""
        self._line(first + note, report.shown_status)
        for line in more:
            self._line(line, "")
        if report.ok:
            return
        if isinstance(report.returned, Printable):
            details = report.returned.text(lines=None if self.verbose else _DETAILS, columns=None)
            self._text(details.partition("\n")[2])  # the first line is printed already
        # Where a refusal was raised is of no help.
        if self.verbose and report.error is not None and code_of(report.error) not in _REFUSALS:
            self.trace(report.error)

    def trace(self, error: BaseException) -> None:
        """Print the tracebacks of an error and of what led to it."""
        from datastoresync.app.report import trace_of  # a run without errors needs none of it

        self._text(trace_of(error))

    def _text(self, lines: str) -> None:
        for line in masked(lines).splitlines():
            self._line(f"  {line}", "")

    def say(self, lines: str, kind: str) -> None:
        """Print lines without passwords, the first one in the style of ``kind``."""
        for line in masked(lines).splitlines():
            self._line(line, kind)
            kind = ""

    def overwrite(self, line: str) -> None:
        """Write over the line of a terminal that the cursor is in, as the next line will do, too."""
        with suppress(OSError, ValueError):
            self.file.write(f"\r{line.ljust(self._passing)}\r")
            self.file.flush()
        self._passing = len(line)

    def clear(self) -> None:
        """Remove the line that was to be written over."""
        if self._passing:
            self.overwrite("")

    def _line(self, line: str, kind: str) -> None:
        self.clear()
        try:
            write(Outline(line, kind), self.file)
            self.file.flush()
        except (OSError, ValueError):  # a closed standard error is no reason to stop
            self.file = _NullFile()

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Show the package's log if ``verbose``, through the program's own handlers if it has any; and keep it."""
        logger = logging.getLogger("datastoresync")
        level, handlers = logger.level, list(logger.handlers)
        levels = [level or logging.WARNING]
        with ExitStack() as stack:
            stack.callback(logger.setLevel, level)
            stack.callback(setattr, logger, "handlers", handlers)
            if self.verbose:
                levels.append(logging.DEBUG if self.verbose > 1 else logging.INFO)
                if not logger.hasHandlers():
                    shown: logging.Handler = logging.StreamHandler(self.file)
                    shown.setLevel(levels[-1])
                    shown.setFormatter(logging.Formatter("%(message)s"))  # as the lines beside it, which have no time
                    logger.addHandler(shown)
            if self.log_file is not None:
                levels.append(logging.DEBUG)
                self._kept = _formatted(logging.FileHandler(self.log_file, encoding="utf-8"))
                stack.callback(self._kept.close)
                logger.addHandler(self._kept)
            logger.setLevel(min(levels))
            yield


def _formatted(handler: logging.Handler) -> logging.Handler:
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    return handler
