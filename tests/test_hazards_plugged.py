"""What goes wrong with a syncer that is plugged in, and what must happen; each test is a situation."""

from __future__ import annotations

import json
import sys
import textwrap
import traceback

import pytest

from datastoresync import Branch, Link, Object, Table, Tree
from datastoresync.errors import DatastoreSyncError, ManifestError, SyncerError
from datastoresync.syncers import Syncer, load_syncer

MEMORY = """
    from dataclasses import dataclass, field

    @dataclass
    class Memory:
        label: str = "m"
        name: str = "memory"
        tables: dict = field(default_factory=dict)

        def load(self, identifier):
            return self.tables[identifier]

        def dump(self, identifier, *, data):
            self.tables[identifier] = list(data)
"""
PLAIN = {"name": "memory", "syncer_class": "Memory"}
RAN = "raise AssertionError('the code ran')"


@pytest.fixture
def plugin(tmp_path):
    """Write a folder with a syncer and return it; further files by their names."""

    def write(code=MEMORY, manifest=PLAIN, folder="memory", files=()):
        place = tmp_path / folder
        place.mkdir(parents=True)
        (place / "syncer.py").write_text(textwrap.dedent(code), encoding="utf-8")
        if manifest is not None:
            text = manifest if isinstance(manifest, (str, bytes)) else json.dumps(manifest)
            content = text if isinstance(text, bytes) else text.encode()
            (place / "MANIFEST.json").write_bytes(content)
        for name, text in dict(files).items():
            file = place / f"{name}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
        return place

    return write


def refusal(folder, *arguments, **options):
    """Return the error that a folder is refused with, after looking that it names its file."""
    with pytest.raises(ManifestError) as caught:
        load_syncer(folder, *arguments, **options)
    assert str(caught.value).startswith(f"{caught.value.path}: ")
    assert isinstance(caught.value, (SyncerError, DatastoreSyncError))
    return caught.value


# --- the manifest ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (None, "there is no such file: the folder must hold MANIFEST.json and syncer.py"),
        ("", "not JSON: line 1, column 1"),
        ("{not json", "not JSON: line 1, column 2"),
        ('{"name": "m",\n}', "not JSON: line [12], column "),  # Python 3.13 names the comma
        ("[]", "holds a list, and must be an object"),
        ("null", "holds a NoneType"),
        ("[" * 100_000, "brackets are too deep"),
        (b'{"name": "\xff"}', r"not in UTF-8 \(byte 11\)"),
        ('{"name": "a", "name": "b", "syncer_class": "Memory"}', "key 'name' stands there twice"),
        ({"name": "memory"}, "lacks 'syncer_class'"),
        ({"syncer_class": "Memory"}, "lacks 'name'"),
        ({"name": "memory", "syncer_clas": "Memory"}, "no key 'syncer_clas': did you mean 'syncer_class'?"),
        (PLAIN | {"requirement": ["x"]}, "no key 'requirement': did you mean 'requirements'?"),
        ({"name": "", "syncer_class": "Memory"}, r"'name' must be a text \(it is ''\)"),
        ({"name": 7, "syncer_class": "Memory"}, r"'name' must be a text \(it is 7\)"),
        ({"name": "m", "syncer_class": ["Memory"]}, "'syncer_class' must be a text"),
        (PLAIN | {"requirements": "sqlalchemy"}, "'requirements' must be a list of texts"),
        (PLAIN | {"requirements": [1]}, "'requirements' must be a list of texts"),
    ],
)
def test_a_wrong_manifest_is_refused_by_name_before_any_code_runs(plugin, manifest, says):
    folder = plugin(RAN, manifest)
    error = refusal(folder)
    assert error.path == str(folder / "MANIFEST.json")
    with pytest.raises(ManifestError, match=says):
        load_syncer(folder)


@pytest.mark.parametrize("name", ["../other", "/etc", "a/b", "a\\b", "..", ".", "C:\\x", "a\0b", "a\nb", " ", "~"])
@pytest.mark.parametrize("key", ["name", "syncer_class"])
def test_a_path_in_a_manifest_is_refused(plugin, key, name):
    error = refusal(plugin(RAN, PLAIN | {key: name}))
    assert "not a plain name" in str(error) or "not the name of a class" in str(error)


@pytest.mark.parametrize("name", ["syncer.Memory", "other:Memory", "Memory()", "class", "__import__('os')"])
def test_a_syncer_class_is_the_name_of_a_class_and_nothing_else(plugin, name):
    assert "not the name of a class" in str(refusal(plugin(RAN, PLAIN | {"syncer_class": name})))


@pytest.mark.parametrize("name", ["memory", "my syncer", "my-syncer_2", "名前", "v1.2"])
def test_a_plain_name_is_taken(plugin, name):
    assert load_syncer(plugin(manifest=PLAIN | {"name": name})).name == "memory"


def test_a_byte_order_mark_and_keys_for_people_are_read_through(plugin):
    text = json.dumps(PLAIN | {"description": "for people", "version": 2, "requirements": None})
    assert load_syncer(plugin(manifest=b"\xef\xbb\xbf" + text.encode())).label == "m"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert "there is no such folder" in str(refusal(tmp_path / "gone"))


def test_a_file_in_place_of_the_folder_is_named(plugin):
    assert "there is no such folder" in str(refusal(plugin() / "MANIFEST.json"))


def test_a_manifest_in_small_letters_is_found_out(plugin):
    folder = plugin(manifest=None)
    (folder / "manifest.json").write_text(json.dumps(PLAIN))
    if (folder / "MANIFEST.json").exists():
        pytest.skip("this file system takes both for one")
    assert "manifest.json must be spelled so" in str(refusal(folder))


def test_a_folder_without_code_is_refused(plugin):
    folder = plugin()
    (folder / "syncer.py").unlink()
    assert refusal(folder).path == str(folder / "syncer.py")


@pytest.mark.parametrize("name", ["MANIFEST.json", "syncer.py", "__init__.py", "util.py"])
def test_a_link_that_leads_out_of_the_folder_is_refused(plugin, tmp_path, name):
    folder = plugin("import util\n" + textwrap.dedent(MEMORY), files={"util": ""})
    outside = tmp_path / name
    content = (folder / name).read_bytes() if name != "__init__.py" else b""
    outside.write_bytes(content if name == "MANIFEST.json" else RAN.encode())
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    error = refusal(folder)
    assert "link that leads out of its folder" in str(error)
    assert error.path.endswith(name)


def test_a_link_within_the_folder_and_one_to_the_folder_are_taken(plugin, tmp_path):
    folder = plugin()
    (folder / "real.py").write_bytes((folder / "syncer.py").read_bytes())
    (folder / "syncer.py").unlink()
    (folder / "syncer.py").symlink_to("real.py")
    (tmp_path / "linked").symlink_to(folder)
    assert load_syncer(tmp_path / "linked").name == "memory"


# --- the class ------------------------------------------------------------------------------------------------------

LOAD = "    def load(self, identifier): ...\n"
DUMP = "    def dump(self, identifier, *, data): ...\n"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (LOAD, r"has no method dump: write def dump\(self, identifier, \*, data\)"),
        (DUMP, r"has no method load: write def load\(self, identifier\)"),
        (DUMP + "    load = 7\n", "has no method load"),
        (LOAD + "    def dump(self, identifier): ...\n", "got an unexpected keyword argument 'data'"),
        (
            LOAD + "    def dump(self, identifier, *, records): ...\n",
            "missing a required (keyword-only )?argument: 'records'|'data'",
        ),
        (LOAD + "    def dump(self, identifier, data, /): ...\n", "cannot be called"),
        (
            LOAD + "    def dump(self, identifier, *, data, mode): ...\n",
            "missing a required (keyword-only )?argument: 'mode'|'mode'",
        ),
        (LOAD + "    def dump(identifier, *, data): ...\n", "cannot be called"),
        (DUMP + "    def load(self): ...\n", "too many positional arguments"),
        (DUMP + "    def load(self, *, identifier): ...\n", "cannot be called"),
        (
            DUMP + "    def load(self, identifier, schema): ...\n",
            "missing a required (keyword-only )?argument: 'schema'",
        ),
        (DUMP + "    async def load(self, identifier): ...\n", "async load, which is never awaited"),
        (DUMP + "    async def load(self, identifier):\n        yield 1\n", "async load"),
    ],
)
def test_a_class_that_cannot_load_or_dump_is_refused_before_it_is_made(plugin, members, says):
    folder = plugin(f"class Memory:\n    name = 'm'\n    def __init__(self):\n        {RAN}\n{members}")
    error = refusal(folder)
    assert error.path == str(folder / "syncer.py")
    with pytest.raises(ManifestError, match=says):
        load_syncer(folder)


@pytest.mark.parametrize(
    "members",
    [
        LOAD + "    def dump(self, identifier, data): ...\n",
        LOAD + "    def dump(self, identifier, **options): ...\n",
        LOAD + "    def dump(self, table, *, data, mode='w'): ...\n",
        DUMP + "    @staticmethod\n    def load(identifier): ...\n",
        DUMP + "    @classmethod\n    def load(cls, identifier): ...\n",
        DUMP + "    load = dict\n",  # some callables in C do not tell what they take
    ],
)
def test_a_class_that_can_be_called_otherwise_too_is_taken(plugin, members):
    assert isinstance(load_syncer(plugin(f"class Memory:\n    name = 'm'\n{members}")), Syncer)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (MEMORY.replace("Memory", "Memry"), "no class 'Memory', which the manifest names as syncer_class.*'Memry'"),
        ("x = 1", "no class 'Memory'.*there are none at all"),
        ("def Memory(): ...", "Memory is a function, and must be a class"),
        (f"class Memory:\n{LOAD}{DUMP}", "a Memory has no name: write name = 'memory'"),
        (f"class Memory:\n    name = None\n{LOAD}{DUMP}", "a Memory has no name"),
        (f"class Memory:\n    name = ''\n{LOAD}{DUMP}", "a Memory has no name"),
    ],
)
def test_a_class_that_is_not_there_or_has_no_name_is_said(plugin, code, says):
    folder = plugin(code)
    with pytest.raises(ManifestError, match=says):
        load_syncer(folder)


@pytest.mark.parametrize("database", ["", "    __is_database__ = True\n"])
def test_a_class_with_a_post_init_that_nothing_calls_is_found_out(plugin, database):
    code = f"class Memory:\n    name = 'm'\n{database}    def __post_init__(self):\n        self.cnxn = 1\n{LOAD}{DUMP}"
    error = str(refusal(plugin(code)))
    assert "nothing calls the __post_init__ of the class Memory" in error
    assert "write @dataclass above the class" in error
    assert ("`cnxn`" in error) == bool(database)


def test_a_post_init_that_the_class_calls_itself_is_none_of_our_business(plugin):
    code = (
        "class Memory:\n    def __init__(self):\n        self.__post_init__()\n"
        f"    def __post_init__(self):\n        self.name = 'm'\n{LOAD}{DUMP}"
    )
    assert load_syncer(plugin(code)).name == "m"


def test_fields_without_the_decorator_are_found_out_by_their_configuration(plugin):
    code = f"class Memory:\n    name = 'm'\n    path: str\n{LOAD}{DUMP}"
    assert "write @dataclass above it" in str(refusal(plugin(code), {"path": "x"}))


def test_dataclasses_of_attrs_and_pydantic_are_as_good(plugin):
    pytest.importorskip("pydantic")
    for place, head in [
        ("a", "from pydantic.dataclasses import dataclass\n@dataclass"),
        ("b", "import attrs\n@attrs.define"),
        ("c", "from pydantic import BaseModel"),
    ]:
        base = "(BaseModel)" if "BaseModel" in head else ""
        code = f"{head}\nclass Memory{base}:\n    path: str\n    name: str = 'm'\n{LOAD}{DUMP}"
        folder = plugin(code, folder=place)
        assert load_syncer(folder, {"path": "x"}).path == "x"
        assert "no option 'paht': did you mean 'path'?" in str(refusal(folder, {"paht": "x"}))


# --- requirements ---------------------------------------------------------------------------------------------------


def test_requirements_that_are_not_met_are_all_named_with_one_command_and_nothing_is_installed(plugin, monkeypatch):
    def start(*arguments, **options):
        raise AssertionError(arguments)

    monkeypatch.setattr("subprocess.Popen", start)
    monkeypatch.setattr("os.system", start)
    error = refusal(plugin(RAN, PLAIN | {"requirements": ["surely-not-installed>=9", "attrs", "attrs>=1000"]}))
    assert "surely-not-installed>=9: it is not installed" in str(error)
    assert "attrs>=1000: it is " in str(error)
    assert str(error).endswith("pip install 'surely-not-installed>=9' 'attrs>=1000'")


@pytest.mark.parametrize(
    "requirement",
    [
        "../lib",
        "/lib",
        "-r x.txt",
        "--index-url=https://x",
        "git+https://x/y",
        "x @ https://x/y",
        "a; rm -rf /",
        "",
        "a b",
    ],
)
def test_what_is_no_requirement_is_refused(plugin, requirement):
    assert "is not understood" in str(refusal(plugin(RAN, PLAIN | {"requirements": [requirement]})))


def test_a_requirement_that_is_met_or_not_meant_for_here_lets_it_pass(plugin):
    listed = ["attrs>=23.1", "sortedcontainers ~= 2.4", "surely-not-installed; python_version < '3'"]
    assert load_syncer(plugin(manifest=PLAIN | {"requirements": listed})).name == "memory"


# --- code -----------------------------------------------------------------------------------------------------------

USES = """
    {style}

    class Memory:
        name = "memory"

        def load(self, identifier):
            {late}
            return [{{"early": {early}, "late": again.WHO}}]

        def dump(self, identifier, *, data): ...
"""


@pytest.mark.parametrize(
    ("style", "early", "late"),
    [
        ("import util", "util.WHO", "import util as again"),
        ("from . import util", "util.WHO", "from . import util as again"),
        ("from util import WHO", "WHO", "from parts import util as again"),
        ("from .util import WHO", "WHO", "from .parts import util as again"),
        ("import parts.util", "parts.util.WHO", "import parts.util as again"),
        ("from util import *", "WHO", "from . import util as again"),
        (
            "import util, json",
            "util.WHO",
            "from importlib import import_module; again = import_module('.util', __package__)",
        ),
    ],
)
def test_folders_of_one_name_get_each_its_own_files(plugin, style, early, late):
    before = list(sys.path), set(sys.modules)
    syncers = []
    for who in ("first", "second"):
        files = {
            "util": f"import json\nimport deep\nWHO = ({who!r}, deep.WHO)\n",
            "deep": f"WHO = {who!r}",
            "parts/__init__": "",
            "parts/util": "from util import WHO",
        }
        folder = plugin(USES.format(style=style, early=early, late=late), folder=f"{who}/memory", files=files)
        syncers.append(load_syncer(folder))
    first, second = (syncer.load("t") for syncer in syncers)
    assert first == [{"early": ("first", "first"), "late": ("first", "first")}]
    assert second == [{"early": ("second", "second"), "late": ("second", "second")}]
    assert sys.path == before[0]
    assert {name.split(".")[0].rpartition("_")[0] for name in set(sys.modules) - before[1]} == {
        "datastoresync_plugin_memory"
    }


def test_a_file_does_not_hide_the_standard_library_nor_reach_others(plugin):
    code = "import json\nassert json.dumps\nimport attrs\nassert attrs.HERE\n" + textwrap.dedent(MEMORY)
    load_syncer(plugin(code, files={"json": "", "attrs": "HERE = True"}))
    import attrs

    assert not hasattr(attrs, "HERE")


def test_the_folder_is_a_package_whose_start_runs_first(plugin):
    code = "from . import READY\nassert READY\n" + textwrap.dedent(MEMORY)
    assert load_syncer(plugin(code, files={"__init__": "READY = True"})).name == "memory"
    assert load_syncer(plugin(MEMORY, folder="other")).name == "memory"


def test_a_folder_that_did_not_change_is_run_once_and_one_that_did_again(plugin):
    folder = plugin()
    (folder / "no_file.py").mkdir()
    first, second = load_syncer(folder), load_syncer(folder)
    assert type(first) is type(second)
    (folder / "syncer.py").write_text(textwrap.dedent(MEMORY).replace('"m"', '"changed"'))
    assert load_syncer(folder).label == "changed"
    assert first.label == "m"


def test_no_bytecode_is_written_beside_the_code(plugin, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = plugin("import util\n" + textwrap.dedent(MEMORY), files={"util": ""})
    load_syncer(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["MANIFEST.json", "syncer.py", "util.py"]


@pytest.mark.parametrize(
    ("code", "util", "says"),
    [
        ("1 / 0", "", r"syncer\.py:1: ZeroDivisionError: division by zero"),
        ("\n\nclass", "", r"syncer\.py:3: SyntaxError"),
        ("import util", "\ndef x():\n    raise KeyError('y')\nx()", r"util\.py:3: KeyError: 'y'"),
        ("import surely_not_there", "", r"syncer\.py:1: ModuleNotFoundError: .*list it in the manifest's requirements"),
        ("from . import gone", "", r"syncer\.py:1: ImportError"),
        ("from .. import gone", "", r"syncer\.py:1: ImportError"),
        ("raise SystemExit(3)", "", r"syncer\.py:1: SystemExit: 3"),
        ("from json import nothing_of_that_name", "", r"syncer\.py:1: ImportError"),
        ("import json; json.loads('{')", "", r"syncer\.py:1: JSONDecodeError"),
        (
            f"class Memory:\n    name = 'm'\n    def __init__(self):\n        int('x')\n{LOAD}{DUMP}",
            "",
            r"syncer\.py:4: ValueError: invalid literal",
        ),
    ],
)
def test_an_error_in_its_own_code_says_where_and_keeps_its_cause(plugin, code, util, says):
    folder = plugin(code, files={"util": util})
    before = set(sys.modules)
    with pytest.raises(ManifestError, match=says) as caught:
        load_syncer(folder)
    assert caught.value.__cause__ is not None
    assert caught.value.path == str(folder / "syncer.py")
    assert not {name for name in set(sys.modules) - before if "plugin" in name and "class" not in code}


def test_ctrl_c_while_it_is_imported_goes_through(plugin):
    with pytest.raises(KeyboardInterrupt):
        load_syncer(plugin("raise KeyboardInterrupt"))


# --- configuration --------------------------------------------------------------------------------------------------

NEEDS = f"""
from dataclasses import dataclass
@dataclass
class Memory:
    name: str
    path: str
    password: str
    label: str = "m"
    def __post_init__(self):
        if self.label == "raise":
            raise ValueError(f"cannot log in with {{self.password}} at {{self.path}}")
{LOAD}{DUMP}"""


def test_a_mistyped_option_is_refused_with_the_nearest_real_one_and_a_missing_one_by_name(plugin):
    folder = plugin(NEEDS)
    assert "no option 'lable': did you mean 'label'?" in str(refusal(folder, {"lable": "x"}))
    assert "no option 'xyz': there are 'name', 'path', 'password', 'label'" in str(refusal(folder, {"xyz": "x"}))
    assert "needs the options 'path', 'password'" in str(refusal(folder))
    assert "needs the option 'password'" in str(refusal(folder, {"path": "x"}))
    assert "no option 'a': there are none" in str(
        refusal(plugin(f"class Memory:\n    name = 'm'\n{LOAD}{DUMP}", folder="n"), {"a": 1})
    )


def test_a_required_name_is_the_manifests_unless_it_is_configured(plugin):
    folder = plugin(NEEDS)
    assert load_syncer(folder, {"path": "x", "password": "y"}).name == "memory"
    assert load_syncer(folder, {"path": "x", "password": "y", "name": "z"}).name == "z"


def test_a_configuration_may_be_a_file(plugin, tmp_path):
    folder = plugin(NEEDS)
    file = tmp_path / "options.json"
    file.write_text('{"path": "x", "password": "y"}')
    assert load_syncer(folder, file).path == "x"
    file.write_text("[]")
    assert refusal(folder, file).path == str(file)
    file.write_text("{")
    assert "not JSON" in str(refusal(folder, str(file)))
    assert "cannot be read" in str(refusal(folder, tmp_path / "gone.json"))


def test_a_configuration_of_another_type_is_a_slip_of_the_caller(plugin):
    with pytest.raises(DatastoreSyncError, match=r"a configuration is a mapping .* not a list"):
        load_syncer(plugin(), ["x"])


def test_passwords_are_in_no_message(plugin):
    options = {"password": "hunter2", "path": "x://ann:tops%20ecret@host", "label": "raise"}
    error = str(refusal(plugin(NEEDS), options))
    assert "ValueError: cannot log in with *** at x://ann:***@host" in error
    error = str(refusal(plugin(NEEDS, folder="n"), options | {"lable": "hunter2"}))
    assert "hunter2" not in error


def test_a_class_that_takes_any_option_gets_them_all(plugin):
    made = "    def __init__(self, **options):\n        self.options = options\n"
    code = f"class Memory:\n    name = 'm'\n{made}{LOAD}{DUMP}"
    assert load_syncer(plugin(code), {"anything": {"a": 1}}).options == {"anything": {"a": 1}}


# --- databases ------------------------------------------------------------------------------------------------------

DATABASE = """
    from dataclasses import dataclass
    import sqlalchemy as sa

    @dataclass
    class Memory:
        url: str
        password: str = ""
        name: str = "memory"
        __is_database__ = True

        def __post_init__(self):
            self.made = []
            engine = sa.create_engine(self.url)
            {setup}
            sa.event.listen(sa.schema.MetaData, "after_create", self.capture)

        def capture(self, metadata, cnxn, **options):
            self.made += sorted(metadata.tables)
            {listener}

        def load(self, identifier):
            return [dict(row) for row in self.cnxn.execute(sa.text(f"select * from {{identifier}}")).mappings()]

        def dump(self, identifier, *, data): ...
"""
CONNECTION, ENGINE = "self.cnxn = engine.connect()", "self.cnxn = engine"
BUSY = "self.cnxn = engine.connect(); self.cnxn.execute(sa.text('select 1'))"


@pytest.fixture
def metadata():
    sa = pytest.importorskip("sqlalchemy")
    metadata = sa.MetaData()
    sa.Table("users", metadata, sa.Column("guid", sa.Text, primary_key=True))
    yield metadata
    sa.schema.MetaData.dispatch._clear()


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/x.db"


@pytest.mark.parametrize("setup", [CONNECTION, ENGINE, BUSY])
def test_a_database_gets_its_tables_committed_before_the_first_call(plugin, metadata, store_url, execute, setup):
    code = DATABASE.format(setup=setup, listener="pass")
    syncer = load_syncer(plugin(code), {"url": store_url}, metadata=metadata)
    assert execute(store_url, "select guid from users") == []
    assert syncer.made == ["users"]
    if setup != ENGINE:
        assert syncer.load("users") == []
        syncer.cnxn.close()
    syncer.cnxn.engine.dispose()


def test_tables_that_are_there_stay_as_they_are(plugin, metadata, url, execute):
    execute(url, "create table users (guid text primary key)", "insert into users values ('1')")
    syncer = load_syncer(plugin(DATABASE.format(setup=CONNECTION, listener="pass")), {"url": url}, metadata=metadata)
    assert syncer.load("users") == [{"guid": "1"}]
    syncer.cnxn.close()


def test_without_metadata_a_database_gets_no_tables(plugin, metadata, url, execute):
    load_syncer(plugin(DATABASE.format(setup=ENGINE, listener="pass")), {"url": url})
    assert execute(url, "select name from sqlite_master") == []


def test_metadata_is_nothing_to_a_store_that_is_no_database(plugin, metadata):
    assert load_syncer(plugin(), metadata=metadata).name == "memory"


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ("pass", "says that it is a database, but has no cnxn"),
        ("self.cnxn = None", "has no cnxn"),
        ("self.cnxn = 7", "the cnxn of a Memory is a int: it must be an engine or a connection"),
    ],
)
def test_a_database_without_a_connection_is_refused(plugin, metadata, url, setup, says):
    folder = plugin(DATABASE.format(setup=setup, listener="pass"))
    assert says in str(refusal(folder, {"url": url}, metadata=metadata))


def test_a_database_without_a_connection_is_refused_even_if_no_tables_are_asked_for(plugin, url):
    assert "has no cnxn" in str(refusal(plugin(DATABASE.format(setup="pass", listener="pass")), {"url": url}))


def test_metadata_that_is_none_is_a_slip_of_the_caller(plugin, url):
    with pytest.raises(DatastoreSyncError, match=r"metadata must be a sqlalchemy\.MetaData .*list"):
        load_syncer(plugin(DATABASE.format(setup=ENGINE, listener="pass")), {"url": url}, metadata=[])


@pytest.mark.parametrize("setup", [CONNECTION, ENGINE])
def test_tables_that_cannot_be_made_are_an_error_without_secrets(plugin, metadata, url, setup):
    folder = plugin(DATABASE.format(setup=setup, listener="raise RuntimeError(f'{self.password} is refused')"))
    with pytest.raises(SyncerError, match=r"the tables of memory could not be made: \*\*\* is refused") as caught:
        load_syncer(folder, {"url": url, "password": "hunter2"}, metadata=metadata)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_class_that_does_not_tell_what_it_takes_is_tried(plugin):
    code = f"class Memory(dict):\n    name = 'm'\n{LOAD}{DUMP}"
    assert load_syncer(plugin(code), {"anything": 1}) == {"anything": 1}


@pytest.mark.parametrize(
    "options",
    [
        {"path": "postgresql://h/db?password=hunter2"},
        {"path": "postgresql://h/db?sslmode=x&PWD=hunter2#x"},
        {"path": "host=h password=hunter2"},
        {"path": "DRIVER=x;PWD=hunter2;"},
        {"password": "hunter2"},
        {"path": "x://ann:hunter2@host"},
    ],
)
def test_passwords_are_in_no_traceback(plugin, options):
    made = "    def __init__(self, path='', password=''):\n        raise ValueError(path + password)\n"
    error = refusal(plugin(f"class Memory:\n    name = 'm'\n{made}{LOAD}{DUMP}"), options)
    assert "***" in str(error)
    assert "hunter2" not in "".join(traceback.format_exception(error))


def test_an_error_without_secrets_is_the_cause(plugin):
    made = "    def __init__(self, path=''):\n        raise ValueError(path)\n"
    error = refusal(plugin(f"class Memory:\n    name = 'm'\n{made}{LOAD}{DUMP}"), {"path": "here"})
    assert isinstance(error.__cause__, ValueError)


class Keeping:
    """A syncer that can only load and dump."""

    name = "keeping"

    def __init__(self, **tables):
        self.tables = tables

    def load(self, identifier):
        return self.tables[identifier]

    def dump(self, identifier, *, data):
        self.tables[identifier] = list(data)


class Member(Object):
    name: str
    groups: set[str]


@pytest.mark.parametrize("object_class", [Object, Member])
def test_memberships_are_read_from_a_syncer_that_can_only_load_and_dump(object_class):
    class People(Tree):
        users = Branch(
            object_class, table=Table("people", {"name": "full"}, {"groups": Link("members", "user", "group")})
        )

    def people(members):
        rows = [{"idnumber": "1", "full": "Ann"}, {"idnumber": "2", "full": "Bob"}]
        return Keeping(people=rows, members=[{"user": "1", "group": member} for member in members])

    left, right = +People(syncer=people("ab")), +People(syncer=people(""))
    assert [(user.name, user.groups) for user in left.users.values()] == [("Ann", {"a", "b"}), ("Bob", set())]
    assert (left >> right).ok
    assert right.syncer.tables["members"] == [{"user": "1", "group": "a"}, {"user": "1", "group": "b"}]
    assert not left - +right


def test_passwords_in_what_is_nested_are_in_no_message(plugin):
    made = "    def __init__(self, options):\n        raise ValueError(str(options))\n"
    folder = plugin(f"class Memory:\n    name = 'm'\n{made}{LOAD}{DUMP}")
    error = str(refusal(folder, {"options": {"api_key": "hunter2", "host": "h"}}))
    assert "{'api_key': '***', 'host': 'h'}" in error
