"""How long a database is waited for that others have locked, and who they are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from datastoresync.syncers.lock_holders import lock_holders, printable, process_text, seconds_of

if TYPE_CHECKING:
    import sqlalchemy

PATIENCE: Final = 30.0
"""Seconds to wait for other programs, unless told otherwise."""
_HOLDERS = 3
"""How many of those that may hold a lock are named."""
_OPTION = re.compile(r"(?<=[?&])timeout=([^&]*)&?")
_LOCKING = re.compile(r"postgres|mysql|mariadb|sqlite", re.IGNORECASE)
"""The databases of which URLs may have our option."""

_QUERIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "postgresql": (
            """select a.pid, a.usename, a.application_name, a.state, date_trunc('second', a.xact_start)
            from pg_stat_activity a
            where a.pid <> %s and a.pid in (select l.pid from pg_locks l
            join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
            where l.granted and l.database = (select oid from pg_database where datname = current_database())
            and l.mode <> 'AccessShareLock' and n.nspname not in ('pg_catalog', 'pg_toast') and {tables})
            order by a.xact_start""",
            """select a.pid, a.usename, a.application_name, a.state, date_trunc('second', a.xact_start)
            from pg_stat_activity a
            where a.pid in (select pid from pg_locks where granted and locktype = 'advisory'
            and classid = %s and objid = %s)""",
        ),
        "mysql": (
            """select t.trx_mysql_thread_id, p.user, p.host, p.command, t.trx_started
            from information_schema.innodb_trx t
            join information_schema.processlist p on p.id = t.trx_mysql_thread_id
            where t.trx_mysql_thread_id <> %s and t.trx_lock_structs > 0 order by t.trx_started""",
            """select id, user, host, command, now() - interval time second
            from information_schema.processlist where id = is_used_lock(%s)""",
        ),
    }
)
"""The sessions that hold locks of tables, and the one that holds a lock of ours, by kind of database."""


@attrs.frozen
class LockWaits:
    """How long to wait for locks.

    Args:
        timeout: Seconds; None, if nothing was said: then other programs are waited for, but not other runs of ours,
            where the two can be told apart.
    """

    timeout: float | None = None

    @property
    def seconds(self) -> float:
        """The time to wait for other programs."""
        return PATIENCE if self.timeout is None else self.timeout

    @property
    def seconds_for_runs(self) -> float:
        """The time to wait for another run of ours, where it is known to be one."""
        return self.timeout or 0

    def limit(self, connection: sqlalchemy.Connection) -> None:
        """Limit how long a connection waits; in PostgreSQL for this transaction."""
        kind = connection.dialect.name
        if kind == "postgresql":
            value = f"'{max(1, round(self.seconds * 1000))}ms'"
            if self.timeout is None:  # what the connection was opened with counts
                value = f"coalesce(nullif(current_setting('lock_timeout'), '0'), {value})"
            connection.exec_driver_sql(f"SELECT set_config('lock_timeout', {value}, true)")
        elif kind in ("mysql", "mariadb"):
            names = ("innodb_lock_wait_timeout", "lock_wait_timeout")
            seconds = max(1, math.ceil(self.seconds))
            least = "LEAST(@@{}, {})" if self.timeout is None else "{1}"
            settings = ", ".join(f"{name} = {least.format(name, seconds)}" for name in names)
            connection.exec_driver_sql(f"SET SESSION {settings}")
        elif kind == "sqlite" and self.timeout is not None:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(self.timeout * 1000)}")

    def holders(self, engine: sqlalchemy.Engine, own: Any, tables: Iterable[str], file: Path | None) -> str:
        """Return who holds locks, for a message, as far as it can be found out.

        Args:
            engine: The database.
            own: The connection that waited, as the driver has it.
            tables: The full names of the tables that it has to do with; none, if they are not known.
            file: The file that the database is, if it is one.
        """
        if file is not None:
            return ", ".join(map(process_text, lock_holders(file, file.with_name(f"{file.name}-shm"))))
        kind = _kind(engine)
        if kind not in _QUERIES:
            return ""
        query = _QUERIES[kind][0]
        names: list[Any] = list(tables)
        if kind == "postgresql":
            several = f"n.nspname || '.' || c.relname in ({', '.join(['%s'] * len(names))})" if names else "true"
            query = query.replace("{tables}", several)
        parameters = [_session(own), *(names if kind == "postgresql" else ())]
        try:
            pool = engine.pool.recreate()  # the one of the engine may have no connection to spare
            try:
                with closing(pool.connect()) as connection, closing(connection.cursor()) as cursor:
                    cursor.execute(query, parameters)
                    return _sessions(cursor.fetchall())
            finally:
                pool.dispose()
        except Exception:  # noqa: BLE001 - who it is may be kept from us; that there is somebody is said in any case
            return ""

    def holder(self, connection: sqlalchemy.Connection, digest: bytes) -> str:
        """Return the session that holds a lock of ours, for a message, as far as it can be found out."""
        kind = _kind(connection.engine)
        if kind not in _QUERIES:
            return ""
        number = int.from_bytes(digest)
        parameters: Sequence[Any] = (number >> 32, number & 0xFFFFFFFF)
        if kind == "mysql":
            parameters = (f"datastoresync:{digest.hex()}",)
        try:
            return _sessions(connection.exec_driver_sql(_QUERIES[kind][1], tuple(parameters)).fetchall())
        except Exception:  # noqa: BLE001 - as above
            return ""


def waiting(url_or_engine: Any, options: Mapping[str, Any], timeout: Any) -> tuple[Any, Mapping[str, Any], LockWaits]:
    """Return what to open and with which options, and how long to wait: as the URL says, or an argument.

    Args:
        url_or_engine: The URL or the engine.
        options: For ``sqlalchemy.create_engine``.
        timeout: Seconds, if they are given as an argument.

    Raises:
        DeclarationError: The timeout is no number of seconds.
    """
    text = url_or_engine if isinstance(url_or_engine, str) else str(getattr(url_or_engine, "drivername", ""))
    is_sqlite = text.lower().startswith("sqlite")
    arguments: Mapping[str, Any] = options.get("connect_args", {})
    if isinstance(url_or_engine, str) and _LOCKING.match(text) and (found := _OPTION.search(text)):
        timeout = found[1] if timeout is None else timeout
        url_or_engine = (text[: found.start()] + text[found.end() :]).rstrip("?&")
    elif _LOCKING.match(text) and "timeout" in getattr(url_or_engine, "query", ()):
        timeout = url_or_engine.query["timeout"] if timeout is None else timeout
        url_or_engine = url_or_engine.difference_update_query(["timeout"])
    elif is_sqlite and timeout is None:
        timeout = arguments.get("timeout")
    waits = LockWaits(None if timeout is None else seconds_of(timeout, PATIENCE))
    if is_sqlite and text.partition(":")[0] in ("sqlite", "sqlite+pysqlite"):
        options = {**options, "connect_args": {"timeout": waits.seconds, **arguments}}
    return url_or_engine, options, waits


def _kind(engine: sqlalchemy.Engine) -> str:
    return "mysql" if engine.dialect.name == "mariadb" else engine.dialect.name


def _session(connection: Any) -> int:
    """Return the number of the session of a driver's connection, as its server counts them; 0 if it is not known."""
    found = getattr(getattr(connection, "info", None), "backend_pid", None)
    if found is None and callable(thread := getattr(connection, "thread_id", None)):
        found = thread()
    return int(found or 0)


def _sessions(rows: Sequence[Any]) -> str:
    """Return sessions for a message, those that began first."""
    texts = []
    for number, user, program, state, since in rows[:_HOLDERS]:
        details = [f"user {user}", f"{program}" if program else "", f"{state}" if state else "", f"since {since}"]
        texts.append(printable(f"session {number} ({', '.join(filter(None, details))})"))
    return ", ".join(texts) + (f", and {len(rows) - _HOLDERS} more" if len(rows) > _HOLDERS else "")
