"""Conversions by declared type: what each annotation accepts, and nothing else.

Text stays text unless a type is declared. A value is taken if nothing of it is lost, and refused with a reason if not.

==================  ===================================================================================================
declared            accepted
==================  ===================================================================================================
str                 text; int, finite Decimal, UUID, date and datetime as their canonical text
int                 int; integral float up to 2**53; integral Decimal; ASCII digits with an optional sign
float               float; int if exact; Decimal; decimal or exponent text; ``nan``, ``inf`` and ``-inf`` in any case
bool                bool; 0 and 1; true/false, t/f, yes/no, y/n, on/off, 1/0 as text in any case
Decimal             finite Decimal; int; decimal or exponent text
date                date; naive datetime at midnight; text YYYY-MM-DD
datetime            datetime; text YYYY-MM-DD, ``T`` or a blank, HH:MM[:SS[.ffffff]] and an optional offset or ``Z``
time                time; text as behind the ``T`` of a datetime
timedelta, bytes    timedelta; bytes, bytearray and memoryview
UUID                UUID; its text, with or without hyphens
an Enum, Literal    a member; its value, which text is converted for; for an Enum the member's name
T | None            None; empty text, unless T takes that itself; else what T accepts
S | T               what has exactly one of these types; else the first that accepts it, str last
set, frozenset,     a set, frozenset, list or tuple of what the element type accepts; any other single value is one
list                member; empty text and None are no members. A new container for each object
tuple               tuple or list, each value by the type in its place
dict, Mapping       a mapping, copied
Any, object         everything, as it is
any other class     its instances
==================  ===================================================================================================

``Annotated``, ``NewType``, ``Final`` and type aliases stand for what they are made of; a ``TypeVar`` for Any.
"""

from __future__ import annotations

import collections.abc
import math
import operator
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain, islice, repeat
from reprlib import Repr
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import attrs

from datastoresync.errors import DeclarationError

__all__ = ["Converter", "converter"]

_One = Callable[[Any], Any]
_Column = Callable[[Sequence[Any]], Sequence[Any]]

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
_TRUTHS = types.MappingProxyType(
    dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True)
    | dict.fromkeys(("false", "f", "no", "n", "off", "0"), False)
)
_SHARABLE = frozenset({str, int, date, UUID, type(None)})
"""Types whose values are the same wherever they are equal, within one type and between any two of them."""
_FAMILIES: Mapping[type, type] = types.MappingProxyType(
    dict.fromkeys((bool, int, float, Decimal), float) | dict.fromkeys((set, frozenset, list), set)
)
"""Types whose values may be equal to one another, under one of them."""


@attrs.frozen(eq=False, repr=False)
class Converter:
    """Converts what a store delivers to a declared type.

    Args:
        annotation: What was declared.
        describe: The declared type as a person would write it: ``date | None``.
        one: Converts one value; raises ValueError or TypeError with the reason if the type cannot take it.
        column: Converts many values in as few calls as possible. It gives what ``one`` gives for each, may give the
            values themselves back, and raises ValueError or TypeError if any is refused.
        kinds: The types whose values need no conversion.
        membership: Whether the type is a set, a frozenset or a list, or one of these or None.
        identity: Whether every value passes through as it is.
        flexible: Whether values of types that can never be equal are declared, as in ``int | str``. Any declares
            nothing, so that text on one side and numbers on the other are still noticed.
        sharable: Whether equal texts may be given one and the same converted value.
    """

    annotation: Any
    describe: str
    one: _One
    column: _Column
    kinds: frozenset[type] = frozenset()
    membership: bool = False
    identity: bool = False
    flexible: bool = False
    sharable: bool = True

    def __repr__(self) -> str:
        return f"<Converter: {self.describe}>"


def converter(annotation: Any) -> Converter:
    """Return the converter for a declared type.

    Raises:
        DeclarationError: if values cannot be told to be of that type: an unresolved name, a plain ``Protocol``.

    >>> converter(int | None).one("007")
    7
    >>> converter(set[int]).one(["1", "2", "1"])
    {1, 2}
    >>> list(converter(bool).column(["yes", "no"]))
    [True, False]
    >>> converter(int).one("7.5")
    Traceback (most recent call last):
    ...
    ValueError: '7.5' is not an int: only ASCII digits with an optional sign
    """
    plain = _unwrapped(annotation)
    origin = get_origin(plain) or plain
    if plain is Any or plain is object:
        return Converter(annotation, "Any", _same, _same, identity=True)
    if origin is Union or origin is types.UnionType:
        return attrs.evolve(_union(annotation, get_args(plain)), annotation=annotation)
    if origin is Literal:
        return _literal(annotation, get_args(plain))
    return _of_class(annotation, plain, origin) if isinstance(origin, type) else _instance(annotation, origin)


def _of_class(annotation: Any, plain: Any, cls: type) -> Converter:
    if cls in _CONTAINERS:
        return _container(annotation, _CONTAINERS[cls], get_args(plain))
    if cls is tuple:
        return _tuple(annotation, plain)
    if cls in (dict, collections.abc.Mapping, collections.abc.MutableMapping) or typing.is_typeddict(cls):
        return _mapping(annotation)
    if cls in _SCALARS:
        return _scalar(annotation, cls)
    if issubclass(cls, Enum):
        return _enum(annotation, cls)
    return _instance(annotation, cls)


def _unwrapped(annotation: Any) -> Any:
    """Return what an annotation stands for, without the names and notes around it."""
    while True:
        origin = get_origin(annotation)
        if origin is typing.Annotated or origin is Final:
            annotation = get_args(annotation)[0]
        elif annotation is Final or isinstance(annotation, TypeVar):
            return Any
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif type(origin).__name__ == "TypeAliasType":
            annotation = origin.__value__[get_args(annotation)]
        else:
            return annotation


def _same(value: Any) -> Any:
    return value


def _shown(value: Any) -> str:
    """Return a short repr of any value at all."""
    short = Repr()
    short.maxstring = short.maxother = 60
    try:
        return short.repr(value)
    except ValueError:  # the digits of a very long int are not shown by Python itself
        return f"a very long {type(value).__name__}"


def _refused(value: Any, target: str, reason: str) -> ValueError:
    return ValueError(f"{_shown(value)} is not {target}: {reason}")


def _only(text: str, characters: bytes) -> bool:
    return text.isascii() and not text.encode().translate(None, characters)


def _is_int(value: Any) -> bool:
    """Whether a value is a whole number of any library, and not a bool."""
    return hasattr(type(value), "__index__") and not isinstance(value, bool)


# One value -----------------------------------------------------------------------------------------------------------


def _str(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if _is_int(value):
        with suppress(ValueError):
            return str(operator.index(value))
        raise _refused(value, "text", "it has too many digits")
    if isinstance(value, UUID) or (isinstance(value, Decimal) and value.is_finite()):
        return str(value)
    if isinstance(value, date) and value == value:  # noqa: PLR0124 - pandas' NaT is a date that differs from itself
        return value.isoformat()
    raise _refused(value, "text", f"{type(value).__name__} has no canonical text")


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
    raise _refused(value, "an int", reason)


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
    raise _refused(value, "a float", reason)


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
    raise _refused(value, "a bool", "only true/false, t/f, yes/no, y/n, on/off and 1/0")


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
    raise _refused(value, "a Decimal", reason)


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
    raise _refused(value, "a date", reason)


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
    raise _refused(value, "a datetime", reason)


def _time(value: Any) -> time:
    reason = "only HH:MM[:SS[.ffffff]] and an optional offset or 'Z'"
    if isinstance(value, time):
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        with suppress(ValueError):
            return time.fromisoformat(value)
        reason = "there is no such offset"
    raise _refused(value, "a time", reason)


def _timedelta(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    raise _refused(value, "a timedelta", "only timedelta objects, since durations have no one text form")


def _uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value)
    raise _refused(value, "a UUID", "only 32 hexadecimal digits, with or without hyphens")


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise _refused(value, "bytes", "only bytes, bytearray and memoryview")


_SCALARS: Mapping[Any, tuple[str, _One, _Column | None]] = types.MappingProxyType(
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

_CONTAINERS: Mapping[Any, type] = types.MappingProxyType(
    {
        set: set,
        collections.abc.Set: set,
        collections.abc.MutableSet: set,
        frozenset: frozenset,
        list: list,
        collections.abc.Sequence: list,
        collections.abc.MutableSequence: list,
    }
)


# Whole columns -------------------------------------------------------------------------------------------------------


def _each(one: _One, values: Sequence[Any], kinds: set[type]) -> list[Any]:
    """Convert each value, or each distinct one if most are there several times."""
    if kinds <= _SHARABLE:
        distinct = set(values)
        if len(distinct) * 2 <= len(values):
            table = {value: one(value) for value in distinct}
            return list(map(table.__getitem__, values))
    return list(map(one, values))


def _varied(kinds: Iterable[type]) -> bool:
    return len({_FAMILIES.get(kind, kind) for kind in kinds}) > 1


def _scalar(annotation: Any, cls: Any) -> Converter:
    name, one, many = _SCALARS[cls]

    def column(values: Sequence[Any]) -> Sequence[Any]:
        kinds = set(map(type, values))
        if kinds <= {cls} and (cls is not Decimal or all(map(Decimal.is_finite, values))):
            return values
        if many is not None and kinds == {str}:
            with suppress(ValueError, ArithmeticError):  # `one` will say which value it is, and why
                return many(values)
        return _each(one, values, kinds)

    return Converter(annotation, name, one, column, frozenset({cls}))


def _choice(
    annotation: Any, describe: str, choices: Sequence[tuple[Any, Any]], cls: Any, names: Mapping[str, Any]
) -> Converter:
    """Return a converter to one of several results, each known by a value and perhaps by a name."""
    through = [_SCALARS[kind][1] for kind in dict.fromkeys(type(value) for value, _ in choices) if kind in _SCALARS]

    def readings(value: Any) -> Iterator[Any]:
        yield value
        for one in through:
            with suppress(ValueError):
                yield one(value)

    def one(value: Any) -> Any:
        if cls is not None and isinstance(value, cls):
            return value
        for reading in readings(value):
            for own, result in choices:
                if type(own) is type(reading) and own == reading:
                    return result
        if isinstance(value, str) and value in names:
            return names[value]
        known = ", ".join(repr(own) for own, _ in choices[:10]) + (", …" if len(choices) > 10 else "")
        raise _refused(value, describe, f"only {known}")

    kinds = frozenset({cls} if cls is not None else {type(own) for own, _ in choices})
    return Converter(
        annotation,
        describe,
        one,
        lambda values: _each(one, values, set(map(type, values))),
        kinds,
        flexible=_varied(kinds),
    )


def _enum(annotation: Any, cls: type[Enum]) -> Converter:
    members = cls.__members__
    return _choice(annotation, cls.__name__, [(member.value, member) for member in members.values()], cls, members)


def _literal(annotation: Any, values: tuple[Any, ...]) -> Converter:
    given = [value for value in values if value is not None]
    if not given:
        return _instance(annotation, type(None))
    describe = f"Literal[{', '.join(map(repr, given))}]"
    chosen = _choice(annotation, describe, [(value, value) for value in given], None, {})
    return chosen if len(given) == len(values) else _optional(annotation, chosen)


# Types made of types -------------------------------------------------------------------------------------------------


def _union(annotation: Any, members: Sequence[Any]) -> Converter:
    arms = [converter(member) for member in members if member is not type(None)]
    if len(arms) < len(members):
        return _optional(annotation, arms[0] if len(arms) == 1 else _either(annotation, arms))
    return _either(annotation, arms)


def _optional(annotation: Any, inner: Converter) -> Converter:
    if inner.identity:
        return inner
    empty_too = True
    if not inner.membership:
        with suppress(ValueError, TypeError):
            inner.one("")
            empty_too = False

    def is_missing(value: Any) -> bool:
        return value is None or (empty_too and isinstance(value, str) and not value)

    def one(value: Any) -> Any:
        return None if is_missing(value) else inner.one(value)

    def column(values: Sequence[Any]) -> Sequence[Any]:
        kinds = set(map(type, values))
        if kinds == {str} and not (empty_too and "" in values):
            return inner.column(values)
        missing = list(map(is_missing, values))
        if True not in missing:
            return inner.column(values)
        converted = iter(inner.column([value for value, none in zip(values, missing, strict=True) if not none]))
        return [None if none else next(converted) for none in missing]

    return attrs.evolve(
        inner,
        annotation=annotation,
        describe=f"{inner.describe} | None",
        one=one,
        column=column,
        kinds=inner.kinds | {type(None)},
    )


def _either(annotation: Any, arms: Sequence[Converter]) -> Converter:
    describe = " | ".join(arm.describe for arm in arms)
    ordered = sorted(arms, key=lambda arm: arm.describe == "str")
    sharable = all(arm.sharable for arm in arms)

    def one(value: Any) -> Any:
        reasons: dict[str, str] = {}
        exact = [arm for arm in arms if type(value) in arm.kinds]
        for arm in (*exact, *ordered):
            try:
                return arm.one(value)
            except (ValueError, TypeError) as error:
                reasons[arm.describe] = str(error)
        raise _refused(value, describe, "; ".join(reasons.values()))

    def column(values: Sequence[Any]) -> Sequence[Any]:
        return _each(one, values, set(map(type, values))) if sharable else list(map(one, values))

    kinds = frozenset(chain.from_iterable(arm.kinds for arm in arms))
    return Converter(
        annotation,
        describe,
        one,
        column,
        kinds,
        membership=all(arm.membership for arm in arms),
        flexible=_varied(kinds - {type(None)}) or any(arm.flexible for arm in arms),
        sharable=sharable,
    )


def _container(annotation: Any, cls: type, arguments: Sequence[Any]) -> Converter:
    element = converter(arguments[0] if arguments else Any)
    describe = cls.__name__ + (f"[{element.describe}]" if arguments else "")

    def members(value: Any) -> Sequence[Any] | set[Any] | frozenset[Any]:
        if isinstance(value, (set, frozenset, list, tuple)):
            return value
        if value is None or (isinstance(value, str) and not value):
            return ()
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, memoryview)):
            raise _refused(value, describe, f"{type(value).__name__} is neither a list or set nor a single member")
        return (value,)

    def one(value: Any) -> Any:
        return cls(map(element.one, members(value)))

    def column(values: Sequence[Any]) -> list[Any]:
        if set(map(type, values)) == {str} and "" not in values:
            return list(map(cls, zip(element.column(values), strict=True)))
        parts = list(map(members, values))
        converted = iter(element.column(list(chain.from_iterable(parts))))
        return list(map(cls, map(islice, repeat(converted), map(len, parts))))

    return Converter(
        annotation,
        describe,
        one,
        column,
        frozenset({cls}),
        membership=True,
        flexible=element.flexible,
        sharable=False,
    )


def _tuple(annotation: Any, plain: Any) -> Converter:
    arguments = getattr(plain, "__args__", (Any, ...))
    variadic = len(arguments) == 2 and arguments[1] is ...
    elements = [converter(argument) for argument in (arguments[:1] if variadic else arguments)]
    inside = ", ".join(element.describe for element in elements) or "()"
    describe = f"tuple[{inside}{', ...' if variadic else ''}]" if hasattr(plain, "__args__") else "tuple"

    def one(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (tuple, list)):
            raise _refused(value, describe, "only a tuple or a list")
        if variadic:
            return tuple(map(elements[0].one, value))
        if len(value) != len(elements):
            raise _refused(value, describe, f"it has {len(value)} values instead of {len(elements)}")
        return tuple(element.one(item) for element, item in zip(elements, value, strict=True))

    return Converter(annotation, describe, one, lambda values: list(map(one, values)), frozenset({tuple}))


def _mapping(annotation: Any) -> Converter:
    def one(value: Any) -> dict[Any, Any]:
        if isinstance(value, collections.abc.Mapping):
            return dict(value)
        raise _refused(value, "a dict", "only a mapping")

    kinds: frozenset[type] = frozenset({dict})
    return Converter(annotation, "dict", one, lambda values: list(map(one, values)), kinds, sharable=False)


def _instance(annotation: Any, cls: Any) -> Converter:
    """Return a converter that takes the instances of any other class, and nothing else."""
    cls = type(None) if cls is None else cls
    try:
        isinstance(None, cls)
    except TypeError as error:
        message = f"{annotation!r} is no type that a value can be checked against: declare a class, or Any"
        raise DeclarationError(message) from error
    describe = "None" if cls is type(None) else cls.__name__

    def one(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        raise _refused(value, describe, f"{type(value).__name__} is not accepted")

    def column(values: Sequence[Any]) -> Sequence[Any]:
        return values if set(map(type, values)) <= {cls} else list(map(one, values))

    return Converter(annotation, describe, one, column, frozenset({cls}))
