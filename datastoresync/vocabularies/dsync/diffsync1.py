"""The words of dsync for code that was written for diffsync 1, and so for pydantic 1.

There a field that may be None need not be given. From pydantic 2 on it must be, which tells when one was forgotten;
import from this module where that is not wanted.

>>> from typing import Optional
>>> class Device(DiffSyncModel):
...     _modelname = "device"
...     _identifiers = ("name",)
...     _attributes = ("role",)
...     name: str
...     role: Optional[str]
>>> Device(name="sw1").get_attrs()
{'role': None}
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from datastoresync.vocabularies.dsync import Adapter, Diff, DSync, model
from datastoresync.vocabularies.dsync.adapter import DiffSync
from datastoresync.vocabularies.dsync.enum import DiffSyncFlags, DiffSyncModelFlags, DiffSyncStatus

__all__ = [
    "Adapter",
    "DSync",
    "DSyncModel",
    "Diff",
    "DiffSync",
    "DiffSyncFlags",
    "DiffSyncModel",
    "DiffSyncModelFlags",
    "DiffSyncStatus",
]


class DiffSyncModel(model.DiffSyncModel):
    """A model in which each field that may be None, and has no default, has None as its default."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Give these fields their default, whenever the annotations are known."""
        for field in cls.model_fields.values():
            if field.is_required() and type(None) in get_args(field.annotation):
                field.default = None
        return handler(source)


DSyncModel = DiffSyncModel
