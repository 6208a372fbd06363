"""Objects that were made of rows and that somebody still holds: each key has one of them, however often it is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from itertools import compress, count
from threading import RLock
from typing import Any
from weakref import ref

__all__ = ["LivingObjects", "ReadAhead"]

_FEW = 16_384
"""References that are kept before it is looked which of them are dead."""


class LivingObjects:
    """Objects by key, as long as somebody else holds them, and the last ones that were looked up.

    It costs two passes in C a chunk of rows. Dead references go, together, when there are as many of them as of others.
    """

    def __init__(self) -> None:
        self._references: dict[Any, ref[Any]] = {}
        self._most = _FEW
        self._lock = RLock()
        self._held: deque[Any] = deque(maxlen=1024)

    def get(self, key: Any) -> Any:
        """Return the object of a key; None if nobody has it."""
        found = self._references.get(key)
        return None if found is None else found()

    def unite(self, keys: Sequence[Any], objects: list[Any]) -> bool:
        """Put in the place of each object that was made anew the one of its key that somebody has; say if one had."""
        found = False
        with self._lock:
            if self._references:
                known = list(map(self._references.get, keys))
                for place in compress(count(), known):
                    item = known[place]()  # type: ignore[misc]  # `compress` leaves out those that are None
                    if item is not None:
                        objects[place] = item
                        found = True
            self._references.update(zip(keys, map(ref, objects), strict=True))
            if len(self._references) > self._most:
                self._references = {key: held for key, held in self._references.items() if held() is not None}
                self._most = 2 * len(self._references) + _FEW
        return found

    def hold(self, objects: Collection[Any]) -> None:
        """Keep objects that were looked up, until many others were, since they may be looked up once more."""
        self._held.extend(objects)


class ReadAhead:
    """Says how many rows to read when one is looked up: more than that one if all of them are, in order."""

    _FIRST = 128
    _MOST = 65_536
    _ENOUGH = 8
    """Look-ups in order, from which on it is tried."""

    def __init__(self) -> None:
        self.answered = 0
        """Look-ups since the last one that had to read."""
        self._rows = 1
        self._run = 0
        self._last: Any = None

    def rows(self, key: Any) -> int:
        """Return how many rows to read from a key on."""
        follows = self._follows(key)
        if self._rows > 1:
            used = follows and self.answered * 2 >= self._rows
            self._rows = min(self._rows * 2, self._MOST) if used else 1
            self._run = 0
        else:
            self._run = self._run + 1 if follows else 0
            self._rows = self._FIRST if self._run >= self._ENOUGH else 1
        self.answered, self._last = 0, key
        return self._rows

    def _follows(self, key: Any) -> bool:
        if type(key) is not type(self._last) or key is None:
            return False
        try:
            return bool(key > self._last)
        except TypeError:  # parts of several types
            return False
