"""Which store a URL opens: the built-in ones, those that installed packages add, and any database."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from datastoresync.errors import DatastoreSyncError, DataWarning, DeclarationError, SyncerError
from datastoresync.masking import hidden, masked, plain, secrets_in
from datastoresync.spelling import nearest
from datastoresync.syncers import files
from datastoresync.syncers.options import (
    cause_without_secrets,
    converted_options,
    error_text,
    option_fault,
    parameters_of,
)
from datastoresync.syncers.protocol import Syncer, fault_of
from datastoresync.syncers.url import Address

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from datastoresync.syncers.sql.syncer import SQLSyncer

GROUP: Final = "datastoresync.syncers"
"""The entry points by which an installed package adds stores: name = scheme, value = a class or function."""
_PLUGIN: Final = "plugin"
_KEYWORDS: Final = re.compile(
    r"(?:^|[\s;])(?:host(?:addr)?|server|data source|dsn|dbname|database|user(?:name)?|uid|password|pwd)\s*=",
    re.IGNORECASE,
)
"""An option of what libpq and ODBC connect by."""
# The schemes of databases that no package may shadow, and the suffixes of files that are databases.
_DATABASES: Final = ("mariadb", "mysql", "postgres", "postgresql", "snowflake", "sqlite")
_WEB: Final = ("ftp", "gs", "http", "https", "s3", "sftp")
_NO_STORES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "file": "write the path alone, as in /srv/people.csv",
        "jdbc": "leave it out, and write the user in front of the host: postgresql://user@host/database",
    }
)
"""Schemes of other programs, and what is to be written instead."""
_DATABASE_SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite"}
)


def open_syncer(url: str | os.PathLike[str], **options: Any) -> Any:
    """Open the store that a URL names.

    ============================== ==========================================================================
    ``csv:exports``                a folder of CSV files, a table each; likewise for the other formats of
                                   `syncers.files.FORMATS`
    ``csv:people.csv``             one file, whose only table is ``people``
    ``csv:/srv/exports``           an absolute path; ``csv:///srv/exports`` is the same
    ``csv:exports?delimiter=%7C``  options after the question mark, percent-encoded: those of the class
    ``people.csv``                 a file, or a path, whose suffix tells the format; taken as it is
    ``sqlite:///file.db``          any URL of SQLAlchemy, untouched
    ``plugin:my_syncer?label=x``   a syncer of your own, as `load_syncer` opens it
    ``mystore:…``                  the store that an installed package registers for ``mystore``
    ============================== ==========================================================================

    Args:
        url: The URL or path.
        options: Further arguments of the class or function that opens the store; for a database, of
            ``sqlalchemy.create_engine``.

    Returns:
        An object that is a `Syncer`.

    Raises:
        SyncerError: The scheme or an option is unknown, an option is missing, or the store cannot be opened.
        MissingDependencyError: The store needs a package that is not installed.
    """
    url, options = hidden(url), hidden(options)
    address = parse_address(url)
    scheme, dialect = address.scheme, address.scheme.partition("+")[0]
    if dialect in _DATABASES:
        if not address.is_url:
            message = f"{scheme}: must be followed by slashes, as in sqlite:///file.db or postgresql://host/db"
            raise SyncerError(message)
        _warn_of_shadowed(dialect)
        return _database(address, options)
    formats = {each.name: each for each in files.FORMATS}
    if scheme == _PLUGIN:
        from datastoresync.syncers.plugin.loader import open_folder

        _warn_of_shadowed(scheme)
        return open_folder(_path(address), _options_in_url(address, options), options)
    if scheme in formats:
        by_scheme = isinstance(url, str) and Address.parse(url) is not None
        if by_scheme:
            _warn_of_shadowed(scheme)
        syncer = _open(address, formats[scheme].load(), _path(address), options, f"{scheme}:")
        syncer.spelling = "url" if by_scheme else "python"
        return syncer
    entry = _entry_point(scheme)
    if entry is not None:
        return _open(address, _load(entry), hidden(address.path), options, _description(entry))
    if scheme in _NO_STORES:
        message = f"{scheme}: names no store: {_NO_STORES[scheme]}"
        raise SyncerError(message)
    if scheme in _WEB:
        message = f"{scheme}: addresses are not read: download the file, and name it"
        raise SyncerError(message)
    if address.is_url:
        return _database(address, options)
    message = f"no store has the scheme {scheme!r}: {nearest(scheme, known_schemes())}"
    raise SyncerError(message)


def known_schemes() -> list[str]:
    """Return all schemes that URLs of stores begin with, sorted; databases may have a driver behind theirs."""
    formats = {each.name for each in files.FORMATS}
    return sorted({_PLUGIN, *formats, *_DATABASES, *(entry.name for entry in _entry_points())})


def _database(address: Address, options: Mapping[str, Any]) -> SQLSyncer:
    from datastoresync.syncers.sql.syncer import SQLSyncer  # files need none of it

    return SQLSyncer(f"{address.scheme}:{address.rest}", **options)


def parse_address(url: str | os.PathLike[str]) -> Address:
    r"""Return the address that a URL, a path or the name of a file stands for.

    A path, and a text without a scheme, is taken as it is; its suffix tells the scheme.

    Raises:
        DeclarationError: It is neither a text nor a path.
        SyncerError: It has neither a scheme nor the suffix of a format.

    >>> parse_address(r"C:\exports\people.csv").scheme
    'csv'
    """
    if not isinstance(url, (str, os.PathLike)):
        message = f"a store is named by a URL or a path, not a {type(url).__name__}"
        raise DeclarationError(message)
    if isinstance(url, str) and (address := Address.parse(url)):
        return address
    suffixes = {suffix: each.name for each in files.FORMATS for suffix in each.suffixes}
    name = Path(url).name.lower()
    suffix = next((each for each in suffixes if name.endswith(each)), Path(url).suffix.lower())
    if suffix in suffixes:
        return Address(suffixes[suffix], os.fspath(url).replace("%", "%25").replace("?", "%3F"))
    if suffix not in _DATABASE_SUFFIXES:
        raise SyncerError(_unclear(os.fspath(url), suffix, [*suffixes, *_DATABASE_SUFFIXES]))
    path = Path(url)
    if "?" in str(path):
        message = f"{path} has a question mark in its name, which the URL of a database cannot have: rename it"
        raise SyncerError(message)
    return Address(_DATABASE_SUFFIXES[suffix], f"///{path}")


def _unclear(text: str, suffix: str, suffixes: list[str]) -> str:
    if _KEYWORDS.search(text):
        return (
            f"{masked(text)!r} is a connection string by keywords: write a URL, as in postgresql://user@host/database, "
            "with the password behind the user, user:password@, and %40 for an @ in it"
        )
    shown = "@" not in text and masked(text) == text
    name = repr(text) if shown else "the text"
    if shown and Path(text, "MANIFEST.json").is_file():
        return f"{name} is the folder of a syncer of your own: open it with load_syncer, or write plugin:{text}"
    if shown and text and Path(text).is_dir():
        return f"{name} is a folder, and does not say what its files are: write csv:{text}, json:{text}, …"
    if text == "-":
        return "standard input and output are no stores: a file has a name, as in people.csv"
    before, mark, _ = text.partition("?")
    if mark and shown and (known := next((each for each in files.FORMATS if before.endswith(each.suffixes)), None)):
        return f"{name} is the name of a file with a question mark: with options it is {known.name}:{text}"
    if shown and Path(text).is_file() and suffix in ("", ".txt", ".dat", ".asc"):
        return f"{name} is a file whose suffix does not tell its format: write csv:{quote(text)}, if it is CSV"
    hint = nearest(suffix, suffixes)
    return f"{name} has neither a scheme, as in csv:exports, nor a suffix that tells the kind of store: {hint}"


def _path(address: Address) -> str:
    """Return the path of a file or folder."""
    path: str = hidden(address.path)
    if not path:
        message = f"{address.scheme}: names no file or folder: write {address.scheme}:. for the current folder"
        raise SyncerError(message)
    if path.startswith("//"):
        path = path[2:]
        message = f"write {address.scheme}:{path} or {address.scheme}:///{path}: two slashes begin the name of a host"
        raise SyncerError(message)
    return hidden(os.path.expanduser(path))  # type: ignore[no-any-return]  # noqa: PTH111 - Path would drop a slash at the end, which says folder


def _open(address: Address, opener: Callable[..., Any], path: str, options: Mapping[str, Any], description: str) -> Any:
    """Call the opener of a store with the path and all options, and check that it returns a syncer."""
    options_in_url = _options_in_url(address, options)
    arguments = hidden([path] if path else [])
    try:
        given = _checked_options(opener, options_in_url, options, description, positional=len(arguments))
        syncer = opener(*plain(arguments), **plain(given))
    except DatastoreSyncError:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised again as another
        secrets = secrets_in({**options, "url": [f"{address.scheme}:{address.rest}", path]})
        message = f"{description} cannot be opened: {error_text(error, secrets)}"
        raise SyncerError(message) from cause_without_secrets(error, secrets)
    if not isinstance(syncer, Syncer) or fault_of(syncer):
        fault = fault_of(syncer) or "has no name"
        message = f"{description} returns a {type(syncer).__name__}, which is not a syncer: it {fault}"
        raise SyncerError(message)
    return syncer


def _options_in_url(address: Address, options: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the options of a URL; raise `SyncerError` if one of them is given beside it, too."""
    found: Mapping[str, str] = hidden(address.options)
    if twice := next((name for name in options if name in found), None):
        message = f"the option {twice!r} is given in the {address.scheme}: URL and beside it: leave one out"
        raise SyncerError(message)
    return found


def _checked_options(
    opener: Callable[..., Any],
    texts: Mapping[str, str],
    options: Mapping[str, Any],
    description: str,
    *,
    positional: int,
) -> dict[str, Any]:
    """Return all options, those of the URL converted.

    Raises:
        SyncerError: One is unknown, missing, or cannot be converted.
    """
    parameters = parameters_of(opener)
    fault = "" if parameters is None else option_fault(parameters, {**texts, **options}, positional=positional)
    if fault:
        message = f"{description} {fault}"
        raise SyncerError(message)
    try:
        return hidden({**converted_options(opener, texts), **options})  # type: ignore[no-any-return]
    except ValueError as error:
        message = f"{description} {error}"
        raise SyncerError(message) from None


# Installed packages --------------------------------------------------------------------------------------------------


def _entry_points(scheme: str | None = None) -> list[EntryPoint]:
    """Return what installed packages register for a scheme, or for all."""
    from importlib.metadata import entry_points  # it takes its time, and a file that is named needs none of it

    return [entry for entry in entry_points(group=GROUP) if scheme is None or entry.name.lower() == scheme]


def _entry_point(scheme: str) -> EntryPoint | None:
    entries = _entry_points(scheme)
    if len(entries) > 1:
        packages = " and ".join(sorted(map(_package, entries)))
        message = f"{packages} both register a store for {scheme!r}: uninstall one of them"
        raise SyncerError(message)
    return entries[0] if entries else None


def _warn_of_shadowed(scheme: str) -> None:
    """Warn that the store of a package is out of reach, as the built-in one of its name opens."""
    for entry in _entry_points(scheme):
        message = (
            f"{_package(entry)} registers a store for {scheme!r}, which is built in and is what opens: "
            "that package must choose another name"
        )
        warnings.warn(message, DataWarning, stacklevel=3)


def _load(entry: EntryPoint) -> Callable[..., Any]:
    try:
        opener: Any = entry.load()
    except Exception as error:  # noqa: BLE001 - it is raised again as another
        message = f"{_description(entry)} cannot be imported: {error_text(error, ())}"
        raise SyncerError(message) from cause_without_secrets(error, ())
    if not callable(opener):
        message = f"{_description(entry)} is a {type(opener).__name__}: it must be a class or a function"
        raise SyncerError(message)
    return opener  # type: ignore[no-any-return]


def _description(entry: EntryPoint) -> str:
    return f"{entry.name}: ({entry.value}, of {_package(entry)})"


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist is not None else f"the module {entry.module}"
