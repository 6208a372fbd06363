"""Rows of tables and Arrow streams spooled into temporary files, where the embedded engine finds them."""

from __future__ import annotations

from typing import Any

from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.parquet import ColumnarRelation
from datastoresync.engines.duckdb.parquet_store import ParquetStore, arrow_libraries
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.engines.duckdb.types import kind_of
from datastoresync.engines.relation import CannotPushDown, Relation
from datastoresync.syncers.arrow import ArrowStream


class Spool:
    """Remembers what was brought in of one table, as long as the table is what it was.

    Args:
        duckdb: How the embedded engine runs.
    """

    def __init__(self, duckdb: DuckDB) -> None:
        self.duckdb = duckdb
        self._brought: ColumnarRelation | None = None
        self._of: Any = None

    def local(self, relation: Relation, schema: Any) -> LocalRelation:
        """Return a relation with the same rows that the embedded engine reads: itself, if it is one.

        Raises:
            CannotPushDown: if a type in it is not the same here.
            SyncerError: if it cannot be read any more.
        """
        if isinstance(relation, LocalRelation):
            return relation
        moment = (relation, getattr(relation, "snapshot", None))
        if self._brought is None or self._of != moment:
            from datastoresync.engines.duckdb.parquet import ColumnarRelation  # it needs pyarrow

            self._brought = ColumnarRelation.of_relation(self.duckdb, relation, schema)
            self._of = moment
        return self._brought


def stream_relation(duckdb: DuckDB, stream: ArrowStream, schema: Any) -> ColumnarRelation:
    """Return the rows of a stream, which is read to its end.

    Args:
        duckdb: How the embedded engine runs.
        stream: The stream; it can be read from its beginning again if this fails.
        schema: The class of the objects.

    Raises:
        CannotPushDown: if something in it is for the in-memory engine to judge.
    """
    pyarrow, _ = arrow_libraries()
    names = stream.schema.names
    for name, kind in zip(names, stream.schema.types, strict=True):
        kind_of(pyarrow, name, kind)
    store = ParquetStore(duckdb, names)
    try:
        _fill(store, stream)
        return ColumnarRelation.of_store(duckdb, store, names, schema)
    except CannotPushDown:
        stream.put_back(store.batches())
        raise


def _fill(store: ParquetStore, stream: ArrowStream) -> None:
    batches = stream.batches()
    while True:
        try:
            batch = next(batches, None)
        except Exception as error:
            stream.put_back((), error)
            raise CannotPushDown("it broke off") from error
        if batch is None:
            return
        try:
            store.write_arrays(batch.columns)
        except CannotPushDown:
            stream.put_back([batch])
            raise
