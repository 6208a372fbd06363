"""Files that are replaced together: killed at any step, a run leaves all old or all new to whoever comes next."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

import pytest

from datastoresync.errors import DataWarning, LockedError, SyncerError
from datastoresync.syncers.changes import Change, Link, Table
from datastoresync.syncers.files.csv import CSVSyncer
from datastoresync.syncers.files.intent import Intent, intents_of
from datastoresync.syncers.files.json import JSONSyncer
from datastoresync.syncers.files.locks import locked

GROUPS = Table("groups", links={"members": Link("memberships", "group", "user")})
OLD = ([["idnumber", "title"], ["a", "A"], ["g", "G"]], [["group", "user"], ["a", "1"], ["g", "2"]])
NEW = ([["idnumber", "title"], ["a", "A"]], [["group", "user"], ["a", "1"]])
DELETION = [Change("delete", GROUPS, ("idnumber",), ("g",), {}, {"title": "G"})]


def same(change, attribute, raw, expected):
    return raw == expected


def write(folder, tables=OLD):
    for name, rows in zip(("groups", "memberships"), tables, strict=True):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def rows(folder):
    """Return what is in the files, by other means than ours."""
    found = []
    for name in ("groups", "memberships"):
        with (folder / f"{name}.csv").open(newline="") as file:
            found.append(list(csv.reader(file)))
    return tuple(found)


def loaded(folder):
    """Return what our reader gives."""
    syncer = CSVSyncer(folder)
    tables = [syncer.load(name) for name in ("groups", "memberships")]
    return tuple([list(table[0]), *(list(record.values()) for record in table)] for table in tables)


def delete_a_group(folder):
    CSVSyncer(folder).apply_changes(DELETION, same=same)


def killed_at(step, folder, action):
    """Do something in a process that is killed right before its n-th operation on a file; say whether it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there may be threads, which this one does not need
        process = os.fork()
    if not process:  # pragma: no cover - nobody counts the lines of a process that is killed
        seen = []

        def hook(event, arguments):
            if event in ("open", "os.rename", "os.remove", "os.truncate") and str(folder) in str(arguments[0]):
                seen.append(event)
                if len(seen) == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            action(folder)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is, the parent's code must not go on here
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(process, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "its error is printed above"
    return os.WIFSIGNALED(status)


def test_a_run_that_is_killed_at_any_step_leaves_all_or_nothing(tmp_path):
    seen, step = set(), 0
    while True:
        step += 1
        write(tmp_path)
        if not killed_at(step, tmp_path, delete_a_group):
            break
        half = rows(tmp_path) not in (OLD, NEW)
        found = loaded(tmp_path)
        assert found == rows(tmp_path), "the reader completes what it reads"
        assert found in (OLD, NEW), f"half of it is there after step {step}"
        seen.add((half, found == NEW))
        delete_a_group(tmp_path)
        assert rows(tmp_path) == NEW
        assert sorted(path.name for path in tmp_path.iterdir()) == ["groups.csv", "memberships.csv"]
    assert step > 15
    assert seen == {(False, False), (True, True), (False, True)}, "each of these happens at some step"


def begin(root, make):
    """Return a folder in which a run was killed as soon as it had written down what it was going to move.

    Each is killed a step later than the one before, and in files of its own, which a function makes.
    """
    step = 0
    while True:
        step += 1
        (root / f"{step}").mkdir()
        folder = make(root / f"{step}")
        assert killed_at(step, root / f"{step}", lambda _, folder=folder: delete_a_group(folder))
        if list(intents_of(folder)):
            return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    return begin(tmp_path_factory.mktemp("begun"), lambda folder: write(folder) or folder)


def test_what_completes_a_killed_run_may_be_killed_itself(tmp_path, begun):
    step = halves = 0
    while True:
        step += 1
        folder = tmp_path / f"{step}"
        shutil.copytree(begun, folder)
        if not killed_at(step, folder, loaded):
            break
        halves += rows(folder) not in (OLD, NEW)
        assert loaded(folder) == NEW
        delete_a_group(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["groups.csv", "memberships.csv"]
    assert halves
    assert rows(folder) == NEW


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: CSVSyncer(folder).tables(),
        lambda folder: CSVSyncer(folder).dump("other", data=[]),
        lambda folder: CSVSyncer(folder / "groups.csv").load("groups"),
        lambda folder: CSVSyncer(folder / "memberships.csv").append("memberships", data=[]),
        lambda folder: JSONSyncer(folder).tables(),
    ],
    ids=["tables", "another table", "one of the files", "one that is written to", "another format"],
)
def test_whoever_comes_next_completes_it(tmp_path, begun, use):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    use(tmp_path)
    assert rows(tmp_path) == NEW
    assert not list(tmp_path.glob(".*"))


def test_one_who_may_not_complete_it_is_told_instead_of_half(tmp_path, begun, monkeypatch):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("datastoresync.syncers.files.locks._opened", refused)
    with pytest.raises(SyncerError, match=r"killed while it replaced groups\.csv, memberships\.csv of .*whoever may"):
        CSVSyncer(tmp_path).load("groups")
    monkeypatch.undo()
    assert loaded(tmp_path) == NEW


def test_a_reader_waits_until_a_run_has_moved_its_files(tmp_path):
    write(tmp_path)
    intent = Intent.of(tmp_path, ["groups.csv", "memberships.csv"])
    found = []
    with locked(intent.targets):
        intent.write()
        reader = threading.Thread(target=lambda: found.append(loaded(tmp_path)))
        reader.start()
        time.sleep(0.2)
        assert not found
        write(tmp_path, NEW)
        intent.path.unlink()
    reader.join()
    assert found == [NEW]


def test_a_run_that_does_not_come_to_an_end_is_said(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr("datastoresync.syncers.files.base._PATIENCE", 0.1)
    intent = Intent.of(tmp_path, ["groups.csv"])
    with locked(intent.targets):
        intent.write()
        with pytest.raises(LockedError, match=r"another run is writing to .*groups\.csv \(process \d+ of "):
            CSVSyncer(tmp_path).load("groups")


def test_files_that_are_linked_to_are_completed_where_they_are(tmp_path):
    def make(root):
        (root / "shared").mkdir()
        (root / "folder").mkdir()
        write(root / "shared")
        for name in ("groups.csv", "memberships.csv"):
            (root / "folder" / name).symlink_to(root / "shared" / name)
        return root / "folder"

    folder = begin(tmp_path, make)
    assert loaded(folder) == rows(folder.parent / "shared") == NEW


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '["../x.csv"]', '["/etc/passwd"]', '[".x.csv"]', "[1]", '["a\\u0000"]']
)
def test_what_is_no_intent_is_refused_and_nothing_is_moved(tmp_path, text):
    write(tmp_path)
    (tmp_path / ".groups.csv.tmp").write_text("id\n")
    (tmp_path / ".groups.csv.intent").write_text(text)
    with pytest.raises(SyncerError, match=r"\.groups\.csv\.intent"):
        CSVSyncer(tmp_path).load("groups")
    assert rows(tmp_path) == OLD


# --- what was left behind before there were intents, or by others -----------------------------------------------------


@pytest.mark.parametrize("kind", [CSVSyncer, JSONSyncer])
def test_members_that_an_older_group_left_behind_do_not_come_back(kind, tmp_path):
    syncer = kind(tmp_path)
    syncer.dump("groups", data=[{"idnumber": "a", "title": "A"}])
    syncer.dump("memberships", data=[{"group": key, "user": user} for key, user in ("a1", "g2", "g3", "h4")])
    new = Change("insert", GROUPS, ("idnumber",), ("g",), {"title": "new", "members": {"3", "5"}})
    outcomes = syncer.apply_changes([new], same=same)
    assert [outcome.status for outcome in outcomes] == ["done"]
    stored = [(record["group"], record["user"]) for record in syncer.load("memberships")]
    assert stored == [("a", "1"), ("g", "3"), ("h", "4"), ("g", "5")]
    assert len(outcomes.warnings) == 1
    assert "table 'memberships': 1 row had no owner in 'groups' any more" in outcomes.warnings[0]


def test_members_without_an_owner_are_reported_when_they_are_read(tmp_path):
    write(tmp_path)
    assert len(list(CSVSyncer(tmp_path).read(GROUPS))) == 2
    (tmp_path / "groups.csv").write_text("idnumber,title\na,A\n")
    with pytest.warns(DataWarning, match=r"table 'memberships' has members of 1 owner not in table 'groups'"):
        assert len(list(CSVSyncer(tmp_path).read(GROUPS))) == 1


def test_both_sides_of_a_link_table_may_be_written_in_one_run(tmp_path):
    syncer = CSVSyncer(tmp_path)
    users = Table("users", links={"groups": Link("memberships", "user", "group")})
    for name, columns in (("groups", "idnumber title"), ("users", "idnumber name"), ("memberships", "group user")):
        syncer.dump(name, data=[dict.fromkeys(columns.split(), "x")])
    outcomes = syncer.apply_changes(
        [
            Change("insert", GROUPS, ("idnumber",), ("g",), {"title": "G", "members": {"1"}}),
            Change("insert", users, ("idnumber",), ("1",), {"name": "Ann", "groups": set()}),
        ],
        same=same,
    )
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert {"group": "g", "user": "1"} in syncer.load("memberships")
    assert outcomes.warnings == []


# --- locks that others left -------------------------------------------------------------------------------------------

AS_NOBODY = """
import os, sys, tempfile
sys.path[:] = {path!r}
from datastoresync.errors import DataWarning, LockedError, SyncerError
from datastoresync.syncers.files.csv import CSVSyncer
with tempfile.TemporaryDirectory() as folder:
    CSVSyncer(folder).dump("t", data=[{{"id": "all modules are imported"}}])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    CSVSyncer({folder!r}).dump("t", data=[{{"id": "new"}}])
except SyncerError as error:
    print(type(error).__name__, error)
"""


def as_nobody(folder):
    """Write a table as a user without rights; return what was said."""
    code = AS_NOBODY.format(path=sys.path, folder=str(folder))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # nor a file of it
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def open_folder():
    """A folder that everybody may write to, with a lock that a dead run of ours has left there."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory() as name:  # those of pytest are closed to others
        folder = Path(name)
        folder.chmod(0o777)
        (folder / ".t.csv.lock").write_text("process 1 of somebody\n")
        yield folder


@pytest.mark.parametrize("mode", [0o666, 0o644, 0o600, 0o000], ids=oct)
def test_a_lock_that_another_users_dead_run_has_left_is_no_obstacle(open_folder, mode):
    (open_folder / ".t.csv.lock").chmod(mode)
    done = as_nobody(open_folder)
    assert (done.stdout, done.stderr) == ("", "")
    assert (open_folder / "t.csv").read_text() == "id\nnew\n"
    assert [path.name for path in open_folder.iterdir()] == ["t.csv"]


def test_a_lock_in_a_folder_in_which_only_owners_remove_files_is_no_obstacle(open_folder):
    open_folder.chmod(0o1777)
    done = as_nobody(open_folder)
    assert (done.stdout, done.stderr) == ("", "")
    assert (open_folder / "t.csv").read_text() == "id\nnew\n"


@pytest.mark.parametrize("mode", [0o666, 0o600], ids=oct)
def test_a_lock_that_another_user_holds_is_respected(open_folder, mode):
    with locked([open_folder / "t.csv"]):
        (open_folder / ".t.csv.lock").chmod(mode)
        done = as_nobody(open_folder)
        assert done.stdout.startswith("LockedError another run is writing to"), done
        assert f"process {os.getpid()} " in done.stdout
    assert not (open_folder / "t.csv").exists()


def test_who_holds_a_lock_and_since_when_is_said(tmp_path):
    with locked([tmp_path / "t.csv"]), pytest.raises(LockedError) as caught:
        CSVSyncer(tmp_path).dump("t", data=[])
    assert f"(process {os.getpid()} of " in str(caught.value)
    assert ", since 20" in str(caught.value)


def test_another_run_is_waited_for_if_that_is_asked_for(tmp_path):
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with locked([tmp_path / "t.csv"]):
            entered.set()
            leave.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
    try:
        with pytest.raises(LockedError):
            CSVSyncer(tmp_path).dump("t", data=[{"id": "1"}])
        threading.Timer(0.2, leave.set).start()
        CSVSyncer(tmp_path, timeout=20).dump("t", data=[{"id": "1"}])
    finally:
        leave.set()
        holder.join()
    assert (tmp_path / "t.csv").read_text() == "id\n1\n"
