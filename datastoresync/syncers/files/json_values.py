"""Values that JSON has no words for, as objects that say what they are; and back again."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from datastoresync.errors import SyncerError

__all__ = ["decoded", "encoded", "json_text"]

_PLAIN = (type(None), bool, int, float, str)


def json_text(value: Any) -> str:
    """Return the JSON of a value that `encoded` gave, on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encoded(value: Any) -> Any:
    """Return a value in the terms of JSON: whatever it lacks is an object of one key that begins with a dollar sign.

    =============================  ===================================================================================
    ``Decimal("1.10")``            ``{"$decimal": "1.10"}``
    ``date``, ``datetime``         ``{"$date": "2024-01-02"}``, ``{"$datetime": …}``, as ISO 8601
    ``time``, ``timedelta``        ``{"$time": …}``; ``{"$timedelta": [days, seconds, microseconds]}``
    ``bytes``, ``UUID``            ``{"$bytes": base64}``, ``{"$uuid": …}``
    ``tuple``, ``set``             ``{"$tuple": […]}``, ``{"$set": […]}``, ``{"$frozenset": […]}``; sets are sorted
    NaN and infinity               ``{"$float": "nan"}``, ``{"$float": "inf"}``, ``{"$float": "-inf"}``
    ``{"$date": 1}``, an object    ``{"$object": {"$date": 1}}``; with a tag that is none of these, it stays as it is
    =============================  ===================================================================================

    An enum member becomes its value.

    Raises:
        SyncerError: It is of another type, or holds an integer or a text that cannot be written.
    """
    kind = type(value)
    if kind is str:
        _check_text(value)
        return value
    if value is None or kind is bool:
        return value
    if isinstance(value, Enum):
        return encoded(value.value)
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        return _collection(value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return encoded(str.__str__(value))
    if isinstance(value, int):
        try:
            str(int(value))
        except ValueError:
            message = "an integer has too many digits to be written: see sys.set_int_max_str_digits"
            raise SyncerError(message) from None
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, timedelta):
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}
    for family, tag, text in _AS_TEXT:
        if isinstance(value, family):
            return {tag: text(value)}
    message = f"JSON cannot hold a {type(value).__name__}: make it a text, a number, a list or a dictionary first"
    raise SyncerError(message)


def _collection(value: Any) -> Any:
    if isinstance(value, list):
        return [encoded(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [encoded(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        tag = "$set" if isinstance(value, set) else "$frozenset"
        return {tag: sorted((encoded(item) for item in value), key=json_text)}
    if odd := [key for key in value if not isinstance(key, str)]:
        message = f"a dictionary has a key that is {type(odd[0]).__name__}, and those of JSON are text"
        raise SyncerError(message)
    for key in value:
        _check_text(key)
    plain = {key: encoded(item) for key, item in value.items()}
    return {"$object": plain} if _is_tagged(plain) else plain


def _check_text(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        raise SyncerError(message) from None


def _is_tagged(found: Mapping[str, Any]) -> bool:
    """Whether an object has one key, which says what it is."""
    return len(found) == 1 and next(iter(found)) in _READ


def decoded(value: Any) -> Any:
    """Return the value that `encoded` made this of. An object with a tag that is none of those stays as it is.

    Raises:
        ValueError: A tag has a content that cannot be its own.
    """
    kind = type(value)
    if kind is list:
        return [item if type(item) in _PLAIN else decoded(item) for item in value]
    if kind is not dict:
        return value
    if not _is_tagged(value):
        return {key: item if type(item) in _PLAIN else decoded(item) for key, item in value.items()}
    ((tag, content),) = value.items()
    try:
        return _READ[tag](content)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        message = f"what {tag!r} holds is not what it says"
        raise ValueError(message) from None


def _object(content: Any) -> dict[str, Any]:
    return {key: decoded(item) for key, item in content.items()}


def _float(content: Any) -> float:
    found = float(content)
    if math.isfinite(found) or not isinstance(content, str):
        raise ValueError
    return found


def _items(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise TypeError
    return [decoded(item) for item in content]


def _decimal(content: Any) -> Decimal:
    if not isinstance(content, str):
        raise TypeError
    return Decimal(content)


_AS_TEXT: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    (datetime, "$datetime", datetime.isoformat),
    (date, "$date", date.isoformat),
    (time, "$time", time.isoformat),
    (Decimal, "$decimal", str),
    (UUID, "$uuid", str),
    (bytes, "$bytes", lambda value: base64.b64encode(value).decode()),
)
_READ: Mapping[str, Callable[[Any], Any]] = {
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$decimal": _decimal,
    "$uuid": UUID,
    "$bytes": lambda content: base64.b64decode(content, validate=True),
    "$timedelta": lambda content: timedelta(*content),
    "$float": _float,
    "$tuple": lambda content: tuple(_items(content)),
    "$set": lambda content: set(_items(content)),
    "$frozenset": lambda content: frozenset(_items(content)),
    "$object": _object,
}
