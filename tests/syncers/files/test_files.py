"""What all syncers over files have in common: where tables are, how they are replaced, and who is kept out."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from datastoresync import atomic_write
from datastoresync.errors import DeclarationError, LockedError, SyncerError
from datastoresync.spelling import nearest
from datastoresync.syncers.changes import Change, Link, Outcome, Table, WriteOptions
from datastoresync.syncers.files.csv import CSVSyncer
from datastoresync.syncers.files.excel import ExcelSyncer
from datastoresync.syncers.files.json import JSONLinesSyncer, JSONSyncer
from datastoresync.syncers.files.locks import locked
from datastoresync.syncers.files.parquet import ParquetSyncer

ALL = [CSVSyncer, JSONSyncer, JSONLinesSyncer, ParquetSyncer, ExcelSyncer]
ROWS = [{"id": "1", "name": "Ann"}, {"id": "2", "name": "Bob"}]
WHOLE = WriteOptions(whole=lambda _: True)
"""What the import does not have is newer."""
ODD = ["two words", "v1.2", "名前", "e\u0301", "it's", "a,b;c", "-x", "100%", "{x}", " padded ", "x.csv", "trailing."]


def same(change, attribute, raw, expected):
    return raw == expected


@pytest.fixture(params=ALL, ids=lambda kind: kind.format)
def kind(request):
    return request.param


# --- which tables there are -------------------------------------------------------------------------------------------


def test_a_folder_has_a_file_for_each_table(kind, tmp_path):
    syncer = kind(tmp_path / "new" / "folder")
    assert syncer.tables() == []
    syncer.dump("users", data=ROWS)
    syncer.dump("groups", data=ROWS[:1])
    assert syncer.tables() == ["groups", "users"]
    assert (tmp_path / "new" / "folder" / f"users{kind.suffixes[0]}").is_file()
    assert syncer.load("users") == ROWS
    assert [dict(record) for record in syncer.read("groups")] == ROWS[:1]


def test_a_file_is_one_table(tmp_path):
    syncer = CSVSyncer(tmp_path / "people.csv")
    assert syncer.tables() == []
    syncer.dump("people", data=ROWS)
    assert syncer.tables() == ["people"]
    assert syncer.load("people") == ROWS
    with pytest.raises(SyncerError, match="whose only table is 'people'"):
        syncer.dump("users", data=ROWS)
    with pytest.raises(SyncerError, match="has no table 'peeple': did you mean 'people'"):
        syncer.load("peeple")


def test_an_existing_path_is_what_it_is(tmp_path):
    (tmp_path / "dump.csv").mkdir()
    (tmp_path / "export").write_text("id,name\n1,Ann\n")
    assert CSVSyncer(tmp_path / "dump.csv").tables() == []
    CSVSyncer(tmp_path / "dump.csv").dump("t", data=ROWS)
    assert (tmp_path / "dump.csv" / "t.csv").is_file()
    assert CSVSyncer(tmp_path / "export").load("export") == ROWS[:1]


def test_a_slash_at_the_end_means_a_folder(tmp_path):
    CSVSyncer(f"{tmp_path}/2024.csv/").dump("t", data=ROWS)
    assert (tmp_path / "2024.csv" / "t.csv").is_file()


def test_an_empty_path_is_refused():
    with pytest.raises(DeclarationError, match="not an empty text"):
        CSVSyncer("")


@pytest.mark.parametrize("identifier", ODD)
def test_odd_names_are_kept(kind, tmp_path, identifier):
    syncer = kind(tmp_path)
    syncer.dump(identifier, data=ROWS)
    assert syncer.tables() == [identifier]
    assert kind(tmp_path).load(identifier) == ROWS


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        " ",
        ".",
        "..",
        "../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        ".hidden",
        "con",
        "NUL.txt",
        "x" * 250,
        "\ud800",
        7,
    ],
)
def test_names_that_cannot_be_those_of_files_are_refused(kind, tmp_path, identifier):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(SyncerError, match="cannot be the name of a table"):
        kind(folder).dump(identifier, data=ROWS)
    with pytest.raises(SyncerError, match="has no table"):
        kind(folder).load(identifier)
    assert list(tmp_path.rglob("*")) == [folder]


@pytest.mark.parametrize(("first", "second"), [("users", "Users"), ("\xe9", "e\u0301"), ("stra\xdfe", "STRASSE")])
def test_names_that_some_systems_take_for_one_are_refused(tmp_path, first, second):
    syncer = CSVSyncer(tmp_path)
    syncer.dump(first, data=ROWS)
    with pytest.raises(SyncerError, match="whose file many systems take for that of"):
        syncer.dump(second, data=[])
    with pytest.raises(SyncerError, match="has no table"):
        syncer.load(second)
    assert syncer.load(first) == ROWS


def test_suffixes_are_known_in_any_case_and_other_files_are_no_tables(tmp_path):
    for name in ("A.CSV", "b.csv", "~$c.csv", ".d.csv", "e.txt", "b.csv.bak"):
        (tmp_path / name).write_text("id,name\n1,Ann\n")
    (tmp_path / "f.csv").mkdir()
    syncer = CSVSyncer(tmp_path)
    assert syncer.tables() == ["A", "b"]
    syncer.append("A", data=ROWS[1:])
    assert (tmp_path / "A.CSV").read_text() == "id,name\n1,Ann\n2,Bob\n"


def test_two_files_of_one_table_are_refused(tmp_path):
    (tmp_path / "t.NDJSON").write_text('{"id": "old"}\n')
    (tmp_path / "t.jsonl").write_text('{"id": "new"}\n')
    syncer = JSONLinesSyncer(tmp_path)
    for call in (syncer.tables, lambda: syncer.load("t"), lambda: syncer.dump("t", data=[])):
        with pytest.raises(SyncerError, match=r"has both t\.NDJSON and t\.jsonl"):
            call()


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SyncerError, match=r"cannot read csv:.*: Permission denied"):
        CSVSyncer(tmp_path).tables()


def test_the_nearest_name_is_named():
    assert nearest("x", []) == "there are none at all"
    assert nearest("x", ["aaa", "bbb"]) == "there are 'aaa', 'bbb'"
    assert nearest("Mu\u0308he", ["x", "Mühe"]).endswith("in another Unicode form: 'M\\xfche'; write it so")
    many = [f"t{number:02}" for number in range(30)]
    assert nearest("zzz", many) == "there are 't00', 't01', 't02', 't03', 't04' and 25 more"
    assert nearest("_2_", many) == "there are 't02', 't12', 't20', 't21', 't22' and 25 more"


def test_it_says_what_it_is(tmp_path):
    assert repr(CSVSyncer("exports")) == "CSVSyncer('exports')"
    assert CSVSyncer("exports").name == "csv:exports"
    assert JSONSyncer("exports", name="the exports").name == "the exports"
    with CSVSyncer(tmp_path) as syncer:
        syncer.dump("t", data=ROWS)
        syncer.close()
    assert syncer.load("t") == ROWS


# --- what is written --------------------------------------------------------------------------------------------------


def test_without_records_a_table_keeps_its_columns(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("t", data=[])
    assert syncer.tables() == ["t"]
    assert syncer.load("t") == []
    assert list(syncer.read("t")) == []
    assert syncer.append("t", data=ROWS) == 2
    syncer.dump("t", data=[])
    assert syncer.load("t") == []
    if kind not in (JSONSyncer, JSONLinesSyncer):
        assert syncer.read("t").columns == ("id", "name")


def test_columns_are_those_of_all_records_in_order(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=[{"b": "1"}, {"a": "2", "b": "3"}, {"c": "4"}])
    assert (tmp_path / "t.csv").read_text() == "b,a,c\n1,,\n3,2,\n,,4\n"


def test_records_are_changed_by_key(kind, tmp_path):
    syncer = kind(tmp_path)
    assert syncer.upsert("t", data=ROWS, key="id") == 2
    assert syncer.upsert("t", data=[{"id": "2", "name": "Bea"}, {"id": "3", "name": "Cy"}], key=["id"]) == 2
    assert syncer.update("t", data=[{"id": "1", "name": "Anna"}], key="id") == 1
    assert syncer.delete("t", data=[{"id": "3"}, {"id": "4"}], key="id") == 1
    assert syncer.append("t", data=[{"id": "5", "name": "Eve"}]) == 1
    assert syncer.load("t") == [{"id": "1", "name": "Anna"}, {"id": "2", "name": "Bea"}, {"id": "5", "name": "Eve"}]


def test_nothing_to_change_writes_nothing(tmp_path):
    syncer = CSVSyncer(tmp_path)
    assert syncer.upsert("t", data=[], key="id") == 0
    assert syncer.tables() == []


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_a_table_that_is_not_there_is_named(tmp_path, verb):
    with pytest.raises(SyncerError, match="has no table 'usres'"):
        getattr(CSVSyncer(tmp_path), verb)("usres", data=ROWS, key="id")


def test_data_may_come_from_the_table_itself(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("t", data=ROWS)
    syncer.dump("t", data=(record | {"name": "x"} for record in syncer.read("t")))
    assert [record["name"] for record in syncer.load("t")] == ["x", "x"]


@pytest.mark.parametrize("bad", [["no mapping"], *([{"id": "1", name: "x"}] for name in (7, None, 0, False, ()))])
def test_what_is_no_record_is_refused(kind, tmp_path, bad):
    syncer = kind(tmp_path)
    syncer.dump("t", data=ROWS)
    with pytest.raises(SyncerError, match=r"must be a mapping|names are str"):
        syncer.dump("t", data=bad)
    assert syncer.load("t") == ROWS


def test_an_update_of_a_column_without_a_name_is_refused(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("t", data=ROWS)
    with pytest.raises(SyncerError, match="no column ''"):
        syncer.update("t", data=[{"id": "1", "": "x"}], key="id")
    assert syncer.load("t") == ROWS


def test_a_value_that_is_refused_is_placed_and_nothing_changes(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("t", data=ROWS)
    with pytest.raises(SyncerError, match="record 2 for table 't', column 'name'") as caught:
        syncer.dump("t", data=[ROWS[0], {"id": "2", "name": object()}])
    assert "0x" not in str(caught.value)
    assert syncer.load("t") == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [f"t{kind.suffixes[0]}"]


def test_what_append_refuses_is_placed_among_what_it_was_given(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("t", data=ROWS)
    with pytest.raises(SyncerError, match="record 2 for table 't', column 'name'"):
        syncer.append("t", data=[{"id": "3"}, {"id": "4", "name": object()}])
    assert syncer.load("t") == ROWS


def test_what_append_refuses_for_another_reason_is_said(tmp_path):
    with pytest.raises(SyncerError, match="whose name is empty"):
        CSVSyncer(tmp_path).append("t", data=[{"": "x"}])


def test_the_mode_of_a_file_stays(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("t", data=ROWS)
    path = tmp_path / f"t{kind.suffixes[0]}"
    path.chmod(0o640)
    syncer.dump("t", data=ROWS[:1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_replaces_a_file_is_never_open_to_more_people_than_the_file(tmp_path):
    target = tmp_path / "t.csv"
    target.write_text("id\n")
    target.chmod(0o600)
    modes = []
    replaced = atomic_write.AtomicWrite(target)
    replaced.write(lambda file: modes.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode)))
    replaced.discard()
    assert modes == [0o600]


def test_what_replaces_a_file_is_made_for_its_owner_alone(tmp_path, monkeypatch):
    target = tmp_path / "t.csv"
    target.write_text("id\n")
    target.chmod(0o640)
    modes = []
    monkeypatch.setattr(atomic_write.os, "fchmod", lambda handle, _: modes.append(os.fstat(handle).st_mode & 0o777))
    replaced = atomic_write.AtomicWrite(target)
    replaced.write(lambda file: file.write(b""))
    replaced.discard()
    assert modes == [0o600]


@pytest.mark.parametrize("refused", ["open", "fsync"])
def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch, refused):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=ROWS)
    real = getattr(os, refused)

    def fails(place, *flags, **options):
        is_folder = Path(place).is_dir() if refused == "open" else stat.S_ISDIR(os.fstat(place).st_mode)
        if is_folder:
            raise OSError(22, "Invalid argument")
        return real(place, *flags, **options)

    monkeypatch.setattr(atomic_write.os, refused, fails)
    syncer.dump("t", data=ROWS[:1])
    assert syncer.load("t") == ROWS[:1]


def test_an_owner_that_cannot_stay_is_let_go(tmp_path, monkeypatch):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=ROWS)
    real = os.fstat

    def elsewhere(handle):
        found = list(real(handle))
        found[4] += 1
        return os.stat_result(found)

    def refuse(handle, owner, group):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(atomic_write.os, "fstat", elsewhere)
    monkeypatch.setattr(atomic_write.os, "fchown", refuse)
    replaced = atomic_write.AtomicWrite(tmp_path / "t.csv")
    replaced.write(lambda file: file.write(b"id\n"))
    replaced.commit()
    assert (tmp_path / "t.csv").read_text() == "id\n"


def test_a_link_is_followed(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "t.csv").symlink_to(tmp_path / "shared" / "t.csv")
    CSVSyncer(tmp_path / "shared").dump("t", data=ROWS)
    CSVSyncer(tmp_path / "folder").dump("t", data=ROWS[:1])
    assert (tmp_path / "folder" / "t.csv").is_symlink()
    assert CSVSyncer(tmp_path / "shared").load("t") == ROWS[:1]


def test_a_full_disk_leaves_the_old(tmp_path, monkeypatch):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=ROWS)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_write.os, "fsync", full)
    with pytest.raises(SyncerError, match=r"No space left on device.*nothing was written"):
        syncer.dump("t", data=[])
    assert syncer.load("t") == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SyncerError, match="cannot create the folder"):
        CSVSyncer(tmp_path / "file" / "folder").dump("t", data=ROWS)


# --- whole diffs ------------------------------------------------------------------------------------------------------

GROUPS = Table("groups", {"idnumber": "id"}, {"members": Link("memberships", "group", "user")})


@pytest.fixture
def groups(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("groups", data=[{"id": "g", "title": "G"}, {"id": "h", "title": "H"}])
    syncer.dump("memberships", data=[{"group": "g", "user": "1"}, {"group": "g", "user": "2"}])
    return syncer


def test_memberships_are_read_from_their_table(groups):
    records = groups.read(GROUPS, ["idnumber", "members"], identifiers=["idnumber"])
    assert list(records) == [{"idnumber": "g", "members": {"1", "2"}}, {"idnumber": "h", "members": set()}]
    assert groups.read(GROUPS).columns == ("idnumber", "title", "members")


def test_each_record_has_a_set_of_its_own(groups):
    groups.append("groups", data=[{"id": "g", "title": "again"}])
    first, _, again = groups.read(GROUPS, ["members"], identifiers=["idnumber"])
    first["members"].clear()
    assert again["members"] == {"1", "2"}


def test_what_is_not_there_to_read_is_named(groups):
    with pytest.raises(SyncerError, match="no column 'tilte': did you mean 'title'"):
        groups.read("groups", ["tilte"])
    with pytest.raises(SyncerError, match="no column 'usr': did you mean 'user'"):
        groups.read(Table("groups", {"idnumber": "id"}, {"members": Link("memberships", "group", "usr")}))
    with pytest.raises(SyncerError, match=r"1 column.*the key is 2"):
        groups.read(GROUPS, identifiers=["idnumber", "title"])


def test_changes_are_written_to_every_table(groups):
    def change(verb, key, values=(), expected=()):
        return Change(verb, GROUPS, ("idnumber",), (key,), dict(values), dict(expected))

    changes = [
        change("insert", "i", {"idnumber": "i", "title": "I", "members": {"3"}}),
        change("update", "g", {"title": "GG"}, {"title": "G"}),
        change("link", "g", {"members": "3"}),
        change("unlink", "g", {"members": "1"}),
        change("delete", "h", (), {"title": "H", "members": set()}),
    ]
    for _ in range(2):
        assert groups.apply_changes(changes, same=same, options=WHOLE) == [Outcome("done")] * 5
        found = {record["idnumber"]: record for record in groups.read(GROUPS)}
        assert found == {
            "g": {"idnumber": "g", "title": "GG", "members": {"2", "3"}},
            "i": {"idnumber": "i", "title": "I", "members": {"3"}},
        }
    assert groups.apply_changes([], same=same) == []


def test_nothing_is_moved_before_all_is_written(tmp_path, monkeypatch):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("groups", data=[{"id": "g", "title": "G"}])
    syncer.dump("memberships", data=[{"group": "g", "user": "1"}])
    change = Change("delete", GROUPS, ("idnumber",), ("g",), {}, {"title": "G"})
    real = atomic_write.AtomicWrite.write

    def second_fails(self, save):
        if self.target.name == "memberships.csv":
            raise OSError(28, "No space left on device")
        real(self, save)

    monkeypatch.setattr(atomic_write.AtomicWrite, "write", second_fails)
    with pytest.raises(SyncerError, match="nothing was written"):
        syncer.apply_changes([change], same=same)
    assert len(syncer.load("groups")) == len(syncer.load("memberships")) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_what_was_moved_before_a_failure_is_said(tmp_path, monkeypatch):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("groups", data=[{"id": "g", "title": "G"}])
    syncer.dump("memberships", data=[{"group": "g", "user": "1"}])
    change = Change("delete", GROUPS, ("idnumber",), ("g",), {}, {"title": "G"})
    real = atomic_write.AtomicWrite.commit

    def second_fails(self):
        if self.target.name == "memberships.csv":
            raise PermissionError(13, "Permission denied")
        real(self)

    monkeypatch.setattr(atomic_write.AtomicWrite, "commit", second_fails)
    with pytest.raises(SyncerError, match=r"Permission denied.*already written: groups\.csv; the rest is as soon as"):
        syncer.apply_changes([change], same=same)
    with pytest.raises(SyncerError, match=r"a run was killed while it replaced groups\.csv, memberships\.csv"):
        syncer.load("memberships")
    monkeypatch.undo()
    assert syncer.load("memberships") == [], "it is completed as soon as that can be done"
    assert not list(tmp_path.glob(".*"))


def test_a_column_that_is_not_there_is_refused_before_anything(groups):
    if groups.format.startswith("json"):
        pytest.skip("records of JSON have whatever columns they have")
    change = Change("update", Table("groups"), ("id",), ("g",), {"tilte": "x"})
    with pytest.raises(SyncerError, match="no column 'tilte': did you mean 'title'"):
        groups.apply_changes([change], same=same)


def test_changes_of_a_table_that_is_not_there_are_refused(kind, tmp_path):
    with pytest.raises(SyncerError, match="has no table 't'"):
        kind(tmp_path).apply_changes([Change("insert", Table("t"), ("id",), ("1",), {"id": "1"})], same=same)


# --- locks and kills --------------------------------------------------------------------------------------------------


HOLDER = """
    import sys
    from pathlib import Path
    from datastoresync.syncers.files.locks import locked
    with locked([Path({path!r})]):
        print("held", flush=True)
        sys.stdin.read()
"""


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path):
    syncer = CSVSyncer(tmp_path)
    syncer.dump("t", data=ROWS)
    holder = start(HOLDER.format(path=str(tmp_path / "t.csv")))
    try:
        assert holder.stdout.readline() == "held\n"
        assert syncer.load("t") == ROWS
        assert syncer.tables() == ["t"]
        for write in (lambda: syncer.dump("t", data=[]), lambda: CSVSyncer(tmp_path / "t.csv").append("t", data=ROWS)):
            with pytest.raises(LockedError, match=r"another run is writing to .*t\.csv"):
                write()
        syncer.dump("another", data=ROWS)
    finally:
        holder.kill()
        holder.communicate()
    syncer.dump("t", data=ROWS[:1])  # the lock ended with its process
    assert syncer.load("t") == ROWS[:1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another.csv", "t.csv"]


def test_two_writers_in_one_process_are_kept_apart(tmp_path):
    with locked([tmp_path / "t.csv"]), pytest.raises(LockedError):
        CSVSyncer(tmp_path).dump("t", data=ROWS)
    CSVSyncer(tmp_path).dump("t", data=ROWS)


def test_a_lock_file_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / ".t.csv.lock").mkdir()
    with pytest.raises(SyncerError, match=r"cannot lock .*t\.csv") as caught:
        CSVSyncer(tmp_path).dump("t", data=ROWS)
    assert not isinstance(caught.value, LockedError)


@pytest.mark.parametrize("another", [False, True])
def test_a_lock_that_was_removed_by_its_holder_is_taken_anew(tmp_path, monkeypatch, another):
    from datastoresync.syncers.files import locks

    real, calls = locks._lock, []

    def late(handle):
        real(handle)
        calls.append(handle)
        if len(calls) == 1:  # another run ended between the opening and the locking
            (tmp_path / ".t.csv.lock").unlink()
            if another:  # and a third one began
                (tmp_path / ".t.csv.lock").touch()

    monkeypatch.setattr(locks, "_lock", late)
    CSVSyncer(tmp_path).dump("t", data=ROWS)
    assert len(calls) == 2


WRITER = """
    import sys
    from {module} import {kind}
    from datastoresync import atomic_write
    syncer = {kind}({folder!r})
    def stop(handle):
        print("written", flush=True)
        sys.stdin.read()
    atomic_write.os.fsync = stop
    syncer.dump("t", data=[{{"id": str(number), "name": "new"}} for number in range({count})])
"""


def start_writer(kind, folder, count):
    return start(WRITER.format(module=kind.__module__, kind=kind.__name__, folder=str(folder), count=count))


def start(code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_a_kill_leaves_the_old_and_the_next_run_cleans_up(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("t", data=ROWS)
    writer = start_writer(kind, tmp_path, 1_000)
    try:
        assert writer.stdout.readline() == "written\n"
        with pytest.raises(LockedError):
            syncer.dump("t", data=ROWS)
        assert syncer.load("t") == ROWS
    finally:
        writer.kill()
        writer.communicate()
    assert len(list(tmp_path.iterdir())) == 3, "the killed run left its temporary file and its lock"
    assert syncer.tables() == ["t"]
    assert syncer.load("t") == ROWS
    syncer.dump("t", data=ROWS[:1])
    assert syncer.load("t") == ROWS[:1]
    assert [path.name for path in tmp_path.iterdir()] == [f"t{kind.suffixes[0]}"]


def test_a_kill_in_the_middle_of_writing_leaves_the_old(tmp_path):
    CSVSyncer(tmp_path).dump("t", data=ROWS)
    writer = start_writer(CSVSyncer, tmp_path, 1_000_000)
    try:
        beside = tmp_path / ".t.csv.tmp"
        while not (beside.exists() and beside.stat().st_size > 100_000):
            assert writer.poll() is None, "the writer ended before it could be killed"
    finally:
        writer.kill()
        writer.communicate()
    assert CSVSyncer(tmp_path).load("t") == ROWS
