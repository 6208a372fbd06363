"""Values that change hands, rings and circles: what is refused for the sake of other rows is done in the same run."""

from __future__ import annotations

import time

import pytest
from changes_by_key import ChangesByKey, same
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.syncers.changes import Change, Link, Outcome, Table, WriteOptions
from datastoresync.syncers.sql.ordering import strong_components
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])

KEY = ("id",)
T = Table("things")
CHANGES = ChangesByKey(T, KEY[0])
insert, update, delete = CHANGES.insert, CHANGES.update, CHANGES.delete
DONE = Outcome("done")
GOING_ON = WriteOptions(on_error="continue")


def rename(key, before, after):
    return update(key, name=(before, after))


def is_sqlite(store):
    return store.url.startswith("sqlite")


def is_mariadb(store):
    return store.url.startswith(("mysql", "mariadb"))


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


NAMED = "create table things (id integer primary key, name varchar(30) not null unique)"


def three(definition=NAMED):
    return definition, "insert into things values (1, 'a'), (2, 'b'), (3, 'c')"


# --- the law -----------------------------------------------------------------------------------------------------

keys = st.integers(1, 6)


@st.composite
def states(draw):
    """A valid state: by key a unique name, a unique nickname that may be missing, and a boss who is there."""
    there = sorted(draw(st.sets(keys)))
    names = draw(st.permutations("abcdefgh"))
    nicknames = draw(st.permutations([*"uvwxyz"]))
    return {
        key: (names[index], draw(st.sampled_from([nicknames[index], None])), draw(st.sampled_from([None, *there])))
        for index, key in enumerate(there)
    }


PEOPLE = (
    "create table people (id integer primary key, name varchar(30) not null unique, nickname varchar(30) unique, "
    "boss integer references people (id))"
)


def differences(before, after):
    """Return the changes that make one state of the other, as a diff would ask for them."""
    names, table = ("name", "nickname", "boss"), Table("people")
    found = [insert(key, table, **dict(zip(names, after[key], strict=True))) for key in after if key not in before]
    for key in after.keys() & before.keys():
        pairs = {name: (old, new) for name, old, new in zip(names, before[key], after[key], strict=True) if old != new}
        found += [update(key, table, **pairs)] if pairs else []
    old = [key for key in before if key not in after]
    return found + [delete(key, table, **dict(zip(names, before[key], strict=True))) for key in old]


@law
@given(before=states(), after=states(), reverse=st.booleans())
@example(before={1: ("a", None, None)}, after={2: ("a", None, 3), 3: ("b", None, 2)}, reverse=False)
@example(
    before={1: ("a", "u", 2), 2: ("b", "v", 1), 3: ("c", None, 2)},
    after={1: ("b", "v", 4), 3: ("a", "u", 1), 4: ("c", None, 3)},
    reverse=True,
)
def test_whatever_is_valid_before_and_after_is_reached_in_one_run(store, before, after, reverse):
    store.make("drop table if exists people", PEOPLE)
    for key, (name, nickname, _) in before.items():
        nick = "null" if nickname is None else f"'{nickname}'"
        store.make(f"insert into people values ({key}, '{name}', {nick}, null)")
    for key, (_, _, boss) in before.items():
        store.make(f"update people set boss = {boss or 'null'} where id = {key}")
    changes = differences(before, after)
    outcomes = store.apply(*(reversed(changes) if reverse else changes), options=WriteOptions())
    assert set(outcomes) <= {DONE}
    found = {row[0]: row[1:] for row in store.rows("select * from people")}
    assert found == after


# --- unique values -----------------------------------------------------------------------------------------------


def test_a_value_is_handed_over_by_a_leaver(store):
    store.make(*three())
    assert store.apply(insert(4, name="c"), rename(1, "a", "b"), delete(2, name="b"), delete(3, name="c")) == [DONE] * 4
    assert store.rows() == [(1, "b"), (4, "c")]


@pytest.mark.parametrize(
    "definition",
    [
        NAMED,
        NAMED.replace("not null ", ""),
        NAMED.replace("(30)", "(1)"),
        NAMED.replace(")", ") collate nocase", 1),
        NAMED.replace("(30) not null unique", "(30) not null check (length(name) < 3), unique (name)"),
        NAMED.replace(" unique", " unique deferrable initially deferred"),
        NAMED.replace(" unique", " unique deferrable"),
    ],
)
def test_values_go_round_in_a_ring(store, definition):
    if "nocase" in definition and not is_sqlite(store):
        pytest.skip("a collation of SQLite")
    if "deferrable" in definition and not store.url.startswith("postgresql"):
        pytest.skip("unique values are deferred in PostgreSQL only")
    store.make(*three(definition))
    assert store.apply(rename(1, "a", "b"), rename(2, "b", "c"), rename(3, "c", "a")) == [DONE] * 3
    assert store.rows() == [(1, "b"), (2, "c"), (3, "a")]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [1, 2, 32_767]),
        ("smallint", [1, 2, 32_767]),
        ("numeric(4, 2)", [1, 2, 99]),
        ("date", ["2024-01-01", "2024-01-02", "9999-12-31"]),
    ],
)
def test_values_of_any_type_go_round_in_a_ring(store, kind, values):
    store.make(f"create table things (id integer primary key, name {kind} not null unique)")
    store.make(*(f"insert into things values ({key}, '{value}')" for key, value in enumerate(values)))
    before = store.rows()
    after = [(key, before[key - 1][1]) for key in range(3)]

    def updates(old, new):
        return [rename(key, was, new[key][1]) for key, was in old]

    with SQLSyncer(store.url) as syncer:
        read = [(record["id"], record["name"]) for record in syncer.read("things")]
    read.sort()
    turned = [(key, read[key - 1][1]) for key in range(3)]
    assert store.apply(*updates(read, turned)) == [DONE] * 3
    assert store.rows() == after


def test_a_value_that_is_unique_within_a_group_is_handed_over(store):
    store.make(
        "create table things (id integer primary key, grp integer not null, place integer not null, "
        "check (place > 0), unique (grp, place))",
        "insert into things values (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2)",
    )
    places = [update(key, place=(key % 2 or 2, 2 - (key - 1) % 2)) for key in (1, 2, 3, 4)]
    assert store.apply(*places) == [DONE] * 4
    assert store.rows() == [(1, 1, 2), (2, 1, 1), (3, 2, 2), (4, 2, 1)]


def test_a_thousand_rows_move_up_and_round(store):
    count = 1_000
    store.make("create table things (id integer primary key, place integer not null check (place > 0), unique (place))")
    store.make(f"insert into things values {', '.join(f'({key}, {key})' for key in range(1, count + 1))}")
    started = time.monotonic()
    up = store.apply(*(update(key, place=(key, key + 1)) for key in range(1, count + 1)))
    around = store.apply(*(update(key, place=(key + 1, key % count + 2)) for key in range(1, count + 1)))
    assert set(up) == set(around) == {DONE}
    assert store.rows() == [(key, key % count + 2) for key in range(1, count + 1)]
    assert time.monotonic() - started < 60


def test_what_is_in_nobodys_gift_fails_alone(store):
    store.make(*three())
    changes = [rename(1, "a", "b"), rename(2, "b", "a"), insert(4, name="c"), insert(5, name="e"), insert(6, name="e")]
    found = store.apply(*changes)
    assert statuses(found) == ["done", "done", "failed", "done", "failed"]
    assert "uplicate" in found[2].reason or "UNIQUE" in found[2].reason
    assert "'c'" not in found[2].reason
    assert store.rows() == [(1, "b"), (2, "a"), (3, "c"), (5, "e")]


def test_what_was_changed_since_is_a_conflict_though_the_run_parked_it(store):
    store.make(*three())
    store.make("update things set name = 'z' where id = 3")
    found = store.apply(rename(1, "a", "b"), rename(2, "b", "c"), rename(3, "c", "a"))
    assert statuses(found) == ["done", "done", "conflict"], "what the third one lets go of was free already"
    assert store.rows() == [(1, "b"), (2, "c"), (3, "z")]
    found = store.apply(rename(1, "b", "z"), rename(3, "y", "b"))
    assert statuses(found) == ["failed", "conflict"]
    assert store.rows() == [(1, "b"), (2, "c"), (3, "z")]


def test_names_that_are_told_apart_by_an_expression_are_handed_over(store):
    if is_mariadb(store):
        pytest.skip("MariaDB has no indexes of expressions")
    store.make("create table things (id integer primary key, name text not null)")
    store.make("create unique index one_spelling on things (lower(name))")
    store.make("insert into things values (1, 'a'), (2, 'B')")
    assert store.apply(rename(1, "a", "b"), rename(2, "B", "A")) == [DONE] * 2
    assert store.rows() == [(1, "b"), (2, "A")]


def test_ranges_that_exclude_each_other_are_handed_over(database, execute):
    execute(
        database,
        "create table things (id integer primary key, a integer, b integer, "
        "exclude using gist (int4range(a, b) with &&))",
        "insert into things values (1, 1, 5), (2, 5, 9), (3, 10, 19)",
    )
    changes = [update(1, a=(1, 5), b=(5, 9)), update(2, a=(5, 10), b=(9, 19)), update(3, a=(10, 20), b=(19, 29))]
    with SQLSyncer(database) as syncer:
        assert syncer.apply_changes(changes, same=same) == [DONE] * 3
    assert execute(database, "select * from things order by 1") == [(1, 5, 9), (2, 10, 19), (3, 20, 29)]


def test_a_seat_in_a_link_table_changes_hands(store):
    store.make(
        "create table things (id integer primary key)",
        "create table seats (owner integer not null references things (id), seat integer not null unique, "
        "primary key (owner, seat))",
        "insert into things values (1), (2)",
        "insert into seats values (1, 7), (2, 8)",
    )
    table = Table("things", links={"seats": Link("seats", "owner", "seat")})

    def change(verb, key, seat):
        return Change(verb, table, KEY, (key,), {"seats": seat})

    changes = [change("link", 1, 8), change("link", 2, 7), insert(3, table, seats={9}), change("unlink", 1, 7)]
    assert statuses(store.apply(*changes, change("unlink", 2, 8))) == ["done"] * 5
    assert store.rows("select * from seats order by 1") == [(1, 8), (2, 7), (3, 9)]


# --- references --------------------------------------------------------------------------------------------------

BOSSES = "create table things (id integer primary key, boss integer references things (id))"


@pytest.mark.parametrize(
    "bosses",
    [
        {1: 2, 2: 3, 3: None},
        {1: 2, 2: 1},
        {1: 1, 2: 1},
        {1: 2, 2: 3, 3: 1, 4: 1, 5: 4},
    ],
)
def test_new_objects_that_refer_to_each_other_are_made_and_later_deleted(store, bosses):
    store.make(BOSSES)
    assert store.apply(*(insert(key, boss=boss) for key, boss in bosses.items())) == [DONE] * len(bosses)
    assert dict(store.rows()) == bosses
    assert store.apply(*(delete(key, boss=boss) for key, boss in bosses.items())) == [DONE] * len(bosses)
    assert store.rows() == []


def test_a_circle_through_two_tables_is_closed_and_opened(store):
    store.make(
        "create table teams (id integer primary key, head integer)",
        "create table things (id integer primary key, team integer not null references teams (id))",
    )
    if not is_sqlite(store):
        store.make("alter table teams add constraint heads foreign key (head) references things (id)")
    else:
        store.make("drop table teams", "create table teams (id integer primary key, head integer references things)")
    teams = Table("teams")
    changes = [insert(1, teams, head=7), insert(7, team=1), insert(8, team=1)]
    assert store.apply(*changes) == [DONE] * 3
    assert (store.rows("select * from teams"), store.rows()) == ([(1, 7)], [(7, 1), (8, 1)])
    changes = [delete(1, teams, head=7), delete(7, team=1), delete(8, team=1)]
    assert store.apply(*changes) == [DONE] * 3
    assert (store.rows("select * from teams"), store.rows()) == ([], [])
    assert store.apply(insert(8, team=1), insert(1, teams, head=7), insert(7, team=1)) == [DONE] * 3


def test_a_deletion_in_a_circle_still_compares_what_it_expects(store):
    store.make(BOSSES, "insert into things values (1, null)", "insert into things values (2, 1), (3, 1)")
    store.make("update things set boss = 2 where id = 1")
    found = store.apply(delete(1, boss=2), delete(2, boss=3), delete(3, boss=1))
    assert statuses(found) == ["failed", "conflict", "done"]
    assert store.rows() == [(1, 2), (2, 1)]


def test_an_address_goes_to_the_new_boss_of_those_who_stay(store):
    store.make(
        "create table things (id integer primary key, name varchar(9) not null unique, "
        "boss integer references things (id))",
        "insert into things values (1, 'x', null), (2, 'y', 1)",
    )
    assert (
        store.apply(insert(3, name="x", boss=None), update(2, boss=(1, 3)), delete(1, name="x", boss=None))
        == [DONE] * 3
    )
    assert store.rows() == [(2, "y", 3), (3, "x", None)]


def test_who_refers_to_nobody_fails_with_those_who_refer_to_him(store):
    store.make(BOSSES)
    found = store.apply(insert(1, boss=9), insert(2, boss=1), insert(3, boss=None), insert(4, boss=3))
    assert statuses(found) == ["failed", "failed", "done", "done"]
    assert store.rows() == [(3, None), (4, 3)]


def test_only_the_links_of_a_failed_object_fail_with_it(store):
    store.make(
        "create table things (id integer primary key, name varchar(9) unique)",
        "create table members (owner integer references things (id), member integer references things (id), "
        "primary key (owner, member))",
        "insert into things values (1, 'a')",
    )
    table = Table("things", links={"members": Link("members", "owner", "member")})
    changes = [
        insert(2, table, name="a", members={1}),
        Change("link", table, KEY, (1,), {"members": 2}),
        insert(3, table, name="c", members={2}),
        insert(4, table, name="d", members={1}),
        Change("link", table, KEY, (1,), {"members": 4}),
    ]
    assert statuses(store.apply(*changes)) == ["failed", "failed", "failed", "done", "done"]
    assert store.rows() == [(1, "a"), (4, "d")]
    assert store.rows("select * from members order by 1") == [(1, 4), (4, 1)]


@pytest.mark.parametrize("order", [1, -1])
def test_circles_over_the_ids_of_the_database_are_closed_and_opened(store, order):
    made = "integer primary key" if is_sqlite(store) else "serial primary key"
    store.make(
        f"create table users (id {made}, login varchar(20) not null unique, boss_id bigint)"
        if is_mariadb(store)
        else f"create table users (id {made}, login varchar(20) not null unique, boss_id integer references users (id))"
    )
    if is_mariadb(store):
        store.make(
            "alter table users modify id bigint not null auto_increment",
            "alter table users add foreign key (boss_id) references users (id)",
        )
    table, key = Table("users", {"boss": "boss_id"}), ("login",)
    bosses = {"ann": "bob", "bob": "cid", "cid": "ann", "dan": "ann", "eve": "eve"}
    new = [Change("insert", table, key, (login,), {"login": login, "boss": boss}) for login, boss in bosses.items()]
    assert store.apply(*new[::order]) == [DONE] * 5
    query = "select u.login, b.login from users u join users b on b.id = u.boss_id"
    assert dict(store.rows(query)) == bosses
    old = [Change("delete", table, key, (login,), {}, {"boss": boss}) for login, boss in bosses.items()]
    assert store.apply(*old[::order]) == [DONE] * 5
    assert store.rows("select * from users") == []


# --- many --------------------------------------------------------------------------------------------------------


def test_many_in_bulk_are_put_in_order(database, execute, monkeypatch):
    count = 3_000
    execute(
        database,
        "create table things (id integer primary key, name text not null unique)",
        f"insert into things select n, 'n' || n from generate_series(1, {count}) n",
    )
    moved = [rename(key, f"n{key}", f"n{key + 1}") for key in range(1, count)]
    changes = [insert(count + 1, name="n1"), *moved, delete(count, name=f"n{count}")]
    with SQLSyncer(database) as syncer:
        assert set(syncer.apply_changes(changes, same=same)) == {DONE}
    rows = execute(database, "select * from things order by 1")
    assert rows == [*((key, f"n{key + 1}") for key in range(1, count)), (count + 1, "n1")]


@pytest.mark.parametrize("bad", ["taken", "refused"])
def test_a_bad_row_among_many_in_bulk_is_found(database, execute, bad):
    execute(
        database,
        "create table things (id integer primary key, name text not null unique check (name like 'n%'))",
        "insert into things values (0, 'n5000')",
    )
    names = {key: f"n{key}" for key in range(1, 6_000)}
    if bad == "refused":
        names |= {1234: "bad", 5000: "new"}
    with SQLSyncer(database) as syncer:
        changes = [insert(key, name=name) for key, name in names.items()]
        found = syncer.apply_changes(changes, same=same, options=GOING_ON)
    failed = [key for key, outcome in zip(names, found, strict=True) if outcome != DONE]
    assert failed == ([5000] if bad == "taken" else [1234])[: len(failed)] or failed == [1234, 5000]
    assert execute(database, "select count(*) from things") == [(6_000 - len(failed),)]


def test_components_come_after_those_that_they_need():
    assert list(strong_components([[1], [2], [1], []])) == [[2, 1], [0], [3]]
    chain = [[index + 1] for index in range(50_000)] + [[]]
    assert list(strong_components(chain)) == [[index] for index in reversed(range(50_001))]


def test_a_child_that_is_kept_keeps_its_parent_from_going_with_a_ring(store):
    store.make(
        "create table things (id integer primary key, boss integer references things (id))",
        "create table children (id integer primary key, thing integer references things (id) on delete cascade)",
        "insert into things values (1, null), (2, 1), (3, null)",
        "update things set boss = 2 where id = 1",
        "insert into children values (7, 2), (8, 3)",
    )
    keys = {"things": KEY, "children": KEY}
    things, children = Table("things", keys=keys), Table("children", keys=keys)
    options = WriteOptions(on_error="continue", tables=[things, children])
    ring = [delete(1, things, boss=2), delete(2, things, boss=1)]
    found = store.apply(*ring, delete(3, things, boss=None), options=options)
    assert (statuses(found)[1:], "done" in statuses(found)) == (["conflict", "conflict"], False)
    assert store.rows() == [(1, 2), (2, 1), (3, None)]
    assert store.rows("select * from children order by 1") == [(7, 2), (8, 3)]
    assert store.apply(*ring, update(7, children, thing=(2, 3)), options=options) == [DONE] * 3
    assert store.rows("select * from children order by 1") == [(7, 3), (8, 3)]
