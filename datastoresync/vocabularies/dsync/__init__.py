"""The words of dsync, and of diffsync as it is today: adapters, models, and the diffs between them.

>>> class Device(DiffSyncModel):
...     _modelname = "device"
...     _identifiers = ("name",)
...     _attributes = ("role",)
...     name: str
...     role: str = "switch"
>>> class Inventory(Adapter):
...     device = Device
...     top_level = ["device"]
>>> enable_console_logging()  # warnings alone; structlog shows each step unless it is told otherwise
>>> old, new = Inventory("old"), Inventory("new")
>>> old.add(Device(name="sw1"))
>>> new.add(Device(name="sw1", role="router"))
>>> print(old.diff_from(new).str())
device
  device: sw1
    role    new(router)    old(switch)
>>> old.sync_from(new).summary()
{'create': 0, 'update': 1, 'delete': 0, 'no-change': 0, 'skip': 0}
>>> old.get("device", "sw1").role
'router'

Behind an adapter is a native tree (``adapter.tree``), so that the rest of this library is at hand.
"""

from importlib.util import find_spec

from datastoresync import errors as _errors

if find_spec("pydantic") is None:
    _MISSING = "models are pydantic's: pip install 'datastoresync[dsync]'"
    raise _errors.MissingDependencyError(_MISSING)

from datastoresync.vocabularies.dsync.adapter import Adapter, DiffSync, DSync
from datastoresync.vocabularies.dsync.diff import Diff, DiffElement
from datastoresync.vocabularies.dsync.enum import (
    DiffSyncActions,
    DiffSyncFlags,
    DiffSyncModelFlags,
    DiffSyncStatus,
)
from datastoresync.vocabularies.dsync.exceptions import (
    DiffClassMismatch,
    DiffException,
    ObjectAlreadyExists,
    ObjectCrudException,
    ObjectNotCreated,
    ObjectNotDeleted,
    ObjectNotFound,
    ObjectNotUpdated,
    ObjectStoreException,
    ObjectStoreWrongType,
)
from datastoresync.vocabularies.dsync.logging import enable_console_logging
from datastoresync.vocabularies.dsync.model import DiffSyncModel, DSyncModel
from datastoresync.vocabularies.dsync.store import BaseStore
from datastoresync.vocabularies.dsync.store.local import LocalStore

__all__ = [
    "Adapter",
    "BaseStore",
    "DSync",
    "DSyncModel",
    "Diff",
    "DiffClassMismatch",
    "DiffElement",
    "DiffException",
    "DiffSync",
    "DiffSyncActions",
    "DiffSyncFlags",
    "DiffSyncModel",
    "DiffSyncModelFlags",
    "DiffSyncStatus",
    "LocalStore",
    "ObjectAlreadyExists",
    "ObjectCrudException",
    "ObjectNotCreated",
    "ObjectNotDeleted",
    "ObjectNotFound",
    "ObjectNotUpdated",
    "ObjectStoreException",
    "ObjectStoreWrongType",
    "enable_console_logging",
]
