"""Feeds a branch from a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datastoresync.errors import DeclarationError
from datastoresync.importing.importer import Importer
from datastoresync.syncers.changes import Table
from datastoresync.syncers.records import Records
from datastoresync.syncers.source_info import StoredRows
from datastoresync.syncers.sql.syncer import SQLSyncer

__all__ = ["SQLImporter"]


class SQLImporter(Importer):
    """Reads the rows of a query, or of a whole table, through SQLAlchemy.

    Args:
        database: A URL, an engine of SQLAlchemy, or a `SQLSyncer`.
        query: Any statement that gives rows. A column's name is the attribute's: ``select id as idnumber, …``.
        table: The table to read instead, as its name or a `Table`.
        parameters: Values for the ``:names`` in the query.

    Raises:
        DeclarationError: unless one of ``query`` and ``table`` is given.
    """

    def __init__(
        self,
        database: Any,
        query: str | None = None,
        *,
        table: str | Table | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if (query is None) == (table is None):
            message = "SQLImporter takes a query or a table: SQLImporter(url, 'select …') or SQLImporter(url, table=…)"
            raise DeclarationError(message)
        self.syncer = database if isinstance(database, SQLSyncer) else SQLSyncer(database)
        self.query = query
        self.table = table
        self.parameters = parameters

    def origin(self) -> StoredRows | None:
        """Return the table or the query, which a large one can be compared in."""
        if type(self).read is not SQLImporter.read:
            return None
        return StoredRows(
            self.syncer, Table(self.table) if isinstance(self.table, str) else self.table, self.query, self.parameters
        )

    def read(self) -> Records:
        """Return the rows as a stream."""
        if self.table is not None:
            return self.syncer.read(self.table)
        return self.syncer.query(self.query or "", self.parameters)
