"""A workbook as streams of XML, within bounded memory: its sheets, number formats, shared texts and merged cells."""

from __future__ import annotations

import os
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO
from xml.parsers import expat

import attrs

from datastoresync.conversion.cells import COLUMNS
from datastoresync.errors import MalformedFileError, SyncerError
from datastoresync.syncers.records import unreadable_reason

_BLOCK = 2**18
"""Bytes that are unpacked at a time."""
_UNPACKED, _TIMES = 2**26, 100
"""A part may unpack to so many bytes, or to so many times its size, whichever is more."""
_LONGEST = 2**20
"""Characters in the longest cell that is read; Excel itself keeps 32,767."""
_LONGEST_TAG = 256
_FORMATS = {
    14: "mm-dd-yy",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm am/pm",
    19: "h:mm:ss am/pm",
    20: "h:mm",
    21: "h:mm:ss",
    22: "m/d/yy h:mm",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
}
"""The number formats of dates and times that a workbook does not spell out, by number: ECMA-376, part 1, 18.8.30."""


class DamagedError(ValueError):
    """A part that no spreadsheet program writes so."""


# Parts of a workbook --------------------------------------------------------------------------------------------------


class Package:
    """The parts of an open workbook, each read as a stream.

    Args:
        path: The workbook.
        parts: The open archive.
    """

    def __init__(self, path: Path, parts: zipfile.ZipFile) -> None:
        self.path = path
        self._parts = parts
        self._workbook = next(iter(self._relations("", "/officeDocument").values()), "xl/workbook.xml")
        self.since_1904 = False
        """Whether dates are counted from 1 January 1904, rather than from 1900."""
        self.sheets: dict[str, str] = {}
        """The part of each sheet, by title, in their order."""
        targets = self._relations(self._workbook, "/worksheet")

        def start(tag: str, attributes: Mapping[str, str]) -> None:
            if tag == "workbookPr" and attributes.get("date1904") in ("1", "true"):
                self.since_1904 = True
            elif tag == "sheet":
                target = next((value for name, value in attributes.items() if name.endswith(":id")), "")
                if target in targets:
                    self.sheets[attributes["name"]] = targets[target]

        self._walk(self._workbook, start)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a part.

        Raises:
            DamagedError: It would unpack to much more than it is, or is packed as Excel packs none.
        """
        part = self._parts.getinfo(name)
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            message = f"{name} is packed as Excel packs none"
            raise DamagedError(message)
        if part.file_size > max(_UNPACKED, _TIMES * part.compress_size):
            times = part.file_size // max(part.compress_size, 1)
            message = f"{name} would unpack to {part.file_size / 2**20:,.0f} MB, {times:,} times its size"
            raise DamagedError(message)
        with self._parts.open(part) as file:
            yield file

    @property
    def names(self) -> list[str]:
        """The names of all parts."""
        return self._parts.namelist()

    @cached_property
    def formats(self) -> list[str]:
        """The number format of each style of cells."""
        codes: dict[int, str] = dict(_FORMATS)
        used: list[int] = []
        inside = ""

        def start(tag: str, attributes: Mapping[str, str]) -> None:
            nonlocal inside
            if tag in ("numFmts", "cellXfs", "cellStyleXfs", "dxfs"):
                inside = tag
            elif tag == "numFmt" and inside == "numFmts":
                codes[int(attributes["numFmtId"])] = attributes["formatCode"]
            elif tag == "xf" and inside == "cellXfs":
                used.append(int(attributes.get("numFmtId", 0)))

        for name in self._relations(self._workbook, "/styles").values():
            self._walk(name, start)
        return [codes.get(number, "General") for number in used]

    @cached_property
    def texts(self) -> list[str]:
        """The texts that cells refer to by number."""
        found: list[str] = []
        for name in self._relations(self._workbook, "/sharedStrings").values():
            shared = _SharedTexts()
            with self.open(name) as file:
                for _ in segments(file, b"</si>", shared.plain, shared.parser):
                    found += shared.found
                    shared.found.clear()
        return found

    def merged(self, name: str) -> list[Area]:
        """Return the merged cells of a sheet, from top to bottom; they stand behind its rows."""
        areas: set[tuple[bytes, ...]] = set()
        rest = b""
        with self.open(name) as file:
            while block := file.read(_BLOCK):
                rest += block
                areas.update(_MERGED.findall(rest) if b"mergeCell " in rest else ())
                rest = rest[-_LONGEST_TAG:]
        edges = sorted((int(top), int(bottom), left, right) for left, top, right, bottom in areas)
        return [
            Area(top, bottom, column_of(left.decode()), column_of(right.decode())) for top, bottom, left, right in edges
        ]

    def _relations(self, source: str, kind: str) -> dict[str, str]:
        """Return the parts that one refers to, of one kind, by the names that it has for them."""
        folder, base = posixpath.split(source)
        found: dict[str, str] = {}

        def start(tag: str, attributes: Mapping[str, str]) -> None:
            if tag == "Relationship" and attributes["Type"].endswith(kind):
                target = posixpath.normpath(posixpath.join("/", folder, attributes["Target"]))
                found[attributes["Id"]] = target.lstrip("/")

        name = posixpath.join(folder, "_rels", f"{base}.rels")
        if name in self.names:
            self._walk(name, start)
        return found

    def _walk(self, name: str, start: Callable[[str, Mapping[str, str]], None]) -> None:
        """Call a function for each element of a part, with its name and attributes."""
        parser = xml_parser(start)
        with self.open(name) as file:
            while block := file.read(_BLOCK):
                parser.Parse(block)
        parser.Parse(b"", True)  # noqa: FBT003 - it takes no keywords


@contextmanager
def package(path: Path) -> Iterator[Package]:
    """Open a workbook to read it.

    Raises:
        MalformedFileError: It cannot be read.
    """
    with translate_errors(path), path.open("rb") as file, zipfile.ZipFile(file) as parts:
        yield Package(path, parts)


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Translate what a workbook makes other code raise, naming the file."""
    try:
        yield
    except MalformedFileError:
        raise
    except DamagedError as error:
        message = f"{error}: copy the table into a new workbook, or save it as CSV"
        raise MalformedFileError(message, where=os.fspath(path)) from None
    except UserWarning as error:
        message = f"{path} holds what would be lost if it were saved again: {error}"
        raise SyncerError(message) from error
    except OSError as error:
        raise MalformedFileError(unreadable_reason(path, error), where=os.fspath(path)) from error
    except Exception as error:
        message = (
            f"not a workbook that can be read ({type(error).__name__}): it may be cut off, or of another kind; save it "
            "as .xlsx, without a password"
        )
        raise MalformedFileError(message, where=os.fspath(path)) from error


_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^<>]*?\bref=[\"']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})[\"']")


@attrs.frozen
class Area:
    """Cells that are merged: rows from 1, columns from 0, the last ones included."""

    top: int
    bottom: int
    left: int
    right: int

    def covers(self, column: int) -> bool:
        """Return whether a column has part in it."""
        return self.left <= column <= self.right

    def __str__(self) -> str:
        return f"{letters_of(self.left)}{self.top}:{letters_of(self.right)}{self.bottom}"


def column_of(letters: str) -> int:
    """Return the index of a column, from 0.

    Raises:
        DamagedError: A sheet has no such column.

    >>> [column_of(letters) for letters in ["A", "Z", "AA", "XFD"]]
    [0, 25, 26, 16383]
    """
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    if not (letters.isascii() and letters.isalpha() and letters.isupper() and index <= COLUMNS):
        message = f"a cell stands in column {letters}, and a sheet has {COLUMNS:,} columns"
        raise DamagedError(message)
    return index - 1


def letters_of(column: int) -> str:
    """Return the letters of a column.

    >>> [letters_of(column) for column in [0, 25, 26, 16383]]
    ['A', 'Z', 'AA', 'XFD']
    """
    letters = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return letters


# XML ------------------------------------------------------------------------------------------------------------------

_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))
_FOREIGN_ENTITY = re.compile(rb"&(?!(?:lt|gt|quot|apos|amp);)")
_CONTROLS = bytes([*range(9), *range(11, 32)])
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def xml_parser(
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> expat.XMLParserType:
    """Return a parser that calls functions for elements and text, and knows no entities of a document's own."""

    def refuse(*_: object) -> None:
        message = "the workbook declares a document type, which Excel never does"
        raise DamagedError(message)

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda tag, attributes: start(tag.rpartition(":")[2], attributes)
    if end is not None:
        parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    if text is not None:
        parser.CharacterDataHandler = text
    return parser


def segments(file: IO[bytes], end: bytes, plain: Callable[[str], bool], parser: expat.XMLParserType) -> Iterator[None]:
    """Read a part, some whole elements at a time: those that are plain by patterns, all others by the parser.

    Args:
        file: The part.
        end: The end tag of the elements, as it is usually written.
        plain: Takes elements and says so, or leaves them to the parser.
        parser: Parses everything else.
    """
    rest = b""
    trusted = True
    whole = False  # whether the parser stands between two elements
    while block := file.read(_BLOCK):
        data = rest + block
        cut = (data.rfind(end) if whole else data.find(end)) + len(end)
        if cut < len(end):
            cut, whole = len(data) - 1, False
        segment, rest = data[:cut], data[cut:]
        trusted = trusted and b"<!" not in segment
        if not (whole and trusted and _has_plain_text(segment) and plain(segment.decode())):
            parser.Parse(segment)
        whole = segment.endswith(end)
        yield
    parser.Parse(rest, True)  # noqa: FBT003 - it takes no keywords
    yield


def _has_plain_text(segment: bytes) -> bool:
    """Return whether a segment is UTF-8, and holds nothing that a pattern would read differently from a parser."""
    if b"<?" in segment or len(segment.translate(None, _CONTROLS)) != len(segment):
        return False
    try:
        segment.decode()
    except UnicodeDecodeError:
        return False
    return b"&" not in segment or _FOREIGN_ENTITY.search(segment) is None


def unescape(text: str) -> str:
    """Return a text with characters instead of the entities that every XML knows."""
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], text) if "&" in text else text


def without_codes(text: str) -> str:
    """Return a text with the characters that stand in it as ``_x000D_``."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


class _SharedTexts:
    """Takes the texts that cells refer to; what is written beside them as their pronunciation is left out."""

    _PLAIN = re.compile(r'<si><t(?: xml:space="preserve")?>([^<]*)</t></si>')

    def __init__(self) -> None:
        self.found: list[str] = []
        self.parser = xml_parser(self._start, self._end, self._text)
        self._pieces = TextPieces()
        self._tag = ""
        self._aside = False

    def plain(self, segment: str) -> bool:
        """Take texts without formats."""
        texts = self._PLAIN.findall(segment)
        if len(texts) * 2 != segment.count("<t") + segment.count("<si"):
            return False
        self.found += [without_codes(unescape(text)) for text in texts]
        return True

    def _start(self, tag: str, _: object) -> None:
        self._tag = tag
        self._aside = self._aside or tag == "rPh"

    def _text(self, text: str) -> None:
        if self._tag == "t" and not self._aside:
            self._pieces.add(text)

    def _end(self, tag: str) -> None:
        self._tag = ""
        if tag == "rPh":
            self._aside = False
        elif tag == "si":
            self.found.append(without_codes(self._pieces.take()))


class TextPieces:
    """The text of one cell, as it arrives."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """Add a piece."""
        self._size += len(text)
        if self._size > _LONGEST:
            message = f"a cell holds more than {_LONGEST:,} characters"
            raise DamagedError(message)
        self._pieces.append(text)

    def take(self) -> str:
        """Return the text, and begin the next one."""
        text = "".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return text
