"""Configurations: what is wrong with one is told with its line, and one does what the same tree does in Python."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import sys
import types
from contextlib import closing
from datetime import date
from pathlib import Path

import attrs
import pytest
from command_runs import rows, write
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, ConfigurationError, Flags, Limits, Link, Object, Ref, SafeguardError, Table, Tree
from datastoresync.app.commands.group import main
from datastoresync.app.configuration import (
    BranchSettings,
    Configuration,
    ReportSettings,
    StoreSettings,
    load_configuration,
)
from datastoresync.app.configured_parts import configured_parts
from datastoresync.app.toml_document import TomlDocument
from datastoresync.syncers import open_syncer

ROOT = Path(__file__).resolve().parents[2]
STORES = '[source]\nstore = "people.csv"\n[destination]\nstore = "sqlite:///school.db"\n'
PEOPLE = '[branches.people]\nkey = "id"\n'
ALL = STORES + PEOPLE
ELSEWHERE = '[destination]\nstore = "x.db"\n'


WRONG = [
    ("[source\n", ["sync.toml:1: it is not TOML: "]),
    ("", ["sync.toml:1: it lacks the key 'source'", "sync.toml:1: it lacks the key 'destination'"]),
    (STORES, ["sync.toml:1: it names no branch: write [branches.users]"]),
    ("sorce = 1\n" + STORES + PEOPLE, ["sync.toml:1: sorce: there is no such key: did you mean 'source'?"]),
    (STORES + "source = 1", ["sync.toml:5: destination.source: there is no such key"]),
    (ALL + "kye = 1", ["sync.toml:7: branches.people.kye: there is no such key: did you mean 'key'?"]),
    (STORES + "[branches.people]\nkey = 7", ["sync.toml:6: branches.people.key: it is a text (got 7)"]),
    (STORES + "[branches.people]\nkey = []", ["sync.toml:6: branches.people.key: it is a text, or a list of them"]),
    (STORES + "[branches]\npeople = 7", ["sync.toml:6: branches.people: it is a table of keys and values (got 7)"]),
    (STORES + "[branches.name]\n", ["sync.toml:5: branches.name: 'name' cannot be the name of a branch"]),
    (
        ALL + '[branches.people.types]\nid = "int"\nborn = "dat"',
        ["sync.toml:9: branches.people.types.born: there is no type 'dat': did you mean 'date'?"],
    ),
    (ALL + '[branches.people.types]\nid = "set[text]"', ["types.id: there is no type 'set[text]'"]),
    (
        ALL + '[branches.people.types]\nname = "str"',
        ["sync.toml:5: branches.people: types lacks the key 'id'"],
    ),
    (
        ALL + 'types = { id = "int", name = "str" }\nsource = { table = "x", columns = { nmae = "N" } }',
        ["sync.toml:8: branches.people.source.columns.nmae: there is no attribute 'nmae'", "did you mean 'name'?"],
    ),
    (
        ALL + '[branches.people.references]\nboss = "peple"',
        ["sync.toml:8: branches.people.references.boss: there is no branch 'peple': did you mean 'people'?"],
    ),
    (
        STORES + '[branches.people]\nkey = ["id", "x"]\nignore = "1"',
        ["branches.people: ignore names keys of one attribute"],
    ),
    (
        ALL
        + 'types = { id = "int", kind = "str" }\nsensitive = "pin"\ncorrelate = "mail"\nactive = "knid"\npart = "idd"',
        [
            "sync.toml:8: branches.people.sensitive: there is no attribute 'pin' in types: there are 'id', 'kind'",
            "sync.toml:9: branches.people.correlate: there is no attribute 'mail'",
            "sync.toml:10: branches.people.active: there is no attribute 'knid' in types: did you mean 'kind'?",
            "sync.toml:11: branches.people.part: there is no attribute 'idd' in types: did you mean 'id'?",
        ],
    ),
    (ALL + 'flags = "never_delet"', ["sync.toml:7: branches.people.flags: there is no flag", "mean 'never_delete'?"]),
    (
        ALL + 'types = { id = "int", class = "str" }',
        [
            "sync.toml:5: branches.people: no attribute in types can be called 'class': write class_,",
            'columns = { class_ = "class" }',
        ],
    ),
    (ALL + "ignore_case = 1", ["sync.toml:7: branches.people.ignore_case: it is true or false (got 1)"]),
    (
        ALL + '[branches.people.children]\npeple = "boss"',
        ["sync.toml:8: branches.people.children.peple: there is no branch 'peple': did you mean 'people'?"],
    ),
    (
        ALL + 'types = { id = "int", boss = "int" }\nchildren = { people = "bos" }',
        ["sync.toml:8: branches.people.children: ", "by 'bos', which", "did you mean 'boss'?"],
    ),
    ('top_level = "peple"\n' + ALL, ["sync.toml:1: top_level: there is no branch 'peple': did you mean 'people'?"]),
    (
        ALL + '[branches.people.source]\ntable = "x"\nlinks = { m = { tabel = "y", owner = "a", member = "b" } }',
        ["sync.toml:9: branches.people.source.links.m.tabel: there is no such key: did you mean 'table'?"],
    ),
    (
        ALL + '[branches.people.source]\ntable = "x"\nlinks = { m = { table = "y", owner = "a" } }',
        ["sync.toml:9: branches.people.source.links.m: it lacks the key 'member'"],
    ),
    (
        ALL + '[branches.people.destination]\ntable = "x"\ncolumns = { boss = { tabel = "y" } }',
        ["sync.toml:9: branches.people.destination.columns.boss.tabel: there is no such key: did you mean 'table'?"],
    ),
    (
        ALL + "[limits]\ndeletion = 3",
        ["sync.toml:8: limits.deletion: there is no such limit: did you"],
    ),
    (
        ALL + "[limits]\ndeletions = 3.5",
        ["sync.toml:8: limits.deletions: deletions is a count such as 500"],
    ),
    (
        ALL + '[limits]\ndeletions = "many"',
        ["limits.deletions: deletions is a count such as 500 or a share"],
    ),
    (ALL + "[branches.people.limits]\nupdates = -1", ["sync.toml:8: branches.people.limits.updates: "]),
    (
        ALL + '[reports.mail]\nto = "a@b"\nsendr = "c@d"',
        ["sync.toml:7: reports.mail: it has no option"],
    ),
    (ALL + '[reports.mail]\nto = "a@b"', ["sync.toml:7: reports.mail: it needs the option 'sender'"]),
    (ALL + '[reports.mail]\nto = "a"\nsender = "b"', ["reports.mail: to and sender are mail addresses"]),
    (
        ALL + '[reports.webhook]\nurl = "https://x/"\nattempts = "3"',
        ["webhook.attempts: it is a number"],
    ),
    (ALL + '[reports]\nfiles = "report.docx"', ["sync.toml:8: reports.files: the suffix tells the format"]),
    ("[source]\n" + ELSEWHERE + PEOPLE, ["sync.toml:1: source: it needs one of store"]),
    (
        '[source]\ntree = "a:B"\nstore = "x"\n' + ELSEWHERE,
        ["sync.toml:1: source: it needs one of store"],
    ),
    (
        '[source]\ntree = "a:B"\n[source.options]\nx = 1\n' + ELSEWHERE,
        ["source: options are for a store"],
    ),
    (
        '[source]\ntree = "a:B"\n' + ELSEWHERE + PEOPLE,
        ["sync.toml:6: branches.people.key: a:B says it in Python: leave it out"],
    ),
    (
        ALL.replace("people.csv", "${env:NOT_SET}"),
        ["sync.toml:2: source.store: the environment"],
    ),
    (ALL.replace("people.csv", "${file:no}"), ["source.store: the file 'no' cannot be read: No such file"]),
    (
        ALL.replace("people.csv", "${vault:x}"),
        ["source.store: there is no ${vault:…}: there are ${env:NAME}"],
    ),
    (ALL + 'types = { id = "${env:SECRET_WORD}" }', ["branches.people.types.id: there is no type '***'"]),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said[-1].replace("[", "(") for _, said in WRONG])
def test_what_is_wrong_is_told_with_its_line_and_key_before_anything_is_opened(run, monkeypatch, text, said):
    monkeypatch.setenv("SECRET_WORD", "hunter2")
    write("sync.toml", text)
    for command in (("sync", "-c"), ("diff", "--config"), ("check",)):
        code, out, err = run(*command, "sync.toml")
        assert (code, out) == (2, "")
        assert [one for one in said if one not in err] == [], err
        assert "hunter2" not in err
    assert not Path("school.db").exists()


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file(run):
    write("sync.toml", "sorce = 1\n" + ALL + "kye = 1\n[limits]\ndeletions = 3.5\n")
    with pytest.raises(ConfigurationError) as caught:
        load_configuration("sync.toml")
    assert [one.split(": ")[0] for one in caught.value.problems] == ["sync.toml:1", "sync.toml:8", "sync.toml:10"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("sync", "people.csv"), "Missing argument 'DESTINATION': or write --config FILE"),
        (("diff",), "Missing argument 'OLD': or write --config FILE"),
        (("sync", "a.csv", "b.csv", "-c", "sync.toml"), "--config names the stores: leave SOURCE and DESTINATION out"),
        (("sync", "-c", "sync.toml", "--key", "id"), "--key is for stores on the command line: write into sync.toml"),
        (("diff", "-c", "sync.toml", "--old-delimiter", ";"), "--old-delimiter is for stores on the command line"),
        (("sync", "-c", "snyc.toml"), "snyc.toml cannot be read: No such file or directory: did you mean 'sync.toml'?"),
    ],
)
def test_a_call_with_both_or_neither_is_refused(run, argv, said):
    write("sync.toml", STORES + PEOPLE)
    code, _, err = run(*argv)
    assert (code, said in err) == (2, True), err


def test_lines_are_those_of_the_keys_however_they_are_written(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(
        'a.b = 1\n[c]\n"d e".f = 2\n  [[c.g]]\n h = """\nq\n"""\n[ i . "j" ]\nk = [\n1]\n', encoding="utf-8"
    )
    lines = TomlDocument.read(path).lines
    expected = {"a": 1, "a.b": 1, "c": 2, "c.d e": 3, "c.d e.f": 3, "c.g": 4, "c.g.h": 5, "i": 8, "i.j": 8, "i.j.k": 9}
    assert {".".join(key): line for key, line in lines.items()} == expected


# What a configuration does -----------------------------------------------------------------------------------------

TEXTS = st.text("abc'é", max_size=3)
RECORDS = st.dictionaries(
    st.integers(1, 9), st.tuples(TEXTS, st.none() | st.dates(date(2000, 1, 1), date(2003, 1, 1))), max_size=6
)
LIMITS = st.fixed_dictionaries(
    {}, optional={"deletions": st.integers(0, 6), "updates": st.sampled_from([0.0, 0.5, 1.0])}
)


def fill(path, records):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table if exists accounts")
        connection.execute("create table accounts (number integer primary key, name text, born date, kept text)")
        values = [(key, name, born and born.isoformat()) for key, (name, born) in records.items()]
        connection.executemany("insert into accounts values (?, ?, ?, 'kept')", values)
        connection.commit()


def held(path):
    return rows("select * from accounts order by number", path)


IN_FILE = {"id": "id", "name": "Full name", "born": "born"}
IN_TABLE = {"id": "number", "name": "name", "born": "born"}
TYPES = {"id": ("int", int), "name": ("str | None", str | None), "born": ("date | None", date | None)}
SPELLINGS = {
    "id": st.sampled_from(["id", "number", "who"]),
    "name": st.none() | st.sampled_from(["name", "full"]),
    "born": st.none() | st.sampled_from(["born", "birth"]),
}
"""What an attribute is called; None if it is not synced."""


def columns(spelling, names):
    return {attribute: names[what] for what, attribute in spelling.items() if attribute != names[what]}


def in_python(folder, spelling, limits):
    body = {
        "_identifiers": (spelling["id"],),
        "__annotations__": {one: TYPES[what][1] for what, one in spelling.items()},
    }
    person = types.new_class("Person", (Object,), exec_body=lambda namespace: namespace.update(body))

    class Source(Tree):
        people = Branch(person, table=Table("people", columns=columns(spelling, IN_FILE)))

    class Destination(Tree):
        people = Branch(person, table=Table("accounts", columns=columns(spelling, IN_TABLE)), limits=Limits(**limits))

    with closing(open_syncer(f"sqlite:///{folder}/python.db")) as syncer:
        source = Source(syncer=open_syncer(f"{folder}/people.csv"))
        return (+source).sync_to(+Destination(syncer=syncer))


def in_toml(folder, spelling, limits):
    def pairs(values):
        return ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())

    return f"""
        [source]
        store = "{folder}/people.csv"
        [destination]
        store = "sqlite:///{folder}/toml.db"
        [branches.people]
        key = "{spelling["id"]}"
        source = {{ table = "people", columns = {{ {pairs(columns(spelling, IN_FILE))} }} }}
        destination = {{ table = "accounts", columns = {{ {pairs(columns(spelling, IN_TABLE))} }} }}
        types = {{ {pairs({attribute: TYPES[what][0] for what, attribute in spelling.items()})} }}
        limits = {{ {pairs(limits)} }}
        """


@given(RECORDS, RECORDS, st.fixed_dictionaries(SPELLINGS), LIMITS)
def test_a_configuration_does_what_the_same_tree_does_in_python(tmp_path_factory, before, after, spelling, limits):
    spelling = {what: attribute for what, attribute in spelling.items() if attribute is not None}
    folder = tmp_path_factory.getbasetemp()
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        values = ([key, name, born or ""] for key, (name, born) in after.items())
        csv.writer(file).writerows([list(IN_FILE.values()), *values])
    for name in ("python.db", "toml.db"):
        fill(folder / name, before)
    write(folder / "sync.toml", in_toml(folder, spelling, limits))
    try:
        expected = 0 if in_python(folder, spelling, limits).ok else 5
    except SafeguardError:
        expected = 3
    assert main(["sync", "-q", "-c", str(folder / "sync.toml")]) == expected
    assert held(folder / "toml.db") == held(folder / "python.db")
    if expected == 0:
        assert [row[0] for row in held(folder / "toml.db")] == sorted(after)
        assert main(["diff", "-q", "--exit-code", "-c", str(folder / "sync.toml")]) == 0


def test_without_types_all_columns_are_synced_as_the_destination_has_them(run):
    write("people.csv", "id,name,born\n1,Ann,2001-02-03\n2,Bob,\n")
    rows("create table accounts (id integer primary key, name text, born date, kept text)")
    rows("insert into accounts values (1, 'Anna', null, 'kept')")
    write("sync.toml", ALL + 'destination = "accounts"\n')
    code, out, err = run("diff", "-c", "sync.toml", "--exit-code")
    assert (code, out.splitlines()[0], err) == (4, "1 changed, 1 added", "")
    assert run("sync", "-c", "sync.toml", "--dry-run")[0] == 0
    assert rows("select name from accounts") == [("Anna",)]
    assert run("sync", "-c", "sync.toml") == (0, "", "")
    assert rows("select * from accounts order by id") == [(1, "Ann", "2001-02-03", "kept"), (2, "Bob", None, None)]
    assert run("diff", "-c", "sync.toml", "--exit-code")[0] == 0


@pytest.mark.parametrize(
    ("branch", "said"),
    [
        ('key = "id"', "table 'people' of sqlite:///school.db has no column 'nmae'; did you mean 'name'?"),
        ('key = "di"', "table people has no column 'di', the key of [branches.people]"),
        (
            'key = "id"\ntypes = { id = "int", name = "str" }',
            "table 'people' has no column 'name': did you mean 'nmae'?",
        ),
    ],
)
def test_a_column_that_is_not_there_is_told_with_the_nearest(run, branch, said):
    write("people.csv", "id,nmae\n1,Ann\n")
    rows("create table people (id integer primary key, name text)")
    rows("insert into people values (2, 'Bob')")
    write("sync.toml", f"{STORES}[branches.people]\n{branch}\n")
    code, _, err = run("sync", "-c", "sync.toml")
    assert (code, said in err, "--key" in err) == (1, True, False), err


@pytest.mark.parametrize("types", ["", 'types = { id = "int", name = "str" }'])
def test_an_option_of_a_file_is_told_as_the_configuration_has_it(run, types):
    write("people.csv", "id;name\n1;Ann\n")
    write("sync.toml", f"{ALL}{types}\n")
    code, _, err = run("sync", "-c", "sync.toml")
    assert (code, 'separates its columns: options = { delimiter = ";" }' in err) == (1, True), err
    option = 'options = { delimiter = ";" }'
    write("sync.toml", f"{ALL}{types}\n".replace("[destination]", f"{option}\n[destination]"))
    assert run("sync", "-c", "sync.toml")[0] == 0
    assert rows("select name from people") == [("Ann",)]


@pytest.mark.parametrize("typed", ["", 'types = { id = "int", name = "str" }\n'])
def test_what_is_ignored_stays_as_it_is_on_both_sides(run, typed):
    write("people.csv", "id,name\n1,Ann\n7,Zoe\n31,Cid\n")
    rows("create table people (id integer primary key, name text)")
    rows("insert into people values (1, 'Anna'), (70, 'Admin'), (71, 'Service')")
    write("sync.toml", f'{ALL}ignore = ["7*", "1"]\n{typed}')
    assert run("sync", "-c", "sync.toml") == (0, "", "")
    assert rows("select * from people order by id") == [(1, "Anna"), (31, "Cid"), (70, "Admin"), (71, "Service")]


def test_a_single_file_may_be_called_anything(run):
    write("export-2026-01-31.csv", "ID,name\n1,Ann\n")
    stores = '[source]\nstore = "export-2026-01-31.csv"\n[destination]\nstore = "copy.csv"\n'
    for source, key in (("", "ID"), ('source = "people"\n', "ID"), ('source = { columns = { id = "ID" } }\n', "id")):
        Path("copy.csv").unlink(missing_ok=True)
        write("sync.toml", f'{stores}[branches.people]\nkey = "{key}"\n{source}')
        code, out, err = run("check", "sync.toml")
        assert (code, out.endswith("no problems\n"), err) == (0, True, "")
        assert run("sync", "-c", "sync.toml") == (0, "", "")
        assert Path("copy.csv").read_text(encoding="utf-8").replace("\r", "") == f"{key},name\n1,Ann\n"
    wrong = 'source = "epople"'
    write("sync.toml", f'{stores}[branches.people]\nkey = "ID"\n[branches.groups]\nkey = "ID"\n{wrong}\n')
    assert "the source has no table 'epople': there are 'export-2026-01-31'" in run("check", "sync.toml")[2]


GROUPS = """
[source]
store = "export-*.csv"
options = { null = "" }
[destination]
store = "sqlite:///school.db"
[branches.groups]
key = "title"
source = { columns = { title = "Form", members = "id" } }
destination = { links = { members = { table = "members", owner = "title", member = "pupil" } } }
types = { title = "str", members = "set[str]" }
[branches.pupils]
key = "id"
ignore_blanks = true
source = { columns = { form = "Form" } }
types = { id = "str", name = "str", form = "str" }
"""


def test_several_branches_are_read_from_one_file_without_the_rows_that_lack_what_they_need(run):
    write("export-1.csv", "id,name,Form\n1,Ann,7a\n2,Bob,7a\n3,Cid,\n")
    rows("create table groups (title text primary key)")
    rows("create table members (title text, pupil text, primary key (title, pupil))")
    rows("create table pupils (id text primary key, name text, form text)")
    rows("insert into pupils values ('1 ', 'Ann', '7a')")
    write("sync.toml", GROUPS)
    code, _, err = run("sync", "-c", "sync.toml")
    said = "export-1.csv:4: column 'Form' (title): it is empty (declared: str); "
    assert (code, said + 'write skip_empty = "title" in [branches.groups]' in err) == (1, True), err
    write("sync.toml", GROUPS.replace('key = "title"', 'key = "title"\nskip_empty = "title"'))
    code, _, err = run("sync", "-c", "sync.toml")
    ways = 'write form = "str | None" in types if it may be missing, or write skip_empty = "form" in [branches.pupils]'
    assert (code, f"column 'Form' (form): it is empty (declared: str); {ways}" in err) == (1, True), err
    write(
        "sync.toml",
        GROUPS.replace('"title"', '"title"\nskip_empty = "title"', 1).replace('form = "str"', 'form = "str | None"'),
    )
    assert run("sync", "-c", "sync.toml", "--allow-first-load", "pupils")[0] == 0
    assert rows("select * from members order by 2") == [("7a", "1"), ("7a", "2")]
    assert rows("select * from pupils order by 1") == [("1 ", "Ann", "7a"), ("2", "Bob", "7a"), ("3", "Cid", None)]
    write("export-2.csv", "id,name,Form\n")
    code, _, err = run("sync", "-c", "sync.toml")
    assert (code, "2 files match export-*.csv (export-1.csv, export-2.csv), and only one is taken" in err) == (2, True)


@pytest.mark.parametrize("typed", ["", 'types = { id = "str", name = "str" }\n'])
def test_rows_are_left_out_with_and_without_types(run, typed):
    write("people.csv", "id,name\n1,Ann\n2,\n")
    stores = '[source]\nstore = "people.csv"\n[destination]\nstore = "copy.csv"\n'
    more = f'skip_empty = ["id", "name"]\nshortname = "name"\n{typed}'
    write("sync.toml", f'{stores}[branches.people]\nkey = "id"\n{more}')
    assert run("sync", "-c", "sync.toml") == (0, "", "")
    assert Path("copy.csv").read_text(encoding="utf-8").replace("\r", "") == "id,name\n1,Ann\n"


def test_limits_refuse_and_an_option_raises_them(run):
    write("people.csv", "id,name\n1,Ann\n")
    rows("create table people (id integer primary key, name text)")
    rows("insert into people values (1, 'Ann'), (2, 'Bob')")
    write("sync.toml", ALL + '[limits]\ndeletions = 0\n[reports]\nfiles = ["refused.json"]\n')
    code, _, err = run("sync", "-c", "sync.toml")
    assert (code, "--allow-deletions 1" in err) == (3, True), err
    assert json.loads(Path("refused.json").read_text(encoding="utf-8"))
    assert rows("select count(*) from people") == [(2,)]
    assert run("sync", "-c", "sync.toml", "--allow-deletions", "1")[0] == 0
    assert rows("select count(*) from people") == [(1,)]


def test_reports_are_files_and_messages(run, monkeypatch):
    sent = []
    monkeypatch.setattr(
        "datastoresync.applying.mail.EmailReporter.send", lambda _, message: sent.append(message.subject)
    )
    monkeypatch.setattr("datastoresync.applying.webhook.WebhookReporter.send", lambda _, message: sent.append(message))
    write("people.csv", "id,name\n1,Ann\n")
    rows("create table people (id integer primary key, name text)")
    write("secret", "hunter2\n")
    reports = '[reports]\nfiles = ["report.html", "report.csv"]\n[reports.mail]\nto = ["a@example.org"]\n'
    reports += 'sender = "b@example.org"\nserver = "smtps://ann:${file:secret}@mail.example.org"\n'
    reports += '[reports.webhook]\nurl = "https://chat.example.org/x"\nchat = "slack"\n'
    write("sync.toml", ALL + reports)
    mail = load_configuration("sync.toml").settings.reports.mail
    assert (mail.user, str.__str__(mail._password), mail.host) == ("ann", "hunter2", "mail.example.org")
    assert run("sync", "-c", "sync.toml") == (0, "", "")
    assert "people" in Path("report.html").read_text(encoding="utf-8")
    assert len(list(csv.DictReader(io.StringIO(Path("report.csv").read_text(encoding="utf-8"))))) >= 1
    assert (len(sent), "people: 1 done" in sent[0]) == (2, True)
    sent.clear()
    write("people.csv", "id,name\n")
    assert run("sync", "-c", "sync.toml")[0] == 3
    page = Path("report.html").read_text(encoding="utf-8")
    assert (len(sent), "--allow-empty people" in page, "Limits(" in page) == (2, True, False)
    assert sent[0].startswith("refused: source.people is empty, and 1 object of destination.people would be deleted")
    for text, option, told in (("id,name\n1\n", "--dry-run", 0), ("id,name\n1\n", "-q", 2), (None, "-q", 2)):
        sent.clear()
        Path("people.csv").unlink() if text is None else write("people.csv", text)
        assert run("sync", "-c", "sync.toml", option)[0] == 1
        assert [getattr(one, "subject", one).startswith("failed: ") for one in sent] == [True] * told
        assert ("people.csv" in Path("report.csv").read_text(encoding="utf-8")) == bool(told)


def test_a_secret_is_put_in_and_never_shown(run, monkeypatch):
    monkeypatch.setenv("SCHOOL_PASSWORD", "hun@ter/2")
    url = "postgresql://ann:${env:SCHOOL_PASSWORD}@localhost:1/school"
    write("sync.toml", STORES.replace("sqlite:///school.db", url) + PEOPLE)
    settings = load_configuration("sync.toml").settings
    assert str.__str__(settings.destination.store) == "postgresql://ann:hun%40ter%2F2@localhost:1/school"
    assert "ter" not in repr(settings)
    write("people.csv", "id\n1\n")
    for command in (("sync", "-vv", "-c"), ("diff", "-vv", "-c"), ("check",)):
        code, out, err = run(*command, "sync.toml")
        assert (code, "ter/2" in out + err, "ter%2F2" in out + err) == (1, False, False)
        assert "localhost" in out + err


def test_trees_of_python_are_named_and_their_tables_may_be_mapped(run):
    module = "from datastoresync import Branch, Object, Tree\nclass P(Object):\n    name: str\n"
    write("declared_here.py", module + "class Dest(Tree):\n    people = Branch(P, importer=[])\n")
    write("pupils.csv", "idnumber,name\n1,Ann\n")
    stores = '[source]\nstore = "pupils.csv"\n[destination]\ntree = "declared_here:Dest"\n'
    try:
        write("sync.toml", stores + '[branches.people]\nsource = "pupils"\n')
        code, out, err = run("diff", "-c", "sync.toml")
        assert (code, out.splitlines()[0], err) == (0, "1 added", "")
        write("sync.toml", stores + "[limits]\nupdates = 2\n[branches.people.limits]\ndeletions = 3\n")
        with configured_parts("sync.toml") as parts:
            destination = parts.writer.destination
            assert (destination.limits, destination["people"].limits) == (Limits(updates=2), Limits(deletions=3))
        write("sync.toml", stores + '[branches.peple]\nsource = "pupils"\n')
        code, _, err = run("diff", "-c", "sync.toml")
        assert (code, "sync.toml:5: branches.peple: Dest has no such branch: did you mean 'people'?" in err) == (
            2,
            True,
        )
        store = '[source]\ntree = "declared_here:Dest"\n[destination]\nstore = "jsonl:out"\n'
        write("sync.toml", store + '[branches.people]\ndestination = "pupils"\n')
        assert run("sync", "-c", "sync.toml")[0] == 0
    finally:
        sys.modules.pop("declared_here", None)


def test_a_configuration_builds_what_python_would(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("people.csv", "id,Full name\n1,Ann\n")
    text = '[branches.people]\nkey = ["id", "site"]\noptional_key = "site"\ndestination = "accounts"\n'
    text += 'types = { id = "int", site = "str", note = "str", friends = "set[int]" }\n'
    text += 'children = { people = "friends" }\nactive = "note"\npart = "site"\ncorrelate = "note"\n'
    text += 'ignore_case = true\nflags = ["never_delete"]\nsensitive = "friends"\n'
    text += '[branches.people.references]\nfriends = "people"\n[limits]\nempty = "people"\n'
    text += '[branches.people.source]\ntable = "people"\ncolumns = { note = { table = "notes", column = "note_id" } }\n'
    text += 'links = { friends = { table = "pairs", owner = ["a", { table = "x", column = "b" }], member = "c" } }\n'
    text = 'top_level = "people"\n' + STORES + text
    write("sync.toml", text)
    with configured_parts("sync.toml") as parts:
        branch = parts.reader.branches["people"]
        made = parts.writer.tree(syncer=parts.stores[1])
        cls = branch.object_class
        assert made["people"].object_class is cls
        assert (made["people"].table, made.limits) == (Table("accounts"), Limits(empty="people"))
        assert cls._references == {"friends": "people"}
        assert (cls._identifiers, cls._optional_identifiers) == (("id", "site"), ("site",))
        assert cls._sensitive == ("friends",)
        assert (cls._children, cls._active, cls._correlate) == ({"people": "friends"}, "note", ("note",))
        assert (cls._key, cls._flags) == (str.casefold, Flags(never_delete=True))
        assert (branch.part, made["people"].part, made.top_level) == ("site", "site", ("people",))
        links = {"friends": Link("pairs", ("a", Ref("x", column="b")), "c")}
        assert branch.table == Table("people", columns={"note": Ref("notes", column="note_id")}, links=links)
        assert {field.name: field.type for field in attrs.fields(cls)} == {
            "id": int,
            "site": str,
            "note": str,
            "friends": set[int],
        }


# The documentation -------------------------------------------------------------------------------------------------


def test_the_page_on_configurations_names_each_key():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for cls in (Configuration, StoreSettings, BranchSettings, ReportSettings):
        missing = [field.name for field in attrs.fields(cls) if f"`{field.name}" not in page]
        assert missing == [], cls
        assert [field.metadata["help"] for field in attrs.fields(cls) if field.metadata["help"] not in page] == []
