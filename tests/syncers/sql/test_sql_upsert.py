"""Appending, upserting, updating and deleting by key: each against a list of plain dictionaries."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])

COLUMNS = ("a", "b", "x", "y")
EMPTY = dict.fromkeys(COLUMNS)
FIRST = [{"a": number, "b": text, "x": number, "y": text} for number, text in enumerate(["a", "A", "a "])]
# Databases are fond of taking some of these texts for each other.
VALUES = {
    "a": st.integers(0, 2),
    "b": st.sampled_from(["a", "A", "a ", "e", "é", ""]),
    "x": st.integers(0, 9),
}
VALUES["y"] = VALUES["b"]
KEYS = (("a",), ("b",), ("a", "b"))


class RefusedError(Exception):
    """The model refuses what the store must refuse."""


def key_of(record, keys):
    return tuple(record.get(name) for name in keys)


def check(rows, data, keys):
    given_keys = [key_of(record, keys) for record in data]
    if any(None in key for key in given_keys) or len(set(given_keys)) < len(given_keys):
        raise RefusedError
    stored = Counter(key_of(row, keys) for row in rows)
    if any(stored[key] > 1 for key in given_keys):
        raise RefusedError
    return stored


def dump(rows, data, keys):
    return [EMPTY | record for record in data], None


def append(rows, data, keys):
    return rows + [EMPTY | record for record in data], len(data)


def upsert(rows, data, keys):
    stored = check(rows, data, keys)
    by_key = {key_of(record, keys): record for record in data}
    rows = [row | by_key.get(key_of(row, keys), {}) for row in rows]
    return rows + [EMPTY | record for key, record in by_key.items() if not stored[key]], len(data)


def update(rows, data, keys):
    stored = check(rows, data, keys)
    if not all(stored[key_of(record, keys)] for record in data):
        raise RefusedError
    return upsert(rows, data, keys)


def delete(rows, data, keys):
    check(rows, data, keys)
    gone = {key_of(record, keys) for record in data}
    kept = [row for row in rows if key_of(row, keys) not in gone]
    return kept, len(rows) - len(kept)


@st.composite
def operations(draw):
    model = draw(st.sampled_from([upsert, update, upsert, update, delete, append, dump]))
    keys = draw(st.sampled_from(KEYS))
    whole = {name: values | st.none() if name not in keys else values for name, values in VALUES.items()}
    if draw(st.integers(0, 9)) == 0:
        whole = {name: values | st.none() for name, values in VALUES.items()}
    required = {name: whole[name] for name in keys}
    optional = {name: values for name, values in whole.items() if name not in keys}
    data = draw(st.lists(st.fixed_dictionaries(required, optional=optional), min_size=1, max_size=4))
    if draw(st.integers(0, 3)):
        data = list({key_of(record, keys): record for record in data}.values())
    return model, data, keys


def as_set(rows):
    return Counter(tuple(row[name] for name in COLUMNS) for row in rows)


@law
@given(steps=st.lists(operations(), min_size=1, max_size=6))
def test_every_method_does_what_it_does_to_a_list_of_dictionaries(server_url, steps):
    with SQLSyncer(server_url) as syncer:
        syncer.dump("t", data=FIRST)
        rows = FIRST
        for model, data, keys in steps:
            options = {} if model in (dump, append) else {"key": keys}
            method = getattr(syncer, model.__name__)
            try:
                expected, count = model(rows, data, keys)
            except RefusedError:
                with pytest.raises(SyncerError):
                    method("t", data=iter(data), **options)
            else:
                assert method("t", data=iter(data), **options) == count
                rows = expected
            assert as_set(syncer.load("t")) == as_set(rows)


@pytest.fixture
def syncer(server_url):
    with SQLSyncer(server_url) as opened:
        yield opened


@pytest.fixture
def users(syncer):
    syncer.dump("users", data=[{"id": 1, "name": "Ann", "age": 7}, {"id": 2, "name": "Bob", "age": 8}])
    return syncer


def by_id(syncer, table="users"):
    return sorted(syncer.load(table), key=lambda record: record["id"])


def test_a_key_is_one_column_or_several(users):
    assert users.update("users", data=[{"id": 1, "age": 9}], key="id") == 1
    assert users.upsert("users", data=[{"id": 2, "name": "Bob", "age": 9}], key=["id", "name"]) == 1
    assert [record["age"] for record in by_id(users)] == [9, 9]


def test_what_a_record_lacks_is_kept_or_gets_its_default(syncer, server_url, execute):
    execute(server_url, "create table users (id integer primary key, name varchar(20) default 'new', age integer)")
    syncer.append("users", data=[{"id": 1, "age": 7}])
    assert syncer.upsert("users", data=[{"id": 1, "age": 8}, {"id": 2}], key="id") == 2
    assert by_id(syncer) == [{"id": 1, "name": "new", "age": 8}, {"id": 2, "name": "new", "age": None}]
    syncer.dump("users", data=[{"id": 3, "name": None}, {"id": 4}])
    assert by_id(syncer) == [{"id": 3, "name": None, "age": None}, {"id": 4, "name": "new", "age": None}]


@pytest.mark.parametrize("method", ["append", "upsert"])
def test_a_missing_table_is_made(syncer, method):
    options = {} if method == "append" else {"key": "id"}
    data = [{"id": "1", "x": 1}, {"id": "2", "y": [1]}]
    assert getattr(syncer, method)("users", data=iter(data), **options) == 2
    assert by_id(syncer) == [{"id": "1", "x": 1, "y": None}, {"id": "2", "x": None, "y": [1]}]


@pytest.mark.parametrize("method", ["update", "delete"])
def test_there_is_nothing_to_change_in_a_missing_table(users, method):
    with pytest.raises(SyncerError, match=r"has no table 'usres'; did you mean 'users'\?"):
        getattr(users, method)("usres", data=[], key="id")


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        ("upsert", [{"id": 3}, {"id": None}], r"record 2 for table 'users' has None in column 'id', which is part of"),
        ("delete", [{"name": "Ann"}], r"record 1 for table 'users' lacks column 'id', which is part of the key"),
        ("update", [{"id": [1], "age": 1}], r"record 1 for table 'users' has a list in column 'id', which cannot be"),
        ("update", [{"id": 1}, {"id": 2}, {"id": 1}], r"records 1 and 3 for table 'users' have the same key.*: id=1$"),
        ("upsert", [{"id": 5}, {"id": 6}, {"id": 5}], r"records 1 and 3 for table 'users' have the same key.*: id=5$"),
        ("update", [{"id": 1, "age": 1}, {"id": 9, "age": 1}], r"has no record with the key id=9 to update"),
        ("upsert", [{"id": 1, "nme": "x"}], r"table 'users' of .* has no column 'nme'; did you mean 'name'\?"),
        ("delete", [{"id": 1, "nme": "x"}], r"table 'users' of .* has no column 'nme'; did you mean 'name'\?"),
        ("upsert", [{"id": 1}, 3], r"record 2 for table 'users' is int: give a mapping by column"),
        ("upsert", [{"id": 1, 3: "x"}], r"record 1 for table 'users' has a key that is int"),
        (
            "upsert",
            [{"id": 3, "age": 8}, {"id": 4, "age": 2**70}],
            r"cannot write table 'users' of .*, which is as it was",
        ),
    ],
)
def test_what_is_refused_is_named_and_changes_nothing(users, method, data, message):
    with pytest.raises(SyncerError, match=message):
        getattr(users, method)("users", data=data, key="id")
    assert [(record["id"], record["name"], record["age"]) for record in by_id(users)] == [(1, "Ann", 7), (2, "Bob", 8)]


@pytest.mark.parametrize(("key", "message"), [("idd", "did you mean 'id'"), ((), "is ()"), (["id", "id"], "each once")])
def test_a_key_that_is_none_is_refused(users, key, message):
    with pytest.raises(SyncerError, match=message.replace("()", r"\(\)")):
        users.upsert("users", data=[], key=key)


def test_a_key_that_stands_in_several_records_is_refused(users):
    users.append("users", data=[{"id": 1, "name": "Ann again"}])
    for method in (users.upsert, users.update, users.delete):
        with pytest.raises(SyncerError, match=r"table 'users' has several records with the key id=1, so none was"):
            method("users", data=[{"id": 1}], key="id")
    assert users.delete("users", data=[{"id": 2}], key="id") == 1
    assert len(users.load("users")) == 2


@pytest.mark.parametrize("records", [[{"id": 1}, {"id": 1}], [{"id": 1}, {"id": None}], [{"id": 1}, {"x": 1}]])
def test_a_table_is_not_made_of_keys_that_are_refused(syncer, records):
    with pytest.raises(SyncerError, match=r"the same key|has None in|lacks column"):
        syncer.upsert("users", data=records, key="id")
    assert syncer.tables() == []


class InterruptionError(Exception):
    """What the records raise."""


@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, InterruptionError, pytest.param(ValueError, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("method", ["dump", "append", "upsert", "update", "delete"])
@pytest.mark.parametrize("table", ["users", "others"])
def test_an_interruption_leaves_the_tables_as_they_were(users, method, kind, table):
    def records():
        yield from ({"id": number} for number in range(3, 1_100))
        raise kind

    options = {} if method in ("dump", "append") else {"key": "id"}
    with pytest.raises(kind if table == "users" or method in ("dump", "append", "upsert") else SyncerError):
        getattr(users, method)(table, data=records(), **options)
    assert users.tables() == ["users"]
    assert [record["id"] for record in by_id(users)] == [1, 2]
    assert users.upsert("users", data=[{"id": 3}], key="id") == 1


@pytest.mark.parametrize(
    ("count", "indexed"), [(5_000, True), *(pytest.param(20_000, one, marks=pytest.mark.slow) for one in (True, False))]
)
def test_as_many_records_as_one_likes(syncer, server_url, execute, count, indexed):
    if indexed:
        execute(server_url, "create table users (id integer primary key, name varchar(20), age integer)")
    else:
        syncer.dump("users", data=[{"id": 0, "name": "", "age": 0}])
    syncer.dump("users", data=({"id": number, "name": "old", "age": 1} for number in range(count)))
    data = ({"id": number, "name": "new"} for number in range(count // 2, count + count // 2))
    assert syncer.upsert("users", data=data, key="id") == count
    assert (
        syncer.update("users", data=({"id": number, "age": 2} for number in range(0, count, 2)), key="id") == count // 2
    )
    assert (
        syncer.delete("users", data=({"id": number} for number in range(100, 2 * count)), key="id") == 1.5 * count - 100
    )
    assert by_id(syncer) == [{"id": number, "name": "old", "age": 1 + (number + 1) % 2} for number in range(100)]


def test_records_may_come_out_of_the_table_that_they_go_into(syncer):
    syncer.dump("users", data=[{"id": number, "x": 0} for number in range(2_500)])
    data = (record | {"x": record["id"]} for record in syncer.read("users"))
    assert syncer.upsert("users", data=data, key="id") == 2_500
    assert all(record["x"] == record["id"] for record in syncer.load("users"))
    syncer.dump("users", data=(record | {"x": 1} for record in syncer.read("users")))
    assert {record["x"] for record in syncer.load("users")} == {1}


def test_a_database_in_memory_is_kept_as_long_as_it_is_open():
    with SQLSyncer("sqlite://") as syncer:
        syncer.dump("users", data=[{"id": number, "x": 0} for number in range(3)])
        syncer.upsert("users", data=(record | {"x": 1} for record in syncer.read("users")), key="id")
        assert by_id(syncer) == [{"id": number, "x": 1} for number in range(3)]


def test_foreign_keys_hold(syncer, server_url, execute):
    execute(
        server_url,
        "create table parent (id integer primary key)",
        "create table child (id integer primary key, parent integer, foreign key (parent) references parent (id))",
    )
    syncer.append("parent", data=[{"id": 1}])
    syncer.upsert("child", data=[{"id": 1, "parent": 1}], key="id")
    for attempt in (
        lambda: syncer.delete("parent", data=[{"id": 1}], key="id"),
        lambda: syncer.update("child", data=[{"id": 1, "parent": 2}], key="id"),
        lambda: syncer.append("child", data=[{"id": 2, "parent": 2}]),
        lambda: syncer.dump("parent", data=[]),
    ):
        with pytest.raises(SyncerError, match=r"which is as it was: .*(?i:foreign key)"):
            attempt()
    assert syncer.load("child") == [{"id": 1, "parent": 1}]
    assert syncer.delete("child", data=syncer.load("child"), key="id") == 1
    assert syncer.delete("parent", data=[{"id": 1}], key="id") == 1


def test_another_unique_column_is_not_taken_for_the_key(syncer, server_url, execute):
    execute(server_url, "create table users (id integer primary key, login varchar(20) unique, name varchar(20))")
    syncer.append("users", data=[{"id": 1, "login": "ann", "name": "Ann"}])
    with pytest.raises(SyncerError, match=r"(?i:unique|duplicate)"):
        syncer.upsert("users", data=[{"id": 2, "login": "ann", "name": "Bob"}], key="id")
    assert syncer.load("users") == [{"id": 1, "login": "ann", "name": "Ann"}]
    assert syncer.upsert("users", data=[{"id": 2, "login": "ann"}], key="login") == 1
    assert syncer.load("users") == [{"id": 2, "login": "ann", "name": "Ann"}]


def test_a_not_null_column_may_be_left_out_of_what_is_there(syncer, server_url, execute):
    execute(server_url, "create table users (id integer primary key, name varchar(20) not null, age integer)")
    syncer.append("users", data=[{"id": 1, "name": "Ann"}])
    assert syncer.upsert("users", data=[{"id": 1, "age": 7}], key="id") == 1
    assert syncer.load("users") == [{"id": 1, "name": "Ann", "age": 7}]


@pytest.mark.parametrize(
    "name", ['a"; drop table t;--', "select", "Mixed Case", "é%s", "a`b", ":y", "[x]", "position", "{x}"]
)
def test_any_name_is_a_name(syncer, name):
    syncer.dump(name, data=[{name: "1", "known": "x", "shape": None}])
    assert syncer.tables() == [name]
    assert syncer.upsert(name, data=[{name: "1", "known": "y"}, {name: "2"}], key=name) == 2
    assert syncer.update(name, data=[{name: "2", "known": "z"}], key=[name]) == 1
    assert syncer.delete(name, data=[{name: "1"}], key=name) == 1
    assert syncer.load(name) == [{name: "2", "known": "z", "shape": None}]


@pytest.mark.parametrize("method", ["append", "upsert", "update", "delete", "dump"])
def test_the_second_of_two_runs_is_refused(users, server_url, method):
    options = {} if method in ("append", "dump") else {"key": "id"}
    raised = []
    with SQLSyncer(server_url) as other:

        def while_changing(change, attribute, raw, expected):
            with pytest.raises(LockedError, match=r"another run or program is writing to .*; its lock ends with it"):
                getattr(other, method)("users", data=[{"id": 1}], **options)
            raised.append(method)
            return raw == expected

        changes = [Change("update", Table("users"), ("id",), (1,), {"age": 9}, {"age": 7})]
        assert users.apply_changes(changes, same=while_changing)[0].status == "done"
        assert raised
        if method != "delete":
            getattr(other, method)("users", data=[{"id": 1}], **options)


def test_two_runs_do_not_make_one_table(syncer, server_url):
    with SQLSyncer(server_url) as other:

        def records():
            with pytest.raises(LockedError):
                other.append("users", data=[{"id": 9}])
            yield {"id": 1}

        assert syncer.append("users", data=records()) == 1
    assert syncer.load("users") == [{"id": 1}]


def test_messages_hold_no_values_but_those_of_keys(users, server_url, execute):
    execute(server_url, "create table t (id integer primary key, login varchar(6) unique, age integer)")
    secret = "tiger"
    users.append("t", data=[{"id": 1, "login": secret}])
    for data in ([{"id": 2, "login": secret}], [{"id": 2, "age": secret}], [{"id": 3, "age": 2**70}]):
        if server_url.startswith("sqlite") and "age" in data[0] and data[0]["age"] == secret:
            continue  # there any column holds any text
        with pytest.raises(SyncerError) as caught:
            users.upsert("t", data=data, key="id")
        assert secret not in str(caught.value)
        assert str(2**70) not in str(caught.value)


def test_keys_are_compared_as_the_database_does(syncer, server_url, execute):
    kinds = {"s": "text collate nocase", "p": "varchar(20)", "m": "varchar(20)"}
    execute(server_url, f"create table users (id {kinds[server_url[0]]} unique, x integer)")
    syncer.dump("users", data=[{"id": "Ann", "x": 1}])
    if server_url.startswith("postgresql"):
        assert syncer.upsert("users", data=[{"id": "ann", "x": 2}, {"id": "ANN", "x": 3}], key="id") == 2
        return
    assert syncer.upsert("users", data=[{"id": "ann", "x": 2}], key="id") == 1
    assert [record["x"] for record in syncer.load("users")] == [2]
    with pytest.raises(
        SyncerError, match=r"records 1 and 2 for table 'users' have the same key, as the store compares"
    ):
        syncer.update("users", data=[{"id": "ann", "x": 3}, {"id": "ANN", "x": 4}], key="id")
    with pytest.raises(SyncerError):
        syncer.upsert("users", data=[{"id": "new", "x": 3}, {"id": "NEW", "x": 4}], key="id")
    assert [record["x"] for record in syncer.load("users")] == [2]


def test_numbers_are_keys_whatever_their_type(users):
    assert users.update("users", data=[{"id": Decimal(1), "age": 9}], key="id") == 1
    with pytest.raises(SyncerError, match=r"records 1 and 2 .* have the same key"):
        users.update("users", data=[{"id": 1, "age": 1}, {"id": Decimal(1), "age": 2}], key="id")


def test_what_another_program_inserts_at_the_same_moment_is_updated(database, execute):
    execute(database, "create table users (id integer primary key, x integer, y integer)")
    with SQLSyncer(database) as syncer:
        engine = syncer._database.engine

        def interfere(connection, cursor, statement, *_):
            if statement.startswith("INSERT INTO users"):
                execute(database, "insert into users values (1, 0, 5), (2, 0, 5)")

        sqlalchemy.event.listen(engine, "before_cursor_execute", interfere)
        assert syncer.upsert("users", data=[{"id": 1, "x": 1}, {"id": 3, "x": 3}], key="id") == 2
        assert sorted(execute(database, "select * from users")) == [(1, 1, 5), (2, 0, 5), (3, 3, None)]
        execute(database, "delete from users")
        assert syncer.upsert("users", data=[{"id": 1}], key="id") == 1
        assert sorted(execute(database, "select * from users")) == [(1, 0, 5), (2, 0, 5)]


def test_tables_of_other_schemas_are_named_with_them(database, execute):
    execute(database, "create schema school", "create table school.users (id integer)", "create view v as select 1")
    with SQLSyncer(database) as syncer:
        syncer.dump("pupils", data=[{"id": 1}])
        assert syncer.tables() == ["pupils", "school.users"]
        assert syncer.upsert("school.users", data=[{"id": 1}], key="id") == 1
        assert syncer.load("school.users") == [{"id": 1}]


def test_a_key_may_be_longer_than_what_an_index_holds(store_url):
    key = random.Random(0).randbytes(9_000).hex()  # which cannot be compressed much
    with SQLSyncer(store_url) as syncer:
        syncer.dump("users", data=[{"id": key, "age": 1}, {"id": key[:-1], "age": 1}])
        assert syncer.update("users", data=[{"id": key, "age": 2}], key="id") == 1
        assert {record["id"]: record["age"] for record in syncer.load("users")} == {key: 2, key[:-1]: 1}
