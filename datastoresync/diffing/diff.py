"""The difference of two sides: what the right one must do to become the left one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Self, overload

import attrs

from datastoresync.diffing.action import VERBS, Action
from datastoresync.diffing.compared import Compared, actions_between, actions_in_order
from datastoresync.diffing.engine import Candidates, Engine, InMemoryEngine
from datastoresync.diffing.filters import Filter, predicate
from datastoresync.diffing.operand import Applies, R_co, template_of
from datastoresync.diffing.schema import check_attributes, check_types, refuse
from datastoresync.diffing.side import Side
from datastoresync.printing.outline import Outline
from datastoresync.printing.shown import Shown
from datastoresync.printing.visible import clipped, visible
from datastoresync.printing.words import counted

__all__ = ["Diff"]


@attrs.frozen(eq=False, repr=False)
class Diff(Shown):
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
        actions = chain.from_iterable(actions_between(compared, candidates) for compared, candidates in found)
        compared = tuple(compared for compared, _ in found)
        return cls(actions_in_order(actions, compared), compared)

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
        return Diff(actions_in_order((action.inverse() for action in self.actions), compared), compared)

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
        attributes = {one.name: sorted({*one.left.attributes, *one.right.attributes}) for one in self.compared}
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
        compared.carried_out[action.verb].add(action.idnumber)
        if compared.right.fold is None:
            return
        values: dict[str, Any] = {}
        if action.verb == "new":
            values = self.values(action)
        elif action.verb in ("add", "remove"):
            values = {action.attr: compared.left.read(action.idnumber, action.source, action.attr)}
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
