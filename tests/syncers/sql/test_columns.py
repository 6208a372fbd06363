"""What is written into a column is read back equal, or refused; made to fit, it differs no more the second night."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Limits, Object, Tree
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])

COMMON = (
    "smallint",
    "integer",
    "bigint",
    "numeric(10,2)",
    "numeric(5)",
    "real",
    "double precision",
    "varchar(4)",
    "char(4)",
    "char(32)",
    "text",
    "date",
    "timestamp",
    "time",
    "boolean",
)
COLUMNS = {
    "postgresql": (
        *COMMON,
        "numeric",
        "timestamp(0)",
        "timestamptz",
        "timestamptz(3)",
        "time(2)",
        "timetz",
        "interval",
        "interval(0)",
        "uuid",
        "bytea",
        "json",
        "jsonb",
        "integer[]",
        "text[]",
        "numeric(6,1)[]",
    ),
    "sqlite": (*COMMON, "blob", "json", "datetime", "", "any"),
    "mariadb": (
        *(kind for kind in COMMON if kind not in ("timestamp", "real")),
        "tinyint",
        "smallint unsigned",
        "numeric(40,18)",
        "float",
        "float(7,2)",
        "datetime",
        "datetime(3)",
        "datetime(6)",
        "time(6)",
        "year",
        "json",
        "varbinary(4)",
        "binary(4)",
        "enum('a','B')",
    ),
}
EAST = timezone(timedelta(hours=5, minutes=30))
TEXTS = [
    *[
        "",
        " ",
        "a",
        "a ",
        "abcd",
        "abcde",
        "abcd ",
        "007",
        "7",
        "-0",
        "1.5",
        "1.50",
        "1e3",
        "1E400",
        "true",
        "Y",
        "0x1F",
    ],
    *["2024-01-02", "2024-1-2", "2024-01-02 03:04:05", "2024-01-02T03:04:05.123456", "2024-01-02T03:04:05+02:00"],
    *["yesterday", "now", "infinity", "NaN", "inf", "12:00", "12:00:00", str(UUID(int=11)), str(UUID(int=11)).upper()],
    *["12345678901234567890", " 7 ", "{a,b}", "[1]", '"a"', "null", "ß", "😀", "a\nb", "\\N"],
]
NUMBERS = [0, 1, -1, 7, 200, 255, 2000, 40_000, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**70]
FLOATS = [0.0, -0.0, 0.1, 0.5, 1.5, 2.5, 1e16, 1e39, 1e300, 1e-50, 0.123456789, 1234567.0, 16777217.0]
FLOATS += [float("nan"), float("inf")]
DECIMALS = ["0", "1.5", "1.50", "1.005", "12345678.12", "123456789.1", "1e3", "-0.0", "0.1", "99999.5", "1e-30", "7"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**64) | st.floats(allow_nan=False) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=3,
)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.sampled_from(TEXTS) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    int: st.sampled_from(NUMBERS) | st.integers(-300, 300),
    float: st.sampled_from(FLOATS) | st.floats(width=32) | st.floats(),
    Decimal: st.sampled_from(DECIMALS).map(Decimal)
    | st.decimals(-200, 200, places=2)
    | st.decimals(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    date: st.dates(),
    datetime: st.datetimes()
    | st.datetimes().map(lambda moment: moment.replace(microsecond=0))
    | st.datetimes(datetime(1000, 1, 1), timezones=st.sampled_from([UTC, EAST])),  # noqa: DTZ001 - a bound
    time: st.times() | st.sampled_from([time(12), time(1, 2, 3, 400_000), time(1, tzinfo=EAST)]),
    timedelta: st.timedeltas(timedelta(days=-1000), timedelta(days=1000)) | st.just(timedelta(seconds=90)),
    UUID: st.uuids(),
    bytes: st.binary(max_size=5),
    list[int]: st.lists(st.integers(0, 2**31), max_size=3),
    list[str]: st.lists(st.sampled_from(TEXTS), max_size=3),
    set[str]: st.sets(st.sampled_from(TEXTS), max_size=3),
    set[Decimal]: st.sets(st.sampled_from(DECIMALS).map(Decimal), max_size=3),
    dict: st.dictionaries(st.sampled_from(["b", "a"]), JSON, max_size=3),
}


@cache
def class_of(declared, name):
    return type("Thing", (Object,), {"__annotations__": {name: declared | None if declared is not dict else Any}})


@pytest.fixture
def table(server_url, execute):
    """A table with a column of each type; its rows are gone at the beginning of each example."""
    kinds = COLUMNS[next(kind for kind in COLUMNS if server_url.startswith(kind))]
    columns = ", ".join(f"c{number} {kind} null" for number, kind in enumerate(kinds))
    execute(server_url, "drop table if exists t", f"create table t (idnumber varchar(9) primary key, {columns})")
    return kinds


@st.composite
def pairs(draw):
    number = draw(st.integers(0, 60))
    declared = draw(st.sampled_from(list(VALUES)))
    return number, declared, draw(VALUES[declared])


def run(url, execute, number, declared, value, *, normalize):
    """Write a value; return the report, the differences of the second night, and how many rows there are."""
    name = f"c{number}"
    cls = class_of(declared, name)
    execute(url, "delete from t")
    rows = [{"idnumber": "1", name: value}]
    with SQLSyncer(url, normalize=normalize) as syncer:
        source = +Tree("source", branches={"t": Branch(cls, importer=lambda: rows)})
        dest = +Tree("dest", syncer=syncer, branches={"t": Branch(cls)})
        report = source.sync_to(dest, limits=Limits(creations=None) if hasattr(Limits(), "creations") else Limits())
        again = list(source - +dest) if report.succeeded else []
    ((count,),) = execute(url, "select count(*) from t")
    return report, again, count


@law
@example(pair=(1, str, "007"), normalize=True)
@given(pair=pairs(), normalize=st.booleans())
def test_what_is_written_is_read_back_equal_or_refused(server_url, execute, table, pair, normalize):
    number, declared, value = pair
    number %= len(table)
    report, again, count = run(server_url, execute, number, declared, value, normalize=normalize)
    assert (report.succeeded, report.failed) == ((1, 0) if count else (0, 1)), table[number]
    assert again == [], f"{table[number]}: {value!r} comes back"
