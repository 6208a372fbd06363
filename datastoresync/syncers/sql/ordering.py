"""The order of changes: each after those that give what it needs; those in a ring together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from datastoresync.syncers.sql.constraints import RowChange, Token
from datastoresync.syncers.sql.spellings import Key
from datastoresync.syncers.sql.statements import KEYS, Unit
from datastoresync.syncers.sql.unit_writer import object_of


def ordered_groups(units: Sequence[Unit], rows: Sequence[Sequence[RowChange]]) -> Iterator[list[Unit]]:
    """Yield units so that each comes after those that give what it needs; those in a ring together."""
    givers: dict[Token, list[int]] = defaultdict(list)
    for index, of_unit in enumerate(rows):
        for token in {token for row in of_unit for token in row.gives()}:
            givers[token].append(index)
    earlier: dict[Any, int] = {}
    needed: list[list[int]] = []
    for index, (unit, of_unit) in enumerate(zip(units, rows, strict=True)):
        found = dict.fromkeys(giver for row in of_unit for token in row.needs() for giver in givers.get(token, ()))
        if object_of(unit) in earlier:
            found[earlier[object_of(unit)]] = None
        earlier[object_of(unit)] = index
        found.pop(index, None)
        needed.append(list(found))
    for component in strong_components(needed):
        yield [units[index] for index in sorted(component)]


def strong_components(edges: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components of a graph, each after those that it has edges to.

    R. Tarjan, Depth-first search and linear graph algorithms, 1972; without recursion.

    >>> list(strong_components([[1], [2], [1], []]))
    [[2, 1], [0], [3]]
    """
    numbers: dict[int, int] = {}
    lowest: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    for start in range(len(edges)):
        if start in numbers:
            continue
        stack = [(start, iter(edges[start]))]
        numbers[start] = lowest[start] = len(numbers)
        path.append(start)
        on_path.add(start)
        while stack:
            node, waiting = stack[-1]
            following = next(waiting, None)
            if following is None:
                stack.pop()
                if stack:
                    lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[node])
                if lowest[node] == numbers[node]:
                    component = [path.pop()]
                    while component[-1] != node:
                        component.append(path.pop())
                    on_path.difference_update(component)
                    yield component
            elif following not in numbers:
                numbers[following] = lowest[following] = len(numbers)
                path.append(following)
                on_path.add(following)
                stack.append((following, iter(edges[following])))
            elif following in on_path:
                lowest[node] = min(lowest[node], numbers[following])


def connected(units: Sequence[Unit], rows: Sequence[Sequence[RowChange]]) -> list[list[Unit]]:
    """Return units in groups that have to do with each other: one needs or has what another one does."""
    parents = list(range(len(units)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    first: dict[Any, int] = {}
    for index, (unit, of_unit) in enumerate(zip(units, rows, strict=True)):
        tokens = {token[1:] for row in of_unit for token in chain(row.needs(), row.gives())}
        for token in (*tokens, object_of(unit)):
            parents[root(index)] = root(first.setdefault(token, index))
    groups: dict[int, list[Unit]] = {}
    for index, unit in enumerate(units):
        groups.setdefault(root(index), []).append(unit)
    return list(groups.values())


def runs_of(groups: Iterable[Sequence[Unit]]) -> Iterator[Sequence[Unit]]:
    """Yield lists of units that one block can hold, in order; a ring of several units is a tuple."""
    run: list[Unit] = []
    kind: Any = None
    keys: set[Key] = set()
    for group in groups:
        unit = group[0]
        # Changes of other columns would be made by another statement, out of order.
        own = (unit.keyed, unit.verb, unit.member[:1], frozenset(unit.attributes) if unit.verb == "update" else ())
        if run and (len(group) > 1 or own != kind or unit.key in keys or len(run) == KEYS):
            yield run
            run, keys = [], set()
        if len(group) > 1:
            yield tuple(group)
        else:
            run.append(unit)
            keys.add(unit.key)
            kind = own
    if run:
        yield run
