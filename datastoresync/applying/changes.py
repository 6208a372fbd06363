"""Changes for a store out of actions, and what the store asks about them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import is_
from typing import Any, Literal

import attrs

from datastoresync.applying.streamed import Streamed
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.values import equal, is_membership
from datastoresync.syncers.changes import Change, Table

__all__ = ["Changes", "Stored", "Stores", "changes_of"]

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
        convert: Converts a raw value of an attribute as an import would.
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
        try:
            found = map(self._convert[id(change.table)], repeat(attribute), raws)
            return all(map(is_, found, expected))  # almost always a value converts to itself
        except (ValueError, TypeError):
            return False


class Changes(Streamed[Change]):
    """The changes of a streamed diff, in bounded memory. Only who asks for one by its index has them all made.

    Args:
        actions: The actions.
        make: Makes a change of one.
    """

    __slots__ = ("_actions", "_all", "_change", "_seen")

    def __init__(self, actions: Iterable[Action], make: Callable[[Action], Change]) -> None:
        super().__init__(self._made)
        self._actions = actions
        self._change = make
        self._seen = array("q")
        self._all: list[Change] = []

    def _made(self) -> Iterator[Change]:
        self._seen = array("q")
        for action in self._actions:
            self._seen.append(_mark(action))
            yield self._change(action)

    def __getitem__(self, index: Any) -> Any:
        self._all = self._all or list(self)
        return self._all[index]

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


def changes_of(diff: Diff, stored: Mapping[str, Stored]) -> Callable[[Action], Change]:
    """Return what makes a change of an action of a diff."""
    read = {
        verb: {one.name: (one.both[place].attributes, one.both[place].reader()) for one in diff.compared}
        for place, verb in enumerate(("new", "old"))
    }

    def values_of(action: Action, item: Any) -> dict[str, Any]:
        names, reader = read[action.verb][action.branch]
        return dict(zip(names, reader(action.idnumber, item), strict=True))

    def change_of(action: Action) -> Change:
        verb, kept, key = action.verb, stored[action.branch], action.idnumber
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        if verb == "new":
            values = values_of(action, action.source)
        elif verb == "old":
            expected = values_of(action, action.dest)
        else:
            values = {action.attr: action.value}
            if verb == "update":
                expected = {action.attr: action.old_value}
        if len(kept.identifiers) == 1:
            key = (key,)
        return Change(_VERBS[verb], kept.table, kept.identifiers, key, values, expected)

    return change_of
