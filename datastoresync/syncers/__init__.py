"""The stores: whatever has a name, loads and dumps flat records, and knows nothing of trees.

`open_syncer` opens a built-in one from a URL, `load_syncer` one of your own from its folder. Each kind of store is
imported when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from datastoresync.errors import LockedError, ManifestError, SyncerError
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

_ON_FIRST_USE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CSVSyncer": "files.csv",
        "ExcelSyncer": "files.excel",
        "JSONLinesSyncer": "files.json",
        "JSONSyncer": "files.json",
        "ParquetSyncer": "files.parquet",
        "TSVSyncer": "files.csv",
        "load_syncer": "plugin.loader",
        "open_syncer": "registry",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
