"""The base of all syncers over files: tables are read as streams and replaced as a whole."""

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
from datastoresync.syncers.files.atomic_write import AtomicWrite, lock_path, locked
from datastoresync.syncers.names import check_file_name, clash, nearest
from datastoresync.syncers.projection import projected
from datastoresync.syncers.records import Records
from datastoresync.syncers.table_rewrite import (
    RecordKeys,
    TableContents,
    apply_to_tables,
    delete_records,
    table_names,
    upsert_records,
)

_Change = Callable[[TableContents, TableContents, RecordKeys], TableContents]


class FileSyncer(ABC):
    """A folder with a file for each table, or a single file whose table has the name of the file.

    A path that does not exist yet is a file if it ends in the format's suffix, and a folder otherwise. A table's name
    is that of its file without the suffix; one that differs from another only in case or Unicode form is refused, and
    so is one that would leave the folder or be hidden in it. Files that begin with a dot are not tables.

    A file is replaced atomically: readers, and runs after a kill, see the old one or the new one. A second writer is
    refused with `LockedError`; readers never wait.

    Args:
        path: The folder or the file.
        name: The name in messages; by default the format and the path.

    Raises:
        DeclarationError: The path is empty.
    """

    format: ClassVar[str]
    """The name of the format, and the scheme of its URLs; the same as in `FORMATS`."""
    suffixes: ClassVar[tuple[str, ...]]
    """The suffixes of its files, in lower case; the first is that of new files. The same as in `FORMATS`."""
    streams: ClassVar[bool] = True
    """Whether data may be any iterable, which is read once."""
    _fixed: ClassVar[bool] = True
    """Whether all records of a table have the same columns."""

    def __init__(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        text = os.fspath(path)
        if not text:
            message = f"{type(self).__name__} takes the path of a folder or of a file, not an empty text"
            raise DeclarationError(message)
        self.path = Path(text)
        self.name = f"{self.format}:{text}" if name is None else name
        self._ends_as_folder = text.endswith(("/", os.sep))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({os.fspath(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - a syncer over other files may have some to close
        """Do nothing: no file stays open between calls."""

    # Reading.

    def tables(self) -> list[str]:
        """Return the names of all tables, sorted."""
        return sorted(self._table_files())

    def load(self, identifier: str) -> list[dict[str, Any]]:
        """Return all records of a table, by column.

        Raises:
            SyncerError: There is no such table; the nearest one is named.
            ImporterError: Its file is malformed.
        """
        return list(self._open(identifier))

    def read(
        self, table: Table | str, attributes: Sequence[str] | None = None, *, identifiers: Sequence[str] | None = None
    ) -> Records:
        """Return a stream of the records of a table, in their order.

        Args:
            table: The table. An attribute with a `Link` comes as the set of its members.
            attributes: The attributes to read; None for all columns and links.
            identifiers: The attributes that a link's owner refers to; None for ``idnumber``.

        Raises:
            SyncerError: The table, a column or a link table does not exist; the nearest one is named.
            ImporterError: A file is malformed.
        """
        return projected(self._open, Table(table) if isinstance(table, str) else table, attributes, identifiers)

    @abstractmethod
    def normalized(self, value: Any) -> Any:
        """Return the value that `load` returns for one that was dumped.

        Raises:
            SyncerError: The format cannot hold the value, and `dump` refuses it.
        """

    # Writing.

    def dump(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> None:
        """Replace all records of a table, or create it; without records, a table keeps its columns.

        Raises:
            LockedError: Another run is writing to it.
            SyncerError: A value or a name cannot be written; the table is as it was.
        """
        new = TableContents.of(data, identifier)
        with self._locked_tables([identifier]):
            if not new.columns and identifier in self._table_files():
                new = TableContents(self._columns(identifier), new.records)
            self._replace({identifier: new})

    def append(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> int:
        """Append records to a table, or create it; return their number.

        Raises:
            LockedError: Another run is writing to it.
            SyncerError: A value or a name cannot be written; the table is as it was.
        """
        new = TableContents.of(data, identifier)
        with self._locked_tables([identifier]):
            stored = self._contents(identifier)
            try:
                self._replace({identifier: stored.extended(new)})
            except SyncerError:
                self._check_records(identifier, new)
                raise
        return len(new.records)

    def upsert(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Update the records whose keys exist, and append the others; return the number of given records.

        A column that a given record lacks keeps its stored value.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: A key is missing or given twice, or a value cannot be written; the table is as it was.
        """
        return self._change_by_key(identifier, data, key, upsert_records, load=self._contents)[0]

    def update(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Update the given columns of the records with these keys; return their number.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: The table, a key or a column does not exist, a key is given twice, or a value is refused;
                the table is as it was.
        """
        return self._change_by_key(identifier, data, key, partial(upsert_records, insert=False), load=self._stored)[0]

    def delete(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Delete the records with these keys; return the number of deleted records.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: The table does not exist, or a key is missing or given twice; the table is as it was.
        """
        return -self._change_by_key(identifier, data, key, delete_records, load=self._stored)[1]

    def apply_changes(self, changes: Sequence[Change], *, same: Same) -> list[Outcome]:
        """Apply changes, and return their outcomes in the same order.

        A change that is there already is ``done``. A row that differs from what was expected is a ``conflict`` and
        stays as it is; the updates of one object succeed or fail together. A value that the format cannot hold makes
        its change ``failed``, and all others ``undone``.

        All files are written before the first is moved into place; a kill between two moves leaves some tables new and
        some old, each of them whole.

        Args:
            changes: Parents first, then updates, then deletions, children first.
            same: Compares a raw value, as `load` returns it, with an expected one.

        Raises:
            LockedError: Another run is writing to one of the tables.
            SyncerError: A table or column does not exist, or a file could not be written; nothing was written, unless
                the message says so.
        """
        if not changes:
            return []
        with self._locked_tables(table_names(changes)):
            outcomes, changed = apply_to_tables(
                changes, same=same, load=self._stored, normalized=self.normalized, fixed=self._fixed
            )
            self._replace(changed)
        return outcomes

    # The file of each table.

    @property
    def _single(self) -> bool:
        """Whether the path is that of a file."""
        if self.path.exists():
            return not self.path.is_dir()
        return not self._ends_as_folder and self.path.suffix.lower() in self.suffixes

    def _table_files(self) -> dict[str, Path]:
        """Return the file of each table that exists."""
        try:
            if self._single:
                return {self.path.stem: self.path} if self.path.exists() else {}
            entries = sorted(self.path.iterdir()) if self.path.is_dir() else []
        except OSError as error:
            message = f"cannot read {self.name}: {error.strerror or error}"
            raise SyncerError(message) from error
        files: dict[str, Path] = {}
        for path in filter(self._is_table_file, entries):
            if path.stem in files:
                message = f"{self.name} has both {files[path.stem].name} and {path.name}: remove the wrong one"
                raise SyncerError(message)
            files[path.stem] = path
        return files

    def _is_table_file(self, path: Path) -> bool:
        return path.suffix.lower() in self.suffixes and not path.name.startswith((".", "~$")) and path.is_file()

    def _existing_file(self, identifier: str) -> Path:
        """Return the file of a table that exists."""
        files = self._table_files()
        if identifier not in files:
            message = f"{self.name} has no table {identifier!r}: {nearest(str(identifier), files)}"
            raise SyncerError(message)
        return files[identifier]

    def _target_file(self, identifier: str) -> Path:
        """Return the file to write a table to, with symbolic links resolved."""
        files = self._table_files()
        if identifier in files:
            return Path(os.path.realpath(files[identifier]))
        if self._single:
            self._check_single(identifier)
            return Path(os.path.realpath(self.path))
        path = self.path / f"{identifier}{self.suffixes[0]}"
        check_file_name(identifier, lock_path(Path(f"{identifier}{self.suffixes[0]}")).name, self.name)
        if existing := clash(identifier, files):
            message = f"{self.name} has a table {existing!r}, whose file many systems take for that of {identifier!r}"
            raise SyncerError(message)
        return Path(os.path.realpath(path))

    def _check_single(self, identifier: str) -> None:
        if identifier != self.path.stem:
            message = f"{self.name} is a single file, whose only table is {self.path.stem!r} (got {identifier!r})"
            raise SyncerError(message)

    @contextmanager
    def _locked_tables(self, identifiers: Iterable[str]) -> Iterator[None]:
        """Lock the files of tables against other writers; create the folder if it does not exist."""
        targets = [self._target_file(identifier) for identifier in identifiers]
        try:
            for folder in {target.parent for target in targets}:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot create the folder of {self.name}: {error.strerror or error}"
            raise SyncerError(message) from error
        with locked(targets):
            yield

    def _replace(self, tables: Mapping[str, TableContents]) -> None:
        """Write all tables, then move each into place."""
        files: dict[Path, dict[str, TableContents]] = {}
        for identifier, contents in tables.items():
            files.setdefault(self._target_file(identifier), {})[identifier] = contents
        writes = [AtomicWrite(path) for path in files]
        committed: list[str] = []
        try:
            for write in writes:
                write.write(partial(self._save, tables=files[write.target]))
            for write in writes:
                write.commit()
                committed.append(write.target.name)
        except OSError as error:
            done = f"already written: {', '.join(committed)}" if committed else "nothing was written"
            message = f"cannot write to {self.name} ({error.strerror or error}); {done}"
            raise SyncerError(message) from error
        finally:
            for write in writes[len(committed) :]:
                write.discard()

    # The hooks of a format, and helpers for them.

    @abstractmethod
    def _open(self, identifier: str) -> Records:
        """Return the records of a table, with all of its columns."""

    @abstractmethod
    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        """Write these tables to a file, while its old version is still in place."""

    def _contents(self, identifier: str) -> TableContents:
        """Return the contents of a table, empty if it does not exist yet."""
        return self._stored(identifier) if identifier in self._table_files() else TableContents()

    def _columns(self, identifier: str) -> tuple[str, ...]:
        """Return the columns of a table that is to be emptied."""
        return self._stored(identifier).columns

    def _stored(self, identifier: str) -> TableContents:
        """Return the contents of a table that is to be rewritten."""
        records = self._open(identifier)
        return TableContents(records.columns, list(records))

    def _encoded_rows(
        self, identifier: str, contents: TableContents, encode: Callable[[Any], Any]
    ) -> Iterator[list[Any]]:
        """Yield the encoded values of each record; name the record and column of a value that is refused."""
        for number, record in enumerate(contents.records, 1):
            try:
                row = [encode(record.get(column)) for column in contents.columns]
            except SyncerError as error:
                column = next(column for column in contents.columns if _is_refused(encode, record.get(column)))
                message = f"record {number} for table {identifier!r}, column {column!r}: {error}"
                raise SyncerError(message) from error
            yield row

    def _check_records(self, identifier: str, new: TableContents) -> None:
        """Raise the error of a value that is refused with its position among the given records."""
        for _ in self._encoded_rows(identifier, new, self.normalized):
            pass

    def _change_by_key(
        self,
        identifier: str,
        data: Iterable[Mapping[str, Any]],
        key: str | Sequence[str],
        change: _Change,
        *,
        load: Callable[[str], TableContents],
    ) -> tuple[int, int]:
        """Change a table by key; return the number of given records, and by how many the table grew."""
        given = TableContents.of(data, identifier)
        with self._locked_tables([identifier]):
            stored = load(identifier)
            contents = change(stored, given, RecordKeys(key, identifier, self.normalized))
            if given.records:
                self._replace({identifier: contents})
        return len(given.records), len(contents.records) - len(stored.records)


def _is_refused(encode: Callable[[Any], Any], value: Any) -> bool:
    try:
        encode(value)
    except SyncerError:
        return True
    return False
