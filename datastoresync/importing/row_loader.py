"""Objects made of an import's rows: in chunks of columns, and row by row where a chunk does not fit."""

from __future__ import annotations

import copy
import warnings
from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any
from uuid import UUID

import attrs

from datastoresync.conversion.key_forms import Forms, formed, formed_column
from datastoresync.conversion.lookalikes import lookalike_keys, shown_pairs
from datastoresync.conversion.scalars import instants
from datastoresync.conversion.schema import Schema
from datastoresync.conversion.value_format import ValueFormat
from datastoresync.diffing.equality import comparable, equal, is_membership
from datastoresync.diffing.side import spelling
from datastoresync.engines.lines import LineObjects
from datastoresync.errors import (
    ColumnError,
    ConversionError,
    DataWarning,
    DeclarationError,
    DuplicateError,
    IdnumberError,
    RowError,
)
from datastoresync.importing.importer import Importer, hide_sensitive
from datastoresync.importing.refused_value import ValueAdvice
from datastoresync.importing.rows import Chunk, Rows
from datastoresync.masking import without_values
from datastoresync.spelling import closest
from datastoresync.syncers.names import likely_delimiter

_MANY = 20
"""Columns that a message names, at most."""


@attrs.frozen(eq=False, repr=False)
class LoadedRows:
    """What was loaded: objects by key, in the order of their rows, and how many rows that took.

    ``reason`` is the reason why they are objects, if they might have been a table. ``stored`` is what was read, by key
    and attribute, where the objects have something else. ``value_format`` is how the source writes values as text.
    ``absent`` are the fields that no row had, and ``empty_parts`` the files that had no rows, where others had.
    """

    objects: Mapping[Any, Any]
    rows: int
    bad_rows: tuple[RowError, ...]
    reason: str = ""
    stored: dict[Any, dict[str, Any]] = attrs.field(factory=dict)
    value_format: ValueFormat | None = None
    absent: frozenset[str] = frozenset()
    empty_parts: tuple[str, ...] = ()


def absent_fields(schema: Schema, columns: Iterable[str] | None) -> frozenset[str]:
    """Return the fields of a class that are none of these columns; nothing if these are not known."""
    return frozenset(schema.fields or ()).difference(columns or schema.fields or ())


_NEVER_NAN = frozenset({str, int, bool, bytes, date, datetime, UUID})
"""Types of which every value is equal to itself."""


_MISSING: Any = object()


@attrs.frozen(eq=False, repr=False)
class _Converted:
    """The objects that rows became.

    Args:
        keys: Their keys.
        objects: The objects.
        stored: What was read, by index and attribute, where they have something else.
    """

    keys: Sequence[Any]
    objects: list[Any]
    stored: Mapping[int, dict[str, Any]]


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
        self._names: set[str] = set()
        self._sample: Any = None
        self._where: Any = None
        self._memberships = schema.memberships
        self._waiting: list[Chunk] = []
        self._number = importer.number_from
        if self._number is not None and len(schema.identifiers) > 1:
            message = f"number_from gives rows one number, and the idnumber of {schema.cls.__name__} has several parts"
            raise DeclarationError(message)
        self.stored: dict[Any, dict[str, Any]] = {}
        self._forms = Forms() if importer.description is None else importer.description.forms_of()
        own = zip(schema.identifiers, self._forms.parts, strict=False)
        self._format = ValueFormat()
        self._converters = {name: field.converter for name, field in (schema.fields or {}).items()}
        self._form_of = {**self._forms.attributes, **{name: form for name, form in own if form is not None}}

    def run(self, source: Any = None) -> LoadedRows:
        """Read all rows and return the objects.

        Args:
            source: What the importer reads, if it was asked already.

        Raises:
            ImporterError: if anything is refused, unless the importer collects bad rows.
        """
        rows = Rows(self.importer, source)
        self._where = rows.where
        if given := getattr(rows.source, "value_format", None):
            self._format = given
            self._converters = {name: each and given.applied(each) for name, each in self._converters.items()}
        hooked = self.importer.overrides("prepare")
        columns = getattr(rows.source, "columns", None) if rows.uniform and not hooked else None
        if columns and isinstance(columns, tuple):  # a store's empty table may have none
            self._check_names(self._with_number(columns))
        try:
            for chunk in rows.chunks():
                numbered = self._numbered(chunk)
                if (hooked or not rows.uniform) and self._only_adds(numbered.names):
                    self._waiting.append(numbered)
                else:
                    self._take(numbered)
        finally:
            rows.close()
        take = self._add if self.objects else self._take
        for chunk in self._waiting:
            take(chunk)
        self.importer.finished()
        self._warn_of_look_alikes(self.objects)
        return LoadedRows(
            self.objects,
            rows.count,
            tuple(self.importer.bad_rows),
            stored=self.stored,
            absent=absent_fields(self.schema, self._names),
            empty_parts=tuple(getattr(rows.source, "empty_parts", ())) if self.objects else (),
        )

    def take_lines(self, lines: LineObjects, source: Any) -> LoadedRows:
        """Return lines of a source that were checked, as `run` returns the objects of rows."""
        self.importer.finished()
        self._warn_of_look_alikes(lines.lines)
        absent = absent_fields(self.schema, lines.columns)
        empty_parts = tuple(getattr(source, "empty_parts", ()))
        return LoadedRows(lines, len(lines), tuple(self.importer.bad_rows), absent=absent, empty_parts=empty_parts)

    def _with_number(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of rows that are numbered where they have no idnumber."""
        return names if self._number is None else tuple(dict.fromkeys((*names, *self.schema.identifiers)))

    def _numbered(self, chunk: Chunk) -> Chunk:
        """Return the rows with a number where they have no idnumber, if that is wanted; blank ones get none."""
        if self._number is None:
            return chunk
        names, (identifier,) = self._with_number(chunk.names), self.schema.identifiers
        columns = dict(zip(chunk.names, chunk.columns, strict=True))
        keys = list(columns.get(identifier, [None] * len(chunk.indexes)))
        for position, key in enumerate(keys):
            if _is_blank(key) and not all(_is_blank(column[position]) for column in chunk.columns):
                keys[position], self._number = self._number, self._number + 1
        columns[identifier] = keys
        return attrs.evolve(chunk, names=names, columns=list(columns.values()))

    def _check_no_number(self, key: Any, index: int) -> None:
        """Refuse a second row of an idnumber that was given to a row without one."""
        numbers = range(self.importer.number_from or 0, self._number or 0)
        if str(key).isdecimal() and int(key) in numbers and str(int(key)) == str(key):
            message = f"idnumber {key!r} is the number of a row without one, too: let number_from begin above them all"
            raise DuplicateError(message, where=self._where(index), idnumber=key)

    def _only_adds(self, names: Sequence[str]) -> bool:
        """Say whether rows with these columns have memberships alone, and their objects have more than that."""
        said = {*names}.difference(self.schema.identifiers)
        return bool(said) and said <= self._memberships and not {*names}.issuperset(self.schema.fields or ())

    def _add(self, chunk: Chunk) -> None:
        """Add the members that rows have to the objects that other rows made; without one, a row makes its own."""
        for position, (index, *values) in enumerate(zip(chunk.indexes, *chunk.columns, strict=True)):
            row = dict(zip(chunk.names, values, strict=True))
            as_read = None if chunk.rows is None else [chunk.rows[position]]
            try:
                read = self._values_of(row)
                item = self.schema.blank({name: self._formed(name, value) for name, value in read.items()})
                self._check_key(item.__key__)
                existing = self.objects.get(item.__key__)
                if existing is not None:
                    self._check_no_number(item.__key__, index)
            except RowError as error:
                error.where, error.row = error.where or self._where(index), row
                self.importer.reject(error)
                continue
            if existing is None:
                self._take(Chunk(chunk.names, [(value,) for value in values], [index], as_read))
                continue
            given = {name: getattr(item, name) for name in read}
            read_otherwise = self._read_otherwise({name: [value] for name, value in read.items()}, [item], as_read)
            self._unite_read(item.__key__, _as_row(self.schema, existing), given, read_otherwise.get(0, {}))
            for name in self._memberships & given.keys():
                _merge(existing, name, given[name])

    def _formed(self, name: str, value: Any) -> Any:
        return formed(self._form_of[name], value) if name in self._form_of else value

    @property
    def _advice(self) -> ValueAdvice:
        return ValueAdvice(self.importer, self._format)

    def _take(self, chunk: Chunk) -> None:
        try:
            converted = self._convert(chunk.names, chunk.columns, chunk.rows)
        except Exception:  # noqa: BLE001 - it happens again for the row to blame, which has an index
            self._take_apart(chunk)
            return
        self._store(converted, chunk.indexes, chunk.names)

    def _take_apart(self, chunk: Chunk) -> None:
        for position, (index, *values) in enumerate(zip(chunk.indexes, *chunk.columns, strict=True)):
            row = dict(zip(chunk.names, values, strict=True))
            try:
                converted = self._convert_row(row, None if chunk.rows is None else chunk.rows[position])
            except RowError as error:
                error.where = error.where or self._where(index)
                error.row = row
                self.importer.reject(error)
            else:
                self._store(converted, [index], chunk.names)

    def _convert(
        self,
        names: tuple[str, ...],
        columns: Sequence[Sequence[Any]],
        rows: Sequence[Mapping[str, Any]] | None = None,
    ) -> _Converted:
        """Return the keys and the objects of a chunk, or raise if any of its rows is bad."""
        self._check_names(names)
        converted = list(columns)
        for index, name in enumerate(names):
            converter = self._converters.get(name)
            convert = _own if converter is None or converter.identity else converter.column
            converted[index] = convert(columns[index])
        read = converted
        if self._form_of:
            converted = [
                formed_column(self._form_of[name], column) if name in self._form_of else column
                for name, column in zip(names, converted, strict=True)
            ]
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
        objects = self.schema.make(names, converted, len(keys))
        if self.schema.through_init:
            keys = self._keys_made(objects)
        return _Converted(keys, objects, self._read_otherwise(dict(zip(names, read, strict=True)), objects, rows))

    def _keys_made(self, objects: Sequence[Any]) -> list[Any]:
        """Return the keys of objects that their class may have given another one, and check these."""
        for name, form in self._form_of.items():
            for item in objects:
                with suppress(AttributeError):  # a property
                    object.__setattr__(item, name, formed(form, getattr(item, name)))
        keys = [item.__key__ for item in objects]
        for key in keys:
            self._check_key(key)
        return keys

    def _read_otherwise(
        self, read: Mapping[str, Sequence[Any]], objects: Sequence[Any], rows: Sequence[Mapping[str, Any]] | None
    ) -> dict[int, dict[str, Any]]:
        """Return what was read, of the declared types, where objects have something else: by index and attribute."""
        description = self.importer.description
        columns = {name: read[name] for name in self._form_of.keys() & read.keys()}
        if description is not None and description.written and self.schema.through_init:
            columns = dict(read)
        if rows is not None and description is not None:
            for name in (*read, *self.schema.properties):
                column = description.table.column(name)
                raw = [row.get(column, row.get(name, _MISSING)) for row in rows]
                if name in read:
                    raw = [there if one is _MISSING else one for one, there in zip(raw, read[name], strict=True)]
                columns[name] = self._of_declared_type(name, raw)
        found: dict[int, dict[str, Any]] = {}
        for name, values in columns.items():
            with suppress(Exception):  # a property that fails is reported when it is compared
                made = [getattr(item, name) for item in objects]
                if made != list(values):
                    for index, (one, own) in enumerate(zip(values, made, strict=True)):
                        if one is not _MISSING and not equal(one, own):
                            found.setdefault(index, {})[name] = one
        return found

    def _of_declared_type(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """Return raw values converted; those that the type refuses, and only ``prepare`` could read, as they are."""
        converter = self._converters.get(name)
        if converter is None:
            return values
        found = []
        for value in values:
            try:
                found.append(value if value is _MISSING else converter.one(value))
            except (ValueError, TypeError):
                found.append(value)
        return found

    def _values_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row, converted.

        Raises:
            RowError: if one of them cannot be; the message says which.
        """
        values = {}
        for name, value in row.items():
            converter = self._converters.get(name)
            if converter is not None:
                try:
                    value = converter.one(value)  # noqa: PLW2901 - the same value, converted
                except (ValueError, TypeError) as error:
                    message = self._advice.refusal(name, converter, value, error)
                    raise ConversionError(message, column=name, value=value) from None
            if name in self._form_of:
                try:
                    self._formed(name, value)
                except Exception as error:
                    message = f"{name}: the form of its key has no place for {value!r}: {type(error).__name__}: {error}"
                    raise IdnumberError(message) from error
            values[name] = value
        return values

    def _convert_row(self, row: dict[str, Any], as_read: Mapping[str, Any] | None = None) -> _Converted:
        self._check_names(tuple(row))
        values = [(value,) for value in self._values_of(row).values()]
        try:
            return self._convert(tuple(row), values, None if as_read is None else [as_read])
        except RowError:
            raise
        except Exception as error:  # noqa: BLE001 - what a validator or an __init__ of the user's raises
            sensitive = getattr(self.schema.cls, "_sensitive", ())
            said = without_values(str(error), [row.get(name) for name in sensitive], sensitive)
            message = f"{type(error).__name__}: {said}"
            raise RowError(message) from (error if said == str(error) else None)

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
            listed = _list_names(unknown)
            near = [close for name in unknown[:_MANY] if (close := closest(name, fields or ()))]
            meant = f" (did you mean {', '.join(map(repr, near))}?)" if near else ""
            chosen = getattr(self._format, "columns", None) or ()
            pairs = (
                chosen.items() if isinstance(chosen, Mapping) else (one for one in chosen if not isinstance(one, str))
            )
            renamed = {name: (name, column) for name, column in pairs if name != column}
            ours = tuple(renamed.get(name, name) for name in names if name in (fields or ()))
            told = f", as {self._format.option('columns', ours)} does" if hasattr(self._format, "columns") else ""
            problems.append(f"{cls} has no {listed}{meant}: declare it, or leave the column out in the importer{told}")
        if missing:
            told = getattr(self._format, "header_advice", "")
            problems.append(
                f"no column {_list_names(missing)}, which {cls} needs; there are {_list_names(names)}{told}"
            )
        given = getattr(self._format, "delimiter", ",")
        if delimiter := likely_delimiter(names, self.schema.identifiers, delimiter=given):
            told = f": {self._format.option('delimiter', delimiter)}" if hasattr(self._format, "delimiter") else ""
            columns = f"only column is {names[0]!r}" if len(names) == 1 else f"columns are {_list_names(names)}"
            problems = [f"the {columns}: it looks as if {delimiter!r} separates the columns{told}"]
        raise ColumnError("; ".join(problems), columns=[*unknown, *missing])

    def _check_key(self, key: Any) -> None:
        parts = key if len(self.schema.identifiers) > 1 else (key,)
        for name, part in zip(self.schema.identifiers, parts, strict=True):
            if part == "" and name in getattr(self.schema.cls, "_optional_identifiers", ()):
                continue
            if part is None or part == "" or part != part:  # noqa: PLR0124 - 0 is an idnumber, NaN is not
                shown = "NaN" if part is not None and part != "" else repr(part)
                message = f"{self._advice.place(name)} is {shown}: every row needs an idnumber"
                if len(parts) > 1:
                    message = f"{message}, and each of its parts; let prepare(row) give it one, such as '-'"
                message += self._way_out(parts)
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

    def _way_out(self, parts: Sequence[Any]) -> str:
        """Return what may be done about a row whose key lacks a part."""
        empty = [name for name, part in zip(self.schema.identifiers, parts, strict=True) if part == ""]
        if empty and len(empty) < len(parts):
            optional = empty[0]
            if self.schema.open and self._format.spelling == "option":
                return f"; if that part may be empty, --optional-key {optional} says so"
            return f"; if that part may be empty, write `_optional_identifiers = ({optional!r},)` in the class"
        blank = ""
        if empty and hasattr(self._format, "blank_rows"):
            blank = f"; {self._format.option('blank_rows', 'skip')} leaves rows unread that are blank"
        lacking = [name for name, part in zip(self.schema.identifiers, parts, strict=True) if _is_blank(part)]
        skips = self._advice.skips(lacking[0]) if lacking else ""  # a NaN of another type is no empty cell
        return f"{blank}; {skips}" if skips else blank

    def _store(self, converted: _Converted, indexes: Sequence[int], names: tuple[str, ...]) -> None:
        keys, objects, stored = converted.keys, converted.objects, converted.stored
        self._names.update(names)
        before = len(self.objects)
        held = list(map(self.objects.setdefault, keys, objects))
        if len(self.objects) == before + len(objects):
            self._indexes.extend(indexes)
            self.stored.update({keys[position]: read for position, read in stored.items()})
            return
        for position, (key, item, there, index) in enumerate(zip(keys, objects, held, indexes, strict=True)):
            if there is item:
                self._indexes.append(index)
                if position in stored:
                    self.stored[key] = stored[position]
                continue
            try:
                self._unite(key, self.objects[key], item, index, names, stored.get(position, {}))
            except RowError as error:
                error.where = error.where or self._where(index)
                self.importer.reject(error)

    def _unite(
        self, key: Any, existing: Any, item: Any, index: int, names: tuple[str, ...], read: Mapping[str, Any]
    ) -> None:
        """Make one object of two rows with one idnumber.

        Which of them came first makes no difference: what a row of an open class does not say, the other one may.
        """
        self._check_no_number(key, index)
        held, given = _as_row(self.schema, existing), _as_row(self.schema, item)
        differing = [
            name
            for name in held.keys() & given.keys()
            if not (is_membership(held[name]) and is_membership(given[name])) and not equal(held[name], given[name])
        ]
        if not differing and any(map(is_membership, [*held.values(), *given.values()])):
            self._unite_read(key, held, given, read)
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
            except Exception as error:  # noqa: BLE001 - like what the other hooks raise, it refuses the row
                refused = (
                    error if isinstance(error, RowError) else RowError(f"{type(error).__name__}: {error}", row=row)
                )
                refused.__cause__ = error.__cause__ if refused is error else error
                hide_sensitive(refused, self.schema.cls, [held, row])
                raise refused  # noqa: B904 - its cause is set
            if chosen is not None:
                converted = self._convert_row(dict(chosen))
                if converted.keys[0] != key:
                    message = f"resolve_duplicate gave {converted.keys[0]!r} for two rows of {key!r}"
                    raise IdnumberError(message, row=row)
                self.objects[key] = converted.objects[0]
                read = self.stored.pop(key, {})
                if spelled := {name: read[name] for name in self.schema.identifiers if name in read}:
                    self.stored[key] = spelled
                return
        first = self._where(self._indexes[list(self.objects).index(key)])
        differs = f", and they differ in {', '.join(sorted(differing))}" if differing else ""
        written = [spelling({key: one}, self.schema.identifiers, key) for one in (self.stored.get(key, {}), read)]
        if written[0] != written[1]:
            differs = f" as {written[0]!r}, and {written[1]!r} here{differs}"
        message = (
            f"idnumber {key!r} is already at {first}{differs}: remove one of them, "
            "or write resolve_duplicate(existing, row) in the importer"
        )
        raise DuplicateError(message, where=self._where(index), idnumber=key, first=first)

    def _unite_read(self, key: Any, held: Mapping[str, Any], given: Mapping[str, Any], read: Mapping[str, Any]) -> None:
        """Keep the members of two rows with one idnumber as they were read."""
        earlier = self.stored.get(key, {})
        for name in (earlier.keys() | read.keys()) & held.keys() & given.keys():
            parts = (earlier.get(name, held[name]), read.get(name, given[name]))
            if all(map(is_membership, parts)):
                self.stored.setdefault(key, {})[name] = [*parts[0], *parts[1]]

    def _warn_of_look_alikes(self, keys: Iterable[Any]) -> None:
        pairs = lookalike_keys(keys)
        if pairs:
            message = (
                f"{self.name}: idnumbers that differ only in case, Unicode form or blanks at their ends are "
                f"different: {shown_pairs(pairs)}"
            )
            warnings.warn(message, DataWarning, stacklevel=2)


def _list_names(names: Sequence[str]) -> str:
    """Return names for a message, the first of very many."""
    return ", ".join(map(repr, names[:_MANY])) + (f" and {len(names) - _MANY:,} more" if names[_MANY:] else "")


def _own(column: Sequence[Any]) -> Sequence[Any]:
    """Return a column whose memberships belong to the objects alone, since objects change and rows must not."""
    if any(issubclass(kind, (set, list)) for kind in set(map(type, column))):
        column = [copy.copy(value) if isinstance(value, (set, list)) else value for value in column]
    return instants(column)


def _all_there(part: Sequence[Any], sample: Any) -> bool:
    return all(part) if isinstance(sample, (str, bytes)) else True


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, (str, float)) and (value == "" or value != value))  # noqa: PLR0124 - NaN


def _merge(existing: Any, name: str, members: Any) -> None:
    held = getattr(existing, name)
    if held is None or members is None:
        setattr(existing, name, members if held is None else held)
        return
    if isinstance(held, set):
        held.update(members)
    elif isinstance(held, list):
        held.extend(members)
    else:
        setattr(existing, name, held.union(members))


def _as_row(schema: Schema, item: Any) -> Mapping[str, Any]:
    names: Iterable[str] = schema.fields if schema.fields is not None else vars(item)
    return {name: getattr(item, name) for name in names}
