"""What a table holds, all of it in memory, to be changed and written as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from datastoresync.errors import SyncerError

__all__ = ["Contents"]


@attrs.define(eq=False)
class Contents:
    """Records, and the columns that they have or may have, in order.

    Args:
        columns: The names; a table without any records keeps them.
        records: By column; one may lack some.
    """

    columns: tuple[str, ...] = ()
    records: list[dict[str, Any]] = attrs.field(factory=list)

    @classmethod
    def of(cls, data: Iterable[Mapping[str, Any]], table: str) -> Contents:
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

    def extended(self, other: Contents) -> Contents:
        """Return the records of both, this one's first."""
        return Contents(tuple(dict.fromkeys((*self.columns, *other.columns))), [*self.records, *other.records])
