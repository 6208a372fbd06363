"""Stores of models: what all have in common."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from datastoresync.vocabularies.dsync.exceptions import ObjectNotFound
from datastoresync.vocabularies.dsync.logging import get_logger

Kind = Any
"""A kind of model: its name, its class, or a model of it."""


class BaseStore:
    """Keeps the models of one adapter.

    A subclass has ``get``, ``get_all``, ``add``, ``update``, ``remove_item``, ``count`` and ``get_all_model_names``.

    Args:
        args: Ignored here.
        adapter: The owner of the models; an adapter that is made with the store sets it.
        name: The name in messages; that of the class if empty.
        kwargs: Ignored here.
    """

    def __init__(self, *args: Any, adapter: Any = None, name: str = "", **kwargs: Any) -> None:  # noqa: ARG002 - a subclass's
        self.adapter = adapter
        self.name = name or type(self).__name__
        self._log = get_logger().new(store=self)

    def __str__(self) -> str:
        return self.name

    def get_all_model_names(self) -> set[str]:
        """Return the names of the kinds of which there are models."""
        raise NotImplementedError

    def get(self, model: Kind, identifier: Any) -> Any:
        """Return a model by its unique id, or by its identifiers in a mapping.

        Raises:
            ObjectNotFound: if there is none.
            ValueError: if identifiers are given, and the class of the kind is not known.
        """
        raise NotImplementedError

    def get_all(self, model: Kind) -> list[Any]:
        """Return all models of a kind."""
        raise NotImplementedError

    def get_by_uids(self, uids: Iterable[Any], model: Kind) -> list[Any]:
        """Return models by their unique ids, in that order.

        Raises:
            ObjectNotFound: if one of them is missing.
        """
        return [self.get(model=model, identifier=uid) for uid in uids]

    def add(self, obj: Any) -> None:
        """Keep a model.

        Raises:
            ObjectAlreadyExists: if there is another one with its identifiers.
        """
        raise NotImplementedError

    def update(self, obj: Any) -> None:
        """Keep a model, in place of one with its identifiers."""
        raise NotImplementedError

    def remove_item(self, modelname: str, uid: Any) -> None:
        """Remove a model by its name and unique id.

        Raises:
            ObjectNotFound: if it is missing.
        """
        raise NotImplementedError

    def count(self, model: Kind = None) -> int:
        """Return the number of models, of a kind or in all."""
        raise NotImplementedError

    def remove(self, obj: Any, remove_children: bool = False) -> None:  # noqa: FBT001, FBT002 - diffsync's order
        """Remove a model.

        Args:
            obj: The model.
            remove_children: Whether to remove those below it, too; missing ones are logged.

        Raises:
            ObjectNotFound: if it is missing.
        """
        self.remove_item(obj.get_type(), obj.get_unique_id())
        if obj.adapter is not None:
            obj.adapter = None
        for kind, field in obj.get_children_mapping().items() if remove_children else ():
            for uid in getattr(obj, field):
                child = self.find(kind, uid)
                if child is not None:
                    self.remove(obj=child, remove_children=True)
                    continue
                about = {"parent_type": obj.get_type(), "parent_id": obj.get_unique_id()}
                event = "Unable to remove child element as it was not found!"
                self._log.error(event, child_type=kind, child_id=uid, **about)

    def find(self, model: Kind, identifier: Any) -> Any:
        """Return a model, or None; see `get`."""
        try:
            return self.get(model=model, identifier=identifier)
        except ObjectNotFound:
            return None

    def get_or_instantiate(
        self, model: Any, ids: Mapping[str, Any], attrs: Mapping[str, Any] | None = None
    ) -> tuple[Any, bool]:
        """Return the model with these identifiers and False, or a new one, now kept, and True."""
        found = self.find(model, ids)
        if found is not None:
            return found, False
        made = model(**ids, **(attrs or {}))
        self.add(obj=made)
        return made, True

    def get_or_add_model_instance(self, obj: Any) -> tuple[Any, bool]:
        """Return the model with the identifiers of this one and False, or this one, now kept, and True."""
        found = self.find(obj, obj.get_identifiers())
        if found is not None:
            return found, False
        self.add(obj=obj)
        return obj, True

    def update_or_instantiate(self, model: Any, ids: Mapping[str, Any], attrs: Mapping[str, Any]) -> tuple[Any, bool]:
        """Set attributes of the model with these identifiers, or keep a new one; and say whether it is new."""
        found, made = self.get_or_instantiate(model=model, ids=ids, attrs=attrs)
        if not made:
            self._set_attributes(found, attrs)
        return found, made

    def update_or_add_model_instance(self, obj: Any) -> tuple[Any, bool]:
        """Give the model with the identifiers of this one its attributes, or keep it; and say whether it is new."""
        found, made = self.get_or_add_model_instance(obj=obj)
        if not made:
            self._set_attributes(found, obj.get_attrs())
        return found, made

    def _set_attributes(self, model: Any, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            setattr(model, name, copy.copy(value))
        self.update(obj=model)

    def _get_object_class_and_model(self, model: Kind) -> tuple[Any, str]:
        """Return the class of a kind, None if it is not known, and its name."""
        if isinstance(model, str):
            return getattr(type(self.adapter), model, getattr(self.adapter, model, None)), model
        return model, model.get_type()

    @staticmethod
    def _get_uid(model: Kind, object_class: Any, identifier: Any) -> Any:
        """Return the unique id for a unique id or identifiers in a mapping.

        Raises:
            ValueError: if identifiers are given, and the class is not known.
        """
        if not isinstance(identifier, Mapping):
            return identifier
        if object_class is None:
            message = (
                f"Invalid args: ({model}, {object_class}, {identifier}): the identifiers of {model} are unknown, as no "
                "class is: give a unique id, which is a str"
            )
            raise ValueError(message)
        return object_class.create_unique_id(**identifier)
