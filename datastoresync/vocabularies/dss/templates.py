"""Actions and templates in the words of the first datastoresync."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from datastoresync.applying.plan import Plan, Step, is_asynchronous
from datastoresync.applying.report import Report
from datastoresync.applying.template import Template
from datastoresync.diffing import action as native
from datastoresync.diffing.branch_diff import Streamed
from datastoresync.diffing.diff import Diff, template_of
from datastoresync.vocabularies.dss.names import named


@attrs.frozen(repr=False, eq=False)
class Action(native.Action):
    """One step: also with ``func_name``, the method that carries it out, and ``attribute``."""

    @classmethod
    def of(cls, action: native.Action) -> Action:
        """Return an action of this class."""
        return cls(*attrs.astuple(action, recurse=False))

    @property
    def func_name(self) -> str:
        """The name of the template's method: ``update_name``."""
        return self.method

    @property
    def attribute(self) -> str:
        """The attribute; empty for a whole object."""
        return self.attr


class Actions(Iterable[Action]):
    """The result of ``source - dest``: actions, as often as they are iterated over.

    ``next()`` iterates once, like the generator that it was. ``| template`` carries them out.

    Args:
        diff: The difference.
    """

    def __init__(self, diff: Diff) -> None:
        self.diff = diff
        self._left: Iterator[Action] | None = None

    def __iter__(self) -> Iterator[Action]:
        return map(Action.of, self.diff)

    def __next__(self) -> Action:
        if self._left is None:
            self._left = iter(self)
        return next(self._left)

    def __len__(self) -> int:
        return len(self.diff)

    def __or__(self, template: Any) -> Report:
        report: Report = template_for(template).apply(self.diff)
        return report

    def __repr__(self) -> str:
        return repr(self.diff)


class DefaultTemplate(Template):
    """Carries out changes. Subclass it, with methods that are named by ``func_name`` of the actions.

    It is a `Template` whose methods get an `Action` of this module; a class that is none becomes one.
    """

    def plan(self, diff: Diff) -> Plan:
        """Return the steps of an apply."""
        plan = super().plan(diff)
        calls: dict[str, Callable[[Any], Any]] = {}

        def translated(step: Step) -> Step:
            if step.call is None:
                return step
            if step.method not in calls:
                calls[step.method] = _translating(step.call)
            return attrs.evolve(step, call=calls[step.method])

        streamed = Streamed(lambda: map(translated, plan.steps))
        return attrs.evolve(plan, steps=streamed if diff.streamed else tuple(streamed))


def _translating(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def given(actions: Any) -> Any:
        return list(map(Action.of, actions)) if isinstance(actions, list) else Action.of(actions)

    if is_asynchronous(method):

        @functools.wraps(method)
        async def awaited(actions: Any) -> Any:
            return await method(given(actions))

        return awaited

    @functools.wraps(method)
    def call(actions: Any) -> Any:
        return method(given(actions))

    return call


def template_for(given: Any) -> Any:
    """Return a template that calls the methods of another one, or of a class that is none.

    Args:
        given: A template or any object with such methods, its class, or ``"module.Class"``.

    Raises:
        DeclarationError: if a text names nothing.
        TemplateError: if it is none of these.
    """
    template = named(given)
    if isinstance(template, type):
        template = template()
    cls = type(template)
    if not callable(getattr(template, "apply", None)) and hasattr(template, "__dict__") and not callable(template):
        template.__class__ = type(cls.__name__, (cls, DefaultTemplate), {"__module__": cls.__module__})
    return template_of(template)
