"""Tables that are about to be rewritten: what they were read from must be what is replaced, and be read as written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs

from datastoresync.conversion.scalars import by_instant
from datastoresync.errors import ImporterError, LockedError
from datastoresync.printing.text import shortened
from datastoresync.syncers.records import Records, file_state
from datastoresync.syncers.row_index import TableContents

T = TypeVar("T")
_RECENT = 2.0
"""Seconds within which a file may be saved twice at what its system takes for one time."""
_TRIES = 5
_PAUSE = 0.05
"""Seconds until a file that is being saved is read again."""


class SavedMeanwhileError(Exception):
    """Another program has saved a file since it was read."""


@attrs.frozen
class _FileState:
    """What tells one version of a file from another one.

    Args:
        status: Its device, inode, size and times; None if there is no file.
        digest: Of its contents, if it was saved just before.
    """

    status: tuple[int, ...] | None
    digest: bytes = b""

    @classmethod
    def of(cls, path: Path) -> _FileState:
        """Return the state of a file."""
        try:
            status = path.stat()
            recent = abs(time.time() - status.st_mtime) < _RECENT
            return cls((*file_state(status), status.st_ctime_ns), _digest(path) if recent else b"")
        except FileNotFoundError:
            return cls(None)

    def is_that_of(self, path: Path) -> bool:
        """Say whether a file is in this state."""
        try:
            status = path.stat()
            same = self.status == (*file_state(status), status.st_ctime_ns)
            return same and (not self.digest or self.digest == _digest(path))
        except FileNotFoundError:
            return self.status is None


def _digest(path: Path) -> bytes:
    digest = blake2b()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


class PendingRewrite(Generic[T]):
    """Tables that are computed of what is stored, and computed again if that is saved by another program meanwhile.

    Args:
        name: What messages call the store.
        find: Returns the file of a table.
        read: Returns the contents of a table.
        computation: Returns a result, and the new contents of tables, of what a function loads.
        rehearse: Whether nothing is to be moved into place.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[str], Path],
        read: Callable[..., TableContents],
        computation: Callable[[Callable[..., TableContents]], tuple[T, Mapping[str, TableContents]]],
        *,
        rehearse: bool = False,
    ) -> None:
        self.rehearse = rehearse
        self._name = name
        self._find = find
        self._read = read
        self._computation = computation
        self._states: dict[Path, _FileState] = {}
        self.compute()

    def compute(self) -> None:
        """Compute the tables, of what is stored now.

        Raises:
            LockedError: Another program saves them again and again.
        """
        for _ in range(_TRIES):
            self._states.clear()
            try:
                self.result, self.tables = self._computation(self._load)
            except SavedMeanwhileError:
                time.sleep(_PAUSE)
            else:
                return
        raise LockedError(saved_again_and_again(self._name))

    def expect(self, path: Path) -> None:
        """Expect a file to stay as it is now, unless it was read already."""
        if path not in self._states:
            self._states[path] = _FileState.of(path)

    def check_unchanged(self) -> None:
        """Check that all files are as they were.

        Raises:
            SavedMeanwhileError: Another program has saved one.
        """
        if not all(state.is_that_of(path) for path, state in self._states.items()):
            raise SavedMeanwhileError

    def _load(self, identifier: str, **options: Any) -> TableContents:
        path = self._find(identifier)
        state = _FileState.of(path)
        try:
            contents = self._read(identifier, **options)
        except ImporterError:
            if state.is_that_of(path):
                raise
            raise SavedMeanwhileError from None
        if self._states.setdefault(path, state).status != state.status or not state.is_that_of(path):
            raise SavedMeanwhileError
        return contents


def saved_again_and_again(name: str) -> str:
    """Return the message about a program that does not come to an end."""
    return f"another program saves {name} again and again, so nothing was written: run again when it is done"


def difference(found: Records, wanted: TableContents, normalized: Callable[[Any], Any]) -> str:
    """Return how records that were read back differ from those that were written; nothing if they do not.

    Args:
        found: The records that were read.
        wanted: Those that were to be written.
        normalized: Returns a value as it should be read.
    """
    count = 0
    for chunk in found.chunks:
        columns = dict(zip(found.columns, chunk, strict=True))
        size = len(chunk[0]) if chunk else 0
        records = wanted.records[count : count + size]
        if len(records) < size:
            return f"it holds more than {len(wanted.records):,} records"
        for name in wanted.columns:
            values = [record.get(name) for record in records]
            raws = list(columns.get(name, ())) or [None] * size
            if values != raws and (fault := _different(values, raws, normalized)):
                return f"record {count + fault[0] + 1}, column {name!r} would come back as {fault[1]}"
        count += size
    return f"it holds {count:,} of {len(wanted.records):,} records" if count < len(wanted.records) else ""


def _different(values: Sequence[Any], raws: Sequence[Any], normalized: Callable[[Any], Any]) -> tuple[int, str] | None:
    """Return the index of the first value that does not come back as it should, and what comes back."""
    for index, (value, raw) in enumerate(zip(values, raws, strict=True)):
        kept = by_instant(normalized(value))
        # NaN is not equal to itself, but has the same text.
        if kept != raw and repr(kept) != repr(raw):
            return index, shortened(raw)
    return None
