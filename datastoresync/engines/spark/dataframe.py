"""The rows of a Spark DataFrame on their way to Python: Arrow batches, one partition after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import chain
from typing import Any

import attrs

from datastoresync.errors import ColumnError, MissingDependencyError, SyncerError
from datastoresync.syncers.arrow import read_arrow
from datastoresync.syncers.records import Columns, Records

_MISSING = "rows of Spark come as Arrow batches: pip install 'datastoresync[spark]'"


@attrs.frozen(eq=False)
class SparkRows:
    """The source of records that Spark has: the ``source_info`` of `Records`.

    Args:
        frame: The DataFrame.
    """

    frame: Any


def read_spark(frame: Any, *, name: str = "DataFrame") -> Records:
    """Return the rows of a DataFrame as records; Spark does nothing before the first is asked for.

    Values are what Arrow says they are: a ``timestamp`` has the time zone of the session, a ``timestamp_ntz`` has none.
    The driver holds one partition at a time. Executors need pyarrow and pandas, as for any Python function of Spark's.

    Args:
        frame: The DataFrame.
        name: What it is called in messages.

    Raises:
        ColumnError: if two columns have one name.
        MissingDependencyError: if pyarrow is not installed, when rows are asked for.
        SyncerError: if Spark cannot run the query, or it breaks off, likewise.
        ConversionError: for a value that Python cannot hold, such as a date in the year 10000, likewise.
    """
    names = list(frame.columns)
    twice = [one for one, count in Counter(names).items() if count > 1]
    if twice:
        message = f"several columns are called {', '.join(map(repr, twice))}: rename them"
        raise ColumnError(message, where=name, columns=twice)
    return Records(
        names, chunks(frame, name=name), lambda index: f"row {index + 1} of {name}", source_info=SparkRows(frame)
    )


def chunks(frame: Any, *, name: str = "DataFrame") -> Iterator[Columns]:
    """Yield the rows of a DataFrame in the order that it has, in chunks of columns; see `read_spark` for the errors."""
    try:
        pyarrow: Any = import_module("pyarrow")
    except ImportError as error:
        raise MissingDependencyError(_MISSING) from error
    batches = _batches(frame, pyarrow, name)
    first = next(batches, None)
    if first is not None:
        stream = pyarrow.RecordBatchReader.from_batches(first.schema, chain([first], batches))
        yield from read_arrow(stream, name=name).chunks


def _batches(frame: Any, pyarrow: Any, name: str) -> Iterator[Any]:
    # PySpark's own stream of Arrow does just this, but fails for every frame that has a timestamp.
    try:
        for row in frame.mapInArrow(_packing(), "batch binary").toLocalIterator():
            with pyarrow.ipc.open_stream(row[0]) as reader:
                yield from reader
    except Exception as error:  # noqa: BLE001 - raised again as one of ours, whatever it is
        raise stopped(error, name) from None  # it may quote rows


def _packing() -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function that executors run: made here, it is sent whole, and they need nothing of this library."""

    def pack(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow

        for batch in batches:
            sink = pyarrow.BufferOutputStream()
            with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield pyarrow.record_batch({"batch": pyarrow.array([sink.getvalue().to_pybytes()], pyarrow.binary())})

    return pack


def stopped(error: Exception, name: str) -> SyncerError:
    """Return the error for a query that Spark could not run, without what Spark quotes of rows and addresses."""
    conditions = re.findall(r"Exception: \[([A-Z][A-Z0-9_.]*)\]", f"Exception: {error}")
    said = conditions[-1] if conditions else type(error).__name__
    message = f"Spark could not read {name} ({said}): `frame.count()`, and the logs of its executors, say more"
    return SyncerError(message)
