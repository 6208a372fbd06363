"""The forms of keys: what a class may declare, and that columns of values are as one by one."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.conversion.key_forms import (
    ChainedForm,
    CompositeForm,
    Forms,
    StoredForm,
    TextForm,
    chained,
    changes_nothing,
    form_of,
    formed,
    formed_column,
    formed_keys,
)

VALUES = st.one_of(
    st.none(), st.text(max_size=3), st.integers(), st.sets(st.text(max_size=2)), st.lists(st.text(max_size=2))
)
FORMS = st.sampled_from(
    [TextForm(str.casefold), TextForm(str.strip), chained(TextForm(str.lower), TextForm(str.strip))]
)


@given(FORMS, st.lists(VALUES))
def test_a_column_is_formed_as_its_values_are(form, values):
    assert list(formed_column(form, values)) == [formed(form, value) for value in values]


@given(FORMS, st.lists(st.tuples(st.text(max_size=3), st.integers())))
def test_keys_are_formed_as_each_of_them_is(form, keys):
    composite = CompositeForm((form, None))
    assert list(formed_keys(composite, keys)) == list(map(composite, keys))


def test_memberships_keep_their_type_and_none_has_no_form():
    assert formed(str.casefold, {"A", "a"}) == {"a"}
    assert formed(str.casefold, ["A", "b"]) == ["a", "b"]
    assert formed(str.casefold, frozenset({"A"})) == frozenset({"a"})
    assert formed(str.casefold, None) is None


def test_each_form_of_a_chain_is_there_once():
    assert chained(None, str.lower, str.lower) is str.lower
    assert chained(str.lower, chained(str.strip, str.lower)) == ChainedForm((str.lower, str.strip))
    assert chained(None) is None


@pytest.mark.parametrize(
    ("declared", "identifiers", "key", "expected"),
    [
        (str.casefold, ["idnumber"], "A", "a"),
        (str.casefold, ["login", "year"], ("A", 7), ("a", 7)),
        ({"login": str.casefold}, ["login", "school"], ("A", "B"), ("a", "B")),
        ({"idnumber": abs}, ["idnumber"], -1, 1),
    ],
)
def test_what_a_class_may_declare(declared, identifiers, key, expected):
    assert Forms(form_of(declared, identifiers)).key(key) == expected


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("casefold", "must be a function of one value such as str.casefold"),
        ({"login": "lower"}, r"must be a function of one value .*\(got 'lower'\)"),
        ({"logn": str.lower}, "names 'logn', which is none of the identifiers login, school"),
    ],
)
def test_what_it_may_not(declared, message):
    with pytest.raises(ValueError, match=message):
        form_of(declared, ["login", "school"])


def test_a_column_has_no_other_form_for_values_that_are_written_in_one_way():
    form = StoredForm(lambda value: str(Decimal(value)))
    assert list(formed_column(form, [7, date(2026, 1, 1)])) == [7, date(2026, 1, 1)]
    assert formed_column(form, ["7", 8]) == ["7", 8]
    assert changes_nothing(form, 7)
    assert not changes_nothing(form, "7")
    assert changes_nothing(CompositeForm((form, None)), (7, "x"))
    assert not changes_nothing(chained(form, str.lower), 7)


def test_no_forms_are_false():
    assert not Forms()
    assert not Forms((None, None))
    assert Forms((None, str.lower))
    assert Forms(attributes={"owner": str.lower})
