"""A diff as a tree: one node an object, with what is below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from datastoresync.diffing.action import Action, counts_of, stat_of
from datastoresync.diffing.hierarchy import Hierarchy, Place
from datastoresync.diffing.side import Side
from datastoresync.printing.outline import Outline
from datastoresync.printing.show import Printable

Siblings = Callable[[str, Sequence["Node"]], Iterable["Node"]]
"""Takes a branch and the nodes of it that have one parent, and returns them in the order that is wanted."""


class Node(Printable):
    """One object that differs, or something below it does.

    ``actions`` are its own; ``source`` and ``dest`` the objects, None where a side has none; ``children`` the nodes
    below it, and ``parent`` the one above.
    """

    __slots__ = ("actions", "branch", "children", "dest", "idnumber", "parent", "source")

    def __init__(self, branch: str, idnumber: Any, source: Any, dest: Any) -> None:
        self.branch = branch
        self.idnumber = idnumber
        self.source = source
        self.dest = dest
        self.actions: list[Action] = []
        self.children: list[Node] = []
        self.parent: Node | None = None

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, each before its children."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)

    @property
    def counts(self) -> Counter[str]:
        """How many actions of each verb there are, in this node and below it."""
        return counts_of(action for node in self.walk() for action in node.actions)

    @property
    def stat(self) -> str:
        """Its counts on one line, as those of a diff."""
        return stat_of(action for node in self.walk() for action in node.actions)

    def __repr__(self) -> str:
        return f"<Node {self.branch} {self.idnumber!r}: {self.stat}>"

    def __outline__(self) -> Outline:
        """Describe the node: its own actions, then what is below it."""

        def lines() -> Iterator[Outline]:
            yield from (action.__outline__() for action in self.actions)
            yield from (child.__outline__() for child in self.children)

        if not self.children and len(self.actions) == 1:
            return self.actions[0].__outline__()
        total = len(self.actions) + len(self.children)
        return Outline(f"{self.branch} {self.idnumber!r}", "object", self.stat, lines, total, expanded=True)


def nodes_of(
    actions: Iterable[Action], sides: tuple[dict[str, Side], dict[str, Side]], hierarchies: tuple[Hierarchy, Hierarchy]
) -> tuple[Node, ...]:
    """Return the nodes that are below no other; what is in both sides is where the source has it.

    Siblings are sorted by branch, in the order of the sides, and by idnumber.
    """
    for side in (*sides[0].values(), *sides[1].values()):
        side.settle()
    found: dict[Place, Node] = {}
    tops: list[Node] = []

    def make(place: Place) -> Node:
        branch, key = place
        source, dest = (side[branch].objects.get(key) if branch in side else None for side in sides)
        found[place] = Node(branch, key, source, dest)
        return found[place]

    for action in actions:
        place: Place = (action.branch, action.idnumber)
        node = found.get(place)
        if node is None:
            node = make(place)
            child = node
            while True:
                above = hierarchies[0 if child.source is not None else 1].parent(child.branch, child.idnumber)
                if above is None:
                    tops.append(child)
                    break
                known = found.get(above)
                child.parent = known or make(above)
                child.parent.children.append(child)
                if known is not None:
                    break
                child = child.parent
        node.actions.append(action)
    ranks = {name: rank for rank, name in enumerate(sides[1])}

    def place_of(node: Node) -> tuple[int, Any]:
        return ranks.get(node.branch, -1), node.idnumber

    for one in found.values():
        one.children.sort(key=place_of)
    return tuple(sorted(tops, key=place_of))


def in_tree_order(nodes: Sequence[Node], order: Siblings | None = None) -> Iterator[Action]:
    """Yield the actions of all nodes, parent by parent: what is deleted after its children, all else before them."""
    waiting: list[Node | Action] = list(reversed(_arranged(nodes, order)))
    while waiting:
        one = waiting.pop()
        if isinstance(one, Action):
            yield one
            continue
        yield from (action for action in one.actions if action.verb != "old")
        waiting += (action for action in one.actions if action.verb == "old")
        waiting += reversed(_arranged(one.children, order))


def _arranged(nodes: Sequence[Node], order: Siblings | None) -> list[Node]:
    if order is None:
        return list(nodes)
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(node.branch, []).append(node)
    return [node for branch, group in groups.items() for node in order(branch, group)]
