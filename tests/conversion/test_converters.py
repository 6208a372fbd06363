"""Conversions by declared type: laws over generated values first, then every accepted and refused form."""

import collections
import collections.abc
import math
import typing
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Final, Literal, NewType, Protocol, TypedDict, TypeVar
from uuid import UUID

import pytest
import typing_extensions
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.conversion.converters import Converter, converter
from datastoresync.errors import DeclarationError


class Color(Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1  # noqa: PIE796 - an alias


class Grade(StrEnum):
    GOOD = "good"
    NONE = ""


class Level(IntEnum):
    LOW = 1


class Mixed(Enum):
    NUMBER = 7
    TEXT = "8"
    DAY = date(2024, 1, 2)
    PAIR = (1, 2)


class Point:
    def __init__(self, x):
        self.x = x


class Shape(Protocol):
    def area(self) -> float: ...


class Settings(TypedDict):
    theme: str
    size: "typing_extensions.NotRequired[int]"


class Sizes(typing_extensions.TypedDict):
    size: typing_extensions.NotRequired[int]


class Place(TypedDict, total=False):
    name: "typing_extensions.Required[str]"
    since: typing_extensions.ReadOnly[date | None]
    parts: "list[Place]"
    more: Any


class Text(str):
    __slots__ = ()


UserId = NewType("UserId", int)
T = TypeVar("T")
NOTHING = Literal[None]  # noqa: PYI061 - written so now and then
A_OR_NOTHING = Literal["a", None]  # noqa: PYI061
EMPTY_OR_NOTHING = Literal["", None]  # noqa: PYI061

HEX = "12345678123456781234567812345678"
HYPHENS = "12345678-1234-5678-1234-567812345678"

ANNOTATIONS = [
    str,
    int,
    float,
    bool,
    Decimal,
    date,
    datetime,
    time,
    timedelta,
    UUID,
    IPv4Address,
    IPv4Address | IPv6Network | None,
    PurePosixPath,
    bytes,
    Color,
    Grade,
    Level,
    Mixed,
    Literal["a", 1, True],
    A_OR_NOTHING,
    Any,
    None,
    Point,
    dict,
    tuple,
    tuple[int, ...],
    tuple[int, str],
    set,
    set[str],
    set[int],
    list[int | None],
    frozenset[date],
    list[Color],
    list[set[int]],
    list[str] | None,
    str | None,
    int | None,
    date | None,
    Color | None,
    int | str,
    int | date | None,
    date | datetime,
    int | float,
    set[int] | int,
    list[str] | set[str],
]

texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            *("", "0", "1", "-7", "+007", "7.5", "1e5", "1e400", "nan", "-INF", "yes", "Off", "٣", "1_0", " 1", "a"),
            *("RED", "good", "8", "2024-01-02", "2024-02-30", "2024-01-02T10:00Z", "2024-01-02 10:00:00.5", "10:00"),
            *(HEX, HYPHENS, "10.0.0.1", "::/64", "P1DT2S", "1:00:00"),
        ]
    ),
)
scalars = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.datetimes().map(lambda moment: moment.replace(hour=0, minute=0, second=0, microsecond=0)),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.ip_addresses(),
    st.binary(max_size=3),
    st.sampled_from([*Color, *Grade, *Level, *Mixed, Text("7"), Point(1), {"a": 1}, Fraction(1, 2)]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.lists(scalars, max_size=3).map(tuple), st.sets(st.text()))
columns = st.one_of(
    *(st.lists(kind, max_size=5) for kind in (values, scalars, texts, texts | st.none(), st.integers(-3, 3))),
    *(st.lists(kind, min_size=1, max_size=5) for kind in (st.decimals(), st.floats(), st.dates(), st.datetimes())),
    st.lists(st.lists(texts, max_size=3), max_size=4),
    st.lists(texts, min_size=1, max_size=3).map(lambda few: few * 3),
)
annotations = st.sampled_from(ANNOTATIONS)


def alike(left, right):
    """Whether two values are the same in type too, all the way down; NaN is like NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, (set, frozenset)):
        return sorted(map(repr, left)) == sorted(map(repr, right))
    return left is right or left == right or (left != left and right != right)


def outcome(function, value):
    """What a conversion gives, or None and the reason, which must be there."""
    try:
        return function(value), None
    except (ValueError, TypeError) as error:
        return None, str(error)


# Laws ----------------------------------------------------------------------------------------------------------------


@given(annotations, values)
@settings(deadline=None, max_examples=examples(500))
def test_a_value_is_converted_or_refused_with_a_reason(annotation, value):
    _, reason = outcome(converter(annotation).one, value)
    assert reason is None or len(reason) > 10


@given(annotations, values)
@settings(deadline=None, max_examples=examples(500))
def test_a_converted_value_is_not_changed_by_converting_it_again(annotation, value):
    one = converter(annotation).one
    once, reason = outcome(one, value)
    if reason is None:
        assert alike(one(once), once)


@given(annotations, columns)
@settings(deadline=None, max_examples=examples(1000))
def test_a_column_gives_what_each_of_its_values_gives(annotation, column):
    chosen = converter(annotation)
    each, reason = None, None
    try:
        each = [chosen.one(value) for value in column]
    except (ValueError, TypeError) as error:
        reason = str(error)
    whole, refusal = outcome(chosen.column, column)
    assert (reason is None) == (refusal is None)
    if reason is None:
        assert alike(list(whole), each)


@given(annotations, columns)
@settings(deadline=None, max_examples=examples(300))
def test_no_two_objects_share_a_container(annotation, column):
    chosen = converter(annotation)
    whole, refusal = outcome(chosen.column, column)
    if refusal is None and not chosen.identity:
        containers = [value for value in whole if isinstance(value, (set, list, dict))]
        given_in = [value for value in column if isinstance(value, (set, list, dict))]
        identities = {id(value) for value in containers + given_in}
        assert len(identities) == len(containers) + len({id(value) for value in given_in})


@given(
    st.one_of(
        st.tuples(st.just(int), st.integers()),
        st.tuples(st.just(float), st.floats(allow_nan=False)),
        st.tuples(st.just(Decimal), st.decimals(allow_nan=False, allow_infinity=False)),
        st.tuples(st.just(date), st.dates()),
        st.tuples(st.just(datetime), st.datetimes()),
        st.tuples(
            st.just(datetime),
            st.datetimes(timezones=st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)),
        ),
        st.tuples(st.just(time), st.times()),
        st.tuples(st.just(UUID), st.uuids()),
        st.tuples(st.just(bool), st.booleans()),
    )
)
@settings(deadline=None, max_examples=examples(300))
def test_a_value_written_as_text_is_read_back(case):
    annotation, value = case
    if annotation in (float, bool):
        text = str(value)
    else:
        text = value.isoformat() if annotation is time else converter(str).one(value)
    assert type(text) is str
    assert alike(converter(annotation).one(text), value)
    assert alike(list(converter(annotation).column([text, text])), [value, value])


@given(st.lists(st.text()))
@settings(deadline=None)
def test_text_stays_as_it_is(column):
    assert converter(str).column(column) is column
    assert converter(Any).column(column) is column


# What is accepted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "", ""),
        (str, " NA 00123 ", " NA 00123 "),
        (str, 7, "7"),
        (str, Level.LOW, "1"),
        (str, Grade.GOOD, "good"),
        (str, Text("x"), "x"),
        (str, Decimal("1.50"), "1.50"),
        (str, date(2024, 1, 2), "2024-01-02"),
        (str, datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02T03:00:00+00:00"),
        (str, UUID(HEX), HYPHENS),
        (int, "007", 7),
        (int, "+7", 7),
        (int, "-0", 0),
        (int, 7.0, 7),
        (int, -float(2**53), -(2**53)),
        (int, Decimal("7.00"), 7),
        (int, Decimal("1E+3"), 1000),
        (int, Level.LOW, 1),
        (int, "9007199254740993", 2**53 + 1),
        (float, "7", 7.0),
        (float, "-1.5E-3", -0.0015),
        (float, ".5", 0.5),
        (float, "5.", 5.0),
        (float, "NaN", math.nan),
        (float, "-Inf", -math.inf),
        (float, 2**53, 9007199254740992.0),
        (float, 2**60, 1152921504606846976.0),
        (float, Decimal("0.1"), 0.1),
        (float, Decimal("NaN"), math.nan),
        (float, Decimal("-Infinity"), -math.inf),
        (bool, "TRUE", True),
        (bool, "f", False),
        (bool, "Yes", True),
        (bool, "n", False),
        (bool, "on", True),
        (bool, "OFF", False),
        (bool, "1", True),
        (bool, 0, False),
        (Decimal, "1.50", Decimal("1.50")),
        (Decimal, "1e5", Decimal("1E+5")),
        (Decimal, 7, Decimal(7)),
        (Decimal, Decimal("1.50"), Decimal("1.50")),
        (date, "2024-02-29", date(2024, 2, 29)),
        (date, datetime(2024, 1, 2), date(2024, 1, 2)),  # noqa: DTZ001
        (datetime, "2024-01-02T10:00", datetime(2024, 1, 2, 10)),  # noqa: DTZ001
        (datetime, "2024-01-02 10:00:01.5", datetime(2024, 1, 2, 10, 0, 1, 500000)),  # noqa: DTZ001
        (datetime, "2024-01-02T10:00:00Z", datetime(2024, 1, 2, 10, tzinfo=UTC)),
        (datetime, "2024-01-02 10:00:00+00", datetime(2024, 1, 2, 10, tzinfo=UTC)),
        (datetime, "2024-01-02T10:00-0530", datetime(2024, 1, 2, 10, tzinfo=timezone(-timedelta(hours=5, minutes=30)))),
        (time, "10:00", time(10)),
        (time, "10:00:00,25+01:00", time(10, 0, 0, 250000, timezone(timedelta(hours=1)))),
        (timedelta, timedelta(1), timedelta(1)),
        (timedelta, "P1DT2H3M4.5S", timedelta(1, 7384, 500000)),
        (timedelta, "-PT1,25S", -timedelta(seconds=1.25)),
        (timedelta, "+P2W", timedelta(14)),
        (timedelta, "-1 day, 23:59:59.75", -timedelta(seconds=0.25)),
        (timedelta, "2 days 100:00:01", timedelta(2, 360001)),
        (timedelta, "-00:00:01", -timedelta(seconds=1)),
        (IPv4Address, "10.0.0.1", IPv4Address("10.0.0.1")),
        (IPv6Address, "0:0::1", IPv6Address("::1")),
        (IPv4Interface, "10.0.0.1/8", IPv4Interface("10.0.0.1/8")),
        (IPv4Address | IPv6Network | None, "::/64", IPv6Network("::/64")),
        (str, IPv4Address("10.0.0.1"), "10.0.0.1"),
        (PurePosixPath, "a//b/", PurePosixPath("a/b")),
        (PureWindowsPath | None, "", None),
        (Path, "a", Path("a")),
        (str, Path("a"), "a"),
        (Sizes, {"size": "1"}, {"size": 1}),
        (Sizes, {}, {}),
        (
            Place,
            {"name": 7, "since": "", "parts": [{"name": "a", "since": "2024-02-01"}], "more": {"x": "1"}},
            {"name": "7", "since": None, "parts": [{"name": "a", "since": date(2024, 2, 1)}], "more": {"x": "1"}},
        ),
        (Sizes | None, None, None),
        (UUID, HEX.upper(), UUID(HEX)),
        (UUID, HYPHENS, UUID(HEX)),
        (bytes, bytearray(b"a"), b"a"),
        (bytes, memoryview(b"a"), b"a"),
        (Color, 2, Color.GREEN),
        (Color, "2", Color.GREEN),
        (Color, 2.0, Color.GREEN),
        (Color, "CRIMSON", Color.RED),
        (Grade, "good", Grade.GOOD),
        (Grade, "GOOD", Grade.GOOD),
        (Mixed, "8", Mixed.TEXT),
        (Mixed, "7", Mixed.NUMBER),
        (Mixed, "2024-01-02", Mixed.DAY),
        (Mixed, (1, 2), Mixed.PAIR),
        (Literal["1", 2], "1", "1"),
        (Literal["1", 2], "2", 2),
        (Literal[1, True], True, True),
        (A_OR_NOTHING, None, None),
        (A_OR_NOTHING, "", None),
        (EMPTY_OR_NOTHING, "", ""),
        (NOTHING, None, None),
        (Literal[Color.RED], Color.RED, Color.RED),
        (int | None, "", None),
        (int | None, None, None),
        (int | None, Text(), None),
        (str | None, "", ""),
        (str | None, None, None),
        (int | str | None, "", ""),
        (Grade | None, "", Grade.NONE),
        (set[str] | None, None, None),
        (set[str] | None, "", None),
        (set[str] | None, "111", {"111"}),
        (Any | None, "", ""),
        (int | str, "7", "7"),
        (int | str, Decimal(7), 7),
        (str | int, Decimal(7), 7),
        (str | int, Decimal("7.5"), "7.5"),
        (int | float, 7.0, 7.0),
        (int | float, "7", 7),
        (float | int, "7", 7.0),
        (date | datetime, "2024-01-02T10:00", datetime(2024, 1, 2, 10)),  # noqa: DTZ001
        (date | datetime, datetime(2024, 1, 2), datetime(2024, 1, 2)),  # noqa: DTZ001
        (list[int] | list[str], ["a"], ["a"]),
        (float | Literal[1], 1, 1),
        (set[str], "111", {"111"}),
        (set[str], "", set()),
        (set[str], None, set()),
        (set[int], ("1", 2, 2.0), {1, 2}),
        (typing.Set[int], ["1"], {1}),  # noqa: UP006
        (collections.abc.Set[int], ["1"], {1}),
        (frozenset[int], {"1"}, frozenset({1})),
        (list[int], frozenset({"1"}), [1]),
        (typing.List, ["b", 1], ["b", 1]),  # noqa: UP006
        (Sequence[int], "7", [7]),
        (list[bytes], b"ab", [b"ab"]),
        (list[int | None], ["1", "", None], [1, None, None]),
        (set, "a", {"a"}),
        (list, 7, [7]),
        (tuple, [1, "a"], (1, "a")),
        (typing.Tuple, [1], (1,)),  # noqa: UP006
        (tuple[int, ...], ["1", "2"], (1, 2)),
        (tuple[int, str], ("1", "2"), (1, "2")),
        (tuple[()], [], ()),
        (dict[str, int], collections.OrderedDict(a="1"), {"a": "1"}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (MutableMapping, {"a": 1}, {"a": 1}),
        (Settings, {"theme": "dark"}, {"theme": "dark"}),
        (Annotated[int, "a note"], "7", 7),
        (Final[int], "7", 7),
        (Final, "7", "7"),
        (UserId, "7", 7),
        (T, "7", "7"),
        (object, "7", "7"),
        (None, None, None),
        (Callable[[int], int], abs, abs),
    ],
)
def test_accepted(annotation, value, expected):
    chosen = converter(annotation)
    assert alike(chosen.one(value), expected)
    assert alike(list(chosen.column([value, value, value])), [expected] * 3)


def test_an_alias_stands_for_its_type():
    typing_extensions = pytest.importorskip("typing_extensions")
    alias = typing_extensions.TypeAliasType("alias", list[date])
    assert converter(alias).one("2024-01-02") == [date(2024, 1, 2)]
    several = typing_extensions.TypeAliasType("several", list[T], type_params=(T,))
    assert converter(several[int]).one(["7"]) == [7]


def test_instances_of_any_other_class_pass():
    point = Point(1)
    assert converter(Point).one(point) is point
    assert converter(Point | None).column([point, None]) == [point, None]
    column = [point]
    assert converter(Point).column(column) is column


def test_a_subclass_of_a_declared_class_passes():
    class Circle(Point):
        pass

    circle = Circle(1)
    assert converter(Point).column([circle, Point(2)])[0] is circle


def test_a_float_of_another_library_becomes_a_plain_one():
    numpy = pytest.importorskip("numpy")
    assert type(converter(float).one(numpy.float64(1.5))) is float
    assert type(converter(int).one(numpy.int64(7))) is int
    assert type(converter(str).one(numpy.int64(7))) is str


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (str, None, "None is not text: NoneType has no canonical text"),
        (str, True, "True is not text"),
        (str, 1.5, "1.5 is not text: float"),
        (str, b"a", "not text"),
        (str, Decimal("NaN"), "not text"),
        (str, time(1), "not text: time"),
        (int, "", "'' is not an int"),
        (int, "7.5", r"'7\.5' is not an int: only ASCII digits with an optional sign"),
        (int, " 7", "not an int"),
        (int, "1_000", "not an int"),
        (int, "٣", "not an int"),
        (int, "+-7", "not an int"),
        (int, "7-", "not an int: only ASCII digits"),
        (int, True, "True is not an int: bool is not accepted"),
        (int, None, "None is not an int: NoneType"),
        (int, 7.5, "only a whole float"),
        (int, math.nan, "only a whole float"),
        (int, math.inf, "only a whole float"),
        (int, 2.0**53 + 2, "up to 2\\*\\*53"),
        (int, Decimal("7.5"), "only a whole Decimal"),
        (int, Decimal("sNaN"), "only a whole Decimal"),
        (int, Decimal("1E+999999999"), "only a whole Decimal"),
        (float, "", "'' is not a float"),
        (float, "1_0.0", "not a float: only decimal or exponent text"),
        (float, "infinity", "not a float"),
        (float, "1e", "not a float"),
        (float, "1e400", "not a float: it is too large"),
        (float, Decimal("-1e400"), "not a float: it is too large"),
        (float, Decimal("sNaN"), "not a float"),
        (float, False, "False is not a float: bool"),
        (float, 2**53 + 1, "no float is exactly this int"),
        (bool, "maybe", "'maybe' is not a bool: only true/false"),
        (bool, "", "not a bool"),
        (bool, 2, "2 is not a bool"),
        (bool, 1.0, "not a bool"),
        (Decimal, "NaN", "not a Decimal: only decimal or exponent text"),
        (Decimal, "1,5", "not a Decimal"),
        (Decimal, "1e99999999999999999999", "not a Decimal"),
        (Decimal, Decimal("Infinity"), "it is not finite"),
        (Decimal, 0.1, r"0\.1 is not a Decimal: a float is seldom .* declare float"),
        (Decimal, True, "bool is not accepted"),
        (date, "2024-02-30", "there is no such day"),
        (date, "20240102", "not a date: only YYYY-MM-DD"),
        (date, "2024-W01-1", "only YYYY-MM-DD"),
        (date, "02.01.2024", "only YYYY-MM-DD"),
        (date, datetime(2024, 1, 2, 3), "it has a time of day: declare datetime"),  # noqa: DTZ001
        (date, datetime(2024, 1, 2, tzinfo=UTC), "declare datetime"),
        (datetime, "2024-01-02", "it has no time of day: declare date, or give the time too"),
        (datetime, date(2024, 1, 2), "it has no time of day"),
        (datetime, "2024-01-02x10:00", "not a datetime: only YYYY-MM-DD"),
        (datetime, "2024-01-02T24:00", "not a datetime"),
        (datetime, "2024-01-02T10:00:00.1234567", "not a datetime"),
        (datetime, "2024-13-02T10:00", "there is no such day, time or offset"),
        (datetime, "2024-01-02T10:00+25:00", "there is no such day, time or offset"),
        (datetime, 0, "not a datetime"),
        (time, "10", "not a time: only HH:MM"),
        (time, "T10:00", "not a time"),
        (time, "10:00+25:00", "there is no such offset"),
        (timedelta, "1 day", "not a timedelta: only P1DT2H3M4.5S"),
        (timedelta, "P", "not a timedelta"),
        (timedelta, "P1DT", "not a timedelta"),
        (timedelta, "2:03", "not a timedelta"),
        (timedelta, "P999999999999D", "it is too long"),
        (timedelta, f"P{'9' * 5000}D", "it is too long"),
        (timedelta, 60, "not a timedelta"),
        (IPv4Address, "010.0.0.1", "not an IPv4Address: Leading zeros"),
        (IPv4Address, IPv4Interface("10.0.0.1/8"), "IPv4Interface is not accepted"),
        (IPv4Address, 1, "int is not accepted"),
        (IPv4Network, "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        (Path, "", "it is empty"),
        (Sizes, [1], "only a mapping"),
        (Sizes, {"size": "x"}, "is not Sizes: size: 'x' is not an int: only ASCII digits"),
        (Sizes, {"sise": 1}, "is not Sizes: it has 'sise': did you mean 'size'"),
        (Settings, {}, "is not Settings: it has no 'theme'"),
        (Place, {"name": "a", "parts": [{"since": None}]}, "parts: .* is not Place: it has no 'name'"),
        (UUID, "{" + HEX + "}", "not a UUID: only 32 hexadecimal digits"),
        (UUID, "12345678-12345678-12345678-12345678", "not a UUID"),
        (bytes, "a", "'a' is not bytes"),
        (Color, "3", "'3' is not Color: only 1, 2, 1"),
        (Color, "red", "not Color"),
        (Color, True, "True is not Color"),
        (Color, [1], "not Color"),
        (Literal["a", "b"], "c", r"'c' is not Literal\['a', 'b'\]: only 'a', 'b'"),
        (Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "11", "8, 9, …"),
        (NOTHING, "", "'' is not None: str is not accepted"),
        (int | None, " ", "' ' is not an int"),
        (int | date, "x", r"'x' is not int \| date: .* not an int: .* not a date: "),
        (set[int], {"a": 1}, r"not set\[int\]: dict is neither a list or set nor a single member"),
        (set[int], (number for number in (1, 2)), "generator is neither"),
        (set[int], ["1", "a"], "'a' is not an int"),
        (set[int], ["1", None], "None is not an int"),
        (set, [[1]], "unhashable"),
        (tuple[int, ...], "1", r"not tuple\[int, \.\.\.\]: only a tuple or a list"),
        (tuple[int, str], [1], "it has 1 values instead of 2"),
        (tuple[()], [1], r"not tuple\[\(\)\]: it has 1 values instead of 0"),
        (dict, [("a", 1)], "not a dict: only a mapping"),
        (Point, "1", "'1' is not Point: str is not accepted"),
        (None, "", "'' is not None"),
        (str, [1] * 1000, r"\[1, 1, 1, 1, 1, 1, \.\.\.\] is not text"),
    ],
)
def test_refused(annotation, value, message):
    chosen = converter(annotation)
    with pytest.raises((ValueError, TypeError), match=message):
        chosen.one(value)
    with pytest.raises((ValueError, TypeError), match=message):
        chosen.column([value])


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (str, 10**5000, "a very long int is not text: it has too many digits"),
        (int, "7" * 5000, "not an int: it has too many digits"),
        (float, 10**5000, "a very long int is not a float: no float is exactly this int"),
        (date, 10**5000, "a very long int is not a date"),
    ],
    ids=["str", "int", "float", "date"],
)
def test_more_digits_than_python_prints_are_refused(annotation, value, message):
    chosen = converter(annotation)
    with pytest.raises(ValueError, match=message):
        chosen.one(value)
    with pytest.raises(ValueError, match=message):
        chosen.column([value, value])


def test_a_long_text_is_shown_short():
    with pytest.raises(ValueError, match=r"^'x+\.\.\.x+' is not an int: ") as caught:
        converter(int).one("x" * 10**6)
    assert len(str(caught.value)) < 150


def test_pandas_missing_time_is_refused():
    pandas = pytest.importorskip("pandas")
    for annotation, message in ((datetime, "it is not a time"), (date, "not a date"), (str, "not text")):
        with pytest.raises(ValueError, match=message):
            converter(annotation).one(pandas.NaT)


@pytest.mark.parametrize("annotation", ["int", [int], 7, Shape, typing.Self, list["int"]])
def test_what_is_no_type_is_a_wrong_declaration(annotation):
    with pytest.raises(DeclarationError, match="is no type that a value can be checked against: declare a class, or"):
        converter(annotation)


# What a converter says of itself -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "describe"),
    [
        (int, "int"),
        (Any, "Any"),
        (object, "Any"),
        (None, "None"),
        (date | None, "date | None"),
        (None | int | str, "int | str | None"),
        (set[str], "set[str]"),
        (list, "list"),
        (frozenset[int | None], "frozenset[int | None]"),
        (A_OR_NOTHING, "Literal['a'] | None"),
        (Color, "Color"),
        (tuple, "tuple"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[int, str], "tuple[int, str]"),
        (dict[str, int], "dict"),
        (Point, "Point"),
        (Annotated[UserId, 1], "int"),
    ],
)
def test_describe(annotation, describe):
    chosen = converter(annotation)
    assert chosen.describe == describe
    assert repr(chosen) == f"<Converter: {describe}>"
    assert chosen.annotation is annotation or chosen.annotation == annotation


@pytest.mark.parametrize(
    ("annotation", "membership"),
    [
        (set[str], True),
        (frozenset, True),
        (list[int] | None, True),
        (Annotated[set[str], 1] | None, True),
        (list[str] | set[str], True),
        (set[int] | int, False),
        (tuple[int, ...], False),
        (str, False),
    ],
)
def test_membership(annotation, membership):
    assert converter(annotation).membership is membership


def test_identity():
    assert [kind for kind in ANNOTATIONS if converter(kind).identity] == [Any]
    assert converter(Any | None).identity
    assert converter(T).identity


@pytest.mark.parametrize(
    ("annotation", "flexible"),
    [
        (int | str, True),
        (int | str | None, True),
        (set[int | str] | None, True),
        (Literal["a", 1], True),
        (int | float | Decimal, False),
        (int | None, False),
        (list[str] | set[str], False),
        (list[int | str] | set[str], True),
        (Any, False),
        (Mixed, False),
    ],
)
def test_flexible(annotation, flexible):
    assert converter(annotation).flexible is flexible


def test_many_equal_texts_are_converted_once():
    calls = []

    class Counted(Enum):
        A = 1

        @classmethod
        def _missing_(cls, value):  # never asked: only values and names count
            calls.append(value)

    column = converter(Counted).column(["1"] * 100)
    assert set(column) == {Counted.A}
    days = converter(datetime).column(["2024-01-02T00:00"] * 100)
    assert len({id(day) for day in days}) == 1
    assert not calls


def test_equal_values_of_different_kinds_are_kept_apart():
    column = converter(bool | int | float).column([True, 1, 1.0, 0.0, -0.0] * 3)
    assert list(map(repr, column)) == ["True", "1", "1.0", "0.0", "-0.0"] * 3
    winter, summer = datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert converter(str).column([winter, summer] * 2)[:2] == ["2024-01-01T12:00:00+00:00", "2024-01-01T13:00:00+01:00"]


def test_a_union_with_a_container_shares_nothing():
    left, right = converter(set[int] | int).column([["1"], ["1"]])
    assert left == right == {1}
    assert left is not right
    first, second = converter(date | list[str]).column(["x", "x"])
    assert first == second == ["x"]
    assert first is not second


def test_a_converter_is_frozen():
    assert isinstance(converter(int), Converter)
    with pytest.raises(AttributeError):
        converter(int).describe = "x"
