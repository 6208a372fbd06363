"""Files that are replaced together: what a killed run had begun to move is moved by the next one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import attrs

from datastoresync.atomic_write import AtomicWrite, sync_folder
from datastoresync.errors import SyncerError

_SUFFIX = ".intent"


@attrs.frozen
class Intent:
    """What is about to be moved into place together, written down in a file of its own before the first move.

    Each of the files has its new version beside it, complete. As long as the intent is there, those that are not yet
    moved are to be: by the run that wrote it, or by the next one, which has the locks of all of them.

    Args:
        path: The file that says it.
        names: The files of its folder.
    """

    path: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, names: Iterable[str]) -> Intent:
        """Return the intent of these files of a folder, which is not written yet."""
        ordered = tuple(sorted(names))
        return cls(folder / f".{ordered[0]}{_SUFFIX}", ordered)

    @property
    def targets(self) -> list[Path]:
        """The files, with symbolic links resolved."""
        return [Path(os.path.realpath(self.path.parent / name)) for name in self.names]

    def write(self) -> None:
        """Write it down, so that it outlives the machine.

        Raises:
            OSError: It cannot be written, and is not there.
        """
        new = AtomicWrite(self.path)
        try:
            new.write(self._save)
            new.commit()
        except BaseException:
            new.discard()
            raise

    def _save(self, file: IO[bytes]) -> None:
        file.write(json.dumps(self.names).encode())

    def carry_out(self) -> None:
        """Move what is not moved yet, and forget it. The caller has the locks of all files.

        Raises:
            OSError: A file cannot be moved; what is left stays to be moved.
        """
        for target in self.targets:
            with suppress(FileNotFoundError):  # it was moved before
                AtomicWrite(target).commit()
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)


def intents_of(folder: Path, entries: Iterable[str] | None = None) -> Iterator[Intent]:
    """Yield the intents of a folder, of which each is either about to be carried out or was left by a killed run.

    Args:
        folder: The folder.
        entries: The names of its files, if they are known.

    Raises:
        SyncerError: One of them is no intent, or cannot be read.
    """
    if entries is None:
        try:
            entries = os.listdir(folder)  # noqa: PTH208 - only names are needed
        except OSError:
            return  # what cannot be listed has no tables either
    for entry in sorted(entries):
        if entry.startswith(".") and entry.endswith(_SUFFIX):
            path = folder / entry
            with suppress(FileNotFoundError):  # it was carried out meanwhile
                yield Intent(path, _names(path))


def _names(path: Path) -> tuple[str, ...]:
    try:
        names = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        message = f"{path} says which files are to be replaced together, and cannot be read: restore it, or the files"
        raise SyncerError(message) from error
    if not isinstance(names, list) or not names or not all(map(_is_name, names)):
        message = f"{path} is not a list of names of files in its folder: restore it, or the files"
        raise SyncerError(message)
    return tuple(names)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and not name.startswith(".") and not set(name) & {"/", os.sep, "\0"} and bool(name)
