"""CSV and TSV files that the embedded engine reads, once it is certain that it reads them as the strict reader does."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from datastoresync.engines.duckdb.connection import DuckDB, literal
from datastoresync.engines.duckdb.join import JoinedRelation
from datastoresync.engines.duckdb.relation import HeldFile
from datastoresync.engines.lines import keyed_lines
from datastoresync.engines.relation import CannotPushDown
from datastoresync.errors import DatastoreSyncError
from datastoresync.syncers.files.csv_reader import SHORT, read_csv
from datastoresync.syncers.records import Columns, DelimitedFile, DelimitedFiles, Records, with_none

_SAMPLE = 100
"""Rows whose values stand for all others, where only their types matter."""
_SEARCHES, _KEPT = 8, 32 << 20
"""Searches for keys from which on lines are kept in memory, and the bytes of files of which they are."""
_BUFFER = 8 << 20
"""Bytes that a thread reads at a time: a quarter of what DuckDB would, which takes no longer, and less memory."""
_COLUMNS = 1000
"""Columns of a file that are worth a statement about each."""
_ODD = "\x01"
"""Parts no column of a line that is to be read as a whole; DuckDB refuses a line that has it."""


class Unreadable(CannotPushDown):
    """A file that DuckDB would read otherwise, or not at all, and our own reader may well."""


class DelimitedRelation(JoinedRelation):
    """The records of CSV or TSV files, one a line.

    Args:
        duckdb: How the engine runs.
        source_info: The files, which were looked through by our own reader.
        schema: The class of the objects.

    Raises:
        Unreadable: if DuckDB cannot be trusted with the files.
        CannotPushDown: if anything about the values in them is for the in-memory engine to judge.
    """

    def __init__(self, duckdb: DuckDB, source_info: DelimitedFiles, schema: Any) -> None:
        first = source_info.files[0]
        super().__init__(duckdb, first.columns, ["text"] * len(first.columns), schema)
        self.files = source_info.files
        for file in self.files:
            _check_file(file)
        self.ascii = not any("\x80" in file.special for file in self.files)
        self.nullable = any(file.null is not None for file in self.files)
        self._quotes = any('"' in file.special for file in self.files)
        self._nothing = uuid4().hex  # what no value can be known to be, since some text must stand for NULL
        self._searches = 0
        self._lines_by_key: dict[Any, str] | None = None
        self._held = [HeldFile(file.path, file.state) for file in self.files]
        self._check()

    def _check(self) -> None:
        if len(self.files) > 1 and not all(map(_begun, self.files, self._held)):
            raise CannotPushDown("one of the files may have no rows")
        with self.duckdb.connected() as connection:
            try:
                with self.duckdb.translated_errors("read the files as strictly"):
                    for file, held in zip(self.files, self._held, strict=True):
                        if '"' in file.special:
                            self._check_quotes(connection, file, held)
                    self.check(connection)
            except CannotPushDown as reason:
                if reason.__cause__ is not None:
                    raise Unreadable(*reason.args) from reason
                raise

    def _check_quotes(self, connection: Any, file: DelimitedFile, held: HeldFile) -> None:
        """Raise `Unreadable` unless every line is a whole record whose quotes stand as they should."""
        parting = re.escape(file.delimiter)
        value = f'(?:"(?:[^"]|"")*"|[^"{parting}]*)'
        pattern = f"{value}(?:{parting}{value})*"
        query = (
            f"SELECT count(*) FROM {self._lines(file, held)} "  # noqa: S608 - names are ours
            f"WHERE contains(line, '\"') AND NOT regexp_full_match(line, {literal(pattern)})"
        )
        if connection.execute(query).fetchone()[0]:
            raise Unreadable("some records of the file go over several lines")

    def scan(self) -> str:
        """Return a subquery that gives the columns under the names of `raw`."""
        parts = []
        for file, held in zip(self.files, self._held, strict=True):
            taken = []
            for index, name in enumerate(self.columns):
                column = f"h{file.indexes[file.columns.index(name)]}"
                value = column if file.null is None else f"nullif({column}, {literal(file.null)})"
                taken.append(f"{value} AS c{index}")
            types = ", ".join(f"h{index}: 'VARCHAR'" for index in range(len(file.header)))
            options = f"columns={{{types}}}, delim={literal(file.delimiter)}, quote='\"', escape='\"'"
            parts.append(f"SELECT {', '.join(taken)} FROM {self._reading(file, held, options)}")  # noqa: S608 - names are ours
        return f"({' UNION ALL '.join(parts)})"

    def _reading(self, file: DelimitedFile, held: HeldFile, options: str) -> str:
        return (
            f"read_csv({literal(held.path)}, auto_detect=false, skip={file.line}, header=false, "
            f"nullstr='{self._nothing}', strict_mode=true, null_padding=false, buffer_size={_BUFFER}, {options})"
        )

    def _lines(self, file: DelimitedFile, held: HeldFile) -> str:
        return self._reading(file, held, f"columns={{line: 'VARCHAR'}}, delim='{_ODD}', quote='', escape=''")

    def whole(self) -> tuple[Any, str, int] | None:
        """Return how the lines are written, if all files are written in one way, a query for them, and their bytes."""
        ways = {(file.delimiter, file.header, file.indexes, file.columns, file.null) for file in self.files}
        if len(ways) > 1 or len(self.files[0].header) == 1:
            return None  # an empty line may be a value of a single column
        lines = " UNION ALL ".join(
            f"SELECT line FROM {self._lines(file, held)}"  # noqa: S608 - names are ours
            for file, held in zip(self.files, self._held, strict=True)
        )
        query = f"SELECT line FROM ({lines}) WHERE line <> ''"  # noqa: S608 - names are ours
        return ways.pop(), query, DelimitedFiles(self.files).size

    @property
    def sample(self) -> dict[str, Any]:
        """A value of each column that has one among the first rows."""
        file, held = self.files[0], self._held[0]
        self.unchanged()
        with Path(held.path).open(encoding="utf-8", newline="") as text:
            lines = (line.rstrip("\r\n") for line in islice(text, file.line, None))
            columns = self.unwritten(list(islice(filter(None, lines), _SAMPLE)))
        values = (next((value for value in column if value is not None), None) for column in columns)
        return dict(zip(file.columns, values, strict=True))

    def unwritten(self, rows: Sequence[str]) -> Columns:
        """Return the columns of lines."""
        file = self.files[0]
        columns: Sequence[Sequence[str]]
        if self._quotes:
            columns = list(zip(*csv.reader(rows, delimiter=file.delimiter, strict=True), strict=True))
        else:
            width = len(file.header)
            values = file.delimiter.join(rows).split(file.delimiter)
            columns = [values[index::width] for index in range(width)]
        return [with_none(columns[index], file.null) for index in file.indexes]

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the rows of these keys."""
        index = self._index()
        if index is None:
            yield from super().find(keys)
        elif lines := [index[key] for key in keys if key in index]:
            yield self.unwritten(lines)

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are."""
        index = self._index()
        return super().present(keys) if index is None else {key for key in keys if key in index}

    def _index(self) -> dict[Any, str] | None:
        """Return the lines by key, once a small file was searched so often that they are read into memory."""
        self._searches += 1
        if self._searches == _SEARCHES and DelimitedFiles(self.files).size <= _KEPT:
            self.unchanged()
            found = keyed_lines(self.files, self.schema)
            self._lines_by_key = None if found is None else found[0]
        return self._lines_by_key

    def unchanged(self) -> None:
        """Raise `MalformedFileError` if a file was written to since it was imported; one that was replaced is kept."""
        for held in self._held:
            held.check()

    def close(self) -> None:
        """Let go of the files."""
        for held in self._held:
            held.close()


def _begun(file: DelimitedFile, held: HeldFile) -> bool:
    """Say whether a file surely has a row."""
    with Path(held.path).open("rb") as binary:
        return any(line.strip(b"\r\n") for line in islice(binary, file.line, file.line + _SAMPLE))


def _check_file(file: DelimitedFile) -> None:
    """Leave what is unusual about a file to our own reader.

    Raises:
        Unreadable: for other encodings, other ends of lines, and characters that DuckDB might take for something else.
    """
    if file.encoding not in ("utf-8", "ascii"):
        message = f"the file is written in {file.encoding}"
        raise Unreadable(message)
    if (
        len(file.delimiter.encode()) > 1
        or file.delimiter in "\x01 "
        or not (file.delimiter.isprintable() or file.delimiter == "\t")
    ):
        raise Unreadable("the delimiter is an unusual one")
    if file.null is not None and not file.null.isprintable():
        raise Unreadable("the text for None is an unusual one")
    if file.own_reader:
        raise Unreadable("its options, or apostrophes in front of formulas, are for our own reader alone")
    if file.text_format.skip_lines and '"' in file.special:
        raise Unreadable("lines above its header are skipped, and it has quotes")
    if len(file.header) > _COLUMNS:
        raise Unreadable("it has very many columns")
    if "\r" in file.special:
        raise Unreadable("some of its lines end in another way than the others")
    if "…" in file.special or csv.field_size_limit() < SHORT:
        raise Unreadable("a line of it may be longer than is taken")
    if any("\n" in name or "\r" in name for name in file.header):
        raise Unreadable("its header goes over several lines")


def reread(source_info: DelimitedFiles) -> Records:
    """Return the records of files that were looked through before, which gave all warnings.

    What is wrong with them raises `CannotPushDown` while they are read: the in-memory engine says what it is.
    """
    columns = source_info.files[0].columns

    def chunks() -> Iterator[Columns]:
        for file in source_info.files:
            count = 0
            for chunk in _refused(file):
                count += len(chunk[0])
                yield [chunk[file.columns.index(name)] for name in columns]
            if not count and len(source_info.files) > 1:
                raise CannotPushDown("one of the files has no rows")

    return Records(columns, chunks(), lambda index: f"row {index + 1}")


def _refused(file: DelimitedFile) -> Iterator[Columns]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = read_csv(file.path, text_format=file.text_format)
        if records.source_info.files[0].state != file.state:
            raise CannotPushDown("the file changed while it was read")
        yield from records.chunks
    except DatastoreSyncError as error:
        raise CannotPushDown("the files are not as they should be") from error
