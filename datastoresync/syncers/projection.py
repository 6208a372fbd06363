"""The attributes of a branch, projected from the columns of a table and its link tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from datastoresync.conversion.value_format import ValueFormat
from datastoresync.errors import DataWarning, SyncerError
from datastoresync.spelling import nearest
from datastoresync.syncers.changes import ownerless_text
from datastoresync.syncers.names import likely_delimiter
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.table_layout import Link, Table

_Open = Callable[[str], Records]


def projected(
    open_table: _Open, table: Table, attributes: Sequence[str] | None, identifiers: Sequence[str] | None
) -> Records:
    """Return a stream of attributes of a table, in the requested order.

    Args:
        open_table: Returns the records of a table with all of its columns.
        table: The table. An attribute with a `Link` comes as the set of its members.
        attributes: The attributes to read; None for all columns and links.
        identifiers: The attributes that a link's owner refers to; None for ``idnumber``.

    Raises:
        SyncerError: A table or column does not exist; the nearest one is named.
        DeclarationError: A column is a `Ref`.
    """
    table.check_unreferenced("a store without foreign keys")
    records = open_table(table.name)
    names = _all_attributes(table, records) if attributes is None else list(attributes)
    places = {column: index for index, column in enumerate(records.columns)}
    plain = {name: _index(places, records, table.name, table.column(name)) for name in names if name not in table.links}
    owners = (
        [_index(places, records, table.name, table.column(name)) for name in identifiers or ("idnumber",)]
        if any(name in table.links for name in names)
        else []
    )
    members = {name: _members(open_table, link, len(owners)) for name, link in table.links.items() if name in names}
    chunks = _chunks(records, names, plain, owners, members, table)
    return Records(names, chunks, records.where, value_format=records.value_format)


def _all_attributes(table: Table, records: Records) -> list[str]:
    attributes = table.attributes
    return list(dict.fromkeys([*(attributes.get(column, column) for column in records.columns), *table.links]))


def _index(places: Mapping[str, int], records: Records, table: str, column: str) -> int:
    """Return the index of a column; 0 in a table without columns, which has no records either."""
    if column in places or not places:
        return places.get(column, 0)
    other = likely_delimiter(records.columns, [column], delimiter="\0")
    option = (records.value_format or ValueFormat()).option("delimiter", other)
    looks = f"it looks as if {other!r} separates its columns: {option} tells so"
    message = f"table {table!r} has no column {column!r}: {looks if other else nearest(column, records.columns)}"
    raise SyncerError(message)


def _members(open_table: _Open, link: Link, width: int) -> Mapping[tuple[Any, ...], set[Any]]:
    """Return the members of a link table by owner."""
    if len(link.owners) != width:
        message = (
            f"the owner in link table {link.table!r} is {len(link.owners)} column(s), and the key is {width}: name as "
            "many owner columns in Link(owner=...)"
        )
        raise SyncerError(message)
    records = open_table(link.table)
    places = {column: index for index, column in enumerate(records.columns)}
    owners = [_index(places, records, link.table, column) for column in link.owners]
    index = _index(places, records, link.table, link.member_column)
    members: dict[tuple[Any, ...], set[Any]] = {}
    for chunk in records.chunks:
        for owner, member in zip(zip(*(chunk[each] for each in owners), strict=True), chunk[index], strict=True):
            members.setdefault(owner, set()).add(member)
    return members


def _chunks(
    records: Records,
    names: Sequence[str],
    plain: Mapping[str, int],
    owners: Sequence[int],
    members: Mapping[str, Mapping[tuple[Any, ...], set[Any]]],
    table: Table,
) -> Iterator[Columns]:
    seen: set[tuple[Any, ...]] = set()
    for chunk in records.chunks:
        keys = list(zip(*(chunk[index] for index in owners), strict=True)) if members else []
        seen.update(keys)
        yield [
            [set(members[name].get(key, ())) for key in keys] if name in members else chunk[plain[name]]
            for name in names
        ]
    for name, owned in members.items():
        if orphans := owned.keys() - seen:
            message = ownerless_text(table.links[name].table, table.name, orphans)
            warnings.warn(message, DataWarning, stacklevel=2)
