"""The comparison of two stores on the command line: what it says, in each format, and what it needs to be told."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import random
import re
import sqlite3
import string
from contextlib import closing

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync.app.commands.group import main

OLD = ("id,name,grade", "1,Ann,7", "2,Bob,8", "3,Cid,9", "4,Dan,1")
NEW = ("id,name,grade", "1,Ann,8", "2,Bobby,8", "3,Cid,9", "5,Eve,1")
_VALUES = st.text(st.sampled_from(string.ascii_letters + ' ,;"\n'), max_size=4)
_TABLES = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(_VALUES, _VALUES), min_size=1)


@pytest.fixture
def diff(capsys, monkeypatch, tmp_path):
    """Return a function that compares in a folder of its own; with the exit code, the output and the complaints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*argv):
        code = main(["diff", *map(str, argv)])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def files(tmp_path):
    """Return a function that writes a file of lines."""

    def write(name, lines, **settings):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), **{"encoding": "utf-8", **settings})

    write("old.csv", OLD)
    write("new.csv", NEW)
    return write


def changes(out):
    """Return what a result in JSON says, row by row."""
    return {(row["idnumber"], row["change"], row["attribute"]): (row["old"], row["new"]) for row in json.loads(out)}


CHANGES = {
    ("5", "new", "name"): (None, "Eve"),
    ("5", "new", "grade"): (None, "1"),
    ("1", "update", "grade"): ("7", "8"),
    ("2", "update", "name"): ("Bob", "Bobby"),
    ("4", "old", "name"): ("Dan", None),
    ("4", "old", "grade"): ("1", None),
}


def test_it_says_how_much_differs_and_then_what(diff, files):
    code, out, err = diff("old.csv", "new.csv", "--key", "id")
    assert (code, err) == (0, "")
    assert out.startswith("2 changed, 1 added, 1 removed\n")
    assert [line.strip() for line in out.splitlines()[2:]] == [
        "+ rows 5  grade: '1', name: 'Eve'",
        "~ rows 1  grade: '7' → '8'",
        "~ rows 2  name: 'Bob' → 'Bobby'",
        "- rows 4  grade: '1', name: 'Dan'",
    ]
    assert diff("old.csv", "old.csv", "--key", "id") == (0, "no differences\n", "")
    assert "and their lines were compared; 4 objects against 4" in diff("old.csv", "new.csv", "--key", "id", "-v")[2]


def test_the_exit_code_tells_differences_if_that_is_asked_for(diff, files):
    assert diff("old.csv", "new.csv", "--key", "id", "--exit-code", "-q") == (4, "", "")
    assert diff("old.csv", "old.csv", "--key", "id", "--exit-code", "-q") == (0, "", "")
    files("more.csv", [f"{line},x" for line in OLD])
    code, out, _ = diff("old.csv", "more.csv", "--key", "id", "--exit-code")
    assert (code, "column x of rows: only in NEW" in out) == (4, True)


def test_each_format_says_the_same(diff, files, tmp_path):
    base = ("old.csv", "new.csv", "--key", "id")
    assert changes(diff(*base, "--format", "json")[1]) == CHANGES
    lines = diff(*base, "--format", "jsonl")[1].splitlines()
    assert changes(f"[{','.join(lines)}]") == CHANGES
    rows = csv.DictReader(io.StringIO(diff(*base, "--format", "csv")[1]))
    found = {
        (row["idnumber"], row["change"], row["attribute"]): (row["old"] or None, row["new"] or None) for row in rows
    }
    assert found == CHANGES
    for name in ("result.md", "result.html", "result.txt"):
        assert diff(*base, "-o", name) == (0, "", "")
        assert "Bobby" in (tmp_path / name).read_text(encoding="utf-8")
    page = (tmp_path / "result.html").read_text(encoding="utf-8")
    assert page.count("old.csv → new.csv, 2") == 3, "as the title, the heading and above the plan"
    assert "NEW" not in page
    assert diff(*base, "-o", "result.xlsx") == (0, "", "")
    header, *cells = openpyxl.load_workbook(tmp_path / "result.xlsx").active.iter_rows(values_only=True)
    rows = [dict(zip(header, row, strict=True)) for row in cells]
    assert changes(json.dumps(rows)) == CHANGES
    assert diff(*base, "--format", "xlsx")[0] == 2
    assert diff(*base, "-o", "nowhere/result.json")[0] == 1


@given(_TABLES, _TABLES)
def test_two_files_differ_as_two_dictionaries_do(tmp_path_factory, old, new):
    folder = tmp_path_factory.mktemp("law")
    for name, rows in (("old", old), ("new", new)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("id", "one", "two"), *((key, *values) for key, values in rows.items())])
    assert main(["diff", f"{folder}/old.csv", f"{folder}/new.csv", "--key", "id", "-o", f"{folder}/out.json"]) == 0
    expected = {}
    for key in {*old, *new}:
        change = "old" if key not in new else "new" if key not in old else "update"
        for index, name in enumerate(("one", "two")):
            values = tuple(rows[key][index] if key in rows else None for rows in (old, new))
            if values[0] != values[1]:
                expected[key, change, name] = values
    assert changes((folder / "out.json").read_text(encoding="utf-8")) == expected


def test_a_missing_key_is_not_guessed_but_unique_columns_are_named(diff, files):
    code, out, err = diff("old.csv", "new.csv")
    assert (code, out) == (1, "")
    assert "which columns identify a row?" in err
    assert "unique in both: id, name, as in --key id" in err
    code, _, err = diff("old.csv", "new.csv", "--key", "grade")
    assert (code, "unique in both: id, name" in err, "resolve_duplicate" in err) == (1, True, False)
    code, _, err = diff("old.csv", "new.csv", "--key", "ident")
    assert (code, "has no column 'ident'" in err, "unique in both: id, name" in err) == (1, True, True)
    files("a.csv", ["a,b", "1,1", "1,2", "2,1", "2,2"])
    assert "no single column is unique in both" in diff("a.csv", "a.csv")[2]
    assert diff("a.csv", "a.csv", "--key", "a+b") == (0, "no differences\n", "")


def test_what_is_shown_can_be_narrowed(diff, files):
    def found(*argv):
        return changes(diff("old.csv", "new.csv", "--key", "id", "--format", "json", *argv)[1])

    def some(*verbs):
        return {key: values for key, values in CHANGES.items() if key[1] in verbs}

    assert found("--only", "changed") == some("update")
    assert found("--only", "added", "--only", "removed") == some("new", "old")
    assert found("--exclude", "changed") == some("new", "old")
    assert found("--only", ".grade") == {("1", "update", "grade"): ("7", "8")}
    assert found("--columns", "name", "--only", "changed") == {("2", "update", "name"): ("Bob", "Bobby")}
    assert {key[0] for key in found("--limit", "2")} == {"5", "1"}
    assert "2 more rows: --limit 2 leaves them out" in diff("old.csv", "new.csv", "--key", "id", "--limit", "2")[1]
    assert (
        "no attribute 'grad': did you mean 'grade'?" in diff("old.csv", "new.csv", "--key", "id", "--only", ".grad")[2]
    )


def test_a_renamed_column_and_case_are_no_differences(diff, files):
    files("renamed.csv", ["ID,NAME,grade", *(line.upper() for line in OLD[1:])])
    argv = ("old.csv", "renamed.csv", "--key", "ID", "--rename", "id=ID", "--rename", "name=NAME")
    assert "3 changed" not in diff(*argv)[1].partition("\n")[0]
    assert diff(*argv)[1].startswith("4 changed")
    assert diff(*argv, "--ignore-case") == (0, "no differences\n", "")
    code, _, err = diff("old.csv", "renamed.csv", "--key", "ID", "--rename", "nam=NAME")
    assert (code, "did you mean 'name'?" in err) == (1, True)


def test_types_are_those_of_the_store_that_has_some(diff, files, tmp_path):
    with closing(sqlite3.connect(tmp_path / "people.db")) as database, database:
        database.execute("create table people (id integer primary key, name text, grade integer)")
        database.executemany("insert into people values (?, ?, ?)", [(1, "Ann", 7), (2, "Bob", 8), (3, "Cid", 9)])
    files("people.csv", ["id,name,grade", "1,Ann,07", "2,Bob,8", "3,Cid,n/a", "4,Dan,"])
    for argv, third in ((("people.csv", "people.db"), ["n/a", 9]), (("people.db", "people.csv"), [9, "n/a"])):
        found = changes(diff(*argv, "--key", "id", "--format", "json")[1])
        assert {key: list(values) for key, values in found.items() if key[1] == "update"} == {
            (3, "update", "grade"): third
        }
        assert {key[0] for key in found if key[1] != "update"} == {4}


def test_types_can_be_told(diff, files):
    files("a.csv", ["id,born,size", "1,2001-02-03,1.50", "2,,2"])
    files("b.csv", ["id,born,size", "1,03.02.2001,1.5", "2,,2.0"])
    argv = ("a.csv", "b.csv", "--key", "id", "--type", "born=date", "--type", "size=decimal")
    assert diff(*argv, "--new-dates", "%d.%m.%Y") == (0, "no differences\n", "")
    code, _, err = diff(*argv)
    assert (code, "b.csv:2: born: '03.02.2001' is not" in err, "--type born=date" in err) == (1, True, True)
    assert diff("a.csv", "b.csv", "--key", "id", "--type", "born=dat")[0] == 2
    assert "'burn', which is not compared" in diff("a.csv", "b.csv", "--key", "id", "--type", "burn=date")[2]


def test_files_are_read_as_their_options_say(diff, files):
    files("semicolon.csv", ["A title", *(line.replace(",", ";") for line in NEW)], encoding="cp1252")
    argv = ("old.csv", "semicolon.csv", "--key", "id", "--format", "json")
    told = ("--new-delimiter", ";", "--new-skip-lines", "1", "--new-encoding", "cp1252")
    assert changes(diff(*argv, *told)[1]) == CHANGES
    files("other.csv", ["A title", *(line.replace(",", ";") for line in OLD)])
    both = diff(
        "other.csv", "semicolon.csv", "--key", "id", "--format", "json", "--delimiter", ";", "--skip-lines", "1"
    )
    assert changes(both[1]) == CHANGES
    code, _, err = diff("old.csv", "new.csv", "--key", "id", "--skip-rows", "1")
    assert (code, "--skip-rows is for files of another format" in err) == (2, True)


def test_workbooks_json_and_text_are_compared_by_their_values(diff, files, tmp_path):
    book = openpyxl.Workbook()
    for row in ((int(cell) if cell.isdecimal() else cell for cell in line.split(",")) for line in NEW):
        book.active.append(list(row))
    book.save(tmp_path / "new.xlsx")
    records = [dict(zip(("id", "name", "grade"), line.split(","), strict=True)) for line in NEW[1:]]
    (tmp_path / "new.json").write_text(json.dumps([{**one, "id": int(one["id"])} for one in records]), encoding="utf-8")
    for name in ("new.xlsx", "new.json"):
        code, out, err = diff("old.csv", name, "--key", "id")
        assert (code, out.partition("\n")[0], err) == (0, "2 changed, 1 added, 1 removed", "")
        assert diff("new.csv", name, "--key", "id") == (0, "no differences\n", "")


def test_what_cannot_be_compared_is_mended_by_an_option_and_not_in_python(diff, tmp_path):
    for name, value in (("old.xlsx", datetime.date(2026, 1, 2)), ("new.xlsx", 7)):
        book = openpyxl.Workbook()
        book.active.append(["id", "born"])
        book.active.append(["1", value])
        book.save(tmp_path / name)
    code, _, err = diff("old.xlsx", "new.xlsx", "--key", "id")
    assert (code, err.count("\n")) == (1, 2)
    assert err.endswith(" at idnumber '1'): give both one type, as in --type born=str\n")
    code, out, err = diff("old.xlsx", "new.xlsx", "--key", "id", "--type", "born=str")
    assert (code, out.partition("\n")[0], err) == (0, "1 changed", "")


def test_a_whole_number_with_decimals_is_the_text_of_a_whole_number(diff, files):
    files("floats.json", ['[{"id": 123.0}, {"id": 124.0}, {"id": "x"}]'])
    files("texts.csv", ["id", "123", "124", "x"])
    assert diff("floats.json", "texts.csv", "--key", "id") == (0, "no differences\n", "")
    assert diff("floats.json", "texts.csv", "--key", "id", "--type", "id=str") == (0, "no differences\n", "")
    files("floats.json", ['[{"id": 123.5}]'])
    code, _, err = diff("floats.json", "texts.csv", "--key", "id", "--type", "id=str")
    assert (code, "id: 123.5 is not text" in err) == (1, True)
    files("padded.csv", ["id", "00123", "00124", "00125"])
    files("short.csv", ["id", "123", "124", "125"])
    assert "but for zeros in front, such as '00123' and '123'" in diff("short.csv", "padded.csv", "--key", "id")[1]


def test_a_row_without_a_key_is_told_without_any_python(diff, files):
    files("old.csv", ["id,name", "1,Ann", ",Bob"])
    files("new.csv", ["id,name", "1,Ann"])
    code, _, err = diff("old.csv", "new.csv", "--key", "id")
    assert (code, 'skip_empty = "id" in a configuration' in err, "def keep" in err) == (1, True, False)


def test_folders_are_compared_table_by_table(diff, files):
    for folder, lines in (("monday", OLD), ("tuesday", NEW)):
        files(f"{folder}/people.csv", lines)
        files(f"{folder}/members.csv", ["group,person", "a,1", *(["a,2"] if folder == "tuesday" else [])])
    files("tuesday/rooms.csv", ["id", "1"])
    argv = ("monday", "tuesday", "--key", "people=id", "--key", "members=group+person")
    code, out, err = diff(*argv, "--exit-code")
    assert (code, err) == (4, "")
    assert out.startswith("2 changed, 2 added, 1 removed\n")
    assert "table rooms is only in NEW" in out
    assert diff(*argv, "--tables", "members")[1].startswith("1 added\n")
    assert diff("monday", "tuesday", "--tables", "people=people", "--key", "id")[1].startswith(
        "2 changed, 1 added, 1 removed\n"
    )


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("old.csv", "nwe.csv", "--key", "id"), 1, "there is no nwe.csv in"),
        (("old.csv", "nwe.csv", "--key", "id"), 1, "did you mean new.csv?"),
        (("old.csv", "empty", "--key", "id"), 2, "the folder 'empty' has no file of a format that is known"),
        (("old.csv", "new.cvs", "--key", "id"), 1, "did you mean '.csv'?"),
        (("old.csv", "new.csv", "--key", "id", "--columns", "nam"), 1, "--columns names 'nam', which table old of OLD"),
        (("old.csv", "new.csv", "--key", "id", "--format", "yaml"), 2, "'yaml' is not one of"),
        (("old.csv", "new.csv", "--key", "id", "--rename", "x"), 2, "a pair is needed, as in birthday=born"),
        (("old.csv", "semicolon.csv", "--key", "id"), 1, "--new-delimiter ';'"),
    ],
)
def test_a_slip_is_told_with_the_way_on(diff, files, tmp_path, argv, code, said):
    (tmp_path / "empty").mkdir()
    files("semicolon.csv", [line.replace(",", ";") for line in NEW])
    found, out, err = diff(*argv)
    assert (found, out) == (code, "")
    assert said in err


def test_an_output_that_cannot_show_a_character_shows_its_escape(diff, files, monkeypatch):
    files("polish.csv", [*OLD[:-1], "4,Łukasz,1"])
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "cp1252"))
    assert main(["diff", "old.csv", "polish.csv", "--key", "id"]) == 0
    assert b"name: 'Dan' -> '\\u0141ukasz'" in written.getvalue()
    written.truncate(0)
    assert main(["diff", "old.csv", "polish.csv", "--key", "id", "--format", "json"]) == 0
    assert "Łukasz".encode() in written.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_of_the_output_that_leaves_is_no_error(diff, files, monkeypatch, capsys, form):
    ours, theirs = os.pipe()
    os.close(ours)
    files("many.csv", [OLD[0], *(f"{number},x,y" for number in range(5_000))])
    with os.fdopen(theirs, "w", encoding="utf-8") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert main(["diff", "old.csv", "many.csv", "--key", "id", "--exit-code", "--format", form]) == 4
    assert capsys.readouterr().err == ""


def test_a_long_result_is_shown_page_by_page_on_a_terminal(diff, files, monkeypatch, tmp_path):
    page = tmp_path / "page"

    class Terminal(io.StringIO):
        def isatty(self):
            return True

        encoding = "utf-8"

    files(
        "sync.toml",
        [
            "[source]",
            'store = "old.csv"',
            "[destination]",
            'store = "new.csv"',
            *(f'[branches.b{number}]\nkey = "id"\nsource = "old"\ndestination = "new"' for number in range(9)),
        ],
    )
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((40, 6)))
    monkeypatch.setenv("DATASTORESYNC_PAGER", "sh -c 'cat > page; echo $LESS > less'")
    monkeypatch.delenv("LESS", raising=False)
    for argv, pages in (
        (("diff", "old.csv", "new.csv", "--key", "id"), True),
        (("diff", "old.csv", "new.csv", "--key", "id", "--no-pager"), False),
        (("diff", "old.csv", "new.csv", "--key", "id", "--limit", "1"), False),
        (("sync", "old.csv", "new.csv", "--key", "id", "--dry-run"), True),
        (("sync", "old.csv", "new.csv", "--key", "id", "--dry-run", "--no-pager"), False),
        (("check", "sync.toml", "--offline"), True),
        (("check", "sync.toml", "--offline", "--no-pager"), False),
    ):
        page.unlink(missing_ok=True)
        monkeypatch.setattr("sys.stdout", screen := Terminal())
        assert main(list(argv)) == 0
        text = page.read_text(encoding="utf-8") if pages else screen.getvalue()
        assert (page.exists(), bool(text)) == (pages, True), argv
        assert argv[0] != "diff" or all(len(line) <= 40 for line in text.splitlines())
    assert (tmp_path / "less").read_text(encoding="utf-8") == "FRX\n"
    for pager in ("", "cat", "no-such-pager", "true"):
        monkeypatch.setenv("DATASTORESYNC_PAGER", pager)
        monkeypatch.setattr("sys.stdout", screen := Terminal())
        assert main(["diff", "old.csv", "new.csv", "--key", "id"]) == 0
        assert bool(screen.getvalue()) == (pager != "true")


def test_what_looks_wrong_in_the_data_is_a_warning(diff, files):
    files("alike.csv", ["id,name", "Ann,1", "ann,2"])
    code, _, err = diff("alike.csv", "alike.csv", "--key", "id")
    assert (code, err.count("warning: ")) == (0, len(err.splitlines()))
    assert "ann" in err


def test_tables_of_a_database_are_compared_in_it_as_files_are(diff, files, database, execute, monkeypatch):
    monkeypatch.setattr("datastoresync.engines.postgresql.LARGE", 1)
    draw, statements = random.Random(1), []
    for which in ("old", "new"):
        for number in range(2):
            rows = [(key, draw.choice([None, "a", "B"]), draw.randrange(3)) for key in range(9) if draw.random() < 0.7]
            table, values = f"{which}{number}", ", ".join(map(str, rows)).replace("None", "null")
            statements.append(f"create table {table} (id integer, name text, grade integer)")
            statements.append(f"insert into {table} values {values}")
            files(
                f"{which}/{table}.csv", ["id,name,grade", *(f"{key},{name or ''},{mark}" for key, name, mark in rows)]
            )
    execute(database, *statements)
    url = database.replace("+psycopg", "")
    pairs = ("--tables", ",".join(f"old{number}=new{number}" for number in range(2)), "--key", "id", "--format", "json")
    code, out, err = diff(url, url, *pairs, "-v")
    assert re.findall(r"(\w+) engine", err) == ["postgresql"] * 2
    typed = ("--type", "id=int", "--type", "grade=int", "--null", "")
    assert (code, json.loads(out)) == (0, json.loads(diff("old", "new", *pairs, *typed)[1]))
    assert len(json.loads(out)) > 8
    execute(database, "insert into new0 values (9, 'x', 1), (9, 'y', 2)")
    code, _, err = diff(url, url, "--tables", "old0=new0", "--key", "id")
    assert (code, "idnumber 9 is already at" in err, "resolve_duplicate" in err) == (1, True, False)
    execute(database, "alter table old1 rename column grade to mark")
    code, out, _ = diff(url, url, "--tables", "old1=new1", "--key", "id", "--rename", "mark=grade")
    assert (code, "column" in out) == (0, False)
