"""What is exported, read back by other means and held against a plain model of the difference."""

import csv
import io
import json
import os
import sys
import tempfile
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import openpyxl
import pyarrow
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pyarrow import csv as arrow_csv

from datastoresync import (
    Branch,
    ComparisonError,
    Diff,
    MissingDependencyError,
    Object,
    Preview,
    Report,
    Result,
    SyncerError,
    Template,
    Tree,
)
from datastoresync.applying.report import Tally
from datastoresync.conversion.formulas import unescape_formula
from datastoresync.errors import DeclarationError
from datastoresync.exporting import workbook
from datastoresync.exporting.export import Export
from datastoresync.exporting.exportable import Exportable
from datastoresync.printing.text import visible

UGLY = ["", "=cmd()", "-5", "+44 20", "'=x", "a\nb", "a\r\nb", "|", "<script>", '"', "a,b;c", " x ", "None", "\ufeffx"]
UGLY += ["\t", "_x0041_", '`""`', "\\|", "\x00", "\u202e", "&lt;", "*b*_c_", "https://x.org", "empty text", "@ann"]
texts = st.none() | st.sampled_from(UGLY) | st.text(st.characters(exclude_categories=["Cs"]))
keys = st.sampled_from(["1", "2", "=3"]) | st.text(st.characters(categories=["L", "P", "S"]), min_size=1)
things = st.dictionaries(keys, st.fixed_dictionaries({"name": texts, "note": texts}), max_size=3)


class Rows(Exportable):
    """Rows of one's own."""

    def __init__(self, rows, columns=("a", "b"), **keywords):
        self.export = Export("title", columns, lambda: iter(rows), **keywords)

    def __export__(self):
        return self.export


def branch(rows, **keywords):
    return +Branch(Object, importer=[{"idnumber": key, **values} for key, values in rows.items()], **keywords)


def model(source, dest):
    """Return the rows of the difference of two dictionaries of dictionaries, by what tells them apart."""
    rows = {}
    for key in source.keys() | dest.keys():
        new, old = source.get(key), dest.get(key)
        change = "new" if old is None else "old" if new is None else "update"
        for name in new or old:
            pair = ((old or {}).get(name), (new or {}).get(name))
            if change != "update" or pair[0] != pair[1]:
                rows["", key, change, name] = pair
    return rows


def shown(text):
    """Return what a person sees of a text: control characters as escapes."""
    return None if text is None else "\n".join(map(visible, text.split("\n")))


def shown_rows(rows):
    return {tuple(map(shown, row)): tuple(map(shown, values)) for row, values in rows.items()}


def by_key(rows):
    rows = list(rows)
    found = {tuple(row[:4]): tuple(row[4:]) for row in rows}
    assert len(found) == len(rows)
    return found


class Cells(HTMLParser):
    """The cells of the tables of a page, None for those that are empty; and its elements."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.elements, self.cell = [], set(), None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = None
        elif tag == "br":
            self.handle_data("\n")
        elif tag == "code" or dict(attrs).get("class") == "empty":
            self.cell = ""

    def handle_data(self, data):
        if self.cell == "" and data in ("empty text", '""'):
            return
        self.cell = (self.cell or "") + data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self.cell)
            self.cell = None


def read_csv(text):
    """Return the rows of a CSV text, an empty text told from None as databases do."""
    columns = csv.reader(io.StringIO(text, newline="")).__next__()
    table = arrow_csv.read_csv(
        io.BytesIO(text.encode()),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pyarrow.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    rows = [row.values() for row in table.to_pylist()]
    return [[None if value is None else unescape_formula(value) for value in row] for row in rows]


def read_sheet(diff):
    file = io.BytesIO()
    diff.to_xlsx(file)
    (sheet,) = openpyxl.load_workbook(file)
    return sheet


@example({}, {"__A__": {"name": "a__b_c", "note": "_"}})
@given(things, things)
def test_every_format_has_the_difference_and_nothing_else(source, dest):
    diff = branch(source) - branch(dest)
    expected = model(source, dest)
    columns = ["branch", "idnumber", "change", "attribute", "old", "new"]

    dicts = diff.to_dicts()
    assert by_key(list(row.values()) for row in dicts) == expected
    assert all(list(row) == columns for row in dicts)
    assert by_key([("" if row[0] is None else row[0]), *row[1:]] for row in read_csv(diff.to_csv())) == expected
    with_names = list(csv.DictReader(io.StringIO(diff.to_csv(), newline=""), strict=True))
    assert [unescape_formula(row["new"]) for row in with_names] == [row["new"] or "" for row in dicts]
    assert json.loads(diff.to_json()) == dicts
    assert [json.loads(line) for line in diff.to_jsonl().split("\n")[:-1]] == dicts
    frame = diff.to_frame()
    assert frame.column_names == columns
    assert frame.to_pylist() == dicts

    header, *rows = read_sheet(diff).iter_rows(values_only=True)
    assert list(header) == columns
    if expected:  # a row that ends in empty cells is as long as the header all the same
        unescaped = [[openpyxl.utils.escape.unescape(one) if one else one for one in row] for row in rows]
        assert len(rows) == len(expected)
        texts_there = {(row[1], row[2], row[3]): row[4:] for row in unescaped}
        assert {key: tuple(one or "" for one in pair) for key, pair in texts_there.items()} == {
            row[1:]: tuple(one or "" for one in pair) for row, pair in expected.items()
        }

    page = Cells(diff.to_html())
    markdown = Cells(MarkdownIt("commonmark").enable("table").render(diff.to_markdown()))
    for (head, *cells), elements in ((page.rows, page.elements), (markdown.rows, markdown.elements)):
        assert head == columns
        assert by_key([row[0] or "", *row[1:]] for row in cells) == shown_rows(expected)
        assert not elements & {"script", "strong", "em", "a", "img"}


def test_a_spreadsheet_computes_nothing_that_comes_from_a_value():
    rows = [("=1+1", "-5"), ("+44 20", "@x"), ("\t=x", timedelta(days=-1)), ("x", -5)]
    assert Rows(rows).to_csv() == "a,b\n'=1+1,-5\n'+44 20,'@x\n\"'\t=x\",\"'-1 day, 0:00:00\"\nx,-5\n"


# Values that are no texts --------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = 1


MOMENT = datetime(2024, 7, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
UNIQUE = UUID("12345678123456781234567812345678")
VALUES = [
    # a value, its text, what JSON has
    (True, "True", True),
    (-5, "-5", -5),
    (2**70, str(2**70), 2**70),
    (1.5, "1.5", 1.5),
    (float("nan"), "nan", "nan"),
    (float("-inf"), "-inf", "-inf"),
    (Decimal("1.50"), "1.50", "1.50"),
    (date(2024, 7, 1), "2024-07-01", "2024-07-01"),
    (MOMENT, "2024-07-01T12:30:00+02:00", "2024-07-01T12:30:00+02:00"),
    (time(12, 30), "12:30:00", "12:30:00"),
    (timedelta(days=1), "1 day, 0:00:00", "1 day, 0:00:00"),
    (UNIQUE, str(UNIQUE), str(UNIQUE)),
    (b"ab", "6162", "6162"),
    (Colour.RED, "1", 1),
    ({"b", "a", "ä"}, '["a", "b", "ä"]', ["a", "b", "ä"]),
    ({10, 9, 1.5}, "[1.5, 9, 10]", [1.5, 9, 10]),
    ([float("nan"), None, {"key": date(2024, 7, 1)}], '["nan", null, {"key": "2024-07-01"}]', None),
    ((1, "1"), '[1, "1"]', [1, "1"]),
]


@pytest.mark.parametrize(("value", "text", "in_json"), VALUES, ids=range(len(VALUES)))
def test_values_have_one_text_in_all_formats(value, text, in_json):
    rows = Rows([("1", value)])
    assert read_csv(rows.to_csv()) == [["1", text]]
    found = json.loads(rows.to_json())[0]["b"]
    assert found == (["nan", None, {"key": "2024-07-01"}] if in_json is None else in_json)
    assert type(found) is not float or type(value) is float
    assert rows.to_frame().to_pylist() == [{"a": "1", "b": text}]
    assert Cells(rows.to_html()).rows[1] == ["1", text]
    assert rows.to_dicts()[0]["b"] is value


@pytest.mark.parametrize("value", [True, -5, 1.5, date(2024, 7, 1), time(12, 30), None])
def test_cells_have_the_types_that_excel_has(value):
    ((_, found),) = read_sheet(Rows([("1", value)])).iter_rows(min_row=2, values_only=True)
    assert (found.date() if type(value) is date else found) == value


def test_a_sheet_keeps_its_header_in_sight_and_filters_what_it_has():
    sheet = read_sheet(Rows([("=1+1", 1), ("b" * 40_000, float("nan"))]))
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:B3")
    assert sheet["A1"].font.bold
    assert (sheet["A2"].value, sheet["A2"].data_type) == ("=1+1", "s")
    cut = sheet["A3"].value
    assert cut.endswith(f"{'b' * 10}… and {40_000 - cut.count('b'):,} more characters")
    assert len(cut) <= 32_767
    assert sheet["B3"].value == "nan"


def test_more_rows_than_a_sheet_has_are_refused_and_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "ROWS", 3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Rows([("1", "2")] * 2).to_xlsx(tmp_path / "fits.xlsx")
    (tmp_path / "fits.xlsx").unlink()
    with pytest.raises(SyncerError, match="a sheet holds 2 rows, and there are more: write CSV"):
        Rows([("1", "2")] * 3).to_xlsx(tmp_path / "rows.xlsx")
    assert list(tmp_path.iterdir()) == []


ROWS = {"1": {"day": date(2024, 7, 1), "count": 1, "mixed": 1, "groups": {"b", "a"}, "none": None, "at": MOMENT}}
ROWS["2"] = {"day": None, "count": 2, "mixed": "x", "groups": set(), "none": None, "at": MOMENT.replace(tzinfo=None)}


def test_a_branch_has_a_row_an_object_and_columns_of_the_types_of_their_values():
    users = branch(ROWS)
    frame = users.to_frame()
    kinds = {name: str(frame.schema.field(name).type) for name in frame.column_names}
    assert kinds.pop("groups").startswith("list<")
    assert kinds == {
        "idnumber": "string",
        "day": "date32[day]",
        "count": "int64",
        "mixed": "string",
        "none": "null",
        "at": "string",
    }
    first, second = frame.to_pylist()
    assert (first["day"], first["groups"], second["mixed"]) == (date(2024, 7, 1), ["a", "b"], "x")
    assert first["at"] == "2024-07-01T12:30:00+02:00"
    assert [row["idnumber"] for row in users.to_dicts()] == ["1", "2"]
    header, *rows = csv.reader(io.StringIO(users.to_csv()))
    assert dict(zip(header, rows[0], strict=True)) == {
        "idnumber": "1",
        "day": "2024-07-01",
        "count": "1",
        "mixed": "1",
        "groups": '["a", "b"]',
        "none": "",
        "at": "2024-07-01T12:30:00+02:00",
    }


def test_numbers_of_a_column_stay_what_they_are():
    rows = {"1": {"a": 1, "b": True, "c": 2**70, "d": UNIQUE}, "2": {"a": 1.5, "b": 1, "c": 1, "d": UNIQUE}}
    frame = branch(rows).to_frame()
    assert [str(kind) for kind in frame.schema.types] == ["string", "double", "string", "string", "string"]
    assert frame.to_pylist()[0] == {"idnumber": "1", "a": 1.0, "b": "True", "c": str(2**70), "d": str(UNIQUE)}


def test_an_empty_branch_and_an_empty_diff_have_a_header():
    empty = branch({})
    assert (empty - branch({})).to_csv() == "branch,idnumber,change,attribute,old,new\n"
    assert json.loads((empty - branch({})).to_json()) == []
    assert Diff(()).to_frame().num_rows == empty.to_frame().num_rows == 0
    assert Diff(()).to_markdown().endswith("| --- | --- | --- | --- | --- | --- |\n")
    assert read_sheet(Diff(())).auto_filter.ref == "A1:F1"


def test_a_property_that_raises_is_told_and_nothing_is_written(tmp_path):
    class Person(Object):
        name: str

        @property
        def initial(self):
            return self.name[0]

    people = +Branch(Person, importer=[{"idnumber": "1", "name": ""}])
    with pytest.raises(ComparisonError, match="initial raised IndexError"):
        people.to_csv(tmp_path / "people.csv")
    assert list(tmp_path.iterdir()) == []


def test_composite_idnumbers_are_lists_and_never_joined():
    class Seat(Object):
        _identifiers = ("room", "number")
        room: str
        number: int

    seats = +Branch(Seat, importer=[{"room": "a,b", "number": 1}])
    diff = seats - +Branch(Seat, importer=[])
    assert diff.to_dicts()[0]["idnumber"] == ("a,b", 1)
    assert read_csv(diff.to_csv())[0][1] == '["a,b", 1]'
    assert json.loads(diff.to_json())[0]["idnumber"] == ["a,b", 1]
    assert seats.to_dicts() == [{"room": "a,b", "number": 1}]


# Memberships, sensitive values, previews and reports -----------------------------------------------------------------


class Account(Object):
    _sensitive = ("pin",)
    name: str
    pin: str
    groups: set[str]


def account(key, name="Ann", pin="s3cret-1", groups=()):
    return {"idnumber": key, "name": name, "pin": pin, "groups": set(groups)}


class Accounts(Template):
    leaves_out = ("old",)

    def new(self, action):
        raise ValueError("no room, s3cret-1")

    def update(self, action):
        return None


class Source(Tree):
    users = Branch(Account, importer=[account("1", "Anna", "s3cret-1", ["a"]), account("2"), account("4")])


class Dest(Tree):
    users = Branch(
        Account, importer=[account("1", "Ann", "s3cret-2", ["b"]), account("3", pin="s3cret-3"), account("4")]
    )
    template = Accounts


def test_members_are_rows_and_sensitive_values_are_masked():
    assert [tuple(row.values()) for row in (+Source() - +Dest()).to_dicts()] == [
        ("users", "2", "new", "groups", None, set()),
        ("users", "2", "new", "name", None, "Ann"),
        ("users", "2", "new", "pin", None, "***"),
        ("users", "1", "add", "groups", None, "a"),
        ("users", "1", "remove", "groups", "b", None),
        ("users", "1", "update", "name", "Ann", "Anna"),
        ("users", "1", "update", "pin", "***", "***"),
        ("users", "3", "old", "groups", set(), None),
        ("users", "3", "old", "name", "Ann", None),
        ("users", "3", "old", "pin", "***", None),
    ]


def every_format(exported, folder):
    exported.to_xlsx(folder / "x.xlsx")
    sheet = openpyxl.load_workbook(folder / "x.xlsx").active
    yield repr(list(sheet.iter_rows(values_only=True)))
    yield repr(exported.to_dicts())
    yield repr(exported.to_frame().to_pylist())
    for name in ("to_csv", "to_json", "to_jsonl", "to_markdown", "to_html"):
        yield getattr(exported, name)()


def test_no_format_of_anything_holds_a_sensitive_value(tmp_path):
    source, dest = +Source(), +Dest()
    report = source >> dest
    for exported in (source - dest, source.users, source > dest, report):
        for text in every_format(exported, tmp_path):
            assert "users" in text or exported is source.users
            assert "s3cret" not in text
            assert "***" in text.replace("\\", "")


def test_a_report_has_a_row_a_result_and_a_preview_says_what_would_be_refused():
    source, dest = +Source(), +Dest()
    preview = source.preview(dest)
    rows = [tuple(row.values()) for row in preview.to_dicts()]
    assert len(rows) == 10
    assert rows[5] == ("planned", "users", "1", "update", "name", "Ann", "Anna", None)
    report = (source - dest).only("users") | Accounts
    rows = report.to_dicts()
    assert [(row["status"], row["idnumber"], row["change"], row["attribute"]) for row in rows] == [
        ("failed", "2", "new", None),
        ("succeeded", "1", "update", "groups"),
        ("succeeded", "1", "update", "name"),
        ("succeeded", "1", "update", "pin"),
        ("skipped", "3", "old", None),
    ]
    assert rows[0]["message"] == "ValueError: no room, ***"
    assert rows[-1]["message"] == "the template leaves it out"

    (action, *_) = diff = source - dest
    left_out = Preview(diff, left_out=[Result("skipped", "group 'a' is left out", action)]).to_dicts()
    assert [(row["status"], row["message"]) for row in left_out[2:4]] == [
        ("skipped", "group 'a' is left out"),
        ("planned", None),
    ]

    refused = +Branch(Account, importer=[]) > source.users
    (first, *rest) = refused.to_dicts()
    assert first["status"] == "refused"
    assert first["message"] == refused.refused[0]
    assert {row["status"] for row in rest} == {"planned"}


def test_a_report_says_what_it_warns_of_and_how_many_results_it_does_not_have():
    tally = Tally(streamed=True)
    tally.counts.update(succeeded=2000)
    report = Report([Result("succeeded", "fine", method="new")], warnings=("look",), tally=tally)
    assert [(row["status"], row["branch"], row["message"]) for row in report.to_dicts()] == [
        ("succeeded", None, "succeeded: new: fine"),
        ("warning", None, "look"),
    ]
    assert "total=2000 (here are 1 of the results)" in report.to_html()


# Files ---------------------------------------------------------------------------------------------------------------

SURROGATE = "a\ud800b"


@pytest.mark.parametrize("method", ["to_csv", "to_json", "to_jsonl", "to_xlsx"])
def test_half_a_surrogate_pair_is_refused_and_the_file_stays(tmp_path, method):
    path = tmp_path / "rows"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(SyncerError, match=r"(row 2 holds U\+D800, )?half of a surrogate pair, which is no character"):
        getattr(Rows([("1", "2"), ("3", SURROGATE)]), method)(path)
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_surrogate_pair_is_refused_in_frames_and_shown_to_people():
    with pytest.raises(SyncerError, match="column 'b' holds half of a surrogate pair"):
        Rows([("1", SURROGATE)]).to_frame()
    with pytest.raises(SyncerError, match="half of a surrogate pair"):
        branch({"1": {"name": SURROGATE}}).to_frame()
    assert Cells(Rows([("1", SURROGATE)]).to_html()).rows[1] == ["1", "a\\ud800b"]
    assert Rows([("1", SURROGATE)]).to_markdown().endswith("| 1 | a\\\\ud800b |\n")


def failing():
    yield ("1", "2")
    raise RuntimeError("the store is gone")


@pytest.mark.parametrize("method", ["to_csv", "to_json", "to_jsonl", "to_html", "to_markdown", "to_xlsx"])
def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch, method):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    path = tmp_path / "rows"
    path.write_text("before", encoding="utf-8")
    path.chmod(0o640)
    broken = Rows(())
    broken.export = Export("title", ["a", "b"], failing)
    with pytest.raises(RuntimeError, match="the store is gone"):
        getattr(broken, method)(path)
    assert path.read_text(encoding="utf-8") == "before"
    link = tmp_path / "link"
    link.symlink_to(path)
    getattr(Rows([("1", "2")]), method)(link)
    assert link.is_symlink()
    assert path.read_bytes() != b"before"
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "rows", "temporary"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "rows.csv"

    def rows():
        yield ("1", "2")
        Rows([("inner", "x")] * 3).to_csv(path)
        yield ("3", "4")

    outer = Rows(())
    outer.export = Export("title", ["a", "b"], rows)
    outer.to_csv(path)
    assert path.read_text(encoding="utf-8") == "a,b\n1,2\n3,4\n"


def test_rows_are_written_as_they_come():
    events = []

    def rows():
        for number in range(3):
            events.append(f"made {number}")
            yield (number, number)

    class File(io.StringIO):
        def write(self, text):
            events.append("written")
            return super().write(text)

    export = Rows(())
    export.export = Export("title", ["a", "b"], rows)
    export.to_csv(File())
    assert events == ["written", "made 0", "written", "made 1", "written", "made 2", "written"]


def test_open_files_and_devices_are_written_to_as_they_are(tmp_path, capsys):
    rows = Rows([("1", "ä")])
    assert rows.to_csv(sys.stdout) is None
    assert capsys.readouterr().out == "a,b\n1,ä\n"
    rows.to_csv(os.devnull)
    assert not Path(os.devnull).is_file()
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with pytest.raises(SyncerError, match=r"row 1 holds U\+5C71: it cannot be written as c(harmap|p1252)"):
        Rows([("1", "山")]).to_csv(ascii_only)


def test_csv_files_may_have_other_delimiters_and_encodings(tmp_path):
    path = tmp_path / "rows.csv"
    Rows([("1;2", "ä")]).to_csv(path, delimiter=";", encoding="utf-8-sig")
    assert path.read_bytes() == '\ufeffa;b\n"1;2";ä\n'.encode()
    with pytest.raises(SyncerError, match=r"row 1 holds U\+00E4: it cannot be written as ascii; mend the value"):
        Rows([("1", "ä")]).to_csv(path, encoding="ascii")
    for delimiter in ("", ",,", '"', "\n"):
        with pytest.raises(DeclarationError, match="a delimiter is one character"):
            Rows([]).to_csv(delimiter=delimiter)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    rows = Rows([("1", "2")])
    with pytest.raises(SyncerError, match=r"cannot write .*gone/rows\.csv: No such file.*create the folder first"):
        rows.to_csv(tmp_path / "gone" / "rows.csv")
    with pytest.raises(SyncerError, match=r"cannot write .*: Is a directory"):
        rows.to_xlsx(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_integer_of_too_many_digits_is_refused():
    with pytest.raises(SyncerError, match="too many digits"):
        Rows([("1", 10**5000)]).to_json()


@pytest.mark.parametrize(
    ("method", "module", "extra"), [("to_frame", "frame", "arrow"), ("to_xlsx", "workbook", "excel")]
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, method, module, extra):
    monkeypatch.setitem(sys.modules, f"datastoresync.exporting.{module}", None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'datastoresync\[{extra}\]'"):
        getattr(Rows([]), method)(*([] if method == "to_frame" else [tmp_path / "x"]))


def test_the_words_that_changed_stand_out_in_the_cells_of_a_workbook(tmp_path):
    old, new = (f"=plays the {name} in the orchestra\n  of _x0041_" for name in ("cello", "violin"))
    pairs = [{"note": old, "name": "Ann", "pin": 7}, {"note": new, "name": "Anna", "pin": 8}]
    dest, source = (Branch(Object, importer=[{"idnumber": "1", **pair}]) for pair in pairs)
    (+source - +dest).to_xlsx(tmp_path / "x.xlsx")
    rows = openpyxl.load_workbook(tmp_path / "x.xlsx", rich_text=True).active.iter_rows(min_row=2, values_only=True)
    cells = {row[3]: row[4:] for row in rows}
    assert cells["name"] == ("Ann", "Anna")
    assert cells["pin"] == (7, 8)
    for cell, whole, word, struck in ((cells["note"][0], old, "cello", True), (cells["note"][1], new, "violin", None)):
        (part,) = (one for one in cell if not isinstance(one, str))
        assert (part.text, part.font.strike, part.font.u) == (word, struck, None if struck else "single")
        assert "".join(map(str, cell)) == whole
    plain = openpyxl.load_workbook(tmp_path / "x.xlsx").active
    texts = {openpyxl.utils.escape.unescape(str(cell.value)) for cells in plain.iter_rows() for cell in cells}
    assert {old, new} <= texts
