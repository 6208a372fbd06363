"""A strict reader of CSV and TSV files: a malformed file is refused with the line, and nothing is guessed.

Every value is text. A file is scanned once before its first record is delivered, and a change to it meanwhile is
noticed. Only some rows of it are in memory at a time.
"""

from __future__ import annotations

import codecs
import csv
import glob
import io
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

import attrs

from datastoresync.errors import ColumnError, DataWarning, DeclarationError, MalformedFileError, RowError
from datastoresync.masking import masked
from datastoresync.syncers.records import (
    Columns,
    DelimitedFile,
    DelimitedFiles,
    Records,
    choose_columns,
    file_state,
    unreadable_reason,
)

_BLOCK = 2**18
"""Bytes that are scanned at a time."""
LONGEST = 16 * 2**20
"""Characters in the longest line, or row of several lines, that is read."""
SHORT = 2**17
"""Bytes in a line that every reader accepts."""
_WINDOW = SHORT // 2
"""Bytes of the windows, from the start of the file, of which a longer line fills at least one."""
_BATCH = 2**16
"""Characters that are split into lines at a time."""
_STEP = 16
"""Rows that are read between two checks of the memory they take."""
_CHUNK_SIZE = 8 * 2**20
"""Characters after which a chunk is delivered before it has all its rows."""


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
    """Read a file with a header: its rows stream, everything else is checked at once.

    Empty lines and a byte order mark are skipped.

    Args:
        path: The file; errors name it as it is passed.
        encoding: Its encoding.
        delimiter: What separates the columns, one character: a comma, a semicolon, a tab.
        columns: The columns to read, or a mapping from their names in the file to those in the records; None for all.
        null: The value that means None, quoted or not.
        final_newline: Whether a last line without a newline is an error, rather than a warning.
        reject: Called with the error for a row that is too short or too long, which is left out; None raises it.
        chunk: Rows a chunk; fewer if they are long.

    Raises:
        DeclarationError: if the encoding is unknown, or the delimiter is not one character.
        MalformedFileError: with the line, if the file is missing, empty, wrongly encoded, wrongly quoted or cut off, if
            its header has a name twice or an empty one, or if it changes while it is read.
        ColumnError: if a column is not in the header, or for a row of another width than it.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        message = f"a delimiter is one character, and neither a quote nor a newline (got {delimiter!r})"
        raise DeclarationError(message)
    file = TextFile(Path(path), os.fspath(path), codec(encoding), delimiter)
    try:
        status = file.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise file.error("not a regular file, which can be read twice: save it as one")
        last, special = scan(file)
        with file.open() as text:
            rows = _Rows(file, text)
            header = rows.header()
            end = rows.line
    except OSError as error:
        raise file.error(unreadable_reason(file.path, error)) from error
    _check_header(file, *header)
    if last is not None:
        message = "the last line does not end in a newline: the file may be cut off"
        if final_newline:
            raise file.error(message, last)
        warnings.warn(f"{file.name}:{last}: {message}", DataWarning, stacklevel=2)
    line, names = header
    indexes, renamed = choose_columns(names, columns, where=f"{file.name}:{line}")
    lines = _Lines()
    lines.note(0, line + 1)
    delimited_file = DelimitedFile(
        file.path,
        file.encoding,
        delimiter,
        tuple(names),
        line=end,
        indexes=tuple(indexes),
        columns=tuple(renamed),
        null=null,
        state=file_state(status),
        special=special,
    )
    chunks = _chunks(file, file_state(status), lines, len(names), reject or _raise, chunk)
    return Records(
        renamed,
        ([_with_none(values[index], null) for index in indexes] for values in chunks),
        lambda record: f"{file.name}:{lines.line(record)}",
        source_info=DelimitedFiles((delimited_file,)),
    )


# The file before its first record ------------------------------------------------------------------------------------


@attrs.frozen(eq=False, repr=False)
class TextFile:
    """A file that is read twice: once to check that it is whole, and once for its content.

    Args:
        path: Where it is.
        name: The path as the caller wrote it, for messages.
        encoding: As `codec` returns it.
        delimiter: What separates the columns.
    """

    path: Path
    name: str
    encoding: str
    delimiter: str

    def open(self) -> IO[str]:
        """Open the file behind its byte order mark."""
        file = self.path.open(encoding=self.encoding, newline="")
        if file.read(1) != "\ufeff":
            file.seek(0)
        return file

    def check_unchanged(self, text: IO[str], state: tuple[int, ...]) -> None:
        """Check that an open file is still the one that was scanned."""
        if file_state(os.fstat(text.fileno())) != state:
            message = "the file changed while it was read: import it when it is complete"
            raise self.error(message)

    def error(self, message: str, line: int | None = None, column: int | None = None) -> MalformedFileError:
        """Return an error with its position in the file."""
        position = "".join(f":{number}" for number in (line, column) if number is not None)
        return MalformedFileError(message, where=self.name + position, line=line, column=column)


def codec(encoding: str) -> str:
    """Return the name of an encoding; of one with a byte order mark, the encoding without."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
        return codecs.lookup(encoding).name.replace("utf-8-sig", "utf-8")
    except LookupError as error:
        message = f"{encoding!r} is no text encoding that Python knows: give one such as 'utf-8' or 'cp1252'"
        raise DeclarationError(message) from error


def scan(file: TextFile) -> tuple[int | None, frozenset[str]]:
    r"""Scan the whole file.

    Returns:
        The number of its last line if that does not end in a newline, or None; and the marks of what other readers may
        read differently: ``"`` for quotes, ``\r\n`` if all lines end so, ``\r`` if only some do, ``\x80`` for
        characters beyond ASCII, and ``…`` if some line may be longer than `SHORT`.

    Raises:
        MalformedFileError: if it is empty, holds a NUL or bytes that are not of its encoding, or has too long a line.
    """
    state = _Scan(file)
    buffer = bytearray(_BLOCK)
    with file.path.open("rb", buffering=0) as binary:
        while size := binary.readinto(buffer):
            block = buffer if size == _BLOCK else buffer[:size]
            if not state.take_plain(block):
                state.take(bytes(block))
    state.take(b"", final=True)
    if state.empty:
        raise file.error("the file is empty: it must have a header")
    return state.line if state.width else None, state.special_characters()


class _Scan:
    """The state of a scan; ``width`` is the length so far of the line that the next character is in."""

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.width = 0
        self.special: set[str] = set()
        self.line_ends = _LineEnds()
        self._decoder = codecs.getincrementaldecoder(file.encoding)()
        self._plain = file.encoding in ("utf-8", "ascii")
        self._carriage_return = ""
        self._started = False
        self._newlines = 0
        self._offset = 0
        self._uncounted = range(0)

    @property
    def line(self) -> int:
        """The number of the line that the next character is in; newlines are counted when it is first needed."""
        with self.file.path.open("rb") as binary:
            binary.seek(self._uncounted.start)
            for position in self._uncounted[::_BLOCK]:
                self._newlines += binary.read(min(_BLOCK, self._uncounted.stop - position)).count(b"\n")
        self._uncounted = range(0)
        return self._newlines + 1

    @property
    def empty(self) -> bool:
        """Whether the file held nothing so far but a byte order mark."""
        return not (self._uncounted or self._newlines or self.width)

    def special_characters(self) -> frozenset[str]:
        """Return the marks of what other readers may read differently; see `scan`."""
        return frozenset(self.special | (self.line_ends.special(self.line - 1) if self.line_ends.returns else set()))

    def take_plain(self, block: bytes | bytearray) -> bool:
        """Take the next bytes if they need no decoding; return whether. Note in any case what is special in them."""
        if '"' not in self.special and b'"' in block:
            self.special.add('"')
        windows = range(0, len(block) - _WINDOW + 1, _WINDOW)
        if any(block.find(b"\n", start, start + _WINDOW) < 0 for start in windows):
            self.special.add("…")
        self.line_ends.note(block)
        if not (self._plain and self._started and self.line_ends.whole and block.isascii()):
            return False
        if self._carriage_return or b"\0" in block or self._decoder.getstate()[0]:
            return False
        end = block.rfind(b"\n")
        if self.width + (block.find(b"\n") if end >= 0 else len(block)) > LONGEST:
            return False
        self.width = len(block) - end - 1 + (0 if end >= 0 else self.width)
        if not self.line_ends.returns and self._uncounted.stop in (0, self._offset):
            self._uncounted = range(
                self._uncounted.start if self._uncounted else self._offset, self._offset + len(block)
            )
        else:
            self._newlines += block.count(b"\n")
        self._offset += len(block)
        return True

    def take(self, block: bytes, *, final: bool = False) -> None:
        """Decode the next bytes and examine their characters."""
        text, failure = self._decode(block, final=final)
        self._offset += len(block)
        self._carriage_return = "\r" if text.endswith("\r") and not final and failure is None else ""
        if "\r" in text:
            text = text[: len(text) - len(self._carriage_return)].replace("\r\n", "\n").replace("\r", "\n")
        if text and not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        if self.width + (text.find("\n") if "\n" in text else len(text)) > LONGEST:
            message = f"the line is longer than {LONGEST} characters: a newline may be missing"
            raise self.file.error(message, self.line)
        nul = text.find("\0")
        if nul >= 0 or failure is not None:
            before = text[:nul] if nul >= 0 else text
            column = len(before) - before.rfind("\n") + (0 if "\n" in before else self.width)
            message = _encoding_fault(self.file.encoding, None if nul >= 0 else failure)
            raise self.file.error(message, self.line + before.count("\n"), column)
        if not text.isascii():
            self.special.add("\x80")
        self._newlines += text.count("\n")
        self.width = len(text) - text.rfind("\n") - 1 + (0 if "\n" in text else self.width)

    def _decode(self, block: bytes, *, final: bool) -> tuple[str, UnicodeDecodeError | None]:
        """Return the text up to the first byte that is not of the encoding, and the error for that byte."""
        state = self._decoder.getstate()
        try:
            return self._carriage_return + self._decoder.decode(block, final), None
        except UnicodeDecodeError as error:
            decoder = codecs.getincrementaldecoder(self.file.encoding)("ignore")
            decoder.setstate(state)
            return self._carriage_return + decoder.decode(block[: max(error.start - len(state[0]), 0)]), error


class _LineEnds:
    """Counts carriage returns, and those before a newline."""

    def __init__(self) -> None:
        self.returns = 0
        self.pairs = 0
        self.whole = True
        """Whether each return of the last block is before a newline of the same block."""
        self._open = False

    def note(self, block: bytes | bytearray) -> None:
        """Count those in the next bytes of the file."""
        returns = block.count(b"\r") if b"\r" in block else 0
        pairs = block.count(b"\r\n") if returns else 0
        self.whole = returns == pairs
        self.pairs += pairs + (self._open and block.startswith(b"\n"))
        self.returns += returns
        self._open = block.endswith(b"\r")

    def special(self, newlines: int) -> set[str]:
        """Return the mark of line ends that are not newlines alone, given the number of newlines."""
        if not self.returns:
            return set()
        return {"\r\n" if self.returns == self.pairs == newlines else "\r"}


def _encoding_fault(encoding: str, failure: UnicodeDecodeError | None) -> str:
    if failure is None:
        return "a NUL character: the file is damaged, or in another encoding"
    byte = f"byte 0x{failure.object[failure.start]:02x}"
    return f"{byte} is not {encoding}: save the file as {encoding}, or give the encoding that it is in"


def _check_header(file: TextFile, line: int, names: Sequence[str]) -> None:
    if not names:
        raise file.error("the file has only empty lines: it must have a header")
    first: dict[str, int] = {}
    for column, name in enumerate(names, 1):
        if not name.strip():
            raise file.error(f"column {column} of the header has no name: give it one", line)
        if first.setdefault(name, column) != column:
            raise file.error(f"columns {first[name]} and {column} of the header are both {name!r}: rename one", line)


# The records ---------------------------------------------------------------------------------------------------------


class _Rows:
    """The rows of an open file, some at a time, so that rows and lines never fill the memory."""

    def __init__(self, file: TextFile, text: IO[str]) -> None:
        self._file = file
        self._text = text
        self._reader = csv.reader(chain.from_iterable(self._batches()), delimiter=file.delimiter, strict=True)
        self._characters = 0
        self._characters_before = 0
        self._line_before = 0

    @property
    def line(self) -> int:
        """The number of the last line that was read."""
        return self._reader.line_num

    def header(self) -> tuple[int, list[str]]:
        """Take the first row that is not empty; return the number of its first line, and its values."""
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
        start = self._characters
        while len(rows) < count and self._characters - start < _CHUNK_SIZE:
            step = self._step(min(_STEP, count - len(rows)))
            if not step:
                break
            rows += step
        return rows

    def _step(self, count: int) -> list[list[str]]:
        self._line_before, self._characters_before = self.line, self._characters
        try:
            return list(islice(self._reader, count))
        except csv.Error as error:
            raise self._misquoted(str(error)) from error

    def _batches(self) -> Iterator[list[str]]:
        while batch := self._text.readlines(_BATCH):
            self._characters += sum(map(len, batch))
            if self._characters - self._characters_before > (_STEP + 2) * LONGEST:
                message = f"from here on, a row is longer than {LONGEST} characters: a quote may be left open"
                raise self._file.error(message, self._line_before + 1)
            yield batch

    def _misquoted(self, reason: str) -> MalformedFileError:
        """Return the error for the malformed row, which begins within the last step."""
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
                "a quoted value in the row that begins here goes on after its closing quote: "
                "one may be left open, or a quote inside is not doubled"
            )
        return self._file.error(message, start + 1)


class _Lines:
    """The line that each record begins on, stored only where it does not follow that of the record before."""

    def __init__(self) -> None:
        self._indexes = array("q")
        self._offsets = array("q")

    def note(self, index: int, line: int) -> None:
        """Store the line of a record."""
        if not self._offsets or self._offsets[-1] != line - index:
            self._indexes.append(index)
            self._offsets.append(line - index)

    def line(self, index: int) -> int:
        """Return the line of a record; before it is read, the line it has if each record has one line."""
        return index + self._offsets[bisect_right(self._indexes, index) - 1]


def _chunks(
    file: TextFile, state: tuple[int, ...], lines: _Lines, width: int, reject: Callable[[RowError], None], chunk: int
) -> Iterator[Columns]:
    """Yield all columns, some rows at a time."""
    try:
        with file.open() as text:
            file.check_unchanged(text, state)
            rows = _Rows(file, text)
            rows.header()
            index = 0
            while True:
                line = rows.line + 1
                try:
                    taken = rows.take(chunk)
                finally:  # in a file that changed, the change is to blame for every fault
                    file.check_unchanged(text, state)
                if not taken:
                    return
                if rows.line - line + 1 == len(taken) and set(map(len, taken)) == {width}:
                    lines.note(index, line)
                else:
                    taken = _rows_of_width(file, taken, width, line, index, lines, reject)
                if taken:
                    index += len(taken)
                    yield list(zip(*taken, strict=True))
    except OSError as error:
        raise file.error(unreadable_reason(file.path, error)) from error


def _rows_of_width(
    file: TextFile,
    rows: Sequence[list[str]],
    width: int,
    line: int,
    index: int,
    lines: _Lines,
    reject: Callable[[RowError], None],
) -> list[list[str]]:
    """Return the rows of the header's width, and note their lines; the first row begins on ``line``."""
    kept: list[list[str]] = []
    for row in rows:
        if len(row) == width:
            lines.note(index + len(kept), line)
            kept.append(row)
        elif row:
            reject(_width_error(file, row, width, line))
        line += 1 + sum(map(_newlines, row))
    return kept


def _width_error(file: TextFile, row: list[str], width: int, line: int) -> ColumnError:
    reason = "it may be cut off" if len(row) < width else f"quote a value that holds {file.delimiter!r}"
    message = f"the row has {len(row)} {'value' if len(row) == 1 else 'values'}, the header {width}: {reason}"
    return ColumnError(message, where=f"{file.name}:{line}", row=row)


def _newlines(value: str) -> int:
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value.count("\n")


def _raise(error: RowError) -> None:
    raise error


def _with_none(values: Sequence[str], null: str | None) -> Sequence[str | None]:
    if null is None or null not in values:
        return values
    return [None if value == null else value for value in values]


# Paths and patterns --------------------------------------------------------------------------------------------------


def resolve_files(
    pattern: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    newest: Literal["modified", "name"] | None = None,
) -> list[Path]:
    """Return the files of paths and patterns, sorted by path, each once.

    Args:
        pattern: A path, a pattern such as ``"exports/*.csv"`` (``**`` stands for any folders), or several of them.
        newest: Return only the file that was modified last, or the one whose name sorts last.

    Raises:
        DeclarationError: if ``newest`` is another value.
        MalformedFileError: if no file matches one of the patterns.
    """
    if newest not in (None, "modified", "name"):
        message = f"newest is 'modified', 'name' or None (got {newest!r})"
        raise DeclarationError(message)
    patterns = [pattern] if isinstance(pattern, (str, os.PathLike)) else list(pattern)
    if not patterns:
        raise MalformedFileError("no file is named: give a path or a pattern")
    for each in patterns:
        if isinstance(each, str) and not Path(each).exists() and ("://" in each or masked(each) != each):
            message = (
                f"{masked(each)} is a URL or the like, and no path: open it with open_syncer, or fetch the file first"
            )
            raise MalformedFileError(message)
    files = sorted({file for each in patterns for file in _matches(os.fspath(each))})
    if newest == "modified":
        return [max(files, key=lambda file: (file.stat().st_mtime_ns, file.name))]
    return [max(files, key=lambda file: file.name)] if newest else files


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.exists():  # its name may have brackets in it
        return [path]
    paths = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    files = [file for file in map(Path, paths) if file.is_file()]
    if not files:
        parts = path.parent.parts
        folder = Path(*takewhile(lambda part: not glob.has_magic(part), parts)).absolute()
        fault = "no file matches" if glob.has_magic(pattern) else "there is no such file"
        where = f"in {folder}" if folder.is_dir() else f"since there is no folder {folder}"
        raise MalformedFileError(f"{fault} {where}", where=pattern)
    return files
