"""The vocabulary beside diffsync itself: one declaration, one set of data, the same answers.

Left out is where diffsync is wrong; each has a test of its own in ``test_dsync_right.py``:

- identifiers that join to the same text;
- a child that several parents name, or that another parent has on the other side: what is shown is the same, but it is
  created, updated or deleted once, and deleted before it is created again;
- the names in log events of a deletion in natural order: diffsync logs a parent under the name of a child;
- a creation for which the destination has no place: diffsync fails on the way; here it is refused at the start.
"""

from __future__ import annotations

import diffsync.exceptions
from dsync_worlds import (
    KINDS,
    answers,
    both,
    comparable,
    is_moved,
    logged,
    odd_worlds,
    plain,
    walk,
    worlds,
)
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from datastoresync.vocabularies import dsync


@given(worlds(flagged=False))
def test_adapters_show_the_same(world):
    (_, ours, _, _), (_, theirs, _, _) = both(world)
    assert plain(ours.dict()) == plain(theirs.dict())
    assert ours.str() == theirs.str()
    assert len(ours) == len(theirs)
    for kind in KINDS:
        assert [one.json() for one in ours.get_all(kind)] == [one.json() for one in theirs.get_all(kind)]
        assert list(map(str, ours.get_all(kind))) == list(map(str, theirs.get_all(kind)))
        assert ours.count(kind) == theirs.count(kind)


@given(worlds(flagged=False))
def test_differences_are_the_same(world):
    ours, theirs = (answers(dest.diff_from(source, flags=run)) for _, source, dest, run in both(world))
    event(f"{world.shape}, {'differs' if theirs['has_diffs'] else 'equal'}")
    assert ours == theirs


@given(worlds(flagged=True))
def test_differences_under_flags_are_the_same(world):
    ours, theirs = (answers(dest.diff_from(source, flags=run)) for _, source, dest, run in both(world))
    event(f"{'something' if theirs['summary']['skip'] else 'nothing'} skipped")
    assert ours == theirs


@given(worlds(flagged=True), st.sampled_from(["from", "to"]))
def test_a_sync_leaves_the_same_behind_and_calls_the_same(world, direction):
    found = []
    for _, source, dest, run in both(world):
        diff = dest.sync_from(source, flags=run) if direction == "from" else source.sync_to(dest, flags=run)
        again = dest.diff_from(source, flags=run)
        found.append((plain(dest.dict()), plain(source.dict()), dest.calls, answers(diff), again.dict()))
    ours, theirs = found
    for one, other in zip(ours, theirs, strict=True):
        assert one == other


@given(odd_worlds())
def test_orphans_and_things_of_one_side_differ_in_the_same(world):
    found = []
    for _, source, dest, run in both(world):
        heard = []
        with logged() as events:
            diff = dest.diff_from(source, flags=run, callback=lambda *said, heard=heard: heard.append(said))
        found.append((answers(diff), heard, comparable(events)))
    assert found[0] == found[1]


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(odd_worlds(), st.booleans())
def test_odd_syncs_log_call_and_leave_the_same(world, listened):
    found = []
    for _, source, dest, run in both(world):
        heard = []
        diff = dest.diff_from(source, flags=run)
        assume(not any(element.action == "create" and is_moved(element, diff) for element in walk(diff)))
        before = plain(dest.dict())
        error = None
        with logged() as events:
            try:
                callback = (lambda *said, heard=heard: heard.append(said)) if listened else None
                dest.sync_from(source, flags=run, callback=callback)
            except Exception as caught:  # noqa: BLE001 - compared below
                error = caught
        found.append(
            (error, before, plain(dest.dict()), dest.calls, comparable(events), heard, dest.completed, answers(diff))
        )
    ours, theirs = found
    if isinstance(ours[0], dsync.ObjectStoreWrongType):  # refused at the start, where diffsync fails on the way
        event("no place")
        assert world.failing or isinstance(theirs[0], (AttributeError, diffsync.exceptions.ObjectStoreWrongType))
        assert ours[1] == ours[2]
        return
    event("failed" if theirs[0] else "done")
    assert type(ours[0]).__name__ == type(theirs[0]).__name__
    assert ours[1:3] == theirs[1:3]
    if any(flags & 16 for flags in world.dest_flags.values()):
        for one in (*ours[4], *theirs[4]):
            if one.get("action") == "delete":  # diffsync logs a parent under the name of a child
                one |= {"model": "", "unique_id": "", "diffs": {}, "event": one["event"].replace(one["model"], "")}
    assert ours[3:] == theirs[3:]
