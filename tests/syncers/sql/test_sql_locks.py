"""Two runs at once, and runs that are killed: all of a run's changes are there, or none, and its lock ends with it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy
from profiles import examples

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Link, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

COUNT = examples(10_000)
USERS = Table("users")
ROOT = Path(__file__).resolve().parents[2]

# Updates the whole table, and tells on its output how far it is. At STOP it waits for a line on its input.
RUN = """
import sys
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

url, count, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
table, seen = Table("users"), 0

def same(change, attribute, raw, expected):
    global seen
    seen += 1
    if seen == stop:
        print("waiting", flush=True)
        sys.stdin.readline()
    return raw == expected

changes = [Change("update", table, ("idnumber",), (key,), {"name": "new"}, {"name": "old"}) for key in range(count)]
print("started", flush=True)
outcomes = SQLSyncer(url).apply_changes(changes, same=same)
print({outcome.status for outcome in outcomes}, flush=True)
"""


def same(change, attribute, raw, expected):
    return raw == expected


def updates(count=COUNT):
    return [Change("update", USERS, ("idnumber",), (key,), {"name": "new"}, {"name": "old"}) for key in range(count)]


@pytest.fixture
def syncer(store_url):
    with SQLSyncer(store_url) as opened:
        opened.dump("users", data=[{"idnumber": key, "name": "old"} for key in range(COUNT)])
        yield opened


@pytest.fixture
def start(store_url):
    """Starts a run in another process, which waits at the comparison of this number."""
    running = []

    def run(stop):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, store_url, str(COUNT), str(stop)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        running.append(process)
        assert process.stdout.readline() == "started\n"
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def names(syncer):
    counted = syncer.query("select name, count(*) as number from users group by name")
    return {record["name"]: record["number"] for record in counted}


def wait_for_the_lock(syncer, changes):
    for _ in range(300):
        try:
            return syncer.apply_changes(changes, same=same)
        except LockedError:
            time.sleep(0.1)
    pytest.fail("the lock outlived its process")


def test_a_run_that_is_killed_leaves_nothing_and_no_lock(syncer, start):
    process = start(COUNT + COUNT // 2)  # each update that is made is compared twice
    assert process.stdout.readline() == "waiting\n"
    with pytest.raises(LockedError, match=r"another run or program is writing to .*; its lock ends with it"):
        syncer.apply_changes(updates(1), same=same)
    assert names(syncer) == {"old": COUNT}
    process.kill()
    process.wait()
    assert {outcome.status for outcome in wait_for_the_lock(syncer, updates())} == {"done"}
    assert names(syncer) == {"new": COUNT}


@pytest.mark.slow  # `tests/test_hazards_out.py` kills what applies a difference
@pytest.mark.parametrize("delay", [0.05, 0.4, 1.0])
def test_a_run_that_is_killed_at_any_moment_leaves_all_or_nothing(syncer, start, delay):
    process = start(0)
    time.sleep(delay)
    process.kill()
    process.wait()
    assert names(syncer) in ({"old": COUNT}, {"new": COUNT})
    assert {outcome.status for outcome in wait_for_the_lock(syncer, updates())} == {"done"}
    assert names(syncer) == {"new": COUNT}


def test_the_second_of_two_runs_is_refused_and_the_first_goes_on(syncer, start):
    process = start(1)
    assert process.stdout.readline() == "waiting\n"
    with pytest.raises(LockedError):
        syncer.apply_changes(updates(), same=same)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "{'done'}\n"
    assert names(syncer) == {"new": COUNT}
    assert {outcome.status for outcome in syncer.apply_changes(updates(), same=same)} == {"done"}


def while_changing(syncer, table, meanwhile):
    """Call something while a change to this table is being applied; return what it raises."""
    raised = []

    def compare(change, attribute, raw, expected):
        try:
            meanwhile()
        except SyncerError as error:
            raised.append(error)
        return raw == expected

    syncer.apply_changes([Change("update", table, ("id",), (1,), {"x": 2}, {"x": 1})], same=compare)
    return raised


def test_runs_on_other_tables_do_not_wait_in_postgresql(database):
    impatient = {"options": "-c lock_timeout=5s"}
    with SQLSyncer(database) as syncer, SQLSyncer(database, connect_args=impatient) as other:
        for name in ("a", "b", "c"):
            syncer.dump(name, data=[{"id": 1, "x": 1}])
        linked = Table("a", links={"c": Link("c", "id", "x")})

        def update(table):
            change = Change("update", table, ("id",), (1,), {"x": 3}, {"x": 3})
            return lambda: other.apply_changes([change], same=same)

        assert while_changing(syncer, Table("a"), update(Table("b"))) == []
        assert "table 'public.a'" in str(while_changing(syncer, Table("a"), update(linked))[0])
        assert "table 'public.a'" in str(while_changing(syncer, linked, update(Table("public.a")))[0])
        assert "table 'public.c'" in str(while_changing(syncer, linked, update(Table("c")))[0])


def test_readers_are_not_kept_out(syncer, store_url):
    with SQLSyncer(store_url) as reader:
        seen = []

        def compare(change, attribute, raw, expected):
            seen.append(names(reader))
            return raw == expected

        syncer.apply_changes(updates(1), same=compare)
        assert seen == [{"old": COUNT}] * 3  # the last time what was written is read back


def test_a_reader_that_is_not_done_makes_sqlite_refuse_the_commit(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setattr("datastoresync.syncers.sql.read._ROWS", 1)
    with SQLSyncer(url, connect_args={"timeout": 0.1}) as syncer:
        syncer.dump("users", data=[{"idnumber": key, "name": "old"} for key in range(2)])
        stream = iter(syncer.read("users"))
        next(stream)
        with pytest.raises(LockedError, match="refused the commit, and nothing was written: database is locked"):
            syncer.apply_changes(updates(2), same=same)
        assert [record["name"] for record in stream] == ["old"]
        assert {outcome.status for outcome in syncer.apply_changes(updates(2), same=same)} == {"done"}
        assert names(syncer) == {"new": 2}


def test_a_reader_is_told_who_keeps_it_out(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    engine = sqlalchemy.create_engine(url)
    with SQLSyncer(url, connect_args={"timeout": 0}) as syncer, engine.connect() as connection:
        syncer.dump("users", data=[{"id": 1}])
        connection.exec_driver_sql("begin exclusive")
        with pytest.raises(LockedError, match=r"cannot .*database is locked .*another run or program is at work there"):
            syncer.load("users")
    engine.dispose()


def test_a_database_that_is_for_reading_only_is_not_called_locked(tmp_path):
    path = tmp_path / "store.db"
    with SQLSyncer(f"sqlite:///{path}") as syncer:
        syncer.dump("users", data=[{"id": 1}])
    with SQLSyncer(f"sqlite:///file:{path}?mode=ro&uri=true") as syncer:
        with pytest.raises(SyncerError, match=r"attempt to write a readonly database") as caught:
            syncer.dump("users", data=[])
        assert not isinstance(caught.value, LockedError)
        assert syncer.load("users") == [{"id": 1}]


def test_other_databases_keep_their_own_transactions(tmp_path, monkeypatch):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setattr(engine.dialect, "name", "another")
    with SQLSyncer(engine) as syncer:
        syncer.dump("users", data=[{"id": 1, "x": 1}])
        change = Change("update", Table("users"), ("id",), (1,), {"x": 2}, {"x": 1})
        assert [outcome.status for outcome in syncer.apply_changes([change], same=same)] == ["done"]
        assert syncer.load("users") == [{"id": 1, "x": 2}]
    engine.dispose()


def test_an_engine_that_begins_by_itself_is_locked_too(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    engine = sqlalchemy.create_engine(url)
    sqlalchemy.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with SQLSyncer(engine) as syncer, SQLSyncer(url) as other:
        other.dump("users", data=[{"id": 1, "x": 1}])
        change = Change("update", Table("users"), ("id",), (1,), {"x": 3}, {"x": 1})
        raised = while_changing(syncer, Table("users"), lambda: other.apply_changes([change], same=same))
        assert "its lock ends with it, even if it is killed" in str(raised[0])
        assert syncer.load("users") == [{"id": 1, "x": 2}]
    engine.dispose()


def test_an_engine_without_transactions_is_given_one(store_url):
    engine = sqlalchemy.create_engine(store_url, isolation_level="AUTOCOMMIT")
    with SQLSyncer(engine) as syncer:
        syncer.dump("users", data=[{"id": 1, "x": 1}])
        keys = [Change("insert", Table("users"), ("id",), (2,), {"x": 1})]
        with pytest.raises(KeyError):
            syncer.apply_changes([*keys, Change("update", Table("users"), ("id",), (1,), {"x": 1})], same=failing)
        assert syncer.load("users") == [{"id": 1, "x": 1}]
    engine.dispose()


def failing(change, attribute, raw, expected):
    raise KeyError(attribute)


def test_a_run_waits_for_another_program_in_sqlite_as_long_as_its_engine_does(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    engine = sqlalchemy.create_engine(url, connect_args={"timeout": 60}, pool_size=1, max_overflow=0)
    with SQLSyncer(engine) as syncer:
        syncer.dump("users", data=[{"id": 1, "x": 1}])
        other = sqlalchemy.create_engine(url, connect_args={"check_same_thread": False})
        with other.connect() as connection:
            connection.exec_driver_sql("begin immediate")
            free = threading.Timer(0.3, connection.connection.rollback)
            free.start()
            syncer.dump("users", data=[])
            free.join()
        with engine.connect() as connection:
            assert connection.exec_driver_sql("pragma busy_timeout").scalar() == 60_000
        assert syncer.load("users") == []
        other.dispose()
    engine.dispose()
