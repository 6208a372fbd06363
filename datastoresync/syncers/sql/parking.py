"""NULL, or a value that no row has, in the place of a value that has to be free, or of a reference that is in the way.

A run parks only within a savepoint, and what is parked is put right in the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any
from uuid import UUID, uuid4

import attrs
import sqlalchemy as sa

from datastoresync.syncers.changes import Held, Outcome
from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.constraints import RowChange, RowChanges, Token
from datastoresync.syncers.sql.ordering import ordered_groups, runs_of
from datastoresync.syncers.sql.spellings import Key
from datastoresync.syncers.sql.statements import KeyedTable, Row, Statements, Unit
from datastoresync.syncers.sql.unit_writer import UnitWriter, object_of

_VERBS = ("unlink", "insert", "update", "link", "delete")
STYLES = 3
"""Ways to park: NULL where it can be, a value that nobody has, and another one."""
_TRIES = 100
"""Texts of the same form as another one that are tried, as few of them may be free."""


class CannotParkError(Exception):
    """There is no value to put in the place of another one."""


def write_in_order(
    writer: UnitWriter, rows: RowChanges, units: Sequence[Unit], completions: Sequence[Unit] = ()
) -> list[Outcome]:
    """Write units, each kind in turn and in order, and what completes them; return the outcomes of all."""
    outcomes: dict[int, Outcome] = {}
    every = [*units, *completions]
    deleted = {object_of(unit) for unit in units if unit.verb == "delete"}
    for verb in _VERBS:
        some = [unit for unit in every if unit.verb == verb]
        ordered = [unit for group in ordered_groups(some, rows.of(some)) for unit in group]
        for run in runs_of([unit] for unit in ordered):
            kept = writer.guard.kept(run[0].keyed, [unit.key for unit in run], deleted) if verb == "delete" else {}
            outcomes |= {id(unit): Outcome("conflict", kept[unit.key]) for unit in run if unit.key in kept}
            if free := [unit for unit in run if unit.key not in kept]:
                outcomes.update(zip(map(id, free), writer.blocks.write(free), strict=True))
    return [outcomes[id(unit)] for unit in every]


@attrs.frozen(eq=False)
class Parking:
    """Writes units that are in each other's way.

    Args:
        writer: Writes blocks.
        rows: Finds out which rows units change.
    """

    writer: UnitWriter
    rows: RowChanges

    def write(self, units: Sequence[Unit], style: int) -> list[Outcome]:
        """Park, write, and put right what was parked; return the outcomes, after the first that is not done.

        Raises:
            RefusalError: The database refused something.
            CannotParkError: There is nothing to park, or nothing to put in its place.
        """
        of_each = self.rows.of(units)
        needed = {token for of_unit in of_each for row in of_unit for token in row.needs()}
        given = {token for of_unit in of_each for row in of_unit for token in row.gives()}
        values = _FreeValues(self.writer.statements, style)
        parked: dict[tuple[KeyedTable, str], list[tuple[Any, ...]]] = {}
        pairs: list[tuple[Unit, Unit | None]] = []
        for unit, of_unit in zip(units, of_each, strict=True):
            row = of_unit[0]
            completion = None
            if unit.verb in ("update", "delete"):
                for column, value in _parked(unit, row, needed, values):
                    parked.setdefault((unit.keyed, column), []).append((value, *unit.key))
            elif unit.verb == "insert":
                columns = {column for key in row.referring_to(given, before=False) for column in key}
                unit, completion = _split(unit, columns & row.constraints.nullable)  # noqa: PLW2901 - it stands for it
            pairs.append((unit, completion))
        completions = [completion for _, completion in pairs if completion is not None]
        if not parked and not completions:
            raise CannotParkError
        blocks = self.writer.blocks
        blocks.parked.update(self._before(units, parked))
        try:
            for (keyed, column), some in parked.items():
                self.writer.statements.update(keyed.target.stored, (column,), keyed.keys, some)
            outcomes = write_in_order(self.writer, self.rows, [unit for unit, _ in pairs], completions)
        finally:
            blocks.parked.clear()
        completed = iter(outcomes[len(pairs) :])
        return [
            outcome if completion is None else _united(outcome, next(completed))
            for outcome, (_, completion) in zip(outcomes, pairs, strict=False)
        ]

    def _before(
        self, units: Sequence[Unit], parked: Iterable[tuple[KeyedTable, str]]
    ) -> dict[StoredTable, dict[Key, Row]]:
        """Return the raw values that will be parked, by table, key and attribute."""
        columns: dict[KeyedTable, list[str]] = {}
        for keyed, column in parked:
            columns.setdefault(keyed, []).append(column)
        found: dict[StoredTable, dict[Key, Row]] = {}
        for keyed, names in columns.items():
            keys = [unit.key for unit in units if unit.keyed is keyed]
            rows = self.writer.statements.current(keyed, keys, [keyed.target.stored.column(name) for name in names])
            for unit in units:
                if unit.keyed is keyed and unit.key in rows:
                    row = rows[unit.key]
                    own = {name: row[column] for name, column in _columns(unit).items() if column in row}
                    found.setdefault(keyed.target.stored, {}).setdefault(unit.key, {}).update(own)
        return found


def _parked(unit: Unit, row: RowChange, needed: set[Token], values: _FreeValues) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a row to park in, with what to put there."""
    keys = {column.name for column in unit.keyed.keys}
    referring = {column for key in row.constraints.foreign for column in key.columns}
    done: set[str] = set()
    if unit.verb == "delete":
        for columns in row.referring_to(needed, before=True):
            free = (row.constraints.nullable & set(columns)) - keys
            yield from ((column, None) for column in free - done)
            done |= free
    for columns in row.taken_by(needed):
        own = [name for name in columns if name not in keys and row.before[name] != row.after.get(name)]
        if not done.isdisjoint(own):
            continue
        column, value = values.instead_of(row, own, referring)
        done.add(column)
        yield column, value


def _split(unit: Unit, columns: AbstractSet[str]) -> tuple[Unit, Unit | None]:
    """Return a new object without some references, and the update that completes it."""
    later = {name: unit.change.values[name] for name, column in _columns(unit).items() if column in columns}
    if not later:
        return unit, None
    (position, change), *_ = unit.changes
    without = attrs.evolve(change, values={**change.values, **dict.fromkeys(later)})
    completing = attrs.evolve(change, verb="update", values=later, expected={})
    return (
        Unit(unit.keyed, "insert", unit.key, position, without),
        Unit(unit.keyed, "update", unit.key, position, completing),
    )


def _columns(unit: Unit) -> dict[str, str]:
    """Return the columns of the attributes that a unit writes, or expects."""
    target = unit.keyed.target
    names = (name for _, change in unit.changes for name in (*change.values, *change.expected))
    return {name: target.column(name).name for name in names if name not in target.links}


def _united(first: Outcome, second: Outcome) -> Outcome:
    """Return the outcome of an object that was inserted and then completed."""
    if first.status != "done":
        return first
    if second.status != "done" or first.held is None:
        return second
    if second.held is None:
        return first
    return attrs.evolve(second, held=Held({**first.held.values, **second.held.values}))


@attrs.frozen(eq=False)
class _FreeValues:
    """Finds values that nobody has.

    Args:
        statements: The statements, with their transaction.
        style: Which of the ways to park.
    """

    statements: Statements
    style: int
    _limits: dict[sa.Column[Any], tuple[Any, Any]] = attrs.field(init=False, factory=dict)
    _given: set[str] = attrs.field(init=False, factory=set)
    _numbers: Iterator[int] = attrs.field(init=False, factory=lambda: count(1))

    def instead_of(self, row: RowChange, columns: Sequence[str], referring: AbstractSet[str]) -> tuple[str, Any]:
        """Return one of some columns of a row, and what to put there.

        Raises:
            CannotParkError: There is no such value.
        """
        for column in columns:
            if column in row.constraints.nullable and (self.style == 0 or column in referring):
                return column, None
        for column in columns:
            if column not in referring:
                value = self._value(row.stored.column(column), row.before[column])
                if value is not None:
                    return column, value
        raise CannotParkError

    def _value(self, column: sa.Column[Any], now: Any) -> Any:
        last = self.style == STYLES - 1
        if isinstance(now, str):
            return self._text_like(column, now) if last else f"{now}~{uuid4().hex[:12]}"
        if isinstance(now, UUID):
            return uuid4()
        if isinstance(now, bool) or not isinstance(now, (int, float, Decimal, date)):
            return None
        if column not in self._limits:
            statement = sa.select(sa.func.min(column), sa.func.max(column))
            self._limits[column] = tuple(self.statements.execute(statement)[0])
        least, most = self._limits[column]
        number: Any = next(self._numbers)
        step = timedelta(days=number) if isinstance(now, date) else number
        try:
            return least - step if last else most + step
        except (TypeError, ArithmeticError):
            return None

    def _text_like(self, column: sa.Column[Any], now: str) -> str | None:
        for _ in range(_TRIES):
            text = "".join(map(_another, now))
            there: sa.Select[Any] = (
                sa.select(sa.literal_column("1")).where(column == sa.literal(text, column.type)).limit(1)
            )
            if text.casefold() not in self._given and not self.statements.execute(there):
                self._given.add(text.casefold())
                return text
        return None


def _another(character: str) -> str:
    """Return any character of the same kind, as a constraint may ask for the form of a text."""
    kinds = (ascii_lowercase, ascii_uppercase, digits)
    return next((secrets.choice(kind) for kind in kinds if character in kind), character)
