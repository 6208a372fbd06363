"""Whatever Python allows is a name for a field, a branch or a model, or is refused when it is declared."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any, ClassVar

import attrs
import pytest

from datastoresync import Branch, CSVImporter, Datastore, DeclarationError, Object, Tree
from datastoresync.object import schema_of
from datastoresync.vocabularies.dsync import Adapter, DiffSyncModel

OURS = sorted({name for cls in (Object, Branch, Tree, Datastore) for name in dir(cls) if not name.startswith("_")})
OTHERS = ["idnumber", "cls", "date", "int", "str", "list", "type", "name", "tree", "limits", "mro", "class_", "ä"]


def described(name, annotation="int"):
    """Return a closed class with one field of a name, as if it were written out."""
    body = {"__annotations__": {"login": "str", name: annotation}, "__module__": __name__, "_identifiers": ("login",)}
    return type(Object)("Described", (Object,), body)


@pytest.mark.parametrize("name", [*OURS, *OTHERS])
def test_a_field_may_have_the_name(name):
    cls = described(name)
    assert list(schema_of(cls).fields) == ["login", name]
    branches = [+Branch(cls, importer=[{"login": "a", name: value}]) for value in ("1", "2")]
    (action,) = branches[0] - branches[1]
    assert (action.idnumber, action.attr, action.value, action.old_value) == ("a", name, 1, 2)
    assert list(branches[0]["a"] - branches[1]["a"]) == [action]
    assert repr(branches[0].new("b", **{name: 3})) == f"Described(login='b', {name}=3)"
    assert getattr(branches[0].new(login="c", **{name: 4}), name) == 4
    assert [item.login for item in branches[0].find(**{name: 4})] == ["c"]
    branches = [+Branch(importer=[{"login": "a", "idnumber": "a", name: value}]) for value in ("a", "a")]
    assert not branches[0] - branches[1]


@pytest.mark.parametrize("engine", ["memory", "duckdb"])
def test_an_idnumber_that_is_none_is_an_attribute(engine, tmp_path):
    branches = []
    for name, number in (("a", 7), ("b", 8)):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"login,idnumber\nann,{number}\nbob,9\n")
        branches.append(+Branch(described("idnumber"), importer=CSVImporter(path), engine=engine))
    assert [action.message for action in branches[0] - branches[1]] == [
        "update_idnumber(idnumber='ann', attr='idnumber', value=7)"
    ]
    assert branches[1]["bob"].idnumber == 9


def test_what_python_takes_itself_is_refused_of_closed_classes():
    open_branch = +Branch(importer=[{"idnumber": "a", "self": "x"}])
    assert open_branch.find(self="x") == [open_branch["a"]]
    assert open_branch.new("b", self="y").self == "y"
    with pytest.raises(DeclarationError, match=r"Described\.self cannot be a field"):
        described("self")


@pytest.mark.parametrize(
    "name", ["users", "load", "name", "items", "keys", "values", "syncer", "diff", "limits", "_branches"]
)
def test_a_branch_or_a_tree_has_the_name_from_its_declaration_on_or_never(name):
    taken = hasattr(Tree, name) or name in {"name", "syncer", "_branches"}
    for declare in (
        lambda: type("Declared", (Tree,), {name: Branch()})("declared"),
        lambda: Tree(branches={name: Branch()}),
        lambda: Datastore(["one"], [name]).one,
    ):
        if taken:
            with pytest.raises(DeclarationError, match=name):
                declare()
        else:
            tree = declare()
            assert getattr(tree, name) is tree[name]
            assert list(tree) == [name]


# --- mixins -----------------------------------------------------------------------------------------------------


class Stored:
    row: int | None = None
    _note: str = ""
    kind: ClassVar[str] = "row"

    @property
    def twice(self):
        return None if self.row is None else 2 * self.row


@dataclasses.dataclass
class Tagged:
    tags: list[str] = dataclasses.field(default_factory=list)


def test_the_annotated_fields_of_a_mixin_are_fields():
    class User(Object, Stored, Tagged):
        name: str

    class Empty(Stored, Object):
        pass

    class Below(Empty):
        row: str = "own"

    assert sorted(schema_of(User).fields) == ["_note", "idnumber", "name", "row", "tags"]
    one, other = (+Branch(User, importer=[{"idnumber": "1", "name": "Ann", "row": row}]) for row in ("7", "8"))
    assert [action.message for action in one - other] == [
        "update_row(idnumber='1', attr='row', value=7)",
        "update_twice(idnumber='1', attr='twice', value=14)",
    ]
    one["1"].tags.append("x")
    assert User(idnumber="2", name="Bob").tags == []
    assert (User.kind, Empty(idnumber="1").row, Below(idnumber="1").row) == ("row", None, "own")
    with pytest.raises(TypeError, match="colour"):
        Empty(idnumber="1", colour="red")


def test_the_first_of_the_bases_has_the_say():
    class Named(Object):
        name: str

    class Nameless:
        name: str = "nobody"

    assert type("First", (Nameless, Named), {})(idnumber="1").name == "nobody"
    with pytest.raises(TypeError, match="name"):
        type("Last", (Named, Nameless), {})(idnumber="1")


def test_what_a_mixin_caches_is_refused():
    class Cached:
        size: int = 0

        @cached_property
        def double(self):
            return 2 * self.size

    with pytest.raises(DeclarationError, match=r"Some\.double is cached"):
        type("Some", (Object, Cached), {})


def test_a_model_has_the_fields_of_a_mixin():
    class Tenant(DiffSyncModel, Stored):
        _modelname = "tenant"
        _identifiers = ("name",)
        _attributes = ("row",)
        name: str

    assert Tenant(name="a", row="7").get_attrs() == {"row": 7}


# --- slots ------------------------------------------------------------------------------------------------------


def test_slots_stand_beside_the_fields():
    class User(Object):
        __slots__ = ("_cache", "name")
        name: str = "x"

    class Weak(Object):
        __slots__ = "__dict__"  # noqa: PLC0205 - a text is one name
        name: str = "x"

    user = User(idnumber="1")
    user._cache = 1
    assert (user.name, user._cache) == ("x", 1)
    assert list(schema_of(User).fields) == ["idnumber", "name"]
    assert attrs.fields_dict(User).keys() == {"idnumber", "name"}
    with pytest.raises(AttributeError):
        user.nmae = "y"
    weak = Weak(idnumber="1")
    weak.anything = 2
    assert weak.anything == 2


def test_slots_that_are_no_fields_are_refused_where_there_are_no_fields():
    with pytest.raises(DeclarationError, match=r"Some\.__slots__ names 'name', which is no field: annotate it"):
        type("Some", (Object,), {"__slots__": ("name",)})
    bare = type("Bare", (Object,), {"__slots__": ()})
    with pytest.raises(DeclarationError, match="Bare has neither fields nor a __dict__"):
        +Branch(bare, importer=[])
    filled = type("Filled", (bare,), {"__annotations__": {"name": str}})
    assert not hasattr(filled(idnumber="1", name="x"), "__dict__")


# --- models and adapters ----------------------------------------------------------------------------------------


def model(modelname, field):
    body: dict[str, Any] = {
        "__annotations__": {"key": str, field: str},
        "__module__": __name__,
        "__qualname__": "Model",
        "_modelname": modelname,
        "_identifiers": ("key",),
        "_attributes": (field,),
        field: "",
    }
    return type(DiffSyncModel)("Model", (DiffSyncModel,), body)


@pytest.mark.parametrize("modelname", ["person", "tree", "limits", "items", "children", "name", "type", "adapter"])
@pytest.mark.parametrize("field", ["idnumber", "tree", "limits", "name", "type", "diff", "move", "preview", "dsync"])
def test_models_and_their_fields_may_have_the_name(modelname, field):
    cls = model(modelname, field)
    adapters = [type("Made", (Adapter,), {modelname: cls, "top_level": [modelname]})(name) for name in "ab"]
    for adapter, value in zip(adapters, ("x", "y"), strict=True):
        adapter.add(cls(key="1", **{field: value}))
        adapter.add(cls(key=value, **{field: "z"}))
    found = adapters[0].diff_to(adapters[1]).dict()[modelname]
    assert found == {"1": {"+": {field: "x"}, "-": {field: "y"}}, "x": {"+": {field: "z"}}, "y": {"-": {field: "z"}}}
    adapters[0].sync_to(adapters[1])
    assert getattr(adapters[1].get(modelname, "1"), field) == "x"
    assert not adapters[0].diff_to(adapters[1]).has_diffs()


def test_names_of_what_diffsync_offers_itself_are_refused():
    for field in ("str", "get_attrs", "delete"):
        with pytest.warns(UserWarning, match=f'"{field}" in "Model" shadows'):  # pydantic's, as there
            model("person", field)
    for name in ("store", "load", "count"):
        with pytest.raises(AttributeError, match=rf"Made\.{name}: an adapter has something of that name itself"):
            type("Made", (Adapter,), {name: model(name, "x")})
