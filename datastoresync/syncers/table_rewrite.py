"""Changes applied to whole tables in memory, for stores that can only write a table as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import attrs

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Change, Link, Outcome, Same, Table
from datastoresync.syncers.names import nearest


@attrs.define(eq=False)
class TableContents:
    """Records, and the columns that they have or may have, in order.

    Args:
        columns: The names; a table without any records keeps them.
        records: By column; one may lack some.
    """

    columns: tuple[str, ...] = ()
    records: list[dict[str, Any]] = attrs.field(factory=list)

    @classmethod
    def of(cls, data: Iterable[Mapping[str, Any]], table: str) -> TableContents:
        """Return a copy of some records; their columns are in the order in which they first appear.

        Raises:
            SyncerError: One is no mapping, or a column's name is no text.
        """
        records: list[dict[str, Any]] = []
        for number, record in enumerate(data, 1):
            if not isinstance(record, Mapping):
                message = f"record {number} for table {table!r} is {type(record).__name__}: it must be a mapping"
                raise SyncerError(message)
            records.append(dict(record))
        columns = tuple(dict.fromkeys(column for record in records for column in record))
        if odd := [column for column in columns if not isinstance(column, str)]:
            kind = type(odd[0]).__name__
            message = f"a record for table {table!r} has a column whose name is {kind}: names are str"
            raise SyncerError(message)
        return cls(columns, records)

    def extended(self, other: TableContents) -> TableContents:
        """Return the records of both, this one's first."""
        return TableContents(tuple(dict.fromkeys((*self.columns, *other.columns))), [*self.records, *other.records])


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


class RowIndex:
    """A copy of a table's records, numbered in their order; a number is never used twice.

    Args:
        contents: What the table holds; it stays as it is.
    """

    def __init__(self, contents: TableContents) -> None:
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

    def contents(self) -> TableContents:
        """Return what the table holds now."""
        records = [self.records[number] for number in sorted(self.records)]
        columns = dict.fromkeys((*self.columns, *(column for record in records for column in record)))
        return TableContents(tuple(columns), records)

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


_DONE = Outcome("done")
_GONE = Outcome("conflict", "no longer there: it was deleted since the import")
_SEVERAL = Outcome("conflict", "its key stands in more than one row, so none of them was touched")
_UNDONE = Outcome("undone", "nothing was written, because of a change that failed")
_LINKS = ("link", "unlink")


def names_of_tables(changes: Iterable[Change]) -> list[str]:
    """Return the tables that changes touch, each once: those of the objects, and their link tables."""
    tables = {id(change.table): change.table for change in changes}.values()
    return list(dict.fromkeys(name for table in tables for name in (table.name, *_link_tables(table))))


def _link_tables(table: Table) -> Iterator[str]:
    return (link.table for link in table.links.values())


def rewritten(
    changes: Sequence[Change],
    *,
    same: Same,
    load: Callable[[str], TableContents],
    normalized: Callable[[Any], Any],
    fixed: bool,
) -> tuple[list[Outcome], dict[str, TableContents]]:
    """Apply changes to copies of tables; return the outcomes, and the tables that changed.

    Conflicts are those of `SQLSyncer.apply_changes`. A value that the store refuses makes its change ``failed``, all
    others ``undone``, and no table change.

    Args:
        changes: Carried out in their order, the updates of one object together.
        same: Compares a stored value with an expected one.
        load: Gives the contents of a table, which are not changed; it is asked once for each.
        normalized: Gives what a value is once it is stored; raises `SyncerError` for one that the store refuses.
        fixed: Whether a table that has columns can have no others.

    Raises:
        SyncerError: A column is not there.
    """
    tables = {name: RowIndex(load(name)) for name in names_of_tables(changes)}
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
    wanted: dict[tuple[str, str], None] = {}
    for change in changes:
        attributes = (*change.identifiers, *change.values, *change.expected)
        wanted |= {
            (change.table.name, change.table.column(name)): None for name in attributes if not _is_link(change, name)
        }
        for link in change.table.links.values():
            wanted |= {(link.table, column): None for column in (*link.owners, link.member)}
    for name, column in wanted:
        columns = tables[name].columns
        if columns and column not in columns:
            message = f"table {name!r} has no column {column!r}: {nearest(column, columns)}"
            raise SyncerError(message)


def _is_link(change: Change, attribute: str) -> bool:
    return attribute in change.table.links


def _units(changes: Sequence[Change]) -> list[list[int]]:
    """Put the updates of one object together, as positions, at the place of the first.

    They are apart if the object is made or removed between them, or if they touch an attribute twice.
    """
    found: list[list[int]] = []
    merging: dict[tuple[str, tuple[Any, ...]], tuple[list[int], set[str]]] = {}
    for position, change in enumerate(changes):
        place = (change.table.name, change.key)
        earlier = merging.get(place)
        if change.verb == "update":
            if earlier is not None and earlier[1].isdisjoint(change.values):
                earlier[0].append(position)
                earlier[1].update(change.values)
                continue
            merging[place] = ([position], set(change.values))
            found.append(merging[place][0])
            continue
        if earlier is not None and change.verb in _LINKS:
            earlier[1].update(change.values)
        elif earlier is not None:
            del merging[place]
        found.append([position])
    return found


@attrs.frozen(eq=False)
class _Writer:
    """Decides about each change by what its row holds now, and carries out what has no conflict."""

    tables: Mapping[str, RowIndex]
    same: Same
    normalized: Callable[[Any], Any]

    def write(self, changes: list[Change]) -> Outcome:
        """Carry out a change, or the updates of one object."""
        change = changes[0]
        if change.verb in _LINKS:
            return self._link(change)
        numbers = self._rows(change)
        if len(numbers) > 1:
            return _SEVERAL
        if change.verb == "insert":
            return self._already_there(change, numbers[0]) if numbers else self._insert(change)
        if not numbers:
            return _DONE if change.verb == "delete" else _GONE
        return self._delete(change, numbers[0]) if change.verb == "delete" else self._update(changes, numbers[0])

    def _insert(self, change: Change) -> Outcome:
        values = dict(zip(change.identifiers, change.key, strict=True)) | dict(change.values)
        self.tables[change.table.name].insert(self._stored(change, values))
        for attribute, link in change.table.links.items():
            self._add_members(change, attribute, link, values.get(attribute))
        return _DONE

    def _already_there(self, change: Change, number: int) -> Outcome:
        different = self._different(change, number, change.values)
        if not different:
            return _DONE
        return Outcome("conflict", f"already there since the import, and different in {', '.join(different)}")

    def _update(self, changes: list[Change], number: int) -> Outcome:
        wanted: list[tuple[Change, dict[str, Any]]] = []
        changed: list[str] = []
        for change in changes:
            values = {name: change.values[name] for name in self._different(change, number, change.values)}
            expected = {name: change.expected[name] for name in values if name in change.expected}
            changed += self._different(change, number, expected)
            wanted.append((change, values))
        if changed:
            return _changed(changed)
        for change, values in wanted:
            if stored := self._stored(change, values):
                self.tables[change.table.name].update(number, stored)
            for attribute in change.table.links.keys() & values.keys():
                link, members = change.table.links[attribute], values[attribute]
                for place, raw in self._members(change, link).items():
                    if not any(self._is_member(change, attribute, raw, member) for member in members or ()):
                        self.tables[link.table].delete(place)
                self._add_members(change, attribute, link, members)
        return _DONE

    def _delete(self, change: Change, number: int) -> Outcome:
        if different := self._different(change, number, change.expected):
            return _changed(different)
        for link in change.table.links.values():
            for place in self._members(change, link):
                self.tables[link.table].delete(place)
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
            for place in self._places(change, attribute, link, member):
                self.tables[link.table].delete(place)
            return _DONE
        if not self._rows(change):
            return _GONE
        self._add_members(change, attribute, link, [member])
        return _DONE

    # What is there.

    def _rows(self, change: Change) -> list[int]:
        """Return the rows of the object."""
        columns = tuple(map(change.table.column, change.identifiers))
        return self._found(change, self.tables[change.table.name], columns)

    def _found(self, change: Change, rows: RowIndex, columns: tuple[str, ...]) -> list[int]:
        keys = list(zip(columns, change.identifiers, change.key, strict=True))
        return [
            number
            for number in rows.find(columns, change.key)
            if all(self._equal(change, name, rows.records[number].get(column), value) for column, name, value in keys)
        ]

    def _members(self, change: Change, link: Link) -> dict[int, Any]:
        """Return the members of the object as they are stored, by row."""
        rows = self.tables[link.table]
        return {number: rows.records[number].get(link.member) for number in self._found(change, rows, link.owners)}

    def _places(self, change: Change, attribute: str, link: Link, member: Any) -> list[int]:
        """Return the rows in which a member is the object's."""
        rows, columns = self.tables[link.table], (*link.owners, link.member)
        owners = list(zip(link.owners, change.identifiers, change.key, strict=True))
        return [
            number
            for number in rows.find(columns, (*change.key, member))
            if all(self._equal(change, name, rows.records[number].get(column), value) for column, name, value in owners)
            and self._is_member(change, attribute, rows.records[number].get(link.member), member)
        ]

    def _different(self, change: Change, number: int, values: Mapping[str, Any]) -> list[str]:
        """Return the attributes that are not as given."""
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
        return loosened(raw) == loosened(member) and self.same(change, attribute, {raw}, {member})

    # What is written.

    def _stored(self, change: Change, values: Mapping[str, Any]) -> Row:
        """Return a row of the values that are not in link tables, as they will be read again."""
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
            if not self._places(change, attribute, link, member):
                self.tables[link.table].insert(owner | {link.member: self.normalized(member)})


def _changed(attributes: Iterable[str]) -> Outcome:
    return Outcome("conflict", f"changed since the import: {', '.join(attributes)}")


_Key = tuple[Hashable, ...]


def _columns(key: str | Sequence[str]) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)


@attrs.frozen(eq=False)
class RecordKeys:
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

    def index(self, contents: TableContents, whose: str) -> dict[_Key, int]:
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


def upserted(stored: TableContents, given: TableContents, keys: RecordKeys) -> TableContents:
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
    return TableContents(stored.extended(given).columns, records)


def updated(stored: TableContents, given: TableContents, keys: RecordKeys) -> TableContents:
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
    return TableContents(stored.columns, records)


def deleted(stored: TableContents, given: TableContents, keys: RecordKeys) -> TableContents:
    """Return the stored records without those whose keys are given; a key that is not there is no error.

    Raises:
        SyncerError: A key is missing, or stands in two records.
    """
    places, old = keys.index(stored, "stored"), keys.index(given, "given")
    gone = {place for key, place in places.items() if key in old}
    return TableContents(stored.columns, [record for place, record in enumerate(stored.records) if place not in gone])


def _without(record: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {column: value for column, value in record.items() if column not in columns}
