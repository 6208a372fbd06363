"""CSV and TSV files that the embedded engine reads, once it is sure that it reads them as the in-memory one would."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from datastoresync.engines.local import LocalRelation
from datastoresync.engines.relation import Unfaithful
from datastoresync.engines.session import DuckDB, literal
from datastoresync.errors import MalformedFileError
from datastoresync.syncers.origin import DelimitedFile, DelimitedFiles
from datastoresync.syncers.records import Columns
from datastoresync.syncers.textfile import state_of

__all__ = ["DelimitedRelation"]

_SAMPLE = 100
"""Rows whose values stand for all others, where only their types matter."""
_ODD = "\x01"
"""Parts no column of a line that is to be read as a whole; a file that has it is left to the in-memory engine."""


class DelimitedRelation(LocalRelation):
    """The records of CSV or TSV files, one a line.

    Args:
        duckdb: How the engine runs.
        origin: The files, which were looked through by our own reader.
        layout: The class of the objects.

    Raises:
        Unfaithful: if anything about the files, or a value in them, is for the in-memory engine to judge.
    """

    def __init__(self, duckdb: DuckDB, origin: DelimitedFiles, layout: Any) -> None:
        first = origin.files[0]
        super().__init__(duckdb, first.columns, ["text"] * len(first.columns), layout)
        self.files = origin.files
        self._names = [file.columns for file in self.files]
        self._open = [_Held(file) for file in self.files]
        self._quoted = [False] * len(self.files)
        for place, file in enumerate(self.files):
            _check_file(file)
            self._quoted[place] = '"' in file.special
        self.ascii = not any("\x80" in file.special or "\t" in file.special for file in self.files)
        with self.duckdb.connected() as connection, self.duckdb.refusals("read the files as strictly"):
            for file, held, quoted in zip(self.files, self._open, self._quoted, strict=True):
                if quoted:
                    _check_quotes(connection, file, held)
            self.check(connection)
        if not any(self._quoted) and self.count > sum(file.last - file.line for file in self.files):
            raise Unfaithful("DuckDB finds more rows than there are lines")

    def scan(self) -> str:
        """Return a subquery that gives the columns under the names of `raw`."""
        parts = []
        for file, held in zip(self.files, self._open, strict=True):
            taken = []
            for place, name in enumerate(self.columns):
                column = f"h{file.places[file.columns.index(name)]}"
                value = column if file.null is None else f"nullif({column}, {literal(file.null)})"
                taken.append(f"{value} AS c{place}")
            types = ", ".join(f"h{place}: 'VARCHAR'" for place in range(len(file.header)))
            options = f"columns={{{types}}}, delim={literal(file.delimiter)}, quote='\"', escape='\"', strict_mode=true, null_padding=false"
            parts.append(f"SELECT {', '.join(taken)} FROM {_reading(held, options)}")  # noqa: S608 - names are ours
        return f"({' UNION ALL '.join(parts)})"

    def whole(self) -> tuple[Any, str] | None:
        """Return a query for the lines, if all files are written in one way."""
        first = self.files[0]
        shape = (first.delimiter, first.header, first.places, first.columns, first.null, len(first.header) > 1)
        for file in self.files:
            if (file.delimiter, file.header, file.places, file.columns, file.null, len(file.header) > 1) != shape:
                return None
        if not shape[-1]:
            return None
        lines = " UNION ALL ".join(
            f"SELECT line FROM {_lines(held)} WHERE line <> ''"  # noqa: S608 - names are ours
            for held in self._open
        )
        return shape, f"({lines})"

    @property
    def sample(self) -> dict[str, Any]:
        """A value of each column that has one among the first rows."""
        file, held = self.files[0], self._open[0]
        with Path(held.path).open(encoding="utf-8", newline="") as text:
            first = [line.rstrip("\n") for line in islice(text, file.line, file.line + _SAMPLE)]
        columns = self.unwritten([line for line in first if line])
        values = (next((value for value in column if value is not None), None) for column in columns)
        return dict(zip(file.columns, values, strict=True))

    def unwritten(self, rows: Sequence[str]) -> Columns:
        """Return the columns of lines."""
        file = self.files[0]
        columns = list(zip(*csv.reader(rows, delimiter=file.delimiter, strict=True), strict=True))
        taken = [columns[place] for place in file.places]
        if file.null is None:
            return taken
        return [[None if value == file.null else value for value in column] for column in taken]

    def unchanged(self) -> None:
        """Raise `MalformedFileError` if a file was written to since it was imported; one that was replaced is kept."""
        for held in self._open:
            held.check()


class _Held:
    """A file that is kept open, so that it can be read although another one takes its name."""

    def __init__(self, file: DelimitedFile) -> None:
        self.file = file
        self.binary: BinaryIO = file.path.open("rb")
        if state_of(os.fstat(self.binary.fileno())) != file.state:
            raise Unfaithful("the file changed while it was read")
        own = Path(f"/proc/self/fd/{self.binary.fileno()}")
        self.path = str(own) if own.exists() else str(file.path.absolute())

    def check(self) -> None:
        found = os.fstat(self.binary.fileno()) if self.path.startswith("/proc") else os.stat(self.path)
        if state_of(found)[1:] != self.file.state[1:]:
            message = "the file changed after it was imported: import it again"
            raise MalformedFileError(message, where=str(self.file.path))


def _reading(held: _Held, options: str) -> str:
    return (
        f"read_csv({literal(held.path)}, auto_detect=false, skip={held.file.line}, header=false, nullstr='\x02\x03', {options})"
    )


def _lines(held: _Held) -> str:
    return _reading(held, f"columns={{line: 'VARCHAR'}}, delim='{_ODD}', quote='', escape=''")


def _check_file(file: DelimitedFile) -> None:
    """Leave what is unusual about a file to the in-memory engine.

    Raises:
        Unfaithful: for other encodings, other ends of lines, and characters that DuckDB might take for something else.
    """
    if file.encoding not in ("utf-8", "ascii"):
        raise Unfaithful(f"the file is written in {file.encoding}")
    if len(file.delimiter.encode()) > 1 or file.delimiter in "\x01\x02\x03 ":
        raise Unfaithful("the delimiter is an unusual one")
    if file.null is not None and not file.null.isprintable():
        raise Unfaithful("the text for None is an unusual one")
    if file.special & set("\r\x01\x02"):
        raise Unfaithful("the file has control characters in it, or lines that end in another way")


def _check_quotes(connection: Any, file: DelimitedFile, held: _Held) -> None:
    """Raise `Unfaithful` unless every line is a whole record whose quotes stand as they should."""
    parting = re.escape(file.delimiter)
    value = f'(?:"(?:[^"]|"")*"|[^"{parting}]*)'
    pattern = f"{value}(?:{parting}{value})*"
    query = (
        f"SELECT count(*) FROM {_lines(held)} "  # noqa: S608 - names are ours
        f"WHERE contains(line, '\"') AND NOT regexp_full_match(line, {literal(pattern)})"
    )
    if connection.execute(query).fetchone()[0]:
        raise Unfaithful("some records of the file go over several lines")
