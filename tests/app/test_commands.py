"""The commands: their exit codes, their errors in the words of the command line, and how they are found."""

from __future__ import annotations

import ast
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from datastoresync import __version__
from datastoresync.app import commands
from datastoresync.app.commands.group import main
from datastoresync.app.syncer_writer import SyncerWriter
from datastoresync.applying.report import Report, Result
from datastoresync.errors import LockedError, SafeguardError, SyncerError


@pytest.fixture
def run(capsys, monkeypatch):
    """Return a function that runs a command, and returns its exit code, what it printed, and what it complained of."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*argv):
        code = main(list(map(str, argv)))
        return (code, *capsys.readouterr())

    return call


def write(path, *rows):
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_each_command_is_a_module_and_a_line():
    folder = Path(commands.__file__).parent
    with_command = [
        path.stem
        for path in folder.glob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "command"
            for node in ast.parse(path.read_text(encoding="utf-8")).body
        )
    ]
    assert sorted(with_command) == sorted(commands.COMMANDS)


def test_the_version_and_the_help_are_results(run):
    assert run("--version") == (0, f"datastoresync {__version__}\n", "")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(name in out for name in commands.COMMANDS)
    assert "4    there are differences, with --exit-code" in out
    for name in commands.COMMANDS:
        code, out, err = run(name, "--help")
        assert (code, err) == (0, ""), name
        assert f"datastoresync {name}" in out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "Usage: datastoresync"),
        (("snyc",), "there is no command 'snyc': did you mean 'sync'?\nsee datastoresync --help"),
        (("sync", "a.csv"), "Missing argument 'DESTINATION'"),
        (("sync", "a.csv", "b.csv", "--dry-run", "--rehearse"), "--dry-run and --rehearse exclude each other"),
        (("sync", "a.csv", "b.csv", "--dry-rnu"), "--dry-run"),
        (("sync", "a.csv", "b.csv", "--allow-deletions", "many"), "a count such as 500 or a share such as 0.3 or 30%"),
        (("sync", "env:NOT_SET", "b.csv"), "the environment variable 'NOT_SET' is not set"),
        (("sync", "a.csv", "b.csv", "--log-file", "/nowhere/log"), "cannot write to /nowhere/log: No such file"),
        (("completion", "tcsh"), "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_where_the_help_is(run, argv, said):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert said in err


def test_a_sync_writes_what_differs_and_says_what_became_of_it(run, tmp_path):
    source = write(tmp_path / "people.csv", "id,name", "1,Ann", "2,Bob")
    destination = f"sqlite:///{tmp_path}/people.db"
    assert run("sync", source, destination, "--key", "id") == (0, "", "")
    write(source, "id,name", "1,Anna", "2,Bob")
    code, out, err = run("sync", source, destination, "--key", "id", "--dry-run")
    assert (code, err) == (0, "")
    assert "Anna" in out
    log = tmp_path / "log"
    assert run("sync", source, destination, "--key", "id", "--log-file", log, "-q") == (0, "", "")
    with closing(sqlite3.connect(tmp_path / "people.db")) as database:
        assert database.execute("select name from people order by id").fetchall() == [("Anna",), ("Bob",)]
    assert "applied: succeeded=1" in log.read_text(encoding="utf-8")
    code, out, err = run("sync", write(source, "id,name"), destination, "--key", "id")
    assert code == 3
    assert "--allow-" in err
    assert run("sync", tmp_path / "none.csv", destination)[0] == 1


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (LockedError("another run is writing"), 6),
        (SafeguardError("too much"), 3),
        (SyncerError("no"), 1),
        (Report((Result("succeeded"), Result("failed"))), 5),
        (Report((Result("failed"), Result("failed"))), 1),
        (Report((Result("succeeded"), Result("failed")), rehearsed=True), 1),
        (Report((Result("succeeded"), Result("succeeded"))), 0),
    ],
)
def test_the_exit_code_says_what_became_of_a_run(run, monkeypatch, tmp_path, outcome, code):
    def write_or_raise(*_):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(SyncerWriter, "write", write_or_raise)
    assert run("sync", write(tmp_path / "people.csv", "id", "1"), "sqlite://", "--key", "id")[0] == code


def test_completion_prints_a_script_of_the_shell(run, monkeypatch):
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = run("completion", shell)
        assert (code, f"{shell}_complete" in out) == (0, True)
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert "fish_complete" in run("completion")[1]
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert run("completion")[0] == 2


def test_commands_and_options_are_completed(run, monkeypatch):
    monkeypatch.setenv("_DATASTORESYNC_COMPLETE", "bash_complete")
    for words, found in (("datastoresync sy", "sync"), ("datastoresync sync --rehe", "--rehearse")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert found in run()[1]
