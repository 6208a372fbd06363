"""An application as a process: its exit codes, what it says where, and Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys, threading
from datastoresync import Branch, Object, SafeguardError, Tree
from datastoresync.app import App, Reader, Writer


class PeopleReader(Reader):
    def read(self, args):
        return Tree(branches={"users": Branch(Object, importer=[{"idnumber": "1"}, {"idnumber": "2"}])}).load()


class ActWriter(Writer):
    def add_arguments(self, parser):
        parser.add_argument("--act", required=True, choices=["succeed", "fail", "refuse", "wait"])

    def write(self, args, tree):
        if args.act == "fail":
            raise ConnectionError("cannot reach postgresql://ann:secret@host/db")
        if args.act == "refuse":
            raise SafeguardError("refused, and nothing was changed")
        if args.act == "wait":
            print("waiting", flush=True)
            threading.Event().wait()


App(PeopleReader(), ActWriter(), ActWriter(name="next"), name="people").main()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "people.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return [sys.executable, str(path)]


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **more}


def run(command, *argv):
    return subprocess.run([*command, *argv], capture_output=True, text=True, env=environment(), check=False)


@pytest.mark.parametrize(
    ("acts", "code", "said"),
    [
        (("succeed", "succeed"), 0, ""),
        (("fail", "succeed"), 1, "failed: act-writer: ConnectionError: cannot reach postgresql://ann:***@host/db\n"),
        (("succeed", "refuse"), 3, "refused: next: refused, and nothing was changed\n"),
    ],
)
def test_scripts_can_tell_what_became_of_it_and_cron_hears_of_failures_only(script, acts, code, said):
    done = run(script, "--act-writer-act", acts[0], "--next-act", acts[1])
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


def test_a_wrong_command_line_is_told_by_its_code(script):
    done = run(script)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("missing arguments:\n  act-writer: --act-writer-act\n  next: --next-act\n")


def test_a_dry_run_writes_nothing_and_says_so_on_standard_output(script):
    done = run(script, "--act-writer-act", "fail", "--next-act", "fail", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "act-writer: would write 2 objects\nnext: would write 2 objects\n"


def test_verbose_logs_and_shows_where_it_went_wrong(script):
    done = run(script, "--act-writer-act", "fail", "--next-act", "succeed", "--verbose")
    assert done.returncode == 1
    assert "succeeded: people-reader: users 2 in " in done.stderr
    assert 'people.py", line' in done.stderr
    assert "secret" not in done.stderr


def interrupted(process):
    """Press Ctrl-C until the process ends; one was lost once, nobody knows where, and a test must not wait for ever."""
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=10)
    process.kill()
    return process.communicate()


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_it_with_130_and_the_next_writer_is_not_called(script):
    argv = [*script, "--act-writer-act", "wait", "--next-act", "fail"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        out, error = interrupted(process)
    assert (process.returncode, out, error) == (130, "", "interrupted: act-writer\n")


def watched(argv):
    """Run with a terminal as standard error, and return what it saw."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=theirs, env=environment(), check=True)
        os.close(theirs)
        theirs = None
        seen = b""
        while chunk := _read(ours):
            seen += chunk
    finally:
        os.close(ours)
        if theirs is not None:
            os.close(theirs)
    return done.stdout, seen.decode().splitlines()


def _read(terminal):
    try:
        return os.read(terminal, 10_000)
    except OSError:  # so ends a terminal on Linux
        return b""


def test_a_terminal_sees_the_progress(script):
    argv = [*script, "--act-writer-act", "succeed", "--next-act", "succeed"]
    out, seen = watched(argv)
    assert out == b""
    assert [line.partition(" in ")[0] for line in seen] == [
        "people-reader: reading …",
        "succeeded: people-reader: users 2",
        "act-writer: writing …",
        "succeeded: act-writer",
        "next: writing …",
        "succeeded: next",
    ]
    assert watched([*argv, "--quiet"]) == (b"", [])


def test_the_module_copies_from_any_store_to_any_other(tmp_path):
    command = [sys.executable, "-m", "datastoresync"]
    source = tmp_path / "people.csv"
    source.write_text("idnumber,name\n1,Ann\n2,Éva\n", encoding="utf-8")
    argv = ["--from", f"csv:{source}", "--to", f"jsonl:{tmp_path}/out"]
    done = run(command, *argv)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out" / "people.jsonl").read_text(encoding="utf-8").count("\n") == 2
    _, seen = watched([*command, *argv, "--mode", "sync"])
    assert [line.partition(" in ")[0] for line in seen][-1].startswith("succeeded: to: succeeded=0")
    missing = run([*command, "copy"])
    assert (missing.returncode, missing.stderr.splitlines()[-2:]) == (2, ["  from: --from", "  to: --to"])
    shown = run([*command, "copy"], "--help").stdout
    assert "usage: datastoresync copy [" in shown


def test_a_reader_of_the_output_that_leaves_is_no_error(script):
    argv = [*script, "--act-writer-act", "succeed", "--next-act", "succeed", "--dry-run", "--verbose"]
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(argv, stdout=theirs, stderr=theirs, env=environment(), check=False)
    finally:
        os.close(theirs)
    assert done.returncode == 0


def test_the_command_lines_of_the_documentation_work(tmp_path):
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ ((?:python|datastoresync) .*)$", page, re.MULTILINE)
    assert len(lines) == 3
    for name in ("reader.py", "writer.py"):
        shutil.copy(ROOT / "examples" / "plugins" / name, tmp_path)
    with sqlite3.connect(tmp_path / "school.db") as database:
        database.execute("CREATE TABLE users (idnumber TEXT PRIMARY KEY)")
        database.execute("CREATE TABLE groups (idnumber TEXT PRIMARY KEY)")
    database.close()
    for line in lines:
        program, *arguments = shlex.split(line)
        argv = [sys.executable, *(() if program == "python" else ("-m", program)), *arguments]
        more = environment(SCHOOL_DATABASE="sqlite:///school.db")
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, env=more, check=False)
        assert (done.returncode, done.stderr) == (0, ""), line
    assert "<th>root</th>" in (tmp_path / "groups.html").read_text(encoding="utf-8")
