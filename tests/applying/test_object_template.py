import pytest
from hierarchies import NO_LIMITS, network, parent_of, worlds
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, Object, Template, Tree, failed, skipped, succeeded


class Remote:
    """A system outside: rows by branch and idnumber, and a note of every call."""

    def __init__(self, broken=()):
        self.rows = {}
        self.calls = []
        self.broken = set(broken)

    def call(self, verb, branch, key):
        self.calls.append((verb, branch, key))
        if (verb, key) in self.broken:
            raise OSError("the line was cut")


class Item(Object):
    """An object that knows how it is made, changed and deleted in the system outside."""

    @classmethod
    def create(cls, tree, ids, attrs):
        key = tuple(ids.values()) if len(ids) > 1 else next(iter(ids.values()))
        tree.remote.call("create", cls.kind, key)
        tree.remote.rows[cls.kind, key] = dict(attrs)

    def update(self, attrs):
        remote = self.__branch__.tree.remote
        remote.call("update", self.kind, self.idnumber)
        remote.rows[self.kind, self.idnumber].update(attrs)

    def delete(self):
        remote = self.__branch__.tree.remote
        remote.call("delete", self.kind, self.idnumber)
        del remote.rows[self.kind, self.idnumber]

    def move(self, parent):
        self.__branch__.tree.remote.call("move", self.kind, (self.idnumber, parent and parent.idnumber))


class Region(Item):
    kind = "regions"
    _children = {"regions": "parts", "sites": "sites"}
    label: str = ""
    parts: set[str] = set()
    sites: set[str] = set()


class Site(Item):
    kind = "sites"
    _children = {"devices": "devices"}
    phone: str = ""
    devices: list[str] = []


class Device(Item):
    kind = "devices"
    _children = {"ports": "device"}
    role: str = ""


class Port(Item):
    kind = "ports"
    _identifiers = ("device", "name")
    device: str
    name: str
    speed: int = 0


class Outside(Tree):
    regions = Branch(Region)
    sites = Branch(Site)
    devices = Branch(Device)
    ports = Branch(Port)


def outside(tree, broken=()):
    """Return a tree like the one given, and a system outside that holds the same."""
    copied = Outside("outside")
    copied.remote = Remote(broken)
    for name, branch in tree.items():
        fields = {"regions": ("label", "parts", "sites"), "sites": ("phone", "devices"), "devices": ("role",)}
        for key, item in branch.items():
            values = {field: getattr(item, field) for field in fields.get(name, ("speed",))}
            kept = {field: type(value)(value) for field, value in values.items()}
            copied[name].new(key, **kept)
            copied.remote.rows[name, key] = {field: kept[field] for field in NAMES if field in kept}
    return copied


NAMES = ("label", "phone", "role", "speed")


def rows(tree):
    return {
        (name, key): {field: getattr(item, field) for field in NAMES if hasattr(item, field)}
        for name, branch in tree.items()
        for key, item in branch.items()
    }


@given(worlds("a"), worlds("b"))
def test_the_system_outside_comes_to_hold_what_the_source_does_in_one_call_an_object(a, b):
    dest = outside(b)
    report = a.sync_to(dest, limits=NO_LIMITS)
    assert report.ok
    assert not a - dest
    assert dest.remote.rows == rows(a)
    assert len(set(dest.remote.calls)) == len(dest.remote.calls)
    for verb, branch, (key, above) in (call for call in dest.remote.calls if call[0] == "move"):
        assert (verb, parent_of(a, branch, key)) == ("move", above and parent_of(a, branch, key))
        assert (parent_of(a, branch, key) or (None, None))[1] == above


def is_new(result, *, done):
    return result.action.verb == "new" and (result.status == "succeeded") is done


@given(worlds("a"), worlds("b"), st.data())
def test_what_fails_takes_along_just_what_depends_on_it(a, b, data):
    calls = outside(b)
    a.sync_to(calls, limits=NO_LIMITS)
    broken = {(verb, key) for verb, _, key in calls.remote.calls if data.draw(st.booleans())}
    dest = outside(b, broken)
    report = a.sync_to(dest, limits=NO_LIMITS)
    assert report.planned == len(report.results) == report.succeeded + report.failed + report.skipped
    for result in report.results:
        assert result.status in ("succeeded", "failed") or "could not be" in result.reason
    # What is held in memory is what is outside, and the difference is what was not done.
    assert dest.remote.rows == rows(dest)
    again = a.sync_to(dest, limits=NO_LIMITS, mock=True)
    # A new parent came without the children that could not be made, which are told themselves, and lists them then.
    made, missing = (
        {(result.action.branch, result.action.idnumber) for result in report.results if is_new(result, done=done)}
        for done in (True, False)
    )
    listed = sum(
        one.action.verb == "add"
        and (one.action.branch, one.action.idnumber) in made
        and ("regions" if one.action.attr == "parts" else one.action.attr, one.action.value) in missing
        for one in again.results
    )
    assert again.planned - listed == report.failed + report.skipped
    for branch, key in rows(dest):
        above = parent_of(dest, branch, key)
        assert above is None or above[1] in dest[above[0]]
    dest.remote.broken = set()
    a.sync_to(dest, limits=NO_LIMITS)
    assert dest.remote.rows == rows(a)


def test_a_failed_creation_skips_its_children_and_says_so():
    a, dest = network("a", {"nyc": {"r1": {"e0": 1}}, "sfo": {"r2": {}}}), Outside("outside")
    a.grow("regions")
    dest.remote = Remote({("create", "nyc")})
    report = a.sync_to(dest, only={"branch": ["sites", "devices", "ports"]})
    assert [(result.status, result.method, result.reason) for result in report.results if result.reason] == [
        ("failed", "create_sites", "OSError: the line was cut"),
        ("skipped", "create_devices", "its parent sites 'nyc' could not be created"),
        ("skipped", "create_ports", "its parent devices 'r1' could not be created"),
    ]
    assert [key for _, _, key in dest.remote.calls] == ["nyc", "sfo", "r2"]
    assert report.exit_code == 1


def test_a_child_that_could_not_be_deleted_keeps_its_parents():
    dest = outside(network("b", {"nyc": {"r1": {"e0": 1}, "r2": {}}}), {("delete", ("r1", "e0"))})
    report = network("a", {}, cls=Outside).sync_to(dest, limits=NO_LIMITS)
    assert [(result.status, result.action.idnumber, result.reason) for result in report.results] == [
        ("failed", ("r1", "e0"), "OSError: the line was cut"),
        ("skipped", "r1", "its child ports ('r1', 'e0') could not be deleted"),
        ("succeeded", "r2", ""),
        ("skipped", "nyc", "its child devices 'r1' could not be deleted"),
    ]
    assert [item.idnumber for item in report.deleted] == ["r2"]


class Kept(Object):
    """What each method returns is in the name."""

    label: str = ""
    secret: str = ""
    _attributes = ("label",)

    @classmethod
    def create(cls, tree, ids, attrs):
        made = cls(**ids, **attrs, secret="from outside")
        return {"made": made, "nothing": None, "skipped": skipped("not here")}[attrs["label"]]

    def update(self, attrs):
        return {"failed": failed("no"), "fine": succeeded("yes")}[attrs["label"]]


def branchful(name, labels):
    tree = Tree(name, branches={"things": Branch(Kept)})
    for key, label in labels.items():
        tree.things.new(key, label=label)
    return tree


def test_what_a_method_returns_says_what_became_of_it():
    a = branchful("a", {"1": "made", "2": "nothing", "3": "skipped", "4": "failed", "5": "fine"})
    b = branchful("b", {"4": "", "5": "", "6": ""})
    report = a.sync_to(b, limits=NO_LIMITS)
    statuses = ["succeeded", "succeeded", "skipped", "failed", "succeeded", "unhandled"]
    assert {result.action.idnumber: result.status for result in report.results} == dict(
        zip("123456", statuses, strict=True)
    )
    assert report.unhandled_methods == {"delete_things": 1}
    assert [b.things[key].secret for key in "12"] == ["from outside", ""]


def test_a_template_goes_before_the_methods():
    class Quiet(Template):
        def new(self, action):
            return None

    a, b = branchful("a", {"1": "skipped"}), branchful("b", {})
    b.template = Quiet
    assert a.sync_to(b).succeeded == 1


def test_children_can_be_left_after_a_failed_update():
    class Careful(Template):
        def update(self, action):
            return failed("locked", skip_children=True)

        def new(self, action):
            raise AssertionError("its parent could not be updated")

    a, b = network("a", {"nyc": {"r1": {}}}), network("b", {"nyc": {}}, Careful())
    a.sites["nyc"].phone = "1"
    report = (a - b).in_tree_order() | b.template
    assert [(result.status, result.reason) for result in report.results] == [
        ("failed", "locked"),
        ("skipped", "its parent sites 'nyc' could not be updated"),
        ("skipped", "devices 'r1' could not be created"),
    ]


def test_progress_is_heard_of():
    a, b = network("a", {"nyc": {"r1": {"e0": 1}}}), network("b", {"nyc": {}})
    heard = []
    a.sync_to(b, progress=lambda *facts: heard.append(facts))
    assert heard == [("diff", 2, 4), ("diff", 3, 4), ("diff", 4, 4), ("sync", 1, 3), ("sync", 2, 3), ("sync", 3, 3)]


@pytest.mark.parametrize("way", ["diff_from", "diff_to", "sync_from", "sync_to"])
def test_both_directions_have_a_method(way):
    a, b = network("a", {"nyc": {}}), network("b", {"nyc": {}, "sfo": {}})
    if way == "diff_from":
        assert a.diff_from(b, only="new") == b - a
    elif way == "diff_to":
        assert a.diff_to(b) == a - b
    elif way == "sync_from":
        assert a.sync_from(b).ok
        assert list(a.sites) == ["nyc", "sfo"]
    else:
        assert b.sync_to(a).ok
        assert list(a.sites) == ["nyc", "sfo"]
