"""Users and groups as rows of a worksheet, under the titles that tsut gives to columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from datastoresync.errors import ConversionError
from datastoresync.vocabularies.tsut.principal import record_of

__all__ = ["SHEETS", "records_of", "rows_of"]

SHEETS = MappingProxyType({"Users": "LOCAL_USER", "Groups": "LOCAL_GROUP"})
"""The worksheets, and what is in them."""

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


def rows_of(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Return users or groups as rows; the groups that each is in are a JSON list in one cell."""
    rows = []
    for item in items:
        record = record_of(item)
        record["groupNames"] = json.dumps(record["groupNames"], ensure_ascii=False)
        rows.append({title: record.get(column) for title, column in _COLUMNS.items()})
    return rows


def records_of(sheet: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a worksheet as records of ThoughtSpot's own JSON; empty cells are left out.

    Raises:
        ConversionError: if the groups begin like a JSON list, and are none.
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
                message = f'Groups is no JSON list, such as ["staff", "admins"]: {error}'
                raise ConversionError(message, where=f"row {number} of sheet {sheet!r}", column="Groups") from None
        records.append({**record, "principalTypeEnum": SHEETS[sheet]})
    return records
