"""The embedded engine: a DuckDB opened for one piece of work, in bounded memory, which guesses nothing."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import attrs

from datastoresync.engines.relation import CannotPushDown
from datastoresync.errors import DeclarationError, MissingDependencyError
from datastoresync.runtime import finalizer

_FOUND = "SELECT current_setting('memory_limit'), current_setting('threads')"
_SIZE = re.compile(r"\s*([0-9.]+)\s*([KMGT]?)(i?)B\s*", re.IGNORECASE)
_FOR_A_THREAD = 128 * 2**20
"""Bytes of memory that there must be for each thread, if there is to be one more than processors."""
_MISSING = "the embedded engine needs DuckDB: pip install 'datastoresync[duckdb]'"


@attrs.frozen
class DuckDB:
    """How the embedded engine runs. Give one as ``engine`` where ``"duckdb"`` is not enough.

    Args:
        memory_limit: What it may hold in memory before it goes on in temporary files, such as ``"2GB"``.
        threads: How many threads it works in; None for one more than there are processors if the memory allows it,
            since one of them mostly waits for a file. What takes most of the memory does without that one.
        folder: Where temporary files go; None for the system's own place.

    >>> DuckDB(memory_limit="4GB").memory_limit
    '4GB'
    """

    memory_limit: str = "1950MB"
    threads: int | None = None
    folder: str | Path | None = None

    name = "duckdb"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the settings themselves, which nothing changes."""
        return self

    @staticmethod
    def available() -> bool:
        """Say whether DuckDB is installed, without importing it."""
        return find_spec("duckdb") is not None

    def opened(self) -> Instance:
        """Return the database, which runs for as long as it is referred to, and is shared by all with these settings.

        Raises:
            MissingDependencyError: if DuckDB is not installed.
        """
        key = (os.getpid(), self)  # a database is of no use in a process that was forked
        with _OPENING:
            instance = _RUNNING.get(key)
            if instance is None:
                instance = _RUNNING[key] = Instance(self)
        return instance

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Open a connection, whose temporary tables are gone afterwards.

        Raises:
            MissingDependencyError: if DuckDB is not installed.
        """
        instance = self.opened()  # held until the work is done
        connection = instance.connection()
        try:
            with interruptible():
                yield connection
        finally:
            connection.close()

    @contextmanager
    def translated_errors(self, what: str) -> Iterator[None]:
        """Turn what DuckDB refuses into `CannotPushDown`: whether it is an error is for the in-memory engine to say."""
        library = import_module("duckdb")
        try:
            with interruptible():
                yield
        except library.Error as error:
            reason = f"DuckDB cannot {what} ({type(error).__name__})"
            raise CannotPushDown(reason) from error


class Instance:
    """A database in memory that ends, with its temporary files, with the last reference to it."""

    def __init__(self, settings: DuckDB) -> None:
        try:
            library = import_module("duckdb")
        except ImportError as error:
            raise MissingDependencyError(_MISSING) from error
        from datastoresync.scratch import ScratchFolder  # most imports are small, and need none

        try:
            scratch = ScratchFolder(settings.folder)
        except OSError as error:
            message = f"{settings!r}: temporary files cannot go there ({error.strerror}): give a folder that is there"
            raise DeclarationError(message) from error
        given: dict[str, Any] = {} if settings.threads is None else {"threads": settings.threads}
        try:
            self.database = library.connect(
                config={
                    "memory_limit": settings.memory_limit,
                    "temp_directory": str(scratch.path),
                    "preserve_insertion_order": False,
                    "allocator_background_threads": True,  # what is free again goes back at once
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    **given,
                }
            )
        except library.Error as error:
            scratch.remove()
            reason = str(error).splitlines()[0]
            message = f"{settings!r} is refused by DuckDB: {reason}"
            raise DeclarationError(message) from error
        except BaseException:
            scratch.remove()
            raise
        finalizer(self, _end, self.database, scratch)
        limit, self._processors = self.database.execute(_FOUND).fetchone()
        self.memory = _bytes(settings.memory_limit) or _bytes(limit)
        """Bytes that it may hold in memory."""
        self._more = settings.threads is None and self.memory >= (self._processors + 1) * _FOR_A_THREAD
        self._set_threads(self._processors + self._more)

    def _set_threads(self, count: int) -> None:
        if self._more:
            self.database.execute(f"SET threads = {count}")

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """Work without the additional thread, as each has memory of its own beside the limit."""
        self._set_threads(self._processors)
        try:
            yield
        finally:
            self._set_threads(self._processors + 1)

    def connection(self) -> Any:
        """Return a connection of its own, which shows no bar while it works."""
        connection = self.database.cursor()
        connection.execute("SET enable_progress_bar = false")
        return connection


_RUNNING: Final[weakref.WeakValueDictionary[tuple[int, DuckDB], Instance]] = weakref.WeakValueDictionary()
_OPENING: Final = threading.Lock()


def _bytes(size: str) -> float:
    """Return the bytes of a size such as ``2GB``; 0 if it is written otherwise. DuckDB itself tells but two digits."""
    found = _SIZE.fullmatch(size)
    if found is None:
        return 0.0
    number, unit, binary = found.groups()
    return float(number) * (1024.0 if binary else 1000.0) ** ("KMGT".index(unit.upper()) + 1 if unit else 0)


def _end(database: Any, scratch: Any) -> None:
    database.close()
    scratch.remove()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be what it is everywhere: DuckDB makes an error of its own of it."""
    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
