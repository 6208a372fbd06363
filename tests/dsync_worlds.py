"""Made-up worlds of two adapters each, in the words of diffsync and of our vocabulary; see ``test_dsync_beside.py``."""

from __future__ import annotations

import contextlib
import functools
from typing import Any, NamedTuple, Optional

import diffsync
import diffsync.enum
import diffsync.exceptions
import structlog
from hypothesis import strategies as st

from datastoresync.vocabularies import dsync


class THEIRS:
    Adapter = diffsync.Adapter
    DiffSyncModel = diffsync.DiffSyncModel
    Diff = diffsync.Diff
    DiffSyncFlags = diffsync.enum.DiffSyncFlags
    DiffSyncModelFlags = diffsync.enum.DiffSyncModelFlags
    DiffSyncStatus = diffsync.enum.DiffSyncStatus
    ObjectNotCreated = diffsync.exceptions.ObjectNotCreated
    ObjectNotUpdated = diffsync.exceptions.ObjectNotUpdated
    ObjectNotDeleted = diffsync.exceptions.ObjectNotDeleted


OURS = dsync

# --- what both are told ------------------------------------------------------------------------------------------


@functools.cache
def declare(words: Any, shape: str, lacks: frozenset[str] = frozenset()) -> Any:  # noqa: C901 - one class after another
    """Return an adapter's class in the words of one of the two libraries; it notes the calls of its models.

    ``lacks`` names attributes and kinds of children that no model of it has.
    """

    def both_have(*names):
        return tuple(name for name in names if name not in lacks)

    def children(fields):
        return {kind: field for kind, field in fields.items() if kind not in lacks}

    class Noted(words.DiffSyncModel):
        @classmethod
        def create(cls, adapter, ids, attrs):
            call = ("create", cls.get_type(), cls.create_unique_id(**ids), repr(sorted(attrs.items())))
            make = functools.partial(super().create, adapter=adapter, ids=ids, attrs=attrs)
            return adapter.tried(call, words.ObjectNotCreated, make)

        def update(self, attrs):
            call = ("update", self.get_type(), self.get_unique_id(), repr(sorted(attrs.items())))
            return self.adapter.tried(call, words.ObjectNotUpdated, functools.partial(super().update, attrs))

        def delete(self):
            call = ("delete", self.get_type(), self.get_unique_id())
            return self.adapter.tried(call, words.ObjectNotDeleted, super().delete)

    class Region(Noted):
        _modelname = "region"
        _identifiers = ("name",)
        _attributes = both_have("note", "size")
        _children = children({"three": {"site": "sites"}, "recursive": {"place": "places"}}.get(shape, {}))
        name: str
        note: str = ""
        size: int = 0
        sites: list[str] = []
        places: list[str] = []

    class Site(Noted):
        _modelname = "site"
        _identifiers = ("name",)
        _shortname = ("short",)
        _attributes = both_have("short", "note", "size", "tags")
        _children = children({} if shape == "flat" else {"device": "devices"})
        name: str
        short: str
        note: Optional[str] = None  # noqa: UP045 - as old code writes it
        size: float = 0.5
        tags: list[str] = []
        devices: list = []

    class Device(Noted):
        _modelname = "device"
        _identifiers = ("name", "slot")
        _attributes = both_have("note", "size")
        name: str
        slot: int
        note: str = "n"
        size: int = 0
        local: int = 7

    class Place(Noted):
        _modelname = "place"
        _identifiers = ("name",)
        _attributes = both_have("note", "size")
        _children = children({"place": "places"})
        name: str
        note: str = ""
        size: int = 0
        places: list[str] = []

    class Backend(words.Adapter):
        region = Region
        site = Site
        device = Device
        place = Place
        top_level = {"flat": ["site", "region"], "two": ["site"], "three": ["region"], "recursive": ["region"]}[shape]

        def __init__(self, *args):
            super().__init__(*args)
            self.calls = []
            self.failing = {}
            self.completed = []

        def tried(self, call, error, do):
            """Note a call, and do it unless it is to fail."""
            self.calls.append(call)
            failure = self.failing.get((call[0], call[2]))
            if failure in ("raises", "breaks"):
                raise (error if failure == "raises" else ZeroDivisionError)(f"{call[2]} is locked")
            done = None if failure == "fails" else do()
            if failure == "complains":
                done.set_status(words.DiffSyncStatus.FAILURE, "there is no more room")
            return done

        def sync_complete(self, source, diff, flags, logger=None):
            logger.info("written", count=len(diff))
            self.completed.append((source.name, len(diff)))

        def load(self, things, flags, loose):
            for path, values in things.items():
                kind = kind_of(shape, path)
                name = "-".join(map(str, path))
                given = {name: value for name, value in values.items() if name != "tags" or kind == "site"}
                if kind == "site":
                    given["short"] = f"s{path[-1]}"
                if kind == "device":
                    given |= {"slot": path[-1]}
                model = getattr(self, kind)(name=name, **given)
                own_flags = words.DiffSyncModelFlags(flags.get(path, 0))
                early, late = (own_flags, None) if path[-1] else (None, own_flags)
                if early:
                    model.model_flags = early
                self.add(model)
                if late:
                    model.model_flags = late
                above = path[:-1]
                if path in loose:
                    continue
                if above and kind_of(shape, above) in KINDS and kind in parent_kind(self, shape, above)._children:
                    self.get(kind_of(shape, above), "-".join(map(str, above))).add_child(model)

    return Backend


KINDS = ("region", "site", "device", "place")
LAYERS = {
    "flat": ("site", "region", "region"),
    "two": ("site", "device"),
    "three": ("region", "site", "device"),
    "recursive": ("region", "place", "place", "place"),
}


def kind_of(shape, path):
    return LAYERS[shape][len(path) - 1]


def parent_kind(adapter, shape, path):
    return getattr(adapter, kind_of(shape, path))


class World(NamedTuple):
    shape: str
    source: dict
    dest: dict
    source_flags: dict
    dest_flags: dict
    run: int
    loose: tuple = (frozenset(), frozenset())  # by side, what its parent has let go of
    lacks: tuple = (frozenset(), frozenset())  # by side, attributes and kinds that its classes do not have
    failing: dict = {}  # by verb and unique id, how a method fails


VALUES = st.fixed_dictionaries(
    {"note": st.sampled_from(["", "a", "b\nc"]), "size": st.sampled_from([0, 1])},
    optional={"tags": st.sampled_from([[], ["x"], ["x", "y"], ["y", "x"], ["x", "y", "x"]])},
)
MODEL_FLAGS = st.one_of(st.sampled_from([1, 2, 4, 8, 16]), st.integers(3, 31))
RUN_FLAGS = st.one_of(st.just(0), st.integers(1, 15))
FAILURES = st.sampled_from(["raises", "fails", "breaks", "complains"])


@st.composite
def sides(draw, shape, *, like=None):
    depth = len(LAYERS[shape])
    paths = draw(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=depth).map(tuple), max_size=6))
    held = {}
    for path in paths:
        for length in range(1, len(path) + 1):
            held.setdefault(path[:length], draw(VALUES))
    if like is not None:
        for path, values in like.items():
            if (path[:-1] in held or len(path) == 1) and draw(st.booleans()):
                held.setdefault(path, values)
                if draw(st.booleans()):
                    held[path] = values
    order = draw(st.permutations(list(held)))
    return {path: held[path] for path in sorted(order, key=len)}


@st.composite
def worlds(draw, *, flagged):
    shape = draw(st.sampled_from(sorted(LAYERS)))
    source = draw(sides(shape))
    dest = draw(sides(shape, like=source))
    flags = [
        draw(st.dictionaries(st.sampled_from(list(side)), MODEL_FLAGS, max_size=2)) if flagged and side else {}
        for side in (source, dest)
    ]
    return World(shape, source, dest, *flags, draw(RUN_FLAGS) if flagged else 0)


@st.composite
def odd_worlds(draw):
    """Return worlds with orphans, things of one side only, failures, and runs that go on after them."""
    world = draw(worlds(flagged=draw(st.booleans())))
    loose = [
        draw(st.frozensets(st.sampled_from(sorted(side)), max_size=2)) if side else frozenset()
        for side in (world.source, world.dest)
    ]
    lacks = [draw(st.frozensets(st.sampled_from(["note", "size", "device", "site"]), max_size=1)) for _ in range(2)]
    ids = sorted({uid_of(world.shape, path) for path in (*world.source, *world.dest)}) or ["0"]
    failing = draw(
        st.dictionaries(
            st.tuples(st.sampled_from(["create", "update", "delete"]), st.sampled_from(ids)), FAILURES, max_size=2
        )
    )
    return world._replace(loose=tuple(loose), lacks=tuple(lacks), failing=failing, run=draw(RUN_FLAGS))


def uid_of(shape, path):
    name = "-".join(map(str, path))
    return f"{name}__{path[-1]}" if kind_of(shape, path) == "device" else name


def both(world):
    """Return source and destination of both libraries: ours, then theirs."""
    found = []
    for words in (OURS, THEIRS):
        classes = [declare(words, world.shape, lacks) for lacks in world.lacks]
        source, dest = (cls(name) for cls, name in zip(classes, ("there", "here"), strict=True))
        source.load(world.source, world.source_flags, world.loose[0])
        dest.load(world.dest, world.dest_flags, world.loose[1])
        dest.failing = world.failing
        found.append((words, source, dest, words.DiffSyncFlags(world.run)))
    return found


def plain(data):
    """Return what an adapter holds without the kinds that it has nothing of, and flags as numbers."""
    return {
        kind: {
            uid: {name: value.value if name == "model_flags" else value for name, value in model.items()}
            for uid, model in models.items()
        }
        for kind, models in data.items()
        if models
    }


def elements(diff):
    return [
        (
            one.type,
            one.name,
            one.keys,
            one.action,
            one.get_attrs_diffs(),
            one.summary(),
            len(one),
            str(one),
            elements(one),
        )
        for one in diff.get_children()
    ]


def answers(diff):
    return {
        "dict": diff.dict(),
        "str": diff.str(),
        "summary": diff.summary(),
        "has_diffs": diff.has_diffs(),
        "len": len(diff),
        "elements": elements(diff),
    }


# --- what is compared ----------------------------------------------------------------------------------------------


def is_moved(element, diff):
    """Say whether what is to be created is to be deleted elsewhere, or is there as well."""
    return any((one.type, one.keys) == (element.type, element.keys) and one is not element for one in walk(diff))


def walk(diff):
    for element in diff.get_children():
        yield element
        yield from walk(element.child_diff)


@contextlib.contextmanager
def logged():
    """Yield a list of the events that are logged."""
    before = structlog.get_config()
    structlog.reset_defaults()
    try:
        with structlog.testing.capture_logs() as events:
            yield events
    finally:
        structlog.configure(**before)


def comparable(events):
    """Return events with flags as numbers and adapters by name."""
    shown = []
    for one in events:
        found = {**one, "flags": one["flags"].value, "src": str(one["src"]), "dst": str(one["dst"])}
        found["event"] = found["event"].removesuffix(" Compare again")
        shown.append(dict(sorted(found.items())))
    return shown
