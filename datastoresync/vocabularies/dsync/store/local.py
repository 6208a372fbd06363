"""The store of an adapter's models in memory: a tree with a branch for each kind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from datastoresync.branch import Branch
from datastoresync.conversion.schema import Schema
from datastoresync.vocabularies.dsync.declaration import has_flags, schema_for
from datastoresync.vocabularies.dsync.exceptions import ObjectAlreadyExists, ObjectNotFound, ObjectStoreWrongType
from datastoresync.vocabularies.dsync.identity import UniqueId, find_keys, text_of, unique_id_of
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.store import BaseStore, Kind
from datastoresync.vocabularies.dsync.tree import ModelBranch, ModelTree, has_text_keys

_ROUND_TRIP_TYPES = frozenset({str, int, type(None)})
"""Types of identifiers whose text converts back to them."""


class LocalStore(BaseStore):
    """Keeps the models of one adapter in memory, in its ``tree``."""

    def __init__(self, *args: Any, adapter: Any = None, name: str = "", **kwargs: Any) -> None:
        self.tree = ModelTree()
        self.tree.store = self
        self.flagged = False  # whether any model may have flags
        super().__init__(*args, adapter=adapter, name=name, **kwargs)

    @property
    def adapter(self) -> Any:
        """The owner of the models."""
        return self.tree.adapter

    @adapter.setter
    def adapter(self, adapter: Any) -> None:
        self.tree.adapter = adapter

    def declare(self, cls: type[DiffSyncModel]) -> Branch[Any]:
        """Add a branch for models of a class."""
        name = cls.get_type()
        branch = self.tree.grow(name, ModelBranch(cls))
        self.flagged |= has_flags(cls)
        return branch

    def get_all_model_names(self) -> set[str]:
        """Return the names of the kinds of which there are models."""
        return {name for name, branch in self.tree.items() if len(branch)}

    def get(self, model: Kind, identifier: Any) -> Any:
        """Return a model by its unique id, its identifiers in a mapping, or its key as it is.

        Raises:
            ObjectNotFound: if there is none.
            ObjectStoreWrongType: if there are several, since the text of the unique id is ambiguous.
        """
        name = _name(model)
        branch = self.tree.get(name)
        if branch is None:
            raise self._not_found(name, self._get_uid(model, None if isinstance(model, str) else model, identifier))
        objects = branch.contents.objects
        if type(identifier) is str and identifier in objects:
            return objects[identifier]
        if schema_for(branch.object_class).own_unique_id:
            identifier = self._get_uid(model, branch.object_class if isinstance(model, str) else model, identifier)
        found = objects.get(self.key(branch, identifier))
        if found is None:
            raise self._not_found(name, self._get_uid(model, branch.object_class, identifier))
        return found

    def key(self, branch: Branch[Any], identifier: Any) -> Any:
        """Return the key that an identifier stands for; it need not exist.

        Raises:
            ObjectStoreWrongType: if a text may stand for several.
            ValueError: if a mapping lacks an identifier.
        """
        objects, schema = branch.contents.objects, schema_for(branch.object_class)
        if schema.own_unique_id:
            return self._get_uid(branch.name, branch.object_class, identifier)
        if not schema.identifiers:
            return ()  # the only one of its kind
        if isinstance(identifier, Mapping):
            lacking = [name for name in schema.identifiers if name not in identifier]
            if lacking:
                named = ", ".join(schema.identifiers)
                message = f"a {branch.name} is identified by {named}: {lacking[0]!r} is missing in {dict(identifier)}"
                raise ValueError(message)
            try:
                return schema.key([schema.convert(name, identifier[name]) for name in schema.identifiers])
            except (ValueError, TypeError):
                return None
        if isinstance(identifier, UniqueId):
            return identifier.key
        if not isinstance(identifier, str) or identifier in objects:
            return identifier
        if has_text_keys(schema):
            return identifier
        keys = find_keys(
            identifier, _insertion_order(objects), schema.identifiers, schema.convert, plain=_all_round_trip(schema)
        )
        if len(keys) > 1:
            message = (
                f"{identifier!r} may be any of {', '.join(map(repr, keys))} in {self._display_name}: "
                "give the identifiers, or the key as a tuple"
            )
            raise ObjectStoreWrongType(message)
        return keys[0] if keys else identifier

    def get_all(self, model: Kind) -> list[Any]:
        """Return all models of a kind, in the order in which they were added."""
        return list(self.by_key(model).values())

    def by_key(self, model: Kind) -> dict[Any, Any]:
        """Return all models of a kind by their keys, in the order in which they were added."""
        branch = self.tree.get(_name(model))
        objects: Any = {} if branch is None else branch.contents.objects
        # `dict.items` of a sorted mapping has the order of insertion.
        return dict(dict.items(objects) if isinstance(objects, dict) else objects)

    def get_by_uids(self, uids: Iterable[Any], model: Kind) -> list[Any]:
        """Return models by their unique ids, in that order.

        Raises:
            ObjectNotFound: if one of them is missing.
        """
        found = self.by_uid(model) or {}
        return [found[uid] if uid in found else self.get(model, uid) for uid in uids]

    def by_uid(self, model: Kind) -> Mapping[Any, Any] | None:
        """Return all models of a kind by their unique ids, if those are their keys."""
        branch = self.tree.get(_name(model))
        return branch.contents.objects if branch is not None and has_text_keys(branch.schema) else None

    def add(self, obj: DiffSyncModel) -> None:
        """Keep a model.

        Raises:
            ObjectAlreadyExists: if there is another one with its identifiers.
            ObjectStoreWrongType: if its class has other identifiers or attributes than the kind has here.
        """
        branch = self._branch(obj)
        key, contents = obj.__key__, branch.contents
        existing = contents.objects.get(key)
        if existing is obj:
            return
        if existing is not None:
            message = f"Object {obj.get_unique_id()} already present in {self._display_name}: change or remove that one"
            raise ObjectAlreadyExists(message, obj)
        contents.put(key, obj)

    def update(self, obj: DiffSyncModel) -> None:
        """Keep a model, in place of one with its identifiers."""
        self._branch(obj).contents.put(obj.__key__, obj)

    def _branch(self, obj: DiffSyncModel) -> Branch[Any]:
        name, cls = obj.get_type(), type(obj)
        branch = self.tree.get(name)
        if branch is None:
            return self.declare(cls)
        known = branch.object_class
        if cls is not known and not _is_compatible(cls, known):
            message = (
                f"a {name} is {known.__name__} in {self._display_name}, whose identifiers or attributes {cls.__name__} "
                "does not have"
            )
            raise ObjectStoreWrongType(message)
        return branch

    def remove_item(self, modelname: str, uid: Any) -> None:
        """Remove a model by its name and unique id.

        Raises:
            ObjectNotFound: if it is missing.
        """
        found = self.get(model=modelname, identifier=uid)
        branch = self.tree[modelname]
        own = schema_for(branch.object_class).own_unique_id  # of which an identity may have changed since
        branch.contents.drop(self.key(branch, uid) if own else found.__key__)
        found.adapter = None

    def count(self, model: Kind = None) -> int:
        """Return the number of models, of a kind or in all."""
        if model is None:
            return sum(map(len, self.tree.values()))
        return len(self.tree.get(_name(model), ()))

    def resolve_children(self) -> None:
        """Give unique ids that are plain texts in fields the keys that they stand for."""
        for branch in self.tree.values():
            for name, field in branch.object_class._children.items():
                below = self.tree.get(name)
                if below is None or not len(below) or has_text_keys(below.schema):
                    continue
                for parent in (branch.contents.objects[key] for key in _insertion_order(branch.contents.objects)):
                    members = getattr(parent, field)
                    if any(type(member) is str for member in members):
                        setattr(parent, field, type(members)(self._resolve_child(below, member) for member in members))

    def _resolve_child(self, branch: Branch[Any], member: Any) -> Any:
        if type(member) is not str:
            return member
        key = self.key(branch, member)
        return member if key == member else unique_id_of(key, member)

    @property
    def _display_name(self) -> str:
        return self.name if self.adapter is None else f"{self.name} of {self.adapter}"

    def _not_found(self, name: str, identifier: Any) -> ObjectNotFound:
        return ObjectNotFound(f"{name} {text_of(identifier)} not present in {self._display_name}")


def _name(model: Kind) -> str:
    return model if isinstance(model, str) else model.get_type()


def _all_round_trip(schema: Schema) -> bool:
    """Say whether the texts of all identifiers convert back to them."""
    converters = [(schema.fields or {})[name].converter for name in schema.identifiers]
    kinds = [() if one is None else one.kinds or () for one in converters]
    return all(len({*own} - {type(None)}) == 1 and {*own} <= _ROUND_TRIP_TYPES for own in kinds)


def _is_compatible(cls: type[DiffSyncModel], known: type[DiffSyncModel]) -> bool:
    return tuple(cls._identifiers) == tuple(known._identifiers) and set(cls._attributes) >= set(known._attributes)


def _insertion_order(objects: Mapping[Any, Any]) -> Collection[Any]:
    """Return the keys in the order of insertion, which a sorted dictionary does not iterate in."""
    return dict.keys(objects) if isinstance(objects, dict) else objects
