"""Declared types in SQL: which values are surely taken, and what is equal wherever the converted values are.

SQL never converts a value that a user sees: rows that differ go through the class's own converters. Here it only says,
conservatively, that all values of a column will be taken, and that two rows cannot differ.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

__all__ = ["apart", "classes", "declared", "forms", "same_declaration", "surely"]

_INT = r"[+-]?[0-9]{1,18}"
_DECIMAL = r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?"
_FLOAT = r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?"
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_TRUTHS = "('true', 't', 'yes', 'y', 'on', '1')"
_LIES = "('false', 'f', 'no', 'n', 'off', '0')"

_SURE: Mapping[str, str] = MappingProxyType(
    {
        "str": "true",
        # What SQL writes as it was given needs no closer look, and most values are written so.
        "int": "(CASE WHEN CAST(try_cast(@ AS BIGINT) AS VARCHAR) = @ THEN true "
        f"ELSE regexp_full_match(@, '{_INT}') END)",
        "float": f"regexp_full_match(@, '{_FLOAT}')",
        "Decimal": f"regexp_full_match(@, '{_DECIMAL}')",
        "bool": f"(CASE WHEN @ IN ('0', '1') THEN true ELSE lower(@) IN {_TRUTHS} OR lower(@) IN {_LIES} END)",
        "date": "(strlen(@) = 10 AND CAST(try_cast(@ AS DATE) AS VARCHAR) = @)",
        "datetime": f"(regexp_full_match(@, '{_MOMENT}') AND @ >= '0001' AND try_cast(@ AS TIMESTAMP) IS NOT NULL)",
        "UUID": f"regexp_full_match(@, '{_UUID}')",
    }
)
"""For a text, by declared type: when it is surely taken. What this does not hold for is asked of the converter."""

_WHOLE = "try_cast(@ AS BIGINT)"
_EXACT = "try_cast(@ AS DECIMAL(38, 18))"
_TRUTH = f"(lower(@) IN {_TRUTHS})"

_FORMS: Mapping[tuple[str, str], Mapping[str, str]] = MappingProxyType(
    {
        ("text", "str"): {"text": "@"},
        ("text", "int"): {"whole": _WHOLE, "number": _EXACT},
        ("text", "Decimal"): {"number": _EXACT},
        ("text", "float"): {"float": "try_cast(@ AS DOUBLE)"},
        ("text", "bool"): {
            "bool": _TRUTH,
            "whole": f"CAST({_TRUTH} AS BIGINT)",
            "number": f"CAST({_TRUTH} AS DECIMAL(38, 18))",
        },
        ("text", "date"): {"date": "try_cast(@ AS DATE)"},
        ("text", "datetime"): {"timestamp": "try_cast(@ AS TIMESTAMP)"},
        ("text", "UUID"): {"uuid": "lower(replace(@, '-', ''))"},
        ("int", "int"): {"whole": "@", "number": "CAST(@ AS DECIMAL(38, 18))"},
        ("float", "float"): {"float": "CAST(@ AS DOUBLE)"},
        ("bool", "bool"): {"bool": "@", "whole": "CAST(@ AS BIGINT)", "number": "CAST(@ AS DECIMAL(38, 18))"},
        ("date", "date"): {"date": "@"},
        ("timestamp", "datetime"): {"timestamp": "@"},
        ("instant", "datetime"): {"instant": "@"},
        ("time", "time"): {"time": "@"},
        ("decimal", "Decimal"): {"number": "CAST(@ AS DECIMAL(38, 18))", "decimal": "@"},
        ("bytes", "bytes"): {"bytes": "@"},
        ("uuid", "UUID"): {"uuid": "replace(@, '-', '')"},
    }
)
"""For what a column holds and what is declared: by family, within which equal values have equal forms, the form."""

_NATIVE: Mapping[str, str] = MappingProxyType(
    {
        "text": "str",
        "int": "int",
        "float": "float",
        "bool": "bool",
        "date": "date",
        "timestamp": "datetime",
        "instant": "datetime",
        "time": "time",
        "decimal": "Decimal",
        "bytes": "bytes",
        "uuid": "UUID",
    }
)
"""What values are as they are, where nothing is declared."""

_WORLDS: Mapping[str, str] = MappingProxyType(dict.fromkeys(("whole", "number", "float", "bool", "decimal"), "number"))
"""Families whose values may be equal to one another, under one of them."""

_TYPES: Mapping[str, type] = MappingProxyType(
    {cls.__name__: cls for cls in (str, int, float, bool, Decimal, date, datetime, time, UUID, bytes)}
)


def declared(kind: str, converter: Any) -> tuple[str, bool]:
    """Return the name of the plain type that a column's values become, and whether None is taken as well.

    The name is empty if it is none of those known here.
    """
    if converter is None or converter.identity:
        return _NATIVE.get(kind, ""), True
    name = converter.describe.removesuffix(" | None")
    own = converter.kinds - {type(None)}  # a class of the user's may be called `date` too
    return (name if own == {_TYPES.get(name)} else ""), type(None) in converter.kinds


def present(kind: str, converter: Any, sql: str) -> str:
    """Return the expression with NULL for what a declared ``| None`` takes for missing."""
    name, optional = declared(kind, converter)
    return f"nullif({sql}, '')" if optional and kind == "text" and name != "str" else sql


def surely(kind: str, converter: Any, sql: str, *, nullable: bool = True) -> str | None:
    """Return when a value is surely taken by a declared type, as a condition; None if only the converter can tell.

    Args:
        kind: What the column holds.
        converter: That of the declared type, or None.
        sql: The value.
        nullable: Whether it may be NULL, which need not be looked for elsewhere.
    """
    if converter is None or converter.identity:
        return "true"
    name, optional = declared(kind, converter)
    if kind == "text":
        sure = _SURE.get(name)
        if sure is None:
            return None
        taken = sure.replace("@", sql)
        if name == "str":
            return "true" if optional or not nullable else f"({sql} IS NOT NULL)"
        return f"({sql} IS NULL OR {sql} = '' OR {taken})" if optional else f"({sql} IS NOT NULL AND {taken})"
    if (kind, name) in _FORMS:
        return "true" if optional or not nullable else f"({sql} IS NOT NULL)"
    return None


def forms(kind: str, converter: Any, sql: str) -> dict[str, str]:
    """Return how a column is compared, by family, the best first; nothing if SQL cannot do it as Python does.

    It holds for values that are `surely` taken; None is NULL.
    """
    name, _ = declared(kind, converter)
    given = present(kind, converter, sql)
    return {family: form.replace("@", given) for family, form in _FORMS.get((kind, name), {}).items()}


def apart(left: Iterable[str], right: Iterable[str]) -> bool:
    """Say whether no two values of these families are ever equal."""
    worlds = [{_WORLDS.get(family, family) for family in families} for families in (left, right)]
    return all(worlds) and not worlds[0] & worlds[1]


def same_declaration(left: Any, right: Any, kind: str = "text") -> bool:
    """Say whether two columns are converted in the same way, so that equal raw values give equal ones.

    Args:
        left: The converter of one column, or None.
        right: That of the other.
        kind: What both columns hold.
    """
    plain = [converter is None or converter.identity for converter in (left, right)]
    if any(plain):
        # A text is itself for `str`, too.
        return all(plain) or (kind == "text" and declared(kind, right if plain[0] else left)[0] == "str")
    return bool(_members(left.annotation) == _members(right.annotation))


def _members(annotation: Any) -> list[Any]:
    """Return what a declared type is made of, without the ``None`` of a union, which only takes what is missing."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [member for member in typing.get_args(annotation) if member is not type(None)]
    return [annotation]


def classes(*sides: tuple[Any, Sequence[Any]]) -> list[list[int]]:
    """Return a number for each value of several columns, the same for those that are equal once they are converted.

    Values that are equal may have different numbers, if they do not look it up in a dictionary.

    Args:
        sides: Of each column the converter, or None, and values that it takes.
    """
    numbers: dict[Any, int] = {}
    found = []
    for converter, values in sides:
        converted = values if converter is None else [converter.one(value) for value in values]
        names = [_NaN if value != value else value for value in converted]  # noqa: PLR0124 - only NaN differs from itself
        found.append([numbers.setdefault(name, len(numbers)) for name in names])
    return found


class _NaN:
    """Stands for every NaN, so that one finds another in a dictionary."""
