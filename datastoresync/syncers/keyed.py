"""Lists of records, changed by key: what a store does that can only write whole tables."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import attrs

from datastoresync.errors import SyncerError
from datastoresync.syncers.contents import Contents
from datastoresync.syncers.names import nearest

__all__ = ["Keys", "deleted", "updated", "upserted"]

_Key = tuple[Hashable, ...]


def _columns(key: str | Sequence[str]) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)


@attrs.frozen(eq=False)
class Keys:
    """How the records of a table are told apart.

    Args:
        columns: The columns that the key is made of; one text stands for one.
        table: The table's name, for messages.
        normalized: Gives what a value is once it is stored, so that keys are compared as the store keeps them.

    Raises:
        SyncerError: There are no columns.
    """

    columns: tuple[str, ...] = attrs.field(converter=_columns)
    table: str
    normalized: Callable[[Any], Any]

    def __attrs_post_init__(self) -> None:
        if not self.columns:
            message = "a key has at least one column: name those that tell records apart"
            raise SyncerError(message)

    def index(self, contents: Contents, whose: str) -> dict[_Key, int]:
        """Return where each key stands among the records.

        Args:
            contents: The records.
            whose: What they are called in messages: ``stored``, ``given``.

        Raises:
            SyncerError: A record lacks a column of the key, or has None or NaN in it, or two have the same.
        """
        places: dict[_Key, int] = {}
        for place, record in enumerate(contents.records):
            key = self._of(record, f"{whose} record {place + 1} of table {self.table!r}")
            if key in places:
                message = (
                    f"{whose} records {places[key] + 1} and {place + 1} of table {self.table!r} have the same key, "
                    f"{self.shown(record)}: leave one out"
                )
                raise SyncerError(message)
            places[key] = place
        return places

    def shown(self, record: dict[str, Any]) -> str:
        """Return the key of a record as a message names it."""
        return ", ".join(f"{column}={record[column]!r}" for column in self.columns)

    def _of(self, record: dict[str, Any], where: str) -> _Key:
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


def upserted(stored: Contents, given: Contents, keys: Keys) -> Contents:
    """Return the stored records with the given ones put in: over the one with the same key, or at the end.

    A column that a given record lacks keeps its stored value.

    Raises:
        SyncerError: A key is missing, or stands in two records.
    """
    places, new = keys.index(stored, "stored"), keys.index(given, "given")
    records = list(stored.records)
    for key, place in new.items():
        record = given.records[place]
        if key in places:
            records[places[key]] = records[places[key]] | _without(record, keys.columns)
        else:
            records.append(record)
    return Contents(stored.extended(given).columns, records)


def updated(stored: Contents, given: Contents, keys: Keys) -> Contents:
    """Return the stored records with the given columns changed.

    Raises:
        SyncerError: A key or a column is not there, or a key stands in two records.
    """
    places, new = keys.index(stored, "stored"), keys.index(given, "given")
    for key, place in new.items():
        if key not in places:
            message = f"table {keys.table!r} has no record {keys.shown(given.records[place])} to update"
            raise SyncerError(message)
    if unknown := [column for column in given.columns if column not in stored.columns]:
        message = f"table {keys.table!r} has no column {unknown[0]!r}: {nearest(unknown[0], stored.columns)}"
        raise SyncerError(message)
    records = list(stored.records)
    for key, place in new.items():
        records[places[key]] = records[places[key]] | _without(given.records[place], keys.columns)
    return Contents(stored.columns, records)


def deleted(stored: Contents, given: Contents, keys: Keys) -> Contents:
    """Return the stored records without those whose keys are given; a key that is not there is no error.

    Raises:
        SyncerError: A key is missing, or stands in two records.
    """
    places, old = keys.index(stored, "stored"), keys.index(given, "given")
    gone = {place for key, place in places.items() if key in old}
    return Contents(stored.columns, [record for place, record in enumerate(stored.records) if place not in gone])


def _without(record: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {column: value for column, value in record.items() if column not in columns}
