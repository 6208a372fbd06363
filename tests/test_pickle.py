"""What can be looked at can be pickled and copied: it comes back with its data, and leaves its store behind."""

import copy
import pickle

import pytest

from datastoresync import (
    Branch,
    CSVImporter,
    Datastore,
    DeclarationError,
    Limits,
    Object,
    Preview,
    Template,
    Tree,
    succeeded,
)
from datastoresync.syncers import open_syncer
from datastoresync.vocabularies.dsync import Adapter, DiffSyncModel


class Accepting(Template):
    def new(self, action):
        return succeeded()

    update = add = remove = old = new


class User(Object):
    _key = str.casefold
    _references = {"friends": "users"}
    name: str = ""
    friends: set[str] = set()
    _note: str = ""


class Source(Tree):
    users = Branch(User, importer=lambda: [{"idnumber": "A", "name": "Ann", "friends": {"b"}}, {"idnumber": "b"}])
    things = Branch(importer=lambda: [{"idnumber": "1", "colour": "red"}])


def both():
    source, dest = +Source("source"), +Source("dest")
    dest.users["a"].name = "Anna"
    dest.users.remove("b")
    dest.things["1"].colour = "blue"
    return source, dest


def pickled(value):
    return pickle.loads(pickle.dumps(value))


WAYS = pytest.mark.parametrize("way", [pickled, copy.deepcopy])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_object_goes_without_its_branch(protocol):
    tree, _ = both()
    for item in (tree.users["a"], tree.things["1"], Object(idnumber="x", colour="red")):
        made = pickle.loads(pickle.dumps(item, protocol))
        assert (type(made), repr(made)) == (type(item), repr(item))
        assert not hasattr(made, "__branch__")
    assert tree.users["a"].__branch__ is tree.users
    assert copy.copy(tree.users["a"]).__branch__ is tree.users


@WAYS
def test_a_tree_comes_back_with_branches_of_its_own(way):
    source, dest = both()
    store = way(Datastore(source=source, dest=dest))
    assert list(store.source - store.dest) == list(source - dest)
    made = store.source
    assert made.users.tree is made
    assert all(item.__branch__ is made.users for item in made.users.values())
    assert all(item.__branch__ is source.users for item in source.users.values())
    made.users["a"].name = "x"
    assert source.users["a"].name == "Ann"
    assert (+made).users["A"].name == "Ann"
    copied = copy.copy(source.users)
    assert copied["a"].__branch__ is source.users


@WAYS
def test_a_diff_a_preview_and_a_report_come_back_as_they_were(way):
    source, dest = both()
    diff = source - dest
    assert way(diff) == diff
    assert way(diff).explain() == diff.explain()
    assert list(-way(diff)) == list(-diff)
    assert way(diff[0]) == diff[0]
    assert str(way(Preview.of(diff))) == str(Preview.of(diff))
    report = Accepting().apply(diff, limits=Limits(deletions=10, updates=10, removals=10))
    assert repr(way(report)) == repr(report)
    assert [one.message for one in way(report).results] == [one.message for one in report.results]
    assert not source - dest
    assert len(way(diff)) == len(diff)


def test_the_rows_of_a_table_come_back_as_objects(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("idnumber,name\na,Ann\nb,Bob\n")
    table = +Branch(User, importer=CSVImporter(path), engine="duckdb")
    table["a"].name = "Anna"
    made = pickled(table)
    assert [item.name for item in made.values()] == ["Anna", "Bob"]
    assert len(pickled(table - +Branch(User))) == 2


def test_a_store_stays_behind_with_its_password(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url, "CREATE TABLE things (idnumber TEXT PRIMARY KEY, colour TEXT)", "INSERT INTO things VALUES ('1', 'blue')"
    )
    with open_syncer(url) as syncer:
        dest = +Tree("dest", branches={"things": Branch()}, syncer=syncer)
        diff = both()[0].things - dest.things
        assert pickled(diff) == diff
        assert "store.db" not in str(pickle.dumps(dest))
        made = pickled(dest)
        assert made.things["1"].colour == "blue"
        with pytest.raises(DeclarationError, match="has no template, no syncer"):
            both()[0].things.sync_to(made.things)
        assert copy.deepcopy(dest).syncer is syncer
        assert pickled(dest.apply(diff)).succeeded == 1


class Device(DiffSyncModel):
    _modelname = "device"
    _identifiers = ("name", "slot")
    _attributes = ("ports",)
    name: str
    slot: int = 0
    ports: int = 0


class Network(Adapter):
    device = Device
    top_level = ("device",)


@WAYS
def test_adapters_and_their_diffs_come_back(way):
    source, dest = Network("source"), Network("dest")
    for adapter, ports in ((source, 1), (dest, 2)):
        adapter.add(Device(name="a", ports=ports))
    diff = source.diff_to(dest)
    made = way(source)
    assert made.diff_to(dest).dict() == way(diff).dict() == diff.dict()
    assert made.get("device", "a__0").adapter is made
    assert copy.copy(source.get("device", "a__0")).adapter is source
