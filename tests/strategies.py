"""Hypothesis strategies for pairs of trees, and a comparison of plain dictionaries to hold the real one against."""

from __future__ import annotations

import datetime
import functools
from collections import Counter
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import attrs
from hypothesis import strategies as st

from datastoresync import Branch, Limits, Object, Template, Tree
from datastoresync.diffing.side import Candidates, InMemoryEngine

NO_LIMITS = Limits(
    deletions=10**9,
    updates=10**9,
    removals=10**9,
    dangling=10**9,
    empty=["apples", "bears", "chairs"],
)
"""Lets everything through, in the branches that generated trees have."""


class Colour(Enum):
    RED = 1
    GREEN = "1"
    BLUE = 2


class WholeAttributes(Template):
    """Accepts all actions, memberships as a whole."""

    def accept(self, action):
        return None

    new = update = old = accept


class AddsOnly(WholeAttributes):
    """Accepts added members one by one, and removed ones as an update of the whole."""

    def __getattr__(self, name):
        if name.startswith("add_"):
            return self.accept
        raise AttributeError(name)


class Everything(AddsOnly):
    """Accepts all actions, members one by one."""

    def __getattr__(self, name):
        if name.startswith(("add_", "remove_")):
            return self.accept
        raise AttributeError(name)


TEMPLATES = (Everything, WholeAttributes, AddsOnly)

# --- values -----------------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    ["", " ", "1", "None", "nan", "a", "A", "a ", "ä", "a\u0308", "\x00", "\n", "'", '"; drop', "é🙂"]
)
NUMBERS = st.sampled_from(
    [0, 1, True, False, -1, 2**53 + 1, 0.1, 1.0, -0.0, float("inf"), Decimal("0.1"), Decimal("1.00"), 10**30]
) | st.builds(float, st.just("nan"))
DAYS = st.dates(datetime.date(2024, 1, 1), datetime.date(2024, 1, 3))
MOMENTS = st.datetimes(
    datetime.datetime(2024, 1, 1),  # noqa: DTZ001 - the time zone comes from the next line
    datetime.datetime(2024, 1, 2),  # noqa: DTZ001
    timezones=st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30))]),
)
MEMBERS = st.one_of(TEXTS, NUMBERS, DAYS, st.none(), st.sampled_from(Colour), st.tuples(TEXTS, NUMBERS))


def memberships(members):
    """Return a strategy for sets, frozen sets and lists, since one side may have another of these than the other."""
    return st.sets(members, max_size=3) | st.frozensets(members, max_size=3) | st.lists(members, max_size=3)


class Kind(NamedTuple):
    """What an attribute holds: the type to declare, and its values."""

    declared: Any
    values: st.SearchStrategy[Any]


KINDS = {
    "text": Kind(str, TEXTS),
    "text or nothing": Kind(Any, TEXTS | st.none()),
    "whole": Kind(int, st.integers(-2, 2) | st.just(2**80)),
    "number": Kind(Any, NUMBERS | st.none()),
    "day": Kind(datetime.date, DAYS),
    "moment": Kind(datetime.datetime, MOMENTS),
    "colour": Kind(Colour, st.sampled_from(Colour)),
    "pair": Kind(Any, st.tuples(TEXTS, NUMBERS)),
    "texts": Kind(set[str], st.sets(TEXTS, max_size=4)),
    "frozen texts": Kind(frozenset[str], st.frozensets(TEXTS, max_size=4)),
    "list of texts": Kind(list[str], st.lists(TEXTS, max_size=5)),
    "members": Kind(Any, memberships(TEXTS)),
    "numbers": Kind(Any, memberships(NUMBERS)),
    # None is in all of them: without a type in common, two of them could not be compared.
    "nasty members": Kind(Any, memberships(MEMBERS).map(lambda members: type(members)([*members, None]))),
    "members or nothing": Kind(Any, st.none() | st.sets(TEXTS, max_size=3) | st.lists(TEXTS, max_size=3)),
}

KEYS = {
    "text": st.sampled_from(["1", "2", "10", "a", "ä", "Z", "'", "x\ny"]),
    "whole": st.integers(-3, 9),
    "day": DAYS,
    "pair": st.tuples(st.sampled_from(["u__v", "u", "w"]), st.sampled_from(["w", "v__w", "x"])),
    "mixed pair": st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3)),
}

PARTS = ("first", "second")

# --- classes ----------------------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """What both sides of a branch have in common."""

    keys: str
    attributes: tuple[tuple[str, str], ...]
    references: tuple[tuple[str, str], ...] = ()

    @property
    def composite(self) -> bool:
        return "pair" in self.keys


@functools.cache
def object_class(shape: Shape, properties: frozenset[str], *, closed: bool) -> Any:
    """Return a class of this shape; the attributes in ``properties`` are computed from a field with an underscore."""
    annotations: dict[str, Any] = {}
    namespace: dict[str, Any] = {"__module__": __name__, "_references": dict(shape.references)}
    if shape.composite:
        namespace["_identifiers"] = PARTS
        annotations |= dict.fromkeys(PARTS, Any)
    for name, kind in shape.attributes:
        annotations[f"_{name}" if name in properties else name] = KINDS[kind].declared
        if name in properties:
            namespace[f"_{name}"] = None
            namespace[name] = property(lambda self, field=f"_{name}": getattr(self, field))
    if closed:
        namespace["__annotations__"] = annotations
    else:
        for name in properties:
            del namespace[f"_{name}"]
    return type(Object)("Closed" if closed else "Open", (Object,), namespace)


@attrs.define
class Half:
    """One side of one branch: its class, and its contents as plain dictionaries."""

    shape: Shape
    properties: frozenset[str]
    closed: bool
    contents: dict[Any, dict[str, Any]]

    def rows(self):
        for key, values in self.contents.items():
            row = dict(zip(PARTS, key, strict=True)) if self.shape.composite else {"idnumber": key}
            yield row | {f"_{name}" if name in self.properties else name: value for name, value in values.items()}

    def branch(self):
        return Branch(object_class(self.shape, self.properties, closed=self.closed), importer=lambda: list(self.rows()))


def tree_of(name: str, halves: dict[str, Half]) -> Tree:
    """Return an imported tree."""
    return +Tree(name, template=Everything, branches={branch: half.branch() for branch, half in halves.items()})


# --- worlds -----------------------------------------------------------------------------------------------------


@st.composite
def shapes(draw, branches=("apples",)):
    """Draw what a branch is like; its references go to any of the branches, itself included."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=2))
    attributes = tuple(zip(draw(st.sampled_from([("alpha", "beta"), ("beta", "alpha")])), kinds, strict=False))
    referring = [name for name, kind in attributes if kind in ("text", "texts", "list of texts")]
    references = draw(
        st.dictionaries(st.sampled_from(referring), st.sampled_from(branches), max_size=1) if referring else st.just({})
    )
    return Shape(draw(st.sampled_from(sorted(KEYS))), attributes, tuple(references.items()))


@functools.cache
def contents(shape):
    """Return a strategy for what a side of a branch holds."""
    values = st.fixed_dictionaries({name: KINDS[kind].values for name, kind in shape.attributes})
    return st.dictionaries(KEYS[shape.keys], values, max_size=4)


@st.composite
def halves(draw, shape, *, like=None):
    """Draw one side of a branch; one ``like`` another begins with some of its objects."""
    held = draw(contents(shape))
    if like is not None:
        kept = draw(st.sets(st.sampled_from(list(like)))) if like else set()
        held = {**{key: like[key] for key in like if key in kept}, **held}
    names = [name for name, _ in shape.attributes]
    properties = draw(st.frozensets(st.sampled_from(names))) if names else frozenset()
    return Half(shape, properties, draw(st.booleans()), held)


class World(NamedTuple):
    """A source and a destination of the same shape, as halves by branch."""

    source: dict[str, Half]
    dest: dict[str, Half]

    def trees(self):
        return tree_of("source", self.source), tree_of("dest", self.dest)


@st.composite
def worlds(draw):
    """Draw a source and a destination of one to three branches, which need not come in the same order."""
    names = draw(st.sampled_from([("apples",), ("apples", "bears"), ("chairs", "apples", "bears")]))
    source, dest = {}, {}
    for name in names:
        shape = draw(shapes(names))
        source[name] = draw(halves(shape))
        dest[name] = draw(halves(shape, like=source[name].contents))
    return World(source, {name: dest[name] for name in draw(st.permutations(names))})


@st.composite
def shuffled(draw, world):
    """Draw the same world with its rows in another order."""

    def mixed(side):
        return {
            name: attrs.evolve(half, contents=dict(draw(st.permutations(list(half.contents.items())))))
            for name, half in side.items()
        }

    return World(mixed(world.source), mixed(world.dest))


# --- the reference ----------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return something that is equal, and has one hash, for exactly those values that are to count as one."""
    if value != value:  # NaN
        return "a NaN", None
    if isinstance(value, tuple):
        return "a tuple", *map(plain, value)
    if isinstance(value, (set, frozenset, list)):
        return "a membership", frozenset(Counter(map(plain, value)).items())
    return value


def plain_changes(value: Any, old_value: Any) -> tuple[list[Any], list[Any]]:
    """Return the members to add and those to remove, as `plain` gives them."""
    new, old = Counter(map(plain, value)), Counter(map(plain, old_value))
    if not (isinstance(value, list) and isinstance(old_value, list)):
        new, old = Counter(set(new)), Counter(set(old))
    return list((new - old).elements()), list((old - new).elements())


def plain_diff(branch: str, source: dict[Any, dict[str, Any]], dest: dict[Any, dict[str, Any]]) -> Counter[Any]:
    """Return the actions between two dictionaries of dictionaries, the slow and obvious way."""
    found: list[Any] = []
    for key in {*source, *dest}:
        if key not in dest:
            found.append(("new", branch, key, "", None, None))
        elif key not in source:
            found.append(("old", branch, key, "", None, None))
        else:
            for name, value in source[key].items():
                old_value = dest[key][name]
                if all(isinstance(one, (set, frozenset, list)) for one in (value, old_value)):
                    added, removed = plain_changes(value, old_value)
                    found += [("add", branch, key, name, member, None) for member in added]
                    found += [("remove", branch, key, name, member, None) for member in removed]
                elif plain(value) != plain(old_value):
                    found.append(("update", branch, key, name, plain(value), plain(old_value)))
    return Counter(found)


def plain_actions(diff: Any) -> Counter[Any]:
    """Return the actions of a real diff in the words of `plain_diff`."""
    return Counter(
        (one.verb, one.branch, one.idnumber, one.attr, plain(one.value), plain(one.old_value)) for one in diff
    )


class Again(Candidates):
    """What an engine finds, as one that streams says it."""

    streamed = True


@attrs.frozen
class Streaming:
    """The in-memory engine as one that streams some of the branches."""

    branches: frozenset[str]
    name = "streaming"

    def candidates(self, left, right):
        found = InMemoryEngine().candidates(left, right)
        if right.branch not in self.branches:
            return found
        return Again(found.new, found.old, found.pairs, found.matched, found.reason)
