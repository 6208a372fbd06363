"""Changes applied to a database: what they do, what they leave alone, and what they say about it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
import sqlalchemy
from changes_by_key import ChangesByKey, same
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Link, Outcome, Table, WriteOptions
from datastoresync.syncers.sql import statements as sql_blocks
from datastoresync.syncers.sql import statements as sql_statements
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])

KEY = ("key",)
MEMBERS = {"members": Link("members", "owner", "member")}
T = Table("things", links=MEMBERS)
CHANGES = ChangesByKey(T, KEY[0])
insert, update, delete = CHANGES.insert, CHANGES.update, CHANGES.delete
TABLES = (
    "create table things (key integer primary key, a integer, b text)",
    "create table members (owner integer references things (key), member integer, primary key (owner, member))",
)


def link(key, member, verb="link"):
    return Change(verb, T, KEY, (key,), {"members": member})


def unlink(key, member):
    return link(key, member, "unlink")


@pytest.fixture
def syncer(store_url, execute):
    execute(store_url, *TABLES)
    with SQLSyncer(store_url) as opened:
        yield opened


@pytest.fixture
def things(store_url, execute):
    """Puts rows there behind the back of the syncer."""

    def put(rows):
        statements = ["delete from members", "delete from things"]
        for key, (a, b, members) in rows.items():
            text = "null" if b is None else f"'{b}'"
            statements.append(f"insert into things values ({key}, {'null' if a is None else a}, {text})")
            statements += [f"insert into members values ({key}, {member})" for member in members]
        execute(store_url, *statements)

    return put


def contents(syncer):
    return {record["key"]: (record["a"], record["b"], record["members"]) for record in syncer.read(T, identifiers=KEY)}


def apply(syncer, *changes):
    return syncer.apply_changes(changes, same=same, options=WriteOptions(whole=lambda table: True))


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


# --- laws -------------------------------------------------------------------------------------------------------------

keys = st.integers(1, 5)
numbers = st.none() | st.integers(0, 2)
texts = st.none() | st.sampled_from(["", "x", "y"])
members = st.frozensets(st.integers(1, 3))
stores = st.dictionaries(keys, st.tuples(numbers, texts, members))


def by_object(before, wanted):
    """Return the changes that make one dictionary of the other, as a diff would ask for them."""
    changes = []
    for key in sorted(wanted.keys() - before.keys()):
        a, b, owned = wanted[key]
        changes.append(insert(key, a=a, b=b, members=set(owned)))
    for key in sorted(wanted.keys() & before.keys()):
        (old_a, old_b, old), (a, b, new) = before[key], wanted[key]
        changes += [update(key, a=(old_a, a))] if a != old_a else []
        changes += [link(key, member) for member in sorted(new - old)]
        changes += [unlink(key, member) for member in sorted(old - new)]
        changes += [update(key, b=(old_b, b))] if b != old_b else []
    for key in sorted(before.keys() - wanted.keys()):
        a, b, owned = before[key]
        changes.append(delete(key, a=a, b=b, members=set(owned)))
    return changes


def simulate(now, changes):
    """Apply changes to a dictionary, one object after the other; return the statuses."""
    now = {key: [a, b, set(owned)] for key, (a, b, owned) in now.items()}
    places = {"a": 0, "b": 1, "members": 2}
    found = []
    for change in changes:
        (key,) = change.key
        row = now.get(key)
        there = row is not None
        if change.verb == "insert":
            values = [change.values[name] for name in places]
            found.append("done" if not there or row == values else "conflict")
            now.setdefault(key, values)
        elif change.verb == "delete":
            as_expected = not there or row == [change.expected[name] for name in places]
            found.append("done" if as_expected else "conflict")
            if there and as_expected:
                del now[key]
        elif change.verb == "update":
            together = [other for other in changes if other.verb == "update" and other.key == change.key]
            fine = there and all(
                row[places[name]] in (other.expected[name], value)
                for other in together
                for name, value in other.values.items()
            )
            found.append("done" if fine else "conflict")
            if fine:
                for name, value in change.values.items():
                    row[places[name]] = value
        elif change.verb == "link":
            found.append("done" if there else "conflict")
            if there:
                row[2].add(change.values["members"])
        else:
            found.append("done")
            if there:
                row[2].discard(change.values["members"])
    return {key: tuple(row) for key, row in now.items()}, found


@pytest.mark.parametrize("size", [1, 2, 1_000])
def test_changes_do_what_they_would_do_to_a_dictionary(syncer, things, monkeypatch, size):
    monkeypatch.setattr(sql_blocks, "KEYS", size)

    @settings(law, max_examples=examples(25))
    @given(before=stores, wanted=stores, edited=st.dictionaries(keys, st.none() | st.tuples(numbers, texts, members)))
    def check(before, wanted, edited):
        now = {key: row for key, row in (before | edited).items() if row is not None}
        things(now)
        changes = by_object(before, wanted)
        after, expected = simulate(now, changes)
        assert statuses(apply(syncer, *changes)) == expected
        assert contents(syncer) == after
        again, expected = simulate(after, changes)
        assert statuses(apply(syncer, *changes)) == expected
        assert contents(syncer) == again

    check()


@law
@given(before=stores, wanted=stores)
def test_changes_lead_from_one_state_to_the_other_and_twice_is_once(syncer, things, before, wanted):
    things(before)
    for _ in range(2):
        outcomes = apply(syncer, *by_object(before, wanted))
        assert set(outcomes) <= {Outcome("done")}
        assert contents(syncer) == {key: (a, b, set(owned)) for key, (a, b, owned) in wanted.items()}


steps = st.lists(
    st.tuples(st.just("insert"), st.integers(1, 2), numbers, members)
    | st.tuples(st.just("delete"), st.integers(1, 2))
    | st.tuples(st.just("a"), st.integers(1, 2), numbers)
    | st.tuples(st.just("b"), st.integers(1, 2), texts)
    | st.tuples(st.just("members"), st.integers(1, 2), members)
    | st.tuples(st.sampled_from(["link", "unlink"]), st.integers(1, 2), st.integers(1, 2)),
    max_size=14,
)


NONE = frozenset()


@settings(law, max_examples=examples(60))
@example(steps=[("insert", 1, 0, NONE), ("a", 1, 1), ("delete", 1), ("insert", 1, 0, NONE), ("b", 1, "x")])
@example(steps=[("insert", 1, 0, NONE), ("a", 1, 1), ("link", 1, 2), ("members", 1, NONE)])
@example(steps=[("insert", 1, 0, NONE), ("link", 1, 2), ("unlink", 1, 2), ("members", 1, {1}), ("link", 1, 2)])
@given(steps=steps)
def test_any_sequence_of_changes_ends_as_one_by_one(syncer, things, steps):
    things({})
    now, changes = {}, []
    for verb, key, *rest in steps:
        there = key in now
        if verb == "insert" and not there:
            now[key] = [rest[0], "", set(rest[1])]
            changes.append(insert(key, a=rest[0], b="", members=rest[1]))
        elif verb == "delete" and there:
            a, b, owned = now.pop(key)
            changes.append(delete(key, a=a, b=b, members=owned))
        elif verb in ("a", "b", "members") and there:
            place = ("a", "b", "members").index(verb)
            changes.append(update(key, **{verb: (now[key][place], rest[0])}))
            now[key][place] = set(rest[0]) if verb == "members" else rest[0]
        elif verb in ("link", "unlink") and there:
            owned = now[key][2] | set(rest) if verb == "link" else now[key][2] - set(rest)
            now[key][2] = owned
            changes.append(link(key, rest[0], verb))
    assert set(apply(syncer, *changes)) <= {Outcome("done")}
    assert contents(syncer) == {key: tuple(row) for key, row in now.items()}


# --- conflicts --------------------------------------------------------------------------------------------------------


def test_no_changes_do_not_even_connect():
    assert SQLSyncer("postgresql://nobody@127.0.0.1:1/nothing").apply_changes([], same=same) == []


def test_reasons_name_what_is_there_where_a_row_was_to_be_made_and_attributes_alone_elsewhere(syncer, things):
    things({1: (7, "secret", [5]), 2: (7, "secret", [5]), 4: (7, "secret", [])})
    found = apply(
        syncer,
        insert(1, a=8, b="other", members={5}),
        update(2, b=("old", "new")),
        update(2, a=(7, 8)),
        update(3, a=(7, 8)),
        link(3, 5),
        delete(4, a=7, b="secret", members={5}),
        delete(5, a=7),
    )
    assert found == [
        Outcome("conflict", "already there since the import: a is 7 (asked: 8), b is 'secret' (asked: 'other')"),
        Outcome("conflict", "changed since the import: b"),
        Outcome("conflict", "changed since the import: b"),
        Outcome("conflict", "no longer there: it was deleted since the import"),
        Outcome("conflict", "no longer there: it was deleted since the import"),
        Outcome("conflict", "changed since the import: members"),
        Outcome("done"),
    ]
    assert contents(syncer) == {1: (7, "secret", {5}), 2: (7, "secret", {5}), 4: (7, "secret", set())}


def test_an_update_without_an_expectation_is_made(syncer, things):
    things({1: (7, "x", [])})
    assert apply(syncer, Change("update", T, KEY, (1,), {"a": 8})) == [Outcome("done")]
    assert contents(syncer) == {1: (8, "x", set())}


def test_a_deletion_takes_the_members_that_nobody_asked_about(syncer, things):
    things({1: (7, "x", [5, 6])})
    assert apply(syncer, delete(1, a=7)) == [Outcome("done")]
    assert contents(syncer) == {}


def test_a_whole_set_of_members_may_become_none(syncer, things):
    things({1: (7, "x", [5, 6])})
    assert apply(syncer, update(1, members=({5, 6}, None))) == [Outcome("done")]
    assert contents(syncer) == {1: (7, "x", set())}


def test_a_whole_set_of_members_is_kept_if_somebody_changed_it(syncer, things):
    things({1: (7, "x", [5, 6])})
    assert statuses(apply(syncer, update(1, members=({5}, {9})))) == ["conflict"]
    assert contents(syncer) == {1: (7, "x", {5, 6})}


def test_an_insert_keeps_members_that_wait_for_it(store_url, execute):
    execute(
        store_url,
        "create table things (key integer primary key, a integer, b text)",
        "create table members (owner integer, member integer, primary key (owner, member))",
        "insert into members values (1, 5)",
    )
    with SQLSyncer(store_url) as syncer:
        assert statuses(apply(syncer, insert(1, members=[5, 6, 6]))) == ["done"]
        assert contents(syncer) == {1: (None, None, {5, 6})}


def test_a_key_in_several_rows_is_left_alone(store_url, execute):
    execute(
        store_url,
        "create table loose (key integer, a integer)",
        "insert into loose values (1, 1), (1, 2), (2, 1)",
    )
    loose = Table("loose")
    with SQLSyncer(store_url) as syncer:
        found = apply(
            syncer, insert(1, loose, a=1), update(1, loose, a=(1, 5)), update(2, loose, a=(1, 5)), delete(1, loose)
        )
        assert statuses(found) == ["conflict", "conflict", "done", "conflict"]
        assert {outcome.reason for outcome in found} == {
            "",
            "its key stands in more than one row, so none of them was touched",
        }
        assert sorted(tuple(record.values()) for record in syncer.load("loose")) == [(1, 1), (1, 2), (2, 5)]


def test_blanks_that_pad_a_key_are_ignored_where_the_database_does(database, execute):
    execute(
        database,
        "create table t (key char(5) primary key, a integer)",
        "create table members (owner varchar(5), member char(5))",
        "insert into t values ('ab', 1)",
        "insert into members values ('ab', 'm')",
    )
    table = Table("t", links=MEMBERS)
    with SQLSyncer(database) as syncer:
        assert [record["members"] for record in syncer.read(table, identifiers=KEY)] == [{"m"}]
        found = apply(syncer, update("ab", table, a=(1, 2)), Change("link", table, KEY, ("ab   ",), {"members": "m"}))
        assert statuses(found) == ["done", "done"]
        assert execute(database, "select count(*) from members") == [(1,)]
        assert statuses(apply(syncer, delete("ab", table, a=2))) == ["done"]
        assert execute(database, "select count(*) from members") == [(0,)]


# --- order, failures, what the store as a whole does ------------------------------------------------------------------


def test_parents_come_first_and_children_go_first(store_url, execute):
    execute(
        store_url,
        "create table nodes (key integer primary key, a text, parent integer references nodes (key))",
        "create table leaves (key integer primary key, node integer not null references nodes (key))",
    )
    nodes, leaves = Table("nodes"), Table("leaves")
    with SQLSyncer(store_url) as syncer:
        found = apply(
            syncer,
            insert(3, nodes, parent=None),
            insert(2, nodes, a="x", parent=3),
            insert(1, nodes, parent=2),
            insert(1, leaves, node=1),
        )
        assert statuses(found) == ["done"] * 4
        found = apply(syncer, delete(1, leaves), delete(1, nodes), delete(2, nodes), delete(3, nodes))
        assert statuses(found) == ["done"] * 4
        assert syncer.load("nodes") == syncer.load("leaves") == []
        found = apply(syncer, insert(1, leaves, node=9))
        assert statuses(found) == ["failed"]


def test_a_failing_change_in_the_middle_leaves_nothing(store_url, execute):
    execute(
        store_url,
        "create table things (key integer primary key, a integer, constraint small check (a < 100))",
        "insert into things values (0, 1), (-1, 1)",
    )
    table = Table("things")
    with SQLSyncer(store_url) as syncer:
        changes = [insert(key, table, a=key) for key in range(1, 150)]
        changes += [update(0, table, a=(1, 2)), delete(-1, table, a=7)]
        found = apply(syncer, *changes)
        failed = [place for place, outcome in enumerate(found) if outcome.status == "failed"]
        assert failed == list(range(99, 149)), "all that fail are named"
        assert all("small" in found[place].reason for place in failed)
        assert set(found[:99] + found[149:]) == {Outcome("undone", "rolled back together with a change that failed")}
        assert sorted(record["key"] for record in syncer.load("things")) == [-1, 0]
        del changes[99:149]
        assert statuses(apply(syncer, *changes)) == ["done"] * 100 + ["conflict"]


def test_updates_of_one_object_fail_together(store_url, execute):
    execute(
        store_url,
        "create table things (key integer primary key, a integer, b integer, check (a < b))",
        "insert into things values (1, 1, 2), (2, 1, 2)",
    )
    table = Table("things")
    with SQLSyncer(store_url) as syncer:
        found = apply(
            syncer,
            update(1, table, a=(1, 7)),
            update(2, table, a=(1, 9)),
            update(1, table, b=(2, 8)),
            update(2, table, b=(2, 9)),
        )
        assert statuses(found) == ["undone", "failed", "undone", "failed"]
        assert statuses(apply(syncer, update(1, table, a=(1, 7)), update(1, table, b=(2, 8)))) == ["done", "done"]


def test_a_value_that_does_not_fit_fails_its_change(syncer):
    found = apply(syncer, insert(1, a=1), insert(2, a=object(), b="x"))
    assert statuses(found) == ["undone", "failed"]
    assert contents(syncer) == {}


def test_a_member_that_does_not_fit_fails_its_change(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(url, *TABLES)
    with SQLSyncer(url) as syncer:
        found = apply(syncer, insert(1, a=1), insert(2, a=1, members={2**63}))
        assert found[1].status == "failed"
        assert "column 'member' cannot hold 9223372036854775808: an integer of SQLite has 64 bits" in found[1].reason
        found = apply(syncer, insert(1, a=2**63))
        reason = "column 'a' cannot hold 9223372036854775808: an integer of SQLite has 64 bits: make the column TEXT"
        assert found == [Outcome("failed", reason)]


def test_a_statement_that_only_fails_at_first_is_repeated(syncer, things, monkeypatch):
    things({1: (1, "x", []), 2: (1, "x", [])})
    update_rows, calls = sql_statements.Statements.update, []

    def fail_once(self, *arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise sql_statements.RefusalError("once", None)
        return update_rows(self, *arguments)

    monkeypatch.setattr(sql_statements.Statements, "update", fail_once)
    assert statuses(apply(syncer, update(1, a=(1, 2)), update(2, a=(1, 2)))) == ["done", "done"]
    assert len(calls) == 3


def test_what_the_comparison_raises_goes_through_and_nothing_is_written(syncer, things):
    things({1: (1, "x", [])})

    def fail(change, attribute, raw, expected):
        message = "my own mistake"
        raise ValueError(message)

    with pytest.raises(ValueError, match="my own mistake"):
        syncer.apply_changes([insert(2, a=1), update(1, a=(1, 2))], same=fail)
    assert contents(syncer) == {1: (1, "x", set())}


def test_a_constraint_that_is_checked_at_the_commit_leaves_nothing(store_url, execute):
    execute(
        store_url,
        "create table parents (key integer primary key)",
        "create table children (key integer primary key, parent integer references parents (key) "
        "deferrable initially deferred)",
    )
    with SQLSyncer(store_url) as syncer:
        found = apply(syncer, insert(1, Table("children"), parent=9), insert(2, Table("children"), parent=None))
        assert statuses(found) == ["failed", "undone"]
        assert "foreign key" in found[0].reason.lower()
        assert syncer.load("children") == []
        found = apply(syncer, insert(1, Table("children"), parent=9), insert(9, Table("parents")))
        assert statuses(found) == ["done", "done"]


def test_a_connection_that_is_lost_leaves_nothing(database, execute):
    execute(database, *TABLES, "insert into things values (1, 1, 'x')")

    def cut(change, attribute, raw, expected):
        execute(
            database,
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()",
        )
        return raw == expected

    with SQLSyncer(database) as syncer:
        with pytest.raises(SyncerError, match="gave up, and nothing was written: "):
            syncer.apply_changes([insert(2, a=1), update(1, a=(1, 2))], same=cut)
        assert contents(syncer) == {1: (1, "x", set())}


def test_a_connection_that_is_lost_before_the_commit_is_said_to_be_unsure(database, execute):
    execute(database, *TABLES, "insert into things values (1, 2, 'x')")

    def cut(change, attribute, raw, expected):
        execute(
            database,
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()",
        )
        return raw == expected

    engine = sqlalchemy.create_engine(database)
    sqlalchemy.event.listen(engine, "commit", lambda connection: cut(None, "", 1, 1))
    with pytest.raises(SyncerError, match="was lost during the commit, so import again to see if it took: "):
        SQLSyncer(engine).apply_changes([insert(2, a=1)], same=same)
    engine.dispose()


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "SERIALIZABLE"])
def test_a_row_that_somebody_changes_during_the_run_is_a_conflict(database, execute, isolation):
    execute(database, *TABLES, "insert into things values (1, 1, 'x'), (2, 1, 'x'), (3, 1, 'x')")
    engine = sqlalchemy.create_engine(database, isolation_level=isolation)
    edited = []

    def edit(connection, cursor, statement, *others):
        if "FOR UPDATE" in statement and not edited:
            edited.append(statement)
            execute(database, "update things set a = 5 where key = 2", "delete from things where key = 3")

    sqlalchemy.event.listen(engine, "before_cursor_execute", edit)
    with SQLSyncer(engine) as syncer:
        found = apply(syncer, update(1, a=(1, 2)), update(2, a=(1, 2)), update(3, a=(1, 2)))
        assert statuses(found) == ["done", "conflict", "conflict"]
        assert contents(syncer) == {1: (2, "x", set()), 2: (5, "x", set())}
    engine.dispose()


def test_a_row_that_was_looked_at_cannot_be_changed_by_others(database, execute):
    execute(database, *TABLES, "insert into things values (1, 1, 'x')")
    refused = []

    def compare(change, attribute, raw, expected):
        with pytest.raises(sqlalchemy.exc.OperationalError, match="lock timeout"):
            execute(database, "set lock_timeout = '100ms'", "update things set b = 'mine' where key = 1")
        refused.append(attribute)
        return raw == expected

    with SQLSyncer(database) as syncer:
        assert statuses(syncer.apply_changes([update(1, a=(1, 2))], same=compare)) == ["done"]
        assert contents(syncer) == {1: (2, "x", set())}
    assert refused


def test_a_row_that_somebody_holds_on_to_blames_no_change(database, execute):
    execute(database, *TABLES, "insert into things values (1, 1, 'x'), (2, 1, 'x')")
    engine = sqlalchemy.create_engine(database)
    patience = {"options": "-c lock_timeout=100ms"}
    with engine.begin() as connection, SQLSyncer(database, connect_args=patience) as syncer:
        connection.exec_driver_sql("update things set a = 5 where key = 2")
        with pytest.raises(LockedError, match=r"gave up, and nothing was written: .*55P03"):
            apply(syncer, update(1, a=(1, 2)), update(2, a=(1, 2)))
        connection.rollback()
        assert contents(syncer)[1] == (1, "x", set())
        assert statuses(apply(syncer, update(1, a=(1, 2)), update(2, a=(1, 2)))) == ["done", "done"]
    engine.dispose()


def test_a_store_that_gives_up_on_the_second_attempt_blames_no_change(syncer, things, monkeypatch):
    things({1: (1, "x", []), 2: (1, "x", [])})
    reasons = iter([None, SyncerError])

    def fail(self, *arguments):
        raise sql_statements.RefusalError("the disk is full", next(reasons))

    monkeypatch.setattr(sql_statements.Statements, "update", fail)
    with pytest.raises(SyncerError, match="gave up, and nothing was written: the disk is full"):
        apply(syncer, update(1, a=(1, 2)), update(2, a=(1, 2)))


def test_an_interrupted_run_leaves_nothing(syncer, things):
    things({1: (1, "x", [])})

    def interrupt(change, attribute, raw, expected):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        syncer.apply_changes([insert(2, a=1), update(1, a=(1, 2))], same=interrupt)
    assert contents(syncer) == {1: (1, "x", set())}


def late(moment):
    """Return what raises Ctrl-C before, in the middle of, or after what ends a transaction."""

    def interrupted(self, *arguments):
        moment(self, *arguments)
        raise KeyboardInterrupt

    return interrupted


def test_an_interrupt_after_the_commit_says_what_was_done(syncer, things, monkeypatch):
    things({1: (1, "x", []), 2: (2, "x", [])})
    monkeypatch.setattr(sqlalchemy.Connection, "close", late(sqlalchemy.Connection.close))
    with pytest.raises(KeyboardInterrupt, match="after the commit") as caught:
        apply(syncer, update(1, a=(1, 5)), update(2, a=(7, 8)))
    monkeypatch.undo()
    assert statuses(caught.value.outcomes) == ["done", "conflict"]
    assert contents(syncer) == {1: (5, "x", set()), 2: (2, "x", set())}


def test_an_interrupt_during_the_commit_says_that_it_may_be_done(syncer, things, monkeypatch):
    things({1: (1, "x", [])})
    monkeypatch.setattr(sqlalchemy.RootTransaction, "commit", late(sqlalchemy.RootTransaction.commit))
    with pytest.raises(KeyboardInterrupt, match="import again") as caught:
        apply(syncer, update(1, a=(1, 5)), insert(2, a=1))
    monkeypatch.undo()
    assert statuses(caught.value.outcomes) == ["failed", "failed"]
    assert "may be done all the same" in caught.value.outcomes[0].reason
    assert set(contents(syncer)) == {1, 2}


def test_an_interrupt_before_the_commit_knows_of_no_outcomes(syncer, things, monkeypatch):
    things({1: (1, "x", [])})
    monkeypatch.setattr(sql_statements.Statements, "update", late(sql_statements.Statements.update))
    with pytest.raises(KeyboardInterrupt) as caught:
        apply(syncer, update(1, a=(1, 5)))
    assert not hasattr(caught.value, "outcomes")
    assert contents(syncer) == {1: (1, "x", set())}


def test_what_was_read_does_not_let_a_run_write_that_may_only_read(database, execute):
    execute(database, "create table things (key integer primary key, a integer)", "insert into things values (1, 1)")
    with SQLSyncer(database, connect_args={"options": "-c default_transaction_read_only=on"}) as syncer:
        assert syncer.load("things") == [{"key": 1, "a": 1}]
        (outcome,) = apply(syncer, update(1, Table("things"), a=(1, 5)))
    assert outcome.status == "failed"
    assert "25006" in outcome.reason
    assert execute(database, "select a from things") == [(1,)]


# --- names and values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (insert(2, Table("thing"), a=1), r"has no table 'thing'; did you mean 'things'\?"),
        (insert(2, c=1), r"table 'things' of .* has no column 'c'"),
        (update(2, bb=(1, 2)), r"no column 'bb'; did you mean 'b'\?"),
        (delete(2, aa=1), r"no column 'aa'; did you mean 'a'\?"),
        (Change("delete", T, ("keys",), (2,)), r"no column 'keys'; did you mean 'key'\?"),
        (Change("link", T, KEY, (1,), {"a": 1}), r"a link in table 'things' names a, which is not one attribute with"),
        (Change("unlink", T, KEY, (1,), {}), r"an? unlink in table 'things' names nothing"),
        (
            Change(
                "link",
                Table("things", links={"m": Link("members", ("owner", "member"), "member")}),
                KEY,
                (1,),
                {"m": 1},
            ),
            r"the owner in link table 'members' is 2 column\(s\)",
        ),
    ],
)
def test_unknown_names_are_refused_before_anything_is_written(syncer, change, message):
    with pytest.raises(SyncerError, match=message):
        apply(syncer, insert(1, a=1), change)
    assert contents(syncer) == {}


def test_composite_keys_and_renamed_columns(store_url, execute):
    execute(
        store_url,
        "create table rooms (site text, number integer, title text, primary key (site, number))",
        "create table holders (site text, number integer, holder text)",
    )
    table = Table("rooms", columns={"name": "title"}, links={"keys": Link("holders", ("site", "number"), "holder")})
    names = ("site", "number")
    with SQLSyncer(store_url) as syncer:
        found = apply(
            syncer,
            Change("insert", table, names, ("a", 1), {"name": "A1", "keys": {"x", "y"}}),
            Change("insert", table, names, ("a", 2), {"name": "A2", "keys": set()}),
            Change("update", table, names, ("a", 1), {"name": "new"}, {"name": "A1"}),
            Change("link", table, names, ("a", 2), {"keys": "z"}),
            Change("unlink", table, names, ("a", 1), {"keys": "x"}),
        )
        assert statuses(found) == ["done"] * 5
        assert {(r["site"], r["number"]): (r["name"], r["keys"]) for r in syncer.read(table)} == {
            ("a", 1): ("new", {"y"}),
            ("a", 2): ("A2", {"z"}),
        }
        found = apply(syncer, Change("delete", table, names, ("a", 1), {}, {"name": "new", "keys": {"y"}}))
        assert statuses(found) == ["done"]
        assert [record["number"] for record in syncer.read(table)] == [2]


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Level(Enum):
    LOW = 1


def test_values_fit_the_columns_of_postgresql(database, execute):
    execute(
        database,
        "create type mood as enum ('glad', 'SAD')",
        "create domain amount as numeric(12, 3)",
        "create table t (id uuid, day date, mood mood, tags text[], ids uuid[], data json, n amount, level integer, "
        "moods mood[], note varchar(3), primary key (id, day))",
    )
    first, second = UUID(int=1), UUID(int=2)
    values = {
        "mood": Mood.GLAD,
        "tags": {"b", "a"},
        "ids": {second, first},
        "data": {Mood.SAD, Mood.GLAD},
        "n": 1.1,
        "level": Level.LOW,
        "moods": (Mood.SAD,),
        "note": "abc",
    }
    stored = {
        "mood": "glad",
        "tags": ["a", "b"],
        "ids": [first, second],
        "data": ["glad", "sad"],
        "n": Decimal("1.1"),
        "level": 1,
        "moods": ["SAD"],
        "note": "abc",
    }
    table, names = Table("t"), ("id", "day")
    with SQLSyncer(database) as syncer:
        found = apply(
            syncer,
            Change("insert", table, names, (str(first), "2024-01-02"), values),
            Change("insert", table, names, (second, date(2024, 1, 2)), dict.fromkeys(values)),
        )
        assert statuses(found) == ["done", "done"]
        key = {"id": first, "day": date(2024, 1, 2)}
        one, two = sorted(syncer.load("t"), key=lambda record: record["id"])
        one["data"].sort()
        assert one == key | stored
        assert execute(database, "select count(*) from t where data is null") == [(1,)]
        assert two == {"id": second, "day": date(2024, 1, 2)} | dict.fromkeys(values)
        found = apply(
            syncer,
            Change(
                "update", table, names, (first, date(2024, 1, 2)), {"tags": {"c"}, "mood": Mood.SAD}, {"mood": "glad"}
            ),
            Change("delete", table, names, (str(second), "2024-01-02")),
        )
        assert statuses(found) == ["done", "done"]
        (record,) = syncer.load("t")
        assert (record["tags"], record["mood"]) == (["c"], "SAD")


def test_statements_are_bounded(store_url, execute):
    execute(store_url, "create table t (key varchar(20) primary key, a integer)")
    table, count = Table("t"), 5_000
    engine = sqlalchemy.create_engine(store_url)
    seen = []

    def note(connection, cursor, statement, parameters, context, executemany):
        seen.append(1 if executemany else len(parameters or ()))

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    syncer = SQLSyncer(engine)
    changes = [insert(f"{key}", table, a=0) for key in range(count)]
    changes += [update(f"{key}", table, a=(0, 1)) for key in range(count)]
    changes += [delete(f"{key}", table, a=1) for key in range(count)]
    assert set(apply(syncer, *changes)) == {Outcome("done")}
    assert syncer.load("t") == []
    assert len(seen) < 15 * 6 + 60
    assert max(seen) <= 1_000
    engine.dispose()


def test_changes_that_come_object_by_object_are_done_in_blocks(store_url, execute, things):
    execute(store_url, *TABLES)
    engine = sqlalchemy.create_engine(store_url)
    seen = []
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    things({key: (1, "x", [1]) for key in range(100)})
    changes = []
    for key in range(100):
        changes += [update(key, a=(1, 2)), link(key, 2), unlink(key, 1), update(key, b=("x", "y"))]
    assert set(apply(SQLSyncer(engine), *changes)) == {Outcome("done")}
    assert contents(SQLSyncer(engine)) == {key: (2, "y", {2}) for key in range(100)}
    assert len(seen) < 80
    engine.dispose()


def test_the_one_to_blame_is_found_by_halves(tmp_path, execute, monkeypatch):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(url, "create table things (key integer primary key, a integer check (a < 5), b text)")
    execute(url, *(f"insert into things values ({key}, 1, 'x')" for key in range(300)))
    update_rows, sizes = sql_statements.Statements.update, []

    def counted(self, stored, columns, keys, rows):
        sizes.append(len(rows))
        return update_rows(self, stored, columns, keys, rows)

    monkeypatch.setattr(sql_statements.Statements, "update", counted)
    table = Table("things")
    changes = [Change("update", table, ("key",), (key,), {"a": 5 * (key == 200)}, {"a": 1}) for key in range(300)]
    with SQLSyncer(url) as opened:
        found = opened.apply_changes(changes, same=same)
        assert [place for place, outcome in enumerate(found) if outcome.status == "failed"] == [200]
        assert {row["a"] for row in opened.load("things")} == {1}
    assert sizes[:4] == [300, 150, 150, 75]
    assert len(sizes) < 20
