"""Taking many actions into memory at once: the same as taking in one after the other."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, ComparisonError, Object, Tree
from datastoresync.diffing.side import Side


class Plain(Object):
    name: str
    grade: int | None = None
    tags: tuple[str, ...] = ()


class Mutable(Object):
    name: str
    notes: dict | None = None


class Wide(Object):
    _identifiers = ("code", "year")
    code: str
    year: int
    name: str


class Computed(Object):
    _attributes = ("name", "upper", "label")
    name: str

    @property
    def upper(self):
        return self.name.upper()

    @property
    def label(self):
        return self.name

    @label.setter
    def label(self, value):
        self.name = value.lower()


class OpenComputed(Object, open_class=True):
    @property
    def upper(self):
        return self.name.upper()


keys = st.sampled_from("abcdefgh")
names = st.sampled_from(["x", "y", "Z"])
ROWS = {
    Plain: st.fixed_dictionaries({"idnumber": keys, "name": names, "grade": st.none() | st.integers(0, 2)}),
    Mutable: st.fixed_dictionaries({"idnumber": keys, "name": names, "notes": st.dictionaries(names, names)}),
    Wide: st.fixed_dictionaries({"code": keys, "year": st.integers(1, 3), "name": names}),
    Computed: st.fixed_dictionaries({"idnumber": keys, "name": names}),
    OpenComputed: st.fixed_dictionaries({"idnumber": keys, "name": names}),
    Object: st.fixed_dictionaries({"idnumber": keys, "name": names, "more": st.none() | names}),
}


def tree(cls, rows):
    found = {tuple(row.get(name) for name in ("idnumber", "code", "year")): row for row in rows}
    return +Tree("tree", branches={"things": Branch(cls, importer=list(found.values()))})


def state(dest):
    things = dest.things
    things._check()
    contents = things.contents
    return (
        {key: repr(item) for key, item in things.items()},
        contents.overrides,
        contents.columns,
        things.side().attributes,
    )


@pytest.mark.parametrize("cls", ROWS, ids=lambda cls: cls.__name__)
@given(st.data())
def test_together_is_as_one_by_one(cls, data):
    some = st.lists(ROWS[cls], max_size=8)
    there = data.draw(some)
    one, other = tree(cls, there), tree(cls, there)
    for rows in data.draw(st.lists(some, min_size=1, max_size=2)):
        source = tree(cls, rows)
        diff, same = source - one, source - other
        for action in diff:
            diff.fold(action)
        for action in same.fold_all(same.actions):
            same.fold(action)
        assert state(one) == state(other)
        assert [one.carried_out for one in diff.branch_diffs] == [one.carried_out for one in same.branch_diffs]
        assert not source - other


@pytest.mark.parametrize("gone", [1, 3, 40, 64])
def test_few_and_many_are_taken_out_alike(gone):
    rows = [{"idnumber": f"{number * 37 % 64:02d}", "name": "x"} for number in range(64)]
    source, dest = tree(Plain, rows[gone:]), tree(Plain, rows)
    objects = dest.things.contents.objects
    before = [key for key in dict.keys(objects) if key in source.things]
    diff = source - dest
    assert list(diff.fold_all(diff.actions)) == []
    assert dest.things.contents.objects is objects
    assert list(dict.keys(objects)) == before, "in the order in which they were made"
    dest.things._check()
    assert not source - dest


def test_what_is_plain_is_left_to_nobody():
    source = tree(Plain, [{"idnumber": "a", "name": "x"}, {"idnumber": "b", "name": "y"}])
    dest = tree(Plain, [{"idnumber": "b", "name": "z"}, {"idnumber": "c", "name": "x"}])
    diff = source - dest
    kept = dest.things["b"]
    assert list(diff.fold_all(diff.actions)) == []
    assert dest.things["b"] is kept
    assert not source - dest


def test_no_two_objects_share_what_can_be_changed():
    source, dest = tree(Mutable, [{"idnumber": "a", "name": "x", "notes": {"p": "q"}}]), tree(Mutable, [])
    diff = source - dest
    assert list(diff.fold_all(diff.actions)) == []
    before = copy.deepcopy(source.things["a"].notes)
    dest.things["a"].notes["p"] = "other"
    assert source.things["a"].notes == before


def test_keys_that_cannot_be_sorted_leave_everything_as_it_was():
    source, dest = tree(Plain, [{"idnumber": "a", "name": "x"}]), tree(Object, [{"idnumber": 5, "name": "x"}])
    contents = dest.things.contents
    actions = (source - tree(Plain, [])).actions
    assert not contents.fold_all("new", actions, {"name": ["x"]})
    assert list(dest.things) == [5]
    dest.things._check()


def test_an_object_that_cannot_be_read_any_more_is_left_to_be_folded_by_itself():
    class Fragile(Object):
        _attributes = ("shown",)
        name: str

        @property
        def shown(self):
            if self.name == "broken":
                raise ValueError
            return self.name

    source, dest = tree(Fragile, [{"idnumber": "a", "name": "x"}]), tree(Fragile, [])
    diff = source - dest
    source.things["a"].name = "broken"
    assert list(diff.fold_all(diff.actions)) == list(diff)
    assert list(dest.things) == []


@given(st.lists(st.tuples(keys, names), max_size=4), st.booleans())
def test_columns_of_a_side_are_what_it_reads(pairs, overridden):
    cls = Computed
    source = tree(cls, [{"idnumber": key, "name": name} for key, name in pairs])
    items = list(source.things.values())
    own = {key: {"upper": "own"} for key in list(source.things)[:1]} if overridden else {}
    side = Side("", "", "", source.things, ("label", "name", "upper"), overrides=own)
    columns = side.columns(list(source.things), items)
    assert {name: list(column) for name, column in columns.items()} == {
        name: [side.read(item.idnumber, item, name) for item in items] for name in ("label", "name", "upper")
    }


def test_a_column_says_whose_attribute_fails():
    side = Side("tree", "things", "Plain", {}, ("name",))
    with pytest.raises(ComparisonError, match=r"tree\.things\['a'\]\.name raised AttributeError"):
        side.columns(["a"], [object()])
