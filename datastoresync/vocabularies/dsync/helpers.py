"""What compares two adapters and carries out the difference, under the name of their module in diffsync."""

from datastoresync.vocabularies.dsync.differ import DiffSyncDiffer
from datastoresync.vocabularies.dsync.syncer import DiffSyncSyncer

__all__ = ["DiffSyncDiffer", "DiffSyncSyncer"]
