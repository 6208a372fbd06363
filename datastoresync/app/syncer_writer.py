"""A writer of trees to any store: what is written where, and what replacing would delete."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, get_args

import attrs

from datastoresync.app.console import say
from datastoresync.app.parts import Arguments, Writer
from datastoresync.app.syncer_reader import Record, opened, record_branch, url
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import LoggingReporter, ProgressReporter, Reporter
from datastoresync.applying.result import reason_of
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

_QUOTE = r"""["'`]?"""


@attrs.frozen(eq=False)
class Writing:
    """One table, and the records that go there.

    Args:
        label: What a message calls it: the branch's name, with the attribute's if it is the table of memberships.
        table: The table's name.
        key: The columns of its key; none for memberships.
        told_by: The columns by which its records are told: those of the key, or all of a membership's.
        records: Makes the records.
        count: How many there are.
        rejected: How many rows could not be read when they were imported.
    """

    label: str
    table: str
    key: tuple[str, ...]
    told_by: tuple[str, ...]
    records: Callable[[], Iterator[dict[str, Any]]]
    count: int
    rejected: int


def writings(branch: Branch[Any], table: Table) -> Iterator[Writing]:
    """Yield what a branch makes up: its table, and one for each membership that has a table of its own."""
    side = branch.side()
    key = tuple(table.column(name) for name in branch.identifiers)
    names = [name for name in _in_order(side) if name not in table.links]

    def records() -> Iterator[dict[str, Any]]:
        for idnumber, item in side.objects.items():
            record = {column: getattr(item, name) for column, name in zip(key, branch.identifiers, strict=True)}
            record.update((table.column(name), side.read(idnumber, item, name)) for name in names)
            yield record

    yield Writing(branch.name, table.name, key, key, records, len(branch), side.rejected)
    for name, link in table.links.items():

        def members(name: str = name, link: Link = link) -> Iterator[dict[str, Any]]:
            for idnumber, item in side.objects.items():
                owner = dict(zip(link.owners, idnumber if len(link.owners) > 1 else (idnumber,), strict=True))
                for member in side.read(idnumber, item, name) or ():
                    yield {**owner, link.member: member}

        count = sum(1 for _ in members())
        told_by = (*link.owners, link.member)
        yield Writing(f"{branch.name}.{name}", link.table, (), told_by, members, count, side.rejected)


def _in_order(side: Side) -> list[str]:
    """Return the names of what is synced, as they were declared or came in."""
    places = {
        name: place for item in islice(side.objects.values(), 1) for place, name in enumerate(attributes_of(item))
    }
    return sorted((*side.attributes, *side.child_fields), key=lambda name: places.get(name, len(places)))


@attrs.frozen(eq=False)
class Stored:
    """What a store has in a table.

    Args:
        there: Whether it has that table.
        count: How many records are in it.
        keys: Their keys, as far as they were asked for; None where a record has not all columns of it.
    """

    there: bool
    count: int = 0
    keys: tuple[_Key | None, ...] = ()


def stored(syncer: Any, table: str, *, key: Sequence[str] = ()) -> Stored:
    """Return what a store has in a table.

    Raises:
        SyncerError: if it is not certain what it has: it does not say which tables there are, or cannot read this one.
    """
    listed = _listed(syncer)
    try:
        return _found(syncer, table, key)
    except Exception as error:
        if _is_absent(error, table, listed):
            return Stored(there=False)
        message = (
            f"{table} of {syncer.name} cannot be read, so that nobody knows what would be lost: {said_by(error)}; "
            f"nothing was written there"
        )
        raise SyncerError(message) from error


def said_by(error: BaseException) -> str:
    """Return what an error says without passwords, and its class only if it is not one of the package's own."""
    reason = reason_of(error)
    return reason.removeprefix(f"{type(error).__name__}: ") if isinstance(error, DatastoreSyncError) else reason


def _listed(syncer: Any) -> list[str] | None:
    tables = getattr(syncer, "tables", None)
    if not callable(tables):
        return None
    try:
        return list(tables())
    except Exception as error:
        message = f"{syncer.name} does not say which tables it has, so that nobody knows what would be lost: "
        raise SyncerError(message + said_by(error)) from error


def _is_absent(error: Exception, table: str, listed: list[str] | None) -> bool:
    """Say whether a table could not be read because it is not there, and for no other reason."""
    if listed is not None and table in listed:
        return False
    # A table may have several names, such as one with its schema, or in another case.
    alike = listed is None or _plain(table) in {_plain(name) for name in listed}
    if isinstance(error, SyncerError) and not isinstance(error, LockedError):
        return not alike or _says_absent(str(error), table)
    return isinstance(error, (LookupError, FileNotFoundError))


def _plain(table: str) -> str:
    return table.rpartition(".")[2].casefold()


def _says_absent(message: str, table: str) -> bool:
    return bool(re.search(rf"\b(no|not a) table {_QUOTE}{re.escape(table)}{_QUOTE}(?!\w)", message, re.IGNORECASE))


def _found(syncer: Any, table: str, key: Sequence[str]) -> Stored:
    read = getattr(syncer, "read", None)
    records = read(table) if callable(read) else syncer.load(table)
    if not key and isinstance(records, Records) and records.columns:
        return Stored(there=True, count=sum(len(chunk[0]) for chunk in records.chunks))
    keys = tuple(
        tuple(record[column] for column in key) if all(column in record for column in key) else None
        for record in records
    )
    return Stored(there=True, count=len(keys), keys=keys)


def check_replacing(planned: Sequence[Writing], held: Sequence[Stored], limits: Limits, *, syncer: Any) -> None:
    """Refuse to replace tables by records that lack more of the keys in them than the limits allow to delete.

    Args:
        planned: The tables, and what is to be in them.
        held: What each of them has, with its keys.
        limits: Which deletions are allowed.
        syncer: The store.

    Raises:
        SafeguardError: naming every table.
    """
    anything = Object(idnumber="")
    sides = []
    for each, there in zip(planned, held, strict=True):
        coming = [tuple(record[column] for column in each.told_by) for record in each.records()] if there.count else []
        new, old = _numbered(_as_kept(coming, syncer), there.keys)
        new = new if there.count else range(each.count)
        sides.append(
            (
                side_of(Object, dict.fromkeys(new, anything), branch=each.label, rejected=each.rejected),
                side_of(Object, dict.fromkeys(old, anything), tree=syncer.name, branch=each.label),
            )
        )
    check(Diff.between(sides), limits)


def _as_kept(keys: Iterable[_Key], syncer: Any) -> list[_Key]:
    """Return keys as the store gives them back, if it says how."""
    normalized = getattr(syncer, "normalized", None)
    return [tuple(normalized(value) for value in key) for key in keys] if callable(normalized) else list(keys)


def _numbered(new: Sequence[_Key], old: Sequence[_Key | None]) -> tuple[Iterable[int], Iterable[int]]:
    """Return a number for each key; both sides have the same number for the same key, and no other.

    Where a column has values of different types on the two sides, their texts are compared. A key that is there several
    times counts each time. What cannot be told is taken for another one: that refuses too much, and never too little.
    """
    known = [key for key in old if key is not None]
    columns = range(len(new[0]) if new else 0)
    typed = {place for place in columns if _types(new, place) == _types(known, place)}
    numbers: dict[Any, int] = {}

    def number(keys: Sequence[_Key | None]) -> Iterator[int]:
        times: Counter[Any] = Counter()
        for key in keys:
            told = object() if key is None else tuple(_token(key[place], typed=place in typed) for place in columns)
            times[told] += 1
            yield numbers.setdefault((told, times[told]), len(numbers))

    return list(number(new)), list(number(old))


def _types(keys: Sequence[_Key], place: int) -> set[type]:
    return {type(key[place]) for key in keys}


def _token(value: Any, *, typed: bool) -> Any:
    """Return what a value is told by."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if typed and isinstance(value, Hashable) and value == value else str(value)  # noqa: PLR0124 - NaN


Mode = Literal["replace", "append", "upsert", "sync"]
_OPTIONS = "the options are --allow-deletions, --allow-updates, --allow-removals, --allow-empty"
_MODES: tuple[Mode, ...] = get_args(Mode)


@attrs.frozen
class Written:
    """How many records were written, by table."""

    counts: Mapping[str, int]

    @property
    def stat(self) -> str:
        """One line to search logs for."""
        return " ".join(f"{table}={count}" for table, count in self.counts.items())


class SyncerWriter(Writer):
    """Writes a tree to any store that has a syncer: ``--to URL``.

    The URL is one of `open_syncer`, or ``env:NAME`` for what an environment variable holds. The records are what is
    synced of the objects, in the tables that the tree declares, or the destination's ``tree``. ``--mode`` says how:

    * ``replace``: each table holds just these records afterwards; the old ones stand until all its new ones are in.
    * ``append``: they are added.
    * ``upsert``: those whose keys are there already are changed, the others added.
    * ``sync``: only what differs is written, as by ``tree >> destination``.

    What ``replace`` and ``sync`` delete, told by its key, is limited as by `Limits`, and so is what ``sync`` changes.
    What cannot be read is not replaced.

    Args:
        place: The URL or the syncer to write to if ``--to`` is not given.
        mode: How to write if ``--mode`` is not given.
        tree: The destination's tree, if it is declared otherwise than the source: its class, or what makes it when
            called with ``syncer=``.
        limits: The limits where no option says otherwise.
        required_arguments: See `Part`.
        name: See `Part`.

    Raises:
        DeclarationError: if there is no such mode.
    """

    place: Any = None
    mode: Mode = "replace"
    tree: Callable[..., Tree] | None = None
    limits: Limits | None = None

    def __init__(
        self,
        place: Any = None,
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
        self.place = place
        self.mode = mode
        self.tree = tree
        self.limits = limits

    def add_arguments(self, parser: Arguments) -> None:
        """Add ``--to``, ``--mode``, and options that raise the limits."""
        parser.add_argument(
            "--to",
            dest="place",
            metavar="URL",
            type=url,
            default=self.place,
            required=self.place is None,
            help="where to write; a URL like that to read from",
        )
        parser.add_argument(
            "--mode",
            choices=_MODES,
            default=self.mode,
            help="replace what is there, append to it, upsert by key, or sync: write only what differs; "
            "default: %(default)s",
        )
        for what in ("deletions", "updates", "removals"):
            parser.add_argument(
                f"--allow-{what}", metavar="N", type=_amount, help=f"allow so many {what}: 500, or a share such as 30%%"
            )
        parser.add_argument(
            "--allow-empty", metavar="BRANCH", action="append", help="allow that nothing is left of a branch"
        )

    def write(self, args: argparse.Namespace, tree: Any) -> Report | Written:
        """Write the tree.

        Raises:
            SafeguardError: if more would be deleted or changed than the limits allow; nothing was.
            SyncerError: if the store refuses, or cannot write in this mode.
        """
        with opened(args.place) as syncer:
            limits = self._limits(args, tree)
            if args.mode == "sync":
                destination = self._loaded(tree, syncer)
                report: Report = _explained(
                    lambda: tree.sync_to(destination, limits=limits, reporters=_reporters(args))
                )
                return report
            planned = self._planned(args, tree, syncer)
            call = _call_for(args.mode, syncer)
            if args.mode == "replace":
                _replaced(planned, syncer, limits)
            return Written(_write_each(planned, call, args.mode))

    def preview(self, args: argparse.Namespace, tree: Any) -> Preview | None:
        """Print what `write` would do.

        Raises:
            SafeguardError: if it would be refused.
            SyncerError: if it could not be done.
        """
        with opened(args.place) as syncer:
            limits = self._limits(args, tree)
            if args.mode == "sync":
                destination = self._loaded(tree, syncer)
                preview: Preview = _explained(lambda: tree.preview(destination, limits=limits))
                if preview.refused:
                    lines = "".join(f"\n  - {sentence}" for sentence in preview.refused)
                    message = f"would be refused:{lines}\n  ({_OPTIONS})"
                    raise SafeguardError(message, violations=preview.refused)
                return preview
            planned = self._planned(args, tree, syncer)
            _call_for(args.mode, syncer)
            replacing = args.mode == "replace"
            held = _replaced(planned, syncer, limits) if replacing else [stored(syncer, one.table) for one in planned]
            for each, there in zip(planned, held, strict=True):
                now = f"and there are {there.count:,} now" if there.there else "and the table is not there yet"
                say(f"{each.table}: would {args.mode} {counted(each.count, 'record')}, {now}")
        return None

    def _planned(self, args: argparse.Namespace, tree: Any, syncer: Any) -> list[Writing]:
        """Return what is to be written, in tables that may be written so."""
        declared = tree if self.tree is None else self.tree(syncer=syncer)
        planned = [each for name in tree.branches for each in writings(tree[name], declared[name].table)]
        if args.mode == "upsert" and not all(each.key for each in planned):
            message = "memberships in a table of their own have no key to upsert by: use --mode sync"
            raise SyncerError(message)
        return planned

    def _loaded(self, tree: Any, syncer: Any) -> Tree:
        """Return what is in the store to write to, as a tree."""
        destination = self._destination(tree, syncer)
        try:
            return destination.load()
        except (SyncerError, LookupError, FileNotFoundError) as error:
            tables = [destination[name].table for name in tree.branches]
            names = [name for table in tables for name in (table.name, *(link.table for link in table.links.values()))]
            if all(stored(syncer, name).there for name in names):
                raise
            message = f"{said_by(error)}: there is nothing to sync with yet, so use --mode replace the first time"
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
        options = ("deletions", "updates", "removals", "empty")
        given = {name: getattr(args, f"allow_{name}") for name in options if getattr(args, f"allow_{name}") is not None}
        return attrs.evolve(self.limits or Limits(), **given)


def _labels(tree: Any) -> list[str]:
    """Return what limits call the tables: the branches, and their memberships."""
    return [label for name in tree.branches for label in (name, *(f"{name}.{link}" for link in tree[name].table.links))]


def _replaced(planned: list[Writing], syncer: Any, limits: Limits) -> list[Stored]:
    """Return what would be replaced.

    Raises:
        SafeguardError: if more would be deleted than the limits allow.
        SyncerError: if it is not certain what is there.
    """
    held = [stored(syncer, each.table, key=each.told_by) for each in planned]
    _explained(lambda: check_replacing(planned, held, limits, syncer=syncer))
    return held


def _call_for(mode: str, syncer: Any) -> Callable[[Writing], object]:
    """Return what writes to one table.

    Raises:
        SyncerError: if the store cannot write so.
    """
    if mode == "replace":
        return lambda each: syncer.dump(each.table, data=each.records())
    call = getattr(syncer, mode, None)
    if not callable(call):
        message = f"{syncer.name} cannot {mode}: use --mode replace or --mode sync, or another store"
        raise SyncerError(message)
    if mode == "append":
        return lambda each: call(each.table, data=each.records())
    return lambda each: call(each.table, data=each.records(), key=each.key)


def _write_each(planned: Iterable[Writing], call: Callable[[Writing], object], mode: str) -> dict[str, int]:
    """Write to each table, and return how many records went where. Tables before one that fails stay written."""
    done: dict[str, int] = {}
    for each in planned:
        try:
            call(each)
        except Exception as error:
            if not done:
                raise
            message = f"{each.table}: {said_by(error)} ({mode} was done already for {', '.join(done)})"
            raise SyncerError(message) from error
        done[each.table] = each.count
    return done


def _explained(call: Callable[[], Any]) -> Any:
    """Call, and let a refusal name the options that allow it."""
    try:
        return call()
    except SafeguardError as error:
        message = f"{error}\n  ({_OPTIONS})"
        raise SafeguardError(message, violations=error.violations) from None
    except SchemaMismatchError as error:
        message = (
            f"{said_by(error)}\n  (between stores with and without types: use --mode replace or upsert, or a declared "
            f"tree, SyncerReader(tree=…))"
        )
        raise SyncerError(message) from error


def _reporters(args: argparse.Namespace) -> list[Reporter]:
    reporters: list[Reporter] = [] if args.quiet or sys.stderr is None else [ProgressReporter()]
    return [*reporters, LoggingReporter()] if args.verbose else reporters


def _amount(text: str) -> float:
    """Return a count, or a share of the destination's objects.

    Raises:
        ArgumentTypeError: if it is neither.
    """
    try:
        amount = float(text[:-1]) / 100 if text.endswith("%") else int(text) if text.isdecimal() else float(text)
        return Limits(deletions=amount).deletions
    except (ValueError, DeclarationError):
        message = f"a count such as 500 or a share such as 0.3 or 30% is wanted (got {text!r})"
        raise argparse.ArgumentTypeError(message) from None
