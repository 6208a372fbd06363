"""Batches of changes that have one kind and one table, column by column."""

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
    """What changes have to do with one attribute.

    Args:
        values: A value for each change; None for one that does not concern the attribute.
        concerns: Which changes concern the attribute; None if all do.
    """

    values: Sequence[Any]
    concerns: Sequence[bool] | None = None

    def at(self, places: Sequence[int]) -> Column:
        """Return the column of the changes at some places."""
        concerns = self.concerns and [self.concerns[place] for place in places]
        values = [self.values[place] for place in places]
        return Column(values, None if concerns is None or all(concerns) else concerns)

    def concerns_one_of(self, places: Sequence[int]) -> bool:
        """Say whether one of the changes at some places concerns the attribute."""
        return self.concerns is None or any(self.concerns[place] for place in places)

    def where(self, other: Column) -> Column:
        """Return the column as it is for the changes that concern another one too."""
        if other.concerns is None or self.concerns is other.concerns:
            return self
        concerns = self.concerns or [True] * len(self.values)
        return Column(self.values, [mine and theirs for mine, theirs in zip(concerns, other.concerns, strict=True)])

    @property
    def concerned(self) -> Sequence[Any]:
        """The values of the changes that concern the attribute."""
        return self.values if self.concerns is None else list(compress(self.values, self.concerns))


@attrs.frozen(eq=False)
class ChangeBatch(Sequence[Change]):
    """Changes of one verb to one table, column by column; one of them is made whenever it is asked for.

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

    def at(self, places: Sequence[int]) -> ChangeBatch:
        """Return the changes at some places, which are in order."""
        if len(places) == len(self.keys):
            return self
        values, expected = (
            {name: column.at(places) for name, column in columns.items() if column.concerns_one_of(places)}
            for columns in (self.values, self.expected)
        )
        return attrs.evolve(self, keys=[self.keys[place] for place in places], values=values, expected=expected)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> list[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | list[Change]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        values, expected = _row(self.values, index), _row(self.expected, index)
        return Change(self.verb, self.table, self.identifiers, self.keys[index], values, expected)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        concerns = [name in row for row in rows]
        found[name] = Column([row.get(name) for row in rows], None if all(concerns) else concerns)
    return found


def _row(columns: Mapping[str, Column], place: int) -> dict[str, Any]:
    return {
        name: column.values[place]
        for name, column in columns.items()
        if column.concerns is None or column.concerns[place]
    }


class Kinds(Protocol[T_contra]):
    """Says which of some things can be changes that are alike, and makes them."""

    @property
    def kind(self) -> Callable[[T_contra], tuple[Any, ...]]:
        """What gives the verb of something, and all else that changes that are alike have in common."""
        ...

    def takes(self, item: T_contra) -> bool:
        """Say whether what is of this kind can be alike at all."""
        ...

    def place(self, item: T_contra) -> Any:
        """Return whose change it is."""
        ...

    def alike(self, items: Sequence[T_contra]) -> ChangeBatch:
        """Make things of one kind into changes that are alike."""
        ...

    def alone(self, items: Sequence[T_contra]) -> Sequence[Change]:
        """Make things of any kind into changes."""
        ...


class PartsChanges(Protocol):
    """Changes that can give themselves column by column."""

    def parted(self, size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
        """Yield all changes once, as `parted` does."""
        ...


def parted(items: Iterable[T], kinds: Kinds[T], size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
    """Yield changes in segments of about so many, as they come; each in parts that are `ChangeBatch`, or of any kind.

    What follows each other for one object stays together in a segment; and in a part, unless it is of several verbs.

    Args:
        items: What changes are made of, in order.
        kinds: Makes them.
        size: How many there are in a segment.
        fewest: How many of a kind must follow each other to be a part of their own.
    """
    for segment in _segments(items, size, kinds):
        yield list(_parts(segment, kinds, fewest))
        segment.clear()  # before the next ones are made


def parts_of(changes: Iterable[Change], size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
    """Yield changes as `parted` does: as they give themselves, or as they are found to be alike."""
    give: Callable[..., Iterator[list[Sequence[Change]]]] | None = getattr(changes, "parted", None)
    return parted(changes, _OneByOne(), size, fewest) if give is None else give(size, fewest)


class _OneByOne:
    """Makes changes that come one by one into columns."""

    def kind(self, change: Change) -> tuple[Any, ...]:
        shape = None if change.verb == "update" else (*change.values, None, *change.expected)
        return change.verb, id(change.table), change.identifiers, shape

    def takes(self, change: Change) -> bool:
        return not change.table.links and change.verb not in ("link", "unlink")

    def place(self, change: Change) -> Any:
        return id(change.table), change.key

    def alike(self, changes: Sequence[Change]) -> ChangeBatch:
        return ChangeBatch.of(changes)

    def alone(self, changes: Sequence[Change]) -> Sequence[Change]:
        return changes


def _segments(items: Iterable[T], size: int, kinds: Kinds[T]) -> Iterator[list[T]]:
    """Yield segments that end where a kind does, if that is not too early, and else where what is done to an object."""
    waiting = iter(items)
    segment = list(islice(waiting, size))
    while segment:
        following: list[T] = []
        end = _last_kind(segment, kinds.kind) if len(segment) == size else 0
        if end and end >= size // 2 and kinds.place(segment[end - 1]) != kinds.place(segment[end]):
            following = segment[end:]
            del segment[end:]
        else:
            for item in waiting:
                if kinds.place(item) != kinds.place(segment[-1]):
                    following = [item]
                    break
                segment.append(item)
        yield segment
        segment = following + list(islice(waiting, size - len(following)))


def _last_kind(segment: Sequence[T], kind: Callable[[T], Any]) -> int:
    """Return where what is of the last kind begins."""
    last = kind(segment[-1])
    if kind(segment[0]) == last:
        return 0
    return next(place for place in range(len(segment), 0, -1) if kind(segment[place - 1]) != last)


def _parts(segment: Sequence[T], kinds: Kinds[T], fewest: int) -> Iterator[Sequence[Change]]:
    runs = [(kind, list(run)) for kind, run in groupby(segment, key=kinds.kind)]
    updated = Counter(kind for kind, _ in runs if kind[0] == "update")
    apart = any(count > 1 for count in updated.values())  # updates of one object may be, and are done together
    alone: list[T] = []
    for _, run in runs:
        if apart or len(run) < fewest or not kinds.takes(run[0]):
            alone += run
            continue
        if alone:
            yield kinds.alone(alone)
            alone = []
        yield kinds.alike(run)
    if alone:
        yield kinds.alone(alone)
