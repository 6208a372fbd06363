"""Folders for temporary files, which do not outlive their process for long."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "datastoresync-"
_LOCK = ".lock"


class ScratchFolder:
    """A private folder for temporary files, until it is removed; what a killed process left is removed by the next one.

    Args:
        parent: Where it is made; None for the system's own place.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, parent: str | os.PathLike[str] | None = None) -> None:
        _sweep(Path(tempfile.gettempdir() if parent is None else parent))
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
        self._handle = _locked_handle(self.path)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _locked_handle(folder: Path) -> int | None:
    """Lock a folder by a file in it, as long as this process lives."""
    if sys.platform == "win32":  # pragma: no cover - what is open there cannot be removed
        return None
    import fcntl

    new = folder / f"{_LOCK}.new"  # it gets its name when it is locked, or it would look abandoned
    handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    new.rename(folder / _LOCK)
    return handle


def _sweep(parent: Path) -> None:
    """Remove the folders of ours that no process has any more."""
    if sys.platform == "win32":  # pragma: no cover - as above
        return
    import fcntl

    for folder in parent.glob(f"{_PREFIX}[0-9]*-*"):
        with suppress(OSError):  # it is another user's, or somebody else removes it
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            handle = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)
