"""`check` says what is declared and what is wrong in stores; what `init` writes passes it, and syncs."""

from __future__ import annotations

import csv
import runpy
import sys
import tomllib
from pathlib import Path

import pytest
from command_runs import rows, write

from datastoresync.app.commands import init
from datastoresync.app.starter import Starter, script_of, toml_of

ROOT = Path(__file__).resolve().parents[2]


CHECKED = """\
[source]
store = "people.csv"
[destination]
store = "sqlite:///school.db"
[branches.people]
key = "id"
source = { table = "people", columns = { name = "Full nmae" } }
destination = "acounts"
types = { id = "int", name = "str" }
[branches.other]
key = "id"
source = "peple"
[branches.last]
key = "di"
source = "people"
destination = "accounts"
[limits]
deletions = 3
"""


def test_check_holds_a_configuration_against_the_stores_and_writes_nothing(run):
    write("people.csv", "id,Full name\n1,Ann\n")
    rows("create table accounts (id integer primary key, name text)")
    write("sync.toml", CHECKED)
    before = Path("school.db").read_bytes()
    code, out, err = run("check", "sync.toml")
    assert (code, Path("school.db").read_bytes()) == (1, before)
    assert err.splitlines() == [
        f"sync.toml:{line}: branches.{said}"
        for line, said in (
            (7, "people.source: table people of the source has no column 'Full nmae': did you mean 'Full name'?"),
            (10, "other: the source has no table 'peple': did you mean 'people'?"),
            (14, "last.key: table accounts of the destination has no column 'di': there are 'id', 'name'"),
            (14, "last.key: table people of the source has no column 'di': there are 'id', 'Full name'"),
            (
                16,
                "last.destination: table accounts of the destination has no column 'Full name': did you mean 'name'?",
            ),
        )
    ]
    assert "branch people: key id; id int, name str\n" in out
    assert "the destination has no table acounts: the first sync makes it; or did you mean 'accounts'?" in out
    assert out.endswith("limits: deletions 3\n5 problems\n")
    code, out, err = run("check", "sync.toml", "--offline")
    assert (code, err, out.endswith("no problems\n")) == (0, "", True)


NAMING = """\
[source]
store = "people.csv"
[destination]
store = "accounts.csv"
[branches.people]
key = "id"
source = { table = "people", columns = { name = "Full name" } }
destination = "accounts"
references = { bos = "people" }
active = "activ"
part = "stie"
sensitive = ["pasword"]
correlate = "nmae"
"""


def test_check_looks_for_the_attributes_that_are_named_where_all_columns_are_synced(run):
    write("people.csv", "id,Full name,boss,active,password\n1,Ann,1,true,x\n")
    write("accounts.csv", "id,name,boss,active,password,site\n1,Ann,1,true,x,North\n")
    write("sync.toml", NAMING)
    code, _, err = run("check", "sync.toml")
    named = [(9, "references.bos", "bos", "boss"), (10, "active", "activ", "active"), (11, "part", "stie", "site")]
    named += [(12, "sensitive", "pasword", "password"), (13, "correlate", "nmae", "name")]
    assert (code, sorted(err.splitlines(), key=lambda line: int(line.split(":")[1]))) == (
        1,
        [
            f"sync.toml:{line}: branches.people.{key}: the {side} has no attribute {name!r}: did you mean {meant!r}?"
            for line, key, name, meant in named
            for side in ("destination", "source")
            if (side, key) != ("source", "part")
        ],
    )
    right = NAMING
    for _, _, name, meant in named:
        right = right.replace(f" {name} ", f" {meant} ").replace(f'"{name}"', f'"{meant}"')
    write("sync.toml", right)
    assert run("check", "sync.toml")[0] == 0


LINKED = """\
[source]
store = "exports"
[destination]
store = "sqlite:///school.db"
[branches.people]
key = "id"
[branches.groups]
key = "id"
types = { id = "int", boss = "int", people = "set[int]" }
[branches.groups.source]
table = "groups"
links = { people = { table = "membrs", owner = "groups", member = "person" } }
[branches.groups.destination]
table = "groups"
columns = { boss = { table = "peple" } }
links = { people = { table = "members", owner = "grup", member = "person" } }
"""


def test_check_looks_at_the_tables_of_memberships_and_references(run):
    Path("exports").mkdir()
    for name, header in {"people": "id", "groups": "id,boss", "members": "group,person"}.items():
        write(f"exports/{name}.csv", f"{header}\n")
    for name, columns in {"people": "id", "groups": "id, boss", "members": '"group", person'}.items():
        rows(f"create table {name} ({columns})")
    write("sync.toml", LINKED)
    code, _, err = run("check", "sync.toml")
    assert code == 1
    for line, (where, said) in zip(
        err.splitlines(),
        [
            ("12: branches.groups.source.links.people", "the source has no table 'membrs': did you mean 'members'?"),
            ("15: branches.groups.destination.columns", "the destination has no table 'peple': did you mean 'people'?"),
            ("16: branches.groups.destination.links.people", "has no column 'grup': did you mean 'group'?"),
        ],
        strict=True,
    ):
        assert line.startswith(f"sync.toml:{where}: ")
        assert line.endswith(said)
    write("sync.toml", LINKED.replace("membrs", "members").replace('groups", member', 'group", member'))
    rows("alter table members rename to pairs")
    _, out, err = run("check", "sync.toml")
    assert "the destination has no table members: the first sync makes it" in out


def test_init_writes_the_foreign_keys_that_lead_to_keys(run):
    rows("create table people (id integer primary key, mail text unique, boss integer references people)")
    rows("create table groups (id integer primary key, owner text references people (mail))")
    rows("create table members (grp integer references groups, who integer references people, primary key (grp, who))")
    for values in ("people values (1, 'a', null), (2, 'b', 1)", "groups values (1, 'a')", "members values (1, 2)"):
        rows(f"insert into {values}")
    for python in ((), ("--python",)):
        assert run("init", "school.db", "other.db", *python)[0] == 0
    text = Path("sync.toml").read_text(encoding="utf-8")
    assert 'references = { boss = "people" }' in text
    assert ("who" in text, "owner" in text) == (True, False)
    for name, references in tomllib.loads(text)["branches"].items():
        expected = {"people": {"boss": "people"}, "members": {"grp": "groups", "who": "people"}}.get(name, {})
        assert references.get("references", {}) == expected
    assert run("sync", "-c", "sync.toml")[0] == 0
    assert "_references = {'boss': 'people'}" in Path("sync.py").read_text(encoding="utf-8")
    compile(Path("sync.py").read_text(encoding="utf-8"), "sync.py", "exec")


@pytest.mark.parametrize(
    ("source", "destination", "said"),
    [
        ("poeple.csv", "x.db", "sync.toml:2: source.store: csv:poeple.csv: there is no poeple.csv"),
        ("nosuch:x", "x.db", "sync.toml:2: source.store: no store has the scheme 'nosuch'"),
        ("people.csv", "postgresql://localhost:1/x", "sync.toml:4: destination.store: cannot "),
        ("people.csv", "x.db", ""),
    ],
)
def test_check_tells_of_stores_that_cannot_be_read(run, source, destination, said):
    write("people.csv", "id\n1\n")
    stores = f'[source]\nstore = "{source}"\n[destination]\nstore = "{destination}"\n'
    write("sync.toml", stores + '[branches.people]\nkey = "id"')
    code, _, err = run("check", "sync.toml")
    assert (code, err.count("sync.toml:"), said in err) == (bool(said), bool(said), True), err
    assert not Path("x.db").exists()


def test_check_looks_at_modules_and_the_trees_in_them(run):
    head = "from datastoresync import Branch, Object, Tree\n"
    person = "class Person(Object):\n    _references = {'boss': '%s'}\n    boss: str\n"
    trees = "class Source(Tree):\n    people = Branch(Person)\n    template = 'nowhere:Template'\n"
    good = trees.replace("    template = 'nowhere:Template'\n", "")
    stored = "from datastoresync.syncers import open_syncer\nclass Stored(Tree):\n    syncer = open_syncer('csv:.')\n"
    write("checked_good.py", head + person % "people" + good + stored)
    write("checked_bad.py", head + person % "peple" + trees)
    write("checked_broken.py", "x = 1\n1 / 0\n")
    write("checked_syntax.py", "x = 1\ndef (\n")
    try:
        code, out, err = run("check", "checked_good")
        assert (code, err) == (0, "")
        assert (
            "tree checked_good:Source: is only read, as it has no syncer and no template\n"
            "  branch people: key idnumber; idnumber Any, boss str\n"
            "tree checked_good:Stored: is written to by its store\n" in out
        )
        assert run("check", "checked_good:Source")[0] == 0
        code, _, err = run("check", "checked_bad")
        assert code == 1
        assert "people refers to 'peple', which is no branch of checked_bad:Source: did you mean 'people'?" in err
        assert "nowhere" in err
        for name, said in {
            "checked_broken": "ZeroDivisionError: division by zero",
            "checked_syntax": "SyntaxError",
            "checked_godo": "did you mean 'checked_good'?",
            "sys": "sys: it declares no tree",
        }.items():
            code, _, err = run("check", name)
            assert (code, said in err) == (1, True), err
        assert "checked_syntax.py:2)" in run("check", "checked_syntax")[2]
        assert "checked_broken.py:2)" in run("check", "checked_broken")[2]
        assert "write the name of the module, checked_good" in run("check", "checked_good.py")[2]
    finally:
        for name in ("checked_good", "checked_bad", "checked_broken", "checked_syntax"):
            sys.modules.pop(name, None)


def test_check_looks_at_a_plug_in_without_opening_it(run, tmp_path):
    code, out, err = run("check", ROOT / "examples" / "plugins" / "archive")
    assert (code, err) == (0, "")
    assert "class ArchiveSyncer" in out
    assert "options: path\n  methods: load, dump\n" in out
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "MANIFEST.json").write_text('{"name": "mine", "syncer_clas": "Mine"}', encoding="utf-8")
    assert "did you mean 'syncer_class'?" in run("check", folder)[2]
    (folder / "MANIFEST.json").write_text('{"name": "mine", "syncer_class": "Mine"}', encoding="utf-8")
    (folder / "syncer.py").write_text("class Mine:\n    def load(self, x): ...\n", encoding="utf-8")
    code, _, err = run("check", folder)
    assert (code, "has no method dump" in err) == (1, True)


# What init writes --------------------------------------------------------------------------------------------------


def held_as_csv():
    with Path("people.csv").open(encoding="utf-8", newline="") as file:
        return [(int(row["ID"]), row["Full name"], row["born"] or None) for row in csv.DictReader(file)]


@pytest.fixture
def people():
    """People in a file, whose columns are spelt otherwise than in a database."""

    def make(execute, url):
        write("people.csv", "ID,Full name,born,shoe\n1,Ann,2001-02-03,38\n2,Bob,,44\n")
        execute(url, "create table accounts (id integer primary key, full_name text, born date, note text)")
        execute(url, "insert into accounts values (1, 'Anna', null, 'kept')")

    return make


def test_columns_are_paired_where_their_spelling_leaves_no_doubt(run):
    write("people.csv", "id,Last name,last_name,a b,a-b,class,Möwe\n1,Ann,x,2,3,7,y\n")
    rows('create table people (id integer primary key, last_name text, "a b" text, "class" text, "möwe" text)')
    assert run("init", "people.csv", "school.db")[0] == 0
    text = Path("sync.toml").read_text(encoding="utf-8")
    assert 'columns = { a_b = "a b", class_ = "class", möwe = "Möwe" }'.replace("möwe", '"möwe"') in text
    assert "# not synced, as the source alone has it: Last name, a-b" in text
    assert run("sync", "-c", "sync.toml")[0] == 0
    assert rows("select * from people") == [(1, "x", "2", "7", "y")]
    assert run("init", "people.csv", "school.db", "--python")[0] == 0
    compile(Path("sync.py").read_text(encoding="utf-8"), "sync.py", "exec")


@pytest.mark.parametrize("python", [False, True])
def test_what_init_writes_passes_check_and_syncs(run, people, store_url, execute, monkeypatch, python):
    people(execute, store_url)
    monkeypatch.setenv("SCHOOL", store_url)
    code, out, err = run("init", "people.csv", "env:SCHOOL", *(["--python"] if python else []))
    assert (code, err) == (0, "")
    assert "people: people > accounts, key id, 3 columns\n" in out
    assert "the URL of the destination is read from the environment variable SCHOOL" in out
    text = Path("sync.py" if python else "sync.toml").read_text(encoding="utf-8")
    assert store_url not in text
    assert "as the source alone has it: shoe" in text
    assert "as the destination alone has it: note" in text
    if python:
        monkeypatch.setattr(sys, "argv", ["sync.py"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path("sync.py", run_name="__main__")
        assert end.value.code == 0
        assert run("check", "sync:Source")[0] == 0
        sys.modules.pop("sync")
    else:
        assert run("check", "sync.toml")[0] == 0
        assert run("sync", "--config", "sync.toml") == (0, "", "")
        assert run("diff", "--config", "sync.toml", "--exit-code")[0] == 0
    found = execute(store_url, "select id, full_name, born, note from accounts order by id")
    assert [(key, name, born and str(born)) for key, name, born, _ in found] == held_as_csv()
    assert [note for *_, note in found] == ["kept", None]


def test_init_writes_no_password_and_over_no_file(run):
    write("people.csv", "id,name\n1,Ann\n")
    secret = Starter(urls=("people.csv", "postgresql://ann:hunter2@localhost/school"), branches=())
    for text in (toml_of(secret), script_of(secret)):
        assert ("hunter2" in text, "DESTINATION_URL" in text) == (False, True)
    code, out, _ = run("init", "people.csv", "new.db", "--key", "id")
    assert (code, "people: people > people, key id, all columns" in out) == (0, True)
    assert run("check", "sync.toml")[0] == 0
    assert run("sync", "-c", "sync.toml")[0] == 0
    assert rows("select * from people", "new.db") == [("1", "Ann")]
    before = Path("sync.toml").read_bytes()
    code, _, err = run("init", "people.csv", "new.db", "--key", "id")
    assert (code, "sync.toml is there already" in err) == (1, True)
    assert Path("sync.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("people.csv", "x.db"), 1, "which columns identify a row of people? --key people=COLUMN names one"),
        (
            ("people.csv", "x.db", "--key", "nmae"),
            1,
            "table people has no column 'nmae': did you",
        ),
        (("people.csv", "x.db", "--key", "id", "--tables", "peple"), 1, "has no table 'peple': did you mean 'people'?"),
        (("people.csv",), 2, "Missing argument 'DESTINATION'"),
        (("semicolons.csv", "x.db"), 1, "table semicolons: it looks as if ';' separates its columns: --delimiter ';'"),
        (("latin.csv", "x.db"), 1, "as in --encoding cp1252"),
        (("people.csv", "people.csv", "--key", "id"), 1, "people.csv cannot follow itself"),
        (("people.csv", "x.db", "--key", "id;name"), 1, "a key of several columns has a + between them: --key id+name"),
        (("people.csv", "old.db", "--key", "id", "--tables", "people=acounts"), 1, "did you mean 'accounts'?"),
        (("pe*.csv", "x.db"), 1, "which columns identify a row of people?"),
        (("*.csv", "x.db"), 1, "3 files match *.csv (latin.csv, people.csv, semicolons.csv), and only one is taken"),
        (("poeple.csv", "x.db"), 1, "did you mean people.csv?"),
    ],
)
def test_init_guesses_nothing(run, argv, code, said):
    write("people.csv", "id,name\n1,Ann\n")
    write("semicolons.csv", "id;name\n1;Ann\n")
    Path("latin.csv").write_bytes("id,name\n1,Zo\xeb\n".encode("cp1252"))
    rows("create table accounts (id text primary key, name text)", "old.db")
    found, _, err = run("init", *argv)
    assert (found, said in err) == (code, True), err
    assert not Path("sync.toml").exists()


@pytest.mark.parametrize("python", [False, True])
def test_init_writes_down_how_the_file_is_read_and_what_it_is_paired_with(run, monkeypatch, python):
    write("people.csv", "ID;name\n1;Ann\n")
    rows("create table accounts (id text primary key, name text)")
    rows("create table others (id text primary key)")
    code, out, _ = run(
        "init", "people.csv", "sqlite:///school.db", "--key", "ID", "--delimiter", ";", "-o", "first.toml"
    )
    assert (code, "has no table people: the first sync makes it; --tables people=accounts pairs it" in out) == (0, True)
    given = ("people.csv", "sqlite:///school.db", "--delimiter", ";", "--tables", "people=accounts")
    code, out, _ = run("init", *given, *(["--python"] if python else []))
    assert (code, "people: people > accounts, key id, 2 columns" in out) == (0, True)
    if python:
        monkeypatch.setattr(sys, "argv", ["sync.py"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path("sync.py", run_name="__main__")
        assert end.value.code == 0
    else:
        assert run("sync", "-c", "sync.toml")[0] == 0
    assert rows("select * from accounts") == [("1", "Ann")]


@pytest.mark.parametrize("name", ["Lehrkräfte", "two words", "a.b", 'with "quotes"', "7"])
def test_init_writes_any_name_of_a_table_so_that_it_can_be_read(run, name):
    Path("export").mkdir()
    Path("export", f"{name}.csv").write_text("id,name\n1,Ann\n", encoding="utf-8")
    code, _, err = run("init", "csv:export", "sqlite:///school.db", "--key", "id")
    assert (code, err) == (0, "")
    assert len(tomllib.loads(Path("sync.toml").read_text(encoding="utf-8"))["branches"]) == 1
    assert run("sync", "--config", "sync.toml")[0] == 0
    held = '"' + name.replace('"', '""') + '"'
    assert rows(f"select * from {held}") == [("1", "Ann")]


def test_init_asks_on_a_terminal(run, monkeypatch):
    write("people.csv", "id,name\n1,Ann\n")
    answers = iter(["people.csv", "x.db", "id+name"])
    asked = []
    monkeypatch.setattr(init.click, "prompt", lambda question: (asked.append(question), next(answers))[1])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert run("init")[0] == 0
    assert "(id, name)" in asked[2]
    assert 'key = ["id", "name"]' in Path("sync.toml").read_text(encoding="utf-8")
