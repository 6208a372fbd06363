"""Lines that do not fit into memory together are compared some at a time."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, CSVImporter, DuckDB, Object
from datastoresync.engines.duckdb import join as comparison

DUCKDB = DuckDB(threads=1)
PEOPLE = st.dictionaries(st.integers(0, 40).map(str), st.sampled_from(["Ann", "Bob", "", "Zoë"]), min_size=1)


@pytest.fixture(autouse=True, scope="module")
def running():
    held = DUCKDB.opened()
    yield
    del held


def branch(folder, name, people, engine):
    path = folder / f"{name}.csv"
    lines = ["idnumber,name", *(f"{key},{value}" for key, value in people.items())]
    path.write_text("".join(f"{line}\n\n" for line in lines), encoding="utf-8")
    return +Branch(Object, importer=CSVImporter(path), engine=engine)


@given(source=PEOPLE, dest=PEOPLE, passes=st.integers(2, 4))
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_all_of_them_are_compared(source, dest, passes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    memory = branch(folder, "source", source, "memory") - branch(folder, "dest", dest, "memory")
    sides = branch(folder, "source", source, DUCKDB), branch(folder, "dest", dest, DUCKDB)
    conditions = []

    def parts(lines, memory):
        conditions.extend(split(lines, memory))
        return conditions

    split = comparison._Lines.parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison._Lines, "needed", property(lambda _: (passes - 0.5) * DUCKDB.opened().memory))
        patch.setattr(comparison._Lines, "parts", parts)
        found = sides[0] - sides[1]
    assert list(found) == list(memory)
    assert "whole lines" in found.explain()
    assert len(conditions) == passes


def lines(count, width):
    return comparison._Lines("", "", count, count * width)


@given(st.integers(1, 10**8), st.integers(2, 1000), st.integers(1, 10**10))
def test_more_lines_need_more_memory_and_parts_fit_into_it(count, width, memory):
    some = lines(count, width)
    assert some.size < some.needed < lines(count + 1, width + 1).needed
    parts = some.parts(memory)
    assert len(parts) in (1, 2, 3, 4)
    assert len(parts) == 1 or some.needed / len(parts) <= memory < some.needed / (len(parts) - 1)
    assert (parts == [""]) == (len(parts) == 1)


def test_a_large_comparison_does_without_the_additional_thread(tmp_path):
    ann = {"1": "Ann"}
    engine = DuckDB(memory_limit="3GB")
    instance = engine.opened()
    usual = threads(instance)
    used = []
    with pytest.MonkeyPatch.context() as patch:
        fill = comparison._UnmatchedRows.fill
        patch.setattr(
            comparison._UnmatchedRows, "fill", lambda self, query: (used.append(threads(instance)), fill(self, query))
        )
        branch(tmp_path, "a", ann, engine) - branch(tmp_path, "b", ann, engine)
        patch.setattr(comparison._Lines, "needed", property(lambda _: 2e9))
        branch(tmp_path, "a", ann, engine) - branch(tmp_path, "b", ann, engine)
    assert (used, threads(instance)) == ([usual, usual - 1], usual)


def test_threads_that_were_asked_for_stay():
    instance = DuckDB(threads=3, memory_limit="3GB").opened()
    with instance.sparing():
        assert threads(instance) == 3


def threads(instance):
    return instance.database.execute("SELECT current_setting('threads')").fetchone()[0]


@pytest.mark.parametrize("most", [100, 5])
def test_few_rows_come_in_order(most, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "_SORTED", most)
    asked = []
    connection = comparison._UnmatchedRows.chunks
    monkeypatch.setattr(
        comparison._UnmatchedRows, "chunks", lambda *a: asked.append(list(connection(*a))) or iter(asked[-1])
    )
    people = {str(number * 7 % 40): "Ann" for number in range(40)}
    found = branch(tmp_path, "a", people, DUCKDB) - branch(tmp_path, "b", {"x": "Bob"}, DUCKDB)
    assert [action.idnumber for action in found if action.verb == "new"] == sorted(people)
    rows = [row for rows in asked for chunk in rows for row in chunk][:40]
    assert (rows == sorted(rows)) is (most == 100)
