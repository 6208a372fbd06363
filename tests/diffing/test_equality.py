"""When two values are equal, and how two memberships differ."""

import datetime
import random
from collections import Counter
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MEMBERS, NUMBERS, TEXTS, memberships, plain, plain_changes

from datastoresync.diffing.equality import comparable, equal, membership_changes, type_family

NAN = float("nan")
NOON = datetime.datetime(2024, 1, 1, 12)  # noqa: DTZ001 - without a time zone on purpose
NOON_UTC = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)

EARLY = datetime.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))  # of the hour that comes twice
LATE = EARLY.replace(fold=1)

law = settings(deadline=None)

VALUES = MEMBERS | memberships(MEMBERS) | st.tuples(MEMBERS, memberships(TEXTS)) | NUMBERS


class Colour(Enum):
    RED = 1


class Word(StrEnum):
    RED = "red"


class AlwaysEqual:
    def __repr__(self):  # the same in every process, since it names the test
        return "AlwaysEqual()"

    def __eq__(self, other):
        return True

    __hash__ = None


class NeverEqual:
    def __repr__(self):  # the same in every process, since it names the test
        return "NeverEqual()"

    def __eq__(self, other):
        return False

    def __ne__(self, other):
        return True

    __hash__ = None


@law
@given(VALUES)
def test_every_value_equals_itself_and_its_copy(value):
    assert equal(value, value)
    if isinstance(value, (set, frozenset, list)):
        assert equal(value, type(value)(value))
        assert membership_changes(value, value) == ([], [])


@law
@given(VALUES, VALUES)
def test_equality_is_that_of_the_reference_and_has_no_direction(left, right):
    assert equal(left, right) == equal(right, left)
    if isinstance(left, list) == isinstance(right, list):  # a list counts its members, unless the other is a set
        assert equal(left, right) == (plain(left) == plain(right))


@law
@given(memberships(MEMBERS), memberships(MEMBERS))
def test_changes_are_those_of_the_reference(left, right):
    added, removed = membership_changes(left, right)
    assert (Counter(map(plain, added)), Counter(map(plain, removed))) == tuple(
        map(Counter, plain_changes(left, right)),
    )
    back = membership_changes(right, left)
    assert all(map(equal, back, (removed, added)))


@law
@given(st.lists(st.dictionaries(TEXTS, TEXTS, max_size=1), max_size=4), st.randoms())
def test_members_that_cannot_be_hashed_count_too(members, random_source):
    more = [*members, {"more": "1"}]
    random_source.shuffle(more)
    assert membership_changes(more, members) == ([{"more": "1"}], [])
    assert membership_changes(members, more) == ([], [{"more": "1"}])


@law
@given(st.lists(MEMBERS, max_size=6))
def test_changes_come_in_one_order(members):
    others = random.Random(1).sample(members, len(members))
    assert list(map(repr, membership_changes(members, [])[0])) == list(map(repr, membership_changes(others, [])[0]))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, True),
        (1, Decimal(1), True),
        (0.5, Fraction(1, 2), True),
        (0.1, Decimal("0.1"), False),
        (1, "1", False),
        (None, "", False),
        (None, 0, False),
        (None, set(), False),
        (NAN, float("nan"), True),
        (NAN, Decimal("NaN"), True),
        (NAN, 0.0, False),
        (0.0, -0.0, True),
        ((1, NAN), (1, float("nan")), True),
        ((1, 2), (2, 1), False),
        ((1, 2), [1, 2], False),
        ({1, 2}, frozenset([2, 1]), True),
        ([1, 1], {1}, True),
        ([1, 1], [1], False),
        ([2, 1], [1, 2], True),
        ({NAN}, {float("nan")}, True),
        ({"a": NAN}, {"a": float("nan")}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": [{"b": 0}]}, {"a": [{"b": False}]}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": None}, {}, False),
        ([{"a": True}], [{"a": 1}], False),
        ([["a", "b"]], [["b", "a"]], False),
        ([1, 2], [2, True], True),
        (EARLY, LATE, False),
        (EARLY, EARLY.astimezone(datetime.UTC), True),
        ({EARLY}, {LATE}, False),
        ((EARLY, 1), (LATE, 1), False),
        ({"a": EARLY}, {"a": EARLY.astimezone(datetime.UTC)}, True),
        ({"a": 1}, {"b": 1}, False),
        ("ä", "a\u0308", False),
        ("red", Word.RED, True),
        (Colour.RED, 1, False),
        (NOON, NOON_UTC, False),
        (NOON_UTC, NOON_UTC.astimezone(datetime.timezone(datetime.timedelta(hours=2))), True),
        (b"a", "a", False),
        (AlwaysEqual(), 1, True),
        (NeverEqual(), 1, False),
        ([AlwaysEqual()], [1], True),
    ],
)
def test_equality(left, right, same):
    assert equal(left, right) is same
    assert equal(right, left) is same


def test_a_foil_that_equals_nothing_equals_itself():
    foil = NeverEqual()
    assert equal(foil, foil)
    assert not equal(foil, NeverEqual())


@pytest.mark.parametrize(
    ("left", "right", "possible"),
    [
        (1, 1.5, True),
        (1, Decimal(1), True),
        (1, "1", False),
        (None, "1", True),
        (NOON, NOON_UTC, False),
        (NOON, NOON.date(), False),
        ({1}, {"1"}, False),
        ({1}, ["1", 2], True),
        (set(), {"1"}, True),
        ({1}, 1, False),
        ((1,), {1}, False),
        (Colour.RED, 1, False),
        (Word.RED, "red", True),
        (b"1", "1", False),
        (UUID(int=1), "1", False),
        (AlwaysEqual(), "1", True),
        ({"a": 1}, "a", False),
    ],
)
def test_which_types_can_be_equal(left, right, possible):
    assert comparable(left, right) is possible
    assert comparable(right, left) is possible


def test_families_have_names():
    values = [None, "a", 1, 2j, b"a", NOON.date(), NOON, NOON_UTC, (1,), [1], {}, Colour.RED, object()]
    assert [type_family(value) for value in values] == [
        "None",
        "str",
        "number",
        "number",
        "bytes",
        "date",
        "datetime without a time zone",
        "datetime with a time zone",
        "tuple",
        "membership",
        "mapping",
        "Enum Colour",
        "other",
    ]


def test_members_are_sorted_by_value_within_a_type():
    members = {10, 9, "b", "a", None, b"x", 1.5, Decimal(2)}
    assert membership_changes(members, set())[0] == [None, b"x", 1.5, Decimal(2), 9, 10, "a", "b"]
    assert membership_changes([1, "x"], ["x", "y", "y"]) == ([1], ["y", "y"])
