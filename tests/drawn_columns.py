"""Columns of every kind, with values that are seldom seen, and the types that databases have for them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import pyarrow
from hypothesis import strategies as st


class Column(NamedTuple):
    kind: pyarrow.DataType
    values: st.SearchStrategy


def rarely(odd, values):
    return st.integers(0, 60).flatmap(lambda number: odd if number == 60 else values)


def moments(unit, zone=None):
    size = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    year = 31_557_600 * size
    if unit == "ns":
        return Column(
            pyarrow.timestamp(unit, zone), rarely(st.just(1), st.integers(-10, 10).map(lambda number: number * 1000))
        )
    values = st.integers(-70 * year, 200 * year) | st.integers(-3, 3)
    return Column(pyarrow.timestamp(unit, zone), rarely(st.sampled_from([-2300 * year, 8100 * year]), values))


def autumn(unit, zone):
    """Moments of the night in which an hour comes twice."""
    size = {"ms": 10**3, "us": 10**6}[unit]
    first = int(datetime(2024, 10, 26, 23, 30, tzinfo=UTC).timestamp()) * size
    return Column(pyarrow.timestamp(unit, zone), st.integers(0, 5).map(lambda halves: first + halves * 1800 * size))


def numbers(kind, *values):
    bits = kind.bit_width - 1
    return Column(kind, st.integers(0, 9) | st.sampled_from([2**bits - 1, *values]))


TEXTS = st.sampled_from(
    [
        *("", "a", "A", "1", "07", " 7", "1.50", "é", "e\u0301", "\U0001f600", "a'b\"c", "x\ny", "NaN", "\0"),
        *("2024-10-27", "2024-10-27T02:30:00", "2024-10-27 02:30:00+02:00", "2024-10-27T01:30:00Z", "10:00", "true"),
    ]
)
COLUMNS = {
    "text": Column(pyarrow.string(), TEXTS),
    "large": Column(pyarrow.large_string(), TEXTS),
    "choice": Column(pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), TEXTS),
    "bool": Column(pyarrow.bool_(), st.booleans()),
    "tiny": numbers(pyarrow.int8(), -1),
    "whole": numbers(pyarrow.int64(), -1, -(2**63), 2**53 + 1),
    "natural": numbers(pyarrow.uint64(), 2**64 - 1),
    "float": Column(
        pyarrow.float64(), st.sampled_from([0.0, -0.0, 1.0, 1.5, 0.1, 1e300, float("nan"), float("inf"), 2.0**53])
    ),
    "narrow": Column(pyarrow.float32(), st.sampled_from([0.0, -0.0, 1.0, 0.1, float("nan")])),
    "day": Column(
        pyarrow.date32(),
        rarely(st.sampled_from([2_932_897, -719_163]), st.integers(-700_000, 800_000) | st.integers(0, 3)),
    ),
    "second": moments("s"),
    "millisecond": moments("ms"),
    "microsecond": moments("us"),
    "nanosecond": moments("ns"),
    "instant": moments("us", "Europe/Berlin"),
    "utc": moments("ms", "UTC"),
    "offset": moments("us", "+05:30"),
    "fine": moments("ns", "Europe/Berlin"),
    "autumn": autumn("us", "Europe/Berlin"),
    "autumn elsewhere": autumn("ms", "Europe/Lisbon"),
    "autumn in UTC": autumn("us", "UTC"),
    "span": Column(pyarrow.duration("us"), st.sampled_from([0, 1, -1, 90_000_000, 91_800_000_000])),
    "uuid": Column(pyarrow.uuid(), st.integers(1, 4).map(lambda number: UUID(int=number).bytes)),
    "address": Column(pyarrow.string(), st.sampled_from(["::1", "0:0::1", "::2", "10.0.0.0/8", "10.0.0.0/08", ""])),
    "path": Column(pyarrow.string(), st.sampled_from(["a", "a/", "./a", "b", "/a", ""])),
    "fixed": Column(pyarrow.binary(2), st.sampled_from([b"aa", b"ab"])),
    "deep": Column(pyarrow.decimal128(38, 20), st.sampled_from([Decimal(1), 1 + Decimal("1e-20"), Decimal("1.5")])),
    "deeper": Column(pyarrow.decimal128(38, 30), st.sampled_from([Decimal(1), 1 + Decimal("1e-20"), Decimal("1.5")])),
    "fraction": Column(pyarrow.decimal128(2, 2), st.sampled_from([Decimal("0.50"), Decimal("-0.10"), Decimal(0)])),
    "coarse": Column(pyarrow.decimal128(12, 0), st.sampled_from([Decimal(1), Decimal(0), Decimal(10)])),
    "price": Column(
        pyarrow.decimal128(10, 2), st.sampled_from([Decimal("1.50"), Decimal("-0.10"), Decimal("0.00"), Decimal(3)])
    ),
    "long": Column(pyarrow.decimal128(38, 3), st.sampled_from([Decimal("1.500"), Decimal(10) ** 34])),
    "wide": Column(pyarrow.decimal256(50, 2), st.sampled_from([Decimal("1.50"), Decimal(10) ** 40])),
    "bytes": Column(pyarrow.binary(), st.sampled_from([b"", b"a", b"\xff\0"])),
    "clock": Column(pyarrow.time64("us"), st.integers(0, 5) | st.sampled_from([86_399_999_999])),
    "nothing": Column(pyarrow.null(), st.none()),
    "list": Column(pyarrow.list_(pyarrow.string()), st.lists(st.sampled_from("ab"), max_size=2)),
}
KEYS = {
    "text": Column(
        pyarrow.string(), st.sampled_from(["a", "b", "c", "k1", "k2", "k3", "k4", "k5", "k10", "Ä", "x y", "z'"])
    ),
    "rough": Column(
        pyarrow.string(),
        rarely(st.sampled_from(["", None, "\0"]), st.sampled_from(["a", "A", "b", "a ", "é", "e\u0301", "c", "d"])),
    ),
    "whole": Column(pyarrow.int32(), st.integers(-3, 12)),
    "natural": Column(pyarrow.uint64(), st.integers(0, 9) | st.just(2**64 - 1)),
    "day": Column(pyarrow.date32(), st.integers(0, 12)),
    "float": Column(pyarrow.float64(), st.integers(0, 3).map(float)),
    "utc": Column(pyarrow.timestamp("us", "UTC"), st.integers(0, 12)),
    "autumn": autumn("us", "Europe/Berlin"),
    "moment": Column(pyarrow.timestamp("ms"), st.integers(0, 12)),
    "decimal": Column(pyarrow.decimal128(38, 20), st.integers(1, 9).map(lambda number: 1 + Decimal(number) / 10**20)),
    "bytes": Column(pyarrow.binary(), st.sampled_from([b"a", b"b", b"\0", b"\xff"])),
    "clock": Column(pyarrow.time64("us"), st.integers(0, 9)),
    "uuid": Column(pyarrow.uuid(), st.integers(1, 9).map(lambda number: UUID(int=number).bytes)),
    "bool": Column(pyarrow.bool_(), st.booleans()),
}
OTHER_KEY = {"autumn": "utc", "utc": "autumn", "decimal": "whole", "whole": "natural"}
"""Keys of another type that may be equal."""


def maybe(values):
    return st.one_of(values, values, values, st.none())


NUMBERS = {"int8": "smallint", "int32": "integer", "int64": "bigint", "bool": "boolean", "date32[day]": "date"}
SQL_TYPES = {
    "sqlite": {"string": "text", "double": "double", "timestamp[us]": "timestamp", "binary": "blob"},
    "postgresql": {
        "string": "text",
        "double": "double precision",
        "float": "real",
        "timestamp[us]": "timestamp",
        "timestamp[us, tz=Europe/Berlin]": "timestamptz",
        "timestamp[us, tz=UTC]": "timestamptz",
        "binary": "bytea",
        "time64[us]": "time",
        "duration[us]": "interval",
        "extension<arrow.uuid>": "uuid",
    },
    "mariadb": {
        "string": "varchar(60) collate utf8mb4_nopad_bin",
        "double": "double",
        "timestamp[us]": "datetime(6)",
        "binary": "varbinary(9)",
        "time64[us]": "time(6)",
        "duration[us]": "time(6)",
    },
}


def sql_type(dialect, kind):
    """Return the type of a database for an Arrow type; None if it has none."""
    exact = pyarrow.types.is_decimal(kind) and dialect != "sqlite"
    return f"numeric({kind.precision}, {kind.scale})" if exact else (NUMBERS | SQL_TYPES[dialect]).get(str(kind))
