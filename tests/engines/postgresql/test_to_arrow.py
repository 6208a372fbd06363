"""All rows of a table come as Arrow, with the values that reading it gives."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from profiles import examples
from stored_rows import COLUMNS, fill, layout_of, made, opened, sides

from datastoresync import MissingDependencyError, Object, SQLSyncer, SyncerError
from datastoresync.diffing.equality import equal
from datastoresync.engines.postgresql import comparison as pulling
from datastoresync.engines.postgresql.comparison import to_arrow
from datastoresync.engines.postgresql.relation import open_stored
from datastoresync.engines.relation import CannotPushDown
from datastoresync.syncers.arrow import read_arrow

pytest.importorskip("psycopg")
pytest.importorskip("pyarrow")

law = settings(max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ATTRIBUTES = ["idnumber", *(name for name in COLUMNS if name != "number")]


class Anything(Object):
    pass


@pytest.fixture(params=["adbc", "rows"])
def way(request, monkeypatch):
    if request.param == "adbc":
        pytest.importorskip("adbc_driver_postgresql")
    else:
        monkeypatch.setattr(pulling, "has_adbc", lambda: False)
    return request.param


@pytest.fixture
def syncer(database):
    with SQLSyncer(database) as opened_one:
        yield opened_one


def by_key(records):
    return {row["idnumber"]: row for row in records}


def test_values_are_those_of_a_plain_read(way, database):
    engine = made(database)

    @law
    @given(sides)
    def holds(rows):
        fill(engine, here=rows)
        with SQLSyncer(database) as syncer:
            relation = opened(syncer, Anything, attributes=ATTRIBUTES)
            found = by_key(read_arrow(to_arrow(relation)))
            expected = by_key(syncer.read("here.things", ATTRIBUTES))
            relation.close()
        assert found.keys() == expected.keys()
        for key, row in expected.items():
            for name, value in row.items():
                assert equal(found[key][name], value)
                assert type(found[key][name]) is type(value)
                assert str(found[key][name]) == str(value)

    holds()


def test_rows_are_those_of_the_import(way, database, execute, syncer):
    execute(database, "CREATE TABLE users (idnumber text PRIMARY KEY)", "INSERT INTO users VALUES ('1'), ('2')")
    relation = opened(syncer, Anything, "users")
    execute(database, "DELETE FROM users WHERE idnumber = '1'", "INSERT INTO users VALUES ('3')")
    assert sorted(by_key(read_arrow(to_arrow(relation)))) == ["1", "2"]
    relation.close()


def test_a_query_with_parameters_and_percents(way, database, syncer):
    relation = open_stored(
        syncer, query="SELECT :one AS idnumber, '5%' AS share", parameters={"one": "a'b"}, layout=layout_of(Anything)
    )
    assert list(read_arrow(to_arrow(relation))) == [{"idnumber": "a'b", "share": "5%"}]
    plain = open_stored(syncer, query="SELECT 'a:b' AS idnumber, '5%' AS share", layout=layout_of(Anything))
    assert list(read_arrow(to_arrow(plain))) == [{"idnumber": "a:b", "share": "5%"}]


def test_a_query_finds_its_tables_where_it_did(way, database, execute):
    execute(database, "CREATE SCHEMA school", "CREATE TABLE school.users AS SELECT 'a' AS idnumber")
    with SQLSyncer(database, connect_args={"options": "-csearch_path=school"}) as syncer:
        relation = open_stored(syncer, query="SELECT idnumber FROM users", layout=layout_of(Anything))
        assert list(read_arrow(to_arrow(relation))) == [{"idnumber": "a"}]
        relation.close()


def test_what_was_changed_since_is_refused(way, database, execute, syncer):
    execute(database, "CREATE TABLE users AS SELECT 'a' AS idnumber")
    relation = opened(syncer, Anything, "users")
    execute(database, "TRUNCATE users")
    with pytest.raises(SyncerError, match=r"table 'users' of .* was altered, emptied or recreated"):
        to_arrow(relation)


def test_a_numeric_without_a_scale_has_no_counterpart(database, execute, syncer):
    execute(database, "CREATE TABLE users AS SELECT 'a' AS idnumber, 1.0::numeric AS share")
    with pytest.raises(CannotPushDown, match="share is a numeric without a scale"):
        to_arrow(opened(syncer, Anything, "users"))


def test_a_numeric_with_more_digits_than_arrow_has(database, execute, syncer):
    execute(database, "CREATE TABLE users AS SELECT 'a' AS idnumber, 1.0::numeric(80, 2) AS share")
    with pytest.raises(CannotPushDown, match="share has digits where Arrow has none"):
        to_arrow(opened(syncer, Anything, "users"))


def test_without_pyarrow_the_command_is_named(database, execute, syncer, monkeypatch):
    execute(database, "CREATE TABLE users AS SELECT 'a' AS idnumber")
    relation = opened(syncer, Anything, "users")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[arrow\]'"):
        to_arrow(relation)


def test_without_the_driver_there_is_no_adbc(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    assert not pulling.has_adbc()


def test_while_something_is_half_read_rows_come_the_same_way(database, execute, syncer):
    execute(database, "CREATE TABLE users AS SELECT 'a' AS idnumber")
    relation = opened(syncer, Anything, "users")
    reading = relation.rows()
    next(reading)
    assert list(read_arrow(to_arrow(relation))) == [{"idnumber": "a"}]


def test_what_the_driver_refuses_is_said_without_passwords(database, execute, monkeypatch):
    pytest.importorskip("adbc_driver_postgresql")
    execute(database, "CREATE TABLE users AS SELECT 'a' AS idnumber")
    with SQLSyncer(f"{database}&sslpassword=geheim") as syncer:
        relation = opened(syncer, Anything, "users")
        monkeypatch.setattr(pulling, "_statement", lambda relation: "SELECT 'geheim' / 0")
        with pytest.raises(SyncerError, match=r"cannot read table 'users' of .* through ADBC: .*") as caught:
            to_arrow(relation).read_all()
        assert "geheim" not in str(caught.value)
        relation.close()


def test_a_time_zone_that_python_does_not_know_is_read_as_utc():
    assert [pulling._python_zone(zone) for zone in ("Europe/Berlin", "<+02>-02", "../x")] == [
        "Europe/Berlin",
        "UTC",
        "UTC",
    ]
