"""The methods that export a diff, a branch, a preview or a report, and how files are written."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, overload

from datastoresync.atomic_write import AtomicWrite
from datastoresync.errors import MissingDependencyError, SyncerError, system_reason
from datastoresync.exporting.export import Export

Target = str | os.PathLike[str]
"""The path of a file."""


class Exportable:
    """Writes what a subclass exports, in every format, in the same order and with the same columns.

    Values of attributes that a class declares as ``_sensitive`` are ``***`` in all of them. Text files are in UTF-8,
    and lines end in a newline. A file is replaced when it is complete; if its rows cannot be written, it stays as it
    was. An open file may be given in the place of a path, and is written to as it is. Without either, the text is
    returned.

    Rows are written as they come, so that a million need no more memory than one; but for `to_dicts` and `to_frame`.
    """

    __slots__ = ()

    def __export__(self) -> Export:
        """Return the rows."""
        raise NotImplementedError

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dictionary a row, with the values as they are."""
        export = self.__export__()
        return [dict(zip(export.columns, row, strict=True)) for row in export.rows()]

    def to_frame(self) -> Any:
        """Return a ``pyarrow.Table``, for polars (``polars.from_arrow``) and pandas (``.to_pandas()``).

        The columns of a branch have the types of their values; where these are of several kinds, and in all other
        tables, they are texts as in a CSV file. None is null.

        Raises:
            MissingDependencyError: pyarrow is not installed.
            SyncerError: a text holds half of a surrogate pair.
        """
        try:
            from datastoresync.exporting.frame import frame
        except ImportError as error:
            message = "frames are pyarrow's: pip install 'datastoresync[arrow]'"
            raise MissingDependencyError(message) from error
        return frame(self.__export__())

    @overload
    def to_csv(self, path: None = None, *, delimiter: str = ",", encoding: str = "utf-8") -> str: ...
    @overload
    def to_csv(self, path: Target | IO[str], *, delimiter: str = ",", encoding: str = "utf-8") -> None: ...
    def to_csv(
        self, path: Target | IO[str] | None = None, *, delimiter: str = ",", encoding: str = "utf-8"
    ) -> str | None:
        r"""Write a CSV file with a header.

        None is an empty field and an empty text is ``""``. Texts that a spreadsheet would compute (``=1+1``) have an
        apostrophe in front, as in the files of a CSV store. Lists, sets and composite idnumbers are JSON.

        Args:
            path: The file; None returns the text.
            delimiter: What is between columns, such as ``";"`` or ``"\t"``.
            encoding: That of the file; Excel opens ``"utf-8-sig"`` without a question.

        Raises:
            SyncerError: the file cannot be written, or a text cannot be in this encoding.
        """
        from datastoresync.exporting.texts import csv_lines

        return deliver(csv_lines(self.__export__(), delimiter), path, encoding)

    @overload
    def to_json(self, path: None = None) -> str: ...
    @overload
    def to_json(self, path: Target | IO[str]) -> None: ...
    def to_json(self, path: Target | IO[str] | None = None) -> str | None:
        """Write a JSON document: an array with an object a row, each on a line of its own.

        Numbers, truth and None are JSON's own, sets and lists arrays. What JSON does not have (dates, decimals, UUIDs,
        NaN) is text.

        Args:
            path: The file; None returns the text.

        Raises:
            SyncerError: the file cannot be written, or a text holds half of a surrogate pair.
        """
        from datastoresync.exporting.texts import json_lines

        return deliver(json_lines(self.__export__()), path)

    @overload
    def to_jsonl(self, path: None = None) -> str: ...
    @overload
    def to_jsonl(self, path: Target | IO[str]) -> None: ...
    def to_jsonl(self, path: Target | IO[str] | None = None) -> str | None:
        """Write JSON lines: an object a row and a line, with values as in `to_json`; it raises what that raises."""
        from datastoresync.exporting.texts import jsonl_lines

        return deliver(jsonl_lines(self.__export__()), path)

    @overload
    def to_markdown(self, path: None = None) -> str: ...
    @overload
    def to_markdown(self, path: Target | IO[str]) -> None: ...
    def to_markdown(self, path: Target | IO[str] | None = None) -> str | None:
        """Write a table as GitHub's Markdown has it, with the title and the summary above; it raises as `to_json` does.

        All that Markdown or HTML would take for markup is escaped. None is empty, and an empty text is two quotes.
        """
        from datastoresync.exporting.texts import markdown_lines

        return deliver(markdown_lines(self.__export__()), path)

    @overload
    def to_html(self, path: None = None) -> str: ...
    @overload
    def to_html(self, path: Target | IO[str]) -> None: ...
    def to_html(self, path: Target | IO[str] | None = None) -> str | None:
        """Write one HTML page that needs no other file and no script; it raises what `to_json` raises."""
        from datastoresync.exporting.page import html_lines

        return deliver(html_lines(self.__export__()), path)

    def to_xlsx(self, path: Target | IO[bytes]) -> None:
        """Write an Excel workbook of one sheet: its header stays in sight, and every column has a filter.

        Numbers, dates and truth are cells of their type; text is never a formula. In two long texts of which the one
        follows the other, the words that changed are struck out, or underlined. What a cell cannot hold is text, and
        text of more than 32,767 characters is cut, which its end says.

        Args:
            path: The workbook, or a file that is open for bytes.

        Raises:
            MissingDependencyError: openpyxl is not installed.
            SyncerError: the file cannot be written, there are more rows than a sheet has, or a text holds half of a
                surrogate pair.
        """
        try:
            from datastoresync.exporting.workbook import save
        except ImportError as error:
            message = "Excel workbooks are written by openpyxl: pip install 'datastoresync[excel]'"
            raise MissingDependencyError(message) from error
        export = self.__export__()
        if isinstance(path, (str, os.PathLike)):
            _replace(Path(path), lambda file: save(export, file))
        else:
            save(export, path)


def deliver(lines: Iterator[str], path: Target | IO[str] | None, encoding: str = "utf-8") -> str | None:
    """Write the header and the rows of a text to a file, or return them if there is none.

    Raises:
        SyncerError: the file cannot be written, or a row cannot be in this encoding.
    """
    if path is None:
        buffer = io.BytesIO()
        _encode(lines, buffer, "utf-8")
        return buffer.getvalue().decode()
    if isinstance(path, (str, os.PathLike)):
        _replace(Path(path), lambda file: _encode(lines, file, encoding))
    else:
        _write(lines, path)
    return None


def _encode(lines: Iterator[str], file: IO[bytes], encoding: str) -> None:
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    _write(lines, text)
    text.flush()
    text.detach()


def _write(lines: Iterator[str], file: IO[str]) -> None:
    """Write lines, and say in which row a text cannot be encoded; row 0 is the header."""
    number = 0
    try:
        for number, line in enumerate(lines):  # noqa: B007 - the last one is told
            file.write(line)
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        half = ", half of a surrogate pair, which is no character" if 0xD800 <= code < 0xE000 else ""
        where = f"row {number}" if number else "the header"
        message = f"{where} holds U+{code:04X}{half}: it cannot be written as {error.encoding}; mend the value"
        raise SyncerError(message) from None


def _replace(path: Path, save: Callable[[IO[bytes]], None]) -> None:
    """Write a file that replaces the one at a path when it is complete; a device or a pipe is written to as it is."""
    target = Path(os.path.realpath(path))
    write = AtomicWrite(target, shared=True)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # of a pipe, the target is no path
            with path.open("wb") as file:
                save(file)
            return
        try:
            write.write(save)
            write.commit()
        finally:
            write.discard()
    except OSError as error:
        fix = ": create the folder first" if isinstance(error, FileNotFoundError) else ""
        message = f"cannot write {path}: {system_reason(error)}{fix}"
        raise SyncerError(message) from error
