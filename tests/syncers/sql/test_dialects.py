"""Dialects: each knows its database alone, and adding one is a module with a name in one list."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest
import sqlalchemy as sa

from datastoresync.errors import MissingDependencyError
from datastoresync.syncers import sql
from datastoresync.syncers.sql import dialects
from datastoresync.syncers.sql.dialects import DIALECTS, Dialect, dialect_of
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.syncers.sql.translate_errors import concerns_store, locked

NAMES = re.compile(
    "postgres|mysql|mariadb|sqlite|snowflake|mssql|oracle|duckdb|psycopg|pg8000|asyncpg|innodb", re.IGNORECASE
)
FOLDER = Path(str(sql.__file__)).parent


def named(source: str) -> list[tuple[int, str]]:
    """Return the literals, and the names that are imported, in which a dialect is named, by their lines."""
    tree = ast.parse(source)
    # A string that is a statement is a docstring, of a module, class or function, or of what stands above it.
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            found.append((node.lineno, node.value))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or ""
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return [(line, text) for line, text in found if NAMES.search(text)]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_no_dialect_is_named_outside_of_its_module(path):
    assert named(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((FOLDER / "dialects").glob("*.py")), ids=lambda path: path.stem)
def test_no_dialect_names_another(path):
    own = {
        "__init__": DIALECTS.keys(),
        "postgresql": {"postgres", "psycopg"},
        "mysql": {"mariadb", "innodb"},
        "sqlserver": {"mssql"},
    }.get(path.stem, set())
    texts = [text.lower() for _, text in named(path.read_text(encoding="utf-8"))]
    assert [text for text in texts if not any(name in text for name in (path.stem, *own))] == []


def test_the_test_finds_names_and_leaves_docstrings_alone():
    source = '''
    """PostgreSQL."""
    from sqlalchemy.dialects import mysql
    KIND = "x"
    """SQLite."""
    def same(dialect):
        """MariaDB."""
        return f"{dialect}" == "sqlite"
    '''
    assert named(textwrap.dedent(source)) == [(3, "sqlalchemy.dialects.mysql"), (8, "sqlite")]


def test_each_dialect_is_known_by_its_name():
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {name: name for name in DIALECTS}
    assert repr(DIALECTS["mariadb"]) == "MariaDB('mariadb')"


def test_a_server_is_spoken_to_as_what_it_is():
    found = sa.create_engine("mysql+pymysql://db").dialect
    assert dialect_of(found) is DIALECTS["mysql"]
    found.is_mariadb = True
    assert dialect_of(found) is DIALECTS["mariadb"]
    assert dialect_of(sa.create_engine("sqlite://").dialect) is DIALECTS["sqlite"]


def test_an_unknown_database_is_spoken_to_as_any(tmp_path):
    found = sa.create_engine(f"sqlite:///{tmp_path / 'store.db'}").dialect
    found.name = "another"
    assert type(dialect_of(found)) is Dialect
    assert dialect_of(found).name == "another"


@pytest.fixture
def register(monkeypatch):
    """Register a dialect, as its module and its name in the list would do it."""

    def register(dialect):
        monkeypatch.setitem(DIALECTS, dialect.name, dialect)

    return register


class Shouting(DIALECTS["sqlite"].__class__):
    """A database that holds capitals only, and has its own numbers for errors."""

    busy = re.compile("error 77")
    broken = re.compile("error 7.")

    def encoders(self, kind):
        return super().encoders(kind) | {sa.String: lambda value: str(value).upper()}

    def limits(self, kind):
        return frozenset(), None


def test_a_dialect_is_added_in_one_place(register, tmp_path):
    register(Shouting("shouting"))
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    engine.dialect.name = "shouting"
    with SQLSyncer(engine) as syncer:
        syncer.dump("users", data=[{"id": 1, "name": "ann"}])
        assert syncer.load("users") == [{"id": 1, "name": "ANN"}]
        assert syncer.upsert("users", data=[{"id": 1, "name": "bob"}], key="id") == 1
        assert syncer.load("users") == [{"id": 1, "name": "BOB"}]
        assert syncer.normalized("x") == "X"
    engine.dispose()
    error = sa.exc.OperationalError("", {}, RuntimeError(77, "somebody else is shouting"))
    assert locked(error)
    assert concerns_store(error)
    assert not locked(sa.exc.OperationalError("", {}, RuntimeError(78, "hoarse")))


def test_a_dialect_brings_its_driver_and_what_installs_it(register):
    class Made(Dialect):
        driver = "madeup+nothing"
        schemes = ("made",)
        extra = "madeup"

    register(Made("madeup"))
    for url in ("made://db", "madeup://db"):
        with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[madeup\]'"):
            SQLSyncer(url).load("users")


def test_the_modules_are_those_in_the_folder():
    modules = {path.stem for path in (FOLDER / "dialects").glob("*.py")} - {"__init__", "base"}
    assert set(dialects._MODULES) == modules
