"""Rows as an importer reads them: chunks of columns, after its hooks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, repeat
from operator import itemgetter
from typing import Any

import attrs

from datastoresync.engines.select import engine_of
from datastoresync.errors import ImporterError, RowError
from datastoresync.importing.importer import Importer
from datastoresync.syncers.arrow import read_arrow
from datastoresync.syncers.records import Records, is_arrow

_CHUNK = 4096
"""Rows a chunk: enough to spread the cost of a call, and few enough to stay in the processor's cache."""


@attrs.frozen(eq=False, repr=False)
class Chunk:
    """Rows with the same columns.

    Args:
        names: The columns' names.
        columns: Their values.
        indexes: Where each row stands among all that were read, from 0.
        rows: The rows as they were read, where `Importer.prepare` made others of them and that matters.
    """

    names: tuple[str, ...]
    columns: Sequence[Sequence[Any]]
    indexes: Sequence[int]
    rows: Sequence[Mapping[str, Any]] | None = None


class Rows:
    """What an importer reads, as chunks, after its ``keep`` and ``prepare``.

    ``count`` is how many rows were read so far.
    """

    def __init__(self, importer: Importer, source: Any = None) -> None:
        self.importer = importer
        self.count = 0
        if source is None:
            source = importer.read()
        engine = engine_of(source)
        if engine is not None:
            source = engine.records(source)
        if is_arrow(source):
            source = read_arrow(source)
        if isinstance(source, (str, bytes, Mapping)) or not isinstance(source, Iterable):
            message = f"an importer must give rows, each a mapping from column to value (got {_brief(source)})"
            raise ImporterError(message)
        self.source: Records | Iterable[Any] = source
        self.uniform = isinstance(source, Records)
        self.where: Callable[[int], str] = (
            source.where if isinstance(source, Records) else lambda index: f"row {index + 1}"
        )

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows in chunks; within one, all have the same columns."""
        hooked = self.importer.overrides("keep") or self.importer.overrides("prepare")
        if isinstance(self.source, Records) and not hooked:
            for columns in self.source.chunks:
                start, self.count = self.count, self.count + (len(columns[0]) if columns else 0)
                if self.count > start:
                    yield Chunk(self.source.columns, columns, range(start, self.count))
            return
        rows = iter(self.source)
        while batch := list(islice(rows, _CHUNK)):
            start, self.count = self.count, self.count + len(batch)
            if hooked:
                yield from self._hooked(batch, start)
            else:
                yield from self._shaped(batch, range(start, self.count))

    def close(self) -> None:
        """Let go of the file or the connection that a source half read still holds."""
        reading = self.source.chunks if isinstance(self.source, Records) else self.source
        if isinstance(reading, Generator):
            reading.close()

    def _hooked(self, batch: list[Any], start: int) -> Iterator[Chunk]:
        rows, indexes, as_read = [], [], []
        description = self.importer.description
        kept = description is not None and description.written and self.importer.overrides("prepare")
        for index, row in enumerate(batch, start):
            before = dict(row) if kept and isinstance(row, Mapping) else {}  # as `prepare` may change the row itself
            try:
                if not self.importer.keep(row):
                    continue
                prepared = self.importer.prepare(row)
            except Exception as error:  # noqa: BLE001 - a row that a hook cannot take is a bad row, however it failed
                refused = error if isinstance(error, RowError) else RowError(_reason(error), row=row)
                refused.where = refused.where or self.where(index)
                refused.row = row if refused.row is None else refused.row
                refused.__cause__ = None if refused is error else error
                self.importer.reject(refused)
                continue
            rows.append(prepared)
            indexes.append(index)
            as_read.append(before)
        yield from self._shaped(rows, indexes, as_read if kept else None)

    def _shaped(
        self, rows: list[Any], indexes: Sequence[int], as_read: Sequence[Mapping[str, Any]] | None = None
    ) -> Iterator[Chunk]:
        if not rows:
            return
        try:
            names = tuple(rows[0].keys())
            if names and all(type(name) is str for name in names) and set(map(len, rows)) == {len(names)}:
                values = map(itemgetter(*names), rows)
                columns = list(zip(*values, strict=True)) if len(names) > 1 else [tuple(values)]
                yield Chunk(names, columns, indexes, as_read)
                return
        except (KeyError, AttributeError, TypeError):
            pass  # some row is shaped otherwise, or is no mapping: group them
        numbered = zip(rows, indexes, as_read or repeat(None), strict=False)
        for names, group in groupby(numbered, key=lambda one: self._names(*one[:2])):
            if names:
                members, own_indexes, before = zip(*group, strict=True)
                columns = [tuple(row[name] for row in members) for name in names]
                yield Chunk(names, columns, own_indexes, None if as_read is None else before)

    def _names(self, row: Any, index: int) -> tuple[str, ...]:
        """Return a row's columns, in the order that it has them; none for what is no row, which is then refused."""
        if isinstance(row, Mapping) and row and all(isinstance(name, str) for name in row):
            return tuple(row)
        got = _brief(row)
        if isinstance(row, Mapping) and row:  # whose values may be no one's to see
            got = f"a column {next(name for name in row if not isinstance(name, str))!r}, which is no text"
        message = f"a row must be a mapping from column name to value (got {got})"
        self.importer.reject(RowError(message, where=self.where(index), row=row))
        return ()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
