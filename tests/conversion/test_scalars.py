from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.conversion.scalars import KINDS, SCALARS, scalar_of

PATTERNS = {cls: scalar for cls, scalar in SCALARS.items() if scalar.text_pattern is not None}
VALUES = {
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(),
    date: st.dates(),
    time: st.times(),
    UUID: st.uuids(),
    IPv4Address: st.ip_addresses(v=4),
    IPv6Address: st.ip_addresses(v=6),
    IPv4Interface: st.builds(
        lambda number, bits: IPv4Interface((number, bits)), st.integers(0, 2**32 - 1), st.integers(0, 32)
    ),
    IPv6Interface: st.builds(
        lambda number, bits: IPv6Interface((number, bits)), st.integers(0, 9), st.integers(0, 128)
    ),
    IPv4Network: st.builds(lambda bits: IPv4Network((0, bits)), st.integers(0, 32)),
    IPv6Network: st.builds(lambda bits: IPv6Network((0, bits)), st.integers(0, 128)),
    **{cls: st.text("aB/\\.: ").map(cls) for cls in (Path, PurePath, PurePosixPath, PureWindowsPath)},
}


@pytest.mark.parametrize("cls", PATTERNS, ids=lambda cls: cls.__name__)
@given(st.data())
def test_texts_that_are_surely_valid_are_converted(cls, data):
    text = data.draw(st.from_regex(PATTERNS[cls].pattern(), fullmatch=True))
    if issubclass(cls, date):
        text = str(data.draw(st.dates())) + text[10:]  # a pattern does not know the days of a month
    assert isinstance(PATTERNS[cls].convert(text), cls)


@given(st.timedeltas())
def test_durations_come_back_from_their_text_and_from_that_of_python(duration):
    timedelta = SCALARS[type(duration)]
    assert timedelta.convert(timedelta.to_text(duration)) == timedelta.convert(str(duration)) == duration


@pytest.mark.parametrize(
    "cls", [cls for cls, scalar in SCALARS.items() if scalar.json_tag], ids=lambda cls: cls.__name__
)
@given(st.data())
def test_values_come_back_from_their_canonical_text(cls, data):
    value = data.draw(VALUES[cls])
    assert SCALARS[cls].from_text(SCALARS[cls].to_text(value)) == value


def test_tags_and_kinds_are_of_one_type_each():
    tags = [scalar.json_tag for scalar in SCALARS.values() if scalar.json_tag]
    assert len(set(tags)) == len(tags)
    assert len(KINDS) == sum(len(scalar.kinds) for scalar in SCALARS.values())


def test_a_value_is_of_the_narrowest_type():
    class Derived(int):
        pass

    values = {True: bool, Derived(7): int, 7.5: float, date(2024, 1, 1): date, datetime.now(UTC): datetime, "": str}
    assert {value: scalar_of(value).cls for value in values} == values
    order = list(SCALARS)
    assert all(
        order.index(derived) < order.index(base)
        for derived in order
        for base in {*derived.__mro__} & {*order} - {derived}
    )
    assert scalar_of(object()) is None
