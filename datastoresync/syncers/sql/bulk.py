"""Writes batches of changes to PostgreSQL: through COPY into a temporary table, and a statement for all of them.

What a statement compares is the exact value that was expected: a row that has it is surely as it was. Rows that have
anything else, and changes with what cannot be carried exactly, are left to be looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import attrs

from datastoresync.syncers.changes import Column, Outcome, Same, same_column
from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.copy_staging import CopyStaging, ExactColumn, exact_columns, has_column_triggers
from datastoresync.syncers.sql.effects import DONE, EffectError, Effects
from datastoresync.syncers.sql.references import followed_of
from datastoresync.syncers.sql.statements import Batch, KeyedTable, RefusalError, Statements, Unit

FEWEST = 500
"""Changes below which a temporary table costs more than it saves."""

_PIECES = 8
"""Parts that a refused statement is tried in: less is written twice for one bad row than by halves."""

_HINTS = 2
"""Times that a statement is tried without the rows that the database seems to refuse."""
_SUSPECTS = 20
_KEY = re.compile(r"\((.*?)\)=\((.*?)\) ")

Columns = Mapping[str, ExactColumn]
Write = Callable[[], tuple[set[int], set[int]]]


@attrs.define(eq=False)
class Written:
    """What was not written of a batch, by index.

    Args:
        left: What has to be looked at one by one.
        put_off: What may be taken once other rows are changed.
        told: What was written, but not just as it was asked for, with what is to be said of it.
    """

    left: list[int] = attrs.field(factory=list)
    put_off: list[int] = attrs.field(factory=list)
    told: list[tuple[Unit, Outcome]] = attrs.field(factory=list)


@attrs.define(eq=False)
class BulkWriter:
    """Writes batches, within a transaction.

    Args:
        statements: Where the transaction is.
        same: Compares raw values with expected ones.
        effects: Reads what was written.
        check: Is called after each statement, and raises what is then to be taken as its refusal.
    """

    statements: Statements
    same: Same
    effects: Effects
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
            self._write_part(batch, part, written, again=again)
            taken.append(part.indexes)
        if sum(map(len, taken)) < len(batch.changes):
            written.left += set(range(len(batch.changes))).difference(*taken)
        return written

    def _write_part(self, batch: Batch, part: _Part, written: Written, *, again: bool) -> None:
        refusal = self._refused(part, written)
        for _ in range(_HINTS):
            suspects = set() if refusal is None else self._suspects(batch, part.indexes, refusal.detail)
            if refusal is None or not suspects:
                break
            (written.put_off if refusal.may_pass else written.left).extend(suspects)
            rest = [index for index in part.indexes if index not in suspects]
            if len(rest) < FEWEST:
                written.left += rest
                return
            part = self._part(batch, rest)
            refusal = self._refused(part, written)
        if refusal is not None:
            self._write_pieces(batch, part.indexes, refusal, written, again=again)

    def _suspects(self, batch: Batch, indexes: Sequence[int], detail: str) -> set[int]:
        """Return the changes that what the database says of a row may be about; none, if these are too many.

        It shows the values as they are stored, or the whole row, cut off; so this is no more than a good guess.
        """
        changes = batch.changes
        of_keys = zip(batch.keyed.keys, zip(*batch.keys, strict=True), strict=True)
        by_column: dict[str, Sequence[Any]] = {column.name: values for column, values in of_keys}
        if key := _KEY.search(detail):
            by_column |= {batch.column(name): column.values for name, column in changes.values.items()}
            names, value = key[1].split(", "), key[2]
            if not by_column.keys() >= set(names):
                return set()
            columns = [by_column[name] for name in names]
            found = {index for index in indexes if ", ".join(str(column[index]) for column in columns) == value}
        else:
            shown = set(detail.partition("(")[2].removesuffix(").").split(", "))
            found = {index for index in indexes if all(str(column[index]) in shown for column in by_column.values())}
        return found if len(found) <= _SUSPECTS else set()

    def _write_pieces(
        self, batch: Batch, indexes: Sequence[int], refusal: RefusalError, written: Written, *, again: bool
    ) -> None:
        if refusal.may_pass and not again:
            written.put_off += indexes
            return
        if isinstance(refusal, EffectError):
            without = {unit.changes[0][0] for unit, _ in refusal.failed}
            written.left += (index for index in indexes if batch.positions[index] in without)
            indexes = [index for index in indexes if batch.positions[index] not in without]
            if len(indexes) < FEWEST or self._refused(self._part(batch, indexes), written) is not None:
                written.left += indexes
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
        part = batch.at(indexes)
        return _Part(indexes, part, *writers[part.changes.verb](part))

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
                    # The ids are looked up block by block, where columns that follow from others are left out, too.
                    if followed_of(stored.column(name)) is None and name not in stored.computed
                }
        return self._columns[stored]

    def _refused(self, part: _Part, written: Written) -> RefusalError | None:
        """Write a part, and note which of its changes were left alone; return the refusal if there was one."""
        try:
            with self.statements.savepoint(), part.staging.filled():
                stored, verb = part.batch.keyed.target.stored, part.batch.changes.verb
                self.effects.expect(stored, verb)
                left, otherwise = part.write()
                self.statements.counts.note(stored.full_name, verb, part.staging.size - len(part.staging.unfit | left))
                told = self._told(part.batch, otherwise, left)
                if self.check is not None:
                    self.check()
        except RefusalError as refusal:
            if refusal.blames_store and not (refusal.cancelled and self._limits_time()):
                raise
            return refusal
        written.left += (part.indexes[index] for index in part.staging.unfit | left)
        written.told += told
        return None

    def _limits_time(self) -> bool:
        """Say whether statements are broken off that take long: those for a few rows each may still be in time."""
        with self.statements.guarded():
            return self.statements.connection.exec_driver_sql("SHOW statement_timeout").scalar() != "0"

    def _told(self, batch: Batch, otherwise: set[int], left: set[int]) -> list[tuple[Unit, Outcome]]:
        """Return what is to be said of changes that were made otherwise than they were asked for, or left alone.

        Raises:
            EffectError: Some of them were not made at all.
        """
        if not otherwise:
            return []
        units = batch.units(sorted(otherwise))
        swallowed = [unit for unit, index in zip(units, sorted(otherwise), strict=True) if index in left]
        read: dict[str, Callable[[KeyedTable, Sequence[Unit]], list[Outcome]]] = {
            "insert": self.effects.inserted,
            "update": partial(self.effects.updated, swallowed=swallowed),
            "delete": self.effects.deleted,
        }
        found = list(zip(units, read[batch.changes.verb](batch.keyed, units), strict=True))
        if failed := [(unit, outcome) for unit, outcome in found if outcome.status == "failed"]:
            raise EffectError(failed)
        return [(unit, outcome) for unit, outcome in found if outcome is not DONE]

    def _believes(self, batch: Batch) -> bool:
        """Say whether rows stay as a statement says that it leaves them: there is nothing else that comes after it."""
        return not self.effects.interventions(batch.keyed.target.stored, batch.changes.verb)

    def _insert(self, batch: Batch) -> tuple[CopyStaging, Write]:
        """Return what inserts the rows whose keys are not there yet, and gives the indexes of the others."""
        rows, matching = self._staging(batch)
        columns = {column.name: name for column, name in zip(batch.keyed.keys, rows.names, strict=True)}
        for attribute, column in batch.changes.values.items():
            columns[batch.column(attribute)] = rows.add(self._column(batch, attribute), column.values)
        exact = self._exact(batch.keyed)
        names, values = ", ".join(exact[name].name for name in columns), ", ".join(columns.values())
        same = [*matching, *(f"t.{exact[name].name} IS NOT DISTINCT FROM {value}" for name, value in columns.items())]

        def write() -> tuple[set[int], set[int]]:
            self.statements.note_written(batch.keyed.target.stored, columns)
            known = f"DELETE FROM {rows.name} s USING {rows.target} t WHERE {' AND '.join(matching)}"  # noqa: S608 - names are quoted, and it has no values
            there = rows.execute(f"{known} RETURNING s.ordinal")
            new = f"SELECT {values} FROM {rows.name} s ORDER BY s.ordinal"  # noqa: S608 - names are quoted, and it has no values
            insert = f"INSERT INTO {rows.target} ({names}) {new}"
            if self._believes(batch):
                done = f"WITH written AS ({insert} RETURNING {names})"
                return there, rows.execute(f"{done} {rows.without('written', same)}", long=True)
            rows.execute(insert, long=True)
            return there, rows.execute(rows.without(rows.target, same))

        return rows, write

    def _update(self, batch: Batch) -> tuple[CopyStaging, Write]:
        """Return what updates the rows that surely are as expected, and gives the indexes of the others."""
        rows, matching = self._staging(batch)
        values, same = [], []
        for attribute, column in batch.changes.values.items():
            exact = self._column(batch, attribute)
            value = rows.add(exact, column.values, column.concerns)
            values.append(f"{exact.name} = {rows.where(column.concerns, value, f't.{exact.name}')}")
            same.append(rows.where(column.concerns, f"t.{exact.name} IS NOT DISTINCT FROM {value}", "true"))
        conditions = [*matching, *self._unchanged(rows, batch)]
        changed = f"UPDATE {rows.target} t SET {', '.join(values)} FROM {rows.name} s WHERE {' AND '.join(conditions)}"  # noqa: S608 - names are quoted, and it has no values

        def write() -> tuple[set[int], set[int]]:
            if self._believes(batch):
                return rows.not_done(changed, " AND ".join(same))
            able = rows.execute(rows.within(rows.target, conditions))
            besides = self._besides(rows, batch, matching)
            left, _ = rows.not_done(changed)
            otherwise = rows.execute(rows.without(rows.target, [*matching, *same])) - left
            if besides is not None and rows.execute(besides) - left:
                message = (
                    "another synced attribute of a row changes along with the update, by a trigger or a rule: leave "
                    "that attribute to the database, or drop the trigger"
                )
                raise RefusalError(message, None)
            return left, otherwise | (left & able)

        return rows, write

    def _delete(self, batch: Batch) -> tuple[CopyStaging, Write]:
        """Return what deletes the rows that surely are as expected, and gives the indexes of the others."""
        rows, matching = self._staging(batch)
        conditions = [*matching, *self._unchanged(rows, batch)]
        gone = f"DELETE FROM {rows.target} t USING {rows.name} s WHERE {' AND '.join(conditions)}"  # noqa: S608 - names are quoted, and it has no values

        def write() -> tuple[set[int], set[int]]:
            if self._believes(batch):
                return rows.not_done(gone)
            able = rows.execute(rows.within(rows.target, conditions))
            left, _ = rows.not_done(gone)
            still = rows.execute(rows.within(rows.target, matching)) - left
            return left, still | (left & able)

        return rows, write

    def _besides(self, rows: CopyStaging, batch: Batch, matching: Sequence[str]) -> str | None:
        """Keep what an update does not ask for; return what gives the indexes of rows that then have something else."""
        quote = self.statements.connection.dialect.identifier_preparer.quote
        values = batch.changes.values
        names = {
            name: f"t.{quote(batch.column(name))}::text"
            for name in self.effects.besides(batch.keyed)
            if name not in values or values[name].concerns is not None
        }
        if not names:
            return None
        same = [
            f"b.w{number} IS NOT DISTINCT FROM {column}"
            if name not in values
            else rows.where(values[name].concerns, "true", f"b.w{number} IS NOT DISTINCT FROM {column}")
            for number, (name, column) in enumerate(names.items())
        ]
        return rows.keeping([f"{column} AS w{number}" for number, column in enumerate(names.values())], matching, same)

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
        if same_column(self.same, changes[0], attribute, raws.concerned, expected.concerned):
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
        batch: These changes.
        staging: What is to be copied into a temporary table.
        write: Writes them once that is there; gives the indexes of those that were left alone, and of those that are
            not as they were to be.
    """

    indexes: Sequence[int]
    batch: Batch
    staging: CopyStaging
    write: Write
