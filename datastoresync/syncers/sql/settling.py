"""What was refused for the sake of other rows is tried again: in order, with constraints deferred, or by parking.

Parking puts NULL, or a value that nobody has, in the place of a value that has to be free, or of a reference that is in
the way, until the others are written. A run parks only within a savepoint, and what is parked is put right in the same.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain, count
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any
from uuid import UUID, uuid4

import attrs
import sqlalchemy as sa

from datastoresync.syncers.changes import Held, Outcome
from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.constraints import RowChange, RowChanges, Token
from datastoresync.syncers.sql.effects import DONE
from datastoresync.syncers.sql.spellings import Key
from datastoresync.syncers.sql.statements import KEYS, Batch, KeyedTable, RefusalError, Row, Statements, Unit
from datastoresync.syncers.sql.unit_writer import UnitWriter, object_of

_TOGETHER = 10_000
"""Units up to which all that is left is tried at once."""
_FEW = 50
"""Units up to which every little progress is worth another round."""
_REFUSED_TOGETHER = (
    "the database takes it neither before nor after the other changes that wait for each other: mend those that name "
    "another reason first, and let the constraints between the tables be deferrable if there are none"
)
_ORDER = ("unlink", "insert", "update", "link", "delete")


class _UnsettledError(Exception):
    """Some units of a group turned out to be in conflict, so that the others have to be looked at again."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("some are in conflict")
        self.outcomes = outcomes


class _CannotParkError(Exception):
    """There is no value to put in the place of another one."""


def settle(writer: UnitWriter) -> None:
    """Write what waits, as far as that can be done; the rest has failed.

    Raises:
        RefusalError: The store as a whole gave up.
    """
    if writer.waiting:
        _Settlement(writer, RowChanges(writer.statements)).run()


@attrs.define(eq=False)
class _Settlement:
    """Writes what waits.

    Args:
        writer: Writes blocks, and knows what waits.
        rows: Finds out which rows units change.
    """

    writer: UnitWriter
    rows: RowChanges

    def run(self) -> None:
        """Try batches as they came, then units in the order in which they need each other, then those left."""
        for changes in self.writer.taken():
            if isinstance(changes, Batch):
                self.writer.write(changes, again=True)
            else:
                self.writer.put_off(changes)
        stuck = self._in_order(self._waiting())
        while self._together(stuck):
            stuck = self._in_order(self._waiting())
        self.writer.taken()
        for unit in stuck:
            if self.writer.is_full:
                self.writer.unseen += len(unit.changes)
                continue
            together = Outcome("failed", _REFUSED_TOGETHER)
            self.writer.tell(unit, self.writer.reasons.get(unit.changes[0][0], together))

    def _waiting(self) -> list[Unit]:
        return [
            unit
            for changes in self.writer.taken()
            for unit in (changes.units(range(len(changes.keys))) if isinstance(changes, Batch) else changes)
        ]

    def _in_order(self, stuck: list[Unit]) -> list[Unit]:
        """Write units as long as that makes progress, parents and what frees a value first; return what is left.

        Constraints that the schema does not tell everything about may ask for the order backwards.
        """
        backwards = False
        while stuck and not self.writer.is_full:
            groups = list(ordered_groups(stuck, self.rows.of(stuck)))
            for run in runs_of(reversed(groups) if backwards else groups):
                if isinstance(run, list):
                    self.writer.write_block(run, again=True)
                elif not self._group(list(run)):
                    for part in runs_of([unit] for unit in run):
                        self.writer.write_block(part, again=True)
            before, stuck = len(stuck), self._waiting()
            progress = before - len(stuck)
            if before > _FEW and progress * 10 < before and (backwards or before > KEYS):
                break
            if not progress and backwards:
                break
            backwards = not backwards
        return stuck

    def _together(self, stuck: list[Unit]) -> bool:
        """Write those together that have to do with each other; say whether that made progress."""
        if self.writer.is_full:
            return False
        progress = False
        components = connected(stuck, self.rows.of(stuck))
        if len(components) > 1 and len(stuck) <= _TOGETHER and self._group(stuck):
            return True
        for component in components:
            if self._is_ring(component) and self._group(component):
                progress = True
            else:
                self.writer.put_off(component)
        return progress

    def _is_ring(self, units: list[Unit]) -> bool:
        """Say whether units may be in each other's way: several are, or one that refers to itself."""
        if len(units) > 1:
            return True
        (own,) = self.rows.of(units)
        return not {token for row in own for token in row.needs()}.isdisjoint(
            token for row in own for token in row.gives()
        )

    def _group(self, units: list[Unit]) -> bool:
        """Write units together, or not at all; say whether they are done with, but for those that wait."""
        units = list(self.writer.free(units))
        if not self.writer.statements.dialect.has_savepoints:
            return False
        parking = Parking(self.writer, self.rows)
        attempts: list[Callable[[], list[Outcome]]] = [partial(parking.write, units, style) for style in range(_STYLES)]
        last = self.writer.statements.dialect.looks_for_violations
        attempts.insert(len(attempts) if last else 0, partial(self._deferred, units))
        outcomes = next(filter(None, map(self._outcomes, attempts)), None)
        if outcomes is None:
            return False
        settled = all(outcome.status == "done" for outcome in outcomes)
        for unit, outcome in zip(units, outcomes, strict=True):
            if outcome.status == "done" and not settled:
                self.writer.put_off([unit])
            elif outcome is not DONE:
                self.writer.tell(unit, outcome)
        return True

    def _outcomes(self, attempt: Callable[[], list[Outcome]]) -> list[Outcome] | None:
        """Return the outcomes of an attempt, which is undone if one of them is not done; None, if it is refused."""
        try:
            with self.writer.statements.savepoint():
                outcomes = attempt()
                if self.writer.checked:
                    self.writer.check()
                if any(outcome.status != "done" for outcome in outcomes):
                    raise _UnsettledError(outcomes)
        except RefusalError as refusal:
            if refusal.blames_store:
                raise
            return None
        except _CannotParkError:
            return None
        except _UnsettledError as unsettled:
            return unsettled.outcomes
        return outcomes

    def _deferred(self, units: Sequence[Unit]) -> list[Outcome]:
        """Write units with all constraints deferred that can be."""
        statements = self.writer.statements
        if not self.writer.checked:
            self.writer.tolerate()
        with statements.guarded():
            statements.dialect.begin_deferring(statements.connection)
        outcomes = _written(self.writer, self.rows, units)
        self.writer.check()
        return outcomes


def _written(
    writer: UnitWriter, rows: RowChanges, units: Sequence[Unit], completions: Sequence[Unit] = ()
) -> list[Outcome]:
    """Write units, each kind in turn and in order, and what completes them; return the outcomes of all."""
    outcomes: dict[int, Outcome] = {}
    every = [*units, *completions]
    deleted = {object_of(unit) for unit in units if unit.verb == "delete"}
    for verb in _ORDER:
        some = [unit for unit in every if unit.verb == verb]
        ordered = [unit for group in ordered_groups(some, rows.of(some)) for unit in group]
        for run in runs_of([unit] for unit in ordered):
            kept = writer.guard.kept(run[0].keyed, [unit.key for unit in run], deleted) if verb == "delete" else {}
            outcomes |= {id(unit): Outcome("conflict", kept[unit.key]) for unit in run if unit.key in kept}
            if free := [unit for unit in run if unit.key not in kept]:
                outcomes.update(zip(map(id, free), writer.blocks.write(free), strict=True))
    return [outcomes[id(unit)] for unit in every]


# --- the order ---------------------------------------------------------------------------------------------------


def ordered_groups(units: Sequence[Unit], rows: Sequence[Sequence[RowChange]]) -> Iterator[list[Unit]]:
    """Yield units so that each comes after those that give what it needs; those in a ring together."""
    givers: dict[Token, list[int]] = defaultdict(list)
    for index, of_unit in enumerate(rows):
        for token in {token for row in of_unit for token in row.gives()}:
            givers[token].append(index)
    earlier: dict[Any, int] = {}
    needed: list[list[int]] = []
    for index, (unit, of_unit) in enumerate(zip(units, rows, strict=True)):
        found = dict.fromkeys(giver for row in of_unit for token in row.needs() for giver in givers.get(token, ()))
        if object_of(unit) in earlier:
            found[earlier[object_of(unit)]] = None
        earlier[object_of(unit)] = index
        found.pop(index, None)
        needed.append(list(found))
    for component in strong_components(needed):
        yield [units[index] for index in sorted(component)]


def strong_components(edges: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components of a graph, each after those that it has edges to.

    R. Tarjan, Depth-first search and linear graph algorithms, 1972; without recursion.

    >>> list(strong_components([[1], [2], [1], []]))
    [[2, 1], [0], [3]]
    """
    numbers: dict[int, int] = {}
    lowest: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    for start in range(len(edges)):
        if start in numbers:
            continue
        stack = [(start, iter(edges[start]))]
        numbers[start] = lowest[start] = len(numbers)
        path.append(start)
        on_path.add(start)
        while stack:
            node, waiting = stack[-1]
            following = next(waiting, None)
            if following is None:
                stack.pop()
                if stack:
                    lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[node])
                if lowest[node] == numbers[node]:
                    component = [path.pop()]
                    while component[-1] != node:
                        component.append(path.pop())
                    on_path.difference_update(component)
                    yield component
            elif following not in numbers:
                numbers[following] = lowest[following] = len(numbers)
                path.append(following)
                on_path.add(following)
                stack.append((following, iter(edges[following])))
            elif following in on_path:
                lowest[node] = min(lowest[node], numbers[following])


def connected(units: Sequence[Unit], rows: Sequence[Sequence[RowChange]]) -> list[list[Unit]]:
    """Return units in groups that have to do with each other: one needs or has what another one does."""
    parents = list(range(len(units)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    first: dict[Any, int] = {}
    for index, (unit, of_unit) in enumerate(zip(units, rows, strict=True)):
        tokens = {token[1:] for row in of_unit for token in chain(row.needs(), row.gives())}
        for token in (*tokens, object_of(unit)):
            parents[root(index)] = root(first.setdefault(token, index))
    groups: dict[int, list[Unit]] = {}
    for index, unit in enumerate(units):
        groups.setdefault(root(index), []).append(unit)
    return list(groups.values())


def runs_of(groups: Iterable[Sequence[Unit]]) -> Iterator[Sequence[Unit]]:
    """Yield lists of units that one block can hold, in order; a ring of several units is a tuple."""
    run: list[Unit] = []
    kind: Any = None
    keys: set[Key] = set()
    for group in groups:
        unit = group[0]
        # Changes of other columns would be made by another statement, out of order.
        own = (unit.keyed, unit.verb, unit.member[:1], frozenset(unit.attributes) if unit.verb == "update" else ())
        if run and (len(group) > 1 or own != kind or unit.key in keys or len(run) == KEYS):
            yield run
            run, keys = [], set()
        if len(group) > 1:
            yield tuple(group)
        else:
            run.append(unit)
            keys.add(unit.key)
            kind = own
    if run:
        yield run


# --- parking -----------------------------------------------------------------------------------------------------

_STYLES = 3
"""Ways to park: NULL where it can be, a value that nobody has, and another one."""


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
            _CannotParkError: There is nothing to park, or nothing to put in its place.
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
            raise _CannotParkError
        blocks = self.writer.blocks
        blocks.parked.update(self._before(units, parked))
        try:
            for (keyed, column), some in parked.items():
                self.writer.statements.update(keyed.target.stored, (column,), keyed.keys, some)
            outcomes = _written(self.writer, self.rows, [unit for unit, _ in pairs], completions)
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
    _numbers: Iterator[int] = attrs.field(init=False, factory=lambda: count(1))

    def instead_of(self, row: RowChange, columns: Sequence[str], referring: AbstractSet[str]) -> tuple[str, Any]:
        """Return one of some columns of a row, and what to put there.

        Raises:
            _CannotParkError: There is no such value.
        """
        for column in columns:
            if column in row.constraints.nullable and (self.style == 0 or column in referring):
                return column, None
        for column in columns:
            if column not in referring:
                value = self._value(row.stored.column(column), row.before[column])
                if value is not None:
                    return column, value
        raise _CannotParkError

    def _value(self, column: sa.Column[Any], now: Any) -> Any:
        last = self.style == _STYLES - 1
        if isinstance(now, str):
            return "".join(map(_another, now)) if last else f"{now}~{uuid4().hex[:12]}"
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


def _another(character: str) -> str:
    """Return any character of the same kind, as a constraint may ask for the form of a text."""
    kinds = (ascii_lowercase, ascii_uppercase, digits)
    return next((secrets.choice(kind) for kind in kinds if character in kind), character)
