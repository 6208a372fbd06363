"""CSV and TSV files: what comes back, what is refused, and what stands in them."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv6Network
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync.errors import DeclarationError, MalformedFileError, RowError, SyncerError
from datastoresync.syncers.files.csv import CSVSyncer, TSVSyncer

law = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
texts |= st.text(alphabet="\r\n\",;|\t'=-+@ \ufeffx", max_size=6)
names = texts.filter(str.strip)
tables = st.lists(names, min_size=1, max_size=4, unique=True).flatmap(
    lambda columns: st.lists(st.fixed_dictionaries(dict.fromkeys(columns, texts)), min_size=1, max_size=5)
)


class Colour(Enum):
    RED = 1


@law
@given(
    data=tables,
    formulas=st.sampled_from(["escape", "keep"]),
    delimiter=st.sampled_from([",", ";", "|", "\t", " ", "'"]),
)
def test_text_comes_back_exactly(tmp_path, data, formulas, delimiter):
    syncer = CSVSyncer(tmp_path, formulas=formulas, delimiter=delimiter)
    syncer.dump("t", data=data)
    assert syncer.load("t") == data
    syncer.dump("t", data=[])
    assert syncer.read("t").columns == tuple(data[0])


@law
@given(data=tables, encoding=st.sampled_from(["utf-8-sig", "utf-16"]))
def test_text_comes_back_exactly_in_other_encodings(tmp_path, data, encoding):
    syncer = TSVSyncer(tmp_path, encoding=encoding)
    syncer.dump("t", data=data)
    assert syncer.load("t") == data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (7, "7"),
        (True, "True"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        (Decimal("1.10"), "1.10"),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02T03:00:00+00:00"),
        (time(3), "03:00:00"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (timedelta(seconds=1.5), "PT1.5S"),
        (IPv6Network("::/64"), "::/64"),
        (Colour.RED, "1"),
        (type("Name", (str,), {})("x"), "x"),
    ],
)
def test_everything_else_becomes_text(tmp_path, value, text):
    syncer = CSVSyncer(tmp_path)
    assert syncer.normalized(value) == text
    syncer.dump("t", data=[{"a": value}])
    assert syncer.load("t") == [{"a": text}]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1], r"a list has no text.*Table\(links"),
        ({1}, r"Table\(links"),
        ({"a": 1}, "a dict has no text"),
        (b"x", "a bytes has no text"),
        ("a\0", "NUL"),
        ("\ud800", "U\\+D800 cannot be written as utf-8"),
        pytest.param(10**5000, "too many digits", id="huge"),
        ("x" * (csv.field_size_limit() + 1), "raise csv.field_size_limit"),
    ],
)
def test_what_could_not_be_read_again_is_refused(tmp_path, value, says):
    syncer = CSVSyncer(tmp_path)
    with pytest.raises(SyncerError, match=says):
        syncer.normalized(value)
    with pytest.raises(SyncerError, match=rf"record 1 for table 't', column 'a': .*{says}"):
        syncer.dump("t", data=[{"a": value}])
    assert syncer.tables() == []


def test_a_row_that_could_not_be_read_again_is_refused(tmp_path):
    with pytest.raises(SyncerError, match="record 1 for table 't' is longer"):
        CSVSyncer(tmp_path).dump("t", data=[{str(number): "x" * 100_000 for number in range(100)}])


@pytest.mark.parametrize(
    ("data", "says"),
    [([{}], "no columns"), ([{" ": "x"}], "name is empty"), ([{"a\0": "x"}], "the name of column .*NUL")],
)
def test_a_header_that_could_not_be_read_again_is_refused(tmp_path, data, says):
    with pytest.raises(SyncerError, match=says):
        CSVSyncer(tmp_path).dump("t", data=data)


def test_text_that_the_encoding_lacks_is_refused(tmp_path):
    with pytest.raises(SyncerError, match=r"U\+540D cannot be written as latin-1"):
        CSVSyncer(tmp_path, encoding="latin-1").dump("t", data=[{"a": "é名"}])


def test_what_stands_in_a_file(tmp_path):
    CSVSyncer(tmp_path).dump("t", data=[{"a": "=1+1", "b": 'say "x", y'}, {"a": "-5", "b": None}])
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n\'=1+1,"say ""x"", y"\n-5,\n'
    CSVSyncer(tmp_path, formulas="keep", delimiter=";").dump("t", data=[{"a": "=1+1", "b": None}])
    assert (tmp_path / "t.csv").read_bytes() == b"a;b\n=1+1;\n"
    TSVSyncer(tmp_path).dump("t", data=[{"a": "x", "b": ""}])
    assert (tmp_path / "t.tsv").read_bytes() == b"a\tb\nx\t\n"
    CSVSyncer(tmp_path, encoding="utf-8-sig").dump("t", data=[{"a": "x"}])
    assert (tmp_path / "t.csv").read_bytes() == b"\xef\xbb\xbfa\nx\n"


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_what_a_program_may_take_for_a_delimiter_stands_in_quotes(tmp_path, sign):
    data = [{f"a{sign}=b": "x"}, {f"a{sign}=b": f"x{sign}=cmd()"}]
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=data)
    assert (tmp_path / "t.csv").read_text() == f'"a{sign}=b"\nx\n"x{sign}=cmd()"\n'
    assert syncer.load("t") == data


def test_a_column_of_empty_text_has_rows(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=[{"a": ""}, {"a": None}])
    assert syncer.load("t") == [{"a": ""}, {"a": ""}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_empty_table_is_told_from_a_file_that_was_cut_off(tmp_path, encoding):
    syncer = CSVSyncer(tmp_path, encoding=encoding)
    syncer.dump("t", data=[])
    assert syncer.load("t") == []
    assert syncer.read("t").where(0).endswith("t.csv:1")
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(MalformedFileError, match="empty"):
        syncer.load("t")


def test_reading_is_strict_and_places_what_is_wrong(tmp_path):
    syncer = CSVSyncer(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(RowError, match=r"t\.csv:3: the row has 1 value"):
        syncer.load("t")
    (tmp_path / "t.csv").write_bytes(b"a\xff\n")
    with pytest.raises(MalformedFileError, match=r"t\.csv:1:2.*not utf-8"):
        syncer.load("t")


def test_a_stream_knows_its_lines(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=[{"a": "two\nlines"}, {"a": "x"}])
    records = syncer.read("t")
    assert list(records) == [{"a": "two\nlines"}, {"a": "x"}]
    assert records.where(1) == f"{tmp_path / 't.csv'}:4"


def test_options_are_checked(tmp_path):
    assert CSVSyncer(tmp_path, delimiter="tab").delimiter == CSVSyncer(tmp_path, delimiter=r"\t").delimiter == "\t"
    with pytest.raises(DeclarationError, match="one character"):
        CSVSyncer(tmp_path, delimiter=",,")
    with pytest.raises(DeclarationError, match="'escape' or 'keep'"):
        CSVSyncer(tmp_path, formulas="yes")
    with pytest.raises(DeclarationError, match="no text encoding"):
        CSVSyncer(tmp_path, encoding="utf-9")
