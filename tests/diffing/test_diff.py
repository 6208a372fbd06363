"""The difference of two sides, as a value."""

import sys

import attrs
import pytest

from datastoresync import Action, Branch, Diff, Object, Template, TemplateError, Tree
from datastoresync.diffing.diff import template_of


def tree(name="", **branches):
    return +Tree(name, branches={one: Branch(importer=rows) for one, rows in branches.items()})


@pytest.fixture
def diff():
    source = tree("school", users=[{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}])
    dest = tree("accounts", users=[{"idnumber": "1", "name": "Anna"}, {"idnumber": "3", "name": "Cy"}])
    return source - dest


def test_a_diff_is_iterable_sized_indexable_and_true_if_anything_differs(diff):
    assert [action.verb for action in diff] == ["new", "update", "old"]
    assert len(diff) == 3
    assert diff
    assert not Diff(())
    assert diff[0].verb == "new"
    assert diff[-1].verb == "old"
    with pytest.raises(IndexError):
        diff[3]


def test_a_slice_is_a_diff_that_can_be_applied(diff):
    part = diff[1:]
    assert isinstance(part, Diff)
    assert [action.verb for action in part] == ["update", "old"]
    assert part.branch_diffs == diff.branch_diffs
    assert [action.verb for action in diff[::-1]] == ["old", "update", "new"]


def test_two_diffs_are_equal_if_their_actions_are(diff):
    same = Diff(tuple(Action(**attrs.asdict(action, recurse=False)) for action in diff))
    assert same == diff
    assert hash(same) == hash(diff)
    assert diff[:2] != diff
    assert diff != list(diff)
    assert len({diff, same}) == 1


def test_a_diff_is_frozen(diff):
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        diff.actions = ()


def test_counts_and_stat(diff):
    assert diff.counts == {"new": 1, "update": 1, "add": 0, "remove": 0, "old": 1}
    assert list(diff.counts) == ["new", "update", "add", "remove", "old"]
    assert diff.stat == "new=1 update=1 add=0 remove=0 old=1 total=3"


def test_a_diff_says_what_is_compared_and_how(diff):
    assert diff.title == "school - accounts"
    assert (-diff).title == "accounts - school"
    assert Diff(()).title == "source - dest"
    assert diff.explain() == (
        "users: memory engine, since both sides are in memory; 2 objects against 2, 1 in both, 1 of them worth a look; "
        "attributes: name"
    )
    assert Diff(()).explain() == "nothing was compared"


def test_values_of_an_action(diff):
    new, update, old = diff
    assert diff.values(new) == {"name": "Bob"}
    assert diff.values(update) == {"name": "Ann"}
    assert diff.values(old) == {"name": "Cy"}


def test_a_repr_shows_branch_by_branch_what_changes(diff):
    assert repr(diff).splitlines() == [
        "school - accounts: new=1 update=1 add=0 remove=0 old=1 total=3",
        "  users  1 new, 1 value changes, 1 deleted",
        "    + users 2  name: 'Bob'",
        "    ~ users 1  name: 'Anna' → 'Ann'",
        "    - users 3  name: 'Cy'",
    ]
    assert repr(Diff(())) == "<Diff: no differences>"


def many(count, value=None):
    return Diff(tuple(Action("update", "users", number, "name", value or number, "y") for number in range(count)))


@pytest.mark.parametrize(("count", "lines"), [(1, 3), (23, 25), (24, 25), (1000, 25)])
def test_a_repr_has_at_most_25_lines(count, lines):
    assert len(repr(many(count)).splitlines()) == lines


def test_the_repr_of_a_million_actions_is_short():
    action = Action("update", "users", "1", "name", "x" * 10_000_000, "y")
    shown = repr(Diff((action,) * 1_000_000)).splitlines()
    assert shown[0].endswith("new=0 update=1000000 add=0 remove=0 old=0 total=1000000")
    assert max(map(len, shown)) <= 100
    assert sum(map(len, shown)) < 100_000
    assert shown[-1] == "    … and 990,000 more changes"


class Rude:
    def __repr__(self):
        return "one\ntwo\x1b[31m\r"


def test_the_repr_shows_control_characters_and_keeps_its_lines():
    lines = repr(many(30, Rude())).split("\n")
    assert lines[2] == r"    ~ 30 users  name: 'y' → one\ntwo\x1b[31m\r  (0, 1, 2, 3, 4, …)"
    assert all(line.isprintable() for line in lines)


def test_a_text_is_as_long_as_it_may_be(diff):
    assert diff.text(lines=2, columns=30).count("\n") <= 1
    assert "users 1" in diff.text(lines=None)
    assert "<" in diff._repr_html_()


class Counting(Template):
    applied = 0

    def update(self, action):
        type(self).applied += 1

    new = old = update


@pytest.mark.parametrize(
    "template",
    [Counting, Counting(), "a_module_of_templates.Counting", "a_module_of_templates:Counting"],
    ids=["class", "instance", "dotted", "colon"],
)
def test_a_template_may_be_given_in_four_ways(diff, template, monkeypatch):
    monkeypatch.setitem(sys.modules, "a_module_of_templates", sys.modules[__name__])
    before = Counting.applied
    report = diff[:2] | template
    assert report.succeeded == 2
    assert Counting.applied == before + 2


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("nothing", "'nothing' is no import string: write 'package.module.Template'"),
        ("no_such_module.Template", "'no_such_module.Template' leads nowhere: No module named 'no_such_module'"),
        ("datastoresync.Templat", "'datastoresync.Templat' leads nowhere: .*has no attribute 'Templat'"),
        (Object, "Object is no template: make it a subclass of datastoresync.Template"),
        (7, r"a template, its class or its import string goes right of `\|` \(got 7\)"),
    ],
)
def test_what_is_no_template_is_refused(diff, template, message):
    with pytest.raises(TemplateError, match=message):
        diff | template
    with pytest.raises(TemplateError, match=message):
        template_of(template)


@pytest.mark.parametrize("other", [Counting, Tree(), 5])
def test_a_diff_is_not_shifted(diff, other):
    with pytest.raises(TypeError, match=r"a diff is applied with `\|`: source - dest \| Template, or source >> dest"):
        diff >> other


@pytest.mark.parametrize("other", [Counting, Tree(), 5])
def test_a_diff_is_not_previewed_once_more(diff, other):
    with pytest.raises(TypeError, match=r"source - dest shows what differs, and source > dest what dest must do"):
        diff > other


@pytest.mark.parametrize(
    "operation", [lambda one: one - 5, lambda one: 5 - one, lambda one: one > one, lambda one: +one]
)
def test_other_operators_are_refused(diff, operation):
    with pytest.raises(TypeError):
        operation(diff)


class Parent(Object):
    _references = {"head": "people"}


class Person(Object):
    _references = {"house": "houses"}


class Town(Object):
    _children = {"houses": "town"}


def test_parents_are_created_first_and_deleted_last():
    class Forward(Tree):
        people = Branch(Person, importer=lambda: [{"idnumber": "p", "house": "h"}])
        houses = Branch(Object, importer=lambda: [{"idnumber": "h", "town": "t"}])
        towns = Branch(Town, importer=lambda: [{"idnumber": "t"}])

    full, empty = +Forward(), Forward()
    assert [action.branch for action in full - empty] == ["towns", "houses", "people"]
    assert [action.branch for action in empty - full] == ["people", "houses", "towns"]


def test_a_circle_of_references_is_broken():
    class Circle(Tree):
        people = Branch(Person, importer=lambda: [{"idnumber": "p", "house": "h"}])
        houses = Branch(Parent, importer=lambda: [{"idnumber": "h", "head": "p"}])

    full, empty = +Circle(), Circle()
    assert [action.branch for action in full - empty] == ["houses", "people"]
    assert -(full - empty) == empty - full


def test_trees_may_declare_their_branches_in_another_order():
    rows = [{"idnumber": "1"}]
    names = ["users", "groups", "teams"]
    one, other = tree(**dict.fromkeys(names, rows)), tree(**dict.fromkeys(names[::-1], ()))
    assert -(one - other) == other - one
    assert [action.branch for action in tree(**dict.fromkeys(names, rows)) - tree(**dict.fromkeys(names, ()))] == names


def test_a_member_that_a_list_holds_twice_is_removed_for_a_set():
    source, dest = (
        tree(groups=[{"idnumber": "1", "members": set()}]),
        tree(groups=[{"idnumber": "1", "members": [7, 7]}]),
    )
    diff = source - dest
    assert [action.verb for action in diff] == ["remove"]
    diff.fold(diff[0])
    assert dest.groups["1"].members == []
    assert not source - dest


def test_a_member_that_a_list_holds_twice_is_removed_once_for_a_list():
    source, dest = (tree(groups=[{"idnumber": "1", "members": members}]) for members in ([7], [7, 7]))
    diff = source - dest
    diff.fold(diff[0])
    assert dest.groups["1"].members == [7]
