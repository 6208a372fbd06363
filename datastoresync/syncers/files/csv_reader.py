"""A strict reader of CSV and TSV files: a malformed file is refused with the line, and nothing is guessed.

Every value is text. A file is scanned once before its first record is delivered, and a change to it meanwhile is
noticed. Only some rows of it are in memory at a time.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import stat
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import IO, Any

import attrs

from datastoresync.conversion.formulas import unescape_formula
from datastoresync.errors import ColumnError, MalformedFileError, RowError
from datastoresync.syncers.files.text_encoding import LooksLikeUtf8, codec, encoding_fault, one_byte, utf8_fault
from datastoresync.syncers.files.text_format import TextFormat, width_fault
from datastoresync.syncers.records import (
    Columns,
    DelimitedFile,
    DelimitedFiles,
    Records,
    file_state,
    unreadable_reason,
    with_none,
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
_FOOTER = 5
"""Rows at the end that may stand below the table."""
_UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file may raise, packed or not."""
_ESCAPED_BYTES = re.compile(rb"'(?:[=+\-@\t\r\n\xef]|\Z)")
"""What an apostrophe in front of a formula is followed by, in ASCII and UTF-8; at the end of a block, anything may."""


def read_csv(
    path: str | os.PathLike[str],
    *,
    reject: Callable[[RowError], None] | None = None,
    chunk: int = 8192,
    text_format: TextFormat | None = None,
    **options: Any,
) -> Records:
    """Read a file: its rows stream, everything else is checked at once.

    Empty lines and a byte order mark are skipped. A file that ends in ``.gz`` is unpacked on the way.

    Args:
        path: The file; errors name it as it is passed.
        reject: Called with the error for a row that is too short or too long, which is left out; None raises it.
        chunk: Rows a chunk; fewer if they are long.
        text_format: How it is written, and what of it is read.
        options: The same, each by its name in `TextFormat`.

    Raises:
        DeclarationError: if an option has a value that it cannot have.
        MalformedFileError: with the line, if the file is missing, empty, wrongly encoded, wrongly quoted or cut off, if
            its header has a name twice or an empty one, or if it changes while it is read.
        ColumnError: if a column is not in the header, or for a row of another width than it.
    """
    form = TextFormat(**options) if text_format is None else text_format
    file = TextFile(Path(path), os.fspath(path), form)
    try:
        status = file.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise file.error("not a regular file, which can be read twice: save it as one")
        last, special = scan(file)
        with file.open() as text:
            rows = _Rows(file, text)
            line, names = rows.header()
            end = rows.line if form.header is True else form.skip_lines
    except _UNREADABLE as error:
        raise file.error(unreadable_reason(file.path, error)) from error
    _check_header(file, line, names)
    trailing = f"if every line ends in {form.delimiter!r}, {form.option('trailing_delimiter', value=True)} reads them"
    indexes, renamed = form.chosen(
        names, line, partial(file.error, line=line), {len(names) - 1: f"no name ({trailing})"}, f"{file.name}:{line}"
    )
    if last is not None and form.final_newline:
        message = (
            "the last line does not end in a newline: the file may be cut off; if such files never end in one, "
            f"{form.option('final_newline', value=False)} reads them"
        )
        raise file.error(message, last)
    lines = _Lines()
    lines.note(0, end + 1)
    escaped = form.formulas == "escape" and "'" in special
    delimited_file = DelimitedFile(
        file.path,
        file.encoding,
        form.delimiter,
        tuple(names),
        line=end,
        indexes=tuple(indexes),
        columns=tuple(renamed),
        null=form.null,
        state=file_state(status),
        special=special,
        text_format=form,
        own_reader=escaped or form.changes_values or not form.plain_rows or file.packed,
    )
    chunks = _chunks(file, file_state(status), lines, len(names), reject or _raise, chunk)
    return Records(
        list(map(unescape_formula, renamed)) if escaped else renamed,
        (
            [with_none(_unescaped(values[index]) if escaped else values[index], form.null) for index in indexes]
            for values in chunks
        ),
        lambda record: f"{file.name}:{lines.line(record)}",
        source_info=DelimitedFiles((delimited_file,)),
        value_format=form,
    )


# The file before its first record ------------------------------------------------------------------------------------


@attrs.frozen(eq=False, repr=False)
class TextFile:
    """A file that is read twice: once to check that it is whole, and once for its content.

    Args:
        path: Where it is.
        name: The path as the caller wrote it, for messages.
        format: How it is written.
    """

    path: Path
    name: str
    format: TextFormat

    @property
    def encoding(self) -> str:
        """The name of its encoding, as `codec` returns it."""
        return codec(self.format.encoding)

    @property
    def packed(self) -> bool:
        """Whether it is packed by gzip."""
        return self.path.suffix.lower() == ".gz"

    def open_bytes(self, *, buffered: bool = False) -> IO[bytes]:
        """Open the file for its bytes, unpacked."""
        if not self.packed:
            return self.path.open("rb", buffering=-1 if buffered else 0)
        from gzip import GzipFile

        unpacked: Any = GzipFile(self.path)
        return unpacked  # type: ignore[no-any-return]  # it has all that is read

    def open(self) -> IO[str]:
        """Open the file behind its byte order mark, and behind the lines that are skipped."""
        file = io.TextIOWrapper(self.open_bytes(buffered=True), encoding=self.encoding, newline="")
        if file.read(1) != "\ufeff":
            file.seek(0)
        for line in range(self.format.skip_lines):
            if not file.readline():
                file.close()
                message = f"the file has {line} lines, and {self.format.option('skip_lines', self.format.skip_lines)}"
                raise self.error(message)
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


def scan(file: TextFile) -> tuple[int | None, frozenset[str]]:
    r"""Scan the whole file.

    Returns:
        The number of its last line if that does not end in a newline, or None; and the marks of what other readers may
        read differently: ``"`` for quotes, ``'`` for apostrophes that may make formulas harmless, ``\r\n`` if all
        lines end so, ``\r`` if only some do, ``\x80`` for characters beyond ASCII, and ``…`` if some line may be
        longer than `SHORT`.

    Raises:
        MalformedFileError: if it is empty, holds a NUL or bytes that are not of its encoding, or has too long a line.
    """
    state = _Scan(file)
    buffer = bytearray(_BLOCK)
    with file.open_bytes() as binary:
        while size := binary.readinto(buffer):  # type: ignore[attr-defined]  # a file of either kind has it
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
        self._utf8 = LooksLikeUtf8() if file.format.check_encoding and one_byte(file.encoding) else None
        self._carriage_return = ""
        self._started = False
        self._newlines = 0
        self._offset = 0
        self._uncounted = range(0)

    @property
    def line(self) -> int:
        """The number of the line that the next character is in; newlines are counted when it is first needed."""
        with self.file.open_bytes() as binary:
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
        if "'" not in self.special and b"'" in block and _ESCAPED_BYTES.search(block):
            self.special.add("'")
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
            message = self._encoding_fault(None if nul >= 0 else failure)
            raise self.file.error(message, self.line + before.count("\n"), column)
        if not text.isascii():
            self.special.add("\x80")
        if self._utf8:
            self._utf8.note(block, final=final)
            self._check_utf8(self._utf8, text, final=final)
        if not self._plain and "'" in text:
            self.special.add("'")
        self._newlines += text.count("\n")
        self.width = len(text) - text.rfind("\n") - 1 + (0 if "\n" in text else self.width)

    def _check_utf8(self, utf8: LooksLikeUtf8, text: str, *, final: bool) -> None:
        if utf8.position is None and not text.isascii():
            before = text[: next(index for index, character in enumerate(text) if not character.isascii())]
            column = len(before) - before.rfind("\n") + (0 if "\n" in before else self.width)
            utf8.position = self.line + before.count("\n"), column
        if final and utf8.character and utf8.position:
            message = utf8_fault(self.file.format, self.file.encoding, utf8.character)
            raise self.file.error(message, *utf8.position)

    def _encoding_fault(self, failure: UnicodeError | None) -> str:
        with self.file.open_bytes() as binary:
            return encoding_fault(self.file.format, self.file.encoding, binary.read(4), failure)

    def _decode(self, block: bytes, *, final: bool) -> tuple[str, UnicodeError | None]:
        """Return the text up to the first byte that is not of the encoding, and the error for that byte."""
        state = self._decoder.getstate()
        try:
            return self._carriage_return + self._decoder.decode(block, final), None
        except UnicodeDecodeError as error:
            decoder = codecs.getincrementaldecoder(self.file.encoding)("ignore")
            decoder.setstate(state)
            return self._carriage_return + decoder.decode(block[: max(error.start - len(state[0]), 0)]), error
        except UnicodeError as error:
            return "", error  # there is no byte order mark


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


def _check_header(file: TextFile, line: int, names: Sequence[str]) -> None:
    """Refuse a header without names, and a line that tells spreadsheets the delimiter."""
    form = file.format
    if not names:
        raise file.error("the file has only empty lines: it must have a header")
    if form.header is True and len(names) <= 2 and (match := re.fullmatch("(?i)sep=(.?)", names[0])):
        delimiter = match[1] or form.delimiter
        told = "" if delimiter == form.delimiter else f" and {form.option('delimiter', delimiter)}"
        message = f"the line tells a spreadsheet the delimiter: {form.option('skip_lines', line)}{told} reads the rest"
        raise file.error(message, line)


# The records ---------------------------------------------------------------------------------------------------------


class _Rows:
    """The rows of an open file, some at a time, so that rows and lines never fill the memory."""

    def __init__(self, file: TextFile, text: IO[str]) -> None:
        self._file = file
        self._text = text
        self._reader = csv.reader(chain.from_iterable(self._batches()), delimiter=file.format.delimiter, strict=True)
        self._characters = 0
        self._characters_before = 0
        self._line_before = 0

    @property
    def line(self) -> int:
        """The number of the last line that was read."""
        return self._reader.line_num + self._file.format.skip_lines

    def header(self) -> tuple[int, list[str]]:
        """Return the names of the columns, and the line of the row that has them, which is taken.

        Without a header, that is the first row, and they are given or numbered.
        """
        form = self._file.format
        row: list[str] = []
        line = 0
        while not row:
            line = self.line + 1
            rows = self._step(1)
            if not rows:
                break
            row = rows[0]
        if form.trailing_delimiter and len(row) > 1 and not row[-1]:
            row = row[:-1]
        if isinstance(form.header, bool):
            return line, row if form.header else [f"column_{column}" for column in range(1, len(row) + 1)]
        return line, list(form.header)

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
            lines = islice(text, line - self._file.format.skip_lines, None)
            reader = csv.reader(lines, delimiter=self._file.format.delimiter, strict=True)
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
            with self._file.open() as text:
                row = next(islice(text, start - self._file.format.skip_lines, None), "")
            if other := re.search(r'"([^\w"\r\n])"', row.replace(f'"{self._file.format.delimiter}"', "")):
                message += f"; if {other[1]!r} separates the columns, {self._file.format.option('delimiter', other[1])}"
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
            if file.format.header is True:
                rows.header()
            index = 0
            held: list[_Numbered] = []  # the rows that may turn out to be the last ones
            while True:
                line = rows.line + 1
                try:
                    taken = rows.take(chunk)
                finally:  # in a file that changed, the change is to blame for every fault
                    file.check_unchanged(text, state)
                if not taken:
                    if len(held) < file.format.footer:
                        raise file.error(file.format.too_few(len(held)))
                    return
                if rows.line - line + 1 == len(taken) and set(map(len, taken)) == {width} and file.format.plain_rows:
                    lines.note(index, line)
                else:
                    numbered = [*held, *_numbered(file.format, taken, line)]
                    end = max(len(numbered) - file.format.footer, 0)
                    held = numbered[end:]
                    taken = _rows_of_width(file, numbered[:end], width, index, lines, reject)
                if taken:
                    index += len(taken)
                    yield list(zip(*taken, strict=True))
    except _UNREADABLE as error:
        raise file.error(unreadable_reason(file.path, error)) from error


_Numbered = tuple[int, list[str]]
"""The line that a row begins on, and the row."""


def _numbered(form: TextFormat, rows: Sequence[list[str]], line: int) -> Iterator[_Numbered]:
    """Yield the rows that are not empty, or blank if these are skipped; the first row begins on ``line``."""
    for row in rows:
        if row and not (form.blank_rows == "skip" and not "".join(row).strip()):
            yield line, row
        line += 1 + sum(map(_newlines, row))


def _rows_of_width(
    file: TextFile,
    rows: Sequence[_Numbered],
    width: int,
    index: int,
    lines: _Lines,
    reject: Callable[[RowError], None],
) -> list[list[str]]:
    """Return the rows of the header's width, and note their lines."""
    kept: list[list[str]] = []
    trailing = file.format.trailing_delimiter
    for below, (line, row) in zip(count(len(rows), -1), rows, strict=False):
        if len(row) == width + trailing and not (trailing and row[-1]):
            lines.note(index + len(kept), line)
            kept.append(row[:width])
        else:
            first = not index and not kept
            last = below <= _FOOTER and all(len(other) != width for _, other in rows[-below:])
            message = width_fault(
                file.format, row, width, header_line=line - 1 if first else 0, below=0 if first or not last else below
            )
            reject(ColumnError(message, where=f"{file.name}:{line}", row=row))
    return kept


def _newlines(value: str) -> int:
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value.count("\n")


def _raise(error: RowError) -> None:
    raise error


def _unescaped(values: Sequence[str]) -> Sequence[str]:
    return [unescape_formula(value) if value[:1] == "'" else value for value in values]
