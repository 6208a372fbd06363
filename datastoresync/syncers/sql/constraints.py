"""What a table demands of its rows together: unique values and foreign keys, and which of them rows take and free."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.syncers.sql.catalog import StoredTable
from datastoresync.syncers.sql.dialects import dialect_of
from datastoresync.syncers.sql.references import followed_of, meaning_of
from datastoresync.syncers.sql.statements import Statements, Unit

Token = tuple[Any, ...]
"""A kind, a table, columns and their values: what some unit needs before it can be written, and another one gives."""
Values = Mapping[str, Any]


@attrs.frozen
class ForeignKey:
    """A foreign key: its columns, and the table and the columns that they refer to, in the same order."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@attrs.frozen
class Constraints:
    """The constraints of a table that concern several rows.

    Args:
        unique: The columns of each unique constraint and index; of an expression, those that stand in it.
        foreign: The foreign keys.
        nullable: The columns that may be NULL.
    """

    unique: frozenset[tuple[str, ...]]
    foreign: tuple[ForeignKey, ...]
    nullable: frozenset[str]

    @property
    def columns(self) -> list[str]:
        """The columns that any of them is about."""
        found = dict.fromkeys(column for columns in self.unique for column in columns)
        return [*found, *(column for key in self.foreign for column in key.columns if column not in found)]


def read_constraints(connection: sa.Connection, stored: StoredTable) -> Constraints:
    """Read the constraints of a table from the schema.

    A column with ids that are followed refers to the idnumbers, as these are what it has outside.
    """
    inspector = sa.inspect(connection)
    name, schema = stored.table.name, stored.table.schema
    own = stored.full_name.removesuffix(f".{name}")
    unique = [inspector.get_pk_constraint(name, schema)["constrained_columns"]]
    with warnings.catch_warnings(action="ignore", category=sa.exc.SAWarning):  # of expressions that it cannot read
        indexes = inspector.get_indexes(name, schema, include_auto_indexes=True)
    plain = [index["column_names"] for index in indexes if index["unique"]]
    unique += [[column for column in columns if column] for columns in plain if None not in columns]
    expressions = [" ".join(index["expressions"]) for index in indexes if index["unique"] and "expressions" in index]
    # The names of an index and its table may be words, too; columns too many do no harm.
    expressions += dialect_of(connection.dialect).unique_expressions(connection, schema, name)
    words = [set(re.findall(r"\w+", expression)) for expression in expressions]
    unique += [[column for column in stored.encoders if column in some] for some in words]
    followed = {column.name: to for column in stored.table.columns if (to := followed_of(column)) is not None}
    foreign = tuple(
        ForeignKey(
            tuple(key["constrained_columns"]),
            f"{key['referred_schema'] or own}.{key['referred_table']}",
            tuple(key["referred_columns"]),
        )
        for key in inspector.get_foreign_keys(name, schema)
        if key["constrained_columns"] and followed.keys().isdisjoint(key["constrained_columns"])
    )
    foreign += tuple(ForeignKey((column,), to.stored.full_name, (to.key.name,)) for column, to in followed.items())
    nullable = frozenset(column["name"] for column in inspector.get_columns(name, schema) if column["nullable"])
    return Constraints(frozenset(tuple(columns) for columns in unique if columns), foreign, nullable)


@attrs.frozen(eq=False)
class RowChange:
    """What a unit does to one row.

    Args:
        stored: The table.
        constraints: Its constraints.
        before: The values of the columns that they are about, as they are; nothing of a row that is not there.
        after: The same, as they will be.
    """

    stored: StoredTable
    constraints: Constraints
    before: Values
    after: Values

    def needs(self) -> Iterator[Token]:
        """Yield what must be so before the row can be changed."""
        for columns, old, new in self._unique():
            if new:
                yield ("free", self.stored.full_name, columns, new)
            if old:
                yield ("unreferenced", self.stored.full_name, columns, old)
        for key, _, new in self._foreign():
            if new:
                yield ("row", key.table, *_sorted(key.referred, new))

    def gives(self) -> Iterator[Token]:
        """Yield what is so once the row is changed."""
        for columns, old, new in self._unique():
            if new:
                yield ("row", self.stored.full_name, columns, new)
            if old:
                yield ("free", self.stored.full_name, columns, old)
        for key, old, _ in self._foreign():
            if old:
                yield ("unreferenced", key.table, *_sorted(key.referred, old))

    def taken_by(self, needed: set[Token]) -> Iterator[tuple[str, ...]]:
        """Yield the columns of unique values that the row has and others need."""
        for columns, old, _ in self._unique():
            if old and ("free", self.stored.full_name, columns, old) in needed:
                yield columns

    def referring_to(self, tokens: set[Token], *, before: bool) -> Iterator[tuple[str, ...]]:
        """Yield the columns of foreign keys that refer, before or after, to what is among some tokens."""
        for key, old, new in self._foreign():
            kind, values = ("unreferenced", old) if before else ("row", new)
            if values and (kind, key.table, *_sorted(key.referred, values)) in tokens:
                yield key.columns

    def _unique(self) -> Iterator[tuple[tuple[str, ...], Token, Token]]:
        for columns in self.constraints.unique:
            order = tuple(sorted(columns))
            old, new = _values(self.before, order), _values(self.after, order)
            if old != new:
                yield order, old, new

    def _foreign(self) -> Iterator[tuple[ForeignKey, Token, Token]]:
        for key in map(self._followed, self.constraints.foreign):
            old, new = _values(self.before, key.columns), _values(self.after, key.columns)
            if old != new:
                yield key, old, new

    def _followed(self, key: ForeignKey) -> ForeignKey:
        """Return a foreign key over the database's own ids as one to the idnumbers that stand for them here."""
        if len(key.columns) > 1 or (followed := followed_of(self.stored.column(key.columns[0]))) is None:
            return key
        return ForeignKey(key.columns, followed.stored.full_name, (followed.key.name,))


def _sorted(columns: Sequence[str], values: Token) -> tuple[tuple[str, ...], Token]:
    pairs = sorted(zip(columns, values, strict=True), key=lambda pair: pair[0])
    return tuple(column for column, _ in pairs), tuple(value for _, value in pairs)


def _values(row: Values, columns: Iterable[str]) -> Token:
    """Return the values of columns in a form that no two spellings of one value differ in; none, if one is NULL."""
    found = tuple(_loosened(row.get(column)) for column in columns)
    return () if None in found else found


def _loosened(value: Any) -> Any:
    if isinstance(value, str):
        return value.rstrip().casefold()
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


@attrs.frozen(eq=False)
class RowChanges:
    """Finds out which rows units change, with a look at these rows as they are.

    Args:
        statements: The statements, with their transaction.
    """

    statements: Statements
    _read: dict[str, Constraints] = attrs.field(init=False, factory=dict)

    def constraints(self, stored: StoredTable) -> Constraints:
        """Return the constraints of a table, which are read once."""
        if stored.full_name not in self._read:
            with self.statements.guarded():
                self._read[stored.full_name] = read_constraints(self.statements.connection, stored)
        return self._read[stored.full_name]

    def of(self, units: Sequence[Unit]) -> list[list[RowChange]]:
        """Return the rows that each unit changes: that of its object first, unless it is a link or unlink."""
        rows: dict[Any, dict[tuple[Any, ...], Values]] = {}
        keys: dict[Any, list[tuple[Any, ...]]] = {}
        for unit in units:
            if unit.verb in ("update", "delete"):
                keys.setdefault(unit.keyed, []).append(unit.key)
        for keyed, asked in keys.items():
            columns = [
                keyed.target.stored.column(name)
                for name in self.constraints(keyed.target.stored).columns
                if name in keyed.target.stored.encoders
            ]
            rows[keyed] = dict(self.statements.current(keyed, asked, columns))
        return [list(self._of(unit, rows.get(unit.keyed, {}).get(unit.key, {}))) for unit in units]

    def _of(self, unit: Unit, row: Values) -> Iterator[RowChange]:
        target = unit.keyed.target
        if unit.verb in ("link", "unlink"):
            attribute, *values = unit.member
            link = target.links[attribute]
            pair = dict(zip((column.name for column in (*link.owners, link.member)), values, strict=True))
            before, after = ({}, pair) if unit.verb == "link" else (pair, {})
            yield self._row(link.stored, before, after)
            return
        after = {}
        if unit.verb != "delete":
            after = dict(row) | dict(zip((column.name for column in unit.keyed.keys), unit.key, strict=True))
            for _, change in unit.changes:
                names = (name for name in change.values if name not in target.links)
                after |= {target.column(name).name: change.values[name] for name in names}
        own = tuple(column.name for column in unit.keyed.keys)  # others may refer to it without a constraint
        constraints = self.constraints(target.stored)
        if own not in constraints.unique:
            constraints = attrs.evolve(constraints, unique=constraints.unique | {own})
        yield attrs.evolve(self._row(target.stored, row, after), constraints=constraints)
        for attribute, link in target.links.items():
            there = unit.change.expected if unit.verb == "delete" else unit.change.values
            for member in there.get(attribute) or ():
                pair = dict(
                    zip((column.name for column in (*link.owners, link.member)), (*unit.key, member), strict=True)
                )
                yield self._row(link.stored, *((pair, {}) if unit.verb == "delete" else ({}, pair)))

    def _row(self, stored: StoredTable, before: Values, after: Values) -> RowChange:
        return RowChange(stored, self.constraints(stored), _encoded(stored, before), _encoded(stored, after))


def _encoded(stored: StoredTable, row: Values) -> Values:
    found = {}
    for name, value in row.items():
        try:
            holder, column = meaning_of(stored, stored.column(name))
            found[name] = holder.encoders[column.name](value)
        except (ValueError, TypeError):
            found[name] = value  # it will be refused
    return found
