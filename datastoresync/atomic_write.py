"""Atomic writes: a new file replaces the old one when it is complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4


class AtomicWrite:
    """The new version of a file, which replaces the old one as a whole or not at all.

    The caller holds the lock of the file, so a temporary file that exists was left by a killed run.

    Args:
        target: The file; its mode, and where that is allowed its owner, stay as they are.
        shared: Whether there is no lock, so that others may write it at the same time: then the last one stays.
    """

    def __init__(self, target: Path, *, shared: bool = False) -> None:
        self.target = target
        self.temporary = target.with_name(f".{target.name}{f'.{uuid4().hex}' if shared else ''}.tmp")
        """What is written; it is there until it is moved, or discarded."""

    def write(self, save: Callable[[IO[bytes]], None]) -> None:
        """Write the temporary file next to the target, and flush it to the disk.

        Raises:
            OSError: The file cannot be written, or may not be; the target is as it was.
        """
        if self.target.exists() and not os.access(self.target, os.W_OK):  # only its folder would be asked otherwise
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.target))
        self.temporary.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        # Users who may not read the target may not read this either, not even while it is written.
        mode = 0o600 if self.target.exists() else 0o666
        with os.fdopen(os.open(self.temporary, flags, mode), "w+b") as file:
            self._keep_mode(file.fileno())
            save(file)
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """Replace the target by the temporary file, in one step.

        Raises:
            OSError: The file cannot be moved; the target is as it was.
        """
        self.temporary.replace(self.target)
        sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the temporary file."""
        self.temporary.unlink(missing_ok=True)

    def _keep_mode(self, handle: int) -> None:
        if not self.target.exists() or os.name != "posix":
            return
        old, new = self.target.stat(), os.fstat(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with suppress(PermissionError):  # without the right to change owners, the new one stays
                os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, old.st_mode & 0o7777)


def sync_folder(folder: Path) -> None:
    """Flush what was moved in a folder to the disk, where a folder can be read and synced."""
    if os.name != "posix":  # pragma: no cover - elsewhere it cannot be opened
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
