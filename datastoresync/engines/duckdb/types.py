"""Types in DuckDB's SQL: how Arrow columns are read, what each declared type accepts, and when values are equal.

SQL never converts a value that a user sees: rows that differ go through the class's own converters. Here it only says,
conservatively, that all values of a column will be taken, and that two rows cannot differ.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib import import_module
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

from datastoresync.conversion.converters import declared_scalar
from datastoresync.conversion.scalars import BOOLEAN_TEXTS, KINDS, SCALARS
from datastoresync.engines.relation import CannotPushDown

_TRUES, _FALSES = (
    f"({', '.join(repr(text) for text, value in BOOLEAN_TEXTS.items() if value is truth)})" for truth in (True, False)
)


def _matches(cls: type, digits: int = 18) -> str:
    return f"regexp_full_match(@, '{SCALARS[cls].pattern(digits)}')"


_VALID: Mapping[str, str] = MappingProxyType(
    {
        "str": "true",
        # What SQL writes as it was given needs no closer look, and most values are written so.
        "int": f"(CASE WHEN CAST(try_cast(@ AS BIGINT) AS VARCHAR) = @ THEN true ELSE {_matches(int)} END)",
        "float": _matches(float, 15),
        "Decimal": _matches(Decimal),
        "bool": f"(CASE WHEN @ IN ('0', '1') THEN true ELSE lower(@) IN {_TRUES} OR lower(@) IN {_FALSES} END)",
        "date": "(strlen(@) = 10 AND CAST(try_cast(@ AS DATE) AS VARCHAR) = @)",
        "datetime": f"({_matches(datetime)} AND @ >= '0001' AND try_cast(@ AS TIMESTAMP) IS NOT NULL)",
        "UUID": _matches(UUID),
    }
)
"""For a text, by declared type: when it is surely taken. What this does not hold for is asked of the converter."""

_SCALE = 18
"""Of the numbers that decimals, ints and truth values are compared as."""
_WHOLE = "try_cast(@ AS BIGINT)"
_EXACT = "try_cast(@ AS DECIMAL(38, 18))"
_TRUTH = f"(lower(@) IN {_TRUES})"

_CANONICAL: Mapping[tuple[str, str], Mapping[str, str]] = MappingProxyType(
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
        ("decimal", "Decimal"): {"decimal": "@", "number": "CAST(@ AS DECIMAL(38, 18))"},
        ("bytes", "bytes"): {"bytes": "@"},
        ("uuid", "UUID"): {"uuid": "replace(@, '-', '')"},
    }
)
"""By what a column holds and what is declared: by family, the canonical expression, which equal values share."""

_FAMILIES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("whole", "number", "float", "bool", "decimal"), "number")
)
"""Families whose values may be equal to one another, under one of them."""


def declared(kind: str, converter: Any) -> tuple[str, bool]:
    """Return the name of the plain type that a column's values become, and whether None is taken as well.

    The name is empty if it is none of those known here.
    """
    if converter is None or converter.identity:
        return KINDS[kind].name if kind in KINDS else "", True
    return declared_scalar(converter), type(None) in converter.kinds


def present(kind: str, converter: Any, sql: str) -> str:
    """Return the expression with NULL for what a declared ``| None`` takes for missing."""
    name, optional = declared(kind, converter)
    return f"nullif({sql}, '')" if optional and kind == "text" and name != "str" else sql


def valid_sql(kind: str, converter: Any, sql: str, *, nullable: bool = True) -> str | None:
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
        if name not in _VALID:
            return None
        taken = _VALID[name].replace("@", sql)
        if name == "str":
            return "true" if optional or not nullable else f"({sql} IS NOT NULL)"
        return f"({sql} IS NULL OR {sql} = '' OR {taken})" if optional else f"({sql} IS NOT NULL AND {taken})"
    if (kind, name) in _CANONICAL:
        return "true" if optional or not nullable else f"({sql} IS NOT NULL)"
    return None


def canonical_sql(kind: str, converter: Any, sql: str, *, scale: int = 0) -> dict[str, str]:
    """Return how a column is compared, by family, the best first; nothing if SQL cannot do it as Python does.

    It holds for values that are `valid_sql` taken; None is NULL. Decimals of a larger ``scale`` than that of numbers
    would be rounded to it.
    """
    name, _ = declared(kind, converter)
    given = present(kind, converter, sql)
    found = {family: canonical.replace("@", given) for family, canonical in _CANONICAL.get((kind, name), {}).items()}
    if scale > _SCALE:
        found.pop("number", None)
    return found


IDENTICAL: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("text", "int", "bool", "date", "time", "timestamp", "uuid", "bytes"), "@"),
        "float": "CAST(CAST(@ AS DOUBLE) AS VARCHAR)",  # 0.0 and -0.0 are equal
        "decimal": "CAST(@ AS VARCHAR)",  # so are 1.0 and 1.00
    }
)
"""By kind of column: the expression that is the same only for values that Python cannot tell apart either."""


def never_equal(left: Iterable[str], right: Iterable[str]) -> bool:
    """Say whether no two values of these families are ever equal."""
    comparable = [{_FAMILIES.get(family, family) for family in families} for families in (left, right)]
    return all(comparable) and not comparable[0] & comparable[1]


def kept(kind: str, converter: Any) -> bool:
    """Say whether a column's values stay as they are, so that it is enough that they are equal.

    What is made of a value may tell apart what is equal: the text of one instant in two time zones, of 1.5 and 1.50.
    """
    return kind in KINDS and declared(kind, converter)[0] == KINDS[kind].name


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


_DIGITS = 38
"""Of the longest decimal that SQL has."""
_MOMENTS = "TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
_INSTANTS = "TIMESTAMP '0001-01-03' AND TIMESTAMP '9999-12-29'"
"""Within which there is a local time in every time zone."""
_INTEGERS = frozenset(
    f"{sign}{size}INT" if size != "INT" else f"{sign}INTEGER"
    for sign in ("", "U")
    for size in ("TINY", "SMALL", "INT", "BIG")
)


@attrs.frozen
class Kind:
    """What a column holds.

    Args:
        name: As `conversion` calls it: ``text``, ``int`` and so on; ``null`` where there is nothing but None.
        read: How it is called in these files, in DuckDB; the first words of its types.
        sql: The expression to compare and fetch, where ``@`` is the column.
        valid: When that is a value that Python has, too; empty if it always is.
        zone: For instants: the time zone that they are given in.
        scale: Of decimals: how many digits are behind the point.
        stored: How a column of this kind is written by ourselves; None for as it is.
    """

    name: str
    read: frozenset[str]
    sql: str = "@"
    valid: str = ""
    zone: Any = None
    scale: int = 0
    stored: Any = attrs.field(default=None, eq=False)

    @property
    def scanned(self) -> Kind:
        """The same, of the expression."""
        return Kind("text" if self.name == "null" else self.name, frozenset(), zone=self.zone, scale=self.scale)

    def writes_like(self, other: Kind) -> bool:
        """Say whether equal values of both have one text, too."""
        return (self.name, self.zone, self.scale) == (other.name, other.zone, other.scale)

    def given(self, column: Sequence[Any]) -> Sequence[Any]:
        """Return what an import would be given, of a column as SQL gives it."""
        if self.name == "uuid":
            return [None if value is None else UUID(value) for value in column]
        if self.name == "instant":
            return [None if value is None else value.replace(tzinfo=UTC).astimezone(self.zone) for value in column]
        return column


_TEXT = Kind("text", frozenset({"VARCHAR"}))
_INT_KIND = Kind("int", _INTEGERS)
_NATURAL = attrs.evolve(_INT_KIND, valid=f"@ < {2**63}")
_FLOAT_KIND = Kind("float", frozenset({"FLOAT", "DOUBLE"}))
_BOOL = Kind("bool", frozenset({"BOOLEAN"}))
_BYTES = Kind("bytes", frozenset({"BLOB"}))
_DATE = Kind("date", frozenset({"DATE"}), valid="@ BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'")
_TIME = Kind("time", frozenset({"TIME"}), valid="@ < TIME '24:00:00'")
_DECIMAL_KIND = Kind("decimal", frozenset({"DECIMAL"}))
_UUID_KIND = Kind("uuid", frozenset({"UUID"}), "CAST(@ AS VARCHAR)")
_NULL = Kind("null", frozenset({'"NULL"', "INTEGER"}))  # the latter in DuckDB 1
_TIMESTAMP = Kind("timestamp", frozenset({"TIMESTAMP"}), valid=f"@ BETWEEN {_MOMENTS}")
_NANOSECONDS = Kind(
    "timestamp",
    frozenset({"TIMESTAMP_NS"}),
    "make_timestamp(epoch_ns(@) // 1000)",
    f"(epoch_ns(@) % 1000 = 0 AND make_timestamp(epoch_ns(@) // 1000) BETWEEN {_MOMENTS})",
)


def kind_of(pyarrow: Any, name: str, kind: Any) -> Kind:
    """Return what a column of an Arrow type holds.

    Raises:
        CannotPushDown: if SQL, or DuckDB, makes something else of it than Python.
    """
    types = pyarrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    plain: tuple[tuple[Callable[[Any], bool], Kind], ...] = (
        (types.is_string, _TEXT),
        (types.is_large_string, _TEXT),
        (types.is_string_view, _TEXT),
        (types.is_uint64, _NATURAL),
        (types.is_integer, _INT_KIND),
        (types.is_boolean, _BOOL),
        (types.is_date32, _DATE),
        (types.is_binary, _BYTES),
        (types.is_large_binary, _BYTES),
        (types.is_binary_view, _BYTES),
        (types.is_fixed_size_binary, _BYTES),
    )
    for belongs, found in plain:
        if belongs(kind):
            return found
    if types.is_float32(kind) or types.is_float64(kind):
        return _FLOAT_KIND
    if types.is_timestamp(kind):
        return _timestamp(pyarrow, kind)
    if (types.is_time32(kind) and kind.unit == "ms") or (types.is_time64(kind) and kind.unit == "us"):
        return _TIME
    if types.is_decimal(kind) and 0 <= kind.scale <= kind.precision <= _DIGITS:
        found = attrs.evolve(_DECIMAL_KIND, scale=kind.scale)
        if types.is_decimal128(kind):
            return found
        return attrs.evolve(found, read=frozenset(), stored=pyarrow.decimal128(kind.precision, kind.scale))
    if types.is_null(kind):
        return _NULL
    if str(kind) == "extension<arrow.uuid>":
        return _UUID_KIND
    message = f"{name} is of the Arrow type {kind}"
    raise CannotPushDown(message)


def _timestamp(pyarrow: Any, kind: Any) -> Kind:
    exact = kind.unit == "ns"
    stored = pyarrow.timestamp("us", kind.tz)
    if kind.tz is None:
        return attrs.evolve(_NANOSECONDS if exact else _TIMESTAMP, stored=stored)
    microseconds = "epoch_ns(@) // 1000" if exact else "epoch_us(@)"
    within = f"make_timestamp({microseconds}) BETWEEN {_INSTANTS}"
    return Kind(
        "instant",
        frozenset({"TIMESTAMPTZ_NS" if exact else "TIMESTAMP WITH TIME ZONE"}),
        f"make_timestamp({microseconds})",
        f"(epoch_ns(@) % 1000 = 0 AND {within})" if exact else within,
        import_module("pyarrow.lib").string_to_tzinfo(kind.tz),
        stored=stored,
    )


# From Python's values.

_AS_THEY_ARE = (str, int, float, bool, bytes, date)
"""Types whose values need no closer look."""


def array_of(pyarrow: Any, name: str, values: Sequence[Any]) -> tuple[Any, Any]:
    """Return a column of Python's values as Arrow, and the time zone that all of its moments are in.

    Without any value but None, it is a column of nulls, which goes with every other type.

    Raises:
        CannotPushDown: if they are not of one plain type, or would not come back as they are.
    """
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pyarrow.nulls(len(values)), None
    kind = kinds.pop()
    if kinds:
        message = f"{name} holds values of several types"
        raise CannotPushDown(message)
    try:
        if kind in _AS_THEY_ARE:
            return pyarrow.array(values, pyarrow.type_for_alias(SCALARS[kind].arrow)), None
        if kind is time and all(value is None or (value.tzinfo is None and not value.fold) for value in values):
            return pyarrow.array(values, pyarrow.time64("us")), None
        if kind is datetime:
            return _moments(pyarrow, name, values)
        if kind is Decimal:
            return _decimals(pyarrow, name, values), None
        if kind is UUID:
            storage = pyarrow.array([value and value.bytes for value in values], pyarrow.binary(16))
            return pyarrow.ExtensionArray.from_storage(pyarrow.uuid(), storage), None
    except (pyarrow.ArrowException, ValueError, OverflowError, TypeError) as error:
        message = f"{name} holds a value that Arrow cannot"
        raise CannotPushDown(message) from error
    message = f"{name} holds values of the type {kind.__name__}"
    raise CannotPushDown(message)


def _moments(pyarrow: Any, name: str, values: Sequence[datetime | None]) -> tuple[Any, Any]:
    zones = {value.tzinfo for value in values if value is not None}
    zone = zones.pop()
    if zones or any(value is not None and zone is None and value.fold for value in values):
        message = f"{name} holds moments of several time zones"
        raise CannotPushDown(message)
    return pyarrow.array(values, pyarrow.timestamp("us", None if zone is None else "UTC")), zone


def _decimals(pyarrow: Any, name: str, values: Sequence[Decimal | None]) -> Any:
    exponents = {value.as_tuple().exponent for value in values if value is not None}
    exponent = exponents.pop()
    if exponents or not isinstance(exponent, int) or not -_DIGITS <= exponent <= 0:
        message = f"{name} holds decimals with different numbers of digits behind the point"
        raise CannotPushDown(message)
    return pyarrow.array(values, pyarrow.decimal128(_DIGITS, -exponent))
