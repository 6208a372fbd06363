"""Rows of a table pass by objects in memory, in bounded memory, and give the actions that objects would."""

import gc
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from strategies import NO_LIMITS

from datastoresync import Branch, CSVImporter, Importer, Object, Template, Tree
from datastoresync.engines import engine as engine_module
from datastoresync.engines import engine as pairing
from datastoresync.engines.table import TableObjects

pytest.importorskip("duckdb")
pyarrow = pytest.importorskip("pyarrow")

law = settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROWS = st.dictionaries(st.sampled_from([f"k{number:02d}" for number in range(12)]), st.sampled_from(["a", "b", "c"]))


class Person(Object):
    name: str


class Rows(Importer):
    def __init__(self, rows):
        self.rows = rows

    def read(self):
        return [{"idnumber": key, "name": name} for key, name in self.rows.items()]


class Accounts(Template):
    def new(self, action):
        """Take it."""

    update = old = new


def branch(importer, name, engine="memory"):
    return +Tree(name, branches={"people": Branch(Person, importer=importer, engine=engine)})


def both(folder, rows, others, *, backwards, engine="duckdb"):
    """Return a table and objects in memory as source and destination, or the other way round."""
    path = folder / f"{engine}.csv"
    path.write_text("idnumber,name\nalways,Zoe\n" + "".join(f"{key},{name}\n" for key, name in rows.items()))
    sides = [branch(CSVImporter(path), "table", engine), branch(Rows(others), "objects")]
    return sides[::-1] if backwards else sides


@pytest.fixture
def streaming(monkeypatch):
    monkeypatch.setattr(pairing, "MANY", 0)
    monkeypatch.setattr(engine_module, "_CHUNK", 3)


@pytest.mark.parametrize("backwards", [False, True])
@law
@given(ROWS, ROWS, ROWS)
def test_a_streamed_comparison_gives_what_one_in_memory_gives(streaming, tmp_path, backwards, rows, others, by_hand):
    found, expected = (
        both(tmp_path, rows, others, backwards=backwards, engine=engine) for engine in ("duckdb", "memory")
    )
    for trees in (found, expected):
        for tree in trees:
            for key, name in by_hand.items():
                if key in tree.people:
                    tree.people[key].name = name
                elif tree.name == "table":
                    tree.people.new(key, name=name)
    diff, wanted = found[0] - found[1], expected[0] - expected[1]
    assert diff.streamed == bool(diff)
    assert list(diff) == list(wanted)
    assert list(diff) == list(wanted)
    assert list(-diff) == list(-wanted)
    assert (diff.stat, diff.branch_diffs[0].pairs) == (wanted.stat, wanted.branch_diffs[0].pairs)
    assert [diff.values(action) for action in diff] == [wanted.values(action) for action in wanted]


@pytest.mark.parametrize("backwards", [False, True])
def test_of_many_rows_that_differ_only_some_are_objects_at_a_time(tmp_path, monkeypatch, backwards):
    monkeypatch.setattr(pairing, "MANY", 1000)
    held, most = weakref.WeakSet(), []
    made_before = TableObjects.make_objects

    def make_objects(table, columns):
        keys, objects, values = made_before(table, columns)
        held.update(objects)
        most.append(len(held))
        return keys, objects, values

    monkeypatch.setattr(TableObjects, "make_objects", make_objects)
    rows = {f"{number:06d}": "a" for number in range(60_000)}
    source, dest = both(tmp_path, rows, {"x": "b"}, backwards=backwards)
    diff = source - dest
    assert diff.streamed
    assert "read again" in diff.explain()
    assert len(diff) == 60_002
    gc.collect()
    assert max(most) < 40_000


def test_an_action_of_a_stream_has_the_object_of_the_branch(streaming, tmp_path):
    source, dest = both(tmp_path, {"k01": "a", "k02": "b"}, {"k01": "c"}, backwards=False)
    for action in source - dest:
        assert action.source is source.people[action.idnumber]
        action.source.name = "by hand"
    assert {item.name for item in source.people.values()} == {"by hand"}


def test_after_a_streamed_first_load_the_destination_is_imported_again(streaming, tmp_path):
    rows = {"k01": "a", "k02": "b"}
    source, dest = both(tmp_path, rows, {"k09": "c"}, backwards=False)
    reader = dest.people.importer
    assert Accounts().apply(source - dest, limits=NO_LIMITS).ok
    reader.rows = {**rows, "always": "Zoe"}
    assert not source - dest


def test_a_destination_that_cannot_be_imported_again_takes_every_action_in(streaming, tmp_path):
    source, _ = both(tmp_path, {"k01": "a", "k02": "b"}, {}, backwards=False)
    dest = Tree("dest", branches={"people": Branch(Person)})
    dest.people.new("k09", name="c")
    diff = source - dest
    assert not diff.streamed
    assert Accounts().apply(diff, limits=NO_LIMITS).ok
    assert list(dest.people) == ["always", "k01", "k02"]


@pytest.mark.parametrize("many", [0, 100])
@pytest.mark.parametrize("backwards", [False, True])
def test_an_action_has_the_key_of_the_source(monkeypatch, many, backwards):
    monkeypatch.setattr(pairing, "MANY", many)
    table = pyarrow.table({"idnumber": [1, 2, 3], "name": ["a", "b", "c"]})
    rows = +Branch(Object, importer=table, engine="duckdb")
    objects = +Branch(Object, importer=[{"idnumber": key, "name": "z"} for key in (True, 2.0, 3.0, 4.0)])
    sides = (objects, rows) if backwards else (rows, objects)
    diff = sides[0] - sides[1]
    kinds = {action.verb: type(action.idnumber) for action in diff if action.idnumber != 1}
    assert kinds == ({"update": float, "new": float} if backwards else {"update": int, "old": float})
    assert type(next(action.idnumber for action in diff if action.idnumber == 1)) is (bool if backwards else int)
