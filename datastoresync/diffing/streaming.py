"""Actions computed again on each pass, for diffs that are too large for the memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import TypeVar, overload

import attrs

from datastoresync.diffing.action import VERBS, Action
from datastoresync.diffing.branch_diff import BranchDiff, action_sort_key, actions_between, additions_first
from datastoresync.diffing.compare import Candidates


@attrs.frozen(eq=False)
class StreamedPart:
    """One branch of a comparison whose candidates are streamed.

    Args:
        branch_diff: The branch.
        candidates: What its engine found; each pass over it, or its parts, asks the engine again.
        backwards: Whether this is the inverse: the sides are those of the opposite comparison.
    """

    branch_diff: BranchDiff
    candidates: Candidates
    backwards: bool = False

    def phases(self) -> list[Iterator[Action]]:
        """Return the creations, the updates and the deletions, each sorted by key."""
        found = actions_between(self.branch_diff, self.candidates)
        if not self.backwards:
            return list(found)
        return [additions_first(action.inverse() for action in actions) for actions in reversed(found)]

    def inverse(self) -> StreamedPart:
        """Return the same part of the opposite comparison."""
        return attrs.evolve(self, backwards=not self.backwards)


class StreamedActions(Sequence[Action]):
    """Actions in the order in which they are carried out, in bounded memory.

    An iteration costs a pass over the differences. The length and the counts cost one pass, once; an index costs a
    pass up to it.

    Args:
        parts: The branches that are streamed.
        in_memory: The actions of all other branches, in order.
        ranks: Where each branch stands among those that refer to each other; see `branch_ranks`.
        conditions: What an action must fulfil.
    """

    def __init__(
        self,
        parts: Sequence[StreamedPart],
        in_memory: Sequence[Action],
        ranks: dict[str, int],
        conditions: tuple[Callable[[Action], bool], ...] = (),
    ) -> None:
        self._parts = parts
        self._in_memory = in_memory
        self._ranks = ranks
        self._conditions = conditions
        self._counts: Counter[str] | None = None

    def __iter__(self) -> Iterator[Action]:
        streams: list[Iterable[Action]] = [self._in_memory]
        for part in self._parts:
            streams += part.phases()
        found: Iterable[Action] = merge(
            *streams, key=lambda action: action_sort_key(action.verb, action.branch, self._ranks)
        )
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
        position = index + len(self) if index < 0 else index
        if 0 <= position < len(self):
            return next(islice(self, position, None))
        message = f"there are {len(self):,} actions, and none at {index}"
        raise IndexError(message)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(left == right for left, right in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # a sequence that is compared by its members

    def where(self, condition: Callable[[Action], bool]) -> StreamedActions:
        """Return the actions that satisfy a condition."""
        return StreamedActions(self._parts, self._in_memory, self._ranks, (*self._conditions, condition))

    def inverse(self, in_memory: Sequence[Action], ranks: dict[str, int]) -> StreamedActions:
        """Return the inverse of each, in the order of the opposite comparison.

        Args:
            in_memory: The inverse of the actions that are not streamed, in order.
            ranks: The ranks of the branches in the opposite comparison.
        """
        conditions = tuple(_through_inverse(condition) for condition in self._conditions)
        return StreamedActions([part.inverse() for part in self._parts], in_memory, ranks, conditions)

    @property
    def in_memory(self) -> Sequence[Action]:
        """The actions of the branches that are not streamed, whether or not they satisfy the conditions."""
        return self._in_memory

    def __repr__(self) -> str:
        return f"<StreamedActions: {len(self):,}>"


def _through_inverse(condition: Callable[[Action], bool]) -> Callable[[Action], bool]:
    return lambda action: condition(action.inverse())


T = TypeVar("T")


class Streamed(Sequence[T]):
    """A sequence over a function that yields the same items each time it is called.

    The length costs one pass, and an index a pass up to it.

    Args:
        make: Yields the items.
        length: How many items there are, if known.

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
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index if index >= 0 else index + len(self)
        for item in islice(self, position, position + 1) if position >= 0 else ():
            return item
        message = f"there is no item {index} of {len(self)}"
        raise IndexError(message)

    def __repr__(self) -> str:
        return f"<Streamed{'' if self._length is None else f': {self._length:,} items'}>"
