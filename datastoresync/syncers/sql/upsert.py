"""Upserts, updates and deletes by key: records staged in a temporary table, then a few statements for all of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import attrs
import sqlalchemy as sa

from datastoresync.errors import DataWarning, SyncerError
from datastoresync.printing.text import counted
from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.column_forms import FREE
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.dump import Opened, given_records, make_table, opened_table
from datastoresync.syncers.sql.effects import acting, probably
from datastoresync.syncers.sql.statements import Statements, blocks_of
from datastoresync.syncers.sql.values import DecodedType

_NO_KEY = (dict, list, set, frozenset, tuple)
_COMPARABLE = (
    sa.String,
    sa.Integer,
    sa.Numeric,
    sa.Boolean,
    sa.Date,
    sa.DateTime,
    sa.Time,
    sa.Uuid,
    sa.LargeBinary,
    DecodedType,
)
"""The types of columns whose values every database can compare."""


@attrs.frozen
class Keys:
    """The columns of a table that tell its records apart.

    Args:
        table: The table's name, for messages.
        columns: Their names.
    """

    table: str
    columns: tuple[str, ...]

    def of(self, record: Mapping[str, Any], number: int) -> tuple[Any, ...]:
        """Return the key of a record that was given as this one, counted from 1.

        Raises:
            SyncerError: It has no value in one of the columns, or one that is no key.
        """
        key = []
        for name in self.columns:
            value = record.get(name)
            if value is None:
                missing = "has None in" if name in record else "lacks"
                message = (
                    f"record {number} for table {self.table!r} {missing} column {name!r}, which is part of the key: "
                    "give it a value"
                )
                raise SyncerError(message)
            if isinstance(value, _NO_KEY):
                message = (
                    f"record {number} for table {self.table!r} has a {type(value).__name__} in column {name!r}, which "
                    "cannot be part of a key"
                )
                raise SyncerError(message)
            key.append(value)
        return tuple(key)

    def ambiguity(self, key: Iterable[Any], first: int, last: int) -> str:
        """Return words for a key that several records have: two that were given as these, or those of the table."""
        if first != last:
            return (
                f"records {first} and {last} for table {self.table!r} have the same key, as the store compares keys: "
                f"{self.text(key)}"
            )
        return f"table {self.table!r} has several records with the key {self.text(key)}, so none was touched"

    def text(self, key: Iterable[Any]) -> str:
        """Return words for a key."""
        return ", ".join(f"{name}={value!r}" for name, value in zip(self.columns, key, strict=True))


@attrs.define(eq=False)
class StagingTable:
    """A temporary table of records.

    Args:
        statements: Where the transaction is.
        stored: The table that they are for.
        keys: The columns that tell its records apart.
        table: The temporary table: the columns of the other one, and those that follow.
        position: Where a record stood among those that were given, counted from 1.
        shape: Which columns it has, as a number in ``shapes``.
        known: Whether its key is in the table: 0 or 1.
        shapes: The columns that records have besides their keys.
        count: How many records there are.
    """

    statements: Statements
    stored: StoredTable
    keys: Keys
    table: StoredTable
    position: sa.Column[int]
    shape: sa.Column[int]
    known: sa.Column[int]
    shapes: dict[frozenset[str], int] = attrs.field(factory=dict)
    count: int = 0

    def column(self, name: str) -> sa.Column[Any]:
        """Return a staged column."""
        return self.table.column(name)

    def matching(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions that a record of the table has a staged one's key; they compare as the table does."""
        return [self.stored.column(name) == self.column(name) for name in self.keys.columns]

    def of_shape(self, number: int) -> sa.ColumnElement[bool]:
        """Return the condition that a staged record has just the columns of this shape."""
        return self.shape == sa.literal_column(str(number))

    def fill(self, records: Iterable[Mapping[str, Any]], *, only_keys: bool = False) -> None:
        """Put records in; raise `SyncerError` for a column that is not there, and for a key that is none."""
        left_out = {*self.keys.columns, *self.stored.computed}
        extra = [column.name for column in (self.position, self.shape, self.known)]
        for block in blocks_of(records):
            groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
            for record in block:
                self.count += 1
                key = self.keys.of(record, self.count)
                rest = {name: value for name, value in record.items() if name not in left_out}
                for name in rest:
                    self.stored.column(name)
                if only_keys:
                    rest = {}
                shape = self.shapes.setdefault(frozenset(rest), len(self.shapes))
                group = groups.setdefault((*self.keys.columns, *rest), [])
                group.append((*key, *rest.values(), self.count, shape, 0))
            for columns, rows in groups.items():
                self.statements.insert(self.table, [*columns, *extra], rows)

    def check(self) -> None:
        """Mark the keys that the table has; raise `SyncerError` for one that stands in two records, here or there."""
        numbers = (sa.func.min(self.position), sa.func.max(self.position))
        one: sa.ColumnElement[int] = sa.literal_column("1")

        def repeated(table: StoredTable, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
            keys = [table.column(name) for name in self.keys.columns]
            return sa.select(*keys, *numbers).where(*conditions).group_by(*keys).having(sa.func.count() > one).limit(1)

        for statement in (repeated(self.table), repeated(self.stored, *self.matching())):
            for *key, first, last in self.statements.execute(statement):
                raise SyncerError(self.keys.ambiguity(key, first, last))
        self.statements.execute(sa.update(self.table.table).values({self.known: one}).where(*self.matching()))

    def number_known(self, *conditions: sa.ColumnElement[bool]) -> int:
        """Return how many keys the table had before, of the staged records for which some conditions hold."""
        statement = sa.select(sa.func.count()).select_from(self.table.table)
        return int(self.statements.execute(statement.where(self.known == sa.literal_column("1"), *conditions))[0][0])

    def first(self, found: sa.Select[Any]) -> str:
        """Return words for the first key that a statement finds; empty if it finds none."""
        return next(map(self.keys.text, self.statements.execute(found.limit(1))), "")

    def unknown_shapes(self) -> set[int]:
        """Return the shapes of the records whose keys the table does not have."""
        return {shape for (shape,) in self.statements.execute(sa.select(self.shape).where(self.is_unknown).distinct())}

    def unknown(self) -> str:
        """Return words for the first key that the table does not have; empty if it has them all."""
        statement = sa.select(*map(self.column, self.keys.columns)).where(self.is_unknown)
        return self.first(statement.order_by(self.position))

    @property
    def is_unknown(self) -> sa.ColumnElement[bool]:
        """The condition that the table does not have the key of a staged record."""
        return self.known == sa.literal_column("0")


@contextmanager
def staged(
    opened: Opened, stored: StoredTable, keys: Sequence[str], records: Iterable[Mapping[str, Any]], **options: bool
) -> Iterator[StagingTable]:
    """Put records into a temporary table, which is gone afterwards, and check their keys.

    Raises:
        RefusalError: The database refused a record, or a value does not fit.
        SyncerError: A column is not there; a key is missing, or stands in two records.
    """
    for name in keys:
        stored.column(name)
    stage = _create(opened, stored, Keys(opened.name, tuple(keys)))
    stage.fill(records, **options)
    dialect = opened.statements.dialect
    with opened.statements.guarded():
        _execute(opened.statements.connection, dialect.analyze_staging, stage.table)
    stage.check()
    yield stage
    with opened.statements.guarded():
        _execute(opened.statements.connection, dialect.drop_staging, stage.table)


def _create(opened: Opened, stored: StoredTable, keys: Keys) -> StagingTable:
    connection, dialect = opened.statements.connection, opened.statements.dialect
    taken = set(stored.encoders)
    added = [_free(name, taken) for name in ("position", "shape", "known")]
    table = sa.Table(
        _free("datastoresync_staged", {stored.table.name}),
        sa.MetaData(),
        *(sa.Column(column.name, column.type, info=column.info) for column in stored.table.columns),
        *(sa.Column(name, sa.BigInteger()) for name in added),
        schema=None if connection.dialect.default_schema_name else stored.table.schema,
    )
    encoders = stored.encoders | dict.fromkeys(added, FREE)
    copy = attrs.evolve(stored, table=table, encoders=encoders)
    number = sa.cast(sa.literal_column("0"), sa.BigInteger())
    columns = [*stored.table.columns, *(number.label(name) for name in added)]
    nothing: sa.Select[Any] | sa.CompoundSelect[Any] = _empty(stored.table, columns)
    if dialect.staging_columns_need_nulls:
        nothing = sa.union_all(nothing, _empty(stored.table, [sa.null() for _ in columns]))
    with opened.statements.guarded():
        if dialect.staging_survives_rollback:
            _execute(connection, dialect.drop_staging, copy)
        _execute(connection, dialect.create_staging, copy, rows=str(nothing.compile(connection)))
        index = dialect.staging_index("datastoresync_staged_keys", [copy.column(name) for name in keys.columns])
        if index is not None:
            index.create(connection)
    position, shape, known = (table.columns[name] for name in added)
    return StagingTable(opened.statements, stored, keys, copy, position, shape, known)


def _empty(table: sa.Table, columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    return sa.select(*columns).select_from(table).where(sa.literal_column("1 = 0"))


def _execute(connection: sa.Connection, template: str, copy: StoredTable, **parts: str) -> None:
    if template:
        name = connection.dialect.identifier_preparer.format_table(copy.table)
        connection.exec_driver_sql(template.format(name=name, **parts))


def _free(name: str, taken: set[str]) -> str:
    while name in {other.casefold() for other in taken}:
        name += "_"
    return name


def upsert_records(database: Database, name: str, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
    """Put records in, over those with the same key, as `SQLSyncer.upsert` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: A column is not there, a key is missing or stands twice, or a value does not fit.
    """
    keys = _names(name, key)
    records = given_records(database, name, data)
    with opened_table(database, name, create=True) as opened:
        if opened.stored is None:
            first = list(records)
            _check_keys(Keys(name, keys), first)
            return make_table(opened, first)
        with staged(opened, opened.stored, keys, records) as stage:
            _update(stage)
            _insert(stage)
            _read_back(stage)
            return stage.count


def update_records(database: Database, name: str, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
    """Change columns of the records with these keys, as `SQLSyncer.update` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: The table, a column or a key is not there, a key stands twice, or a value does not fit.
    """
    with _staged_for_existing(database, name, data, key) as stage:
        if missing := stage.unknown():
            message = f"table {name!r} of {database.name} has no record with the key {missing} to update"
            raise SyncerError(message)
        _update(stage)
        _read_back(stage)
        return stage.count


def delete_records(database: Database, name: str, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
    """Delete the records with these keys, as `SQLSyncer.delete` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: The table or a column is not there, a key stands twice, or a record is still referred to.
    """
    with _staged_for_existing(database, name, data, key, only_keys=True) as stage:
        named = sa.exists(sa.literal_column("1")).where(*stage.matching()).correlate(stage.stored.table)
        stage.statements.execute(sa.delete(stage.stored.table).where(named))
        kept = sa.select(*map(stage.column, stage.keys.columns)).where(named.correlate(stage.table.table))
        if found := stage.first(kept.order_by(stage.position)):
            _refuse(stage, f"still has the record with the key {found} after it was deleted", "delete")
        return stage.number_known()


@contextmanager
def _staged_for_existing(
    database: Database, name: str, data: Iterable[Mapping[str, Any]], key: str | Sequence[str], **options: bool
) -> Iterator[StagingTable]:
    """Open a table that must be there, and put records into a temporary table beside it."""
    keys = _names(name, key)
    records = given_records(database, name, data)
    with opened_table(database, name) as opened:
        assert opened.stored is not None  # it would have been refused
        with staged(opened, opened.stored, keys, records, **options) as stage:
            yield stage


def _names(name: str, key: str | Sequence[str]) -> tuple[str, ...]:
    keys = (key,) if isinstance(key, str) else tuple(key)
    if not keys or len(set(keys)) < len(keys):
        message = f"the key of table {name!r} is {key!r}: name the columns that tell its records apart, each once"
        raise SyncerError(message)
    return keys


def _check_keys(keys: Keys, records: Sequence[Mapping[str, Any]]) -> None:
    numbers: dict[tuple[Any, ...], int] = {}
    for number, record in enumerate(records, start=1):
        key = keys.of(record, number)
        if key in numbers:
            raise SyncerError(keys.ambiguity(key, numbers[key], number))
        numbers[key] = number


def _update(stage: StagingTable) -> None:
    """Change the records that there are, for each shape those columns that it has.

    Raises:
        SyncerError: The database did not change them all.
    """
    for columns, number in stage.shapes.items():
        if not columns:
            continue
        values = {stage.stored.column(name): stage.column(name) for name in sorted(columns)}
        statement = sa.update(stage.stored.table).values(values)
        of_shape = stage.of_shape(number)
        changed = stage.statements.count_of(statement.where(*stage.matching(), of_shape))
        known = stage.number_known(of_shape)
        if 0 <= changed < known and not stage.stored.is_view:
            _refuse(
                stage, f"changed {changed:,} of the {counted(known, 'record')} that it was given for update", "update"
            )


def _insert(stage: StagingTable) -> None:
    """Insert the records that are new, those that were given first before the others."""
    new_shapes = stage.unknown_shapes()  # where MySQL has nothing to insert it would still miss the columns left out
    for columns, number in stage.shapes.items():
        if number not in new_shapes:
            continue
        names = [*stage.keys.columns, *sorted(columns)]
        new = sa.select(*(stage.column(name) for name in names))
        new = new.where(stage.is_unknown, stage.of_shape(number)).order_by(stage.position)
        table, unique = stage.stored.table, stage.stored.unique
        stage.statements.note_written(stage.stored, names)
        stage.statements.execute(stage.statements.dialect.insertion(table, new, stage.keys.columns, unique))


def _read_back(stage: StagingTable) -> None:
    """Hold what the table has against what it was given.

    Raises:
        SyncerError: A record is not there.

    Warns:
        DataWarning: A record is there with other values, which a trigger has changed on the way, say.
    """
    there = sa.exists(sa.literal_column("1")).where(*stage.matching()).correlate(stage.table.table)
    keys = list(map(stage.column, stage.keys.columns))
    if missing := stage.first(sa.select(*keys).where(~there).order_by(stage.position)):
        _refuse(stage, f"does not have the record with the key {missing} after it was written", "insert")
    for columns, number in stage.shapes.items():
        comparable = [name for name in sorted(columns) if isinstance(stage.stored.column(name).type, _COMPARABLE)]
        if not comparable:
            continue
        otherwise = [stage.stored.column(name).is_distinct_from(stage.column(name)) for name in comparable]
        found = sa.select(*keys).where(*stage.matching(), stage.of_shape(number), sa.or_(*otherwise))
        if first := stage.first(found.order_by(stage.position)):
            message = (
                f"table {stage.keys.table!r} of {stage.stored.store} holds other values than it was given, as in the "
                f"record with the key {first}{probably(acting(stage.statements, stage.stored, 'insert', 'update'))}"
            )
            warnings.warn(message, DataWarning, stacklevel=2)
            return


def _refuse(stage: StagingTable, what: str, verb: str) -> NoReturn:
    because = probably(acting(stage.statements, stage.stored, verb))
    message = f"table {stage.keys.table!r} of {stage.stored.store} {what}{because}: it is as it was before"
    raise SyncerError(message)
