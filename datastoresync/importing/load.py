"""Loading of a branch: as a table where it can stay one; otherwise in chunks of columns, which become objects."""

from __future__ import annotations

import copy
import time
import unicodedata
import warnings
from array import array
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from difflib import get_close_matches
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs

from datastoresync.conversion.converters import Schema
from datastoresync.diffing.equality import comparable, equal, is_membership
from datastoresync.engines.relation import CannotPushDown
from datastoresync.engines.select import engine_of, open_table, options_of
from datastoresync.errors import (
    ColumnError,
    ConversionError,
    DataWarning,
    DuplicateError,
    IdnumberError,
    ImporterError,
    RowError,
)
from datastoresync.importing.importer import Importer, ImportReport
from datastoresync.importing.object_set import ObjectSet
from datastoresync.masking import MASK, without_values
from datastoresync.runtime import collector_paused
from datastoresync.syncers.arrow import ArrowStream, read_arrow
from datastoresync.syncers.names import likely_delimiter
from datastoresync.syncers.records import Records, is_arrow

if TYPE_CHECKING:
    from datastoresync.engines.table import TableObjects


_HOOKS = ("keep", "prepare", "resolve_duplicate")


def table_of(importer: Importer, source: Any) -> tuple[TableObjects | None, str, Any]:
    """Return the objects of a branch that stays a table, or None and why not; no words if it is just small.

    Args:
        importer: The bound importer.
        source: What it read.

    Returns:
        The table, why there is none, and the source to read on from then.

    Raises:
        DeclarationError: if there is no such engine.
    """
    engine = importer.description.engine
    if engine == "memory":
        return None, "engine='memory' was asked for", source
    taken_by = engine_of(source)
    if taken_by is None and is_arrow(source):
        with suppress(Exception):  # without pyarrow, or not to be opened: what reads it says so
            source = ArrowStream(source)
            taken_by = engine_of(source)
    if engine == "auto" and not (taken_by is not None and taken_by.is_large(source)):
        return None, "", source
    options_of(engine)
    try:
        for hook in _HOOKS:
            if importer.overrides(hook):
                raise CannotPushDown(f"{hook} of {type(importer).__name__} is Python")
        if importer.on_bad_row == "collect":
            raise CannotPushDown("rows that are refused are collected")
        return open_table(source, importer.description), "", source
    except CannotPushDown as reason:
        return None, str(reason), source


def load_objects(importer: Importer) -> ObjectSet:
    """Return what a branch holds after an import, given the importer that is bound to it.

    Raises:
        ImporterError: if something that comes in is refused.
    """
    branch, started = importer.description, time.perf_counter()
    with collector_paused():
        loaded = load_rows(importer)
        try:
            contents = ObjectSet(branch, loaded.objects, reason=loaded.reason)
        except TypeError as error:
            message = f"{branch.name}: the idnumbers cannot be sorted: {error}"
            raise ImporterError(message) from error
    contents.rejected = len(loaded.bad_rows)
    seconds = time.perf_counter() - started
    contents.report = ImportReport(branch.name, loaded.rows, len(loaded.objects), loaded.bad_rows, seconds)
    return contents


def load_rows(importer: Importer) -> LoadedRows:
    """Return the objects that a bound importer gives.

    Raises:
        ImporterError: if something that comes in is refused.
    """
    branch = importer.description
    try:
        source_info = importer.source_info()
        source = importer.read() if source_info is None else None
        table, reason, source = table_of(importer, source if source_info is None else source_info)
        if table is not None:
            importer.finished()
            return LoadedRows(table, len(table), ())
        loaded = RowLoader(branch.schema, importer, name=branch.name).run(None if source is source_info else source)
        return attrs.evolve(loaded, reason=reason)
    except ImporterError as error:
        error.branch = error.branch or branch.name
        raise


_CHUNK = 4096
"""Rows a chunk: enough to spread the cost of a call, and few enough to stay in the processor's cache."""


@attrs.frozen(eq=False)
class Chunk:
    """Rows with the same columns.

    Args:
        names: The columns' names.
        columns: Their values.
        indexes: Where each row stands among all that were read, from 0.
    """

    names: tuple[str, ...]
    columns: Sequence[Sequence[Any]]
    indexes: Sequence[int]


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
        rows, indexes = [], []
        for index, row in enumerate(batch, start):
            try:
                if not self.importer.keep(row):
                    continue
                prepared = self.importer.prepare(row)
            except Exception as error:  # noqa: BLE001 - a row that a hook cannot take is a bad row, however it failed
                refused = error if isinstance(error, RowError) else RowError(_reason(error), row=row)
                refused.where = refused.where or self.where(index)
                refused.__cause__ = None if refused is error else error
                self.importer.reject(refused)
                continue
            rows.append(prepared)
            indexes.append(index)
        yield from self._shaped(rows, indexes)

    def _shaped(self, rows: list[Any], indexes: Sequence[int]) -> Iterator[Chunk]:
        if not rows:
            return
        try:
            names = tuple(rows[0].keys())
            if names and set(map(len, rows)) == {len(names)}:
                values = map(itemgetter(*names), rows)
                columns = list(zip(*values, strict=True)) if len(names) > 1 else [tuple(values)]
                yield Chunk(names, columns, indexes)
                return
        except (KeyError, AttributeError, TypeError):
            pass  # some row is shaped otherwise, or is no mapping: group them
        for names, group in groupby(zip(rows, indexes, strict=True), key=lambda pair: self._names(*pair)):
            if names:
                members = list(group)
                columns = [tuple(row[name] for row, _ in members) for name in names]
                yield Chunk(names, columns, [index for _, index in members])

    def _names(self, row: Any, index: int) -> tuple[str, ...]:
        """Return a row's columns, in the order that it has them; none for what is no row, which is then refused."""
        if isinstance(row, Mapping) and row and all(isinstance(name, str) for name in row):
            return tuple(row)
        message = f"a row must be a mapping from column name to value (got {_brief(row)})"
        self.importer.reject(RowError(message, where=self.where(index), row=row))
        return ()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"


@attrs.frozen(eq=False)
class LoadedRows:
    """What was loaded: objects by key, in the order of their rows, and how many rows that took.

    ``reason`` is the reason why they are objects, if they might have been a table.
    """

    objects: Mapping[Any, Any]
    rows: int
    bad_rows: tuple[RowError, ...]
    reason: str = ""


_NEVER_NAN = frozenset({str, int, bool, bytes, date, datetime, UUID})
"""Types of which every value is equal to itself."""


class RowLoader:
    """Makes objects of one import's rows.

    A chunk goes through column by column; only one that does not fit is taken apart to find the row that is to blame.

    Args:
        schema: What to make of a row.
        importer: Where the rows come from, and who decides about bad rows and duplicates.
        name: The branch as a person would name it, for warnings.
    """

    def __init__(self, schema: Schema, importer: Importer, *, name: str = "") -> None:
        self.schema = schema
        self.importer = importer
        self.name = name
        self.objects: dict[Any, Any] = {}
        self._indexes = array("Q")
        self._sample: Any = None
        self._uniform = False
        self._where: Any = None

    def run(self, source: Any = None) -> LoadedRows:
        """Read all rows and return the objects.

        Args:
            source: What the importer reads, if it was asked already.

        Raises:
            ImporterError: if anything is refused, unless the importer collects bad rows.
        """
        rows = Rows(self.importer, source)
        self._uniform, self._where = rows.uniform, rows.where
        if isinstance(getattr(rows.source, "columns", None), tuple) and rows.uniform:
            hooked = self.importer.overrides("prepare")
            if not hooked and rows.source.columns:  # type: ignore[union-attr]  # a store's empty table may have none
                self._check_names(rows.source.columns)  # type: ignore[union-attr]  # uniform rows are Records
        try:
            for chunk in rows.chunks():
                self._take(chunk)
        finally:
            rows.close()
        self.importer.finished()
        self._warn_of_look_alikes()
        return LoadedRows(self.objects, rows.count, tuple(self.importer.bad_rows))

    def _take(self, chunk: Chunk) -> None:
        try:
            keys, objects = self._convert(chunk.names, chunk.columns)
        except Exception:  # noqa: BLE001 - it happens again for the row to blame, which has an index
            self._take_apart(chunk)
            return
        self._store(keys, objects, chunk.indexes, chunk.names)

    def _take_apart(self, chunk: Chunk) -> None:
        for index, *values in zip(chunk.indexes, *chunk.columns, strict=True):
            row = dict(zip(chunk.names, values, strict=True))
            try:
                keys, objects = self._convert_row(row)
            except RowError as error:
                error.where = error.where or self._where(index)
                error.row = row
                self.importer.reject(error)
            else:
                self._store(keys, objects, [index], chunk.names)

    def _convert(self, names: tuple[str, ...], columns: Sequence[Sequence[Any]]) -> tuple[Sequence[Any], list[Any]]:
        """Return the keys and the objects of a chunk, or raise if any of its rows is bad."""
        fields = self.schema.fields
        self._check_names(names)
        converted = list(columns)
        for index, name in enumerate(names):
            converter = None if fields is None else fields[name].converter
            converted[index] = _own(columns[index]) if converter is None else converter.column(columns[index])
        parts = [converted[names.index(name)] for name in self.schema.identifiers]
        keys: Sequence[Any] = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        if self._sample is None:
            self._check_key(keys[0])
        samples = [self._sample] if len(parts) == 1 else self._sample
        for part, sample in zip(parts, samples, strict=True):
            if set(map(type, part)) != {type(sample)} or type(sample) not in _NEVER_NAN or not _all_there(part, sample):
                for key in keys:
                    self._check_key(key)
                break
        return keys, self.schema.make(names, converted, len(keys))

    def _convert_row(self, row: dict[str, Any]) -> tuple[Sequence[Any], list[Any]]:
        self._check_names(tuple(row))
        values = []
        for name, value in row.items():
            converter = self.schema.fields[name].converter if self.schema.fields is not None else None
            if converter is not None:
                try:
                    value = converter.one(value)  # noqa: PLW2901 - the same value, converted
                except (ValueError, TypeError) as error:
                    said = MASK if name in getattr(self.schema.cls, "_sensitive", ()) else str(error)
                    message = f"{name}: {said} (declared: {converter.describe})"
                    raise ConversionError(message, column=name, value=value) from None
            values.append((value,))
        try:
            return self._convert(tuple(row), values)
        except RowError:
            raise
        except Exception as error:  # what a validator or an __init__ of the user's raises
            sensitive = getattr(self.schema.cls, "_sensitive", ())
            said = without_values(str(error), [row.get(name) for name in sensitive], sensitive)
            message = f"{type(error).__name__}: {said}"
            raise RowError(message) from error

    def _check_names(self, names: tuple[str, ...]) -> None:
        fields = self.schema.fields
        if fields is None:
            missing = [name for name in self.schema.identifiers if name not in names]
            unknown: list[str] = []
        else:
            missing = [name for name, field in fields.items() if field.default is None and name not in names]
            unknown = [name for name in names if name not in fields]
        if not missing and not unknown:
            return
        cls = self.schema.cls.__name__
        problems = []
        if unknown:
            listed = ", ".join(map(repr, unknown))
            near = [close[0] for name in unknown if (close := get_close_matches(name, list(fields or ()), 1))]
            meant = f" (did you mean {', '.join(map(repr, near))}?)" if near else ""
            problems.append(f"{cls} has no {listed}{meant}: declare it, or leave the column out in the importer")
        if missing:
            listed = ", ".join(map(repr, missing))
            problems.append(f"no column {listed}, which {cls} needs; there are {', '.join(map(repr, names))}")
        if delimiter := likely_delimiter(names, self.schema.identifiers) if len(names) == 1 else "":
            problems = [f"the only column is {names[0]!r}: it looks as if {delimiter!r} separates its columns"]
        raise ColumnError("; ".join(problems), columns=[*unknown, *missing])

    def _check_key(self, key: Any) -> None:
        parts = key if len(self.schema.identifiers) > 1 else (key,)
        for name, part in zip(self.schema.identifiers, parts, strict=True):
            if part is None or part == "" or part != part:  # noqa: PLR0124 - 0 is an idnumber, NaN is not
                shown = "NaN" if part is not None and part != "" else repr(part)
                message = f"{name} is {shown}: every row needs an idnumber"
                raise IdnumberError(message)
            if not isinstance(part, Hashable) or is_membership(part):
                message = f"{name} is a {type(part).__name__}, which cannot be an idnumber"
                raise IdnumberError(message)
        if self._sample is None:
            self._sample = key
        known = self._sample if len(self.schema.identifiers) > 1 else (self._sample,)
        for name, part, sample in zip(self.schema.identifiers, parts, known, strict=True):
            if not comparable(part, sample):
                message = (
                    f"{name} {part!r} is of type {type(part).__name__}, and {sample!r} before it of type "
                    f"{type(sample).__name__}: declare `{name}: str`, say, so that all are of one type"
                )
                raise IdnumberError(message)

    def _store(self, keys: Sequence[Any], objects: list[Any], indexes: Sequence[int], names: tuple[str, ...]) -> None:
        before = len(self.objects)
        held = list(map(self.objects.setdefault, keys, objects))
        if len(self.objects) == before + len(objects):
            self._indexes.extend(indexes)
            return
        for key, item, there, index in zip(keys, objects, held, indexes, strict=True):
            if there is item:
                self._indexes.append(index)
                continue
            try:
                self._unite(key, self.objects[key], item, index, names)
            except RowError as error:
                error.where = error.where or self._where(index)
                self.importer.reject(error)

    def _unite(self, key: Any, existing: Any, item: Any, index: int, names: tuple[str, ...]) -> None:
        """Make one object of two rows with one idnumber.

        Which of them came first makes no difference: what a row of an open class does not say, the other one may.
        """
        held, given = _as_row(self.schema, existing), _as_row(self.schema, item)
        differing = [
            name
            for name in held.keys() & given.keys()
            if not (is_membership(held[name]) and is_membership(given[name])) and not equal(held[name], given[name])
        ]
        if not differing and any(map(is_membership, [*held.values(), *given.values()])):
            for name, value in given.items():
                if name not in held:
                    setattr(existing, name, value)
                elif is_membership(value):
                    _merge(existing, name, value)
            return
        if self.importer.overrides("resolve_duplicate"):
            row = {name: getattr(item, name) for name in names}
            try:
                chosen = self.importer.resolve_duplicate(_as_row(self.schema, existing), row)
            except RowError:
                raise
            except Exception as error:  # like what the other hooks raise, it refuses the row
                message = f"{type(error).__name__}: {error}"
                raise RowError(message, row=row) from error
            if chosen is not None:
                keys, objects = self._convert_row(dict(chosen))
                if keys[0] != key:
                    message = f"resolve_duplicate gave {keys[0]!r} for two rows of {key!r}"
                    raise IdnumberError(message, row=row)
                self.objects[key] = objects[0]
                return
        first = self._where(self._indexes[list(self.objects).index(key)])
        differs = f", and they differ in {', '.join(sorted(differing))}" if differing else ""
        message = (
            f"idnumber {key!r} is already at {first}{differs}: remove one of them, "
            "or write resolve_duplicate(existing, row) in the importer"
        )
        raise DuplicateError(message, where=self._where(index), idnumber=key, first=first)

    def _warn_of_look_alikes(self) -> None:
        pairs = _look_alikes(self.objects)
        if pairs:
            shown = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:5])
            more = f", and {len(pairs) - 5} more pairs" if len(pairs) > 5 else ""
            message = (
                f"{self.name}: idnumbers that differ only in case, Unicode form or blanks at their ends are "
                f"different: {shown}{more}"
            )
            warnings.warn(message, DataWarning, stacklevel=2)


def _own(column: Sequence[Any]) -> Sequence[Any]:
    """Return a column whose memberships belong to the objects alone, since objects change and rows must not."""
    if any(issubclass(kind, (set, list)) for kind in set(map(type, column))):
        return [copy.copy(value) if isinstance(value, (set, list)) else value for value in column]
    return column


def _all_there(part: Sequence[Any], sample: Any) -> bool:
    return all(part) if isinstance(sample, (str, bytes)) else True


def _merge(existing: Any, name: str, members: Any) -> None:
    held = getattr(existing, name)
    if isinstance(held, set):
        held.update(members)
    elif isinstance(held, list):
        held.extend(members)
    else:
        setattr(existing, name, held.union(members))


def _as_row(schema: Schema, item: Any) -> Mapping[str, Any]:
    names: Iterable[str] = schema.fields if schema.fields is not None else vars(item)
    return {name: getattr(item, name) for name in names}


def _look_alikes(keys: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Return pairs of text keys that a person would take for one."""
    texts = list(keys)
    if not texts or not isinstance(texts[0], (str, tuple)):
        return []
    if isinstance(texts[0], str):
        if _plain("".join(texts)):
            return []
        plain = map(str.casefold, map(str.strip, texts))
        folded = list(plain if all(map(str.isascii, texts)) else map(_folded, texts))
    else:
        folded = [tuple(_folded(part) if isinstance(part, str) else part for part in key) for key in texts]  # type: ignore[misc]  # tuples of texts fold to tuples
    if len(set(folded)) == len(texts):
        return []
    seen: dict[Any, Any] = {}
    pairs = []
    for key, form in zip(texts, folded, strict=True):
        if form in seen:
            pairs.append((seen[form], key))
        else:
            seen[form] = key
    return pairs


def _plain(joined: str) -> bool:
    """Say whether different texts that add up to this one cannot look alike: ASCII, of one case, and without blanks."""
    return joined.isascii() and joined in (joined.lower(), joined.upper()) and joined.split(None, 1) == [joined]


def _folded(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip().casefold()
