"""Selection of the engine for the rows of a branch: whether they stay where they are, and which relation opens them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs

from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.csv import DelimitedRelation, Unreadable, reread
from datastoresync.engines.engine import TableEngine
from datastoresync.engines.relation import CannotPushDown, Relation
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


def open_table(source: Any, layout: Any, choice: Choice, branch: Any) -> TableObjects | None:
    """Return the objects of a source that stays a table; None if it is too small for that.

    Args:
        source: What an importer reads.
        layout: The class of the objects.
        choice: Which engine is wanted.
        branch: Whose objects they are.

    Raises:
        CannotPushDown: with the reason why it must become objects.
    """
    check_layout(layout)
    relation: Relation | None
    if is_spark(source):
        relation = _on_a_cluster(source, layout, branch.full_name)
    elif isinstance(source, StoredRows):
        relation = _stored(source, layout, choice)
    else:
        if not DuckDB.available() and choice.name == "auto":
            raise CannotPushDown("DuckDB is not installed: pip install 'datastoresync[duckdb]'")
        relation = _local(source, layout, choice)
    return None if relation is None else TableObjects(relation, layout, branch, TableEngine(choice.duckdb))


def check_layout(layout: Any) -> None:
    """Raise `CannotPushDown` if the class of the objects can only be filled in Python."""
    if layout.through_init:
        raise CannotPushDown(f"{layout.cls.__name__} makes its objects by code of its own")
    if layout.memberships:
        raise CannotPushDown(f"{', '.join(sorted(layout.memberships))} of {layout.cls.__name__} is a membership")


def check_columns(columns: Collection[str], layout: Any) -> None:
    """Raise `CannotPushDown` unless there is just what a class needs; what is wrong, the in-memory engine says."""
    if any(name.startswith("__") for name in columns):
        raise CannotPushDown("a column has a name of Python's own")
    if layout.fields is not None:
        if not set(columns) <= set(layout.fields):
            raise CannotPushDown("there are columns that the class does not declare")
        return
    if len(set(columns)) < len(columns) or not set(layout.identifiers) <= set(columns):
        raise CannotPushDown("the columns are not those that the class needs")
    taken = [name for name in columns if hasattr(type(getattr(layout.cls, name, None)), "__set__")]
    if taken:
        raise CannotPushDown(f"{', '.join(taken)} of {layout.cls.__name__} is computed, and a column")


def _on_a_cluster(frame: Any, layout: Any, name: str) -> Relation:
    # Few have one.
    from datastoresync.engines.spark.relation import SparkRelation

    return SparkRelation(frame, layout, name=name)


def _stored(origin: StoredRows, layout: Any, choice: Choice) -> Relation | None:
    # It needs SQLAlchemy.
    from datastoresync.engines.postgresql.relation import open_large

    return open_large(origin, layout, LARGE if choice.name == "auto" else 0)


def _local(source: Any, layout: Any, choice: Choice) -> Relation:
    if isinstance(source, ArrowStream):
        from datastoresync.engines.duckdb.spool import stream_relation  # it needs pyarrow

        check_columns(source.schema.names, layout)
        return stream_relation(choice.duckdb, source, layout)
    origin = None if is_arrow(source) else getattr(source, "origin", None)
    if isinstance(origin, DelimitedFiles):
        check_columns(origin.files[0].columns, layout)
        try:
            return DelimitedRelation(choice.duckdb, origin, layout)
        except Unreadable:
            from datastoresync.engines.duckdb.parquet import ColumnarRelation  # it needs pyarrow

            return ColumnarRelation.of_records(choice.duckdb, reread(origin), layout)
    if isinstance(origin, ParquetFiles):
        from datastoresync.engines.duckdb.parquet import ColumnarRelation  # as above

        check_columns(origin.files[0].columns, layout)
        return ColumnarRelation.of_files(choice.duckdb, origin, layout)
    raise CannotPushDown("its rows come from Python")
