"""Stores as the command line names them: URLs, the options of files, tables and keys, and what is said about these."""

from __future__ import annotations

import argparse
import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from datastoresync.conversion.value_format import Spelling
from datastoresync.errors import DatastoreSyncError, SyncerError
from datastoresync.masking import hidden
from datastoresync.spelling import closest, composed_otherwise
from datastoresync.syncers import open_syncer
from datastoresync.syncers.files import FORMATS
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.files.sheet_format import SheetFormat
from datastoresync.syncers.files.text_format import TableFormat, TextFormat
from datastoresync.syncers.names import likely_delimiter
from datastoresync.syncers.options import converted_options, parameters_of
from datastoresync.syncers.records import Records
from datastoresync.syncers.registry import known_schemes, parse_address
from datastoresync.syncers.url import Address

FILE_OPTIONS = {
    field.name: field.metadata["help"]
    for cls in (TextFormat, SheetFormat)
    for field in attrs.fields(cls)
    if "help" in field.metadata
}
"""What the options for files are called, and what their help says."""

SEPARATES = " separates its columns: "
"""What a message says of a file that is written with another delimiter."""
_SEARCHED = 50
"""Rows that are searched for the header."""
_SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)
_VARIABLE = "env:"
_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_DECLARED = re.compile(rf"(?P<module>{_NAME}):(?P<name>{_NAME})")


def url(text: str) -> str:
    """Return a URL as it is, or the value of the environment variable for ``env:NAME``.

    The variable keeps a password out of the list of processes, which every user of the machine can see.

    Raises:
        ArgumentTypeError: if it is empty.
    """
    if variable := re.fullmatch(r"\$\{?(?:env:)?(\w+)\}?|env:", text):
        message = f"the URL in an environment variable is written as {_VARIABLE}{variable[1] or 'NAME'} (got {text!r})"
        raise argparse.ArgumentTypeError(message)
    name = text.removeprefix(_VARIABLE)
    found = os.environ.get(name, "") if text.startswith(_VARIABLE) else text
    if not found:
        message = f"the environment variable {name!r} is not set" if text else "the URL is empty"
        raise argparse.ArgumentTypeError(message)
    return hidden(found)  # type: ignore[no-any-return]  # a text like the one it was


@contextmanager
def open_store(
    store: Any, *, metadata: Any = None, options: Mapping[str, str] | None = None, spelling: Spelling = "url"
) -> Iterator[Any]:
    """Open the store at a URL, and close it in the end; a syncer is left open for its owner.

    Args:
        store: The URL, or the syncer.
        metadata: The tables to make in a database that is plugged in.
        options: The options for files that the command line has, as texts; None if it takes none.
        spelling: How messages write such an option.

    Raises:
        SyncerError: if the store does not have one of the options.
    """
    if not isinstance(store, (str, os.PathLike)):
        if options:
            message = f"--{next(iter(options)).replace('_', '-')} is for a URL, and {store} is open already"
            raise SyncerError(message)
        yield store
        return
    given = file_options(store, options) if options else {}
    syncer = open_syncer(store, **given) if metadata is None else open_syncer(store, metadata=metadata)
    if isinstance(syncer, FileSyncer):
        syncer.spelling = spelling
    try:
        yield syncer
    finally:
        close = getattr(syncer, "close", None)
        if callable(close):
            close()


def located(text: str) -> str:
    """Return a URL, a path or a folder as `open_store` takes it: a folder is named with the format of its files.

    A pattern such as ``export-*.csv`` stands for the one file that matches it.

    Raises:
        ArgumentTypeError: if it is empty, not exactly one file matches a pattern, or the files of a folder are of
            several formats, or of none.
    """
    found = _matching(url(text))
    file, _, table = found.rpartition(":")
    if Path(file).is_file() and not Path(found).exists():
        message = f"a table has an option of its own: {file} with --tables {table} (got {found!r})"
        raise argparse.ArgumentTypeError(message)
    if Address.parse(found) is not None or not Path(found).is_dir():
        return found
    names = [path.name.lower() for path in Path(found).iterdir()]
    formats = [each.name for each in FORMATS if any(name.endswith(each.suffixes) for name in names)]
    if len(formats) != 1:
        there = f"files of several formats: {', '.join(formats)}" if formats else "no file of a format that is known"
        message = f"the folder {found!r} has {there}; write {(formats or ['csv'])[0]}:{found} for those of one"
        raise argparse.ArgumentTypeError(message)
    return f"{formats[0]}:{quote(found)}"


def _matching(found: str) -> str:
    if Address.parse(found) is not None or "*" not in found or Path(found).exists():
        return found
    files = sorted(glob.glob(found))  # noqa: PTH207 - Path.glob takes no absolute patterns
    if len(files) == 1:
        return files[0]
    if not files:
        raise argparse.ArgumentTypeError(f"no file matches {found} in {Path().absolute()}")
    shown = ", ".join(files[:3]) + (", …" if files[3:] else "")
    message = f"{len(files)} files match {found} ({shown}), and only one is taken: name it, or move the others away"
    raise argparse.ArgumentTypeError(message)


def reads(store: str | os.PathLike[str], path: Path) -> bool:
    """Say whether a store, which is not opened, is a file or has it in its folder."""
    with suppress(DatastoreSyncError):
        address = parse_address(store)
        database = address.scheme.partition("+")[0] == "sqlite"
        own = Path(address.rest.partition("?")[0].removeprefix("///") if database else address.path)
        suffixes = next((each.suffixes for each in FORMATS if each.name == address.scheme), ())
        return own.exists() and (
            own.samefile(path) or (own.samefile(path.parent) and path.name.lower().endswith(tuple(suffixes)))
        )
    return False


def names_declared(text: str) -> bool:
    """Say whether a text names something in a module, and not a store.

    >>> names_declared("school.trees:Source"), names_declared("csv:exports"), names_declared("people.csv")
    (True, False, False)
    """
    match = _DECLARED.fullmatch(text)
    if match is None or Path(match["module"]).is_file() or match["name"].lower().endswith(_SUFFIXES):
        return False
    return match["module"].lower() not in ("env", "file", "jdbc", *known_schemes())


def file_option_names(store: str | os.PathLike[str]) -> Collection[str]:
    """Return the names of the options for files that a store has, without opening it; none for other stores."""
    scheme = parse_address(store).scheme
    opener = next((each.load() for each in FORMATS if each.name == scheme), None)
    return FILE_OPTIONS.keys() & (parameters_of(opener) or {}) if opener is not None else ()


def file_options(store: str | os.PathLike[str], options: Mapping[str, str]) -> dict[str, Any]:
    """Return options for files that the command line has, converted.

    Raises:
        SyncerError: if files of that format do not have one, or it has a value that it cannot have.
    """
    scheme = parse_address(store).scheme
    opener = next((each.load() for each in FORMATS if each.name == scheme), None)
    known = {} if opener is None else parameters_of(opener) or {}
    if unknown := next((name for name in options if name not in known), None):
        message = f"{scheme}: has no --{unknown.replace('_', '-')}, which is for files of other formats"
        raise SyncerError(message)
    found: dict[str, Any] = {}
    for name, text in options.items():
        try:
            found |= converted_options(opener, {name: text})  # type: ignore[arg-type]  # it has options, so it is there
        except ValueError:
            message = f"--{name.replace('_', '-')} is {FILE_OPTIONS[name].replace('%%', '%')} (got {text!r})"
            raise SyncerError(message) from None
    return found


def table_names(syncer: Any) -> list[str]:
    """Return the names of all tables of a store.

    Raises:
        SyncerError: if it has none, or cannot list them.
    """
    tables = getattr(syncer, "tables", None)
    if not callable(tables):
        message = f"{syncer.name} cannot list its tables: name them, as in --tables users,groups"
        raise SyncerError(message)
    found = list(tables())
    path = getattr(syncer, "path", None) or getattr(syncer, "database_file", None)
    if not found and isinstance(path, Path) and not path.exists():
        if not path.parent.is_dir():
            raise SyncerError(f"{syncer.name}: there is no folder {path.absolute().parent}")
        alike = sorted(path.parent.glob("*"), key=lambda each: each.suffix == path.suffix)
        files = {each.stem: each.name for each in alike}
        near = closest(path.stem, files)
        hint = f": did you mean {files[near]}?" if near else ""
        message = f"{syncer.name}: there is no {path.name} in {path.absolute().parent}{hint}"
        raise SyncerError(message)
    if not found:
        message = f"{syncer.name} has no tables, so there is nothing to read: check the URL"
        raise SyncerError(message)
    return found


def plain_name(name: str) -> str:
    """Return a name as it is compared with others: ``"Last name"`` is ``"last_name"``."""
    return "_".join(re.findall(r"[^\W_]+", name.casefold()))


def key_of_table(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the table and the columns of the key that an option names; no table for the key of all.

    Raises:
        ArgumentTypeError: if a column has no name.

    >>> key_of_table("members=group+person")
    ('members', ('group', 'person'))
    """
    table, _, columns = text.rpartition("=")
    key = tuple(columns.split("+"))
    if not all(key):
        message = f"a column is needed, as in guid, users=guid or members=group+person (got {text!r})"
        raise argparse.ArgumentTypeError(message)
    return table, key


def table_pairs(text: str) -> list[tuple[str, str]]:
    """Return pairs of tables: the name in one store and the name in the other, which is the same without ``=``.

    Raises:
        ArgumentTypeError: if a table has no name.

    >>> table_pairs("users,people=accounts")
    [('users', 'users'), ('people', 'accounts')]
    """
    parts = [part.partition("=") for part in text.split(",")]
    pairs = [(one.strip(), other.strip() if equals else one.strip()) for one, equals, other in parts]
    if not all(map(all, pairs)):
        message = f"names with commas between them are needed, as in users,groups or people=accounts (got {text!r})"
        raise argparse.ArgumentTypeError(message)
    return list(dict.fromkeys(pairs))


def missing_key_advice(
    syncer: Any, table: str, missing: str, columns: Sequence[str], rows: Any, key: Sequence[str]
) -> str:
    """Return what is wrong with a table that lacks a column of its key; to follow it copies no garbage.

    Args:
        syncer: The store of the table.
        table: Its name.
        missing: The column that is not there.
        columns: Those that are.
        rows: Its records.
        key: The columns of the key.
    """
    said = f"table {table} has no column {missing!r}"
    names = {each.casefold(): each for each in reversed(columns)}
    parts = "+".join(filter(None, re.split(r"\s*[,;|\s]\s*", missing)))
    if "+" in parts and {*parts.split("+")} <= {*columns}:
        advice = f"{said}: a key of several columns has a + between them: --key {parts}"
    elif twin := composed_otherwise(missing, columns):
        advice = f"{said}: {twin}"
    elif near := names.get(missing.casefold()) or closest(missing, columns):
        advice = f"{said}: did you mean {near!r}?"
    else:
        advice = f"{said}: name its key, as in --key {table}=COLUMN; there are {', '.join(map(repr, columns))}"
    file_format = getattr(syncer, "table_format", None)
    if file_format is None:
        return advice
    file_format = file_format.told(syncer.spelling)
    delimiter = getattr(file_format, "delimiter", "")
    if above := _lines_above(rows, file_format, key, delimiter):
        return f"table {table} has no column {missing!r}: the header looks to be further down: {above}"
    other = likely_delimiter(columns, [missing], delimiter=delimiter) if delimiter else ""
    if not other:
        return advice + (str(file_format.header_advice) if advice.startswith(f"{said}: name its key") else "")
    in_url = file_format.told("url").option("delimiter", other)
    return (
        f"table {table} has no column {missing!r}: it looks as if {other!r}{SEPARATES}"
        f"{file_format.option('delimiter', other)}, or {syncer.format}:{quote(str(syncer.path))}{in_url}"
    )


def _lines_above(rows: Any, file_format: TableFormat, wanted: Iterable[str], delimiter: str) -> str:
    """Return the options that read a row below as the header; nothing if none of the first looks to be it."""
    if not isinstance(rows, Records) or file_format.header is not True:
        return ""
    with suppress(DatastoreSyncError):  # a row that is not as wide as the header
        first = next(iter(rows.chunks), [])
        for index, row in enumerate(islice(zip(*first, strict=True), _SEARCHED)):
            texts = list(map(str, row))
            other = likely_delimiter(texts, [*wanted], delimiter=delimiter) if delimiter else ""
            found = file_format.option("delimiter", other) if other else ""
            if {*wanted} <= {*(delimiter.join(texts).split(other) if other else texts)}:
                above = int(rows.where(index).replace("row ", ":").rpartition(":")[2]) - 1
                return f"{file_format.skip(above)} {found}".strip()
    return ""
