"""Awaits a template's ``async def`` methods, some at a time, in the order of the plan where that matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from datastoresync.applying.calls import Calls
from datastoresync.applying.dependents import references_of
from datastoresync.applying.plan import Step, needed_objects
from datastoresync.applying.report import Result
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.hierarchy import ObjectKey

T = TypeVar("T")

_GLANCE = 0.1
"""Seconds between two looks whether Ctrl-C was pressed while calls wait to be repeated."""


class EventLoop:
    """The event loop of one run; in a thread of its own where one runs in this thread already, as in a notebook."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._pool: ThreadPoolExecutor | None = None
        else:
            self._pool = ThreadPoolExecutor(1)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; return its result."""
        found: T = self._call(self._runner.run, coroutine)
        return found

    def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments) if self._pool is None else self._pool.submit(call, *arguments).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._runner.close)
        if self._pool is not None:
            self._pool.shutdown()


@attrs.frozen(eq=False)
class _Flight:
    """A step in flight.

    Args:
        step: The step, without the actions that are blocked.
        kind: Phase and branch; steps of different ones are never in flight together.
        objects: The objects that it is about.
        needed: Those that must be settled before it, or after it.
        alone: Whether nothing may be in flight beside it.
        left: The results of the actions that are blocked, and None for the others.
    """

    step: Step
    kind: tuple[str, str]
    objects: set[ObjectKey]
    needed: set[ObjectKey]
    alone: bool
    left: list[Result | None] = attrs.field(factory=list)

    def excludes(self, other: _Flight) -> bool:
        """Say whether it cannot be in flight together with another one."""
        return (
            self.alone
            or other.alone
            or self.kind != other.kind
            or not self.objects.isdisjoint(other.objects)
            or not self.needed.isdisjoint(other.objects)
            or not self.objects.isdisjoint(other.needed)
        )


@attrs.define(eq=False)
class Flights:
    """The calls of one run that are in flight, and what they wait for.

    A step begins when all before it have begun, no more than ``limit`` are in flight, and none of these is of another
    kind, or about an object that it is about, refers to, or is below. So what a failure blocks is known by then.

    Args:
        diff: The diff that is applied.
        calls: What calls the methods.
        limit: How many calls are in flight, at most.
        split: Returns a step without the actions that are blocked, and the results of these.
        note: Takes the results of a step.
        is_over: Says whether no further step is to begin.
        is_interrupted: Says whether nothing is to wait to be repeated.
    """

    _diff: Diff
    _calls: Calls
    _limit: int = attrs.field(kw_only=True)
    _split: Callable[[Step], tuple[Step, list[Result | None]]] = attrs.field(kw_only=True)
    _note: Callable[[Step, list[Result]], None] = attrs.field(kw_only=True)
    _is_over: Callable[[], bool] = attrs.field(kw_only=True)
    _is_interrupted: Callable[[], bool] = attrs.field(kw_only=True)
    left: Iterable[Step] = attrs.field(default=(), init=False)
    _tasks: dict[asyncio.Task[list[Result]], tuple[Step, _Flight]] = attrs.field(factory=dict, init=False)
    _references: Mapping[str, Mapping[str, str]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._references = references_of(self._diff)

    async def carry_out(self, steps: Iterator[Step]) -> None:
        """Call the steps; one that was taken and did not begin is ``left`` in the end."""
        for step in steps:
            flight, self.left = self._flight(step), [step]
            while len(self._tasks) >= self._limit or any(flight.excludes(other) for _, other in self._tasks.values()):
                await self._land()
            if self._is_over():
                break
            self.left = ()
            doable, left = self._split(step)
            task = asyncio.create_task(self._calls.results(doable)) if doable.actions else None
            if task is None:
                self._note(step, [result for result in left if result is not None])
            else:
                self._tasks[task] = step, attrs.evolve(flight, step=doable, left=left)
        while self._tasks:
            await self._land()

    async def _land(self) -> None:
        """Wait until some calls have ended, or a moment; note their results."""
        done, _ = await asyncio.wait(self._tasks, timeout=_GLANCE, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            step, flight = self._tasks.pop(task)
            results = iter(task.result())
            self._note(step, [next(results) if result is None else result for result in flight.left])
        if self._is_interrupted():
            for call in list(self._calls.waiting.values()):
                call.cancel()

    def break_off(self, reason: str, error: BaseException) -> None:
        """Note those in flight as failed, as they were broken off."""
        for step, flight in self._tasks.values():
            broken = [Result("failed", reason, error=error) if left is None else left for left in flight.left]
            self._note(step, broken)
        self._tasks.clear()

    def _flight(self, step: Step) -> _Flight:
        first = step.actions[0]
        phase = first.verb if first.verb in ("new", "old") else "update"
        objects = {(action.branch, action.idnumber) for action in step.actions}
        needed = set().union(*map(self._needed, step.actions)) - objects
        moves = self._diff.nested and any(self._moves(action) for action in step.actions)
        return _Flight(step, (phase, first.branch), objects, needed, moves)

    def _needed(self, action: Action) -> set[ObjectKey]:
        """Return what an object is below, and what it refers to if it is created or deleted."""
        above: Iterable[ObjectKey] = ()
        if self._diff.nested:
            above = (one for each in self._diff.hierarchies for one in each.ancestors(action.branch, action.idnumber))
        references: Mapping[str, str] = self._references.get(action.branch, {})
        return {*above, *(needed_objects(action, self._diff, references) if action.verb in ("new", "old") else ())}

    def _moves(self, action: Action) -> bool:
        """Say whether an action moves a child, after which others may be below another parent."""
        return any(each.child_branch(action.branch, action.attr) for each in self._diff.hierarchies if action.attr)
