"""Rows that are written to temporary Parquet files of ours as they come, so that they never are in memory together."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.types import Kind, array_of, kind_of
from datastoresync.engines.relation import CannotPushDown
from datastoresync.runtime import finalizer
from datastoresync.syncers.records import Columns

_ROWS = 120_000
"""Rows that are written together: as many as DuckDB reads at a time."""
_BYTES = 64 * 2**20
"""Bytes that are written together, if the rows are long."""


def arrow_libraries() -> tuple[Any, Any]:
    """Return ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        CannotPushDown: if pyarrow is not installed.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise CannotPushDown("pyarrow is not installed: pip install 'datastoresync[duckdb]'") from error


@attrs.frozen
class Part:
    """A Parquet file with some of the rows.

    Args:
        path: What opens it.
        names: What the columns are called in it.
        kinds: What they hold.
    """

    path: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]


class ParquetStore:
    """A private folder that is removed with this object; a column is called ``c0``, ``c1`` and so on.

    A column's type is that of its values. As long as all of them are None it has none, and a new file is begun when the
    first one comes.

    Args:
        duckdb: Says where temporary files go.
        names: The columns, for messages.
    """

    def __init__(self, duckdb: DuckDB, names: Sequence[str]) -> None:
        self._pyarrow, self._parquet = arrow_libraries()
        self._names = tuple(names)
        self._folder = Path(tempfile.mkdtemp(prefix="datastoresync-", dir=duckdb.folder))
        self._behind = ThreadPoolExecutor(1, "datastoresync-parquet")
        self._written: Future[None] | None = None
        self.close = finalizer(self, _end, self._behind, self._folder)
        """Removes the files."""
        self.parts: list[Part] = []
        self.count = 0
        self._types: list[Any] = [self._pyarrow.null()] * len(self._names)
        self._zones: list[Any] = [None] * len(self._names)
        self._held: list[Any] = []
        self._writer: Any = None

    def write_arrays(self, arrays: Sequence[Any]) -> None:
        """Take arrays of Arrow, one a column.

        Raises:
            CannotPushDown: if a column is of another type than before, or of one that SQL takes for something else.
        """
        stored = [self._stored(*pair) for pair in zip(self._names, arrays, strict=True)]
        types = [
            self._common(*column)
            for column in zip(self._names, self._types, [array.type for array in stored], strict=True)
        ]
        if types != self._types:
            self.done()
            self._types = types
        stored = list(map(self._typed, stored, types))
        batch = self._pyarrow.record_batch(stored, names=[f"c{index}" for index in range(len(stored))])
        self._held.append(batch)
        self.count += batch.num_rows
        if sum(len(one) for one in self._held) >= _ROWS or sum(one.nbytes for one in self._held) >= _BYTES:
            self._flush()

    def write(self, columns: Columns) -> None:
        """Take a chunk of Python's values.

        Raises:
            CannotPushDown: if they are of no plain type, or of several; see `array_of`.
        """
        self.write_arrays(self.arrays(columns))

    def arrays(self, columns: Columns, first: int = 0) -> list[Any]:
        """Return some columns as arrays of Arrow, of which the first stands at this index.

        Raises:
            CannotPushDown: if they are of no plain type, or of several; see `array_of`.
        """
        found = []
        for index, column in enumerate(columns, first):
            array, zone = array_of(self._pyarrow, self._names[index], column)
            self._note_zone(index, zone)
            found.append(array)
        return found

    def _note_zone(self, index: int, zone: Any) -> None:
        if zone is not None:
            if self._zones[index] not in (None, zone):
                message = f"{self._names[index]} holds moments of several time zones"
                raise CannotPushDown(message)
            self._zones[index] = zone

    def done(self) -> None:
        """Write what is still held; what comes then begins a new file."""
        self._flush()
        self._wait()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What each column holds."""
        found = map(partial(kind_of, self._pyarrow), self._names, self._types)
        return tuple(
            kind if zone is None else attrs.evolve(kind, zone=zone)
            for kind, zone in zip(found, self._zones, strict=True)
        )

    def batches(self) -> Iterator[Any]:
        """Yield everything that was taken, as record batches of one schema, under the names of the columns."""
        self.done()
        schema = self._pyarrow.schema(list(zip(self._names, self._types, strict=True)))
        for part in self.parts:
            with self._parquet.ParquetFile(part.path) as file:
                for batch in file.iter_batches():
                    arrays = list(map(self._typed, batch.columns, self._types))
                    yield self._pyarrow.record_batch(arrays, schema=schema)

    def _typed(self, array: Any, kind: Any) -> Any:
        return self._pyarrow.nulls(len(array), kind) if array.type != kind else array

    def _stored(self, name: str, array: Any) -> Any:
        """Return an array in the type in which it is written, with the same values for Python."""
        pyarrow = self._pyarrow
        kind = kind_of(pyarrow, name, array.type)
        try:
            if pyarrow.types.is_dictionary(array.type):
                values = self._stored(name, array.dictionary)  # views of text cannot be taken one by one
                array = pyarrow.DictionaryArray.from_arrays(array.indices, values).dictionary_decode()
            if kind.stored is not None and array.type != kind.stored:
                return array.cast(kind.stored)
            if kind.name in ("text", "bytes"):
                plain = pyarrow.string() if kind.name == "text" else pyarrow.binary()
                return array if array.type == plain else array.cast(plain)
        except pyarrow.ArrowException as error:
            message = f"{name} holds a value that Python cannot"
            raise CannotPushDown(message) from error
        return array

    def _common(self, name: str, before: Any, now: Any) -> Any:
        if now in (before, self._pyarrow.null()):
            return before
        if before == self._pyarrow.null():
            return now
        message = f"{name} holds values of several types"
        raise CannotPushDown(message)

    def _flush(self) -> None:
        """Let what is held be written while the next rows come."""
        self._wait()
        if not self._held:
            return
        table = self._pyarrow.Table.from_batches(self._held)
        self._held = []
        if self._writer is None:
            path = self._folder / f"{len(self.parts)}.parquet"
            self._writer = self._parquet.ParquetWriter(
                path, table.schema, compression="lz4", use_dictionary=False, write_statistics=False
            )
            self.parts.append(Part(str(path), tuple(table.schema.names), self.kinds))
        self._written = self._behind.submit(self._writer.write_table, table, row_group_size=_ROWS)

    def _wait(self) -> None:
        if self._written is not None:
            written, self._written = self._written, None
            written.result()


def _end(behind: ThreadPoolExecutor, folder: Path) -> None:
    behind.shutdown()  # what is still being written would be written beside the folder's end
    shutil.rmtree(folder, ignore_errors=True)
