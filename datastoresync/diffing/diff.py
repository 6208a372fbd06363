"""The difference of two sides: what the right one must do to become the left one."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby, islice
from typing import Any, Protocol, Self, TypeVar, overload

import attrs

from datastoresync.diffing.action import VERBS, Action
from datastoresync.diffing.engine import Candidates, Engine, InMemoryEngine
from datastoresync.diffing.filters import Filter, predicate
from datastoresync.diffing.order import in_order
from datastoresync.diffing.schema import check_attributes, check_types, refuse
from datastoresync.diffing.side import Side
from datastoresync.diffing.values import equal, is_membership, membership_changes
from datastoresync.errors import TemplateError
from datastoresync.printing.html import html
from datastoresync.printing.outline import Outline
from datastoresync.printing.text import text
from datastoresync.printing.visible import clipped, visible
from datastoresync.printing.words import counted

__all__ = ["Compared", "Diff", "template_of"]

R_co = TypeVar("R_co", covariant=True)


class Applies(Protocol[R_co]):
    """A template, as far as ``|`` must know it."""

    def apply(self, diff: Diff, /) -> R_co:
        """Carry out a diff."""
        ...


@attrs.frozen(eq=False)
class Compared:
    """One branch of a comparison, and how it went.

    Args:
        left: The source.
        right: The destination.
        sizes: How many objects the source and the destination had.
        engine: The engine's name.
        candidates: How many pairs the engine named.
        pairs: How many keys both sides have.
        why: Why this engine ran.
    """

    left: Side
    right: Side
    sizes: tuple[int, int]
    engine: str = ""
    candidates: int = 0
    pairs: int = 0
    why: str = ""

    @property
    def name(self) -> str:
        """The branch's name."""
        return self.right.branch or self.left.branch

    def inverse(self) -> Compared:
        """Return the same with the sides changed."""
        return attrs.evolve(self, left=self.right, right=self.left, sizes=self.sizes[::-1])


@attrs.frozen(eq=False, repr=False)
class Diff:
    """The actions that make a destination become its source: creations, then updates, then deletions.

    It is iterable, sized, indexable, true if anything differs, and frozen. Two diffs are equal if their actions are.

    Args:
        actions: In the order in which they are carried out.
        compared: The branches that were compared.
    """

    actions: tuple[Action, ...]
    compared: tuple[Compared, ...] = ()
    _by_name: dict[str, Compared] = attrs.field(init=False)

    @_by_name.default
    def _by_their_names(self) -> dict[str, Compared]:
        return {one.name: one for one in self.compared}

    @classmethod
    def between(cls, sides: Iterable[tuple[Side, Side]], *, engine: Engine | None = None) -> Self:
        """Compare pairs of a source's and a destination's side.

        Raises:
            SchemaMismatchError: if some pair cannot be compared; it names every reason, in all branches.
            ComparisonError: if a property raises.
        """
        pairs = list(sides)
        engine = engine or InMemoryEngine()
        problems = [problem for left, right in pairs for problem in check_attributes(left, right)]
        refuse(problems)
        found: list[tuple[Compared, Candidates]] = []
        for left, right in pairs:
            candidates = engine.candidates(left, right)
            problems += check_types(left, right, candidates, compared=candidates.compared)
            sizes = (len(left.objects), len(right.objects))
            about = (engine.name, len(candidates.pairs), candidates.compared, candidates.why)
            found.append((Compared(left, right, sizes, *about), candidates))
        refuse(problems)
        actions = chain.from_iterable(_actions(compared, candidates) for compared, candidates in found)
        compared = tuple(compared for compared, _ in found)
        return cls(_in_order(actions, compared), compared)

    def __iter__(self) -> Iterator[Action]:
        return iter(self.actions)

    def __len__(self) -> int:
        return len(self.actions)

    def __bool__(self) -> bool:
        return bool(self.actions)

    @overload
    def __getitem__(self, index: int) -> Action: ...
    @overload
    def __getitem__(self, index: slice) -> Diff: ...
    def __getitem__(self, index: int | slice) -> Action | Diff:
        if isinstance(index, slice):
            return Diff(self.actions[index], self.compared)
        return self.actions[index]

    def __eq__(self, other: object) -> bool:
        return self.actions == other.actions if isinstance(other, Diff) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), len(self.actions)))

    def inverse(self) -> Diff:
        """Return the diff that undoes this one; the same as ``-diff``, and equal to ``dest - source``."""
        compared = tuple(one.inverse() for one in self.compared)
        return Diff(_in_order((action.inverse() for action in self.actions), compared), compared)

    def __neg__(self) -> Diff:
        return self.inverse()

    def only(self, *terms: Filter, **names: Any) -> Diff:
        """Return the diff of the actions that one of the terms means.

        A term is a verb, a branch, ``".attribute"``, ``"branch.attribute"``, a mapping or a function; names are
        ``verb``, ``branch``, ``attr`` and ``idnumber``, which must all hold.

        Raises:
            FilterError: if a term names what is not there.
        """
        wanted = self._predicate([*terms, names] if names else list(terms))
        return Diff(tuple(action for action in self.actions if wanted(action)), self.compared)

    def exclude(self, *terms: Filter, **names: Any) -> Diff:
        """Return the diff without the actions that one of the terms means; see `only`."""
        unwanted = self._predicate([*terms, names] if names else list(terms))
        return Diff(tuple(action for action in self.actions if not unwanted(action)), self.compared)

    def filtered(self, only: Filter = None, exclude: Filter = None) -> Diff:
        """Return the diff after both filters, each of which may be None."""
        diff = self if only is None else self.only(only)
        return diff if exclude is None else diff.exclude(exclude)

    def _predicate(self, terms: Sequence[Filter]) -> Any:
        attributes = {one.name: {*one.left.attributes, *one.right.attributes} for one in self.compared}
        return predicate(terms, branches=list(attributes), attributes=attributes)

    @property
    def counts(self) -> Counter[str]:
        """How many actions there are of each verb."""
        found = Counter(action.verb for action in self.actions)
        return Counter({verb: found[verb] for verb in VERBS})

    @property
    def stat(self) -> str:
        """One line to search logs for: every verb with its count, always in this order.

        >>> Diff(()).stat
        'new=0 update=0 add=0 remove=0 old=0 total=0'
        """
        return " ".join([*(f"{verb}={count}" for verb, count in self.counts.items()), f"total={len(self)}"])

    @property
    def title(self) -> str:
        """What is compared with what, as far as it has names."""
        names = {(one.left.tree, one.right.tree) for one in self.compared}
        left, right = names.pop() if len(names) == 1 else ("", "")
        return f"{left or 'source'} - {right or 'dest'}"

    def explain(self) -> str:
        """Return which engine compared each branch and why, and what it had to look at."""
        if not self.compared:
            return "nothing was compared"
        lines = []
        for one in self.compared:
            left, right = one.sizes
            lines.append(
                f"{one.name or one.right.owner}: {one.engine} engine, since {one.why}; {counted(left, 'object')} "
                f"against {right:,}, {one.pairs:,} in both, {one.candidates:,} of them worth a look; "
                f"attributes: {', '.join(one.right.attributes) or 'none'}"
            )
        return "\n".join(lines)

    def values(self, action: Action) -> dict[str, Any]:
        """Return all that is synced of an action's object, as the source has it, or the destination for ``old``."""
        compared = self._compared(action)
        side = compared.right if action.verb == "old" else compared.left
        item = action.dest if action.verb == "old" else action.source
        return {name: side.read(action.idnumber, item, name) for name in side.attributes}

    def fold(self, action: Action) -> None:
        """Note in the destination's branch, in memory, that an action was carried out."""
        compared = self._compared(action)
        if compared.right.fold is not None:
            if action.verb == "new":
                values = self.values(action)
            elif action.verb == "remove":
                values = {action.attr: compared.left.read(action.idnumber, action.source, action.attr)}
            else:
                values = {}
            compared.right.fold(action, values)

    def _compared(self, action: Action) -> Compared:
        return self._by_name[action.branch]

    def __or__(self, template: Applies[R_co] | type[Applies[R_co]] | str) -> R_co:
        applied: R_co = template_of(template).apply(self)
        return applied

    def __rshift__(self, other: object) -> Any:
        message = "a diff is applied with `|`: source - dest | Template, or source >> dest for dest's own template"
        raise TypeError(message)

    def __repr__(self) -> str:
        if not self.actions:
            return "<Diff: no differences>"
        shown = _LINES if len(self.actions) <= _LINES else _LINES - 2
        lines = [clipped(visible(action.message), _COLUMNS) for action in islice(self.actions, shown)]
        if len(self.actions) > shown:
            lines += [f"… and {len(self.actions) - shown:,} more", self.stat]
        return "\n".join(lines)

    def __outline__(self) -> Outline:
        """Describe the diff: a line a branch; below it its actions, by verb where they are many."""
        groups: dict[str, list[Action]] = {one.name: [] for one in self.compared}
        for action in self.actions:
            groups.setdefault(action.branch, []).append(action)
        changed = [(name, actions) for name, actions in groups.items() if actions]
        lines = [_branch_outline(name, actions) for name, actions in changed]
        return Outline(self.title, "diff", self.stat, lambda: lines, len(lines), expanded=True)

    def text(self, *, lines: int | None = 25, columns: int | None = 100, colour: bool = False) -> str:
        """Return the diff as an indented text, by branch."""
        return text(self.__outline__(), lines=lines, columns=columns, colour=colour)

    def _repr_html_(self) -> str:
        return html(self.__outline__())


_LINES, _COLUMNS = 25, 100

_FEW = 12
"""How many actions of a branch are listed as they come; more are listed by verb."""


def _branch_outline(name: str, actions: list[Action]) -> Outline:
    note = Diff(tuple(actions)).stat
    if len(actions) <= _FEW:
        return Outline(name or "objects", "branch", note, partial(_outlines, actions), len(actions), expanded=True)
    verbs = {verb: [action for action in actions if action.verb == verb] for verb in VERBS}
    lines = [_verb_outline(verb, some, name or "object") for verb, some in verbs.items() if some]
    return Outline(name or "objects", "branch", note, lambda: lines, len(lines), expanded=True)


def _verb_outline(verb: str, actions: list[Action], branch: str) -> Outline:
    objects = len({action.idnumber for action in actions})
    note = f"{objects:,} {branch}"
    if len(actions) > objects:
        note += f", {counted(len(actions), 'value')}"
    return Outline(verb, verb, note, partial(_outlines, actions), len(actions))


def _outlines(actions: Iterable[Action]) -> Iterator[Outline]:
    return (action.__outline__() for action in actions)


def template_of(template: Any) -> Any:
    """Return the template that is meant: itself, an instance of it, or what an import string names.

    Raises:
        TemplateError: if that is no template.
    """
    found = template
    if isinstance(found, str):
        module, dot, name = found.replace(":", ".").rpartition(".")
        if not dot:
            message = f"{template!r} is no import string: write 'package.module.Template'"
            raise TemplateError(message)
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            message = f"{template!r} leads nowhere: {error}"
            raise TemplateError(message) from error
    if isinstance(found, type):
        if not callable(getattr(found, "apply", None)):
            message = f"{found.__name__} is no template: make it a subclass of datastoresync.Template"
            raise TemplateError(message)
        found = found()
    if not callable(getattr(found, "apply", None)):
        message = f"a template, its class or its import string goes right of `|` (got {template!r})"
        raise TemplateError(message)
    return found


def _actions(compared: Compared, candidates: Candidates) -> Iterator[Action]:
    left, right, branch = compared.left, compared.right, compared.name
    for key in candidates.new:
        yield Action("new", branch, key, source=left.objects[key])
    for key, one, other in candidates:
        for name in left.attributes:
            value, old_value = left.read(key, one, name), right.read(key, other, name)
            if is_membership(value) and is_membership(old_value):
                added, removed = membership_changes(value, old_value)
                for member in added:
                    yield Action("add", branch, key, name, member, source=one, dest=other)
                for member in removed:
                    yield Action("remove", branch, key, name, member, source=one, dest=other)
            elif not equal(value, old_value):
                yield Action("update", branch, key, name, value, old_value, one, other)
    for key in candidates.old:
        yield Action("old", branch, key, dest=right.objects[key])


def _in_order(actions: Iterable[Action], compared: Sequence[Compared]) -> tuple[Action, ...]:
    """Put creations first, parents before children, then updates, then deletions, children before parents."""
    ranks = {name: rank for rank, name in enumerate(_branch_order(compared))}
    phases = {"new": 0, "old": 2}

    def place(action: Action) -> tuple[int, int]:
        phase = phases.get(action.verb, 1)
        rank = ranks.get(action.branch, 0)
        return phase, -rank if phase == 2 else rank

    ordered: list[Action] = []
    for _, group in groupby(
        sorted(actions, key=place), key=lambda action: (action.branch, action.idnumber, action.attr)
    ):
        ordered += sorted(group, key=lambda action: action.verb)
    return tuple(ordered)


def _branch_order(compared: Sequence[Compared]) -> list[str]:
    after: dict[str, set[str]] = {one.name: set() for one in compared}
    for one in compared:
        for side in (one.left, one.right):
            after[one.name].update(name for name in side.references.values() if name != one.name)
            for child in side.children:
                after.setdefault(child, set()).add(one.name)
    return in_order([one.name for one in compared], after, circles=True)
