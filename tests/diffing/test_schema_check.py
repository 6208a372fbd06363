"""Two sides that cannot be compared are refused as a whole, with the reason and the fix."""

import datetime
import re
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from datastoresync import Branch, ComparisonError, Object, SchemaMismatchError, Tree


def tree(name, rows, object_class=Object):
    return +Tree(name, branches={"users": Branch(object_class, importer=lambda: rows)})


def one(name, value, object_class=Object):
    return tree(name, [{"idnumber": "1", "grade": value}], object_class)


class TextGrade(Object):
    grade: str


class WholeGrade(Object):
    grade: int


class AnyGrade(Object):
    grade: Any


class EitherGrade(Object):
    grade: int | str


class MaybeGrade(Object):
    grade: int | None


class Colour(Enum):
    RED = 1


class Shade(Enum):
    RED = 1


class Foil:
    """Of a type that nothing is known about."""

    def __eq__(self, other):
        return isinstance(other, str)

    __hash__ = None


def test_text_and_numbers_are_refused_with_the_fix():
    with pytest.raises(SchemaMismatchError) as caught:
        one("source", "7") - one("dest", 7)
    assert str(caught.value) == (
        "the two sides cannot be compared:\n"
        "  - grade: str in source.users and int in dest.users ('7' and 7 at idnumber '1'): "
        "declare `grade: int` in a class for source.users, so that it is converted when it is imported"
    )
    assert len(caught.value.problems) == 1
    assert isinstance(caught.value, TypeError)


def test_the_fix_is_on_the_side_of_the_text():
    with pytest.raises(SchemaMismatchError, match="declare `grade: int` in TextGrade, so"):
        one("source", 7, WholeGrade) - one("dest", "7", TextGrade)
    with pytest.raises(SchemaMismatchError, match=r"declare `grade: int \| None` in TextGrade, so"):
        one("source", "7", TextGrade) - one("dest", 7, MaybeGrade)


def test_following_the_advice_helps():
    assert not one("source", "7", WholeGrade) - one("dest", 7)


def test_100_000_rows_give_one_error_and_no_action():
    rows = [{"idnumber": str(number), "grade": number, "name": str(number)} for number in range(1000)]
    others = [{**row, "grade": str(row["grade"])} for row in rows]
    with pytest.raises(SchemaMismatchError) as caught:
        tree("source", rows) - tree("dest", others)
    assert len(caught.value.problems) == 1


def test_one_wrong_value_among_many_is_found():
    rows = [{"idnumber": str(number), "grade": number} for number in range(100)]
    others = [{**row, "grade": "57" if row["grade"] == 57 else row["grade"]} for row in rows]
    with pytest.raises(SchemaMismatchError, match="57 and '57' at idnumber '57'"):
        tree("source", rows) - tree("dest", others)


def test_every_problem_is_named_at_once():
    source = tree("source", [{"idnumber": "1", "grade": "7", "born": "2024-01-01", "shoe_size": 42}])
    dest = tree("dest", [{"idnumber": 1, "grade": 7, "born": datetime.date(2024, 1, 1), "shoesize": 42}])
    with pytest.raises(SchemaMismatchError) as caught:
        source - dest
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["idnumber", "shoe_size", "shoesize"]


def test_problems_of_all_branches_are_named():
    def two(name, value):
        rows = [{"idnumber": "1", "grade": value}]
        return +Tree(name, branches={"users": Branch(importer=rows), "staff": Branch(importer=rows)})

    with pytest.raises(
        SchemaMismatchError, match=r"source\.users and int in dest\.users[\s\S]*source\.staff"
    ) as caught:
        two("source", "7") - two("dest", 7)
    assert len(caught.value.problems) == 2


def test_a_missing_attribute_is_named_with_one_like_it():
    source = tree("source", [{"idnumber": "1", "shoe_size": 42}])
    dest = tree("dest", [{"idnumber": "1", "shoesize": 42}])
    with pytest.raises(SchemaMismatchError) as caught:
        source - dest
    one, other = caught.value.problems
    assert one == (
        "shoe_size: source.users has it, dest.users does not (which has 'shoesize'): give Object a field or a "
        "property 'shoe_size', or Object a leading underscore (_shoe_size) if it is not to be synced"
    )
    assert other.startswith("shoesize: dest.users has it, source.users does not (which has 'shoe_size'): give Object")


def test_an_empty_open_branch_has_no_attributes_yet():
    full, empty = tree("source", [{"idnumber": "1", "grade": 7}]), tree("dest", [])
    assert [action.verb for action in full - empty] == ["new"]
    assert [action.verb for action in empty - full] == ["old"]


def test_an_empty_closed_branch_has_its_attributes():
    with pytest.raises(SchemaMismatchError, match=r"grade: dest\.users has it, source\.users does not"):
        tree("source", [{"idnumber": "1", "name": "Ann"}]) - tree("dest", [], WholeGrade)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ("1", 1, r"idnumber: str in source\.users and int in dest\.users \('1' and 1\): declare `idnumber: int` in"),
        (1, datetime.date(2024, 1, 1), r"idnumber: int in source\.users and date in dest\.users"),
    ],
)
def test_keys_of_other_types_are_refused(left, right, message):
    with pytest.raises(SchemaMismatchError, match=message):
        tree("source", [{"idnumber": left}]) - tree("dest", [{"idnumber": right}])


def test_parts_of_composite_keys_of_other_types_are_refused():
    class Pair(Object):
        _identifiers = ("one", "two")

    with pytest.raises(SchemaMismatchError, match=r"idnumber: .*\('1', 2\) and \('1', '2'\)"):
        tree("source", [{"one": "1", "two": 2}], Pair) - tree("dest", [{"one": "1", "two": "2"}], Pair)


def test_composite_keys_are_not_joined():
    class Pair(Object):
        _identifiers = ("one", "two")

    source = tree("source", [{"one": "u__v", "two": "w"}], Pair)
    dest = tree("dest", [{"one": "u", "two": "v__w"}], Pair)
    assert [(action.verb, action.idnumber) for action in source - dest] == [
        ("new", ("u__v", "w")),
        ("old", ("u", "v__w")),
    ]


NOON = datetime.datetime(2024, 1, 1, 12)  # noqa: DTZ001 - without a time zone on purpose


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (
            NOON,
            NOON.replace(tzinfo=datetime.UTC),
            "datetime without a time zone in .* give both a time zone, or neither",
        ),
        (NOON, NOON.date(), "datetime without a time zone in .* and date in "),
        ({"1"}, {1}, r"set\[str\] in .* and set\[int\] in "),
        (["1"], {1}, r"list\[str\] in .* and set\[int\] in "),
        ({"1"}, "1", r"set\[str\] in .* and str in "),
        ((1,), [1], r"tuple\[int\] in .* and list\[int\] in "),
        (b"1", "1", "bytes in .* and str in "),
        (Colour.RED, 1, "Colour in .* and int in "),
        (Colour.RED, Shade.RED, "Colour in .* and Shade in "),
        (Decimal(1), "1", r"Decimal in .* and str in .*declare `grade: Decimal`"),
    ],
)
def test_types_that_cannot_be_equal_are_refused(left, right, message):
    with pytest.raises(SchemaMismatchError, match=message):
        one("source", left) - one("dest", right)
    with pytest.raises(SchemaMismatchError):
        one("source", right) - one("dest", left)


@pytest.mark.parametrize(
    ("left", "right", "verbs"),
    [
        (None, 7, ["update"]),
        ("7", None, ["update"]),
        (None, {"1"}, ["update"]),
        (7, 7.0, []),
        (True, 1, []),
        (7, Decimal("7.0"), []),
        (float("nan"), float("nan"), []),
        (float("nan"), 1, ["update"]),
        (set(), {1}, ["remove"]),
        ({None, "1"}, {1}, ["add", "add", "remove"]),
        ([1], frozenset([1]), []),
        (Foil(), "7", []),
        (Foil(), 7, ["update"]),
    ],
)
def test_types_that_can_be_equal_are_compared(left, right, verbs):
    assert [action.verb for action in one("source", left) - one("dest", right)] == verbs


def test_a_union_may_hold_either():
    (action,) = one("source", "x", EitherGrade) - one("dest", 7)
    assert (action.value, action.old_value) == ("x", 7)


def test_any_declares_nothing_so_that_slips_are_still_found():
    with pytest.raises(SchemaMismatchError, match="declare `grade: int` in AnyGrade"):
        one("source", "7", AnyGrade) - one("dest", 7)


def test_without_a_key_in_common_the_values_are_held_against_each_other():
    source, dest = tree("source", [{"idnumber": "1", "grade": "7"}]), tree("dest", [{"idnumber": "2", "grade": 7}])
    with pytest.raises(SchemaMismatchError, match=r"\('7' and 7\): declare `grade: int`"):
        source - dest


def test_a_value_that_cannot_be_compared_is_named():
    class Vague:
        def __eq__(self, other):
            raise ValueError("ambiguous")

        __hash__ = None

    left, right = (Branch(Object, importer=[{"idnumber": "1", "name": Vague()}]) for _ in range(2))
    with pytest.raises(ComparisonError, match=r"Object\['1'\]\.name cannot be compared .*ValueError: ambiguous"):
        +left - +right


def test_tuples_are_compared_place_by_place():
    left, right = (Branch(Object, importer=[{"idnumber": "1", "name": value}]) for value in (("7",), (7,)))
    with pytest.raises(SchemaMismatchError, match="name: tuple"):
        +left - +right


class Placed(Object):
    _identifiers = ("school", "year", "code")


def test_every_part_of_an_idnumber_must_be_comparable():
    dest = tree("dest", [{"school": "s", "year": "a", "code": 1}], Placed)
    with pytest.raises(SchemaMismatchError, match=r"idnumber: tuple\[int \| str\] in source\.users and tuple"):
        tree("source", [{"school": "s", "year": 1, "code": "a"}], Placed) - dest


AWARE = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def test_the_advice_is_not_what_is_declared_already():
    class Listed(Object):
        grade: list

    for value, old_value, advice in (
        (["7"], [7], "declare `grade: list[str]` in Listed"),
        ([Decimal("7.1")], [7.1], "declare `grade: list[float]` in Listed"),
        ([AWARE.replace(tzinfo=None)], [AWARE], "give all a time zone"),
    ):
        with pytest.raises(SchemaMismatchError, match=re.escape(advice)):
            one("source", value, Listed) - one("dest", old_value, Listed)
