"""Brings Arrow streams into temporary files as they come, and gives them back as they were if that was in vain."""

from __future__ import annotations

from typing import Any

from datastoresync.engines.duckdb.arrow_kinds import kind_of
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.parquet import ColumnarRelation
from datastoresync.engines.duckdb.parquet_store import ParquetStore, arrow_libraries
from datastoresync.engines.relation import Unfaithful
from datastoresync.syncers.arrow import ArrowStream

__all__ = ["stream_relation"]


def stream_relation(duckdb: DuckDB, stream: ArrowStream, layout: Any) -> ColumnarRelation:
    """Return the rows of a stream, which is read to its end.

    Args:
        duckdb: How the embedded engine runs.
        stream: The stream; it can be read from its beginning again if this fails.
        layout: The class of the objects.

    Raises:
        Unfaithful: if something in it is for the in-memory engine to judge.
    """
    pyarrow, _ = arrow_libraries()
    names = stream.schema.names
    for name, kind in zip(names, stream.schema.types, strict=True):
        kind_of(pyarrow, name, kind)
    store = ParquetStore(duckdb, names)
    try:
        _fill(store, stream)
        return ColumnarRelation.of_store(duckdb, store, names, layout)
    except Unfaithful:
        stream.put_back(store.batches())
        raise


def _fill(store: ParquetStore, stream: ArrowStream) -> None:
    batches = stream.batches()
    while True:
        try:
            batch = next(batches, None)
        except Exception as error:
            stream.put_back((), error)
            raise Unfaithful("it broke off") from error
        if batch is None:
            return
        try:
            store.write_arrays(batch.columns)
        except Unfaithful:
            stream.put_back([batch])
            raise
