"""`SQLSyncer.normalized` says what `load` gives for what `dump` took, on each kind of database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.syncer import SQLSyncer

law = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])

EAST = timezone(timedelta(hours=5, minutes=30))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
values = (
    st.none()
    | TEXT
    | st.sampled_from(["", " a ", "a\\'b", '"', "%s", ":x", "\r\n", "😀", "NULL"])
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(-(10**30), 10**30)
    | st.booleans()
    | st.floats()
    | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**8), max_value=10**8)
    | st.decimals(places=40, min_value=-1, max_value=1)
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.sampled_from([UTC, EAST]), min_value=datetime(1000, 1, 1))  # noqa: DTZ001 - a bound
    | st.times()
    | st.times(timezones=st.just(EAST))
    | st.uuids()
    | st.binary(max_size=20)
    | st.lists(JSON, max_size=3)
    | st.dictionaries(TEXT, JSON, max_size=3)
    | st.sets(TEXT, max_size=3)
)


class Mood(Enum):
    GLAD = "glad"


def alike(one, other):
    return one == other or (one != one and other != other)  # NaN is like itself


@law
@example(value=datetime(2024, 1, 2, 3, tzinfo=EAST))
@example(value=[1e16, 3.97050817720395e16, 1e-7, 1.0, -0.0])
@example(value=0.1 + 0.2)
@example(value=2**70)
@example(value=10**66)
@example(value=Decimal(10) ** 36)
@example(value=Mood.GLAD)
@example(value=(1, UUID(int=1), {date(2024, 1, 2)}))
@example(value="\ud800")
@example(value=["\ud800"])
@example(value="a\0b")
@example(value=["a\0b"])
@example(value=["\\u0000", "\\"])
@example(value=[float("nan")])
@example(value=Decimal("NaN"))
@example(value=time(3, 4, tzinfo=EAST))
@given(value=values)
def test_a_value_is_loaded_as_it_says_or_refused_as_it_says(server_url, execute, value):
    execute(server_url, "drop table if exists t")
    with SQLSyncer(server_url) as syncer:
        try:
            expected = syncer.normalized(value)
        except SyncerError:
            with pytest.raises(SyncerError):
                syncer.dump("t", data=[{"x": value}])
            return
        syncer.dump("t", data=[{"x": value}])
        (record,) = syncer.load("t")
    assert alike(record["x"], expected)
    assert type(record["x"]) is type(expected)


def test_it_says_why_a_value_is_refused_and_does_not_show_it():
    with SQLSyncer("mariadb://db/school") as syncer:
        with pytest.raises(
            SyncerError, match=r"cannot be held by mariadb://db/school: .*35 digits before the point and 30 behind it"
        ):
            syncer.normalized(Decimal("0." + "1" * 31))
        with pytest.raises(SyncerError, match=r"no time of day with a time zone: make the column text"):
            syncer.normalized(time(1, tzinfo=UTC))
        with pytest.raises(SyncerError, match="would hold object"):
            syncer.normalized(object())
        assert syncer.normalized(datetime(2024, 1, 2, 5, 30, tzinfo=EAST)) == datetime(2024, 1, 2)  # noqa: DTZ001
    with SQLSyncer("postgresql://db/school") as syncer, pytest.raises(SyncerError, match="the character NUL"):
        syncer.normalized("a\0b")


def test_where_there_is_no_json_it_is_text():
    with SQLSyncer("snowflake://user:secret@account/school/public") as syncer:
        assert syncer.normalized([1, "a"]) == '[1, "a"]'
        with pytest.raises(SyncerError, match="JSON holds text, finite numbers"):
            syncer.normalized([float("inf")])
