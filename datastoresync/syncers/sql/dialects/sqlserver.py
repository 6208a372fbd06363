"""Microsoft SQL Server: not tested against, but for what is known of its transactions."""

from __future__ import annotations

from datastoresync.syncers.sql.dialects.base import Dialect


class SQLServer(Dialect):
    """Microsoft SQL Server."""

    makes_tables_in_transactions = True


DIALECTS = (SQLServer("mssql"),)
