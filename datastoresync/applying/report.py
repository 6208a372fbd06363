"""The report of an apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from datastoresync.applying.result import STATUSES, Result, statuses_of
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import counted, text

KEPT = 1_000
"""The most results of each status that a streamed run keeps, of statuses that need no attention."""

_ATTENTION = ("failed", "conflict", "skipped")


class Tally:
    """Counts and keeps results: all of them, or of a streamed run those that a `Report` keeps.

    Args:
        streamed: Whether there may be too many for the memory.
    """

    def __init__(self, *, streamed: bool = False) -> None:
        self.streamed = streamed
        self.results: list[Result] = []
        self.counts: Counter[str] = Counter()
        self.unhandled: Counter[str] = Counter()

    def add(self, result: Result) -> None:
        """Count a result; keep it, unless it is one of many of a streamed run."""
        if self.streamed:
            status = result.status
            self.counts[status] += 1
            if status == "unhandled":
                self.unhandled[result.method] += 1
            if self.counts[status] > KEPT and status not in _ATTENTION:
                return
        self.results.append(result)


@attrs.frozen(eq=False, repr=False)
class Report(Printable):
    """The results of an apply: one for each planned action.

    Of a streamed run, whose actions may be too many for the memory, the counts are of all results, and ``results`` has
    those that failed, conflicted or were skipped, and the first thousand of each other status. Then `complete` is
    false, unless that was all.

    Args:
        results: The results, in the order of the plan; they may be built on first access.
        seconds: How long it took.
        mock: Whether nothing was called.
        interrupted: Whether Ctrl-C ended it.
        warnings: Exceptions of reporters, and actions that are done but not in memory.
        tally: The counts of a streamed run.
    """

    results: Sequence[Result]
    seconds: float = 0.0
    mock: bool = False
    interrupted: bool = False
    warnings: tuple[str, ...] = ()
    tally: Tally | None = None

    @property
    def complete(self) -> bool:
        """Whether ``results`` has all results, rather than those that a streamed run keeps."""
        return self.planned == len(self.results)

    @property
    def counts(self) -> Counter[str]:
        """How many results there are of each status; they add up to the plan."""
        found = statuses_of(self.results) if self.tally is None else self.tally.counts
        return Counter({status: found[status] for status in STATUSES})

    @property
    def planned(self) -> int:
        """The number of planned actions."""
        return len(self.results) if self.tally is None else self.tally.counts.total()

    @property
    def succeeded(self) -> int:
        """How many actions were done."""
        return self.counts["succeeded"]

    @property
    def failed(self) -> int:
        """How many actions raised, or said that they failed."""
        return self.counts["failed"]

    @property
    def skipped(self) -> int:
        """How many actions a template left alone on purpose."""
        return self.counts["skipped"]

    @property
    def conflicts(self) -> int:
        """How many actions were left undone because the destination had changed since it was imported."""
        return self.counts["conflict"]

    @property
    def unhandled(self) -> int:
        """How many actions had no method."""
        return self.counts["unhandled"]

    @property
    def pending(self) -> int:
        """How many actions were not come to, or were undone because another one failed."""
        return self.counts["pending"]

    @property
    def unhandled_methods(self) -> Counter[str]:
        """The methods that a template would need for the unhandled actions, with how often each."""
        if self.tally is not None:
            return Counter(self.tally.unhandled)
        if not self.unhandled:
            return Counter()
        return Counter(result.method for result in self.results if result.status == "unhandled")

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that need attention: failures and conflicts."""
        if not (self.failed or self.conflicts):
            return ()
        return tuple(result for result in self.results if result.status in ("failed", "conflict"))

    @property
    def deleted(self) -> tuple[Any, ...]:
        """The objects that were deleted, as the destination had them; of a streamed run, those it keeps."""
        done = (result.action for result in self.results if result.status == "succeeded" and not self.mock)
        return tuple(action.dest for action in done if action is not None and action.verb == "old")

    @property
    def ok(self) -> bool:
        """Whether nothing failed, conflicted or was left pending. What a template does not handle is its own choice."""
        return not (self.interrupted or self.failed or self.conflicts or self.pending)

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 otherwise: for ``sys.exit(report.exit_code)``."""
        return 0 if self.ok else 1

    @property
    def stat(self) -> str:
        """One line to search logs for: every status with its count, always in this order."""
        parts = [*(f"{status}={count}" for status, count in self.counts.items()), f"total={self.planned}"]
        parts += ["mock"] * self.mock + ["interrupted"] * self.interrupted
        return " ".join(parts)

    def __str__(self) -> str:
        return text(self.__outline__(), lines=None, columns=None)

    def __repr__(self) -> str:
        return text(self.__outline__(), lines=25, columns=100)

    def __outline__(self) -> Outline:
        """Describe the report: its counts, what went wrong, and the methods that are missing."""
        missing = self.unhandled_methods

        def lines() -> Iterator[Outline]:
            for method, count in missing.items():
                yield Outline(f"unhandled: {method}", "unhandled", f"{counted(count, 'action')}, and no method")
            for result in self.failures:
                yield result.__outline__()
            for warning in self.warnings:
                yield Outline(warning, "warning")

        total = len(missing) + len(self.failures) + len(self.warnings)
        note = f"in {self.seconds:.1f} s"
        if not self.complete:
            note += f", with {len(self.results):,} of the {self.planned:,} results"
        return Outline(f"report: {self.stat}", "stat", note, lines, total, expanded=True)

    def __or__(self, template: object) -> object:
        message = (
            "`>>` has applied this already, through dest's own template: for another one write source - dest | Template"
        )
        raise TypeError(message)
