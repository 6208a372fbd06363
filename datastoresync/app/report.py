"""The report of an application, without secrets."""

from __future__ import annotations

import traceback
from typing import Any, Literal

import attrs

from datastoresync.app.exit_codes import ExitCode, code_of
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report, reason_of
from datastoresync.masking import masked
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable


def trace_of(error: BaseException) -> str:
    """Return the tracebacks of an exception and its causes, the first cause first, without secrets."""
    pieces: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        pieces.append("".join(traceback.format_tb(current.__traceback__)) + reason_of(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return masked("\nwhich led to:\n".join(reversed(pieces)))


def nothing_written(returned: Any) -> bool:
    """Say whether what a writer returned is about what it would do."""
    return isinstance(returned, Preview) or (isinstance(returned, Report) and returned.undone)


@attrs.frozen(eq=False)
class PartReport:
    """The outcome of one part.

    Args:
        name: The part's name.
        status: ``refused`` by the safeguards, before any change; ``skipped`` if a dry run cannot call a writer;
            ``pending`` if it was never called; ``interrupted`` by Ctrl-C.
        reason: The reason of a failure, or the part's summary; without secrets.
        returned: The value of the part: a writer's `Report`, the reader's tree.
        error: The exception, if one was raised.
        seconds: The duration.
    """

    name: str
    status: Literal["succeeded", "failed", "refused", "skipped", "pending", "interrupted"]
    reason: str = attrs.field(default="", converter=masked)
    returned: Any = attrs.field(default=None, repr=False)
    error: BaseException | None = attrs.field(default=None, repr=False)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it succeeded or was skipped."""
        return self.status in ("succeeded", "skipped")

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that had only this part, which is not pending."""
        if self.ok:
            return ExitCode.DONE
        if self.status == "refused":
            return ExitCode.REFUSED
        reports = self.returned if isinstance(self.returned, (list, tuple)) else [self.returned]
        done = any(report.succeeded and not report.rehearsed for report in reports if isinstance(report, Report))
        return ExitCode.PARTLY if done and self.error is None else code_of(self.error)

    @property
    def shown_status(self) -> str:
        """The status as it is told to people: ``planned`` where all that succeeded is a preview or a rehearsal."""
        reports = self.returned if isinstance(self.returned, (list, tuple)) else [self.returned]
        planned = self.status == "succeeded" and any(map(nothing_written, reports))
        return "planned" if planned else self.status

    @property
    def message(self) -> str:
        """The status, the part's name, and the reason."""
        return f"{self.shown_status}: {self.name}{': ' if self.reason else ''}{self.reason}"

    def __outline__(self) -> Outline:
        """Describe it."""
        return Outline(self.message, self.shown_status)


@attrs.frozen(eq=False, repr=False)
class AppReport(Printable):
    """The report of `App.run`, with one for each part. A script ends with ``sys.exit(report.exit_code)``.

    Args:
        reader: The reader's report; ``reader.returned`` is the tree.
        reports: The writers' reports, in their order.
    """

    reader: PartReport
    reports: tuple[PartReport, ...]

    @property
    def parts(self) -> tuple[PartReport, ...]:
        """The reader's report, and those of the writers."""
        return (self.reader, *self.reports)

    @property
    def ok(self) -> bool:
        """Whether all parts are ok."""
        return self.exit_code == 0

    def __bool__(self) -> bool:
        return self.ok

    @property
    def exit_code(self) -> int:
        """What `ExitCode` says of the worst part: 5 if no part failed as a whole, 6 if all that failed were locked."""
        statuses = {part.status for part in self.parts}
        if "interrupted" in statuses:
            return ExitCode.INTERRUPTED
        failed = {part.exit_code for part in self.parts if part.status == "failed"}
        if failed:
            return failed.pop() if len(failed) == 1 else ExitCode.FAILED
        return ExitCode.REFUSED if "refused" in statuses else ExitCode.DONE

    def __str__(self) -> str:
        return self.text(lines=None, columns=None)

    def __repr__(self) -> str:
        return self._in_repl()

    def __outline__(self) -> Outline:
        """Describe it: a line a part."""
        lines = [part.__outline__() for part in self.parts]
        return Outline(f"exit code {self.exit_code}", "report", "", lambda: iter(lines), len(lines), expanded=True)
