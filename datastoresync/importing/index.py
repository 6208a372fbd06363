"""Indexes of the objects of a branch: their keys by the value of an attribute, kept right as objects change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from threading import RLock
from typing import Any, Final
from uuid import UUID

_BY_VALUE = frozenset({str, int, bool, bytes, date, UUID, type(None)})
"""Types whose values are equal to nothing that has another hash; those of other types are compared one by one."""
_REST: Final = object()
MISSING: Final = object()
_READING: Final = RLock()
"""Held while an index is read. An object set is copied, so it has no lock of its own."""


class Index:
    """The keys of objects by the value of one attribute."""

    def __init__(self) -> None:
        self._keys: dict[Any, set[Any]] = {}
        self._values: dict[Any, Any] = {}

    def put(self, key: Any, value: Any) -> None:
        """Note the value that an object has; `MISSING` if there is no such object any more."""
        before = self._values.pop(key, MISSING)
        if before is not MISSING:
            self._keys[before].discard(key)
            if not self._keys[before]:
                del self._keys[before]
        if value is not MISSING:
            value = value if type(value) in _BY_VALUE else _REST
            self._values[key] = value
            self._keys.setdefault(value, set()).add(key)

    def candidates(self, value: Any) -> list[Any]:
        """Return the keys of the objects that may have a value, sorted; none that has it is missing."""
        return sorted(self._keys.get(value, set()) | self._keys.get(_REST, set()))


class Indexes:
    """The indexes of a set of objects, each made when it is first needed.

    ``changed`` are the keys of objects that were put in, taken out or changed since an index was last read.
    """

    def __init__(self) -> None:
        self._indexes: dict[str, Index] = {}
        self.changed: set[Any] = set()

    def __reduce__(self) -> Any:
        return Indexes, ()  # copies make their own

    def note(self, keys: Iterable[Any]) -> None:
        """Note that objects may have been put in, taken out or changed."""
        if self._indexes:
            self.changed.update(keys)

    def find(self, name: str, value: Any, objects: Any, read: Callable[[Any, Any, str], Any]) -> dict[Any, Any] | None:
        """Return the objects that may have a value in an attribute, by key and in its order; None if any may.

        Args:
            name: The attribute.
            value: The value.
            objects: All objects by key: a sorted mapping, or a table.
            read: Returns what an object has, given its key, itself and the attribute.
        """
        if type(value) not in _BY_VALUE:
            return None
        with _READING:
            self._take_in(objects, read)
            index = self._indexes.get(name)
            if index is None:
                index = self._indexes[name] = Index()  # from here on, changes are noted
                try:
                    for key, item in _all(objects):
                        index.put(key, read(key, item, name))
                except BaseException:
                    del self._indexes[name]
                    raise
            return _some(objects, index.candidates(value))

    def _take_in(self, objects: Any, read: Callable[[Any, Any, str], Any]) -> None:
        keys = []
        while self.changed:  # to which other threads may add
            keys.append(self.changed.pop())
        found = _some(objects, keys) if keys else {}
        for name, index in self._indexes.items():
            for key in keys:
                index.put(key, read(key, found[key], name) if key in found else MISSING)


def _all(objects: Any) -> Iterator[tuple[Any, Any]]:
    """Yield keys and objects in any order; those of a table only pass by."""
    if not hasattr(objects, "passing"):
        yield from dict.items(objects)
        return
    for keys, items in objects.passing():
        yield from zip(keys, items, strict=True)


def _some(objects: Any, keys: list[Any]) -> dict[Any, Any]:
    """Return the objects of those keys that there are, in the order of the keys."""
    found = objects.get_many(keys) if hasattr(objects, "get_many") else objects
    return {key: found[key] for key in keys if key in found}
