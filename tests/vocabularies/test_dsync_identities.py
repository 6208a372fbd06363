"""Classes that make their identifiers or unique ids themselves, and creations that give others, beside diffsync."""

from __future__ import annotations

import re

import diffsync
import diffsync.enum
import pytest

from datastoresync import Limits
from datastoresync.vocabularies import dsync


def lower_identifiers(self):
    return {"name": self.name.lower(), "slot": self.slot}


def prefixed_identifiers(self):
    return {"name": f"x-{self.name}", "slot": self.slot}


def unique_id(self):
    return f"{self.name}!{self.slot}"


def unique_id_of_an_attribute(self):
    return self.note


def created_unique_id(cls, **identifiers):
    return identifiers["name"].lower()


def normalised(cls, adapter, ids, attrs):
    return cls.create_base(adapter, {**ids, "name": ids["name"].upper()}, attrs)


OWN = {
    "identifiers": {"get_identifiers": lower_identifiers},
    "identifiers that another look changes": {"get_identifiers": prefixed_identifiers},
    "unique id": {"get_unique_id": unique_id},
    "unique id of an attribute": {"get_unique_id": unique_id_of_an_attribute},
    "unique id of identifiers": {"create_unique_id": classmethod(created_unique_id)},
    "both": {"get_unique_id": unique_id, "create_unique_id": classmethod(created_unique_id)},
    "creation": {"create": classmethod(normalised)},
}
PLAN = [("a", 1, "new"), ("b", 2, "b"), ("C", 3, "c"), ("e", 4, "e")]
THERE = [("a", 1, "old"), ("C", 3, "c"), ("d", 4, "d"), ("e", 4, "e")]


def declared(words, members, *, top):
    class Device(words.DiffSyncModel):
        _modelname = "device"
        _identifiers = ("name", "slot")
        _attributes = ("note",)
        name: str
        slot: int
        note: str

    class Rack(words.DiffSyncModel):
        _modelname = "rack"
        _identifiers = ("name",)
        _children = {"device": "devices"}
        name: str
        devices: list = []

    class Room(words.Adapter):
        rack = Rack
        device = type("Own", (Device,), {**members, "__module__": __name__})
        top_level = [top]

        def load(self, devices):
            rack = self.rack(name="r")
            self.add(rack)
            for name, slot, note in devices:
                device = self.device(name=name, slot=slot, note=note)
                self.add(device)
                rack.add_child(device)

    plan, there = Room("plan"), Room("there")
    plan.load(PLAN)
    there.load(THERE)
    return plan, there


def asked(function, *arguments):
    """Return what a call gives, or the name of its exception."""
    try:
        found = function(*arguments)
    except Exception as error:  # noqa: BLE001 - compared
        return type(error).__name__
    return found.name if hasattr(found, "name") else found


def held(room):
    return room.get("rack", "r").devices, [(one.get_unique_id(), one.name, one.note) for one in room.get_all("device")]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("top", ["rack", "device"])
@pytest.mark.parametrize("flags", [0, 1])
def test_identities_of_a_class_are_what_diffsync_makes_of_them(own, top, flags):
    found = []
    for words, enum in ((dsync, dsync), (diffsync, diffsync.enum)):
        plan, there = declared(words, OWN[own], top=top)
        diff = there.diff_from(plan)
        ended = asked(
            lambda plan, there, flags: there.sync_from(plan, flags=flags).dict(), plan, there, enum.DiffSyncFlags(flags)
        )
        asking = ("A!1", "a!1", "a__1", "a", "x-a__1", "new", {"name": "a", "slot": 1}, {"name": "x-a", "slot": 1})
        found.append(
            (
                [diff.dict(), diff.summary(), diff.str(), ended, held(there)],
                [asked(there.get, "device", name) for name in asking],
                [asked(there.remove, one) for one in there.get_all("device")[:2]],
                len(there),
                asked(there.add, there.device(name="new", slot=9, note="e")),
                len(there),
            )
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("own", ["identifiers", "unique id", "unique id of an attribute", "both"])
def test_natively_such_models_are_created_by_their_identifiers(own):
    plan, there = declared(dsync, OWN[own], top="rack")
    diff = plan.tree - there.tree
    report = there.tree.apply(diff, limits=Limits(deletions=1.0))
    assert report.ok
    assert sorted(held(there)[1]) == sorted(held(plan)[1])


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("settings", "names", "error"),
    [
        ({"_identifiers": ("label",)}, ("a", "a"), "Keys mismatch: {'name': 'a'} vs {'label': 'a'}"),
        (
            {"get_unique_id": lambda self: self.name.lower()},
            ("A", "a"),
            "Keys mismatch: {'name': 'A'} vs {'name': 'a'}",
        ),
        ({"_shortname": ("label",)}, ("a", "b"), "Shortname mismatch: a vs b"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("flags", [0, 1])
def test_one_unique_id_of_two_identities_is_refused(settings, names, error, nested, flags):
    for words, enum in ((dsync, dsync), (diffsync, diffsync.enum)):

        class Device(words.DiffSyncModel):
            _modelname = "device"
            _identifiers = ("name",)
            name: str
            label: str

        class Rack(words.DiffSyncModel):
            _modelname = "rack"
            _identifiers = ("name",)
            _children = {"device": "devices"}
            name: str = "r"
            devices: list = []

        other = type("Other", (Device,), {**settings, "__module__": __name__})
        sides = []
        for cls, name in zip((Device if "_identifiers" in settings else other, other), names, strict=True):
            top = "rack" if nested else "device"
            adapter = type("Room", (words.Adapter,), {"device": cls, "rack": Rack, "top_level": [top]})()
            device = cls(name="a" if "_shortname" in settings else name, label=name)
            device.model_flags = enum.DiffSyncModelFlags(flags)
            rack = Rack()
            for one in (device, rack):
                adapter.add(one)
            rack.add_child(device)
            sides.append(adapter)
        with pytest.raises(ValueError, match=re.escape(error)):
            sides[1].diff_from(sides[0])
