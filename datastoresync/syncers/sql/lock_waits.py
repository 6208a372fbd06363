"""How long a database is waited for that others have locked, and who they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from typing import Any, Final

import attrs
import sqlalchemy as sa

from datastoresync.syncers.lock_holders import lock_holders, printable, process_text
from datastoresync.syncers.sql.dialects import dialect_of

PATIENCE: Final = 30.0
"""Seconds to wait for other programs, unless told otherwise."""
_HOLDERS = 3
"""How many of those that may hold a lock are named."""


@attrs.frozen
class LockWaits:
    """How long to wait for locks.

    Args:
        timeout: Seconds; None, if nothing was said: then other programs are waited for, but not other runs of ours.
    """

    timeout: float | None = None

    @property
    def seconds(self) -> float:
        """The time to wait for other programs."""
        return PATIENCE if self.timeout is None else self.timeout

    @property
    def seconds_for_runs(self) -> float:
        """The time to wait for another run of ours."""
        return self.timeout or 0

    def limit(self, connection: sa.Connection) -> None:
        """Limit how long a connection waits."""
        dialect_of(connection.dialect).limit_waits(connection, self.seconds, given=self.timeout is not None)


def holders_of(engine: sa.Engine, connection: sa.Connection, tables: Iterable[str]) -> str:
    """Return who holds locks of a database, for a message, as far as it can be found out.

    Args:
        engine: The database.
        connection: The one that waited.
        tables: The full names of the tables that it was about; none, if they are not known.
    """
    dialect = dialect_of(engine.dialect)
    if (file := dialect.file_of(engine.url)) is not None:
        return ", ".join(map(process_text, lock_holders(file, file.with_name(f"{file.name}-shm"))))
    gone = connection.closed or connection.invalidated
    session = 0 if gone else dialect.session_of(connection.connection.dbapi_connection)
    query = dialect.sessions_that_lock(session, list(tables))
    if query is None:
        return ""
    with suppress(Exception):  # who it is may be kept from us; that there is somebody is said in any case
        pool = engine.pool.recreate()  # the one of the engine may have no connection to spare
        try:
            with closing(pool.connect()) as another, closing(another.cursor()) as cursor:
                cursor.execute(*query)
                return _sessions(cursor.fetchall())
        finally:
            pool.dispose()
    return ""


def holder_of(connection: sa.Connection, digest: bytes) -> str:
    """Return who holds a lock of ours, for a message, as far as it can be found out."""
    query = dialect_of(connection.dialect).session_that_runs(digest)
    with suppress(Exception):  # as above
        return "" if query is None else _sessions(connection.exec_driver_sql(*query).fetchall())
    return ""


def _sessions(rows: Sequence[Any]) -> str:
    """Return sessions for a message, those that began first."""
    texts = []
    for number, user, program, state, since in rows[:_HOLDERS]:
        details = [f"user {user}", str(program or ""), str(state or ""), f"since {since}"]
        texts.append(printable(f"session {number} ({', '.join(filter(None, details))})"))
    return ", ".join(texts) + (f", and {len(rows) - _HOLDERS} more" if len(rows) > _HOLDERS else "")
