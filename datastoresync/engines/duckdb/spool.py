"""Brings the rows of a table that is elsewhere into a temporary file, where the embedded engine finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.engines.relation import Relation

if TYPE_CHECKING:
    from datastoresync.engines.duckdb.parquet import ColumnarRelation

__all__ = ["Bringer"]


class Bringer:
    """Remembers what was brought in of one table, as long as the table is what it was.

    Args:
        duckdb: How the embedded engine runs.
    """

    def __init__(self, duckdb: DuckDB) -> None:
        self.duckdb = duckdb
        self._brought: ColumnarRelation | None = None
        self._of: Any = None

    def local(self, relation: Relation, layout: Any) -> LocalRelation:
        """Return a relation with the same rows that the embedded engine reads: itself, if it is one.

        Raises:
            Unfaithful: if a type in it is not the same here.
            SyncerError: if it cannot be read any more.
        """
        if isinstance(relation, LocalRelation):
            return relation
        moment = (relation, getattr(relation, "snapshot", None))
        if self._brought is None or self._of != moment:
            from datastoresync.engines.duckdb.parquet import ColumnarRelation  # it needs pyarrow

            self._brought = ColumnarRelation.of_relation(self.duckdb, relation, layout)
            self._of = moment
        return self._brought
