"""Kinds of databases, each in a module of its own; what no module knows is spoken to as `Dialect` says."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import sqlalchemy as sa

from datastoresync.syncers.sql.dialects.base import Dialect

__all__ = ["DIALECTS", "Dialect", "dialect_of"]

_MODULES = ("postgresql", "sqlite", "mysql", "snowflake", "sqlserver")
DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect for module in _MODULES for dialect in import_module(f"{__name__}.{module}").DIALECTS
}
"""The known kinds of databases by their names. A new one is a module with ``DIALECTS``, named in ``_MODULES``."""


def dialect_of(dialect: sa.Dialect) -> Dialect:
    """Return what is known of the database that SQLAlchemy speaks to like this."""
    return next((known for known in DIALECTS.values() if known.speaks(dialect)), Dialect(dialect.name))
