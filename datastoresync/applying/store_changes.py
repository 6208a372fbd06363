"""The changes of a store that carry out the actions of a diff, and whether it holds what they expect."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import attrgetter, is_
from typing import Any, Literal

import attrs

from datastoresync.conversion.key_forms import formed
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import Streamed, lists_children
from datastoresync.diffing.common_form import spellings
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import equal, is_membership
from datastoresync.diffing.side import Side
from datastoresync.syncers.changes import (
    Change,
    ChangeBatch,
    Column,
    Table,
    segmented,
)

_VERBS: Mapping[str, Literal["insert", "update", "delete", "link", "unlink"]] = {
    "new": "insert",
    "update": "update",
    "add": "link",
    "remove": "unlink",
    "old": "delete",
}
_CHANGED_SINCE = (
    "the differences are others since the store was changed, so not all that was done is in memory: import again; "
    "the counts are right"
)


@attrs.frozen(eq=False)
class StoredBranch:
    """The table of a branch in a store, and how its values are converted.

    Args:
        table: The table.
        identifiers: The attributes that make up the key.
        convert: Converts a raw value of an attribute as an import would; its ``column``, if any, converts many.
        whole: Whether all rows of the table were imported, so that a row that is not in the import is newer.
    """

    table: Table
    identifiers: tuple[str, ...]
    convert: Callable[[str, Any], Any]
    whole: bool = False

    def converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return raw values of attributes as an import would have them; one that it would refuse stays as it is."""
        found = {}
        for name, raw in values.items():
            try:
                found[name] = self.convert(name, raw)
            except (ValueError, TypeError):
                found[name] = raw
        return found


class StoredValueEquality:
    """Compares raw values in a store with expected ones, as a diff would.

    Args:
        stored: The tables of the branches, by branch.
        compared: What was compared, by row and attribute, where something else is expected; that is as good.
    """

    def __init__(
        self, stored: Mapping[str, StoredBranch], compared: Mapping[Row, Mapping[str, Any]] | None = None
    ) -> None:
        self._convert = {id(one.table): one.convert for one in stored.values()}
        self._compared = compared

    def __call__(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        """Say whether the raw value of an attribute equals the expected one."""
        if self._equal(change, attribute, raw, expected):
            return True
        compared = self._compared.get((id(change.table), change.key), {}) if self._compared else {}
        if change.expected.get(attribute) is expected and change.values.get(attribute) is not expected:
            return attribute in compared and self._equal(change, attribute, raw, compared[attribute])
        # A store of texts holds the text of a value that only the class's own converter reads again.
        return (
            isinstance(raw, str) and not isinstance(expected, str) and self._reads_as(change, attribute, raw, expected)
        )

    def _reads_as(self, change: Change, attribute: str, raw: str, expected: Any) -> bool:
        """Say whether the class's own converter makes a value of a text."""
        own: Callable[[str, Any], Any] | None = getattr(self._convert[id(change.table)], "own", None)
        try:
            return own is not None and isinstance(raw, str) and equal(own(attribute, raw), expected)
        except Exception:  # noqa: BLE001 - of the user's own code
            return False

    def _equal(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        convert = self._convert[id(change.table)]
        try:
            found = convert(attribute, raw)
        except (ValueError, TypeError):
            found = raw  # which the user's own code may have made another value of
        form: Callable[[str, Any], Any] | None = getattr(convert, "formed", None)
        if form is not None:
            expected = form(attribute, expected)
        if found is None and is_membership(expected):
            found = type(expected)()
        return equal(found, expected)

    def same_column(self, change: Change, attribute: str, raws: Sequence[Any], expected: Sequence[Any]) -> bool:
        """Say whether all raw values of an attribute equal the expected ones, in the table of this change."""
        convert = self._convert[id(change.table)]
        column: Callable[[str, Sequence[Any]], Iterable[Any]] | None = getattr(convert, "column", None)
        try:
            found = map(convert, repeat(attribute), raws) if column is None else column(attribute, raws)
            return all(map(is_, found, expected))  # almost always a value converts to itself
        except (ValueError, TypeError):
            return False


class ChangeSequence(Streamed[Change]):
    """The changes of a diff, built on iteration; many of one kind are built column by column.

    Those of a streamed diff take bounded memory; an index builds them all.

    Args:
        actions: The actions.
        factory: Builds changes from them.
        streamed: Whether another iteration may yield other actions.
    """

    __slots__ = ("_actions", "_all", "_factory", "_seen", "_streamed", "compared")

    def __init__(self, actions: Sequence[Action], factory: ChangeFactory, *, streamed: bool) -> None:
        super().__init__(self._changes, None if streamed else len(actions))
        self._actions = actions
        self._factory = factory
        self._streamed = streamed
        self._seen = array("q")
        self._all: list[Change] = []
        self.compared = factory.compared

    def _changes(self) -> Iterator[Change]:
        return map(self._factory.change, self._actions_to_take())

    def _actions_to_take(self) -> Iterable[Action]:
        return self._marked() if self._streamed else self._actions

    def _marked(self) -> Iterator[Action]:
        self._seen = array("q")
        for action in self._actions:
            self._seen.append(_mark(action))
            yield action

    def __getitem__(self, index: Any) -> Any:
        self._all = self._all or list(self)
        return self._all[index]

    def segments(self, size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
        """Yield all changes once, in segments; see `datastoresync.syncers.changes.segmented`."""
        return segmented(self._actions_to_take(), self._factory, size, fewest)

    def again(self, warnings: list[str]) -> Iterator[Action | None]:
        """Yield the action of each change again; None, with a warning, from the first that differs.

        A diff of rows in the store itself may differ once the store is changed.
        """
        index = 0
        for mark, action in zip(self._seen, self._actions, strict=False):
            if mark != _mark(action):
                break
            index += 1
            yield action
        if index < len(self._seen):
            warnings.append(_CHANGED_SINCE)
            yield from repeat(None, len(self._seen) - index)


Row = tuple[int, tuple[Any, ...]]
"""A table and the key of a row."""


def _mark(action: Action) -> int:
    return hash((action.verb, action.branch, action.idnumber, action.attr))


class ChangeFactory:
    """Builds changes from the actions of a diff.

    Args:
        diff: The diff.
        stored: The tables of the branches, by branch.
    """

    def __init__(self, diff: Diff, stored: Mapping[str, StoredBranch]) -> None:
        self._stored = stored
        self._sides = {one.name: one.both for one in diff.branch_diffs}
        whole = diff.hierarchies[1].sides
        self._narrowed = {
            name: whole[name]
            for name, (_, right) in self._sides.items()
            if name in whole and whole[name].objects is not right.objects
        }
        self._spellings = spellings(self._sides)
        self.compared: dict[Row, dict[str, Any]] = {}
        """What was compared, by row and attribute, where the store had something else; of the changes built so far."""
        self._streamed = diff.streamed  # there may be too many to remember what was compared

    def change(self, action: Action) -> Change:
        """Build one change."""
        kept = self._stored[action.branch]
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        left, right = self._sides[action.branch]
        key, verb = action.idnumber, action.verb
        if verb == "new" and (adoption := self._adoption(action)) is not None:
            return adoption
        if verb == "new":
            values = {name: left.read(key, action.source, name) for name in left.attributes} | self._lists(action)
        elif verb == "old":
            read = {name: right.read(key, action.dest, name) for name in right.attributes}
            expected = {name: self._expected(action, name, value) for name, value in read.items()}
        elif verb == "remove":
            written = self._spelled(action, action.attr, action.value)
            values = {action.attr: right.member_spelling(key, action.attr, action.value, written)}
        else:
            values = {action.attr: action.value}
            if verb == "update":
                expected = {action.attr: self._expected(action, action.attr, action.old_value)}
        if verb != "remove" and self._spellings:
            values = {name: self._spelled(action, name, value) for name, value in values.items()}
        return Change(_VERBS[verb], kept.table, kept.identifiers, self._key(action), values, expected)

    def _adoption(self, action: Action) -> Change | None:
        """Return the update of a row that is there, though nothing of the destination's ``top_level`` reaches it yet.

        None of an action whose row is not there, or needs no update.
        """
        whole, left = self._narrowed.get(action.branch), self._sides[action.branch][0]
        if whole is None or action.idnumber not in whole.objects:
            return None
        there = whole.objects[action.idnumber]
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        for name in left.attributes:
            value = self._spelled(action, name, left.read(action.idnumber, action.source, name))
            old_value = whole.read(action.idnumber, there, name)
            if not equal(value, old_value):
                values[name] = value
                expected[name] = whole.expected(action.idnumber, there, name)
        for name, value in self._lists(action).items():  # what it lists now goes, and what it is to list comes later
            if old_value := whole.read(action.idnumber, there, name):
                values[name], expected[name] = value, old_value
        kept, spelled = self._stored[action.branch], whole.spelling(action.idnumber)
        key = (spelled,) if len(kept.identifiers) == 1 else spelled
        return Change("update", kept.table, kept.identifiers, key, values, expected) if values else None

    def _lists(self, action: Action) -> dict[str, Any]:
        """Return the lists of children that a new object has in link tables, empty: none of them is there yet."""
        sides, links = self._sides[action.branch], self._stored[action.branch].table.links
        named = sides[0].children.items() if links else ()
        fields = [field for child, field in named if field in links and lists_children(sides, child)]
        lists = {field: sides[0].read(action.idnumber, action.source, field) for field in fields}
        return {field: type(value)() for field, value in lists.items() if value is not None}

    def _key(self, action: Action) -> tuple[Any, ...]:
        """Return the key of an action's row as the store spells it."""
        identifiers, right = self._stored[action.branch].identifiers, self._sides[action.branch][1]
        key = action.idnumber if action.verb == "new" else right.spelling(action.idnumber)
        parts: tuple[Any, ...] = (key,) if len(identifiers) == 1 else key
        if action.verb == "new" and self._spellings:
            return tuple(self._spelled(action, *pair) for pair in zip(identifiers, parts, strict=True))
        return parts

    def _spelled(self, action: Action, attribute: str, value: Any) -> Any:
        """Return a value with the objects that it names as the store spells them."""
        spelling = self._spellings.get(action.branch, {}).get(attribute)
        return value if spelling is None else formed(spelling, value)

    def _expected(self, action: Action, attribute: str, value: Any) -> Any:
        """Return what the store had for a value of the destination."""
        right = self._sides[action.branch][1]
        if right.as_stored or attribute not in right.attributes:
            return value
        held = right.expected(action.idnumber, action.dest, attribute)
        if not self._streamed and not equal(held, value):
            row = (id(self._stored[action.branch].table), self._key(action))
            self.compared.setdefault(row, {})[attribute] = value
        return held

    @property
    def kind(self) -> Callable[[Action], tuple[Any, ...]]:
        """The function that returns the verb and the branch of an action."""
        return attrgetter("verb", "branch")

    def is_batchable(self, action: Action) -> bool:
        """Say whether an action changes an object or an attribute, in a table without tables of members."""
        narrowed = action.verb == "new" and action.branch in self._narrowed
        return not narrowed and action.verb not in ("add", "remove") and not self._stored[action.branch].table.links

    def subject(self, action: Action) -> Any:
        """Return the branch and the idnumber of an action."""
        return action.branch, action.idnumber

    def changes(self, actions: Sequence[Action]) -> Sequence[Change]:
        """Build a change from each action."""
        return list(map(self.change, actions))

    def batch(self, actions: Sequence[Action]) -> ChangeBatch:
        """Build columns from actions of one kind, with one pass in C a column."""
        verb, branch = actions[0].verb, actions[0].branch
        kept, sides = self._stored[branch], self._sides[branch]
        if not sides[1].as_stored or branch in self._spellings:
            return ChangeBatch.of(self.changes(actions))
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
        return ChangeBatch(_VERBS[verb], kept.table, kept.identifiers, own, values, expected)


def _columns(side: Side, keys: Sequence[Any], items: Sequence[Any]) -> dict[str, Column]:
    return {name: Column(values) for name, values in side.columns(keys, items).items()}


def _updates(actions: Sequence[Action]) -> tuple[dict[str, Column], dict[str, Column]]:
    """Return the columns that updates write, and those that they expect, by attribute."""
    values: dict[str, Column] = {}
    expected: dict[str, Column] = {}
    indexes: defaultdict[str, list[int]] = defaultdict(list)
    for index, action in enumerate(actions):
        indexes[action.attr].append(index)
    for name, own in indexes.items():
        flags_of_name = [False] * len(actions)
        new_values: list[Any] = [None] * len(actions)
        old_values = new_values.copy()
        for index in own:
            action = actions[index]
            flags_of_name[index], new_values[index], old_values[index] = True, action.value, action.old_value
        flags = None if len(own) == len(actions) else flags_of_name
        values[name], expected[name] = Column(new_values, flags), Column(old_values, flags)
    return values, expected
