"""Replaces what a table holds, or makes a table of what it is to hold.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql_database import Database
from datastoresync.syncers.sql_schema import Catalogue, StoredTable
from datastoresync.syncers.sql_statements import RefusalError, Statements
from datastoresync.syncers.sql_types import column_type

__all__ = ["dump_table"]


def dump_table(database: Database, name: str, data: Iterable[Mapping[str, Any]]) -> None:
    """Replace the rows of a table in one transaction, as `SQLSyncer.dump` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: A column is not there, or a value does not fit. Nothing was written.
    """
    records = [dict(record) for record in data]
    columns = list(dict.fromkeys(key for record in records for key in record))
    if odd := next((column for column in columns if not isinstance(column, str)), None):
        message = (
            f"a record for table {name!r} has a key that is {type(odd).__name__}: columns have names, which are str"
        )
        raise SyncerError(message)
    with database.writing(create=True) as connection, database.refusals(f"cannot write table {name!r} of"):
        stored = _stored(Catalogue(connection, database.name), connection, name, columns, records)
        database.lock(connection, [stored.full_name])
        for column in columns:
            stored.column(column)
        connection.execute(sa.delete(stored.table))
        try:
            rows = ([record.get(column) for column in columns] for record in records)
            Statements(connection, database.secrets).insert(stored, columns, rows)
        except RefusalError as refusal:
            message = f"cannot write table {name!r} of {database.name}, which is as it was: {refusal.reason}"
            raise (refusal.blames_store or SyncerError)(message) from None


def _stored(
    catalogue: Catalogue,
    connection: sa.Connection,
    name: str,
    columns: Sequence[str],
    records: Sequence[dict[str, Any]],
) -> StoredTable:
    if catalogue.place(name) is not None:
        return catalogue.find(name)
    if not columns:
        message = f"{catalogue.store} has no table {name!r}, and no records say which columns it has: create it first"
        raise SyncerError(message)
    schema, table_name = next(catalogue.splits(name), (None, name))
    types = {
        column: column_type(column, (record.get(column) for record in records), catalogue.dialect) for column in columns
    }
    made = sa.Table(
        table_name, sa.MetaData(), *(sa.Column(column, kind) for column, kind in types.items()), schema=schema
    )
    made.create(connection)
    return Catalogue(connection, catalogue.store).find(name)
