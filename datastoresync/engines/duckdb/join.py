"""The full outer join of two relations: of whole lines where that is sound, of keys and columns elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import attrs

from datastoresync.diffing.equality import equal
from datastoresync.engines.duckdb.connection import interruptible
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.engines.duckdb.types import (
    IDENTICAL,
    canonical_sql,
    classes,
    declared,
    never_equal,
    same_declaration,
    valid_sql,
)
from datastoresync.engines.relation import CHUNK, DISTINCT, CannotPushDown, Compared, Work
from datastoresync.runtime import finalizer
from datastoresync.syncers.records import Columns


@attrs.frozen
class EqualitySQL:
    """How an attribute is compared.

    Args:
        name: The attribute.
        sql: True only where the values of ``l`` and ``r`` are equal.
        joins: What each side's rows, ``t``, are joined with for that.
        note: What was done in Python, for `explain`.
    """

    name: str
    sql: str
    joins: tuple[str, str] = ("", "")
    note: str = ""


@attrs.frozen
class _Column:
    """An attribute of one side."""

    relation: LocalRelation
    table: str
    name: str

    @property
    def raw(self) -> str:
        return self.table + self.relation.raw(self.name)

    @property
    def kind(self) -> str:
        return self.relation.kinds[self.name]

    @property
    def converter(self) -> Any:
        return self.relation.converter(self.name)

    @property
    def canonical_sql(self) -> dict[str, str]:
        return canonical_sql(self.kind, self.converter, self.raw)

    @property
    def odd(self) -> tuple[Any, ...] | None:
        """The values that SQL cannot be sure of."""
        return self.relation.odd.get(self.name, ())

    def values(self, connection: Any) -> tuple[Any, ...] | None:
        """Return all different values, or None if they are not few."""
        found: list[Any] = []
        for values in self.relation.distinct(connection, self.name):
            found += values
            if len(found) > DISTINCT:
                return None
        return tuple(found)


def likeness(connection: Any, place: int, name: str, left: LocalRelation, right: LocalRelation) -> EqualitySQL:
    """Return how an attribute is compared.

    Args:
        connection: Where temporary tables are made.
        place: A number of its own.
        name: The attribute.
        left: The rows ``l``.
        right: The rows ``r``.

    Raises:
        CannotPushDown: if SQL cannot do it as Python does.
    """
    one, other = _Column(left, "l.", name), _Column(right, "r.", name)
    if name in left.constants or name in right.constants:
        return _with_constant(connection, place, one, other)
    ways = []
    same = one.kind == other.kind and same_declaration(one.converter, other.converter, one.kind)
    if same:
        ways.append(f"{one.raw} IS NOT DISTINCT FROM {other.raw}")
    mine, theirs = one.canonical_sql, other.canonical_sql
    family = next((family for family in mine if family in theirs), "")
    sure = one.odd == () and other.odd == ()
    if family == "text" and same:
        return EqualitySQL(name, ways[0])
    if family:
        alike = f"{mine[family]} IS NOT DISTINCT FROM {theirs[family]}"
        guards = [] if sure else [f"{_surely(column)} IS TRUE" for column in (one, other)]
        ways.append(" AND ".join([*guards, alike]))
    elif sure and never_equal(mine, theirs):
        # What is never equal is for the schema's check to see, and its first example is that of the least key.
        return EqualitySQL(name, f"({_first(mine)} IS NULL AND {_first(theirs)} IS NULL)")
    if family and (sure or () in (one.odd, other.odd)):
        return EqualitySQL(name, _either(ways))
    few = [column.odd if family else column.values(connection) for column in (one, other)]
    if few[0] is None or few[1] is None or {one.kind, other.kind} != {"text"}:
        if not ways:
            reason = f"{name} is of types that SQL compares in another way"
            raise CannotPushDown(reason)
        return EqualitySQL(name, _either(ways))
    numbers = classes((one.converter, few[0]), (other.converter, few[1]))
    joins = (
        _joined(connection, f"l{place}", one, few[0], numbers[0]),
        _joined(connection, f"r{place}", other, few[1], numbers[1]),
    )
    ways.append(f"l.l{place} = r.r{place}")
    several = len({*few[0], *few[1]})
    return EqualitySQL(name, _either(ways), joins, f"{name}: {several:,} distinct values were converted in Python")


def _identity(name: str, left: LocalRelation, right: LocalRelation) -> EqualitySQL:
    """Return how it is told whether a column has the very same values on both sides."""
    one, other = (
        IDENTICAL[relation.kinds[name]].replace("@", f"{table}.{relation.raw(name)}")
        for table, relation in (("l", left), ("r", right))
    )
    return EqualitySQL(name, f"{one} IS NOT DISTINCT FROM {other}")


def _with_constant(connection: Any, place: int, one: _Column, other: _Column) -> EqualitySQL:
    """Return how an attribute is compared that a side has no column of."""
    name = one.name
    if name in one.relation.constants and name in other.relation.constants:
        same = equal(one.relation.constants[name], other.relation.constants[name])
        return EqualitySQL(name, "true" if same else "false")
    column, constant = (other, one) if name in one.relation.constants else (one, other)
    values = column.values(connection)
    if values is None or column.kind != "text":
        reason = f"{name} is no column of one of the two"
        raise CannotPushDown(reason)
    value = constant.relation.constants[name]
    converted = values if column.converter is None else [column.converter.one(each) for each in values]
    numbers = [int(equal(each, value)) for each in converted]
    side = column.table[0]
    join = _joined(connection, f"{side}{place}", column, values, numbers)
    joins = (join, "") if side == "l" else ("", join)
    note = f"{name}: {len(values):,} distinct values were converted in Python"
    return EqualitySQL(name, f"coalesce({side}.{side}{place} = 1, false)", joins, note)


def _joined(connection: Any, table: str, column: _Column, values: Sequence[Any], numbers: Sequence[int]) -> str:
    """Return what puts the number of its value beside each row, as a column of the name of the table that is made."""
    connection.execute(
        f"CREATE TEMP TABLE {table}_values AS SELECT unnest(?::VARCHAR[]) AS {table}_value, "
        f"unnest(?::INTEGER[]) AS {table}",
        [list(values), list(numbers)],
    )
    raw = f"t.{column.relation.raw(column.name)}"
    return f"LEFT JOIN {table}_values ON {raw} IS NOT DISTINCT FROM {table}_value"


def _surely(column: _Column) -> str:
    return valid_sql(column.kind, column.converter, column.raw) or "false"


def _first(found: dict[str, str]) -> str:
    return next(iter(found.values()))


def _either(ways: Sequence[str]) -> str:
    return " OR ".join(f"coalesce({way}, false)" for way in ways)


_PASSES = 4
"""Times that all lines are read, at most, so that those of one time fit into memory; beyond, DuckDB's own files are
quicker."""
_OF_A_LINE = 30
"""Bytes that a join holds of each line beside the line itself: its hash, and where it is."""
_KEPT_FREE = 1.25
"""What a join asks for is so many times what it then holds."""
_SORTED = 1_000_000
"""Lines that are put in order before they become objects."""
_LINES = 100_000
"""Lines that may differ before it is worth a look whether their values do: one value may be written in many ways."""


class JoinedRelation(LocalRelation):
    """Rows in files that are compared with others by a full outer join."""

    def differing(self, other: Any, work: Work) -> Compared:
        """Return the rows of each side that have no equal on the other one.

        Raises:
            CannotPushDown: if an attribute cannot be compared in SQL.
        """
        self.unchanged()
        other.unchanged()
        lines = _lines(self, other, work)
        if lines is not None:
            most = None if _as_written(self, work) else max(_LINES, (self.count + other.count) // 8)
            found = _by_line(self, other, lines, most)
            if found is not None:
                return found
        return _by_column(self, other, work)


@attrs.frozen
class _Lines:
    """Lines of two sides.

    Args:
        mine: A query for those of the source.
        theirs: A query for those of the destination.
        count: How many there are on the side that has fewer bytes of them.
        size: Those bytes.
    """

    mine: str
    theirs: str
    count: int
    size: int

    @property
    def needed(self) -> float:
        """The bytes of memory for a join that needs no files."""
        table = 8 << (2 * self.count).bit_length()  # of pointers to the lines; at least half of them are free
        return _KEPT_FREE * (self.size + _OF_A_LINE * self.count + table)

    def many(self, memory: float) -> bool:
        """Say whether they take most of the memory."""
        return self.needed * 2 > memory

    def parts(self, memory: float) -> list[str]:
        """Return conditions for parts of them that are compared one after the other, as each fits into memory."""
        count = math.ceil(self.needed / memory)
        if not 1 < count <= _PASSES:
            return [""]
        return [f" AND hash(line) % {count} = {place}" for place in range(count)]


def _lines(left: LocalRelation, right: LocalRelation, work: Work) -> _Lines | None:
    """Return the lines of both sides, if equal lines are equal objects."""
    mine, theirs = left.whole(), right.whole()
    if mine is None or theirs is None or mine[0] != theirs[0] or left.schema.identifiers != right.schema.identifiers:
        return None
    for name in (*left.schema.identifiers, *work.attributes, *work.identical):
        if name in left.constants and name in right.constants:
            if not equal(left.constants[name], right.constants[name]):
                return None
        elif not same_declaration(left.converter(name), right.converter(name)):
            return None
    size, count = min((mine[2], left.count), (theirs[2], right.count))
    return _Lines(mine[1], theirs[1], count, size)


def _as_written(left: LocalRelation, work: Work) -> bool:
    """Say whether all of a line is compared, and lines that differ are objects that do."""
    if not set(left.columns) <= {*left.schema.identifiers, *work.attributes, *work.identical}:
        return False
    return all(declared("text", left.converter(name))[0] == "str" for name in left.columns)


class _Unlike:
    """A table of what differs, which is gone when nobody reads it any more."""

    def __init__(self, relation: LocalRelation) -> None:
        self.instance = relation.duckdb.opened()
        self.database = self.instance.connection()
        self.name = f"unlike_{uuid4().hex}"
        finalizer(self, _drop, self.database, self.name)

    def fill(self, query: str) -> None:
        """Keep what a query gives."""
        self.database.execute(f"CREATE TABLE {self.name} AS {query}")

    def add(self, query: str) -> None:
        """Keep what a query gives as well."""
        self.database.execute(f"INSERT INTO {self.name} {query}")

    def count(self) -> int:
        """Return how many rows there are."""
        found: int = self.database.execute(f"SELECT count(*) FROM {self.name}").fetchone()[0]  # noqa: S608 - ours
        return found

    def chunks(self, wanted: str, condition: str, order: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield columns of the rows for which a condition holds, some rows at a time.

        They come in order, if they are few: what becomes of one row and the next is used together, and then lies side
        by side in memory.
        """
        reading = self.database.cursor()  # several may read at once
        query = f"SELECT {wanted} FROM {self.name} WHERE {condition}"  # noqa: S608 - names are ours
        if self.count() <= _SORTED:
            query += f" ORDER BY {order}"
        try:
            with interruptible():
                reading.execute(query)
            while rows := reading.fetchmany(CHUNK):
                yield rows
        finally:
            reading.close()


def _drop(database: Any, name: str) -> None:
    database.execute(f"DROP TABLE IF EXISTS {name}")
    database.close()


def _by_line(left: LocalRelation, right: LocalRelation, lines: _Lines, most: int | None) -> Compared | None:
    """Compare whole lines; None if more than ``most`` of them have no equal."""
    unlike = _Unlike(left)
    limit = "" if most is None else f" LIMIT {most + 1}"
    with left.duckdb.refusals("compare the lines of the two"):
        for place, part in enumerate(lines.parts(unlike.instance.memory)):
            with unlike.instance.sparing() if lines.many(unlike.instance.memory) else nullcontext():
                (unlike.add if place else unlike.fill)(
                    "SELECT l.line AS mine, r.line AS theirs "  # noqa: S608 - names are ours
                    f"FROM ({lines.mine}{part}) AS l FULL JOIN ({lines.theirs}{part}) AS r ON l.line = r.line "
                    f"WHERE l.line IS NULL OR r.line IS NULL{limit}"
                )
            left.unchanged()
            right.unchanged()
            if most is not None and unlike.count() > most:
                return None

    def rows(relation: LocalRelation, side: str) -> Iterator[Columns]:
        for chunk in unlike.chunks(side, f"{side} IS NOT NULL", side):
            yield relation.unwritten([line for (line,) in chunk])

    why = "both are files written in one way: whole lines were compared"
    return Compared(rows(left, "mine"), rows(right, "theirs"), why + _asked(left, right))


def _by_column(left: LocalRelation, right: LocalRelation, work: Work) -> Compared:
    if len(left.key_parts) != len(right.key_parts) or any(
        one.family != other.family for one, other in zip(left.key_parts, right.key_parts, strict=True)
    ):
        raise CannotPushDown("the idnumbers are of different types")
    unlike = _Unlike(left)
    sides = (("l", left), ("r", right))
    with left.duckdb.refusals("compare the two"):
        alike = [_identity(name, left, right) for name in work.identical]
        alike += [
            likeness(unlike.database, place, name, left, right)
            for place, name in enumerate(work.attributes)
            if name not in work.identical
        ]
        on = " AND ".join(f"{one} = {other}" for one, other in zip(left.keys("l."), right.keys("r."), strict=True))
        there = [f"{table}.{relation.key_parts[0].column}" for table, relation in sides]
        conditions = [f"{key} IS NULL" for key in there] + [f"NOT ({one.sql})" for one in alike if one.sql != "true"]
        columns = [
            f"{table}.{relation.raw(name)} AS {table}_{relation.raw(name)}"
            for table, relation in sides
            for name in relation.columns
        ]
        tables = [
            f"(SELECT * FROM {relation.scan()} AS t {' '.join(one.joins[side] for one in alike)}) AS {table}"  # noqa: S608 - names are ours
            for side, (table, relation) in enumerate(sides)
        ]
        unlike.fill(
            f"SELECT {there[0]} IS NOT NULL AS l, {there[1]} IS NOT NULL AS r, {', '.join(columns)} "  # noqa: S608 - names are ours
            f"FROM {tables[0]} FULL JOIN {tables[1]} ON {on} WHERE {' OR '.join(conditions)}"
        )
    left.unchanged()
    right.unchanged()

    def rows(relation: LocalRelation, table: str) -> Iterator[Columns]:
        names, keys = (
            ", ".join(f"{table}_{relation.raw(name)}" for name in some)
            for some in (relation.columns, relation.schema.identifiers)
        )
        for chunk in unlike.chunks(names, table, keys):
            yield relation.given(list(zip(*chunk, strict=True)))

    notes = [one.note for one in alike if one.note]
    why = "both are rows in files: keys and columns were compared" + "".join(f"; {note}" for note in notes)
    return Compared(
        rows(left, "l"), rows(right, "r"), why + _asked(left, right, [one.name for one in alike if one.note])
    )


def _asked(left: LocalRelation, right: LocalRelation, noted: Sequence[str] = ()) -> str:
    """Say of which attributes Python looked at some values when they were imported."""
    names = [
        name
        for name in dict.fromkeys((*left.odd, *right.odd))
        if left.odd.get(name, ()) != () or right.odd.get(name, ()) != ()
    ]
    said = []
    for name in names:
        values = [relation.odd.get(name, ()) for relation in (left, right)]
        if name in noted:
            continue
        several = "many" if None in values else f"{len({*values[0], *values[1]}):,}"  # type: ignore[misc]  # none of them is None
        said.append(f"; {name}: {several} distinct values were converted in Python")
    return "".join(said)
