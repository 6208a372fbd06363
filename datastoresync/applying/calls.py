"""The calls of a template's methods: what is there is read before, what was refused for now is repeated."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeVar

import attrs

from datastoresync.applying.answers import fault_of, results_of
from datastoresync.applying.current import Finding, compare
from datastoresync.applying.plan import Step, is_asynchronous
from datastoresync.applying.report import Result, failed, reason_of
from datastoresync.applying.retry import RepeatError, Retry, iterate, retry_of
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.side import Side
from datastoresync.runtime import is_cancellation

T = TypeVar("T")

_NOT_CALLED = failed("interrupted before it")
_NOT_REPEATED = (
    "it may be done all the same, so it is not repeated; with a method current(action) it is looked up first"
)
_lost: ContextVar[list[str] | None] = ContextVar("_lost", default=None)


@contextmanager
def lost_coroutines() -> Iterator[None]:
    """Let the calls within fail that make a coroutine which nobody awaits: Python only warns of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            lost = _lost.get()
            if lost is None or category is not RuntimeWarning or "was never awaited" not in str(message):
                show(message, category, *where, **more)
            else:
                lost.append(str(message).partition("\n")[0])

        warnings.showwarning = note
        yield


@attrs.define(eq=False)
class Calls:
    """Calls the methods of one template in one run.

    Args:
        template: The template; None for a store.
        current: Its method that says what is there now; None if it has none.
        sides: The destination of each branch.
        waiting: The calls that wait to be repeated, each with its task in the event loop, if there is one.
    """

    template: Any = None
    current: Callable[[Any], Any] | None = None
    sides: Mapping[str, Side] = attrs.field(factory=dict)
    waiting: dict[object, Any] = attrs.field(factory=dict)
    _kinds: dict[str, tuple[bool, bool, Retry | None]] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, template: Any, diff: Diff) -> Calls:
        """Return what calls the methods of a template for the actions of a diff."""
        current = getattr(template, "current", None)
        sides = {one.name: one.right for one in diff.branch_diffs}
        return cls(template, current if callable(current) else None, sides)

    def are_asynchronous(self, step: Step) -> bool:
        """Say whether a step has to be awaited, in an event loop."""
        return step.call is not None and any(self.kind(step)[:2])

    def kind(self, step: Step) -> tuple[bool, bool, Retry | None]:
        """Return whether the method of a step, and the template's ``current``, are awaited, and how it is repeated."""
        if step.method not in self._kinds:
            call = step.call
            self._kinds[step.method] = (
                is_asynchronous(call),
                is_asynchronous(self.current),
                retry_of(self.template, call),
            )
        return self._kinds[step.method]

    async def results(self, step: Step) -> list[Result]:
        """Call the method of a step; return a result an action. Exceptions are results, but for Ctrl-C."""
        call = _Call(self, step)
        await call.carry_out()
        return call.results

    async def find(self, step: Step, position: int, *, asked: bool) -> Finding:
        """Return how an action stands, by the template's ``current``, which may raise."""
        action = step.actions[position]
        current = self.current
        found: Any = None if current is None else current(action)
        if self.kind(step)[1]:
            found = await found
        if found is not False and (fault := fault_of(found)):
            raise TypeError(fault)
        return compare(action, found, self.sides.get(action.branch), asked=asked)


class _Call:
    """The call of one step, with the results of its actions so far."""

    def __init__(self, calls: Calls, step: Step) -> None:
        self.results = [_NOT_CALLED] * len(step.actions)
        self._calls = calls
        self._step = step
        self._left = list(range(len(step.actions)))
        self._awaited, _, self._retry = calls.kind(step)
        self._count = 0
        self._started = 0.0

    async def carry_out(self) -> None:
        """Find out what is there, then call the method until it is done, or is not to be repeated."""
        if self._calls.current is not None:
            await self._look(asked=False, reason="it is so already")
        if not self._left:
            return
        if self._retry is None:
            await self._attempt()
            return
        self._started = time.monotonic()
        asynchronous = self._calls.are_asynchronous(self._step)
        task = import_module("asyncio").current_task() if asynchronous else None
        contexts = iterate(self._retry.contexts(), asynchronous=asynchronous)
        try:
            async for context in contexts:
                self._calls.waiting.pop(self, None)
                with context:
                    await self._attempt()
                self._calls.waiting[self] = task
        except RepeatError:
            pass  # the results say why
        except BaseException as error:  # Ctrl-C while it waits; else it is none of ours
            if self not in self._calls.waiting or not (isinstance(error, KeyboardInterrupt) or is_cancellation(error)):
                raise
        finally:
            self._calls.waiting.pop(self, None)

    async def _attempt(self) -> None:
        """Call the method once, for the actions that are left.

        Raises:
            RepeatError: if it is to be called again.
        """
        step, left = self._step, self._left
        actions = [step.actions[position] for position in left]
        if len(actions) < len(step.actions):
            step = attrs.evolve(step, actions=tuple(actions))
        lost: list[str] = []
        token = _lost.set(lost)
        try:
            returned: Any = step.call and step.call(actions if step.batch else actions[0])
            if self._awaited:
                returned = await returned
            results = results_of(returned, step)
            if lost:
                fault = failed(f"{lost[0]}, so it never ran: await it, in an async def method")
                results = [fault if result.status == "succeeded" else result for result in results]
            self._note(results)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an exception fails this action, not the run
            await self._failed(error)
        except BaseException as error:
            if not is_cancellation(error):
                raise
            await self._failed(error)
        finally:
            _lost.reset(token)

    async def _failed(self, error: BaseException) -> None:
        reason = reason_of(error)
        retry = self._retry
        outcome = (retry or Retry()).outcome(error)
        self._note([Result("failed", reason, error=error)] * len(self._left))
        if outcome == "failed":
            return
        if outcome == "unknown" and self._calls.current is not None:
            await self._look(asked=True, reason=f"done all the same, though it ended in {reason}")
        elif outcome == "unknown" and retry is not None and not retry.safe:
            self._note([Result("failed", f"{reason}; {_NOT_REPEATED}", error=error)] * len(self._left))
            return
        wait = None if retry is None or not self._left else retry.wait_after(error, self._count + 1, self._started)
        self._count += wait is True
        if wait is not None:
            raise RepeatError(self._step.method, error, wait)

    def _note(self, results: Sequence[Result]) -> None:
        if len(results) == len(self.results):
            self.results[:] = results
            return
        for position, result in zip(self._left, results, strict=True):
            self.results[position] = result

    async def _look(self, *, asked: bool, reason: str) -> None:
        """Ask the template what is there; note the results of what is done already, or has changed."""
        for position in list(self._left):
            try:
                finding = await self._calls.find(self._step, position, asked=asked)
                result = finding.result(reason)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - what is not known is left alone
                before = f"{self.results[position].reason}; " if asked else ""
                message = f"{before}what is there could not be read: {reason_of(error)}"
                result = Result("failed", message, error=error)
            if result is not None:
                self.results[position] = result
                self._left.remove(position)


def completed(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that awaits nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    coroutine.close()
    message = "a call that has to wait was made without an event loop"
    raise RuntimeError(message)
