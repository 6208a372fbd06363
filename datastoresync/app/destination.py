"""The destination of a sync whose branches take any column: read by the source's columns, compared in its own types."""

from __future__ import annotations

import decimal
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.branch import Branch
from datastoresync.conversion.converters import converter
from datastoresync.conversion.scalars import SCALARS
from datastoresync.conversion.value_format import ValueFormat
from datastoresync.errors import SyncerError
from datastoresync.importing.importer import StoreImporter
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


def in_destination_types(
    source: Tree, destination: Tree, syncer: Any, names: Collection[str], *, is_loaded: bool = True
) -> Tree:
    """Return the source with its values as the destination would hold them, where their classes take any column.

    The type of a column is the one that the database declares, or else that of the values in it. A source that needs
    no conversion is returned as it is.

    Args:
        source: The source.
        destination: The destination.
        syncer: Its store.
        names: The branches whose tables are there.
        is_loaded: Whether the destination is. If not, only texts of files are converted, to types that are declared.

    Raises:
        SyncerError: The column of a database cannot take a value.
    """
    converted = {
        name: _converted_rows(source[name], destination[name], syncer, is_loaded) if name in names else None
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


def _converted_rows(
    source: Branch[Any],
    destination: Branch[Any],
    syncer: Any,
    is_loaded: bool,  # noqa: FBT001 - as the caller was told
) -> list[dict[str, Any]] | None:
    """Return the rows of a branch as the destination would hold them; None if these are the same."""
    if not schema_of(source.object_class).open or not (is_loaded or source.contents.value_format):
        return None
    form = source.contents.value_format or ValueFormat()
    declared = _declared_types(syncer, destination, meant=form.changes_values)
    for name, kind in _declared_types(syncer, destination, meant=True).items():
        # What a column only means, it holds where there is nothing else in it, or it is not known.
        if not is_loaded or all(value is None or type(value) is kind for value in _values(destination, name)):
            declared = {**declared, name: kind}
    if not is_loaded and not declared:
        return None
    names = [*source.identifiers, *source.side().attributes]
    types = {name: declared.get(name) or (_type_of(destination, name) if is_loaded else None) for name in names}
    normalized = getattr(syncer, "normalized", None) if is_loaded else None
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    changed = False
    for key, item in source.items():
        row = dict(vars(item))
        for name in names:
            if name not in row or not (is_loaded or type(row[name]) is str):
                continue
            value = row[name]
            try:
                row[name] = _held(value, types[name], None if name in declared else normalized, form)
            except (ValueError, TypeError, SyncerError) as error:
                if name not in declared:
                    continue  # a store without types takes it, or says why not
                said = MASK if name in source.object_class._sensitive else str(error)
                way_out = form.advice(converter(types[name]), value) if types[name] in SCALARS else ""
                problems.append(f"{source.name} {key!r}: {name}: {said}{way_out}")
            changed = changed or type(row[name]) is not type(value) or row[name] != value
        rows.append(row)
    if problems:
        more = f", and {len(problems) - _LISTED:,} more" if len(problems) > _LISTED else ""
        message = f"{syncer.name} cannot hold {'; '.join(problems[:_LISTED])}{more}"
        raise SyncerError(message)
    return rows if changed else None


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
