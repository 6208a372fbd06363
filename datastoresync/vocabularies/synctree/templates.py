"""Templates, whose methods are named by the actions' messages."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import attrs

from datastoresync.applying.limits import NUMBERS, Limits
from datastoresync.applying.methods import method_names as native_names
from datastoresync.applying.plan import Plan, is_asynchronous
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import LoggingReporter, Reporter
from datastoresync.applying.retry import check_retry
from datastoresync.applying.template import Template
from datastoresync.diffing.action import Action as NativeAction
from datastoresync.diffing.diff import Diff, template_of
from datastoresync.errors import DeclarationError, TemplateError
from datastoresync.spelling import fault_of_call, misspelt, takes
from datastoresync.vocabularies.synctree.actions import Action, Actions, method_name, method_names, translated
from datastoresync.vocabularies.synctree.reporters import DefaultReporter, LoggerReporter, with_hooks
from datastoresync.vocabularies.synctree.results import Result, dropped_action, native_result
from datastoresync.vocabularies.synctree.utils import import_class


class DefaultTemplate(Template):
    """Applies changes. Subclass it, with methods that are named by the actions' messages.

    ``new_<subbranch>``, ``old_<subbranch>``, ``update_<subbranch>_<attribute>``,
    ``add_<subbranch>_<attribute>_to_<branch>``, ``remove_<subbranch>_<attribute>_from_<branch>``, and no less specific
    ones: ``update`` and the like are helpers. They get an `Action` of this vocabulary, and may return one of its
    results or a list of them.

    Failures are logged, unless ``reporters`` has other reporters. A method that raises fails its own action only,
    whatever it raises: ``_exceptions`` need not name it. The settings of a native `Template`, and its
    ``current(action)``, are there, too; ``leaves_out`` has names as above.

    >>> class Template(DefaultTemplate):
    ...     def new_students(self, action):
    ...         print("enrol", action.idnumber)
    """

    reporters: Sequence[Reporter] = (LoggingReporter(),)
    _reporter: Any = DefaultReporter
    """A reporter, its class or its import string; of a template that is there, the reporter."""
    _exceptions: Any = ()
    """What methods may raise; here each exception fails its own action alone."""
    _otherwise: Callable[[Any], Any] | None = None
    """What takes the actions that no method is named after."""

    def __init__(self) -> None:
        super().__init__()
        self._find_reporter()
        self.init()

    def init(self) -> None:
        """Do what is to be done once the template is there."""

    def apply(self, diff: Any, **options: Any) -> Report:
        """Apply a diff, or actions, with the options of `Template.apply`."""
        self._find_reporter()  # in the place of an __init__ that does not call the one above
        found = diff.diff if isinstance(diff, Actions) else diff
        return _TranslatingTemplate(self, found).apply(found, **options)

    def _find_reporter(self) -> None:
        reporter = import_class(self._reporter) if isinstance(self._reporter, str) else self._reporter
        self._reporter = with_hooks(reporter() if isinstance(reporter, type) else reporter)
        if not isinstance(self._reporter, Reporter):
            message = (
                f"{type(self).__name__}._reporter has none of the hooks of DefaultReporter (got {self._reporter!r})"
            )
            raise TemplateError(message)


class _TranslatingTemplate(Template):
    """A template whose methods are those of another one, called with actions in the words of this vocabulary."""

    def __init__(self, template: DefaultTemplate, diff: Diff) -> None:
        super().__init__()
        self._template = template
        self._destination = next((one.right.tree for one in diff.branch_diffs), "")
        # The native name under which each is looked up first.
        self._own_names = {native_names(*kind)[0]: name for kind, name in method_names(diff).items()}
        self.on_error, self.destination = template.on_error, template.destination
        self.concurrency, self.retry = template.concurrency, template.retry
        self.waits_for_left_out = template.waits_for_left_out
        self.leaves_out = [native for native, own in self._own_names.items() if own in template.leaves_out]
        self.reporters = (*template.reporters, template._reporter)  # noqa: SLF001 - of this module
        check_retry(template)

    def exclusive_run(self, diff: Diff) -> AbstractContextManager[None]:
        """Keep other runs of the translated template out."""
        return self._template.exclusive_run(diff)

    def plan(self, diff: Diff) -> Plan:
        """Return the steps of an apply, after the check of the methods that they call; under their names here."""
        _check_methods(self._template, diff)
        plan = super().plan(diff)
        names = self._own_names
        steps = (attrs.evolve(step, method=names.get(step.method, step.method)) for step in plan.steps)
        return attrs.evolve(plan, steps=tuple(steps))

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__.get("_own_names", {}).get(name, name if name == "current" else "")
        named = own and (name != "current" or hasattr(type(self._template), name))  # else a `__getattr__` may answer
        method = getattr(self._template, own, None) if named else None
        method = self._template._otherwise if own and method is None and name != "current" else method  # noqa: SLF001 - as above
        if callable(method):
            return self._translated(method)
        message = f"{type(self._template).__name__} has no method for {own or name}"
        raise AttributeError(message)

    def _translated(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def given(actions: Any) -> Any:
            if isinstance(actions, list):
                return [translated(one, self._destination) for one in actions]
            return translated(actions, self._destination)

        def answer(returned: Any, actions: Any) -> Any:
            if isinstance(actions, list) and isinstance(returned, list):  # one an action
                return [native_result(one) for one in returned]
            return native_result(returned)

        if is_asynchronous(method):

            @functools.wraps(method)
            async def awaited(actions: Any) -> Any:
                return answer(await method(given(actions)), actions)

            return awaited

        @functools.wraps(method)  # with its mark, if it takes a batch
        def call(actions: Any) -> Any:
            return answer(method(given(actions)), actions)

        return call


def _check_methods(template: DefaultTemplate, diff: Diff) -> None:
    """Refuse methods of a template that are nearly named after an action of a diff, or that cannot take one.

    Raises:
        DeclarationError: with a sentence for each of them.
    """
    owner, compared = type(template).__name__, set(method_names(diff).values())
    every = compared | set(method_names(diff, everything=True).values())
    if isinstance(template.leaves_out, str):
        message = f"{owner}.leaves_out must be a tuple of names: ({template.leaves_out!r},)"
        raise DeclarationError(message)
    problems = []
    for name in dir(template):
        method = None if name.startswith("_") or isinstance(getattr(type(template), name, None), property) else name
        call = getattr(template, name) if method else None
        if not callable(call):
            continue
        if name in compared:
            problems += [f"{owner}.{name} {fault}" for fault in [fault_of_call(call, 1)] if fault]
        elif name not in every and takes(call, 1) and (meant := misspelt(name, compared - set(dir(template)))):
            problems.append(f"no action calls {owner}.{name}: did you mean {meant!r}?")
    for name in template.leaves_out:
        if name not in every and (meant := misspelt(name, compared)):
            problems.append(f"{owner}.leaves_out names {name!r}, which no action calls: did you mean {meant!r}?")
    if problems:
        raise DeclarationError("; ".join(problems))


class _LookingTemplate(DefaultTemplate):
    """A template that does nothing about any action, so that nothing limits it; a subclass with methods is limited."""

    reporters = ()

    def apply(self, diff: Any, **options: Any) -> Report:
        """Go through a diff, or actions."""
        found: Diff = diff.diff if isinstance(diff, Actions) else diff
        if not any(hasattr(self, name) for name in method_names(found).values()):
            names = [one.name for one in found.branch_diffs]
            numbers: dict[str, Any] = dict.fromkeys(NUMBERS, _ANY)
            options = {"limits": Limits(**numbers, empty=names, first_load=names), **options}
        return super().apply(found, **options)

    def _otherwise(self, action: Action) -> Result:
        self.look(action)
        return dropped_action(method=action.method, info="nothing was called")

    def look(self, action: Action) -> None:
        """Do with an action what the template is for."""


_ANY = 10**9


class LoggerTemplate(_LookingTemplate):
    """Does nothing, and keeps every action: ``template._reporter._log[subbranch][idnumber]``."""

    _reporter = LoggerReporter


class PrintTemplate(_LookingTemplate):
    """Does nothing, and prints every action."""

    def look(self, action: Action) -> None:
        """Print an action."""
        print(action)  # noqa: T201 - it is for that


class TemplateWrapper:
    """A template that carries out some of the actions only, or calls nothing.

    Args:
        template: A template, its class or its import string.
        mock: Whether nothing is called.
        only_these: The names of the methods to call, in one string.
        exclude_these: The names of the methods not to call, likewise.

    >>> wrapper = TemplateWrapper(DefaultTemplate, only_these="new_students old_students")
    """

    def __init__(self, template: Any, *, mock: bool = False, only_these: str = "", exclude_these: str = "") -> None:
        self.template = template_of(template)
        self.mock = mock
        self.only_these = _names(only_these)
        self.exclude_these = _names(exclude_these)

    def apply(self, diff: Any, **options: Any) -> Report:
        """Apply a diff, or actions, with the options of `Template.apply`.

        Raises:
            DeclarationError: if a name is nearly that of a method.
        """
        found: Diff = diff.diff if isinstance(diff, Actions) else diff
        self._check(set(method_names(found).values()))
        destination = next((one.right.tree for one in found.branch_diffs), "")

        def wanted(action: NativeAction) -> bool:
            name = method_name(action.verb, action.branch, action.attr, destination)
            return name not in self.exclude_these and (not self.only_these or name in self.only_these)

        report: Report = self.template.apply(found, **{"only": wanted, "mock": self.mock, **options})
        return report

    def _check(self, known: set[str]) -> None:
        for name in {*self.only_these, *self.exclude_these} - known:
            if meant := misspelt(name, known):
                message = f"no action calls {name!r}: did you mean {meant!r}?"
                raise DeclarationError(message)


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", text or "") if name]
