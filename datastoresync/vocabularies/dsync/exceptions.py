"""The exceptions of dsync and diffsync, under the names that they had there.

::

    DatastoreSyncError
    ├── ObjectCrudException           what a model's create, update or delete may raise
    │   ├── ObjectNotCreated
    │   ├── ObjectNotUpdated
    │   └── ObjectNotDeleted
    ├── ObjectStoreException          what an adapter refuses to keep or cannot find
    │   ├── ObjectAlreadyExists
    │   ├── ObjectNotFound (KeyError)
    │   └── ObjectStoreWrongType (TypeError)
    └── DiffException
        └── DiffClassMismatch (TypeError)
"""

from __future__ import annotations

from typing import Any

from datastoresync.errors import DatastoreSyncError


class ObjectCrudException(DatastoreSyncError):  # noqa: N818 - the name is diffsync's
    """A model could not be created, updated or deleted where it is kept."""


class ObjectNotCreated(ObjectCrudException):
    """A model's ``create`` says that it failed."""


class ObjectNotUpdated(ObjectCrudException):
    """A model's ``update`` says that it failed."""


class ObjectNotDeleted(ObjectCrudException):
    """A model's ``delete`` says that it failed."""


class ObjectStoreException(DatastoreSyncError):  # noqa: N818 - the name is diffsync's
    """An adapter refuses to keep a model, or cannot find it."""


class ObjectAlreadyExists(ObjectStoreException):
    """Something is there already under that identity. ``existing_object`` is what was to be added once more."""

    def __init__(self, message: str, existing_object: Any, *args: Any) -> None:
        super().__init__(message, existing_object, *args)
        self.existing_object = existing_object

    def __str__(self) -> str:
        return str(self.args[0])


class ObjectNotFound(ObjectStoreException, KeyError):  # noqa: N818 - the name is diffsync's
    """No model is there under that identity."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError would show the repr


class ObjectStoreWrongType(ObjectStoreException, TypeError):  # noqa: N818 - the name is diffsync's
    """A model of this type cannot be kept there."""


class DiffException(DatastoreSyncError):  # noqa: N818 - the name is diffsync's
    """Something is wrong with a diff."""


class DiffClassMismatch(DiffException, TypeError):  # noqa: N818 - the name is diffsync's
    """A diff was given that is not of the class that was asked for."""
