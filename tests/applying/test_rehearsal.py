"""A rehearsal in a database: the report is that of a real run, and nothing has changed."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Limits, Link, Object, SQLSyncer, Table, Tree

ANYTHING = Limits(deletions=100, updates=100, removals=100, cascades=100, empty=["users", "groups"])

TABLES = """
create table users (
    idnumber text primary key, name text not null check (name <> 'bad'), room text unique, manager text references users
);
create table groups (idnumber text primary key, title text);
create table members (
    grp text references groups on delete cascade, member text references users on delete cascade,
    primary key (grp, member)
);
create table orders (number integer primary key, user text references users on delete cascade);
create table visits (number integer primary key, user text references users on delete restrict);
create trigger loud after update of title on groups begin
    update groups set title = upper(title) where idnumber = new.idnumber;
end;
create trigger swallowed before insert on users when new.name = 'nobody' begin select raise(ignore); end;
"""


class User(Object):
    _references = {"manager": "users"}
    name: str
    room: str | None = None
    manager: str | None = None


class Group(Object):
    _references = {"members": "users"}
    title: str
    members: set[str] = set()


BRANCHES = {
    "users": Branch(User),
    "groups": Branch(Group, table=Table("groups", links={"members": Link("members", "grp", "member")})),
}


@st.composite
def worlds(draw, names):
    users = draw(st.sets(st.sampled_from("abcd")))
    some = sorted(users) or [None]
    return {
        "users": [
            {
                "idnumber": key,
                "name": draw(st.sampled_from(names)),
                "room": room,
                "manager": draw(st.none() | st.sampled_from([one for one in some if one and one < key] or [None])),
            }
            for key, room in zip(sorted(users), draw(st.permutations(["1", "2", "3", None])), strict=False)
        ],
        "groups": [
            {
                "idnumber": key,
                "title": draw(st.sampled_from("XYx")),
                "members": draw(st.sets(st.sampled_from(some))) - {None},
            }
            for key in sorted(draw(st.sets(st.sampled_from("gh"))))
        ],
    }


def content(path):
    with sqlite3.connect(path) as connection:
        return list(connection.iterdump())


def store(path, world, orders, visits):
    connection = sqlite3.connect(path)
    connection.executescript(TABLES)
    for row in world["users"]:
        connection.execute("insert into users values (:idnumber, :name, :room, :manager)", row)
    for row in world["groups"]:
        connection.execute("insert into groups values (?, ?)", (row["idnumber"], row["title"]))
        connection.executemany("insert into members values (?, ?)", [(row["idnumber"], one) for one in row["members"]])
    users = {row["idnumber"] for row in world["users"]}
    connection.executemany("insert into orders (user) values (?)", [(one,) for one in orders if one in users])
    connection.executemany("insert into visits (user) values (?)", [(one,) for one in visits if one in users])
    connection.commit()
    connection.close()


def outcome(report):
    """Return what a report says, whatever run it is of."""
    shown = [(one.status, one.reason, one.action.message, one.held) for one in report.results]
    return shown, report.warnings, report.counts, report.ok


KEYS = st.lists(st.sampled_from("abcd"), max_size=3)


@pytest.mark.parametrize("on_error", ["stop", "continue"])
@given(worlds(["Ann", "Bob", "bad", "nobody"]), worlds(["Ann", "Bob"]), KEYS, KEYS)
@settings(max_examples=examples(60, quick=5), deadline=None)
def test_a_rehearsal_has_the_report_of_a_run_and_changes_nothing(
    tmp_path_factory, on_error, wanted, there, orders, visits
):
    path = tmp_path_factory.mktemp("rehearsal") / "store.db"
    store(path, there, orders, visits)
    branches = {name: Branch(one.object_class, importer=wanted[name]) for name, one in BRANCHES.items()}
    source = +Tree("source", branches=branches)
    with SQLSyncer(f"sqlite:///{path}") as syncer:
        dest = +Tree("dest", syncer=syncer, branches=BRANCHES)
        diff, before = source - dest, content(path)
        rehearsed = source.rehearse(dest, on_error=on_error, limits=ANYTHING)
        assert content(path) == before
        assert source - dest == diff
        assert rehearsed.stat.endswith(" rehearsed")
        done = source.sync_to(dest, on_error=on_error, limits=ANYTHING)
        assert outcome(rehearsed) == outcome(done)
