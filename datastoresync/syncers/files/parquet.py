"""Parquet files as a store, through pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import IO, Any, ClassVar

from datastoresync.conversion.scalars import instants, scalar_of
from datastoresync.errors import MalformedFileError, MissingDependencyError, SyncerError
from datastoresync.syncers.arrow import read_arrow
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.records import ParquetFile, ParquetFiles, Records, choose_columns, file_state
from datastoresync.syncers.row_index import TableContents

_INTEGERS = 2**63
_PRECISION = 76
"""Digits of the longest decimal."""


class ParquetSyncer(FileSyncer):
    """Parquet files: ``users.parquet`` in a folder is the table ``users``, with a type for each column.

    Text, bytes, booleans, integers of 64 bits, floats, decimals of up to 76 digits, dates, times, datetimes, timedeltas
    and None come back as they were; a datetime with a time zone as the same moment. In a column with integers and
    floats all are floats, and a decimal comes back with as many digits behind the point as its column has. UUIDs come
    back as text, an enum member as its value, sets and tuples as lists; sets are sorted. Dictionaries are refused, and
    so is a column of several types.

    A column of a file that is written again keeps its type, be it a narrower one such as ``int32`` or a dictionary, as
    long as all values come back from it as they are, and the metadata stay; else it gets the type of its values.

    Args:
        path: A folder, or one file.
        name: The name in messages.
        timeout: Seconds to wait for another run that is writing; by default it is not waited for.

    >>> ParquetSyncer("lake").normalized({2, 1})
    [1, 2]
    """

    format: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def normalized(self, value: Any) -> Any:
        """Return the value that `load` returns for one that was dumped alone in its column.

        Raises:
            SyncerError: A column cannot hold it.
        """
        if value is None:
            return value
        if isinstance(value, Enum):
            return self.normalized(value.value)
        if isinstance(value, (list, tuple, set, frozenset)):
            return _one_type([self.normalized(item) for item in value], ordered=isinstance(value, (list, tuple)))
        scalar = scalar_of(value)
        if scalar is not None and not scalar.arrow and scalar.to_text is not None:
            return scalar.to_text(value)
        if scalar is None or not scalar.arrow:
            message = f"Parquet cannot hold a {type(value).__name__} here: make it a text, a number or a list first"
            raise SyncerError(message)
        if reason := _fault(value):
            raise SyncerError(reason)
        return value.replace(fold=0) if isinstance(value, (datetime, time)) else value

    def _open_file(self, path: Path, identifier: str) -> Records:  # noqa: ARG002 - one file is one table
        return read_parquet(path)

    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        pyarrow, parquet = _libraries()
        ((identifier, contents),) = tables.items()
        if contents.records and not contents.columns:
            message = f"the records for table {identifier!r} have no columns: a Parquet file cannot hold them"
            raise SyncerError(message)
        rows = list(self._encoded_rows(identifier, contents, self.normalized))
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(contents.columns)
        old = _schema_of(self._target_file(identifier))
        arrays, fields = [], []
        for name, values in zip(contents.columns, columns, strict=True):
            before = old.field(name) if name in old.names else None
            array = None if before is None else _in_old_type(values, before.type)
            if before is None or array is None:
                array = _in_new_type(identifier, name, values)
                fields.append(pyarrow.field(name, array.type, metadata=before and before.metadata))
            else:
                fields.append(before.with_nullable(before.nullable or array.null_count > 0))
            arrays.append(array)
        metadata = old.metadata if set(old.names) <= set(contents.columns) else None
        parquet.write_table(pyarrow.table(arrays, schema=pyarrow.schema(fields, metadata=metadata)), file)


def read_parquet(path: Path, *, columns: Mapping[str, str] | Sequence[str | tuple[str, str]] | None = None) -> Records:
    """Read a Parquet file, batch by batch; its ``source_info`` tells engines where to find it.

    Args:
        path: The file.
        columns: The columns to read, as `choose_columns` takes them; None for all.

    Raises:
        MissingDependencyError: if pyarrow is not installed.
        MalformedFileError: if there is no such file, or it is not a Parquet file.
        ColumnError: if two columns have one name, or one of ``columns`` does not exist.
        SyncerError: if it breaks off while it is read.
        ConversionError: for a value that Python cannot hold, while it is read.
    """
    pyarrow, parquet = _libraries()
    name = os.fspath(path)
    try:
        state = file_state(path.stat())
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        reason = getattr(error, "strerror", None) or "it may be cut off: see the error that caused this"
        message = f"not a Parquet file that can be read ({reason})"
        raise MalformedFileError(message, where=name) from error
    schema = file.schema_arrow
    if not schema.names:
        file.close()
        return Records((), (), lambda index: f"row {index + 1} of {name}")

    def batches() -> Iterator[Any]:
        with file:
            yield from file.iter_batches()

    records = read_arrow(pyarrow.RecordBatchReader.from_batches(schema, batches()), columns=columns, name=name)
    indexes, renamed = choose_columns(schema.names, columns, where=name)
    types = tuple(schema.types[index] for index in indexes)
    rows = file.metadata.num_rows
    parquet_file = ParquetFile(path, tuple(schema.names), tuple(indexes), tuple(renamed), types, rows, state)
    records.source_info = ParquetFiles((parquet_file,))
    return records


def _fault(value: Any) -> str:
    """Return the reason that a value of a plain type cannot be stored; empty if it can."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "a text holds half of a surrogate pair, which is no character"
    elif isinstance(value, int):
        if not -_INTEGERS <= value < _INTEGERS:
            return "an integer of Parquet has 64 bits: make it a text or a decimal"
    elif isinstance(value, Decimal):
        if not value.is_finite():
            return "a decimal of Parquet is finite: make it a float or leave it empty"
        exponent = value.as_tuple().exponent
        if len(value.as_tuple().digits) + abs(int(exponent)) > _PRECISION:
            return f"a decimal of Parquet has at most {_PRECISION} digits: make it a text"
    elif isinstance(value, time):
        return "Parquet would drop the time zone of a time: make it a text" if value.tzinfo is not None else ""
    elif isinstance(value, datetime):
        offset = value.utcoffset()
        if offset is not None and (offset % timedelta(minutes=1) or not _has_moment(value)):
            return "a time zone of Parquet is whole minutes away from UTC, within the years 1 to 9999: use UTC"
    elif isinstance(value, timedelta) and not abs(value // timedelta(microseconds=1)) < _INTEGERS:
        return "a timedelta of Parquet has 64 bits of microseconds: make it a number of seconds"
    return ""


def _has_moment(value: datetime) -> bool:
    try:
        value.astimezone(UTC)
    except (OverflowError, ValueError):
        return False
    return True


def _check_one_type(identifier: str, column: str, values: Sequence[Any]) -> None:
    """Refuse a column of several types, which pyarrow would change, or refuse without the record."""
    first: dict[str, int] = {}
    for number, value in enumerate(values, 1):
        for kind in _kinds(value):
            first.setdefault(kind, number)
    if len(first) > 1 and not _are_numbers(first):
        kinds = " and ".join(f"{kind} (record {number})" for kind, number in list(first.items())[:2])
        message = f"column {column!r} of table {identifier!r} holds {kinds}: make them of one type"
        raise SyncerError(message)


def _kinds(value: Any) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, list):
        yield from (f"list of {kind}" for item in value for kind in _kinds(item))
    elif isinstance(value, datetime):
        yield "datetime" if value.tzinfo is None else "datetime with a time zone"
    else:
        scalar = scalar_of(value)
        assert scalar is not None  # as `normalized` gave it
        yield scalar.name


def _one_type(items: list[Any], *, ordered: bool) -> list[Any]:
    """Return the items of a list, or the sorted items of a set; refuse items of several types."""
    kinds = list(dict.fromkeys(kind for item in items for kind in _kinds(item)))
    if len(kinds) > 1:
        message = f"a list of Parquet holds values of one type, not {kinds[0]} and {kinds[1]}"
        raise SyncerError(message)
    if ordered:
        return items
    try:
        return sorted(items)
    except TypeError:  # None among them
        return sorted(items, key=repr)


def _are_numbers(kinds: Iterable[str]) -> bool:
    """Whether all are integers and floats, which one type can hold."""
    return len({kind.removesuffix("int").removesuffix("float") for kind in kinds}) == 1


def _schema_of(path: Path) -> Any:
    """Return the schema of a file with its metadata; an empty one if there is no file."""
    pyarrow, parquet = _libraries()
    if not path.exists():
        return pyarrow.schema([])
    with parquet.ParquetFile(path) as file:
        return file.schema_arrow


def _in_new_type(identifier: str, column: str, values: Sequence[Any]) -> Any:
    """Return an array of the type of the values.

    Raises:
        SyncerError: They have several types, or one that Parquet lacks.
    """
    pyarrow, _ = _libraries()
    _check_one_type(identifier, column, values)
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowException, ValueError, OverflowError, TypeError) as error:
        message = f"column {column!r} of table {identifier!r} has no Parquet type that holds all of its values"
        raise SyncerError(message) from error


def _in_old_type(values: Sequence[Any], kind: Any) -> Any:
    """Return an array of a type; None if one of the values would not come back from it unchanged."""
    pyarrow, _ = _libraries()
    try:
        array = pyarrow.array(values, kind)
        # Python has no nanoseconds: pyarrow would give them as what pandas has.
        is_moment = pyarrow.types.is_timestamp(kind)
        back = (array.cast(pyarrow.timestamp("us", kind.tz)) if is_moment else array).to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError, TypeError):
        return None
    mixed = any(isinstance(value, float) for value in values)
    return array if all(map(partial(_is_same, mixed=mixed), instants(values), instants(back))) else None


def _is_same(value: Any, back: Any, *, mixed: bool) -> bool:
    """Whether a value came back unchanged; in a column ``mixed`` with floats, an integer may come back as one."""
    if isinstance(value, list) and isinstance(back, list):
        return len(value) == len(back) and all(map(partial(_is_same, mixed=mixed), value, back))
    if isinstance(value, bool) is not isinstance(back, bool):
        return False
    if not isinstance(value, type(back)) and not (mixed and isinstance(value, int) and isinstance(back, float)):
        return False
    return bool(value == back or (value != value and back != back))  # noqa: PLR0124 - NaN is not equal to itself


def _libraries() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        message = "Parquet files need pyarrow: pip install 'datastoresync[arrow]'"
        raise MissingDependencyError(message) from error
    return pyarrow, parquet
