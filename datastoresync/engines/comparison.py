"""Compares rows in files: by a full outer join of whole lines where that is sound, and of keys and columns elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from datastoresync.engines.conversion import FAMILIES, form, same_declaration
from datastoresync.engines.relation import Compared, Unfaithful, Work
from datastoresync.syncers.records import Columns

if TYPE_CHECKING:
    from datastoresync.engines.local import LocalRelation

__all__ = ["differing"]


def differing(left: LocalRelation, right: LocalRelation, work: Work) -> Compared:
    """Return the rows of each side that have no equal on the other one.

    Raises:
        Unfaithful: if an attribute cannot be compared in SQL.
    """
    left.unchanged()
    right.unchanged()
    wholes = (left.whole(), right.whole())
    if None not in wholes and wholes[0][0] == wholes[1][0] and _alike(left, right, work):  # type: ignore[index]  # neither is None
        return _by_line(left, right, wholes[0][1], wholes[1][1])  # type: ignore[index]  # neither is None
    return _by_column(left, right, work)


def _alike(left: LocalRelation, right: LocalRelation, work: Work) -> bool:
    """Say whether equal raw values are equal values, for all attributes and the parts of the idnumber."""
    if left.layout.identifiers != right.layout.identifiers:
        return False
    names = (*left.layout.identifiers, *work.attributes)
    return all(same_declaration(work.left.get(name), work.right.get(name)) for name in names)


def _by_line(left: LocalRelation, right: LocalRelation, lefts: str, rights: str) -> Compared:
    query = (
        f"SELECT l.line, r.line FROM {lefts} AS l FULL JOIN {rights} AS r ON l.line = r.line "  # noqa: S608 - names are ours
        "WHERE l.line IS NULL OR r.line IS NULL"
    )
    with left.duckdb.connected() as connection:
        rows = connection.execute(query).fetchall()
    mine = [line for line, _ in rows if line is not None]
    theirs = [line for _, line in rows if line is not None]
    return Compared(_chunk(left, mine), _chunk(right, theirs), "both are files written in one way: whole lines were compared")


def _chunk(relation: LocalRelation, lines: list[str]) -> Iterator[Columns]:
    if lines:
        yield relation.unwritten(lines)


def _by_column(left: LocalRelation, right: LocalRelation, work: Work) -> Compared:
    sides = (("l.", left, work.left), ("r.", right, work.right))
    conditions = []
    for name in work.attributes:
        raw = [f"{table}{one.raw(name)}" for table, one, _ in sides]
        if left.kinds[name] == right.kinds[name] and same_declaration(work.left.get(name), work.right.get(name)):
            conditions.append(f"{raw[0]} IS DISTINCT FROM {raw[1]}")
            continue
        forms = [form(one.kinds[name], converters.get(name), table + one.raw(name)) for table, one, converters in sides]
        if forms[0] is None or forms[1] is None:
            raise Unfaithful(f"{name} is of types that SQL compares in another way")
        if forms[0].family != forms[1].family:
            if FAMILIES.get(forms[0].family, forms[0].family) == FAMILIES.get(forms[1].family, forms[1].family):
                raise Unfaithful(f"{name} is of types that SQL compares in another way")
            conditions.append(f"({raw[0]} IS NOT NULL OR {raw[1]} IS NOT NULL)")
            continue
        conditions.append(f"{forms[0].sql} IS DISTINCT FROM {forms[1].sql}")
    on = " AND ".join(f"{one} = {other}" for one, other in zip(left.keys("l."), right.keys("r."), strict=True))
    keys = left.keys("l.")[0], right.keys("r.")[0]
    unlike = " OR ".join([f"{keys[0]} IS NULL", f"{keys[1]} IS NULL", *conditions])
    columns = [f"{table}{one.raw(name)}" for table, one, _ in sides for name in one.columns]
    query = (
        f"SELECT {keys[0]} IS NOT NULL, {keys[1]} IS NOT NULL, {', '.join(columns)} "  # noqa: S608 - names are ours
        f"FROM {left.scan()} AS l FULL JOIN {right.scan()} AS r ON {on} WHERE {unlike}"
    )
    with ExitStack() as stack:
        connection = stack.enter_context(left.duckdb.connected())
        stack.enter_context(left.duckdb.refusals("compare the two"))
        rows = connection.execute(query).fetchall()
    width = 2 + len(left.columns)
    mine = [row[2:width] for row in rows if row[0]]
    theirs = [row[width:] for row in rows if row[1]]
    return Compared(_transposed(mine), _transposed(theirs), "both are rows in files: keys and columns were compared")


def _transposed(rows: list[tuple[Any, ...]]) -> Iterator[Columns]:
    if rows:
        yield list(zip(*rows, strict=True))
