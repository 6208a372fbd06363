"""Members that a lost owner has left behind, where no foreign key keeps them from it."""

from __future__ import annotations

import pytest
import sqlalchemy

from datastoresync.syncers.changes import Change, Link, Table
from datastoresync.syncers.sql.syncer import SQLSyncer

GROUPS = Table("groups", links={"members": Link("memberships", "owner", "member")})
USERS = Table("users", links={"groups": Link("memberships", "member", "owner")})


def same(change, attribute, raw, expected):
    return raw == (set(expected) if isinstance(raw, set) else expected)


@pytest.fixture
def rows(store_url, execute):
    """Makes tables without foreign keys, with some members; returns a function that reads the members."""
    execute(
        store_url,
        "create table groups (idnumber varchar(9) primary key, title varchar(9))",
        "create table users (idnumber varchar(9) primary key, name varchar(9))",
        "create table memberships (owner varchar(9), member varchar(9), primary key (owner, member))",
        "insert into groups values ('a', 'A')",
        "insert into memberships values ('a', '1'), ('g', '2'), ('g', '3'), ('h', '4')",
    )
    engine = sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool)

    def read():
        with engine.connect() as connection:
            return {tuple(row) for row in connection.exec_driver_sql("select owner, member from memberships")}

    return read


def group(key, members):
    return Change("insert", GROUPS, ("idnumber",), (key,), {"idnumber": key, "title": "new", "members": members})


def test_members_that_an_older_group_left_behind_do_not_come_back(store_url, rows):
    with SQLSyncer(store_url) as syncer:
        outcomes = syncer.apply_changes([group("g", {"3", "5"}), group("new", {"6"})], same=same)
    assert [(outcome.status, outcome.held) for outcome in outcomes] == [("done", None)] * 2
    assert rows() == {("a", "1"), ("g", "3"), ("g", "5"), ("h", "4"), ("new", "6")}
    (warning,) = [warning for warning in outcomes.warnings if "memberships" in warning]
    assert warning.startswith("table 'memberships': 1 row had no owner in 'groups' any more, and went when one of the")


def test_both_sides_of_a_link_table_may_be_written_in_one_run(store_url, rows):
    user = Change("insert", USERS, ("idnumber",), ("5",), {"idnumber": "5", "name": "Eve", "groups": {"g"}})
    with SQLSyncer(store_url) as syncer:
        outcomes = syncer.apply_changes([group("g", {"5"}), user], same=same)
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert rows() == {("a", "1"), ("g", "5"), ("h", "4")}


def test_what_is_rolled_back_is_not_said(store_url, rows):
    too_long = Change(
        "insert", GROUPS, ("idnumber",), ("x" * 3,), {"idnumber": "x" * 3, "title": ["no"], "members": set()}
    )
    with SQLSyncer(store_url) as syncer:
        outcomes = syncer.apply_changes([group("g", set()), too_long], same=same)
    assert [outcome.status for outcome in outcomes] == ["undone", "failed"]
    assert [warning for warning in outcomes.warnings if "no owner" in warning] == []
    assert ("g", "2") in rows()
