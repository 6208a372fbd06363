"""Changes carried out by loading and dumping whole tables: the same as in a database."""

from __future__ import annotations

import copy
from collections import Counter
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Link, Outcome, Table, WriteOptions
from datastoresync.syncers.files.csv import CSVSyncer
from datastoresync.syncers.files.json import JSONSyncer
from datastoresync.syncers.plugin.load_dump_adapter import LoadDumpAdapter
from datastoresync.syncers.row_index import lookup_key
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
KEY = ("key",)
T = Table("things", {"b": "bee"}, {"members": Link("members", "owner", "member")})
NONE = frozenset()
WHOLE = WriteOptions(whole=lambda _: True)
"""What the import does not have is newer."""


def same(change, attribute, raw, expected):
    return raw == (set(expected) if isinstance(raw, set) else expected)


class Memory:
    """A syncer with what every syncer has, and no more."""

    name = "memory"

    def __init__(self, **tables):
        self.held = tables
        self.calls = []

    def load(self, identifier):
        self.calls.append(("load", identifier))
        return self.held[identifier]

    def dump(self, identifier, *, data):
        self.calls.append(("dump", identifier))
        self.held[identifier] = list(data)


def change(verb, key, values=None, expected=None, table=T):
    return Change(verb, table, KEY, (key,), values or {}, expected or {})


# --- the database as the oracle ---------------------------------------------------------------------------------------

numbers = st.none() | st.integers(0, 2)
texts = st.none() | st.sampled_from(["", "x"])
members = st.frozensets(st.integers(1, 3))
keys = st.integers(1, 3)
stores = st.dictionaries(keys, st.tuples(numbers, texts, members))
changes = st.lists(
    st.builds(
        lambda k, a, b, m: change("insert", k, {"key": k, "a": a, "b": b, "members": m}), keys, numbers, texts, members
    )
    | st.builds(lambda k, a, old: change("update", k, {"a": a}, {"a": old}), keys, numbers, numbers)
    | st.builds(lambda k, b: change("update", k, {"b": b}), keys, texts)
    | st.builds(lambda k, m, old: change("update", k, {"members": m}, {"members": old}), keys, members, members)
    | st.builds(lambda k, a, m: change("delete", k, {}, {"a": a, "members": m}), keys, numbers, members)
    | st.builds(lambda k: change("delete", k), keys)
    | st.builds(
        lambda verb, k, m: change(verb, k, {"members": m}), st.sampled_from(["link", "unlink"]), keys, st.integers(1, 3)
    ),
    max_size=10,
)


def things(store):
    return [{"key": key, "a": a, "bee": b} for key, (a, b, _) in store.items()]


def memberships(store):
    return [{"owner": key, "member": member} for key, (*_, owned) in store.items() for member in sorted(owned)]


def state(things, memberships):
    return (
        sorted((row["key"], repr(row["a"]), repr(row["bee"])) for row in things),
        sorted((row["owner"], row["member"]) for row in memberships),
    )


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    import sqlalchemy

    url = f"sqlite:///{tmp_path_factory.mktemp('oracle') / 'store.db'}"
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table things (key integer primary key, a integer, bee text)")
        connection.exec_driver_sql("create table members (owner integer, member integer, primary key (owner, member))")
    with SQLSyncer(url) as syncer:
        yield syncer


@law
@example(
    store={1: (0, "x", NONE)},
    asked=[change("update", 1, {"a": 1}, {"a": 0}), change("update", 1, {"b": "x"}, {"b": ""})],
)
@example(
    store={1: (0, "", NONE)},
    asked=[change("link", 1, {"members": 1}), change("update", 1, {"members": {2}}, {"members": {1}})],
)
@example(
    store={1: (0, "", NONE)},
    asked=[change("delete", 1), change("insert", 1, {"key": 1, "a": 1, "b": "", "members": {3}})],
)
@example(
    store={1: (0, "", frozenset([1]))},
    asked=[
        change("update", 1, {"a": 1}, {"a": 0}),
        change("link", 1, {"members": 2}),
        change("update", 1, {"members": {3}}, {"members": {1, 2}}),
    ],
)
@example(
    store={1: (0, "", NONE)},
    asked=[
        change("update", 1, {"a": 1}, {"a": 0}),
        change("delete", 1),
        change("insert", 1, {"key": 1, "a": 0, "b": "", "members": NONE}),
        change("update", 1, {"b": "x"}, {"b": ""}),
    ],
)
@given(store=stores, asked=changes)
def test_outcomes_and_contents_are_those_of_a_database(oracle, store, asked):
    oracle.dump("members", data=[])
    oracle.dump("things", data=things(store))
    oracle.dump("members", data=memberships(store))
    memory = Memory(things=things(store), members=memberships(store))
    before = copy.deepcopy(memory.held)
    held = dict(memory.held)
    found = LoadDumpAdapter(memory).apply_changes(asked, same=same, options=WHOLE)
    expected = oracle.apply_changes(asked, same=same, options=WHOLE)
    assert [outcome.status for outcome in found] == [outcome.status for outcome in expected]
    expected = state(oracle.load("things"), oracle.load("members"))
    assert state(memory.held["things"], memory.held["members"]) == expected
    assert held == before, "what was loaded is the syncer's own, and must not be changed"
    dumped = [name for verb, name in memory.calls if verb == "dump"]
    assert Counter(memory.calls) == Counter([("load", "things"), ("load", "members")] * bool(asked)) + Counter(
        call for name in dumped for call in (("dump", name), ("load", name))
    ), "each table is loaded once, and if it changes it is dumped once and loaded again"


def test_only_tables_that_change_are_dumped():
    memory = Memory(things=things({1: (0, "x", NONE)}), members=[])
    adapter = LoadDumpAdapter(memory)
    adapter.apply_changes([change("update", 1, {"a": 0}), change("unlink", 1, {"members": 5})], same=same)
    assert memory.calls == [("load", "things"), ("load", "members")]


# --- keys and members as stores keep them -----------------------------------------------------------------------------


def as_numbers(change, attribute, raw, expected):
    """Compare as an import does whose class declares numbers."""
    return {int(one) for one in raw} == set(expected) if isinstance(raw, set) else int(raw) == expected


def test_keys_and_members_are_found_in_the_form_that_they_are_stored_in(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("things", data=[{"key": "007", "a": "01", "bee": "1"}, {"key": "8", "a": "2", "bee": "1"}])
    syncer.dump("members", data=[{"owner": "007", "member": "05"}, {"owner": "8", "member": "6"}])
    asked = [
        change("update", 7, {"a": 5}, {"a": 1}),
        change("link", 7, {"members": 5}),
        change("unlink", 7, {"members": 5}),
        change("link", 7, {"members": 9}),
        change("delete", 8, {}, {"a": 2, "members": {6}}),
    ]
    assert syncer.apply_changes(asked, same=as_numbers) == [Outcome("done")] * 5
    assert syncer.load("things") == [{"key": "007", "a": "5", "bee": "1"}]
    assert syncer.load("members") == [{"owner": "7", "member": "9"}]


@pytest.mark.parametrize(
    ("kind", "key", "stored"),
    [
        (float, 0.1, "0.10"),
        (lambda raw: raw in (True, "True", "true"), True, "true"),
        (UUID, UUID("a" * 32), "A" * 32),
        (datetime.fromisoformat, datetime.fromisoformat("2024-01-02T03:04"), "2024-01-02 03:04"),
    ],
    ids=["float", "bool", "uuid", "datetime"],
)
def test_keys_and_members_of_every_kind_are_found_in_text(tmp_path, kind, key, stored):
    def alike(change, attribute, raw, expected):
        if isinstance(raw, set):
            return {kind(one) for one in raw} == set(expected)
        return raw == expected if attribute == "a" else kind(raw) == expected

    syncer = CSVSyncer(tmp_path)
    syncer.dump("things", data=[{"key": stored, "a": "1", "bee": "1"}])
    syncer.dump("members", data=[{"owner": stored, "member": stored}])
    asked = [change("update", key, {"a": "5"}, {"a": "1"}), change("link", key, {"members": key})]
    assert syncer.apply_changes(asked, same=alike) == [Outcome("done")] * 2
    assert syncer.load("things") == [{"key": stored, "a": "5", "bee": "1"}]
    assert syncer.load("members") == [{"owner": stored, "member": stored}]
    assert syncer.apply_changes([change("unlink", key, {"members": key})], same=alike) == [Outcome("done")]
    assert syncer.load("members") == []


def test_a_key_in_several_rows_is_left_alone():
    memory = Memory(things=[{"key": 1, "a": 1, "bee": ""}, {"key": 1, "a": 2, "bee": ""}], members=[])
    found = LoadDumpAdapter(memory).apply_changes(
        [
            change("insert", 1, {"key": 1}),
            change("update", 1, {"a": 5}),
            change("delete", 1),
            change("link", 1, {"members": 2}),
        ],
        same=same,
    )
    assert [outcome.status for outcome in found] == ["conflict", "conflict", "conflict", "done"]
    assert [row["a"] for row in memory.held["things"]] == [1, 2]


def test_reasons_name_the_attributes_and_what_is_there_only_where_something_new_met_it():
    memory = Memory(things=things({1: (7, "secret", {5}), 2: (7, "secret", NONE)}), members=[])
    found = LoadDumpAdapter(memory).apply_changes(
        [
            change("insert", 1, {"key": 1, "a": 8, "b": "other"}),
            change("update", 2, {"b": "new"}, {"b": "old"}),
            change("update", 2, {"a": 8}, {"a": 7}),
            change("update", 3, {"a": 8}),
            change("delete", 1, {}, {"b": "old"}),
        ],
        same=same,
    )
    assert [outcome.reason for outcome in found] == [
        "already there, though the import did not have it, and different: it holds key 1, a 7, b 'secret'",
        "changed since the import: b",
        "changed since the import: b",
        "no longer there: it was deleted since the import",
        "changed since the import: b",
    ]


class Colour(Enum):
    RED = "Red "


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (7, "007", True),
        (7, "7.0", True),
        ("Ann", " ann ", True),
        (Colour.RED, "red", True),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005", True),
        (date(2024, 1, 2), "2024-01-02", True),
        (None, "", False),
        (b"a", "a", False),
        (float("nan"), "NaN", True),
        (float("inf"), "inf", True),
        ("1e5", 100_000, True),
        (0.1, "0.1", True),
        (0.1, Decimal("0.10"), True),
        (1e23, str(1e23), True),
        (1e23, int(1e23), True),
        (1.5e300, "1.5e300", True),
        ("1e999", "1e999", True),
        (2**53 + 1, 2**53, False),
        (True, "True", True),
        (False, "false", True),
        (True, 1, True),
        (True, False, False),
        (UUID(int=5), "{00000000000000000000000000000005}", True),
        (UUID("a" * 32), "urn:uuid:AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA", True),
        (UUID("a" * 32), "b" * 32, False),
        (date(2024, 1, 2), datetime.fromisoformat("2024-01-02"), True),
        (date(2024, 1, 2), "20240102", True),
        (datetime.fromisoformat("2024-01-02T03:04"), "2024-01-02 03:04", True),
        (datetime(2024, 1, 2, 3, 4, tzinfo=UTC), "2024-01-02T04:04:00+01:00", True),
        (datetime.fromisoformat("2024-01-02T03:04"), "2024-01-02 03:05", False),
        (datetime.fromisoformat("9999-12-31T23:59:59.999999-01:00"), "9999-12-31 23:59:59.999999", True),
        (time(3, 4), "03:04", True),
        ("2024-13", "2024-13 ", True),
        ("\u0661", 1, False),
        ("snan", "x", False),
    ],
)
def test_what_is_looked_up_loosely(one, other, alike):
    assert (lookup_key(one) == lookup_key(other)) is alike


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_value_that_the_store_refuses_fails_its_change_and_undoes_all(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("things", data=[{"key": "1", "a": "0", "bee": "x"}, {"key": "2", "a": "0", "bee": "x"}])
    syncer.dump("members", data=[{"owner": "1", "member": "2"}])
    asked = [
        change("update", "1", {"a": "5"}),
        change("update", "2", {"b": ["never"]}),
        change("update", "2", {"a": "6"}),
    ]
    for applied in (syncer, LoadDumpAdapter(syncer)):
        found = applied.apply_changes(asked, same=same)
        assert [outcome.status for outcome in found] == ["undone", "failed", "failed"]
        assert "column 'bee': a list has no text" in found[1].reason
        assert "never" not in found[1].reason
        assert [row["a"] for row in syncer.load("things")] == ["0", "0"]


def test_a_membership_without_a_table_of_its_own_fails():
    memory = Memory(things=things({1: (0, "", NONE)}), members=[])
    (found,) = LoadDumpAdapter(memory).apply_changes([change("link", 1, {"tags": 1})], same=same)
    assert found.status == "failed"
    assert "declare it in Table(links=...)" in found.reason


def test_what_was_dumped_before_a_failure_is_said():
    class Half(Memory):
        def dump(self, identifier, *, data):
            if identifier == "members":
                raise ConnectionError("row: secret")
            super().dump(identifier, data=data)

    memory = Half(things=things({1: (0, "", NONE)}), members=[])
    asked = [change("update", 1, {"a": 1}), change("link", 1, {"members": 1})]
    with pytest.raises(
        SyncerError, match=r"table 'members' of memory .*\(ConnectionError\), .*; already written: 'things'"
    ):
        LoadDumpAdapter(memory).apply_changes(asked, same=same)
    with pytest.raises(SyncerError, match="no other table was written"):
        LoadDumpAdapter(memory).apply_changes(asked[1:], same=same)


def test_a_dump_that_needs_a_record_is_said_to_have_been_given_none():
    class Header(Memory):
        def dump(self, identifier, *, data):
            header = dict.fromkeys(data[0])
            super().dump(identifier, data=[header | row for row in data])

    memory = Header(things=things({1: (0, "", NONE)}), members=[])
    with pytest.raises(
        SyncerError, match=r"\(IndexError, given no records\), and what it holds now is not known: .*; no other table"
    ):
        LoadDumpAdapter(memory).apply_changes([change("delete", 1)], same=same)


def test_a_lock_on_the_first_table_is_said_as_it_is():
    class Locked(Memory):
        def dump(self, identifier, *, data):
            raise LockedError("another run is writing")

    memory = Locked(things=things({1: (0, "", NONE)}), members=[])
    with pytest.raises(LockedError, match=r"^another run is writing$"):
        LoadDumpAdapter(memory).apply_changes([change("update", 1, {"a": 1})], same=same)


def test_records_may_lack_columns_and_get_new_ones(tmp_path):
    syncer = JSONSyncer(tmp_path)
    syncer.dump("t", data=[{"key": 1, "a": 1}, {"key": 2}])
    asked = [
        change("update", 2, {"a": 5}, {"a": None}, Table("t")),
        change("update", 1, {"tags": {"x"}}, None, Table("t")),
    ]
    assert syncer.apply_changes(asked, same=same) == [Outcome("done")] * 2
    assert syncer.load("t") == [{"key": 1, "a": 1, "tags": {"x"}}, {"key": 2, "a": 5}]


@pytest.mark.parametrize(
    ("stored", "dumped"),
    [
        ([{"key": 1, "a": "x"}], [{"key": 1, "a": "x"}, {"key": 2, "a": None, "bee": 5}]),
        ([{"key": 1, "a": "x"}, {"key": 3}], [{"key": 1, "a": "x"}, {"key": 3}, {"key": 2, "bee": 5}]),
        ([], [{"key": 2, "bee": 5}]),
    ],
)
def test_all_rows_have_the_columns_of_all_where_those_that_were_there_had(stored, dumped):
    memory = Memory(things=stored)
    LoadDumpAdapter(memory).apply_changes([change("insert", 2, {"bee": 5}, table=Table("things"))], same=same)
    if len(stored) == 1:
        dumped[0]["bee"] = None
    assert memory.held["things"] == dumped


def test_it_says_whose_it_is():
    assert repr(LoadDumpAdapter(Memory)).startswith("LoadDumpAdapter(")
    assert LoadDumpAdapter(Memory()).name == "memory"
    assert LoadDumpAdapter(object()).name == "object"
    assert LoadDumpAdapter(Memory()).apply_changes([], same=same) == []
