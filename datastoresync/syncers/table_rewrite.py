"""Changes applied to whole tables in memory, for stores that only write whole tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import attrs

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Change, Link, Outcome, Same
from datastoresync.syncers.names import nearest


@attrs.define(eq=False)
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
        self.changed = False
        self._next = len(self.records)
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


_DONE = Outcome("done")
_DELETED = Outcome("conflict", "no longer there: it was deleted since the import")
_AMBIGUOUS = Outcome("conflict", "its key is that of more than one row, so none of them was changed")
_UNDONE = Outcome("undone", "nothing was written, because of a change that failed")
_LINKS = ("link", "unlink")


def table_names(changes: Iterable[Change]) -> list[str]:
    """Return the names of the tables and link tables of changes, each once."""
    tables = {id(change.table): change.table for change in changes}.values()
    links = (link.table for table in tables for link in table.links.values())
    return list(dict.fromkeys([*(table.name for table in tables), *links]))


def apply_to_tables(
    changes: Sequence[Change],
    *,
    same: Same,
    load: Callable[[str], TableContents],
    normalized: Callable[[Any], Any],
    fixed: bool,
) -> tuple[list[Outcome], dict[str, TableContents]]:
    """Apply changes to copies of tables; return the outcomes, and the changed tables.

    Conflicts are those of `SQLSyncer.apply_changes`. A value that the store refuses makes its change ``failed`` and all
    others ``undone``; then no table is changed.

    Args:
        changes: Applied in their order, the updates of one object together.
        same: Compares a stored value with an expected one.
        load: Returns the contents of a table, which are not changed; called once for each table.
        normalized: Returns a value as the store keeps it; raises `SyncerError` for one that the store refuses.
        fixed: Whether a table that has columns cannot get others.

    Raises:
        SyncerError: A column does not exist.
    """
    for table in {id(change.table): change.table for change in changes}.values():
        table.check_unreferenced("a store without foreign keys")
    tables = {name: RowIndex(load(name)) for name in table_names(changes)}
    if fixed:
        _check_columns(changes, tables)
    writer = _Writer(tables, same, normalized)
    outcomes = [_UNDONE] * len(changes)
    for unit in _units(changes):
        try:
            outcome = writer.write([changes[position] for position in unit])
        except SyncerError as error:
            outcomes = [_UNDONE] * len(changes)
            for position in unit:
                outcomes[position] = Outcome("failed", str(error))
            return outcomes, {}
        for position in unit:
            outcomes[position] = outcome
    return outcomes, {name: rows.contents() for name, rows in tables.items() if rows.changed}


def _check_columns(changes: Sequence[Change], tables: Mapping[str, RowIndex]) -> None:
    needed: dict[tuple[str, str], None] = {}
    for change in changes:
        attributes = (*change.identifiers, *change.values, *change.expected)
        needed |= {
            (change.table.name, change.table.column(name)): None for name in attributes if not _is_link(change, name)
        }
        for link in change.table.links.values():
            needed |= {(link.table, column): None for column in link.columns}
    for name, column in needed:
        columns = tables[name].columns
        if columns and column not in columns:
            message = f"table {name!r} has no column {column!r}: {nearest(column, columns)}"
            raise SyncerError(message)


def _is_link(change: Change, attribute: str) -> bool:
    return attribute in change.table.links


def _units(changes: Sequence[Change]) -> list[list[int]]:
    """Group the updates of one object, as positions, at the position of the first.

    Updates between which the object is created or deleted, or that change one attribute twice, are not grouped.
    """
    units: list[list[int]] = []
    merging: dict[tuple[str, tuple[Any, ...]], tuple[list[int], set[str]]] = {}
    for position, change in enumerate(changes):
        target = (change.table.name, change.key)
        earlier = merging.get(target)
        if change.verb == "update":
            if earlier is not None and earlier[1].isdisjoint(change.values):
                earlier[0].append(position)
                earlier[1].update(change.values)
                continue
            merging[target] = ([position], set(change.values))
            units.append(merging[target][0])
            continue
        if earlier is not None and change.verb in _LINKS:
            earlier[1].update(change.values)
        elif earlier is not None:
            del merging[target]
        units.append([position])
    return units


@attrs.frozen(eq=False)
class _Writer:
    """Compares each change with the current row, and applies those without a conflict."""

    tables: Mapping[str, RowIndex]
    same: Same
    normalized: Callable[[Any], Any]

    def write(self, changes: list[Change]) -> Outcome:
        """Apply a change, or the updates of one object."""
        change = changes[0]
        if change.verb in _LINKS:
            return self._link(change)
        numbers = self._rows(change)
        if len(numbers) > 1:
            return _AMBIGUOUS
        if change.verb == "insert":
            return self._check_existing(change, numbers[0]) if numbers else self._insert(change)
        if not numbers:
            return _DONE if change.verb == "delete" else _DELETED
        return self._delete(change, numbers[0]) if change.verb == "delete" else self._update(changes, numbers[0])

    def _insert(self, change: Change) -> Outcome:
        values = dict(zip(change.identifiers, change.key, strict=True)) | dict(change.values)
        self.tables[change.table.name].insert(self._stored(change, values))
        for attribute, link in change.table.links.items():
            self._add_members(change, attribute, link, values.get(attribute))
        return _DONE

    def _check_existing(self, change: Change, number: int) -> Outcome:
        differing = self._differing(change, number, change.values)
        if not differing:
            return _DONE
        return Outcome("conflict", f"already there since the import, and different in {', '.join(differing)}")

    def _update(self, changes: list[Change], number: int) -> Outcome:
        updates: list[tuple[Change, dict[str, Any]]] = []
        changed: list[str] = []
        for change in changes:
            values = {name: change.values[name] for name in self._differing(change, number, change.values)}
            expected = {name: change.expected[name] for name in values if name in change.expected}
            changed += self._differing(change, number, expected)
            updates.append((change, values))
        if changed:
            return _conflict(changed)
        for change, values in updates:
            if stored := self._stored(change, values):
                self.tables[change.table.name].update(number, stored)
            for attribute in change.table.links.keys() & values.keys():
                link, members = change.table.links[attribute], values[attribute]
                for row, raw in self._members(change, link).items():
                    if not any(self._is_member(change, attribute, raw, member) for member in members or ()):
                        self.tables[link.table].delete(row)
                self._add_members(change, attribute, link, members)
        return _DONE

    def _delete(self, change: Change, number: int) -> Outcome:
        if differing := self._differing(change, number, change.expected):
            return _conflict(differing)
        for link in change.table.links.values():
            for row in self._members(change, link):
                self.tables[link.table].delete(row)
        self.tables[change.table.name].delete(number)
        return _DONE

    def _link(self, change: Change) -> Outcome:
        attribute, member = next(iter(change.values.items()), ("", None))
        if len(change.values) != 1 or attribute not in change.table.links:
            message = (
                f"a {change.verb} in table {change.table.name!r} names {', '.join(change.values) or 'nothing'}, which "
                "is not one attribute with a link table: declare it in Table(links=...)"
            )
            raise SyncerError(message)
        link = change.table.links[attribute]
        if change.verb == "unlink":
            for row in self._member_rows(change, attribute, link, member):
                self.tables[link.table].delete(row)
            return _DONE
        if not self._rows(change):
            return _DELETED
        self._add_members(change, attribute, link, [member])
        return _DONE

    # Reading.

    def _rows(self, change: Change) -> list[int]:
        """Return the rows of the object."""
        return self._matches(change, change.table.name, tuple(map(change.table.column, change.identifiers)))

    def _matches(self, change: Change, table: str, columns: tuple[str, ...], *members: Any) -> list[int]:
        """Return the rows of a table whose columns equal the key; of a link table with a member, perhaps more."""
        rows = self.tables[table]
        parts = list(zip(columns, change.identifiers, change.key, strict=False))
        return [
            number
            for number in rows.find(columns, (*change.key, *members))
            if all(self._equal(change, name, rows.records[number].get(column), value) for column, name, value in parts)
        ]

    def _members(self, change: Change, link: Link) -> dict[int, Any]:
        """Return the stored members of the object, by row."""
        records = self.tables[link.table].records
        column = link.member_column
        return {number: records[number].get(column) for number in self._matches(change, link.table, link.owners)}

    def _member_rows(self, change: Change, attribute: str, link: Link, member: Any) -> list[int]:
        """Return the rows that hold a member of the object."""
        records = self.tables[link.table].records
        matches = self._matches(change, link.table, link.columns, member)
        column = link.member_column
        return [row for row in matches if self._is_member(change, attribute, records[row].get(column), member)]

    def _differing(self, change: Change, number: int, values: Mapping[str, Any]) -> list[str]:
        """Return the attributes that differ from their values."""
        return [
            name
            for name, value in values.items()
            if not self.same(change, name, self._raw(change, number, name), value)
        ]

    def _raw(self, change: Change, number: int, attribute: str) -> Any:
        link = change.table.links.get(attribute)
        if link is not None:
            return set(self._members(change, link).values())
        return self.tables[change.table.name].records[number].get(change.table.column(attribute))

    def _equal(self, change: Change, attribute: str, raw: Any, value: Any) -> bool:
        return bool(raw == self.normalized(value)) or self.same(change, attribute, raw, value)

    def _is_member(self, change: Change, attribute: str, raw: Any, member: Any) -> bool:
        if raw == self.normalized(member):
            return True
        return lookup_key(raw) == lookup_key(member) and self.same(change, attribute, {raw}, {member})

    # Writing.

    def _stored(self, change: Change, values: Mapping[str, Any]) -> Row:
        """Return a row of the values that are not in link tables, as the store keeps them."""
        row: Row = {}
        for attribute, value in values.items():
            if not _is_link(change, attribute):
                try:
                    row[change.table.column(attribute)] = self.normalized(value)
                except SyncerError as error:
                    message = f"column {change.table.column(attribute)!r}: {error}"
                    raise SyncerError(message) from error
        return row

    def _add_members(self, change: Change, attribute: str, link: Link, members: Iterable[Any] | None) -> None:
        owner = {column: self.normalized(value) for column, value in zip(link.owners, change.key, strict=True)}
        for member in members or ():
            if not self._member_rows(change, attribute, link, member):
                self.tables[link.table].insert(owner | {link.member_column: self.normalized(member)})


def _conflict(attributes: Iterable[str]) -> Outcome:
    return Outcome("conflict", f"changed since the import: {', '.join(attributes)}")


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
