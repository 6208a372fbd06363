"""A table that is being written: its transaction, its lock, and the records on their way into it.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.blocks import KEYS
from datastoresync.syncers.sql.catalog import Catalogue, StoredTable
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.statements import RefusalError, Statements

__all__ = ["Opened", "blocks_of", "given_records", "opened_table"]


@attrs.frozen(eq=False)
class Opened:
    """A table within the transaction that writes it, and that keeps other runs out.

    Args:
        database: Where it is.
        connection: Where the transaction is.
        statements: What writes rows there.
        name: The table's name, as it was asked for.
        stored: The table; None if there is none.
    """

    database: Database
    connection: sa.Connection
    statements: Statements
    name: str
    stored: StoredTable | None

    def insert(self, stored: StoredTable, records: Iterable[Mapping[str, Any]]) -> int:
        """Insert records in their order, block by block, and return how many there were.

        A column that a record lacks gets its default, which is NULL unless the table says otherwise.

        Raises:
            RefusalError: The database refused one, or a value does not fit.
            SyncerError: A column is not there.
        """
        empty: dict[str, Any] = {column: None for column in stored.encoders if column not in stored.defaults}
        count = 0
        for block in blocks_of(records):
            for column in dict.fromkeys(column for record in block for column in record):
                stored.column(column)
            # Only rows that follow each other go together: parents must stay first.
            for columns, rows in groupby(({**empty, **record} for record in block), key=tuple):
                self.statements.insert(stored, columns, [tuple(row.values()) for row in rows])
            count += len(block)
        return count


@contextmanager
def opened_table(database: Database, name: str, *, create: bool = False) -> Iterator[Opened]:
    """Open a transaction that writes a table, look the table up, and lock it.

    What the given records themselves raise comes through as it is; the transaction is rolled back then, too.

    Args:
        database: Where the table is.
        name: The table's name.
        create: Whether it need not be there.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: The table is not there, or what was written is refused. Nothing was written.
    """
    with database.writing(create=create) as connection:
        with database.refusals(f"cannot write table {name!r} of"):
            catalogue = Catalogue(connection, database.name)
            stored = None if create and catalogue.place(name) is None else catalogue.find(name)
            database.lock(connection, [catalogue.full_name(name)] if stored is None else catalogue.names_to_write())
            if stored is None:  # somebody may have made it before the lock was ours
                catalogue = Catalogue(connection, database.name)
                stored = None if catalogue.place(name) is None else catalogue.find(name)
        try:
            yield Opened(database, connection, Statements(connection, database.secrets), name, stored)
        except RefusalError as refusal:
            message = f"cannot write table {name!r} of {database.name}, which is as it was: {refusal.reason}"
            raise (refusal.blames_store or SyncerError)(message) from None


def given_records(database: Database, name: str, data: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the records that are to be written, as they come.

    Args:
        database: Where to. Records may come out of it, too; if it has one connection only, all are taken before.
        name: The table's name, for messages.
        data: The records.

    Raises:
        SyncerError: One is no mapping, or has a key that is no text.
    """
    for number, record in enumerate(list(data) if database.shares_its_connection else data, start=1):
        if not isinstance(record, Mapping):
            message = f"record {number} for table {name!r} is {type(record).__name__}: give a mapping by column"
            raise SyncerError(message)
        if odd := next((column for column in record if not isinstance(column, str)), None):
            message = (
                f"record {number} for table {name!r} has a key that is {type(odd).__name__}: columns have names, "
                "which are str"
            )
            raise SyncerError(message)
        yield dict(record)


def blocks_of(records: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield records in blocks of at most `KEYS`."""
    waiting = iter(records)
    while block := list(islice(waiting, KEYS)):
        yield block
