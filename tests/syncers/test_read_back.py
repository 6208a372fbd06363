"""Stores that say nothing about what they did: what they hold afterwards decides."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Object, Tree
from datastoresync.errors import DeclarationError, SyncerError
from datastoresync.syncers.changes import Change, Link, Table, WriteOptions
from datastoresync.syncers.plugin.load_dump_adapter import LoadDumpAdapter

USERS = Table("users", {"name": "label"}, {"groups": Link("members", "user", "group")})


def same(change, attribute, raw, expected):
    return raw == (set(expected) if isinstance(raw, set) else expected)


class Store:
    """A store with load and dump alone, which does something to each record that it takes."""

    name = "the store"

    def __init__(self, **tables):
        self.tables = {"users": [], "members": []} | tables

    def load(self, identifier):
        return [dict(record) for record in self.tables[identifier]]

    def dump(self, identifier, *, data):
        self.tables[identifier] = [kept for record in data if (kept := self.take(identifier, record)) is not None]

    def take(self, identifier, record):
        return dict(record)


def store(take, **tables):
    found = Store(**tables)
    found.take = lambda identifier, record: take(record) if identifier == "users" else dict(record)
    return found


def user(key, name="old", age=1):
    return {"idnumber": key, "label": name, "age": age}


def change(verb, key, values=None, expected=None):
    return Change(verb, USERS, ("idnumber",), (key,), values or {}, expected or {})


def apply(target, *changes, options=None):
    outcomes = LoadDumpAdapter(target).apply_changes(changes, same=same, options=options)
    return [(outcome.status, outcome.reason, outcome.held and dict(outcome.held.values)) for outcome in outcomes], list(
        outcomes.warnings
    )


def test_a_store_that_writes_less_than_it_was_given_is_found_out():
    """As one that writes a header and no rows, and says nothing."""
    silent = store(lambda record: None, users=[user("1"), user("2")])
    outcomes, warnings = apply(
        silent,
        change("insert", "3", {"idnumber": "3", "name": "new", "age": 1}),
        change("update", "1", {"name": "new"}, {"name": "old"}),
        change("delete", "2"),
    )
    assert [status for status, *_ in outcomes] == ["failed", "failed", "done"]
    assert all("the store did not keep it: after writing, its row is not there" in one[1] for one in outcomes[:2])
    assert warnings == []


def test_rows_that_were_not_to_change_are_missed():
    target = store(lambda record: record if record["idnumber"] in "12" else None)
    target.tables["users"] = [user(key) for key in "1234"]
    outcomes, warnings = apply(target, change("update", "1", {"name": "new"}))
    assert outcomes == [("done", "", None)]
    assert warnings == ["table 'users' has 2 rows that no change was made to, gone: the first is idnumber '3'"]


@pytest.mark.parametrize(
    ("take", "left"),
    [
        (lambda record: None if record["idnumber"] == "3" else record, {"1": "new", "2": "old"}),
        (
            lambda record: record | {"name": "other"} if record["idnumber"] == "3" else record,
            {"1": "new", "2": "old", "3": "other"},
        ),
    ],
)
def test_a_run_that_a_store_adds_to_is_not_ok_and_the_branch_is_as_the_store_is(take, left):
    target = store(take, users=[{"idnumber": key, "name": "old"} for key in "123"])
    dest = +Tree("dest", syncer=target, branches={"users": Branch(Object)})
    rows = [{"idnumber": "1", "name": "new"}, *target.load("users")[1:]]
    report = (+Tree("source", branches={"users": Branch(Object, importer=rows)})).sync_to(dest)
    assert (report.succeeded, report.ok, report.exit_code) == (1, False, 1)
    assert {one.idnumber: one.name for one in dest.users.values()} == left
    assert {one["idnumber"]: one["name"] for one in target.tables["users"]} == left


def test_a_store_that_keeps_rows_twice_is_not_ok():
    target = Store(users=[{"idnumber": key, "name": "old"} for key in "123"])
    real = target.dump
    target.dump = lambda identifier, *, data: real(identifier, data=[*data, data[-1]])
    dest = +Tree("dest", syncer=target, branches={"users": Branch(Object)})
    rows = [{"idnumber": "1", "name": "new"}, *target.load("users")[1:]]
    target.load = lambda identifier: [dict(one, copy=n) for n, one in enumerate(target.tables[identifier])]
    report = (+Tree("source", branches={"users": Branch(Object, importer=rows)})).sync_to(dest)
    assert (report.succeeded, report.ok) == (1, False)
    assert any("could not be read again" in warning for warning in report.warnings)


def test_rows_that_were_changed_or_added_besides_are_said():
    target = store(lambda record: record | {"age": 7} if record["idnumber"] == "2" else record)
    target.tables["users"] = [user(key) for key in "12"]
    real = target.dump

    def dump(identifier, *, data):
        real(identifier, data=[*data, user("of the store's own")])

    target.dump = dump
    outcomes, warnings = apply(target, change("update", "1", {"name": "new"}))
    assert outcomes == [("done", "", None)]
    assert warnings == [
        "table 'users' has 1 row that no change was made to, otherwise than it was: the first is idnumber '2'",
        "table 'users' has 1 row that nobody has written: the first is idnumber \"of the store's own\"",
    ]


def test_what_is_changed_on_the_way_is_done_with_what_is_held_and_a_warning_a_column():
    target = store(lambda record: record | {"label": record["label"][:3], "age": round(record["age"])})
    target.tables["users"] = [user("1")]
    outcomes, warnings = apply(
        target,
        change("insert", "2", {"idnumber": "2", "name": "Annabel", "age": Decimal("1.5")}),
        change("insert", "3", {"idnumber": "3", "name": "Bob", "age": 3}),
        change("insert", "4", {"idnumber": "4", "name": "Clara", "age": 4}),
        change("update", "1", {"name": "Dora"}, {"name": "old"}),
    )
    assert [(status, held) for status, _, held in outcomes] == [
        ("done", {"name": "Ann", "age": 2}),
        ("done", None),
        ("done", {"name": "Cla"}),
        ("done", {"name": "Dor"}),
    ]
    assert sorted(warnings) == [
        "table 'users', column 'age': the store changed 1 value on the way, the first in '2'",
        "table 'users', column 'label': the store changed 3 values on the way, the first in '2'",
    ]


def test_what_stays_as_it_was_has_failed():
    target = store(dict, users=[user("1"), user("2")])
    before = target.load("users")
    target.dump = lambda identifier, *, data: target.tables.update(users=before)
    outcomes, _ = apply(target, change("update", "1", {"name": "new"}, {"name": "old"}), change("delete", "2"))
    assert outcomes == [
        ("failed", "the store did not keep it: name is as it was before", None),
        ("failed", "the store did not do it: after writing, the row is still there", None),
    ]


def test_members_are_read_back_too():
    target = Store(users=[user("1"), user("2")], members=[{"user": "1", "group": "a"}])
    kept = target.tables["members"]
    target.take = lambda identifier, record: record if identifier == "users" or record in kept else None
    real = target.dump
    target.dump = lambda identifier, *, data: real(identifier, data=kept if identifier == "members" else data)
    outcomes, warnings = apply(
        target,
        change("link", "1", {"groups": "b"}),
        change("unlink", "1", {"groups": "a"}),
        change("update", "2", {"groups": {"c"}}, {"groups": set()}),
        change("insert", "3", {"idnumber": "3", "name": "x", "age": 1, "groups": {"d"}}),
    )
    assert [status for status, *_ in outcomes] == ["failed", "failed", "failed", "done"]
    assert outcomes[3][2] == {"groups": set()}
    assert warnings == ["table 'members', column 'group': the store changed 1 value on the way, the first in '3'"]


def test_of_several_changes_to_one_row_the_last_one_is_looked_for():
    target = Store(users=[user("1")])
    real = target.dump
    target.dump = lambda identifier, *, data: real(identifier, data=[*data])
    target.take = lambda identifier, record: record | {"age": 9} if record["idnumber"] == "other" else record
    target.tables["users"].append(user("other"))
    outcomes, _ = apply(
        target,
        change("delete", "1"),
        change("insert", "1", {"idnumber": "1", "name": "a", "age": 2}),
        change("update", "1", {"name": "b"}, {"name": "a"}),
        change("link", "1", {"groups": "a"}),
        change("unlink", "1", {"groups": "a"}),
    )
    assert [status for status, *_ in outcomes] == ["done"] * 5


def test_a_store_that_changes_what_it_is_given_in_place_is_found_out():
    target = Store(users=[user("1")])

    def dump(identifier, *, data):
        for record in data:
            record["label"] = record["label"].upper()
        target.tables[identifier] = data

    target.dump = dump
    outcomes, _ = apply(target, change("update", "1", {"name": "new"}))
    assert outcomes[0][2] == {"name": "NEW"}


def test_a_table_that_cannot_be_loaded_again_is_said():
    target = Store(users=[user("1")])
    loads = []

    def load(identifier):
        loads.append(identifier)
        if len(loads) > 2:
            raise ConnectionError("secret")
        return [dict(record) for record in target.tables[identifier]]

    target.load = load
    with pytest.raises(
        SyncerError, match=r"took 'users', but table 'users' cannot be loaded again \(ConnectionError\)"
    ):
        apply(target, change("update", "1", {"name": "new"}))


def test_a_store_without_transactions_cannot_rehearse_and_says_so():
    target = Store(users=[user("1")])
    with pytest.raises(DeclarationError, match="load and dump alone, which cannot be undone"):
        apply(target, change("update", "1", {"name": "new"}), options=WriteOptions(rehearse=True))
    assert target.tables["users"] == [user("1")]


# --- how changes are applied ------------------------------------------------------------------------------------------


class Choosy(Store):
    """A store that refuses some values."""

    def normalized(self, value):
        if value == "bad":
            raise SyncerError("it takes nothing bad")
        return "short" if value == "long" else value


def mixed():
    return [
        change("update", "1", {"name": "bad"}, {"name": "old"}),
        change("update", "2", {"name": "new"}, {"name": "old"}),
        change("insert", "3", {"idnumber": "3", "name": "long", "age": 1}),
        change("link", "2", {"groups": "bad"}),
        change("delete", "4", {}, {"name": "somebody else's"}),
    ]


def test_all_that_cannot_be_written_is_named_in_one_run():
    target = Choosy(users=[user(key) for key in "124"])
    before = target.load("users")
    outcomes, _ = apply(target, *mixed())
    assert [status for status, *_ in outcomes] == ["failed", "undone", "failed", "failed", "undone"]
    assert outcomes[0][1] == "column 'label': it takes nothing bad"
    assert (
        "column 'label' of table 'users' cannot hold 'long' for name: it would come back as 'short'" in outcomes[2][1]
    )
    assert outcomes[3][1] == "column 'group': it takes nothing bad"
    assert target.tables["users"] == before


def test_what_cannot_be_written_is_left_out_if_that_is_asked_for():
    target = Choosy(users=[user(key) for key in "124"])
    outcomes, _ = apply(target, *mixed(), options=WriteOptions(on_error="continue"))
    assert [status for status, *_ in outcomes] == ["failed", "done", "failed", "failed", "conflict"]
    assert target.tables["users"] == [user("1"), user("2", "new"), user("4")]


class Blocks:
    """Blocks what comes after the first thing that was not done."""

    def __init__(self):
        self.noted = []

    @property
    def active(self):
        return bool(self.noted)

    def note(self, change, outcome):
        self.noted.append((change.key[0], outcome.status))

    def blocked(self, change):
        return "" if change.verb == "delete" else f"depends on {self.noted[0][0]}"


def test_what_depends_on_a_failure_is_left_out():
    target, blocks = Choosy(users=[user(key) for key in "124"]), Blocks()
    outcomes, _ = apply(target, *mixed(), options=WriteOptions(on_error="continue", dependencies=blocks))
    assert [status for status, *_ in outcomes] == ["failed", "skipped", "skipped", "skipped", "conflict"]
    assert outcomes[1][1] == "depends on 1"
    assert blocks.noted == [("1", "failed"), ("2", "skipped"), ("3", "skipped"), ("2", "skipped"), ("4", "conflict")]
    assert target.tables["users"] == [user(key) for key in "124"]


@pytest.mark.parametrize(("whole", "status"), [(True, "done"), (False, "conflict")])
def test_what_is_there_already_is_done_only_if_it_must_be_newer_than_the_import(whole, status):
    target = Store(users=[user("1")])
    options = WriteOptions(whole=lambda table: whole)
    equal = change("insert", "1", {"idnumber": "1", "name": "old", "age": 1})
    other = change("insert", "1", {"idnumber": "1", "name": "new", "age": 1})
    outcomes, _ = apply(target, equal, other, options=options)
    assert [one[0] for one in outcomes] == [status, "conflict"]
    assert outcomes[1][1].endswith("and different: it holds idnumber '1', name 'old'")
    assert target.tables["users"] == [user("1")]


# --- the law ----------------------------------------------------------------------------------------------------------

LOSSES = {
    "keeps all": lambda record: record,
    "writes no rows": lambda record: None,
    "drops some": lambda record: record if record["idnumber"] != "b" else None,
    "cuts": lambda record: record | {"name": record["name"][:1]},
    "ignores a column": lambda record: record | {"name": "x"},
    "upper case": lambda record: {key: value.upper() for key, value in record.items()},
}
people = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "x", "Xy", "yz"]))


PEOPLE = Table("people")


def changes_from(old, new):
    for key in new.keys() - old.keys():
        yield Change("insert", PEOPLE, ("idnumber",), (key,), {"idnumber": key, "name": new[key]})
    for key in old.keys() & new.keys():
        if old[key] != new[key]:
            yield Change("update", PEOPLE, ("idnumber",), (key,), {"name": new[key]}, {"name": old[key]})
    for key in old.keys() - new.keys():
        yield Change("delete", PEOPLE, ("idnumber",), (key,), {}, {"name": old[key]})


@settings(deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=people, new=people, loss=st.sampled_from(sorted(LOSSES)))
def test_whatever_a_store_does_is_said(tmp_path, old, new, loss):
    path = tmp_path / "people.csv"

    class File:
        name = "file"

        def load(self, identifier):
            with path.open(newline="") as file:
                return list(csv.DictReader(file))

        def dump(self, identifier, *, data):
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, ["idnumber", "name"])
                writer.writeheader()
                writer.writerows(filter(None, map(LOSSES[loss], data)))

    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["idnumber", "name"], *old.items()])
    changes = list(changes_from(old, new))
    outcomes, warnings = apply(File(), *changes)
    with path.open(newline="") as file:
        held = {record["idnumber"]: record["name"] for record in csv.DictReader(file)}
    for change, (status, _, other) in zip(changes, outcomes, strict=True):
        (key,) = change.key
        is_there = held.get(key) == new.get(key)
        assert (status == "done" and other is None) is is_there, f"{key!r} is {held.get(key)!r}, and {status} is said"
        if other is not None:
            assert other == {"name": held[key]}
    concerned = {change.key[0] for change in changes}
    if loss == "upper case":  # under another key, which is said in the outcome
        assert all("but one with idnumber" in reason for status, reason, _ in outcomes if status == "failed")
        concerned |= {key.upper() for key in concerned}
    kept = {key: name for key, name in old.items() if key not in concerned}
    besides = {key: name for key, name in held.items() if key not in concerned}
    assert any("no change" in warning or "nobody" in warning for warning in warnings) is (kept != besides)
