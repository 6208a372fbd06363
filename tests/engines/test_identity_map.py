"""A key has one object as long as somebody has it."""

import gc
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync.engines import table as living
from datastoresync.engines.table import IdentityMap, ReadAhead


class Thing:
    def __init__(self, key):
        self.key = key


def read(objects, keys):
    """Make a chunk of rows objects."""
    made = [Thing(key) for key in keys]
    objects.replace_live(keys, made)
    return made


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(0, 9), unique=True), st.sets(st.integers(0, 9)))))
def test_whoever_reads_a_key_gets_the_object_that_somebody_has(steps):
    objects, held = IdentityMap(), {}
    for keys, dropped in steps:
        for item in read(objects, keys):
            assert held.setdefault(item.key, item) is item
        for key in dropped:
            held.pop(key, None)
        item = None
        for key in range(10):
            assert objects.get(key) is held.get(key)


def test_references_to_objects_that_are_gone_go_too(monkeypatch):
    monkeypatch.setattr(living, "_FEW", 10)
    objects = IdentityMap()
    objects._most = 10
    held = read(objects, range(5))
    for start in range(100, 1000, 5):
        read(objects, range(start, start + 5))
        assert len(objects._references) <= 2 * (5 + 5) + 10 + 5
    assert [objects.get(key) for key in range(5)] == held


def test_what_was_looked_up_last_is_kept_and_no_more():
    objects = IdentityMap()
    for key in range(3000):
        objects.hold(read(objects, [key]))
    gc.collect()
    there = [key for key in range(3000) if objects.get(key) is not None]
    assert there == list(range(3000 - 1024, 3000))


def test_several_threads_get_one_object():
    objects, found = IdentityMap(), []
    start = threading.Barrier(4)

    def work():
        start.wait()
        found.append(read(objects, range(2000)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(set(map(id, same))) == 1 for same in zip(*found, strict=True))


def reads(keys, ahead):
    """Return how many rows were read at a time for look-ups of these keys, and which key of them asked for it."""
    there, found = set(), []
    for key in keys:
        if key in there:
            ahead.answered += 1
            continue
        rows = ahead.rows(key)
        there = set(range(key, key + rows))
        found.append((key, rows))
    return found


def test_look_ups_in_order_read_more_and_more_rows_ahead():
    found = reads(range(100_000), ReadAhead())
    assert [rows for _, rows in found[:11]] == [1] * 8 + [128, 256, 512]
    assert len(found) < 20
    assert max(rows for _, rows in reads(range(1_000_000), ReadAhead())) == 65_536


def test_look_ups_in_any_other_order_do_not():
    assert {rows for _, rows in reads(range(1000, 0, -1), ReadAhead())} == {1}
    mixed = [key for pair in zip(range(1000), range(5000, 6000), strict=True) for key in pair]
    assert {rows for _, rows in reads(mixed, ReadAhead())} == {1}
    far_apart = reads(range(0, 10_000_000, 1000), ReadAhead())
    assert sum(rows > 1 for _, rows in far_apart) < len(far_apart) / 8
    assert {rows for _, rows in far_apart} == {1, 128}


def test_keys_that_cannot_be_sorted_together_follow_nobody():
    ahead = ReadAhead()
    keys = [(place, "a") if place % 2 else ("a", place) for place in range(40)]
    assert {ahead.rows(key) for key in [None, *keys, 1, "1", None, None]} == {1}
