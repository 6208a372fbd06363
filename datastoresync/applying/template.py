"""Templates: classes with a method for each kind of action, and the run that calls them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar, Unpack

import attrs

from datastoresync.applying.options import ApplyKeywords, ApplyOptions, OnError
from datastoresync.applying.plan import DependencyTracker, Plan, Step
from datastoresync.applying.report import Report, Result, Results, Status, Tally, failed, reason_of, succeeded
from datastoresync.applying.reporter import Reporter
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.errors import DeclarationError, SyncInterrupted

F = TypeVar("F", bound=Callable[..., Any])


def batch(size: int = 500) -> Callable[[F], F]:
    """Mark a template's method as taking a list of at most ``size`` actions, rather than one.

    The method returns None if all succeeded, or a list with a result for each.

    >>> class Accounts(Template):
    ...     @batch(100)
    ...     def new_users(self, actions):
    ...         print(len(actions), "accounts")
    """
    if not isinstance(size, int) or size < 1:
        message = f"a batch has a size, a whole number from 1 (got {size!r}): write @batch(100)"
        raise DeclarationError(message)

    def mark(method: F) -> F:
        method.__batch__ = size  # type: ignore[attr-defined]  # a mark on the function
        return method

    return mark


class Template:
    """Carries out changes in a system. Subclass it, with methods that are named after actions.

    The most specific method that exists is called with the action: ``new_users``, ``new``; ``update_users_name``,
    ``update_name``, ``update_users``, ``update``; ``add_members_to_groups``, ``add_members``, then those of update;
    ``remove_members_from_groups``, ``remove_members``, then those of update; ``old_users``, ``old``.

    A method that returns has succeeded, and one that raises has failed; it may also return `succeeded`, `failed`,
    `skipped`, or a list of them. ``on_error`` is ``"continue"`` or ``"stop"``; ``reporters`` are told every result.
    """

    on_error: OnError = "continue"
    reporters: Sequence[Reporter] = ()

    def __init__(self) -> None:
        """Create a template; subclasses may take arguments."""

    def apply(self, diff: Diff, **keywords: Unpack[ApplyKeywords]) -> Report:
        """Carry out a diff, and fold the actions that succeeded into the destination; the same as ``diff | template``.

        Args:
            diff: The actions to carry out.
            keywords: ``mock``, ``limits``, ``only``, ``exclude``, ``on_error`` and ``reporters``; see `ApplyOptions`.

        Raises:
            SafeguardError: if the diff exceeds the limits; nothing was changed.
            SyncInterrupted: on Ctrl-C, after the action in flight; it carries the report.
        """
        options = ApplyOptions(**keywords)
        diff, stop = options.checked(diff), options.stops(self.on_error)
        run = ApplyRun(diff, [*self.reporters, *options.reporters], mock=options.mock)
        return run.carry_out(self.plan(diff), stop=stop)

    def plan(self, diff: Diff) -> Plan:
        """Return the steps of an apply: methods and their actions, in order."""
        return Plan.through(self, diff)


class ApplyRun:
    """One apply: executes the plan, collects the results, tells the reporters, folds the actions that succeeded."""

    def __init__(self, diff: Diff, reporters: Sequence[Reporter], *, mock: bool) -> None:
        self.diff = diff
        self.reporters = reporters
        self.mock = mock
        self.tally = Tally(streamed=diff.streamed)
        self.warnings: list[str] = []
        self.interrupted = False
        self.dependents = DependencyTracker(diff) if diff.nested else None
        self.deleted: set[tuple[str, Any]] = set()
        self.value_columns: Results | None = None

    def carry_out(self, plan: Plan, *, stop: bool) -> Report:
        """Execute the steps of a plan in order; return the report."""
        started = time.perf_counter()
        self.tell("start", plan)
        with self.interruptible():
            left = iter(plan.steps)
            for step in left:
                results = self._call(step)
                self.note(results)
                if self.interrupted or (stop and any(result.status == "failed" for result in results)):
                    break
            reason = "interrupted before it" if self.interrupted else "not come to after a failure"
            for step in left:
                self.note([Result("pending", reason, action, step.method) for action in step.actions])
        return self.finish(started)

    def finish(self, started: float) -> Report:
        """Tell the reporters the end and return the report; after Ctrl-C raise `SyncInterrupted` with it."""
        seconds = time.perf_counter() - started
        tally = self.tally if self.tally.streamed else None
        results = tuple(self.tally.results) if self.value_columns is None else self.value_columns
        report = Report(results, seconds, self.mock, self.interrupted, tuple(self.warnings), tally)
        self.tell("end", report)
        if len(self.warnings) > len(report.warnings):
            report = attrs.evolve(report, warnings=tuple(self.warnings))
        if self.interrupted:
            raise SyncInterrupted(report)
        return report

    def tell(self, event: str, content: object) -> None:
        """Call every reporter with an event; an exception that one raises becomes a warning."""
        for reporter in self.reporters:
            try:
                getattr(reporter, event)(content)
            except Exception as error:  # noqa: BLE001 - a mail server that is down must not stop a sync
                warning = f"{type(reporter).__name__}.{event} raised {reason_of(error)}"
                if warning not in self.warnings:
                    self.warnings.append(warning)

    @property
    def unobserved(self) -> bool:
        """Whether no result is needed one by one: there are no reporters, and no parents and children."""
        return not (self.reporters or self.mock or self.tally.streamed or self.dependents)

    def note_together(self, results: Results, done: Iterable[Action]) -> None:
        """Keep the results of a whole run that is `unobserved`, and fold the actions that were carried out."""
        self.value_columns = results
        try:
            for action in self.diff.fold_all(done):
                self._fold(action, None)
        except Exception as error:  # noqa: BLE001 - as in `_fold`
            self.warnings.append(f"all is done, but not all of it is in memory: {reason_of(error)}; import again")
            for one in self.diff.branch_diffs:
                if one.right.expire is not None:
                    one.right.expire()

    def note(self, results: Iterable[Result]) -> None:
        """Collect results, fold the actions that succeeded, and tell the reporters."""
        for result in results:
            if self.dependents is not None:
                self.dependents.note(result)
                if result.status == "succeeded" and result.action is not None and result.action.verb == "old":
                    self.deleted.add((result.action.branch, result.action.idnumber))
            if result.status == "succeeded" and result.action is not None and not self.mock:
                self._fold(result.action, result.created)
            self.tally.add(result)
            if self.reporters:
                self.tell("result", result)

    def _fold(self, action: Action, created: Any) -> None:
        try:
            self.diff.fold(action, created)
        except Exception as error:  # noqa: BLE001 - the action is done, so the report has both that and the warning
            self.warnings.append(f"{action.message} is done, but not in memory: {reason_of(error)}; import again")

    def _call(self, step: Step) -> list[Result]:
        """Call a step for those of its actions that are not blocked by earlier failures."""
        if self.dependents is None:
            return self._called(step)
        left = [self.dependents.left(action, step.method) for action in step.actions]
        doable = tuple(action for action, result in zip(step.actions, left, strict=True) if result is None)
        if len(doable) == len(left):
            return self._called(step)
        done = iter(self._called(attrs.evolve(step, actions=doable)) if doable else ())
        return [next(done) if result is None else result for result in left]

    def _called(self, step: Step) -> list[Result]:
        if step.follows is not None:
            return self.followed(step)
        if step.call is None:
            return [Result("unhandled", "no method", action, step.method) for action in step.actions]
        if self.mock:
            return [Result("succeeded", "mock", action, step.method) for action in step.actions]
        try:
            returned = step.call(list(step.actions) if step.batch else step.actions[0])
            results = _results(returned, step)
        except KeyboardInterrupt as error:  # the second one, or one that the method raised
            self.interrupted = True
            results = [Result("failed", "interrupted", error=error) for _ in step.actions]
        except Exception as error:  # noqa: BLE001 - an exception fails this action, not the run
            results = [Result("failed", reason_of(error), error=error) for _ in step.actions]
        return [
            Result(
                result.status, result.reason, action, step.method, result.error, result.skip_children, result.created
            )
            for result, action in zip(results, step.actions, strict=True)
        ]

    def followed(self, step: Step) -> list[Result]:
        """Return the results of a step whose objects are deleted along with an ancestor."""
        branch, idnumber = step.follows or ("", None)
        deleted = step.follows in self.deleted
        status: Status = "succeeded" if deleted else "skipped"
        reason = f"went with {branch} {idnumber!r}" if deleted else f"{branch} {idnumber!r} was not deleted"
        return [Result(status, reason, action, step.method) for action in step.actions]

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let the first Ctrl-C end the run after the action in flight; the second one raises."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                signal.default_int_handler(number, frame)
            self.interrupted = True

        if before is not signal.default_int_handler:  # the program has a handler of its own
            yield
            return
        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _results(returned: Any, step: Step) -> list[Result]:
    """Return one result an action for the return value of a method."""
    if isinstance(returned, Result):
        return [returned] * len(step.actions)
    is_list = isinstance(returned, (list, tuple)) and (
        any(isinstance(result, Result) for result in returned) or (step.batch and not returned)
    )
    if not is_list:
        return [succeeded()] * len(step.actions)
    results = [result if isinstance(result, Result) else succeeded() for result in returned]
    if step.batch:
        if len(results) != len(step.actions):
            reason = f"{step.method} returned {len(results)} results for {len(step.actions)} actions"
            return [failed(reason)] * len(step.actions)
        return results
    worst = next(
        (result for status in ("failed", "skipped") for result in results if result.status == status), results[0]
    )
    reasons = "; ".join(result.reason for result in results if result.reason and result.status == worst.status)
    return [attrs.evolve(worst, reason=reasons)]
