"""Misspelt names of hooks, settings and references: each is refused where it is declared, or where it can be known."""

import pytest

from datastoresync import (
    Branch,
    CSVImporter,
    DeclarationError,
    Importer,
    Limits,
    Link,
    Object,
    Reporter,
    Table,
    Template,
    Tree,
)
from datastoresync.spelling import distance, misspelt
from datastoresync.syncers.files.csv import CSVSyncer


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("udpate", "update"),
        ("resolve_duplicates", "resolve_duplicate"),
        ("finish", "finished"),
        ("_identifers", "_identifiers"),
        ("topLevel", "top_level"),
    ],
)
def test_a_slip_is_found(name, right):
    assert misspelt(name, ["new", "end", right]) == right


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("send", "end"),
        ("update_rate", "update_name"),
        ("update_state", "update_status"),
        ("add_numbers", "add_members"),
        ("new_session", "new_users"),
        ("old_value_of", "old_values"),
        ("keys", "keep"),
        ("", "keep"),
    ],
)
def test_another_word_is_none(name, other):
    assert misspelt(name, [other]) == ""
    assert misspelt(name, []) == ""


def test_the_distance_is_one_of_letters_and_neighbours():
    pairs = [("", "abc"), ("abc", ""), ("abc", "acb"), ("kitten", "sitting")]
    assert [distance(*pair) for pair in pairs] == [3, 3, 1, 3]


# Classes -------------------------------------------------------------------------------------------------------------


def method(count):
    return [lambda self: None, lambda self, one: True, lambda self, one, two: None][count]


@pytest.mark.parametrize(
    ("base", "name", "value", "right"),
    [
        (Importer, "kepe", method(1), "keep"),
        (Importer, "prepair", method(1), "prepare"),
        (Importer, "prepares", method(1), "prepare"),
        (Importer, "resolve_duplicates", method(2), "resolve_duplicate"),
        (Importer, "finnished", method(0), "finished"),
        (Importer, "on_finished", method(0), "finished"),
        (Importer, "raed", method(0), "read"),
        (Importer, "aftr", ("users",), "after"),
        (Importer, "on_bad_rows", "collect", "on_bad_row"),
        (CSVImporter, "delimeter", ";", "delimiter"),
        (CSVImporter, "perpare", method(1), "prepare"),
        (Reporter, "strat", method(1), "start"),
        (Reporter, "results", method(1), "result"),
        (Reporter, "on_end", method(1), "end"),
        (Template, "on_eror", "stop", "on_error"),
        (Template, "curent", method(1), "current"),
        (Template, "concurency", 3, "concurrency"),
        (Template, "reporter", (), "reporters"),
        (Template, "leave_out", ("old",), "leaves_out"),
        (Tree, "tempalte", Template(), "template"),
        (Tree, "enigne", "memory", "engine"),
        (Tree, "limit", Limits(), "limits"),
        (Tree, "top_levels", ("users",), "top_level"),
        (Tree, "sycner", object(), "syncer"),
        (Object, "_identifers", ("name",), "_identifiers"),
        (Object, "_refrences", {"members": "users"}, "_references"),
        (Object, "_attribute", ("name",), "_attributes"),
        (Object, "_childern", {"users": "members"}, "_children"),
        (Object, "_sensitve", ("name",), "_sensitive"),
        (Object, "_flag", None, "_flags"),
        (Object, "_kye", str.casefold, "_key"),
        (Object, "_actve", "active", "_active"),
    ],
)
def test_a_misspelt_member_is_refused_when_the_class_is_declared(base, name, value, right):
    with pytest.raises(DeclarationError, match=rf"Mine\.{name}\b.*did you mean '{right}'\?"):
        type(base)("Mine", (base,), {name: value, "__annotations__": {}})

    class Mixin:
        pass

    setattr(Mixin, name, value)
    with pytest.raises(DeclarationError, match=f"did you mean '{right}'"):
        type(base)("Mine", (Mixin, base), {})


async def later(self, one):
    pass


def yielding(self, one):
    yield one


@pytest.mark.parametrize(
    ("base", "name", "value", "message"),
    [
        (Importer, "keep", later, "Mine.keep is async, and nothing awaits it"),
        (Importer, "keep", yielding, "Mine.keep has a yield"),
        (Importer, "keep", bool, "Mine.keep is a class"),
        (
            Importer,
            "resolve_duplicate",
            method(1),
            r"Mine.resolve_duplicate cannot be called with 3 arguments: it is \(",
        ),
        (
            CSVImporter,
            "prepare",
            staticmethod(lambda: None),
            r"Mine.prepare cannot be called with 1 argument: it is \(\)",
        ),
        (Reporter, "end", later, "Mine.end is async"),
        (Reporter, "result", method(0), r"Mine.result cannot be called with 2 arguments: it is \(self\)"),
    ],
)
def test_a_hook_that_cannot_do_anything_is_refused_when_the_class_is_declared(base, name, value, message):
    with pytest.raises(DeclarationError, match=message):
        type("Mine", (base,), {name: value})


@pytest.mark.parametrize(
    ("base", "members"),
    [
        (Importer, {"keys": method(1), "ready": False, "keep_all": method(1), "rows": (), "finish": method(2)}),
        (Importer, {"keep": method(1), "keeps": method(1)}),
        (Importer, {"read": lambda self: (yield), "keep": staticmethod(lambda row: True), "prepare": dict.copy}),
        (Importer, {"prepared": property(method(0)), "after": ("users",), "afters": 3}),
        (Reporter, {"send": method(1), "add": method(1), "starts": method(0), "end": method(1), "ends": method(1)}),
        (Template, {"errors": [], "report": None, "current": later}),
        (Tree, {"names": ("a", "b"), "engines": Branch(), "describe": method(0), "templates": Branch()}),
        (Object, {"_prefix": "x", "_children_of": method(1), "_reference": property(method(0)), "_names": ()}),
    ],
)
def test_other_members_are_the_user_s_own(base, members):
    assert type(base)("Mine", (base,), members)


def test_a_column_may_nearly_be_called_like_a_setting():
    class User(Object):
        _identifier: str = ""
        _reference: str | None
        name: str

    assert User(idnumber="1", name="Ann", _reference="r")._reference == "r"
    with pytest.raises(DeclarationError, match="did you mean '_identifiers'"):

        class Other(Object):
            _identifers: tuple[str, ...] = ("name",)
            name: str


# What settings name --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"_references": {"member": "users"}}, "Group._references names 'member', .* did you mean 'members'"),
        ({"_attributes": ("membres",)}, "Group._attributes names 'membres', .* did you mean 'members'"),
        ({"_references": ("members",)}, "Group._references must be a mapping from a field to the one branch"),
        ({"_references": {"members": ("users", "groups")}}, "Group._references must be a mapping"),
        ({"_children": {"users": ("members",)}}, "Group._children must be a mapping from a branch to a field"),
        ({"_attributes": "members"}, r"must be a tuple of names, such as \('members',\)"),
    ],
)
def test_settings_name_what_the_class_has(settings, message):
    with pytest.raises(DeclarationError, match=message):
        type(Object)("Group", (Object,), {"__annotations__": {"members": set[str]}, **settings})


@pytest.mark.parametrize("setting", ["_references", "_attributes"])
def test_an_open_class_is_held_against_its_columns(setting):
    class Group(Object):
        pass

    setattr(Group, setting, {"member": "users"} if setting == "_references" else ("member",))
    rows = [{"idnumber": "g", "members": {"1"}}]
    tree = Tree("t", branches={"users": Branch(), "groups": Branch(Group, importer=rows)})
    with pytest.raises(DeclarationError, match=r"names 'member', .* did you mean 'members'"):
        +tree


def references(**settings):
    class Group(Object):
        members: set[str] = set()

    for name, value in settings.items():
        setattr(Group, name, value)
    return Branch(Group, importer=[])


@pytest.mark.parametrize("settings", [{"_references": {"members": "usres"}}, {"_children": {"usres": "members"}}])
@pytest.mark.parametrize(
    "touch", [lambda tree: +tree, lambda tree: +tree.groups, lambda tree: tree - tree], ids=["tree", "branch", "diff"]
)
def test_settings_name_branches_that_are_there(settings, touch):
    tree = Tree("t", branches={"users": Branch(), "groups": references(**settings)})
    with pytest.raises(DeclarationError, match=r"t\.groups .* 'usres', which is no branch of t: did you mean 'users'"):
        touch(tree)


def test_children_are_held_by_a_field_that_is_there():
    class User(Object):
        name: str

    class Group(Object):
        _children = {"users": "membres"}
        members: set[str] = set()

    tree = Tree("t", branches={"users": Branch(User, importer=[]), "groups": Branch(Group, importer=[])})
    with pytest.raises(DeclarationError, match=r"by 'membres', which neither Group nor User has: .* 'members'"):
        +tree


@pytest.mark.parametrize(
    "table",
    [Table("t", columns={"nmae": "NAME"}), Table("t", links={"membres": Link("m", owner="group", member="user")})],
)
def test_a_table_has_columns_of_attributes_that_are_there(table):
    class Group(Object):
        name: str
        members: set[str] = set()

    with pytest.raises(DeclarationError, match=r"did you mean '(name|members)'"):
        Branch(Group, table=table)
    assert Branch(Object, table=table) is not None
    assert Branch(Group, table=Table("t", columns={"name": "NMAE", "legacy": "LEGACY"})) is not None


def test_an_importer_comes_after_branches_that_are_there():
    class Late(Importer):
        after = ("usres",)

    tree = Tree("t", branches={"users": Branch(), "groups": Branch(importer=Late())})
    with pytest.raises(DeclarationError, match=r"t\.groups is after 'usres', .* did you mean 'users'"):
        +tree


class Folder:
    name = "folder"

    def load(self, identifier):
        return [{"idnumber": "1"}]

    def dump(self, identifier, *, data):
        raise AssertionError


@pytest.mark.parametrize(
    ("name", "method", "right"),
    [
        ("aply_changes", lambda self, changes, *, same, options=None: [], "apply_changes"),
        ("upsret", lambda self, identifier, *, data, key: None, "upsert"),
        ("raed", lambda self, table, attributes, *, identifiers: [], "read"),
        ("appends", lambda self, identifier, **options: None, "append"),
    ],
)
def test_a_store_that_can_do_more_spells_that_right(name, method, right):
    syncer = type("Store", (Folder,), {name: method})()
    tree = +Tree("t", syncer=syncer, branches={"users": Branch()})
    with pytest.raises(DeclarationError, match=f"a Store has a {name}, which nothing calls: did you mean '{right}'"):
        tree.applier()


def test_a_store_may_have_helpers():
    class Store(Folder):
        reads = 3

        def ready(self): ...
        def updated(self, row): ...
        def normalize(self, value): ...

    assert Tree("t", syncer=Store(), branches={"users": Branch()}).applier() is not None


# Settings in the bodies of classes, which are looked at --------------------------------------------------------------


def test_a_tree_has_the_name_and_the_syncer_of_its_class(tmp_path):
    (tmp_path / "users.csv").write_text("idnumber\n1\n")

    class Source(Tree):
        name = "SIS"
        syncer = CSVSyncer(tmp_path)
        users = Branch()

    assert list((+Source()).users) == ["1"]
    assert (Source().name, Source("other").name) == ("SIS", "other")
    assert Source(syncer=None).syncer is Source.syncer


def test_a_subclass_of_an_importer_has_defaults_of_its_own(tmp_path):
    (tmp_path / "users.csv").write_text("idnumber;name\n1;Ann\n1;Bob\n")

    class Semicolons(CSVImporter):
        delimiter = ";"
        on_bad_row = "collect"

    class Users(Semicolons):
        files = tmp_path / "users.csv"

    for importer in (Semicolons(tmp_path / "users.csv"), Users()):
        users = +Branch(importer=importer)
        assert (users["1"].name, len(users.imported.bad_rows)) == ("Ann", 1)
    assert Semicolons("x.csv", delimiter="|").delimiter == "|"


@pytest.mark.parametrize(
    "call",
    [
        lambda: Branch(Object, enigne="memory"),
        lambda: Tree("t", tempalte=Template),
        lambda: CSVImporter("users.csv", delimeter=";"),
        lambda: Limits(deletion=3),
        lambda: Tree("a").diff(Tree("b"), onyl="new"),
        lambda: Tree("a").sync_to(Tree("b", template=Template), mok=True),
        lambda: Template().apply(Tree("a") - Tree("a"), limit=None),
    ],
)
def test_a_misspelt_argument_is_a_type_error(call):
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        call()


def test_a_misspelt_engine_is_refused():
    with pytest.raises(DeclarationError, match="engine is one of"):
        +Branch(Object, importer=[{"idnumber": "1"}], engine="memroy")
