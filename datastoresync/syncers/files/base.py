"""The base of all syncers over files: tables are read as streams and replaced as a whole."""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Self, TypeVar

from datastoresync.atomic_write import AtomicWrite
from datastoresync.conversion.value_format import Spelling
from datastoresync.errors import DeclarationError, ImporterError, LockedError, SyncerError, system_reason
from datastoresync.spelling import nearest
from datastoresync.syncers.changes import Change, Outcome, Outcomes, Same, Table, WriteOptions
from datastoresync.syncers.files.intent import Intent, intents_of
from datastoresync.syncers.files.locks import locked
from datastoresync.syncers.files.pending_rewrite import (
    PendingRewrite,
    SavedMeanwhileError,
    difference,
    saved_again_and_again,
)
from datastoresync.syncers.files.text_format import TableFormat, options_of, parameters
from datastoresync.syncers.keyed_records import RecordKeys, delete_records, upsert_records
from datastoresync.syncers.lock_holders import seconds_of
from datastoresync.syncers.names import check_file_name, clash
from datastoresync.syncers.projection import projected
from datastoresync.syncers.records import Records
from datastoresync.syncers.row_index import TableContents
from datastoresync.syncers.table_rewrite import apply_to_tables, table_names

T = TypeVar("T")
_Change = Callable[[TableContents, TableContents, RecordKeys], TableContents]
_Load = Callable[..., TableContents]
_Compute = Callable[[_Load], tuple[T, Mapping[str, TableContents]]]
_TRIES = 5
"""How often tables are read again because another program has saved one of them meanwhile."""
_PATIENCE = 30.0
"""Seconds to wait until another run has moved its files into place."""


class FileSyncer(ABC):
    """A folder with a file for each table, or a single file whose table has the name of the file.

    A path that does not exist yet is a file if it ends in the format's suffix, and a folder otherwise. A table's name
    is that of its file without the suffix; one that differs from another only in case or Unicode form is refused, and
    so is one that would leave the folder or be hidden in it. Files that begin with a dot are not tables.

    A file is written beside the old one, read back, and then replaces it atomically: readers, and runs after a kill,
    see the old one or the new one. Several files are replaced together: what a killed run has not moved yet is moved
    by whoever reads or writes there next. A second writer is refused with `LockedError`; readers wait for no more than
    such a move. What another program saves while a table is rewritten is not lost: the table is read again then.

    Args:
        path: The folder or the file.
        name: The name in messages; by default the format and the path.
        timeout: Seconds to wait for another run that is writing to the same tables; by default it is not waited for.

    Raises:
        DeclarationError: The path is empty, or the timeout is no number of seconds.
    """

    format: ClassVar[str]
    """The name of the format, and the scheme of its URLs; the same as in `FORMATS`."""
    suffixes: ClassVar[tuple[str, ...]]
    """The suffixes of its files, in lower case; the first is that of new files. The same as in `FORMATS`."""
    streams: ClassVar[bool] = True
    """Whether data may be any iterable, which is read once."""
    spelling: Spelling = "python"
    """Where its options are given, for messages about them."""
    _fixed: ClassVar[bool] = True
    """Whether all records of a table have the same columns."""

    def __init__(self, path: str | os.PathLike[str], *, name: str | None = None, timeout: float | None = None) -> None:
        text = os.fspath(path)
        if not text:
            message = f"{type(self).__name__} takes the path of a folder or of a file, not an empty text"
            raise DeclarationError(message)
        self.path = Path(text)
        self.name = f"{self.format}:{text}" if name is None else name
        self.timeout = seconds_of(timeout, 0)
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

    def records(self, identifier: str) -> Records:
        """Return a stream of the records of a table with all of its columns, as an engine may read them by itself.

        Raises:
            SyncerError: There is no such table; the nearest one is named.
            ImporterError: Its file is malformed.
        """
        return self._open(identifier)

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

        def compute(_: _Load) -> tuple[None, dict[str, TableContents]]:
            if new.columns or identifier not in self._table_files():
                return None, {identifier: new}
            return None, {identifier: TableContents(self._columns(identifier), new.records)}

        self._rewrite([identifier], compute)

    def append(self, identifier: str, *, data: Iterable[Mapping[str, Any]]) -> int:
        """Append records to a table, or create it; return their number.

        Raises:
            LockedError: Another run is writing to it.
            SyncerError: A value or a name cannot be written; the table is as it was.
        """
        new = TableContents.of(data, identifier)
        try:
            self._rewrite(
                [identifier], lambda load: (None, {identifier: load(identifier, may_be_new=True).extended(new)})
            )
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
        return self._change_by_key(identifier, data, key, upsert_records, may_be_new=True)[0]

    def update(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Update the given columns of the records with these keys; return their number.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: The table, a key or a column does not exist, a key is given twice, or a value is refused;
                the table is as it was.
        """
        return self._change_by_key(identifier, data, key, partial(upsert_records, insert=False))[0]

    def delete(self, identifier: str, *, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
        """Delete the records with these keys; return the number of deleted records.

        Raises:
            LockedError: Another run is writing to the table.
            SyncerError: The table does not exist, or a key is missing or given twice; the table is as it was.
        """
        return -self._change_by_key(identifier, data, key, delete_records)[1]

    def apply_changes(
        self, changes: Sequence[Change], *, same: Same, options: WriteOptions | None = None
    ) -> Sequence[Outcome]:
        """Apply changes, and return their outcomes in the same order.

        A row that differs from what was expected, or that is there already, is a ``conflict`` and stays as it is; the
        updates of one object succeed or fail together. A value that the format cannot hold, or not as it is, makes its
        change ``failed``, and with ``on_error="stop"`` all others ``undone``. What another program saves in the
        meantime is compared, too.

        All files are written and read back before the first is moved into place, and a run that is killed between two
        moves is completed by the next one. Link rows that an owner of the same key has left behind are removed when it
        is made again. A rehearsal does everything but move the files.

        Args:
            changes: Parents first, then updates, then deletions, children first.
            same: Compares a raw value, as `load` returns it, with an expected one.
            options: How changes are applied; None for the usual ones.

        Raises:
            LockedError: Another run is writing to one of the tables.
            SyncerError: A table or column does not exist, or a file could not be written; nothing was written, unless
                the message says so.
        """
        changes = list(changes)  # each iteration would build them anew
        if not changes:
            return []

        def compute(load: _Load) -> tuple[Outcomes, dict[str, TableContents]]:
            rewrite = apply_to_tables(
                changes, same=same, load=load, normalized=self.normalized, fixed=self._fixed, options=options
            )
            return rewrite.outcomes, rewrite.tables

        return self._rewrite(table_names(changes), compute, rehearse=options is not None and options.rehearse)

    # The file of each table.

    @property
    def only_table(self) -> str | None:
        """The name of the one table that there can be, as in a single file; None if there may be others."""
        return self._table_name(self.path) if self._single else None

    @property
    def _single(self) -> bool:
        """Whether the path is that of a file."""
        if self.path.exists():
            return not self.path.is_dir()
        return not self._ends_as_folder and self.path.name.lower().endswith(self.suffixes)

    def _table_files(self) -> dict[str, Path]:
        """Return the file of each table that exists; before, complete what a killed run has left half done."""
        try:
            folder = self.path.parent if self._single else self.path
            for intent in intents_of(folder):
                self._complete(intent)
            if self._single:
                return {self._table_name(self.path): self.path} if self.path.exists() else {}
            entries = sorted(self.path.iterdir()) if self.path.is_dir() else []
        except OSError as error:
            message = f"cannot read {self.name}: {system_reason(error)}"
            raise SyncerError(message) from error
        files: dict[str, Path] = {}
        for path in filter(self._is_table_file, entries):
            name = self._table_name(path)
            if name in files:
                message = f"{self.name} has both {files[name].name} and {path.name}: remove the wrong one"
                raise SyncerError(message)
            files[name] = path
        return files

    def _table_name(self, path: Path) -> str:
        """Return the name of the table in a file: that of the file without the format's suffix, or any."""
        suffix = next((each for each in self.suffixes if path.name.lower().endswith(each)), path.suffix)
        return path.name.removesuffix(path.name[len(path.name) - len(suffix) :]) if suffix else path.name

    def _complete(self, intent: Intent) -> None:
        """Carry out what a killed run has written down, or wait until the run that has is done with it."""
        try:
            with locked(intent.targets, timeout=max(self.timeout, _PATIENCE)):
                if intent.path.exists():
                    intent.carry_out()
        except LockedError:
            if intent.path.exists():
                raise
        except (SyncerError, OSError) as error:
            if not intent.path.exists():
                return
            message = (
                f"a run was killed while it replaced {', '.join(intent.names)} of {self.name}, so some are new and "
                f"some old: whoever may write there completes that by reading them ({error})"
            )
            raise SyncerError(message) from error

    def _is_table_file(self, path: Path) -> bool:
        return path.name.lower().endswith(self.suffixes) and not path.name.startswith((".", "~$")) and path.is_file()

    def _existing_file(self, identifier: str) -> Path:
        """Return the file of a table that exists."""
        files = self._table_files()
        if identifier not in files and not self.path.exists():
            near = nearest(self.path.name, (each.name for each in self.path.parent.glob("*")))
            message = f"{self.name}: there is no {self.path.name} in {self.path.absolute().parent}: {near}"
            raise SyncerError(message)
        if identifier not in files:
            message = f"{self.name} has no table {identifier!r}: {nearest(str(identifier), files)}"
            raise SyncerError(message)
        return files[identifier]

    def _target_file(self, identifier: str) -> Path:
        """Return the file to write a table to, with symbolic links resolved."""
        return Path(os.path.realpath(self._entry(identifier)))

    def _entry(self, identifier: str) -> Path:
        """Return the file to write a table to, as it is called in the folder."""
        files = self._table_files()
        if identifier in files:
            return files[identifier]
        if self._single:
            self._check_single(identifier)
            return self.path
        path = self.path / f"{identifier}{self.suffixes[0]}"
        longest = AtomicWrite(Intent.of(self.path, [path.name]).path).temporary.name
        check_file_name(identifier, longest, self.name)
        if existing := clash(identifier, files):
            message = f"{self.name} has a table {existing!r}, whose file many systems take for that of {identifier!r}"
            raise SyncerError(message)
        return path

    def _check_single(self, identifier: str) -> None:
        if identifier != self._table_name(self.path):
            message = (
                f"{self.name} is a single file, whose only table is {self._table_name(self.path)!r} "
                f"(got {identifier!r}): call it {identifier}{self.path.suffix}, or write to a folder"
            )
            raise SyncerError(message)

    @contextmanager
    def _locked_tables(self, identifiers: Iterable[str]) -> Iterator[None]:
        """Lock the files of tables against other writers; create the folder if it does not exist."""
        entries = [self._entry(identifier) for identifier in identifiers]
        targets = {Path(os.path.realpath(entry)) for entry in entries}
        try:
            for folder in {target.parent for target in targets}:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot create the folder of {self.name}: {system_reason(error)}"
            raise SyncerError(message) from error
        while True:
            with locked(targets, timeout=self.timeout):
                killed = [one for one in intents_of(entries[0].parent) if not targets.isdisjoint(one.targets)]
                if not killed:
                    yield
                    return
            for intent in killed:  # a run was killed since the files were listed
                self._complete(intent)

    def _rewrite(self, identifiers: Sequence[str], compute: _Compute[T], *, rehearse: bool = False) -> T:
        """Replace tables by what is computed of them, under their locks; return the result of the computation."""
        with self._locked_tables(identifiers):
            rewrite = PendingRewrite(self.name, self._target_file, self._read_for_rewrite, compute, rehearse=rehearse)
            self._replace(rewrite)
            return rewrite.result

    def _replace(self, rewrite: PendingRewrite[Any]) -> None:
        """Write all tables and move them into place, unless another program has saved one since it was read."""
        for _ in range(_TRIES):
            try:
                self._write(rewrite)
            except SavedMeanwhileError:
                rewrite.compute()
            else:
                return
        raise LockedError(saved_again_and_again(self.name))

    def _write(self, rewrite: PendingRewrite[Any]) -> None:
        """Write all tables and read them back, then move each into place, all or none."""
        files: dict[Path, dict[str, TableContents]] = {}
        entries: dict[Path, str] = {}
        folder = self.path
        for identifier, contents in rewrite.tables.items():
            entry = self._entry(identifier)
            folder, target = entry.parent, Path(os.path.realpath(entry))
            files.setdefault(target, {})[identifier] = contents
            entries[target] = entry.name
            rewrite.expect(target)
        writes = [AtomicWrite(path) for path in files]
        intent = Intent.of(folder, entries.values()) if len(writes) > 1 else None
        begun = False
        try:
            for write in writes:
                write.write(partial(self._save, tables=files[write.target]))
                self._check_written(write.temporary, files[write.target])
            rewrite.check_unchanged()
            if rewrite.rehearse:
                return
            if intent is not None:
                intent.write()
            begun = True
            if intent is not None:
                intent.carry_out()
            elif writes:
                writes[0].commit()
        except OSError as error:
            if begun and intent is not None:
                moved = [entries[write.target] for write in writes if not write.temporary.exists()]
                done = f"already written: {', '.join(moved) or 'nothing'}; the rest is as soon as that can be done"
            else:
                done = "nothing was written"
            message = f"cannot write to {self.name} ({system_reason(error)}); {done}"
            raise SyncerError(message) from error
        finally:
            if not begun or intent is None:  # else they are still to be moved, by the next run if not by this one
                for write in writes:
                    write.discard()

    def _check_written(self, path: Path, tables: Mapping[str, TableContents]) -> None:
        """Read a file that was just written, and hold it against what it should hold.

        Raises:
            SyncerError: It cannot be read, or holds something else.
        """
        for identifier, contents in tables.items():
            try:
                fault = self._difference(path, identifier, contents)
            except ImporterError as error:
                fault = str(error)
            if fault:
                message = (
                    f"{self.name}: table {identifier!r} would not be read as it was written, so it is not: {fault}"
                )
                raise SyncerError(message)

    def _read_for_rewrite(self, identifier: str, *, may_be_new: bool = False) -> TableContents:
        """Return the contents of a table; empty ones for a new table, where there may be one."""
        is_new = may_be_new and identifier not in self._table_files()
        return TableContents() if is_new else self._stored(identifier)

    # The hooks of a format, and helpers for them.

    def _open(self, identifier: str) -> Records:
        """Return the records of a table, with all of its columns."""
        return self._open_file(self._existing_file(identifier), identifier)

    @abstractmethod
    def _open_file(self, path: Path, identifier: str) -> Records:
        """Return the records of a table in a file, with all of its columns."""

    @abstractmethod
    def _save(self, file: IO[bytes], tables: Mapping[str, TableContents]) -> None:
        """Write these tables to a file, while its old version is still in place."""

    def _difference(self, path: Path, identifier: str, contents: TableContents) -> str:
        """Return how a table in a file differs from what was written there; nothing if it does not."""
        return difference(self._open_file(path, identifier), contents, self.normalized)

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
        may_be_new: bool = False,
    ) -> tuple[int, int]:
        """Change a table by key; return the number of given records, and by how many the table grew."""
        given = TableContents.of(data, identifier)

        def compute(load: _Load) -> tuple[int, dict[str, TableContents]]:
            stored = load(identifier, may_be_new=may_be_new)
            contents = change(stored, given, RecordKeys(key, identifier, self.normalized))
            growth = len(contents.records) - len(stored.records)
            return growth, {identifier: contents} if given.records else {}

        return len(given.records), self._rewrite([identifier], compute)


class TableFileSyncer(FileSyncer):
    """Files with options that say how they are written and what of them is read: those of ``format_class``.

    Args:
        path: See `FileSyncer`.
        name: See `FileSyncer`.
        timeout: See `FileSyncer`.
        options: The options, each by its name in ``format_class``.

    Raises:
        DeclarationError: An option has a value that it cannot have.
    """

    format_class: ClassVar[type[TableFormat]]
    """What lists the options."""
    usual: ClassVar[Mapping[str, Any]] = {}
    """Options that are others than in ``format_class`` where they are not given."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Tell URLs and editors the options, which are listed in ``format_class`` alone."""
        super().__init_subclass__(**kwargs)
        if "format_class" in vars(cls):
            _, *own = inspect.signature(FileSyncer.__init__).parameters.values()
            cls.__signature__ = parameters(cls.format_class, *own)  # type: ignore[attr-defined]  # what inspect asks for

    def __init__(
        self, path: str | os.PathLike[str], *, name: str | None = None, timeout: float | None = None, **options: Any
    ) -> None:
        known = options_of(self.format_class)
        if unknown := next((option for option in options if option not in known), None):
            message = f"{type(self).__name__} has no option {unknown!r}: {nearest(unknown, known)}"
            raise TypeError(message)
        super().__init__(path, name=name, timeout=timeout)
        self.table_format = self.format_class(**{**self.usual, **options})

    def _rewrite(self, identifiers: Sequence[str], compute: _Compute[T], *, rehearse: bool = False) -> T:
        if given := self.table_format.leaves_out:
            options = ", ".join(self.table_format.told(self.spelling).option(*each) for each in given.items())
            message = f"{self.name} is read with {options}, and would lose what is not read so: write to another file"
            raise SyncerError(message)
        return super()._rewrite(identifiers, compute, rehearse=rehearse)


def _is_refused(encode: Callable[[Any], Any], value: Any) -> bool:
    try:
        encode(value)
    except SyncerError:
        return True
    return False
