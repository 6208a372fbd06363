"""One step, and how it reads."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MEMBERS, plain

from datastoresync import Action, Object
from datastoresync.diffing.action import actions_of

CASES = [
    (("new", "users", "1"), "new_users", "new_users(idnumber='1')"),
    (("old", "users", 1), "old_users", "old_users(idnumber=1)"),
    (
        ("update", "users", "1", "name", "Ann", None),
        "update_name",
        "update_name(idnumber='1', attr='name', value='Ann')",
    ),
    (
        ("add", "groups", ("a", 1), "members", "1"),
        "add_members_to_groups",
        "add_members_to_groups(idnumber=('a', 1), attr='members', value='1')",
    ),
    (
        ("remove", "groups", "a", "members", "1"),
        "remove_members_from_groups",
        "remove_members_from_groups(idnumber='a', attr='members', value='1')",
    ),
]


@pytest.mark.parametrize(("arguments", "method", "message"), CASES)
def test_method_and_message(arguments, method, message):
    action = Action(*arguments)
    assert action.method == method
    assert action.message == message


@settings(deadline=None)
@given(
    st.sampled_from(["new", "update", "add", "remove", "old"]),
    st.text(min_size=1),
    st.text() | st.integers() | st.tuples(st.text(), st.integers()),
    st.text() | st.none() | st.dates().map(str),
)
def test_a_repr_can_be_evaluated(verb, branch, idnumber, value):
    attribute = {} if verb in ("new", "old") else {"attr": "name", "value": value}
    old_value = {"old_value": 1} if verb == "update" else {}
    action = Action(verb, branch, idnumber, **attribute, **old_value)
    assert eval(repr(action)) == action


@pytest.mark.parametrize("arguments", [case[0] for case in CASES])
def test_the_inverse_of_the_inverse_is_the_action(arguments):
    action = Action(*arguments, source="the source's", dest="the destination's")
    inverse = action.inverse()
    assert (inverse.source, inverse.dest) == ("the destination's", "the source's")
    assert inverse != action
    assert inverse.inverse() == action


def test_the_inverse_of_an_update_changes_its_values():
    assert Action("update", "users", "1", "name", "Ann", "Bob").inverse() == Action(
        "update", "users", "1", "name", "Bob", "Ann"
    )


@settings(deadline=None)
@given(MEMBERS, MEMBERS)
def test_two_actions_are_equal_if_their_values_are(value, other):
    one, two = (Action("add", "groups", "1", "members", member) for member in (value, other))
    assert (one == two) is (plain(value) == plain(other))
    if one == two:
        assert hash(one) == hash(two)


def test_objects_are_not_compared():
    bare = Action("new", "users", "1")
    assert Action("new", "users", "1", source=Object(idnumber="1")) == bare
    assert Action("new", "users", "2") != bare
    assert bare != ("new", "users", "1")
    assert len({bare, Action("new", "users", "1", dest=1)}) == 1


def test_an_action_whose_value_cannot_be_hashed_can_be():
    assert len({Action("update", "users", "1", "tags", value, None) for value in ([1, 2], [2, 1], [3])}) == 2


def test_an_action_is_frozen():
    action = Action("new", "users", "1")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        action.verb = "old"


@given(st.lists(st.tuples(*[st.integers()] * 6)), st.sampled_from(["keys", "all"]))
def test_many_are_made_as_one_is(rows, given_):
    keys, *columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 6
    names = ("names", "values", "old_values", "sources", "dests")
    found = actions_of("update", "users", keys, **(dict(zip(names, columns, strict=True)) if given_ == "all" else {}))
    made = [Action("update", "users", *(row if given_ == "all" else row[:1])) for row in rows]
    assert [attrs.astuple(one) for one in found] == [attrs.astuple(one) for one in made]
    assert found == made
    assert list(map(hash, found)) == list(map(hash, made))
