"""The words of synctree: a mirrored tree made of two lists of names, and a template behind ``|``.

>>> synctree = SyncTree(["source", "destination"], ["students", "staff"])
>>> synctree.source.students
<Subbranch students of branch source>
>>> _ = synctree.new("source", "students", "111")
>>> _ = synctree.new("source", "students", "999")
>>> _ = synctree.new("destination", "students", "111")
>>> list(synctree.source > synctree.destination)
[Action(idnumber='999', message='new_students')]
>>> class Template(DefaultTemplate):
...     def new_students(self, action):
...         print("enrol", action.idnumber)
>>> report = (synctree.source > synctree.destination) | Template
enrol 999

What was a branch there is a `Tree` here, a subbranch is a `Branch`, and the whole a `Datastore`: all that these can do
is there too, under its own names. What changed:

- ``>`` gave a generator, which was empty after its first use. Now it compares whenever it is used, as often as that is.
- There were no limits. Now those of every template hold: a run that would delete or change too much, or delete
  because a subbranch of the source is empty, raises `SafeguardError` before its first change. ``>`` and ``|`` have no
  room for other limits: ``Template().apply(tree.source - tree.destination, limits=Limits(deletions=800))`` has.
- A method that raises fails its own action only. ``|`` returns a `Report`, and failures are logged, which shows them on
  standard error where logging was never set up.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import attrs

from datastoresync.applying.methods import check_methods
from datastoresync.applying.plan import Plan, is_asynchronous
from datastoresync.applying.report import Report, Result
from datastoresync.applying.reporter import LoggingReporter, Reporter
from datastoresync.applying.retry import check_retry
from datastoresync.applying.template import Template
from datastoresync.branch import Branch
from datastoresync.datastore import Datastore
from datastoresync.diffing import action as native
from datastoresync.diffing.diff import Diff
from datastoresync.errors import DeclarationError, TemplateError
from datastoresync.importing.importer import Importer, StoreImporter, importer_of
from datastoresync.object import Object
from datastoresync.tree import Tree


class Subbranch(Branch[Object]):
    """One kind of object in a branch: a `Branch` of open objects.

    ``importer`` may be set: to whatever a `Branch` takes as one.
    """

    @property
    def importer(self) -> Importer | None:
        """Where the rows come from at ``+``."""
        return self._importer

    @importer.setter
    def importer(self, source: Any) -> None:
        self._importer = None if source is None else importer_of(source, store=StoreImporter)

    def __gt__(self, other: Any) -> Any:
        return Actions(self, other) if isinstance(other, Branch) else NotImplemented

    def __repr__(self) -> str:
        return f"<Subbranch {self.name} of branch {self.tree.name}>" if self.tree is not None else "<Subbranch>"


class SyncBranch(Tree):
    """One system: a `Tree` with a `Subbranch` for each kind of object."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Subbranch: ...

    def __gt__(self, other: Any) -> Any:
        return Actions(self, other) if isinstance(other, Tree) else super().__gt__(other)

    def __repr__(self) -> str:
        return f"<Branch {self.name}: {', '.join(f'{name} {len(self[name]):,}' for name in self) or 'no subbranches'}>"


class SyncTree(Datastore):
    """A mirrored tree: every branch has the same subbranches.

    Args:
        branches: The names of the systems.
        subbranches: The names of the kinds of objects in each of them.

    Raises:
        DeclarationError: if a name is no identifier, is there twice, or means something else already.
    """

    def __init__(self, branches: Iterable[str], subbranches: Iterable[str]) -> None:
        if isinstance(branches, str) or isinstance(subbranches, str):
            message = "a tree grows from two lists: SyncTree(['source', 'destination'], ['students', 'staff'])"
            raise DeclarationError(message)
        super().__init__()
        self._subbranches = list(subbranches)
        for name in branches:
            if name in ("branches", "subbranches"):
                message = f"{name!r} cannot be the name of a branch: the tree has something of that name itself"
                raise DeclarationError(message)
            branch = SyncBranch(name)
            for subbranch in self._subbranches:
                branch.grow(subbranch, Subbranch())
            self._add(name, branch)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> SyncBranch: ...

    @property
    def branches(self) -> list[str]:
        """The names of the branches."""
        return list(self)

    @property
    def subbranches(self) -> list[str]:
        """The names of the subbranches that every branch has."""
        return list(self._subbranches)

    def new(self, branch: str, subbranch: str, idnumber: Any, **attributes: Any) -> Any:  # type: ignore[override]  # by name too
        """Make an object in a subbranch of a branch, and return it."""
        return super().new(branch, subbranch, idnumber, **attributes)

    def __repr__(self) -> str:
        return f"<SyncTree: {', '.join(self) or 'no branches'}>"


@attrs.frozen(repr=False, eq=False)
class Action(native.Action):
    """One step, whose message is the name of the method that is called for it."""

    @classmethod
    def of(cls, action: native.Action) -> Action:
        """Return an action of this class."""
        return cls(*attrs.astuple(action, recurse=False))

    @property
    def message(self) -> str:
        """The name of the method: ``new_students``."""
        return self.method

    def __repr__(self) -> str:
        changed = f", attr={self.attr!r}, value={self._shown(self.value)}" if self.attr else ""
        return f"Action(idnumber={self.idnumber!r}, message={self.message!r}{changed})"


class Actions(Iterable[Action]):
    """The result of ``source > destination``: the changes that make the destination equal to the source, on demand.

    Every loop over them and every ``|`` compares again, so that they are never stale. ``next()`` iterates once, like a
    generator.

    Args:
        source: A branch, or a subbranch.
        destination: Another one of the same kind.
    """

    def __init__(self, source: Tree | Branch[Any], destination: Tree | Branch[Any]) -> None:
        self._sides: tuple[Any, Any] = source, destination
        self._left: Iterator[Action] | None = None

    @property
    def diff(self) -> Diff:
        """The difference, as it is now."""
        source, destination = self._sides
        found: Diff = source.diff(destination)
        return found

    def __iter__(self) -> Iterator[Action]:
        return map(Action.of, self.diff)

    def __next__(self) -> Action:
        if self._left is None:
            self._left = iter(self)
        return next(self._left)

    def __or__(self, template: Any) -> Report:
        if isinstance(template, types.FunctionType):
            name = template.__name__
            message = f"{name} is a function, not a template: write `class {name}(DefaultTemplate):` rather than `def`"
            raise TemplateError(message)
        report: Report = self.diff | template
        return report

    def __bool__(self) -> bool:
        message = "actions are neither true nor false before they are compared: write `if source - destination`"
        raise TypeError(message)

    def __repr__(self) -> str:
        source, destination = self._sides
        return f"<Actions {source!r} > {destination!r}>"


class DefaultTemplate(Template):
    """Applies changes. Subclass it, with methods named by the actions' messages.

    It is a `Template` whose methods get an `Action` in the words of this module. What they return may be
    `successful_result`, `unsuccessful_result` or `dropped_action`, called or not. Failures are logged, unless
    ``reporters`` has other reporters.
    """

    reporters: Sequence[Reporter] = (LoggingReporter(),)

    def apply(self, diff: Diff, **options: Any) -> Report:
        """Apply a diff, with the options of `Template.apply`."""
        return _TranslatingTemplate(self).apply(diff, **options)


class _TranslatingTemplate(Template):
    """A template whose methods are those of another one, called with actions in the words of this module."""

    def __init__(self, template: DefaultTemplate) -> None:
        super().__init__()
        self.on_error, self.reporters, self.leaves_out = template.on_error, template.reporters, template.leaves_out
        self.concurrency, self.retry, self.destination = template.concurrency, template.retry, template.destination
        self._template = template
        check_retry(template)

    def exclusive_run(self, diff: Diff) -> AbstractContextManager[None]:
        """Keep other runs of the translated template out."""
        return self._template.exclusive_run(diff)

    def plan(self, diff: Diff) -> Plan:
        """Return the steps of an apply, after the check of the methods that they call."""
        check_methods(self._template, diff)
        return super().plan(diff)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._template, name)
        return _translate(method) if callable(method) else method


def _translate(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if is_asynchronous(method):

        @functools.wraps(method)
        async def awaited(given: Any) -> Any:
            return await method([Action.of(one) for one in given] if isinstance(given, list) else Action.of(given))

        return awaited

    @functools.wraps(method)  # with its mark, if it takes a batch
    def call(given: Any) -> Any:
        return method([Action.of(one) for one in given] if isinstance(given, list) else Action.of(given))

    return call


@attrs.frozen(eq=False)
class _CallableResult(Result):
    """A result that returns a more detailed one when called."""

    def __call__(self, method: str = "", info: str = "") -> Result:
        """Return the result with a reason: the method called, and its outcome."""
        return Result(self.status, ": ".join(str(part) for part in (method, info) if part) or self.reason)


successful_result = _CallableResult("succeeded")
"""The action succeeded; ``successful_result(method="", info="")`` says more."""

unsuccessful_result = _CallableResult("failed", "unsuccessful")
"""The action failed; ``unsuccessful_result(method="", info="")`` gives the reason."""

dropped_action = _CallableResult("skipped", "dropped")
"""The action was skipped; ``dropped_action(method="", info="")`` gives the reason."""


class DefaultReporter(Reporter):
    """A reporter with the old names of hooks. Subclass it, and add one to a template's ``reporters``."""

    _hooks = {"will_start": 0, "success": 2, "fail": 2, "dropped": 2, "finished": 0}  # noqa: RUF012 - a ClassVar there

    def will_start(self) -> None:
        """Called at the start."""

    def success(self, action: Action, result: Result) -> None:
        """Called after an action succeeded."""

    def fail(self, action: Action, result: Result) -> None:
        """Called after an action failed, met a conflict, or was not reached."""

    def dropped(self, action: Action, result: Result) -> None:
        """Called after an action was skipped, or has no method."""

    def finished(self) -> None:
        """Called at the end."""

    def start(self, plan: Plan) -> None:  # noqa: ARG002 - a hook
        """Pass the start on."""
        self.will_start()

    def result(self, result: Result) -> None:
        """Pass one result on."""
        hooks = {"succeeded": self.success, "skipped": self.dropped, "unhandled": self.dropped}
        if result.action is not None:
            hooks.get(result.status, self.fail)(Action.of(result.action), result)

    def end(self, report: Report) -> None:  # noqa: ARG002 - a hook
        """Pass the end on."""
        self.finished()
