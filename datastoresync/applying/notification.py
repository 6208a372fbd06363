"""Messages to people about a run: when one is sent, and what its subject says."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final, Literal

import attrs

from datastoresync.applying.plan import Plan
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report, Result, reason_of
from datastoresync.applying.reporter import Reporter
from datastoresync.errors import DeclarationError
from datastoresync.masking import masked
from datastoresync.printing.text import clipped, counted, visible

When = Literal["always", "changes", "problems"]
_WHEN: Final = ("always", "changes", "problems")
_WORDS: Final[Mapping[str, str]] = {
    "failed": "failed",
    "conflict": "in conflict",
    "unhandled": "without a method",
    "pending": "not done",
    "held": "changed by the store",
    "succeeded": "done",
    "planned": "planned",
    "skipped": "skipped",
}
"""What a subject says of each status, the ones that need attention first; ``held`` is of some that succeeded."""
_BAD: Final = frozenset(("failed", "conflict", "unhandled", "pending", "held"))
_BRANCHES = 3
"""Branches that a subject tells apart; of more, it has the totals."""
_LONGEST = 150
"""Characters of a subject."""


@attrs.frozen
class Message:
    """What a person is told of a run.

    Args:
        subject: One line: what is to be looked at, and of which run.
        content: The report, which says of a run that failed before its first action why; or the preview of a run that
            was refused.
    """

    subject: str
    content: Report | Preview

    def text(self, lines: int) -> str:
        """Return the content as indented text of at most so many lines."""
        return self.content.text(lines=lines, columns=100)


class NotifyingReporter(Reporter):
    """Sends a message at the end of a run, and when one is refused or fails. A subclass has the method ``send``.

    A message that cannot be sent never fails a run: it is an error in the log of ``datastoresync.applying``, and a
    warning in the report, which does not change its exit code; of a run that is refused, it is a note of the error.

    Args:
        when: ``"always"``; ``"changes"``, if there was anything to do or to warn of; ``"problems"``, if the report is
            not ok. A run that is refused or fails is always told.

    Raises:
        DeclarationError: ``when`` is something else.
    """

    def __init__(self, *, when: When = "changes") -> None:
        if when not in _WHEN:
            message = f"when is {', '.join(map(repr, _WHEN))} (got {when!r})"
            raise DeclarationError(message)
        self.when = when
        self._title = ""
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            NotificationError: it cannot be sent.
        """
        raise NotImplementedError

    def start(self, plan: Plan) -> None:
        """Note what is synced, and begin to count."""
        self._title = plan.diff.title
        self._counts.clear()

    def result(self, result: Result) -> None:
        """Count the result."""
        branch = "" if result.action is None else result.action.branch
        self._counts[branch]["held" if result.held else result.status] += 1

    def end(self, report: Report) -> None:
        """Send the report, if it is wanted."""
        worth = {"always": True, "changes": report.planned or report.warnings, "problems": False}
        if worth[self.when] or not report.ok:
            what = "mock run" if report.mock else "rehearsal" if report.rehearsed else "sync"
            before = "interrupted: " if report.interrupted else ""
            self._send(f"{before}{_counts_text(self._counts)} — {what} of {_arrow(self._title)}", report)

    def refused(self, preview: Preview) -> None:
        """Send what would have been done."""
        first, *others = (getattr(one, "subject", one) for one in preview.refused)
        more = f", and {counted(len(others), 'more reason')}" if others else ""
        self._send(f"refused: {first}{more} — sync of {_arrow(preview.diff.title)}", preview)

    def failed(self, reason: str) -> None:
        """Send why there is no report."""
        said = masked(reason)
        self._send(f"failed: {' '.join(said.split())}", Report((Result("failed", said, method="sync"),)))

    def _send(self, subject: str, content: Report | Preview) -> None:
        try:
            self.send(Message(clipped(visible(subject), _LONGEST), content))
        except Exception as error:
            logging.getLogger(__name__).error("%s", reason_of(error))  # noqa: TRY400 - a trace shows local variables
            raise


def _arrow(title: str) -> str:
    """Return ``source > dest`` for ``source - dest``."""
    return title.replace(" - ", " > ", 1)


def _counts_text(counts: Mapping[str, Counter[str]]) -> str:
    """Return how many results of each kind there are: by branch, those first that need attention.

    >>> _counts_text({"users": Counter(succeeded=12, failed=3)}), _counts_text({})
    ('users: 3 failed, 12 done', 'nothing to do')
    """
    if not counts:
        return "nothing to do"
    if len(counts) > _BRANCHES:
        counts = {f"{len(counts)} branches": sum(counts.values(), Counter())}
    names = sorted(counts, key=lambda name: -sum(counts[name][status] for status in _BAD))
    return "; ".join(f"{f'{name}: ' if name else ''}{_words(counts[name])}" for name in names)


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[status]:,} {word}" for status, word in _WORDS.items() if counts[status])
