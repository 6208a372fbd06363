"""Lists of records, changed by key."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.errors import SyncerError
from datastoresync.syncers.keyed_records import RecordKeys, delete_records, upsert_records
from datastoresync.syncers.row_index import TableContents

update_records = partial(upsert_records, insert=False)

ids = st.integers(1, 5)
tables = st.dictionaries(ids, st.sampled_from("abc"))


def contents(table):
    return TableContents.of([{"id": key, "name": name, "kept": key} for key, name in table.items()], "t")


def given_for(table):
    return TableContents.of([{"id": key, "name": name} for key, name in table.items()], "t")


def keys(*columns):
    return RecordKeys(columns, "t", lambda value: value)


def by_id(found):
    return {record["id"]: record["name"] for record in found.records}


@given(stored=tables, new=tables)
def test_upsert_is_the_union_of_dictionaries_and_keeps_the_order(stored, new):
    found = upsert_records(contents(stored), given_for(new), keys("id"))
    assert by_id(found) == stored | new
    assert list(by_id(found)) == list(stored | new)
    assert all(record.get("kept") == record["id"] for record in found.records if record["id"] in stored)


@given(stored=tables, old=tables)
def test_delete_is_the_difference_of_dictionaries(stored, old):
    found = delete_records(contents(stored), given_for(old), keys("id"))
    assert by_id(found) == {key: name for key, name in stored.items() if key not in old}


@given(stored=tables, data=st.data())
def test_update_changes_the_given_columns_and_nothing_else(stored, data):
    new = data.draw(st.dictionaries(st.sampled_from(sorted(stored)), st.sampled_from("xyz"))) if stored else {}
    before = contents(stored)
    found = update_records(before, given_for(new), keys("id"))
    assert by_id(found) == stored | new
    assert [record["kept"] for record in found.records] == list(stored)
    assert by_id(before) == stored


def test_a_key_may_be_several_columns_and_true_is_not_one():
    stored = TableContents.of([{"a": 1, "b": 1, "c": 0}, {"a": True, "b": 1, "c": 0}], "t")
    found = update_records(stored, TableContents.of([{"a": True, "b": 1, "c": 5}], "t"), keys("a", "b"))
    assert [record["c"] for record in found.records] == [0, 5]


def test_keys_are_compared_as_the_store_keeps_them():
    found = upsert_records(
        TableContents.of([{"id": "7"}], "t"), TableContents.of([{"id": 7, "x": 1}], "t"), RecordKeys("id", "t", str)
    )
    assert found.records == [{"id": "7", "x": 1}]
    assert found.columns == ("id", "x")


@pytest.mark.parametrize(
    ("stored", "new", "says"),
    [
        ([], [{"name": "x"}], "given record 1 of table 't' has no column 'id', which is part of the key"),
        ([], [{"id": None}], "given record 1 of table 't' has no value in 'id'"),
        ([], [{"id": float("nan")}], "no value in 'id'"),
        ([], [{"id": [1]}], "a list in 'id', which cannot be part of a key"),
        ([], [{"id": 1}, {"id": 1}], "given records 1 and 2 of table 't' have the same key, id=1"),
        ([{"id": 1}, {"id": 2}, {"id": 1}], [{"id": 2}], "stored records 1 and 3 of table 't' have the same key"),
        ([{"ID": 1}], [{"id": 2}], "stored record 1 of table 't' has no column 'id'.*'ID'"),
    ],
)
@pytest.mark.parametrize("change", [upsert_records, update_records, delete_records])
def test_keys_that_say_nothing_are_refused(stored, new, says, change):
    with pytest.raises(SyncerError, match=says):
        change(TableContents.of(stored, "t"), TableContents.of(new, "t"), keys("id"))


def test_what_is_not_there_to_update_is_named():
    stored = TableContents.of([{"id": 1, "name": "x"}], "t")
    with pytest.raises(SyncerError, match="no record id=2 to update"):
        update_records(stored, TableContents.of([{"id": 2}], "t"), keys("id"))
    with pytest.raises(SyncerError, match="no column 'nmae': did you mean 'name'"):
        update_records(stored, TableContents.of([{"id": 1, "nmae": "y"}], "t"), keys("id"))
    with pytest.raises(SyncerError, match="no column ''"):
        update_records(stored, TableContents.of([{"id": 1, "": "y"}], "t"), keys("id"))


def test_a_key_without_columns_is_refused():
    with pytest.raises(SyncerError, match="at least one column"):
        keys()
