"""Microsoft SQL Server: not tested against, but for what is known of its transactions.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from datastoresync.syncers.sql.dialects.base import Dialect


class SQLServer(Dialect):
    """Microsoft SQL Server."""

    makes_tables_in_transactions = True


DIALECTS = (SQLServer("mssql"),)
