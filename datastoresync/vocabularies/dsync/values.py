"""Values of models: lists compared member by member, and copies."""

from __future__ import annotations

import copy
from collections import UserList
from typing import Any

from datastoresync.diffing.equality import equal


class OrderedList(UserList[Any]):
    """A list whose order counts: equal to another one that has equal members at the same places."""

    def __eq__(self, other: object) -> bool:
        members = other.data if isinstance(other, OrderedList) else other
        if not isinstance(members, list):
            return NotImplemented
        return len(self.data) == len(members) and all(map(equal, self.data, map(with_ordered_lists, members)))

    __hash__ = None  # it changes


def with_ordered_lists(value: Any) -> Any:
    """Return a value with every list in it, at any depth, as an `OrderedList`."""
    if type(value) is list:
        return OrderedList(map(with_ordered_lists, value))
    if type(value) is dict:
        return {name: with_ordered_lists(one) for name, one in value.items()}
    return tuple(map(with_ordered_lists, value)) if type(value) is tuple else value


def with_plain_lists(value: Any) -> Any:
    """Return a value with every `OrderedList` in it as a list."""
    if type(value) is OrderedList:
        return [with_plain_lists(member) for member in value.data]
    if type(value) is dict:
        return {name: with_plain_lists(one) for name, one in value.items()}
    return tuple(map(with_plain_lists, value)) if type(value) is tuple else value


def equal_values(left: Any, right: Any) -> bool:
    """Say whether two values are equal, lists with their order."""
    return equal(with_ordered_lists(left), with_ordered_lists(right))


def copy_value(value: Any) -> Any:
    """Return a copy of a value, if the model could change it."""
    value = with_plain_lists(value)
    return copy.deepcopy(value) if isinstance(value, (list, set, dict)) else value
