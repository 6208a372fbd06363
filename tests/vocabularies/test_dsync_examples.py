"""What the guides of dsync and diffsync show, in our own words, run by both libraries side by side."""

from __future__ import annotations

import logging
import re
import types

import diffsync
import diffsync.enum
import diffsync.exceptions
import pytest
import structlog

from datastoresync.vocabularies import dsync

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

THEIRS = types.SimpleNamespace(
    **{
        name: getattr(module, name)
        for module in (diffsync, diffsync.enum, diffsync.exceptions)
        for name in vars(module)
        if not name.startswith("_")
    }
)

CAMPUS = {"north": {"n-core": "router", "n-edge": "switch"}, "south": {"s-core": "router"}}
PLAN = {"north": {"n-core": "firewall"}, "west": {"w-core": "router"}}


@pytest.fixture(params=[dsync, THEIRS], ids=["ours", "theirs"])
def words(request):
    return request.param


def network(words, **members):
    """Return an adapter's class for buildings with devices; ``members`` go into the class of the devices."""

    class Building(words.DiffSyncModel):
        _modelname = "building"
        _identifiers = ("name",)
        _shortname = ()
        _attributes = ("phone",)
        _children = {"device": "devices"}

        name: str
        phone: str = ""
        devices: list = []

    class Device(words.DiffSyncModel):
        _modelname = "device"
        _identifiers = ("name",)
        _attributes = ("role",)

        name: str
        role: str
        building: str = ""

    class Network(words.Adapter):
        building = Building
        device = type("Remote", (Device,), {**members, "__module__": __name__}) if members else Device
        top_level = ["building"]

        def load(self, buildings):
            for name, devices in buildings.items():
                building = self.building(name=name)
                self.add(building)
                for device_name, role in devices.items():
                    device = self.device(name=device_name, role=role, building=name)
                    self.add(device)
                    building.add_child(device)

    return Network


def loaded(words, **members):
    there, here = network(words)("there"), network(words, **members)("here")
    there.load(PLAN)
    here.load(CAMPUS)
    return there, here


def test_the_difference_as_text(words):
    there, here = loaded(words)
    assert here.diff_from(there).str() == (
        "building\n"
        "  building: north\n"
        "    device\n"
        "      device: n-core\n"
        "        role    there(firewall)    here(router)\n"
        "      device: n-edge MISSING in there\n"
        "  building: west MISSING in here\n"
        "    device\n"
        "      device: w-core MISSING in here\n"
        "  building: south MISSING in there\n"
        "    device\n"
        "      device: s-core MISSING in there"
    )
    assert here.diff_from(here).str() == "(no diffs)"


def test_the_difference_as_dictionaries(words):
    there, here = loaded(words)
    assert there.diff_to(here).dict() == {
        "building": {
            "north": {
                "+": {},
                "-": {},
                "device": {
                    "n-core": {"+": {"role": "firewall"}, "-": {"role": "router"}},
                    "n-edge": {"-": {"role": "switch"}},
                },
            },
            "west": {"+": {"phone": ""}, "device": {"w-core": {"+": {"role": "router"}}}},
            "south": {"-": {"phone": ""}, "device": {"s-core": {"-": {"role": "router"}}}},
        }
    }


def test_the_summary_counts_objects(words):
    there, here = loaded(words)
    diff = here.diff_from(there)
    assert diff.summary() == {"create": 2, "update": 1, "delete": 3, "no-change": 1, "skip": 0}
    assert len(diff) == 7


def test_elements_are_found_by_type_and_name(words):
    there, here = loaded(words)
    diff = here.diff_from(there)
    assert diff.groups() == ["building"]
    north = diff.children["building"]["north"]
    core = north.child_diff.children["device"]["n-core"]
    assert (north.action, north.has_diffs(), north.has_diffs(include_children=False)) == (None, True, False)
    assert (core.action, core.type, core.name, core.keys) == ("update", "device", "n-core", {"name": "n-core"})
    assert (core.source_attrs, core.dest_attrs) == ({"role": "firewall"}, {"role": "router"})
    assert core.get_attrs_diffs() == {"+": {"role": "firewall"}, "-": {"role": "router"}}
    assert str(core) == (
        "device \"n-core\" : {'name': 'n-core'} : there → here : {'-': {'role': 'router'}, '+': {'role': 'firewall'}}"
    )
    assert [child.name for child in north.get_children()] == ["n-core", "n-edge"]
    assert diff.children["building"]["west"].action == words.DiffSyncActions.CREATE


def test_a_sync_in_either_direction(words):
    there, here = loaded(words)
    assert here.sync_from(there).summary()["create"] == 2
    assert not here.diff_from(there).has_diffs()
    assert here.get("building", "west").devices == ["w-core"]
    there, here = loaded(words)
    here.sync_to(there)
    assert there.get("device", "s-core").role == "router"
    assert there.get_or_none("building", "west") is None


def test_models_change_a_remote_system(words):
    calls = []

    @classmethod
    def create(cls, adapter, ids, attrs):
        calls.append(("create", ids, attrs))
        return cls.create_base(adapter=adapter, ids=ids, attrs=attrs)

    def update(self, attrs):
        calls.append(("update", self.name, attrs))
        return self.update_base(attrs)

    def delete(self):
        calls.append(("delete", self.name))
        return self.delete_base()

    there, here = loaded(words, create=create, update=update, delete=delete)
    here.sync_from(there)
    assert sorted(calls, key=repr) == [
        ("create", {"name": "w-core"}, {"role": "router"}),
        ("delete", "n-edge"),
        ("delete", "s-core"),
        ("update", "n-core", {"role": "firewall"}),
    ]


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("NONE", ["n-core", "w-core"]),
        ("SKIP_UNMATCHED_SRC", ["n-core"]),
        ("SKIP_UNMATCHED_DST", ["n-core", "n-edge", "s-core", "w-core"]),
        ("SKIP_UNMATCHED_BOTH", ["n-core", "n-edge", "s-core"]),
    ],
)
def test_flags_of_a_run(words, flags, names):
    there, here = loaded(words)
    here.sync_from(there, flags=words.DiffSyncFlags[flags])
    assert sorted(device.name for device in here.get_all("device")) == names


def test_flags_of_a_model_and_of_a_class(words):
    there, here = loaded(words)
    here.get("device", "n-core").model_flags = words.DiffSyncModelFlags.IGNORE
    here.get("building", "south").model_flags |= words.DiffSyncModelFlags.SKIP_UNMATCHED_DST
    here.sync_from(there)
    assert [building.name for building in here.get_all("building")] == ["north", "south", "west"]
    assert here.get("device", "n-core").role == "router"

    class Kept(words.DiffSyncModel):
        _modelname = "kept"
        _identifiers = ("name",)
        name: str
        model_flags: words.DiffSyncModelFlags = words.DiffSyncModelFlags.SKIP_UNMATCHED_DST

    class Keeper(words.Adapter):
        kept = Kept
        top_level = ["kept"]

    keeper = Keeper()
    keeper.add(Kept(name="one"))
    keeper.sync_from(Keeper())
    assert keeper.count("kept") == 1


def test_children_that_go_with_their_parent(words):
    calls = []

    def delete(self):
        calls.append(self.name)
        return self.delete_base()

    there, here = loaded(words, delete=delete)
    here.get("building", "south").model_flags = words.DiffSyncModelFlags.SKIP_CHILDREN_ON_DELETE
    here.sync_from(there)
    assert calls == ["n-edge"]
    assert here.get_or_none("device", "s-core") is None


def test_a_diff_with_an_order_of_its_own(words):
    calls = []

    class Backwards(words.Diff):
        @classmethod
        def order_children_building(cls, children):
            for name in sorted(children, reverse=True):
                yield children[name]

        def order_children_device(self, children):
            yield from sorted(children.values(), key=lambda child: child.name, reverse=True)

    @classmethod
    def create(cls, adapter, ids, attrs):
        calls.append(ids["name"])
        return super(adapter.device, cls).create(adapter=adapter, ids=ids, attrs=attrs)

    there, here = network(words)("there"), network(words, create=create)("here")
    there.load({"a": {"a1": "x", "a2": "y"}, "b": {"b1": "x", "b2": "y"}})
    diff = here.diff_from(there, diff_class=Backwards)
    assert isinstance(diff, Backwards)
    assert [child.name for child in diff.get_children()] == ["b", "a"]
    here.sync_from(there, diff_class=Backwards, diff=diff)
    assert calls == ["b2", "b1", "a2", "a1"]


def test_a_diff_of_another_class_is_refused(words):
    there, here = loaded(words)
    with pytest.raises(Exception, match="Special") as caught:
        here.sync_from(there, diff_class=type("Special", (words.Diff,), {}), diff=here.diff_from(there))
    assert type(caught.value).__name__ == "DiffClassMismatch"


def test_callbacks_hear_of_both_stages(words):
    there, here = loaded(words)
    heard = []
    here.sync_from(there, callback=lambda stage, done, total: heard.append((stage, done, total)))
    stages = [stage for stage, _, _ in heard]
    assert list(dict.fromkeys(stages)) == ["diff", "sync"]
    assert heard[stages.index("sync") - 1][1:] == (9, 9)  # all models of both sides


def test_a_sync_that_changes_something_is_heard_of(words):
    there, here = loaded(words)
    heard = []
    type(here).sync_complete = lambda self, source, diff, flags, logger: heard.append((source, diff, flags))
    diff = here.sync_from(there)
    assert heard == [(there, diff, words.DiffSyncFlags.NONE)]
    here.sync_from(there)
    assert len(heard) == 1


def test_what_an_adapter_holds_as_dictionaries_and_back(words):
    there, _ = loaded(words)
    held = there.dict()
    assert held["building"]["north"] == {"name": "north", "devices": ["n-core"]}
    again = network(words)("there")
    again.load_from_dict(held)
    assert again.dict() == held
    assert not again.diff_from(there).has_diffs()


def test_an_adapter_as_text(words):
    there, _ = loaded(words)
    there.add(there.building(name="empty"))
    assert there.str() == (
        "building\n"
        "  building: north: {'phone': ''}\n"
        "    devices\n"
        "      device: n-core: {'role': 'firewall'}\n"
        "  building: west: {'phone': ''}\n"
        "    devices\n"
        "      device: w-core: {'role': 'router'}\n"
        "  building: empty: {'phone': ''}\n"
        "    devices: []"
    )
    assert (str(there), repr(there)) == ('Network "there"', '<Network "there">')
    assert there.get_tree_traversal() == "Network\n└── building\n    └── device"
    assert there.get_tree_traversal(as_dict=True) == {"building": {"device": {}}}
    assert network(words)().str() == "building: []"


def test_a_model_as_text(words):
    there, here = loaded(words)
    north = here.get("building", "north")
    assert (str(north), repr(north), north.get_shortname()) == ("north", 'building "north"', "north")
    assert north.str(include_children=False) == "building: north: {'phone': ''}\n  devices: ['n-core', 'n-edge']"
    here.remove(here.get("device", "n-edge"))
    assert north.str().endswith("n-edge (ERROR: details unavailable)")
    assert there.get("device", "n-core").json() == '{"name":"n-core","role":"firewall","building":"north"}'
    assert north.dict(include={"name", "devices"}) == {"name": "north", "devices": ["n-core", "n-edge"]}


def test_look_ups(words):
    there, _ = loaded(words)
    device = there.get("device", {"name": "n-core"})
    assert there.get(there.device, "n-core") is device
    assert there.get(device, {"name": "n-core"}) is device
    assert there.get_by_uids(["w-core", "n-core"], "device") == [there.get("device", "w-core"), device]
    for missing in (
        lambda: there.get("device", "x"),
        lambda: there.get(there.device, {"name": "x"}),
        lambda: there.get_by_uids(["x"], "device"),
    ):
        with pytest.raises(words.ObjectNotFound, match="device x not present in LocalStore"):
            missing()
    assert there.get_or_none("router", "n-core") is None
    with pytest.raises(ValueError, match=re.escape("Invalid args: (router, None, {'name': 'n-core'})")):
        there.get("router", {"name": "n-core"})
    assert there.get_all("router") == []
    assert there.count() == len(there) == 4
    assert there.count("device") == there.count(device) == 2
    assert there.get_all_model_names() >= {"building", "device"}


def test_models_that_may_be_there_already(words):
    there, _ = loaded(words)
    device, made = there.get_or_instantiate(there.device, {"name": "new"}, {"role": "x"})
    assert (made, device.role, there.get("device", "new") is device) == (True, "x", True)
    assert there.get_or_instantiate(there.device, {"name": "new"}, {"role": "y"}) == (device, False)
    found, made = there.update_or_instantiate(there.device, {"name": "new"}, {"role": "z"})
    assert (found is device, made, device.role) == (True, False, "z")
    other, made = there.update_or_instantiate(there.device, {"name": "newer"}, {"role": "z"})
    assert (made, other.role) == (True, "z")
    again = there.device(name="new", role="again")
    assert there.get_or_add_model_instance(again) == (device, False)
    assert there.update_or_add_model_instance(again) == (device, False)
    assert device.role == "again"
    fresh = there.device(name="fresh", role="x")
    assert there.update_or_add_model_instance(fresh) == (fresh, True)
    assert there.get_or_add_model_instance(there.device(name="most", role="x"))[1]


def test_adding_and_removing(words):
    there, _ = loaded(words)
    device = there.get("device", "n-core")
    there.add(device)
    twin = there.device(name="n-core", role="x")
    with pytest.raises(words.ObjectAlreadyExists) as caught:
        there.add(twin)
    assert caught.value.existing_object is twin
    there.update(twin)
    assert there.get("device", "n-core") is twin
    building = there.get("building", "north")
    there.remove(building, remove_children=True)
    assert (building.adapter, there.get_or_none("device", "n-core")) == (None, None)
    with pytest.raises(words.ObjectNotFound):
        there.remove(building)


def test_children_of_a_model(words):
    there, here = loaded(words)
    north, core = here.get("building", "north"), here.get("device", "n-core")
    with pytest.raises(words.ObjectAlreadyExists):
        north.add_child(core)
    north.remove_child(core)
    assert north.devices == ["n-edge"]
    with pytest.raises(words.ObjectNotFound):
        north.remove_child(core)
    for wrong in (north.add_child, north.remove_child):
        with pytest.raises(words.ObjectStoreWrongType):
            wrong(there.get("building", "west"))


def test_the_first_failure_ends_the_run(words):
    def update(self, attrs):
        raise words.ObjectNotUpdated("no")

    there, here = loaded(words, update=update)
    with pytest.raises(words.ObjectNotUpdated, match="no"):
        here.sync_from(there)
    assert here.get_or_none("building", "west") is None
    diff = here.sync_from(there, flags=words.DiffSyncFlags.CONTINUE_ON_FAILURE)
    assert here.get("building", "west").devices == ["w-core"]
    assert here.get("device", "n-core").role == "router"
    assert diff.has_diffs()


def test_a_failed_creation_leaves_the_children_alone(words):
    there, here = loaded(words)
    made = []

    def create(cls, adapter, ids, attrs):
        made.append(ids["name"])

    here.building.create = classmethod(create)
    here.device.create = classmethod(create)
    here.sync_from(there)
    assert made == ["west"]
    assert here.get_or_none("building", "west") is None


def test_a_failed_update_leaves_the_children_alone(words):
    there, here = loaded(words)
    there.get("building", "north").phone = "1"
    here.building.update = lambda self, attrs: None
    here.sync_from(there)
    assert here.get("device", "n-core").role == "router"
    assert here.get_or_none("device", "n-edge") is not None
    assert here.get("building", "west").devices == ["w-core"]


def test_the_status_of_a_model(words):
    there, here = loaded(words)
    device = here.get("device", "n-core")
    assert device.get_status()[0].value == "success"
    here.sync_from(there)
    assert device.get_status()[1] == "Updated successfully"
    assert here.get("device", "w-core").get_status()[1] == "Created successfully"


def test_a_class_may_make_its_unique_ids_itself(words):
    def create_unique_id(cls, **identifiers):
        return f"{cls.get_type()}-{identifiers['name'].upper()}"

    there, here = loaded(words, create_unique_id=classmethod(create_unique_id))
    there = type(here)("there")
    there.load(PLAN)
    device = here.get("device", "device-S-CORE")
    assert device.get_unique_id() == "device-S-CORE"
    assert here.get("device", {"name": "s-core"}) is device
    assert here.get("building", "south").devices == ["device-S-CORE"]
    assert list(here.diff_from(there).dict()["building"]["south"]["device"]) == ["device-S-CORE"]
    here.sync_from(there)
    assert here.str() == there.str()
    assert not here.diff_from(there).has_diffs()
    west = here.get("building", "west")
    west.remove_child(here.get("device", "device-W-CORE"))
    assert west.devices == []


def test_the_elements_of_a_diff_may_be_replaced(words):
    there, here = loaded(words)
    diff = here.diff_from(there)
    diff.children = {"building": {"west": diff.children["building"]["west"]}}
    here.sync_from(there, diff=diff)
    assert here.get_or_none("building", "west") is not None
    assert here.get_or_none("building", "south") is not None


def test_what_a_sync_leaves_unchanged_has_an_unknown_status(words):
    there, here = network(words)("there"), network(words)("here")
    there.load(PLAN)
    here.load(PLAN)
    there.get("device", "w-core").role = "firewall"
    here.sync_from(there)
    statuses = {
        model.name: model.get_status()[0].value for kind in ("building", "device") for model in here.get_all(kind)
    }
    assert statuses.pop("w-core") == "success"
    assert set(statuses.values()) == {"unknown"}
    here.get("building", "north").set_status(words.DiffSyncStatus.FAILURE, "on strike")
    assert here.get("building", "west").get_status() == (words.DiffSyncStatus.UNKNOWN, "")


@pytest.mark.parametrize(
    "members",
    [
        {"_identifiers": ("gone",)},
        {"_attributes": ("gone",)},
        {"_children": {"device": "gone"}},
        {"_shortname": ("gone",)},
        {"_attributes": ("name",)},
        {"_children": {"device": "name"}},
        {"_attributes": ("parts",), "_children": {"device": "parts"}},
    ],
)
def test_a_model_that_does_not_fit_together_is_refused(words, members):
    body = {"_modelname": "x", "_identifiers": ("name",), "__annotations__": {"name": str, "parts": list}, "parts": []}
    with pytest.raises(AttributeError):
        type("X", (words.DiffSyncModel,), {**body, "__module__": __name__, **members})


def test_an_adapter_that_does_not_fit_together_is_refused(words):
    device = network(words).device
    for members in ({"machine": device}, {"top_level": ["device"]}, {"device": 1, "top_level": ["device"]}):
        with pytest.raises(AttributeError):
            type("X", (words.Adapter,), members)
