"""The stores: whatever has a name, loads and dumps flat records, and knows nothing of trees."""

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Link, Table
from datastoresync.syncers.records import Records
from datastoresync.syncers.sql import SQLSyncer

__all__ = ["Link", "LockedError", "Records", "SQLSyncer", "SyncerError", "Table"]
