"""Whatever columns two stores hold, each declared as anything: the engines find the same, in values and in errors."""

import csv
import re
import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Address
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow
import pytest
import sqlalchemy
from drawn_columns import COLUMNS, KEYS, maybe, sql_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from datastoresync import Branch, CSVImporter, DatastoreSyncError, Object, ParquetImporter, Table, Tree
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.syncers.sql.syncer import SQLSyncer

DUCKDB = DuckDB(threads=1)
ROWS, TOGETHER = 6, 20
"""Rows of a table, and the columns that it has beside its key: an example each."""


# Stores -------------------------------------------------------------------------------------------------------------


def python_values(column):
    """Return the values; None for those that Python lacks."""
    return [_python_value(scalar) for scalar in column]


def _python_value(scalar):
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return None


def in_csv(table, folder, name):
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(table.column_names)
        for row in zip(*map(python_values, table.columns), strict=True):  # NUL would make the whole file a damaged one
            writer.writerow(value.replace("\0", "") if isinstance(value, str) else value for value in row)
    return lambda names: CSVImporter(folder / f"{name}.csv", columns=names)


def in_parquet(table, folder, name):
    parquet.write_table(table, folder / f"{name}.parquet", row_group_size=4)
    return lambda names: ParquetImporter(folder / f"{name}.parquet", columns=names)


def in_arrow(table, folder, name):
    return table.select


@contextmanager
def in_database(url):
    """Yield what puts a table into a database."""
    # A connection keeps statements that it has prepared for the columns of a table of before.
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)

    def put(table, folder, name):
        typed = [f"{column.name} {sql_type(engine.dialect.name, column.type)}" for column in table.schema]
        columns = [map(held, python_values(column)) for column in table.columns]
        rows = [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop table if exists {name}")
            connection.exec_driver_sql(f"create table {name} ({', '.join(typed)}, primary key (idnumber))")
            marks = ", ".join(f":{column}" for column in table.column_names)
            connection.execute(sqlalchemy.text(f"insert into {name} values ({marks})"), rows)
        return lambda names: syncer

    def held(value):
        """Return the value; another one for what the database refuses."""
        if isinstance(value, str) and engine.dialect.name == "postgresql":
            return value.replace("\0", "")
        if isinstance(value, float) and engine.dialect.name == "mariadb":
            return value if abs(value) < float("inf") else None
        return value

    with SQLSyncer(url) as syncer:
        yield Store(put, [kind for kind in COLUMNS if sql_type(engine.dialect.name, COLUMNS[kind].kind)])


class Store(NamedTuple):
    put: Any
    kinds: list[str]


FILES = {
    name: Store(put, list(COLUMNS)) for name, put in (("csv", in_csv), ("parquet", in_parquet), ("arrow", in_arrow))
}

# Examples -----------------------------------------------------------------------------------------------------------

FITTING = {
    Any: list(COLUMNS),
    str: ["text", "large", "choice", "nothing"],
    int: ["tiny", "whole", "natural"],
    float: ["float", "narrow", "tiny"],
    Decimal: ["price", "long", "deep", "deeper", "fraction", "coarse", "wide", "whole", "tiny"],
    bool: ["bool"],
    date: ["day"],
    datetime: [kind for kind, column in COLUMNS.items() if pyarrow.types.is_timestamp(column.kind)],
    time: ["clock"],
    timedelta: ["span"],
    UUID: ["uuid"],
    bytes: ["bytes", "fixed"],
    PurePath: ["path", "text"],
    IPv6Address | IPv4Network: ["address", "nothing"],
    int | str: ["whole", "text", "large", "tiny"],
}
"""What a column is declared as, with the kinds of which most values can become that."""


class Half(NamedTuple):
    """A column of one of the two tables."""

    kind: str
    declared: Any
    values: list[Any]


@st.composite
def halves(draw, kinds):
    """A column of the source, and one of the destination, which is mostly the same; most kinds fit what is declared."""
    declared = draw(st.sampled_from([Any, Any, *FITTING]))
    fitting = [[kind for kind in FITTING[declared] if kind in known] or known for known in kinds]
    kind, other = (draw(st.sampled_from(draw(mostly(fit, known)))) for fit, known in zip(fitting, kinds, strict=True))
    other = draw(mostly(kind if kind in kinds[1] else other, other))
    values, more = (draw(st.lists(maybe(COLUMNS[one].values), min_size=ROWS, max_size=ROWS)) for one in (kind, other))
    if other == kind:
        kept = draw(st.integers(0, ROWS))
        more = values[:kept] + more[kept:]
    return Half(kind, declared, values), Half(other, draw(mostly(declared, draw(st.sampled_from(list(FITTING))))), more)


def mostly(usual, other):
    return st.sampled_from([usual] * 19 + [other])


@st.composite
def drawn(draw, stores, source):
    """Two stores, the first of which is given, the columns of both, and their keys."""
    names = source, draw(st.sampled_from(sorted(stores)))
    kinds = [stores[name].kinds for name in names]
    key = draw(st.sampled_from(["text", "whole"]))
    keys = draw(st.lists(KEYS[key].values, min_size=ROWS + 1, max_size=ROWS + 1, unique=True))
    return names, (key, keys), draw(st.lists(halves(kinds), min_size=TOGETHER, max_size=TOGETHER))


def table_of(key, keys, columns):
    held = {"idnumber": pyarrow.array(keys, KEYS[key].kind)}
    return pyarrow.table(
        held | {f"c{place}": pyarrow.array(one.values, COLUMNS[one.kind].kind) for place, one in enumerate(columns)}
    )


# The law ------------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    said: Any
    warnings: list[str]
    errs: bool
    reasons: list[str]


class Side(NamedTuple):
    """One of the two: what reads columns by name, and how each is declared."""

    read: Any
    key: type
    declared: dict[str, Any]

    def tree(self, name, columns, engine):
        declared = {"idnumber": self.key} | {column: self.declared[column] | None for column in columns}
        cls = type("Thing", (Object,), {"__annotations__": declared})
        branch = Branch(cls, importer=self.read(["idnumber", *columns]), table=Table(name), engine=engine)
        return +Tree(name, branches={"things": branch})


def outcome(sides, columns, engine):
    """Return all that a user sees of some columns: objects and actions, or an error; and warnings."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        reasons = []
        try:
            source, dest = (side.tree(name, columns, engine) for side, name in zip(sides, "ab", strict=True))
            reasons = [one.things.contents.reason for one in (source, dest)]
            found = repr([(one.verb, one.idnumber, one.attr, one.value, one.old_value) for one in source - dest])
            said, errs = [found, *(repr(sorted(one.things.items(), key=str)) for one in (source, dest))], False
        except DatastoreSyncError as error:
            said, errs = f"{type(error).__name__}: {error}", True
    return Outcome(said, sorted(str(one.message) for one in heard), errs, reasons)


def agree(sides, columns):
    """See that the engines find the same in each column; return how many err, and why sides were not left as tables.

    A column that errs is seen alone, as it hides what others do; so do those that cannot be left where they are.
    """
    left, erring = columns, []
    while (found := outcome(sides, left, "memory")).errs:
        named = [column for column in left if column in re.findall(r"\bc\d+\b", found.said)]
        assert named, found.said
        left, erring = [column for column in left if column not in named], erring + named
    for column in erring:
        assert outcome(sides, [column], DUCKDB)[:-1] == outcome(sides, [column], "memory")[:-1]
    reasons = ["c0"]
    while left and any(re.match(r"c\d+\b", reason) for reason in reasons):
        found = outcome(sides, left, DUCKDB)
        assert found[:-1] == outcome(sides, left, "memory")[:-1]
        reasons = found.reasons
        left = [column for column in left if column not in " ".join(reasons).split()]
    return len(erring), reasons


ALL = ("csv", "parquet", "arrow", "sqlite", "postgresql", "mariadb")
QUICK = [pytest.param("postgresql", ("sqlite", "postgresql"), 60, id="60 from postgresql")]
SLOW = [pytest.param(name, ALL[3:], 840, id=f"840 from {name}", marks=pytest.mark.slow) for name in ALL]


@pytest.mark.parametrize(("source", "databases", "count"), QUICK + SLOW)
def test_the_engines_find_the_same_in_columns_of_every_kind(tmp_path, request, source, databases, count):
    urls = {"sqlite": f"sqlite:///{tmp_path}/law.db"}
    for name in databases[1:]:
        urls[name] = request.getfixturevalue({"postgresql": "database", "mariadb": "mariadb"}[name])
    urls["postgresql"] += "&options=-c%20timezone%3DEurope/Berlin"
    seen = Counter()

    with ExitStack() as stack:
        held = DUCKDB.opened()
        stores = FILES | {name: stack.enter_context(in_database(url)) for name, url in urls.items()}

        @settings(deadline=None, max_examples=count // TOGETHER, suppress_health_check=list(HealthCheck))
        @given(drawn(stores, source))
        def holds(pair):
            names, (key, keys), columns = pair
            sides = []
            for place, name in enumerate(names):
                here = [column[place] for column in columns]
                rows = keys[:-1] if place == 0 else [*keys[:-2], keys[-1]]
                read = stores[name].put(table_of(key, rows, here), tmp_path, "ab"[place])
                declared = {f"c{index}": half.declared for index, half in enumerate(here)}
                sides.append(Side(read, {"text": str, "whole": int}[key], declared))
            errors, reasons = agree(sides, list(sides[0].declared))
            read = sum(name in ("sqlite", "mariadb") for name in names)
            seen.update(examples=len(columns), errors=errors, read=read, left=reasons.count(""))

        holds()
        del held
    print(f"{seen['examples']} examples, {seen['errors']} of them with errors")  # noqa: T201 - pytest -rP shows it
    assert seen["examples"] >= count
    assert seen["examples"] / 20 < seen["errors"] < seen["examples"] / 2
    assert seen["left"] > 0.6 * (2 * count / TOGETHER - seen["read"]), f"the engines are seldom asked: {seen}"
