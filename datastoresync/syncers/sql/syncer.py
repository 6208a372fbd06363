"""Databases, through SQLAlchemy: tables and queries are read as streams, changes applied in bulk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from datastoresync.conversion.value_format import Spelling
from datastoresync.errors import DatastoreSyncError, DeclarationError
from datastoresync.masking import hidden, without_frames
from datastoresync.syncers.changes import Cascade, Change, Outcome, Same, Table, WriteOptions
from datastoresync.syncers.lock_holders import seconds_of
from datastoresync.syncers.records import Records
from datastoresync.syncers.sql.url import open_database, require_sqlalchemy, without_password

if TYPE_CHECKING:
    import sqlalchemy

    from datastoresync.syncers.sql.database import Database


class SQLSyncer:
    """A database that SQLAlchemy can talk to. It is opened on first use.

    Args:
        url_or_engine: ``postgresql://user:password@host/database`` (through psycopg 3, unless the URL names a
            driver), ``sqlite:///file.db``, any other URL of SQLAlchemy, or an engine, which then stays yours.
        name: What messages call it; by default the URL without its password and options.
        normalize: Whether a value that a column cannot hold as it is, such as 1.5 in one of integers, is compared and
            written as the column would hold it, rather than refused. ``?normalize=true`` in the URL says the same.
        timeout: Seconds to wait for what others have locked, 30 by default; also ``?timeout=30`` in the URL. Another
            run of ours, where it can be told apart, is waited for only if this is given, and refuses this one if not.
        engine_options: For ``sqlalchemy.create_engine``. In SQLite, foreign keys are checked when this opens it.

    Raises:
        DeclarationError: for anything but a URL or an engine.

    >>> SQLSyncer("postgresql://ann:secret@example.org/school?password=secret")
    SQLSyncer('postgresql://ann@example.org/school')
    """

    streams: ClassVar[bool] = True
    """Whether data may be any iterable, which is read once."""
    spelling: Spelling = "python"
    """Where branches are declared, for messages about them."""

    def __init__(
        self,
        url_or_engine: str | sqlalchemy.URL | sqlalchemy.Engine,
        *,
        name: str | None = None,
        normalize: bool = False,
        timeout: float | None = None,
        **engine_options: Any,
    ) -> None:
        url_or_engine, engine_options = hidden(url_or_engine), hidden(engine_options)
        module = sys.modules.get("sqlalchemy")
        if not isinstance(url_or_engine, str) and not (
            module is not None and isinstance(url_or_engine, (module.URL, module.Engine))
        ):
            kind = type(url_or_engine).__name__
            message = f"SQLSyncer takes the URL of a database or an engine of SQLAlchemy, not a {kind}"
            raise DeclarationError(message)
        self._url_or_engine = url_or_engine
        self._options = engine_options
        self._normalize = normalize
        self._timeout = None if timeout is None else seconds_of(timeout, 0)
        self._display_name = without_password(url_or_engine)
        self._opened: Database | None = None
        self.name = self._display_name if name is None else name
        require_sqlalchemy(self.name)

    def __repr__(self) -> str:
        name = "" if self.name == self._display_name else f", name={self.name!r}"
        return f"SQLSyncer({self._display_name!r}{name})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the engine was given; the next use opens them again."""
        if self._opened is not None and self._opened.engine is not self._url_or_engine:
            self._opened.engine.dispose()
        self._opened = None

    def load(self, identifier: str) -> list[dict[str, Any]]:
        """Return all records of a table, by column.

        Raises:
            SyncerError: The table is not there, or cannot be read.
        """
        return list(self.read(identifier))

    def dump(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> None:
        """Replace all records of a table in one transaction; the old ones stand until the new ones are in.

        A column that a record lacks gets its default, which is NULL unless the table says otherwise. The records are
        taken as they come. A missing table is made of all of them, with columns by the types of the values: text,
        integer, double, numeric, boolean, date, time, timestamp, UUID, binary, and JSON for lists, sets and
        dictionaries. `normalized` says what a value is loaded as.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: A column is not there, or a value does not fit it; the table is as it was.
        """
        from datastoresync.syncers.sql.dump import dump_table

        dump_table(self._database, identifier, data)

    def append(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> int:
        """Add records to a table in one transaction, and return how many; `dump` says what becomes of them.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: A column is not there, or a value does not fit it; the table is as it was.
        """
        from datastoresync.syncers.sql.dump import append_records

        return append_records(self._database, identifier, data)

    def upsert(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Put records into a table in one transaction, over those with the same key; return how many.

        A column that a record lacks keeps its value; in a new record it gets its default. A missing table is made.
        The database decides which keys are the same, as it does in all methods with a key. The records go through a
        temporary table, in all of them, too.

        Args:
            identifier: The table.
            data: The records.
            key: The columns that tell records apart, or the one. An index on them is not needed. With a unique one,
                PostgreSQL also updates what another program inserts at the same moment, and so do MySQL and MariaDB
                if the table has no other unique index.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: A column is not there, a key is missing, None, or stands in two records, here or there, a
                value does not fit, or the database does not have a record afterwards; the table is as it was.

        Warns:
            DataWarning: The database holds another value than it was given, one that a trigger has changed, say.
        """
        from datastoresync.syncers.sql.upsert import upsert_records

        return upsert_records(self._database, identifier, data, key)

    def update(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Change columns of records in one transaction; return how many records were named.

        Args:
            identifier: The table.
            data: For each record, the columns of its key and those to change.
            key: The columns that tell records apart, or the one.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: As for `upsert`, or the table or a key is not there; the table is as it was.
        """
        from datastoresync.syncers.sql.upsert import update_records

        return update_records(self._database, identifier, data, key)

    def delete(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Delete the records with these keys in one transaction; return how many there were.

        Args:
            identifier: The table.
            data: For each record, at least the columns of its key.
            key: The columns that tell records apart, or the one.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: As for `upsert`, or the table is not there; the table is as it was.
        """
        from datastoresync.syncers.sql.upsert import delete_records

        return delete_records(self._database, identifier, data, key)

    @property
    def database_file(self) -> Path | None:
        """The file that the database is; None for one on a server or in memory."""
        return self._database.dialect.file_of(self._database.engine.url)

    def tables(self) -> list[str]:
        """Return the names of all tables, those of other schemas as ``schema.table``, sorted.

        There are none in an SQLite database whose file is not there yet.

        Raises:
            SyncerError: The schema cannot be read.
        """
        from datastoresync.syncers.sql.catalog import Catalogue

        if not self._database.exists:
            return []
        with self._database.reading() as connection, self._database.translated_errors("cannot read the schema of"):
            return Catalogue(connection, self.name).names()

    def column_types(self, table: str, *, meant: bool = False) -> dict[str, type]:
        """Return the types of the values of a table's columns, those that Python has a type for.

        Args:
            table: The table.
            meant: Whether a type counts that a column names, and that the database does not hold its values to.

        Raises:
            SyncerError: The table is not there; the nearest one is named.
        """
        from datastoresync.syncers.sql.catalog import Catalogue

        with self._database.reading() as connection, self._database.translated_errors("cannot read the schema of"):
            columns = Catalogue(connection, self.name).find(table).table.columns
        found: dict[str, type] = {}
        for column in columns:
            with suppress(NotImplementedError):
                found[column.name] = (meant and getattr(column.type, "meant", None)) or column.type.python_type
        return found

    def primary_key(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table's primary key; none if it has no such key.

        Raises:
            SyncerError: The table is not there; the nearest one is named.
        """
        from datastoresync.syncers.sql.catalog import Catalogue

        with self._database.reading() as connection, self._database.translated_errors("cannot read the schema of"):
            return Catalogue(connection, self.name).find(table).primary_key

    def foreign_keys(self, table: str) -> dict[str, tuple[str, str]]:
        """Return, for each column of a table that is a foreign key by itself, the table and the column it refers to.

        Raises:
            SyncerError: The table is not there; the nearest one is named.
        """
        from datastoresync.syncers.sql.catalog import Catalogue

        with self._database.reading() as connection, self._database.translated_errors("cannot read the schema of"):
            catalogue = Catalogue(connection, self.name)
            catalogue.find(table)
            return {
                key.columns[0]: (f"{key.schema}.{key.table}" if key.schema else key.table, key.to[0])
                for key in catalogue.foreign_keys(catalogue.locate(table) or (None, table))
                if len(key.columns) == 1
            }

    def normalized(self, value: Any) -> Any:
        """Return what `load` gives for a value that `dump` put into a column of its own type.

        An enum member is loaded as its value, a set or tuple as a list, a UUID as text unless this is PostgreSQL. In
        MySQL and MariaDB, a timestamp with a time zone is loaded as one of UTC without. Where there is no JSON, as in
        Snowflake, lists and dictionaries are loaded as its text.

        Raises:
            SyncerError: The database cannot hold the value, and `dump` refuses it.
        """
        from datastoresync.syncers.sql.types import normalized

        return normalized(value, self._database)

    def read(
        self, table: Table | str, attributes: Sequence[str] | None = None, *, identifiers: Sequence[str] | None = None
    ) -> Records:
        """Return a stream of the records of a table, in no particular order, from one state of the database.

        Args:
            table: Where they are. An attribute with a `Link` comes as the set of its members.
            attributes: The attributes to read; None for all columns and links.
            identifiers: The attributes that a link's owner refers to; None for ``idnumber`` if the table has such a
                column, and for the primary key otherwise.

        Raises:
            SyncerError: The table, a column or a link table is not there; the nearest one is named.
        """
        from datastoresync.syncers.sql.read import read_table

        return read_table(self._database, _table(table), attributes, identifiers)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Records:
        """Return a stream of the rows of a query, which can read only.

        Args:
            sql: One statement that gives rows.
            parameters: Values for its ``:names``. Without any, the statement is sent as it is, colons and all.

        Raises:
            SyncerError: The query is refused, gives no rows, or has two columns of one name.
        """
        from datastoresync.syncers.sql.read import read_query

        parameters = hidden(parameters)
        return read_query(self._database, sql, parameters)

    def check(self, tables: Iterable[Table | str], attributes: Iterable[str] = ()) -> None:
        """Check that tables are there, with their link tables, all columns that they name, and these attributes.

        Raises:
            SyncerError: One is not there; the nearest one is named.
        """
        from datastoresync.syncers.sql.catalog import Catalogue, Target

        names = list(attributes)
        with self._database.reading() as connection, self._database.translated_errors("cannot read the schema of"):
            catalogue = Catalogue(connection, self.name)
            for table in tables:
                Target(catalogue, _table(table)).check(names)

    def columns_with_ids(self, table: Table | str) -> list[str]:
        """Return the columns of a table and its link tables that have ids of the database's own, by which it refers.

        `read` and `apply_changes` have idnumbers in their place, if the tree or a `Ref` says where they lead; `load`,
        `dump` and whatever else knows a table by its name alone have the ids.

        Raises:
            SyncerError: A column or a link table is not there, or cannot be followed.
        """
        from datastoresync.syncers.sql.read import columns_with_ids

        return columns_with_ids(self._database, _table(table)) if self._database.exists else []

    def cascades(self, changes: Iterable[Change], tables: Iterable[Table | str] = ()) -> list[Cascade]:
        """Return what ON DELETE would do to other rows if changes were applied, in the tree and outside of it.

        Rows are not counted that the changes delete themselves, members that they remove, and references that they
        set to something else; nor are the members of deleted owners.

        Args:
            changes: The deletions, and what else is done before them.
            tables: The tables of the tree.

        Raises:
            SyncerError: A table is not there, or the schema cannot be read.
        """
        from datastoresync.syncers.sql.cascades import foreseen

        return foreseen(self._database, changes, map(_table, tables))

    def canonical(
        self, table: Table | str, attributes: Iterable[str], identifiers: Sequence[str]
    ) -> Mapping[str, Callable[[Any], Any]]:
        """Return, for attributes whose columns have one form for several values, what makes that form of a value.

        It is in the value's own type: in a column of integers the text ``"007"`` becomes ``"7"``. Keys and the members
        of link tables have such forms whenever a type says so: a number, a date, a UUID, or text that is filled up with
        blanks. Other attributes have them with ``normalize`` alone, and then everything is in it that the column would
        round or cut. A value that does not fit stays as it is, and is refused when it is written.

        Args:
            table: Where they are.
            attributes: The attributes.
            identifiers: Those of the key, or that refer to one.

        Raises:
            SyncerError: The table, a column or a link table is not there.
        """
        from datastoresync.syncers.sql.canonical import canonical_forms

        return canonical_forms(self._database, _table(table), attributes, identifiers)

    def apply_changes(
        self, changes: Sequence[Change], *, same: Same, options: WriteOptions | None = None
    ) -> Sequence[Outcome]:
        """Apply changes in one transaction, and return their outcomes in the same order.

        What is there already is ``done``. What differs from what was expected is a ``conflict`` and stays as it is;
        the updates of one object stand or fall together. What the database refuses is ``failed``, each with its own
        reason. If anything is, all is rolled back, and all other changes are ``undone``, unless ``on_error`` is
        ``"continue"``: then the rest is written. Errors of the store (a lock, the connection, the disk) end everything.

        Changes are made in their order, except that updates, unlinks and links that follow each other in one table
        are done in this order, and that what a unique value or a foreign key refuses is tried again after the others:
        in another order, with deferrable constraints deferred, or with NULL or another value for the time being.
        Without savepoints (Snowflake) it is tried in another order only, and ``on_error`` can only be ``"stop"``.

        In a rehearsal all is done, and then rolled back; only sequences have moved on.

        In PostgreSQL, MySQL and MariaDB other runs are kept out by a lock for each table, and the rows are locked;
        SQLite is locked as a whole; elsewhere the rows are locked. A killed run leaves neither its changes nor its
        locks behind. Snowflake locks no rows: what others commit between the comparison and the writing is overwritten.

        Args:
            changes: Parents first, then updates, then deletions, children first.
            same: Compares a raw value, as `read` gives it, with an expected one.
            options: What is done about a failure, and more; None for the usual ones.

        Raises:
            LockedError: Another run is writing to one of the tables.
            SyncerError: A table or column is not there, the database cannot go on after a failure, or it gave up as a
                whole. Nothing was written, unless the message says that this is not known.
        """
        from datastoresync.syncers.sql.apply import apply_changes

        return apply_changes(self._database, changes, same=same, options=options) if changes else []

    @property
    def _database(self) -> Database:
        if self._opened is None:
            try:
                self._opened = open_database(
                    self._url_or_engine, self.name, self._options, normalize=self._normalize, timeout=self._timeout
                )
            except DatastoreSyncError as error:
                raise without_frames(error)  # noqa: B904 - its own cause, without the frames that hold the URL
        return self._opened


def _table(table: Table | str) -> Table:
    return Table(table) if isinstance(table, str) else table
