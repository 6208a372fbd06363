"""What a REPL shows and completes: reprs that can be evaluated or say that they cannot, names and keys."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, Datastore, Flags, Limits, Object, Report, Result, Template, Tree
from datastoresync.app.report import AppReport, PartReport
from datastoresync.diffing.action import Action

scalars = st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False)
actions = st.builds(
    Action,
    st.sampled_from(["new", "update", "add", "remove", "old"]),
    st.text(min_size=1),
    scalars | st.tuples(scalars, scalars),
    st.text(),
    scalars | st.sets(scalars),
    scalars,
)
shares = st.integers(0, 10**6) | st.floats(0, 1)
limits = st.fixed_dictionaries(
    {},
    optional={
        "deletions": shares,
        "blanks": shares,
        "dangling": st.integers(0, 9),
        "empty": st.lists(st.text(), max_size=2),
    },
).map(lambda given: Limits(**given))


@given(actions | limits)
def test_a_repr_that_reads_like_a_call_gives_the_same(value):
    assert eval(repr(value), {"Action": Action, "Limits": Limits, "Decimal": Decimal}) == value


def test_limits_that_were_evaluated_stand_back_where_the_others_did():
    declared = Limits(deletions=3, updates=4)
    again = eval(repr(Limits(updates=9)), {"Limits": Limits})
    assert repr(again) == "Limits(updates=9)"
    assert (again.over(declared).deletions, again.over(declared).updates) == (3, 9)


def school():
    branches = {"users": Branch(Object, importer=[{"idnumber": number} for number in range(5_000)])}
    return Tree("school", branches=branches)


def test_other_reprs_say_that_they_are_none():
    tree = +school()
    report = tree - Tree("empty", branches={"users": Branch(Object)}) | Template
    for thing in (tree, tree.users, Datastore(school=tree), Result("failed", "why"), *report.results[:1]):
        assert repr(thing)[0] + repr(thing)[-1] == "<>"


def test_trees_branches_and_keys_are_completed():
    tree = +school()
    store = Datastore(school=tree)
    assert "school" in dir(store)
    assert "users" in dir(tree)
    assert store._ipython_key_completions_() == ["school"]
    assert tree._ipython_key_completions_() == ["users"]
    assert tree.users._ipython_key_completions_() == list(range(1_000))


@pytest.mark.parametrize(
    ("thing", "truth"),
    [
        (Tree("school"), True),
        (Branch(Object), False),
        (Report(()), True),
        (Report((Result("failed", "why"),)), False),
        (AppReport(PartReport("reader", "succeeded"), ()), True),
        (AppReport(PartReport("reader", "failed"), ()), False),
    ],
    ids=["tree", "empty branch", "report", "failed report", "application", "failed application"],
)
def test_the_truth_of_a_thing(thing, truth):
    assert bool(thing) is truth


def test_flags_read_as_they_are_written():
    assert eval(repr(Flags(ignore=True)), {"Flags": Flags}) == Flags(ignore=True)
