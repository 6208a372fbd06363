"""Tables of two schemas that differ in all sorts of values, and what Python says about them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from math import inf, nan
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st

from datastoresync import Branch
from datastoresync.diffing.equality import equal
from datastoresync.engines.postgresql.relation import open_stored
from datastoresync.engines.relation import Work
from datastoresync.syncers.changes import Table

NIGHT = datetime(2024, 2, 29)  # noqa: DTZ001 - without a time zone on purpose
TEXTS = [
    "",
    "a",
    "A",
    "ä",
    "a\u0308",
    "a ",
    " a",
    "'\"",
    "\\",
    "\\n",
    "\n",
    "😀",
    "\uffff",
    "%s",
    ":x",
    "e",
    "E",
    "\ue000",
]
VALUES = {
    "text": ("text", TEXTS),
    "short": ("varchar(5)", TEXTS),
    "padded": ("char(4)", TEXTS),
    "small": ("smallint", [0, 1, -1, 32767]),
    "whole": ("integer", [0, 1, 2**31 - 1]),
    "big": ("bigint", [0, 1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]),
    "number": ("numeric", [Decimal(text) for text in ("0", "-0", "1", "1.0", "1.00", "1e3", "1000", "0.1", "1e-20")]),
    "price": ("numeric(9,2)", [Decimal(text) for text in ("0", "1", "1.5", "1.50", "-1.5")]),
    "single": ("real", [0.0, -0.0, 0.1, 1.5, nan, inf, -inf]),
    "double": ("double precision", [0.0, -0.0, 0.1, 0.1 + 2**-56, 1.5, 5e-324, nan, inf, -inf]),
    "truth": ("boolean", [True, False]),
    "day": ("date", [date(1, 1, 2), date(2024, 2, 29), date(9999, 12, 30)]),
    "moment": ("timestamp", [NIGHT, NIGHT + timedelta(microseconds=1)]),
    "instant": (
        "timestamptz",
        [datetime(2024, 2, 29, 1, tzinfo=UTC), datetime(2024, 2, 29, 2, tzinfo=timezone(timedelta(hours=1)))],
    ),
    "clock": ("time", [time(1, 2, 3, 4), time(0)]),
    "name": ("uuid", [UUID(int=0), UUID(int=1)]),
    "blob": ("bytea", [b"", b"\0", b"\xff"]),
    "mood": ("mood", ["sad", "Glad"]),
}
"""The type and some values for a column of each kind that has a counterpart."""
COLUMNS = list(VALUES)
KEYS = ["a", "B", "ä", "b c", "é", "ß", "'\"", "\\", "\\n", "😀", "\uffff", "%s", ":x", "\ue000", "\x7f"]
"""Texts that a person can tell apart."""

rows = st.fixed_dictionaries(
    {name: st.one_of(st.none(), st.sampled_from(values)) for name, (_, values) in VALUES.items()}
)
sides = st.dictionaries(st.sampled_from(KEYS), rows, max_size=12)


@st.composite
def pairs(draw):
    """Two sides that have much in common."""
    left = draw(sides)
    right = {key: dict(row) for key, row in left.items()}
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=8)):
        if key in right and draw(st.booleans()):
            column = draw(st.sampled_from(COLUMNS))
            right[key][column] = draw(st.one_of(st.none(), st.sampled_from(VALUES[column][1])))
        elif key in right and draw(st.booleans()):
            del right[key]
        else:
            right[key] = draw(rows)
    return left, right


def made(url, *, key="text PRIMARY KEY"):
    """Make the tables, and return an engine that fills them."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in VALUES.items())
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TYPE mood AS ENUM ('sad', 'Glad')")
        for schema in ("here", "there"):
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
            connection.exec_driver_sql(f"CREATE TABLE {schema}.things (idnumber {key}, {columns})")
    return engine


def fill(engine, **sides):
    """Put rows into the tables of schemas."""
    names = ["idnumber", *COLUMNS]
    places = ", ".join(f"CAST(:{name} AS {VALUES[name][0] if name in VALUES else 'text'})" for name in names)
    with engine.begin() as connection:
        for schema, rows in sides.items():
            connection.exec_driver_sql(f"DELETE FROM {schema}.things")
            if rows:
                connection.execute(
                    sa.text(f"INSERT INTO {schema}.things ({', '.join(names)}) VALUES ({places})"),
                    [{"idnumber": key, **row} for key, row in rows.items()],
                )


def layout_of(cls):
    return Branch(cls).schema


def opened(syncer, cls, name="here.things", **options):
    return open_stored(syncer, table=Table(name), layout=layout_of(cls), **options)


def converted(relation, chunks, cls):
    """Return the converted values of rows, by key."""
    layout = layout_of(cls)
    found = {}
    for columns in chunks:
        for row in zip(*columns, strict=True):
            values = {name: layout.convert(name, value) for name, value in zip(relation.columns, row, strict=True)}
            key = tuple(values[name] for name in layout.identifiers)
            found[key[0] if len(key) == 1 else key] = values
    return found


def work(left_class, right_class, attributes):
    return Work(attributes, *(_converters(cls) for cls in (left_class, right_class)))


def _converters(cls):
    fields = layout_of(cls).fields or {}
    return {name: field.converter for name, field in fields.items()}


def without_equal(mine, theirs, attributes):
    """Return the keys of what has no equal on the other side, in order."""
    return sorted(
        key
        for key, row in mine.items()
        if key not in theirs or not all(equal(row[name], theirs[key][name]) for name in attributes)
    )
