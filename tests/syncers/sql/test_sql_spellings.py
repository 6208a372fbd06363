"""Keys and members that a database takes for one, although they are spelled differently: nothing is done to either."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import DataWarning
from datastoresync.syncers.changes import Change, Link, Table, WriteOptions
from datastoresync.syncers.sql import statements as sql_statements
from datastoresync.syncers.sql.spellings import how_to_declare
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])

KEY = ("key",)
T = Table("things", links={"members": Link("members", "owner", "member")})
ICU = "create collation loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
STORES = {
    "nocase": ("sqlite", "text collate nocase", ()),
    "rtrim": ("sqlite", "text collate rtrim", ()),
    "general": ("mariadb", "varchar(20)", ()),
    "unicode": ("mariadb", "varchar(20) collate utf8mb4_unicode_ci", ()),
    "citext": ("full_postgresql", "citext", ("create extension citext",)),
    "icu": ("full_postgresql", "text collate loose", (ICU,)),
}
MARKS = {"sqlite": (), "mariadb": pytest.mark.mariadb, "full_postgresql": pytest.mark.full_postgresql}
OTHER = {"rtrim": "ann "}
"""Another spelling of ann; elsewhere it is ANN."""


@pytest.fixture(params=[pytest.param(name, marks=MARKS[kind]) for name, (kind, *_) in STORES.items()])
def name(request):
    return request.param


@pytest.fixture
def other(name):
    return OTHER.get(name, "ANN")


@pytest.fixture
def url(name, request, tmp_path, execute):
    kind, column, before = STORES[name]
    url = f"sqlite:///{tmp_path / 'store.db'}" if kind == "sqlite" else request.getfixturevalue(kind)
    execute(
        url,
        *before,
        f"create table things (`key` {column} primary key, a integer, extra varchar(9))".replace("`", quote(kind)),
        f"create table members (owner {column}, member {column}, extra varchar(9), primary key (owner, member))",
    )
    return url


def quote(kind):
    return "`" if kind == "mariadb" else '"'


def same(change, attribute, raw, expected):
    return raw == expected


def insert(key, members=(), **values):
    return Change("insert", T, KEY, (key,), {"key": key, "members": set(members), **values})


def update(key, **pairs):
    expected = {name: pair[0] for name, pair in pairs.items()}
    return Change("update", T, KEY, (key,), {name: pair[1] for name, pair in pairs.items()}, expected)


def delete(key, **expected):
    return Change("delete", T, KEY, (key,), {}, expected)


def link(key, member, verb="link"):
    return Change(verb, T, KEY, (key,), {"members": member})


def apply(url, *changes):
    with SQLSyncer(url) as syncer:
        found = syncer.apply_changes(changes, same=same, options=WriteOptions(whole=lambda table: True))
    return [outcome.status for outcome in found], [outcome.reason for outcome in found]


def things(url, execute):
    return sorted(execute(url, "select * from things"))


def members(url, execute):
    return sorted(execute(url, "select * from members"))


def test_a_row_in_another_spelling_is_neither_taken_for_the_new_one_nor_deleted(url, other, execute):
    execute(url, "insert into things values ('ann', 1, 'photo'), ('bob', 1, 'photo')")
    before = things(url, execute)
    for _ in range(2):
        found, reasons = apply(url, insert(other, a=1), delete("ann", a=1), delete("bob", a=1))
        assert found == ["conflict", "conflict", "done"]
        for reason in reasons[:2]:
            assert repr(other) in reason
            assert "'ann'" in reason
            assert f"_key = str.{'strip' if other.endswith(' ') else 'casefold'}" in reason
        assert things(url, execute) == before[:1]


def test_nor_is_it_updated_or_deleted_under_the_other_spelling(url, other, execute):
    execute(url, "insert into things values ('ann', 1, 'photo')", "insert into members values ('ann', 'x', 'since')")
    before = things(url, execute), members(url, execute)
    found, reasons = apply(url, update(other, a=(1, 2)), delete(other, a=1), link(other, "y"))
    assert found == ["conflict"] * 3
    assert all(repr(other) in reason and "'ann'" in reason for reason in reasons)
    assert (things(url, execute), members(url, execute)) == before


def test_what_this_run_wrote_is_not_deleted_under_the_old_spelling(url, other, execute):
    found, _ = apply(url, insert(other, a=1), delete("ann", a=1))
    assert found == ["done", "conflict"]
    assert [row[:2] for row in things(url, execute)] == [(other, 1)]


@pytest.mark.parametrize("size", [1, 1_000])
def test_of_two_new_keys_that_are_one_the_second_is_the_conflict(url, other, execute, monkeypatch, size):
    monkeypatch.setattr(sql_statements, "KEYS", size)
    found, reasons = apply(url, insert("ann", a=1), insert("bob", a=2), insert(other, a=3))
    assert found == ["done", "done", "conflict"]
    assert repr(other) in reasons[2]
    assert "'ann'" in reasons[2]
    assert [row[:2] for row in things(url, execute)] == [("ann", 1), ("bob", 2)]


def test_without_a_unique_index_too(name, url, other, execute):
    kind, column, _ = STORES[name]
    create = f"create table things (`key` {column}, a integer, extra varchar(9))".replace("`", quote(kind))
    execute(url, "drop table things", create)
    found, _ = apply(url, insert("ann", a=1), insert(other, a=3))
    assert found == ["done", "conflict"]
    mark = quote(kind)
    execute(url, f"insert into things ({mark}key{mark}, a) values ('{other}', 1)")
    before = things(url, execute)
    for changes in ([delete("ann", a=1)], [update("ann", a=(1, 2)), update(other, a=(1, 3))]):
        found, _ = apply(url, *changes)
        assert set(found) <= {"conflict", "failed", "undone"}
        assert things(url, execute) == before


def test_a_member_in_another_spelling_is_neither_added_nor_removed(url, other, execute):
    execute(
        url,
        "insert into things values ('g', 1, '')",
        "insert into members values ('g', 'ann', 'since'), ('g', 'bob', 'since')",
    )
    for _ in range(2):
        found, reasons = apply(url, link("g", other), link("g", "cid"), link("g", "ann", "unlink"))
        assert found == ["conflict", "done", "conflict"]
        assert all(repr(other) in reason and "'ann'" in reason for reason in (reasons[0], reasons[2]))
        assert members(url, execute) == [("g", "ann", "since"), ("g", "bob", "since"), ("g", "cid", None)]
    assert apply(url, link("g", other, "unlink"))[0] == ["conflict"]
    assert apply(url, link("g", "bob", "unlink"))[0] == ["done"]
    assert members(url, execute) == [("g", "ann", "since"), ("g", "cid", None)]


def test_nor_if_all_members_are_given_at_once(url, other, execute):
    execute(url, "insert into things values ('g', 1, '')", "insert into members values ('g', 'ann', 'since')")
    found, _ = apply(url, update("g", members=({"ann"}, {other, "bob"})))
    assert found == ["conflict"]
    assert members(url, execute) == [("g", "ann", "since")]


def test_members_of_an_owner_in_another_spelling_are_its_own(url, other, execute):
    execute(
        url,
        "insert into things values ('ann', 1, ''), ('eve', 1, '')",
        f"insert into members values ('{other}', 'x', ''), ('ann', 'y', ''), ('{other}', 'z', ''), ('gone', 'x', '')",
    )
    with SQLSyncer(url) as syncer, pytest.warns(DataWarning, match=r"1 owner not in table 'things' \(such as gone\)"):
        found = {row["key"]: row["members"] for row in syncer.read(T, ["key", "members"], identifiers=KEY)}
    assert found == {"ann": {"x", "y", "z"}, "eve": set()}
    assert apply(url, link("ann", "x", "unlink"), link("ann", "w"))[0] == ["done", "done"]
    assert sorted(row[1] for row in members(url, execute)) == ["w", "x", "y", "z"]
    assert apply(url, delete("ann", members={"w", "y", "z"}))[0] == ["done"]
    assert [row[:2] for row in members(url, execute)] == [("gone", "x")]
    assert [row[0] for row in things(url, execute)] == ["eve"]


def test_nor_are_they_taken_for_its_own_where_the_link_table_tells_the_spellings_apart(execute, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table things (key text collate nocase primary key)",
        "create table members (owner text references things, member text)",
        "insert into things values ('ann')",
        "insert into members values ('ANN', 'x'), ('ann', 'y')",
    )
    with SQLSyncer(url) as syncer, pytest.warns(DataWarning, match=r"1 owner not in table 'things' \(such as ANN\)"):
        found = [row["members"] for row in syncer.read(T, ["key", "members"], identifiers=KEY)]
    assert found == [{"y"}]
    assert apply(url, link("ann", "y", "unlink"))[0] == ["done"]
    assert members(url, execute) == [("ANN", "x")]


class Kept:
    """Dependencies of which the new object of one key is blocked."""

    active = True

    def __init__(self, key):
        self.key = key

    def note(self, change, outcome):
        pass

    def blocked(self, change):
        return "its parent could not be created" if change.verb == "insert" and change.key == (self.key,) else ""


def test_what_is_left_out_does_not_let_the_other_spelling_be_deleted(url, other, execute):
    execute(url, "insert into things values ('ann', 1, 'photo'), ('bob', 1, 'photo')")
    options = WriteOptions(whole=lambda table: True, on_error="continue", dependencies=Kept(other))
    with SQLSyncer(url) as syncer:
        changes = [insert(other, a=1), delete("ann", a=1), delete("bob", a=1)]
        found = syncer.apply_changes(changes, same=same, options=options)
    assert [outcome.status for outcome in found] == ["skipped", "conflict", "done"]
    assert things(url, execute) == [("ann", 1, "photo")]


# --- what the store takes for one is asked for, not guessed -----------------------------------------------------------

SPELLINGS = ["ann", "Ann", "ánn", "ann ", "strasse", "straße", "STRASSE", "b", "ae", "æ"]


@law
@example(there=["strasse"], keys=["straße", "STRASSE"])
@example(there=["ann"], keys=["ánn"])
@given(
    there=st.lists(st.sampled_from(SPELLINGS), max_size=3, unique=True),
    keys=st.lists(st.sampled_from(SPELLINGS), max_size=5, unique=True),
)
def test_rows_are_made_unless_the_store_says_that_they_are_there(url, name, execute, there, keys):
    mark = quote(STORES[name][0])
    execute(url, "delete from things")
    held = []
    for key in there:
        if not is_there(url, execute, mark, key):
            execute(url, f"insert into things ({mark}key{mark}, a) values ('{key}', 1)")
            held.append(key)
    expected = []
    after = dict.fromkeys(held, 1)
    for key in keys:
        taken = [one for one in after if equal(url, name, execute, one, key)]
        expected.append("done" if not taken or taken == [key] else "conflict")
        if not taken:
            after[key] = 1
    found, _ = apply(url, *(insert(key, a=1) for key in keys))
    assert found == expected
    assert {row[0]: row[1] for row in things(url, execute)} == after


_EQUAL = {}


def is_there(url, execute, mark, key):
    return bool(execute(url, f"select 1 from things where {mark}key{mark} = '{key}'"))


def equal(url, name, execute, one, other):
    """Ask the database, by a row in a table of the same kind."""
    if (name, one, other) not in _EQUAL:
        column = f"owner = '{other}'"
        execute(url, "delete from members", f"insert into members (owner, member) values ('{one}', 'x')")
        _EQUAL[name, one, other] = bool(execute(url, f"select 1 from members where {column}"))
        execute(url, "delete from members")
    return _EQUAL[name, one, other]


def test_many_keys_in_another_spelling_are_compared_in_turns(url, other, execute):
    marks = [f"{letter}{number}" for letter, number in itertools.product("xyz", range(60))]
    for mark in marks:
        execute(url, f"insert into members (owner, member) values ('{mark}', 'x')")
    execute(url, "insert into things select owner, 1, 'photo' from members")
    spelled = [f"{mark} " if other.endswith(" ") else mark.upper() for mark in marks]
    before = things(url, execute)
    found, reasons = apply(url, *(insert(key, a=1) for key in spelled), *(delete(key, a=1) for key in marks))
    assert set(found) == {"conflict"}
    assert all(repr(key) in reason for key, reason in zip(marks * 2, reasons, strict=True))
    assert things(url, execute) == before


def test_keys_that_no_method_of_text_makes_one_get_advice_that_can_be_followed():
    advice = how_to_declare(("ann",), ("änn",), "their class")
    assert "as _key = …: a function that returns the same for both" in advice
    assert how_to_declare(("ann",), ("ANN",), "their class").endswith("in their class, as in _key = str.casefold")
