"""Rows that are copied into a temporary table of PostgreSQL, beside the table that they are for.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.syncers.sql.copy_text import lines_of
from datastoresync.syncers.sql.copy_types import FLAG, ExactColumn
from datastoresync.syncers.sql.statements import Statements

_NAME = "datastoresync_changes"
_SAMPLED = 10
"""Times 300 are the rows that a look at the keys reads: with fewer of them it is not seen that they are different."""
_MOST = 32
"""Kinds of rows that are copied one after the other, each without the columns that are NULL in all of them."""


@attrs.define(eq=False)
class Copied:
    """Columns of values, on their way into a temporary table. Each row has a place, counted from 0.

    Args:
        statements: Where the transaction is.
        table: The table that they are for.
        size: How many rows there are.
        keys: How many of the first columns make up the key of a row.
        unfit: The places of rows with a value that cannot be carried exactly; they are not copied.
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

    def where(self, flags: Sequence[bool] | None, there: str, elsewhere: str) -> str:
        """Return an expression for the rows with a flag, and for those without; all have it if there are no flags."""
        if flags is None:
            return there
        name = next((name for own, name in self._flags if own is flags), None)
        if name is None:  # one for all expressions with the same flags
            name = self._added(FLAG, flags, flags)
            self._flags.append((flags, name))
        return f"CASE WHEN {name} THEN {there} ELSE {elsewhere} END"

    @contextmanager
    def there(self) -> Iterator[None]:
        """Let the rows be in the temporary table; it is gone afterwards.

        Raises:
            RefusalError: The database refused a row, or a statement.
        """
        kinds = ", ".join(["place integer", *self._kinds])
        with self.statements.guarded():
            self._run(f"CREATE TEMPORARY TABLE {self.name} ({kinds}) ON COMMIT DROP")
            with self._cursor() as cursor:
                for numbers, places in self._by_shape():
                    self._copy(cursor, numbers, places)
            self._look_at_keys()
        yield
        with self.statements.guarded():
            self._run(f"DROP TABLE {self.name}")

    def _look_at_keys(self) -> None:
        """Let the database know that the keys are all different; it joins the larger table to the smaller one then."""
        names = [f"v{place}" for place in range(self.keys)]
        if names:
            few = ", ".join(f"ALTER COLUMN {name} SET STATISTICS {_SAMPLED}" for name in names)
            self._run(f"ALTER TABLE {self.name} {few}")
            self._run(f"ANALYZE {self.name} ({', '.join(names)})")

    def _by_shape(self) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """Yield the numbers of rows with the places of the columns in which they have something."""
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
            yield numbers, [place for place in every if id(self._asks[place]) not in missing]

    def _copy(self, cursor: Any, numbers: Sequence[int], places: Sequence[int]) -> None:
        names = ", ".join(["place", *(f"v{place}" for place in places)])
        columns = [self.values[place] for place in places]
        lines = lines_of([self._holds[place] for place in places], columns, numbers)
        statement = f"COPY {self.name} ({names}) FROM STDIN"
        if lines is not None:
            with cursor.copy(statement) as copy:
                for block in lines:
                    copy.write(block)
            return
        with cursor.copy(f"{statement} (FORMAT binary)") as copy:
            copy.set_types(["int4", *(self._types[place] for place in places)])
            for number in numbers:
                copy.write_row((number, *(column[number] for column in columns)))

    def execute(self, statement: str, *, long: bool = False) -> set[int]:
        """Run a statement and return the places that it gives, if any; the next changes are prepared during a long one.

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
            return {place for (place,) in cursor} if cursor.description else set()

    def not_done(self, statement: str) -> set[int]:
        """Run a statement that gives the places of the rows it is done for; return those of all others."""
        places = f"SELECT s.place FROM {self.name} s"  # noqa: S608 - the name is ours
        left = f"{places} WHERE NOT EXISTS (SELECT FROM done d WHERE d.place = s.place)"
        return self.execute(f"WITH done AS ({statement}) {left}", long=True)

    @property
    def name(self) -> str:
        """What statements call the temporary table; not as the table itself, which it would hide."""
        return f"pg_temp.{_NAME}{'_' * (self.table.name == _NAME)}"

    @property
    def target(self) -> str:
        """What statements call the table that the rows are for."""
        return self.statements.connection.dialect.identifier_preparer.format_table(self.table)

    def _cursor(self) -> Any:
        return self.statements.connection.connection.cursor()

    def _run(self, statement: str) -> sa.CursorResult[Any]:
        # Without parameters nothing in a statement is one, whatever the names in it.
        return self.statements.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
