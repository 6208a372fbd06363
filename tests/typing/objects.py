"""Object classes as a user declares them; mypy --strict and pyright must understand them without a plug-in."""

from typing import Any, ClassVar, assert_type

import attrs

from datastoresync import Branch, Diff, Object, Preview


class Group(Object):
    members: set[str]
    size: int = 0
    label: str = attrs.field(default="", validator=attrs.validators.instance_of(str))
    _note: str | None = None
    kind: ClassVar[str] = "group"

    _references = {"members": "users"}


class Team(Group):
    lead: str | None = None


class Seat(Object):
    """Has two fields for an idnumber."""

    _identifiers = ("room", "number")
    _key = {"room": str.casefold}

    room: str
    number: int


class User(Object):
    """Declares no field: it takes whatever comes."""

    _key = str.casefold


def without_blanks(text: str) -> str:
    return text.strip()


class Guest(Object):
    _key = without_blanks
    badge: int


class SourceUser(User):
    @property
    def name(self) -> str:
        last, first = self._lastfirst.split(", ")
        return f"{first} {last}"


group = Group(idnumber="1", members={"a"}, _note="carried")
assert_type(group.members, set[str])
assert_type(group.size, int)
assert_type(group.label, str)
assert_type(group._note, str | None)
assert_type(Group.kind, str)
assert_type(Team(idnumber="1", members=set(), lead="a").lead, str | None)
assert_type(Seat(room="a", number=1).number, int)

user = Branch(SourceUser).new("1", _lastfirst="Lee, Ann", anything=1)
assert_type(user.name, str)
whatever: Any = user.anything

assert_type(group - group, Diff)
assert_type(group > group, Preview)
assert_type(Object(idnumber="1", name="Ann") - user, Diff)

# Each of these is an error, and strict mypy complains if one is not.
Group(idnumber="1", members={"a"}, colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Group(idnumber="1", members={1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Group(idnumber="1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Group("1", {"a"})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
group.size = "big"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
group - 5  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
