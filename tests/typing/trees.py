"""Trees, branches and the operators as a user writes them; both type checkers must know what each gives."""

from collections.abc import Iterator, Mapping
from typing import Any, assert_type

from datastoresync import (
    Action,
    Branch,
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
    failed,
    succeeded,
)


class User(Object):
    name: str


class SourceUser(Object):
    """Declares no field: it takes whatever comes."""

    @property
    def name(self) -> str:
        first: str = self._lastfirst.partition(", ")[2]
        return first


class Group(Object):
    members: set[str]


class Groups(Importer):
    after = ("users",)

    def read(self) -> Iterator[Mapping[str, Any]]:
        for user in self.tree.users.values():
            yield {"idnumber": user._department, "members": {user.idnumber}}

    def keep(self, row: Mapping[str, Any]) -> bool:
        return bool(row["members"])


class Accounts(Template):
    def new_users(self, action: Action) -> None:
        self.names = [action.source.name]

    def update_name(self, action: Action) -> Result:
        return succeeded() if action.value else failed("no name")

    @batch(100)
    def old_users(self, actions: list[Action]) -> list[Result]:
        return [succeeded() for _ in actions]


class Source(Tree):
    users = Branch(SourceUser, importer=lambda: [{"idnumber": "1", "_lastfirst": "Lee, Ann", "_department": "a"}])
    groups = Branch(Group, importer=Groups)
    rest = Branch()


class Dest(Tree):
    users = Branch(User, importer=lambda: [{"idnumber": "1", "name": "Ann"}])
    groups = Branch(Group)
    rest = Branch()
    template = Accounts


source, dest = +Source(), +Dest("accounts")
assert_type(source, Source)
assert_type(source.load(), Source)
assert_type(source.users, Branch[SourceUser])
assert_type(source.users["1"], SourceUser)
assert_type(source.users.get("1"), SourceUser | None)
assert_type(source.users["1"].name, str)
assert_type(source.groups.new("g", members={"1"}).members, set[str])
assert_type(source.groups["g"].members, set[str])
assert_type(+source.users, Branch[SourceUser])
assert_type([user.name for user in source.users.prefix("1")], list[str])
assert_type(source.users.find(name="Ann"), list[SourceUser])
assert_type(source.rest, Branch[Object])

assert_type(source - dest, Diff)
assert_type(source.users - dest.users, Diff)
assert_type(-(source - dest), Diff)
assert_type((source - dest)[0], Action)
assert_type((source - dest)[1:], Diff)
assert_type((source - dest).only("users", verb="new"), Diff)
assert_type(source > dest, Preview)
assert_type(source.users > dest.users, Preview)
assert_type(source >> dest, Report)
assert_type(source.sync_to(dest, limits=Limits(deletions=0.5), exclude="old"), Report)
assert_type(source - dest | Accounts, Report)
assert_type(source - dest | Accounts(), Report)
assert_type(Accounts().apply(source - dest, mock=True), Report)
assert_type((source >> dest).ok, bool)
assert_type((source > dest) | Accounts, Report)
by_name: Report = source - dest | "somewhere.Accounts"

store = Datastore(source=source, dest=dest)
assert_type(+store, Datastore)
assert_type(store.source - store["dest"], Diff)
store.new("source", "users", "2", _lastfirst="Ray, Bob")

# Each of these is an error, and strict mypy complains if one is not.
source.sync_to(dest, mok=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
dest.sync_from(source, mock="no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
source.users.sync_to(dest.users, on_error="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Accounts().apply(source - dest, reporter=[])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
source.preview(dest, onyl="new")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
source - 5  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
source >> Accounts  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
source.users - dest  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
source - dest | 5  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
