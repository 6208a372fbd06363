"""Upserts, updates and deletes records by key: all in one transaction, and each in a few statements.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.database import Database, dialect_of
from datastoresync.syncers.sql.sql_new_table import make_table
from datastoresync.syncers.sql.sql_staging import Keys, Stage, staged
from datastoresync.syncers.sql.values import MYSQL
from datastoresync.syncers.sql.write import Opened, given_records, opened_table

__all__ = ["delete_records", "update_records", "upsert_records"]


def upsert_records(database: Database, name: str, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
    """Put records in, over those with the same key, as `SQLSyncer.upsert` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: A column is not there, a key is missing or stands twice, or a value does not fit.
    """
    keys = _names(name, key)
    records = given_records(database, name, data)
    with opened_table(database, name, create=True) as opened:
        stored = opened.stored
        if stored is None:
            made = list(records)
            _check_keys(Keys(name, keys), made)
            return make_table(opened, made)
        _check_columns(stored, keys)
        with staged(opened, stored, keys, records) as stage:
            _update(stage)
            _insert(stage)
            return stage.count


def update_records(database: Database, name: str, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
    """Change columns of the records with these keys, as `SQLSyncer.update` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: The table, a column or a key is not there, a key stands twice, or a value does not fit.
    """
    keys = _names(name, key)
    records = given_records(database, name, data)
    with opened_table(database, name) as opened:
        stored = _there(opened)
        _check_columns(stored, keys)
        with staged(opened, stored, keys, records) as stage:
            if missing := stage.unknown():
                message = f"table {name!r} of {database.name} has no record with the key {missing} to update"
                raise SyncerError(message)
            _update(stage)
            return stage.count


def delete_records(database: Database, name: str, data: Iterable[Mapping[str, Any]], key: str | Sequence[str]) -> int:
    """Delete the records with these keys, as `SQLSyncer.delete` describes.

    Raises:
        LockedError: Another run is writing to the table.
        SyncerError: The table or a column is not there, a key stands twice, or a record is still referred to.
    """
    keys = _names(name, key)
    records = given_records(database, name, data)
    with opened_table(database, name) as opened:
        stored = _there(opened)
        _check_columns(stored, keys)
        with staged(opened, stored, keys, records, only_keys=True) as stage:
            named = sa.exists(sa.literal_column("1")).where(*stage.matching()).correlate(stored.table)
            with opened.statements.guarded():
                opened.connection.execute(sa.delete(stored.table).where(named))
            return stage.number_known()


def _names(name: str, key: str | Sequence[str]) -> tuple[str, ...]:
    keys = (key,) if isinstance(key, str) else tuple(key)
    if not keys or len(set(keys)) < len(keys):
        message = f"the key of table {name!r} is {key!r}: name the columns that tell its records apart, each once"
        raise SyncerError(message)
    return keys


def _there(opened: Opened) -> StoredTable:
    assert opened.stored is not None  # it would have been refused
    return opened.stored


def _check_columns(stored: StoredTable, names: Sequence[str]) -> None:
    for name in names:
        stored.column(name)


def _check_keys(keys: Keys, records: Sequence[Mapping[str, Any]]) -> None:
    places: dict[tuple[Any, ...], int] = {}
    for number, record in enumerate(records, start=1):
        key = keys.of(record, number)
        if key in places:
            raise SyncerError(keys.ambiguity(key, places[key], number))
        places[key] = number


def _update(stage: Stage) -> None:
    """Change the records that there are, for each shape those columns that it has."""
    for columns, number in stage.shapes.items():
        if not columns:
            continue
        values = {stage.stored.column(name): stage.column(name) for name in sorted(columns)}
        statement = sa.update(stage.stored.table).values(values)
        with stage.opened.statements.guarded():
            stage.opened.connection.execute(statement.where(*stage.matching(), stage.of_shape(number)))


def _insert(stage: Stage) -> None:
    """Insert the records that are new, those that were given first before the others."""
    new_shapes = stage.unknown_shapes()  # where MySQL has nothing to insert it would still miss the columns left out
    for columns, number in stage.shapes.items():
        if number not in new_shapes:
            continue
        names = [*stage.keys.columns, *sorted(columns)]
        new = sa.select(*(stage.column(name) for name in names))
        new = new.where(stage.known == sa.literal_column("0"), stage.of_shape(number)).order_by(stage.position)
        with stage.opened.statements.guarded():
            stage.opened.connection.execute(_insertion(stage, names, new))


def _insertion(stage: Stage, names: Sequence[str], new: sa.Select[Any]) -> sa.Insert:
    """Return a statement that also updates a record that another program inserted meanwhile, if the key is unique.

    Without a unique index on the key there is nothing that the two would collide at. In SQLite nobody else writes.
    """
    table, dialect = stage.stored.table, dialect_of(stage.opened.connection.dialect)
    unique, keys = stage.stored.unique, frozenset(stage.keys.columns)
    rest = [name for name in names if name not in keys]
    if dialect == "postgresql" and keys in unique:
        upsert = postgresql.insert(table).from_select(names, new, include_defaults=False)
        columns = [table.columns[name] for name in stage.keys.columns]
        if not rest:
            return upsert.on_conflict_do_nothing(index_elements=columns)
        return upsert.on_conflict_do_update(index_elements=columns, set_={name: upsert.excluded[name] for name in rest})
    if dialect in MYSQL and rest and unique == {keys}:  # any other unique index would be taken for the key, too
        staged_values = {name: stage.column(name) for name in rest}
        return (
            mysql.insert(table).from_select(names, new, include_defaults=False).on_duplicate_key_update(staged_values)
        )
    return sa.insert(table).from_select(names, new, include_defaults=False)
