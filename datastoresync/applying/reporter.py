"""Reporters, which are told the start, every result and the end of an apply."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, TextIO

from datastoresync.applying.plan import Plan
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report, Result, reason_of
from datastoresync.diffing.diff import Progress
from datastoresync.errors import DeclarationError
from datastoresync.printing.progress_line import ProgressLine
from datastoresync.printing.text import visible
from datastoresync.spelling import member_problems


class Reporter:
    """Is told the start, every result and the end of an apply, or that it is refused or fails. Subclass it for more.

    An exception of a reporter does not stop the apply; it becomes a warning in the report, or a note of the refusal. A
    misspelt hook is refused when the class is declared.
    """

    _hooks: ClassVar[Mapping[str, int]] = {"start": 1, "result": 1, "end": 1, "refused": 1, "failed": 1}
    """The number of arguments of each."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse misspelt hooks."""
        super().__init_subclass__(**kwargs)
        for problem in member_problems(cls, Reporter, cls._hooks, {}):
            raise DeclarationError(problem)

    def start(self, plan: Plan) -> None:
        """Take the plan, before the first action."""

    def result(self, result: Result) -> None:
        """Take the result of one action; of one that a rehearsal undoes, it is ``planned`` as in a mock run."""

    def end(self, report: Report) -> None:
        """Take the report, after the last action."""

    def refused(self, preview: Preview) -> None:
        """Take what would have been done, and why not, of a run that the limits refuse; nothing else is told then."""

    def failed(self, reason: str) -> None:
        """Take why a run ended without a report, such as a file that cannot be read.

        The command line tells so; a script that imports by itself tells its reporters: ``reporter.failed(str(error))``.
        """


def all_reporters(*groups: Iterable[Reporter]) -> list[Reporter]:
    """Return the reporters of several lists in one.

    Raises:
        DeclarationError: One of these is no list.
    """
    for group in groups:
        if not isinstance(group, Iterable):
            message = f"reporters is a list, even of one: reporters=[{type(group).__name__}(…)]"
            raise DeclarationError(message)
    return [reporter for group in groups for reporter in group]


def tell(reporters: Iterable[Reporter], event: str, content: object) -> Iterator[str]:
    """Call every reporter with an event; yield a sentence for each exception that one raises."""
    for reporter in reporters:
        try:
            getattr(reporter, event)(content)
        except Exception as error:  # noqa: BLE001 - a mail server that is down must not stop a sync
            yield f"{type(reporter).__name__}.{event} raised {reason_of(error)}"


class CollectingReporter(Reporter):
    """Keeps the ``plan``, the ``results`` and the ``report``."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.results: list[Result] = []
        self.report: Report | None = None

    def start(self, plan: Plan) -> None:
        """Keep the plan, and forget the results of an earlier one."""
        self.plan, self.results, self.report = plan, [], None

    def result(self, result: Result) -> None:
        """Keep the result."""
        self.results.append(result)

    def end(self, report: Report) -> None:
        """Keep the report."""
        self.report = report


class CallbackReporter(Reporter):
    """Calls a function after every result, with ``"sync"``, how many there were and how many there will be.

    Args:
        progress: The function.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._done = self._total = 0

    def start(self, plan: Plan) -> None:
        """Begin at nothing."""
        self._done, self._total = 0, len(plan.actions)

    def result(self, result: Result) -> None:  # noqa: ARG002 - a hook
        """Count, and say so."""
        self._done += 1
        self.progress("sync", self._done, self._total)


_LEVELS = {
    "succeeded": logging.DEBUG,
    "skipped": logging.INFO,
    "pending": logging.DEBUG,
    "planned": logging.DEBUG,
    "conflict": logging.WARNING,
    "unhandled": logging.DEBUG,
    "failed": logging.ERROR,
}


class LoggingReporter(Reporter):
    """Writes to a logger of the standard library.

    Failures are errors, conflicts and what the store holds otherwise are warnings, successes are for debugging.

    Args:
        logger: The logger; ``datastoresync`` if None.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or logging.getLogger("datastoresync")

    def start(self, plan: Plan) -> None:
        """Log how much there is to do, and a warning for each method that is missing."""
        self.logger.info("to apply: %s", plan.diff.stat)
        for method, count in plan.unhandled.items():
            self.logger.warning("unhandled: %s: %d actions, and no method for them", method, count)

    def result(self, result: Result) -> None:
        """Log one result."""
        level = logging.WARNING if result.held else _LEVELS[result.status]
        self.logger.log(level, "%s", visible(result.message))

    def end(self, report: Report) -> None:
        """Log the stat line."""
        done = "would apply" if report.mock or report.rehearsed else "applied"
        self.logger.log(
            logging.INFO if report.ok else logging.ERROR, "%s: %s in %.1f s", done, report.stat, report.seconds
        )

    def failed(self, reason: str) -> None:
        """Log the reason."""
        self.logger.error("failed: %s", visible(reason))


class ProgressReporter(Reporter):
    """Keeps one line of a terminal or a notebook up to date, and is quiet anywhere else.

    Args:
        file: Where to; standard error, or below the cell of a notebook, if None.
        interval: The shortest time between two updates, in seconds.
    """

    def __init__(self, file: TextIO | None = None, *, interval: float = 0.1) -> None:
        self.file, self.interval = file, interval
        self._total = self._done = self._bad = 0
        self._line = ProgressLine(file, interval=interval)

    def start(self, plan: Plan) -> None:
        """Begin at nothing, with a line of its own."""
        self._total, self._done, self._bad = len(plan.actions), 0, 0
        self._line = ProgressLine(self.file, interval=self.interval)

    def result(self, result: Result) -> None:
        """Count, and show the count if it is time to."""
        self._done += 1
        self._bad += result.status in ("failed", "conflict")
        failed = f", {self._bad:,} failed" if self._bad else ""
        self._line.show(f"{self._done:,} of {self._total:,} applied{failed}", self._done, self._total)

    def end(self, report: Report) -> None:  # noqa: ARG002 - a hook
        """Leave the line."""
        self._line.close()
