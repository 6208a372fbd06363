"""The base of all syncers over files: tables that are read as streams and replaced as a whole."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Self

from datastoresync.errors import DeclarationError, SyncerError
from datastoresync.syncers.changes import Change, Outcome, Same, Table
from datastoresync.syncers.files.atomic_write import Replacement, lock_path, locked
from datastoresync.syncers.names import check_file_name, clash, nearest
from datastoresync.syncers.projection import projected
from datastoresync.syncers.records import Records
from datastoresync.syncers.table_rewrite import (
    RecordKeys,
    TableContents,
    deleted,
    names_of_tables,
    rewritten,
    updated,
    upserted,
)


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

    def _replace(self, tables: Mapping[str, TableContents]) -> None:
        """Write tables, all of them before the first is moved into place."""
        files: dict[Path, dict[str, TableContents]] = {}
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
    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        """Write what a file is to hold of these tables, while its old form is still in place."""


_Change = Callable[[TableContents, TableContents, RecordKeys], TableContents]


class FileSyncer(Places):
    """A folder with a file for each table, or a single file whose table is called like it.

    A path that is not there yet is a file if it ends in the format's suffix, and a folder otherwise. A table's name is
    that of its file without the suffix; one that differs from another only in case or Unicode form is refused, and so
    is one that would leave the folder or be hidden in it. Files that begin with a dot are no tables.

    Each file is written beside, down to the disk, and moved into place: whoever reads, and whatever is killed, sees the
    old one or the new one. A second writer is refused with `LockedError`; readers wait for nobody.

    Args:
        path: The folder or the file.
        name: What messages call it; by default the format and the path.

    Raises:
        DeclarationError: The path is empty.
    """

    _fixed: ClassVar[bool] = True
    """Whether all records of a table have the same columns."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({os.fspath(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: no file stays open between two calls."""

    # What is read.

    def tables(self) -> list[str]:
        """Return the names of the tables that there are."""
        return sorted(self._places())

    def load(self, identifier: str) -> list[dict[str, Any]]:
        """Return all records of a table, by column.

        Raises:
            SyncerError: The table is not there; the nearest one is named.
            ImporterError: Its file is not what it says it is.
        """
        return list(self._open(identifier))

    def read(
        self, table: Table | str, attributes: Sequence[str] | None = None, *, identifiers: Sequence[str] | None = None
    ) -> Records:
        """Return a stream of the records of a table, in the order in which they stand there.

        Args:
            table: Where they are. An attribute with a `Link` comes as the set of its members.
            attributes: The attributes to read; None for all columns and links.
            identifiers: The attributes that a link's owner refers to; None for ``idnumber``.

        Raises:
            SyncerError: The table, a column or a link table is not there; the nearest one is named.
            ImporterError: A file is not what it says it is.
        """
        return projected(self._open, Table(table) if isinstance(table, str) else table, attributes, identifiers)

    @abstractmethod
    def normalized(self, value: Any) -> Any:
        """Return what `load` gives for a value that `dump` took.

        Raises:
            SyncerError: The format cannot hold the value, and `dump` refuses it.
        """

    # What is written.

    def dump(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> None:
        """Replace all records of a table, or make it; without records, a table keeps its columns.

        Raises:
            LockedError: Another run is writing to it.
            SyncerError: A value or a name cannot be written; the table is as it was.
        """
        new = TableContents.of(data, identifier)
        with self._writing([identifier]):
            if not new.columns and identifier in self._places():
                new = TableContents(self._columns(identifier), new.records)
            self._replace({identifier: new})

    def append(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> int:
        """Put records at the end of a table, or make it; return their number.

        Raises:
            LockedError: Another run is writing to it.
            SyncerError: A value or a name cannot be written; the table is as it was.
        """
        new = TableContents.of(data, identifier)
        with self._writing([identifier]):
            stored = self._contents(identifier)
            try:
                self._replace({identifier: stored.extended(new)})
            except SyncerError:
                self._check_alone(identifier, new)
                raise
        return len(new.records)

    def upsert(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Change the records whose keys are there, and append the others; return the number of those given.

        A column that a given record lacks keeps its stored value.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: A key is missing or stands twice, or a value cannot be written; the table is as it was.
        """
        return self._rekeyed(identifier, data, key, upserted, load=self._contents)[0]

    def update(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Change the given columns of the records with these keys; return their number.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: The table, a key or a column is not there, or a key stands twice, or a value cannot be written;
                the table is as it was.
        """
        return self._rekeyed(identifier, data, key, updated, load=self._stored)[0]

    def delete(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Remove the records with these keys; return how many there were.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: The table is not there, or a key is missing or stands twice; the table is as it was.
        """
        return -self._rekeyed(identifier, data, key, deleted, load=self._stored)[1]

    def apply_changes(self, changes: Sequence[Change], *, same: Same) -> list[Outcome]:
        """Apply changes, and return their outcomes in the same order.

        What is already so is ``done``. Whatever differs from what was expected is a ``conflict`` and stays as it is;
        the updates of one object stand or fall together. A value that the format cannot hold makes its change
        ``failed``, and all others ``undone``.

        All files are written before the first is moved into place; a kill between two moves leaves some tables new and
        some old, each of them whole.

        Args:
            changes: Parents first, then updates, then deletions, children first.
            same: Compares a raw value, as `load` gives it, with an expected one.

        Raises:
            LockedError: Another run is writing to one of the tables.
            SyncerError: A table or column is not there, or a file could not be written. Nothing was, unless the message
                says so.
        """
        if not changes:
            return []
        with self._writing(names_of_tables(changes)):
            outcomes, changed = rewritten(
                changes, same=same, load=self._stored, normalized=self.normalized, fixed=self._fixed
            )
            self._replace(changed)
        return outcomes

    # How a format reads and writes.

    @abstractmethod
    def _open(self, identifier: str) -> Records:
        """Return the records of a table, with all of its columns."""

    def _contents(self, identifier: str) -> TableContents:
        """Return what a table holds; nothing if it is not there yet."""
        return self._stored(identifier) if identifier in self._places() else TableContents()

    def _columns(self, identifier: str) -> tuple[str, ...]:
        """Return the columns of a table that is to be emptied."""
        return self._stored(identifier).columns

    def _stored(self, identifier: str) -> TableContents:
        """Return what a table holds, which is to be written again."""
        records = self._open(identifier)
        return TableContents(records.columns, list(records))

    def _encoded_rows(
        self, identifier: str, contents: TableContents, encode: Callable[[Any], Any]
    ) -> Iterator[list[Any]]:
        """Yield what is to be written of each record; name the place of a value that is refused."""
        for number, record in enumerate(contents.records, 1):
            try:
                row = [encode(record.get(column)) for column in contents.columns]
            except SyncerError as error:
                column = next(column for column in contents.columns if _refused(encode, record.get(column)))
                message = f"record {number} for table {identifier!r}, column {column!r}: {error}"
                raise SyncerError(message) from error
            yield row

    def _check_alone(self, identifier: str, new: TableContents) -> None:
        """Name the place of a value that is refused as it stands among the records that were given."""
        for _ in self._encoded_rows(identifier, new, self.normalized):
            pass

    def _rekeyed(
        self,
        identifier: str,
        data: Iterable[Mapping[str, Any]],
        key: str | Sequence[str],
        change: _Change,
        *,
        load: Callable[[str], TableContents],
    ) -> tuple[int, int]:
        """Change a table by key; return how many records were given, and by how many there are more now."""
        given = TableContents.of(data, identifier)
        with self._writing([identifier]):
            stored = load(identifier)
            contents = change(stored, given, RecordKeys(key, identifier, self.normalized))
            if given.records:
                self._replace({identifier: contents})
        return len(given.records), len(contents.records) - len(stored.records)


def _refused(encode: Callable[[Any], Any], value: Any) -> bool:
    try:
        encode(value)
    except SyncerError:
        return True
    return False
