"""What refuses a run as a whole: limits at their edges, empty and incomplete sources, references to nothing."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync import (
    Branch,
    DatastoreSyncError,
    DeclarationError,
    Diff,
    Importer,
    Limits,
    Object,
    Preview,
    SafeguardError,
    Template,
    Tree,
)
from datastoresync.applying.safeguards import violations


class Recorder(Template):
    def __init__(self):
        super().__init__()
        self.calls = []

    def new(self, action):
        self.calls.append(action.message)

    update = add_members = remove_members = old = new


def tree(name, **branches):
    return +Tree(
        name,
        branches={
            key: Branch(*rows) if isinstance(rows, tuple) else Branch(importer=rows) for key, rows in branches.items()
        },
    )


def users(count, **attributes):
    return [{"idnumber": number, **attributes} for number in range(count)]


def refused(diff, limits=None, match=None):
    """Assert that a diff is refused, that nothing was called, and that the preview says the same; return the error."""
    template = Recorder()
    before = list(diff)
    with pytest.raises(SafeguardError, match=match) as caught:
        template.apply(diff, limits=limits)
    assert template.calls == []
    assert list(diff) == before
    assert Preview.of(diff, limits=limits).refused == caught.value.violations
    assert str(caught.value).startswith("refused, and nothing was changed:\n  - ")
    assert all(sentence in str(caught.value) for sentence in caught.value.violations)
    return caught.value


def allowed(diff, limits=None):
    template = Recorder()
    assert Preview.of(diff, limits=limits).refused == ()
    report = template.apply(diff, limits=limits)
    assert report.succeeded == len(diff) == len(template.calls)


def most(limit, size):
    """Say again, in other words, how many objects a limit allows."""
    return limit if isinstance(limit, int) else max(5, math.ceil(limit * size))


def most_deletions(limit, size):
    """Say the same of deletions: a share never means all, and of a few at most half."""
    if isinstance(limit, int) or limit == 1:
        return size if limit == 1.0 and isinstance(limit, float) else limit
    return min(max(min(5, size // 2), math.ceil(limit * size)), size - 1)


# Each limit at its edge ---------------------------------------------------------------------------------------------

SIZES = [1, 5, 6, 10, 25, 26, 99, 100, 101, 250]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("limit", [None, 0, 3, 20, 0.0, 0.05, 0.2, 0.5, 1.0])
def test_deletions_at_the_edge(size, limit):
    limits = None if limit is None else Limits(deletions=limit)
    edge = most_deletions(0.2 if limit is None else limit, size)
    dest = tree("dest", users=users(size))
    if edge < size:
        allowed(tree("source", users=users(size - edge)) - dest, limits)
    dest = tree("dest", users=users(size))
    if edge + 1 < size:
        error = refused(
            tree("source", users=users(size - edge - 1)) - dest,
            limits,
            match=r"dest\.users: [\d,]+ deletions?, over the limit",
        )
        assert f"{edge + 1:,} deletion" in str(error)
        assert f"limits=Limits(deletions={edge + 1})" in str(error)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("limit", [None, 0, 3, 20, 0.0, 0.05, 0.5, 1.0])
def test_updates_at_the_edge(size, limit):
    limits = None if limit is None else Limits(updates=limit)
    edge = most(0.5 if limit is None else limit, size)

    def changed(count):
        rows = [{"idnumber": n, "name": "new" if n < count else "old", "mail": n < count} for n in range(size)]
        return tree("source", users=rows) - tree("dest", users=users(size, name="old", mail=False))

    if edge <= size:
        allowed(changed(edge), limits)
    if edge < size:
        error = refused(changed(edge + 1), limits, match=r"dest\.users: [\d,]+ updates?, over the limit")
        assert f"{edge + 1:,} update" in str(error), "two attributes of one object are one update"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("limit", [None, 0, 3, 20, 0.0, 0.05, 0.5, 1.0])
def test_removals_at_the_edge(size, limit):
    limits = Limits(updates=10_000) if limit is None else Limits(removals=limit, updates=10_000)
    edge = most(0.5 if limit is None else limit, size)

    def smaller(count):
        # The name is no member, and does not count as one.
        source = tree("source", groups=[{"idnumber": "g", "name": "g", "members": set(range(count, size))}])
        return source - tree("dest", groups=[{"idnumber": "g", "name": "g", "members": set(range(size))}])

    if edge <= size:
        allowed(smaller(edge), limits)
    if edge < size:
        error = refused(smaller(edge + 1), limits, match=r"dest\.groups: [\d,]+ removals?, over the limit")
        assert f"Limits(removals={edge + 1})" in str(error)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("limit", [None, 0, 3, 30, 0.0, 0.05, 1.0])
def test_creations_at_the_edge(size, limit):
    limits = None if limit is None else Limits(creations=limit)
    edge = limit if isinstance(limit, int) else max(20, math.ceil((0.5 if limit is None else limit) * size))

    def created(count):
        return tree("source", users=users(size + count)) - tree("dest", users=users(size))

    allowed(created(edge), limits)
    error = refused(created(edge + 1), limits, match=r"dest\.users: [\d,]+ creations?, over the limit")
    assert f"limits=Limits(creations={edge + 1})" in str(error)


def test_a_first_load_is_let_through_into_an_empty_branch_and_into_a_filled_one_by_name():
    allowed(tree("source", users=users(500)) - tree("dest", users=[]))
    diff = tree("source", users=users(500)) - tree("dest", users=users(10))
    (said,) = refused(
        diff, match="over the limit of 50% of 10, and at least 20: .* raise it .* of a first load"
    ).violations
    assert said.endswith("limits=Limits(first_load=['users'])")
    assert said.on_command_line.endswith(
        "--allow-creations 490; of a first load, allow it with --allow-first-load users"
    )
    allowed(diff, Limits(first_load="users"))


def test_of_a_few_not_all_may_go():
    diff = tree("source", users=users(2)[1:]) - tree("dest", users=users(1))
    refused(diff, match="1 deletion, over the limit of 20% of 1, and never all, so 0:")


def test_an_inverse_is_measured_against_its_own_destination():
    source, dest = tree("source", users=users(100)), tree("dest", users=users(30))
    allowed(source - dest, Limits(creations=70))
    source, dest = tree("source", users=users(100)), tree("dest", users=users(30))
    refused(-(source - dest), match="source.users: 70 deletions, over the limit of 20% of 100, which is 20:")


def test_a_limit_is_of_each_branch():
    source = tree("source", users=users(80), groups=users(80))
    dest = tree("dest", users=users(100), groups=users(100))
    allowed(source - dest)


def test_all_reasons_are_named_at_once():
    source = tree("source", users=users(5, name="new"), groups=users(50, name="x"))
    dest = tree("dest", users=users(100, name="old"), groups=users(50, name="y"))
    error = refused(source - dest)
    assert len(error.violations) == 2
    assert "dest.users: 95 deletions" in error.violations[0]
    assert "dest.groups: 50 updates" in error.violations[1]


def test_what_the_message_says_lets_the_run_through():
    source, dest = tree("source", users=users(50)), tree("dest", users=users(100))
    refused(source - dest, match=r"limits=Limits\(deletions=50\)")
    allowed(source - dest, Limits(deletions=50))
    later, other = tree("source", users=users(50)), tree("dest", users=users(100))
    refused(later - other)


def test_a_filter_leaves_out_what_would_be_refused():
    source, dest = tree("source", users=users(10)), tree("dest", users=users(100))
    source.users.new(1000)
    template = Recorder()
    report = template.apply(source - dest, exclude="old")
    assert template.calls == ["new_users(idnumber=1000)"]
    assert report.ok


def test_what_a_template_leaves_out_counts_for_no_limit():
    class Additive(Template):
        leaves_out = ("old_users",)

        def new(self, action):
            pass

    class Deleting(Additive):
        leaves_out = ("update",)
        old = Additive.new

    source, dest = tree("source", users=users(10)), tree("dest", users=users(100))
    for template in (Additive, Additive()):
        dest.template = template
        assert (source > dest).refused == (source.users > dest.users).refused == ()
        report = source >> dest
        assert (report.skipped, report.ok) == (90, True)
    dest.template = Deleting
    assert (source > dest).refused
    with pytest.raises(SafeguardError, match="90 deletions"):
        source >> dest
    source, dest = tree("source", users=users(100)), tree("dest", users=users(10))
    with pytest.raises(SafeguardError, match="90 creations"):
        source - dest | Additive


def test_sync_to_and_the_operators_refuse_alike(capsys):
    source, dest = tree("source", users=users(10)), tree("dest", users=users(100))
    dest.template = template = Recorder()
    for run in (lambda: source >> dest, lambda: source.users >> dest.users, lambda: dest.sync_from(source)):
        with pytest.raises(SafeguardError, match=r"dest.users: 90 deletions"):
            run()
    with pytest.raises(SafeguardError):
        (source > dest) | template
    assert "would be refused: dest.users: 90 deletions" in capsys.readouterr().out
    assert template.calls == []
    assert source.sync_to(dest, limits=Limits(deletions=90)).succeeded == 90


# An empty source ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 100])
@pytest.mark.parametrize("limits", [None, Limits(deletions=1.0), Limits(deletions=1000)])
def test_an_empty_source_deletes_nothing_whatever_the_limit(count, limits):
    source, dest = tree("source", users=[]), tree("dest", users=users(count))
    error = refused(source - dest, limits, match="source.users is empty, and")
    assert "look at what it reads first; only if it is meant to be empty" in str(error)
    assert "limits=Limits(empty=['users'])" in str(error)


@pytest.mark.parametrize("empty", ["users", ["users"], ("users", "groups"), {"users"}])
def test_an_empty_source_is_allowed_by_name_for_one_run(empty):
    allowed(tree("source", users=[]) - tree("dest", users=users(50)), Limits(empty=empty, deletions=50))


def test_an_empty_source_that_is_allowed_still_has_a_limit():
    diff = tree("source", users=[]) - tree("dest", users=users(50))
    refused(diff, Limits(empty="users"), match="50 deletions, over the limit of 20% of 50, which is 10")


def test_a_source_that_was_never_imported_is_empty():
    source = Tree("source", branches={"users": Branch(importer=users(3))})
    refused(source - tree("dest", users=users(3)), match="import the source first")


# Rejected rows ------------------------------------------------------------------------------------------------------


class Patient(Importer):
    on_bad_row = "collect"

    def __init__(self, rows):
        self.rows = rows

    def read(self):
        return self.rows


class FromUsers(Importer):
    after = ("users",)

    def read(self):
        for user in self.tree.users.values():
            yield {"idnumber": "all", "members": {user.idnumber}}


def rejecting(with_groups=False):
    rows = [*users(50), {"idnumber": None}, {"idnumber": ""}]
    groups = {"groups": (Object, FromUsers)} if with_groups else {}
    branches = {
        "users": Branch(importer=Patient(rows)),
        **{name: Branch(cls, importer=i) for name, (cls, i) in groups.items()},
    }
    return +Tree("source", branches=branches)


def test_after_rows_were_refused_nothing_is_deleted():
    diff = rejecting() - tree("dest", users=users(51))
    error = refused(
        diff, Limits(deletions=1000), match="nothing may be deleted, since 2 rows of source.users could not be read"
    )
    assert "exclude=['old', 'remove']" in str(error)


def test_after_rows_were_refused_creations_and_updates_go_on():
    dest = tree("dest", users=users(52))
    report = Recorder().apply(rejecting() - dest, exclude=["old", "remove"])
    assert report.ok
    allowed(rejecting() - tree("dest", users=users(40)))


def test_nor_is_anything_removed_in_a_branch_that_was_derived():
    dest = tree("dest", users=users(50), groups=[{"idnumber": "all", "members": set(range(51))}])
    refused(
        rejecting(with_groups=True) - dest,
        match="nothing may be deleted, since 2 rows of source.groups could not be read",
    )


# References ---------------------------------------------------------------------------------------------------------


class Group(Object):
    members: set[int]
    owner: int | None = None
    _references = {"members": "users", "owner": "users"}


class User(Object):
    idnumber: int


def with_groups(name, count, *groups):
    return +Tree(
        name,
        branches={"users": Branch(User, importer=users(count)), "groups": Branch(Group, importer=list(groups))},
    )


@pytest.mark.parametrize(
    ("group", "there", "message"),
    [
        ({"members": {1, 77}}, None, "groups.members refers to users that the source does not have: 77 of 'g'"),
        ({"members": {77}}, {"members": set()}, "77 of 'g': mend the data"),
        ({"members": set(), "owner": 78}, None, "groups.owner refers to users .* 78 of 'g'"),
        ({"members": set(), "owner": 78}, {"members": set(), "owner": 1}, r"limits=Limits\(dangling=1\)"),
    ],
)
def test_a_reference_to_nothing_is_refused(group, there, message):
    source = with_groups("source", 5, {"idnumber": "g", **group})
    dest = with_groups("dest", 5, *([{"idnumber": "g", **there}] if there is not None else []))
    refused(source - dest, match=message)
    allowed(source - dest, Limits(dangling=1))


def test_references_that_are_there_already_or_to_none_are_no_reason():
    source = with_groups("source", 5, {"idnumber": "g", "members": {1, 77}, "owner": None})
    allowed(source - with_groups("dest", 5, {"idnumber": "g", "members": {77}, "owner": 3}))


@given(st.integers(0, 9), st.integers(0, 9))
@settings(deadline=None)
def test_dangling_references_are_counted_and_the_first_are_named(count, limit):
    source = with_groups("source", 3, {"idnumber": "g", "members": {1, *range(100, 100 + count)}})
    diff = source - with_groups("dest", 3)
    if count <= limit:
        allowed(diff, Limits(dangling=limit))
    else:
        error = refused(diff, Limits(dangling=limit))
        assert str(error).count(" of 'g'") == min(count, 5)
        assert (f"and {count - 5} more" in str(error)) == (count > 5)


# What a limit may be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deletions", "updates", "removals", "dangling"])
@pytest.mark.parametrize("value", [-1, -0.1, 1.1, True, False, "20%", None, float("nan"), float("inf")])
def test_what_is_no_limit_is_refused(name, value):
    with pytest.raises(DeclarationError, match=f"{name} is a count such as"):
        Limits(**{name: value})


def test_a_share_of_references_has_no_meaning():
    with pytest.raises(DeclarationError, match=r"dangling is a count such as 3 .got 0.5"):
        Limits(dangling=0.5)


def test_limits_are_named_and_frozen():
    with pytest.raises(TypeError):
        Limits(500)
    with pytest.raises(AttributeError):
        Limits().deletions = 1000


def test_a_refusal_carries_its_reasons():
    diff = tree("source", users=users(10)) - tree("dest", users=users(100))
    error = refused(diff)
    assert isinstance(error, (RuntimeError, DatastoreSyncError))
    assert len(error.violations) == 1


def test_what_the_destination_could_not_read_is_not_created_again():
    class Half(Importer):
        on_bad_row = "collect"

        def read(self):
            return [{"idnumber": "1", "name": "Ann"}, {"idnumber": "", "name": "Bob"}]

    source = +Branch(Object, importer=[{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}])
    dest = +Branch(Object, importer=Half)
    (sentence,) = violations(source - dest)
    assert "nothing may be created, since 1 row of it could not be read" in sentence
    assert violations((source - dest).exclude("new")) == ()


def test_parts_of_one_diff_count_together():
    source, dest = tree("source", users=users(1)), tree("dest", users=users(100))
    diff = (source - dest).only("old")
    assert (diff[:20] | Deaf()).succeeded == 20
    with pytest.raises(SafeguardError, match="40 deletions, over the limit of 20%"):
        diff[20:40] | Deaf()


class Deaf(Template):
    def old(self, action):
        pass

    update = new = old


def test_a_membership_replaced_by_nothing_counts_its_members():
    source = +Branch(Object, importer=[{"idnumber": "g", "members": None}])
    dest = +Branch(Object, importer=[{"idnumber": "g", "members": set(map(str, range(1000)))}])
    (sentence,) = violations(source - dest)
    assert "1,000 removals, over the limit" in sentence


def test_a_preview_keeps_its_limits():
    source, dest = tree("source", users=users(50)), tree("dest", users=users(100))
    diff = source - dest
    assert (Preview.of(diff, limits=Limits(deletions=50)) | Deaf).succeeded == 50


def test_actions_of_no_comparison_are_refused_before_any_call():
    diff = tree("source", users=users(2)) - tree("dest", users=users(1))
    with pytest.raises(SafeguardError, match="its actions come from no comparison"):
        Diff(tuple(diff)) | Deaf


@pytest.mark.parametrize("size", [1, 9, 100])
def test_all_may_be_deleted_only_if_all_is_said(size):
    def emptied():
        return tree("source", users=[]) - tree("dest", users=users(size))

    allowed(emptied(), Limits(empty="users", deletions=1.0))
    refused(emptied(), Limits(empty="users", deletions=0.99), match=r"dest\.users: [\d,]+ deletions?, over the limit")
