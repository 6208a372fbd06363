"""Sheets as others fill them: what is read of them, where the table stands in them, and workbooks made to do harm."""

from __future__ import annotations

import time as clock
import tracemalloc
import zipfile
from datetime import date, datetime, time, timedelta

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from profiles import examples
from workbooks import SHEET, book, merge, rewrite, tables, with_sheet

from datastoresync.errors import ColumnError, DeclarationError, MalformedFileError, SyncerError
from datastoresync.syncers import open_syncer
from datastoresync.syncers.files import excel_package, excel_reader
from datastoresync.syncers.files.excel import ExcelSyncer

law = settings(deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "book.xlsx"


def read(path, **options):
    return ExcelSyncer(path, **options).load("one")


@law
@given(data=tables)
def test_what_patterns_read_is_what_a_parser_reads(tmp_path, data):
    ExcelSyncer(tmp_path).dump("t", data=data)
    expected = ExcelSyncer(tmp_path).load("t")
    for block in (100, 300):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(excel_package, "_BLOCK", block)
            assert ExcelSyncer(tmp_path).load("t") == expected
            patch.setattr("datastoresync.syncers.files.excel_reader._Sheet.plain", lambda self, segment: False)
            assert ExcelSyncer(tmp_path).load("t") == expected


PARTS_OF_ROWS = {
    "a comment": "<!-- <row r='1'><c r='A1' t='s'><v>9</v></c></row> -->",
    "an attribute in front": '<row spans="1:2" r="2"><c t="n" r="A2"><v>1</v></c></row>',
    "no positions": "<row><c><v>1</v></c><c><v>2</v></c></row>",
    "formats within a text": '<row r="2"><c r="A2" t="inlineStr"><is><r><t>a</t></r><r><t> b</t></r></is></c></row>',
    "its pronunciation": '<row><c t="inlineStr"><is><t>a</t><rPh sb="0" eb="1"><t>x</t></rPh></is></c></row>',
    "sections": '<row r="2"><c r="A2" t="str"><v><![CDATA[<a&b>]]></v></c></row>',
    "entities": '<row r="2"><c r="A2" t="str"><v>&lt;a&#233;&amp;lt;</v></c></row>',
    "plain entities": '<row r="2"><c r="A2" t="str"><v>&lt;a&amp;lt;</v></c></row>',
    "empty ones": '<row r="2" s="0"/><row r="3"><c r="A3" s="0"/></row><row r="4"><c r="B4"><v>7</v></c></row>',
    "line ends": '<row r="2"><c r="A2" t="str"><v>a\r\nb</v></c></row>',
    "other letters": '<row r="2"><c r="A2" t="str"><v>Müller 😀</v></c></row>',
}


@pytest.mark.parametrize("content", PARTS_OF_ROWS.values(), ids=PARTS_OF_ROWS)
def test_rows_are_read_as_openpyxl_reads_them_wherever_blocks_end(path, monkeypatch, content):
    head = '<row r="1"><c r="A1" t="str"><v>id</v></c><c r="B1" t="str"><v>n</v></c></row>'
    with_sheet(path, head + content + '<row r="9"><c r="A9" t="str"><v>z</v></c></row>')
    sheet = openpyxl.load_workbook(path)["one"]
    expected = [
        (id_, n) for id_, n in sheet.iter_rows(min_row=2, max_col=2, values_only=True) if (id_, n) != (None,) * 2
    ]
    for block in (7, 64, 2**18):
        monkeypatch.setattr(excel_package, "_BLOCK", block)
        assert [tuple(record.values()) for record in read(path)] == expected


def test_texts_that_cells_share_are_read_without_formats_and_pronunciation(path, monkeypatch):
    texts = "<si><t>id</t></si><si><t xml:space='preserve'> a</t></si>" + "<si><t>_x0041_&amp;</t></si>" * 3
    texts += "<si><r><t>b</t></r><r><t>c</t></r><rPh sb='0' eb='1'><t>x</t></rPh></si><si/><si><t>end</t></si>"
    cells = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>{n - 1}</v></c></row>' for n in range(1, 9))
    with_sheet(path, cells, parts={"xl/sharedStrings.xml": f"<sst xmlns='x'>{texts}</sst>"})
    rewrite(
        path,
        "xl/_rels/workbook.xml.rels",
        b"</Relationships>",
        b'<Relationship Id="t" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    )
    for block in (16, 2**18):
        monkeypatch.setattr(excel_package, "_BLOCK", block)
        assert [record["id"] for record in read(path)] == [" a", "A&", "A&", "A&", "bc", "", "end"]


# --- where the table is -----------------------------------------------------------------------------------------------

TITLED = [["List of pupils"], [], ["id", "name", None, "id"], ["1", "Ann", "x", 9], ["2", "Bob"], ["2 pupils"]]


def test_title_footer_and_columns_that_nobody_wants_are_left_unread(path):
    book(path, one=TITLED)
    options = {"skip_rows": 1, "footer": 1, "columns": ["name"]}
    assert read(path, **options) == [{"name": "Ann"}, {"name": "Bob"}]
    assert read(path, **{**options, "skip_rows": 2}) == [{"name": "Ann"}, {"name": "Bob"}]
    records = ExcelSyncer(path, **options).read("one")
    assert len(list(records)) == 2
    assert records.where(1) == f"{path}, sheet 'one', row 5"
    assert read(path, **{**options, "columns": [("label", "name")]})[0] == {"label": "Ann"}


def test_options_are_the_same_in_urls(path):
    book(path, one=TITLED)
    url = f"xlsx:{path}?skip_rows=2&footer=1&columns=name"
    assert open_syncer(url).load("one") == [{"name": "Ann"}, {"name": "Bob"}]
    with pytest.raises(
        MalformedFileError, match=r"column 3 of the header has no name: .* let \?columns=name leave others unread"
    ):
        open_syncer(f"xlsx:{path}?skip_rows=2").load("one")
    assert open_syncer(f"xlsx:{path}?skip_rows=3&header=id,name,,&footer=1").load("one")[0] == {
        "id": "1",
        "name": "Ann",
    }
    with pytest.raises(SyncerError, match=r"has no option 'skip_row': .*skip_rows"):
        open_syncer(f"xlsx:{path}?skip_row=2")


def test_without_a_header_columns_are_numbered_or_named(path):
    book(path, one=[["1", "Ann", 7], ["2", "Bob", None]])
    assert read(path, header=False)[1] == {"column_1": "2", "column_2": "Bob", "column_3": None}
    assert read(path, header=("id", "", "grade")) == [{"id": "1", "grade": 7}, {"id": "2", "grade": None}]
    with pytest.raises(MalformedFileError, match="row 1, cell C1: a value stands behind the last of the 2 columns"):
        read(path, header=("id", "name"))


def test_renamed_columns_keep_the_others(path):
    book(path, one=[["Pupil", "name"], ["1", "Ann"]])
    assert read(path, columns={"idnumber": "Pupil"}) == [{"idnumber": "1", "name": "Ann"}]
    with pytest.raises(ColumnError, match=r"sheet 'one', row 1.*no column 'Pupils'.*Pupil"):
        read(path, columns=["Pupils"])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["Title"], ["id", "name"], ["1", "Ann"]], "if row 1 stands above the header, skip_rows=1 skips it"),
        (
            [["id", None, "name"]],
            r"column 2 of the header has no name: .* columns=\('id', 'name'\) leave others unread",
        ),
        ([["id", 2024, "name"]], r"a int for a name: .* columns=\('id', 'name'\) leave others unread"),
        ([["id", "n"], ["1", "#N/A"]], "an error, #N/A, .* null='#N/A' takes it for an empty one"),
    ],
)
def test_a_refusal_names_the_option_that_reads_the_sheet(path, rows, says):
    made = openpyxl.Workbook()
    made.active.title = "one"
    for row in rows:
        made.active.append(row)
    made.save(path)
    with pytest.raises(MalformedFileError, match=says):
        read(path)


def test_faults_in_columns_that_nobody_wants_do_not_matter(path):
    made = openpyxl.Workbook()
    made.active.title = "one"
    for row in (["id", "sum", "error"], ["1", "=1+1", "#N/A"]):
        made.active.append(row)
    made.save(path)
    assert read(path, columns=["id"]) == [{"id": "1"}]
    assert read(path, columns=["id", "error"], null="#N/A") == [{"id": "1", "error": None}]


def test_ghost_rows(path):
    made = openpyxl.Workbook()
    made.active.title = "one"
    for row in (["id", "name"], ["1", "Ann"], [None, " "], ["", ""], ["2", ""]):
        made.active.append(row)
    made.active["A9"].number_format = "0.00"
    made.save(path)
    assert len(read(path)) == 4
    assert read(path, blank_rows="skip") == [{"id": "1", "name": "Ann"}, {"id": "2", "name": ""}]


def test_the_text_that_stands_for_none(path):
    book(path, one=[["id", "n"], ["1", "-"], ["-", 3]])
    assert read(path, null="-") == [{"id": "1", "n": None}, {"id": None, "n": 3}]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"skip_rows": -1}, "skip_rows is a number, 0 or more"),
        ({"skip_rows": "1"}, "skip_rows is a number"),
        ({"footer": True}, "footer is a number"),
        ({"header": "id"}, "header is True, False, or the names"),
        ({"merged": "yes"}, "merged is 'refuse' or 'fill'"),
    ],
)
def test_options_are_checked(path, options, says):
    with pytest.raises(DeclarationError, match=says):
        ExcelSyncer(path, **options)


def test_more_rows_skipped_than_there_are(path):
    book(path, one=[["id"], ["1"]])
    with pytest.raises(MalformedFileError, match="nothing stands below the rows that skip_rows=2 skips"):
        read(path, skip_rows=2)


def test_a_workbook_read_with_options_is_not_written(path):
    book(path, one=TITLED)
    before = path.read_bytes()
    with pytest.raises(SyncerError, match=r"is read with footer=1, skip_rows=2, and would lose"):
        ExcelSyncer(path, skip_rows=2, footer=1).append("one", data=[{"id": "3"}])
    assert path.read_bytes() == before


# --- merged cells -----------------------------------------------------------------------------------------------------


CLASSES = [["id", "class"], ["1", "7a"], ["2", None], [None, None], ["3", None], ["4", "8b"]]


def test_merged_cells_are_refused_or_filled(path):
    merge(path, CLASSES, "B2:B5")
    with pytest.raises(
        MalformedFileError, match=r"row 2: cells B2:B5 are merged, .* let merged='fill' give it to each"
    ):
        read(path)
    records = read(path, merged="fill")
    assert [record["class"] for record in records] == ["7a", "7a", "7a", "8b"]
    assert [record["id"] for record in read(path, columns=["id"])] == ["1", "2", "3", "4"]


def test_cells_merged_across_columns_are_filled_too(path):
    merge(path, [["id", "a", "b"], ["1", "x", None], ["2", "y", "z"]], "B2:C2")
    with pytest.raises(MalformedFileError, match="cells B2:C2 are merged"):
        read(path)
    assert read(path, merged="fill")[0] == {"id": "1", "a": "x", "b": "x"}


def test_cells_merged_outside_of_the_table_do_not_matter(path):
    merge(path, [["Title", None], ["id", "name"], ["1", "Ann"], ["Total", None]], "A1:B1", "A4:B4", "D2:E9")
    assert read(path, skip_rows=1, footer=1) == [{"id": "1", "name": "Ann"}]


def test_a_header_of_two_rows_is_refused_with_the_way_to_read_it(path):
    merge(path, [["id", "Name", None], [None, "first", "last"], ["1", "Ann", "Lee"]], "A1:A2", "B1:C1")
    says = "cells A1:A2 of the header are merged .* skip_rows=1 and merged='fill' take row 2 as the header"
    with pytest.raises(MalformedFileError, match=says):
        read(path, columns=["id"])
    assert read(path, skip_rows=1, merged="fill") == [{"id": "1", "first": "Ann", "last": "Lee"}]


def test_fewer_rows_than_are_left_unread_are_refused(path):
    book(path, one=[["id"], ["1"], ["2"]])
    assert read(path, footer=2) == []
    with pytest.raises(MalformedFileError, match="row 3: the table has 2 rows, and footer=3: it may be cut off"):
        read(path, footer=3)


# --- values -----------------------------------------------------------------------------------------------------------

DAY = datetime(2024, 2, 29)  # noqa: DTZ001 - cells have no time zone


@pytest.mark.parametrize("epoch", [None, CALENDAR_MAC_1904])
@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (DAY, "yyyy-mm-dd", DAY.date()),
        (DAY, "DD/MM/YYYY", DAY.date()),
        (DAY, "mmm yy", DAY.date()),
        (DAY, "[$-407]d. mmmm yyyy;@", DAY.date()),
        (DAY, 'dddd "the day"', DAY.date()),
        (DAY, "dd.mm.yyyy hh:mm", DAY),
        (DAY.replace(hour=6, minute=30), "dd.mm.yyyy", DAY.replace(hour=6, minute=30)),
        (datetime(1904, 1, 2), "yyyy-mm-dd", date(1904, 1, 2)),  # noqa: DTZ001 - as above
        (time(6, 30), "h:mm AM/PM", time(6, 30)),
        (timedelta(hours=30), "[h]:mm", timedelta(hours=30)),
        (45000, "0.00", 45000),
        (45000, '0 "days"', 45000),
        (45000, "[Red]0;[Blue]-0", 45000),
        (45000, "General", 45000),
        (0.5, "0%", 0.5),
        (True, "General", True),
        ("007", "General", "007"),
        ("'quoted", "@", "'quoted"),
    ],
)
def test_values_are_of_the_types_that_cells_show_in_both_epochs(path, epoch, value, code, expected):
    made = openpyxl.Workbook()
    if epoch:
        made.epoch = epoch
    made.active.title = "one"
    made.active.append(["v"])
    made.active.append([value])
    made.active["A2"].number_format = code
    made.save(path)
    (record,) = read(path)
    assert (record["v"], type(record["v"])) == (expected, type(expected))


def test_the_first_day_of_the_later_epoch_is_a_date(path):
    made = openpyxl.Workbook()
    made.epoch = CALENDAR_MAC_1904
    made.active.title = "one"
    made.active.append(["v"])
    made.active.append([0])
    made.active["A2"].number_format = "yyyy-mm-dd"
    made.save(path)
    assert read(path) == [{"v": date(1904, 1, 1)}]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ('<c r="A2" t="n"><v>abc</v></c>', "'abc', which is no value of a cell of its type"),
        ('<c r="A2" t="s"><v>99</v></c>', "'99', which is no value"),
        ('<c r="A2" t="z"><v>1</v></c>', "'1', which is no value"),
        ('<c r="A2" t="d"><v>soon</v></c>', "'soon', which is no value"),
        ('<c r="A2"><v>1e999</v></c>', "'1e999', which is no value"),
        ('<c r="A2" t="s"><v>-1</v></c>', "'-1', which is no value"),
        ('<c r="A2" t="b"><v>TRUE</v></c>', "'TRUE', which is no value"),
        ('<c r="A2"><v>1</v></c><c r="A2"><v>2</v></c>', "'2', and another value before it"),
    ],
)
def test_a_cell_that_is_damaged_is_refused_with_its_place(path, cell, says):
    with_sheet(path, f'<row r="1"><c r="A1" t="str"><v>id</v></c></row><row r="2">{cell}</row>')
    with pytest.raises(MalformedFileError, match=f"row 2, cell A2: {says}"):
        read(path)


@pytest.mark.parametrize(("number", "day"), [(59, date(1900, 2, 28)), (60, None), (60.5, None), (61, date(1900, 3, 1))])
def test_the_day_that_1900_did_not_have_is_refused(path, number, day):
    made = openpyxl.Workbook()
    made.active.title = "one"
    made.active.append(["v"])
    made.active.append([number])
    made.active["A2"].number_format = "yyyy-mm-dd"
    made.save(path)
    if day is None:
        with pytest.raises(MalformedFileError, match=f"cell A2: the number {number}, which is no date"):
            read(path)
    else:
        assert read(path) == [{"v": day}]


def test_a_number_that_is_no_date_is_refused_with_its_place(path):
    made = openpyxl.Workbook()
    made.active.title = "one"
    made.active.append(["v"])
    made.active.append([99_999_999])
    made.active["A2"].number_format = "yyyy-mm-dd"
    made.save(path)
    with pytest.raises(MalformedFileError, match="cell A2: the number 99999999, which is no date"):
        read(path)


# --- workbooks made to do harm ----------------------------------------------------------------------------------------

HEAD = '<row r="1"><c r="A1" t="str"><v>id</v></c></row>'
HARMFUL = {
    "a row of two billion": (HEAD + '<row r="2000000000"><c r="A2000000000"><v>1</v></c></row>', "row 2000000000 "),
    "a row behind a sheet": (
        HEAD + '<row r="1048577"><c r="A1048577"><v>1</v></c></row>',
        "a sheet has 1,048,576 rows",
    ),
    "rows in disorder": (HEAD + '<row r="3"/><row r="2"/>', "row 2 stands behind row 3"),
    "a column behind a sheet": (HEAD + '<row r="2"><c r="XFE2"><v>1</v></c></row>', "a sheet has 16,384 columns"),
    "20,000 columns": ('<row r="1">' + '<c t="str"><v>a</v></c>' * 20_000 + "</row>", "more than 16,384 cells"),
    "20,000 empty cells": (HEAD + f'<row r="2">{"<c/>" * 20_000}</row>', "more than 16,384 cells"),
    "a long text": (HEAD + f'<row r="2"><c r="A2" t="str"><v>{"x" * 2**21}</v></c></row>', "more than 1,048,576 char"),
}


def measured(action):
    tracemalloc.start()
    started = clock.process_time()
    try:
        action()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert clock.process_time() - started < 10
        assert peak < 64 * 2**20


@pytest.mark.parametrize(("rows", "says"), HARMFUL.values(), ids=HARMFUL)
def test_sheets_made_to_do_harm_are_refused_at_little_cost(path, rows, says):
    with_sheet(path, rows)
    with pytest.raises(MalformedFileError, match=f"{says}.*: copy the table into a new workbook, or save it as CSV"):
        measured(lambda: read(path))


@pytest.mark.parametrize("part", [SHEET, "xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml"])
def test_parts_that_unpack_to_much_more_than_they_are_are_refused(path, monkeypatch, part):
    monkeypatch.setattr(excel_package, "_UNPACKED", 2**20)
    with_sheet(path, HEAD, parts={part: b"0" * 2**21})
    if part == "xl/sharedStrings.xml":
        rewrite_relations(path)
    with pytest.raises(MalformedFileError, match=rf"{part} would unpack to 2 MB, [\d,]+ times its size: copy"):
        measured(lambda: read(path))


def rewrite_relations(path):
    rewrite(
        path,
        "xl/_rels/workbook.xml.rels",
        b"</Relationships>",
        b'<Relationship Id="t" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        compression=zipfile.ZIP_DEFLATED,
    )


def test_a_packing_without_bounds_is_refused(path):
    with_sheet(path, HEAD, compression=zipfile.ZIP_BZIP2)
    with pytest.raises(MalformedFileError, match="is packed as Excel packs none"):
        read(path)


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/styles.xml"])
def test_entities_of_a_document_are_refused(path, part):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
    with_sheet(path, HEAD, parts={part: bomb})
    with pytest.raises(MalformedFileError, match="declares a document type"):
        read(path)


def test_a_sheet_of_few_cells_far_apart_costs_little(path):
    with_sheet(path, HEAD + '<row r="1048576"><c r="A1048576"><v>1</v></c><c r="XFD1048576" s="0"/></row>')
    measured(lambda: read(path))
    assert read(path) == [{"id": 1}]


def test_a_wide_table_that_is_nearly_empty_is_read_by_columns(path, monkeypatch):
    monkeypatch.setattr(excel_reader, "_SPARSE", 2**18)
    names = "".join(f'<c t="str"><v>c{number}</v></c>' for number in range(4_000))
    rows = "".join(f'<row r="{number}"><c r="A{number}"><v>1</v></c></row>' for number in range(2, 200))
    with_sheet(path, f'<row r="1">{names}</row>{rows}')
    with pytest.raises(
        MalformedFileError, match=r"nearly all cells of the 4,000 columns are empty: let columns=\('c0'"
    ):
        read(path)
    assert len(read(path, columns=["c0"])) == 198


def test_cells_far_apart_on_other_sheets_cost_little_when_a_workbook_is_written(path):
    with_sheet(path, HEAD + '<row r="1048576"><c r="XFD1048576"><v>1.5</v></c></row>')
    measured(lambda: ExcelSyncer(path).dump("two", data=[{"id": "1"}]))
    assert openpyxl.load_workbook(path)["one"]["XFD1048576"].value == 1.5


def test_merged_cells_that_overlap_in_great_number_are_refused(path, monkeypatch):
    monkeypatch.setattr(excel_reader, "COLUMNS", 100)
    with_sheet(path, HEAD + '<row r="2000"><c r="A2000"><v>1</v></c></row>')
    areas = "".join(f'<mergeCell ref="A{top}:A2000"/>' for top in range(2, 200))
    rewrite(path, SHEET, b"</sheetData>", f"</sheetData><mergeCells>{areas}</mergeCells>".encode())
    with pytest.raises(MalformedFileError, match="more than 100 groups of merged cells meet in row 2000: copy"):
        measured(lambda: read(path, merged="fill"))


def test_a_workbook_with_a_password_is_refused_with_the_way_out(path):
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512))
    with pytest.raises(MalformedFileError, match=r"save it as \.xlsx, without a password"):
        read(path)
