"""The destination of a sync whose branches take any column: read by the source's columns, compared in its own types."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.app.tables import TableWrite
from datastoresync.branch import Branch
from datastoresync.conversion.converters import converter
from datastoresync.conversion.scalars import SCALARS
from datastoresync.conversion.value_format import ValueFormat
from datastoresync.errors import SyncerError
from datastoresync.importing.importer import StoreImporter
from datastoresync.importing.refused_value import named_column
from datastoresync.masking import MASK
from datastoresync.object import schema_of
from datastoresync.syncers.projection import projected
from datastoresync.syncers.records import Records
from datastoresync.tree import Tree

_LISTED = 3


class DestinationImporter(StoreImporter):
    """Reads the attributes that the source has; what else the store has there stays as it is, unread.

    Args:
        syncer: The store.
        attributes: The attributes to read; None for those that the branch's class declares.
        absent: The memberships whose tables are not there yet.
    """

    def __init__(self, syncer: Any, attributes: Sequence[str] | None, absent: Collection[str] = ()) -> None:
        super().__init__(syncer)
        self.attributes = attributes
        self.absent = absent

    def reads_all_of(self, syncer: Any) -> bool:
        """Say whether it reads every row of a table in a syncer, and drops none."""
        return self.syncer is syncer

    def read(self) -> Records:
        """Return the records.

        Raises:
            SyncerError: The store lacks a column that the source has; the nearest one is named.
        """
        table, wanted = self.description.table, self.attributes
        wanted = self.description.columns if wanted is None else wanted
        table = attrs.evolve(table, links={name: link for name, link in table.links.items() if name not in self.absent})
        names = None if wanted is None else [name for name in wanted if name not in self.absent]
        identifiers = self.description.schema.identifiers
        read = getattr(self.syncer, "read", None)
        if callable(read):
            records = read(table, names, identifiers=identifiers)
        else:
            records = projected(self._opened, table, names, identifiers)
        if not self.absent:
            return records  # type: ignore[no-any-return]  # it comes from any store
        empty = len(self.absent)
        chunks = ([*chunk, *([set() for _ in chunk[0]] for _ in range(empty))] for chunk in records.chunks)
        return Records((*records.columns, *self.absent), chunks, records.where, value_format=records.value_format)


def in_destination_types(source: Tree, destination: Tree, syncer: Any, names: Collection[str]) -> Tree:
    """Return the source with its values as the destination would hold them, where their classes take any column.

    The type of a column is the one that the database declares, or else that of the values in it. A source that needs
    no conversion is returned as it is.

    Args:
        source: The source.
        destination: The destination, loaded.
        syncer: Its store.
        names: The branches whose tables are there.

    Raises:
        SyncerError: The column of a database cannot take a value.
    """
    converted = {
        name: _converted_rows(source[name], destination[name], syncer) if name in names else None
        for name in source.branches
    }
    if not any(rows is not None for rows in converted.values()):
        return source
    branches = {
        name: Branch(
            source[name].object_class,
            importer=converted[name] or [],
            table=source[name].table,
            limits=source[name].limits,
            part=source[name].part,
        )
        for name in source.branches
    }
    found = Tree(source.name, branches=branches)
    found.top_level, found.limits = source.top_level, source.limits
    for name, rows in converted.items():
        if rows is None:
            found[name].contents = source[name].contents
        else:
            loaded, before = found[name].load().contents, source[name].contents
            for fact in ("rejected", "empty_parts", "absent"):
                setattr(loaded, fact, getattr(before, fact))
            if loaded.report is not None and before.report is not None:
                loaded.report = attrs.evolve(loaded.report, warnings=before.report.warnings)
    return found


def _converted_rows(source: Branch[Any], destination: Branch[Any], syncer: Any) -> list[dict[str, Any]] | None:
    """Return the rows of a branch as the destination would hold them; None if these are the same."""
    if not schema_of(source.object_class).open:
        return None
    form = source.contents.value_format or ValueFormat()
    declared = _declared_types(syncer, destination, meant=form.changes_values)
    for name, kind in _declared_types(syncer, destination, meant=True).items():
        # What a column only means, it holds where there is nothing else in it.
        if all(value is None or type(value) is kind for value in _values(destination, name)):
            declared = {**declared, name: kind}
    names = [*source.identifiers, *source.side().attributes]
    types = {name: declared.get(name) or _type_of(destination, name) for name in names}
    normalized = getattr(syncer, "normalized", None)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    changed = False
    for key, item in source.items():
        row = dict(vars(item))
        for name in names:
            if name not in row:
                continue
            value = row[name]
            try:
                row[name] = _held(value, types[name], None if name in declared else normalized, form)
            except (ValueError, TypeError, SyncerError) as error:
                if name not in declared:
                    continue  # a store without types takes it, or says why not
                problems.append(f"{source.name} {key!r}: {_reason(source, name, types[name], value, error)}")
            changed = changed or type(row[name]) is not type(value) or row[name] != value
        rows.append(row)
    if problems:
        raise _refusal(syncer, problems)
    return rows if changed else None


def in_column_types(write: TableWrite, source: Branch[Any], syncer: Any) -> TableWrite:
    """Return a write whose texts, if they are those of a file, are of the types that a database declares or means.

    Args:
        write: The write of a table that is there.
        source: The branch that it writes.
        syncer: The store.

    Raises:
        SyncerError: A column cannot take a text; the option that may read it is named.
    """
    form, ask = source.contents.value_format, getattr(syncer, "column_types", None)
    if form is None or not callable(ask) or not schema_of(source.object_class).open:
        return write
    kinds = {column: kind for column, kind in ask(write.table, meant=True).items() if column in write.columns}
    convert = {
        column: form.applied(converter(kind)).one
        for column, kind in kinds.items()
        if kind in SCALARS and kind is not str
    }
    problems = []
    for record in write.records() if convert else ():
        for column in convert.keys() & record.keys():
            value = record[column]
            try:
                _converted(value, convert[column])
            except (ValueError, TypeError) as error:
                key = tuple(record[name] for name in write.identifying)
                name = source.table.attributes.get(column, column)
                said = _reason(source, name, kinds[column], value, error)
                problems.append(f"{write.label} {key[0] if len(key) == 1 else key!r}: {said}")
    if problems:
        raise _refusal(syncer, problems)

    def records() -> Iterator[dict[str, Any]]:
        for record in write.records():
            yield {
                column: _converted(value, convert[column]) if column in convert else value
                for column, value in record.items()
            }

    return attrs.evolve(write, records=records) if convert else write


def _converted(value: Any, convert: Callable[[Any], Any]) -> Any:
    if type(value) is not str:
        return value
    return convert(value) if value else None


def _reason(source: Branch[Any], name: str, kind: type | None, value: Any, error: Exception) -> str:
    """Return why a column cannot take a value, with the option that may read it."""
    form = source.contents.value_format or ValueFormat()
    said = MASK if name in source.object_class._sensitive else str(error)
    place = named_column(name, source.table, form)
    return f"{place}: {said}{form.advice(converter(kind), value) if kind in SCALARS else ''}"


def _refusal(syncer: Any, problems: Sequence[str]) -> SyncerError:
    more = f", and {len(problems) - _LISTED:,} more" if len(problems) > _LISTED else ""
    return SyncerError(f"{syncer.name} cannot hold {'; '.join(problems[:_LISTED])}{more}")


def _held(value: Any, kind: type | None, normalized: Any, form: ValueFormat) -> Any:
    """Return a value, which is text as a format has it, as a column of a type holds it.

    Raises:
        ValueError: if it cannot; `SyncerError` if the store says so.
    """
    if kind in SCALARS and value is not None and type(value) is not kind:
        if kind is decimal.Decimal and type(value) is float:
            value = repr(value)
        if kind is not str or normalized is None:
            value = None if value == "" and kind is not str else form.applied(converter(kind)).one(value)
    return value if normalized is None else normalized(value)


def _declared_types(syncer: Any, branch: Branch[Any], *, meant: bool) -> Mapping[str, type]:
    """Return the types that a database declares, or means at least, by attribute; none for other stores."""
    column_types = getattr(syncer, "column_types", None)
    if not callable(column_types):
        return {}
    found = column_types(branch.table.name, meant=True) if meant else column_types(branch.table.name)
    attributes = branch.table.attributes
    return {attributes.get(column, column): kind for column, kind in found.items() if kind in SCALARS}


def _type_of(branch: Branch[Any], name: str) -> type | None:
    """Return the one type of the values of an attribute; None if there are none, or several."""
    kinds = {type(value) for value in _values(branch, name) if value is not None}
    return kinds.pop() if len(kinds) == 1 else None


def _values(branch: Branch[Any], name: str) -> Iterator[Any]:
    return (getattr(item, name, None) for item in branch.values())
