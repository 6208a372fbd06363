"""Python values on their way into the columns of a database.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import partial
from math import isfinite, isnan
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.syncers.sql.errors import UnfitValueError

MYSQL: Final[Mapping[str, str]] = MappingProxyType(
    {"mysql": "utf8mb4_0900_bin", "mariadb": "utf8mb4_nopad_bin"},
)
"""The kin of MySQL, each with its collation that ignores neither case nor accents nor blanks at the end."""
WITH_JSON = ("postgresql", "sqlite", *MYSQL)
"""Where lists and dictionaries have a type of their own; elsewhere they become JSON in a text."""

Encoder = Callable[[Any], Any]
"""Makes a Python value one that a column takes, or raises `UnfitValueError`. It maps equal keys to equal values."""

_HEX_LENGTH = 32
_LARGEST = 2**63


def encoder(kind: TypeEngine[Any], dialect: str) -> Encoder:
    """Return what makes Python values fit for a column of this type.

    An enum member becomes its value, or the label of an enum column; a set becomes a sorted list, for array and JSON
    columns. In SQLite a date is its ISO text, a UUID its text, and a decimal a number. In MySQL and MariaDB a time
    zone's offset is taken off, as they have no type that keeps it.
    """
    encode_value = _encode_value(kind, dialect)
    labels = isinstance(kind, sa.Enum)
    families = _PLAIN if dialect == "postgresql" else _PLAIN_IN_SQLITE if dialect == "sqlite" else _PLAIN_ELSEWHERE
    # Almost all values are of these types, and need no more than this look at them.
    own = next((family for family, _ in families if isinstance(kind, family)), None)
    plain = {type(None), *(found for family, found in families if family is own)}

    def encode(value: Any) -> Any:
        if type(value) in plain:
            return value
        return encode_value(value.value if isinstance(value, Enum) and not labels else value)

    vars(encode)["plain"] = frozenset(plain)
    return encode


def left_alone(encode: Encoder) -> frozenset[type]:
    """Return the types whose values an encoder surely leaves as they are."""
    found: frozenset[type] = getattr(encode, "plain", frozenset())
    return found


def _encode_value(kind: TypeEngine[Any], dialect: str) -> Encoder:
    sqlite = dialect == "sqlite"
    if isinstance(kind, sa.Enum):
        return partial(_encode_label, frozenset(kind.enums))
    if isinstance(kind, sa.ARRAY):
        return partial(_encode_array, encoder(kind.item_type, dialect))
    if isinstance(kind, sa.JSON):
        return encode_json_text if sqlite else _encode_json
    if isinstance(kind, sa.String):
        text = partial(_encode_text, sqlite and kind.length == _HEX_LENGTH)
        return text if dialect in WITH_JSON else partial(_encode_text_or_json, text)
    strict = dialect not in ("sqlite", "postgresql")
    families: tuple[tuple[type[TypeEngine[Any]], Encoder, Encoder], ...] = (
        (sa.Boolean, encode_boolean, encode_boolean),
        (sa.Integer, _encode_integer, _encode_small_integer),
        (sa.Float, _encode_finite if dialect in MYSQL else _encode_float, _encode_number),
        (sa.Numeric, partial(_encode_scaled, kind) if strict else _encode_decimal, _encode_small_decimal),
        (sa.DateTime, _encode_moment_without_zone if dialect in MYSQL else _encode_datetime, _encode_datetime_text),
        (sa.Date, _encode_date, _encode_date_text),
        (sa.Time, _encode_time_without_zone if dialect in MYSQL else as_it_is, _encode_time_text),
        (sa.Uuid, _encode_uuid, _encode_uuid),
    )
    for family, elsewhere, in_sqlite in families:
        if isinstance(kind, family):
            return in_sqlite if sqlite else elsewhere
    return _encode_untyped if sqlite else as_it_is


def as_it_is(value: Any) -> Any:
    """Return the value."""
    return value


def _encode_label(labels: frozenset[str], value: Any) -> Any:
    if not isinstance(value, Enum):
        return value
    return value.value if value.value in labels else value.name


def _sorted(value: Any) -> Any:
    if not isinstance(value, (set, frozenset)):
        return list(value) if isinstance(value, tuple) else value
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


def _encode_array(item: Encoder, value: Any) -> Any:
    members = _sorted(value)
    return [item(member) for member in members] if isinstance(members, list) else members


def _encode_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return _encode_json(value.value)
    if isinstance(value, dict):
        return {str(_encode_json(key)): _encode_json(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset, list, tuple)):
        return [_encode_json(item) for item in _sorted(value)]
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def encode_json_text(value: Any) -> str:
    """Return JSON; raise `UnfitValueError` for what it cannot hold."""
    try:
        return json.dumps(_encode_json(value), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        message = "JSON holds text, finite numbers, booleans, null, lists and objects only"
        raise UnfitValueError(message) from None


def _encode_text(as_hex: bool, value: Any) -> Any:  # noqa: FBT001 - only ever bound by partial()
    if isinstance(value, str):
        return value
    if isinstance(value, UUID):
        return value.hex if as_hex else str(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        # PostgreSQL would take it, as the text of an array.
        message = (
            f"a text column holds no {type(value).__name__}: make it a JSON or an array column, or keep members in a "
            "table of their own, with Table(links=…)"
        )
        raise UnfitValueError(message)
    return str(value) if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else value


def _encode_text_or_json(encode_text: Encoder, value: Any) -> Any:
    return encode_json_text(value) if isinstance(value, (dict, set, frozenset, list, tuple)) else encode_text(value)


def encode_boolean(value: Any) -> Any:
    """Return the truth value that 0 or 1 stands for, and anything else as it is."""
    return bool(value) if isinstance(value, int) and value in {0, 1} else value


def _encode_integer(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (float, Decimal)) and isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return value
    return value


def _encode_small_integer(value: Any) -> Any:
    number = _encode_integer(value)
    if isinstance(number, int) and not -_LARGEST <= number < _LARGEST:
        message = "an integer of SQLite has 64 bits: make the column TEXT"
        raise UnfitValueError(message)
    return _encode_number(number)


def _encode_float(value: Any) -> Any:
    return float(value) if isinstance(value, (int, Decimal)) else value


def _encode_number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else _encode_untyped(value)


def _encode_decimal(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str):
        try:
            return Decimal(value)
        except InvalidOperation:
            return value
    return value


def _encode_small_decimal(value: Any) -> Any:
    number = _encode_decimal(value)
    if not isinstance(number, Decimal):
        return _encode_small_integer(number)
    if number.is_finite() and number == number.to_integral_value() and abs(number) < _LARGEST:
        return int(number)
    if number.is_finite() and Decimal(repr(float(number))) == number:
        return float(number)
    message = "a numeric column of SQLite holds finite numbers of some 15 digits: make the column TEXT"
    raise UnfitValueError(message)


def _encode_finite(value: Any) -> Any:
    number = _encode_float(value)
    if isinstance(number, float) and not isfinite(number):
        message = "MySQL and MariaDB hold finite numbers only: make the column text"
        raise UnfitValueError(message)
    return number


def _encode_scaled(kind: Any, value: Any) -> Any:
    """Refuse what the database would round, or has no place for."""
    number = _encode_decimal(value)
    if not isinstance(number, (int, Decimal)) or kind.precision is None:
        return number
    scale = kind.scale or 0
    whole, _, behind = f"{Decimal(number).copy_abs():f}".partition(".") if isfinite(number) else ("", "", "")
    if len(whole.lstrip("0")) > kind.precision - scale or len(behind.rstrip("0")) > scale or not isfinite(number):
        message = (
            f"the column keeps numbers with {kind.precision - scale} digits before the point and {scale} behind it"
        )
        raise UnfitValueError(message)
    return number


def _encode_moment_without_zone(value: Any) -> Any:
    moment = _encode_datetime(value)
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    return moment


def _encode_time_without_zone(value: Any) -> Any:
    if isinstance(value, time) and value.tzinfo is not None:
        message = "MySQL and MariaDB have no time of day with a time zone: make the column text"
        raise UnfitValueError(message)
    return value


def _encode_datetime(value: Any) -> Any:
    if isinstance(value, str):
        return parsed(datetime.fromisoformat, value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no time zone to give
    return value


def _encode_datetime_text(value: Any) -> Any:
    moment = _encode_datetime(value)
    return moment.isoformat(" ", "microseconds") if isinstance(moment, datetime) else moment


def _encode_date(value: Any) -> Any:
    if isinstance(value, str):
        return parsed(date.fromisoformat, value)
    if isinstance(value, datetime):
        if value.time() != time() or value.tzinfo is not None:
            message = "a date column cannot hold a time of day"
            raise UnfitValueError(message)
        return value.date()
    return value


def _encode_date_text(value: Any) -> Any:
    day = _encode_date(value)
    return day.isoformat() if isinstance(day, date) else day


def _encode_time_text(value: Any) -> Any:
    return value.isoformat("microseconds") if isinstance(value, time) else value


def _encode_uuid(value: Any) -> Any:
    return parsed(UUID, value) if isinstance(value, str) else value


def _encode_untyped(value: Any) -> Any:
    if isinstance(value, float) and isnan(value):
        message = "SQLite cannot hold NaN, and would store NULL in its place"
        raise UnfitValueError(message)
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    return value.isoformat() if isinstance(value, (date, time)) else value


def parsed(parse: Callable[[str], Any], text: str) -> Any:
    """Return what a text says, or the text itself if it cannot be parsed: the database has the last word on it."""
    try:
        return parse(text)
    except ValueError:
        return text


_PLAIN_IN_SQLITE: tuple[tuple[type[TypeEngine[Any]], type], ...] = ((sa.String, str), (sa.LargeBinary, bytes))
_PLAIN_ELSEWHERE: tuple[tuple[type[TypeEngine[Any]], type], ...] = (
    *_PLAIN_IN_SQLITE,
    (sa.Boolean, bool),
    (sa.Integer, int),
    (sa.Date, date),
    (sa.Uuid, UUID),
)
_PLAIN: tuple[tuple[type[TypeEngine[Any]], type], ...] = (
    *_PLAIN_IN_SQLITE,
    (sa.Boolean, bool),
    (sa.Integer, int),
    (sa.Float, float),  # before Numeric, of which it is a kind up to SQLAlchemy 2.0
    (sa.Numeric, Decimal),
    (sa.Numeric, int),
    (sa.DateTime, datetime),
    (sa.Date, date),
    (sa.Time, time),
    (sa.Uuid, UUID),
)
