"""What a database would take along with deleted rows: shown before, and held against the limits."""

import attrs
import pytest

from datastoresync import Branch, DeclarationError, Flags, Limits, Link, Object, SafeguardError, Table, Template, Tree
from datastoresync.applying.side_effects import SideEffect
from datastoresync.syncers.changes import Outcome


@attrs.frozen
class Cascade:
    table: str
    effect: str
    rows: int
    parent: str
    total: int | None = None


class User(Object):
    name: str = "x"
    _kept: bool = False

    @property
    def _flags(self):
        return Flags(ignore=True) if self._kept else None


class Group(Object):
    _references = {"members": "users", "owner": "users"}
    members: set[str] = set()
    owner: str | None = None


class Store:
    """Foresees what it was told, and does nothing."""

    def __init__(self, *cascades, users=20, groups=()):
        self.found = cascades
        self.records = {
            "users": [{"idnumber": f"{number:02}"} for number in range(users)],
            "public.groups": list(groups),
        }
        self.asked = []
        self.applied = 0

    def load(self, identifier):
        return self.records[identifier]

    def read(self, table, attributes, *, identifiers):
        return self.records[table.name]

    def dump(self, identifier, *, data):
        raise AssertionError

    def cascades(self, changes, tables):
        self.asked.append(([(change.verb, change.table.name, change.key) for change in changes], tables))
        return list(self.found)

    def apply_changes(self, changes, *, same, options=None):
        self.applied += 1
        return [Outcome("done") for _ in changes]


GROUPS = Table("public.groups", links={"members": Link("group_members", "group", "user")})


def trees(store, keep, **declared):
    dest = +Tree(
        "dest", syncer=store, branches={"users": Branch(User), "groups": Branch(Group, table=GROUPS)}, **declared
    )
    rows = [{"idnumber": key} for key in dest.users if int(key) < keep]
    groups = Branch(Group, importer=[{"idnumber": key} for key in dest.groups])
    return +Tree("source", branches={"users": Branch(User, importer=rows), "groups": groups}), dest


@pytest.mark.parametrize("alone", [False, True])
def test_a_preview_shows_what_goes_along_and_asks_only_if_something_is_deleted(capsys, alone):
    store = Store(Cascade("orders", "deleted", 1, "users", 100), Cascade("visits", "set to NULL", 2, "users", 100))
    source, dest = trees(store, 18)
    preview = source.users > dest.users if alone else source > dest
    shown = capsys.readouterr().out.splitlines()
    assert shown[2:4] == [
        "  warning: orders: 1 row would be deleted along with users",
        "  warning: visits: 2 rows would have their references to users set to NULL",
    ]
    assert preview.refused == ()
    assert "orders: 1 row" in preview.text()
    ((changes, tables),) = store.asked
    assert changes == [("delete", "users", ("18",)), ("delete", "users", ("19",))]
    assert tables == [Table("users"), GROUPS]
    assert not (dest > dest).side_effects
    assert len(store.asked) == 1


def refused(store, keep=18, limits=None):
    """Return the sentences, which are the same of a preview, a mock run and a run."""
    source, dest = trees(store, keep)
    preview = source.preview(dest, limits=limits)
    for keywords in ({}, {"mock": True}):
        if preview.refused:
            with pytest.raises(SafeguardError) as caught:
                source.sync_to(dest, limits=limits, **keywords)
            assert caught.value.violations == preview.refused
        else:
            assert source.sync_to(dest, limits=limits, **keywords).ok
    assert store.applied == (not preview.refused)
    return list(preview.refused)


@pytest.mark.parametrize("rows", [20, 21])
def test_what_goes_along_outside_of_the_tree_has_a_limit_of_its_own(rows):
    cascades = (Cascade("orders", "deleted", 5, "users", 100), Cascade("orders", "set to NULL", rows - 5, "x", 100))
    sentence = (
        "orders: 21 rows deleted or changed along with others, over the limit of 20% of 100, which is 20: look at the "
        "source; if that is meant, raise it for this run with limits=Limits(cascades=21)"
    )
    assert refused(Store(*cascades)) == [sentence] * (rows == 21)


@pytest.mark.parametrize(
    ("rows", "total", "limit", "ok"),
    [
        (2, 4, 0.2, True),
        (3, 4, 0.2, False),
        (3, 4, 3, True),
        (4, 4, 0.99, False),
        (4, 4, 1.0, True),
        (1, 100, 0, False),
        (1, None, 0.2, False),
        (1, None, 1, True),
        (9, None, 1.0, True),
    ],
)
def test_a_share_of_few_rows_is_half_of_them_and_never_all(rows, total, limit, ok):
    found = refused(Store(Cascade("orders", "deleted", rows, "users", total)), limits=Limits(cascades=limit))
    assert bool(found) != ok


def test_what_goes_along_inside_of_the_tree_counts_as_what_it_is():
    groups = [{"idnumber": f"g{number}", "members": set()} for number in range(20)]

    def found(*cascades, keep=18):
        return [one.partition(",")[0] for one in refused(Store(*cascades, groups=groups), keep)]

    assert found(Cascade("users", "deleted", 3, "users")) == []
    assert found(Cascade("users", "deleted", 4, "users")) == ["dest.users: 6 deletions"]
    assert found(Cascade("groups", "deleted", 5, "users")) == []
    assert found(Cascade("groups", "deleted", 6, "users")) == ["dest.groups: 6 deletions"]
    assert found(Cascade("public.groups", "set to NULL", 10, "users")) == []
    assert found(Cascade("public.groups", "set to NULL", 11, "users")) == ["dest.groups: 11 updates"]
    assert found(Cascade("group_members", "deleted", 5, "users")) == []
    assert found(Cascade("public.group_members", "deleted", 6, "users")) == ["dest.groups: 6 removals"]


def test_what_is_kept_takes_nothing_along():
    groups = [{"idnumber": "g", "owner": "19"}]
    store = Store(Cascade("orders", "deleted", 1, "users", 100), groups=groups)
    source, dest = trees(store, 18)
    source.groups.remove("g")
    preview = source.preview(dest, exclude="groups")
    assert store.asked[0][0] == [("delete", "users", ("18",))]
    assert [one.action.idnumber for one in preview.left_out] == ["19"]


def test_the_store_hears_of_what_refers_to_something_else_by_then():
    store = Store(groups=[{"idnumber": "g", "owner": "19", "members": {"18", "01"}}, {"idnumber": "h"}])
    source, dest = trees(store, 18)
    source.groups["g"].owner = "01"
    source.groups["g"].members = {"01", "02"}
    source.groups.new("new")
    assert source.preview(dest).side_effects == []
    assert sorted(store.asked[0][0]) == [
        ("delete", "users", ("18",)),
        ("delete", "users", ("19",)),
        ("unlink", "public.groups", ("g",)),
        ("update", "public.groups", ("g",)),
    ]


def test_a_preview_says_what_would_be_left_out(capsys):
    source, dest = trees(Store(groups=[{"idnumber": "g"}]), 20)
    source.users.new("new")
    source.groups["g"].members = {"new", "01"}
    source.preview(dest, exclude={"verb": "new"})
    what = "~ groups g  members: +'new'"
    assert f"would be left out: {what}: users 'new' is not created in this run" in capsys.readouterr().out


def test_a_template_has_no_such_effects():
    store = Store(Cascade("orders", "deleted", 1, "users"))
    source, dest = trees(store, 18, template=Template)
    assert source.preview(dest).side_effects == ()
    assert source.sync_to(dest).unhandled == 2
    assert store.asked == []


def test_it_is_a_count_or_a_share():
    with pytest.raises(DeclarationError, match="cascades is a count"):
        Limits(cascades=-1)


@pytest.mark.parametrize(
    ("table", "branch"),
    [("users", "users"), ("public.users", "users"), ("groups", "groups"), ("other.groups", ""), ("user", "")],
)
def test_a_table_is_that_of_a_branch_with_or_without_its_schema(table, branch):
    tables = {"users": Table("users"), "groups": GROUPS}
    assert SideEffect.of(Cascade(table, "deleted", 1, "x"), tables).branch == branch
