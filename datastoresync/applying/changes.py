"""Changes for a store out of actions, and what the store asks about them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import attrgetter, is_
from typing import Any, Literal

import attrs

from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import equal, is_membership
from datastoresync.diffing.side import Side
from datastoresync.diffing.streamed import Streamed
from datastoresync.syncers.change_batch import Alike, Column, parted
from datastoresync.syncers.changes import Change, Table

__all__ = ["Changes", "Making", "Stored", "Stores"]

_VERBS: Mapping[str, Literal["insert", "update", "delete", "link", "unlink"]] = {
    "new": "insert",
    "update": "update",
    "add": "link",
    "remove": "unlink",
    "old": "delete",
}
_MOVED = (
    "the differences are others since the store was changed, so not all that was done is in memory: import again; "
    "the counts are right"
)


@attrs.frozen(eq=False)
class Stored:
    """How the objects of a branch are kept in a store.

    Args:
        table: Where they are.
        identifiers: The attributes that the key is made of.
        convert: Converts a raw value of an attribute as an import would. Its ``column``, if it has one, does so for
            many values.
    """

    table: Table
    identifiers: tuple[str, ...]
    convert: Callable[[str, Any], Any]


class Stores:
    """Compares what a store holds with what was expected of it, by the definition of a difference.

    Args:
        stored: How each branch is kept, by its name.
    """

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._convert = {id(one.table): one.convert for one in stored.values()}

    def __call__(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        """Say whether a raw value is what was expected of an attribute."""
        try:
            found = self._convert[id(change.table)](attribute, raw)
        except (ValueError, TypeError):
            return False  # what cannot be converted is not what was imported
        if found is None and is_membership(expected):
            found = type(expected)()
        return equal(found, expected)

    def same_column(self, change: Change, attribute: str, raws: Sequence[Any], expected: Sequence[Any]) -> bool:
        """Say whether all these raw values are what was expected of an attribute, in the table of this change."""
        convert = self._convert[id(change.table)]
        column: Callable[[str, Sequence[Any]], Iterable[Any]] | None = getattr(convert, "column", None)
        try:
            found = map(convert, repeat(attribute), raws) if column is None else column(attribute, raws)
            return all(map(is_, found, expected))  # almost always a value converts to itself
        except (ValueError, TypeError):
            return False


class Changes(Streamed[Change]):
    """The changes of a diff, each made when somebody comes to it; many of a kind are made column by column.

    Those of a streamed diff are in bounded memory. Only who asks for one by its index has them all made.

    Args:
        actions: The actions.
        making: Makes changes of them.
        streamed: Whether the actions may be others when they are gone through again.
    """

    __slots__ = ("_actions", "_all", "_making", "_seen", "_streamed")

    def __init__(self, actions: Sequence[Action], making: Making, *, streamed: bool) -> None:
        super().__init__(self._made, None if streamed else len(actions))
        self._actions = actions
        self._making = making
        self._streamed = streamed
        self._seen = array("q")
        self._all: list[Change] = []

    def _made(self) -> Iterator[Change]:
        return map(self._making.change, self._gone_through())

    def _gone_through(self) -> Iterable[Action]:
        return self._marked() if self._streamed else self._actions

    def _marked(self) -> Iterator[Action]:
        self._seen = array("q")
        for action in self._actions:
            self._seen.append(_mark(action))
            yield action

    def __getitem__(self, index: Any) -> Any:
        self._all = self._all or list(self)
        return self._all[index]

    def parted(self, size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
        """Yield all changes once, those that are alike as columns; see `datastoresync.syncers.alike.parted`."""
        return parted(self._gone_through(), self._making, size, fewest)

    def again(self, warnings: list[str]) -> Iterator[Action | None]:
        """Yield the action of each change once more; None from where it is another one by now, with a warning.

        The destination may be what is compared, and not hold any more what it did before it was changed.
        """
        place = 0
        for mark, action in zip(self._seen, self._actions, strict=False):
            if mark != _mark(action):
                break
            place += 1
            yield action
        if place < len(self._seen):
            warnings.append(_MOVED)
            yield from repeat(None, len(self._seen) - place)


def _mark(action: Action) -> int:
    return hash((action.verb, action.branch, action.idnumber, action.attr))


class Making:
    """Makes changes of the actions of a diff.

    Args:
        diff: The diff.
        stored: How each branch is kept, by its name.
    """

    def __init__(self, diff: Diff, stored: Mapping[str, Stored]) -> None:
        self._stored = stored
        self._sides = {one.name: one.both for one in diff.compared}

    def change(self, action: Action) -> Change:
        """Make one change."""
        kept = self._stored[action.branch]
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        if action.verb == "new":
            values = self._values(0, action, action.source)
        elif action.verb == "old":
            expected = self._values(1, action, action.dest)
        else:
            values = {action.attr: action.value}
            if action.verb == "update":
                expected = {action.attr: action.old_value}
        key = (action.idnumber,) if len(kept.identifiers) == 1 else action.idnumber
        return Change(_VERBS[action.verb], kept.table, kept.identifiers, key, values, expected)

    def _values(self, which: int, action: Action, item: Any) -> dict[str, Any]:
        side = self._sides[action.branch][which]
        return {name: side.read(action.idnumber, item, name) for name in side.attributes}

    @property
    def kind(self) -> Callable[[Action], tuple[Any, ...]]:
        """What gives the verb and the branch of an action."""
        return attrgetter("verb", "branch")

    def takes(self, action: Action) -> bool:
        """Say whether it is of a whole object or attribute, in a table without tables of members."""
        return action.verb not in ("add", "remove") and not self._stored[action.branch].table.links

    def place(self, action: Action) -> Any:
        """Return the object that an action is of."""
        return action.branch, action.idnumber

    def alone(self, actions: Sequence[Action]) -> Sequence[Change]:
        """Make a change of each action."""
        return list(map(self.change, actions))

    def alike(self, actions: Sequence[Action]) -> Alike:
        """Make columns of actions of one kind, in a pass in C for each."""
        verb, branch = actions[0].verb, actions[0].branch
        kept, sides = self._stored[branch], self._sides[branch]
        keys = [action.idnumber for action in actions]
        values: dict[str, Column] = {}
        expected: dict[str, Column] = {}
        if verb == "new":
            values = _columns(sides[0], keys, [action.source for action in actions])
        elif verb == "old":
            expected = _columns(sides[1], keys, [action.dest for action in actions])
        else:
            values, expected = _updates(actions)
        own = list(zip(keys, strict=True)) if len(kept.identifiers) == 1 else keys
        return Alike(_VERBS[verb], kept.table, kept.identifiers, own, values, expected)


def _columns(side: Side, keys: Sequence[Any], items: Sequence[Any]) -> dict[str, Column]:
    return {name: Column(values) for name, values in side.columns(keys, items).items()}


def _updates(actions: Sequence[Action]) -> tuple[dict[str, Column], dict[str, Column]]:
    """Return what updates write, and what they expect, by attribute."""
    attributes = [action.attr for action in actions]
    values: dict[str, Column] = {}
    expected: dict[str, Column] = {}
    for name in dict.fromkeys(attributes):
        concerns = [attribute == name for attribute in attributes]
        wanted: list[Any] = [None] * len(actions)
        held = wanted.copy()
        for place in compress(range(len(actions)), concerns):
            wanted[place], held[place] = actions[place].value, actions[place].old_value
        flags = None if all(concerns) else concerns
        values[name], expected[name] = Column(wanted, flags), Column(held, flags)
    return values, expected
