"""A lock that keeps a second writer from a file, and ends with the process that holds it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from datastoresync.errors import LockedError, SyncerError

__all__ = ["lock_path", "locked"]

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
