"""The report of an application, without passwords."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any, Literal

import attrs

from datastoresync.applying.result import reason_of
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import text


def hidden(text: str) -> str:
    """Return the text without the passwords in it, be they in URLs or behind ``password=``.

    >>> hidden("cannot open postgresql://ann:secret@example.org/school?password=secret")
    'cannot open postgresql://ann:***@example.org/school?password=***'
    """
    return reason_of(Exception(text)).removeprefix("Exception: ") if text else text


def trace_of(error: BaseException) -> str:
    """Return an exception's traceback and those of its causes, the first cause first, without passwords."""
    pieces: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        pieces.append("".join(traceback.format_tb(current.__traceback__)) + reason_of(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return hidden("\nwhich led to:\n".join(reversed(pieces)))


_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


@attrs.frozen(eq=False)
class PartReport:
    """What became of one part.

    Args:
        name: The part's.
        status: ``refused`` by the safeguards, before any change; ``skipped`` where a dry run cannot call a writer;
            ``pending`` if it was not come to; ``interrupted`` by Ctrl-C.
        reason: Why, or what was done if the part says so; without passwords.
        returned: What the part returned: a writer's `Report`, the reader's tree.
        error: The exception, if one was raised.
        seconds: How long it took.
    """

    name: str
    status: Literal["succeeded", "failed", "refused", "skipped", "pending", "interrupted"]
    reason: str = attrs.field(default="", converter=hidden)
    returned: Any = attrs.field(default=None, repr=False)
    error: BaseException | None = attrs.field(default=None, repr=False)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is nothing to be done about it."""
        return self.status in ("succeeded", "skipped")

    @property
    def message(self) -> str:
        """What became of the part, its name, and why."""
        return f"{self.status}: {self.name}{': ' if self.reason else ''}{self.reason}"

    def __outline__(self) -> Outline:
        """Describe it."""
        return Outline(self.message, self.status)


@attrs.frozen(eq=False, repr=False)
class AppReport(Printable):
    """What `App.run` gives: a report for each part. Not a number: a script says ``sys.exit(report.exit_code)``.

    Args:
        reader: What became of the reading; ``reader.returned`` is the tree.
        reports: One for each writer, in their order.
    """

    reader: PartReport
    reports: tuple[PartReport, ...]

    @property
    def parts(self) -> tuple[PartReport, ...]:
        """The reader's report, and those of the writers."""
        return (self.reader, *self.reports)

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 if something failed, 3 if the safeguards refused something, 130 after Ctrl-C."""
        statuses = {part.status for part in self.parts}
        if "interrupted" in statuses:
            return _INTERRUPTED
        if "failed" in statuses:
            return 1
        return 3 if "refused" in statuses else 0

    def __str__(self) -> str:
        return text(self.__outline__(), lines=None, columns=None)

    def __repr__(self) -> str:
        return text(self.__outline__(), lines=25, columns=100)

    def __outline__(self) -> Outline:
        """Describe it: a line a part."""

        def lines() -> Iterator[Outline]:
            for part in self.parts:
                yield part.__outline__()

        return Outline(f"exit code {self.exit_code}", "report", "", lines, len(self.parts), expanded=True)
