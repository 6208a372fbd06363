"""Actions made anew on each pass, for diffs that are too large to hold in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, TypeVar, overload

import attrs

from datastoresync.diffing.action import VERBS, Action
from datastoresync.diffing.branch_diff import BranchDiff, actions_between, members_in_order, place_of
from datastoresync.diffing.compare import Candidates


@attrs.frozen(eq=False)
class StreamedPart:
    """One branch of a comparison whose candidates are streamed.

    Args:
        branch_diff: The branch.
        candidates: What its engine found; iterating over it, or over its parts, asks the engine again.
        backwards: Whether the two sides have changed places since.
    """

    branch_diff: BranchDiff
    candidates: Candidates
    backwards: bool = False

    def phases(self) -> list[Iterator[Action]]:
        """Return the creations, the updates and the deletions, each in the order of the keys."""
        found = actions_between(self.branch_diff, self.candidates)
        if not self.backwards:
            return list(found)
        return [members_in_order(action.inverse() for action in some) for some in reversed(found)]

    def inverse(self) -> StreamedPart:
        """Return the same with the sides changed."""
        return attrs.evolve(self, backwards=not self.backwards)


class StreamedActions(Sequence[Action]):
    """Actions in the order in which they are carried out, in bounded memory.

    Going through them costs a pass over what differs. Their number and their counts are found in one pass, once; an
    index costs a pass up to there.

    Args:
        parts: The branches that are streamed.
        others: The actions of all other branches, in order.
        ranks: Where each branch stands among those that refer to each other; see `actions_in_order`.
        conditions: What an action must fulfil.
    """

    def __init__(
        self,
        parts: Sequence[StreamedPart],
        others: Sequence[Action],
        ranks: dict[str, int],
        conditions: tuple[Callable[[Action], bool], ...] = (),
    ) -> None:
        self._parts = parts
        self._others = others
        self._ranks = ranks
        self._conditions = conditions
        self._counts: Counter[str] | None = None

    def __iter__(self) -> Iterator[Action]:
        streams: list[Iterable[Action]] = [self._others]
        for part in self._parts:
            streams += part.phases()
        found: Iterable[Action] = merge(*streams, key=lambda action: place_of(action.verb, action.branch, self._ranks))
        for condition in self._conditions:
            found = filter(condition, found)
        return iter(found)

    @property
    def counts(self) -> Counter[str]:
        """How many there are of each verb."""
        if self._counts is None:
            found = Counter(action.verb for action in self)
            self._counts = Counter({verb: found[verb] for verb in VERBS})
        return Counter(self._counts)

    def __len__(self) -> int:
        return self.counts.total()

    def __bool__(self) -> bool:
        if self._counts is not None:
            return self._counts.total() > 0
        return next(iter(self), None) is not None

    @overload
    def __getitem__(self, index: int) -> Action: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Action]: ...
    def __getitem__(self, index: int | slice) -> Action | Sequence[Action]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step < 0:
                return list(self)[index]
            return list(islice(self, start, stop, step))
        place = index + len(self) if index < 0 else index
        if 0 <= place < len(self):
            return next(islice(self, place, None))
        message = f"there are {len(self):,} actions, and none at {index}"
        raise IndexError(message)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]  # a sequence that is compared by its members

    def where(self, condition: Callable[[Action], bool]) -> StreamedActions:
        """Return those that fulfil a condition."""
        return StreamedActions(self._parts, self._others, self._ranks, (*self._conditions, condition))

    def inverse(self, others: Sequence[Action], ranks: dict[str, int]) -> StreamedActions:
        """Return the inverse of each, in the order of the opposite comparison.

        Args:
            others: The inverse of the actions that are not streamed, in order.
            ranks: Of the opposite comparison.
        """
        conditions = tuple(_through_inverse(condition) for condition in self._conditions)
        return StreamedActions([part.inverse() for part in self._parts], others, ranks, conditions)

    @property
    def others(self) -> Sequence[Action]:
        """The actions of the branches that are not streamed, whether or not they fulfil the conditions."""
        return self._others

    def __repr__(self) -> str:
        return f"<StreamedActions: {len(self):,}>"


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)


def _through_inverse(condition: Callable[[Action], bool]) -> Callable[[Action], bool]:
    return lambda action: condition(action.inverse())


T = TypeVar("T")


class Streamed(Sequence[T]):
    """What a function yields, each time anew and in the same order.

    Its length costs going through it once, and an index going through it up to there.

    Args:
        make: Yields the items.
        length: How many there are, if that is known.

    >>> numbers = Streamed(lambda: iter(range(1_000_000)))
    >>> numbers[7], len(numbers)
    (7, 1000000)
    """

    __slots__ = ("_length", "_make")

    def __init__(self, make: Callable[[], Iterable[T]], length: int | None = None) -> None:
        self._make = make
        self._length = length

    def __iter__(self) -> Iterator[T]:
        return iter(self._make())

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def __bool__(self) -> bool:
        return any(True for _ in self)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index if index >= 0 else index + len(self)
        for item in islice(self, place, place + 1) if place >= 0 else ():
            return item
        message = f"there is no item {index} of {len(self)}"
        raise IndexError(message)

    def __repr__(self) -> str:
        return f"<Streamed{'' if self._length is None else f': {self._length:,} items'}>"
