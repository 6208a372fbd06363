"""Rows that are copied into a temporary table of PostgreSQL, beside the table that they are for.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.syncers.sql_exact import FLAG, ExactColumn
from datastoresync.syncers.sql_statements import Statements

__all__ = ["Copied"]

_NAME = "datastoresync_changes"


@attrs.define(eq=False)
class Copied:
    """Columns of values, on their way into a temporary table. Each row has a place, counted from 0.

    Args:
        statements: Where the transaction is.
        table: The table that they are for.
        size: How many rows there are.
        unfit: The places of rows with a value that cannot be carried exactly; they are not copied.
        names: What statements call the columns.
        values: The values of each column, as the table has them.
    """

    statements: Statements
    table: sa.Table
    size: int
    unfit: set[int] = attrs.field(factory=set)
    names: list[str] = attrs.field(init=False, factory=list)
    values: list[Sequence[Any]] = attrs.field(init=False, factory=list)
    _kinds: list[str] = attrs.field(init=False, factory=list)
    _types: list[str] = attrs.field(init=False, factory=list)
    _flags: list[tuple[Sequence[bool], str]] = attrs.field(init=False, factory=list)

    def add(self, column: ExactColumn, values: Sequence[Any]) -> str:
        """Add a column with these values, one a row; return what statements call it."""
        return self._added(column, column.encoded(values, self.unfit))

    def _added(self, column: ExactColumn, values: Sequence[Any]) -> str:
        name = f"v{len(self.names)}"
        self._kinds.append(f"{name} {column.kind}")
        self._types.append(column.sql)
        self.values.append(values)
        self.names.append(f"s.{name}")
        return self.names[-1]

    def where(self, flags: Sequence[bool] | None, there: str, elsewhere: str) -> str:
        """Return an expression for the rows with a flag, and for those without; all have it if there are no flags."""
        if flags is None:
            return there
        name = next((name for own, name in self._flags if own is flags), None)
        if name is None:  # one for all expressions with the same flags
            name = self._added(FLAG, flags)
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
            with self._cursor() as cursor, cursor.copy(f"COPY {self.name} FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int4", *self._types])
                write = copy.write_row
                for row in zip(range(self.size), *self.values, strict=True):
                    if row[0] not in self.unfit:
                        write(row)
        yield
        with self.statements.guarded():
            self._run(f"DROP TABLE {self.name}")

    def execute(self, statement: str) -> set[int]:
        """Run a statement, and return the places that it gives, if any.

        Raises:
            RefusalError: The database refused it.
        """
        with self.statements.guarded():
            result = self._run(statement)
            return set(result.scalars()) if result.returns_rows else set()

    def not_done(self, statement: str) -> set[int]:
        """Run a statement that gives the places of the rows it is done for; return those of all others."""
        places = f"SELECT s.place FROM {self.name} s"  # noqa: S608 - the name is ours
        return self.execute(
            f"WITH done AS ({statement}) {places} WHERE NOT EXISTS (SELECT FROM done d WHERE d.place = s.place)"
        )

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
