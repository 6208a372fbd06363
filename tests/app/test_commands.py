"""The commands: their exit codes, their errors in the words of the command line, and how they are found."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from datastoresync import __version__
from datastoresync.__main__ import main as program
from datastoresync.app import ExitCode, commands
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


def test_a_command_loads_no_more_than_it_needs():
    show = "print(json.dumps([name for name in sys.modules if name.startswith(('datastoresync.', 'sqlalchemy'))]))"
    code = f"import json, sys, datastoresync.app.commands.{{0}}; {show}"
    for command, unwanted in (
        ("group", ("applying", "branch", "diffing", "importing", "syncers", "tree")),
        ("diff", ("applying", "engines.duckdb.relation", "syncers.sql", "tree", "vocabularies")),
    ):
        done = subprocess.run([sys.executable, "-c", code.format(command)], capture_output=True, text=True, check=True)
        loaded = json.loads(done.stdout)
        assert f"datastoresync.app.commands.{command}" in loaded
        assert not [
            name for name in loaded if f"{name}.".startswith(tuple(f"datastoresync.{one}." for one in unwanted))
        ]
        assert "sqlalchemy" not in loaded


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
    for words, found in (
        ("datastoresync sy", "plain,sync"),
        ("datastoresync sync --rehe", "plain,--rehearse"),
        ("datastoresync diff peo", "file,peo"),
        ("datastoresync diff --format mark", "plain,markdown"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert found in run()[1]


DECLARED = """
from datastoresync import Branch, CSVImporter, Object, Template, Tree

class Person(Object):
    name: str

class Source(Tree):
    people = Branch(Person, importer=CSVImporter("people.csv", columns={"idnumber": "id"}))

class Accounts(Template):
    def new_people(self, action):
        print("create", action.source.name)

class Destination(Tree):
    people = Branch(Person, importer=lambda: [{"idnumber": "1", "name": "Ann"}])
    template = Accounts

def destination():
    return Destination()

nothing = 7
"""


@pytest.fixture
def school(tmp_path, monkeypatch):
    """A module in the current folder that declares two trees; forgotten afterwards."""
    (tmp_path / "declared_school.py").write_text(DECLARED, encoding="utf-8")
    (tmp_path / "broken_school.py").write_text("1 / 0", encoding="utf-8")
    write(tmp_path / "people.csv", "id,name", "1,Ann", "2,Bob")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("declared_school", "broken_school"):
        sys.modules.pop(name, None)


def test_trees_that_are_declared_in_python_need_no_script(run, school):
    trees = ("declared_school:Source", "declared_school:destination")
    code, out, err = run("sync", *trees, "--dry-run")
    assert (code, "Bob" in out or "'2'" in out, "create" in out, err) == (0, True, False, "")
    assert run("sync", *trees) == (0, "create Bob\n", "")
    code, out, _ = run("sync", *trees, "--json")
    assert json.loads(out)["parts"][1]["counts"]["succeeded"] == 1
    code, out, _ = run("sync", *trees, "--json", "--dry-run")
    assert [row["new"] for row in json.loads(out)["parts"][1]["changes"]] == ["Bob"]
    assert run("sync", trees[0], "jsonl:out") == (0, "", "")
    assert Path("out/people.jsonl").read_text(encoding="utf-8").count("\n") == 2
    assert run("sync", "jsonl:out", trees[1]) == (0, "create Bob\n", "")


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("declared_school:Sorce", 1, "declared_school has no 'Sorce': did you mean 'Source'?"),
        ("declared_shool:Source", 1, "did you mean 'declared_school'?"),
        ("broken_school:Source", 1, "the module cannot be imported: ZeroDivisionError: division by zero"),
        ("declared_school:nothing", 1, "is no tree: name a tree, the class of one, or a function that returns one"),
    ],
)
def test_what_names_no_tree_is_told(run, school, source, code, said):
    found, _, err = run("sync", source, "declared_school:Destination")
    assert (found, said in err) == (code, True), err


def test_options_of_a_store_are_refused_for_a_tree(run, school):
    code, _, err = run("sync", "declared_school:Source", "declared_school:Destination", "--key", "id")
    assert (code, "--key is for a store" in err) == (2, True)


def test_options_without_a_command_copy_as_they_always_did(monkeypatch, capsys, tmp_path):
    source = write(tmp_path / "people.csv", "idnumber,name", "1,Ann")
    monkeypatch.setattr(sys, "argv", ["datastoresync", "--from", f"csv:{source}", f"--to=jsonl:{tmp_path}/out"])
    with pytest.raises(SystemExit) as end:
        program()
    assert (end.value.code, (tmp_path / "out" / "people.jsonl").exists()) == (0, True)


INTERRUPTED = """\
import os, signal, sys
imported = sys.argv[1]
class Finder:
    def find_spec(name, path=None, target=None):
        if name == imported:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
from datastoresync.__main__ import main
sys.argv[:] = ["datastoresync", "diff", "old.csv", "new.csv", "--key", "id"]
sys.argv[0] = main()
"""


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("imported", ["csv", "click", "datastoresync.app.store_diff"])
def test_ctrl_c_ends_it_in_silence_while_it_is_imported(imported):
    command = [sys.executable, "-c", INTERRUPTED, imported]
    run = subprocess.run(command, capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr.strip()) == (130, b"", b"")


def test_the_version_needs_no_library():
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "datastoresync", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == f"datastoresync {__version__}\n"
    assert not re.search(r"\| +(click|attrs?|csv|logging|datastoresync\.runtime)$", run.stderr, re.MULTILINE)


def test_without_click_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.delitem(sys.modules, "datastoresync.app.commands.group")
    monkeypatch.setattr(sys, "argv", ["datastoresync", "diff"])
    with pytest.raises(SystemExit, match=r"pip install 'datastoresync\[cli\]'"):
        program()


def test_the_documentation_names_each_command_and_exit_code():
    page = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| (\d+) \| ", page, re.MULTILINE)
    assert list(map(int, codes)) == list(ExitCode)
    assert all(f"`datastoresync {name} " in page for name in commands.COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        ("sync", "new.csv", "old.csv"),
        ("copy", "--from", "csv:new.csv", "--to", "csv:old.csv", "--mode", "replace"),
        ("copy", "--from", "csv:new.csv", "--to", "csv:old.csv", "--mode", "upsert"),
    ],
)
def test_a_single_file_takes_a_table_of_another_name(command, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "new.csv", "id,name", "1,Ann", "2,Bobby")
    write(tmp_path / "old.csv", "id,name", "1,Ann", "2,Bob")
    dry = run(*command, "--key", "id", "--dry-run")
    assert (dry[0], dry[2]) == (0, "")
    assert "would be made" not in dry[1]
    assert "Bobby" not in (tmp_path / "old.csv").read_text(encoding="utf-8")
    assert run(*command, "--key", "id") == (0, "", "")
    assert (tmp_path / "old.csv").read_text(encoding="utf-8").split() == ["id,name", "1,Ann", "2,Bobby"]
    assert run("sync", "new.csv", "made.json", "--key", "id") == (0, "", "")
    assert json.loads((tmp_path / "made.json").read_text(encoding="utf-8"))[1] == {"id": "2", "name": "Bobby"}


def test_limits_of_a_single_file_are_those_of_its_table(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "new.csv", "id,name", "1,Ann")
    write(tmp_path / "old.csv", "id,name", *(f"{number},Ann" for number in range(40)))
    code, out, err = run("sync", "new.csv", "old.csv", "--key", "id")
    assert (code, out) == (3, "")
    assert "--allow-deletions 39" in err
    assert run("sync", "new.csv", "old.csv", "--key", "id", "--allow-deletions", "39")[0] == 0
