import pytest
from hierarchies import NO_LIMITS, Seen, Site, network, parent_of, worlds
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, DeclarationError, Flags, Object, Tree

THREE = st.sampled_from([True, False, None])
NAMES = ["ignore", "never_create", "never_update", "never_delete", "leave_children"]
FLAGS = st.builds(Flags, **dict.fromkeys(NAMES, THREE))


class User(Object):
    name: str = ""
    _flags: Flags | None = None


def users(name, rows, cls=User):
    tree = Tree(name, template=Seen(), branches={"users": Branch(cls)})
    for key, row in rows.items():
        tree.users.new(key, **row)
    return tree


@given(FLAGS, FLAGS, FLAGS)
def test_the_nearer_wins_and_what_it_does_not_say_is_left_to_the_further(near, middle, far):
    merged = near.over(middle.over(far))
    assert merged == near.over(middle).over(far)
    for name in NAMES:
        said = [getattr(one, name) for one in (near, middle, far) if getattr(one, name) is not None]
        assert getattr(merged, name) == (said[0] if said else None)
    assert near.over(None) == near
    assert eval(repr(near), {"Flags": Flags}) == near


@pytest.mark.parametrize("value", [1, 0, "yes", 2])
def test_a_flag_is_true_false_or_none(value):
    with pytest.raises(DeclarationError, match="ignore is True, False, or None"):
        Flags(ignore=value)


def left_alone(place, a, b, flags):
    """Say whether an object, or one above it on either side, is there alone and is to be left so: the slow way."""
    above = [place]
    for one in above:  # grows
        above += {parent_of(tree, *one) for tree in (a, b)} - {None, *above}
    return any(
        never and key in tree[branch] and key not in other[branch]
        for branch, key in above
        for tree, other, never in ((a, b, flags.never_create), (b, a, flags.never_delete))
    )


@given(worlds("a"), worlds("b"), FLAGS)
def test_a_run_with_flags_is_the_diff_without_what_they_leave_out(a, b, flags):
    def out(place):
        return left_alone(place, a, b, flags)

    def stands(action):
        place = (action.branch, action.idnumber)
        if action.verb in ("add", "remove"):
            child = ({"parts": "regions"}.get(action.attr, action.attr), action.value)
            places = [child, *(parent for parent in (parent_of(tree, *child) for tree in (a, b)) if parent)]
            # What lists a child that comes or goes goes along with it, and is no update of its own.
            one_sided = (child[1] in a[child[0]]) != (child[1] in b[child[0]])
            return (one_sided or not flags.never_update) and not any(map(out, places))
        return not out(place) and not (flags.never_update and action.verb == "update")

    full, less = a - b, a.diff(b, flags=flags)
    assert list(less) == [action for action in full if not flags.ignore and stands(action)]
    assert less.left_out.total() == len(full) - len(less)
    assert ("left out by flags" in less.explain()) == bool(less.left_out)


def test_of_an_object_they_win_over_the_run():
    a = users("a", {"1": {"name": "Ann"}, "2": {"name": "Bob", "_flags": Flags(never_create=False)}})
    b = users("b", {"3": {}, "4": {"_flags": Flags(never_delete=False)}})
    run = Flags(never_create=True, never_delete=True)
    assert [action.idnumber for action in a.diff(b, flags=run)] == ["2", "4"]


def test_of_a_class_they_win_over_the_run_and_lose_against_an_object():
    class Kept(Object):
        _flags = Flags(never_delete=True)

    a, b = users("a", {}, Kept), users("b", {"1": {"name": "x"}, "2": {"name": "y"}}, Kept)
    assert not a - b
    assert not a.diff(b, flags=Flags(never_delete=False))
    b.users["2"]._flags = Flags(never_delete=False)
    assert [action.idnumber for action in a - b] == ["2"]
    b.users["2"]._flags = Flags(never_update=True)
    assert not a - b


def test_they_can_be_computed():
    class Account(Object):
        name: str = ""
        admin: bool = False

        @property
        def _flags(self):
            return Flags(never_update=True, never_delete=True) if self.admin else None

    a = users("a", {"1": {"name": "Ann", "admin": True}, "2": {"name": "Bob"}}, Account)
    b = users("b", {"1": {"name": "x"}, "2": {"name": "y"}, "3": {"admin": True}, "4": {}}, Account)
    assert [action.message for action in a - b] == [
        "update_name(idnumber='2', attr='name', value='Bob')",
        "old_users(idnumber='4')",
    ]
    b.users["1"].name = "x"
    assert (a - b).left_out == {"update": 2, "old": 1}


@pytest.mark.parametrize("side", ["a", "b"])
def test_what_either_side_ignores_is_not_compared(side):
    rows = {"a": {"1": {"name": "Ann"}}, "b": {"1": {"name": "x"}}}
    a, b = users("a", rows["a"]), users("b", rows["b"])
    assert a - b
    {"a": a, "b": b}[side].users["1"]._flags = Flags(ignore=True)
    assert not a - b


def test_what_is_left_alone_takes_along_what_is_below_it():
    class Marked(Site):
        _flags: Flags | None = None

    class Places(Tree):
        sites = Branch(Marked)
        devices = Branch(network("x", {}).devices.object_class)
        ports = Branch(network("x", {}).ports.object_class)

    a = network("a", {"new": {"r1": {"e": 1}}, "both": {"r2": {"e": 1}}}, cls=Places)
    b = network("b", {"old": {"r3": {"e": 1}}, "both": {"r2": {"e": 2}, "r4": {}}}, cls=Places)
    assert len(a - b) == 3 + 3 + 2 + 1  # and r4 is taken out of its parent's list
    a.sites["new"]._flags = Flags(never_create=True)
    b.sites["old"]._flags = Flags(never_delete=True)
    assert [action.idnumber for action in a - b] == ["both", ("r2", "e"), "r4"]
    a.sites["both"]._flags = Flags(never_create=True, never_delete=True)  # it is on both sides
    assert len(a - b) == 3
    a.sites["both"]._flags = Flags(ignore=True)
    assert not a - b


@pytest.mark.parametrize(
    ("flags", "devices"),
    [(Flags(never_update=True), "12"), (Flags(never_create=True), ""), (Flags(never_delete=True), "123")],
)
def test_a_child_is_listed_or_not_as_it_is_created_or_deleted(flags, devices):
    a, b = network("a", {"nyc": {"1": {}, "2": {}}}), network("b", {"nyc": {"3": {}}})
    a.sync_to(b, flags=flags, limits=NO_LIMITS)
    assert sorted(b.sites["nyc"].devices) == list(b.devices) == list(devices)


def test_a_move_stands_or_falls_as_a_whole():
    class Marked(Site):
        _flags: Flags | None = None

    class Places(Tree):
        sites = Branch(Marked)
        devices = Branch(User)
        ports = Branch(network("x", {}).ports.object_class)

    def places(name, sites):
        tree = Places(name, template=Seen())
        for site, devices in sites.items():
            tree.sites.new(site, devices=list(devices))
            for device in devices:
                tree.devices.new(device)
        return tree

    for place, flags in (
        (("a", "sites", "x"), Flags(ignore=True)),
        (("b", "sites", "y"), Flags(ignore=True)),
        (("b", "devices", "1"), Flags(never_update=True)),
    ):
        trees = {"a": places("a", {"x": "1", "y": ""}), "b": places("b", {"x": "", "y": "1"})}
        assert [action.verb for action in trees["a"] - trees["b"]] == ["add", "remove"]
        trees[place[0]][place[1]][place[2]]._flags = flags
        assert not trees["a"] - trees["b"]


def test_flags_of_another_kind_are_refused():
    a, b = users("a", {"1": {}}), users("b", {})
    a.users["1"]._flags = "keep"
    with pytest.raises(DeclarationError, match=r"_flags of a\.users\['1'\] must be Flags"):
        a - b


def test_the_children_of_what_is_deleted_can_go_with_it():
    a, b = network("a", {"x": {}}), network("b", {"x": {}, "y": {"r1": {"e": 1}, "r2": {}}, "z": {"r3": {}}})
    b.sites["z"].devices.append("r2")
    b.sites["y"].devices.remove("r2")
    seen = Seen()
    report = a.sync_to(b, flags=Flags(leave_children=True), limits=NO_LIMITS)
    assert [action.idnumber for action in b.template.actions] == ["y", "z"]
    assert report.ok
    assert {result.reason for result in report.results if result.reason} == {
        "went with sites 'y'",
        "went with sites 'z'",
    }
    assert len(b.devices) == len(b.ports) == 0
    assert not a - b
    assert [item.idnumber for item in report.deleted] == ["y", "z", *(("r1", "e"), "r1", "r2", "r3")]
    assert not seen.actions


def test_children_stay_when_what_takes_them_along_fails():
    a, b = network("a", {}), network("b", {"y": {"r1": {}}}, Seen({("old", "y")}))
    report = a.sync_to(b, flags=Flags(leave_children=True), limits=NO_LIMITS)
    assert [(result.status, result.reason) for result in report.results] == [
        ("failed", "OSError: the line was cut"),
        ("skipped", "sites 'y' was not deleted"),
    ]
    assert len(a - b) == 2


def test_what_protects_a_parent_protects_its_children_in_a_branch_alone():
    class Kept(Site):
        _flags = Flags(never_delete=True)

    class Places(Tree):
        sites = Branch(Kept)
        devices = Branch(User)

    a, b = Places("a"), Places("b")
    b.sites.new("x", devices=["1"])
    b.devices.new("1")
    assert not a - b
    assert not a.devices - b.devices


def test_a_preview_takes_the_flags_of_the_run(capsys):
    a, b = users("a", {}), users("b", {"1": {}})
    assert a.preview(b, flags=Flags(never_delete=True)).diff == a.diff(b, flags=Flags(never_delete=True))
    assert a.users.preview(b.users, flags=Flags(never_delete=True)).stat.endswith("total=0")
    with pytest.raises(DeclarationError, match=r"flags are given as Flags\(never_delete=True\)"):
        a.diff(b, flags={"never_delete": True})
