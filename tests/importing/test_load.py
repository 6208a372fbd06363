"""From rows to objects: the quick way and the row-by-row way agree, memberships merge, containers are never shared."""

import datetime
import math
import warnings
from decimal import Decimal
from typing import Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import (
    Branch,
    ColumnError,
    ConversionError,
    DataWarning,
    DuplicateError,
    IdnumberError,
    Importer,
    ImporterError,
    Object,
    RowError,
    Tree,
)
from datastoresync.importing import rows as rows_module
from datastoresync.syncers.records import Records


class Pupil(Object):
    name: str
    grade: int | None = None
    groups: set[str] = set()


def loaded(importer, object_class=Object):
    return (+Tree("source", branches={"pupils": Branch(object_class, importer=importer)})).pupils


class Collecting(Importer):
    on_bad_row = "collect"

    def __init__(self, rows):
        self.rows = rows

    def read(self):
        return self.rows


class OneByOne(Collecting):
    """Gives each row a chunk of its own."""

    def read(self):
        if not self.rows:
            return []
        names = list(self.rows[0])
        chunks = [[(row[name],) for name in names] for row in self.rows]
        return Records(names, chunks, lambda index: f"row {index + 1}")


def shown(item):
    """Return the attributes with their types; a set's repr depends on the order in which its members came."""
    values = {name: getattr(item, name) for name in CELLS if hasattr(item, name)}
    return {
        name: (type(value), sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else repr(value))
        for name, value in values.items()
    }


def outcome(importer, object_class):
    """Return all that an import gave: objects, bad rows, warnings, or the error that ended it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            branch = loaded(importer, object_class)
        except ImporterError as error:
            return type(error), str(error)
    branch._check()
    bad = [(type(error), str(error)) for error in branch.imported.bad_rows]
    return {key: shown(item) for key, item in branch.items()}, bad, sorted(str(one.message) for one in caught)


# One meaning, two speeds --------------------------------------------------------------------------------------------

CELLS = {
    "idnumber": st.sampled_from(["1", "2", "3", "a", "A", "a ", "", None, 1, 2.5, float("nan"), ("x",), ["x"]]),
    "name": st.sampled_from(["Ann", "", "Bob", None, 7, datetime.date(2024, 1, 2), 1.5]),
    "grade": st.sampled_from([1, "2", "03", "", None, "x", 2.0, 2.5, True]),
    "groups": st.sampled_from([set(), {"a"}, ["a", "b"], "a", "", None, {"a": 1}, ("x", 2)]),
}

ROWS = st.tuples(*CELLS.values()).map(lambda values: dict(zip(CELLS, values, strict=True)))


@pytest.mark.parametrize("object_class", [Object, Pupil])
@pytest.mark.parametrize("stop", [False, True])
@given(st.lists(ROWS, max_size=8))
@settings(max_examples=examples(200), deadline=None)
def test_rows_in_one_go_and_one_by_one_give_the_same(object_class, stop, rows):
    together, apart = Collecting(rows), OneByOne(rows)
    if stop:
        together.on_bad_row = apart.on_bad_row = "stop"
    assert outcome(together, object_class) == outcome(apart, object_class)


@pytest.mark.parametrize("object_class", [Object, Pupil])
@given(st.data())
@settings(max_examples=examples(100), deadline=None)
def test_the_size_of_chunks_never_matters(object_class, data):
    rows = data.draw(st.lists(ROWS, max_size=12))
    size = data.draw(st.integers(1, 5))
    whole = outcome(Collecting(rows), object_class)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "_CHUNK", size)
        assert outcome(Collecting(rows), object_class) == whole


@given(st.permutations([{"idnumber": str(n), "name": f"n{n}", "groups": {str(n)}} for n in range(6)]))
@settings(deadline=None)
def test_the_order_of_rows_does_not_matter(rows):
    assert outcome(Collecting(rows), Pupil) == outcome(Collecting(sorted(rows, key=lambda row: row["idnumber"])), Pupil)


def test_a_thousand_good_rows_and_a_bad_one_name_the_bad_one():
    rows = [{"idnumber": str(n), "name": "x", "grade": str(n)} for n in range(10_000)]
    rows[7_777]["grade"] = "x"
    with pytest.raises(ConversionError, match=r"source\.pupils: row 7778: grade: .*'x'"):
        loaded(rows, Pupil)
    branch = loaded(Collecting(rows), Pupil)
    assert len(branch) == 9_999
    assert len(branch.imported.bad_rows) == 1
    assert branch.imported.bad_rows[0].row == rows[7_777]


# Shapes of rows -----------------------------------------------------------------------------------------------------


def test_an_open_class_takes_rows_of_different_shapes():
    branch = loaded(
        [{"idnumber": "1", "a": 1}, {"idnumber": "2", "b": 2}, {"b": 3, "idnumber": "3", "a": 4}, {"idnumber": "4"}]
    )
    assert [repr(item) for item in branch.values()] == [
        "Object(idnumber='1', a=1)",
        "Object(idnumber='2', b=2)",
        "Object(idnumber='3', b=3, a=4)",
        "Object(idnumber='4')",
    ]


def test_a_closed_class_fills_what_a_row_leaves_out_and_defaults_are_not_shared():
    branch = loaded(
        [{"idnumber": "1", "name": "a"}, {"idnumber": "2", "grade": 7, "name": "b"}, {"name": "c", "idnumber": "3"}],
        Pupil,
    )
    assert [item.grade for item in branch.values()] == [None, 7, None]
    branch["1"].groups.add("x")
    assert [item.groups for item in branch.values()] == [{"x"}, set(), set()]
    assert loaded([{"idnumber": "1", "name": "a"}], Pupil)["1"].groups == set()


@pytest.mark.parametrize(
    ("row", "message", "columns"),
    [
        ({"idnumber": "1", "name": "a", "grad": 7}, r"Pupil has no 'grad' \(did you mean 'grade'\?\)", ("grad",)),
        (
            {"idnumber": "1", "name": "a", "shoe": 7},
            "Pupil has no 'shoe': declare it, or leave the column out",
            ("shoe",),
        ),
        (
            {"idnumber": "1", "grade": 7},
            "no column 'name', which Pupil needs; there are 'idnumber', 'grade'",
            ("name",),
        ),
        ({"name": "a"}, "no column 'idnumber', which Pupil needs", ("idnumber",)),
        ({"Name": "a", "idnumber": "1"}, "Pupil has no 'Name' .*; no column 'name'", ("Name", "name")),
    ],
)
def test_a_column_too_many_or_too_few_is_named(row, message, columns):
    with pytest.raises(ColumnError, match=message) as caught:
        loaded([row], Pupil)
    assert caught.value.columns == columns


@pytest.mark.parametrize("kind", [list, Records])
def test_an_open_class_needs_its_identifiers(kind):
    rows = [{"id": "1"}]
    source = rows if kind is list else Records(["id"], [[["1"]]], lambda _: "x")
    with pytest.raises(ColumnError, match="no column 'idnumber', which Object needs; there are 'id'"):
        loaded(source)


def test_unknown_columns_are_refused_even_if_there_is_no_row():
    with pytest.raises(ColumnError, match="Pupil has no 'shoe'"):
        loaded(Records(["idnumber", "name", "shoe"], [], lambda _: "x"), Pupil)


@pytest.mark.parametrize("row", [None, 3, "text", ["a"], {}, {1: "a"}, {"idnumber": "1", None: ["too", "many"]}])
def test_what_is_no_row_is_refused_or_collected(row):
    rows = [{"idnumber": "1"}, row, {"idnumber": "2"}]
    with pytest.raises(RowError, match="row 2: a row must be a mapping from column name to value"):
        loaded(rows)
    branch = loaded(Collecting(rows))
    assert list(branch) == ["1", "2"]
    assert [error.where for error in branch.imported.bad_rows] == ["row 2"]


@pytest.mark.parametrize("name", [5, None, ("name",)])
@pytest.mark.parametrize("cls", [Object, Pupil])
def test_a_column_whose_name_is_no_text_is_refused_without_the_values(cls, name):
    rows = [{"idnumber": key, "name": "Mn4pRi", name: "Zq9sEc"} for key in "12"]
    with pytest.raises(RowError, match=r"row 1: a row must be a mapping .*a column .*, which is no text") as caught:
        loaded(rows, cls)
    assert "Zq9sEc" not in str(caught.value)
    assert "Mn4pRi" not in str(caught.value)


# Idnumbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["1", 2], r"row 2: idnumber 2 is of type int, and '1' before it of type str: declare `idnumber: str`"),
        ([1, "2"], "row 2: idnumber '2' is of type str"),
        (["1", None], "row 2: idnumber is None"),
        ([1, float("nan")], "row 2: idnumber is NaN"),
        ([1.0, 2.0, float("nan")], "row 3: idnumber is NaN"),
        ([Decimal(1), Decimal("NaN")], "row 2: idnumber is NaN"),
        ([["1"]], "row 1: idnumber is a list, which cannot be an idnumber"),
        ([{"1"}], "row 1: idnumber is a set, which cannot be an idnumber"),
        ([{"a": 1}], "row 1: idnumber is a dict, which cannot be an idnumber"),
    ],
)
def test_an_idnumber_that_cannot_be_one_is_refused(keys, message):
    with pytest.raises(IdnumberError, match=message):
        loaded([{"idnumber": key} for key in keys])


def test_declaring_the_type_makes_keys_one():
    class Numbered(Object):
        idnumber: str

    assert list(loaded([{"idnumber": 1}, {"idnumber": "2"}], Numbered)) == ["1", "2"]


def test_zero_and_false_are_idnumbers():
    assert list(loaded([{"idnumber": 0}, {"idnumber": 5}])) == [0, 5]


class Course(Object):
    _identifiers = ("school", "code")
    school: str
    code: int
    title: str = ""


def test_composite_keys_are_checked_part_by_part():
    branch = loaded([{"school": "s", "code": "2"}, {"school": "s", "code": 1}], Course)
    assert list(branch) == [("s", 1), ("s", 2)]
    with pytest.raises(IdnumberError, match="school is ''"):
        loaded([{"school": "", "code": 1}], Course)
    with pytest.raises(DuplicateError, match=r"idnumber \('s', 1\) is already at row 1"):
        loaded([{"school": "s", "code": 1}, {"school": "s", "code": "1"}], Course)


def test_look_alikes_among_composite_keys_are_named_and_no_more_than_five():
    with pytest.warns(DataWarning, match=r"\('s', 1\) and \('S', 1\)"):
        loaded([{"school": "s", "code": 1}, {"school": "S", "code": 1}], Course)
    rows = [{"idnumber": form(f"x{n}")} for n in range(8) for form in (str.lower, str.upper)]
    with pytest.warns(DataWarning, match=", and 3 more pairs") as caught:
        loaded(rows)
    assert str(caught[0].message).count(" and 'X") == 5


# Merging ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [set, frozenset, list])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=12))
@settings(deadline=None)
def test_rows_of_one_idnumber_are_united_member_by_member(kind, memberships):
    rows = [{"idnumber": group, "members": kind([member])} for group, member in memberships]
    before = [{**row, "members": kind(row["members"])} for row in rows]
    branch = loaded(rows)
    assert rows == before, "the rows are somebody else's"
    for group, item in branch.items():
        mine = [member for other, member in memberships if other == group]
        assert item.members == (kind(mine))
        assert type(item.members) is kind
    assert branch.imported.rows == len(rows)


@pytest.mark.parametrize("annotation", [set[str], frozenset[str], list[str]])
def test_declared_memberships_merge_too(annotation):
    made = type("Made", (Object,), {"__annotations__": {"members": annotation, "title": str}, "__module__": __name__})
    branch = loaded(
        [{"idnumber": "g", "title": "t", "members": "a"}, {"idnumber": "g", "title": "t", "members": "b"}], made
    )
    assert sorted(branch["g"].members) == ["a", "b"]


def test_what_else_differs_is_no_membership_and_is_refused():
    rows = [{"idnumber": "g", "title": "t", "members": {"a"}}, {"idnumber": "g", "title": "u", "members": {"b"}}]
    with pytest.raises(DuplicateError, match="row 2: idnumber 'g' is already at row 1, and they differ in title"):
        loaded(rows)


def test_two_rows_without_memberships_are_twice_even_if_they_are_the_same():
    with pytest.raises(DuplicateError, match="row 2: idnumber '1' is already at row 1: remove one"):
        loaded([{"idnumber": "1", "name": "a"}] * 2)


def test_a_source_and_a_destination_never_share_a_container():
    rows = [{"idnumber": "g", "members": {"a"}, "order": ["x"]}]
    one, other = loaded(rows), loaded(rows)
    one["g"].members.add("b")
    one["g"].order.append("y")
    assert (other["g"].members, other["g"].order) == ({"a"}, ["x"])
    assert rows == [{"idnumber": "g", "members": {"a"}, "order": ["x"]}]


# Duplicates ---------------------------------------------------------------------------------------------------------


class Deciding(Collecting):
    decide = None

    def resolve_duplicate(self, existing, row):
        return type(self).decide(dict(existing), dict(row))


def deciding(function):
    return type("Deciding", (Deciding,), {"decide": staticmethod(function)})


TWICE = [
    {"idnumber": "1", "name": "a", "grade": 1},
    {"idnumber": "2", "name": "b"},
    {"idnumber": "1", "name": "c", "grade": 3},
]


@pytest.mark.parametrize("object_class", [Object, Pupil])
@pytest.mark.parametrize(
    ("decide", "name"),
    [
        (lambda existing, row: existing, "a"),
        (lambda existing, row: row, "c"),
        (lambda existing, row: {**existing, "name": existing["name"] + row["name"]}, "ac"),
    ],
)
def test_a_duplicate_is_decided(decide, name, object_class):
    branch = loaded(deciding(decide)(TWICE), object_class)
    assert (branch["1"].name, len(branch)) == (name, 2)
    assert branch.imported.ok
    branch._check()


def test_undecided_it_is_a_bad_row():
    branch = loaded(deciding(lambda existing, row: None)(TWICE))
    assert branch["1"].name == "a"
    (bad,) = branch.imported.bad_rows
    assert isinstance(bad, DuplicateError)
    assert (bad.where, bad.first) == ("row 3", "row 1")


def test_the_decision_must_be_of_the_same_idnumber():
    with pytest.raises(IdnumberError, match="resolve_duplicate gave '9' for two rows of '1'"):
        loaded(
            type("Stopping", (deciding(lambda existing, row: {**row, "idnumber": "9"}),), {"on_bad_row": "stop"})(TWICE)
        )


def test_a_decision_that_raises_is_a_bad_row_with_its_place():
    def fail(existing, row):
        raise LookupError("which one?")

    branch = loaded(deciding(fail)(TWICE))
    (bad,) = branch.imported.bad_rows
    assert bad.where == "row 3"
    assert "LookupError: which one?" in str(bad)


# Classes that do more -----------------------------------------------------------------------------------------------


def test_validators_and_own_converters_are_called_and_blame_their_row():
    def positive(instance, attribute, value):
        if value < 1:
            raise ValueError(f"{attribute.name} must be positive")

    class Room(Object):
        seats: int = attrs.field(validator=positive)
        name: str = attrs.field(converter=str.upper, default="x")

    branch = loaded([{"idnumber": "1", "seats": "3", "name": "a"}], Room)
    assert (branch["1"].seats, branch["1"].name) == (3, "A")
    with pytest.raises(RowError, match="row 2: ValueError: seats must be positive"):
        loaded([{"idnumber": "1", "seats": 3}, {"idnumber": "2", "seats": 0}], Room)


def test_a_post_init_is_called():
    class Named(Object):
        name: str
        _shown: str = ""

        def __attrs_post_init__(self):
            self._shown = f"<{self.name}>"

    assert loaded([{"idnumber": "1", "name": "a"}], Named)["1"]._shown == "<a>"


def test_a_literal_names_what_is_allowed():
    class Person(Object):
        role: Literal["staff", "pupil"]

    with pytest.raises(ConversionError, match=r"role: .*'boss'"):
        loaded([{"idnumber": "1", "role": "boss"}], Person)


# Adding by hand -----------------------------------------------------------------------------------------------------


def test_new_converts_and_checks_as_an_import_does():
    branch = loaded([{"idnumber": "1", "name": "a"}], Pupil)
    added = branch.new("2", name="b", grade="7")
    assert (added.grade, branch["2"]) == (7, added)
    with pytest.raises(ImporterError, match="idnumber '1' is there already"):
        branch.new("1", name="x")
    with pytest.raises(ConversionError, match="grade"):
        branch.new("3", name="b", grade="x")
    with pytest.raises(ColumnError, match="Pupil has no 'shoe'"):
        branch.new("3", name="b", shoe=1)
    assert list(branch) == ["1", "2"]
    branch._check()


@given(
    st.permutations(
        [{"idnumber": "g", "name": "G", "members": {"a"}}, {"idnumber": "g", "members": {"b"}}, {"idnumber": "g"}]
    )
)
def test_rows_of_one_thing_are_united_in_any_order(rows):
    (item,) = (+Branch(Object, importer=rows)).values()
    assert (item.name, item.members) == ("G", {"a", "b"})


class Point(Object):
    _identifiers = ("x", "y")
    x: float
    y: float


@pytest.mark.parametrize("y", [math.nan, "nan"])
def test_no_part_of_an_idnumber_is_nan(y):
    with pytest.raises(IdnumberError, match="row 3: y is NaN"):
        loaded([{"x": 1.0, "y": 1.0}, {"x": 1.0, "y": 2.0}, {"x": 1.0, "y": y}], Point)


def test_a_number_of_another_library_is_no_idnumber_if_it_is_nan():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(IdnumberError, match="row 2: idnumber is NaN"):
        loaded([{"idnumber": numpy.float32(1)}, {"idnumber": numpy.float32("nan")}])
