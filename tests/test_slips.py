"""Slips of newcomers: each message says what is wrong, where, and how to go on, in the language of who reads it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import datastoresync as ds
from datastoresync.app.commands.group import main
from datastoresync.syncers import open_syncer

FILES = {
    "old.csv": "id,name,grade\n1,Ann,7\n2,Bob,8\n3,Cy,9\n",
    "new.csv": "id,name,grade\n1,Ann,8\n2,Bob,8\n4,Di,9\n",
    "semi.csv": "id;name;grade\n1;Ann;8\n",
    "empty.csv": "",
    "headless.csv": "1,Ann,7\n2,Bob,8\n",
    "apart.csv": "nr,who\n1,Ann\n",
    "umlaut.csv": "Mühe\n1\n",
    "comma.csv": "id;name\n1;Ann, Bob\n",
    "titled.csv": "Nr,name,grade,shoe\n1,Ann,7,38\n",
    "twice.csv": "id,name,grade\n1,Ann,7\n1,Bob,8\n",
    "doubled.csv": "id,name,name\n1,Ann,7\n",
    "wide.csv": "id,name,grade\n1,Ann,7,9\n",
    "open.csv": 'id,name,grade\n1,"Ann,7\n2,Bob,8\n',
    "word.csv": "id,name,grade\n1,Ann,seven\n",
    "blank.csv": "id,name,grade\n,Ann,7\n",
    "nul.csv": "id,name,grade\n1,A\0n,7\n",
    "fake.xlsx": "id,name\n",
    "text.db": "this is no database, and long enough to be looked at as one\n",
    "notes.docx": "id\n",
    "plain.txt": "id,name,grade\n1,Ann,7\n",
    "upper.csv": "ID,name,grade\n1,Ann,7\n",
    "book.csv": "PK\x03\x04\0\0",
    "base.csv": "SQLite format 3\0",
    "lines.json": '{"id": "1"}\n{"id": "2"}\n',
    "folder/users.csv": "id,name\n1,Ann\n",
    "folder/groups.csv": "id,name\n1,Ann\n",
    "taken.toml": "",
    "broken.toml": "[source\n",
    "half.toml": 'source = "old.csv"\n',
    "school.py": "import datastoresync\nclass Source(datastoresync.Tree): pass\nnumber = 1\n"
    "class Storeless(datastoresync.Tree):\n    users, syncer = datastoresync.Branch(), 7\n",
    "broken_module.py": "import not_there\n",
}
KEY = "--key id"
PYTHON = ("Traceback", "Error", "Errno", "NoneType", "Literal[", "pw@")
"""What nobody sees on the command line; and a password, which nobody sees at all."""
SLIPS = [  # the command, the exit code, and what is said of what is wrong, where, and how to go on
    ("dif old.csv new.csv", 2, "no command 'dif'", "did you mean 'diff'?"),
    ("diff old.csv", 2, "Missing argument 'NEW'", "--config FILE"),
    ("diff old.csv new.csv", 1, "table old of OLD has no column 'idnumber'", "--key id"),
    ("diff old.csv new.csv --key ID", 1, "table old of OLD has no column 'ID'", "did you mean 'id'?"),
    ("diff old.csv new.csv --key idd", 1, "old of OLD has no column 'idd'", "did you mean 'id'?"),
    ("diff old.csv upper.csv --key id", 1, "upper of NEW has no column 'id'", "--rename id=ID and --key ID"),
    ("diff upper.csv old.csv --key id", 1, "upper of OLD has no column 'id'", "--rename ID=id and --key id"),
    ("diff old.csv upper.csv --key ID", 1, "old of OLD has no column 'ID'", "--rename id=ID and --key ID"),
    ("diff old.csv new.csv --key id,name", 1, "no column 'id,name'", "--key id+name"),
    ("diff old.csv new.csv --key users=id", 1, "--key names the table 'users'", "there are 'rows', 'old', 'new'"),
    ("diff old.csv new.csv --key", 2, "'--key' requires an argument", "see datastoresync diff --help"),
    (f"diff old.csv new.csv {KEY} --optional-key nmae", 1, "--optional-key names 'nmae'", "there are 'id'"),
    ("diff old.csv new.csv -key id", 2, "no option -key", "did you mean --key?"),
    ("diff --version", 2, "no option --version here", "datastoresync --version"),
    ("old.csv new.csv", 2, "no command 'old.csv'", "datastoresync diff old.csv NEW"),
    (f"diff old.csv a file.csv {KEY}", 2, "unexpected extra argument (file.csv)", "quote a name with blanks"),
    (f"diff old.csv new.csv {KEY} --limit -1", 2, "'--limit': it is a number", "0 or more (got '-1')"),
    ("diff old.csv new.csv --kye id", 2, "no option --kye", "did you mean --key?"),
    (f"diff old.csv new.csv {KEY} --dry-run", 2, "no option --dry-run", "option of datastoresync sync"),
    (f"diff old.csv new.csv {KEY} --mode append", 2, "no option --mode", "option of datastoresync copy"),
    (f"sync old.csv new.csv {KEY} --exit-code", 2, "no option --exit-code", "option of datastoresync diff"),
    (f"sync old.csv new.csv {KEY} --allow-deletion 5", 2, "no option --allow-deletion", "--allow-deletions?"),
    (f"diff nwe.csv new.csv {KEY}", 1, "there is no nwe.csv in ", "did you mean new.csv?"),
    (f"diff old.csv - {KEY}", 1, "standard input and output are no stores", "people.csv"),
    (f"sync old.csv - {KEY}", 1, "standard input and output are no stores", "people.csv"),
    (f"diff old.csv semi.csv {KEY}", 1, "table semi of NEW", "--new-delimiter ';'"),
    (f"diff old.csv empty.csv {KEY}", 1, "empty.csv: the file is empty", "it must have a header"),
    (f"diff old.csv headless.csv {KEY}", 1, "table headless of NEW", "--new-header '…,…' names them"),
    (f"diff old.csv twice.csv {KEY}", 1, "twice.csv:3", "remove one of them"),
    (f"diff old.csv doubled.csv {KEY}", 1, "doubled.csv:1: columns 2 and 3", "let --new-columns id leave others"),
    (f"diff old.csv wide.csv {KEY}", 1, "wide.csv:2: the row has 4 values", "quote a value that holds ','"),
    (f"diff old.csv open.csv {KEY}", 1, "open.csv:2: a quote is opened", "never closed"),
    (f"diff old.csv blank.csv {KEY}", 1, "blank.csv:2: id is ''", "--new-blank-rows skip"),
    (f"diff old.csv nul.csv {KEY}", 1, "nul.csv:2:4: a NUL character", "another encoding"),
    (f"diff old.csv latin.csv {KEY}", 1, "latin.csv:2:4", "--new-encoding cp1252"),
    (f"diff old.csv wide16.csv {KEY}", 1, "wide16.csv:1:1", "--new-encoding utf-16"),
    (f"diff old.csv fake.xlsx {KEY}", 1, "fake.xlsx: not a workbook", "save it as .xlsx"),
    (f"diff old.csv plain.txt {KEY}", 1, "plain.txt' is a file whose suffix", "csv:plain.txt"),
    (f"diff old.csv book.csv {KEY}", 1, "book.csv:1:5: a NUL character", "xlsx:FILE"),
    (f"diff old.csv base.csv {KEY}", 1, "base.csv:1:16: a NUL character", "sqlite:///FILE"),
    (f"diff old.csv lines.json {KEY}", 1, "lines.json:1:1: the file is not a list", "jsonl:FILE"),
    (f"diff old.csv new.csv?delimiter=; {KEY}", 1, "with a question mark", "csv:new.csv?delimiter=;"),
    (f"diff old.csv file:///new.csv {KEY}", 1, "file: names no store", "write the path alone"),
    (f"diff old.csv file:new.csv {KEY}", 1, "file: names no store", "write the path alone"),
    (f"diff old.csv jdbc:sqlite:school.db {KEY}", 1, "jdbc: names no store", "leave it out"),
    (f"diff old.csv school.db:users {KEY}", 2, "(got 'school.db:users')", "school.db with --tables users"),
    (f"diff old.csv excel:new.xlsx {KEY}", 1, "no store has the scheme 'excel'", "'xlsx'"),
    (f"diff old.csv postgresql+psycopg2://u@h/x {KEY}", 1, "psycopg2://u@h/x is not installed", "install psycopg2"),
    (f"sync twice.csv new.csv {KEY}", 1, "twice.csv:3", "in grade, name: remove one of them\n"),
    (f"sync school.db new.csv {KEY} --tables posts=new", 1, "'new' has no column 'mail'", "there are 'id'"),
    (f"diff old.csv $SCHOOL {KEY}", 2, "(got '$SCHOOL')", "is written as env:SCHOOL"),
    (f"diff old.csv ${{env:SCHOOL}} {KEY}", 2, "(got '${env:SCHOOL}')", "is written as env:SCHOOL"),
    (f"diff old.csv env: {KEY}", 2, "(got 'env:')", "is written as env:NAME"),
    (f"diff old.csv notes.docx {KEY}", 1, "'notes.docx'", "there are '.csv'"),
    (f"diff old.csv sqlite:///schol.db {KEY}", 1, "there is no schol.db", "did you mean school.db?"),
    (f"diff old.csv text.db {KEY}", 1, "text.db: file is not a database", "of another kind"),
    (f"diff old.csv sqlite://school.db {KEY}", 1, "Invalid SQLite URL", "three slashes"),
    (f"diff old.csv sqlite:///school.db?tiemout=3 {KEY}", 1, "no option 'tiemout'", "did you mean 'timeout'?"),
    (
        f"diff old.csv postgresql://localhost:1/x?conect_timeout=3 {KEY}",
        1,
        '"conect_timeout"',
        "question mark of the URL",
    ),
    (f"diff old.csv sqlite:school.db {KEY}", 1, "must be followed by slashes", "sqlite:///file.db"),
    (f"diff old.csv postgresql://u:pw@localhost:1/x {KEY}", 1, "postgresql://u@localhost:1/x", "is the server running"),
    (f"diff old.csv oracle://u@h/x {KEY}", 1, "driver for oracle://u@h/x is not installed", "pip install"),
    (f"diff old.csv postgresq://u@h/x {KEY}", 1, "no 'postgresq'", "use postgresql, "),
    (f"diff old.csv https://h/x.csv {KEY}", 1, "https: addresses are not read", "download the file"),
    (f"diff old.csv cvs:new.csv {KEY}", 1, "no store has the scheme 'cvs'", "did you mean 'csv'?"),
    (f"diff old.csv env:NOT_SET {KEY}", 2, "'[NEW]'", "environment variable 'NOT_SET' is not set"),
    (f"diff school:Source new.csv {KEY}", 2, "school:Source is declared in Python", "sync --dry-run"),
    (f"diff folder old.csv {KEY} --tables user", 1, "csv:folder has no table 'user'", "did you mean 'users'?"),
    (f"diff old.csv school.db {KEY} --tables user", 1, "has no table 'user'", "--tables OLD=NEW"),
    ("diff umlaut.csv umlaut.csv --key Mu\u0308he", 1, "no column", "in another Unicode form: 'M\\xfche'"),
    ("diff umlaut.csv umlaut.csv --key Mühe --encoding cp1252", 1, "looks like UTF-8", "--old-encoding utf-8"),
    (f"diff old.csv new.csv {KEY} --columns nmae", 1, "--columns names 'nmae'", "did you mean 'name'?"),
    (f"diff old.csv titled.csv {KEY} --rename Nr=id", 1, "'Nr', which table old of OLD does not", "--rename id=Nr"),
    ("diff old.csv titled.csv --key Nr --rename id=Nr --columns id", 1, "names 'id', which --rename calls", "'Nr'"),
    (f"init old.csv apart.csv {KEY}", 1, "'id', 'name', 'grade' and 'nr', 'who'", "columns = { id = "),
    (f"diff old.csv new.csv {KEY} --rename nmae=name", 1, "--rename names 'nmae'", "did you mean 'name'?"),
    (f"diff old.csv new.csv {KEY} --rename name=nmae", 1, "'nmae', which table new of NEW", "mean 'name'?"),
    (f"diff old.csv new.csv {KEY} --rename grade=name", 1, "two columns 'name' of table old of OLD", "leave it out"),
    (f"diff old.csv new.csv {KEY} --rename name", 2, "'--rename'", "a pair is needed, as in birthday=born"),
    (f"diff old.csv new.csv {KEY} --only canged", 2, "--only: no table or change 'canged'", "mean 'changed'?"),
    (f"diff old.csv new.csv {KEY} --only .nmae", 2, "--only: no attribute 'nmae'", "did you mean 'name'?"),
    (f"diff old.csv word.csv {KEY} --type grade=int", 1, "word.csv:2: grade: 'seven'", "(--type grade=int)"),
    (f"diff old.csv new.csv {KEY} --type grade=number", 2, "'--type'", "the type is one of str, bool, int"),
    (f"diff old.csv new.csv {KEY} --type grad=int", 1, "--type names 'grad'", "did you mean 'grade'?"),
    (f"diff old.csv new.csv {KEY} --delimiter ab", 1, "a delimiter is one character", "got 'ab'"),
    (f"diff old.csv new.csv {KEY} --encoding utf-9", 1, "'utf-9' is no text encoding", "cp1252"),
    (f"diff old.csv new.csv {KEY} --dates dd.mm.yyyy", 1, "(got 'dd.mm.yyyy')", "written like %d.%m.%Y"),
    (f"diff old.csv new.csv {KEY} --dates %d.%m.%q", 1, "(got '%d.%m.%q')", "written like %d.%m.%Y"),
    (f"diff old.csv new.csv {KEY} --decimal ;", 1, "--decimal is the mark before the decimals", ", or ."),
    (f"diff old.csv new.csv {KEY} --footer x", 1, "--footer is the number of last rows", "got 'x'"),
    (f"diff old.csv new.csv {KEY} --exclude name", 2, "no table or change 'name'", "write .name for the column"),
    (f"diff old.csv new.csv {KEY} --output none/x.html", 1, "none/x.html: No such file", "create the folder first"),
    (f"diff old.csv new.csv {KEY} --output x.pdf", 2, "--output: .pdf is no format", "--format: text, json"),
    (f"diff old.csv new.csv {KEY} --output new.csv", 2, "--output new.csv is in NEW", "name another file"),
    (f"diff folder folder {KEY} --output folder/users.csv", 2, "folder/users.csv is in OLD", "name another file"),
    (f"sync old.csv new.csv {KEY} --log-file old.csv", 2, "--log-file old.csv is in SOURCE", "name another file"),
    (f"diff old.csv new.csv {KEY} --format xlsx", 2, "a workbook is written to a file", "--output FILE"),
    (f"diff old.csv new.csv {KEY} --log-file none/x", 2, "'--log-file'", "cannot write to none/x"),
    ("diff --config none.toml", 2, "none.toml cannot be read: No such file", "did you mean "),
    ("check notes.docx", 2, "notes.docx is no configuration", "datastoresync init notes.docx DESTINATION"),
    ("check folder", 2, "folder is a folder without MANIFEST.json", "name a file or a module"),
    ("diff --config broken.toml", 2, "broken.toml:1: it is not TOML", "Expected ']'"),
    ("diff --config half.toml", 2, "half.toml:1: it lacks the key 'destination'", "a table of keys and values"),
    ("diff --config half.toml old.csv new.csv", 2, "--config names the stores", "leave OLD and NEW out"),
    (f"sync folder one.csv {KEY} --dry-run", 1, "csv:one.csv is a file for one table", "name a folder"),
    ("sync folder sqlite:///school.db --key nmae", 1, "has no column 'nmae'", "did you mean 'name'?"),
    (f"sync old.csv semi.csv {KEY}", 1, "table 'semi' has no column 'id'", "?delimiter=%3B"),
    (f"sync old.csv new.csv {KEY} --tables old=nwe", 1, "csv:new.csv has one table, 'new'", "leave =nwe out"),
    (f"sync folder new.csv {KEY} --tables users=new,groups=new", 1, "to be written to one", "sync one of them"),
    (f"sync old.csv new.csv {KEY} --tables old,", 2, "(got 'old,')", "people=accounts"),
    ("sync school:Storeless new.csv", 1, "Storeless: syncer is a store", "the URL of one, such as 'sqlite:///"),
    (f"sync school:Sorce new.csv {KEY}", 2, "--key is for a store", "school:Sorce"),
    ("sync school:Sorce new.csv", 1, "school has no 'Sorce'", "did you mean 'Source'?"),
    ("sync schol:Source new.csv", 1, "there is no module 'schol'", "did you mean 'school'?"),
    ("sync school:number new.csv", 1, "school:number is no tree", "name a tree, the class of one"),
    ("sync broken_module:Source new.csv", 1, "No module named 'not_there'", "broken_module.py:1"),
    ("sync school:Source school:Source --dry-run", 1, "Source has no template, no syncer", "`syncer = 'sqlite:///…'`"),
    (f"init old.csv new.csv {KEY} -o none/x.toml", 1, "cannot write none/x.toml", "another file with --output"),
    (f"init old.csv new.csv {KEY} -o taken.toml", 1, "taken.toml is there already", "another file with --output"),
    ("check none.toml", 2, "none.toml cannot be read", "No such file"),
    ("completion tcsh", 2, "'tcsh' is not one of", "'zsh'"),
]


class User(ds.Object):
    """What the files have."""

    _identifiers = ("id",)
    id: str
    name: str
    grade: int


class Misspelt(ds.Object):
    """With a field that no file has."""

    _identifiers = ("id",)
    id: str
    nmae: str


class Misnamed(ds.Template):
    """With a method that nothing calls."""

    def new_usres(self, action):
        """Do nothing."""


class LeavingOut(ds.Template):
    """Leaves out what has no method of its own."""

    leaves_out = ("add", "remove", "update", "new", "old")


def titled():
    """Return an importer of a file with a column too many and another name for one."""
    return ds.CSVImporter("titled.csv", columns={"id": "Nr"})


def tree(name, cls=User, table=None, **options):
    """Return a tree of one branch, loaded."""
    syncer = open_syncer(name, **options)
    table = table or name.partition(".")[0]
    return ds.Tree("school", syncer=syncer, branches={"users": ds.Branch(cls, table=table)}).load()


IN_PYTHON = [
    (lambda: tree("nwe.csv"), "there is no nwe.csv in ", "did you mean 'new.csv'?"),
    (lambda: tree("folder/users.csv", table="user"), "no table 'user'", "did you mean 'users'?"),
    (lambda: tree("twice.csv"), "school.users: twice.csv:3", "write resolve_duplicate(existing, row)"),
    (lambda: tree("semi.csv"), "table 'semi' has no column 'id'", "delimiter=';' tells so"),
    (lambda: tree("latin.csv"), "latin.csv:2:4", "encoding='cp1252'"),
    (lambda: tree("word.csv"), "word.csv:2: grade: 'seven'", "(declared: int)"),
    (lambda: tree("old.csv", Misspelt), "no column 'nmae'", "did you mean 'name'?"),
    (lambda: tree("old.csv", delimeter=";"), "no option 'delimeter'", "did you mean 'delimiter'?"),
    (lambda: tree("sqlite:///schol.db"), "no database sqlite:///schol.db", "check the path"),
    (lambda: tree("sqlite:///school.db", table="user"), "no table 'user'", "did you mean 'users'?"),
    (lambda: tree("https://h/x.csv"), "https: addresses are not read", "download the file"),
    (lambda: tree("old.csv")["usres"], "no branch 'usres' in school", "there are users"),
    (lambda: -tree("old.csv"), "a tree has no minus", "-(source - dest)"),
    (lambda: tree("old.csv") | Misnamed, "binds less tightly", "source - dest | Template"),
    (lambda: tree("old.csv") - tree("old.csv") | Misnamed, "Misnamed.new_usres", "did you mean 'new_users'?"),
    (lambda: tree("old.csv") - tree("old.csv") | "schol:X", "'schol:X' leads nowhere", "No module named"),
    (lambda: (tree("old.csv") - tree("old.csv")).only("updat"), "no branch or verb 'updat'", "'update'?"),
    (lambda: (tree("old.csv") - tree("old.csv")).exclude("name"), "no branch or verb 'name'", "attribute is '.name'"),
    (
        lambda: tree("old.csv") - tree("old.csv") | LeavingOut,
        "names 'add', which no action calls",
        "'update' leaves out",
    ),
    (lambda: list(open_syncer("comma.csv").load("comma")), "comma.csv:2: the row has 2 values", "delimiter=';'"),
    (lambda: +ds.Branch(User, importer=titled()), "User has no 'shoe'", "columns=(('id', 'Nr'), 'name', 'grade') does"),
    (lambda: tree("old.csv", dates="dd.mm.yyyy"), "dates are written like %d.%m.%Y", "got 'dd.mm.yyyy'"),
    (lambda: tree("old.csv", dates="%d.%m."), "with day, month and year", "got '%d.%m.'"),
    (lambda: tree("old.csv", dates=("%d.%m.%Y", "%m/%Y")), "with day, month and year", "got '%m/%Y'"),
    (lambda: tree("old.csv", true=("ja", "x"), false="x"), "no words in common", "got 'x' in both"),
    (lambda: tree("sqlite:///school.db?tiemout=3"), "no option 'tiemout'", "did you mean 'timeout'?"),
    (lambda: ds.Tree("school", syncer=7), "school: syncer is a store", "the URL of one, such as 'sqlite:///"),
    (lambda: ds.Branch("User"), "a branch holds objects", "a subclass of datastoresync.Object"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with files that are right, and files that are not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "folder").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "latin.csv").write_text("id,name,grade\n1,Jürg,7\n", encoding="cp1252")
    (tmp_path / "wide16.csv").write_text("id,name,grade\n1,Jürg,7\n", encoding="utf-16")
    with closing(sqlite3.connect("school.db")) as database:
        database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, grade INTEGER NOT NULL)")
        database.execute("CREATE TABLE posts (id INTEGER PRIMARY KEY, mail TEXT)")
    return tmp_path


def contents(folder):
    """Return the bytes of all files."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_a_slip_on_the_command_line_is_told_in_its_language(capsys, folder):
    before, wrong = contents(folder), []
    for call, code, *said in SLIPS:
        found = main(call.split())
        out, err = capsys.readouterr()
        shown = [word for word in PYTHON if word in err.replace("ModuleNotFoundError: No module named 'not_there'", "")]
        if found != code or out or shown or [part for part in said if part not in err]:
            wrong.append((call, found, out, err))
    assert not wrong, "\n".join(map(str, wrong))
    assert contents(folder) == before


@pytest.mark.parametrize(("slip", "what", "advice"), IN_PYTHON)
def test_a_slip_in_python_is_told_in_its_language(slip, what, advice):
    with pytest.raises((ds.DatastoreSyncError, LookupError, TypeError)) as caught:
        slip()
    said = str(caught.value)
    assert what in said
    assert advice in said
    assert " --" not in said


def test_a_locked_database_ends_both_commands_alike(capsys):
    with closing(sqlite3.connect("school.db")) as database:
        database.execute("BEGIN EXCLUSIVE")
        for command in ("diff", "sync"):
            assert main([command, "folder", "sqlite:///school.db?timeout=0.01", "--key", "id"]) == 6
            assert "database is locked" in capsys.readouterr().err


def test_a_table_of_another_name_is_offered_and_written_to(capsys):
    with closing(sqlite3.connect("school.db")) as database:
        database.execute("CREATE TABLE things (id TEXT)")
    hint = "which has 'users': if that is meant, --tables user=users"
    with open("user.csv", "w", encoding="utf-8") as file:  # noqa: PTH123 - as short as it gets
        file.write(FILES["old.csv"])
    assert main(["sync", "user.csv", "school.db", "--key", "id", "--dry-run"]) == 0
    assert hint in capsys.readouterr().out
    assert main(["sync", "user.csv", "school.db", "--key", "id"]) == 0
    assert hint in capsys.readouterr().err
    for more in ("--dry-run", "-q"):
        assert main(["sync", "user.csv", "school.db", "--tables", "user=users", "--key", "user=id", more]) == 0
        out, err = capsys.readouterr()
        assert ("users  3 new" in out, "made" in out, err) == (more == "--dry-run", False, "")
    with closing(sqlite3.connect("school.db")) as database:
        assert database.execute("SELECT * FROM users").fetchall() == [(1, "Ann", 7), (2, "Bob", 8), (3, "Cy", 9)]


def test_the_store_of_a_tree_may_be_a_url():
    class School(ds.Tree):
        users = ds.Branch(User)
        syncer = "sqlite:///school.db"

    assert (tree("old.csv") >> +School()).ok
    assert list(+School()["users"]) == ["1", "2", "3"]
    assert list(+ds.Tree("other", syncer=Path("old.csv"), branches={"old": ds.Branch(User)})["old"]) == ["1", "2", "3"]


ROOT = "--bounding-set=-all --inh-caps=-all"
"""What takes from root, in a process of its own, the right to read and write everything."""
UNWRITABLE = [
    "diff old.csv secret.csv --key id",
    "diff old.csv secret.db --key id",
    "diff old.csv new.csv --key id -o locked/x.html",
    "diff old.csv new.csv --key id -o readonly.csv",
    "diff old.csv new.csv --key id --log-file locked/x",
    "diff old.csv new.csv --key id -o /dev/full",
    "diff old.csv new.csv --key id > /dev/full",
    "sync old.csv readonly.csv --key id",
    "sync old.csv school.db --tables old=users --key id",
]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="permissions are those of Linux")
def test_what_may_not_be_read_or_written_is_told_with_a_way_on(folder):
    for name in ("secret.csv", "readonly.csv"):
        (folder / name).write_text(FILES["new.csv"], encoding="utf-8")
    (folder / "secret.db").write_bytes((folder / "school.db").read_bytes())
    (folder / "locked").mkdir()
    for name, mode in {
        "secret.csv": 0,
        "secret.db": 0,
        "readonly.csv": 0o444,
        "school.db": 0o444,
        "locked": 0o555,
    }.items():
        (folder / name).chmod(mode)
    before = {path: path.stat() for path in folder.rglob("*")}
    without = f"setpriv {ROOT} " if os.geteuid() == 0 else ""
    if without and shutil.which("setpriv") is None:
        pytest.skip("root may read and write everything")
    for call in UNWRITABLE:
        command = f"{without}{sys.executable} -m datastoresync {call}"
        run = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert run.returncode in (1, 2), call
        assert re.search(r"check (who may|that its folder)|make room|name another", run.stderr), (call, run.stderr)
        assert "Traceback" not in run.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == {path: one.st_mtime_ns for path, one in before.items()}


def test_one_file_follows_another_whatever_they_are_called(capsys):
    assert main(["sync", "old.csv", "new.csv", "--key", "id", "--dry-run"]) == 0
    assert "1 new, 1 value changes, 1 deleted" in capsys.readouterr().out
    assert main(["sync", "old.csv", "new.csv", "--key", "id"]) == 0
    assert main(["sync", "old.csv", "made.csv", "--key", "id"]) == 0
    for name in ("new.csv", "made.csv"):
        with open(name, encoding="utf-8") as file:  # noqa: PTH123 - as short as it gets
            assert file.read() == FILES["old.csv"]


def test_a_result_beside_what_is_compared_is_written(capsys):
    for name in ("result.csv", "folder/result.csv"):
        assert main(["diff", "folder", "folder", "--key", "id", "--output", name]) == 0
    for output in ("--json", "--format json --output -"):
        assert main(["diff", "old.csv", "new.csv", "--key", "old=id", *output.split()]) == 0
        assert '"idnumber": "4"' in capsys.readouterr().out


@pytest.mark.parametrize("store", ["sqlite:///school.db", "school.db"])
@pytest.mark.parametrize("command", ["diff", "sync", "init"])
def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch, capsys, command, store):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    assert main([command, "old.csv", store, "--key", "id"]) == 1
    assert "SQLAlchemy, which is not installed: pip install 'datastoresync[sql]'" in capsys.readouterr().err


def test_a_sync_that_stops_at_once_is_told_as_json_too(capsys):
    for call, code in (("school:Sorce new.csv", 1), ("--config broken.toml", 2)):
        assert main(["sync", *call.split(), "--json"]) == code
        out, err = capsys.readouterr()
        found = json.loads(out)
        assert (found["exit_code"], found["ok"]) == (code, False)
        assert found["reason"] in err


def test_a_column_of_one_table_of_several_may_be_named(tmp_path, capsys):
    (tmp_path / "later").mkdir()
    (tmp_path / "later/users.csv").write_text("id,full\n1,ANN\n", encoding="utf-8")
    (tmp_path / "later/groups.csv").write_text("id,title\n01,Ann\n", encoding="utf-8")
    call = ["diff", "folder", "later", "--key", "id", "--rename", "name=full", "--json"]
    assert main(call) == 0
    assert '"new": "ANN"' in capsys.readouterr().out
    for more, code, said in (
        ("--columns full", 0, ""),
        ("--columns ful", 1, "--columns names 'ful', which no table of OLD has: did you mean 'full'?"),
        ("--rename nam=full", 1, "--rename names 'nam', which no table of OLD has: did you mean 'name'?"),
        ("--rename name=ful", 1, "--rename names 'ful', which no table of NEW has: did you mean 'full'?"),
    ):
        assert main([*call, *more.split()]) == code
        assert said in capsys.readouterr().err


def test_texts_that_look_the_same_are_shown_by_their_escapes(tmp_path, capsys):
    for name, row in (("one.csv", "A,e\u0301"), ("two.csv", "a,x"), ("three.csv", "A,\u00e9")):
        (tmp_path / name).write_text(f"id,name\n{row}\n", encoding="utf-8")
    assert main(["diff", "one.csv", "three.csv", "--key", "id"]) == 0
    assert r"name: 'e\u0301' → '\xe9'" in capsys.readouterr().out
    assert main(["diff", "one.csv", "two.csv", "--key", "id"]) == 0
    assert capsys.readouterr().err.endswith("'a' and 'A'; datastoresync diff --ignore-case takes them for one\n")


def test_standard_output_may_be_a_pipe_or_closed():
    command = f"{sys.executable} -m datastoresync diff old.csv new.csv --key id --format json"
    piped, closed = (
        subprocess.run(f"{command} {end}", shell=True, capture_output=True, check=True)
        for end in ("--output /dev/stdout", ">&-")
    )
    assert len(json.loads(piped.stdout)) == 5
    assert (closed.stdout, closed.stderr) == (b"", b"")


def test_a_plan_that_is_read_in_part_is_no_failure():
    rows = "".join(f"{number},{'x' * 2_000},7\n" for number in range(200))
    with open("many.csv", "w", encoding="utf-8") as file:  # noqa: PTH123 - as short as it gets
        file.write(f"id,name,grade\n{rows}")
    command = f"{sys.executable} -m datastoresync sync many.csv new.csv --key id --dry-run --allow-creations 200"
    ran = subprocess.run(
        f"{command} --allow-deletions 3 --verbose | head -n 1", shell=True, capture_output=True, check=True
    )
    assert (ran.stdout.startswith(b"source - destination"), b"Broken" in ran.stderr) == (True, False), ran.stderr
