"""Users and groups of tsut under the old names, and as rows of a worksheet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from datastoresync.branch import Branch
from datastoresync.errors import ConversionError, ImporterError
from datastoresync.syncers.thoughtspot.principals import FIELDS, KINDS, record_of
from datastoresync.vocabularies.tsut.tree import ThoughtSpotGroup, ThoughtSpotUser


class Visibility:
    """The visibility of a user or a group."""

    DEFAULT = "DEFAULT"
    NON_SHARABLE = "NON_SHARABLE"


def _alias(name: str) -> Any:
    """Return a property that is an alias of a field."""
    return property(lambda self: getattr(self, name), lambda self, value: setattr(self, name, value))


class _Principal:
    """The old names of the common attributes of users and groups."""

    __slots__ = ()

    displayName = _alias("display_name")  # noqa: N815 - the old name
    groupNames = _alias("groups")  # noqa: N815 - the old name
    group_names = _alias("groups")
    principalTypeEnum: str  # noqa: N815 - the old name
    groups: list[str]

    def add_group(self, name: str) -> None:
        """Add a group, once."""
        if name not in self.groups:
            self.groups.append(name)

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(record_of(self, self.principalTypeEnum), ensure_ascii=False)


def _grouped(fields: dict[str, Any], group_names: Iterable[str] | None) -> dict[str, Any]:
    """Return the fields with a copy of the groups, each once, from either argument."""
    given = fields.pop("groups", ()) if group_names is None else group_names
    return {**fields, "groups": list(dict.fromkeys([given] if isinstance(given, str) else given))}


class User(_Principal, ThoughtSpotUser):
    """A user. ``groupNames``, ``group_names`` and ``groups`` are one list, in the order given."""

    principalTypeEnum = KINDS["users"]  # noqa: N815 - the old name

    groups: list[str] = []  # type: ignore[assignment]  # noqa: RUF012 - the old one is a list; each object gets its own
    created: int | str | None = None
    modified: int | str | None = None
    id: str | None = None

    def __init__(
        self,
        name: str,
        mail: str | None = None,
        display_name: str | None = None,
        password: str | None = None,
        group_names: Iterable[str] | None = None,
        visibility: str = Visibility.DEFAULT,
        created: int | str | None = None,
        **fields: Any,
    ) -> None:
        fields |= {"name": name, "mail": mail, "display_name": display_name or "", "password": password}
        fields |= {"visibility": visibility, "created": created}
        self.__attrs_init__(**_grouped(fields, group_names))


class Group(_Principal, ThoughtSpotGroup):
    """A group. ``groupNames``, ``group_names`` and ``groups`` are one list: the groups that it is in."""

    principalTypeEnum = KINDS["groups"]  # noqa: N815 - the old name

    groups: list[str] = []  # type: ignore[assignment]  # noqa: RUF012 - the old one is a list; each object gets its own
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
        created: int | str | None = None,
        **fields: Any,
    ) -> None:
        fields |= {"name": name, "display_name": display_name or "", "description": description}
        fields |= {"visibility": visibility, "created": created}
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
    del row["principalTypeEnum"]
    (item,) = Branch(cls, importer=[row]).load().values()
    return item


SHEET_KINDS = MappingProxyType({"Users": KINDS["users"], "Groups": KINDS["groups"]})
"""The worksheets, with the kinds of their principals."""

_COLUMNS = MappingProxyType(
    {
        "Name": "name",
        "Password": "password",
        "Display Name": "displayName",
        "Email": "mail",
        "Description": "description",
        "Groups": "groupNames",
        "Visibility": "visibility",
        "Created": "created",
        "Modified": "modified",
        "Id": "id",
    }
)


def sheet_rows(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Return users or groups as rows; the groups that each is in are a JSON list in one cell."""
    rows = []
    for item in items:
        record = record_of(item, item.principalTypeEnum)
        record["groupNames"] = json.dumps(record["groupNames"], ensure_ascii=False)
        rows.append({title: record.get(column) for title, column in _COLUMNS.items()})
    return rows


def sheet_records(sheet: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a worksheet as records of ThoughtSpot's own JSON; empty cells are left out.

    Raises:
        ConversionError: if the groups begin like a JSON list, but are not one.
    """
    records = []
    for number, row in enumerate(rows, 2):
        record = {
            _COLUMNS.get(title, title): value for title, value in row.items() if value is not None and value != ""
        }
        groups = record.get("groupNames")
        if isinstance(groups, str) and groups.startswith("["):
            try:
                record["groupNames"] = json.loads(groups)
            except ValueError as error:
                message = f'Groups is not a JSON list such as ["staff", "admins"]: {error}'
                raise ConversionError(message, where=f"row {number} of sheet {sheet!r}", column="Groups") from None
        records.append({**record, "principalTypeEnum": SHEET_KINDS[sheet]})
    return records
