"""What the ``load`` and the ``dump`` of any syncer give and take, in the one form in which the library uses it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from datastoresync.errors import SyncerError
from datastoresync.syncers.arrow import read_arrow
from datastoresync.syncers.records import Records, is_arrow


def load_records(syncer: Any, identifier: str) -> Records | Iterable[Mapping[str, Any]]:
    """Load a table; return its records, whether they came as mappings, a generator, a frame or an Arrow table.

    Raises:
        SyncerError: The syncer gave something else.
        Exception: Any error of the syncer.
    """
    return records_in(syncer.load(identifier), syncer, identifier)


def records_in(loaded: Any, syncer: Any, identifier: str) -> Records | Iterable[Mapping[str, Any]]:
    """Return the records in what a syncer gave for a table; mappings are checked as they come.

    Raises:
        SyncerError: It gave something that holds no records.
    """
    if isinstance(loaded, Records):
        return loaded
    name = f"table {identifier!r} of {getattr(syncer, 'name', type(syncer).__name__)}"
    if is_arrow(loaded):
        return read_arrow(loaded, name=name)
    if callable(getattr(loaded, "toLocalIterator", None)):  # a frame of Spark
        return (row.asDict() for row in loaded.toLocalIterator())
    if inspect.iscoroutine(loaded):
        loaded.close()
    if isinstance(loaded, (str, bytes, Mapping)) or not isinstance(loaded, Iterable) or _is_frame(loaded):
        message = (
            f"load gives {_article(loaded)} for {name}: it must give records, each a mapping from column to value, "
            "in a list or another iterable, or a frame or an Arrow table"
        )
        raise SyncerError(message)
    return _checked(loaded, name)


def given_records(syncer: Any, records: Iterable[Mapping[str, Any]]) -> Any:
    """Return records as a syncer takes them: a stream if it has a true ``streams``, a list otherwise."""
    return records if isinstance(records, list) or getattr(syncer, "streams", False) else list(records)


def _is_frame(loaded: Any) -> bool:
    """Say whether iterating would give the columns of a frame, or of a lazy one nothing at all."""
    return hasattr(loaded, "columns") or callable(getattr(loaded, "collect", None))


def _article(loaded: Any) -> str:
    if loaded is None:
        return "None"
    kind = type(loaded).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


def _checked(loaded: Iterable[Any], name: str) -> Iterator[Mapping[str, Any]]:
    for number, record in enumerate(loaded, 1):
        if not isinstance(record, Mapping):
            message = f"record {number} of {name} is {_article(record)}: it must be a mapping from column to value"
            raise SyncerError(message)
        yield record
