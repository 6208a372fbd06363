"""The values of a model as copies, text and JSON; lists compared member by member."""

from __future__ import annotations

import base64
import copy
import datetime
import enum
import json
from collections import UserList
from typing import Any

from datastoresync.diffing.equality import equal


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


def copied(value: Any) -> Any:
    """Return a value that does not change when the model does."""
    value = plain(value)
    return copy.deepcopy(value) if isinstance(value, (list, set, dict)) else value


def as_json(held: dict[str, Any]) -> str:
    """Return what a model holds as JSON."""
    return json.dumps(held, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Return what stands in JSON for a value that has no JSON of its own: its members, or its text."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda member: (type(member).__name__, str(member)))
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return str(value)
