"""What makes Python values fit for columns, and the types that columns are given."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.catalog import nearest
from datastoresync.syncers.sql.dialects import DIALECTS
from datastoresync.syncers.sql.types import column_type
from datastoresync.syncers.sql.values import UnfitValueError

NOON = datetime(2024, 1, 2, 12)  # noqa: DTZ001 - without a time zone, as most databases hold them
MIDNIGHT = datetime(2024, 1, 2)  # noqa: DTZ001 - as above
ONE = UUID(int=1)
UNFIT = object()


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Level(IntEnum):
    LOW = 1


CASES = [
    # column type, value, in PostgreSQL, in SQLite
    (sa.Text(), "a", "a", "a"),
    (sa.Text(), Mood.GLAD, "glad", "glad"),
    (sa.Text(), ONE, str(ONE), str(ONE)),
    (sa.CHAR(32), ONE, ONE.hex, ONE.hex),
    (sa.Text(), date(2024, 1, 2), "2024-01-02", "2024-01-02"),
    (sa.Text(), time(1, 2), "01:02:00", "01:02:00"),
    (sa.Text(), 7, "7", "7"),
    (sa.Text(), Decimal("1.50"), "1.50", "1.50"),
    (sa.Text(), True, UNFIT, UNFIT),
    (sa.Boolean(), 1, True, True),
    (sa.Boolean(), 7, UNFIT, UNFIT),
    (sa.Boolean(), "yes", True, True),
    (sa.Integer(), Level.LOW, 1, 1),
    (sa.Integer(), True, 1, 1),
    (sa.Integer(), "7", 7, 7),
    (sa.Integer(), "seven", UNFIT, "seven"),
    (sa.Integer(), 7.0, 7, 7),
    (sa.Integer(), Decimal(7), 7, 7),
    (sa.Integer(), 7.5, UNFIT, 7.5),
    (sa.Integer(), float("inf"), UNFIT, float("inf")),
    (sa.Float(), 7, 7.0, 7.0),
    (sa.Float(), Decimal("7.5"), 7.5, 7.5),
    (sa.Float(), "much", UNFIT, "much"),
    (sa.Numeric(), 0.1, Decimal("0.1"), 0.1),
    (sa.Numeric(), "0.1", Decimal("0.1"), 0.1),
    (sa.Numeric(), "many", UNFIT, "many"),
    (sa.Numeric(), Decimal("1E+3"), Decimal(1000), 1000),
    (sa.Numeric(), True, 1, 1),
    (sa.Numeric(), ONE, UNFIT, str(ONE)),
    (sa.Numeric(), NOON, UNFIT, "2024-01-02T12:00:00"),
    (sa.DateTime(), NOON, NOON, "2024-01-02 12:00:00.000000"),
    (sa.DateTime(), "2024-01-02T12:00", NOON, "2024-01-02 12:00:00.000000"),
    (sa.DateTime(), "noon", UNFIT, "noon"),
    (sa.DateTime(), date(2024, 1, 2), MIDNIGHT, "2024-01-02 00:00:00.000000"),
    (sa.DateTime(), NOON.replace(tzinfo=UTC), UNFIT, "2024-01-02 12:00:00.000000+00:00"),
    (sa.Date(), date(2024, 1, 2), date(2024, 1, 2), "2024-01-02"),
    (sa.Date(), "2024-01-02", date(2024, 1, 2), "2024-01-02"),
    (sa.Date(), "soon", UNFIT, "soon"),
    (sa.Date(), MIDNIGHT, date(2024, 1, 2), "2024-01-02"),
    (sa.Time(), time(1, 2), time(1, 2), "01:02:00.000000"),
    (sa.Time(), "noon", UNFIT, "noon"),
    (sa.Uuid(), str(ONE), ONE, str(ONE)),
    (sa.Uuid(), "one", UNFIT, "one"),
    (sa.LargeBinary(), b"x", b"x", b"x"),
    (sa.JSON(), {Mood.SAD: (ONE, {2, 1})}, {"sad": [str(ONE), [1, 2]]}, f'{{"sad": ["{ONE}", [1, 2]]}}'),
    (sa.JSON(), [NOON, time(1)], ["2024-01-02T12:00:00", "01:00:00"], '["2024-01-02T12:00:00", "01:00:00"]'),
    (sa.ARRAY(sa.Integer), {"2", 1}, [1, 2], [1, 2]),
    (sa.ARRAY(sa.Text), "text", "text", "text"),
    (sa.Enum("glad", "SAD"), Mood.GLAD, "glad", "glad"),
    (sa.Enum("glad", "SAD"), Mood.SAD, "SAD", "SAD"),
    (sa.Enum("glad", "SAD"), "glad", "glad", "glad"),
    (sa.Enum("glad", "SAD"), 7, UNFIT, UNFIT),
    (sa.types.NullType(), ONE, ONE, str(ONE)),
    (sa.types.NullType(), Decimal("1.5"), Decimal("1.5"), "1.5"),
    (sa.types.NullType(), time(1), time(1), "01:00:00"),
    (sa.types.NullType(), 7, 7, 7),
]


@pytest.mark.parametrize(("kind", "value", "elsewhere", "in_sqlite"), CASES)
def test_values_are_made_to_fit(kind, value, elsewhere, in_sqlite):
    for dialect, expected in (("postgresql", elsewhere), ("sqlite", in_sqlite)):
        try:
            encoded = DIALECTS[dialect].encoder(kind)(value)
        except UnfitValueError:
            encoded = UNFIT
        assert (
            type(encoded),
            sorted(encoded, key=str) if isinstance(kind, sa.ARRAY) and value != "text" else encoded,
        ) == (
            type(expected),
            expected,
        )


@pytest.mark.parametrize("kind", sorted({type(kind) for kind, *_ in CASES}, key=str))
@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_none_stays_none(kind, dialect):
    made = kind(sa.Text) if kind is sa.ARRAY else kind()
    assert DIALECTS[dialect].encoder(made)(None) is None


@pytest.mark.parametrize(
    ("kind", "value", "dialect", "message"),
    [
        (sa.Integer(), 2**63, "sqlite", "an integer of SQLite has 64 bits"),
        (sa.Float(), float("nan"), "sqlite", "SQLite cannot hold NaN"),
        (sa.Numeric(), float("nan"), "sqlite", "finite numbers of some 15 digits"),
        (sa.types.NullType(), float("nan"), "sqlite", "SQLite cannot hold NaN"),
        (sa.Numeric(), Decimal("0.12345678901234567890"), "sqlite", "some 15 digits: make the column TEXT"),
        (sa.Numeric(), Decimal("NaN"), "sqlite", "finite numbers"),
        (sa.Numeric(), Decimal("Infinity"), "sqlite", "finite numbers"),
        (sa.Date(), NOON, "sqlite", "a date column cannot hold a time of day"),
        (sa.Date(), NOON, "postgresql", "a date column cannot hold a time of day"),
        (sa.Date(), MIDNIGHT.replace(tzinfo=UTC), "postgresql", "a date column cannot hold a time of day"),
        (sa.JSON(), float("nan"), "sqlite", "JSON holds text, finite numbers"),
        (sa.JSON(), object(), "sqlite", "JSON holds text, finite numbers"),
    ],
)
def test_what_would_lose_something_is_refused(kind, value, dialect, message):
    with pytest.raises(UnfitValueError, match=message):
        DIALECTS[dialect].encoder(kind)(value)


@given(st.integers(-(2**63), 2**63 - 1) | st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_that_sqlite_takes_is_the_same_number(value):
    number = Decimal(value)
    try:
        encoded = DIALECTS["sqlite"].encoder(sa.Numeric())(value)
    except UnfitValueError:
        assert len(number.as_tuple().digits) > 15 or abs(number.adjusted()) > 300
    else:
        assert Decimal(repr(encoded)) == number


def test_sets_whose_members_cannot_be_compared_are_still_sorted():
    assert DIALECTS["postgresql"].encoder(sa.JSON())({"a", 1, None}) == ["a", 1, None]


def test_types_are_stored_as_what_they_are():
    domain = postgresql.DOMAIN("amount", sa.Numeric())
    assert isinstance(DIALECTS["postgresql"].stored_type(domain), sa.Numeric)
    json = sa.JSON()
    assert DIALECTS["postgresql"].stored_type(json).none_as_null
    assert not json.none_as_null
    text = sa.Text()
    assert DIALECTS["sqlite"].stored_type(text) is text


def test_a_subclass_makes_a_column_like_the_type_above_it():
    class Name(str):
        __slots__ = ()

    assert isinstance(column_type("x", [Name("a"), "b", Mood.SAD], DIALECTS["sqlite"]), sa.Text)
    assert isinstance(column_type("x", [Level.LOW, None], DIALECTS["postgresql"]), sa.BigInteger)
    with pytest.raises(SyncerError, match="column 'x' would hold complex, which has no column type"):
        column_type("x", [1j], DIALECTS["sqlite"])


def test_a_name_without_a_near_one_is_answered_with_all_there_are():
    assert nearest("x", []) == "there are none at all"
