"""Looks through a DataFrame once, for whatever the in-memory engine would refuse, unite or warn of."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from datastoresync.engines.relation import Unfaithful
from datastoresync.engines.spark.dataframe import chunks, stopped
from datastoresync.engines.spark.types import surely
from datastoresync.errors import DataWarning

if TYPE_CHECKING:
    from datastoresync.engines.spark.relation import SparkRelation

__all__ = ["checked"]

_ASKED = 10_000
"""Distinct values of one column that are shown to its converter, at most."""


def checked(relation: SparkRelation, name: str) -> int:
    """Return how many rows there are: one pass over them, and one more for each column that SQL is not sure of.

    Warns of idnumbers that look alike, as an import does.

    Args:
        relation: Whose rows they are.
        name: The branch as a person would name it, for the warning.

    Raises:
        Unfaithful: if anything is for the in-memory engine to judge.
        SyncerError: if Spark cannot run the query.
    """
    keys = relation.keys()
    raw = [relation.raw(part) for part in relation.layout.identifiers]
    texts = [one for part, one in zip(relation.layout.identifiers, raw, strict=True) if relation.kinds[part] == "text"]
    wanted = {
        "rows": "COUNT(*)",
        "distinct": f"COUNT(DISTINCT {', '.join(keys)})",
        "none": _count_any("@ IS NULL", raw),
        "empty": _count_any("@ = ''", texts),
        "lower": _count_any("@ <> LOWER(@)", texts),
        "upper": _count_any("@ <> UPPER(@)", texts),
        "odd": _count_any("@ RLIKE r'[^!-~]'", texts),
    }
    sure = {
        column: surely(kind, relation.converter(column), relation.raw(column))
        for column, kind in relation.kinds.items()
    }
    wanted |= {relation.raw(column): f"COUNT_IF(NOT {one})" for column, one in sure.items() if one is not None}
    try:
        found = relation.frame.selectExpr(*(f"{one} AS `{alias}`" for alias, one in wanted.items())).first().asDict()
    except Exception as error:  # noqa: BLE001 - raised again as one of ours, whatever it is
        raise stopped(error, "the DataFrame") from None  # it may quote rows
    count: int = found["rows"]
    if not count:
        raise Unfaithful("there are no rows")
    unsure = [column for column, one in sure.items() if one is None or found[relation.raw(column)]]
    if found["none"] or found["empty"] or any(part in unsure for part in relation.layout.identifiers):
        raise Unfaithful("some rows have no idnumber, or one that Spark reads in another way")
    if found["distinct"] != count:
        raise Unfaithful("some rows have an idnumber that another row has too")
    for column in unsure:
        _ask(relation, column, "true" if sure[column] is None else f"NOT {sure[column]}")
    if found["odd"] or (found["lower"] and found["upper"]):
        _warn_of_look_alikes(relation, texts, name)
    return count


def _count_any(condition: str, columns: list[str]) -> str:
    """Return how many rows a condition holds for in one of the columns."""
    return f"COUNT_IF({' OR '.join(condition.replace('@', column) for column in columns) or 'false'})"


def _ask(relation: SparkRelation, column: str, condition: str) -> None:
    """Let the converter look at each distinct value."""
    raw = relation.raw(column)
    distinct = relation.frame.where(condition).select(raw).distinct().limit(_ASKED + 1)
    values = [value for (values,) in chunks(distinct) for value in values]
    if len(values) > _ASKED:
        raise Unfaithful(f"{column} has many values that only its converter understands")
    try:
        relation.converter(column).column(values)
    except (ValueError, TypeError):
        raise Unfaithful(f"{column} has a value that is refused") from None


def _warn_of_look_alikes(relation: SparkRelation, texts: list[str], name: str) -> None:
    """Warn of idnumbers that a person would take for one: executors fold them with Python's own Unicode."""
    others = [relation.raw(part) for part in relation.layout.identifiers if relation.raw(part) not in texts]
    whole = [relation.raw(part) for part in relation.layout.identifiers]
    frame = relation.frame.select(*whole, *(relation.frame[text].alias(f"folded_{text}") for text in texts))
    folded = frame.mapInArrow(_folding(), frame.schema)
    groups = [*others, *(f"folded_{text}" for text in texts)]
    several = (
        folded.groupBy(*groups)
        .agg({"*": "count"})
        .where("`count(1)` > 1")
        .join(folded, groups)
        .orderBy(*groups, *whole)
        .select(*groups, *whole)
        .limit(10)
    )
    found: dict[Any, list[Any]] = {}
    pairs = []
    for columns in chunks(several):
        for row in zip(*columns, strict=True):
            key = row[len(groups)] if len(whole) == 1 else row[len(groups) :]
            found.setdefault(row[: len(groups)], []).append(key)
    for alike in found.values():
        pairs += [(alike[0], other) for other in alike[1:]]
    if pairs:
        shown = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:5])
        message = (
            f"{name}: idnumbers that differ only in case, Unicode form or blanks at their ends are different: {shown}"
        )
        warnings.warn(message, DataWarning, stacklevel=2)


def _folding() -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function that executors run: made here, it is sent whole, and they need nothing of this library."""
    normalize = unicodedata.normalize

    def fold(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow

        for batch in batches:
            columns = [
                pyarrow.array(
                    [normalize("NFKC", value).strip().casefold() for value in column.to_pylist()], pyarrow.string()
                )
                if field.startswith("folded_")
                else column
                for field, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pyarrow.record_batch(columns, names=batch.schema.names)

    return fold
