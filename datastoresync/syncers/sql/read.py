"""Reads tables and queries of a database as streams of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import attrs
import sqlalchemy as sa

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Table
from datastoresync.syncers.records import Columns, Records
from datastoresync.syncers.sql.catalog import Catalogue, StoredLink, Target
from datastoresync.syncers.sql.database import Database

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
        target = Target(Catalogue(connection, database.name, indexes=False), table)
        names = target.attributes() if attributes is None else list(attributes)
        if not names:
            message = f"no attributes to read from table {table.name!r} of {database.name}: name at least one"
            raise SyncerError(message)
        target.check(names)
        links = [_LinkColumn.of(target, name, identifiers) for name in names if name in target.links]
    chunks = _table_chunks(database, target, names, links)
    return Records(names, chunks, lambda index: f"row {index + 1} of table {table.name}")


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

    @classmethod
    def of(cls, target: Target, attribute: str, identifiers: Sequence[str] | None) -> _LinkColumn:
        """Find out which columns of the table its owners are."""
        link = target.links[attribute]
        owner_columns = target.owner_columns(link, identifiers)
        return cls(attribute, link, owner_columns, target.stored.matcher(owner_columns))

    def members(self, connection: sa.Connection) -> dict[tuple[Any, ...], set[Any]]:
        """Read the whole link table; return the members by owner."""
        found: dict[tuple[Any, ...], set[Any]] = {}
        statement = sa.select(*self.link.owners, self.link.member)
        for *owner, member in connection.execute(statement, execution_options={"yield_per": _ROWS}):
            found.setdefault(self.match(owner), set()).add(member)
        return found


def _table_chunks(database: Database, target: Target, names: list[str], links: list[_LinkColumn]) -> Iterator[Columns]:
    plain = [target.column(name) for name in names if name not in target.links]
    owners = list(dict.fromkeys(column for link in links for column in link.owner_columns))
    statement = sa.select(*plain, *owners)
    with database.reading() as connection, database.translated_errors(f"cannot read table {target.stored.name!r} of"):
        members = {link.attribute: link.members(connection) for link in links}
        for columns in chunks_of(connection.execute(statement, execution_options={"stream_results": True})):
            keys = dict(zip(owners, columns[len(plain) :], strict=True))
            memberships = {link.attribute: _memberships(link, members[link.attribute], keys) for link in links}
            waiting = iter(columns)
            yield [memberships[name] if name in memberships else next(waiting) for name in names]


def _memberships(
    link: _LinkColumn, members: Mapping[tuple[Any, ...], set[Any]], keys: Mapping[sa.Column[Any], Sequence[Any]]
) -> list[set[Any]]:
    """Return the members of each owner in a chunk; each row has a set of its own."""
    owners = map(link.match, zip(*(keys[column] for column in link.owner_columns), strict=True))
    return [set(members.get(owner, ())) for owner in owners]


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
            result = connection.execute(sa.text(text), dict(parameters), execution_options=options)
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
    """Yield the rows column by column, in chunks whose size depends on the width of a row."""
    rows = max(1, min(_ROWS, _VALUES // max(1, len(result.keys()))))
    with closing(result):
        for partition in result.yield_per(rows).partitions():
            yield list(zip(*partition, strict=True))
