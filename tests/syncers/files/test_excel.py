"""Excel workbooks: what a cell keeps, what stands in others' workbooks, and what survives."""

from __future__ import annotations

import sys
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from uuid import UUID

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from profiles import examples
from workbooks import book, rewrite, tables

from datastoresync.errors import MalformedFileError, MissingDependencyError, SyncerError
from datastoresync.syncers import files
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.files.excel import ExcelSyncer

law = settings(deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
ROWS = [{"id": "007", "name": "Ann"}]


class Colour(Enum):
    RED = "red"


def kinds(records):
    return [{column: type(value) for column, value in record.items()} for record in records]


@law
@given(data=tables, other=tables)
def test_what_a_cell_can_hold_comes_back_whatever_happens_to_other_sheets(tmp_path, data, other):
    (tmp_path / "book.xlsx").unlink(missing_ok=True)
    for syncer in (ExcelSyncer(tmp_path / "folder"), ExcelSyncer(tmp_path / "book.xlsx")):
        expected = [{column: syncer.normalized(value) for column, value in record.items()} for record in data]
        syncer.dump("t", data=data)
        syncer.dump("other", data=other)
        syncer.dump("other", data=other)
        found = syncer.load("t")
        assert found == expected
        assert kinds(found) == kinds(expected)
        assert syncer.tables() == ["other", "t"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (10**15 - 1, 10**15 - 1),
        (10**15, "1000000000000000"),
        (datetime(2024, 1, 2, 3, 4, 5, 6000), datetime(2024, 1, 2, 3, 4, 5, 6000)),  # noqa: DTZ001 - as cells have none
        (datetime(2024, 1, 2, 3, 4, 5, 6), "2024-01-02T03:04:05.000006"),  # noqa: DTZ001 - as above
        (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00+00:00"),
        (date(1900, 2, 28), "1900-02-28"),
        (date(1900, 3, 1), date(1900, 3, 1)),
        (time(1, 2, 3, 4), "01:02:03.000004"),
        (time(1, tzinfo=UTC), "01:00:00+00:00"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (timedelta(1), "P1D"),
        (IPv4Address("10.0.0.1"), "10.0.0.1"),
        (PurePosixPath("a/b"), "a/b"),
        (Colour.RED, "red"),
        ("x" * 32_767, "x" * 32_767),
    ],
)
def test_what_comes_back_as_text_is_declared(tmp_path, value, kept):
    syncer = ExcelSyncer(tmp_path)
    assert syncer.normalized(value) == kept
    syncer.dump("t", data=[{"a": value}])
    assert syncer.load("t") == [{"a": kept}]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "finite"),
        (float("-inf"), "finite"),
        ("x" * 32_768, "32767 characters"),
        ("😀" * 16_384, "32767 characters"),
        ("\ud800", "half of a surrogate"),
        (b"x", "cannot hold a bytes"),
        ({"a": 1}, "cannot hold a dict"),
        ([1], r"Table\(links"),
        pytest.param(10**5000, "too many digits", id="huge"),
    ],
)
def test_what_no_cell_can_hold_is_refused(tmp_path, value, says):
    syncer = ExcelSyncer(tmp_path)
    with pytest.raises(SyncerError, match=says):
        syncer.normalized(value)
    with pytest.raises(SyncerError, match=rf"record 1 for table 't', column 'a': .*{says}"):
        syncer.dump("t", data=[{"a": value}])


def test_text_is_never_a_formula(tmp_path):
    ExcelSyncer(tmp_path).dump("t", data=[{"=A1": "=1+1"}])
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["t"]
    assert [(cell.value, cell.data_type) for cells in sheet for cell in cells] == [("=A1", "s"), ("=1+1", "s")]


def test_a_record_without_any_value_is_still_one(tmp_path):
    syncer = ExcelSyncer(tmp_path)
    data = [{"a": None, "b": None}, {"a": "", "b": None}, {"a": "x", "b": None}, {"a": None, "b": None}]
    syncer.dump("t", data=data)
    assert syncer.load("t") == data


# --- sheets and workbooks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "identifier",
    ["", " ", "x" * 32, "😀" * 16, "a/b", "a:b", "[a]", "a?", "a*", "a\\b", "'a", "a'", "History", "a\nb", 7],
)
def test_names_that_sheets_cannot_have_are_refused(tmp_path, identifier):
    with pytest.raises(SyncerError, match="cannot be the name of a sheet"):
        ExcelSyncer(tmp_path / "book.xlsx").dump(identifier, data=ROWS)


def test_names_that_excel_takes_for_one_are_refused(tmp_path):
    syncer = ExcelSyncer(tmp_path / "book.xlsx")
    syncer.dump("users", data=ROWS)
    with pytest.raises(SyncerError, match="there is 'users', and Excel ignores case"):
        syncer.dump("Users", data=ROWS)
    with pytest.raises(SyncerError, match="has no table 'Users'"):
        syncer.load("Users")


def test_a_workbook_of_its_own_may_have_any_name(tmp_path):
    syncer = ExcelSyncer(tmp_path)
    syncer.dump("x" * 40, data=ROWS)
    assert syncer.load("x" * 40) == ROWS
    assert openpyxl.load_workbook(tmp_path / f"{'x' * 40}.xlsx").sheetnames == ["Sheet1"]


def test_in_a_folder_the_only_sheet_is_the_table_whatever_it_is_called(tmp_path):
    book(tmp_path / "users.xlsx", Export=[["id"], ["1"]])
    syncer = ExcelSyncer(tmp_path)
    assert syncer.load("users") == [{"id": "1"}]
    syncer.append("users", data=[{"id": "2"}])
    assert openpyxl.load_workbook(tmp_path / "users.xlsx").sheetnames == ["Export"]


def test_in_a_folder_one_of_several_sheets_must_be_called_like_the_table(tmp_path):
    book(tmp_path / "users.xlsx", one=[["id"], ["1"]], users=[["id"], ["2"]])
    book(tmp_path / "groups.xlsx", one=[["id"], ["1"]], two=[["id"], ["2"]])
    syncer = ExcelSyncer(tmp_path)
    assert syncer.load("users") == [{"id": "2"}]
    syncer.dump("users", data=ROWS)
    assert openpyxl.load_workbook(tmp_path / "users.xlsx").sheetnames == ["one", "users"]
    assert openpyxl.load_workbook(tmp_path / "users.xlsx")["one"]["A2"].value == "1"
    with pytest.raises(MalformedFileError, match="no sheet is called 'groups': there are 'one', 'two'"):
        syncer.load("groups")


def test_other_sheets_survive_with_styles_and_floats(tmp_path):
    path = tmp_path / "book.xlsx"
    made = openpyxl.Workbook()
    made.active.title = "kept"
    made.active["A1"] = "total"
    made.active["A2"] = datetime(2024, 1, 2, 3)  # noqa: DTZ001 - cells have no time zone
    made.active["A1"].font = openpyxl.styles.Font(bold=True)
    made.active.column_dimensions["A"].width = 40
    made.create_sheet("users").sheet_state = "hidden"
    made.create_sheet("last")
    made.save(path)
    syncer = ExcelSyncer(path)
    syncer.dump("floats", data=[{"a": 0.1 + 0.2}])
    syncer.dump("users", data=ROWS)
    found = openpyxl.load_workbook(path)
    assert found.sheetnames == ["kept", "users", "last", "floats"]
    assert found["users"].sheet_state == "hidden"
    kept = found["kept"]
    assert (kept["A1"].value, kept["A1"].font.bold, kept["A2"].value.hour) == ("total", True, 3)
    assert kept.column_dimensions["A"].width == 40
    assert syncer.load("floats") == [{"a": 0.1 + 0.2}]


VERBS = {
    "append": lambda syncer: syncer.append("users", data=[{"id": "2"}]),
    "upsert": lambda syncer: syncer.upsert("users", data=[{"id": "1"}], key="id"),
    "update": lambda syncer: syncer.update("users", data=[{"id": "1"}], key="id"),
    "delete": lambda syncer: syncer.delete("users", data=[{"id": "1"}], key="id"),
    "apply_changes": lambda syncer: syncer.apply_changes(
        [Change("delete", Table("users"), ("id",), ("1",))], same=lambda change, attribute, raw, expected: True
    ),
}


def with_formula(path, **sheets):
    book(path, **sheets)
    rewrite(path, "xl/worksheets/sheet1.xml", b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
    return ExcelSyncer(path)


@pytest.mark.parametrize("change", VERBS.values(), ids=VERBS)
def test_a_sheet_with_formulas_is_not_changed_in_part(tmp_path, change):
    path = tmp_path / "book.xlsx"
    syncer = with_formula(path, users=[["id", "sum"], ["0", 1], ["1", "=1+1"], ["2", "=2+2"]])
    rewrite(path, "xl/worksheets/sheet1.xml", b"<f>2+2</f><v />", b"<f>2+2</f><v>4</v>")
    before = path.read_bytes()
    with pytest.raises(SyncerError, match=r"sheet 'users', row 3, cell B3: a formula, which would be replaced"):
        change(syncer)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("data", "left"), [(ROWS, ROWS), ([], [])])
def test_a_sheet_with_formulas_is_dumped_as_a_whole(tmp_path, data, left):
    syncer = with_formula(tmp_path / "book.xlsx", users=[["id", "name"], ["1", "=1+1"]])
    syncer.dump("users", data=data)
    assert syncer.load("users") == left
    assert syncer.read("users").columns == ("id", "name")


@pytest.mark.parametrize("change", [*VERBS.values(), lambda syncer: syncer.dump("users", data=ROWS)])
def test_the_saved_results_of_other_sheets_keep_a_workbook_from_being_written(tmp_path, change):
    path = tmp_path / "book.xlsx"
    syncer = with_formula(path, totals=[["id", "sum"], ["1", "=1+1"]], users=[["id"], ["1"]])
    with pytest.raises(SyncerError, match=r"book\.xlsx, sheet 'totals', cell B2: the saved result of this formula"):
        change(syncer)
    assert syncer.load("totals") == [{"id": "1", "sum": 2}]
    assert syncer.load("users") == [{"id": "1"}]


def drawing(shape):
    return f"<xdr:wsDr><xdr:twoCellAnchor><xdr:{shape}/></xdr:twoCellAnchor></xdr:wsDr>"


@pytest.mark.parametrize(
    ("part", "content"),
    [
        *(("xl/drawings/drawing1.xml", drawing(shape)) for shape in ("sp", 'sp macro=""', "cxnSp", "grpSp")),
        ("xl/drawings/drawing1.xml", "<wsDr xmlns='x'><sp></sp></wsDr>"),
        ("xl/threadedComments/threadedComment1.xml", ""),
        ("xl/ctrlProps/ctrlProp1.xml", ""),
        ("xl/activeX/activeX1.xml", ""),
        ("xl/queryTables/queryTable1.xml", ""),
        ("xl/diagrams/data1.xml", ""),
        ("customXml/item1.xml", ""),
    ],
)
def test_parts_that_would_be_lost_keep_a_workbook_from_being_written(tmp_path, part, content):
    path = tmp_path / "book.xlsx"
    book(path, one=[["id"], ["1"]])
    with zipfile.ZipFile(path, "a") as parts:
        parts.writestr(part, content)
    assert ExcelSyncer(path).load("one") == [{"id": "1"}]
    with pytest.raises(SyncerError, match=f"holds {part}, which would be lost"):
        ExcelSyncer(path).append("one", data=ROWS[:1])


def test_a_drawing_without_shapes_is_no_loss(tmp_path):
    path = tmp_path / "book.xlsx"
    book(path, one=[["id"], ["1"]])
    with zipfile.ZipFile(path, "a") as parts:
        parts.writestr("xl/drawings/drawing1.xml", "<xdr:wsDr><xdr:spPr/></xdr:wsDr>")
    ExcelSyncer(path).append("one", data=[{"id": "2"}])
    assert ExcelSyncer(path).load("one") == [{"id": "1"}, {"id": "2"}]


def test_what_would_be_lost_keeps_a_workbook_from_being_written(tmp_path):
    path = tmp_path / "book.xlsx"
    made = openpyxl.Workbook()
    made.active.append(["id", 1])
    chart = openpyxl.chart.BarChart()
    chart.add_data(openpyxl.chart.Reference(made.active, min_col=2, min_row=1))
    made.active.add_chart(chart, "D1")
    made.save(path)
    before = path.read_bytes()
    with pytest.raises(SyncerError, match=r"holds xl/charts/chart1.xml, which would be lost"):
        ExcelSyncer(path).dump("users", data=ROWS)
    assert path.read_bytes() == before


def test_extensions_that_would_be_lost_keep_a_workbook_from_being_written(tmp_path):
    path = tmp_path / "book.xlsx"
    book(path, one=[["id"], ["1"]])
    uri = "{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}"
    rewrite(
        path, "xl/worksheets/sheet1.xml", b"</worksheet>", f'<extLst><ext uri="{uri}"/></extLst></worksheet>'.encode()
    )
    assert ExcelSyncer(path).load("one") == [{"id": "1"}]
    with pytest.raises(SyncerError, match="would be lost if it were saved again: Data Validation extension"):
        ExcelSyncer(path).dump("users", data=ROWS)


# --- what others wrote ------------------------------------------------------------------------------------------------


def read(path):
    return ExcelSyncer(path).load("one")


def test_formulas_are_read_as_their_saved_results(tmp_path):
    path = tmp_path / "book.xlsx"
    book(path, one=[["id", "sum", "none"], ["0", "plain", "x"], ["1", "=1+1", '=""']])
    part = "xl/worksheets/sheet1.xml"
    rewrite(path, part, b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
    rewrite(path, part, b'<c r="C3"><f>""</f><v />', b'<c r="C3" t="str"><f>""</f><v></v>')
    assert read(path) == [{"id": "0", "sum": "plain", "none": "x"}, {"id": "1", "sum": 2, "none": ""}]


@pytest.mark.parametrize("saved", [b'<c r="B3" t="e"><v>#REF!</v></c>', b'<c r="B3" t="e"><f>NA()</f><v>#REF!</v></c>'])
def test_an_error_in_a_cell_is_refused_with_its_place(tmp_path, saved):
    path = tmp_path / "book.xlsx"
    book(path, one=[["id", "sum"], ["0", 1], ["1", 4711]])
    rewrite(path, "xl/worksheets/sheet1.xml", b'<c r="B3" t="n"><v>4711</v></c>', saved)
    with pytest.raises(MalformedFileError, match=r"sheet 'one', row 3, cell B3: an error, #REF!") as caught:
        read(path)
    assert caught.value.line == 3


def test_a_formula_without_a_saved_result_is_refused_with_its_cell(tmp_path):
    path = tmp_path / "book.xlsx"
    book(path, one=[["id", "sum"], ["1", "=1+1"]])
    with pytest.raises(MalformedFileError, match=r"book\.xlsx, sheet 'one', row 2, cell B2: a formula") as caught:
        read(path)
    assert caught.value.line == 2


def test_empty_rows_and_cells_are_skipped_and_rows_counted(tmp_path):
    path = tmp_path / "book.xlsx"
    book(path, one=[[], ["id", "name"], [], ["1", "Ann"], [None, None], ["2"], []])
    records = ExcelSyncer(path).read("one")
    assert list(records) == [{"id": "1", "name": "Ann"}, {"id": "2", "name": None}]
    assert records.where(1) == f"{path}, sheet 'one', row 6"


def test_an_empty_cell_behind_the_header_is_no_column(tmp_path):
    made = openpyxl.Workbook()
    made.active.title = "one"
    made.active.append(["id"])
    made.active.append(["1"])
    made.active["C1"].number_format = "@"
    made.save(tmp_path / "book.xlsx")
    assert read(tmp_path / "book.xlsx") == [{"id": "1"}]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["a", None, "b"]], "row 1: column 2 of the header has no name"),
        ([["a", " "], ["1", "2"]], "column 2 of the header has no name"),
        ([["a", 2024]], "column 2 of the header has a int for a name"),
        ([["a", "b", "a"]], "columns 1 and 3 of the header are both 'a'"),
        ([["a"], ["1"], ["2", "3"]], "row 3, cell B3: a value stands behind the last of the 1 columns"),
    ],
)
def test_a_sheet_that_is_no_table_is_refused_with_its_place(tmp_path, rows, says):
    book(tmp_path / "book.xlsx", one=rows)
    with pytest.raises(MalformedFileError, match=says):
        read(tmp_path / "book.xlsx")


@pytest.mark.parametrize(
    ("data", "says"),
    [([{}], "no columns"), ([{" ": 1}], "name is empty"), ([dict.fromkeys(map(str, range(2**14 + 1)))], "larger than")],
)
def test_data_that_no_sheet_can_hold_are_refused(tmp_path, data, says):
    with pytest.raises(SyncerError, match=says):
        ExcelSyncer(tmp_path).dump("t", data=data)


def test_what_is_no_workbook_is_refused(tmp_path):
    path = tmp_path / "one.xlsx"
    path.write_text("id,name\n")
    with pytest.raises(MalformedFileError, match="not a workbook that can be read"):
        read(path)
    with pytest.raises(MalformedFileError, match="not a workbook"):
        ExcelSyncer(tmp_path).load("one")


def test_a_workbook_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    path = tmp_path / "one.xlsx"
    book(path, one=[["id"]])

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(MalformedFileError, match="cannot be read: Permission denied"):
        read(path)


def test_a_workbook_that_changes_while_it_is_read_is_refused(tmp_path):
    book(tmp_path / "one.xlsx", one=[["id"], ["1"]])
    records = ExcelSyncer(tmp_path).read("one")
    book(tmp_path / "one.xlsx", one=[["name"], ["Ann"]])
    with pytest.raises(MalformedFileError, match="changed while it was read"):
        list(records)


def test_without_openpyxl_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.delitem(sys.modules, "datastoresync.syncers.files.excel_workbook", raising=False)
    monkeypatch.delattr(files, "excel_workbook", raising=False)
    syncer = ExcelSyncer(tmp_path)
    for use in (lambda: syncer.normalized(1), lambda: syncer.dump("users", data=[{"name": "Ann"}])):
        with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[excel\]'"):
            use()
