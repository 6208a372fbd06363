"""What is published: the metadata, the command, and, slowly, the distributions as a user installs them."""

from __future__ import annotations

import configparser
import csv
import email
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from test_house import links

import datastoresync

ROOT = Path(__file__).resolve().parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
EXTRAS = SETUP["options.extras_require"]
FOR_DEVELOPERS = {"bench", "check", "demo", "docs", "release", "test"}
NOT_PUBLISHED = {".gitignore", ".ci/run"}


def citation():
    """The plain values of CITATION.cff."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z-]+): ([^>\n]+)$", text, re.MULTILINE))


def test_all_is_every_extra_that_the_library_uses_when_it_runs():
    (names,) = re.fullmatch(r"\s*datastoresync\[(.+)\]", EXTRAS["all"]).groups()
    assert names.split(",") == sorted(set(EXTRAS) - FOR_DEVELOPERS - {"all"})


def test_every_extra_that_a_message_or_a_document_names_is_there():
    texts = [*(ROOT / "datastoresync").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    mention = re.compile(r"pip install '(?:datastoresync|\.)\[([\w,]+)\]|`'\.\[(\w+)\]'`")
    named = {
        name
        for path in texts
        for match in mention.finditer(path.read_text(encoding="utf-8"))
        for name in (match[1] or match[2]).split(",")
    }
    assert "all" in named
    assert named <= set(EXTRAS)


def test_the_command_is_the_module(monkeypatch, capsys):
    (line,) = SETUP["options.entry_points"]["console_scripts"].split("\n")[1:]
    name, value = line.split(" = ")
    main = EntryPoint(name, value, "console_scripts").load()
    monkeypatch.setattr(sys, "argv", ["/usr/bin/something", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{name} {datastoresync.__version__}\n")


def test_the_citation_is_of_the_newest_version_of_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.search(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE).groups()
    assert citation()["version"] == datastoresync.__version__ == version
    assert citation().get("date-released", "unreleased") == date


def test_the_citation_says_what_the_metadata_says():
    metadata = SETUP["metadata"]
    said = citation()
    assert (said["title"], said["license"], said["repository-code"]) == (
        metadata["name"],
        metadata["license"],
        metadata["url"],
    )
    assert f"  - name: {metadata['author']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


# --- built, installed and tried ---------------------------------------------------------------------------------


def run(*command, cwd):
    """What a command prints; PYTHONPATH and pytest's own variables would show it the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))}
    environment = kept | {"PYTHONIOENCODING": "utf-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def make_environment(folder, *requirements):
    """A folder of programs, of a fresh virtual environment that has these requirements."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-input", *requirements, cwd=folder.parent)
    return folder / "bin"


@pytest.fixture(scope="module")
def files():
    """The names of the files of the project, as git knows them or would."""
    if not (ROOT / ".git").exists():
        pytest.skip("only in a clone: git tells which files are the project's")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def distributions(files, tmp_path_factory):
    """The source distribution, and the wheel that is built from it; both have passed `twine check --strict`."""
    folder = tmp_path_factory.mktemp("built")
    clone = folder / "clone"
    for name in files:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    programs = make_environment(folder / "tools", *EXTRAS["release"].split())
    run(programs / "python", "-m", "build", "-o", folder / "dist", cwd=clone)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    run(programs / "twine", "check", "--strict", sdist, wheel, cwd=folder)
    return sdist, wheel


@pytest.fixture(scope="module")
def unpacked(distributions, tmp_path_factory):
    """The folder of the source distribution's files."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(distributions[0]) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


@pytest.mark.slow
def test_the_source_distribution_has_all_files(files, unpacked):
    packed = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {"tests/test_packaging.py", "docs/tutorial.md", "examples/school/sync.py"} <= packed
    assert packed >= files - NOT_PUBLISHED
    made = {name for name in packed - files if ".egg-info/" not in name}
    assert made == {"PKG-INFO"}


@pytest.mark.slow
def test_the_tests_of_the_source_distribution_run(unpacked):
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    collected = run(*pytest_, "--collect-only", cwd=unpacked)
    assert "tests/diffing/test_diff.py::" in collected
    assert "datastoresync/__init__.py::datastoresync" in collected
    # Every link of its documents leads to one of its files, and every example runs.
    assert " passed" in run(*pytest_, "tests/test_house.py", cwd=unpacked)


@pytest.mark.slow
def test_the_wheel_has_the_package_and_nothing_else(distributions, files):
    with zipfile.ZipFile(distributions[1]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name for name in files if name.startswith("datastoresync/")}


@pytest.mark.slow
def test_the_long_description_is_the_readme_with_absolute_links(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    description = metadata.get_payload(decode=True).decode()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    url = SETUP["metadata"]["url"]
    assert links(description) == []
    assert f"[The tutorial]({url}/blob/main/docs/tutorial.md)" in description
    assert f"]({url}/raw/main/docs/plan.svg)" in description
    assert re.sub(rf"{url}/(blob|raw)/main/", "", description).strip() == readme.strip()
    assert {line.partition(", ")[0] for line in metadata.get_all("Project-URL")} >= {"Changelog", "Documentation"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_it_is_installed_and_syncs(kind, distributions, tmp_path):
    built = distributions[kind == "wheel"]
    programs = make_environment(tmp_path / "environment", f"datastoresync[cli,sql] @ {built.as_uri()}")
    version = run(programs / "python", "-c", "import datastoresync; print(datastoresync.__version__)", cwd=tmp_path)
    assert version == f"{datastoresync.__version__}\n"
    for command in ([programs / "datastoresync"], [programs / "python", "-m", "datastoresync"]):
        assert run(*command, "--version", cwd=tmp_path) == f"datastoresync {datastoresync.__version__}\n"
        assert run(*command, "--help", cwd=tmp_path).startswith("Usage: datastoresync [")

    (tmp_path / "people.csv").write_text("idnumber,name\n1,Ann\n2,Éva\n", encoding="utf-8")
    with sqlite3.connect(tmp_path / "school.db") as database:
        database.execute("CREATE TABLE people (idnumber TEXT PRIMARY KEY, name TEXT)")
        database.execute("INSERT INTO people VALUES ('1', 'Anne')")
    to_database = ("--from", "people.csv", "--to", "sqlite:///school.db", "--mode", "sync")
    run(programs / "datastoresync", *to_database, "--allow-updates", "1", cwd=tmp_path)
    assert database.execute("SELECT * FROM people ORDER BY idnumber").fetchall() == [("1", "Ann"), ("2", "Éva")]
    database.close()
    run(programs / "datastoresync", "--from", "sqlite:///school.db", "--to", "csv:out", cwd=tmp_path)
    with (tmp_path / "out" / "people.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["idnumber", "name"], ["1", "Ann"], ["2", "Éva"]]
