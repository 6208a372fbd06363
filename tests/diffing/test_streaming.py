"""A diff that is made anew at each pass is the diff that is held in memory."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from strategies import NO_LIMITS, TEMPLATES, Streaming, worlds

from datastoresync import Branch, Limits, Object, Tree
from datastoresync.applying.preview import Preview
from datastoresync.applying.safeguards import violations
from datastoresync.diffing.branch_diff import StreamedPart
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.flags import Flags
from datastoresync.diffing.side import InMemoryEngine
from datastoresync.printing.text import text

law = settings(deadline=None, max_examples=examples(60))


def both(world, branches, flags=None):
    """Return the difference of two trees in memory, and streamed."""
    source, dest = world.trees()
    sides = [(source[name].side(), dest[name].side()) for name in source.branches]
    streaming = Streaming(frozenset(branches))
    return Diff.between(sides, flags=flags), Diff.between(sides, engine=streaming, flags=flags)


SOME = st.sets(st.sampled_from(["apples", "bears", "chairs"]), min_size=1)


@law
@given(worlds(), SOME)
def test_it_has_the_same_actions_in_the_same_order_however_often(world, branches):
    held, streamed = both(world, branches)
    assert list(streamed) == list(held) == list(streamed)
    assert (len(streamed), bool(streamed), streamed.stat) == (len(held), bool(held), held.stat)
    assert streamed.counts == held.counts
    assert streamed == held
    assert held == streamed
    assert repr(streamed) == repr(held)


@law
@given(worlds(), SOME, st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([1, 2, -1, -2]))
def test_it_is_indexed_like_any_other(world, branches, start, stop, step):
    held, streamed = both(world, branches)
    assert list(streamed[start:stop:step]) == list(held[start:stop:step])
    if -len(held) <= start < len(held):
        assert streamed[start] == held[start]
    else:
        with pytest.raises(IndexError):
            streamed[start]


@law
@given(worlds(), SOME, st.sampled_from(["new", "old", "update", "add", "apples", "bears"]))
def test_filters_and_the_inverse_hold_for_it(world, branches, term):
    held, streamed = both(world, branches)
    assert list(-streamed) == list(-held)
    assert list(-(-streamed)) == list(held)
    if term in {one.name for one in held.branch_diffs} | {"new", "old", "update", "add"}:
        assert list(streamed.only(term)) == list(held.only(term))
        assert list(streamed.exclude(term)) == list(held.exclude(term))
        assert list(-streamed.exclude(term)) == list(-held.exclude(term))


@law
@given(worlds(), SOME, st.sampled_from([Limits(), Limits(deletions=1, updates=1, removals=1), NO_LIMITS]))
def test_limits_hold_for_it(world, branches, limits):
    held, streamed = both(world, branches)
    assert violations(streamed, limits) == violations(held, limits)


@law
@given(worlds(), SOME)
def test_flags_hold_for_it_and_count_what_they_leave_out_once(world, branches):
    held, streamed = both(world, branches, Flags(never_delete=True))
    assert list(streamed) == list(held)
    assert list(streamed) == list(held)
    assert streamed.left_out == held.left_out


@law
@given(worlds(), SOME, st.sampled_from(TEMPLATES))
def test_applying_it_does_as_much(world, branches, template):
    held, streamed = both(world, branches)
    assert template().apply(streamed, limits=NO_LIMITS).counts == template().apply(held, limits=NO_LIMITS).counts


def test_going_through_it_keeps_no_action():
    class Source(Tree):
        users = Branch(Object, importer=[{"idnumber": str(number)} for number in range(2_000)])

    class Dest(Tree):
        users = Branch(Object)

    streamed = Diff.between([((+Source()).users.side(), Dest().users.side())], engine=Streaming(frozenset({"users"})))
    alive = weakref.WeakSet()
    most = 0
    for action in streamed:
        alive.add(action)
        most = max(most, len(alive))
    del action
    gc.collect()
    assert most < 10
    assert not alive


class Person(Object):
    name: str
    grade: int
    tags: set[str] = set()


def test_an_object_with_several_changes_is_counted_once():
    def side(first, tags):
        rows = [{"idnumber": key, "name": f"{first}{key}", "grade": first, "tags": tags} for key in range(10)]
        return (+Branch(Person, importer=rows)).side()

    sides = [(side(1, {"a", "b"}), side(2, {"b", "c"}))]
    for engine in (InMemoryEngine(), Streaming(frozenset({""}))):
        diff = Diff.between(sides, engine=engine)
        assert dict(diff.counts) == {"new": 0, "update": 20, "add": 10, "remove": 10, "old": 0}
        assert violations(diff, Limits(updates=10, removals=10, switches=10)) == ()
        (updates, removals) = violations(diff, Limits(updates=9, removals=9))
        assert "10 updates, over the limit of 9" in updates
        assert "10 removals, over the limit of 9" in removals


def test_what_a_preview_says_of_it_takes_one_pass(monkeypatch):
    passes = []
    phases = StreamedPart.phases
    monkeypatch.setattr(StreamedPart, "phases", lambda part: passes.append(part) or phases(part))

    class User(Object):
        _references = {"head": "users"}

    def side(name, active, head):
        rows = [
            {"idnumber": f"{key:03}", "active": active, "head": head, "note": {"no hash": active}} for key in range(100)
        ]
        tree = +Tree(name, branches={"users": Branch(User, importer=rows)})
        return tree.users.side()

    sides = [(side("source", False, "nobody"), side("dest", True, "001"))]
    held, streamed = (Diff.between(sides, engine=engine) for engine in (None, Streaming(frozenset({"users"}))))
    said = [Preview.of(diff) for diff in (streamed, held)]
    shown = [(one.refused, one.stat, text(one.outline(), lines=None)) for one in said]
    assert shown[0] == shown[1]
    assert "100 objects would have active=False" in "".join(said[0].refused)
    assert "users.head refers to users that the source does not have: 'nobody' of '000'" in "".join(said[0].refused)
    assert len(passes) == 1
