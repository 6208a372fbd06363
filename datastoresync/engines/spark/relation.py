"""Rows of a Spark session: checked, counted, sorted and compared on its executors."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from datastoresync.engines.relation import CannotPushDown, DifferingRows, Page, Work
from datastoresync.engines.spark.dataframe import chunks, stopped
from datastoresync.engines.spark.types import CanonicalSQL, canonical_sql, key_sql, kind_of, same_declaration, valid_sql
from datastoresync.errors import DataWarning
from datastoresync.syncers.records import Columns

_MOST_DISTINCT = 10_000
"""Distinct values of one column that are shown to its converter, at most."""


def checked(relation: SparkRelation, name: str) -> int:
    """Return how many rows there are: one pass over them, and one more for each column whose values SQL cannot judge.

    Warns of idnumbers that look alike, as an import does.

    Args:
        relation: Whose rows they are.
        name: The branch as a person would name it, for the warning.

    Raises:
        CannotPushDown: if anything is for the in-memory engine to judge.
        SyncerError: if Spark cannot run the query.
    """
    keys = relation.keys()
    raw = [relation.raw(part) for part in relation.layout.identifiers]
    texts = [relation.raw(part) for part in relation.layout.identifiers if relation.kinds[part] == "text"]
    wanted = {
        "rows": "COUNT(*)",
        "distinct": f"COUNT(DISTINCT {', '.join(keys)})",
        "none": _count_any("@ IS NULL", raw),
        "empty": _count_any("@ = ''", texts),
        "lower": _count_any("@ <> LOWER(@)", texts),
        "upper": _count_any("@ <> UPPER(@)", texts),
        "not_plain": _count_any("@ RLIKE r'[^!-~]'", texts),
    }
    valid = {
        column: valid_sql(kind, relation.converter(column), relation.raw(column))
        for column, kind in relation.kinds.items()
    }
    wanted |= {relation.raw(column): f"COUNT_IF(NOT {condition})" for column, condition in valid.items() if condition}
    try:
        found = (
            relation.frame.selectExpr(*(f"{count} AS `{alias}`" for alias, count in wanted.items())).first().asDict()
        )
    except Exception as error:  # noqa: BLE001 - raised again as one of ours, whatever it is
        raise stopped(error, "the DataFrame") from None  # it may quote rows
    count: int = found["rows"]
    if not count:
        raise CannotPushDown("there are no rows")
    undecided = [column for column, condition in valid.items() if not condition or found[relation.raw(column)]]
    if found["none"] or found["empty"] or any(part in undecided for part in relation.layout.identifiers):
        raise CannotPushDown("some rows have no idnumber, or one that Spark reads in another way")
    if found["distinct"] != count:
        raise CannotPushDown("some rows have an idnumber that another row has too")
    for column in undecided:
        _convert_distinct(relation, column, "true" if valid[column] is None else f"NOT {valid[column]}")
    if found["not_plain"] or (found["lower"] and found["upper"]):
        _warn_of_lookalike_keys(relation, texts, name)
    return count


def _count_any(condition: str, columns: list[str]) -> str:
    """Return how many rows a condition holds for in one of the columns."""
    return f"COUNT_IF({' OR '.join(condition.replace('@', column) for column in columns) or 'false'})"


def _convert_distinct(relation: SparkRelation, column: str, condition: str) -> None:
    """Let the converter look at each distinct value."""
    raw = relation.raw(column)
    distinct = relation.frame.where(condition).select(raw).distinct().limit(_MOST_DISTINCT + 1)
    values = [value for (values,) in chunks(distinct) for value in values]
    if len(values) > _MOST_DISTINCT:
        raise CannotPushDown(f"{column} has many values that only its converter understands")
    try:
        relation.converter(column).column(values)
    except (ValueError, TypeError):
        raise CannotPushDown(f"{column} has a value that is refused") from None


def _warn_of_lookalike_keys(relation: SparkRelation, texts: list[str], name: str) -> None:
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
    for lookalikes in found.values():
        pairs += [(lookalikes[0], other) for other in lookalikes[1:]]
    if pairs:
        shown = ", ".join(f"{first!r} and {second!r}" for first, second in pairs[:5])
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


_KEYS = 100_000
"""Keys that are sent to Spark at a time."""
_FEW = 1000
"""Keys that are written into the query, which files and databases can use to look at a part of their rows only."""
_BIGINT = 2**63
_TYPES = {"text": "string", "int": "bigint", "date": "date", "UUID": "string"}


class SparkRelation:
    """The rows of a DataFrame. It stays one; what comes to the driver is what is asked for.

    Opening costs one pass over the rows; see `checked`. A DataFrame is a query: it runs again for every
    question, and must give the same rows each time. ``frame.cache()`` keeps them where they fit.

    Args:
        frame: The DataFrame.
        layout: The class of the objects, whose converters are the meaning of the values.
        name: The branch as a person would name it, for warnings.

    Raises:
        CannotPushDown: if anything in it is for the in-memory engine to judge.
        SyncerError: if Spark cannot run it.
    """

    engine = "spark"

    def __init__(self, frame: Any, layout: Any, *, name: str = "") -> None:
        self.columns: tuple[str, ...] = tuple(frame.columns)
        self.layout = layout
        self.location: Hashable = ("spark", frame.sparkSession)
        self._check_names()
        # Names of our own need no quotes.
        self.frame = frame.toDF(*(f"c{index}" for index in range(len(self.columns))))
        self.types = {column: field.dataType for column, field in zip(self.columns, frame.schema.fields, strict=True)}
        self.kinds: dict[str, str] = {}
        for column, its_type in self.types.items():
            kind = kind_of(its_type)
            if kind is None:
                raise CannotPushDown(f"Spark cannot compare {column}, which is a {its_type.simpleString()}")
            self.kinds[column] = kind
        self._keys = [self._key(part) for part in layout.identifiers]
        self._held: list[Any] = []
        self.count = checked(self, name)

    def _check_names(self) -> None:
        fields = self.layout.fields
        names = set(self.columns)
        if len(names) < len(self.columns) or not set(self.layout.identifiers) <= names:
            raise CannotPushDown("a column is missing, or there twice")
        if fields is None:
            return
        if not names <= fields.keys() or any(
            field.default is None and name not in names for name, field in fields.items()
        ):
            raise CannotPushDown("the columns are not those of the class")
        if self.layout.through_init or any(fields[name].converter is None for name in names):
            raise CannotPushDown(f"{self.layout.cls.__name__} converts or validates values itself")

    def _key(self, part: str) -> CanonicalSQL:
        key = key_sql(self.kinds[part], self.converter(part), self.raw(part))
        if key is None:
            raise CannotPushDown(f"Spark sorts idnumbers of the type of {part} in another way")
        return key

    # Names in SQL.

    def raw(self, name: str) -> str:
        """Return what a column is called in `frame`."""
        return f"c{self.columns.index(name)}"

    def converter(self, name: str) -> Any:
        """Return the converter of an attribute; None for an open class."""
        fields = self.layout.fields
        return None if fields is None else fields[name].converter

    def keys(self) -> list[str]:
        """Return the expressions that the idnumber is made of, as they sort."""
        return [key.sql for key in self._keys]

    @property
    def families(self) -> list[str]:
        """What the parts of the idnumber are; those of two relations must be the same to be joined."""
        return [key.family for key in self._keys]

    # The protocol.

    def rows(self, page: Page | None = None) -> Iterator[Columns]:
        """Yield chunks of columns; see `Relation`. With a page, Spark sorts all rows of it."""
        if page is None:
            yield from chunks(self.frame)
            return
        from pyspark.sql import functions

        frame = self.frame
        for bound, is_met in ((page.start, self._at_least), (page.after, self._after), (page.stop, self._before)):
            if bound is not None:
                frame = frame.where(is_met(bound))
        order = [functions.expr(key) for key in self.keys()]
        frame = frame.orderBy(*(key.desc() if page.backwards else key.asc() for key in order))
        yield from chunks(frame if page.limit is None else frame.limit(page.limit))

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the rows of these keys."""
        for _, frame in self._with(keys):
            yield from chunks(frame.select(*(self.raw(name) for name in self.columns)))

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are."""
        found: set[Any] = set()
        for wanted, frame in self._with(keys):
            for columns in chunks(frame.selectExpr(*self.keys())):
                for parts in zip(*columns, strict=True):
                    found.update(wanted[parts])
        return found

    def differing(self, other: Any, work: Work) -> DifferingRows:
        """Compare with another DataFrame of the same session; only rows that differ leave the executors."""
        self.let_go()
        return _differing(self, other, work, self._held)

    def let_go(self) -> None:
        """Free what executors still keep of the last comparison."""
        while self._held:
            self._held.pop().unpersist()

    def close(self) -> None:
        """Free what executors keep. The session, and the DataFrame, are the user's."""
        self.let_go()

    # Keys.

    def _with(self, keys: Collection[Any]) -> Iterator[tuple[dict[Any, list[Any]], Any]]:
        """Yield keys by their values in Spark, and the rows of the DataFrame that have any of them."""
        from pyspark.sql import functions

        asked: dict[Any, list[Any]] = {}
        for key in keys:
            parts = self._parts(key)
            if parts is not None:
                asked.setdefault(parts, []).append(key)
        every = list(asked)
        for start in range(0, len(every), _KEYS):
            some = every[start : start + _KEYS]
            wanted = {parts: asked[parts] for parts in some}
            if len(self._keys) == 1 and len(some) <= _FEW:
                yield wanted, self.frame.where(functions.expr(self.keys()[0]).isin([parts[0] for parts in some]))
                continue
            schema = ", ".join(f"k{index} {_TYPES[family]}" for index, family in enumerate(self.families))
            sent = self.frame.sparkSession.createDataFrame(some, schema)
            equal = [functions.expr(key) == sent[f"k{index}"] for index, key in enumerate(self.keys())]
            yield wanted, self.frame.join(functions.broadcast(sent), equal, "left_semi")

    def _parts(self, key: Any) -> tuple[Any, ...] | None:
        """Return the values of a key in Spark; None if no row can have it."""
        parts = key if len(self._keys) > 1 else (key,)
        if not isinstance(parts, tuple) or len(parts) != len(self._keys):
            return None
        found = tuple(_key_value(column.family, part) for column, part in zip(self._keys, parts, strict=True))
        return None if None in found else found

    def _at_least(self, key: Any) -> Any:
        return self._beyond(key, "start")

    def _after(self, key: Any) -> Any:
        return self._beyond(key, "after")

    def _before(self, key: Any) -> Any:
        return ~self._beyond(key, "start")

    def _beyond(self, key: Any, bound: str) -> Any:
        """Return the condition for keys that are at least this one, or ``after`` it, as Python sorts tuples."""
        from pyspark.sql import functions

        parts = key if len(self._keys) > 1 else (key,)
        pairs: Sequence[tuple[CanonicalSQL, Any]] = list(zip(self._keys, parts, strict=False))
        # Of a tuple and a longer one that begins with it, the longer one is greater.
        condition = functions.lit(bound == "start" or len(parts) < len(self._keys))
        for key_column, part in reversed(pairs):
            value = _key_value(key_column.family, part)
            if value is None:
                family = key_column.family
                message = f"'<' not supported between instances of {type(part).__name__!r} and an idnumber ({family})"
                raise TypeError(message)
            column = functions.expr(key_column.sql)
            condition = (column > functions.lit(value)) | ((column == functions.lit(value)) & condition)
        return condition


def _key_value(family: str, part: Any) -> Any:
    """Return the value of a part of a key in Spark; None if it is of another type, or Spark cannot hold it."""
    if family == "int" and isinstance(part, (int, float, Decimal)):
        within = part == part and -_BIGINT <= part < _BIGINT  # noqa: PLR0124 - NaN
        return int(part) if within and int(part) == part else None
    if family == "date":
        return part if type(part) is date else None
    if family == "UUID":
        return part.hex if isinstance(part, UUID) else None
    if family == "text" and isinstance(part, str):
        return str(part) if not any("\ud800" <= character <= "\udfff" for character in part) else None
    return None


def _differing(left: SparkRelation, right: SparkRelation, work: Work, held: list[Any]) -> DifferingRows:
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
    keys = [f"k{index}" for index in range(len(left.families))]
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

    return DifferingRows(rows("l", left), rows("r", right), "both sides are DataFrames of one Spark session")


def _equal(left: SparkRelation, right: SparkRelation, work: Work, name: str) -> str:
    """Return the condition for two values that are surely equal; it is never null."""
    left_column, right_column = f"l{left.raw(name)}", f"r{right.raw(name)}"
    converters = work.left.get(name), work.right.get(name)
    same_type = left.types[name] == right.types[name] and same_declaration(*converters)
    raw = f"({left_column} <=> {right_column})"
    left_sql = canonical_sql(left.kinds[name], converters[0], left_column)
    right_sql = canonical_sql(right.kinds[name], converters[1], right_column)
    if left_sql is not None and right_sql is not None and left_sql.family == right_sql.family:
        if not same_type:
            return f"({left_sql.sql} <=> {right_sql.sql})"
        return raw if left_sql.sql == left_column else f"({raw} OR {left_sql.sql} <=> {right_sql.sql})"
    if not same_type:
        raise CannotPushDown(f"Spark cannot compare {name} as Python does")
    return raw
