"""Sheets of workbooks as the rows of a branch."""

from __future__ import annotations

import re
from datetime import date

import openpyxl
import pytest
from workbooks import book, merge

from datastoresync import Branch, ExcelImporter, ImporterError, Object, Tree
from datastoresync.app import App, SyncerReader, SyncerWriter
from datastoresync.errors import ConversionError, DeclarationError, MalformedFileError
from datastoresync.syncers import open_syncer

ROWS = [["Pupils of 2024"], ["Number", "name", "grade", "born"], ["1", "Ann", "7", date(2010, 1, 2)], ["In all: 1"]]
OPTIONS = {"skip_rows": 1, "footer": 1, "columns": {"idnumber": "Number"}}


class Pupil(Object):
    name: str
    grade: int
    born: date


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pupils.xlsx"


def load(cls, importer):
    return +Branch(cls, importer=importer)


def test_a_sheet_becomes_objects_of_declared_types(path):
    book(path, pupils=ROWS)
    (pupil,) = load(Pupil, ExcelImporter(path, **OPTIONS)).values()
    assert (pupil.idnumber, pupil.name, pupil.grade, pupil.born) == ("1", "Ann", 7, date(2010, 1, 2))


def test_numbers_stored_as_text_stay_text_where_no_type_is_declared(path):
    book(path, one=[["idnumber", "n"], ["007", 7], ["008", "7,5"]])
    assert [row.n for row in load(Object, ExcelImporter(path)).values()] == [7, "7,5"]

    class Typed(Object):
        n: float

    with pytest.raises(ConversionError, match=r"row 3.*'7,5'.*decimal=','"):
        load(Typed, ExcelImporter(path))
    assert [row.n for row in load(Typed, ExcelImporter(path, decimal=",")).values()] == [7.0, 7.5]


def test_several_workbooks_and_one_sheet_of_several(tmp_path):
    book(tmp_path / "a.xlsx", one=[["idnumber"], ["1"]], two=[["idnumber"], ["9"]])
    book(tmp_path / "b.xlsx", one=[["idnumber"], ["2"]])
    assert list(load(Object, ExcelImporter(tmp_path / "*.xlsx", sheet="one"))) == ["1", "2"]
    with pytest.raises(MalformedFileError, match=r"a\.xlsx: say which of its sheets is read: there are 'one', 'two'"):
        load(Object, ExcelImporter(tmp_path / "a.xlsx"))
    with pytest.raises(MalformedFileError, match="no sheet is called 'three': there are 'one', 'two'"):
        load(Object, ExcelImporter(tmp_path / "a.xlsx", sheet="three"))
    with pytest.raises(DeclarationError, match="skip_rows is a number"):
        ExcelImporter(tmp_path / "a.xlsx", skip_rows=-1)


def test_merged_cells_never_become_none_without_a_word(path):
    merge(path, [["idnumber", "name", "class"], ["1", "Ann", "7a"], ["2", "Bob"], ["3", "Cid"]], "C2:C4")
    syncer = open_syncer(f"xlsx:{path}")
    with pytest.raises(ImporterError, match=r"cells C2:C4 are merged, .*\?merged=fill"):
        +Tree("t", syncer=syncer, branches={"Sheet": Branch(Object, table="one")})
    tree = +Tree("t", syncer=open_syncer(f"xlsx:{path}?merged=fill"), branches={"pupils": Branch(Object, table="one")})
    assert {getattr(pupil, "class") for pupil in tree.pupils.values()} == {"7a"}


def test_the_command_line_has_the_options_and_names_them(path, tmp_path):
    book(path, pupils=ROWS)
    out = tmp_path / "out"
    out.mkdir()
    given = ["--from", f"xlsx:{path}", "--to", f"csv:{out}", "--key", "Number"]
    refused = App(SyncerReader(), SyncerWriter()).run(given)
    assert not refused.ok
    reason = str(refused.reader.error)
    assert "there are 'Pupils of 2024'; if they are no header, --skip-rows 1, say, skips lines above it" in reason
    assert not App(SyncerReader(), SyncerWriter()).run([*given, "--skip-rows", "1", "--header", "no,such"]).ok
    assert App(SyncerReader(), SyncerWriter()).run([*given, "--skip-rows", "1", "--footer", "1"]).ok
    assert (out / "pupils.csv").read_text(encoding="utf-8") == "Number,name,grade,born\n1,Ann,7,2010-01-02\n"


# --- bad rows -------------------------------------------------------------------------------------------------------

ROWS_OF_PEOPLE = [
    ["idnumber", "name", "grade"],
    ["1", "Ann", 7],
    ["2", "#N/A", 3],
    ["3", "Bob", "=1+1"],
    ["4", "Cid", 5, "behind"],
    ["5", "Dan", 6],
    ["6", "Eve", None],
    ["7", "Fay", "x"],
    [None, "Gus", 1],
    ["9", "Hal", 2],
]


def bad_rows_of(path, cls=None, **options):
    branch = Branch(cls or Object, importer=ExcelImporter(path, on_bad_row="collect", **options)).load()
    return list(branch), [(int(re.search(r"row (\d+)", bad.where)[1]), bad.message) for bad in branch.imported.bad_rows]


@pytest.fixture
def people(tmp_path):
    made = openpyxl.Workbook()
    for row in ROWS_OF_PEOPLE:
        made.active.append(row)
    made.active["B3"].data_type = "e"
    made.active.merge_cells("B6:C6")
    made.save(tmp_path / "people.xlsx")
    return tmp_path / "people.xlsx"


def test_every_bad_row_of_a_workbook_is_collected(people):
    class Person(Object):
        name: str
        grade: int | None

    good, bad = bad_rows_of(people, Person)
    assert good == ["1", "6", "9"]
    reasons = dict(bad)
    assert sorted(reasons) == [3, 4, 5, 6, 8, 9]
    for number, reason in (
        (3, "an error, #N/A"),
        (4, "a formula whose result was not saved"),
        (5, "a value stands behind the last of the 3 columns"),
        (6, "cells B6:C6 are merged"),
        (8, "grade: 'x' is not an int"),
        (9, "idnumber is None"),
    ):
        assert reason in reasons[number]
    assert bad_rows_of(people)[0] == ["1", "6", "7", "9"]
    with pytest.raises(MalformedFileError, match="row 3, cell B3: an error, #N/A"):
        Branch(Person, importer=ExcelImporter(people)).load()


def test_rows_of_which_none_is_good_leave_nothing_behind(tmp_path):
    book(tmp_path / "a.xlsx", one=[["idnumber"], ["1", "x"], ["2", "x"]])
    assert bad_rows_of(tmp_path / "a.xlsx")[0] == []
    book(tmp_path / "a.xlsx", one=[["1", "x"], ["2", "x", "y"]])
    good, bad = bad_rows_of(tmp_path / "a.xlsx", header=["idnumber", "name"])
    assert (good, [number for number, _ in bad]) == (["1"], [2])


def test_a_merged_header_is_no_bad_row(tmp_path):
    merge(tmp_path / "a.xlsx", [["idnumber", "name"], ["1", "Ann"], ["2", "Bob"]], "B1:B2")
    with pytest.raises(MalformedFileError, match="of the header are merged"):
        bad_rows_of(tmp_path / "a.xlsx")


def test_what_was_left_out_is_known_to_a_sync(people):
    class Person(Object):
        name: str

    source = Branch(Person, importer=ExcelImporter(people, columns=["idnumber", "name"], on_bad_row="collect")).load()
    assert source.side().rejected == 3
