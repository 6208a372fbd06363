"""Changes out of actions: one by one and column by column they are the same."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, Object, Tree
from datastoresync.applying.store_changes import ChangeFactory, ChangeSequence, StoredBranch, StoredValueEquality
from datastoresync.object import schema_of
from datastoresync.syncers.changes import Change, ChangeBatch, Table


class User(Object):
    name: str
    grade: int | None = None


class Course(Object):
    _identifiers = ("code", "year")
    code: str
    year: int
    title: str


def tree(users, courses):
    return +Tree(
        "tree",
        branches={
            "users": Branch(User, importer=[{"idnumber": key, "name": n, "grade": g} for key, (n, g) in users.items()]),
            "courses": Branch(Course, importer=[{"code": c, "year": y, "title": t} for (c, y), t in courses.items()]),
        },
    )


STORED = {
    "users": StoredBranch(Table("users"), ("idnumber",), schema_of(User).convert),
    "courses": StoredBranch(Table("courses"), ("code", "year"), schema_of(Course).convert),
}
users = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.sampled_from("xy"), st.none() | st.integers(0, 2)))
courses = st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), st.sampled_from("xy"))
trees = st.builds(tree, users, courses)


def shown(change):
    return change.verb, change.table, change.identifiers, change.key, dict(change.values), dict(change.expected)


@given(trees, trees, st.integers(1, 5), st.integers(1, 3), st.booleans())
def test_columns_hold_what_the_changes_hold(source, dest, size, fewest, streamed):
    diff = source - dest
    making = ChangeFactory(diff, STORED)
    changes = ChangeSequence(diff.actions, making, streamed=streamed)
    expected = [shown(making.change(action)) for action in diff]
    assert [shown(change) for change in changes] == expected
    parts = [part for segment in changes.segments(size, fewest) for part in segment]
    assert [shown(change) for part in parts for change in part] == expected
    assert len(changes) == len(expected)
    if streamed:
        assert list(changes.again([])) == list(diff)


def test_many_of_a_kind_are_columns():
    diff = tree(dict.fromkeys("abc", ("x", 1)), {}) - tree({}, {("a", 1): "x", ("a", 2): "y"})
    changes = ChangeSequence(diff.actions, ChangeFactory(diff, STORED), streamed=False)
    (parts,) = changes.segments(100, 2)
    assert [(type(part), part.verb, list(part.keys)) for part in parts] == [
        (ChangeBatch, "insert", [("a",), ("b",), ("c",)]),
        (ChangeBatch, "delete", [("a", 1), ("a", 2)]),
    ]


class Values(Object):
    text: str
    number: int
    share: Decimal
    day: date | None = None
    anything: object = None


raw = st.sampled_from(
    ["x", "5", 5, True, 1.0, Decimal("1.50"), Decimal("NaN"), None, date(2024, 1, 1), "2024-01-01", set()]
)
CHANGE = Change("delete", STORED["users"].table, ("idnumber",), ("a",))


@pytest.mark.parametrize("whole", [True, False])
@given(
    st.sampled_from(["text", "number", "share", "day", "anything", "undeclared"]),
    st.lists(st.tuples(raw, raw) | raw.map(lambda one: (one, one)), max_size=4),
)
def test_a_column_that_is_the_same_has_values_that_are_the_same(whole, name, pairs):
    convert = schema_of(Values).convert
    stored = StoredBranch(CHANGE.table, ("idnumber",), convert if whole else convert.__call__)
    same = StoredValueEquality({"users": stored})
    raws, expected = [one for one, _ in pairs], [other for _, other in pairs]
    if same.same_column(CHANGE, name, raws, expected):
        assert all(same(CHANGE, name, one, other) for one, other in pairs)


def test_a_column_of_its_own_type_is_seen_at_once_to_be_the_same():
    same = StoredValueEquality({"users": StoredBranch(CHANGE.table, ("idnumber",), schema_of(Values).convert)})
    assert same.same_column(CHANGE, "text", ["x", "y"], ["x", "y"])
    assert not same.same_column(CHANGE, "text", ["x", "y"], ["x", "z"])
    assert not same.same_column(CHANGE, "number", ["x"], ["x"]), "an import would have refused it"
