"""How a model is changed where it is kept: the part of it that old code overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from datastoresync.vocabularies.dsync.flags import DiffSyncStatus

__all__ = ["Changing"]


class Changing:
    """Is created, updated and deleted, and knows how that went. Override ``create``, ``update`` and ``delete``."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _extra(self, name: str, default: Any) -> Any: ...

        def _note(self, name: str, value: Any) -> None: ...

    def get_status(self) -> tuple[DiffSyncStatus, str]:
        """Return how the last creation, update or deletion went, and what there is to say about it."""
        status: tuple[DiffSyncStatus, str] = self._extra("status", (DiffSyncStatus.SUCCESS, ""))
        return status

    def set_status(self, status: DiffSyncStatus, message: str = "") -> None:
        """Say how a creation, an update or a deletion went."""
        self._note("status", (status, message))

    @classmethod
    def create_base(
        cls,
        adapter: Any = None,
        ids: Mapping[str, Any] | None = None,
        attrs: Mapping[str, Any] | None = None,
        *,
        diffsync: Any = None,
        dsync: Any = None,
    ) -> Self:
        """Return a new model with these identifiers and attributes, and a status that says so."""
        given = next((one for one in (adapter, diffsync, dsync) if one is not None), None)  # an empty one is false
        made: Any = cls
        model: Self = made(**(ids or {}), **(attrs or {}), adapter=given)
        model.set_status(DiffSyncStatus.SUCCESS, "Created successfully")
        return model

    @classmethod
    def create(
        cls,
        adapter: Any = None,
        ids: Mapping[str, Any] | None = None,
        attrs: Mapping[str, Any] | None = None,
        *,
        diffsync: Any = None,
        dsync: Any = None,
    ) -> Self | None:
        """Create the thing where it is kept; override it, and return what ``super().create(…)`` does.

        The first argument may be called ``adapter``, ``diffsync`` or ``dsync``. None says that it failed, and leaves
        its children alone; so does an `ObjectNotCreated`, which ends the run as well, unless it is to go on.
        """
        return cls.create_base(adapter, ids, attrs, diffsync=diffsync, dsync=dsync)

    def update_base(self, attrs: Mapping[str, Any]) -> Self:
        """Set attributes, and a status that says so."""
        for name, value in attrs.items():
            setattr(self, name, value)
        self.set_status(DiffSyncStatus.SUCCESS, "Updated successfully")
        return self

    def update(self, attrs: Mapping[str, Any]) -> Self | None:
        """Change the thing where it is kept; override it, and return what ``super().update(attrs)`` does."""
        return self.update_base(attrs)

    def delete_base(self) -> Self:
        """Set a status that says that it is gone."""
        self.set_status(DiffSyncStatus.SUCCESS, "Deleted successfully")
        return self

    def delete(self) -> Self | None:
        """Delete the thing where it is kept; override it, and return what ``super().delete()`` does."""
        return self.delete_base()

    def move(self, parent: Any) -> Self | None:  # noqa: ARG002 - what an override needs
        """Put the thing below another parent where it is kept, if that is to be told there; by default it is not.

        An attribute that names the parent is changed through `update`, as any other.
        """
        return self
