"""Declared types in SQL: which values are surely taken, and what is equal wherever the converted values are.

SQL never converts a value that a user sees: rows that differ go through the class's own converters. Here it only says,
conservatively, that all values of a column will be taken, and that two rows cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

__all__ = ["Form", "form", "same_declaration", "surely"]

_INT = r"[+-]?[0-9]{1,18}"
_DECIMAL = r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?"
_FLOAT = r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TRUTHS = "('true', 't', 'yes', 'y', 'on', '1')"
_LIES = "('false', 'f', 'no', 'n', 'off', '0')"

_SURE: Mapping[str, str] = MappingProxyType(
    {
        "str": "true",
        "Any": "true",
        "int": f"regexp_full_match(@, '{_INT}')",
        "float": f"regexp_full_match(@, '{_FLOAT}')",
        "Decimal": f"regexp_full_match(@, '{_DECIMAL}')",
        "bool": f"(lower(@) IN {_TRUTHS} OR lower(@) IN {_LIES})",
        "date": f"(regexp_full_match(@, '{_DATE}') AND @ >= '0001' AND try_cast(@ AS DATE) IS NOT NULL)",
    }
)
"""For a text, by declared type: when it is surely taken. What this does not hold for is asked of the converter."""

_CANONICAL: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        ("text", "str"): ("text", "@"),
        ("text", "Any"): ("text", "@"),
        ("text", "int"): ("number", "CAST(CAST(@ AS BIGINT) AS DECIMAL(38, 18))"),
        ("text", "Decimal"): ("number", "CAST(@ AS DECIMAL(38, 18))"),
        ("text", "float"): ("float", "CAST(@ AS DOUBLE)"),
        ("text", "bool"): ("bool", f"(lower(@) IN {_TRUTHS})"),
        ("text", "date"): ("date", "CAST(@ AS DATE)"),
        ("int", "int"): ("number", "CAST(@ AS DECIMAL(38, 18))"),
        ("int", "Any"): ("number", "CAST(@ AS DECIMAL(38, 18))"),
        ("float", "float"): ("float", "CAST(@ AS DOUBLE)"),
        ("float", "Any"): ("float", "CAST(@ AS DOUBLE)"),
        ("bool", "bool"): ("bool", "@"),
        ("bool", "Any"): ("bool", "@"),
        ("date", "date"): ("date", "@"),
        ("date", "Any"): ("date", "@"),
        ("timestamp", "datetime"): ("timestamp", "@"),
        ("timestamp", "Any"): ("timestamp", "@"),
        ("instant", "datetime"): ("instant", "@"),
        ("instant", "Any"): ("instant", "@"),
        ("time", "time"): ("time", "@"),
        ("time", "Any"): ("time", "@"),
        ("decimal", "Decimal"): ("decimal", "@"),
        ("decimal", "Any"): ("decimal", "@"),
        ("bytes", "bytes"): ("bytes", "@"),
        ("bytes", "Any"): ("bytes", "@"),
    }
)
"""For what a column holds and what is declared: the family, within which equal values have equal forms, and the form."""

FAMILIES: Mapping[str, str] = MappingProxyType({"number": "number", "float": "number", "decimal": "number"})


@attrs.frozen
class Form:
    """How a column is compared in SQL.

    Args:
        family: Only forms of one family can be compared.
        sql: An expression that has equal values only where the converted values are equal.
    """

    family: str
    sql: str


def _declared(converter: Any) -> tuple[str, bool]:
    """Return the declared type without its ``| None``, and whether that was there."""
    if converter is None:
        return "Any", False
    describe: str = converter.describe
    return (describe.removesuffix(" | None"), True) if describe.endswith(" | None") else (describe, False)


def present(kind: str, converter: Any, sql: str) -> str:
    """Return the expression with NULL for what a declared ``| None`` takes for missing."""
    name, optional = _declared(converter)
    return f"nullif({sql}, '')" if optional and kind == "text" and name != "str" else sql


def surely(kind: str, converter: Any, sql: str) -> str | None:
    """Return when a value is surely taken by a declared type, as a condition; None if only the converter can tell."""
    name, optional = _declared(converter)
    if name == "Any":
        return "true"
    if kind == "text":
        sure = _SURE.get(name)
        taken = None if sure is None else sure.replace("@", sql)
        if taken is not None and optional:
            empty = "" if name == "str" else f" OR {sql} = ''"
            return f"({sql} IS NULL{empty} OR {taken})"
        return None if taken is None else f"({sql} IS NOT NULL AND {taken})"
    if (kind, name) in _CANONICAL:
        return "true" if optional else f"({sql} IS NOT NULL)"
    return None


def form(kind: str, converter: Any, sql: str) -> Form | None:
    """Return how a column is compared with one that holds something else; None if SQL cannot do it as Python does.

    All values must be `surely` taken.
    """
    name, _ = _declared(converter)
    found = _CANONICAL.get((kind, name))
    return None if found is None else Form(found[0], found[1].replace("@", present(kind, converter, sql)))


def same_declaration(left: Any, right: Any) -> bool:
    """Say whether two columns are converted in the same way, so that equal raw values give equal ones."""
    if left is None or right is None:
        return (left is None or left.identity) and (right is None or right.identity)
    return bool(left.annotation == right.annotation)
