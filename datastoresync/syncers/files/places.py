"""Where the tables of a store of files are, and how they are replaced."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, ClassVar

from datastoresync.errors import DeclarationError, SyncerError
from datastoresync.syncers.contents import Contents
from datastoresync.syncers.files.atomic_write import Replacement
from datastoresync.syncers.files.locks import lock_path, locked
from datastoresync.syncers.names import check_file_name, clash, nearest

__all__ = ["Places"]


class Places(ABC):
    """A folder with a file for each table, or a single file: `FileSyncer` says what that means.

    Args:
        path: The folder or the file.
        name: What messages call it; by default the format and the path.

    Raises:
        DeclarationError: The path is empty.
    """

    format: ClassVar[str]
    """What the format is called, and what its URLs begin with."""
    suffixes: ClassVar[tuple[str, ...]]
    """What its files end in, in lower case; the first is what new ones get."""

    def __init__(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        text = os.fspath(path)
        if not text:
            message = f"{type(self).__name__} takes the path of a folder or of a file, not an empty text"
            raise DeclarationError(message)
        self.path = Path(text)
        self.name = f"{self.format}:{text}" if name is None else name
        self._ends_as_folder = text.endswith(("/", os.sep))

    @property
    def _single(self) -> bool:
        """Whether the path is that of a file."""
        if self.path.exists():
            return not self.path.is_dir()
        return not self._ends_as_folder and self.path.suffix.lower() in self.suffixes

    def _places(self) -> dict[str, Path]:
        """Return the file of each table that there is."""
        try:
            if self._single:
                return {self.path.stem: self.path} if self.path.exists() else {}
            entries = sorted(self.path.iterdir()) if self.path.is_dir() else []
        except OSError as error:
            raise self._unreadable(error) from error
        places: dict[str, Path] = {}
        for path in filter(self._is_table, entries):
            if path.stem in places:
                message = f"{self.name} has both {places[path.stem].name} and {path.name}: remove the wrong one"
                raise SyncerError(message)
            places[path.stem] = path
        return places

    def _is_table(self, path: Path) -> bool:
        return path.suffix.lower() in self.suffixes and not path.name.startswith((".", "~$")) and path.is_file()

    def _place(self, identifier: str) -> Path:
        """Return the file of a table that is there."""
        places = self._places()
        if identifier not in places:
            message = f"{self.name} has no table {identifier!r}: {nearest(str(identifier), places)}"
            raise SyncerError(message)
        return places[identifier]

    def _target(self, identifier: str) -> Path:
        """Return the file that a table is or will be in; where that is a link, what it leads to."""
        places = self._places()
        if identifier in places:
            return Path(os.path.realpath(places[identifier]))
        if self._single:
            self._check_single(identifier)
            return Path(os.path.realpath(self.path))
        path = self.path / f"{identifier}{self.suffixes[0]}"
        check_file_name(identifier, lock_path(Path(f"{identifier}{self.suffixes[0]}")).name, self.name)
        if other := clash(identifier, places):
            message = f"{self.name} has a table {other!r}, whose file many systems take for that of {identifier!r}"
            raise SyncerError(message)
        return Path(os.path.realpath(path))

    def _check_single(self, identifier: str) -> None:
        if identifier != self.path.stem:
            message = f"{self.name} is a single file, whose only table is {self.path.stem!r} (got {identifier!r})"
            raise SyncerError(message)

    @contextmanager
    def _writing(self, identifiers: Iterable[str]) -> Iterator[None]:
        """Keep other writers from some tables, and make the folder if it is not there."""
        targets = [self._target(identifier) for identifier in identifiers]
        try:
            for folder in {target.parent for target in targets}:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot make the folder of {self.name}: {error.strerror or error}"
            raise SyncerError(message) from error
        with locked(targets):
            yield

    def _replace(self, tables: Mapping[str, Contents]) -> None:
        """Write tables, all of them before the first is moved into place."""
        files: dict[Path, dict[str, Contents]] = {}
        for identifier, contents in tables.items():
            files.setdefault(self._target(identifier), {})[identifier] = contents
        replacements = [Replacement(path) for path in files]
        moved: list[str] = []
        try:
            for replacement in replacements:
                target = replacement.target
                replacement.write(partial(self._save, tables=files[target]))
            for replacement in replacements:
                replacement.commit()
                moved.append(replacement.target.name)
        except OSError as error:
            done = f"already written: {', '.join(moved)}" if moved else "nothing was written"
            message = f"cannot write to {self.name} ({error.strerror or error}); {done}"
            raise SyncerError(message) from error
        finally:
            for replacement in replacements[len(moved) :]:
                replacement.discard()

    def _unreadable(self, error: OSError) -> SyncerError:
        return SyncerError(f"cannot read {self.name}: {error.strerror or error}")

    @abstractmethod
    def _save(self, file: IO[bytes], tables: Mapping[str, Contents]) -> None:
        """Write what a file is to hold of these tables, while its old form is still in place."""
