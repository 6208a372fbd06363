"""Reporters, which are told what became of each action."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from datastoresync.applying import report as native
from datastoresync.applying.plan import Plan
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import Reporter
from datastoresync.vocabularies.synctree.actions import Action, translated
from datastoresync.vocabularies.synctree.results import Result, results_of


class DefaultReporter(Reporter):
    """A reporter with synctree's hooks. Subclass it, and name it in a template's ``_reporter``."""

    _hooks = dict.fromkeys(("success", "fail", "exception", "not_implemented", "dropped"), 2)
    _hooks |= {"will_start": 0, "finished": 0}
    _destination = ""

    def will_start(self) -> None:
        """Called at the start."""

    def success(self, action: Action, result: Result) -> None:
        """Called after an action succeeded."""

    def fail(self, action: Action, result: Result) -> None:
        """Called after an action failed, met a conflict, or was not reached."""

    def exception(self, action: Action, result: Result) -> None:
        """Called after the method of an action raised, or returned an exception."""

    def not_implemented(self, action: Action, result: Result) -> None:
        """Called for an action that the template has no method for, and for what could not be compared."""

    def dropped(self, action: Action, result: Result) -> None:
        """Called after an action was left alone, as the method said or since nothing was to be called."""

    def finished(self) -> None:
        """Called at the end."""

    def start(self, plan: Plan) -> None:
        """Pass the start on, and what could not be compared."""
        self._destination = getattr(plan.diff, "destination", "")
        self.will_start()
        for action in getattr(plan.diff, "errors", ()):
            self.not_implemented(action, Result(success=None, method=action.method, info="not compared"))

    def result(self, result: native.Result) -> None:
        """Pass one result on; each of them, where a method returned several."""
        if result.action is None:
            return
        action = translated(result.action, self._destination)
        for one in results_of(result):
            if result.status == "unhandled":
                self.not_implemented(action, one)
            elif one.success is None:
                self.dropped(action, one)
            elif one.success:
                self.success(action, one)
            elif one.exception is not None:
                self.exception(action, one)
            else:
                self.fail(action, one)

    def end(self, report: Report) -> None:  # noqa: ARG002 - a hook
        """Pass the end on."""
        self.finished()


def with_hooks(reporter: Any) -> Any:
    """Return a reporter; one that only has some of the hooks gets the others of `DefaultReporter`."""
    cls, hooks = type(reporter), DefaultReporter._hooks  # noqa: SLF001 - of this module
    if not isinstance(reporter, Reporter) and any(callable(getattr(cls, hook, None)) for hook in hooks):
        reporter.__class__ = type(cls.__name__, (cls, DefaultReporter), {"__module__": cls.__module__})
    return reporter


class Entry(NamedTuple):
    """One line of a log.

    Args:
        outcome: The name of the reporter's hook.
        action: The action.
        result: Its result.
    """

    outcome: str
    action: Action
    result: Result


class LoggerReporter(DefaultReporter):
    """Keeps what became of each action: ``_log[subbranch][idnumber]`` is a list of entries, of the last run."""

    def __init__(self) -> None:
        self._log: defaultdict[str, defaultdict[object, list[Entry]]] = defaultdict(lambda: defaultdict(list))

    def will_start(self) -> None:
        """Forget the run before."""
        self._log.clear()

    def _keep(self, outcome: str, action: Action, result: Result) -> None:
        self._log[str(action.obj.__subbranch__)][action.idnumber].append(Entry(outcome, action, result))

    def success(self, action: Action, result: Result) -> None:
        """Keep it."""
        self._keep("success", action, result)

    def fail(self, action: Action, result: Result) -> None:
        """Keep it."""
        self._keep("fail", action, result)

    def exception(self, action: Action, result: Result) -> None:
        """Keep it."""
        self._keep("exception", action, result)

    def not_implemented(self, action: Action, result: Result) -> None:
        """Keep it."""
        self._keep("not_implemented", action, result)

    def dropped(self, action: Action, result: Result) -> None:
        """Keep it."""
        self._keep("dropped", action, result)
