"""From a native diff to the elements of one as diffsync has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, filterfalse
from typing import TYPE_CHECKING, Any

from datastoresync.diffing.flags import Exclusion
from datastoresync.vocabularies.dsync.diff import Diff, DiffElement
from datastoresync.vocabularies.dsync.flags import DiffSyncFlags
from datastoresync.vocabularies.dsync.identity import keys_of, unique_id_of

if TYPE_CHECKING:
    from datastoresync.diffing.diff import Diff as Native
    from datastoresync.diffing.nested import Node
    from datastoresync.vocabularies.dsync.adapter import Adapter
    from datastoresync.vocabularies.dsync.model import DiffSyncModel

__all__ = ["Elements"]

Place = tuple[str, Any]


class Elements:
    """Makes the elements of one diff: at once those that differ, and the others when somebody asks for them.

    Args:
        native: What differs.
        source: The adapter that it comes from.
        dest: The adapter that is to become like it.
        top_level: The names of the models that both compare.
        diff_class: What to make.
    """

    def __init__(
        self, native: Native, source: Adapter, dest: Adapter, top_level: Sequence[str], diff_class: type[Diff]
    ) -> None:
        self.native = native
        self.source, self.dest = source, dest
        self.top_level = tuple(top_level)
        self.diff_class = diff_class
        self.sides = ({one.name: one.left for one in native.compared}, {one.name: one.right for one in native.compared})
        self.exclusion = native.exclusion or Exclusion(self.sides, native.hierarchies)
        self.places: dict[Place, DiffElement] = {}
        self.above: dict[Place, Diff] = {}

    def diff(self, flags: DiffSyncFlags) -> Diff:
        """Return the whole diff."""
        diff = self.diff_class()
        diff.native, diff.made = self.native, self
        nodes = self.native.children
        groups = dict.fromkeys([*self.top_level, *(node.branch for node in nodes)])
        for group in groups:
            self._take(diff, [node for node in nodes if node.branch == group], self._tops(group))
        diff.rest = lambda: self._all(diff, None, {group: self._tops(group) for group in groups})
        self._count(diff, flags)
        return diff

    # What differs.

    def _take(self, diff: Diff, nodes: Sequence[Node], keys: Iterable[Any]) -> None:
        """Put the elements of siblings of one model into a diff, in the order of these keys."""
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
            for below in _below(node):
                siblings = [child for child in node.children if child.branch == below]
                self._take(element.child_diff, siblings, self._members(node.source, node.dest, below))

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
        element.child_diff.rest = lambda: self._all(
            element.child_diff, (branch, key), {below: self._members(source, dest, below) for below in model._children}
        )
        self.places[branch, key] = element
        self.above[branch, key] = above
        return element

    def _tops(self, branch: str) -> Iterable[Any]:
        """Return the keys of a model that are below no other, the source's first, each as they were added."""
        found: list[Iterable[Any]] = []
        for side, hierarchy in zip(self.sides, self.native.hierarchies, strict=True):
            objects = side[branch].objects if branch in side else {}
            parents = hierarchy.parents.get(branch)
            # Past the sorting of a sorted mapping, which knows the order of its keys' arrival.
            keys = dict.keys(objects) if isinstance(objects, dict) else objects.keys()
            found.append(filterfalse(parents.__contains__, keys) if parents else keys)
        return chain(*found)

    def _members(self, source: DiffSyncModel | None, dest: DiffSyncModel | None, branch: str) -> Iterable[Any]:
        """Return the keys of the children of a model, the source's first."""
        models = [model for model in (source, dest) if model is not None and branch in model._children]
        return chain(*(keys_of(getattr(model, model._children[branch])) for model in models))

    def in_order(self) -> Native:
        """Return the native diff in the order of the elements, without what nobody lists any more."""

        def order(branch: str, nodes: Sequence[Node]) -> Iterator[Node]:
            waiting = {id(self.places[branch, node.idnumber]): node for node in nodes}
            above = self.above[branch, nodes[0].idnumber]
            for element in above.in_order(branch, above.differing.get(branch, {})):
                if id(element) in waiting:
                    yield waiting.pop(id(element))

        return self.native.in_tree_order(order)

    # What does not differ.

    def _all(
        self, diff: Diff, parent: Place | None, keys: dict[str, Iterable[Any]]
    ) -> dict[str, dict[str, DiffElement]]:
        """Return the elements of a diff with those of models that do not differ, in the order of the keys."""
        found: dict[str, dict[str, DiffElement]] = {}
        for branch, members in keys.items():
            elements = {}
            for key in dict.fromkeys(members):
                element = self.places.get((branch, key))
                if element is None:
                    element = self._unchanged(branch, key, parent, diff)
                if element is not None and self.above[branch, key] is diff:
                    elements[element.name] = element
            known = diff.differing.get(branch, {})
            if elements or known:
                found[branch] = {**elements, **{name: one for name, one in known.items() if name not in elements}}
        return {**found, **{name: known for name, known in diff.differing.items() if name not in found}}

    def _unchanged(self, branch: str, key: Any, parent: Place | None, above: Diff) -> DiffElement | None:
        """Return the element of a model that does not differ; None if it is no such one, or below another parent."""
        source, dest = (side[branch].objects.get(key) if branch in side else None for side in self.sides)
        elsewhere = self.native.hierarchies[0].parent(branch, key) != parent
        if source is None or dest is None or elsewhere or self.exclusion.covers(branch, key):
            return None
        return self._element(branch, key, source, dest, above)

    def _count(self, diff: Diff, flags: DiffSyncFlags) -> None:
        """Count what does not differ, and what was skipped."""
        native = self.native
        changed = sum(1 for element in self.places.values() if element.action == "update")
        pairs = sum(one.pairs for one in native.compared)
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
        diff.models_processed = sum(one.sizes[0] + one.sizes[1] for one in native.compared)

    def _skipped(self) -> tuple[int, int]:
        """Return how many models of both sides flags leave alone, and how many models they do so by themselves."""
        exclusion = self.exclusion
        covered = roots = 0
        for one in self.native.compared:
            left, right = one.left.objects, one.right.objects
            for key in left.keys() | right.keys():
                if exclusion.covers(one.name, key):
                    covered += key in left and key in right
                    parents = (hierarchy.parent(one.name, key) for hierarchy in self.native.hierarchies)
                    roots += not any(parent is not None and exclusion.covers(*parent) for parent in parents)
        return covered, roots


def _children_of(node: Node) -> Mapping[str, str]:
    model = node.source if node.source is not None else node.dest
    return {} if model is None else model._children


def _below(node: Node) -> Iterable[str]:
    """Return the names of the models below a node, in the order in which its class has them."""
    return dict.fromkeys((*_children_of(node), *(child.branch for child in node.children))) if node.children else ()


def _note_move(element: DiffElement, field: str, verb: str, key: Any) -> None:
    """Show that a child comes from another parent, or goes to one."""
    for held, gains in ((element.source_attrs, verb == "add"), (element.dest_attrs, verb == "remove")):
        if held is not None:
            held.setdefault(field, [])
            if gains:
                held[field].append(unique_id_of(key))
