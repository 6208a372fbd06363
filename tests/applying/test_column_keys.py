"""Keys that are declared as text, over columns that have one form for several texts: looked at by SQL alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, ComparisonError, Limits, Link, Object, Table, Tree
from datastoresync.syncers.sql.syncer import SQLSyncer

ANYTHING = Limits(deletions=100, updates=100, removals=100)
KEPT = Table("groups", links={"members": Link("group_members", "code", "login")})


class User(Object):
    _references = {"boss": "users"}
    idnumber: str
    name: str = ""
    boss: str | None = None


class Group(Object):
    _references = {"members": "users"}
    idnumber: str
    members: set[str] = set()


OPENED = []


@pytest.fixture(autouse=True)
def closed():
    """Close what the test opens."""
    yield
    while OPENED:
        OPENED.pop().close()


def source(users, members=()):
    branches = {
        "users": Branch(User, importer=users),
        "groups": Branch(Group, importer=[{"idnumber": "g", "members": set(members)}]),
    }
    return +Tree("source", branches=branches)


def dest(url):
    OPENED.append(SQLSyncer(url))
    return +Tree("dest", branches={"users": Branch(User), "groups": Branch(Group, table=KEPT)}, syncer=OPENED[-1])


def filled(execute, url, column, *keys):
    execute(
        url,
        f"create table users (idnumber {column} primary key, name varchar(20), boss {column}, extra varchar(20))",
        "create table groups (idnumber varchar(20) primary key)",
        f"create table group_members (code varchar(20), login {column}, primary key (code, login))",
        "insert into groups values ('g')",
        f"insert into group_members values ('g', {keys[0]})",
        f"insert into users values ({keys[0]}, 'a', null, 'kept'), ({keys[1]}, 'old', {keys[0]}, 'kept')",
    )


UUIDS = ("'00000000-0000-0000-0000-00000000000a'", "'00000000-0000-0000-0000-00000000000b'")
COLUMNS = {
    "integer": ("7", "8", "007", "08"),
    "numeric(10,2)": ("7.5", "8", "7.50", "8.0"),
    "uuid": (*UUIDS, "00000000-0000-0000-0000-00000000000A", "0000000000000000000000000000000B"),
    "char(10)": ("'a'", "'b'", "a ", "b"),
}


def test_the_keys_of_a_domain_over_padded_text_are_without_their_blanks(database, execute):
    execute(database, "drop domain if exists padded", "create domain padded as char(10)")
    filled(execute, database, "padded", "'a'", "'b'")
    users = [{"idnumber": "a  ", "name": "a"}, {"idnumber": "b ", "name": "new", "boss": "a "}]
    report = source(users, {"a "}).sync_to(dest(database), limits=ANYTHING)
    assert (report.ok, report.succeeded) == (True, 1)
    assert execute(database, "select idnumber::text, name, boss::text, extra from users order by 1") == [
        ("a", "a", None, "kept"),
        ("b", "new", "a", "kept"),
    ]
    assert not (source(users, {"a "}) - dest(database))


@pytest.mark.parametrize("column", COLUMNS)
def test_the_second_night_finds_nothing_and_the_rows_are_the_same(store_url, execute, column):
    if store_url.startswith("sqlite") and column not in ("integer", "numeric(10,2)"):
        pytest.skip("a type of PostgreSQL")
    first, second, *written = COLUMNS[column]
    filled(execute, store_url, column, first, second)
    key, other = written
    users = [{"idnumber": key, "name": "a"}, {"idnumber": other, "name": "new", "boss": key}]
    for members, changed in (((key,), 1), ((key, other), 1), ((key, other), 0), ((other,), 1), ((other,), 0)):
        left, right = source(users, members), dest(store_url)
        assert len(left - right) == changed
        assert -(left - right) == right - left
        report = left.sync_to(right, limits=ANYTHING)
        assert report.ok
        assert report.counts["succeeded"] == changed
        assert not left - right
    assert execute(store_url, f"select name, extra from users where idnumber = {first} and boss is null") == [
        ("a", "kept")
    ]
    assert execute(store_url, f"select name, extra from users where idnumber = {second} and boss = {first}") == [
        ("new", "kept")
    ]
    assert execute(store_url, "select count(*) from users") == [(2,)]
    assert execute(store_url, f"select count(*) from group_members where login = {second}") == [(1,)]
    assert execute(store_url, "select count(*) from group_members") == [(1,)]


def test_two_rows_that_are_one_to_the_column_are_named_before_anything_is_written(store_url, execute):
    filled(execute, store_url, "integer", "7", "8")
    with pytest.raises(ComparisonError, match=r"source\.users: '(07|7)' and '(07|7)' are one key in dest\.users, '7'"):
        _ = source([{"idnumber": "07"}, {"idnumber": "7"}]) - dest(store_url)


def test_a_text_that_the_column_cannot_hold_is_new_and_refused(store_url, execute):
    filled(execute, store_url, "integer", "7", "8")
    users = [{"idnumber": "7", "name": "a"}, {"idnumber": "8", "name": "old", "boss": "7"}, {"idnumber": "x9"}]
    left, right = source(users, ["7"]), dest(store_url)
    assert [action.message for action in left - right] == ["new_users(idnumber='x9')"]
    assert not left.sync_to(right).ok
    assert execute(store_url, "select count(*) from users") == [(2,)]


@given(
    st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 2), st.sampled_from("xy")), max_size=8),
    st.dictionaries(st.integers(0, 30), st.sampled_from("xy"), max_size=8),
)
@settings(max_examples=examples(60), deadline=None)
def test_numbers_in_any_spelling_are_synced_once(tmp_path_factory, here, there):
    import sqlite3

    path = tmp_path_factory.mktemp("law") / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table users (idnumber integer primary key, name text, boss integer, extra text)")
        connection.execute("create table groups (idnumber text primary key)")
        connection.execute("create table group_members (code text, login integer)")
        connection.execute("insert into groups values ('g')")
        rows = [(key, name, None, str(key)) for key, name in there.items()]
        connection.executemany("insert into users values (?, ?, ?, ?)", rows)
    users = [
        {"idnumber": "0" * zeros + str(key), "name": name, "boss": str(min(here))}
        for key, (zeros, name) in here.items()
    ]
    for night in (1, 2):
        report = source(users).sync_to(
            dest(f"sqlite:///{path}"), limits=Limits(deletions=9, updates=9, empty=["users"])
        )
        assert report.ok
        assert night == 1 or not report.counts["succeeded"]
        expected = [(key, here[key][1], min(here), str(key) if key in there else None) for key in sorted(here)]
        assert sqlite3.connect(path).execute("select * from users order by 1").fetchall() == expected


def test_keys_of_a_branch_whose_members_have_ids_of_the_databases_own_have_one_form_too(execute, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table users (idnumber integer primary key, name text, boss integer)",
        "create table groups (idnumber integer primary key)",
        "create table group_members (code integer references groups, login integer references users)",
        "insert into users values (7, 'a', null)",
        "insert into groups values (7), (8)",
        "insert into group_members values (8, 7)",
    )
    groups = [{"idnumber": "007", "members": {"07"}}, {"idnumber": "8", "members": {"7"}}]
    branches = {
        "users": Branch(User, importer=[{"idnumber": "007", "name": "a"}]),
        "groups": Branch(Group, importer=groups),
    }
    report = (+Tree("source", branches=branches)).sync_to(dest(url), limits=ANYTHING)
    assert report.ok
    assert execute(url, "select * from groups") == [(7,), (8,)]
    assert sorted(execute(url, "select * from group_members")) == [(7, 7), (8, 7)]


@pytest.mark.filterwarnings("ignore::datastoresync.DataWarning")
def test_what_is_left_out_before_anything_is_written_keeps_the_row_that_it_is_one_with(execute, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table users (idnumber text collate nocase primary key, name text, boss text, extra text)",
        "create table groups (idnumber text primary key)",
        "create table group_members (code text, login text)",
        "insert into users values ('ann', '', null, 'kept'), ('old', '', null, '')",
        "insert into groups values ('g')",
    )
    wanted = source([{"idnumber": "ANN", "boss": "eve"}, {"idnumber": "eve"}])
    report = wanted.sync_to(dest(url), limits=ANYTHING, exclude=lambda action: action.idnumber == "eve")
    assert {result.action.idnumber: result.status for result in report.results} == {
        "ANN": "skipped",
        "ann": "conflict",
        "old": "succeeded",
    }
    assert execute(url, "select * from users") == [("ann", "", None, "kept")]
