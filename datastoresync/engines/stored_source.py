"""What a relation in a database reads: a table or a query, its columns, and what the catalogue knows about them.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from datastoresync.engines.relation import Unfaithful
from datastoresync.engines.snapshot import Snapshot
from datastoresync.engines.stored_types import KINDS, StoredColumn
from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Table
from datastoresync.syncers.sql_schema import Catalogue, Target

__all__ = ["Source", "query_source", "table_source"]

_FICKLE = re.compile(
    r"\b(limit|offset|fetch|tablesample|distinct\s+on|over|array_agg|string_agg|\w+_agg)\b", re.IGNORECASE
)
_CALLED = re.compile(r'([A-Za-z_][\w$]*)"?\s*\(')
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")
_OF_TABLE = """
SELECT n.nspname AS schema, c.relname AS name,
    CASE WHEN c.relkind = 'p' OR NOT c.relhassubclass THEN ARRAY(
        SELECT array_to_string(ARRAY(SELECT attnum FROM unnest((indkey::int2[])[0:indnkeyatts - 1]) AS attnum), ' ')
        FROM pg_index WHERE indrelid = c.oid AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
    ) ELSE ARRAY[]::text[] END AS unique
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = CAST(CAST(:name AS regclass) AS oid)
"""
_COLUMNS = """
SELECT attnum, attname, attnotnull FROM pg_attribute
WHERE attrelid = CAST(CAST(:name AS regclass) AS oid) AND attnum > 0 AND NOT attisdropped
"""
_ENUMS = "SELECT oid FROM pg_type WHERE typtype = 'e' AND oid = ANY(:kinds)"
_VOLATILE = "SELECT min(proname) FROM pg_proc WHERE provolatile = 'v' AND proname = ANY(:names)"
_FILES = """
SELECT l.relation, pg_relation_filenode(l.relation) AS file FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.relation >= 16384 AND c.relkind IN ('r', 'm', 'p', 'v')
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_FILES_NOW = "SELECT oid, pg_relation_filenode(oid) FROM unnest(CAST(:relations AS oid[])) AS oid"


@attrs.frozen(eq=False)
class Source:
    """What is read, and what it was like when it was imported.

    Args:
        shown: What messages call it: ``table 'users' of …``.
        columns: Its columns by attribute, in order.
        selectable: Where they are, each under a name of its own, as an attribute's may be too long for a column's.
        unique: The sets of attributes that are known to tell its rows apart, unless one of them is NULL.
        files: The file that each table below it was in, by the number of the table.
        origins: The number of the table and of the column that each column is, or 0, with its type.
        search_path: Where the names in it are looked for; None if they say it themselves.
    """

    shown: str
    columns: Mapping[str, StoredColumn]
    selectable: sa.FromClause
    unique: Sequence[frozenset[str]]
    files: Mapping[int, int | None]
    origins: Sequence[tuple[int, ...]]
    search_path: str | None = None

    def columns_of(self, selectable: sa.FromClause) -> list[StoredColumn]:
        """Return the columns as they are under another name of the source, in order."""
        return [
            attrs.evolve(column, column=selectable.columns[place]) for place, column in enumerate(self.columns.values())
        ]

    def check(self, connection: sa.Connection) -> None:
        """Raise `SyncerError` if what is there is no longer what was imported, whatever a snapshot shows.

        To be asked within a reading. A table that was emptied with TRUNCATE, rewritten by ALTER TABLE or made anew is
        another file, and shows nothing or something else in the snapshots of before; from here on nobody can do that.
        """
        origins = _origins(connection, self.selectable)  # this locks the tables
        rows = connection.execute(sa.text(_FILES_NOW), {"relations": list(self.files)})
        if dict(map(tuple, rows)) != self.files or origins != self.origins:
            message = f"{self.shown} was altered, emptied or made anew since it was imported: import it again"
            raise SyncerError(message)


def table_source(snapshot: Snapshot, table: Table, attributes: Sequence[str] | None) -> Source:
    """Return a table, as the catalogue describes it.

    Raises:
        SyncerError: It, or a column, is not there.
        Unfaithful: One of its attributes has no counterpart in the database.
    """
    with snapshot.reading() as connection:
        target = Target(Catalogue(connection, snapshot.database.name), table)
        names = target.attributes() if attributes is None else list(attributes)
        target.check(names)
        if linked := next((name for name in names if name in target.links), None):
            message = f"{linked} is a membership"
            raise Unfaithful(message)
        named = {"name": connection.dialect.identifier_preparer.format_table(target.stored.table)}
        facts = connection.execute(sa.text(_OF_TABLE), named).one()
        # With its schema, so that it is found wherever the comparison looks for names.
        here = target.stored.table.to_metadata(sa.MetaData(), schema=facts.schema)
        described = {
            name: (number, required) for number, name, required in connection.execute(sa.text(_COLUMNS), named)
        }
        columns = [here.columns[target.column(name).name] for name in names]
        selectable = _numbered(here, columns)
        places = {described[column.name][0]: name for name, column in zip(names, columns, strict=True)}
        required = {places[number]: required for number, required in described.values() if number in places}
        indexes = [{int(number) for number in index.split()} for index in facts.unique]
        return Source(
            f"table {table.name!r} of {snapshot.database.name}",
            _described(connection, selectable, names, required),
            selectable,
            [frozenset(map(places.__getitem__, index)) for index in indexes if places.keys() >= index],
            _files(connection),
            _origins(connection, selectable),
        )


def query_source(snapshot: Snapshot, query: str, parameters: Mapping[str, Any] | None) -> Source:
    """Return a query, as the database describes it.

    Raises:
        SyncerError: The database refuses it.
        Unfaithful: It may give other rows when it is asked again, or has a column without a counterpart.
    """
    text = query.strip().rstrip(";")
    if fickle := _FICKLE.search(text):
        message = f"a query with {fickle[0].upper()} may give other rows each time"
        raise Unfaithful(message)
    if "\\" in text and ":" in text:
        message = "a query with backslashes is sent as it is"
        raise Unfaithful(message)
    with snapshot.reading() as connection:
        called = sorted({name.lower() for name in _CALLED.findall(text)})
        volatile = connection.execute(sa.text(_VOLATILE), {"names": called}).scalar()
        if volatile is not None:
            message = f"{volatile}() may give something else each time"
            raise Unfaithful(message)
        # On a line of its own, as it may end in a comment.
        clause = sa.text(f"{text}\n" if parameters is not None else _PARAMETER.sub(r"\\:", f"{text}\n"))
        if parameters:
            clause = clause.bindparams(**parameters)
        everything = sa.select(sa.text("*")).select_from(clause.columns().subquery("query")).limit(0)
        with closing(connection.execute(everything)) as result:
            described: list[Any] = list(result.cursor.description)
            names = [column.name for column in described]
        if len(set(names)) < len(names) or not names:
            message = "the query has columns without names of their own"
            raise Unfaithful(message)
        found = clause.columns(*(sa.column(quoted_name(name, quote=True)) for name in names)).subquery("query")
        selectable = _numbered(found, found.columns.values())
        return Source(
            f"the query on {snapshot.database.name}",
            _described(connection, selectable, names, {}),
            selectable,
            (),
            _files(connection),
            _origins(connection, selectable),
            snapshot.search_path,
        )


def _numbered(found: sa.FromClause, columns: Sequence[sa.ColumnElement[Any]]) -> sa.Subquery:
    named = (column.label(f"c{place}") for place, column in enumerate(columns))
    return sa.select(*named).select_from(found).subquery("stored")


def _described(
    connection: sa.Connection, selectable: sa.FromClause, names: Sequence[str], required: Mapping[str, bool]
) -> dict[str, StoredColumn]:
    with closing(connection.execute(sa.select(selectable).limit(0))) as result:
        described: list[Any] = list(result.cursor.description)
    numbers = [column.type_code for column in described]
    enums = set(connection.scalars(sa.text(_ENUMS), {"kinds": [number for number in numbers if number not in KINDS]}))
    found = {}
    for name, column, here in zip(names, described, selectable.columns, strict=True):
        kind = "enum" if column.type_code in enums else KINDS.get(column.type_code)
        if kind is None or (kind == "char" and column.display_size is None):
            message = f"{name} is of a type without a counterpart"
            raise Unfaithful(message)
        found[name] = StoredColumn(
            name, kind, here, not required.get(name), column.display_size, column.precision, column.scale
        )
    return found


def _files(connection: sa.Connection) -> dict[int, int | None]:
    """Return the files of all tables that were looked at in this reading."""
    return dict(map(tuple, connection.execute(sa.text(_FILES))))


def _origins(connection: sa.Connection, selectable: sa.FromClause) -> list[tuple[int, ...]]:
    with closing(connection.execute(sa.select(selectable).limit(0))) as result:
        raw: Any = result.cursor
        found = raw.pgresult
        facts = (found.ftable, found.ftablecol, found.ftype, found.fmod)
        return [tuple(fact(place) for fact in facts) for place in range(found.nfields)]
