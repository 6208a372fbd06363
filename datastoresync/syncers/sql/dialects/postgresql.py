"""PostgreSQL."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from decimal import Decimal
from functools import cache, partial
from importlib import import_module
from itertools import compress
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

from datastoresync.syncers.sql import column_forms, values
from datastoresync.syncers.sql.dialects.base import VERBS, Dialect, Intervention, Limits, Unique

_NUL = re.compile("\0")
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
# Of all schemas, but for the constraints that partitions have from the table that they are of.
_FOREIGN_KEYS = """
SELECT n.nspname || '.' || c.relname, ARRAY(
    SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place
), pn.nspname || '.' || p.relname, ARRAY(
    SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place
), CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE '' END
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confdeltype IN ('c', 'n', 'd')
    AND has_table_privilege(c.oid, 'SELECT')
"""
_TIMES = frozenset({1082, 1083, 1114, 1184, 1186, 1266})
_NOT_IN_PYTHON = {
    "infinity": re.compile("infinity"),
    "a year before the first one": re.compile(" BC$"),
    "a year behind 9999": re.compile(r"^\d{5,}-"),
    "the time 24:00": re.compile("^24:"),
    "an interval of months or years": re.compile(r"\b(year|mon)s?\b"),
}
"""What dates, times and intervals may be, and how that is written."""
_IDENTITY = "identity"
_NEXT = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")
# Up for a sequence that counts up, down for one that counts down; it stays within its limits.
_ADVANCE = """
    SELECT setval(p.seqrelid, greatest(least(t.furthest, p.seqmax), p.seqmin))
    FROM {sequence} s, pg_sequence p, LATERAL (
        SELECT CAST(CASE WHEN p.seqincrement > 0 THEN max({column}) ELSE min({column}) END AS bigint) AS furthest
        FROM {table}
    ) t
    WHERE p.seqrelid = {literal}::regclass AND (t.furthest - s.last_value) * sign(p.seqincrement) >= 0
"""
_TEXT_TO_PYTHON = (
    *(postgresql.INET, postgresql.CIDR, postgresql.MACADDR, postgresql.MACADDR8, postgresql.BIT, postgresql.MONEY),
    *(postgresql.HSTORE, postgresql.TSVECTOR, postgresql.ranges.AbstractRange),
)
"""The types of which Python has the text, or something else that is made of text alone."""
_PRINTED = (*_TEXT_TO_PYTHON, postgresql.INTERVAL, sa.ARRAY, sa.types.NullType)
"""The types whose values are no text to Python, or another text than the one that they were given."""
_TYPES_OF = sa.text(
    """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass(:name) AND attname = ANY(:columns)
    """
)
_NO_NUL = "PostgreSQL has no text with the character NUL"
_PADDED = 1042
"""The number of the type char(n)."""
_SINGLE_BITS = 24
"""The bits of a number in four bytes."""
_OLDEST = (12,)
"""The first with collations that hold different texts to be equal, and that says which they are."""

_DEFERRED = sa.text(
    "SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(c.conname) "
    "FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.condeferred"
)


_SESSIONS_THAT_LOCK = """
select a.pid, a.usename, a.application_name, a.state, date_trunc('second', a.xact_start) from pg_stat_activity a
where a.pid <> %s and a.pid in (
    select l.pid from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
    where l.granted and l.database = (select oid from pg_database where datname = current_database())
    and l.mode <> 'AccessShareLock' and n.nspname not in ('pg_catalog', 'pg_toast')
    and (%s or n.nspname || '.' || c.relname = any(%s))
) order by a.xact_start
"""
_SESSION_THAT_RUNS = """
select a.pid, a.usename, a.application_name, a.state, date_trunc('second', a.xact_start) from pg_stat_activity a
where a.pid in (select pid from pg_locks where granted and locktype = 'advisory' and classid = %s and objid = %s)
"""
# Those of partitions, too. Some triggers and rules are there for replication only.
_INTERVENTIONS = sa.text(
    """
    WITH tables AS (
        SELECT to_regclass(:name) AS relid UNION SELECT relid FROM pg_partition_tree(to_regclass(:name))
    )
    SELECT DISTINCT 'trigger ' || tgname, tgtype & 4 <> 0, tgtype & 16 <> 0, tgtype & 8 <> 0, true
        FROM pg_trigger JOIN tables ON relid = tgrelid WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')
    UNION ALL SELECT DISTINCT 'rule ' || rulename, ev_type = '3', ev_type = '2', ev_type = '4', true
        FROM pg_rewrite JOIN tables ON relid = ev_class WHERE ev_type <> '1' AND ev_enabled IN ('O', 'A')
    UNION ALL SELECT 'row-level security', true, true, true, false
        FROM pg_class WHERE oid = to_regclass(:name) AND row_security_active(oid)
    """
)

_ACTS_ON_OTHERS = sa.text(
    "SELECT EXISTS (SELECT * FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(:name) "
    "AND (confupdtype IN ('c', 'n', 'd') OR confdeltype IN ('c', 'n', 'd')))"
)


_WRITTEN = """
    SELECT n.nspname || '.' || c.relname, sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del)
    FROM pg_stat_xact_user_tables s JOIN pg_class c ON c.oid = coalesce(pg_partition_root(s.relid), s.relid)
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND c.relpersistence <> 't' GROUP BY 1
"""


class PostgreSQL(Dialect):
    """PostgreSQL, through psycopg if the URL names no driver."""

    driver = "postgresql+psycopg"
    schemes = ("postgres",)
    extra = "postgresql"
    example = "postgresql://user:password@host/database"
    reads_indexes = True
    makes_tables_in_transactions = True
    # Rows that were waited for must be seen as they are now, and autocommit would have no transaction.
    writing_isolation = "READ COMMITTED"
    create_staging = "CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {rows}"
    analyze_staging = "ANALYZE {name}"  # it would take the table to be small, and look records up one by one
    drop_staging = ""  # gone with the transaction
    takes_timeout = True
    # https://www.postgresql.org/docs/current/errcodes-appendix.html: the connection, a transaction that lost against
    # another one, resources, locks, an operator's intervention, the system.
    broken = re.compile(r"(08|40|53|55|57|58|XX)...")
    busy = re.compile("55P03")
    cancelled = re.compile("57014")
    constraint = re.compile("23(505|503|P01|001)")
    ways_on = MappingProxyType({"42501": "grant it to the user of the URL", "53100": "make room on its disk"})
    state_attribute = "pgcode"
    encode_text = staticmethod(values.encode_text)
    padded_scales = ()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Keep psycopg from logging, for each statement that failed, that its pipeline ended with an error."""
        logger = logging.getLogger("psycopg")
        logger.addFilter(_tells_more)
        try:
            yield
        finally:
            logger.removeFilter(_tells_more)

    def begin_reading(self, connection: sa.Connection, finally_run: Callable[[str], object]) -> None:
        connection.execution_options(isolation_level="REPEATABLE READ")
        # Of this transaction only: the option of SQLAlchemy would leave the next ones to write, whatever the server is
        # set to.
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        raw: Any = connection.connection.dbapi_connection
        if hasattr(raw, "adapters"):  # of psycopg
            raw.adapters.register_loader("interval", _interval_loader())

    def unreadable(self, result: sa.CursorResult[Any]) -> tuple[int, str, str] | None:
        raw: Any = result.connection.connection.dbapi_connection
        context: Any = result.context
        if not hasattr(raw, "adapters"):
            return None
        with raw.cursor() as cursor:
            for name in ("date", "time", "timetz", "timestamp", "timestamptz", "interval"):
                cursor.adapters.register_loader(name, import_module("psycopg.types.string").TextLoader)
            cursor.execute(context.statement, context.parameters[0] or None)
            times = [place for place, column in enumerate(cursor.description) if column.type_code in _TIMES]
            for index, row in enumerate(cursor):
                for place in times:
                    for what, written in _NOT_IN_PYTHON.items():
                        if row[place] is not None and written.search(row[place]):
                            return index, cursor.description[place].name, what
        return None

    def has_deferred(self, connection: sa.Connection) -> bool:
        return connection.scalar(_DEFERRED) is not None

    def runs_triggers_last(self, connection: sa.Connection) -> bool:
        return connection.scalar(sa.text(f"{_DEFERRED.text} AND c.contype = 't' LIMIT 1")) is not None

    def begin_deferring(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")

    def end_deferring(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        # There is no way back to what the schema says but by name.
        if names := list(connection.scalars(_DEFERRED)):
            connection.exec_driver_sql(
                f"SET CONSTRAINTS {', '.join(names)} DEFERRED", execution_options={"no_parameters": True}
            )

    def limit_waits(self, connection: sa.Connection, seconds: float, *, given: bool) -> None:
        limit = f"{max(1, round(seconds * 1000))}ms"
        value = sa.literal(limit)
        set_before = sa.func.nullif(sa.func.current_setting("lock_timeout"), "0")
        chosen = value if given else sa.func.coalesce(set_before, value)
        connection.execute(sa.select(sa.func.set_config("lock_timeout", chosen, True)))  # noqa: FBT003 - SQL's own

    def session_of(self, connection: Any) -> int:
        return int(getattr(getattr(connection, "info", None), "backend_pid", None) or 0)

    def sessions_that_lock(self, session: int, tables: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
        return _SESSIONS_THAT_LOCK, (session, not tables, list(tables))

    def session_that_runs(self, digest: bytes) -> tuple[str, tuple[Any, ...]]:
        return _SESSION_THAT_RUNS, (int.from_bytes(digest[:4]), int.from_bytes(digest[4:]))

    def begin_writing(self, connection: sa.Connection, *, foreign_keys: bool) -> None:
        # psycopg prepares statements by itself, and may miss them after a rollback to a savepoint.
        raw: Any = connection.connection.driver_connection
        if hasattr(raw, "prepare_threshold"):
            raw.prepare_threshold = None

    def lock(self, digest: bytes, seconds: int) -> sa.ColumnElement[Any]:
        return sa.func.pg_try_advisory_xact_lock(sa.literal(int.from_bytes(digest, signed=True), sa.BigInteger))

    def among(self, column: sa.ColumnElement[Any], keys: Sequence[Any]) -> sa.ColumnElement[bool]:
        if isinstance(column.type, sa.Integer):
            return column == sa.any_(sa.bindparam(None, keys, type_=sa.ARRAY(sa.BigInteger)))
        if type(column.type) in (sa.VARCHAR, sa.TEXT):
            # One parameter instead of one a key, which takes the driver a third of the time.
            return column == sa.any_(sa.bindparam(None, keys, type_=sa.ARRAY(sa.Text)))
        return super().among(column, keys)

    def staging_index(self, name: str, columns: Sequence[sa.Column[Any]]) -> sa.Index:
        return sa.Index(name, columns[0], postgresql_using="hash")  # any other would refuse long keys

    def insertion(self, table: sa.Table, rows: sa.Select[Any], keys: Sequence[str], unique: Unique) -> sa.Insert:
        if frozenset(keys) not in unique:
            return super().insertion(table, rows, keys, unique)
        names = rows.selected_columns.keys()
        upsert = postgresql.insert(table).from_select(names, rows, include_defaults=False)
        columns = [table.columns[name] for name in keys]
        rest = {name: upsert.excluded[name] for name in names if name not in keys}
        if not rest:
            return upsert.on_conflict_do_nothing(index_elements=columns)
        return upsert.on_conflict_do_update(index_elements=columns, set_=rest)

    def foreign_keys(self, connection: sa.Connection) -> Iterator[tuple[str, Sequence[str], str, Sequence[str], str]]:
        yield from (tuple(row) for row in connection.exec_driver_sql(_FOREIGN_KEYS))

    def copies(self, dialect: sa.Dialect) -> bool:
        version: tuple[int, ...] = getattr(dialect, "server_version_info", None) or ()
        return dialect.driver == "psycopg" and version >= _OLDEST

    def has_pipeline(self) -> bool:
        return bool(import_module("psycopg").Pipeline.is_supported())

    def interventions(self, connection: sa.Connection, table: sa.Table) -> list[Intervention]:
        name = connection.dialect.identifier_preparer.format_table(table)
        rows = connection.execute(_INTERVENTIONS, {"name": name})
        return [
            Intervention(name, frozenset(compress(VERBS, flags)), changes_rows) for name, *flags, changes_rows in rows
        ]

    def acts_on_others(self, connection: sa.Connection, table: sa.Table) -> bool:
        name = connection.dialect.identifier_preparer.format_table(table)
        return bool(connection.scalar(_ACTS_ON_OTHERS, {"name": name}))

    def written_rows(self, connection: sa.Connection) -> Mapping[tuple[str, str], int]:
        return {
            (table, done): int(rows)
            for table, *counts in connection.exec_driver_sql(_WRITTEN)
            for done, rows in zip(("inserted", "updated", "deleted"), counts, strict=True)
        }

    def column_types(self, *, aware: bool) -> dict[type, TypeEngine[Any]]:
        own: dict[type, TypeEngine[Any]] = {Decimal: sa.Numeric(), UUID: sa.Uuid(), dict: postgresql.JSONB()}
        return super().column_types(aware=aware) | own

    def large_integer(self) -> TypeEngine[Any]:
        return sa.Numeric()

    def encoders(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        duration = partial(values.with_digits, values.encode_timedelta, self.second_digits(kind))
        found = {sa.Float: partial(_encode_float, kind), postgresql.INTERVAL: duration}
        return super().encoders(kind) | found | dict.fromkeys(_TEXT_TO_PYTHON, values.encode_printed)

    def fitters(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        duration = partial(values.cut_digits, values.encode_timedelta, self.second_digits(kind))
        return super().fitters(kind) | {sa.Float: values.encode_float, postgresql.INTERVAL: duration}

    def readers(self, kind: TypeEngine[Any], zone: tzinfo | None) -> dict[type[TypeEngine[Any]], values.Encoder]:
        read = values.single if _is_single(kind) else values.as_it_is
        return super().readers(kind, zone) | {sa.Float: read}

    def decimal_limits(self, kind: TypeEngine[Any]) -> Limits:
        if getattr(kind, "precision", None) is None:
            return frozenset({Decimal, int}), column_forms.all_finite
        return super().decimal_limits(kind)

    def integer_bounds(self, kind: TypeEngine[Any]) -> tuple[int, int]:
        bits = 16 if isinstance(kind, sa.SmallInteger) else 64 if isinstance(kind, sa.BigInteger) else 32
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def float_types(self, kind: TypeEngine[Any]) -> frozenset[type]:
        return frozenset() if _is_single(kind) else super().float_types(kind)

    def zone_of(self, connection: sa.Connection) -> tzinfo | None:
        name = str(connection.exec_driver_sql("SHOW timezone").scalar())
        try:
            return ZoneInfo(name)
        except (ValueError, OSError):  # a name that only the server knows
            return None

    def padded_results(self, result: sa.CursorResult[Any]) -> Sequence[int]:
        described = () if result.cursor is None else result.cursor.description or ()
        return [place for place, column in enumerate(described) if column[1] == _PADDED]

    def printed_types(
        self, connection: sa.Connection, table: sa.Table, columns: Iterable[str]
    ) -> dict[str, TypeEngine[Any]]:
        found = {name for name in columns if name in table.columns and isinstance(table.columns[name].type, _PRINTED)}
        if not found:
            return {}
        name = connection.dialect.identifier_preparer.format_table(table)
        rows = connection.execute(_TYPES_OF, {"name": name, "columns": list(found)})
        return {column: _PrintedType(kind) for column, kind in rows}

    def printed(self, connection: sa.Connection, kind: TypeEngine[Any], texts: Sequence[str]) -> dict[str, str]:
        assert isinstance(kind, _PrintedType)
        given = sa.func.unnest(sa.literal(list(texts), sa.ARRAY(sa.Text))).column_valued("given")
        stored = sa.cast(given, _NamedType(kind.name))
        return dict(map(tuple, connection.execute(sa.select(given, kind.column_expression(stored)))))

    def sequence_of(self, column: Mapping[str, Any]) -> str:
        if not isinstance(column["type"], (sa.Integer, sa.Numeric)):
            return ""
        if column.get("identity"):
            return _IDENTITY
        found = _NEXT.match(column.get("default") or "")
        return found[1].replace("''", "'") if found else ""

    def advance(self, connection: sa.Connection, table: sa.Table, column: str, sequence: str) -> None:
        preparer = connection.dialect.identifier_preparer
        name = preparer.format_table(table)
        of_column = sa.func.pg_get_serial_sequence(name, column) if sequence == _IDENTITY else sa.literal(sequence)
        found = connection.scalar(sa.select(sa.cast(sa.cast(of_column, sa.Text), postgresql.REGCLASS)))
        if found is not None:
            literal = "'" + found.replace("'", "''") + "'"
            statement = _ADVANCE.format(column=preparer.quote(column), table=name, sequence=found, literal=literal)
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def stored_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any]:
        if isinstance(values.encoded_type(kind), sa.CHAR):
            return _Padded()
        return super().stored_type(kind)

    def check_text(self, text: str) -> None:
        self._check(text, _NUL)

    def check_json(self, text: str) -> None:
        self._check(text, _NUL_IN_JSON)

    def limits(self, kind: TypeEngine[Any]) -> Limits:
        plain, within = super().limits(kind)
        return (plain, partial(_without_nul, within)) if str in plain else (plain, within)

    def _text_encoder(self, kind: TypeEngine[Any]) -> values.Encoder:
        return partial(_encode_text, super()._text_encoder(kind))

    def _check(self, text: str, nul: re.Pattern[str]) -> None:
        text.encode()
        if nul.search(text):
            raise values.UnfitValueError(_NO_NUL)

    @staticmethod
    def parse_json_number(text: str) -> int | float:
        exact = Decimal(text)
        return int(exact) if int(exact.as_tuple().exponent) >= 0 else float(text)


class _NamedType(UserDefinedType[Any]):
    """A type by its name."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


@cache
def _interval_loader() -> Any:
    """Return a loader that refuses months and years, of which psycopg makes 30 and 365 days."""
    library = import_module("psycopg")

    class Loader(import_module("psycopg.types.datetime").IntervalLoader):  # type: ignore[misc]  # it is not typed here
        def load(self, data: Any) -> Any:
            if b"mon" in bytes(data) or b"year" in bytes(data):
                message = "an interval of months has no number of days"
                raise library.DataError(message)
            return super().load(data)

    return Loader


class _PrintedType(_NamedType):
    """A column of some type that is given text, and gives it back as the database prints it."""

    cache_ok = True

    def bind_expression(self, bindvalue: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(bindvalue, _NamedType(self.name))

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        # A cast would print the length of the mask of a host, too, which is never printed otherwise.
        return sa.func.abbrev(column) if self.name == "inet" else sa.cast(column, sa.Text)


class _Padded(sa.types.TypeDecorator[Any]):
    """A text that is filled up with blanks, which have no meaning."""

    impl = sa.String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return values.without_blanks(value)


def _without_nul(within: Callable[[Sequence[Any]], bool] | None, texts: Sequence[Any]) -> bool:
    """Say whether texts have no character NUL, and are within the limits of their column."""
    return "\0" not in "".join(filter(None, texts)) and (within is None or within(texts))


def _encode_text(encode: values.Encoder, value: Any) -> Any:
    """Return the text of a value; raise `UnfitValueError` if it has the character NUL."""
    text = encode(value)
    if isinstance(text, str) and "\0" in text:
        raise values.UnfitValueError(_NO_NUL)
    return text


def _encode_float(kind: Any, value: Any) -> Any:
    number = values.encode_float(value)
    if _is_single(kind) and number == number and values.single(number) != number:  # noqa: PLR0124 - NaN is not
        message = "the column keeps some seven digits, and would round it"
        raise values.UnfitValueError(message)
    return number


def _is_single(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, sa.REAL) or (isinstance(kind, sa.Float) and 0 < (kind.precision or 0) <= _SINGLE_BITS)


def _tells_more(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("error ignored terminating")


DIALECTS = (PostgreSQL("postgresql"),)
