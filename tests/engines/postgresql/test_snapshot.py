"""What was imported stays what it was, and nobody else has to wait for it."""

from __future__ import annotations

import gc

import pytest
from stored_rows import layout_of, opened

from datastoresync import Object, SQLSyncer, SyncerError
from datastoresync.engines.postgresql.relation import open_stored
from datastoresync.engines.postgresql.snapshot import snapshot_of
from datastoresync.engines.relation import CannotPushDown

pytest.importorskip("psycopg")

pytestmark = pytest.mark.alone


class User(Object):
    idnumber: str
    name: str


@pytest.fixture
def users(database, execute):
    execute(
        database,
        "CREATE TABLE users (idnumber text PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO users VALUES ('1', 'Ann'), ('2', 'Bob')",
    )
    return database


@pytest.fixture
def syncer(users):
    with SQLSyncer(users) as opened_one:
        yield opened_one


def names(relation):
    return sorted(name for columns in relation.rows() for name in columns[1])


def others(execute, url):
    """The connections to the database, but for the one that asks."""
    return execute(
        url,
        "SELECT pid, state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'",
    )


def test_rows_are_those_of_the_import(syncer, users, execute):
    relation = opened(syncer, User, "users")
    execute(users, "DELETE FROM users WHERE idnumber = '1'", "INSERT INTO users VALUES ('3', 'Cyd')")
    assert names(relation) == ["Ann", "Bob"]
    assert relation.present(["1", "3"]) == {"1"}


def test_nothing_that_was_read_is_locked_afterwards(syncer, users, execute):
    relation = opened(syncer, User, "users")
    next(relation.rows(), None)
    reading = relation.rows()
    next(reading)
    del reading
    execute(users, "SET lock_timeout = '1s'", "ALTER TABLE users ADD COLUMN extra int", "DROP TABLE users")
    with pytest.raises(SyncerError, match=r"tables of .* were changed since they were imported .*: import them again"):
        names(relation)


def test_a_table_that_is_half_read_cannot_be_dropped(syncer, users, execute):
    import sqlalchemy

    relation = opened(syncer, User, "users")
    reading = relation.rows()
    next(reading)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="lock timeout"):
        execute(users, "SET lock_timeout = '50ms'", "DROP TABLE users")
    reading.close()
    execute(users, "SET lock_timeout = '1s'", "DROP TABLE users")


@pytest.mark.parametrize(
    "statements",
    [
        ["TRUNCATE users"],
        ["DROP TABLE users", "CREATE TABLE users (idnumber text, name text)"],
        ["ALTER TABLE users ALTER name TYPE varchar(9)", "ALTER TABLE users ALTER name TYPE text USING name || '!'"],
    ],
)
def test_what_a_snapshot_cannot_keep_is_refused(statements, syncer, users, execute):
    relation = opened(syncer, User, "users")
    execute(users, *statements)
    with pytest.raises(SyncerError, match=r"table 'users' of .* was altered, emptied or recreated .*: import it again"):
        names(relation)


def test_a_column_that_is_gone_is_named(syncer, users, execute):
    relation = opened(syncer, User, "users")
    execute(users, "ALTER TABLE users DROP COLUMN name")
    with pytest.raises(SyncerError, match="were changed since they were imported"):
        names(relation)
    assert others(execute, users), "the transaction goes on after an error"
    execute(users, "ALTER TABLE users ADD COLUMN name text")
    with pytest.raises(SyncerError, match="was altered"):
        names(relation)


PARTS = (
    "CREATE TABLE parts (idnumber text NOT NULL, name text NOT NULL) PARTITION BY LIST (idnumber)",
    "CREATE TABLE part PARTITION OF parts FOR VALUES IN ('1', '2')",
    "INSERT INTO parts SELECT * FROM users",
    "CREATE TABLE more AS SELECT '3' AS idnumber, 'Cyd' AS name",
    "ALTER TABLE more ALTER idnumber SET NOT NULL, ALTER name SET NOT NULL",
)


def several(syncer, *tables):
    """The tables, and queries on them."""
    found = [opened(syncer, User, table) for table in tables]
    queries = [f"SELECT * FROM {table} -- all" for table in tables]
    return found + [open_stored(syncer, query=query, layout=layout_of(User)) for query in queries]


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE part",
        "ALTER TABLE parts DETACH PARTITION part",
        "ALTER TABLE parts ATTACH PARTITION more FOR VALUES IN ('3')",
    ],
)
def test_partitions_are_those_of_the_import(statement, syncer, users, execute):
    execute(users, *PARTS)
    relations = several(syncer, "parts")
    assert [names(relation) for relation in relations] == [["Ann", "Bob"]] * 2
    execute(users, statement)
    for relation in relations:
        with pytest.raises(SyncerError, match="was altered, emptied"):
            names(relation)
        with pytest.raises(SyncerError, match="was altered, emptied"):
            relation.present(["1"])


@pytest.mark.parametrize(("before", "after"), [("NO INHERIT", "INHERIT"), ("INHERIT", "NO INHERIT")])
def test_children_are_those_of_the_import(before, after, syncer, users, execute):
    execute(users, "CREATE TABLE more () INHERITS (users)", "INSERT INTO more VALUES ('3', 'Cyd')")
    execute(users, "ALTER TABLE more NO INHERIT users", *([] if "NO" in before else ["ALTER TABLE more INHERIT users"]))
    relations = several(syncer, "users")
    execute(users, f"ALTER TABLE more {after} users")
    for relation in relations:
        with pytest.raises(SyncerError, match="was altered, emptied"):
            names(relation)


def test_rows_that_are_not_for_everybody_are_read(users, execute, reader):
    execute(users, f"GRANT USAGE ON SCHEMA public TO {reader}", f"GRANT SELECT ON users TO {reader}")
    with SQLSyncer(users, connect_args={"options": f"-crole={reader}"}) as syncer:
        relation = opened(syncer, User, "users")
        execute(users, "ALTER TABLE users ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON users USING (name <> 'Ann')")
        with pytest.raises(SyncerError, match="was altered, emptied"):
            names(relation)
        with pytest.raises(CannotPushDown, match="its rows are not all for everybody"):
            opened(syncer, User, "users")


def test_statistics_and_indexes_change_nothing(syncer, users, execute):
    relations = several(syncer, "users")
    execute(users, "ANALYZE users", "CREATE INDEX named ON users (name)", "GRANT SELECT ON users TO public")
    assert [names(relation) for relation in relations] == [["Ann", "Bob"]] * 2


def test_moments_of_a_standby_are_not_shared(syncer, monkeypatch):
    monkeypatch.setattr("datastoresync.engines.postgresql.snapshot._MOMENT", "SELECT NULL")
    one, other = opened(syncer, User, "users"), opened(syncer, User, "users")
    assert one.snapshot is not other.snapshot
    assert one.snapshot.order is None


def test_snapshots_are_in_order(syncer, users, execute):
    import psycopg

    orders = []
    with psycopg.connect(users.replace("+psycopg", "")) as writer:
        for statement in ("SELECT 1", "SELECT pg_current_xact_id()", "COMMIT"):
            writer.execute(statement)
            execute(users, "SELECT pg_current_xact_id()")
            orders.append(opened(syncer, User, "users").snapshot.order)
    assert orders == sorted(set(orders))
    assert orders[1][2] == -1


def test_the_connection_is_closed_with_the_relation(syncer, users, execute):
    relation = opened(syncer, User, "users")
    syncer.close()
    assert [state for _, state in others(execute, users)] == ["idle in transaction"]
    relation.close()
    relation.close()
    assert others(execute, users) == []
    with pytest.raises(SyncerError, match="was closed: import it again"):
        names(relation)


def test_the_connection_is_closed_when_the_relation_is_forgotten(syncer, users, execute):
    relation = opened(syncer, User, "users")
    syncer.close()
    del relation
    gc.collect()
    assert others(execute, users) == []


def test_closing_the_syncer_leaves_the_relation_alone(syncer, users):
    relation = opened(syncer, User, "users")
    syncer.close()
    assert names(relation) == ["Ann", "Bob"]
    relation.close()


def test_a_refused_relation_leaves_no_connection(syncer, users, execute):
    execute(users, "ALTER TABLE users ALTER name DROP NOT NULL", "INSERT INTO users VALUES ('3', NULL)")
    with pytest.raises(CannotPushDown, match="name is NULL somewhere"):
        opened(syncer, User, "users")
    with pytest.raises(CannotPushDown, match="it cannot be read in place"):
        opened(syncer, User, "user")
    syncer.close()
    assert others(execute, users) == []


def test_imports_of_one_moment_share_a_connection(syncer, users, execute):
    relations = [opened(syncer, User, "users") for _ in range(3)]
    # A server at work in the background may let moments pass; those that are one share one.
    assert len({id(relation.snapshot) for relation in relations}) == len(
        {relation.snapshot.moment for relation in relations}
    )
    execute(users, "DELETE FROM users WHERE idnumber = '1'")
    later = opened(syncer, User, "users")
    assert later.snapshot is not relations[0].snapshot
    for relation in relations:
        relation.close()
    assert names(later) == ["Bob"]


def test_only_so_many_moments_are_held(syncer, users, execute):
    held = []
    for _ in range(16):
        held.append(opened(syncer, User, "users"))
        execute(users, "UPDATE users SET name = name")
    with pytest.raises(CannotPushDown, match="16 states of the database are held already"):
        opened(syncer, User, "users")
    held.pop().close()
    opened(syncer, User, "users").close()


def test_a_server_that_ends_it_says_so(syncer, users, execute):
    relation = opened(syncer, User, "users")
    execute(
        users, f"SELECT pg_terminate_backend({next(pid for pid, state in others(execute, users) if 'trans' in state)})"
    )
    for _ in range(2):
        with pytest.raises(SyncerError, match=r"ended the transaction .*: import it again"):
            names(relation)
    relation.close()


def test_an_impatient_server_is_not_relied_upon(users, execute):
    with (
        SQLSyncer(users, connect_args={"options": "-cidle_in_transaction_session_timeout=60s"}) as syncer,
        pytest.raises(CannotPushDown, match="the server ends transactions that are idle for 60 s"),
    ):
        opened(syncer, User, "users")
    assert others(execute, users) == []


def test_streams_may_be_read_side_by_side_and_left_in_any_order(syncer, users):
    relation = opened(syncer, User, "users")
    one, other = relation.rows(), relation.rows()
    next(one)
    next(other)
    one.close()
    assert relation.present(["1"]) == {"1"}
    assert list(other) == []


def test_what_fails_ends_the_other_streams_and_nothing_else(users, execute):
    execute(users, "INSERT INTO users SELECT '0' || n, n::text FROM generate_series(1, 25000) AS n")
    with SQLSyncer(users) as syncer:
        relation = opened(syncer, User, "users")
        one = relation.rows()
        next(one)
        with (
            pytest.raises(SyncerError, match=r"cannot read from .* division by zero"),
            relation.snapshot.reading() as asked,
        ):
            asked.exec_driver_sql("SELECT 1 / 0")
        with pytest.raises(SyncerError, match=r"cannot read from .*"):
            next(one)
        assert relation.present(["1"]) == {"1"}
        relation.close()


def test_nothing_can_be_written(syncer, users):
    relation = opened(syncer, User, "users")
    with pytest.raises(SyncerError, match="read-only"), relation.snapshot.reading() as connection:
        connection.exec_driver_sql("DELETE FROM users")


def test_other_databases_are_not_asked(tmp_path):
    with SQLSyncer(f"sqlite:///{tmp_path / 'a.db'}") as syncer, pytest.raises(CannotPushDown, match="sqlite"):
        snapshot_of(syncer._database)


def test_a_server_that_is_not_there_is_left_to_the_import(tmp_path):
    with SQLSyncer(f"postgresql:///none?host={tmp_path}") as syncer, pytest.raises(CannotPushDown, match="in place"):
        opened(syncer, User, "users")


def test_what_cannot_be_begun_leaves_no_connection(users, execute, monkeypatch):
    monkeypatch.setattr("datastoresync.engines.postgresql.snapshot._FACTS", "SELECT 1 / 0")
    with SQLSyncer(users) as syncer, pytest.raises(SyncerError, match=r"cannot open .*: division by zero"):
        snapshot_of(syncer._database)
    assert others(execute, users) == []


def test_what_is_set_for_a_question_is_forgotten(syncer, users):
    relation = opened(syncer, User, "users")
    shown = "SELECT current_setting('search_path')"
    for path, expected in (("pg_catalog", "pg_catalog"), (None, '"$user", public')):
        with relation.snapshot.reading(path) as connection:
            assert connection.exec_driver_sql(shown).scalar_one() == expected


def test_a_single_connection_is_not_kept(users):
    import sqlalchemy

    engine = sqlalchemy.create_engine(users, poolclass=sqlalchemy.StaticPool)
    with pytest.raises(CannotPushDown, match="the engine has a single connection"):
        opened(SQLSyncer(engine), User, "users")
    engine.dispose()


def test_the_name_of_a_snapshot_stays_and_is_none_within_a_reading(syncer, users):
    relation = opened(syncer, User, "users")
    reading = relation.rows()
    next(reading)
    assert relation.snapshot.export() is None
    reading.close()
    name = relation.snapshot.export()
    assert name is not None
    assert relation.snapshot.export() == name
    assert names(relation) == ["Ann", "Bob"]
    relation.snapshot.close()
    relation.snapshot.close()
    assert relation.snapshot.closed


def test_another_connection_sees_the_same_and_waits_no_longer_than_told(users, execute):
    with SQLSyncer(users, timeout=7) as syncer:
        relation = opened(syncer, User, "users")
        execute(users, "DELETE FROM users")
        with relation.snapshot.sharing(relation.snapshot.export()) as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM users").scalar() == 2
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "7s"
        relation.close()
