"""Parquet files as importers: one or several into one branch, with the types that they have."""

import datetime
from decimal import Decimal

import pyarrow
import pytest
from pyarrow import parquet

from datastoresync import Branch, ColumnError, DataWarning, MalformedFileError, Object, Tree
from datastoresync.importing.file_importers import ParquetImporter


class User(Object):
    name: str
    grade: int | None = None


def written(path, **columns):
    parquet.write_table(pyarrow.table(columns), path)
    return path


def loaded(importer, object_class=Object):
    return (+Tree("source", branches={"users": Branch(object_class, importer=importer)})).users


def test_values_have_the_types_of_the_file(tmp_path):
    day, price = datetime.date(2024, 2, 29), Decimal("1.50")
    path = written(tmp_path / "a.parquet", idnumber=["007"], code=["1e5"], day=[day], price=[price], number=[2**53 + 1])
    user = loaded(ParquetImporter(path))["007"]
    assert (user.code, user.day, str(user.price), user.number) == ("1e5", day, "1.50", 2**53 + 1)


def test_several_files_become_one_branch_whatever_the_order_of_their_columns(tmp_path):
    written(tmp_path / "a.parquet", idnumber=["1"], name=["Ann"])
    written(tmp_path / "b.parquet", name=["Bob"], idnumber=["2"])
    users = loaded(ParquetImporter(str(tmp_path / "*.parquet")), User)
    assert {key: user.name for key, user in users.items()} == {"1": "Ann", "2": "Bob"}


def test_columns_are_chosen_and_renamed(tmp_path):
    path = written(tmp_path / "a.parquet", id=["1"], full=["Ann"], other=[1])
    users = loaded(ParquetImporter(path, columns=[("idnumber", "id"), ("name", "full")]), User)
    assert users["1"].name == "Ann"


def test_the_newest_file_alone_is_taken(tmp_path):
    written(tmp_path / "2024.parquet", idnumber=["1"], name=["Ann"])
    written(tmp_path / "2025.parquet", idnumber=["2"], name=["Bob"])
    assert list(loaded(ParquetImporter(str(tmp_path / "*.parquet"), newest="name"))) == ["2"]


def test_a_file_without_rows_is_warned_of(tmp_path):
    path = written(tmp_path / "a.parquet", idnumber=pyarrow.array([], pyarrow.string()))
    with pytest.warns(DataWarning, match=r"a\.parquet: the file has columns and no rows"):
        assert len(loaded(ParquetImporter(path))) == 0


def test_one_of_several_files_without_rows_is_warned_of(tmp_path):
    written(tmp_path / "a.parquet", idnumber=pyarrow.array([], pyarrow.string()))
    written(tmp_path / "b.parquet", idnumber=["1"])
    with pytest.warns(DataWarning, match=r"a\.parquet: the file has a header and no rows"):
        assert list(loaded(ParquetImporter(str(tmp_path / "*.parquet")))) == ["1"]


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"idnumber\n1\n"])
def test_what_is_no_parquet_file_is_refused(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(MalformedFileError, match=r"a\.parquet: not a Parquet file"):
        loaded(ParquetImporter(tmp_path / "a.parquet"))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MalformedFileError, match="there is no such file"):
        loaded(ParquetImporter(tmp_path / "a.parquet"))


def test_files_with_other_columns_than_the_first_are_refused(tmp_path):
    written(tmp_path / "a.parquet", idnumber=["1"], name=["Ann"])
    written(tmp_path / "b.parquet", idnumber=["2"], title=["Dr"])
    with pytest.raises(ColumnError, match="they differ in 'name', 'title'"):
        loaded(ParquetImporter(str(tmp_path / "*.parquet")))


def test_a_file_without_columns_is_refused(tmp_path):
    path = written(tmp_path / "a.parquet")
    assert len(loaded(ParquetImporter(path))) == 0
