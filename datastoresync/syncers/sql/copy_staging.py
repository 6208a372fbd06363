"""Values copied into a temporary table of PostgreSQL, just as Python has them, beside the table that they are for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, time
from decimal import Decimal
from itertools import compress
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import attrs
import sqlalchemy as sa

from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.column_forms import FREE, ColumnForm
from datastoresync.syncers.sql.statements import Statements
from datastoresync.syncers.sql.values import UnfitValueError

# --- the columns that COPY carries, and a query compares, exactly ------------------------------------------------

_NONE = type(None)


@attrs.frozen
class _Exact:
    """A type of PostgreSQL.

    Args:
        sql: A type that carries its values, and has no length, precision or range to which one would be made to fit.
        types: The types of the values that it holds as they are.
        zoned: Whether these have a time zone; None where there is no such thing.
    """

    sql: str
    types: frozenset[type]
    zoned: bool | None = None


# The object identifiers never change: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat
# Left out are types whose values are changed on their way or compared otherwise: real, char(n), citext, domains, ...
_TYPES: Final[Mapping[int, _Exact]] = MappingProxyType(
    {
        16: _Exact("bool", frozenset({bool})),
        17: _Exact("bytea", frozenset({bytes})),
        20: _Exact("int8", frozenset({int})),
        # A driver may cut what does not fit into so many bytes; the database refuses it when it gets all of them.
        21: _Exact("int8", frozenset({int})),
        23: _Exact("int8", frozenset({int})),
        25: _Exact("text", frozenset({str})),
        701: _Exact("float8", frozenset({float})),
        1043: _Exact("text", frozenset({str})),
        1082: _Exact("date", frozenset({date})),
        1083: _Exact("time", frozenset({time}), zoned=False),
        1114: _Exact("timestamp", frozenset({datetime}), zoned=False),
        1184: _Exact("timestamptz", frozenset({datetime}), zoned=True),
        1700: _Exact("numeric", frozenset({Decimal, int})),
        2950: _Exact("uuid", frozenset({UUID})),
    }
)
_NUMERIC = 1700
# Only of tables proper, without rules, and in which no two rows have one key: what inherits from a table has keys of
# its own, and an index that could not be built keeps no key unique. Not of text whose collation takes different texts
# to be equal.
_COLUMNS = sa.text(
    """
    SELECT a.attname, a.atttypid::bigint,
           CASE WHEN c.oid IS NULL THEN '' ELSE quote_ident(n.nspname) || '.' || quote_ident(c.collname) END
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_collation c ON c.oid = a.attcollation
        LEFT JOIN pg_namespace n ON n.oid = c.collnamespace
    WHERE t.oid = to_regclass(:name) AND t.relkind IN ('r', 'p') AND NOT t.relhasrules
        AND (t.relkind = 'p' OR NOT t.relhassubclass)
        AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisunique AND NOT i.indisvalid)
        AND (c.oid IS NULL OR c.collisdeterministic)
    """
)


# Of the table and its partitions, which may have triggers of their own.
_TRIGGERS = sa.text(
    """
    SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE NOT tgisinternal AND tgattr::text <> '' AND (
            tgrelid = to_regclass(:name) OR tgrelid IN (SELECT relid FROM pg_partition_tree(to_regclass(:name)))
        )
    )
    """
)


@attrs.frozen(eq=False)
class ExactColumn:
    """A column that is written and compared exactly.

    Args:
        name: Its name, as a statement has it.
        sql: The name of a type that carries its values.
        kind: The same, with the collation of the column.
        types: The types of the values that it holds as they are.
        zoned: Whether these have a time zone; None where there is no such thing.
        encode: What makes other values fit.
        widens: Whether integers are read as decimals.
    """

    name: str
    sql: str
    kind: str
    types: frozenset[type]
    zoned: bool | None
    encode: ColumnForm
    widens: bool

    def encoded(self, values: Sequence[Any], unfit: set[int], flags: Sequence[bool] | None = None) -> Sequence[Any]:
        """Return values as the column holds them; put the indexes of those that it does not hold exactly into a set.

        Those without a flag are None, if there are flags.
        """
        asked = values if flags is None else list(compress(values, flags))
        if self.encode.leaves(asked) and set(map(type, asked)) <= self.types:
            return values
        encoded = []
        for index, value in enumerate(values):
            try:
                made = self.encode(value)
            except UnfitValueError:
                unfit.add(index)
                made = None
            if type(made) not in self.types or not self._in_zone(made):
                unfit.add(index)
            encoded.append(made)
        return encoded

    def _in_zone(self, value: Any) -> bool:
        return self.zoned is None or value is None or (value.tzinfo is not None) is self.zoned

    def raw(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return what the database would give for such values."""
        if not self.widens or int not in map(type, values):
            return values
        return [Decimal(value) if type(value) is int else value for value in values]


def exact_columns(connection: sa.Connection, stored: StoredTable) -> dict[str, ExactColumn]:
    """Return the exact columns of a table; none if the table is not written to directly."""
    preparer = connection.dialect.identifier_preparer
    rows = connection.execute(_COLUMNS, {"name": _name_of(connection, stored.table)})
    return {
        name: ExactColumn(
            _without_parameters(preparer.quote(name)),
            exact.sql,
            f"{exact.sql} COLLATE {collation}" if collation else exact.sql,
            exact.types | {_NONE},
            exact.zoned,
            stored.encoders[name],
            widens=number == _NUMERIC,
        )
        for name, number, collation in rows
        if name in stored.encoders and name not in stored.generated and (exact := _TYPES.get(number)) is not None
    }


def has_column_triggers(connection: sa.Connection, stored: StoredTable) -> bool:
    """Say whether something is to happen where certain columns are updated, with their own value, too."""
    return bool(connection.execute(_TRIGGERS, {"name": _name_of(connection, stored.table)}).scalar())


def _name_of(connection: sa.Connection, table: sa.Table) -> str:
    return _without_parameters(connection.dialect.identifier_preparer.format_table(table))


def _without_parameters(name: str) -> str:
    """Return a name as a statement without parameters has it: SQLAlchemy doubles what would stand for one."""
    return name.replace("%%", "%")


FLAG = ExactColumn("", "bool", "bool", frozenset({bool}), None, FREE, widens=False)
"""A column that says something about each row, and is in no other table."""


# --- a temporary table of such columns ---------------------------------------------------------------------------

_NAME = "datastoresync_changes"
_SAMPLED = 10
"""Times 300 are the rows that a look at the keys reads: with fewer of them it is not seen that they are different."""
_MOST = 32
"""Kinds of rows that are copied one after the other, each without the columns that are NULL in all of them."""


@attrs.define(eq=False)
class CopyStaging:
    """Columns of values, on their way into a temporary table. Each row has an ordinal, which is its index here.

    Args:
        statements: Where the transaction is.
        table: The table that they are for.
        size: How many rows there are.
        keys: How many of the first columns make up the key of a row.
        unfit: The indexes of rows with a value that cannot be carried exactly; they are not copied.
        names: What statements call the columns.
        values: The values of each column, as the table has them.
    """

    statements: Statements
    table: sa.Table
    size: int
    keys: int = 0
    unfit: set[int] = attrs.field(factory=set)
    names: list[str] = attrs.field(init=False, factory=list)
    values: list[Sequence[Any]] = attrs.field(init=False, factory=list)
    _kinds: list[str] = attrs.field(init=False, factory=list)
    _types: list[str] = attrs.field(init=False, factory=list)
    _holds: list[frozenset[type]] = attrs.field(init=False, factory=list)
    _asks: list[Sequence[bool] | None] = attrs.field(init=False, factory=list)
    _flags: list[tuple[Sequence[bool], str]] = attrs.field(init=False, factory=list)
    _kept: list[str] = attrs.field(init=False, factory=list)

    def add(self, column: ExactColumn, values: Sequence[Any], flags: Sequence[bool] | None = None) -> str:
        """Add a column with these values, one a row; return what statements call it.

        Args:
            column: What the values are.
            values: The values.
            flags: Which rows have one of their own; the others have NULL. All have, if there are no flags.
        """
        return self._added(column, column.encoded(values, self.unfit, flags), flags)

    def _added(self, column: ExactColumn, values: Sequence[Any], flags: Sequence[bool] | None) -> str:
        self._asks.append(flags)
        name = f"v{len(self.names)}"
        self._kinds.append(f"{name} {column.kind}")
        self._types.append(column.sql)
        self._holds.append(column.types)
        self.values.append(values)
        self.names.append(f"s.{name}")
        return self.names[-1]

    def where(self, flags: Sequence[bool] | None, flagged: str, unflagged: str) -> str:
        """Return an expression for the rows with a flag, and for those without; all have it if there are no flags."""
        if flags is None:
            return flagged
        name = next((name for own, name in self._flags if own is flags), None)
        if name is None:  # one for all expressions with the same flags
            name = self._added(FLAG, flags, flags)
            self._flags.append((flags, name))
        return f"CASE WHEN {name} THEN {flagged} ELSE {unflagged} END"

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Create the temporary table with the rows in it; it is gone afterwards.

        Raises:
            RefusalError: The database refused a row, or a statement.
        """
        kinds = ", ".join(["ordinal integer", *self._kinds])
        with self.statements.guarded():
            self._run(f"CREATE TEMPORARY TABLE {self.name} ({kinds}) ON COMMIT DROP")
            with self._cursor() as cursor:
                for numbers, indexes in self._by_shape():
                    self._copy(cursor, numbers, indexes)
            self._analyze_keys()
        yield
        with self.statements.guarded():
            self._run(f"DROP TABLE {', '.join([self.name, *self._kept])}")

    def _analyze_keys(self) -> None:
        """Tell the database that the keys are all different, so that it joins the larger table to the smaller one."""
        names = [f"v{index}" for index in range(self.keys)]
        if names:
            few = ", ".join(f"ALTER COLUMN {name} SET STATISTICS {_SAMPLED}" for name in names)
            self._run(f"ALTER TABLE {self.name} {few}")
            self._run(f"ANALYZE {self.name} ({', '.join(names)})")

    def _by_shape(self) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """Yield the numbers of rows with the indexes of the columns in which they have something."""
        fit: Sequence[int] = range(self.size)
        if self.unfit:
            fit = [number for number in fit if number not in self.unfit]
        every = range(len(self.values))
        shapes: dict[tuple[bool, ...], list[int]] = {}
        if self._flags:
            of_each = list(zip(*(flags for flags, _ in self._flags), strict=True))
            for number in fit:
                shapes.setdefault(of_each[number], []).append(number)
        if not 0 < len(shapes) <= _MOST:
            yield fit, every
            return
        for shape, numbers in shapes.items():
            missing = {id(flags) for (flags, _), there in zip(self._flags, shape, strict=True) if not there}
            yield numbers, [index for index in every if id(self._asks[index]) not in missing]

    def _copy(self, cursor: Any, numbers: Sequence[int], indexes: Sequence[int]) -> None:
        names = ", ".join(["ordinal", *(f"v{index}" for index in indexes)])
        columns = [self.values[index] for index in indexes]
        lines = lines_of([self._holds[index] for index in indexes], columns, numbers)
        statement = f"COPY {self.name} ({names}) FROM STDIN"
        if lines is not None:
            with cursor.copy(statement) as copy:
                for block in lines:
                    copy.write(block)
            return
        with cursor.copy(f"{statement} (FORMAT binary)") as copy:
            copy.set_types(["int4", *(self._types[index] for index in indexes)])
            for number in numbers:
                copy.write_row((number, *(column[number] for column in columns)))

    def execute(self, statement: str, *, long: bool = False) -> set[int]:
        """Run a statement and return the indexes that it gives; the next changes are prepared during a long one.

        Raises:
            RefusalError: The database refused it.
        """
        meanwhile = self.statements.meanwhile
        if not long or meanwhile is None or not self.statements.dialect.has_pipeline():
            with self.statements.guarded():
                result = self._run(statement)
                return set(result.scalars()) if result.returns_rows else set()
        with self.statements.guarded(), self._cursor() as cursor:
            with cursor.connection.pipeline():  # sends a statement without waiting for its end
                cursor.execute(statement)
                try:
                    meanwhile()
                except BaseException:
                    with suppress(Exception):  # where it cannot be broken off, it is waited for
                        cursor.connection.cancel()
                    raise
            return {index for (index,) in cursor} if cursor.description else set()

    def not_done(self, statement: str, same: str = "true") -> tuple[set[int], set[int]]:
        """Run a statement; return the indexes of the rows that it was not done for, and of those that differ after it.

        Args:
            statement: The statement, in which ``t`` is the row of the table, and ``s`` that of the temporary one.
            same: The condition that a row is as it was to be.
        """
        done = f"WITH done AS ({statement} RETURNING s.ordinal, {same} AS same)"
        index = "CASE WHEN d.same IS NULL THEN s.ordinal ELSE -1 - s.ordinal END"
        left = f"SELECT {index} FROM {self.name} s LEFT JOIN done d ON d.ordinal = s.ordinal WHERE d.same IS NOT TRUE"  # noqa: S608 - the names are ours
        found = self.execute(f"{done} {left}", long=True)
        return {index for index in found if index >= 0}, {-1 - index for index in found if index < 0}

    def within(self, table: str, conditions: Iterable[str]) -> str:
        """Return what gives the indexes of rows that a table, as ``t``, has a row for with all these conditions."""
        return f"SELECT s.ordinal FROM {self.name} s WHERE EXISTS ({self._row(table, conditions)})"  # noqa: S608 - the names are quoted

    def without(self, table: str, conditions: Iterable[str]) -> str:
        """Return what gives the indexes of all other rows."""
        return f"SELECT s.ordinal FROM {self.name} s WHERE NOT EXISTS ({self._row(table, conditions)})"  # noqa: S608 - the names are quoted

    def _row(self, table: str, conditions: Iterable[str]) -> str:
        return f"SELECT FROM {table} t WHERE {' AND '.join(conditions)}"

    def keeping(self, columns: Iterable[str], matching: Iterable[str], same: Iterable[str]) -> str:
        """Keep these columns of the table as they are; return what gives the indexes of rows that are not the same.

        Args:
            columns: The columns of ``t``, with the names that they have in ``b``.
            matching: The conditions that a row of the table is the one of a row here.
            same: The conditions that it is as it was.
        """
        kept = f"{self.name}_before"
        where = " AND ".join(matching)
        with self.statements.guarded():
            self._run(
                f"CREATE TEMPORARY TABLE {kept} ON COMMIT DROP AS SELECT s.ordinal, {', '.join(columns)} "  # noqa: S608 - the names are quoted
                f"FROM {self.name} s JOIN {self.target} t ON {where}"
            )
        self._kept.append(kept)
        join = f"JOIN {kept} b ON b.ordinal = s.ordinal JOIN {self.target} t ON {where}"
        return f"SELECT s.ordinal FROM {self.name} s {join} WHERE NOT ({' AND '.join(same)})"  # noqa: S608 - the names are quoted

    @property
    def name(self) -> str:
        """What statements call the temporary table; not as the table itself, which it would hide."""
        return f"pg_temp.{_NAME}{'_' * (self.table.name == _NAME)}"

    @property
    def target(self) -> str:
        """What statements call the table that the rows are for."""
        return _name_of(self.statements.connection, self.table)

    def _cursor(self) -> Any:
        return self.statements.connection.connection.cursor()

    def _run(self, statement: str) -> sa.CursorResult[Any]:
        # Without parameters nothing in a statement is one, whatever the names in it.
        return self.statements.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


# --- values as the lines that COPY takes, which is several times quicker than to hand it row by row --------------

_ROWS = 8192
"""Rows that are sent at a time."""
_NULL = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def lines_of(
    types: Sequence[Collection[type]], values: Sequence[Sequence[Any]], numbers: Sequence[int]
) -> Iterator[str] | None:
    """Return blocks of lines, each of the number of a row and its values; None if there is no such form.

    Args:
        types: The types of the values of each column.
        values: The values of each column, of all rows.
        numbers: The rows that are wanted.
    """
    forms = [_FORMS.get(frozenset(own) - {type(None)}) for own in types]
    written = [form for form in forms if form is not None]
    return _blocks(written, values, numbers) if len(written) == len(forms) else None


def _blocks(
    forms: Sequence[Callable[[Sequence[Any]], Sequence[str]]], values: Sequence[Sequence[Any]], numbers: Sequence[int]
) -> Iterator[str]:
    for start in range(0, len(numbers), _ROWS):
        block = numbers[start : start + _ROWS]
        in_a_row = block[-1] - block[0] + 1 == len(block)
        texts = [
            form(column[block[0] : block[-1] + 1] if in_a_row else [column[number] for number in block])
            for form, column in zip(forms, values, strict=True)
        ]
        yield "\n".join(map("\t".join, zip(map(str, block), *texts, strict=True))) + "\n"


def _texts(values: Sequence[Any]) -> Sequence[str]:
    try:
        together, missing = "".join(values), False
    except TypeError:  # some are None, which it is slow to look for
        together, missing = "".join(filter(None, values)), True
    if "\\" in together or "\t" in together or "\n" in together or "\r" in together:
        return [_NULL if value is None else value.translate(_ESCAPES) for value in values]
    return [_NULL if value is None else value for value in values] if missing else values


def _truths(values: Sequence[Any]) -> Sequence[str]:
    return [_NULL if value is None else "t" if value else "f" for value in values]


def _plain_texts(values: Sequence[Any]) -> Sequence[str]:
    if None in values:
        return [_NULL if value is None else str(value) for value in values]
    return list(map(str, values))


_FORMS: Final[Mapping[frozenset[type], Callable[[Sequence[Any]], Sequence[str]]]] = MappingProxyType(
    {
        frozenset({str}): _texts,
        frozenset({bool}): _truths,
        frozenset({int}): _plain_texts,
        frozenset({date}): _plain_texts,
        frozenset({UUID}): _plain_texts,
    }
)
"""How values of these types are written, so that the database reads just them, however it is set."""
