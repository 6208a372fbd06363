"""The embedded engine's database: shared, ended once, and interrupted like everything else."""

import gc
import os
import signal
import threading
from pathlib import Path

import attrs
import pytest

from datastoresync import Branch, CSVImporter, DeclarationError, DuckDB, MalformedFileError, Object
from datastoresync.engines.duckdb import connection as session
from datastoresync.engines.duckdb import join as comparison
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.runtime import finalizer


class Owner:
    pass


def branch(folder, name, rows, engine="duckdb", *, before=""):
    path = folder / f"{name}.csv"
    path.write_text(f"idnumber,name\n{before}" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return +Branch(Object, importer=CSVImporter(path), engine=engine)


def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_equal_settings_share_a_database_and_others_do_not():
    one, other = DuckDB(memory_limit="300MB"), DuckDB(memory_limit="300MB")
    held = one.opened()
    assert other.opened() is held
    assert DuckDB(memory_limit="400MB").opened() is not held


def test_a_database_is_gone_with_its_folder_when_nobody_holds_it(tmp_path):
    held = DuckDB(folder=tmp_path).opened()
    assert list(tmp_path.iterdir())
    del held
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DuckDB(memory_limit="1 banana"), "memory_limit='1 banana'.* is refused by DuckDB"),
        (DuckDB(threads=0), "threads=0.* is refused by DuckDB"),
        (DuckDB(folder=Path("nowhere/at/all")), "temporary files cannot go there.*give a folder that is there"),
    ],
)
def test_settings_that_it_does_not_take_are_named(tmp_path, settings, message):
    with pytest.raises(DeclarationError, match=message):
        branch(tmp_path, "people", ["1,Ann"], settings)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_a_forked_process_lets_go_of_stays(tmp_path):
    ended = tmp_path / "ended"
    owner = Owner()
    end = finalizer(owner, ended.touch)
    in_child(end)
    assert not ended.exists()
    end()
    assert ended.exists()


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_it_works_is_ctrl_c(tmp_path):
    people = branch(tmp_path, "people", [f"{number},Ann" for number in range(9)])
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))

    def work():
        with people.contents.objects.relation.duckdb.connected() as connection:
            # DuckDB looks for signals between the parts of a table, and a single part must not take long.
            connection.execute("CREATE TEMP TABLE numbers AS SELECT range AS n FROM range(1000000)")
            timer.start()
            connection.execute(
                "SELECT count(*) FROM (SELECT n, unnest(range(200)) AS more FROM numbers) WHERE hash(n, more) = 0"
            )

    with pytest.raises(KeyboardInterrupt):
        work()
    timer.join()
    assert len(people) == 9


def test_another_error_of_its_own_is_none_of_ctrl_c():
    with pytest.raises(RuntimeError, match="else"), session.interruptible():
        raise RuntimeError("something else")


# Files that are written to ------------------------------------------------------------------------------------------


def written_to(path):
    with path.open("a", encoding="utf-8") as file:
        file.write("zz,Zoe\n")


@pytest.mark.parametrize("way", ["_by_line", "_by_column"])
def test_a_file_that_is_written_to_while_it_is_compared_is_refused(tmp_path, monkeypatch, way):
    left, right = (branch(tmp_path, name, ["1,Ann", "2,Bob"]) for name in ("left", "right"))
    fill = comparison._UnmatchedRows.fill

    def filled(self, query):
        written_to(tmp_path / "left.csv")
        fill(self, query)

    monkeypatch.setattr(comparison._UnmatchedRows, "fill", filled)
    if way == "_by_column":
        monkeypatch.setattr(comparison, "_lines", lambda *_: None)
    with pytest.raises(MalformedFileError, match=r"left.csv: the file changed after it was imported"):
        left - right


def test_a_file_that_is_written_to_while_its_rows_are_read_is_refused(tmp_path, monkeypatch):
    people = branch(tmp_path, "people", ["1,Ann", "2,Bob"])
    fetched = LocalRelation.fetched

    def read(self, cursor):
        yield from fetched(self, cursor)
        written_to(tmp_path / "people.csv")

    monkeypatch.setattr(LocalRelation, "fetched", read)
    with pytest.raises(MalformedFileError, match="the file changed after it was imported"):
        list(people)


def test_blank_lines_are_no_sample(tmp_path):
    people = branch(tmp_path, "people", ["1,Ann"], before="\n" * 150)
    assert list(people - branch(tmp_path, "more", ["1,Bob"])) == list(
        branch(tmp_path, "people", ["1,Ann"], "memory") - branch(tmp_path, "more", ["1,Bob"], "memory")
    )


def test_a_file_that_shrank_is_refused_before_it_is_looked_into(tmp_path):
    people = branch(tmp_path, "people", ["1,Ann", "2,Bob"])
    (tmp_path / "people.csv").write_text("idnumber,name\n", encoding="utf-8")
    with pytest.raises(MalformedFileError, match="the file changed after it was imported"):
        people - branch(tmp_path, "more", ["1,Bob"])


@pytest.mark.parametrize(("memory", "more"), [(150, 1), (100, 0)])
def test_there_is_a_thread_more_than_processors_if_the_memory_allows_it(memory, more):
    def threads(database):
        return database.execute("SELECT current_setting('threads')").fetchone()[0]

    usual = threads(pytest.importorskip("duckdb").connect())
    settings = DuckDB(memory_limit=f"{memory * (usual + 1)}MB")
    instance = settings.opened()
    assert threads(instance.database) == usual + more
    instance = attrs.evolve(settings, threads=2).opened()
    assert threads(instance.database) == 2
