"""The importers: tab-separated files without headers, one for each part of the school, and the platform's database."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datastoresync.vocabularies.synctree.importers.csv_importer import CSVImporter, TranslatedCSVImporter
from datastoresync.vocabularies.synctree.importers.db_importer import DBImporter
from datastoresync.vocabularies.synctree.importers.default_importer import DefaultImporter

EXPORTS = Path(__file__).resolve().parent / "exports"


def split(text: str) -> set[str]:
    """Return the parts of a cell."""
    return set(text.split())


class ExportFile(CSVImporter):
    """One of the files: its cells with several values are split."""

    _settings = {
        "delimiter": "\t",
        "rooms_columns": ["idnumber", "building"],
        "staff_columns": ["idnumber", "_lastfirst", "room", "subjects"],
        "students_columns": ["idnumber", "_lastfirst", "grade", "homeroom", "house", "_family", "clubs"],
        "classes_columns": ["idnumber", "name", "term", "room", "teachers", "students"],
    }

    def kwargs_preprocessor(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Split what has several values, and drop who is only expected."""
        if row["idnumber"].startswith("X"):
            return None
        several = {"subjects", "clubs", "teachers", "students"} & row.keys()
        return {**row, **{name: split(row[name]) for name in several}}


class ExportImporter(TranslatedCSVImporter):
    """The files of both parts of the school: ``students_primary.txt``, ``students_secondary.txt``."""

    _settings = {**ExportFile._settings, "path": str(EXPORTS / "{subbranch}_division.txt")}
    translate = {"division": ("primary", "secondary")}
    klass = ExportFile


class ExportRoomsImporter(ExportFile):
    """The one file of rooms."""

    _settings = {"path": str(EXPORTS / "rooms.txt")}


class ExportStaffImporter(ExportImporter):
    """Staff."""


class ExportClassesImporter(ExportImporter):
    """Classes."""


class ExportStudentsImporter(ExportImporter):
    """Students, of whom the parents are derived."""

    def on_import_complete(self) -> None:
        """Make an account for each family."""
        parents = self._branch.parents
        for student in self._subbranch:
            family = parents.get(student._family)
            if family is None:
                last, _, _ = student._lastfirst.partition(",")
                family = parents.make(student._family, name=f"Family {last}", language="en", children=set())
            family.children.add(student.idnumber)


class ExportCohortsImporter(DefaultImporter):
    """Cohorts, which no file has: they are derived when the students and the staff are there."""

    def on_import_complete(self) -> None:
        """Make a cohort of each grade and of each homeroom, whose tutors are those who have the room."""
        for student in self._branch.students:
            for kind, name in (("grade", student.grade), ("homeroom", student.homeroom)):
                idnumber = f"{kind}-{name}"
                cohort = self._subbranch.get(idnumber)
                if cohort is None:
                    tutors = {one.idnumber for one in self._branch.staff if kind == "homeroom" and one.room == name}
                    cohort = self._subbranch.make(
                        idnumber, name=f"{kind.title()} {name}", kind=kind, members=set(), tutors=tutors
                    )
                cohort.members.add(student.idnumber)


class PlatformImporter(DBImporter):
    """The platform's database: a row for each member, which are united."""

    _settings = {"members": ()}

    def init(self) -> None:
        """Ask for the members of each list that the objects have."""
        table, lists = str(self._subbranch), self.get_setting("members")
        joins = [
            f"left join links as {name} on {name}.owner = {table}.idnumber and {name}.list = '{table}.{name}'"
            for name in lists
        ]
        columns = ", ".join([f"{table}.*", *(f"{name}.member as {name}" for name in lists)])
        # The names are those of the classes below.
        self.update_setting("query", f"select {columns} from {table} {' '.join(joins)}")  # noqa: S608

    def kwargs_preprocessor(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a set of each member."""
        return {**row, **{name: {row[name]} - {None} for name in self.get_setting("members")}}


class PlatformStudentsImporter(PlatformImporter):
    """Accounts of students."""

    _settings = {"members": ("clubs",)}


class PlatformStaffImporter(PlatformImporter):
    """Accounts of staff."""

    _settings = {"members": ("subjects",)}


class PlatformParentsImporter(PlatformImporter):
    """Accounts of parents."""

    _settings = {"members": ("children",)}


class PlatformClassesImporter(PlatformImporter):
    """Courses."""

    _settings = {"members": ("teachers", "students")}


class PlatformCohortsImporter(PlatformImporter):
    """Cohorts."""

    _settings = {"members": ("members", "tutors")}


class PlatformGroupsImporter(PlatformImporter):
    """Groups."""

    _settings = {"members": ("members",)}
