"""SQLite."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from math import isnan
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.syncers.sql import values
from datastoresync.syncers.sql.dialects.base import VERBS, Dialect, Intervention

_HEX_LENGTH = 32
_HEADER = re.compile(r"\b(?:INSERT|DELETE|UPDATE)\b(?=.*?\bON\b)", re.IGNORECASE | re.DOTALL)
"""The first such word in the text of a trigger that does not bear it as its name."""
_STEP = 0.01
"""Seconds between two attempts to begin."""


class SQLite(Dialect):
    """SQLite, in which any column may hold anything.

    A date is its ISO text, a UUID its text, and a decimal a number. What does not look like the type of its column is
    read as it is, rather than refused.
    """

    example = "sqlite:///file.db"
    looks_for_violations = True
    makes_tables_in_transactions = True
    pads_characters = False
    numbers_keys = True
    # The driver begins transactions late and without savepoints; in this mode it leaves them to us.
    writing_isolation = "AUTOCOMMIT"
    drop_staging = "DROP TABLE IF EXISTS temp.{name}"
    # https://www.sqlite.org/rescode.html
    busy = re.compile(r"SQLITE_(BUSY|LOCKED).*")
    broken = re.compile(r"SQLITE_(BUSY|LOCKED|CANTOPEN|CORRUPT|FULL|IOERR|NOMEM|NOTADB|READONLY).*")
    # ON DELETE RESTRICT is a trigger of SQLite's own.
    constraint = re.compile("SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY|ROWID|FOREIGNKEY|TRIGGER)")
    state_attribute = "sqlite_errorname"
    plain: Mapping[type[TypeEngine[Any]], frozenset[type]] = MappingProxyType(
        {sa.String: frozenset({str}), sa.LargeBinary: frozenset({bytes})}
    )

    def file_of(self, url: sa.URL) -> Path | None:
        path = url.database
        return Path(str(path)) if path and path != ":memory:" and not path.startswith("file:") else None

    def begin_reading(self, connection: sa.Connection, finally_run: Callable[[str], object]) -> None:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.begin()
        # An engine may be set up to begin by itself; all connections to a database in memory are one.
        if not _in_transaction(connection):
            connection.exec_driver_sql("BEGIN")

    def begin_writing(self, connection: sa.Connection, *, foreign_keys: bool) -> None:
        if _in_transaction(connection):
            connection.exec_driver_sql("ROLLBACK")  # an engine may be set up to begin by itself, but without the lock
        if foreign_keys:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        patience = int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar() or 0)
        until = monotonic() + patience / 1000
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            while not self._began(connection, until):  # not in the driver, so that Ctrl-C comes through
                sleep(_STEP)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")

    def _began(self, connection: sa.Connection, until: float) -> bool:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except sa.exc.OperationalError as error:
            state = getattr(error.orig, self.state_attribute, "")
            if not self.busy.fullmatch(state) or monotonic() >= until:
                raise
            return False
        return True

    def has_deferred(self, connection: sa.Connection) -> bool:
        statement = "SELECT EXISTS (SELECT * FROM sqlite_master WHERE sql LIKE '%INITIALLY DEFERRED%')"
        return self._checks_foreign_keys(connection) and bool(connection.scalar(sa.text(statement)))

    def begin_deferring(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")

    def end_deferring(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = OFF")

    def violations(self, connection: sa.Connection) -> Counter[Any]:
        if not self._checks_foreign_keys(connection):
            return Counter()
        with suppress(sa.exc.OperationalError):  # of a foreign key to what is no key
            return Counter(map(tuple, connection.exec_driver_sql("PRAGMA foreign_key_check")))
        return Counter()

    def _checks_foreign_keys(self, connection: sa.Connection) -> bool:
        return bool(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())

    def commit_failed(self, connection: sa.Connection) -> None:
        if _in_transaction(connection):
            connection.connection.rollback()  # or the next user of the connection would commit it

    def staging_index(self, name: str, columns: Sequence[sa.Column[Any]]) -> sa.Index:
        return sa.Index(name, *columns)

    def interventions(self, connection: sa.Connection, table: sa.Table) -> list[Intervention]:
        schema = connection.dialect.identifier_preparer.quote(table.schema or "main")
        statement = (
            f"SELECT name, sql FROM {schema}.sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?)"  # noqa: S608 - the name is quoted
        )
        rows = connection.exec_driver_sql(statement, (table.name,))
        return [Intervention(f"trigger {name}", _verbs(name, sql)) for name, sql in rows]

    def unique_expressions(self, connection: sa.Connection, schema: str | None, table: str) -> Sequence[str]:
        preparer = connection.dialect.identifier_preparer
        master = f"{preparer.quote(schema)}.sqlite_master" if schema else "sqlite_master"
        statement = f"SELECT sql FROM {master} WHERE type = 'index' AND tbl_name = :name AND sql LIKE 'CREATE UNIQUE%'"  # noqa: S608 - the name is quoted
        return list(connection.scalars(sa.text(statement), {"name": table}))

    def column_types(self, *, aware: bool) -> dict[type, TypeEngine[Any]]:
        return super().column_types(aware=aware) | {Decimal: sa.Numeric(), dict: sa.JSON()}

    def large_integer(self) -> TypeEngine[Any]:
        return sa.BigInteger()  # its encoder refuses what is larger

    def stored_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any]:
        kind = values.encoded_type(kind)
        return next((values.DecodedType(decode) for family, decode in _DECODERS if isinstance(kind, family)), kind)

    def encoders(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        as_hex = isinstance(kind, sa.String) and kind.length == _HEX_LENGTH
        return {
            sa.JSON: values.encode_json_text,
            sa.String: _encode_hex if as_hex else values.encode_text,
            sa.Boolean: values.encode_boolean,
            sa.Integer: _encode_integer,
            sa.Float: _encode_number,  # before Numeric, of which it is a kind up to SQLAlchemy 2.0
            sa.Numeric: _encode_decimal,
            sa.DateTime: _encode_datetime,
            sa.Date: _encode_date,
            sa.Time: _encode_time,
            sa.Uuid: values.encode_uuid,
            TypeEngine: _encode_untyped,
        }

    def loaded(self, kind: TypeEngine[Any], value: Any, dialect: sa.Dialect) -> Any:
        decode = self.stored_type(kind).result_processor(dialect, None)
        return value if decode is None else decode(value)


def _verbs(name: str, sql: str) -> frozenset[str]:
    """Return when a trigger runs, by its text; always, if that is not clear."""
    found = _HEADER.search(sql.replace(name, "", 1))
    return frozenset(VERBS if found is None else [found[0].lower()])


def _in_transaction(connection: sa.Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))


def _encode_hex(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) else values.encode_text(value)


def _encode_integer(value: Any) -> Any:
    number = values.encode_integer(value)
    if isinstance(number, int) and not -values.LARGEST <= number < values.LARGEST:
        message = "an integer of SQLite has 64 bits: make the column TEXT"
        raise values.UnfitValueError(message)
    return _encode_number(number)


def _encode_number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else _encode_untyped(value)


def _encode_decimal(value: Any) -> Any:
    number = values.encode_decimal(value)
    if not isinstance(number, Decimal):
        return _encode_integer(number)
    if number.is_finite() and number == number.to_integral_value() and abs(number) < values.LARGEST:
        return int(number)
    if number.is_finite() and Decimal(repr(float(number))) == number:
        return float(number)
    message = "a numeric column of SQLite holds finite numbers of some 15 digits: make the column TEXT"
    raise values.UnfitValueError(message)


def _encode_datetime(value: Any) -> Any:
    moment = values.encode_datetime(value)
    return moment.isoformat(" ", "microseconds") if isinstance(moment, datetime) else moment


def _encode_date(value: Any) -> Any:
    day = values.encode_date(value)
    return day.isoformat() if isinstance(day, date) else day


def _encode_time(value: Any) -> Any:
    return value.isoformat("microseconds") if isinstance(value, time) else value


def _encode_untyped(value: Any) -> Any:
    if isinstance(value, float) and isnan(value):
        message = "SQLite cannot hold NaN, and would store NULL in its place"
        raise values.UnfitValueError(message)
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    return value.isoformat() if isinstance(value, (date, time)) else value


def _decode_text(parse: Callable[[str], Any], value: Any) -> Any:
    return values.parsed(parse, value) if isinstance(value, str) else value


def _decode_number(value: Any) -> Any:
    if isinstance(value, int):
        return Decimal(value)
    return Decimal(repr(value)) if isinstance(value, float) else value


_DECODERS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...] = (
    (sa.Boolean, values.encode_boolean),
    (sa.DateTime, partial(_decode_text, datetime.fromisoformat)),
    (sa.Date, partial(_decode_text, date.fromisoformat)),
    (sa.Time, partial(_decode_text, time.fromisoformat)),
    (sa.JSON, partial(_decode_text, json.loads)),
    (sa.LargeBinary, values.as_it_is),
    (sa.Float, values.as_it_is),  # before Numeric, of which it is a kind up to SQLAlchemy 2.0
    (sa.Numeric, _decode_number),
)

DIALECTS = (SQLite("sqlite"),)
