"""What is to be written where: the tables that the objects of a tree make up, and what replacing them would delete."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import attrs

from datastoresync.applying.result import reason_of
from datastoresync.applying.safeguards import Limits, check
from datastoresync.branch import Branch
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.side import Side
from datastoresync.errors import DatastoreSyncError, LockedError, SyncerError
from datastoresync.object import Object, attributes_of, side_of
from datastoresync.syncers.changes import Link, Table
from datastoresync.syncers.records import Records

__all__ = ["Stored", "Writing", "check_replacing", "said_by", "stored", "writings"]

_Key = tuple[Any, ...]

_QUOTE = r"""["'`]?"""


@attrs.frozen(eq=False)
class Writing:
    """One table, and the records that go there.

    Args:
        label: What a message calls it: the branch's name, with the attribute's if it is the table of memberships.
        table: The table's name.
        key: The columns of its key; none for memberships.
        told_by: The columns by which its records are told: those of the key, or all of a membership's.
        records: Makes the records.
        count: How many there are.
        rejected: How many rows could not be read when they were imported.
    """

    label: str
    table: str
    key: tuple[str, ...]
    told_by: tuple[str, ...]
    records: Callable[[], Iterator[dict[str, Any]]]
    count: int
    rejected: int


def writings(branch: Branch[Any], table: Table) -> Iterator[Writing]:
    """Yield what a branch makes up: its table, and one for each membership that has a table of its own."""
    side = branch.side()
    key = tuple(table.column(name) for name in branch.identifiers)
    names = [name for name in _in_order(side) if name not in table.links]

    def records() -> Iterator[dict[str, Any]]:
        for idnumber, item in side.objects.items():
            record = {column: getattr(item, name) for column, name in zip(key, branch.identifiers, strict=True)}
            record.update((table.column(name), side.read(idnumber, item, name)) for name in names)
            yield record

    yield Writing(branch.name, table.name, key, key, records, len(branch), side.rejected)
    for name, link in table.links.items():

        def members(name: str = name, link: Link = link) -> Iterator[dict[str, Any]]:
            for idnumber, item in side.objects.items():
                owner = dict(zip(link.owners, idnumber if len(link.owners) > 1 else (idnumber,), strict=True))
                for member in side.read(idnumber, item, name) or ():
                    yield {**owner, link.member: member}

        count = sum(1 for _ in members())
        told_by = (*link.owners, link.member)
        yield Writing(f"{branch.name}.{name}", link.table, (), told_by, members, count, side.rejected)


def _in_order(side: Side) -> list[str]:
    """Return the names of what is synced, as they were declared or came in."""
    places = {
        name: place for item in islice(side.objects.values(), 1) for place, name in enumerate(attributes_of(item))
    }
    return sorted((*side.attributes, *side.holding), key=lambda name: places.get(name, len(places)))


@attrs.frozen(eq=False)
class Stored:
    """What a store has in a table.

    Args:
        there: Whether it has that table.
        count: How many records are in it.
        keys: Their keys, as far as they were asked for; None where a record has not all columns of it.
    """

    there: bool
    count: int = 0
    keys: tuple[_Key | None, ...] = ()


def stored(syncer: Any, table: str, *, key: Sequence[str] = ()) -> Stored:
    """Return what a store has in a table.

    Raises:
        SyncerError: if it is not certain what it has: it does not say which tables there are, or cannot read this one.
    """
    listed = _listed(syncer)
    try:
        return _found(syncer, table, key)
    except Exception as error:
        if _is_absent(error, table, listed):
            return Stored(there=False)
        message = (
            f"{table} of {syncer.name} cannot be read, so that nobody knows what would be lost: {said_by(error)}; "
            f"nothing was written there"
        )
        raise SyncerError(message) from error


def said_by(error: BaseException) -> str:
    """Return what an error says without passwords, and its class only if it is not one of the package's own."""
    reason = reason_of(error)
    return reason.removeprefix(f"{type(error).__name__}: ") if isinstance(error, DatastoreSyncError) else reason


def _listed(syncer: Any) -> list[str] | None:
    tables = getattr(syncer, "tables", None)
    if not callable(tables):
        return None
    try:
        return list(tables())
    except Exception as error:
        message = f"{syncer.name} does not say which tables it has, so that nobody knows what would be lost: "
        raise SyncerError(message + said_by(error)) from error


def _is_absent(error: Exception, table: str, listed: list[str] | None) -> bool:
    """Say whether a table could not be read because it is not there, and for no other reason."""
    if listed is not None and table in listed:
        return False
    # A table may have several names, such as one with its schema, or in another case.
    alike = listed is None or _plain(table) in {_plain(name) for name in listed}
    if isinstance(error, SyncerError) and not isinstance(error, LockedError):
        return not alike or _says_absent(str(error), table)
    return isinstance(error, (LookupError, FileNotFoundError))


def _plain(table: str) -> str:
    return table.rpartition(".")[2].casefold()


def _says_absent(message: str, table: str) -> bool:
    return bool(re.search(rf"\b(no|not a) table {_QUOTE}{re.escape(table)}{_QUOTE}(?!\w)", message, re.IGNORECASE))


def _found(syncer: Any, table: str, key: Sequence[str]) -> Stored:
    read = getattr(syncer, "read", None)
    records = read(table) if callable(read) else syncer.load(table)
    if not key and isinstance(records, Records) and records.columns:
        return Stored(there=True, count=sum(len(chunk[0]) for chunk in records.chunks))
    keys = tuple(
        tuple(record[column] for column in key) if all(column in record for column in key) else None
        for record in records
    )
    return Stored(there=True, count=len(keys), keys=keys)


def check_replacing(planned: Sequence[Writing], held: Sequence[Stored], limits: Limits, *, syncer: Any) -> None:
    """Refuse to replace tables by records that lack more of the keys in them than the limits allow to delete.

    Args:
        planned: The tables, and what is to be in them.
        held: What each of them has, with its keys.
        limits: Which deletions are allowed.
        syncer: The store.

    Raises:
        SafeguardError: naming every table.
    """
    anything = Object(idnumber="")
    sides = []
    for each, there in zip(planned, held, strict=True):
        coming = [tuple(record[column] for column in each.told_by) for record in each.records()] if there.count else []
        new, old = _numbered(_as_kept(coming, syncer), there.keys)
        new = new if there.count else range(each.count)
        sides.append(
            (
                side_of(Object, dict.fromkeys(new, anything), branch=each.label, rejected=each.rejected),
                side_of(Object, dict.fromkeys(old, anything), tree=syncer.name, branch=each.label),
            )
        )
    check(Diff.between(sides), limits)


def _as_kept(keys: Iterable[_Key], syncer: Any) -> list[_Key]:
    """Return keys as the store gives them back, if it says how."""
    normalized = getattr(syncer, "normalized", None)
    return [tuple(normalized(value) for value in key) for key in keys] if callable(normalized) else list(keys)


def _numbered(new: Sequence[_Key], old: Sequence[_Key | None]) -> tuple[Iterable[int], Iterable[int]]:
    """Return a number for each key; both sides have the same number for the same key, and no other.

    Where a column has values of different types on the two sides, their texts are compared. A key that is there several
    times counts each time. What cannot be told is taken for another one: that refuses too much, and never too little.
    """
    known = [key for key in old if key is not None]
    columns = range(len(new[0]) if new else 0)
    typed = {place for place in columns if _types(new, place) == _types(known, place)}
    numbers: dict[Any, int] = {}

    def number(keys: Sequence[_Key | None]) -> Iterator[int]:
        times: Counter[Any] = Counter()
        for key in keys:
            told = object() if key is None else tuple(_token(key[place], typed=place in typed) for place in columns)
            times[told] += 1
            yield numbers.setdefault((told, times[told]), len(numbers))

    return list(number(new)), list(number(old))


def _types(keys: Sequence[_Key], place: int) -> set[type]:
    return {type(key[place]) for key in keys}


def _token(value: Any, *, typed: bool) -> Any:
    """Return what a value is told by."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if typed and isinstance(value, Hashable) and value == value else str(value)  # noqa: PLR0124 - NaN
