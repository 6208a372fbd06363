"""What old code sees and gets: lists in their order, unique ids as text, identifiers that may be None."""

from __future__ import annotations

import copy
import enum
import ipaddress
import json
from types import SimpleNamespace
from typing import Any, ClassVar, Optional

import diffsync
import diffsync.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.diffing.action import Action
from datastoresync.vocabularies import dsync
from datastoresync.vocabularies.dsync import Adapter, DiffSyncFlags, DiffSyncModel, DSyncModel
from datastoresync.vocabularies.dsync.values import OrderedList, equal_values, with_ordered_lists, with_plain_lists

THEIRS = SimpleNamespace(
    Adapter=diffsync.Adapter,
    DiffSyncModel=diffsync.DiffSyncModel,
    ObjectNotCreated=diffsync.exceptions.ObjectNotCreated,
    ObjectNotUpdated=diffsync.exceptions.ObjectNotUpdated,
    ObjectNotDeleted=diffsync.exceptions.ObjectNotDeleted,
)
BOTH = pytest.mark.parametrize("words", [dsync, THEIRS], ids=["ours", "theirs"])


class Bag(DiffSyncModel):
    _modelname = "bag"
    _identifiers = ("name",)
    _attributes = ("things", "more")
    name: str
    things: list[str] = []
    more: dict[str, Any] = {}


class Bags(Adapter):
    bag = Bag
    top_level: ClassVar = ["bag"]


def filled(adapter, *models):
    for model in models:
        adapter.add(model)
    return adapter


# --- lists -------------------------------------------------------------------------------------------------------

CONTENT = st.recursive(
    st.integers(0, 2) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@given(CONTENT, CONTENT)
def test_values_are_the_same_if_python_says_so(one, other):
    assert equal_values(one, other) is (one == other)
    assert (with_ordered_lists(one) == with_ordered_lists(other)) is (one == other)
    assert with_plain_lists(with_ordered_lists(one)) == one


def test_a_list_is_equal_to_a_list_alone():
    assert OrderedList([1]) == [1]
    assert OrderedList([1]) != (1,)
    assert equal_values([float("nan")], [float("nan")])
    assert equal_values(([1, 2],), ([1, 2],))
    assert not equal_values(([1, 2],), ([2, 1],))
    assert with_plain_lists(with_ordered_lists(([1],))) == ([1],)


@given(st.lists(st.sampled_from("xyz"), max_size=3), st.lists(st.sampled_from("xyz"), max_size=3))
def test_lists_are_compared_by_their_order_and_taken_over(mine, theirs):
    there, here = filled(Bags("there"), Bag(name="b", things=theirs)), filled(Bags("here"), Bag(name="b", things=mine))
    assert bool(there.tree - here.tree) is (mine != theirs)
    diff = here.sync_from(there)
    assert diff.summary()["update"] == (mine != theirs)
    held = here.get("bag", "b").things
    assert held == theirs
    assert type(held) is list
    assert held is not there.get("bag", "b").things
    assert not here.diff_from(there).has_diffs()


def test_lists_in_dictionaries_keep_their_order_too():
    there = filled(Bags(), Bag(name="b", more={"a": [1, [2, 3]]}))
    here = filled(Bags(), Bag(name="b", more={"a": [1, [3, 2]]}))
    assert here.sync_from(there).summary()["update"] == 1
    assert json.loads(here.get("bag", "b").json())["more"] == {"a": [1, [2, 3]]}
    assert type(here.get("bag", "b").more["a"]) is list


def test_what_a_sync_makes_of_a_model_without_an_answer_has_lists():
    class Silent(DSyncModel):
        _modelname = "bag"
        _identifiers = ("name",)
        _attributes = ("things", "more")
        name: str
        things: list[str] = []
        more: dict[str, Any] = {}

        @classmethod
        def create(cls, dsync, ids, attrs):
            pass

    class Silents(Adapter):
        bag = Silent
        top_level: ClassVar = ["bag"]

    here = Silents()
    here.sync_from(filled(Bags(), Bag(name="b", things=["y", "x"], more={"a": [1]})))
    made = here.get("bag", "b")
    assert (made.things, type(made.things), type(made.more["a"])) == (["y", "x"], list, list)


# --- the native tree ---------------------------------------------------------------------------------------------


def test_trees_can_be_compared_before_their_adapters_were():
    there, here = filled(Bags("there"), Bag(name="b")), Bags("here")
    assert [action.message for action in there.tree - here.tree] == ["new_bag(idnumber='b')"]
    assert (there.tree.name, there.tree.top_level) == ("there", ("bag",))


def test_a_partner_leaves_nothing_behind_in_a_tree():
    class Case(DiffSyncModel):
        _modelname = "case"
        _identifiers = ("name",)
        name: str

    class Both(Bags):
        case = Case
        top_level: ClassVar = ["bag", "case"]

    class One(Both):
        top_level: ClassVar = ["bag"]

    there, here = filled(Both(), Case(name="c")), Both()
    for partner in (One(), Bags()):
        assert not partner.diff_from(there).has_diffs()
    assert there.tree.top_level == ("bag", "case")
    assert [action.branch for action in there.tree - here.tree] == ["case"]


# --- one diff, twice ---------------------------------------------------------------------------------------------


def noted(words):
    class Thing(words.DiffSyncModel):
        _modelname = "thing"
        _identifiers = ("name",)
        _attributes = ("size",)
        name: str
        size: int = 0

        @classmethod
        def create(cls, adapter, ids, attrs):
            adapter.calls.append("create")
            return super().create(adapter=adapter, ids=ids, attrs=attrs)

        def update(self, attrs):
            self.adapter.calls.append("update")
            return super().update(attrs)

        def delete(self):
            self.adapter.calls.append("delete")
            return super().delete()

    class Things(words.Adapter):
        thing = Thing
        top_level: ClassVar = ["thing"]

        def __init__(self, *things):
            super().__init__()
            self.calls = []
            filled(self, *(Thing(name=name, size=size) for name, size in things))

    return Things


@BOTH
@pytest.mark.parametrize(
    ("source", "dest", "error"),
    [
        ([("a", 1)], [], "ObjectNotCreated"),
        ([], [("a", 1)], "ObjectNotDeleted"),
    ],
)
def test_a_diff_that_was_done_is_not_done_again(words, source, dest, error):
    things = noted(words)
    there, here = things(*source), things(*dest)
    diff = here.diff_from(there)
    here.sync_from(there, diff=diff)
    with pytest.raises(getattr(words, error)):
        here.sync_from(there, diff=diff)
    assert len(here.calls) == 1


@BOTH
def test_what_has_gone_meanwhile_is_not_updated(words):
    things = noted(words)
    there, here = things(("a", 1)), things(("a", 2))
    diff = here.diff_from(there)
    here.remove(here.get("thing", "a"))
    with pytest.raises(words.ObjectNotUpdated):
        here.sync_from(there, diff=diff)
    assert here.calls == []


def test_a_run_that_goes_on_reports_what_was_done_already():
    things = noted(dsync)
    there, here = things(("a", 1), ("b", 1)), things(("c", 1))
    diff = here.diff_from(there)
    here.sync_from(there, diff=diff)
    here.remove(here.get("thing", "b"))
    report = here.sync_from(there, diff=diff, flags=DiffSyncFlags.CONTINUE_ON_FAILURE).report
    assert [result.status for result in report.results] == ["failed", "succeeded", "failed"]
    assert here.calls == ["create", "create", "delete", "create"]


# --- updates that leave a value alone ----------------------------------------------------------------------------


@BOTH
def test_what_an_update_leaves_alone_stays(words):
    class Kept(words.DiffSyncModel):
        _modelname = "kept"
        _identifiers = ("name",)
        _attributes = ("size", "parts")
        name: str
        size: int = 0
        parts: list[str] = []

        def update(self, attrs):
            if "parts" in attrs:
                self.parts.append("own")
            return self

    class Keeping(words.Adapter):
        kept = Kept
        top_level: ClassVar = ["kept"]

    there = filled(Keeping(), Kept(name="k", size=1, parts=["x"]))
    here = filled(Keeping(), Kept(name="k", size=2))
    here.sync_from(there)
    assert (here.get("kept", "k").size, here.get("kept", "k").parts) == (2, ["own"])
    assert here.diff_from(there).summary()["update"] == 1


def test_under_its_first_name_what_an_update_leaves_alone_is_set():
    class Kept(DSyncModel):
        _modelname = "kept"
        _identifiers = ("name",)
        _attributes = ("size", "parts")
        name: str
        size: int = 0
        parts: list[str] = []

        def update(self, attrs):
            if self.name == "own":
                self.parts.append("own")

    class Keeping(Adapter):
        kept = Kept
        top_level: ClassVar = ["kept"]

    there = filled(Keeping(), *(Kept(name=name, size=1, parts=["x"]) for name in ("own", "none")))
    here = filled(Keeping(), *(Kept(name=name) for name in ("own", "none")))
    here.sync_from(there)
    assert [(kept.size, kept.parts) for kept in here.get_all("kept")] == [(1, ["own"]), (1, ["x"])]


# --- callbacks ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("stage", ["diff", "sync"])
def test_what_a_callback_raises_comes_out_and_ends_the_run(words, stage):
    things = noted(words)
    there, here = things(("a", 1), ("b", 1)), things()
    heard = []

    def callback(*said):
        heard.append(said)
        if said[0] == stage:
            raise OSError(stage)

    with pytest.raises(OSError, match=stage):
        here.sync_from(there, callback=callback)
    assert here.calls == ["create"] * (stage == "sync")
    assert len(here) == (stage == "sync")
    assert [said[0] for said in heard].count(stage) == 1


# --- identifiers that may be None --------------------------------------------------------------------------------


def routed(words):
    class Address(words.DiffSyncModel):
        _modelname = "address"
        _identifiers = ("ip", "vrf")
        _attributes = ("note",)
        ip: str
        vrf: Optional[str]  # noqa: UP045 - as old code writes it
        note: str = ""

    class Site(words.DiffSyncModel):
        _modelname = "site"
        _identifiers = ("name",)
        _children: ClassVar = {"address": "addresses"}
        name: str
        addresses: list[str] = []

    class Routed(words.Adapter):
        site = Site
        address = Address
        top_level: ClassVar = ["site"]

        def load(self, *addresses):
            site = Site(name="s")
            self.add(site)
            for ip, vrf, note in addresses:
                address = Address(ip=ip, vrf=vrf, note=note)
                self.add(address)
                site.add_child(address)
            return self

    return Routed


ADDRESSES = st.lists(
    st.tuples(st.sampled_from("12"), st.sampled_from([None, "x", "y"]), st.sampled_from(["", "n"])),
    unique_by=lambda address: address[:2],
    max_size=5,
)


@given(ADDRESSES, ADDRESSES)
def test_identifiers_may_be_none(mine, theirs):
    found = []
    for words in (dsync, THEIRS):
        routed_there, routed_here = (routed(words)(name) for name in ("there", "here"))
        there, here = routed_there.load(*theirs), routed_here.load(*mine)
        shown = here.str()
        diff = here.sync_from(there)
        rest = here.diff_from(there).has_diffs()
        again = routed(words)("again")
        exported = json.loads(json.dumps(there.dict(exclude={"model_flags", "adapter"})))
        again.load_from_dict(exported)
        held = sorted(map(str, here.get("site", "s").addresses))
        found.append((shown, diff.dict(), diff.summary(), held, rest, again.diff_from(there).has_diffs()))
        for ip, vrf, note in theirs:
            for identifier in (f"{ip}__{vrf}", {"ip": ip, "vrf": vrf}):
                kept = here.get("address", identifier)
                assert (kept.ip, kept.vrf, kept.note) == (ip, vrf, note)
                assert kept.vrf is None or kept.vrf == vrf
    assert found[0] == found[1]


class Protocol(enum.Enum):
    TCP = 6
    UDP = 17


V4, V6 = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1")


@pytest.mark.parametrize(
    ("annotation", "mine", "theirs"),
    [
        (Protocol, [Protocol.TCP, Protocol.UDP], [Protocol.UDP]),
        (str | None, ["a", None], [None, "b"]),
        (ipaddress.IPv4Address | ipaddress.IPv6Address, [V4], [V6, V4]),
        (int | str, ["b", 2, 10], [10, "b", 3]),
        (tuple[int, int], [(1, 2)], [(2, 1), (1, 2)]),
        (list[int], [[1, 2]], [[2, 1], [1, 2]]),
        (Any, [complex(1, 2), "x"], ["x", None]),
    ],
    ids=str,
)
@pytest.mark.parametrize("composite", [False, True])
def test_identifiers_may_have_no_order(annotation, mine, theirs, composite):
    found = []
    for words in (dsync, THEIRS):

        class Rule(words.DiffSyncModel):
            _modelname = "rule"
            _identifiers = ("group", "match") if composite else ("match",)
            _attributes = ("note",)
            match: annotation
            group: str = "g"
            note: str = ""

        class Rules(words.Adapter):
            rule = Rule
            top_level: ClassVar = ["rule"]

        here, there = Rules("here"), Rules("there")
        for adapter, values in ((here, mine), (there, theirs)):
            for value in values:
                adapter.add(Rule(match=value, note=adapter.name))
        diff = here.sync_from(there)
        kept = [here.get(Rule, rule.get_identifiers()) for rule in there.get_all("rule")]
        assert [here.get("rule", rule.get_unique_id()) for rule in kept] == kept
        left = here.diff_from(there).has_diffs()
        if words is dsync:
            assert not there.tree - here.tree
        here.remove(kept[0])
        found.append((diff.dict(), diff.summary(), here.str(), left, here.count()))
    assert found[0] == found[1]


def test_models_with_none_in_their_key_are_found_moved_and_removed():
    here = routed(dsync)().load(("1", "x", ""), ("1", None, ""), ("0", None, ""))
    kept = here.get("address", ("1", None))
    assert kept.__key__ == ("1", None)
    assert list(here.tree["address"]) == [("0", None), ("1", None), ("1", "x")]
    assert repr(kept.__key__) == "('1', None)"
    here.remove(kept)
    assert here.get_or_none("address", "1__None") is None
    assert here.get("address", "1__x").vrf == "x"
    assert here.get_or_none("address", "1__y") is None


def test_creations_get_none_as_it_was():
    class Address(DSyncModel):
        _modelname = "address"
        _identifiers = ("ip", "vrf")
        ip: str
        vrf: Optional[str]  # noqa: UP045 - as old code writes it

        @classmethod
        def create(cls, dsync, ids, attrs):
            assert ids["vrf"] is None

    class Addresses(Adapter):
        address = Address
        top_level: ClassVar = ["address"]

    here = Addresses()
    here.sync_from(filled(Addresses(), Address(ip="1", vrf=None)))
    assert here.get("address", "1__None").vrf is None


# --- children as text --------------------------------------------------------------------------------------------


@BOTH
def test_fields_hold_unique_ids_as_text(words):
    there, here = routed(words)("there").load(("1", "x", "")), routed(words)("here")
    here.sync_from(there)
    for adapter in (there, here):
        addresses = adapter.get("site", "s").addresses
        assert "1__x" in addresses
        assert [uid.split("__") for uid in addresses] == [["1", "x"]]
        assert adapter.get_by_uids(addresses, "address") == adapter.get_all("address")
        assert json.dumps(copy.deepcopy(addresses)) == '["1__x"]'
    here.get("site", "s").remove_child(here.get("address", "1__x"))
    assert here.get("site", "s").addresses == []


def test_a_copied_unique_id_still_stands_for_its_model():
    there, here = routed(dsync)("there").load(("1", None, "")), routed(dsync)("here").load()
    site = there.get("site", "s")
    site.addresses = copy.deepcopy(site.addresses)
    assert here.sync_from(there).summary()["create"] == 1
    assert not here.diff_from(there).has_diffs()
    assert not there.tree - here.tree


@BOTH
def test_a_diff_has_nothing_of_a_model_that_nobody_has(words):
    diff = routed(words)().diff_from(routed(words)())
    assert diff.children["site"] == {}


def test_children_that_are_folded_in_all_at_once_are_text():
    here = routed(dsync)("here").load(("1", "x", ""), ("2", None, ""))
    site = here.get("site", "s")
    here.tree["site"].fold(Action("update", "site", "s", "addresses", [("2", None)]), {})
    assert site.addresses == ["2__None"]
    assert here.get_by_uids(site.addresses, "address") == [here.get("address", ("2", None))]
