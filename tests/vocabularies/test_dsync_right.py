"""What was wrong in the older systems, and is right here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import HierarchyError, Limits, SafeguardError, SchemaMismatchError
from datastoresync.vocabularies.dsync import (
    Adapter,
    Diff,
    DiffElement,
    DiffException,
    DiffSyncFlags,
    DiffSyncModel,
    DiffSyncModelFlags,
    DSync,
    DSyncModel,
    ObjectAlreadyExists,
    ObjectNotDeleted,
    ObjectNotFound,
    ObjectNotUpdated,
    ObjectStoreWrongType,
)
from datastoresync.vocabularies.dsync.identity import find_keys, text_of


class Pair(DiffSyncModel):
    _modelname = "pair"
    _identifiers = ("left", "right")
    _attributes = ("note",)
    left: str
    right: str
    note: str = ""


class Rack(DiffSyncModel):
    _modelname = "rack"
    _identifiers = ("name",)
    _children = {"pair": "pairs", "rack": "racks"}
    name: str
    pairs: list = []
    racks: list = []


class Room(Adapter):
    rack = Rack
    pair = Pair
    top_level = ["rack"]


class Pairs(Adapter):
    pair = Pair
    top_level = ["pair"]


PARTS = st.text("a_(',", max_size=4)
KEYS = st.tuples(PARTS, PARTS)


# --- identities --------------------------------------------------------------------------------------------------


@given(KEYS, KEYS)
def test_different_keys_have_different_texts(one, other):
    assert (text_of(one) == text_of(other)) == (one == other)


@given(st.sets(KEYS, max_size=6))
def test_a_text_finds_its_key_and_no_other(keys):
    for key in keys:
        assert key in find_keys(text_of(key), keys, ("left", "right"), lambda _, text: text, plain=True)
        assert key in find_keys("__".join(key), keys, ("left", "right"), lambda _, text: text, plain=True)


def test_all_ways_to_take_a_text_apart_are_tried():
    keys = [("a", "_b", "c"), ("a_", "b", "c"), ("a", "b", "c")]
    assert find_keys("a___b__c", keys, ("x", "y", "z"), lambda _, text: text, plain=True) == keys[:2]


def test_identifiers_that_join_to_one_text_are_different():
    pairs = Pairs()
    first, second = Pair(left="u__v", right="w"), Pair(left="u", right="v__w")
    pairs.add(first)
    pairs.add(second)
    assert len(pairs.dict()["pair"]) == 2
    assert pairs.get("pair", {"left": "u", "right": "v__w"}) is second
    assert pairs.get("pair", ("u__v", "w")) is first
    assert pairs.get("pair", first.get_unique_id()) is first
    with pytest.raises(ObjectStoreWrongType, match=r"'u__v__w' may be any of .*give the identifiers"):
        pairs.get("pair", "u__v__w")


def test_a_joined_text_of_old_code_is_taken_where_it_is_clear():
    pairs = Pairs()
    pair = Pair(left="u__v", right="w")
    pairs.add(pair)
    assert pairs.get_by_uids(["u__v__w"], "pair") == [pair]
    assert pairs.get_or_none("pair", "u__w") is None


def test_children_may_be_given_as_the_joined_text_of_old_code():
    there, here = Room(), Room()
    there.add(Rack(name="r", pairs=["a__b", ("c", "d")]))
    there.add(Pair(left="a", right="b"))
    there.add(Pair(left="c", right="d"))
    here.sync_from(there)
    assert here.get("rack", "r").pairs == ["a__b", "c__d"]
    assert here.dict()["rack"]["r"]["pairs"] == ["a__b", "c__d"]
    again = Room()
    again.load_from_dict(here.dict())
    assert not again.diff_from(here).has_diffs()


def test_numbers_are_numbers_as_identifiers():
    class Vlan(DiffSyncModel):
        _modelname = "vlan"
        _identifiers = ("number",)
        number: int

    class Vlans(Adapter):
        vlan = Vlan
        top_level = ["vlan"]

    vlans = Vlans()
    for number in (10, 9):
        vlans.add(Vlan(number=number))
    found = vlans.get("vlan", 10)
    assert found is vlans.get("vlan", "10") is vlans.get("vlan", {"number": "10"})
    assert found.get_unique_id() == "10"
    for missing in ("010", "x", {"number": "x"}):
        assert vlans.get_or_none("vlan", missing) is None
    with pytest.raises(ValueError, match="a vlan is identified by number: 'number' is missing"):
        vlans.get_or_none("vlan", {"nummer": 1})
    assert list(vlans.tree["vlan"]) == [9, 10]


# --- what is compared --------------------------------------------------------------------------------------------


class Short(Pair):
    _attributes = ()


class Bare(DiffSyncModel):
    _modelname = "rack"
    _identifiers = ("name",)
    name: str


@pytest.mark.parametrize("strict", [False, True])
def test_an_attribute_that_only_one_side_has_is_refused_on_request(strict):
    class Shorter(Pairs):
        pair = Short
        _strict = strict

    there, here = Pairs(), Shorter()
    there.add(Pair(left="a", right="b", note="x"))
    here.add(Short(left="a", right="b", note="y"))
    for one, other in ((here, there), (there, here)):
        if not strict:
            assert not one.diff_from(other).has_diffs()
            continue
        with pytest.raises(SchemaMismatchError, match="note"):
            one.diff_from(other)


def bare_room(**members):
    return type("BareRoom", (Adapter,), {"rack": Bare, "top_level": ["rack"], **members})


def test_children_that_only_one_class_names_are_not_compared_but_skipped():
    there, here = Room("there"), bare_room()("here")
    there.add(Rack(name="r", pairs=[("a", "b")]))
    there.add(Pair(left="a", right="b"))
    here.add(Bare(name="r"))
    for one, other in ((here, there), (there, here)):
        assert one.sync_from(other).summary() == {"create": 0, "update": 0, "delete": 0, "no-change": 1, "skip": 1}
    strict = bare_room(_strict=True)("strict")
    with pytest.raises(SchemaMismatchError, match="strict has no model 'pair'"):
        strict.diff_from(there)


@pytest.mark.parametrize(
    ("members", "message"),
    [({}, "BareRoom \"here\" has no model 'pair'"), ({"pair": Pair}, "Unable to store pair as a child of rack")],
)
def test_what_has_no_place_is_refused_before_anything_is_created(members, message):
    there, here = Room("there"), bare_room(**members)("here")
    there.add(Rack(name="r", pairs=[("a", "b")]))
    there.add(Pair(left="a", right="b"))
    with pytest.raises(ObjectStoreWrongType, match=message):
        here.sync_from(there)
    assert len(here) == 0


def test_identifiers_that_only_look_alike_are_refused():
    class Numbered(Pair):
        right: int

    class Numbers(Pairs):
        pair = Numbered

    there, here = Pairs(), Numbers()
    there.add(Pair(left="a", right="1"))
    here.add(Numbered(left="a", right=1))
    with pytest.raises(ValueError, match=r"Keys mismatch: \{'left': 'a', 'right': '1'} vs {'left': 'a', 'right': 1}"):
        here.diff_from(there)


def test_what_is_at_the_top_of_one_adapter_only_is_skipped_and_counted():
    class Both(Room):
        top_level = ["pair", "rack"]

    there, here = Both(), Pairs()
    there.add(Rack(name="r"))
    assert here.diff_from(there).summary() == {"create": 0, "update": 0, "delete": 0, "no-change": 0, "skip": 1}


def test_adapters_with_nothing_in_common_are_warned_of(events):
    there, here = Room(), Pairs()
    there.add(Rack(name="r"))
    here.add(Pair(left="a", right="b"))
    assert not here.diff_from(there).has_diffs()
    assert "Nothing is compared: top_level has no name in common" in [event["event"] for event in events]


def test_a_model_in_two_places_is_shown_in_both_and_created_once():
    there, here = Room(), Room()
    for name in ("outer", "inner", "other"):
        there.add(Rack(name=name))
    for name in ("outer", "other"):
        there.get("rack", name).add_child(there.get("rack", "inner"))
    diff = here.diff_from(there)
    assert diff.dict()["rack"]["outer"] == {"+": {}, "rack": {"inner": {"+": {}}}}
    assert diff.summary()["create"] == 5
    here.sync_from(there, diff=diff)
    assert diff.report.ok
    assert {rack.name: rack.racks for rack in here.get_all("rack")} == {
        "outer": ["inner"],
        "inner": [],
        "other": ["inner"],
    }
    assert not here.diff_from(there).has_diffs()


def test_a_model_that_one_of_two_parents_lets_go_of_is_kept():
    deleted = []

    class Noted(Pair):
        def delete(self):
            deleted.append(self.left)
            return super().delete()

    there, here = Room(), type("Here", (Room,), {"pair": Noted})()
    for room, pair in ((there, Pair), (here, Noted)):
        for name in ("one", "two"):
            room.add(Rack(name=name, pairs=["a__b"]))
        room.add(pair(left="a", right="b"))
    there.get("rack", "two").pairs.clear()
    assert here.sync_from(there).report.ok
    assert (here.get("rack", "two").pairs, here.count("pair"), deleted) == ([], 1, [])
    there.get("rack", "one").pairs.clear()
    here.get("rack", "two").pairs.append("a__b")
    assert here.sync_from(there).report.ok
    assert (here.count("pair"), deleted) == (0, ["a"])


def test_an_update_of_a_model_in_two_places_is_made_once():
    updated = []

    class Noted(Pair):
        def update(self, attrs):
            updated.append(attrs)
            return super().update(attrs)

    there, here = Room(), type("Here", (Room,), {"pair": Noted})()
    for room, pair, note in ((there, Pair, "new"), (here, Noted, "old")):
        for name in ("one", "two"):
            room.add(Rack(name=name, pairs=["a__b"]))
        room.add(pair(left="a", right="b", note=note))
    assert here.sync_from(there).summary()["update"] == 2
    assert updated == [{"note": "new"}]


def test_a_child_that_is_not_there_is_refused():
    there = Room()
    there.add(Rack(name="one", pairs=[("a", "b")]))
    with pytest.raises(ObjectNotFound, match="pair a__b not present in LocalStore of Room"):
        Room().diff_from(there)


def test_what_is_below_itself_is_refused():
    there = Room()
    there.add(Rack(name="one", racks=["two"]))
    there.add(Rack(name="two", racks=["one"]))
    with pytest.raises(HierarchyError, match="a rack is below itself: one"):
        Room().diff_from(there)


# --- what is done ------------------------------------------------------------------------------------------------


CALLS = []


class Noted(Pair):
    @classmethod
    def create(cls, adapter, ids, attrs):
        CALLS.append(("create", ids["left"]))
        return super().create(adapter=adapter, ids=ids, attrs=attrs)

    def update(self, attrs):
        CALLS.append(("update", self.left, attrs))
        return super().update(attrs)

    def delete(self):
        CALLS.append(("delete", self.left))
        return super().delete()


class Moving(Noted):
    def _move(self, parent):
        CALLS.append(("move", self.left, parent.name))
        return super()._move(parent)


@pytest.mark.parametrize("racks", [("one", "two"), ("two", "one"), ("new", "old")])
@pytest.mark.parametrize("cls", [Noted, Moving])
@pytest.mark.parametrize("note", ["same", "other"])
def test_a_child_with_another_parent_moves_or_is_deleted_before_it_is_created(racks, cls, note):
    """diffsync shows the same, but creates it before it is deleted, and so fails, if the new parent comes first."""
    CALLS.clear()
    new, old = racks
    there, here = Room("there"), type("Here", (Room,), {"pair": cls})("here")
    for name in sorted({*racks} - {"old"}):
        there.add(Rack(name=name))
    for name in sorted({*racks} - {"new"}):
        here.add(Rack(name=name))
    for room, rack, pair, text in ((there, new, Pair, note), (here, old, cls, "same")):
        room.add(pair(left="a", right="b", note=text))
        room.get("rack", rack).add_child(room.get("pair", ("a", "b")))
    diff = here.sync_from(there)
    assert (diff.summary()["create"], diff.summary()["delete"]) == ((1, 1) if old == "one" or new == "one" else (2, 2))
    moved = [("move", "a", new), *([("update", "a", {"note": note})] if note == "other" else [])]
    assert (moved if cls is Moving else [("delete", "a"), ("create", "a")]) == CALLS
    assert diff.report.ok
    assert here.get("rack", new).pairs == ["a__b"]
    assert here.dict() == there.dict()
    assert not here.diff_from(there).has_diffs()


def test_unchanged_elements_do_not_change_what_is_done():
    there, here = Pairs(), Pairs()
    for left in "abc":
        there.add(Pair(left=left, right="x"))
    here.add(Pair(left="b", right="x"))
    diff = here.diff_from(there)
    assert [(element.name, element.action) for element in diff.get_children()] == [
        ("a__x", "create"),
        ("b__x", None),
        ("c__x", "create"),
    ]
    here.sync_from(there, diff=diff)
    assert [pair.left for pair in here.get_all("pair")] == ["b", "a", "c"]


def test_a_creation_may_add_the_model_and_tell_its_parent_itself():
    class Eager(Pair):
        @classmethod
        def create(cls, adapter, ids, attrs):
            made = super().create(adapter=adapter, ids=ids, attrs=attrs)
            adapter.add(made)
            adapter.get("rack", "r").add_child(made)
            return made

    class Eagers(Room):
        pair = Eager

    there, here = Room(), Eagers()
    there.add(Rack(name="r", pairs=[("a", "b")]))
    there.add(Pair(left="a", right="b"))
    assert here.sync_from(there).report.ok
    assert here.get("rack", "r").pairs == ["a__b"]


def test_in_natural_order_children_are_deleted_before_their_parents_and_logged_by_their_names(events):
    calls = []

    class NotedRack(Rack):
        model_flags: DiffSyncModelFlags = DiffSyncModelFlags.NATURAL_DELETION_ORDER

        def delete(self):
            calls.append(self.name)
            return super().delete()

    class Notes(Room):
        rack = NotedRack

    here = Notes()
    here.add(NotedRack(name="outer", racks=["inner"]))
    here.add(NotedRack(name="inner", pairs=["a__b"]))
    here.add(Pair(left="a", right="b"))
    here.sync_from(Notes())
    assert calls == ["inner", "outer"]
    assert [event["unique_id"] for event in events if "status" in event] == ["a__b", "inner", "outer"]
    assert len(here) == 0


def test_a_deletion_that_fails_is_tried_once_below_several_parents():
    class Locked(Pair):
        def delete(self):
            if self.left == "locked":
                raise ObjectNotDeleted("it is locked")
            return super().delete()

    here = type("Here", (Room,), {"pair": Locked})()
    here.add(Rack(name="one", pairs=["a__b", "locked__b", "z__b"]))
    here.add(Rack(name="two", pairs=["locked__b"]))
    for left in ("a", "locked", "z"):
        here.add(Locked(left=left, right="b"))
    diff = here.sync_from(Room(), flags=DiffSyncFlags.CONTINUE_ON_FAILURE)
    assert [(result.status, result.action.idnumber) for result in diff.report.results] == [
        ("succeeded", "one"),
        ("succeeded", ("a", "b")),
        ("failed", ("locked", "b")),
        ("succeeded", ("z", "b")),
        ("succeeded", "two"),
        ("skipped", ("locked", "b")),
    ]
    assert [pair.left for pair in here.get_all("pair")] == ["locked"]


def test_a_deletion_may_remove_the_model_itself():
    class Eager(Pair):
        def delete(self):
            self.adapter.remove(self)
            return super().delete()

    here = type("Here", (Pairs,), {"pair": Eager})()
    here.add(Eager(left="a", right="b"))
    assert here.sync_from(Pairs()).report.ok
    assert len(here) == 0


def test_a_model_that_is_there_is_put_below_its_new_parent_as_well():
    there, here = Room(), Room()
    for room in (there, here):
        room.add(Rack(name="outer"))
        room.add(Rack(name="inner"))
    there.get("rack", "outer").add_child(there.get("rack", "inner"))
    assert here.sync_from(there).report.ok
    assert here.dict() == there.dict()


def test_a_native_run_does_the_same_with_the_models_methods():
    CALLS.clear()
    there, here = Room("there"), type("Here", (Room,), {"pair": Moving})("here")
    for room, racks, cls, note in (
        (there, {"one": ["a__b"], "new": ["n__b"]}, Pair, "x"),
        (here, {"one": [], "two": ["a__b", "o__b"]}, Moving, "y"),
    ):
        for name, pairs in racks.items():
            room.add(Rack(name=name, pairs=pairs))
            for uid in pairs:
                room.add(cls(left=uid[0], right="b", note=note))
    report = there.tree.sync_to(here.tree, limits=Limits(deletions=1.0, updates=1.0))
    assert report.ok
    assert sorted(CALLS, key=repr) == [
        ("create", "n"),
        ("delete", "o"),
        ("move", "a", "one"),
        ("update", "a", {"note": "x"}),
    ]
    assert here.dict() == there.dict()
    assert not here.diff_from(there).has_diffs()


class Stubborn(Pair):
    @classmethod
    def create(cls, adapter, ids, attrs):
        return None

    def update(self, attrs):
        if self.left == "a":
            raise ObjectNotUpdated("locked")
        return super().update(attrs)


class StubbornPairs(Pairs):
    pair = Stubborn


def stubborn():
    there, here = Pairs(), StubbornPairs()
    for left in "abc":
        there.add(Pair(left=left, right="x", note="new"))
    for left in "ab":
        here.add(Stubborn(left=left, right="x", note="old"))
    return there, here


def test_a_failed_run_says_so(events):
    there, here = stubborn()
    diff = here.sync_from(there, flags=DiffSyncFlags.CONTINUE_ON_FAILURE)
    assert not diff.report.ok
    assert [(result.method, result.reason) for result in diff.report.failures] == [
        ("update_pair", "ObjectNotUpdated: locked"),
        ("create_pair", "create of Stubborn returned None"),
    ]
    said = [(event["log_level"], event["event"], event["status"]) for event in events if "status" in event]
    assert said == [
        ("error", "locked", "error"),
        ("info", "Updated successfully", "success"),
        ("warning", "pair create did not return the model object.", "failure"),
    ]
    assert here.get("pair", ("b", "x")).note == "new"


def test_what_came_before_the_first_failure_is_kept_and_nothing_is_done_after_it():
    there, here = stubborn()
    diff = here.diff_from(there)
    with pytest.raises(ObjectNotUpdated):
        here.sync_from(there, diff=diff)
    assert [result.status for result in diff.report.results] == ["failed", "pending", "pending"]
    assert here.get("pair", ("b", "x")).note == "old"


def test_an_error_that_nobody_expected_ends_the_run_and_is_in_the_report():
    class Broken(Pair):
        def update(self, attrs):
            if self.left == "a":
                raise ZeroDivisionError
            return super().update(attrs)

    class BrokenPairs(Pairs):
        pair = Broken

    there, here = Pairs(), BrokenPairs()
    for left in "ab":
        there.add(Pair(left=left, right="x", note="new"))
        here.add(Broken(left=left, right="x", note="old"))
    diff = here.diff_from(there)
    with pytest.raises(ZeroDivisionError):
        here.sync_from(there, flags=DiffSyncFlags.CONTINUE_ON_FAILURE, diff=diff)
    assert [result.status for result in diff.report.results] == ["failed", "pending"]
    assert here.get("pair", ("b", "x")).note == "old"


def test_what_a_creation_gives_must_be_a_model_and_another_one_is_told():
    class Other(Pair):
        @classmethod
        def create(cls, adapter, ids, attrs):
            return cls(left="other", right="x") if ids["left"] == "a" else "done"

    class Others(Pairs):
        pair = Other

    there, here = Pairs(), Others()
    for left in "ab":
        there.add(Pair(left=left, right="x"))
    diff = here.sync_from(there, flags=DiffSyncFlags.CONTINUE_ON_FAILURE)
    assert [(result.status, result.reason) for result in diff.report.results] == [
        ("succeeded", 'it became pair "other__x"'),
        ("failed", "ObjectNotCreated: create of Other must return the model (got str)"),
    ]
    assert [pair.left for pair in here.get_all("pair")] == ["other"]


def test_limits_refuse_a_run_before_its_first_change():
    class Careful(Pairs):
        limits = Limits(deletions=1)

    here = Careful()
    for left in "ab":
        here.add(Pair(left=left, right="x"))
    with pytest.raises(SafeguardError):
        here.sync_from(Pairs())
    assert len(here) == 2
    loose = Pairs()
    loose.add(Pair(left="a", right="x"))
    loose.sync_from(Pairs())
    assert len(loose) == 0


def test_a_diff_in_the_other_direction_is_refused():
    there, here = Pairs("there"), Pairs("here")
    with pytest.raises(
        DiffException, match=r"the diff makes .*there.* equal to .*here.*, and not .*: make it with diff_from"
    ):
        here.sync_from(there, diff=there.diff_from(here))


def test_a_diff_made_by_hand_is_carried_out():
    there, here = Pairs(), Pairs()
    here.add(Pair(left="a", right="b", note="old"))
    diff = Diff()
    for left, sides in (("a", {"source": {"note": "new"}, "dest": {"note": "old"}}), ("c", {"source": {"note": "x"}})):
        element = DiffElement("pair", left, {"left": left, "right": "b"})
        element.add_attrs(**sides)
        diff.add(element)
    assert here.sync_from(there, diff=diff).report.ok
    assert {pair.left: pair.note for pair in here.get_all("pair")} == {"a": "new", "c": "x"}


def test_what_is_taken_out_of_a_diff_is_not_done():
    there, here = Pairs(), Pairs()
    for left in "ab":
        there.add(Pair(left=left, right="x"))
    diff = here.diff_from(there)
    del diff.children["pair"]["a__x"]
    here.sync_from(there, diff=diff)
    assert [pair.left for pair in here.get_all("pair")] == ["b"]


def test_a_diff_shows_what_was_before_the_sync():
    there, here = stubborn()
    diff = here.diff_from(there)
    before = diff.dict()
    here.sync_from(there, flags=DiffSyncFlags.CONTINUE_ON_FAILURE, diff=diff)
    assert diff.dict() == before
    assert diff.summary() == {"create": 1, "update": 2, "delete": 0, "no-change": 0, "skip": 0}


# --- the first names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adapter", "diffsync", "dsync", "backend"])
def test_the_first_argument_of_create_has_any_of_its_names(name):
    namespace = {"Pair": Pair, "known": "adapter" if name == "backend" else name}
    exec(  # the name of an argument is what is tried
        f"def create(cls, {name}, ids, attrs):\n"
        f"    assert type({name}).__name__ == 'Pairings'\n"
        f"    return Pair.create.__func__(cls, ids=ids, attrs=attrs, **{{known: {name}}})",
        namespace,
    )

    class Pairings(Pairs):
        pair = type("Named", (Pair,), {"create": classmethod(namespace["create"]), "__module__": __name__})

    there, here = Pairs(), Pairings()
    there.add(Pair(left="a", right="b", note="x"))
    here.sync_from(there)
    assert here.get("pair", ("a", "b")).note == "x"


def test_under_its_first_name_a_model_may_return_nothing():
    done = []

    class Device(DSyncModel):
        _modelname = "device"
        _identifiers = ("name",)
        _attributes = ("role",)
        name: str
        role: str

        @classmethod
        def create(cls, dsync, ids, attrs):
            done.append((ids["name"], dsync.name))
            super().create(ids=ids, dsync=dsync, attrs=attrs)

        def update(self, attrs):
            done.append((self.name, self.dsync.name))

        def delete(self):
            done.append((self.name, self.diffsync.name))

    class Devices(DSync):
        device = Device
        top_level = ["device"]

    there, here = Devices("there"), Devices("here")
    there.load_from_dict({"device": {"new": {"name": "new", "role": "x"}, "both": {"name": "both", "role": "x"}}})
    here.load_from_dict({"device": {"both": {"name": "both", "role": "y"}, "old": {"name": "old", "role": "y"}}})
    report = here.sync_from(there).report
    assert report.ok
    assert sorted(done) == [("both", "here"), ("new", "here"), ("old", "here")]
    assert not here.diff_from(there).has_diffs()


def test_differences_are_printed(capsys):
    there, here = stubborn()
    here.diff_from(there).print_detailed()
    assert "pair: c__x MISSING in StubbornPairs" in capsys.readouterr().out


def test_models_of_another_class_fit_if_they_have_the_same_fields():
    class Odd(DiffSyncModel):
        _modelname = "pair"
        _identifiers = ("name",)
        name: str

    pairs = Pairs()
    pairs.add(Stubborn(left="a", right="b"))
    with pytest.raises(ObjectStoreWrongType, match="a pair is Pair in LocalStore of Pairs"):
        pairs.add(Odd(name="x"))
    with pytest.raises(ObjectAlreadyExists, match="Object a__b already present in LocalStore of Pairs"):
        pairs.add(Pair(left="a", right="b"))
    with pytest.raises(ObjectNotFound, match="pair x__y not present in LocalStore of Pairs"):
        pairs.get("pair", ("x", "y"))
