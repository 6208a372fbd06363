"""A diff: the actions that make a destination equal to its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any, Protocol, Self, TypedDict, TypeVar, overload

import attrs

from datastoresync.diffing.action import Action, counts_of, stat_line
from datastoresync.diffing.branch_diff import (
    BranchDiff,
    StreamedActions,
    StreamedPart,
    actions_between,
    branch_ranks,
    explanation,
    lists_apart,
    materialize_pairs,
    moves_between,
    ordered_actions,
    ordered_runs,
)
from datastoresync.diffing.change_table import MOST, Ticks, columns_of
from datastoresync.diffing.common_form import in_common_forms, warn_of_lookalikes
from datastoresync.diffing.export_rows import COLUMNS, Row, rows_of
from datastoresync.diffing.filters import Filter, attributes_of, hides, predicate
from datastoresync.diffing.flags import Exclusion, Flags
from datastoresync.diffing.hierarchy import Hierarchy, scope_of
from datastoresync.diffing.listing import SCANNED, Scan, branch_outlines, shown_sides, whole_outlines
from datastoresync.diffing.nested import NestedDiff, SiblingOrder, actions_by_parent, nested_diffs
from datastoresync.diffing.schema_check import check_attributes, check_types, raise_problems
from datastoresync.diffing.side import Block, Candidates, Engine, Side, engine_of
from datastoresync.errors import ComparisonError, TemplateError, noted_warnings
from datastoresync.exporting.export import Export
from datastoresync.exporting.exportable import Exportable
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import BoundedPrintable

Progress = Callable[[str, int, int], Any]
"""Called with the stage (``"import"``, ``"diff"``, ``"sync"``), the number done and the total; 0 if that is unknown."""


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
class Diff(BoundedPrintable, Exportable):
    """The actions that make a destination equal to its source: creations, then updates, then deletions.

    A frozen sequence, true if anything differs. Two diffs are equal if their actions are.

    Args:
        actions: In the order in which they are carried out.
        branch_diffs: The branches that were compared.
        hierarchies: The parents of the objects of the source, and of the destination.
        exclusion: The actions that flags leave out.
        arranged: Whether the caller chose the order of the actions, so that a plan must keep it.
        partial: Whether actions of the comparison may have been left out by a filter.
        hidden: Attributes that were excluded, as branch and name, and are not shown of new and deleted objects either;
            of an empty branch, those of all.
    """

    actions: Sequence[Action]
    branch_diffs: tuple[BranchDiff, ...] = ()
    hierarchies: tuple[Hierarchy, Hierarchy] = attrs.field(default=(Hierarchy({}), Hierarchy({})))
    exclusion: Exclusion | None = None
    arranged: bool = False
    partial: bool = False
    hidden: frozenset[tuple[str, str]] = frozenset()
    _by_name: dict[str, BranchDiff] = attrs.field(init=False)
    _ticks: Ticks = attrs.field(init=False, factory=Ticks)

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
        """Compare the branches of a source and a destination.

        Args:
            sides: The source's and the destination's side of each branch.
            engine: The engine; None for the one that suits the objects.
            around: The sides of all branches, where only some are compared: parents may be in the others.
            top_level: The branches of the source, and of the destination, to compare with all below their objects; None
                for all branches.
            flags: The flags of this run.
            progress: Called with ``"diff"``, the number of objects compared, and the total.

        Raises:
            SchemaMismatchError: if a branch cannot be compared; with a sentence for each problem of all branches.
            ComparisonError: if a property raises.
            HierarchyError: if an object has several parents, or is below itself.
        """
        pairs, related = in_common_forms(sides), in_common_forms(around)
        problems = [problem for left, right in pairs for problem in check_attributes(left, right)]
        raise_problems(problems)
        by_name = _by_name([*related, *pairs])
        hierarchies = (Hierarchy(by_name[0]), Hierarchy(by_name[1]))
        pairs = scope_of(pairs, hierarchies, top_level)
        by_name = _by_name([*related, *pairs])
        exclusion = Exclusion(by_name, hierarchies, flags)
        found: list[tuple[BranchDiff, Candidates, list[Block] | None]] = []
        done, total = 0, sum(len(side.objects) for pair in pairs for side in pair)
        for left, right in pairs:
            chosen = engine or engine_of(left, right)
            with noted_warnings() as said:
                candidates = chosen.candidates(left, right)
                warn_of_lookalikes(left, right, candidates.new, candidates.old)
            read = materialize_pairs(left, right, candidates)
            problems += check_types(left, right, read or candidates.read(left, right), matched=candidates.matched)
            sizes = (len(left.objects), len(right.objects))
            about = (
                candidates.engine or chosen.name,
                len(candidates.pairs),
                candidates.matched,
                candidates.reason,
                tuple(said),
            )
            source = left if candidates.streamed else exclusion.without_ignored(left, candidates.new)
            found.append((BranchDiff(source, right, sizes, *about), candidates, read))
            if progress is not None and any(sizes):
                done += sizes[0] + sizes[1]
                progress("diff", done, total)
        raise_problems(problems)
        branch_diffs = tuple(one for one, *_ in found)
        runs = [list(run) for one in found if not one[1].streamed for run in actions_between(*one)]
        moves = groupby(moves_between(hierarchies, branch_diffs), key=attrgetter("branch"))
        runs += (list(run) for _, run in moves)
        if exclusion.active:
            runs = [list(filter(exclusion.keeps, run)) for run in runs]
        ordered: Sequence[Action] = ordered_runs(runs, branch_diffs, hierarchies)
        parts = [StreamedPart(one, candidates) for one, candidates, _ in found if candidates.streamed]
        if parts:
            ordered = StreamedActions(parts, ordered, branch_ranks(branch_diffs))
            if exclusion.active:
                ordered = ordered.where(exclusion.keeps_streamed)
        return cls(ordered, branch_diffs, hierarchies, exclusion)

    @property
    def streamed(self) -> bool:
        """Whether the actions are too many for the memory, so that each iteration computes them again."""
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
        found = tuple(actions)
        return attrs.evolve(self, actions=found, partial=self.partial or len(found) < len(self.actions))

    def _where(self, condition: Callable[[Action], bool]) -> Diff:
        """Return the same comparison with the actions that satisfy a condition."""
        if isinstance(self.actions, StreamedActions):
            return attrs.evolve(self, actions=self.actions.where(condition), partial=True)
        return self._of(filter(condition, self.actions))

    def __eq__(self, other: object) -> bool:
        return self.actions == other.actions if isinstance(other, Diff) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), len(self.actions)))

    def inverse(self) -> Diff:
        """Return the diff that undoes this one; the same as ``-diff``, and equal to ``dest - source``."""
        branch_diffs = tuple(one.inverse() for one in self.branch_diffs)
        hierarchies = self.hierarchies[::-1]
        partial = self.partial or bool(self.left_out.total())
        if isinstance(self.actions, StreamedActions):
            in_memory = ordered_actions(
                (action.inverse() for action in self.actions.in_memory), branch_diffs, hierarchies
            )
            streamed = self.actions.inverse(in_memory, branch_ranks(branch_diffs))
            return type(self)(streamed, branch_diffs, hierarchies, partial=partial, hidden=self.hidden)
        actions = ordered_actions((action.inverse() for action in self.actions), branch_diffs, hierarchies)
        return type(self)(actions, branch_diffs, hierarchies, partial=partial, hidden=self.hidden)

    def __neg__(self) -> Diff:
        return self.inverse()

    def only(self, *terms: Filter, **names: Any) -> Diff:
        """Return the diff of the actions that match any of the terms.

        A term is a verb, a branch, ``".attribute"``, ``"branch.attribute"``, a mapping or a function; names are
        ``verb``, ``branch``, ``attr`` and ``idnumber``, which must all hold.

        Raises:
            FilterError: if a term names an unknown verb, branch or attribute.
        """
        condition = self._predicate([*terms, names] if names else list(terms))
        return self._where(condition)

    def exclude(self, *terms: Filter, **names: Any) -> Diff:
        """Return the diff without the actions that match any of the terms; see `only`.

        An attribute is not shown of new and deleted objects either; new ones are written with it nevertheless.
        """
        given = [*terms, names] if names else list(terms)
        condition = self._predicate(given)
        found = self._where(lambda action: not condition(action))
        return attrs.evolve(found, hidden=found.hidden | attributes_of(given))

    def filtered(self, only: Filter = None, exclude: Filter = None) -> Diff:
        """Return the diff after both filters, each of which may be None."""
        diff = self if only is None else self.only(only)
        return diff if exclude is None else diff.exclude(exclude)

    def _predicate(self, terms: Sequence[Filter]) -> Any:
        attributes = {
            one.name: sorted(
                {name for side in (one.left, one.right) for name in (*side.attributes, *side.child_fields)}
            )
            for one in self.branch_diffs
        }
        return predicate(terms, branches=list(attributes), attributes=attributes)

    def tick(self, *terms: Filter, **names: Any) -> Self:
        """Tick the actions that match any of the terms, as a click in a notebook's table does; return the diff.

        Args:
            terms: As those of `only`.
            names: Likewise.

        Raises:
            FilterError: if a term names an unknown verb, branch or attribute.
            ComparisonError: if there are too many actions for a table.
        """
        self._check_tickable()
        condition = self._predicate([*terms, names] if names else list(terms))
        self._ticks.tick((index for index, action in enumerate(self.actions) if condition(action)), len(self.actions))
        return self

    @property
    def ticked(self) -> Diff:
        """The diff of the actions that are ticked, in a notebook's table or by `tick`; none at first.

        Raises:
            ComparisonError: if there are too many actions for a table.
        """
        self._check_tickable()
        return self._of(self.actions[index] for index in self._ticks.positions())

    def _check_tickable(self) -> None:
        if not self._tickable:
            message = f"only diffs of at most {MOST:,} actions are ticked: choose some first, with only() or exclude()"
            raise ComparisonError(message)

    @property
    def _tickable(self) -> bool:
        return not self.streamed and len(self.actions) <= MOST

    def _ipython_display_(self) -> None:
        """Show the interactive table of a notebook.

        Raises:
            NotImplementedError: if there is none, so that IPython shows the text or the HTML.
        """
        small = self._tickable and bool(self.actions)
        table = self._ticks.table(self.title, lambda: columns_of(self.actions, self._sides)) if small else None
        if table is None:
            raise NotImplementedError
        table.show(repr(self), self._repr_html_())

    def scanned(self) -> Iterator[Action]:
        """Yield the actions, those of a streamed diff in the pass that its counts and its outline need, too."""
        return self.actions.scanned() if isinstance(self.actions, StreamedActions) else iter(self.actions)

    @property
    def counts(self) -> Counter[str]:
        """The number of actions of each verb."""
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
        """The number of actions of each verb that flags left out, or that touch what an import left out."""
        return Counter() if self.exclusion is None else Counter(self.exclusion.counts)

    @property
    def nested(self) -> bool:
        """Whether some of the objects that were compared are children of others."""
        return any(self.hierarchies)

    @property
    def children(self) -> tuple[NestedDiff, ...]:
        """The diff as a tree: the topmost objects that differ, each with those below it."""
        return self._nodes(self.actions)

    def _nodes(self, actions: Iterable[Action]) -> tuple[NestedDiff, ...]:
        sides = self._sides
        for own_sides, hierarchy in zip(sides, self.hierarchies, strict=True):
            own_sides.update(shown_sides(hierarchy.sides, self.hidden))
        return nested_diffs(actions, sides, self.hierarchies)

    def in_tree_order(self, order: SiblingOrder | None = None) -> Diff:
        """Return the same diff with its actions parent by parent; deletions come after those of children.

        Args:
            order: Called with a branch and its objects below one parent; returns them in the wanted order.
        """
        return attrs.evolve(self, actions=tuple(actions_by_parent(self.children, order)), arranged=True)

    @property
    def title(self) -> str:
        """The names of the two trees: ``source - dest``."""
        names = {(one.left.tree, one.right.tree) for one in self.branch_diffs}
        left, right = names.pop() if len(names) == 1 else ("", "")
        return f"{left or 'source'} - {right or 'dest'}"

    def explain(self) -> str:
        """Return, for each branch, the engine, why it ran, and what it compared."""
        return explanation(self.branch_diffs, self.left_out)

    def values(self, action: Action) -> dict[str, Any]:
        """Return the synced values of an action's object: the source's, or for ``old`` the destination's."""
        branch_diff = self._branch_diff(action)
        side = branch_diff.right if action.verb == "old" else branch_diff.left
        item = action.dest if action.verb == "old" else action.source
        return {name: side.read(action.idnumber, item, name) for name in side.attributes}

    def rows_of(self, action: Action) -> Iterator[Row]:
        """Yield the rows that an action is exported as; see `export_rows.rows_of`."""
        known = not action.attr and action.branch in self._by_name
        values = self.values(action).items() if known else ()
        return rows_of(action, {name: one for name, one in values if not hides(self.hidden, action.branch, name)})

    def __export__(self) -> Export:
        """Return the rows of all actions, in their order."""
        return Export(
            self.title,
            COLUMNS,
            lambda: chain.from_iterable(map(self.rows_of, self.actions)),
            self.stat,
            self.__outline__,
        )

    def fold(self, action: Action, created: Any = None) -> None:
        """Record in the destination's branch, in memory, that an action was carried out.

        Args:
            action: The action.
            created: The object that a template returned for a new one, if any.
        """
        branch_diff = self._branch_diff(action)
        if self.streamed:
            if branch_diff.right.expire is not None:
                branch_diff.right.expire()
            return
        branch_diff.carried_out[action.verb].add(action.idnumber)
        if branch_diff.right.fold is None:
            return
        values: dict[str, Any] = {}
        if action.verb == "new":
            values = self.values(action) if created is None else {}
            for field in branch_diff.left.child_fields if branch_diff.right.sparse and created is None else ():
                values[field] = type(branch_diff.left.read(action.idnumber, action.source, field))()  # no children yet
        elif action.verb in ("add", "remove") and action.source is not None:
            values = {action.attr: branch_diff.left.read(action.idnumber, action.source, action.attr)}
        child = self.hierarchies[1].child_branch(action.branch, action.attr) if action.verb == "update" else None
        if child is not None:  # children that could not be created do not exist
            there = self.hierarchies[1].sides[child].objects
            action = attrs.evolve(action, value=[member for member in action.value or () if member in there])
        branch_diff.right.take_in(action, values, created)
        if action.verb in ("new", "old"):
            self._fold_into_parent(action)

    def fold_held(self, action: Action, values: Mapping[str, Any]) -> None:
        """Record in the destination's branch, in memory, values that it holds otherwise than a folded action says.

        Args:
            action: The action.
            values: The values by attribute.
        """
        right = self._branch_diff(action).right
        if right.fold is None or self.streamed:
            return
        for name, value in values.items():
            right.fold(Action("update", action.branch, action.idnumber, name, value), {}, None)

    def fold_all(self, actions: Iterable[Action]) -> Iterator[Action]:
        """Record that actions were carried out, many at once; yield those that the caller must `fold` one by one.

        Nothing is recorded of those that are yielded. The others are recorded as `fold` would.
        """
        for (branch, verb), group in groupby(actions, key=attrgetter("branch", "verb")):
            some = list(group)
            branch_diff = None if self.nested or self.streamed else self._by_name.get(branch)
            if branch_diff is None or not _fold_columns(branch_diff, verb, some):
                yield from some

    def _fold_into_parent(self, action: Action) -> None:
        """Add a new child to the field of its parent, or remove a deleted one from it, unless that is another action.

        A new one may be kept by a parent that the destination's ``top_level`` does not reach; it goes from there.
        """
        places = [("remove", self.hierarchies[1])] + [("add", self.hierarchies[0])] * (action.verb == "new")
        for verb, hierarchy in places:
            holder = hierarchy.holder(action.branch, action.idnumber)
            if holder is None:
                continue
            branch, parent, field = holder
            above = self._by_name.get(branch)
            if (
                above is not None
                and parent not in above.carried_out["new"]
                and lists_apart(above.both, action.branch, parent)
            ):
                continue
            right = self.hierarchies[1].sides[branch]
            computed = isinstance(getattr(type(right.objects.get(parent)), field, None), property)
            if not computed:
                right.take_in(Action(verb, branch, parent, field, action.idnumber), {})

    def _branch_diff(self, action: Action) -> BranchDiff:
        return self._by_name[action.branch]

    def __or__(self, template: Applies[R_co] | type[Applies[R_co]] | str) -> R_co:
        applied: R_co = template_of(template).apply(self)
        return applied

    def __rshift__(self, other: object) -> Any:
        message = "a diff is applied with `|`: source - dest | Template, or source >> dest for dest's own template"
        raise TypeError(message)

    def __gt__(self, other: object) -> Any:
        message = (
            "a diff is no operand of `>`, which binds less tightly than `-`: source - dest shows what differs, and "
            "source > dest what dest must do"
        )
        raise TypeError(message)

    def __repr__(self) -> str:
        return self._in_repl() if self.actions else "<Diff: no differences>"

    def outline(self, *, whole: bool = False) -> Outline:
        """Describe the diff: branch by branch, or as a tree where objects are children of others.

        Args:
            whole: Whether nothing is folded, shortened or only counted.
        """
        sides = self._sides
        if self.nested:
            nodes = self._nodes(self.actions if whole else islice(self.actions, SCANNED))
            lines, counts = [node.outline(whole=whole) for node in nodes], self.counts
        else:
            scan = self.actions.scan if isinstance(self.actions, StreamedActions) else Scan.of(self.actions)
            lines = whole_outlines(scan, self.actions, sides) if whole else branch_outlines(scan, sides)
            counts = scan.total
        things = sum(one.count for one in lines)
        lines = lines or [Outline("no differences", "note", count=0)]
        return Outline(
            f"{self.title}: {stat_line(counts)}",
            "diff",
            children=lambda: lines,
            total=len(lines),
            expanded=True,
            count=counts.total(),
            things=things,
            beyond=counts.total() - things,
            unit="change",
        )

    @property
    def _sides(self) -> tuple[dict[str, Side], dict[str, Side]]:
        left, right = _by_name([(one.left, one.right) for one in self.branch_diffs])
        return shown_sides(left, self.hidden), shown_sides(right, self.hidden)

    @property
    def _see_all(self) -> str:
        return f"all of it: ({self.title}).show(limit=None)"


class ObjectDiff(Diff):
    """The diff of two objects: few enough actions to be named as the calls of a template."""

    def __repr__(self) -> str:
        return "\n".join(action.message for action in self.actions) or super().__repr__()


def _fold_columns(branch_diff: BranchDiff, verb: str, actions: Sequence[Action]) -> bool:
    """Record actions of one verb in one branch, column by column; return False if nothing was recorded."""
    left, fold_all = branch_diff.left, branch_diff.right.fold_all
    if fold_all is None or branch_diff.right.own is not None:
        return False
    if verb not in ("new", "update", "old") or left.child_fields:
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
    """Return the sides of the source and of the destination by branch; of several of one branch, the last."""
    pairs = list(pairs)
    return {left.branch: left for left, _ in pairs}, {right.branch: right for _, right in pairs}
