"""Records that are written into a table in memory by key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import attrs

from datastoresync.errors import SyncerError
from datastoresync.spelling import nearest
from datastoresync.syncers.row_index import TableContents

_Key = tuple[Hashable, ...]


def _columns(key: str | Sequence[str]) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)


@attrs.frozen(eq=False)
class RecordKeys:
    """The key of the records of a table.

    Args:
        columns: The columns of the key; a text is one column.
        table: The name of the table, for messages.
        normalized: Returns a value as the store keeps it, so that keys are compared in that form.

    Raises:
        SyncerError: There are no columns.
    """

    columns: tuple[str, ...] = attrs.field(converter=_columns)
    table: str
    normalized: Callable[[Any], Any]

    def __attrs_post_init__(self) -> None:
        if not self.columns:
            message = "a key has at least one column: name those that identify a record"
            raise SyncerError(message)

    def index(self, contents: TableContents, kind: str) -> dict[_Key, int]:
        """Return the index of each key among the records.

        Args:
            contents: The records.
            kind: ``stored`` or ``given``, for messages.

        Raises:
            SyncerError: A record lacks a column of the key, or has None or NaN in it, or two have the same.
        """
        indexes: dict[_Key, int] = {}
        for index, record in enumerate(contents.records):
            key = self._key(record, f"{kind} record {index + 1} of table {self.table!r}")
            if key in indexes:
                message = (
                    f"{kind} records {indexes[key] + 1} and {index + 1} of table {self.table!r} have the same key, "
                    f"{self.description(record)}: leave one out"
                )
                raise SyncerError(message)
            indexes[key] = index
        return indexes

    def description(self, record: dict[str, Any]) -> str:
        """Return the key of a record, for messages."""
        return ", ".join(f"{column}={record[column]!r}" for column in self.columns)

    def _key(self, record: dict[str, Any], where: str) -> _Key:
        key = []
        for column in self.columns:
            if column not in record:
                message = f"{where} has no column {column!r}, which is part of the key: {nearest(column, record)}"
                raise SyncerError(message)
            value = self.normalized(record[column])
            if record[column] is None or value is None or value != value:  # noqa: PLR0124 - NaN is not equal to itself
                message = f"{where} has no value in {column!r}, which is part of the key: give it one"
                raise SyncerError(message)
            if not isinstance(value, Hashable):
                message = f"{where} has a {type(value).__name__} in {column!r}, which cannot be part of a key"
                raise SyncerError(message)
            key.append((bool, value) if isinstance(value, bool) else value)  # True == 1, but is another key
        return tuple(key)


def upsert_records(
    stored: TableContents, given: TableContents, keys: RecordKeys, *, insert: bool = True
) -> TableContents:
    """Return the stored records, updated by the given ones of the same keys; the others are appended.

    A column that a given record lacks keeps its stored value.

    Args:
        stored: The contents of the table.
        given: The records to write.
        keys: How records are matched.
        insert: Whether new keys and new columns are added; if not, they are errors.

    Raises:
        SyncerError: A key is missing, or is that of two records; without ``insert``, a key or column is new.
    """
    stored_keys, given_keys = keys.index(stored, "stored"), keys.index(given, "given")
    if not insert:
        _check_update(stored, given, keys, [index for key, index in given_keys.items() if key not in stored_keys])
    records = list(stored.records)
    for key, index in given_keys.items():
        record = given.records[index]
        if key in stored_keys:
            old = records[stored_keys[key]]
            records[stored_keys[key]] = old | {name: record[name] for name in record if name not in keys.columns}
        else:
            records.append(record)
    return TableContents(stored.extended(given).columns, records)


def _check_update(stored: TableContents, given: TableContents, keys: RecordKeys, new: list[int]) -> None:
    if new:
        message = f"table {keys.table!r} has no record {keys.description(given.records[new[0]])} to update"
        raise SyncerError(message)
    if unknown := [column for column in given.columns if column not in stored.columns]:
        message = f"table {keys.table!r} has no column {unknown[0]!r}: {nearest(unknown[0], stored.columns)}"
        raise SyncerError(message)


def delete_records(stored: TableContents, given: TableContents, keys: RecordKeys) -> TableContents:
    """Return the stored records without those of the given keys; a key that is not stored is no error.

    Raises:
        SyncerError: A key is missing, or is that of two records.
    """
    stored_keys, given_keys = keys.index(stored, "stored"), keys.index(given, "given")
    deleted = {index for key, index in stored_keys.items() if key in given_keys}
    kept = [record for index, record in enumerate(stored.records) if index not in deleted]
    return TableContents(stored.columns, kept)
