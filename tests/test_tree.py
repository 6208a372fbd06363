"""One system: its branches, their order, and the operators."""

import pytest
from strategies import NO_LIMITS, WholeAttributes

from datastoresync import (
    Branch,
    CircularOrderError,
    DeclarationError,
    FilterError,
    Importer,
    ImporterError,
    Object,
    Report,
    SafeguardError,
    SchemaMismatchError,
    Template,
    Tree,
)
from datastoresync.syncers import JSONSyncer


def rows(*keys):
    return [{"idnumber": key} for key in keys]


class Source(Tree):
    users = Branch(Object, importer=lambda: rows("1", "2"))


class Dest(Tree):
    users = Branch(Object, importer=lambda: rows("1"))
    template = WholeAttributes


# --- declaring --------------------------------------------------------------------------------------------------


def test_each_tree_has_branches_of_its_own():
    one, other = +Source(), Source()
    assert len(one.users) == 2
    assert len(other.users) == len(Source.users) == 0
    one.users.new("3")
    +other
    assert (len(one.users), len(other.users)) == (3, 2)
    assert one.users.tree is one
    assert Source.users.tree is None
    assert one.users["1"].__branch__ is one.users


def test_an_importer_given_as_an_instance_is_not_shared():
    class Remembering(Importer):
        def read(self):
            self.seen = self.tree
            return rows("1")

    importer = Remembering()
    one, other = (Tree(name, branches={"users": Branch(importer=importer)}) for name in "ab")
    +one
    +other
    assert not hasattr(importer, "seen")
    assert one.users.imported.branch == "a.users"
    assert other.users.imported.branch == "b.users"


def test_subclasses_inherit_and_replace_branches():
    class More(Source):
        groups = Branch(Object, importer=lambda: rows("g"))

    class Other(More):
        users = Branch(Object, importer=lambda: rows("9"))

    assert list(More()) == ["users", "groups"]
    assert list((+Other()).users) == ["9"]
    assert list(Source()) == ["users"]


def test_an_init_without_super_is_enough():
    class Own(Source):
        def __init__(self, path, *, encoding="utf-8"):
            self.path = path

    tree = +Own("somewhere", encoding="ascii")
    assert (tree.path, len(tree.users), tree.name) == ("somewhere", 2, "Own")
    assert [action.verb for action in tree - +Dest()] == ["new"]
    assert Own("elsewhere").users is not tree.users


@pytest.mark.parametrize("name", ["load", "diff", "branches", "template", "text"])
def test_a_branch_cannot_take_a_name_of_the_tree_s(name):
    with pytest.raises(DeclarationError, match=rf"Wrong\.{name}: a tree has something of that name itself"):
        type("Wrong", (Tree,), {name: Branch()})
    with pytest.raises(DeclarationError, match=f"'{name}' cannot be the name of a branch of Tree: it is taken"):
        Tree(branches={name: Branch()})


@pytest.mark.parametrize("name", ["a b", "1", "", "users"])
def test_a_tree_grows_by_identifiers_that_are_not_taken(name):
    with pytest.raises(DeclarationError, match="cannot be the name of a branch of Source: it is taken, or not an ide"):
        Source().grow(name)


def test_a_tree_is_a_mapping():
    tree = +Source("school")
    tree.grow("groups")
    assert list(tree) == ["users", "groups"]
    assert len(tree) == 2
    assert tree["users"] is tree.users
    assert "users" in tree
    assert "staff" not in tree
    assert tree.get("staff") is None
    assert dict(tree.items()) == {"users": tree.users, "groups": tree.groups}
    with pytest.raises(KeyError) as caught:
        tree["staff"]
    assert caught.value.args == ("no branch 'staff' in school: there are users, groups",)
    with pytest.raises(AttributeError, match="staff"):
        tree.staff
    assert Tree()
    assert Tree() != Tree()


def test_an_idnumber_is_found_in_all_branches():
    tree = +Source(branches={"groups": Branch(importer=rows("2", "3")), "_raw": Branch(importer=rows("2"))})
    assert tree.find("2") == {"users": tree.users["2"], "groups": tree.groups["2"], "_raw": tree["_raw"]["2"]}
    assert tree.find("9") == {}


# --- importing --------------------------------------------------------------------------------------------------


def recording(order, *, fails=False, **settings):
    class Recording(Importer):
        after = settings.get("after", ())

        def read(self):
            order.append(self.branch.name)
            yield {"idnumber": str(len(order))}
            if fails:
                raise OSError("the line was cut")

    return Recording()


def test_branches_are_imported_after_those_they_are_derived_from():
    order = []
    tree = Tree(
        branches={
            "c": Branch(importer=recording(order, after=("b", "a"))),
            "b": Branch(importer=recording(order, after=("a",))),
            "a": Branch(importer=recording(order)),
            "z": Branch(),
        }
    )
    +tree
    assert order == ["a", "b", "c"]


def test_a_circle_is_drawn_and_nothing_is_imported():
    order = []
    names = {"a": "b", "b": "c", "c": "a"}
    tree = Tree("school", branches={n: Branch(importer=recording(order, after=(o,))) for n, o in names.items()})
    with pytest.raises(CircularOrderError, match="branches of school wait for each other: a → b → c → a") as caught:
        +tree
    assert caught.value.circle == ("a", "b", "c", "a")
    assert order == []


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("users", r"school\.a: after must be a tuple: \('users',\)"),
        (("users",), r"school\.a is after 'users', which is"),
    ],
)
def test_a_wrong_after_is_refused(after, message):
    tree = Tree("school", branches={"a": Branch(importer=recording([], after=after))})
    with pytest.raises(DeclarationError, match=message):
        +tree


@pytest.mark.parametrize("failing", ["a", "b"])
def test_a_branch_that_fails_leaves_all_as_they_were(failing):
    order = []
    tree = Tree(branches={name: Branch(importer=recording(order)) for name in "ab"})
    +tree
    held = {name: dict(branch) for name, branch in tree.items()}
    reports = [branch.imported for branch in tree.values()]
    tree[failing].importer = recording(order, fails=True)
    with pytest.raises(OSError, match="the line was cut"):
        +tree
    assert {name: dict(branch) for name, branch in tree.items()} == held
    assert [branch.imported for branch in tree.values()] == reports
    for branch in tree.values():
        branch._check()


def test_an_error_names_its_branch():
    tree = Tree("school", branches={"users": Branch(importer=[{"idnumber": ""}])})
    with pytest.raises(
        ImporterError, match=r"^school\.users: row 1: idnumber is '': every row needs an idnumber; write `def keep"
    ):
        +tree


# --- the operators ----------------------------------------------------------------------------------------------


def test_underscore_branches_are_not_compared():
    class Feeding(Source):
        _raw = Branch(Object, importer=lambda: rows("1"))

    assert Feeding().branches == ["users"]
    assert [action.method for action in +Feeding() - +Dest()] == ["new_users"]
    assert len((+Feeding())["_raw"]) == 1


def test_both_trees_must_have_the_same_branches():
    class More(Source):
        groups = Branch()

    with pytest.raises(SchemaMismatchError) as caught:
        More("school") - Dest("accounts", branches={"teams": Branch()})
    assert str(caught.value) == (
        "the two trees cannot be compared:\n"
        "  - school has a branch 'groups', accounts does not: declare it there, or call it _groups if it only feeds "
        "others\n"
        "  - accounts has a branch 'teams', school does not: declare it there, or call it _teams if it only feeds "
        "others"
    )


def test_shifting_applies_and_folds():
    source, dest = +Source(), +Dest()
    report = source >> dest
    assert isinstance(report, Report)
    assert report.succeeded == 1
    assert list(dest.users) == ["1", "2"]
    assert dest.sync_from(source).planned == 0


def test_options_go_through():
    source, dest = +Source(), +Dest()
    assert source.sync_to(dest, mock=True).mock
    assert len(dest.users) == 1
    assert source.sync_to(dest, only="old").planned == 0
    assert source.sync_to(dest, exclude="new").planned == 0
    with pytest.raises(FilterError, match="no branch or verb 'user'"):
        source.sync_to(dest, only="user")
    with pytest.raises(SafeguardError, match=r"Source\.users is empty"):
        Source() >> dest
    assert Source().sync_to(dest, limits=type(NO_LIMITS)(empty="users", deletions=1)).succeeded == 1


def test_a_tree_without_a_template_says_what_to_do():
    with pytest.raises(
        DeclarationError,
        match=r"Source has no template, no syncer, and no objects with create.* or `template = …` in Source",
    ):
        +Dest() >> +Source()


@pytest.mark.parametrize("template", [WholeAttributes, WholeAttributes(), "strategies.WholeAttributes"])
def test_a_template_may_be_given_to_one_tree(template):
    dest = +Dest(template=template)
    assert (+Source() >> dest).ok


class Applier:
    def apply(self, diff):
        return "applied"


SLIPS = {
    "tree | Template": (
        lambda a, b: a | Template,
        r"`>` binds less tightly than `\|`: write \(source > dest\) \| Templa",
    ),
    "tree > tree | Template": (
        lambda a, b: a > b | Template,
        r"write \(source > dest\) \| Template, or source - dest \|",
    ),
    "-tree": (lambda a, b: -a, r"a tree has no minus: the diff that undoes another is -\(source - dest\)"),
    "tree - branch": (lambda a, b: a - b.users, "a tree and a branch cannot be compared: write S.users - D.users"),
    "tree > branch": (lambda a, b: a > b.users, "cannot be compared: write S.users > D.users"),
    "tree >> branch": (lambda a, b: a >> b.users, "cannot be compared: write S.users >> D.users"),
    "tree - Tree": (lambda a, b: a - Dest, r"Dest is a class: write S - Dest\(\)"),
    "tree > Tree": (lambda a, b: a > Dest, r"Dest is a class: write S > Dest\(\)"),
    "tree >> Tree": (lambda a, b: a >> Dest, r"Dest is a class: write S >> Dest\(\)"),
    "tree >> Template": (lambda a, b: a >> Template, r"a template goes behind `\|`: write S - dest \| Template"),
    "tree >> template": (lambda a, b: a >> Template(), r"a template goes behind `\|`: write S - dest \| Template"),
    "tree > applier": (lambda a, b: a > Applier(), r"a template goes behind `\|`"),
    "tree > tree > tree": (lambda a, b: a > b > a, "a preview is neither true nor false"),
    "tree - 5": (lambda a, b: a - 5, "unsupported operand"),
    "5 - tree": (lambda a, b: 5 - a, "unsupported operand"),
    "tree > 5": (lambda a, b: a > 5, "not supported between"),
    "tree >> 5": (lambda a, b: a >> 5, "unsupported operand"),
    "5 >> tree": (lambda a, b: 5 >> a, "unsupported operand"),
    "tree - {}": (lambda a, b: a - {}, "unsupported operand"),
    "tree >> tree | Template": (lambda a, b: a >> b | Template, r"`>` binds less tightly|has applied this already"),
}


@pytest.mark.parametrize(("operation", "message"), SLIPS.values(), ids=SLIPS)
def test_slips_are_refused_with_the_right_expression(operation, message):
    source, dest = +Source("S"), +Dest("D")
    with pytest.raises(TypeError, match=message):
        operation(source, dest)


def test_a_subclass_on_the_right_makes_no_difference(capsys):
    class Sub(Source):
        template = WholeAttributes

    assert (+Source() > Sub()).stat == "new=2 update=0 add=0 remove=0 old=0 total=2"
    assert [action.verb for action in +Source() - Sub()] == ["new", "new"]
    assert (+Source() >> +Sub(branches={})).planned == 0
    with pytest.raises(SafeguardError, match=r"Sub\.users was never imported"):
        +Source() >> Sub()


def test_how_a_tree_looks():
    tree = +Source("school", branches={"groups": Branch()})
    assert repr(tree) == "<Tree school: users 2, groups 0>"
    assert repr(Tree()) == "<Tree Tree: no branches>"
    assert tree.text().splitlines()[0] == "school  2 objects"
    assert "groups" in tree._repr_html_()


def test_an_empty_table_of_a_store_is_an_empty_branch(tmp_path):
    store = JSONSyncer(tmp_path)
    store.dump("users", data=[])
    tree = +Tree("stored", syncer=store, branches={"users": Branch()})
    assert (len(tree.users), tree.users.imported.rows) == (0, 0)
    source = +Tree("source", branches={"users": Branch(importer=[{"idnumber": "1", "name": "Ann"}])})
    assert (source >> tree).ok
    assert store.load("users") == [{"idnumber": "1", "name": "Ann"}]
