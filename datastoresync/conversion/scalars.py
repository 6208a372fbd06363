"""One value to one plain type: text, numbers, dates and the like; and many texts at once where that is quicker."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from reprlib import Repr
from types import MappingProxyType
from typing import Any
from uuid import UUID

One = Callable[[Any], Any]
Column = Callable[[Sequence[Any]], Sequence[Any]]

_SIGNED_DIGITS = b"0123456789+-"
_NUMBER = b"0123456789+-.eE"
_EXACT = 2**53
"""Above this, a float may stand for several ints."""
_MOST_DIGITS = 4300
"""Python's own default limit for the digits of an int; a Decimal with a huge exponent would fill the memory."""
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d(?::?\d\d(?:\.\d{1,6})?)?)?)?"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_DATETIME = re.compile(rf"\d{{4}}-\d\d-\d\d[T ]{_CLOCK}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")
_TRUTHS = MappingProxyType(
    dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True)
    | dict.fromkeys(("false", "f", "no", "n", "off", "0"), False)
)


def _shown(value: Any) -> str:
    """Return a short repr of any value at all."""
    short = Repr()
    short.maxstring = short.maxother = 60
    try:
        return short.repr(value)
    except ValueError:  # the digits of a very long int are not shown by Python itself
        return f"a very long {type(value).__name__}"


def refused(value: Any, target: str, reason: str) -> ValueError:
    """Return the error for a value that a type cannot take."""
    return ValueError(f"{_shown(value)} is not {target}: {reason}")


def _only(text: str, characters: bytes) -> bool:
    return text.isascii() and not text.encode().translate(None, characters)


def _is_int(value: Any) -> bool:
    """Whether a value is a whole number of any library, and not a bool."""
    return hasattr(type(value), "__index__") and not isinstance(value, bool)


def _str(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if _is_int(value):
        with suppress(ValueError):
            return str(operator.index(value))
        raise refused(value, "text", "it has too many digits")
    if isinstance(value, UUID) or (isinstance(value, Decimal) and value.is_finite()):
        return str(value)
    if isinstance(value, date) and value == value:  # noqa: PLR0124 - pandas' NaT is a date that differs from itself
        return value.isoformat()
    raise refused(value, "text", f"{type(value).__name__} has no canonical text")


def _int(value: Any) -> int:
    reason = "only ASCII digits with an optional sign"
    if isinstance(value, str):
        if _only(value, _SIGNED_DIGITS):
            with suppress(ValueError):
                return int(value)
            if len(value) > _MOST_DIGITS:
                reason = "it has too many digits"
    elif _is_int(value):
        return operator.index(value)
    elif isinstance(value, float):
        if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        reason = "only a whole float up to 2**53 is exact"
    elif isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() < _MOST_DIGITS and value == value.to_integral_value():
            return int(value)
        reason = "only a whole Decimal is exact"
    else:
        reason = f"{type(value).__name__} is not accepted"
    raise refused(value, "an int", reason)


def _ints(texts: Sequence[str]) -> list[int]:
    if not _only("".join(texts), _SIGNED_DIGITS):
        raise ValueError
    return list(map(int, texts))


def _float(value: Any) -> float:
    reason = "only decimal or exponent text, nan, inf and -inf"
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        if value.lower() in ("nan", "inf", "-inf"):
            return float(value)
        if _only(value, _NUMBER):
            with suppress(ValueError):
                number = float(value)
                if math.isfinite(number):
                    return number
                reason = "it is too large"
    elif isinstance(value, Decimal):
        with suppress(ValueError):  # a signaling NaN
            number = float(value)
            if math.isinf(number) <= value.is_infinite():
                return number
        reason = "it is too large"
    elif _is_int(value):
        with suppress(OverflowError):
            number = float(operator.index(value))
            if int(number) == value:
                return number
        reason = "no float is exactly this int: declare int or Decimal"
    else:
        reason = f"{type(value).__name__} is not accepted"
    raise refused(value, "a float", reason)


def _floats(texts: Sequence[str]) -> list[float]:
    if not _only("".join(texts), _NUMBER):
        raise ValueError
    numbers = list(map(float, texts))
    if math.inf in numbers or -math.inf in numbers:
        raise ValueError
    return numbers


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        truth = _TRUTHS.get(value.lower())
        if truth is not None:
            return truth
    elif _is_int(value) and value in (0, 1):
        return bool(value)
    raise refused(value, "a bool", "only true/false, t/f, yes/no, y/n, on/off and 1/0")


def _decimal(value: Any) -> Decimal:
    reason = "only decimal or exponent text"
    if isinstance(value, Decimal):
        if value.is_finite():
            return value
        reason = "it is not finite"
    elif isinstance(value, str):
        if _only(value, _NUMBER):
            with suppress(ArithmeticError):
                return Decimal(value)
    elif _is_int(value):
        return Decimal(operator.index(value))
    elif isinstance(value, float):
        reason = "a float is seldom the decimal number it was written as: declare float, or give the number as text"
    else:
        reason = f"{type(value).__name__} is not accepted"
    raise refused(value, "a Decimal", reason)


def _decimals(texts: Sequence[str]) -> list[Decimal]:
    if not _only("".join(texts), _NUMBER):
        raise ValueError
    return list(map(Decimal, texts))


def _date(value: Any) -> date:
    reason = "only YYYY-MM-DD"
    if isinstance(value, datetime):
        if value.tzinfo is None and value == value and value.time() == time():  # noqa: PLR0124 - NaT
            return value.date()
        reason = "it has a time of day: declare datetime"
    elif isinstance(value, date):
        return value
    elif isinstance(value, str) and _DATE.fullmatch(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
        reason = "there is no such day"
    raise refused(value, "a date", reason)


def _dates(texts: Sequence[str]) -> list[date]:
    if set(map(len, texts)) != {10} or not _only("".join(texts), b"0123456789-"):
        raise ValueError
    return list(map(date.fromisoformat, texts))


def _datetime(value: Any) -> datetime:
    reason = "only YYYY-MM-DD, 'T' or a blank, HH:MM[:SS[.ffffff]] and an optional offset or 'Z'"
    if isinstance(value, datetime):
        if value == value:  # noqa: PLR0124 - NaT
            return value
        reason = "it is not a time"
    elif isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        reason = "it has no time of day: declare date, or give the time too"
    elif isinstance(value, str) and _DATETIME.fullmatch(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
        reason = "there is no such day, time or offset"
    raise refused(value, "a datetime", reason)


def _time(value: Any) -> time:
    reason = "only HH:MM[:SS[.ffffff]] and an optional offset or 'Z'"
    if isinstance(value, time):
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        with suppress(ValueError):
            return time.fromisoformat(value)
        reason = "there is no such offset"
    raise refused(value, "a time", reason)


def _timedelta(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    raise refused(value, "a timedelta", "only timedelta objects, since durations have no one text form")


def _uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value)
    raise refused(value, "a UUID", "only 32 hexadecimal digits, with or without hyphens")


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise refused(value, "bytes", "only bytes, bytearray and memoryview")


SCALARS: Mapping[Any, tuple[str, One, Column | None]] = MappingProxyType(
    {
        str: ("str", _str, None),
        int: ("int", _int, _ints),
        float: ("float", _float, _floats),
        bool: ("bool", _bool, None),
        Decimal: ("Decimal", _decimal, _decimals),
        date: ("date", _date, _dates),
        datetime: ("datetime", _datetime, None),
        time: ("time", _time, None),
        timedelta: ("timedelta", _timedelta, None),
        UUID: ("UUID", _uuid, None),
        bytes: ("bytes", _bytes, None),
    }
)
"""The name, the conversion of one value, and the quick one of many texts, which may fail without saying why."""
