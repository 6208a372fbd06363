"""Users and groups as records of ThoughtSpot's own JSON, in which both are principals."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": "name",
        "displayName": "display_name",
        "description": "description",
        "mail": "mail",
        "password": "password",
        "groupNames": "groups",
        "privileges": "privileges",
        "visibility": "visibility",
        "created": "created",
        "modified": "modified",
        "id": "id",
    }
)
"""The attributes of users and groups, by their names in ThoughtSpot's own JSON."""

KINDS: Final[Mapping[str, str]] = MappingProxyType({"users": "LOCAL_USER", "groups": "LOCAL_GROUP"})
"""The values of ``principalTypeEnum``."""

_SENT = ("name", "displayName", "description", "mail", "password", "groupNames", "visibility")


def caseless(name: str) -> str:
    """Return a name as ThoughtSpot compares it, to which ``Bob`` and ``bob`` are equal."""
    return name.lower()


def record_of(item: Any, kind: str) -> dict[str, Any]:
    """Return a user or a group as a record; attributes that are None are left out."""
    values = {column: getattr(item, field, None) for column, field in FIELDS.items()}
    return {"principalTypeEnum": kind} | {column: value for column, value in values.items() if value is not None}


def principal_of(item: Any, kind: str) -> dict[str, Any]:
    """Return a user or a group as the user-sync call takes it: with a display name, and each group once."""
    record = {name: value for name, value in record_of(item, kind).items() if name in ("principalTypeEnum", *_SENT)}
    return record | {"displayName": item.display_name or item.name, "groupNames": sorted(set(item.groups))}


def branch_of(principal: Mapping[str, Any]) -> str:
    """Return the name of the branch that a principal belongs to: ``users`` or ``groups``."""
    return "users" if principal["principalTypeEnum"] == KINDS["users"] else "groups"
