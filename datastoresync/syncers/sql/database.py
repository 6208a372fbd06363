"""An opened database: its transactions to read and to write in, and the locks that keep two runs apart."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from typing import Any
from weakref import WeakSet

import attrs
import sqlalchemy as sa

from datastoresync.errors import DatastoreSyncError, LockedError, SyncerError
from datastoresync.masking import Secrets
from datastoresync.syncers.changes import Outcome
from datastoresync.syncers.lock_holders import marked_run
from datastoresync.syncers.sql.dialects import Dialect, dialect_of
from datastoresync.syncers.sql.dialects.base import WAITS_FOR_RUNS
from datastoresync.syncers.sql.lock_waits import LockWaits, holder_of, holders_of
from datastoresync.syncers.sql.translate_errors import DATABASE_ERRORS, locked, reason_of, refusal_of

_STEP = 0.1
"""Seconds between two attempts to lock a table against other runs."""
_TABLES = "datastoresync_tables"
"""Under this name a connection keeps the tables that are written to."""
_HELD = "held by"
_PATIENCE = 2
"""Seconds in which a database should have rolled back what a killed run did, and freed its lock."""


class CommitInterrupt(KeyboardInterrupt):
    """Ctrl-C during a commit, or after it.

    Args:
        committed: Whether the commit was through; if not, it may have taken all the same.

    Attributes:
        outcomes: The outcomes of the changes of the transaction, where they are known.
    """

    def __init__(self, *, committed: bool) -> None:
        super().__init__("after the commit" if committed else "during the commit, so import again to see if it took")
        self.committed = committed
        self.outcomes: Sequence[Outcome] = ()


@attrs.frozen(eq=False)
class Database:
    """A database, and what messages about it may say.

    Args:
        engine: Where to connect.
        name: What messages call it.
        secrets: What messages must not hold.
        foreign_keys: Whether SQLite is told to check foreign keys, which it does not do by itself.
        normalize: Whether what a column would change is written, and compared, as the column would hold it.
        snapshots: The states of it that are held open.
        waits: How long others are waited for.
    """

    engine: sa.Engine = attrs.field(repr=False)
    name: str
    secrets: Secrets = attrs.field(default=Secrets(), repr=False)
    foreign_keys: bool = False
    normalize: bool = False
    snapshots: WeakSet[Any] = attrs.field(factory=WeakSet, repr=False)
    waits: LockWaits = attrs.field(factory=LockWaits, repr=False)

    @property
    def dialect(self) -> Dialect:
        """The kind of database."""
        return dialect_of(self.engine.dialect)

    @property
    def shares_its_connection(self) -> bool:
        """Whether reading goes through the connection that is written to, and its end would end the transaction."""
        return isinstance(self.engine.pool, (sa.StaticPool, sa.SingletonThreadPool))

    @contextmanager
    def translated_errors(self, doing: str) -> Iterator[None]:
        """Raise errors of the database as `SyncerError` or `LockedError`, with what was being done in front."""
        try:
            yield
        except DatastoreSyncError:
            raise
        except self._errors as error:
            raise refusal_of(error, f"{doing} {self.name}", self.secrets) from None

    @contextmanager
    def reading(self, *, first: str | None = None) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of the database throughout, and is rolled back at the end.

        Args:
            first: A statement that the database only takes before any query.

        Raises:
            SyncerError: There is no such database, or it cannot be opened.
        """
        with ExitStack() as stack:
            with self.translated_errors("cannot open"):
                self._require_file()
                connection = stack.enter_context(self.engine.connect())
                self.dialect.begin_reading(connection, lambda last: stack.callback(self._run_last, connection, last))
                if first is not None:
                    connection.exec_driver_sql(first)
                self.waits.limit(connection)
            with self._holders_named(connection):
                yield connection

    @contextmanager
    def writing(self, *, create: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end, or rolled back if anything is raised.

        Args:
            create: Whether SQLite may make a new file.

        Raises:
            LockedError: Another connection is writing to SQLite.
            SyncerError: The database cannot be opened, or refused the commit.
            CommitInterrupt: Ctrl-C came too late to undo what was done.
        """
        with _told_of_interrupts() as state, ExitStack() as stack:
            with self.translated_errors("cannot open"):
                if not create:
                    self._require_file()
                connection = stack.enter_context(self.engine.connect())
                transaction = self._begun(connection, stack)
            with self._holders_named(connection):
                yield connection
            state.append("committing")
            try:
                transaction.commit()
            except self._errors as error:
                self.dialect.commit_failed(connection)
                raise self._uncommitted(error, connection) from None
            state.append("committed")

    def _begun(self, connection: sa.Connection, stack: ExitStack) -> sa.Transaction:
        """Begin a transaction to write in; what is to be done after it goes on the stack."""
        dialect = self.dialect
        if dialect.writing_isolation:
            connection.execution_options(isolation_level=dialect.writing_isolation)
        if dialect.after_writing:
            stack.callback(self._run_last, connection, dialect.after_writing)
        connection.info.pop(_TABLES, None)
        connection.info[WAITS_FOR_RUNS] = self.waits.timeout is not None
        transaction = stack.enter_context(connection.begin())
        try:
            self.waits.limit(connection)
            dialect.begin_writing(connection, foreign_keys=self.foreign_keys)
        except DATABASE_ERRORS as error:
            if not locked(error):
                raise
            raise LockedError(self._busy(self.name, self._holders(connection))) from None
        if (file := dialect.file_of(self.engine.url)) is not None:
            stack.enter_context(marked_run(file))
        return transaction

    def lock(self, connection: sa.Connection, tables: Iterable[str]) -> None:
        """Lock tables against other runs until the transaction ends; another run is waited for only if that was said.

        PostgreSQL, MySQL and MariaDB free the locks of a process that dies. SQLite was locked as a whole when the
        transaction began; other databases have locks of rows only.

        Raises:
            LockedError: Another run holds one of the locks.
        """
        until = time.monotonic() + self.waits.seconds_for_runs
        for table in sorted(set(tables)):
            connection.info.setdefault(_TABLES, set()).add(table)
            digest = blake2b(f"datastoresync:{table}".encode(), digest_size=8).digest()
            free = self.dialect.lock(digest, max(_PATIENCE, round(self.waits.seconds_for_runs)))
            if free is None:
                return
            while True:
                with self.translated_errors("cannot lock a table of"):
                    locked_now = connection.execute(sa.select(free)).scalar()
                if locked_now:
                    break
                if time.monotonic() >= until:
                    holder = holder_of(connection, digest)
                    raise LockedError(self._busy(f"table {table!r} of {self.name}", holder))
                time.sleep(_STEP)

    @contextmanager
    def _holders_named(self, connection: sa.Connection) -> Iterator[None]:
        """Add to errors about locks who holds them."""
        try:
            yield
        except LockedError as error:
            if _HELD in str(error) or not (holders := self._holders(connection)):
                raise
            raise LockedError(f"{error}; {_HELD} {holders}") from None
        except Exception as error:
            refusal: Any = error  # a statement's: it is raised as a `LockedError` further up
            if getattr(error, "blames_store", None) is LockedError and (holders := self._holders(connection)):
                refusal.reason = f"{refusal.reason}; {_HELD} {holders}"
            raise

    def _holders(self, connection: sa.Connection) -> str:
        return holders_of(self.engine, connection, connection.info.get(_TABLES, ()))

    def _run_last(self, connection: sa.Connection, statement: str) -> None:
        """Run a statement outside of any transaction, before a connection goes back to its pool."""
        if connection.invalidated or connection.closed:
            return  # with what is gone, its locks and settings are gone too
        connection.rollback()
        with self.translated_errors("cannot take leave of"):
            connection.exec_driver_sql(statement)
            connection.rollback()

    def _busy(self, what: str, holders: str) -> str:
        held = f" ({_HELD} {holders})" if holders else ""
        return (
            f"another run or program is writing to {what}{held}; its lock ends with it, even if it is killed: "
            "wait until it is done, and run again"
        )

    def _uncommitted(self, error: BaseException, connection: sa.Connection) -> SyncerError:
        reason = reason_of(error, self.secrets)
        if getattr(error, "connection_invalidated", False):
            return SyncerError(f"{self.name} was lost during the commit, so import again to see if it took: {reason}")
        message = f"{self.name} refused the commit, and nothing was written: {reason}"
        if not locked(error):
            return SyncerError(message)
        holders = self._holders(connection)
        return LockedError(f"{message}; {_HELD} {holders}" if holders else message)

    @property
    def exists(self) -> bool:
        """Whether there is anything to open: a file, if the database is one."""
        path = self.dialect.file_of(self.engine.url)
        return path is None or path.exists()

    def _require_file(self) -> None:
        # SQLite would make an empty database of a mistyped path, and an empty source asks for deletions.
        if not self.exists:
            message = f"there is no database {self.name}: check the path; only dump() makes a new file"
            raise SyncerError(message)

    @property
    def _errors(self) -> tuple[type[BaseException], ...]:
        # A driver's own errors come through where SQLAlchemy does not expect them, and its warnings anywhere.
        driver: Any = self.engine.dialect.loaded_dbapi
        return (*DATABASE_ERRORS, driver.Error, driver.Warning)


@contextmanager
def _told_of_interrupts() -> Iterator[list[str]]:
    """Raise a Ctrl-C as `CommitInterrupt` once there is a state: ``committing``, then ``committed``."""
    state: list[str] = []
    try:
        yield state
    except (KeyboardInterrupt, SystemExit):
        if not state:
            raise
        raise CommitInterrupt(committed=state[-1] == "committed") from None
