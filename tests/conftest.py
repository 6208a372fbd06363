"""Databases for tests: SQLite files, and a PostgreSQL and a MariaDB that are started once."""

from __future__ import annotations

import csv
import gc
import logging
import os
import signal
import tempfile
from pathlib import Path

import database_servers
import profiles
import pytest
import structlog
from _pytest.doctest import DoctestModule
from hypothesis import is_hypothesis_test

_FOLDER = pytest.StashKey[Path]()
_LONGEST_FIELD = csv.field_size_limit()


def pytest_configure(config):
    """Name one folder for the servers of all workers."""
    given = getattr(config, "workerinput", {}).get("database_servers")
    config.stash[_FOLDER] = Path(given) if given else database_servers.new_folder()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell a worker of pytest-xdist its name."""
    node.workerinput["database_servers"] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config):
    """Stop the servers once the last worker is done."""
    if not hasattr(config, "workerinput"):
        database_servers.stop(config.stash[_FOLDER])


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Look for no examples in docstrings of tests, which takes a second of each worker."""
    found = yield
    return [one for one in found if not isinstance(one, DoctestModule)]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow what needs a program that takes its time, and let coverage rest where it has been counted."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("browser", "full_postgresql", "mariadb", "redis", "spark")):
            item.add_marker("slow")
        elif is_hypothesis_test(item.obj) and not profiles.is_quick() and not item.get_closest_marker("slow"):
            item.add_marker("no_cover")  # the quick run counts the lines of the law, which has more examples here


def pytest_runtest_setup():
    """Give fields of CSV files their limit back, which the program raises for its process."""
    csv.field_size_limit(_LONGEST_FIELD)


def pytest_collection_finish():
    """Spare the collector what stays until the end: ten thousand tests, and the modules that they are in."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _temporary_folder(tmp_path_factory):
    """Give each worker a temporary folder, as stores with load and dump alone lock their names in it."""
    tmp_path_factory.getbasetemp()  # which is to outlive this one
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o1777)
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture
def ctrl_c():
    """Presses Ctrl-C when called; it does what it does in a fresh interpreter, also in processes that the test starts.

    In a shell's background it is ignored, as SIGHUP is under nohup, and Spark handles it once it has run.
    """
    fresh = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in fresh.items()}
    yield lambda: signal.raise_signal(signal.SIGINT)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def postgresql(pytestconfig, worker_name):
    """The URL of a database of this process in a real PostgreSQL."""
    import sqlalchemy

    folder = pytestconfig.stash[_FOLDER]
    url = database_servers.postgresql(folder)
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with database_servers.locked(folder, "postgresql", alone=False), engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE tests_{worker_name}")
    return url.set(database=f"tests_{worker_name}").render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def worker_name():
    """What this process is called among the workers of pytest-xdist, for what they must not share."""
    return os.environ.get("PYTEST_XDIST_WORKER", "alone")


@pytest.fixture
def database(request, postgresql):
    """The URL of a PostgreSQL database that is empty, and that nobody is connected to."""
    import sqlalchemy

    alone = request.node.get_closest_marker("alone") is not None
    engine = sqlalchemy.create_engine(postgresql, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with database_servers.locked(request.config.stash[_FOLDER], "postgresql", alone=alone):
        with engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            for schema in sqlalchemy.inspect(connection).get_schema_names():
                if schema != "information_schema":
                    quoted = connection.dialect.identifier_preparer.quote(schema)
                    connection.exec_driver_sql(f"DROP SCHEMA {quoted} CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        yield postgresql


@pytest.fixture
def reader(database, execute, worker_name):
    """The name of a role in PostgreSQL that may do nothing in the database yet; all databases have the same roles."""
    name = f"reader_{worker_name}"
    execute(database, f"DROP ROLE IF EXISTS {name}", f"CREATE ROLE {name}")
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """The URL of a fresh, empty database: a file of SQLite, and a PostgreSQL."""
    if request.param == "sqlite":
        import sqlite3

        path = tmp_path / "store.db"
        sqlite3.connect(path).close()
        return f"sqlite:///{path}"
    return request.getfixturevalue("database")


@pytest.fixture
def execute():
    """Runs statements on a database, each as it is, through a connection of its own; gives the rows of the last."""
    import sqlalchemy

    def run(url, *statements):
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            results = [
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
                for statement in statements
            ]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []

    return run


@pytest.fixture
def full_postgresql(pytestconfig, worker_name):
    """The URL of a database of this process in a PostgreSQL with all extensions and collations, which is empty."""
    import sqlalchemy

    url, name = database_servers.full_postgresql(pytestconfig.stash[_FOLDER]), f"full_{worker_name}"
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def mariadb(pytestconfig, worker_name):
    """The URL of a database of this process in a real MariaDB, which is empty."""
    import sqlalchemy

    url, name = database_servers.mariadb(pytestconfig.stash[_FOLDER]), f"school_{worker_name}"
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        # As servers often are: with a collation that takes a for A.
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    return url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session", autouse=True)
def _quiet_structlog():
    """Keep what models log out of the output of examples: structlog prints everything unless it is configured."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
