"""Opening databases, and what their names and errors must not show: passwords, and the values of rows."""

from __future__ import annotations

import builtins
import sys
import traceback
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, Object, SQLImporter
from datastoresync.errors import ConversionError, DeclarationError, MissingDependencyError, SyncerError
from datastoresync.masking import without_secrets
from datastoresync.syncers.changes import Change, Table
from datastoresync.syncers.sql.syncer import SQLSyncer
from datastoresync.syncers.sql.translate_errors import concerns_store, reason_of

NOWHERE = "127.0.0.1:1"


def same(change, attribute, raw, expected):
    return raw == expected


def everything(error):
    """Return all that a log might show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hush@db.example.org:5432/school", "postgresql://ann@db.example.org:5432/school"),
        ("postgresql://ann:hush@db/school?password=hush&sslmode=require", "postgresql://ann@db/school"),
        ("postgresql://db/school?user=ann&password=hush", "postgresql://db/school"),
        ("postgresql:///school?password=hush", "postgresql:///school"),
        ("postgresql://ann:hu@sh@db/school", "postgresql://ann@db/school"),
        ("postgresql://ann:hu/sh@db/school", "postgresql://ann@db/school"),
        ("postgresql://ann:hu?sh@db/school", "postgresql://***"),
        ("postgresql://db/school?password=hu@sh", "postgresql://***"),
        ("postgresql://ann:hush/school", "postgresql://***"),
        ("postgresql://ann:hush@[::1]:5432/school", "postgresql://ann@[::1]:5432/school"),
        ("host=db password=hush", "the database"),
        ("sqlite:///a@b:c.db", "sqlite:///a@b:c.db"),
        ("sqlite://", "sqlite://"),
    ],
)
def test_a_name_is_the_url_without_its_password(url, shown):
    syncer = SQLSyncer(url)
    assert syncer.name == shown
    assert repr(syncer) == f"SQLSyncer({shown!r})"
    assert repr(SQLSyncer(url, name="school")) == f"SQLSyncer({shown!r}, name='school')"


safe = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8)


@given(password=st.text(min_size=1), mark=safe, place=st.sampled_from(["authority", "query"]))
def test_no_password_is_in_a_name(password, mark, place):
    secret = f"{password}{mark}{password}"
    where = {"authority": f"://ann:{secret}@db/school", "query": f"://db/school?password={secret}"}[place]
    assert mark not in repr(SQLSyncer(f"postgresql{where}"))


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb+pymysql", "mssql+pyodbc"])
@pytest.mark.parametrize("secret", ["hu@sh-hush", "hu/sh@hush", "a@hush?hush", "a@b@hush"])
def test_a_password_with_a_mark_of_the_url_is_not_shown_as_the_host(scheme, secret):
    with pytest.raises(SyncerError, match="special characters in the password as %40 for @") as caught:
        SQLSyncer(f"{scheme}://ann:{secret}@localhost:1/school").tables()
    assert "hush" not in str(caught.value)


def test_an_option_may_have_a_mark_of_the_url():
    syncer = SQLSyncer("postgresql://ann:p%40ss@localhost:1/school?application_name=sync@night")
    with pytest.raises(SyncerError, match="cannot open"):
        syncer.tables()


def test_a_url_object_and_an_engine_are_taken(tmp_path):
    url = sqlalchemy.make_url("postgresql://ann:hu%40sh@db/school?password=hush")
    assert SQLSyncer(url).name == "postgresql://ann@db/school"
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with SQLSyncer(engine) as syncer:
        syncer.dump("t", data=[{"x": 1}])
        assert syncer.load("t") == [{"x": 1}]
    with engine.connect() as connection:  # the engine is still open, as it is not the syncer's
        assert connection.exec_driver_sql("select x from t").scalar() == 1
    engine.dispose()


def test_anything_else_is_refused(monkeypatch):
    with pytest.raises(DeclarationError, match="takes the URL of a database or an engine of SQLAlchemy, not a int"):
        SQLSyncer(5)
    monkeypatch.delitem(sys.modules, "sqlalchemy")
    with pytest.raises(DeclarationError, match="not a PurePosixPath"):
        SQLSyncer(PurePosixPath("store.db"))


def test_a_closed_syncer_opens_again(store_url):
    syncer = SQLSyncer(store_url)
    syncer.close()
    syncer.dump("t", data=[{"x": 1}])
    syncer.close()
    assert syncer.load("t") == [{"x": 1}]
    syncer.close()


def test_postgresql_without_a_driver_is_read_through_psycopg(database):
    url = sqlalchemy.make_url(database)
    for scheme in ("postgresql", "postgres"):
        text = url.set(drivername="postgresql").render_as_string(hide_password=False).replace("postgresql", scheme, 1)
        with SQLSyncer(text) as syncer:
            assert list(syncer.query("select 1 as x")) == [{"x": 1}]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:hush-hush@{NOWHERE}/school",
        f"postgresql://ann:hush%2Dhush@{NOWHERE}/school",
        f"postgresql://ann@{NOWHERE}/school?password=hush-hush",
        f"postgresql://ann@{NOWHERE}/hush-hush?password=hush-hush",
        f"postgresql://ann:hush-hush@{NOWHERE}/school?oops=hush-hush",
        "postgresql://ann:hush-hush@db:port-hush-hush/school",
        "postgresql://ann:hush-hush@db:5432:hush-hush/school",
        "nonsense hush-hush",
        "oops://ann:hush-hush@db/school",
    ],
)
def test_no_password_is_in_an_error(url):
    syncer = SQLSyncer(url, name="school")
    with pytest.raises(SyncerError) as caught:
        syncer.load("users")
    assert "hush-hush" not in everything(caught.value)
    syncer.close()


def test_a_password_in_the_arguments_is_in_no_error():
    syncer = SQLSyncer(f"postgresql://{NOWHERE}/hush-hush", name="school", connect_args={"password": "hush-hush"})
    with pytest.raises(SyncerError, match="cannot open school: ") as caught:
        syncer.load("users")
    assert "hush-hush" not in everything(caught.value)
    syncer.close()


def test_a_password_that_a_server_repeats_is_in_no_error(database):
    url = sqlalchemy.make_url(database).set(password="hush-hush", database="hush-hush")
    syncer = SQLSyncer(url.render_as_string(hide_password=False), name="school")
    with pytest.raises(SyncerError, match=r"cannot open school: .*\*\*\*") as caught:
        syncer.load("users")
    assert "hush-hush" not in str(caught.value)
    syncer.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", r"the database is not the URL of a database: write it like postgresql://user:password@host"),
        (
            "oops://db",
            r"oops://db: SQLAlchemy knows no 'oops'; use postgresql, sqlite, mysql, .* or",
        ),
        ("postgresql+oops://db", r"SQLAlchemy knows no 'postgresql.oops'"),
    ],
)
def test_a_url_that_is_none_is_refused(url, message):
    with pytest.raises(SyncerError, match=message):
        SQLSyncer(url).load("users")


def test_an_unknown_option_is_refused():
    with pytest.raises(SyncerError, match=r"cannot open sqlite://: Invalid argument"):
        SQLSyncer("sqlite://", oops=1).load("users")


def without(monkeypatch, *missing):
    """Make packages look as if they were not installed."""
    real = builtins.__import__

    def fake(name, scope=None, local=None, names=(), level=0):
        if level == 0 and name.partition(".")[0] in missing:
            message = f"No module named {name!r}"
            raise ModuleNotFoundError(message, name=name)
        return real(name, scope, local, names, level)

    for name in list(sys.modules):
        if name.partition(".")[0] in missing:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", fake)


def test_a_missing_sqlalchemy_is_named_with_its_command(monkeypatch):
    without(monkeypatch, "sqlalchemy")
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[sql\]'"):
        SQLSyncer("sqlite://").load("users")


def test_an_old_sqlalchemy_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(sqlalchemy, "__version__", "1.4.54")
    with pytest.raises(
        MissingDependencyError, match=r"1\.4\.54 is installed: pip install --upgrade 'datastoresync\[sql\]'"
    ):
        SQLSyncer("sqlite://").load("users")


@pytest.mark.parametrize(
    ("url", "missing", "command"),
    [
        ("postgresql://db/school", "psycopg", r"pip install 'datastoresync\[postgresql\]'"),
        ("postgresql+pg8000://db/school", "pg8000", "pip install pg8000"),
        ("mysql+pymysql://db/school", "pymysql", r"pip install 'datastoresync\[mysql\]'"),
        ("mysql://db/school", "pymysql", r"pip install 'datastoresync\[mysql\]'"),
        ("mariadb://db/school", "pymysql", r"pip install 'datastoresync\[mysql\]'"),
    ],
)
def test_a_missing_driver_is_named_with_its_command(monkeypatch, url, missing, command):
    without(monkeypatch, missing)
    with pytest.raises(MissingDependencyError, match=command):
        SQLSyncer(url).load("users")


# --- the values of rows -----------------------------------------------------------------------------------------------

KEY = ("id",)
SECRET = "Mr-Secret"


def failure(syncer, *changes):
    outcomes = syncer.apply_changes(changes, same=same)
    return next(outcome.reason for outcome in outcomes if outcome.status == "failed")


def test_a_unique_violation_names_the_constraint_and_no_value(store_url, execute):
    execute(
        store_url,
        "create table users (id integer primary key, email varchar(40), constraint one_email unique (email))",
        f"insert into users values (1, '{SECRET}')",
    )
    with SQLSyncer(store_url) as syncer:
        reason = failure(syncer, Change("insert", Table("users"), KEY, (2,), {"email": SECRET}))
        assert SECRET not in reason
        assert ("one_email" if "postgresql" in store_url else "users.email") in reason
        assert ("sqlstate 23505" if "postgresql" in store_url else "SQLITE_CONSTRAINT_UNIQUE") in reason
        with pytest.raises(SyncerError, match=r"one_email|users\.email") as caught:
            syncer.dump("users", data=[{"id": 1, "email": SECRET}, {"id": 2, "email": SECRET}])
        assert SECRET not in everything(caught.value)


def test_a_value_is_shown_once_where_we_refuse_it_and_not_where_postgresql_does(database, execute):
    execute(
        database,
        "create type mood as enum ('glad')",
        "create table users (id integer primary key, day date, mood mood, small smallint, "
        "note varchar(3), code char(3), notes varchar(3)[], flag boolean)",
    )
    values = {"day": SECRET, "mood": SECRET, "flag": SECRET, "small": 123456789}
    values |= {"note": SECRET, "code": SECRET, "notes": [SECRET]}
    with SQLSyncer(database) as syncer:
        for attribute, value in values.items():
            reason = failure(syncer, Change("insert", Table("users"), KEY, (2,), {attribute: value}))
            first, _, why = reason.partition(": ")
            assert first == f"column {attribute!r} cannot hold {value!r}"
            assert str(value) not in why
            assert SECRET not in why
            with pytest.raises(SyncerError) as caught:
                syncer.append("users", data=[{"id": 2, attribute: value}])
            assert SECRET not in str(caught.value)
        reason = failure(syncer, Change("insert", Table("users"), KEY, (2,), {"note": "a\0"}))
        assert "NUL" in reason
        reason = failure(syncer, Change("insert", Table("users"), KEY, (2,), {"note": "\ud800"}))
        assert "surrogates not allowed" in reason


def test_a_not_null_violation_names_table_and_column(store_url, execute):
    execute(store_url, "create table users (id integer primary key, name text not null, note text)")
    with SQLSyncer(store_url) as syncer:
        reason = failure(syncer, Change("insert", Table("users"), KEY, (2,), {"note": SECRET}))
    assert "name" in reason
    assert "users" in reason
    assert SECRET not in reason


def test_what_a_trigger_raises_is_shown_without_the_parameters(store_url, execute):
    execute(store_url, "create table users (id integer primary key, name text)")
    if store_url.startswith("sqlite"):
        execute(
            store_url,
            "create trigger careful before insert on users begin "
            "select raise(abort, 'no Mr-Secret please, not as 4711') where new.name = 'Mr-Secret'; end",
        )
    else:
        execute(
            store_url,
            "create function careful() returns trigger language plpgsql as "
            "$$begin raise exception 'no % please, not as %', new.name, new.id; end$$",
            "create trigger careful before insert on users for each row execute function careful()",
        )
    with SQLSyncer(store_url) as syncer:
        reason = failure(syncer, Change("insert", Table("users"), KEY, (4711,), {"name": SECRET}))
    assert reason.startswith("no … please, not as …")


def test_a_query_that_fails_shows_no_parameter(store_url, execute):
    execute(store_url, "create table users (id integer primary key, name text)", "insert into users values (1, 'x')")
    with SQLSyncer(store_url) as syncer:
        with pytest.raises(SyncerError) as caught:
            list(syncer.query("select abs(-9223372036854775807 - id), cast(:x as integer) from users", {"x": SECRET}))
        assert SECRET not in everything(caught.value)


def test_a_value_that_cannot_be_read_is_not_shown(database, execute):
    execute(database, "create table t (x timestamp)", "insert into t values (null), ('25432-11-22')")
    message = r"^row 2: x holds a year behind 9999, for which Python has no value"
    with SQLSyncer(database) as syncer, pytest.raises(ConversionError, match=message) as caught:
        syncer.load("t")
    assert "25432" not in everything(caught.value)


class DriverError(Exception):
    """What drivers raise; some have a ``diag``, some a dictionary in place of a message."""

    diag = None


def test_the_detail_of_an_error_is_left_out_whatever_the_driver():
    fields = {"S": "ERROR", "C": "23505", "M": "duplicate key", "D": "Key (x)=(Mr-Secret)", "n": "one", "t": "users"}
    assert reason_of(DriverError(fields)) == "duplicate key (sqlstate 23505, constraint one, table users)"
    error = DriverError("Key (x)=(Mr-Secret) is there twice")
    error.diag = SimpleNamespace(message_primary='duplicate key for "one"', constraint_name="one", table_name="users")
    assert reason_of(error) == 'duplicate key for "one" (table users)'
    assert reason_of(DriverError("duplicate key\nDETAIL: Mr-Secret")) == "duplicate key"


def test_a_lost_connection_concerns_the_store():
    lost = sqlalchemy.exc.DBAPIError("", None, DriverError("gone"), connection_invalidated=True)
    assert concerns_store(lost)
    assert not concerns_store(sqlalchemy.exc.DBAPIError("", None, DriverError("gone")))


def test_reasons_of_python_errors_lose_what_they_quote():
    assert reason_of(ValueError("Invalid isoformat string: 'Mr-Secret'")) == 'Invalid isoformat string: "…"'
    assert reason_of(ValueError()) == "ValueError"


def test_parameters_are_replaced_as_whole_words_and_only_so_many():
    error = sqlalchemy.exc.StatementError(
        "a, b and abc", None, [{"x": "a", "y": ("b", None, True, "")}] * 3, Exception("a, b and abc")
    )
    assert reason_of(error) == "…, … and abc"
    many = sqlalchemy.exc.StatementError("", None, ["a", *("b" for _ in range(10_000))], Exception("a b"))
    assert reason_of(many) == "a …"


def test_the_longest_secret_goes_first():
    assert without_secrets("hush-hush and hush", ["hush", "hush-hush", ""]) == "*** and ***"


def test_the_parameters_of_a_query_are_in_no_local_variable(tmp_path):
    importer = SQLImporter(
        f"sqlite:///{tmp_path / 'school.db'}",
        "select * from nothing where x = :password",
        parameters={"password": "hush-hush"},
    )
    sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'school.db'}").connect().close()
    with pytest.raises(SyncerError) as caught:
        +Branch(Object, importer=importer)
    told = traceback.TracebackException(type(caught.value), caught.value, caught.tb.tb_next, capture_locals=True)
    assert "'password': '***'" in "".join(told.format())
    assert "hush-hush" not in "".join(told.format(chain=False))


def test_hidden_parameters_are_given_as_they_are(tmp_path):
    query = SQLImporter(
        f"sqlite:///{tmp_path / 'school.db'}",
        "select :password as idnumber, :name as name",
        parameters={"password": "hush", "name": "Ann"},
    )
    sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'school.db'}").connect().close()
    assert [(one.idnumber, one.name) for one in (+Branch(Object, importer=query)).values()] == [("hush", "Ann")]
