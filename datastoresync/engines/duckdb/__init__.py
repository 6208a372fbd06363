"""The embedded engine: rows in files, compared by DuckDB."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from datastoresync.conversion.schema import Schema
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.relation import BranchDescription, CannotPushDown, Relation, SourceEngine
from datastoresync.syncers.arrow import ArrowStream
from datastoresync.syncers.records import LARGE, DelimitedFiles, ParquetFiles

_START, _STARTED = 0.17, 0.04
"""Seconds of processor time that DuckDB takes to start: as a library that was not imported before, and elsewhere."""
_SAVED, _CONVERTED = 13e-9, 1.7e-9
"""Seconds that it then saves a byte of text, and more for each column that is converted; against lines in memory."""
_PLAIN = frozenset({'"', "\r\n", "\x80"})
"""The marks of files that DuckDB may read itself; of others it gets a copy, which pays from so many bytes on:"""
_COPIED = 16 * 2**20
_COMPUTED, _COMPUTING = 6e-9, 0.04
"""What a property costs of that, a byte and once."""


class DuckDBEngine(SourceEngine):
    """Reads CSV and Parquet files where they are, and Arrow streams into files of its own."""

    name = asked = "duckdb"
    options = DuckDB
    example = "DuckDB(memory_limit=…)"
    sources = (ArrowStream, DelimitedFiles, ParquetFiles)

    def is_large(self, source: Any, schema: Schema) -> bool:
        """Say whether objects would cost more than a table."""
        if isinstance(source, ArrowStream):
            return source.has(LARGE)
        source_info = source.source_info
        if isinstance(source_info, ParquetFiles):
            return bool(source_info.rows >= LARGE)
        if any(file.encoding not in ("utf-8", "ascii") or not file.special <= _PLAIN for file in source_info.files):
            return bool(source_info.size >= _COPIED)
        return bool(source_info.size >= bytes_that_pay(schema, started="duckdb" in sys.modules))

    def relation(self, source: Any, branch: BranchDescription, options: Any, *, automatic: bool) -> Relation:
        """Return the rows of a source as files that DuckDB reads; see `SourceEngine`."""
        if automatic and not DuckDB.available():
            raise CannotPushDown("DuckDB is not installed: pip install 'datastoresync[duckdb]'")
        duckdb, schema = DuckDB() if options is None else options, branch.schema
        if isinstance(source, ArrowStream):
            from datastoresync.engines.duckdb.parquet import stream_relation  # it needs pyarrow

            check_columns(source.schema.names, schema)
            return stream_relation(duckdb, source, schema)
        source_info = source.source_info
        check_columns(source_info.files[0].columns, schema)
        if isinstance(source_info, DelimitedFiles):
            from datastoresync.engines.duckdb.csv import DelimitedRelation, Unreadable, reread

            if not schema.open and any(file.text_format.changes_values for file in source_info.files):
                raise CannotPushDown("texts stand for values in a way of their own")
            try:
                return DelimitedRelation(duckdb, source_info, schema)
            except Unreadable:
                from datastoresync.engines.duckdb.parquet import ColumnarRelation  # as above

                return ColumnarRelation.of_records(duckdb, reread(source_info), schema)
        from datastoresync.engines.duckdb.parquet import ColumnarRelation  # as above

        return ColumnarRelation.of_files(duckdb, source_info, schema)


ENGINE = DuckDBEngine()


def bytes_that_pay(schema: Schema, *, started: bool) -> float:
    """Return from how many bytes a side on a difference of two files of text takes less time as tables.

    What it is made of was measured with `benchmarks/compare.py files`.
    """
    fields = (schema.fields or {}).values()
    converted = sum(field.converter is not None and field.converter.describe != "str" for field in fields)
    start, saved = _STARTED if started else _START, _SAVED + _CONVERTED * converted
    if schema.properties:
        start, saved = start + _COMPUTING, saved - _COMPUTED
    return start / (2 * saved)


def check_columns(columns: Collection[str], schema: Schema) -> None:
    """Raise `CannotPushDown` unless there is just what a class needs; what is wrong, the in-memory engine says."""
    if any(name.startswith("__") for name in columns):
        raise CannotPushDown("a column has a name of Python's own")
    if schema.fields is not None:
        if not set(columns) <= set(schema.fields):
            raise CannotPushDown("there are columns that the class does not declare")
        return
    if len(set(columns)) < len(columns) or not set(schema.identifiers) <= set(columns):
        raise CannotPushDown("the columns are not those that the class needs")
    taken = [name for name in columns if not schema.takes(name)]
    if taken:
        raise CannotPushDown(f"{', '.join(taken)} of {schema.cls.__name__} is computed, and a column")
