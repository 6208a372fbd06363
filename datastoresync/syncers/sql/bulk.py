"""Writes batches of changes to PostgreSQL: through COPY into a temporary table, and a statement for all of them.

What a statement compares is the exact value that was expected: a row that has it is surely as it was. Rows that have
anything else, and changes with what cannot be carried exactly, are left to be looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import attrs

from datastoresync.syncers.changes import Column, Same
from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.copy_staging import CopyStaging, ExactColumn, exact_columns, has_column_triggers
from datastoresync.syncers.sql.references import followed_of
from datastoresync.syncers.sql.statements import Batch, KeyedTable, RefusalError, Statements

FEWEST = 500
"""Changes below which a temporary table costs more than it saves."""

_PIECES = 8
"""Parts that a refused statement is tried in: less is written twice for one bad row than by halves."""

Columns = Mapping[str, ExactColumn]
Write = Callable[[], set[int]]


@attrs.define(eq=False)
class Written:
    """What was not written of a batch, by index.

    Args:
        left: What has to be looked at one by one.
        put_off: What may be taken once other rows are changed.
    """

    left: list[int] = attrs.field(factory=list)
    put_off: list[int] = attrs.field(factory=list)


@attrs.define(eq=False)
class BulkWriter:
    """Writes batches, within a transaction.

    Args:
        statements: Where the transaction is.
        same: Compares raw values with expected ones.
        check: Is called after each statement, and raises what is then to be taken as its refusal.
    """

    statements: Statements
    same: Same
    check: Callable[[], None] | None = attrs.field(init=False, default=None)
    _columns: dict[StoredTable, Columns] = attrs.field(init=False, factory=dict)
    _triggers: dict[StoredTable, bool] = attrs.field(init=False, factory=dict)

    def prepare(self, batch: Batch) -> None:
        """Do what can be done before a batch is written; not if that would take a question to the database."""
        if batch.keyed.target.stored in self._columns:
            batch.prepared = list(self._prepared(batch))

    def write(self, batch: Batch, *, again: bool = False) -> Written:
        """Write what it can of a batch, in order.

        A statement that is refused is tried in smaller and smaller pieces, unless it may be taken once other rows are
        changed: then all of its changes are put off. Small pieces are left alone, as if they had not been tried.

        Args:
            batch: The changes.
            again: Whether they were put off before; then pieces of what is still refused are tried, too, unless most
                of them are refused.

        Raises:
            RefusalError: The store as a whole gave up.
        """
        written = Written()
        taken: list[Sequence[int]] = []
        for part in self._prepared(batch) if batch.prepared is None else batch.prepared:
            refusal = self._refused(part, written)
            if refusal is not None:
                self._write_pieces(batch, part.indexes, refusal, written, again=again)
            taken.append(part.indexes)
        if sum(map(len, taken)) < len(batch.changes):
            written.left += set(range(len(batch.changes))).difference(*taken)
        return written

    def _write_pieces(
        self, batch: Batch, indexes: Sequence[int], refusal: RefusalError, written: Written, *, again: bool
    ) -> None:
        if refusal.may_pass and not again:
            written.put_off += indexes
            return
        size = max(FEWEST, -(-len(indexes) // _PIECES))
        if size >= len(indexes):
            written.left += indexes
            return
        starts = range(0, len(indexes), size)
        refused: list[tuple[Sequence[int], RefusalError]] = []
        for piece in (indexes[start : start + size] for start in starts):
            found = self._refused(self._part(batch, piece), written)
            if found is not None:
                refused.append((piece, found))
        if again and refusal.may_pass and len(refused) > len(starts) // 2:
            written.put_off += chain.from_iterable(piece for piece, _ in refused)
            return
        for piece, found in refused:
            self._write_pieces(batch, piece, found, written, again=again)

    def _prepared(self, batch: Batch) -> Iterator[_Part]:
        """Yield what is to be written, one statement each; nothing of what must be written otherwise."""
        if len(batch.changes) < FEWEST or not self._has_exact_key(batch.keyed):
            return
        for indexes in self._parts(batch):
            if len(indexes) >= FEWEST:
                yield self._part(batch, indexes)

    def _part(self, batch: Batch, indexes: Sequence[int]) -> _Part:
        writers = {"insert": self._insert, "update": self._update, "delete": self._delete}
        return _Part(indexes, *writers[batch.changes.verb](batch.at(indexes)))

    def _parts(self, batch: Batch) -> Iterator[Sequence[int]]:
        """Yield the indexes of the changes that one statement can make.

        Updates of different attributes go together unless a trigger would take an attribute that keeps its value for
        one that is updated. A statement for each attribute would look through the whole table as often.
        """
        changes, keyed = batch.changes, batch.keyed
        exact = self._exact(keyed)
        inexact = [
            column
            for columns in ((changes.values,) if changes.verb == "update" else (changes.values, changes.expected))
            for name, column in columns.items()
            if name in keyed.target.links or batch.column(name) not in exact
        ]
        if any(column.concerns is None for column in inexact):
            return
        indexes: Sequence[int] = range(len(changes))
        if inexact:
            indexes = [
                index for index in indexes if not any(column.concerns and column.concerns[index] for column in inexact)
            ]
        flags = [column.concerns for column in changes.values.values() if column.concerns is not None]
        if not flags or not self._triggers[keyed.target.stored]:
            yield indexes
            return
        shapes: dict[tuple[bool, ...], list[int]] = {}
        for index in indexes:
            shapes.setdefault(tuple(concerns[index] for concerns in flags), []).append(index)
        yield from shapes.values()

    def _has_exact_key(self, keyed: KeyedTable) -> bool:
        """Say whether the table's rows are told apart by keys that are compared exactly."""
        names = {column.name for column in keyed.keys}
        return names <= self._exact(keyed).keys() and any(unique <= names for unique in keyed.target.stored.unique)

    def _exact(self, keyed: KeyedTable) -> Columns:
        """Return the columns of a table that are written and compared exactly."""
        stored = keyed.target.stored
        if stored not in self._columns:
            with self.statements.guarded():
                self._triggers[stored] = has_column_triggers(self.statements.connection, stored)
                self._columns[stored] = {
                    name: exact
                    for name, exact in exact_columns(self.statements.connection, stored).items()
                    if followed_of(stored.column(name)) is None  # the ids are looked up block by block
                }
        return self._columns[stored]

    def _refused(self, part: _Part, written: Written) -> RefusalError | None:
        """Write a part, and note which of its changes were left alone; return the refusal if there was one."""
        try:
            with self.statements.savepoint(), part.staging.filled():
                left = part.staging.unfit | part.write()
                if self.check is not None:
                    self.check()
        except RefusalError as refusal:
            if refusal.blames_store and not (refusal.cancelled and self._limits_time()):
                raise
            return refusal
        written.left += (part.indexes[index] for index in left)
        return None

    def _limits_time(self) -> bool:
        """Say whether statements are broken off that take long: those for a few rows each may still be in time."""
        with self.statements.guarded():
            return self.statements.connection.exec_driver_sql("SHOW statement_timeout").scalar() != "0"

    def _insert(self, batch: Batch) -> tuple[CopyStaging, Write]:
        """Return what inserts the rows whose keys are not there yet, and gives the indexes of the others."""
        rows, matching = self._staging(batch)
        columns = {column.name: name for column, name in zip(batch.keyed.keys, rows.names, strict=True)}
        for attribute, column in batch.changes.values.items():
            columns[batch.column(attribute)] = rows.add(self._column(batch, attribute), column.values)
        exact = self._exact(batch.keyed)
        names, values = ", ".join(exact[name].name for name in columns), ", ".join(columns.values())

        def write() -> set[int]:
            self.statements.note_written(batch.keyed.target.stored, columns)
            known = f"DELETE FROM {rows.name} s USING {rows.target} t WHERE {' AND '.join(matching)}"  # noqa: S608 - names are quoted, and it has no values
            there = rows.execute(f"{known} RETURNING s.ordinal")
            new = f"SELECT {values} FROM {rows.name} s ORDER BY s.ordinal"  # noqa: S608 - names are quoted, and it has no values
            rows.execute(f"INSERT INTO {rows.target} ({names}) {new}", long=True)
            return there

        return rows, write

    def _update(self, batch: Batch) -> tuple[CopyStaging, Write]:
        """Return what updates the rows that surely are as expected, and gives the indexes of the others."""
        rows, matching = self._staging(batch)
        values = []
        for attribute, column in batch.changes.values.items():
            exact = self._column(batch, attribute)
            value = rows.add(exact, column.values, column.concerns)
            values.append(f"{exact.name} = {rows.where(column.concerns, value, f't.{exact.name}')}")
        conditions = " AND ".join([*matching, *self._unchanged(rows, batch)])
        changed = f"UPDATE {rows.target} t SET {', '.join(values)} FROM {rows.name} s"  # noqa: S608 - names are quoted, and it has no values
        return rows, lambda: rows.not_done(f"{changed} WHERE {conditions} RETURNING s.ordinal")

    def _delete(self, batch: Batch) -> tuple[CopyStaging, Write]:
        """Return what deletes the rows that surely are as expected, and gives the indexes of the others."""
        rows, matching = self._staging(batch)
        conditions = " AND ".join([*matching, *self._unchanged(rows, batch)])
        gone = f"DELETE FROM {rows.target} t USING {rows.name} s WHERE {conditions}"  # noqa: S608 - names are quoted, and it has no values
        return rows, lambda: rows.not_done(f"{gone} RETURNING s.ordinal")

    def _column(self, batch: Batch, attribute: str) -> ExactColumn:
        return self._exact(batch.keyed)[batch.column(attribute)]

    def _staging(self, batch: Batch) -> tuple[CopyStaging, list[str]]:
        """Return rows with the keys of changes, and the conditions that a row of the table has such a key."""
        keys, exact = batch.keyed.keys, self._exact(batch.keyed)
        rows = CopyStaging(self.statements, batch.keyed.target.stored.table, len(batch.changes), keys=len(keys))
        columns = zip((exact[column.name] for column in keys), zip(*batch.keys, strict=True), strict=True)
        return rows, [f"t.{column.name} = {rows.add(column, values)}" for column, values in columns]

    def _unchanged(self, rows: CopyStaging, batch: Batch) -> Iterator[str]:
        """Add what is expected to the rows; yield the conditions that the table still has it."""
        for attribute, expected in batch.expected.items():
            column = self._column(batch, attribute)
            name = rows.add(column, expected.values, expected.concerns)
            raws = Column(column.raw(rows.values[-1]), expected.concerns)
            self._leave_out_doubtful(rows, batch, attribute, raws, expected)
            yield rows.where(expected.concerns, f"t.{column.name} IS NOT DISTINCT FROM {name}", "true")

    def _leave_out_doubtful(
        self, rows: CopyStaging, batch: Batch, attribute: str, raws: Column, expected: Column
    ) -> None:
        """Leave out the rows whose expected value would not be taken for the same if the table gave it back."""
        changes = batch.changes
        same_column: Callable[..., bool] | None = getattr(self.same, "same_column", None)
        if same_column is not None and same_column(changes[0], attribute, raws.concerned, expected.concerned):
            return
        for index, (raw, value) in enumerate(zip(raws.values, expected.values, strict=True)):
            asked = expected.concerns is None or expected.concerns[index]
            if asked and index not in rows.unfit and not self.same(changes[index], attribute, raw, value):
                rows.unfit.add(index)


@attrs.frozen(eq=False)
class _Part:
    """Changes that one statement makes, prepared.

    Args:
        indexes: Which changes of a batch they are.
        staging: What is to be copied into a temporary table.
        write: Writes them once that is there; gives the indexes of those that were left alone.
    """

    indexes: Sequence[int]
    staging: CopyStaging
    write: Write
