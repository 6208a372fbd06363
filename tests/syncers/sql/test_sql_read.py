"""Reading tables, link tables and queries of a database."""

from __future__ import annotations

import gc
import sqlite3
from datetime import timedelta

import pytest
import sqlalchemy

from datastoresync.errors import ConversionError, DataWarning, SyncerError
from datastoresync.syncers.changes import Link, Table
from datastoresync.syncers.sql import read as sql_reading
from datastoresync.syncers.sql.syncer import SQLSyncer

USERS = (
    "create table users (idnumber varchar(20) primary key, name text, grade integer)",
    "insert into users values ('1', 'Ann', 7), ('2', 'Bob', 8), ('3', 'Cy', null)",
)
GROUPS = (
    "create table groups (code varchar(20) primary key, name text)",
    "create table group_members (group_code varchar(20), user_id varchar(20))",
    "insert into groups values ('a', 'A'), ('b', 'B')",
    "insert into group_members values ('a', '1'), ('a', '2'), ('a', '2'), ('gone', '3')",
)
MEMBERS = {"members": Link("group_members", "group_code", "user_id")}
OWNERLESS = pytest.mark.filterwarnings("ignore:table 'group_members' has members of")


@pytest.fixture
def syncer(store_url, execute):
    execute(store_url, *USERS, *GROUPS)
    with SQLSyncer(store_url) as opened:
        yield opened


def rows(records):
    return sorted(tuple(record.items()) for record in records)


def test_a_table_is_read_by_column(syncer):
    assert rows(syncer.read("users"))[1:] == [
        (("idnumber", "2"), ("name", "Bob"), ("grade", 8)),
        (("idnumber", "3"), ("name", "Cy"), ("grade", None)),
    ]
    assert min(syncer.load("users"), key=str) == {"idnumber": "1", "name": "Ann", "grade": 7}


def test_chunks_are_columns_and_a_record_says_where_it_is(syncer, monkeypatch):
    monkeypatch.setattr(sql_reading, "_ROWS", 2)
    records = syncer.read("users", ["grade", "idnumber"])
    chunks = list(records.chunks)
    assert [len(chunk[0]) for chunk in chunks] == [2, 1]
    assert sorted(key for chunk in chunks for key in chunk[1]) == ["1", "2", "3"]
    assert records.columns == ("grade", "idnumber")
    assert records.where(16) == "row 17 of table users"


def test_wide_rows_come_in_smaller_chunks(syncer, monkeypatch):
    monkeypatch.setattr(sql_reading, "_VALUES", 3)
    assert [len(chunk[0]) for chunk in syncer.read("users").chunks] == [1, 1, 1]


def test_columns_are_renamed_to_attributes_and_back(syncer):
    table = Table("users", columns={"key": "idnumber", "title": "name"})
    assert syncer.read(table).columns == ("key", "title", "grade")
    assert rows(syncer.read(table, ["title"]))[0] == (("title", "Ann"),)


def test_two_attributes_of_one_column_are_both_read(syncer):
    assert syncer.read(Table("users", columns={"a": "name", "b": "name"})).columns == ("idnumber", "a", "b", "grade")


def test_an_attribute_that_would_be_two_columns_is_refused(syncer):
    with pytest.raises(
        SyncerError, match=r"attribute 'name' of table 'users' would be two things.*name the attributes"
    ):
        syncer.read(Table("users", columns={"name": "idnumber"}))


def test_members_come_as_a_set_for_each_owner(syncer):
    table = Table("groups", columns={"idnumber": "code"}, links=MEMBERS)
    with pytest.warns(
        DataWarning, match=r"table 'group_members' has members of 1 owner not in table 'groups' \(such as go"
    ):
        found = {record["idnumber"]: record["members"] for record in syncer.read(table)}
    assert found == {"a": {"1", "2"}, "b": set()}
    assert syncer.read(table).columns == ("idnumber", "name", "members")


@OWNERLESS
def test_members_are_read_without_the_key(syncer):
    table = Table("groups", links=MEMBERS)  # no idnumber, so the primary key
    assert sorted(len(record["members"]) for record in syncer.read(table, ["members"])) == [0, 2]


@OWNERLESS
def test_members_belong_to_the_identifiers_that_are_named(syncer, execute, store_url):
    execute(store_url, "insert into group_members values ('A', '9')")
    table = Table("groups", links=MEMBERS)
    found = {record["code"]: record["members"] for record in syncer.read(table, identifiers=["name"])}
    assert found == {"a": {"9"}, "b": set()}


def test_members_of_a_composite_key_are_found_whatever_the_types(store_url, execute):
    execute(
        store_url,
        "create table rooms (site text, number integer, primary key (site, number))",
        "create table keys (owner_site text, owner_number text, holder integer)",
        "insert into rooms values ('n', 1), ('n', 2)",
        "insert into keys values ('n', '2', 5), ('n', '2', 6)",
    )
    table = Table("rooms", links={"keys": Link("keys", ("owner_site", "owner_number"), "holder")})
    with SQLSyncer(store_url) as syncer:
        assert {record["number"]: record["keys"] for record in syncer.read(table)} == {1: set(), 2: {5, 6}}


def test_an_owner_of_another_width_than_the_key_is_refused(syncer):
    table = Table("groups", links={"members": Link("group_members", ("group_code", "user_id"), "user_id")})
    with pytest.raises(SyncerError, match=r"the owner in link table 'group_members' is 2 column\(s\).*is 1"):
        syncer.read(table)


@OWNERLESS
def test_sets_of_members_are_not_shared(syncer, execute, store_url):
    execute(store_url, "update groups set name = 'a'")
    one, two = syncer.read(Table("groups", links=MEMBERS), identifiers=["name"])
    one["members"].clear()
    assert two["members"] == {"1", "2"}


@pytest.mark.parametrize(
    ("table", "attributes", "message"),
    [
        ("usres", None, r"has no table 'usres'; did you mean 'users'\?"),
        ("xyzzy", None, r"has no table 'xyzzy'; there are 'group_members', 'groups', 'users'"),
        (
            Table("users", columns={"id": "nmae"}),
            None,
            r"table 'users' of .* has no column 'nmae'; did you mean 'name'\?",
        ),
        ("users", ["gradee"], r"has no column 'gradee'; did you mean 'grade'\?"),
        ("users", ["x"], r"has no column 'x'; there are 'idnumber', 'name', 'grade'"),
        ("users", [], r"no attributes to read from table 'users'"),
        (Table("groups", links={"m": Link("group_member", "g", "u")}), None, r"did you mean 'group_members'\?"),
        (
            Table("groups", links={"m": Link("group_members", "user", "user_id")}),
            None,
            r"no column 'user'; did you mean",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(syncer, table, attributes, message):
    with pytest.raises(SyncerError, match=message):
        syncer.read(table, attributes)


def test_a_database_without_tables_says_so(store_url):
    with SQLSyncer(store_url) as syncer, pytest.raises(SyncerError, match="no table 'users'; there are none at all"):
        syncer.load("users")


def test_many_names_are_cut_short(store_url, execute):
    execute(store_url, f"create table wide ({', '.join(f'column_{number} text' for number in range(22))})")
    with SQLSyncer(store_url) as syncer, pytest.raises(SyncerError, match=r"'column_4' and 17 more$"):
        syncer.read("wide", ["x"])


def test_check_looks_at_every_name(syncer):
    groups = Table("groups", links=MEMBERS)
    syncer.check(["users", groups], ["name"])
    syncer.check([groups], ["members", "code"])
    syncer.check([groups])
    with pytest.raises(SyncerError, match=r"did you mean 'users'\?"):
        syncer.check([groups, "user"])
    with pytest.raises(SyncerError, match=r"table 'groups' of .* has no column 'grade'"):
        syncer.check(["users", groups], ["grade"])
    with pytest.raises(SyncerError, match="no column 'oops'"):
        syncer.check([Table("users", columns={"a": "oops"})])


def test_a_schema_may_be_named_but_an_exact_name_wins(database, execute):
    execute(
        database,
        "create schema school",
        "create table school.users (name text)",
        "insert into school.users values ('schema')",
        'create schema "a.b"',
        'create table "a.b"."c.d" (name text)',
        'insert into "a.b"."c.d" values (\'dots\')',
    )
    with SQLSyncer(database) as syncer:
        assert syncer.load("school.users") == [{"name": "schema"}]
        assert syncer.load("a.b.c.d") == [{"name": "dots"}]
        with pytest.raises(SyncerError, match=r"did you mean 'school.users'\?"):
            syncer.load("school.user")
        execute(database, 'create table "school.users" (name text)', "insert into \"school.users\" values ('exact')")
        assert syncer.load("school.users") == [{"name": "exact"}]


def test_the_schema_of_sqlite_may_be_named(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(url, *USERS)
    with SQLSyncer(url) as syncer:
        assert len(syncer.load("main.users")) == 3


def test_a_view_is_read(syncer, store_url, execute):
    execute(store_url, "create view young as select name from users where grade < 8")
    assert syncer.load("young") == [{"name": "Ann"}]


def test_a_reader_sees_one_state_of_the_database(database, execute, monkeypatch):
    execute(database, *USERS)
    monkeypatch.setattr(sql_reading, "_ROWS", 1)
    with SQLSyncer(database) as syncer:
        stream = iter(syncer.read("users"))
        next(stream)
        execute(database, "delete from users")
        assert len(list(stream)) == 2


@OWNERLESS
def test_members_and_their_owners_are_of_one_state(database, execute):
    execute(database, *GROUPS)
    engine = sqlalchemy.create_engine(database)
    gone = []

    def empty(connection, cursor, statement, *others):
        if "FROM groups" in statement and not gone:
            gone.append(statement)
            execute(database, "delete from groups", "delete from group_members")

    with SQLSyncer(engine) as syncer:
        records = syncer.read(Table("groups", links=MEMBERS))
        sqlalchemy.event.listen(engine, "before_cursor_execute", empty)
        assert {record["code"]: record["members"] for record in records} == {"a": {"1", "2"}, "b": set()}
        assert gone
        assert syncer.load("groups") == []
    engine.dispose()


def test_values_come_as_their_columns_say_in_postgresql(database, execute):
    execute(
        database,
        "create type mood as enum ('glad', 'sad')",
        "create domain positive as integer check (value > 0)",
        "create table t (m mood, p positive, a text[], u uuid, j jsonb)",
        "insert into t values ('sad', 3, '{x,y}', '00000000-0000-0000-0000-000000000001', '{\"k\": [1]}')",
    )
    with SQLSyncer(database) as syncer:
        (record,) = syncer.load("t")
    assert {**record, "u": str(record["u"])} == {
        "m": "sad",
        "p": 3,
        "a": ["x", "y"],
        "u": "00000000-0000-0000-0000-000000000001",
        "j": {"k": [1]},
    }


def test_what_does_not_look_like_its_type_is_read_as_it_is_in_sqlite(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table t (d date, m datetime, c time, b boolean, n decimal(5, 2), f float, j json, x blob, u)",
        "insert into t values ('soon', 17, 'noon', 'maybe', 'many', 'much', '{', 'text', 1)",
        "insert into t values ('2024-01-02', '2024-01-02T03:04:05Z', '03:04', 1, 1.5, 1, '[1]', x'00', 'a')",
    )
    with SQLSyncer(url) as syncer:
        odd, even = syncer.load("t")
    assert list(odd.values()) == ["soon", 17, "noon", "maybe", "many", "much", "{", "text", 1]
    assert str(even["d"]) == "2024-01-02"
    assert even["m"].isoformat() == "2024-01-02T03:04:05+00:00"
    assert (even["b"], str(even["n"]), even["f"], even["j"], even["x"], even["u"]) == (
        True,
        "1.5",
        1.0,
        [1],
        b"\0",
        "a",
    )


def test_a_query_gives_the_columns_it_names(syncer):
    records = syncer.query("select idnumber as id, grade from users where grade > :least order by 1;", {"least": 7})
    assert list(records) == [{"id": "2", "grade": 8}]
    assert records.where(0) == "row 1 of the query"


def test_a_query_without_parameters_is_sent_as_it_is(syncer):
    records = syncer.query("select name, ':x 50%' as odd from users where name like 'A%' ; ")
    assert list(records) == [{"name": "Ann", "odd": ":x 50%"}]


def test_a_query_is_read_in_chunks(syncer, monkeypatch):
    monkeypatch.setattr(sql_reading, "_ROWS", 2)
    assert [len(chunk[0]) for chunk in syncer.query("select name from users").chunks] == [2, 1]


def test_a_query_without_rows_still_has_columns(syncer):
    records = syncer.query("select name from users where 1 = 0")
    assert records.columns == ("name",)
    assert list(records) == []


def test_a_query_with_two_columns_of_one_name_is_refused(syncer):
    with pytest.raises(SyncerError, match="two columns 'name': name each differently, with AS"):
        syncer.query("select a.name, b.name from users a, users b")


@pytest.mark.parametrize("sql", ["delete from users", "drop table users", "update users set name = 'x'"])
def test_a_query_cannot_write(syncer, sql):
    with pytest.raises(SyncerError, match=r"cannot run the query on|gives no rows"):
        syncer.query(sql)
    assert len(syncer.load("users")) == 3


def test_a_query_cannot_write_by_a_function(database, execute):
    execute(database, "create sequence numbers")
    with SQLSyncer(database) as syncer, pytest.raises(SyncerError, match="read-only transaction"):
        list(syncer.query("select nextval('numbers') as number"))


def test_a_query_that_writes_and_returns_is_rolled_back(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(url, *USERS)
    with SQLSyncer(url) as syncer:
        assert len(list(syncer.query("delete from users returning idnumber"))) == 3
        assert len(syncer.load("users")) == 3


@pytest.mark.parametrize("sql", ["selekt 1", "select 1; select 2", "select oops from users", ""])
def test_a_query_that_is_refused_says_why(syncer, sql):
    with pytest.raises(SyncerError, match=r"^(cannot run the query on \S+: |the query on \S+ gives no rows)"):
        syncer.query(sql)


def test_a_missing_parameter_is_named(syncer):
    with pytest.raises(SyncerError, match="least"):
        syncer.query("select name from users where grade > :least", {"most": 1})


def test_a_file_that_is_not_there_is_refused_and_not_made(tmp_path):
    path = tmp_path / "mistyped.db"
    with SQLSyncer(f"sqlite:///{path}") as syncer:
        for use in (lambda: syncer.load("users"), lambda: syncer.query("select 1"), lambda: syncer.check([])):
            with pytest.raises(SyncerError, match=r"there is no database sqlite:///.*mistyped\.db: check the path"):
                use()
    assert not path.exists()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "store.db").write_text("idnumber,name\n" * 100)
    syncer = SQLSyncer(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(SyncerError, match=r"cannot read table 'users' of sqlite:///.*not a database"):
        syncer.load("users")
    with pytest.raises(SyncerError, match=r"cannot open sqlite:///.*not a database"):
        syncer.dump("users", data=[{"x": 1}])
    syncer.close()


def test_streams_from_a_database_in_memory_may_be_mixed():
    engine = sqlalchemy.create_engine("sqlite://")
    syncer = SQLSyncer(engine)
    syncer.dump("a", data=[{"x": number} for number in range(3)])
    assert [(one["x"], two["x"]) for one, two in zip(syncer.read("a"), syncer.read("a"), strict=True)] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    engine.dispose()


def test_a_file_uri_of_sqlite_is_opened(tmp_path):
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (x)")
    connection.close()
    with SQLSyncer(f"sqlite:///file:{path}?mode=ro&uri=true") as syncer:
        assert syncer.load("t") == []


def test_a_stream_that_is_dropped_gives_its_connection_back(store_url, execute, monkeypatch):
    execute(store_url, *USERS)
    monkeypatch.setattr(sql_reading, "_ROWS", 1)
    with SQLSyncer(store_url, pool_size=1, max_overflow=0, pool_timeout=1) as syncer:
        stream = iter(syncer.read("users"))
        next(stream)
        del stream
        query = syncer.query("select * from users")
        del query
        gc.collect()
        assert len(syncer.load("users")) == 3


@pytest.mark.parametrize(
    ("kind", "value", "what"),
    [
        ("date", "infinity", "infinity"),
        ("timestamp", "-infinity", "infinity"),
        ("timestamptz", "infinity", "infinity"),
        ("date", "0044-03-15 BC", "a year before the first one"),
        ("timestamp", "12024-01-01", "a year behind 9999"),
        ("time", "24:00", "the time 24:00"),
        ("interval", "1 mon", "an interval of months or years"),
        ("interval", "-2 years 1 day", "an interval of months or years"),
    ],
)
def test_a_value_that_python_lacks_is_named_with_its_row_and_column(database, execute, kind, value, what):
    execute(
        database,
        f"create table t (idnumber text primary key, until {kind})",
        f"insert into t values ('1', null), ('2', '{value}')",
    )
    message = rf"row 2: until holds {what}, for which Python has no value: .* a query that casts it to text"
    with SQLSyncer(database) as syncer:
        for read in (lambda: syncer.read("t"), lambda: syncer.query("select * from t where idnumber <> 'x'")):
            with pytest.raises(ConversionError, match=message) as caught:
                list(read())
            assert caught.value.column == "until"
        assert len(list(syncer.query("select idnumber, until::text from t"))) == 2


def test_an_interval_of_days_is_a_duration(database, execute):
    execute(database, "create table t (span interval)", "insert into t values ('3 days -1:30'), ('0')")
    with SQLSyncer(database) as syncer:
        assert [row["span"] for row in syncer.read("t")] == [timedelta(days=3, minutes=-90), timedelta(0)]
