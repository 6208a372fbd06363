"""SQLite."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import partial
from itertools import groupby
from math import isfinite, isnan
from operator import itemgetter
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.syncers.lock_holders import is_marked
from datastoresync.syncers.sql import values
from datastoresync.syncers.sql.column_forms import ColumnForm
from datastoresync.syncers.sql.dialects.base import VERBS, WAITS_FOR_RUNS, Dialect, Intervention, Limits

_DIGITS = 400
"""Digits of a text that are surely more than an integer has."""
_HEADER = re.compile(r"\b(?:INSERT|DELETE|UPDATE)\b(?=.*?\bON\b)", re.IGNORECASE | re.DOTALL)
"""The first such word in the text of a trigger that does not bear it as its name."""
_ON_CONFLICT = re.compile(
    r"(?:\bUNIQUE|\bKEY(?:\s+(?:ASC|DESC))?)\s*(?:\([^()]*\)\s*)?ON\s+CONFLICT\s+(?!ABORT\b)", re.IGNORECASE
)
"""In the text of a table, a unique constraint at which another row is replaced, say."""
_URL_OPTIONS = ("isolation_level", "detect_types", "check_same_thread", "cached_statements", "uri")
_STEP = 0.01
"""Seconds between two attempts to begin."""


# What a foreign key refers to is the primary key, if it names nothing.
_FOREIGN_KEYS = """
SELECT t.name, f.id, p.name, f.on_delete, f."from", coalesce(f."to", k.name)
FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f
JOIN sqlite_master p ON p.type = 'table' AND lower(p.name) = lower(f."table")
LEFT JOIN pragma_table_info(p.name) k ON k.pk = f.seq + 1
WHERE t.type = 'table' ORDER BY t.name, f.id, f.seq
"""


class SQLite(Dialect):
    """SQLite, in which any column may hold anything.

    A date is its ISO text, a UUID its text, and a decimal a number. What does not look like the type of its column is
    read as it is, rather than refused.
    """

    example = "sqlite:///file.db"
    looks_for_violations = True
    makes_tables_in_transactions = True
    pads_characters = False
    folds_names = True
    numbers_keys = True
    counts_always = True
    compares_as_referred = True
    # The driver begins transactions late and without savepoints; in this mode it leaves them to us.
    writing_isolation = "AUTOCOMMIT"
    drop_staging = "DROP TABLE IF EXISTS temp.{name}"
    takes_timeout = True
    # https://www.sqlite.org/rescode.html
    busy = re.compile(r"SQLITE_(BUSY|LOCKED).*")
    broken = re.compile(r"SQLITE_(BUSY|LOCKED|CANTOPEN|CORRUPT|FULL|IOERR|NOMEM|NOTADB|READONLY).*")
    # ON DELETE RESTRICT is a trigger of SQLite's own.
    constraint = re.compile("SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY|ROWID|FOREIGNKEY|TRIGGER)")
    ways_on = MappingProxyType(
        {
            "SQLITE_(READONLY|CANTOPEN)": "check that its folder is there, and who may write to it and to the file",
            "SQLITE_FULL": "make room on its disk",
            "Invalid SQLite URL": "write three slashes before the path, as in sqlite:///file.db",
        }
    )
    state_attribute = "sqlite_errorname"
    writes_json_text = True

    def heeds_foreign_keys(self, connection: sa.Connection) -> bool:
        return bool(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())

    def foreign_keys(self, connection: sa.Connection) -> Iterator[tuple[str, Sequence[str], str, Sequence[str], str]]:
        # Asked for one by one: from a declaration without columns, SQLAlchemy does not read what ON DELETE says.
        rows = connection.exec_driver_sql(_FOREIGN_KEYS).all()
        for (table, _, parent, rule), parts in groupby(rows, key=itemgetter(0, 1, 2, 3)):
            own, referred = zip(*map(itemgetter(4, 5), parts), strict=True)
            if None not in referred:
                yield f"main.{table}", own, f"main.{parent}", referred, rule

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
            file = self.file_of(connection.engine.url)
            if file is not None and not connection.info.get(WAITS_FOR_RUNS) and is_marked(file):
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

    def limit_waits(self, connection: sa.Connection, seconds: float, *, given: bool) -> None:
        if given:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def url_options(self, url: sa.URL) -> Sequence[str]:
        return () if "uri" in url.query or "+" in url.drivername else _URL_OPTIONS

    def engine_options(self, options: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        return {**options, "connect_args": {"timeout": seconds, **options.get("connect_args", {})}}

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

    def refusing(self, connection: sa.Connection, statement: Any) -> Any:
        schema = connection.dialect.identifier_preparer.quote(statement.table.schema or "main")
        declared = f"SELECT sql FROM {schema}.sqlite_master WHERE type = 'table' AND lower(name) = lower(?)"  # noqa: S608 - the name is quoted
        sql = connection.exec_driver_sql(declared, (statement.table.name,)).scalar()
        # Only then, as it goes for the statements of triggers, too.
        return statement.prefix_with("OR ABORT") if sql and _ON_CONFLICT.search(sql) else statement

    def unique_expressions(self, connection: sa.Connection, schema: str | None, table: str) -> Sequence[str]:
        preparer = connection.dialect.identifier_preparer
        master = f"{preparer.quote(schema)}.sqlite_master" if schema else "sqlite_master"
        statement = f"SELECT sql FROM {master} WHERE type = 'index' AND tbl_name = :name AND sql LIKE 'CREATE UNIQUE%'"  # noqa: S608 - the name is quoted
        return list(connection.scalars(sa.text(statement), {"name": table}))

    def written_rows(self, connection: sa.Connection) -> Mapping[tuple[str, str], int]:
        return {("", ""): connection.exec_driver_sql("SELECT total_changes()").scalar_one()}

    def column_types(self, *, aware: bool) -> dict[type, TypeEngine[Any]]:
        return super().column_types(aware=aware) | {Decimal: sa.Numeric(), dict: sa.JSON()}

    def large_integer(self) -> TypeEngine[Any]:
        return sa.BigInteger()  # its encoder refuses what is larger

    def stored_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any]:
        kind = values.encoded_type(kind)
        decode = next((decode for family, decode in _DECODERS if isinstance(kind, family)), None)
        return kind if decode is None else values.DecodedType(decode, kind.python_type)

    def encoder(self, kind: TypeEngine[Any], zone: tzinfo | None = None) -> ColumnForm:
        form = super().encoder(kind, zone)
        affinity = next((change for family, change in _AFFINITIES if isinstance(kind, family)), values.as_it_is)
        exact, fitted = (partial(_stored, affinity, encode) for encode in (form.exact, form.fitted))
        return attrs.evolve(form, exact=exact, fitted=fitted)

    def encoders(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        as_hex = isinstance(kind, sa.String) and kind.length == values.HEX_LENGTH
        return {
            sa.JSON: values.encode_json_text,
            sa.String: _encode_hex if as_hex else _encode_text,
            sa.Boolean: values.encode_boolean,
            sa.Integer: _encode_integer,
            sa.Float: _encode_float,  # before Numeric, of which it is a kind up to SQLAlchemy 2.0
            sa.Numeric: _encode_decimal,
            sa.DateTime: _encode_datetime,
            sa.Date: _encode_date,
            sa.Time: _encode_time,
            TypeEngine: _encode_untyped,
        }

    def fitters(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        return {sa.Float: _fit_float, sa.Numeric: _fit_decimal, sa.Date: _fit_date}

    def readers(self, kind: TypeEngine[Any], zone: tzinfo | None) -> dict[type[TypeEngine[Any]], values.Encoder]:
        return dict(_DECODERS)

    def limits(self, kind: TypeEngine[Any]) -> Limits:
        if isinstance(kind, (sa.String, sa.LargeBinary)):
            return frozenset({str if isinstance(kind, sa.String) else bytes}), None  # of any length
        if isinstance(kind, sa.Integer):
            return super().limits(kind)
        return frozenset(), None

    def integer_bounds(self, kind: TypeEngine[Any]) -> tuple[int, int]:
        return -values.LARGEST, values.LARGEST - 1

    def loaded(self, kind: TypeEngine[Any], value: Any, dialect: sa.Dialect) -> Any:
        decode = self.stored_type(kind).result_processor(dialect, None)
        return value if decode is None else decode(value)


def _verbs(name: str, sql: str) -> frozenset[str]:
    """Return when a trigger runs, by its text; always, if that is not clear."""
    found = _HEADER.search(sql.replace(name, "", 1))
    return frozenset(VERBS if found is None else [found[0].lower()])


def _in_transaction(connection: sa.Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))


def _stored(affinity: values.Encoder, encode: values.Encoder, value: Any) -> Any:
    """Return what is stored: a text that does not say what its column is for is stored as the text that it is."""
    try:
        return affinity(encode(value))
    except _UnreadableTextError:
        return affinity(value)


class _UnreadableTextError(values.UnfitValueError):
    pass


def _converted(encode: values.Encoder, value: Any) -> Any:
    try:
        return encode(value)
    except values.UnfitValueError as error:
        if isinstance(value, str):
            raise _UnreadableTextError(*error.args) from None
        raise


def _encode_text(value: Any) -> Any:
    return value if isinstance(value, bytes) else values.encode_text(value)


def _encode_hex(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) else _encode_text(value)


def _encode_integer(value: Any) -> Any:
    if not isinstance(value, (str, int, float, Decimal)):
        return _encode_untyped(value)
    whole = not isinstance(value, (float, Decimal)) or (isfinite(value) and value == int(value))
    number = _converted(values.encode_integer, value) if whole else value
    if isinstance(number, int) and not -values.LARGEST <= number < values.LARGEST:
        message = "an integer of SQLite has 64 bits: make the column TEXT"
        raise values.UnfitValueError(message)
    return _encode_float(number) if isinstance(number, Decimal) else _encode_untyped(number)


def _encode_float(value: Any) -> Any:
    if isinstance(value, Decimal):
        if value.is_finite() and Decimal(repr(float(value))) == value:
            return float(value)
        message = "a number of SQLite has some 15 digits: make the column TEXT"
        raise values.UnfitValueError(message)
    return _encode_untyped(_converted(values.encode_float, value) if isinstance(value, (int, str)) else value)


def _fit_float(value: Any) -> Any:
    return _encode_untyped(_converted(values.encode_float, value) if isinstance(value, (int, str, Decimal)) else value)


def _encode_decimal(value: Any) -> Any:
    if not isinstance(value, (str, int, float, Decimal)):
        return _encode_untyped(value)
    number = _converted(values.encode_decimal, value)
    if not isinstance(number, Decimal):
        return _encode_integer(number)
    if number.is_finite() and number == number.to_integral_value() and abs(number) < values.LARGEST:
        return int(number)
    if number.is_finite() and Decimal(repr(float(number))) == number:
        return float(number)
    message = "a numeric column of SQLite holds finite numbers of some 15 digits: make the column TEXT"
    raise values.UnfitValueError(message)


def _fit_decimal(value: Any) -> Any:
    try:
        return _encode_decimal(value)
    except _UnreadableTextError:
        raise
    except values.UnfitValueError:
        return _fit_float(value)


def _encode_datetime(value: Any) -> Any:
    moment = _converted(values.encode_datetime, value)
    return moment.isoformat(" ", "microseconds") if isinstance(moment, datetime) else moment


def _encode_date(value: Any) -> Any:
    return _converted(values.encode_date, value).isoformat()


def _fit_date(value: Any) -> Any:
    return _converted(values.cut_date, value).isoformat()


def _encode_time(value: Any) -> Any:
    return _converted(values.encode_time, value).isoformat("microseconds")


def _encode_untyped(value: Any) -> Any:
    if isinstance(value, float) and isnan(value):
        message = "SQLite cannot hold NaN, and would store NULL in its place"
        raise values.UnfitValueError(message)
    if isinstance(value, int) and not -values.LARGEST <= value < values.LARGEST:
        message = "an integer of SQLite has 64 bits: make the column TEXT"
        raise values.UnfitValueError(message)
    if isinstance(value, (str, int, float, bytes)):
        return value
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return values.encode_bytes(value)


# --- what SQLite makes of a value for the sake of its column: https://www.sqlite.org/datatype3.html ----------------

_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?(?:\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)[ \t\n\v\f\r]*", re.ASCII)


def _as_number(value: Any) -> Any:
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value)):
        integer = found[1].lstrip("+-").isdigit()
        value = int(found[1]) if integer and len(found[1]) < _DIGITS else float(found[1])
        if isinstance(value, int) and not -values.LARGEST <= value < values.LARGEST:
            value = float(value)
    if isinstance(value, float) and abs(value) < values.LARGEST and value.is_integer():
        return int(value)
    return value


def _as_real(value: Any) -> Any:
    number = _as_number(value)
    return float(number) if isinstance(number, int) else number


def _decode_text(parse: Callable[[str], Any], value: Any) -> Any:
    return values.parsed(parse, value) if isinstance(value, str) else value


def _decode_number(value: Any) -> Any:
    if isinstance(value, int):
        return Decimal(value)
    return Decimal(repr(value)) if isinstance(value, float) else value


_DECODERS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...] = (
    (sa.Boolean, values.decode_boolean),
    (sa.DateTime, partial(_decode_text, datetime.fromisoformat)),
    (sa.Date, partial(_decode_text, date.fromisoformat)),
    (sa.Time, partial(_decode_text, time.fromisoformat)),
    (sa.JSON, partial(_decode_text, json.loads)),
    (sa.LargeBinary, values.as_it_is),
    (sa.Float, values.as_it_is),  # before Numeric, of which it is a kind up to SQLAlchemy 2.0
    (sa.Numeric, _decode_number),
)

_AFFINITIES: tuple[tuple[type[TypeEngine[Any]], values.Encoder], ...] = (
    (sa.String, values.as_it_is),
    (sa.LargeBinary, values.as_it_is),
    (sa.types.NullType, values.as_it_is),
    (sa.Float, _as_real),
    (TypeEngine, _as_number),
)

DIALECTS = (SQLite("sqlite"),)
