"""Prepares the next changes while the database is at work on the last ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")


class Ahead(Generic[T]):
    """An iterator whose next item may be made before it is asked for. What goes wrong then is raised when it is.

    Args:
        items: What makes the items.
        prepare: Does to an item what can be done ahead of its time.

    >>> made = Ahead(iter("ab"), print)
    >>> made.look()
    a
    >>> list(made)
    ['a', 'b']
    """

    def __init__(self, items: Iterable[T], prepare: Callable[[T], object]) -> None:
        self._items = iter(items)
        self._prepare = prepare
        self._made: list[T] = []
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._made.pop() if self._made else next(self._items)

    def look(self) -> None:
        """Make the next item, unless that was done already; what cannot be prepared is as if nobody had tried."""
        if self._made or self._error is not None:
            return
        try:
            self._made.extend(islice(self._items, 1))
        except Exception as error:  # noqa: BLE001 - it is raised when the item is asked for
            self._error = error
        for item in self._made:
            with suppress(Exception):
                self._prepare(item)
