"""Which sources stay tables: large ones, whose rows nothing in Python must see."""

import pyarrow
import pytest
from pyarrow import parquet

from datastoresync import Branch, CSVImporter, DeclarationError, Importer, Object, SyncerError, Tree
from datastoresync.engines import duckdb as limits
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.select import options_of
from datastoresync.engines.table import TableObjects
from datastoresync.importing.file_importers import ParquetImporter
from datastoresync.syncers.arrow import ArrowStream, read_arrow

TABLE = pyarrow.table({"idnumber": ["1", "2", "3"], "name": ["Ann", "Bob", "Cec"]})


def reader(table=TABLE, size=2):
    return pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=size))


def loaded(source, cls=Object, engine="duckdb"):
    return (+Tree("source", branches={"people": Branch(cls, importer=source, engine=engine)})).people


def is_table(branch):
    return isinstance(branch.contents.objects, TableObjects)


# Names --------------------------------------------------------------------------------------------------------------


def test_an_engine_is_chosen_by_its_name_or_its_settings():
    settings = DuckDB(memory_limit="2GB")
    assert options_of(settings) is settings
    assert all(options_of(name) is None for name in ("auto", "memory", "duckdb", "database", "spark"))


def test_an_unknown_engine_is_refused():
    with pytest.raises(DeclarationError, match=r"'database', 'spark', or DuckDB\(memory_limit=…\) \(got 'quick'"):
        loaded(TABLE, engine="quick")


# Streams ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [TABLE, reader])
def test_a_stream_becomes_a_table(source):
    people = loaded(source)
    assert is_table(people)
    assert {key: one.name for key, one in people.items()} == {"1": "Ann", "2": "Bob", "3": "Cec"}


@pytest.mark.parametrize(("rows", "table"), [(3, True), (4, False)])
def test_only_a_long_stream_becomes_a_table_by_itself(monkeypatch, rows, table):
    monkeypatch.setattr(limits, "LARGE", rows)
    people = loaded(reader, engine="auto")
    assert (is_table(people), people.contents.reason) == (table, "")
    assert list(people) == ["1", "2", "3"]


def twice(keys):
    return pyarrow.table({"idnumber": keys, "name": ["x"] * len(keys)})


@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_stream_that_is_no_table_is_read_from_its_beginning(size):
    with pytest.raises(Exception, match=r"idnumber '1' is already at row 1 of RecordBatchReader") as caught:
        loaded(lambda: reader(twice(["1", "2", "1"]), size))
    assert caught.value.where == "row 3 of RecordBatchReader"


def test_a_stream_whose_types_change_nothing_is_given_back_with_its_values():
    day = pyarrow.array([1000, None, 1001], pyarrow.timestamp("ns"))
    table = TABLE.append_column("day", day)
    with pytest.raises(Exception, match="day holds a value that Python cannot") as caught:
        loaded(lambda: reader(table))
    assert caught.value.where == "row 3 of RecordBatchReader"


def test_a_stream_that_breaks_off_is_refused_with_the_rows_that_came():
    def broken():
        yield TABLE.to_batches()[0]
        raise OSError("no more")

    with pytest.raises(SyncerError, match="RecordBatchReader broke off after 3 rows"):
        loaded(lambda: pyarrow.RecordBatchReader.from_batches(TABLE.schema, broken()))


def test_a_stream_that_breaks_off_while_it_is_looked_into_breaks_off_there(monkeypatch):
    def broken():
        yield TABLE.to_batches()[0]
        raise OSError("no more")

    monkeypatch.setattr(limits, "LARGE", 10)
    with pytest.raises(SyncerError, match="broke off after 3 rows"):
        loaded(lambda: pyarrow.RecordBatchReader.from_batches(TABLE.schema, broken()), engine="auto")


def test_a_stream_that_was_looked_into_can_be_handed_on():
    stream = ArrowStream(TABLE)
    assert stream.has(1)
    assert pyarrow.table(stream) == TABLE
    assert [row["name"] for row in read_arrow(ArrowStream(TABLE))] == ["Ann", "Bob", "Cec"]


def test_a_single_column_is_refused_as_ever():
    with pytest.raises(Exception, match="a single column is no table"):
        loaded(lambda: pyarrow.chunked_array([["a"]]))


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (pyarrow.table({"idnumber": ["1"], "many": [["a"]]}), "many is of the Arrow type list"),
        (pyarrow.table({"idnumber": [1.5]}), "SQL sorts in another way"),
    ],
)
def test_columns_that_are_the_same_nowhere_else_become_objects(table, why):
    people = loaded(table)
    assert why in people.contents.reason
    assert len(people) == 1


# Classes ------------------------------------------------------------------------------------------------------------


class Closed(Object):
    name: str


class Shouting(Object):
    @property
    def shout(self):
        return self.name.upper()


class Through(Object):
    name: str

    def __attrs_post_init__(self):
        self.name = self.name.upper()


class Grouped(Object):
    name: set[str]


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (Through, "Through makes its objects by code of its own"),
        (Grouped, "name of Grouped is a membership"),
        (Closed, ""),
        (Shouting, ""),
    ],
)
def test_what_a_class_does_in_python_makes_objects(cls, why):
    people = loaded(TABLE, cls)
    assert people.contents.reason == why
    assert is_table(people) == (not why)


@pytest.mark.parametrize(
    ("table", "cls", "error"),
    [
        (TABLE.append_column("more", [["a", "b", "c"]]), Closed, "Closed has no 'more'"),
        (TABLE.drop_columns(["idnumber"]), Object, "no column 'idnumber'"),
        (TABLE.append_column("shout", [["a", "b", "c"]]), Shouting, "shout"),
        (TABLE.append_column("name", [["a", "b", "c"]]), Object, "several columns are called 'name'"),
    ],
)
def test_columns_that_do_not_fit_are_refused_as_in_memory(table, cls, error):
    messages = []
    for engine in ("memory", "duckdb"):
        with pytest.raises(Exception, match=error) as caught:
            loaded(table, cls, engine)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


# Files --------------------------------------------------------------------------------------------------------------


def test_a_file_that_only_our_own_reader_is_sure_of_becomes_a_table(tmp_path):
    (tmp_path / "a.csv").write_text('idnumber,name\n1,"Ann\nLee"\n2,Bob\n', encoding="utf-16")
    people = loaded(CSVImporter(tmp_path / "a.csv", encoding="utf-16"))
    assert is_table(people)
    assert people["1"].name == "Ann\nLee"


@pytest.mark.parametrize(("rows", "table"), [(3, True), (4, False)])
def test_only_a_long_parquet_file_becomes_a_table_by_itself(tmp_path, monkeypatch, rows, table):
    parquet.write_table(TABLE, tmp_path / "a.parquet")
    monkeypatch.setattr(limits, "LARGE", rows)
    assert is_table(loaded(ParquetImporter(tmp_path / "a.parquet"), engine="auto")) == table


class Kept(Importer):
    def read(self):
        return TABLE

    def keep(self, row):
        return row["name"] != "Bob"


def test_hooks_in_python_make_objects():
    people = loaded(Kept())
    assert list(people) == ["1", "3"]
    assert people.contents.reason == "keep of Kept is Python"


def test_collected_rows_make_objects(tmp_path):
    parquet.write_table(TABLE, tmp_path / "a.parquet")
    people = loaded(ParquetImporter(tmp_path / "a.parquet", on_bad_row="collect"))
    assert people.contents.reason == "rows that are refused are collected"


def test_rows_from_python_are_objects():
    assert loaded(TABLE.to_pylist).contents.reason == "its rows come from Python"


def test_without_duckdb_large_sources_are_objects(monkeypatch):
    monkeypatch.setattr(limits, "LARGE", 1)
    monkeypatch.setattr(DuckDB, "available", staticmethod(lambda: False))
    people = loaded(TABLE, engine="auto")
    assert "pip install 'datastoresync[duckdb]'" in people.contents.reason


@pytest.mark.parametrize("kind", ["Categorical", "Enum"])
def test_columns_of_categories_are_columns_of_text(kind):
    polars = pytest.importorskip("polars")
    dtype = polars.Categorical if kind == "Categorical" else polars.Enum(["Ann", "Bob"])
    people = loaded(
        polars.DataFrame({"idnumber": ["1", "2"], "name": ["Ann", "Bob"]}, schema_overrides={"name": dtype})
    )
    assert is_table(people)
    assert [item.name for item in people.range()] == ["Ann", "Bob"]


def test_who_stops_reading_a_stream_leaves_the_rest_to_others():
    stream = ArrowStream(reader())
    batches = stream.batches()
    first = next(batches)
    batches.close()
    assert len(first) + sum(map(len, stream.batches())) == 3


def test_columns_with_names_of_python_become_objects_or_errors(tmp_path):
    people = pyarrow.table({"idnumber": ["1"], "__class__": ["x"]})
    with pytest.raises(Exception, match="__class__") as memory:
        loaded(people, engine="memory")
    with pytest.raises(type(memory.value), match="__class__") as table:
        loaded(people)
    assert str(table.value) == str(memory.value)
