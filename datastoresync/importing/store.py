"""Feeds a branch from a syncer."""

from __future__ import annotations

from typing import Any

from datastoresync.importing.importer import Importer
from datastoresync.syncers.contents import Contents
from datastoresync.syncers.projection import projected
from datastoresync.syncers.records import Records
from datastoresync.syncers.source_info import StoredRows
from datastoresync.syncers.sql.syncer import SQLSyncer

__all__ = ["StoreImporter"]


class StoreImporter(Importer):
    """Reads the branch from a syncer: through its ``read`` if it has one, and its ``load`` otherwise.

    Args:
        syncer: Anything with ``load(identifier)``; with ``read(table, attributes, identifiers=…)`` it is asked for what
            the branch's class declares, and streams it. Without, memberships in link tables are loaded, too.
    """

    def __init__(self, syncer: Any) -> None:
        self.syncer = syncer

    def origin(self) -> StoredRows | None:
        """Return the table of a database, which a large one can be compared in."""
        if type(self).read is not StoreImporter.read or not isinstance(self.syncer, SQLSyncer):
            return None
        return StoredRows(self.syncer, self.branch.table, attributes=self.branch.columns())

    def read(self) -> Any:
        """Return the records, each attribute under its own name."""
        table = self.branch.table
        read = getattr(self.syncer, "read", None)
        if callable(read):
            return read(table, self.branch.columns(), identifiers=self.branch.identifiers)
        if table.links:
            return projected(self._opened, table, self.branch.columns(), self.branch.identifiers)
        records = self.syncer.load(table.name)
        if not table.columns:
            return records
        attributes = {column: attribute for attribute, column in table.columns.items()}
        return ({attributes.get(name, name): value for name, value in record.items()} for record in records)

    def _opened(self, name: str) -> Records:
        """Load a table as a stream of all of its columns."""
        contents = Contents.of(self.syncer.load(name), name)
        chunk = [[record.get(column) for record in contents.records] for column in contents.columns]
        chunks = [chunk] if chunk else []
        return Records(contents.columns, chunks, lambda index: f"record {index + 1} of table {name!r}")
