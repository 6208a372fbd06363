"""Loading of a branch: as a table where it can stay one, as objects otherwise."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from datastoresync.engines.spark.dataframe import is_spark
from datastoresync.errors import ImporterError
from datastoresync.importing.importer import Importer, ImportReport
from datastoresync.importing.object_set import ObjectSet
from datastoresync.importing.row_loader import LoadedRows, RowLoader
from datastoresync.runtime import collector_paused
from datastoresync.syncers.arrow import ArrowStream, is_arrow
from datastoresync.syncers.source_info import LARGE, DelimitedFiles, ParquetFiles, StoredRows

if TYPE_CHECKING:
    from datastoresync.engines.table import TableObjects


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
    from datastoresync.engines.relation import CannotPushDown
    from datastoresync.engines.select import choice_of, open_table

    choice = choice_of(engine)
    try:
        for hook in _HOOKS:
            if importer.overrides(hook):
                raise CannotPushDown(f"{hook} of {type(importer).__name__} is Python")
        if importer.on_bad_row == "collect":
            raise CannotPushDown("rows that are refused are collected")
        return open_table(source, branch.layout, choice, branch), "", source
    except CannotPushDown as reason:
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


def loaded(branch: Any, importer: Importer) -> ObjectSet:
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
            contents = ObjectSet(branch, fed.objects, why=fed.why)
        except TypeError as error:
            message = f"{branch.full_name}: the idnumbers cannot be sorted: {error}"
            raise ImporterError(message) from error
    contents.rejected = len(fed.bad_rows) + sum(one.contents.rejected for one in derived)
    seconds = time.perf_counter() - started
    contents.report = ImportReport(branch.full_name, fed.rows, len(fed.objects), fed.bad_rows, seconds)
    return contents


def feed(branch: Any, importer: Importer, engine: Any = "memory") -> LoadedRows:
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
            return LoadedRows(table, len(table), ())
        fed = RowLoader(branch.layout, importer, name=branch.full_name).run(None if source is origin else source)
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
