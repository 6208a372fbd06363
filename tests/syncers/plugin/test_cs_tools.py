"""Folders in the manner of the plug-ins of cs_tools: loaded, opened by URL and written to on the command line."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from datastoresync import Branch, Object, Tree
from datastoresync.__main__ import main
from datastoresync.app import App, SyncerReader, SyncerWriter
from datastoresync.errors import ManifestError
from datastoresync.syncers import load_syncer, open_syncer

sqlalchemy = pytest.importorskip("sqlalchemy")
pytest.importorskip("pydantic")
FOLDERS = Path(__file__).parent / "cs_tools_folders"
VERSIONS = ["v1_3", "v1_4", "v1_5", "v1_6"]
USERS = [{"idnumber": "1", "name": "Ann", "mail": None}, {"idnumber": "2", "name": "Bob", "mail": "b|x"}]
pytestmark = [
    pytest.mark.filterwarnings("ignore:Support for `__post_init_post_parse__`:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic V1 style `@(root_)?validator`"),
]


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def folder(tmp_path, version):
    return shutil.copytree(FOLDERS / version, tmp_path / version, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def place(tmp_path):
    """Where the store keeps its tables."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.fixture
def options(version, place):
    """The options of the store, as texts."""
    if version in ("v1_3", "v1_5"):
        return {"directory": str(place)}
    return {"database_path": f"{place}/x.db", **({"load_strategy": "TRUNCATE"} if version == "v1_6" else {})}


@pytest.fixture
def metadata():
    found = sqlalchemy.MetaData()
    columns = [sqlalchemy.Column(name, sqlalchemy.Text) for name in ("idnumber", "name", "mail")]
    sqlalchemy.Table("users", found, *columns)
    return found


def url_of(folder, options):
    return f"plugin:{folder}?" + "&".join(f"{name}={value}" for name, value in options.items())


def stored(place, version):
    """Return what a store holds, without asking it."""
    if version == "v1_3":
        with (place / "tables" / "users.txt").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="|"))
        return [{name: None if value == "-" else value for name, value in row.items()} for row in rows]
    if version == "v1_5":
        return [json.loads(line) for line in (place / "users.jsonl").read_text(encoding="utf-8").splitlines()]
    connection = sqlite3.connect(place / "x.db")
    try:
        rows = connection.execute("select idnumber, name, mail from users order by 1").fetchall()
    finally:
        connection.close()
    return [dict(zip(("idnumber", "name", "mail"), row, strict=True)) for row in rows]


def closed(store):
    close = getattr(store, "close", None) or getattr(getattr(store, "cnxn", None), "close", lambda: None)
    close()


@pytest.mark.parametrize("way", ["load_syncer", "definition", "URL"])
def test_a_folder_of_each_version_is_loaded(folder, version, options, place, metadata, way, tmp_path):
    if way == "load_syncer":
        store = load_syncer(folder, options, metadata=metadata)
    elif way == "definition":
        lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
        text = "\n".join([f'manifest = "{folder}/MANIFEST.json"', "[configuration]", *lines])
        (tmp_path / "definition.toml").write_text(text, encoding="utf-8")
        store = load_syncer(folder, tmp_path / "definition.toml", metadata=metadata)
    else:
        store = open_syncer(url_of(folder, options), metadata=metadata)
    assert store.name == json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))["name"]
    for data in (USERS, USERS[1:], USERS):
        store.dump("users", data=data)
        assert stored(place, version) == data
        assert store.load("users") == data
    closed(store)


class User(Object):
    name: str
    mail: str | None = None


class People(Tree):
    users = Branch(User)


def test_a_tree_follows_another_into_each(folder, version, options, place, metadata):
    source, dest = People(), load_syncer(folder, options, metadata=metadata)
    for user in USERS:
        source.users.new(**user)
    dest.dump("users", data=[{"idnumber": "2", "name": "Bo", "mail": "b|x"}])
    assert (source >> +People(syncer=dest)).ok
    assert sorted(stored(place, version), key=lambda row: row["idnumber"]) == USERS
    assert not source - +People(syncer=dest)
    closed(dest)


def test_the_command_line_copies_into_each_and_back(folder, version, options, place, tmp_path, monkeypatch, capsys):
    def command(*argv):
        monkeypatch.setattr(sys, "argv", ["datastoresync", *argv])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code, capsys.readouterr().err) == (0, "")

    users = [{"idnumber": "1", "name": "Ann", "mail": "a"}, {"idnumber": "2", "name": "Bob", "mail": "b|x"}]
    (tmp_path / "users.json").write_text(json.dumps(users), encoding="utf-8")
    url = url_of(folder, options)
    for _ in range(2):
        command("--from", f"json:{tmp_path}/users.json", "--to", url)
        assert sorted(stored(place, version), key=lambda row: row["idnumber"]) == users
    command("--from", url, "--tables", "users", "--to", f"json:{tmp_path}/back")
    assert json.loads((tmp_path / "back" / "users.json").read_text(encoding="utf-8")) == users


@pytest.mark.parametrize("version", ["v1_3", "v1_5"])
def test_a_dump_that_looks_at_the_first_row_finds_its_columns_in_all(folder, version, options, place, tmp_path):
    store = load_syncer(folder, options)
    store.dump("users", data=[{"idnumber": "2", "name": "Bo", "mail": "b", "phone": "555"}])
    (tmp_path / "users.csv").write_text("idnumber,name,mail\n1,Ann,a\n2,Bob,b\n", encoding="utf-8")
    parts = ["--from", f"csv:{tmp_path}/users.csv", "--to", url_of(folder, options)]
    assert App(SyncerReader(), SyncerWriter()).run(parts).ok
    assert sorted(stored(place, version), key=lambda row: row["idnumber"]) == [
        {"idnumber": "1", "name": "Ann", "mail": "a", "phone": None},
        {"idnumber": "2", "name": "Bob", "mail": "b", "phone": "555"},
    ]


def test_each_hook_of_a_model_is_called_once_and_in_order(place):
    assert load_syncer(FOLDERS / "v1_5", {"directory": str(place)})._made == ["model_post_init", "__finalize__"]


def test_two_databases_are_told_of_their_own_tables_only(tmp_path, metadata):
    for name, columns in (("one", "idnumber text, name text"), ("other", "number integer")):
        with sqlite3.connect(tmp_path / name) as connection:
            connection.execute(f"create table users ({columns})")
        connection.close()
    one = load_syncer(FOLDERS / "v1_4", {"database_path": f"{tmp_path}/one"})
    other = open_syncer(f"plugin:{FOLDERS}/v1_4?database_path={tmp_path}/other")
    made = load_syncer(FOLDERS / "v1_4", {"database_path": f"{tmp_path}/made"}, metadata=metadata)
    assert [list(store.metadata.tables["users"].columns.keys()) for store in (one, other, made)] == [
        ["idnumber", "name"],
        ["number"],
        ["idnumber", "name", "mail"],
    ]
    for store in (one, other, made):
        store.cnxn.close()


def test_a_database_by_a_base_of_its_own_gets_its_tables(plugin, tmp_path, metadata):
    code = """
    import pydantic
    import sqlalchemy as sa

    class DatabaseSyncer(pydantic.BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        metadata: sa.MetaData = sa.MetaData()
        _engine: sa.engine.Engine = None

        @property
        def engine(self):
            return self._engine

    class Store(DatabaseSyncer):
        name: str = "store"
        path: str

        def model_post_init(self, context):
            self._engine = sa.create_engine(f"sqlite:///{self.path}")

        def load(self, identifier):
            with self.engine.connect() as connection:
                return [dict(row) for row in connection.execute(self.metadata.tables[identifier].select()).mappings()]

        def dump(self, identifier, *, data):
            with self.engine.begin() as connection:
                connection.execute(self.metadata.tables[identifier].insert(), data)
    """
    folder = plugin(code, methods=False)
    store = load_syncer(folder, {"path": f"{tmp_path}/x.db"}, metadata=metadata)
    store.dump("users", data=USERS)
    assert stored(tmp_path, "v1_6") == USERS
    again = open_syncer(f"plugin:{folder}?path={tmp_path}/x.db")
    assert again.load("users") == USERS
    for each in (store, again):
        each.engine.dispose()


def test_a_syncer_of_the_base_is_closed(tmp_path, metadata):
    store = load_syncer(FOLDERS / "v1_6", {"database_path": f"{tmp_path}/x.db"}, metadata=metadata)
    store.dump("users", data=USERS)
    store.dump("users", data=USERS[:1])
    assert len(store.load("users")) == 3, "it appends, unless it is told otherwise"
    session = store.session
    assert session.in_transaction()
    store.close()
    assert not session.in_transaction()


def test_a_dump_that_appends_cannot_follow_a_tree_and_is_found_out(tmp_path, metadata):
    source = People()
    for user in USERS:
        source.users.new(**user)
    dest = load_syncer(FOLDERS / "v1_6", {"database_path": f"{tmp_path}/x.db"}, metadata=metadata)
    dest.dump("users", data=USERS[:1])
    report = source >> +People(syncer=dest)
    besides, unread = report.warnings
    assert besides == "table 'users' has 1 row that nobody has written: the first is idnumber '1'"
    assert unread.startswith("users could not be read again, so what else the store did is not known: ")
    assert not report.ok
    assert len(stored(tmp_path, "v1_6")) == 3
    dest.close()


# --- what cannot be called, or is not there ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("from pydantic import BaseSettings, ConfigDict", r"BaseSettings.*pydantic 1, import from pydantic.v1"),
        ("from cs_tools.thoughtspot import ThoughtSpot", r"no 'ThoughtSpot' in what stands in for it: only SyncerProt"),
        ("from cs_tools.sync import utils", "cs_tools is not installed, and there is no 'utils'"),
        ("import cs_tools.sync.base as b\nb.nothing", "no 'nothing'"),
    ],
)
def test_what_no_version_here_has_is_refused_by_name(plugin, code, says):
    with pytest.raises(ManifestError, match=rf"(?s)syncer.py:\d: .*{says}"):
        load_syncer(plugin(f"{code}\nclass Store:\n    name = 'store'\n"))


SHIPPED = pytest.mark.skipif(sys.version_info >= (3, 14), reason="pydantic.v1 is for Python up to 3.13")
PYDANTIC_1 = """
from typing import Dict, List, Optional

import pydantic
from cs_tools.sync.protocol import SyncerProtocol
from pydantic import BaseModel, Extra, Field, PrivateAttr, root_validator, validator
from pydantic.dataclasses import dataclass as model
from pydantic.fields import ModelField

from settings import Settings


class Config:
    arbitrary_types_allowed = True
    validate_assignment = True
    extra = Extra.forbid


class Inner(BaseModel):
    path: Optional[str]
    sizes: List[int] = Field([], max_items=3)
    _seen: Dict[str, list] = PrivateAttr(default_factory=dict)

    class Config:
        fields = {"path": "directory"}

    @validator("sizes", each_item=True)
    def positive(cls, size, values, field: ModelField, config):
        if size < 1:
            raise ValueError(f"{field.name} must be positive")
        return size


@model(config=Config)
class Store(SyncerProtocol):
    directory: str
    code: pydantic.constr(regex="[a-z]+") = "a"
    batch: str = 5
    name: str = "store"

    @root_validator(pre=True)
    def trimmed(cls, values):
        return {key: value.strip() if isinstance(value, str) else value for key, value in values.items()}

    @root_validator
    def checked(cls, values):
        if values.get("code") == "no":
            raise ValueError("no such code")
        return values

    @validator("code", always=True)
    def lower(cls, code, values):
        return code.lower() if values["directory"] else code

    def __post_init_post_parse__(self):
        object.__setattr__(self, "inner", Inner(directory=self.directory, sizes=["1", 2]))
        object.__setattr__(self, "mode", Settings().mode)

    def load(self, identifier):
        return self.inner._seen[identifier]

    def dump(self, identifier, *, data):
        self.inner._seen[identifier] = list(data)
"""
SETTINGS = """
import pydantic

class Settings(pydantic.BaseSettings):
    mode: str = "fast"

    class Config:
        env_prefix = "STORE_"
"""


@SHIPPED
def test_a_folder_in_the_words_of_pydantic_1_gets_it(plugin, monkeypatch):
    folder = plugin(PYDANTIC_1, methods=False)
    (folder / "settings.py").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.setenv("STORE_MODE", "slow")
    for store in (load_syncer(folder, {"directory": " x "}), open_syncer(f"plugin:{folder}?directory=x&code=a")):
        assert (store.directory, store.batch, store.mode) == ("x", "5", "slow")
        assert (store.inner.path, store.inner.sizes) == ("x", [1, 2])
        store.dump("users", data=USERS)
        assert store.load("users") == USERS
    assert load_syncer(folder, {"directory": "x", "batch": 7}).batch == "7"
    for options, says in (({"code": "no"}, "no such code"), ({"code": "1"}, "match regex"), ({"nam": "x"}, "'name'")):
        with pytest.raises(ManifestError, match=says):
            load_syncer(folder, {"directory": "x", **options})


@SHIPPED
@pytest.mark.parametrize(("requirement", "met"), [("pydantic >= 1.9, < 2", True), ("pydantic<1.5", False)])
def test_a_manifest_that_requires_pydantic_1_gets_that_in_pydantic_2(plugin, requirement, met):
    code = """
    import pydantic
    import pydantic.dataclasses as made
    version = pydantic.VERSION

    @made.dataclass
    class Store:
        batch: str
        name: str = "store"
    """
    folder = plugin(code)
    assert type(load_syncer(folder, {"batch": "7"})).load.__globals__["version"].startswith("2.")
    manifest = {"name": "store", "syncer_class": "Store", "requirements": [requirement]}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest), encoding="utf-8")
    if met:
        store = load_syncer(folder, {"batch": 7})
        assert (store.batch, type(store).load.__globals__["version"][:2]) == ("7", "1.")
    else:
        with pytest.raises(ManifestError, match=r"pydantic<1.5: it is 2.*pip install 'pydantic<1.5'"):
            load_syncer(folder, {"batch": 7})


def test_words_of_pydantic_2_beside_those_that_both_have_mean_pydantic_2(plugin):
    code = """
    from pydantic import Field, validator
    from pydantic.dataclasses import dataclass

    @dataclass
    class Store:
        code: str = Field(pattern="[a-z]")
        name: str = "store"

        @validator("code")
        def small(cls, code):
            return code.lower()
    """
    with pytest.raises(ManifestError, match="String should match pattern"):  # pydantic 1 would pass over it
        load_syncer(plugin(code), {"code": "1"})


def test_a_validator_that_pydantic_2_does_not_take_is_refused_by_name_where_both_are_used(plugin):
    code = """
    from pydantic import ConfigDict, root_validator
    from pydantic.dataclasses import dataclass

    @dataclass
    class Store:
        name: str = "store"

        @root_validator
        def checked(cls, values):
            return values
    """
    with pytest.raises(ManifestError, match=r"(?s)root_validator.*import from pydantic.v1 instead of pydantic"):
        load_syncer(plugin(code))


def test_a_file_of_the_folder_comes_before_what_stands_in(plugin):
    folder = plugin("from cs_tools import Store\nclass Store(Store):\n")
    (folder / "cs_tools.py").write_text("class Store:\n    name = 'its own'\n", encoding="utf-8")
    assert load_syncer(folder).name == "its own"


def test_definitions_that_cannot_be_read_are_refused(plugin, tmp_path):
    folder = plugin("class Store:\n    name = 'store'\n")
    (tmp_path / "x.toml").write_text("[configuration", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"x.toml: it is not TOML in UTF-8: Expected"):
        load_syncer(folder, tmp_path / "x.toml")
    with pytest.raises(ManifestError, match=r"y.toml: it cannot be read"):
        load_syncer(folder, tmp_path / "y.toml")
    (tmp_path / "x.toml").write_text("configuration = 1", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"x.toml: it must hold an object"):
        load_syncer(folder, tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("requirements", "says"),
    [
        (["surely-not-installed >= 1", "--no-deps"], r"pip install --no-deps 'surely-not-installed >= 1'"),
        (["surely-not-installed>=1 --no-deps"], r"pip install --no-deps 'surely-not-installed>=1'"),
        (["attrs", "--index-url=http://elsewhere"], r"'--index-url=http://elsewhere' is not understood"),
        (["attrs", "--no-deps", "x y"], r"the requirement 'x y' is not understood"),
    ],
)
def test_options_of_pip_say_how_to_install_and_nothing_else(plugin, requirements, says):
    folder = plugin("class Store:\n    name = 'store'\n")
    manifest = {"name": "store", "syncer_class": "Store", "requirements": requirements}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ManifestError, match=says):
        load_syncer(folder)
