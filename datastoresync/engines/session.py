"""The embedded engine: a DuckDB that is opened for one piece of work, in bounded memory, and guesses nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from datastoresync.errors import MissingDependencyError
from datastoresync.engines.relation import Unfaithful

__all__ = ["DuckDB", "literal"]

_MISSING = "the embedded engine needs DuckDB: pip install 'datastoresync[duckdb]'"


@attrs.frozen
class DuckDB:
    """How the embedded engine runs. Give one as ``engine`` where ``"duckdb"`` is not enough.

    Args:
        memory_limit: What it may hold in memory before it goes on in temporary files, such as ``"2GB"``.
        threads: How many processors it uses; None for all of them.
        folder: Where temporary files go; None for the system's own place.

    >>> DuckDB(memory_limit="4GB").memory_limit
    '4GB'
    """

    memory_limit: str = "1GB"
    threads: int | None = None
    folder: str | Path | None = None

    name = "duckdb"

    @staticmethod
    def available() -> bool:
        """Say whether DuckDB is installed, without importing it."""
        return find_spec("duckdb") is not None

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Open a database that is gone afterwards, with its temporary files.

        Raises:
            MissingDependencyError: if DuckDB is not installed.
        """
        try:
            library = import_module("duckdb")
        except ImportError as error:
            raise MissingDependencyError(_MISSING) from error
        with tempfile.TemporaryDirectory(prefix="datastoresync-", dir=self.folder) as folder:
            settings = {
                "memory_limit": self.memory_limit,
                "temp_directory": folder,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
            if self.threads is not None:
                settings["threads"] = self.threads
            connection = library.connect(config=settings)
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def refusals(self, what: str) -> Iterator[None]:
        """Turn what DuckDB refuses into `Unfaithful`: whether it is an error is for the in-memory engine to say."""
        library = import_module("duckdb")
        try:
            yield
        except library.Error as error:
            reason = f"DuckDB cannot {what} ({type(error).__name__})"
            raise Unfaithful(reason) from error


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
