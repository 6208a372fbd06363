"""The results of actions, and the report of an apply that has them all."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, overload

import attrs

from datastoresync.diffing.action import Action
from datastoresync.diffing.export_rows import COLUMNS, Row, rows_of
from datastoresync.diffing.listing import NO_SIDES, object_outline
from datastoresync.exporting.export import Export
from datastoresync.exporting.exportable import Exportable
from datastoresync.masking import MASK, masked, without_values
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import BoundedPrintable
from datastoresync.printing.text import counted

Status = Literal["succeeded", "failed", "skipped", "conflict", "unhandled", "pending", "planned"]

STATUSES: tuple[Status, ...] = ("succeeded", "failed", "skipped", "conflict", "unhandled", "pending", "planned")
"""All statuses, in the order in which they are counted.

``pending`` is what was not come to, or undone, and ``planned`` what a mock run would do.
"""


@attrs.frozen(eq=False, repr=False)
class Result:
    """The result of one action.

    Args:
        status: See `STATUSES`.
        reason: Why, for everything but success; of a success, what else is to be said of it.
        action: The action; filled in if a method returns a result without one.
        method: The method that was called, or would have been.
        error: The exception, if one was raised.
        skip_children: Whether a failure, of any verb, blocks the actions of objects below this one.
        created: The object that a creation returned, if any; the destination then holds it as it is.
        held: Of a success, the values that the store holds instead of those it was asked to hold, by attribute; None if
            there are none.
    """

    status: Status
    reason: str = ""
    action: Action | None = None
    method: str = ""
    error: BaseException | None = None
    skip_children: bool = False
    created: Any = None
    held: Mapping[str, Any] | None = None

    def __attrs_post_init__(self) -> None:
        if self.reason and self.action is not None and (names := self.action.sensitive):
            values = [
                *self.action.sensitive_values,
                *(value for name, value in (self.held or {}).items() if name in names),
            ]
            object.__setattr__(self, "reason", without_values(self.reason, values, names))

    @property
    def message(self) -> str:
        """Status, message of the action, reason, and what the store holds instead, on one line."""
        what = self.action.message if self.action is not None else self.method
        return f"{self.status}: {what}{': ' if self.said else ''}{self.said}"

    @property
    def said(self) -> str:
        """The reason, and what the store holds instead."""
        sensitive = () if self.action is None or not self.held else self.action.sensitive
        held = ", ".join(
            f"{name}={MASK if name in sensitive else repr(value)}" for name, value in (self.held or {}).items()
        )
        return "; ".join(filter(None, (self.reason, held and f"the store holds {held}")))

    @property
    def row(self) -> Row:
        """The row that it is exported as, under `RESULT_COLUMNS`; of an object as a whole, without its values."""
        if self.action is None:
            return remark_row(self.status, self.message)
        (row,) = rows_of(self.action, {})
        return (self.status, *row, self.said or None)

    def __repr__(self) -> str:
        return f"<Result {self.message}>"


_ALIKE = 3
"""Results that are alike, from which on they are one line."""


def grouped(results: Iterable[Result], *, whole: bool = False) -> list[list[Result]]:
    """Return results that say the same of the same kind of action together, if there are several; others alone.

    Args:
        results: The results.
        whole: Whether each is left alone.
    """
    if whole:
        return [[result] for result in results]
    groups: defaultdict[Any, list[Result]] = defaultdict(list)
    for result in results:
        action = result.action
        what = (action.branch, action.verb, action.attr) if action is not None else result.method
        groups[result.status, result.said, what].append(result)
    found: list[list[Result]] = []
    for group in groups.values():
        found += [group] if len(group) >= _ALIKE else ([one] for one in group)
    return found


def results_outline(results: Sequence[Result], what: str = "", *, whole: bool = False) -> Outline:
    """Describe one result, or several that are `grouped`.

    Args:
        results: The results.
        what: What is said of them instead of their status.
        whole: Whether whole values are shown.
    """
    first, kind, count = results[0], "note" if what else results[0].status, len(results)
    actions = [one.action for one in results if one.action is not None]
    if not actions:
        return Outline(first.message, kind, f"{count:,} times" * (count > 1), count=count)
    line = object_outline(actions[0].branch or "objects", [[one] for one in actions], NO_SIDES, whole=whole)
    text, spans = f"{what or first.status}: {line.text}", list(line.spans)
    if first.said:
        text, colon = (text, ": ") if spans else (f"{text}:", "")
        spans.append((colon + first.said, ""))
    return attrs.evolve(line, text=text, kind=kind, spans=spans, count=count)


RESULT_COLUMNS = ("status", *COLUMNS, "message")
"""Those of a diff, with a status before them, and the reason or what else is to be said behind them."""


def remark_row(status: str, sentence: str) -> Row:
    """Return the row of a sentence that is about no action."""
    return (status, *(None for _ in COLUMNS), sentence)


def succeeded(reason: str = "", *, held: Mapping[str, Any] | None = None) -> Result:
    """Say in a template's method that the action is done.

    Args:
        reason: What else is to be said of it.
        held: The values that the system holds instead of those of the action, by attribute.
    """
    return Result("succeeded", reason, held=held)


def failed(reason: str, *, skip_children: bool = False) -> Result:
    """Say in a template's method that the action could not be done, without raising.

    Args:
        reason: Why.
        skip_children: Whether the object's children are to be left alone; after a failed creation they always are.
    """
    return Result("failed", reason, skip_children=skip_children)


def skipped(reason: str) -> Result:
    """Say in a template's method that the action was left alone on purpose."""
    return Result("skipped", reason)


def reason_of(error: BaseException) -> str:
    """Return what an exception says, without secrets and without the row values that database errors like to quote."""
    original = getattr(error, "orig", None) or error
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    said: Any = primary or str(original)
    if str(getattr(original, "sqlstate", "")).startswith("22"):  # a value that the database cannot take is in quotes
        said = re.sub(r"""(["']).*\1""", '"…"', said, flags=re.DOTALL)
    shown = masked(str(said))
    return f"{type(original).__name__}: {shown}" if shown else type(original).__name__


_REPR_LIMIT = 10


class Results(Sequence[Result]):
    """Results that are built all at once, on first access.

    They compare and add like the tuple of them; a slice is a tuple.

    Args:
        counts: The number of results of each status.
        make: Yields the results, in order.
        changed: The number of results of which the store holds something else than it was asked to.

    >>> results = Results({"succeeded": 2}, lambda: [Result("succeeded"), Result("succeeded")])
    >>> len(results), results[-1]
    (2, <Result succeeded: >)
    """

    __slots__ = ("_counts", "_make", "_results", "changed")

    def __init__(self, counts: Mapping[Status, int], make: Callable[[], Iterable[Result]], changed: int = 0) -> None:
        self.changed = changed
        self._counts: Counter[str] = Counter(counts)
        self._make = make
        self._results: tuple[Result, ...] | None = None

    @property
    def counts(self) -> Counter[str]:
        """The number of results of each status."""
        return Counter(self._counts)

    def _all(self) -> tuple[Result, ...]:
        if self._results is None:
            self._results = tuple(self._make())
            self._make = tuple  # releases the references it holds
        return self._results

    def __reduce__(self) -> tuple[Any, ...]:
        return _results_of, (self._counts, self._all(), self.changed)

    def __len__(self) -> int:
        return self._counts.total()

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Result, ...]: ...
    def __getitem__(self, index: int | slice) -> Result | tuple[Result, ...]:
        return self._all()[index]

    def __eq__(self, other: object) -> bool:
        return self._all() == tuple(other) if isinstance(other, (tuple, Results)) else NotImplemented

    def __add__(self, other: Sequence[Result]) -> tuple[Result, ...]:
        return self._all() + tuple(other) if isinstance(other, (tuple, Results)) else NotImplemented

    def __radd__(self, other: tuple[Result, ...]) -> tuple[Result, ...]:
        return other + self._all() if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        if len(self) <= _REPR_LIMIT:
            return repr(self._all())
        return f"<Results: {', '.join(f'{status}={count}' for status, count in self._counts.items())}>"


def _results_of(counts: Mapping[Status, int], results: tuple[Result, ...], changed: int) -> Results:
    return Results(counts, lambda: results, changed)


def statuses_of(results: Sequence[Result]) -> Counter[str]:
    """Return the number of results of each status."""
    return results.counts if isinstance(results, Results) else Counter(result.status for result in results)


KEPT = 1_000
"""The most results of each status that a streamed run keeps, of statuses that need no attention."""

_ATTENTION = ("failed", "conflict", "skipped")
_FEW = 12
"""The most changed results that are listed at once."""


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
        self.changed = 0

    def add(self, result: Result) -> None:
        """Count a result; keep it, unless it is one of many of a streamed run."""
        if self.streamed:
            status = result.status
            self.counts[status] += 1
            if result.held:
                self.changed += 1
                if self.changed <= KEPT:
                    self.results.append(result)
                return
            if status == "unhandled":
                self.unhandled[result.method] += 1
            if self.counts[status] > KEPT and status not in _ATTENTION:
                return
        self.results.append(result)


@attrs.frozen(eq=False, repr=False)
class Report(BoundedPrintable, Exportable):
    """The results of an apply: one for each planned action.

    ``succeeded`` means that the destination holds what the action says, but for the values in a result's ``held``,
    which a store changed on the way. Then the report is not `ok`, as the next comparison will differ.

    Of a streamed run, whose actions may be too many for the memory, the counts are of all results, and ``results`` has
    those that failed, conflicted or were skipped, and the first thousand of each other status, and of those that the
    store holds otherwise. Then `complete` is false, unless that was all.

    Args:
        results: The results, in the order of the plan; they may be built on first access.
        seconds: How long it took.
        mock: Whether nothing was called.
        interrupted: Whether Ctrl-C, SIGTERM, SIGHUP or `SystemExit` ended it.
        warnings: What the imports and the comparison warned of, what the store did besides, exceptions of reporters,
            and actions that are done but not in memory.
        tally: The counts of a streamed run.
        rehearsed: Whether all was undone at the end.
        unsettled: How many objects and values the destination was found to hold otherwise than the results say, when it
            was read again, as it is if its store does things by itself.
        unchecked: Whether a template without a method ``current(action)`` carried it out, so that nothing was held
            against what had changed in the destination since the import.
    """

    results: Sequence[Result]
    seconds: float = 0.0
    mock: bool = False
    interrupted: bool = False
    warnings: tuple[str, ...] = ()
    tally: Tally | None = None
    rehearsed: bool = False
    unsettled: int = 0
    unchecked: bool = False

    @property
    def undone(self) -> bool:
        """Whether nothing was written: it was rehearsed, or a mock run."""
        return self.mock or self.rehearsed

    def shown(self, result: Result) -> Result:
        """Return a result as it is told to people: ``planned`` where it succeeded in a rehearsal, which undid it."""
        undone = self.rehearsed and result.status == "succeeded"
        return attrs.evolve(result, status="planned") if undone else result

    @property
    def shown_counts(self) -> Counter[str]:
        """The counts of results as they are told to people; see `shown`."""
        counts = self.counts
        if self.rehearsed:
            counts["planned"], counts["succeeded"] = counts["planned"] + counts["succeeded"], 0
        return counts

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
    def changed(self) -> int:
        """How many actions were done of which the store holds something else than it was asked to."""
        if self.tally is not None:
            return self.tally.changed
        if isinstance(self.results, Results):
            return self.results.changed
        return sum(bool(result.held) for result in self.results)

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
        if self.rehearsed:
            return ()
        done = (result.action for result in self.results if result.status == "succeeded")
        return tuple(action.dest for action in done if action is not None and action.verb == "old")

    @property
    def ok(self) -> bool:
        """Whether nothing failed, conflicted, was left pending, or is held by the store otherwise than the results say.

        Nor may an action have found no method; what a template skips, or says that it leaves out, is its own choice.
        The truth of a report is the same.
        """
        undone = self.failed or self.conflicts or self.pending or self.unhandled
        return not (self.interrupted or undone or self.changed or self.unsettled)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 otherwise: for ``sys.exit(report.exit_code)``."""
        return 0 if self.ok else 1

    @property
    def stat(self) -> str:
        """One line to search logs for: every status with its count, always in this order.

        ``planned`` and ``changed`` are there only if there are any, and ``unchecked`` only if anything was done.
        """
        counts = {status: count for status, count in self.counts.items() if count or status != "planned"}
        parts = [*(f"{status}={count}" for status, count in counts.items()), f"total={self.planned}"]
        parts += [f"changed={self.changed}"] * bool(self.changed)
        parts += ["unchecked"] * bool(self.unchecked and counts["succeeded"])
        parts += ["mock"] * self.mock + ["rehearsed"] * self.rehearsed + ["interrupted"] * self.interrupted
        return " ".join(parts)

    def __str__(self) -> str:
        return self.text(lines=None, columns=None)

    def __repr__(self) -> str:
        return self._in_repl()

    def outline(self, *, whole: bool = False) -> Outline:
        """Describe the report: its counts, what went wrong or was changed on the way, and missing methods.

        Args:
            whole: Whether each failure has a line, with whole values, although others say the same.
        """
        missing, changed, failures = self.unhandled_methods, self.changed, grouped(self.failures, whole=whole)

        def held() -> Iterator[Outline]:
            return (results_outline([result], whole=whole) for result in self.results if result.held)

        def lines() -> Iterator[Outline]:
            for method, count in missing.items():
                yield Outline(f"unhandled: {method}", "unhandled", f"{counted(count, 'action')}, and no method")
            yield from (results_outline(alike, whole=whole) for alike in failures)
            if changed:
                what = f"the store holds other values than it was asked to of {counted(changed, 'action')}"
                yield Outline(what, "warning", "", held, min(changed, len(self.results)), expanded=changed <= _FEW)
            for warning in self.warnings:
                yield Outline("warning:", "warning", spans=[(warning, "")])

        others = len(missing) + bool(changed) + len(self.warnings)
        note = f"in {self.seconds:.1f} s"
        if self.unchecked and self.succeeded:
            note += "; what had changed there since the import was not looked for"
        if self.undone:
            note += "; nothing was written"
        if not self.complete:
            note += f", with {len(self.results):,} of the {self.planned:,} results"
        return Outline(
            f"report: {self.stat}",
            "stat",
            children=lines,
            total=others + len(failures),
            expanded=True,
            spans=[(note, "note")],
            things=others + sum(map(len, failures)),
        )

    @property
    def _see_all(self) -> str:
        return "all of it: report.show(limit=None)"

    def __export__(self) -> Export:
        """Return a row for each result that it has, and one for each warning."""

        def rows() -> Iterator[Row]:
            yield from (self.shown(result).row for result in self.results)
            yield from (remark_row("warning", warning) for warning in self.warnings)

        part = "" if self.complete else f" (here are {len(self.results):,} of the results)"
        title = "report of what would be done: nothing was written" if self.undone else "report"
        return Export(title, RESULT_COLUMNS, rows, f"{self.stat}{part}", self.__outline__)

    def __or__(self, template: object) -> object:
        message = (
            "`>>` has applied this already, through dest's own template: for another one write source - dest | Template"
        )
        raise TypeError(message)
