"""Users and groups of tsut under the old names, and as rows of a worksheet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from datastoresync.branch import Branch
from datastoresync.errors import ImporterError
from datastoresync.syncers.thoughtspot.principals import FIELDS, KINDS, record_of
from datastoresync.vocabularies.tsut.tree import ThoughtSpotGroup, ThoughtSpotUser


class Visibility:
    """The visibility of a user or a group."""

    DEFAULT = "DEFAULT"
    NON_SHARABLE = "NON_SHARABLE"
    NON_SHAREABLE = NON_SHARABLE
    """The older spelling, which files may have too."""


def _alias(name: str) -> Any:
    """Return a property that is an alias of a field."""
    return property(lambda self: getattr(self, name), lambda self, value: setattr(self, name, value))


class _Principal:
    """The old names of the common attributes of users and groups."""

    __slots__ = ()

    displayName = _alias("display_name")  # noqa: N815 - the old name
    groupNames = _alias("groups")  # noqa: N815 - the old name
    group_names = _alias("groups")
    principalTypeEnum: ClassVar[str]  # noqa: N815 - the old name
    groups: list[str]

    def add_group(self, name: str) -> None:
        """Add a group, once."""
        if name not in self.groups:
            self.groups.append(name)

    def to_json(self) -> str:
        """Return it as JSON."""
        return compact_json(record_of(self, self.principalTypeEnum))


def compact_json(value: Any) -> str:
    """Return JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _spelled(visibility: str) -> str:
    """Return a visibility as ThoughtSpot spells it; tsut has spelled it otherwise, in files too."""
    return Visibility.NON_SHARABLE if visibility == "NON_SHAREABLE" else visibility


def _grouped(fields: dict[str, Any], group_names: Iterable[str] | None) -> dict[str, Any]:
    """Return the fields with a copy of the groups, each once, from either argument."""
    given = fields.pop("groups", ()) if group_names is None else group_names
    return {**fields, "groups": list(dict.fromkeys([given] if isinstance(given, str) else given))}


class User(_Principal, ThoughtSpotUser):
    """A user, whose password is the second argument. ``groupNames``, ``group_names`` and ``groups`` are one list."""

    principalTypeEnum = KINDS["users"]  # noqa: N815 - the old name

    groups: list[str] = []  # type: ignore[assignment]  # noqa: RUF012 - the old one is a list; each object gets its own
    created: int | str | None = None
    modified: int | str | None = None
    id: str | None = None

    def __init__(
        self,
        name: str,
        password: str | None = None,
        mail: str | None = None,
        display_name: str | None = None,
        group_names: Iterable[str] | None = None,
        visibility: str = Visibility.DEFAULT,
        created: int | str | None = None,
        id: str | None = None,  # noqa: A002 - the old name
        **fields: Any,
    ) -> None:
        fields |= {"name": name, "mail": mail, "display_name": display_name or "", "password": password}
        fields |= {"visibility": _spelled(visibility), "created": created, "id": id}
        self.__attrs_init__(**_grouped(fields, group_names))


class Group(_Principal, ThoughtSpotGroup):
    """A group. ``groupNames``, ``group_names`` and ``groups`` are one list: the groups that it is in."""

    principalTypeEnum = KINDS["groups"]  # noqa: N815 - the old name

    groups: list[str] = []  # type: ignore[assignment]  # noqa: RUF012 - the old one is a list; each object gets its own
    privileges: list[str] = []  # type: ignore[assignment]  # noqa: RUF012 - as above
    created: int | str | None = None
    modified: int | str | None = None
    id: str | None = None

    def __init__(
        self,
        name: str,
        display_name: str | None = None,
        description: str | None = None,
        group_names: Iterable[str] | None = None,
        visibility: str = Visibility.DEFAULT,
        privileges: Iterable[str] | None = None,
        created: int | str | None = None,
        id: str | None = None,  # noqa: A002 - the old name
        **fields: Any,
    ) -> None:
        fields |= {"name": name, "display_name": display_name or "", "description": description}
        fields |= {
            "visibility": _spelled(visibility),
            "created": created,
            "id": id,
            "privileges": list(privileges or ()),
        }
        self.__attrs_init__(**_grouped(fields, group_names))


def item_of(record: Any) -> Any:
    """Return the user or the group that a record of ThoughtSpot's own JSON describes.

    Raises:
        ImporterError: if it is not one, or has an unknown attribute or a value of another type.
    """
    kind = record.get("principalTypeEnum") if isinstance(record, Mapping) else None
    cls = next((each for each in (User, Group) if each.principalTypeEnum == kind), None)
    if cls is None:
        message = f"a record whose principalTypeEnum is LOCAL_USER or LOCAL_GROUP is needed (got {kind!r})"
        raise ImporterError(message)
    given = {FIELDS.get(column, column): value for column, value in record.items() if value is not None}
    row = {"name": None, **given}
    if "visibility" in row:
        row["visibility"] = _spelled(row["visibility"])
    del row["principalTypeEnum"]
    (item,) = Branch(cls, importer=[row]).load().values()
    return item
