"""Rows as an Arrow table or stream. Needs pyarrow, so it is imported when one is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time
from enum import Enum
from itertools import islice
from typing import Any

import pyarrow

from datastoresync.conversion.scalars import SCALARS
from datastoresync.errors import SyncerError
from datastoresync.exporting.export import Export
from datastoresync.exporting.texts import plain_value, text_of

_BATCH = 65_536
"""Rows that are converted at a time."""


def frame(export: Export) -> Any:
    """Return the rows as a ``pyarrow.Table``."""
    return stream(export).read_all()


def stream(export: Export) -> Any:
    """Return the rows as a ``pyarrow.RecordBatchReader``; those of a branch are read at once, as they tell the types.

    Raises:
        SyncerError: a text holds half of a surrogate pair, now or when the rows are read.
    """
    if export.typed:
        columns = list(zip(*export.rows(), strict=True)) or [()] * len(export.columns)
        table = pyarrow.table(dict(zip(export.columns, map(_typed, export.columns, columns), strict=True)))
        return table.to_reader()
    schema = pyarrow.schema([(name, pyarrow.string()) for name in export.columns])
    return pyarrow.RecordBatchReader.from_batches(schema, _batches(export, schema))


def _batches(export: Export, schema: Any) -> Iterator[Any]:
    rows = iter(export.rows())
    while block := list(islice(rows, _BATCH)):
        columns = zip(*block, strict=True)
        yield pyarrow.record_batch(list(map(_texts, export.columns, columns)), schema=schema)


def _texts(name: str, values: Sequence[Any]) -> Any:
    try:
        return pyarrow.array(list(map(text_of, values)), pyarrow.string())
    except UnicodeEncodeError:
        message = f"column {name!r} holds half of a surrogate pair, which is no character: mend the value"
        raise SyncerError(message) from None


def _typed(name: str, values: Sequence[Any]) -> Any:
    """Return a column of the type that all its values are of; of texts, if they are of several, or Arrow has none."""
    values = [value.value if isinstance(value, Enum) else value for value in values]
    members = [plain_value(value) if isinstance(value, (set, frozenset)) else value for value in values]
    lists = [isinstance(value, (list, tuple)) for value in members if value is not None]
    scalars = [one for value in members for one in value] if lists and all(lists) else members
    if (not any(lists) or all(lists)) and _is_uniform(scalars):
        try:
            return pyarrow.array(members)
        except (pyarrow.ArrowException, ValueError, OverflowError, TypeError):
            return _texts(name, values)
    return _texts(name, values)


def _is_uniform(values: Sequence[Any]) -> bool:
    """Say whether values are of one type that Arrow keeps as it is."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return True
    zones = {value.tzinfo for value in values if isinstance(value, (datetime, time))}
    kept = not zones or zones == {None} or (kinds == {datetime} and None not in zones)
    return kept and len(kinds) <= 1 and all(kind in SCALARS and SCALARS[kind].arrow for kind in kinds)
