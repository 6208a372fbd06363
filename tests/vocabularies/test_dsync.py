"""Each word of the vocabulary by itself: models, diffs by hand, stores."""

from __future__ import annotations

import datetime
import enum
import json
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import Any, ClassVar, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

import datastoresync.vocabularies.dsync as words
from datastoresync import DatastoreSyncError
from datastoresync.vocabularies.dsync import (
    Adapter,
    Diff,
    DiffElement,
    DiffSync,
    DiffSyncActions,
    DiffSyncModel,
    DiffSyncModelFlags,
    DiffSyncStatus,
    LocalStore,
    ObjectAlreadyExists,
    ObjectNotFound,
    ObjectStoreException,
)


class Colour(enum.Enum):
    RED = 1


class Thing(DiffSyncModel):
    _modelname = "thing"
    _identifiers = ["name"]
    _attributes = ["size", "colour"]
    _children: ClassVar = {"thing": "parts"}
    name: str
    colour: Colour = Colour.RED
    size: Optional[int] = None  # noqa: UP045 - as old code writes it
    parts: list[str] = []
    local: Any = None


class Things(Adapter):
    thing = Thing
    top_level = ("thing",)


# --- models ------------------------------------------------------------------------------------------------------


@given(st.text(min_size=1), st.none() | st.integers(), st.lists(st.text(min_size=1)))
def test_what_a_model_gives_as_a_dictionary_makes_it_again(name, size, parts):
    thing = Thing(name=name, size=size, parts=parts)
    assert Thing(**thing.dict()) == thing
    assert Thing(**json.loads(thing.json())) == thing


def test_values_are_converted_to_the_declared_types():
    thing = Thing(name="a", size="7", colour=1, parts=("x",))
    assert (thing.size, thing.colour, thing.parts) == (7, Colour.RED, ["x"])


def test_a_model_has_containers_of_its_own():
    parts = ["x"]
    first, second = Thing(name="a", parts=parts), Thing(name="b")
    first.parts.append("y")
    assert (parts, second.parts, Thing(name="c").parts) == (["x"], [], [])
    assert first.dict()["parts"] is not first.parts


def test_models_are_equal_if_their_fields_are():
    assert Thing(name="a") == Thing(name="a", parts=[])
    assert Thing(name="a") != Thing(name="a", local=1)
    assert Thing(name="a") != "a"
    assert type("Other", (Thing,), {"__module__": __name__})(name="a") != Thing(name="a")


def test_dictionaries_of_a_model_may_leave_things_out():
    thing = Thing(name="a", parts=["x"])
    assert thing.dict(exclude_defaults=True) == {"name": "a", "parts": ["x"]}
    assert "size" not in thing.dict(exclude_none=True)
    assert thing.dict(exclude={"parts", "local", "model_flags"}) == {
        "adapter": None,
        "name": "a",
        "colour": Colour.RED,
        "size": None,
    }
    thing.model_flags = DiffSyncModelFlags.IGNORE
    assert thing.dict(exclude_defaults=True)["model_flags"] is DiffSyncModelFlags.IGNORE


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime.date(2024, 1, 2), '"2024-01-02"'),
        ({"a"}, '["a"]'),
        (Decimal("1.50"), '"1.50"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (b"a", '"a"'),
        (Colour.RED, "1"),
        ("é", '"é"'),
    ],
)
def test_values_in_json(value, shown):
    assert Thing(name="a", local=value).json() == f'{{"name":"a","local":{shown}}}'


def test_attributes_come_in_the_order_of_their_declaration():
    assert list(Thing(name="a").get_attrs()) == ["colour", "size"]
    assert Thing(name="a").get_identifiers() == {"name": "a"}
    assert Thing.create_unique_id(name="a") == "a"
    assert Thing.get_children_mapping() == {"thing": "parts"}


def test_a_short_name_is_made_of_its_fields():
    class Short(Thing):
        _shortname = ("name", "size")

    assert Short(name="a", size=1).get_shortname() == "a__1"


def test_a_model_as_text_without_an_adapter():
    assert Thing(name="a", parts=["x"]).str(indent=2) == (
        "  thing: a: {'colour': <Colour.RED: 1>, 'size': None}\n    parts: ['x']"
    )


def test_a_class_may_have_an_init_of_its_own():
    class Own(Thing):
        def __init__(self, first, **fields):
            super().__init__(name=f"{first}!", **fields)

    assert Own("a", size="1").get_unique_id() == "a!"
    assert type("Below", (Own,), {"__module__": __name__})("b").size is None


def test_flags_of_a_class_and_of_a_model():
    class Annotated(Thing):
        model_flags: DiffSyncModelFlags = DiffSyncModelFlags.IGNORE
        adapter: Any = None

    thing = Annotated(name="a")
    assert (thing.model_flags, thing.adapter) == (DiffSyncModelFlags.IGNORE, None)
    thing.model_flags |= DiffSyncModelFlags.SKIP_UNMATCHED_SRC
    assert thing.model_flags.value == 5
    assert Annotated(name="b").model_flags is DiffSyncModelFlags.IGNORE


def test_the_adapter_of_a_model():
    things = Things()
    kept, given = Thing(name="a"), Thing(name="b", dsync=things)
    assert (kept.adapter, given.adapter) == (None, things)
    things.add(kept)
    assert kept.adapter is kept.dsync is kept.diffsync is things
    things.remove(kept)
    assert kept.adapter is None


def test_the_status_of_a_model():
    thing = Thing(name="a")
    assert thing.get_status() == (DiffSyncStatus.SUCCESS, "")
    thing.set_status(DiffSyncStatus.ERROR, "why")
    assert thing.get_status() == (DiffSyncStatus.ERROR, "why")
    assert thing.model_flags is DiffSyncModelFlags.NONE


# --- adapters ----------------------------------------------------------------------------------------------------


def test_names_of_models_that_a_tree_has_itself():
    class Items(DiffSyncModel):
        _modelname = "items"
        _identifiers = ("name",)
        _attributes = ("size",)
        name: str
        size: int = 0

    class Warehouse(Adapter):
        items = Items
        top_level = ["items"]

    there, here = Warehouse(), Warehouse()
    there.add(Items(name="a"))
    assert here.sync_from(there).summary()["create"] == 1
    assert here.get("items", "a").size == 0


def test_an_adapter_holds_a_native_tree():
    there, here = Things("there"), Things("here")
    there.add(Thing(name="a"))
    here.diff_from(there)
    assert [action.message for action in there.tree - here.tree] == ["new_thing(idnumber='a')"]
    assert (there.tree >> here.tree).ok
    assert here.get("thing", "a").adapter is here


def test_a_subclass_knows_the_models_of_its_base():
    class More(Things):
        type = "more"

    assert str(More()) == "more"
    assert str(More("x")) == 'more "x"'
    assert More().get_all("thing") == []


def test_the_first_name_of_an_adapter_is_deprecated():
    with pytest.warns(DeprecationWarning, match="write Adapter"):

        class Old(DiffSync):
            thing = Thing

    with pytest.warns(DeprecationWarning, match="write Adapter"):
        assert isinstance(Old("old"), Adapter)


def test_the_store_is_a_local_one():
    store = LocalStore(name="mine")
    things = Things(internal_storage_engine=store)
    assert (things.store is store, store.adapter, str(store)) == (True, things, "mine")
    with pytest.raises(ObjectStoreException, match="in a BaseStore, such as LocalStore"):
        Things(internal_storage_engine=lambda **_: {})
    alone = LocalStore()
    alone.add(obj=Thing(name="a"))
    with pytest.raises(ObjectNotFound, match="thing b not present in LocalStore"):
        alone.get(model="thing", identifier="b")


def test_a_store_may_hold_models_before_its_adapter_is_there():
    store = LocalStore()
    store.add(obj=Thing(name="a"))
    things = Things(internal_storage_engine=store)
    things.add(Thing(name="b"))
    assert [thing.adapter for thing in things.get_all("thing")] == [None, things]


def test_models_that_no_class_declares_can_be_kept():
    bare = Adapter("bare")
    bare.add(Thing(name="a"))
    assert bare.dict() == {"thing": {"a": {"name": "a"}}}
    bare.load()
    assert bare.get_tree_traversal() == "Adapter"


def test_everything_below_is_removed_once():
    things = Things()
    for thing in (Thing(name="a", parts=["c", "b", "gone"]), Thing(name="b", parts=["c"]), Thing(name="c")):
        things.add(thing)
    things.remove(things.get("thing", "a"), remove_children=True)
    assert len(things) == 0


def test_a_drawing_of_models_below_each_other():
    def model(name, *below):
        body = {"_modelname": name, "_identifiers": ("name",), "__annotations__": {"name": str}, "__module__": __name__}
        for one in below:
            body["__annotations__"][one], body[one] = list, []
        return type(name, (DiffSyncModel,), {**body, "_children": {one: one for one in below}})

    cls = type(
        "Drawn",
        (Adapter,),
        {
            "a": model("a", "b", "c"),
            "b": model("b", "c"),
            "c": model("c", "c"),
            "d": model("d", "e"),
            "e": model("e", "d"),
            "z": model("z"),
            "top_level": ["a"],
        },
    )
    assert cls.get_tree_traversal() == (
        "Drawn\n"
        "├── a\n"
        "│   ├── b\n"
        "│   │   └── c\n"
        "│   │       └── c\n"
        "│   └── c\n"
        "│       └── c\n"
        "├── z\n"
        "└── d\n"
        "    └── e\n"
        "        └── d"
    )


def test_children_left_alone_by_a_flag_are_in_no_element():
    there, here = Things(), Things()
    for things in (there, here):
        for thing in (Thing(name="a", parts=["b"]), Thing(name="b"), Thing(name="c")):
            things.add(thing)
    there.get("thing", "a").model_flags = DiffSyncModelFlags.IGNORE
    diff = here.diff_from(there)
    assert list(diff.children["thing"]) == ["b", "c"]  # b is at the top as well
    assert diff.summary() == {"create": 0, "update": 0, "delete": 0, "no-change": 2, "skip": 1}


def test_models_with_one_short_name_among_siblings_have_their_unique_ids():
    class Short(DiffSyncModel):
        _modelname = "short"
        _identifiers = ("name",)
        _shortname = ("kind",)
        name: str
        kind: str = "x"

    class Shorts(Adapter):
        short = Short
        top_level = ["short"]

    there = Shorts()
    for name in "ab":
        there.add(Short(name=name))
    assert list(Shorts().diff_from(there).children["short"]) == ["x", "b"]


# --- diffs by hand -----------------------------------------------------------------------------------------------


def element(name, source=None, dest=None):
    made = DiffElement("thing", name, {"name": name}, "there", "here")
    made.add_attrs(source=source)
    made.add_attrs(dest=dest)
    return made


def test_a_diff_made_by_hand():
    diff = Diff()
    above = element("b", {}, {})
    above.add_child(element("new", {"size": 1}))
    for one in (
        above,
        element("a"),
        element("changed", {"size": 1, "nan": float("nan")}, {"size": 2, "nan": float("nan")}),
    ):
        diff.add(one)
    with pytest.raises(ObjectAlreadyExists) as caught:
        diff.add(above)
    assert caught.value.existing_object is above
    assert str(caught.value) == "Already storing a thing named b"
    assert diff.summary() == {"create": 1, "update": 1, "delete": 0, "no-change": 2, "skip": 0}
    assert (len(diff), len(above), diff.has_diffs(), Diff().has_diffs()) == (4, 2, True, False)
    assert diff.str() == (
        "thing\n  thing: b\n    thing\n      thing: new MISSING in here\n"
        "  thing: changed\n    size    there(1)    here(2)"
    )
    assert diff.dict()["thing"]["changed"] == {"-": {"size": 2}, "+": {"size": 1}}


def test_an_element_made_by_hand():
    nothing, gone, new = element("a"), element("b", None, {"size": 1}), element("c", {"size": 1})
    assert [one.action for one in (nothing, gone, new)] == [None, DiffSyncActions.DELETE, DiffSyncActions.CREATE]
    assert [one.get_attrs_diffs() for one in (nothing, gone, new)] == [{}, {"-": {"size": 1}}, {"+": {"size": 1}}]
    assert [list(one.get_attrs_keys()) for one in (nothing, gone, new)] == [[], ["size"], ["size"]]
    assert element("d", {"a": 1, "b": 1}, {"b": 1, "c": 1}).get_attrs_keys() == ["b"]
    assert nothing.str() == "thing: a (no diffs)"
    assert gone.str(2) == "  thing: b MISSING in there"
    assert (repr(new), repr(nothing)) == ("<DiffElement thing 'c': create>", "<DiffElement thing 'a': no change>")
    assert sorted([new, nothing, gone]) == [nothing, gone, new]
    assert nothing == element("a")
    assert nothing != element("a", {})
    assert nothing != "a"
    with pytest.raises(ValueError, match="name must be a string"):
        DiffElement("thing", 1, {})


def test_a_diff_hears_that_it_is_complete():
    class Heard(Diff):
        heard = 0

        def complete(self):
            self.heard = len(self)

    there = Things()
    there.add(Thing(name="a"))
    assert Things().diff_from(there, diff_class=Heard).heard == 1


# --- the module --------------------------------------------------------------------------------------------------


def test_every_error_is_one_of_this_library():
    errors = [value for value in vars(words).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(errors) == 10
    assert all(issubclass(error, DatastoreSyncError) for error in errors)
    assert str(ObjectNotFound("no 'x'")) == "no 'x'"


def test_names_are_sorted_and_there():
    assert words.__all__ == sorted(words.__all__)
    assert all(hasattr(words, name) for name in words.__all__)


def test_the_vocabulary_needs_pydantic_and_says_so():
    command = (
        "import sys; sys.modules['diffsync'] = None; import datastoresync; assert 'pydantic' not in sys.modules\n"
        "sys.modules['pydantic'] = None\n"
        "try: import datastoresync.vocabularies.dsync\n"
        "except datastoresync.MissingDependencyError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert run.stdout == "models are pydantic's: pip install 'datastoresync[dsync]'\n"
