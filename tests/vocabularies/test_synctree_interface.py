"""Each sentence of what synctree's clients use of trees, models and actions, under the modules that they import."""

import json

import pytest
from synctree_trees import messages, tree_of

from datastoresync import DeclarationError, ImporterError, SafeguardError, SchemaMismatchError
from datastoresync.vocabularies.synctree.actions import Action, define_action
from datastoresync.vocabularies.synctree.base import Base
from datastoresync.vocabularies.synctree.branch import Branch
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter
from datastoresync.vocabularies.synctree.reporters import DefaultReporter
from datastoresync.vocabularies.synctree.templates import (
    DefaultTemplate,
)
from datastoresync.vocabularies.synctree.tree import SyncTree

HERE = __name__


class SourceStudents(Base):
    __slots__ = ("lastfirst",)

    @property
    def name(self):
        return " ".join(reversed(self.lastfirst.split(", ")))


class DestStudents(Base):
    __slots__ = ("name",)


class Staff(Base):
    pass


class SourceStudentsImporter(DefaultImporter):
    def reader(self):
        yield {"idnumber": "1", "lastfirst": "Ames, Ann"}


# --- SyncTree --------------------------------------------------------------------------------------------------------


def test_classes_are_given_as_classes_import_strings_or_none():
    tree = SyncTree(
        ["source", "dest"],
        ["students", "staff"],
        [[SourceStudents, None], [f"{HERE}.DestStudents", Staff]],
        [[SourceStudentsImporter, None], None],
    )
    assert [tree[branch][name].object_class for branch in tree.branches for name in tree.subbranches] == [
        *(SourceStudents, Base, DestStudents, Staff)
    ]
    assert [student.name for student in (+tree).source.students] == ["Ann Ames"]


def test_a_pattern_names_all_classes(monkeypatch):
    monkeypatch.setitem(globals(), "DestStudentsImporter", type("DestStudentsImporter", (DefaultImporter,), {}))
    tree = SyncTree(
        ["source", "dest"],
        ["students"],
        model_klass_list=HERE + ".{branch_title}{subbranch_title}",
        importer_klass_list=HERE + ".{branch_title}{subbranch_title}Importer",
    )
    assert tree.source.students.object_class is SourceStudents
    assert type(tree.source.students.importer) is SourceStudentsImporter


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([[None]], "has 1 lists, and there are 2 branches"),
        ([[None], [None, None]], "has 2 classes for dest, and there are 1 subbranches"),
        ("school.{branches}", r"\{branch\}, \{subbranch\}"),
        ("Student", "write 'package.module.Student'"),
        (f"{HERE}.Nobody", "leads nowhere"),
        ("no.such.module.Student", "leads nowhere"),
    ],
)
@pytest.mark.parametrize("argument", ["model_klass_list", "importer_klass_list"])
def test_lists_that_do_not_fit_are_value_errors(argument, given, says):
    with pytest.raises(ValueError, match=says):
        SyncTree(["source", "dest"], ["students"], **{argument: given})


@pytest.mark.parametrize("given", [{"model_klass_list": [[dict]]}, {"branch_class": "builtins.dict"}])
def test_lists_that_have_other_classes_are_value_errors(given):
    with pytest.raises(ValueError, match=r"'dict'> is no subclass of datastoresync\.vocabularies\.synctree"):
        SyncTree(["source"], ["students"], **given)
    with pytest.raises(DeclarationError, match="an importer, a function"):
        SyncTree(["source"], ["students"], None, [["builtins.dict"]])


def test_branches_may_have_a_class_of_their_own():
    class Named(Branch):
        def names(self):
            return sorted(student.name for student in self.students)

    tree = SyncTree(["source"], ["students"], branch_class=Named)
    tree.source.students.make("1", name="Ann")
    assert tree.source.names() == ["Ann"]


def test_a_subbranch_that_is_off_is_iterated_and_not_compared():
    tree = SyncTree(["source", "dest"], ["students:off", "staff"])
    assert tree.subbranches == ["students", "staff"]
    tree.new("source", "students", "1")
    tree.new("source", "staff", "2")
    assert messages(tree.source - tree.dest) == messages(tree.source > tree.dest) == ["new_staff"]
    assert [one.idnumber for one in tree.source.students] == ["1"]
    assert [one.idnumber for one in tree.source.students.get_objects()] == ["1"]


def test_a_command_narrows_what_is_compared_in_each_branch():
    tree = SyncTree(["source", "dest"], ["students:dict(source=['1'], dest=['2'])"])
    for branch in tree.branches:
        for idnumber in "123":
            tree.new(branch, "students", idnumber)
    actions = tree.source > tree.dest
    assert [(one.message, one.idnumber) for one in actions] == [("new_students", "1"), ("old_students", "2")]
    assert [one.idnumber for one in tree.source.students.get_objects()] == ["1"]
    assert [one.idnumber for one in tree.source.students.get_objects_force_all()] == ["1", "2", "3"]
    only_source = SyncTree(["source", "dest"], ["students : dict(source=('1',))"])
    only_source.new("source", "students", "1")
    only_source.new("source", "students", "2")
    assert [one.idnumber for one in only_source.source > only_source.dest] == ["1"]
    named = SyncTree(["autosend", "moodle"], ["students:dict(source=['1'], dest=['2'])"])
    for branch in named.branches:
        for idnumber in "12":
            named.new(branch, "students", idnumber)
    assert messages(named.autosend > named.moodle) == ["new_students", "old_students"]


@pytest.mark.parametrize(
    "command",
    [
        "on",
        "dict(source=__import__('os').getcwd())",
        "__import__('os').getcwd()",
        "dict(source=open('x'))",
        "dict(['source'])",
        "dict(source=['1'], source=['2'])",
        "dict(**{'source': ['1']})",
        "dict(source='1')",
        "dict(source=['1'], sorce=['2'])",
        "dict(source=['1']",
        "(" * 5000,
        "dict.fromkeys(['source'], ['1'])",
    ],
)
def test_a_command_is_read_and_never_run(command):
    with pytest.raises(ValueError, match=r"no command|which is no branch: did you mean 'source'"):
        SyncTree(["source", "dest"], [f"students:{command}"])


def test_new_gives_the_object_and_a_duplicate_raises():
    tree = SyncTree(["source"], ["students"])
    assert tree.new("source", "students", "1", name="Ann").name == "Ann"
    with pytest.raises(ImporterError, match="there already"):
        tree.new("source", "students", "1", name="Eve")
    assert tree.source.students.get("1").name == "Ann"


def test_a_duplicate_gives_none_where_it_is_not_to_raise():
    tree = SyncTree(["source"], ["students"], raise_error_on_duplicates=False)
    tree.new("source", "students", "1", name="Ann")
    assert tree.new("source", "students", "1", name="Eve") is None
    assert tree.source.students.make("1", name="Eve") is None
    assert tree.source.students.get("1").name == "Ann"


def test_clear_empties_every_branch():
    tree = tree_of({"idnumber": "1"}, destination=[{"idnumber": "2"}])
    tree.clear()
    assert [len(tree[name].students) for name in tree.branches] == [0, 0]


def test_show_prints_the_tree_or_an_object_in_each_branch(capsys):
    tree = tree_of({"idnumber": "1", "name": "Ann"})
    tree.show()
    assert "students" in capsys.readouterr().out
    tree.show("students", "1")
    assert capsys.readouterr().out == "source: Base(idnumber='1', name='Ann')\ndest: None\n"


def test_relations_order_the_branches_and_name_what_is_not_there():
    tree = SyncTree(["source", "dest"], ["classes", "students"])
    tree.register_relations("classes.members", "students")
    tree.new("source", "students", "1")
    tree.new("source", "classes", "7A", members={"1", "9"})
    *changes, error = tree.source > tree.dest
    assert messages(changes) == ["new_students", "new_classes"]
    assert error.method == "err_integrity classes.members: no '9' in students"
    assert (error.idnumber, error.attribute, error.value, error.dest) == ("7A", "members", "9", None)
    with pytest.raises(SafeguardError, match="'9'"):
        (tree.source > tree.dest) | DefaultTemplate
    for wrong in (("clases.members", "students"), ("classes.members", "studens")):
        with pytest.raises(ValueError, match="did you mean"):
            tree.register_relations(*wrong)


def test_a_tree_is_stored_and_read_again(tmp_path):
    tree = tree_of({"idnumber": "1", "classes": {"b", "a"}, "born": [1], "_note": None}, {"idnumber": "2"})
    content = json.loads(tree.to_json())
    assert content["objects"]["source"]["students"][1] == {"idnumber": "2"}
    path = tmp_path / "tree.json"
    tree.store(path)
    again = SyncTree.from_file(path)
    assert (again.branches, again.subbranches) == (tree.branches, tree.subbranches)
    assert again.to_json() == tree.to_json()
    assert again.source.students.get("1").classes == {"a", "b"}
    assert [item.name for item in tmp_path.iterdir()] == ["tree.json"]


def test_a_stored_tree_gets_its_models_from_the_caller(tmp_path):
    tree = SyncTree(["source"], ["students:off"], [[SourceStudents]])
    tree.new("source", "students", "1", lastfirst="Ames, Ann")
    tree.store(str(tmp_path / "tree.json"))
    again = SyncTree.from_file(str(tmp_path / "tree.json"), model_klass_list=[[SourceStudents]])
    assert again.source.students.get("1").name == "Ann Ames"
    assert again.source.branches == []


def test_values_without_a_form_in_json_are_refused_or_text():
    row = {"idnumber": "1", "size": 1 + 2j}
    with pytest.raises(ValueError, match="jsonify_root_data=True"):
        tree_of(row).to_json()
    assert "(1+2j)" in tree_of(row, jsonify_root_data=True).to_json()
    with pytest.raises(ValueError, match=r"cannot be written as JSON: .*not tuple"):
        tree_of({"idnumber": "1", "size": {(1, 2): 3}}, jsonify_root_data=True).to_json()


@pytest.mark.parametrize("content", ["", "x", "{}", "[]", '{"branches": ["a"], "subbranches": ["b"], "objects": 1}'])
def test_a_stored_tree_is_told_from_other_files(tmp_path, content):
    path = tmp_path / "tree.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="is no file that a tree was stored in"):
        SyncTree.from_file(path)


def test_a_tree_called_prints_what_is_held_and_what_differs(capsys):
    tree = tree_of({"idnumber": "1", "name": "Ann"}, destination=[{"idnumber": "1", "name": "Anna"}])
    tree("1")
    assert capsys.readouterr().out.splitlines() == [
        "source.students: Base(idnumber='1', name='Ann')",
        "dest.students: Base(idnumber='1', name='Anna')",
        "source > dest: Action(idnumber='1', message='update_students_name', attribute='name', value='Ann')",
    ]
    tree_of({"idnumber": "1", "name": 7}, destination=[{"idnumber": "1", "name": "7"}])("1")
    assert "source > dest: the two sides cannot be compared: - name: int in source" in capsys.readouterr().out


def test_a_tree_is_imported_by_plus_and_knows_where_all_is():
    tree = SyncTree(["source"], ["students"], importer_klass_list=[[SourceStudentsImporter]])
    assert +tree is tree
    assert tree.source.students.idnumbers == {"1"}
    assert (tree.keypath, tree.source.keypath, tree.source.students.keypath) == ("", "source", "source.students")


# --- branches --------------------------------------------------------------------------------------------------------


def test_minus_of_branches_is_what_was_compared_and_greater_is_lazy():
    tree = tree_of({"idnumber": "1"})
    then, lazy = tree.source - tree.dest, tree.source > tree.dest
    tree.new("source", "students", "2")
    assert [one.idnumber for one in then] == ["1"]
    assert [one.idnumber for one in lazy] == ["1", "2"]
    assert then
    assert not tree.source - tree.source
    assert "+ students 1" in repr(then)


def test_minus_of_branches_with_unlike_subbranches_is_a_type_error():
    left, right = SyncTree(["source"], ["students"]), SyncTree(["dest"], ["staff"])
    with pytest.raises(TypeError, match="has a branch 'students', dest does not"):
        left.source - right.dest
    lazy = left.source > right.dest
    with pytest.raises(SchemaMismatchError):
        list(lazy)


def test_a_branch_called_prints_the_description_of_each_object(capsys):
    class Described(Base):
        @property
        def _description(self):
            return f"student {self.idnumber}" if self.idnumber != "2" else None

    tree = SyncTree(["source"], ["students"], [[Described]])
    one, two = tree.source.students.make("1"), tree.source.students.make("2")
    assert (tree.source("1"), tree.source("2"), tree.source("3")) == ([one], [two], [])
    assert capsys.readouterr().out == "source.students: student 1\n"


def test_a_branch_knows_its_idnumbers_and_whether_it_is_the_source():
    tree = SyncTree(["source", "dest"], ["students", "staff"])
    student, teacher = tree.new("source", "students", "1"), tree.new("source", "staff", "2")
    assert tree.source.idnumbers == {"1", "2"}
    assert (tree.source.is_source, tree.dest.is_source) == (True, False)
    find = tree.source.get_from_subbranches
    assert (find("1", ["staff", "students"]), find("2", "staff"), find("2", ["students"])) == (student, teacher, None)


# --- subbranches -----------------------------------------------------------------------------------------------------


def test_a_subbranch_is_iterated_object_by_object():
    students = tree_of({"idnumber": "2"}, {"idnumber": "1"}).source.students
    assert [one.idnumber for one in students] == ["1", "2"]
    assert [one.idnumber for one in reversed(students)] == ["2", "1"]
    assert (len(students), students.get("3"), "1" in students, students.get("1") in students) == (2, None, True, True)
    assert (list(students.keys()), [key for key, _ in students.items()]) == (["1", "2"], ["1", "2"])


def test_find_all_looks_for_a_beginning_in_any_case():
    students = tree_of({"idnumber": "1", "name": "Ann Ames"}, {"idnumber": "2", "name": "ANNA"}, {"idnumber": "3"})
    find = students.source.students.find_all
    assert [one.idnumber for one in find("name: ann")] == ["1", "2"]
    assert [one.idnumber for one in find("name:ann a")] == ["1"]
    assert find("name: bob") is find("nane: ann") is None
    students.source.students.get("3").name = None
    assert find("name: no") is None
    with pytest.raises(ValueError, match="needs an attribute and what it begins with, 'name: …'"):
        find("name")


def test_operators_of_subbranches_give_idnumbers():
    tree = tree_of({"idnumber": "1"}, {"idnumber": "2"}, destination=[{"idnumber": "2"}, {"idnumber": "3"}])
    left, right = tree.source.students, tree.dest.students
    assert (left - right, left & right, left + right) == ({"1"}, {"2"}, {"1", "2", "3"})
    assert (+left) is left
    for operate in (left.__sub__, left.__and__, left.__add__):
        assert operate({"1"}) is NotImplemented


# --- models ----------------------------------------------------------------------------------------------------------


def test_every_public_attribute_and_property_is_compared():
    class Public(Base):
        __slots__ = ("_carried", "given")
        role = "student"

        @property
        def derived(self):
            return self.given.upper()

        @property
        def _hidden(self):
            raise AssertionError

    class Mixed:
        role = "teacher"

    class Other(Mixed, Public):
        pass

    tree = SyncTree(["source", "dest"], ["students"], [[Public], [Other]])
    tree.new("source", "students", "1", given="ann", extra=1, _carried=1)
    tree.new("dest", "students", "1", given="eve", extra=2, _carried=2)
    assert [(one.attribute, one.value, one.old_value) for one in tree.source > tree.dest] == [
        ("derived", "ANN", "EVE"),
        ("extra", 1, 2),
        ("given", "ann", "eve"),
        ("role", "student", "teacher"),
    ]


def test_post_init_is_called_once_the_attributes_are_set_and_knows_the_branch():
    class Student(Base):
        def post_init(self):
            self.initial = self.name[0]
            self.where = str(self.__subbranch__), str(self.__branch__)

    assert Student("1", name="Ann").where == ("None", "None")
    tree = SyncTree(["source"], ["students"], [[Student]])
    made = tree.new("source", "students", "1", name="Ann")
    assert (made.initial, made.__branch__, made.__subbranch__) == ("A", tree.source, tree.source.students)
    tree.source.students.importer = [{"idnumber": "2", "name": "Bob"}]
    +tree
    assert [(one.initial, one.where) for one in tree.source.students] == [("B", ("students", "source"))]
    tree.source.students.importer = [{"idnumber": "2", "name": ""}]
    with pytest.raises(IndexError) as caught:
        +tree.source.students
    assert caught.value.__notes__ == ["in post_init of source.students['2']"]
    assert tree.source.students.get("2").name == "Bob", "an import that fails leaves what was there"
    with pytest.raises(IndexError):
        tree.new("source", "students", "3", name="")
    assert "3" not in tree.source.students


def test_an_init_of_the_users_is_called_by_imports_too():
    class Student(Base):
        def __init__(self, idnumber, **attributes):
            super().__init__(idnumber, **attributes)
            self.mail = f"{self.name.lower()}@school.example"

        def post_init(self):
            self.count = getattr(self, "count", 0) + 1

    tree = SyncTree(["source"], ["students"], [[Student]])
    tree.source.students.importer = [{"idnumber": "1", "name": "Ann"}]
    +tree
    tree.new("source", "students", "2", name="Bob")
    assert [(one.mail, one.count) for one in tree.source.students] == [
        ("ann@school.example", 1),
        ("bob@school.example", 1),
    ]


def test_models_say_what_is_written_of_them():
    class Student(Base):
        def _to_json(self):
            return {"idnumber": self.idnumber, "name": self.name.title()}

    tree = SyncTree(["source"], ["students"], [[Student]])
    tree.new("source", "students", "1", name="ann")
    assert json.loads(tree.to_json())["objects"]["source"]["students"] == [{"idnumber": "1", "name": "Ann"}]
    assert Base("1", name="Ann")._to_json == {"idnumber": "1", "name": "Ann"}


# --- actions ---------------------------------------------------------------------------------------------------------


def test_an_action_is_a_named_tuple():
    tree = tree_of({"idnumber": "1", "name": "Ann"}, destination=[{"idnumber": "1", "name": "Anna"}])
    (action,) = tree.source > tree.dest
    source, dest = tree.source.students.get("1"), tree.dest.students.get("1")
    assert Action._fields == ("idnumber", "obj", "source", "dest", "method", "attribute", "value", "old_value")
    assert tuple(action) == ("1", source, source, dest, "update_students_name", "name", "Ann", "Anna")
    assert action._asdict()["obj"] is source
    assert action._replace(value="Eve").value == "Eve"
    tree.clear()
    tree.new("source", "students", "2")
    tree.new("dest", "students", "1")
    new, old = tree.source > tree.dest
    assert (new.source, new.dest, new.attribute) == (new.obj, None, None)
    assert (old.source, old.dest) == (None, old.obj)
    assert define_action(idnumber="1", method="x") == ("1", None, None, None, "x", None, None, None)


def test_methods_are_named_as_synctree_names_them():
    tree = tree_of(
        {"idnumber": "1", "name": "Ann", "classes": {"a"}},
        {"idnumber": "2", "name": "Bob", "classes": {"a"}},
        destination=[{"idnumber": "1", "name": "Anna", "classes": {"b"}}, {"idnumber": "3"}],
    )
    assert messages(tree.source > tree.dest) == [
        "new_students",
        "add_students_classes_to_dest",
        "remove_students_classes_from_dest",
        "update_students_name",
        "old_students",
    ]


def test_what_only_one_side_has_is_an_error_action_and_no_error():
    tree = tree_of(
        {"idnumber": "1", "name": "Ann", "grade": 7},
        {"idnumber": "2", "name": "Bob", "grade": 7},
        destination=[{"idnumber": "2", "name": "Rob", "room": "a"}],
    )
    actions = list(tree.source > tree.dest)
    assert messages(actions) == ["new_students", "update_students_name", "err_no_attr:grade", "err_no_attr:room"]
    assert [(one.idnumber, one.value, one.old_value) for one in actions[2:]] == [("2", 7, None), ("2", None, "a")]

    seen = []

    class Reporter(DefaultReporter):
        def not_implemented(self, action, result):
            seen.append(action.method)

    class Students(DefaultTemplate):
        _reporter = Reporter

        def new_students(self, action): ...
        def update_students_name(self, action): ...

    report = (tree.source > tree.dest) | Students
    assert seen == ["err_no_attr:grade", "err_no_attr:room"]
    assert report.succeeded == 2
    assert report.warnings == (
        "grade is not compared: source.students has it, and dest.students does not",
        "room is not compared: dest.students has it, and source.students does not",
    )
    assert messages(tree.source.students > tree.dest.students)[-2:] == ["err_no_attr:grade", "err_no_attr:room"]
