"""Locked and atomic writing: one writer at a time, and a new file that replaces the old one when it is whole."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from datastoresync.errors import LockedError, SyncerError


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


_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def locked(paths: Iterable[Path]) -> Iterator[None]:
    """Keep other writers, in this process or another one, from some files; readers need no lock.

    The lock of ``users.csv`` is on the empty file ``.users.csv.lock`` beside it, which is there only meanwhile. One
    that a killed process left behind is not locked.

    Raises:
        LockedError: A file has another writer.
        SyncerError: The folder cannot be written to, or its file system has no locks.
    """
    with ExitStack() as stack:
        for path in sorted(set(paths)):
            stack.enter_context(_locked(path))
        yield


def lock_path(path: Path) -> Path:
    """Return the file that is locked in place of another."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    beside = lock_path(path)
    try:
        handle = _acquired(beside)
    except OSError as error:
        if error.errno in _HELD and beside.exists() and os.access(beside, os.W_OK):
            message = f"another run is writing to {path}: wait for it to end, its lock ends with it"
            raise LockedError(message) from None
        message = f"cannot lock {path}: {error.strerror or error}"
        raise SyncerError(message) from error
    try:
        yield
    finally:
        _release(handle, beside)


def _acquired(beside: Path) -> int:
    while True:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _lock(handle)
            # Whoever held it before may have removed it meanwhile; then this lock keeps nobody out.
            if beside.exists() and os.path.samestat(os.fstat(handle), beside.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


if sys.platform == "win32":  # pragma: no cover - where the tests run, files are locked as below
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _release(handle: int, beside: Path) -> None:
        os.close(handle)
        try:
            beside.unlink(missing_ok=True)
        except PermissionError:
            return  # the next writer has it open already

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(handle: int, beside: Path) -> None:
        try:
            beside.unlink(missing_ok=True)
        finally:
            os.close(handle)
