"""CSV and TSV files as a store: everything comes back as text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import IO, Any, ClassVar

from datastoresync.conversion.formulas import escape_formula
from datastoresync.conversion.scalars import scalar_of
from datastoresync.errors import SyncerError
from datastoresync.syncers.files.base import TableFileSyncer
from datastoresync.syncers.files.csv_reader import LONGEST, read_csv
from datastoresync.syncers.files.text_encoding import codec
from datastoresync.syncers.files.text_format import TextFormat
from datastoresync.syncers.records import Records
from datastoresync.syncers.row_index import TableContents

_SEPARATORS = r"\r;\t|"
"""Characters that other programs may take for the end of a column or a line, unless the value is quoted."""
_MARKED = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""Encodings that a byte order mark tells."""
_BLANK_SIZE = 16
"""Bytes of a file that may hold one empty line and nothing else, at most."""


class CSVSyncer(TableFileSyncer):
    r"""CSV files: ``users.csv`` in a folder is the table ``users``, with a header and a record a line.

    Everything comes back as text: None as an empty one, numbers as Python writes them, dates, times, UUIDs and decimals
    as their usual text, an enum member as its value. Sets, lists, dictionaries and bytes are refused. Text comes back
    exactly as it was, newlines and all. A table that never had a record is a file of one empty line.

    Reading is strict: see `read_csv`. What is rewritten keeps its byte order mark and its ends of lines. A file that
    is packed by gzip (``users.csv.gz``), or opened with options that leave something of it unread or change what its
    texts stand for, is only read: to write to it is refused.

    Args:
        path: A folder, or one file.
        name: The name in messages.
        timeout: Seconds to wait for another run that is writing; by default it is not waited for.
        options: How the files are written, and what of them is read: each by its name in `TextFormat`. The encoding
            ``utf-8-sig`` writes a byte order mark; ``formulas="escape"``, which is usual, writes an apostrophe in front
            of text that a spreadsheet would take for a formula.

    Raises:
        DeclarationError: An option has a value that it cannot have.

    >>> CSVSyncer("exports", delimiter=";").normalized(7)
    '7'
    """

    format: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz")
    format_class = TextFormat
    table_format: TextFormat

    @property
    def delimiter(self) -> str:
        """What separates the columns."""
        return self.table_format.delimiter

    @property
    def encoding(self) -> str:
        """The encoding of the files."""
        return self.table_format.encoding

    @property
    def formulas(self) -> str:
        """What is done about formulas."""
        return self.table_format.formulas

    def normalized(self, value: Any) -> str:
        """Return the text that `load` returns for a value that was dumped.

        Raises:
            SyncerError: The value is a collection or bytes, or its text cannot be written in the encoding.
        """
        text = _text(value)
        if "\0" in text:
            message = "text with a NUL character cannot be written to a CSV file: remove it"
            raise SyncerError(message)
        if len(text) >= csv.field_size_limit() and len(text) > csv.field_size_limit():
            message = f"a text of {len(text)} characters could not be read back: raise csv.field_size_limit"
            raise SyncerError(message)
        if not text.isascii() or self.encoding != "utf-8":
            self._check_encoding(text)
        return text

    def _check_encoding(self, text: str) -> None:
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError as error:
            character = f"U+{ord(text[error.start]):04X}"
            message = f"text with the character {character} cannot be written as {self.encoding}"
            raise SyncerError(message) from None

    def _encode(self, value: Any) -> str:
        text = self.normalized(value)
        return escape_formula(text) if self.formulas == "escape" else text

    def _open_file(self, path: Path, identifier: str) -> Records:  # noqa: ARG002 - one file is one table
        if self._is_blank(path):
            return Records((), (), lambda _: f"{path}:1")
        return read_csv(path, text_format=self.table_format.told(self.spelling))

    def _rewrite(self, identifiers: Sequence[str], compute: Any, *, rehearse: bool = False) -> Any:
        for identifier in identifiers:
            if self._entry(identifier).suffix.lower() == ".gz":
                message = f"{self._entry(identifier)} is packed by gzip, and only read: unpack it to write to it"
                raise SyncerError(message)
        return super()._rewrite(identifiers, compute, rehearse=rehearse)

    def _is_blank(self, path: Path) -> bool:
        """Whether a file holds one empty line; one that holds nothing at all may have been cut off."""
        try:
            if path.stat().st_size > _BLANK_SIZE:
                return False
            text = path.read_bytes().decode(codec(self.encoding))
        except (OSError, UnicodeDecodeError):
            return False  # read_csv says what is wrong
        return text.removeprefix("\ufeff") in ("\n", "\r\n")

    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        ((identifier, contents),) = tables.items()
        marked, end = self._written(self._target_file(identifier))
        text = io.TextIOWrapper(file, encoding=marked or self.encoding, newline="")
        text.write("\ufeff" if marked else "")
        separators = re.compile(f"[{_SEPARATORS}\n]" if end == "\r" else f"[{_SEPARATORS}]")
        header = [self._name(column, identifier) for column in contents.columns]
        if contents.records and not header:
            message = f"the records for table {identifier!r} have no columns: a CSV file cannot hold them"
            raise SyncerError(message)
        if not header:
            text.write(end)
        else:
            plain = csv.writer(text, delimiter=self.delimiter, lineterminator=end)
            quoted = csv.writer(text, delimiter=self.delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
            # At the beginning of the file, a mark would be taken for that of the encoding.
            (quoted if header[0].startswith("\ufeff") or separators.search("".join(header)) else plain).writerow(header)
            for number, row in enumerate(self._encoded_rows(identifier, contents, self._encode), 1):
                joined = "".join(row)
                if len(joined) > LONGEST // 2:
                    message = f"record {number} for table {identifier!r} is longer than {LONGEST // 2} characters"
                    raise SyncerError(message)
                # csv quotes newlines by itself; programs that guess take the others for separators.
                (quoted if separators.search(joined) else plain).writerow(row)
        text.flush()
        text.detach()

    def _written(self, path: Path) -> tuple[str, str]:
        """Return the encoding of the mark that a file begins with, and what ends its lines, so that they are kept."""
        if not path.exists():
            return "", "\n"
        with path.open("rb") as binary:
            start = binary.read(4)
        marks = (each for each in _MARKED if each.startswith(codec(self.encoding)))
        marked = next((each for each in marks if start.startswith("\ufeff".encode(each))), "")
        first = ""
        with suppress(UnicodeError), path.open(encoding=self.encoding, errors="replace", newline="") as text:
            while (line := text.readline(LONGEST)) and len(first) < LONGEST:
                first += line
                if first.count('"') % 2 == 0:
                    break
        return marked, next((end for end in ("\r\n", "\r") if first.endswith(end)), "\n")

    def _name(self, column: str, identifier: str) -> str:
        if not column.strip():
            message = f"table {identifier!r} has a column whose name is empty: a CSV file cannot hold it"
            raise SyncerError(message)
        try:
            return self._encode(column)
        except SyncerError as error:
            message = f"the name of column {column!r} of table {identifier!r}: {error}"
            raise SyncerError(message) from error


class TSVSyncer(CSVSyncer):
    """Files whose columns are separated by tabs, with the suffix ``.tsv``; the same as `CSVSyncer` otherwise."""

    format: ClassVar[str] = "tsv"
    suffixes: ClassVar[tuple[str, ...]] = (".tsv", ".tsv.gz")
    usual: ClassVar[Mapping[str, Any]] = {"delimiter": "\t"}


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, Enum):
        return _text(value.value)
    scalar = scalar_of(value)
    if scalar is not None and scalar.to_text is not None:
        try:
            return scalar.to_text(value)
        except ValueError:
            message = "an integer has too many digits to be written: see sys.set_int_max_str_digits"
            raise SyncerError(message) from None
    message = f"a {type(value).__name__} has no text that could be read back: make it a text first"
    if isinstance(value, (set, frozenset, list, tuple)):
        message += ", or give memberships a table of their own with Table(links=...)"
    raise SyncerError(message)
