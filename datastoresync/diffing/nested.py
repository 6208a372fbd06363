"""A diff as a tree: objects with their actions, below their parents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from datastoresync.diffing.action import Action, counts_of, stat_of
from datastoresync.diffing.hierarchy import Hierarchy, ObjectKey
from datastoresync.diffing.listing import NO_SIDES, Sides, by_object, in_words, object_outline
from datastoresync.diffing.side import Side
from datastoresync.printing.changes import key_text
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import BoundedPrintable

SiblingOrder = Callable[[str, Sequence["NestedDiff"]], Iterable["NestedDiff"]]
"""Called with a branch and its objects below one parent; returns them in the wanted order."""


class NestedDiff(BoundedPrintable):
    """An object that differs, or that is above one that does.

    ``actions`` are its own; ``source`` and ``dest`` are the objects, None where a side has none; ``children`` and
    ``parent`` are nested diffs.
    """

    __slots__ = ("_sides", "actions", "branch", "children", "dest", "idnumber", "parent", "source")

    def __init__(self, branch: str, idnumber: Any, source: Any, dest: Any, sides: Sides = NO_SIDES) -> None:
        self._sides = sides
        self.branch = branch
        self.idnumber = idnumber
        self.source = source
        self.dest = dest
        self.actions: list[Action] = []
        self.children: list[NestedDiff] = []
        self.parent: NestedDiff | None = None

    def walk(self) -> Iterator[NestedDiff]:
        """Yield this node and all below it, each before its children."""
        waiting = [self]
        while waiting:
            nested = waiting.pop()
            yield nested
            waiting += reversed(nested.children)

    def arranged(self) -> tuple[list[Action], list[Action]]:
        """Return the actions before those of the nodes below, and after: a deletion, and what names new children."""
        side = self._sides[0].get(self.branch)
        fields = {} if side is None else side.children
        created = (child for child in self.children if child.actions and child.actions[0].verb == "new")
        named = {("add", fields.get(child.branch), child.idnumber) for child in created}
        parts: tuple[list[Action], list[Action]] = [], []
        for action in self.actions:
            last = action.verb == "old" or (action.attr and (action.verb, action.attr, action.value) in named)
            parts[bool(last)].append(action)
        return parts

    @property
    def counts(self) -> Counter[str]:
        """How many actions of each verb there are, in this node and below it."""
        return counts_of(action for nested in self.walk() for action in nested.actions)

    @property
    def stat(self) -> str:
        """Its counts on one line, as those of a diff."""
        return stat_of(action for nested in self.walk() for action in nested.actions)

    def __repr__(self) -> str:
        return f"<NestedDiff {self.branch} {self.idnumber!r}: {self.stat}>"

    def outline(self, *, whole: bool = False) -> Outline:
        """Describe the node: what changes of it, then what is below it."""
        first, *others = by_object(self.actions) or [[]]

        def lines() -> Iterator[Outline]:
            yield from (object_outline(self.branch, [one], self._sides, whole=whole) for one in others)
            yield from (child.outline(whole=whole) for child in self.children)

        counts = self.counts
        line = Outline(f"{self.branch} {key_text(self.idnumber)}", "object", in_words(counts))
        return attrs.evolve(
            object_outline(self.branch, [first], self._sides, whole=whole) if first else line,
            children=lines,
            total=len(others) + len(self.children),
            expanded=True,
            count=counts.total(),
            things=counts.total() - len(first),
            unit="change",
        )


def nested_diffs(
    actions: Iterable[Action], sides: tuple[dict[str, Side], dict[str, Side]], hierarchies: tuple[Hierarchy, Hierarchy]
) -> tuple[NestedDiff, ...]:
    """Return the nodes that are below no other; what is in both sides is where the source has it.

    Siblings are sorted by branch, in the order of the sides, and by idnumber.
    """
    for side in (*sides[0].values(), *sides[1].values()):
        side.settle()
    found: dict[ObjectKey, NestedDiff] = {}
    tops: list[NestedDiff] = []

    def make(object_key: ObjectKey) -> NestedDiff:
        branch, key = object_key
        source, dest = (side[branch].objects.get(key) if branch in side else None for side in sides)
        found[object_key] = NestedDiff(branch, key, source, dest, sides)
        return found[object_key]

    for action in actions:
        object_key: ObjectKey = (action.branch, action.idnumber)
        nested = found.get(object_key)
        if nested is None:
            nested = make(object_key)
            child = nested
            while True:
                above = hierarchies[0 if child.source is not None else 1].parent(child.branch, child.idnumber)
                if above is None:
                    tops.append(child)
                    break
                existing = found.get(above)
                child.parent = existing or make(above)
                child.parent.children.append(child)
                if existing is not None:
                    break
                child = child.parent
        nested.actions.append(action)
    ranks = {name: rank for rank, name in enumerate(sides[1])}

    def sort_key(nested: NestedDiff) -> tuple[int, Any]:
        return ranks.get(nested.branch, -1), nested.idnumber

    for one in found.values():
        one.children.sort(key=sort_key)
    return tuple(sorted(tops, key=sort_key))


def actions_by_parent(nested: Sequence[NestedDiff], order: SiblingOrder | None = None) -> Iterator[Action]:
    """Yield the actions of all nodes, parent by parent; deletions, and what names new children, come after these."""
    waiting: list[NestedDiff | Action] = list(reversed(_arranged(nested, order)))
    while waiting:
        one = waiting.pop()
        if isinstance(one, Action):
            yield one
            continue
        first, last = one.arranged()
        yield from first
        waiting += reversed(last)
        waiting += reversed(_arranged(one.children, order))


def _arranged(nested: Sequence[NestedDiff], order: SiblingOrder | None) -> list[NestedDiff]:
    if order is None:
        return list(nested)
    groups: dict[str, list[NestedDiff]] = {}
    for one in nested:
        groups.setdefault(one.branch, []).append(one)
    return [one for branch, group in groups.items() for one in order(branch, group)]
