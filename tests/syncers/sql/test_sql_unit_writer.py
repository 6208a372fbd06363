"""What fails: all of it is named, the rest is written or undone as it was asked; what depends on it is left out."""

from __future__ import annotations

import weakref

import pytest
from changes_by_key import ChangesByKey, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Outcome, Table, WriteOptions
from datastoresync.syncers.sql import apply as sql_apply
from datastoresync.syncers.sql import unit_writer
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])

KEY = ("id",)
T = Table("things")
CHANGES = ChangesByKey(T, KEY[0])
insert, update, delete = CHANGES.insert, CHANGES.update, CHANGES.delete
DONE = Outcome("done")
GOING_ON = WriteOptions(on_error="continue")


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


SMALL = "create table things (id integer primary key, n integer check (n < 100))"


class Depending:
    """Changes depend on each other as a function says: it gives the keys that one needs."""

    def __init__(self, needs):
        self.needs = needs
        self.left_out = set()

    @property
    def active(self):
        return bool(self.left_out)

    def note(self, change, outcome):
        assert outcome.status in ("conflict", "failed", "skipped")
        self.left_out.add((change.table.name, change.key[0]))

    def blocked(self, change):
        found = [needed for needed in self.needs(change) if needed in self.left_out]
        return f"{found[0]} was left out" if found else ""


def needs_boss(change):
    boss = change.values.get("boss")
    return [] if boss is None else [("things", boss)]


# --- all that fails is named, and the rest is written or undone ---------------------------------------------------


@law
@given(numbers=st.lists(st.sampled_from([1, 2, 500]), min_size=1, max_size=30))
def test_exactly_what_is_refused_is_left_out_or_named(store, numbers):
    store.make("drop table if exists things", SMALL)
    changes = [insert(key, n=number) for key, number in enumerate(numbers)]
    bad = [number > 100 for number in numbers]
    stopped = store.apply(*changes, options=WriteOptions())
    expected = "failed" if any(bad) else "done"
    assert statuses(stopped) == [expected if one else "undone" if any(bad) else "done" for one in bad]
    assert store.rows() == ([] if any(bad) else list(enumerate(numbers)))
    store.make("delete from things")
    found = store.apply(*changes)
    assert statuses(found) == ["failed" if one else "done" for one in bad]
    assert store.rows() == [(key, number) for key, number in enumerate(numbers) if number < 100]


def test_a_conflict_is_undone_with_all_others_and_stays_one_if_it_goes_on(store):
    store.make(SMALL, "insert into things values (1, 5), (2, 6)")
    changes = [update(1, n=(4, 7)), update(2, n=(6, 700)), insert(3, n=1)]
    assert statuses(store.apply(*changes, options=WriteOptions())) == ["undone", "failed", "undone"]
    assert statuses(store.apply(*changes)) == ["conflict", "failed", "done"]
    assert store.rows() == [(1, 5), (2, 6), (3, 1)]


def test_more_failures_than_a_few_are_not_looked_for(store, monkeypatch):
    monkeypatch.setattr(unit_writer, "MOST_FAILURES", 3)
    monkeypatch.setattr(sql_apply, "SEGMENT", 5)
    store.make(SMALL)
    changes = [insert(key, n=900) for key in range(20)]
    found = store.apply(*changes, options=WriteOptions())
    assert statuses(found) == ["failed"] * 3 + ["undone"] * 17
    assert found.warnings == ["3 objects could not be written; 17 changes were not tried any more"]
    assert statuses(store.apply(*changes)) == ["failed"] * 20


def test_a_lock_still_ends_everything(database, execute):
    execute(database, SMALL, "insert into things values (1, 1)")
    options = "-c lock_timeout=100ms"
    changes = [insert(2, n=900), update(1, n=(1, 3)), insert(3, n=3)]
    with (
        SQLSyncer(database, connect_args={"options": options}) as syncer,
        SQLSyncer(database) as other,
        other._database.writing() as connection,
    ):
        connection.exec_driver_sql("update things set n = 2 where id = 1")
        with pytest.raises(SyncerError, match="gave up, and nothing was written"):
            syncer.apply_changes(changes, same=same, options=GOING_ON)
    assert execute(database, "select * from things") == [(1, 2)]


@pytest.mark.parametrize("bad", [[17, 4_321], range(2_000, 2_600)])
def test_what_is_refused_among_many_is_found_in_bulk(database, execute, bad):
    execute(database, SMALL)
    changes = [insert(key, n=500 if key in bad else 1) for key in range(6_000)]
    with SQLSyncer(database) as syncer:
        found = syncer.apply_changes(changes, same=same, options=GOING_ON)
    assert [key for key, outcome in enumerate(found) if outcome.status == "failed"] == list(bad)
    assert execute(database, "select count(*), max(n) from things") == [(6_000 - len(bad), 1)]


def test_without_savepoints_it_does_not_go_on(store, monkeypatch):
    if store.url.startswith("postgresql"):
        pytest.skip("a transaction of PostgreSQL ends with a statement that fails, but for its savepoints")
    store.make(SMALL)
    with SQLSyncer(store.url) as syncer:
        monkeypatch.setattr(type(syncer._database.dialect), "has_savepoints", False)
        with pytest.raises(SyncerError, match=r"has no savepoints, so .*on_error='stop'"):
            syncer.apply_changes([insert(1, n=1)], same=same, options=GOING_ON)
        assert statuses(syncer.apply_changes([insert(1, n=1), insert(2, n=900)], same=same)) == ["undone", "failed"]
        assert syncer.apply_changes([insert(1, n=1)], same=same) == [DONE]


# --- what is checked at the end of the transaction ---------------------------------------------------------------

DEFERRED = (
    "create table parents (id integer primary key)",
    "create table things (id integer primary key, parent integer references parents deferrable initially deferred)",
)


@pytest.fixture
def deferring(store):
    if store.url.startswith(("mysql", "mariadb")):
        pytest.skip("MariaDB defers nothing")
    store.make(*DEFERRED)
    return store


def test_what_is_checked_at_the_end_fails_alone(deferring):
    parents = Table("parents")
    changes = [insert(1, parent=1), insert(2, parent=9), insert(3, parent=None), insert(1, parents)]
    assert statuses(deferring.apply(*changes, options=WriteOptions())) == ["undone", "failed", "undone", "undone"]
    assert statuses(deferring.apply(*changes)) == ["done", "failed", "done", "done"]
    assert deferring.rows() == [(1, 1), (3, None)]
    changes = [delete(1, parents), update(3, parent=(None, 7))]
    assert statuses(deferring.apply(*changes, delete(1, parent=1))) == ["done", "failed", "done"]
    assert deferring.rows() == [(3, None)]


def test_what_was_violated_before_is_held_against_nobody(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(url, *DEFERRED, "insert into things values (1, 7)")
    with SQLSyncer(url) as syncer:
        assert syncer.apply_changes([insert(2, parent=None)], same=same) == [DONE]
        found = syncer.apply_changes([insert(3, parent=None), insert(4, parent=8)], same=same, options=GOING_ON)
    assert statuses(found) == ["done", "failed"]
    assert execute(url, "select id from things") == [(1,), (2,), (3,)]


def test_a_trigger_that_looks_at_the_whole_transaction_is_heard(database, execute):
    execute(
        database,
        "create table groups (id integer primary key)",
        "create table things (id integer primary key, grp integer not null references groups (id))",
        "create function has_things() returns trigger language plpgsql as $$ begin "
        "if not exists (select from things where grp = new.id) then raise exception 'a group is empty'; end if; "
        "return null; end $$",
        "create constraint trigger filled after insert on groups deferrable initially deferred "
        "for each row execute function has_things()",
    )
    groups = Table("groups")
    changes = [insert(1, groups), insert(2, groups), insert(1, grp=1), insert(3, groups), insert(3, grp=3)]
    with SQLSyncer(database) as syncer:
        found = syncer.apply_changes(changes, same=same)
        assert statuses(found) == ["undone", "failed", "undone", "undone", "undone"]
        assert "a group is empty" in found[1].reason
        assert syncer.apply_changes([*changes[:1], *changes[2:]], same=same) == [DONE] * 4
    assert execute(database, "select id, grp from things order by 1") == [(1, 1), (3, 3)]


def test_what_holds_already_is_not_kept_until_the_end(deferring, monkeypatch, execute):
    monkeypatch.setattr(sql_apply, "SEGMENT", 10)
    parents, alive, most = Table("parents"), set(), []

    def changes():
        for number in range(400):
            change = insert(number, parents) if number % 2 == 0 else insert(number, parent=number - 1)
            if number == 395:
                change = insert(number, parent=999)
            alive.add(number)
            weakref.finalize(change, alive.discard, number)
            most.append(len(alive))
            yield change

    with SQLSyncer(deferring.url) as syncer:
        found = syncer.apply_changes(changes(), same=same, options=GOING_ON)
    assert max(most) < 100
    assert [number for number, outcome in enumerate(found) if outcome != DONE] == [395]
    assert deferring.rows("select count(*), sum(id) from things") == [(199, 200**2 - 395)]


def test_a_trigger_of_the_end_runs_at_the_end_of_many_changes(database, execute, monkeypatch):
    monkeypatch.setattr(sql_apply, "SEGMENT", 10)
    execute(
        database,
        "create table groups (id integer primary key, size integer)",
        "create table things (id integer primary key, grp integer)",
        "create function count_them() returns trigger language plpgsql as $$ begin "
        "update groups set size = (select count(*) from things where grp = new.id) where id = new.id; "
        "return null; end $$",
        "create constraint trigger counted after insert on groups deferrable initially deferred "
        "for each row execute function count_them()",
    )
    changes = [insert(1, Table("groups")), *(insert(number, grp=1) for number in range(100))]
    with SQLSyncer(database) as syncer:
        assert set(statuses(syncer.apply_changes(changes, same=same))) == {"done"}
    assert execute(database, "select size from groups") == [(100,)]


# --- dependencies ------------------------------------------------------------------------------------------------

NO_KEYS = "create table things (id integer primary key, n integer check (n < 100), boss integer)"


def test_what_depends_on_a_failure_is_skipped(store):
    store.make(NO_KEYS, "insert into things values (7, 7, null)")
    changes = [
        insert(1, n=500, boss=None),
        insert(2, n=1, boss=1),
        insert(3, n=1, boss=2),
        insert(4, n=1, boss=None),
        update(7, boss=(None, 3)),
    ]
    options = WriteOptions(on_error="continue", dependencies=Depending(needs_boss))
    found = store.apply(*changes, options=options)
    assert statuses(found) == ["failed", "skipped", "skipped", "done", "skipped"]
    assert [found[1].reason, found[4].reason] == ["('things', 1) was left out", "('things', 3) was left out"]
    assert store.rows() == [(4, 1, None), (7, 7, None)]


@pytest.mark.parametrize("size", [2, 50_000])
def test_what_was_written_before_is_taken_back_if_it_depends_on_a_failure(store, size, monkeypatch):
    monkeypatch.setattr(sql_apply, "SEGMENT", size)
    store.make(NO_KEYS, "insert into things values (5, 1, null)")
    changes = [insert(2, n=1, boss=1), insert(3, n=1, boss=2), insert(1, n=500, boss=None), insert(5, n=2, boss=None)]
    changes += [insert(4, n=1, boss=5), insert(6, n=1, boss=None)]
    found = store.apply(*changes[2:4], *changes[:2], *changes[4:], options=depending())
    assert statuses(found) == ["failed", "conflict", "skipped", "skipped", "skipped", "done"]
    assert store.rows() == [(5, 1, None), (6, 1, None)]
    if size > len(changes):
        store.make("delete from things where id = 6")
        found = store.apply(*changes, options=depending())
        assert statuses(found) == ["skipped", "skipped", "failed", "conflict", "skipped", "done"]
        assert store.rows() == [(5, 1, None), (6, 1, None)]


def depending():
    return WriteOptions(on_error="continue", dependencies=Depending(needs_boss))


def test_what_waits_in_vain_takes_what_depends_on_it_along(store, monkeypatch):
    monkeypatch.setattr(sql_apply, "SEGMENT", 2)
    store.make(
        "create table things (id integer primary key, name varchar(9) unique, boss integer)",
        "insert into things values (7, 'a', null)",
    )
    changes = [insert(1, name="a", boss=None), insert(2, name="b", boss=None), insert(3, name="c", boss=1)]
    changes += [insert(4, name="d", boss=3), insert(5, name="e", boss=2)]
    found = store.apply(*changes, options=depending())
    assert statuses(found) == ["failed", "done", "skipped", "skipped", "done"]
    assert store.rows() == [(2, "b", None), (5, "e", 2), (7, "a", None)]


def test_what_depends_on_a_failure_is_skipped_in_bulk(database, execute):
    execute(database, NO_KEYS)
    changes = [insert(0, n=500, boss=None)]
    changes += [insert(key, n=1, boss=0 if key % 1_000 == 1 else None) for key in range(1, 3_000)]
    with SQLSyncer(database) as syncer:
        found = syncer.apply_changes(changes, same=same, options=depending())
    assert statuses(found)[:2] == ["failed", "skipped"]
    assert [key for key, outcome in enumerate(found) if outcome.status == "skipped"] == [1, 1_001, 2_001]
    assert execute(database, "select count(*) from things") == [(2_996,)]


# --- rehearsals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_rehearsal_says_what_a_run_would_and_changes_nothing(store, on_error):
    store.make(
        "create table things (id integer primary key, n integer check (n < 100), name varchar(9) unique)",
        "insert into things values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')",
    )
    before = store.rows()
    fine = [update(1, name=("a", "b")), update(2, name=("b", "a")), insert(4, n=4, name="c"), delete(3, n=3, name="c")]
    for changes in (fine, [*fine, insert(5, n=500, name="e"), update(1, n=(9, 8))]):
        rehearsed = store.apply(*changes, options=WriteOptions(on_error=on_error, rehearse=True))
        assert store.rows() == before
        real = store.apply(*changes, options=WriteOptions(on_error=on_error))
        assert list(rehearsed) == list(real)
        assert (store.rows() == before) is ("failed" in statuses(real) and on_error == "stop")
        store.make("delete from things", "insert into things values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')")


def test_a_rehearsal_hears_of_what_is_checked_at_the_end(deferring):
    changes = [insert(1, parent=9), insert(2, parent=None)]
    rehearsed = deferring.apply(*changes, options=WriteOptions(rehearse=True))
    assert statuses(rehearsed) == ["failed", "undone"]
    assert rehearsed == deferring.apply(*changes, options=WriteOptions())
    assert deferring.rows() == []


def test_a_rehearsal_is_kept_out_by_another_run(store):
    store.make(SMALL)
    with SQLSyncer(store.url) as other, other._database.writing() as connection:
        other._database.lock(connection, [full_name(store)])
        with pytest.raises(SyncerError, match="another run or program"):
            store.apply(insert(1, n=1), options=WriteOptions(rehearse=True))


def full_name(store):
    from sqlalchemy.engine import make_url

    url = make_url(store.url)
    return f"{'public' if url.drivername.startswith('postgresql') else url.database}.things"


@pytest.mark.parametrize("bad", [{}, {300: 9_999}, dict.fromkeys(range(600, 640), 9999)])
def test_what_is_checked_at_the_end_is_found_in_bulk(database, execute, bad):
    execute(
        database,
        "create table things (id integer primary key, boss integer references things deferrable initially deferred)",
    )
    bosses = {key: (key * 7) % 1_200 for key in range(1_200)} | bad
    with SQLSyncer(database) as syncer:
        changes = [insert(key, boss=boss) for key, boss in bosses.items()]
        found = syncer.apply_changes(changes, same=same, options=GOING_ON)
    lost = set(bad)
    while more := {key for key, boss in bosses.items() if boss in lost} - lost:
        lost |= more
    assert {key for key, outcome in enumerate(found) if outcome != DONE} == lost
    assert execute(database, "select count(*) from things") == [(1_200 - len(lost),)]
