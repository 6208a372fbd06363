"""Rows in files that the embedded engine reads."""

from __future__ import annotations

import math
import operator
import os
import weakref
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from uuid import UUID

import attrs

from datastoresync.conversion.lookalikes import lookalike_form
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.types import Kind, canonical_sql, declared, present, valid_sql
from datastoresync.engines.relation import CHUNK, DISTINCT, CannotPushDown, Page
from datastoresync.errors import MalformedFileError
from datastoresync.syncers.records import Columns, file_state

_LEAST, _MOST = -(2**63), 2**63 - 1
_SQL_TYPES: Mapping[str, str] = MappingProxyType(
    {"text": "VARCHAR", "whole": "BIGINT", "date": "DATE", "uuid": "VARCHAR"}
)
_SAMPLES: Mapping[str, Any] = MappingProxyType({"text": "", "whole": 0, "date": date.min, "uuid": UUID(int=0)})


@attrs.frozen
class KeyPart:
    """A field of the idnumber.

    Args:
        family: ``text``, ``whole``, ``date`` or ``uuid``; forms of one family sort as their values do.
        column: What the column is called in SQL.
        form: Its values there, as they are compared; `@` stands for the table.
    """

    family: str
    column: str
    form: str

    def sql(self, table: str = "") -> str:
        """Return the expression for the values."""
        return self.form.replace("@", table)

    @property
    def type(self) -> str:
        """The type of the expression."""
        return _SQL_TYPES[self.family]

    def holds(self, value: Any) -> bool:
        """Say whether a value can be one of these at all; if not, SQL would convert it, or refuse it."""
        if self.family == "text":
            return isinstance(value, str) and "\0" not in value and value == value.encode(errors="ignore").decode()
        if self.family == "whole":
            return isinstance(value, (int, float, Decimal)) and _LEAST <= value <= _MOST and value == int(value)
        if self.family == "date":
            return isinstance(value, date) and not isinstance(value, datetime)
        return isinstance(value, UUID)

    def parameter(self, value: Any) -> Any:
        """Return a value as a parameter for SQL."""
        if self.family == "uuid":
            return value.hex
        return int(value) if self.family == "whole" else value

    def taken(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return values that SQL gives as they are in keys."""
        return list(map(UUID, values)) if self.family == "uuid" else values

    def compared_sql(self, symbol: str, value: Any) -> tuple[str, list[Any]]:
        """Return a condition that is true where the values are ``>`` or ``<`` another one.

        Raises:
            TypeError: if they cannot be sorted together.
        """
        if self.holds(value):
            return f"{self.sql()} {symbol} ?", [self.parameter(value)]
        operator.lt(_SAMPLES[self.family], value)
        if self.family == "text":  # no text of a file is encoded so, or has a NUL
            return self._compared_with_odd(symbol, value)
        if value != value or math.isinf(value) or not _LEAST <= value <= _MOST:  # noqa: PLR0124 - NaN differs from itself
            return str((symbol == "<") == (value > 0) and value == value).lower(), []  # noqa: PLR0124 - as above
        return f"{self.sql()} {symbol}= ?", [math.ceil(value) if symbol == ">" else math.floor(value)]

    def _compared_with_odd(self, symbol: str, value: str) -> tuple[str, list[Any]]:
        """Compare with a text that SQL cannot be given, by what precedes its first character that SQL does not have."""
        index = next(index for index, char in enumerate(value) if char == "\0" or "\ud800" <= char <= "\udfff")
        begin, odd = value[:index], value[index]
        # What begins alike and goes on with a greater character is greater: with any, but for those below the odd one.
        edge = begin + ("\x01" if odd == "\0" else "\ue000")
        if symbol == ">":
            return f"{self.sql()} >= ?", [edge]
        return f"{self.sql()} < ?", [edge]


def parts_of(
    identifiers: Sequence[str], kinds: Mapping[str, str], converter: Callable[[str], Any], raw: Callable[[str], str]
) -> list[KeyPart]:
    """Return the fields of the idnumber.

    Args:
        identifiers: Their names.
        kinds: What each column holds.
        converter: Gives the converter of one.
        raw: Gives what its column is called in SQL.

    Raises:
        CannotPushDown: if SQL sorts or finds them in another way.
    """
    parts = []
    for name in identifiers:
        if name not in kinds:
            raise CannotPushDown("a column of the idnumber is missing")
        found = canonical_sql(kinds[name], converter(name), f"@{raw(name)}")
        known = [family for family in found if family in _SQL_TYPES]
        if not known or declared(kinds[name], converter(name))[0] == "bool":
            raise CannotPushDown("the idnumber is of a type that SQL sorts in another way")
        parts.append(KeyPart(known[0], raw(name), found[known[0]]))
    return parts


def bounded(parts: Sequence[KeyPart], symbol: str, key: Any) -> tuple[str, list[Any]]:
    """Return a condition that is true for the keys that are ``>=``, ``>`` or ``<`` another one, and its parameters.

    A tuple of another length is less than those that begin with it, as in Python.

    Raises:
        TypeError: if they cannot be sorted together.
    """
    composite = len(parts) > 1
    if composite:
        operator.lt((), key)
    values = list(key) if composite else [key]
    condition, parameters = _from(parts, symbol, values, 0)
    return condition, parameters


def _from(parts: Sequence[KeyPart], symbol: str, values: Sequence[Any], index: int) -> tuple[str, list[Any]]:
    if index == len(values):
        longer = index < len(parts)
        return ("true" if symbol == ">=" or (longer and symbol == ">") else "false"), []
    if index == len(parts):
        return ("true" if symbol == "<" else "false"), []
    part, value = parts[index], values[index]
    condition, parameters = part.compared_sql(symbol[0], value)
    if not part.holds(value):
        return condition, parameters
    rest, more = _from(parts, symbol, values, index + 1)
    given = part.parameter(value)
    return f"({condition} OR ({part.sql()} = ? AND {rest}))", [*parameters, given, *more]


_OWN = Path("/proc/self/fd")


class HeldFile:
    """A file, and what it was like when it was imported.

    Args:
        path: The file.
        state: What changes when the file does; see `source_info.file_state`.

    Raises:
        CannotPushDown: if it is not that file any more.
    """

    def __init__(self, path: Path, state: tuple[int, ...]) -> None:
        self._given = path
        self._state = state
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise CannotPushDown("the file cannot be opened again") from error
        self.close = weakref.finalize(self, os.close, self._descriptor)
        """Closes it, which the last reference does as well."""
        if file_state(os.fstat(self._descriptor)) != state:
            self.close()
            raise CannotPushDown("the file changed while it was read")
        own = _OWN / str(self._descriptor)
        self.path = str(own) if own.exists() else str(path.absolute())
        """What opens it again."""

    def check(self) -> None:
        """Raise `MalformedFileError` if it was written to since; one that was replaced is still what it was."""
        found = os.fstat(self._descriptor) if self.path.startswith(str(_OWN)) else Path(self.path).stat()
        if file_state(found)[1:] != self._state[1:]:
            message = "the file changed after it was imported: import it again"
            raise MalformedFileError(message, where=str(self._given))


_BLANKS = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(28) || chr(29) || chr(30) || chr(31)"


class LocalRelation:
    """Rows in files. Subclasses say how SQL reads them.

    Args:
        duckdb: How the engine runs.
        columns: The attributes.
        kinds: What each column holds: ``text``, ``int``, ``date`` and the like; see `conversion`.
        schema: The class of the objects, whose converters are the meaning of the values.

    Raises:
        CannotPushDown: if the class cannot be made of these columns, or its idnumber not be found by SQL.
    """

    nullable = True
    """Whether a value may be NULL."""
    engine = "duckdb"
    location: Hashable = "duckdb"

    def __init__(self, duckdb: DuckDB, columns: Sequence[str], kinds: Sequence[str], schema: Any) -> None:
        self.duckdb = duckdb
        self.columns = tuple(columns)
        self.kinds = dict(zip(columns, kinds, strict=True))
        self.schema = schema
        self.count = 0
        self.ascii = True
        self.constants = _constants(schema, self.columns)
        self.python_only_values: dict[str, tuple[Any, ...] | None] = {}
        self._instance = duckdb.opened()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the rows themselves, which nothing changes."""
        return self

    # What subclasses say.

    def scan(self) -> str:
        """Return a subquery that gives the columns under the names of `raw`."""
        raise NotImplementedError

    def whole(self) -> tuple[Any, str, int] | None:
        """Return what must be equal on both sides, a query for the rows as they are written, and their bytes.

        The query's one column is called ``line``. None if rows must be compared column by column.
        """
        return None

    def unwritten(self, rows: Sequence[str]) -> Columns:
        """Return the columns of rows of `whole`."""
        raise NotImplementedError

    def written_kind(self, name: str) -> Kind:
        """Return what a column holds, and how."""
        return Kind(self.kinds[name], frozenset())

    def given(self, columns: Columns) -> Columns:
        """Return what an import would be given, of all columns as SQL gives them."""
        return columns

    def unchanged(self) -> None:
        """Raise `SyncerError` if the files are not those that were imported."""

    def close(self) -> None:
        """Let go of the files."""

    # SQL.

    @cached_property
    def key_parts(self) -> list[KeyPart]:
        """The fields of the idnumber."""
        return parts_of(self.schema.identifiers, self.kinds, self.converter, self.raw)

    def raw(self, name: str) -> str:
        """Return what a column is called in SQL."""
        return f"c{self.columns.index(name)}"

    def converter(self, name: str) -> Any:
        """Return the converter of an attribute; None for an open class."""
        fields = self.schema.fields
        return None if fields is None else fields[name].converter

    def keys(self, table: str = "") -> list[str]:
        """Return the expressions that the idnumber is made of, as they sort."""
        return [part.sql(table) for part in self.key_parts]

    # What is in it.

    def check(self, connection: Any) -> None:
        """Look through all rows once; set `count`, and `python_only_values`, which only their converter understands.

        Raises:
            CannotPushDown: for anything that the in-memory engine might refuse, warn of, or unite.
        """
        texts = [part.sql() for part in self.key_parts if part.family == "text"]
        # Keys that differ in more than case differ; so one count tells of those that are twice, and of look-alikes.
        folded = [f"lower({part.sql()})" if part.family == "text" else part.sql() for part in self.key_parts]
        none = [f"{key} IS NULL" for key in self.keys()] + [f"{text} = ''" for text in texts]
        edges = [f"{text} < '!' OR right({text}, 1) < '!'" for text in texts]  # all empty texts are among them
        beyond = [] if self.ascii else [f"strlen({text}) <> length({text})" for text in texts]
        wanted = [
            "count(*)",
            f"count(DISTINCT hash({', '.join(folded)}))",
            f"least({', '.join(f'count({key})' for key in self.keys())})",
            f"bool_or({' OR '.join(edges + beyond) or 'false'})",
        ]
        conditions: dict[str, str] = {}
        for name in self.columns:
            sure = valid_sql(self.kinds[name], self.converter(name), self.raw(name), nullable=self.nullable)
            if sure != "true":
                conditions[name] = "true" if sure is None else f"NOT {sure} IS TRUE"
                wanted.append(f"count(*) FILTER ({conditions[name]})")
        query = f"SELECT {', '.join(wanted)} FROM {self.scan()}"  # noqa: S608 - names are ours
        self.count, distinct, keyed, look, *odd = connection.execute(query).fetchone()
        if not self.count:
            raise CannotPushDown("there are no rows")
        if keyed != self.count or (look and self._some(connection, " OR ".join(none))):
            raise CannotPushDown("some rows have no idnumber")
        if distinct != self.count or look:
            self._check_keys(connection)
        for (name, condition), count in zip(conditions.items(), odd, strict=True):
            self.python_only_values[name] = self._only_in_python(connection, name, condition) if count else ()
            if count and name in self.schema.identifiers:
                raise CannotPushDown(f"{name} has values that only its converter understands")

    def _some(self, connection: Any, condition: str) -> bool:
        query = f"SELECT 1 FROM {self.scan()} WHERE {condition} LIMIT 1"  # noqa: S608 - names are ours
        return connection.execute(query).fetchone() is not None

    def _only_in_python(self, connection: Any, name: str, condition: str) -> tuple[Any, ...] | None:
        """Return the distinct values for which a condition holds, or None if there are many; all are checked."""
        converter = self.converter(name)
        found: list[Any] = []
        zoned: set[bool] = set()
        for values in self.distinct(connection, name, condition):
            try:
                converted = converter.column(values)
            except (ValueError, TypeError) as error:
                raise CannotPushDown(f"{name} has a value that is refused") from error
            zoned.update(value.tzinfo is not None for value in converted if isinstance(value, datetime))
            found += values[: DISTINCT + 1 - len(found)]
        if True in zoned and self.kinds[name] == "text":  # what SQL understands has none
            naive = f"NOT ({condition}) AND {present('text', converter, self.raw(name))} IS NOT NULL"
            if False in zoned or self._some(connection, naive):
                raise CannotPushDown(f"{name} has moments both with and without a time zone")
        return tuple(found) if len(found) <= DISTINCT else None

    def distinct(self, connection: Any, name: str, condition: str = "true") -> Iterator[Sequence[Any]]:
        """Yield the distinct values of a column in chunks, as an import would be given them."""
        query = f"SELECT DISTINCT {self.raw(name)} FROM {self.scan()} WHERE {condition}"  # noqa: S608 - names are ours
        cursor = connection.execute(query)
        while rows := cursor.fetchmany(CHUNK):
            yield self.written_kind(name).given([value for (value,) in rows])

    def _check_keys(self, connection: Any) -> None:
        """Look for duplicate keys, and for keys that a person takes for one, of which an import warns."""
        keys = ", ".join(self.keys())
        query = f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {self.scan()})"  # noqa: S608 - names are ours
        if connection.execute(query).fetchone()[0] != self.count:
            raise CannotPushDown("several rows have one idnumber")
        texts = [part.family == "text" for part in self.key_parts]
        longer = [f"strlen({part.sql()}) <> length({part.sql()})" for part in self.key_parts if part.family == "text"]
        beyond = f"({' OR '.join(longer) or 'false'})"
        shapes = [
            f"f{index} {'VARCHAR' if text else part.type}"
            for index, (part, text) in enumerate(zip(self.key_parts, texts, strict=True))
        ]
        connection.execute(f"CREATE TEMP TABLE folded ({', '.join(shapes)})")
        plain = [
            f"lower(trim({part.sql()}, {_BLANKS}))" if text else part.sql()
            for part, text in zip(self.key_parts, texts, strict=True)
        ]
        connection.execute(f"INSERT INTO folded SELECT {', '.join(plain)} FROM {self.scan()} WHERE NOT {beyond}")  # noqa: S608 - names are ours
        with ExitStack() as stack:
            reading = connection.cursor()
            stack.callback(reading.close)
            reading.execute(f"SELECT {keys} FROM {self.scan()} WHERE {beyond}")  # noqa: S608 - names are ours
            marks = ", ".join(f"unnest(?::{part.type}[])" for part in self.key_parts)
            while rows := reading.fetchmany(CHUNK):
                columns = [
                    [lookalike_form(value) for value in column] if text else list(column)
                    for column, text in zip(zip(*rows, strict=True), texts, strict=True)
                ]
                connection.execute(f"INSERT INTO folded SELECT {marks}", columns)
        unlike = connection.execute("SELECT count(*) FROM (SELECT DISTINCT * FROM folded)").fetchone()[0]
        connection.execute("DROP TABLE folded")
        if unlike != self.count:
            raise CannotPushDown("some idnumbers may look alike")

    # The protocol.

    def rows(self, page: Page | None = None) -> Iterator[Columns]:
        """Yield chunks of columns; see `Relation`."""
        query, parameters = f"SELECT {self._all()} FROM {self.scan()}", []  # noqa: S608 - names are ours
        if page is not None:
            conditions = []
            for symbol, key in ((">=", page.start), (">", page.after), ("<", page.stop)):
                if key is not None:
                    condition, values = bounded(self.key_parts, symbol, key)
                    conditions.append(condition)
                    parameters += values
            if conditions:
                query += f" WHERE {' AND '.join(conditions)}"
            direction = " DESC" if page.backwards else ""
            query += f" ORDER BY {', '.join(key + direction for key in self.keys())}"
            if page.limit is not None:
                query += f" LIMIT {page.limit}"
        yield from map(self.given, self._answered(query, parameters))

    def find(self, keys: Collection[Any]) -> Iterator[Columns]:
        """Yield chunks with the rows of these keys."""
        yield from map(self.given, self._matching(self._all(), keys))

    def present(self, keys: Collection[Any]) -> set[Any]:
        """Return which of these keys there are."""
        found: set[Any] = set()
        for columns in self._matching(", ".join(self.keys()), keys):
            taken = [part.taken(column) for part, column in zip(self.key_parts, columns, strict=True)]
            found.update(taken[0] if len(self.key_parts) == 1 else zip(*taken, strict=True))
        return found

    def common(self, other: LocalRelation) -> int:
        """Return how many keys two relations have in common."""
        query = f"SELECT count(*) FROM {self.scan()} AS l JOIN {other.scan()} AS r ON {self.same_key(other)}"  # noqa: S608 - names are ours
        with self.duckdb.connected() as connection:
            found: int = connection.execute(query).fetchone()[0]
        return found

    def same_key(self, other: LocalRelation) -> str:
        """Return the condition that a row ``l`` of this relation and one of another, ``r``, have one key."""
        return " AND ".join(f"{one} = {two}" for one, two in zip(self.keys("l."), other.keys("r."), strict=True))

    def _all(self) -> str:
        return ", ".join(map(self.raw, self.columns))

    def _matching(self, what: str, keys: Collection[Any]) -> Iterator[Columns]:
        rows = [parts for parts in map(self._split, keys) if parts is not None]
        if not rows:
            return
        given = [
            [part.parameter(value) for value in column]
            for part, column in zip(self.key_parts, zip(*rows, strict=True), strict=True)
        ]
        marks = [f"unnest(?::{part.type}[])" for part in self.key_parts]
        key, wanted = self.keys()[0], marks[0]
        if len(marks) > 1:
            key, wanted = f"row({', '.join(self.keys())})", f"row({', '.join(marks)})"
        query = f"SELECT {what} FROM {self.scan()} WHERE {key} IN (SELECT {wanted})"  # noqa: S608 - names are ours
        yield from self._answered(query, given)

    def _split(self, key: Any) -> tuple[Any, ...] | None:
        """Return the parts of a key; None if it cannot be one of these at all."""
        parts = key if len(self.key_parts) > 1 else (key,)
        if not isinstance(parts, tuple) or len(parts) != len(self.key_parts):
            return None
        fit = all(part.holds(value) for part, value in zip(self.key_parts, parts, strict=True))
        return parts if fit else None

    def _answered(self, query: str, parameters: Sequence[Any]) -> Iterator[Columns]:
        self.unchanged()
        with self.duckdb.connected() as connection:
            yield from self.fetched(connection.execute(query, parameters))
        self.unchanged()

    @property
    def sample(self) -> Mapping[str, Any]:
        """A value of each column that has one among the first rows."""
        query = f"SELECT {self._all()} FROM {self.scan()} LIMIT 100"  # noqa: S608 - names are ours
        first = self.given(next(self._answered(query, ())))
        values = (next((value for value in column if value is not None), None) for column in first)
        return dict(zip(self.columns, values, strict=True))

    def fetched(self, cursor: Any) -> Iterator[Columns]:
        """Yield what a query gives, in chunks of columns of Python's values."""
        while rows := cursor.fetchmany(CHUNK):
            yield list(zip(*rows, strict=True))


def _constants(schema: Any, columns: Collection[str]) -> dict[str, Any]:
    """Return the values of the fields that have no column.

    Raises:
        CannotPushDown: if these are made for each object anew, or there is none.
    """
    found = {}
    for name, field in (schema.fields or {}).items():
        if name not in columns:
            if not field.constant:
                raise CannotPushDown(f"there is no column {name!r}")
            found[name] = field.default()
    return found
