"""Diffs as in diffsync: by model and name, nested like the models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial, total_ordering
from itertools import chain, filterfalse
from typing import TYPE_CHECKING, Any

from datastoresync.diffing.flags import Exclusion
from datastoresync.masking import MASK
from datastoresync.vocabularies.dsync.exceptions import ObjectAlreadyExists
from datastoresync.vocabularies.dsync.flags import DiffSyncActions, DiffSyncFlags
from datastoresync.vocabularies.dsync.identity import keys_of, unique_id_of
from datastoresync.vocabularies.dsync.values import equal_values

if TYPE_CHECKING:
    from datastoresync.applying.report import Report
    from datastoresync.diffing.diff import Diff as Native
    from datastoresync.diffing.nested import NestedDiff
    from datastoresync.vocabularies.dsync.model import DiffSyncModel
    from datastoresync.vocabularies.dsync.protocol import Owner


Text = str  # what `str` and `dict` are in the rest of the classes are methods
Dictionary = dict

_COUNTED = (DiffSyncActions.CREATE, DiffSyncActions.UPDATE, DiffSyncActions.DELETE, "no-change")


class Diff:
    """The changes that make a destination equal to its source, by model and name.

    `Adapter.diff_from` makes it. ``native`` is the native diff, and ``report`` that of a sync. A subclass may set the
    order of elements in output and sync, with a method ``order_children_<modelname>(self, children)`` that yields the
    elements of such a mapping; an element that it omits is not synced.
    """

    def __init__(self) -> None:
        self._elements: Dictionary[Text, Dictionary[Text, DiffElement]] = defaultdict(Dictionary)
        self.load_unchanged: Callable[[], Dictionary[Text, Dictionary[Text, DiffElement]]] | None = None
        self.native: Native | None = None
        self.builder: DiffBuilder | None = None
        self.report: Report | None = None
        self.unchanged = 0
        self.models_processed = 0
        self.skipped = 0

    @property
    def children(self) -> Dictionary[Text, Dictionary[Text, DiffElement]]:
        """The elements by model and name, with those of equal models."""
        if self.load_unchanged is not None:
            load, self.load_unchanged = self.load_unchanged, None
            self._elements = defaultdict(Dictionary, load())
        return self._elements

    @property
    def differing(self) -> Dictionary[Text, Dictionary[Text, DiffElement]]:
        """The elements by model and name, without those of equal models unless `children` has loaded them."""
        return self._elements

    def complete(self) -> None:
        """Do something with the complete diff; a hook."""

    def add(self, element: DiffElement) -> None:
        """Add an element.

        Raises:
            ObjectAlreadyExists: if there is one of its type and name.
        """
        group = self._elements[element.type]
        if element.name in group:
            message = f"the diff already has a {element.type} {element.name!r}"
            raise ObjectAlreadyExists(message, element)
        group[element.name] = element

    def groups(self) -> list[Text]:
        """Return the names of the models."""
        return list(self.children)

    def has_diffs(self) -> bool:
        """Say whether there is any difference."""
        return any(element.has_diffs() for group in self._elements.values() for element in group.values())

    def get_children(self) -> Iterator[DiffElement]:
        """Yield the elements, each model's in its order."""
        for group, elements in self.children.items():
            yield from self.ordered(group, elements)

    def ordered(self, group: Text, elements: Dictionary[Text, DiffElement]) -> Iterable[DiffElement]:
        """Return elements of one model in the order of the subclass."""
        found: Iterable[DiffElement] = getattr(self, f"order_children_{group}", self.order_children_default)(elements)
        return found

    @classmethod
    def order_children_default(cls, children: Dictionary[Text, DiffElement]) -> Iterator[DiffElement]:
        """Yield elements in the order of their models' insertion."""
        yield from children.values()

    def __len__(self) -> int:
        counts = self.summary()
        return sum(counts[action] for action in _COUNTED)

    def summary(self) -> Dictionary[Text, int]:
        """Return the numbers of models to create, update and delete, and of equal and skipped ones."""
        counts = dict.fromkeys(_COUNTED, 0)
        native = self.native is not None
        for group in (self._elements if native else self.children).values():
            for element in group.values():
                for action, count in (element.changes() if native else element.summary()).items():
                    counts[action] += count
        if native:
            counts["no-change"] = self.unchanged
        return {**counts, DiffSyncActions.SKIP: self.skipped}

    def str(self, indent: int = 0) -> Text:
        """Return the differences as text, a line each."""
        margin = " " * indent
        lines = []
        for group, elements in self._elements.items():
            shown = [element.str(indent + 2) for element in elements.values() if element.has_diffs()]
            lines += [f"{margin}{group}", *shown] if shown else []
        return "\n".join(lines) or "(no diffs)"

    def print_detailed(self, indent: int = 0) -> None:
        """Print the differences."""
        print(self.str(indent))  # noqa: T201 - its purpose

    def dict(self) -> Dictionary[Text, Dictionary[Text, Any]]:
        """Return the differences as dictionaries, by model and name."""
        found: Dictionary[Text, Dictionary[Text, Any]] = {}
        for group, elements in self._elements.items():
            for element in self.ordered(group, elements):
                if element.has_diffs():
                    found.setdefault(group, {})[element.name] = element.dict()
        return found


@total_ordering
class DiffElement:
    """One model in a diff.

    Args:
        obj_type: The model's name.
        name: The short name, unique among its siblings.
        keys: Its identifiers and their values.
        source_name: The name of the source.
        dest_name: The name of the destination.
        diff_class: The class of the diff of its children.
    """

    def __init__(
        self,
        obj_type: Text,
        name: Text,
        keys: Dictionary[Text, Any],
        source_name: Text = "source",
        dest_name: Text = "dest",
        diff_class: type[Diff] = Diff,
    ) -> None:
        for what, value in (("obj_type", obj_type), ("name", name)):
            if not isinstance(value, Text):
                message = f"{what} must be text (got {value!r})"
                raise ValueError(message)  # noqa: TRY004 - a ValueError in diffsync
        self.type = obj_type
        self.name = name
        self.keys = keys
        self.source_name = source_name
        self.dest_name = dest_name
        self.source_attrs: Dictionary[Text, Any] | None = None
        self.dest_attrs: Dictionary[Text, Any] | None = None
        self.child_diff = diff_class()
        self.sensitive: frozenset[Text] = frozenset()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DiffElement):
            return NotImplemented
        left, right = ((one.type, one.name, one.keys, one.source_attrs, one.dest_attrs) for one in (self, other))
        return left == right

    def __lt__(self, other: DiffElement) -> bool:
        return (self.type, self.name) < (other.type, other.name)

    __hash__ = None  # type: ignore[assignment]  # it changes, and is equal to others

    def __str__(self) -> Text:
        sides = f"{self.source_name} → {self.dest_name}"
        return f'{self.type} "{self.name}" : {self.keys} : {sides} : {self._shown_diffs()}'

    def _shown_diffs(self) -> Dictionary[Text, Any]:
        """Return the differences for people: values of sensitive attributes are masked."""
        return {side: _masked(values, self.sensitive) for side, values in self.get_attrs_diffs().items()}

    def __repr__(self) -> Text:
        return f"<DiffElement {self.type} {self.name!r}: {self.action or 'no change'}>"

    def __len__(self) -> int:
        return 1 + sum(map(len, self.get_children()))

    @property
    def action(self) -> Text | None:
        """The action on the model itself: create, update, delete, or None."""
        if self.dest_attrs is None:
            return None if self.source_attrs is None else DiffSyncActions.CREATE
        if self.source_attrs is None:
            return DiffSyncActions.DELETE
        return DiffSyncActions.UPDATE if self._differing() else None

    def _differing(self) -> list[Text]:
        source, dest = self.source_attrs or {}, self.dest_attrs or {}
        return [name for name in dest if name in source and not equal_values(source[name], dest[name])]

    def add_attrs(self, source: Dictionary[Text, Any] | None = None, dest: Dictionary[Text, Any] | None = None) -> None:
        """Set the attributes of the source's or the destination's model, if not None."""
        self.source_attrs = self.source_attrs if source is None else source
        self.dest_attrs = self.dest_attrs if dest is None else dest

    def get_attrs_keys(self) -> list[Text]:
        """Return the names of the attributes of both sides, or of the only side."""
        if self.source_attrs is None or self.dest_attrs is None:
            return list(self.source_attrs or self.dest_attrs or ())
        return [name for name in self.dest_attrs if name in self.source_attrs]

    def get_attrs_diffs(self) -> Dictionary[Text, Dictionary[Text, Any]]:
        """Return the differing attributes: ``"+"`` for the source, ``"-"`` for the destination."""
        both = self.source_attrs is not None and self.dest_attrs is not None
        names = self._differing() if both else self.get_attrs_keys()
        sides = (("-", self.dest_attrs), ("+", self.source_attrs))
        return {sign: {name: held[name] for name in names} for sign, held in sides if held is not None}

    def add_child(self, element: DiffElement) -> None:
        """Add an element below this one."""
        self.child_diff.add(element)

    def get_children(self) -> Iterator[DiffElement]:
        """Yield the elements below this one, each model's in its order."""
        yield from self.child_diff.get_children()

    def has_diffs(self, include_children: bool = True) -> bool:  # noqa: FBT001, FBT002 - diffsync's order
        """Say whether the model differs, or something below it."""
        return self.action is not None or (include_children and self.child_diff.has_diffs())

    def summary(self) -> Dictionary[Text, int]:
        """Return the numbers of models from here on to create, update and delete, and of equal ones."""
        counts = dict.fromkeys(_COUNTED, 0)
        counts[self.action or "no-change"] += 1
        for child in self.get_children():
            for action, count in child.summary().items():
                counts[action] += count
        return counts

    def changes(self) -> Dictionary[Text, int]:
        """Return the numbers of models from here on to create, update and delete."""
        counts = {self.action: 1} if self.action is not None else {}
        for group in self.child_diff.differing.values():
            for child in group.values():
                for action, count in child.changes().items():
                    counts[action] = counts.get(action, 0) + count
        return counts

    def str(self, indent: int = 0) -> Text:
        """Return the differences from here on as text, a line each."""
        margin = " " * indent
        found = f"{margin}{self.type}: {self.name}"
        if self.source_attrs is None and self.dest_attrs is None:
            found += "" if self.child_diff.has_diffs() else " (no diffs)"
        elif self.source_attrs is None or self.dest_attrs is None:
            found += f" MISSING in {self.source_name if self.source_attrs is None else self.dest_name}"
        else:
            source_attrs, dest_attrs = (_masked(one, self.sensitive) for one in (self.source_attrs, self.dest_attrs))
            for name in self._differing():
                values = f"{self.source_name}({source_attrs[name]})    {self.dest_name}({dest_attrs[name]})"
                found += f"\n{margin}  {name}    {values}"
        return f"{found}\n{self.child_diff.str(indent + 2)}" if self.child_diff.has_diffs() else found

    def dict(self) -> Dictionary[Text, Any]:
        """Return the differences from here on as dictionaries."""
        return {**self.get_attrs_diffs(), **self.child_diff.dict()}


def _masked(values: Mapping[str, Any], sensitive: Collection[str]) -> Dictionary[str, Any]:
    return {name: MASK if name in sensitive else value for name, value in values.items()}


Key = tuple[str, Any]
"""The name of a model's kind, and its key."""


class DiffBuilder:
    """Builds the elements of one diff: those that differ at once, and the others on first use.

    Args:
        native: The native diff.
        source: The adapter to read from.
        dest: The adapter to make equal to it.
        top_level: The names of the models that both compare.
        diff_class: The class of the diff.
    """

    def __init__(
        self, native: Native, source: Owner, dest: Owner, top_level: Sequence[str], diff_class: type[Diff]
    ) -> None:
        self.native = native
        self.source, self.dest = source, dest
        self.top_level = tuple(top_level)
        self.diff_class = diff_class
        self.sides = (
            {one.name: one.left for one in native.branch_diffs},
            {one.name: one.right for one in native.branch_diffs},
        )
        self.exclusion = native.exclusion or Exclusion(self.sides, native.hierarchies)
        self.elements: dict[Key, DiffElement] = {}
        self.parents: dict[Key, Diff] = {}

    def diff(self, flags: DiffSyncFlags) -> Diff:
        """Return the whole diff."""
        diff = self.diff_class()
        diff.native, diff.builder = self.native, self
        nodes = self.native.children
        groups = dict.fromkeys([*self.top_level, *(node.branch for node in nodes)])
        for group in groups:
            self._add_elements(diff, [node for node in nodes if node.branch == group], self._top_keys(group))
        diff.load_unchanged = partial(self._top_elements, diff, list(groups))
        self._count(diff, flags)
        return diff

    # Differing models.

    def _add_elements(self, diff: Diff, nodes: Sequence[NestedDiff], keys: Iterable[Any]) -> None:
        """Add the elements of siblings of one model to a diff, in the order of these keys."""
        waiting = {node.idnumber: node for node in nodes}
        if len(waiting) > 1:
            ordered = dict.fromkeys(chain(filter(waiting.__contains__, keys), waiting))
            waiting = {key: waiting[key] for key in ordered}
        for node in waiting.values():
            element = self._element(node.branch, node.idnumber, node.source, node.dest, diff)
            diff.add(element)
            for action in node.actions:
                if action.verb in ("add", "remove") and action.attr in _children_of(node).values():
                    _note_move(element, action.attr, action.verb, action.value)
            for below in _child_models(node):
                siblings = [child for child in node.children if child.branch == below]
                self._add_elements(element.child_diff, siblings, self._child_keys(node.source, node.dest, below))

    def _element(
        self, branch: str, key: Any, source: DiffSyncModel | None, dest: DiffSyncModel | None, above: Diff
    ) -> DiffElement:
        model: Any = source if source is not None else dest
        name = model.get_shortname()
        if name in above.differing.get(branch, ()):
            name = model.get_unique_id()
        names = (self.source.name, self.dest.name)
        element = DiffElement(branch, name, model.get_identifiers(), *names, self.diff_class)
        element.add_attrs(
            None if source is None else source.get_attrs(),
            None if dest is None else dest.get_attrs(),
        )
        element.sensitive = frozenset(model._sensitive)
        element.child_diff.load_unchanged = partial(
            self._child_elements, element.child_diff, (branch, key), source, dest
        )
        self.elements[branch, key] = element
        self.parents[branch, key] = above
        return element

    def _top_keys(self, branch: str) -> Iterable[Any]:
        """Return the keys of a model's objects without parents, the source's first, each in the order of insertion."""
        found: list[Iterable[Any]] = []
        for side, hierarchy in zip(self.sides, self.native.hierarchies, strict=True):
            objects = side[branch].objects if branch in side else {}
            parents = hierarchy.parents.get(branch)
            # `dict.keys` of a sorted mapping gives the order of insertion.
            keys = dict.keys(objects) if isinstance(objects, dict) else objects.keys()
            found.append(filterfalse(parents.__contains__, keys) if parents else keys)
        return chain(*found)

    def _child_keys(self, source: DiffSyncModel | None, dest: DiffSyncModel | None, branch: str) -> Iterable[Any]:
        """Return the keys of the children of a model, the source's first."""
        models = [model for model in (source, dest) if model is not None and branch in model._children]
        return chain.from_iterable(keys_of(getattr(model, model._children[branch])) for model in models)

    def ordered_native(self) -> Native:
        """Return the native diff in the order of the elements, without omitted ones."""

        def order(branch: str, nodes: Sequence[NestedDiff]) -> Iterator[NestedDiff]:
            waiting = {id(self.elements[branch, node.idnumber]): node for node in nodes}
            parent = self.parents[branch, nodes[0].idnumber]
            for element in parent.ordered(branch, parent.differing.get(branch, {})):
                if id(element) in waiting:
                    yield waiting.pop(id(element))

        return self.native.in_tree_order(order)

    # Equal models.

    def _top_elements(self, diff: Diff, groups: Sequence[str]) -> dict[str, dict[str, DiffElement]]:
        return self._with_unchanged(diff, None, {group: self._top_keys(group) for group in groups})

    def _child_elements(
        self, diff: Diff, parent: Key, source: DiffSyncModel | None, dest: DiffSyncModel | None
    ) -> dict[str, dict[str, DiffElement]]:
        model: Any = source if source is not None else dest
        keys = {below: self._child_keys(source, dest, below) for below in model._children}
        return self._with_unchanged(diff, parent, keys)

    def _with_unchanged(
        self, diff: Diff, parent: Key | None, keys: dict[str, Iterable[Any]]
    ) -> dict[str, dict[str, DiffElement]]:
        """Return the elements of a diff with those of equal models, in the order of the keys."""
        found: dict[str, dict[str, DiffElement]] = {}
        for branch, members in keys.items():
            elements = {}
            for key in dict.fromkeys(members):
                element = self.elements.get((branch, key))
                if element is None:
                    element = self._unchanged(branch, key, parent, diff)
                if element is not None and self.parents[branch, key] is diff:
                    elements[element.name] = element
            known = diff.differing.get(branch, {})
            if elements or known:
                found[branch] = {**elements, **{name: one for name, one in known.items() if name not in elements}}
        return {**found, **{name: known for name, known in diff.differing.items() if name not in found}}

    def _unchanged(self, branch: str, key: Any, parent: Key | None, above: Diff) -> DiffElement | None:
        """Return the element of an equal model; None if it is not on both sides, excluded, or below another parent."""
        source, dest = (side[branch].objects.get(key) if branch in side else None for side in self.sides)
        elsewhere = self.native.hierarchies[0].parent(branch, key) != parent
        if source is None or dest is None or elsewhere or self.exclusion.covers(branch, key):
            return None
        return self._element(branch, key, source, dest, above)

    def _count(self, diff: Diff, flags: DiffSyncFlags) -> None:
        """Count the equal and the skipped models."""
        native = self.native
        changed = sum(1 for element in self.elements.values() if element.action == "update")
        pairs = sum(one.pairs for one in native.branch_diffs)
        kinds = {*self.source.top_level, *self.dest.top_level} - set(self.top_level)
        skipped = sum(
            adapter.count(kind) for kind in kinds for adapter in (self.source, self.dest) if kind in adapter.top_level
        )
        if flags & DiffSyncFlags.SKIP_UNMATCHED_BOTH or self.source.store.flagged or self.dest.store.flagged:
            covered, roots = self._skipped()
            pairs -= covered
            skipped += roots
        diff.unchanged = pairs - changed
        diff.skipped = skipped
        diff.models_processed = sum(one.sizes[0] + one.sizes[1] for one in native.branch_diffs)

    def _skipped(self) -> tuple[int, int]:
        """Return the number of excluded pairs, and of the models whose own flags exclude them."""
        exclusion = self.exclusion
        covered = roots = 0
        for one in self.native.branch_diffs:
            left, right = one.left.objects, one.right.objects
            for key in left.keys() | right.keys():
                if exclusion.covers(one.name, key):
                    covered += key in left and key in right
                    parents = (hierarchy.parent(one.name, key) for hierarchy in self.native.hierarchies)
                    roots += not any(parent is not None and exclusion.covers(*parent) for parent in parents)
        return covered, roots


def _children_of(node: NestedDiff) -> Mapping[str, str]:
    model = node.source if node.source is not None else node.dest
    return {} if model is None else model._children


def _child_models(node: NestedDiff) -> Iterable[str]:
    """Return the names of the models below a node, in the order of its class."""
    return dict.fromkeys((*_children_of(node), *(child.branch for child in node.children))) if node.children else ()


def _note_move(element: DiffElement, field: str, verb: str, key: Any) -> None:
    """Record in the attributes that a child moves from or to another parent."""
    for held, gains in ((element.source_attrs, verb == "add"), (element.dest_attrs, verb == "remove")):
        if held is not None:
            held.setdefault(field, [])
            if gains:
                held[field].append(unique_id_of(key))
