"""Feeds a branch from a syncer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datastoresync.importing.importer import Importer
from datastoresync.syncers.changes import Table

__all__ = ["StoreImporter"]


class StoreImporter(Importer):
    """Reads a branch from a syncer: through its ``read`` if it has one, and its ``load`` otherwise.

    Args:
        syncer: Anything with ``load(identifier)``.
        table: Where it keeps the branch's objects.
        attributes: The attributes to ask for; None for all that there are.
    """

    def __init__(self, syncer: Any, table: Table, attributes: Sequence[str] | None = None) -> None:
        self.syncer = syncer
        self.table = table
        self.attributes = attributes

    def read(self) -> Any:
        """Return the records, each attribute under its own name."""
        read = getattr(self.syncer, "read", None)
        if callable(read):
            return read(self.table, self.attributes)
        records = self.syncer.load(self.table.name)
        if not self.table.columns:
            return records
        attributes = {column: attribute for attribute, column in self.table.columns.items()}
        return ({attributes.get(name, name): value for name, value in record.items()} for record in records)
