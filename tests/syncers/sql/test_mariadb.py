"""What is peculiar to MariaDB, and with it to MySQL, shown on a real MariaDB."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Limits, Object, SQLImporter, Tree
from datastoresync.errors import LockedError, SchemaMismatchError, SyncerError
from datastoresync.syncers.changes import Change, Link, Table
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.testing import SyncerContract

pytestmark = pytest.mark.mariadb
ROOT = Path(__file__).resolve().parents[2]
law = settings(deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])


def same(change, attribute, raw, expected):
    return raw == expected


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


@pytest.fixture
def syncer(mariadb):
    with SQLSyncer(mariadb) as opened:
        yield opened


class TestMariaDB(SyncerContract):
    refusals = (SyncerError,)
    ordered = False

    @pytest.fixture
    def syncer(self, mariadb):
        self.url = mariadb
        with SQLSyncer(mariadb) as opened:
            yield opened

    def reopening(self, syncer):
        return f"from datastoresync.syncers.sql.syncer import SQLSyncer\nsyncer = SQLSyncer({self.url!r})"


class User(Object):
    idnumber: str
    name: str
    age: int
    groups: set[str]


USERS = Table("users", columns={"name": "full name"}, links={"groups": Link("memberships", "user", "group")})
SCHEMA = (
    "create table users (idnumber varchar(20) collate utf8mb4_bin primary key, `full name` varchar(20), age int)",
    "create table memberships (user varchar(20) collate utf8mb4_bin references users (idnumber), `group` varchar(20))",
)
LIMITS = Limits(empty=["users"], deletions=99, updates=99, removals=99)
people = st.dictionaries(
    st.sampled_from(["a", "A", "b", "é", "e"]),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["Ann", "ann", "", "é"]),
            "age": st.integers(0, 3),
            "groups": st.frozensets(st.sampled_from("xyz")),
        }
    ),
)


def rows(found):
    return [{"idnumber": key, **values} for key, values in found.items()]


@pytest.mark.filterwarnings("ignore:.*differ.* only in case:datastoresync.errors.DataWarning")
@law
@given(before=people, after=people)
def test_a_tree_is_synced_into_it(mariadb, execute, before, after):
    execute(mariadb, "drop table if exists memberships", "drop table if exists users", *SCHEMA)
    with SQLSyncer(mariadb) as syncer:
        dest = +Tree("dest", syncer=syncer, branches={"users": Branch(User, table=USERS)})
        for found in (before, after):
            source = +Tree("source", branches={"users": Branch(User, importer=rows(found))})
            assert not source.sync_to(dest, limits=LIMITS).failed
            assert not source - +dest
            assert not source - dest


def test_what_changed_since_is_a_conflict_and_links_are_kept_in_order(syncer, mariadb, execute):
    execute(mariadb, *SCHEMA, "insert into users values ('1', 'Ann', 7), ('2', 'Bob', 8)")
    key = ("idnumber",)
    changes = [
        Change("insert", USERS, key, ("3",), {"name": "Cid", "age": 9, "groups": {"x", "y"}}),
        Change("update", USERS, key, ("1",), {"age": 8}, {"age": 7}),
        Change("update", USERS, key, ("2",), {"age": 9}, {"age": 7}),
        Change("link", USERS, key, ("1",), {"groups": "x"}),
        Change("unlink", USERS, key, ("3",), {"groups": "y"}),
        Change("delete", USERS, key, ("9",)),
    ]
    outcomes = syncer.apply_changes(changes, same=same)
    assert statuses(outcomes) == ["done", "done", "conflict", "done", "done", "done"]
    records = syncer.read(USERS, ["idnumber", "age", "groups"], identifiers=key)
    assert sorted(map(tuple, (record.values() for record in records)), key=str) == [
        ("1", 8, {"x"}),
        ("2", 8, set()),
        ("3", 9, {"x"}),
    ]


def test_a_change_that_fails_undoes_all_others_and_is_named_without_its_values(syncer, mariadb, execute):
    execute(
        mariadb, "create table t (id int primary key, login varchar(20) unique)", "insert into t values (1, 'tiger')"
    )
    changes = [
        Change("insert", Table("t"), ("id",), (number,), {"login": login})
        for number, login in ((2, "a"), (3, "tiger"), (4, "b"))
    ]
    outcomes = syncer.apply_changes(changes, same=same)
    assert statuses(outcomes) == ["undone", "failed", "undone"]
    assert outcomes[1].reason == "Duplicate entry '…' for key 'login' (error 1062)"
    assert syncer.load("t") == [{"id": 1, "login": "tiger"}]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("n int", "ti'ger", r"column 'n': only ASCII digits"),
        ("n varchar(3)", "tiger", r"it has 5 characters, and the column holds 3"),
        ("n date", "tiger", r"column 'n': only YYYY-MM-DD"),
        ("n enum('a')", "tiger", r"column 'n': its labels are a"),
        (
            "n decimal(5,2)",
            Decimal("1.005"),
            r"column 'n': the column keeps .* 3 digits before the point and 2 behind it",
        ),
        (
            "n decimal(5,2)",
            Decimal(12345),
            r"column 'n': the column keeps .* 3 digits before the point and 2 behind it",
        ),
        ("n tinyint", 300, r"column 'n': the column holds integers from -128 to 127"),
        ("n double", float("inf"), r"column 'n': MySQL and MariaDB hold finite numbers only"),
        ("n time", time(1, tzinfo=UTC), r"column 'n': MySQL and MariaDB have no time of day with a time zone"),
        ("n int check (n < 3)", 5, r"CONSTRAINT `t.n` failed|CONSTRAINT .* failed"),
        ("n json", float("nan"), r"constraint|CONSTRAINT|JSON|float"),
    ],
)
def test_a_value_is_refused_rather_than_made_to_fit_and_not_shown(syncer, mariadb, execute, column, value, reason):
    execute(mariadb, f"create table t (id int, {column})", "set global sql_mode = ''")
    try:
        for method, options in ((syncer.dump, {}), (syncer.append, {}), (syncer.upsert, {"key": "id"})):
            with pytest.raises(SyncerError, match=reason) as caught:
                method("t", data=[{"id": 1, "n": value}], **options)
            assert "tiger" not in str(caught.value)
            assert "ti'ger" not in str(caught.value)
    finally:
        execute(mariadb, "set global sql_mode = default")
    assert syncer.load("t") == []


def test_a_table_is_made_with_types_that_keep_what_they_are_given(syncer, mariadb, execute):
    record = {
        "text": "x" * 70_000,
        "truth": True,
        "decimal": Decimal("1.5"),
        "moment": datetime(2024, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - without a time zone
        "hour": time(1, 2, 3, 4),
        "day": date(2024, 1, 2),
        "json": {"a": [1, None]},
        "large": 10**40,
        "bytes": b"\0" * 70_000,
        "float": 0.1 + 0.2,
    }
    syncer.dump("t", data=[record])
    assert syncer.load("t") == [record]
    assert str(syncer.load("t")[0]["decimal"]) == "1.5"
    (kind,) = execute(
        mariadb, "select collation_name from information_schema.columns where table_name = 't' and column_name = 'text'"
    )
    assert kind == ("utf8mb4_nopad_bin",)


def test_a_time_zone_is_taken_off_by_going_to_utc(syncer):
    moment = datetime.fromisoformat("2024-01-02T03:00:00+05:30")
    syncer.dump("t", data=[{"x": moment}])
    assert syncer.load("t") == [{"x": datetime(2024, 1, 1, 21, 30)}]  # noqa: DTZ001 - that is what it shows
    syncer.dump("t", data=[{"x": moment}])
    assert syncer.load("t") == [{"x": datetime(2024, 1, 1, 21, 30)}]  # noqa: DTZ001 - that is what it shows


def test_tables_as_others_make_them_are_written_too(syncer, mariadb, execute):
    execute(
        mariadb,
        "create table t (k varchar(300), c char(8), e enum('a', 'b'), s text, b blob, u int unsigned not null, j json, "
        "n bigint auto_increment primary key, g int generated always as (u + 1) stored, x bit(3), v varbinary(16), "
        "f float, ti tinyint(1), ts timestamp(3) default '2024-01-02')",
    )
    whole = {"k": "k", "c": "c", "e": "a", "s": "s", "b": b"b", "v": b"v"}
    for keys in (["k"], ["c"], ["e"], ["s"], ["b"], ["u", "k"], ["v", "s", "c"]):
        syncer.dump("t", data=[whole | {"u": 1, "k": "another", "c": "d", "e": "b", "s": "", "b": b""}])
        for data in ({"j": {"a": 1}}, {"j": [True], "ti": False}):
            assert syncer.upsert("t", data=[whole | {"u": 3} | data], key=keys) == 1
            assert len(syncer.load("t")) == 2
    first = next(record for record in syncer.load("t") if record["u"] == 3)
    assert first["j"] == [True]
    assert first["ti"] is False
    assert first["g"] == first["u"] + 1
    assert syncer.delete("t", data=[{"n": first["n"]}], key="n") == 1


def test_a_table_without_transactions_is_not_written(syncer, mariadb, execute):
    execute(mariadb, "create table t (id int) engine = MyISAM", "insert into t values (1)")
    change = Change("delete", Table("t"), ("id",), (1,))
    for attempt in (
        lambda: syncer.dump("t", data=[]),
        lambda: syncer.upsert("t", data=[{"id": 2}], key="id"),
        lambda: syncer.apply_changes([change], same=same),
    ):
        with pytest.raises(SyncerError, match=r"table 't' of .* is kept by MyISAM, which cannot take back .*InnoDB"):
            attempt()
    assert syncer.load("t") == [{"id": 1}]


def test_readers_see_the_old_records_until_the_new_ones_are_in(syncer, mariadb):
    syncer.dump("t", data=[{"x": "old"}])
    with SQLSyncer(mariadb) as reader:

        def data():
            for number in range(2_500):
                if number % 1_200 == 0:
                    assert reader.load("t") == [{"x": "old"}]
                    assert "new" not in reader.tables()
                yield {"x": str(number)}

        syncer.dump("t", data=data())
        assert len(reader.load("t")) == 2_500
        syncer.dump("new", data=data() if reader.load("t") == [{"x": "old"}] else [{"x": "a"}])
        assert reader.tables() == ["new", "t"]


def test_a_table_that_cannot_be_filled_is_not_there(syncer, mariadb, execute):
    with pytest.raises(SyncerError, match=r"cannot write table 'new' of .*, which is as it was"):
        syncer.dump("new", data=[{"id": number, "x": Decimal("0." + "1" * (number // 60))} for number in range(2_500)])
    assert execute(mariadb, "show tables") == []


def test_what_a_killed_run_leaves_of_a_new_table_is_hidden_and_then_removed(syncer, mariadb, execute):
    script = (
        "import os, sys, sqlalchemy\nfrom datastoresync.syncers.sql.syncer import SQLSyncer\n"
        "syncer = SQLSyncer(sys.argv[1])\nengine = syncer._database.engine\n"
        "@sqlalchemy.event.listens_for(engine, 'before_cursor_execute')\n"
        "def die(connection, cursor, statement, *_):\n"
        "    if statement.startswith('ALTER'):\n        os.kill(os.getpid(), 9)\n"
        "syncer.dump('new', data=[{'x': 1}])\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, mariadb], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert len(execute(mariadb, "show tables")) == 1
    assert syncer.tables() == []
    with pytest.raises(SyncerError, match="has no table 'new'; there are none at all"):
        syncer.load("new")
    syncer.dump("new", data=[{"y": 2}])
    assert execute(mariadb, "show tables") == [("new",)]
    assert syncer.load("new") == [{"y": 2}]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, KeyError])
def test_a_lock_ends_with_its_transaction_though_the_connection_stays(syncer, mariadb, error):
    syncer.dump("t", data=[{"id": 1, "x": 1}])

    def compare(change, attribute, raw, expected):
        if error is not None:
            raise error
        with pytest.raises(LockedError, match=r"another run or program is writing to table 'school_\w+\.t'"):
            other.append("t", data=[{"id": 2}])
        return raw == expected

    with SQLSyncer(mariadb) as other:
        changes = [Change("update", Table("t"), ("id",), (1,), {"x": 2}, {"x": 1})]
        if error is None:
            assert statuses(syncer.apply_changes(changes, same=compare)) == ["done"]
        else:
            with pytest.raises(error):
                syncer.apply_changes(changes, same=compare)
        assert other.append("t", data=[{"id": 2}]) == 1
        assert syncer.append("t", data=[{"id": 3}]) == 1


def test_a_row_that_another_program_holds_is_said_to_be_locked(syncer, mariadb, execute):
    syncer.dump("t", data=[{"id": 1, "x": 1}])
    execute(mariadb, "set global innodb_lock_wait_timeout = 1")
    engine = sqlalchemy.create_engine(mariadb)
    try:
        with engine.begin() as connection, SQLSyncer(mariadb) as other:
            connection.exec_driver_sql("update t set x = 2")
            with pytest.raises(LockedError, match="Lock wait timeout exceeded"):
                other.update("t", data=[{"id": 1, "x": 3}], key="id")
            change = Change("update", Table("t"), ("id",), (1,), {"x": 3}, {"x": 1})
            with pytest.raises(LockedError, match="gave up, and nothing was written"):
                other.apply_changes([change], same=same)
    finally:
        execute(mariadb, "set global innodb_lock_wait_timeout = default")
        engine.dispose()
    assert syncer.load("t") == [{"id": 1, "x": 2}]


def test_a_query_can_only_read(syncer):
    syncer.dump("t", data=[{"id": 1}])
    for statement in ("insert into t values (2)", "delete from t", "drop table t"):
        with pytest.raises(SyncerError, match="READ ONLY"):
            syncer.query(statement)
    assert list(syncer.query("select id from t where id = :id", {"id": 1})) == [{"id": 1}]
    assert syncer.append("t", data=[{"id": 2}]) == 1


def test_it_is_known_by_either_name(mariadb, worker_name):
    url = mariadb.replace("mariadb+pymysql://", "mysql://")
    with SQLSyncer(url) as syncer:
        assert syncer.name == f"mysql://root@localhost/school_{worker_name}"
        data = [{"id": "a", "x": [1]}, {"id": "A", "x": None}, {"id": "a ", "x": {}}]
        syncer.dump("t", data=data)
        assert syncer.upsert("t", data=data, key="id") == 3
        assert sorted(syncer.load("t"), key=str) == sorted(data, key=str)


def test_a_table_of_another_database_is_named_with_it(syncer, mariadb, execute):
    execute(mariadb, "drop database if exists college", "create database college", "create table college.t (id int)")
    try:
        assert syncer.tables() == []
        assert syncer.upsert("college.t", data=[{"id": 1}], key="id") == 1
        syncer.dump("college.new", data=[{"x": 1}])
        assert execute(mariadb, "select x from college.new") == [(1,)]
        assert syncer.load("college.t") == [{"id": 1}]
    finally:
        execute(mariadb, "drop database college")


def test_what_another_program_inserts_at_the_same_moment_is_updated_if_the_key_alone_is_unique(
    syncer, mariadb, execute
):
    execute(mariadb, "create table t (id int primary key, x int, y int)")
    execute(mariadb, "create table u (id int primary key, x int unique, y int)")
    engine = syncer._database.engine

    def interfere(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO") and "staged" not in statement.split("(")[0]:
            execute(mariadb, f"insert into {statement.split()[2]} values (1, 0, 5)")

    sqlalchemy.event.listen(engine, "before_cursor_execute", interfere)
    assert syncer.upsert("t", data=[{"id": 1, "x": 1}], key="id") == 1
    assert syncer.load("t") == [{"id": 1, "x": 1, "y": 5}]
    with pytest.raises(SyncerError, match="Duplicate entry '…' for key"):
        syncer.upsert("u", data=[{"id": 1, "x": 1}], key="id")
    assert syncer.load("u") == [{"id": 1, "x": 0, "y": 5}]


def test_a_connection_that_is_lost_leaves_nothing_and_no_lock(syncer, mariadb, execute):
    syncer.dump("t", data=[{"id": 1, "x": 1}])

    def cut(change, attribute, raw, expected):
        processes = "select id from information_schema.processlist where db = database() and id <> connection_id()"
        for (number,) in execute(mariadb, processes):
            execute(mariadb, f"kill {number}")
        return raw == expected

    changes = [Change("update", Table("t"), ("id",), (1,), {"x": 2}, {"x": 1})]
    with pytest.raises(SyncerError, match=r"gave up, and nothing was written"):
        syncer.apply_changes(changes, same=cut)
    assert syncer.load("t") == [{"id": 1, "x": 1}]
    assert syncer.append("t", data=[{"id": 2}]) == 1


@pytest.mark.parametrize("record", [{"a\nb": 1}, {"a": 1, "\r": 2}])
def test_a_name_that_sqlalchemy_could_not_read_back_is_refused(syncer, record):
    with pytest.raises(SyncerError, match=r"a name with '\\[rn]' cannot be read back from mariadb: rename "):
        syncer.dump("t", data=[record])
    assert syncer.tables() == []


class Login(Object):
    idnumber: str
    at: datetime


class Logins(Tree):
    logins = Branch(Login)


@pytest.mark.parametrize("count", [1, 30])
def test_a_moment_out_of_the_range_of_a_timestamp_is_refused_with_its_value(mariadb, execute, count):
    execute(mariadb, "CREATE TABLE logins (idnumber VARCHAR(20) PRIMARY KEY, at TIMESTAMP NULL)")
    source = Logins("source")
    for number in range(count):
        source.logins.new(f"{number}", at=datetime(1900, 1, 1))  # noqa: DTZ001 - as the column has it
    source.logins.new("good", at=datetime(2030, 1, 1))  # noqa: DTZ001 - as above
    report = source.sync_to(+Logins(syncer=SQLSyncer(mariadb)), on_error="continue")
    assert (report.counts["succeeded"], report.counts["failed"]) == (1, count)
    assert all("column 'at'" in result.reason and "1900" in result.reason for result in report.failures)
    assert all("a TIMESTAMP column holds moments from 1970" in result.reason for result in report.failures)
    held = execute(mariadb, "SELECT idnumber, at FROM logins")
    assert held == [("good", datetime(2030, 1, 1))]  # noqa: DTZ001 - as above


def test_rows_that_triggers_write_elsewhere_are_counted_and_no_others(mariadb, execute):
    execute(
        mariadb,
        *["drop table if exists memberships", "drop table if exists users", "drop table if exists log", *SCHEMA],
        "create table log (entry varchar(20))",
        "create trigger tidies before update on users for each row set new.`full name` = trim(new.`full name`)",
        "create trigger logs after delete on users for each row insert into log values (old.idnumber)",
    )
    many = Limits(deletions=999, updates=999, removals=999)
    with SQLSyncer(mariadb) as syncer:
        for keys, age, said in [(range(300), 1, ""), (range(300), 2, ""), (range(297), 2, "3 rows were inserted")]:
            dest = +Tree("dest", syncer=syncer, branches={"users": Branch(User, table=USERS)})
            people = [{"idnumber": str(key), "name": "Ann", "age": age, "groups": {"x"}} for key in keys]
            report = Tree("source", branches={"users": Branch(User, importer=people)}).load().sync_to(dest, limits=many)
            assert report.ok
            assert [said in sentence for sentence in report.warnings] == [True] * bool(said), report.warnings
    assert execute(mariadb, "select count(*) from log") == [(3,)]


class Overtime(Object):
    at: timedelta | None


def overtimes(syncer, cls=Object, **how):
    return +Tree("t", branches={"x": Branch(cls, importer=SQLImporter(syncer, **how))})


def test_a_time_that_is_none_of_a_day_is_a_duration(syncer, mariadb, execute):
    execute(
        mariadb,
        "create table t (idnumber varchar(9) primary key, at time(6))",
        "create table u (idnumber varchar(9) primary key, at time(6))",
        "insert into t values ('1', '25:30:00'), ('2', '-00:30:00'), ('3', '838:59:59'), ('4', '01:30:00.5')",
        "insert into u values ('1', '01:30:00'), ('2', '23:30:00'), ('3', null), ('4', '01:30:00.5')",
    )
    expected = [timedelta(hours=25, minutes=30), timedelta(minutes=-30), timedelta(hours=839, seconds=-1)]
    assert [row["at"] for row in syncer.load("t")] == [*expected, time(1, 30, 0, 500_000)]
    for how in ({"table": "t"}, {"query": "select * from t"}):
        source = overtimes(syncer, Overtime, **how)
        assert [row.at for row in source.x.values()][:3] == expected
        found = list(source - overtimes(syncer, Overtime, table="u"))
        assert [(action.verb, action.idnumber) for action in found] == [("update", key) for key in "123"]
    with pytest.raises(SchemaMismatchError, match=r"at idnumber '1'\): declare `at: timedelta`"):
        overtimes(syncer, table="t") - overtimes(syncer, table="u")
    dest = Tree("dest", syncer=syncer, branches={"u": Branch(Overtime)})
    source = Tree("t", branches={"u": Branch(Overtime, importer=SQLImporter(syncer, table="t"))})
    limits = Limits(updates=10, empty=["u"])
    assert (+source).sync_to(+dest, limits=limits).ok
    assert execute(mariadb, "select a.at = b.at from t a join u b using (idnumber)") == [(1,)] * 4
    with pytest.raises(SyncerError, match="MySQL and MariaDB hold times up to 838:59:59"):
        syncer.append("u", data=[{"idnumber": "9", "at": timedelta(hours=839)}])
