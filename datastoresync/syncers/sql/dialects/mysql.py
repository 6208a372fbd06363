"""MySQL and MariaDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from importlib import import_module
from math import ceil, isfinite
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.syncers.sql import values
from datastoresync.syncers.sql.dialects.base import VERBS, Dialect, Intervention, Limits, Unique

_DIGITS, _SCALE = 65, 30
"""The digits of a number, and how many of them may be behind the point."""
_PREFIX = 768
"""Characters that a key may have; longer ones are found by their beginnings."""
_YEARS = (1901, 2155)
_FIRST_TIMESTAMP = datetime(1970, 1, 1, 0, 0, 1)  # noqa: DTZ001 - as the column has it
_LONGEST = timedelta(hours=838, minutes=59, seconds=59)
"""That a column of the type TIME holds."""
_ZONES = timedelta(hours=15)
"""More than the time of a session may be away from UTC."""
_SINGLE_BITS, _SINGLE_DIGITS = 24, 6
"""The bits of a number in four bytes, and the digits that are given back of it."""
_TRANSACTIONAL = ("", "InnoDB", "RocksDB", "TokuDB")


_SESSIONS_THAT_LOCK = """
select t.trx_mysql_thread_id, p.user, p.host, p.command, t.trx_started from information_schema.innodb_trx t
join information_schema.processlist p on p.id = t.trx_mysql_thread_id
where t.trx_mysql_thread_id <> %s and t.trx_lock_structs > 0 and coalesce(p.db, database()) = database()
order by t.trx_started
"""
_SESSION_THAT_RUNS = """
select id, user, host, command, now() - interval time second
from information_schema.processlist where id = is_used_lock(%s)
"""


class MySQL(Dialect):
    """MySQL, through PyMySQL if the URL names no driver.

    A time zone's offset is taken off, as there is no type that keeps it.
    """

    driver = "mysql+pymysql"
    encode_text = staticmethod(values.encode_text)
    extra = "mysql"
    misread = ("\r\n", "\r\n")
    collation = "utf8mb4_0900_bin"
    """The collation that ignores neither case nor accents nor blanks at the end."""
    last_timestamp = datetime(2038, 1, 19, 3, 14, 7)  # noqa: DTZ001 - as the column has it
    """The last moment of a column of the type TIMESTAMP, in UTC."""
    has_other_schemas = False
    counts_cascades = False
    reads_indexes = True
    # Rows that were waited for must be seen as they are now, and autocommit would have no transaction.
    writing_isolation = "READ COMMITTED"
    after_writing = "SELECT RELEASE_ALL_LOCKS()"  # these locks are of the connection, which goes back to its pool
    drop_staging = "DROP TEMPORARY TABLE IF EXISTS {name}"
    staging_survives_rollback = True
    staging_columns_need_nulls = True
    takes_timeout = True
    busy = re.compile(r"error (1205|3572)")
    # https://mariadb.com/kb/en/mariadb-error-code-reference/: locks and deadlocks; disk, memory and tables that are
    # full; connections that are refused, killed or lost; a server that shuts down or may only read.
    broken = re.compile(
        r"error (1205|3572|1021|1037|1038|1040|1041|1053|1114|1180|1213|1290|1317|1836|1927|1969|3024"
        r"|2002|2003|2006|2013|2055)"
    )
    constraint = re.compile(r"error (1022|1062|1169|1586|1216|1217|1451|1452|1557|1761|1762)")
    # In single quotes, which a value may itself hold.
    quoted_value = re.compile(
        r"(?<=\bentry )'.*'(?= for key)|(?<=\bvalue: )'.*'(?= for (?:column|function))|(?<=\bvalue: )'.*'",
        re.DOTALL | re.IGNORECASE,
    )

    def speaks(self, dialect: sa.Dialect) -> bool:
        return super().speaks(dialect) and not getattr(dialect, "is_mariadb", False)

    def begin_reading(self, connection: sa.Connection, finally_run: Callable[[str], object]) -> None:
        connection.execution_options(isolation_level="REPEATABLE READ")
        # Of the session, as what makes or drops a table would end a transaction that can only read.
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        finally_run("SET SESSION TRANSACTION READ WRITE")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")

    def begin_writing(self, connection: sa.Connection, *, foreign_keys: bool) -> None:
        # Whatever the server is set to, a value that does not fit is refused and not made to fit.
        connection.exec_driver_sql("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")

    def limit_waits(self, connection: sa.Connection, seconds: float, *, given: bool) -> None:
        limit = max(1, ceil(seconds))
        names = ("innodb_lock_wait_timeout", "lock_wait_timeout")
        settings = ", ".join(f"{name} = {limit}" if given else f"{name} = LEAST(@@{name}, {limit})" for name in names)
        connection.exec_driver_sql(f"SET SESSION {settings}")

    def session_of(self, connection: Any) -> int:
        thread = getattr(connection, "thread_id", None)
        return int(thread()) if callable(thread) else 0

    def sessions_that_lock(self, session: int, tables: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
        return _SESSIONS_THAT_LOCK, (session,)

    def session_that_runs(self, digest: bytes) -> tuple[str, tuple[Any, ...]]:
        return _SESSION_THAT_RUNS, (f"datastoresync:{digest.hex()}",)

    def lock(self, digest: bytes, seconds: int) -> sa.ColumnElement[Any]:
        return sa.func.get_lock(f"datastoresync:{digest.hex()}", seconds)

    def staging_index(self, name: str, columns: Sequence[sa.Column[Any]]) -> sa.Index:
        longest = _PREFIX // len(columns)
        texts = [column for column in columns if "length" in column.info]
        beginnings = {column.name: min(column.info["length"] or longest, longest) for column in texts}
        # Which of the two is asked for depends on the URL, and not on the server.
        options: dict[str, Any] = {f"{kin}_length": beginnings for kin in ("mysql", "mariadb") if beginnings}
        return sa.Index(name, *columns, **options)

    def insertion(self, table: sa.Table, rows: sa.Select[Any], keys: Sequence[str], unique: Unique) -> sa.Insert:
        names = rows.selected_columns.keys()
        rest = {name: column for name, column in rows.selected_columns.items() if name not in keys}
        if not rest or unique != {frozenset(keys)}:  # any other unique index would be taken for the key, too
            return super().insertion(table, rows, keys, unique)
        insert: sa.Insert = _types().insert(table).from_select(names, rows, include_defaults=False)
        return insert.on_duplicate_key_update(rest)  # type: ignore[attr-defined, no-any-return]  # it is MySQL's own

    def column_name(self, name: str) -> str:
        return name.replace("``", "`")  # SQLAlchemy leaves names as they stand in quotes

    def not_transactional(self, inspector: sa.Inspector, table: str, schema: str | None) -> str:
        options = inspector.get_table_options(table, schema)
        engine = str(options.get(f"{inspector.dialect.name}_engine", ""))
        if engine in _TRANSACTIONAL:
            return ""
        return f"{engine}, which cannot take back a part of what was written: ALTER TABLE … ENGINE = InnoDB"

    def interventions(self, connection: sa.Connection, table: sa.Table) -> list[Intervention]:
        rows = connection.execute(
            sa.text(
                "SELECT trigger_name, event_manipulation FROM information_schema.triggers "
                "WHERE event_object_schema = coalesce(:schema, database()) AND event_object_table = :name "
                "UNION ALL SELECT column_name, extra FROM information_schema.columns "
                "WHERE table_schema = coalesce(:schema, database()) AND table_name = :name "
                "AND extra LIKE '%on update%'"
            ),
            {"schema": table.schema, "name": table.name},
        )
        return [
            Intervention(f"trigger {name}", frozenset([what.lower()]))
            if what.lower() in VERBS
            else Intervention(f"ON UPDATE of column {name}", frozenset(["update"]))
            for name, what in rows
        ]

    def written_rows(self, connection: sa.Connection) -> Mapping[tuple[str, str], int]:
        rows = connection.exec_driver_sql(
            "SHOW SESSION STATUS WHERE Variable_name IN ('Handler_write', 'Handler_update', 'Handler_delete')"
        )
        return {("", ""): sum(int(count) for _, count in rows)}

    def updating_keys(self, connection: sa.Connection, table: sa.Table) -> list[tuple[str, str, str, str, str]]:
        rows = connection.execute(
            sa.text(
                "SELECT k.constraint_name, k.table_schema, k.table_name, k.column_name, k.referenced_column_name "
                "FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r "
                "ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name "
                "AND r.table_name = k.table_name WHERE r.update_rule IN ('CASCADE', 'SET NULL') "
                "AND k.referenced_table_schema = coalesce(:schema, database()) AND k.referenced_table_name = :name "
                "ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"
            ),
            {"schema": table.schema, "name": table.name},
        )
        return [(name, schema, child, own, to) for name, schema, child, own, to in rows]

    def column_types(self, *, aware: bool) -> dict[type, TypeEngine[Any]]:
        types = _types()
        return super().column_types(aware=aware) | {
            str: types.LONGTEXT(charset="utf8mb4", collation=self.collation),
            bytes: types.LONGBLOB(),
            Decimal: sa.Numeric(_DIGITS, _SCALE),
            datetime: types.DATETIME(fsp=6),
            time: types.TIME(fsp=6),
            dict: sa.JSON(),
        }

    def large_integer(self) -> TypeEngine[Any]:
        return sa.Numeric(_DIGITS, 0)

    def stored_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any]:
        kind = values.encoded_type(kind)
        if _is_boolean(kind):
            return values.DecodedType(values.decode_boolean, bool)  # it was declared as BOOLEAN
        if isinstance(kind, sa.Float):
            return values.DecodedType(values.as_it_is)  # SQLAlchemy would make it a decimal of ten digits
        if isinstance(kind, sa.Time):
            return values.DecodedType(_decode_time)  # SQLAlchemy would take off whole days
        return super().stored_type(kind)

    def encoders(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        own: dict[type[TypeEngine[Any]], values.Encoder] = {
            _types().YEAR: _encode_year,
            _types().BINARY: partial(_encode_binary, getattr(kind, "length", None) or 1),
        }
        digits = self.second_digits(kind)
        moment = self._moment_encoder(kind)
        return (
            own
            | super().encoders(kind)
            | {
                sa.Float: partial(_encode_real, kind),
                sa.DateTime: partial(values.with_digits, moment, digits),
                sa.Time: partial(_encode_time_without_zone, digits),
            }
        )

    def fitters(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        own: dict[type[TypeEngine[Any]], values.Encoder] = {_types().YEAR: _encode_year}
        cut = values.cut_digits
        return (
            own
            | super().fitters(kind)
            | {
                sa.Float: partial(_fit_real, kind),
                sa.DateTime: partial(cut, self._moment_encoder(kind), self.second_digits(kind)),
                sa.Time: partial(
                    cut, partial(_encode_time_without_zone, values.MICROSECONDS), self.second_digits(kind)
                ),
            }
        )

    def readers(self, kind: TypeEngine[Any], zone: tzinfo | None) -> dict[type[TypeEngine[Any]], values.Encoder]:
        integer = values.decode_boolean if _is_boolean(kind) else values.as_it_is
        return super().readers(kind, zone) | {sa.Float: partial(_read_real, kind), sa.Integer: integer}

    def _moment_encoder(self, kind: TypeEngine[Any]) -> values.Encoder:
        moment = partial(values.without_zone, values.encode_datetime)
        return partial(_encode_timestamp, self.last_timestamp, moment) if isinstance(kind, sa.TIMESTAMP) else moment

    def limits(self, kind: TypeEngine[Any]) -> Limits:
        types = _types()
        if isinstance(kind, (types.YEAR, types.BINARY, types.SET, types.BIT)) or _is_boolean(kind):
            return frozenset(), None
        plain, within = super().limits(kind)
        if isinstance(kind, sa.TIMESTAMP):
            within = partial(_within_timestamp, self.last_timestamp, within)
        return plain, within

    def integer_bounds(self, kind: TypeEngine[Any]) -> tuple[int, int] | None:
        types = _types()
        sizes = ((types.TINYINT, 8), (sa.SmallInteger, 16), (types.MEDIUMINT, 24), (sa.BigInteger, 64))
        bits = next((bits for family, bits in sizes if isinstance(kind, family)), 32)
        return (0, 2**bits - 1) if getattr(kind, "unsigned", False) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def float_types(self, kind: TypeEngine[Any]) -> frozenset[type]:
        return frozenset()

    def second_digits(self, kind: TypeEngine[Any]) -> int:
        return getattr(kind, "fsp", values.MICROSECONDS) or 0


class MariaDB(MySQL):
    """MariaDB, which may also be spoken to as MySQL."""

    driver = "mariadb+pymysql"
    collation = "utf8mb4_nopad_bin"
    # From 11.5 on; an older one, which goes no further than MySQL, refuses later ones itself.
    last_timestamp = datetime(2106, 2, 7, 6, 28, 15)  # noqa: DTZ001 - as above

    def speaks(self, dialect: sa.Dialect) -> bool:
        return bool(getattr(dialect, "is_mariadb", False)) or dialect.name == self.name

    def json_columns(self, connection: sa.Connection, schema: str | None, table: str) -> set[str]:
        rows = connection.execute(
            sa.text(
                "SELECT constraint_name, check_clause FROM information_schema.check_constraints "
                "WHERE constraint_schema = coalesce(:schema, database()) AND table_name = :name"
            ),
            {"schema": schema, "name": table},
        )
        return {name for name, clause in rows if clause == f"json_valid(`{name.replace('`', '``')}`)"}


def _types() -> Any:
    """Return the types of MySQL, which bring all of its drivers that there are, and few need them."""
    return import_module("sqlalchemy.dialects.mysql")


def _is_boolean(kind: TypeEngine[Any]) -> bool:
    """Say whether a column was declared as BOOLEAN."""
    return isinstance(kind, _types().TINYINT) and kind.display_width == 1


def _is_timestamp(last: datetime, moment: datetime) -> bool:
    """Say whether a moment is within the range of TIMESTAMP in some time zone."""
    return _FIRST_TIMESTAMP - _ZONES <= moment <= last + _ZONES


def _within_timestamp(last: datetime, within: Callable[[Sequence[Any]], bool] | None, moments: Sequence[Any]) -> bool:
    """Say whether moments are within the range of TIMESTAMP, and within the other limits of their column."""
    fits = within is None or within(moments)  # first, as it tells whether they have a time zone
    return fits and all(moment is None or _is_timestamp(last, moment) for moment in moments)


def _encode_timestamp(last: datetime, encode: values.Encoder, value: Any) -> Any:
    """Return a moment; raise `UnfitValueError` for one out of the range of TIMESTAMP, whatever the session's zone."""
    moment = encode(value)
    if not _is_timestamp(last, moment):
        message = (
            f"a TIMESTAMP column holds moments from {_FIRST_TIMESTAMP} to {last} in UTC: make it a DATETIME, "
            "which goes further"
        )
        raise values.UnfitValueError(message)
    return moment


def _encode_year(value: Any) -> Any:
    number = values.encode_integer(value)
    if number != 0 and not _YEARS[0] <= number <= _YEARS[1]:
        message = f"the column holds years from {_YEARS[0]} to {_YEARS[1]}"
        raise values.UnfitValueError(message)
    return number


def _encode_binary(length: int, value: Any) -> Any:
    found = values.encode_bytes(value)
    if len(found) > length:
        message = f"it has {len(found)} bytes, and the column holds {length}"
        raise values.UnfitValueError(message)
    return found.ljust(length, b"\0")


def _encode_real(kind: Any, value: Any) -> Any:
    number = _fit_real(kind, value)
    given = values.encode_float(value)
    if _read_real(kind, number) != given:
        message = "the column keeps fewer digits, and would round it"
        raise values.UnfitValueError(message)
    return number


def _fit_real(kind: Any, value: Any) -> Any:
    number = values.encode_float(value)
    if not isfinite(number):
        message = "MySQL and MariaDB hold finite numbers only: make the column text"
        raise values.UnfitValueError(message)
    if kind.scale is not None:
        number = float(values.round_scaled(kind, number))
    if _is_single(kind):
        values.single(number)
    return number


def _read_real(kind: Any, value: Any) -> Any:
    if not _is_single(kind) or kind.scale is not None:
        return value
    return float(f"{values.single(value):.{_SINGLE_DIGITS}g}")


def _is_single(kind: Any) -> bool:
    """Say whether a number has four bytes; of these no more than six digits are given back."""
    digits = None if kind.scale is not None else kind.precision
    return isinstance(kind, _types().FLOAT) and (digits is None or digits <= _SINGLE_BITS)


def _decode_time(value: Any) -> Any:
    """Return the time of day that a column of the type TIME has; what is none, as 25:30 and -00:30, as a timedelta."""
    is_time = isinstance(value, timedelta) and timedelta(0) <= value < timedelta(days=1)
    return values.converted(time, value) if is_time else value


def _encode_time_without_zone(digits: int, value: Any) -> Any:
    if isinstance(value, timedelta):
        if abs(value) > _LONGEST:
            message = "MySQL and MariaDB hold times up to 838:59:59"
            raise values.UnfitValueError(message)
        return values.with_digits(values.encode_timedelta, digits, value)
    moment = values.with_digits(values.encode_time, digits, value)
    if moment.tzinfo is not None:
        message = "MySQL and MariaDB have no time of day with a time zone: make the column text"
        raise values.UnfitValueError(message)
    return moment


DIALECTS = (MySQL("mysql"), MariaDB("mariadb"))
