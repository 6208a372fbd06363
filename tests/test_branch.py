"""A sorted mapping from idnumber to object."""

import datetime
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import KEYS, NO_LIMITS, WholeAttributes

from datastoresync import (
    Branch,
    ComparisonError,
    ConversionError,
    DeclarationError,
    Importer,
    ImporterError,
    Object,
    Preview,
    Template,
    Tree,
)

law = settings(deadline=None)


class User(Object):
    name: str
    tags: set[str] = set()


class Pair(Object):
    _identifiers = ("school", "number")
    school: str
    number: int


def people(*names, object_class=Object):
    return +Branch(object_class, importer=[{"idnumber": name[0].lower(), "name": name} for name in names])


# --- a mapping --------------------------------------------------------------------------------------------------


@law
@given(st.sampled_from(sorted(KEYS)).flatmap(lambda kind: st.tuples(st.lists(KEYS[kind], unique=True), KEYS[kind])))
def test_a_branch_is_a_sorted_mapping(drawn):
    keys, other = drawn
    branch = +Branch(importer=[{"idnumber": key, "place": place} for place, key in enumerate(keys)])
    expected = {key: place for place, key in enumerate(keys)}
    branch._check()
    assert isinstance(branch, Mapping)
    assert len(branch) == len(expected)
    assert bool(branch) is bool(expected)
    assert list(branch) == list(branch.keys()) == sorted(expected)
    assert list(reversed(branch)) == sorted(expected, reverse=True)
    assert [item.place for item in branch.values()] == [expected[key] for key in sorted(expected)]
    assert [(key, item.place) for key, item in branch.items()] == sorted(expected.items(), key=lambda pair: pair[0])
    assert (other in branch) is (other in expected)
    assert branch.get(other) is (branch[other] if other in expected else None)
    assert all(branch[key].idnumber == key for key in expected)
    assert branch.keys() - {other} == expected.keys() - {other}


@law
@given(
    st.sampled_from(["text", "whole", "pair", "day"]).flatmap(
        lambda kind: st.tuples(*[st.lists(KEYS[kind], unique=True, min_size=2)] * 2)
    )
)
def test_a_range_is_half_open(drawn):
    keys, (start, stop, *_) = drawn
    branch = +Branch(importer=[{"idnumber": key} for key in keys])
    assert [item.idnumber for item in branch.range(start, stop)] == sorted(key for key in keys if start <= key < stop)
    assert [item.idnumber for item in branch.range(start)] == sorted(key for key in keys if start <= key)
    assert [item.idnumber for item in branch.range(stop=stop)] == sorted(key for key in keys if key < stop)
    assert list(branch.range()) == list(branch.values())


@law
@given(st.sets(st.text("ab\U0010ffff", min_size=1, max_size=3)), st.text("ab\U0010ffff", max_size=2))
def test_a_prefix_finds_what_begins_so(keys, start):
    branch = +Branch(importer=[{"idnumber": key} for key in keys])
    assert [item.idnumber for item in branch.prefix(start)] == sorted(key for key in keys if key.startswith(start))


def test_a_key_that_is_not_there():
    branch = people("Ann")
    with pytest.raises(KeyError) as caught:
        branch["x"]
    assert caught.value.args == ("no 'x' in Object",)
    tree = +Tree("school", branches={"users": branch})
    with pytest.raises(KeyError, match=r"no 1 in school\.users"):
        tree.users[1]
    assert 1 not in tree.users


def test_branches_are_equal_only_to_themselves():
    one, other = people("Ann"), people("Ann")
    assert one == one
    assert one != other
    assert one != dict(one)
    assert len({one, other}) == 2


def test_objects_are_found_by_their_attributes():
    class Named(Object):
        @property
        def length(self):
            return len(self.name)

    branch = people("Ann", "Bob", "Joanna", object_class=Named)
    assert [item.name for item in branch.find(length=3)] == ["Ann", "Bob"]
    assert [item.name for item in branch.find(length=3, name="Bob")] == ["Bob"]
    assert branch.find(name="Nobody") == []
    assert branch.find() == list(branch.values())
    with pytest.raises(ComparisonError, match="Named has no attribute nmae: there are length, name"):
        branch.find(nmae="Ann")
    assert [item.idnumber for item in branch.find(idnumber="a")] == ["a"]


def test_find_means_by_equal_what_a_comparison_does():
    branch = +Branch(importer=[{"idnumber": "1", "score": float("nan"), "tags": ["a", "b"], "_carried": 1}])
    assert len(branch.find(score=float("nan"))) == 1
    assert len(branch.find(tags={"b", "a"})) == 1
    assert len(branch.find(_carried=1)) == 1
    assert Branch().find(anything=1) == []


# --- changing it ------------------------------------------------------------------------------------------------


def test_new_makes_an_object_as_an_import_does():
    branch = Branch(User)
    user = branch.new("2", name="Bob", tags=["x"])
    assert branch["2"] is user
    assert user.tags == {"x"}
    branch.new("1", name="Ann")
    assert list(branch) == ["1", "2"]
    branch._check()
    with pytest.raises(ImporterError, match="User: idnumber '1' is there already: change it, or remove it first"):
        branch.new("1", name="Ann")
    with pytest.raises(ImporterError, match="User: row 1: User has no 'nmae' \\(did you mean 'name'\\?\\)"):
        branch.new("3", name="Cy", nmae="Cy")
    with pytest.raises(ImporterError, match="idnumber is ''"):
        branch.new("", name="Cy")
    with pytest.raises(ConversionError):
        branch.new("3", name=["Cy"])
    assert list(branch) == ["1", "2"]
    branch._check()


def test_new_takes_composite_idnumbers_whole_or_in_parts():
    branch = Branch(Pair)
    branch.new(("b", 1))
    branch.new(school="a", number="10")
    assert list(branch) == [("a", 10), ("b", 1)]
    branch._check()


def test_new_refuses_an_idnumber_that_cannot_be_sorted_among_the_others():
    branch = people("Ann")
    with pytest.raises(ComparisonError, match="idnumber 1 cannot be sorted among the others in Object"):
        branch.new(1, name="Bob")
    branch._check()


def test_remove_gives_what_it_takes_out():
    branch = people("Ann", "Bob")
    ann = branch["a"]
    assert branch.remove("a") is ann
    assert list(branch) == ["b"]
    with pytest.raises(KeyError, match="no 'a' in Object"):
        branch.remove("a")
    branch._check()


def test_an_import_replaces_the_contents():
    rows = [{"idnumber": "1", "name": "Ann"}]
    branch = Branch(importer=lambda: rows)
    assert +branch is branch
    first = branch["1"]
    rows.append({"idnumber": "0", "name": "Bob"})
    +branch
    assert list(branch) == ["0", "1"]
    assert branch["1"] is not first
    assert (branch.imported.rows, branch.imported.objects, branch.imported.ok) == (2, 2, True)


def test_a_branch_without_an_importer_stays_as_it_is():
    branch = Branch()
    branch.new("1")
    +branch
    assert list(branch) == ["1"]
    assert branch.imported is None


def test_idnumbers_that_cannot_be_sorted_are_refused():
    class Odd:
        pass

    branch = people("Ann")
    branch.importer = Importer()
    branch.importer.read = lambda: [{"idnumber": Odd()}, {"idnumber": Odd()}]
    with pytest.raises(ImporterError, match="Object: the idnumbers cannot be sorted: '<' not supported"):
        +branch
    assert list(branch) == ["a"]


def test_an_importer_that_is_after_what_is_not_there_changes_nothing():
    class Derived(Importer):
        after = ("people",)

        def read(self):
            return []

    tree = Tree(branches={"groups": Branch()})
    tree.groups.new("1")
    tree.groups.importer = Derived()
    with pytest.raises(KeyError, match="no branch 'people'"):
        +tree.groups
    assert list(tree.groups) == ["1"]


@pytest.mark.parametrize("wrong", [dict, "User", User(idnumber="1", name="x")], ids=repr)
def test_a_branch_holds_objects(wrong):
    with pytest.raises(DeclarationError, match=r"a branch holds objects: give it a subclass of datastoresync\.Obj"):
        Branch(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("people.csv", r"\(got 'people.csv'\); for a file write CSVImporter\('people.csv'\)"),
        (7, r"an importer, a function, a syncer, a dataframe or rows are wanted \(got 7\)"),
        ({"idnumber": "1"}, "are wanted"),
    ],
)
def test_what_is_no_importer_is_refused(wrong, message):
    with pytest.raises(DeclarationError, match=message):
        Branch(importer=wrong)


# --- the operators ----------------------------------------------------------------------------------------------


def test_the_difference_of_two_branches(capsys):
    one, other = people("Ann", "Bob"), people("Anna")
    assert [action.message for action in one - other] == [
        "new_(idnumber='b')",
        "update_name(idnumber='a', attr='name', value='Ann')",
    ]
    assert one.diff(other, only="new") == (one - other)[:1]
    preview = one > other
    assert isinstance(preview, Preview)
    assert "new=1 update=1" in capsys.readouterr().out


def test_branches_of_other_names_are_of_different_kinds():
    tree = Tree("school", branches={"users": Branch(), "staff": Branch()})
    with pytest.raises(ComparisonError, match=r"school\.users and school\.staff are different kinds of things"):
        tree.users - tree.staff
    assert not tree.users - Branch()


def test_a_branch_is_applied_through_its_tree():
    source, dest = (
        +Tree(name, template=WholeAttributes, branches={"users": Branch(importer=rows), "staff": Branch(importer=rows)})
        for name, rows in (("source", [{"idnumber": "1", "name": "x"}]), ("dest", []))
    )
    report = source.users >> dest.users
    assert report.ok
    assert report.succeeded == 1
    assert (len(dest.users), len(dest.staff)) == (1, 0)
    assert (dest.users.sync_to(source.users, limits=NO_LIMITS)).planned == 0
    with pytest.raises(DeclarationError, match="a branch without a tree has no template"):
        source.users >> Branch()


SLIPS = {
    "branch - 5": (lambda one: one - 5, "unsupported operand"),
    "5 - branch": (lambda one: 5 - one, "unsupported operand"),
    "branch - {}": (lambda one: one - {}, "unsupported operand"),
    "branch > 5": (lambda one: one > 5, "not supported between"),
    "5 > branch": (lambda one: 5 > one, "not supported between"),  # noqa: SIM300 - both operand orders
    "branch >> 5": (lambda one: one >> 5, "unsupported operand"),
    "branch >> Template": (lambda one: one >> Template, "unsupported operand"),
    "branch - tree": (lambda one: one - Tree(), "unsupported operand"),
    "branch | Template": (lambda one: one | Template, r"write \(source > dest\) \| Template"),
    "branch > branch | Template": (lambda one: one > one | Template, r"write \(source > dest\) \| Template"),
    "-branch": (lambda one: -one, r"a branch has no minus: the diff that undoes another is -\(source - dest\)"),
    "branch > branch > branch": (lambda one: one > one > one, "a preview is neither true nor false"),
}


@pytest.mark.parametrize(("operation", "message"), SLIPS.values(), ids=SLIPS)
def test_slips_are_refused(operation, message):
    with pytest.raises(TypeError, match=message):
        operation(people("Ann"))


# --- folding ----------------------------------------------------------------------------------------------------


class Computed(Object):
    _first: str = ""

    @property
    def name(self):
        return self._first.upper()


def test_what_a_property_gives_is_noted_beside_the_object_until_the_next_import():
    rows = [{"idnumber": "1", "_first": "ann"}]
    dest = +Branch(Computed, importer=rows)
    source = +Branch(importer=[{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}])
    diff = source - dest
    for action in diff:
        diff.fold(action)
    assert not source - dest
    assert dest["1"].name == "ANN"
    assert dest.find(name="Ann") == [dest["1"]]
    dest._check()
    dest.remove("2")
    dest.new("2", _first="bob")
    assert [action.value for action in source - dest] == ["Bob"]
    +dest
    assert len(source - dest) == 2


def test_what_is_folded_belongs_to_the_destination_alone():
    source, dest = people("Ann"), people("Bob")
    source["a"].tags, dest["b"].tags = {"x"}, set()
    diff = source - dest
    for action in diff:
        diff.fold(action)
    source["a"].tags.add("y")
    assert dest["a"].tags == {"x"}
    assert [action.verb for action in source - dest] == ["add"]


def test_an_action_for_an_object_that_is_gone_is_passed_over():
    source, dest = people("Ann"), people("Anna")
    diff = source - dest
    dest.remove("a")
    diff.fold(diff[0])
    assert len(dest) == 0


# --- how it looks -----------------------------------------------------------------------------------------------


def test_reprs():
    assert repr(people("Ann", object_class=User)) == "<Branch: 1 object of User>"
    assert repr(Tree("school", branches={"users": Branch()}).users) == "<Branch school.users: 0 objects of Object>"


def test_a_branch_shows_its_objects():
    branch = people("Ann", "Bob")
    shown = branch.text()
    assert "2 objects" in shown
    assert "Ann" in shown
    assert "Bob" in branch._repr_html_()
    assert len(people(*map(chr, range(97, 123))).text(lines=10).splitlines()) == 10


def test_a_value_that_cannot_be_computed_is_shown_as_such():
    class Failing(Object):
        @property
        def name(self):
            return 1 / 0

    branch = +Branch(Failing, importer=[{"idnumber": "1"}])
    assert "ZeroDivisionError: division by zero" in branch.text(columns=None)


def test_dates_are_idnumbers_too():
    days = [datetime.date(2024, 1, day) for day in (3, 1, 2)]
    branch = +Branch(importer=[{"idnumber": day} for day in days])
    assert [item.idnumber.day for item in branch.range(days[1], days[0])] == [1, 2]


def test_a_slice_is_refused_with_what_gives_the_objects():
    with pytest.raises(TypeError, match=r"those from one up to another are Object\.range\("):
        Branch(Object)["5":"7"]
