"""Batches of changes of one verb to one table, column by column, and segments that are cut into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, groupby, islice
from typing import Any, Protocol, TypeVar, overload

import attrs

from datastoresync.syncers.changes import Change, Table

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@attrs.frozen(eq=False)
class Column:
    """One attribute of many changes.

    Args:
        values: A value for each change; None for one that does not concern the attribute.
        concerns: Which changes concern the attribute; None if all do.
    """

    values: Sequence[Any]
    concerns: Sequence[bool] | None = None

    def at(self, indexes: Sequence[int]) -> Column:
        """Return the column of the changes with some indexes."""
        concerns = self.concerns and [self.concerns[index] for index in indexes]
        values = [self.values[index] for index in indexes]
        return Column(values, None if concerns is None or all(concerns) else concerns)

    def concerns_one_of(self, indexes: Sequence[int]) -> bool:
        """Say whether one of the changes with some indexes concerns the attribute."""
        return self.concerns is None or any(self.concerns[index] for index in indexes)

    def where(self, other: Column) -> Column:
        """Return the column as it is for the changes that concern another one too."""
        if other.concerns is None or self.concerns is other.concerns:
            return self
        concerns = self.concerns or [True] * len(self.values)
        return Column(self.values, [left and right for left, right in zip(concerns, other.concerns, strict=True)])

    @property
    def concerned(self) -> Sequence[Any]:
        """The values of the changes that concern the attribute."""
        return self.values if self.concerns is None else list(compress(self.values, self.concerns))


@attrs.frozen(eq=False)
class ChangeBatch(Sequence[Change]):
    """Changes of one verb to one table, column by column; each is made when it is asked for.

    Insertions all have the same attributes, and so have deletions.

    Args:
        verb: ``insert``, ``update`` or ``delete``.
        table: Where the records are.
        identifiers: The attributes that the keys are made of.
        keys: The key of each.
        values: What is to be there, by attribute.
        expected: What was there, by attribute.
    """

    verb: Any
    table: Table
    identifiers: tuple[str, ...]
    keys: Sequence[tuple[Any, ...]]
    values: Mapping[str, Column] = attrs.field(factory=dict)
    expected: Mapping[str, Column] = attrs.field(factory=dict)

    @classmethod
    def of(cls, changes: Sequence[Change]) -> ChangeBatch:
        """Return changes as columns."""
        first = changes[0]
        values = _columns([change.values for change in changes])
        expected = _columns([change.expected for change in changes])
        return cls(first.verb, first.table, first.identifiers, [change.key for change in changes], values, expected)

    def at(self, indexes: Sequence[int]) -> ChangeBatch:
        """Return the changes with some indexes, which are in order."""
        if len(indexes) == len(self.keys):
            return self
        values, expected = (
            {name: column.at(indexes) for name, column in columns.items() if column.concerns_one_of(indexes)}
            for columns in (self.values, self.expected)
        )
        return attrs.evolve(self, keys=[self.keys[index] for index in indexes], values=values, expected=expected)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> list[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | list[Change]:
        if isinstance(index, slice):
            return [self[index] for index in range(*index.indices(len(self)))]
        values, expected = _row(self.values, index), _row(self.expected, index)
        return Change(self.verb, self.table, self.identifiers, self.keys[index], values, expected)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        concerns = [name in row for row in rows]
        found[name] = Column([row.get(name) for row in rows], None if all(concerns) else concerns)
    return found


def _row(columns: Mapping[str, Column], index: int) -> dict[str, Any]:
    return {
        name: column.values[index]
        for name, column in columns.items()
        if column.concerns is None or column.concerns[index]
    }


class BatchRules(Protocol[T_contra]):
    """Says which items can be a batch of changes, and makes changes of them."""

    @property
    def kind(self) -> Callable[[T_contra], tuple[Any, ...]]:
        """Returns the verb of an item, and what else the changes of a batch have in common."""
        ...

    def is_batchable(self, item: T_contra) -> bool:
        """Say whether items of this kind can be a batch at all."""
        ...

    def subject(self, item: T_contra) -> Any:
        """Return the table and the key of an item: what it is a change of."""
        ...

    def batch(self, items: Sequence[T_contra]) -> ChangeBatch:
        """Make a batch of items of one kind."""
        ...

    def changes(self, items: Sequence[T_contra]) -> Sequence[Change]:
        """Make changes of items of any kind."""
        ...


class GivesSegments(Protocol):
    """Changes that can be had in segments, as batches."""

    def segments(self, size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
        """Yield all changes once, as `segmented` does."""
        ...


def segmented(items: Iterable[T], rules: BatchRules[T], size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
    """Yield changes in segments of about one size, as they come; each in parts: a `ChangeBatch`, or any changes.

    Changes of one object that follow each other stay together in a segment; and in a part, unless of several verbs.

    Args:
        items: What changes are made of, in order.
        rules: Makes batches and changes of them.
        size: Items in a segment.
        fewest: Items of a kind that must follow each other to be a batch.
    """
    for segment in _segments(items, size, rules):
        yield list(_parts(segment, rules, fewest))
        segment.clear()  # before the next ones are made


def segments_of(changes: Iterable[Change], size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
    """Yield changes as `segmented` does; by their own ``segments``, if they have such a method."""
    give: Callable[..., Iterator[list[Sequence[Change]]]] | None = getattr(changes, "segments", None)
    return segmented(changes, _OneByOne(), size, fewest) if give is None else give(size, fewest)


class _OneByOne:
    """Makes batches of changes that come one by one."""

    def kind(self, change: Change) -> tuple[Any, ...]:
        shape = None if change.verb == "update" else (*change.values, None, *change.expected)
        return change.verb, id(change.table), change.identifiers, shape

    def is_batchable(self, change: Change) -> bool:
        return not change.table.links and change.verb not in ("link", "unlink")

    def subject(self, change: Change) -> Any:
        return id(change.table), change.key

    def batch(self, changes: Sequence[Change]) -> ChangeBatch:
        return ChangeBatch.of(changes)

    def changes(self, changes: Sequence[Change]) -> Sequence[Change]:
        return changes


def _segments(items: Iterable[T], size: int, rules: BatchRules[T]) -> Iterator[list[T]]:
    """Yield segments that end where a kind does, if that is not too early, and else where what is done to an object."""
    waiting = iter(items)
    segment = list(islice(waiting, size))
    while segment:
        following: list[T] = []
        end = _last_kind(segment, rules.kind) if len(segment) == size else 0
        if end and end >= size // 2 and rules.subject(segment[end - 1]) != rules.subject(segment[end]):
            following = segment[end:]
            del segment[end:]
        else:
            for item in waiting:
                if rules.subject(item) != rules.subject(segment[-1]):
                    following = [item]
                    break
                segment.append(item)
        yield segment
        segment = following + list(islice(waiting, size - len(following)))


def _last_kind(segment: Sequence[T], kind: Callable[[T], Any]) -> int:
    """Return the index from which on all items are of the last kind."""
    last = kind(segment[-1])
    if kind(segment[0]) == last:
        return 0
    return next(index for index in range(len(segment), 0, -1) if kind(segment[index - 1]) != last)


def _parts(segment: Sequence[T], rules: BatchRules[T], fewest: int) -> Iterator[Sequence[Change]]:
    runs = [(kind, list(run)) for kind, run in groupby(segment, key=rules.kind)]
    updated = Counter(kind for kind, _ in runs if kind[0] == "update")
    apart = any(count > 1 for count in updated.values())  # updates of one object may be, and are done together
    alone: list[T] = []
    for _, run in runs:
        if apart or len(run) < fewest or not rules.is_batchable(run[0]):
            alone += run
            continue
        if alone:
            yield rules.changes(alone)
            alone = []
        yield rules.batch(run)
    if alone:
        yield rules.changes(alone)
