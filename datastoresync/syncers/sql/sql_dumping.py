"""Replaces what a table holds, or adds to it.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.sql_new_table import make_table
from datastoresync.syncers.sql.write import given_records, opened_table

__all__ = ["append_records", "dump_table"]


def dump_table(database: Database, name: str, data: Iterable[Mapping[str, Any]]) -> None:
    """Replace the rows of a table in one transaction, as `SQLSyncer.dump` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: A column is not there, or a value does not fit. Nothing was written.
    """
    records = given_records(database, name, data)
    with opened_table(database, name, create=True) as opened:
        if opened.stored is None:
            make_table(opened, list(records))
            return
        with opened.statements.guarded():
            opened.connection.execute(sa.delete(opened.stored.table))
        opened.insert(opened.stored, records)


def append_records(database: Database, name: str, data: Iterable[Mapping[str, Any]]) -> int:
    """Add rows to a table in one transaction, as `SQLSyncer.append` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: A column is not there, or a value does not fit. Nothing was written.
    """
    records = given_records(database, name, data)
    with opened_table(database, name, create=True) as opened:
        if opened.stored is None:
            return make_table(opened, list(records))
        return opened.insert(opened.stored, records)
