"""Parquet files that the embedded engine reads: given ones, and temporary ones that rows are written to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any, Self

import attrs

from datastoresync.engines.duckdb.connection import DuckDB, literal
from datastoresync.engines.duckdb.join import JoinedRelation
from datastoresync.engines.duckdb.relation import HeldFile, LocalRelation
from datastoresync.engines.duckdb.types import Kind, array_of, declared, kind_of
from datastoresync.engines.relation import CannotPushDown, Relation
from datastoresync.runtime import finalizer
from datastoresync.scratch import ScratchFolder
from datastoresync.syncers.arrow import ArrowStream
from datastoresync.syncers.records import Columns, ParquetFile, ParquetFiles, Records

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
        scratch = ScratchFolder(duckdb.folder)
        self._folder = scratch.path
        self._behind = ThreadPoolExecutor(1, "datastoresync-parquet")
        self._written: Future[None] | None = None
        self.close = finalizer(self, _end, self._behind, scratch)
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


def _end(behind: ThreadPoolExecutor, scratch: ScratchFolder) -> None:
    behind.shutdown()  # what is still being written would be written beside the folder's end
    scratch.remove()


class ColumnarRelation(JoinedRelation):
    """Rows in Parquet files.

    Args:
        duckdb: How the engine runs.
        parts: The files; each has all columns.
        columns: What the columns are called here.
        kinds: What they hold.
        schema: The class of the objects.
        plain: The columns whose values are taken as they are, without the converters of the class.
        files: The user's files, which are kept open.
        store: Temporary files, which are removed with the relation.

    Raises:
        CannotPushDown: if a value, or what a file says of itself, is for the in-memory engine to judge.
    """

    def __init__(
        self,
        duckdb: DuckDB,
        parts: Sequence[Part],
        columns: Sequence[str],
        kinds: Sequence[Kind],
        schema: Any,
        *,
        plain: Collection[str] = (),
        files: Sequence[HeldFile] = (),
        store: ParquetStore | None = None,
    ) -> None:
        super().__init__(duckdb, columns, ["text" if kind.name == "null" else kind.name for kind in kinds], schema)
        self.parts = tuple(parts)
        self.ascii = False
        self.kinds_given = tuple(kinds)
        self._plain = frozenset(plain)
        self._files = tuple(files)
        self._store = store
        self.key_filter: tuple[LocalRelation, bool] | None = None

    # Where they come from.

    @classmethod
    def of_files(cls, duckdb: DuckDB, source_info: ParquetFiles, schema: Any) -> Self:
        """Return the rows of Parquet files, where they are.

        Raises:
            CannotPushDown: if anything about them is for the in-memory engine to judge.
        """
        pyarrow, _ = arrow_libraries()
        if not all(file.rows for file in source_info.files):
            raise CannotPushDown("there is a file without rows")
        files = [HeldFile(file.path, file.state) for file in source_info.files]
        columns = source_info.files[0].columns
        for name in columns:
            found = {file.types[file.columns.index(name)] for file in source_info.files}
            if len(found) > 1 and any(map(pyarrow.types.is_decimal, found)):
                message = f"{name} has other digits in some of the files"
                raise CannotPushDown(message)
        parts = [_part(pyarrow, held.path, file, columns) for held, file in zip(files, source_info.files, strict=True)]
        kinds = [_common(name, [part.kinds[index] for part in parts]) for index, name in enumerate(columns)]
        relation = cls(duckdb, parts, columns, kinds, schema, files=files)
        relation.open()
        return relation

    @classmethod
    def of_records(cls, duckdb: DuckDB, records: Records, schema: Any) -> Self:
        """Return the rows of records, which are read to their end, and written to a temporary file.

        Raises:
            CannotPushDown: if a column is of no plain type or of several, or if only the in-memory engine can
                judge it.
        """
        store = ParquetStore(duckdb, records.columns)
        for columns in records.chunks:
            store.write(columns)
        return cls.of_store(duckdb, store, records.columns, schema)

    @classmethod
    def of_relation(cls, duckdb: DuckDB, relation: Relation, schema: Any) -> Self:
        """Return the rows of a relation that is elsewhere, through its ``arrow`` if it has one.

        Raises:
            CannotPushDown: if something in them is of a type that is not the same here.
        """
        store = ParquetStore(duckdb, relation.columns)
        arrow: Callable[[], Any] | None = getattr(relation, "arrow", None)
        if arrow is not None:
            for batch in arrow():
                store.write_arrays(batch.columns)
        else:
            for columns in relation.rows():
                store.write(columns)
        return cls.of_store(duckdb, store, relation.columns, schema, known=relation.count)

    @classmethod
    def of_store(
        cls, duckdb: DuckDB, store: ParquetStore, columns: Sequence[str], schema: Any, *, known: int | None = None
    ) -> Self:
        """Return the rows that were written to a store.

        Args:
            duckdb: How the engine runs.
            store: The store.
            columns: What its columns are called.
            schema: The class of the objects.
            known: How many rows there are, if they were checked before.

        Raises:
            CannotPushDown: if something in them is for the in-memory engine to judge.
        """
        store.done()
        relation = cls(duckdb, store.parts, columns, store.kinds, schema, store=store)
        if known is not None and known == store.count and relation.native:
            relation.count = known
        else:
            relation.open()
        return relation

    @property
    def native(self) -> bool:
        """Whether all columns hold what the class declares, so that no value must be looked at to be converted."""
        return all(
            (converter := self.converter(name)) is None
            or converter.identity
            or declared("null", converter)[0] == declared(kind, None)[0] != ""
            for name, kind in self.kinds.items()
        )

    def open(self) -> None:
        """Look through all rows; set `count`.

        Raises:
            CannotPushDown: for anything that the in-memory engine might refuse, warn of, or unite.
        """
        if not self.parts:
            raise CannotPushDown("there are no rows")
        with self.duckdb.connected() as connection, self.duckdb.translated_errors("read the rows as strictly"):
            self._check_values(connection)
            self.check(connection)

    def _check_values(self, connection: Any) -> None:
        """See that DuckDB takes the columns for what Arrow does, and read each value once."""
        for part in self.parts:
            asked = ", ".join(map(_quoted, part.names))
            types = connection.execute(f"DESCRIBE SELECT {asked} FROM {_reading(part)}").fetchall()  # noqa: S608 - quoted
            for (_, found, *_), kind, name in zip(types, part.kinds, self.columns, strict=True):
                if kind.read and found not in kind.read and found.partition("(")[0] not in kind.read:
                    message = f"DuckDB takes {name} for {found}"
                    raise CannotPushDown(message)
            seen = [f"bit_xor(hash({_quoted(name)}))" for name in part.names]
            fine = [
                f"bool_and({kind.valid.replace('@', _quoted(name))})"
                for name, kind in zip(part.names, part.kinds, strict=True)
                if kind.valid
            ]
            fine += [
                f"NOT bool_or(contains({_quoted(name)}, chr(0)))"
                for column, name, kind in zip(self.columns, part.names, part.kinds, strict=True)
                if kind.name == "text" and column in self.schema.identifiers
            ]
            values = connection.execute(
                f"SELECT {', '.join([*fine, *seen])} FROM {_reading(part)}"  # noqa: S608 - names are quoted
            ).fetchone()
            if False in values[: len(fine)]:
                raise CannotPushDown("there is a value that SQL, or Python, does not have")

    # What `LocalRelation` asks.

    def scan(self) -> str:
        """Return a subquery that gives the columns under the names of `raw`."""
        parts = []
        for part in self.parts:
            taken = [
                f"{self._read(index, name, kind)} AS c{index}"
                for index, (name, kind) in enumerate(zip(part.names, part.kinds, strict=True))
            ]
            parts.append(f"SELECT {', '.join(taken)} FROM {_reading(part)}")  # noqa: S608 - names are quoted
        rows = f"({' UNION ALL '.join(parts)})"
        if self.key_filter is None:
            return rows
        other, there = self.key_filter
        join = f"{'SEMI' if there else 'ANTI'} JOIN {other.scan()} AS r ON {self.same_key(other)}"
        return f"(SELECT l.* FROM {rows} AS l {join})"  # noqa: S608 - names are ours

    def among(self, other: LocalRelation, count: int, *, there: bool) -> Self:
        """Return so many of the rows, those whose keys another relation has or lacks."""
        found = copy.copy(self)
        found.count, found.key_filter = count, (other, there)
        return found

    def _read(self, index: int, name: str, kind: Kind) -> str:
        if kind.name != "null":
            return kind.sql.replace("@", _quoted(name))
        return "CAST(NULL AS VARCHAR)" if self.kinds_given[index].name == "null" else "NULL"

    def converter(self, name: str) -> Any:
        """Return the converter of an attribute; None where values are taken as they are."""
        return None if name in self._plain else super().converter(name)

    def written_kind(self, name: str) -> Kind:
        """Return what a column holds, and how."""
        return self.kinds_given[self.columns.index(name)]

    def given(self, columns: Columns) -> Columns:
        """Return what an import would be given, of all columns as SQL gives them."""
        return [kind.given(column) for kind, column in zip(self.kinds_given, columns, strict=True)]

    def unchanged(self) -> None:
        """Raise `MalformedFileError` if a file was written to since it was imported; one that was replaced is kept."""
        for file in self._files:
            file.check()

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            file.close()
        if self._store is not None:
            self._store.close()


class Spool:
    """Keeps what was spooled of one table, as long as the table is what it was.

    Args:
        duckdb: How the embedded engine runs.
    """

    def __init__(self, duckdb: DuckDB) -> None:
        self.duckdb = duckdb
        self._spooled: ColumnarRelation | None = None
        self._of: Any = None

    def local(self, relation: Relation, schema: Any) -> JoinedRelation:
        """Return a relation with the same rows that the embedded engine reads: itself, if it is one.

        Raises:
            CannotPushDown: if a type in it is not the same here.
            SyncerError: if it cannot be read any more.
        """
        if isinstance(relation, JoinedRelation):
            return relation
        moment = (relation, getattr(relation, "snapshot", None))
        if self._spooled is None or self._of != moment:
            self._spooled = ColumnarRelation.of_relation(self.duckdb, relation, schema)
            self._of = moment
        return self._spooled


def stream_relation(duckdb: DuckDB, stream: ArrowStream, schema: Any) -> ColumnarRelation:
    """Return the rows of a stream, which is read to its end.

    Args:
        duckdb: How the embedded engine runs.
        stream: The stream; it can be read from its beginning again if this fails.
        schema: The class of the objects.

    Raises:
        CannotPushDown: if something in it is for the in-memory engine to judge.
    """
    pyarrow, _ = arrow_libraries()
    names = stream.schema.names
    for name, kind in zip(names, stream.schema.types, strict=True):
        kind_of(pyarrow, name, kind)
    store = ParquetStore(duckdb, names)
    try:
        _fill(store, stream)
        return ColumnarRelation.of_store(duckdb, store, names, schema)
    except CannotPushDown:
        stream.put_back(store.batches())
        raise


def _fill(store: ParquetStore, stream: ArrowStream) -> None:
    batches = stream.batches()
    while True:
        try:
            batch = next(batches, None)
        except Exception as error:
            stream.put_back((), error)
            raise CannotPushDown("it broke off") from error
        if batch is None:
            return
        try:
            store.write_arrays(batch.columns)
        except CannotPushDown:
            stream.put_back([batch])
            raise


def _reading(part: Part) -> str:
    return f"read_parquet({literal(part.path)}, hive_partitioning=false)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _part(pyarrow: Any, path: str, file: ParquetFile, columns: Sequence[str]) -> Part:
    """Return a file as it is read, with its columns in the order of the first file's."""
    if len({name.casefold() for name in file.header}) < len(file.header):
        raise CannotPushDown("some names of columns differ only in case, which DuckDB takes for one")
    if any(mark in path for mark in "*?["):
        raise CannotPushDown("the path has characters in it that DuckDB takes for a pattern")
    places = [file.columns.index(name) for name in columns]
    names = tuple(file.header[file.indexes[index]] for index in places)
    kinds = tuple(kind_of(pyarrow, name, file.types[index]) for name, index in zip(columns, places, strict=True))
    return Part(path, names, kinds)


def _common(name: str, kinds: Sequence[Kind]) -> Kind:
    """Return what a column of several files holds."""
    found = {(kind.name, kind.zone): kind for kind in kinds if kind.name != "null"}
    if len(found) > 1:
        message = f"{name} is of different types in the files"
        raise CannotPushDown(message)
    return next(iter(found.values()), kinds[0])
