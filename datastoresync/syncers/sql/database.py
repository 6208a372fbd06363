"""An opened database: its transactions to read and to write in, and the locks that keep two runs apart."""

from __future__ import annotations

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
from datastoresync.syncers.sql.dialects import Dialect, dialect_of
from datastoresync.syncers.sql.translate_errors import DATABASE_ERRORS, locked, reason_of, refusal_of

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
        snapshots: The states of it that are held open.
    """

    engine: sa.Engine = attrs.field(repr=False)
    name: str
    secrets: Secrets = attrs.field(default=Secrets(), repr=False)
    foreign_keys: bool = False
    snapshots: WeakSet[Any] = attrs.field(factory=WeakSet, repr=False)

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
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of the database throughout, and is rolled back at the end.

        Raises:
            SyncerError: There is no such database, or it cannot be opened.
        """
        with ExitStack() as stack:
            with self.translated_errors("cannot open"):
                self._require_file()
                connection = stack.enter_context(self.engine.connect())
                self.dialect.begin_reading(connection, lambda last: stack.callback(self._run_last, connection, last))
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
            yield connection
            state.append("committing")
            try:
                transaction.commit()
            except self._errors as error:
                self.dialect.commit_failed(connection)
                raise self._uncommitted(error) from None
            state.append("committed")

    def _begun(self, connection: sa.Connection, stack: ExitStack) -> sa.Transaction:
        """Begin a transaction to write in; what is to be done after it goes on the stack."""
        dialect = self.dialect
        if dialect.writing_isolation:
            connection.execution_options(isolation_level=dialect.writing_isolation)
        if dialect.after_writing:
            stack.callback(self._run_last, connection, dialect.after_writing)
        transaction = stack.enter_context(connection.begin())
        try:
            dialect.begin_writing(connection, foreign_keys=self.foreign_keys)
        except DATABASE_ERRORS as error:
            if not locked(error):
                raise
            raise LockedError(self._busy(self.name)) from None
        return transaction

    def lock(self, connection: sa.Connection, tables: Iterable[str]) -> None:
        """Lock tables against other runs until the transaction ends, without waiting until another run is done.

        PostgreSQL, MySQL and MariaDB free the locks of a process that dies. SQLite was locked as a whole when the
        transaction began; other databases have locks of rows only.

        Raises:
            LockedError: Another run holds one of the locks.
        """
        for table in sorted(set(tables)):
            digest = blake2b(f"datastoresync:{table}".encode(), digest_size=8).digest()
            free = self.dialect.lock(digest, _PATIENCE)
            if free is None:
                return
            with self.translated_errors("cannot lock a table of"):
                locked_now = connection.execute(sa.select(free)).scalar()
            if not locked_now:
                raise LockedError(self._busy(f"table {table!r} of {self.name}"))

    def _run_last(self, connection: sa.Connection, statement: str) -> None:
        """Run a statement outside of any transaction, before a connection goes back to its pool."""
        if connection.invalidated or connection.closed:
            return  # with what is gone, its locks and settings are gone too
        connection.rollback()
        with self.translated_errors("cannot take leave of"):
            connection.exec_driver_sql(statement)
            connection.rollback()

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
    except KeyboardInterrupt:
        if not state:
            raise
        raise CommitInterrupt(committed=state[-1] == "committed") from None
