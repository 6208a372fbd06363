"""Compares two DataFrames: a full outer join on the idnumber, of which only rows that differ leave the executors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datastoresync.engines.relation import CannotPushDown, Compared, Work
from datastoresync.engines.spark.dataframe import chunks
from datastoresync.engines.spark.types import form, same_declaration
from datastoresync.syncers.records import Columns

if TYPE_CHECKING:
    from datastoresync.engines.spark.relation import SparkRelation


def differing(left: SparkRelation, right: SparkRelation, work: Work, held: list[Any]) -> Compared:
    """Return the rows of each side that have no equal on the other one.

    They are kept on the executors, in memory and on disk, until both sides of them were read to their ends.

    Args:
        left: The source.
        right: The destination, of the same session.
        work: What is compared.
        held: Takes what is to be freed.

    Raises:
        CannotPushDown: if idnumbers or an attribute cannot be compared there.
    """
    from pyspark.sql import functions

    if left.families != right.families:
        raise CannotPushDown("the idnumbers are of different types")
    conditions = [_equal(left, right, work, name) for name in work.attributes]
    keys = [f"k{place}" for place in range(len(left.families))]
    sides = [
        relation.frame.select(
            *(functions.expr(key).alias(name) for key, name in zip(relation.keys(), keys, strict=True)),
            *(functions.col(relation.raw(name)).alias(f"{side}{relation.raw(name)}") for name in relation.columns),
            functions.lit(1).alias(side),
        )
        for side, relation in (("l", left), ("r", right))
    ]
    unequal = " OR ".join(["l IS NULL", "r IS NULL", *(f"NOT {condition}" for condition in conditions)])
    found = sides[0].join(sides[1], keys, "full_outer").where(unequal).persist()
    held.append(found)
    unread = {"l", "r"}

    def rows(side: str, relation: SparkRelation) -> Iterator[Columns]:
        own = found.where(f"{side} IS NOT NULL").orderBy(*keys)
        yield from chunks(own.select(*(side + relation.raw(name) for name in relation.columns)))
        unread.discard(side)
        if not unread and found in held:
            held.remove(found)
            found.unpersist()

    return Compared(rows("l", left), rows("r", right), "both sides are DataFrames of one Spark session")


def _equal(left: SparkRelation, right: SparkRelation, work: Work, name: str) -> str:
    """Return the condition for two values that are equal for sure; it is never null."""
    mine, theirs = f"l{left.raw(name)}", f"r{right.raw(name)}"
    mine_as, theirs_as = work.left.get(name), work.right.get(name)
    alike = left.types[name] == right.types[name] and same_declaration(mine_as, theirs_as)
    raw = f"({mine} <=> {theirs})"
    one, other = form(left.kinds[name], mine_as, mine), form(right.kinds[name], theirs_as, theirs)
    if one is not None and other is not None and one.family == other.family:
        if not alike:
            return f"({one.sql} <=> {other.sql})"
        return raw if one.sql == mine else f"({raw} OR {one.sql} <=> {other.sql})"
    if not alike:
        raise CannotPushDown(f"Spark cannot compare {name} as Python does")
    return raw
