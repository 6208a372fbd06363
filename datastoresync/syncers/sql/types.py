"""The types of columns: those that a table has, and those that a new one is given.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from importlib import import_module
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.values import MYSQL, WITH_JSON, as_it_is, encode_boolean, parsed

_LARGEST = 2**63
_EXACT = 2.0**53
_BOUNDLESS = ("postgresql", "sqlite")
"""Where a numeric column without a precision takes any number; elsewhere it would round to integers."""
_DIGITS, _SCALE = 38, 18
"""The digits that most other databases take, and how many of them we have them keep behind the point."""
_MYSQL_DIGITS, _MYSQL_SCALE = 65, 30
"""The same in MySQL and MariaDB, which take no more behind the point."""


def stored_type(kind: TypeEngine[Any], dialect: str) -> TypeEngine[Any]:
    """Return the type to read and write a reflected column by.

    In SQLite any column may hold anything, so what does not look like its type is read as it is, rather than refused.
    In MySQL and MariaDB a column that was declared as BOOLEAN is a TINYINT(1). Without a dialect it is the type that
    values are encoded by.
    """
    kind = getattr(kind, "data_type", None) or kind  # a domain is read and written like the type below it
    if isinstance(kind, sa.JSON):
        kind = kind.copy()
        kind.none_as_null = True
    if dialect in MYSQL and isinstance(kind, _mysql().TINYINT) and kind.display_width == 1:
        return _Stored(encode_boolean)
    if dialect in MYSQL and isinstance(kind, sa.Float):
        return _Stored(as_it_is)  # SQLAlchemy would make it a decimal of ten digits
    if dialect not in ("", *_BOUNDLESS) and isinstance(kind, sa.Numeric) and kind.scale in (_SCALE, _MYSQL_SCALE):
        return _Stored(_decode_padded)
    if dialect != "sqlite":
        return _without_length(kind)
    for family, decode in _SQLITE_DECODERS:
        if isinstance(kind, family):
            return _Stored(decode)
    return kind


def column_type(name: str, values: Iterable[Any], dialect: str) -> TypeEngine[Any]:
    """Return the type of a new column that is to hold these values; None fits everywhere.

    Raises:
        SyncerError: No type holds them all.
    """
    present = [value.value if isinstance(value, Enum) else value for value in values if value is not None]
    types = {_family(value) for value in present}
    if types == {int, Decimal} or (types == {int, float} and all(abs(value) <= _EXACT for value in present)):
        types.remove(int)
    if len(types) > 1:
        kinds = " and ".join(sorted(found.__name__ for found in types))
        message = f"column {name!r} would hold {kinds}: give its values one type, or create the table first"
        raise SyncerError(message)
    found = next(iter(types), str)
    zones = {getattr(value, "tzinfo", None) is not None for value in present}
    if len(zones) > 1:
        message = f"column {name!r} would hold {found.__name__} both with and without a time zone: choose one"
        raise SyncerError(message)
    if found is int and dialect != "sqlite" and any(not -_LARGEST <= value < _LARGEST for value in present):
        return _large_integer(dialect)
    kind = _made_type(found, dialect, aware=True in zones)
    if kind is None:
        message = f"column {name!r} would hold {found.__name__}, which has no column type: create the table first"
        raise SyncerError(message)
    return kind


def _mysql() -> Any:
    """Return the types of MySQL, which bring all of its drivers that there are, and few need them."""
    return import_module("sqlalchemy.dialects.mysql")


def _mysql_types(dialect: str) -> dict[type, TypeEngine[Any]]:
    mysql = _mysql()
    return {
        str: mysql.LONGTEXT(charset="utf8mb4", collation=MYSQL[dialect]),
        bytes: mysql.LONGBLOB(),
        Decimal: sa.Numeric(_MYSQL_DIGITS, _MYSQL_SCALE),
        datetime: mysql.DATETIME(fsp=6),
        time: mysql.TIME(fsp=6),
    }


def _made_type(found: type, dialect: str, *, aware: bool) -> TypeEngine[Any] | None:
    if (found is UUID and dialect != "postgresql") or (found is dict and dialect not in WITH_JSON):
        found = str
    made: dict[type, TypeEngine[Any]] = {
        str: sa.Text(),
        bool: sa.Boolean(),
        int: sa.BigInteger(),
        float: sa.Double(),
        Decimal: sa.Numeric() if dialect in _BOUNDLESS else sa.Numeric(_DIGITS, _SCALE),
        date: sa.Date(),
        datetime: sa.DateTime(timezone=aware),
        time: sa.Time(timezone=aware),
        UUID: sa.Uuid(),
        bytes: sa.LargeBinary(),
        dict: sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
    }
    if dialect in MYSQL:
        made |= _mysql_types(dialect)
    return made.get(found)


def _large_integer(dialect: str) -> TypeEngine[Any]:
    if dialect in _BOUNDLESS:
        return sa.Numeric()
    return sa.Numeric(_MYSQL_DIGITS if dialect in MYSQL else _DIGITS, 0)


def _without_length(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return a type that a parameter may be cast to: a cast to a length would cut text short without a word."""
    if isinstance(kind, sa.ARRAY):
        kind = kind.copy()
        kind.item_type = _without_length(kind.item_type)
    elif isinstance(kind, (sa.VARCHAR, sa.CHAR)) and kind.length is not None:
        return sa.VARCHAR() if isinstance(kind, sa.VARCHAR) else sa.String()
    return kind


class _Stored(UserDefinedType[Any]):
    """A column of SQLite whose values were encoded before, and are decoded leniently."""

    cache_ok = True

    def __init__(self, decode: Callable[[Any], Any]) -> None:
        self.decode = decode

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 - inherited
        return self.decode


def _family(value: Any) -> type:
    """Return the type that decides about a new column; a subclass counts as the type above it."""
    families: tuple[tuple[type, ...], ...] = (
        (bool,),
        (int,),
        (float,),
        (datetime,),
        (date,),
        (dict, set, frozenset, list, tuple),
        (str,),
        (Decimal,),
        (time,),
        (UUID,),
        (bytes,),
    )
    return next((family[0] for family in families if isinstance(value, family)), type(value))


def _decode_iso(parse: Callable[[str], Any], value: Any) -> Any:
    return parsed(parse, value) if isinstance(value, str) else value


def _decode_number(value: Any) -> Any:
    if isinstance(value, int):
        return Decimal(value)
    return Decimal(repr(value)) if isinstance(value, float) else value


def _decode_padded(value: Any) -> Any:
    """Take off the zeros that fill up a number to the scale of its column."""
    return Decimal(f"{value:f}".rstrip("0").rstrip(".")) if isinstance(value, Decimal) else value


def _decode_json(value: Any) -> Any:
    return parsed(json.loads, value) if isinstance(value, str) else value


_SQLITE_DECODERS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...] = (
    (sa.Boolean, encode_boolean),
    (sa.DateTime, partial(_decode_iso, datetime.fromisoformat)),
    (sa.Date, partial(_decode_iso, date.fromisoformat)),
    (sa.Time, partial(_decode_iso, time.fromisoformat)),
    (sa.JSON, _decode_json),
    (sa.LargeBinary, as_it_is),
    (sa.Float, as_it_is),  # before Numeric, of which it is a kind up to SQLAlchemy 2.0
    (sa.Numeric, _decode_number),
)
