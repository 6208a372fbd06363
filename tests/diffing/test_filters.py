"""Which actions a filter means, and what a mistyped one says."""

import pytest

from datastoresync import Branch, FilterError, Tree


@pytest.fixture(scope="module")
def diff():
    def tree(users, groups):
        return +Tree(branches={"users": Branch(importer=users), "groups": Branch(importer=groups)})

    source = tree(
        [{"idnumber": "1", "name": "Ann", "grade": 7}, {"idnumber": "2", "name": "Bob", "grade": 7}],
        [{"idnumber": "1", "name": "one", "members": {"1"}}],
    )
    dest = tree(
        [{"idnumber": "1", "name": "Anna", "grade": 6}, {"idnumber": "3", "name": "Cy", "grade": 7}],
        [{"idnumber": "1", "name": "eins", "members": {"3"}}],
    )
    return source - dest


METHODS = [
    "new_users",
    "update_grade",
    "update_name",
    "add_members_to_groups",
    "remove_members_from_groups",
    "update_name",
    "old_users",
]


def methods(diff):
    return [action.method for action in diff]


def test_without_a_filter_all_are_meant(diff):
    assert methods(diff) == METHODS
    assert diff.filtered() == diff


@pytest.mark.parametrize(
    ("terms", "places"),
    [
        ((), []),
        (("old",), [6]),
        (("users",), [0, 1, 2, 6]),
        ((".name",), [2, 5]),
        (("groups.name",), [5]),
        (("new", "groups.members"), [0, 3, 4]),
        ((["new", "old"],), [0, 6]),
        (({"verb": "update", "branch": "users"},), [1, 2]),
        (({"verb": ["new", "old"]},), [0, 6]),
        (({"attr": {"name", "grade"}, "idnumber": "1"},), [1, 2, 5]),
        (({},), range(7)),
        ((lambda action: action.value == "Ann",), [2]),
        ((None,), []),
        (({"idnumber": ("1", "2")},), []),
    ],
)
def test_what_a_filter_means(diff, terms, places):
    wanted = list(places)
    assert methods(diff.only(*terms)) == [METHODS[place] for place in wanted]
    assert methods(diff.exclude(*terms)) == [method for place, method in enumerate(METHODS) if place not in wanted]


def test_names_must_all_hold(diff):
    assert methods(diff.only(verb="update", branch="groups")) == ["update_name"]
    assert methods(diff.exclude(idnumber="1")) == ["new_users", "old_users"]
    assert methods(diff.only("old", verb="new")) == ["new_users", "old_users"]


def test_both_filters_one_after_the_other(diff):
    assert methods(diff.filtered("users", "old")) == ["new_users", "update_grade", "update_name"]
    assert methods(diff.filtered(exclude=["users", ".name"])) == METHODS[3:5]


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("user", "no branch or verb 'user': did you mean 'users'\\?"),
        ("delete", "no branch or verb 'delete': there are 'users', 'groups', 'new', "),
        ("olds", "no branch or verb 'olds': did you mean 'old'\\?"),
        (".nam", "no attribute 'nam': did you mean 'name'\\?"),
        ("groups.grade", "no attribute 'grade': there are 'members', 'name'"),
        ("user.name", "no branch 'user': did you mean 'users'\\?"),
        ("old.name", "no branch 'old': "),
        ({"branches": "users"}, "no filter 'branches': did you mean 'branch'\\?"),
        ({"verb": "update_name"}, "no verb 'update_name': did you mean 'update'\\?"),
        ({"branch": ["users", "group"]}, "no branch 'group': did you mean 'groups'\\?"),
        ({"attr": "Name"}, "no attr 'Name': did you mean 'name'\\?"),
        (7, "a filter is a name, a mapping, a function or several of them \\(got 7\\)"),
        (["old", ["usrs"]], "no branch or verb 'usrs': did you mean 'users'\\?"),
    ],
)
def test_a_mistyped_filter_is_refused(diff, term, message):
    with pytest.raises(FilterError, match=message):
        diff.only(term)
    with pytest.raises(FilterError, match=message):
        diff.exclude(term)


def test_a_mistyped_name_is_refused(diff):
    with pytest.raises(FilterError, match="no filter 'kind'"):
        diff.only(kind="old")


def test_an_excluded_attribute_is_shown_nowhere(diff):
    for left in (
        diff.exclude("users.name"),
        diff.exclude({"branch": "users", "attr": ["name"]}),
        -diff.exclude(".name"),
    ):
        (old,) = [action for action in left if action.verb == "old"]
        said = [left.text(lines=None), left._repr_html_(), left.to_markdown(), *map(str, left.rows_of(old))]
        assert "7" in str(said)
        assert not [one for one in said if "Bob" in one or "Cy" in one]
    assert "Bob" in diff.exclude({"attr": "name", "verb": "update"}).text(lines=None)
    assert "grade: 7, name: 'Bob'" in diff.exclude("groups.name").text(lines=None)
    assert diff.exclude("users.name")[0].source.name == "Bob"  # as it is written
