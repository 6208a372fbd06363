"""JSON files, and files of JSON lines, as a store: values keep their types."""

from __future__ import annotations

import base64
import json
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any, ClassVar

from datastoresync.conversion.scalars import SCALARS, scalar_of
from datastoresync.errors import MalformedFileError, SyncerError
from datastoresync.printing.text import shortened
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.records import Columns, Records, unreadable_reason
from datastoresync.syncers.row_index import TableContents

_PLAIN = (type(None), bool, int, float, str)


def json_text(value: Any) -> str:
    """Return the JSON of a value that `encode` returned, on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encode(value: Any) -> Any:
    """Return a value in the types of JSON: one of another type is an object of one key that begins with a dollar sign.

    =============================  ===================================================================================
    ``Decimal("1.10")``            ``{"$decimal": "1.10"}``
    ``date``, ``datetime``         ``{"$date": "2024-01-02"}``, ``{"$datetime": …}``, as ISO 8601
    ``time``, ``timedelta``        ``{"$time": …}``; ``{"$timedelta": [days, seconds, microseconds]}``
    ``bytes``, ``UUID``            ``{"$bytes": base64}``, ``{"$uuid": …}``
    ``tuple``, ``set``             ``{"$tuple": […]}``, ``{"$set": […]}``, ``{"$frozenset": […]}``; sets are sorted
    NaN and infinity               ``{"$float": "nan"}``, ``{"$float": "inf"}``, ``{"$float": "-inf"}``
    ``{"$date": 1}``, an object    ``{"$object": {"$date": 1}}``; with a tag that is none of these, it stays as it is
    =============================  ===================================================================================

    An enum member becomes its value.

    Raises:
        SyncerError: The value is of another type, or holds an integer or a text that cannot be written.
    """
    kind = type(value)
    if kind is str:
        _check_text(value)
        return value
    if value is None or kind is bool:
        return value
    if isinstance(value, Enum):
        return encode(value.value)
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        return _collection(value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    scalar = scalar_of(value)
    if scalar is not None and scalar.json_tag and scalar.to_text is not None:
        return {scalar.json_tag: scalar.to_text(value)}
    if isinstance(value, str):
        return encode(str.__str__(value))
    if isinstance(value, int):
        try:
            str(int(value))
        except ValueError:
            message = "an integer has too many digits to be written: see sys.set_int_max_str_digits"
            raise SyncerError(message) from None
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, timedelta):
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    message = f"JSON cannot hold a {type(value).__name__}: make it a text, a number, a list or a dictionary first"
    raise SyncerError(message)


def _collection(value: Any) -> Any:
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [encode(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        tag = "$set" if isinstance(value, set) else "$frozenset"
        return {tag: sorted((encode(item) for item in value), key=json_text)}
    if wrong := [key for key in value if not isinstance(key, str)]:
        message = f"a dictionary has a key that is {type(wrong[0]).__name__}, and those of JSON are text"
        raise SyncerError(message)
    for key in value:
        _check_text(key)
    plain = {key: encode(item) for key, item in value.items()}
    return {"$object": plain} if _is_tagged(plain) else plain


def _check_text(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        raise SyncerError(message) from None


def _is_tagged(value: Mapping[str, Any]) -> bool:
    """Whether an object has one key, and that is a tag."""
    return len(value) == 1 and next(iter(value)) in _DECODERS


def decode(value: Any) -> Any:
    """Return the value that `encode` was called with. An object with an unknown tag stays as it is.

    Raises:
        ValueError: The content does not fit the tag.
    """
    kind = type(value)
    if kind is list:
        return [item if type(item) in _PLAIN else decode(item) for item in value]
    if kind is not dict:
        return value
    if not _is_tagged(value):
        return {key: item if type(item) in _PLAIN else decode(item) for key, item in value.items()}
    ((tag, content),) = value.items()
    try:
        return _DECODERS[tag](content)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        message = f"the content of {tag!r} is not what the tag says"
        raise ValueError(message) from None


def _object(content: Any) -> dict[str, Any]:
    return {key: decode(item) for key, item in content.items()}


def _float(content: Any) -> float:
    number = float(content)
    if math.isfinite(number) or not isinstance(content, str):
        raise ValueError
    return number


def _items(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise TypeError
    return [decode(item) for item in content]


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    **{scalar.json_tag: scalar.from_text for scalar in SCALARS.values() if scalar.json_tag and scalar.from_text},
    "$bytes": lambda content: base64.b64decode(content, validate=True),
    "$timedelta": lambda content: timedelta(*content),
    "$float": _float,
    "$tuple": lambda content: tuple(_items(content)),
    "$set": lambda content: set(_items(content)),
    "$frozenset": lambda content: frozenset(_items(content)),
    "$object": _object,
}


_CHUNK = 8192
"""Records a chunk."""
_BLANK = " \t\r\n"
_Numbered = tuple[int, dict[str, Any]]
"""The line that a record begins on, and the record."""


class _JSON(FileSyncer):
    """The base of both formats."""

    _fixed: ClassVar[bool] = False

    def normalized(self, value: Any) -> Any:
        """Return the value that `load` returns for one that was dumped: the same, but an enum member is its value.

        Raises:
            SyncerError: The value is of a type that `JSONSyncer` does not keep.
        """
        return decode(encode(value))

    def load(self, identifier: str) -> list[dict[str, Any]]:
        """Return all records of a table, each with its own keys.

        Raises:
            SyncerError: There is no such table; the nearest one is named.
            MalformedFileError: Its file is not a list of objects, with the line.
        """
        return [record for _, record in self._numbered(self._existing_file(identifier))]

    def _open_file(self, path: Path, identifier: str) -> Records:  # noqa: ARG002 - one file is one table
        numbered = list(self._numbered(path))
        columns = list(dict.fromkeys(column for _, record in numbered for column in record))
        chunks = _chunks((record for _, record in numbered), columns)
        return Records(columns, chunks, lambda index: f"{path}:{numbered[index][0]}")

    def _stored(self, identifier: str) -> TableContents:
        return TableContents.of(self.load(identifier), identifier)

    def _difference(self, path: Path, identifier: str, contents: TableContents) -> str:  # noqa: ARG002 - as above
        found = (record for _, record in self._numbered(path))
        for number, (record, wanted) in enumerate(zip_longest(found, contents.records), 1):
            if record is None or wanted is None:
                return f"it holds {'more' if wanted is None else 'fewer'} than {len(contents.records):,} records"
            # NaN is not equal to itself, but has the same text.
            if record != wanted and repr(record) != repr(kept := self.normalized(wanted)) and record != kept:
                return f"record {number} would come back as {shortened(record)}"
        return ""

    @abstractmethod
    def _numbered(self, path: Path) -> Iterator[_Numbered]:
        """Yield the records of a file, with their lines."""

    def _texts(self, identifier: str, contents: TableContents) -> Iterator[dict[str, str]]:
        """Yield the JSON of the keys and values of each record; name the record and column of a refused value."""
        keys: dict[str, str] = {}
        for number, record in enumerate(contents.records, 1):
            texts: dict[str, str] = {}
            for column, value in record.items():
                try:
                    if column not in keys:
                        keys[column] = json_text(encode(column))
                    texts[keys[column]] = json_text(encode(value))
                except (SyncerError, RecursionError) as error:
                    reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
                    message = f"record {number} for table {identifier!r}, column {column!r}: {reason}"
                    raise SyncerError(message) from error
            yield texts


class JSONSyncer(_JSON):
    """JSON files: ``users.json`` in a folder is the table ``users``, a list of objects, indented, in UTF-8.

    Text, numbers, booleans, None, lists and dictionaries are what they are in JSON; integers may have any size. A date,
    a datetime, a time, a timedelta, a Decimal, a UUID, bytes, a tuple, a set, NaN and infinity come back, too: they are
    written as an object of one key, such as ``{"$decimal": "1.10"}``, and a real object that looks like one of these as
    ``{"$object": …}``. An enum member comes back as its value. All other types are refused.

    A file is read into memory as a whole. Two equal keys in an object, ``NaN`` and numbers too large for a float are
    refused, with the line.

    Args:
        path: A folder, or one file.
        name: The name in messages.
        timeout: Seconds to wait for another run that is writing; by default it is not waited for.

    >>> JSONSyncer("exports").normalized({1, 2})
    {1, 2}
    """

    format: ClassVar[str] = "json"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def _numbered(self, path: Path) -> Iterator[_Numbered]:
        text = _decoded_text(_bytes(path), path, 1)
        yield from _Document(text, path).records()

    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        ((identifier, contents),) = tables.items()
        before = b"[\n"
        for texts in self._texts(identifier, contents):
            lines = ",\n".join(f"    {key}: {value}" for key, value in texts.items())
            file.write(before + (f"  {{\n{lines}\n  }}" if lines else "  {}").encode())
            before = b",\n"
        file.write(b"\n]\n" if contents.records else b"[]\n")


class JSONLinesSyncer(_JSON):
    """Files with a JSON object a line: ``users.jsonl`` in a folder is the table ``users``; values as in `JSONSyncer`.

    Empty lines are skipped. A table without records is a file of one empty line; a file with nothing in it at all is
    refused, as it may have been cut off.

    Args:
        path: A folder, or one file.
        name: The name in messages.
        timeout: Seconds to wait for another run that is writing; by default it is not waited for.
    """

    format: ClassVar[str] = "jsonl"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def _numbered(self, path: Path) -> Iterator[_Numbered]:
        line = 0
        try:
            with path.open("rb") as file:
                for line, raw in enumerate(file, 1):
                    text = _decoded_text(raw, path, line)
                    if text.strip(_BLANK):
                        yield line, _Document(text, path, line).only()
        except OSError as error:
            raise MalformedFileError(unreadable_reason(path, error), where=str(path)) from error
        if not line:
            message = "the file is empty: one without records holds an empty line"
            raise MalformedFileError(message, where=str(path))

    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        ((identifier, contents),) = tables.items()
        for texts in self._texts(identifier, contents):
            pairs = ", ".join(f"{key}: {value}" for key, value in texts.items())
            file.write(f"{{{pairs}}}\n".encode())
        if not contents.records:
            file.write(b"\n")


class _Document:
    """A JSON text that is read object by object, each with its line.

    Args:
        text: The whole text.
        path: The file, for messages.
        line: The line that the text begins on.
    """

    def __init__(self, text: str, path: Path, line: int = 1) -> None:
        self._text = text
        self._path = path
        self._line = line
        self._counted = 0
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_unique_object, parse_constant=_no_constant, parse_float=_finite
        )

    def records(self) -> Iterator[_Numbered]:
        """Yield the objects of the list, with their lines."""
        position = self._after(0)
        if not self._text[position:]:
            raise self._error("the file is empty: one without records holds []", position)
        if self._text[position] != "[":
            lines = "; jsonl:FILE reads a file with an object a line" if self._text[position] == "{" else ""
            raise self._error(f"the file is not a list: it must begin with [ and hold objects{lines}", position)
        position = self._after(position + 1)
        if self._text[position : position + 1] == "]":
            self._end(position + 1)
            return
        while True:
            line = self._line_of(position)
            record, position = self._record(position)
            yield line, record
            position = self._after(position)
            if self._text[position : position + 1] != ",":
                break
            position = self._after(position + 1)
        if self._text[position : position + 1] != "]":
            at_end = position == len(self._text)
            message = "the file ends within the list: it may be cut off" if at_end else "no , or ] here"
            raise self._error(message, position)
        self._end(position + 1)

    def only(self) -> dict[str, Any]:
        """Return the only object of the text."""
        record, position = self._record(self._after(0))
        self._end(position)
        return record

    def _record(self, position: int) -> tuple[dict[str, Any], int]:
        try:
            value, end = self._decoder.raw_decode(self._text, position)
            # A record is never a tagged value, even if its only column has the name of a tag.
            record = {key: decode(item) for key, item in value.items()} if isinstance(value, dict) else None
        except json.JSONDecodeError as error:
            cut = " (the file may be cut off)" if not self._text[error.pos :].strip(_BLANK) else ""
            reason = error.msg[:1].lower() + error.msg[1:]
            raise self._error(f"not JSON: {reason}{cut}", error.pos) from None
        except RecursionError:
            raise self._error("the object that begins here is nested too deeply", position) from None
        except ValueError as error:
            raise self._error(f"in the object that begins here, {error}", position) from None
        if record is None:
            raise self._error(f"an object must begin here, not a {type(value).__name__}", position)
        return record, end

    def _after(self, position: int) -> int:
        """Return the position of the next character that is not blank."""
        text = self._text
        while position < len(text) and text[position] in _BLANK:
            position += 1
        return position

    def _end(self, position: int) -> None:
        position = self._after(position)
        if position < len(self._text):
            raise self._error("unexpected data after the end", position)

    def _line_of(self, position: int) -> int:
        """Return the line of a position that is not before that of the last call."""
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def _error(self, message: str, position: int) -> MalformedFileError:
        line = self._line + self._text.count("\n", self._counted, position)
        column = position - self._text.rfind("\n", 0, position)
        return MalformedFileError(message, where=f"{self._path}:{line}:{column}", line=line, column=column)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedFileError(unreadable_reason(path, error), where=os.fspath(path)) from error


def _decoded_text(raw: bytes, path: Path, line: int) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line += before.count(b"\n")
        column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
        message = f"byte 0x{raw[error.start]:02x} is not utf-8: save the file as utf-8"
        raise MalformedFileError(message, where=f"{path}:{line}:{column}", line=line, column=column) from None
    return text.removeprefix("\ufeff") if line == 1 else text


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in record if keys.count(key) > 1)
        message = f"the key {twice!r} is there twice: remove one"
        raise ValueError(message)
    return record


def _no_constant(text: str) -> Any:
    message = f'{text} is not JSON: write {{"$float": "nan"}}, "inf" or "-inf"'
    raise ValueError(message)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = f"{text} is too large for a float: write it as a text"
        raise ValueError(message)
    return number


def _chunks(records: Iterable[dict[str, Any]], columns: Sequence[str]) -> Iterator[Columns]:
    iterator = iter(records)
    while chunk := list(islice(iterator, _CHUNK)):
        yield [[record.get(column) for record in chunk] for column in columns]
