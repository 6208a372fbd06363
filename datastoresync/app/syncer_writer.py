"""A writer of trees to any store: the records by table, and the safeguards of a replacement."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import attrs

from datastoresync.app.console import say
from datastoresync.app.parts import Arguments, Writer
from datastoresync.app.syncer_reader import Record, open_store, record_branch, url
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report, reason_of
from datastoresync.applying.reporter import LoggingReporter, ProgressReporter, Reporter
from datastoresync.applying.safeguards import Limits, check
from datastoresync.branch import Branch
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.side import Side
from datastoresync.errors import (
    DatastoreSyncError,
    DeclarationError,
    LockedError,
    SafeguardError,
    SchemaMismatchError,
    SyncerError,
)
from datastoresync.object import Object, attributes_of, side_of
from datastoresync.printing.text import counted
from datastoresync.syncers.changes import Link, Table
from datastoresync.syncers.records import Records
from datastoresync.tree import Tree

_Key = tuple[Any, ...]


@attrs.frozen(eq=False)
class TableWrite:
    """One table, and the records to write to it.

    Args:
        label: Its name in messages: the branch's, with the attribute's if it is the table of memberships.
        table: The table's name.
        key: The columns of its key; none for memberships.
        identifying: The columns that identify a record: those of the key, or all of a membership's.
        records: Makes the records.
        count: The number of records.
        rejected: The number of rows that could not be read at the import.
    """

    label: str
    table: str
    key: tuple[str, ...]
    identifying: tuple[str, ...]
    records: Callable[[], Iterator[dict[str, Any]]]
    count: int
    rejected: int


def table_writes(branch: Branch[Any], table: Table) -> Iterator[TableWrite]:
    """Yield the writes that make up a branch: its table, and each membership that has a table of its own."""
    side = branch.side()
    key = tuple(table.column(name) for name in branch.identifiers)
    names = [name for name in _ordered_attributes(side) if name not in table.links]

    def records() -> Iterator[dict[str, Any]]:
        for idnumber, item in side.objects.items():
            record = {column: getattr(item, name) for column, name in zip(key, branch.identifiers, strict=True)}
            record.update((table.column(name), side.read(idnumber, item, name)) for name in names)
            yield record

    yield TableWrite(branch.name, table.name, key, key, records, len(branch), side.rejected)
    for name, link in table.links.items():

        def members(name: str = name, link: Link = link) -> Iterator[dict[str, Any]]:
            for idnumber, item in side.objects.items():
                owner = dict(zip(link.owners, idnumber if len(link.owners) > 1 else (idnumber,), strict=True))
                for member in side.read(idnumber, item, name) or ():
                    yield {**owner, link.member_column: member}

        count = sum(1 for _ in members())
        columns = link.columns
        yield TableWrite(f"{branch.name}.{name}", link.table, (), columns, members, count, side.rejected)


def _ordered_attributes(side: Side) -> list[str]:
    """Return the names of the synced attributes, in the order of their declaration or import."""
    first = next(iter(side.objects.values()), None)
    order = {name: index for index, name in enumerate(() if first is None else attributes_of(first))}
    return sorted((*side.attributes, *side.child_fields), key=lambda name: order.get(name, len(order)))


@attrs.frozen(eq=False)
class TableState:
    """The present content of a table.

    Args:
        exists: Whether the store has that table.
        count: The number of records in it.
        keys: Their keys, if they were asked for; None for a record that lacks a column of the key.
    """

    exists: bool
    count: int = 0
    keys: tuple[_Key | None, ...] = ()


def table_state(syncer: Any, table: str, *, key: Sequence[str] = ()) -> TableState:
    """Return the content of a table of a store.

    Raises:
        SyncerError: if its content is uncertain: the store cannot list its tables, or cannot read this one.
    """
    tables = getattr(syncer, "tables", None)
    try:
        listed = list(tables()) if callable(tables) else None
    except Exception as error:
        message = f"{syncer.name} cannot list its tables, so it is unknown what would be lost: {describe(error)}"
        raise SyncerError(message) from error
    try:
        return _read_table(syncer, table, key)
    except Exception as error:
        if _is_missing(error, table, listed):
            return TableState(exists=False)
        message = (
            f"cannot read {table} of {syncer.name}, so it is unknown what would be lost: {describe(error)}; "
            f"nothing was written there"
        )
        raise SyncerError(message) from error


def describe(error: BaseException) -> str:
    """Return an error's message without passwords, and its class only if it is not one of the package's own."""
    reason = reason_of(error)
    return reason.removeprefix(f"{type(error).__name__}: ") if isinstance(error, DatastoreSyncError) else reason


def _is_missing(error: Exception, table: str, tables: list[str] | None) -> bool:
    """Say whether a table cannot be read because it does not exist, and for no other reason."""
    if tables is not None and table in tables:
        return False
    if not isinstance(error, SyncerError) or isinstance(error, LockedError):
        return isinstance(error, (LookupError, FileNotFoundError))
    # A table may have several names, such as one with its schema, or in another case.
    name, *others = (name.rpartition(".")[2].casefold() for name in (table, *(tables or ())))
    if tables is not None and name not in others:
        return True
    pattern = rf"""\b(no|not a) table ["'`]?{re.escape(table)}["'`]?(?!\w)"""
    return bool(re.search(pattern, str(error), re.IGNORECASE))


def _read_table(syncer: Any, table: str, key: Sequence[str]) -> TableState:
    read = getattr(syncer, "read", None)
    records = read(table) if callable(read) else syncer.load(table)
    if not key and isinstance(records, Records) and records.columns:
        return TableState(exists=True, count=sum(len(chunk[0]) for chunk in records.chunks))
    keys = tuple(
        tuple(record[column] for column in key) if all(column in record for column in key) else None
        for record in records
    )
    return TableState(exists=True, count=len(keys), keys=keys)


def check_replacement(writes: Sequence[TableWrite], stored: Sequence[TableState], limits: Limits, syncer: Any) -> None:
    """Refuse to replace tables by records that lack more of the stored keys than the limits allow to delete.

    Args:
        writes: The tables, and their new records.
        stored: The content of each of them, with its keys.
        limits: The limits of deletions.
        syncer: The store.

    Raises:
        SafeguardError: naming every table.
    """
    placeholder = Object(idnumber="")
    normalized = getattr(syncer, "normalized", None)
    sides = []
    for write, old in zip(writes, stored, strict=True):
        source: Iterable[int] = range(write.count)
        dest: Iterable[int] = ()
        if old.count:
            keys = [tuple(record[column] for column in write.identifying) for record in write.records()]
            if callable(normalized):
                keys = [tuple(map(normalized, key)) for key in keys]
            source, dest = _key_numbers(keys, old.keys)
        sides.append(
            (
                side_of(Object, dict.fromkeys(source, placeholder), branch=write.label, rejected=write.rejected),
                side_of(Object, dict.fromkeys(dest, placeholder), tree=syncer.name, branch=write.label),
            )
        )
    check(Diff.between(sides), limits)


def _key_numbers(new: Sequence[_Key], old: Sequence[_Key | None]) -> tuple[Iterable[int], Iterable[int]]:
    """Return a number for each key, the same on both sides for equal keys.

    Where a column has values of different types on the two sides, their texts are compared. A repeated key counts each
    time. An incomplete key equals no other: that refuses too much, and never too little.
    """
    known = [key for key in old if key is not None]
    columns = range(len(new[0]) if new else 0)

    def types(keys: Sequence[_Key], column: int) -> set[type]:
        return {type(key[column]) for key in keys}

    typed = [types(new, column) == types(known, column) for column in columns]
    numbers: dict[Any, int] = {}

    def number(keys: Sequence[_Key | None]) -> Iterator[int]:
        times: Counter[Any] = Counter()
        for key in keys:
            token = object() if key is None else tuple(map(_token, key, typed))
            times[token] += 1
            yield numbers.setdefault((token, times[token]), len(numbers))

    return list(number(new)), list(number(old))


def _token(value: Any, typed: bool) -> Any:  # noqa: FBT001 - mapped over columns
    """Return a hashable value that is equal for equal parts of a key."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if typed and isinstance(value, Hashable) and value == value else str(value)  # noqa: PLR0124 - NaN


Mode = Literal["replace", "append", "upsert", "sync"]
_OPTIONS = "the options are --allow-deletions, --allow-updates, --allow-removals, --allow-cascades, --allow-empty"
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

    * ``replace``: each table has exactly these records afterwards; the old ones stay until all new ones are in.
    * ``append``: the records are added.
    * ``upsert``: records with known keys are changed, the others added.
    * ``sync``: only differences are written, as by ``tree >> destination``.

    Deletions (by key) are limited as by `Limits` in ``replace`` and ``sync``, and changes in ``sync``. A table that
    cannot be read is not replaced.

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
    mode: Mode = "replace"
    tree: Callable[..., Tree] | None = None
    limits: Limits | None = None

    def __init__(
        self,
        store: Any = None,
        *,
        mode: Mode = "replace",
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
            help="replace what is there, append to it, upsert by key, or sync: write only what differs; "
            "default: %(default)s",
        )
        for what in ("deletions", "updates", "removals", "cascades"):
            parser.add_argument(
                f"--allow-{what}",
                metavar="N",
                type=_limit,
                help=f"allow that number of {what}: 500, or a share such as 30%%",
            )
        parser.add_argument("--allow-empty", metavar="BRANCH", action="append", help="allow a branch to become empty")

    def write(self, args: argparse.Namespace, tree: Any) -> Report | WriteReport:
        """Write the tree.

        Raises:
            SafeguardError: if more would be deleted or changed than the limits allow; nothing was.
            SyncerError: if the store refuses, or does not support the mode.
        """
        with open_store(args.store) as syncer:
            limits = self._limits(args, tree)
            if args.mode == "sync":
                return self._sync(args, tree, syncer, limits)
            writes = self._table_writes(args, tree, syncer)
            write_table = _write_method(args.mode, syncer)
            if args.mode == "replace":
                _check_stored(writes, syncer, limits)
            return WriteReport(_write_tables(writes, write_table, args.mode))

    def rehearse(self, args: argparse.Namespace, tree: Any) -> Report:
        """Sync, and undo it; the report is that of a real run.

        Raises:
            SafeguardError: if it would be refused.
            SyncerError: if the mode is another one, or it could not be done.
            DeclarationError: if the store cannot undo what it did.
        """
        if args.mode != "sync":
            message = f"only --mode sync can be rehearsed: --dry-run says what --mode {args.mode} would do"
            raise SyncerError(message)
        with open_store(args.store) as syncer:
            return self._sync(args, tree, syncer, self._limits(args, tree), rehearse=True)

    def _sync(
        self, args: argparse.Namespace, tree: Any, syncer: Any, limits: Limits, *, rehearse: bool = False
    ) -> Report:
        destination = self._load_destination(tree, syncer)
        keywords = {"limits": limits, "reporters": _reporters(args), "rehearse": rehearse}
        report: Report = _name_options(lambda: tree.sync_to(destination, **keywords))
        return report

    def preview(self, args: argparse.Namespace, tree: Any) -> Preview | None:
        """Print the effect of `write`.

        Raises:
            SafeguardError: if it would be refused.
            SyncerError: if it could not be done.
        """
        with open_store(args.store) as syncer:
            limits = self._limits(args, tree)
            if args.mode == "sync":
                destination = self._load_destination(tree, syncer)
                preview: Preview = _name_options(lambda: tree.preview(destination, limits=limits))
                if preview.refused:
                    lines = "".join(f"\n  - {sentence}" for sentence in preview.refused)
                    message = f"would be refused:{lines}\n  ({_OPTIONS})"
                    raise SafeguardError(message, violations=preview.refused)
                return preview
            writes = self._table_writes(args, tree, syncer)
            _write_method(args.mode, syncer)
            if args.mode == "replace":
                stored = _check_stored(writes, syncer, limits)
            else:
                stored = [table_state(syncer, write.table) for write in writes]
            for write, old in zip(writes, stored, strict=True):
                now = f"and there are {old.count:,} now" if old.exists else "and the table is not there yet"
                say(f"{write.table}: would {args.mode} {counted(write.count, 'record')}, {now}")
        return None

    def _table_writes(self, args: argparse.Namespace, tree: Any, syncer: Any) -> list[TableWrite]:
        """Return the writes, in tables that allow the mode."""
        declared = tree if self.tree is None else self.tree(syncer=syncer)
        writes = [write for name in tree.branches for write in table_writes(tree[name], declared[name].table)]
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

    def _load_destination(self, tree: Any, syncer: Any) -> Tree:
        """Return the content of the store to write to, as a tree."""
        destination = self._destination(tree, syncer)
        try:
            return destination.load()
        except (SyncerError, LookupError, FileNotFoundError) as error:
            tables = [destination[name].table for name in tree.branches]
            names = [name for table in tables for name in (table.name, *(link.table for link in table.links.values()))]
            if all(table_state(syncer, name).exists for name in names):
                raise
            message = f"{describe(error)}: there is nothing to sync with yet, so use --mode replace the first time"
            raise SyncerError(message) from error

    def _destination(self, tree: Any, syncer: Any) -> Tree:
        """Return a tree like the one that was read, over the store to write to."""
        if self.tree is not None:
            return self.tree(syncer=syncer)
        branches = {
            name: record_branch(syncer, tree[name].table, tree[name].identifiers)
            if issubclass(tree[name].object_class, Record)
            else Branch(tree[name].object_class, table=tree[name].table)
            for name in tree.branches
        }
        destination = Tree("destination", syncer=syncer, branches=branches)
        destination.top_level = tree.top_level
        return destination

    def _limits(self, args: argparse.Namespace, tree: Any) -> Limits:
        unknown = sorted(set(args.allow_empty or ()).difference(_labels(tree)))
        if unknown:
            message = (
                f"--allow-empty names {', '.join(unknown)}, which is not written: there is {', '.join(_labels(tree))}"
            )
            raise DeclarationError(message)
        options = ("deletions", "updates", "removals", "cascades", "empty")
        given = {name: getattr(args, f"allow_{name}") for name in options if getattr(args, f"allow_{name}") is not None}
        return attrs.evolve(self.limits or Limits(), **given)


def _labels(tree: Any) -> list[str]:
    """Return the names of the tables in limits: the branches, and their memberships."""
    return [label for name in tree.branches for label in (name, *(f"{name}.{link}" for link in tree[name].table.links))]


def _check_stored(writes: list[TableWrite], syncer: Any, limits: Limits) -> list[TableState]:
    """Return the content to be replaced.

    Raises:
        SafeguardError: if more would be deleted than the limits allow.
        SyncerError: if the content is uncertain.
    """
    stored = [table_state(syncer, write.table, key=write.identifying) for write in writes]
    _name_options(lambda: check_replacement(writes, stored, limits, syncer))
    return stored


def _write_method(mode: str, syncer: Any) -> Callable[[TableWrite], object]:
    """Return a function that writes one table.

    Raises:
        SyncerError: if the store does not support the mode.
    """
    method = getattr(syncer, "dump" if mode == "replace" else mode, None)
    if not callable(method):
        message = f"{syncer.name} cannot {mode}: use --mode replace or --mode sync, or another store"
        raise SyncerError(message)
    if mode == "upsert":
        return lambda write: method(write.table, data=write.records(), key=write.key)
    return lambda write: method(write.table, data=write.records())


def _write_tables(
    writes: Iterable[TableWrite], write_table: Callable[[TableWrite], object], mode: str
) -> dict[str, int]:
    """Write the tables, and return the number of records in each. Tables before one that fails stay written."""
    done: dict[str, int] = {}
    for write in writes:
        try:
            write_table(write)
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
        message = f"{error}\n  ({_OPTIONS})"
        raise SafeguardError(message, violations=error.violations) from None
    except SchemaMismatchError as error:
        message = (
            f"{describe(error)}\n  (between stores with and without types: use --mode replace or upsert, or a declared "
            f"tree, SyncerReader(tree=…))"
        )
        raise SyncerError(message) from error


def _reporters(args: argparse.Namespace) -> list[Reporter]:
    reporters: list[Reporter] = [] if args.quiet or sys.stderr is None else [ProgressReporter()]
    return [*reporters, LoggingReporter()] if args.verbose else reporters


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
