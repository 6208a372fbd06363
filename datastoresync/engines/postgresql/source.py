"""What a relation in a database reads: a table or a query, its columns, and its catalogue entry.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, Protocol

import attrs
import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from datastoresync.engines.postgresql.snapshot import Snapshot
from datastoresync.engines.postgresql.types import STORED_TYPES, StoredColumn
from datastoresync.engines.relation import CannotPushDown, Relation
from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Table
from datastoresync.syncers.sql.catalog import Catalogue, Target
from datastoresync.syncers.sql.references import followed_of

_FICKLE = re.compile(
    r"\b(limit|offset|fetch|tablesample|distinct\s+on|over|array_agg|string_agg|\w+_agg"
    r"|current_date|current_time|current_timestamp|localtime|localtimestamp)\b",
    re.IGNORECASE,
)
_MOMENT = re.compile(r"'\s*(now|today|tomorrow|yesterday)\s*'", re.IGNORECASE)
# Comments, texts, and texts between dollars; names in quotes, as these may hold what looks like one of them.
_HIDDEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<name>"(?:[^"]|"")*")"""
    r"""|\b[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$""",
    re.DOTALL,
)
_WORD = re.compile(r'[^\W\d][\w$]*|"(?:[^"]|"")+"')
_CALLED = re.compile(rf"({_WORD.pattern})\s*\(")
_OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_TELLS_THE_TIME = ("age", "now", "statement_timestamp", "transaction_timestamp")
# Functions that are not PostgreSQL's own may be made anew at any moment, which no snapshot keeps from happening.
_FUNCTION = """
SELECT min(proname) FROM pg_proc AS p
WHERE proname = ANY(:called)
        AND (oid >= 16384 OR provolatile = 'v' OR proname = ANY(:times) OR starts_with(proname, 'pg_'))
    OR oid >= 16384 AND pronargs = 1 AND proname = ANY(:words)
        AND EXISTS (SELECT FROM pg_type AS t WHERE t.oid = p.proargtypes[0] AND t.typtype = 'c')
"""
_OPERATION = """
SELECT min(oprname) FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
WHERE o.oid >= 16384 AND p.provolatile <> 'i'
    AND EXISTS (SELECT FROM unnest(CAST(:operators AS text[])) AS used WHERE strpos(used, oprname) > 0)
"""


def check_query(connection: sa.Connection, text: str) -> None:
    """Raise `CannotPushDown` if a query may give other rows each time although its tables are the same."""
    if fickle := _MOMENT.search(text):
        message = f"a query with {fickle[1].lower()!r} may give other rows each time"
        raise CannotPushDown(message)
    if "\\'" in text or re.search(r'\bu&["\']', text, re.IGNORECASE):
        message = "a query with escapes is sent as it is"
        raise CannotPushDown(message)
    bare = _HIDDEN.sub(_bare, text)
    if fickle := _FICKLE.search(bare):
        message = f"a query with {fickle[0].upper()} may give other rows each time"
        raise CannotPushDown(message)
    names = {
        "called": sorted({_name(found) for found in _CALLED.findall(bare)}),
        "words": sorted({_name(found) for found in _WORD.findall(bare)}),
        "times": list(_TELLS_THE_TIME),
    }
    function = connection.execute(sa.text(_FUNCTION), names).scalar()
    if function is not None:
        message = f"{function}() may give something else each time"
        raise CannotPushDown(message)
    operator = connection.execute(sa.text(_OPERATION), {"operators": sorted(set(_OPERATOR.findall(bare)))}).scalar()
    if operator is not None:
        message = f"the operator {operator} may give something else each time"
        raise CannotPushDown(message)


def _bare(found: re.Match[str]) -> str:
    """Return what stands for a part of a query that is no code."""
    if found["name"] is not None:
        return found[0]
    if found["comment"] is None:
        return "''"
    if "/*" in found[0][2:]:
        message = "a query with a comment in a comment is sent as it is"
        raise CannotPushDown(message)
    return " "


def _name(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()


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
_LOCKED = """
SELECT l.relation, c.relkind FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND c.relkind IN ('r', 'm', 'p', 'v', 'f')
    AND (l.relation >= 16384 OR c.relnamespace <> CAST('pg_catalog' AS regnamespace))
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# These functions tell how it is now; what is selected from the catalogue is how it was in the snapshot.
_FILES = """
SELECT oid, pg_relation_filenode(oid), row_security_active(oid) FROM unnest(CAST(:relations AS oid[])) AS oid
"""
_ONE_BY_ONE = """
SELECT CAST(CAST(oid AS regclass) AS text) AS name,
    relam = 2 AND has_table_privilege(oid, 'SELECT') AS readable  -- 2 is heap, whose rows know who wrote them
FROM pg_class WHERE oid = ANY(CAST(:relations AS oid[])) AND relkind <> 'p'
"""
_EXPLAIN = "EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) "
_WRAPPED = 2**32
"""Numbers of transactions that a row tells apart."""
_ELSEWHERE = ("Foreign Scan", "Custom Scan", "Sample Scan")


@attrs.frozen(eq=False)
class Source:
    """What is read, and what it was like when it was imported.

    Args:
        shown: What messages call it: ``table 'users' of …``.
        columns: Its columns by attribute, in order.
        selectable: Where they are, each under a name of its own, as an attribute's may be too long for a column's.
        unique: The sets of attributes that are known to tell its rows apart, unless one of them is NULL.
        search_path: Where the names in it are looked for; None if they say it themselves.
        files: The file that each table below it was in, by the number of the table.
        tables: The names of the tables that are read, all partitions and children among them.
        origins: The number of the table and of the column that each column is, or 0, with its type.
    """

    shown: str
    columns: Mapping[str, StoredColumn]
    selectable: sa.FromClause
    unique: Sequence[frozenset[str]]
    search_path: str | None = None
    files: Mapping[int, int | None] = attrs.field(factory=dict)
    tables: frozenset[tuple[str, str]] = frozenset()
    origins: Sequence[tuple[int, ...]] = ()

    def columns_of(self, selectable: sa.FromClause) -> list[StoredColumn]:
        """Return the columns as they are under another name of the source, in order."""
        return [
            attrs.evolve(column, column=selectable.columns[place]) for place, column in enumerate(self.columns.values())
        ]

    def check(self, connection: sa.Connection) -> None:
        """Raise `SyncerError` if what is there is no longer what was imported, whatever a snapshot shows.

        To be asked within a reading. A table that was emptied with TRUNCATE, rewritten by ALTER TABLE or made anew is
        another file, and shows nothing or something else in the snapshots of before; from here on nobody can do that.
        What belongs to a table, and whose rows may be seen, is not kept by a snapshot either.
        """
        origins = _origins(connection, self.selectable)  # this locks the tables
        files, hidden = _files(connection, list(self.files))
        if hidden or files != self.files or origins != self.origins or _scanned(connection, self)[0] != self.tables:
            message = f"{self.shown} was altered, emptied or recreated since it was imported: import it again"
            raise SyncerError(message)

    def written(self, connection: sa.Connection, first: int, behind: int) -> list[tuple[int, int]] | None:
        """Return how many rows each table has, and how many of them some transactions wrote; None if it cannot be told.

        To be asked within a reading.

        Args:
            connection: Where to ask.
            first: The number of the first of the transactions.
            behind: The number behind the last one.
        """
        tables = connection.execute(sa.text(_ONE_BY_ONE), {"relations": list(self.files)}).all()
        if behind - first >= _WRAPPED // 2 or not all(table.readable for table in tables):
            return None
        return [_written(connection, table.name, first % _WRAPPED, behind - first) for table in sorted(tables)]


class SnapshotRelation(Relation, Protocol):
    """A relation whose rows are those of a source, as a snapshot shows them."""

    source: Source
    snapshot: Snapshot
    identifiers: Sequence[str]

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Give a connection for a question, once the source is found to be what was imported."""
        ...


def table_source(snapshot: Snapshot, table: Table, attributes: Sequence[str] | None) -> Source:
    """Return a table, as the catalogue describes it.

    Raises:
        SyncerError: It, or a column, is not there.
        CannotPushDown: One of its attributes has no counterpart in the database.
    """
    with snapshot.reading() as connection:
        target = Target(Catalogue(connection, snapshot.database.name, indexes=False), table)
        names = target.attributes() if attributes is None else list(attributes)
        target.check(names)
        if linked := next((name for name in names if name in target.links), None):
            message = f"{linked} is a membership"
            raise CannotPushDown(message)
        if followed := next((name for name in names if followed_of(target.column(name)) is not None), None):
            message = f"{followed} is read through a foreign key"
            raise CannotPushDown(message)
        if printed := next((name for name in names if target.is_printed(name)), None):
            message = f"{printed} is read as the text that the database prints"
            raise CannotPushDown(message)
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
        return _judged(
            connection,
            Source(
                f"table {table.name!r} of {snapshot.database.name}",
                _described(connection, selectable, names, required),
                selectable,
                [frozenset(map(places.__getitem__, index)) for index in indexes if places.keys() >= index],
            ),
        )


def query_source(snapshot: Snapshot, query: str, parameters: Mapping[str, Any] | None) -> Source:
    """Return a query, as the database describes it.

    Raises:
        SyncerError: The database refuses it.
        CannotPushDown: It may give other rows when it is asked again, or has a column without a counterpart.
    """
    text = query.strip().rstrip(";")
    if "\\" in text and ":" in text:
        message = "a query with backslashes is sent as it is"
        raise CannotPushDown(message)
    with snapshot.reading() as connection:
        check_query(connection, text)
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
            raise CannotPushDown(message)
        found = clause.columns(*(sa.column(quoted_name(name, quote=True)) for name in names)).subquery("query")
        selectable = _numbered(found, found.columns.values())
        return _judged(
            connection,
            Source(
                f"the query on {snapshot.database.name}",
                _described(connection, selectable, names, {}),
                selectable,
                (),
                snapshot.search_path,
            ),
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
    enums = set(
        connection.scalars(sa.text(_ENUMS), {"kinds": [number for number in numbers if number not in STORED_TYPES]})
    )
    found = {}
    for name, column, here in zip(names, described, selectable.columns, strict=True):
        kind = "enum" if column.type_code in enums else STORED_TYPES.get(column.type_code)
        if kind is None or (kind == "char" and column.display_size is None):
            message = f"{name} is of a type without a counterpart"
            raise CannotPushDown(message)
        found[name] = StoredColumn(
            name, kind, here, not required.get(name), column.display_size, column.precision, column.scale
        )
    return found


def _judged(connection: sa.Connection, source: Source) -> Source:
    """Return a source with what there is to know of its tables.

    Raises:
        CannotPushDown: What is in one of them is not all that decides on its rows.
    """
    origins = _origins(connection, source.selectable)  # this locks the tables
    kinds = dict(map(tuple, connection.execute(sa.text(_LOCKED))))
    if "v" in kinds.values():
        message = "there is a view in it, which may give other rows each time"
        raise CannotPushDown(message)
    files, hidden = _files(connection, list(kinds))
    if hidden:
        message = "its rows are not all for everybody"
        raise CannotPushDown(message)
    tables, scans = _scanned(connection, source)
    if elsewhere := next((scan for scan in _ELSEWHERE if scan in scans), None):
        message = f"there is a {elsewhere.lower()} in it, which may give other rows each time"
        raise CannotPushDown(message)
    return attrs.evolve(source, files=files, tables=tables, origins=origins)


def _files(connection: sa.Connection, relations: Sequence[int]) -> tuple[dict[int, int | None], bool]:
    """Return the files of tables, and whether there are rows in one of them that this user is not shown."""
    rows = connection.execute(sa.text(_FILES), {"relations": relations}).all()
    return {number: file for number, file, _ in rows}, any(hidden for _, _, hidden in rows)


def _scanned(connection: sa.Connection, source: Source) -> tuple[frozenset[tuple[str, str]], set[str]]:
    """Return the tables that the database would read now, and in which ways it would."""
    compiled = sa.select(source.selectable).compile(connection)
    raw: Any = connection.connection.dbapi_connection
    with closing(raw.cursor()) as cursor:
        [(plans,)] = cursor.execute(_EXPLAIN + str(compiled), compiled.params)
    tables, ways = set(), set()
    waiting = [plans[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", ())
        ways.add(node["Node Type"])
        if "Relation Name" in node:
            tables.add((node.get("Schema", ""), node["Relation Name"]))
    return frozenset(tables), ways


def _written(connection: sa.Connection, name: str, first: int, count: int) -> tuple[int, int]:
    writer = sa.cast(sa.cast(sa.literal_column("xmin"), sa.Text), sa.BigInteger)
    # Rows know the last 32 bits of the number, and keep them for good.
    recent = sa.func.mod(writer - first + _WRAPPED, _WRAPPED) < count
    rows = sa.text(f"ONLY {name}")  # the database wrote the name, with whatever quotes it needs
    statement = sa.select(sa.func.count(), sa.func.count().filter(recent)).select_from(rows)
    there, new = connection.execute(statement).one()
    return there, new


def _origins(connection: sa.Connection, selectable: sa.FromClause) -> list[tuple[int, ...]]:
    with closing(connection.execute(sa.select(selectable).limit(0))) as result:
        raw: Any = result.cursor
        found = raw.pgresult
        facts = (found.ftable, found.ftablecol, found.ftype, found.fmod)
        return [tuple(fact(place) for fact in facts) for place in range(found.nfields)]
