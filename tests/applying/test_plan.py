"""Which method takes an action, in which order they go, and when members are united into an update."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync import Action, Branch, Limits, Object, Template, Tree, batch, failed, succeeded
from datastoresync.applying.plan import Plan

ANYTHING = Limits(deletions=10_000, updates=10_000, removals=10_000, dangling=10_000, empty=["users", "groups"])

LOOKED_UP = {
    "new": ["new_groups", "new"],
    "update": ["update_groups_name", "update_name", "update_groups", "update"],
    "add": [
        "add_members_to_groups",
        "add_members",
        "update_groups_members",
        "update_members",
        "update_groups",
        "update",
    ],
    "remove": [
        "remove_members_from_groups",
        "remove_members",
        "update_groups_members",
        "update_members",
        "update_groups",
        "update",
    ],
    "old": ["old_groups", "old"],
}

SIDES = {
    "new": ([{"idnumber": "g", "name": "x"}], []),
    "old": ([], [{"idnumber": "g", "name": "x"}]),
    "update": ([{"idnumber": "g", "name": "x"}], [{"idnumber": "g", "name": "y"}]),
    "add": ([{"idnumber": "g", "members": {"1", "2"}}], [{"idnumber": "g", "members": set()}]),
    "remove": ([{"idnumber": "g", "members": set()}], [{"idnumber": "g", "members": {"1", "2"}}]),
}


def tree(name, object_class=Object, **rows):
    branches = {branch: Branch(object_class, importer=list(those)) for branch, those in rows.items()}
    return +Tree(name, branches=branches)


def template_with(names, size=None):
    """Return a template that has just these methods, and the list of its calls."""
    calls = []

    def method(name):
        def call(self, given):
            calls.append((name, given))

        return batch(size)(call) if size else call

    return type("Recorder", (Template,), {name: method(name) for name in names})(), calls


@pytest.mark.parametrize("verb", LOOKED_UP)
@given(data=st.data())
@settings(deadline=None)
def test_the_most_specific_method_that_exists_is_called(verb, data):
    names = data.draw(st.sets(st.sampled_from(LOOKED_UP[verb]), min_size=1))
    others = data.draw(st.sets(st.sampled_from([name for table in LOOKED_UP.values() for name in table])))
    others -= set(LOOKED_UP[verb])
    wanted = next(name for name in LOOKED_UP[verb] if name in names)
    source, dest = (tree(name, groups=rows) for name, rows in zip(("source", "dest"), SIDES[verb], strict=True))
    template, calls = template_with(names | others)
    report = template.apply(source - dest, limits=ANYTHING)
    assert {name for name, _ in calls} == {wanted}
    assert report.ok
    assert report.unhandled == 0
    assert {result.method for result in report.results} == {wanted}
    assert not source - dest


@pytest.mark.parametrize("verb", LOOKED_UP)
def test_a_method_is_not_called_for_what_is_not_its_own(verb):
    source, dest = (tree(name, groups=rows) for name, rows in zip(("source", "dest"), SIDES[verb], strict=True))
    foreign = {name for table in LOOKED_UP.values() for name in table} - set(LOOKED_UP[verb])
    template, calls = template_with({*foreign, "new_users", "update_users", "members_to_groups"})
    diff = source - dest
    report = template.apply(diff, limits=ANYTHING)
    assert calls == []
    assert report.unhandled == len(diff)
    assert report.unhandled_methods == {LOOKED_UP[verb][0]: len(diff)}


def test_what_is_no_method_is_passed_over():
    class Odd(Template):
        new_groups = "not callable"
        calls = []

        def new(self, action):
            self.calls.append(action.idnumber)

    source, dest = tree("source", groups=SIDES["new"][0]), tree("dest", groups=[])
    assert (source - dest | Odd).ok
    assert Odd.calls == ["g"]


# Members ------------------------------------------------------------------------------------------------------------

MEMBERS = st.sets(st.sampled_from("abcdef"))


@given(MEMBERS, MEMBERS, st.sampled_from(["add", "remove", "both", "neither"]))
@settings(deadline=None)
def test_members_without_a_method_are_united_into_one_update(wanted, there, own):
    names = {"update_members"}
    names |= {"add_members"} if own in ("add", "both") else set()
    names |= {"remove_members"} if own in ("remove", "both") else set()
    source = tree("source", groups=[{"idnumber": "g", "members": wanted}])
    dest = tree("dest", groups=[{"idnumber": "g", "members": there}])
    template, calls = template_with(names)
    diff = source - dest
    report = template.apply(diff, limits=ANYTHING)
    assert report.ok
    assert report.planned == len(calls)
    assert not source - dest
    updates = [action for name, action in calls if name == "update_members"]
    assert len(updates) <= 1
    added, removed = wanted - there, there - wanted
    left = (added if own not in ("add", "both") else set()) | (removed if own not in ("remove", "both") else set())
    assert bool(updates) == bool(left)
    for action in updates:
        assert (action.verb, action.attr, action.value) == ("update", "members", wanted)
        assert action.old_value == there, "what the destination had, whatever was done to it meanwhile"
    assert {action.value for name, action in calls if name == "add_members"} == (
        added if own in ("add", "both") else set()
    )


def test_the_update_of_members_names_what_is_there_as_a_whole():
    source = tree("source", groups=[{"idnumber": "g", "members": ["a", "b"]}])
    dest = tree("dest", groups=[{"idnumber": "g", "members": ["b", "c"]}])
    template, calls = template_with({"update"})
    report = source - dest | template
    ((name, action),) = calls
    assert name == "update"
    assert action == Action("update", "groups", "g", "members", ["a", "b"], ["b", "c"])
    assert action.source is source.groups["g"]
    assert report.planned == 1


def test_members_that_nothing_takes_stay_members():
    source, dest = (tree(name, groups=rows) for name, rows in zip(("source", "dest"), SIDES["add"], strict=True))
    report = source - dest | Template
    assert report.unhandled_methods == {"add_members_to_groups": 2}


# Batches ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(0, 25))
@settings(deadline=None)
def test_a_batch_holds_all_actions_in_order_and_never_more_than_its_size(size, count):
    source = tree("source", users=[{"idnumber": number} for number in range(count)])
    dest = tree("dest", users=[])
    template, calls = template_with({"new_users"}, size)
    report = source - dest | template
    assert [action.idnumber for _, actions in calls for action in actions] == list(range(count))
    assert all(isinstance(actions, list) for _, actions in calls)
    assert [len(actions) for _, actions in calls] == [size] * (count // size) + [count % size] * bool(count % size)
    assert report.succeeded == report.planned == count


def test_a_batch_never_mixes_methods():
    source = tree("source", users=[{"idnumber": n, "name": "a", "grade": 1} for n in range(3)])
    dest = tree("dest", users=[{"idnumber": n, "name": "b", "grade": 2} for n in range(3)])
    template, calls = template_with({"update_name", "update_grade"}, 10)
    assert (source - dest | template).ok
    assert all({action.attr for action in actions} == {name.removeprefix("update_")} for name, actions in calls)
    assert sum(len(actions) for _, actions in calls) == 6


# Order --------------------------------------------------------------------------------------------------------------


class Employee(Object):
    manager: str | None
    _references = {"manager": "employees"}


class Team(Object):
    _children = {"people": "team"}


class Person(Object):
    team: str
    _references = {"team": "teams"}


def employees(name, rows):
    return +Tree(name, branches={"employees": Branch(Employee, importer=list(rows))})


@st.composite
def forests(draw):
    """Return employees of which each but the first ones has a manager, named so that no order can be guessed."""
    names = draw(st.lists(st.text("abcxyz", min_size=1, max_size=4), unique=True, max_size=15))
    return [
        {"idnumber": name, "manager": draw(st.sampled_from([None, *names[:place]])) if place else None}
        for place, name in enumerate(names)
    ]


@given(forests())
@settings(deadline=None)
def test_a_manager_is_created_before_and_deleted_after_those_who_report_to_him(rows):
    source, dest = employees("source", rows), employees("dest", [])
    managers = {row["idnumber"]: row["manager"] for row in rows}
    for diff, verb in ((source - dest, "new"), (-(source - dest), "old")):
        template, calls = template_with({"new", "old"})
        report = template.apply(diff, limits=Limits(deletions=100, dangling=100, empty=["employees"]))
        order = [action.idnumber for _, action in calls]
        assert {name for name, _ in calls} <= {verb}
        assert sorted(order) == sorted(managers)
        assert report.ok
        for name, manager in managers.items():
            if manager is not None:
                first, second = (manager, name) if verb == "new" else (name, manager)
                assert order.index(first) < order.index(second)


@given(st.integers(1, 6))
@settings(deadline=None)
def test_a_circle_of_references_is_broken_rather_than_refused(size):
    rows = [{"idnumber": str(n), "manager": str((n + 1) % size)} for n in range(size)]
    source, dest = employees("source", rows), employees("dest", [])
    template, calls = template_with({"new"})
    assert (source - dest | template).ok
    assert sorted(action.idnumber for _, action in calls) == [str(n) for n in range(size)]


def test_a_long_chain_of_references_needs_no_recursion():
    count = 3_000
    rows = [{"idnumber": n, "manager": n + 1 if n + 1 < count else None} for n in range(count)]

    class Numbered(Object):
        idnumber: int
        manager: int | None
        _references = {"manager": "employees"}

    source = +Tree("source", branches={"employees": Branch(Numbered, importer=rows)})
    dest = +Tree("dest", branches={"employees": Branch(Numbered)})
    plan = Plan.through(Template(), source - dest)
    assert [action.idnumber for action in plan.actions] == list(reversed(range(count)))


@pytest.mark.parametrize("names", [("teams", "people"), ("people", "teams")])
def test_parents_are_created_first_and_deleted_last_whatever_the_branches_order(names):
    classes = {"teams": Team, "people": Person}
    rows = {"teams": [{"idnumber": "t"}], "people": [{"idnumber": "p", "team": "t"}]}
    full = +Tree("full", branches={name: Branch(classes[name], importer=rows[name]) for name in names})
    empty = +Tree("empty", branches={name: Branch(classes[name], importer=[]) for name in names})
    limits = Limits(deletions=10, empty=names, dangling=10)
    template, calls = template_with({"new", "old"})
    template.apply(full - empty, limits=limits)
    assert [(action.verb, action.branch) for _, action in calls] == [("new", "teams"), ("new", "people")]
    calls.clear()
    blank = +Tree("blank", branches={name: Branch(classes[name], importer=[]) for name in names})
    template.apply(blank - full, limits=limits)
    assert [(action.verb, action.branch) for _, action in calls] == [("old", "people"), ("old", "teams")]


def test_creations_come_first_then_updates_then_deletions():
    source = tree("source", users=[{"idnumber": "a", "name": "x"}, {"idnumber": "c", "name": "new"}])
    dest = tree("dest", users=[{"idnumber": "a", "name": "y"}, {"idnumber": "b", "name": "old"}])
    template, calls = template_with({"new", "update", "old"})
    source - dest | template
    assert [name for name, _ in calls] == ["new", "update", "old"]


# What a plan says ---------------------------------------------------------------------------------------------------


def test_a_plan_names_what_will_be_called_without_calling_it():
    source = tree("source", users=[{"idnumber": "a", "name": "x"}, {"idnumber": "c", "name": "n"}])
    dest = tree("dest", users=[{"idnumber": "a", "name": "y"}])
    template, calls = template_with({"new"})
    plan = Plan.through(template, source - dest)
    assert calls == []
    assert [step.method for step in plan.steps] == ["new", "update_users_name"]
    assert plan.unhandled == {"update_users_name": 1}
    assert [action.method for action in plan.actions] == ["new_users", "update_name"]


# Parts of memberships -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"a", "c"}),
        ({"exclude": "remove"}, {"a", "b", "c"}),
        ({"exclude": "add"}, {"a"}),
        ({"only": "add"}, {"a", "b", "c"}),
    ],
)
@pytest.mark.parametrize("way", ["template", "methods"])
def test_an_update_of_a_whole_changes_just_the_members_that_are_meant(way, options, expected):
    written = []

    class Group(Object):
        members: set[str]

        if way == "methods":

            def update(self, attrs):
                written.append(attrs["members"])

    class Updates(Template):
        def update(self, action):
            written.append(action.value)

    source, dest = (Tree(name, branches={"groups": Branch(Group)}) for name in ("source", "dest"))
    dest.template = Updates if way == "template" else None
    source["groups"].new("1", members={"a", "c"})
    dest["groups"].new("1", members={"a", "b"})
    source.sync_to(dest, **options)
    assert written == [expected]
    assert dest["groups"]["1"].members == expected


ANYTHING_GOES = Limits(deletions=10, empty="areas")


def test_what_is_below_something_never_shares_its_batch():
    class Area(Object):
        _children = {"areas": "within"}
        _references = {"within": "areas"}
        within: str | None = None

    calls = []

    class Batches(Template):
        @batch(10)
        def new_areas(self, actions):
            calls.append([action.idnumber for action in actions])
            return [failed("no") if action.idnumber == "a" else succeeded() for action in actions]

        @batch(10)
        def old_areas(self, actions):
            calls.append([action.idnumber for action in actions])
            return [failed("no") if action.idnumber == "c" else succeeded() for action in actions]

    rows = [{"idnumber": "a"}, {"idnumber": "b", "within": "a"}, {"idnumber": "c", "within": "b"}, {"idnumber": "d"}]
    full = +Tree("full", branches={"areas": Branch(Area, importer=rows)}, template=Batches)
    empty = +Tree("empty", branches={"areas": Branch(Area, importer=[])}, template=Batches)
    report = full >> empty
    assert calls == [["a", "d"]]
    assert [(result.action.idnumber, result.status) for result in report.results] == [
        ("a", "failed"),
        ("d", "succeeded"),
        ("b", "skipped"),
        ("c", "skipped"),
    ]
    calls.clear()
    report = (+empty).sync_to(full, limits=ANYTHING_GOES)
    assert calls == [["d", "c"]]
    assert (report.failed, report.skipped, report.succeeded) == (1, 2, 1)


class Staff(Object):
    _references = {"boss": "staff", "team": "teams"}
    boss: str | None = None
    team: str | None = None


class Place(Object):
    pass


def test_what_refers_to_something_never_shares_its_batch():
    calls = []

    class Batches(Template):
        def carry_out(self, actions):
            calls.append([action.idnumber for action in actions])
            bad = ("z1", "t2") if actions[0].verb == "new" else ("a1",)
            return [failed("no") if action.idnumber in bad else succeeded() for action in actions]

        new = batch(10)(carry_out)
        old = batch(10)(carry_out)

    rows = [{"idnumber": f"a{n}", "boss": f"z{n}", "team": f"t{n}"} for n in (1, 2, 3)]
    rows += [{"idnumber": f"z{n}"} for n in (1, 2, 3)]
    teams = [{"idnumber": f"t{n}"} for n in (1, 2, 3)]

    def tree(name, rows, teams):
        branches = {"teams": Branch(Place, importer=teams), "staff": Branch(Staff, importer=rows)}
        return +Tree(name, branches=branches, template=Batches)

    report = tree("full", rows, teams) >> tree("empty", [], [])
    assert calls == [["t1", "t2", "t3", "z1", "z2", "z3"], ["a3"]]
    skipped = {result.action.idnumber: result.reason for result in report.results if result.status == "skipped"}
    assert skipped == {"a1": "staff 'z1' could not be created", "a2": "teams 't2' could not be created"}
    calls.clear()
    anything = Limits(deletions=1.0, empty=["teams", "staff"])
    report = tree("empty", [], []).sync_to(tree("full", rows, teams), limits=anything)
    assert list(map(sorted, calls)) == [["a1", "a2", "a3"], ["t2", "t3", "z2", "z3"]]
    kept = {result.action.idnumber for result in report.results if result.status == "skipped"}
    assert kept == {"z1", "t1"}
