"""Reading Arrow streams: what a frame holds comes out as it is, whichever library made it and whichever reads it."""

import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Object, Tree
from datastoresync.errors import ColumnError, ConversionError, MissingDependencyError, SyncerError
from datastoresync.syncers import arrow as module
from datastoresync.syncers.arrow import read_arrow
from datastoresync.syncers.records import is_arrow

READERS = ["pyarrow", "polars"]
ROWS = {
    "text": ["00123", "NA", "1e5", "", None, "Zoë 😀\0\n"],
    "whole": [2**53 + 1, -(2**63), 0, None, 1, 2],
    "number": [1.5, None, float("inf"), 0.1, -0.0, 1e300],
    "truth": [True, False, None, True, True, False],
    "day": [date(2024, 1, 2), None, date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29), date(1970, 1, 1)],
    "amount": [Decimal("1.50"), None, Decimal("-0.01"), Decimal("99999999.99"), Decimal("0.00"), Decimal("7.00")],
    "members": [["a", "b"], [], None, ["NA"], [""], ["00123", None]],
    "moment": [datetime(2024, 1, 2, 3, 4, 5, 678901), None, *[datetime(1970, 1, 1)] * 4],  # noqa: DTZ001
    "raw": [b"\0\xff", b"", None, b"a", b"b", b"c"],
}
SCHEMA = {
    "text": pa.string(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
    "day": pa.date32(),
    "amount": pa.decimal128(10, 2),
    "members": pa.list_(pa.string()),
    "moment": pa.timestamp("us"),
    "raw": pa.binary(),
}


class Stream:
    """Offers a stream of record batches, and fails after the last one if it is told to."""

    def __init__(self, batches, *, fails=False):
        self.batches, self.fails = batches, fails

    def __arrow_c_stream__(self, requested_schema=None):
        def deliver():
            yield from self.batches
            if self.fails:
                message = "row ('secret',) cannot be read"
                raise RuntimeError(message)

        return pa.RecordBatchReader.from_batches(self.batches[0].schema, deliver()).__arrow_c_stream__()


@pytest.fixture(params=READERS)
def reader(request, monkeypatch):
    """Read with one library, as if the other were not installed."""
    monkeypatch.setitem(sys.modules, next(name for name in READERS if name != request.param), None)
    return request.param


def table():
    return pa.table({name: pa.array(values, SCHEMA[name]) for name, values in ROWS.items()})


def rows_of(records):
    return {
        name: list(column)
        for name, column in zip(records.columns, zip(*map(dict.values, records), strict=True), strict=True)
    }


def typed(rows):
    return {name: [(type(value), value) for value in values] for name, values in rows.items()}


# Laws ----------------------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": st.none() | st.text(st.characters(blacklist_categories=["Cs"])),
                "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
                "day": st.none() | st.dates(),
                "moment": st.none() | st.datetimes(),
                "members": st.none() | st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=3)),
            }
        )
    ),
    st.integers(1, 5),
    st.sampled_from(READERS),
)
@settings(deadline=None, max_examples=examples(100))
def test_rows_come_out_as_they_went_in_whatever_the_size_of_batches_and_chunks(rows, size, library):
    names = ("text", "whole", "day", "moment", "members")
    whole = pa.Table.from_pylist(rows, pa.schema({name: SCHEMA[name] for name in names}))
    batches = whole.to_batches(max_chunksize=3) or [pa.RecordBatch.from_pylist([], whole.schema)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", size)
        if library == "polars":
            patch.setitem(sys.modules, "pyarrow", None)
        chunks = list(read_arrow(Stream(batches)).chunks)
    assert all(0 < len(column) <= size for chunk in chunks for column in chunk)
    assert [dict(zip(names, row, strict=True)) for chunk in chunks for row in zip(*chunk, strict=True)] == rows


# Every library that offers a stream ----------------------------------------------------------------------------------


def test_a_table_of_pyarrow(reader):
    assert typed(rows_of(read_arrow(table()))) == typed(ROWS)


def test_a_frame_of_polars(reader):
    assert typed(rows_of(read_arrow(pl.DataFrame(table())))) == typed(ROWS)


@pytest.mark.parametrize("library", READERS)
def test_a_relation_of_duckdb(library, monkeypatch):
    with duckdb.connect() as connection:
        connection.register("rows", table())
        connection.execute("create table everything as select * from rows")
        if library == "polars":
            monkeypatch.setitem(sys.modules, "pyarrow", None)
        assert typed(rows_of(read_arrow(connection.sql("select * from everything")))) == typed(ROWS)


def test_a_frame_of_pandas():
    frame = pd.DataFrame(
        {
            "text": ["00123", "NA", None],
            "whole": pd.array([2**53 + 1, None, 1], dtype="Int64"),
            "number": [1.5, float("nan"), 2.0],
            "moment": pd.to_datetime(["2024-01-02 03:04:05", None, "1970-01-01 00:00:00"]),
            "kind": pd.Categorical(["a", "b", "a"]),
        }
    )
    assert typed(rows_of(read_arrow(frame))) == typed(
        {
            "text": ["00123", "NA", None],
            "whole": [2**53 + 1, None, 1],
            "number": [1.5, None, 2.0],
            "moment": [datetime(2024, 1, 2, 3, 4, 5), None, datetime(1970, 1, 1)],  # noqa: DTZ001
            "kind": ["a", "b", "a"],
        }
    )


def test_an_index_of_pandas_is_a_column():
    frame = pd.DataFrame({"name": ["Ann"]}, index=pd.Index(["007"], name="idnumber"))
    assert list(read_arrow(frame)) == [{"name": "Ann", "idnumber": "007"}]


def test_times_with_and_without_a_zone(reader):
    rows = {
        "zoned": [datetime(2024, 1, 2, 3, tzinfo=UTC), None],
        "span": [timedelta(days=1, microseconds=1), None],
        "clock": [time(1, 2, 3, 4), None],
        "fine": [datetime(2024, 1, 2, 3, 4, 5, 6), None],  # noqa: DTZ001
        "fine_zoned": [datetime(2024, 1, 2, 3, 4, 5, 6, UTC), None],
        "fine_span": [timedelta(microseconds=-1), None],
        "fine_clock": [time(23, 59, 59, 999999), None],
    }
    kinds = [pa.timestamp("us", "UTC"), pa.duration("us"), pa.time64("us")]
    kinds += [pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.duration("ns"), pa.time64("ns")]
    frame = pa.table({name: pa.array(rows[name], kind) for name, kind in zip(rows, kinds, strict=True)})
    read = rows_of(read_arrow(frame))
    assert read == rows
    assert [type(values[0]) for values in read.values()] == [type(values[0]) for values in rows.values()]


def test_categories_and_nested_values(reader):
    frame = pl.DataFrame(
        {
            "kind": ["a", None, "a"],
            "point": [{"x": 1, "y": "00"}, None, {"x": 2, "y": None}],
            "grid": [[[1], []], [], None],
        },
        schema_overrides={"kind": pl.Categorical},
    )
    read = list(read_arrow(frame))
    assert [row["kind"] for row in read] == ["a", None, "a"]
    assert [row["point"] for row in read][::2] == [{"x": 1, "y": "00"}, {"x": 2, "y": None}]
    assert [row["grid"] for row in read] == [[[1], []], [], None]


def test_columns_are_taken_and_renamed(reader):
    frame = pl.DataFrame({"a": [1], "b": [2], "c": [3]})
    assert list(read_arrow(frame, columns=["c", "a"])) == [{"c": 3, "a": 1}]
    assert list(read_arrow(frame, columns=[("idnumber", "b")])) == [{"idnumber": 2}]


def test_the_place_of_a_row():
    frame = pl.DataFrame({"a": [1]})
    assert read_arrow(frame).where(16) == "row 17 of DataFrame"
    assert read_arrow(frame, name="people").where(0) == "row 1 of people"


def test_big_batches_are_sliced(reader):
    frame = pl.DataFrame({"a": range(150_000)})
    chunks = [list(column) for (column,) in read_arrow(frame).chunks]
    assert [len(column) for column in chunks] == [65536, 65536, 18928]
    assert [number for chunk in chunks for number in chunk] == list(range(150_000))


def test_batches_are_read_one_by_one():
    batch = pa.record_batch({"a": [1, 2]})
    chunks = iter(read_arrow(Stream([batch, batch], fails=True), name="people").chunks)
    assert list(next(chunks)) == [[1, 2]]
    assert list(next(chunks)) == [[1, 2]]
    with pytest.raises(
        SyncerError, match=r"^people broke off after 4 rows \(\w+\): see the error that caused"
    ) as caught:
        next(chunks)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_frame_without_rows(reader):
    records = read_arrow(pl.DataFrame({"a": []}, schema={"a": pl.String}))
    assert records.columns == ("a",)
    assert list(records) == []


def test_what_offers_a_stream():
    assert is_arrow(table())
    assert is_arrow(pl.DataFrame())
    assert is_arrow(pd.DataFrame())
    assert not is_arrow([{"a": 1}])
    assert not is_arrow(pl.DataFrame)


# What is refused -----------------------------------------------------------------------------------------------------


def test_a_column_name_twice(reader):
    frame = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "b", "a"])
    with pytest.raises(ColumnError) as caught:
        read_arrow(frame, name="people")
    assert str(caught.value) == "people: several columns are called 'a': rename them"
    assert caught.value.columns == ("a",)


@pytest.mark.parametrize("names", [["a", "a"], [1, "1"]])
def test_a_column_name_twice_in_a_frame_of_pandas(names):
    with pytest.raises(ColumnError, match=rf"several columns are called '{names[0]}': rename them"):
        read_arrow(pd.DataFrame([[1, 2]], columns=names))


@pytest.mark.parametrize("library", READERS)
def test_a_column_name_twice_in_a_relation(library, monkeypatch):
    if library == "polars":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    with (
        duckdb.connect() as connection,
        pytest.raises(ColumnError, match="DuckDBPyRelation: several columns are called 'a': rename them"),
    ):
        read_arrow(connection.sql("select 1 as a, 2 as a"))


def test_an_unknown_column(reader):
    with pytest.raises(ColumnError, match=r"people: there is no column 'nmae': did you mean 'name'\?"):
        read_arrow(pl.DataFrame({"name": ["Ann"]}), columns=["nmae"], name="people")


def test_a_single_column(reader):
    for column in (pl.Series("a", [1]), pa.chunked_array([[1]])):
        with pytest.raises(
            ColumnError, match=r"people: a single column is no table: make it a frame first, with to_fra"
        ):
            read_arrow(column, name="people")


def test_values_that_arrow_cannot_hold():
    with pytest.raises(SyncerError, match=r"DataFrame cannot be opened as an Arrow stream \(ArrowInvalid\)") as caught:
        read_arrow(pd.DataFrame({"a": [object(), 1]}))
    assert isinstance(caught.value.__cause__, pa.ArrowInvalid)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.duration("ns"), pa.time64("ns")], ids=str
)
def test_nanoseconds_are_refused_with_their_row(reader, kind):
    frame = pa.table({"idnumber": ["1", "2", "3"], "moment": pa.array([1000, None, 1001], kind)})
    with pytest.raises(ConversionError, match=r"row 3 of people: moment holds a value that Python cannot: ") as caught:
        list(read_arrow(frame, name="people"))
    assert caught.value.column == "moment"


def test_nested_nanoseconds_are_never_dropped(reader):
    kind = pa.timestamp("ns")
    frame = pa.table(
        {
            "list": pa.array([[1001]], pa.list_(kind)),
            "array": pa.array([[1001]], pa.list_(kind, 1)),
            "struct": pa.array([{"at": 1001}], pa.struct({"at": kind})),
        }
    )
    for name in frame.column_names:
        try:
            (row,) = read_arrow(frame, columns=[name])
        except ConversionError as error:
            assert error.column == name  # noqa: PT017 - pandas has a type that holds them
        else:
            (moment,) = row[name].values() if name == "struct" else row[name]
            assert moment.nanosecond == 1


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("s")], ids=str)
def test_moments_beyond_python_are_refused_with_their_row(kind, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 4)
    frame = pa.table({"moment": pa.array([0] * 5 + [2**62], kind)})
    with pytest.raises(ConversionError, match="row 6 of Table: moment holds a value that Python cannot: round it, or"):
        list(read_arrow(frame))


def test_days_beyond_polars(monkeypatch):
    frame = pl.DataFrame({"day": [0, 2**30]}).with_columns(pl.col("day").cast(pl.Date))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConversionError, match="row 2 of DataFrame: day holds a value that Python cannot"):
        list(read_arrow(frame))


def test_a_type_that_polars_does_not_know(monkeypatch):
    frame = pa.table({"span": pa.array([None], pa.month_day_nano_interval())})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SyncerError, match=r"Table cannot be opened as an Arrow stream \(ValueError\)"):
        read_arrow(frame)


def test_a_library_that_is_not_installed(monkeypatch):
    frame = pl.DataFrame({"a": [1]})
    pandas = pd.DataFrame({"a": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = r"^reading Arrow streams needs pyarrow: pip install 'datastoresync\[arrow\]'$"
    with pytest.raises(MissingDependencyError, match=message):
        read_arrow(pandas)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingDependencyError, match=message):
        read_arrow(frame)


def test_python_objects_of_polars_are_not_read_as_their_addresses(reader):
    frame = pl.DataFrame({"idnumber": ["1"], "v": [{1}]}, schema={"idnumber": pl.String, "v": pl.Object})
    said = "DataFrame: column 'v' holds Python objects, of which polars gives no values: cast it, or give the rows"
    with pytest.raises(ColumnError, match=said):
        read_arrow(frame)
    with pytest.raises(ColumnError, match=said):
        +Tree("t", branches={"things": Branch(Object, importer=frame)})
