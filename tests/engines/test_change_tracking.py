"""Objects of a table are like any others, and their branch hears of what is done to them."""

import copy
import gc
import pickle

import attrs
import pytest

from datastoresync import Branch, CSVImporter, Object, Template
from datastoresync.engines.relation import CannotPushDown
from datastoresync.engines.table import tracked_class

pytest.importorskip("duckdb")


class Person(Object):
    name: str
    grade: int = 0


class Marked(Object):
    _identifiers = ("name", "grade")
    name: str
    grade: int

    def __getstate__(self):
        return {"name": self.name, "grade": -self.grade}

    def __setstate__(self, state):
        for name, value in state.items():
            setattr(self, name, value)


@pytest.fixture
def people(tmp_path):
    return lambda cls=Person: +Branch(cls, importer=CSVImporter(file(tmp_path)), engine="duckdb")


def file(folder):
    path = folder / "people.csv"
    path.write_text("idnumber,name,grade\n1,Ann,1\n2,Bob,2\n")
    return path


def test_an_object_is_pickled_without_its_branch_as_one_of_its_class(people):
    branch = people()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        made = pickle.loads(pickle.dumps(branch["1"], protocol))
        assert type(made) is Person
        assert repr(made) == repr(branch["1"])
        made.name = "of the copy"
        assert not hasattr(made, "__branch__")
    assert branch["1"].name == "Ann"


def test_a_class_may_say_how_its_objects_are_pickled(tmp_path):
    path = tmp_path / "marked.csv"
    path.write_text("name,grade\nAnn,1\n")
    marked = +Branch(Marked, importer=CSVImporter(path), engine="duckdb")
    made = pickle.loads(pickle.dumps(marked["Ann", 1]))
    assert (type(made), made.name, made.grade) == (Marked, "Ann", -1)


@pytest.mark.parametrize("cls", [Person, Object])
def test_another_object_is_made_of_the_class_of_one(people, cls):
    branch = people(cls)
    made = type(branch["1"])(idnumber="9", name="Zoe")
    assert type(made) is type(cls(idnumber="9", name=""))
    made.name = "Zora"
    assert (made.idnumber, made.name, "9" in branch) == ("9", "Zora", False)


def test_an_object_evolves_into_one_that_has_no_branch(people):
    branch = people()
    made = attrs.evolve(branch["1"], name="Zoe")
    assert (type(made), made.name, made.grade, branch["1"].name) == (Person, "Zoe", 1, "Ann")
    assert not hasattr(made, "__branch__")


def test_an_object_whose_idnumber_is_changed_stays_where_it_was(people):
    branch = people()
    item = branch["1"]
    item.idnumber = "2"
    item.name = "Zoe"
    assert (list(branch), branch["1"] is item, branch["2"].name) == (["1", "2"], True, "Bob")
    del item.idnumber
    item.idnumber, item.name = "1", "Zora"
    assert [one.name for one in branch.values()] == ["Zora", "Bob"]


def test_an_object_of_an_import_before_is_changed_alone(people):
    branch = people()
    item = branch["1"]
    +branch
    item.name = "Zoe"
    assert branch["1"].name == "Ann"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_an_object_is_changed_alone(people, copied):
    branch = people()
    made = copied(branch["1"])
    made.name = "Zoe"
    assert (type(made), branch["1"].name) == (Person, "Ann")


def test_objects_that_cannot_be_referred_to_weakly_are_no_rows():
    class Open(Object):
        __slots__ = ("__dict__",)

    with pytest.raises(CannotPushDown, match="Open take no weak references"):
        tracked_class(Open, lambda key, item: None)
    assert tracked_class(Person, lambda key, item: None).__weakrefoffset__


class Lowered(Object):
    def __setattr__(self, name, value):
        super().__setattr__(name, value.lower() if name == "name" else value)


class Shown(Object):
    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return value.lower() if name == "name" else value


@pytest.mark.parametrize("cls", [Lowered, Shown])
def test_what_a_class_makes_of_its_values_is_what_is_compared(cls, tmp_path):
    found = {}
    for engine in ("memory", "duckdb"):
        sides = []
        for side, name, grade in (("source", "Ann", "1"), ("dest", "ann", "2")):
            path = tmp_path / f"{side}.csv"
            path.write_text(f"idnumber,name,grade\n1,{name},{grade}\n2,Bob,1\n", encoding="utf-8")
            sides.append(+Branch(cls, importer=CSVImporter(path), engine=engine))
        found[engine] = [(action.attr, action.value) for action in sides[0] - sides[1]]
    assert found == {"memory": [("grade", "1")], "duckdb": [("grade", "1")]}


def test_what_was_set_behind_the_back_of_a_held_object_is_what_its_action_says(people, tmp_path):
    mine = people()
    path = tmp_path / "theirs.csv"
    path.write_text((tmp_path / "people.csv").read_text(encoding="utf-8").replace("Ann", "Anna"), encoding="utf-8")
    theirs = +Branch(Person, importer=CSVImporter(path), engine="duckdb")
    held = mine["1"]
    object.__setattr__(held, "name", "other")
    assert [(action.source, action.value) for action in mine - theirs] == [(held, "other")]


class Accepting(Template):
    def update(self, action):
        """Take it."""


def test_what_a_template_did_to_an_object_stays_when_the_object_is_gone(tmp_path):
    def branch(name, file):
        path = tmp_path / file
        others = "".join(f"{number},Bob,1\n" for number in range(2, 3000))
        path.write_text(f"idnumber,name,grade\n1,{name},1\n{others}", encoding="utf-8")
        return +Branch(Person, importer=CSVImporter(path), engine="duckdb")

    source, dest = branch("Anna", "source.csv"), branch("Ann", "dest.csv")
    source - dest | Accepting
    assert [action.old_value for action in branch("Ann", "as_before.csv") - dest] == [
        "Anna"
    ]  # and what was compared last is forgotten
    for number in range(2, 3000):  # as is what was looked up last
        dest[str(number)]
    gc.collect()
    assert dest["1"].name == "Anna"
    assert not source - dest
