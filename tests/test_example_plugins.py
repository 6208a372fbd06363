"""The plug-ins among the examples: short, shown whole in the documentation, and run as a user runs them."""

import datetime
import gzip
import importlib.util
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import strategies as st

from datastoresync import Branch, Object, Tree
from datastoresync.app import App, SyncerWriter
from datastoresync.syncers import load_syncer, open_syncer
from datastoresync.testing import PLAIN_KINDS, SyncerContract, texts

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ROOT / "examples" / "plugins"
ARCHIVE = PLUGINS / "archive"
FILES = sorted(PLUGINS.rglob("*.py"))

PASSWD = "ann:x:1000:1000:Ann:/home/ann:/bin/sh\nbob:x:1001:1001:Bob Ö.:/home/bob:/usr/sbin/nologin\n"
GROUP = "staff:x:50:ann,bob\n<nobody>:x:51:\n"


def run(script, *arguments, cwd):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, PLUGINS / script, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False)


def module(name):
    spec = importlib.util.spec_from_file_location(f"plugged_{name}", PLUGINS / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def cells_of(page):
    rows, reader = [], HTMLParser()
    reader.handle_starttag = lambda tag, attributes: rows.append([]) if tag == "tr" else None
    reader.handle_data = lambda data: rows[-1].append(data) if rows and data.strip() else None
    reader.feed(page.read_text(encoding="utf-8"))
    return rows


@pytest.fixture
def etc(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "passwd").write_text(PASSWD, encoding="utf-8")
    (folder / "group").write_text(GROUP, encoding="utf-8")
    return folder


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PLUGINS).as_posix())
def test_a_plugin_is_short_and_shown_whole(path):
    code = path.read_text(encoding="utf-8")
    assert len(code.splitlines()) < 30
    assert f"```python\n{code}```\n" in (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_the_manifest_is_shown_whole():
    manifest = (ARCHIVE / "MANIFEST.json").read_text(encoding="utf-8")
    assert f"```json\n{manifest}```\n" in (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


# --- the syncer -------------------------------------------------------------------------------------------------


class TestArchive(SyncerContract):
    """Loaded from its folder, it keeps the contract of every syncer; lists and nested values, which JSON has, too."""

    kinds = PLAIN_KINDS | {"list": st.lists(st.none() | texts() | st.integers()), "numbers": st.integers()}
    max_examples = 10

    @pytest.fixture
    def syncer(self, tmp_path):
        return load_syncer(ARCHIVE, {"path": str(tmp_path)})

    def reopening(self, syncer):
        return (
            "from datastoresync.syncers import load_syncer\n"
            f"syncer = load_syncer({str(ARCHIVE)!r}, {{'path': {syncer.path!r}}})"
        )


@pytest.mark.parametrize("value", [b"abc", datetime.date(2024, 1, 2), frozenset("a"), object()])
def test_the_archive_refuses_what_it_cannot_keep_and_keeps_what_it_had(tmp_path, value):
    archive = load_syncer(ARCHIVE, {"path": str(tmp_path)})
    archive.dump("users", data=[{"tags": {"b", "a"}}])
    with pytest.raises(TypeError):
        archive.dump("users", data=[{"tags": set()}, {"tags": value}])
    assert archive.load("users") == [{"tags": ["a", "b"]}]


@pytest.mark.parametrize("identifier", ["", ".", "./users", "a/../users", "../up", "/abs"])
def test_the_archive_writes_nothing_outside_its_folder(tmp_path, identifier):
    folder = tmp_path / "archive"
    folder.mkdir()
    archive = load_syncer(ARCHIVE, {"path": str(folder)})
    archive.dump("users", data=[{"idnumber": "1"}])
    with pytest.raises(ValueError, match="is no name of a file"):
        archive.dump(identifier, data=[{"idnumber": "2"}])
    assert archive.load("users") == [{"idnumber": "1"}]
    assert [path.name for path in tmp_path.rglob("*")] == ["archive", "users.jsonl.gz"]


def test_the_archive_is_opened_by_a_url_and_takes_the_changes_of_a_tree(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = (open_syncer(f"plugin:{ARCHIVE}?path={tmp_path}/{name}") for name in ("old", "new"))
    new.dump("users", data=[{"idnumber": "1", "tags": {"a"}}, {"idnumber": "2", "tags": set()}])
    old.dump("users", data=[{"idnumber": "1", "tags": {"a", "b"}}])

    class Users(Tree):
        users = Branch(Object)

    report = +Users(syncer=new) >> +Users(syncer=old)
    assert report.ok
    with gzip.open(tmp_path / "old" / "users.jsonl.gz", "rt") as file:
        assert [json.loads(line) for line in file] == [{"idnumber": "1", "tags": ["a"]}, {"idnumber": "2", "tags": []}]


# --- the reader and the writer ----------------------------------------------------------------------------------


def test_the_reader_writes_users_and_groups_to_any_store(etc, tmp_path):
    done = run("reader.py", "--etc", etc, "--to", "json:people", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = open_syncer(f"json:{tmp_path}/people")
    assert [dict(user) for user in found.load("users")] == [
        {"idnumber": "ann", "name": "Ann", "shell": "/bin/sh"},
        {"idnumber": "bob", "name": "Bob Ö.", "shell": "/usr/sbin/nologin"},
    ]
    assert [(group["idnumber"], set(group["members"])) for group in found.load("groups")] == [
        ("<nobody>", set()),
        ("staff", {"ann", "bob"}),
    ]


def test_the_reader_says_what_is_not_there(tmp_path):
    done = run("reader.py", "--etc", tmp_path, "--to", "json:people", cwd=tmp_path)
    assert done.returncode == 1
    assert "passwd" in done.stderr
    assert not (tmp_path / "people").exists()


def test_the_writer_reads_groups_from_any_store(tmp_path):
    open_syncer(f"json:{tmp_path}/people").dump(
        "groups", data=[{"idnumber": "a & b", "members": ["<eve>", "ann"]}, {"idnumber": "c", "members": []}]
    )
    page = tmp_path / "groups.html"
    options = ("--from", "json:people", "--tables", "groups", "--page", page)
    done = run("writer.py", *options, "--dry-run", cwd=tmp_path)
    assert (done.returncode, page.exists()) == (0, False)
    done = run("writer.py", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert cells_of(page) == [["a & b", "<eve>, ann"], ["c"]]


def test_what_is_missing_is_named_by_part(tmp_path):
    done = run("writer.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "syncer-reader: --from" in done.stderr
    assert "page-writer: --page" in done.stderr


def test_reader_and_writers_make_one_application(etc, tmp_path):
    app = App(module("reader").UnixReader(), module("writer").PageWriter(), SyncerWriter())
    page = tmp_path / "groups.html"
    assert app.run(["--etc", str(etc), "--page", str(page), "--to", f"jsonl:{tmp_path}/people"]).exit_code == 0
    assert cells_of(page) == [["<nobody>"], ["staff", "ann, bob"]]
    with (tmp_path / "people" / "users.jsonl").open(encoding="utf-8") as file:
        assert [json.loads(line)["name"] for line in file] == ["Ann", "Bob Ö."]
