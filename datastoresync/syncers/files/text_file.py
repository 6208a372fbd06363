"""A text file that is read twice: once to check that it is whole, and once for its content."""

from __future__ import annotations

import codecs
import io
import os
from pathlib import Path
from typing import IO

import attrs

from datastoresync.errors import DeclarationError, MalformedFileError

_BLOCK = 2**18
"""Bytes that are looked through at a time."""
LONGEST = 16 * 2**20
"""Characters in the longest line, or row of several lines, that is taken."""
SHORT = 2**17
"""Bytes in a line that every reader takes."""
_WINDOW = SHORT // 2
"""Bytes, counted from the start of the file, of which a longer line fills some all by itself."""


@attrs.frozen
class TextFile:
    """A file and how it is written; ``name`` is the path as it was given."""

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

    def unchanged(self, text: IO[str], state: tuple[int, ...]) -> None:
        """Check that an open file is still the one that was looked through."""
        if state_of(os.fstat(text.fileno())) != state:
            message = "the file changed while it was read: import it when it is complete"
            raise self.error(message)

    def error(self, message: str, line: int | None = None, column: int | None = None) -> MalformedFileError:
        """Return an error with its place in the file."""
        place = "".join(f":{number}" for number in (line, column) if number is not None)
        return MalformedFileError(message, where=self.name + place, line=line, column=column)


def codec(encoding: str) -> str:
    """Return the name of an encoding whose marks, if it has any, are not read through yet."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
        return codecs.lookup(encoding).name.replace("utf-8-sig", "utf-8")
    except LookupError as error:
        message = f"{encoding!r} is no text encoding that Python knows: give one such as 'utf-8' or 'cp1252'"
        raise DeclarationError(message) from error


def unreadable(path: Path, error: OSError) -> str:
    """Return why a file cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return f"there is no such file in {path.absolute().parent}"
    return f"the file cannot be read: {error.strerror or error}"


def state_of(found: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file does."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def scan(file: TextFile) -> tuple[int | None, frozenset[str]]:
    r"""Look through the whole file.

    Returns:
        The number of its last line if that does not end in a newline, or None; and what is in the file that another
        reader may take for something else: ``"`` for quotes, ``\r\n`` if all lines end so, ``\r`` if only some do,
        ``\x80`` for characters beyond ASCII, and ``…`` if some line may be longer than `SHORT`.

    Raises:
        MalformedFileError: if it is empty, holds a NUL or what is not its encoding, or has a line that is too long.
    """
    looked = _Looked(file)
    buffer = bytearray(_BLOCK)
    with file.path.open("rb", buffering=0) as binary:
        while size := binary.readinto(buffer):
            block = buffer if size == _BLOCK else buffer[:size]
            if not looked.quickly(block):
                looked.closely(bytes(block))
    looked.closely(b"", final=True)
    if looked.empty:
        raise file.error("the file is empty: it must have a header")
    return looked.line if looked.width else None, looked.special_characters()


class _Looked:
    """How far a file was looked through, and what was in it.

    ``width`` is how long the line of the next character is so far.
    """

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.width = 0
        self.special: set[str] = set()
        self.ends = _Ends()
        self._decoder = codecs.getincrementaldecoder(file.encoding)()
        self._plain = file.encoding in ("utf-8", "ascii")
        self._held = ""
        self._started = False
        self._newlines = 0
        self._offset = 0
        self._uncounted = range(0)

    @property
    def line(self) -> int:
        """The number of the line that the next character is in. Most files are never asked for it."""
        with self.file.path.open("rb") as binary:
            binary.seek(self._uncounted.start)
            for place in self._uncounted[::_BLOCK]:
                self._newlines += binary.read(min(_BLOCK, self._uncounted.stop - place)).count(b"\n")
        self._uncounted = range(0)
        return self._newlines + 1

    @property
    def empty(self) -> bool:
        """Whether there was nothing so far, but for a byte order mark."""
        return not (self._uncounted or self._newlines or self.width)

    def special_characters(self) -> frozenset[str]:
        """Return what another reader may take for something else; see `scan`."""
        return frozenset(self.special | (self.ends.special(self.line - 1) if self.ends.returns else set()))

    def quickly(self, block: bytes | bytearray) -> bool:
        """Take the next bytes and return true if they need no decoding; note in any case what is special about them."""
        if '"' not in self.special and b'"' in block:
            self.special.add('"')
        windows = range(0, len(block) - _WINDOW + 1, _WINDOW)
        if any(block.find(b"\n", place, place + _WINDOW) < 0 for place in windows):
            self.special.add("…")
        self.ends.note(block)
        if not (self._plain and self._started and self.ends.whole and block.isascii()):
            return False
        if self._held or b"\0" in block or self._decoder.getstate()[0]:
            return False
        end = block.rfind(b"\n")
        if self.width + (block.find(b"\n") if end >= 0 else len(block)) > LONGEST:
            return False
        self.width = len(block) - end - 1 + (0 if end >= 0 else self.width)
        if not self.ends.returns and self._uncounted.stop in (0, self._offset):
            self._uncounted = range(
                self._uncounted.start if self._uncounted else self._offset, self._offset + len(block)
            )
        else:
            self._newlines += block.count(b"\n")
        self._offset += len(block)
        return True

    def closely(self, block: bytes, *, final: bool = False) -> None:
        """Decode the next bytes and look at their characters."""
        text, wrong = self._decoded(block, final=final)
        self._offset += len(block)
        self._held = "\r" if text.endswith("\r") and not final and wrong is None else ""
        if "\r" in text:
            text = text[: len(text) - len(self._held)].replace("\r\n", "\n").replace("\r", "\n")
        if text and not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        if self.width + (text.find("\n") if "\n" in text else len(text)) > LONGEST:
            message = f"the line is longer than {LONGEST} characters: a newline may be missing"
            raise self.file.error(message, self.line)
        nul = text.find("\0")
        if nul >= 0 or wrong is not None:
            before = text[:nul] if nul >= 0 else text
            column = len(before) - before.rfind("\n") + (0 if "\n" in before else self.width)
            message = _not_text(self.file.encoding, None if nul >= 0 else wrong)
            raise self.file.error(message, self.line + before.count("\n"), column)
        if not text.isascii():
            self.special.add("\x80")
        self._newlines += text.count("\n")
        self.width = len(text) - text.rfind("\n") - 1 + (0 if "\n" in text else self.width)

    def _decoded(self, block: bytes, *, final: bool) -> tuple[str, UnicodeDecodeError | None]:
        """Return the text up to where it is wrong, and what is wrong there."""
        state = self._decoder.getstate()
        try:
            return self._held + self._decoder.decode(block, final), None
        except UnicodeDecodeError as error:
            decoder = codecs.getincrementaldecoder(self.file.encoding)("ignore")
            decoder.setstate(state)
            return self._held + decoder.decode(block[: max(error.start - len(state[0]), 0)]), error


class _Ends:
    """Counts carriage returns, and those that stand before a newline."""

    def __init__(self) -> None:
        self.returns = 0
        self.pairs = 0
        self.whole = True
        """Whether each return of the last block stands before a newline of the same block."""
        self._open = False

    def note(self, block: bytes | bytearray) -> None:
        """Count those of the next bytes of the file."""
        returns = block.count(b"\r") if b"\r" in block else 0
        pairs = block.count(b"\r\n") if returns else 0
        self.whole = returns == pairs
        self.pairs += pairs + (self._open and block.startswith(b"\n"))
        self.returns += returns
        self._open = block.endswith(b"\r")

    def special(self, newlines: int) -> set[str]:
        """Return how lines end, given how many newlines there are, if not all of them stand alone."""
        if not self.returns:
            return set()
        return {"\r\n" if self.returns == self.pairs == newlines else "\r"}


def _not_text(encoding: str, wrong: UnicodeDecodeError | None) -> str:
    if wrong is None:
        return "a NUL character: the file is damaged, or in another encoding"
    byte = f"byte 0x{wrong.object[wrong.start]:02x}"
    return f"{byte} is not {encoding}: save the file as {encoding}, or give the encoding that it is in"
