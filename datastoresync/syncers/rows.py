"""The rows of a table in memory, found by the values of some columns while they change."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from datastoresync.syncers.contents import Contents

__all__ = ["Row", "Rows", "loosened"]

Row = dict[str, Any]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII)
_UUID = re.compile(r"(urn:uuid:)?\{?([0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12})\}?")
_MOMENT = re.compile(r"\d{4}-?\d\d|\d\d:\d\d", re.ASCII)
"""What texts begin with that stand for a date, a datetime or a time."""
_TRUTHS = {"true": True, "false": False}
_EXACT = 2**53
"""Up to here a float holds every integer."""
_OVERFLOW = 308
"""Digits behind the first one, of what may be too large for a float."""


class Rows:
    """A copy of a table's records, numbered in their order; a number is never used twice.

    Args:
        contents: What the table holds; it stays as it is.
    """

    def __init__(self, contents: Contents) -> None:
        self.columns = contents.columns
        self.records: dict[int, Row] = dict(enumerate(contents.records))
        self.changed = False
        self._next = len(self.records)
        self._indexes: dict[tuple[str, ...], dict[Hashable, dict[int, None]]] = {}

    def find(self, columns: tuple[str, ...], values: Sequence[Any]) -> list[int]:
        """Return the rows that may have these values: all that do, and some that have alike ones."""
        index = self._indexes.get(columns)
        if index is None:
            index = self._indexes[columns] = {}
            for number, record in self.records.items():
                index.setdefault(_key(columns, record), {})[number] = None
        return list(index.get(tuple(map(loosened, values)), ()))

    def insert(self, record: Row) -> None:
        """Put a row at the end."""
        number, self._next = self._next, self._next + 1
        self._put(number, record)

    def update(self, number: int, values: Row) -> None:
        """Change some columns of a row."""
        record = self.records[number] | values
        self.delete(number)
        self._put(number, record)

    def delete(self, number: int) -> None:
        """Remove a row."""
        record = self.records.pop(number)
        for columns, index in self._indexes.items():
            del index[_key(columns, record)][number]
        self.changed = True

    def contents(self) -> Contents:
        """Return what the table holds now."""
        records = [self.records[number] for number in sorted(self.records)]
        columns = dict.fromkeys((*self.columns, *(column for record in records for column in record)))
        return Contents(tuple(columns), records)

    def _put(self, number: int, record: Row) -> None:
        self.records[number] = record
        for columns, index in self._indexes.items():
            index.setdefault(_key(columns, record), {})[number] = None
        self.changed = True


def _key(columns: Sequence[str], record: Row) -> Hashable:
    return tuple(loosened(record.get(column)) for column in columns)


def loosened(value: Any) -> Hashable:
    """Return something that is equal for all the forms in which stores keep one value.

    >>> loosened(7) == loosened("007") == loosened(Decimal("7.0"))
    True
    >>> loosened("Ann") == loosened(" ann ")
    True
    >>> loosened(0.1) == loosened("0.1") and loosened(True) == loosened("true")
    True
    >>> loosened(datetime(2024, 1, 2)) == loosened("2024-01-02 00:00")
    True
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return _of_text(value.strip().casefold())
    if isinstance(value, (int, float, Decimal)):
        return _of_number(value)
    if isinstance(value, (date, time)):
        return _of_moment(value)
    if isinstance(value, UUID):
        return _of_text(str(value))
    return value if value is None or isinstance(value, bytes) else str(value).casefold()


def _of_text(text: str) -> Hashable:
    if unique := _UUID.fullmatch(text):
        text = unique[2].replace("-", "")
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        was_float = "e" in text and abs(number) >= _EXACT and number.adjusted() < _OVERFLOW
        return _of_number(float(text)) if was_float else number
    if _MOMENT.match(text):
        for kind in (datetime, time):
            with suppress(ValueError):
                return _of_moment(kind.fromisoformat(text.upper()))
    return _TRUTHS.get(text, text)


def _of_number(value: float | Decimal) -> Hashable:
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN
        return str(value).casefold()
    if not isinstance(value, float):
        return value
    return int(value) if abs(value) >= _EXACT else Decimal(repr(float(value)))


def _of_moment(value: date | time) -> Hashable:
    """Return one form for a moment in all time zones; one for a day, for its midnight, and for its eight digits."""
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
