"""Two lists of records are the same if they are, types and all."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.testing import RICH_KINDS, records
from datastoresync.testing.strategies import difference

LATER = timezone(timedelta(hours=2))
ONE = [{"a": 1}]


@given(records(RICH_KINDS))
def test_records_are_the_same_as_themselves_in_any_order_of_columns(data):
    turned = [dict(reversed(record.items())) for record in data]
    assert difference(data, turned) == difference(data, turned, ordered=False) == ""
    assert difference(data, list(reversed(turned)), ordered=False) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (math.nan, math.nan),
        (0.0, -0.0),
        (Decimal("1.10"), Decimal("1.1")),
        (Decimal("-0"), Decimal(0)),
        (Decimal("NaN"), Decimal("NaN")),
        (datetime(2024, 1, 2, 3, tzinfo=UTC), datetime(2024, 1, 2, 5, tzinfo=LATER)),
        (datetime(2024, 1, 2, 3), datetime(2024, 1, 2, 3, fold=1)),  # noqa: DTZ001 - most stores have no time zones
        (time(3), time(3, fold=1)),
        ([1, math.nan], [1, math.nan]),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
    ],
)
def test_equal_values_are_the_same(one, other):
    assert difference([{"a": one}], [{"a": other}]) == ""


VALUES = [None, "", "1", 1, 1.0, True, Decimal(1), b"1", [1], (1,), {1}, frozenset({1}), {"1": 1}, [1.0], ["1"]]
VALUES += [datetime(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 2).date(), time(0)]  # noqa: DTZ001


@given(st.tuples(st.integers(0, len(VALUES) - 1), st.integers(0, len(VALUES) - 1)), st.booleans())
def test_values_of_other_types_are_different(places, ordered):
    one, other = (VALUES[place] for place in places)
    assert bool(difference([{"a": one}], [{"a": other}], ordered=ordered)) == (places[0] != places[1])


@pytest.mark.parametrize(
    ("expected", "loaded", "ordered", "says"),
    [
        (ONE, [{"a": 2}], True, r"in record 0, 'a' is 2 \(int\), and should be 1 \(int\)"),
        (ONE, [], True, "there are 0 records, and should be 1"),
        (ONE, ONE * 2, True, "there are 2 records, and should be 1"),
        (ONE, [{"a": 1, "b": None}], True, "a column 'b' that was never dumped"),
        (ONE, [["a", 1]], True, "a record is a list, and must be a mapping"),
        ([*ONE, {"a": 2}], [{"a": 2}, *ONE], True, "another order, from record 0 on: say ordered = False"),
        (ONE, [], False, r"these are missing: \[\{'a': '1 \(int\)'\}\]; and these were never dumped: none"),
        (ONE, ONE * 2, False, "these are missing: none; and these were never dumped: "),
    ],
)
def test_it_says_where_they_differ(expected, loaded, ordered, says):
    import re

    assert re.search(says, difference(expected, loaded, ordered=ordered))


def test_a_column_that_a_record_lacks_holds_what_stands_for_that():
    assert difference([{"a": 1}, {"b": 2}], [{"a": 1, "b": None}, {"b": 2}]) == ""
    assert difference([{"a": 1}, {"b": 2}], [{"a": 1, "b": ""}, {"b": 2}], absent="") == ""
    assert "'b' is '' (str), and should be None" in difference([{"a": 1}, {"b": 2}], [{"a": 1, "b": ""}, {"b": 2}])
