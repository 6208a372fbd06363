"""Whatever frames, Parquet files, CSV files and objects hold, both engines find the same."""

import warnings
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Address
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from profiles import examples
from pyarrow import parquet

from datastoresync import Branch, CSVImporter, DatastoreSyncError, Object, SQLImporter, Tree
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.table import TableObjects
from datastoresync.importing.file_importers import ParquetImporter
from datastoresync.syncers.sql.syncer import SQLSyncer

DUCKDB = DuckDB(threads=1)
BATCH = 7
"""Rows in a batch: fewer than there may be."""


@pytest.fixture(autouse=True, scope="module")
def running():
    """Keep one database open for all examples: opening one takes longer than most of them."""
    held = DUCKDB.opened()
    yield
    del held


# Classes ------------------------------------------------------------------------------------------------------------


class Shouting(Object):
    """Open, with a property that reads one column."""

    @property
    def shout(self):
        return str(self.value).upper()


class Whispering(Object):
    """The same attributes, computed by other code, which looks at the whole object."""

    @property
    def shout(self):
        item = self
        return f"{item.value}".upper()


class Reaching(Object):
    """With properties that reach beyond the object, and build on each other."""

    @property
    def size(self):
        return len(self.__branch__.name) + self.half

    @property
    def half(self):
        return len(repr(self.value)) // 2


class Fussy(Object):
    """With a property that fails for some values."""

    @property
    def inverse(self):
        return 1 / self.value


class Forgiving(Object):
    """The same, but that it says so."""

    @property
    def inverse(self):
        try:
            return 1 / self.value
        except Exception:  # noqa: BLE001 - whatever it is
            return "raised"


class Several(Object):
    """With a property of several types, one that is a membership, and one that is seldom there."""

    @property
    def odd(self):
        return self.value if isinstance(self.value, int) else repr(self.value)

    @property
    def letters(self):
        return set(str(self.value)[:2])

    @property
    def seldom(self):
        return self.value or None


class Text(Object):
    value: str | None
    note: str | None = None


class Declared(Object):
    value: int | None
    note: str = "nothing"


class Exact(Object):
    value: Decimal | None
    note: str | None = None

    @property
    def written(self):
        return str(self.value)


class Numbered(Object):
    idnumber: int
    value: float | None
    note: str | None = None


class Day(Object):
    value: date | None


class Moment(Object):
    value: datetime | None


class Clock(Object):
    value: time | None


class Span(Object):
    value: timedelta | None


class Flag(Object):
    value: bool | None


class Number(Object):
    value: int | str | None
    note: Any


class Ident(Object):
    value: UUID | None


class Host(Object):
    value: IPv6Address | IPv4Network | None


class Folder(Object):
    value: PurePath | None


class Blob(Object):
    value: bytes | None


class Pair(Object):
    _identifiers = ("idnumber", "note")


FITTING = {
    Object: [],
    Shouting: [],
    Whispering: [],
    Reaching: [],
    Several: [],
    Pair: [],
    Fussy: ["whole", "tiny", "float", "price"],
    Text: ["text", "large", "choice", "whole", "day", "nothing"],
    Declared: ["whole", "tiny", "natural", "nothing"],
    Exact: ["price", "long", "whole"],
    Numbered: ["float", "narrow", "tiny", "nothing"],
    Day: ["day", "second", "text"],
    Moment: ["second", "millisecond", "microsecond", "nanosecond", "autumn", "autumn in UTC", "text", "offset"],
    Clock: ["clock", "span", "text"],
    Span: ["span", "clock"],
    Flag: ["bool", "tiny", "text"],
    Number: [],
    Ident: ["uuid", "text"],
    Host: ["address", "nothing"],
    Folder: ["path", "text"],
    Blob: ["bytes", "fixed"],
}
"""The classes, with the kinds of columns that they take; none for all."""


# Columns ------------------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    kind: pyarrow.DataType
    values: st.SearchStrategy


def rarely(odd, values):
    return st.integers(0, 60).flatmap(lambda number: odd if number == 60 else values)


def moments(unit, zone=None):
    size = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    year = 31_557_600 * size
    if unit == "ns":
        return Column(
            pyarrow.timestamp(unit, zone), rarely(st.just(1), st.integers(-10, 10).map(lambda number: number * 1000))
        )
    values = st.integers(-70 * year, 200 * year) | st.integers(-3, 3)
    return Column(pyarrow.timestamp(unit, zone), rarely(st.sampled_from([-2300 * year, 8100 * year]), values))


def autumn(unit, zone):
    """Moments of the night in which an hour comes twice."""
    size = {"ms": 10**3, "us": 10**6}[unit]
    first = int(datetime(2024, 10, 26, 23, 30, tzinfo=UTC).timestamp()) * size
    return Column(pyarrow.timestamp(unit, zone), st.integers(0, 5).map(lambda halves: first + halves * 1800 * size))


def numbers(kind, *values):
    bits = kind.bit_width - 1
    return Column(kind, st.integers(0, 9) | st.sampled_from([2**bits - 1, *values]))


TEXTS = st.sampled_from(
    [
        *("", "a", "A", "1", "07", " 7", "1.50", "é", "e\u0301", "\U0001f600", "a'b\"c", "x\ny", "NaN", "\0"),
        *("2024-10-27", "2024-10-27T02:30:00", "2024-10-27 02:30:00+02:00", "2024-10-27T01:30:00Z", "10:00", "true"),
    ]
)
COLUMNS = {
    "text": Column(pyarrow.string(), TEXTS),
    "large": Column(pyarrow.large_string(), TEXTS),
    "choice": Column(pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), TEXTS),
    "bool": Column(pyarrow.bool_(), st.booleans()),
    "tiny": numbers(pyarrow.int8(), -1),
    "whole": numbers(pyarrow.int64(), -1, -(2**63), 2**53 + 1),
    "natural": numbers(pyarrow.uint64(), 2**64 - 1),
    "float": Column(
        pyarrow.float64(), st.sampled_from([0.0, -0.0, 1.0, 1.5, 0.1, 1e300, float("nan"), float("inf"), 2.0**53])
    ),
    "narrow": Column(pyarrow.float32(), st.sampled_from([0.0, -0.0, 1.0, 0.1, float("nan")])),
    "day": Column(
        pyarrow.date32(),
        rarely(st.sampled_from([2_932_897, -719_163]), st.integers(-700_000, 800_000) | st.integers(0, 3)),
    ),
    "second": moments("s"),
    "millisecond": moments("ms"),
    "microsecond": moments("us"),
    "nanosecond": moments("ns"),
    "instant": moments("us", "Europe/Berlin"),
    "utc": moments("ms", "UTC"),
    "offset": moments("us", "+05:30"),
    "fine": moments("ns", "Europe/Berlin"),
    "autumn": autumn("us", "Europe/Berlin"),
    "autumn elsewhere": autumn("ms", "Europe/Lisbon"),
    "autumn in UTC": autumn("us", "UTC"),
    "span": Column(pyarrow.duration("us"), st.sampled_from([0, 1, -1, 90_000_000, 91_800_000_000])),
    "uuid": Column(pyarrow.uuid(), st.integers(1, 4).map(lambda number: UUID(int=number).bytes)),
    "address": Column(pyarrow.string(), st.sampled_from(["::1", "0:0::1", "::2", "10.0.0.0/8", "10.0.0.0/08", ""])),
    "path": Column(pyarrow.string(), st.sampled_from(["a", "a/", "./a", "b", "/a", ""])),
    "fixed": Column(pyarrow.binary(2), st.sampled_from([b"aa", b"ab"])),
    "deep": Column(pyarrow.decimal128(38, 20), st.sampled_from([Decimal(1), 1 + Decimal("1e-20"), Decimal("1.5")])),
    "deeper": Column(pyarrow.decimal128(38, 30), st.sampled_from([Decimal(1), 1 + Decimal("1e-20"), Decimal("1.5")])),
    "fraction": Column(pyarrow.decimal128(2, 2), st.sampled_from([Decimal("0.50"), Decimal("-0.10"), Decimal(0)])),
    "coarse": Column(pyarrow.decimal128(12, 0), st.sampled_from([Decimal(1), Decimal(0), Decimal(10)])),
    "price": Column(
        pyarrow.decimal128(10, 2), st.sampled_from([Decimal("1.50"), Decimal("-0.10"), Decimal("0.00"), Decimal(3)])
    ),
    "long": Column(pyarrow.decimal128(38, 3), st.sampled_from([Decimal("1.500"), Decimal(10) ** 34])),
    "wide": Column(pyarrow.decimal256(50, 2), st.sampled_from([Decimal("1.50"), Decimal(10) ** 40])),
    "bytes": Column(pyarrow.binary(), st.sampled_from([b"", b"a", b"\xff\0"])),
    "clock": Column(pyarrow.time64("us"), st.integers(0, 5) | st.sampled_from([86_399_999_999])),
    "nothing": Column(pyarrow.null(), st.none()),
    "list": Column(pyarrow.list_(pyarrow.string()), st.lists(st.sampled_from("ab"), max_size=2)),
}
KEYS = {
    "text": Column(
        pyarrow.string(), st.sampled_from(["a", "b", "c", "k1", "k2", "k3", "k4", "k5", "k10", "Ä", "x y", "z'"])
    ),
    "rough": Column(
        pyarrow.string(),
        rarely(st.sampled_from(["", None, "\0"]), st.sampled_from(["a", "A", "b", "a ", "é", "e\u0301", "c", "d"])),
    ),
    "whole": Column(pyarrow.int32(), st.integers(-3, 12)),
    "natural": Column(pyarrow.uint64(), st.integers(0, 9) | st.just(2**64 - 1)),
    "day": Column(pyarrow.date32(), st.integers(0, 12)),
    "float": Column(pyarrow.float64(), st.integers(0, 3).map(float)),
    "utc": Column(pyarrow.timestamp("us", "UTC"), st.integers(0, 12)),
    "autumn": autumn("us", "Europe/Berlin"),
    "moment": Column(pyarrow.timestamp("ms"), st.integers(0, 12)),
    "decimal": Column(pyarrow.decimal128(38, 20), st.integers(1, 9).map(lambda number: 1 + Decimal(number) / 10**20)),
    "bytes": Column(pyarrow.binary(), st.sampled_from([b"a", b"b", b"\0", b"\xff"])),
    "clock": Column(pyarrow.time64("us"), st.integers(0, 9)),
    "uuid": Column(pyarrow.uuid(), st.integers(1, 9).map(lambda number: UUID(int=number).bytes)),
    "bool": Column(pyarrow.bool_(), st.booleans()),
}
OTHER_KEY = {"autumn": "utc", "utc": "autumn", "decimal": "whole", "whole": "natural"}
"""Keys of another type that may be equal."""


def tables(key, kind, *, full):
    """Tables with these columns; keys are mostly different, since otherwise nothing but that is seen."""
    seldom = st.sampled_from([False] * 7 + [True])
    columns = [KEYS[key].values, maybe(COLUMNS[kind].values), TEXTS if full else maybe(TEXTS)]
    row = st.tuples(*columns)
    several = seldom.flatmap(
        lambda odd: (
            st.lists(row, max_size=4) if odd else st.lists(row, min_size=3, max_size=14, unique_by=lambda one: one[0])
        )
    )

    def table(rows):
        kinds = [KEYS[key].kind, COLUMNS[kind].kind, pyarrow.string()]
        found = zip(*rows, strict=True) if rows else [()] * len(kinds)
        found = [pyarrow.array(values, kind) for values, kind in zip(found, kinds, strict=True)]
        return pyarrow.table(found, names=["idnumber", "value", "note"])

    return several.map(table)


def maybe(values):
    return st.one_of(values, values, values, st.none())


@st.composite
def pairs(draw):
    """Two classes, and two tables that mostly agree in their columns and fit."""
    classes = [draw(st.sampled_from(list(FITTING)))] * 2
    if draw(st.integers(0, 3)) == 0:
        classes[1] = draw(st.sampled_from(list(FITTING)))
    key = draw(st.sampled_from(["text", "text", "whole", "whole", *KEYS]))
    if Numbered in classes and draw(st.integers(0, 5)):
        key = "whole"
    kinds = [draw(st.sampled_from(FITTING[cls] or sorted(COLUMNS))) for cls in classes]
    if draw(st.integers(0, 3)) == 0:
        kinds[0] = draw(st.sampled_from(sorted(COLUMNS)))
    if draw(st.integers(0, 2)):
        kinds[1] = kinds[0]
    full = Pair in classes
    left = draw(tables(key, kinds[0], full=full))
    other = key if draw(st.integers(0, 7)) else OTHER_KEY.get(key, "text")
    more = draw(tables(other, kinds[1], full=full))
    right = mixed(left, more) if left.schema == more.schema else more
    if draw(st.booleans()):
        right = right.select(draw(st.permutations(right.column_names)))
    return classes, (left, right)


def mixed(left, more):
    """Most rows of one table, and some of another one, backwards."""
    together = pyarrow.concat_tables([more.slice(0, 3), left.slice(1)])
    places = {}
    for place, key in enumerate(together["idnumber"].to_pylist()):
        places.setdefault(key, place)
    return together.take(pyarrow.array(sorted(places.values(), reverse=True), pyarrow.int64()))


# Sources ------------------------------------------------------------------------------------------------------------


def in_files(table, folder, name):
    half = len(table) // 2
    for place, part in enumerate((table.slice(0, half), table.slice(half))):
        parquet.write_table(part, folder / f"{name}{place}.parquet", row_group_size=BATCH)
    return ParquetImporter([folder / f"{name}0.parquet", folder / f"{name}1.parquet"])


def in_file(table, folder, name):
    parquet.write_table(table, folder / f"{name}.parquet", row_group_size=BATCH)
    return ParquetImporter(str(folder / f"{name}.parquet"))


def as_reader(table, folder, name):
    return lambda: pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=BATCH))


def as_pandas(table, folder, name):
    pytest.importorskip("pandas")
    try:
        return table.to_pandas()
    except (pyarrow.ArrowException, ValueError):
        return table


def as_polars(table, folder, name):
    polars = pytest.importorskip("polars")
    # At these, polars would panic.
    beyond = any(pyarrow.types.is_decimal256(kind) or "+05" in str(kind) for kind in table.schema.types)
    return table if beyond else polars.DataFrame(table)


def as_csv(table, folder, name):
    lines = [",".join(table.column_names)]
    try:
        rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    except (ValueError, OverflowError):  # Python has no such values
        return table
    quoted = lambda value: '"' + str("" if value is None else value).replace('"', '""') + '"'  # noqa: E731
    lines += (",".join(map(quoted, row)) for row in rows)
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return CSVImporter(folder / f"{name}.csv")


def as_rows(table, folder, name):
    try:
        rows = table.to_pylist()
    except (ValueError, OverflowError):
        return table
    return lambda: rows


SOURCES = [lambda table, folder, name: table, as_reader, as_pandas, as_polars, in_file, in_files, as_csv, as_rows]


# Databases ----------------------------------------------------------------------------------------------------------

NUMBERS = {"int8": "smallint", "int32": "integer", "int64": "bigint", "bool": "boolean", "date32[day]": "date"}
SQL_TYPES = {
    "sqlite": {"string": "text", "double": "double", "timestamp[us]": "timestamp", "binary": "blob"},
    "postgresql": {
        "string": "text",
        "double": "double precision",
        "float": "real",
        "timestamp[us]": "timestamp",
        "timestamp[us, tz=Europe/Berlin]": "timestamptz",
        "timestamp[us, tz=UTC]": "timestamptz",
        "binary": "bytea",
        "time64[us]": "time",
        "duration[us]": "interval",
        "extension<arrow.uuid>": "uuid",
    },
    "mariadb": {
        "string": "varchar(60) collate utf8mb4_nopad_bin",
        "double": "double",
        "timestamp[us]": "datetime(6)",
        "binary": "varbinary(9)",
        "time64[us]": "time(6)",
        "duration[us]": "time(6)",
    },
}


@contextmanager
def in_database(url):
    """Yield a source that puts a table into a database, if that has all of its types and takes all of its values."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    known = NUMBERS | SQL_TYPES[engine.dialect.name]

    def sql_type(kind):
        exact = pyarrow.types.is_decimal128(kind) and engine.dialect.name != "sqlite"
        return f"numeric({kind.precision}, {kind.scale})" if exact else known.get(str(kind))

    def source(table, folder, name):
        columns = [
            (column, sql_type(kind)) for column, kind in zip(table.column_names, table.schema.types, strict=True)
        ]
        if not all(kind for _, kind in columns):
            return table
        try:
            rows = table.to_pylist()
            key = "idnumber" if len({row["idnumber"] for row in rows} - {None}) == len(rows) else ""
        except (ValueError, OverflowError, TypeError):
            return table
        made = ", ".join(f"{column} {kind}{' primary key' * (column == key)}" for column, kind in columns)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"drop table if exists {name}")
            try:
                connection.exec_driver_sql(f"create table {name} ({made})")
                marks = ", ".join(f":{column}" for column in table.column_names)
                if rows:
                    connection.execute(sqlalchemy.text(f"insert into {name} values ({marks})"), rows)
            except (sqlalchemy.exc.SQLAlchemyError, ValueError, OverflowError):
                return table
        return SQLImporter(syncer, table=name)

    with SQLSyncer(url) as syncer:
        yield source
    engine.dispose()


RAISED = ("ComparisonError", "inverse raised")

# The law ------------------------------------------------------------------------------------------------------------


def tree(name, source, cls, engine):
    return Tree(name, branches={"things": Branch(cls, importer=source, engine=engine)})


def outcome(sources, classes, engine):
    """Return all that a user sees: actions, or an error, and warnings."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        tables = "none"
        try:
            source = +tree("source", sources[0], classes[0], engine)
            dest = +tree("dest", sources[1], classes[1], engine)
            tables = sum(isinstance(one.things.contents.objects, TableObjects) for one in (source, dest))
            seen = [repr([(key, item) for key, item in one.things.items()]) for one in (source, dest)]
            found = [
                (action.verb, action.idnumber, action.attr, repr(action.value), repr(action.old_value))
                for action in source - dest
            ]
            result = (seen, found)
        except DatastoreSyncError as error:
            result = (type(error).__name__, first_line(error))
    return result, sorted(str(one.message) for one in heard), tables


def first_line(error):
    """Of several objects whose property raises, any may be named first."""
    text = str(error)
    return "inverse raised" if "].inverse raised" in text else text


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=examples(200),
)
@given(pair=pairs(), sources=st.tuples(st.sampled_from(SOURCES), st.sampled_from(SOURCES)))
def test_the_embedded_engine_finds_what_the_in_memory_one_finds(tmp_path, pair, sources):
    agree(tmp_path, pair, sources)


def agree(tmp_path, pair, sources):
    """See that both engines find the same."""
    classes, both = pair
    sources = [source(table, tmp_path, name) for source, table, name in zip(sources, both, "ab", strict=True)]
    expected, heard, _ = outcome(sources, classes, "memory")
    found, warned, tables = outcome(sources, classes, DUCKDB)
    if expected == RAISED and found != RAISED:
        # What is the same on both sides is not computed, so that it cannot raise.
        assert (classes, tables) == ([Fussy, Fussy], 2)
        forgiven, heard, _ = outcome(sources, [Forgiving, Forgiving], "memory")
        assert all("raised" not in action for action in found[1])
        expected, found = forgiven[1], found[1]
    event(f"{tables} of the two are tables")
    assert (found, warned) == (expected, heard)


QUICK = [pytest.param(("sqlite", "postgresql"), 40, id="quick")]
SLOW = [pytest.param(("sqlite", "postgresql", "mariadb"), 300, id="slow", marks=pytest.mark.slow)]


@pytest.mark.parametrize(("names", "count"), QUICK + SLOW)
def test_databases_are_found_to_differ_as_in_memory(tmp_path, request, names, count):
    urls = {"sqlite": f"sqlite:///{tmp_path}/law.db"}
    for name in names[1:]:
        urls[name] = request.getfixturevalue({"postgresql": "database", "mariadb": "mariadb"}[name])
    urls["postgresql"] += "&options=-c%20timezone%3DEurope/Berlin"

    with ExitStack() as stack:
        databases = [stack.enter_context(in_database(url)) for url in urls.values()]

        @settings(deadline=None, max_examples=examples(count), suppress_health_check=list(HealthCheck))
        @given(pair=pairs(), sources=st.tuples(st.sampled_from(databases), st.sampled_from([*databases, *SOURCES])))
        def holds(pair, sources):
            agree(tmp_path, pair, sources if len(pair[1][0]) % 2 else sources[::-1])

        holds()
