"""A URL opens a built-in store, one that a package adds, or a database."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import traceback

import pytest

from datastoresync import syncers
from datastoresync.errors import DataWarning, DeclarationError, SyncerError
from datastoresync.syncers import SQLSyncer, Syncer, files, open_syncer
from datastoresync.syncers.files import FORMATS, Format

STORES = """
    class Store:
        def __init__(self, place, *, label="", password="", fails=False):
            if fails:
                raise ValueError(f"cannot log in at {place} with {password}")
            self.name, self.place, self.label = "store", place, label
        def load(self, identifier): return []
        def dump(self, identifier, *, data): ...

    class Memory:
        name = "memory"
        def load(self, identifier): return []
        def dump(self, identifier, *, data): ...

    def make(place="here", **options):
        store = Store(place)
        store.options = options
        return store

    def half(place): return {"name": place}
    number = 7
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package that registers stores: each a line of entry_points.txt."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    (folder / "some_stores.py").write_text(textwrap.dedent(STORES))

    def install(name, *lines):
        place = folder / f"{name}-1.0.dist-info"
        place.mkdir()
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (place / "entry_points.txt").write_text("\n".join(["[datastoresync.syncers]", *lines, ""]))

    return install


@pytest.fixture
def plain_files(monkeypatch, tmp_path):
    """Put a plain store in place of the one for CSV."""
    module = tmp_path / "plain_files.py"
    module.write_text(textwrap.dedent(STORES))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(files, "FORMATS", (Format("csv", (".csv",), "plain_files:Store"),))


def test_all_options_reach_the_class_by_name(plain_files):
    syncer = open_syncer("csv:my%20exports?label=a%26b+c")
    assert (syncer.place, syncer.label) == ("my exports", "a&b c")
    assert open_syncer("csv:x", label="y").label == "y"
    assert open_syncer("csv:x?label=").label == ""
    assert isinstance(syncer, Syncer)


def test_paths_and_the_names_of_files_need_no_scheme(plain_files, tmp_path):
    assert open_syncer("people.csv").place == "people.csv"
    assert open_syncer(tmp_path / "100% ?.csv", label="x").place == str(tmp_path / "100% ?.csv")


def test_a_path_may_begin_at_home(plain_files, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")
    assert open_syncer("csv:~/x/").place == "/home/ann/x/"


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("csv:x?lable=y", {}, "^csv: has no option 'lable': did you mean 'label'?"),
        ("csv:x?place=y", {}, "has no option 'place'"),
        ("csv:x?self=y", {}, "has no option 'self'"),
        ("csv:x", {"lable": 1}, "did you mean 'label'?"),
        ("csv:x?label=y", {"label": "z"}, "option 'label' is given in the csv: URL and beside it"),
        ("csv:", {}, "csv: names no file or folder: write csv:."),
        ("csv:?label=y", {}, "csv: names no file or folder"),
        ("csv://exports", {}, "write csv:exports or csv:///exports"),
        ("csv:x", {"fails": True}, "csv: cannot be opened: ValueError: cannot log in at x with"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(plain_files, url, options, says):
    with pytest.raises(SyncerError, match=says):
        open_syncer(url, **options)


def test_an_unknown_scheme_names_the_nearest_or_all_there_are(package):
    package("some", "ledger = some_stores:Store")
    with pytest.raises(SyncerError, match=r"scheme 'ledgr': did you mean 'ledger'\?$"):
        open_syncer("ledgr:x")
    with pytest.raises(SyncerError, match=r"there are 'csv', .*'ledger', .*'plugin', .*'sqlite'") as caught:
        open_syncer("zzzzzz:ann:hunter2@host")
    assert "hunter2" not in str(caught.value)
    assert all(repr(each.name) in str(caught.value) for each in FORMATS)


# --- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registered", FORMATS, ids=lambda each: each.name)
def test_the_line_of_a_format_agrees_with_its_class(registered):
    loaded = registered.load()
    assert (loaded.format, loaded.suffixes) == (registered.name, registered.suffixes)
    assert loaded is getattr(syncers, loaded.__name__)
    assert loaded.__name__ in syncers.__all__


def test_no_two_formats_share_a_name_a_suffix_or_a_class():
    for taken in (
        [each.name for each in FORMATS],
        [suffix for each in FORMATS for suffix in each.suffixes],
        [each.class_name for each in FORMATS],
    ):
        assert len(taken) == len(set(taken))


INI = """
    from datastoresync.syncers.files.json import JSONSyncer

    class INISyncer(JSONSyncer):
        format = "ini"
        suffixes = (".ini", ".conf")
"""


def test_a_format_takes_one_file_and_one_line(monkeypatch, tmp_path):
    (tmp_path / "ini_files.py").write_text(textwrap.dedent(INI))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(files, "FORMATS", (*FORMATS, Format("ini", (".ini", ".conf"), "ini_files:INISyncer")))
    with open_syncer(f"ini:{tmp_path}/tables/") as syncer:
        syncer.dump("users", data=[{"name": "Ann"}])
    assert open_syncer(tmp_path / "tables" / "users.ini").load("users") == [{"name": "Ann"}]
    assert open_syncer("users.CONF").name == "ini:users.CONF"
    assert type(syncer).__name__ == "INISyncer"
    with pytest.raises(SyncerError, match=r"scheme 'inii': did you mean 'ini'\?"):
        open_syncer("inii:x")
    with pytest.raises(SyncerError, match=r"'users\.cnf' has neither a scheme.*: did you mean '\.conf'\?"):
        open_syncer("users.cnf")


def test_a_format_is_imported_when_it_is_used():
    command = "import sys; from datastoresync.syncers import open_syncer; open_syncer('csv:.'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "datastoresync.syncers.files.csv" in loaded
    assert loaded.isdisjoint({"openpyxl", "pyarrow"})
    assert loaded.isdisjoint(f"datastoresync.syncers.files.{name}" for name in ("excel", "json", "parquet"))


# --- databases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///x.db",
        "sqlite://",
        "postgresql://ann:hunter2@host/school?sslmode=require&application_name=a%20b",
        "postgresql+psycopg://host/x",
        "mysql+pymysql://host/x?charset=utf8mb4",
        "oracle+oracledb://host/x",
    ],
)
def test_the_url_of_a_database_goes_through_untouched(url):
    syncer = open_syncer(url, name="mine", pool_size=3)
    assert isinstance(syncer, SQLSyncer)
    assert (syncer._url_or_engine, syncer.name, syncer._options) == (url, "mine", {"pool_size": 3})
    assert "hunter2" not in repr(syncer)


def test_the_file_of_a_database_is_one(tmp_path, execute):
    execute(f"sqlite:///{tmp_path}/x.db", "create table users (a text)", "insert into users values ('7')")
    assert open_syncer(tmp_path / "x.db").load("users") == [{"a": "7"}]


@pytest.mark.parametrize("url", ["sqlite:x.db", "postgresql:host", "mysql+pymysql:host"])
def test_a_database_needs_its_slashes(url):
    with pytest.raises(SyncerError, match=f"^{url.split(':')[0].replace('+', '.')}: must be followed by slashes"):
        open_syncer(url)


# --- packages -------------------------------------------------------------------------------------------------------


def test_a_package_adds_a_class_or_a_function(package):
    package("some", "ledger = some_stores:Store", "made = some_stores:make", "memory = some_stores:Memory")
    syncer = open_syncer("Ledger:a%20b?label=x")
    assert (syncer.place, syncer.label) == ("a b", "x")
    assert open_syncer("ledger://host/x?label=y").place == "//host/x"
    assert open_syncer("made:").place == "here"
    assert open_syncer("made:x?any=thing").options == {"any": "thing"}
    assert open_syncer("memory:").name == "memory"


def test_a_package_may_take_the_scheme_of_a_url_that_is_not_built_in(package):
    package("some", "bigquery = some_stores:Store")
    assert open_syncer("bigquery://host").name == "store"


@pytest.mark.parametrize(
    ("line", "url", "says"),
    [
        (
            "x1 = some_stores:Store",
            "x1:y?lable=z",
            r"^x1: \(some_stores:Store, of the package some\) has no option 'lable'",
        ),
        ("x1 = some_stores:Store", "x1:", "needs the option 'place'"),
        ("x1 = some_stores:number", "x1:y", "is a int: it must be a class or a function"),
        ("x1 = some_stores:half", "x1:y", "returns a dict, which is not a syncer: it has no method load"),
        ("x1 = some_stores:gone", "x1:y", "cannot be imported: AttributeError"),
        ("x1 = no_such_module:gone", "x1:y", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_package_that_adds_something_wrong_is_named(package, line, url, says):
    package("some", line)
    with pytest.raises(SyncerError, match=says):
        open_syncer(url)


def test_two_packages_with_one_name_are_both_named(package):
    package("some", "ledger = some_stores:Store")
    package("other", "ledger = some_stores:Store")
    with pytest.raises(SyncerError, match="the package other and the package some both register a store for 'ledger'"):
        open_syncer("ledger:x")


@pytest.mark.parametrize("scheme", ["csv", "sqlite"])
def test_a_built_in_store_is_never_shadowed_in_silence(package, plain_files, scheme):
    package("some", f"{scheme} = some_stores:Memory")
    with pytest.warns(
        DataWarning, match=f"the package some registers a store for '{scheme}', which is built in"
    ) as caught:
        syncer = open_syncer("sqlite://" if scheme == "sqlite" else "csv:x")
    assert syncer.name != "memory"
    assert caught[0].filename == __file__


def test_a_package_with_another_name_shadows_nothing(package, plain_files):
    package("some", "ledger = some_stores:Store")
    assert open_syncer("csv:x").name == "store"


def test_passwords_are_in_no_message(package):
    package("some", "ledger = some_stores:Store")
    with pytest.raises(SyncerError) as caught:
        open_syncer("ledger://ann:tops%20ecret@host?password=hunter2", fails=True)
    assert "ValueError: cannot log in at //ann:***@host with ***" in str(caught.value)


# --- folders --------------------------------------------------------------------------------------------------------


def test_a_folder_with_a_syncer_opens_from_a_url(tmp_path):
    folder = tmp_path / "my syncer"
    folder.mkdir()
    (folder / "syncer.py").write_text(textwrap.dedent(STORES))
    (folder / "MANIFEST.json").write_text('{"name": "mine", "syncer_class": "Store"}')
    assert open_syncer(f"plugin:{folder}?place=x&label=y").label == "y"
    with pytest.raises(SyncerError, match=r"has no option 'lable': did you mean 'label'\?"):
        open_syncer(f"plugin:{folder}?place=x&lable=y")
    with pytest.raises(SyncerError, match=r"MANIFEST\.json"):
        open_syncer(f"plugin:{tmp_path}")


def test_an_operand_that_is_no_text_is_a_slip():
    for wrong in (None, 7, b"csv:x"):
        with pytest.raises(DeclarationError, match="a store is named by a URL or a path, not a"):
            open_syncer(wrong)


def test_passwords_are_in_no_traceback(package):
    package("some", "ledger = some_stores:Store", "broken = broken_store:Store")
    with pytest.raises(SyncerError) as caught:
        open_syncer("ledger:here?password=" + "hunter" + "2", fails=True)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(SyncerError) as caught:
        open_syncer("ledger:here", fails=True)
    assert isinstance(caught.value.__cause__, ValueError)


def test_passwords_are_in_no_traceback_of_an_import(package, tmp_path):
    package("some", "broken = broken_store:Store")
    secret = "hunter" + "2"
    (tmp_path / "packages" / "broken_store.py").write_text(
        f"try:\n    raise OSError('://u:' + {secret[:-1]!r} + '2@host')\nexcept OSError:\n    raise ValueError('no')"
    )
    with pytest.raises(SyncerError, match="cannot be imported: ValueError: no") as caught:
        open_syncer("broken:x")
    assert secret not in "".join(traceback.format_exception(caught.value))
