"""The reader, the writer and the reporters that a configuration declares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import PurePath
from typing import Any

import attrs

from datastoresync.app.configuration import FILE_FORMATS, LoadedConfiguration, StoreSettings, load_configuration
from datastoresync.app.declared_trees import TreeReader, TreeWriter, declared_tree
from datastoresync.app.parts import Reader
from datastoresync.app.syncer_reader import Record, RecordImporter, SyncerReader
from datastoresync.app.syncer_writer import SyncerWriter
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report, Result
from datastoresync.applying.reporter import Reporter
from datastoresync.branch import Branch
from datastoresync.errors import DatastoreSyncError
from datastoresync.importing.importer import StoreImporter
from datastoresync.spelling import nearest
from datastoresync.syncers import open_syncer
from datastoresync.syncers.changes import Table
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.names import likely_delimiter
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.tree import Tree


class ConfiguredImporter(RecordImporter):
    """Reads a table without declared types."""

    def key_advice(self, missing: str, columns: Sequence[str], rows: Any) -> str:
        """Return what to do about a column of the key that is not there."""
        table, branch, form = self.branch.table.name, self.branch.name, getattr(rows, "value_format", None)
        hint = nearest(missing, columns)
        if form is not None and (other := likely_delimiter(columns, [missing])):
            hint = f"it looks as if {other!r} separates its columns: {form.option('delimiter', other)} tells so"
        return f"table {table} has no column {missing!r}, the key of [branches.{branch}]: {hint}"


class SkippingImporter(StoreImporter):
    """Leaves out rows in which one of some attributes is empty.

    Args:
        syncer: The store.
        names: The attributes.
    """

    def __init__(self, syncer: Any, names: Sequence[str]) -> None:
        super().__init__(syncer)
        self.names = names

    def keep(self, row: Mapping[str, Any]) -> bool:
        """Say whether all of them have a value; one that the row has no column for is missed elsewhere."""
        return all(row.get(name, False) not in (None, "") for name in self.names)


class SkippingRecordImporter(SkippingImporter, ConfiguredImporter):
    """The same of a table without declared types."""


class FileReporter(Reporter):
    """Writes the report, or why a run was refused or failed, to a file.

    Args:
        path: The file, whose suffix tells the format.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def end(self, report: Report) -> None:
        """Write the report."""
        self._write(report)

    def refused(self, preview: Preview) -> None:
        """Write what would have been done."""
        self._write(preview)

    def failed(self, reason: str) -> None:
        """Write the reason."""
        self._write(Report((Result("failed", reason, method="sync"),)))

    def _write(self, content: Report | Preview) -> None:
        getattr(content, f"to_{FILE_FORMATS[PurePath(self.path).suffix.lower()]}")(self.path)


class OptionReporter(Reporter):
    """Tells a reporter of a run of the command line, whose refusals name options, and no Python.

    Args:
        reporter: The reporter.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        for event in ("start", "result", "end", "failed"):
            setattr(self, event, getattr(reporter, event))

    def refused(self, preview: Preview) -> None:
        """Tell why, in options."""
        told = tuple(getattr(one, "on_command_line", one) for one in preview.refused)
        self.reporter.refused(attrs.evolve(preview, refused=told))


@attrs.frozen(kw_only=True)
class ConfiguredParts:
    """What a configuration declares, opened.

    Args:
        reader: Makes the tree of the source.
        writer: Makes the destination follow it.
        stores: The syncers of both; None where a tree has its own.
        reporters: Those that are told of a run.
    """

    reader: Reader
    writer: SyncerWriter
    stores: tuple[Any, Any]
    reporters: tuple[Reporter, ...]


@contextmanager
def configured_parts(
    path: str | os.PathLike[str], failed: Callable[[Sequence[Reporter], str], None] = lambda *_: None
) -> Iterator[ConfiguredParts]:
    """Open what a configuration declares, and close it in the end.

    Args:
        path: The configuration.
        failed: Called with the reporters and the reason if a store cannot be opened, or the work in between fails.

    Raises:
        ConfigurationError: if anything in it is wrong, or it names a branch that a tree does not have.
        DeclarationError: if a tree is not there.
        SyncerError: if a store cannot be opened.
    """
    loaded = load_configuration(path)
    settings = loaded.settings
    reports = settings.reports
    given = (reports.mail, reports.webhook, *map(FileReporter, reports.files))
    reporters = tuple(OptionReporter(one) for one in given if one is not None)
    sides = (settings.source, settings.destination)
    with ExitStack() as stack:
        try:
            stores = [opened(side, stack) for side in sides]
            declared = [None if side.tree is None else declared_tree(side.tree) for side in sides]
            yield ConfiguredParts(
                reader=_reader(loaded, declared, stores[0]),
                writer=_writer(loaded, declared),
                stores=(stores[0], stores[1]),
                reporters=reporters,
            )
        except DatastoreSyncError as error:
            failed(reporters, str(error))
            raise


def opened(side: StoreSettings, stack: ExitStack) -> Any:
    """Return the syncer of a store, which is closed with the stack; None for a tree that is declared in Python.

    Raises:
        SyncerError: if it cannot be opened.
    """
    if side.store is None:
        return None
    syncer = open_syncer(side.store, **side.options)
    if isinstance(syncer, (FileSyncer, SQLSyncer)):
        syncer.spelling = "toml"
    if callable(close := getattr(syncer, "close", None)):
        stack.callback(close)
    return syncer


def branch_classes(loaded: LoadedConfiguration, declared: Sequence[Tree | None]) -> dict[str, Any]:
    """Return the classes of all branches by name: those of a tree, if there is one.

    Raises:
        ConfigurationError: if a branch is named that the tree does not have.
    """
    tree = next((one for one in declared if one is not None), None)
    if tree is None:
        return dict(loaded.classes)
    for name in loaded.settings.branches:
        if name not in tree.branches:
            loaded.document.place.below("branches").below(name).refuse(
                f"{tree.name} has no such branch: {nearest(name, tree.branches)}"
            )
    loaded.document.check()
    return {name: tree[name].object_class for name in tree.branches}


def _table(loaded: LoadedConfiguration, name: str, side: str, tree: Tree | None) -> Table | None:
    branch = loaded.settings.branches.get(name)
    found = None if branch is None else getattr(branch, side)
    return found or (None if tree is None else tree[name].table)


def only_table(table: Table | None, branch: str, syncer: Any, *, alone: bool, source: bool = False) -> Table | None:
    """Return the table of a branch: of the only one that of a single file, whatever that is called.

    Args:
        table: The table that is declared.
        branch: The name of the branch.
        syncer: The store.
        source: Whether it is the source.
        alone: Whether there is no other branch. Of several, those that name no table of their own are read from it.
    """
    unnamed = source and (table is None or table.name == branch)
    name = getattr(syncer, "only_table", None) if alone or unnamed else None
    return table if name is None else attrs.evolve(table or Table(branch), name=name)


def _part(loaded: LoadedConfiguration, name: str) -> str | None:
    branch = loaded.settings.branches.get(name)
    return None if branch is None else branch.part


def _importer(loaded: LoadedConfiguration, name: str, cls: type[Any], syncer: Any) -> StoreImporter | None:
    branch = loaded.settings.branches.get(name)
    untyped = issubclass(cls, Record)
    if branch is not None and branch.skip_empty:
        return (SkippingRecordImporter if untyped else SkippingImporter)(syncer, branch.skip_empty)
    return ConfiguredImporter(syncer) if untyped else None


def _reader(loaded: LoadedConfiguration, declared: Sequence[Tree | None], syncer: Any) -> Reader:
    source, destination = declared
    if source is not None:
        branch_classes(loaded, declared)
        return TreeReader(source, "source")
    classes = branch_classes(loaded, declared)
    branches = {
        name: Branch(
            cls,
            importer=_importer(loaded, name, cls, syncer),
            table=only_table(
                _table(loaded, name, "source", destination), name, syncer, alone=len(classes) == 1, source=True
            ),
            part=_part(loaded, name),
        )
        for name, cls in classes.items()
    }
    return SyncerReader(name="source", branches=branches)


def _writer(loaded: LoadedConfiguration, declared: Sequence[Tree | None]) -> SyncerWriter:
    limits = loaded.settings.limits
    own = {name: one.limits for name, one in loaded.settings.branches.items() if one.limits is not None}
    source, destination = declared
    if destination is not None:
        destination.limits = limits.over(destination.limits) if limits else destination.limits
        for name, given in own.items():
            destination[name].limits = given.over(destination[name].limits)
        return TreeWriter(destination, "destination")
    classes = branch_classes(loaded, declared)

    def tree(syncer: Any) -> Tree:
        branches = {
            name: Branch(
                cls,
                table=only_table(_table(loaded, name, "destination", source), name, syncer, alone=len(classes) == 1),
                limits=own.get(name),
                part=_part(loaded, name),
            )
            for name, cls in classes.items()
        }
        found = Tree("destination", syncer=syncer, branches=branches)
        found.limits, found.top_level = limits, loaded.settings.top_level
        return found

    return SyncerWriter(name="destination", tree=tree)
