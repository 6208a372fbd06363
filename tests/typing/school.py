"""User code that mypy --strict and pyright must understand without a plug-in; `make types` runs both over it."""

from collections.abc import Iterator
from datetime import date
from typing import Any, assert_type

import attrs

from datastoresync import (
    Action,
    Branch,
    CSVImporter,
    Datastore,
    Diff,
    Importer,
    Limits,
    Object,
    Preview,
    Report,
    Result,
    Template,
    Tree,
    batch,
    skipped,
)


class Person(Object):
    name: str
    born: date | None = None
    grade: int = attrs.field(default=0)
    _lastfirst: str = ""


class Group(Object):
    _references = {"members": "users"}
    members: set[str]


class Enrolment(Object):
    _identifiers = ("course", "person")
    course: str
    person: str


class Loose(Object):
    @property
    def name(self) -> str:
        last, first = self._lastfirst.split(", ")
        return f"{first} {last}"


class GroupsFromUsers(Importer):
    after = ("users",)

    def read(self) -> Iterator[dict[str, Any]]:
        for user in self.tree.users.values():
            yield {"idnumber": user._department, "members": {user.idnumber}}


class Accounts(Template):
    def new_users(self, action: Action) -> None:
        assert action.source.name

    def update_name(self, action: Action) -> Result | None:
        return skipped("later") if action.value is None else None

    @batch(100)
    def old_users(self, actions: list[Action]) -> None:
        assert actions


class School(Tree):
    users = Branch(Person, importer=CSVImporter("people.csv"))
    groups = Branch(Group, importer=GroupsFromUsers)
    loose = Branch(Loose, importer=lambda: [{"idnumber": "1", "_lastfirst": "Lovelace, Ada"}])
    template = Accounts


ada = Person(idnumber="1", name="Ada", born=date(1815, 12, 10), grade=7)
group = Group(idnumber="students", members={"1"})
enrolment = Enrolment(course="maths", person="1")

assert_type(ada.name, str)
assert_type(ada.born, date | None)
assert_type(group.members, set[str])

source, dest = +School(), School("dest")
assert_type(source, School)
assert_type(source.users, Branch[Person])
assert_type(source.users["1"], Person)
assert_type(source.users.get("1"), Person | None)
assert_type(source.users.find(name="Ada"), list[Person])
assert_type(source.loose["1"].name, str)
assert_type(source - dest, Diff)
assert_type(-(source - dest), Diff)
assert_type((source - dest)[0], Action)
assert_type((source - dest)[:2], Diff)
assert_type(source.users - dest.users, Diff)
assert_type(ada - Person(idnumber="1", name="Ada"), Diff)
assert_type(source > dest, Preview)
assert_type(source >> dest, Report)
assert_type(source - dest | Accounts, Report)
assert_type(source - dest | Accounts(), Report)
assert_type(source.sync_to(dest, limits=Limits(deletions=10), exclude="old").ok, bool)
assert_type([action.verb for action in source - dest], list[str])

store = Datastore(source=source, dest=dest)
assert_type(store.source, Tree)
assert_type(+store, Datastore)
for name, user in source.users.items():
    assert_type((name, user.name, user.grade + 1), tuple[Any, str, int])

try:
    Person(idnumber="1", name="Ada", shoe_size=42)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Person(idnumber="1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ada.grade = "seven"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    5 - source  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
except TypeError:
    pass
