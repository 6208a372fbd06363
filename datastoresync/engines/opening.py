"""Decides whether rows stay where they are, and opens them if so."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import attrs

from datastoresync.engines.delimited import DelimitedRelation
from datastoresync.engines.engine import TableEngine
from datastoresync.engines.relation import Relation, Unfaithful
from datastoresync.engines.session import DuckDB
from datastoresync.engines.table import TableObjects
from datastoresync.errors import DeclarationError
from datastoresync.syncers.origin import DelimitedFiles

__all__ = ["Choice", "choice_of", "open_table"]

_NAMES = ("auto", "memory", "duckdb")


@attrs.frozen
class Choice:
    """Which engine is wanted.

    Args:
        name: ``auto``, ``memory`` or ``duckdb``.
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


def open_table(
    source: Any, layout: Any, choice: Choice, attach: Callable[[Collection[Any]], None]
) -> TableObjects:
    """Return the objects of a source that stays a table.

    Args:
        source: What an importer reads.
        layout: The class of the objects.
        choice: Which engine is wanted.
        attach: Lets objects know their branch.

    Raises:
        Unfaithful: with the reason why it must become objects.
    """
    origin = getattr(source, "origin", None)
    if not DuckDB.available() and choice.name == "auto":
        raise Unfaithful("DuckDB is not installed: pip install 'datastoresync[duckdb]'")
    check_layout(layout)
    relation = _relation(origin, layout, choice)
    return TableObjects(relation, layout, attach, TableEngine())


def check_layout(layout: Any) -> None:
    """Raise `Unfaithful` if the class of the objects can only be filled in Python."""
    if layout.through_init:
        raise Unfaithful(f"{layout.cls.__name__} makes its objects by code of its own")
    if layout.memberships:
        raise Unfaithful(f"{', '.join(sorted(layout.memberships))} of {layout.cls.__name__} is a membership")


def check_columns(columns: Collection[str], layout: Any) -> None:
    """Raise `Unfaithful` unless there is just what a class needs; what is wrong, the in-memory engine says."""
    if layout.fields is None:
        return
    if set(columns) != set(layout.fields):
        raise Unfaithful("the columns are not those that the class declares")


def _relation(origin: Any, layout: Any, choice: Choice) -> Relation:
    if isinstance(origin, DelimitedFiles):
        check_columns(origin.files[0].columns, layout)
        return DelimitedRelation(choice.duckdb, origin, layout)
    raise Unfaithful("its rows come from Python")
