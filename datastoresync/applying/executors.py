"""Templates whose methods are called on Spark's executors, for methods that are slow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from itertools import chain, groupby, islice
from types import SimpleNamespace
from typing import Any, Unpack

import attrs

from datastoresync.applying.plan import Step
from datastoresync.applying.report import Report, Result
from datastoresync.applying.reporter import all_reporters
from datastoresync.applying.template import ApplyKeywords, ApplyOptions, ApplyRun, Template, refuse_rehearsal
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff, template_of
from datastoresync.errors import DeclarationError, MissingDependencyError

_TASKS_A_CORE = 4
"""Tasks a core in one Spark job: those that run at a time, and whose results Ctrl-C may leave unknown."""
_UNKNOWN = "it may be done all the same"

Task = list[Step]


@attrs.frozen(eq=False)
class OnExecutors:
    """Lets a template's methods be called on Spark's executors: ``source - dest | OnExecutors(Accounts)``.

    The limits are checked on the driver before anything is sent. Creations, updates and deletions, and the branches
    among them, follow each other; within one of these, tasks run side by side. Where order matters within a branch, as
    it does where its objects belong to or refer to each other, its actions are carried out on the driver, one by one.
    All that concerns one object is in one task; only of updates that a method takes in batches, two of one object may
    run at a time.

    Spark runs a task again that was lost, so **an action may be carried out more than once**: methods must stand that.

    Executors need this library, the template's module and that of the objects. A class or an import string is
    instantiated once a task; an instance is sent as it is. An action's objects have no branch there, and are plain
    namespaces if their class is `Object` itself; what a method returns as ``created`` or ``held`` stays there.

    Args:
        template: A template, its class, or its import string.
        batch: Actions a task, at most.
        session: The session; None for the active one.

    Raises:
        DeclarationError: if ``batch`` is no whole number from 1.
    """

    template: Any
    batch: int = 1000
    session: Any = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.batch, int) or isinstance(self.batch, bool) or self.batch < 1:
            message = f"batch is the number of actions a task, a whole number from 1 (got {self.batch!r})"
            raise DeclarationError(message)

    def apply(self, diff: Diff, **keywords: Unpack[ApplyKeywords]) -> Report:
        """Carry out a diff, and fold what succeeded into the destination; the keywords are those of `Template.apply`.

        ``on_error="stop"`` ends each task with its first failure, and the run after the tasks that are under way.

        Raises:
            SafeguardError: if the diff exceeds the limits; nothing was sent.
            TemplateError: if the template has no ``apply``.
            DeclarationError: if there is no session, or the template is no `Template`.
            LockedError: if another run is at work in the template's destination.
            SyncInterrupted: on Ctrl-C, SIGTERM or SIGHUP; it carries the report, with the results that are known.
        """
        template = template_of(self.template)
        if not isinstance(template, Template):
            message = f"a Template can be sent to executors, not a {type(template).__name__}"
            raise DeclarationError(message)
        options = ApplyOptions(**keywords)
        if options.rehearse:
            refuse_rehearsal(template)
        reporters = all_reporters(template.reporters, options.reporters)
        stop, diff = options.stops(template.on_error), options.checked(diff, reporters, template=template)
        context = None if options.mock else self._context()
        run = _SparkRun(diff, reporters, mock=options.mock, template=template)
        started = time.perf_counter()
        plan = template.plan(diff)
        run.tell("start", plan)
        lock = nullcontext() if options.mock else template.exclusive_run(diff)
        with lock, run.interruptible():
            run.send(plan.steps, self, context, stop=stop)
        return run.finish(started)

    def _context(self) -> Any:
        try:
            sql = import_module("pyspark.sql")
        except ImportError as error:
            message = "executors are Spark's: pip install 'datastoresync[spark]'"
            raise MissingDependencyError(message) from error
        session = self.session or sql.SparkSession.getActiveSession()
        context = getattr(session, "sparkContext", None)
        if context is None:
            message = (
                "there is no Spark session with executors of its own: give one, OnExecutors(Template, session=spark)"
            )
            raise DeclarationError(message)
        return context


class _SparkRun(ApplyRun):
    """One apply, most of whose steps are called on executors."""

    def send(self, steps: Iterable[Step], how: OnExecutors, context: Any, *, stop: bool) -> None:
        """Execute the steps stage by stage, in waves of tasks; after a stop, record the rest as pending."""
        ordered = _ordered_branches(self.diff)
        cores = 1 if context is None else context.defaultParallelism
        for (_, branch, follows), stage in groupby(steps, key=_stage):
            here = context is None or follows or branch in ordered
            tasks = _tasks(stage, 1 if here else how.batch)
            while wave := list(islice(tasks, 1 if here else cores * _TASKS_A_CORE)):
                if self._reason:
                    planned = ((step, action) for task in wave for step in task for action in step.actions)
                    self.note(Result("pending", self._reason, action, step.method) for step, action in planned)
                elif here:
                    self._settle([result for task in wave for step in task for result in self._call(step)], stop=stop)
                else:
                    self._carry_out(wave, context, how.template, stop=stop)

    def _carry_out(self, wave: Sequence[Task], context: Any, template: Any, *, stop: bool) -> None:
        """Execute one wave on executors, and record its results in the order of the plan."""
        split = [[self._split(step) for step in task] for task in wave]
        goes = [[step for step, _ in task if step.call is not None and step.actions] for task in split]
        answers = self._sent([task for task in goes if task], context, template, stop=stop)
        for step, left in chain.from_iterable(split):
            done = iter((next(answers) if step.call is not None else self.called(step)) if step.actions else ())
            self._settle([next(done) if result is None else result for result in left], stop=stop)

    def _sent(self, tasks: Sequence[Task], context: Any, template: Any, *, stop: bool) -> Iterator[list[Result]]:
        """Send tasks of steps to executors; yield the results of each step."""
        if not tasks:
            return
        serializer = import_module("pyspark.serializers").CloudPickleSerializer()
        packed = [
            serializer.dumps([(step.method, step.batch, list(map(_detached, step.actions))) for step in task])
            for task in tasks
        ]
        given = serializer.dumps((template, stop))
        reason = ""
        answers: list[Any] = []
        try:
            answers = context.parallelize(packed, len(packed)).map(partial(_carried_out, given)).collect()
        except KeyboardInterrupt:
            self.interrupted = True
            reason = f"interrupted: {_UNKNOWN}"
        except Exception as error:  # noqa: BLE001 - an exception of the job fails its actions, not the run
            reason = f"the Spark job broke off ({type(error).__name__}): {_UNKNOWN}"
        for index, task in enumerate(tasks):
            for number, step in enumerate(task):
                outcomes = [("failed", reason, False)] * len(step.actions) if reason else answers[index][number]
                yield [
                    Result(status, reason, action, step.method, skip_children=skip)
                    for action, (status, reason, skip) in zip(step.actions, outcomes, strict=True)
                ]


def _ordered_branches(diff: Diff) -> set[str]:
    """Return the branches within which the order of actions matters."""
    found = {name for hierarchy in diff.hierarchies for name in hierarchy.recursive}
    for one in diff.branch_diffs:
        if one.name in {*one.left.references.values(), *one.right.references.values()}:
            found.add(one.name)
    return found


def _stage(step: Step) -> tuple[str, str, bool]:
    """Return the stage of a step: phase, branch, and whether its objects are deleted along with an ancestor."""
    verb = step.actions[0].verb
    return verb if verb in ("new", "old") else "update", step.actions[0].branch, step.follows is not None


def _tasks(steps: Iterable[Step], size: int) -> Iterator[Task]:
    """Yield tasks of steps; steps of one object stay together, unless in batches."""
    task: Task = []
    count = 0
    for _, group in groupby(steps, key=lambda step: id(step) if step.batch else step.actions[0].idnumber):
        for step in (together := list(group)):
            count += len(step.actions)
        if task and count > size:
            yield task
            task, count = [], sum(len(step.actions) for step in together)
        task.extend(together)
    if task:
        yield task


def _detached(action: Action) -> Action:
    """Return an action whose objects have no reference to their branch."""
    return attrs.evolve(action, source=_alone(action.source), dest=_alone(action.dest))


def _alone(item: Any) -> Any:
    attributes = getattr(item, "__dict__", None)
    if attributes is None:
        return item  # attrs sends the fields of a closed class, and nothing else
    cls = type(item)
    return (
        SimpleNamespace(**attributes) if cls.__module__.startswith("datastoresync.") else _Bare(cls, dict(attributes))
    )


class _Bare:
    """Pickles as an object of an open class, without its branch."""

    def __init__(self, cls: type, attributes: Mapping[str, Any]) -> None:
        self.parts = (cls, attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, self.parts


def _arrived(cls: type, attributes: Mapping[str, Any]) -> Any:
    item: Any = object.__new__(cls)
    item.__dict__.update(attributes)
    return item


def _carried_out(given: bytes, packed: bytes) -> list[list[tuple[str, str, bool]]]:
    """Call the steps of one task, on an executor; return the results of each step."""
    serializer = import_module("pyspark.serializers").CloudPickleSerializer()
    template, stop = serializer.loads(given)
    template = template_of(template)
    run = _SparkRun(Diff(()), (), mock=False, template=template)
    answers: list[list[tuple[str, str, bool]]] = []
    failed = False
    for method, in_batches, actions in serializer.loads(packed):
        if failed and stop:
            answers.append([("pending", "not come to after a failure", False)] * len(actions))
            continue
        results = run.called(Step(method, getattr(template, method), tuple(actions), in_batches))
        answers.append([(result.status, result.reason, result.skip_children) for result in results])
        failed = failed or any(result.status == "failed" for result in results)
    return answers
