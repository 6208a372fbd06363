"""MySQL and MariaDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib import import_module
from math import isfinite
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.syncers.sql import values
from datastoresync.syncers.sql.dialects.base import Dialect, Intervention, Unique

_DIGITS, _SCALE = 65, 30
"""The digits of a number, and how many of them may be behind the point."""
_PREFIX = 768
"""Characters that a key may have; longer ones are found by their beginnings."""
_TRANSACTIONAL = ("", "InnoDB", "RocksDB", "TokuDB")


class MySQL(Dialect):
    """MySQL, through PyMySQL if the URL names no driver.

    A time zone's offset is taken off, as there is no type that keeps it.
    """

    driver = "mysql+pymysql"
    extra = "mysql"
    misread = ("\r\n", "\r\n")
    collation = "utf8mb4_0900_bin"
    """The collation that ignores neither case nor accents nor blanks at the end."""
    has_other_schemas = False
    reads_indexes = True
    # Rows that were waited for must be seen as they are now, and autocommit would have no transaction.
    writing_isolation = "READ COMMITTED"
    after_writing = "SELECT RELEASE_ALL_LOCKS()"  # these locks are of the connection, which goes back to its pool
    drop_staging = "DROP TEMPORARY TABLE IF EXISTS {name}"
    staging_survives_rollback = True
    staging_columns_need_nulls = True
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
                "WHERE event_object_schema = coalesce(:schema, database()) AND event_object_table = :name"
            ),
            {"schema": table.schema, "name": table.name},
        )
        return [Intervention(f"trigger {name}", frozenset([verb.lower()])) for name, verb in rows]

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
        if isinstance(kind, _types().TINYINT) and kind.display_width == 1:
            return values.DecodedType(values.encode_boolean)  # it was declared as BOOLEAN
        if isinstance(kind, sa.Float):
            return values.DecodedType(values.as_it_is)  # SQLAlchemy would make it a decimal of ten digits
        return super().stored_type(kind)

    def encoders(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        return super().encoders(kind) | {
            sa.String: values.encode_text,
            sa.Float: _encode_finite,
            sa.DateTime: _encode_datetime_without_zone,
            sa.Time: _encode_time_without_zone,
        }


class MariaDB(MySQL):
    """MariaDB, which may also be spoken to as MySQL."""

    driver = "mariadb+pymysql"
    collation = "utf8mb4_nopad_bin"

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


def _encode_finite(value: Any) -> Any:
    number = values.encode_float(value)
    if isinstance(number, float) and not isfinite(number):
        message = "MySQL and MariaDB hold finite numbers only: make the column text"
        raise values.UnfitValueError(message)
    return number


def _encode_datetime_without_zone(value: Any) -> Any:
    moment = values.encode_datetime(value)
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    return moment


def _encode_time_without_zone(value: Any) -> Any:
    if isinstance(value, time) and value.tzinfo is not None:
        message = "MySQL and MariaDB have no time of day with a time zone: make the column text"
        raise values.UnfitValueError(message)
    return value


DIALECTS = (MySQL("mysql"), MariaDB("mariadb"))
