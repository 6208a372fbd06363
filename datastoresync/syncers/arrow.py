"""Records from Arrow streams: frames of polars and pandas, tables of pyarrow, relations of DuckDB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import Any, Protocol

from datastoresync.conversion.scalars import instants
from datastoresync.errors import ColumnError, ConversionError, MissingDependencyError, SyncerError
from datastoresync.syncers.records import Columns, Records, choose_columns

_ROWS = 2**16
"""Rows in the longest chunk."""
_MISSING = "reading Arrow streams needs pyarrow: pip install 'datastoresync[arrow]'"


class _Source(Protocol):
    """A stream read by a library: the names of the columns, batches of rows that can be sliced, and their values."""

    names: list[str]
    errors: tuple[type[BaseException], ...]

    def batches(self) -> Iterator[Any]: ...

    def values(self, batch: Any, index: int) -> list[Any]: ...


def read_arrow(
    stream: Any, *, columns: Mapping[str, str] | Sequence[str | tuple[str, str]] | None = None, name: str = ""
) -> Records:
    """Read a frame, a table or a relation, with pyarrow if it is installed, and with polars if not.

    Values have their Arrow types: null is None, and text is never read as a number. An index of a pandas frame
    that is more than the numbers of its rows is a column, as pandas exports it.

    Args:
        stream: An object that `is_arrow`.
        columns: The columns to read, as `choose_columns` takes them; None for all.
        name: The name in messages; that of its class if empty.

    Raises:
        MissingDependencyError: if neither pyarrow nor polars is installed.
        ColumnError: if two columns have one name, if one of ``columns`` does not exist, or if it is a single column.
        SyncerError: if the stream cannot be opened, or breaks off while it is read.
        ConversionError: for a value that Python cannot hold, such as one with nanoseconds, while it is read.

    >>> import pyarrow
    >>> list(read_arrow(pyarrow.table({"idnumber": ["007", None]})))
    [{'idnumber': '007'}, {'idnumber': None}]
    """
    label = name or (stream.name if isinstance(stream, ArrowStream) else type(stream).__name__)
    source = _open(stream, label)
    _check_names(source.names, label)
    indexes, renamed = choose_columns(source.names, columns, where=label)
    return Records(renamed, _chunks(source, indexes, label), lambda index: _row(index, label))


class ArrowStream:
    """An Arrow stream whose first batches can be examined before they are read. It needs pyarrow.

    Args:
        stream: An object that `is_arrow`.

    Raises:
        ImportError: if pyarrow is not installed.
        Exception: any error of the stream, if it cannot be opened.

    >>> import pyarrow
    >>> stream = ArrowStream(pyarrow.table({"idnumber": ["1", "2"]}))
    >>> stream.has(2), stream.has(3)
    (True, False)
    >>> [row["idnumber"] for row in read_arrow(stream)]
    ['1', '2']
    """

    def __init__(self, stream: Any) -> None:
        self.name = type(stream).__name__
        _check_no_addresses(stream, self.name)
        self._reader = import_module("pyarrow").RecordBatchReader.from_stream(stream)
        self.schema = self._reader.schema
        self._buffer: list[Any] = []
        self._rest: Iterator[Any] = iter(self._reader)

    def has(self, rows: int) -> bool:
        """Return whether there are at least ``rows`` rows; these are buffered until they are read."""
        count = sum(map(len, self._buffer))
        while count < rows:
            try:
                batch = next(self._rest, None)
            except Exception as error:  # noqa: BLE001 - it is raised when the batch is read
                self.put_back((), error)
                return False
            if batch is None:
                return False
            self._buffer.append(batch)
            count += len(batch)
        return True

    def batches(self) -> Iterator[Any]:
        """Yield the record batches, each once; errors of the stream pass through."""
        while self._buffer:
            yield self._buffer.pop(0)
        while (batch := next(self._rest, None)) is not None:  # `yield from` would close it, and reading may go on later
            yield batch

    def put_back(self, batches: Iterable[Any], error: BaseException | None = None) -> None:
        """Return batches to the front of the stream.

        Args:
            batches: Batches with the same Python values as those that were read, perhaps of other types.
            error: The error of the stream, to be raised after them.
        """
        self._rest = chain(batches, self._buffer, self._rest if error is None else _raising(error))
        self._buffer = []

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the stream to another library."""
        reader = import_module("pyarrow").RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)


def _raising(error: BaseException) -> Iterator[Any]:
    yield from ()
    raise error


def _row(index: int, label: str) -> str:
    return f"row {index + 1} of {label}"


def _open(stream: Any, label: str) -> _Source:
    kind: type[_ByPyarrow | _ByPolars]
    _check_no_addresses(stream, label)
    try:
        library = import_module("pyarrow")
        kind = _ByPyarrow
    except ImportError:
        try:
            library = import_module("polars")
            kind = _ByPolars
        except ImportError as error:
            raise MissingDependencyError(_MISSING) from error
    try:
        return kind(library, stream)
    except ImportError as error:  # pandas exports its frames through pyarrow
        raise MissingDependencyError(_MISSING) from error
    except Exception as error:
        names = getattr(stream, "column_names", getattr(stream, "columns", ()))
        _check_names(list(map(str, names)), label)
        if "struct" in str(error).lower():
            message = "a single column is no table: make it a frame first, with to_frame()"
            raise ColumnError(message, where=label) from error
        message = (
            f"{label} cannot be opened as an Arrow stream ({type(error).__name__}): see the error that caused this"
        )
        raise SyncerError(message) from error


def _check_no_addresses(stream: Any, label: str) -> None:
    """Refuse a frame of polars with Python objects: in Arrow they are addresses in memory.

    Raises:
        ColumnError: with such a column.
    """
    if type(stream).__module__.partition(".")[0] != "polars" or not hasattr(stream, "schema"):
        return
    for name, kind in stream.schema.items():
        if str(kind) == "Object":
            message = (
                f"column {name!r} holds Python objects, of which polars gives no values: cast it, or give the rows, as "
                "in frame.to_dicts()"
            )
            raise ColumnError(message, where=label, columns=[name])


def _check_names(names: Sequence[str], label: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        message = f"several columns are called {', '.join(map(repr, twice))}: rename them"
        raise ColumnError(message, where=label, columns=twice)


def _chunks(source: _Source, indexes: Sequence[int], label: str) -> Iterator[Columns]:
    done = 0
    batches = source.batches()
    while True:
        try:
            batch = next(batches, None)
        except Exception as error:
            message = f"{label} broke off after {done} rows ({type(error).__name__}): see the error that caused this"
            raise SyncerError(message) from error
        if batch is None:
            return
        for offset in range(0, len(batch), _ROWS):
            part = batch.slice(offset, _ROWS)
            yield [_values(source, part, index, done + offset, label) for index in indexes]
        done += len(batch)


def _values(source: _Source, part: Any, index: int, start: int, label: str) -> list[Any]:
    try:
        return list(instants(source.values(part, index)))
    except source.errors as error:
        row = next((row for row in range(len(part)) if not _holds(source, part.slice(row, 1), index)), 0)
        column = source.names[index]
        message = f"{column} holds a value that Python cannot: round it, or cast the column ({error})"
        raise ConversionError(message, where=_row(start + row, label), column=column) from error


def _holds(source: _Source, part: Any, index: int) -> bool:
    try:
        source.values(part, index)
    except source.errors:
        return False
    return True


class _ByPyarrow:
    """Reads a stream batch by batch."""

    def __init__(self, pyarrow: Any, stream: Any) -> None:
        self._pyarrow = pyarrow
        self._stream = stream if isinstance(stream, ArrowStream) else ArrowStream(stream)
        self.names: list[str] = self._stream.schema.names
        self.errors: tuple[type[BaseException], ...] = (pyarrow.ArrowException, ValueError, OverflowError)

    def batches(self) -> Iterator[Any]:
        return self._stream.batches()

    def values(self, batch: Any, index: int) -> list[Any]:
        column = batch.column(index)
        kind, types = column.type, self._pyarrow.types
        if getattr(kind, "unit", "") == "ns":  # pyarrow would give pandas' types, or none; this fails if it loses any
            if types.is_timestamp(kind):
                column = column.cast(self._pyarrow.timestamp("us", kind.tz))
            else:
                microseconds = self._pyarrow.duration if types.is_duration(kind) else self._pyarrow.time64
                column = column.cast(microseconds("us"))
        values: list[Any] = column.to_pylist()
        return values


class _Exported:
    """A stream without the other members of its frame, so that polars reads every kind of frame the same way."""

    def __init__(self, stream: Any) -> None:
        self.__arrow_c_stream__ = stream.__arrow_c_stream__


class _ByPolars:
    """Reads a whole stream at once."""

    def __init__(self, polars: Any, stream: Any) -> None:
        self._polars = polars
        try:
            self._frame = polars.DataFrame(_Exported(stream))
        except polars.exceptions.PanicException as error:  # derived from BaseException, as if it were Ctrl-C
            raise ValueError("polars cannot read a type in the stream") from error
        self.names: list[str] = self._frame.columns
        self.errors: tuple[type[BaseException], ...] = (
            polars.exceptions.PolarsError,
            polars.exceptions.PanicException,
            ValueError,
            OverflowError,
        )

    def batches(self) -> Iterator[Any]:
        return iter(self._frame.iter_slices(_ROWS))

    def values(self, batch: Any, index: int) -> list[Any]:
        series = batch.to_series(index)
        if self._loses(series):
            raise ValueError("nanoseconds would be lost")
        values: list[Any] = series.to_list()
        return values

    def _loses(self, series: Any) -> bool:
        """Return whether polars would silently drop nanoseconds."""
        kind, polars = series.dtype, self._polars
        if kind == polars.Time or getattr(kind, "time_unit", "") == "ns":
            return bool((series.to_physical() % 1000 != 0).any())
        if isinstance(kind, (polars.List, polars.Array)):
            return self._loses(series.explode())
        if isinstance(kind, polars.Struct):
            return any(map(self._loses, series.struct.unnest()))
        return False
