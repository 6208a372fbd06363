"""Moments with a time zone are compared, hashed, sorted and looked up by instant, whoever made them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, Object, Tree
from datastoresync.conversion.scalars import by_instant
from datastoresync.diffing.equality import equal, membership_changes, sort_key
from datastoresync.syncers import open_syncer

BERLIN = ZoneInfo("Europe/Berlin")
EARLY = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)
LATE = EARLY.replace(fold=1)
AUTUMN = datetime(2024, 10, 26, 22, tzinfo=UTC)
ZONES = st.sampled_from([UTC, BERLIN, ZoneInfo("Europe/Lisbon"), timezone(timedelta(hours=5, minutes=30))])
MOMENTS = st.builds(
    lambda halves, zone: (AUTUMN + timedelta(minutes=30 * halves)).astimezone(zone), st.integers(0, 10), ZONES
)


class Stamped(Object):
    at: datetime


class Keyed(Object):
    idnumber: datetime
    name: str = ""


class Loose(Object):
    at: Any


class Shown(Object):
    _at: datetime

    @property
    def at(self):
        return self._at.astimezone(BERLIN)


def diff(left, right, cls=Object):
    trees = [+Tree("t", branches={"x": Branch(cls, importer=lambda rows=rows: rows)}) for rows in (left, right)]
    return [action.verb for action in trees[0] - trees[1]]


@given(MOMENTS, MOMENTS)
def test_values_are_equal_at_one_instant(left, right):
    same = left.timestamp() == right.timestamp()
    assert equal(left, right) is same
    assert (membership_changes({left}, {right}) == ([], [])) is same
    assert (by_instant(left) == by_instant(right)) is same
    assert (by_instant(left) < by_instant(right)) is (left.timestamp() < right.timestamp())
    assert (sort_key(left) < sort_key(right)) is (left.timestamp() < right.timestamp())
    assert by_instant(left).isoformat() == left.isoformat()
    for cls, name in ((Object, "at"), (Stamped, "at"), (Loose, "at"), (Shown, "_at")):
        found = diff([{"idnumber": "1", name: left}], [{"idnumber": "1", name: right}], cls)
        assert found == ([] if same else ["update"]), cls


@pytest.mark.parametrize("cls", [Object, Keyed])
def test_a_key_is_an_instant(cls):
    rows = [{"idnumber": moment, "name": str(moment.timestamp())} for moment in (LATE, EARLY)]
    elsewhere = [{**row, "idnumber": row["idnumber"].astimezone(UTC)} for row in rows]
    assert diff(rows, elsewhere, cls) == []
    branch = +Branch(cls, importer=lambda: rows)
    assert [item.name for item in branch.values()] == [str(EARLY.timestamp()), str(LATE.timestamp())]
    assert branch[LATE].name == branch[LATE.astimezone(UTC)].name == str(LATE.timestamp())


@pytest.mark.parametrize("within", [lambda value: [value], lambda value: {value}, lambda value: {"at": [value]}])
def test_what_is_set_by_hand_is_compared_by_instant_too(within):
    source, dest = (
        +Tree("t", branches={"x": Branch(Object, importer=lambda value=value: [{"idnumber": "1", "at": value}])})
        for value in ({}, {})
    )
    source.x["1"].at, dest.x["1"].at = within(EARLY), within(LATE)
    assert len(source - dest) > 0
    dest.x["1"].at = within(EARLY.astimezone(UTC))
    assert list(source - dest) == []


def test_what_has_no_zone_stays_as_it_is():
    naive = EARLY.replace(tzinfo=None)
    values = [naive, [naive, {"a": (naive, 1)}], "x", None, {naive}]
    assert all(by_instant(value) is value for value in values)


def test_a_parquet_file_takes_the_hour_that_comes_twice(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for folder, moments in (("here", [EARLY, LATE]), ("there", [LATE, EARLY])):
        (tmp_path / folder).mkdir()
        at = pyarrow.array(moments, pyarrow.timestamp("us", "Europe/Berlin"))
        parquet.write_table(pyarrow.table({"idnumber": ["1", "2"], "at": at}), tmp_path / folder / "x.parquet")
    trees = [
        Tree(name, syncer=open_syncer(f"parquet:{tmp_path / name}"), branches={"x": Branch(Object)})
        for name in ("here", "there")
    ]
    assert (+trees[0]).sync_to(+trees[1]).ok
    assert list(+trees[0] - +trees[1]) == []
    written = parquet.read_table(tmp_path / "there" / "x.parquet")["at"].to_pylist()
    assert [moment.timestamp() for moment in written] == [EARLY.timestamp(), LATE.timestamp()]
