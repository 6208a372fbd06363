"""The store in Redis beside diffsync's own, in one server.

diffsync's gives models in any order, so that calls and lines are compared without theirs; and it loses what a sync
changes in a model, so that what is left is compared with the source there.
"""

from __future__ import annotations

from collections import Counter

import dsync_worlds as worlds
import pytest
from hypothesis import HealthCheck, assume, given, settings

from datastoresync.vocabularies.dsync import ObjectStoreWrongType

pytestmark = [pytest.mark.slow, pytest.mark.redis]


@pytest.fixture(scope="module")
def stores(redis_url):
    """Return what makes the store of each library, and the server's client."""
    redis = pytest.importorskip("redis")
    from diffsync.store.redis import RedisStore as Theirs

    from datastoresync.vocabularies.dsync.store.redis import RedisStore as Ours

    return Ours(url=redis_url), Theirs(url=redis_url), redis.Redis.from_url(redis_url)


def in_redis(adapter, store, name):
    """Put the models of an adapter into a store like the given one, and let the adapter use it."""
    models = [model for kind in worlds.KINDS for model in adapter.get_all(kind)]
    for cls in {type(model) for model in models}:  # which diffsync pickles
        cls.__module__, cls.__qualname__ = __name__, f"{cls.__name__}{id(cls)}"
        globals()[cls.__qualname__] = cls
    adapter.store = type(store)(url=f"unix://{socket_of(store)}", store_id=name, adapter=adapter)
    for model in models:
        adapter.add(model)


def socket_of(store):
    return store._store.connection_pool.connection_kwargs["path"]


def held(adapter):
    return {
        (kind, model.get_unique_id()): (model.get_attrs(), model.model_flags.value)
        for kind in worlds.KINDS
        for model in adapter.get_all(kind)
    }


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(world=worlds.odd_worlds())
def test_a_sync_in_redis_shows_calls_and_leaves_what_diffsync_does(stores, world):
    *both, server = stores
    server.flushdb()
    found = []
    for (_, source, dest, run), store in zip(worlds.both(world), both, strict=True):
        in_redis(source, store, "source")
        in_redis(dest, store, "dest")
        heard, error = [], None
        with worlds.logged() as events:
            diff = dest.diff_from(source, flags=run, callback=lambda *said, heard=heard: heard.append(said))
            assume(not any(one.action == "create" and worlds.is_moved(one, diff) for one in worlds.walk(diff)))
            before = held(dest)
            try:
                dest.sync_from(source, flags=run)
            except Exception as caught:  # noqa: BLE001 - compared below
                error = caught
        said = [(event["event"], event.get("unique_id"), event.get("status")) for event in events]
        shown = (diff.dict(), diff.summary(), sorted(diff.str().split("\n")), heard[-1:], before)
        found.append((error, shown, held(dest), Counter(dest.calls), said, dest.completed, held(source)))
    ours, theirs = found
    assert ours[1] == theirs[1]
    if ours[0] is not None or theirs[0] is not None:  # where the run ends depends on the order
        known = isinstance(ours[0], ObjectStoreWrongType)
        assert known or type(ours[0]).__name__ == type(theirs[0]).__name__
        return
    assert ours[3] == theirs[3]
    assert ours[5:] == theirs[5:]
    if not any(flags & 16 for flags in world.dest_flags.values()):
        assert Counter(ours[4]) == Counter(theirs[4])
    assert set(ours[2]) == set(theirs[2])
    updated = {(kind, uid) for verb, kind, uid, *_ in ours[3] if verb == "update"}
    assert {one: values for one, values in ours[2].items() if one not in updated} == {
        one: values for one, values in theirs[2].items() if one not in updated
    }


@given(world=worlds.worlds(flagged=False))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_adapters_in_redis_show_what_diffsync_does(stores, world):
    *both, server = stores
    server.flushdb()
    (_, ours, _, _), (_, theirs, _, _) = worlds.both(world)
    for adapter, store in zip((ours, theirs), both, strict=True):
        in_redis(adapter, store, "source")
    assert worlds.plain(ours.dict()) == worlds.plain(theirs.dict())
    assert sorted(ours.str().split("\n")) == sorted(theirs.str().split("\n"))
    assert (len(ours), ours.get_all_model_names()) == (len(theirs), theirs.get_all_model_names())
    for kind in worlds.KINDS:
        assert sorted(one.json() for one in ours.get_all(kind)) == sorted(one.json() for one in theirs.get_all(kind))
        assert ours.count(kind) == theirs.count(kind)
