"""The records of a table in memory, and their index, in which a value is found in any form that a store gives it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import attrs

from datastoresync.errors import SyncerError


@attrs.define(eq=False, repr=False)
class TableContents:
    """The records of a table and its columns, in order.

    Args:
        columns: The names of the columns; a table without records keeps them.
        records: By column; a record may lack some.
    """

    columns: tuple[str, ...] = ()
    records: list[dict[str, Any]] = attrs.field(factory=list)

    @classmethod
    def of(cls, data: Iterable[Mapping[str, Any]], table: str) -> TableContents:
        """Return a copy of records, with their columns in the order in which they first appear.

        Raises:
            SyncerError: A record is not a mapping, or the name of a column is not a text.
        """
        records: list[dict[str, Any]] = []
        for number, record in enumerate(data, 1):
            if not isinstance(record, Mapping):
                message = f"record {number} for table {table!r} is {type(record).__name__}: it must be a mapping"
                raise SyncerError(message)
            records.append(dict(record))
        columns = tuple(dict.fromkeys(column for record in records for column in record))
        if wrong := [column for column in columns if not isinstance(column, str)]:
            kind = type(wrong[0]).__name__
            message = f"a record for table {table!r} has a column whose name is {kind}: names are str"
            raise SyncerError(message)
        return cls(columns, records)

    def extended(self, other: TableContents) -> TableContents:
        """Return the records of both, these first."""
        return TableContents(tuple(dict.fromkeys((*self.columns, *other.columns))), [*self.records, *other.records])


Row = dict[str, Any]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII)
_UUID = re.compile(r"(urn:uuid:)?\{?([0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12})\}?")
_MOMENT = re.compile(r"\d{4}-?\d\d|\d\d:\d\d", re.ASCII)
"""The beginning of a text that may be a date, a datetime or a time."""
_TRUTHS = {"true": True, "false": False}
_EXACT = 2**53
"""A float holds every integer up to this one."""
_OVERFLOW = 308
"""The exponent from which on a number may be too large for a float."""


class RowIndex:
    """A copy of a table's records, numbered in order; a number is never used twice.

    Args:
        contents: The contents of the table, which are not changed.
    """

    def __init__(self, contents: TableContents) -> None:
        self.columns = contents.columns
        self.records: dict[int, Row] = dict(enumerate(contents.records))
        self.written: set[int] = set()
        """The rows that were inserted or updated."""
        self.changed = False
        self._next = self.first_new = len(self.records)
        self._indexes: dict[tuple[str, ...], dict[Hashable, dict[int, None]]] = {}

    def find(self, columns: tuple[str, ...], values: Sequence[Any]) -> list[int]:
        """Return the rows whose values have the same lookup keys: all with these values, and some with similar ones."""
        index = self._indexes.get(columns)
        if index is None:
            index = self._indexes[columns] = {}
            for number, record in self.records.items():
                index.setdefault(_lookup_keys(columns, record), {})[number] = None
        return list(index.get(tuple(map(lookup_key, values)), ()))

    def insert(self, record: Row) -> None:
        """Append a row."""
        number, self._next = self._next, self._next + 1
        self._put(number, record)

    def update(self, number: int, values: Row) -> None:
        """Change some columns of a row."""
        record = self.records[number] | values
        self.delete(number)
        self._put(number, record)

    def delete(self, number: int) -> None:
        """Delete a row."""
        record = self.records.pop(number)
        self.written.discard(number)
        for columns, index in self._indexes.items():
            del index[_lookup_keys(columns, record)][number]
        self.changed = True

    def contents(self) -> TableContents:
        """Return the current contents of the table."""
        records = [self.records[number] for number in sorted(self.records)]
        columns = dict.fromkeys((*self.columns, *(column for record in records for column in record)))
        return TableContents(tuple(columns), records)

    def _put(self, number: int, record: Row) -> None:
        self.records[number] = record
        self.written.add(number)
        for columns, index in self._indexes.items():
            index.setdefault(_lookup_keys(columns, record), {})[number] = None
        self.changed = True


def _lookup_keys(columns: Sequence[str], record: Row) -> Hashable:
    return tuple(lookup_key(record.get(column)) for column in columns)


def lookup_key(value: Any) -> Hashable:
    """Return a key that is equal for all forms in which stores keep one value.

    >>> lookup_key(7) == lookup_key("007") == lookup_key(Decimal("7.0"))
    True
    >>> lookup_key("Ann") == lookup_key(" ann ")
    True
    >>> lookup_key(0.1) == lookup_key("0.1") and lookup_key(True) == lookup_key("true")
    True
    >>> lookup_key(datetime(2024, 1, 2)) == lookup_key("2024-01-02 00:00")
    True
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return _key_of_text(value.strip().casefold())
    if isinstance(value, (int, float, Decimal)):
        return _key_of_number(value)
    if isinstance(value, (date, time)):
        return _key_of_moment(value)
    if isinstance(value, UUID):
        return _key_of_text(str(value))
    return value if value is None or isinstance(value, bytes) else str(value).casefold()


def _key_of_text(text: str) -> Hashable:
    if unique := _UUID.fullmatch(text):
        text = unique[2].replace("-", "")
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        was_float = "e" in text and abs(number) >= _EXACT and number.adjusted() < _OVERFLOW
        return _key_of_number(float(text)) if was_float else number
    if _MOMENT.match(text):
        for kind in (datetime, time):
            with suppress(ValueError):
                return _key_of_moment(kind.fromisoformat(text.upper()))
    return _TRUTHS.get(text, text)


def _key_of_number(value: float | Decimal) -> Hashable:
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN
        return str(value).casefold()
    if not isinstance(value, float):
        return value
    return int(value) if abs(value) >= _EXACT else Decimal(repr(float(value)))


def _key_of_moment(value: date | time) -> Hashable:
    """Return one key for a moment in all time zones, and one for a day, its midnight and its eight digits."""
    if isinstance(value, time):
        return value.isoformat()
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day has no time zone
    if value.tzinfo is not None:
        with suppress(OverflowError):
            value = value.astimezone(UTC)
        value = value.replace(tzinfo=None)
    if value.time() == time():
        return value.year * 10000 + value.month * 100 + value.day
    return value.replace(fold=0).isoformat()
