"""Snowflake."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.syncers.sql.dialects.base import Dialect


class Snowflake(Dialect):
    """Snowflake, through its own dialect of SQLAlchemy."""

    driver = "snowflake"
    extra = "snowflake"
    misread = ('."%:', "%")
    has_row_locks = False
    has_savepoints = False
    create_staging = "CREATE OR REPLACE TEMPORARY TABLE {name} AS {rows}"

    def heeds_foreign_keys(self, connection: sa.Connection) -> bool:
        return False

    def loaded(self, kind: TypeEngine[Any], value: Any, dialect: sa.Dialect) -> Any:
        return value


DIALECTS = (Snowflake("snowflake"),)
