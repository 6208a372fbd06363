"""What depends on what a database did not do: read from the tables themselves, with its own constraints at work."""

import pytest
import sqlalchemy
from engine_statements import execute

from datastoresync import Branch, Limits, Link, Object, Table, Tree

ANYTHING = Limits(deletions=100, updates=100, removals=100, cascades=100, empty=["users", "groups", "devices"])

TABLES = """
create table users (idnumber varchar(20) primary key, name varchar(20) not null check (name <> 'bad'));
create table groups (idnumber varchar(20) primary key, owner varchar(20) references users (idnumber));
create table members (
    grp varchar(20) references groups (idnumber), member varchar(20) references users (idnumber),
    primary key (grp, member)
);
create table devices (
    idnumber varchar(20) primary key, owner varchar(20) references users (idnumber) on delete cascade, role varchar(20)
);
"""


class User(Object):
    _key = str.casefold
    name: str


class Group(Object):
    _references = {"members": "users", "owner": "users"}
    members: set[str] = set()
    owner: str | None = None


class Device(Object):
    _key = str.casefold
    _references = {"owner": "users"}
    owner: str | None = None
    role: str = "x"


BRANCHES = {
    "users": Branch(User),
    "groups": Branch(Group, table=Table("groups", links={"members": Link("members", "grp", "member")})),
    "devices": Branch(Device),
}


@pytest.fixture
def engine(store_url):
    engine = sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool)
    execute(engine, *TABLES.split(";")[:-1])
    return engine


def rows(engine, table):
    with engine.connect() as connection:
        return sorted(map(tuple, connection.exec_driver_sql(f"select * from {table}")))


def source(users=(), groups=(), devices=()):
    kinds = {"users": (User, "name"), "groups": (Group, "members", "owner"), "devices": (Device, "owner")}
    found = {}
    for (branch, (cls, *names)), given in zip(kinds.items(), (users, groups, devices), strict=True):
        found[branch] = Branch(
            cls, importer=[{"idnumber": key, **dict(zip(names, values, strict=True))} for key, *values in given]
        )
    return +Tree("source", branches=found)


def said(report, *statuses):
    return {
        (result.action.verb, result.action.branch, result.action.idnumber): (result.status, result.reason)
        for result in report.results
        if result.status not in ("succeeded", *statuses)
    }


COULD_NOT = ("skipped", "users 'bob' could not be created")


@pytest.mark.parametrize("rehearse", [False, True])
def test_what_refers_to_a_creation_that_failed_is_left_out_and_the_rest_is_written(engine, syncer, rehearse):
    execute(engine, "insert into users values ('ANN', 'a')", "insert into groups values ('staff', 'ANN')")
    dest = +Tree("dest", syncer=syncer, branches=BRANCHES)
    wanted = source(
        [("ann", "a"), ("Bob", "bad"), ("eve", "e")],
        [("staff", {"ann", "bob", "eve"}, "bob"), ("new", {"bob"}, None), ("other", {"ann"}, "ann")],
        [("pc", "bob"), ("tv", "ann")],
    )
    before = wanted - dest
    report = wanted.sync_to(dest, on_error="continue", limits=ANYTHING, rehearse=rehearse)
    found = said(report)
    assert found.pop(("new", "users", "bob"))[0] == "failed"
    assert found == {
        ("new", "groups", "new"): COULD_NOT,
        ("add", "groups", "staff"): COULD_NOT,
        ("update", "groups", "staff"): COULD_NOT,
        ("new", "devices", "pc"): COULD_NOT,
    }
    assert not report.ok
    if rehearse:
        assert rows(engine, "users") == [("ANN", "a")]
        assert wanted - dest == before
        assert said(wanted.sync_to(dest, on_error="continue", limits=ANYTHING)).keys() == said(report).keys()
    assert rows(engine, "users") == [("ANN", "a"), ("eve", "e")]
    assert rows(engine, "members") == [("other", "ANN"), ("staff", "ANN"), ("staff", "eve")]
    assert rows(engine, "groups") == [("other", "ANN"), ("staff", "ANN")]
    assert rows(engine, "devices") == [("tv", "ANN", "x")]


def test_a_conflict_holds_back_what_refers_to_it_in_a_run_that_stops_at_failures(engine, syncer):
    execute(engine, "insert into users values ('ann', 'a')", "insert into groups values ('staff', 'ann')")
    dest = +Tree("dest", syncer=syncer, branches=BRANCHES)
    execute(engine, "insert into users values ('bob', 'by hand')")
    report = source([("ann", "a"), ("bob", "b")], [("staff", {"ann", "bob"}, "ann")]).sync_to(dest, limits=ANYTHING)
    found = said(report)
    assert found.pop(("new", "users", "bob"))[0] == "conflict"
    assert found == {("add", "groups", "staff"): COULD_NOT}
    assert rows(engine, "members") == [("staff", "ann")]


def test_what_was_changed_since_keeps_what_it_refers_to(engine, syncer):
    users = ["insert into users values ('ANN', 'a'), ('bob', 'b'), ('eve', 'e')"]
    execute(engine, *users, "insert into devices values ('PC', 'ANN', 'x'), ('tv', 'bob', 'x')")
    dest = +Tree("dest", syncer=syncer, branches=BRANCHES)
    execute(engine, "update devices set role = 'by hand' where idnumber = 'PC'")
    report = source().sync_to(dest, limits=ANYTHING)
    found = said(report)
    assert found.pop(("old", "devices", "pc"))[0] == "conflict"
    assert found == {("old", "users", "ann"): ("skipped", "devices 'pc' refers to it, and could not be deleted")}
    assert rows(engine, "users") == [("ANN", "a")]
    assert rows(engine, "devices") == [("PC", "ANN", "by hand")]
