"""A reader of trees from any store, whose branches are tables without a declared class."""

from __future__ import annotations

import argparse
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.app.parts import Arguments, Reader
from datastoresync.app.stores import (
    FILE_OPTIONS,
    key_of_table,
    missing_key_advice,
    open_store,
    table_names,
    table_pairs,
    url,
)
from datastoresync.branch import Branch
from datastoresync.errors import ColumnError, DuplicateError, SyncerError
from datastoresync.importing.importer import StoreImporter
from datastoresync.object import Object
from datastoresync.syncers.loading import records_in
from datastoresync.syncers.records import Records
from datastoresync.tree import Tree


class Record(Object):
    """A record of a table. All its columns are synced, under any name."""


class RecordImporter(StoreImporter):
    """Reads a table, and declares its columns in the branch's class.

    Args:
        syncer: The store.
        table: The name of the table there; None if it is that of the branch's table.
    """

    def __init__(self, syncer: Any, table: str | None = None) -> None:
        super().__init__(syncer)
        self.table = table

    def read(self) -> Any:
        """Return the records.

        Raises:
            ColumnError: if a column of the key is missing.
        """
        if self.table is not None:
            table = attrs.evolve(self.description.table, name=self.table)
            self.description = attrs.evolve(self.description, table=table)
        found = records_in(super().read(), self.syncer, self.description.table.name)
        rows = found if isinstance(found, Records) else [dict(row) for row in found]
        columns = (
            rows.columns if isinstance(rows, Records) else tuple(dict.fromkeys(name for row in rows for name in row))
        )
        record = self.branch.object_class
        missing = [name for name in record._identifiers if name not in columns]
        if missing and columns:
            raise ColumnError(self.key_advice(missing[0], columns, rows), columns=missing)
        record._attributes = tuple(name for name in columns if name not in record._identifiers)
        return rows

    def key_advice(self, missing: str, columns: Sequence[str], rows: Any) -> str:
        """Return what to do about a column of the key that is not there."""
        table, key = self.description.table.name, self.branch.object_class._identifiers
        return missing_key_advice(self.syncer, table, missing, columns, rows, key)


def record_branch(
    syncer: Any, tables: tuple[str, str], identifiers: Sequence[str], optional: Iterable[str] = ()
) -> Branch[Any]:
    """Return a branch for the records of a table, with a class of its own.

    Args:
        syncer: The store of the table.
        tables: The name of the table, and the one that it has where it is written to.
        identifiers: The columns of its key.
        optional: Columns that may be empty where they are part of a key.
    """
    settings = {
        "_identifiers": tuple(identifiers),
        "_optional_identifiers": tuple(name for name in identifiers if name in optional),
        "__module__": __name__,
    }
    cls: Any = types.new_class("Record", (Record,), exec_body=lambda body: body.update(settings))
    name, written = tables
    return Branch(cls, importer=RecordImporter(syncer, None if name == written else name), table=written)


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
        files = parser.add_argument_group(
            "files to read", "CSV, TSV and Excel; the same are options of URLs: csv:x?footer=1"
        )
        for name, help_text in FILE_OPTIONS.items():
            files.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=help_text)
        if self.tree is None and self.branches is None:
            parser.add_argument(
                "--tables",
                type=table_pairs,
                default=None if self.tables is None else [(name, name) for name in self.tables],
                help="the tables to read, as users,groups; one of another name where it is written to as "
                "people=accounts; default: all",
            )
            parser.add_argument(
                "--key",
                action="append",
                type=key_of_table,
                help="the key: a column guid, of one table users=guid, or of several columns "
                "members=group+person; repeatable; default: idnumber",
            )
            parser.add_argument(
                "--optional-key",
                action="append",
                metavar="COLUMN",
                help="a column that may be empty where it is part of a key of several; repeatable",
            )

    def read(self, args: argparse.Namespace) -> Tree:
        """Return the tree, imported.

        Raises:
            SyncerError: if the store or a table cannot be read, or the tables are unknown.
            ImporterError: if a record is refused.
        """
        options = {name: getattr(args, name) for name in FILE_OPTIONS if getattr(args, name, None) is not None}
        with open_store(args.store, options=options, spelling="option") as syncer:
            if self.tree is not None:
                return self.tree(syncer=syncer).load()
            branches = self._record_branches(syncer, args) if self.branches is None else self.branches
            try:
                return Tree("source", syncer=syncer, branches=branches).load()
            except DuplicateError as error:  # no importer is the user's own
                said = str(error).partition(", or write resolve_duplicate")[0]
                raise DuplicateError(said, idnumber=error.idnumber, first=error.first) from None

    def _record_branches(self, syncer: Any, args: argparse.Namespace) -> dict[str, Branch[Any]]:
        pairs = args.tables or [(name, name) for name in table_names(syncer)]
        read = {written: name for name, written in pairs}
        if len(read) < len(pairs):
            message = "--tables names two tables that are to be written to one: sync one of them"
            raise SyncerError(message)
        keys: dict[str, tuple[str, ...]] = dict(args.key or ())
        unknown = keys.keys() - {"", *read, *read.values()}
        if unknown:
            there = ", ".join(read.values())
            message = f"--key names {', '.join(sorted(unknown))}, which is not read: there is {there}"
            raise SyncerError(message)
        usual, optional = keys.get("", ("idnumber",)), getattr(args, "optional_key", None) or ()
        return {
            name: record_branch(
                syncer, (read[written], written), keys.get(read[written], keys.get(written, usual)), optional
            )
            for name, written in branch_names(read).items()
        }
