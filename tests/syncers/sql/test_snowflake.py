"""Snowflake through its dialect of SQLAlchemy, against fakesnow: a stand-in, which runs its statements in DuckDB.

The stand-in has no savepoints either, knows no locks, takes names that differ only in case for one, and gives a
transaction up after a statement that failed, where Snowflake goes on.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Object, Tree
from datastoresync.errors import MissingDependencyError, SyncerError
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(
    deadline=None, max_examples=examples(10, quick=3), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RECORDS = st.lists(
    st.fixed_dictionaries({"id": st.integers(0, 9), "name": st.none() | st.sampled_from(["", "a'b", "%s", "é", "\\"])}),
    unique_by=lambda record: record["id"],
    max_size=4,
)


def same(change, attribute, raw, expected):
    return raw == expected


@pytest.fixture
def syncer(snowflake):
    with SQLSyncer(snowflake) as opened:
        yield opened


def by_id(syncer, table="users"):
    return sorted(syncer.load(table), key=lambda record: record["id"])


@law
@given(old=RECORDS, new=RECORDS)
def test_records_are_replaced_added_changed_and_removed_by_key(syncer, old, new):
    syncer.dump("users", data=[{"id": 0, "name": ""}])
    syncer.dump("users", data=iter(old))
    assert by_id(syncer) == sorted(old, key=lambda record: record["id"])
    before = {record["id"]: record for record in old}
    after = before | {record["id"]: record for record in new}
    assert syncer.upsert("users", data=iter(new), key="id") == len(new)
    assert by_id(syncer) == [after[key] for key in sorted(after)]
    assert syncer.update("users", data=[{"id": key, "name": "x"} for key in after], key="id") == len(after)
    assert by_id(syncer) == [{"id": key, "name": "x"} for key in sorted(after)]
    assert syncer.delete("users", data=old, key="id") == len(old)
    assert syncer.append("users", data=old) == len(old)
    assert {record["id"] for record in syncer.load("users")} == set(after)


def test_values_come_back_as_it_says(syncer):
    record = {
        "text": "x'y\\z",
        "number": 2**62,
        "float": 0.1,
        "decimal": Decimal("1.5"),
        "truth": True,
        "moment": datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - without a time zone
        "instant": datetime(2024, 1, 2, tzinfo=UTC),
        "day": date(2024, 1, 2),
        "hour": time(3, 4),
        "bytes": b"ab",
        "json": [1, "a"],
    }
    syncer.dump("t", data=[record])
    assert syncer.load("t") == [{name: syncer.normalized(value) for name, value in record.items()}]
    assert str(syncer.load("t")[0]["decimal"]) == "1.5"


def test_names_in_small_letters_are_those_that_snowflake_folds(syncer):
    with syncer._database.engine.begin() as connection:
        connection.exec_driver_sql("create table People (Id integer, Name varchar)")
    assert syncer.tables() == ["people"]
    assert syncer.upsert("people", data=[{"id": 1, "name": "Ann"}], key="id") == 1
    assert syncer.upsert("public.people", data=[{"id": 2, "name": "Bob"}], key="id") == 1
    assert [record["id"] for record in by_id(syncer, "people")] == [1, 2]


@pytest.mark.parametrize(
    "name",
    ["select", "Mixed Case", "x;--", *(pytest.param(name, marks=pytest.mark.slow) for name in ("é", "a b", "[x]"))],
)
def test_a_name_is_quoted(syncer, name):
    syncer.dump(name, data=[{name: 1, "other": "a"}])
    assert syncer.tables() == [name]
    assert syncer.upsert(name, data=[{name: 1, "other": "b"}, {name: 2}], key=name) == 2
    assert sorted(record["other"] or "" for record in syncer.load(name)) == ["", "b"]


@pytest.mark.parametrize(
    ("table", "column", "message"),
    [
        ("USERS", "x", "snowflake would call 'USERS' 'users': rename it, or create the table first"),
        ("users", "ID", "snowflake would call 'ID' 'id'"),
        ('a"; drop table t;--', "x", "a name with '\"' cannot be read back from snowflake"),
        ("two.dots", "x", "a name with '.' cannot be read back"),
        ("t", "a%", "a name with '%' cannot be read back from snowflake: rename 'a%'"),
    ],
)
def test_a_name_that_would_not_come_back_is_refused(syncer, table, column, message):
    with pytest.raises(SyncerError) as caught:
        syncer.dump(table, data=[{column: 1}])
    assert message in str(caught.value)
    assert syncer.tables() == []


QUICK = [("dump", "users", KeyboardInterrupt), ("upsert", "others", KeyboardInterrupt)]
SLOW = list(itertools.product(["dump", "append", "upsert"], ["users", "others"], [KeyboardInterrupt, KeyError]))


@pytest.mark.parametrize(
    ("method", "table", "kind"),
    [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW if one not in QUICK)],
)
def test_an_interruption_leaves_the_tables_as_they_were(syncer, method, table, kind):
    syncer.dump("users", data=[{"id": 1}])

    def records():
        yield from ({"id": number} for number in range(2, 1_100))
        raise kind

    with pytest.raises(kind):
        getattr(syncer, method)(table, data=records(), **({"key": "id"} if method == "upsert" else {}))
    assert syncer.tables() == ["users"]
    assert syncer.load("users") == [{"id": 1}]


def test_a_new_table_that_cannot_be_filled_is_not_there(syncer):
    with pytest.raises(SyncerError, match=r"column 'x': the column keeps .* and 18 behind it"):
        syncer.dump("new", data=[{"x": Decimal(1)}, {"x": Decimal("1e-19")}])
    assert syncer.tables() == []


def test_changes_are_applied_without_savepoints_and_locks(syncer):
    syncer.dump("users", data=[{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}])
    seen = []
    sqlalchemy.event.listen(
        syncer._database.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2].upper())
    )
    changes = [
        Change("update", Table("users"), ("id",), (1,), {"name": "Anna"}, {"name": "Ann"}),
        Change("insert", Table("users"), ("id",), (3,), {"name": "Cid"}),
        Change("delete", Table("users"), ("id",), (2,), {}, {"name": "Ben"}),
    ]
    assert [outcome.status for outcome in syncer.apply_changes(changes, same=same)] == ["done", "done", "conflict"]
    assert [record["name"] for record in by_id(syncer)] == ["Anna", "Bob", "Cid"]
    assert not any("SAVEPOINT" in statement or "FOR UPDATE" in statement for statement in seen)


class User(Object):
    idnumber: str
    name: str
    age: int


def test_a_tree_is_synced_into_it(syncer):
    syncer.dump("users", data=[{"idnumber": "1", "name": "Ann", "age": 7}, {"idnumber": "2", "name": "Bob", "age": 8}])
    rows = [{"idnumber": "1", "name": "Ann", "age": 8}, {"idnumber": "3", "name": "Cid", "age": 9}]
    rows.append({"idnumber": "2", "name": "Bob", "age": 8})
    source = +Tree("source", branches={"users": Branch(User, importer=rows)})
    dest = +Tree("dest", syncer=syncer, branches={"users": Branch(User)})
    assert not (source >> dest).failed
    assert not source - dest
    assert not source - +dest


def test_an_error_holds_no_value_and_no_password(syncer):
    with syncer._database.engine.begin() as connection:
        connection.exec_driver_sql("create table t (id integer)")
    with pytest.raises(SyncerError) as caught:
        syncer.append("t", data=[{"id": "tiger"}])
    assert "tiger" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(syncer)


def test_a_dialect_that_is_not_installed_is_named_with_its_command(monkeypatch):
    def no_such_dialect(*arguments, **options):
        raise sqlalchemy.exc.NoSuchModuleError

    monkeypatch.setattr(sqlalchemy, "create_engine", no_such_dialect)
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[snowflake\]'"):
        SQLSyncer("snowflake://user:secret@account/school/public").tables()
