"""What goes wrong on the way out, a row of the list of hazards each, over real databases where one is meant.

Ctrl-C is in ``applying/test_template.py``; conflicts and foreign keys in detail in ``applying/test_store_template.py``.
"""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
import traceback

import pytest
import sqlalchemy

from datastoresync import (
    Branch,
    CSVImporter,
    DeclarationError,
    Limits,
    LockedError,
    LoggingReporter,
    Object,
    SafeguardError,
    SQLImporter,
    SyncerError,
    Table,
    Template,
    Tree,
)
from datastoresync.syncers.sql.syncer import SQLSyncer

COUNT = 10_000


class User(Object):
    name: str


def source_of(count, name="name", **options):
    rows = [{"idnumber": f"{number:05}", "name": f"{name} {number}"} for number in range(count)]
    return +Tree("source", branches={"users": Branch(User, importer=rows, **options)})


@pytest.fixture
def engine(store_url):
    engine = sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table users (idnumber varchar(20) primary key, name varchar(60))"))
    return engine


@pytest.fixture
def dest(engine):
    return +Tree("dest", syncer=SQLSyncer(engine), branches={"users": Branch(User)})


def run(engine, statement):
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement))


def table(engine, name="users"):
    with engine.connect() as connection:
        return sorted(map(tuple, connection.execute(sqlalchemy.text(f"select * from {name}"))))


# Limits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "name", "what"), [(79, "name", "21 deletions"), (100, "other", "100 updates"), (0, "name", "is empty")]
)
def test_too_many_deletions_or_updates_are_refused_before_any_change_and_in_the_preview(
    engine, dest, capsys, count, name, what
):
    assert (source_of(100) >> dest).ok
    before = table(engine)
    source = source_of(count, name)
    with pytest.raises(SafeguardError, match=what) as caught:
        source >> dest
    assert table(engine) == before
    capsys.readouterr()
    preview = source > dest
    assert preview.refused == caught.value.violations
    assert f"would be refused: {caught.value.violations[0]}" in capsys.readouterr().out


def test_after_rejected_rows_nothing_is_deleted(engine, dest, tmp_path):
    assert (source_of(10) >> dest).ok
    path = tmp_path / "users.csv"
    path.write_text(
        "idnumber,name\n00001,name 1\n00002,name 2,what\n" + "".join(f"0000{n},name {n}\n" for n in range(3, 10))
    )
    source = +Tree("source", branches={"users": Branch(User, importer=CSVImporter(path, on_bad_row="collect"))})
    with pytest.raises(SafeguardError, match="nothing may be deleted"):
        source >> dest
    assert len(table(engine)) == 10


# Somebody else writes -----------------------------------------------------------------------------------------------


def test_what_changed_since_the_import_is_a_conflict_kept_and_the_rest_goes_on(engine, dest):
    assert (source_of(10) >> dest).ok
    run(engine, "update users set name = 'by hand' where idnumber = '00003'")
    rows = [{"idnumber": f"{n:05}", "name": "changed" if n in (3, 4) else f"name {n}"} for n in range(10)]
    report = +Tree("source", branches={"users": Branch(User, importer=rows)}) >> dest
    assert (report.succeeded, report.conflicts, report.exit_code) == (1, 1, 1)
    assert dict(table(engine))["00003"] == "by hand"
    assert dict(table(engine))["00004"] == "changed"


CHILD = """
import sys
from datastoresync import Branch, Object, Tree
from datastoresync.applying import store_template as bulk
from datastoresync.syncers.sql.syncer import SQLSyncer

class User(Object):
    name: str

url, what = sys.argv[1:]
rows = [{{"idnumber": f"{{n:05}}", "name": f"changed {{n}}"}} for n in range({count})]
source = +Tree("source", branches={{"users": Branch(User, importer=rows)}})
dest = +Tree("dest", syncer=SQLSyncer(url), branches={{"users": Branch(User)}})
from datastoresync import Limits

class Waiting(bulk.StoreTemplate):
    def _same(self, actions, changes):
        same = super()._same(actions, changes)
        seen = []
        def waiting(*arguments):
            seen.append(1)
            if what == "wait" and len(seen) == 1 or what == "half" and len(seen) == {count} // 2:
                print("inside", flush=True)
                sys.stdin.read()
            return same(*arguments)
        return waiting

print("ready", flush=True)
applier = dest.applier()
print(Waiting(applier.syncer, applier.stored).apply(source - dest, limits=Limits(updates={count})).stat, flush=True)
"""


@pytest.fixture
def child(tmp_path, store_url):
    """Return a function that starts another process which changes every user, and kills it at the end."""
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD.format(count=COUNT)))
    started = []

    def start(what):
        process = subprocess.Popen(
            [sys.executable, str(script), store_url, what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def changed(pairs):
    return [name.startswith("changed") for _, name in pairs]


def applied_when_free(source, dest, **options):
    """Apply, waiting for as long as a database needs to notice that a process is gone."""
    for _ in range(100):
        try:
            return source.sync_to(dest, **options)
        except LockedError:
            time.sleep(0.1)
    pytest.fail("the lock outlived its process")


@pytest.mark.parametrize(
    "moment", ["half", 0.1, *(pytest.param(moment, marks=pytest.mark.slow) for moment in (0.0, 0.4))]
)
def test_kill_at_any_moment_and_run_again(engine, dest, child, moment):
    assert (source_of(COUNT) >> dest).ok
    process = child(moment if isinstance(moment, str) else "run")
    if isinstance(moment, str):
        assert process.stdout.readline() == "inside\n"
    else:
        time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = changed(table(engine))
    assert len(there) == COUNT
    assert all(there) or not any(there), "all or nothing"
    if isinstance(moment, str):
        assert not any(there)
    source = source_of(COUNT, "changed")
    +dest
    report = applied_when_free(source, dest, limits=Limits(updates=COUNT))
    assert report.ok
    assert report.planned == (0 if all(there) else COUNT)
    assert all(changed(table(engine)))
    assert not source - +dest


def test_two_runs_at_once_the_second_is_refused_and_the_lock_ends_with_its_process(engine, dest, child):
    assert (source_of(COUNT) >> dest).ok
    process = child("wait")
    assert process.stdout.readline() == "inside\n"
    more = source_of(COUNT + 1)
    with pytest.raises(LockedError, match="another run"):
        more >> dest
    assert len(more - dest) == 1, "nothing was folded"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert applied_when_free(more, dest).succeeded == 1
    assert len(table(engine)) == COUNT + 1


# Failures add up ----------------------------------------------------------------------------------------------------


def test_every_third_action_fails_and_the_process_says_so(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from datastoresync import Branch, Template, Tree

            class Third(Template):
                def new_users(self, action):
                    if action.idnumber % 3 == 2:
                        raise OSError("the server said no")

            source = +Tree("source", branches={"users": Branch(importer=[{"idnumber": n} for n in range(300)])})
            dest = +Tree("dest", branches={"users": Branch(importer=[])}, template=Third)
            report = source >> dest
            print(report.stat)
            sys.exit(report.exit_code)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "succeeded=200 failed=100 skipped=0 conflict=0 unhandled=0 pending=0 total=300 unchecked\n"
    assert done.returncode == 1


# Names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ['a"; drop table users;--', "select", "Ünï cödé", "with space", "a%sb", "a:b", "x'y"])
def test_odd_identifiers_are_quoted(engine, name):
    def quoted(text):
        return '"' + text.replace('"', '""') + '"'

    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"create table {quoted(name)} (idnumber varchar(9) primary key, {quoted(name)} varchar(9))".replace(
                "%", "%%"
            )
            if engine.dialect.name == "postgresql"
            else f"create table {quoted(name)} (idnumber varchar(9) primary key, {quoted(name)} varchar(9))"
        )
    odd = Table(name, columns={"name": name})

    def tree():
        return +Tree("dest", syncer=SQLSyncer(engine), branches={"users": Branch(User, table=odd)})

    dest = tree()
    assert (source_of(5) >> dest).ok
    rows = [{"idnumber": f"{n:05}", "name": name[:9] if n == 1 else f"name {n}"} for n in range(1, 5)]
    assert (+Tree("source", branches={"users": Branch(User, importer=rows)}) >> dest).ok
    assert {key: user.name for key, user in tree().users.items()} == {row["idnumber"]: row["name"] for row in rows}
    assert table(engine) == [], "the other table is still there"


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (Table("user"), "'user'.*'users'|users"),
        (Table("users", columns={"name": "nam"}), "nam"),
        (Table('users"; drop table users;--'), "no table"),
    ],
)
def test_names_that_are_not_in_the_schema_are_refused(engine, odd, message):
    tree = Tree("dest", syncer=SQLSyncer(engine), branches={"users": Branch(User, table=odd)})
    with pytest.raises(SyncerError, match=message):
        +tree
    assert table(engine) == []


# Secrets ------------------------------------------------------------------------------------------------------------

URL = "postgresql://ann:s3cret@127.0.0.1:1/school?password=s3cret&connect_timeout=1"


def said_by(report, caplog):
    return "\n".join(
        [str(report), repr(report), report._repr_html_(), report.stat, caplog.text]
        + [repr(result) + result.message for result in report.results]
    )


def test_passwords_and_values_in_a_template_s_errors_are_in_no_report_and_no_log(engine, caplog):
    run(engine, "insert into users values ('00001', 'taken@example.org')")
    run(engine, "create unique index names on users (name)")

    class Accounts(Template):
        def new_users(self, action):
            if action.idnumber == "00000":
                raise ConnectionError(f"no route to {URL}")
            with engine.begin() as connection:
                connection.execute(
                    sqlalchemy.text("insert into users values (:id, :name)"),
                    {"id": action.idnumber, "name": "taken@example.org"},
                )

    dest = +Tree("dest", branches={"users": Branch(User, importer=[])}, template=Accounts)
    with caplog.at_level(logging.DEBUG):
        report = source_of(3).sync_to(dest, reporters=[LoggingReporter()])
    assert report.failed == 3
    said = said_by(report, caplog)
    assert "s3cret" not in said
    assert "taken@example.org" not in said
    assert "ann:***@127.0.0.1" in said
    assert "unique" in said.lower() or "UNIQUE" in said


def test_values_in_psycopg_s_own_errors_are_in_no_report(database, caplog):
    psycopg = pytest.importorskip("psycopg")
    url = database.replace("+psycopg", "")

    class Accounts(Template):
        def new_users(self, action):
            with psycopg.connect(url) as connection:
                connection.execute("create table if not exists marks (name text unique, mark integer)")
                connection.execute("insert into marks values ('ann@example.org', 1) on conflict do nothing")
                if action.idnumber == "00000":
                    connection.execute("insert into marks values ('ann@example.org', 2)")
                if action.idnumber == "00001":
                    connection.execute("select 'ann@example.org'::integer")
                connection.execute("insert into marks values ('x', %s)", [2**40])

    dest = +Tree("dest", branches={"users": Branch(User, importer=[])}, template=Accounts)
    with caplog.at_level(logging.DEBUG):
        report = source_of(3).sync_to(dest, reporters=[LoggingReporter()])
    assert report.failed == 3
    assert "ann@example.org" not in said_by(report, caplog)
    assert "UniqueViolation: duplicate key value" in str(report)
    assert "invalid input syntax for type integer" in str(report)


@pytest.mark.parametrize("read", [True, False])
def test_a_store_that_cannot_be_reached_keeps_its_password(read):
    pytest.importorskip("psycopg")
    syncer = SQLSyncer(URL)
    importer = SQLImporter(URL, "select 1") if read else None
    tree = Tree("dest", syncer=syncer, branches={"users": Branch(User, importer=importer)})
    with pytest.raises(SyncerError) as caught:
        +tree
    told = "".join(traceback.format_exception(caught.value))
    for said in (str(caught.value), repr(caught.value), told, repr(syncer), repr(tree), syncer.name):
        assert "s3cret" not in said


def test_values_of_a_row_are_in_no_report_of_a_store(engine, dest, caplog):
    run(engine, "create unique index names on users (name)")
    rows = [{"idnumber": "1", "name": "ann@example.org"}, {"idnumber": "2", "name": "ann@example.org"}]
    source = +Tree("source", branches={"users": Branch(User, importer=rows)})
    with caplog.at_level(logging.DEBUG):
        report = source.sync_to(dest, reporters=[LoggingReporter()])
    assert (report.failed, report.pending) == (1, 1)
    assert "ann@example.org" not in said_by(report, caplog)


class Named(Template):
    def new(self, action):
        CALLED.append(action.idnumber)


CALLED: list[str] = []


@pytest.mark.parametrize(
    ("declare", "right"),
    [
        (lambda: type("Mine", (Named,), {"new_usres": Named.new}), "new_users"),
        (lambda: type("Mine", (Named,), {"on_eror": "stop"}), "on_error"),
        (lambda: type("Mine", (CSVImporter,), {"perpare": lambda self, row: row}), "prepare"),
        (lambda: type("Mine", (LoggingReporter,), {"strat": lambda self, plan: None}), "start"),
        (lambda: type("Mine", (Tree,), {"tempalte": "mail.Accounts"}), "template"),
        (lambda: type(Object)("Mine", (Object,), {"_refrences": {"members": "users"}}), "_references"),
        (lambda: type(Object)("Mine", (User,), {"_references": {"naem": "users"}}), "name"),
    ],
)
def test_a_misspelt_method_hook_option_or_reference_is_named_before_the_first_action(declare, right):
    CALLED.clear()
    source, dest = source_of(2), source_of(0)
    with pytest.raises(DeclarationError, match=f"did you mean '{right}'"):
        source - dest | declare()
    assert CALLED == []


def test_what_no_method_takes_is_not_all_right():
    source, dest = source_of(2), source_of(3, name="other")
    report = Named().apply(source - dest, limits=Limits(deletions=1, updates=2))
    assert (report.unhandled, bool(report), report.exit_code) == (3, False, 1)
    assert report.unhandled_methods == {"update_users_name": 2, "old_users": 1}
