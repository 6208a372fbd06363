"""Python values on their way into the columns of a database, and back; dialects choose among the ways."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine, UserDefinedType

from datastoresync.conversion.scalars import SCALARS, scalar_of

Encoder = Callable[[Any], Any]
"""Makes a Python value one that a column takes, or raises `UnfitValueError`. It maps equal keys to equal values."""

LARGEST = 2**63
"""The integers that 64 bits hold are less, and not less than its negative."""
HEX_LENGTH = 32
"""The characters of a UUID without hyphens."""
MICROSECONDS = 6
"""The digits of a second that Python has."""


class UnfitValueError(ValueError):
    """A value that a column cannot take. Its message never holds the value."""


class DecodedType(UserDefinedType[Any]):
    """A column whose values are encoded before they are written, and decoded leniently.

    Args:
        decode: Decodes a value.
        meant: What the values should be, though others may be there.
    """

    cache_ok = True

    def __init__(self, decode: Callable[[Any], Any], meant: type = object) -> None:
        self.decode = decode
        self.meant = meant

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


def read_padded(read: Encoder, value: Any) -> Any:
    """Return a number as it is read, without the zeros that fill it up."""
    return decode_padded(read(value))


def without_blanks(value: Any) -> Any:
    """Take off the blanks that fill up a text to the length of its column."""
    return value.rstrip(" ") if isinstance(value, str) else value


def left_alone(encode: Encoder) -> frozenset[type]:
    """Return the types whose values an encoder surely leaves as they are, if they are within its limits."""
    found: frozenset[type] = getattr(encode, "plain", frozenset())
    return found


def as_it_is(value: Any) -> Any:
    """Return the value."""
    return value


# --- the only forms that are taken, as docs/conversions.md has them ----------------------------------------------


def converted(cls: type, value: Any) -> Any:
    """Return a value as one of a scalar type; raise `UnfitValueError` if that would lose or guess anything."""
    try:
        return SCALARS[cls].convert(value)
    except ValueError as error:
        message = str(error).rpartition(": ")[2]
        raise UnfitValueError(message) from None


def encode_label(labels: frozenset[str], value: Any) -> Any:
    """Return the label of an enum column for an enum member, or for its own text."""
    label = value
    if isinstance(value, Enum):
        label = value.value if value.value in labels else value.name
    if label not in labels:
        message = f"its labels are {', '.join(sorted(labels))}"
        raise UnfitValueError(message)
    return label


def _sorted(value: Any) -> Any:
    if not isinstance(value, (set, frozenset)):
        return list(value) if isinstance(value, tuple) else value
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


def encode_array(item: Encoder, value: Any) -> Any:
    """Return a list with its members made to fit, sorted if it was a set."""
    if isinstance(value, (bytes, bytearray, dict)):
        message = f"an array column holds lists, not {type(value).__name__}"
        raise UnfitValueError(message)
    members = _sorted(value)
    if not isinstance(members, list):
        return members
    return [encode_array(item, member) if isinstance(member, list) else item(member) for member in members]


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


def encode_json_value(value: Any) -> Any:
    """Return what JSON is made of; raise `UnfitValueError` for what it cannot hold."""
    encode_json_text(value)
    return encode_json(value)


def encode_text(value: Any) -> Any:
    """Return the text of a value; raise `UnfitValueError` for one that has no text of its own."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        # Which of 'true', 't', 'Y' and '1' are the texts of this column is not known.
        message = (
            "a text column holds no bool: make it a boolean column, or declare an Enum of the texts that stand for "
            "true and false"
        )
        raise UnfitValueError(message)
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        # PostgreSQL would take it, as the text of an array.
        message = (
            f"a text column holds no {type(value).__name__}: make it a JSON or an array column, or keep members in a "
            "table of their own, with Table(links=…)"
        )
        raise UnfitValueError(message)
    scalar = scalar_of(value)
    if scalar is None or scalar.to_text is None:
        message = f"a text column holds no {type(value).__name__}"
        raise UnfitValueError(message)
    return scalar.to_text(value)


def encode_text_or_json(value: Any) -> Any:
    """Return the text of a value, which is JSON for lists, sets and dictionaries."""
    return encode_json_text(value) if isinstance(value, (dict, set, frozenset, list, tuple)) else encode_text(value)


def encode_limited(length: int, encode: Encoder, value: Any) -> Any:
    """Return the text of a value; raise `UnfitValueError` if it is longer than its column, if only by blanks."""
    text = value.hex if length == HEX_LENGTH and isinstance(value, UUID) else encode(value)
    if len(text) > length:
        message = f"it has {len(text)} characters, and the column holds {length}"
        raise UnfitValueError(message)
    return text


def encode_padded(length: int, encode: Encoder, value: Any) -> Any:
    """Return the text of a value without blanks at the end, which tell nothing apart where text is filled up."""
    return encode_limited(length, encode, without_blanks(value))


def encode_unpadded(encode: Encoder, value: Any) -> Any:
    """Return the text of a value in the same way, for a column whose length is not known."""
    return encode(without_blanks(value))


def cut_text(length: int, encode: Encoder, value: Any) -> Any:
    """Return as much of a text as its column holds."""
    return encode(value[:length] if isinstance(value, str) else value)


def encode_bytes(value: Any) -> Any:
    """Return the bytes that a value is."""
    return converted(bytes, value)


def encode_boolean(value: Any) -> Any:
    """Return the truth value that a value is or says."""
    return converted(bool, value)


def decode_boolean(value: Any) -> Any:
    """Return the truth value that 0 or 1 stands for, and anything else as it is."""
    return bool(value) if isinstance(value, int) and value in {0, 1} else value


def encode_integer(value: Any) -> Any:
    """Return the integer that a value is or says."""
    return int(value) if isinstance(value, bool) else converted(int, value)


def encode_integer_within(bounds: tuple[int, int], value: Any) -> Any:
    """Return the integer that a value is or says, if it is within the bounds of its column."""
    number = encode_integer(value)
    if not bounds[0] <= number <= bounds[1]:
        message = f"the column holds integers from {bounds[0]} to {bounds[1]}"
        raise UnfitValueError(message)
    return number


def round_integer(encode: Encoder, value: Any) -> Any:
    """Return the nearest integer to a number, as a database would round it."""
    if isinstance(value, float) and isfinite(value):
        value = Decimal(value).to_integral_value(ROUND_HALF_EVEN)
    elif isinstance(value, (str, Decimal)):
        value = converted(Decimal, value).to_integral_value(ROUND_HALF_UP)
    return encode(value)


def encode_float(value: Any) -> Any:
    """Return the float of a number."""
    return converted(float, int(value) if isinstance(value, bool) else value)


def single(value: float) -> float:
    """Return the nearest number that four bytes hold, as its shortest text has it, which is what is read.

    >>> single(0.1), single(0.123456789)
    (0.1, 0.12345679)
    """
    stored = _in_four_bytes(value)
    texts = (f"{stored:.{digits}g}" for digits in range(1, 10))
    return next((float(text) for text in texts if _in_four_bytes(float(text)) == stored), stored)


def _in_four_bytes(value: float) -> float:
    try:
        found: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        message = "the column holds numbers below 3.5e38"
        raise UnfitValueError(message) from None
    return found


def encode_decimal(value: Any) -> Any:
    """Return the decimal that a value is or says."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, (int, Decimal)):
        return value
    return converted(Decimal, value)


def encode_scaled(kind: Any, value: Any) -> Any:
    """Return a number; raise `UnfitValueError` for one that the database would round, or has no digits for."""
    number = encode_decimal(value)
    if kind.precision is None:
        return number
    scale = kind.scale or 0
    whole, _, behind = f"{Decimal(number).copy_abs():f}".partition(".") if isfinite(number) else ("", "", "")
    if len(whole.lstrip("0")) > kind.precision - scale or len(behind.rstrip("0")) > scale or not isfinite(number):
        message = (
            f"the column keeps numbers with {kind.precision - scale} digits before the point and {scale} behind it"
        )
        raise UnfitValueError(message)
    return number


def round_scaled(kind: Any, value: Any) -> Any:
    """Return a number with as many digits behind the point as its column keeps."""
    number = encode_decimal(value)
    if kind.precision is None or not isfinite(number):
        return encode_scaled(kind, number)
    return encode_scaled(kind, scaled(kind, number))


def scaled(kind: Any, value: Any) -> Any:
    """Return a number as it is read from a column of a scale: rounded, or filled up with zeros."""
    if not isinstance(value, (int, float, Decimal)):
        return value  # of another type than the column: it is refused when it is written
    if not value or not isfinite(value):  # zero has no sign
        return Decimal(value) if value else Decimal((0, (0,), min(0, -(kind.scale or 0))))
    if kind.precision is None:
        return Decimal(f"{value:f}")
    number = Decimal(value)
    sign, whole, exponent = number.as_tuple()
    shift = int(exponent) + (kind.scale or 0)
    digits = int("".join(map(str, whole)) or "0")
    if shift >= 0:
        digits *= 10**shift
    else:  # not by quantize, which has no more digits than the context
        half, rest = divmod(digits, 10**-shift)
        digits = half + (2 * rest >= 10**-shift)
    figures = tuple(map(int, str(digits)))
    return Decimal((sign if digits else 0, figures, -(kind.scale or 0)))


def encode_datetime(value: Any) -> Any:
    """Return the moment that a value is or says."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no time zone to give
    return converted(datetime, value)


def encode_date(value: Any) -> Any:
    """Return the date that a value is or says; raise `UnfitValueError` if it has a time of day."""
    if isinstance(value, datetime) and (value.time() != time() or value.tzinfo is not None):
        message = "a date column cannot hold a time of day"
        raise UnfitValueError(message)
    return converted(date, value)


def cut_date(value: Any) -> Any:
    """Return the day of a moment."""
    if isinstance(value, str) and len(value) > len("2024-01-02"):
        value = converted(datetime, value)
    return value.date() if isinstance(value, datetime) else encode_date(value)


def encode_time(value: Any) -> Any:
    """Return the time of day that a value is or says."""
    return converted(time, value)


def encode_timedelta(value: Any) -> Any:
    """Return the duration that a value is."""
    return converted(timedelta, value)


def in_zone(encode: Encoder, aware: bool, value: Any) -> Any:  # noqa: FBT001 - given by partial
    """Return a moment; raise `UnfitValueError` if it has a time zone and its column has none."""
    moment = encode(value)
    if moment.tzinfo is not None and not aware:
        message = "the column has no time zone, and would forget the one that it has"
        raise UnfitValueError(message)
    return moment


def without_zone(encode: Encoder, value: Any) -> Any:
    """Return a moment in UTC, and without its time zone, which its column has no place for."""
    moment = encode(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


def with_digits(encode: Encoder, digits: int, value: Any) -> Any:
    """Return a moment, time or duration; raise `UnfitValueError` if its column has fewer digits behind the second."""
    moment = encode(value)
    microseconds = moment.microseconds if isinstance(moment, timedelta) else moment.microsecond
    if microseconds % 10 ** (MICROSECONDS - digits):
        message = f"the column keeps {digits} digits behind the second" if digits else "the column keeps whole seconds"
        raise UnfitValueError(message)
    return moment


def cut_digits(encode: Encoder, digits: int, value: Any) -> Any:
    """Return a moment, time or duration without the digits that its column has no place for."""
    moment = encode(value)
    step = 10 ** (MICROSECONDS - digits)
    if isinstance(moment, timedelta):
        return moment - timedelta(microseconds=moment.microseconds % step)
    return moment.replace(microsecond=moment.microsecond // step * step)


def read_moment(zone: tzinfo | None, value: Any) -> Any:
    """Return a moment as it is read from a column with a time zone."""
    return value.replace(tzinfo=zone or UTC) if value.tzinfo is None else value.astimezone(zone or value.tzinfo)


def read_aware(aware: bool, value: Any) -> Any:  # noqa: FBT001 - given by partial
    """Return a time of day as it is read from a column with a time zone, or without one."""
    return value.replace(tzinfo=UTC) if aware and value.tzinfo is None else value


def encode_printed(value: Any) -> Any:
    """Return what a column takes of which Python has no type: text, and not what it would make something else of."""
    if isinstance(value, (int, float, Decimal, date, time, timedelta, UUID, list, tuple, set, frozenset)):
        message = f"the column takes text, not {type(value).__name__}"
        raise UnfitValueError(message)
    return value if isinstance(value, str) else encode_text(value)


def encode_uuid(value: Any) -> Any:
    """Return the UUID that a text says."""
    return converted(UUID, value)


def parsed(parse: Callable[[str], Any], text: str) -> Any:
    """Return what a text says, or the text itself if it cannot be parsed."""
    try:
        return parse(text)
    except ValueError:
        return text
