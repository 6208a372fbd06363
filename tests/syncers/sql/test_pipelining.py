"""Items that are made before they are asked for: the same ones, in the same order, and what goes wrong at its turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.syncers.sql.apply import Prefetched


class OutOfItemsError(Exception):
    pass


def some(count, broken):
    yield from map(str, range(count))
    if broken:
        raise OutOfItemsError


@given(st.integers(0, 5), st.booleans(), st.lists(st.integers(0, 2), max_size=8), st.booleans())
def test_looking_prefetched_changes_nothing(count, broken, looks, refused):
    prepared = []

    def prepare(item):
        prepared.append(item)
        if refused:
            raise ValueError

    prefetched = Prefetched(some(count, broken), prepare)
    found, ended = [], None
    waiting = iter(looks)
    while ended is None:
        for _ in range(next(waiting, 0)):
            prefetched.prefetch()
        try:
            found.append(next(prefetched))
        except (StopIteration, OutOfItemsError) as end:
            ended = type(end)
    assert found == list(map(str, range(count)))
    assert ended is (OutOfItemsError if broken else StopIteration)
    assert prepared == [item for item, look in zip(found, looks, strict=False) if look]
    assert list(prefetched) == []


def test_it_looks_one_item_prefetched_and_not_further():
    made = []
    prefetched = Prefetched((made.append(number) or number for number in range(3)), lambda _: None)
    prefetched.prefetch()
    prefetched.prefetch()
    assert made == [0]
    assert next(prefetched) == 0
    assert made == [0]


def test_ctrl_c_is_heard_at_once():
    def interrupted():
        yield 1
        raise KeyboardInterrupt

    prefetched = Prefetched(interrupted(), lambda _: None)
    assert next(prefetched) == 1
    with pytest.raises(KeyboardInterrupt):
        prefetched.prefetch()
