"""Importers for files, databases and syncers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from datastoresync.errors import ColumnError, DataWarning, DeclarationError
from datastoresync.importing.importer import Importer
from datastoresync.syncers.changes import Table
from datastoresync.syncers.files.csv_reader import read_csv, resolve_files
from datastoresync.syncers.projection import projected
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.source_info import StoredRows
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.syncers.table_rewrite import TableContents


@attrs.define(eq=False, slots=False)
class CSVImporter(Importer):
    """Reads CSV files: one, several, or those that a pattern such as ``"exports/*.csv"`` finds, into one branch.

    Text stays text; the branch's class says what is converted. A file that is malformed is refused with the line.

    Args:
        files: A path, a pattern, or several of them.
        encoding: What the files are written in; a byte order mark is read through.
        delimiter: What separates the columns.
        columns: The columns to take, or a mapping from a column's name to the attribute it becomes. None takes all.
        null: The text that stands for None.
        newest: Takes only the newest of the files, by its time of modification or by its name.
        final_newline: Refuses a file whose last line does not end in a newline, since it may be cut off.
        on_bad_row: ``"stop"`` or ``"collect"``; see `Importer`.
    """

    files: str | Path | Sequence[str | Path]
    encoding: str = attrs.field(default="utf-8", kw_only=True)
    delimiter: str = attrs.field(default=",", kw_only=True)
    columns: Mapping[str, str] | Sequence[str] | None = attrs.field(default=None, kw_only=True)
    null: str | None = attrs.field(default=None, kw_only=True)
    newest: Literal["modified", "name"] | None = attrs.field(default=None, kw_only=True)
    final_newline: bool = attrs.field(default=False, kw_only=True)
    on_bad_row: Literal["stop", "collect"] = attrs.field(default="stop", kw_only=True)

    def read(self) -> Records:
        """Return the records of all the files, in the order of their names."""
        return _joined([self._open(path) for path in resolve_files(self.files, newest=self.newest)])

    def _open(self, path: Path) -> Records:
        return read_csv(
            path,
            encoding=self.encoding,
            delimiter=self.delimiter,
            columns=self.columns,
            null=self.null,
            final_newline=self.final_newline,
            reject=self.reject,
        )


@attrs.define(eq=False, slots=False)
class TSVImporter(CSVImporter):
    """Reads files whose columns are separated by tabs; the same as `CSVImporter` otherwise."""

    delimiter: str = attrs.field(default="\t", kw_only=True)


@attrs.define(eq=False, slots=False)
class ParquetImporter(Importer):
    """Reads Parquet files: one, several, or those that a pattern such as ``"lake/*.parquet"`` finds, into one branch.

    Values are of the types that the file gives them: text is never read as a number. It needs pyarrow.

    Args:
        files: A path, a pattern, or several of them.
        columns: The columns to take, or a mapping from a column's name to the attribute it becomes. None takes all.
        newest: Takes only the newest of the files, by its time of modification or by its name.
        on_bad_row: ``"stop"`` or ``"collect"``; see `Importer`.
    """

    files: str | Path | Sequence[str | Path]
    columns: Mapping[str, str] | Sequence[str] | None = attrs.field(default=None, kw_only=True)
    newest: Literal["modified", "name"] | None = attrs.field(default=None, kw_only=True)
    on_bad_row: Literal["stop", "collect"] = attrs.field(default="stop", kw_only=True)

    def read(self) -> Records:
        """Return the records of all the files, in the order of their names."""
        from datastoresync.syncers.files.parquet import read_parquet

        paths = resolve_files(self.files, newest=self.newest)
        parts = [read_parquet(path, columns=self.columns) for path in paths]
        if len(parts) == 1 and parts[0].source_info is not None and not parts[0].source_info.rows:
            message = f"{paths[0]}: the file has columns and no rows"
            warnings.warn(message, DataWarning, stacklevel=2)
        return _joined(parts)


def _joined(parts: list[Records]) -> Records:
    """Return several records as one; their columns must be the same, in any order.

    Raises:
        ColumnError: if a file has other columns than the first.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if set(part.columns) != set(first.columns):
            differing = sorted(set(part.columns) ^ set(first.columns))
            message = f"not the columns of {first.where(0)}: they differ in {', '.join(map(repr, differing))}"
            raise ColumnError(message, where=part.where(0), columns=differing)
    starts: list[int] = []

    def chunks() -> Iterator[Columns]:
        count = 0
        for part in parts:
            starts.append(count)
            indexes = [part.columns.index(name) for name in first.columns]
            for columns in part.chunks:
                count += len(columns[0])
                yield [columns[index] for index in indexes]
            if count == starts[-1]:
                message = f"{part.where(0)}: the file has a header and no rows"
                warnings.warn(message, DataWarning, stacklevel=2)

    def where(index: int) -> str:
        part = max(part for part, start in enumerate(starts) if start <= index)
        return parts[part].where(index - starts[part])

    files = tuple(file for part in parts if part.source_info is not None for file in part.source_info.files)
    source_info = None if first.source_info is None else attrs.evolve(first.source_info, files=files)
    return Records(first.columns, chunks(), where, source_info=source_info)


class SQLImporter(Importer):
    """Reads the rows of a query, or of a whole table, through SQLAlchemy.

    Args:
        database: A URL, an engine of SQLAlchemy, or a `SQLSyncer`.
        query: Any statement that gives rows. A column's name is the attribute's: ``select id as idnumber, …``.
        table: The table to read instead, as its name or a `Table`.
        parameters: Values for the ``:names`` in the query.

    Raises:
        DeclarationError: unless one of ``query`` and ``table`` is given.
    """

    def __init__(
        self,
        database: Any,
        query: str | None = None,
        *,
        table: str | Table | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if (query is None) == (table is None):
            message = "SQLImporter takes a query or a table: SQLImporter(url, 'select …') or SQLImporter(url, table=…)"
            raise DeclarationError(message)
        self.syncer = database if isinstance(database, SQLSyncer) else SQLSyncer(database)
        self.query = query
        self.table = table
        self.parameters = parameters

    def source_info(self) -> StoredRows | None:
        """Return the table or the query, which a large one can be compared in."""
        if type(self).read is not SQLImporter.read:
            return None
        return StoredRows(
            self.syncer, Table(self.table) if isinstance(self.table, str) else self.table, self.query, self.parameters
        )

    def read(self) -> Records:
        """Return the rows as a stream."""
        if self.table is not None:
            return self.syncer.read(self.table)
        return self.syncer.query(self.query or "", self.parameters)


class StoreImporter(Importer):
    """Reads the branch from a syncer: through its ``read`` if it has one, and its ``load`` otherwise.

    Args:
        syncer: Anything with ``load(identifier)``; with ``read(table, attributes, identifiers=…)`` it is asked for what
            the branch's class declares, and streams it. Without, memberships in link tables are loaded, too.
    """

    def __init__(self, syncer: Any) -> None:
        self.syncer = syncer

    def source_info(self) -> StoredRows | None:
        """Return the table of a database, which a large one can be compared in."""
        if type(self).read is not StoreImporter.read or not isinstance(self.syncer, SQLSyncer):
            return None
        return StoredRows(self.syncer, self.description.table, attributes=self.description.columns)

    def read(self) -> Any:
        """Return the records, each attribute under its own name."""
        table, wanted = self.description.table, self.description.columns
        identifiers = self.description.schema.identifiers
        read = getattr(self.syncer, "read", None)
        if callable(read):
            return read(table, wanted, identifiers=identifiers)
        if table.links:
            return projected(self._opened, table, wanted, identifiers)
        records = self.syncer.load(table.name)
        if not table.columns:
            return records
        attributes = {column: attribute for attribute, column in table.columns.items()}
        return ({attributes.get(name, name): value for name, value in record.items()} for record in records)

    def _opened(self, name: str) -> Records:
        """Load a table as a stream of all of its columns."""
        contents = TableContents.of(self.syncer.load(name), name)
        chunk = [[record.get(column) for record in contents.records] for column in contents.columns]
        chunks = [chunk] if chunk else []
        return Records(contents.columns, chunks, lambda index: f"record {index + 1} of table {name!r}")
