"""The native tree that an adapter keeps its models in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from datastoresync.applying.object_template import ObjectMethods
from datastoresync.branch import Branch
from datastoresync.conversion.schema import Schema
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import is_membership
from datastoresync.diffing.side import Side
from datastoresync.errors import SchemaMismatchError
from datastoresync.tree import Tree
from datastoresync.vocabularies.dsync.declaration import ModelSchema, schema_for
from datastoresync.vocabularies.dsync.enum import flags_of_model
from datastoresync.vocabularies.dsync.identity import keys_of, original_part, unique_id_of
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.template import ModelTemplate
from datastoresync.vocabularies.dsync.values import with_ordered_lists, with_plain_lists

if TYPE_CHECKING:
    from datastoresync.vocabularies.dsync.protocol import Owner, Store


def has_text_keys(schema: Schema) -> bool:
    """Say whether keys are texts, which are their own unique ids."""
    if isinstance(schema, ModelSchema) and schema.own_unique_id:
        return True
    if len(schema.identifiers) != 1 or schema.fields is None:
        return False
    converter = schema.fields[schema.identifiers[0]].converter
    return converter is not None and converter.kinds == {str}


@attrs.frozen(eq=False)
class ModelSide(Side):
    """Models as one side of a comparison: lists are values, and children go by their keys.

    Args:
        ordered: The attributes whose lists are ordered values.
        unique_id_fields: The fields with unique ids of children whose keys are no texts.
        dumped: The attributes whose values are what `DiffSyncModel.get_attrs` says.
    """

    ordered: frozenset[str] = frozenset()
    unique_id_fields: frozenset[str] = frozenset()
    dumped: frozenset[str] = frozenset()

    def read(self, key: Any, item: Any, attribute: str) -> Any:
        """Return the value of an attribute."""
        value = item.get_attrs().get(attribute) if attribute in self.dumped else super().read(key, item, attribute)
        if attribute in self.unique_id_fields and is_membership(value):
            return keys_of(value)
        return with_ordered_lists(value) if attribute in self.ordered else value

    def flags_of(self, item: Any) -> Iterable[Any]:
        """Return the flags of a model."""
        return (flags_of_model(item.model_flags),)

    @property
    def _plain(self) -> bool:
        return super()._plain and not (self.ordered or self.unique_id_fields or self.dumped)


class ModelBranch(Branch[Any]):
    """Models of one kind, which set their attributes themselves at an update."""

    def __init__(self, object_class: type[DiffSyncModel]) -> None:
        schema_for(object_class)
        super().__init__(object_class)

    @property
    def schema(self) -> ModelSchema:
        """What native code must know of the class of the models."""
        return schema_for(self.object_class)

    def _attach(self, objects: Iterable[Any]) -> None:
        """Tell models the branch that they are in, and its adapter unless they have one."""
        models = list(objects)
        super()._attach(models)
        # What is copied or read back comes in any order, and so the tree and its store may still be empty.
        owner, store = getattr(self.tree, "adapter", None), getattr(self.tree, "store", None)
        for model in models:
            if model.adapter is None:
                object.__setattr__(model, "adapter", owner)
            if store is not None and not getattr(store, "flagged", True):
                # A model that cannot tell the store may get flags at any time.
                store.flagged = bool(model.model_flags) or owner is None or model.adapter is not owner

    def fold(self, action: Action, values: Mapping[str, Any], made: Any = None) -> None:
        """Apply an action to the objects in memory, unless the model has done that itself."""
        if not action.attr:
            left = self.contents.objects.get(action.idnumber) if action.verb == "old" else None
            super().fold(action, {name: with_plain_lists(value) for name, value in values.items()}, made)
            if left is not None:
                left.adapter = None
            if action.verb == "new" and made is None:
                item = self.contents.objects[action.idnumber]
                for name in self.identifiers:
                    setattr(item, name, original_part(getattr(item, name)))
            return
        item = self.contents.objects.get(action.idnumber)
        if item is None or action.attr not in type(item)._children.values():
            return
        members = getattr(item, action.attr)
        if action.verb == "update":
            setattr(item, action.attr, type(members)(map(unique_id_of, action.value or ())))
            return
        child = unique_id_of(action.value)
        found = next((name for name in (child, action.value) if name in members), None)
        if action.verb == "add" and found is None:  # else the model's own code has added it
            (members.add if isinstance(members, set) else members.append)(child)
        elif action.verb == "remove" and found is not None:
            members.remove(found)

    def side(self) -> Side:
        """Return the branch as one side of a comparison, without a search for flags if no model has any."""
        store, cls, schema = self.tree.store, self.object_class, self.schema
        side = attrs.evolve(
            super().side(), flagged=store is None or store.flagged, held_children=frozenset(cls._children)
        )
        ordered = frozenset(side.attributes if self.tree.comparing else ()) - schema.scalars
        unique_id_fields = frozenset(
            field
            for name, field in cls._children.items()
            if name not in self.tree or not has_text_keys(self.tree[name].schema)
        )
        return ModelSide(
            **attrs.asdict(side, recurse=False),
            ordered=ordered,
            unique_id_fields=unique_id_fields,
            dumped=schema.dumped,
        )


class ModelTree(Tree):
    """The models of one adapter. Branches may have any name, since they are no attributes."""

    def __init__(self, name: str | None = None, *, adapter: Owner | None = None) -> None:
        super().__init__(name)
        self.adapter = adapter
        self.store: Store | None = None
        self.top_level: tuple[str, ...] = ()
        self.comparing = False

    def follow_adapter(self) -> None:
        """Copy the adapter's name and top level."""
        if self.adapter is not None:
            self.name, self.top_level = self.adapter.name, tuple(self.adapter.top_level)

    def diff(self, other: Tree, **options: Any) -> Diff:
        """Return the changes that make ``other`` equal to this tree; see `Tree.diff`."""
        trees = [tree for tree in (self, other) if isinstance(tree, ModelTree)]
        for tree in trees:
            if tree.store is not None:
                tree.store.resolve_children()
            tree.comparing = True
        try:
            return super().diff(other, **options)
        finally:
            for tree in trees:
                tree.comparing = False

    def schema_diff(self, other: ModelTree, top_level: Iterable[str]) -> Diff:
        """Return the changes that make ``other`` equal to this tree, for branches of both and with a common top level.

        Raises:
            SchemaMismatchError: if they cannot be compared: other kinds, other attributes, or other types.
        """
        absent: list[tuple[ModelTree, str]] = []
        for tree, another in ((self, other), (other, self)):
            lacking = sorted(name for name, branch in another.items() if name not in tree and len(branch))
            if lacking:
                problems = [f"{tree.name} has no model {name!r}: declare it there" for name in lacking]
                message = "the two adapters cannot be compared:" + "".join(f"\n  - {problem}" for problem in problems)
                raise SchemaMismatchError(message, problems=problems)
            tree.follow_adapter()
            tree.top_level = tuple(top_level)
            absent += [(tree, name) for name in another if name not in tree]
        for tree, name in absent:  # of which the other has no models either
            tree.grow(name, ModelBranch((other if tree is self else self)[name].object_class))
        try:
            return self.diff(other)
        finally:
            for tree, name in absent:
                del tree._branches[name]  # noqa: SLF001 - one of its own
            self.follow_adapter()
            other.follow_adapter()

    def grow(self, name: str, branch: Branch[Any] | None = None) -> Branch[Any]:
        """Add a branch like the one given, or replace the one of that name."""
        bound = (ModelBranch(DiffSyncModel) if branch is None else branch).bound(name, self)
        self._branches[name] = bound
        return bound

    def applier(self) -> Any:
        """Return the template that applies changes by the methods of the models."""
        return ModelTemplate(self, self.classes())

    def classes(self) -> dict[str, ObjectMethods]:
        """Return the classes of the models by name."""
        return {
            name: ObjectMethods(self[name].object_class, self[name].identifiers, {"move": "_move"})
            for name in self.branches
        }
