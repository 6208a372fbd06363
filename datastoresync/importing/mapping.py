"""Contents as a sorted mapping, whose objects pass by in one stream where they are rows somewhere."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any, Generic, TypeVar

from datastoresync.importing.object_set import Contents

__all__ = ["ContentsMapping"]

T = TypeVar("T")


class ContentsMapping(Mapping[Any, T], Generic[T]):
    """What ``contents`` hold, sorted by idnumber. Views show what it holds at the time, after another import too."""

    contents: Contents

    def __iter__(self) -> Iterator[Any]:
        return iter(self.contents.objects)

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self.contents.objects))

    def __len__(self) -> int:
        return len(self.contents.objects)

    def __contains__(self, idnumber: object) -> bool:
        return idnumber in self.contents.objects

    def items(self) -> ItemsView[Any, T]:
        """Return a view of the idnumbers with their objects."""
        return _Items(self)

    def values(self) -> ValuesView[T]:
        """Return a view of the objects."""
        return _Values(self)


class _Items(ItemsView[Any, T]):
    _mapping: ContentsMapping[T]

    def __iter__(self) -> Iterator[tuple[Any, T]]:
        return iter(self._mapping.contents.objects.items())


class _Values(ValuesView[T]):
    _mapping: ContentsMapping[T]

    def __iter__(self) -> Iterator[T]:
        return iter(self._mapping.contents.objects.values())

    def __contains__(self, item: object) -> bool:
        return any(one is item or one == item for one in self)


# Their reprs are those of any other mapping.
_Items.__name__, _Values.__name__ = "ItemsView", "ValuesView"
