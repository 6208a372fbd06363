"""Python values on their way into the columns of a database, and back; dialects choose among the ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine, UserDefinedType

from datastoresync.conversion.scalars import scalar_of

Encoder = Callable[[Any], Any]
"""Makes a Python value one that a column takes, or raises `UnfitValueError`. It maps equal keys to equal values."""

LARGEST = 2**63
"""The integers that 64 bits hold are less, and not less than its negative."""


class UnfitValueError(ValueError):
    """A value that a column cannot take. Its message never holds the value."""


class DecodedType(UserDefinedType[Any]):
    """A column whose values are encoded before they are written, and decoded leniently."""

    cache_ok = True

    def __init__(self, decode: Callable[[Any], Any]) -> None:
        self.decode = decode

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 - inherited
        """Return what decodes a value."""
        return self.decode


def encoded_type(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type that values of a reflected column are encoded by."""
    kind = getattr(kind, "data_type", None) or kind  # a domain is read and written like the type below it
    if isinstance(kind, sa.JSON):
        kind = kind.copy()
        kind.none_as_null = True
    return kind


def without_length(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return a type that a parameter may be cast to: a cast to a length would cut text short without a word."""
    if isinstance(kind, sa.ARRAY):
        kind = kind.copy()
        kind.item_type = without_length(kind.item_type)
    elif isinstance(kind, (sa.VARCHAR, sa.CHAR)) and kind.length is not None:
        return sa.VARCHAR() if isinstance(kind, sa.VARCHAR) else sa.String()
    return kind


def decode_padded(value: Any) -> Any:
    """Take off the zeros that fill up a number to the scale of its column."""
    return Decimal(f"{value:f}".rstrip("0").rstrip(".")) if isinstance(value, Decimal) else value


def left_alone(encode: Encoder) -> frozenset[type]:
    """Return the types whose values an encoder surely leaves as they are."""
    found: frozenset[type] = getattr(encode, "plain", frozenset())
    return found


def as_it_is(value: Any) -> Any:
    """Return the value."""
    return value


def encode_label(labels: frozenset[str], value: Any) -> Any:
    """Return the label of an enum column for an enum member."""
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


def encode_array(item: Encoder, value: Any) -> Any:
    """Return a list with its members made to fit, sorted if it was a set."""
    members = _sorted(value)
    return [item(member) for member in members] if isinstance(members, list) else members


def encode_json(value: Any) -> Any:
    """Return what JSON is made of: lists for sets, text for dates and UUIDs."""
    if isinstance(value, Enum):
        return encode_json(value.value)
    if isinstance(value, dict):
        return {str(encode_json(key)): encode_json(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset, list, tuple)):
        return [encode_json(item) for item in _sorted(value)]
    scalar = scalar_of(value)
    if scalar is None or scalar.to_text is None or not scalar.json_tag or scalar.family == "number":
        return value  # JSON has it, or refuses it
    return scalar.to_text(value)


def encode_json_text(value: Any) -> str:
    """Return JSON; raise `UnfitValueError` for what it cannot hold."""
    try:
        return json.dumps(encode_json(value), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        message = "JSON holds text, finite numbers, booleans, null, lists and objects only"
        raise UnfitValueError(message) from None


def encode_text(value: Any) -> Any:
    """Return the text of a value; raise `UnfitValueError` for lists, sets and dictionaries."""
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        # PostgreSQL would take it, as the text of an array.
        message = (
            f"a text column holds no {type(value).__name__}: make it a JSON or an array column, or keep members in a "
            "table of their own, with Table(links=…)"
        )
        raise UnfitValueError(message)
    scalar = scalar_of(value)
    return value if scalar is None or scalar.to_text is None else scalar.to_text(value)


def encode_text_or_json(value: Any) -> Any:
    """Return the text of a value, which is JSON for lists, sets and dictionaries."""
    return encode_json_text(value) if isinstance(value, (dict, set, frozenset, list, tuple)) else encode_text(value)


def encode_boolean(value: Any) -> Any:
    """Return the truth value that 0 or 1 stands for, and anything else as it is."""
    return bool(value) if isinstance(value, int) and value in {0, 1} else value


def encode_integer(value: Any) -> Any:
    """Return the integer that a value is or says."""
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


def encode_float(value: Any) -> Any:
    """Return the float of a number."""
    return float(value) if isinstance(value, (int, Decimal)) else value


def encode_decimal(value: Any) -> Any:
    """Return the decimal that a value is or says."""
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


def encode_scaled(kind: Any, value: Any) -> Any:
    """Return a number; raise `UnfitValueError` for one that the database would round, or has no digits for."""
    number = encode_decimal(value)
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


def encode_datetime(value: Any) -> Any:
    """Return the moment that a value is or says."""
    if isinstance(value, str):
        return parsed(datetime.fromisoformat, value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no time zone to give
    return value


def encode_date(value: Any) -> Any:
    """Return the date that a value is or says; raise `UnfitValueError` if it has a time of day."""
    if isinstance(value, str):
        return parsed(date.fromisoformat, value)
    if isinstance(value, datetime):
        if value.time() != time() or value.tzinfo is not None:
            message = "a date column cannot hold a time of day"
            raise UnfitValueError(message)
        return value.date()
    return value


def encode_uuid(value: Any) -> Any:
    """Return the UUID that a text says."""
    return parsed(UUID, value) if isinstance(value, str) else value


def parsed(parse: Callable[[str], Any], text: str) -> Any:
    """Return what a text says, or the text itself if it cannot be parsed: the database has the last word on it."""
    try:
        return parse(text)
    except ValueError:
        return text
