"""Imports a branch: as a table where it can stay one, as objects otherwise."""

from __future__ import annotations

import time
from typing import Any

import attrs

from datastoresync.errors import ImporterError
from datastoresync.importing.importer import Importer
from datastoresync.importing.object_set import Contents
from datastoresync.importing.report import ImportReport
from datastoresync.importing.row_loader import Fed, Feed
from datastoresync.importing.table import table_of
from datastoresync.runtime import collector_paused

__all__ = ["feed", "loaded"]


def loaded(branch: Any, importer: Importer) -> Contents:
    """Return what a branch holds after an import; it does not hold it yet.

    Args:
        branch: The branch.
        importer: Where its rows come from, not bound yet.

    Raises:
        ImporterError: if something that comes in is refused.
    """
    derived = [branch.tree[name] for name in importer.after] if branch.tree is not None else []
    started = time.perf_counter()
    with collector_paused():
        fed = feed(branch, importer.bound(branch.tree, branch), _engine(branch))
        try:
            contents = Contents(branch, fed.objects, why=fed.why)
        except TypeError as error:
            message = f"{branch.full_name}: the idnumbers cannot be sorted: {error}"
            raise ImporterError(message) from error
    contents.rejected = len(fed.bad_rows) + sum(one.contents.rejected for one in derived)
    seconds = time.perf_counter() - started
    contents.report = ImportReport(branch.full_name, fed.rows, len(fed.objects), fed.bad_rows, seconds)
    return contents


def feed(branch: Any, importer: Importer, engine: Any = "memory") -> Fed:
    """Return the objects that a bound importer gives for a branch.

    Raises:
        ImporterError: if something that comes in is refused.
    """
    try:
        origin = importer.origin()
        source = importer.read() if origin is None else None
        table, why, source = table_of(importer, source if origin is None else origin, branch, engine)
        if table is not None:
            importer.finished()
            return Fed(table, len(table), ())
        fed = Feed(branch.layout, importer, name=branch.full_name).run(None if source is origin else source)
        return attrs.evolve(fed, why=why)
    except ImporterError as error:
        error.branch = error.branch or branch.full_name
        raise


def _engine(branch: Any) -> Any:
    """Return the engine that is wanted, the branch's own or that of its tree; hierarchies are walked in memory."""
    related = branch.tree or {branch.name: branch}
    below = {name: one.object_class._children for name, one in related.items()}
    if below.get(branch.name) or any(branch.name in children for children in below.values()):
        return "memory"
    return branch.engine if branch.engine is not None else getattr(branch.tree, "engine", "auto")
