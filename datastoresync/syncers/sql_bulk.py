"""Writes groups of changes to PostgreSQL in bulk: through COPY into a temporary table, and a statement for all of them.

What a statement compares is the exact value that was expected: a row that has it is surely as it was. Whatever else a
row has, and whatever cannot be carried exactly, is left to those who look at each row.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, groupby
from typing import Any

import attrs

from datastoresync.syncers.changes import Change, Same
from datastoresync.syncers.sql_blocks import Batch, Keyed
from datastoresync.syncers.sql_copied import Copied
from datastoresync.syncers.sql_exact import ExactColumn, exact_columns, has_column_triggers
from datastoresync.syncers.sql_schema import StoredTable
from datastoresync.syncers.sql_statements import RefusalError, Statements

__all__ = ["FEWEST", "Bulk", "bulk_for"]

FEWEST = 500
"""Changes below which a temporary table costs more than it saves."""
_OLDEST = (12,)
"""The first PostgreSQL with collations that hold different texts to be equal, and that says which they are."""

Columns = Mapping[str, ExactColumn]
Shape = tuple[tuple[str, ...], tuple[str, ...]]
"""The attributes that a change writes, and those that it expects something of."""


def bulk_for(statements: Statements, same: Same) -> Bulk | None:
    """Return what writes in bulk within a transaction, if the database and its driver can."""
    dialect: Any = statements.connection.dialect
    if (dialect.name, dialect.driver) != ("postgresql", "psycopg") or dialect.server_version_info < _OLDEST:
        return None
    return Bulk(statements, same)


@attrs.frozen(eq=False)
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

    def write(self, batch: Batch) -> Iterable[int]:
        """Write what it can of a batch, in order; return the places of the changes that were left alone.

        All others are done. A statement that is refused leaves its changes alone, as if it had not been.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        if len(batch.changes) < FEWEST or not self._takes(batch.keyed):
            return range(len(batch.changes))
        left: list[int] = []
        for places, names, expected in self._parts(batch):
            changes, keys = batch.changes, batch.keys
            if len(places) < len(changes):
                changes, keys = [changes[place] for place in places], [keys[place] for place in places]
            part = _Part(batch.keyed, changes, keys, names, expected)
            exact = len(places) >= FEWEST and self._exactly(batch.keyed, {*names, *expected})
            left += [places[place] for place in self._written(batch.verb, part)] if exact else places
        return sorted(left)

    def _parts(self, batch: Batch) -> Iterator[tuple[Sequence[int], tuple[str, ...], tuple[str, ...]]]:
        """Yield the places of the changes that one statement can make, with the attributes written and expected.

        Inserted rows go together only as long as they follow each other: parents must stay first. Updates of different
        attributes go together unless a trigger would take an attribute that keeps its value for one that is updated.
        """
        every = range(len(batch.changes))
        if batch.verb == "insert":
            for names, places in groupby(every, key=lambda place: tuple(batch.changes[place].values)):
                yield list(places), names, ()
            return
        found: dict[Shape, list[int]] = {}
        for place, change in enumerate(batch.changes):
            found.setdefault((tuple(change.values), tuple(change.expected)), []).append(place)
        exact = [shape for shape in found if self._exactly(batch.keyed, shape[0])]
        if len(exact) > 1 and batch.verb == "update" and not self._has_column_triggers(batch.keyed.target.stored):
            names = tuple(dict.fromkeys(name for shape, _ in exact for name in shape))
            expected = tuple(dict.fromkeys(name for _, shape in exact for name in shape if name in names))
            yield sorted(place for shape in exact for place in found.pop(shape)), names, expected
        for (names, expected), some in found.items():
            # What is expected of other attributes than those that change is not asked about.
            yield some, names, tuple(name for name in expected if name in names or not names)

    def _takes(self, keyed: Keyed) -> bool:
        """Say whether the table's rows are told apart by keys that are compared exactly."""
        columns = self._exact(keyed)
        names = {column.name for column in keyed.keys}
        return names <= columns.keys() and any(unique <= names for unique in keyed.target.stored.unique)

    def _exactly(self, keyed: Keyed, names: Iterable[str]) -> bool:
        """Say whether these attributes are in columns that are written and compared exactly."""
        target, columns = keyed.target, self._exact(keyed)
        return all(name not in target.links and target.column(name).name in columns for name in names)

    def _exact(self, keyed: Keyed) -> Columns:
        stored = keyed.target.stored
        if stored not in self._columns:
            with self.statements.guarded():
                self._columns[stored] = exact_columns(self.statements.connection, stored)
        return self._columns[stored]

    def _has_column_triggers(self, stored: StoredTable) -> bool:
        if stored not in self._triggers:
            with self.statements.guarded():
                self._triggers[stored] = has_column_triggers(self.statements.connection, stored)
        return self._triggers[stored]

    def _written(self, verb: str, part: _Part) -> Iterable[int]:
        """Write a part; return the places of the changes that were left alone: all, if a statement is refused."""
        writers: Mapping[str, Callable[[_Part], set[int]]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
        }
        try:
            with self.statements.savepoint():
                return writers[verb](part)
        except RefusalError as refusal:
            if refusal.blames_store:
                raise
            return range(len(part.changes))

    def _insert(self, part: _Part) -> set[int]:
        """Insert the rows whose keys are not there yet; return the places of the others."""
        rows, matching = self._copied(part)
        columns = {column.name: name for column, name in zip(part.keyed.keys, rows.names, strict=True)}
        for attribute in part.names:
            values = [change.values[attribute] for change in part.changes]
            columns[part.column(attribute)] = rows.add(self._column(part, attribute), values)
        exact = self._exact(part.keyed)
        names, news = ", ".join(exact[name].name for name in columns), ", ".join(columns.values())
        with rows.there():
            known = f"DELETE FROM {rows.name} s USING {rows.target} t WHERE {_every(matching)}"  # noqa: S608 - names are quoted, and it has no values
            there = rows.execute(f"{known} RETURNING s.place")
            new = f"SELECT {news} FROM {rows.name} s ORDER BY s.place"  # noqa: S608 - names are quoted, and it has no values
            rows.execute(f"INSERT INTO {rows.target} ({names}) {new}")
        return rows.unfit | there

    def _update(self, part: _Part) -> set[int]:
        """Update the rows that surely are as expected; return the places of the others."""
        rows, matching = self._copied(part)
        news = []
        for attribute in part.names:
            column = self._column(part, attribute)
            value = rows.add(column, [change.values.get(attribute) for change in part.changes])
            written = [attribute in change.values for change in part.changes]
            news.append(f"{column.name} = {rows.where(written, value, f't.{column.name}')}")
        conditions = _every([*matching, *self._unchanged(rows, part)])
        with rows.there():
            changed = f"UPDATE {rows.target} t SET {', '.join(news)} FROM {rows.name} s"  # noqa: S608 - names are quoted, and it has no values
            return rows.unfit | rows.not_done(f"{changed} WHERE {conditions} RETURNING s.place")

    def _delete(self, part: _Part) -> set[int]:
        """Delete the rows that surely are as expected; return the places of the others."""
        rows, matching = self._copied(part)
        conditions = _every([*matching, *self._unchanged(rows, part)])
        with rows.there():
            gone = f"DELETE FROM {rows.target} t USING {rows.name} s WHERE {conditions}"  # noqa: S608 - names are quoted, and it has no values
            return rows.unfit | rows.not_done(f"{gone} RETURNING s.place")

    def _column(self, part: _Part, attribute: str) -> ExactColumn:
        return self._exact(part.keyed)[part.column(attribute)]

    def _copied(self, part: _Part) -> tuple[Copied, list[str]]:
        """Return rows with the keys of changes, and the conditions that a row of the table has such a key."""
        rows = Copied(self.statements, part.keyed.target.stored.table, len(part.changes))
        columns = [self._exact(part.keyed)[column.name] for column in part.keyed.keys]
        keys = zip(*part.keys, strict=True)
        return rows, [f"t.{column.name} = {rows.add(column, key)}" for column, key in zip(columns, keys, strict=True)]

    def _unchanged(self, rows: Copied, part: _Part) -> Iterator[str]:
        """Add what is expected to the rows; yield the conditions that the table still has it."""
        for attribute in part.expected:
            column = self._column(part, attribute)
            asked = [attribute in change.expected and part.writes(change, attribute) for change in part.changes]
            name = rows.add(column, [change.expected.get(attribute) for change in part.changes])
            self._doubt(rows, part, attribute, column.raw(rows.values[-1]), asked)
            yield rows.where(asked, f"t.{column.name} IS NOT DISTINCT FROM {name}", "true")

    def _doubt(self, rows: Copied, part: _Part, attribute: str, raws: Sequence[Any], asked: Sequence[bool]) -> None:
        """Leave out the rows whose expected value would not be taken for the same if the table gave it back."""
        at_once: Callable[..., bool] | None = getattr(self.same, "same_column", None)
        changes = list(compress(part.changes, asked))
        values = [change.expected[attribute] for change in changes]
        if at_once is not None and at_once(changes[0], attribute, list(compress(raws, asked)), values):
            return
        for place, change in compress(enumerate(part.changes), asked):
            if place not in rows.unfit and not self.same(change, attribute, raws[place], change.expected[attribute]):
                rows.unfit.add(place)


@attrs.frozen(eq=False)
class _Part:
    """Changes of one verb and shape, and the keys of each.

    Args:
        keyed: Where they are.
        changes: The changes.
        keys: Their keys, as the database compares them.
        names: The attributes that they write.
        expected: The attributes that they expect something of.
    """

    keyed: Keyed
    changes: Sequence[Change]
    keys: Sequence[tuple[Any, ...]]
    names: tuple[str, ...]
    expected: tuple[str, ...]

    def writes(self, change: Change, attribute: str) -> bool:
        """Say whether a change concerns an attribute; a deletion does all."""
        return not self.names or attribute in change.values

    def column(self, attribute: str) -> str:
        """Return the name of the column of an attribute."""
        return self.keyed.target.column(attribute).name


def _every(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions)
