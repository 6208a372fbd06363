"""The first datastoresync's interface, a test for each sentence that is known of it."""

import datetime
import json
import sys
import types
from decimal import Decimal

import attrs
import pytest

from datastoresync import (
    ColumnError,
    DeclarationError,
    DuplicateError,
    ImporterError,
    Limits,
    MalformedFileError,
    SafeguardError,
)
from datastoresync.vocabularies.dss import Base, DataStoreTree, DefaultImporter, DefaultTemplate
from datastoresync.vocabularies.dss.branch import Branch
from datastoresync.vocabularies.dss.templates import Actions

PEOPLE = [
    {"idnumber": "11111", "_lastfirst": "Name, Old", "_department": "students"},
    {"idnumber": "22222", "_lastfirst": "User, New", "_department": "students"},
]


# The source: as its first user would write it ------------------------------------------------------------------------


class SourceBranch(Base):
    pass


class PeopleImporter(DefaultImporter):
    def reader(self):
        yield from PEOPLE


class GroupsImporter:
    """A plain class with ``readin``, which makes the objects itself."""

    def readin(self, branch):
        for user in branch.tree.users.get_objects():
            group = branch.get(user._department)
            if group is None:
                group = branch.make(user._department, members=[])
            group.members.append(user.idnumber)


class users(SourceBranch):  # noqa: N801 - the branch's name
    _importer = PeopleImporter

    @property
    def name(self):
        last, first = self._lastfirst.split(", ")
        return f"{first} {last}"

    @classmethod
    def in_department(cls, department):
        return cls.find_many_with_callback(lambda user: user._department == department)

    domain_ = "example.org"


class SourceGroups(SourceBranch):
    _branchname = "groups"
    _importer = f"{__name__}.GroupsImporter"


class SourceTree(DataStoreTree):
    _branches = f"{__name__}.SourceBranch"


# The destination ------------------------------------------------------------------------------------------------------


class DestBranch(Base):
    pass


class Account(Base):
    """A model that is no branch itself."""


class DestUsers(DestBranch):
    _branchname = "users"
    _klass = f"{__name__}.Account"
    _importer = [{"idnumber": "11111", "name": "New Name"}]


class DestGroups(DestBranch):
    _branchname = "groups"
    _importer = [{"idnumber": "students", "members": ["11111"]}]


class Accounts:
    """A plain class of methods."""

    def __init__(self):
        self.calls = []

    def new_users(self, action):
        self.calls.append((action.func_name, action.message, action.idnumber, action.source.name, action.dest))

    def update_name(self, action):
        self.calls.append((action.func_name, action.idnumber, action.attribute, action.value, action.old_value))

    def add_members_to_groups(self, action):
        self.calls.append((action.func_name, action.attribute, action.value))


class DestTree(DataStoreTree):
    _branches = [DestBranch]
    _template = f"{__name__}.Accounts"


@pytest.fixture
def trees():
    return +SourceTree(), +DestTree()


# Trees and branches ---------------------------------------------------------------------------------------------------


def test_every_subclass_in_the_module_is_a_branch_by_its_branchname_or_its_own(trees):
    source, dest = trees
    assert (source.branches, dest.branches) == (["users", "groups"], ["users", "groups"])
    assert isinstance(source.users, Branch)
    assert type(source.users["11111"]) is users
    assert type(dest.users["11111"]) is Account


def test_a_branch_has_the_methods_of_a_store_s_branch(trees):
    source, _ = trees
    branch = source.users
    assert branch.get("11111").name == "Old Name"
    assert branch.get("nobody") is None
    assert list(branch.keys()) == ["11111", "22222"]
    assert [user.name for user in branch.values()] == ["Old Name", "New User"]
    assert [(key, user.idnumber) for key, user in branch.items()] == [("11111", "11111"), ("22222", "22222")]
    assert branch.get_objects() == list(branch.values())
    made = branch.make("11112", _lastfirst="Third, A", _department="staff")
    assert branch.get("11112") is made
    assert branch.get_from_attribute("name", "A Third") is made
    assert branch.get_from_attribute(attr="name", value="Nobody") is None
    assert branch.find_one_with_callback(lambda user: user.name.startswith("New")).idnumber == "22222"
    assert branch.find_one_with_callback(lambda user: False) is None
    found = branch.find_many_with_callback(lambda user: user._department == "students")
    assert [user.idnumber for user in found] == ["11111", "22222"]
    assert branch.keys_startswith("1111") == ["11111", "11112"]
    branch.del_key("11112")
    assert "11112" not in branch
    with pytest.raises(KeyError, match=r"no '11112' in SourceTree\.users"):
        branch.del_key("11112")
    with pytest.raises(ImporterError, match="'11111' is there already"):
        branch.make("11111")


def test_what_the_class_has_the_branch_has_and_class_methods_look_into_this_tree(trees):
    source, _ = trees
    assert source.users.in_department("students") == source.users.get_objects()
    assert SourceTree().users.in_department("students") == []
    assert source.users.domain_ == "example.org"
    for name in ("in_departmant", "name_", "_lastfirst"):
        with pytest.raises(AttributeError, match=name):
            getattr(source.users, name)


def test_a_model_is_made_of_its_idnumber_and_attributes():
    user = users("7", _lastfirst="B, A", age=3)
    assert (user.idnumber, user.name, user.age) == ("7", "A B", 3)
    assert repr(user) == "users(idnumber='7', age=3, name='A B')"


def test_the_store_is_the_tree_s_and_not_one_for_the_process(trees):
    source, _ = trees
    other = SourceTree()
    assert (len(source.users), len(other.users)) == (2, 0)
    other.users.make("1", _lastfirst="a, b", _department="c")
    assert "1" not in source.users


def test_an_import_replaces_and_derives_branches_in_the_order_of_their_module(trees):
    source, _ = trees
    assert source.groups["students"].members == ["11111", "22222"]
    assert +source is source
    assert (len(source.users), source.groups["students"].members) == (2, ["11111", "22222"])
    assert source.groups.imported.objects == 1


def test_do_import_imports_at_once():
    assert len(SourceTree(do_import=True).users) == 2
    assert len(SourceTree(True).users) == 2
    assert len(SourceTree().users) == 0


def test_minus_empties_a_tree(trees):
    source, dest = trees
    assert -source is source
    assert [len(branch) for branch in source.values()] == [0, 0]
    with pytest.raises(SafeguardError, match="empty"):
        source >> dest
    assert len((+source).users) == 2


# Differences ----------------------------------------------------------------------------------------------------------


def test_a_difference_gives_actions_with_the_old_names(trees):
    source, dest = trees
    actions = source - dest
    assert isinstance(actions, Actions)
    assert len(actions) == 3
    new, update, add = actions
    assert next(actions) == new
    assert (new.func_name, new.message, new.idnumber) == ("new_users", "new_users(idnumber='22222')", "22222")
    assert new.source is source.users["22222"]
    assert new.dest is None
    assert (update.func_name, update.attribute, update.value, update.old_value) == (
        "update_name",
        "name",
        "Old Name",
        "New Name",
    )
    assert update.message == "update_name(idnumber='11111', attr='name', value='Old Name')"
    assert update.dest is dest.users["11111"]
    assert (add.func_name, add.attribute, add.value) == ("add_members_to_groups", "members", "22222")


def test_objects_and_branches_have_differences_too(trees):
    source, dest = trees
    difference = source.users["11111"] - dest.users["11111"]
    assert [action.message for action in difference] == ["update_name(idnumber='11111', attr='name', value='Old Name')"]
    assert [action.func_name for action in difference] == ["update_name"]
    assert [action.func_name for action in source.users - dest.users] == ["new_users", "update_name"]
    for left, right in ((source, 1), (source.users, 1), (source.users["11111"], 1)):
        with pytest.raises(TypeError, match="unsupported operand"):
            left - right


def test_greater_than_prints_what_changes(trees, capsys):
    source, dest = trees
    source > dest
    out = capsys.readouterr().out
    assert "~ users 11111  name: 'New Name' → 'Old Name'" in out
    assert "+ users 22222" in out
    assert "~ users 11111  name: 'New Name' → 'Old Name'" in repr(source.users["11111"] - dest.users["11111"])
    assert {"new_users(idnumber='22222')", "update_name(idnumber='11111', attr='name', value='Old Name')"} <= {
        action.message for action in source - dest
    }


def test_what_begins_or_ends_with_an_underscore_is_not_compared_and_keys_narrow_the_rest():
    class Left(Base):
        pass

    class Narrow(Base):
        _keys = ["name"]

    class One(DataStoreTree):
        pass

    def tree(model, **attributes):
        model._branchname = "users"
        made = One()
        made.grow("users", Branch(model)).make("1", **attributes)
        return made

    left = tree(Left, name="a", note_="x", _secret="y")
    assert [one.message for one in left - tree(Left, name="b", note_="z", _secret="w")] == [
        "update_name(idnumber='1', attr='name', value='a')"
    ]
    assert repr(left.users["1"]) == "Left(idnumber='1', name='a')"
    narrow = tree(Narrow, name="a", shoe=1)
    assert not list(narrow - tree(Narrow, name="a", shoe=2))
    assert Narrow._keys == ["name"]
    with pytest.raises(DeclarationError, match=r"Wrong\._keys must be a list of names, such as \['name'\]"):
        type("Wrong", (Base,), {"_keys": "name"})
    with pytest.raises(DeclarationError, match=r"names 'nmae', which is neither a field nor a property: did you mean"):
        list(tree(type("Wrong", (Base,), {"_keys": ["nmae"]}), name="a") - left)


# Templates ------------------------------------------------------------------------------------------------------------


def test_shift_goes_through_the_template_of_the_destination(trees):
    source, dest = trees
    template = Accounts()
    dest.set_template(template)
    report = source >> dest
    assert report.ok
    assert template.calls == [
        ("new_users", "new_users(idnumber='22222')", "22222", "New User", None),
        ("update_name", "11111", "name", "Old Name", "New Name"),
        ("add_members_to_groups", "members", "22222"),
    ]
    assert not list(source - dest)
    assert (source >> dest).ok
    assert len(template.calls) == 3


def test_the_template_may_be_named_in_the_class_or_set_by_its_name(trees):
    source, dest = trees
    assert (source >> dest).succeeded == 3
    other = +DestTree()
    other._template = None
    with pytest.raises(DeclarationError, match="DestTree has no template"):
        source >> other
    other.set_template(f"{__name__}.Accounts")
    assert (source >> other).succeeded == 3
    with pytest.raises(DeclarationError, match=r"has no 'Acounts': did you mean 'Accounts'\?"):
        other.set_template(f"{__name__}.Acounts")


def test_a_template_of_ours_takes_old_actions_and_may_be_piped_to(trees):
    source, dest = trees
    seen = []

    class Batched(DefaultTemplate):
        leaves_out = ("add_members",)

        def new(self, action):
            seen.append(action.func_name)

        async def update(self, action):
            seen.append(action.attribute)

    report = source - dest | Batched
    assert (report.succeeded, report.skipped, seen) == (2, 1, ["new_users", "name"])


def test_a_misspelt_method_of_a_plain_template_is_told(trees):
    source, dest = trees

    class Wrong:
        def update_nmae(self, action):
            pytest.fail("nothing calls it")

    with pytest.raises(DeclarationError, match=r"no action calls Wrong\.update_nmae: did you mean 'update_name'"):
        source - dest | Wrong


def test_limits_are_on(trees):
    source, dest = trees
    for number in range(40):
        dest.users.make(str(number), name="x")
    with pytest.raises(SafeguardError, match="40 deletions"):
        source >> dest
    dest.limits = Limits(deletions=40, creations=1.0)

    class All(Accounts):
        def old_users(self, action):
            pass

    dest.set_template(All)
    assert (source >> dest).succeeded == 43


# Importers ------------------------------------------------------------------------------------------------------------


def tree_of(importer, model=Base):
    made = DataStoreTree()
    made.grow("users", Branch(type("users", (model,), {"_importer": importer, "__module__": __name__})))
    return made


def test_readin_may_yield_rows_make_objects_or_both():
    class Both:
        def readin(self, branch):
            made = branch.make("1", name="made")
            assert branch.get("1") is made
            yield {"idnumber": "2", "name": "row"}
            made.name = "changed"

    tree = +tree_of(Both)
    assert [(key, user.name) for key, user in tree.users.items()] == [("1", "changed"), ("2", "row")]
    assert tree.users["1"].__branch__ is tree.users
    assert [user.name for user in (+tree).users.values()] == ["changed", "row"]

    class Twice:
        def readin(self, branch):
            branch.make("1")
            return [{"idnumber": "1"}]

    with pytest.raises(DuplicateError, match="idnumber '1' was made by the importer, and is in a row, too"):
        +tree_of(Twice)


def test_an_import_that_fails_leaves_what_was_there():
    class Failing:
        fails = False

        def readin(self, branch):
            branch.make("1" if not self.fails else "2")
            if self.fails:
                raise RuntimeError("the file is gone")

    importer = Failing()
    tree = +tree_of(importer)
    importer.fails = True
    for load in (tree.load, tree.users.load):
        with pytest.raises(RuntimeError, match="the file is gone"):
            load()
        assert list(tree.users) == ["1"]


def test_an_importer_knows_its_branch_and_its_tree():
    class Knowing(DefaultImporter):
        def reader(self):
            assert self.branch.tree is self.tree
            yield {"idnumber": self.branch.name}

    assert list((+tree_of(Knowing)).users) == ["users"]
    with pytest.raises(DeclarationError, match=r"DefaultImporter must define reader\(\) or readin\(branch\)"):
        +tree_of(DefaultImporter)


def test_an_importer_that_cannot_be_called_is_told():
    with pytest.raises(DeclarationError, match=r"nothing calls Wrong\.raedin: did you mean 'readin'"):
        tree_of(type("Wrong", (), {"raedin": lambda self, branch: []}))
    with pytest.raises(DeclarationError, match="the importer of users needs arguments: give an instance of Needs"):
        tree_of(type("Needs", (), {"__init__": lambda self, path: None, "reader": list}))
    with pytest.raises(DeclarationError, match="there is no module 'nowhere'"):
        tree_of("nowhere.Importer")
    with pytest.raises(DeclarationError, match=r"'Importer' names no class: write 'module\.Class'"):
        tree_of("Importer")
    with pytest.raises(ColumnError, match="no column 'idnumber'"):
        +tree_of([{"name": "a"}])


def test_a_model_with_an_init_of_its_own_is_made_by_it():
    class Own(Base):
        def __init__(self, idnumber, first, last):
            super().__init__(idnumber, name=f"{first} {last}")

    tree = +tree_of([{"idnumber": "1", "first": "Ann", "last": "Ames"}], Own)
    assert tree.users["1"].name == "Ann Ames"
    assert tree.users.make("2", first="Bob", last="Bell").name == "Bob Bell"


# The disk -------------------------------------------------------------------------------------------------------------


class Typed(Base):
    _importer = [
        {"idnumber": "1", "born": datetime.date(2001, 2, 3), "paid": Decimal("1.10"), "groups": {"a", "b"}},
        {"idnumber": "2", "_note": None, "groups": ["c"]},
    ]

    @property
    def year(self):
        return getattr(self, "born", None) and self.born.year


class OfItsOwn(Base):
    _importer = [{"idnumber": "1", "first": "Ann", "last": "Ames"}]

    def __init__(self, idnumber, first, last):
        super().__init__(idnumber, name=f"{first} {last}")


class Stored(DataStoreTree):
    def __new__(cls, *arguments, **options):
        tree = super().__new__(cls)
        tree.grow("users", Branch(Typed))
        tree.grow("people", Branch(OfItsOwn))
        return tree


@pytest.mark.parametrize("name", ["stored.json", "stored", "stored.db"])
def test_a_tree_written_at_its_import_is_read_with_all_its_types(tmp_path, name):
    path = tmp_path / name
    Stored(do_import=True, write_to_disk=path)
    (file,) = [one for one in tmp_path.rglob("*.json") if one.is_file()]
    written = json.loads(file.read_text(encoding="utf-8"))
    assert [(one["branch"], [row["idnumber"] for row in one["objects"]]) for one in written] == [
        ("users", ["1", "2"]),
        ("people", ["1"]),
    ]
    tree = Stored(read_from_disk=path)
    assert [vars(user) for user in tree.users.values()] == Typed._importer
    assert tree.users["1"].year == 2001
    assert tree.people["1"].name == "Ann Ames"
    assert tree.users["1"].__branch__ is tree.users
    assert not list(tree - Stored(True))
    with pytest.raises(DeclarationError, match="give one of them"):
        Stored(do_import=True, read_from_disk=tmp_path)


def test_what_on_the_disk_is_no_tree_is_refused_before_anything_is_replaced(tmp_path, trees):
    source, _ = trees
    path = tmp_path / "tree.json"
    source.write_to_disk(path)
    whole = json.loads(path.read_text(encoding="utf-8"))
    del whole[0]["objects"][1]["idnumber"]
    path.write_text(json.dumps(whole) + "\n", encoding="utf-8")
    with pytest.raises(ImporterError, match=r"tree\.json.*record 2 of users is no users"):
        source.read_from_disk(path)
    path.write_text(json.dumps(whole[1:]) + "\n", encoding="utf-8")
    with pytest.raises(ImporterError, match="it has the branches groups, and SourceTree users, groups"):
        source.read_from_disk(path)
    with pytest.raises(ImporterError, match="nowhere: there is nothing to read: write it with write_to_disk"):
        source.read_from_disk(tmp_path / "nowhere")
    (tmp_path / "old.pickle").write_bytes(b"\x80\x04")
    with pytest.raises(MalformedFileError, match="byte 0x80 is not utf-8"):
        source.read_from_disk(tmp_path / "old.pickle")
    assert list(source.users) == ["11111", "22222"]


# What is declared wrongly ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        (f"{__name__}.SourceBrnach", r"has no 'SourceBrnach': did you mean 'SourceBranch'\?"),
        (f"{__name__}.Account", "has no subclass of Account, so that there is no branch"),
        (f"{__name__}.PEOPLE", "names '.*PEOPLE', which is no class"),
        ("SourceBranch", "'SourceBranch' names no class: write 'module.Class'"),
        ("no.such.Thing", "there is no module 'no'"),
    ],
)
def test_branches_that_are_not_there_are_told(branches, message):
    with pytest.raises(DeclarationError, match=message):
        type("Wrong", (DataStoreTree,), {"_branches": branches})()


def test_a_module_that_fails_to_import_says_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "failing_module.py").write_text("import missing_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="missing_dependency"):
        type("Wrong", (DataStoreTree,), {"_branches": "failing_module.Branch"})()


def test_a_branch_needs_a_model_and_a_name_of_its_own(monkeypatch):
    module = types.ModuleType("plain_branches")
    monkeypatch.setitem(sys.modules, "plain_branches", module)
    module.Plain = type("Plain", (), {"__module__": "plain_branches"})
    module.users = type("users", (module.Plain,), {"__module__": "plain_branches"})
    tree = type("Wrong", (DataStoreTree,), {"_branches": "plain_branches.Plain"})
    with pytest.raises(DeclarationError, match="users needs a model: a subclass of Base, itself or in _klass"):
        tree()
    module.users._klass = Account
    assert (tree().users.object_class, tree().users.make("1", name="a").name) == (Account, "a")
    module.users._branchname = "syncer"
    with pytest.raises(DeclarationError, match="'syncer' cannot be the name of a branch"):
        tree()


def test_annotated_models_are_closed_classes():
    class Typed(Base):
        grade: int = attrs.field(default=0)

    tree = +tree_of([{"idnumber": "1", "grade": "7"}], Typed)
    assert tree.users["1"].grade == 7
    assert tree.users.make("2").grade == 0
