"""Rows of a Spark session: checked, counted, sorted and compared on its executors."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from datastoresync.engines.relation import CannotPushDown, Compared, Page, Work
from datastoresync.engines.spark.comparison import differing
from datastoresync.engines.spark.dataframe import chunks, stopped
from datastoresync.engines.spark.types import Form, key_form, kind_of, surely
from datastoresync.errors import DataWarning
from datastoresync.syncers.records import Columns

_ASKED = 10_000
"""Distinct values of one column that are shown to its converter, at most."""


def checked(relation: SparkRelation, name: str) -> int:
    """Return how many rows there are: one pass over them, and one more for each column that SQL is not sure of.

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
        raise CannotPushDown("there are no rows")
    unsure = [column for column, one in sure.items() if one is None or found[relation.raw(column)]]
    if found["none"] or found["empty"] or any(part in unsure for part in relation.layout.identifiers):
        raise CannotPushDown("some rows have no idnumber, or one that Spark reads in another way")
    if found["distinct"] != count:
        raise CannotPushDown("some rows have an idnumber that another row has too")
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
        raise CannotPushDown(f"{column} has many values that only its converter understands")
    try:
        relation.converter(column).column(values)
    except (ValueError, TypeError):
        raise CannotPushDown(f"{column} has a value that is refused") from None


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


_KEYS = 100_000
"""Keys that are sent to Spark at a time."""
_FEW = 1000
"""Keys that are written into the query, which files and databases can use to look at a part of their rows only."""
_BIGINT = 2**63
_TYPES = {"text": "string", "int": "bigint", "date": "date", "UUID": "string"}


class SparkRelation:
    """The rows of a DataFrame. It stays one; what comes to the driver is what is asked for.

    Opening costs one pass over the rows; see `spark_checking.checked`. A DataFrame is a query: it is run again for
    every question, and must give the same rows each time. ``frame.cache()`` keeps them where they fit.

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
        self.place: Hashable = ("spark", frame.sparkSession)
        self._check_names()
        # Names of our own need no quotes.
        self.frame = frame.toDF(*(f"c{place}" for place in range(len(self.columns))))
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

    def _key(self, part: str) -> Form:
        form = key_form(self.kinds[part], self.converter(part), self.raw(part))
        if form is None:
            raise CannotPushDown(f"Spark sorts idnumbers of the type of {part} in another way")
        return form

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
        return [form.sql for form in self._keys]

    @property
    def families(self) -> list[str]:
        """What the parts of the idnumber are; those of two relations must be the same to be joined."""
        return [form.family for form in self._keys]

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

    def differing(self, other: Any, work: Work) -> Compared:
        """Compare with another DataFrame of the same session; see `spark_comparison.differing`."""
        self.let_go()
        return differing(self, other, work, self._held)

    def let_go(self) -> None:
        """Free what executors still keep of the last comparison."""
        while self._held:
            self._held.pop().unpersist()

    def close(self) -> None:
        """Free what executors keep. The session, and the DataFrame, are the user's."""
        self.let_go()

    # Keys.

    def _with(self, keys: Collection[Any]) -> Iterator[tuple[dict[Any, list[Any]], Any]]:
        """Yield keys, by what Spark has in their place, and the part of the DataFrame that has any of them."""
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
            schema = ", ".join(f"k{place} {_TYPES[family]}" for place, family in enumerate(self.families))
            sent = self.frame.sparkSession.createDataFrame(some, schema)
            alike = [functions.expr(key) == sent[f"k{place}"] for place, key in enumerate(self.keys())]
            yield wanted, self.frame.join(functions.broadcast(sent), alike, "left_semi")

    def _parts(self, key: Any) -> tuple[Any, ...] | None:
        """Return what Spark has in the place of a key; None if it cannot have it."""
        parts = key if len(self._keys) > 1 else (key,)
        if not isinstance(parts, tuple) or len(parts) != len(self._keys):
            return None
        found = tuple(_sent(form.family, part) for form, part in zip(self._keys, parts, strict=True))
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
        pairs: Sequence[tuple[Form, Any]] = list(zip(self._keys, parts, strict=False))
        # Of a tuple and a longer one that begins with it, the longer one is greater.
        condition = functions.lit(bound == "start" or len(parts) < len(self._keys))
        for form, part in reversed(pairs):
            sent = _sent(form.family, part)
            if sent is None:
                message = (
                    f"'<' not supported between instances of {type(part).__name__!r} and an idnumber ({form.family})"
                )
                raise TypeError(message)
            column = functions.expr(form.sql)
            condition = (column > functions.lit(sent)) | ((column == functions.lit(sent)) & condition)
        return condition


def _sent(family: str, part: Any) -> Any:
    """Return what Spark has in the place of a part of a key; None if it is of another type, or cannot be there."""
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
