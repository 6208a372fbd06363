"""An opened database: its transactions to read and to write in, and the locks that keep two runs apart.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.errors import DatastoreSyncError, LockedError, SyncerError
from datastoresync.syncers.sql_errors import DATABASE_ERRORS, locked, reason_of, refusal_of

__all__ = ["Database"]


@attrs.frozen(eq=False)
class Database:
    """A database, and what messages about it may say.

    Args:
        engine: Where to connect.
        name: What messages call it.
        secrets: What messages must not hold.
        foreign_keys: Whether SQLite is told to check foreign keys, which it does not do by itself.
    """

    engine: sa.Engine
    name: str
    secrets: tuple[str, ...] = ()
    foreign_keys: bool = False

    @property
    def dialect(self) -> str:
        """The kind of database: ``postgresql``, ``sqlite``, ..."""
        return self.engine.dialect.name

    @contextmanager
    def refusals(self, doing: str) -> Iterator[None]:
        """Turn whatever the database raises into a `SyncerError` or `LockedError` that says what was being done."""
        try:
            yield
        except DatastoreSyncError:
            raise
        except self._errors as error:
            raise refusal_of(error, f"{doing} {self.name}", self.secrets) from None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of the database throughout, and is rolled back at the end.

        Raises:
            SyncerError: There is no such database, or it cannot be opened.
        """
        with ExitStack() as stack:
            with self.refusals("cannot open"):
                self._require_file()
                connection = stack.enter_context(self.engine.connect())
                if self.dialect == "postgresql":
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                elif self.dialect == "sqlite":
                    connection.execution_options(isolation_level="AUTOCOMMIT")
                    connection.begin()
                    # An engine may be set up to begin by itself; all connections to a database in memory are one.
                    if not _in_transaction(connection):
                        connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def writing(self, *, create: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end, or rolled back if anything is raised.

        Args:
            create: Whether SQLite may make a new file.

        Raises:
            LockedError: SQLite is being written to by somebody else.
            SyncerError: The database cannot be opened, or refused the commit.
        """
        with ExitStack() as stack:
            with self.refusals("cannot open"):
                if not create:
                    self._require_file()
                connection = stack.enter_context(self.engine.connect())
                if self.dialect in ("postgresql", "mysql", "mariadb"):
                    # Rows that were waited for must be seen as they are now, and autocommit would have no transaction.
                    connection.execution_options(isolation_level="READ COMMITTED")
                elif self.dialect == "sqlite":
                    # The driver begins transactions late and without savepoints; in this mode it leaves them to us.
                    connection.execution_options(isolation_level="AUTOCOMMIT")
                transaction = stack.enter_context(connection.begin())
                if self.dialect == "sqlite":
                    self._begin_immediate(connection)
            yield connection
            try:
                transaction.commit()
            except self._errors as error:
                if self.dialect == "sqlite" and _in_transaction(connection):
                    connection.connection.rollback()  # or the next user of the connection would commit it
                raise self._uncommitted(error) from None

    def lock(self, connection: sa.Connection, tables: Iterable[str]) -> None:
        """Lock tables against other runs until the transaction ends; nothing is waited for.

        PostgreSQL frees the locks of a process that dies. SQLite was locked as a whole when the transaction began;
        other databases have locks of rows only.

        Raises:
            LockedError: Another run holds one of the locks.
        """
        if self.dialect != "postgresql":
            return
        for table in sorted(set(tables)):
            digest = blake2b(f"datastoresync:{table}".encode(), digest_size=8).digest()
            number = sa.literal(int.from_bytes(digest, signed=True), sa.BigInteger)
            with self.refusals("cannot lock a table of"):
                free = connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(number))).scalar()
            if not free:
                raise LockedError(self._busy(f"table {table!r} of {self.name}"))

    def _begin_immediate(self, connection: sa.Connection) -> None:
        if _in_transaction(connection):
            connection.exec_driver_sql("ROLLBACK")  # an engine may be set up to begin by itself, but without the lock
        if self.foreign_keys:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except DATABASE_ERRORS as error:
            if not locked(error):
                raise
            raise LockedError(self._busy(self.name)) from None
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience or 0)}")

    def _busy(self, what: str) -> str:
        return (
            f"another run or program is writing to {what}; its lock ends with it, even if it is killed: "
            "wait until it is done, and run again"
        )

    def _uncommitted(self, error: BaseException) -> SyncerError:
        reason = reason_of(error, self.secrets)
        if getattr(error, "connection_invalidated", False):
            return SyncerError(f"{self.name} was lost during the commit, so import again to see if it took: {reason}")
        kind = LockedError if locked(error) else SyncerError
        return kind(f"{self.name} refused the commit, and nothing was written: {reason}")

    def _require_file(self) -> None:
        # SQLite would make an empty database of a mistyped path, and an empty source asks for deletions.
        path = self.engine.url.database
        if self.dialect != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
            return
        if not Path(path).exists():
            message = f"there is no database {self.name}: check the path; only dump() makes a new file"
            raise SyncerError(message)

    @property
    def _errors(self) -> tuple[type[BaseException], ...]:
        # A driver's own errors come through where SQLAlchemy does not expect them, and its warnings anywhere.
        driver: Any = self.engine.dialect.loaded_dbapi
        return (*DATABASE_ERRORS, driver.Error, driver.Warning)


def _in_transaction(connection: sa.Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))
