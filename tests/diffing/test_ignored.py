"""What is not ours keeps its memberships, and what refers to it stays as it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from strategies import Streaming

from datastoresync import (
    Branch,
    CSVImporter,
    Flags,
    Importer,
    Limits,
    Link,
    Object,
    SQLImporter,
    SQLSyncer,
    Table,
    Template,
    Tree,
)
from datastoresync.diffing.diff import Diff
from datastoresync.importing.importer import StoreImporter

ANYTHING = Limits(deletions=10_000, updates=10_000, removals=10_000, dangling=10_000, empty=["users", "groups"])


class User(Object):
    _references = {"teams": "groups", "manager": "users"}
    name: str = ""
    teams: list[str] = []
    manager: str | None = None
    _local: bool = False

    @property
    def _flags(self):
        return Flags(ignore=True) if self._local else None


class Group(Object):
    _references = {"members": "users", "owner": "users"}
    members: set[str] = set()
    owner: str | None = None
    _local: bool = False

    @property
    def _flags(self):
        return Flags(ignore=True) if self._local else None


def tree(name, users, groups, **options):
    branches = {"users": Branch(User, **options), "groups": Branch(Group)}
    made = Tree(name, branches=branches, template=Template())
    for branch, rows in (("users", users), ("groups", groups)):
        for key, row in rows.items():
            made[branch].new(key, **row)
    return made


users = st.dictionaries(
    st.sampled_from("abc"),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["", "x"]),
            "teams": st.lists(st.sampled_from("gh"), unique=True),
            "manager": st.none() | st.sampled_from("abc"),
            "_local": st.booleans(),
        }
    ),
)
groups = st.dictionaries(
    st.sampled_from("gh"),
    st.fixed_dictionaries(
        {
            "members": st.sets(st.sampled_from("abc")),
            "owner": st.none() | st.sampled_from("abc"),
            "_local": st.booleans(),
        }
    ),
)


@given(users, groups, users, groups)
@settings(max_examples=examples(100), deadline=None)
def test_only_changes_that_name_nothing_ignored_are_left(users, groups, old_users, old_groups):
    source, dest = tree("source", users, groups), tree("dest", old_users, old_groups)
    ignored = {
        (branch, key)
        for both in ({"users": users, "groups": groups}, {"users": old_users, "groups": old_groups})
        for branch, rows in both.items()
        for key, row in rows.items()
        if row["_local"]
    }
    targets = {"teams": "groups", "manager": "users", "members": "users", "owner": "users"}

    def stands(action):
        named = {(targets.get(action.attr), value) for value in (action.value, action.old_value)}
        return not ignored & {(action.branch, action.idnumber), *named}

    plain = [
        {key: {**row, "_local": False} for key, row in rows.items()} for rows in (users, groups, old_users, old_groups)
    ]
    full = tree("source", *plain[:2]) - tree("dest", *plain[2:])
    wanted = [action.message for action in full if stands(action)]
    diff = source - dest
    assert [action.message for action in diff] == wanted
    assert diff.left_out.total() == len(full) - len(diff)
    sides = [(source[name].side(), dest[name].side()) for name in source.branches]
    streamed = Diff.between(sides, engine=Streaming(frozenset({"users", "groups"})))
    assert [action.message for action in streamed] == wanted
    assert streamed.left_out == diff.left_out
    alone = [action.message for name in source.branches for action in source[name] - dest[name]]
    assert sorted(alone) == sorted(wanted)


@pytest.mark.parametrize("engine", ["memory", "duckdb"])
def test_they_stay_whole_where_memberships_are_written_as_a_whole(engine, tmp_path):
    class Whole(Template):
        def update_groups_members(self, action):
            self.written = action.value

    def imported(name, lines, members):
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(["idnumber,name,_local", *lines, ""]))
        branches = {
            "users": Branch(User, importer=CSVImporter(path), engine=engine),
            "groups": Branch(Group, importer=[{"idnumber": "staff", "members": members}]),
        }
        return +Tree(name, branches=branches)

    source = imported("source", ["1,Ann,false", "2,Bob,false"], {"2"})
    dest = imported("dest", ["1,Ann,false", "2,Bob,false", "root,Root,true"], {"1", "root"})
    template = Whole()
    assert template.apply(source - dest, limits=ANYTHING).ok
    assert template.written == {"2", "root"}
    assert not source - dest


def test_a_new_group_gets_no_members_that_are_ignored():
    for rows, old_rows in (({"_local": True}, {}), ({}, {"_local": True})):
        source = tree("source", {"a": rows, "b": {}}, {"g": {"members": {"a", "b"}}})
        dest = tree("dest", {"a": old_rows, "b": {}}, {})
        diff = source - dest
        assert [(action.verb, diff.values(action)["members"]) for action in diff] == [("new", {"b"})]
        assert source.groups["g"].members == {"a", "b"}


def test_what_is_below_something_ignored_keeps_its_memberships():
    class Unit(Object):
        _children = {"users": "unit"}
        _flags: Flags | None = None

    class Person(Object):
        unit: str

    def units(name, flags, members):
        made = Tree(name, branches={"units": Branch(Unit), "users": Branch(Person), "groups": Branch(Group)})
        made.units.new("out", _flags=flags)
        made.users.new("ann", unit="out")
        made.groups.new("staff", members=members)
        return made

    for flags in ((Flags(ignore=True), None), (None, Flags(ignore=True))):
        source, dest = units("source", flags[0], set()), units("dest", flags[1], {"ann"})
        assert not source - dest
        assert not dest - source
    assert len(units("source", None, set()) - units("dest", None, {"ann"})) == 1


@pytest.fixture
def accounts(store_url, execute):
    execute(
        store_url,
        "CREATE TABLE users (idnumber varchar(9) PRIMARY KEY, name varchar(9), origin varchar(9))",
        "CREATE TABLE groups (idnumber varchar(9) PRIMARY KEY)",
        "CREATE TABLE memberships (grp varchar(9) REFERENCES groups, person varchar(9) REFERENCES users)",
        "INSERT INTO users VALUES ('1', 'Ann', 'hr'), ('2', 'Bob', 'hr'), ('root', 'Root', 'local')",
        "INSERT INTO groups VALUES ('staff')",
        "INSERT INTO memberships VALUES ('staff', '1'), ('staff', '2'), ('staff', 'root')",
    )
    return store_url


class Account(Object):
    name: str


class Team(Object):
    _references = {"members": "users"}
    members: set[str]


class OursAlone(StoreImporter):
    def keep(self, row):
        return row["idnumber"].isdigit()


QUERY = "SELECT idnumber, name FROM users WHERE origin = 'hr'"


@pytest.mark.parametrize("users", [OursAlone, lambda syncer: SQLImporter(syncer, QUERY)], ids=["keep", "query"])
def test_what_an_import_leaves_out_is_neither_adopted_nor_taken_out_of_groups(accounts, users, execute):
    teams = Table("groups", links={"members": Link("memberships", "grp", "person")})
    with SQLSyncer(accounts) as syncer:
        branches = {"users": Branch(Account, importer=users(syncer)), "groups": Branch(Team, table=teams)}
        dest = +Tree("dest", branches=branches, syncer=syncer)
        branches = {
            "users": Branch(Account, importer=[{"idnumber": "1", "name": "Ann"}, {"idnumber": "root", "name": "Ruth"}]),
            "groups": Branch(Team, importer=[{"idnumber": "staff", "members": {"1"}}]),
        }
        source = +Tree("source", branches=branches)
        diff = source - dest
        assert diff.left_out == {"remove": 1}
        assert "left out by flags or imports: remove=1" in diff.explain()
        report = source.sync_to(dest, limits=ANYTHING)
        assert {(result.action.verb, result.action.idnumber, result.status) for result in report.results} == {
            ("new", "root", "conflict"),
            ("remove", "staff", "succeeded"),
            ("old", "2", "succeeded"),
        }
    assert sorted(execute(accounts, "SELECT * FROM users")) == [("1", "Ann", "hr"), ("root", "Root", "local")]
    assert sorted(execute(accounts, "SELECT * FROM memberships")) == [("staff", "1"), ("staff", "root")]


class Seat(Object):
    _identifiers = ("row", "number")
    row: str
    number: int


class Room(Object):
    _references = {"taken": "seats", "best": "seats", "order": "seats"}
    taken: set[tuple[str, int]] = set()
    best: tuple[str, int] | None = None
    order: tuple[tuple[str, int], ...] = ()


def test_idnumbers_of_several_parts_are_known_as_a_whole():
    class Ours(Importer):
        def read(self):
            return [{"row": row, "number": 1} for row in "abx"]

        def keep(self, row):
            return row["row"] != "x"

    def rooms(name, taken, best, order):
        values = {"taken": {(row, 1) for row in taken}, "best": (best, 1), "order": tuple((row, 1) for row in order)}
        branches = {"seats": Branch(Seat, importer=Ours), "rooms": Branch(Room)}
        made = +Tree(name, branches=branches)
        made.rooms.new("hall", **values)
        made.rooms.new("lobby", **{**values, "best": None})
        return made

    diff = rooms("source", "a", "a", "ab") - rooms("dest", "abx", "b", "ba")
    assert [(action.verb, action.idnumber, action.attr) for action in diff] == [
        ("update", "hall", "best"),
        ("update", "hall", "order"),
        ("remove", "hall", "taken"),
        ("update", "lobby", "order"),
        ("remove", "lobby", "taken"),
    ]
    assert {action.value for action in diff.only("remove")} == {("b", 1)}
    assert diff.left_out == {"remove": 2}
    assert not rooms("source", "a", "a", "ab").diff(rooms("dest", "a", "x", "xa"))
