"""Each sentence of what synctree's clients use of importers, under the modules that they import."""

import copy
import csv
import sqlite3
from contextlib import contextmanager

import pytest

from datastoresync import DataWarning, DeclarationError, ImporterError, SafeguardError
from datastoresync.vocabularies.synctree.importers.csv_importer import CSVImporter, TranslatedCSVImporter
from datastoresync.vocabularies.synctree.importers.db_importer import DBImporter, PostgresDBImporter
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter
from datastoresync.vocabularies.synctree.templates import (
    DefaultTemplate,
)
from datastoresync.vocabularies.synctree.tree import SyncTree


def imported(reader, **members):
    """Return a subbranch after its import through an importer with this reader and these members."""
    members = {"reader": reader} | members
    tree = SyncTree(["source", "dest"], ["students", "cohorts"])
    tree.source.students.importer = type("StudentsImporter", (DefaultImporter,), members)
    return (+tree).source.students


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


def test_importers_may_call_their_own_things_as_they_like():
    def init(self):
        self.rows, self.overrides = [{"idnumber": "1"}], None

    assert imported(lambda self: self.rows, init=init).idnumbers == {"1"}


def test_rows_may_be_numbered_above_the_idnumbers_that_there_are():
    rows = [{"idnumber": 0, "name": "Ann"}, {"name": "Bob"}]
    with pytest.raises(ImporterError, match="let number_from begin above them all"):
        imported(lambda _: rows)
    assert imported(lambda _: rows, number_from=1).idnumbers == {0, 1}


def test_hooks_of_importers_that_are_misspelt_or_never_run_are_refused():
    with pytest.raises(DeclarationError, match=r"nothing calls Rows\.kwargs_preproccesor: did you mean 'kwargs_prepro"):
        type("Rows", (DefaultImporter,), {"kwargs_preproccesor": lambda self, row: row})
    with pytest.raises(DeclarationError, match=r"Rows\.kwargs_preprocessor cannot be called with 2 arguments"):
        type("Rows", (CSVImporter,), {"kwargs_preprocessor": lambda self: None})


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
    with pytest.raises(ImporterError, match="row 2: idnumber 0 is of type int, and '7' before it"):
        imported(lambda self: [{"idnumber": "7", "name": "a"}, {"idnumber": "", "name": "b"}])


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
    for rows, line in (("1\tAnn\n1\tBob\n", 2), ("1\tAnn\n2\tBob\tx\n", 2), ("1\tAnn\n2\tBo", 2)):
        (tmp_path / "source_students.txt").write_text(rows)
        with pytest.raises(ImporterError, match=rf"source_students\.txt:{line}"):
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
