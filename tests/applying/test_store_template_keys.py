"""Keys in one form, and values that code of the user's converts: what the store has is looked at by SQL alone."""

from datetime import date

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Importer, Limits, Link, Object, Table, Tree
from datastoresync.syncers import open_syncer
from datastoresync.syncers.sql.syncer import SQLSyncer

ANYTHING = Limits(deletions=100, updates=100, removals=100)
USERS = "create table users (idnumber varchar(40) {} primary key, name varchar(40), extra varchar(40))"
GROUPS = "create table groups (idnumber varchar(40) primary key, owner varchar(40) references users (idnumber))"
MEMBERS = (
    "create table group_members (code varchar(40) references groups (idnumber), "
    "login varchar(40) references users (idnumber), primary key (code, login))"
)


class User(Object):
    _key = str.casefold
    name: str


class Group(Object):
    _references = {"members": "users", "owner": "users"}
    owner: str | None = None
    members: set[str] = set()


class Account(Object):
    name: str


class Team(Object):
    owner: str | None = None
    members: set[str] = set()


OPENED = []


@pytest.fixture(autouse=True)
def closed():
    """Close what the test opens."""
    yield
    while OPENED:
        OPENED.pop().close()


def syncer(url):
    OPENED.append(SQLSyncer(url))
    return OPENED[-1]


KEPT = Table("groups", links={"members": Link("group_members", "code", "login")})


def source(users, groups=(), classes=(User, Group)):
    branches = {"users": Branch(classes[0], importer=users), "groups": Branch(classes[1], importer=groups)}
    return +Tree("source", branches=branches)


def dest(url, classes=(User, Group), **keywords):
    branches = {"users": Branch(classes[0], **keywords), "groups": Branch(classes[1], table=KEPT)}
    return +Tree("dest", branches=branches, syncer=syncer(url))


def rows(**users):
    return [{"idnumber": key, "name": name} for key, name in users.items()]


def filled(execute, url, collation=""):
    execute(
        url,
        USERS.format(collation),
        GROUPS,
        MEMBERS,
        "insert into users values ('USER7', 'old', 'x'), ('Ann', 'Ann', 'y'), ('Gone', 'G', 'z')",
        "insert into groups values ('g', 'Ann')",
        "insert into group_members values ('g', 'Ann'), ('g', 'USER7'), ('g', 'Gone')",
    )


@pytest.mark.parametrize("dest_classes", [(User, Group), (Account, Team)], ids=["both", "source alone"])
@pytest.mark.parametrize("collation", ["", "collate nocase", "collate rtrim"])
def test_a_declared_form_is_written_in_the_spelling_of_the_store(store_url, execute, collation, dest_classes):
    if collation and not store_url.startswith("sqlite"):
        pytest.skip("a collation of SQLite")
    filled(execute, store_url, collation)
    users = rows(user7="new", ANN="Ann", NewOne="N")
    groups = [{"idnumber": "g", "owner": "User7", "members": ["ann", "newone"]}]
    for night in (1, 2):
        left, right = source(users, groups), dest(store_url, dest_classes)
        diff = left - right
        assert -diff == right - left
        report = left.sync_to(right, limits=ANYTHING)
        assert report.ok
        assert report.counts["succeeded"] == (7 if night == 1 else 0)
        assert not left - right
        assert execute(store_url, "select * from users order by lower(idnumber)") == [
            ("Ann", "Ann", "y"),
            ("newone", "N", None),
            ("USER7", "new", "x"),
        ]
        assert execute(store_url, "select * from groups") == [("g", "USER7")]
        assert execute(store_url, "select login from group_members order by lower(login)") == [("Ann",), ("newone",)]


def test_an_account_that_changed_since_the_import_is_a_conflict_in_its_own_spelling(store_url, execute):
    filled(execute, store_url)
    left, right = (
        source(rows(user7="new", ann="Ann"), [{"idnumber": "g", "owner": None, "members": []}]),
        dest(store_url),
    )
    execute(store_url, "update users set name = 'changed' where idnumber = 'USER7'")
    execute(store_url, "update groups set owner = 'Gone' where idnumber = 'g'")
    report = left.sync_to(right, limits=ANYTHING, exclude=["old"])
    assert sorted(str(result.action.message).partition("(")[0] for result in report.failures) == [
        "update_name",
        "update_owner",
    ]
    assert {result.status for result in report.failures} == {"conflict"}
    assert execute(store_url, "select name from users where idnumber = 'USER7'") == [("changed",)]


def test_members_of_a_link_table_without_foreign_keys_are_removed_as_they_are_spelled_there(store_url, execute):
    filled(execute, store_url)
    execute(store_url, "drop table group_members", "create table group_members (code varchar(40), login varchar(40))")
    execute(store_url, "insert into group_members values ('g', 'ANN'), ('g', 'user7'), ('g', 'GONE')")
    right = dest(store_url)
    assert right.groups["g"].members == {"ann", "user7", "gone"}
    left = source(rows(user7="old", ann="Ann", gone="G"), [{"idnumber": "g", "owner": "ann", "members": ["ann"]}])
    assert left.sync_to(right, limits=ANYTHING).counts["succeeded"] == 2
    assert execute(store_url, "select login from group_members") == [("ANN",)]


def test_many_changes_to_keys_in_other_spellings_are_written_too(store_url, execute):
    execute(store_url, USERS.format(""), GROUPS, MEMBERS)
    execute(store_url, "insert into users values " + ", ".join(f"('U{n:04}', 'old', 'kept')" for n in range(2000)))
    users = [{"idnumber": f"u{n:04}", "name": "new"} for n in range(500, 2600)]
    left, right = source(users), dest(store_url)
    assert left.sync_to(right, limits=Limits(deletions=500, updates=2000)).counts["succeeded"] == 2600
    found = execute(store_url, "select idnumber, name, extra from users order by lower(idnumber)")
    assert found == [(f"U{n:04}", "new", "kept") for n in range(500, 2000)] + [
        (f"u{n:04}", "new", None) for n in range(2000, 2600)
    ]
    assert not left - dest(store_url)


class Place(Object):
    _identifiers = ("school", "login")
    _key = {"login": str.casefold}
    school: str
    login: str
    room: str


def test_one_part_of_a_key_in_one_form(store_url, execute):
    execute(store_url, "create table places (school varchar(9), login varchar(9), room varchar(9))")
    execute(store_url, "insert into places values ('A', 'Ann', 'old'), ('b', 'Ann', 'old')")
    given = [{"school": "A", "login": "ANN", "room": "1"}, {"school": "b", "login": "ann", "room": "old"}]
    for _ in range(2):
        left = +Tree("source", branches={"places": Branch(Place, importer=given)})
        right = +Tree("dest", branches={"places": Branch(Place)}, syncer=syncer(store_url))
        assert left.sync_to(right).ok
        assert execute(store_url, "select * from places order by room") == [("A", "Ann", "1"), ("b", "Ann", "old")]
    assert right.places["A", "aNN"].room == "1"


# Converters of the user's own --------------------------------------------------------------------------------------

MAILS = "create table users (idnumber varchar(40) primary key, email varchar(40), phone varchar(40))"


def lower(value):
    return None if value is None else value.lower()


def digits(value):
    return None if value is None else "".join(filter(str.isdigit, value))


class Own(Object):
    email: str = attrs.field(converter=lower)
    phone: str | None = attrs.field(converter=digits, default=None)


class Initialised(Object):
    email: str
    phone: str | None = None

    def __attrs_post_init__(self):
        self.email, self.phone = lower(self.email), digits(self.phone)


class Set(Object):
    email: str
    phone: str | None = None

    def __setattr__(self, name, value):
        super().__setattr__(name, {"email": lower, "phone": digits}.get(name, lambda value: value)(value))


class Plain(Object):
    email: str
    phone: str | None = None


class Computed(Object):
    _mail: str
    _phone: str | None = None

    @property
    def email(self):
        return lower(self._mail)

    @property
    def phone(self):
        return digits(self._phone)


class Prepared(Importer):
    """Reads what a database holds, and makes other values of it."""

    in_place = False

    def __init__(self, url, made=("email", "phone", "idnumber")):
        self.url, self.made = url, made

    def read(self):
        return [dict(row) for row in syncer(self.url).load("users")]

    def prepare(self, row):
        changed = row if self.in_place else dict(row)
        for name in self.made:
            changed[name] = {"phone": digits}.get(name, lower)(changed[name])
        return changed


class InPlace(Prepared):
    in_place = True


class Streaming(Prepared):
    def read(self):
        return syncer(self.url).read("users", ["idnumber", "email", "phone"])


class Renamed(Importer):
    """Reads the columns as they are called in the table."""

    def __init__(self, url, made=()):
        self.url = url

    def read(self):
        return syncer(self.url).load("accounts")

    def prepare(self, row):
        return {"idnumber": lower(row["login"]), "email": lower(row["mail"]), "phone": digits(row["tel"])}


MAPPED = Table("users", columns={"_mail": "email", "_phone": "phone"})
WAYS = {
    "converter": lambda url: Branch(Own),
    "__attrs_post_init__": lambda url: Branch(Initialised),
    "__setattr__": lambda url: Branch(Set),
    "prepare": lambda url: Branch(Plain, importer=Prepared(url, ("email", "phone"))),
    "prepare in place": lambda url: Branch(Plain, importer=InPlace(url, ("email", "phone"))),
    "prepare of a stream": lambda url: Branch(Plain, importer=Streaming(url, ("email", "phone"))),
    "property": lambda url: Branch(Computed, table=MAPPED),
    "property of a large table": lambda url: Branch(Computed, table=MAPPED, engine="duckdb"),
}


@pytest.fixture(params=WAYS)
def mails(request, store_url, execute):
    """A tree over a table whose values the user's own code converts, and its URL."""
    execute(store_url, MAILS)
    execute(
        store_url,
        "insert into users values ('1', 'Ann@X.edu', '+49 (0)30 1'), ('2', 'bob@x.edu', null), "
        "('3', 'Cid@X.edu', '3-3'), ('4', 'dan@x.edu', '4')",
    )
    return (
        store_url,
        lambda: +Tree("dest", branches={"users": WAYS[request.param](store_url)}, syncer=syncer(store_url)),
    )


WANTED = [
    {"idnumber": "1", "email": "ann.new@x.edu", "phone": "49301"},
    {"idnumber": "2", "email": "bob@x.edu", "phone": "2"},
    {"idnumber": "4", "email": "dan@x.edu", "phone": "4"},
]


def wanted():
    return +Tree("source", branches={"users": Branch(Plain, importer=WANTED)})


def test_what_is_expected_is_what_was_read_before_the_users_own_code(mails, execute):
    url, opened = mails
    for succeeded in (4, 0):
        left, right = wanted(), opened()
        report = left.sync_to(right, limits=ANYTHING)
        assert report.ok
        assert report.counts["succeeded"] == succeeded
        assert not left - right
        assert execute(url, "select * from users order by idnumber") == [
            ("1", "ann.new@x.edu", "49301"),
            ("2", "bob@x.edu", "2"),
            ("4", "dan@x.edu", "4"),
        ]


def test_a_real_change_since_the_import_is_still_a_conflict(mails, execute):
    url, opened = mails
    left, right = wanted(), opened()
    execute(url, "update users set email = 'ANN@y.edu' where idnumber = '1'")
    execute(url, "update users set phone = '3--3' where idnumber = '3'")  # of the same digits
    report = left.sync_to(right, limits=ANYTHING)
    assert {(result.action.idnumber, result.status) for result in report.failures} == {
        ("1", "conflict"),
        ("3", "conflict"),
    }
    assert execute(url, "select idnumber, email, phone from users where idnumber in ('1', '3') order by 1") == [
        ("1", "ANN@y.edu", "+49 (0)30 1"),
        ("3", "Cid@X.edu", "3--3"),
    ]


def test_several_runs_after_one_import_expect_what_was_written(mails, execute):
    url, opened = mails
    left, right = wanted(), opened()
    for name in ("one", "two"):
        left.users["1"].email = f"{name}@x.edu"
        assert left.sync_to(right, limits=ANYTHING).ok
        assert execute(url, "select email from users where idnumber = '1'") == [(f"{name}@x.edu",)]
    left.users.remove("1")
    assert left.sync_to(right, limits=ANYTHING).ok
    assert execute(url, "select idnumber from users order by 1") == [("2",), ("4",)]


@pytest.mark.parametrize(
    ("importer", "table"),
    [
        (Prepared, "users"),
        (InPlace, "users"),
        (Streaming, "users"),
        (Renamed, Table("accounts", columns={"idnumber": "login", "email": "mail", "phone": "tel"})),
    ],
)
def test_a_key_that_prepare_writes_otherwise_is_found_in_the_store(store_url, execute, importer, table):
    execute(store_url, MAILS, "insert into users values ('ANN', 'Ann@X.edu', '1-1'), ('BOB', 'bob@x.edu', null)")
    if importer is Renamed:
        execute(store_url, "create table accounts as select idnumber as login, email as mail, phone as tel from users")
    given = [{"idnumber": "ann", "email": "new@x.edu", "phone": "11"}]
    for succeeded in (2, 0):
        left = +Tree("source", branches={"users": Branch(Plain, importer=given)})
        branch = Branch(Plain, importer=importer(store_url), table=table)
        right = +Tree("dest", branches={"users": branch}, syncer=syncer(store_url))
        report = left.sync_to(right, limits=ANYTHING)
        assert report.ok
        assert report.counts["succeeded"] == succeeded
        name = "accounts" if importer is Renamed else "users"
        assert execute(store_url, f"select * from {name}") == [("ANN", "new@x.edu", "1-1")]


class Dated(Importer):
    """Reads dates as text, by another driver."""

    def __init__(self, rows):
        self.rows = rows

    def read(self):
        return self.rows

    def prepare(self, row):
        return {**row, "born": date.fromisoformat(row["born"])}


def test_what_prepare_made_is_as_good_where_the_store_gives_just_that(store_url, execute):
    execute(store_url, "create table users (idnumber varchar(9) primary key, born date)")
    execute(store_url, "insert into users values ('1', '2026-01-01'), ('2', '2026-01-02'), ('3', '2026-01-03')")
    rows = [{"idnumber": str(day), "born": f"2026-01-0{day}"} for day in (1, 2, 3)]
    given = [{"idnumber": "1", "born": date(2026, 2, 1)}, {"idnumber": "3", "born": date(2026, 2, 3)}]
    left = +Tree("source", branches={"users": Branch(Object, importer=given)})
    branches = {"users": Branch(Object, importer=Dated(rows))}
    right = +Tree("dest", branches=branches, syncer=syncer(store_url))
    execute(store_url, "update users set born = '2026-03-03' where idnumber = '3'")
    report = left.sync_to(right, limits=ANYTHING)
    assert {(result.action.idnumber, result.status) for result in report.failures} == {("3", "conflict")}
    found = execute(store_url, "select idnumber, born from users order by 1")
    assert [(key, str(born)) for key, born in found] == [("1", "2026-02-01"), ("3", "2026-03-03")]


class Cased(Object):
    members: set[str] = attrs.field(converter=lambda members: set(map(str.lower, members)), factory=set)


def test_a_member_that_the_users_own_code_converts_is_removed_as_the_store_has_it(store_url, execute):
    execute(
        store_url,
        "create table groups (idnumber varchar(9) primary key)",
        "create table group_members (code varchar(9), login varchar(9))",
        "insert into groups values ('g')",
        "insert into group_members values ('g', 'Ann'), ('g', 'BOB'), ('g', 'cid')",
    )
    for removed in (2, 0):
        left = +Tree("source", branches={"groups": Branch(Cased, importer=[{"idnumber": "g", "members": {"Bob"}}])})
        right = +Tree("dest", branches={"groups": Branch(Cased, table=KEPT)}, syncer=syncer(store_url))
        report = left.sync_to(right, limits=ANYTHING)
        assert report.counts["succeeded"] == removed
        assert execute(store_url, "select login from group_members") == [("BOB",)]


class Rounded(Object):
    idnumber: str
    points: int | None = attrs.field(converter=lambda text: round(int(text), -1) if text else None)
    left: date | None = attrs.field(
        default=None, converter=lambda text: date.fromisoformat(str(text)) if text else None
    )


def test_a_file_of_texts_holds_what_the_users_own_code_reads_again(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("idnumber,points,left\n1,11,2026-01-02\n2,26,2026-01-02\n3,31,2026-01-02\n")
    importer = [{"idnumber": "1", "points": 29, "left": "2026-01-02"}, {"idnumber": "2", "points": 43}]
    importer += [{"idnumber": "4", "points": 3, "left": "2026-01-03"}]
    left = +Tree("source", branches={"users": Branch(Rounded, importer=importer)})
    right = +Tree("dest", branches={"users": Branch(Rounded)}, syncer=open_syncer(f"csv:{path}"))
    path.write_text(path.read_text().replace("2,26", "2,27"))  # which reads as the same, and is not
    report = left.sync_to(right, limits=ANYTHING)
    conflicts = {(result.action.idnumber, result.action.attr): result.status for result in report.failures}
    assert set(conflicts) == {("2", "points"), ("2", "left")}
    assert set(conflicts.values()) == {"conflict"}
    lines = path.read_text().split()
    assert lines == ["idnumber,points,left", "1,30,2026-01-02", "2,27,2026-01-02", "4,0,2026-01-03"]
    again = +Tree("dest", branches={"users": Branch(Rounded)}, syncer=open_syncer(f"csv:{path}"))
    assert {action.idnumber for action in left - again} == {"2"}


class Login(Object):
    idnumber: str = attrs.field(converter=str.lower)
    email: str


def test_a_key_with_a_converter_of_the_users_own(store_url, execute):
    execute(store_url, MAILS, "insert into users values ('ANN', 'a', 'kept'), ('BOB', 'b', null)")
    for _ in range(2):
        left = +Tree("source", branches={"users": Branch(Login, importer=[{"idnumber": "Ann", "email": "new"}])})
        right = +Tree("dest", branches={"users": Branch(Login)}, syncer=syncer(store_url))
        assert next(iter(right.users)) == "ann"
        assert left.sync_to(right, limits=ANYTHING).ok
        assert execute(store_url, "select * from users") == [("ANN", "new", "kept")]


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.booleans(), st.sampled_from("XxYy")), max_size=8),
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.booleans(), st.sampled_from("XxYy")), max_size=8),
    st.sampled_from([(User, User), (User, Account), (Account, User)]),
)
@settings(max_examples=examples(60), deadline=None)
def test_the_second_night_finds_nothing_and_no_row_is_made_again(tmp_path_factory, here, there, classes):
    import sqlite3

    def spelled(key, case):
        return key.upper() if case else key

    path = tmp_path_factory.mktemp("law") / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute(USERS.format("collate nocase"))
        stored = [(spelled(key, case), name, f"kept {key}") for key, (case, name) in there.items()]
        connection.executemany("insert into users values (?, ?, ?)", stored)
    users = [{"idnumber": spelled(key, case), "name": name} for key, (case, name) in here.items()]
    for night in (1, 2):
        left = +Tree("source", branches={"users": Branch(classes[0], importer=users)})
        right = +Tree("dest", branches={"users": Branch(classes[1])}, syncer=syncer(f"sqlite:///{path}"))
        report = left.sync_to(right, limits=Limits(deletions=9, updates=9, empty=["users"]))
        assert report.ok
        assert night == 1 or not report.counts["succeeded"]
        found = sqlite3.connect(path).execute("select * from users").fetchall()
        expected = {
            (spelled(key, there[key][0]), name, f"kept {key}") if key in there else (key, name, None)
            for key, (_, name) in here.items()
        }
        assert set(found) == expected
        assert len(found) == len(here)
