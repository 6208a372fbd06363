"""A reader of trees from any store, whose branches are tables without a declared class."""

from __future__ import annotations

import argparse
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from datastoresync.app.parts import Arguments, Reader
from datastoresync.branch import Branch
from datastoresync.errors import ColumnError, SyncerError
from datastoresync.importing.importer import StoreImporter
from datastoresync.masking import hidden
from datastoresync.object import Object
from datastoresync.syncers import open_syncer
from datastoresync.syncers.changes import Table
from datastoresync.syncers.loading import records_in
from datastoresync.syncers.names import likely_delimiter
from datastoresync.syncers.records import Records
from datastoresync.tree import Tree


class Record(Object):
    """A record of a table. All its columns are synced, under any name."""


class RecordImporter(StoreImporter):
    """Reads a table, and declares its columns in the branch's class."""

    def read(self) -> Any:
        """Return the records.

        Raises:
            ColumnError: if a column of the key is missing.
        """
        found = records_in(super().read(), self.syncer, self.branch.table.name)
        rows = found if isinstance(found, Records) else [dict(row) for row in found]
        columns = (
            rows.columns if isinstance(rows, Records) else tuple(dict.fromkeys(name for row in rows for name in row))
        )
        record = self.branch.object_class
        missing = [name for name in record._identifiers if name not in columns]
        if missing and columns:
            raise ColumnError(self._advice(missing[0], columns), columns=missing)
        record._attributes = tuple(name for name in columns if name not in record._identifiers)
        return rows

    def _advice(self, missing: str, columns: Sequence[str]) -> str:
        """Return what is wrong with a table that lacks a column of its key; to follow it copies no garbage."""
        table, delimiter = self.branch.table.name, getattr(self.syncer, "delimiter", "")
        other = likely_delimiter(columns, [missing], delimiter=delimiter) if delimiter else ""
        if other:
            place, spelling = self.syncer.path, {"\t": "tab"}.get(other, quote(other, safe=""))
            return (
                f"table {table} has no column {missing!r}: it looks as if {other!r} separates its columns, so read it "
                f"as csv:{quote(str(place))}?delimiter={spelling}"
            )
        has = ", ".join(map(repr, columns))
        return f"table {table} has no column {missing!r}: name its key, as in --key {table}=COLUMN; there are {has}"


def record_branch(syncer: Any, table: Table, identifiers: Sequence[str]) -> Branch[Any]:
    """Return a branch for the records of a table, with a class of its own.

    Args:
        syncer: The store of the table.
        table: The table.
        identifiers: The columns of its key.
    """
    settings = {"_identifiers": tuple(identifiers), "__module__": __name__}
    cls: Any = types.new_class("Record", (Record,), exec_body=lambda body: body.update(settings))
    return Branch(cls, importer=RecordImporter(syncer), table=table)


def branch_names(tables: Iterable[str]) -> Mapping[str, str]:
    """Return tables by valid names of branches.

    >>> branch_names(["users", "public.groups", "items", "_old"])
    {'users': 'users', 'public_groups': 'public.groups', 'items_': 'items', 'table_old': '_old'}
    """
    found: dict[str, str] = {}
    for table in tables:
        name = "".join(letter if f"_{letter}".isidentifier() else "_" for letter in table)
        if not name.isidentifier() or name.startswith("_"):  # a private attribute is not compared
            name = f"table_{name.lstrip('_')}"
        while name in found or hasattr(Tree, name) or name in ("name", "syncer"):
            name += "_"
        found[name] = table
    return found


_VARIABLE = "env:"


def url(text: str) -> str:
    """Return a URL as it is, or the value of the environment variable for ``env:NAME``.

    The variable keeps a password out of the list of processes, which every user of the machine can see.

    Raises:
        ArgumentTypeError: if it is empty.
    """
    name = text.removeprefix(_VARIABLE)
    found = os.environ.get(name, "") if text.startswith(_VARIABLE) else text
    if not found:
        message = f"the environment variable {name!r} is not set" if text else "the URL is empty"
        raise argparse.ArgumentTypeError(message)
    return hidden(found)  # type: ignore[no-any-return]  # a text like the one it was


@contextmanager
def open_store(store: Any, *, metadata: Any = None) -> Iterator[Any]:
    """Open the store at a URL, and close it in the end; a syncer is left open for its owner.

    Args:
        store: The URL, or the syncer.
        metadata: The tables to make in a database that is plugged in.
    """
    if not isinstance(store, (str, os.PathLike)):
        yield store
        return
    syncer = open_syncer(store) if metadata is None else open_syncer(store, metadata=metadata)
    try:
        yield syncer
    finally:
        close = getattr(syncer, "close", None)
        if callable(close):
            close()


class SyncerReader(Reader):
    """Reads a tree from any store that has a syncer: ``--from URL``.

    The URL is one of `open_syncer`, or ``env:NAME`` for the value of an environment variable. The tree has the declared
    ``tree`` or ``branches``; without these, a branch for each of the ``--tables``, or each table of the store. Then
    ``--key`` names keys other than ``idnumber``, and values stay as the store gives them. The store is closed after
    the reading.

    Args:
        store: The URL or the syncer to read from if ``--from`` is not given.
        tree: The tree's class, or a function that takes ``syncer=`` and returns the tree.
        branches: Declared branches by name, instead of a tree's class.
        tables: The tables to read if ``--tables`` is not given.
        name: See `AppPart`.
    """

    store: Any = None
    tree: Callable[..., Tree] | None = None
    branches: Mapping[str, Branch[Any]] | None = None
    tables: Sequence[str] | None = None

    def __init__(
        self,
        store: Any = None,
        *,
        tree: Callable[..., Tree] | None = None,
        branches: Mapping[str, Branch[Any]] | None = None,
        tables: Iterable[str] | None = None,
        required_arguments: Iterable[str] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(required_arguments=required_arguments, name=name)
        self.store = store
        self.tree = tree
        self.branches = branches
        self.tables = None if tables is None else [tables] if isinstance(tables, str) else list(tables)

    def add_arguments(self, parser: Arguments) -> None:
        """Add ``--from``, and ``--tables`` and ``--key`` where nothing is declared."""
        parser.add_argument(
            "--from",
            dest="store",
            metavar="URL",
            type=url,
            default=self.store,
            required=self.store is None,
            help="the store to read: csv:folder, xlsx:file.xlsx, postgresql://user@host/database, or env:NAME "
            "for a URL in an environment variable",
        )
        if self.tree is None and self.branches is None:
            parser.add_argument(
                "--tables", type=_names, default=self.tables, help="the tables to read, as users,groups; default: all"
            )
            parser.add_argument(
                "--key",
                action="append",
                type=_key,
                help="the key: a column guid, of one table users=guid, or of several columns "
                "members=group+person; repeatable; default: idnumber",
            )

    def read(self, args: argparse.Namespace) -> Tree:
        """Return the tree, imported.

        Raises:
            SyncerError: if the store or a table cannot be read, or the tables are unknown.
            ImporterError: if a record is refused.
        """
        with open_store(args.store) as syncer:
            if self.tree is not None:
                return self.tree(syncer=syncer).load()
            branches = self._record_branches(syncer, args) if self.branches is None else self.branches
            return Tree("source", syncer=syncer, branches=branches).load()

    def _record_branches(self, syncer: Any, args: argparse.Namespace) -> dict[str, Branch[Any]]:
        tables = args.tables or _table_names(syncer)
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


def _table_names(syncer: Any) -> list[str]:
    tables = getattr(syncer, "tables", None)
    if not callable(tables):
        message = f"{syncer.name} cannot list its tables: name them, as in --tables users,groups"
        raise SyncerError(message)
    found = list(tables())
    if not found:
        message = f"{syncer.name} has no tables, so there is nothing to read: check the URL"
        raise SyncerError(message)
    return found


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if not all(names):
        message = f"names with commas between them are needed, as in users,groups (got {text!r})"
        raise argparse.ArgumentTypeError(message)
    return names


def _key(text: str) -> tuple[str, tuple[str, ...]]:
    table, _, columns = text.rpartition("=")
    key = tuple(columns.split("+"))
    if not all(key):
        message = f"a column is needed, as in guid, users=guid or members=group+person (got {text!r})"
        raise argparse.ArgumentTypeError(message)
    return table, key
