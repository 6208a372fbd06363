"""What depends on what was not done is left out and says why, in templates and stores alike."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Flags, Limits, Object, Template, Tree, failed, skipped
from datastoresync.applying.dependents import DependencyTracker
from datastoresync.syncers.changes import Outcome, Outcomes

ANYTHING = Limits(deletions=10_000, updates=10_000, removals=10_000, empty=["users", "groups", "devices"])


class User(Object):
    _references = {"manager": "users"}
    _flag: str = ""
    name: str = ""
    manager: str | None = None

    @property
    def _flags(self):
        return Flags(**{self._flag: True}) if self._flag else None


class Group(Object):
    _references = {"members": "users", "owner": "users"}
    members: set[str] = set()
    owner: str | None = None


class Device(Object):
    _references = {"user": "users"}
    user: str | None = None


BRANCHES = {"users": User, "groups": Group, "devices": Device}


class Outside(Template):
    """A system held as dictionaries, which refuses to do anything with some of its objects."""

    def __init__(self, rows, broken=(), answer=failed):
        super().__init__()
        self.rows = rows
        self.broken = set(broken)
        self.answer = answer
        self.calls = []

    def _do(self, action, verb, change):
        self.calls.append(action)
        if (verb, action.branch, action.idnumber) in self.broken:
            return self.answer("no")
        change(self.rows[action.branch])
        return None

    def new(self, action):
        names = {"users": ("name", "manager"), "groups": ("members", "owner"), "devices": ("user",)}[action.branch]
        values = {name: copy.copy(getattr(action.source, name)) for name in names}
        return self._do(action, "new", lambda rows: rows.update({action.idnumber: values}))

    def update(self, action):
        return self._do(action, "update", lambda rows: rows[action.idnumber].update({action.attr: action.value}))

    def add_members(self, action):
        return self._do(action, "add", lambda rows: rows[action.idnumber]["members"].add(action.value))

    def remove_members(self, action):
        return self._do(action, "remove", lambda rows: rows[action.idnumber]["members"].remove(action.value))

    def old(self, action):
        return self._do(action, "old", lambda rows: rows.pop(action.idnumber))


class Store:
    """The same as a store, which asks what depends on what."""

    def __init__(self, rows, broken=(), answer=failed):
        self.outside = Outside(rows, broken, answer)
        self.status = answer("").status

    @property
    def calls(self):
        return self.outside.calls

    def load(self, identifier):
        return [{"idnumber": key, **copy.deepcopy(row)} for key, row in self.outside.rows[identifier].items()]

    def dump(self, identifier, *, data):
        raise AssertionError

    def apply_changes(self, changes, *, same, options=None):
        outcomes = Outcomes()
        depends = options.dependencies
        for change in changes:
            reason = depends.blocked(change) if depends is not None and depends.active else ""
            outcome = Outcome("skipped", reason) if reason else self.change(change)
            if outcome.status != "done" and depends is not None:
                depends.note(change, outcome)
            outcomes.extend(1, outcome)
        return outcomes

    def change(self, change):
        rows, key = self.outside.rows[change.table.name], change.key[0]
        verb = {"insert": "new", "delete": "old"}.get(change.verb, change.verb)
        self.outside.calls.append(change)
        if (verb, change.table.name, key) in self.outside.broken:
            return Outcome(self.status, "no")
        if verb == "old":
            del rows[key]
        else:
            rows.setdefault(key, {}).update(copy.deepcopy(dict(change.values)))
        return Outcome("done")


def tree(name, rows, **options):
    branches = {
        branch: Branch(cls, importer=[{"idnumber": key, **copy.deepcopy(row)} for key, row in rows[branch].items()])
        for branch, cls in BRANCHES.items()
    }
    return +Tree(name, branches=branches, **options)


def target(kind, rows, *broken, answer=failed):
    """Return the destination, and what shows what was called there."""
    outside = (Outside if kind == "template" else Store)(rows, broken, answer)
    if kind == "template":
        return tree("dest", rows, template=outside), outside
    return +Tree("dest", syncer=outside, branches={name: Branch(cls) for name, cls in BRANCHES.items()}), outside


def rows(users=(), groups=(), devices=()):
    return {
        "users": {key: {"name": key, "manager": None, "_flag": ""} for key in users},
        "groups": {key: {"members": set(members), "owner": owner} for key, members, owner in groups},
        "devices": {key: {"user": user} for key, user in devices},
    }


def said(report):
    return {
        (result.action.verb, result.action.branch, result.action.idnumber): result.reason
        for result in report.results
        if result.status == "skipped"
    }


both = pytest.mark.parametrize("kind", ["template", "store"])
COULD_NOT = "users 'bob' could not be created"
IS_NOT = "users 'bob' is not created in this run"


@both
@pytest.mark.parametrize("answer", [failed, skipped])
def test_what_refers_to_a_creation_that_failed_is_left_out(kind, answer):
    there = rows(["ann"], [("staff", ["ann"], "ann")], [("pc", "ann")])
    groups = [("staff", ["ann", "bob"], "bob"), ("new", ["ann", "bob"], None)]
    wanted = rows(["ann", "bob"], groups, [("pc", "bob"), ("tv", "ann")])
    dest, outside = target(kind, there, ("new", "users", "bob"), answer=answer)
    report = tree("source", wanted).sync_to(dest, on_error="continue", limits=ANYTHING)
    skips = said(report)
    if answer is skipped:
        assert skips.pop(("new", "users", "bob")) == "no"
    verb = "add" if kind == "template" else "update"
    assert skips == {
        ("new", "groups", "new"): COULD_NOT,
        (verb, "groups", "staff"): COULD_NOT,
        ("update", "groups", "staff"): COULD_NOT,
        ("update", "devices", "pc"): COULD_NOT,
    }
    assert there["groups"] == rows(groups=[("staff", ["ann"], "ann")])["groups"]
    assert there["devices"] == {"pc": {"user": "ann"}, "tv": {"user": "ann"}}
    outside.broken.clear() if kind == "template" else outside.outside.broken.clear()
    assert tree("source", wanted).sync_to(dest, limits=ANYTHING).ok
    assert there["groups"]["new"]["members"] == {"ann", "bob"}


@both
def test_what_fails_takes_along_what_depends_on_it_link_by_link(kind):
    wanted = rows(["a", "b", "c"], [("g", ["c"], None)])
    wanted["users"]["b"]["manager"], wanted["users"]["c"]["manager"] = "a", "b"
    there = rows()
    dest, _ = target(kind, there, ("new", "users", "a"))
    report = tree("source", wanted).sync_to(dest, on_error="continue")
    assert said(report) == {
        ("new", "users", "b"): "users 'a' could not be created",
        ("new", "users", "c"): "users 'b' could not be created",
        ("new", "groups", "g"): "users 'c' could not be created",
    }
    assert there == rows()


FILTERS = [
    {"exclude": {"verb": "new", "branch": "users"}},
    {"only": ["groups", "devices"]},
    {"only": lambda action: action.idnumber != "bob"},
]


@both
@pytest.mark.parametrize("keywords", FILTERS)
@pytest.mark.parametrize("mock", [False, True])
def test_what_refers_to_a_creation_that_is_filtered_out_is_left_out(kind, keywords, mock):
    there = rows(["ann"], [("staff", ["ann"], "ann")])
    wanted = rows(["ann", "bob"], [("staff", ["ann", "bob"], "bob")], [("pc", "bob"), ("tv", "ann")])
    dest, _ = target(kind, there)
    report = tree("source", wanted).sync_to(dest, limits=ANYTHING, mock=mock, **keywords)
    assert set(said(report).values()) == {IS_NOT}
    assert (report.skipped, report.succeeded, report.counts["planned"]) == (3, 1 - mock, mock)
    assert report.ok
    assert there == rows(["ann"], [("staff", ["ann"], "ann")], [] if mock else [("tv", "ann")])


@both
def test_what_refers_to_a_creation_that_flags_leave_out_is_left_out(kind):
    there = rows(["ann"], [("staff", ["ann"], "ann")])
    wanted = rows(["ann", "bob", "eve"], [("staff", ["ann", "bob", "eve"], "ann")])
    wanted["users"]["bob"]["_flag"] = "never_create"
    dest, _ = target(kind, there)
    report = tree("source", wanted).sync_to(dest, limits=ANYTHING)
    (left,) = (result for result in report.results if result.status == "skipped")
    assert (left.action.branch, left.reason) == ("groups", IS_NOT)
    assert there["groups"]["staff"]["members"] == ({"ann", "eve"} if kind == "template" else {"ann"})


def test_a_branch_that_is_synced_alone_waits_for_the_others():
    there = rows(["ann", "zoe"], [("staff", ["ann", "zoe"], "ann")])
    wanted = rows(["ann", "bob"], [("staff", ["ann", "bob"], "ann")])
    dest, _ = target("template", there)
    source = tree("source", wanted)
    report = source.groups.sync_to(dest.groups, limits=ANYTHING, only="add")
    assert said(report) == {("add", "groups", "staff"): IS_NOT}
    report = source.users.sync_to(dest.users, limits=ANYTHING)
    assert said(report) == {("old", "users", "zoe"): "groups 'staff' refers to it, and stays"}
    assert source.groups.sync_to(dest.groups, limits=ANYTHING).ok
    assert source.users.sync_to(dest.users, limits=ANYTHING).skipped == 0
    assert "zoe" not in there["users"]
    assert not source - dest


@both
@pytest.mark.parametrize("answer", [failed, skipped])
def test_what_could_not_be_deleted_or_changed_keeps_what_it_refers_to(kind, answer):
    there = rows(["a", "b", "c", "d"], [("g", ["a"], "b")], [("pc", "c"), ("tv", "d")])
    wanted = rows([], [], [("pc", None)])
    broken = [("old", "groups", "g"), ("update", "devices", "pc")]
    dest, _ = target(kind, there, *broken, answer=answer)
    skips = said(tree("source", wanted).sync_to(dest, on_error="continue", limits=ANYTHING))
    deletions = {key: reason for key, reason in skips.items() if reason != "no"}
    assert deletions == {
        ("old", "users", "a"): "groups 'g' refers to it, and could not be deleted",
        ("old", "users", "b"): "groups 'g' refers to it, and could not be deleted",
        ("old", "users", "c"): "devices 'pc' refers to it, and could not be changed",
    }
    assert sorted(there["users"]) == ["a", "b", "c"]


@both
def test_what_is_ignored_keeps_what_it_refers_to(kind):
    there = rows(["a", "boss", "c"], [("g", ["c"], None)])
    there["users"]["a"].update(_flag="ignore", manager="boss")
    dest, _ = target(kind, there)
    report = tree("source", rows()).sync_to(dest, limits=ANYTHING)
    assert said(report) == {("old", "users", "boss"): "users 'a' refers to it, and stays"}
    assert sorted(there["users"]) == ["a", "boss"]


@both
def test_a_new_object_is_made_without_members_that_are_ignored(kind):
    there = rows(["a"])
    there["users"]["a"]["_flag"] = "ignore"
    dest, _ = target(kind, there)
    source = tree("source", rows(["a", "b"], [("g", ["a", "b"], None)]))
    assert source.sync_to(dest, limits=ANYTHING).ok
    assert there["groups"]["g"]["members"] == dest.groups["g"].members == {"b"}
    assert source.groups["g"].members == {"a", "b"}


@both
def test_what_the_source_wants_as_it_is_keeps_nothing(kind):
    there = rows(["a", "b"], [], [("pc", "a")])
    wanted = rows(["b"], [], [("pc", "a")])  # it refers to nobody there already
    dest, _ = target(kind, there)
    limits = Limits(dangling=1).over(ANYTHING)
    report = tree("source", wanted).sync_to(dest, limits=limits, exclude=".name")
    assert (report.succeeded, report.skipped) == (1, 0)


@both
@pytest.mark.parametrize("size", [1, 2, 5])
def test_parts_of_a_diff_depend_on_those_before(kind, size):
    there = rows(["zoe"], [("old", ["zoe"], None)])
    wanted = rows(["ann", "bob"], [("staff", ["ann", "bob"], "bob")], [("pc", "bob")])
    wanted["users"]["bob"]["manager"] = "ann"
    dest, _ = target(kind, there)
    source = tree("source", wanted)
    diff = source - dest
    for start in range(0, len(diff), size):
        report = dest.apply(diff[start : start + size], limits=ANYTHING)
        assert report.succeeded == report.planned
    assert not source - dest


@both
def test_a_run_without_failures_asks_about_nothing(kind, monkeypatch):
    monkeypatch.setattr(DependencyTracker, "blocked", None)
    dest, _ = target(kind, rows(["zoe"], [("old", ["zoe"], None)]))
    assert tree("source", rows(["ann"], [("staff", ["ann"], "ann")])).sync_to(dest, limits=ANYTHING).ok


# Parents and children -------------------------------------------------------------------------------------------------


class Site(Object):
    _children = {"devices": "devices"}
    devices: list[str] = []


class Located(Object):
    _kept: bool = False

    @property
    def _flags(self):
        return Flags(never_delete=True) if self._kept else None


class Placed(Located):
    _children = {"ports": "device"}


class Port(Object):
    _references = {"device": "devices"}
    _identifiers = ("device", "number")
    device: str
    number: int
    _flags: Flags | None = None


class Removing(Template):
    def old(self, action):
        pass

    new = update = old


def network(name, sites, ports=(), **devices):
    branches = {
        "sites": Branch(Site, importer=[{"idnumber": key, "devices": list(held)} for key, held in sites.items()]),
        "devices": Branch(Placed, importer=[{"idnumber": key, "_kept": kept} for key, kept in devices.items()]),
        "ports": Branch(Port, importer=[{"device": key, "number": 1} for key in ports]),
    }
    return +Tree(name, template=Removing, branches=branches)


LIMITS = Limits(deletions=100, empty=["sites", "devices", "ports"])


def test_a_child_that_a_flag_keeps_keeps_its_parents():
    dest = network("dest", {"s": ["d"], "t": ["e"]}, ["d", "e"], d=True, e=False)
    report = network("source", {}).sync_to(dest, limits=LIMITS)
    assert said(report) == {("old", "sites", "s"): "devices 'd' refers to it, and stays"}
    assert (sorted(dest.sites), sorted(dest.devices)) == (["s"], ["d"])
    dest = network("dest", {"s": ["d"], "t": []}, ["d"], d=False)
    dest.ports["d", 1]._flags = Flags(never_delete=True)
    report = network("source", {}).sync_to(dest, limits=LIMITS)
    assert said(report) == {
        ("old", "devices", "d"): "ports ('d', 1) refers to it, and stays",
        ("old", "sites", "s"): "its child devices 'd' could not be deleted",
    }


@pytest.mark.parametrize("keywords", [{"exclude": "devices"}, {"only": "sites"}])
def test_a_child_that_a_filter_keeps_keeps_its_parent(keywords):
    dest = network("dest", {"s": ["d"], "t": []}, d=False)
    report = network("source", {}).sync_to(dest, limits=LIMITS, **keywords)
    assert list(said(report)) == [("old", "sites", "s")]


def test_a_branch_alone_keeps_the_parents_of_what_is_in_others():
    dest = network("dest", {"s": ["d"], "t": []}, d=False)
    report = network("source", {}).sites.sync_to(dest.sites, limits=LIMITS)
    assert list(said(report)) == [("old", "sites", "s")]


def test_children_of_what_a_filter_leaves_out_are_left_out():
    dest = network("dest", {})
    report = network("source", {"s": ["d"]}, ["d"], d=False).sync_to(dest, exclude="sites")
    assert said(report) == {
        ("new", "devices", "d"): "its parent sites 's' is not created in this run",
        ("new", "ports", ("d", 1)): "its parent devices 'd' could not be created",
    }


# The law --------------------------------------------------------------------------------------------------------------

KEYS = "abcde"


@st.composite
def consistent(draw):
    """Draw rows in which every reference leads somewhere, and nobody manages himself."""
    users = sorted(draw(st.sets(st.sampled_from(KEYS))))
    some = st.sets(st.sampled_from(users)) if users else st.just(set())
    one = st.none() | st.sampled_from(users) if users else st.none()
    found = rows(
        users,
        [(key, draw(some), draw(one)) for key in draw(st.sets(st.sampled_from("gh")))],
        [(key, draw(one)) for key in draw(st.sets(st.sampled_from("pq")))],
    )
    for key, row in found["users"].items():
        row["name"] = draw(st.sampled_from(["", "x"]))
        row["manager"] = draw(st.none() | st.sampled_from([one for one in users if one < key] or [None]))
        row["_flag"] = "" if draw(st.integers(0, 9)) else "ignore"
    return found


def dangling(world):
    users = set(world["users"])
    named = [(key, row["manager"]) for key, row in world["users"].items()]
    for key, row in world["groups"].items():
        named += [(key, member) for member in (*row["members"], row["owner"])]
    named += [(key, row["user"]) for key, row in world["devices"].items()]
    return [(key, member) for key, member in named if member is not None and member not in users]


verbs = st.sampled_from(["new", "update", "add", "remove", "old"])
names = st.sampled_from([("users", key) for key in KEYS] + [("groups", "g"), ("groups", "h"), ("devices", "p")])


@both
@given(
    consistent(),
    consistent(),
    st.sets(st.tuples(verbs, names)),
    st.sets(st.tuples(verbs, names), max_size=4),
    st.sampled_from([None, Flags(never_create=True), Flags(never_update=True), Flags(never_delete=True)]),
)
@settings(max_examples=examples(150), deadline=None)
def test_whatever_fails_or_is_left_out_nothing_refers_to_nothing(kind, wanted, there, broken, left_out, flags):
    dest, outside = target(kind, there, *((verb, *name) for verb, name in broken))
    source = tree("source", wanted)
    manual = any(row["_flag"] for world in (wanted, there) for row in world["users"].values())

    def excluded(action):
        return (action.verb, (action.branch, action.idnumber)) in left_out

    keywords = {"exclude": excluded} if left_out else {}
    report = source.sync_to(dest, on_error="continue", limits=ANYTHING, flags=flags, **keywords)
    assert dangling(there) == []
    assert len(report.results) == report.planned
    assert len(outside.calls) == report.planned - report.skipped
    for result in report.results:
        assert result.status in ("succeeded", "failed") or result.reason
    again = {branch: {key: vars_of(item) for key, item in dest[branch].items()} for branch in BRANCHES}
    for row in there["users"].values():
        row.pop("_flag", None)
    assert again == there
    if not (report.failed or left_out or flags or manual):
        assert report.skipped == 0
        assert not source - dest


def vars_of(item):
    names = {User: ("name", "manager"), Group: ("members", "owner"), Device: ("user",)}[type(item)]
    return {name: copy.copy(getattr(item, name)) for name in names}
