"""Databases, through SQLAlchemy: tables and queries are read as streams, changes applied in bulk."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from datastoresync.errors import DeclarationError, MissingDependencyError, SyncerError
from datastoresync.syncers.changes import Change, Outcome, Same, Table
from datastoresync.syncers.records import Records

if TYPE_CHECKING:
    import sqlalchemy

    from datastoresync.syncers.sql_database import Database

__all__ = ["SQLSyncer"]

_PLACE = re.compile(r"(\[[^\]]*\]|[^:/]*)(:\d*)?(/.*)?", re.DOTALL)
_SECRET = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)


class SQLSyncer:
    """A database that SQLAlchemy can talk to. It is opened on first use.

    Args:
        url_or_engine: ``postgresql://user:password@host/database`` (through psycopg 3, unless the URL names a
            driver), ``sqlite:///file.db``, any other URL of SQLAlchemy, or an engine, which then stays yours.
        name: What messages call it; by default the URL without its password and options.
        engine_options: For ``sqlalchemy.create_engine``. In SQLite, foreign keys are checked when this opens it.

    Raises:
        DeclarationError: for anything but a URL or an engine.

    >>> SQLSyncer("postgresql://ann:secret@example.org/school?password=secret")
    SQLSyncer('postgresql://ann@example.org/school')
    """

    def __init__(
        self, url_or_engine: str | sqlalchemy.URL | sqlalchemy.Engine, *, name: str | None = None, **engine_options: Any
    ) -> None:
        module = sys.modules.get("sqlalchemy")
        if not isinstance(url_or_engine, str) and not (
            module is not None and isinstance(url_or_engine, (module.URL, module.Engine))
        ):
            kind = type(url_or_engine).__name__
            message = f"SQLSyncer takes the URL of a database or an engine of SQLAlchemy, not a {kind}"
            raise DeclarationError(message)
        self._place = url_or_engine
        self._options = engine_options
        self._shown = _without_password(url_or_engine)
        self._opened: Database | None = None
        self.name = self._shown if name is None else name

    def __repr__(self) -> str:
        name = "" if self.name == self._shown else f", name={self.name!r}"
        return f"SQLSyncer({self._shown!r}{name})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the engine was given; the next use opens them again."""
        if self._opened is not None and self._opened.engine is not self._place:
            self._opened.engine.dispose()
        self._opened = None

    def load(self, identifier: str) -> list[dict[str, Any]]:
        """Return all records of a table, by column.

        Raises:
            SyncerError: The table is not there, or cannot be read.
        """
        return list(self.read(identifier))

    def dump(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> None:
        """Replace all records of a table in one transaction; a key that a record lacks becomes NULL.

        A missing table is made, with columns by the types of the values: text, integer, double, numeric, boolean, date,
        time, timestamp, UUID (text in SQLite), binary, and JSON for lists, sets and dictionaries. So sets and tuples
        are loaded as lists, an enum member as its value, a UUID from SQLite as text.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: A column is not there, or a value does not fit it; the table is as it was.
        """
        from datastoresync.syncers.sql_dumping import dump_table

        dump_table(self._database, identifier, data)

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
        from datastoresync.syncers.sql_reading import read_table

        return read_table(self._database, _table(table), attributes, identifiers)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Records:
        """Return a stream of the rows of a query, which can read only.

        Args:
            sql: One statement that gives rows.
            parameters: Values for its ``:names``. Without any, the statement is sent as it is, colons and all.

        Raises:
            SyncerError: The query is refused, gives no rows, or has two columns of one name.
        """
        from datastoresync.syncers.sql_reading import read_query

        return read_query(self._database, sql, parameters)

    def check(self, tables: Iterable[Table | str], attributes: Iterable[str] = ()) -> None:
        """Check that tables are there, with their link tables, all columns that they name, and these attributes.

        Raises:
            SyncerError: One is not there; the nearest one is named.
        """
        from datastoresync.syncers.sql_schema import Catalogue, Target

        wanted = list(attributes)
        with self._database.reading() as connection, self._database.refusals("cannot read the schema of"):
            catalogue = Catalogue(connection, self.name)
            for table in tables:
                Target(catalogue, _table(table)).check(wanted)

    def apply_changes(self, changes: Sequence[Change], *, same: Same) -> list[Outcome]:
        """Apply changes in one transaction, and return their outcomes in the same order.

        What is already so is ``done``. Whatever differs from what was expected is a ``conflict`` and stays as it is;
        the updates of one object stand or fall together. If a statement fails, everything is rolled back: its change
        is ``failed``, all others are ``undone``. Changes are made in their order, except that updates, unlinks and
        links that follow each other in one table are done in this order.

        In PostgreSQL other runs are kept out by a lock for each table, and the rows are locked; SQLite is locked as a
        whole; elsewhere the rows are locked. A killed run leaves neither its changes nor its locks behind.

        Args:
            changes: Parents first, then updates, then deletions, children first.
            same: Compares a raw value, as `read` gives it, with an expected one.

        Raises:
            LockedError: Another run is writing to one of the tables.
            SyncerError: A table or column is not there, or the database as a whole gave up. Nothing was written,
                unless the message says that this is not known.
        """
        from datastoresync.syncers.sql_changes import apply_changes

        return apply_changes(self._database, changes, same=same) if changes else []

    @property
    def _database(self) -> Database:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Database:
        try:
            import sqlalchemy
        except ImportError as error:
            message = (
                f"{self.name} is read through SQLAlchemy, which is not installed: pip install 'datastoresync[sql]'"
            )
            raise MissingDependencyError(message) from error
        if int(sqlalchemy.__version__.partition(".")[0]) < 2:
            message = (
                f"{self.name} is read through SQLAlchemy 2, but {sqlalchemy.__version__} is installed: "
                "pip install --upgrade 'datastoresync[sql]'"
            )
            raise MissingDependencyError(message)
        from datastoresync.syncers.sql_database import Database

        if isinstance(self._place, sqlalchemy.Engine):
            return Database(self._place, self.name, _secrets(self._place.url, {}))
        try:
            url = sqlalchemy.make_url(self._place)
        except (sqlalchemy.exc.ArgumentError, ValueError):
            message = (
                f"{self.name} is not the URL of a database: write it like postgresql://user:password@host/database or "
                "sqlite:///file.db, with special characters in the password as %40 for @"
            )
            raise SyncerError(message) from None
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        secrets = _secrets(url, self._options.get("connect_args", {}))
        options = {"hide_parameters": True, **self._options}
        try:
            engine = sqlalchemy.create_engine(url, **options)
        except sqlalchemy.exc.NoSuchModuleError:
            message = f"{self.name}: SQLAlchemy knows no {url.drivername!r}; use postgresql, sqlite or what it lists"
            raise SyncerError(message) from None
        except ImportError as error:
            extra = "'datastoresync[postgresql]'" if url.drivername.startswith("postgresql+psycopg") else error.name
            message = f"the driver for {self.name} is not installed: pip install {extra}"
            raise MissingDependencyError(message) from error
        except (sqlalchemy.exc.ArgumentError, TypeError) as error:
            from datastoresync.syncers.sql_errors import refusal_of

            raise refusal_of(error, f"cannot open {self.name}", secrets) from None
        return Database(engine, self.name, secrets, foreign_keys=True)


def _table(table: Table | str) -> Table:
    return Table(table) if isinstance(table, str) else table


def _without_password(place: str | sqlalchemy.URL | sqlalchemy.Engine) -> str:
    """Return a URL without its password and options; of what is no clear URL, as little as possible."""
    parsed: Any = getattr(place, "url", place)
    url = place if isinstance(place, str) else parsed.render_as_string(hide_password=False)
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "the database"
    body, _, options = rest.partition("?")
    credentials, at, where = body.rpartition("@")
    if body.startswith("/"):
        credentials, at, where = "", "", body
    if "@" in options or not _PLACE.fullmatch(where):
        return f"{scheme}://***"  # a password that is not escaped may hold any of the characters that part a URL
    return f"{scheme}://{credentials.partition(':')[0]}{at}{where}"


def _secrets(url: sqlalchemy.URL, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what no message may hold, as it is and as it stands in the URL."""
    from urllib.parse import quote, quote_plus

    found = [
        url.password,
        *(value for options in (url.query, arguments) for name, value in options.items() if _SECRET.search(name)),
    ]
    texts = [text for item in found for text in ([item] if isinstance(item, str) else item or ())]
    return tuple(dict.fromkeys(form for text in texts for form in (text, quote(text, safe=""), quote_plus(text))))
