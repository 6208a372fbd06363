"""The reader and the writer for any store, over real ones and over the smallest one that there can be."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datastoresync import Branch, CSVImporter, DeclarationError, Limits, Link, Object, SQLSyncer, Table, Tree
from datastoresync.app import App, Reader, SyncerReader, SyncerWriter
from datastoresync.app.syncer_reader import branch_names
from datastoresync.app.syncer_writer import TableWrite, check_replacement, table_state
from datastoresync.errors import LockedError, SafeguardError, SyncerError
from datastoresync.syncers import open_syncer
from datastoresync.syncers.changes import Outcome


class Memory:
    """A store that can load and dump, and nothing more."""

    name = "memory"

    def __init__(self, **tables):
        self.held = tables
        self.closed = 0

    def load(self, identifier):
        return (dict(record) for record in self.held[identifier])

    def dump(self, identifier, *, data):
        self.held[identifier] = [dict(record) for record in data]

    def close(self):
        self.closed += 1


class Listing(Memory):
    """One that also tells its tables."""

    def tables(self):
        return list(self.held)


PEOPLE = [{"idnumber": "1", "name": "Ann", "_note": "x"}, {"idnumber": "2", "name": "Bob", "_note": "y"}]


def people(count, start=0):
    return [{"idnumber": str(number), "name": f"name {number}"} for number in range(start, start + count)]


def copy(source, destination, *argv, **options):
    return App(SyncerReader(source), SyncerWriter(destination, **{"mode": "replace", **options})).run(list(argv))


def reasons(report):
    return " / ".join(part.reason for part in report.parts if not part.ok)


cells = st.dictionaries(st.sampled_from(["name", "_note", "diff", "items", "Full Name"]), st.text(max_size=3))


@given(st.dictionaries(st.text(min_size=1, max_size=3), cells, max_size=5))
def test_a_copy_has_all_columns_whatever_they_are_called(rows):
    columns = sorted({name for row in rows.values() for name in row})
    records = [{"key": key, **{name: row.get(name, "") for name in columns}} for key, row in rows.items()]
    source, destination = Listing(items=records), Memory()
    assert copy(source, destination, "--key", "key").ok
    assert sorted(destination.held["items"], key=lambda record: record["key"]) == sorted(
        records, key=lambda record: record["key"]
    )


def test_columns_keep_their_order_behind_the_key():
    destination = Memory()
    assert copy(Listing(users=[{"zeta": 1, "guid": 2, "alpha": 3}]), destination, "--key", "guid").ok
    assert list(destination.held["users"][0]) == ["guid", "zeta", "alpha"]


def test_tables_and_keys_are_chosen():
    members = [{"group": "a", "person": 1, "since": 7}]
    source = Listing(users=[{"guid": "1"}], members=members, other=[{}])
    destination = Memory()
    argv = ["--tables", "users, members", "--key", "guid", "--key", "members=group+person"]
    assert copy(source, destination, *argv).ok
    assert destination.held == {"users": [{"guid": "1"}], "members": members}
    assert App(SyncerReader(source, tables="users"), SyncerWriter(Memory())).run(["--key", "guid"]).ok


@pytest.mark.parametrize(
    ("source", "argv", "message"),
    [
        (Memory(users=[]), [], "memory cannot list its tables: name them, as in --tables users,groups"),
        (Listing(), [], "memory has no tables, so there is nothing to read"),
        (Listing(users=PEOPLE), ["--key", "user=name"], "--key names user, which is not read: there is users"),
        (
            Listing(users=PEOPLE),
            ["--key", "id"],
            "table users has no column 'id': .* as in --key users=COLUMN; there are 'idnumber', ",
        ),
        (Listing(users=PEOPLE), ["--tables", "gone"], "KeyError: 'gone'"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_fix(source, argv, message):
    report = copy(source, Memory(), *argv)
    assert report.exit_code == 1
    assert re.search(message, reasons(report))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--tables", "a,,b"], "names with commas between them are needed"),
        (["--key", "users="], "a column is needed"),
        (["--from", ""], "the URL is empty"),
        (["--from", "env:NOT_THERE"], "the environment variable 'NOT_THERE' is not set"),
        (["--allow-deletions", "many"], "a count such as 500 or a share"),
        (["--allow-deletions", "-3"], "a count such as 500 or a share"),
        (["--allow-deletions", "130%"], "a count such as 500 or a share"),
        (["--mode", "merge"], "invalid choice"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(argv, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        copy(Memory(), Memory(), *argv)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_urls_may_come_from_the_environment(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SOURCE", f"jsonl:{tmp_path}/people.jsonl")
    (tmp_path / "people.jsonl").write_text(json.dumps(PEOPLE[0]) + "\n", encoding="utf-8")
    assert App(SyncerReader("env:SOURCE"), SyncerWriter()).run(["--to", f"csv:{tmp_path}/out"]).ok
    with (tmp_path / "out" / "people.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == PEOPLE[:1]
    monkeypatch.delenv("SOURCE")
    with pytest.raises(SystemExit):
        App(SyncerReader("env:SOURCE"), SyncerWriter()).run(["--help"])  # which needs no environment
    assert "SOURCE" not in capsys.readouterr().out


def test_no_password_is_shown_anywhere(capsys):
    url = "postgresql://ann:hunter2@localhost:1/none"
    for argv in (["--verbose"], ["--help"], ["--verbose", "--oops"]):
        try:
            report = App(SyncerReader(url, tables=["users"]), SyncerWriter(url)).run(argv)
            assert report.exit_code == 1
            assert "hunter2" not in f"{report}{report!r}{report.reader!r}"
        except SystemExit:
            pass
        assert "hunter2" not in "".join(capsys.readouterr())


def test_stores_opened_from_urls_are_closed_and_given_ones_are_not(monkeypatch):
    opened = []

    def opening(url):
        opened.append(Listing(users=PEOPLE))
        return opened[-1]

    monkeypatch.setattr("datastoresync.app.stores.open_syncer", opening)
    given = Memory()
    assert (
        App(SyncerReader(), SyncerWriter(), SyncerWriter(given, name="given"))
        .run(["--from", "any:thing", "--syncer-writer-to", "any:other"])
        .ok
    )
    assert ([each.closed for each in opened], given.closed) == ([1, 1], 0)
    del Memory.close
    try:
        assert App(SyncerReader("any:thing"), SyncerWriter(given)).run([]).ok
    finally:
        Memory.close = lambda self: None


# --- declared trees ------------------------------------------------------------------------------------------------


class Person(Object):
    name: str
    groups: set[str] = set()


class School(Tree):
    users = Branch(
        Person,
        table=Table("people", columns={"idnumber": "id"}, links={"groups": Link("members", "person", "group")}),
    )


def test_a_declared_tree_is_read_and_written_as_it_says():
    members = [{"person": "1", "group": "a"}, {"person": "1", "group": "b"}]
    source = Memory(people=[{"id": "1", "name": "Ann"}], members=members)
    destination = Memory()
    app = App(SyncerReader(source, tree=School), SyncerWriter(destination))
    report = app.run([])
    assert report.ok
    assert destination.held["people"] == [{"id": "1", "name": "Ann"}]
    members = sorted(destination.held["members"], key=str)
    assert members == [{"person": "1", "group": "a"}, {"person": "1", "group": "b"}]
    assert report.reports[0].returned.stat == "people=1 members=2"
    with pytest.raises(SystemExit):
        app.run(["--tables", "users"])  # there is nothing to choose


def test_the_destination_may_be_declared_otherwise():
    class Accounts(Tree):
        users = Branch(Person, table=Table("accounts", columns={"name": "full_name"}))

    destination = Memory()
    branches = {"users": Branch(Person)}
    source = Memory(users=[{"idnumber": "1", "name": "Ann", "groups": ["a"]}])
    assert App(SyncerReader(source, branches=branches), SyncerWriter(destination, tree=Accounts)).run([]).ok
    assert destination.held == {"accounts": [{"idnumber": "1", "full_name": "Ann", "groups": {"a"}}]}


def test_composite_keys_and_members_of_objects_that_have_them():
    class Seat(Object):
        _identifiers = ("row", "number")
        guests: set[str] = set()
        row: str
        number: int

    class Theatre(Tree):
        seats = Branch(Seat, table=Table("seats", links={"guests": Link("guests", ("row", "number"), "guest")}))

    destination = Memory()
    source = Memory(seats=[{"row": "a", "number": 1}], guests=[{"row": "a", "number": 1, "guest": "x"}])
    assert App(SyncerReader(source, tree=Theatre), SyncerWriter(destination)).run([]).ok
    assert destination.held["guests"] == [{"row": "a", "number": 1, "guest": "x"}]
    assert destination.held["seats"] == [{"row": "a", "number": 1}]


# --- safeguards ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "coming", "argv", "code"),
    [
        (0, 0, [], 0),
        (0, 5, [], 0),
        (100, 80, [], 0),
        (100, 79, [], 3),
        (100, 79, ["--allow-deletions", "21"], 0),
        (100, 79, ["--allow-deletions", "20"], 3),
        (100, 70, ["--allow-deletions", "30%"], 0),
        (100, 70, ["--allow-deletions", "0.29"], 3),
        (100, 0, ["--allow-deletions", "100"], 3),
        (100, 0, ["--allow-empty", "users"], 3),
        (100, 0, ["--allow-empty", "users", "--allow-deletions", "100"], 0),
    ],
)
def test_replacing_many_by_few_is_refused_as_a_whole(stored, coming, argv, code, capsys):
    for dry in ([], ["--dry-run"]):
        destination = Memory(users=people(stored), more=[])
        source = Listing(more=people(1), users=people(coming))
        report = copy(source, destination, *argv, *dry)
        assert report.exit_code == code
        named = {option.split()[0] for option in reasons(report).split("--")[1:]}
        wanted = {"allow-empty"} if not coming and "--allow-empty" not in argv else {"allow-deletions"}
        assert named == (wanted if code == 3 else set())
        assert len(destination.held["users"]) == (stored if code or dry else coming)
        assert len(destination.held["more"]) == (0 if code or dry else 1)


def test_the_writers_own_limits_hold_where_no_option_says_otherwise():
    for limits, argv, code in ((Limits(deletions=0), [], 3), (Limits(deletions=0), ["--allow-deletions", "5"], 0)):
        destination = Memory(users=people(10))
        assert copy(Listing(users=people(9)), destination, *argv, limits=limits).exit_code == code


class Declared(Tree):
    limits = Limits(deletions=2)


@pytest.mark.parametrize("mode", ["replace", "sync"])
def test_limits_that_a_tree_declares_hold_on_the_command_line(mode):
    class Users(Declared):
        users = Branch()

    def run(given, stored, *argv, dest=None):
        source = SyncerReader(Listing(users=people(given)), tree=Users if dest is None else None)
        return App(source, SyncerWriter(Memory(users=people(stored)), mode=mode, tree=dest)).run(list(argv))

    for dest in (None, Users):
        assert run(98, 100, dest=dest).ok
        refused = run(97, 100, dest=dest)
        said = reasons(refused)
        assert (
            "3 deletions, over the limit of 2: look at the source; if that is meant, raise it for this run with" in said
        )
        assert " --allow-deletions 3" in said
        assert run(97, 100, "--allow-deletions", "3", dest=dest).ok


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_refusal_names_the_options_that_allow_it(capsys, dry):
    old = [{"idnumber": str(n), "name": "old", "phone": "1"} for n in range(100)]
    new = [{"idnumber": str(n), "name": "new", "phone": ""} for n in range(70, 170)]
    for options in ([], ["--allow-deletions", "70", "--allow-updates", "30", "--allow-creations", "70"]):
        report = copy(Listing(users=new), Memory(users=old), "--mode", "sync", *options, *dry)
        said = reasons(report) + capsys.readouterr().out
        assert report.exit_code == 3
        assert "limits=" not in said
        asked = {"--allow-missing users.phone"} if options else {"--allow-deletions 70", "--allow-creations 70"}
        assert all(one in said for one in asked)
    everything = [*options, "--allow-missing", "users.phone", *dry]
    assert copy(Listing(users=new), Memory(users=old), "--mode", "sync", *everything).ok


def test_after_rejected_rows_nothing_is_replaced_by_less(tmp_path):
    (tmp_path / "people.csv").write_text("idnumber,name\n1,Ann\n2\n", encoding="utf-8")

    class Lenient(Reader):
        def read(self, args):
            importer = CSVImporter(tmp_path / "people.csv", on_bad_row="collect")
            return Tree(branches={"users": Branch(Object, importer=importer)}).load()

    destination = Memory(users=people(100))
    report = App(Lenient(), SyncerWriter(destination)).run(["--allow-deletions", "99"])
    assert report.exit_code == 3
    assert "could not be read" in reasons(report)


def test_a_store_that_cannot_be_read_is_not_taken_for_an_empty_one():
    class Broken(Listing):
        def load(self, identifier):
            raise LookupError("garbled")

    destination = Broken(users=people(100))
    assert copy(Listing(users=people(1)), destination).exit_code == 1
    assert len(destination.held["users"]) == 100


class Reading(Reader):
    """Reads what it was given."""

    def __init__(self, **branches):
        super().__init__()
        self.branches = branches

    def read(self, args):
        return Tree(branches={name: Branch(Object, importer=rows) for name, rows in self.branches.items()}).load()


class Mute(Listing):
    def tables(self):
        raise SyncerError("cannot read the schema: connection reset")


class Failing(Memory):
    error = SyncerError("timed out after 30 s")

    def load(self, identifier):
        raise self.error


class FailingList(Failing, Listing):
    pass


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (Mute, None, "^cannot read the schema.*; nothing was written, as memory cannot list its tables"),
        (FailingList, SyncerError("timed out"), "cannot read users of memory, .*: timed out"),
        (FailingList, KeyError("users"), "cannot read users of memory, .*KeyError"),
        (FailingList, FileNotFoundError("users"), "cannot read users of memory, .*FileNotFoundError"),
        (Failing, SyncerError("timed out"), "cannot read users of memory, .*: timed out"),
        (Failing, TimeoutError("password=hunter2"), r"cannot read users of memory, .*TimeoutError: password=\*"),
        (Failing, LockedError("no table 'users' may be read now"), "cannot read users of memory"),
        (Failing, SyncerError("memory has no table 'users2'"), "cannot read users of memory"),
    ],
)
@pytest.mark.parametrize("argv", [[], ["--dry-run"], ["--allow-deletions", "100"], ["--mode", "append", "--dry-run"]])
def test_what_cannot_be_read_is_not_replaced(make, error, message, argv):
    destination = make(users=people(100))
    destination.error = error
    destination.append = destination.dump
    report = App(Reading(users=people(1)), SyncerWriter(destination)).run(argv)
    assert report.exit_code == (6 if isinstance(error, LockedError) else 1)
    assert re.search(message, reasons(report))
    assert "SyncerError: " not in reasons(report)
    assert len(destination.held["users"]) == 100


@pytest.mark.parametrize(
    "error", [KeyError("users"), FileNotFoundError("users"), SyncerError("it has no table 'users'")]
)
def test_what_is_not_there_is_made_where_a_store_does_not_tell_its_tables(error):
    class Making(Memory):
        def load(self, identifier):
            if identifier not in self.held:
                raise error
            return super().load(identifier)

    destination = Making()
    assert App(Reading(users=people(1)), SyncerWriter(destination)).run([]).ok
    assert len(destination.held["users"]) == 1


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("public.users", "cannot read public.users of memory"),
        ("Users", "cannot read Users of memory"),
        ("public.groups", "public.groups was written, and cannot be read back: timed out"),
    ],
)
def test_a_table_under_another_name_is_not_taken_for_an_absent_one(table, says):
    class Source(Reader):
        def read(self, args):
            return Tree(branches={"users": Branch(Object, importer=people(1), table=table)}).load()

    destination = FailingList(users=people(100))
    assert says in reasons(App(Source(), SyncerWriter(destination)).run([]))


def test_others_in_the_place_of_those_that_are_there_are_refused():
    for dry in (["--dry-run"], []):
        destination = Memory(users=people(1000))
        assert copy(Listing(users=people(1000, start=1000)), destination, *dry).exit_code == 3
        assert destination.held["users"] == people(1000)
    assert copy(Listing(users=people(1000, start=200)), destination).ok
    assert copy(Listing(users=people(1000)), destination, "--allow-deletions", "200").ok


@pytest.mark.parametrize(
    ("theirs", "code"),
    [
        (lambda number: number, 0),
        (float, 0),
        (lambda number: -number - 1, 3),
        (lambda number: [number], 3),
        (lambda number: None, 3),
        (lambda number: "0", 3),
    ],
)
def test_keys_of_other_types_are_compared_by_their_texts(theirs, code):
    destination = Memory(users=[{"idnumber": theirs(number)} for number in range(100)])
    assert copy(Listing(users=people(100)), destination).exit_code == code


def test_keys_are_compared_as_the_store_keeps_them(tmp_path):
    for _ in range(2):
        rows = [{"idnumber": number} for number in range(100)]
        assert copy(Listing(users=rows), f"csv:{tmp_path}/out").ok
    others = [{"idnumber": number + 100} for number in range(100)]
    assert copy(Listing(users=others), f"csv:{tmp_path}/out").exit_code == 3


def test_records_without_the_key_are_lost_by_a_replacement():
    destination = Memory(users=[{"guid": str(number)} for number in range(100)])
    assert copy(Listing(users=people(100)), destination).exit_code == 3


def test_memberships_are_compared_by_what_is_in_them():
    def members(start):
        return [{"person": str(number), "group": "a"} for number in range(start, start + 100)]

    everybody = [{"id": str(number), "name": ""} for number in range(200)]
    source = Memory(people=everybody, members=members(0))
    for start, code in ((0, 0), (100, 3)):
        destination = Memory(people=everybody, members=members(start))
        report = App(SyncerReader(source, tree=School), SyncerWriter(destination, mode="replace")).run([])
        assert report.exit_code == code
        assert ("users.groups" in reasons(report)) == (code == 3)


keys = st.lists(st.sampled_from([0, 1, "0", "1", None]), max_size=8)


@given(keys, keys)
def test_a_replacement_deletes_whatever_the_other_side_lacks(new, old):
    destination = Memory(users=[{"idnumber": key} for key in old])
    planned = [TableWrite("users", "users", (), ("idnumber",), lambda: ({"idnumber": key} for key in new), len(new), 0)]
    held = [table_state(destination, "users", key=("idnumber",))]
    lost = (Counter(map(str, old)) - Counter(map(str, new))).total()
    assume(new and lost)
    with pytest.raises(SafeguardError):
        check_replacement(planned, held, Limits(deletions=lost - 1), destination)
    if {type(key) for key in old} != {type(key) for key in new}:
        check_replacement(planned, held, Limits(deletions=lost), destination)


@pytest.mark.parametrize("mode", ["replace", "sync"])
def test_a_branch_that_is_not_there_cannot_be_allowed_to_be_empty(mode):
    for dry in ([], ["--dry-run"]):
        destination = Memory(users=people(1))
        report = copy(Listing(users=people(1)), destination, "--mode", mode, "--allow-empty", "user", *dry)
        assert report.exit_code == 1
        assert "--allow-empty names user, which is not written: there is users" in reasons(report)


def test_a_refused_dry_run_names_the_options_once(capsys):
    for mode in ("replace", "sync"):
        report = copy(Listing(users=people(1)), Memory(users=people(100)), "--mode", mode, "--dry-run")
        assert report.exit_code == 3
        assert capsys.readouterr().err.count("--allow-deletions") == 1
        assert len(report.reports[0].error.violations) == 1


def test_values_that_cannot_be_compared_are_refused_and_no_message_recommends_to_replace():
    for dry in ([], ["--dry-run"]):
        destination = Memory(users=[{"idnumber": "1", "age": 7}])
        report = copy(Listing(users=[{"idnumber": "1", "age": "seven"}]), destination, "--mode", "sync", *dry)
        assert "declare them: SyncerReader(tree=…)" in reasons(report)
        assert "replace" not in reasons(report)


def test_syncing_with_what_cannot_be_read_says_why():
    class Flaky(Listing):
        failures = 1

        def load(self, identifier):
            self.failures, failing = 0, self.failures
            if failing:
                raise SyncerError("timed out once")
            return super().load(identifier)

    assert reasons(copy(Listing(users=people(1)), Flaky(users=[]), "--mode", "sync")) == "timed out once"
    broken = FailingList(users=[])
    assert reasons(copy(Listing(users=people(1)), broken, "--mode", "sync")).count("timed out after 30 s") == 1


def test_a_dry_run_of_adding_says_how_many_there_are(tmp_path, capsys):
    place = f"jsonl:{tmp_path}/out"
    assert copy(Listing(users=people(2)), place).ok
    for mode in ("append", "upsert"):
        assert copy(Listing(users=people(3)), place, "--mode", mode, "--dry-run").ok
        assert capsys.readouterr().out == f"users: would {mode} 3 records, and there are 2 now\n"


def test_what_fails_behind_another_is_said_once(tmp_path):
    report = App(
        Reading(users=people(1), groups=[{"idnumber": "a", "members": {"1"}}]), SyncerWriter(f"csv:{tmp_path}/out")
    ).run([])
    assert "SyncerError: " not in reasons(report)
    assert "(write was done already for users)" in reasons(report)


# --- the modes -----------------------------------------------------------------------------------------------------


def test_append_and_upsert(tmp_path):
    place = f"jsonl:{tmp_path}/out"
    assert copy(Listing(users=people(2)), place, "--mode", "append").ok
    assert copy(Listing(users=people(2, start=2)), place, mode="append").ok
    changed = [{"idnumber": "3", "name": "changed"}, {"idnumber": "9", "name": "new"}]
    assert copy(Listing(users=changed), place, "--mode", "upsert").ok
    found = {record["idnumber"]: record["name"] for record in open_syncer(place).load("users")}
    assert found == {"0": "name 0", "1": "name 1", "2": "name 2", "3": "changed", "9": "new"}


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_store_that_cannot_write_so_is_named(mode):
    for dry in ([], ["--dry-run"]):
        report = copy(Listing(users=people(1)), Memory(), "--mode", mode, *dry)
        assert f"memory cannot {mode}: use --mode sync, or another store" in reasons(report)


def test_memberships_of_their_own_cannot_be_upserted(tmp_path):
    source = Memory(people=[{"id": "1", "name": "Ann"}], members=[{"person": "1", "group": "a"}])
    report = App(SyncerReader(source, tree=School), SyncerWriter(f"jsonl:{tmp_path}/out", mode="upsert")).run([])
    assert "have no key to upsert by: use --mode sync" in reasons(report)


def test_sync_writes_what_differs_and_nothing_else():
    destination = Memory(users=[*people(10), {"idnumber": "gone", "name": "x"}])
    source = Listing(users=[*people(9), {"idnumber": "9", "name": "changed"}, {"idnumber": "new", "name": "y"}])
    report = copy(source, destination, "--mode", "sync")
    assert report.ok, reasons(report)
    assert report.reports[0].returned.counts["succeeded"] == 3
    assert {record["idnumber"]: record["name"] for record in destination.held["users"]} == {
        record["idnumber"]: record["name"] for record in source.held["users"]
    }
    again = copy(source, destination, "--mode", "sync")
    assert again.reports[0].returned.planned == 0


def test_sync_refuses_what_the_limits_do_not_allow_and_its_preview_says_the_same(capsys):
    source = Listing(users=people(2))
    for argv, code in (([], 3), (["--allow-deletions", "8"], 0)):
        destination = Memory(users=people(10))
        assert copy(source, destination, "--mode", "sync", "--dry-run", *argv).exit_code == code
        assert len(destination.held["users"]) == 10
        shown = capsys.readouterr().out
        assert shown.count("- users") == 8
        assert "old=8 total=8" in shown
        assert copy(source, destination, "--mode", "sync", *argv).exit_code == code
        assert len(destination.held["users"]) == (10 if code else 2)


def test_a_dry_run_of_many_shows_some_and_the_option_that_shows_all(capsys):
    source = Listing(users=people(100))
    assert copy(source, Memory(users=[]), "--mode", "sync", "--dry-run").ok
    shown = capsys.readouterr().out
    assert shown.endswith("… and 49 more changes\nall of it: --verbose\n")
    assert copy(source, Memory(users=[]), "--mode", "sync", "--dry-run", "--verbose").ok
    assert capsys.readouterr().out.count("+ users") == 100


def test_sync_does_not_overlook_a_column_of_the_source():
    destination = Memory(users=[{"idnumber": "1", "name": "Ann"}])
    report = copy(Listing(users=PEOPLE[:1]), destination, "--mode", "sync")
    assert report.exit_code == 1
    assert "table 'users' has no column '_note'" in reasons(report)


def test_sync_into_a_declared_tree_and_of_a_declared_class():
    class Accounts(Tree):
        users = Branch(Person, table="accounts")

    source = Memory(users=[{"idnumber": "1", "name": "Ann", "groups": ["a"]}])
    branches = {"users": Branch(Person)}
    for writer, table in (
        (SyncerWriter(Memory(accounts=[]), mode="sync", tree=Accounts), "accounts"),
        (SyncerWriter(Memory(users=[]), mode="sync"), "users"),
    ):
        report = App(SyncerReader(source, branches=branches), writer).run(["--verbose"])
        assert report.ok, reasons(report)
        assert [record["name"] for record in writer.store.held[table]] == ["Ann"]


def test_a_dry_run_counts_and_changes_nothing(capsys):
    destination = Listing(users=people(3))
    assert copy(Listing(users=people(4)), Memory(), "--dry-run").ok
    assert capsys.readouterr().out == ("users: would replace 4 records, and the table is not there yet\n")
    assert copy(Listing(users=people(4), new=people(1)), destination, "--dry-run").ok
    assert capsys.readouterr().out == (
        "users: would replace 4 records, and there are 3 now\n"
        "new: would replace 1 record, and the table is not there yet\n"
    )
    assert destination.held == {"users": people(3)}


def test_tables_that_were_written_before_one_fails_are_named():
    class Failing(Memory):
        def dump(self, identifier, *, data):
            if identifier == "second":
                raise OSError("the disk is full")
            super().dump(identifier, data=data)

    source = Listing(first=people(1), second=people(1))
    report = copy(source, Failing())
    assert reasons(report).endswith("second: OSError: the disk is full (replace was done already for first)")
    report = copy(Listing(second=people(1)), Failing())
    assert reasons(report) == "OSError: the disk is full"


def test_an_unknown_mode_is_a_mistake_in_the_program():
    with pytest.raises(DeclarationError, match="mode is one of replace, append, upsert, sync"):
        SyncerWriter(mode="merge")


def test_subclasses_may_forget_their_init():
    class MyReader(SyncerReader):
        def __init__(self):
            pass

    class MyWriter(SyncerWriter):
        def __init__(self):
            pass

    for options in ((), ("--mode", "upsert")):
        with pytest.raises(SystemExit):
            App(MyReader(), MyWriter()).run(["--to", "csv:x", *options])


@given(
    st.lists(
        st.text(max_size=4) | st.sampled_from(["items", "name", "_a", "a.b", "a_b", "class", "syncer"]), unique=True
    )
)
def test_every_table_gets_a_branch_that_is_compared(tables):
    names = branch_names(tables)
    assert list(names.values()) == tables
    tree = Tree(branches={name: Branch(Object) for name in names})
    assert tree.branches == list(names)


# --- real databases ------------------------------------------------------------------------------------------------


def rows_of_sheet(path, sheet):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(path, read_only=True)
    rows = [list(row) for row in book[sheet].iter_rows(values_only=True)]
    book.close()
    return rows


def test_from_a_database_to_an_excel_file_without_a_new_class(store_url, execute, tmp_path):
    execute(
        store_url,
        "CREATE TABLE users (idnumber text PRIMARY KEY, name text, grade integer, _note text)",
        "INSERT INTO users VALUES ('1', 'Ann', 7, '=1+1'), ('2', 'Éva 名', NULL, 'y')",
    )
    argv = ["--from", store_url, "--to", f"xlsx:{tmp_path}/out.xlsx", "--tables", "users"]
    report = App(SyncerReader(), SyncerWriter()).run(argv)
    assert report.ok, reasons(report)
    assert rows_of_sheet(tmp_path / "out.xlsx", "users") == [
        ["idnumber", "name", "grade", "_note"],
        ["1", "Ann", 7, "=1+1"],
        ["2", "Éva 名", None, "y"],
    ]
    assert App(SyncerReader(), SyncerWriter()).run(argv).ok


def test_from_csv_into_a_database_twice_and_then_in_sync(store_url, execute, tmp_path):
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "users.csv").write_text("idnumber,name\n1,Ann\n2,Bob\n", encoding="utf-8")
    execute(store_url, "CREATE TABLE users (idnumber text PRIMARY KEY, name text)")
    app = App(SyncerReader(f"csv:{exports}"), SyncerWriter(store_url))
    assert app.run([]).ok
    assert sorted(execute(store_url, "SELECT * FROM users")) == [("1", "Ann"), ("2", "Bob")]
    (exports / "users.csv").write_text("idnumber,name\n1,Anna\n3,Cleo\n2,Bob\n", encoding="utf-8")
    report = app.run(["--mode", "sync"])
    assert report.ok, reasons(report)
    assert report.reports[0].returned.stat.startswith("succeeded=2 ")
    assert sorted(execute(store_url, "SELECT * FROM users")) == [("1", "Anna"), ("2", "Bob"), ("3", "Cleo")]


def test_a_declared_tree_syncs_typed_columns_and_link_tables(store_url, execute, tmp_path):
    class Pupil(Object):
        name: str
        grade: int
        groups: set[str] = set()

    class Rows(Reader):
        def read(self, args):
            rows = [{"idnumber": "1", "name": "Ann", "grade": "7", "groups": ["a", "b"]}]
            table = Table("pupils", links={"groups": Link("members", "pupil", "grp")})
            return Tree(branches={"pupils": Branch(Pupil, importer=rows, table=table)}).load()

    execute(
        store_url,
        "CREATE TABLE pupils (idnumber text PRIMARY KEY, name text, grade integer)",
        "CREATE TABLE members (pupil text REFERENCES pupils, grp text, PRIMARY KEY (pupil, grp))",
    )
    for mode in ("sync", "sync"):
        report = App(Rows(), SyncerWriter(store_url, mode=mode)).run([])
        assert report.ok, reasons(report)
    assert report.reports[0].returned.planned == 0
    assert execute(store_url, "SELECT * FROM pupils") == [("1", "Ann", 7)]
    assert sorted(execute(store_url, "SELECT * FROM members")) == [("1", "a"), ("1", "b")]


def test_a_database_is_made_where_there_is_none(tmp_path, capsys):
    path = tmp_path / "new.db"
    assert copy(Listing(users=people(2)), f"sqlite:///{path}", "--dry-run").ok
    assert "users: would replace 2 records, and the table is not there yet\n" in capsys.readouterr().out
    assert SQLSyncer(f"sqlite:///{path}").tables() == []
    assert "new.db: there is no new.db in " in reasons(copy(f"sqlite:///{path}", Memory()))
    assert not path.exists()
    assert copy(Listing(users=people(2)), f"sqlite:///{path}").ok
    assert list(SQLSyncer(f"sqlite:///{path}").load("users")) == people(2)


def test_all_tables_of_a_database_are_upserted_into_another(store_url, execute, tmp_path):
    execute(
        store_url,
        "CREATE TABLE users (idnumber text PRIMARY KEY, name text)",
        "CREATE TABLE members (grp text, person text, since integer, PRIMARY KEY (grp, person))",
        "INSERT INTO users VALUES ('1', 'Ann'), ('2', 'Bob')",
        "INSERT INTO members VALUES ('a', '1', 7)",
    )
    other = f"sqlite:///{tmp_path}/other.db"
    argv = ["--key", "members=grp+person"]
    assert copy(store_url, other, *argv).ok
    execute(store_url, "UPDATE users SET name = 'Anna' WHERE idnumber = '1'", "UPDATE members SET since = 8")
    report = copy(store_url, other, *argv, "--mode", "upsert")
    assert report.ok, reasons(report)
    assert sorted(execute(other, "SELECT * FROM users")) == [("1", "Anna"), ("2", "Bob")]
    assert execute(other, "SELECT grp, person, since FROM members") == [("a", "1", 8)]
    assert not copy(store_url, other, *argv, "--mode", "append", "--tables", "gone").ok


def test_a_table_with_its_schema_is_known_to_be_there(database, execute):
    execute(database, "CREATE TABLE users (idnumber text PRIMARY KEY, name text)")
    execute(database, "INSERT INTO users SELECT n::text, '' FROM generate_series(1, 100) n")
    table = {"users": Branch(Object, importer=people(1), table="public.users")}

    class Few(Reader):
        def read(self, args):
            return Tree(branches=table).load()

    assert App(Few(), SyncerWriter(database)).run([]).exit_code == 3
    assert execute(database, "SELECT count(*) FROM users") == [(100,)]


class Rehearsed(Memory):
    """Remembers whether it was rehearsed, and writes nothing."""

    rehearsed = None

    def apply_changes(self, changes, *, same, options=None):
        self.rehearsed = options.rehearse
        return [Outcome("failed" if change.key == ("0",) else "done") for change in changes]


def test_a_rehearsal_has_the_report_of_a_run(capsys):
    store = Rehearsed(users=people(1, start=3))
    report = copy(Listing(users=people(4)), store, "--mode", "sync", "--rehearse")
    assert store.rehearsed
    assert report.exit_code == 1
    assert "failed: + users 0" in capsys.readouterr().err
    assert report.reports[0].returned.stat.endswith("total=3 rehearsed")


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_other_modes_cannot_be_rehearsed(mode, capsys):
    store = Memory(users=people(3))
    assert copy(Listing(users=people(2)), store, "--mode", mode, "--rehearse").exit_code == 1
    assert "only --mode sync can be rehearsed" in capsys.readouterr().err
    assert len(store.held["users"]) == 3


def test_a_dry_run_of_a_database_changes_nothing(store_url, execute, tmp_path):
    execute(store_url, "CREATE TABLE users (idnumber text PRIMARY KEY, name text)")
    for mode in ("replace", "sync"):
        assert copy(Listing(users=people(3)), store_url, "--dry-run", "--mode", mode).ok
    assert execute(store_url, "SELECT * FROM users") == []


class Employee(Object):
    _references = {"manager": "people"}
    idnumber: str
    manager: str | None = None


def test_ids_of_a_database_are_looked_up_in_a_sync_and_never_replaced(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'staff.db'}"
    execute(
        url,
        "create table people (id integer primary key, idnumber text unique, manager integer references people (id))",
        "insert into people values (1, '2', null), (2, '1', 1)",
    )

    class Staff(Tree):
        people = Branch(Employee)

    rows = [{"idnumber": "1", "manager": None}, {"idnumber": "2", "manager": "1"}]

    class Given(Reader):
        def read(self, args):
            return +Tree("source", branches={"people": Branch(Employee, importer=rows)})

    for mode in ("replace", "append", "upsert"):
        report = App(Given(), SyncerWriter(url, tree=Staff)).run(["--mode", mode, "--allow-deletions", "9"])
        assert not report.ok
        assert "ids of its own, in people.manager, and only --mode sync looks them up" in str(reasons(report))
    assert App(Given(), SyncerWriter(url, tree=Staff)).run(["--mode", "sync", "--allow-updates", "9"]).ok
    assert execute(url, "select idnumber, manager from people order by 1") == [("1", None), ("2", 2)]
