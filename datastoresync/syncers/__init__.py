"""Stores: a store has a name, loads and dumps flat records, and knows nothing of trees.

`open_syncer` opens a built-in one from a URL, `load_syncer` one of your own from its folder. The formats of files are
those of `files.FORMATS`; a module is imported when its class is first used.
"""

from typing import TYPE_CHECKING

from datastoresync.lazy import lazy_names
from datastoresync.syncers.files import FORMATS

if TYPE_CHECKING:
    from datastoresync.errors import (
        LockedError as LockedError,
        ManifestError as ManifestError,
        SyncerError as SyncerError,
    )
    from datastoresync.syncers.table_layout import Link as Link, Ref as Ref, Table as Table
    from datastoresync.syncers.files.csv import CSVSyncer as CSVSyncer, TSVSyncer as TSVSyncer
    from datastoresync.syncers.files.excel import ExcelSyncer as ExcelSyncer
    from datastoresync.syncers.files.json import JSONLinesSyncer as JSONLinesSyncer, JSONSyncer as JSONSyncer
    from datastoresync.syncers.files.parquet import ParquetSyncer as ParquetSyncer
    from datastoresync.syncers.plugin.loader import load_syncer as load_syncer
    from datastoresync.syncers.protocol import Syncer as Syncer
    from datastoresync.syncers.records import Records as Records
    from datastoresync.syncers.registry import open_syncer as open_syncer
    from datastoresync.syncers.sql.syncer import SQLSyncer as SQLSyncer
else:
    __all__, __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "errors": "LockedError ManifestError SyncerError",
            "syncers.table_layout": "Link Ref Table",
            "syncers.plugin.loader": "load_syncer",
            "syncers.protocol": "Syncer",
            "syncers.records": "Records",
            "syncers.registry": "open_syncer",
            "syncers.sql.syncer": "SQLSyncer",
        },
        {each.class_name: f"syncers.files{each.module}" for each in FORMATS},
    )
