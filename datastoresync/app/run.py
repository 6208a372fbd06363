"""One run of an application: its parts are called one after the other, and what became of each is kept."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from datastoresync.app.console import Console
from datastoresync.app.report import AppReport, PartReport
from datastoresync.applying.preview import Preview
from datastoresync.applying.result import Result, reason_of
from datastoresync.errors import SafeguardError, SyncInterrupted
from datastoresync.tree import Tree

__all__ = ["Run"]


class Run:
    """Calls parts, and keeps their reports.

    Args:
        names: The parts', the reader's first.
        console: Hears of them.
    """

    def __init__(self, names: Iterable[str], console: Console) -> None:
        self.reports = [PartReport(name, "pending") for name in names]
        self.console = console

    @property
    def report(self) -> AppReport:
        """What was done up to now."""
        return AppReport(self.reports[0], tuple(self.reports[1:]))

    def attempt(self, index: int, doing: str, call: Callable[[], Any]) -> PartReport:
        """Call a part, and return what became of it.

        Raises:
            SyncInterrupted: on Ctrl-C.
        """
        name = self.reports[index].name
        self.console.begin(name, doing)
        started = time.perf_counter()
        report = _attempted(name, call, _read if index == 0 else _judged)
        self.reports[index] = attrs.evolve(report, seconds=time.perf_counter() - started)
        self.console.end(self.reports[index])
        if report.status == "interrupted":
            raise SyncInterrupted(self.report) from report.error
        return self.reports[index]


def _attempted(name: str, call: Callable[[], Any], judge: Callable[[str, Any], PartReport]) -> PartReport:
    try:
        returned = call()
    except KeyboardInterrupt as error:
        done = getattr(error, "report", None)
        return PartReport(name, "interrupted", getattr(done, "stat", ""), done, error)
    except SafeguardError as error:
        return PartReport(name, "refused", str(error), None, error)
    except SystemExit as error:  # a part that wants to end it all ends only itself
        if error.code in (None, 0):
            return PartReport(name, "succeeded")
        return PartReport(name, "failed", reason_of(error), None, error)
    except Exception as error:  # noqa: BLE001 - whatever a part raises is reported, and keeps no other from running
        return PartReport(name, "failed", reason_of(error), None, error)
    return judge(name, returned)


def _read(name: str, returned: Any) -> PartReport:
    """Return the report of a reader that came to its end."""
    return PartReport(name, "succeeded", _stat(returned), returned)


def _judged(name: str, returned: Any) -> PartReport:
    """Return the report of a writer that came to its end, by what it says of itself."""
    undone = _undone(returned)
    if undone:
        return PartReport(name, "failed", undone)
    if isinstance(returned, (list, tuple)) and returned:
        return _worst(name, returned)
    if isinstance(returned, Preview):
        if returned.refused:
            reason = f"would be refused: {'; '.join(returned.refused)}"
            return PartReport(name, "refused", reason, returned)
        return PartReport(name, "succeeded", returned.stat, returned)
    if isinstance(returned, Result):
        match returned.status:
            case "succeeded" | "skipped" as status:
                return PartReport(name, status, returned.reason, returned)
            case _:
                return PartReport(name, "failed", returned.reason, returned)
    return PartReport(name, "succeeded" if getattr(returned, "ok", True) else "failed", _stat(returned), returned)


def _worst(name: str, returned: Sequence[Any]) -> PartReport:
    """Return the report of a writer that returned several: the worst of them, with all reasons that are as bad."""
    parts = [_judged(name, each) for each in returned]
    status = next(
        (bad for bad in ("failed", "refused", "succeeded") if any(part.status == bad for part in parts)), "skipped"
    )
    reasons = dict.fromkeys(part.reason for part in parts if part.status == status and part.reason)
    return PartReport(name, status, "; ".join(reasons), returned)  # type: ignore[arg-type]


def _undone(returned: Any) -> str:
    """Say why a writer that returned this has done nothing, or failed; nothing if it may have succeeded."""
    if returned is False:
        return "it returned False"
    if inspect.iscoroutine(returned):
        returned.close()
        return "it is async and was not run: write a plain method, with asyncio.run(…) in it"
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        return "it is a generator and was not run: write a method without yield"
    return ""


def _stat(returned: Any) -> str:
    """Return the one line that a report has for this, or for a tree how much there is in it."""
    if isinstance(returned, Tree):
        return ", ".join(f"{name} {len(branch):,}" for name, branch in returned.items())
    stat = getattr(returned, "stat", "")
    return stat if isinstance(stat, str) else ""
