"""More databases for tests of syncers: a MariaDB that is started once, and a stand-in for Snowflake."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import types
import warnings
from decimal import Decimal
from pathlib import Path

import pytest


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


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def server_url(request, tmp_path):
    """The URL of a fresh, empty database, of each kind that can be had here."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return request.getfixturevalue("database" if request.param == "postgresql" else "mariadb")


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
