"""Writes a tree to any store, for an application."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

import attrs

from datastoresync.app.arguments import Arguments
from datastoresync.app.console import say
from datastoresync.app.record import Record, record_branch
from datastoresync.app.store import opened, url
from datastoresync.app.writer import Writer
from datastoresync.app.writing import Stored, Writing, check_replacing, said_by, stored, writings
from datastoresync.applying.preview import Preview
from datastoresync.applying.report import Report
from datastoresync.applying.reporter import LoggingReporter, ProgressReporter, Reporter
from datastoresync.applying.safeguards import Limits
from datastoresync.branch import Branch
from datastoresync.errors import DeclarationError, SafeguardError, SchemaMismatchError, SyncerError
from datastoresync.printing.words import counted
from datastoresync.tree import Tree

__all__ = ["Mode", "SyncerWriter", "Written"]

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
