"""Parquet files as tables: whose they are, what is refused, and that they are read as they were imported."""

import datetime
import gc
import os
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pyarrow
import pytest
from pyarrow import parquet

from datastoresync import Branch, MalformedFileError, Object, Tree
from datastoresync.engines.duckdb import parquet as parquet_store
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.parquet import ColumnarRelation, ParquetStore
from datastoresync.engines.duckdb.relation import HeldFile
from datastoresync.engines.duckdb.types import array_of, kind_of
from datastoresync.engines.relation import CannotPushDown, Page
from datastoresync.engines.table import TableObjects
from datastoresync.errors import ImporterError
from datastoresync.importing.file_importers import ParquetImporter
from datastoresync.object import schema_of
from datastoresync.syncers.files.parquet import read_parquet
from datastoresync.syncers.records import Records, file_state


class Person(Object):
    """Open."""


class Numbered(Object):
    idnumber: int
    name: str


@pytest.fixture
def duckdb(tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    settings = DuckDB(folder=folder, threads=1)
    running = settings.opened()
    yield settings
    del running


def records(chunks, columns=("idnumber", "value")):
    return Records(columns, chunks, lambda index: f"row {index}")


def of(duckdb, *chunks, columns=("idnumber", "value"), cls=Person):
    return ColumnarRelation.of_records(duckdb, records(chunks, columns), schema_of(cls))


def rows(relation):
    return [row for columns in relation.rows(Page()) for row in zip(*columns, strict=True)]


def written(path, **columns):
    parquet.write_table(pyarrow.table(columns), path)
    return path


def loaded(path, cls=Person, engine="duckdb"):
    return (+Tree("source", branches={"people": Branch(cls, importer=ParquetImporter(path), engine=engine)})).people


# Records ------------------------------------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "values",
    [
        ["a", "\U0001f600\n\"'"],
        [0, -(2**63)],
        [0.5, float("inf")],
        [True, False],
        [b"\0", b"\xff"],
        [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)],
        [datetime.time(), datetime.time(23, 59, 59, 999_999)],
        [datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999)],  # noqa: DTZ001 - without a zone
        [datetime.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=BERLIN) for fold in (0, 1)],
        [Decimal("1.50"), Decimal("-0.10")],
        [UUID(int=1), UUID(int=2**127)],
        [None, None],
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_values_come_back_as_they_were(duckdb, values):
    relation = of(duckdb, [["1", "2", "3"], [*values, None]])
    found = [row[1] for row in rows(relation)]
    assert [repr(value) for value in found] == [repr(value) for value in [*values, None]]
    assert relation.sample["value"] == values[0]


def test_a_column_gets_its_type_when_its_first_value_comes(duckdb):
    day = datetime.date(2024, 1, 1)
    relation = of(duckdb, [["1"], [None]], [["2"], [day]], [["3"], [None]])
    assert len(relation.parts) == 2
    assert rows(relation) == [("1", None), ("2", day), ("3", None)]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1, "1"], "value holds values of several types"),
        ([1, True], "value holds values of several types"),
        ([2**63, 1], "value holds a value that Arrow cannot"),
        (["\ud800", ""], "value holds a value that Arrow cannot"),
        ([["a"], ["b"]], "value holds values of the type list"),
        ([datetime.time(fold=1), None], "value holds values of the type time"),
        ([Decimal("1.5"), Decimal("1.50")], "different numbers of digits"),
        ([Decimal("NaN"), None], "different numbers of digits"),
        (
            [datetime.datetime(2024, 1, 1, tzinfo=BERLIN), datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)],
            "several time zones",
        ),
    ],
)
def test_values_that_would_not_come_back_are_refused(duckdb, values, why):
    with pytest.raises(CannotPushDown, match=why):
        of(duckdb, [["1", "2"], values])


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("a", 1, "several types"),
        (
            datetime.datetime(2024, 1, 1, tzinfo=BERLIN),
            datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
            "several time",
        ),
    ],
)
def test_chunks_of_different_types_are_refused(duckdb, one, other, why):
    with pytest.raises(CannotPushDown, match=why):
        of(duckdb, [["1"], [one]], [["2"], [other]])


def test_no_rows_are_no_table(duckdb):
    with pytest.raises(CannotPushDown, match="there are no rows"):
        of(duckdb)


def test_long_rows_are_written_before_they_fill_the_memory(duckdb, monkeypatch):
    monkeypatch.setattr(parquet_store, "_BYTES", 100)
    relation = of(duckdb, *([[f"{number:03}"], ["x" * 60]] for number in range(20)))
    assert parquet.ParquetFile(relation.parts[0].path).num_row_groups > 5
    assert len(rows(relation)) == 20


def test_temporary_files_are_gone_with_the_relation(duckdb, tmp_path):
    relation = of(duckdb, [["1"], ["a"]])
    (folder,) = {Path(part.path).parent for part in relation.parts}
    assert folder.stat().st_mode & 0o077 == 0
    del relation
    gc.collect()
    assert not folder.exists()
    other = of(duckdb, [["1"], ["a"]])
    (folder,) = {Path(part.path).parent for part in other.parts}
    other.close()
    assert not folder.exists()


def test_a_store_gives_back_what_it_took(duckdb):
    store = ParquetStore(duckdb, ["idnumber", "value"])
    store.write([["1"], [None]])
    store.write([["2"], [1.5]])
    assert [row for batch in store.batches() for row in batch.to_pylist()] == [
        {"idnumber": "1", "value": None},
        {"idnumber": "2", "value": 1.5},
    ]


def test_without_pyarrow_there_is_no_store(duckdb, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(CannotPushDown, match="pyarrow is not installed"):
        ParquetStore(duckdb, ["idnumber"])


# Relations ----------------------------------------------------------------------------------------------------------


class Elsewhere:
    engine = "elsewhere"
    place = "elsewhere"
    columns = ("idnumber", "name")
    count = 2

    def rows(self, page=None):
        yield [["1", "2"], ["Ann", "Bob"]]


class Arrow(Elsewhere):
    def arrow(self):
        table = pyarrow.table({"idnumber": ["1", "2"], "name": ["Ann", "Bob"]})
        return pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches())

    def rows(self, page=None):
        raise AssertionError


@pytest.mark.parametrize("elsewhere", [Elsewhere, Arrow])
def test_the_rows_of_another_relation_are_brought_in(duckdb, elsewhere):
    relation = ColumnarRelation.of_relation(duckdb, elsewhere(), schema_of(Person))
    assert (relation.count, rows(relation)) == (2, [("1", "Ann"), ("2", "Bob")])


def test_rows_whose_values_are_converted_are_looked_through(duckdb):
    relation = ColumnarRelation.of_relation(duckdb, Elsewhere(), schema_of(Numbered))
    assert relation.count == 2
    assert relation.present([1, 3, "1"]) == {1}


# Files --------------------------------------------------------------------------------------------------------------


def test_a_file_stays_where_it_is(tmp_path):
    people = loaded(written(tmp_path / "a.parquet", idnumber=["2", "1"], name=["Bob", "Ann"]))
    assert isinstance(people.contents.objects, TableObjects)
    assert [(key, one.name) for key, one in people.items()] == [("1", "Ann"), ("2", "Bob")]
    assert people["2"].name == "Bob"
    assert "3" not in people


def test_a_file_that_was_replaced_is_still_read_as_it_was(tmp_path):
    path = written(tmp_path / "a.parquet", idnumber=["1"], name=["Ann"])
    people = loaded(path)
    written(tmp_path / "b.parquet", idnumber=["9"], name=["Zed"]).replace(path)
    assert list(people) == ["1"]


def test_a_file_that_was_written_to_is_refused(tmp_path):
    path = written(tmp_path / "a.parquet", idnumber=["1"], name=["Ann"])
    people = loaded(path)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(MalformedFileError, match=r"a\.parquet: the file changed after it was imported"):
        list(people)


def test_a_file_that_changes_before_it_is_opened_again_is_no_table(tmp_path):
    path = written(tmp_path / "a.parquet", idnumber=["1"])
    with pytest.raises(CannotPushDown, match="the file changed"):
        HeldFile(path, (0, 0, 0, 0))
    state = file_state(path.stat())
    path.unlink()
    with pytest.raises(CannotPushDown, match="cannot be opened again"):
        HeldFile(path, state)


def test_without_file_descriptors_in_the_file_system_the_path_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr("datastoresync.engines.duckdb.relation._OWN", tmp_path / "nowhere")
    path = written(tmp_path / "a.parquet", idnumber=["1"], name=["Ann"])
    people = loaded(path)
    assert list(people) == ["1"]
    strange = written(tmp_path / "a[1].parquet", idnumber=["1"])
    assert "takes for a pattern" in loaded(strange).contents.reason
    os.utime(path, ns=(1, 1))
    with pytest.raises(MalformedFileError, match="changed after it was imported"):
        list(people)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"idnumber": ["1"], "A": ["x"], "a": ["y"]}, "differ only in case"),
        ({"idnumber": ["1"], "a": [["x"]]}, "a is of the Arrow type list"),
        ({"idnumber": ["1", "1"]}, ""),
        ({"idnumber": ["1\0"]}, "there is a value that SQL"),
        ({"idnumber": pyarrow.array([2**64 - 1], pyarrow.uint64())}, "there is a value that SQL"),
        ({"idnumber": ["1"], "a": pyarrow.array([1.5], pyarrow.float16())}, "a is of the Arrow type halffloat"),
    ],
)
def test_what_duckdb_takes_for_something_else_becomes_objects(tmp_path, columns, why):
    path = written(tmp_path / "a.parquet", **columns)
    if not why:
        with pytest.raises(Exception, match="idnumber '1' is already"):
            loaded(path)
        return
    people = loaded(path)
    assert why in people.contents.reason
    assert len(people) == 1


def test_a_column_that_duckdb_takes_for_something_else_becomes_objects(tmp_path, duckdb, monkeypatch):
    path = written(tmp_path / "a.parquet", idnumber=["1"], value=[1])
    source_info = read_parquet(path).source_info
    monkeypatch.setattr(
        "datastoresync.engines.duckdb.parquet.kind_of",
        lambda library, name, kind: kind_of(library, name, pyarrow.string()),
    )
    with pytest.raises(CannotPushDown, match="DuckDB takes value for BIGINT"):
        ColumnarRelation.of_files(duckdb, source_info, schema_of(Person))


def test_files_whose_columns_have_different_types_become_objects(tmp_path):
    written(tmp_path / "a.parquet", idnumber=["1"], value=[1])
    written(tmp_path / "b.parquet", idnumber=["2"], value=["1"])
    people = loaded(str(tmp_path / "*.parquet"))
    assert people.contents.reason == "value is of different types in the files"


def test_files_of_which_one_has_only_none_in_a_column_are_one_table(tmp_path):
    written(tmp_path / "a.parquet", idnumber=["1"], value=[1])
    written(tmp_path / "b.parquet", idnumber=["2"], value=pyarrow.nulls(1))
    people = loaded(str(tmp_path / "*.parquet"))
    assert not people.contents.reason
    assert [one.value for one in people.values()] == [1, None]


def test_a_damaged_page_is_found_when_the_file_is_imported(tmp_path):
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"idnumber": ["1", "2"], "name": ["Ann", "Bob" * 100]})
    parquet.write_table(table, path, compression="gzip")
    content = bytearray(path.read_bytes())
    place = parquet.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    content[place + 20 : place + 60] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"broke off|holds a value"):
        loaded(path)


def test_arrays_of_moments_without_any_are_nulls():
    assert array_of(pyarrow, "when", [None, None])[0].type == pyarrow.null()


def test_decimals_of_other_digits_in_another_file_keep_them(tmp_path):
    for name, value in (("a", "1.0"), ("b", "1.00")):
        table = pyarrow.table({"idnumber": [name], "name": [Decimal(value)]})
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    people = +Branch(Object, importer=ParquetImporter(tmp_path / "*.parquet"), engine="duckdb")
    assert [str(item.name) for item in people.range()] == ["1.0", "1.00"]


@pytest.mark.parametrize("declared", [str, Decimal, float, int, list, dict | list | None])
def test_decimals_of_a_scale_beyond_sql_s_own_are_taken_by_any_declared_type(declared):
    cls = type("Declared", (Object,), {"__annotations__": {"rate": declared}})

    def found(engine):
        sides = []
        for scale in (2, 20):
            rates = pyarrow.array([Decimal("1.10"), Decimal(2)], pyarrow.decimal128(38, scale))
            table = pyarrow.table({"idnumber": ["1", "2"], "rate": rates})
            sides.append(Tree(f"scale{scale}", branches={"rates": Branch(cls, importer=table, engine=engine)}))
        try:
            return list(+sides[0] - +sides[1])
        except ImporterError as error:
            return str(error)

    assert found("duckdb") == found("memory")
