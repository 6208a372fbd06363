"""CSV and TSV files as a store: everything comes back as text."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

from datastoresync.conversion.scalars import scalar_of
from datastoresync.errors import DeclarationError, SyncerError
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.files.csv_reader import LONGEST, codec, read_csv
from datastoresync.syncers.records import Records
from datastoresync.syncers.row_index import TableContents

_DELIMITERS: Mapping[str, str] = {"tab": "\t", "\\t": "\t"}
"""Delimiters that are hard to write in a URL or a shell."""
_SEPARATORS = re.compile(r"[\r;\t|]")
"""Characters that other programs may take for the end of a column or a line, unless the value is quoted."""
_BLANK_SIZE = 16
"""Bytes of a file that may hold one empty line and nothing else, at most."""
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - spreadsheets take the wide signs for the narrow ones
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class CSVSyncer(FileSyncer):
    r"""CSV files: ``users.csv`` in a folder is the table ``users``, with a header and a record a line.

    Everything comes back as text: None as an empty one, numbers as Python writes them, dates, times, UUIDs and decimals
    as their usual text, an enum member as its value. Sets, lists, dictionaries and bytes are refused. Text comes back
    exactly as it was, newlines and all. A table that never had a record is a file of one empty line.

    Reading is strict: see `read_csv`.

    Args:
        path: A folder, or one file.
        delimiter: What separates the columns: one character, ``tab`` or ``\t``.
        encoding: The encoding of the files; ``utf-8-sig`` writes a byte order mark, which is skipped in any case.
        formulas: ``"escape"`` writes an apostrophe in front of text that a spreadsheet would take for a formula, and
            removes it when it reads. ``"keep"`` does neither.
        name: The name in messages.
        timeout: Seconds to wait for another run that is writing; by default it is not waited for.

    Raises:
        DeclarationError: An option has a value that it cannot have.

    >>> CSVSyncer("exports").normalized(7)
    '7'
    """

    format: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        delimiter: str = ",",
        encoding: str = "utf-8",
        formulas: Literal["escape", "keep"] = "escape",
        name: str | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(path, name=name, timeout=timeout)
        self.delimiter = _DELIMITERS.get(delimiter, delimiter)
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            message = f"a delimiter is one character, and neither a quote nor a newline (got {delimiter!r})"
            raise DeclarationError(message)
        if formulas not in ("escape", "keep"):
            message = f"formulas is 'escape' or 'keep' (got {formulas!r})"
            raise DeclarationError(message)
        codec(encoding)
        self.encoding = encoding
        self.formulas = formulas

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
        records = read_csv(path, encoding=self.encoding, delimiter=self.delimiter)
        if self.formulas == "keep":
            return records
        columns = [unescape_formula(column) for column in records.columns]
        return Records(
            columns, ([_unescape_all(values) for values in chunk] for chunk in records.chunks), records.where
        )

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
        text = io.TextIOWrapper(file, encoding=self.encoding, newline="")
        header = [self._name(column, identifier) for column in contents.columns]
        if contents.records and not header:
            message = f"the records for table {identifier!r} have no columns: a CSV file cannot hold them"
            raise SyncerError(message)
        if not header:
            text.write("\n")
        else:
            plain = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
            quoted = csv.writer(text, delimiter=self.delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
            # At the beginning of the file, a mark would be taken for that of the encoding.
            (quoted if header[0].startswith("\ufeff") or _SEPARATORS.search("".join(header)) else plain).writerow(
                header
            )
            for number, row in enumerate(self._encoded_rows(identifier, contents, self._encode), 1):
                joined = "".join(row)
                if len(joined) > LONGEST // 2:
                    message = f"record {number} for table {identifier!r} is longer than {LONGEST // 2} characters"
                    raise SyncerError(message)
                # csv quotes newlines by itself; programs that guess take the others for separators.
                (quoted if _SEPARATORS.search(joined) else plain).writerow(row)
        text.flush()
        text.detach()

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
    suffixes: ClassVar[tuple[str, ...]] = (".tsv",)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        formulas: Literal["escape", "keep"] = "escape",
        name: str | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(path, delimiter="\t", encoding=encoding, formulas=formulas, name=name, timeout=timeout)


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


def _unescape_all(values: Any) -> list[str]:
    return [unescape_formula(value) if value[:1] == "'" else value for value in values]


def escape_formula(text: str) -> str:
    """Put an apostrophe in front of a text that a spreadsheet would compute.

    A formula begins with ``=``, ``+``, ``-``, ``@``, a tab or a newline, and is not a plain number. A text that begins
    like one after apostrophes gets one more, so that `unescape_formula` restores every text.

    >>> [escape_formula(text) for text in ["=cmd()", "-5", "-x", "'=x", "it's"]]
    ["'=cmd()", '-5', "'-x", "''=x", "it's"]
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescape_formula(text: str) -> str:
    """Return the text that `escape_formula` was called with; every other text as it is.

    >>> [unescape_formula(text) for text in ["'=cmd()", "-5", "'-x", "''=x", "it's"]]
    ['=cmd()', '-5', '-x', "'=x", "it's"]
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
