"""Templates, whose methods say what a change means; objects with methods of their own; the options of an apply."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from types import FrameType
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import attrs

from datastoresync.applying.dependents import DependencyTracker
from datastoresync.applying.limits import Limits
from datastoresync.applying.plan import (
    Plan,
    Step,
    member_changes,
    membership_update,
    ordered,
    split_followers,
)
from datastoresync.applying.report import Report, Result, Results, Status, Tally, failed, reason_of, succeeded
from datastoresync.applying.reporter import Reporter
from datastoresync.applying.safeguards import check
from datastoresync.applying.side_effects import SideEffect
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import Streamed
from datastoresync.diffing.diff import Diff, Progress
from datastoresync.diffing.filters import Filter
from datastoresync.diffing.flags import Flags
from datastoresync.errors import DeclarationError, SyncInterrupted
from datastoresync.spelling import member_problems, settings_of

OnError = Literal["continue", "stop"]


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

    def checked(self, diff: Diff, side_effects: Callable[[Diff], Sequence[SideEffect]] | None = None) -> Diff:
        """Return the actions of a diff that are to be carried out.

        Args:
            diff: The diff.
            side_effects: Returns what the store would do to other rows; None if it does nothing.

        Raises:
            SafeguardError: if they are more than the limits allow.
        """
        diff = diff.filtered(self.only, self.exclude)
        check(diff, self.limits, () if side_effects is None else side_effects(diff))
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
    `skipped`, or a list of them. ``on_error`` is ``"continue"`` or ``"stop"``; ``reporters`` are told every result.

    Before the first action, the names of all methods are held against the branches and attributes that are compared:
    one that is nearly right is refused. Actions without a method make the report not ok, unless ``leaves_out`` names
    the method.
    """

    on_error: OnError = "continue"
    reporters: Sequence[Reporter] = ()
    leaves_out: Collection[str] = ()
    """Methods that are not there on purpose, such as ``("old", "update_name")``: what they would take is skipped."""
    waits_for_left_out: bool = True
    """Whether what depends on what flags and filters leave out is left out, too; on failures it always waits."""

    def __init__(self) -> None:
        """Create a template; subclasses may take arguments."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse misspelt settings."""
        super().__init_subclass__(**kwargs)
        for problem in member_problems(cls, Template, {}, settings_of(Template)):
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
            SyncInterrupted: on Ctrl-C, after the action in flight; it carries the report.
        """
        options = ApplyOptions(**keywords)
        if options.rehearse:
            refuse_rehearsal(self)
        diff, stop = options.checked(diff), options.stops(self.on_error)
        reporters = [*self.reporters, *options.reporters]
        run = ApplyRun(diff, reporters, mock=options.mock, waits=self.waits_for_left_out)
        return run.carry_out(self.plan(diff), stop=stop)

    def plan(self, diff: Diff) -> Plan:
        """Return the steps of an apply: methods and their actions, in order."""
        return Plan.through(self, diff)


class ApplyRun:
    """One apply: executes the plan, collects the results, tells the reporters, folds the actions that succeeded."""

    def __init__(
        self, diff: Diff, reporters: Sequence[Reporter], *, mock: bool, rehearse: bool = False, waits: bool = True
    ) -> None:
        self.diff = diff
        self.reporters = reporters
        self.mock = mock
        self.rehearse = rehearse
        self.tally = Tally(streamed=diff.streamed)
        self.warnings: list[str] = []
        self.unsettled = 0
        self.acts = False
        self.interrupted = False
        self.dependents = DependencyTracker.of(diff, left_out=waits)
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
        report = Report(
            results,
            seconds,
            self.mock,
            self.interrupted,
            tuple(self.warnings),
            tally,
            rehearsed=self.rehearse,
            unsettled=self.unsettled,
        )
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
        """Collect results, fold the actions that succeeded, and tell the reporters."""
        for result in results:
            action = result.action
            if self.dependents is not None and action is not None:
                if result.status not in ("succeeded", "planned"):
                    self.dependents.note(action, result.status, skip_children=result.skip_children)
                elif action.verb == "old":
                    self.deleted.add((action.branch, action.idnumber))
            if result.status == "succeeded" and action is not None and not self.rehearse:
                self._fold(action, result.created, result.held)
            self.tally.add(result)
            if self.reporters:
                self.tell("result", result)

    def _fold(self, action: Action, created: Any = None, held: Mapping[str, Any] | None = None) -> None:
        try:
            self.diff.fold(action, created)
            self.diff.fold_held(action, held or {})
        except Exception as error:  # noqa: BLE001 - the action is done, so the report has both that and the warning
            self.warnings.append(f"{action.message} is done, but not in memory: {reason_of(error)}; import again")

    def _call(self, step: Step) -> list[Result]:
        """Call a step for those of its actions that are not blocked by earlier failures."""
        if self.dependents is None or not self.dependents.active:
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
            status: Status = "skipped" if step.left_out else "unhandled"
            reason = "the template leaves it out" if step.left_out else "no method"
            return [Result(status, reason, action, step.method) for action in step.actions]
        if self.mock:
            return [Result("planned", "mock", action, step.method) for action in step.actions]
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
                result.status,
                result.reason,
                action,
                step.method,
                result.error,
                result.skip_children,
                result.created,
                result.held,
            )
            for result, action in zip(results, step.actions, strict=True)
        ]

    def followed(self, step: Step) -> list[Result]:
        """Return the results of a step whose objects are deleted along with an ancestor."""
        branch, idnumber = step.follows or ("", None)
        deleted = step.follows in self.deleted
        done: Status = "planned" if self.mock else "succeeded"
        status: Status = done if deleted else "skipped"
        went = "goes" if self.mock else "went"
        reason = f"{went} with {branch} {idnumber!r}" if deleted else f"{branch} {idnumber!r} was not deleted"
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


@attrs.frozen(eq=False)
class ObjectMethods:
    """The class of a branch's objects, whose methods carry out changes.

    Args:
        cls: The class.
        identifiers: The attributes that make up the idnumber.
    """

    cls: Any
    identifiers: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Say whether the class has a method of this name."""
        return callable(getattr(self.cls, name, None))

    def leaves_out(self, name: str) -> bool:
        """Say whether the class has None for a method of this name, and so leaves such changes out."""
        return getattr(self.cls, name, self) is None


class ObjectTemplate(Template):
    """Applies a diff through the methods of the destination's objects, one call an object.

    - ``create(cls, tree, ids, attrs)``, a class method: creates the object in the system. It may return an object of
      the class, which the tree then holds; otherwise the tree creates one itself.
    - ``update(self, attrs)``: ``attrs`` has the attributes that change; of a membership, all its new members.
    - ``delete(self)``.
    - ``move(self, parent)``: the object goes below another parent, or below none.

    As with any template, a method that returns has succeeded, one that raises has failed, and it may return
    `succeeded`, `failed` or `skipped`. What a class has no method for is unhandled; ``delete = None`` says that it is
    left out on purpose.

    Args:
        tree: The destination.
        classes: The classes of its branches.
    """

    def __init__(self, tree: Any, classes: Mapping[str, ObjectMethods]) -> None:
        super().__init__()
        self.tree = tree
        self.classes = classes

    # Hooks for subclasses.

    def call_create(self, cls: Any, ids: dict[str, Any], attributes: dict[str, Any]) -> Any:
        """Create an object."""
        return cls.create(self.tree, ids, attributes)

    def call_update(self, item: Any, attributes: dict[str, Any]) -> Any:
        """Change an object."""
        return item.update(attributes)

    def call_delete(self, item: Any) -> Any:
        """Delete an object."""
        return item.delete()

    def call_move(self, item: Any, parent: Any) -> Any:
        """Move an object below another parent, or below none."""
        return item.move(parent)

    def outcome(self, verb: str, cls: Any, returned: Any) -> Result:
        """Return the result for the return value of a method."""
        if isinstance(returned, Result):
            return returned
        if verb == "create" and isinstance(returned, cls):
            return Result("succeeded", created=returned)
        return succeeded()

    def plan(self, diff: Diff) -> Plan:
        """Return one call an object, with all its changes; moves of children are calls of the child."""
        alone, following = split_followers(ordered(diff), diff)

        def steps() -> Iterator[Step]:
            for group in _groups(alone, diff):
                yield from self._steps(group, diff)
            yield from following

        return Plan(diff, Streamed(steps) if diff.streamed else tuple(steps()))

    def _steps(self, group: Sequence[Action], diff: Diff) -> Iterator[Step]:
        first = group[0]
        child = diff.hierarchies[0].child_branch(first.branch, first.attr)
        child = child or diff.hierarchies[1].child_branch(first.branch, first.attr)
        branch = child or first.branch
        verb = "move" if child else {"new": "create", "old": "delete"}.get(first.verb, "update")
        call: Callable[[Any], Any] | None = None
        if self.classes[branch].has(verb):
            call = partial(getattr(self, f"_{verb}"), diff, self.classes[branch], branch)
        left_out = self.classes[branch].leaves_out(verb)
        yield Step(f"{verb}_{branch}", call, tuple(group), batch=True, left_out=left_out)

    def _create(self, diff: Diff, methods: ObjectMethods, _: str, actions: Sequence[Action]) -> Result:
        key = actions[0].idnumber
        parts = key if len(methods.identifiers) > 1 else (key,)
        ids = dict(zip(methods.identifiers, parts, strict=True))
        returned = self.call_create(methods.cls, ids, diff.values(actions[0]))
        return self.outcome("create", methods.cls, returned)

    def _update(self, diff: Diff, methods: ObjectMethods, _: str, actions: Sequence[Action]) -> Result:
        changed = {action.attr: action.value for action in actions if action.verb == "update"}
        branch_diff = next(branch_diff for branch_diff in diff.branch_diffs if branch_diff.name == actions[0].branch)
        for (_, _, attr), members in member_changes(actions).items():
            changed[attr] = membership_update(branch_diff, members).value
        return self.outcome("update", methods.cls, self.call_update(actions[0].dest, changed))

    def _delete(self, _: Diff, methods: ObjectMethods, __: str, actions: Sequence[Action]) -> Result:
        return self.outcome("delete", methods.cls, self.call_delete(actions[0].dest))

    def _move(self, diff: Diff, methods: ObjectMethods, branch: str, actions: Sequence[Action]) -> Result:
        key = actions[0].value
        parent = diff.hierarchies[0].parent(branch, key)
        above = None if parent is None else self.tree[parent[0]][parent[1]]
        return self.outcome("move", methods.cls, self.call_move(self.tree[branch][key], above))


def _groups(actions: Sequence[Action], diff: Diff) -> Iterator[list[Action]]:
    """Yield the actions object by object; the two actions of a move together, in the place of the first."""
    moves: dict[tuple[str, Any], list[Action]] = {}
    for action in actions if diff.nested else ():
        moved = _moved_child(action, diff)
        if moved is not None:
            moves.setdefault(moved, []).append(action)

    def group_key(action: Action) -> tuple[Any, ...]:
        moved = _moved_child(action, diff)
        return ("moves", *moved) if moved else (action.verb in ("new", "old"), action.branch, action.idnumber)

    for key, group in groupby(actions, key=group_key):
        if key[0] != "moves":
            yield list(group)
        elif key[1:] in moves:
            yield moves.pop((key[1], key[2]))


def _moved_child(action: Action, diff: Diff) -> tuple[str, Any] | None:
    for hierarchy in diff.hierarchies:
        child = hierarchy.child_branch(action.branch, action.attr) if action.attr else None
        if child is not None:
            return child, action.value
    return None
