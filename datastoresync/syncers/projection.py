"""Reads the attributes of a branch out of the columns of a table, and out of its link tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Link, Table
from datastoresync.syncers.names import nearest
from datastoresync.syncers.records import Columns, Records

_Open = Callable[[str], Records]


def projected(
    open_table: _Open, table: Table, attributes: Sequence[str] | None, identifiers: Sequence[str] | None
) -> Records:
    """Return a stream of the attributes of a table, in the order in which they are asked for.

    Args:
        open_table: Gives the records of a table with all of its columns.
        table: Where they are. An attribute with a `Link` comes as the set of its members.
        attributes: The attributes to read; None for all columns and links.
        identifiers: The attributes that a link's owner refers to; None for ``idnumber``.

    Raises:
        SyncerError: A table or column is not there; the nearest one is named.
    """
    records = open_table(table.name)
    names = _all_attributes(table, records) if attributes is None else list(attributes)
    plain = {name: _place(records, table.name, table.column(name)) for name in names if name not in table.links}
    owners = (
        [_place(records, table.name, table.column(name)) for name in identifiers or ("idnumber",)]
        if any(name in table.links for name in names)
        else []
    )
    members = {name: _members(open_table, link, len(owners)) for name, link in table.links.items() if name in names}
    return Records(names, _chunks(records, names, plain, owners, members), records.where)


def _all_attributes(table: Table, records: Records) -> list[str]:
    attributes = {column: attribute for attribute, column in table.columns.items()}
    return list(dict.fromkeys([*(attributes.get(column, column) for column in records.columns), *table.links]))


def _place(records: Records, table: str, column: str) -> int:
    """Return the place of a column; a table without any has no records either, so that any place will do."""
    if column in records.columns or not records.columns:
        return records.columns.index(column) if records.columns else 0
    message = f"table {table!r} has no column {column!r}: {nearest(column, records.columns)}"
    raise SyncerError(message)


def _members(open_table: _Open, link: Link, width: int) -> Mapping[tuple[Any, ...], set[Any]]:
    """Return the members in a link table by owner."""
    if len(link.owners) != width:
        message = (
            f"the owner in link table {link.table!r} is {len(link.owners)} column(s), and the key is {width}: name as "
            "many owner columns in Link(owner=...)"
        )
        raise SyncerError(message)
    records = open_table(link.table)
    owners = [_place(records, link.table, column) for column in link.owners]
    place = _place(records, link.table, link.member)
    found: dict[tuple[Any, ...], set[Any]] = {}
    for chunk in records.chunks:
        for owner, member in zip(zip(*(chunk[one] for one in owners), strict=True), chunk[place], strict=True):
            found.setdefault(owner, set()).add(member)
    return found


def _chunks(
    records: Records,
    names: Sequence[str],
    plain: Mapping[str, int],
    owners: Sequence[int],
    members: Mapping[str, Mapping[tuple[Any, ...], set[Any]]],
) -> Iterator[Columns]:
    for chunk in records.chunks:
        keys = list(zip(*(chunk[place] for place in owners), strict=True)) if members else []
        yield [
            [set(members[name].get(key, ())) for key in keys] if name in members else chunk[plain[name]]
            for name in names
        ]
