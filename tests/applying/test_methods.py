"""The names of a template's methods: what is nearly one is refused before the first action, and helpers are helpers."""

import functools
import re
from abc import abstractmethod

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from datastoresync import Branch, CollectingReporter, DeclarationError, Object, Report, Result, Template, Tree, batch
from datastoresync.vocabularies.synctree import DefaultTemplate, SyncTree


class User(Object):
    name: str
    mail_address: str = ""


class Group(Object):
    _references = {"members": "users"}
    members: set[str] = set()


USERS = [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}]
NAMES = {
    "new": ["new_users", "new_groups"],
    "update": ["update_users_name", "update_name", "update_users", "update", "update_mail_address"],
    "add": ["add_members_to_groups", "add_members", "update_groups_members"],
    "remove": ["remove_members_from_groups", "remove_members"],
    "old": ["old_users", "old_groups"],
}
ALL = [name for names in NAMES.values() for name in names]


def trees():
    source = {"users": USERS, "groups": [{"idnumber": "g", "members": {"1"}}]}
    dest = {"users": [{"idnumber": "1", "name": "Anna"}], "groups": [{"idnumber": "g", "members": set()}]}
    classes = {"users": User, "groups": Group}
    return [
        +Tree(name, branches={branch: Branch(classes[branch], importer=rows) for branch, rows in those.items()})
        for name, those in (("source", source), ("dest", dest))
    ]


class Recorder(Template):
    """Handles everything by the least specific methods, and keeps what it was called with."""

    def __init__(self):
        self.calls = []

    def new(self, action):
        self.calls.append(action)

    update = old = new


def template_with(name, method, base=Recorder):
    return type("Accounts", (base,), {name: method})()


def taking(self, action):
    self.calls.append(action)


def refusal(template):
    """Return the message with which a template is refused; nothing was called, changed or reported by then."""
    source, dest = trees()
    heard, before = CollectingReporter(), list(source - dest)
    with pytest.raises(DeclarationError) as caught:
        template.apply(source - dest, reporters=[heard])
    assert list(source - dest) == before
    assert (heard.plan, getattr(template, "calls", [])) == (None, [])
    return str(caught.value)


# Misspelt ------------------------------------------------------------------------------------------------------------


@given(name=st.sampled_from(ALL), slip=st.sampled_from(["lost", "twice", "swapped"]), data=st.data())
@example(name="new_users", slip="lost", data=None)
def test_one_slip_in_any_name_is_refused_with_the_right_one(name, slip, data):
    assume(name != "update")  # Recorder has it
    place = len(name) - 1 if data is None else data.draw(st.integers(0, len(name) - 1))
    slips = {
        "lost": name[:place] + name[place + 1 :],
        "twice": name[: place + 1] + name[place:],
        "swapped": name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
    }
    wrong = slips[slip]
    assume(wrong not in ALL and not wrong.startswith("_"))
    assert f"no action calls Accounts.{wrong}: did you mean '{name}'?" in refusal(template_with(wrong, taking))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("newUsers", "new_users"),
        ("Update_Name", "update_name"),
        ("new_user", "new_users"),
        ("udpate_nmae", "update_name"),
        ("add_member", "add_members"),
        ("add_members_to_group", "add_members_to_groups"),
        ("remove_members_to_groups", "remove_members_from_groups"),
        ("add_members_in_groups", "add_members_to_groups"),
        ("add_groups_members", "add_members_to_groups"),
        ("update_name_users", "update_users_name"),
        ("update_mailaddress", "update_mail_address"),
    ],
)
def test_other_slips(wrong, right):
    assert f"did you mean '{right}'?" in refusal(template_with(wrong, taking))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("udpate", "update"), ("nwe", "new"), ("create_users", "new_users"), ("remove_users", "old_users")],
)
def test_what_no_other_method_handles(wrong, right):
    assert f"did you mean '{right}'?" in refusal(template_with(wrong, taking, Template))


def test_all_of_them_are_named_at_once():
    class Accounts(Template):
        def new_usres(self, action): ...

        @batch(10)
        def old_grops(self, actions): ...

        @staticmethod
        def updaet(action): ...

    message = refusal(Accounts())
    for right in ("new_users", "old_groups", "update"):
        assert f"did you mean '{right}'?" in message


def test_the_words_of_synctree_are_held_against_the_methods_too():
    tree = SyncTree(["source", "destination"], ["students"])
    tree.new("source", "students", "1")
    with pytest.raises(DeclarationError, match=r"no action calls Accounts.new_student: did you mean 'new_students'"):
        (tree.source > tree.destination) | template_with("new_student", lambda self, action: None, DefaultTemplate)


# Helpers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("_fetch", "_new_user", "fetch", "new_session", "update_cache", "old_value_of", "old_value", "new_name"),
        *("old_name", "add_header", "send", "remove_temporary_files", "new_password_for", "updated", "update_rate"),
        *("update_token", "names", "user_of", "connect", "add_to_cache", "adds", "renew"),
        *("create_users", "remove_users", "delete_users"),
    ],
)
def test_helpers_are_left_alone(name):
    source, dest = trees()
    assert (source - dest | template_with(name, taking)).ok


def test_what_cannot_take_an_action_is_a_helper():
    class Accounts(Recorder):
        limit_of_users = new_user_count = 7
        update_names = str  # a class to convert with

        def new_user(self, name, mail): ...
        def add_member(self, group, user): ...
        def update_user(self): ...

        @property
        def old_user(self):
            raise AssertionError("a property is not asked for its value")

    source, dest = trees()
    assert (source - dest | Accounts).ok


def test_what_resembles_a_method_that_is_there_helps_it():
    class Accounts(Recorder):
        def new_users(self, action):
            self.new_user(action)

        new_user = taking
        add_members_to_groups = add_member = taking

    source, dest = trees()
    template = Accounts()
    assert (source - dest | template).ok
    assert [action.idnumber for action in template.calls] == ["2", "1", "g"]


def test_methods_for_other_branches_of_the_trees_are_none_of_these_misspelt():
    class Accounts(Recorder):
        new_terms = update_terms_week = new_teams = taking

    names = ("teams", "terms")
    source, dest = (
        +Tree(name, branches={each: Branch(Object, importer=rows) for each in names})
        for name, rows in (("a", [{"idnumber": "1", "week": 1}]), ("b", [{"idnumber": "2", "week": 1}]))
    )
    assert Accounts().apply((source.teams - dest.teams).only("new")).ok
    with pytest.raises(DeclarationError, match="did you mean 'new_teams'"):
        template_with("new_teans", taking).apply((source.teams - dest.teams).only("new"))


# What cannot be called -----------------------------------------------------------------------------------------------


def generating(self, action):
    yield action


async def generating_later(self, action):
    yield action


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lambda self: None, r"new_users cannot be called with 1 argument: it is \(\)"),
        (lambda self, action, more: None, r"with 1 argument: it is \(action, more\)"),
        (batch(5)(lambda self: None), "cannot be called with 1 argument"),
        (generating, "new_users has a yield"),
        (generating_later, "new_users has a yield"),
        (abstractmethod(lambda self, action: None), "new_users is abstract"),
        (Result, "new_users is a class"),
    ],
)
def test_a_method_that_cannot_do_anything_is_refused(method, message):
    assert re.search(message, refusal(template_with("new_users", method)))


@pytest.mark.parametrize(
    "method",
    [
        lambda self, action, retries=3: self.calls.append(action),
        lambda self, *actions: self.calls.append(*actions),
        staticmethod(lambda action: None),
        functools.wraps(lambda self, session, action: None)(lambda self, action: None),
        functools.partialmethod(lambda self, session, action: None, "session"),
        print,
    ],
)
def test_whatever_takes_one_action_is_a_method(method):
    source, dest = trees()
    assert (source - dest | template_with("new_users", method)).ok


# What is not handled -------------------------------------------------------------------------------------------------


class OnlyNew(Template):
    def new(self, action): ...


def test_what_no_method_takes_makes_a_report_false():
    source, dest = trees()
    report = source - dest | OnlyNew
    assert (report.unhandled, report.ok, bool(report), report.exit_code) == (2, False, False, 1)
    assert Report((Result("succeeded"), Result("skipped")))
    assert not Report((Result("failed"),))


@pytest.mark.parametrize("mock", [False, True])
@pytest.mark.parametrize(
    "names", [("update",), ["update_name", "add_members_to_groups"], {"update_users", "add_members"}]
)
def test_unless_the_template_says_so(names, mock):
    class Accounts(OnlyNew):
        leaves_out = names

    source, dest = trees()
    heard = CollectingReporter()
    report = Accounts().apply(source - dest, mock=mock, reporters=[heard])
    assert (report.skipped, report.unhandled, report.ok) == (2, 0, True)
    assert {result.reason for result in report.results if result.status == "skipped"} == {"the template leaves it out"}
    assert heard.plan.unhandled == {}
    assert len(source - dest) == (3 if mock else 2)


def test_what_is_left_out_goes_before_a_less_specific_method():
    class Accounts(Recorder):
        leaves_out = ("update_users_name",)

    source, dest = trees()
    template = Accounts()
    assert (source - dest | template).skipped == 1
    assert len(template.calls) == 2
    assert "name" not in {action.attr for action in template.calls}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("old", "updaet_name"), "leaves_out names 'updaet_name', which no action calls: did you mean 'update_name'"),
        (("old_people",), "leaves_out names 'old_people', which no action calls"),
        (("new",), "Accounts leaves out new, and has it"),
        ("old", r"leaves_out must be a tuple of names: \('old',\)"),
    ],
)
def test_what_is_left_out_is_spelt_right(names, message):
    source, dest = trees()
    with pytest.raises(DeclarationError, match=message):
        source - dest | type("Accounts", (OnlyNew,), {"leaves_out": names})


# Objects with methods ------------------------------------------------------------------------------------------------


def stored(**methods):
    """Return a source of one object more than its destination, whose class has these methods."""

    def create(cls, tree, ids, attrs): ...

    body = {"__annotations__": {"name": str}, "__module__": __name__, "create": classmethod(create), **methods}
    cls = type(Object)("Account", (Object,), body)
    rows = [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}]
    return [
        +Tree(name, branches={"users": Branch(cls, importer=some)}) for name, some in (("a", rows), ("b", rows[:1]))
    ]


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"udpate": lambda self, attrs: None}, "nothing calls Account.udpate: did you mean 'update'"),
        ({"delet": lambda self: None}, "nothing calls Account.delet: did you mean 'delete'"),
        ({"update": lambda self: None}, r"Account.update cannot be called with 2 arguments: it is \(self\)"),
        ({"create": lambda cls, tree, ids, attrs: None}, "Account.create is called before .* write @classmethod"),
        ({"delete": generating}, "Account.delete has a yield"),
    ],
)
def test_methods_of_objects_are_spelt_right(methods, message):
    source, dest = stored(**methods)
    with pytest.raises(DeclarationError, match=message):
        source >> dest
    assert len(dest.users) == 1


def test_an_object_may_have_helpers_and_leave_out_a_change():
    source, dest = stored(updated=lambda self: None, moved=lambda self: None, delete=None)
    assert (source >> dest).ok
    source.users.remove("2")
    report = source >> dest
    assert (report.skipped, report.unhandled, report.ok) == (1, 0, True)
