"""Selection of the engine for the rows of a branch: whether they stay where they are, and which relation opens them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs

from datastoresync.conversion.schema import Schema
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.csv import DelimitedRelation, Unreadable, reread
from datastoresync.engines.engine import TableEngine
from datastoresync.engines.relation import BranchDescription, CannotPushDown, Relation
from datastoresync.engines.spark.dataframe import is_spark
from datastoresync.engines.table import TableObjects
from datastoresync.errors import DeclarationError
from datastoresync.syncers.arrow import ArrowStream, is_arrow
from datastoresync.syncers.source_info import LARGE, DelimitedFiles, ParquetFiles, StoredRows

_NAMES = ("auto", "memory", "duckdb", "database", "spark")


@attrs.frozen
class Choice:
    """Which engine is wanted.

    Args:
        name: ``auto``, ``memory``, ``duckdb``, ``database`` or ``spark``.
        duckdb: How DuckDB runs, if it does.
    """

    name: str = "auto"
    duckdb: DuckDB = attrs.field(factory=DuckDB)


def choice_of(engine: Any) -> Choice:
    """Return the choice that a name or an engine's settings stand for.

    Raises:
        DeclarationError: if there is no such engine.
    """
    if isinstance(engine, DuckDB):
        return Choice("duckdb", engine)
    if engine not in _NAMES:
        message = f"engine is one of {', '.join(map(repr, _NAMES))}, or DuckDB(memory_limit=…) (got {engine!r})"
        raise DeclarationError(message)
    return Choice(engine)


def open_table(source: Any, branch: BranchDescription, choice: Choice) -> TableObjects | None:
    """Return the objects of a source that stays a table; None if it is too small for that.

    Args:
        source: What an importer reads.
        branch: The branch that is imported.
        choice: Which engine is wanted.

    Raises:
        CannotPushDown: with the reason why it must become objects.
    """
    schema = branch.schema
    check_schema(schema)
    relation: Relation | None
    if is_spark(source):
        relation = _on_a_cluster(source, schema, branch.name)
    elif isinstance(source, StoredRows):
        relation = _stored(source, schema, choice)
    else:
        if not DuckDB.available() and choice.name == "auto":
            raise CannotPushDown("DuckDB is not installed: pip install 'datastoresync[duckdb]'")
        relation = _local(source, schema, choice)
    return None if relation is None else TableObjects(relation, branch, TableEngine(choice.duckdb))


def check_schema(schema: Schema) -> None:
    """Raise `CannotPushDown` if the class of the objects can only be filled in Python."""
    if schema.through_init:
        raise CannotPushDown(f"{schema.cls.__name__} makes its objects by code of its own")
    if schema.memberships:
        raise CannotPushDown(f"{', '.join(sorted(schema.memberships))} of {schema.cls.__name__} is a membership")


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
    taken = [name for name in columns if hasattr(type(getattr(schema.cls, name, None)), "__set__")]
    if taken:
        raise CannotPushDown(f"{', '.join(taken)} of {schema.cls.__name__} is computed, and a column")


def _on_a_cluster(frame: Any, schema: Schema, name: str) -> Relation:
    # Few have one.
    from datastoresync.engines.spark.relation import SparkRelation

    return SparkRelation(frame, schema, name=name)


def _stored(origin: StoredRows, schema: Schema, choice: Choice) -> Relation | None:
    # It needs SQLAlchemy.
    from datastoresync.engines.postgresql.relation import open_large

    return open_large(origin, schema, LARGE if choice.name == "auto" else 0)


def _local(source: Any, schema: Schema, choice: Choice) -> Relation:
    if isinstance(source, ArrowStream):
        from datastoresync.engines.duckdb.spool import stream_relation  # it needs pyarrow

        check_columns(source.schema.names, schema)
        return stream_relation(choice.duckdb, source, schema)
    origin = None if is_arrow(source) else getattr(source, "origin", None)
    if isinstance(origin, DelimitedFiles):
        check_columns(origin.files[0].columns, schema)
        try:
            return DelimitedRelation(choice.duckdb, origin, schema)
        except Unreadable:
            from datastoresync.engines.duckdb.parquet import ColumnarRelation  # it needs pyarrow

            return ColumnarRelation.of_records(choice.duckdb, reread(origin), schema)
    if isinstance(origin, ParquetFiles):
        from datastoresync.engines.duckdb.parquet import ColumnarRelation  # as above

        check_columns(origin.files[0].columns, schema)
        return ColumnarRelation.of_files(choice.duckdb, origin, schema)
    raise CannotPushDown("its rows come from Python")
