"""Decides whether a table of a database is large enough to stay in it.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from datastoresync.engines.postgresql.relation import StoredRelation, open_stored
from datastoresync.engines.relation import Unfaithful
from datastoresync.errors import SyncerError
from datastoresync.syncers.source_info import StoredRows

__all__ = ["open_large"]

_SUPPORTED = "postgresql"
_ESTIMATE = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(to_regclass(:name) AS oid)")
"""How many rows a table had when it was last looked through; -1 if it never was."""


def open_large(origin: StoredRows, layout: Any, least: int) -> StoredRelation | None:
    """Return the relation over a table or a query; None if it has fewer rows than that.

    Args:
        origin: The table or the query.
        layout: The class of the objects.
        least: The number of rows from which on it stays where it is; 0 for any number.

    Raises:
        Unfaithful: with the reason why it must be read.
    """
    database = origin.syncer._database  # noqa: SLF001 - as its other methods, this one is only kept in a file of its own
    if database.dialect != _SUPPORTED:
        if least:  # nobody asked for it
            return None
        raise Unfaithful(f"it is in {database.dialect}, which is read into memory")
    if least:
        try:
            with database.reading() as connection, database.refusals("count the rows of"):
                if not _has(connection, origin, least):
                    return None
        except SyncerError:
            return None  # reading it says what is wrong
    return open_stored(
        origin.syncer,
        table=origin.table,
        query=origin.query,
        parameters=origin.parameters,
        attributes=origin.attributes,
        layout=layout,
    )


def _has(connection: sa.Connection, origin: StoredRows, least: int) -> bool:
    """Say whether there are so many rows, without counting more of them."""
    if origin.table is None:
        text = (origin.query or "").strip().rstrip(";")
        some = f"SELECT count(*) FROM (SELECT 1 FROM ({text}) AS rows LIMIT {least}) AS some"  # noqa: S608 - the user's own
        if origin.parameters is None:
            return bool(
                connection.exec_driver_sql(some, execution_options={"no_parameters": True}).scalar_one() >= least
            )
        return bool(connection.execute(sa.text(some), dict(origin.parameters)).scalar_one() >= least)
    schema, _, name = origin.table.name.rpartition(".")
    table = sa.table(name, schema=schema or None)
    named = {"name": connection.dialect.identifier_preparer.format_table(table)}
    if (connection.execute(_ESTIMATE, named).scalar() or 0) > 2 * least:
        return True
    rows = sa.select(sa.literal_column("1")).select_from(table).limit(least).subquery()
    return bool(connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one() >= least)
