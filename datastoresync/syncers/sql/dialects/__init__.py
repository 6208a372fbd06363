"""Kinds of databases, each in a module of its own; what no module knows is spoken to as `Dialect` says."""

from importlib import import_module

from datastoresync.syncers.sql.dialects.base import DIALECTS, Dialect, Intervention, dialect_of

__all__ = ["DIALECTS", "Dialect", "Intervention", "dialect_of"]

_MODULES = ("postgresql", "sqlite", "mysql", "snowflake", "sqlserver")
for _module in _MODULES:
    DIALECTS.update((dialect.name, dialect) for dialect in import_module(f"{__name__}.{_module}").DIALECTS)
