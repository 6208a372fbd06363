"""When a value of one side and one of the other cannot differ, as a condition in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from datastoresync.diffing.equality import equal
from datastoresync.engines.duckdb.types import apart, classes, forms, same_declaration, surely
from datastoresync.engines.relation import DISTINCT, Unfaithful

if TYPE_CHECKING:
    from datastoresync.engines.duckdb.relation import LocalRelation

__all__ = ["Likeness", "likeness"]


@attrs.frozen
class Likeness:
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
    def forms(self) -> dict[str, str]:
        return forms(self.kind, self.converter, self.raw)

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


def likeness(connection: Any, place: int, name: str, left: LocalRelation, right: LocalRelation) -> Likeness:
    """Return how an attribute is compared.

    Args:
        connection: Where temporary tables are made.
        place: A number of its own.
        name: The attribute.
        left: The rows ``l``.
        right: The rows ``r``.

    Raises:
        Unfaithful: if SQL cannot do it as Python does.
    """
    one, other = _Column(left, "l.", name), _Column(right, "r.", name)
    if name in left.constants or name in right.constants:
        return _with_constant(connection, place, one, other)
    ways = []
    same = one.kind == other.kind and same_declaration(one.converter, other.converter, one.kind)
    if same:
        ways.append(f"{one.raw} IS NOT DISTINCT FROM {other.raw}")
    mine, theirs = one.forms, other.forms
    family = next((family for family in mine if family in theirs), "")
    sure = one.odd == () and other.odd == ()
    if family == "text" and same:
        return Likeness(name, ways[0])
    if family:
        alike = f"{mine[family]} IS NOT DISTINCT FROM {theirs[family]}"
        guards = [] if sure else [f"{_surely(column)} IS TRUE" for column in (one, other)]
        ways.append(" AND ".join([*guards, alike]))
    elif sure and apart(mine, theirs):
        # What is never equal is for the schema's check to see, and its first example is that of the least key.
        return Likeness(name, f"({_first(mine)} IS NULL AND {_first(theirs)} IS NULL)")
    if family and (sure or () in (one.odd, other.odd)):
        return Likeness(name, _either(ways))
    few = [column.odd if family else column.values(connection) for column in (one, other)]
    if few[0] is None or few[1] is None or {one.kind, other.kind} != {"text"}:
        if not ways:
            reason = f"{name} is of types that SQL compares in another way"
            raise Unfaithful(reason)
        return Likeness(name, _either(ways))
    numbers = classes((one.converter, few[0]), (other.converter, few[1]))
    joins = (
        _joined(connection, f"l{place}", one, few[0], numbers[0]),
        _joined(connection, f"r{place}", other, few[1], numbers[1]),
    )
    ways.append(f"l.l{place} = r.r{place}")
    several = len({*few[0], *few[1]})
    return Likeness(name, _either(ways), joins, f"{name}: {several:,} distinct values were converted in Python")


def _with_constant(connection: Any, place: int, one: _Column, other: _Column) -> Likeness:
    """Return how an attribute is compared that a side has no column of."""
    name = one.name
    if name in one.relation.constants and name in other.relation.constants:
        same = equal(one.relation.constants[name], other.relation.constants[name])
        return Likeness(name, "true" if same else "false")
    column, constant = (other, one) if name in one.relation.constants else (one, other)
    values = column.values(connection)
    if values is None or column.kind != "text":
        reason = f"{name} is no column of one of the two"
        raise Unfaithful(reason)
    value = constant.relation.constants[name]
    converted = values if column.converter is None else [column.converter.one(each) for each in values]
    numbers = [int(equal(each, value)) for each in converted]
    side = column.table[0]
    join = _joined(connection, f"{side}{place}", column, values, numbers)
    joins = (join, "") if side == "l" else ("", join)
    note = f"{name}: {len(values):,} distinct values were converted in Python"
    return Likeness(name, f"coalesce({side}.{side}{place} = 1, false)", joins, note)


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
    return surely(column.kind, column.converter, column.raw) or "false"


def _first(found: dict[str, str]) -> str:
    return next(iter(found.values()))


def _either(ways: Sequence[str]) -> str:
    return " OR ".join(f"coalesce({way}, false)" for way in ways)
