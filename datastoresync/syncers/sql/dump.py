"""Whole tables: replacing and appending records, and making a table for its first ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import groupby
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.errors import DataWarning, SyncerError
from datastoresync.printing.text import counted
from datastoresync.syncers.sql.catalog import UNFINISHED, Catalogue, StoredTable
from datastoresync.syncers.sql.column_forms import Mode
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.dialects import Dialect, dialect_of
from datastoresync.syncers.sql.effects import acting, probably
from datastoresync.syncers.sql.statements import RefusalError, Statements, blocks_of
from datastoresync.syncers.sql.types import column_type

COMPLETED = "datastoresync: completed by the columns that are there"
"""Marks tables that are to be made where they are not there, and to be as they are where they are."""


@attrs.define(eq=False)
class Opened:
    """A table within the transaction that writes it, and that keeps other runs out.

    Args:
        database: Where it is.
        statements: What writes rows there, within the transaction.
        name: The table's name, as it was asked for.
        stored: The table; None if there is none.
    """

    database: Database
    statements: Statements
    name: str
    stored: StoredTable | None
    _given: int = attrs.field(init=False, default=0)

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
        self._given += count
        return count

    @contextmanager
    def counted(self, stored: StoredTable, *, replaced: bool = False) -> Iterator[None]:
        """Hold the rows of a table against those that are inserted meanwhile.

        They are counted where something may act on a table by itself, and where that costs nothing.

        Args:
            stored: The table.
            replaced: Whether all its rows before are deleted.

        Raises:
            SyncerError: There are more or fewer.

        Warns:
            DataWarning: A trigger may have changed them.
        """
        found = [] if stored.is_view else acting(self.statements, stored, "insert", "delete")
        if stored.is_view or not (found or self.statements.dialect.counts_always):
            yield
            return
        expected = 0 if replaced else self._count(stored)
        yield
        expected, there = expected + self._given, self._count(stored)
        store = f"table {self.name!r} of {self.database.name}"
        if there != expected:
            message = (
                f"{store} has {counted(there, 'row')} and not {expected:,}{probably(found)}: it is as it was before"
            )
            raise SyncerError(message)
        if changing := [one for one in found if one.changes_rows and "insert" in one.verbs]:
            message = f"{store} may hold other values than it was given{probably(changing)}: they are not compared"
            warnings.warn(message, DataWarning, stacklevel=2)

    def _count(self, stored: StoredTable) -> int:
        [(count,)] = self.statements.execute(sa.select(sa.func.count()).select_from(stored.table))
        return int(count)


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
        with database.translated_errors(f"cannot write table {name!r} of"):
            mode: Mode = "fitted" if database.normalize else "exact"
            catalogue = Catalogue(connection, database.name, mode=mode)
            location = catalogue.locate(name)
            if location is not None and not name.endswith(location[1]):
                message = f"{database.name} takes {name!r} for its table {location[1]!r}: call it as it is called there"
                raise SyncerError(message)
            stored = None if create and location is None else catalogue.find(name)
            database.lock(connection, [catalogue.full_name(name)] if stored is None else catalogue.names_to_write())
            if stored is None:  # another run may have made it before the lock was ours
                catalogue = Catalogue(connection, database.name, mode=mode)
                stored = None if catalogue.locate(name) is None else catalogue.find(name)
        try:
            statements = Statements(connection, database.secrets)
            yield Opened(database, statements, name, stored)
            statements.advance_sequences()
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


def make_table(opened: Opened, records: Sequence[dict[str, Any]]) -> int:
    """Make the table that is not there, with columns by the values of the records; return how many these are.

    Where making a table commits, it is filled under another name, and given its own when it is complete.

    Raises:
        RefusalError: The database refused a record, or a value does not fit.
        SyncerError: No records say which columns there are, or those of one column have no type in common.
    """
    name, connection = opened.name, opened.statements.connection
    catalogue = Catalogue(connection, opened.database.name)
    columns = list(dict.fromkeys(column for record in records for column in record))
    if not columns:
        message = f"{catalogue.store} has no table {name!r}, and no records say which columns it has: create it first"
        raise SyncerError(message)
    schema, table_name = next(catalogue.splits(name), (None, name))
    _check_spelling(table_name, columns, connection.dialect)
    dialect = opened.statements.dialect
    types = {column: column_type(column, (record.get(column) for record in records), dialect) for column in columns}
    parts = [sa.Column(column, kind) for column, kind in types.items()]
    if dialect.makes_tables_in_transactions:
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
            unfinished.drop(opened.statements.connection, checkfirst=True)
        raise


def _check_spelling(table: str, columns: Sequence[str], dialect: sa.Dialect) -> None:
    """Refuse names that a database would give back in another spelling, or that its dialect could not read."""
    for name in (table, *columns):
        folded = str(dialect.normalize_name(name)) if dialect.requires_name_normalize else name
        if folded != name:
            message = f"{dialect.name} would call {name!r} {folded!r}: rename it, or create the table first"
            raise SyncerError(message)
        misread = dialect_of(dialect).misread[name is not table]
        if found := next((character for character in name if character in misread), None):
            message = f"a name with {found!r} cannot be read back from {dialect.name}: rename {name!r}"
            raise SyncerError(message)


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
        with opened.counted(opened.stored, replaced=True):
            opened.statements.execute(sa.delete(opened.stored.table))
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
        with opened.counted(opened.stored):
            return opened.insert(opened.stored, records)


def metadata_for(tables: Mapping[str, tuple[Sequence[str], Iterable[Mapping[str, Any]]]]) -> sa.MetaData:
    """Return tables with columns by the values of their records, for a database that is plugged in.

    Args:
        tables: The columns of the key and the records, by the name of the table.

    Raises:
        SyncerError: The values of a column have no type in common.
    """
    metadata, dialect = sa.MetaData(info={COMPLETED: True}), Dialect("sql")
    for name, (key, given) in tables.items():
        records = list(given)
        columns = dict.fromkeys([*key, *(column for record in records for column in record)])
        kinds = {each: column_type(each, (record.get(each) for record in records), dialect) for each in columns}
        sa.Table(name, metadata, *(sa.Column(each, kind, primary_key=each in key) for each, kind in kinds.items()))
    return metadata
