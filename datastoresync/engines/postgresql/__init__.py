"""Rows that stay in their PostgreSQL."""

from __future__ import annotations

from typing import Any

from datastoresync.engines.relation import BranchDescription, Relation, SourceEngine
from datastoresync.syncers.records import LARGE, StoredRows


class DatabaseEngine(SourceEngine):
    """Leaves the rows of tables and queries in their database."""

    name = "postgresql"
    asked = "database"
    sources = (StoredRows,)

    def relation(self, source: Any, branch: BranchDescription, options: Any, *, automatic: bool) -> Relation | None:
        """Return the rows of a table or a query where they are; see `SourceEngine`."""
        del options
        from datastoresync.engines.postgresql.relation import open_large  # it needs SQLAlchemy

        return open_large(source, branch.schema, LARGE if automatic else 0)


ENGINE = DatabaseEngine()
