"""What must come before what."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync import CircularOrderError
from datastoresync.diffing.hierarchy import topological_order

GRAPHS = st.dictionaries(st.integers(0, 6), st.sets(st.integers(0, 8), max_size=3))


@settings(deadline=None)
@given(GRAPHS, st.permutations(range(7)))
def test_everything_stands_behind_what_it_is_after(after, names):
    try:
        found = topological_order(names, after)
    except CircularOrderError as error:
        circle = error.circle
        assert circle[0] == circle[-1]
        assert all(int(ahead) in after[int(name)] for name, ahead in pairwise(circle))
        found = topological_order(names, after, circles=True)
    else:
        for name in names:
            assert all(found.index(other) < found.index(name) for other in after.get(name, ()) if other in names)
        assert topological_order(names, after, circles=True) == found
    assert sorted(found) == sorted(names)


@settings(deadline=None)
@given(st.permutations(range(7)))
def test_the_order_given_is_kept_where_it_may_be(names):
    assert topological_order(names, {}) == names
    last = {names[0]: set(names[1:])}
    assert topological_order(names, last) == [*names[1:], names[0]]


def test_a_circle_is_drawn():
    after = {"a": ["b"], "b": ["c"], "c": ["b"]}
    message = "branches wait for each other: b → c → b \\(each is after the next\\); break the circle"
    with pytest.raises(CircularOrderError, match=message) as caught:
        topological_order("abc", after, what="branches")
    assert caught.value.circle == ("b", "c", "b")


def test_one_that_waits_for_itself_is_a_circle():
    with pytest.raises(CircularOrderError, match="these wait for each other: a → a"):
        topological_order("a", {"a": "a"})
    assert topological_order("a", {"a": "a"}, circles=True) == ["a"]


def test_a_chain_may_be_longer_than_the_stack():
    length = 20_000
    assert topological_order(range(length), {name: [name + 1] for name in range(length)})[0] == length - 1
