"""Lines and rows in memory: equal ones are compared as they are, and only what is asked for becomes an object."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from itertools import compress, filterfalse, islice, repeat
from operator import attrgetter, is_, is_not, itemgetter, ne, not_
from threading import RLock
from typing import Any, Final
from uuid import UUID

import attrs
from sortedcontainers import SortedDict

from datastoresync.conversion.converters import Converter, declared_scalar
from datastoresync.conversion.schema import Schema
from datastoresync.diffing.equality import rows_differ
from datastoresync.diffing.side import Candidates, InMemoryEngine, Side, object_blocks
from datastoresync.engines.relation import BranchDescription
from datastoresync.syncers.records import Columns, DelimitedFile, DelimitedFiles, Records, file_state, with_none

_LARGEST = 64 * 2**20
"""Bytes of a file that is read into memory as a whole."""
_BLOCK = 256
"""Lines that are split at a time: few enough to stay in the processor's cache."""
_MADE_AT_ONCE = 1024
"""Objects that are made at a time: few enough to stay there, too."""
_SAMPLE = 100
"""Lines whose values stand for all others, where only their types matter."""
_KEYS = frozenset({str, int, bool, bytes, date, UUID})
"""Types whose values are equal to themselves, and can all be sorted."""
_PLAIN = frozenset({float, Decimal, datetime})
"""Types of which equal values may become others, unless they stay as they are."""
_MAKING: Final = RLock()
"""Held while lines become objects, so that no two threads make two of one."""


@attrs.frozen(repr=False)
class Writing:
    """How the lines of a file are written, without their ends; equal lines that are written alike have equal values.

    Args:
        delimiter: What separates the columns.
        header: The names of all columns.
        indexes: The indexes of those that are read.
        columns: Their names in the records.
        null: The text that means None.
        quoted: Whether there may be quotes.
    """

    delimiter: str
    header: tuple[str, ...]
    indexes: tuple[int, ...]
    columns: tuple[str, ...]
    null: str | None
    quoted: bool = attrs.field(eq=False)

    unconverted = frozenset[str]()
    """No column, as all are text; see `RowWriting`."""

    def kind(self, name: str) -> type:  # noqa: ARG002 - the same for all
        """Return the type of the values of a column."""
        return str

    def read(self, lines: Sequence[str], wanted: Collection[str]) -> dict[str, Sequence[Any]] | None:
        """Return the values of some columns by name; None if a line is not a row of the header's width."""
        found: dict[str, list[Any]] = {name: [] for name in self.columns if name in wanted}
        places = [(index, found[name]) for name, index in zip(self.columns, self.indexes, strict=True) if name in found]
        for start in range(0, len(lines), _BLOCK):
            if not self._take(lines[start : start + _BLOCK], places):
                return None
        return {name: with_none(column, self.null) for name, column in found.items()}

    def _take(self, lines: Sequence[str], places: Sequence[tuple[int, list[Any]]]) -> bool:
        """Add the values of lines to the columns; say whether all of them are rows of the header's width."""
        width, delimiter = len(self.header), self.delimiter
        if len(places) == 1 and not self.quoted:
            if set(map(str.count, lines, repeat(delimiter))) != {width - 1}:
                return False
            index, column = places[0]
            if index:
                column.extend([line.split(delimiter, index + 1)[index] for line in lines])
            else:
                column.extend([line.partition(delimiter)[0] for line in lines])
            return True
        rows: list[list[str]] = []
        with suppress(csv.Error):
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            rows = list(reader if self.quoted else map(str.split, lines, repeat(delimiter)))
        if len(rows) != len(lines) or set(map(len, rows)) != {width}:
            return False
        values = list(zip(*rows, strict=True))
        for index, column in places:
            column.extend(values[index])
        return True


@attrs.frozen(repr=False)
class RowWriting:
    """What rows are made of: tuples of values, of which equal ones are the same if they are of one type.

    Args:
        columns: The names of the columns.
        kinds: The type of the values of each by name, None aside.
        unconverted: Those whose values are the very ones that objects have.
    """

    columns: tuple[str, ...]
    kinds: Mapping[str, type]
    unconverted: frozenset[str] = attrs.field(eq=False)

    def kind(self, name: str) -> type:
        """Return the type of the values of a column."""
        return self.kinds[name]

    def read(self, rows: Sequence[tuple[Any, ...]], wanted: Collection[str]) -> dict[str, Sequence[Any]]:
        """Return the values of some columns by name."""
        columns = zip(self.columns, zip(*rows, strict=True), strict=True)
        return {name: column for name, column in columns if name in wanted}


class LineObjects(Mapping[Any, Any]):
    """Objects by key that are still lines of text or rows of values, each made once when it is asked for.

    A look at several in their order makes all of them. They are those of the branch then: its changes are seen here.

    Args:
        lines: By key: a text, or a tuple of values.
        writing: How they are written.
        branch: The branch that has the objects.
    """

    def __init__(self, lines: dict[Any, Any], writing: Writing | RowWriting, branch: BranchDescription) -> None:
        self.lines = lines
        self.writing = writing
        self.engine = LineEngine()
        self.schema = branch.schema
        self.made: dict[Any, Any] = {}
        self.finished: SortedDict | None = None
        self._branch = branch

    def __reduce__(self) -> Any:
        return _itself, (self.all(),)  # copies need no lines

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file, which are those of an open class's objects."""
        return self.writing.columns

    @cached_property
    def sample(self) -> Mapping[str, Any]:
        """A value of each attribute that has one, which tells the type of all of them."""
        if self.finished is not None:
            return {}
        columns = self._convert(list(islice(self.lines.values(), _SAMPLE)))
        found = {name: next((value for value in column if value is not None), None) for name, column in columns.items()}
        found |= {name: getattr(self.loose, name) for name in self.schema.properties if self.independent(name)}
        return {name: value for name, value in found.items() if value is not None}

    @cached_property
    def loose(self) -> Any:
        """An object of the first line that no branch has."""
        columns = self._convert(list(islice(self.lines.values(), 1)))
        return self.schema.make(tuple(columns), tuple(columns.values()), 1)[0]

    def independent(self, name: str) -> bool:
        """Say whether a property gives a value without a branch, so that the object's own attributes decide on it.

        What fails for one line is left to the comparison of all objects.
        """
        try:
            getattr(self.loose, name)
        except Exception:  # noqa: BLE001 - it asked for the branch, or does not like the values
            return False
        return isinstance(getattr(self.schema.cls, name, None), property)

    @property
    def sample_key(self) -> Any:
        """A key that tells the type of all of them."""
        return next(iter(self.lines if self.finished is None else self.finished), None)

    def _convert(self, lines: Sequence[Any]) -> dict[str, Sequence[Any]]:
        columns = self.writing.read(lines, frozenset(self.writing.columns)) or {}
        return {name: self._values(name, column) for name, column in columns.items()}

    def _values(self, name: str, column: Sequence[Any]) -> Sequence[Any]:
        """Return what objects have for the values of a column."""
        return column if name in self.writing.unconverted else _converted(self.converter(name), column)

    def converter(self, name: str) -> Converter | None:
        """Return what converts the values of a column; None for an open class."""
        fields = self.schema.fields
        return None if fields is None else fields[name].converter

    def make(self, keys: Iterable[Any]) -> None:
        """Make the objects of some keys, all of which there are, unless they are made already."""
        wanted = filterfalse(self.made.__contains__, keys)
        while block := list(islice(wanted, _MADE_AT_ONCE)):
            columns = self._convert(list(map(self.lines.__getitem__, block)))
            objects = self.schema.make(tuple(columns), tuple(columns.values()), len(block))
            self._branch.attach(objects)
            self.made.update(zip(block, objects, strict=True))

    def some(self, keys: Sequence[Any]) -> list[Any]:
        """Return the objects of some keys, which are made at once; None for one that is not there."""
        with _MAKING:
            if self.finished is None:
                self.make(filter(self.lines.__contains__, keys))
            return list(map((self.made if self.finished is None else self.finished).get, keys))

    def values_of(self, name: str) -> Iterator[Any]:
        """Yield what the objects have in an attribute, in any order; none is made for that."""
        with _MAKING:
            made, lines = (self.made, self.lines) if self.finished is None else (self.finished, self.finished)
        keys = iter(dict.keys(lines))
        while block := list(islice(keys, _BLOCK)):
            yield from (getattr(made[key], name) for key in block if key in made)
            if others := [lines[key] for key in block if key not in made]:
                yield from self._values(name, (self.writing.read(others, {name}) or {})[name])

    def all(self) -> SortedDict:
        """Make all objects, and return them sorted by key; from here on, they are in memory."""
        with _MAKING:
            if self.finished is None:
                self.make(self.lines)
                objects = SortedDict(zip(self.lines, map(self.made.__getitem__, self.lines), strict=True))
                self.finished, self.lines, self.made = objects, {}, {}
            return self.finished

    # A mapping.

    def __len__(self) -> int:
        return len(self.lines if self.finished is None else self.finished)

    def __contains__(self, key: object) -> bool:
        return key in (self.lines if self.finished is None else self.finished)

    def __getitem__(self, key: Any) -> Any:
        with _MAKING:
            if self.finished is None and key not in self.made:
                self.make([key])
            return (self.made if self.finished is None else self.finished)[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def items(self) -> ItemsView[Any, Any]:
        """Return the keys and objects, in order."""
        objects: Mapping[Any, Any] = self.all()
        return objects.items()

    def values(self) -> ValuesView[Any]:
        """Return the objects, in the order of their keys."""
        objects: Mapping[Any, Any] = self.all()
        return objects.values()


def _itself(objects: SortedDict) -> SortedDict:
    return objects


def _converted(converter: Converter | None, column: Sequence[Any]) -> Sequence[Any]:
    return column if converter is None or converter.identity else converter.column(column)


# From files to lines -------------------------------------------------------------------------------------------------


def line_objects(source_info: DelimitedFiles, branch: BranchDescription) -> LineObjects | None:
    """Return the objects of files as lines that were all checked; None for what the reader of rows must judge.

    Args:
        source_info: The files, which were looked through by our own reader.
        branch: The branch that is imported.
    """
    found = None if branch.forms_of() else keyed_lines(source_info.files, branch.schema)
    return None if found is None else LineObjects(*found, branch)


def keyed_lines(files: Sequence[DelimitedFile], schema: Schema) -> tuple[dict[Any, str], Writing] | None:
    """Return the lines of a file by key, and how they are written; None if not all of them are surely good rows.

    Args:
        files: The one file; None is returned for several.
        schema: The class of the objects.
    """
    file, fields = files[0], schema.fields or {}
    plain = len(files) == 1 and not file.own_reader and file.state[2] <= _LARGEST and _understood(file.columns, schema)
    text = _text(file) if plain else None
    lines = list(filter(None, (text or "").split("\n")[file.line :]))
    if text is None or not lines or len(max(lines, key=len)) > csv.field_size_limit():
        return None
    writing = Writing(file.delimiter, file.header, file.indexes, file.columns, file.null, '"' in text)
    checked = {name for name in fields if _declared(fields[name].converter) != "str" or file.null is not None}
    columns = writing.read(lines, {*schema.identifiers, *checked})
    if columns is None:
        return None
    try:
        values = {name: _converted(fields[name].converter if fields else None, columns[name]) for name in columns}
    except Exception:  # noqa: BLE001 - the reader of rows says which value it is
        return None
    parts = [values[name] for name in schema.identifiers]
    if not all(map(_are_keys, parts)):
        return None
    found = dict(zip(parts[0] if len(parts) == 1 else zip(*parts, strict=True), lines, strict=True))
    return (found, writing) if len(found) == len(lines) else None


def row_objects(records: Records, branch: BranchDescription) -> LineObjects | None:
    """Return the objects of records as rows that were all checked; None if the reader of rows must judge.

    The records can be read in any case afterwards, once more.

    Args:
        records: What was read, and is read to its end now.
        branch: The branch that is imported.
    """
    schema = branch.schema
    if branch.forms_of() or not _understood(records.columns, schema):
        return None
    chunks: list[Columns] = []
    failure = None
    try:
        chunks.extend(records.chunks)
    except Exception as error:  # noqa: BLE001 - it is raised where it was, once the rows before it were judged
        failure = error
    found = None if failure is not None else _keyed_rows(records.columns, chunks, schema)
    records.chunks = _again(chunks, failure)
    return None if found is None else LineObjects(*found, branch)


def _again(chunks: list[Columns], failure: Exception | None) -> Iterator[Columns]:
    chunks.reverse()
    while chunks:
        yield chunks.pop()
    if failure is not None:
        raise failure


def _keyed_rows(
    names: tuple[str, ...], chunks: Sequence[Columns], schema: Schema
) -> tuple[dict[Any, tuple[Any, ...]], RowWriting] | None:
    """Return rows by key, and what they are made of; None if not all of them are surely good ones."""
    converters = {name: field.converter for name, field in (schema.fields or {}).items()}
    types: list[set[type]] = [set() for _ in names]
    values: dict[str, list[Any]] = {name: [] for name in schema.identifiers}
    rows: list[tuple[Any, ...]] = []
    unconverted = set(names)
    try:
        for chunk in chunks:
            for name, column, known in zip(names, chunk, types, strict=True):
                converted = _converted(converters.get(name), column)
                if name in unconverted and not (converted is column or all(map(is_, converted, column))):
                    unconverted.remove(name)
                known.update(map(type, column))
                if datetime in known and any(getattr(value, "tzinfo", None) for value in column):
                    return None  # one instant may be written in several ways
                if name in values:
                    values[name] += converted
            rows.extend(zip(*chunk, strict=True))
    except Exception:  # noqa: BLE001 - the reader of rows says which value it is
        return None
    kinds = [kind_of(known, converters.get(name)) for name, known in zip(names, types, strict=True)]
    parts = list(values.values())
    if not rows or None in kinds or not all(map(_are_keys, parts)):
        return None
    found = dict(zip(parts[0] if len(parts) == 1 else zip(*parts, strict=True), rows, strict=True))
    kind_by_name: dict[str, Any] = dict(zip(names, kinds, strict=True))
    writing = RowWriting(names, kind_by_name, frozenset(unconverted))
    return (found, writing) if len(found) == len(rows) else None


def kind_of(types: set[type], converter: Converter | None) -> type | None:
    """Return the one type of values of which equal ones are converted alike; None if there is none."""
    kinds = types - {type(None)}
    if not kinds:
        return type(None)
    kind = kinds.pop()
    if kinds:
        return None
    plain = converter is None or converter.identity or converter.describe.removesuffix(" | None") == kind.__name__
    return kind if kind in _KEYS or (plain and kind in _PLAIN) else None


def _understood(columns: Sequence[str], schema: Schema) -> bool:
    """Say whether objects made of text hold just what a row says, and no code of the user's runs meanwhile."""
    cls: Any = schema.cls
    fields = schema.fields
    if schema.through_init or cls.__setattr__ is not object.__setattr__:
        return False
    if cls.__getattribute__ is not object.__getattribute__:
        return False
    if not set(schema.identifiers) <= set(columns) or not all(map(schema.takes, columns)):
        return False
    if fields is None:
        return len(set(columns)) == len(columns) and not any(name.startswith("__") for name in columns)
    return set(columns) <= fields.keys() and all(
        field.default is not None and field.constant if name not in columns else _declared(field.converter)
        for name, field in fields.items()
    )


def _declared(converter: Converter | None, kind: type = str) -> str:
    """Return the name of the plain type that values of one type become; empty for any other."""
    return kind.__name__ if converter is None or converter.identity else declared_scalar(converter)


def _are_keys(part: Sequence[Any]) -> bool:
    kinds = set(map(type, part))
    return len(kinds) == 1 and kinds <= _KEYS and not ("" in part or b"" in part)


def _text(file: DelimitedFile) -> str | None:
    r"""Return what a file holds, its lines with ``\n`` at the end; None if it changed, or if they end in two ways."""
    try:
        with file.path.open("rb") as opened:
            content = opened.read()
            if file_state(os.fstat(opened.fileno())) != file.state:
                return None
        text = content.decode(file.encoding).removeprefix("\ufeff")
    except (OSError, ValueError):
        return None
    if "\r" in text:
        returns = text.count("\r")
        if returns != text.count("\r\n") or returns != text.count("\n"):
            return None
        text = text.replace("\r\n", "\n")
    return text


# The comparison ------------------------------------------------------------------------------------------------------


class LineEngine:
    """Compares the lines of two sides, and makes objects of those that differ; without lines, as in memory."""

    name = InMemoryEngine.name

    def candidates(self, left: Side, right: Side) -> Candidates:
        """Return where the two sides may differ."""
        objects: Any
        for objects in (left.objects, right.objects):
            if hasattr(objects, "relation"):
                found: Candidates = objects.engine.candidates(left, right)
                return found
        with _MAKING:
            if lines_compare(left, right):
                return _candidates(left, right)
        if (beside := _beside_objects(left, right)) is not None:
            return beside
        sides = [attrs.evolve(side, objects=in_memory(side.objects)) for side in (left, right)]
        return InMemoryEngine().candidates(*sides)


def in_memory(objects: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return objects, all of which are made if they were lines."""
    return objects.all() if isinstance(objects, LineObjects) else objects


def lines_compare(left: Side, right: Side) -> bool:
    """Say whether equal lines are equal objects."""
    one, other = left.objects, right.objects
    if not (isinstance(one, LineObjects) and isinstance(other, LineObjects)):
        return False
    if one.finished is not None or other.finished is not None or one.writing != other.writing:
        return False
    if one.schema.identifiers != other.schema.identifiers:
        return False
    names = {*one.schema.identifiers, *left.attributes}
    kinds = one.writing.kind
    for name in names & {*one.columns}:
        if _declared(one.converter(name), kinds(name)) != _declared(other.converter(name), kinds(name)):
            return False
    further = names - {*one.columns}
    if further and one.schema.cls is not other.schema.cls:
        return False
    return all(name in (one.schema.fields or ()) or one.independent(name) for name in further)


def _candidates(left: Side, right: Side) -> Candidates:
    one: Any = left.objects
    other: Any = right.objects
    found = compared_lines(one.lines, other.lines)
    seen = set(found.both)  # what was made before may have been changed since
    further = {*one.made, *other.made, *left.overrides, *right.overrides} - seen
    both = sorted([*found.both, *(key for key in further if key in one.lines and key in other.lines)])
    one.make([*found.new, *both])
    other.make([*found.old, *both])
    pairs = [(key, one.made[key], other.made[key]) for key in both]
    what = "lines" if isinstance(one.writing, Writing) else "rows"
    reason = f"both sides are in memory, and their {what} were compared"
    return Candidates(found.new, found.old, pairs, found.matched, reason)


def _beside_objects(left: Side, right: Side) -> Candidates | None:
    """Compare rows of the very values that objects have with the objects of the other side; None for anything else."""
    sides, names = (left, right), left.attributes
    index = next((index for index in (1, 0) if _rows_of_values(sides[index])), None)
    if index is None or left.overrides or right.overrides or len(names) < 2 or any("." in name for name in names):
        return None
    rows: Any = sides[index].objects
    objects = in_memory(sides[1 - index].objects)
    lines, made = rows.lines, rows.made  # properties of the objects may look at the rows, which makes all of them
    if not isinstance(objects, dict) or rows.finished is not None:
        return None
    of_row, of_object = itemgetter(*map(rows.columns.index, names)), attrgetter(*names)
    alone: list[Any] = []
    differing: list[Any] = []
    try:
        for keys, items in object_blocks(objects):
            found = list(map(lines.get, keys))
            there = list(map(is_not, found, repeat(None)))
            if not all(there):
                alone += compress(keys, map(not_, there))
                keys, items, found = (list(compress(part, there)) for part in (keys, items, found))  # noqa: PLW2901 - those that both have
            of_both = [list(map(of_object, items)), list(map(of_row, found))]
            differing += compress(keys, rows_differ(*(of_both if index else of_both[::-1])))
    except Exception:  # noqa: BLE001 - an attribute is missing or a property fails: what is in memory knows which
        return None
    with _MAKING:
        both = sorted({*differing, *(made.keys() & objects.keys())})  # what was made may have been changed since
    matched = len(objects) - len(alone)
    others = sorted(filterfalse(objects.__contains__, lines)) if len(lines) > matched else []
    columns = [list(map(objects.__getitem__, both)), rows.some(both)]
    pairs = list(zip(both, *(columns if index else columns[::-1]), strict=True))
    new, old = (sorted(alone), others) if index else (others, sorted(alone))
    return Candidates(new, old, pairs, matched, "both sides are in memory, and rows were compared with objects")


def _rows_of_values(side: Side) -> bool:
    """Say whether a side has rows that are not objects yet, but have all their values."""
    objects = side.objects
    if not isinstance(objects, LineObjects) or objects.finished is not None:
        return False
    return isinstance(objects.writing, RowWriting) and objects.writing.unconverted.issuperset(side.attributes)


@attrs.frozen(eq=False, repr=False)
class ComparedLines:
    """Keys, sorted: of one side only, and of both where the lines differ; and how many both sides have."""

    new: list[Any]
    old: list[Any]
    both: list[Any]
    matched: int


def compared_lines(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> ComparedLines:
    """Compare lines by key; nearly all of it in C."""
    differing = list(compress(left, map(ne, left.values(), map(right.get, left))))
    new = sorted(filterfalse(right.__contains__, differing))
    matched = len(left) - len(new)
    old = sorted(filterfalse(left.__contains__, right)) if len(right) > matched else []
    return ComparedLines(new, old, sorted(filter(right.__contains__, differing)), matched)
