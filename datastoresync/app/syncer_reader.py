"""A reader of trees from any store, whose branches are tables without a declared class."""

from __future__ import annotations

import argparse
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from urllib.parse import quote

import attrs

from datastoresync.app.parts import Arguments, Reader
from datastoresync.branch import Branch
from datastoresync.errors import ColumnError, DatastoreSyncError, SyncerError
from datastoresync.importing.importer import StoreImporter
from datastoresync.masking import hidden
from datastoresync.object import Object
from datastoresync.syncers import open_syncer
from datastoresync.syncers.changes import Table
from datastoresync.syncers.files import FORMATS
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.files.sheet_format import SheetFormat
from datastoresync.syncers.files.text_format import TableFormat, TextFormat
from datastoresync.syncers.loading import records_in
from datastoresync.syncers.names import likely_delimiter
from datastoresync.syncers.options import converted_options, parameters_of
from datastoresync.syncers.records import Records
from datastoresync.syncers.registry import parse_address
from datastoresync.tree import Tree

_FILE_OPTIONS = {
    field.name: field.metadata["help"]
    for cls in (TextFormat, SheetFormat)
    for field in attrs.fields(cls)
    if "help" in field.metadata
}
"""What the options for files are called, and what their help says."""


_SEARCHED = 50
"""Rows that are searched for the header."""


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
            raise ColumnError(self._advice(missing[0], columns, rows), columns=missing)
        record._attributes = tuple(name for name in columns if name not in record._identifiers)
        return rows

    def _advice(self, missing: str, columns: Sequence[str], rows: Any) -> str:
        """Return what is wrong with a table that lacks a column of its key; to follow it copies no garbage."""
        table, has = self.branch.table.name, ", ".join(map(repr, columns))
        advice = f"table {table} has no column {missing!r}: name its key, as in --key {table}=COLUMN; there are {has}"
        file_format = getattr(self.syncer, "table_format", None)
        if file_format is None:
            return advice
        file_format = file_format.told(self.syncer.spelling)
        delimiter = getattr(file_format, "delimiter", "")
        if above := _lines_above(rows, file_format, self.branch.object_class._identifiers, delimiter):
            return f"table {table} has no column {missing!r}: the header looks to be further down: {above}"
        other = likely_delimiter(columns, [missing], delimiter=delimiter) if delimiter else ""
        if not other:
            return advice + str(file_format.header_advice)
        in_url = file_format.told("url").option("delimiter", other)
        return (
            f"table {table} has no column {missing!r}: it looks as if {other!r} separates its columns: "
            f"{file_format.option('delimiter', other)}, or {self.syncer.format}:{quote(str(self.syncer.path))}{in_url}"
        )


def _lines_above(rows: Any, file_format: TableFormat, wanted: Iterable[str], delimiter: str) -> str:
    """Return the options that read a row below as the header; nothing if none of the first looks to be it."""
    if not isinstance(rows, Records) or file_format.header is not True:
        return ""
    with suppress(DatastoreSyncError):  # a row that is not as wide as the header
        first = next(iter(rows.chunks), [])
        for index, row in enumerate(islice(zip(*first, strict=True), _SEARCHED)):
            texts = list(map(str, row))
            other = likely_delimiter(texts, [*wanted], delimiter=delimiter) if delimiter else ""
            found = file_format.option("delimiter", other) if other else ""
            if {*wanted} <= {*(delimiter.join(texts).split(other) if other else texts)}:
                above = int(rows.where(index).replace("row ", ":").rpartition(":")[2]) - 1
                return f"{file_format.skip(above)} {found}".strip()
    return ""


def record_branch(syncer: Any, table: Table, identifiers: Sequence[str], optional: Iterable[str] = ()) -> Branch[Any]:
    """Return a branch for the records of a table, with a class of its own.

    Args:
        syncer: The store of the table.
        table: The table.
        identifiers: The columns of its key.
        optional: Columns that may be empty where they are part of a key.
    """
    settings = {
        "_identifiers": tuple(identifiers),
        "_optional_identifiers": tuple(name for name in identifiers if name in optional),
        "__module__": __name__,
    }
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
def open_store(store: Any, *, metadata: Any = None, options: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Open the store at a URL, and close it in the end; a syncer is left open for its owner.

    Args:
        store: The URL, or the syncer.
        metadata: The tables to make in a database that is plugged in.
        options: The options for files that the command line has, as texts; None if it takes none.

    Raises:
        SyncerError: if the store does not have one of the options.
    """
    if not isinstance(store, (str, os.PathLike)):
        if options:
            message = f"--{next(iter(options)).replace('_', '-')} is for a URL, and {store} is open already"
            raise SyncerError(message)
        yield store
        return
    given = file_options(store, options) if options else {}
    syncer = open_syncer(store, **given) if metadata is None else open_syncer(store, metadata=metadata)
    if options is not None and isinstance(syncer, FileSyncer):
        syncer.spelling = "option"
    try:
        yield syncer
    finally:
        close = getattr(syncer, "close", None)
        if callable(close):
            close()


def file_options(store: str | os.PathLike[str], options: Mapping[str, str]) -> dict[str, Any]:
    """Return options for files that the command line has, converted.

    Raises:
        SyncerError: if files of that format do not have one, or it has a value that it cannot have.
    """
    scheme = parse_address(store).scheme
    opener = next((each.load() for each in FORMATS if each.name == scheme), None)
    known = {} if opener is None else parameters_of(opener) or {}
    if unknown := next((name for name in options if name not in known), None):
        message = f"{scheme}: has no --{unknown.replace('_', '-')}, which is for files of other formats"
        raise SyncerError(message)
    try:
        return converted_options(opener, options)  # type: ignore[arg-type]  # it has options, so it is there
    except ValueError as error:
        message = f"the source {error}"
        raise SyncerError(message) from None


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
        for name, help_text in _FILE_OPTIONS.items():
            files.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=help_text)
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
        options = {name: getattr(args, name) for name in _FILE_OPTIONS if getattr(args, name, None) is not None}
        with open_store(args.store, options=options) as syncer:
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
            name: record_branch(syncer, Table(table), keys.get(table, usual), getattr(args, "optional_key", None) or ())
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
