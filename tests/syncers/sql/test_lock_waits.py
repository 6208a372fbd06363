"""Waiting for what others have locked: not for ever, and in the end it is said who they are."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy

from datastoresync.errors import DeclarationError, LockedError, SyncerError
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.registry import open_syncer
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.syncers.sql.url import open_database

ROWS = [{"id": 1, "x": 1}, {"id": 2, "x": 1}]
UPDATE = Change("update", Table("t"), ("id",), (1,), {"x": 3}, {"x": 1})


def same(change, attribute, raw, expected):
    return raw == expected


def apply(syncer):
    return [outcome.status for outcome in syncer.apply_changes([UPDATE], same=same)]


def refused(action, limit=10.0):
    """Return the message of the `LockedError` that an action ends with, in time."""
    started = time.monotonic()
    with pytest.raises(LockedError) as caught:
        action()
    assert time.monotonic() - started < limit
    return str(caught.value)


# --- SQLite -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    with SQLSyncer(f"sqlite:///{tmp_path / 'store.db'}") as syncer:
        syncer.dump("t", data=ROWS)
    return tmp_path / "store.db"


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("begin " + sys.argv[3])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(path):
    """Starts a process that holds the database, in a mode of its journal."""
    running = []

    def start(journal="pragma journal_mode = delete", mode="immediate"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), journal, mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_short_write_of_another_program_is_waited_for(path):
    held = threading.Event()

    def write():
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("begin immediate")
        held.set()
        time.sleep(0.2)
        connection.execute("commit")
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    held.wait()
    with SQLSyncer(f"sqlite:///{path}") as syncer:
        assert apply(syncer) == ["done"]
    thread.join()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_the_process_that_holds_sqlite_is_named(path, hold, journal):
    process = hold(f"pragma journal_mode = {journal}")
    for opened in (SQLSyncer(f"sqlite:///{path}", timeout=0.2), open_syncer(f"sqlite:///{path}?timeout=0.2")):
        with opened as syncer:
            message = refused(lambda syncer=syncer: apply(syncer))
            assert f"held by process {process.pid} (python" in message
            assert "its lock ends with it, even if it is killed" in message
    process.kill()
    process.wait()
    with SQLSyncer(f"sqlite:///{path}") as syncer:
        assert apply(syncer) == ["done"]


def test_a_reader_of_sqlite_is_told_who_keeps_it_out(path, hold):
    process = hold(mode="exclusive")
    with SQLSyncer(f"sqlite:///{path}", timeout=0.2) as syncer:
        assert f"held by process {process.pid}" in refused(lambda: syncer.load("t"))


def test_waiting_for_sqlite_can_be_broken_off(path, hold, ctrl_c):
    hold()
    threading.Timer(0.3, ctrl_c).start()
    started = time.monotonic()
    with SQLSyncer(f"sqlite:///{path}") as syncer, pytest.raises(KeyboardInterrupt):
        apply(syncer)
    assert time.monotonic() - started < 10


RUN = """
import sys
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

def same(change, attribute, raw, expected):
    print("held", flush=True)
    sys.stdin.readline()
    return raw == expected

change = Change("update", Table("t"), ("id",), (1,), {"x": 3}, {"x": 1})
SQLSyncer(sys.argv[1]).apply_changes([change], same=same)
"""


def test_another_run_of_ours_in_sqlite_is_refused_at_once_or_waited_for(path):
    url = f"sqlite:///{path}"
    with subprocess.Popen(
        [sys.executable, "-c", RUN, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with SQLSyncer(url) as syncer:
            assert f"held by process {process.pid} (python" in refused(lambda: apply(syncer), limit=5)

        def go_on():
            process.stdin.write("\n" * 9)
            process.stdin.flush()

        threading.Timer(0.3, go_on).start()
        with SQLSyncer(url, timeout=25) as syncer:
            change = Change("update", Table("t"), ("id",), (1,), {"x": 4}, {"x": 3})
            assert [outcome.status for outcome in syncer.apply_changes([change], same=same)] == ["done"]


def test_an_engine_gets_the_timeout_that_is_given(path, hold):
    hold()
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": 60})
    with SQLSyncer(engine, timeout=0.1) as syncer:
        refused(lambda: apply(syncer))
    engine.dispose()


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture
def forgotten(database):
    """A transaction in PostgreSQL that somebody has forgotten."""
    with SQLSyncer(database) as syncer:
        syncer.dump("t", data=ROWS)
        syncer.dump("u", data=ROWS)
    engine = sqlalchemy.create_engine(database, connect_args={"application_name": "a forgotten shell"})
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("statement", ["update t set x = 2 where id = 1", "lock table t in access exclusive mode"])
def test_a_forgotten_transaction_is_named_and_not_waited_for_for_ever(database, forgotten, statement):
    forgotten.exec_driver_sql(statement)
    number = forgotten.exec_driver_sql("select pg_backend_pid()").scalar()
    with SQLSyncer(database, timeout=0.5) as syncer:
        message = refused(lambda: apply(syncer))
        assert f"held by session {number} (user " in message
        assert "a forgotten shell, idle in transaction, since 20" in message
        if "exclusive" in statement:
            assert f"session {number}" in refused(lambda: syncer.load("t"))
        else:
            assert f"session {number}" in refused(lambda: syncer.upsert("t", data=[{"id": 1, "x": 7}], key="id"))
        forgotten.rollback()
        assert apply(syncer) == ["done"]


def test_many_rows_behind_a_forgotten_transaction_are_not_waited_for_either(database, forgotten):
    forgotten.exec_driver_sql("update t set x = 2 where id = 2")
    many = [Change("update", Table("t"), ("id",), (key,), {"x": 3}, {"x": 1}) for key in range(2000)]
    with SQLSyncer(database, timeout=0.5) as syncer:
        syncer.append("t", data=[{"id": key, "x": 1} for key in range(3, 2000)])
        assert "a forgotten shell" in refused(lambda: syncer.apply_changes(many, same=same))


def test_another_table_is_not_blamed(database, forgotten):
    forgotten.exec_driver_sql("update u set x = 2")
    engine = sqlalchemy.create_engine(database, connect_args={"application_name": "another"})
    with engine.connect() as connection, SQLSyncer(database, timeout=0.5) as syncer:
        connection.exec_driver_sql("update t set x = 2")
        message = refused(lambda: apply(syncer))
        assert "another" in message
        assert "forgotten" not in message
    engine.dispose()


def test_the_time_that_a_connection_was_opened_with_counts(database, forgotten):
    forgotten.exec_driver_sql("update t set x = 2")
    with SQLSyncer(database, connect_args={"options": "-c lock_timeout=300"}) as syncer:
        refused(lambda: apply(syncer))
    with open_syncer(f"{database}{'&' if '?' in database else '?'}timeout=0.3") as syncer:
        refused(lambda: apply(syncer))


def test_another_run_of_ours_is_refused_at_once_or_waited_for(database, forgotten):
    outcomes = []

    def compare(change, attribute, raw, expected):
        if not outcomes:
            with SQLSyncer(database) as second:
                message = refused(lambda: apply(second), limit=5)
                assert re.search(r"table 'public.t' of .* \(held by session \d+ \(user ", message)
            outcomes.append(None)
            waiting_run.start()
            time.sleep(0.3)
        return raw == expected

    def wait():
        with SQLSyncer(database, timeout=20) as second:
            change = Change("update", Table("t"), ("id",), (1,), {"x": 4}, {"x": 3})
            outcomes.extend(second.apply_changes([change], same=same))

    waiting_run = threading.Thread(target=wait)
    with SQLSyncer(database) as first:
        assert [outcome.status for outcome in first.apply_changes([UPDATE], same=compare)] == ["done"]
    waiting_run.join()
    assert outcomes[1].status == "done"


# --- MariaDB ----------------------------------------------------------------------------------------------------------


@pytest.mark.mariadb
def test_a_forgotten_transaction_in_mariadb_is_named(mariadb):
    engine = sqlalchemy.create_engine(mariadb)
    others = sqlalchemy.create_engine(mariadb.replace("?", "_others?"), poolclass=sqlalchemy.NullPool)
    connection_of(mariadb, f"create or replace database {others.url.database}")
    with SQLSyncer(mariadb, timeout=1) as syncer, engine.connect() as connection, others.connect() as other:
        other.exec_driver_sql("create table t (id int primary key)")
        other.exec_driver_sql("insert into t values (1)")  # a lock of another database, which is nobody's business here
        syncer.dump("t", data=ROWS)
        connection.exec_driver_sql("update t set x = 2 where id = 1")
        number = connection.exec_driver_sql("select connection_id()").scalar()
        message = refused(lambda: apply(syncer), limit=20)
        assert f"held by session {number} (user root, localhost, Sleep, since 20" in message
        assert message.count("session ") == 1
        connection.rollback()
        assert apply(syncer) == ["done"]
        connection.exec_driver_sql("select * from t")  # which keeps its table from being changed
        assert refused(lambda: connection_of(mariadb, "alter table t add y int"), limit=20)
    engine.dispose()


def connection_of(url, statement):
    with SQLSyncer(url, timeout=1) as syncer:
        database = syncer._database
        with database.writing() as connection, database.translated_errors("cannot change"):
            connection.exec_driver_sql(statement)


@pytest.mark.mariadb
def test_another_run_in_mariadb_is_named(mariadb):
    messages = []

    def compare(change, attribute, raw, expected):
        if not messages:
            with SQLSyncer(mariadb) as second:
                messages.append(refused(lambda: apply(second)))
        return raw == expected

    with SQLSyncer(mariadb) as first:
        first.dump("t", data=ROWS)
        first.apply_changes([UPDATE], same=compare)
    assert re.search(r"held by session \d+ \(user root, localhost, ", messages[0])


# --- what is given ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [-1, "soon", float("nan"), True])
def test_what_is_no_time_is_refused(timeout, tmp_path):
    with pytest.raises(DeclarationError, match="timeout is the number of seconds to wait"):
        SQLSyncer("sqlite://", timeout=timeout)
    with pytest.raises((DeclarationError, SyncerError), match="timeout"):
        open_syncer(f"csv:{tmp_path}?timeout={timeout}").load("t")
    with pytest.raises(DeclarationError, match="timeout is the number of seconds to wait"):
        open_syncer(f"sqlite:///{tmp_path}/t.db?timeout={timeout}").load("t")


@pytest.mark.parametrize(
    ("url", "left", "seconds"),
    [
        ("postgresql://host/db", "postgresql+psycopg://host/db", 30),
        ("postgresql://host/db?timeout=5", "postgresql+psycopg://host/db", 5),
        ("postgres://host/db?a=b&timeout=5&c=d", "postgresql+psycopg://host/db?a=b&c=d", 5),
        ("mariadb+pymysql://host/db?timeout=0", "mariadb+pymysql://host/db", 0),
        ("sqlite:///file.db?timeout=1.5", "sqlite:///file.db", 1.5),
    ],
)
def test_the_url_says_how_long_to_wait(url, left, seconds):
    for location in (url, sqlalchemy.make_url(url)):
        database = open_database(location, "it", {})
        assert (str(database.engine.url), database.waits.seconds) == (left, seconds)
        assert open_database(location, "it", {}, timeout=7).waits.seconds == 7


def test_this_process_is_called_by_its_name(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("begin immediate")
    with SQLSyncer(f"sqlite:///{path}", timeout=0) as syncer:
        assert f"process {os.getpid()} (" in refused(lambda: apply(syncer))
    connection.close()
