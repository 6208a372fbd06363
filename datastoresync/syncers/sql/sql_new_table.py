"""Makes a table of the records that it is to hold, so that it is there with all of them or not at all.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.catalog import UNFINISHED, Catalogue
from datastoresync.syncers.sql.database import dialect_of
from datastoresync.syncers.sql.types import column_type
from datastoresync.syncers.sql.values import MYSQL
from datastoresync.syncers.sql.write import Opened

__all__ = ["make_table"]

_MISREAD: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"snowflake": ('."%:', "%"), **dict.fromkeys(MYSQL, ("\r\n", "\r\n"))}
)
"""What the dialects of SQLAlchemy misread in the name of a table, and of a column."""


def make_table(opened: Opened, records: Sequence[dict[str, Any]]) -> int:
    """Make the table that is not there, with columns by the values of the records; return how many these are.

    Where making a table commits, it is filled under another name, and given its own when it is complete.

    Raises:
        RefusalError: The database refused a record, or a value does not fit.
        SyncerError: No records say which columns there are, or those of one column have no type in common.
    """
    name, connection = opened.name, opened.connection
    catalogue = Catalogue(connection, opened.database.name)
    columns = list(dict.fromkeys(column for record in records for column in record))
    if not columns:
        message = f"{catalogue.store} has no table {name!r}, and no records say which columns it has: create it first"
        raise SyncerError(message)
    schema, table_name = next(catalogue.splits(name), (None, name))
    _check_spelling(table_name, columns, connection.dialect)
    dialect = dialect_of(connection.dialect)
    types = {column: column_type(column, (record.get(column) for record in records), dialect) for column in columns}
    parts = [sa.Column(column, kind) for column, kind in types.items()]
    if opened.database.makes_tables_in_transactions:
        with opened.statements.guarded():
            sa.Table(table_name, sa.MetaData(), *parts, schema=schema).create(connection)
            stored = Catalogue(connection, catalogue.store).find(name)
        return opened.insert(stored, records)
    digest = blake2b(table_name.encode(), digest_size=8).hexdigest()
    unfinished = sa.Table(f"{UNFINISHED}{digest}", sa.MetaData(), *parts, schema=schema)
    with _dropped_if_it_fails(opened, unfinished):
        with opened.statements.guarded():
            unfinished.drop(connection, checkfirst=True)  # a run that was killed may have left one
            unfinished.create(connection)
            whole = unfinished.name if schema is None else f"{schema}.{unfinished.name}"
            stored = Catalogue(connection, catalogue.store).find(whole)
        count = opened.insert(stored, records)
        with opened.statements.guarded():
            quote = connection.dialect.identifier_preparer.format_table
            goal = quote(sa.Table(table_name, sa.MetaData(), schema=schema))
            connection.exec_driver_sql(f"ALTER TABLE {quote(unfinished)} RENAME TO {goal}")
    return count


@contextmanager
def _dropped_if_it_fails(opened: Opened, unfinished: sa.Table) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # If it cannot be dropped now, as the connection is lost, it is when the table is made the next time; until then
        # `tables` leaves it out. What matters to the caller is the error that led here.
        with suppress(sa.exc.SQLAlchemyError):
            unfinished.drop(opened.connection, checkfirst=True)
        raise


def _check_spelling(table: str, columns: Sequence[str], dialect: sa.Dialect) -> None:
    """Refuse names that a database would give back in another spelling, or that its dialect could not read."""
    for name in (table, *columns):
        folded = str(dialect.normalize_name(name)) if dialect.requires_name_normalize else name
        if folded != name:
            message = f"{dialect.name} would call {name!r} {folded!r}: rename it, or create the table first"
            raise SyncerError(message)
        misread = _MISREAD.get(dialect_of(dialect), ("", ""))[name is not table]
        if found := next((character for character in name if character in misread), None):
            message = f"a name with {found!r} cannot be read back from {dialect.name}: rename {name!r}"
            raise SyncerError(message)
