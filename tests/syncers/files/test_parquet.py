"""Parquet files: types that come back, and columns that have none."""

from __future__ import annotations

import builtins
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from pyarrow import parquet

from datastoresync.errors import ConversionError, MalformedFileError, MissingDependencyError, SyncerError
from datastoresync.syncers.files.parquet import ParquetSyncer

law = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.integers(-(2**63), 2**63 - 1)
columns = [
    st.booleans(),
    integers,
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=4),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.times(),
    st.timedeltas(timedelta(-(10**6)), timedelta(10**6)),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20),
    st.lists(texts, max_size=3),
    st.lists(st.lists(integers, max_size=2), max_size=2),
]
tables = st.one_of([st.lists(st.none() | values, min_size=1, max_size=5) for values in columns])


class Colour(Enum):
    RED = "red"


@pytest.fixture
def syncer(tmp_path):
    return ParquetSyncer(tmp_path)


@law
@given(values=tables)
def test_a_column_of_one_type_comes_back(syncer, values):
    data = [{"id": str(number), "value": value} for number, value in enumerate(values)]
    syncer.dump("t", data=data)
    found = syncer.load("t")
    assert found == data
    assert [type(record["value"]) for record in found] == [type(record["value"]) for record in data]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({2, 1}, [1, 2]),
        ((2, 1), [2, 1]),
        (frozenset([None, "b", "a"]), ["a", "b", None]),
        ([], []),
        ([None], [None]),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Colour.RED, "red"),
        (time(1, fold=1), time(1)),
        (Decimal("1e10"), Decimal("1e10")),
    ],
)
def test_what_comes_back_as_something_else_is_declared(syncer, value, kept):
    assert syncer.normalized(value) == kept
    syncer.dump("t", data=[{"a": value}])
    assert syncer.load("t") == [{"a": kept}]


def test_nan_stays_nan(syncer):
    syncer.dump("t", data=[{"a": float("nan")}, {"a": None}])
    first, second = syncer.load("t")
    assert first["a"] != first["a"]
    assert second["a"] is None


def test_a_moment_stays_the_same_moment(syncer):
    moments = [datetime(2024, 1, 2, 3, tzinfo=timezone(timedelta(hours=hours))) for hours in (-5, 0, 9)]
    syncer.dump("t", data=[{"a": moment} for moment in moments])
    assert [record["a"] for record in syncer.load("t")] == moments


def test_integers_and_floats_in_one_column_are_floats(syncer):
    syncer.dump("t", data=[{"a": 1}, {"a": 2.5}, {"a": None}])
    assert [repr(record["a"]) for record in syncer.load("t")] == ["1.0", "2.5", "None"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1, None, "a"], r"int \(record 1\) and str \(record 3\)"),
        ([1, True], r"int \(record 1\) and bool \(record 2\)"),
        ([b"a", "a"], "bytes .* and str"),
        ([date(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC)], "date .* and datetime with a time zone"),
        ([datetime(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC)], "datetime .* and datetime with"),  # noqa: DTZ001 - mixed
        ([[1], ["a"]], "list of int .* and list of str"),
        ([1, [1]], "int .* and list of int"),
    ],
)
def test_a_column_of_several_types_is_refused_with_its_records(syncer, values, says):
    with pytest.raises(SyncerError, match=rf"column 'a' of table 't' holds {says}"):
        syncer.dump("t", data=[{"a": value} for value in values])


@pytest.mark.parametrize(
    "values", [[2**60 + 1, 0.5], [Decimal("1e70"), Decimal("1e-70")]], ids=["too large for a float", "too many digits"]
)
def test_a_column_that_no_type_holds_is_refused(syncer, values):
    with pytest.raises(SyncerError, match="column 'a' of table 't' has no Parquet type that holds all of its values"):
        syncer.dump("t", data=[{"a": value} for value in values])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2**63, "64 bits"),
        (Decimal("nan"), "finite"),
        (Decimal("1e80"), "76 digits"),
        ("\ud800", "half of a surrogate"),
        (time(1, tzinfo=UTC), "drop the time zone"),
        (datetime(2024, 1, 2, tzinfo=timezone(timedelta(seconds=1))), "whole minutes"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), "years 1 to 9999"),
        (timedelta.max, "64 bits"),
        ({"a": 1}, "cannot hold a dict"),
        (object(), "cannot hold a object"),
        ([1, "a"], "values of one type, not int and str"),
        ([[object()]], "cannot hold"),
    ],
)
def test_what_no_column_can_hold_is_refused(syncer, value, says):
    with pytest.raises(SyncerError, match=says):
        syncer.normalized(value)
    with pytest.raises(SyncerError, match=rf"record 1 for table 't', column 'a': .*{says}"):
        syncer.dump("t", data=[{"a": value}])


def test_a_table_without_values_keeps_its_types(syncer, tmp_path):
    syncer.dump("t", data=[{"a": 1, "b": "x"}])
    syncer.dump("t", data=[])
    assert parquet.read_schema(tmp_path / "t.parquet").types == [pyarrow.int64(), pyarrow.string()]
    syncer.dump("t", data=[{"a": None, "b": "y", "c": None}])
    assert parquet.read_schema(tmp_path / "t.parquet").types == [pyarrow.int64(), pyarrow.string(), pyarrow.null()]
    assert syncer.load("t") == [{"a": None, "b": "y", "c": None}]


NARROW = pyarrow.schema(
    [
        pyarrow.field("id", pyarrow.large_string(), nullable=False, metadata={"unit": "none"}),
        ("whole", pyarrow.int32()),
        ("real", pyarrow.float32()),
        ("money", pyarrow.decimal128(10, 2)),
        ("seen", pyarrow.timestamp("ns", "UTC")),
        ("day", pyarrow.timestamp("ms")),
        ("kind", pyarrow.dictionary(pyarrow.int32(), pyarrow.string())),
        ("list", pyarrow.large_list(pyarrow.field("element", pyarrow.int8()))),
    ],
    metadata={"owner": "school"},
)
NARROW_ROW = {
    "id": "1",
    "whole": 7,
    "real": 0.5,
    "money": Decimal("1.10"),
    "seen": datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "day": datetime.fromisoformat("2024-01-02T03:04:05.006"),
    "kind": "a",
    "list": [1, None],
}


@pytest.fixture
def narrow(syncer, tmp_path):
    rows = [NARROW_ROW, NARROW_ROW | {"id": "2", "kind": None, "real": float("nan")}]
    parquet.write_table(pyarrow.Table.from_pylist(rows, NARROW), tmp_path / "t.parquet")
    return syncer


def schema(syncer):
    return parquet.read_schema(syncer.path / "t.parquet")


def test_types_and_metadata_stay_as_long_as_the_values_fit(narrow):
    narrow.append("t", data=[NARROW_ROW | {"id": "3", "kind": "b"}])
    narrow.update("t", data=[{"id": "1", "whole": 8, "real": 2}], key="id")
    narrow.delete("t", data=[{"id": "2"}], key="id")
    assert schema(narrow).equals(NARROW, check_metadata=True)
    assert narrow.load("t") == [NARROW_ROW | {"whole": 8, "real": 2.0}, NARROW_ROW | {"id": "3", "kind": "b"}]


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("whole", 2**31, pyarrow.int64()),
        ("real", 0.1, pyarrow.float64()),
        ("money", Decimal("1.123"), pyarrow.decimal128(4, 3)),
        ("day", datetime.fromisoformat("2024-01-02T03:04:05.000006"), pyarrow.timestamp("us")),
        ("list", [300], pyarrow.list_(pyarrow.int64())),
    ],
)
def test_a_column_gets_a_wider_type_for_what_does_not_fit(narrow, column, value, kind):
    narrow.update("t", data=[{"id": "1", column: value}], key="id")
    assert narrow.load("t")[0][column] == value
    assert schema(narrow).field(column).type == kind
    others = [field.name for field in NARROW if field.name != column]
    assert [schema(narrow).field(name) for name in others] == [NARROW.field(name) for name in others]


def test_a_column_that_had_to_have_values_may_get_none(narrow):
    narrow.append("t", data=[{"whole": 1}])
    assert narrow.load("t")[2] == dict.fromkeys(NARROW.names) | {"whole": 1}


def test_a_truth_value_is_no_number(syncer):
    syncer.dump("t", data=[{"a": 1}])
    syncer.dump("t", data=[{"a": True}])
    assert schema(syncer).types == [pyarrow.bool_()]
    syncer.dump("t", data=[{"b": 1}])
    assert schema(syncer).names == ["b"]


def test_records_without_columns_are_refused(syncer):
    with pytest.raises(SyncerError, match="no columns"):
        syncer.dump("t", data=[{}])


def test_a_table_without_columns_has_no_records(syncer):
    syncer.dump("t", data=[])
    records = syncer.read("t")
    assert (records.columns, list(records)) == ((), [])
    assert records.where(0).startswith("row 1 of ")


def test_row_groups_are_read_one_by_one_and_records_known_by_their_row(syncer, tmp_path):
    table = pyarrow.table({"id": [str(number) for number in range(1000)]})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=10)
    records = syncer.read("t")
    first = next(iter(records.chunks))
    assert first[0][0] == "0"
    assert records.where(16) == f"row 17 of {tmp_path / 't.parquet'}"


def test_what_python_cannot_hold_is_refused(syncer, tmp_path):
    parquet.write_table(pyarrow.table({"at": pyarrow.array([1], pyarrow.timestamp("ns"))}), tmp_path / "t.parquet")
    with pytest.raises(ConversionError, match=r"row 1 of .*holds a value that Python cannot"):
        syncer.load("t")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"id,name\n" * 10])
def test_what_is_no_parquet_file_is_refused(syncer, tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(MalformedFileError, match="not a Parquet file that can be read"):
        syncer.load("t")


def test_without_pyarrow_the_command_is_named(syncer, monkeypatch):
    real = builtins.__import__

    def lacking(name, *arguments, **options):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[arrow\]'"):
        syncer.dump("t", data=[{"a": 1}])
