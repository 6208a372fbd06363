"""Each sentence of what synctree's clients use, under the modules that they import it from."""

import copy
import csv
import json
import re
import sqlite3
from contextlib import contextmanager
from pathlib import Path

import pytest

from datastoresync import DataWarning, DeclarationError, ImporterError, SafeguardError, SchemaMismatchError
from datastoresync.vocabularies import synctree
from datastoresync.vocabularies.synctree.actions import Action, define_action
from datastoresync.vocabularies.synctree.base import Base
from datastoresync.vocabularies.synctree.branch import Branch
from datastoresync.vocabularies.synctree.importers.csv_importer import CSVImporter, TranslatedCSVImporter
from datastoresync.vocabularies.synctree.importers.db_importer import DBImporter, PostgresDBImporter
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter
from datastoresync.vocabularies.synctree.reporters import DefaultReporter, LoggerReporter
from datastoresync.vocabularies.synctree.results import (
    dropped_action,
    exception_during_call,
    successful_result,
    unsuccessful_result,
)
from datastoresync.vocabularies.synctree.templates import (
    DefaultTemplate,
    LoggerTemplate,
    PrintTemplate,
    TemplateWrapper,
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


def tree_of(*rows, destination=(), subbranches=("students",), **options):
    """Return a tree with rows of students in the source and in the destination."""
    tree = SyncTree(["source", "dest"], list(subbranches), **options)
    for branch, given in (("source", rows), ("dest", destination)):
        for row in given:
            tree.new(branch, "students", **row)
    return tree


def messages(actions):
    return [action.message for action in actions]


def imported(reader, **members):
    """Return a subbranch after its import through an importer with this reader and these members."""
    members = {"reader": reader} | members
    tree = SyncTree(["source", "dest"], ["students", "cohorts"])
    tree.source.students.importer = type("StudentsImporter", (DefaultImporter,), members)
    return (+tree).source.students


# --- SyncTree ---------------------------------------------------------------------------------------------------


def test_classes_are_given_as_classes_import_strings_or_none():
    tree = SyncTree(
        ["source", "dest"],
        ["students", "staff"],
        [[SourceStudents, None], [f"{HERE}.DestStudents", Staff]],
        [[SourceStudentsImporter, None], [None, None]],
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


@pytest.mark.parametrize(
    "command",
    [
        "on",
        "dict(source=__import__('os').getcwd())",
        "__import__('os').getcwd()",
        "dict(source=open('x'))",
        "dict(['source'])",
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


def test_a_tree_called_prints_what_is_held_and_what_differs(capsys):
    tree = tree_of({"idnumber": "1", "name": "Ann"}, destination=[{"idnumber": "1", "name": "Anna"}])
    tree("1")
    assert capsys.readouterr().out.splitlines() == [
        "source.students: Base(idnumber='1', name='Ann')",
        "dest.students: Base(idnumber='1', name='Anna')",
        "source > dest: Action(idnumber='1', message='update_students_name', attribute='name', value='Ann')",
    ]
    tree.new("source", "students", "2", name=7)
    tree("2")
    assert "name" in capsys.readouterr().out


def test_a_tree_is_imported_by_plus_and_knows_where_all_is():
    tree = SyncTree(["source"], ["students"], importer_klass_list=[[SourceStudentsImporter]])
    assert +tree is tree
    assert tree.source.students.idnumbers == {"1"}
    assert (tree.keypath, tree.source.keypath, tree.source.students.keypath) == ("", "source", "source.students")


# --- branches ---------------------------------------------------------------------------------------------------


def test_minus_of_branches_is_what_was_compared_and_greater_is_lazy():
    tree = tree_of({"idnumber": "1"})
    then, lazy = tree.source - tree.dest, tree.source > tree.dest
    tree.new("source", "students", "2")
    assert [one.idnumber for one in then] == ["1"]
    assert [one.idnumber for one in lazy] == ["1", "2"]
    assert then
    assert not tree.source - tree.source
    assert repr(then) == "new_students(idnumber='1')"


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


# --- subbranches ------------------------------------------------------------------------------------------------


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


def test_operators_of_subbranches_give_idnumbers():
    tree = tree_of({"idnumber": "1"}, {"idnumber": "2"}, destination=[{"idnumber": "2"}, {"idnumber": "3"}])
    left, right = tree.source.students, tree.dest.students
    assert (left - right, left & right, left + right) == ({"1"}, {"2"}, {"1", "2", "3"})
    assert (+left) is left
    for operate in (left.__sub__, left.__and__, left.__add__):
        assert operate({"1"}) is NotImplemented


# --- models -----------------------------------------------------------------------------------------------------


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


# --- importers --------------------------------------------------------------------------------------------------


def test_importers_have_settings_of_their_own():
    class Shared(DefaultImporter):
        _settings = {"path": "a", "delimiter": ";"}

    class Own(Shared):
        _settings = {"path": "b"}

        def init(self):
            self.update_setting("more", self.get_setting("path") * 2)

    tree = SyncTree(["source"], ["students"], importer_klass_list=[[Own]])
    importer = tree.source.students.importer
    assert importer._settings == {"path": "b", "delimiter": ";", "more": "bb"}
    assert (importer.get_setting("none"), importer.get_setting("none", 1)) == (None, 1)
    importer.update_setting("path", "c")
    assert (Own(tree, tree.source, tree.source.students).get_setting("path"), Shared._settings["path"]) == ("b", "a")


def test_the_importers_of_a_copied_tree_fill_the_copy():
    class Deriving(DefaultImporter):
        def on_import_complete(self):
            self._branch.cohorts.make("7A")

    tree = SyncTree(["source"], ["students", "cohorts"], importer_klass_list=[[Deriving, None]])
    copied = copy.deepcopy(tree)
    +copied
    assert (len(tree.source.cohorts), len(copied.source.cohorts)) == (0, 1)


def test_a_reader_is_a_generator_or_a_context_manager(tmp_path):
    path = tmp_path / "students.csv"
    path.write_text("idnumber,name\n1,Ann\n")
    opened = []

    @contextmanager
    def reader(self):
        with path.open(newline="") as file:
            opened.append(file)
            yield csv.DictReader(file)

    assert [one.name for one in imported(reader)] == ["Ann"]
    assert opened[0].closed
    assert [one.name for one in imported(lambda self: iter([{"idnumber": "1", "name": "Bob"}]))] == ["Bob"]
    assert len(imported(DefaultImporter.reader)) == 0


def test_a_row_is_processed_or_dropped():
    students = imported(
        lambda self: [{"id": "1"}, {"id": "2"}],
        kwargs_preprocessor=lambda self, row: {"idnumber": row["id"]} if row["id"] == "1" else None,
    )
    assert students.idnumbers == {"1"}
    with pytest.raises(ImporterError, match="row 1: KeyError: 'nr'"):
        imported(lambda self: [{"id": "1"}], kwargs_preprocessor=lambda self, row: {"idnumber": row["nr"]})


def test_rows_without_an_idnumber_are_numbered():
    rows = [{"name": "a"}, {"name": "b", "idnumber": None}, {"name": "c"}]
    for _ in range(2):
        assert [(one.idnumber, one.name) for one in imported(lambda self: rows)] == [(0, "a"), (1, "b"), (2, "c")]


def test_lists_and_sets_of_rows_with_one_idnumber_are_united():
    rows = [
        {"idnumber": "1", "name": "Ann", "classes": {"a"}, "marks": [1]},
        {"idnumber": "1", "name": "Ann", "classes": {"b"}, "marks": [2]},
    ]
    (student,) = imported(lambda self: rows)
    assert (student.classes, student.marks) == ({"a", "b"}, [1, 2])


DUPLICATES = [{"idnumber": "1", "mail": "a", "own": 1}, {"idnumber": "1", "mail": "b", "own": 1}]


@pytest.mark.parametrize(
    ("resolve", "mail"),
    [
        (lambda self, original, **row: setattr(original, "mail", original.mail + row["mail"]), "ab"),
        (lambda self, original, **row: row, "b"),
        (lambda self, original, **row: original, "a"),
        (lambda self, original, **row: None, "a"),
    ],
)
def test_two_rows_with_other_values_are_resolved(resolve, mail):
    (student,) = imported(lambda self: DUPLICATES, resolve_duplicate=resolve)
    assert student.mail == mail


def test_two_rows_with_other_values_are_an_error_unless_the_first_is_to_stay():
    with pytest.raises(ImporterError, match="they differ in mail"):
        imported(lambda self: DUPLICATES)
    tree = SyncTree(["source"], ["students"], raise_error_on_duplicates=False)
    tree.source.students.importer = type("Twice", (DefaultImporter,), {"reader": lambda self: DUPLICATES})
    assert [one.mail for one in (+tree).source.students] == ["a"]


def test_on_import_complete_finds_the_objects():
    def complete(self):
        for student in self._subbranch:
            cohort = self._branch.cohorts.get(student.year) or self._branch.cohorts.make(student.year, members=set())
            cohort.members.add(student.idnumber)

    rows = [{"idnumber": number, "year": year} for number, year in (("1", "a"), ("2", "b"), ("3", "a"))]
    students = imported(lambda self: rows, on_import_complete=complete)
    assert {one.idnumber: one.members for one in students.tree.cohorts} == {"a": {"1", "3"}, "b": {"2"}}

    def fail(self):
        raise RuntimeError("no room")

    students.importer = type("Failing", (DefaultImporter,), {"on_import_complete": fail})
    with pytest.raises(RuntimeError, match="no room"):
        +students.tree
    assert len(students) == 3, "an import that fails leaves what was there"


class LookingAway(DefaultTemplate):
    def old_students(self, action): ...


def students_from(folder, importer, **settings):
    tree = SyncTree(["source"], ["students"], importer_klass_list=[[importer]])
    settings = {"path": str(folder / "{branch}_{subbranch}.txt"), "delimiter": "\t"} | settings
    for name, value in settings.items():
        tree.source.students.importer.update_setting(name, value)
    return (+tree).source.students


@pytest.mark.parametrize("columns", [["idnumber", "", "name"], None])
def test_a_csv_file_has_a_header_or_columns_in_the_settings(tmp_path, columns):
    header = "" if columns else "idnumber\tyear\tname\n"
    (tmp_path / "source_students.txt").write_text(header + "1\t7A\tAnn\n2\t8B\tBob\n")
    students = students_from(tmp_path, CSVImporter, students_columns=columns)
    assert [(one.idnumber, one.name, hasattr(one, "year")) for one in students] == [
        ("1", "Ann", not columns),
        ("2", "Bob", not columns),
    ]
    assert "rows=2" in students.imported.stat


def test_columns_may_be_one_string_and_a_bad_line_is_named(tmp_path):
    (tmp_path / "source_students.txt").write_text("1\tAnn\n1\tBob\n")
    with pytest.raises(ImporterError, match=r"source_students\.txt:2"):
        students_from(tmp_path, CSVImporter, students_columns="idnumber, name")
    with pytest.raises(DeclarationError, match="no setting 'path'"):
        students_from(tmp_path, CSVImporter, path=None)


def test_several_files_are_read_through_translated_paths(tmp_path):
    for name, rows in (("juniors", "1\tAnn\n"), ("seniors", "2\tBob\n")):
        (tmp_path / f"source_{name}.txt").write_text(rows)

    class Lines(CSVImporter):
        def kwargs_preprocessor(self, row):
            return {**row, "file": self.get_path().stem} if row["name"] != "Cid" else None

    class Schools(TranslatedCSVImporter):
        translate = {"students": ["juniors", "seniors"]}

    class Processed(Schools):
        klass = Lines

    settings = {"path": str(tmp_path / "source_students.txt"), "students_columns": ["idnumber", "name"]}
    assert [one.name for one in students_from(tmp_path, Schools, **settings)] == ["Ann", "Bob"]
    students = students_from(tmp_path, Processed, **settings)
    assert [one.file for one in students] == ["source_juniors", "source_seniors"]
    (tmp_path / "source_juniors.txt").write_text("")
    with pytest.raises(ImporterError, match=r"source_juniors\.txt: the file is empty"):
        students_from(tmp_path, Schools, **settings)
    for name, rows in (("juniors", ""), ("seniors", "2\tBob\n")):
        (tmp_path / f"source_{name}.txt").write_text("idnumber\tname\n" + rows)
    for importer in (Schools, Processed):
        with pytest.warns(DataWarning, match=r"source_juniors\.txt.* no rows"):
            students = students_from(tmp_path, importer, path=settings["path"])
        assert [one.name for one in students] == ["Bob"]
        assert "source_juniors.txt" in " ".join(students.imported.warnings)
        full = SyncTree(["dest"], ["students"]).dest
        for idnumber, item in (("1", "Ann"), ("2", "Bob")):
            full.students.make(idnumber, name=item, file="source_seniors")
        with pytest.raises(SafeguardError, match=r"source_juniors\.txt"):
            (students.tree - full) | LookingAway
    with pytest.raises(DeclarationError, match="replaces 'students', which is not in the path"):
        students_from(tmp_path, Schools, path=str(tmp_path / "x.txt"))


def test_a_database_is_read_by_a_query_or_a_table(tmp_path):
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "school.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "create table students (idnumber text, name text); insert into students values (1, 'Ann')"
        )
    connection.close()
    settings = {"url": f"sqlite:///{path}"}
    assert [one.name for one in students_from(tmp_path, DBImporter, **settings)] == ["Ann"]
    settings["students_query"] = "select idnumber, upper(name) as name from students"
    assert [one.name for one in students_from(tmp_path, DBImporter, **settings)] == ["ANN"]


def test_a_postgresql_database_is_named_by_its_parts():
    pytest.importorskip("sqlalchemy")
    importer = PostgresDBImporter(None, None, "students")
    for name, value in {"host": "db", "port": 5433, "user": "ann", "password": "p@ss", "database": "school"}.items():
        importer.update_setting(name, value)
    assert importer.get_url().render_as_string(hide_password=False) == (
        "postgresql+psycopg://ann:p%40ss@db:5433/school"
    )
    importer.update_setting("url", "postgresql://db/other")
    assert importer.get_url() == "postgresql://db/other"


# --- actions ----------------------------------------------------------------------------------------------------


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


# --- templates, results and reporters ---------------------------------------------------------------------------


def changes():
    return tree_of(
        {"idnumber": "1", "name": "Ann", "classes": {"a"}},
        {"idnumber": "2", "name": "Bob", "classes": set()},
        destination=[{"idnumber": "1", "name": "Anna", "classes": {"b"}}],
    )


def test_templates_have_methods_under_these_names_and_are_told_what_is_misspelt():
    called = []

    class Students(DefaultTemplate):
        def init(self):
            self.started = True

        def take(self, action):
            assert self.started
            called.append((action.method, action.value))

        new_students = update_students_name = add_students_classes_to_dest = remove_students_classes_from_dest = take

    tree = changes()
    assert ((tree.source > tree.dest) | Students).ok
    assert called == [
        ("new_students", None),
        ("add_students_classes_to_dest", "a"),
        ("remove_students_classes_from_dest", "b"),
        ("update_students_name", "Ann"),
    ]
    assert not tree.source - tree.dest

    class Misspelt(DefaultTemplate):
        def add_students_clases_to_dest(self, action): ...

    tree = changes()
    with pytest.raises(DeclarationError, match="did you mean 'add_students_classes_to_dest'"):
        (tree.source > tree.dest) | Misspelt


def test_results_are_named_tuples():
    assert successful_result._fields == ("success", "method", "info", "exception")
    assert [one.success for one in (successful_result, unsuccessful_result, dropped_action, exception_during_call)] == [
        *(True, False, None, False)
    ]
    assert successful_result(method="m", info="i") == (True, "m", "i", None)
    assert successful_result("m", "i") == (True, "m", "i", None)


def test_reporters_are_told_what_a_method_returned_each_of_it():
    heard = []

    def hook(name):
        return lambda self, action, result: heard.append((name, action.method, result.info))

    names = ("success", "fail", "exception", "not_implemented", "dropped")
    reporter = type("Reporter", (DefaultReporter,), {name: hook(name) for name in names})
    error = OSError("gone")

    class Students(DefaultTemplate):
        reporters = ()
        _reporter = reporter
        _exceptions = (OSError,)

        def new_students(self, action):
            return [successful_result(info="made"), dropped_action(info="no mail"), unsuccessful_result(info="no room")]

        def update_students_name(self, action):
            return exception_during_call(method="rename", exception=error)

        def add_students_classes_to_dest(self, action):
            raise error

    tree = changes()
    template = Students()
    report = (tree.source > tree.dest) | template
    assert heard == [
        ("success", "new_students", "made"),
        ("dropped", "new_students", "no mail"),
        ("fail", "new_students", "no room"),
        ("exception", "add_students_classes_to_dest", "OSError: gone"),
        ("not_implemented", "remove_students_classes_from_dest", "no method"),
        ("exception", "update_students_name", ""),
    ]
    assert [report.results[position].reason for position in (0, 3)] == ["no room", "rename: OSError: gone"]
    assert (report.failed, report.results[3].error) == (3, error)
    assert report.unhandled_methods == {"remove_students_classes_from_dest": 1}
    assert isinstance(template._reporter, reporter)


def test_a_reporter_is_a_class_an_instance_or_an_import_string():
    for given in (LoggerReporter, LoggerReporter(), "datastoresync.vocabularies.synctree.reporters.LoggerReporter"):
        template = type("Students", (DefaultTemplate,), {"_reporter": given, "reporters": ()})()
        tree = changes()
        (tree.source > tree.dest) | template
        (entry,) = template._reporter._log["students"]["2"]
        assert (entry.outcome, entry.action.idnumber) == ("not_implemented", "2")
    wrong = type("Students", (DefaultTemplate,), {"_reporter": dict})
    with pytest.raises(TypeError, match="no subclass of DefaultReporter"):
        (tree.source > tree.dest) | wrong


def test_loggers_and_printers_do_nothing_and_no_limit_stops_them(capsys):
    tree = tree_of(destination=[{"idnumber": str(number)} for number in range(9)])
    template = LoggerTemplate()
    report = (tree.source > tree.dest) | template
    assert (report.skipped, report.ok) == (9, True)
    assert {key: [one.outcome for one in entries] for key, entries in template._reporter._log["students"].items()} == {
        str(number): ["dropped"] for number in range(9)
    }
    assert len(tree.dest.students) == 9
    assert capsys.readouterr().out == ""
    (tree.source - tree.dest) | PrintTemplate
    assert capsys.readouterr().out.splitlines()[0] == "Action(idnumber='0', message='old_students')"
    with pytest.raises(SafeguardError):
        (tree.source > tree.dest) | DefaultTemplate


class Recorder(DefaultTemplate):
    reporters = ()

    def __init__(self):
        super().__init__()
        self.called = []

    def take(self, action):
        self.called.append(action.method)

    new_students = update_students_name = add_students_classes_to_dest = remove_students_classes_from_dest = take


@pytest.mark.parametrize(
    ("options", "called"),
    [
        ({"mock": True}, []),
        ({"only_these": "new_students add_students_classes_to_dest"}, ["new_students", "add_students_classes_to_dest"]),
        ({"exclude_these": "new_students,update_students_name", "only_these": "new_students"}, []),
        (
            {"exclude_these": "add_students_classes_to_dest, new_students"},
            ["remove_students_classes_from_dest", "update_students_name"],
        ),
    ],
)
def test_a_wrapper_carries_out_some_or_none(options, called):
    tree, template = changes(), Recorder()
    report = (tree.source > tree.dest) | TemplateWrapper(template, **options)
    assert template.called == called
    assert report.mock == options.get("mock", False)
    assert TemplateWrapper(Recorder, mock=True).apply(tree.source > tree.dest).succeeded == 0


def test_a_wrapper_is_told_what_is_misspelt():
    tree = changes()
    with pytest.raises(DeclarationError, match="did you mean 'new_students'"):
        (tree.source > tree.dest) | TemplateWrapper(Recorder, only_these="new_student")


def test_every_test_that_the_documentation_names_is_there():
    folder = Path(__file__).resolve().parent
    _, _, rest = (
        (folder.parents[1] / "docs" / "migrating.md").read_text(encoding="utf-8").partition("## From synctree\n")
    )
    named = set(re.findall(r"`(test_\w+)`", rest.partition("\n## ")[0]))
    tests = re.findall(r"def (test_\w+)", "".join(path.read_text("utf-8") for path in folder.glob("test_synctree*.py")))
    assert len(named) > 40
    assert [name for name in sorted(named) if not any(test.startswith(name) for test in tests)] == []


def test_all_names_are_in_the_package_too():
    for name in synctree.__all__:
        assert hasattr(synctree, name)
    assert synctree.Base is Base
