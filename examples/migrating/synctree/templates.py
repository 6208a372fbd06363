"""The template: a method for each change that the learning platform may need."""

import sqlite3
from typing import Any

from datastoresync.vocabularies.synctree.actions import Action
from datastoresync.vocabularies.synctree.reporters import LoggerReporter
from datastoresync.vocabularies.synctree.results import Result, dropped_action, successful_result, unsuccessful_result
from datastoresync.vocabularies.synctree.templates import DefaultTemplate

COLUMNS = {
    "students": ("name", "email", "username", "grade", "homeroom", "house"),
    "staff": ("name", "email", "username", "room"),
    "parents": ("name", "email", "language"),
    "classes": ("name", "term", "room", "building"),
    "cohorts": ("name", "kind"),
    "groups": ("name", "course", "term"),
}
LISTS = {
    "students": ("clubs",),
    "staff": ("subjects",),
    "parents": ("children",),
    "classes": ("teachers", "students"),
    "cohorts": ("members", "tutors"),
    "groups": ("members",),
}


class PlatformReporter(LoggerReporter):
    """Keeps what became of each action, and prints what somebody should look at."""

    def fail(self, action: Action, result: Result) -> None:
        """Keep it, and print it."""
        super().fail(action, result)
        print(f"failed: {action.method} {action.idnumber}: {result.info}")

    def not_implemented(self, action: Action, result: Result) -> None:
        """Keep it, and print it."""
        super().not_implemented(action, result)
        print(f"not implemented: {action.method} {action.idnumber}")


class PlatformTemplate(DefaultTemplate):
    """Writes to the platform's database."""

    _reporter: Any = PlatformReporter
    _exceptions = (sqlite3.Error,)
    path = ""

    def init(self) -> None:
        """Open the database."""
        self._connection = sqlite3.connect(self.path, isolation_level=None)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _execute(self, statement: str, *values: Any) -> int:
        return self._connection.execute(statement, values).rowcount

    def _create(self, kind: str, action: Action) -> list[Result]:
        names = COLUMNS[kind]
        marks = ", ".join("?" * (len(names) + 1))
        values = [getattr(action.source, name) for name in names]
        self._execute(f"insert into {kind} values ({marks})", action.idnumber, *values)  # noqa: S608 - names of this file
        results = [successful_result(method="insert", info=kind)]
        for name in LISTS[kind]:
            for member in sorted(getattr(action.source, name)):
                self._execute("insert into links values (?, ?, ?)", f"{kind}.{name}", action.idnumber, member)
                results.append(successful_result(method="link", info=f"{name} {member}"))
        return results

    def _change(self, kind: str, action: Action) -> Result:
        statement = f"update {kind} set {action.attribute} = ? where idnumber = ?"  # noqa: S608 - as above
        if self._execute(statement, action.value, action.idnumber):
            return successful_result(method="update", info=action.value)
        return unsuccessful_result(method="update", info="there is no such row")

    def _link(self, kind: str, action: Action) -> Result:
        self._execute("insert into links values (?, ?, ?)", f"{kind}.{action.attribute}", action.idnumber, action.value)
        return successful_result(method="link", info=action.value)

    def _unlink(self, kind: str, action: Action) -> Result:
        statement = "delete from links where list = ? and owner = ? and member = ?"
        self._execute(statement, f"{kind}.{action.attribute}", action.idnumber, action.value)
        return successful_result(method="unlink", info=action.value)

    def _delete(self, kind: str, action: Action) -> Result:
        if kind in ("students", "staff") and action.dest.username == "admin":
            return dropped_action(method="delete", info="the administrator stays")
        self._execute("delete from links where list like ? and owner = ?", f"{kind}.%", action.idnumber)
        self._execute(f"delete from {kind} where idnumber = ?", action.idnumber)  # noqa: S608 - as above
        return successful_result(method="delete", info=kind)

    # Students

    def new_students(self, action: Action) -> list[Result]:
        return self._create("students", action)

    def update_students_name(self, action: Action) -> Result:
        return self._change("students", action)

    def update_students_email(self, action: Action) -> Result:
        return self._change("students", action)

    def update_students_username(self, action: Action) -> Result:
        return self._change("students", action)

    def update_students_grade(self, action: Action) -> Result:
        return self._change("students", action)

    def update_students_homeroom(self, action: Action) -> Result:
        return self._change("students", action)

    def update_students_house(self, action: Action) -> Result:
        return self._change("students", action)

    def add_students_clubs_to_platform(self, action: Action) -> Result:
        return self._link("students", action)

    def remove_students_clubs_from_platform(self, action: Action) -> Result:
        return self._unlink("students", action)

    def old_students(self, action: Action) -> Result:
        return self._delete("students", action)

    # Staff

    def new_staff(self, action: Action) -> list[Result]:
        return self._create("staff", action)

    def update_staff_name(self, action: Action) -> Result:
        return self._change("staff", action)

    def update_staff_email(self, action: Action) -> Result:
        return self._change("staff", action)

    def update_staff_username(self, action: Action) -> Result:
        return self._change("staff", action)

    def update_staff_room(self, action: Action) -> Result:
        return self._change("staff", action)

    def add_staff_subjects_to_platform(self, action: Action) -> Result:
        return self._link("staff", action)

    def remove_staff_subjects_from_platform(self, action: Action) -> Result:
        return self._unlink("staff", action)

    def old_staff(self, action: Action) -> Result:
        return self._delete("staff", action)

    # Parents

    def new_parents(self, action: Action) -> list[Result]:
        return self._create("parents", action)

    def update_parents_name(self, action: Action) -> Result:
        return self._change("parents", action)

    def update_parents_email(self, action: Action) -> Result:
        return self._change("parents", action)

    def update_parents_language(self, action: Action) -> Result:
        return self._change("parents", action)

    def add_parents_children_to_platform(self, action: Action) -> Result:
        return self._link("parents", action)

    def remove_parents_children_from_platform(self, action: Action) -> Result:
        return self._unlink("parents", action)

    def old_parents(self, action: Action) -> Result:
        return self._delete("parents", action)

    # Classes

    def new_classes(self, action: Action) -> list[Result]:
        return self._create("classes", action)

    def update_classes_name(self, action: Action) -> Result:
        return self._change("classes", action)

    def update_classes_term(self, action: Action) -> Result:
        return self._change("classes", action)

    def update_classes_room(self, action: Action) -> Result:
        return self._change("classes", action)

    def update_classes_building(self, action: Action) -> Result:
        return self._change("classes", action)

    def add_classes_teachers_to_platform(self, action: Action) -> Result:
        return self._link("classes", action)

    def remove_classes_teachers_from_platform(self, action: Action) -> Result:
        return self._unlink("classes", action)

    def add_classes_students_to_platform(self, action: Action) -> Result:
        return self._link("classes", action)

    def remove_classes_students_from_platform(self, action: Action) -> Result:
        return self._unlink("classes", action)

    def old_classes(self, action: Action) -> Result:
        return self._delete("classes", action)

    # Cohorts

    def new_cohorts(self, action: Action) -> list[Result]:
        return self._create("cohorts", action)

    def update_cohorts_name(self, action: Action) -> Result:
        return self._change("cohorts", action)

    def update_cohorts_kind(self, action: Action) -> Result:
        return self._change("cohorts", action)

    def add_cohorts_members_to_platform(self, action: Action) -> Result:
        return self._link("cohorts", action)

    def remove_cohorts_members_from_platform(self, action: Action) -> Result:
        return self._unlink("cohorts", action)

    def add_cohorts_tutors_to_platform(self, action: Action) -> Result:
        return self._link("cohorts", action)

    def remove_cohorts_tutors_from_platform(self, action: Action) -> Result:
        return self._unlink("cohorts", action)

    def old_cohorts(self, action: Action) -> Result:
        return self._delete("cohorts", action)

    # Groups

    def new_groups(self, action: Action) -> list[Result]:
        return self._create("groups", action)

    def update_groups_name(self, action: Action) -> Result:
        return self._change("groups", action)

    def update_groups_course(self, action: Action) -> Result:
        return self._change("groups", action)

    def update_groups_term(self, action: Action) -> Result:
        return self._change("groups", action)

    def add_groups_members_to_platform(self, action: Action) -> Result:
        return self._link("groups", action)

    def remove_groups_members_from_platform(self, action: Action) -> Result:
        return self._unlink("groups", action)

    def old_groups(self, action: Action) -> Result:
        return self._delete("groups", action)
