"""Databases for tests of syncers: each that can be had here, and a stand-in for Snowflake."""

from __future__ import annotations

import importlib.util
import json
import sys
import textwrap
import types
import warnings
from decimal import Decimal

import pytest
from changes_by_key import same

from datastoresync.syncers.changes import WriteOptions

collect_ignore = ["plugin/cs_tools_folders"]
"""What is loaded by the tests, as plug-ins."""
GOING_ON = WriteOptions(on_error="continue")


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def server_url(request, tmp_path):
    """The URL of a fresh, empty database, of each kind that can be had here."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return request.getfixturevalue("database" if request.param == "postgresql" else "mariadb")


@pytest.fixture
def store(server_url, execute):
    """Runs statements, changes, and queries that look at the outcome without our own reading, in each kind."""
    from datastoresync.syncers.sql.syncer import SQLSyncer

    with SQLSyncer(server_url) as syncer:

        class Store:
            url = server_url

            def make(self, *statements):
                execute(server_url, *statements)

            def apply(self, *changes, options=GOING_ON):
                return syncer.apply_changes(changes, same=same, options=options)

            def rows(self, query="select * from things order by 1"):
                return [tuple(row) for row in execute(server_url, query)]

        yield Store()


@pytest.fixture
def snowflake(monkeypatch):
    """The URL of what fakesnow gives for a Snowflake: a stand-in on top of DuckDB, empty, and gone with the test."""
    pytest.importorskip("snowflake.sqlalchemy")
    for name, content in (("converter", "SnowflakeConverter"), ("file_util", "SnowflakeFileUtil")):
        module = f"snowflake.connector.{name}"
        if (
            importlib.util.find_spec(module) is None
        ):  # gone since version 5 of the connector; fakesnow still asks for it
            made = types.ModuleType(module)
            setattr(made, content, _Literals)
            monkeypatch.setitem(sys.modules, module, made)
            monkeypatch.setattr(sys.modules["snowflake.connector"], name, made, raising=False)
    fakesnow = pytest.importorskip("fakesnow")
    monkeypatch.setattr("fakesnow.cursor.describe_as_result_metadata", _described)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # DuckDB has found a better way to do what fakesnow does
        with fakesnow.patch():
            yield "snowflake://user:secret@account/school/public"


class _Literals:
    """Writes parameters into a statement, as the connector did it up to its version 4."""

    def to_snowflake(self, value):
        return value

    def escape(self, value):
        return value

    def quote(self, value):
        if value is None:
            return "NULL"
        if isinstance(value, (bool, int, float, Decimal)):
            return str(value)
        if isinstance(value, bytes):
            return f"X'{value.hex()}'"
        text = str(value).replace("\\", "\\\\").replace("'", "\\'")
        return f"'{text}'"


def _described(results):
    """Describe the columns of a result as PEP 249 has it."""
    from fakesnow.rowtype import describe_as_rowtype

    return [(column["name"], column["type"], None, None, None, None, True) for column in describe_as_rowtype(results)]


@pytest.fixture
def plugin(tmp_path):
    """Write a folder with a syncer whose class is called Store, and return it; it gets a ``load`` and a ``dump``."""

    def write(code, *, methods=True):
        folder = tmp_path / f"store{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "MANIFEST.json").write_text(json.dumps({"name": "store", "syncer_class": "Store"}))
        plain = "    def load(self, identifier): return []\n    def dump(self, identifier, *, data): pass\n"
        (folder / "syncer.py").write_text(textwrap.dedent(code).rstrip() + "\n" + plain * methods)
        return folder

    return write
