"""The tables of PostgreSQL that the benchmarks compare."""

import contextlib
import sys

from common import ROOT

sys.path.insert(0, str(ROOT / "examples"))

from postgresql import postgresql

__all__ = ["fill", "generate", "postgresql", "version"]

_TABLE = (
    "create table {} (idnumber text primary key, name text not null, email text not null, department text not null, "
    "level integer not null, active boolean not null, since date not null)"
)
_ROWS = (
    "insert into {} select 'u' || lpad(n::text, 9, '0'), 'Person Number ' || n, 'person.' || n || '@school.example', "
    "'department ' || n % 97, n * 7919 % 100003, n * 31 % 7 % 2 = 1, date '1990-01-01' + (n * 17 % 12000)::integer "
    "from generate_series({}::bigint, {}) n"
)


@contextlib.contextmanager
def _connected(url):
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def _ready(connection, name):
    connection.execute(f"vacuum analyze {name}")
    connection.execute("checkpoint")


def fill(url, **paths):
    """Make tables of CSV files."""
    with _connected(url) as connection:
        for name, path in paths.items():
            connection.execute(f"drop table if exists {name}")
            connection.execute(_TABLE.format(name))
            with (
                connection.cursor().copy(f"copy {name} from stdin (format csv, header)") as copy,
                path.open("rb") as file,
            ):
                while block := file.read(1 << 20):
                    copy.write(block)
            _ready(connection, name)


def generate(url, name, rows, *, changed=0, moved=0):
    """Make a table in the database itself.

    Args:
        url: Where.
        name: What it is called.
        rows: How many rows it has.
        changed: How many of them have another department, spread over the table.
        moved: How many rows are missing, spread over the table, and as many others are at its end.
    """
    with _connected(url) as connection:
        connection.execute(f"drop table if exists {name}")
        connection.execute(_TABLE.format(name))
        connection.execute(_ROWS.format(name, 0, rows - 1))
        keys = [f"u{number * (rows // (changed + moved)):09d}" for number in range(changed + moved)] if changed else []
        update = f"update {name} set department = department || ' (changed)' where idnumber = any(%s)"
        connection.execute(update, [keys[:changed]])
        connection.execute(f"delete from {name} where idnumber = any(%s)", [keys[changed:]])
        connection.execute(_ROWS.format(name, rows, rows + moved - 1))
        _ready(connection, name)


def version(url):
    """Return the version of the server."""
    with _connected(url) as connection:
        return connection.execute("show server_version").fetchone()[0]
