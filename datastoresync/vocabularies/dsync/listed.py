"""Lists as values: diffsync compares them member by member, in their order."""

from __future__ import annotations

from collections import UserList
from typing import Any

from datastoresync.diffing.equality import equal

__all__ = ["Listed", "listed", "plain", "same"]


class Listed(UserList[Any]):
    """A list whose order counts: equal to another one that has equal members at the same places."""

    def __eq__(self, other: object) -> bool:
        members = other.data if isinstance(other, Listed) else other
        if not isinstance(members, list):
            return NotImplemented
        return len(self.data) == len(members) and all(map(equal, self.data, map(listed, members)))

    __hash__ = None  # it changes


def listed(value: Any) -> Any:
    """Return a value with every list in it, however deep, as a `Listed`."""
    if type(value) is list:
        return Listed(map(listed, value))
    if type(value) is dict:
        return {name: listed(one) for name, one in value.items()}
    return tuple(map(listed, value)) if type(value) is tuple else value


def plain(value: Any) -> Any:
    """Return a value with every `Listed` in it as a list."""
    if type(value) is Listed:
        return [plain(member) for member in value.data]
    if type(value) is dict:
        return {name: plain(one) for name, one in value.items()}
    return tuple(map(plain, value)) if type(value) is tuple else value


def same(left: Any, right: Any) -> bool:
    """Say whether two values are equal, lists with their order."""
    return equal(listed(left), listed(right))
