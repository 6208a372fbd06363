"""What pydantic gives models, and what a model's class may be called and hold: here as in diffsync itself."""

from __future__ import annotations

import abc
import copy
import datetime
import enum
import ipaddress
import pathlib
import pickle
import warnings
from typing import Annotated, Any, ClassVar, Generic, List, Literal, TypeVar  # noqa: UP035 - as old code has it

import diffsync
import diffsync.enum
import pydantic
import pytest
import typing_extensions

from datastoresync.vocabularies import dsync

WORDS = {"theirs": diffsync, "ours": dsync}
Number = TypeVar("Number")


class Stored(metaclass=abc.ABCMeta):  # noqa: B024 - a mixin that is no model
    """A class of the application's own."""

    pk: int | None = None

    @property
    def loud(self):
        return self.name.upper()


class Part(pydantic.BaseModel):
    size: int = 1


class Place(typing_extensions.TypedDict):
    name: str
    floor: typing_extensions.NotRequired[int]


class Colour(enum.Enum):
    RED = "red"


class Later(pydantic.BaseModel):
    number: int = 1


def declared(words, **models):
    return type("Shop", (words.Adapter,), {**models, "top_level": list(models)})


def device(words):
    class Device(Stored, words.DiffSyncModel):
        _modelname = "device"
        _identifiers = ("name",)
        _attributes = ("role", "size")
        _children = {"device": "parts"}
        _shortname = ("name",)
        name: str
        size: int = 1
        role: Literal["a", "b"] = "a"
        parts: List[str] = []  # noqa: UP006 - as old code has it

    return Device


def refused(call):
    """Return how a call is refused: the type, and what pydantic says of each field."""
    with pytest.raises((ValueError, AttributeError, TypeError, LookupError)) as caught:
        call()
    error = caught.value
    if isinstance(error, pydantic.ValidationError):
        return [(one["type"], one["loc"], one["msg"]) for one in error.errors()]
    return type(error).__name__, str(error)


def synced(words, model, source, dest, **more):
    """Return what a comparison and a sync of two models make of each other."""
    shop = declared(words, **{model.get_type(): model}, **more)
    there, here = shop("there"), shop("here")
    for adapter, values in ((there, source), (here, dest)):
        for each in values:
            adapter.add(model(**each))
    diff = here.diff_from(there)
    found = diff.dict(), diff.str(), diff.summary()
    here.sync_from(there)
    return *found, here.dict(), here.diff_from(there).summary()


# --- the cases: each gives what must be the same from both --------------------------------------------------------


def mixins(words):
    one = device(words)(name="x", pk="3")
    shown = one.model_dump(), one.dict(), one.json(), str(one), repr(one), one.str()
    return one.pk, one.loud, list(type(one).model_fields), shown, list(one.get_attrs()), one.get_identifiers()


def methods_of_pydantic(words):
    cls = device(words)
    one = cls.model_validate({"name": "x"})
    return (
        one.dict(exclude_unset=True),
        cls.model_validate_json('{"name": "y", "size": "3"}').size,
        cls.model_construct(name="c").dict(),
        isinstance(one, pydantic.BaseModel),
        cls.model_rebuild(force=True),
        cls.model_fields["size"].default,
        one.model_copy(update={"size": 7}).dict(),
        one == cls(name="x"),
        one == cls(name="y"),
        refused(lambda: hash(one)),
    )


def older_names_of_pydantic(words):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fields = list(device(words).__fields__)
    return fields, [one.category.__name__ for one in caught]


def refusals(words):
    cls = device(words)
    one = cls(name="x")
    calls = [
        cls,
        lambda: cls(name=1),
        lambda: cls(name="x", role="z"),
        lambda: cls(name="x", size="7.5"),
        lambda: setattr(one, "other", 1),
        lambda: one.other,
        lambda: cls.name,
    ]
    return list(map(refused, calls)), cls(name="x", other=1).dict()


def fields_that_were_set(words):
    cls = device(words)
    first, second, third = cls(name="x"), cls(name="y"), cls(name="z")
    first.size = 4
    second.model_fields_set.add("role")
    given = [one.model_fields_set for one in (first, second, third)]
    return [*map(sorted, given), *(one.dict(exclude_unset=True) for one in (first, second, third))]


def copies(words):
    one = device(words)(name="x", parts=["q"])
    one.set_status(words.DiffSyncStatus.FAILURE, "why")
    deep, flat = copy.deepcopy(one), copy.copy(one)
    deep.parts.append("z")
    flat.size = 3
    return one.dict(), deep.dict(), flat.dict(), sorted(one.model_fields_set), deep.get_status(), flat.get_status()


def statuses(words):
    cls = device(words)
    one = cls(name="x")
    first = one.get_status()
    one.set_status(words.DiffSyncStatus.FAILURE, "why")
    second = one._status, one._status_message
    one._status = words.DiffSyncStatus.ERROR
    made = cls.create(None, {"name": "1"}, {"size": 2})
    steps = made.get_status(), made.update({"size": 3}).size, made.get_status(), made.delete().get_status()
    return str((first, second, one.get_status(), steps, cls.create_base(None, {"name": "1"}, {}).get_status()))


def private_attributes(words):
    class Owned(words.DiffSyncModel):
        _modelname = "owned"
        _identifiers = ("name",)
        name: str
        _key: int = pydantic.PrivateAttr(5)
        _flags: list = pydantic.PrivateAttr(default_factory=list)
        _active: bool = True
        _references: Any = None

        def model_post_init(self, context):
            self._references = f"of {self.name}"

    first, second = Owned(name="1"), Owned(name="2")
    first._flags.append(3)
    first._key = 9
    held = [(one._flags, one._key, one._active, one._references) for one in (first, second)]
    return held, synced(words, Owned, [{"name": "1"}], [{"name": "3"}])


def every_public_name(words):
    names = ["tree", "limits", "branch", "move", "diff", "preview", "store", "keys", "type", "diffsync", "load", "read"]
    body = {"_modelname": "tree", "_identifiers": ("idnumber",), "_attributes": tuple(names), "__module__": __name__}
    fields = {"__annotations__": {"idnumber": str, **dict.fromkeys(names, str)}, **dict.fromkeys(names, "")}
    model = type("Named", (words.DiffSyncModel,), {**body, **fields})
    values = {name: name.upper() for name in names}
    return synced(words, model, [{"idnumber": "1", **values}, {"idnumber": "2"}], [{"idnumber": "1"}])


def generics(words):
    class Valued(words.DiffSyncModel, Generic[Number]):
        _modelname = "valued"
        _identifiers = ("name",)
        _attributes = ("value",)
        name: str
        value: Number

    class Whole(Valued[int]):
        pass

    made = (
        Valued[int](name="a", value="3").value,
        Whole(name="b", value=1).get_attrs(),
        Valued(name="z", value="z").value,
    )
    return made, refused(lambda: Whole(name="x", value="q")), synced(words, Whole, [{"name": "1", "value": 2}], [])


def computed_identifiers(words):
    class Joined(words.DiffSyncModel):
        _modelname = "joined"
        _identifiers = ("whole",)
        _attributes = ("first",)
        first: str
        last: str

        @pydantic.computed_field
        @property
        def whole(self) -> str:
            return self.first + self.last

    shop = declared(words, joined=Joined)()
    one = Joined(first="1", last="2")
    shop.add(one)
    return one.get_identifiers(), one.get_unique_id(), shop.get("joined", "12") is one, shop.dict()


def validators_and_serializers(words):
    class Checked(words.DiffSyncModel):
        _modelname = "checked"
        _identifiers = ("name",)
        _attributes = ("tags", "when", "size")
        seen: ClassVar = []
        name: Annotated[str, pydantic.StringConstraints(to_lower=True)]
        tags: list = pydantic.Field(default_factory=list, description="labels")
        when: datetime.datetime | None = None
        size: Annotated[int, pydantic.PlainSerializer(str)] = 1

        @pydantic.field_validator("tags")
        @classmethod
        def sort(cls, value):
            return sorted(value)

        @pydantic.field_serializer("when")
        def write(self, value):
            return None if value is None else str(value)

        @pydantic.model_validator(mode="after")
        def note(self):
            self.seen.append(id(self))
            return self

    one = Checked(name="ABC", tags=["b", "a"], when=datetime.datetime(2024, 1, 1))  # noqa: DTZ001 - as old code has it
    found = Checked.seen == [id(one)], one.get_attrs(), Checked.model_fields["tags"].description
    return found, synced(words, Checked, [one.dict(), {"name": "d", "size": 2}], [{"name": "abc", "tags": ["a", "b"]}])


def configurations(words):
    class Strict(words.DiffSyncModel):
        model_config = pydantic.ConfigDict(extra="forbid", validate_assignment=True, populate_by_name=True)
        _modelname = "strict"
        _identifiers = ("name",)
        _attributes = ("value",)
        name: str = pydantic.Field(alias="Name")
        value: int = 0

    class Open(words.DiffSyncModel):
        model_config = pydantic.ConfigDict(extra="allow")
        name: str

    class Frozen(words.DiffSyncModel):
        model_config = pydantic.ConfigDict(frozen=True)
        name: str

    one, other = Strict(Name="a"), Open(name="a", more=1)
    one.value, other.again = "7", 2
    calls = (
        lambda: Strict(name="a", siez=1),
        lambda: setattr(one, "value", "x"),
        lambda: setattr(Frozen(name="a"), "name", "b"),
    )
    kept = one.value, sorted(one.model_fields_set), one.model_dump(by_alias=True), other.dict(), other.model_extra
    return kept, list(map(refused, calls)), hash(Frozen(name="a")) == hash(Frozen(name="a"))


def types(words):
    class Typed(words.DiffSyncModel):
        _modelname = "typed"
        _identifiers = ("address", "path")
        _attributes = ("place", "places", "part", "network", "lasts", "colour", "anything")
        address: ipaddress.IPv4Address
        path: pathlib.PurePosixPath | None = None
        place: Place = {"name": ""}
        places: List[Place] = []  # noqa: UP006 - as old code has it
        part: Part = Part()
        network: ipaddress.IPv6Network | None = None
        lasts: datetime.timedelta = datetime.timedelta()
        colour: Colour = Colour.RED
        anything: Any = None

    full = {
        "address": "10.0.0.1",
        "path": "/a",
        "place": {"name": "n", "floor": "2"},
        "places": [{"name": "b"}, {"name": "a"}],
        "part": {"size": 2},
        "network": "::/64",
        "lasts": 60,
        "colour": "red",
        "anything": Part(size=4),
    }
    bare = {"address": "10.0.0.1", "path": "/a", "places": [{"name": "a"}, {"name": "b"}]}
    shop = declared(words, typed=Typed)()
    shop.add(Typed(**full))
    found = [
        shop.get("typed", key).get_unique_id()
        for key in ("10.0.0.1__/a", {"address": ipaddress.ip_address("10.0.0.1"), "path": pathlib.PurePosixPath("/a")})
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as there, an update sets dictionaries in the place of models
        return found, synced(words, Typed, [full, {"address": "10.0.0.9"}], [bare, {"address": "10.0.0.2"}])


def settings_that_are_refused(words):
    bodies = [
        {"_identifiers": ("gone",)},
        {"_attributes": ("gone",)},
        {"_shortname": ("gone",)},
        {"_children": {"kind": "gone"}},
        {"_identifiers": ("name",), "_attributes": ("name",)},
        {"_identifiers": ("name",), "_children": {"kind": "name"}},
        {"_attributes": ("name",), "_children": {"kind": "name"}},
    ]
    found = []
    for body in bodies:
        given = {**body, "__annotations__": {"name": str}, "__module__": __name__}
        kind, message = refused(lambda given=given: type("Bad", (words.DiffSyncModel,), given))
        found.append((kind, message.partition(": annotate")[0].partition(" Take them")[0]))
    return found


def children(words):
    one, other = device(words)(name="a"), device(words)(name="b")

    class Odd(words.DiffSyncModel):
        _modelname = "odd"
        _identifiers = ("name",)
        name: str

    one.add_child(device(words)(name="c"))
    calls = (
        lambda: one.add_child(Odd(name="1")),
        lambda: one.remove_child(Odd(name="1")),
        lambda: one.remove_child(other),
        lambda: one.add_child(device(words)(name="c")),
    )
    kinds = []
    for call in calls:
        with pytest.raises(Exception) as caught:
            call()
        message = str(caught.value.args[0]).replace(": name it in _children", "").partition(" of device ")[0]
        kinds.append((type(caught.value).__name__, message.partition(" in device ")[0]))
    return kinds, one.parts, one.str(), one.str(False, 2)


def names_of_later(words):
    class Early(words.DiffSyncModel):
        _modelname = "early"
        _identifiers = ("name",)
        name: str
        other: Unknown | None = None  # noqa: F821 - there when it is asked for

    shop = declared(words, early=Early)()
    before = Early.__pydantic_complete__
    Early.model_rebuild(_types_namespace={"Unknown": Later})
    shop.add(Early(name="1", other={"number": 3}))
    return before, shop.dict(), refused(lambda: Early(name="1", other={"number": "x"}))


def constructors(words):
    class Counted(words.DiffSyncModel):
        _modelname = "counted"
        _identifiers = ("name",)
        name: str
        count: int = 0

        def __init__(self, *arguments, **values):
            super().__init__(*arguments, **values)
            self.count += 1

    made = Counted(name="x"), Counted.model_validate({"name": "z"}), Counted.create(None, {"name": "q"}, {"count": 3})
    return [one.count for one in made], pydantic.create_model("M", __base__=Counted, more=(int, 1))(name="a").dict()


def fields_of_the_model_itself(words):
    class Owning(words.DiffSyncModel):
        _modelname = "annotated"
        name: str
        model_flags: Any = 0
        adapter: str | None = None

    with pytest.raises(pydantic.PydanticUserError, match="model_flags"):
        type("Bare", (words.DiffSyncModel,), {"model_flags": 1, "__module__": __name__})
    return Owning(name="x", adapter="a").model_dump(), list(device(words).model_fields)[:2]


CASES = [
    mixins,
    methods_of_pydantic,
    older_names_of_pydantic,
    refusals,
    fields_that_were_set,
    copies,
    statuses,
    private_attributes,
    every_public_name,
    generics,
    computed_identifiers,
    validators_and_serializers,
    configurations,
    types,
    settings_that_are_refused,
    children,
    names_of_later,
    constructors,
    fields_of_the_model_itself,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_model_is_here_what_it_is_there(case, monkeypatch):
    for name in ("DiffSyncStatus", "DiffSyncModelFlags"):
        monkeypatch.setattr(diffsync, name, getattr(diffsync.enum, name), raising=False)
    theirs, ours = case(diffsync), case(dsync)
    assert repr(ours) == repr(theirs)


# --- what is ours alone --------------------------------------------------------------------------------------------


class Light(dsync.DiffSyncModel):
    _modelname = "light"
    _identifiers = ("name",)
    _attributes = ("size",)
    name: str
    size: int = 0


def test_models_share_what_is_the_same_in_all():
    first, second = Light(name="a"), Light(name="b")
    assert first.__pydantic_fields_set__ is second.__pydantic_fields_set__
    first.size = 1
    assert (first.model_fields_set, second.model_fields_set) == ({"name", "size"}, {"name"})
    again = pickle.loads(pickle.dumps(first))
    assert (again, again.model_fields_set, again.get_status()) == (first, {"name", "size"}, first.get_status())


@pytest.mark.parametrize("name", ["dsync", "diffsync", "adapter"])
def test_the_adapter_has_its_older_names(name):
    shop = declared(dsync, light=Light)()
    one = Light(name="a", **{name: shop})
    assert one.adapter is one.dsync is one.diffsync is shop
    assert Light.create(**{name: shop}, ids={"name": "b"}, attrs={}).adapter is shop
