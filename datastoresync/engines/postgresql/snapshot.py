"""One state of a database, held open so that what was imported can still be asked for.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from datastoresync.engines.relation import CannotPushDown
from datastoresync.errors import DatastoreSyncError, SyncerError
from datastoresync.runtime import finalizer
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.translate_errors import DATABASE_ERRORS, reason_of

_MOST = 16
"""Snapshots of one database that are held at a time: each is a connection, and a server has a hundred or so."""
_PATIENCE = 600_000
"""Milliseconds: a server that ends idle transactions earlier is asked for all rows at once instead."""
_SAVEPOINT = "datastoresync"
# What may no longer be there: a schema, a table, a column.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_GONE = frozenset({"3F000", "42P01", "42703", "42809"})
# A standby does not say which transactions it takes to be going on, so that no two of its moments are known to be one.
_MOMENT = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_snapshot()::text END"
_FACTS = """
SELECT current_setting('TimeZone') AS zone, current_setting('server_encoding') AS encoding,
    current_setting('search_path') AS search_path, system_identifier, pg_postmaster_start_time() AS started,
    current_database() AS database, current_user AS role, session_user AS login,
    current_setting('row_security') AS row_security,
    (SELECT min(setting::bigint) FROM pg_settings WHERE setting <> '0'
        AND name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')) AS patience
FROM pg_control_system()
"""


class Snapshot:
    """A transaction on a connection of its own, which can only read and sees what there was when it began.

    Between two questions it holds no lock on any table, so that others may write, alter and drop them. It ends when
    nobody holds it any more. Closing the syncer leaves it alone; a server that is stopped, or that ends transactions
    which do nothing for long, ends it, and the next question says so.

    Args:
        database: Of which; PostgreSQL through psycopg.

    Raises:
        CannotPushDown: The server would end it too soon.
        SyncerError: The database cannot be opened.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._users = 0
        self._open_readings = 0
        self._round = 0
        self._exported: str | None = None
        self._connection: sa.Connection | None = None
        with database.translated_errors("cannot open"):
            connection = database.engine.connect()
            try:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                connection.detach()  # neither does the pool wait for it, nor does closing the pool close it
                self.moment: str | None = connection.execute(sa.text(_MOMENT)).scalar_one()
                facts = connection.execute(sa.text(_FACTS)).one()
                connection.exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        self.encoding: str = facts.encoding
        self.zone: str = facts.zone
        self.role: str = facts.role
        self.user: str = facts.login
        self.search_path: str = facts.search_path
        self.place: Hashable = (
            *("postgresql", facts.system_identifier, facts.started, facts.database),
            *(facts.role, facts.row_security, facts.zone),
        )
        if facts.patience is not None and facts.patience < _PATIENCE:
            self.close()
            reason = f"the server ends transactions that are idle for {facts.patience / 1000:g} s"
            raise CannotPushDown(reason)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._connection is None

    @property
    def order(self) -> tuple[int, int, int] | None:
        """What is larger for a later snapshot, and equal for equal ones: three numbers, of which the last is negative.

        They are the number of the first transaction that had not begun, that of the first one that was going on, and
        how many were. None if it cannot be told.
        """
        if self.moment is None:
            return None
        oldest, behind, going_on = self.moment.split(":")
        return int(behind), int(oldest), -len(going_on.split(",")) if going_on else 0

    def hold(self, user: object) -> Callable[[], Any]:
        """Keep the snapshot while an object lives; return what lets go of it earlier."""
        self._users += 1
        return finalizer(user, _let_go, self)

    def let_go(self) -> None:
        """Say that one of its users needs it no longer; the last one ends it."""
        self._users -= 1
        if self._users <= 0:
            self.close()

    def close(self) -> None:
        """End it."""
        connection, self._connection = self._connection, None
        self.database.snapshots.discard(self)
        if connection is not None:
            with suppress(*DATABASE_ERRORS, self._driver_error):  # what the server ended already needs no end
                connection.close()

    def export(self) -> str | None:
        """Return the name under which another connection to the server can see the same state.

        It is None while something is half read.

        Raises:
            SyncerError: The snapshot has ended.
        """
        connection = self._alive()
        if self._exported is None and not self._open_readings:
            with self._translated_errors("cannot share what was imported from"):
                connection.exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")  # or it would be refused
                self._exported = connection.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one()
                connection.exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
        return self._exported

    @contextmanager
    def reading(self, search_path: str | None = None) -> Iterator[sa.Connection]:
        """Give the connection for a question or two. What they lock or set is undone when the last reader is through.

        Args:
            search_path: Where unqualified names are looked for; None for where they always are.

        Raises:
            SyncerError: The snapshot has ended, or what is asked for has changed.
        """
        connection = self._alive()
        with self._translated_errors("cannot read from"):
            self._open_readings += 1
            round_ = self._round
            try:
                _look_in(connection, search_path)
                yield connection
            finally:
                if not self.closed and not _lost(connection):
                    self._leave(connection, round_)

    @contextmanager
    def sharing(self, exported: str, search_path: str | None = None) -> Iterator[sa.Connection]:
        """Give another connection that sees the same, for one long answer that keeps it busy.

        Args:
            exported: What `export` gave.
            search_path: Where unqualified names are looked for; None for where they always are.

        Raises:
            SyncerError: The snapshot has ended, or what is asked for has changed.
        """
        self._alive()
        first = f"SET TRANSACTION SNAPSHOT '{exported}'"
        with self._translated_errors("cannot read from"), self.database.reading(first=first) as connection:
            _look_in(connection, search_path)
            yield connection

    def _leave(self, connection: sa.Connection, round_: int) -> None:
        self._open_readings -= round_ == self._round
        raw: Any = connection.connection.dbapi_connection
        if raw.info.transaction_status.name == "INERROR" or (round_ == self._round and not self._open_readings):
            connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self._open_readings = 0
            self._round += 1  # what failed has ended the other readings, too

    def _alive(self) -> sa.Connection:
        if self._connection is None:
            message = f"the snapshot of {self.database.name} was closed: import it again"
            raise SyncerError(message)
        return self._connection

    @property
    def _driver_error(self) -> Any:
        driver: Any = self.database.engine.dialect.loaded_dbapi
        return driver.Error

    @contextmanager
    def _translated_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except DatastoreSyncError:
            raise
        except (*DATABASE_ERRORS, self._driver_error) as error:
            name, reason = self.database.name, reason_of(error, self.database.secrets)
            if self._connection is not None and _lost(self._connection):
                message = (
                    f"{name} ended the transaction that held what was imported ({reason}): import it again; if that "
                    "happens often, its idle_in_transaction_session_timeout may be too short"
                )
                raise SyncerError(message) from None
            state = getattr(getattr(error, "orig", error), "sqlstate", None)
            if state in _GONE:
                message = f"tables of {name} were changed since they were imported ({reason}): import them again"
                raise SyncerError(message) from None
            message = f"{doing} {name}: {reason}"
            raise SyncerError(message) from None


def snapshot_of(database: Database) -> Snapshot:
    """Return a snapshot of what a database is like now: one that is there if nothing happened since, or a new one.

    Raises:
        CannotPushDown: There can be none, or there are too many already.
        SyncerError: The database cannot be opened.
    """
    if database.dialect.name != "postgresql" or database.engine.dialect.driver != "psycopg":
        shown = f"{database.dialect.name} through {database.engine.dialect.driver}"
        message = f"{shown} is not asked to compare by itself"
        raise CannotPushDown(message)
    if database.shares_its_connection:
        message = "the engine has a single connection"
        raise CannotPushDown(message)
    if database.snapshots:
        with database.reading() as connection, database.translated_errors("cannot read from"):
            moment = connection.execute(sa.text(_MOMENT)).scalar_one()
        held: list[Snapshot] = list(database.snapshots)
        for snapshot in held:
            if moment is not None and snapshot.moment == moment:
                return snapshot
    if len(database.snapshots) >= _MOST:
        message = f"{_MOST} states of the database are held already"
        raise CannotPushDown(message)
    snapshot = Snapshot(database)
    database.snapshots.add(snapshot)
    return snapshot


def _look_in(connection: sa.Connection, search_path: str | None) -> None:
    if search_path is not None:
        connection.execute(sa.text("SELECT set_config('search_path', :path, true)"), {"path": search_path})


def _lost(connection: sa.Connection) -> bool:
    """Say whether the server, or the way to it, is gone."""
    if connection.closed or connection.invalidated:
        return True
    return bool(getattr(connection.connection.dbapi_connection, "closed", False))


def _let_go(snapshot: Snapshot) -> None:
    snapshot.let_go()
