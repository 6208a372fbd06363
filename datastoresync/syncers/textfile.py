"""A text file that is read twice: once to see that it is whole, and once for what is in it."""

from __future__ import annotations

import codecs
import io
import os
from pathlib import Path
from typing import IO

import attrs

from datastoresync.errors import DeclarationError, MalformedFileError

__all__ = ["LONGEST", "TextFile", "codec", "scan", "state_of", "unreadable"]

_BLOCK = 2**18
"""Bytes that are looked through at a time."""
LONGEST = 16 * 2**20
"""Characters in the longest line, or row of several lines, that is taken."""


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


_SPECIAL = {character: character.encode() for character in '"\r\t\x01\x02\x0b\x0c\x1c\x1d\x1e\x1f'}


def scan(file: TextFile) -> tuple[int, bool, frozenset[str]]:
    """Look through the whole file.

    Returns:
        The number of its last line, whether that ends in a newline, and which special characters are in the file:
        quotes, blanks and controls that another reader may take for something else, and ``\\x80`` for all beyond ASCII.

    Raises:
        MalformedFileError: if it is empty, holds a NUL or what is not its encoding, or has a line that is too long.
    """
    decoder = codecs.getincrementaldecoder(file.encoding)()
    line, width = 1, 0  # the line that the next character is in, and how long it is so far
    held, started, final = "", False, False
    special: set[str] = set()
    quick = file.encoding in ("utf-8", "ascii")
    with file.path.open("rb") as binary:
        while not final:
            block = binary.read(_BLOCK)
            final = not block
            special.update(character for character, byte in _SPECIAL.items() if character not in special and byte in block)
            if quick and started and not held and "\r" not in special and block.isascii() and b"\0" not in block and not decoder.getstate()[0]:
                end = block.rfind(b"\n")
                if width + (block.find(b"\n") if end >= 0 else len(block)) <= LONGEST:
                    line += block.count(b"\n")
                    width = len(block) - end - 1 + (0 if end >= 0 else width)
                    continue
            state = decoder.getstate()
            wrong: UnicodeDecodeError | None = None
            try:
                text = held + decoder.decode(block, final)
            except UnicodeDecodeError as error:
                wrong = error
                decoder = codecs.getincrementaldecoder(file.encoding)("ignore")
                decoder.setstate(state)
                text = held + decoder.decode(block[: max(error.start - len(state[0]), 0)])
            held = "\r" if text.endswith("\r") and not final and wrong is None else ""
            if "\r" in text:
                text = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
            if text and not started:
                started = True
                text = text.removeprefix("\ufeff")
            if width + (text.find("\n") if "\n" in text else len(text)) > LONGEST:
                raise file.error(f"the line is longer than {LONGEST} characters: a newline may be missing", line)
            nul = text.find("\0")
            if nul >= 0 or wrong is not None:
                before = text[:nul] if nul >= 0 else text
                column = len(before) - before.rfind("\n") + (0 if "\n" in before else width)
                raise file.error(
                    _not_text(file.encoding, None if nul >= 0 else wrong), line + before.count("\n"), column
                )
            if not text.isascii():
                special.add("\x80")
            line += text.count("\n")
            width = len(text) - text.rfind("\n") - 1 + (0 if "\n" in text else width)
    if line == 1 and not width:
        raise file.error("the file is empty: it must have a header")
    return (line, False, frozenset(special)) if width else (line - 1, True, frozenset(special))


def _not_text(encoding: str, wrong: UnicodeDecodeError | None) -> str:
    if wrong is None:
        return "a NUL character: the file is damaged, or in another encoding"
    byte = f"byte 0x{wrong.object[wrong.start]:02x}"
    return f"{byte} is not {encoding}: save the file as {encoding}, or give the encoding that it is in"
