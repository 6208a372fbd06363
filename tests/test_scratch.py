"""Folders for temporary files: what a killed process leaves behind is removed by the next one, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from datastoresync.scratch import ScratchFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what is open there cannot be removed")
HOLDER = """
import sys
from datastoresync.scratch import ScratchFolder
folder = ScratchFolder(sys.argv[1])
(folder.path / "spilled").write_text("x")
print(folder.path, flush=True)
sys.stdin.read()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_leaves_is_removed_by_the_next_one_and_not_before(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        path = Path(process.stdout.readline().strip())
        ScratchFolder(tmp_path).remove()
        assert names(tmp_path) == [path.name], "its process lives"
        process.kill()
    assert names(tmp_path) == [path.name]
    new = ScratchFolder(tmp_path)
    assert names(tmp_path) == [new.path.name]
    new.remove()
    new.remove()
    assert names(tmp_path) == []


def test_what_is_not_ours_is_left_alone(tmp_path):
    for name in ("datastoresync-1-unlocked", "datastoresync-tests-x", "another"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".lock").touch()
    (tmp_path / "datastoresync-1-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "datastoresync-1-file").touch()
    before = names(tmp_path)
    ScratchFolder(tmp_path).remove()
    assert names(tmp_path) == before
    assert (tmp_path / "elsewhere" / ".lock").exists()


def test_the_next_run_of_an_engine_removes_what_a_killed_one_has_spilled(tmp_path):
    pytest.importorskip("duckdb")
    from datastoresync.engines.duckdb.connection import DuckDB

    process = subprocess.run(
        [sys.executable, "-c", HOLDER.replace("sys.stdin.read()", "import os; os._exit(9)"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    left = Path(process.stdout.strip())
    assert left.exists()
    instance = DuckDB(folder=tmp_path).opened()
    assert not left.exists()
    del instance
