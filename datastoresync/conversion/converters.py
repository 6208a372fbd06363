"""Converters by declared type.

Text stays text unless a type is declared. A value is taken if nothing of it is lost, and refused with a reason if not.

==================  ===================================================================================================
declared            accepted
==================  ===================================================================================================
str                 text; int, finite Decimal, UUID, date, datetime, paths and IP addresses as their canonical text
int                 int; integral float up to 2**53; integral Decimal; ASCII digits with an optional sign
float               float; int if exact; Decimal; decimal or exponent text; ``nan``, ``inf`` and ``-inf`` in any case
bool                bool; 0 and 1; true/false, t/f, yes/no, y/n, on/off, 1/0 as text in any case
Decimal             finite Decimal; int; decimal or exponent text
date                date; naive datetime at midnight; text YYYY-MM-DD
datetime            datetime; text YYYY-MM-DD, ``T`` or a blank, HH:MM[:SS[.ffffff]] and an optional offset or ``Z``
time                time; timedelta of less than a day; text as behind the ``T`` of a datetime
timedelta           timedelta; time without a time zone, since midnight; text as P1DT2H3M4.5S or as 1 day, 2:03:04.5
bytes               bytes, bytearray and memoryview
UUID                UUID; its text, with or without hyphens
IPv4Address, …      an address, interface or network of just this class of ``ipaddress``; its text
Path, PurePath, …   a path; text, unless it is empty
an Enum, Literal    a member; its value, which text is converted for; for an Enum the member's name
T | None            None; empty text, unless T takes that itself; else what T accepts
S | T               what has exactly one of these types; else the first that accepts it, str last
set, frozenset,     a set, frozenset, list or tuple of what the element type accepts; any other single value is one
list                member; empty text and None are no members. A new container for each object
tuple               tuple or list, each value by the type in its place
dict, Mapping       a mapping, copied
a TypedDict         a mapping that has its required keys and no strange ones, copied, each value by its type
Any, object         everything, as it is
any other class     its instances
==================  ===================================================================================================

``Annotated``, ``NewType``, ``Final`` and type aliases stand for what they are made of; a ``TypeVar`` for Any.
A time zone becomes the offset that a moment has in it, as Python compares, hashes and sorts only such by instant.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from functools import cache
from itertools import chain, islice, repeat
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

import attrs

from datastoresync.conversion.scalars import SCALARS, Column, One, by_instant, instants, refused
from datastoresync.errors import DeclarationError
from datastoresync.spelling import nearest

_SHARABLE = frozenset({type(None), *(cls for cls, scalar in SCALARS.items() if scalar.sharable)})
"""Types whose values are the same wherever they are equal, within one type and between any two of them."""
_FAMILIES: Mapping[type, str] = MappingProxyType(
    {cls: scalar.family for cls, scalar in SCALARS.items()} | dict.fromkeys((set, frozenset, list), "membership")
)
"""The families of types: values of one may be equal to one another."""


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
    one: One
    column: Column
    kinds: frozenset[type] = frozenset()
    membership: bool = False
    identity: bool = False
    flexible: bool = False
    sharable: bool = True

    def __repr__(self) -> str:
        return f"<Converter: {self.describe}>"


def each(one: One, values: Sequence[Any], kinds: set[type]) -> list[Any]:
    """Convert each value, or each distinct one if most are there several times."""
    if kinds <= _SHARABLE:
        distinct = set(values)
        if len(distinct) * 2 <= len(values):
            table = {value: one(value) for value in distinct}
            return list(map(table.__getitem__, values))
    return list(map(one, values))


def varied(kinds: Iterable[type]) -> bool:
    """Say whether some of the types can never be equal."""
    return len({_FAMILIES.get(kind, kind) for kind in kinds}) > 1


def scalar_converter(annotation: Any, cls: Any) -> Converter:
    """Return the converter to one of `SCALARS`."""
    scalar = SCALARS[cls]
    one, many = scalar.convert, scalar.convert_texts

    def column(values: Sequence[Any]) -> Sequence[Any]:
        kinds = set(map(type, values))
        if kinds <= {cls} and (cls is not Decimal or all(map(Decimal.is_finite, values))):
            return instants(values)
        if many is not None and kinds == {str}:
            with suppress(ValueError, ArithmeticError):  # `one` will say which value it is, and why
                return many(values)
        return each(one, values, kinds)

    return Converter(annotation, scalar.name, one, column, frozenset({cls}))


def declared_scalar(converter: Converter) -> str:
    """Return the name of the scalar type that a converter converts to, None aside; empty if it is none.

    >>> declared_scalar(converter(int | None)), declared_scalar(converter(int | str))
    ('int', '')
    """
    kinds = converter.kinds - {type(None)}
    scalar = SCALARS.get(next(iter(kinds))) if len(kinds) == 1 else None
    # A Literal and a class of the user's that is called `date` have other names or types.
    return scalar.name if scalar and converter.describe.removesuffix(" | None") == scalar.name else ""


def choice_converter(
    annotation: Any, describe: str, choices: Sequence[tuple[Any, Any]], cls: Any, names: Mapping[str, Any]
) -> Converter:
    """Return a converter to one of several results, each known by a value and perhaps by a name."""
    through = [SCALARS[kind].convert for kind in dict.fromkeys(type(value) for value, _ in choices) if kind in SCALARS]

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
        raise refused(value, describe, f"only {known}")

    kinds = frozenset({cls} if cls is not None else {type(own) for own, _ in choices})
    return Converter(
        annotation,
        describe,
        one,
        lambda values: each(one, values, set(map(type, values))),
        kinds,
        flexible=varied(kinds),
    )


def enum_converter(annotation: Any, cls: type[Enum]) -> Converter:
    """Return the converter to the members of an Enum."""
    members = cls.__members__
    return choice_converter(
        annotation, cls.__name__, [(member.value, member) for member in members.values()], cls, members
    )


def mapping_converter(annotation: Any) -> Converter:
    """Return the converter that copies mappings."""

    def one(value: Any) -> dict[Any, Any]:
        if isinstance(value, collections.abc.Mapping):
            return dict(by_instant(dict(value)))
        raise refused(value, "a dict", "only a mapping")

    return Converter(annotation, "dict", one, lambda values: list(map(one, values)), frozenset({dict}), sharable=False)


def typed_dict_converter(annotation: Any, cls: Any) -> Converter:
    """Return the converter to a TypedDict, of ``typing`` or of ``typing_extensions``."""

    @cache
    def keys() -> tuple[Mapping[str, Converter], frozenset[str]]:
        """Return the converters of its values, which may be of the same TypedDict, and the keys that must be there."""
        try:
            hints = typing.get_type_hints(cls, include_extras=True)
        except NameError as error:
            message = f"{cls.__name__}: {error}; a TypedDict needs types that its module has at run time"
            raise DeclarationError(message) from error
        # Where annotations are texts, `__required_keys__` passes over their marks.
        marks = {name: str(get_origin(hint)) for name, hint in hints.items()}
        required = {name for name in cls.__required_keys__ if not marks[name].endswith(".NotRequired")}
        required |= {name for name, mark in marks.items() if mark.endswith(".Required")}
        return {name: converter(hint) for name, hint in hints.items()}, frozenset(required)

    def one(value: Any) -> dict[str, Any]:
        if not isinstance(value, collections.abc.Mapping):
            raise refused(value, cls.__name__, "only a mapping")
        converters, required = keys()
        if missing := sorted(required - value.keys()):
            raise refused(value, cls.__name__, f"it has no {missing[0]!r}")
        made: dict[str, Any] = {}
        for name, own in value.items():
            if name not in converters:
                raise refused(value, cls.__name__, f"it has {name!r}: {nearest(name, converters)}")
            try:
                made[name] = converters[name].one(own)
            except (ValueError, TypeError) as error:
                raise refused(value, cls.__name__, f"{name}: {error}") from None
        return made

    return Converter(
        annotation, cls.__name__, one, lambda values: list(map(one, values)), frozenset({dict}), sharable=False
    )


def instance_converter(annotation: Any, cls: Any) -> Converter:
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
        raise refused(value, describe, f"{type(value).__name__} is not accepted")

    def column(values: Sequence[Any]) -> Sequence[Any]:
        return values if set(map(type, values)) <= {cls} else list(map(one, values))

    return Converter(annotation, describe, one, column, frozenset({cls}))


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
        return Converter(annotation, "Any", by_instant, instants, identity=True)
    if origin is Union or origin is types.UnionType:
        return attrs.evolve(_union(annotation, get_args(plain)), annotation=annotation)
    if origin is Literal:
        return _literal(annotation, get_args(plain))
    return _of_class(annotation, plain, origin) if isinstance(origin, type) else instance_converter(annotation, origin)


def _of_class(annotation: Any, plain: Any, cls: type) -> Converter:
    if cls in _CONTAINERS:
        return _container(annotation, _CONTAINERS[cls], get_args(plain))
    if cls is tuple:
        return _tuple(annotation, plain)
    if cls in (dict, collections.abc.Mapping, collections.abc.MutableMapping):
        return mapping_converter(annotation)
    if "__required_keys__" in vars(cls):
        return typed_dict_converter(annotation, cls)
    if cls in SCALARS:
        return scalar_converter(annotation, cls)
    if issubclass(cls, Enum):
        return enum_converter(annotation, cls)
    return instance_converter(annotation, cls)


_KEY_MARKS: Final = (".Required", ".NotRequired", ".ReadOnly")
"""The marks of the keys of a TypedDict, of ``typing`` or of ``typing_extensions``."""


def _unwrapped(annotation: Any) -> Any:
    """Return what an annotation stands for, without the names and notes around it."""
    while True:
        origin = get_origin(annotation)
        if origin is typing.Annotated or origin is Final or str(origin).endswith(_KEY_MARKS):
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


def _literal(annotation: Any, values: tuple[Any, ...]) -> Converter:
    given = [value for value in values if value is not None]
    if not given:
        return instance_converter(annotation, type(None))
    describe = f"Literal[{', '.join(map(repr, given))}]"
    chosen = choice_converter(annotation, describe, [(value, value) for value in given], None, {})
    return chosen if len(given) == len(values) else _optional(annotation, chosen)


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
        raise refused(value, describe, "; ".join(reasons.values()))

    def column(values: Sequence[Any]) -> Sequence[Any]:
        return each(one, values, set(map(type, values))) if sharable else list(map(one, values))

    kinds = frozenset(chain.from_iterable(arm.kinds for arm in arms))
    return Converter(
        annotation,
        describe,
        one,
        column,
        kinds,
        membership=all(arm.membership for arm in arms),
        flexible=varied(kinds - {type(None)}) or any(arm.flexible for arm in arms),
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
            raise refused(value, describe, f"{type(value).__name__} is neither a list or set nor a single member")
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
            raise refused(value, describe, "only a tuple or a list")
        if variadic:
            return tuple(map(elements[0].one, value))
        if len(value) != len(elements):
            raise refused(value, describe, f"it has {len(value)} values instead of {len(elements)}")
        return tuple(element.one(item) for element, item in zip(elements, value, strict=True))

    return Converter(annotation, describe, one, lambda values: list(map(one, values)), frozenset({tuple}))
