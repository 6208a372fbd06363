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
    kept,
    never_equal,
    same_declaration,
    valid_sql,
)
from datastoresync.engines.relation import CHUNK, DISTINCT, CannotPushDown, DifferingRows, Work
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
        return canonical_sql(self.kind, self.converter, self.raw, scale=self.relation.written_kind(self.name).scale)

    @property
    def python_only_values(self) -> tuple[Any, ...] | None:
        """The values that only the converter understands; None if there are many."""
        return self.relation.python_only_values.get(self.name, ())

    def values(self, connection: Any) -> tuple[Any, ...] | None:
        """Return the distinct values, or None if there are many."""
        found: list[Any] = []
        for values in self.relation.distinct(connection, self.name):
            found += values
            if len(found) > DISTINCT:
                return None
        return tuple(found)


def equality_sql(connection: Any, index: int, name: str, left: LocalRelation, right: LocalRelation) -> EqualitySQL:
    """Return how an attribute is compared.

    Args:
        connection: Where temporary tables are made.
        index: A number of its own.
        name: The attribute.
        left: The rows ``l``.
        right: The rows ``r``.

    Raises:
        CannotPushDown: if SQL cannot do it as Python does.
    """
    left_column, right_column = _Column(left, "l.", name), _Column(right, "r.", name)
    if name in left.constants or name in right.constants:
        return _constant_equality(connection, index, left_column, right_column)
    conditions = []
    same = (
        left_column.kind == right_column.kind
        and same_declaration(left_column.converter, right_column.converter, left_column.kind)
        and (
            kept(left_column.kind, left_column.converter)
            or left.written_kind(name).writes_like(right.written_kind(name))
        )
    )
    if same:
        conditions.append(f"{left_column.raw} IS NOT DISTINCT FROM {right_column.raw}")
    left_sql, right_sql = left_column.canonical_sql, right_column.canonical_sql
    family = next((family for family in left_sql if family in right_sql), "")
    all_valid = left_column.python_only_values == () and right_column.python_only_values == ()
    if family == "text" and same:
        return EqualitySQL(name, conditions[0])
    if family:
        equal_sql = f"{left_sql[family]} IS NOT DISTINCT FROM {right_sql[family]}"
        guards = [] if all_valid else [f"{_valid(column)} IS TRUE" for column in (left_column, right_column)]
        conditions.append(" AND ".join([*guards, equal_sql]))
    elif all_valid and never_equal(left_sql, right_sql):
        # What is never equal is for the schema's check to see, and its first example is that of the least key.
        return EqualitySQL(name, f"({_first_sql(left_sql)} IS NULL AND {_first_sql(right_sql)} IS NULL)")
    if family and (all_valid or () in (left_column.python_only_values, right_column.python_only_values)):
        return EqualitySQL(name, _either(conditions))
    few = [column.python_only_values if family else column.values(connection) for column in (left_column, right_column)]
    if few[0] is None or few[1] is None or {left_column.kind, right_column.kind} != {"text"}:
        if not conditions:
            reason = f"{name} is of types that SQL compares in another way"
            raise CannotPushDown(reason)
        return EqualitySQL(name, _either(conditions))
    numbers = classes((left_column.converter, few[0]), (right_column.converter, few[1]))
    joins = (
        _class_join(connection, f"l{index}", left_column, few[0], numbers[0]),
        _class_join(connection, f"r{index}", right_column, few[1], numbers[1]),
    )
    conditions.append(f"l.l{index} = r.r{index}")
    count = len({*few[0], *few[1]})
    return EqualitySQL(name, _either(conditions), joins, f"{name}: {count:,} distinct values were converted in Python")


def _identity(name: str, left: LocalRelation, right: LocalRelation) -> EqualitySQL:
    """Return how it is told whether a column has the very same values on both sides."""
    left_sql, right_sql = (
        IDENTICAL[relation.kinds[name]].replace("@", f"{table}.{relation.raw(name)}")
        for table, relation in (("l", left), ("r", right))
    )
    return EqualitySQL(name, f"{left_sql} IS NOT DISTINCT FROM {right_sql}")


def _constant_equality(connection: Any, index: int, left_column: _Column, right_column: _Column) -> EqualitySQL:
    """Return how an attribute is compared that a side has no column of."""
    name = left_column.name
    if name in left_column.relation.constants and name in right_column.relation.constants:
        same = equal(left_column.relation.constants[name], right_column.relation.constants[name])
        return EqualitySQL(name, "true" if same else "false")
    column, constant = (
        (right_column, left_column) if name in left_column.relation.constants else (left_column, right_column)
    )
    values = column.values(connection)
    if values is None or column.kind != "text":
        reason = f"{name} is no column of one of the two"
        raise CannotPushDown(reason)
    value = constant.relation.constants[name]
    converted = values if column.converter is None else [column.converter.one(each) for each in values]
    numbers = [int(equal(each, value)) for each in converted]
    side = column.table[0]
    join = _class_join(connection, f"{side}{index}", column, values, numbers)
    joins = (join, "") if side == "l" else ("", join)
    note = f"{name}: {len(values):,} distinct values were converted in Python"
    return EqualitySQL(name, f"coalesce({side}.{side}{index} = 1, false)", joins, note)


def _class_join(connection: Any, table: str, column: _Column, values: Sequence[Any], numbers: Sequence[int]) -> str:
    """Create a temporary table from value to equality class; return the LEFT JOIN that adds the class, as ``table``."""
    connection.execute(
        f"CREATE TEMP TABLE {table}_values AS SELECT unnest(?::VARCHAR[]) AS {table}_value, "
        f"unnest(?::INTEGER[]) AS {table}",
        [list(values), list(numbers)],
    )
    raw = f"t.{column.relation.raw(column.name)}"
    return f"LEFT JOIN {table}_values ON {raw} IS NOT DISTINCT FROM {table}_value"


def _valid(column: _Column) -> str:
    return valid_sql(column.kind, column.converter, column.raw) or "false"


def _first_sql(found: dict[str, str]) -> str:
    return next(iter(found.values()))


def _either(conditions: Sequence[str]) -> str:
    return " OR ".join(f"coalesce({condition}, false)" for condition in conditions)


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

    def differing(self, other: Any, work: Work) -> DifferingRows:
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
        left: A query for those of the source.
        right: A query for those of the destination.
        count: How many there are on the side that has fewer bytes of them.
        size: Those bytes.
    """

    left: str
    right: str
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
        return [f" AND hash(line) % {count} = {index}" for index in range(count)]


def _lines(left: LocalRelation, right: LocalRelation, work: Work) -> _Lines | None:
    """Return the lines of both sides, if equal lines are equal objects."""
    left_lines, right_lines = left.whole(), right.whole()
    if (
        left_lines is None
        or right_lines is None
        or left_lines[0] != right_lines[0]
        or left.schema.identifiers != right.schema.identifiers
    ):
        return None
    for name in (*left.schema.identifiers, *work.attributes, *work.identical):
        if name in left.constants and name in right.constants:
            if not equal(left.constants[name], right.constants[name]):
                return None
        elif not same_declaration(left.converter(name), right.converter(name)):
            return None
    size, count = min((left_lines[2], left.count), (right_lines[2], right.count))
    return _Lines(left_lines[1], right_lines[1], count, size)


def _as_written(left: LocalRelation, work: Work) -> bool:
    """Say whether all of a line is compared, and lines that differ are objects that do."""
    if not set(left.columns) <= {*left.schema.identifiers, *work.attributes, *work.identical}:
        return False
    return all(declared("text", left.converter(name))[0] == "str" for name in left.columns)


class _UnmatchedRows:
    """A temporary table of the rows that have no equal, dropped when its last reader is gone."""

    def __init__(self, relation: LocalRelation) -> None:
        self.instance = relation.duckdb.opened()
        self.database = self.instance.connection()
        self.name = f"unmatched_{uuid4().hex}"
        finalizer(self, _drop, self.database, self.name)

    def fill(self, query: str) -> None:
        """Create the table from a query."""
        self.database.execute(f"CREATE TABLE {self.name} AS {query}")

    def add(self, query: str) -> None:
        """Insert the rows of a query."""
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


def _by_line(left: LocalRelation, right: LocalRelation, lines: _Lines, most: int | None) -> DifferingRows | None:
    """Compare whole lines; None if more than ``most`` of them have no equal."""
    unmatched = _UnmatchedRows(left)
    limit = "" if most is None else f" LIMIT {most + 1}"
    with left.duckdb.translated_errors("compare the lines of the two"):
        for index, part in enumerate(lines.parts(unmatched.instance.memory)):
            with unmatched.instance.sparing() if lines.many(unmatched.instance.memory) else nullcontext():
                (unmatched.add if index else unmatched.fill)(
                    "SELECT l.line AS left_line, r.line AS right_line "  # noqa: S608 - names are ours
                    f"FROM ({lines.left}{part}) AS l FULL JOIN ({lines.right}{part}) AS r ON l.line = r.line "
                    f"WHERE l.line IS NULL OR r.line IS NULL{limit}"
                )
            left.unchanged()
            right.unchanged()
            if most is not None and unmatched.count() > most:
                return None

    def rows(relation: LocalRelation, side: str) -> Iterator[Columns]:
        for chunk in unmatched.chunks(side, f"{side} IS NOT NULL", side):
            yield relation.unwritten([line for (line,) in chunk])

    reason = "both are files written in one way: whole lines were compared"
    return DifferingRows(rows(left, "left_line"), rows(right, "right_line"), reason + _conversion_notes(left, right))


def _by_column(left: LocalRelation, right: LocalRelation, work: Work) -> DifferingRows:
    if len(left.key_parts) != len(right.key_parts) or any(
        left_part.family != right_part.family
        for left_part, right_part in zip(left.key_parts, right.key_parts, strict=True)
    ):
        raise CannotPushDown("the idnumbers are of different types")
    unmatched = _UnmatchedRows(left)
    sides = (("l", left), ("r", right))
    with left.duckdb.translated_errors("compare the two"):
        equalities = [_identity(name, left, right) for name in work.identical]
        equalities += [
            equality_sql(unmatched.database, index, name, left, right)
            for index, name in enumerate(work.attributes)
            if name not in work.identical
        ]
        on = " AND ".join(
            f"{left_part} = {right_part}"
            for left_part, right_part in zip(left.keys("l."), right.keys("r."), strict=True)
        )
        there = [f"{table}.{relation.key_parts[0].column}" for table, relation in sides]
        conditions = [f"{key} IS NULL" for key in there] + [
            f"NOT ({equality.sql})" for equality in equalities if equality.sql != "true"
        ]
        columns = [
            f"{table}.{relation.raw(name)} AS {table}_{relation.raw(name)}"
            for table, relation in sides
            for name in relation.columns
        ]
        joins = [" ".join(equality.joins[side] for equality in equalities) for side in (0, 1)]
        tables = [
            f"(SELECT * FROM {relation.scan()} AS t {join}) AS {table}"  # noqa: S608 - names are ours
            for join, (table, relation) in zip(joins, sides, strict=True)
        ]
        unmatched.fill(
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
        for chunk in unmatched.chunks(names, table, keys):
            yield relation.given(list(zip(*chunk, strict=True)))

    notes = [equality.note for equality in equalities if equality.note]
    reason = "both are rows in files: keys and columns were compared" + "".join(f"; {note}" for note in notes)
    return DifferingRows(
        rows(left, "l"),
        rows(right, "r"),
        reason + _conversion_notes(left, right, [equality.name for equality in equalities if equality.note]),
    )


def _conversion_notes(left: LocalRelation, right: LocalRelation, noted: Sequence[str] = ()) -> str:
    """Return notes on the attributes of which Python converted some values at the import."""
    names = [
        name
        for name in dict.fromkeys((*left.python_only_values, *right.python_only_values))
        if left.python_only_values.get(name, ()) != () or right.python_only_values.get(name, ()) != ()
    ]
    said = []
    for name in names:
        values = [relation.python_only_values.get(name, ()) for relation in (left, right)]
        if name in noted:
            continue
        several = "many" if None in values else f"{len({*values[0], *values[1]}):,}"  # type: ignore[misc]  # none of them is None
        said.append(f"; {name}: {several} distinct values were converted in Python")
    return "".join(said)
