"""Reads anything that offers an Arrow stream: frames of polars and pandas, tables of pyarrow, relations of DuckDB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import Any, Protocol

from datastoresync.errors import ColumnError, ConversionError, MissingDependencyError, SyncerError
from datastoresync.syncers.records import Columns, Records, choose_columns

_ROWS = 2**16
"""Rows in the longest chunk."""
_MISSING = "reading Arrow streams needs pyarrow: pip install 'datastoresync[arrow]'"


class _Source(Protocol):
    """A library that reads Arrow: the columns' names, batches of rows that can be sliced, and the values in them."""

    names: list[str]
    errors: tuple[type[BaseException], ...]

    def batches(self) -> Iterator[Any]: ...

    def values(self, batch: Any, place: int) -> list[Any]: ...


def is_arrow(value: object) -> bool:
    """Say whether a value offers an Arrow stream: its class has ``__arrow_c_stream__``."""
    return hasattr(type(value), "__arrow_c_stream__")


def read_arrow(stream: Any, *, columns: Mapping[str, str] | Sequence[str] | None = None, name: str = "") -> Records:
    """Read a frame, a table or a relation, with pyarrow if it is installed, and with polars if not.

    Values are what Arrow says they are: null is None, and text is never read as a number. An index of a pandas frame
    that is more than the numbers of its rows is a column, as pandas exports it.

    Args:
        stream: Anything that `is_arrow`.
        columns: The columns to take, or a mapping from a column's name to the name it is given here. None takes all.
        name: What it is called in messages; its class's name if that is empty.

    Raises:
        MissingDependencyError: if neither pyarrow nor polars is installed.
        ColumnError: if two columns have one name, if one of ``columns`` is not there, or if it is a single column.
        SyncerError: if the stream cannot be opened, or breaks off while it is read.
        ConversionError: for a value that Python cannot hold, such as one with nanoseconds, while it is read.

    >>> import pyarrow
    >>> list(read_arrow(pyarrow.table({"idnumber": ["007", None]})))
    [{'idnumber': '007'}, {'idnumber': None}]
    """
    label = name or (stream.name if isinstance(stream, ArrowStream) else type(stream).__name__)
    source = _opened(stream, label)
    _check_names(source.names, label)
    places, renamed = choose_columns(source.names, columns, where=label)
    return Records(renamed, _chunks(source, places, label), lambda index: _row(index, label))


class ArrowStream:
    """An Arrow stream that can be looked into without losing what comes first. It needs pyarrow.

    Args:
        stream: Anything that `is_arrow`.

    Raises:
        ImportError: if pyarrow is not installed.
        Exception: whatever the stream raises, if it cannot be opened.

    >>> import pyarrow
    >>> stream = ArrowStream(pyarrow.table({"idnumber": ["1", "2"]}))
    >>> stream.has(2), stream.has(3)
    (True, False)
    >>> [row["idnumber"] for row in read_arrow(stream)]
    ['1', '2']
    """

    def __init__(self, stream: Any) -> None:
        self.name = type(stream).__name__
        self._reader = import_module("pyarrow").RecordBatchReader.from_stream(stream)
        self.schema = self._reader.schema
        self._held: list[Any] = []
        self._rest: Iterator[Any] = iter(self._reader)

    def has(self, rows: int) -> bool:
        """Say whether there are so many rows at least; those are held until somebody reads them."""
        known = sum(map(len, self._held))
        while known < rows:
            try:
                batch = next(self._rest, None)
            except Exception as error:  # noqa: BLE001 - whoever reads so far will meet it
                self.put_back((), error)
                return False
            if batch is None:
                return False
            self._held.append(batch)
            known += len(batch)
        return True

    def batches(self) -> Iterator[Any]:
        """Yield the record batches, each once; what the stream raises goes through."""
        while self._held:
            yield self._held.pop(0)
        while (batch := next(self._rest, None)) is not None:  # `yield from` would close it, and others may read on
            yield batch

    def put_back(self, batches: Iterable[Any], error: BaseException | None = None) -> None:
        """Let those who read on start with these batches; the values in them are the same for Python.

        Args:
            batches: What was read already, in other types perhaps.
            error: What the stream raised, to be raised again behind them.
        """
        self._rest = chain(batches, self._held, self._rest if error is None else _raising(error))
        self._held = []

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the stream to another library."""
        reader = import_module("pyarrow").RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)


def _raising(error: BaseException) -> Iterator[Any]:
    yield from ()
    raise error


def _row(index: int, label: str) -> str:
    return f"row {index + 1} of {label}"


def _opened(stream: Any, label: str) -> _Source:
    kind: type[_ByPyarrow | _ByPolars]
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


def _check_names(names: Sequence[str], label: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        message = f"several columns are called {', '.join(map(repr, twice))}: rename them"
        raise ColumnError(message, where=label, columns=twice)


def _chunks(source: _Source, places: Sequence[int], label: str) -> Iterator[Columns]:
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
            yield [_values(source, part, place, done + offset, label) for place in places]
        done += len(batch)


def _values(source: _Source, part: Any, place: int, start: int, label: str) -> list[Any]:
    try:
        return source.values(part, place)
    except source.errors as error:
        row = next((row for row in range(len(part)) if not _holds(source, part.slice(row, 1), place)), 0)
        column = source.names[place]
        message = f"{column} holds a value that Python cannot: round it, or cast the column ({error})"
        raise ConversionError(message, where=_row(start + row, label), column=column) from error


def _holds(source: _Source, part: Any, place: int) -> bool:
    try:
        source.values(part, place)
    except source.errors:
        return False
    return True


class _ByPyarrow:
    """Reads batch by batch, as they come."""

    def __init__(self, pyarrow: Any, stream: Any) -> None:
        self._pyarrow = pyarrow
        self._stream = stream if isinstance(stream, ArrowStream) else ArrowStream(stream)
        self.names: list[str] = self._stream.schema.names
        self.errors: tuple[type[BaseException], ...] = (pyarrow.ArrowException, ValueError, OverflowError)

    def batches(self) -> Iterator[Any]:
        return self._stream.batches()

    def values(self, batch: Any, place: int) -> list[Any]:
        column = batch.column(place)
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
    """Hands polars the stream and nothing else, so that it reads every kind of frame in the same way."""

    def __init__(self, stream: Any) -> None:
        self.__arrow_c_stream__ = stream.__arrow_c_stream__


class _ByPolars:
    """Reads the whole stream at once."""

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

    def values(self, batch: Any, place: int) -> list[Any]:
        series = batch.to_series(place)
        if self._loses(series):
            raise ValueError("nanoseconds would be lost")
        values: list[Any] = series.to_list()
        return values

    def _loses(self, series: Any) -> bool:
        """Say whether polars would drop nanoseconds without a word."""
        kind, polars = series.dtype, self._polars
        if kind == polars.Time or getattr(kind, "time_unit", "") == "ns":
            return bool((series.to_physical() % 1000 != 0).any())
        if isinstance(kind, (polars.List, polars.Array)):
            return self._loses(series.explode())
        if isinstance(kind, polars.Struct):
            return any(map(self._loses, series.struct.unnest()))
        return False
