"""Whatever frames, Parquet files, CSV files and objects hold, both engines find the same."""

import warnings
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Address
from pathlib import PurePath
from typing import Any
from uuid import UUID

import pyarrow
import pytest
from drawn_columns import COLUMNS, KEYS, OTHER_KEY, TEXTS, maybe, sql_type
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


# Tables -------------------------------------------------------------------------------------------------------------


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


@contextmanager
def in_database(url):
    """Yield a source that puts a table into a database, if that has all of its types and takes all of its values."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")

    def source(table, folder, name):
        columns = [
            (column, sql_type(engine.dialect.name, kind))
            for column, kind in zip(table.column_names, table.schema.types, strict=True)
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
