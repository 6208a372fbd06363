from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.engines.checksum.comparison import Range, RangeKey, cut, merged

SQLITE = sa.create_engine("sqlite://")
keys = st.lists(st.integers(0, 30), min_size=1, max_size=30, unique=True)
pairs = st.tuples(st.integers(0, 4), st.sampled_from(["", "a", "b", "é"]))


def holds(wanted, key):
    return (wanted.start is None or key >= wanted.start) and (wanted.stop is None or key < wanted.stop)


def ask(key, rows, *asked):
    source = sa.values(*(sa.column(column.name, kind) for column, kind in zip(key.columns, key.kinds, strict=True)))
    statement = sa.select(*key.columns, *asked).select_from(source.data(rows).cte("t"))
    with SQLITE.connect() as connection:
        return connection.execute(statement).all()


@given(keys, st.integers(0, 9))
def test_what_is_cut_holds_every_key_once(known, pieces):
    ranges = cut(known, pieces)
    assert len(ranges) <= max(1, pieces)
    for key in range(-1, 32):
        assert sum(holds(wanted, key) for wanted in ranges) == 1


@given(st.integers(1, 9), st.integers(1, 9))
def test_the_pieces_have_as_many_of_the_known_keys_each(pieces, size):
    ranges = cut(range(pieces * size), pieces)
    assert [sum(holds(wanted, key) for key in range(pieces * size)) for wanted in ranges] == [size] * pieces


@given(keys, st.integers(1, 9), st.data())
def test_a_row_is_told_its_range_and_whether_it_has_one(known, pieces, data):
    ranges = cut(known, pieces)
    kept = sorted(data.draw(st.sets(st.sampled_from(range(len(ranges))), min_size=1)))
    chosen = [ranges[place] for place in kept]
    key = RangeKey([sa.column("c0")], [sa.Integer()])
    for number, found, within in ask(key, [(row,) for row in range(-1, 32)], key.number(chosen), key.within(chosen)):
        place = bisect_right([wanted.start for wanted in ranges[1:]], number)
        assert found == (kept.index(place) if place in kept else None)
        assert bool(within) == (place in kept)


@given(st.lists(pairs, min_size=1, unique=True), st.integers(1, 9), st.data())
def test_keys_of_several_parts_are_compared_part_by_part(known, pieces, data):
    ranges = cut(known, pieces)
    chosen = data.draw(
        st.lists(st.sampled_from(ranges), min_size=1, unique=True).map(lambda some: [x for x in ranges if x in some])
    )
    key = RangeKey([sa.column("c0"), sa.column("c1")], [sa.Integer(), sa.Text()])
    rows = [(first, second) for first in range(5) for second in ("", "a", "b", "é")]
    for first, second, found, within in ask(key, rows, key.number(chosen), key.within(chosen)):
        places = [place for place, wanted in enumerate(chosen) if holds(wanted, (first, second))]
        assert places == ([] if found is None else [found])
        assert bool(within) == bool(places)


@given(keys, st.integers(1, 9), st.data())
def test_joined_ranges_hold_the_same_keys_and_have_gaps_between_them(known, pieces, data):
    ranges = cut(known, pieces)
    some = data.draw(st.sets(st.sampled_from(range(len(ranges)))))
    chosen = [ranges[place] for place in sorted(some)]
    joined = merged(chosen)
    for key in range(-1, 32):
        assert sum(holds(wanted, key) for wanted in joined) == any(holds(wanted, key) for wanted in chosen)
    assert all(one.stop < other.start for one, other in pairwise(joined))


def test_many_ranges_are_told_apart_without_naming_each():
    ranges = [Range(number, number + 1) for number in range(0, 400, 2)]
    key = RangeKey([sa.column("c0")], [sa.Integer()])
    rows = ask(key, [(row,) for row in range(-2, 402)], key.number(ranges), key.within(ranges))
    for row, number, within in rows:
        inside = row % 2 == 0 and 0 <= row < 400
        assert number == (row // 2 if inside else None)
        assert bool(within) == inside
    assert "OR" not in str(key.within(ranges))
    assert "CASE" not in str(key.within(ranges[:100]))
