"""A file that is written beside the one that it replaces, and moved into its place when it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["Replacement"]


class Replacement:
    """What is to become of a file: all of it, or nothing.

    The caller holds the file's lock, so that what is found under the temporary name was left by a killed run.

    Args:
        target: The file; its mode, and where that is allowed its owner, stay as they are.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._temporary = target.with_name(f".{target.name}.tmp")

    def write(self, save: Callable[[IO[bytes]], None]) -> None:
        """Write the file beside its target, down to the disk.

        Raises:
            OSError: It cannot be written; the target is as it was.
        """
        self._temporary.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        # Whoever may not read the target may not read this either, not even while it is written.
        mode = 0o600 if self.target.exists() else 0o666
        with os.fdopen(os.open(self._temporary, flags, mode), "w+b") as file:
            self._keep_mode(file.fileno())
            save(file)
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """Put it in the place of its target, in one step.

        Raises:
            OSError: It cannot be moved; the target is as it was.
        """
        self._temporary.replace(self.target)
        if os.name == "posix":  # pragma: no branch - elsewhere a folder cannot be opened
            with suppress(OSError):  # it is in its place, even where a folder may not be read or has no fsync
                folder = os.open(self.target.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def discard(self) -> None:
        """Remove what was written and not committed."""
        self._temporary.unlink(missing_ok=True)

    def _keep_mode(self, handle: int) -> None:
        if not self.target.exists() or os.name != "posix":
            return
        old, new = self.target.stat(), os.fstat(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with suppress(PermissionError):  # only some may give files away; whoever may not keeps the new one
                os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, old.st_mode & 0o7777)
