"""A writer of trees to any store: it writes what differs, or all records in one of the other modes."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, get_args

import attrs

from datastoresync.app.console import say
from datastoresync.app.destination import DestinationImporter, in_column_types, in_destination_types
from datastoresync.app.parts import Arguments, Writer
from datastoresync.app.stores import open_store, url
from datastoresync.app.syncer_reader import RecordImporter
from datastoresync.app.tables import (
    TableState,
    TableWrite,
    check_columns,
    check_names,
    check_replacement,
    check_values,
    check_written,
    describe,
    lost_columns,
    ordered_attributes,
    owned_members,
    table_state,
    table_writes,
)
from datastoresync.applying.limits import NAMES, NUMBERS, Limits, refusal
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import LoggingReporter, ProgressReporter, Reporter
from datastoresync.applying.safeguards import check
from datastoresync.branch import Branch
from datastoresync.diffing.diff import Diff
from datastoresync.errors import DataWarning, DeclarationError, SafeguardError, SchemaMismatchError, SyncerError
from datastoresync.importing.importer import IterableImporter
from datastoresync.object import schema_of
from datastoresync.printing.text import counted
from datastoresync.spelling import closest
from datastoresync.syncers.loading import given_records
from datastoresync.tree import Tree

Mode = Literal["replace", "append", "upsert", "sync"]
_ALLOWED: Mapping[str, tuple[str, str]] = {
    "empty": ("BRANCH[:PART]", "allow a branch, or a part of it, to become empty"),
    "missing": ("BRANCH.ATTRIBUTE", "allow an attribute to be missing from the source, or blank in all of it"),
    "first_load": ("BRANCH", "allow any number of creations in a branch that holds something already"),
}
_MODES: tuple[Mode, ...] = get_args(Mode)


@attrs.frozen
class WriteReport:
    """The number of records written, by table."""

    counts: Mapping[str, int]

    @property
    def stat(self) -> str:
        """One line to search logs for."""
        return " ".join(f"{table}={count}" for table, count in self.counts.items())


class SyncerWriter(Writer):
    """Writes a tree to any store that has a syncer: ``--to URL``.

    The URL is one of `open_syncer`, or ``env:NAME`` for the value of an environment variable. The records are the
    synced attributes of the objects, in the tables that the tree declares, or the destination's ``tree``. The modes:

    * ``sync``: only differences are written, as by ``tree >> destination``; a table that is not there is made. Columns
      that the source does not have stay as they are. Where no types are declared, those of the destination decide.
    * ``upsert``: records with known keys are changed, the others added.
    * ``append``: the records are added.
    * ``replace``: each table has exactly these records afterwards; the old ones stay until all new ones are in.

    Deletions (by key) are limited as by `Limits` in ``replace`` and ``sync``, and changes in ``sync``. A table that
    cannot be read is not replaced, nor one with columns that the source lacks, unless ``--allow-loss`` names them. What
    is there afterwards is looked at, and is what the report counts.

    Args:
        store: The URL or the syncer to write to if ``--to`` is not given.
        mode: The mode if ``--mode`` is not given.
        tree: The destination's tree, if it is declared otherwise than the source: its class, or what makes it when
            called with ``syncer=``.
        limits: The limits that no option changes.
        required_arguments: See `AppPart`.
        name: See `AppPart`.

    Raises:
        DeclarationError: if the mode is unknown.
    """

    store: Any = None
    mode: Mode = "sync"
    tree: Callable[..., Tree] | None = None
    limits: Limits | None = None

    def __init__(
        self,
        store: Any = None,
        *,
        mode: Mode = "sync",
        tree: Callable[..., Tree] | None = None,
        limits: Limits | None = None,
        required_arguments: Iterable[str] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(required_arguments=required_arguments, name=name)
        if mode not in _MODES:
            message = f"mode is one of {', '.join(_MODES)} (got {mode!r})"
            raise DeclarationError(message)
        self.store = store
        self.mode = mode
        self.tree = tree
        self.limits = limits

    def add_arguments(self, parser: Arguments) -> None:
        """Add ``--to``, ``--mode``, and options that raise the limits."""
        parser.add_argument(
            "--to",
            dest="store",
            metavar="URL",
            type=url,
            default=self.store,
            required=self.store is None,
            help="the store to write to; a URL as for reading",
        )
        parser.add_argument(
            "--mode",
            choices=_MODES,
            default=self.mode,
            help="sync: write only what differs; upsert by key, append, or replace all that is there; "
            "default: %(default)s",
        )
        parser.add_argument(
            "--on-error",
            choices=("stop", "continue"),
            help="with --mode sync: write nothing if anything fails, or all that does not fail; default: nothing",
        )
        for what in NUMBERS:
            count_only = what == "dangling"
            parser.add_argument(
                f"--allow-{what}",
                metavar="N",
                type=int if count_only else _limit,
                help="allow that number of references that lead to nothing"
                if count_only
                else f"allow that number of {what}: 500, or a share such as 30%%",
            )
        for what, (metavar, text) in _ALLOWED.items():
            parser.add_argument(
                f"--allow-{what.replace('_', '-')}", metavar=metavar, action="append", help=f"{text}; repeatable"
            )
        parser.add_argument(
            "--allow-loss",
            metavar="TABLE.COLUMN",
            action="append",
            help="with --mode replace: give up a column that the source does not have; repeatable",
        )

    def write(self, args: argparse.Namespace, tree: Any) -> Any:
        """Write the tree.

        Raises:
            SafeguardError: if more would be deleted or changed than the limits allow; nothing was.
            SyncerError: if the store refuses, or does not support the mode.
        """
        with self._opened(args, tree, create=True) as syncer:
            limits = self._limits(args, tree)
            if args.mode == "sync":
                return self._sync(args, tree, syncer, limits)
            job = self._checked(args, tree, syncer, limits)
            return WriteReport(_write_tables(job, _write_method(args.mode, syncer), syncer, args.mode))

    def rehearse(self, args: argparse.Namespace, tree: Any) -> Any:
        """Sync, undo it, and print the results, which are those of a real run.

        Raises:
            SafeguardError: if it would be refused.
            SyncerError: if the mode is another one, or it could not be done.
            DeclarationError: if the store cannot undo what it did.
        """
        if args.mode != "sync":
            message = f"only --mode sync can be rehearsed: --dry-run says what --mode {args.mode} would do"
            raise SyncerError(message)
        with self._opened(args, tree, create=False) as syncer:
            limits = self._limits(args, tree)
            if missing := self._missing(tree, syncer):
                names = ", ".join(write.table for write in missing)
                message = f"{syncer.name} has no {names} yet, and to make a table cannot be rehearsed: use --dry-run"
                raise SyncerError(message)
            return self._rehearsed(args, *self._sides(tree, syncer, ()), limits)

    def _rehearsed(self, args: argparse.Namespace, source: Tree, destination: Tree, limits: Limits) -> Report:
        """Sync, undo it, and print the results, all of them or the first."""
        report = self._sync_sides(args, source, destination, limits, rehearse=True)
        shown = report.results if args.verbose else report.results[:50]
        for result in shown:
            say(report.shown(result).message.replace("planned:", "would succeed:", 1))
        if len(shown) < len(report.results):
            say(f"… and {len(report.results) - len(shown):,} more; all of them: --verbose")
        for line in (*report.warnings, "nothing was written: it was undone, as this is a rehearsal", report.stat):
            say(line)
        return report

    def preview(self, args: argparse.Namespace, tree: Any) -> Preview | None:
        """Print the effect of `write`.

        Raises:
            SafeguardError: if it would be refused.
            SyncerError: if it could not be done.
        """
        with self._opened(args, tree, create=False) as syncer:
            limits = self._limits(args, tree)
            if args.mode == "sync":
                return self._preview_sync(tree, syncer, limits, whole=bool(args.verbose))
            job = self._checked(args, tree, syncer, limits)
            for write, old in job:
                check_values(_values_to_write(write), syncer)
                now = f"and there are {old.count:,} now" if old.exists else "and the table is not there yet"
                lost = ", ".join(map(repr, lost_columns(write, old))) if args.mode == "replace" else ""
                say(
                    f"{write.table}: would {args.mode} {counted(write.count, 'record')}, {now}"
                    f"{f'; the values of {lost} would be lost' if lost else ''}"
                )
        return None

    @contextmanager
    def compared(self, args: argparse.Namespace, tree: Any) -> Iterator[tuple[Diff, list[str]]]:
        """Yield what a sync would change, and a line for each table that it would make, while the store is open.

        Raises:
            SyncerError: if the two cannot be read or compared.
        """
        with self._opened(args, tree, create=False) as syncer:
            missing = self._missing(tree, syncer)
            source, destination = self._sides(tree, syncer, missing)
            made = [f"{write.table}: is only in the source, with {counted(write.count, 'record')}" for write in missing]
            yield _name_options(lambda: source.diff(destination, progress=args.progress)), made

    @contextmanager
    def _opened(self, args: argparse.Namespace, tree: Any, *, create: bool) -> Iterator[Any]:
        """Open the store to write to; a database that is plugged in gets the tables of the tree, to make them."""
        plugged = isinstance(args.store, (str, os.PathLike)) and str(args.store).lower().startswith("plugin:")
        metadata = None
        if plugged and create and self.tree is None:
            from datastoresync.syncers.sql.dump import metadata_for

            writes = [write for name in tree.branches for write in table_writes(tree[name], tree[name].table)]
            metadata = metadata_for({write.table: (write.key, write.records()) for write in writes})
        with open_store(args.store, metadata=metadata) as syncer:
            yield syncer

    # Whole tables.

    def _checked(
        self, args: argparse.Namespace, tree: Any, syncer: Any, limits: Limits
    ) -> list[tuple[TableWrite, TableState]]:
        """Return the writes of a mode that writes whole records, each with what is there now.

        Raises:
            SafeguardError: if more would be lost than is allowed.
            SyncerError: if the store does not support the mode, lacks a column, or cannot be read.
        """
        writes = self._table_writes(args, tree, syncer)
        _write_method(args.mode, syncer)
        keyed = args.mode == "replace"
        stored = [table_state(syncer, write.table, key=write.identifying if keyed else ()) for write in writes]
        check_names(writes, stored, syncer)
        writes = [
            in_column_types(write, tree[write.label], syncer) if state.exists and write.key else write
            for write, state in zip(writes, stored, strict=True)
        ]
        if args.mode == "replace":
            _name_options(lambda: check_replacement(writes, stored, limits, syncer))
            check_columns(writes, stored, getattr(args, "allow_loss", None) or ())
        return list(zip(writes, stored, strict=True))

    def _table_writes(self, args: argparse.Namespace, tree: Any, syncer: Any) -> list[TableWrite]:
        """Return the writes, in tables that allow the mode."""
        writes = self._all_writes(tree, syncer)
        declared = self._declared(tree, syncer)
        ask: Any = getattr(syncer, "columns_with_ids", None)
        for name in tree.branches if callable(ask) else ():
            if columns := ask(declared[name].stored_table):
                message = (
                    f"{name}: {syncer.name} refers to other rows by ids of its own, in {', '.join(columns)}, and only "
                    "--mode sync looks them up"
                )
                raise SyncerError(message)
        if args.mode == "upsert" and not all(write.key for write in writes):
            message = "memberships in a table of their own have no key to upsert by: use --mode sync"
            raise SyncerError(message)
        return writes

    def _all_writes(self, tree: Any, syncer: Any) -> list[TableWrite]:
        declared = self._declared(tree, syncer)
        return [
            write
            for name in tree.branches
            for write in table_writes(tree[name], declared[name].table, declared[name].declared_limits)
        ]

    def _declared(self, tree: Any, syncer: Any) -> Any:
        """Return the tree that says which tables are written; a single file gives its name to the only one.

        Raises:
            SyncerError: if there are several, and the store is a file for one.
        """
        if self.tree is not None:
            return self.tree(syncer=syncer)
        only = getattr(syncer, "only_table", None)
        if only is None:
            return tree
        if len(tree.branches) > 1:
            many = ", ".join(tree.branches)
            message = (
                f"{syncer.name} is a file for one table, and there are {many}: name a folder, or one with --tables"
            )
            raise SyncerError(message)
        for branch in tree.values():
            if isinstance(branch.importer, RecordImporter) and branch.importer.table and branch.table.name != only:
                message = f"{syncer.name} has one table, {only!r}: leave ={branch.table.name} out of --tables"
                raise SyncerError(message)
        branches = {
            name: Branch(
                tree[name].object_class,
                table=attrs.evolve(tree[name].table, name=only),
                limits=tree[name].declared_limits,
            )
            for name in tree.branches
        }
        return Tree("destination", branches=branches)

    # Differences.

    def _sync(self, args: argparse.Namespace, tree: Any, syncer: Any, limits: Limits) -> Any:
        """Write the differences, after making tables that are not there yet; return the reports."""
        made: dict[str, int] = {}
        missing = self._missing(tree, syncer)
        if missing:
            source, destination = self._sides(tree, syncer, missing)
            diff = source.diff(destination)
            _name_options(lambda: check(diff, limits, destination.side_effects(diff)))
            for write in missing:
                if hint := self._other_table(write, tree, syncer, near=True):
                    warnings.warn(f"{write.table} is made in {syncer.name}{hint}", DataWarning, stacklevel=2)
            made = self._make(source, destination, {write.label for write in missing}, syncer)
            if len(missing) == len(self._all_writes(tree, syncer)):
                return WriteReport(made)
        report = self._sync_sides(args, *self._sides(tree, syncer, ()), limits)
        return [WriteReport(made), report] if made else report

    def _make(self, source: Tree, destination: Tree, labels: set[str], syncer: Any) -> dict[str, int]:
        """Make tables that are not there; return the number of records in each.

        Members whose owners are yet to be made follow with them.
        """
        write_table = _write_method("replace", syncer)
        job = []
        for write in self._all_writes(source, syncer):
            branch = write.label.partition(".")[0]
            if write.label not in labels:
                continue
            owned = write if write.key or branch in labels else owned_members(write, destination[branch])
            if write.count and not owned.count:
                write_table(write)  # its records tell the columns
            job.append((owned, TableState(exists=False)))
        return _write_tables(job, write_table, syncer, "write")

    def _sync_sides(
        self, args: argparse.Namespace, source: Tree, destination: Tree, limits: Limits, *, rehearse: bool = False
    ) -> Report:
        on_error = getattr(args, "on_error", None)
        keywords: Any = {"limits": limits, "reporters": _reporters(args), "rehearse": rehearse, "on_error": on_error}
        if (progress := getattr(args, "progress", None)) is not None:
            keywords["progress"] = progress
        report: Report = _name_options(lambda: source.sync_to(destination, **keywords))
        return report

    def _preview_sync(self, tree: Any, syncer: Any, limits: Limits, *, whole: bool) -> Preview:
        missing = self._missing(tree, syncer)
        source, destination = self._sides(tree, syncer, missing)
        made = [
            f"{write.table}: would be made, with {counted(write.count, 'record')}"
            + self._other_table(write, tree, syncer)
            for write in missing
        ]
        preview = self._previewed(source, destination, limits, made, whole=whole)
        check_values(_values_to_sync(preview, missing), syncer)
        return preview

    def _previewed(
        self, source: Tree, destination: Tree, limits: Limits, lines: Sequence[str] = (), *, whole: bool
    ) -> Preview:
        """Print what a sync would do, all of it or the first of it, and further lines.

        Raises:
            SafeguardError: if it would be refused.
        """
        diff = _name_options(lambda: source.diff(destination))
        effects = destination.side_effects(diff)
        preview = Preview.of(diff, limits=limits, side_effects=effects, template=destination.template)
        in_words = tuple(getattr(one, "on_command_line", one) for one in preview.refused)
        with suppress(BrokenPipeError):  # whoever read it, such as `head`, has enough
            attrs.evolve(preview, refused=in_words).show(limit=None if whole else 50, rest="all of it: --verbose")
        for line in lines:
            say(line)
        if preview.refused:
            message = refusal(preview.refused, verb="would be refused", command_line=True)
            raise SafeguardError(message, violations=preview.refused)
        return preview

    def _other_table(self, write: TableWrite, tree: Any, syncer: Any, *, near: bool = False) -> str:
        """Return how a table that is not there may be written to another one, or to one nearly so called."""
        importer = tree[write.label].importer if write.key and self.tree is None else None
        tables = getattr(syncer, "tables", None)
        if not isinstance(importer, RecordImporter) or importer.table is not None or not callable(tables):
            return ""
        others = sorted({*tables()} - {each.table for each in self._all_writes(tree, syncer)})
        other = closest(write.table, others) or next(iter(others[:0] if near else others), "")
        return f", which has {other!r}: if that is meant, --tables {write.table}={other}" if other else ""

    def _missing(self, tree: Any, syncer: Any) -> list[TableWrite]:
        """Return the writes of tables that are not there yet."""
        writes = self._all_writes(tree, syncer)
        tables = getattr(syncer, "tables", None)
        try:
            listed = set(tables()) if callable(tables) else set()
        except Exception:  # noqa: BLE001 - it is raised again when the state of the table is asked for
            listed = set()
        return [each for each in writes if each.table not in listed and not table_state(syncer, each.table).exists]

    def _sides(self, tree: Any, syncer: Any, missing: Sequence[TableWrite]) -> tuple[Tree, Tree]:
        """Return the source, in the types of the destination, and the content of the store; missing tables are empty.

        Raises:
            SyncerError: if the store cannot be read, lacks a column, or cannot hold a value.
        """
        absent = {write.label for write in missing}
        destination = self._destination(tree, syncer, absent)
        try:
            destination.load()
        except Exception:
            for write in self._all_writes(tree, syncer):
                table_state(syncer, write.table)  # it names the table that cannot be read
            raise
        there = [name for name in tree.branches if name not in absent]
        return in_destination_types(tree, destination, syncer, there), destination

    def _destination(self, tree: Any, syncer: Any, missing: set[str]) -> Tree:
        """Return a tree like the one that was read, over the store to write to."""
        if self.tree is not None:
            destination = self.tree(syncer=syncer)
            attributes: dict[str, list[str] | None] = {
                name: _attributes(tree[name]) if _takes_any(destination[name]) else None
                for name in tree.branches
                if name in destination
            }
        else:
            tables = self._declared(tree, syncer)
            branches = {name: Branch(tree[name].object_class, table=tables[name].table) for name in tree.branches}
            destination = Tree("destination", syncer=syncer, branches=branches)
            destination.top_level = tree.top_level
            attributes = {name: _attributes(tree[name]) for name in tree.branches}
        for name, wanted in attributes.items():
            absent = [link for link in destination[name].table.links if f"{name}.{link}" in missing]
            if name in missing:
                destination[name].importer = IterableImporter([])
            elif absent or wanted is not None:
                destination[name].importer = DestinationImporter(syncer, wanted, absent)
        return destination

    def _limits(self, args: argparse.Namespace, tree: Any) -> Limits:
        for name in NAMES:
            given_names = getattr(args, f"allow_{name}", None) or ()
            known = _labels(tree)
            unknown = [one for one in given_names if not {one, *re.split("[:.]", one)[:1]}.intersection(known)]
            if unknown:
                what, there = ", ".join(sorted(unknown)), ", ".join(known)
                message = f"--allow-{name.replace('_', '-')} names {what}, which is not written: there is {there}"
                raise DeclarationError(message)
        options = {name: getattr(args, f"allow_{name}", None) for name in (*NUMBERS, *NAMES)}
        return Limits(**{name: value for name, value in options.items() if value is not None}).over(self.limits)


def _labels(tree: Any) -> list[str]:
    """Return the names of the tables in limits: the branches, and their memberships."""
    return [label for name in tree.branches for label in (name, *(f"{name}.{link}" for link in tree[name].table.links))]


def _takes_any(branch: Branch[Any]) -> bool:
    """Say whether a branch of a declared tree is a table of the tree's store, whatever columns that has."""
    return branch.importer is None and schema_of(branch.object_class).open


def _attributes(branch: Branch[Any]) -> list[str] | None:
    """Return the attributes that a branch of any columns has, its identifiers first; None if they are not known."""
    if not schema_of(branch.object_class).open:
        return None
    if not len(branch):
        columns = branch.object_class._attributes
        return None if columns is None else [*branch.identifiers, *columns]
    stored = {name for item in branch.values() for name in vars(item)}
    return [*branch.identifiers, *(name for name in ordered_attributes(branch.side()) if name in stored)]


def _values_to_write(write: TableWrite) -> Iterator[tuple[str, Any]]:
    for record in write.records():
        key = tuple(record[column] for column in write.identifying)
        for column, value in record.items():
            yield f"{write.table} {key[0] if len(key) == 1 else key!r}: {column}", value


def _values_to_sync(preview: Preview, missing: Sequence[TableWrite]) -> Iterator[tuple[str, Any]]:
    """Yield the values that a sync would write."""
    for write in missing:
        yield from _values_to_write(write)
    diff = preview.diff
    for action in diff:
        where = f"{action.branch} {action.idnumber!r}"
        if action.verb == "new":
            yield from ((f"{where}: {name}", value) for name, value in diff.values(action).items())
        elif action.verb in ("update", "add"):
            yield f"{where}: {action.attr}", action.value


def _write_method(mode: str, syncer: Any) -> Callable[[TableWrite], object]:
    """Return a function that writes one table.

    Raises:
        SyncerError: if the store does not support the mode.
    """
    method = getattr(syncer, "dump" if mode == "replace" else mode, None)
    if not callable(method):
        message = f"{syncer.name} cannot {mode}: use --mode sync, or another store"
        raise SyncerError(message)
    if mode == "upsert":
        return lambda write: method(write.table, data=given_records(syncer, write.records()), key=write.key)
    return lambda write: method(write.table, data=given_records(syncer, write.records()))


def _write_tables(
    job: Iterable[tuple[TableWrite, TableState]], write_table: Callable[[TableWrite], object], syncer: Any, mode: str
) -> dict[str, int]:
    """Write the tables, look at what is there then, and return the number of records written to each.

    Tables before one that fails stay written.
    """
    done: dict[str, int] = {}
    for write, before in job:
        try:
            write_table(write)
            check_written(write, before, syncer, mode)
        except Exception as error:
            if not done:
                raise
            message = f"{write.table}: {describe(error)} ({mode} was done already for {', '.join(done)})"
            raise SyncerError(message) from error
        done[write.table] = write.count
    return done


def _name_options(call: Callable[[], Any]) -> Any:
    """Call, and name in a refusal the options that allow it."""
    try:
        return call()
    except SafeguardError as error:
        raise SafeguardError(refusal(error.violations, command_line=True), violations=error.violations) from None
    except SchemaMismatchError as error:
        message = f"{describe(error)}\n  (between stores with and without types, declare them: SyncerReader(tree=…))"
        raise SyncerError(message) from error


def _reporters(args: argparse.Namespace) -> list[Reporter]:
    silent = args.quiet or sys.stderr is None or getattr(args, "progress", None) is not None
    reporters: list[Reporter] = [*([] if silent else [ProgressReporter()]), *(getattr(args, "reporters", None) or ())]
    return [*reporters, LoggingReporter()] if args.verbose or getattr(args, "log_file", None) else reporters


def _limit(text: str) -> float:
    """Return a count, or a share of the destination's objects.

    Raises:
        ArgumentTypeError: if it is neither.
    """
    try:
        amount = float(text[:-1]) / 100 if text.endswith("%") else int(text) if text.isdecimal() else float(text)
        return Limits(deletions=amount).deletions
    except (ValueError, DeclarationError):
        message = f"a count such as 500 or a share such as 0.3 or 30% is needed (got {text!r})"
        raise argparse.ArgumentTypeError(message) from None
