"""Locks of files: one writer at a time."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from datastoresync.errors import LockedError, SyncerError, system_reason
from datastoresync.syncers.lock_holders import kernel_tells, lock_holders, own_text, printable, process_text

_STEP = 0.02
"""Seconds between two attempts to lock."""


class _HeldError(Exception):
    """Another process holds a lock. ``holder`` says which, as far as it is known."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def locked(paths: Iterable[Path], *, timeout: float = 0, name: str = "") -> Iterator[None]:
    """Lock files against other writers, in this process or another one; readers need no lock.

    The lock of ``users.csv`` is on the file ``.users.csv.lock`` beside it, which says who holds it and exists while it
    is held. A file that a killed process left behind is not locked, whoever owns it.

    Args:
        paths: The files.
        timeout: Seconds to wait for other writers.
        name: What messages say is written to; empty for the files themselves.

    Raises:
        LockedError: Another writer holds the lock of a file, and is still at work after that time.
        SyncerError: The folder cannot be written to, or its file system has no locks.
    """
    until = time.monotonic() + timeout
    with ExitStack() as stack:
        for path in sorted(set(paths)):
            stack.enter_context(_locked(path, until, name or path))
        yield


@contextmanager
def machine_lock(name: str, *parts: str) -> Iterator[None]:
    """Lock what is no file against other runs on this machine, as long as this process lives.

    The lock file is in the folder for temporary files, and is called by a digest.

    Args:
        name: What messages say is written to.
        parts: What tells it from others.

    Raises:
        LockedError: Another run holds the lock.
        SyncerError: There is no folder for temporary files.
    """
    from hashlib import blake2b  # reading takes no lock, and OpenSSL its time

    digest = blake2b(repr(parts).encode(), digest_size=16).hexdigest()
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        message = f"cannot lock {name}, as this machine has no temporary folder to write to: set TMPDIR to one"
        raise SyncerError(message) from error
    with locked([folder / f"datastoresync-{digest}"], name=name):
        yield


def lock_path(path: Path) -> Path:
    """Return the lock file of a file."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def _locked(path: Path, until: float, called: str | Path) -> Iterator[None]:
    lock = lock_path(path)
    try:
        handle = _acquired(lock, until)
    except _HeldError as held:
        who = f" ({held.holder})" if held.holder else ""
        message = f"another run is writing to {called}{who}: wait for it to end, its lock ends with it, even if killed"
        raise LockedError(message) from None
    except OSError as error:
        where = "" if called is path else f" with {lock}"
        message = f"cannot lock {called}{where}: {system_reason(error)}"
        raise SyncerError(message) from error
    try:
        yield
    finally:
        with suppress(PermissionError):  # in a folder in which only owners remove files
            _release(handle, lock)


def _acquired(lock: Path, until: float) -> int:
    """Return the handle of a lock file, locked and signed."""
    while True:
        with suppress(FileExistsError):  # another run was quicker
            try:
                handle = _opened(lock)
                if _is_locked(handle, lock):
                    return handle
                os.close(handle)
            except _HeldError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_STEP)


def _is_locked(handle: int, lock: Path) -> bool:
    """Lock an open file; say whether that is the lock file still. Else its holder has removed it meanwhile."""
    try:
        try:
            _lock(handle)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise
            raise _HeldError(_holder(lock)) from None
        if not _is_file_of(handle, lock):
            return False
        with suppress(OSError):  # one that can only be read is locked all the same
            os.ftruncate(handle, 0)
            os.write(handle, f"{own_text()}\n".encode())
    except BaseException:
        os.close(handle)
        raise
    return True


def _is_file_of(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock.stat())
    except FileNotFoundError:
        return False


def _holder(lock: Path) -> str:
    """Return who holds a lock: what its file says, unless the kernel knows that it is another process."""
    with suppress(OSError):
        text = printable(lock.read_text(encoding="utf-8", errors="replace"))
        processes = lock_holders(lock)
        if text and (not processes or any(f"process {process} " in text for process in processes)):
            return text
        return ", ".join(map(process_text, processes))
    return ", ".join(map(process_text, lock_holders(lock)))


def _opened(lock: Path) -> int:
    """Open a lock file, or make it; one that a dead run of another user left locked away is replaced."""
    no_links = getattr(os, "O_NOFOLLOW", 0)
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            return os.open(lock, flags | no_links)
        except FileNotFoundError:
            break
        except PermissionError:
            continue
    else:
        _remove_abandoned(lock)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | no_links, 0o666)
    if os.name == "posix":
        os.fchmod(handle, 0o666)  # whoever may write to the folder must be able to see that it is free again
    return handle


def _remove_abandoned(lock: Path) -> None:
    """Remove a lock file that cannot be opened, if nobody holds it.

    Raises:
        _HeldError: A process holds it.
        PermissionError: That is not known, or it cannot be removed.
    """
    if processes := lock_holders(lock):
        raise _HeldError(", ".join(map(process_text, processes)))
    if not kernel_tells():
        raise PermissionError(errno.EACCES, f"{lock.name} is another user's, and cannot be opened to see if it is free")
    moved = lock.with_name(f"{lock.name}.{os.getpid()}")
    try:
        lock.rename(moved)
    except FileNotFoundError:
        return  # its holder did it, or another run
    if processes := lock_holders(moved):  # it was locked at the last moment
        moved.rename(lock)
        raise _HeldError(", ".join(map(process_text, processes)))
    moved.unlink()


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
