from __future__ import annotations

import enum
import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sortedcontainers import SortedDict
from spark_session import started

from datastoresync import Object
from datastoresync.conversion.converters import converter
from datastoresync.diffing.equality import equal
from datastoresync.engines import spark
from datastoresync.engines.relation import CannotPushDown, Page, Work
from datastoresync.engines.select import engine_of
from datastoresync.engines.spark import dataframe as spark_dataframe
from datastoresync.engines.spark import relation as spark_relation
from datastoresync.engines.spark import types as spark_types
from datastoresync.engines.spark.dataframe import read_spark
from datastoresync.engines.spark.relation import SparkRelation
from datastoresync.errors import ColumnError, DataWarning, MissingDependencyError, SyncerError
from datastoresync.importing.importer import Importer
from datastoresync.importing.row_loader import RowLoader
from datastoresync.object import schema_of

pytestmark = [
    pytest.mark.spark,
    # PySpark warns of every pandas that is newer than itself.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

FEW = settings(
    max_examples=2,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # every step of shrinking would be a job of Spark's
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return started(tmp_path_factory.mktemp("spark"))


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class User(Object):
    idnumber: str
    name: str
    grade: int | None
    groups: set[str]


SCHEMA = "idnumber string, name string, grade string, groups string"


def relation(session, rows, schema=SCHEMA, cls=User, **options):
    return SparkRelation(session.createDataFrame(rows, schema), schema_of(cls), **options)


def converters(cls):
    fields = schema_of(cls).fields
    return {} if fields is None else {name: field.converter for name, field in fields.items()}


def rows_of(chunks):
    return [row for columns in chunks for row in zip(*columns, strict=True)]


def found(left, right, attributes, mine=User, theirs=User):
    compared = left.differing(right, Work(attributes, converters(mine), converters(theirs)))
    return rows_of(compared.left), rows_of(compared.right)


# What SQL says of values.

NAMES = {
    str: [str, str | None],
    int: [int, int | None],
    float: [float, float | None],
    bool: [bool, bool | None],
    Decimal: [Decimal, Decimal | None],
    date: [date, date | None],
    datetime: [datetime, datetime | None],
    UUID: [UUID, UUID | None],
}
DECLARED = [one for several in NAMES.values() for one in several]
SPECIAL = [
    *("", " ", "7", " 7", "7\n", "+7", "-7", "007", "-0", "0", "+", "-", "1_0", "1e5", "1E5", "1e400", "1e-400", "٣"),
    *("7.", ".5", "0.5", "-.5", "0.50", "00.5", "-0.0", "1.10", "100", "1.", ".", "9" * 19, "9" * 40, "9" * 5000),
    *("1e22", "1" + "0" * 22, "0.1", "0.10000000000000001", "1d", "1f", "0x1p3", "NaN", "nan", "Infinity", "inf"),
    *("-INF", "+inf", "true", "TRUE", "t", "Yes", "oN", "\u017f", "false", "2024-02-29", "2023-02-29", "0000-01-01"),
    *("0001-01-01", "9999-12-31", "10000-01-01", "2024-1-1", "2024-01-01\n", "2024-01-01T10:00:00", "2024-01-01 10:00"),
    *("2024-01-01 10:00:00.5", "2024-01-01 10:00:00,5", "2024-01-01T10:00:00.500000", "2024-01-01T10:00:00Z"),
    *("2024-01-01T24:00:00", "2024-01-01T10:00:60", "2024-01-01T10:00:00+02:00", "2024-02-30T10:00:00", "nul\0l"),
    *("a" * 32, "a" * 8 + "-" + "a" * 4 + "-" + "a" * 4 + "-" + "a" * 4 + "-" + "a" * 12, "A" * 32, "a" * 33),
    *("é", "e\u0301", "😀", "o'neil", 'a"b', "back\\slash", "new\nline", "tab\t", "$1", "@", "%", "{0}"),
]
texts = st.one_of(
    st.sampled_from(SPECIAL),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.from_regex(r"[+-]?[0-9]{0,3}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(
        r"[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\.[0-9]{0,7})?)?)?Z?", fullmatch=True
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.decimals(allow_nan=False).map(str),
    st.datetimes().map(str),
    st.uuids().map(str),
)
WEEK = timedelta(days=7)
FIRST, LAST = (datetime.combine(day, time()) for day in (date.min + WEEK, date.max - WEEK))
NATIVE = [
    (
        "bigint",
        [int, int | None, float, bool, Decimal, str, None],
        st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2),
    ),
    ("smallint", [int, float, None], st.integers(-(2**15), 2**15 - 1)),
    ("double", [float, None], st.floats() | st.sampled_from([0.0, -0.0, 1.0, math.nan, 2.0**53])),
    ("float", [float, None], st.floats(width=32)),
    (
        "decimal(12,4)",
        [Decimal, float, str, None],
        st.decimals(-9999, 9999, places=4) | st.sampled_from([Decimal(0), Decimal("1.5000")]),
    ),
    ("decimal(38,0)", [Decimal, float, str], st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal)),
    ("boolean", [bool, None], st.booleans()),
    ("date", [date, str, None], st.dates(date.min + WEEK, date.max - WEEK)),
    ("timestamp_ntz", [datetime, str, None], st.datetimes(FIRST, LAST)),
    ("binary", [bytes, None], st.binary(max_size=3)),
]


def many(strategy, size):
    return st.lists(strategy, min_size=size, max_size=size)


def taken(declared, value):
    """Return whether a declared type takes a value, and what it makes of it."""
    if declared is None:
        return True, value
    try:
        return True, converter(declared).one(value)
    except (ValueError, TypeError):
        return False, None


def check_forms(evaluated):
    """Assert that what is surely taken is taken, and that equal forms of one family stand for equal values."""
    values: dict[Any, Any] = {}
    for declared, raw, sure, family, form in evaluated:
        accepted, value = taken(declared, raw)
        assert accepted or not sure, (declared, raw)
        if accepted and family is not None:
            first = values.setdefault((family, form), value)
            assert equal(first, value), (declared, raw, first, value, form)


@settings(FEW)
@given(data=st.data())
def test_what_is_surely_taken_is_taken_and_one_form_is_one_value(session, data):
    columns = [("string", DECLARED, [*SPECIAL, None, *data.draw(many(texts, 150))])]
    columns += [(kind, declared, [None, *data.draw(many(values, 40))]) for kind, declared, values in NATIVE]
    height = max(len(values) for _, _, values in columns)
    padded = [values + [None] * (height - len(values)) for _, _, values in columns]
    schema = ", ".join(f"c{place} {kind}" for place, (kind, _, _) in enumerate(columns))
    frame = session.createDataFrame(list(zip(*padded, strict=True)), schema)
    asked, expressions = [], []
    for place, (_, declared_types, _) in enumerate(columns):
        kind = spark_types.kind_of(frame.schema[place].dataType)
        for declared in declared_types:
            convert = None if declared is None else converter(declared)
            sure = spark_types.valid_sql(kind, convert, f"c{place}")
            form = spark_types.canonical_sql(kind, convert, f"c{place}")
            asked.append((place, declared, form.family if form else None))
            expressions += [sure or "false", form.sql if form else "null"]
    aliased = [f"{one} AS e{place}" for place, one in enumerate(expressions)]
    raw = rows_of(spark_dataframe.chunks(frame))
    answers = frame.selectExpr(*aliased).collect()
    evaluated = [
        (declared, values[place], answer[2 * number], family, answer[2 * number + 1])
        for values, answer in zip(raw, answers, strict=True)
        for number, (place, declared, family) in enumerate(asked)
    ]
    check_forms(evaluated)


def test_a_check_of_forms_can_fail():
    with pytest.raises(AssertionError):
        check_forms([(int, "7", True, "number", "7"), (int, "8", True, "number", "7")])
    with pytest.raises(AssertionError):
        check_forms([(int, "x", True, None, None)])


def test_values_that_are_written_in_several_ways_have_one_form(session):
    cases = [
        (int, ["7", "+7", "007"]),
        (float, ["1e2", "100", "100.0", "+1.0E2"]),
        (Decimal, ["1.5", "01.50", "+1.5000", "1.5"]),
        (bool, ["true", "T", "Yes", "1"]),
        (datetime, ["2024-01-01 10:00:00", "2024-01-01T10:00:00.000"]),
        (UUID, ["A" * 32, "a" * 8 + "-" + "a" * 4 + "-" + "a" * 4 + "-" + "a" * 4 + "-" + "a" * 12]),
        (int | None, ["", None]),
    ]
    rows = [tuple(values[place % len(values)] for _, values in cases) for place in range(4)]
    frame = session.createDataFrame(rows, ", ".join(f"c{place} string" for place in range(len(cases))))
    forms = [
        spark_types.canonical_sql("text", converter(declared), f"c{place}").sql
        for place, (declared, _) in enumerate(cases)
    ]
    columns = list(zip(*frame.selectExpr(*forms).collect(), strict=True))
    assert [len(set(column)) for column in columns] == [1] * len(cases)


@pytest.mark.parametrize(
    "declared",
    [Colour, Literal["a", "b"], int | str, set[int], tuple[str, ...], timedelta],
)
def test_a_type_with_a_meaning_of_its_own_has_no_form(declared):
    assert spark_types.valid_sql("text", converter(declared), "c0") is None
    assert spark_types.canonical_sql("text", converter(declared), "c0") is None
    assert spark_types.key_sql("text", converter(declared), "c0") is None


def test_columns_that_cannot_be_compared_have_no_kind(session):
    kinds = {
        "m map<string,int>": None,
        "a array<map<string,int>>": None,
        "s struct<m: map<string,int>>": None,
        "y interval year": None,
        "t struct<a: int>": "struct",
        "d interval day to second": "timedelta",
        "l array<date>": "array of date",
    }
    schema = session.createDataFrame([], ", ".join(kinds)).schema
    assert [spark_types.kind_of(field.dataType) for field in schema] == list(kinds.values())


# Rows.

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3)


class Keyed(Object):
    idnumber: str


class Numbered(Object):
    idnumber: int


class Paired(Object):
    _identifiers = ("team", "user")
    team: str
    user: int


@FEW
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::datastoresync.DataWarning")
def test_rows_are_found_and_sorted_as_in_memory(session, data):
    for cls, schema, one in (
        (Keyed, "idnumber string", keys),
        (Paired, "team string, user string", st.tuples(st.sampled_from("ab"), st.integers(0, 3))),
    ):
        held = SortedDict(dict.fromkeys(data.draw(st.lists(one, min_size=3, max_size=20)), True))
        raw = [(key[0], f"0{key[1]}") if isinstance(key, tuple) else (key,) for key in held]
        known = relation(session, data.draw(st.permutations(raw)), schema, cls)
        start, stop = data.draw(one), data.draw(one)
        asked = [*data.draw(st.lists(one, max_size=3)), *held.keys()[:2], None, ("a",), 7.5, "\ud800"]
        keyed = converters(cls)

        def read(page, known=known, keyed=keyed):
            rows = rows_of(known.rows(page))
            converted = [tuple(one.one(part) for one, part in zip(keyed.values(), row, strict=True)) for row in rows]
            return [key if len(key) > 1 else key[0] for key in converted]

        assert known.count == len(held)
        assert read(Page(start=start, stop=stop)) == list(held.irange(start, stop, (True, False)))
        assert (
            read(Page(after=start, backwards=True, limit=2))
            == list(held.irange(start, None, (False, True), reverse=True))[:2]
        )
        assert sorted(read(None)) == list(held)
        assert known.present(asked) == {key for key in asked if key in held}
        assert len(rows_of(known.find(asked))) == len({key for key in asked if key in held})


def test_a_key_that_is_a_part_of_a_longer_one_comes_before_it(session):
    pairs = relation(session, [("a", 1), ("b", 1), ("b", 2)], "team string, user int", Paired)
    assert rows_of(pairs.rows(Page(start=("b",)))) == [("b", 1), ("b", 2)]
    assert rows_of(pairs.rows(Page(after=("b",)))) == [("b", 1), ("b", 2)]
    assert rows_of(pairs.rows(Page(stop=("b",)))) == [("a", 1)]


def test_a_key_of_another_type_cannot_be_a_bound(session):
    with pytest.raises(TypeError, match="'<' not supported between instances of 'int'"):
        list(relation(session, [("a",)], "idnumber string", Keyed).rows(Page(start=1)))


class Dated(Object):
    _identifiers = ("day", "number")
    day: date
    number: UUID


def test_dates_and_uuids_are_found(session):
    one, other = (date(2024, 1, 1), UUID(int=7)), (date(2024, 1, 2), UUID(int=3))
    rows = [(str(day), str(number).upper()) for day, number in (other, one)]
    dated = relation(session, rows, "day string, number string", Dated)
    assert rows_of(dated.rows(Page())) == rows[::-1]
    assert dated.present([one, (one[0], other[1]), (datetime(2024, 1, 1), one[1]), ("2024-01-01", one[1])]) == {one}  # noqa: DTZ001 - a naive one


def test_many_keys_are_sent_as_a_table(session, monkeypatch):
    monkeypatch.setattr("datastoresync.engines.spark.relation._FEW", 1)
    monkeypatch.setattr("datastoresync.engines.spark.relation._KEYS", 2)
    known = relation(session, [(key,) for key in "abcd"], "idnumber string", Keyed)
    assert known.present(list("axbdyz")) == set("abd")


# Comparing.

values = st.sampled_from(["", "a", "A", "é", "e\u0301", "😀", "x\ny", "nul\0l", "'", '"', "\\"])
grades = st.sampled_from(["", None, "7", "07", "+7", "8", "123456789012345678901234567890"])
tables = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(values, grades, values | st.none()), min_size=1)


@settings(FEW, max_examples=4)
@given(tables, tables)
def test_every_row_that_differs_is_named(session, mine, theirs):
    sides = [[(key, *rest) for key, rest in table.items()] for table in (mine, theirs)]
    left, right = (relation(session, rows) for rows in sides)
    objects = [made(session, rows) for rows in sides]
    named = found(left, right, ["grade", "groups", "name"])
    for rows, own, other in zip(named, objects, objects[::-1], strict=True):
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        wanted = {key for key, item in own.items() if key not in other or not same(item, other[key])}
        assert wanted <= {row[0] for row in rows}
    left.close()
    assert not left._held


def made(session, rows):
    class Rows(Importer):
        def read(self):
            return read_spark(session.createDataFrame(rows, SCHEMA))

    return RowLoader(schema_of(User), Rows().bound()).run().objects


def same(one, other):
    return all(equal(getattr(one, name), getattr(other, name)) for name in ("grade", "groups", "name"))


def test_only_rows_that_differ_leave_the_executors(session):
    rows = [(f"{number:03}", "n", f"0{number}", "g") for number in range(100)]
    other = [(key, name, grade.lstrip("0"), groups) for key, name, grade, groups in rows]
    other[7] = ("007", "m", "7", "g")
    left, right = relation(session, rows), relation(session, other[1:])
    assert found(left, right, ["grade", "groups", "name"]) == ([rows[0], rows[7]], [other[7]])
    assert not left._held


def test_a_comparison_that_is_not_read_is_freed_by_the_next_one(session):
    left = relation(session, [("a", "n", "1", "g")])
    left.differing(left, Work(["name"], converters(User), converters(User)))
    assert len(left._held) == 1
    left.differing(left, Work(["name"], converters(User), converters(User)))
    assert len(left._held) == 1
    left.close()
    assert left._held == []


class Typed(Object):
    idnumber: str
    grade: int


def test_text_on_one_side_and_a_number_on_the_other_are_compared_as_declared(session):
    left = relation(session, [("a", "07"), ("b", "8")], "idnumber string, grade string", Typed)
    right = relation(session, [("a", 7), ("b", 9)], "idnumber string, grade int", Object)
    assert found(left, right, ["grade"], Typed, Object) == ([("b", "8")], [("b", 9)])


def test_what_cannot_be_compared_as_python_does_is_left_to_python(session):
    text = relation(session, [("a", "7")], "idnumber string, grade string", Object)
    number = relation(session, [("a", 7)], "idnumber string, grade int", Object)
    with pytest.raises(CannotPushDown, match="grade"):
        text.differing(number, Work(["grade"], {}, {}))
    numbered = relation(session, [(1, 7)], "idnumber int, grade int", Object)
    with pytest.raises(CannotPushDown, match="idnumbers"):
        number.differing(numbered, Work(["grade"], {}, {}))


def test_arrays_and_structs_of_one_type_are_compared(session):
    schema = "idnumber string, a array<double>, s struct<x: int, y: string>"
    left = relation(session, [("1", [1.0, math.nan], (1, "x")), ("2", [1.0], (1, "x"))], schema, Object)
    right = relation(session, [("1", [1.0, math.nan], (1, "x")), ("2", [1.0], (2, "x"))], schema, Object)
    assert found(left, right, ["a", "s"], Object, Object) == (
        [("2", [1.0], {"x": 1, "y": "x"})],
        [("2", [1.0], {"x": 2, "y": "x"})],
    )


# Opening.


class Chosen(Object):
    idnumber: str
    colour: Colour


class Checked(Object):
    idnumber: str
    name: str

    def __attrs_post_init__(self):
        assert self.name


class Grouped(Object):
    idnumber: str
    groups: set[str]


@pytest.mark.parametrize(
    ("rows", "schema", "cls", "why"),
    [
        ([], SCHEMA, User, "no rows"),
        ([("a", "n", "1", ""), ("a", "m", "1", "")], SCHEMA, User, "another row has"),
        ([("", "n", "1", "")], SCHEMA, User, "no idnumber"),
        ([(None, "n", "1", "")], SCHEMA, User, "no idnumber"),
        ([("a", "n", "x", "")], SCHEMA, User, "grade has a value that is refused"),
        ([("a", None, "1", "")], SCHEMA, User, "name has a value that is refused"),
        ([("a", "n")], "idnumber string, name string", User, "columns are not those"),
        ([("a", "n")], "id string, name string", Object, "column is missing"),
        ([("a", "n", "m")], "idnumber string, name string, name string", Object, "there twice"),
        ([("a", "n", "m")], "idnumber string, name string, other string", Checked, "columns are not those"),
        ([("a", "n")], "idnumber string, name string", Checked, "validates"),
        ([("a", {"x": 1})], "idnumber string, name map<string,int>", Object, "cannot compare name"),
        ([(1.5,)], "idnumber double", Object, "sorts"),
        ([("9" * 30,)], "idnumber string", Numbered, "reads in another way"),
        ([("a", "x")], "idnumber string, colour string", Chosen, "refused"),
        ([("a", ["x", None])], "idnumber string, groups array<string>", Grouped, "refused"),
    ],
)
def test_what_an_import_might_refuse_is_left_to_it(session, rows, schema, cls, why):
    with pytest.raises(CannotPushDown, match=why):
        relation(session, rows, schema, cls)


def test_distinct_values_are_shown_to_the_converter(session, monkeypatch):
    rows = [("a", "r"), ("b", "BLUE")]
    assert relation(session, rows, "idnumber string, colour string", Chosen).count == 2
    monkeypatch.setattr(spark_relation, "_MOST_DISTINCT", 1)
    with pytest.raises(CannotPushDown, match="many values"):
        relation(session, rows, "idnumber string, colour string", Chosen)


def test_arrays_of_the_declared_type_need_no_second_look(session, monkeypatch):
    monkeypatch.setattr(spark_relation, "_MOST_DISTINCT", 0)
    rows = [("a", ["x"]), ("b", []), ("c", None)]
    assert relation(session, rows, "idnumber string, groups array<string>", Grouped).count == 3


def test_idnumbers_that_look_alike_are_warned_of(session):
    with pytest.warns(DataWarning, match=r"source\.users: idnumbers that differ only .*: 'BOB' and 'bob'$"):
        relation(session, [("bob",), ("BOB",), ("amy",)], "idnumber string", Keyed, name="source.users")
    with pytest.warns(DataWarning, match="'1', 'é'"):
        relation(session, [("1", "é"), ("1", "e\u0301"), ("2", "é")], "user string, team string", Teamed)
    assert relation(session, [("Bob",), ("amy",)], "idnumber string", Keyed).count == 2


class Teamed(Object):
    _identifiers = ("user", "team")
    user: str
    team: str


# What executors run.


def test_what_executors_run_keeps_batches_and_folds_texts():
    pyarrow = pytest.importorskip("pyarrow")
    batch = pyarrow.record_batch({"c0": ["\uff22ob ", "1"], "folded_c0": ["\uff22ob ", "1"]})
    (packed,) = spark_dataframe._packing()(iter([batch]))
    with pyarrow.ipc.open_stream(packed["batch"][0].as_py()) as reader:
        assert list(reader) == [batch]
    (folded,) = spark_relation._folding()(iter([batch]))
    assert folded.to_pydict() == {"c0": ["\uff22ob ", "1"], "folded_c0": ["bob", "1"]}


# Frames.


def test_a_dataframe_of_spark_is_known_by_its_class(session):
    assert engine_of(session.range(1)) is spark.ENGINE
    assert engine_of(session) is None
    assert engine_of([{"idnumber": "1"}]) is None
    lookalike = type("DataFrame", (), {"__module__": "polars.dataframe.frame"})
    assert engine_of(lookalike()) is None
    assert engine_of(type("DataFrame", (), {"__module__": "pyspark.sql.connect.dataframe"})()) is spark.ENGINE


def test_records_of_a_frame_have_its_values_and_know_it(session):
    frame = session.sql(
        "SELECT 'a' AS idnumber, TIMESTAMP'2024-07-01 12:00:00' AS t, TIMESTAMP_NTZ'2024-07-01 12:00:00' AS n, "
        "DATE'2024-07-01' AS d, 1.50BD AS m, array('x') AS l, CAST(NULL AS STRING) AS e"
    )
    records = read_spark(frame)
    assert records.source_info.frame is frame
    assert records.where(6) == "row 7 of DataFrame"
    assert list(records) == [
        {
            "idnumber": "a",
            "t": datetime(2024, 7, 1, 12, tzinfo=timezone.utc),  # noqa: UP017 - as written elsewhere
            "n": datetime(2024, 7, 1, 12),  # noqa: DTZ001 - it has none
            "d": date(2024, 7, 1),
            "m": Decimal("1.50"),
            "l": ["x"],
            "e": None,
        }
    ]


def test_a_frame_without_rows_gives_none(session):
    assert list(read_spark(session.createDataFrame([], "a int"))) == []


def test_a_name_twice_is_refused(session):
    with pytest.raises(ColumnError, match="several columns are called 'a'"):
        list(read_spark(session.sql("SELECT 1 AS a, 2 AS a")))


def test_a_query_that_breaks_off_says_why_and_quotes_nothing(session, tmp_path):
    (tmp_path / "a.csv").write_text('idnumber,n\nsecret1,"x\n', encoding="utf-8")
    strict = session.read.csv(str(tmp_path), header=True, schema="idnumber string, n int", mode="FAILFAST")
    with pytest.raises(SyncerError, match=r"Spark could not read DataFrame \(MALFORMED_RECORD|FAILED_READ") as caught:
        list(read_spark(strict))
    assert "secret1" not in str(caught.value)
    assert caught.value.__cause__ is None or "secret1" not in str(caught.value.__cause__)
    with pytest.raises(SyncerError) as caught:
        SparkRelation(session.sql("SELECT 'secret1' AS idnumber, CAST('secret1' AS INT) AS n"), schema_of(Object))
    assert "secret1" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_missing_pyarrow_names_the_command(session, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(spark_dataframe, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[spark\]'"):
        list(read_spark(SimpleNamespace(columns=["a"])))
