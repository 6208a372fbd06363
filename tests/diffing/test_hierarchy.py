import copy

import pytest
from hierarchies import NO_LIMITS, Network, Port, Region, Seen, Site, network, parent_of, worlds
from hypothesis import given

from datastoresync import Branch, DeclarationError, Flags, HierarchyError, Object, SafeguardError, Template, Tree

A = {"nyc": {"r1": {"e0": 1, "e1": 2}, "r2": {}}, "sfo": {"r3": {"e0": 5}}}
B = {"nyc": {"r1": {"e0": 2}, "r3": {"e0": 5}}, "rdu": {"r9": {"e0": 1}}}


def places(tree):
    return [(name, key) for name in tree for key in tree[name]]


def shape(tree):
    return {place: parent_of(tree, *place) for place in places(tree)}


# Laws ---------------------------------------------------------------------------------------------------------------


@given(worlds("a"))
def test_the_parents_are_those_that_an_oracle_finds(tree):
    hierarchy = (tree - tree).hierarchies[0]
    assert {place: hierarchy.parent(*place) for place in places(tree)} == shape(tree)
    for place in places(tree):
        assert hierarchy.depth(*place) == len(list(hierarchy.ancestors(*place)))


@given(worlds("a"))
def test_a_tree_does_not_differ_from_itself(tree):
    assert not tree - tree


@given(worlds("a"), worlds("b"))
def test_applying_leaves_nothing_and_the_same_shape(a, b):
    report = a.sync_to(b, limits=NO_LIMITS)
    assert report.ok
    assert not a - b
    assert shape(a) == shape(b)
    assert not a.sync_to(b, limits=NO_LIMITS).results


@given(worlds("a"), worlds("b"))
def test_the_inverse_is_the_opposite_difference(a, b):
    assert list(-(a - b)) == list(b - a)


@given(worlds("a"), worlds("b"))
def test_parents_are_created_first_and_deleted_last(a, b):
    created = [(action.branch, action.idnumber) for action in a - b if action.verb == "new"]
    for index, place in enumerate(created):
        assert parent_of(a, *place) not in created[index:]
    deleted = [(action.branch, action.idnumber) for action in a - b if action.verb == "old"]
    for index, place in enumerate(deleted):
        assert parent_of(b, *place) not in deleted[:index]


@given(worlds("a"), worlds("b"))
def test_children_are_listed_once_they_are_there_and_taken_out_before_they_go(a, b):
    branches = {"parts": "regions", "sites": "sites", "devices": "devices"}
    for diff in (a - b, (a - b).in_tree_order()):
        positions = {(action.verb, action.branch, action.idnumber): index for index, action in enumerate(diff)}
        listed = [(index, action) for index, action in enumerate(diff) if action.attr in branches]
        for index, action in listed:
            child = (branches[action.attr], action.value)
            assert positions.get(("new", *child), -1) < index < positions.get(("old", *child), len(diff))
        for tree, other, verb in ((a, b, "add"), (b, a, "remove")):
            held = {(place, parent_of(tree, *place)) for place in places(tree) if parent_of(tree, *place)}
            apart = {
                (*parent, place[1])
                for place, parent in held
                if place[0] != "ports" and parent_of(other, *place) != parent and parent in places(other)
            }
            told = {(action.branch, action.idnumber, action.value) for _, action in listed if action.verb == verb}
            assert apart <= told


@given(worlds("a"), worlds("b"))
def test_the_nodes_hold_each_action_once_below_the_right_parent(a, b):
    diff = a - b
    nodes = [node for top in diff.children for node in top.walk()]
    assert sorted(map(repr, (action for node in nodes for action in node.actions))) == sorted(map(repr, diff))
    assert sum((node.counts for node in diff.children), start=type(diff.counts)()).total() == len(diff)
    for node in nodes:
        above = parent_of(a if node.source is not None else b, node.branch, node.idnumber)
        assert (above is None) == (node.parent is None)
        assert above is None or (node.parent.branch, node.parent.idnumber) == above
        assert node.actions or node.children


@given(worlds("a"), worlds("b"))
def test_in_tree_order_it_is_the_same_diff_and_comes_to_the_same_end(a, b):
    diff = (a - b).in_tree_order()
    assert sorted(map(repr, diff)) == sorted(map(repr, a - b))
    seen = Seen()
    seen.apply(diff, limits=NO_LIMITS)
    assert seen.actions == list(diff)
    assert not a - b


def test_siblings_can_be_put_in_another_order():
    a, b = network("a", A), network("b", {})
    backwards = (a - b).in_tree_order(lambda _, nodes: reversed(nodes))
    assert [action.idnumber for action in backwards] == [
        *("sfo", "r3", ("r3", "e0")),
        *("nyc", "r2", "r1", ("r1", "e1"), ("r1", "e0")),
    ]


# What a child is -----------------------------------------------------------------------------------------------------


def test_a_child_that_moves_is_taken_from_one_parent_and_given_to_the_other():
    a, b = network("a", A), network("b", B)
    moves = (a - b).only(verb=["add", "remove"])
    assert [action.message for action in moves] == [
        "add_devices_to_sites(idnumber='nyc', attr='devices', value='r2')",  # which is new
        "remove_devices_from_sites(idnumber='nyc', attr='devices', value='r3')",
        "add_devices_to_sites(idnumber='sfo', attr='devices', value='r3')",
    ]
    assert list((a - b).only(".devices")) == list(moves)
    a.sync_to(b, limits=NO_LIMITS)
    assert b.sites["sfo"].devices == ["r3"]
    assert sorted(b.sites["nyc"].devices) == ["r1", "r2"]


def test_a_child_that_names_its_parent_moves_by_an_update():
    class Room(Object):
        floor: str

    class Floor(Object):
        _children = {"rooms": "floor"}

    class House(Tree):
        floors = Branch(Floor, importer=[{"idnumber": "1"}, {"idnumber": "2"}])

    up, down = (House(name, branches={"rooms": Branch(Room)}) for name in ("up", "down"))
    for house, floor in ((up, "2"), (down, "1")):
        +house
        house.rooms.new("a", floor=floor)
    (action,) = up - down
    assert action.message == "update_floor(idnumber='a', attr='floor', value='2')"
    (node,) = (up - down).children
    assert (node.branch, node.idnumber) == ("floors", "2")


def test_a_class_whose_objects_name_their_parents_nests_in_itself():
    class Area(Object):
        _references = {"within": "areas"}
        _children = {"areas": "within"}
        within: str | None = None

    def areas(*pairs):
        rows = [{"idnumber": one, "within": above} for one, above in pairs]
        return +Tree(branches={"areas": Branch(Area, importer=rows)})

    full, empty = areas(("a", "c"), ("b", "a"), ("c", None)), areas()
    assert [action.idnumber for action in full - empty] == ["c", "a", "b"]
    assert [action.idnumber for action in empty - full] == ["b", "a", "c"]
    assert [node.idnumber for node in (full - empty).children[0].walk()] == ["c", "a", "b"]


def test_one_class_is_at_the_top_and_a_child_too():
    a, b = network("a", {"nyc": {"r1": {}}}), network("b", {})
    a.devices.new("loose")
    assert [(node.branch, node.idnumber) for node in (a - b).children] == [("sites", "nyc"), ("devices", "loose")]


def test_what_is_not_reached_from_the_top_is_not_compared():
    class Top(Network):
        top_level = ("sites",)

    a, b = network("a", {"nyc": {"r1": {"e": 1}}}, cls=Top), network("b", {}, cls=Top)
    for tree in (a, b):
        tree.devices.new(f"loose in {tree.name}")
        tree.ports.new((f"loose in {tree.name}", "e"))
    assert [action.idnumber for action in a - b] == ["nyc", "r1", ("r1", "e")]
    a.sync_to(b, limits=NO_LIMITS)
    assert not a - b
    assert "loose in b" in b.devices
    # Each side has what its own hierarchy reaches: what no parent holds any more is gone, though the branch keeps it.
    a.sites["nyc"].devices.remove("r1")
    found = [(action.verb, action.idnumber) for action in a - b]
    assert found == [("remove", "nyc"), ("old", ("r1", "e")), ("old", "r1")]
    assert list(-(a - b)) == list(b - a)
    a.sync_to(b, limits=NO_LIMITS)
    assert not a - b
    assert list(b.devices) == ["loose in b"]


def test_a_child_of_a_parent_that_nothing_reaches_is_its_child_no_longer_once_it_is_reached():
    class Part(Object):
        _children = {"parts": "parts"}
        parts: set[str] = set()

    class Parts(Tree):
        top_level = ("machines",)
        machines = Branch(Part)
        parts = Branch(Part)

    a, b = Parts("a"), Parts("b")
    for tree, members in ((a, {"bolt"}), (b, set())):
        tree.machines.new("m", parts=members)
        tree.parts.new("bolt")
    b.parts.new("spare", parts={"bolt"})
    assert [(action.verb, action.idnumber) for action in a - b] == [("new", "bolt"), ("add", "m")]
    assert list(-(a - b)) == list(b - a)
    assert ((a - b) | Seen).ok
    assert not a - b
    assert (b.machines["m"].parts, b.parts["spare"].parts) == ({"bolt"}, set())


@pytest.mark.parametrize("top_level", [("towns",), "sites"])
def test_a_top_level_that_is_no_branch_is_refused(top_level):
    a, b = network("a", A), network("b", B)
    a.top_level = top_level
    b.top_level = top_level
    with pytest.raises(TypeError, match=r"a.top_level must be a tuple of names of branches, of which there are sites"):
        a - b


def test_the_top_level_of_one_tree_holds_for_both():
    a, b = network("a", {"nyc": {}}), network("b", {"nyc": {}})
    b.devices.new("loose")
    assert a - b
    for tree in (a, b):
        a.top_level = b.top_level = None
        tree.top_level = ("sites",)
        assert not a - b
    a.top_level = ("devices",)
    with pytest.raises(DeclarationError, match=r"different top_level, \('devices',\) and \('sites',\)"):
        a - b


# Refused -------------------------------------------------------------------------------------------------------------


def test_several_parents_are_named():
    a, b = network("a", A), network("b", B)
    a.sites["sfo"].devices.append("r1")
    message = r"a\.devices\['r1'\] has several parents, sites 'nyc' and sites 'sfo'"
    for one, other in ((a, b), (b, a)):
        with pytest.raises(HierarchyError, match=message) as caught:
            one - other
        assert caught.value.parents == (("sites", "nyc"), ("sites", "sfo"))


def test_a_child_named_twice_by_one_parent_has_one_parent():
    a = network("a", A)
    a.sites["nyc"].devices.append("r1")
    assert not a - a


def test_parents_of_two_branches_are_named_too():
    class Rack(Object):
        _children = {"devices": "devices"}
        devices: set[str] = set()

    a = Tree(branches={"racks": Branch(Rack), "sites": Branch(Site), "devices": Branch(Object)})
    a.devices.new("r1")
    a.racks.new("7", devices={"r1"})
    a.sites.new("nyc", devices=["r1"])
    with pytest.raises(HierarchyError, match=r"racks '7' and sites 'nyc'"):
        a - a


def test_a_child_or_parent_that_is_not_there_is_named():
    a = network("a", A)
    a.sites["nyc"].devices.append("r77")
    with pytest.raises(HierarchyError, match=r"a\.sites\['nyc'\]\.devices names 'r77', which is not in a\.devices"):
        a - a


def test_a_parent_that_is_not_there_is_a_dangling_reference():
    a, b = network("a", A), network("b", A)
    a.ports.new(("r77", "e0"))
    assert [(node.branch, node.idnumber) for node in (a - b).children] == [("ports", ("r77", "e0"))]
    with pytest.raises(SafeguardError, match=r"ports\.device refers to devices that the source does not have: 'r77'"):
        a >> b
    a.devices.new("r77")
    assert a.sync_to(b).ok


def test_children_in_a_branch_that_is_not_there_are_refused():
    class Wrong(Object):
        _children = {"devcies": "devices"}
        devices: set[str] = set()

    a = Tree("a", branches={"sites": Branch(Wrong), "devices": Branch(Object)})
    with pytest.raises(DeclarationError, match=r"a\.sites has children in 'devcies', .* did you mean 'devices'\?"):
        a - a
    assert "not compared: sites: what it holds of devcies" in (a.sites - a.sites).explain()


def test_children_are_declared_by_a_mapping():
    with pytest.raises(DeclarationError, match=r"Wrong\._children must be a mapping"):

        class Wrong(Object):
            _children = ("devices",)


def test_a_parent_that_can_be_no_idnumber_is_refused():
    class Part(Object):
        whole: list[str] | None = None

    class Whole(Object):
        _children = {"parts": "whole"}

    a = Tree("a", branches={"wholes": Branch(Whole), "parts": Branch(Part)})
    a.wholes.new("w")
    a.parts.new("p", whole=["w"])
    with pytest.raises(HierarchyError, match=r"a\.parts\['p'\]\.whole must be the idnumber of a parent"):
        a - a


def test_a_branch_alone_is_compared_with_what_is_above_it():
    a, b = network("a", {"nyc": {"r1": {}}}), network("b", {"nyc": {"r1": {}, "r2": {}}})
    report = a.devices.sync_to(b.devices, limits=NO_LIMITS)
    assert report.ok
    assert b.sites["nyc"].devices == ["r1"]
    assert not a - b
    heard = []
    b.devices.new("r3")
    a.devices.sync_to(
        b.devices, limits=NO_LIMITS, flags=Flags(never_delete=True), progress=lambda *of: heard.append(of)
    )
    assert "r3" in b.devices
    assert heard == [("diff", 3, 3)]


def test_what_is_below_itself_is_drawn():
    a = Tree("a", branches={"regions": Branch(Region), "sites": Branch()})
    for one, part in (("x", "y"), ("y", "z"), ("z", "x")):
        a.regions.new(one, parts={part})
    with pytest.raises(HierarchyError, match=r"below themselves: .*'x'.* → .*'z'.* → .*'y'"):
        a - a


def test_children_that_are_no_membership_are_refused():
    class Wrong(Object):
        _children = {"devices": "devices"}
        devices: str = ""

    a = Tree("a", branches={"sites": Branch(Wrong), "devices": Branch(Object)})
    a.sites.new("nyc", devices="r1")
    with pytest.raises(HierarchyError, match=r"a\.sites\['nyc'\]\.devices must be a set or a list of idnumbers"):
        a - a


def test_a_child_that_can_be_no_idnumber_is_refused():
    a = network("a", A)
    a.sites["nyc"].devices.append({"r": 1})
    with pytest.raises(HierarchyError, match=r"a\.sites\['nyc'\]\.devices holds something that can be no idnumber"):
        a - a


def test_a_field_that_nobody_has_is_refused():
    class Wrong(Object):
        _children = {"ports": "sitename"}

    a = Tree("a", branches={"sites": Branch(Wrong), "ports": Branch(Port)})
    a.sites.new("nyc")
    assert not a - a
    a.ports.new(("r1", "e0"))
    with pytest.raises(HierarchyError, match=r"by 'sitename', which neither Wrong nor Port has"):
        a - a


def test_no_parent_is_none_or_nothing():
    class Part(Object):
        _whole: str | None = None

    class Whole(Object):
        _children = {"parts": "_whole"}

    a = Tree("a", branches={"wholes": Branch(Whole), "parts": Branch(Part)})
    a.wholes.new("w")
    a.parts.new("in", _whole="w")
    a.parts.new("out", _whole=None)
    hierarchy = (a - a).hierarchies[0]
    assert (hierarchy.parent("parts", "in"), hierarchy.parent("parts", "out")) == (("wholes", "w"), None)


# Folding -------------------------------------------------------------------------------------------------------------


def test_open_parents_hold_their_children_too():
    class Group(Object):
        _children = {"members": "held"}

    def tree(name, groups):
        made = Tree(name, template=Seen(), branches={"groups": Branch(Group), "members": Branch(Object)})
        for group, members in groups.items():
            made.groups.new(group, held=set(members))
            for member in members:
                made.members.new(member)
        return made

    a, b = tree("a", {"x": "12", "y": "3"}), tree("b", {"x": "23"})
    a.sync_to(b, limits=NO_LIMITS)
    assert not a - b
    assert {key: group.held for key, group in b.groups.items()} == {"x": {"1", "2"}, "y": {"3"}}


def test_a_property_that_computes_the_children_is_left_alone():
    class Floor(Object):
        _children = {"rooms": "rooms"}

        @property
        def rooms(self):
            return {room.idnumber for room in self.__branch__.tree.rooms.values() if room._floor == self.idnumber}

    class Room(Object):
        _floor: str = "1"

    def house(name, rooms):
        tree = Tree(name, template=Seen(), branches={"floors": Branch(Floor), "rooms": Branch(Room)})
        tree.floors.new("1")
        for room in rooms:
            tree.rooms.new(room)
        return tree

    a, b = house("a", "12"), house("b", "23")
    a.sync_to(b, limits=NO_LIMITS)
    assert b.floors["1"].rooms == {"1", "2"}
    assert not b.floors.contents.overrides


def test_a_whole_update_holds_no_child_that_could_not_be_created():
    class Whole(Seen):
        add = remove = None

        def __getattr__(self, name):
            raise AttributeError(name)

        def update(self, action):
            self.actions.append(action)

    a, b = network("a", A), network("b", B, Whole({("new", "r2")}))
    report = a.sync_to(b, limits=NO_LIMITS)
    assert report.failed == 1
    assert b.sites["nyc"].devices == ["r1"]
    assert [action.message for action in a - b] == [
        "new_devices(idnumber='r2')",
        "add_devices_to_sites(idnumber='nyc', attr='devices', value='r2')",
    ]


def test_an_update_of_a_list_of_children_has_those_of_the_same_run():
    class Whole(Template):
        lists = []

        def new(self, action):
            self.lists.append(action.idnumber)

        old = new

        def update(self, action):
            self.lists.append((action.idnumber, action.old_value, action.value))

    def places(name, sites, template=None):
        return network(name, {site: {key: {} for key in devices} for site, devices in sites.items()}, template)

    a, b = places("a", {"nyc": "ab", "sfo": "de"}), places("b", {"nyc": "bc", "rdu": "d"}, Whole())
    assert a.sync_to(b, limits=NO_LIMITS).ok
    assert Whole.lists == [
        *("sfo", "a", "e"),
        *(("nyc", ["b", "c"], ["b"]), ("nyc", ["b"], ["a", "b"])),  # once more, as "a" might have failed
        *(("rdu", ["d"], []), ("sfo", ["e"], ["d", "e"])),
        *("c", "rdu"),
    ]
    assert not a - b


# Showing -------------------------------------------------------------------------------------------------------------


def test_it_is_printed_as_a_tree_each_parent_with_its_stat(capsys):
    a, b = network("a", {"nyc": {"r1": {"e0": 1}}}), network("b", {"nyc": {"r1": {}}, "rdu": {}})
    lines = [
        "a - b: new=1 update=1 add=0 remove=0 old=1 total=3",
        "  sites nyc  1 new, 1 value changes",
        "    ~ devices r1  role: '0 ports' → '1 ports'",
        "      + ports ('r1', 'e0')  speed: 1",
        "  - sites rdu",
    ]
    assert repr(a - b).splitlines() == lines
    a > b
    calls = [f"    {action.message}" for action in a - b]
    assert capsys.readouterr().out.splitlines() == [lines[0], "  within the limits", *lines[1:], "  calls:", *calls]
    (nyc, _) = (a - b).children
    assert repr(nyc) == "<NestedDiff sites 'nyc': new=1 update=1 add=0 remove=0 old=0 total=2>"
    assert nyc.children[0].text().splitlines()[0] == lines[2].strip()
    assert "devices" in (a - b)._repr_html_()


def test_a_copy_of_a_flat_diff_has_a_node_an_object():
    a, b = Tree("a", branches={"users": Branch()}), Tree("b", branches={"users": Branch()})
    a.users.new("1", name="Ann", mail="a")
    b.users.new("1", name="Anna", mail="b")
    a.users.new("2", name="Bob", mail="b")
    diff = a - b
    assert not diff.nested
    assert [(node.idnumber, len(node.actions)) for node in diff.children] == [("1", 2), ("2", 1)]
    assert copy.copy(diff) == diff


class HoldingSite(Object):
    _children = {"devices": "site"}
    site: list


class NamedSite(Object):
    _children = {"devices": "site"}
    _attributes = ()


class HeldDevice(Object):
    _attributes = ()


class PlacedDevice(Object):
    _attributes = ()
    site: str


def test_a_parent_that_lists_its_children_is_compared_with_children_that_name_theirs():
    def listed(sites):
        rows = [{"idnumber": site, "site": devices} for site, devices in sites.items()]
        devices = [{"idnumber": device} for devices in sites.values() for device in devices]
        branches = {"sites": Branch(HoldingSite, importer=rows), "devices": Branch(HeldDevice, importer=devices)}
        return +Tree("source", branches=branches)

    def named(sites):
        rows = [{"idnumber": site} for site in sites]
        devices = [{"idnumber": device, "site": site} for site, devices in sites.items() for device in devices]
        branches = {"sites": Branch(NamedSite, importer=rows), "devices": Branch(PlacedDevice, importer=devices)}
        return +Tree("dest", branches=branches)

    before = {"a": list(range(20)), "b": [21]}
    assert not listed(before) - named(before)
    (action,) = listed({"a": list(range(20)), "b": [20, 21]}) - named({"a": list(range(21)), "b": [21]})
    assert (action.verb, action.branch, action.idnumber, action.value) == ("add", "sites", "b", 20)
