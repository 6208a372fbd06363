from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples
from sqlalchemy.dialects import mysql, postgresql

from datastoresync.diffing.equality import equal
from datastoresync.engines.checksum.sql import column_text, digest_of, lanes_of, part_of
from datastoresync.engines.relation import CannotPushDown

law = settings(deadline=None, max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])

KINDS = {
    "postgresql": {
        "n": sa.BigInteger(),
        "amount": sa.Numeric(30, 10),
        "active": sa.Boolean(),
        "day": sa.Date(),
        "moment": postgresql.TIMESTAMP(precision=6),
        "name": sa.Text(),
        "data": sa.LargeBinary(),
    },
    "mariadb": {
        "n": sa.BigInteger(),
        "amount": sa.Numeric(30, 10),
        "active": mysql.TINYINT(1),
        "day": sa.Date(),
        "moment": mysql.DATETIME(fsp=6),
        "name": mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_general_ci"),
        "data": mysql.LONGBLOB(),
    },
}
ONLY_IN_POSTGRESQL = {"any": sa.Numeric(), "at": sa.DateTime(timezone=True), "id": sa.Uuid(), "filled": sa.CHAR(3)}

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(
    ["", "a,b", "1:a,", "é", "e\u0301", "😀", "'", "\\", "\n", "a ", "A", "ß", "ﬁ", "\ufeff", "%s", ":x"]
)
amounts = st.decimals(-(10**20) + 1, 10**20 - 1, places=10) | st.sampled_from(
    [Decimal(value) for value in ("0", "-0.0", "1", "1.0", "1.50", "-100", "0.0000000001", "1E+3")]
)
COMMON = {
    "n": st.integers(-(2**63), 2**63 - 1),
    "amount": amounts,
    "active": st.booleans(),
    "day": st.dates(),
    "moment": st.datetimes(),
    "name": text,
    "data": st.binary(),
}
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
OTHERS = {
    "any": st.decimals(-(10**40), 10**40) | amounts | st.just(Decimal("NaN")),
    "at": st.datetimes(datetime(2, 1, 1), datetime(9999, 12, 29), timezones=zones),  # noqa: DTZ001 - zones are added
    "id": st.uuids(),
    "filled": st.text("abc ,", max_size=3).map(lambda value: value.ljust(3)),
}


def rows_of(values):
    rows = st.fixed_dictionaries({name: st.none() | value for name, value in values.items()})
    return rows.map(lambda row: {name: row[name] for name in values})


def as_text(value):
    if value is None:
        return None
    if isinstance(value, str):
        return f"{len(value)}:{value}"
    if isinstance(value, bytes):
        return f"{len(value) * 2}:{value.hex()}"
    if isinstance(value, datetime):
        found = (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat(" ", "microseconds")
        return found.rstrip("0").rstrip(".")
    if isinstance(value, (int, Decimal)) and math.isfinite(value):
        found = f"{Decimal(value):f}"
        found = found.rstrip("0").rstrip(".") if "." in found else found
        return "0" if found == "-0" else found
    return str(value)


def reference(row):
    """The row as text, of which both servers must give the digest."""
    nothing = {"name": ":", "data": ":", "filled": ":"}
    return "".join(f"{nothing.get(name, '') if value is None else as_text(value)}," for name, value in row.items())


def digest(row):
    return sha256(reference(row).encode()).hexdigest()[:32]


class Store:
    """A table of some kinds of columns, and the digests of its rows."""

    def __init__(self, url, dialect, kinds):
        self.engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        self.connection = self.engine.connect()
        self.dialect = dialect
        self.kinds = kinds
        columns = [sa.Column(name, kind) for name, kind in kinds.items()]
        self.table = sa.Table("kinds", sa.MetaData(), sa.Column("place", sa.Integer), *columns)
        self.table.create(self.connection)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()

    def column_text(self, name, side="left"):
        return column_text(self.table.columns[name], self.kinds[name], self.dialect, side)

    def put(self, rows):
        self.connection.execute(self.table.delete())
        self.connection.execute(self.table.insert(), [{"place": place, **row} for place, row in enumerate(rows)])

    def ask(self, *columns):
        return self.connection.execute(sa.select(*columns).order_by(self.table.c.place)).all()

    def digests(self, names=None, side="left"):
        fields = [self.column_text(name, side) for name in names or self.kinds]
        return [found for (found,) in self.ask(digest_of(fields, self.dialect, side))]


@pytest.fixture
def in_postgresql(database):
    with Store(database, "postgresql", KINDS["postgresql"] | ONLY_IN_POSTGRESQL) as store:
        yield store


@pytest.fixture
def in_mariadb(mariadb):
    with Store(mariadb, "mariadb", KINDS["mariadb"]) as store:
        yield store


@law
@given(st.lists(rows_of(COMMON | OTHERS), min_size=1, max_size=6))
def test_postgresql_digests_a_row_as_the_reference_does(in_postgresql, rows):
    in_postgresql.put(rows)
    assert in_postgresql.digests() == [digest(row) for row in rows]


@pytest.mark.mariadb
@law
@given(st.lists(rows_of(COMMON), min_size=1, max_size=6))
def test_mariadb_digests_a_row_as_the_reference_does(in_mariadb, rows):
    in_mariadb.put(rows)
    assert in_mariadb.digests() == [digest(row) for row in rows]


few = {
    "n": st.integers(-1, 11),
    "amount": st.sampled_from([Decimal(value) for value in ("1", "1.0", "11", "10", "-1", "NaN")]),
    "name": st.text("1:,a", max_size=3),
    "data": st.binary(max_size=1),
    "filled": st.text("1:,a", max_size=3),
}


@given(rows_of(few), rows_of(few), st.sets(st.sampled_from(sorted(few))))
def test_texts_of_rows_are_equal_where_the_rows_are_and_only_there(row, other, same):
    other |= {name: row[name] for name in same}
    assert (reference(row) == reference(other)) == all(equal(row[name], other[name]) for name in few)


@law
@given(st.lists(st.floats(), min_size=1, max_size=6))
@example(
    [0.1, 1e-5, 1.5e-7, 1e15, 1e16, 1e22, 1e23, 5e-324, -0.0, 2.0**-44, 2.0**53 + 2, math.nan, math.inf, -math.inf]
)
def test_postgresql_writes_doubles_so_that_they_can_be_read_back(database, numbers):
    check_doubles(database, "postgresql", numbers)


@pytest.mark.mariadb
@law
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
@example([0.1, 1e-5, 1.5e-7, 1e15, 1e16, 1e22, 1e23, 5e-324, -0.0, 2.0**-44, 2.0**53 + 2])
def test_mariadb_writes_doubles_so_that_they_can_be_read_back(mariadb, numbers):
    check_doubles(mariadb, "mariadb", numbers)


def check_doubles(url, dialect, numbers):
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        for number in numbers:
            kind = sa.Double() if dialect == "postgresql" else mysql.DOUBLE(asdecimal=False)
            value = sa.cast(sa.literal(repr(number), sa.Text), kind)
            found = connection.execute(sa.select(column_text(value, kind, dialect, "left").text)).scalar_one()
            assert equal(float(found), number)
            assert found[0] != "-" or number < 0


@pytest.mark.mariadb
def test_both_write_doubles_alike(database, mariadb):
    powers = [number * 10.0**power for power in range(-320, 300, 7) for number in (1.25, -3.0)]
    numbers = [*powers, *(10.0**power for power in range(-20, 20)), 0.1 + 0.2, 1 / 3, -0.0, 123456.789, 0.0]
    found = []
    for url, dialect in ((database, "postgresql"), (mariadb, "mariadb")):
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            kind = sa.Double() if dialect == "postgresql" else mysql.DOUBLE(asdecimal=False)
            texts = [
                column_text(sa.cast(sa.literal(repr(number), sa.Text), kind), kind, dialect, "left").text
                for number in numbers
            ]
            found.append([connection.execute(sa.select(one)).scalar_one() for one in texts])
    assert found[0] == found[1]


@pytest.mark.mariadb
@law
@given(st.lists(rows_of(COMMON), max_size=6), st.randoms())
def test_sums_are_those_of_the_digests_in_any_order(in_postgresql, in_mariadb, rows, random):
    halves = [(int(digest(row)[:16], 16), int(digest(row)[16:], 16)) for row in rows]
    expected = [sum(half) % 2**64 for half in zip(*halves, strict=True)] or [0, 0]
    for store in (in_postgresql, in_mariadb):
        random.shuffle(rows)
        store.put(rows) if rows else store.connection.execute(store.table.delete())
        fields = [store.column_text(name) for name in COMMON]
        lanes = lanes_of(digest_of(fields, store.dialect, "left"), store.dialect)
        (found,) = store.connection.execute(sa.select(*lanes)).all()
        assert [int(total or 0) % 2**64 for total in found] == expected


@pytest.mark.mariadb
@law
@given(st.lists(text, min_size=1, max_size=6), st.integers(2, 1024))
def test_both_put_a_key_into_one_part(in_postgresql, in_mariadb, names, parts):
    expected = [int(digest({"name": name})[:4], 16) % parts for name in names]
    for store in (in_postgresql, in_mariadb):
        store.put([{"name": name} for name in names])
        part = part_of(digest_of([store.column_text("name")], store.dialect, "left"), parts, store.dialect)
        assert [found for (found,) in store.ask(part)] == expected


@pytest.mark.mariadb
@law
@given(st.lists(text, min_size=2, max_size=6, unique=True))
def test_both_sort_text_by_code_points(in_postgresql, in_mariadb, names):
    for store in (in_postgresql, in_mariadb):
        store.put([{"name": name} for name in names])
        key, _ = store.column_text("name").key
        found = store.connection.scalars(sa.select(store.table.c.name).order_by(key)).all()
        assert found == sorted(names)


def test_a_row_of_many_columns_has_a_digest(in_postgresql):
    in_postgresql.put([{"name": "Ann"}])
    field = in_postgresql.column_text("name")
    (found,) = in_postgresql.ask(digest_of([field] * 120, "postgresql", "left"))[0]
    assert found == sha256(("3:Ann," * 120).encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "infinity"),
        ("date", "0044-03-15 BC"),
        ("date", "10000-01-01"),
        ("timestamp", "-infinity"),
        ("timestamp", "10000-01-01"),
        ("timestamptz", "infinity"),
        ("timestamptz", "9999-12-31 23:00Z"),
    ],
)
def test_what_the_driver_cannot_read_differs_from_everything(database, kind, value):
    column = sa.literal_column(f"{kind} '{value}'")
    kinds = {"date": sa.Date(), "timestamp": sa.DateTime(), "timestamptz": sa.DateTime(timezone=True)}
    texts = [column_text(column, kinds[kind], "postgresql", side).text for side in ("left", "right")]
    with sa.create_engine(database, poolclass=sa.NullPool).connect() as connection:
        assert tuple(connection.execute(sa.select(*texts)).one()) == ("left", "right")


@pytest.mark.mariadb
@pytest.mark.parametrize("value", ["0000-00-00", "2024-00-00", "2024-01-00"])
@pytest.mark.parametrize("kind", [sa.Date(), sa.DateTime()])
def test_zero_dates_differ_from_everything(mariadb, value, kind):
    with sa.create_engine(mariadb, poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql("SET sql_mode = ''")
        connection.exec_driver_sql("CREATE TABLE t (a date, b datetime(6), c date NOT NULL)")
        connection.exec_driver_sql(f"INSERT INTO t VALUES ('{value}', '{value}', '{value}')")
        for name in ("a", "c") if isinstance(kind, sa.Date) else ("b",):
            texts = [column_text(sa.column(name), kind, "mariadb", side).text for side in ("left", "right")]
            assert tuple(connection.execute(sa.select(*texts).select_from(sa.table("t"))).one()) == ("left", "right")


@pytest.mark.mariadb
def test_a_row_that_is_too_long_for_the_server_differs_from_everything(in_mariadb, execute):
    in_mariadb.put([{"name": "Ann"}])
    long = sa.func.repeat(in_mariadb.table.c.name, 5_000_000, type_=sa.Text)
    digests = [
        digest_of([column_text(long, sa.Text(), "mariadb", side)] * 2, "mariadb", side) for side in ("left", "right")
    ]
    (found,) = in_mariadb.ask(*digests)
    assert tuple(found) == ("0" * 32, "f" * 32)


@pytest.mark.mariadb
def test_text_of_any_character_set_is_digested_alike(mariadb, execute):
    execute(
        mariadb,
        "CREATE TABLE t (a varchar(9) CHARACTER SET latin1, b char(9) CHARACTER SET utf16, c enum('é', 'x'))",
        "INSERT INTO t VALUES ('é', 'é', 'é')",
    )
    kinds = {"a": sa.VARCHAR(9), "b": sa.CHAR(9), "c": mysql.ENUM("é", "x")}
    fields = [column_text(sa.column(name), kind, "mariadb", "left") for name, kind in kinds.items()]
    with sa.create_engine(mariadb, poolclass=sa.NullPool).connect() as connection:
        found = connection.execute(sa.select(digest_of(fields, "mariadb", "left")).select_from(sa.table("t"))).scalar()
    assert found == sha256(b"1:\xc3\xa9,1:\xc3\xa9,1:\xc3\xa9,").hexdigest()[:32]


def test_a_domain_an_enum_and_json_are_digested(database):
    kinds = {
        "grade": postgresql.DOMAIN("grade", sa.Integer()),
        "mood": postgresql.ENUM("glad", "sad", name="mood"),
        "facts": postgresql.JSONB(),
    }
    fields = [column_text(sa.column(name), kind, "postgresql", "left") for name, kind in kinds.items()]
    assert [field.family for field in fields] == ["number", "text", "json of postgresql"]
    with sa.create_engine(database, poolclass=sa.NullPool).connect() as connection:
        for statement in (
            "CREATE DOMAIN grade AS int",
            "CREATE TYPE mood AS ENUM ('glad', 'sad')",
            "CREATE TABLE t (grade grade, mood mood, facts jsonb)",
            """INSERT INTO t VALUES (7, 'sad', '{"b":  1, "a": [2]}')""",
        ):
            connection.exec_driver_sql(statement)
        found = connection.execute(
            sa.select(digest_of(fields, "postgresql", "left")).select_from(sa.table("t"))
        ).scalar()
    assert found == sha256(b'7,3:sad,18:{"a": [2], "b": 1},').hexdigest()[:32]


@pytest.mark.parametrize(
    ("dialect", "kind"),
    [
        ("postgresql", sa.REAL()),
        ("postgresql", sa.Time()),
        ("postgresql", postgresql.INTERVAL()),
        ("postgresql", sa.JSON()),
        ("postgresql", sa.ARRAY(sa.Integer())),
        ("mariadb", mysql.FLOAT()),
        ("mariadb", mysql.DOUBLE(10, 2)),
        ("mariadb", mysql.INTEGER(zerofill=True)),
        ("mariadb", mysql.SET("a", "b")),
        ("mariadb", mysql.TIME()),
        ("mariadb", mysql.YEAR()),
        ("mariadb", mysql.BIT(3)),
        ("mariadb", sa.Uuid()),
    ],
)
def test_a_type_without_a_text_is_named(dialect, kind):
    with pytest.raises(CannotPushDown) as caught:
        column_text(sa.column("a"), kind, dialect, "left")
    assert str(caught.value) == f"the checksums have no text for {kind!r}"
