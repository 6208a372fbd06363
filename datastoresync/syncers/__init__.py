"""Stores: a store has a name, loads and dumps flat records, and knows nothing of trees.

`open_syncer` opens a built-in one from a URL, `load_syncer` one of your own from its folder. The formats of files are
those of `files.FORMATS`; a module is imported when its class is first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from datastoresync.errors import LockedError, ManifestError, SyncerError
from datastoresync.syncers import files
from datastoresync.syncers.changes import Link, Table
from datastoresync.syncers.protocol import Syncer
from datastoresync.syncers.records import Records
from datastoresync.syncers.sql.syncer import SQLSyncer

if TYPE_CHECKING:
    from datastoresync.syncers.files.csv import CSVSyncer, TSVSyncer
    from datastoresync.syncers.files.excel import ExcelSyncer
    from datastoresync.syncers.files.json import JSONLinesSyncer, JSONSyncer
    from datastoresync.syncers.files.parquet import ParquetSyncer
    from datastoresync.syncers.plugin.loader import load_syncer
    from datastoresync.syncers.registry import open_syncer

__all__ = [
    "CSVSyncer",
    "ExcelSyncer",
    "JSONLinesSyncer",
    "JSONSyncer",
    "Link",
    "LockedError",
    "ManifestError",
    "ParquetSyncer",
    "Records",
    "SQLSyncer",
    "Syncer",
    "SyncerError",
    "TSVSyncer",
    "Table",
    "load_syncer",
    "open_syncer",
]

_ON_FIRST_USE: Final[Mapping[str, str]] = MappingProxyType({"load_syncer": "plugin.loader", "open_syncer": "registry"})


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)
    for each in files.FORMATS:
        if each.class_name == name:
            return each.load()
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *(each.class_name for each in files.FORMATS)})
