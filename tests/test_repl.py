"""What a REPL shows and completes: reprs that can be evaluated or say that they cannot, names and keys."""

import doctest
import inspect
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import blocks_of

from datastoresync import Branch, Datastore, Flags, Limits, Object, Report, Result, Template, Tree
from datastoresync.app.report import AppReport, PartReport
from datastoresync.diffing.action import Action

DOCS = Path(__file__).resolve().parent.parent / "docs"

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


def test_help_says_what_a_tree_is_called_with():
    class Named(Tree):
        def __init__(self, city):
            super().__init__(city)

    assert list(inspect.signature(Tree).parameters) == ["name", "syncer", "template", "branches"]
    assert str(inspect.signature(Named)) == "(city)"


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


@pytest.mark.parametrize("name", ["tutorial.md"])
def test_a_page_may_be_typed_line_by_line(name, tmp_path):
    typed, shown, raised = [], [], 0
    for block in blocks_of((DOCS / name).read_text(encoding="utf-8")):
        for example in doctest.DocTestParser().get_examples(block.source):
            typed.append(example.source)
            if example.exc_msg:
                raised += 1
            elif "..." not in example.want:
                shown += example.want.splitlines()
        if ">>>" not in block.source:
            typed.append(block.source)
        typed.append("\n")  # what ends a class or a loop there
    code = "".join(one if one.count("\n") == 1 else f"{one}\n" for one in typed)
    command = [sys.executable, "-i", "-q", "-X", "utf8"]
    ran = subprocess.run(command, input=code, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert (ran.stderr.count("Traceback"), ran.stderr.count('File "<stdin>"')) == (raised, raised), ran.stderr
    said = iter(ran.stdout.splitlines())
    assert [line for line in shown if line not in said] == [], "in this order"
