"""A strict reader of CSV and TSV files: a malformed file is refused with the line, and nothing is guessed.

Every value is text. A file is looked through once before its first record is delivered, and a change to it meanwhile is
noticed. At no time is much more of it in memory than some rows.
"""

from __future__ import annotations

import csv
import glob
import os
import stat
import warnings
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import IO, Literal

from datastoresync.errors import ColumnError, DataWarning, DeclarationError, MalformedFileError, RowError
from datastoresync.syncers.files.text_file import LONGEST, TextFile, codec, scan, state_of, unreadable
from datastoresync.syncers.records import Columns, Records, choose_columns
from datastoresync.syncers.source_info import DelimitedFile, DelimitedFiles

_BATCH = 2**16
"""Characters that are split into lines at a time."""
_STEP = 16
"""Rows that are read between two looks at how much memory they take."""
_FULL = 8 * 2**20
"""Characters after which a chunk is delivered, though it has not all its rows yet."""


def read_csv(
    path: str | os.PathLike[str],
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    columns: Mapping[str, str] | Sequence[str] | None = None,
    null: str | None = None,
    final_newline: bool = False,
    reject: Callable[[RowError], None] | None = None,
    chunk: int = 8192,
) -> Records:
    """Read a file with a header; its rows stream, all else is checked at once.

    Entirely empty lines are skipped, and a byte order mark is read through.

    Args:
        path: The file; errors name it as it is written here.
        encoding: What it is written in.
        delimiter: What separates the columns, one character: a comma, a semicolon, a tab.
        columns: The columns to take, or a mapping from a column's name in the file to the name it is given here.
            None takes all.
        null: The text that stands for None, if it is all there is of a value, quoted or not.
        final_newline: Whether a last line without a newline is refused. If not, there is a warning.
        reject: Takes the error for a row that is too short or too long; the row is left out. None raises it.
        chunk: Rows a chunk; fewer if they are long.

    Raises:
        DeclarationError: if the encoding or the delimiter is none.
        MalformedFileError: with the line, if the file is missing, empty, wrongly encoded, wrongly quoted or cut off, if
            its header has a name twice or an empty one, or if it changes while it is read.
        ColumnError: if a column is not in the header, or for a row of another width than it.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        message = f"a delimiter is one character, and neither a quote nor a newline (got {delimiter!r})"
        raise DeclarationError(message)
    file = TextFile(Path(path), os.fspath(path), codec(encoding), delimiter)
    try:
        found = file.path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise file.error("not a regular file, which can be read twice: save it as one")
        last, special = scan(file)
        with file.open() as text:
            rows = _Rows(file, text)
            header = rows.header()
            end = rows.line
    except OSError as error:
        raise file.error(unreadable(file.path, error)) from error
    _check_header(file, *header)
    if last is not None:
        message = "the last line does not end in a newline: the file may be cut off"
        if final_newline:
            raise file.error(message, last)
        warnings.warn(f"{file.name}:{last}: {message}", DataWarning, stacklevel=2)
    line, names = header
    places, renamed = choose_columns(names, columns, where=f"{file.name}:{line}")
    lines = _Lines()
    lines.note(0, line + 1)
    origin = DelimitedFile(
        file.path,
        file.encoding,
        delimiter,
        tuple(names),
        line=end,
        places=tuple(places),
        columns=tuple(renamed),
        null=null,
        state=state_of(found),
        special=special,
    )
    chunks = _chunks(file, state_of(found), lines, len(names), reject or _raise, chunk)
    return Records(
        renamed,
        ([_nulled(values[place], null) for place in places] for values in chunks),
        lambda index: f"{file.name}:{lines.line(index)}",
        origin=DelimitedFiles((origin,)),
    )


# Before the first record ---------------------------------------------------------------------------------------------


def _check_header(file: TextFile, line: int, names: Sequence[str]) -> None:
    if not names:
        raise file.error("the file has only empty lines: it must have a header")
    first: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise file.error(f"column {place} of the header has no name: give it one", line)
        if first.setdefault(name, place) != place:
            raise file.error(f"columns {first[name]} and {place} of the header are both {name!r}: rename one", line)


# The records ---------------------------------------------------------------------------------------------------------


class _Rows:
    """The rows of an open file, some at a time, so that they and the lines they are made of never fill the memory."""

    def __init__(self, file: TextFile, text: IO[str]) -> None:
        self._file = file
        self._text = text
        self._reader = csv.reader(chain.from_iterable(self._batches()), delimiter=file.delimiter, strict=True)
        self._pulled = 0
        self._pulled_before = 0
        self._line_before = 0

    @property
    def line(self) -> int:
        """The number of the last line that was read."""
        return self._reader.line_num

    def header(self) -> tuple[int, list[str]]:
        """Take the first row that is not empty; return the number of its first line, and what it holds."""
        names: list[str] = []
        line = 0
        while not names:
            line = self.line + 1
            rows = self._step(1)
            if not rows:
                break
            names = rows[0]
        return line, names

    def take(self, count: int) -> list[list[str]]:
        """Take the next rows: ``count`` of them, or fewer if they are long; none at the end of the file."""
        rows: list[list[str]] = []
        start = self._pulled
        while len(rows) < count and self._pulled - start < _FULL:
            step = self._step(min(_STEP, count - len(rows)))
            if not step:
                break
            rows += step
        return rows

    def _step(self, count: int) -> list[list[str]]:
        self._line_before, self._pulled_before = self.line, self._pulled
        try:
            return list(islice(self._reader, count))
        except csv.Error as error:
            raise self._misquoted(str(error)) from error

    def _batches(self) -> Iterator[list[str]]:
        while batch := self._text.readlines(_BATCH):
            self._pulled += sum(map(len, batch))
            if self._pulled - self._pulled_before > (_STEP + 2) * LONGEST:
                message = f"from here on, a row is longer than {LONGEST} characters: a quote may be left open"
                raise self._file.error(message, self._line_before + 1)
            yield batch

    def _misquoted(self, reason: str) -> MalformedFileError:
        """Return the error for the row that the reader gave up in, which begins somewhere in the last step."""
        line = self._line_before
        with self._file.open() as text:
            reader = csv.reader(islice(text, line, None), delimiter=self._file.delimiter, strict=True)
            start = line
            with suppress(csv.Error):
                for _ in reader:
                    start = line + reader.line_num
        if "unexpected end" in reason:
            message = "a quote is opened in the row that begins here, and never closed"
        elif "field limit" in reason:
            limit = csv.field_size_limit()
            message = (
                f"a value in the row that begins here is longer than {limit} characters: "
                "a quote may be left open; if not, raise csv.field_size_limit"
            )
        else:
            message = (
                "a quoted value in the row that begins here goes on behind its closing quote: "
                "one may be left open, or a quote inside is not doubled"
            )
        return self._file.error(message, start + 1)


class _Lines:
    """The line that each record begins on, kept only where it is not the one after the record before."""

    def __init__(self) -> None:
        self._indexes = array("q")
        self._offsets = array("q")

    def note(self, index: int, line: int) -> None:
        """Note the line of a record."""
        if not self._offsets or self._offsets[-1] != line - index:
            self._indexes.append(index)
            self._offsets.append(line - index)

    def line(self, index: int) -> int:
        """Return the line of a record; of one that was not read yet, the line it has if each record has one."""
        return index + self._offsets[bisect_right(self._indexes, index) - 1]


def _chunks(
    file: TextFile, state: tuple[int, ...], lines: _Lines, width: int, reject: Callable[[RowError], None], chunk: int
) -> Iterator[Columns]:
    """Yield all columns, some rows at a time."""
    try:
        with file.open() as text:
            file.unchanged(text, state)
            rows = _Rows(file, text)
            rows.header()
            index = 0
            while True:
                line = rows.line + 1
                try:
                    taken = rows.take(chunk)
                finally:  # whatever is found wrong in a file that changed, the change is to blame
                    file.unchanged(text, state)
                if not taken:
                    return
                if rows.line - line + 1 == len(taken) and set(map(len, taken)) == {width}:
                    lines.note(index, line)
                else:
                    taken = _well_formed(file, taken, width, line, index, lines, reject)
                if taken:
                    index += len(taken)
                    yield list(zip(*taken, strict=True))
    except OSError as error:
        raise file.error(unreadable(file.path, error)) from error


def _well_formed(
    file: TextFile,
    rows: Sequence[list[str]],
    width: int,
    line: int,
    index: int,
    lines: _Lines,
    reject: Callable[[RowError], None],
) -> list[list[str]]:
    """Return the rows of the right width, and note their lines; the first row begins on ``line``."""
    kept: list[list[str]] = []
    for row in rows:
        if len(row) == width:
            lines.note(index + len(kept), line)
            kept.append(row)
        elif row:
            reject(_misshapen(file, row, width, line))
        line += 1 + sum(map(_newlines, row))
    return kept


def _misshapen(file: TextFile, row: list[str], width: int, line: int) -> ColumnError:
    why = "it may be cut off" if len(row) < width else f"quote a value that holds {file.delimiter!r}"
    message = f"the row has {len(row)} {'value' if len(row) == 1 else 'values'}, the header {width}: {why}"
    return ColumnError(message, where=f"{file.name}:{line}", row=row)


def _newlines(value: str) -> int:
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value.count("\n")


def _raise(error: RowError) -> None:
    raise error


def _nulled(values: Sequence[str], null: str | None) -> Sequence[str | None]:
    if null is None or null not in values:
        return values
    return [None if value == null else value for value in values]


# Which files ---------------------------------------------------------------------------------------------------------


def resolve_files(
    pattern: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    newest: Literal["modified", "name"] | None = None,
) -> list[Path]:
    """Return the files that are meant, sorted by path, each once.

    Args:
        pattern: A path, a pattern such as ``"exports/*.csv"`` (``**`` stands for any folders), or several of them.
        newest: Takes only the one that was modified last, or the one whose name sorts last.

    Raises:
        DeclarationError: if ``newest`` is something else.
        MalformedFileError: if nothing matches one of the patterns.
    """
    if newest not in (None, "modified", "name"):
        message = f"newest is 'modified', 'name' or None (got {newest!r})"
        raise DeclarationError(message)
    patterns = [pattern] if isinstance(pattern, (str, os.PathLike)) else list(pattern)
    if not patterns:
        raise MalformedFileError("no file is named: give a path or a pattern")
    files = sorted({file for each in patterns for file in _matches(os.fspath(each))})
    if newest == "modified":
        return [max(files, key=lambda file: (file.stat().st_mtime_ns, file.name))]
    return [max(files, key=lambda file: file.name)] if newest else files


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.exists():  # its name may have brackets in it
        return [path]
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    files = [file for file in map(Path, found) if file.is_file()]
    if not files:
        parts = path.parent.parts
        folder = Path(*takewhile(lambda part: not glob.has_magic(part), parts)).absolute()
        what = "no file matches" if glob.has_magic(pattern) else "there is no such file"
        where = f"in {folder}" if folder.is_dir() else f"since there is no folder {folder}"
        raise MalformedFileError(f"{what} {where}", where=pattern)
    return files
