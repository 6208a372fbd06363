"""One thing: closed or open, its attributes, its repr, and the difference of two."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Literal, Optional

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync import (
    Action,
    Branch,
    ComparisonError,
    ConversionError,
    DeclarationError,
    Diff,
    Object,
    Preview,
    RowError,
    SchemaMismatchError,
    Tree,
)
from datastoresync.object import attributes_of, schema_of, side_of


class User(Object):
    name: str
    grade: int = 0
    _lastfirst: str = ""
    tags: set[str] = set()
    school: ClassVar[str] = "the school"
    _shortname = ("name",)

    @property
    def initial(self):
        return self.name[:1]


class Open(Object):
    @property
    def name(self):
        return self._lastfirst.partition(", ")[2]


class AlwaysEqual:
    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True

    def __gt__(self, other):
        return True

    __hash__ = None


class NeverEqual(AlwaysEqual):
    def __eq__(self, other):
        return False

    def __ne__(self, other):
        return True

    __hash__ = None


# --- closed classes ---------------------------------------------------------------------------------------------


def test_a_closed_class_has_slots():
    user = User(idnumber="1", name="Ann")
    assert not hasattr(user, "__dict__")
    with pytest.raises(AttributeError, match="nmae"):
        user.nmae = "Bob"
    user.name = "Bob"
    assert user.name == "Bob"
    with pytest.raises(AttributeError):
        user.initial = "B"


def test_a_closed_class_takes_its_fields_by_name_only():
    with pytest.raises(TypeError):
        User("1", "Ann")
    with pytest.raises(TypeError, match="name"):
        User(idnumber="1")
    with pytest.raises(TypeError, match="idnumber"):
        User(name="Ann")
    with pytest.raises(TypeError, match="nmae"):
        User(idnumber="1", name="Ann", nmae="Ann")


def test_underscore_fields_keep_their_names():
    assert User(idnumber="1", name="Ann", _lastfirst="A, n")._lastfirst == "A, n"
    with pytest.raises(TypeError, match="lastfirst"):
        User(idnumber="1", name="Ann", lastfirst="A, n")


def test_a_mutable_default_is_not_shared():
    one, other = User(idnumber="1", name="Ann"), User(idnumber="2", name="Bob")
    one.tags.add("x")
    assert other.tags == set()
    assert User(idnumber="3", name="Cy").tags == set()
    branch = +Branch(User, importer=[{"idnumber": key, "name": "x"} for key in "ab"])
    branch["a"].tags.add("x")
    assert branch["b"].tags == set()


def test_class_variables_and_settings_are_no_fields():
    assert [field.name for field in attrs.fields(User)] == ["idnumber", "name", "grade", "_lastfirst", "tags"]
    assert User.school == "the school"


def test_annotations_may_be_text():
    assert schema_of(User).fields["grade"].converter.one("7") == 7
    (user,) = (+Branch(User, importer=[{"idnumber": 1, "name": "Ann", "grade": "7"}])).values()
    assert user.grade == 7


def test_an_annotation_that_leads_nowhere_is_refused_when_it_is_needed():
    class Lost(Object):
        name: Nowhere  # noqa: F821

    with pytest.raises(DeclarationError, match="Lost: the annotation 'Nowhere' cannot be found"):
        schema_of(Lost)


class Checked(Object):
    name: str = attrs.field(converter=str.upper)
    grade: int = attrs.field(default=1, validator=attrs.validators.ge(1))


def test_converters_and_validators_are_those_of_attrs():
    assert Checked(idnumber="1", name="ann").name == "ANN"
    with pytest.raises(ValueError, match="'grade' must be >= 1: 0"):
        Checked(idnumber="1", name="ann", grade=0)
    branch = Branch(Checked, importer=[{"idnumber": "1", "name": "ann", "grade": "2"}])
    assert (+branch)["1"].name == "ANN"
    with pytest.raises(RowError, match="row 1: ValueError: 'grade' must be >= 1: 0"):
        +Branch(Checked, importer=[{"idnumber": "1", "name": "ann", "grade": 0}])


def test_a_value_that_the_type_cannot_take_is_refused():
    with pytest.raises(ConversionError, match=r"row 2: grade: .*\(declared: int\)"):
        +Branch(User, importer=[{"idnumber": "1", "name": "a"}, {"idnumber": "2", "name": "b", "grade": "x"}])


class Staff(User):
    room: int = 1


class NowClosed(Open):
    grade: int = 0


class Plain(User):
    """Declares nothing of its own."""


def test_a_subclass_of_a_closed_class_is_closed():
    staff = Staff(idnumber="1", name="Ann", room=2)
    assert repr(staff) == "Staff(idnumber='1', name='Ann', grade=0, tags=set(), room=2, initial='A')"
    assert [field.name for field in attrs.fields(Staff)] == ["idnumber", "name", "grade", "_lastfirst", "tags", "room"]
    for item in (staff, Plain(idnumber="1", name="Ann")):
        assert not hasattr(item, "__dict__")
        with pytest.raises(AttributeError):
            item.colour = "red"


def test_a_subclass_with_fields_of_an_open_class_is_closed():
    item = NowClosed(idnumber="1", grade=2)
    assert item.grade == 2
    with pytest.raises(TypeError, match="colour"):
        NowClosed(idnumber="1", colour="red")
    with pytest.raises(RowError, match="NowClosed has no 'colour'"):
        +Branch(NowClosed, importer=[{"idnumber": "1", "colour": "red"}])


class Counted(Object):
    name: str
    _calls: int = 0

    def __init__(self, name, **others):
        self.__attrs_init__(name=name.title(), **others)
        self._calls += 1


def test_an_init_of_ones_own_is_called():
    assert Counted("ann", idnumber="1").name == "Ann"
    (item,) = (+Branch(Counted, importer=[{"idnumber": "1", "name": "ann lee"}])).values()
    assert (item.name, item._calls) == ("Ann Lee", 1)


# --- open classes -----------------------------------------------------------------------------------------------


def test_an_open_class_takes_whatever_comes():
    item = Open(idnumber="1", _lastfirst="Lee, Ann", grade=7)
    assert (item.name, item.grade) == ("Ann", 7)
    assert repr(item) == "Open(idnumber='1', grade=7, name='Ann')"
    item.colour = "red"
    assert attributes_of(item) == ("grade", "colour", "name")


def test_an_object_needs_its_idnumber():
    with pytest.raises(DeclarationError, match="Open needs idnumber"):
        Open(name="Ann")


def test_object_itself_is_an_open_class():
    item = Object(idnumber="1", name="Ann")
    assert repr(item) == "Object(idnumber='1', name='Ann')"
    assert type(item).__name__ == "Object"
    assert isinstance(item, Object)
    assert repr(Object(idnumber=1)) == "Object(idnumber=1)"


# --- which attributes are synced --------------------------------------------------------------------------------


class Narrow(Object):
    _attributes = ("z", "a")
    a: int = 1
    b: int = 2
    z: int = 3


class Short(Object):
    _identifiers = ("code",)
    code: str
    name: str = ""


class Pair(Object):
    _identifiers = ("school", "number")
    number: int
    school: str
    name: str = ""


class OpenPair(Object):
    _identifiers = ("school", "number")


def test_attributes_narrow_what_is_synced_and_order_the_repr():
    item = Narrow(idnumber="1")
    assert repr(item) == "Narrow(idnumber='1', z=3, a=1)"
    assert attributes_of(item) == ("z", "a")
    assert side_of(Narrow, {"1": item}).attributes == ("a", "z")
    assert not Narrow(idnumber="1", b=5) - item
    assert [action.attr for action in Narrow(idnumber="1", a=5, z=6) - item] == ["a", "z"]


def test_identifiers_are_the_idnumber_and_are_not_synced():
    assert Short(code="x").idnumber == "x"
    assert Pair(school="a", number=1).idnumber == ("a", 1)
    assert OpenPair(school="a", number=1).idnumber == ("a", 1)
    assert repr(Pair(school="a", number=1)) == "Pair(school='a', number=1, name='')"
    assert repr(OpenPair(number=1, school="a", name="x")) == "OpenPair(school='a', number=1, name='x')"
    for item in (Short(code="x"), Pair(school="a", number=1)):
        assert attributes_of(item) == ("name",)
    with pytest.raises(DeclarationError, match="OpenPair needs school, number"):
        OpenPair()


def test_a_class_with_identifiers_has_no_field_idnumber():
    assert [field.name for field in attrs.fields(Pair)] == ["number", "school", "name"]
    branch = +Branch(Pair, importer=[{"school": "b", "number": "2"}, {"school": "a", "number": 10}])
    assert list(branch) == [("a", 10), ("b", 2)]


@pytest.mark.parametrize(
    ("identifiers", "message"),
    [
        ("code", r"Wrong\._identifiers must be a tuple of field names, such as \('name',\)"),
        (("nothing",), r"Wrong\._identifiers names nothing, which is no field of it"),
    ],
)
def test_wrong_identifiers_are_refused(identifiers, message):
    namespace = {"_identifiers": identifiers, "__annotations__": {"code": str}, "__module__": __name__}
    with pytest.raises(DeclarationError, match=message):
        schema_of(type(Object)("Wrong", (Object,), namespace))


def test_an_idnumber_cannot_be_a_property_of_a_closed_class():
    with pytest.raises(DeclarationError, match=r"Wrong\.idnumber is a property: name the fields .* in _identifiers"):

        class Wrong(Object):
            name: str

            @property
            def idnumber(self):
                return self.name


def test_a_repr_shows_a_property_that_fails():
    class Failing(Object):
        @property
        def name(self):
            return 1 / 0

    assert repr(Failing(idnumber="1")) == "Failing(idnumber='1', name=<ZeroDivisionError: division by zero>)"


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "grade", "colour"]), st.text() | st.integers() | st.none()))
def test_a_repr_can_be_evaluated(attributes):
    item = Object(idnumber="1", **attributes)
    assert repr(eval(repr(item))) == repr(item)


# --- the difference of two --------------------------------------------------------------------------------------


def test_the_difference_of_two_objects():
    diff = User(idnumber="1", name="Ann", tags={"x"}) - User(idnumber="1", name="Bob", tags={"y"})
    assert [(action.verb, action.attr, action.value) for action in diff] == [
        ("update", "initial", "A"),
        ("update", "name", "Ann"),
        ("add", "tags", "x"),
        ("remove", "tags", "y"),
    ]
    assert isinstance(diff, Diff)
    assert isinstance(diff[0], Action)


def test_an_object_in_a_branch_gives_its_branch_s_name():
    class Groups(Object):
        members: set[str]

    tree = +Tree(branches={"groups": Branch(Groups, importer=[{"idnumber": "1", "members": {"a"}}])})
    (action,) = tree.groups["1"] - Groups(idnumber="1", members=set())
    assert action.method == "add_members_to_groups"
    (action,) = Groups(idnumber="1", members=set()) - tree.groups["1"]
    assert action.method == "remove_members_from_groups"


def test_an_open_and_a_closed_object_can_be_compared():
    closed = NowClosed(idnumber="1", grade=2)
    with pytest.raises(SchemaMismatchError, match="name: NowClosed has it, Object does not"):
        closed - Object(idnumber="1", grade=2)
    assert not Narrow(idnumber="1") - Object(idnumber="1", a=1, z=3)


def test_objects_with_other_idnumbers_are_different_things():
    with pytest.raises(ComparisonError, match="'1' and '2' are different things: only objects with one idnumber"):
        Object(idnumber="1") - Object(idnumber="2")


def test_a_preview_of_two_objects_is_printed(capsys):
    preview = Object(idnumber="1", name="Ann") > Object(idnumber="1", name="Bob")
    assert isinstance(preview, Preview)
    assert "~ Object 1  name: 'Bob' → 'Ann'\n" in capsys.readouterr().out


class Rude(Object):
    """Has fields named as the methods are."""

    diff: str
    preview: str = ""


def test_fields_may_be_named_as_methods(capsys):
    one, other = Rude(idnumber="1", diff="x"), Rude(idnumber="1", diff="y")
    assert [action.attr for action in one - other] == ["diff"]
    one > other
    assert "diff: 'y' → 'x'" in capsys.readouterr().out


@pytest.mark.parametrize("foil", [5, "x", None, AlwaysEqual(), [], Branch()], ids=lambda one: type(one).__name__)
def test_other_operands_are_refused(foil):
    item = Object(idnumber="1", name="Ann")
    with pytest.raises(TypeError, match="unsupported operand"):
        item - foil
    with pytest.raises(TypeError, match="unsupported operand"):
        foil - item
    for operation in (lambda: item >> foil, lambda: item | foil, lambda: -item, lambda: +item):
        with pytest.raises(TypeError):
            operation()


def test_other_operands_of_greater_than_are_refused():
    item = Object(idnumber="1", name="Ann")
    for operation in (lambda: item > 5, lambda: item < 5, lambda: 5 > item, lambda: item > "x"):  # noqa: SIM300 - both operand orders
        with pytest.raises(TypeError, match="not supported between"):
            operation()


def test_a_foil_on_the_other_side_may_answer_itself():
    assert (Object(idnumber="1") > AlwaysEqual()) is True


def test_objects_are_equal_only_to_themselves():
    one, other = Narrow(idnumber="1"), Narrow(idnumber="1")
    assert one != other
    assert one == one
    assert len({one, other}) == 2


@pytest.mark.parametrize(("value", "count"), [(AlwaysEqual(), 0), (NeverEqual(), 1)], ids=["always", "never"])
def test_foils_as_values(value, count):
    one, other = Object(idnumber="1", name=value), Object(idnumber="1", name=7)
    assert len(one - other) == len(other - one) == count
    assert not one - one


def test_describing_an_object():
    item = User(idnumber="1", name="Ann", _lastfirst="carried")
    outline = item.__outline__()
    assert outline.text == "User '1'"
    assert [row[0] for row in outline.grid.rows()] == [
        "idnumber",
        "name",
        "grade",
        "tags",
        "initial",
        "_lastfirst",
    ]
    assert "Ann" in item._repr_html_()


def test_any_declares_a_field_without_a_type():
    class Loose(Object):
        value: Any = None

    assert Loose(idnumber="1", value=[1]).value == [1]


@pytest.mark.parametrize("base", [Object, type("Base", (Object,), {"__annotations__": {"name": str}})])
def test_a_cached_property_is_refused(base):
    with pytest.raises(DeclarationError, match=r"Late\.initials is cached, and objects change: make it a property"):
        type(base)("Late", (base,), {"initials": cached_property(lambda item: item.name[0])})


@pytest.mark.parametrize("annotation", ["str | None", "None | str", "Optional[str]", str | None, Optional[str]])  # noqa: UP045 - as some write it
def test_a_part_of_a_key_that_may_be_none_is_refused_when_it_is_declared(annotation):
    body = {"__annotations__": {"idnumber": "str", "part": annotation}, "_identifiers": ("idnumber", "part")}
    with pytest.raises(DeclarationError, match=r"^Late\.part may be None, and is part of the key.*prepare\(row\)"):
        type(Object)("Late", (Object,), body)


def test_a_part_of_a_key_that_may_be_none_by_another_name_is_refused_when_it_is_imported():
    class Late(Object):
        idnumber: Literal["a"] | None

    with pytest.raises(DeclarationError, match=r"^Late\.idnumber may be None"):
        +Branch(Late, importer=lambda: [{"idnumber": "a"}])


def test_members_of_a_part_of_a_key_may_be_none():
    class Fine(Object):
        idnumber: "tuple[str | None, str]"  # noqa: UP037 - as text

    assert list(+Branch(Fine, importer=lambda: [{"idnumber": (None, "a")}])) == [(None, "a")]
