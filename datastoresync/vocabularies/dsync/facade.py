"""The methods of an adapter that hand on to its store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from datastoresync.vocabularies.dsync.exceptions import ObjectNotFound
from datastoresync.vocabularies.dsync.model import DiffSyncModel
from datastoresync.vocabularies.dsync.store import BaseStore, Kind


class NativeTree:
    """The native tree that an adapter's models are in; a subclass or an object may have something else of that name."""

    def __get__(self, adapter: Any, owner: type | None = None) -> Any:
        if adapter is None:
            return self
        try:
            return adapter.store.tree
        except AttributeError:
            message = (
                f"the models of {adapter} are in a {adapter.store}, not in a native tree: keep them in a LocalStore"
            )
            raise AttributeError(message) from None


class Facade:
    """What an adapter offers of its ``store``. A kind of model is given by its name, its class, or a model of it."""

    store: BaseStore

    tree = NativeTree()

    def __len__(self) -> int:
        return self.store.count()

    def add(self, obj: DiffSyncModel) -> None:
        """Keep a model; see `BaseStore.add`."""
        self.store.add(obj=obj)

    def update(self, obj: DiffSyncModel) -> None:
        """Keep a model, in place of one with its identifiers."""
        self.store.update(obj=obj)

    def remove(self, obj: DiffSyncModel, remove_children: bool = False) -> None:  # noqa: FBT001, FBT002 - diffsync's order
        """Remove a model, and those below it if asked to; see `BaseStore.remove`."""
        self.store.remove(obj=obj, remove_children=remove_children)

    def get(self, obj: Kind, identifier: Any) -> Any:
        """Return a model by its unique id, or its identifiers in a mapping.

        Raises:
            ObjectNotFound: if there is none.
        """
        return self.store.get(model=obj, identifier=identifier)

    def get_or_none(self, obj: Kind, identifier: Any) -> Any:
        """Return a model by its unique id or its identifiers, or None."""
        try:
            return self.get(obj, identifier)
        except ObjectNotFound:
            return None

    def get_all(self, obj: Kind) -> list[Any]:
        """Return all models of a kind, in the order in which they were added."""
        return self.store.get_all(model=obj)

    def get_by_uids(self, uids: Iterable[Any], obj: Kind) -> list[Any]:
        """Return models by their unique ids, in that order.

        Raises:
            ObjectNotFound: if one of them is missing.
        """
        return self.store.get_by_uids(uids=uids, model=obj)

    def get_or_instantiate(
        self, model: type[DiffSyncModel], ids: Mapping[str, Any], attrs: Mapping[str, Any] | None = None
    ) -> tuple[Any, bool]:
        """Return the model with these identifiers, or a new one, and whether it is new."""
        return self.store.get_or_instantiate(model=model, ids=ids, attrs=attrs)

    def get_or_add_model_instance(self, obj: DiffSyncModel) -> tuple[Any, bool]:
        """Return the model with the identifiers of this one, or this one, and whether it was added."""
        return self.store.get_or_add_model_instance(obj=obj)

    def update_or_instantiate(
        self, model: type[DiffSyncModel], ids: Mapping[str, Any], attrs: Mapping[str, Any]
    ) -> tuple[Any, bool]:
        """Set attributes of the model with these identifiers, or add one that has them, and say whether it is new."""
        return self.store.update_or_instantiate(model=model, ids=ids, attrs=attrs)

    def update_or_add_model_instance(self, obj: DiffSyncModel) -> tuple[Any, bool]:
        """Give the model with the identifiers of this one its attributes, or add it, and say whether it was added."""
        return self.store.update_or_add_model_instance(obj=obj)

    def count(self, model: Kind | None = None) -> int:
        """Return the number of models, of a kind or in all."""
        return self.store.count(model=model)

    def get_all_model_names(self) -> set[str]:
        """Return the names of the kinds of which there are models."""
        return self.store.get_all_model_names()
