"""Scalar types, one row each: what converts to them, what equals them, and what stores and engines make of them.

A type is added in `SCALARS`. Every store and engine then knows it: by a type of its own if it has one and says so (a
dialect, in its ``column_types``; an engine, in its ``types``), by its text if it does not.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from reprlib import Repr
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

One = Callable[[Any], Any]
Column = Callable[[Sequence[Any]], Sequence[Any]]

_SIGNED_DIGITS = b"0123456789+-"
_NUMBER = b"0123456789+-.eE"
_EXACT = 2**53
"""Above this, a float may stand for several ints."""
_MOST_DIGITS = 4300
"""Python's own default limit for the digits of an int; a Decimal with a huge exponent would fill the memory."""
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d(?::?\d\d(?:\.\d{1,6})?)?)?)?"
_INT_TEXT = "[+-]?[0-9]{1,#}"
_DECIMAL_TEXT = "[+-]?([0-9]{1,#}([.][0-9]{0,#})?|[.][0-9]{1,#})"
_FLOAT_TEXT = _DECIMAL_TEXT + "([eE][+-]?[0-9]{1,2})?"
_DATE_TEXT = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DATETIME_TEXT = _DATE_TEXT + "[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
_UUID_TEXT = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"
_DATE = re.compile(_DATE_TEXT)
_TIME = re.compile(_CLOCK, re.ASCII)
_DATETIME = re.compile(rf"{_DATE_TEXT}[T ]{_CLOCK}", re.ASCII)
_UUID = re.compile(_UUID_TEXT)
_PERIOD = re.compile(
    r"(?P<sign>[+-]?)P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:[.,](?P<microseconds>\d{1,6}))?S)?)?",
    re.ASCII,
)
_SPAN = re.compile(
    r"(?:(?P<days>-?\d+) days?,? )?(?P<sign>-?)(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)"
    r"(?:\.(?P<microseconds>\d{1,6}))?",
    re.ASCII,
)
BOOLEAN_TEXTS: Mapping[str, bool] = MappingProxyType(
    dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True)
    | dict.fromkeys(("false", "f", "no", "n", "off", "0"), False)
)
"""The truth values that texts stand for, in lower case."""


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
    if isinstance(value, _TEXT_LIKE) or (isinstance(value, Decimal) and value.is_finite()):
        return str(value)
    if isinstance(value, date) and value == value:  # noqa: PLR0124 - pandas' NaT is a date that differs from itself
        return value.isoformat()
    way = ": its type is float, or int if all are whole" if isinstance(value, float) else ""
    raise refused(value, "text", f"{type(value).__name__} has no canonical text{way}")


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
        truth = BOOLEAN_TEXTS.get(value.lower())
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


def _decimal_of_text(text: str) -> Decimal:
    if not isinstance(text, str):  # Decimal takes more than that
        raise TypeError
    return Decimal(text)


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


_DAY = timedelta(days=1)
_MIDNIGHT = datetime(1, 1, 1)  # noqa: DTZ001 - a time of day has no time zone
_at = lru_cache(maxsize=1024)(timezone)
_CONTAINERS = frozenset({set, frozenset, list, tuple, dict})


def instant(moment: datetime) -> datetime:
    """Return a moment with the offset of its time zone in the place of the zone.

    Python compares moments of one zone by their wall clocks, hashes them so, and calls those of several zones different
    in an hour that comes twice. With offsets it compares, hashes and sorts them by the instant.

    >>> from zoneinfo import ZoneInfo
    >>> instant(datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))).isoformat()
    '2024-07-01T00:00:00+02:00'
    """
    if moment.tzinfo is None or type(moment.tzinfo) is timezone:
        return moment
    offset = moment.utcoffset()
    return moment if offset is None else moment.replace(tzinfo=_at(offset), fold=0)


def by_instant(value: Any) -> Any:
    """Return a value with each moment in it as its `instant`; the value itself if it has none of another form."""
    if isinstance(value, datetime):
        return instant(value)
    kind = type(value)
    if kind not in _CONTAINERS:
        return value
    if kind is dict:
        found = {by_instant(key): by_instant(member) for key, member in value.items()}
        return value if all(map(operator.is_, (*found, *found.values()), (*value, *value.values()))) else found
    members = list(map(by_instant, value))
    return value if all(map(operator.is_, members, value)) else kind(members)


def instants(values: Sequence[Any]) -> Sequence[Any]:
    """Return many values as `by_instant` does."""
    kinds = set(map(type, values))
    found = not kinds <= _WITHOUT_MOMENTS and any(issubclass(kind, datetime) or kind in _CONTAINERS for kind in kinds)
    return list(map(by_instant, values)) if found else values


def _datetime(value: Any) -> datetime:
    reason = "only YYYY-MM-DD, 'T' or a blank, HH:MM[:SS[.ffffff]] and an optional offset or 'Z'"
    if isinstance(value, datetime):
        if value == value:  # noqa: PLR0124 - NaT
            return instant(value)
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
    if isinstance(value, timedelta):
        if timedelta(0) <= value < _DAY:
            return (_MIDNIGHT + value).time()
        reason = "a time of day is less than 24 hours: declare timedelta"
    if isinstance(value, str) and _TIME.fullmatch(value):
        with suppress(ValueError):
            return time.fromisoformat(value)
        reason = "there is no such offset"
    raise refused(value, "a time", reason)


def _timedelta(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, time) and value.tzinfo is None:
        return datetime.combine(_MIDNIGHT, value) - _MIDNIGHT
    reason = "only P1DT2H3M4.5S, [1 day, ]2:03:04.5, timedelta objects and times without a time zone"
    if isinstance(value, str) and (found := _PERIOD.fullmatch(value) or _SPAN.fullmatch(value)):
        parts = {name: text for name, text in found.groupdict().items() if text and name != "sign"}
        parts["microseconds"] = parts.get("microseconds", "0").ljust(6, "0")
        with suppress(OverflowError, ValueError):  # digits without end
            days = timedelta(days=int(parts.pop("days", 0)))
            rest = timedelta(**{name: int(text) for name, text in parts.items()})
            if found["sign"] != "-":
                return days + rest
            return -days - rest if found.re is _PERIOD else days - rest
        reason = "it is too long"
    raise refused(value, "a timedelta", reason)


def _text_of_timedelta(value: timedelta) -> str:
    """Return a duration as ISO 8601 has it."""
    rest = abs(value)
    hours, seconds = divmod(rest.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{rest.microseconds:06}".rstrip("0") if rest.microseconds else ""
    clock = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count)
    clock += f"{seconds}{fraction}S" if seconds or fraction or not (clock or rest.days) else ""
    days = f"{rest.days}D" if rest.days else ""
    return f"{'-' * (value < timedelta())}P{days}{'T' * bool(clock)}{clock}"


def _uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value)
    raise refused(value, "a UUID", "only 32 hexadecimal digits, with or without hyphens")


def _printed(cls: Callable[[str], Any], name: str, value: Any) -> Any:
    """Convert to a class that reads the text that its values are printed as."""
    reason = f"{type(value).__name__} is not accepted"
    # An interface is an address to Python, and a path of one system none of another.
    if isinstance(value, cls) if issubclass(cls, PurePath) else type(value) is cls:  # type: ignore[arg-type]  # a class
        return value
    if isinstance(value, str):
        try:
            if value:
                return cls(value)
            reason = "it is empty"
        except ValueError as error:
            reason = str(error)
    raise refused(value, name, reason)


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise refused(value, "bytes", "only bytes, bytearray and memoryview")


@attrs.frozen(eq=False, repr=False)
class ScalarType:
    """A scalar type, as converters, comparisons, stores and engines know it.

    Args:
        cls: The type in Python.
        convert: Converts one value, or raises `ValueError` with the reason.
        convert_texts: Converts many texts quickly, and may fail without saying why.
        family: The name of the types whose values its values may be equal to.
        kinds: What engines call columns whose values are of this type as they are.
        to_text: The canonical text, for stores that have no type for it; None if they refuse it.
        from_text: Reads that text.
        json_tag: The key of the JSON object that holds that text; empty if it is written in another way.
        arrow: The alias of its type in Arrow, without the digits of a decimal; empty if Arrow holds its text.
        text_pattern: A regular expression, the same for Python, RE2 and Java, of texts that are surely converted; there
            may be no such day. ``#`` is the number of digits that an engine takes. None if there is no saying.
        sharable: Whether equal values of this type, and of all other such types, are the same value.
    """

    cls: type
    convert: One
    convert_texts: Column | None = None
    family: str = attrs.field(kw_only=True)
    kinds: tuple[str, ...] = attrs.field(kw_only=True)
    to_text: Callable[[Any], str] | None = attrs.field(default=None, kw_only=True)
    from_text: Callable[[str], Any] | None = attrs.field(default=None, kw_only=True)
    json_tag: str = attrs.field(default="", kw_only=True)
    arrow: str = attrs.field(default="", kw_only=True)
    text_pattern: str | None = attrs.field(default=None, kw_only=True)
    sharable: bool = attrs.field(default=False, kw_only=True)

    @property
    def name(self) -> str:
        """What declarations and messages call it."""
        return self.cls.__name__

    def pattern(self, digits: int = 18) -> str:
        """Return the regular expression of texts that are surely converted, for numbers of at most so many digits."""
        assert self.text_pattern is not None
        return self.text_pattern.replace("#", str(digits))


def _printed_type(cls: type, family: str) -> ScalarType:
    """Return a type of values that are texts to all stores."""
    convert = partial(_printed, cls, f"{'an' if family[0] == 'I' else 'a'} {cls.__name__}")
    tag = f"${cls.__name__.lower()}"
    alone = cls in _ADDRESSES  # two paths of Windows are equal in whatever case they are written
    return ScalarType(cls, convert, family=family, kinds=(), to_text=str, from_text=cls, json_tag=tag, sharable=alone)


_ADDRESSES = (IPv4Interface, IPv6Interface, IPv4Address, IPv6Address, IPv4Network, IPv6Network)
_TEXT_LIKE = (UUID, PurePath, *_ADDRESSES)
"""Types of which every value has one text."""
_isoformat: Callable[[Any], str] = operator.methodcaller("isoformat")
_TYPES = (
    ScalarType(str, _str, family="str", kinds=("text",), arrow="string", to_text=str.__str__, sharable=True),
    ScalarType(bool, _bool, family="number", kinds=("bool",), arrow="bool", to_text=str),
    ScalarType(
        int,
        _int,
        _ints,
        family="number",
        kinds=("int",),
        arrow="int64",
        to_text=str,
        text_pattern=_INT_TEXT,
        sharable=True,
    ),
    ScalarType(
        float,
        _float,
        _floats,
        family="number",
        kinds=("float",),
        arrow="float64",
        to_text=str,
        text_pattern=_FLOAT_TEXT,
    ),
    ScalarType(
        Decimal,
        _decimal,
        _decimals,
        family="number",
        kinds=("decimal",),
        arrow="decimal",
        to_text=str,
        from_text=_decimal_of_text,
        json_tag="$decimal",
        text_pattern=_DECIMAL_TEXT,
    ),
    ScalarType(
        datetime,
        _datetime,
        family="datetime",
        kinds=("timestamp", "instant"),
        arrow="timestamp[us]",
        to_text=_isoformat,
        from_text=datetime.fromisoformat,
        json_tag="$datetime",
        text_pattern=_DATETIME_TEXT,
    ),
    ScalarType(
        date,
        _date,
        _dates,
        family="date",
        kinds=("date",),
        arrow="date32",
        to_text=_isoformat,
        from_text=date.fromisoformat,
        json_tag="$date",
        text_pattern=_DATE_TEXT,
        sharable=True,
    ),
    ScalarType(
        time,
        _time,
        family="time",
        kinds=("time",),
        arrow="time64[us]",
        to_text=_isoformat,
        from_text=time.fromisoformat,
        json_tag="$time",
    ),
    ScalarType(
        timedelta,
        _timedelta,
        family="timedelta",
        kinds=("timedelta",),
        to_text=_text_of_timedelta,
        arrow="duration[us]",
    ),
    ScalarType(
        UUID,
        _uuid,
        family="UUID",
        kinds=("uuid",),
        to_text=str,
        from_text=UUID,
        json_tag="$uuid",
        text_pattern=_UUID_TEXT,
        sharable=True,
    ),
    ScalarType(bytes, _bytes, family="bytes", kinds=("bytes",), arrow="binary"),
    *(_printed_type(cls, cls.__name__) for cls in _ADDRESSES),
    *(_printed_type(cls, "path") for cls in (Path, PurePosixPath, PureWindowsPath, PurePath)),
)

SCALARS: Mapping[Any, ScalarType] = MappingProxyType({scalar.cls: scalar for scalar in _TYPES})
"""All of them by their Python type, a type that is derived from another one before it."""
_WITHOUT_MOMENTS = frozenset({type(None), *SCALARS} - {datetime})
TYPE_NAMES: Mapping[str, type] = MappingProxyType({scalar.cls.__name__.lower(): scalar.cls for scalar in _TYPES})
"""All of them by what they are called where no Python is written."""
KINDS: Mapping[str, ScalarType] = MappingProxyType({kind: scalar for scalar in _TYPES for kind in scalar.kinds})
"""The types of the values of columns, by what engines call these."""


def scalar_of(value: Any) -> ScalarType | None:
    """Return the type that a value, or the class that its own is derived from, is of; None for anything else."""
    found = SCALARS.get(type(value))
    return found or next((scalar for scalar in _TYPES if isinstance(value, scalar.cls)), None)
