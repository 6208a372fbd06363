"""Templates, whose methods say what a change means; objects with methods of their own; the options of an apply."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack

import attrs

from datastoresync.applying.answers import finished
from datastoresync.applying.calls import Calls, completed, lost_coroutines
from datastoresync.applying.dependents import DependencyTracker
from datastoresync.applying.destination_lock import destination_lock
from datastoresync.applying.limits import Limits
from datastoresync.applying.methods import without_left_out
from datastoresync.applying.plan import Plan, Step
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report, Result, Results, Status, Tally, reason_of
from datastoresync.applying.reporter import Reporter, all_reporters, tell
from datastoresync.applying.retry import Retry, check_retry
from datastoresync.applying.safeguards import check
from datastoresync.applying.side_effects import SideEffect
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff, Progress
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.flags import Flags
from datastoresync.diffing.renames import renames_of
from datastoresync.errors import DeclarationError, SafeguardError, SyncInterrupted
from datastoresync.runtime import deferred_endings
from datastoresync.spelling import member_problems, settings_of

if TYPE_CHECKING:
    from datastoresync.applying.asynchronous import EventLoop

OnError = Literal["continue", "stop"]
_INTERRUPTED = "interrupted before it"


class ApplyKeywords(TypedDict, total=False):
    """The keywords of every ``apply``, for type checkers and editors; `ApplyOptions` describes them."""

    mock: bool
    rehearse: bool
    limits: Limits | None
    only: Filter
    exclude: Filter
    on_error: OnError | None
    reporters: Iterable[Reporter]


class SyncKeywords(ApplyKeywords, total=False):
    """The keywords of every ``sync_to``: those of ``apply``, and those of the comparison before it."""

    flags: Flags | None
    progress: Progress | None


@attrs.frozen(kw_only=True)
class ApplyOptions:
    """How one apply is carried out. Built once from the keywords of ``apply``, which must be among these.

    Args:
        mock: Walk through all actions and call nothing; their results are ``planned``.
        rehearse: Carry everything out and undo it at the end, where a store can; the report is that of a real run.
        limits: What this run may change; what they do not name is as branches and trees declare it.
        only: The actions to carry out; see `Diff.only`.
        exclude: The actions to leave out.
        on_error: Whether to go on after a failure; None for the template's own choice.
        reporters: Reporters of this run, in addition to the template's own.
    """

    mock: bool = False
    rehearse: bool = False
    limits: Limits | None = None
    only: Filter = None
    exclude: Filter = None
    on_error: OnError | None = None
    reporters: Iterable[Reporter] = ()

    def __attrs_post_init__(self) -> None:
        if self.mock and self.rehearse:
            message = "mock calls nothing and rehearse carries everything out and undoes it: give one of them"
            raise DeclarationError(message)

    def checked(
        self,
        diff: Diff,
        reporters: Iterable[Reporter],
        side_effects: Callable[[Diff], Sequence[SideEffect]] | None = None,
        *,
        template: Any = None,
    ) -> Diff:
        """Return the actions of a diff that are to be carried out.

        Args:
            diff: The diff.
            reporters: They are told if it is refused.
            side_effects: Returns what the store would do to other rows; None if it does nothing.
            template: The template, which may leave out some of them.

        Raises:
            SafeguardError: if they are more than the limits allow.
        """
        diff = diff.filtered(self.only, self.exclude)
        effects = () if side_effects is None else side_effects(diff)
        try:
            check(without_left_out(diff, template), self.limits, effects)
        except SafeguardError as error:
            preview = Preview(diff, error.violations, self.limits, side_effects=effects)
            for note in tell(reporters, "refused", preview):
                error.add_note(note)
            raise
        return diff

    def stops(self, default: str) -> bool:
        """Say whether the run stops at its first failure, given the template's own choice.

        Raises:
            DeclarationError: if the choice is neither ``"continue"`` nor ``"stop"``.
        """
        choice = self.on_error or default
        if choice not in ("continue", "stop"):
            message = f"on_error is 'continue' or 'stop' (got {choice!r})"
            raise DeclarationError(message)
        return choice == "stop"


def refuse_rehearsal(applier: object) -> None:
    """Refuse to rehearse through what cannot undo what it did.

    Raises:
        DeclarationError: always.
    """
    message = (
        f"{type(applier).__name__} cannot undo what it did, so nothing can be rehearsed, as it can in a store with "
        "transactions: mock=True walks through the actions without a call"
    )
    raise DeclarationError(message)


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
    `skipped`, or a list of them. ``False``, coroutines, generators, classes and functions have failed, since nothing
    can have been done. ``on_error`` is ``"continue"`` or ``"stop"``; ``reporters`` are told every result.

    ``async def`` methods are awaited, ``concurrency`` of them at a time. Creations, updates and deletions, and the
    branches among them, follow each other; so do calls about one object, and those about what it refers to or is below.
    All run in one event loop, which ends with the run.

    If there is a method ``current(action)``, plain or ``async def``, it is called first. It returns what is there now,
    a mapping or an object with the values that an import has, or the value of ``action.attr`` alone; None if nothing is
    there. What changed since the import is a conflict, and left as it is. Without that method nothing is checked, and
    the report says so: ``unchecked``.

    Of two runs on one machine that write to one `destination`, the second is refused.

    Before the first action, the names of all methods are held against the branches and attributes that are compared:
    one that is nearly right is refused. Actions without a method make the report not ok, unless ``leaves_out`` names
    the method.
    """

    on_error: OnError = "continue"
    reporters: Sequence[Reporter] = ()
    concurrency: int = 8
    """How many calls of ``async def`` methods are in flight at a time, at most."""
    retry: Retry | None = None
    """How calls are repeated; ``@retry`` says it of one method."""
    destination: str = ""
    """What it writes to, such as a URL: runs of one name exclude each other. Else those of one class into one tree."""
    leaves_out: Collection[str] = ()
    """Methods that are not there on purpose, such as ``("old", "update_name")``: what they would take is skipped."""
    waits_for_left_out: bool = True
    """Whether what depends on what flags and filters leave out is left out, too; on failures it always waits."""
    changes_lists: bool = True
    """Whether parents' lists of children are changed by its methods, and not along with the children."""

    def __init__(self) -> None:
        """Create a template; subclasses may take arguments."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse misspelt settings."""
        super().__init_subclass__(**kwargs)
        for problem in member_problems(cls, Template, {"current": 1}, settings_of(Template), awaited=True):
            raise DeclarationError(problem)

    def apply(self, diff: Diff, **keywords: Unpack[ApplyKeywords]) -> Report:
        """Carry out a diff, and fold the actions that succeeded into the destination; the same as ``diff | template``.

        Args:
            diff: The actions to carry out.
            keywords: ``mock``, ``limits``, ``only``, ``exclude``, ``on_error`` and ``reporters``; see `ApplyOptions`.

        Raises:
            SafeguardError: if the diff exceeds the limits; nothing was changed.
            DeclarationError: if a method is misspelt or cannot take an action; or if it is to be rehearsed, as what the
                methods do cannot be undone.
            LockedError: if another run is at work there.
            MissingDependencyError: if calls are to be repeated, and stamina is not installed.
            SyncInterrupted: on Ctrl-C, SIGTERM, SIGHUP or `SystemExit`, after the actions in flight, with the report.
        """
        options = ApplyOptions(**keywords)
        if options.rehearse:
            refuse_rehearsal(self)
        reporters = all_reporters(self.reporters, options.reporters)
        diff, stop = options.checked(diff, reporters, template=self), options.stops(self.on_error)
        run = ApplyRun(diff, reporters, mock=options.mock, template=self)
        with nullcontext() if options.mock else self.exclusive_run(diff):
            return run.carry_out(self.plan(diff), stop=stop)

    def plan(self, diff: Diff) -> Plan:
        """Return the steps of an apply: methods and their actions, in order."""
        return Plan.through(self, diff)

    def exclusive_run(self, diff: Diff) -> AbstractContextManager[None]:
        """Keep other runs on this machine out of the destination; `LockedError` if one is at work there."""
        return destination_lock(type(self), diff, self.destination)


class ApplyRun:
    """One apply: executes the plan, collects the results, tells the reporters, folds the actions that succeeded."""

    def __init__(
        self,
        diff: Diff,
        reporters: Sequence[Reporter],
        *,
        mock: bool,
        rehearse: bool = False,
        template: Template | None = None,
    ) -> None:
        self.diff = diff
        self.template = template
        self.concurrency = concurrency_of(template)
        check_retry(template)
        self.calls = Calls.of(template, diff)
        self.reporters = reporters
        self.mock = mock
        self.rehearse = rehearse
        self.tally = Tally(streamed=diff.streamed)
        known = [said for one in diff.branch_diffs for part in (*one.both, one) for said in part.warnings]
        renames = [one.sentence for one in renames_of(diff)]
        self.warnings: list[str] = list(dict.fromkeys([*known, *renames]))
        self.unsettled = 0
        self.acts = False
        self.interrupted = False
        self._reason = ""
        self.dependents = DependencyTracker.of(
            diff,
            left_out=template is None or template.waits_for_left_out,
            lists=template is None or template.changes_lists,
        )
        self.done: set[tuple[str, Any]] = set()  # what was created or deleted
        self.value_columns: Results | None = None

    def carry_out(self, plan: Plan, *, stop: bool) -> Report:
        """Execute the steps of a plan in order; return the report."""
        started = time.perf_counter()
        self.tell("start", plan)
        with self.interruptible(), lost_coroutines(), ExitStack() as stack:
            self._take(plan.steps, stack, stop=stop)
        return self.finish(started)

    def _take(self, steps: Iterable[Step], stack: ExitStack, *, stop: bool) -> None:
        """Call the steps in order, those that are awaited some at a time; after a stop, record the rest as pending."""
        first = len(self.tally.results)
        loop: EventLoop | None = None
        for asynchronous, group in groupby(steps, key=self._is_asynchronous):
            some: Iterable[Step] = group
            if asynchronous and not self._reason:
                if loop is None:
                    from datastoresync.applying.asynchronous import EventLoop

                    loop = stack.enter_context(EventLoop())
                some = self._await(group, loop, stop=stop)  # noqa: B031 - and with those that are left
            for step in some:
                if self._reason:
                    self.note([Result("pending", self._reason, action, step.method) for action in step.actions])
                else:
                    self._settle(self._call(step), stop=stop)
        if loop is not None and not self.tally.streamed:
            order = {id(action): position for position, action in enumerate(a for s in steps for a in s.actions)}
            self.tally.results[first:] = sorted(self.tally.results[first:], key=lambda one: order[id(one.action)])

    def _await(self, steps: Iterator[Step], loop: EventLoop, *, stop: bool) -> Iterable[Step]:
        """Call steps that are awaited; return those that were not come to."""
        from datastoresync.applying.asynchronous import Flights

        flights = Flights(
            self.diff,
            self.calls,
            limit=self.concurrency,
            split=self._split,
            note=lambda step, results: self._settle(finished(step.actions, step.method, results), stop=stop),
            is_over=lambda: bool(self._reason),
            is_interrupted=lambda: self.interrupted,
        )
        try:
            loop.run(flights.carry_out(steps))
        except KeyboardInterrupt as error:  # the second one, or one that a method raised
            self.interrupted = True
            flights.break_off("interrupted; it may be done all the same", error)
            self._settle([], stop=stop)
        return chain(flights.left, steps)

    def _settle(self, results: Sequence[Result], *, stop: bool) -> None:
        """Note results, and why no more steps are called, if so."""
        self.note(results)
        self.interrupted = self.interrupted or any(isinstance(result.error, SystemExit) for result in results)
        if self.interrupted:
            self._reason = _INTERRUPTED
        elif stop and any(result.status == "failed" for result in results):
            self._reason = "not come to after a failure"

    def finish(self, started: float) -> Report:
        """Tell the reporters the end and return the report; raise `SyncInterrupted` with it if it was interrupted."""
        seconds = time.perf_counter() - started
        tally = self.tally if self.tally.streamed else None
        results = tuple(self.tally.results) if self.value_columns is None else self.value_columns
        report = Report(
            results,
            seconds,
            self.mock,
            self.interrupted,
            tuple(self.warnings),
            tally,
            rehearsed=self.rehearse,
            unsettled=self.unsettled,
            unchecked=self.template is not None and self.calls.current is None and not self.mock,
        )
        self.tell("end", report)
        if len(self.warnings) > len(report.warnings):
            report = attrs.evolve(report, warnings=tuple(self.warnings))
        if self.interrupted:
            raise SyncInterrupted(report)
        return report

    def tell(self, event: str, content: object) -> None:
        """Call every reporter with an event; an exception that one raises becomes a warning."""
        self.warnings += (one for one in tell(self.reporters, event, content) if one not in self.warnings)

    @property
    def unobserved(self) -> bool:
        """Whether no result is needed one by one: there are no reporters, and no parents and children."""
        return not (self.reporters or self.mock or self.tally.streamed or self.diff.nested)

    def note_together(
        self, results: Results, done: Iterable[Action], held: Iterable[tuple[Action, Mapping[str, Any]]] = ()
    ) -> None:
        """Keep the results of a whole run that is `unobserved`, and fold the actions that were carried out.

        Args:
            results: The results.
            done: The actions that were carried out.
            held: Those of them that the store holds otherwise, with the values that it holds.
        """
        self.value_columns = results
        if self.rehearse:
            return
        try:
            for action in self.diff.fold_all(done):
                self._fold(action)
            for action, values in held:
                self.diff.fold_held(action, values)
        except Exception as error:  # noqa: BLE001 - as in `_fold`
            self.warnings.append(f"all is done, but not all of it is in memory: {reason_of(error)}; import again")
            for one in self.diff.branch_diffs:
                if one.right.expire is not None:
                    one.right.expire()

    def note(self, results: Iterable[Result]) -> None:
        """Collect results, fold the actions that succeeded, and tell the reporters: in a rehearsal, as planned."""
        for result in results:
            action = result.action
            if self.dependents is not None and action is not None:
                if result.status not in ("succeeded", "planned"):
                    self.dependents.note(action, result.status, skip_children=result.skip_children)
                elif action.verb in ("new", "old") and self.diff.nested:
                    self.done.add((action.branch, action.idnumber))
            if result.status == "succeeded" and action is not None and not self.rehearse:
                self._fold(action, result.created, result.held)
            self.tally.add(result)
            if self.reporters:
                undone = self.rehearse and result.status == "succeeded"
                self.tell("result", attrs.evolve(result, status="planned") if undone else result)

    def _fold(self, action: Action, created: Any = None, held: Mapping[str, Any] | None = None) -> None:
        try:
            self.diff.fold(action, created)
            self.diff.fold_held(action, held or {})
        except Exception as error:  # noqa: BLE001 - the action is done, so the report has both that and the warning
            self.warnings.append(f"{action.message} is done, but not in memory: {reason_of(error)}; import again")

    def _call(self, step: Step) -> list[Result]:
        """Call a step for those of its actions that are not blocked by earlier failures."""
        doable, left = self._split(step)
        done = iter(self.called(doable) if doable.actions else ())
        return [next(done) if result is None else result for result in left]

    def _split(self, step: Step) -> tuple[Step, list[Result | None]]:
        """Return a step without the actions that are blocked by earlier failures, and the results of these."""
        if self.dependents is None or not self.dependents.active:
            return step, [None] * len(step.actions)
        left = [self.dependents.left(action, step.method) for action in step.actions]
        doable = tuple(action for action, result in zip(step.actions, left, strict=True) if result is None)
        return (step if len(doable) == len(left) else attrs.evolve(step, actions=doable)), left

    def _alone(self, coroutine: Coroutine[Any, Any, list[Result]]) -> list[Result]:
        from datastoresync.applying.asynchronous import EventLoop

        with EventLoop() as loop:
            return loop.run(coroutine)

    def _is_asynchronous(self, step: Step) -> bool:
        return not self.mock and self.calls.are_asynchronous(step)

    def called(self, step: Step) -> list[Result]:
        """Call a step here; an exception of its method becomes a result."""
        if step.follows is not None:
            return self.followed(step)
        if step.call is None:
            status: Status = "skipped" if step.left_out else "unhandled"
            reason = "the template leaves it out" if step.left_out else "no method"
            return [Result(status, reason, action, step.method) for action in step.actions]
        if self.mock:
            return [Result("planned", "mock", action, step.method) for action in step.actions]
        coroutine = self.calls.results(step)
        try:
            results = self._alone(coroutine) if self._is_asynchronous(step) else completed(coroutine)
        except KeyboardInterrupt as error:  # the second one, or one that the method raised
            self.interrupted = True
            results = [Result("failed", "interrupted", error=error) for _ in step.actions]
        return finished(step.actions, step.method, results)

    def followed(self, step: Step) -> list[Result]:
        """Return the results of a step that is carried out along with the creation or deletion of something else."""
        branch, idnumber = step.follows or ("", None)
        done: Status = "planned" if self.mock else "succeeded"
        status: Status = done if step.follows in self.done else "skipped"
        verb = step.actions[0].verb
        went, goes, deleted = ("came", "comes", "created") if verb == "add" else ("went", "goes", "deleted")
        reason = f"{goes if self.mock else went} with {branch} {idnumber!r}"
        if status == "skipped":
            reason = f"{branch} {idnumber!r} {'was not' if verb == 'old' else 'could not be'} {deleted}"
        return [Result(status, reason, action, step.method) for action in step.actions]

    def interruptible(self) -> AbstractContextManager[None]:
        """Let the first Ctrl-C, SIGTERM or SIGHUP end the run after the actions in flight; the second one raises."""

        def decide() -> bool:
            again, self.interrupted = self.interrupted, True
            self._reason = _INTERRUPTED
            return again or None in self.calls.waiting.values()  # nothing is in flight then

        return deferred_endings(decide)


def concurrency_of(template: Template | None) -> int:
    """Return how many awaited calls of a template are in flight, at most.

    Raises:
        DeclarationError: if that is no whole number from 1.
    """
    found = 1 if template is None else template.concurrency
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        name = type(template).__name__
        message = f"{name}.concurrency is how many calls are in flight, a whole number from 1 (got {found!r})"
        raise DeclarationError(message)
    return found
