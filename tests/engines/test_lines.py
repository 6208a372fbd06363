"""Small files are compared line by line: what a person sees is what objects show, and few of them are made."""

import copy
import csv
import datetime
import math
import sqlite3
import threading
from contextlib import closing
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from drawn_files import (
    Accepting,
    acted,
    attempt,
    done,
    look,
    pairs,
    run,
    shown,
    work,
    written,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples
from sortedcontainers import SortedDict

from datastoresync import Branch, CSVImporter, DuckDB, MalformedFileError, Object, SQLImporter
from datastoresync.engines import duckdb
from datastoresync.engines.duckdb import csv as duckdb_csv
from datastoresync.engines.lines import LineObjects
from datastoresync.importing import load
from datastoresync.syncers.records import Records


def without_lines():
    """Make all objects at the import, as the reference does."""
    return patch.object(load, "_lines_of", lambda *_: None)


def saved(path, rows, *, header=("idnumber", "name", "level"), end="\n"):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=end).writerows([header, *rows])
    return path


class Person(Object):
    name: str
    level: int

    @property
    def label(self):
        return f"{self.name} of {self.level}"


MINE = [["1", "Ann", "7"], ["2", "Bob, Jr", "8"], ["3", "Cec", "09"], ["4", "Dan", "1"]]
THEIRS = [["4", "Dan", "1"], ["5", "Eve", "2"], ["3", "Cec", "9"], ["2", 'Bob "B"', "8"]]


@pytest.fixture
def two(tmp_path):
    def make(cls=Person, engines=("auto", "auto")):
        both = zip((MINE, THEIRS), ("mine", "theirs"), engines, strict=True)
        return [
            +Branch(cls, importer=CSVImporter(saved(tmp_path / f"{name}.csv", rows)), engine=engine)
            for rows, name, engine in both
        ]

    return make


def found(diff):
    return [(one.verb, one.idnumber, one.attr, one.old_value, one.value) for one in diff]


# The law ------------------------------------------------------------------------------------------------------------


@given(pair=pairs(), choice=st.none() | st.integers(0, 3))
@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
def test_lines_show_what_objects_show(pair, choice, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    written(folder, source=pair[0], dest=pair[1])
    with without_lines():
        expected, _ = run(folder, "memory", *pair, choice=choice)
    seen, _ = run(folder, "memory", *pair, choice=choice)
    for name in expected:
        assert seen[name] == expected[name], name


@given(work=work())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_done_to_lines_leaves_them_as_it_leaves_objects(work, tmp_path_factory):
    source, dest, steps = work
    folder = tmp_path_factory.mktemp("machine")
    written(folder, source=source, dest=dest)
    with without_lines():
        _, expected = run(folder, "memory", source, dest)
    _, seen = run(folder, "memory", source, dest)
    for tree in (*expected, *seen):
        tree.template = Accepting
    for step in steps:
        with without_lines():
            wanted = done(expected, step)
        assert done(seen, step) == wanted, step
    assert attempt(lambda: acted(seen[0] - seen[1])) == attempt(lambda: acted(expected[0] - expected[1]))
    assert look(seen[1].things, 0) == look(expected[1].things, 0)


# Rows ---------------------------------------------------------------------------------------------------------------


class Anything(Object):
    name: Any
    level: Any = None


class Named(Object):
    name: str
    level: Any = None


class Counted(Object):
    name: str
    level: int | None = None


class Measured(Object):
    name: Decimal | None
    level: float | None = None


class Timed(Object):
    name: str | None
    level: datetime.datetime | None = None


NOW = datetime.datetime(2024, 10, 27, 2, 30)  # noqa: DTZ001 - zones are added below
BERLIN = ZoneInfo("Europe/Berlin")
POOLS = (
    ["a", "b", "", "1", "01"],
    [1, 2, 0],
    [1, True, 0, False],
    [0.0, -0.0, math.nan, 1.0],
    [1, 1.0, Decimal(1)],
    [Decimal("1.0"), Decimal("1.00"), Decimal(2)],
    [NOW, NOW.replace(hour=3)],
    [NOW.replace(tzinfo=BERLIN), NOW.replace(tzinfo=BERLIN, fold=1), NOW.replace(tzinfo=datetime.UTC)],
    [NOW.date(), NOW.date().replace(year=1)],
    [["a"], ["a", "b"], []],
)


@st.composite
def records(draw):
    """Draw two sides of rows of values: the names and the columns of one, and those of the other, mostly alike."""
    columns = [draw(st.sampled_from(POOLS[:2])), draw(st.sampled_from(POOLS)), draw(st.sampled_from(POOLS))]
    halves = []
    for _ in range(2):
        cell = [st.sampled_from(pool) | st.sampled_from(pool) | st.none() for pool in columns[1:]]
        key = st.sampled_from(columns[0])
        unique = None if draw(st.integers(0, 9)) == 0 else lambda row: row[0]
        rows = draw(st.lists(st.tuples(key, *cell), max_size=4, unique_by=unique))
        if halves:
            known = {row[0] for row in rows}
            rows += [row for row in halves[0] if row[0] not in known and draw(st.booleans())]
        halves.append(rows)
    return halves


def told(rows, classes, failing, objects=None):
    """Import two sides, make the ``objects`` of one, and compare them; return all that a person sees."""
    seen, branches = [], []
    for half, cls in zip(rows, classes, strict=True):

        def chunks(half=half):
            for start in range(0, len(half), 2):
                yield list(zip(*half[start : start + 2], strict=True))
            if failing:
                raise MalformedFileError("the rest is missing")

        source = Records(("idnumber", "name", "level"), chunks(), lambda index: f"row {index + 1}")
        branches.append(Branch(cls, importer=lambda source=source: source))
        seen.append(attempt(lambda: branches[-1].load() is None))
    if objects is not None:
        list(branches[objects])
    seen.append(attempt(lambda: acted(branches[0] - branches[1])))
    seen.append(attempt(lambda: acted(branches[1] - branches[0])))
    seen += [[(shown(key), shown(item)) for key, item in branch.items()] for branch in branches]
    return seen


ROWED = st.sampled_from([Object, Anything, Named, Counted, Measured, Timed])


@example(rows=[[("a", 1, None)]] * 2, cls=Named, other=Object, same=False, failing=1, objects=None)
@example(rows=[[("a", "x", 1)], [("a", "x", True)]], cls=Object, other=Object, same=True, failing=1, objects=0)
@example(rows=[[("a", "x", "2")]] * 2, cls=Object, other=Counted, same=False, failing=1, objects=0)
@given(
    rows=records(),
    cls=ROWED,
    other=ROWED,
    same=st.booleans(),
    failing=st.integers(0, 9),
    objects=st.sampled_from([None, 0, 1]),
)
@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_show_what_objects_show(rows, cls, other, same, failing, objects):
    classes = (cls, cls if same else other)
    with without_lines():
        expected = told(rows, classes, failing == 0)
    assert told(rows, classes, failing == 0, objects) == expected


def test_rows_of_a_database_become_objects_where_they_differ(tmp_path):
    url = f"sqlite:///{tmp_path}/people.db"
    with closing(sqlite3.connect(tmp_path / "people.db")) as connection, connection:
        for table, rows in (("mine", MINE), ("theirs", THEIRS)):
            connection.execute(f"CREATE TABLE {table} (idnumber TEXT PRIMARY KEY, name TEXT, level INTEGER)")
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)
    mine, theirs = (+Branch(Person, importer=SQLImporter(url, table=name)) for name in ("mine", "theirs"))
    diff = mine - theirs
    assert "their rows were compared" in str(diff.explain())
    assert [set(branch.contents.compared.made) for branch in (mine, theirs)] == [{"1", "2"}, {"2", "5"}]
    assert {(one.verb, one.idnumber, one.attr) for one in diff} == {
        ("new", "1", ""),
        ("update", "2", "name"),
        ("update", "2", "label"),
        ("old", "5", ""),
    }


@pytest.mark.parametrize("rows_first", [False, True])
def test_rows_that_stand_beside_objects_become_objects_where_they_differ(tmp_path, rows_first):
    url = f"sqlite:///{tmp_path}/people.db"
    with closing(sqlite3.connect(tmp_path / "people.db")) as connection, connection:
        connection.execute("CREATE TABLE people (idnumber TEXT PRIMARY KEY, name TEXT, level INTEGER)")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?)", THEIRS)
    rows = [dict(zip(("idnumber", "name", "level"), row, strict=True)) for row in MINE]
    theirs, mine = +Branch(Counted, importer=SQLImporter(url, table="people")), +Branch(Counted, importer=rows)
    diff = theirs - mine if rows_first else mine - theirs
    assert "rows were compared with objects" in str(diff.explain())
    verbs = ("old", "new") if rows_first else ("new", "old")
    assert {(one.verb, one.idnumber, one.attr) for one in diff} == {
        (verbs[0], "1", ""),
        ("update", "2", "name"),
        (verbs[1], "5", ""),
    }
    assert set(theirs.contents.compared.made) == {"2", "5"}
    (renamed,) = [one for one in mine - theirs if one.attr == "name"]
    renamed.source.name, renamed.dest.name = renamed.old_value, "Rob"
    assert {one.idnumber for one in mine - theirs} == {"1", "2", "5"}
    assert isinstance(theirs.contents.compared, LineObjects)


def rows_of(cls):
    values = [[str(index) for index in range(2000)], ["a"] * 2000, [7] * 2000]
    return +Branch(cls, importer=lambda: Records(("idnumber", "name", "level"), iter([values]), str))


@pytest.mark.parametrize("threads", [False, True])
def test_properties_of_objects_beside_rows_may_look_at_all_rows(threads):
    theirs = rows_of(Counted)

    class Looking(Object):
        level: int

        @property
        def name(self):
            seen = []
            work = threading.Thread(target=lambda: seen.append(next(iter(theirs.values())).name), daemon=True)
            if threads:
                work.start()
                work.join(5)
            else:
                work.run()
            return seen[0]

    mine = +Branch(Looking, importer=[{"idnumber": str(index), "level": 7} for index in range(2000)])
    assert not mine - theirs


def test_what_a_class_makes_of_its_values_as_they_are_asked_for_is_compared():
    class Loud(Object):
        def __getattribute__(self, name):
            value = object.__getattribute__(self, name)
            return value.upper() if name == "name" else value

    mine = +Branch(Object, importer=[{"idnumber": str(index), "name": "a", "level": 7} for index in range(2000)])
    assert len(mine - rows_of(Loud)) == 2000


# What is made, and when ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [Person, Object])
def test_only_what_differs_becomes_an_object(two, cls):
    mine, theirs = two(cls)
    diff = mine - theirs
    assert "their lines were compared" in str(diff.explain())
    made = [set(branch.contents.compared.made) for branch in (mine, theirs)]
    assert made == [{"1", "2", "3"}, {"2", "3", "5"}]
    assert {one.idnumber for one in diff} == {"1", "2", "5"} | ({"3"} if cls is Object else set())


def test_an_object_is_one_whoever_asks_for_it(two):
    mine, theirs = two()
    action = next(one for one in mine - theirs if one.verb == "new")
    assert mine["1"] is action.source
    assert isinstance(mine.contents.compared, SortedDict)
    assert mine["1"] is action.source
    assert list(mine) == ["1", "2", "3", "4"]
    assert mine["4"].__branch__ is mine


def test_what_was_changed_is_compared_as_it_is_now(two):
    mine, theirs = two()
    (renamed,) = [one for one in mine - theirs if one.attr == "name"]
    renamed.dest.name = "Bob, Jr"
    assert not [one for one in mine - theirs if one.attr == "name"]
    assert isinstance(mine.contents.compared, LineObjects)
    renamed.source.name = "Rob"
    assert [one.value for one in mine - theirs if one.attr == "name"] == ["Rob"]


def test_a_property_that_asks_for_the_branch_is_compared_for_all(tmp_path):
    class Ranked(Object):
        name: str

        @property
        def rank(self):
            return len(self.__branch__)

    rows = [["1", "Ann"], ["2", "Bob"]]
    mine, theirs = (
        +Branch(Ranked, importer=CSVImporter(saved(tmp_path / f"{size}.csv", rows[:size], header=["idnumber", "name"])))
        for size in (2, 1)
    )
    assert found(mine - theirs) == [("new", "2", "", None, None), ("update", "1", "rank", 1, 2)]


def test_copies_need_no_lines(two):
    mine, theirs = two()
    twin = copy.deepcopy(theirs)
    twin["4"].name = "Dora"
    assert theirs["4"].name == "Dan"
    assert [one.attr for one in mine - twin if one.idnumber == "4"] == ["label", "name"]


def test_threads_that_ask_at_once_get_one_object(two):
    (mine, _), got = two(), []
    start = threading.Barrier(4)

    def ask():
        start.wait()
        got.append(mine.contents.compared["1"])
        got.append(mine["1"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, got))) == 1


# A table beside lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engines", [("duckdb", "memory"), ("memory", "duckdb")])
@pytest.mark.parametrize("cls", [Person, Object])
def test_a_table_and_lines_are_compared_by_line(two, cls, engines):
    expected = two(cls)
    wanted = found(expected[0] - expected[1])
    mine, theirs = two(cls, engines)
    diff = mine - theirs
    assert found(diff) == wanted
    assert "their lines were compared" in str(diff.explain())
    assert sum(isinstance(branch.contents.compared, LineObjects) for branch in (mine, theirs)) == 1
    assert next(iter(diff)).source is mine["1"]
    if cls is Person:
        mine["4"].level = 5
        assert ("update", "4", "level", 1, 5) in found(mine - theirs)


def test_a_small_table_that_is_searched_again_and_again_is_kept_in_memory(two, monkeypatch):
    monkeypatch.setattr(duckdb_csv, "_SEARCHES", 3)
    mine, _ = two(engines=("duckdb", "duckdb"))
    relation = mine.contents.compared.relation
    assert [mine[key].level for key in ("1", "2", "3", "4")] == [7, 8, 9, 1]
    assert set(relation._lines_by_key) == {"1", "2", "3", "4"}
    assert relation.present(["4", "9", 4, None]) == {"4"}
    assert [list(map(list, chunk)) for chunk in relation.find(["9", "2"])] == [[["2"], ["Bob, Jr"], ["8"]]]


# The choice ---------------------------------------------------------------------------------------------------------


class Texts(Object):
    name: str
    level: str


def test_what_is_converted_and_what_runs_already_decide_on_the_size():
    sizes = [duckdb.bytes_that_pay(Branch(cls).schema, started=False) for cls in (Texts, Person)]
    assert 2**20 < duckdb.bytes_that_pay(Branch(Texts).schema, started=True) < sizes[0] < 16 * 2**20
    assert all(2**20 < size < 16 * 2**20 for size in sizes)


@pytest.mark.parametrize(("size", "table"), [(0, True), (10**9, False)])
def test_a_file_is_a_table_from_that_size_on(two, monkeypatch, size, table):
    monkeypatch.setattr(duckdb, "bytes_that_pay", lambda *_, **__: size)
    mine, theirs = two()
    assert hasattr(mine.contents.compared, "relation") == table
    assert [one.verb for one in mine - theirs] == ["new", "update", "update", "old"]
    assert DuckDB.available()
