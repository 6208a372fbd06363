"""What differs between two stores that no class describes: columns are paired by name, and values by their types."""

from __future__ import annotations

import re
import shlex
import types
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from itertools import groupby
from typing import Any

import attrs

from datastoresync.app.stores import SEPARATES, missing_key_advice, plain_name, table_names
from datastoresync.branch import Branch
from datastoresync.conversion.converters import Converter, converter, declared_scalar
from datastoresync.conversion.scalars import SCALARS
from datastoresync.conversion.value_format import ValueFormat
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff, Progress
from datastoresync.diffing.renames import lost_zeros
from datastoresync.diffing.side import Side
from datastoresync.errors import ColumnError, ConversionError, DuplicateError, SchemaMismatchError, SyncerError
from datastoresync.importing.import_progress import import_progress
from datastoresync.importing.importer import IterableImporter, StoreImporter
from datastoresync.object import Object
from datastoresync.runtime import collector_paused
from datastoresync.spelling import nearest
from datastoresync.syncers.changes import Table
from datastoresync.syncers.files.base import FileSyncer
from datastoresync.syncers.loading import load_records
from datastoresync.syncers.records import Records

_USUAL_KEY = "idnumber"
_TEXTS = ("csv", "tsv")
"""Formats in which every value is a text."""


@attrs.frozen(kw_only=True)
class DiffOptions:
    """How two stores are compared.

    Args:
        tables: The names of each pair of tables, the old store's first; all that both have if there are none.
        keys: The columns of the key by table, of all tables under ``""``.
        optional: Columns that may be empty where they are part of a key of several.
        columns: The columns to compare besides the key; None for all that both tables have.
        rename: The name in the new store of columns that the old one calls otherwise, by the old name.
        types: The types of columns, by their name in the new store, where texts are not to be compared as they are.
        ignore_case: Whether texts that differ in case alone are equal, in keys as well.
    """

    tables: Sequence[tuple[str, str]] = ()
    keys: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    optional: Collection[str] = ()
    columns: Sequence[str] | None = None
    rename: Mapping[str, str] = attrs.field(factory=dict)
    types: Mapping[str, type] = attrs.field(factory=dict)
    ignore_case: bool = False

    def key(self, *tables: str) -> tuple[str, ...]:
        """Return the columns of the key of a pair of tables, by any of its names."""
        return next((self.keys[each] for each in (*tables, "") if each in self.keys), (_USUAL_KEY,))


@attrs.frozen(eq=False)
class StoreDiff:
    """What differs between two stores.

    Args:
        diff: What must change in the old one.
        apart: A sentence for each table, and the columns of a table, that only one of them has.
    """

    diff: Diff
    apart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.diff or self.apart)

    @property
    def counts(self) -> Counter[str]:
        """The number of objects that were ``changed``, ``added`` and ``removed``."""
        with collector_paused():  # streamed actions are new objects
            return Counter(what for (_, what, _), _ in groupby(self.diff.scanned(), object_of))

    @property
    def summary(self) -> str:
        """The counts in words: ``2 changed, 1 added, 1 removed``."""
        counts = self.counts
        found = [f"{counts[what]:,} {what}" for what in ("changed", "added", "removed") if counts[what]]
        return ", ".join(found) or "no differences"


def _is_database(syncer: Any) -> bool:
    if isinstance(syncer, FileSyncer):
        return False
    from datastoresync.syncers.sql.syncer import SQLSyncer  # files need none of it

    return isinstance(syncer, SQLSyncer)


def object_of(action: Action) -> tuple[str, str, Any]:
    """Return the branch, what becomes of the object, and its key: actions of one object stand together."""
    return action.branch, {"new": "added", "old": "removed"}.get(action.verb, "changed"), action.idnumber


class _Table:
    """One table of one store, opened.

    Args:
        which: ``OLD`` or ``NEW``.
        syncer: The store.
        name: The table.
        rename: The new names of columns.

    Attributes:
        stays: Whether its rows may stay in a database, and be compared there.
    """

    def __init__(self, which: str, syncer: Any, name: str, rename: Mapping[str, str]) -> None:
        self.which, self.syncer, self.name = which, syncer, name
        self.mixed: set[str] = set()
        self.chunks: list[list[Sequence[Any]]] = []
        read = getattr(syncer, "records", None) or getattr(syncer, "read", None)
        found = read(name) if callable(read) else load_records(syncer, name)
        if not isinstance(found, Records):
            rows = list(found)
            names = tuple(dict.fromkeys(each for row in rows for each in row))
            chunk = [[row.get(each) for row in rows] for each in names]
            found = Records(names, [chunk] if rows else [], lambda index: f"record {index + 1} of {name}")
        self.written = found.columns
        if rename:
            names = tuple(rename.get(each, each) for each in found.columns)
            if twice := next((each for each in names if names.count(each) > 1), None):
                message = f"--rename makes two columns {twice!r} of {self}: rename the other, too, or leave it out"
                raise ColumnError(message, columns=[twice])
            found = Records(names, found.chunks, found.where, value_format=found.value_format)
        self.records = found
        self.stays = _is_database(syncer)
        self.form = found.value_format or ValueFormat()

    def __str__(self) -> str:
        return f"table {self.name} of {self.which}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        return self.records.columns

    @property
    def stored(self) -> Table:
        """The table, with the columns that are renamed."""
        return Table(
            self.name, columns={new: old for old, new in zip(self.written, self.columns, strict=True) if old != new}
        )

    def hold(self) -> None:
        """Read all of it into ``chunks``, which are what it holds from then on."""
        self.stays = False
        self.chunks = [list(chunk) for chunk in self.records.chunks]
        self.records = Records(self.columns, iter(self.chunks), self.records.where)

    def kinds(self, name: str) -> set[type]:
        """Return the types of the values of a column, None aside."""
        index = self.columns.index(name)
        return {kind for chunk in self.chunks for kind in set(map(type, chunk[index]))} - {type(None)}

    def converted(self, name: str, convert: Callable[[Any], Any]) -> list[Sequence[Any]]:
        """Return a column, chunk by chunk, with its values converted, each distinct one once.

        Raises:
            ConversionError: if a value is refused; it says where.
        """
        index, before = self.columns.index(name), 0
        found: list[Sequence[Any]] = []
        for chunk in self.chunks:
            column: list[Any] = []
            for position, value in enumerate(chunk[index]):
                try:
                    column.append(convert(value))
                except (ValueError, TypeError) as error:
                    where = self.records.where(before + position)
                    raise ConversionError(f"{name}: {error}", where=where, column=name, value=value) from None
            found.append(column)
            before += len(column)
        return found

    def put(self, name: str, columns: Sequence[Sequence[Any]]) -> None:
        """Replace a column, chunk by chunk."""
        index = self.columns.index(name)
        for chunk, column in zip(self.chunks, columns, strict=True):
            chunk[index] = column


def diff_stores(old: Any, new: Any, options: DiffOptions, *, progress: Progress | None = None) -> StoreDiff:
    """Return what must change in an old store for it to be like a new one.

    Args:
        old: Its syncer.
        new: The syncer of the new one.
        options: What is compared, and how.
        progress: Called as by `import_progress`, and then as by `Tree.diff`.

    Raises:
        SyncerError: if a store cannot be read, or lacks a table or a column that is named.
        ImporterError: if a row is refused, such as a second one of a key.
        SchemaMismatchError: if values of two columns can never be equal.
    """
    texts = all(getattr(syncer, "format", "") in _TEXTS for syncer in (old, new))
    if not options.types and (texts or type(old) is type(new)):
        with suppress(SchemaMismatchError):
            return _diff(old, new, options, progress, hold=False)
    try:
        return _diff(old, new, options, progress, hold=True)
    except SchemaMismatchError as error:
        problems = [_in_words(problem) for problem in error.problems]
        message = f"the two cannot be compared:{''.join(f'{chr(10)}  - {problem}' for problem in problems)}"
        raise SchemaMismatchError(message, problems=problems) from None


def _in_words(problem: str) -> str:
    """Return what is wrong with a column, and the option that mends it instead of what to declare in Python."""
    column, facts = problem.partition(": ")[0], problem[: problem.rfind("): ") + 1]
    return f"{facts}: give both one type, as in --type {column}=str"


def _diff(old: Any, new: Any, options: DiffOptions, progress: Progress | None, *, hold: bool) -> StoreDiff:
    pairs, apart = _pairs(old, new, options)
    _check_keys(options, pairs, (old, new))
    sides: list[tuple[Side, Side]] = []
    opened: list[_Table] = []
    with collector_paused(), import_progress(progress):
        for name, old_name, new_name in pairs:
            with _table_told(name, options):
                tables = _Table("OLD", old, old_name, options.rename), _Table("NEW", new, new_name, {})
            opened += tables
            if len(pairs) == 1:
                _check_columns(options, opened)
            pair, said = _sides(name, tables, options, hold=hold)
            sides.append(pair)
            apart += said
        _check_columns(options, opened)
        diff = Diff.between(sides, progress=progress)
        if options.ignore_case:
            diff = diff.exclude(_same_but_for_case)
    return StoreDiff(diff, (*apart, *lost_zeros(diff)))


@contextmanager
def _table_told(name: str, options: DiffOptions) -> Iterator[None]:
    """Name the option that pairs tables with two names, if the one table that is named is not in both stores."""
    try:
        yield
    except SyncerError as error:
        if (name, name) not in options.tables or " has no table " not in str(error):
            raise
        raise SyncerError(f"{error}; --tables OLD=NEW pairs two of other names") from None


def _check_keys(options: DiffOptions, pairs: Sequence[Sequence[str]], stores: Sequence[Any]) -> None:
    """Refuse a key of a table that neither store has, and an optional column that is part of no key."""
    tables = list(dict.fromkeys(name for names in pairs for name in names))
    if unknown := options.keys.keys() - {"", *tables}:
        known = [*tables, *(name for store in stores for name in table_names(store) if name not in tables)]
        if table := next((each for each in unknown if each not in known), None):
            message = f"--key names the table {table!r}, which is in neither store: {nearest(table, known)}"
            raise SyncerError(message)
    parts = list(dict.fromkeys(each for names in pairs for each in options.key(*names)))
    _check_names("--optional-key", options.optional, parts, "which is part of no key")


def _pairs(old: Any, new: Any, options: DiffOptions) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return a name and the names in both stores for each pair of tables, and sentences about those without another."""
    if options.tables:
        return [(after, before, after) for before, after in options.tables], []
    before, after = table_names(old), table_names(new)
    if len(before) == len(after) == 1:
        return [(after[0] if before == after else "rows", before[0], after[0])], []
    common = [name for name in after if name in before]
    if not common:
        there = f"OLD has {', '.join(before)}, and NEW has {', '.join(after)}"
        message = f"no table is in both: {there}: name the pairs, as in --tables {before[0]}={after[0]}"
        raise SyncerError(message)
    several = 1 not in (len(before), len(after))  # the one table of a file is looked for in a database, say
    lone = [(name, "OLD") for name in before if name not in after]
    lone += [(name, "NEW") for name in after if name not in before]
    return [(name, name, name) for name in common], [
        f"table {name} is only in {which}" for name, which in lone
    ] * several


def _sides(
    name: str, tables: tuple[_Table, _Table], options: DiffOptions, *, hold: bool
) -> tuple[tuple[Side, Side], list[str]]:
    """Return the two sides of a pair of tables, the new one first, and a sentence about columns without another.

    Args:
        name: What messages call the pair.
        tables: The old one and the new one.
        options: What is compared, and how.
        hold: Whether both are read into memory, so that their types can be compared.
    """
    old, new = tables
    key = options.key(name, old.name, new.name)
    for table in tables:
        if missing := next((each for each in key if each not in table.columns), None):
            raise ColumnError(_no_key(tables, table, missing, key, given=bool(options.keys)), columns=[missing])
    common = [each for each in new.columns if each in old.columns and each not in key]
    apart = [
        f"{'column' if len(lone) == 1 else 'columns'} {', '.join(map(_shown, lone))} of {name}: only in {one.which}"
        for one, other in ((old, new), (new, old))
        if (lone := [each for each in one.columns if each not in other.columns])
    ]
    apart += _renamed(old, new)
    if options.columns is not None:
        common, apart = [each for each in common if each in options.columns], []
    if hold:
        for table in tables:
            table.hold()
        _convert_types(tables, [*key, *common], key, options.types)
    try:
        sides = [attrs.evolve(_branch(name, each, key, common, options).side(), tree=each.which) for each in tables]
    except DuplicateError as error:
        again = (_Table("OLD", old.syncer, old.name, options.rename), _Table("NEW", new.syncer, new.name, {}))
        said = f"{str(error).partition(', or write resolve_duplicate')[0]}; {_which_key(_unique(again))}"
        raise DuplicateError(said, idnumber=error.idnumber, first=error.first) from None
    mixed = frozenset(old.mixed | new.mixed)
    before, after = (attrs.evolve(side, flexible=mixed) for side in sides)
    return (after, before), apart


def _renamed(old: _Table, new: _Table) -> list[str]:
    """Return a sentence for each two columns that only their spelling keeps from being compared."""
    lone = [[each for each in one.columns if each not in other.columns] for one, other in ((old, new), (new, old))]
    return [
        f"{_shown(one)} and {_shown(other)} may be one column: --rename {shlex.quote(f'{one}={other}')} compares them"
        for one in lone[0]
        for other in lone[1]
        if plain_name(one) == plain_name(other)
    ]


def _shown(name: str) -> str:
    """Return a name as a message has it: in quotes where it could not be told from what is around it."""
    return name if re.fullmatch(r"\w(?:[^,]*\w)?", name) else repr(name)


def _check_columns(options: DiffOptions, tables: Sequence[_Table]) -> None:
    """Refuse a column that an option names, and no table has; of one pair, both must have it."""
    for which, renamed in (("OLD", options.rename), ("NEW", options.rename.values())):
        own = [each for each in tables if each.which == which]
        fault = f"which {own[0]} does not have" if len(own) == 1 else f"which no table of {which} has"
        written = [name for each in own for name in each.written]
        others = {name for each in tables if each.which != which for name in each.written}
        for name, other in options.rename.items() if which == "OLD" else ():
            if name not in written and other in written and name in others and other not in others:
                message = f"--rename names {name!r}, {fault}: OLD's name stands first, as in --rename {other}={name}"
                raise ColumnError(message, columns=[name])
        columns = [name for each in own for name in each.columns]
        for name in options.columns or ():
            if name in options.rename and name not in columns:
                message = f"--columns names {name!r}, which --rename calls {options.rename[name]!r}: write that"
                raise ColumnError(message, columns=[name])
        _check_names("--rename", renamed, written, fault)
        _check_names("--columns", options.columns or (), columns, fault)
    pairs = zip(tables[::2], tables[1::2], strict=True)
    common = [name for old, new in pairs for name in new.columns if name in old.columns]
    keys = {name for key in options.keys.values() for name in key} | {_USUAL_KEY}
    compared = [each for each in common if options.columns is None or each in options.columns or each in keys]
    _check_names("--type", options.types, compared, "which is not compared")


def _check_names(option: str, names: Collection[str], known: Sequence[str], fault: str) -> None:
    if unknown := [each for each in names if each not in known]:
        message = f"{option} names {unknown[0]!r}, {fault}: {nearest(unknown[0], dict.fromkeys(known))}"
        raise ColumnError(message, columns=unknown)


def _branch(
    name: str, table: _Table, key: tuple[str, ...], columns: Sequence[str], options: DiffOptions
) -> Branch[Any]:
    settings: dict[str, Any] = {
        "_identifiers": key,
        "_optional_identifiers": tuple(each for each in key if each in options.optional),
        "_attributes": tuple(columns),
        "__module__": __name__,
    }
    if options.ignore_case:
        settings["_key"] = _folded
    cls: Any = types.new_class("Record", (Object,), exec_body=lambda body: body.update(settings))
    importer = StoreImporter(table.syncer) if table.stays else IterableImporter(table.records)
    if table.stays and callable(close := getattr(table.records.chunks, "close", None)):
        close()  # the columns are known
    branch: Branch[Any] = Branch(cls, importer=importer, table=table.stored, engine="auto")
    branch.name = name
    return branch.load()


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _same_but_for_case(action: Action) -> bool:
    old, new = action.old_value, action.value
    return isinstance(old, str) and isinstance(new, str) and action.verb == "update" and _folded(old) == _folded(new)


# Types ---------------------------------------------------------------------------------------------------------------


def _convert_types(
    tables: tuple[_Table, _Table], columns: Sequence[str], key: Sequence[str], given: Mapping[str, type]
) -> None:
    """Convert columns to the types that are given, and texts to what the other table has in a column.

    A text that the other type cannot take stays a text, and differs. In a key all values become texts then.
    """
    for name in columns:
        if name in given:
            for table in tables:
                table.put(name, table.converted(name, _strictly(table.form.applied(converter(given[name])), name)))
            continue
        kinds = [table.kinds(name) for table in tables]
        if kinds[0] == kinds[1] or not all(kinds) or str not in kinds[0] | kinds[1]:
            continue
        kind = _kind_of(kinds[1 - kinds.index({str})]) if {str} in kinds else None
        if kind is not None:
            text = tables[kinds.index({str})]
            read = text.converted(name, _leniently(text.form.applied(converter(kind))))
            left = kind is not str and any(type(value) is str for column in read for value in column)
            if not (left and name in key):
                text.put(name, read)
                text.mixed.update([name] * left)
                continue
        for table in tables:
            table.put(name, table.converted(name, _as_text))


def _kind_of(kinds: set[type]) -> type | None:
    """Return the type that values of several types can all be of; None if texts are not converted to it."""
    if len(kinds) > 1:
        return float if kinds <= {int, float} else Decimal if kinds <= {int, Decimal} else None
    return next((kind for kind in kinds if kind in SCALARS), None)


def _strictly(kind: Converter, name: str) -> Callable[[Any], Any]:
    whole = declared_scalar(kind) == "str"

    def convert(value: Any) -> Any:
        try:
            return None if value is None or value == "" else kind.one(_whole(value) if whole else value)
        except (ValueError, TypeError) as error:
            message = f"{error} (--type {name}={kind.describe})"
            raise ValueError(message) from None

    return convert


def _leniently(kind: Converter) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        with suppress(ValueError, TypeError):
            return None if value is None or value == "" else kind.one(value)
        return value

    return convert


def _as_text(value: Any) -> Any:
    value = _whole(value)
    return value if value is None or isinstance(value, str) else str(value)


def _whole(value: Any) -> Any:
    """Return a float without decimals, as other programs store whole numbers, as the int that it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The key that is missing ---------------------------------------------------------------------------------------------


def _no_key(tables: tuple[_Table, _Table], table: _Table, missing: str, key: Sequence[str], *, given: bool) -> str:
    """Return what is wrong with a table that lacks a column of the key, and what may be one."""
    if given:
        other = next(each for each in tables if each is not table)
        near = next((each for each in table.columns if plain_name(each) == plain_name(missing)), "")
        if near and missing in other.columns and near not in other.columns:
            renamed = (missing, near) if table.which == "NEW" else (near, missing)
            options = f"--rename {shlex.quote('='.join(renamed))} and --key {shlex.quote(renamed[1])}"
            return f"{table} has no column {missing!r}: if {near!r} is that, write {options}"
    said = missing_key_advice(table.syncer, table.name, missing, table.columns, table.records, key)
    said = said.replace(f"table {table.name}", str(table), 1)
    if ": name its key, as in " not in said and (given or SEPARATES in said):  # it is clear what is meant
        return said
    if not given:
        said = f"which columns identify a row? there is no --key, and {table} has no column {missing!r}"
    return f"{said}; {_which_key(_unique(tables))}"


def _unique(tables: Sequence[_Table]) -> list[str]:
    """Return the columns of which both tables have a value in each row, and never the same twice."""
    old, new = tables
    for table in tables:
        table.hold()
    return [name for name in new.columns if name in old.columns and all(_is_unique(table, name) for table in tables)]


def _is_unique(table: _Table, name: str) -> bool:
    values = [value for chunk in table.chunks for value in chunk[table.columns.index(name)]]
    try:
        return len(set(values)) == len(values) and None not in values and "" not in values
    except TypeError:  # what cannot be hashed is no key
        return False


def _which_key(unique: Sequence[str]) -> str:
    if unique:
        return f"unique in both: {', '.join(unique)}, as in --key {unique[0]}"
    return "no single column is unique in both: several together are a key, as in --key first+second"
