"""The encodings of files: which there are, what a file looks like instead, and what is wrong with one."""

from __future__ import annotations

import codecs
import io
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from datastoresync.errors import DeclarationError

if TYPE_CHECKING:
    from datastoresync.conversion.value_format import ValueFormat

_ALL_BYTES = bytes(range(256))
_LOOKS = (
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", "utf-32"),
    (rb"\xff\xfe|\xfe\xff", "utf-16"),
    (rb"[^\0]\0\0\0", "utf-32-le"),
    (rb"\0\0\0[^\0]", "utf-32-be"),
    (rb"[^\0]\0.\0", "utf-16-le"),
    (rb"\0[^\0]\0.", "utf-16-be"),
    (rb"\x1f\x8b", "a file packed by gzip: call it so, with .gz behind its name"),
    (rb"PK\x03\x04", "a workbook or an archive: xlsx:FILE reads a workbook"),
    (rb"PAR1", "a Parquet file: parquet:FILE reads it"),
    (rb"SQLi", "a database of SQLite: sqlite:///FILE reads it"),
)
"""What files begin with that are no text, or text in another encoding; as patterns."""


def codec(encoding: str) -> str:
    """Return the name of an encoding; of one with a byte order mark, the encoding without."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
        return codecs.lookup(encoding).name.replace("utf-8-sig", "utf-8")
    except LookupError as error:
        message = f"{encoding!r} is no text encoding that Python knows: give one such as 'utf-8' or 'cp1252'"
        raise DeclarationError(message) from error


def one_byte(encoding: str) -> bool:
    """Say whether every character of an encoding is a byte, and not all bytes are ASCII."""
    with suppress(UnicodeError):
        return encoding not in ("utf-8", "ascii") and len(_ALL_BYTES.decode(encoding, "replace")) == len(_ALL_BYTES)
    return False


class LooksLikeUtf8:
    """Whether bytes that are read as something else are UTF-8: those of another encoding hardly ever are by chance."""

    def __init__(self) -> None:
        self.character = ""
        """The first that is not ASCII; none if there is no such, or what was read is no UTF-8."""
        self.position: tuple[int, int] | None = None
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()

    def note(self, block: bytes, *, final: bool) -> None:
        """Look at the next bytes of the file."""
        if self._decoder is None:
            return
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError:
            self._decoder, self.character = None, ""
        else:
            self.character = self.character or next((one for one in text if not one.isascii()), "")


def encoding_fault(form: ValueFormat, encoding: str, start: bytes, failure: UnicodeError | None) -> str:
    """Return what is wrong with a file that holds a NUL, or a byte that is not of its encoding.

    Args:
        form: How the file is read.
        encoding: The name of its encoding.
        start: Its first four bytes.
        failure: The error of the decoder; None for a NUL.
    """
    looks = next((looks for pattern, looks in _LOOKS if re.match(pattern, start, re.DOTALL)), "")
    if looks.startswith("utf") and not encoding.startswith(looks):
        hint = f": it looks like {looks[:6].upper()}, which {form.option('encoding', looks)} reads"
    else:
        hint = f": it looks like {looks}" if looks and "utf" not in looks else ""
    if failure is None:
        return f"a NUL character{hint or ': the file is damaged, or in another encoding'}"
    if not isinstance(failure, UnicodeDecodeError):
        return f"it has no byte order mark, as {encoding} needs one{hint}"
    byte = f"byte 0x{failure.object[failure.start]:02x} is not {encoding}"
    usual = f": save the file as {encoding}, or give the encoding that it is in, as in "
    return byte + (hint or usual + form.option("encoding", "mac-roman" if encoding == "cp1252" else "cp1252"))


def utf8_fault(form: ValueFormat, encoding: str, character: str) -> str:
    """Return what is wrong with a file that is not UTF-8 as it says, but looks like it.

    Args:
        form: How the file is read.
        encoding: The name of the encoding that it is to be read in, one byte a character.
        character: The first character beyond ASCII, as it is in UTF-8.
    """
    as_read = character.encode().decode(encoding, "replace")
    return (
        f"the file looks like UTF-8: read as {encoding}, its {character!r} would be {as_read!r}; "
        f"{form.option('encoding', 'utf-8')} reads it, and with {form.option('check_encoding', value=False)} "
        f"{as_read!r} is what is meant"
    )
