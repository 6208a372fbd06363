"""What differs from one kind of database to another, as it is where nothing else is known."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from uuid import UUID

import attrs
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from datastoresync.syncers.sql import column_forms, values
from datastoresync.syncers.sql.column_forms import ColumnForm

_T = TypeVar("_T")
Limits = tuple[frozenset[type], Callable[[Sequence[Any]], bool] | None]

_DIGITS, _SCALE = 38, 18
"""The digits that most databases take, and how many of them we have them keep behind the point."""
Unique = frozenset[frozenset[str]]
VERBS = ("insert", "update", "delete")
PADDED_SCALES = (_SCALE, 30)
"""The scales of the columns that we make, whose numbers are filled up with zeros."""

_NEVER = re.compile("(?!)")
WAITS_FOR_RUNS: Final = "datastoresync_waits_for_runs"
"""Under this name a connection keeps whether it waits for other runs of ours as for other programs."""
_BINARY: tuple[type[TypeEngine[Any]], ...] = (sa.LargeBinary, sa.VARBINARY, sa.BINARY)


@attrs.frozen
class Intervention:
    """What may do something else, or more, when rows of a table are written.

    Args:
        name: What messages call it.
        verbs: When it may do so: at an ``insert``, ``update`` or ``delete``.
        changes_rows: Whether it may change what is written, and other rows; if not, it only hides rows or lets them be.
    """

    name: str
    verbs: frozenset[str]
    changes_rows: bool = True


class Dialect:
    """A kind of database: its statements, types and errors. A subclass overrides what is different in its kind.

    Args:
        name: What SQLAlchemy calls it.
    """

    driver = ""
    """The scheme of a URL with the driver that our extra installs, for URLs that name none."""
    schemes: Sequence[str] = ()
    """Other schemes of URLs that have this driver."""
    extra = ""
    """The extra that installs the driver."""
    example = ""
    """A URL, for messages."""
    misread = ("", "")
    """The characters that the dialect of SQLAlchemy misreads in the name of a table, and of a column."""

    has_row_locks = True
    has_savepoints = True
    looks_for_violations = False
    """Whether constraints whose check was put off are checked by a look at all rows, which takes its time."""
    has_other_schemas = True
    """Whether a database has several schemas; elsewhere these are other databases."""
    folds_names = False
    """Whether names are the same in capitals and small letters."""
    counts_always = False
    """Whether it costs nothing to count all rows that are written."""
    counts_cascades = True
    """Whether `written_rows` has those that foreign keys deleted or changed."""
    compares_as_referred = False
    """Whether a foreign key compares as the columns that it refers to do, which may not be as its own ones do."""
    numbers_keys = False
    """Whether an integer that is the primary key is a number that the database gives."""
    reads_indexes = False
    """Whether unique indexes are asked for when a table is looked up."""
    pads_characters = True
    """Whether CHAR(n) is filled up with blanks, which are then ignored."""
    makes_tables_in_transactions = False
    """Whether a table that is made is undone with its transaction; elsewhere making one commits what was done."""
    writing_isolation = ""
    """The isolation level to write in; the default one if there is none."""
    after_writing = ""
    """A statement to run before a connection that was written through goes back to its pool."""

    create_staging = "CREATE TEMPORARY TABLE {name} AS {rows}"
    analyze_staging = ""
    drop_staging = "DROP TABLE {name}"
    staging_survives_rollback = False
    staging_columns_need_nulls = False
    """Whether a temporary copy of a table refuses to be without a value where the table does."""

    takes_timeout = False
    """Whether the option ``timeout`` of a URL is ours: how long to wait for locks, where waiting can be limited."""
    busy = _NEVER
    """The states of errors that say that another connection holds a lock: SQLSTATE, or what the driver has instead."""
    broken = _NEVER
    """The states of errors for which the store as a whole is to blame: locks, the connection, the disk."""
    cancelled = _NEVER
    """The states of errors that say that a statement was broken off: it took too long, or was cancelled."""
    constraint = _NEVER
    """The states of errors that may pass once other rows are changed: of unique values and of foreign keys."""
    ways_on: Mapping[str, str] = MappingProxyType({})
    """What may be done about an error, by what its state, or else its message, begins with."""
    state_attribute = ""
    """The attribute of a driver's error that holds its state."""
    quoted_value: re.Pattern[str] | None = None
    """Where messages of errors repeat a value."""

    encode_text: values.Encoder = staticmethod(values.encode_text_or_json)
    """What makes values fit for a text column without a length."""
    writes_json_text = False
    """Whether JSON is handed over as its text."""
    padded_scales: tuple[int, ...] = PADDED_SCALES
    """The scales of numeric columns whose numbers are filled up with zeros, which are taken off."""
    parse_json_number: Callable[[str], float] = float

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def quiet(self) -> AbstractContextManager[None]:
        """Return a context in which the driver logs nothing about statements that failed: their errors are raised."""
        return nullcontext()

    def speaks(self, dialect: sa.Dialect) -> bool:
        """Say whether a dialect of SQLAlchemy is for this kind of database."""
        return dialect.name == self.name

    def file_of(self, url: sa.URL) -> Path | None:
        """Return the file that a database is, if it is one."""
        return None

    # --- transactions -------------------------------------------------------------------------------------------

    def begin_reading(self, connection: sa.Connection, finally_run: Callable[[str], object]) -> None:
        """Begin a transaction that sees one state of the database throughout, and can only read.

        Args:
            connection: Where to begin it.
            finally_run: Takes a statement to run at the end, outside of any transaction.
        """

    def unreadable(self, result: sa.CursorResult[Any]) -> tuple[int, str, str] | None:
        """Return the first value of a result that Python has none for: index of the row, column, words; or None.

        To be asked after the driver refused one, in the same transaction.
        """
        return None

    def begin_writing(self, connection: sa.Connection, *, foreign_keys: bool) -> None:
        """Do what is to be done first in a transaction to write in.

        Args:
            connection: Where it was begun.
            foreign_keys: Whether to have foreign keys checked where this is not done anyway.
        """

    def limit_waits(self, connection: sa.Connection, seconds: float, *, given: bool) -> None:
        """Limit how long a connection waits for locks, at the beginning of a transaction.

        Args:
            connection: The connection.
            seconds: How long.
            given: Whether that was said, and counts more than what the connection was opened with.
        """

    def url_options(self, url: sa.URL) -> Sequence[str]:
        """Return the options that a URL may have, where the driver would ignore any other."""
        return ()

    def engine_options(self, options: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        """Return options for ``create_engine`` with which a connection waits so long, where that is done there."""
        return options

    def session_of(self, connection: Any) -> int:
        """Return the number by which the server knows a driver's connection; 0 if there is none."""
        return 0

    def sessions_that_lock(self, session: int, tables: Sequence[str]) -> tuple[str, tuple[Any, ...]] | None:
        """Return a query with its parameters for the sessions that hold locks: number, user, program, state, since.

        Args:
            session: The session that waited, which is not meant.
            tables: The full names of the tables that it was about; none, if they are not known.
        """
        return None

    def session_that_runs(self, digest: bytes) -> tuple[str, tuple[Any, ...]] | None:
        """Return such a query for the session that holds a lock of `lock`."""
        return None

    def commit_failed(self, connection: sa.Connection) -> None:
        """Take back what a refused commit leaves open."""

    def has_deferred(self, connection: sa.Connection) -> bool:
        """Say whether constraints are checked only when a transaction ends."""
        return False

    def runs_triggers_last(self, connection: sa.Connection) -> bool:
        """Say whether triggers run at the end of a transaction, which may do more than check."""
        return False

    def begin_deferring(self, connection: sa.Connection) -> None:
        """Put off the checks of all constraints that can be deferred."""

    def end_deferring(self, connection: sa.Connection) -> None:
        """Check all constraints whose check was put off, and go on as the schema says."""

    def violations(self, connection: sa.Connection) -> Counter[Any]:
        """Return what violates constraints now, if only a look at all rows tells; `end_deferring` does elsewhere."""
        return Counter()

    def lock(self, digest: bytes, seconds: int) -> sa.ColumnElement[Any] | None:
        """Return an expression that takes a lock until the transaction ends, and is false where another run has it.

        None, if there are no such locks.

        Args:
            digest: What is locked, in eight bytes.
            seconds: How long to wait where a dead run's lock may take a while to be freed.
        """
        return None

    # --- statements ---------------------------------------------------------------------------------------------

    def among(self, column: sa.ColumnElement[Any], keys: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Return the condition that a column has one of these values."""
        # The parameter has a name of ours, as one made of the column's might not be fit for it.
        return column.in_(sa.bindparam("keys", keys, expanding=True, type_=column.type))

    def staging_index(self, name: str, columns: Sequence[sa.Column[Any]]) -> sa.Index | None:
        """Return an index of staged records by their keys, for a database that would compare each with each."""
        return None

    def insertion(self, table: sa.Table, rows: sa.Select[Any], keys: Sequence[str], unique: Unique) -> sa.Insert:
        """Return a statement that inserts rows, and updates those that another program has inserted meanwhile.

        Without a unique index on the key there is nothing that the two would collide at.

        Args:
            table: The table.
            rows: The rows, whose columns have the names of those of the table.
            keys: The columns that tell records apart.
            unique: The columns of each unique index.
        """
        return sa.insert(table).from_select(rows.selected_columns.keys(), rows, include_defaults=False)

    def copies(self, dialect: sa.Dialect) -> bool:
        """Say whether rows can be copied into a table of the database, as `copy_staging` does it."""
        return False

    def has_pipeline(self) -> bool:
        """Say whether the driver that rows are copied through can send a statement without waiting for its end."""
        return False

    # --- the catalogue ------------------------------------------------------------------------------------------

    def column_name(self, name: str) -> str:
        """Return the name of a column as it is, of one that SQLAlchemy has read."""
        return name

    def heeds_foreign_keys(self, connection: sa.Connection) -> bool:
        """Say whether foreign keys are more than words on this connection."""
        return True

    def foreign_keys(self, connection: sa.Connection) -> Iterator[tuple[str, Sequence[str], str, Sequence[str], str]]:
        """Yield the foreign keys of a database: table and columns, those referred to, and what ON DELETE says.

        The tables come with their schema.
        """
        inspector = sa.inspect(connection)
        default = inspector.default_schema_name
        for (schema, table), found in inspector.get_multi_foreign_keys().items():
            for key in found:
                columns = list(map(self.column_name, key["constrained_columns"]))
                to = list(map(self.column_name, key["referred_columns"]))
                if len(columns) == len(to):
                    referred = f"{key['referred_schema'] or schema or default}.{key['referred_table']}"
                    rule = str(key.get("options", {}).get("ondelete") or "")
                    yield f"{schema or default}.{table}", columns, referred, to, rule

    def padded_results(self, result: sa.CursorResult[Any]) -> Sequence[int]:
        """Return the places of the columns of a query that are filled up with blanks."""
        return ()

    def json_columns(self, connection: sa.Connection, schema: str | None, table: str) -> set[str]:
        """Return the columns that were declared as JSON, where they are read as something else."""
        return set()

    def sequence_of(self, column: Mapping[str, Any]) -> str:
        """Return the sequence that a column gets its values from, as `advance` takes it, if writing leaves it behind.

        Args:
            column: The column, as SQLAlchemy has read it.
        """
        return ""

    def advance(self, connection: sa.Connection, table: sa.Table, column: str, sequence: str) -> None:
        """Move a sequence on to the last of the values of a column, unless it is there or further on already."""

    def unique_expressions(self, connection: sa.Connection, schema: str | None, table: str) -> Sequence[str]:
        """Return the statements that made the unique indexes of a table, where those of expressions are not read."""
        return ()

    def printed_types(
        self, connection: sa.Connection, table: sa.Table, columns: Iterable[str]
    ) -> dict[str, TypeEngine[Any]]:
        """Return, for those of these columns whose values are no text to Python, types that they are text in."""
        return {}

    def printed(self, connection: sa.Connection, kind: TypeEngine[Any], texts: Sequence[str]) -> dict[str, str]:
        """Return what the database prints of texts in a column of such a type."""
        return {}

    def not_transactional(self, inspector: sa.Inspector, table: str, schema: str | None) -> str:
        """Return what keeps a table and how to mend that, if it has no transactions; else nothing."""
        return ""

    def interventions(self, connection: sa.Connection, table: sa.Table) -> list[Intervention]:
        """Return what may do something else, or more, when rows of a table are written: triggers and the like."""
        return []

    def acts_on_others(self, connection: sa.Connection, table: sa.Table) -> bool:
        """Say whether foreign keys to a table change other rows with its own, as far as these can be counted."""
        return False

    def updating_keys(self, connection: sa.Connection, table: sa.Table) -> list[tuple[str, str, str, str, str]]:
        """Return the foreign keys to a table that change with it, where nothing counts that.

        Each as its name, its schema, its table, its column and that which it refers to; one for each column.
        """
        return []

    def refusing(self, connection: sa.Connection, statement: Any) -> Any:
        """Return a statement that is refused where the schema would have it replace another row, or do nothing."""
        return statement

    def written_rows(self, connection: sa.Connection) -> Mapping[tuple[str, str], int] | None:
        """Return how many rows were written in this transaction so far, undone ones as well; None if that is not known.

        By the table with its schema, and what was done: inserted, updated or deleted; both are empty where that is not
        known.
        """
        return None

    # --- types and values ---------------------------------------------------------------------------------------

    def column_types(self, *, aware: bool) -> dict[type, TypeEngine[Any]]:
        """Return the types of new columns by those of their values; UUIDs, lists and dictionaries may be text instead.

        Args:
            aware: Whether moments and times have a time zone.
        """
        return {
            str: sa.Text(),
            bool: sa.Boolean(),
            int: sa.BigInteger(),
            float: sa.Double(),
            Decimal: sa.Numeric(_DIGITS, _SCALE),
            date: sa.Date(),
            datetime: sa.DateTime(timezone=aware),
            time: sa.Time(timezone=aware),
            bytes: sa.LargeBinary(),
        }

    def large_integer(self) -> TypeEngine[Any]:
        """Return the type of a new column for integers of more than 64 bits."""
        return sa.Numeric(_DIGITS, 0)

    def stored_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any]:
        """Return the type to read and write a reflected column by."""
        kind = values.encoded_type(kind)
        if isinstance(kind, sa.Numeric) and kind.scale in self.padded_scales:
            return values.DecodedType(values.decode_padded)
        return values.without_length(kind)

    def encoder(self, kind: TypeEngine[Any], zone: tzinfo | None = None) -> ColumnForm:
        """Return what makes Python values fit for a column of this type, and says what the column makes of them.

        An enum member becomes its value, or the label of an enum column; a set becomes a sorted list, for array and
        JSON columns.

        Args:
            kind: The type.
            zone: The time zone that moments with one are read in.
        """
        if isinstance(kind, sa.ARRAY):
            item = self.encoder(values.encoded_type(kind.item_type), zone)
            return ColumnForm(
                exact=partial(values.encode_array, item),
                fitted=partial(values.encode_array, attrs.evolve(item, mode="fitted")),
                read=partial(_read_array, item.read),
                plain=frozenset({type(None)}),
            )
        exact = self._first(self.encoders(kind), kind, values.as_it_is)
        if isinstance(kind, sa.Enum):
            exact = partial(values.encode_label, frozenset(kind.enums))
        # Almost all values are of these types, and need no more than this look at them.
        plain, within = self.limits(kind)
        return ColumnForm(
            exact=exact,
            fitted=self._first(self.fitters(kind), kind, exact),
            read=self._first(self.readers(kind, zone), kind, values.as_it_is),
            plain=plain | {type(None)},
            within=within,
            trivial=isinstance(kind, (sa.String, sa.JSON, *_BINARY)) and str in plain | {bytes},
            labels=isinstance(kind, sa.Enum),
        )

    @staticmethod
    def _first(ways: Mapping[type[TypeEngine[Any]], _T], kind: TypeEngine[Any], otherwise: _T) -> _T:
        return next((way for family, way in ways.items() if isinstance(kind, family)), otherwise)

    def encoders(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        """Return what makes values fit that lose nothing by it, by the type of a column; the first that fits is taken.

        Args:
            kind: The type itself, for what depends on its length or precision.
        """
        integer: values.Encoder = values.encode_integer
        if bounds := self.integer_bounds(kind):
            integer = partial(values.encode_integer_within, bounds)
        aware, digits = bool(getattr(kind, "timezone", False)), self.second_digits(kind)
        with_digits = values.with_digits
        return {
            sa.JSON: values.encode_json_value,
            sa.Enum: values.as_it_is,
            sa.String: self._text_encoder(kind),
            **dict.fromkeys(_BINARY, values.encode_bytes),
            sa.Boolean: values.encode_boolean,
            sa.Integer: integer,
            sa.Float: values.encode_float,  # before Numeric, of which it is a kind up to SQLAlchemy 2.0
            sa.Numeric: partial(values.encode_scaled, kind),
            sa.DateTime: partial(with_digits, partial(values.in_zone, values.encode_datetime, aware), digits),
            sa.Date: values.encode_date,
            sa.Time: partial(with_digits, partial(values.in_zone, values.encode_time, aware), digits),
            sa.Uuid: values.encode_uuid,
        }

    def fitters(self, kind: TypeEngine[Any]) -> dict[type[TypeEngine[Any]], values.Encoder]:
        """Return what makes values fit as the database would: rounded, or cut; by the type of a column.

        Where nothing is said of a type, what would lose something is refused.
        """
        encoders = self.encoders(kind)
        length = getattr(kind, "length", None)
        aware, digits = bool(getattr(kind, "timezone", False)), self.second_digits(kind)
        moment = values.encode_datetime if aware else partial(values.without_zone, values.encode_datetime)
        found: dict[type[TypeEngine[Any]], values.Encoder] = {
            sa.Enum: encoders[sa.Enum],
            sa.Integer: partial(values.round_integer, encoders[sa.Integer]),
            sa.Float: encoders[sa.Float],
            sa.Numeric: partial(values.round_scaled, kind),
            sa.DateTime: partial(values.cut_digits, moment, digits),
            sa.Date: values.cut_date,
            sa.Time: partial(values.cut_digits, partial(values.in_zone, values.encode_time, aware), digits),
        }
        if length is not None:
            found[sa.String] = partial(values.cut_text, length, encoders[sa.String])
        return found

    def readers(self, kind: TypeEngine[Any], zone: tzinfo | None) -> dict[type[TypeEngine[Any]], values.Encoder]:
        """Return what makes values that are held what is read of them, by the type of a column."""
        aware = bool(getattr(kind, "timezone", False))
        scaled: values.Encoder = partial(values.scaled, kind)
        padded = isinstance(kind, sa.Numeric) and kind.scale in self.padded_scales
        found: dict[type[TypeEngine[Any]], values.Encoder] = {
            sa.JSON: self._read_json,
            sa.Float: values.as_it_is,
            sa.Numeric: partial(values.read_padded, scaled) if padded else scaled,
            sa.DateTime: partial(values.read_moment, zone) if aware else values.as_it_is,
            sa.Time: partial(values.read_aware, aware),
        }
        return found

    def limits(self, kind: TypeEngine[Any]) -> Limits:
        """Return the types of Python values that a column holds and gives back just as they are, and its limits.

        The limits say of many such values whether it does; None if there are none.
        """
        if isinstance(kind, sa.CHAR) and self.pads_characters:
            return frozenset(), None
        length, bounds = getattr(kind, "length", None), self.integer_bounds(kind)
        step = 10 ** (values.MICROSECONDS - self.second_digits(kind))
        short = None if length is None else column_forms.within_length(length)
        moments = column_forms.in_zone(bool(getattr(kind, "timezone", False)), step)
        found: dict[type[TypeEngine[Any]], Limits] = {
            sa.Enum: (frozenset(), None),
            sa.String: (frozenset({str}), short),
            **dict.fromkeys(_BINARY, (frozenset({bytes}), short)),
            sa.Boolean: (frozenset({bool}), None),
            sa.Integer: (frozenset({int}), None if bounds is None else column_forms.within_bounds(*bounds)),
            sa.Float: (self.float_types(kind), None),
            sa.Numeric: self.decimal_limits(kind),
            sa.DateTime: (frozenset({datetime}), moments),
            sa.Time: (frozenset({time}), moments),
            sa.Date: (frozenset({date}), None),
            sa.Uuid: (frozenset({UUID}), None),
        }
        return self._first(found, kind, (frozenset(), None))

    def decimal_limits(self, kind: TypeEngine[Any]) -> Limits:
        """Return the limits of a column of decimals."""
        precision, scale = getattr(kind, "precision", None), getattr(kind, "scale", None)
        if precision is None or scale in self.padded_scales:
            return frozenset(), None
        return frozenset({Decimal}), column_forms.within_scale(precision, scale or 0)

    def integer_bounds(self, kind: TypeEngine[Any]) -> tuple[int, int] | None:
        """Return the least and the largest integer that a column holds, if that is known."""
        return None

    def float_types(self, kind: TypeEngine[Any]) -> frozenset[type]:
        """Return the types of values that a column of floats holds just as they are."""
        return frozenset({float})

    def second_digits(self, kind: TypeEngine[Any]) -> int:
        """Return how many digits of a second a column keeps."""
        digits = None if isinstance(kind, sa.Numeric) else getattr(kind, "precision", None)
        return values.MICROSECONDS if digits is None else min(digits, values.MICROSECONDS)

    def zone_of(self, connection: sa.Connection) -> tzinfo | None:
        """Return the time zone that moments with one are read in."""
        return None

    def _text_encoder(self, kind: TypeEngine[Any]) -> values.Encoder:
        length = getattr(kind, "length", None)
        padded = isinstance(kind, sa.CHAR) and self.pads_characters
        if length is None:  # that of a domain over char(n) is not told
            return partial(values.encode_unpadded, self.encode_text) if padded else self.encode_text
        return partial(values.encode_padded if padded else values.encode_limited, length, self.encode_text)

    def _read_json(self, value: Any) -> Any:
        text = value if isinstance(value, str) and self.writes_json_text else values.encode_json_text(value)
        return json.loads(text, parse_float=self.parse_json_number)

    def check_text(self, text: str) -> None:
        """Raise `UnfitValueError` for a text that a column cannot hold."""
        text.encode()

    def check_json(self, text: str) -> None:
        """Raise `UnfitValueError` for JSON that a column cannot hold."""
        text.encode()

    def loaded(self, kind: TypeEngine[Any], value: Any, dialect: sa.Dialect) -> Any:
        """Return what is read of a value that was written to a column of this type."""
        return Decimal(value) if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float) else value


def _read_array(read: values.Encoder, value: Any) -> Any:
    if not isinstance(value, list):
        return value if value is None else read(value)
    found = [_read_array(read, member) for member in value]
    return [] if all(member == [] for member in found) else found


DIALECTS: Final[dict[str, Dialect]] = {}
"""The known kinds of databases by their names. A new one is a module with ``DIALECTS``, named in ``dialects``."""


def dialect_of(dialect: sa.Dialect) -> Dialect:
    """Return what is known of the database that SQLAlchemy speaks to like this."""
    return next((known for known in DIALECTS.values() if known.speaks(dialect)), Dialect(dialect.name))
