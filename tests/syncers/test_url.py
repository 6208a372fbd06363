"""URLs, paths and the names of files become a scheme, a place and options."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datastoresync.errors import SyncerError
from datastoresync.syncers.registry import parse_address
from datastoresync.syncers.url import Address

texts = st.text(st.characters(codec="utf-8"), max_size=8)


@given(place=texts, options=st.dictionaries(texts.filter(bool), texts, max_size=3))
def test_whatever_is_percent_encoded_comes_back(place, options):
    assume(not place.startswith("/"))
    address = parse_address(f"csv:{quote(place)}?{urlencode(options)}")
    assert (address.scheme, address.path, address.options) == ("csv", place, options)


@given(name=texts)
def test_the_name_of_a_file_is_taken_as_it_is(name):
    assume(name and "/" not in name)
    address = parse_address(f"./{name}.csv")
    assert (address.scheme, address.path, address.options) == ("csv", f"./{name}.csv", {})


@pytest.mark.parametrize(
    ("text", "scheme", "place"),
    [
        ("csv:exports", "csv", "exports"),
        ("CSV:exports", "csv", "exports"),
        ("csv:./exports/", "csv", "./exports/"),
        ("csv:my%20exports", "csv", "my exports"),
        ("csv:100%", "csv", "100%"),
        ("csv:a#b+c", "csv", "a#b+c"),
        ("csv:/srv/exports", "csv", "/srv/exports"),
        ("csv:///srv/exports", "csv", "/srv/exports"),
        ("csv:C:\\exports", "csv", "C:\\exports"),
        ("csv:C:/exports", "csv", "C:/exports"),
        ("csv:/C:/exports", "csv", "C:/exports"),
        ("csv:///C:/exports", "csv", "C:/exports"),
        ("csv:C:exports", "csv", "C:exports"),
        ("people.csv", "csv", "people.csv"),
        ("People.CSV", "csv", "People.CSV"),
        ("a b%20?.tsv", "tsv", "a b%20?.tsv"),
        ("C:\\people.json", "json", "C:\\people.json"),
        ("C:people.ndjson", "jsonl", "C:people.ndjson"),
        (Path("a:b.xlsx"), "xlsx", "a:b.xlsx"),
        (Path("/x/y.parquet"), "parquet", "/x/y.parquet"),
        ("store.sqlite3", "sqlite", "//store.sqlite3"),
    ],
)
def test_a_place_is_what_stands_before_the_options(text, scheme, place):
    address = parse_address(text)
    assert address.scheme == scheme
    if scheme == "sqlite":
        assert address.rest == "///store.sqlite3"
    else:
        assert (address.path, address.options) == (place, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("csv:x?delimiter", "options of the csv: URL cannot be read"),
        ("csv:x?a=%ff", "options of the csv: URL cannot be read"),
        ("csv:x?a=1&b=2&a=3", "option 'a' is in the csv: URL twice"),
    ],
)
def test_options_that_cannot_be_read_are_refused(text, says):
    with pytest.raises(SyncerError, match=says):
        _ = parse_address(text).options


def test_a_place_that_is_no_utf_8_is_refused():
    with pytest.raises(SyncerError, match="stands for no UTF-8"):
        _ = parse_address("csv:%ff").path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("people.cvs", r"did you mean '\.csv'\?"),
        ("people", "has neither a scheme, as in csv:exports, nor a suffix"),
        ("", "has neither a scheme"),
        ("a?b.db", "question mark in its name, which the URL of a database cannot have"),
    ],
)
def test_what_does_not_say_what_it_is_is_refused(text, says):
    with pytest.raises(SyncerError, match=says):
        parse_address(text)


def test_a_folder_is_told_how_to_say_what_is_in_it(tmp_path):
    with pytest.raises(SyncerError, match=r"is a folder, and does not say .* write csv:"):
        parse_address(tmp_path)
    (tmp_path / "MANIFEST.json").touch()
    with pytest.raises(SyncerError, match="open it with load_syncer"):
        parse_address(str(tmp_path))


def test_passwords_are_not_shown():
    with pytest.raises(SyncerError) as caught:
        parse_address("//ann:hunter2@host/x")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Address("x", "//ann:hunter2@host"))
