"""What is a document, whose lists have an order and whose scalars a type, and what is a membership."""

from __future__ import annotations

from typing import Any

import pytest

from datastoresync import Branch, Object, Tree


class Document(Object):
    value: Any


class Several(Object):
    value: dict | list | str | None


class Members(Object):
    value: list[Any]


class Tags(Object):
    value: set[str]


def verbs(left, right, *classes):
    sides = zip((left, right), classes * (2 // len(classes)), strict=True)
    trees = [
        +Tree("t", branches={"x": Branch(cls, importer=lambda value=value: [{"idnumber": "1", "value": value}])})
        for value, cls in sides
    ]
    found = [action.verb for action in trees[0] - trees[1]]
    assert len(found) == len(-(trees[0] - trees[1]))
    return found


@pytest.mark.parametrize("classes", [(Document,), (Several,), (Object,), (Object, Document)])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"steps": ["a", "b"]}, {"steps": ["b", "a"]}),
        ({"active": True}, {"active": 1}),
        ({"a": {"b": [0]}}, {"a": {"b": [False]}}),
        ({"a": None}, {}),
        ({"a": 1}, [1]),
        ({"a": []}, {"a": {}}),
    ],
)
def test_inside_a_document_order_and_types_count(left, right, classes):
    assert verbs(left, right, *classes) == ["update"]
    assert verbs(left, left, *classes) == []


@pytest.mark.parametrize("classes", [(Document,), (Several,), (Object, Document)])
@pytest.mark.parametrize(
    ("left", "right"), [(["a", "b"], ["b", "a"]), ([True], [1]), ([], ["a"]), ([["a", 1]], [["a"]])]
)
def test_a_list_that_is_not_declared_is_a_document(left, right, classes):
    assert verbs(left, right, *classes) == ["update"]
    assert verbs(left, list(left), *classes) == []


@pytest.mark.parametrize("classes", [(Members,), (Object,), (Members, Document)])
def test_a_declared_list_and_one_of_an_open_class_is_a_membership(classes):
    assert verbs(["a", "b"], ["b", "a"], *classes) == []
    assert verbs(["a", "c"], ["b", "a"], *classes) == ["add", "remove"]
    assert verbs([{"a": [1, 2]}], [{"a": [2, 1]}], *classes) == ["add", "remove"]
    assert verbs([["a", "b"]], [["b", "a"]], *classes) == ["add", "remove"]


def test_a_set_is_a_membership():
    assert verbs(["a", "b"], ["c", "b"], Tags) == ["add", "remove"]
    assert verbs({"a"}, {"b"}, Document) == ["add", "remove"]
