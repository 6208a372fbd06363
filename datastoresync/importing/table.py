"""Feeds a branch that stays a table, where nothing of its importer or its class is Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datastoresync.engines.spark.dataframe import is_spark
from datastoresync.importing.importer import Importer
from datastoresync.syncers.arrow import ArrowStream, is_arrow
from datastoresync.syncers.source_info import LARGE, DelimitedFiles, ParquetFiles, StoredRows

if TYPE_CHECKING:
    from datastoresync.engines.table import TableObjects

__all__ = ["table_of"]

_HOOKS = ("keep", "prepare", "resolve_duplicate")
_BYTES = 16 * 2**20
"""Bytes of files of text from which on objects would cost more than a table."""


def table_of(importer: Importer, source: Any, branch: Any, engine: Any) -> tuple[TableObjects | None, str, Any]:
    """Return the objects of a branch that stays a table, or None and why not; no words if it is just small.

    Args:
        importer: The bound importer.
        source: What it read.
        branch: Whose objects they are.
        engine: Which engine is wanted; see `Branch`.

    Returns:
        The table, why there is none, and the source to read on from then.

    Raises:
        DeclarationError: if there is no such engine.
    """
    if engine == "memory":
        return None, "engine='memory' was asked for", source
    source = _looked_into(source)
    if engine == "auto" and not _is_large(source):
        return None, "", source
    # What only an engine needs is imported with it: most imports are small.
    from datastoresync.engines.relation import Unfaithful
    from datastoresync.engines.select import choice_of, open_table

    choice = choice_of(engine)
    try:
        for hook in _HOOKS:
            if importer.overrides(hook):
                raise Unfaithful(f"{hook} of {type(importer).__name__} is Python")
        if importer.on_bad_row == "collect":
            raise Unfaithful("rows that are refused are collected")
        return open_table(source, branch.layout, choice, branch), "", source
    except Unfaithful as reason:
        return None, str(reason), source


def _looked_into(source: Any) -> Any:
    """Return a source, or, of one that can be read only once, what gives the same and can be looked into."""
    if is_spark(source) or not is_arrow(source):
        return source
    try:
        return ArrowStream(source)
    except Exception:  # noqa: BLE001 - without pyarrow, or not to be opened: whoever reads it says so
        return source


def _is_large(source: Any) -> bool:
    """Say whether objects would cost more than a table."""
    if isinstance(source, ArrowStream):
        return source.has(LARGE)
    if isinstance(source, StoredRows) or is_spark(source):
        return True  # the database is asked, and nobody has a cluster for a few rows
    origin = None if is_arrow(source) else getattr(source, "origin", None)
    if isinstance(origin, ParquetFiles):
        return origin.rows >= LARGE
    return isinstance(origin, DelimitedFiles) and origin.size >= _BYTES
