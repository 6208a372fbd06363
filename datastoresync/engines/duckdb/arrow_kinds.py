"""What columns of Arrow and Parquet hold, as far as SQL and Python agree on it, and how each is read in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib import import_module
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

from datastoresync.engines.relation import Unfaithful

__all__ = ["Kind", "array_of", "kind_of"]

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
        stored: How a column of this kind is written by ourselves; None for as it is.
    """

    name: str
    read: frozenset[str]
    sql: str = "@"
    valid: str = ""
    zone: Any = None
    stored: Any = attrs.field(default=None, eq=False)

    @property
    def scanned(self) -> Kind:
        """The same, of the expression."""
        return Kind("text" if self.name == "null" else self.name, frozenset(), zone=self.zone)

    def given(self, column: Sequence[Any]) -> Sequence[Any]:
        """Return what an import would be given, of a column as SQL gives it."""
        if self.name == "uuid":
            return [None if value is None else UUID(value) for value in column]
        if self.name == "instant":
            return [None if value is None else value.replace(tzinfo=UTC).astimezone(self.zone) for value in column]
        return column


_TEXT = Kind("text", frozenset({"VARCHAR"}))
_INT = Kind("int", _INTEGERS)
_NATURAL = attrs.evolve(_INT, valid=f"@ < {2**63}")
_FLOAT = Kind("float", frozenset({"FLOAT", "DOUBLE"}))
_BOOL = Kind("bool", frozenset({"BOOLEAN"}))
_BYTES = Kind("bytes", frozenset({"BLOB"}))
_DATE = Kind("date", frozenset({"DATE"}), valid="@ BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'")
_TIME = Kind("time", frozenset({"TIME"}), valid="@ < TIME '24:00:00'")
_DECIMAL = Kind("decimal", frozenset({"DECIMAL"}))
_UUID = Kind("uuid", frozenset({"UUID"}), "CAST(@ AS VARCHAR)")
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
        Unfaithful: if SQL, or DuckDB, makes something else of it than Python.
    """
    types = pyarrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    plain: tuple[tuple[Callable[[Any], bool], Kind], ...] = (
        (types.is_string, _TEXT),
        (types.is_large_string, _TEXT),
        (types.is_string_view, _TEXT),
        (types.is_uint64, _NATURAL),
        (types.is_integer, _INT),
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
        return _FLOAT
    if types.is_timestamp(kind):
        return _timestamp(pyarrow, kind)
    if (types.is_time32(kind) and kind.unit == "ms") or (types.is_time64(kind) and kind.unit == "us"):
        return _TIME
    if types.is_decimal(kind) and 0 <= kind.scale <= kind.precision <= _DIGITS:
        stored = pyarrow.decimal128(kind.precision, kind.scale)
        return _DECIMAL if types.is_decimal128(kind) else attrs.evolve(_DECIMAL, read=frozenset(), stored=stored)
    if types.is_null(kind):
        return _NULL
    if str(kind) == "extension<arrow.uuid>":
        return _UUID
    message = f"{name} is of the Arrow type {kind}"
    raise Unfaithful(message)


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
        stored,
    )


# From Python's values.

_PLAIN: Mapping[type, Callable[[Any], Any]] = MappingProxyType(
    {
        str: lambda pyarrow: pyarrow.string(),
        int: lambda pyarrow: pyarrow.int64(),
        float: lambda pyarrow: pyarrow.float64(),
        bool: lambda pyarrow: pyarrow.bool_(),
        bytes: lambda pyarrow: pyarrow.binary(),
        date: lambda pyarrow: pyarrow.date32(),
    }
)


def array_of(pyarrow: Any, name: str, values: Sequence[Any]) -> tuple[Any, Any]:
    """Return a column of Python's values as Arrow, and the time zone that all of its moments are in.

    Without any value but None, it is a column of nulls, which goes with every other type.

    Raises:
        Unfaithful: if they are not of one plain type, or would not come back as they are.
    """
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pyarrow.nulls(len(values)), None
    kind = kinds.pop()
    if kinds:
        message = f"{name} holds values of several types"
        raise Unfaithful(message)
    try:
        if kind in _PLAIN:
            return pyarrow.array(values, _PLAIN[kind](pyarrow)), None
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
        raise Unfaithful(message) from error
    message = f"{name} holds values of the type {kind.__name__}"
    raise Unfaithful(message)


def _moments(pyarrow: Any, name: str, values: Sequence[datetime | None]) -> tuple[Any, Any]:
    zones = {value.tzinfo for value in values if value is not None}
    zone = zones.pop()
    if zones or any(value is not None and zone is None and value.fold for value in values):
        message = f"{name} holds moments of several time zones"
        raise Unfaithful(message)
    return pyarrow.array(values, pyarrow.timestamp("us", None if zone is None else "UTC")), zone


def _decimals(pyarrow: Any, name: str, values: Sequence[Decimal | None]) -> Any:
    exponents = {value.as_tuple().exponent for value in values if value is not None}
    exponent = exponents.pop()
    if exponents or not isinstance(exponent, int) or not -_DIGITS <= exponent <= 0:
        message = f"{name} holds decimals with different numbers of digits behind the point"
        raise Unfaithful(message)
    return pyarrow.array(values, pyarrow.decimal128(_DIGITS, -exponent))
