"""What was wrong in the older systems, and is right here."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import DatastoreSyncError, HierarchyError, Limits, SafeguardError, SchemaMismatchError
from datastoresync.vocabularies.dsync import (
    Adapter,
    Diff,
    DiffSyncFlags,
    DiffSyncModel,
    DiffSyncModelFlags,
    DSync,
    DSyncModel,
    ObjectAlreadyExists,
    ObjectNotCreated,
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


def test_an_attribute_that_only_one_side_has_is_refused():
    class Short(Pair):
        _attributes = ()

    class Shorter(Pairs):
        pair = Short

    there, here = Pairs(), Shorter()
    there.add(Pair(left="a", right="b", note="x"))
    here.add(Short(left="a", right="b", note="y"))
    with pytest.raises(SchemaMismatchError, match="note"):
        here.diff_from(there)


def test_children_of_a_model_that_only_one_adapter_knows_are_refused():
    class Bare(DiffSyncModel):
        _modelname = "rack"
        _identifiers = ("name",)
        name: str

    class BareRoom(Adapter):
        rack = Bare
        top_level = ["rack"]

    there, here = Room("there"), BareRoom("here")
    there.add(Rack(name="r", pairs=[("a", "b")]))
    there.add(Pair(left="a", right="b"))
    here.add(Bare(name="r"))
    for one, other in ((here, there), (there, here)):
        with pytest.raises(SchemaMismatchError, match="BareRoom \"here\" has no model 'pair'"):
            one.diff_from(other)
    here.add(Pair(left="a", right="b"))
    assert here.count("pair") == 1


def test_what_is_at_the_top_of_one_adapter_only_is_skipped_and_counted():
    class Both(Room):
        top_level = ["pair", "rack"]

    there, here = Both(), Pairs()
    there.add(Rack(name="r"))
    assert here.diff_from(there).summary() == {"create": 0, "update": 0, "delete": 0, "no-change": 0, "skip": 1}


def test_adapters_with_nothing_in_common_are_warned_of(caplog):
    there, here = Room(), Pairs()
    there.add(Rack(name="r"))
    here.add(Pair(left="a", right="b"))
    assert not here.diff_from(there).has_diffs()
    assert "top_level has no name in common" in caplog.text


def test_a_model_at_the_top_that_is_also_below_another_is_created_once():
    there, here = Room(), Room()
    outer, inner = Rack(name="outer"), Rack(name="inner")
    for rack in (outer, inner):
        there.add(rack)
    outer.add_child(inner)
    diff = here.sync_from(there)
    assert diff.dict() == {"rack": {"outer": {"+": {}, "rack": {"inner": {"+": {}}}}}}
    assert here.get("rack", "outer").racks == ["inner"]
    assert diff.report.ok


def test_a_child_of_two_parents_is_refused():
    there = Room()
    for name in ("one", "two"):
        there.add(Rack(name=name, pairs=[("a", "b")]))
    there.add(Pair(left="a", right="b"))
    with pytest.raises(HierarchyError, match="several parents, rack 'one' and rack 'two'"):
        Room().diff_from(there)


def test_a_child_that_is_not_there_is_refused():
    there = Room()
    there.add(Rack(name="one", pairs=[("a", "b")]))
    with pytest.raises(HierarchyError, match=r"which is not in Room\.pair"):
        Room().diff_from(there)


# --- what is done ------------------------------------------------------------------------------------------------


def test_a_child_that_moves_is_moved_and_not_created_again():
    calls = []

    class Moving(Pair):
        @classmethod
        def create(cls, adapter, ids, attrs):
            raise AssertionError

        def delete(self):
            raise AssertionError

        def _move(self, parent):
            calls.append((self.get_unique_id(), parent.name))
            return super()._move(parent)

    class Moved(Room):
        pair = Moving

    there, here = Room("there"), Moved("here")
    for room, pair, racks in ((there, Pair, ("one", "two")), (here, Moving, ("two", "one"))):
        first, second = (Rack(name=name) for name in racks)
        moving = pair(left="a", right="b")
        for model in (first, second, moving):
            room.add(model)
        first.add_child(moving)
    diff = here.sync_from(there)
    assert diff.dict()["rack"] == {
        "one": {"+": {"pairs": ["a__b"]}, "-": {"pairs": []}},
        "two": {"+": {"pairs": []}, "-": {"pairs": ["a__b"]}},
    }
    assert calls == [("a__b", "one")]
    assert [(rack.name, rack.pairs) for rack in here.get_all("rack")] == [("two", []), ("one", ["a__b"])]
    assert not here.diff_from(there).has_diffs()


def test_a_child_may_move_to_a_parent_that_is_new_from_one_that_goes():
    there, here = Room("there"), Room("here")
    for room, name in ((there, "new"), (here, "old")):
        room.add(Rack(name=name, pairs=["a__b"]))
        room.add(Pair(left="a", right="b"))
    diff = here.sync_from(there)
    assert diff.dict() == {"rack": {"new": {"+": {"pairs": ["a__b"]}}, "old": {"-": {"pairs": ["a__b"]}}}}
    assert here.dict() == there.dict()
    assert [list(rack.child_diff.children) for rack in diff.get_children()] == [["pair"], []]


def test_a_child_that_moves_and_differs_is_shown_where_it_goes():
    there, here = Room("there"), Room("here")
    for room, racks, note in ((there, ("one", "two"), "new"), (here, ("two", "one"), "old")):
        room.add(Rack(name=racks[0], pairs=[("a", "b")]))
        room.add(Rack(name=racks[1]))
        room.add(Pair(left="a", right="b", note=note))
    diff = here.diff_from(there)
    shown = {rack.name: [child.action for child in rack.get_children()] for rack in diff.get_children()}
    assert shown == {"one": ["update"], "two": []}
    here.sync_from(there, diff=diff)
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


@pytest.mark.parametrize("flags", [DiffSyncModelFlags.NONE, DiffSyncModelFlags.NATURAL_DELETION_ORDER])
def test_children_are_deleted_before_their_parents(flags):
    calls = []

    class Noted(Pair):
        def delete(self):
            calls.append(self.get_unique_id())
            return super().delete()

    class NotedRack(Rack):
        model_flags: DiffSyncModelFlags = flags

        def delete(self):
            calls.append(self.name)
            return super().delete()

    class Notes(Room):
        pair = Noted
        rack = NotedRack

    here = Notes()
    here.add(NotedRack(name="outer", racks=["inner"]))
    here.add(NotedRack(name="inner", pairs=["a__b"]))
    here.add(Noted(left="a", right="b"))
    here.sync_from(Notes())
    assert calls == ["a__b", "inner", "outer"]
    assert len(here) == 0


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


def test_a_failed_run_says_so(caplog):
    there, here = stubborn()
    diff = here.sync_from(there, flags=DiffSyncFlags.CONTINUE_ON_FAILURE)
    assert not diff.report.ok
    assert [(result.method, result.reason) for result in diff.report.failures] == [
        ("update_pair", "ObjectNotUpdated: locked"),
        ("create_pair", "create of Stubborn returned None"),
    ]
    assert {record.levelno for record in caplog.records if "failed:" in record.message} == {logging.ERROR}
    assert here.get("pair", ("b", "x")).note == "new"


def test_what_came_before_the_first_failure_is_kept_and_nothing_is_done_after_it():
    there, here = stubborn()
    diff = here.diff_from(there)
    with pytest.raises(ObjectNotUpdated):
        here.sync_from(there, diff=diff)
    assert [result.status for result in diff.report.results] == ["failed", "pending", "pending"]
    assert here.get("pair", ("b", "x")).note == "old"


def test_an_error_that_nobody_expected_is_raised_even_when_the_run_is_to_go_on():
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
    with pytest.raises(ZeroDivisionError):
        here.sync_from(there, flags=DiffSyncFlags.CONTINUE_ON_FAILURE)
    assert here.get("pair", ("b", "x")).note == "new"


def test_a_creation_that_gives_something_else_has_failed():
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
    assert isinstance(diff.report.failures[0].error, ObjectNotCreated)
    assert "must return the model (got str)" in diff.report.failures[1].reason
    assert len(here) == 0


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


def test_a_diff_is_for_the_adapters_it_was_made_of():
    there, here, other = Pairs(), Pairs(), Pairs()
    for diff in (Diff(), other.diff_from(there), here.diff_from(other)):
        with pytest.raises(DatastoreSyncError, match="make it with diff_from"):
            here.sync_from(there, diff=diff)


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
    with pytest.raises(ObjectStoreWrongType, match="a pair is Pair in Pairs"):
        pairs.add(Odd(name="x"))
    with pytest.raises(ObjectAlreadyExists, match="is already in Pairs"):
        pairs.add(Pair(left="a", right="b"))
    with pytest.raises(ObjectNotFound, match="no pair x__y in Pairs"):
        pairs.get("pair", ("x", "y"))
