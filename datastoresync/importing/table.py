"""Feeds a branch that stays a table, where nothing of its importer or its class is Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datastoresync.importing.importer import Importer

if TYPE_CHECKING:
    from datastoresync.engines.table import TableObjects

__all__ = ["table_of"]

_HOOKS = ("keep", "prepare", "resolve_duplicate")
_BYTES = 16 * 2**20
"""Bytes of files from which on objects would cost more than a table."""


def table_of(importer: Importer, source: Any, branch: Any, engine: Any) -> tuple[TableObjects | None, str]:
    """Return the objects of a branch that stays a table, or None and why not; no words if it is just small.

    Args:
        importer: The bound importer.
        source: What it read.
        branch: Whose objects they are.
        engine: Which engine is wanted; see `Branch`.

    Raises:
        DeclarationError: if there is no such engine.
    """
    if engine == "memory":
        return None, "engine='memory' was asked for"
    if engine == "auto" and not _is_large(source):
        return None, ""
    # What only an engine needs is imported with it: most imports are small.
    from datastoresync.engines.opening import choice_of, open_table
    from datastoresync.engines.relation import Unfaithful

    choice = choice_of(engine)
    try:
        for hook in _HOOKS:
            if importer.overrides(hook):
                raise Unfaithful(f"{hook} of {type(importer).__name__} is Python")
        if importer.on_bad_row == "collect":
            raise Unfaithful("rows that are refused are collected")
        layout = branch.layout
        return open_table(source, layout, choice, lambda objects: layout.attach(objects, branch)), ""
    except Unfaithful as reason:
        return None, str(reason)


def _is_large(source: Any) -> bool:
    """Say whether objects would cost more than a table."""
    origin = getattr(source, "origin", None)
    size: int = getattr(origin, "size", 0)
    return size >= _BYTES
