"""Changes applied to PostgreSQL in bulk: they do what they would do one by one."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from datetime import UTC, date, datetime, time
from decimal import Decimal
from time import monotonic
from uuid import UUID

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Link, Outcome, Outcomes, Table, WriteOptions
from datastoresync.syncers.sql import apply as sql_changes
from datastoresync.syncers.sql import bulk as sql_bulk
from datastoresync.syncers.sql import copy_staging as sql_copied
from datastoresync.syncers.sql.dialects import DIALECTS
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.syncers.sql.unit_writer import UnitWriter

law = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])

KEY = ("key",)
T = Table("things")
COLUMNS = {
    "key": "text primary key",
    "whole": "integer check (whole < 100)",
    "word": 'varchar(3) collate "C"',
    "number": "numeric(6, 2)",
    "float": "double precision",
    "small": "real",
    "day": "date",
    "moment": "timestamptz",
    "local": "timestamp",
    "hour": "time",
    "yes": "boolean",
    "code": "uuid",
    "raw": "bytea",
    "padded": "char(3)",
    "short": "smallint",
    "long": "bigint",
    "data": "jsonb",
}
NAMES = tuple(COLUMNS)[1:]


def same(change, attribute, raw, expected):
    return raw == expected


@pytest.fixture
def in_bulk(monkeypatch):
    """Lets every change go in bulk that can, and counts the rows that did; a segment is a few changes only."""
    carried = []
    execute = sql_copied.CopyStaging.execute

    def counted(self, statement, **options):
        if not statement.startswith("SELECT"):  # which only looks at what was written
            carried.append(self.size - len(self.unfit))
        return execute(self, statement, **options)

    monkeypatch.setattr(sql_bulk, "FEWEST", 1)
    monkeypatch.setattr(sql_changes, "FEWEST", 1)
    monkeypatch.setattr(sql_copied.CopyStaging, "execute", counted)
    return carried


@pytest.fixture
def things(database, execute):
    execute(database, f"create table things ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    with SQLSyncer(database) as syncer:
        yield syncer


def one_by_one(syncer, changes, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DIALECTS["postgresql"].__class__, "copies", lambda *_: False)
        return syncer.apply_changes(changes, same=same, **options)


def contents(syncer):
    return sorted(tuple(map(repr, record.values())) for record in syncer.load("things"))


# --- the law ----------------------------------------------------------------------------------------------------------

texts = st.sampled_from(["", "x", "X", "ab ", "\\N", "a\tb", "é", 'q"', "toolong", "\0", "\ud800"])
fitting = {
    "whole": st.integers(-3, 3),
    "word": st.sampled_from(["", "x", "X", "ab ", "\\N", "\t", "é"]),
    "number": st.sampled_from([Decimal("1.5"), Decimal("1.50"), Decimal("-0.01"), Decimal(0), 2]),
    "float": st.sampled_from([0.1, -0.0, 0.0, 1e300, float("inf")]),
    "small": st.sampled_from([0.5, 0.1]),
    "day": st.sampled_from([date(1, 1, 1), date(2024, 2, 29)]),
    "moment": st.sampled_from([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 5, 6, 7, 8, tzinfo=UTC)]),
    "local": st.sampled_from(
        [datetime.fromisoformat("2024-01-01"), datetime.fromisoformat("2024-01-01 05:06:07.000008")]
    ),
    "hour": st.sampled_from([time(1, 2), time(1, 2, 3, 4)]),
    "yes": st.booleans(),
    "code": st.sampled_from([UUID(int=1), UUID(int=2)]),
    "raw": st.sampled_from([b"", b"\x00\xff", b"\\x"]),
    "padded": st.sampled_from(["a", "a  ", "abc"]),
    "short": st.sampled_from([0, 2**15 - 1, -(2**15)]),
    "long": st.sampled_from([0, 2**31, 2**63 - 1, -(2**63)]),
    "data": st.sampled_from([{"a": 1}, [1], "x"]),
}
odd = st.sampled_from(
    [
        True,
        1,
        100,
        2**32 + 1,
        2**40,
        2**64 + 1,
        1.5,
        Decimal("1.234"),
        Decimal("NaN"),
        "5",
        "x",
        "toolong",
        "\0",
        "\ud800",
        b"x",
        object(),
        date(2024, 1, 1),
        datetime.fromisoformat("2024-01-01"),
        datetime(2024, 1, 1, tzinfo=UTC),
        time(1, tzinfo=UTC),
        [1],
    ]
)
keys = st.sampled_from(["a", "A", "b", "c", "d", "\\."])


@st.composite
def rows(draw, *, odd_ones=False):
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    return {name: draw(st.none() | fitting[name] | (odd if odd_ones else st.nothing())) for name in names}


@st.composite
def work(draw):
    """The rows of a table, and changes that expect something else of some of them."""
    there = draw(st.dictionaries(keys, rows(), max_size=5))
    changes = []
    for key in draw(st.lists(keys, max_size=8, unique=draw(st.booleans()))):
        row = {name: there.get(key, {}).get(name) for name in NAMES}
        verb = draw(st.sampled_from(["insert", "update", "update", "delete"]))
        strange = draw(st.integers(0, 5)) == 0
        values = draw(rows(odd_ones=strange))
        expected = row | draw(rows(odd_ones=strange) if draw(st.integers(0, 2)) == 0 else st.just({}))
        if verb == "insert":
            changes.append(Change("insert", T, KEY, (key,), {"key": key, **values}))
        elif verb == "delete":
            names = draw(st.sets(st.sampled_from(NAMES)))
            changes.append(Change("delete", T, KEY, (key,), {}, {name: expected[name] for name in sorted(names)}))
        else:
            asked = {name: expected[name] for name in values if draw(st.integers(0, 4))}
            changes.append(Change("update", T, KEY, (key,), values, asked))
    return there, changes


def put(syncer, there):
    syncer.dump("things", data=[{"key": key, **row} for key, row in there.items()])


@settings(law, max_examples=examples(80))
@given(work=work(), size=st.sampled_from([1, 3]))
def test_bulk_does_what_is_done_one_by_one(things, in_bulk, work, size):
    there, changes = work
    put(things, there)
    expected = list(one_by_one(things, changes))
    after = contents(things)
    put(things, there)
    keys = [change.key for change in changes]
    with pytest.MonkeyPatch.context() as patch:
        if len(set(keys)) == len(keys):  # updates of one object that are far apart are no longer one unit
            patch.setattr(sql_changes, "SEGMENT", size)
        assert things.apply_changes(changes, same=same) == expected
    assert contents(things) == after


NUMBERED = Table("numbered")
around = st.builds(
    lambda edge, more: edge + more,
    st.sampled_from([0, 2**15, -(2**15), 2**16, 2**31, -(2**31), 2**32, 2**63, -(2**63), 2**64, 2**70]),
    st.integers(-2, 2),
)


@st.composite
def integers_to_write(draw):
    changes = []
    for key in draw(st.lists(around, min_size=1, max_size=4, unique=True)):
        verb = draw(st.sampled_from(["insert", "update", "delete"]))
        name = draw(st.sampled_from(["short", "whole", "long"]))
        values = {name: draw(st.integers(-2, 2) | around)} if verb != "delete" else {}
        expected = {name: draw(st.integers(-2, 2) | around)} if verb != "insert" else {}
        changes.append(Change(verb, NUMBERED, KEY, (key,), values, expected))
    return changes


@law
@given(kind=st.sampled_from(["smallint", "integer", "bigint"]), changes=integers_to_write())
def test_integers_that_do_not_fit_are_refused_as_they_are_one_by_one(database, execute, in_bulk, kind, changes):
    tried = []
    for write in (one_by_one, SQLSyncer.apply_changes):
        execute(
            database,
            "drop table if exists numbered",
            f"create table numbered (key {kind} primary key, short smallint, whole integer, long bigint)",
            "insert into numbered select n, n, n, n from generate_series(-2, 2) n",
        )
        with SQLSyncer(database) as syncer:
            outcomes = list(write(syncer, changes) if write is one_by_one else write(syncer, changes, same=same))
        tried.append((outcomes, execute(database, "select * from numbered order by key")))
    assert tried[0] == tried[1]


@pytest.mark.parametrize(("name", "value"), [("long", 2**70), ("whole", 2**40), ("short", 2**70)])
def test_integers_that_the_driver_cannot_pack_fail(things, database, in_bulk, name, value):
    from psycopg.types import numeric

    class InPython(numeric.Int8BinaryDumper):
        """What packs integers where psycopg comes without C; a class of its own is not replaced by that in C."""

    engine = sqlalchemy.create_engine(database)

    @sqlalchemy.event.listens_for(engine, "connect")
    def in_python(connection, record):
        connection.adapters.register_dumper(int, InPython)

    with SQLSyncer(engine) as syncer:
        (found,) = syncer.apply_changes([Change("insert", T, KEY, ("a",), {name: value})], same=same)
    engine.dispose()
    assert (found.status, str(value) in found.reason, contents(things)) == ("failed", True, [])


def updates(*pairs, table=T, name="whole"):
    return [Change("update", table, KEY, (key,), {name: value}, {name: old}) for key, old, value in pairs]


@pytest.fixture
def people(database, execute):
    execute(
        database,
        "create table people (key text primary key, a integer, b text, constraint small check (a < 1000))",
        "insert into people select 'k' || n, n, 'x' from generate_series(1, 900) n",
    )
    with SQLSyncer(database) as syncer:
        yield syncer


P = Table("people")


def mixed(count=600):
    """Changes of all kinds to the people, enough of each to go in bulk, with the state that they lead to."""
    changes = [Change("insert", P, KEY, (f"n{n}",), {"key": f"n{n}", "a": n, "b": None}) for n in range(count)]
    for n in range(1, count + 1):
        values = {"a": -n} if n % 2 else {"b": "y"}
        changes.append(Change("update", P, KEY, (f"k{n}",), values, {"a": n} if n % 2 else {"b": "x"}))
    return changes


def test_nothing_is_read_where_nothing_was_changed_by_others(people, monkeypatch):
    monkeypatch.setattr(UnitWriter, "write_block", None)
    assert set(people.apply_changes(mixed(), same=same)) == {Outcome("done")}
    found = {record["key"]: (record["a"], record["b"]) for record in people.load("people")}
    assert len(found) == 1_500
    assert (found["n7"], found["k1"], found["k2"], found["k601"]) == ((7, None), (-1, "x"), (2, "y"), (601, "x"))
    deletions = [Change("delete", P, KEY, (key,), {}, {"a": a, "b": b}) for key, (a, b) in found.items()]
    assert set(people.apply_changes(deletions, same=same)) == {Outcome("done")}
    assert people.load("people") == []


def test_what_somebody_changed_is_a_conflict_and_the_rest_is_done(people, database, execute):
    execute(database, "update people set a = 0 where key = 'k1'", "delete from people where key = 'k2'")
    execute(database, "insert into people values ('n5', 9, 'x'), ('n6', 6, null)")
    changes = mixed()
    whole = WriteOptions(whole=lambda table: True)
    found = people.apply_changes(changes, same=same, options=whole)
    others = {place: outcome for place, outcome in enumerate(found) if outcome != Outcome("done")}
    assert others == {
        5: Outcome("conflict", "already there since the import: a is 9 (asked: 5), b is 'x' (asked: None)"),
        600: Outcome("conflict", "changed since the import: a"),
        601: Outcome("conflict", "no longer there: it was deleted since the import"),
    }
    assert people.apply_changes(changes, same=same, options=whole) == found, "what is done already is done"


def test_a_refused_change_is_found_and_everything_is_as_it_was(people, database, execute):
    before = contents_of(people)
    changes = mixed()
    changes[700] = Change("update", P, KEY, ("k101",), {"a": 5_000}, {"a": 101})
    found = people.apply_changes(iter(changes), same=same)
    assert [place for place, outcome in enumerate(found) if outcome.status == "failed"] == [700]
    assert "small" in found[700].reason
    assert "5000" not in found[700].reason
    assert len(found) == len(changes)
    assert set(found[:700]) | set(found[701:]) == {Outcome("undone", "rolled back together with a change that failed")}
    assert contents_of(people) == before


def contents_of(syncer, table="people"):
    return sorted(tuple(record.values()) for record in syncer.load(table))


def test_a_failure_counts_the_changes_that_were_not_come_to(people, monkeypatch):
    monkeypatch.setattr(sql_changes, "SEGMENT", 100)
    changes = [*updates(("k1", 1, 10**9), table=P, name="a"), *mixed()]
    found = people.apply_changes(iter(changes), same=same)
    assert (len(found), found[0].status, {outcome.status for outcome in found[1:]}) == (1_201, "failed", {"undone"})


def test_a_row_that_somebody_changes_meanwhile_is_a_conflict(people, database, execute, monkeypatch):
    carried_out = sql_copied.CopyStaging.execute

    def edited(self, statement, **options):
        if "UPDATE people" in statement:
            execute(database, "update people set a = 0 where key = 'k1'", "delete from people where key = 'k2'")
        return carried_out(self, statement, **options)

    monkeypatch.setattr(sql_copied.CopyStaging, "execute", edited)
    found = people.apply_changes(mixed(), same=same)
    assert [place for place, outcome in enumerate(found) if outcome.status == "conflict"] == [600, 601]


def test_a_row_that_somebody_holds_on_to_blames_no_change(people, database):
    engine = sqlalchemy.create_engine(database)
    before = contents_of(people)
    with (
        engine.begin() as connection,
        SQLSyncer(database, connect_args={"options": "-c lock_timeout=100ms"}) as syncer,
    ):
        connection.exec_driver_sql("update people set a = 5 where key = 'k2'")
        with pytest.raises(LockedError, match=r"gave up, and nothing was written: .*55P03"):
            syncer.apply_changes(mixed(), same=same)
        connection.rollback()
    assert contents_of(people) == before
    engine.dispose()


def test_a_connection_that_is_lost_leaves_nothing(people, database, execute, monkeypatch):
    monkeypatch.setattr(sql_changes, "SEGMENT", 550)

    def lost():
        yield from mixed()[:599]
        execute(
            database,
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()",
        )
        yield from mixed()[599:]

    with pytest.raises(SyncerError, match=r"gave up, and nothing was written: .*(57P01|server closed the connection)"):
        people.apply_changes(lost(), same=same)
    assert execute(database, "select count(*), sum(a), max(b) from people") == [(900, 900 * 901 // 2, "x")]


@pytest.fixture
def sleepy(people, database, execute):
    """A table on which every statement takes a while."""
    execute(
        database,
        """
        create function sleep() returns trigger language plpgsql as $$ begin
            perform pg_sleep(20);
            return null;
        end $$
        """,
        "create trigger sleeps after insert on people execute function sleep()",
    )


@pytest.mark.usefixtures("sleepy")
def test_the_next_changes_are_made_while_the_database_is_at_work_and_ctrl_c_breaks_it_off(
    people, database, execute, monkeypatch
):
    monkeypatch.setattr(sql_changes, "SEGMENT", 599)
    before = contents_of(people)
    at_work = []

    def stream():
        yield from mixed()[:600]
        started = monotonic()
        while not at_work and monotonic() < started + 10:
            query = (
                "select 1 from pg_stat_activity where datname = current_database() and state = 'active' "
                "and query like 'INSERT INTO people%'"
            )
            at_work.extend(execute(database, query))
        raise KeyboardInterrupt

    started = monotonic()
    with pytest.raises(KeyboardInterrupt):
        people.apply_changes(stream(), same=same)
    assert at_work == [(1,)]
    assert monotonic() < started + 15, "it was not waited for"
    assert contents_of(people) == before


@pytest.mark.usefixtures("sleepy", "ctrl_c")
@pytest.mark.parametrize("moment", ["looking", "waiting"])
@pytest.mark.parametrize("refused", [False, True])
def test_ctrl_c_undoes_everything_even_if_nothing_can_be_broken_off(
    people, database, execute, monkeypatch, moment, refused
):
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr(sql_changes, "SEGMENT", 599)
    before = contents_of(people)
    if refused:
        execute(
            database,
            "create or replace function sleep() returns trigger language plpgsql as "
            "$$ begin perform pg_sleep(1); return null; end $$",
        )

        def cancel(self, **options):
            raise psycopg.OperationalError("cancel failed")

        monkeypatch.setattr(psycopg.Connection, "cancel", cancel)
        monkeypatch.setattr(psycopg.Connection, "cancel_safe", cancel, raising=False)
        monkeypatch.setattr(psycopg.Connection, "_try_cancel", lambda *_, **__: None, raising=False)

    def press():
        os.kill(os.getpid(), signal.SIGINT)

    def stream():
        yield from mixed()[:600]
        if moment == "looking":
            press()
        pressed = threading.Timer(0.3, press)
        pressed.start()
        yield from mixed()[600:]

    with pytest.raises(KeyboardInterrupt):
        people.apply_changes(stream(), same=same)
    monkeypatch.undo()
    assert contents_of(people) == before


@pytest.mark.parametrize("supported", [True, False])
def test_it_is_the_same_with_an_old_driver(people, monkeypatch, supported):
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", classmethod(lambda _: supported))
    monkeypatch.setattr(sql_changes, "SEGMENT", 600)
    prepared = []
    prepare = sql_changes.Segment.prepare
    monkeypatch.setattr(sql_changes.Segment, "prepare", lambda *given: prepared.append(prepare(*given)))
    found = people.apply_changes(mixed(), same=same)
    assert (set(found), len(prepared)) == ({Outcome("done")}, int(supported))


def test_what_makes_the_changes_may_raise_and_nothing_is_written(people, monkeypatch):
    monkeypatch.setattr(sql_changes, "SEGMENT", 550)
    before = contents_of(people)

    def broken():
        yield from mixed()
        message = "my own mistake"
        raise ValueError(message)

    with pytest.raises(ValueError, match="my own mistake"):
        people.apply_changes(broken(), same=same)
    assert contents_of(people) == before


def test_changes_are_taken_as_they_come_and_let_go(people, monkeypatch):
    monkeypatch.setattr(sql_changes, "SEGMENT", 100)
    alive, most = weakref.WeakSet(), 0

    def stream():
        nonlocal most
        for number in range(3_000):
            change = Change("insert", P, KEY, (f"n{number}",), {"key": f"n{number}", "a": 1, "b": "x"})
            alive.add(change)
            most = max(most, len(alive))
            yield change

    found = people.apply_changes(stream(), same=same)
    assert (len(found), set(found)) == (3_000, {Outcome("done")})
    assert most <= 102


def test_no_changes_at_all_do_not_even_connect():
    assert SQLSyncer("postgresql://nobody@127.0.0.1:1/nothing").apply_changes(iter(()), same=same) == []


def test_the_updates_of_one_object_stay_together_wherever_a_segment_ends(people, database, execute, monkeypatch):
    monkeypatch.setattr(sql_changes, "SEGMENT", 1)
    execute(database, "update people set b = 'mine' where key = 'k1'")
    changes = [*updates(("k1", 1, 7), table=P, name="a"), *updates(("k1", "x", "y"), table=P, name="b")]
    changes += updates(("k2", 2, 7), table=P, name="a")
    assert [outcome.status for outcome in people.apply_changes(changes, same=same)] == ["conflict", "conflict", "done"]


def test_updates_of_several_attributes_are_one_statement_and_each_expects_its_own(people, in_bulk):
    changes = [
        *updates(("k1", 1, 7), table=P, name="a"),
        *updates(("k2", "x", "y"), table=P, name="b"),
        Change("update", P, KEY, ("k3",), {"a": 8, "b": "z"}, {"a": 3, "b": "x"}),
        Change("update", P, KEY, ("k4",), {"a": 9}),
        *updates(("k5", "other", "y"), table=P, name="b"),
    ]
    found = people.apply_changes(changes, same=same)
    assert in_bulk == [5]
    assert [outcome.status for outcome in found] == ["done"] * 4 + ["conflict"]
    now = {record["key"]: (record["a"], record["b"]) for record in people.load("people")}
    assert [now[f"k{n}"] for n in range(1, 6)] == [(7, "x"), (2, "y"), (8, "z"), (9, "x"), (5, "x")]


def test_a_trigger_on_a_column_hears_of_its_own_updates_only(people, database, execute, in_bulk):
    execute(
        database,
        "create table heard (key text)",
        "create function hear() returns trigger language plpgsql as "
        "'begin insert into heard values (new.key); return new; end'",
        "create trigger hears before update of b on people for each row execute function hear()",
    )
    changes = [*updates(("k1", 1, 7), ("k3", 3, 7), table=P, name="a"), *updates(("k2", "x", "y"), table=P, name="b")]
    assert set(people.apply_changes(changes, same=same)) == {Outcome("done")}
    assert sorted(in_bulk) == [1, 2]
    assert execute(database, "select key from heard") == [("k2",)]


def test_a_trigger_on_a_column_of_a_partition_hears_of_its_own_updates_only(database, execute, in_bulk):
    execute(
        database,
        "create table parted (key text primary key, a integer, b text) partition by hash (key)",
        "create table part partition of parted for values with (modulus 1, remainder 0)",
        "insert into parted values ('k1', 1, 'x'), ('k2', 2, 'x')",
        "create table heard (key text)",
        "create function hear() returns trigger language plpgsql as "
        "'begin insert into heard values (new.key); return new; end'",
        "create trigger hears before update of b on part for each row execute function hear()",
    )
    parted = Table("parted")
    changes = [*updates(("k1", 1, 7), table=parted, name="a"), *updates(("k2", "x", "y"), table=parted, name="b")]
    with SQLSyncer(database) as syncer:
        assert set(syncer.apply_changes(changes, same=same)) == {Outcome("done")}
    assert in_bulk == [1, 1]
    assert execute(database, "select key from heard") == [("k2",)]


def test_several_rows_of_one_key_are_a_conflict_where_others_inherit(people, database, execute, in_bulk):
    execute(database, "create table more () inherits (people)", "insert into more values ('k1', 1, 'x')")
    changes = [*updates(("k1", 1, 2), ("k2", 2, 3), table=P, name="a")]
    changes.append(Change("delete", P, KEY, ("k1",), {}, {"a": 1}))
    assert [outcome.status for outcome in people.apply_changes(changes, same=same)] == ["conflict", "done", "conflict"]
    assert execute(database, "select a from people where key = 'k1'") == [(1,), (1,)]
    assert in_bulk == []


def test_several_rows_of_one_key_are_a_conflict_where_an_index_is_invalid(database, execute, in_bulk):
    execute(
        database,
        "create table doubled (key text, a integer)",
        "create unique index one_each on doubled (key)",
        # As CREATE INDEX CONCURRENTLY leaves it that comes upon two rows of one key.
        "update pg_index set indisvalid = false, indisready = false where indexrelid = 'one_each'::regclass",
        "insert into doubled values ('a', 1), ('a', 1), ('b', 1)",
    )
    with SQLSyncer(database) as syncer:
        found = syncer.apply_changes(updates(("a", 1, 2), ("b", 1, 2), table=Table("doubled"), name="a"), same=same)
    assert [outcome.status for outcome in found] == ["conflict", "done"]
    assert in_bulk == []


@pytest.fixture
def slow(people, database, execute):
    """A table on which a statement for many rows is broken off, as one is that takes too long."""
    execute(
        database,
        """
        create function break_off() returns trigger language plpgsql as $$ begin
            if to_regclass('pg_temp.datastoresync_changes') is not null then
                raise exception 'canceling statement due to statement timeout' using errcode = '57014';
            end if;
            return null;
        end $$
        """,
        "create trigger breaks_off after insert or update or delete on people execute function break_off()",
    )


@pytest.mark.usefixtures("slow")
def test_what_takes_too_long_together_is_written_in_parts(database, in_bulk):
    with SQLSyncer(database, connect_args={"options": "-c statement_timeout=1h"}) as syncer:
        assert set(syncer.apply_changes(mixed(5), same=same)) == {Outcome("done")}
    assert in_bulk[0] == 5, "it was tried in bulk"
    assert in_bulk[-1] == 1, "and then in pieces"


@pytest.mark.usefixtures("slow")
def test_what_somebody_breaks_off_is_not_tried_again(people, in_bulk):
    before = contents_of(people)
    with pytest.raises(SyncerError, match=r"gave up, and nothing was written: .*57014"):
        people.apply_changes(mixed(5), same=same)
    assert contents_of(people) == before


def test_names_are_quoted_whatever_they_are(database, execute, in_bulk):
    names = ['a"; drop table t;--', "{s} %s :x", "place", "v0"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    execute(
        database,
        f"create table datastoresync_changes ({quoted[0]} integer, {quoted[1]} text, place text, v0 integer, "
        f"primary key (v0, {quoted[0]}))",
    )
    table, key = Table("datastoresync_changes"), (names[0], "v0")
    with SQLSyncer(database) as syncer:
        rows = [Change("insert", table, key, (n, -n), {names[1]: "x", "place": "y"}) for n in range(3)]
        changes = [
            *rows,
            Change("update", table, key, (1, -1), {names[1]: "z"}, {names[1]: "x"}),
            Change("delete", table, key, (2, -2), {}, {names[1]: "x", "place": "y"}),
        ]
        assert set(syncer.apply_changes(changes, same=same)) == {Outcome("done")}
        assert contents_of(syncer, "datastoresync_changes") == [(0, "x", "y", 0), (1, "z", "y", -1)]
    assert in_bulk == [3, 3, 1, 1]


@pytest.mark.parametrize(
    "definition",
    [
        "key text, a integer",
        "key char(5) primary key, a integer",
        "key word primary key, a integer",
        "key text collate loose primary key, a integer",
    ],
)
def test_keys_that_are_not_told_apart_exactly_are_looked_at_one_by_one(database, execute, in_bulk, definition):
    execute(
        database,
        "create domain word as text",
        # As one of ICU is, which not every server has.
        'create collation loose from "C"',
        "update pg_collation set collisdeterministic = false where collname = 'loose'",
        f"create table t ({definition})",
        "insert into t values ('a', 1), ('b', 1)",
    )
    with SQLSyncer(database) as syncer:
        found = syncer.apply_changes(updates(("a", 1, 2), ("b", 5, 6), table=Table("t"), name="a"), same=same)
    assert [outcome.status for outcome in found] == ["done", "conflict"]
    assert in_bulk == []


def test_a_view_and_a_table_with_rules_are_written_one_by_one(people, database, execute, in_bulk):
    execute(
        database,
        "create view seen as select * from people",
        "create table ruled (key text primary key, a integer)",
        "insert into ruled values ('k1', 1)",
        "create rule twice as on update to ruled do also notify somebody",
    )
    for table in (Table("seen"), Table("ruled")):
        assert people.apply_changes(updates(("k1", 1, 2), table=table, name="a"), same=same) == [Outcome("done")]
    assert in_bulk == []


class Lower:
    """Takes text for the same that differs in case, and what it gives for something else, if it is not lower."""

    def __init__(self):
        self.columns = []

    def __call__(self, change, attribute, raw, expected):
        return raw.lower() == expected

    def same_column(self, change, attribute, raws, expected):
        self.columns.append((attribute, list(raws)))
        return all(map(self, raws, raws, raws, expected))


def test_a_value_that_would_not_be_taken_for_itself_is_looked_at(people, database, execute, in_bulk):
    execute(database, "update people set b = 'X' where key in ('k1', 'k2')")
    compare = Lower()
    found = people.apply_changes(
        updates(("k1", "x", "y"), ("k2", "X", "y"), ("k3", "x", "y"), table=P, name="b"), same=compare
    )
    assert [outcome.status for outcome in found] == ["done", "conflict", "done"]
    assert compare.columns == [("b", ["x", "X", "x"]), ("b", ["y"])], "the second is what is read of a row alone"
    assert in_bulk == [2]


def test_tables_with_links_are_written_as_ever(people, database, execute, in_bulk):
    execute(
        database, "create table members (owner text references people, member integer, primary key (owner, member))"
    )
    table = Table("people", links={"members": Link("members", "owner", "member")})
    changes = [
        Change("insert", table, KEY, ("n",), {"a": 1, "members": {1, 2}}),
        Change("update", table, KEY, ("k1",), {"a": 2}, {"a": 1}),
        Change("link", table, KEY, ("k1",), {"members": 3}),
        Change("delete", table, KEY, ("k2",), {}, {"a": 2, "members": set()}),
    ]
    assert set(people.apply_changes(changes, same=same)) == {Outcome("done")}
    assert execute(database, "select * from members order by 1, 2") == [("k1", 3), ("n", 1), ("n", 2)]


def test_parents_may_come_with_their_children(database, execute, in_bulk):
    execute(database, "create table nodes (key text primary key, parent text references nodes)")
    table = Table("nodes")
    changes = [Change("insert", table, KEY, (f"{n}",), {"parent": f"{n - 1}" if n else None}) for n in range(9)]
    with SQLSyncer(database) as syncer:
        assert set(syncer.apply_changes(changes, same=same)) == {Outcome("done")}
        gone = [Change("delete", table, KEY, change.key, {}, change.values) for change in reversed(changes)]
        assert set(syncer.apply_changes(gone, same=same)) == {Outcome("done")}
        assert syncer.load("nodes") == []


def test_values_that_are_not_exactly_those_of_a_column_are_looked_at(things, in_bulk):
    put(
        things, {key: {"whole": 5, "number": Decimal(5), "moment": datetime(2024, 1, 1, tzinfo=UTC)} for key in "abcde"}
    )
    changes = [
        *updates(("a", 5, "7"), ("b", 5, 6), ("c", object(), 6)),
        *updates(("d", 5, 6), ("e", "5", 6), name="number"),
    ]
    found = things.apply_changes(changes, same=same)
    assert [outcome.status for outcome in found] == ["done", "done", "conflict", "done", "conflict"]
    assert in_bulk == [3], "c and e are not what such a column holds"
    unzoned = datetime.fromisoformat("2024-01-01")
    found = things.apply_changes(updates(("a", unzoned, None), ("b", None, unzoned), name="moment"), same=same)
    assert [outcome.status for outcome in found] == ["conflict", "conflict"]
    unfit = Change("insert", T, KEY, ("f",), {"word": [1]})
    assert things.apply_changes([unfit], same=same)[0].status == "failed"


def test_several_updates_of_one_object_stand_or_fall_together_among_many_others(people, database, execute, in_bulk):
    execute(database, "update people set b = 'mine' where key = 'k1'")
    changes = [
        *updates(("k1", 1, 7), ("k2", 2, 7), ("k3", 3, 7), table=P, name="a"),
        *updates(("k1", "x", "y"), ("k2", "x", "y"), table=P, name="b"),
    ]
    found = people.apply_changes(changes, same=same)
    assert [outcome.status for outcome in found] == ["conflict", "done", "done", "conflict", "done"]
    assert in_bulk == [1], "k3 alone"
    again = [Change("insert", P, KEY, ("n",), {"a": 1}), Change("insert", P, KEY, ("n",), {"a": 2})]
    assert [outcome.status for outcome in people.apply_changes(again, same=same)] == ["done", "conflict"]


# --- outcomes ---------------------------------------------------------------------------------------------------------

some = st.lists(st.builds(Outcome, st.sampled_from(["done", "conflict"]), st.sampled_from(["", "x"])))


@given(first=some, count=st.integers(0, 3), last=some)
def test_outcomes_are_a_sequence_like_a_list(first, count, last):
    outcomes = Outcomes(len(first), Outcome("done"))
    for place, outcome in enumerate(first):
        outcomes[place] = outcome
    outcomes.extend(count, Outcome("undone"))
    for outcome in last:
        outcomes.extend(1, outcome)
    expected = [*first, *[Outcome("undone")] * count, *last]
    assert outcomes == expected
    assert list(outcomes) == [outcomes[place] for place in range(len(outcomes))] == expected
    assert outcomes[1:-1] == expected[1:-1]
    assert (outcomes == [*expected, Outcome("done")]) is False
    assert (outcomes == 5) is False


def test_outcomes_say_how_many_there_are_of_each():
    outcomes = Outcomes(1_000, Outcome("done"))
    assert repr(outcomes) == "<Outcomes: 1,000 × Outcome(status='done', reason='')>"
    assert repr(Outcomes()) == "<Outcomes: none>"
    with pytest.raises(IndexError):
        outcomes[1_000]
    with pytest.raises(TypeError, match="unhashable"):
        hash(outcomes)
