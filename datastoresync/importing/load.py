"""Loading of a branch: as a table where it can stay one; otherwise in chunks of columns, which become objects."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs

from datastoresync.engines.lines import LineObjects, line_objects, row_objects
from datastoresync.engines.relation import CannotPushDown
from datastoresync.engines.select import engine_of, open_table, options_of
from datastoresync.errors import (
    ImporterError,
    noted_warnings,
)
from datastoresync.importing.import_progress import tell, watch
from datastoresync.importing.importer import Importer, ImportReport
from datastoresync.importing.object_set import ObjectSet
from datastoresync.importing.row_loader import LoadedRows, RowLoader, absent_fields
from datastoresync.masking import ForgettingLocals
from datastoresync.runtime import collector_paused
from datastoresync.syncers.arrow import ArrowStream
from datastoresync.syncers.records import DelimitedFiles, Records, is_arrow

if TYPE_CHECKING:
    from datastoresync.engines.table import TableObjects


_HOOKS = ("keep", "prepare", "resolve_duplicate")


def table_of(importer: Importer, source: Any) -> tuple[TableObjects | None, str, Any]:
    """Return the objects of a branch that stays a table, or None and why not; no words if it is just small.

    Args:
        importer: The bound importer.
        source: What it read.

    Returns:
        The table, why there is none, and the source to read on from then.

    Raises:
        DeclarationError: if there is no such engine.
    """
    engine = importer.description.engine
    if engine == "memory":
        return None, "engine='memory' was asked for", source
    taken_by = engine_of(source)
    if taken_by is None and is_arrow(source):
        with suppress(Exception):  # without pyarrow, or not to be opened: what reads it says so
            source = ArrowStream(source)
            taken_by = engine_of(source)
    if engine == "auto" and not (taken_by is not None and taken_by.is_large(source, importer.description.schema)):
        return None, "", source
    options_of(engine)
    try:
        for hook in _HOOKS:
            if importer.overrides(hook):
                raise CannotPushDown(f"{hook} of {type(importer).__name__} is Python")
        if importer.on_bad_row == "collect":
            raise CannotPushDown("rows that are refused are collected")
        if importer.number_from is not None:
            raise CannotPushDown("rows without an idnumber are numbered")
        return open_table(source, importer.description), "", source
    except CannotPushDown as reason:
        return None, str(reason), source


def load_objects(importer: Importer) -> ObjectSet:
    """Return what a branch holds after an import, given the importer that is bound to it.

    Raises:
        ImporterError: if something that comes in is refused.
    """
    branch, started = importer.description, time.perf_counter()
    with collector_paused(), ForgettingLocals([branch.schema.cls]), noted_warnings() as said:
        loaded = load_rows(importer)
        tell(loaded.rows, loaded.rows)
        try:
            contents = ObjectSet(branch, loaded.objects, reason=loaded.reason)
        except TypeError as error:
            message = f"{branch.name}: the idnumbers cannot be sorted: {error}"
            raise ImporterError(message) from error
    contents.rejected, contents.stored = len(loaded.bad_rows), loaded.stored
    contents.empty_parts, contents.absent = loaded.empty_parts, loaded.absent
    contents.value_format = loaded.value_format
    seconds, said = time.perf_counter() - started, list(dict.fromkeys(said))
    contents.report = ImportReport(
        branch.name, loaded.rows, len(loaded.objects), loaded.bad_rows, seconds, warnings=tuple(said)
    )
    return contents


def load_rows(importer: Importer) -> LoadedRows:
    """Return the objects that a bound importer gives.

    Raises:
        ImporterError: if something that comes in is refused.
    """
    branch = importer.description
    try:
        source_info = importer.source_info()
        source = importer.read() if source_info is None else None
        table, reason, source = table_of(importer, source if source_info is None else source_info)
        if table is not None:
            importer.finished()
            absent = absent_fields(branch.schema, getattr(source, "columns", None))
            given = getattr(source, "value_format", None)
            return LoadedRows(table, len(table), (), absent=absent, value_format=given)
        loader = RowLoader(branch.schema, importer, name=branch.name)
        if source is source_info:
            source = importer.read()
        watch(source)
        lines = _lines_of(importer, source)
        loaded = loader.run(source) if lines is None else loader.take_lines(lines, source)
        return attrs.evolve(loaded, reason=reason, value_format=getattr(source, "value_format", None))
    except ImporterError as error:
        error.branch = error.branch or branch.name
        raise


def _lines_of(importer: Importer, source: Any) -> LineObjects | None:
    """Return what was read as lines that need not become objects yet; None if they must."""
    if not isinstance(source, Records) or any(map(importer.overrides, _HOOKS)):
        return None
    if source.value_format is not None and source.value_format.changes_values:
        return None
    if isinstance(source.source_info, DelimitedFiles):
        return line_objects(source.source_info, importer.description)
    if importer.on_bad_row == "collect" or engine_of(source) is not None:
        return None  # what is refused is told in the order in which it is read
    return row_objects(source, importer.description)
