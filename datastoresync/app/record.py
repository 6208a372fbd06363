"""Trees over stores that nobody has declared classes for: a branch a table, and all columns are synced."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datastoresync.branch import Branch
from datastoresync.errors import ColumnError
from datastoresync.importing.store import StoreImporter
from datastoresync.object import Object
from datastoresync.syncers.changes import Table
from datastoresync.syncers.records import Records
from datastoresync.tree import Tree

__all__ = ["Record", "branch_names", "record_branch"]


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
