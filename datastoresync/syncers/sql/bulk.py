"""Writes groups of changes to PostgreSQL in bulk: through COPY into a temporary table, and a statement for all of them.

What a statement compares is the exact value that was expected: a row that has it is surely as it was. Whatever else a
row has, and whatever cannot be carried exactly, is left to those who look at each row.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.syncers.change_batch import ChangeBatch, Column
from datastoresync.syncers.changes import Same
from datastoresync.syncers.sql.blocks import Batch, Keyed
from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.copy_staging import Copied
from datastoresync.syncers.sql.copy_types import ExactColumn, exact_columns, has_column_triggers
from datastoresync.syncers.sql.statements import RefusalError, Statements

FEWEST = 500
"""Changes below which a temporary table costs more than it saves."""

Columns = Mapping[str, ExactColumn]
Write = Callable[[], set[int]]


def bulk_for(statements: Statements, same: Same) -> Bulk | None:
    """Return what writes in bulk within a transaction, if the database and its driver can."""
    return Bulk(statements, same) if statements.dialect.copies(statements.connection.dialect) else None


@attrs.define(eq=False)
class Bulk:
    """Writes batches, within a transaction.

    Args:
        statements: Where the transaction is.
        same: Compares raw values with expected ones.
    """

    statements: Statements
    same: Same
    _columns: dict[StoredTable, Columns] = attrs.field(init=False, factory=dict)
    _triggers: dict[StoredTable, bool] = attrs.field(init=False, factory=dict)

    def prepare(self, batch: Batch) -> None:
        """Do what can be done before a batch is written; not if that would take a question to the database."""
        if batch.keyed.target.stored in self._columns:
            batch.ready = list(self._ready(batch))

    def write(self, batch: Batch) -> Iterable[int]:
        """Write what it can of a batch, in order; return the places of the changes that were left alone.

        All others are done. A statement that is refused leaves its changes alone, as if it had not been.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        done = 0
        left: list[int] = []
        taken: list[Sequence[int]] = []
        for ready in self._ready(batch) if batch.ready is None else batch.ready:
            left += (ready.places[place] for place in self._written(ready))
            done += len(ready.places)
            taken.append(ready.places)
        if done < len(batch.changes):
            left += set(range(len(batch.changes))).difference(*taken)
        return sorted(left)

    def _ready(self, batch: Batch) -> Iterator[_Ready]:
        """Yield what is to be written, one statement each; nothing of what must be written otherwise."""
        if len(batch.changes) < FEWEST or not self._takes(batch.keyed):
            return
        writers: Mapping[str, Callable[[_Part], tuple[Copied, Write]]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
        }
        for places in self._parts(batch):
            if len(places) >= FEWEST:
                keys = batch.keys if len(places) == len(batch.keys) else [batch.keys[place] for place in places]
                part = _Part(batch.keyed, batch.changes.at(places), keys)
                yield _Ready(places, *writers[part.changes.verb](part))

    def _parts(self, batch: Batch) -> Iterator[Sequence[int]]:
        """Yield the places of the changes that one statement can make.

        Updates of different attributes go together unless a trigger would take an attribute that keeps its value for
        one that is updated. A statement for each attribute would look through the whole table as often.
        """
        changes, every = batch.changes, range(len(batch.changes))
        inexact = [
            column
            for columns in ((changes.values,) if changes.verb == "update" else (changes.values, changes.expected))
            for name, column in columns.items()
            if not self._exactly(batch.keyed, name)
        ]
        if any(column.concerns is None for column in inexact):
            return
        places: Sequence[int] = every
        if inexact:
            places = [
                place for place in every if not any(column.concerns and column.concerns[place] for column in inexact)
            ]
        flags = [column.concerns for column in changes.values.values() if column.concerns is not None]
        if not flags or not self._triggers[batch.keyed.target.stored]:
            yield places
            return
        shapes: dict[tuple[bool, ...], list[int]] = {}
        for place in places:
            shapes.setdefault(tuple(concerns[place] for concerns in flags), []).append(place)
        yield from shapes.values()

    def _takes(self, keyed: Keyed) -> bool:
        """Say whether the table's rows are told apart by keys that are compared exactly."""
        columns = self._exact(keyed)
        names = {column.name for column in keyed.keys}
        return names <= columns.keys() and any(unique <= names for unique in keyed.target.stored.unique)

    def _exactly(self, keyed: Keyed, name: str) -> bool:
        """Say whether an attribute is in a column that is written and compared exactly."""
        return name not in keyed.target.links and keyed.target.column(name).name in self._exact(keyed)

    def _exact(self, keyed: Keyed) -> Columns:
        stored = keyed.target.stored
        if stored not in self._columns:
            with self.statements.guarded():
                self._triggers[stored] = has_column_triggers(self.statements.connection, stored)
                self._columns[stored] = exact_columns(self.statements.connection, stored)
        return self._columns[stored]

    def _written(self, ready: _Ready) -> Iterable[int]:
        """Write a part; return the places of the changes that were left alone: all, if a statement is refused."""
        try:
            with self.statements.savepoint(), ready.rows.there():
                return ready.rows.unfit | ready.write()
        except RefusalError as refusal:
            if refusal.blames_store and not (refusal.cancelled and self._limits_time()):
                raise
            return range(len(ready.places))

    def _limits_time(self) -> bool:
        """Say whether statements are broken off that take long: those for a few rows each may still be in time."""
        with self.statements.guarded():
            return self.statements.connection.exec_driver_sql("SHOW statement_timeout").scalar() != "0"

    def _insert(self, part: _Part) -> tuple[Copied, Write]:
        """Return what inserts the rows whose keys are not there yet, and gives the places of the others."""
        rows, matching = self._copied(part)
        columns = {column.name: name for column, name in zip(part.keyed.keys, rows.names, strict=True)}
        for attribute, column in part.changes.values.items():
            columns[part.column(attribute)] = rows.add(self._column(part, attribute), column.values)
        exact = self._exact(part.keyed)
        names, news = ", ".join(exact[name].name for name in columns), ", ".join(columns.values())

        def write() -> set[int]:
            known = f"DELETE FROM {rows.name} s USING {rows.target} t WHERE {_every(matching)}"  # noqa: S608 - names are quoted, and it has no values
            there = rows.execute(f"{known} RETURNING s.place")
            new = f"SELECT {news} FROM {rows.name} s ORDER BY s.place"  # noqa: S608 - names are quoted, and it has no values
            rows.execute(f"INSERT INTO {rows.target} ({names}) {new}", long=True)
            return there

        return rows, write

    def _update(self, part: _Part) -> tuple[Copied, Write]:
        """Return what updates the rows that surely are as expected, and gives the places of the others."""
        rows, matching = self._copied(part)
        news = []
        for attribute, values in part.changes.values.items():
            column = self._column(part, attribute)
            value = rows.add(column, values.values, values.concerns)
            news.append(f"{column.name} = {rows.where(values.concerns, value, f't.{column.name}')}")
        conditions = _every([*matching, *self._unchanged(rows, part)])
        changed = f"UPDATE {rows.target} t SET {', '.join(news)} FROM {rows.name} s"  # noqa: S608 - names are quoted, and it has no values
        return rows, lambda: rows.not_done(f"{changed} WHERE {conditions} RETURNING s.place")

    def _delete(self, part: _Part) -> tuple[Copied, Write]:
        """Return what deletes the rows that surely are as expected, and gives the places of the others."""
        rows, matching = self._copied(part)
        conditions = _every([*matching, *self._unchanged(rows, part)])
        gone = f"DELETE FROM {rows.target} t USING {rows.name} s WHERE {conditions}"  # noqa: S608 - names are quoted, and it has no values
        return rows, lambda: rows.not_done(f"{gone} RETURNING s.place")

    def _column(self, part: _Part, attribute: str) -> ExactColumn:
        return self._exact(part.keyed)[part.column(attribute)]

    def _copied(self, part: _Part) -> tuple[Copied, list[str]]:
        """Return rows with the keys of changes, and the conditions that a row of the table has such a key."""
        table, count = part.keyed.target.stored.table, len(part.changes)
        rows = Copied(self.statements, table, count, keys=len(part.keyed.keys))
        columns = [self._exact(part.keyed)[column.name] for column in part.keyed.keys]
        keys = zip(*part.keys, strict=True)
        return rows, [f"t.{column.name} = {rows.add(column, key)}" for column, key in zip(columns, keys, strict=True)]

    def _unchanged(self, rows: Copied, part: _Part) -> Iterator[str]:
        """Add what is expected to the rows; yield the conditions that the table still has it."""
        for attribute, expected in part.expected.items():
            column = self._column(part, attribute)
            name = rows.add(column, expected.values, expected.concerns)
            self._doubt(rows, part, attribute, Column(column.raw(rows.values[-1]), expected.concerns), expected)
            yield rows.where(expected.concerns, f"t.{column.name} IS NOT DISTINCT FROM {name}", "true")

    def _doubt(self, rows: Copied, part: _Part, attribute: str, raws: Column, expected: Column) -> None:
        """Leave out the rows whose expected value would not be taken for the same if the table gave it back."""
        at_once: Callable[..., bool] | None = getattr(self.same, "same_column", None)
        if at_once is not None and at_once(part.changes[0], attribute, raws.concerned, expected.concerned):
            return
        for place, (raw, value) in enumerate(zip(raws.values, expected.values, strict=True)):
            asked = expected.concerns is None or expected.concerns[place]
            if asked and place not in rows.unfit and not self.same(part.changes[place], attribute, raw, value):
                rows.unfit.add(place)


@attrs.frozen(eq=False)
class _Ready:
    """Changes that one statement makes, as far as they can be prepared.

    Args:
        places: Which changes of a batch they are.
        rows: What is to be copied into a temporary table.
        write: Writes them once that is there; gives the places of those that were left alone.
    """

    places: Sequence[int]
    rows: Copied
    write: Write


@attrs.frozen(eq=False)
class _Part:
    """Changes that one statement makes.

    Args:
        keyed: Where they are.
        changes: The changes.
        keys: Their keys, as the database compares them.
    """

    keyed: Keyed
    changes: ChangeBatch
    keys: Sequence[tuple[Any, ...]]

    @property
    def expected(self) -> dict[str, Column]:
        """What is to be compared; an update is not asked about attributes that it does not change."""
        values, expected = self.changes.values, self.changes.expected
        if self.changes.verb != "update":
            return dict(expected)
        return {name: column.where(values[name]) for name, column in expected.items() if name in values}

    def column(self, attribute: str) -> str:
        """Return the name of the column of an attribute."""
        return self.keyed.target.column(attribute).name


def _every(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions)
