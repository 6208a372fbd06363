"""Who holds the lock of a file: what the kernel says, where it does."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datastoresync.errors import DeclarationError

_LOCKS = Path("/proc/locks")
_MODE, _PROCESS, _INODE = 3, 4, 5
"""The fields of a line of /proc/locks; the last of these ends in the inode."""
_LONGEST_WAIT = 1e6
"""Seconds; no system waits for infinity."""
_LONGEST = 200
"""Characters of what a lock file says."""


def seconds_of(timeout: Any, default: float) -> float:
    """Return the seconds to wait for a lock; a text is that of a URL.

    Raises:
        DeclarationError: It is no number of seconds.
    """
    if timeout is None:
        return default
    with suppress(TypeError, ValueError):
        number = float(timeout)
        if number >= 0 and not isinstance(timeout, bool):
            return min(number, _LONGEST_WAIT)
    message = f"timeout is the number of seconds to wait for others, from 0 on (got {timeout!r})"
    raise DeclarationError(message)


def kernel_tells() -> bool:
    """Say whether the kernel says who holds locks."""
    return os.access(_LOCKS, os.R_OK)


def lock_holders(*paths: Path) -> list[int]:
    """Return the processes that hold locks of files, without opening them, which might free the locks of this one.

    Others come before this one, and those that write before those that read: only the first kind is returned.
    """
    found: dict[int, bool] = {}
    for path in paths:
        try:
            inode = str(path.stat().st_ino)
            lines = _LOCKS.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for fields in map(str.split, lines):
            # 1: FLOCK ADVISORY WRITE 1234 fe:00:2154515 0 EOF; one that waits has an arrow behind the number
            if len(fields) > _INODE and fields[1] != "->" and fields[_INODE].rpartition(":")[2] == inode:
                with suppress(ValueError):
                    process = int(fields[_PROCESS])
                    found[process] = found.get(process, False) or fields[_MODE] == "WRITE"
    kinds = (
        [process for process, writes in found.items() if is_other is (process != os.getpid()) and writes is writing]
        for is_other in (True, False)
        for writing in (True, False)
    )
    return [process for process in next(filter(None, kinds), []) if process > 0]


@contextmanager
def marked_run(path: Path) -> Iterator[None]:
    """Let other runs on this machine see that one of ours writes to a file; a process that dies takes its mark along.

    In Linux the mark is a name in the kernel; elsewhere there is none.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            _mark(stack, path, "bind")
        yield


def is_marked(path: Path) -> bool:
    """Say whether a run of ours is known to be writing to a file."""
    with ExitStack() as stack, suppress(OSError):
        return _mark(stack, path, "connect")
    return False


def _mark(stack: ExitStack, path: Path, verb: str) -> bool:
    if sys.platform != "linux":  # pragma: no cover - no other system has such names
        return False
    import socket

    status = path.stat()
    mark = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    getattr(mark, verb)(f"\0datastoresync:{status.st_dev}:{status.st_ino}")
    return True


def process_text(process: int) -> str:
    """Return a process for a message: its number, program and user, as far as they are known."""
    details = []
    with suppress(OSError):
        details.append(Path(f"/proc/{process}/comm").read_text(encoding="utf-8", errors="replace").strip())
    with suppress(OSError):
        details.append(f"of {_user(Path(f'/proc/{process}').stat().st_uid)}")
    if process == os.getpid():
        details.append("this one")
    return printable(f"process {process} ({', '.join(details)})" if details else f"process {process}")


def own_text() -> str:
    """Return what this process writes into a lock file: who holds the lock, and since when."""
    since = datetime.now(UTC).isoformat(" ", "seconds")
    user = _user(os.geteuid()) if os.name == "posix" else os.environ.get("USERNAME", "?")
    return f"process {os.getpid()} of {user} on {platform.node() or '?'}, since {since}"


def printable(text: str) -> str:
    """Return the first line of what others wrote, shortened, and without control characters."""
    line = next(iter(text.splitlines()), "")[:_LONGEST]
    return "".join(character if character.isprintable() else "?" for character in line)


def _user(number: int) -> str:
    with suppress(ImportError, KeyError):
        import pwd

        return pwd.getpwuid(number).pw_name
    return f"user {number}"
