"""Texts of files that are written into columns with types: read by the options that say how, or refused with these."""

from __future__ import annotations

import sqlite3

import pytest

from datastoresync.app import App, SyncerReader, SyncerWriter

COLUMNS = [
    ("real", "7,50", ["--decimal", ","], 7.5),
    ("numeric", "7,50", ["--decimal", ","], 7.5),
    ("integer", "7,0", ["--decimal", ","], 7),
    ("date", "03.01.2024", ["--dates", "%d.%m.%Y"], "2024-01-03"),
    ("timestamp", "03.01.2024 10:00", ["--dates", "%d.%m.%Y %H:%M"], "2024-01-03 10:00:00.000000"),
    ("boolean", "ja", ["--true", "ja", "--false", "nein"], 1),
]


@pytest.fixture
def database(tmp_path):
    """Run statements in a database, or make the table `things` with a column of a type, and a row."""

    def run(*statements):
        connection = sqlite3.connect(tmp_path / "x.db")
        try:
            with connection:
                return [connection.execute(statement).fetchall() for statement in statements][-1]
        finally:
            connection.close()

    return run


@pytest.fixture
def copied(tmp_path, capsys):
    """Copy a file into the table; return what was said of a failure."""

    def copy(text, *options):
        (tmp_path / "things.csv").write_text(f"idnumber;value\n1;{text}\n2;\n", encoding="utf-8")
        known = ["--from", f"csv:{tmp_path}/things.csv?delimiter=;", "--to", f"sqlite:///{tmp_path}/x.db"]
        report = App(SyncerReader(), SyncerWriter()).run([*known, *options])
        said = capsys.readouterr().err
        assert report.ok == (not said)
        return said

    return copy


def names_all(options, said):
    return all(f"{option} " in said for option in options if option.startswith("--"))


@pytest.mark.parametrize(("kind", "text", "options", "stored"), COLUMNS)
def test_a_text_is_read_as_the_options_say_or_refused_with_them(database, copied, kind, text, options, stored):
    database(f"create table things (idnumber text primary key, value {kind})")
    said = copied(text, "--mode", "replace")
    assert "cannot hold things '1': value: " in said
    assert names_all(options, said)
    assert database("select * from things") == []
    assert copied(text, "--mode", "replace", *options) == ""
    assert database("select * from things order by 1") == [("1", stored), ("2", None)]


@pytest.mark.parametrize("mode", ["sync", "upsert", "append"])
def test_every_mode_does_so(database, copied, mode):
    database("create table things (idnumber text primary key, value real)")
    assert "--decimal , reads it" in copied("7,50", "--mode", mode)
    assert copied("7,50", "--mode", mode, "--decimal", ",") == ""
    assert database("select * from things order by 1") == [("1", 7.5), ("2", None)]


@pytest.mark.parametrize(("kind", "text", "options", "stored"), [COLUMNS[0], COLUMNS[3]])
def test_beside_values_of_the_type_the_option_is_named_too(database, copied, kind, text, options, stored):
    database(
        f"create table things (idnumber text primary key, value {kind})",
        *(f"insert into things values ('{number}', {stored!r})" for number in range(2, 8)),
    )
    said = copied(text, "--mode", "sync", "--allow-deletions", "9", "--allow-updates", "9", "--allow-blanks", "9")
    assert names_all(options, said)


def test_a_preview_refuses_as_well(database, copied):
    database("create table things (idnumber text primary key, value real)")
    assert "--decimal , reads it" in copied("7,50", "--mode", "replace", "--dry-run")


def test_text_stays_in_a_column_of_text_and_in_a_table_that_is_made(database, copied):
    assert copied("7,50", "--mode", "replace") == ""
    assert database("select * from things") == [("1", "7,50"), ("2", "")]
    database("drop table things", "create table things (idnumber text primary key, value varchar(9))")
    assert copied("7,50", "--mode", "append", "--decimal", ",") == ""
    assert database("select * from things") == [("1", "7,50"), ("2", "")]
