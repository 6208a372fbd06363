"""What the command line does unless it is told otherwise: it syncs, in the destination's types, and loses nothing."""

from __future__ import annotations

import csv
import json
import re
import shlex
import sqlite3
from contextlib import closing

import pytest
from command_runs import command

from datastoresync import Branch, Link, Object, Table, Tree
from datastoresync.app import App, Reader, SyncerReader, SyncerWriter
from datastoresync.syncers import open_syncer

PEOPLE = [{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}]


def write_csv(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sql(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.commit()
    return rows


def run(source, destination, *argv, **options):
    return App(SyncerReader(source), SyncerWriter(destination, **options)).run(list(map(str, argv)))


def reasons(report):
    return " / ".join(part.reason for part in report.parts if not part.ok)


# --- the command line ----------------------------------------------------------------------------------------------


def test_a_table_that_is_not_there_is_made_and_then_synced(tmp_path):
    source = write_csv(tmp_path / "people.csv", "idnumber,name\n1,Ann\n2,Bob\n")
    argv = ["--from", source, "--to", f"sqlite:///{tmp_path}/x.db"]
    code, said = command(*argv, "--dry-run")
    assert code == 0, said
    assert "people: would be made, with 2 records" in said
    assert not (tmp_path / "x.db").exists()
    assert command(*argv) == (0, "")
    assert sql(tmp_path / "x.db", "select * from people") == [("1", "Ann"), ("2", "Bob")]
    write_csv(source, "idnumber,name\n1,Anna\n2,Bob\n")
    code, said = command(*argv, "--verbose")
    assert "succeeded=1 " in said
    assert sql(tmp_path / "x.db", "select * from people") == [("1", "Anna"), ("2", "Bob")]


def test_typed_columns_take_text_and_the_second_night_finds_nothing(tmp_path):
    place = tmp_path / "x.db"
    sql(
        place,
        "create table people (idnumber integer primary key, grade integer, born date, seen timestamp, "
        "paid numeric(8,2), active boolean, rate float, name text, kept text)",
        "insert into people values (1, 7, '2010-05-06', '2024-01-02 03:04:05', 1.5, 1, 0.25, 'Ann', 'stays')",
    )
    row = "1,7,2010-05-06,2024-01-02 03:04:05,1.5,true,0.25,Ann\n"
    header = "idnumber,grade,born,seen,paid,active,rate,name\n"
    source = write_csv(tmp_path / "people.csv", header + row)
    argv = ["--from", source, "--to", f"sqlite:///{place}"]
    code, said = command(*argv, "--dry-run")
    assert (code, "total=0" in said) == (0, True), said
    write_csv(source, header + row.replace(",7,", ",8,").replace("true", "no") + "02,,,,,,,\n")
    assert command(*argv) == (0, "")
    before = sql(place, "select * from people")
    assert before[0] == (1, 8, "2010-05-06", before[0][3], 1.5, 0, 0.25, "Ann", "stays")
    assert before[1][:4] == (2, None, None, None)
    code, said = command(*argv, "--verbose")
    assert "total=0" in said, said
    assert sql(place, "select * from people") == before


@pytest.mark.parametrize("there", [[], ["insert into people (idnumber) values (1), (3)"]], ids=["empty", "blank"])
def test_a_first_load_takes_text_into_typed_columns(there, tmp_path):
    place = tmp_path / "x.db"
    columns = (
        "idnumber integer primary key, grade integer, born date, seen timestamp, paid numeric(8,2), active boolean"
    )
    sql(place, f"create table people ({columns}, note text)", *there)
    text = "idnumber,grade,born,seen,paid,active,note\n1,7,2010-05-06,2024-01-02 03:04:05,1.50,true,007\n3,,,,,no,\n"
    source = write_csv(tmp_path / "people.csv", text)
    for stat in ("succeeded=", "total=0"):
        report = run(str(source), f"sqlite:///{place}")
        assert report.ok, reasons(report)
        assert report.reports[0].returned.stat.startswith(stat) or report.reports[0].returned.stat.endswith(stat)
    found = sql(place, "select idnumber, grade, born, paid, active, note from people")
    assert found == [(1, 7, "2010-05-06", 1.5, 1, "007"), (3, None, None, None, 0, "")]


def test_a_value_that_the_column_cannot_hold_is_named_by_run_and_dry_run_alike(tmp_path):
    place = tmp_path / "x.db"
    sql(place, "create table people (idnumber integer primary key, grade integer)", "insert into people values (1, 7)")
    source = write_csv(tmp_path / "people.csv", "idnumber,grade\n1,seven\n")
    for argv in (["--dry-run"], []):
        code, said = command("--from", source, "--to", f"sqlite:///{place}", *argv)
        assert code == 1
        assert "cannot hold people '1': grade: 'seven' is not an int" in said
    assert sql(place, "select * from people") == [(1, 7)]


def test_columns_that_the_source_lacks_are_kept(tmp_path):
    source = write_csv(tmp_path / "a" / "people.csv", "idnumber,name\n1,Anna\n3,Cid\n")
    target = write_csv(tmp_path / "b" / "people.csv", "idnumber,name,phone\n1,Ann,555\n2,Bob,556\n")
    argv = ["--from", source, "--to", target]
    assert command(*argv, "--allow-deletions", "1") == (0, "")
    assert read_csv(target) == [
        {"idnumber": "1", "name": "Anna", "phone": "555"},
        {"idnumber": "3", "name": "Cid", "phone": ""},
    ]


def test_to_replace_is_refused_where_columns_would_be_lost(tmp_path):
    source = write_csv(tmp_path / "a" / "people.csv", "idnumber,name\n1,Anna\n")
    text = "idnumber,name,phone,mail\n1,Ann,555,a@b\n"
    target = write_csv(tmp_path / "b" / "people.csv", text)
    argv = ["--from", source, "--to", target, "--mode", "replace"]
    for more in ([], ["--dry-run"], ["--allow-loss", "mail"]):
        code, said = command(*argv, *more)
        assert code == 3
        assert "to replace it would lose 'phone'" in said
        assert "--mode sync keeps what it does not know" in said
        assert ("'mail'" in said) == (more != ["--allow-loss", "mail"])
        assert target.read_text(encoding="utf-8") == text
    allowed = ["--allow-loss", "people.phone", "--allow-loss", "mail"]
    code, said = command(*argv, *allowed, "--dry-run")
    assert (code, "the values of 'phone', 'mail' would be lost" in said) == (0, True)
    assert command(*argv, *allowed) == (0, "")
    assert target.read_text(encoding="utf-8") == "idnumber,name\n1,Anna\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("idnumber;name\n1;Ann\n", "people.csv?delimiter=%3B"),
        ("idnumber\tname\n1\tAnn\n", "people.csv?delimiter=tab"),
        ("idnumber|name\n1|Ann\n", "people.csv?delimiter=%7C"),
        ("name;idnumber;first,last\nx;1;a,b\n", "people.csv?delimiter=%3B"),
    ],
)
def test_the_wrong_delimiter_is_said_and_what_is_said_works(tmp_path, text, says):
    source = write_csv(tmp_path / "people.csv", text)
    target = tmp_path / "out"
    code, said = command("--from", f"csv:{source}", "--to", f"json:{target}")
    assert code == 1
    assert "--key" not in said
    found = re.search(r"csv:\S+people.csv\?delimiter=\S+?(?=[,;.]?\s|$)", said)
    assert found, said
    assert says in found[0]
    assert not target.exists()
    assert command("--from", found[0], "--to", f"json:{target}") == (0, "")
    assert {"idnumber": "1"}.items() <= json.loads((target / "people.json").read_text())[0].items()


def test_the_wrong_delimiter_of_the_destination_is_said_too(tmp_path):
    source = write_csv(tmp_path / "a" / "people.csv", "idnumber,name\n1,Ann\n")
    target = write_csv(tmp_path / "b" / "people.csv", "idnumber;name\n1;Bob\n")
    code, said = command("--from", source, "--to", target)
    assert (code, "';' separates its columns" in said, target.read_text()) == (1, True, "idnumber;name\n1;Bob\n")
    assert command("--from", source, "--to", f"csv:{target}?delimiter=%3B", "--allow-updates", "1") == (0, "")
    assert target.read_text() == "idnumber;name\n1;Ann\n"


@pytest.mark.parametrize(
    ("title", "advice"),
    [
        ("Export,2024\n", "--skip-lines 1"),
        ("Export,2024\n\nby,me\n", "--skip-lines 3"),
        ("Export\n", "--skip-lines 1 --delimiter ';'"),
    ],
)
def test_a_title_above_the_header_is_no_key(tmp_path, title, advice):
    table = "idnumber,name\n1,Ann\n".replace(",", ";" if "delimiter" in advice else ",")
    source = write_csv(tmp_path / "people.csv", title + table)
    code, said = command("--from", source, "--to", f"json:{tmp_path}/out")
    assert (code, advice in said, "--key" in said) == (1, True, False)
    assert command("--from", source, "--to", f"json:{tmp_path}/out", *shlex.split(advice)) == (0, "")
    assert json.loads((tmp_path / "out" / "people.json").read_text()) == [{"idnumber": "1", "name": "Ann"}]


def test_no_advice_about_a_key_names_a_column_to_copy(tmp_path):
    source = write_csv(tmp_path / "people.csv", "Students of 2024,\n1,Ann\n")
    code, said = command("--from", source, "--to", f"json:{tmp_path}/out")
    assert code == 1
    write_csv(source, "Ann,Smith\nBob,Jones\n")
    code, said = command("--from", source, "--to", f"json:{tmp_path}/out")
    assert code == 1
    assert "--key people=COLUMN" in said
    assert "there are 'Ann', 'Smith'" in said
    assert "--key people=Ann" not in said


def test_a_plugin_that_is_a_database_gets_its_tables_from_the_command_line(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "MANIFEST.json").write_text(json.dumps({"name": "store", "syncer_class": "Store"}))
    (folder / "syncer.py").write_text(
        """
import sqlalchemy as sa
from dataclasses import dataclass

@dataclass
class Store:
    path: str
    name: str = "store"
    __is_database__ = True

    def __post_init__(self):
        self.cnxn = sa.create_engine(f"sqlite:///{self.path}").connect()
        sa.event.listen(sa.schema.MetaData, "after_create", self.capture_metadata)

    def capture_metadata(self, metadata, cnxn, **kw):
        self.metadata = metadata

    def load(self, identifier):
        return [dict(row._mapping) for row in self.cnxn.execute(self.metadata.tables[identifier].select())]

    def dump(self, identifier, *, data):
        table = self.metadata.tables[identifier]
        self.cnxn.execute(table.delete())
        if data:
            self.cnxn.execute(table.insert(), data)
        self.cnxn.commit()
"""
    )
    source = write_csv(tmp_path / "people.csv", "idnumber,name\n1,Ann\n2,Bob\n")
    argv = ["--from", source, "--to", f"plugin:{folder}?path={tmp_path}/x.db"]
    code, said = command(*argv, "--dry-run")
    assert code == 0, said
    assert sql(tmp_path / "x.db", "select count(*) from sqlite_master") == [(0,)]
    for _ in range(2):
        assert command(*argv) == (0, "")
        assert sql(tmp_path / "x.db", "select * from people") == [("1", "Ann"), ("2", "Bob")]
    sql(tmp_path / "x.db", "alter table people add column phone text", "update people set phone = '555'")
    write_csv(source, "idnumber,name\n1,Anna\n2,Bob\n")
    assert command(*argv) == (0, "")
    assert sql(tmp_path / "x.db", "select * from people") == [("1", "Anna", "555"), ("2", "Bob", "555")]
    back = ["--from", f"plugin:{folder}?path={tmp_path}/x.db", "--tables", "people", "--to", f"json:{tmp_path}/out"]
    assert command(*back) == (0, "")
    assert json.loads((tmp_path / "out" / "people.json").read_text())[0]["phone"] == "555"


# --- stores of all kinds --------------------------------------------------------------------------------------------


class Store:
    """A store that keeps what it is told to, and tells its tables."""

    name = "store"

    def __init__(self, **tables):
        self.held = tables

    def tables(self):
        return list(self.held)

    def load(self, identifier):
        return [dict(record) for record in self.held[identifier]]

    def dump(self, identifier, *, data):
        self.held[identifier] = [dict(record) for record in data]

    def append(self, identifier, *, data):
        self.held.setdefault(identifier, []).extend(map(dict, data))

    def upsert(self, identifier, *, data, key):
        self.append(identifier, data=data)


class HeaderOnly(Store):
    def dump(self, identifier, *, data):
        self.held[identifier] = []

    append = dump

    def upsert(self, identifier, *, data, key):
        pass


class Half(Store):
    def dump(self, identifier, *, data):
        super().dump(identifier, data=data[: len(data) // 2])

    def append(self, identifier, *, data):
        super().append(identifier, data=data[:1])


@pytest.mark.parametrize("kind", [HeaderOnly, Half])
@pytest.mark.parametrize("mode", ["sync", "replace", "append", "upsert"])
@pytest.mark.parametrize("there", [{}, {"users": []}])
def test_a_store_that_writes_less_than_it_was_given_is_found_out(kind, mode, there):
    if mode == "sync" and there:
        pytest.skip("what a sync writes into a table that is there is read back by the adapter")
    report = run(Store(users=PEOPLE), kind(**there), "--mode", mode)
    assert report.exit_code == 1
    assert re.search("users: store was given 2 records to .*(not there|are there)", reasons(report))


def test_a_store_that_changes_a_key_is_found_out():
    class Folding(Store):
        def dump(self, identifier, *, data):
            super().dump(identifier, data=[{**record, "idnumber": "x" + record["idnumber"]} for record in data])

    assert "2 of them are not there" in reasons(run(Store(users=PEOPLE), Folding(), mode="replace"))


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "xlsx", "parquet", "sqlite"])
def test_every_store_is_made_and_synced_and_finds_nothing_the_second_time(kind, tmp_path):
    if kind in ("xlsx", "parquet"):
        pytest.importorskip({"xlsx": "openpyxl", "parquet": "pyarrow"}[kind])
    place = f"sqlite:///{tmp_path}/x.db" if kind == "sqlite" else f"{kind}:{tmp_path}/out"
    rows = [
        {"idnumber": 1, "name": "Ann", "grade": 7, "rate": 0.5, "note": None},
        {"idnumber": 2, "name": "", "grade": 8},
    ]
    source = Store(users=[{"rate": 1.5, "note": None, **row} for row in rows])
    assert run(source, place).ok
    report = run(source, place)
    assert report.reports[0].returned.planned == 0
    source.held["users"][0] |= {"grade": 9, "name": "Anna"}
    assert run(source, place).reports[0].returned.stat.startswith("succeeded=2 ")
    assert run(source, place).reports[0].returned.planned == 0
    assert str(next(iter(open_syncer(place).load("users")))["grade"]) in ("9", "9.0")


def test_only_what_is_missing_is_made_and_the_rest_is_synced(capsys):
    destination = Store(users=[PEOPLE[0]])
    source = Store(users=PEOPLE, groups=[{"idnumber": "a", "name": "A"}])
    assert run(source, destination, "--dry-run").ok
    assert "groups: would be made, with 1 record" in capsys.readouterr().out
    report = run(source, destination)
    assert report.ok
    assert "groups=1; succeeded=1 failed=0 " in report.reports[0].message
    assert destination.held == source.held


def test_nothing_is_made_where_the_rest_is_refused():
    destination = Store(users=[{"idnumber": str(number), "name": ""} for number in range(100)])
    source = Store(users=PEOPLE, groups=[{"idnumber": "a", "name": "A"}])
    assert run(source, destination).exit_code == 3
    assert list(destination.held) == ["users"]


class Person(Object):
    name: str
    groups: set[str] = set()


class School(Tree):
    users = Branch(
        Person,
        table=Table("people", columns={"idnumber": "id"}, links={"groups": Link("members", "person", "group")}),
    )


@pytest.mark.parametrize("known", ["", "x", "1"])
def test_members_follow_their_owners_into_a_database_without_their_table(known, tmp_path):
    sql(tmp_path / "x.db", "create table people (id text primary key, name text)")
    sql(tmp_path / "x.db", f"insert into people select '{known}', 'Ann' where '{known}' <> ''")
    members = [{"person": "1", "group": "a"}, {"person": "2", "group": "b"}]
    source = Store(
        people=[{"id": number, "name": "Ann"} for number in ("1", "2", *(known if known == "x" else ""))],
        members=members,
    )
    app = App(SyncerReader(source, tree=School), SyncerWriter(f"sqlite:///{tmp_path}/x.db"))
    assert app.run(["--dry-run"]).ok
    report = app.run([])
    assert report.ok, reasons(report)
    assert sorted(sql(tmp_path / "x.db", "select * from members")) == [("1", "a"), ("2", "b")]
    assert app.run([]).reports[0].returned.planned == 0


@pytest.mark.parametrize("there", [[], ["people"], ["members"], ["people", "members"]])
def test_tables_of_memberships_are_made_where_they_are_missing(there):
    tables = {"people": [{"id": "1", "name": "Ann"}], "members": [{"person": "1", "group": "a"}]}
    destination = Store(**{name: [] for name in there})
    app = App(SyncerReader(Store(**tables), tree=School), SyncerWriter(destination))
    before = {name: [] for name in there}
    assert app.run(["--dry-run"]).ok
    assert destination.held == before
    report = app.run([])
    assert report.ok, reasons(report)
    assert destination.held == tables
    assert app.run([]).reports[0].returned.planned == 0


def test_a_dry_run_refuses_values_that_the_store_cannot_keep(tmp_path):
    rows = [{"idnumber": "a", "members": {"1"}}]

    class Groups(Reader):
        def read(self, args):
            return Tree(branches={"groups": Branch(Object, importer=rows)}).load()

    write_csv(tmp_path / "there" / "groups.csv", "idnumber,members\n")
    for place in ("there", "new"):
        for mode in ("sync", "replace", "append", "upsert"):
            for dry in (["--dry-run"], []):
                report = App(Groups(), SyncerWriter(f"csv:{tmp_path}/{place}", mode=mode)).run(dry)
                assert report.exit_code == 1
                assert "a set has no text that could be read back" in reasons(report) + str(report.reports[0].returned)


def test_a_dry_run_refuses_columns_that_a_database_does_not_have(tmp_path):
    sql(tmp_path / "x.db", "create table users (idnumber text primary key, nam text)")
    for mode in ("sync", "replace", "append", "upsert"):
        for dry in (["--dry-run"], []):
            report = run(Store(users=PEOPLE), f"sqlite:///{tmp_path}/x.db", *dry, mode=mode)
            assert report.exit_code == 1
            assert "no column 'name'; did you mean 'nam'?" in reasons(report)


@pytest.mark.parametrize("argv", [[], ["--dry-run"]])
def test_no_refusal_recommends_to_replace(argv, tmp_path):
    sql(tmp_path / "x.db", "create table users (idnumber text primary key, age integer)")
    sources = [
        Store(users=[{"idnumber": "1", "age": "x"}]),
        Store(users=[{"idnumber": "1", "age": 1, "more": 2}]),
        Store(users=[{"id": "1"}]),
        Store(users=[{"idnumber": {"a": 1}, "age": 1}]),
    ]
    for source in sources:
        report = run(source, f"sqlite:///{tmp_path}/x.db", *argv)
        assert not report.ok
        assert "replace" not in str(report)


@pytest.mark.parametrize("kind", ["sqlite", "csv"])
def test_a_rehearsal_says_what_a_run_would_and_changes_nothing(kind, tmp_path, capsys):
    place = f"sqlite:///{tmp_path}/x.db" if kind == "sqlite" else f"csv:{tmp_path}/out"
    open_syncer(place).dump("users", data=PEOPLE[:1])
    source = Store(users=PEOPLE)
    report = run(source, place, "--rehearse")
    assert report.ok, reasons(report)
    assert report.reports[0].returned.rehearsed
    assert report.reports[0].returned.succeeded == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "would succeed: new_users(idnumber='2')"
    assert re.fullmatch("succeeded=1 .* rehearsed", said[-1])
    assert "nothing was written" in said[-2]
    assert re.match("planned: .*: nothing was written; succeeded=1 ", report.reports[0].message)
    rehearsed = report.reports[0].returned
    assert [one["status"] for one in json.loads(rehearsed.to_json())] == ["planned"]
    for text in (rehearsed.to_html(), rehearsed.to_markdown(), str(rehearsed)):
        assert "nothing was written" in text
    previewed = run(source, place, "--dry-run").reports[0]
    assert (previewed.status, previewed.message.startswith("planned: ")) == ("succeeded", True)
    assert len(list(open_syncer(place).load("users"))) == 1
    assert "only --mode sync can be rehearsed" in reasons(run(source, place, "--rehearse", "--mode", "replace"))
    source.held["groups"] = PEOPLE
    assert "has no groups yet, and to make a table cannot be rehearsed" in reasons(run(source, place, "--rehearse"))
    assert open_syncer(place).tables() == ["users"]


def test_what_does_not_fail_is_written_if_that_is_asked_for(tmp_path):
    sql(tmp_path / "x.db", "create table users (idnumber text primary key, name text check (name <> 'Bob'))")
    source, place = Store(users=[*PEOPLE, {"idnumber": "3", "name": "Cid"}]), f"sqlite:///{tmp_path}/x.db"
    assert run(source, place).exit_code == 1
    assert sql(tmp_path / "x.db", "select * from users") == []
    report = run(source, place, "--on-error", "continue")
    assert report.exit_code == 5
    assert report.reports[0].returned.failed == 1
    assert sql(tmp_path / "x.db", "select name from users order by name") == [("Ann",), ("Cid",)]


def test_references_that_lead_to_nothing_are_allowed_by_an_option():
    class Pupil(Object):
        _references = {"home": "groups"}
        home: str

    class Pupils(Reader):
        def read(self, args):
            groups = Branch(Object, importer=[{"idnumber": "a"}])
            return Tree(
                branches={"groups": groups, "users": Branch(Pupil, importer=[{"idnumber": "1", "home": "x"}])}
            ).load()

    for argv, code in (([], 3), (["--allow-dangling", "1"], 0)):
        destination = Store(groups=[], users=[])
        report = App(Pupils(), SyncerWriter(destination)).run(argv)
        assert report.exit_code == code, reasons(report)
        assert ("--allow-dangling" in reasons(report)) == (code == 3)


def test_text_is_synced_into_typed_columns_of_every_database(store_url, execute, tmp_path):
    execute(
        store_url,
        "CREATE TABLE people (idnumber integer PRIMARY KEY, grade smallint, born date, seen timestamp, "
        "paid numeric(8,2), active boolean, rate double precision, name varchar(20), "
        "kept text NOT NULL DEFAULT 'stays')",
        "INSERT INTO people VALUES (1, 7, '2010-05-06', '2024-01-02 03:04:05', 1.5, true, 0.25, 'Ann', 'stays')",
    )
    header = "idnumber,grade,born,seen,paid,active,rate,name\n"
    source = write_csv(
        tmp_path / "people.csv", header + "1,8,2010-05-07,2024-01-02T03:04:05,1.50,f,.25,Anna\n02,,,,,,,Bob\n"
    )
    report = run(str(source), store_url)
    assert report.ok, reasons(report)
    assert report.reports[0].returned.stat.startswith("succeeded=5 ")
    found = execute(store_url, "SELECT idnumber, grade, name, kept FROM people ORDER BY idnumber")
    assert found == [(1, 8, "Anna", "stays"), (2, None, "Bob", "stays")]
    assert run(str(source), store_url).reports[0].returned.planned == 0
    write_csv(source, header + "1,8,2010-05-07,2024-01-02T03:04:05,1.50,f,.25,Anna\nx,,,,,,,Bob\n")
    for argv in ([], ["--dry-run"]):
        report = run(str(source), store_url, *argv)
        assert "cannot hold people 'x': idnumber: 'x' is not an int" in reasons(report)


def test_a_refusal_has_no_traceback_however_much_is_asked_for(tmp_path):
    source = write_csv(tmp_path / "people.csv", "idnumber,name\n" + "".join(f"{n},Ann\n" for n in range(99)))
    argv = ["--from", source, "--to", f"sqlite:///{tmp_path}/x.db"]
    assert command(*argv) == (0, "")
    write_csv(source, "idnumber,name\n1,Ann\n")
    code, said = command(*argv, "--verbose")
    assert (code, said.count("98 deletions"), 'File "' in said) == (3, 1, False), said
