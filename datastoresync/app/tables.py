"""The tables of a store that a tree is written to: what is there, what would be lost, and what is there afterwards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from datastoresync.applying.limits import Limits
from datastoresync.applying.report import reason_of
from datastoresync.applying.safeguards import check
from datastoresync.branch import Branch
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.side import Side
from datastoresync.errors import DatastoreSyncError, LockedError, SafeguardError, SyncerError
from datastoresync.object import Object, attributes_of, side_of
from datastoresync.printing.text import counted
from datastoresync.syncers.changes import Link, Table
from datastoresync.syncers.loading import load_records
from datastoresync.syncers.records import Records

_Key = tuple[Any, ...]


@attrs.frozen(eq=False)
class TableWrite:
    """One table, and the records to write to it.

    Args:
        label: Its name in messages: the branch's, with the attribute's if it is the table of memberships.
        table: The table's name.
        key: The columns of its key; none for memberships.
        identifying: The columns that identify a record: those of the key, or all of a membership's.
        records: Makes the records.
        count: The number of records.
        rejected: The number of rows that could not be read at the import.
        columns: All columns of the records; none if they are not known.
        limits: What is declared.
        empty_parts: The files and branches without rows among those that the records come from.
    """

    label: str
    table: str
    key: tuple[str, ...]
    identifying: tuple[str, ...]
    records: Callable[[], Iterator[dict[str, Any]]]
    count: int
    rejected: int
    columns: tuple[str, ...] = ()
    limits: Limits | None = None
    empty_parts: tuple[str, ...] = ()


def table_writes(branch: Branch[Any], table: Table, limits: Limits | None = None) -> Iterator[TableWrite]:
    """Yield the writes that make up a branch: its table, and each membership that has a table of its own.

    Args:
        branch: The branch.
        table: Its table.
        limits: What the destination declares.
    """
    about: dict[str, Any] = {
        "limits": (limits or Limits()).over(branch.declared_limits),
        "empty_parts": branch.contents.empty_parts,
    }
    side = branch.side()
    key = tuple(table.column(name) for name in branch.identifiers)
    names = [name for name in ordered_attributes(side) if name not in table.links]

    def records() -> Iterator[dict[str, Any]]:
        for idnumber, item in side.objects.items():
            record = {column: getattr(item, name) for column, name in zip(key, branch.identifiers, strict=True)}
            record.update((table.column(name), side.read(idnumber, item, name)) for name in names)
            yield record

    columns = (*key, *map(table.column, names))
    yield TableWrite(branch.name, table.name, key, key, records, len(branch), side.rejected, columns, **about)
    for name, link in table.links.items():

        def members(name: str = name, link: Link = link) -> Iterator[dict[str, Any]]:
            for idnumber, item in side.objects.items():
                owner = dict(zip(link.owners, idnumber if len(link.owners) > 1 else (idnumber,), strict=True))
                for member in side.read(idnumber, item, name) or ():
                    yield {**owner, link.member_column: member}

        count = sum(1 for _ in members())
        columns = link.columns
        label = f"{branch.name}.{name}"
        yield TableWrite(label, link.table, (), columns, members, count, side.rejected, columns, **about)


def ordered_attributes(side: Side) -> list[str]:
    """Return the names of the synced attributes, in the order of their declaration or import."""
    first = next(iter(side.objects.values()), None)
    order = {name: index for index, name in enumerate(() if first is None else attributes_of(first))}
    return sorted((*side.attributes, *side.child_fields), key=lambda name: order.get(name, len(order)))


def owned_members(write: TableWrite, owners: Collection[Any]) -> TableWrite:
    """Return a write of those memberships alone whose owners are among these idnumbers."""
    columns = write.identifying[:-1]

    def records() -> Iterator[dict[str, Any]]:
        for record in write.records():
            owner = tuple(record[column] for column in columns)
            if (owner if len(columns) > 1 else owner[0]) in owners:
                yield record

    return attrs.evolve(write, records=records, count=sum(1 for _ in records()))


@attrs.frozen(eq=False)
class TableState:
    """The present content of a table.

    Args:
        exists: Whether the store has that table.
        count: The number of records in it.
        columns: Their columns.
        keys: Their keys, if they were asked for; None for a record that lacks a column of the key.
    """

    exists: bool
    count: int = 0
    columns: tuple[str, ...] = ()
    keys: tuple[_Key | None, ...] = ()


def table_state(syncer: Any, table: str, *, key: Sequence[str] = ()) -> TableState:
    """Return the content of a table of a store.

    Raises:
        SyncerError: if its content is uncertain: the store cannot list its tables, or cannot read this one.
    """
    tables = getattr(syncer, "tables", None)
    try:
        listed = list(tables()) if callable(tables) else None
    except Exception as error:
        message = f"{describe(error)}; nothing was written, as {syncer.name} cannot list its tables"
        raise SyncerError(message) from error
    try:
        return _read_table(syncer, table, key)
    except Exception as error:
        if _is_missing(error, table, listed):
            return TableState(exists=False)
        message = (
            f"cannot read {table} of {syncer.name}, so it is unknown what would be lost: {describe(error)}; "
            f"nothing was written there"
        )
        raise SyncerError(message) from error


def describe(error: BaseException) -> str:
    """Return an error's message without passwords, and its class only if it is not one of the package's own."""
    reason = reason_of(error)
    return reason.removeprefix(f"{type(error).__name__}: ") if isinstance(error, DatastoreSyncError) else reason


def _is_missing(error: Exception, table: str, tables: list[str] | None) -> bool:
    """Say whether a table cannot be read because it does not exist, and for no other reason."""
    if tables is not None and table in tables:
        return False
    if not isinstance(error, SyncerError) or isinstance(error, LockedError):
        return isinstance(error, (LookupError, FileNotFoundError))
    # A table may have several names, such as one with its schema, or in another case.
    name, *others = (name.rpartition(".")[2].casefold() for name in (table, *(tables or ())))
    if tables is not None and name not in others:
        return True
    pattern = rf"""\b(no|not a) table ["'`]?{re.escape(table)}["'`]?(?!\w)"""
    return bool(re.search(pattern, str(error), re.IGNORECASE))


def _read_table(syncer: Any, table: str, key: Sequence[str]) -> TableState:
    read = getattr(syncer, "read", None)
    records = read(table) if callable(read) else load_records(syncer, table)
    if not key and isinstance(records, Records) and records.columns:
        return TableState(exists=True, count=sum(len(chunk[0]) for chunk in records.chunks), columns=records.columns)
    columns: dict[str, None] = dict.fromkeys(records.columns if isinstance(records, Records) else ())
    keys: list[_Key | None] = []
    for record in records:
        columns.update(dict.fromkeys(record))
        keys.append(tuple(record[column] for column in key) if all(column in record for column in key) else None)
    return TableState(exists=True, count=len(keys), columns=tuple(columns), keys=tuple(keys))


def lost_columns(write: TableWrite, stored: TableState) -> list[str]:
    """Return the columns whose values a replacement would lose, as the new records do not have them."""
    if not (write.count and write.columns and stored.count):
        return []  # without records, a table keeps its columns
    return [column for column in stored.columns if column not in write.columns]


def check_columns(writes: Sequence[TableWrite], stored: Sequence[TableState], allowed: Collection[str]) -> None:
    """Refuse to replace tables that have columns which the new records lack.

    Args:
        writes: The tables, and their new records.
        stored: The content of each of them.
        allowed: The columns that may be lost, as ``phone`` or ``users.phone``.

    Raises:
        SafeguardError: naming every table and column.
    """
    sentences = []
    for write, old in zip(writes, stored, strict=True):
        lost = [each for each in lost_columns(write, old) if {each, f"{write.table}.{each}"}.isdisjoint(allowed)]
        if lost:
            named = ", ".join(map(repr, lost))
            options = " ".join(f"--allow-loss {write.table}.{column}" for column in lost)
            sentences.append(
                f"{write.table}: to replace it would lose {named}, which the source does not have: --mode sync keeps "
                f"what it does not know; {options} gives it up"
            )
    if sentences:
        raise SafeguardError("; ".join(sentences), violations=sentences)


def check_names(writes: Sequence[TableWrite], stored: Sequence[TableState], syncer: Any) -> None:
    """Refuse columns that a table of a database does not have.

    Raises:
        SyncerError: naming the nearest one.
    """
    check_store = getattr(syncer, "check", None)
    if callable(check_store):
        for write, old in zip(writes, stored, strict=True):
            if old.exists:
                check_store([Table(write.table)], write.columns)


def check_values(values: Iterable[tuple[str, Any]], syncer: Any) -> None:
    """Refuse values that a store says it cannot keep.

    Args:
        values: Where each would stand, for messages, and the value.
        syncer: The store.

    Raises:
        SyncerError: naming the first one.
    """
    normalized = getattr(syncer, "normalized", None)
    if not callable(normalized):
        return
    for where, value in values:
        try:
            normalized(value)
        except SyncerError as error:
            message = f"{where}: {describe(error)}"
            raise SyncerError(message) from error


def check_written(write: TableWrite, before: TableState, syncer: Any, mode: str) -> None:
    """Look at what a store has after it was written to, since not every store says what it did.

    Raises:
        SyncerError: It is not what was given to it.
    """
    # A database may pad and fold its keys, and the count of its rows is not to be mistaken.
    by_key = mode == "upsert" or not callable(getattr(syncer, "read", None))
    try:
        after = table_state(syncer, write.table, key=write.identifying if by_key else ())
    except SyncerError as error:
        message = f"{write.table} was written, and cannot be read back: {describe(error.__cause__ or error)}"
        raise SyncerError(message) from error
    expected = write.count + (before.count if mode == "append" else 0)
    lost = 0
    if by_key:
        new, found = _key_numbers(_given_keys(write, syncer), after.keys)
        lost = len(set(new) - set(found))
    if lost or (after.count != expected if mode != "upsert" else after.count < expected):
        there = f"{lost:,} of them are not there" if lost else f"{after.count:,} are there, and not {expected:,}"
        message = f"{write.table}: {syncer.name} was given {counted(write.count, 'record')} to {mode}, and {there}"
        raise SyncerError(message)


def _given_keys(write: TableWrite, syncer: Any) -> list[_Key]:
    normalized = getattr(syncer, "normalized", None)
    keys = [tuple(record[column] for column in write.identifying) for record in write.records()]
    return [tuple(map(normalized, key)) for key in keys] if callable(normalized) else keys


def check_replacement(writes: Sequence[TableWrite], stored: Sequence[TableState], limits: Limits, syncer: Any) -> None:
    """Refuse to replace tables by records that lack more of the stored keys than the limits allow to delete.

    Args:
        writes: The tables, and their new records.
        stored: The content of each of them, with its keys.
        limits: The limits of deletions.
        syncer: The store.

    Raises:
        SafeguardError: naming every table.
    """
    placeholder = Object(idnumber="")
    sides = []
    for write, old in zip(writes, stored, strict=True):
        source: Iterable[int] = range(write.count)
        dest: Iterable[int] = ()
        if old.count:
            source, dest = _key_numbers(_given_keys(write, syncer), old.keys)
        sides.append(
            (
                side_of(
                    Object,
                    dict.fromkeys(source, placeholder),
                    branch=write.label,
                    rejected=write.rejected,
                    limits=write.limits,
                    empty_parts=write.empty_parts,
                ),
                side_of(Object, dict.fromkeys(dest, placeholder), tree=syncer.name, branch=write.label),
            )
        )
    check(Diff.between(sides), limits)


def _key_numbers(new: Sequence[_Key], old: Sequence[_Key | None]) -> tuple[Iterable[int], Iterable[int]]:
    """Return a number for each key, the same on both sides for equal keys.

    Where a column has values of different types on the two sides, their texts are compared. A repeated key counts each
    time. An incomplete key equals no other: that refuses too much, and never too little.
    """
    known = [key for key in old if key is not None]
    columns = range(len(new[0]) if new else 0)

    def types(keys: Sequence[_Key], column: int) -> set[type]:
        return {type(key[column]) for key in keys}

    typed = [types(new, column) == types(known, column) for column in columns]
    numbers: dict[Any, int] = {}

    def number(keys: Sequence[_Key | None]) -> Iterator[int]:
        times: Counter[Any] = Counter()
        for key in keys:
            token = object() if key is None else tuple(map(_token, key, typed))
            times[token] += 1
            yield numbers.setdefault((token, times[token]), len(numbers))

    return list(number(new)), list(number(old))


def _token(value: Any, typed: bool) -> Any:  # noqa: FBT001 - mapped over columns
    """Return a hashable value that is equal for equal parts of a key."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if typed and isinstance(value, Hashable) and value == value else str(value)  # noqa: PLR0124 - NaN
