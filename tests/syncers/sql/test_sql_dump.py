"""What a database loads is what was dumped into it, up to the losses that `SQLSyncer.dump` names."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
import sqlalchemy
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


def same(change, attribute, raw, expected):
    return raw == expected


MOMENT = datetime(2024, 1, 2, 3)  # noqa: DTZ001 - without a time zone, as most databases hold them
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
VALUES = {
    "text": TEXT
    | st.sampled_from(["", "NULL", "'", '"', "a'; drop table t;--", "%s", ":x", "\\", "é", "e\u0301", " a "]),
    "number": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "decimal": st.decimals(-(10**9), 10**9, places=5),
    "boolean": st.booleans(),
    "day": st.dates(),
    "moment": st.datetimes(),
    "instant": st.datetimes(min_value=MOMENT, timezones=st.just(UTC)),
    "hour": st.times(),
    "uuid": st.uuids(),
    "binary": st.binary(),
    "json": st.lists(st.integers(-9, 9) | st.booleans() | TEXT | st.none()) | st.dictionaries(TEXT, st.integers(-9, 9)),
}
# One value a column, so that the first dump makes columns of the right types.
FIRST = {
    "key": 0,
    "text": "",
    "number": 0,
    "float": 0.5,
    "decimal": Decimal("0.1"),
    "boolean": True,
    "day": date(2024, 1, 2),
    "moment": MOMENT,
    "instant": datetime(2024, 1, 2, 3, tzinfo=UTC),
    "hour": time(3, 4),
    "uuid": UUID(int=1),
    "binary": b"\0",
    "json": [],
}
records = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), max_size=4)


def as_stored(url, record):
    if url.startswith("sqlite") and record["uuid"] is not None:
        return record | {"uuid": str(record["uuid"])}
    return record


def types(loaded):
    return [{name: type(value) for name, value in record.items()} for record in loaded]


@law
@given(found=records)
def test_what_is_loaded_is_what_was_dumped(store_url, found):
    data = [{"key": number, **record} for number, record in enumerate(found)]
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[FIRST])
        syncer.dump("t", data=data)
        loaded = sorted(syncer.load("t"), key=lambda record: record["key"])
    assert loaded == [as_stored(store_url, record) for record in data]
    assert types(loaded) == types(as_stored(store_url, record) for record in data)


@law
@given(found=records.filter(bool))
def test_what_changes_write_is_what_is_loaded(store_url, found):
    table, names = Table("t"), ("key",)
    data = [{"key": number, **record} for number, record in enumerate(found)]
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[FIRST])
        changes = [Change("delete", table, names, (0,), {}, as_stored(store_url, FIRST))]
        changes += [Change("insert", table, names, (record["key"],), record) for record in data]
        empty = dict.fromkeys(data[0])
        changes += [Change("update", table, names, (0,), empty | {"key": 0}, as_stored(store_url, data[0]))]
        assert {outcome.status for outcome in syncer.apply_changes(changes, same=same)} == {"done"}
        loaded = sorted(syncer.load("t"), key=lambda record: record["key"])
    assert loaded == [empty | {"key": 0}, *(as_stored(store_url, record) for record in data[1:])]


identifiers = TEXT.filter(lambda name: 0 < len(name.encode()) < 40).filter(
    lambda name: not name.casefold().startswith("sqlite_")
)


@law
@example(table='a"; drop table t;--', columns=['b"; drop table t;--', "%", "(x)", ":y", "a b", "select"])
@example(table="users", columns=["value0", "value_1", "a%", "aP", "a%%", "A", "?", "x.y", "[z]", "`"])
@example(table="two.dots.here", columns=["a", "\n"])
@given(table=identifiers, columns=st.lists(identifiers, min_size=2, max_size=5))
def test_any_name_is_a_name(store_url, execute, table, columns):
    assume(len({name.casefold() for name in columns}) == len(columns))
    quoted = table.replace('"', '""')
    execute(store_url, f'drop table if exists "{quoted}"')
    first = {name: f"{number}" for number, name in enumerate(columns)}
    with SQLSyncer(store_url) as syncer:
        syncer.dump(table, data=[first])
        key, *others = columns
        changes = [
            Change("insert", Table(table), (key,), ("k",), dict.fromkeys(columns, "k")),
            Change(
                "update",
                Table(table),
                (key,),
                ("0",),
                dict.fromkeys(others, "new"),
                {name: first[name] for name in others},
            ),
        ]
        assert [outcome.status for outcome in syncer.apply_changes(changes, same=same)] == ["done", "done"]
        assert sorted(syncer.load(table), key=lambda record: record[key]) == [
            {key: "0", **dict.fromkeys(others, "new")},
            dict.fromkeys(columns, "k"),
        ]
        assert list(syncer.read(Table(table, columns={"attribute": key}), ["attribute"]))
        syncer.apply_changes([Change("delete", Table(table), (key,), (value,)) for value in ("0", "k")], same=same)
        assert syncer.load(table) == []


@pytest.mark.skipif(sqlalchemy.__version__ < "2.1", reason="SQLAlchemy 2.0 takes this name for a parameter, in SQLite")
def test_a_column_may_be_called_like_a_parameter(store_url):
    table, names = Table("t"), ("key",)
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[{"key": 1, "%(a)s": "old"}])
        changes = [Change("update", table, names, (1,), {"%(a)s": "new"}, {"%(a)s": "old"})]
        assert [outcome.status for outcome in syncer.apply_changes(changes, same=same)] == ["done"]
        assert syncer.load("t") == [{"key": 1, "%(a)s": "new"}]


def test_values_that_lose_their_type_do_so_as_declared(store_url):
    record = {
        "set": {"b", "a"},
        "odd": {1, "a"},
        "tuple": (1, UUID(int=1)),
        "nested": {"day": date(2024, 1, 2), 3: [Mood.SAD, {time(1)}]},
        "mood": Mood.GLAD,
        "moods": {Mood.SAD, Mood.GLAD},
    }
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[record])
        (loaded,) = syncer.load("t")
        assert sorted(loaded.pop("odd"), key=str) == [1, "a"]
        assert sorted(loaded.pop("moods")) == ["glad", "sad"]
        assert loaded == {
            "set": ["a", "b"],
            "tuple": [1, "00000000-0000-0000-0000-000000000001"],
            "nested": {"day": "2024-01-02", "3": ["sad", ["01:00:00"]]},
            "mood": "glad",
        }


def test_a_missing_key_becomes_null_and_none_makes_a_text_column(store_url):
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[{"a": 1}, {"b": None}])
        assert syncer.load("t") == [{"a": 1, "b": None}, {"a": None, "b": None}]
        syncer.dump("t", data=[{"b": "text"}])
        assert syncer.load("t") == [{"a": None, "b": "text"}]


@pytest.mark.parametrize(
    ("values", "loaded"),
    [([1, Decimal("1.5")], [Decimal(1), Decimal("1.5")]), ([1, 0.5], [1.0, 0.5])],
)
def test_a_column_is_as_wide_as_its_values(store_url, values, loaded):
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[{"x": value} for value in values])
        found = [record["x"] for record in syncer.load("t")]
    assert found == loaded
    assert {type(value) for value in found} == {type(loaded[0])}


def test_large_integers_fit_in_postgresql(database):
    with SQLSyncer(database) as syncer:
        syncer.dump("t", data=[{"x": 2**70}, {"x": 1}])
        assert [record["x"] for record in syncer.load("t")] == [2**70, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "a"], r"column 'x' would hold int and str: give its values one type, or create the table first"),
        ([2**60, 0.5], r"column 'x' would hold float and int"),
        ([True, 1], r"column 'x' would hold bool and int"),
        ([date(2024, 1, 1), MOMENT], r"column 'x' would hold date and datetime"),
        ([object()], r"column 'x' would hold object, which has no column type: create the table first"),
        ([MOMENT, datetime(2024, 1, 1, tzinfo=UTC)], r"datetime both with and without a time zone"),
    ],
)
def test_values_without_a_common_column_type_are_refused(store_url, values, message):
    with SQLSyncer(store_url) as syncer:
        with pytest.raises(SyncerError, match=message):
            syncer.dump("t", data=[{"x": value} for value in values])
        with pytest.raises(SyncerError, match="has no table 't'"):
            syncer.load("t")


def test_times_with_a_zone_keep_their_instant(store_url):
    moment = datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[{"x": moment, "y": moment.timetz()}])
        (record,) = syncer.load("t")
    assert record == {"x": moment, "y": moment.timetz()}
    assert record["x"].tzinfo is not None


def test_dump_replaces_what_was_there(store_url):
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[{"x": 1}, {"x": 2}])
        syncer.dump("t", data=iter([{"x": 3}]))
        assert syncer.load("t") == [{"x": 3}]
        syncer.dump("t", data=[])
        assert syncer.load("t") == []


def test_more_records_than_a_statement_takes_are_dumped(store_url):
    with SQLSyncer(store_url) as syncer:
        syncer.dump("t", data=[{"x": number} for number in range(2_500)])
        assert sorted(record["x"] for record in syncer.load("t")) == list(range(2_500))


def test_a_dump_that_fails_leaves_what_was_there(store_url, execute):
    execute(store_url, "create table t (x integer check (x < 3))", "insert into t values (1)")
    with SQLSyncer(store_url) as syncer:
        with pytest.raises(SyncerError, match=r"cannot write table 't' of .*, which is as it was: .*(?i:check)"):
            syncer.dump("t", data=[{"x": 2}, {"x": 3}])
        with pytest.raises(SyncerError, match=r"table 't' of .* has no column 'y'; there are 'x'"):
            syncer.dump("t", data=[{"x": 1, "y": 2}])
        assert syncer.load("t") == [{"x": 1}]


def test_a_key_that_is_no_name_is_refused(store_url):
    with SQLSyncer(store_url) as syncer, pytest.raises(SyncerError, match="has a key that is int"):
        syncer.dump("t", data=[{1: 2}])


def test_a_table_cannot_be_made_of_nothing(store_url):
    with SQLSyncer(store_url) as syncer, pytest.raises(SyncerError, match="no records say which columns it has"):
        syncer.dump("t", data=[])


def test_a_table_is_made_in_an_existing_schema(database, execute):
    execute(database, "create schema school")
    with SQLSyncer(database) as syncer:
        syncer.dump("school.users", data=[{"x": 1}])
        syncer.dump("college.users", data=[{"x": 2}])
        assert execute(database, "select x from school.users") == [(1,)]
        assert execute(database, 'select x from "college.users"') == [(2,)]
        assert syncer.load("school.users") == [{"x": 1}]


def test_dump_makes_a_file_of_sqlite(tmp_path):
    with SQLSyncer(f"sqlite:///{tmp_path / 'new.db'}") as syncer:
        syncer.dump("t", data=[{"x": 1}])
        assert syncer.load("t") == [{"x": 1}]
    syncer = SQLSyncer(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(SyncerError, match=r"cannot open sqlite:///.*folder\.db: unable to open database file"):
        syncer.dump("t", data=[{"x": 1}])


def test_a_referenced_table_cannot_be_dumped_over(store_url, execute):
    execute(
        store_url,
        "create table parent (id integer primary key)",
        "create table child (parent integer references parent (id))",
        "insert into parent values (1)",
        "insert into child values (1)",
    )
    with SQLSyncer(store_url) as syncer:
        with pytest.raises(SyncerError, match=r"cannot write table 'parent' of .*(?i:foreign key)"):
            syncer.dump("parent", data=[{"id": 2}])
        assert syncer.load("parent") == [{"id": 1}]


def test_a_dump_waits_for_no_other_run(database):
    with SQLSyncer(database) as syncer, SQLSyncer(database) as other:
        syncer.dump("t", data=[{"x": 1}])

        def dump_meanwhile(change, attribute, raw, expected):
            with pytest.raises(LockedError, match=r"another run or program is writing to table 'public\.t'"):
                other.dump("t", data=[{"x": 9}])
            return raw == expected

        changes = [Change("update", Table("t"), ("x",), (1,), {"x": 2}, {"x": 1})]
        assert syncer.apply_changes(changes, same=dump_meanwhile)[0].status == "done"
        assert syncer.load("t") == [{"x": 2}]


@pytest.mark.parametrize("value", [["a", "b"], {"a"}, ("a",), {"a": 1}])
def test_a_text_column_takes_no_members(store_url, value):
    with SQLSyncer(store_url) as syncer:
        syncer.dump("users", data=[{"idnumber": "1", "groups": "text"}])
        with pytest.raises(SyncerError, match=f"a text column holds no {type(value).__name__}"):
            syncer.dump("users", data=[{"idnumber": "1", "groups": value}])
        assert syncer.load("users") == [{"idnumber": "1", "groups": "text"}]
