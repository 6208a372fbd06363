"""Sequences that are made anew each time they are gone through, so that nobody holds them whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, overload

__all__ = ["Streamed", "is_streamed"]

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


def is_streamed(diff: Any) -> bool:
    """Say whether the actions of a diff are made anew each time, since they may be too many for the memory."""
    return bool(getattr(diff, "streamed", False))
