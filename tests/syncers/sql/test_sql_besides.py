"""Rows that foreign keys and unique constraints change besides: counted and said, or kept from it."""

from __future__ import annotations

import pytest
from changes_by_key import ChangesByKey

from datastoresync.syncers.changes import Table, WriteOptions
from datastoresync.syncers.sql.syncer import SQLSyncer

KEY = ("idnumber",)
U = Table("u", keys={"u": KEY})
CHANGES = ChangesByKey(U, KEY[0])
insert, update, delete = CHANGES.insert, CHANGES.update, CHANGES.delete


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def kind(request):
    return request.param


@pytest.fixture
def url(kind, request, tmp_path, execute):
    if kind == "sqlite":
        execute(f"sqlite:///{tmp_path / 'store.db'}", "create table made (one integer)")
        return f"sqlite:///{tmp_path / 'store.db'}"
    return request.getfixturevalue("database" if kind == "postgresql" else "mariadb")


def apply(url, *changes, **options):
    with SQLSyncer(url) as syncer:
        return syncer.apply_changes(
            changes, same=lambda change, attribute, raw, expected: raw == expected, options=WriteOptions(**options)
        )


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def besides(kind, table, rows):
    were = "1 row was" if rows == 1 else f"{rows} rows were"
    if kind == "sqlite":
        return f"{were} inserted, updated or deleted besides, by triggers or foreign keys"
    if kind == "postgresql":
        return f"table 'public.{table}': {were} updated besides, by triggers or foreign keys"
    return f"table {table!r}: {were} updated besides, as foreign keys to 'u' have it (ON UPDATE)"


@pytest.mark.parametrize("rule", ["cascade", "set null"])
def test_references_that_an_update_changes_are_said(url, kind, execute, rule):
    execute(
        url,
        "create table u (idnumber varchar(9) primary key, name varchar(9) unique, other varchar(9))",
        f"""create table orders (number integer primary key, name varchar(9),
        foreign key (name) references u (name) on update {rule})""",
        "insert into u values ('1', 'ann', 'o'), ('2', 'bob', 'o'), ('3', 'cid', 'o')",
        "insert into orders values (1, 'ann'), (2, 'ann'), (3, 'bob'), (4, null)",
    )
    found = apply(url, update("1", other=("o", "p")), update("3", name=("cid", "dan")))
    assert (statuses(found), found.warnings) == (["done", "done"], [])
    found = apply(url, update("1", name=("ann", "amy")), update("2", other=("x", "y")), on_error="continue")
    assert (statuses(found), found.warnings) == (["done", "conflict"], [besides(kind, "orders", 2)])
    amy = "amy" if rule == "cascade" else None
    rows = [(1, amy), (2, amy), (3, "bob"), (4, None)]
    assert execute(url, "select * from orders order by 1") == rows


def test_a_key_that_changes_takes_its_references_along(url, kind, execute):
    execute(
        url,
        "create table u (idnumber varchar(9) primary key, name varchar(9))",
        "create table orders (number integer primary key, u varchar(9), "
        "foreign key (u) references u (idnumber) on update cascade)",
        "insert into u values ('1', 'ann'), ('2', 'bob')",
        "insert into orders values (1, '1'), (2, '2')",
    )
    found = apply(url, update("1", idnumber=("1", "9")))
    assert (statuses(found), found.warnings) == (["done"], [besides(kind, "orders", 1)])
    assert execute(url, "select * from orders order by 1") == [(1, "9"), (2, "2")]


@pytest.mark.parametrize("rule", ["cascade", "set null"])
@pytest.mark.parametrize("trigger", [False, True])
def test_what_goes_with_deleted_rows_is_said_once(url, kind, execute, rule, trigger):
    execute(
        url,
        "create table u (idnumber varchar(9) primary key, boss varchar(9), "
        f"foreign key (boss) references u (idnumber) on delete {rule})",
        f"""create table orders (number integer primary key, u varchar(9),
        foreign key (u) references u (idnumber) on delete {rule})""",
        "insert into u values ('1', null), ('2', '1'), ('3', '2')",
        "insert into orders values (1, '1'), (2, '2'), (3, '3')",
    )
    if trigger and kind == "postgresql":
        execute(
            url,
            "create function quiet() returns trigger language plpgsql as $$ begin return null; end $$",
            "create trigger quiet after delete on u for each row execute function quiet()",
        )
    before = execute(url, "select * from u order by 1"), execute(url, "select * from orders order by 1")
    found = apply(url, delete("1", boss=None), delete("2", boss="1"), on_error="continue")
    assert (statuses(found), found.warnings) == (["conflict"] * 2, []), "3 is kept, and 2 for its sake"
    after = execute(url, "select * from u order by 1"), execute(url, "select * from orders order by 1")
    assert after == before
    found = apply(url, delete("1", boss=None), delete("2", boss="1"), delete("3", boss="2"))
    assert statuses(found) == ["done"] * 3
    said = (
        "3 rows of table 'orders' went with the deleted rows of 'u' that they referred to"
        if rule == "cascade"
        else "3 rows of table 'orders' referred to deleted rows of 'u', and these references were set to NULL"
    )
    assert found.warnings == [said]
    assert len(execute(url, "select * from orders where u is null")) == (0 if rule == "cascade" else 3)


@pytest.mark.parametrize(
    "clause", ["name text unique on conflict replace", "name text, unique (name) on conflict replace"]
)
def test_no_row_is_replaced_by_another_one(tmp_path, execute, clause):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        f"create table u (idnumber text primary key, {clause})",
        "insert into u values ('1', 'ann'), ('2', 'bob'), ('3', 'cid')",
    )
    found = apply(url, insert("4", name="ann"), update("2", name=("bob", "cid")), on_error="continue")
    assert statuses(found) == ["failed", "failed"]
    assert "UNIQUE" in found[0].reason
    assert execute(url, "select * from u order by 1") == [("1", "ann"), ("2", "bob"), ("3", "cid")]
    found = apply(url, update("1", name=("ann", "bob")), update("2", name=("bob", "ann")), insert("4", name="dan"))
    assert (statuses(found), found.warnings) == (["done"] * 3, [])
    assert execute(url, "select * from u order by 1") == [("1", "bob"), ("2", "ann"), ("3", "cid"), ("4", "dan")]
