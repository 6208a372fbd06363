"""Locked and atomic writes: one writer at a time, and a new file replaces the old one when it is complete."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from datastoresync.errors import LockedError, SyncerError


class AtomicWrite:
    """The new version of a file, which replaces the old one as a whole or not at all.

    The caller holds the lock of the file, so a temporary file that exists was left by a killed run.

    Args:
        target: The file; its mode, and where that is allowed its owner, stay as they are.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._temporary = target.with_name(f".{target.name}.tmp")

    def write(self, save: Callable[[IO[bytes]], None]) -> None:
        """Write the temporary file next to the target, and flush it to the disk.

        Raises:
            OSError: The file cannot be written; the target is as it was.
        """
        self._temporary.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        # Users who may not read the target may not read this either, not even while it is written.
        mode = 0o600 if self.target.exists() else 0o666
        with os.fdopen(os.open(self._temporary, flags, mode), "w+b") as file:
            self._keep_mode(file.fileno())
            save(file)
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """Replace the target by the temporary file, in one step.

        Raises:
            OSError: The file cannot be moved; the target is as it was.
        """
        self._temporary.replace(self.target)
        if os.name == "posix":  # pragma: no branch - elsewhere a folder cannot be opened
            with suppress(OSError):  # the file is replaced, even if its folder cannot be read or synced
                folder = os.open(self.target.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def discard(self) -> None:
        """Remove the temporary file."""
        self._temporary.unlink(missing_ok=True)

    def _keep_mode(self, handle: int) -> None:
        if not self.target.exists() or os.name != "posix":
            return
        old, new = self.target.stat(), os.fstat(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with suppress(PermissionError):  # without the right to change owners, the new one stays
                os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, old.st_mode & 0o7777)


_LOCK_ERRORS = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def locked(paths: Iterable[Path]) -> Iterator[None]:
    """Lock files against other writers, in this process or another one; readers need no lock.

    The lock of ``users.csv`` is on the empty file ``.users.csv.lock`` beside it, which exists while it is held. A file
    that a killed process left behind is not locked.

    Raises:
        LockedError: Another writer holds the lock of a file.
        SyncerError: The folder cannot be written to, or its file system has no locks.
    """
    with ExitStack() as stack:
        for path in sorted(set(paths)):
            stack.enter_context(_locked(path))
        yield


def lock_path(path: Path) -> Path:
    """Return the lock file of a file."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = lock_path(path)
    try:
        handle = _acquire(lock)
    except OSError as error:
        if error.errno in _LOCK_ERRORS and lock.exists() and os.access(lock, os.W_OK):
            message = f"another run is writing to {path}: wait for it to end, its lock ends with it"
            raise LockedError(message) from None
        message = f"cannot lock {path}: {error.strerror or error}"
        raise SyncerError(message) from error
    try:
        yield
    finally:
        _release(handle, lock)


def _acquire(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _lock(handle)
            # If the previous holder has removed the file meanwhile, this lock keeps no writer out.
            if lock.exists() and os.path.samestat(os.fstat(handle), lock.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


if sys.platform == "win32":  # pragma: no cover - where the tests run, files are locked as below
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _release(handle: int, lock: Path) -> None:
        os.close(handle)
        try:
            lock.unlink(missing_ok=True)
        except PermissionError:
            return  # the next writer has it open already

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(handle: int, lock: Path) -> None:
        try:
            lock.unlink(missing_ok=True)
        finally:
            os.close(handle)
