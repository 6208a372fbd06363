"""Where the in-memory engine looks."""

import pytest

from datastoresync import Branch, ComparisonError, Diff, Object, Template, Tree
from datastoresync.diffing.side import InMemoryEngine


def branch(rows, object_class=Object):
    return +Branch(object_class, importer=rows)


def rows(**grades):
    return [{"idnumber": key, "grade": grade} for key, grade in grades.items()]


def test_candidates_are_keys_of_one_side_and_pairs_that_differ():
    left, right = branch(rows(d=1, c=1, b=2, a=1)), branch(rows(e=1, b=1, c=1, f=1, a=2))
    found = InMemoryEngine().candidates(left.side(), right.side())
    assert (found.new, found.old, found.matched) == (["d"], ["e", "f"], 3)
    assert [key for key, _, _ in found] == ["a", "b"]
    assert list(found) == [("a", left["a"], right["a"]), ("b", left["b"], right["b"])]


def test_without_attributes_nothing_needs_a_look():
    left, right = branch([{"idnumber": "1"}]), branch([{"idnumber": "1"}])
    assert list(InMemoryEngine().candidates(left.side(), right.side())) == []


class MissingNameError(Exception):
    pass


class Named(Object):
    _first: str

    @property
    def grade(self):
        if self._first == "":
            raise MissingNameError("nothing to compute from")
        return len(self._first)


def test_a_property_that_raises_is_named():
    left = branch([{"idnumber": "1", "_first": "x"}, {"idnumber": "2", "_first": ""}], Named)
    right = branch([{"idnumber": "1", "grade": 1}, {"idnumber": "2", "grade": 1}])
    message = (
        r"Named\['2'\]\.grade raised MissingNameError: nothing to compute from; mend the data, or the property of Named"
    )
    with pytest.raises(ComparisonError, match=message) as caught:
        left - right
    assert isinstance(caught.value.__cause__, MissingNameError)
    with pytest.raises(ComparisonError, match=message):
        right - left


def test_an_object_of_an_open_class_may_lack_an_attribute():
    left = branch([{"idnumber": "1", "grade": 1}, {"idnumber": "2"}, {"idnumber": "3"}])
    right = branch([{"idnumber": "1", "grade": 1}, {"idnumber": "2", "grade": None}, {"idnumber": "3", "grade": 3}])
    (action,) = left - right
    assert (action.idnumber, action.value, action.old_value) == ("3", None, 3)


def test_the_last_column_of_an_open_class_may_be_deleted():
    left = branch([{"idnumber": "1", "grade": None}])
    right = branch([{"idnumber": "1"}, {"idnumber": "2", "grade": 2}])
    diff = left - right
    assert [action.verb for action in diff] == ["old"]
    diff.fold(diff[0])
    assert list(left - right) == []
    +right
    assert len(left - right) == 1


class Everywhere:
    """An engine that names every pair."""

    name = "everywhere"

    def candidates(self, left, right):
        found = InMemoryEngine().candidates(left, right)
        both = sorted(left.objects.keys() & right.objects.keys())
        pairs = [(key, left.objects[key], right.objects[key]) for key in both]
        return type(found)(found.new, found.old, pairs, found.matched, "it is asked to")


def test_an_engine_may_name_too_many_pairs():
    left, right = branch(rows(a=1, b=2, c=3)), branch(rows(a=1, b=3, c=3))
    sides = [(left.side(), right.side())]
    diff = Diff.between(sides, engine=Everywhere())
    assert diff == Diff.between(sides)
    assert diff.explain() == (
        "Object: everywhere engine, since it is asked to; 3 objects against 3, 3 in both, 3 of them worth a look; "
        "attributes: grade"
    )


class Odd:
    def __init__(self, answer):
        self.answer = answer

    def __eq__(self, other):
        return self.answer

    def __ne__(self, other):
        return not self.answer

    __hash__ = None


@pytest.mark.parametrize(("answer", "count"), [(True, 0), (False, 1)])
def test_values_are_asked_whether_they_are_equal(answer, count):
    left, right = branch(rows(a=Odd(answer))), branch(rows(a=1))
    assert len(left - right) == count
    assert len(right - left) == count
    assert len(left - left) == 0


class Unequal:
    def __eq__(self, other):
        raise RuntimeError

    __hash__ = None


def test_a_value_that_cannot_be_compared_makes_no_others_differ():
    odd = Unequal()  # one object on both sides is equal to itself
    words = ["a text of its own", "another one"]
    left, right = (
        branch(
            [
                {"idnumber": "1", "grade": grade, "note": odd},
                {"idnumber": "2", "grade": grade, "note": "".join(words)},
            ]
        )
        for grade in (1, 2)
    )
    assert [(action.idnumber, action.attr) for action in left - right] == [("1", "grade"), ("2", "grade")]


class Computed(Object):
    """Its domain has no setter, so what is applied to it stands before it."""

    _attributes = ("domain",)

    @property
    def domain(self):
        return self.email.partition("@")[2]


class Accepting(Template):
    def update(self, action):
        """Take it."""


def test_a_property_without_a_setter_goes_back_to_what_it_computes():
    def source(domain):
        return +Tree("source", branches={"people": Branch(importer=[{"idnumber": "1", "domain": domain}])})

    dest = +Tree("dest", branches={"people": Branch(Computed, importer=[{"idnumber": "1", "email": "ann@a.org"}])})
    for before, after in [("a.org", "b.org"), ("b.org", "a.org"), ("a.org", "b.org")]:
        diff = source(after) - dest
        assert [(action.attr, action.value, action.old_value) for action in diff] == [("domain", after, before)]
        assert [action.old_value for action in -diff] == [after]
        diff | Accepting
        assert not source(after) - dest
        assert not dest - source(after)
    gone = +Tree("source", branches={"people": Branch(importer=[{"idnumber": "2", "domain": "b.org"}])})
    assert [(action.verb, action.idnumber) for action in gone - dest] == [("new", "2"), ("old", "1")]
