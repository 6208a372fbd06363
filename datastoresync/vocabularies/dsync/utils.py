"""Helpers for lists and nested dictionaries, as diffsync has them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def intersection(lst1: Sequence[V], lst2: Sequence[V]) -> list[V]:
    """Return what is in both, in the order of the first.

    >>> intersection([3, 1, 2], [2, 3])
    [3, 2]
    """
    return [value for value in lst1 if value in lst2]


def symmetric_difference(lst1: Sequence[Any], lst2: Sequence[Any]) -> list[Any]:
    """Return what is in one of both only, sorted.

    >>> symmetric_difference([1, 2], [3, 2])
    [1, 3]
    """
    return sorted(set(lst1) ^ set(lst2))


class OrderedDefaultDict(OrderedDict[K, V]):
    """An ordered dictionary that makes what is missing.

    Args:
        dict_type: Makes a value.
    """

    def __init__(self, dict_type: Callable[[], V] = dict) -> None:  # type: ignore[assignment]  # the values are dictionaries then
        self.factory = dict_type
        super().__init__()

    def __missing__(self, key: K) -> V:
        self[key] = value = self.factory()
        return value


def tree_string(data: Mapping[str, Any], root: str) -> str:
    """Return nested dictionaries as a drawing, a line each.

    >>> print(tree_string({"site": {"device": {}}, "vlan": {}}, "Network"))
    Network
    ├── site
    │   └── device
    └── vlan
    """
    return "\n".join([root, *_tree_lines(data, "")])


def _tree_lines(tree: Mapping[str, Any], margin: str) -> Iterator[str]:
    last = len(tree) - 1
    for index, (name, below) in enumerate(tree.items()):
        yield f"{margin}{'├── ' if index < last else '└── '}{name}"
        if isinstance(below, Mapping):
            yield from _tree_lines(below, margin + ("│   " if index < last else "    "))


def set_key(data: dict[str, Any], keys: Sequence[str]) -> None:
    """Make nested dictionaries along a path of keys, where there are none."""
    for key in keys:
        data = data.setdefault(key, {})


def get_path(nested_dict: Mapping[str, Any], search_value: str) -> list[str] | None:
    """Return the path of keys to a key, or None."""
    for key, below in nested_dict.items():
        if key == search_value:
            return [key]
        path = get_path(below, search_value) if isinstance(below, Mapping) else None
        if path is not None:
            return [key, *path]
    return None
