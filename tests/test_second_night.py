"""The law of the second night: what a run reports is what the store holds, and after a good one nothing differs."""

import sqlite3
import uuid

import pytest
import second_night as night_of
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import DatastoreSyncError, SafeguardError
from datastoresync.syncers import SQLSyncer

pytestmark = pytest.mark.filterwarnings("ignore::datastoresync.errors.DataWarning")
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
ON_SERVER = settings(QUIET, max_examples=examples(100, quick=12))
KEYS = {"users": "idnumber", "orders": "number", "log": "entry"}


@pytest.fixture
def sqlite(tmp_path):
    """Makes the URL of another empty file of SQLite."""

    def make():
        path = tmp_path / f"{uuid.uuid4().hex}.db"
        sqlite3.connect(path).close()
        return f"sqlite:///{path}"

    return make


# --- one table, of any columns, in a database that acts ---------------------------------------------------------


def two_nights(url, night):
    """Sync a night's source into its table, and judge; then once more."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    night_of.create(engine, night)

    def all_rows():
        return {name: night_of.rows(engine, name, key) for name, key in KEYS.items()}

    before = all_rows()
    with SQLSyncer(url) as syncer:
        source, dest = night_of.trees(syncer, night)
        try:
            report = source.sync_to(dest, limits=night_of.ALL, on_error=night["on_error"])
        except DatastoreSyncError:
            assert all_rows() == before
            return
        after = all_rows()
        night_of.judge(night, report, before, after)
        if not report.conflicts:
            night_of.judge_memory(night, dest, after["users"])
        if report.ok:
            source, fresh = night_of.trees(syncer, night)
            assert not [action.message for action in source - fresh]


@given(night=night_of.nights(night_of.EVERYWHERE, night_of.SQLITE_KEYS))
@example(night_of.one_leaves("changes others"))
@example(night_of.one_leaves("adds to the table"))
@example(night_of.one_leaves("swallows deletions"))
@QUIET
def test_sqlite_holds_what_the_report_says(sqlite, night):
    two_nights(sqlite(), night)


@given(night=night_of.nights(night_of.POSTGRESQL, night_of.POSTGRESQL_KEYS))
@example(night_of.one_leaves("changes others"))
@example(night_of.one_leaves("adds to the table"))
@ON_SERVER
def test_postgresql_holds_what_the_report_says(database, execute, night):
    execute(database, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    two_nights(database, night)


@pytest.mark.full_postgresql
@given(night=night_of.nights(night_of.POSTGRESQL, ["citext primary key", "text collate insensitive primary key"]))
@QUIET
def test_postgresql_with_keys_of_its_own_holds_what_the_report_says(full_postgresql, execute, night):
    execute(
        full_postgresql,
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "CREATE EXTENSION IF NOT EXISTS citext",
        "CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
    )
    two_nights(full_postgresql, night)


@pytest.mark.mariadb
@given(night=night_of.nights(night_of.MARIADB, night_of.MARIADB_KEYS))
@example(night_of.one_leaves("adds to the table") | {"key": "varchar(9) primary key"})
@QUIET
def test_mariadb_holds_what_the_report_says(mariadb, execute, night):
    execute(mariadb, "DROP TABLE IF EXISTS orders, users, log")
    two_nights(mariadb, night)


# --- several tables, whose foreign keys act ---------------------------------------------------------------------

ON_DELETE = st.tuples(
    st.sampled_from(["NO ACTION", "CASCADE", "SET NULL"]), *[st.sampled_from(["NO ACTION", "CASCADE"])] * 2
)
LATER = st.lists(
    st.sampled_from([("devices", ("by-hand", "ann")), ("members", ("staff", "cid")), ("users", ("new", "x"))]),
    unique=True,
)
"""Rows that another program may write after the import."""


def school_night(url, before, source, later, on_delete, left_out):
    """Sync a school into a database that changes after the import, and judge."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    night_of.create_school(engine, on_delete, before)
    later = {
        table: {row for name, row in later if name == table and is_possible(before, table, row)} for table in before
    }
    with SQLSyncer(url) as syncer:
        dest = night_of.school_tree("dest", syncer)
        night_of.write_school(engine, later)
        there = night_of.read_school(engine)
        try:
            report = night_of.school_tree("source", school=source).sync_to(dest, limits=night_of.ALL, exclude=left_out)
        except SafeguardError:
            assert night_of.read_school(engine) == there
            return
    after = night_of.read_school(engine)
    assert after == night_of.school_told(there, report), [result.message for result in report.results]
    if report.ok and left_out is None and not any(later.values()):
        assert after == source


def is_possible(school, table, row):
    """Say whether a row can be added to a school by hand."""
    people = {key for key, _ in school["users"]}
    if table == "devices":
        return row[1] in people
    return table == "users" or (row[1] in people and (row[0],) in school["groups"] and row not in school["members"])


SCHOOL = {
    "before": night_of.schools(),
    "source": night_of.schools(),
    "later": LATER,
    "on_delete": ON_DELETE,
    "left_out": st.sampled_from(night_of.FILTERS),
}


@given(**SCHOOL)
@QUIET
def test_what_foreign_keys_of_sqlite_do_is_told_or_prevented(sqlite, **school):
    school_night(sqlite(), **school)


@given(**SCHOOL)
@ON_SERVER
def test_what_foreign_keys_of_postgresql_do_is_told_or_prevented(database, execute, **school):
    execute(database, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    school_night(database, **school)
