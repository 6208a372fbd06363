"""Previews: what an apply would do, and why it would be refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Self

import attrs

from datastoresync.applying.dependents import DependencyTracker
from datastoresync.applying.limits import Limits
from datastoresync.applying.methods import without_left_out
from datastoresync.applying.report import RESULT_COLUMNS, Result, grouped, remark_row, results_outline
from datastoresync.applying.safeguards import violations
from datastoresync.applying.side_effects import SideEffect
from datastoresync.diffing.branch_diff import StreamedActions
from datastoresync.diffing.diff import Applies, Diff, R_co, template_of
from datastoresync.diffing.export_rows import Row
from datastoresync.diffing.renames import lost_zeros, renames_of
from datastoresync.exporting.export import Export
from datastoresync.exporting.exportable import Exportable
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import BoundedPrintable

_FEW = 10  # calls, which fit on a screen beside the plan


@attrs.frozen(eq=False, repr=False)
class Preview(BoundedPrintable, Exportable):
    """The result of ``source > dest``: the diff, ready to be piped on, and the reasons why it would be refused.

    Args:
        diff: The diff.
        refused: A sentence for each violation of the limits.
        limits: The limits.
        left_out: The results of the actions that would be skipped, since they depend on others that the run leaves out.
        side_effects: What the store would do to other rows.
        template: The destination's template; the calls that a few actions would be to it are shown.
    """

    diff: Diff
    refused: tuple[str, ...] = ()
    limits: Limits | None = None
    left_out: Sequence[Result] = ()
    side_effects: Sequence[SideEffect] = ()
    template: Any = None

    @classmethod
    def of(
        cls,
        diff: Diff,
        *,
        limits: Limits | None = None,
        side_effects: Sequence[SideEffect] = (),
        template: Any = None,
    ) -> Self:
        """Return the preview of a diff, under these limits or the usual ones, of what a template does not leave out."""
        refused = violations(without_left_out(diff, template), limits, side_effects)
        tracker = DependencyTracker.of(diff)
        left_out = [] if tracker is None else tracker.settle(diff.actions)[1]
        return cls(diff, refused, limits, left_out, side_effects, template)

    @property
    def stat(self) -> str:
        """One line to search logs for."""
        return self.diff.stat

    def _remarks(self, *, whole: bool) -> list[Outline]:
        """Return whether the limits refuse it, what would be left out, and what the store would do besides."""
        verdict = [Outline("would be refused:", "refused", spans=[(sentence, "")]) for sentence in self.refused]
        return [
            *(verdict or [Outline("within the limits", "note")] * bool(self.diff)),
            *(Outline("warning:", "warning", spans=[(sentence, "")]) for sentence in self._warnings()),
            *(results_outline(one, "would be left out", whole=whole) for one in grouped(self.left_out, whole=whole)),
        ]

    def __export__(self) -> Export:
        """Return a row for each remark, then those of the diff: ``planned``, or ``skipped`` if they are left out."""
        reasons = {one.action: one.reason for one in self.left_out}

        def rows() -> Iterator[Row]:
            for kind, sentences in (("refused", self.refused), ("warning", self._warnings())):
                yield from (remark_row(kind, sentence) for sentence in sentences)
            for action in self.diff:
                ending = ("skipped", reasons[action]) if action in reasons else ("planned", None)
                yield from ((ending[0], *row, ending[1]) for row in self.diff.rows_of(action))

        return Export(f"preview of {self.diff.title}", RESULT_COLUMNS, rows, self.stat, self.__outline__)

    def _warnings(self) -> Sequence[str]:
        return [
            *(one.sentence for one in self.side_effects),
            *(one.sentence for one in renames_of(self.diff)),
            *([] if self.refused else lost_zeros(self.diff)),
        ]

    def __or__(self, template: Applies[R_co] | type[Applies[R_co]] | str) -> R_co:
        applied: R_co = template_of(template).apply(self.diff, limits=self.limits)
        return applied

    def __bool__(self) -> bool:
        message = (
            "a preview is neither true nor false: write `if source - dest`, and compare two trees at a time "
            "rather than `a > b > c`"
        )
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"<Preview of {self.diff.title}: {self.stat}{', would be refused' if self.refused else ''}>"

    def outline(self, *, whole: bool = False) -> Outline:
        """Describe the preview: what would be refused, then the diff; see `Diff.outline`."""
        inner = self.diff.outline(whole=whole)
        remarks, calls = self._remarks(whole=whole), self._calls()
        return attrs.evolve(
            inner,
            children=lambda: chain(remarks, inner.children(), calls),
            total=len(remarks) + inner.total + len(calls),
            things=sum(one.count for one in remarks) + (inner.things or 0),
            unit="",
        )

    def _calls(self) -> list[Outline]:
        """Return the calls that the template would get, if they are few: what its methods are to be named."""
        actions = self.diff.actions
        if self.template is None or isinstance(actions, StreamedActions) or not 0 < len(actions) <= _FEW:
            return []
        lines = [Outline(action.message, "note", count=0) for action in actions]
        return [Outline("calls:", "note", children=lambda: lines, total=len(lines), count=0, things=0)]

    @property
    def _see_all(self) -> str:
        return f"all of it: ({self.diff.title}).show(limit=None)"
