"""Records of tables and queries."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.errors import ConversionError, DataWarning, SyncerError
from datastoresync.masking import plain
from datastoresync.syncers.changes import Table, ownerless_text
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.sql.catalog import Catalogue, StoredLink, Target
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.dialects import Dialect, dialect_of
from datastoresync.syncers.sql.references import Joins, followed_of
from datastoresync.syncers.sql.spellings import Key, compared, spelled_elsewhere
from datastoresync.syncers.sql.values import without_blanks

_REFUSED_BY_DRIVER = (ValueError, ArithmeticError, NotImplementedError)
_ROWS = 10_000
_VALUES = 500_000


def read_table(
    database: Database, table: Table, attributes: Sequence[str] | None = None, identifiers: Sequence[str] | None = None
) -> Records:
    """Return the records of a table, as `SQLSyncer.read` describes; names are checked at once, rows read later.

    Raises:
        SyncerError: The table, a column or a link table is not there.
    """
    with database.reading() as connection, database.translated_errors(f"cannot read table {table.name!r} of"):
        catalogue = Catalogue(connection, database.name, indexes=False)
        target = Target(catalogue, table, identifiers)
        names = target.attributes() if attributes is None else list(attributes)
        if not names:
            message = f"no attributes to read from table {table.name!r} of {database.name}: name at least one"
            raise SyncerError(message)
        target.check(names)
        links = [_LinkColumn.of(catalogue, target, name, identifiers) for name in names if name in target.links]
    chunks = _table_chunks(database, target, names, links)
    return Records(names, chunks, lambda index: f"row {index + 1} of table {table.name}")


def columns_with_ids(database: Database, table: Table) -> list[str]:
    """Return the columns with ids, as `SQLSyncer.columns_with_ids` describes it; none of a table that is not there."""
    with database.reading() as connection, database.translated_errors("cannot read the schema of"):
        catalogue = Catalogue(connection, database.name, indexes=False)
        if any(catalogue.locate(name) is None for name in (table.name, *(one.table for one in table.links.values()))):
            return []
        target = Target(catalogue, table)
        tables = [target.stored.table, *(link.stored.table for link in target.links.values())]
        return [f"{one.name}.{column.name}" for one in tables for column in one.columns if followed_of(column)]


def read_query(database: Database, sql: str, parameters: Mapping[str, Any] | None = None) -> Records:
    """Return the rows of a query, as `SQLSyncer.query` describes; it is sent at once, the rows are read later.

    Raises:
        SyncerError: The query is refused, gives no rows, or has two columns of one name.
    """
    stream = _query_stream(database, sql, parameters)
    columns = next(stream)
    return Records(columns, stream, lambda index: f"row {index + 1} of the query")


@attrs.frozen(eq=False)
class _LinkColumn:
    """An attribute that is read from a link table."""

    attribute: str
    link: StoredLink
    owner_columns: tuple[sa.Column[Any], ...]
    match: Callable[[Iterable[Any]], tuple[Any, ...]]
    dialect: Dialect

    @classmethod
    def of(cls, catalogue: Catalogue, target: Target, attribute: str, identifiers: Sequence[str] | None) -> _LinkColumn:
        """Find out which columns of the table its owners are."""
        link = target.links[attribute]
        owner_columns = target.owner_columns(link, identifiers)
        return cls(attribute, link, owner_columns, target.stored.matcher(owner_columns), catalogue.dialect)

    def members(self, connection: sa.Connection) -> dict[Key, set[Any]]:
        """Read the whole link table; return the members by owner."""
        found: dict[Key, set[Any]] = {}
        joins = Joins(self.link.stored.table)
        columns = [joins.column(column) for column in (*self.link.owners, self.link.member)]
        statement = sa.select(*columns).select_from(joins.source)
        followed = columns[-1] is not self.link.member
        for *owner, member in connection.execute(statement, execution_options={"yield_per": _ROWS}):
            if member is None and followed:  # an id that no row has
                continue
            found.setdefault(self.match(owner), set()).add(member)
        # An owner that is spelled otherwise is one of the table if the columns of both tables take it for that.
        ask, dialect = connection.execute, self.dialect
        spelled = list(spelled_elsewhere(ask, dialect, self.owner_columns, self.match, found))
        here = {
            (own, self.match(raw)) for own, raw in compared(ask, dialect, self.link.owners, [o for _, o in spelled])
        }
        owned = [(key, own) for key, own in spelled if (own, key) in here]
        for key, own in owned:
            found.setdefault(self.match(own), set()).update(found[key])
        for key in dict(owned):
            del found[key]
        return found

    def tell_ownerless(self, keys: Collection[Key], owners: Collection[Key]) -> None:
        """Warn of the owners of members that are not among those that the table has."""
        if ownerless := [key for key in keys if key not in owners and None not in key]:
            message = ownerless_text(self.link.stored.name, self.owner_columns[0].table.name, ownerless)
            warnings.warn(message, DataWarning, stacklevel=2)


def _table_chunks(database: Database, target: Target, names: list[str], links: list[_LinkColumn]) -> Iterator[Columns]:
    plain = [target.column(name) for name in names if name not in target.links]
    owners = list(dict.fromkeys(column for link in links for column in link.owner_columns))
    joins = Joins(target.stored.table)
    statement = sa.select(*map(joins.column, (*plain, *owners))).select_from(joins.source)
    with database.reading() as connection, database.translated_errors(f"cannot read table {target.stored.name!r} of"):
        members = {link.attribute: link.members(connection) for link in links}
        seen: dict[str, set[Key]] = {link.attribute: set() for link in links}
        for columns in chunks_of(connection.execute(statement, execution_options={"stream_results": True})):
            keys = dict(zip(owners, columns[len(plain) :], strict=True))
            memberships = {}
            for link in links:
                found = list(map(link.match, zip(*(keys[column] for column in link.owner_columns), strict=True)))
                seen[link.attribute].update(found)
                memberships[link.attribute] = [set(members[link.attribute].get(key, ())) for key in found]
            waiting = iter(columns)
            yield [memberships[name] if name in memberships else next(waiting) for name in names]
    for link in links:
        link.tell_ownerless(members[link.attribute], seen[link.attribute])


def _query_stream(database: Database, sql: str, parameters: Mapping[str, Any] | None) -> Iterator[Any]:
    """Yield the names of the columns, and then the chunks."""
    text = sql.strip().rstrip(";")
    options = {"stream_results": True, "no_parameters": True}
    with ExitStack() as stack:
        connection = stack.enter_context(database.reading())
        stack.enter_context(database.translated_errors("cannot run the query on"))
        if parameters is None:
            # As it is written: a colon or a percent sign in it need not stand for a parameter.
            result = connection.exec_driver_sql(text, execution_options=options)
        else:
            result = connection.execute(sa.text(text), dict(plain(parameters)), execution_options=options)
        stack.enter_context(closing(result))
        if not result.returns_rows:
            message = f"the query on {database.name} gives no rows: it is for reading only, so write one that selects"
            raise SyncerError(message)
        names = list(result.keys())
        if twice := next((name for name, count in Counter(names).items() if count > 1), None):
            message = f"the query on {database.name} has two columns {twice!r}: name each differently, with AS"
            raise SyncerError(message)
        yield names
        yield from chunks_of(result)


def chunks_of(result: sa.CursorResult[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows column by column, in chunks whose size depends on the width of a row.

    Blanks that fill up texts to the length of their column are left out.

    Raises:
        ConversionError: for a value that Python does not have, such as the date ``infinity``.
    """
    padded = dialect_of(result.dialect).padded_results(result)
    rows = max(1, min(_ROWS, _VALUES // max(1, len(result.keys()))))
    with closing(result):
        partitions = result.yield_per(rows).partitions()
        while partition := _next_partition(result, partitions):
            chunk = list(zip(*partition, strict=True))
            for place in padded:
                chunk[place] = tuple(map(without_blanks, chunk[place]))
            yield chunk


def _next_partition(result: sa.CursorResult[Any], partitions: Iterator[Any]) -> Any:
    try:
        return next(partitions, None)
    except (*_REFUSED_BY_DRIVER, sa.exc.DataError):
        found = dialect_of(result.dialect).unreadable(result)
        if found is None:
            raise
        index, column, what = found
        message = (
            f"{column} holds {what}, for which Python has no value: change it there, or read it with a query that "
            "casts it to text, or puts NULL in its place"
        )
        raise ConversionError(message, where=f"row {index + 1}", column=column) from None
