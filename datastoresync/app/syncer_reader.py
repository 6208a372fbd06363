"""A reader of trees from any store, whose branches are tables without a declared class."""

from __future__ import annotations

import argparse
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from datastoresync.app.parts import Arguments, Reader
from datastoresync.branch import Branch
from datastoresync.errors import ColumnError, SyncerError
from datastoresync.importing.sources import StoreImporter
from datastoresync.object import Object
from datastoresync.syncers import open_syncer
from datastoresync.syncers.changes import Table
from datastoresync.syncers.records import Records
from datastoresync.tree import Tree


class Record(Object):
    """A record of a table. All its columns are synced, whatever they are called."""


class RecordImporter(StoreImporter):
    """Reads a table, and lets the branch's class know its columns."""

    def read(self) -> Any:
        """Return the records.

        Raises:
            ColumnError: if a column of the key is not there.
        """
        found = super().read()
        rows = found if isinstance(found, Records) else [dict(row) for row in found]
        columns = (
            rows.columns if isinstance(rows, Records) else tuple(dict.fromkeys(name for row in rows for name in row))
        )
        record = self.branch.object_class
        missing = [name for name in record._identifiers if name not in columns]
        if missing and columns:
            has, table = ", ".join(columns), self.branch.table.name
            message = (
                f"table {table} has no column {missing[0]!r}: say what its key is, as in --key {table}={columns[0]}; "
                f"there are {has}"
            )
            raise ColumnError(message, columns=missing)
        record._attributes = tuple(name for name in columns if name not in record._identifiers)
        return rows


def record_branch(syncer: Any, table: Table, identifiers: Sequence[str]) -> Branch[Any]:
    """Return a branch for the records of a table, with a class of its own.

    Args:
        syncer: Where the table is.
        table: The table.
        identifiers: The columns of its key.
    """
    settings = {"_identifiers": tuple(identifiers), "__module__": __name__}
    cls: Any = types.new_class("Record", (Record,), exec_body=lambda body: body.update(settings))
    return Branch(cls, importer=RecordImporter(syncer), table=table)


def branch_names(tables: Iterable[str]) -> Mapping[str, str]:
    """Return tables by names that branches can have.

    >>> branch_names(["users", "public.groups", "items", "_old"])
    {'users': 'users', 'public_groups': 'public.groups', 'items_': 'items', 'table_old': '_old'}
    """
    found: dict[str, str] = {}
    for table in tables:
        name = "".join(letter if f"_{letter}".isidentifier() else "_" for letter in table)
        if not name.isidentifier() or name.startswith("_"):  # which would not be compared
            name = f"table_{name.lstrip('_')}"
        while name in found or hasattr(Tree, name) or name in ("name", "syncer"):
            name += "_"
        found[name] = table
    return found


_VARIABLE = "env:"


def url(text: str) -> str:
    """Return a URL as it was given, or for ``env:NAME`` what the environment variable holds.

    So a password need not stand where every user of the machine can list the processes.

    Raises:
        ArgumentTypeError: if that is nothing.
    """
    name = text.removeprefix(_VARIABLE)
    found = os.environ.get(name, "") if text.startswith(_VARIABLE) else text
    if not found:
        message = f"the environment variable {name!r} is not set" if text else "the URL is empty"
        raise argparse.ArgumentTypeError(message)
    return found


@contextmanager
def opened(place: Any) -> Iterator[Any]:
    """Open the store at a URL, and close it in the end; a syncer is somebody else's to close."""
    if not isinstance(place, (str, os.PathLike)):
        yield place
        return
    syncer = open_syncer(place)
    try:
        yield syncer
    finally:
        close = getattr(syncer, "close", None)
        if callable(close):
            close()


class SyncerReader(Reader):
    """Reads a tree from any store that has a syncer: ``--from URL``.

    The URL is one of `open_syncer`, or ``env:NAME`` for what an environment variable holds. With a declared ``tree``
    or ``branches``, that is what is read. Without, it is a branch for each of the ``--tables``, or for each table
    that the store has, and ``--key`` says what the key is where that is not ``idnumber``; values then are as the store
    gives them. The store is closed when all is read.

    Args:
        place: The URL or the syncer to read from if ``--from`` is not given.
        tree: The tree's class, or what makes the tree when called with ``syncer=``.
        branches: Declared branches by name, instead of a tree's class.
        tables: The tables to read if ``--tables`` is not given.
        name: See `Part`.
    """

    place: Any = None
    tree: Callable[..., Tree] | None = None
    branches: Mapping[str, Branch[Any]] | None = None
    tables: Sequence[str] | None = None

    def __init__(
        self,
        place: Any = None,
        *,
        tree: Callable[..., Tree] | None = None,
        branches: Mapping[str, Branch[Any]] | None = None,
        tables: Iterable[str] | None = None,
        required_arguments: Iterable[str] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(required_arguments=required_arguments, name=name)
        self.place = place
        self.tree = tree
        self.branches = branches
        self.tables = None if tables is None else [tables] if isinstance(tables, str) else list(tables)

    def add_arguments(self, parser: Arguments) -> None:
        """Add ``--from``, and ``--tables`` and ``--key`` where nothing is declared."""
        parser.add_argument(
            "--from",
            dest="place",
            metavar="URL",
            type=url,
            default=self.place,
            required=self.place is None,
            help="where to read: such as csv:folder, xlsx:file.xlsx, postgresql://user@host/database, or env:NAME "
            "for the environment variable that holds it",
        )
        if self.tree is None and self.branches is None:
            parser.add_argument(
                "--tables", type=_names, default=self.tables, help="the tables to read, as users,groups; default: all"
            )
            parser.add_argument(
                "--key",
                action="append",
                type=_key,
                help="the column that is the key: guid, or of one table users=guid, or of several columns "
                "members=group+person; may be given several times; default: idnumber",
            )

    def read(self, args: argparse.Namespace) -> Tree:
        """Return the tree, imported.

        Raises:
            SyncerError: if the store or a table cannot be read, or it is not known which tables there are.
            ImporterError: if a record is refused.
        """
        with opened(args.place) as syncer:
            if self.tree is not None:
                return self.tree(syncer=syncer).load()
            branches = self._records(syncer, args) if self.branches is None else self.branches
            return Tree("source", syncer=syncer, branches=branches).load()

    def _records(self, syncer: Any, args: argparse.Namespace) -> dict[str, Branch[Any]]:
        tables = args.tables or _tables(syncer)
        keys: dict[str, tuple[str, ...]] = dict(args.key or ())
        unknown = keys.keys() - {"", *tables}
        if unknown:
            message = f"--key names {', '.join(sorted(unknown))}, which is not read: there is {', '.join(tables)}"
            raise SyncerError(message)
        usual = keys.get("", ("idnumber",))
        return {
            name: record_branch(syncer, Table(table), keys.get(table, usual))
            for name, table in branch_names(tables).items()
        }


def _tables(syncer: Any) -> list[str]:
    tables = getattr(syncer, "tables", None)
    if not callable(tables):
        message = f"{syncer.name} does not tell which tables it has: name them, as in --tables users,groups"
        raise SyncerError(message)
    found = list(tables())
    if not found:
        message = f"{syncer.name} has no tables, so there is nothing to read: check the place"
        raise SyncerError(message)
    return found


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if not all(names):
        message = f"names with commas between them are wanted, as in users,groups (got {text!r})"
        raise argparse.ArgumentTypeError(message)
    return names


def _key(text: str) -> tuple[str, tuple[str, ...]]:
    table, _, columns = text.rpartition("=")
    key = tuple(columns.split("+"))
    if not all(key):
        message = f"a column is wanted, as in guid, users=guid or members=group+person (got {text!r})"
        raise argparse.ArgumentTypeError(message)
    return table, key
