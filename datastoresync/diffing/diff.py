"""The difference of two sides: what the right one must do to become the left one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any, Protocol, Self, TypedDict, TypeVar, overload

import attrs

from datastoresync.diffing.action import Action, branch_outline, counts_of, stat_line
from datastoresync.diffing.branch_diff import (
    BranchDiff,
    actions_between,
    actions_in_order,
    materialize_pairs,
    moves_between,
    ranks_of,
)
from datastoresync.diffing.compare import Block, Candidates, Engine, engine_of
from datastoresync.diffing.filters import Filter, predicate
from datastoresync.diffing.flags import Exclusion, Flags
from datastoresync.diffing.hierarchy import Hierarchy, scope_of
from datastoresync.diffing.nested import Node, Siblings, in_tree_order, nodes_of
from datastoresync.diffing.schema_check import check_attributes, check_types, refuse
from datastoresync.diffing.side import Side
from datastoresync.diffing.streaming import StreamedActions, StreamedPart
from datastoresync.errors import ComparisonError, TemplateError
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable
from datastoresync.printing.text import clipped, counted, visible


def explained(branch_diffs: Sequence[BranchDiff], left_out: Counter[str]) -> str:
    """Return which engine compared each branch and why, what it had to look at, and what is in memory and why.

    Args:
        branch_diffs: The branches that were compared.
        left_out: How many actions of each verb flags left out.
    """
    if not branch_diffs:
        return "nothing was compared"
    lines = []
    for one in branch_diffs:
        left, right = one.sizes
        lines.append(
            f"{one.name or one.right.owner}: {one.engine} engine, since {one.reason}; {counted(left, 'object')} "
            f"against {right:,}, {one.pairs:,} in both, {one.candidates:,} of them worth a look; "
            f"attributes: {', '.join(one.right.attributes) or 'none'}"
        )
        lines += [f"  {side.name} is in memory: {side.reason}" for side in one.both if side.reason]
    named = {one.name for one in branch_diffs}
    apart = [f"{one.name}: what it holds of {child}" for one in branch_diffs for child in one.right.held - named]
    lines += [f"not compared: {what}" for what in sorted(apart)]
    if left_out:
        lines.append("left out by flags: " + " ".join(f"{verb}={count}" for verb, count in left_out.items()))
    return "\n".join(lines)


Progress = Callable[[str, int, int], Any]
"""Hears how far a run is: the stage, ``"diff"`` or ``"sync"``, how many are done, and how many there are."""


class DiffKeywords(TypedDict, total=False):
    """The keywords of every comparison of branches or trees, for type checkers and editors; see `Tree.diff`."""

    only: Filter
    exclude: Filter
    flags: Flags | None
    progress: Progress | None


R_co = TypeVar("R_co", covariant=True)


class Applies(Protocol[R_co]):
    """The right operand of ``|``: anything with a method ``apply`` that takes a diff."""

    def apply(self, diff: Any, /) -> R_co:
        """Carry out a diff."""
        ...


def template_of(template: Any) -> Any:
    """Return the template itself, an instance of the class, or the one that an import string names.

    Raises:
        TemplateError: if that has no ``apply``, or the import string names nothing.
    """
    found = template
    if isinstance(found, str):
        module, dot, name = found.replace(":", ".").rpartition(".")
        if not dot:
            message = f"{template!r} is no import string: write 'package.module.Template'"
            raise TemplateError(message)
        try:
            found = getattr(import_module(module), name)
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


@attrs.frozen(eq=False, repr=False)
class Diff(Printable):
    """The actions that make a destination become its source: creations, then updates, then deletions.

    It is iterable, sized, indexable, true if anything differs, and frozen. Two diffs are equal if their actions are.

    Args:
        actions: In the order in which they are carried out.
        branch_diffs: The branches that were compared.
        hierarchies: Whose child each object of the source, and of the destination, is.
        exclusion: What flags left out.
        arranged: Whether the order of the actions is somebody's choice, which a plan must keep.
    """

    actions: Sequence[Action]
    branch_diffs: tuple[BranchDiff, ...] = ()
    hierarchies: tuple[Hierarchy, Hierarchy] = attrs.field(default=(Hierarchy({}), Hierarchy({})))
    exclusion: Exclusion | None = None
    arranged: bool = False
    _by_name: dict[str, BranchDiff] = attrs.field(init=False)

    @_by_name.default
    def _by_their_names(self) -> dict[str, BranchDiff]:
        return {one.name: one for one in self.branch_diffs}

    @classmethod
    def between(
        cls,
        sides: Iterable[tuple[Side, Side]],
        *,
        engine: Engine | None = None,
        around: Iterable[tuple[Side, Side]] = (),
        top_level: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
        flags: Flags | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Compare pairs of a source's and a destination's side.

        Args:
            sides: The pairs; their classes' ``_children`` make a hierarchy of them.
            engine: Finds where they may differ.
            around: The pairs of all branches, where only some are compared: what is above an object may lie there.
            top_level: The branches of the source, and of the destination, whose objects and what is below them are
                compared; None for all.
            flags: What this run leaves alone.
            progress: Called with ``"diff"``, how many objects were compared and how many there are.

        Raises:
            SchemaMismatchError: if some pair cannot be compared; it names every reason, in all branches.
            ComparisonError: if a property raises.
            HierarchyError: if an object has several parents, or is below itself.
        """
        pairs = list(sides)
        problems = [problem for left, right in pairs for problem in check_attributes(left, right)]
        refuse(problems)
        by_name = _by_name([*around, *pairs])
        hierarchies = (Hierarchy(by_name[0]), Hierarchy(by_name[1]))
        pairs = scope_of(pairs, hierarchies, top_level)
        by_name = _by_name([*around, *pairs])
        found: list[tuple[BranchDiff, Candidates, list[Block] | None]] = []
        done, total = 0, sum(len(side.objects) for pair in pairs for side in pair)
        for left, right in pairs:
            chosen = engine or engine_of(left, right)
            candidates = chosen.candidates(left, right)
            read = materialize_pairs(left, right, candidates)
            problems += check_types(left, right, read or candidates.read(left, right), matched=candidates.matched)
            sizes = (len(left.objects), len(right.objects))
            about = (candidates.engine or chosen.name, len(candidates.pairs), candidates.matched, candidates.reason)
            found.append((BranchDiff(left, right, sizes, *about), candidates, read))
            if progress is not None and any(sizes):
                done += sizes[0] + sizes[1]
                progress("diff", done, total)
        refuse(problems)
        branch_diffs = tuple(one for one, *_ in found)
        own = (chain(*actions_between(*one)) for one in found if not one[1].streamed)
        actions: Iterable[Action] = chain(*own, moves_between(hierarchies, branch_diffs))
        exclusion = Exclusion(by_name, hierarchies, flags)
        if exclusion.flagged:
            actions = [action for action in actions if exclusion.keeps(action)]
        ordered: Sequence[Action] = actions_in_order(actions, branch_diffs, hierarchies)
        parts = [StreamedPart(one, candidates) for one, candidates, _ in found if candidates.streamed]
        if parts:
            ordered = StreamedActions(parts, ordered, ranks_of(branch_diffs))
            if exclusion.flagged:
                ordered = ordered.where(exclusion.keeps_streamed)
        return cls(ordered, branch_diffs, hierarchies, exclusion)

    @property
    def streamed(self) -> bool:
        """Whether the actions are too many for the memory, and are made anew whenever somebody goes through them."""
        return isinstance(self.actions, StreamedActions)

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
            return self._of(self.actions[index])
        return self.actions[index]

    def _of(self, actions: Iterable[Action]) -> Diff:
        """Return the same comparison with other actions."""
        return attrs.evolve(self, actions=tuple(actions))

    def _where(self, wanted: Callable[[Action], bool]) -> Diff:
        """Return the same comparison with some of its actions."""
        if isinstance(self.actions, StreamedActions):
            return attrs.evolve(self, actions=self.actions.where(wanted))
        return self._of(filter(wanted, self.actions))

    def __eq__(self, other: object) -> bool:
        return self.actions == other.actions if isinstance(other, Diff) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), len(self.actions)))

    def inverse(self) -> Diff:
        """Return the diff that undoes this one; the same as ``-diff``, and equal to ``dest - source``."""
        branch_diffs = tuple(one.inverse() for one in self.branch_diffs)
        hierarchies = self.hierarchies[::-1]
        if isinstance(self.actions, StreamedActions):
            others = actions_in_order((action.inverse() for action in self.actions.others), branch_diffs, hierarchies)
            return Diff(self.actions.inverse(others, ranks_of(branch_diffs)), branch_diffs, hierarchies)
        actions = actions_in_order((action.inverse() for action in self.actions), branch_diffs, hierarchies)
        return Diff(actions, branch_diffs, hierarchies)

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
        return self._where(wanted)

    def exclude(self, *terms: Filter, **names: Any) -> Diff:
        """Return the diff without the actions that one of the terms means; see `only`."""
        unwanted = self._predicate([*terms, names] if names else list(terms))
        return self._where(lambda action: not unwanted(action))

    def filtered(self, only: Filter = None, exclude: Filter = None) -> Diff:
        """Return the diff after both filters, each of which may be None."""
        diff = self if only is None else self.only(only)
        return diff if exclude is None else diff.exclude(exclude)

    def _predicate(self, terms: Sequence[Filter]) -> Any:
        attributes = {
            one.name: sorted({name for side in (one.left, one.right) for name in (*side.attributes, *side.holding)})
            for one in self.branch_diffs
        }
        return predicate(terms, branches=list(attributes), attributes=attributes)

    @property
    def counts(self) -> Counter[str]:
        """How many actions there are of each verb."""
        return self.actions.counts if isinstance(self.actions, StreamedActions) else counts_of(self.actions)

    @property
    def stat(self) -> str:
        """One line to search logs for: every verb with its count, always in this order.

        >>> Diff(()).stat
        'new=0 update=0 add=0 remove=0 old=0 total=0'
        """
        return stat_line(self.counts)

    @property
    def left_out(self) -> Counter[str]:
        """How many actions of each verb flags left out."""
        return Counter() if self.exclusion is None else Counter(self.exclusion.counts)

    @property
    def nested(self) -> bool:
        """Whether some of the objects that were compared are children of others."""
        return any(self.hierarchies)

    @property
    def children(self) -> tuple[Node, ...]:
        """What differs, as a tree: the objects that are below no other, each with those below it."""
        sides = _by_name([(one.left, one.right) for one in self.branch_diffs])
        for mine, hierarchy in zip(sides, self.hierarchies, strict=True):
            mine.update(hierarchy.sides)
        return nodes_of(self.actions, sides, self.hierarchies)

    def in_tree_order(self, order: Siblings | None = None) -> Diff:
        """Return the same diff with its actions parent by parent; what is deleted comes after what is below it.

        Args:
            order: Takes a branch and the nodes of it that have one parent, and returns them in the order wanted.
        """
        return attrs.evolve(self, actions=tuple(in_tree_order(self.children, order)), arranged=True)

    @property
    def title(self) -> str:
        """What is compared with what, as far as it has names."""
        names = {(one.left.tree, one.right.tree) for one in self.branch_diffs}
        left, right = names.pop() if len(names) == 1 else ("", "")
        return f"{left or 'source'} - {right or 'dest'}"

    def explain(self) -> str:
        """Return which engine compared each branch and why, and what it had to look at."""
        return explained(self.branch_diffs, self.left_out)

    def values(self, action: Action) -> dict[str, Any]:
        """Return all that is synced of an action's object, as the source has it, or the destination for ``old``."""
        branch_diff = self._branch_diff(action)
        side = branch_diff.right if action.verb == "old" else branch_diff.left
        item = action.dest if action.verb == "old" else action.source
        return {name: side.read(action.idnumber, item, name) for name in side.attributes}

    def fold(self, action: Action, created: Any = None) -> None:
        """Note in the destination's branch, in memory, that an action was carried out.

        Args:
            action: What was done.
            created: The object that a template returned for a new one, if any.
        """
        branch_diff = self._branch_diff(action)
        if self.streamed:
            if branch_diff.right.folded_all is not None:
                branch_diff.right.folded_all()
            return
        branch_diff.carried_out[action.verb].add(action.idnumber)
        if branch_diff.right.fold is None:
            return
        values: dict[str, Any] = {}
        if action.verb == "new":
            values = self.values(action) if created is None else {}
            for field in branch_diff.left.holding if branch_diff.right.sparse and created is None else ():
                values[field] = type(branch_diff.left.read(action.idnumber, action.source, field))()  # no children yet
        elif action.verb in ("add", "remove") and action.source is not None:
            values = {action.attr: branch_diff.left.read(action.idnumber, action.source, action.attr)}
        child = self.hierarchies[1].child_branch(action.branch, action.attr) if action.verb == "update" else None
        if child is not None:  # a child that could not be created is not there to be held
            there = self.hierarchies[1].sides[child].objects
            action = attrs.evolve(action, value=[member for member in action.value or () if member in there])
        branch_diff.right.fold(action, values, created)
        if action.verb in ("new", "old"):
            self._fold_into_parent(action)

    def fold_all(self, actions: Iterable[Action]) -> Iterator[Action]:
        """Note that actions were carried out, many at once; yield those that the caller must `fold` one by one.

        Nothing is noted of those that are yielded. The others are noted as `fold` would.
        """
        for (branch, verb), group in groupby(actions, key=attrgetter("branch", "verb")):
            some = list(group)
            branch_diff = None if self.nested or self.streamed else self._by_name.get(branch)
            if branch_diff is None or not _fold_columns(branch_diff, verb, some):
                yield from some

    def _fold_into_parent(self, action: Action) -> None:
        """Let the destination's parent hold a child that is new, and let go of one that is gone."""
        verb, hierarchy = ("add", self.hierarchies[0]) if action.verb == "new" else ("remove", self.hierarchies[1])
        holder = hierarchy.holder(action.branch, action.idnumber)
        if holder is not None:
            branch, parent, field = holder
            right = self.hierarchies[1].sides[branch]
            computed = isinstance(getattr(type(right.objects.get(parent)), field, None), property)
            if right.fold is not None and not computed:
                right.fold(Action(verb, branch, parent, field, action.idnumber), {}, None)

    def _branch_diff(self, action: Action) -> BranchDiff:
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
        if self.nested:
            return self.text(lines=_LINES, columns=_COLUMNS)
        shown = _LINES if len(self.actions) <= _LINES else _LINES - 2
        lines = [clipped(visible(action.message), _COLUMNS) for action in islice(self.actions, shown)]
        if len(self.actions) > shown:
            lines += [f"… and {len(self.actions) - shown:,} more", self.stat]
        return "\n".join(lines)

    def __outline__(self) -> Outline:
        """Describe the diff: a line a branch, and its actions by verb where they are many; or its objects as a tree."""
        if self.nested:
            nodes = self.children
            nested = (node.__outline__() for node in nodes)
            return Outline(self.title, "diff", self.stat, lambda: nested, len(nodes), expanded=True)
        groups: dict[str, list[Action]] = {one.name: [] for one in self.branch_diffs}
        for action in islice(self.actions, _STREAMED) if self.streamed else self.actions:
            groups.setdefault(action.branch, []).append(action)
        changed = [(name, actions) for name, actions in groups.items() if actions]
        lines = [branch_outline(name, actions) for name, actions in changed]
        return Outline(self.title, "diff", self.stat, lambda: lines, len(lines), expanded=True)


_LINES, _COLUMNS = 25, 100
_STREAMED = 1000
"""Actions of a streamed diff that are there to look at."""


def _fold_columns(branch_diff: BranchDiff, verb: str, actions: Sequence[Action]) -> bool:
    """Note actions of one verb in one branch, column by column; return False if nothing was noted."""
    left, fold_all = branch_diff.left, branch_diff.right.fold_all
    if fold_all is None or verb not in ("new", "update", "old") or left.holding:
        return False
    columns: Mapping[str, Sequence[Any]] = {}
    keys = [action.idnumber for action in actions]
    if verb == "new":
        try:
            columns = left.columns(keys, [action.source for action in actions])
        except ComparisonError:  # a property of one object raises now: folded alone, it says which
            return False
    if not fold_all(verb, actions, columns):
        return False
    branch_diff.carried_out[verb].update(keys)
    return True


def _by_name(pairs: Iterable[tuple[Side, Side]]) -> tuple[dict[str, Side], dict[str, Side]]:
    """Return the sides of the source and of the destination by branch, as the last pair has them."""
    pairs = list(pairs)
    return {left.branch: left for left, _ in pairs}, {right.branch: right for _, right in pairs}
