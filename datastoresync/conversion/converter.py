"""What converts to a declared type, and how it is made for types that are not made of others."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

from datastoresync.conversion.scalars import SCALARS, Column, One, refused
from datastoresync.errors import DeclarationError

__all__ = [
    "Converter",
    "choice_converter",
    "each",
    "enum_converter",
    "instance_converter",
    "mapping_converter",
    "scalar_converter",
    "varied",
]

_SHARABLE = frozenset({str, int, date, UUID, type(None)})
"""Types whose values are the same wherever they are equal, within one type and between any two of them."""
_FAMILIES: Mapping[type, type] = MappingProxyType(
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
    name, one, many = SCALARS[cls]

    def column(values: Sequence[Any]) -> Sequence[Any]:
        kinds = set(map(type, values))
        if kinds <= {cls} and (cls is not Decimal or all(map(Decimal.is_finite, values))):
            return values
        if many is not None and kinds == {str}:
            with suppress(ValueError, ArithmeticError):  # `one` will say which value it is, and why
                return many(values)
        return each(one, values, kinds)

    return Converter(annotation, name, one, column, frozenset({cls}))


def choice_converter(
    annotation: Any, describe: str, choices: Sequence[tuple[Any, Any]], cls: Any, names: Mapping[str, Any]
) -> Converter:
    """Return a converter to one of several results, each known by a value and perhaps by a name."""
    through = [SCALARS[kind][1] for kind in dict.fromkeys(type(value) for value, _ in choices) if kind in SCALARS]

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
            return dict(value)
        raise refused(value, "a dict", "only a mapping")

    kinds: frozenset[type] = frozenset({dict})
    return Converter(annotation, "dict", one, lambda values: list(map(one, values)), kinds, sharable=False)


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
