"""A branch that is a table holds one object a key, wherever it was got, and is a mapping like any other."""

import copy

import pytest

from datastoresync import Branch, ComparisonError, CSVImporter, Object, Template, Tree
from datastoresync.applying.safeguards import violations
from datastoresync.engines import engine as pairing
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.engines.table import TableObjects

pytest.importorskip("duckdb")
pyarrow = pytest.importorskip("pyarrow")


class Person(Object):
    name: str


class Pair(Object):
    _identifiers = ("name", "idnumber")


class Accounts(Template):
    def new(self, action):
        """Take it."""

    update = old = new


def people(folder, *names, cls=Person, engine="duckdb", file="people.csv"):
    path = folder / file
    path.write_text("idnumber,name\n" + "".join(f"{place},{name}\n" for place, name in enumerate(names, 1)))
    return +Branch(cls, importer=CSVImporter(path), engine=engine)


def many(count, cls=Person):
    keys = [f"{number:05d}" for number in range(count)]
    return +Branch(cls, importer=pyarrow.table({"idnumber": keys, "name": keys}), engine="duckdb")


@pytest.fixture
def asked(monkeypatch):
    """The questions that were asked."""
    found = []
    before = LocalRelation._answered

    def answered(relation, query, parameters):
        found.append(query)
        return before(relation, query, parameters)

    monkeypatch.setattr(LocalRelation, "_answered", answered)
    return found


WAYS = {
    "look-up": lambda branch: branch["1"],
    "range": lambda branch: next(branch.range()),
    "range from": lambda branch: next(branch.range("1")),
    "find": lambda branch: branch.find(name="Ann")[0],
    "values": lambda branch: next(iter(branch.values())),
    "items": lambda branch: next(iter(branch.items()))[1],
    "prefix": lambda branch: next(branch.prefix("1")),
    "get": lambda branch: branch.get("1"),
    "many": lambda branch: branch.contents.objects.get_many(["1"])["1"],
}

# One object a key ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [Person, Object])
@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_whoever_asks_for_a_key_changes_the_object_that_all_others_have(tmp_path, cls, first, second):
    branch = people(tmp_path, "Ann", "Bob", cls=cls)
    one, other = WAYS[first](branch), WAYS[second](branch)
    one.name = "Zoe"
    assert one is other
    assert branch["1"].name == "Zoe"
    branch._check()


@pytest.mark.parametrize("most", [pairing.MANY, 0])
def test_what_was_held_through_a_comparison_is_compared_by_the_next(tmp_path, monkeypatch, most):
    monkeypatch.setattr(pairing, "MANY", most)
    source, dest = people(tmp_path, "Ann", "Bob"), people(tmp_path, "Ann", "Bob", "Eve", file="dest.csv")
    held = list(source.range())
    assert [action.verb for action in source - dest] == ["old"]
    assert [action.source for action in source - people(tmp_path, "Anna", "Bob", file="other.csv")] == [held[0]]
    held[1].name = "Zoe"
    assert [(action.verb, action.value) for action in source - dest] == [("update", "Zoe"), ("old", None)]


def test_an_object_of_a_streamed_action_is_that_of_the_branch(tmp_path, monkeypatch):
    monkeypatch.setattr(pairing, "MANY", 0)
    source, dest = people(tmp_path, "Ann", "Bob"), people(tmp_path, "Eve", file="dest.csv")
    diff = source - dest
    assert diff.streamed
    first = source["1"]
    for action in diff:
        assert action.source is source[action.idnumber]
        action.source.name = f"by hand {action.idnumber}"
    assert first.name == source["1"].name == "by hand 1"
    assert [item.name for item in source.values()] == ["by hand 1", "by hand 2"]


def test_what_is_changed_ahead_of_an_iteration_comes_in_it(tmp_path):
    branch = people(tmp_path, "Ann", "Bob", "Eve", "Zoe")
    found = []
    for item in branch.range():
        found.append(item.name)
        if item.name == "Ann":
            branch["2"].name = "Bobby"
            branch.remove("3")
            branch.remove("4")
            branch.new("4", name="new")
    assert found == ["Ann", "Bobby", "new"]
    assert [item.name for item in branch.range()] == ["Ann", "Bobby", "new"]
    for key in branch:
        if key == "1":
            branch.remove("2")
            found.clear()
        found.append(key)
    assert found == ["1", "4"]


@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_objects_that_nobody_holds_are_let_go(tmp_path, count):
    branch = many(count)
    table = branch.contents.objects
    for key in list(branch)[::20]:
        branch[key]
    for _ in branch.range():
        pass
    assert sum(held() is not None for held in table.identity_map._references.values()) <= 1024 + 128
    assert table.recent == {}


# Questions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seen",
    [
        lambda branch: list(branch.items()),
        lambda branch: list(branch.values()),
        lambda branch: [branch[key] for key in branch],
        lambda branch: list(dict(branch)),
        lambda branch: branch.find(name="none"),
        lambda branch: object() in branch.values(),
    ],
)
def test_all_objects_are_asked_for_together(asked, seen):
    branch = many(3000)
    asked.clear()
    seen(branch)
    assert len(asked) < 20


def test_a_look_up_is_asked_once(asked):
    branch = many(3000)
    asked.clear()
    names = [branch[key].name for key in ["00007", "02000", "00007", "02000"]]
    assert names == ["00007", "02000", "00007", "02000"]
    assert len(asked) == 2
    with pytest.raises(KeyError, match="no 'none'"):
        branch["none"]


@pytest.mark.parametrize("count", [600, pytest.param(3000, marks=pytest.mark.slow)])
def test_look_ups_in_order_find_what_is_there_and_nothing_else(asked, count):
    branch = many(count)
    branch["00500"].name = "by hand"
    branch.remove("00501")
    branch.new("00501x", name="new")
    asked.clear()
    found = {}
    for number in range(count):
        for key in (f"{number:05d}", f"{number:05d}x"):
            item = branch.get(key)
            if item is not None:
                found[key] = item.name
    assert len(found) == count
    last = f"{count - 1:05d}"
    assert (found["00500"], "00501" in found, found["00501x"], found[last]) == ("by hand", False, "new", last)
    assert found == {key: item.name for key, item in branch.items()}


# Copies -------------------------------------------------------------------------------------------------------------


def test_a_copy_of_a_branch_is_changed_alone(tmp_path):
    branch = people(tmp_path, "Ann", "Bob", "Eve")
    held = branch["1"]
    branch["2"].name = "Bobby"
    branch.remove("3")
    branch.new("9", name="Zoe")
    copied = copy.deepcopy(branch)
    for key in copied:
        assert copied[key].__branch__ is copied
        assert copied[key] is not branch[key]
        copied[key].name += " of the copy"
    copied.remove("9")
    held.name = "Anna"
    for one in (branch, copied):
        one._check()
    assert {key: item.name for key, item in branch.items()} == {"1": "Anna", "2": "Bobby", "9": "Zoe"}
    assert {key: item.name for key, item in copied.items()} == {"1": "Ann of the copy", "2": "Bobby of the copy"}


def test_a_copy_of_a_tree_is_changed_alone(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("idnumber,name\n1,Ann\n")
    tree = +Tree("source", branches={"people": Branch(Person, importer=CSVImporter(path), engine="duckdb")})
    copied = copy.deepcopy(tree)
    copied.people["1"].name = "Zoe"
    assert copied.people["1"].__branch__ is copied.people
    assert [action.value for action in copied - tree] == ["Zoe"]
    assert tree.people["1"].name == "Ann"


# Keys ---------------------------------------------------------------------------------------------------------------


def test_a_key_that_cannot_be_sorted_is_refused_and_changes_nothing(tmp_path):
    for engine in ("memory", "duckdb"):
        branch = people(tmp_path, "Ann", "Bob", cls=Object, engine=engine)
        with pytest.raises(ComparisonError, match="7 cannot be sorted"):
            branch.new(7, name="Zoe")
        branch.new("3", name="Eve")
        assert [(key, item.name) for key, item in branch.items()] == [("1", "Ann"), ("2", "Bob"), ("3", "Eve")]
        branch._check()


def test_a_part_of_a_key_that_cannot_be_sorted_is_refused(tmp_path):
    branch = people(tmp_path, "Ann", "Bob", cls=Pair)
    with pytest.raises(ComparisonError, match="cannot be sorted"):
        branch.new(("Ann", 1))
    branch.new(("Ann", "0"))
    assert list(branch) == [("Ann", "0"), ("Ann", "1"), ("Bob", "2")]


def test_many_objects_are_given_under_their_own_keys():
    branch = +Branch(Object, importer=pyarrow.table({"idnumber": [1, 2, 3], "name": ["a", "b", "c"]}), engine="duckdb")
    table = branch.contents.objects
    branch[1].name = "by hand"
    held = branch[2]
    found = table.get_many([1.0, 2.0, 3.0])
    assert list(map(type, found)) == [int, int, int]
    assert found[2] is held


def test_tables_beside_each_other_name_the_key_of_the_source():
    whole = pyarrow.table({"idnumber": [1, 2, 3, 4], "name": ["a", "b", "c", "d"]})
    broken = pyarrow.table({"idnumber": [1.0, 2.0, 3.0, 5.0], "name": ["x", "y", "z", "d"]})
    branches = [+Branch(Object, importer=one, engine="duckdb") for one in (whole, broken)]
    for source, dest, kind in ((*branches, int), (*branches[::-1], float)):
        source[2].name = "by hand"
        found = {action.verb: set() for action in source - dest}
        for action in source - dest:
            found[action.verb].add(type(action.idnumber))
        assert found["new"] == found["update"] == {kind}


def test_what_is_there_is_known_without_its_objects(tmp_path):
    branch = people(tmp_path, "Ann", "Bob", "Eve", "Zoe")
    table = branch.contents.objects
    held = branch["1"]
    branch["2"].name = "by hand"
    branch.remove("3")
    assert table.present(["1", "2", "3", "4", "5"]) == {"1", "2", "4"}
    assert table.present(["1", "2", "3"]) == {held.idnumber, "2"}
    assert table.present([]) == set()
    branch.new("3", name="again")
    branch.new("5", name="new")
    branch.remove("5")
    assert list(branch) == list(branch)[:4] == ["1", "2", "3", "4"]
    assert list(reversed(branch)) == ["4", "3", "2", "1"]


class Group(Object):
    _references = {"members": "people"}
    members: set[str]


def test_references_to_a_table_are_looked_up_together(tmp_path, monkeypatch):
    rows = "".join(f"{number},name\n" for number in range(1, 9))
    (tmp_path / "people.csv").write_text(f"idnumber,name\n{rows}")

    def tree(name, members):
        people = Branch(Person, importer=CSVImporter(tmp_path / "people.csv"), engine="duckdb")
        groups = Branch(Group, importer=[{"idnumber": "g", "members": members}])
        return Tree(name, branches={"people": people, "groups": groups})

    source, dest = +tree("source", {"1", "2", "3", "9"}), +tree("dest", {"1"})
    diff = source - dest
    asked = []
    present = TableObjects.present
    monkeypatch.setattr(TableObjects, "present", lambda self, keys: asked.append(set(keys)) or present(self, keys))
    (sentence,) = violations(diff)
    assert "refers to people that the source does not have: '9' of 'g'" in sentence
    assert asked == [{"2", "3", "9"}]  # of the source alone
