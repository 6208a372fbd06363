"""Prepares the next changes while the database is at work on the last ones.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Generic, TypeVar

import attrs

from datastoresync.syncers.changes import Change
from datastoresync.syncers.sql.blocks import Batch, Places, Unit
from datastoresync.syncers.sql.bulk import Bulk

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


@attrs.define(eq=False)
class Segment:
    """Changes that are looked at together.

    Args:
        parts: The changes, as `parts_of` gives them.
    """

    parts: list[Sequence[Change]]
    count: int = attrs.field(init=False)
    _found: list[Batch | list[Unit]] | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.count = sum(map(len, self.parts))

    def batches(self, places: Places, first: int, fewest: int) -> list[Batch | list[Unit]]:
        """Give the changes away, ready to be written; they are held by nobody else then.

        Raises:
            SyncerError: As for `Places.batches`.
        """
        found, self._found = self._found, None
        found = list(places.batches(self.parts, first, fewest)) if found is None else found
        self.parts.clear()
        return found

    def prepare(self, places: Places, bulk: Bulk | None, first: int, fewest: int) -> None:
        """Do what can be done before its turn, and without the database."""
        if bulk is not None and places.know(self.parts):
            found = list(places.batches(self.parts, first, fewest))
            for one in found:
                if isinstance(one, Batch):
                    bulk.prepare(one)
            self._found = found
