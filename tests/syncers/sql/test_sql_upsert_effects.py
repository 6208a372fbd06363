"""What a database does with records that it is given by key is read back: it has them, or the call says so."""

from __future__ import annotations

import pytest

from datastoresync import SQLSyncer
from datastoresync.errors import DataWarning, SyncerError

TABLE = "create table users (id varchar(9) primary key, name varchar(9))"
GIVEN = [{"id": "1", "name": "A"}, {"id": "3", "name": "C"}]
ROWS = [("1", "Ann"), ("2", "Bob")]


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def store(request, tmp_path, execute):
    """The URL of a database with two users, and what makes it act when they are written."""
    if request.param == "sqlite":
        import sqlite3

        sqlite3.connect(tmp_path / "store.db").close()
        url = f"sqlite:///{tmp_path / 'store.db'}"
    else:
        url = request.getfixturevalue("database" if request.param == "postgresql" else "mariadb")
    execute(url, TABLE, "insert into users values ('1', 'Ann'), ('2', 'Bob')")

    def act(verb, body):
        statements = {
            "sqlite": [f"create trigger acting {body['sqlite']}"],
            "mariadb": [f"create trigger acting {body.get('mariadb', '')}"],
            "postgresql": [
                f"create function act() returns trigger language plpgsql as $$ begin {body['postgresql']} end $$",
                f"create trigger acting before {verb} on users for each row execute function act()",
            ],
        }
        if request.param not in body:
            pytest.skip("it has no such triggers")
        execute(url, *statements[request.param])

    return url, act


def rows(execute, url):
    return execute(url, "select id, name from users order by id")


SWALLOWED = {
    "insert": "before insert on users begin select raise(ignore); end",
    "update": "before update on users begin select raise(ignore); end",
    "delete": "before delete on users begin select raise(ignore); end",
}


@pytest.mark.parametrize("verb", ["insert", "update", "delete"])
def test_what_is_swallowed_is_refused_and_undone(store, execute, verb):
    url, act = store
    act(verb, {"sqlite": SWALLOWED[verb], "postgresql": "return null;"})
    with SQLSyncer(url) as syncer:
        calls = {
            "insert": lambda: syncer.upsert(
                "users", data=[{"id": "1", "name": "A"}, {"id": "3", "name": "C"}], key="id"
            ),
            "update": lambda: syncer.update("users", data=[{"id": "1", "name": "A"}], key="id"),
            "delete": lambda: syncer.delete("users", data=[{"id": "1"}], key="id"),
        }
        with pytest.raises(
            SyncerError, match=r"table 'users' of .* probably because of trigger acting: it is as it was"
        ):
            calls[verb]()
    assert rows(execute, url) == ROWS


def test_an_upsert_counts_the_updates_among_its_records(store, execute):
    url, act = store
    act("update", {"sqlite": SWALLOWED["update"], "postgresql": "return null;"})
    with SQLSyncer(url) as syncer, pytest.raises(SyncerError, match="changed 0 of the 1 record that it was given"):
        syncer.upsert("users", data=GIVEN, key="id")
    assert rows(execute, url) == ROWS


def test_what_is_changed_on_the_way_is_said(store, execute):
    url, act = store
    upper = "update users set name = upper(name) where id = new.id"
    act(
        "update",
        {
            "sqlite": f"after update on users when new.name <> upper(new.name) begin {upper}; end",
            "postgresql": "new.name = 'X' || new.name; return new;",
            "mariadb": "before update on users for each row set new.name = concat('X', new.name)",
        },
    )
    with (
        SQLSyncer(url) as syncer,
        pytest.warns(DataWarning, match="holds other values than it was.*id='1'.*acting"),
    ):
        assert syncer.upsert("users", data=[{"id": "1", "name": "al"}, {"id": "3", "name": "C"}], key="id") == 2
    assert rows(execute, url)[0] in [("1", "AL"), ("1", "Xal")]
    assert rows(execute, url)[1:] == [("2", "Bob"), ("3", "C")]


def test_nothing_is_said_where_all_is_kept(store, execute):
    url, _ = store
    with SQLSyncer(url) as syncer:
        assert syncer.upsert("users", data=[{"id": "1", "name": None}, {"id": "3"}], key="id") == 2
        assert syncer.update("users", data=[{"id": "2", "name": "Bob"}], key="id") == 1
        assert syncer.delete("users", data=[{"id": "3"}, {"id": "4"}], key="id") == 1
    assert rows(execute, url) == [("1", None), ("2", "Bob")]


@pytest.mark.parametrize("call", ["dump", "append"])
def test_rows_that_are_not_kept_are_counted_where_tables_are_written_as_a_whole(store, execute, call):
    url, act = store
    act("insert", {"sqlite": SWALLOWED["insert"], "postgresql": "return null;"})
    with (
        SQLSyncer(url) as syncer,
        pytest.raises(SyncerError, match=r"has \d rows? and not \d.* acting: it is as it was"),
    ):
        getattr(syncer, call)("users", data=[{"id": "3", "name": "C"}])
    assert rows(execute, url) == ROWS


@pytest.mark.parametrize("call", ["dump", "append"])
def test_a_table_that_replaces_rows_by_itself_does_not(tmp_path, execute, call):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    (tmp_path / "store.db").touch()
    execute(url, "create table users (id text primary key on conflict replace, name text)")
    execute(url, "insert into users values ('1', 'Ann'), ('2', 'Bob')")
    with SQLSyncer(url) as syncer, pytest.raises(SyncerError, match="is as it was: UNIQUE constraint failed"):
        getattr(syncer, call)("users", data=[{"id": "1", "name": "A"}, {"id": "1", "name": "B"}])
    assert rows(execute, url) == ROWS


@pytest.mark.parametrize(("call", "kept"), [("dump", []), ("append", ROWS)])
def test_a_table_written_as_a_whole_says_what_may_have_changed_it(store, execute, call, kept):
    url, act = store
    with SQLSyncer(url) as syncer:
        getattr(syncer, call)("users", data=[])
        assert rows(execute, url) == kept
        act(
            "insert",
            {
                "sqlite": "after insert on users begin update users set name = upper(name); end",
                "postgresql": "new.name = upper(new.name); return new;",
                "mariadb": "before insert on users for each row set new.name = upper(new.name)",
            },
        )
        with pytest.warns(
            DataWarning, match="may hold other values than it was given, probably because of trigger acting"
        ):
            getattr(syncer, call)("users", data=[{"id": "3", "name": "c"}])
    assert rows(execute, url)[-1] == ("3", "C")
