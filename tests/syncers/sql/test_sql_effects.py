"""What databases do otherwise than they were asked to: it is read back, and said."""

from __future__ import annotations

import pytest
from changes_by_key import ChangesByKey, same

from datastoresync.syncers.changes import Change, Link, Table, WriteOptions
from datastoresync.syncers.sql import apply as sql_apply
from datastoresync.syncers.sql import bulk as sql_bulk
from datastoresync.syncers.sql.syncer import SQLSyncer

KEY = ("key",)
T = Table("things", links={"members": Link("members", "owner", "member")})
CHANGES = ChangesByKey(T, KEY[0])
insert, update, delete = CHANGES.insert, CHANGES.update, CHANGES.delete
PLAIN = Table("things")
TABLES = (
    "create table things (`key` varchar(9) primary key, a integer, name varchar(20), other varchar(20))",
    "create table members (owner varchar(9), member varchar(9), primary key (owner, member))",
    "insert into things values ('x', 1, 'Ann', 'o'), ('y', 1, 'Bob', 'o'), ('z', 1, 'Cid', 'o')",
    "insert into members values ('x', 'm'), ('y', 'm')",
)
ROWS = [("x", 1, "Ann", "o"), ("y", 1, "Bob", "o"), ("z", 1, "Cid", "o")]


def link(key, member, verb="link"):
    return Change(verb, T, KEY, (key,), {"members": member})


def apply(url, *changes, **options):
    with SQLSyncer(url) as syncer:
        return syncer.apply_changes(changes, same=same, options=WriteOptions(**options))


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def held(outcome):
    return None if outcome.held is None else dict(outcome.held.values)


def things(url, execute):
    return sorted(execute(url, "select * from things"))


def pg_trigger(when, body, name="guard", table="things"):
    return (
        f"create function {name}() returns trigger language plpgsql as $$ begin {body} end $$",
        f"create trigger {name} {when} on {table} for each row execute function {name}()",
    )


# --- triggers ---------------------------------------------------------------------------------------------------------

SWALLOWED = {
    "sqlite": lambda verb, row: [
        f"create trigger guard before {verb} on things when {row}.`key` in ('x', 'n') begin select raise(ignore); end"
    ],
    "postgresql": lambda verb, row: pg_trigger(
        f"before {verb}", f"if {row}.key in ('x', 'n') then return null; end if; return {row};"
    ),
}
SHOUTED = {
    "sqlite": lambda: [
        f"create trigger shout_{verb} after {verb} on things begin "
        "update things set name = upper(new.name) where `key` = new.`key` and name <> upper(name); end"
        for verb in ("insert", "update")
    ],
    "postgresql": lambda: pg_trigger(
        "before insert or update", "new.name = upper(new.name); return new;", name="shout_insert"
    ),
    "mariadb": lambda: [
        f"create trigger shout_{verb} before {verb} on things for each row set new.name = upper(new.name)"
        for verb in ("insert", "update")
    ],
}


@pytest.fixture(params=["sqlite", "postgresql", "in bulk", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def kind(request, monkeypatch):
    if request.param == "in bulk":
        monkeypatch.setattr(sql_bulk, "FEWEST", 1)
        monkeypatch.setattr(sql_apply, "FEWEST", 1)
        return "postgresql"
    return request.param


@pytest.fixture
def url(kind, request, tmp_path, execute):
    fixtures = {"postgresql": "database", "mariadb": "mariadb"}
    url = request.getfixturevalue(fixtures[kind]) if kind in fixtures else f"sqlite:///{tmp_path / 'store.db'}"
    execute(url, *(statement.replace("`", '"' if kind == "postgresql" else "`") for statement in TABLES))
    return url


@pytest.mark.parametrize("table", [T, PLAIN], ids=["with members", "plain"])
@pytest.mark.parametrize(
    ("verb", "row", "changes"),
    [
        ("insert", "new", lambda t: [insert("m", t, name="m"), insert("n", t, name="n")]),
        ("update", "new", lambda t: [update("y", t, name=("Bob", "B")), update("x", t, name=("Ann", "A"))]),
        ("delete", "old", lambda t: [delete("y", t, name="Bob"), delete("x", t, name="Ann")]),
    ],
)
def test_what_a_trigger_swallows_has_failed(url, kind, execute, table, verb, row, changes):
    if kind == "mariadb":
        pytest.skip("its triggers can only refuse")
    execute(url, *SWALLOWED[kind](verb, row))
    found = apply(url, *changes(table))
    assert found[1].status == "failed"
    assert "guard" in found[1].reason
    assert found[0].status == "undone"
    assert things(url, execute) == ROWS


@pytest.mark.parametrize("name", ["ANN", "ann", "An n"])
def test_a_spelling_that_a_trigger_swallows_has_failed_and_one_that_it_makes_has_not(url, kind, execute, name):
    if kind == "mariadb":
        pytest.skip("its triggers can only refuse")
    execute(url, *SWALLOWED[kind]("update", "new"))
    execute(url, *SHOUTED[kind](), "update things set name = 'BOB' where name = 'Bob'")
    changes = [update("x", PLAIN, name=("Ann", name)), update("y", PLAIN, name=("BOB", "bob"))]
    found = apply(url, *changes, update("z", PLAIN, name=("Cid", "C")), on_error="continue")
    assert statuses(found) == ["failed", "done", "done"]
    assert "guard" in found[0].reason
    assert held(found[1]) == {"name": "BOB"}
    assert [row[2] for row in things(url, execute)] == ["Ann", "BOB", "C"]


@pytest.mark.parametrize("table", [T, PLAIN], ids=["with members", "plain"])
def test_what_is_changed_on_its_way_is_said_with_both_values(url, kind, execute, table):
    execute(url, *SHOUTED[kind]())
    found = apply(
        url,
        insert("n", table, a=1, name="new"),
        insert("N", table, a=1, name="NEW") if kind != "mariadb" else insert("o", table, a=1, name="NEW"),
        update("x", table, a=(1, 2)),
        update("x", table, name=("Ann", "Anna")),
        update("y", table, name=("Bob", "BOBBY")),
    )
    assert statuses(found) == ["done"] * 5
    assert [held(one) for one in found] == [{"name": "NEW"}, None, None, {"name": "ANNA"}, None]
    assert "'NEW' (asked: 'new')" in found[0].reason
    assert "shout_insert" in found[0].reason
    assert "'ANNA' (asked: 'Anna')" in found[3].reason
    lines = [line for line in found.warnings if "'things'" in line and " name" in line]
    assert len(lines) == (1 if kind == "postgresql" else 2), "a sentence for each column and reason"
    assert [row[:3] for row in things(url, execute) if row[0] in ("n", "x", "y")] == [
        ("n", 1, "NEW"),
        ("x", 2, "ANNA"),
        ("y", 1, "BOBBY"),
    ]


def test_an_update_that_changes_nothing_has_failed_whatever_else_it_does(url, kind, execute):
    body = "update things set other = 'tried', name = 'Ann' where `key` = 'x'"
    made = {
        "sqlite": [f"create trigger back after update of name on things when new.`key` = 'x' begin {body}; end"],
        "postgresql": pg_trigger(
            "after update", f"{body.replace('`', '')} and pg_trigger_depth() = 1; return null;", name="back"
        ),
        "mariadb": ["create trigger back before update on things for each row set new.name = old.name"],
    }
    execute(url, *made[kind])
    (found,) = apply(url, update("x", PLAIN, name=("Ann", "Anna")))
    assert found.status == "failed"
    assert "name" in found.reason
    assert "back" in found.reason
    assert things(url, execute) == ROWS


def test_what_a_changed_key_stands_in_is_read_under_the_new_key(url, kind, execute):
    execute(url, *SHOUTED[kind]())
    found = apply(url, update("x", PLAIN, key=("x", "n"), name=("Ann", "Anna")), update("y", PLAIN, key=("y", "x")))
    assert statuses(found) == ["done", "done"]
    assert held(found[0]) == {"name": "ANNA"}
    assert [row[:2] for row in things(url, execute)] == [("n", 1), ("x", 1), ("z", 1)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "in bulk"], indirect=True)
def test_a_changed_key_that_a_trigger_keeps_has_failed(url, kind, execute):
    execute(url, *SWALLOWED[kind]("update", "new" if kind == "sqlite" else "old"))
    found = apply(url, update("x", PLAIN, key=("x", "n")), on_error="continue")
    assert statuses(found) == ["failed"]
    assert "not changed by the update: key, probably because of trigger guard" in found[0].reason
    assert things(url, execute) == ROWS


def test_other_synced_attributes_that_change_with_it_are_said(url, kind, execute):
    made = {
        "sqlite": [
            "create trigger with_it after update of name on things begin update things set other = 'changed'; end"
        ],
        "postgresql": pg_trigger("before update", "new.other = 'changed'; return new;", name="with_it"),
        "mariadb": ["create trigger with_it before update on things for each row set new.other = 'changed'"],
    }
    execute(url, *made[kind])
    changes = [update("x", PLAIN, name=("Ann", "Anna")), update("y", PLAIN, name=("Bob", "B"), a=(1, 2))]
    found = apply(url, *changes, attributes=lambda table: ["name", "other", "a"])
    assert statuses(found) == ["done", "done"]
    assert [held(one) for one in found] == [{"other": "changed"}] * 2
    assert "other became 'changed'" in found[0].reason
    assert "with_it" in found[0].reason
    execute(url, "update things set other = 'o'")
    found = apply(url, update("x", PLAIN, name=("Anna", "Ann")), attributes=lambda table: ["name", "a"])
    assert (statuses(found), held(found[0])) == (["done"], None), "it is not synced"
    three = "3 rows were inserted, updated or deleted besides, by triggers or foreign keys"
    assert found.warnings == ([three] if kind == "sqlite" else [])


def test_members_that_are_swallowed_or_kept_have_failed(url, kind, execute):
    if kind == "mariadb":
        pytest.skip("its triggers can only refuse")
    swallow = {
        "sqlite": lambda verb: [f"create trigger guard before {verb} on members begin select raise(ignore); end"],
        "postgresql": lambda verb: pg_trigger(f"before {verb}", "return null;", table="members"),
    }[kind]
    for verb, changes in (
        ("insert", [link("z", "m")]),
        ("delete", [link("x", "m", "unlink")]),
        ("delete", [delete("x")]),
    ):
        execute(url, *swallow(verb))
        (found,) = apply(url, *changes)
        assert found.status == "failed"
        assert "guard" in found.reason
        cascade = " cascade" if kind == "postgresql" else ""
        execute(url, f"drop function guard{cascade} ".rstrip() if cascade else "drop trigger guard")
        assert things(url, execute) == ROWS
        assert sorted(execute(url, "select * from members")) == [("x", "m"), ("y", "m")]


# --- rules, row-level security, views ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fewest", [1, 500])
@pytest.mark.parametrize("verb", ["insert", "update", "delete"])
def test_what_a_rule_leaves_out_has_failed(database, execute, monkeypatch, verb, fewest):
    monkeypatch.setattr(sql_bulk, "FEWEST", fewest)
    monkeypatch.setattr(sql_apply, "FEWEST", fewest)
    execute(database, *(statement.replace("`", "") for statement in TABLES))
    execute(database, f"create rule nothing as on {verb} to things do instead nothing")
    changes = {
        "insert": insert("n", PLAIN, name="n"),
        "update": update("x", PLAIN, a=(1, 2)),
        "delete": delete("x", PLAIN, a=1),
    }
    (found,) = apply(database, changes[verb])
    assert found.status == "failed"
    assert "rule nothing" in found.reason
    assert things(database, execute) == ROWS


@pytest.mark.parametrize("fewest", [1, 500])
def test_what_row_level_security_hides_has_failed(database, reader, execute, monkeypatch, fewest):
    monkeypatch.setattr(sql_bulk, "FEWEST", fewest)
    monkeypatch.setattr(sql_apply, "FEWEST", fewest)
    execute(database, *(statement.replace("`", "") for statement in TABLES))
    execute(
        database,
        f"grant usage on schema public to {reader}",
        f"grant all on things, members to {reader}",
        "alter table things enable row level security",
        "create policy s on things for select using (key <> 'n')",
        "create policy i on things for insert with check (true)",
        "create policy u on things for update using (key <> 'x')",
        "create policy d on things for delete using (key <> 'z')",
    )
    engine_url = f"{database}&options=-c%20role%3D{reader}"
    for change in (
        update("x", PLAIN, a=(1, 2)),
        delete("z", PLAIN, a=1),
        insert("n", PLAIN, a=1),
    ):
        (found,) = apply(engine_url, change)
        assert found.status == "failed", change
        assert "row-level security" in found.reason
        assert things(database, execute) == ROWS
    found = apply(engine_url, update("y", PLAIN, a=(1, 2)), delete("x", PLAIN, a=1), insert("m", PLAIN, a=1))
    assert statuses(found) == ["done"] * 3


@pytest.mark.parametrize("fewest", [1, 500])
def test_the_soft_deletion_of_a_trigger_is_undone_with_the_failure(database, execute, monkeypatch, fewest):
    monkeypatch.setattr(sql_bulk, "FEWEST", fewest)
    monkeypatch.setattr(sql_apply, "FEWEST", fewest)
    execute(database, *(statement.replace("`", "") for statement in TABLES))
    execute(
        database,
        *pg_trigger("before delete", "update things set other = 'deleted' where key = old.key; return null;", "soft"),
    )
    found = apply(database, *(delete(key, PLAIN, a=1, other="o") for key in "xyz"))
    assert {one.status for one in found} <= {"failed", "undone"}
    failed = next(one for one in found if one.status == "failed")
    assert "still there" in failed.reason
    assert "soft" in failed.reason
    assert things(database, execute) == ROWS


def test_a_row_that_is_made_under_another_key_has_failed(database, execute):
    execute(database, *(statement.replace("`", "") for statement in TABLES))
    execute(database, *pg_trigger("before insert", "new.key = lower(new.key); return new;", "lower_key"))
    (found,) = apply(database, insert("N", PLAIN, a=1))
    assert found.status == "failed"
    assert "lower_key" in found.reason
    assert things(database, execute) == ROWS


def test_triggers_of_partitions_and_disabled_ones(database, execute):
    execute(
        database,
        "create table things (key text, a integer, primary key (key)) partition by list (key)",
        "create table part partition of things for values in ('x', 'y')",
        "insert into things values ('x', 1), ('y', 1)",
        *pg_trigger("before update", "return null;", "guard", "part"),
        *pg_trigger("before insert or update", "return new;", "harmless", "part"),
        "alter table part disable trigger harmless",
    )
    (found,) = apply(database, update("x", PLAIN, a=(1, 2)))
    assert found.status == "failed"
    assert "guard" in found.reason
    assert "harmless" not in found.reason


VIEW = (
    "create table g (id serial primary key, name text unique)",
    "create table p (id serial primary key, name text unique, g_id int references g)",
    "create view things as select p.name as key, g.name as name from p left join g on g.id = p.g_id",
    "insert into g (name) values ('x'), ('y')",
    "insert into p (name, g_id) values ('1', 1), ('2', 1)",
    """
    create function v() returns trigger language plpgsql as $$ begin
        if tg_op = 'INSERT' then
            insert into p (name, g_id) select new.key, (select id from g where name = new.name); return new;
        elsif tg_op = 'UPDATE' then
            update p set g_id = (select id from g where name = new.name) where name = old.key; return new;
        end if;
        delete from p where name = old.key; return old;
    end $$
    """,
    "create trigger t instead of insert or update or delete on things for each row execute function v()",
)


def test_a_view_with_triggers_is_written_and_read_back(database, execute):
    execute(database, *VIEW)
    changes = [insert("3", PLAIN, name="x"), update("1", PLAIN, name=("x", "y")), delete("2", PLAIN, name="x")]
    assert statuses(apply(database, *changes)) == ["done"] * 3
    assert things(database, execute) == [("1", "y"), ("3", "x")]
    found = apply(database, insert("4", PLAIN, name="unknown"))
    assert (statuses(found), held(found[0])) == (["done"], {"name": None})
    (found,) = apply(database, update("1", PLAIN, name=("x", "z")))
    assert found.status == "conflict"


def test_a_view_of_sums_whose_trigger_does_something_else(database, execute):
    execute(
        database,
        "create table p (name text, v text)",
        "create view things as select name as key, max(v) as name from p group by name",
        "create function v() returns trigger language plpgsql as "
        "$$ begin insert into p values (new.key, new.name); return new; end $$",
        "create trigger t instead of insert or update on things for each row execute function v()",
        "insert into p values ('1', 'b')",
    )
    assert statuses(apply(database, insert("2", PLAIN, name="b"), update("1", PLAIN, name=("b", "c")))) == ["done"] * 2
    (found,) = apply(database, update("1", PLAIN, name=("c", "a")))
    assert found.status == "failed"
    assert execute(database, "select count(*) from p") == [(3,)]


def test_a_view_of_sqlite(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table p (k text primary key, n text)",
        "create view things as select k as key, n as name from p",
        "create trigger i instead of insert on things begin insert into p values (new.key, new.name); end",
        "create trigger u instead of update on things begin update p set n = lower(new.name) where k = old.key; end",
        "create trigger d instead of delete on things begin delete from p where k = old.key and k <> 'kept'; end",
        "insert into p values ('1', 'a'), ('2', 'b'), ('kept', 'c')",
    )
    found = apply(url, insert("3", PLAIN, name="x"), update("1", PLAIN, name=("a", "B")), delete("2", PLAIN, name="b"))
    assert statuses(found) == ["done"] * 3
    assert held(found[1]) == {"name": "b"}
    (found,) = apply(url, delete("kept", PLAIN, name="c"))
    assert found.status == "failed"
    assert things(url, execute) == [("1", "b"), ("3", "x"), ("kept", "c")]


# --- rows that nobody asked for ---------------------------------------------------------------------------------------


def test_rows_that_a_trigger_writes_besides_are_counted(url, kind, execute):
    if kind == "mariadb":
        pytest.skip("it does not say what it has written")
    execute(url, "create table log (what varchar(20))")
    body = "insert into log values ({row}.`key`); update things set other = 'seen' where `key` = 'z'"
    made = {
        "sqlite": lambda verb, row: [
            f"create trigger log_{verb} after {verb} of a on things begin {body.format(row=row)}; end"
            if verb == "update"
            else f"create trigger log_{verb} after {verb} on things begin {body.format(row=row)}; end"
        ],
        "postgresql": lambda verb, row: pg_trigger(
            f"after {'update of a' if verb == 'update' else verb}",
            f"{body.format(row=row).replace('`', '')}; return null;",
            name=f"log_{verb}",
        ),
    }[kind]
    for verb, row in (("insert", "new"), ("update", "new"), ("delete", "old")):
        execute(url, *made(verb, row))
    changes = [insert("n", PLAIN, a=1), update("x", PLAIN, a=(1, 2)), update("w", PLAIN, a=(1, 2))]
    found = apply(url, *changes, delete("y", PLAIN, a=1))
    assert statuses(found) == ["done", "done", "conflict", "done"]
    if kind == "sqlite":
        assert found.warnings == ["6 rows were inserted, updated or deleted besides, by triggers or foreign keys"]
    else:
        assert found.warnings == [
            "table 'public.log': 3 rows were inserted besides, by triggers or foreign keys",
            "table 'public.things': 3 rows were updated besides, by triggers or foreign keys",
        ]
    assert len(execute(url, "select * from log")) == 3


@pytest.mark.parametrize("fewest", [1, 500])
def test_what_was_undone_is_not_counted(database, execute, monkeypatch, fewest):
    monkeypatch.setattr(sql_bulk, "FEWEST", fewest)
    monkeypatch.setattr(sql_apply, "FEWEST", fewest)
    execute(database, *(statement.replace("`", "") for statement in TABLES))
    execute(
        database,
        "create table log (what text)",
        *pg_trigger("after insert", "insert into log values (new.key); return null;"),
        "alter table things add check (a < 100)",
    )
    changes = [insert(f"n{number}", PLAIN, a=100 if number == 7 else 1) for number in range(20)]
    found = apply(database, *changes, on_error="continue")
    assert statuses(found).count("done") == 19
    assert found[7].status == "failed"
    assert found.warnings == ["table 'public.log': 19 rows were inserted besides, by triggers or foreign keys"]
    assert len(execute(database, "select * from log")) == 19


def test_a_row_that_moves_to_another_partition_is_one_update(database, execute):
    execute(
        database,
        "create table things (key text, a integer, name text) partition by list (a)",
        "create table one partition of things for values in (1)",
        "create table two partition of things for values in (2)",
        "insert into things values ('x', 1, 'Ann'), ('y', 1, 'Bob')",
        *pg_trigger("after insert", "return null;"),
        *pg_trigger("after update", "return null;", "quiet"),
    )
    found = apply(database, update("x", PLAIN, a=(1, 2)), update("y", PLAIN, name=("Bob", "B")))
    assert (statuses(found), found.warnings) == (["done", "done"], [])


# --- what is said -----------------------------------------------------------------------------------------------------


def test_an_update_of_a_column_that_the_database_computes_says_how_to_leave_it_out(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table things (key text primary key, a integer, twice integer generated always as (a * 2) stored)",
        "insert into things (key, a) values ('x', 1)",
    )
    (outcome,) = apply(url, update("x", PLAIN, twice=(2, 7)))
    assert outcome.status == "failed"
    assert "twice" in outcome.reason
    assert "which the database computes: leave twice out of _attributes" in outcome.reason
    assert things(url, execute) == [("x", 1, 2)]


@pytest.mark.parametrize("count", [1, 30])
def test_a_text_with_the_character_nul_is_refused_with_its_value(database, execute, count):
    execute(database, "create table things (key text primary key, name text, short varchar(9))")
    bad = [insert(f"bad{number}", PLAIN, **{name: "a\0b"}) for number in range(count) for name in ("name", "short")]
    bad = [change for index, change in enumerate(bad) if index % 2 == (count > 1)]
    found = apply(database, *bad, insert("good", PLAIN, name="a"), on_error="continue")
    assert statuses(found) == ["failed"] * count + ["done"]
    column = "short" if count > 1 else "name"
    assert {outcome.reason for outcome in found[:-1]} == {
        f"column '{column}' cannot hold 'a\\x00b': PostgreSQL has no text with the character NUL"
    }
    assert execute(database, "select key, name from things") == [("good", "a")]
