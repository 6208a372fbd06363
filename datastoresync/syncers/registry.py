"""Which store a URL opens: the built-in ones, those that installed packages add, and any database."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from datastoresync.errors import DatastoreSyncError, DataWarning, SyncerError
from datastoresync.syncers.protocol import Syncer, fault_of
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.syncers.url import (
    Address,
    cause_of,
    did_you_mean,
    misfit_of,
    parameters_of,
    parse_address,
    raised,
    secrets_in,
)

GROUP: Final = "datastoresync.syncers"
"""The entry points by which an installed package adds stores: name = scheme, value = a class or function."""

_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "csv": "datastoresync.syncers.files.csv:CSVSyncer",
        "json": "datastoresync.syncers.files.json:JSONSyncer",
        "jsonl": "datastoresync.syncers.files.json:JSONLinesSyncer",
        "parquet": "datastoresync.syncers.files.parquet:ParquetSyncer",
        "plugin": "datastoresync.syncers.registry:_open_folder",
        "tsv": "datastoresync.syncers.files.csv:TSVSyncer",
        "xlsx": "datastoresync.syncers.files.excel:ExcelSyncer",
    }
)
_DATABASES: Final = ("mariadb", "mysql", "postgres", "postgresql", "snowflake", "sqlite")


def open_syncer(url: str | os.PathLike[str], **options: Any) -> Any:
    """Open the store that a URL names.

    ============================== ==========================================================================
    ``csv:exports``                a folder of CSV files, a table each; also ``tsv``, ``json``, ``jsonl``,
                                   ``xlsx``, ``parquet``
    ``csv:people.csv``             one file, whose only table is ``people``
    ``csv:/srv/exports``           an absolute path; ``csv:///srv/exports`` is the same
    ``csv:exports?delimiter=%7C``  options behind the question mark, percent-encoded: what the class takes
    ``people.csv``                 a file whose suffix says what it is, or a path; taken as it is
    ``sqlite:///file.db``          any URL of SQLAlchemy, untouched
    ``plugin:my_syncer?label=x``   a syncer of your own, as `load_syncer` does it
    ``mystore:…``                  what an installed package registers for ``mystore``
    ============================== ==========================================================================

    Args:
        url: What to open.
        options: Further arguments for what opens it; for a database, of ``sqlalchemy.create_engine``.

    Returns:
        Something that is a `Syncer`.

    Raises:
        SyncerError: It is not known what that is, an option is unknown or missing, or it cannot be opened.
        MissingDependencyError: It needs a package that is not installed.
    """
    address = parse_address(url)
    dialect = address.scheme.partition("+")[0]
    if dialect in _DATABASES:
        if not address.is_url:
            message = f"{address.scheme}: must be followed by slashes, as in sqlite:///file.db or postgresql://host/db"
            raise SyncerError(message)
        _warn_of_shadowed(dialect)
        return SQLSyncer(f"{address.scheme}:{address.rest}", **options)
    if address.scheme in _FILES:
        _warn_of_shadowed(address.scheme)
        place = _path(address)
        module, _, name = _FILES[address.scheme].partition(":")
        return _opened(address, getattr(import_module(module), name), place, options, f"{address.scheme}:")
    plugged = _plugged(address.scheme)
    if plugged is not None:
        return _opened(address, _loaded(plugged), address.place, options, _described(plugged))
    if address.is_url:
        return SQLSyncer(f"{address.scheme}:{address.rest}", **options)
    known = sorted({*_FILES, *_DATABASES, *(each.name for each in entry_points(group=GROUP))})
    near = did_you_mean(address.scheme, known)
    listed = "" if near.startswith(": there is") else f" there is {', '.join(known)}"
    message = f"no store is known by the scheme {address.scheme!r}{near}{listed}"
    raise SyncerError(message)


def _path(address: Address) -> str:
    """Return the path of a file or folder."""
    if not address.place:
        message = f"{address.scheme}: names no file or folder: write {address.scheme}:. for the folder you are in"
        raise SyncerError(message)
    if address.place.startswith("//"):
        place = address.place[2:]
        message = f"write {address.scheme}:{place} or {address.scheme}:///{place}: two slashes begin the name of a host"
        raise SyncerError(message)
    return os.path.expanduser(address.place)  # noqa: PTH111 - Path would drop a slash at the end, which says folder


def _opened(
    address: Address, opener: Callable[..., Any], place: str, options: Mapping[str, Any], described: str
) -> Any:
    """Call what opens a store with the place and all options, and see that a syncer comes of it."""
    written = address.options
    if twice := next((name for name in options if name in written), None):
        message = f"the option {twice!r} is given in the {address.scheme}: URL and beside it: leave one out"
        raise SyncerError(message)
    every = {**written, **options}
    arguments = (place,) if place else ()
    parameters = parameters_of(opener)
    if parameters is not None and opener is not _open_folder:
        misfit = misfit_of(parameters, every, places=len(arguments))
        if misfit:
            message = f"{described} {misfit}"
            raise SyncerError(message)
    try:
        syncer = opener(*arguments, **every)
    except DatastoreSyncError:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised again as another
        secrets = (*secrets_in({**every, "url": f"{address.scheme}:{address.rest}"}), *secrets_in({"url": place}))
        message = f"{described} cannot be opened: {raised(error, None, secrets)}"
        raise SyncerError(message) from cause_of(error, secrets)
    if not isinstance(syncer, Syncer) or fault_of(syncer):
        fault = fault_of(syncer) or "has no name"
        message = f"{described} gives a {type(syncer).__name__}, which is no syncer: it {fault}"
        raise SyncerError(message)
    return syncer


def _open_folder(folder: str, /, **options: Any) -> Any:
    from datastoresync.syncers.plugin.loader import load_syncer

    metadata = options.pop("metadata", None)
    return load_syncer(Path(folder), options, metadata=metadata)


# Installed packages --------------------------------------------------------------------------------------------------


def _plugged(scheme: str) -> EntryPoint | None:
    found = [each for each in entry_points(group=GROUP) if each.name.lower() == scheme]
    if len(found) > 1:
        packages = " and ".join(sorted(_package(each) for each in found))
        message = f"{packages} both register a store for {scheme!r}: uninstall one of them"
        raise SyncerError(message)
    return found[0] if found else None


def _warn_of_shadowed(scheme: str) -> None:
    """Say that a package's store is not reached, because the built-in one of that name stays what it is."""
    for each in entry_points(group=GROUP):
        if each.name.lower() == scheme:
            message = (
                f"{_package(each)} registers a store for {scheme!r}, which is built in and is what opens: "
                "that package must choose another name"
            )
            warnings.warn(message, DataWarning, stacklevel=3)


def _loaded(entry: EntryPoint) -> Callable[..., Any]:
    try:
        opener = entry.load()
    except Exception as error:  # noqa: BLE001 - it is raised again as another
        message = f"{_described(entry)} cannot be imported: {raised(error, None, ())}"
        raise SyncerError(message) from cause_of(error, ())
    if not callable(opener):
        message = f"{_described(entry)} is a {type(opener).__name__}: it must be a class or a function"
        raise SyncerError(message)
    found: Callable[..., Any] = opener
    return found


def _described(entry: EntryPoint) -> str:
    return f"{entry.name}: ({entry.value}, of {_package(entry)})"


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist is not None else f"the module {entry.module}"
