"""Two runs at once of a store with load and dump alone: the second is refused, and a dead one is in nobody's way."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile

import pytest

from datastoresync.errors import LockedError, SyncerError
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.plugin.load_dump_adapter import LoadDumpAdapter

SLOW_RUN = """
import csv
import sys
from pathlib import Path

from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.plugin.load_dump_adapter import LoadDumpAdapter


class Slow:
    def __init__(self, file, name):
        self.file, self.name = Path(file), name

    def load(self, identifier):
        with self.file.open(newline="") as file:
            return list(csv.DictReader(file))

    def dump(self, identifier, *, data):
        if key == "slow":
            print("loaded", flush=True)
            sys.stdin.readline()
        with self.file.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["key"])
            writer.writeheader()
            writer.writerows(data)


file, name, key = sys.argv[1:]
change = Change("insert", Table("users"), ("key",), (key,))
try:
    (outcome,) = LoadDumpAdapter(Slow(file, name)).apply_changes([change], same=lambda *each: each[2] == each[3])
    print(outcome.status)
except Exception as error:
    print(type(error).__name__, error)
"""


def start(file, key, name="the archive"):
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(file), name, key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def keys(file):
    with file.open(newline="") as opened:
        return [record["key"] for record in csv.DictReader(opened)]


@pytest.fixture
def file(tmp_path, monkeypatch):
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    (tmp_path / "users.csv").write_text("key\nold\n")
    return tmp_path / "users.csv"


def test_the_second_run_is_refused_and_no_row_is_lost(file):
    first = start(file, "slow")
    try:
        assert first.stdout.readline() == "loaded\n"
        refused, _ = start(file, "second").communicate()
        assert refused.startswith("LockedError another run is writing to the archive (process ")
        assert f"process {first.pid} of " in refused
        assert "wait for it to end" in refused
        assert keys(file) == ["old"]
        done, _ = first.communicate("\n")
    finally:
        first.kill()
    assert done == "done\n"
    assert start(file, "second").communicate()[0] == "done\n"
    assert keys(file) == ["old", "slow", "second"]
    assert not list((file.parent / "locks").iterdir())


def test_a_killed_run_frees_the_lock(file):
    first = start(file, "slow")
    assert first.stdout.readline() == "loaded\n"
    first.kill()
    first.communicate()
    (left,) = (file.parent / "locks").iterdir()
    left.chmod(0o444)  # as one of another user may be
    assert start(file, "second").communicate()[0] == "done\n"
    assert keys(file) == ["old", "second"]


def test_a_store_of_another_name_is_not_kept_out(file):
    first = start(file, "slow")
    other = file.with_name("other.csv")
    other.write_text("key\n")
    try:
        assert first.stdout.readline() == "loaded\n"
        assert start(other, "second", "another").communicate()[0] == "done\n"
        assert first.communicate("\n")[0] == "done\n"
    finally:
        first.kill()
    assert (keys(file), keys(other)) == (["old", "slow"], ["second"])


class Outer:
    name = "outer"

    def __init__(self, inner=None):
        self.inner, self.records = inner, []

    def load(self, identifier):
        return self.records

    def dump(self, identifier, *, data):
        if self.inner is not None:
            write(self.inner)
        self.records = list(data)


class Inner(Outer):
    pass


def write(store):
    change = Change("insert", Table("users"), ("key",), ("1",))
    return LoadDumpAdapter(store).apply_changes([change], same=lambda _change, _name, raw, expected: raw == expected)


def test_a_store_writes_to_another_one_within():
    inner = Inner()
    outer = Outer(inner)
    assert write(outer)[0].status == "done"
    assert outer.records == inner.records == [{"key": "1"}]


def test_a_store_within_itself_is_refused():
    inner = Outer()
    with pytest.raises(LockedError, match="another run is writing to outer"):
        write(Outer(inner))
    assert inner.records == []


def test_a_folder_that_cannot_be_locked_in_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SyncerError, match=r"cannot lock outer with .*datastoresync-\w+\.lock: No such file"):
        write(Outer())


def test_no_temporary_folder_at_all_is_said(monkeypatch):
    def missing():
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", missing)
    with pytest.raises(SyncerError, match="no temporary folder to write to: set TMPDIR to one"):
        write(Outer())
