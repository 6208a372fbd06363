"""What is written into a column is read back equal, or refused; made to fit, it differs no more the second night."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Limits, Object, Tree
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(
    deadline=None, max_examples=examples(300, quick=16), suppress_health_check=[HealthCheck.function_scoped_fixture]
)

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
        "inet",
        "cidr",
        "macaddr",
        "int4range",
        "bit(3)",
        "varbit",
        "money",
        "tsvector",
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
    *[
        "10.0.0.1",
        "10.0.0.1/24",
        "10.0.0.0/24",
        "::1",
        "AA-BB-CC-DD-EE-01",
        "aa:bb:cc:dd:ee:01",
        "[1,5)",
        "(1,4]",
        "101",
    ],
    *["1 day", "P1D", "(1,2)", "1,2", "$1.50", "{}", '{"a b",c}', "{1,2}"],
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


def run(url, execute, number, declared, value, *, normalize=False, options=""):
    """Write a value; return the report, the differences of the second night, and how many rows there are."""
    name = f"c{number}"
    cls = class_of(declared, name)
    execute(url, "delete from t")
    rows = [{"idnumber": "1", name: value}]
    with SQLSyncer(f"{url}{options}", normalize=normalize) as syncer:
        source = +Tree("source", branches={"t": Branch(cls, importer=lambda: rows)})
        dest = +Tree("dest", syncer=syncer, branches={"t": Branch(cls)})
        report = source.sync_to(dest, limits=Limits())
        again = list(source - +dest) if report.succeeded else []
    ((count,),) = execute(url, "select count(*) from t")
    return report, again, count


@law
@example(pair=(1, str, "007"), normalize=True)
@example(pair=(27, dict, {}), normalize=False)  # to integer[], of PostgreSQL
@example(pair=(34, int, 40_000), normalize=False)  # to bit(3)
@example(pair=(36, int, 40_000), normalize=False)  # to money
@example(pair=(37, list[int], []), normalize=False)  # to tsvector
@example(pair=(22, timedelta, timedelta(microseconds=1)), normalize=False)
@example(pair=(21, time, time(12)), normalize=False)
@given(pair=pairs(), normalize=st.booleans())
def test_what_is_written_is_read_back_equal_or_refused(server_url, execute, table, pair, normalize):
    number, declared, value = pair
    number %= len(table)
    report, again, count = run(server_url, execute, number, declared, value, normalize=normalize)
    assert (report.succeeded, report.failed) == ((1, 0) if count else (0, 1)), table[number]
    assert again == [], f"{table[number]}: {value!r} comes back"


MOMENT = datetime(2024, 1, 2, 3, 4, 5, 600_000)  # noqa: DTZ001 - without a time zone
EXAMPLES = [
    # column, declared, value, what it is refused with, what is stored if it is made to fit
    ("integer", float, 1.5, "only a whole float up to 2**53 is exact", "2"),
    ("integer", str, "007", "the column would give back '7'", "7"),
    ("integer", str, "seven", "only ASCII digits with an optional sign", None),
    ("smallint", int, 40_000, "the column holds integers from -32768 to 32767", None),
    ("numeric(10,2)", Decimal, Decimal("1.005"), "8 digits before the point and 2 behind it", "1.01"),
    ("numeric(10,2)", str, "1.5", "the column would give back '1.50'", "1.50"),
    ("timestamp(0)", datetime, MOMENT, "keeps whole seconds", "2024-01-02 03:04:05"),
    ("real", float, 0.123456789, "some seven digits", "0.12345679"),
    ("varchar(3)", str, "ab  ", "it has 4 characters, and the column holds 3", "ab "),
    ("char(3)", str, "abcd", "it has 4 characters, and the column holds 3", "abc"),
    ("char(3)", str, "a ", "the column would give back 'a'", "a"),
    ("date", str, "yesterday", "only YYYY-MM-DD", None),
    ("timestamp", str, "infinity", "only YYYY-MM-DD", None),
    ("text", bool, True, "a text column holds no bool", None),
    ("numeric", str, "NaN", "only decimal or exponent text", None),
    ("timestamptz", datetime, MOMENT, "the column would give back", "2024-01-02 03:04:05.6"),
    ("timestamp", datetime, datetime(2024, 1, 2, tzinfo=UTC), "the column has no time zone", "2024-01-02 00:00:00"),
    ("macaddr", str, "AA-BB-CC-DD-EE-01", "the column would give back 'aa:bb:cc:dd:ee:01'", "aa:bb:cc:dd:ee:01"),
    ("int4range", str, "[1,4]", r"the column would give back '[1,5)'", "[1,5)"),
    ("inet", str, "10.0.0.300", "invalid input syntax for type inet", None),
]


@pytest.mark.parametrize(("kind", "declared", "value", "reason", "stored"), EXAMPLES)
def test_what_does_not_fit_is_refused_or_made_to_fit(database, execute, kind, declared, value, reason, stored):
    execute(database, "drop table if exists t", f"create table t (idnumber varchar(9) primary key, c0 {kind})")
    report, _, count = run(database, execute, 0, declared, value, normalize=False)
    (failure,) = report.failures
    assert reason in failure.message
    assert f"column 'c0' cannot hold {value!r}"[:45] in failure.message
    assert count == 0
    report, again, count = run(database, execute, 0, declared, value, options="&normalize=true")
    assert again == []
    found = execute(database, "select rtrim(replace(c0::text, '+00', '')) from t")
    assert found == ([] if stored is None else [(stored.rstrip(),)])


def test_a_key_is_matched_in_the_form_that_its_column_has(server_url, execute):
    execute(
        server_url,
        "drop table if exists t",
        "create table t (idnumber integer primary key, c0 varchar(9))",
        "insert into t values (7, 'a'), (8, 'b')",
    )
    rows = [{"idnumber": "007", "c0": "x"}, {"idnumber": "+9", "c0": "c"}]

    class Thing(Object):
        idnumber: str
        c0: str

    with SQLSyncer(server_url) as syncer:
        source = +Tree("source", branches={"t": Branch(Thing, importer=lambda: rows)})
        dest = +Tree("dest", syncer=syncer, branches={"t": Branch(Thing)})
        report = source.sync_to(dest, limits=Limits(deletions=2, updates=2))
        assert report.failed == 0
        assert execute(server_url, "select * from t order by 1") == [(7, "x"), (9, "c")]
        assert list(source - +dest) == []


def test_values_that_postgresql_gives_itself_are_not_written(database, execute):
    execute(
        database,
        "create table t (id integer generated by default as identity primary key, v text, twice text generated always "
        "as (v || v) stored, n integer generated always as identity)",
        "insert into t values (1, 'a')",
        "create sequence s",
        "create table u (id integer default nextval('s') primary key, down serial, v text)",
        "select setval('s', 50)",
        "alter sequence u_down_seq increment -1 minvalue -1000 start -1 restart",
    )
    t, u = Table("t"), Table("u")
    with SQLSyncer(database) as syncer:
        changes = [
            Change("insert", t, ("id",), (7,), {"v": "b", "twice": "bb", "n": 2}),
            Change("insert", u, ("id",), (9,), {"v": "b", "down": -7}),
        ]
        assert [one.status for one in syncer.apply_changes(changes, same=same)] == ["done", "done"]
        syncer.append("t", data=[{"id": 20, "v": "c", "twice": "cc"}])
    execute(database, "insert into t (v) values ('d')", "insert into u (v) values ('d')")
    assert execute(database, "select id, twice from t order by 1") == [(1, "aa"), (7, "bb"), (20, "cc"), (21, "dd")]
    assert execute(database, "select id, down from u order by 1") == [(9, -7), (51, -8)]


def test_an_attribute_of_another_name_is_named_besides_its_column(store_url, execute):
    execute(store_url, "create table t (id varchar(9) primary key, n integer)")
    table = Table("t", columns={"count": "n"})
    with SQLSyncer(store_url) as syncer:
        (found,) = syncer.apply_changes([Change("insert", table, ("id",), ("a",), {"count": "007"})], same=same)
    reason = "column 'n' (attribute 'count') cannot hold '007': the column would give back '7'"
    assert found.reason.startswith(reason)


def test_a_key_that_the_database_alone_chooses_fails_by_itself(database, execute):
    execute(database, "create table t (id integer generated always as identity primary key, v text)")
    with SQLSyncer(database) as syncer:
        (found,) = syncer.apply_changes([Change("insert", Table("t"), ("id",), (7,), {"v": "b"})], same=same)
    assert found.status == "failed"
    assert "column 'id' is generated, so that the database alone chooses the keys of new rows" in found.reason


def test_an_application_goes_on_counting_behind_what_was_written(server_url, execute):
    kinds = {"postgresql": "serial", "sqlite": "integer", "mariadb": "integer auto_increment"}
    kind = kinds[next(kind for kind in kinds if server_url.startswith(kind))]
    execute(server_url, "drop table if exists t", f"create table t (id {kind} primary key, v varchar(9))")
    with SQLSyncer(server_url) as syncer:
        syncer.apply_changes([Change("insert", Table("t"), ("id",), (41,), {"v": "a"})], same=same)
    execute(server_url, "insert into t (v) values ('b')")
    assert execute(server_url, "select id from t order by id") == [(41,), (42,)]


def same(change, attribute, raw, expected):
    return raw == expected


def test_addresses_and_paths_come_back_as_they_are(store_url, execute):
    postgresql = store_url.startswith("postgresql")
    kinds = ["inet", "cidr"] if postgresql else ["varchar(40)"] * 2
    body = ", ".join(f"{name} {kind}" for name, kind in zip(("host", "net"), kinds, strict=True))
    execute(
        store_url,
        f"create table t (idnumber varchar(40) primary key, {body}, folder varchar(40))",
        "insert into t values ('10.0.0.1', '::2', '10.0.0.0/8', 'a')",
    )

    class Thing(Object):
        idnumber: IPv4Address
        host: IPv6Address
        net: IPv4Network
        folder: PurePosixPath

    rows = [
        {"idnumber": "10.0.0.1", "host": "0:0::1", "net": "10.1.0.0/16", "folder": "a/"},
        {"idnumber": "10.0.0.2", "host": "::3", "net": "0.0.0.0/0", "folder": "/b"},
    ]
    with SQLSyncer(store_url) as syncer:
        source = +Tree("source", branches={"t": Branch(Thing, importer=lambda: rows)})
        dest = +Tree("dest", syncer=syncer, branches={"t": Branch(Thing)})
        assert [(action.attr, action.idnumber) for action in source - dest if action.verb == "update"] == [
            ("host", IPv4Address("10.0.0.1")),
            ("net", IPv4Address("10.0.0.1")),
        ]
        assert source.sync_to(dest, limits=Limits(updates=1.0, creations=1)).ok
        assert list(source - +dest) == []
    found = execute(store_url, "select cast(host as varchar(40)), cast(net as varchar(40)), folder from t order by 1")
    mask = "/128" if postgresql else ""
    assert found == [(f"::1{mask}", "10.1.0.0/16", "a"), (f"::3{mask}", "0.0.0.0/0", "/b")]
