"""Two sides whose keys have other forms: what one of them declares, or its store has, counts for both."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import (
    Branch,
    ComparisonError,
    CSVImporter,
    DataWarning,
    DeclarationError,
    DuplicateError,
    IdnumberError,
    Limits,
    Link,
    Object,
    SchemaMismatchError,
    Table,
    Tree,
)
from datastoresync.applying.safeguards import violations
from datastoresync.diffing.common_form import spellings
from datastoresync.syncers.sql.syncer import SQLSyncer


class User(Object):
    _key = str.casefold
    name: str = ""
    manager: str | None = None
    _references = {"manager": "users"}


class Group(Object):
    _references = {"members": "users"}
    members: set[str] = set()


class Account(Object):
    _references = {"manager": "users"}
    idnumber: str
    name: str = ""
    manager: str | None = None


class Team(Object):
    members: set[str] = set()


def tree(name, users=(), groups=(), classes=(User, Group), syncer=None):
    branches = {"users": Branch(classes[0], importer=list(users)), "groups": Branch(classes[1], importer=list(groups))}
    return +Tree(name, branches=branches, syncer=syncer)


def rows(*keys, **attributes):
    return [{"idnumber": key, **attributes} for key in keys]


# Declared by a class ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [((User, Group), (Account, Team)), ((Account, Team), (User, Group))])
def test_a_form_that_one_side_declares_counts_for_both(classes):
    left = tree("left", rows("ANN", "Bob", manager="Ann"), [{"idnumber": "g", "members": {"ann", "BOB"}}], classes[0])
    right = tree("right", rows("ann", "bOB", manager="aNN"), [{"idnumber": "g", "members": {"Ann", "bob"}}], classes[1])
    assert not left - right
    assert not right - left
    assert (left - right).branch_diffs[0].pairs == 2
    assert not left.users - right.users


def test_a_branch_alone_is_held_against_the_keys_of_the_others_in_their_form():
    left = tree("left", rows("ANN"), [{"idnumber": "g", "members": {"ann"}}])

    class Circle(Object):
        _references = {"members": "users"}
        members: set[str] = set()

    right = tree("right", rows("aNN"), [{"idnumber": "g", "members": set()}], (Account, Circle))
    diff = left.groups - right.groups
    assert [action.value for action in diff] == ["ann"]
    assert violations(diff) == ()
    assert spellings({"groups": diff.branch_diffs[0].both})["groups"]["members"]("ann") == "aNN"


def test_objects_are_looked_up_in_any_spelling():
    users = tree("source", rows("Ann@X.edu")).users
    assert users["ANN@x.edu"] is users["ann@x.edu"]
    assert "ANN@x.edu" in users
    assert 7 not in users
    assert None not in users
    assert users.get("aNN@x.edu").idnumber == "ann@x.edu"
    assert users.spelling("ANN@x.edu") == "Ann@X.edu"
    assert users.new("BOB").idnumber == "bob"
    assert users.remove("Bob").idnumber == "bob"
    assert list(users) == ["ann@x.edu"]


@pytest.mark.filterwarnings("ignore::datastoresync.DataWarning")
def test_two_rows_of_one_form_are_a_duplicate_that_names_both():
    with pytest.raises(DuplicateError, match="row 2: idnumber 'ann' is already at row 1 as 'ann', and 'ANN' here: "):
        tree("source", rows("ann", "ANN", name="x"))
    with pytest.raises(ComparisonError, match=r"right\.users: 'ANN' and 'ann' are one key in left\.users"):
        _ = tree("left", rows("Ann")) - tree("right", rows("ann", "ANN"), classes=(Account, Team))


def test_what_the_form_refuses_is_a_bad_row_or_another_type():
    class Strict(Object):
        _key = str.casefold

    with pytest.raises(IdnumberError, match=r"row 1: idnumber: the form of its key has no place for 7: TypeError"):
        +Branch(Strict, importer=rows(7))
    with pytest.raises(SchemaMismatchError, match=r"idnumber: str in .* and int in"):
        _ = +Branch(Strict, importer=rows("a")) - +Branch(Object, importer=rows(7))


@pytest.mark.parametrize("declared", ["casefold", 7, {"idnumber": "lower"}, {"login": str.lower}])
@pytest.mark.parametrize("closed", [False, True])
def test_a_form_that_is_none_is_refused(declared, closed):
    body = {"_key": declared, "__annotations__": {"name": str} if closed else {}}
    broken = type(Object)("Broken", (Object,), body)
    with pytest.raises(DeclarationError, match=r"Broken\._key (must be a function|names 'login')"):
        +Branch(broken, importer=rows("a", name="x"))


def test_a_field_of_that_name_is_still_a_field():
    class Document(Object):
        _key: str
        name: str

    (one,) = (+Branch(Document, importer=[{"idnumber": "A", "_key": "x", "name": "n"}])).values()
    assert (one.idnumber, one._key) == ("A", "x")


def test_single_objects_are_compared_in_the_form():
    assert not User(idnumber="ANN", name="x") - User(idnumber="ann", name="x")
    assert len(User(idnumber="ANN", name="x") - Account(idnumber="Ann", name="y")) == 1
    with pytest.raises(ComparisonError, match="'ANN' and 'bob' are different things"):
        _ = User(idnumber="ANN") - User(idnumber="bob")


def test_children_and_parents_are_named_in_the_form():
    class Site(Object):
        _key = str.casefold
        _children = {"rooms": "rooms"}
        rooms: list[str] = []

    class Room(Object):
        _key = str.casefold
        _children = {"desks": "room"}

    class Desk(Object):
        room: str

    def hierarchy(name, case):
        branches = {
            "sites": Branch(Site, importer=[{"idnumber": case("Site"), "rooms": [case("Room")]}]),
            "rooms": Branch(Room, importer=rows(case("rOOm"))),
            "desks": Branch(Desk, importer=[{"idnumber": "1", "room": case("roOM")}]),
        }
        return +Tree(name, branches=branches)

    left, right = hierarchy("left", str.upper), hierarchy("right", str.lower)
    assert not left - right
    assert (left - right).hierarchies[0].parent("desks", "1") == ("rooms", "room")
    assert (left - right).hierarchies[1].parent("rooms", "room") == ("sites", "site")


@given(
    st.dictionaries(st.sampled_from(["ann", "bob", "cid", "dan"]), st.tuples(st.booleans(), st.text("xy", max_size=1))),
    st.dictionaries(st.sampled_from(["ann", "bob", "cid", "dan"]), st.tuples(st.booleans(), st.text("xy", max_size=1))),
    st.sampled_from([(User, User), (User, Account), (Account, User), (Account, Account)]),
)
@settings(max_examples=examples(200), deadline=None)
def test_the_laws_hold_whichever_side_declares_the_form(here, there, classes):
    def opened(name, held, cls):
        users = [
            {"idnumber": key.upper() if case else key, "name": text, "manager": "Ann" if text else None}
            for key, (case, text) in held.items()
        ]
        return tree(name, users, classes=(cls, Group))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        left, right = opened("left", here, classes[0]), opened("right", there, classes[1])
        diff = left - right
        assert -diff == right - left
        if classes != (Account, Account):
            assert {action.idnumber for action in diff if action.verb == "new"} == here.keys() - there.keys()
            assert {action.idnumber for action in diff if action.verb == "old"} == there.keys() - here.keys()
        for action in diff:
            diff.fold(action)
        assert not left - right
        right._branches["users"]._check()


# What the columns of a store have -----------------------------------------------------------------------------------


class Numbered(SQLSyncer):
    """A store whose keys, and what names them, are numbers under a declared text."""

    normalize = False

    def canonical(self, table, attributes, identifiers):
        del table
        forms = dict.fromkeys({*identifiers, *attributes} & {"idnumber", "manager", "members"}, number)
        return forms | ({"name": str.rstrip} if self.normalize and "name" in attributes else {})


def number(value):
    return value.lstrip("0") if value.strip().isdigit() else value


STORED = Table("groups", links={"members": Link("members", "code", "login")})


@pytest.fixture
def numbered(tmp_path, execute):
    url = f"sqlite:///{tmp_path}/store.db"
    (tmp_path / "store.db").touch()
    execute(
        url,
        "create table users (idnumber integer primary key, name text, manager integer)",
        "create table groups (idnumber text primary key)",
        "create table members (code text, login integer)",
        "insert into users values (7, 'x', 8), (8, 'y', null)",
        "insert into groups values ('g')",
        "insert into members values ('g', 7)",
    )
    return Numbered(url)


def stored(syncer, **keywords):
    branches = {"users": Branch(Account, **keywords), "groups": Branch(Group, table=STORED)}
    return +Tree("dest", branches=branches, syncer=syncer)


def test_keys_and_what_names_them_are_compared_as_the_column_has_them(numbered):
    users = [{"idnumber": "007", "name": "x", "manager": "08"}, {"idnumber": "8", "name": "y", "manager": None}]
    left = tree("source", users, [{"idnumber": "g", "members": {"0007"}}], (Account, Group))
    assert not left - stored(numbered)
    assert not stored(numbered) - left
    left.users["007"].name = "new"
    left.groups["g"].members.add("008")
    for count in (2, 0):
        right = stored(numbered)
        assert [(action.verb, action.idnumber) for action in left - right] == [("update", "7"), ("add", "g")][:count]
        assert left.sync_to(right, limits=Limits(updates=2)).counts["succeeded"] == count
        assert not left - right
    assert right.groups["g"].members == {"7", "8"}


def test_two_rows_that_the_column_takes_for_one_are_named(numbered):
    left = tree("source", rows("007", "7"), classes=(Account, Group))
    with pytest.raises(ComparisonError, match=r"source\.users: '007' and '7' are one key in dest\.users, '7'"):
        _ = left - stored(numbered)


def test_other_values_are_compared_as_the_column_has_them_if_that_is_asked_for(numbered):
    users = [{"idnumber": "7", "name": "x  ", "manager": "8"}, {"idnumber": "8", "name": "y"}]
    left = tree("source", users, [{"idnumber": "g", "members": {"7"}}], (Account, Group))
    assert [action.attr for action in left - stored(numbered)] == ["name"]
    numbered.normalize = True
    assert not left - stored(numbered)
    left.users["7"].name = "z  "
    right = stored(numbered)
    assert [action.value for action in left - right] == ["z"]
    assert left.sync_to(right, limits=Limits(updates=1)).ok
    assert not left - stored(numbered)


@pytest.mark.parametrize(("keys", "moved"), [(("7", "8"), False), (("07", "8"), True)])
def test_a_table_stays_one_unless_a_key_has_another_form(numbered, tmp_path, keys, moved):
    (tmp_path / "users.csv").write_text(f"idnumber,name,manager\n{keys[0]},x,8\n{keys[1]},y,\n")

    class Person(Object):
        idnumber: str
        name: str
        manager: str | None = None

    importer = CSVImporter(str(tmp_path / "users.csv"), null="")
    left = +Tree("source", branches={"users": Branch(Person, importer=importer, engine="duckdb")})
    right = +Tree("dest", branches={"users": Branch(Account)}, syncer=numbered)
    diff = left - right
    assert not diff
    assert (
        "source.users is in memory: its keys or values are written otherwise than those of dest.users" in diff.explain()
    ) is moved


# Keys of both sides that look alike ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "declared"),
    [
        ("U1@Example.org", "str.casefold"),
        ("u1@example.org ", "str.strip"),
        ("u1@example.org\u00a0", "str.strip"),
        ("\uff551@Example.org", "a function that returns what they have in common"),
    ],
)
def test_keys_of_the_two_sides_that_look_alike_are_warned_of(other, declared):
    left = tree("source", rows(other, "u0"), classes=(Account, Team))
    right = tree("dest", rows("u1@example.org", "u0"), classes=(Account, Team))
    with pytest.warns(DataWarning) as caught:
        assert len(left - right) == 2
    (warning,) = caught
    assert str(warning.message) == (
        "dest.users: idnumbers that differ from those of source.users only in case, Unicode form or blanks at their "
        f"ends are different: {other!r} and 'u1@example.org'; if they are one, declare `_key = {declared}` in Account"
    )


def test_keys_that_do_not_look_alike_or_are_on_both_sides_are_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        left = tree("source", rows("new", "both"), classes=(Account, Team))
        assert len(left - tree("dest", rows("both", "old"), classes=(Account, Team))) == 2
        assert not left - left


def test_the_warning_of_tables_is_the_same(tmp_path):
    for name, key in (("source", "U1"), ("dest", "u1")):
        (tmp_path / f"{name}.csv").write_text(f"idnumber,name\n{key},x\n")
    importers = {name: CSVImporter(str(tmp_path / f"{name}.csv")) for name in ("source", "dest")}
    left, right = (
        +Tree(name, branches={"users": Branch(Object, importer=importer, engine="duckdb")})
        for name, importer in importers.items()
    )
    declared = r"'U1' and 'u1'; if they are one, declare `_key = str\.casefold` in a class for users"
    with pytest.warns(DataWarning, match=declared):
        assert len(left - right) == 2
