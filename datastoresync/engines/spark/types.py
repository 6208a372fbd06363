"""Declared types in Spark's SQL: which values are surely valid, and the canonical text that equal values share.

Equal canonical texts mean equal values; different ones need not mean different values. The canonical text of a text
converts to the same value. Expressions have ``@`` where the column goes; regular expressions stand in raw literals,
which no setting of Spark's changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

from datastoresync.conversion.converters import declared_scalar
from datastoresync.conversion.scalars import BOOLEAN_TEXTS, KINDS, SCALARS


@attrs.frozen
class CanonicalSQL:
    """The expression that a column is compared by with one that holds, or is declared, something else.

    Args:
        family: What equal values have in common; expressions of different families cannot be compared.
        sql: The expression.
    """

    family: str
    sql: str


_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "string": "text",
        "tinyint": "int",
        "smallint": "int",
        "int": "int",
        "bigint": "int",
        "float": "float",
        "double": "float",
        "boolean": "bool",
        "date": "date",
        "timestamp": "instant",
        "timestamp_ntz": "timestamp",
        "binary": "bytes",
    }
)


def _matches(cls: type, digits: int = 18) -> str:
    return rf"@ RLIKE r'^({SCALARS[cls].pattern(digits)})\z'"


_DIGITS = _matches(int)
_PLAIN = _matches(Decimal, 200)
_EXPONENT = _matches(float, 200)
_TRUE, _FALSE = (
    rf"@ RLIKE r'^(?i)({'|'.join(text for text, value in BOOLEAN_TEXTS.items() if value is truth)})\z'"
    for truth in (True, False)
)
_DAY = f"({_matches(date)} AND @ >= '0001' AND TRY_CAST(@ AS DATE) IS NOT NULL)"
# Spark wants the seconds, too.
_MOMENT = f"({_matches(datetime)} AND LENGTH(@) >= 19 AND @ >= '0001' AND TRY_CAST(LEFT(@, 10) AS DATE) IS NOT NULL)"
_HEX = _matches(UUID)
_IN_TIME = "@ BETWEEN TIMESTAMP_NTZ'0001-01-03' AND TIMESTAMP_NTZ'9999-12-29'"
"""What Python can hold, less two days at each end: a time zone may move a moment by one."""

_VALID: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("text", "str"): "true",
        ("text", "int"): _DIGITS,
        ("text", "float"): _EXPONENT,
        ("text", "Decimal"): _PLAIN,
        ("text", "bool"): f"({_TRUE} OR {_FALSE})",
        ("text", "date"): _DAY,
        ("text", "datetime"): _MOMENT,
        ("text", "UUID"): _HEX,
        ("text", "set[str]"): "true",
        ("text", "frozenset[str]"): "true",
        ("text", "list[str]"): "true",
        ("int", "int"): "true",
        ("int", "Decimal"): "true",
        ("int", "str"): "true",
        ("int", "bool"): "@ IN (0, 1)",
        ("int", "float"): "@ BETWEEN -9007199254740992 AND 9007199254740992",
        ("float", "float"): "true",
        ("decimal", "Decimal"): "true",
        ("decimal", "float"): "true",
        ("decimal", "str"): "true",
        ("bool", "bool"): "true",
        ("date", "date"): _IN_TIME,
        ("date", "str"): _IN_TIME,
        ("instant", "datetime"): _IN_TIME,
        ("instant", "str"): _IN_TIME,
        ("timestamp", "datetime"): _IN_TIME,
        ("timestamp", "str"): _IN_TIME,
        ("timedelta", "timedelta"): "true",
        ("bytes", "bytes"): "true",
    }
)
"""By what a column holds and what is declared: when a value that is there is surely taken."""

_WRITTEN = "CAST(@ AS STRING)"
_DOUBLE = "CAST(CAST(@ AS DOUBLE) AS STRING)"
_UNPADDED = "REGEXP_REPLACE(TRIM(LEADING '+' FROM @), r'^(-?)0+(?=[0-9])', '$1')"


def _short(number: str) -> str:
    """Return a decimal number without zeros at its end."""
    return f"IF(CONTAINS({number}, '.'), TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {number})), {number})"


_CANONICAL: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        ("text", "str"): ("text", "@"),
        ("text", "int"): ("number", f"IF({_DIGITS}, CAST(TRY_CAST(@ AS BIGINT) AS STRING), @)"),
        ("text", "float"): ("float", "COALESCE(CAST(TRY_CAST(@ AS DOUBLE) AS STRING), @)"),
        ("text", "Decimal"): ("number", f"IF({_PLAIN}, {_short(_UNPADDED)}, @)"),
        ("text", "bool"): ("bool", f"CASE WHEN {_TRUE} THEN 'true' WHEN {_FALSE} THEN 'false' ELSE @ END"),
        ("text", "date"): ("date", "@"),
        ("text", "datetime"): ("datetime", f"IF({_MOMENT}, CAST(TRY_CAST(@ AS TIMESTAMP_NTZ) AS STRING), @)"),
        ("text", "UUID"): ("UUID", "LOWER(REPLACE(@, '-', ''))"),
        ("int", "int"): ("number", _WRITTEN),
        ("int", "Decimal"): ("number", _WRITTEN),
        ("int", "str"): ("text", _WRITTEN),
        ("int", "float"): ("float", _DOUBLE),
        ("float", "float"): ("float", _DOUBLE),
        ("decimal", "Decimal"): ("number", _short(_WRITTEN)),
        ("bool", "bool"): ("bool", _WRITTEN),
        ("date", "date"): ("date", _WRITTEN),
        ("date", "str"): ("text", _WRITTEN),
        ("instant", "datetime"): ("instant", "CAST(UNIX_MICROS(@) AS STRING)"),
        ("timestamp", "datetime"): ("datetime", _WRITTEN),
        ("bytes", "bytes"): ("bytes", "HEX(@)"),
    }
)
"""By the same: the family, and the canonical text."""

_KEYS: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        ("text", "str"): ("text", "@"),
        ("text", "int"): ("int", "TRY_CAST(@ AS BIGINT)"),
        ("text", "date"): ("date", "TRY_CAST(@ AS DATE)"),
        ("text", "UUID"): ("UUID", "LOWER(REPLACE(@, '-', ''))"),
        ("int", "int"): ("int", "CAST(@ AS BIGINT)"),
        ("date", "date"): ("date", "@"),
    }
)
"""By the same: what a part of the idnumber is called, and how it is found and sorted."""


def kind_of(spark_type: Any) -> str | None:
    """Return the kind of a column of one of Spark's types; None if its values cannot be compared.

    >>> from types import SimpleNamespace
    >>> kind_of(SimpleNamespace(simpleString=lambda: "decimal(10,2)"))
    'decimal'
    """
    written = spark_type.simpleString()
    if written.startswith("decimal"):
        return "decimal"
    if written.startswith("interval") and "month" not in written and "year" not in written:
        return "timedelta"
    element = getattr(spark_type, "elementType", None)
    if element is not None:
        inside = kind_of(element)
        return None if inside is None else f"array of {inside}"
    fields = getattr(spark_type, "fields", None)
    if fields is not None:
        return None if None in [kind_of(field.dataType) for field in fields] else "struct"
    return _KINDS.get(written)


def valid_sql(kind: str, converter: Any, column: str) -> str | None:
    """Return a condition that is true only for values that a column's type takes; None if Spark cannot tell any.

    Args:
        kind: What the column holds.
        converter: Its `Converter`; None if values are taken as they are.
        column: Its name in SQL.
    """
    name, optional = _declared(kind, converter)
    valid = _VALID.get((kind, name))
    if name in _containers(kind):
        valid = "FORALL(@, member -> member IS NOT NULL)"
    elif valid is None and name == kind:  # taken as it is, and of a type that has nothing to go wrong
        valid = "true"
    if valid is None:
        return None
    nothing = f"{column} IS NULL" + (f" OR {column} = ''" if kind == "text" and _takes_empty(converter) else "")
    taken = valid.replace("@", column)
    if optional or (converter is not None and converter.membership):
        return f"({nothing} OR COALESCE({taken}, false))"
    return f"({column} IS NOT NULL AND COALESCE({taken}, false))"


def canonical_sql(kind: str, converter: Any, column: str) -> CanonicalSQL | None:
    """Return how a column is compared with a different one; None if Spark cannot do it as Python does.

    All of its values must be such as its type takes.
    """
    name, _ = _declared(kind, converter)
    found = _CANONICAL.get((kind, name))
    if found is None:
        return None
    held = f"NULLIF({column}, '')" if kind == "text" and _takes_empty(converter) else column
    return CanonicalSQL(found[0], found[1].replace("@", held))


def key_sql(kind: str, converter: Any, column: str) -> CanonicalSQL | None:
    """Return a part of the idnumber as Spark finds and sorts it in Python's way; None if it does not.

    All of its values must be `valid_sql`.
    """
    name, _ = _declared(kind, converter)
    found = _KEYS.get((kind, name))
    return None if found is None else CanonicalSQL(found[0], found[1].replace("@", column))


def same_declaration(left: Any, right: Any) -> bool:
    """Say whether two columns are converted in the same way, so that equal raw values give equal ones."""
    if left is None or right is None:
        return all(side is None or side.identity for side in (left, right))
    return bool(left.annotation == right.annotation)


def _declared(kind: str, converter: Any) -> tuple[str, bool]:
    """Return the declared type's name, which is that of the column's own type if there is none, and if None may be."""
    if converter is None or converter.identity:
        return _own_type(kind), True
    name = converter.describe.removesuffix(" | None") if converter.membership else declared_scalar(converter)
    return name, type(None) in converter.kinds


def _own_type(kind: str) -> str:
    return KINDS[kind].name if kind in KINDS else kind


def _containers(kind: str) -> tuple[str, ...]:
    inside = kind.removeprefix("array of ")
    member = _own_type(inside)
    known = inside != kind and inside in ("text", "int", "bool", "decimal", "float")
    return (f"set[{member}]", f"frozenset[{member}]", f"list[{member}]") if known else ()


def _takes_empty(converter: Any) -> bool:
    """Say whether empty text stands for None."""
    if converter is None or converter.identity:
        return False
    try:
        return converter.one("") is None
    except (ValueError, TypeError):
        return False
