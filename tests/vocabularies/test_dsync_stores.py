"""Stores of the dsync vocabulary: in memory, in Redis, and of the user's own."""

from __future__ import annotations

from collections import defaultdict

import pytest

from datastoresync import Limits, SafeguardError
from datastoresync.vocabularies.dsync import (
    Adapter,
    BaseStore,
    DiffSyncFlags,
    DiffSyncModel,
    DiffSyncModelFlags,
    LocalStore,
    ObjectAlreadyExists,
    ObjectNotFound,
    ObjectStoreException,
)


class Place(DiffSyncModel):
    _modelname = "place"
    _identifiers = ("name", "number")
    _attributes = ("note", "tags")
    name: str
    number: int
    note: str = ""
    tags: set[str] = set()


class Site(DiffSyncModel):
    _modelname = "site"
    _identifiers = ("name",)
    _attributes = ("size",)
    _children = {"place": "places"}
    name: str
    size: float = 0.5
    places: list[str] = []


class Network(Adapter):
    site = Site
    place = Place
    top_level = ["site"]

    def load(self, sites):
        for name, places in sites.items():
            site = self.site(name=name)
            for number, note in places.items():
                place = self.place(name=name, number=number, note=note, tags={note, "x"})
                self.add(place)
                site.add_child(place)
            self.add(site)


class Plain(BaseStore):
    """A store as an application may have it: dictionaries, and keyword arguments alone."""

    def __init__(self, **options):
        super().__init__(**options)
        self.models = defaultdict(dict)

    def get_all_model_names(self):
        return {kind for kind, models in self.models.items() if models}

    def get(self, *, model, identifier):
        cls, kind = self._get_object_class_and_model(model)
        uid = self._get_uid(model, cls, identifier)
        if uid not in self.models[kind]:
            raise ObjectNotFound(f"{kind} {uid} not present in {self}")
        return self.models[kind][uid]

    def get_all(self, *, model):
        return list(self.models[self._get_object_class_and_model(model)[1]].values())

    def add(self, *, obj):
        kept = self.models[obj.get_type()].setdefault(obj.get_unique_id(), obj)
        if kept is not obj:
            raise ObjectAlreadyExists("there already", obj)
        obj.adapter = self.adapter

    def update(self, *, obj):
        self.models[obj.get_type()][obj.get_unique_id()] = obj

    def remove_item(self, modelname, uid):
        if self.models[modelname].pop(uid, None) is None:
            raise ObjectNotFound(f"{modelname} {uid} not present in {self}")

    def count(self, *, model=None):
        kinds = self.models if model is None else [self._get_object_class_and_model(model)[1]]
        return sum(len(self.models[kind]) for kind in kinds)


@pytest.fixture(params=["local", "plain", pytest.param("redis", marks=pytest.mark.redis)])
def store(request):
    """Return what makes a store for an adapter."""
    if request.param != "redis":
        return {"local": LocalStore, "plain": Plain}[request.param]
    from datastoresync.vocabularies.dsync.store.redis import RedisStore

    url = request.getfixturevalue("redis_url")
    return lambda **options: RedisStore(url=url, **options)


PLAN = {"nyc": {1: "a", 2: "b"}, "sfo": {1: "c"}, "ams": {}}
THERE = {"nyc": {1: "a", 2: "old", 3: "gone"}, "rdu": {7: "gone"}, "ams": {}}


def held(adapter):
    """Return what an adapter holds by other means than a comparison."""
    return {
        (kind, model.get_unique_id()): (model.get_attrs(), sorted(getattr(model, "places", ())))
        for kind in ("site", "place")
        for model in adapter.get_all(kind)
    }


@pytest.mark.parametrize("flags", [DiffSyncFlags.NONE, DiffSyncFlags.LOG_UNCHANGED_RECORDS])
def test_a_sync_leaves_the_same_in_any_store(store, flags):
    plan, there = Network("plan", store), Network("there", store())
    plan.load(PLAN)
    there.load(THERE)
    diff = there.diff_from(plan)
    memory = Network("plan"), Network("there")
    memory[0].load(PLAN)
    memory[1].load(THERE)
    assert diff.dict() == memory[1].diff_from(memory[0]).dict()
    assert diff.summary() == {"create": 2, "update": 1, "delete": 3, "no-change": 3, "skip": 0}
    assert there.sync_from(plan, flags=flags, diff=diff).report.ok
    assert held(there) == held(plan)
    assert not there.diff_from(plan).has_diffs()
    assert there.dict() == plan.dict()


def test_a_store_finds_counts_and_removes(store):
    network = Network("n", store)
    network.load(PLAN)
    assert (len(network), network.count("place"), network.get_all_model_names()) == (6, 3, {"site", "place"})
    found = network.get("place", {"name": "nyc", "number": 2})
    assert found == network.get("place", "nyc__2") == network.get_by_uids(["nyc__2"], Place)[0]
    assert (found.adapter is network, found.tags, found.model_flags) == (True, {"b", "x"}, DiffSyncModelFlags.NONE)
    assert network.get_or_none("place", "nyc__9") is None
    with pytest.raises(ObjectNotFound, match="place nyc__9 not present in"):
        network.get_by_uids(["nyc__1", "nyc__9"], "place")
    with pytest.raises(ObjectAlreadyExists):
        network.add(Place(name="nyc", number=2, note="other"))
    assert network.get_or_instantiate(Place, {"name": "nyc", "number": 2})[1] is False
    assert network.update_or_instantiate(Place, {"name": "nyc", "number": 2}, {"note": "new"})[1] is False
    assert network.update_or_add_model_instance(Place(name="rdu", number=1))[1] is True
    assert network.get("place", "nyc__2").note == "new"
    network.remove(network.get("site", "nyc"), remove_children=True)
    assert sorted(map(str, network.get_all("place"))) == ["rdu__1", "sfo__1"]
    with pytest.raises(ObjectNotFound):
        network.remove(Site(name="nyc"))


def test_missing_children_are_logged_when_everything_below_is_removed(events):
    network = Network()
    network.add(Site(name="nyc", places=["nyc__9"]))
    network.remove(network.get("site", "nyc"), remove_children=True)
    (event,) = [event for event in events if event["log_level"] == "error"]
    assert event["event"] == "Unable to remove child element as it was not found!"
    assert (event["child_type"], event["child_id"], event["parent_id"]) == ("place", "nyc__9", "nyc")


def test_methods_of_a_store_take_positions_and_names():
    store = LocalStore()
    site = Site(name="nyc")
    store.add(site)
    store.update(obj=site)
    assert store.get("site", "nyc") is store.get(model=Site, identifier={"name": "nyc"}) is site
    assert store.get_all(Site) == store.get_by_uids(["nyc"], "site") == [site]
    assert (store.count(), store.count(model=Site)) == (1, 1)
    store.remove(site)
    assert store.count() == 0


def test_limits_hold_for_any_store():
    class Careful(Network):
        limits = Limits(deletions=1)

    there = Careful("there", Plain)
    there.load(THERE)
    with pytest.raises(SafeguardError, match=r"place"):
        there.sync_from(Network("plan"))
    assert len(there) == 7


def test_a_native_tree_is_there_in_memory_only():
    assert list(Network().tree) == ["site", "place"]
    with pytest.raises(AttributeError, match="in a Plain, not in a native tree: keep them in a LocalStore"):
        _ = Network("n", Plain()).tree


@pytest.mark.redis
def test_another_store_finds_what_is_in_redis(redis_url):
    from datastoresync.vocabularies.dsync.store.redis import RedisStore

    first = Network("first", RedisStore(url=redis_url, store_id="[s*]"))
    first.load(PLAN)
    again = Network("again", RedisStore(url=redis_url, store_id="[s*]", name="mine"))
    other = Network("other", RedisStore(url=redis_url, store_id="sx"))
    assert (again.dict(), str(again.store), len(other)) == (first.dict(), "mine ([s*])", 0)
    copy = again.get("place", "nyc__1")
    copy.note = "changed"
    assert first.get("place", "nyc__1").note == "a"
    again.update(copy)
    assert first.get("place", "nyc__1").note == "changed"


@pytest.mark.redis
def test_what_redis_cannot_hold_or_reach_is_refused(redis_url, tmp_path):
    from datastoresync.vocabularies.dsync.store.redis import RedisStore

    class Odd(DiffSyncModel):
        _modelname = "odd"
        _identifiers = ("name",)
        name: str
        value: object = None

    store = RedisStore(url=redis_url)
    with pytest.raises(
        ObjectStoreException, match=r"odd a cannot be kept as JSON: value is \(1, 2\) and comes back as"
    ):
        store.add(Odd(name="a", value=(1, 2)))
    assert store.count() == 0
    with pytest.raises(ValueError, match="the class of odd is unknown"):
        RedisStore(url=redis_url)._model("odd", "{}")
    for options in ({}, {"url": f"unix://{tmp_path}/none"}, {"host": "127.0.0.1", "port": 1}):
        with pytest.raises(ObjectStoreException, match="Redis store is unavailable"):
            RedisStore(**options)
    with pytest.raises(ValueError, match="'url' and 'host' arguments can't be specified together"):
        RedisStore(url=redis_url, host="x")


def test_a_model_without_identifiers_is_the_only_one_of_its_kind():
    there, here = Adapter(), Adapter()
    only = DiffSyncModel()
    there.add(only)
    assert (only.get_unique_id(), there.dict()) == ("", {"diffsyncmodel": {"": {}}})
    assert there.get(DiffSyncModel, "") is there.get_by_uids([""], "diffsyncmodel")[0] is only
    assert there.get_or_instantiate(DiffSyncModel, {}) == (only, False)
    with pytest.raises(ObjectAlreadyExists):
        there.add(DiffSyncModel())
    there.remove(only)
    assert (len(there), here.diff_from(there).has_diffs()) == (0, False)


class Port(DiffSyncModel):
    _modelname = "port"
    _identifiers = ("name",)
    _attributes = ("note",)
    name: str
    note: str = ""


class Device(DiffSyncModel):
    _modelname = "device"
    _identifiers = ("name",)
    _children = {"port": "ports"}
    name: str
    ports: list[str] = []


@pytest.mark.parametrize("owner", ["its adapter", "another adapter", "none so far"])
@pytest.mark.parametrize("top", ["device", "port"])
def test_flags_that_a_model_gets_when_it_is_kept_are_seen(owner, top):
    class Rack(Adapter):
        device = Device
        port = Port
        top_level = [top]

    store, plan, other = LocalStore(), Rack("plan"), Rack("other")
    here = None if owner == "none so far" else Rack("here", store)
    port = Port(name="e0", adapter=other if owner == "another adapter" else None)
    for add, one in ((store.add, port), (plan.add, Port(name="e0"))):
        add(one)
        add(Device(name="d", ports=["e0"]))
    here = here or Rack("here", store)
    assert here.diff_from(plan).summary()["skip"] == 0
    port.model_flags = DiffSyncModelFlags.IGNORE
    assert here.diff_from(plan).summary()["skip"] == 1
