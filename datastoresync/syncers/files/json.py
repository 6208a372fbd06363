"""JSON files, and files of JSON lines, as a store: values come back as what they were."""

from __future__ import annotations

import base64
import json
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import IO, Any, ClassVar
from uuid import UUID

from datastoresync.errors import MalformedFileError, SyncerError
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.source_info import unreadable_reason
from datastoresync.syncers.table_rewrite import TableContents

_PLAIN = (type(None), bool, int, float, str)


def json_text(value: Any) -> str:
    """Return the JSON of a value that `encoded` gave, on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encoded(value: Any) -> Any:
    """Return a value in the terms of JSON: whatever it lacks is an object of one key that begins with a dollar sign.

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
        SyncerError: It is of another type, or holds an integer or a text that cannot be written.
    """
    kind = type(value)
    if kind is str:
        _check_text(value)
        return value
    if value is None or kind is bool:
        return value
    if isinstance(value, Enum):
        return encoded(value.value)
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        return _collection(value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return encoded(str.__str__(value))
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
    for family, tag, text in _AS_TEXT:
        if isinstance(value, family):
            return {tag: text(value)}
    message = f"JSON cannot hold a {type(value).__name__}: make it a text, a number, a list or a dictionary first"
    raise SyncerError(message)


def _collection(value: Any) -> Any:
    if isinstance(value, list):
        return [encoded(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [encoded(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        tag = "$set" if isinstance(value, set) else "$frozenset"
        return {tag: sorted((encoded(item) for item in value), key=json_text)}
    if odd := [key for key in value if not isinstance(key, str)]:
        message = f"a dictionary has a key that is {type(odd[0]).__name__}, and those of JSON are text"
        raise SyncerError(message)
    for key in value:
        _check_text(key)
    plain = {key: encoded(item) for key, item in value.items()}
    return {"$object": plain} if _is_tagged(plain) else plain


def _check_text(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        message = "a text holds half of a surrogate pair, which is no character"
        raise SyncerError(message) from None


def _is_tagged(found: Mapping[str, Any]) -> bool:
    """Whether an object has one key, which says what it is."""
    return len(found) == 1 and next(iter(found)) in _READ


def decoded(value: Any) -> Any:
    """Return the value that `encoded` made this of. An object with a tag that is none of those stays as it is.

    Raises:
        ValueError: A tag has a content that cannot be its own.
    """
    kind = type(value)
    if kind is list:
        return [item if type(item) in _PLAIN else decoded(item) for item in value]
    if kind is not dict:
        return value
    if not _is_tagged(value):
        return {key: item if type(item) in _PLAIN else decoded(item) for key, item in value.items()}
    ((tag, content),) = value.items()
    try:
        return _READ[tag](content)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        message = f"what {tag!r} holds is not what it says"
        raise ValueError(message) from None


def _object(content: Any) -> dict[str, Any]:
    return {key: decoded(item) for key, item in content.items()}


def _float(content: Any) -> float:
    found = float(content)
    if math.isfinite(found) or not isinstance(content, str):
        raise ValueError
    return found


def _items(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise TypeError
    return [decoded(item) for item in content]


def _decimal(content: Any) -> Decimal:
    if not isinstance(content, str):
        raise TypeError
    return Decimal(content)


_AS_TEXT: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    (datetime, "$datetime", datetime.isoformat),
    (date, "$date", date.isoformat),
    (time, "$time", time.isoformat),
    (Decimal, "$decimal", str),
    (UUID, "$uuid", str),
    (bytes, "$bytes", lambda value: base64.b64encode(value).decode()),
)
_READ: Mapping[str, Callable[[Any], Any]] = {
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$decimal": _decimal,
    "$uuid": UUID,
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
"""A record, and the line that it begins on."""


class _JSON(FileSyncer):
    """What both formats have in common."""

    _fixed: ClassVar[bool] = False

    def normalized(self, value: Any) -> Any:
        """Return what `load` gives for a value that `dump` took: the same, but an enum member is its value.

        Raises:
            SyncerError: It is of a type that is not kept: see `JSONSyncer`.
        """
        return decoded(encoded(value))

    def load(self, identifier: str) -> list[dict[str, Any]]:
        """Return all records of a table, each with the keys that it has there.

        Raises:
            SyncerError: The table is not there; the nearest one is named.
            MalformedFileError: Its file is not a list of objects, with the line.
        """
        return [record for _, record in self._numbered(self._existing_file(identifier))]

    def _open(self, identifier: str) -> Records:
        path = self._existing_file(identifier)
        found = list(self._numbered(path))
        columns = list(dict.fromkeys(column for _, record in found for column in record))
        lines = [line for line, _ in found]

        def where(index: int) -> str:
            return f"{path}:{lines[index]}"

        return Records(columns, _chunks((record for _, record in found), columns), where)

    def _stored(self, identifier: str) -> TableContents:
        return TableContents.of(self.load(identifier), identifier)

    @abstractmethod
    def _numbered(self, path: Path) -> Iterator[_Numbered]:
        """Yield the records of a file."""

    def _texts(self, identifier: str, contents: TableContents) -> Iterator[dict[str, str]]:
        """Yield each record as the JSON of its keys and values; name the place of a value that is refused."""
        keys: dict[str, str] = {}
        for number, record in enumerate(contents.records, 1):
            texts: dict[str, str] = {}
            for column, value in record.items():
                try:
                    if column not in keys:
                        keys[column] = json_text(encoded(column))
                    texts[keys[column]] = json_text(encoded(value))
                except (SyncerError, RecursionError) as error:
                    reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
                    message = f"record {number} for table {identifier!r}, column {column!r}: {reason}"
                    raise SyncerError(message) from error
            yield texts


class JSONSyncer(_JSON):
    """JSON files: ``users.json`` in a folder is the table ``users``, a list of objects, indented, in UTF-8.

    Text, numbers, booleans, None, lists and dictionaries are what they are in JSON; integers may have any size. What
    JSON has no words for comes back too: a date, a datetime, a time, a timedelta, a Decimal, a UUID, bytes, a tuple, a
    set, NaN and infinity are written as an object of one key, such as ``{"$decimal": "1.10"}``; a real object that
    looks like one of these is written as ``{"$object": …}``. An enum member comes back as its value. Anything else
    is refused.

    A file is read into memory as a whole. Two equal keys in an object, ``NaN`` and numbers too large for a float are
    refused, with the line.

    Args:
        path: A folder, or one file.
        name: The name in messages.

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
    """A text in JSON that is read object by object, so that each is known by its line.

    Args:
        text: The whole text.
        path: Where it is from.
        line: The line that it begins on.
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
        """Yield the objects of the list that the text is."""
        place = self._after(0)
        if not self._text[place:]:
            raise self._error("the file is empty: one without records holds []", place)
        if self._text[place] != "[":
            raise self._error("the file is no list: it must begin with [ and hold objects", place)
        place = self._after(place + 1)
        if self._text[place : place + 1] == "]":
            self._end(place + 1)
            return
        while True:
            line = self._line_of(place)
            record, place = self._record(place)
            yield line, record
            place = self._after(place)
            if self._text[place : place + 1] != ",":
                break
            place = self._after(place + 1)
        if self._text[place : place + 1] != "]":
            what = "the file ends within the list: it may be cut off" if place == len(self._text) else "no , or ] here"
            raise self._error(what, place)
        self._end(place + 1)

    def only(self) -> dict[str, Any]:
        """Return the one object that the text is."""
        record, place = self._record(self._after(0))
        self._end(place)
        return record

    def _record(self, place: int) -> tuple[dict[str, Any], int]:
        try:
            found, end = self._decoder.raw_decode(self._text, place)
            # A record is never a value that says what it is, whatever its only column is called.
            record = {key: decoded(item) for key, item in found.items()} if isinstance(found, dict) else None
        except json.JSONDecodeError as error:
            cut = " (the file may be cut off)" if not self._text[error.pos :].strip(_BLANK) else ""
            reason = error.msg[:1].lower() + error.msg[1:]
            raise self._error(f"not JSON: {reason}{cut}", error.pos) from None
        except RecursionError:
            raise self._error("the object that begins here is nested too deeply", place) from None
        except ValueError as error:
            raise self._error(f"in the object that begins here, {error}", place) from None
        if record is None:
            raise self._error(f"an object must begin here, not a {type(found).__name__}", place)
        return record, end

    def _after(self, place: int) -> int:
        """Return the place of the next character that is not blank."""
        text = self._text
        while place < len(text) and text[place] in _BLANK:
            place += 1
        return place

    def _end(self, place: int) -> None:
        place = self._after(place)
        if place < len(self._text):
            raise self._error("more behind the end of what should be all", place)

    def _line_of(self, place: int) -> int:
        """Return the line of a place that is not before the last one asked for."""
        self._line += self._text.count("\n", self._counted, place)
        self._counted = place
        return self._line

    def _error(self, message: str, place: int) -> MalformedFileError:
        line = self._line + self._text.count("\n", self._counted, place)
        column = place - self._text.rfind("\n", 0, place)
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
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        message = f"the key {twice!r} stands twice: remove one"
        raise ValueError(message)
    return found


def _no_constant(text: str) -> Any:
    message = f'{text} is not JSON: write {{"$float": "nan"}}, "inf" or "-inf"'
    raise ValueError(message)


def _finite(text: str) -> float:
    found = float(text)
    if found in (float("inf"), float("-inf")):
        message = f"{text} is too large for a float: write it as a text"
        raise ValueError(message)
    return found


def _chunks(records: Iterable[dict[str, Any]], columns: Sequence[str]) -> Iterator[Columns]:
    waiting = iter(records)
    while chunk := list(islice(waiting, _CHUNK)):
        yield [[record.get(column) for record in chunk] for column in columns]
