"""Values of attributes in ``_sensitive`` are masked wherever they are shown, and written and compared as they are."""

from __future__ import annotations

import logging
import sqlite3
import traceback

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import (
    Branch,
    ComparisonError,
    DeclarationError,
    Importer,
    LoggingReporter,
    Object,
    Template,
    Tree,
    failed,
)
from datastoresync.app import App, Reader, SyncerWriter
from datastoresync.errors import DatastoreSyncError, ImporterError, RowError, SchemaMismatchError
from datastoresync.printing.html import html
from datastoresync.printing.text import text
from datastoresync.syncers import open_syncer

OLD, NEW = "Zq9" + "sEcReT7", "Mn4" + "pRiVaTe8"


class User(Object):
    _sensitive = ("password", "codes")
    name: str
    password: str | None = None
    codes: set[str] = set()


class Open(Object):
    _sensitive = ("password", "codes")


def rows(password, codes=(), **more):
    return [{"idnumber": "1", "name": "Ann", "password": password, "codes": set(codes), **more}]


def pair(cls=User, source=None, dest=None):
    source = rows(NEW, [NEW + "c"]) if source is None else source
    dest = rows(OLD, [OLD + "c"]) if dest is None else dest
    return [
        +Tree(name, branches={"users": Branch(cls, importer=given)}) for name, given in (("s", source), ("d", dest))
    ]


def shown(*things):
    """Return all ways in which things are shown to people."""
    found = []
    for thing in things:
        found += [repr(thing), str(thing)]
        if hasattr(thing, "__outline__"):
            found += [html(thing.__outline__()), text(thing.__outline__(), lines=None, columns=None)]
        if hasattr(thing, "outline"):
            found += [text(thing.outline(whole=True), lines=None, columns=None)]
        found += [thing._repr_html_()] if hasattr(thing, "_repr_html_") else []
        found += [thing.message] if hasattr(thing, "message") else []
    return "\n".join(found)


def secret_in(said):
    return [secret for secret in (OLD, NEW) if secret in said]


class Refusing(Template):
    """Says in every way what it was given."""

    def update_password(self, action):
        raise OSError(f"the server takes no {action.value}, and had {action.old_value!r}")

    def add_codes(self, action):
        return failed(f"no {action.value!r}")

    def remove_codes(self, action):
        raise ValueError(action.value)


@pytest.mark.parametrize("cls", [User, Open])
def test_nothing_that_is_shown_has_the_value(cls, capsys, caplog):
    source, dest = pair(cls)
    diff = source - dest
    with caplog.at_level(logging.DEBUG):
        report = Refusing().apply(diff, reporters=[LoggingReporter()])
    preview = source > dest
    created = source - +Tree("d", branches={"users": Branch(cls, importer=[])})
    said = shown(
        source, source.users, source.users["1"], diff, *diff, *created, created, report, *report.results, preview
    )
    said += shown(source.users["1"] - dest.users["1"], *(action.inverse() for action in diff))
    said += "".join(capsys.readouterr()) + caplog.text
    assert not secret_in(said)
    assert "***" in said
    assert "'Ann'" in said
    assert report.failed == 3
    assert {action.attr for action in diff} == {"password", "codes"}
    assert source.users["1"].password == NEW


def test_what_is_written_and_compared_is_the_value(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("create table users (idnumber text primary key, name text, password text)")
        connection.execute("insert into users values ('1', 'Ann', ?)", [OLD])
    connection.close()

    class Account(Object):
        _sensitive = ("password",)
        name: str
        password: str

    source = +Tree(
        "s", branches={"users": Branch(Account, importer=[{"idnumber": "1", "name": "Ann", "password": NEW}])}
    )
    dest = +Tree("d", syncer=open_syncer(url), branches={"users": Branch(Account)})
    report = source >> dest
    assert report.ok
    assert not secret_in(shown(report, *report.results))
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("select password from users").fetchall() == [(NEW,)]
    connection.close()
    assert not source - +dest


@pytest.mark.parametrize("kind", ["sqlite", "csv", "json"])
def test_a_conflict_does_not_show_it(kind, tmp_path):
    url = f"sqlite:///{tmp_path}/x.db" if kind == "sqlite" else f"{kind}:{tmp_path}/out"
    open_syncer(url).dump("users", data=[{"idnumber": "1", "name": "Ann", "password": "before"}])

    class Account(Object):
        _sensitive = ("password",)
        name: str
        password: str

    importer = [{"idnumber": number, "name": "Ann", "password": NEW} for number in "12"]
    source = +Tree("s", branches={"users": Branch(Account, importer=importer)})
    dest = +Tree("d", syncer=open_syncer(url), branches={"users": Branch(Account)})
    open_syncer(url).dump("users", data=[{"idnumber": number, "name": "Ann", "password": OLD} for number in "12"])
    report = source >> dest
    assert report.conflicts == 2
    assert not secret_in(shown(report, *report.results))


def test_what_a_store_holds_instead_is_not_shown(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("create table users (idnumber text primary key, name text, password text, pin integer)")
        connection.execute(
            "create trigger t after insert on users begin update users set password = new.password || 'x', pin = 98765 "
            "where idnumber = new.idnumber; end"
        )
    connection.close()

    class Account(Object):
        _sensitive = ("password", "pin")
        name: str
        password: str
        pin: int

    importer = [{"idnumber": "1", "name": "Ann", "password": NEW, "pin": 12345}]
    source = +Tree("s", branches={"users": Branch(Account, importer=importer)})
    dest = +Tree("d", syncer=open_syncer(url), branches={"users": Branch(Account)})
    report = source >> dest
    said = shown(report, *report.results, *report.warnings)
    assert not secret_in(said)
    assert "98765" not in said
    assert "12345" not in said


class Checked(Object):
    _sensitive = ("password", "pin")
    password: str = attrs.field(default="")
    pin: int = 0

    @password.validator
    def _long(self, attribute, value):
        if value == OLD:
            raise ValueError(f"{value!r} ({value}) is too old")


@pytest.mark.parametrize("row", [{"password": OLD}, {"pin": OLD}, {"password": {OLD}}])
@pytest.mark.parametrize("bad_rows", ["stop", "collect"])
def test_an_import_that_refuses_it_does_not_show_it(row, bad_rows):
    branch = Branch(Checked, importer=lambda: [{"idnumber": "1", **row}])
    branch.importer.on_bad_row = bad_rows
    if bad_rows == "stop":
        with pytest.raises(ImporterError) as caught:
            +branch
        assert not secret_in("".join(traceback.format_exception(caught.value)))
    else:
        assert not secret_in(shown(+branch, branch.imported))
        assert len(branch.imported.bad_rows) == 1


class Telling(Importer):
    """Says in each hook what it was given."""

    def __init__(self, hook, kind=ValueError):
        self.hook, self.kind = hook, kind

    def read(self):
        return [{"idnumber": "1", "password": OLD}, {"idnumber": "1", "password": NEW}]

    def keep(self, row):
        if self.hook == "keep":
            raise self.kind(f"{row} is no row")
        return True

    def prepare(self, row):
        if self.hook == "prepare":
            raise self.kind(f"{row['password']} ({row['password']!r}) is too old")
        return row if self.hook != "no row" else (row["idnumber"], row["password"])

    def resolve_duplicate(self, existing, row):
        raise self.kind(f"{existing['password']} or {row['password']}")


@pytest.mark.parametrize("hook", ["keep", "prepare", "no row", "resolve_duplicate"])
@pytest.mark.parametrize("kind", [ValueError, RowError])
@pytest.mark.parametrize("bad_rows", ["stop", "collect"])
def test_a_hook_that_says_it_does_not_show_it(hook, kind, bad_rows):
    branch = Branch(Account, importer=Telling(hook, kind))
    branch.importer.on_bad_row = bad_rows
    if bad_rows == "stop":
        with pytest.raises(ImporterError) as caught:
            +branch
        assert not secret_in("".join(traceback.format_exception(caught.value)) + repr(caught.value))
    else:
        assert not secret_in(shown(+branch, branch.imported))
        assert branch.imported.bad_rows


class Account(Object):
    _sensitive = ("password",)
    password: str
    pin: int = 0


def refused_import(tmp_path):
    +Branch(
        Account, importer=lambda: [{"idnumber": "1", "password": NEW}, {"idnumber": "2", "password": OLD, "pin": "x"}]
    )


def refused_diff(tmp_path):
    source, dest = pair(Open, dest=rows(1234567))
    source - dest


def refused_write(tmp_path):
    (tmp_path / "users.csv").write_text(f"idnumber,password,pin\n1,{OLD},1\n")
    dest = +Tree("d", syncer=open_syncer(f"csv:{tmp_path}"), branches={"users": Branch(Account)})
    (tmp_path / "users.csv").write_text(f"idnumber,pin\n1,{OLD}\n")
    importer = [{"idnumber": key, "password": NEW, "pin": "1"} for key in "12"]
    +Tree("s", branches={"users": Branch(Account, importer=importer)}) >> dest


def refused_statement(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    open_syncer(url).dump("users", data=[{"idnumber": "1", "password": OLD, "pin": 1}])
    dest = +Tree("d", syncer=open_syncer(url), branches={"users": Branch(Account)})
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("drop table users")
    importer = [{"idnumber": key, "password": NEW, "pin": "1"} for key in "12"]
    +Tree("s", branches={"users": Branch(Account, importer=importer)}) >> dest


@pytest.mark.parametrize("refused", [refused_import, refused_diff, refused_write, refused_statement])
def test_a_traceback_with_local_variables_does_not_show_it(refused, tmp_path):
    with pytest.raises(DatastoreSyncError) as caught:
        refused(tmp_path)
    waiting, told = [caught.value], []
    while waiting:
        error = waiting.pop()
        frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
        told += [str(frame.locals) for frame in frames if frame.filename != __file__]
        waiting += [one for one in (error.__cause__, error.__context__) if one is not None]
    assert told
    assert not secret_in("".join(told))


def test_sides_that_do_not_match_do_not_show_it():
    with pytest.raises(SchemaMismatchError, match=r"password: .*\(\*\*\* and \*\*\* at idnumber '1'\)") as caught:
        len(-(pair(Open, dest=rows(1234567))[0] - pair(Open, dest=rows(1234567))[1]))
    assert not secret_in(str(caught.value))

    class Failing(Object):
        _sensitive = ("secret",)
        name: str

        @property
        def secret(self):
            raise ValueError(f"no {OLD} here")

    source, dest = pair(Failing, [{"idnumber": "1", "name": "a"}], [{"idnumber": "1", "name": "b"}])
    with pytest.raises(ComparisonError) as caught:
        list(source - dest)
    assert not secret_in(str(caught.value) + shown(source.users))


def test_the_command_line_does_not_show_it(tmp_path, capsys):
    class Users(Reader):
        def read(self, args):
            return pair(dest=rows(OLD))[0]

    open_syncer(f"json:{tmp_path}/out").dump("users", data=[{**rows(OLD)[0], "codes": [OLD]}])
    for argv in (["--dry-run"], ["--verbose"]):
        App(Users(), SyncerWriter(f"json:{tmp_path}/out", mode="sync")).run(argv)
    assert not secret_in("".join(capsys.readouterr()))
    assert NEW in (tmp_path / "out" / "users.json").read_text()


def test_the_older_library_does_not_show_it():
    from datastoresync.vocabularies.dsync import Adapter, DiffSyncModel

    class Account(DiffSyncModel):
        _modelname = "account"
        _identifiers = ("name",)
        _attributes = ("password",)
        _sensitive = ("password",)
        name: str
        password: str

    class Accounts(Adapter):
        account = Account
        top_level = ("account",)

    source, dest = Accounts(), Accounts()
    source.add(Account(name="ann", password=NEW))
    dest.add(Account(name="ann", password=OLD))
    diff = source.diff_to(dest)
    (element,) = diff.get_children()
    assert not secret_in(diff.str() + str(element) + repr(element) + source.str() + dest.get_all("account")[0].str())
    assert secret_in(str(diff.dict()))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"_sensitive": ("pasword",)},
            r"User._sensitive names 'pasword', which no object has: did you mean 'password'\?",
        ),
        ({"_sensitive": ("xyz",)}, "which no object has: there are 'idnumber', 'name', 'password', 'codes'"),
        ({"_sensitive": "password"}, r"must be a tuple of names, such as \('password',\)"),
        ({"_sensitive": ("idnumber",)}, "'idnumber', which identifies the objects in every message"),
        ({"_sensitive": ("name",), "_identifiers": ("name",)}, "'name', which identifies the objects"),
    ],
)
def test_what_cannot_be_sensitive_is_refused(settings, says):
    cls = type("User", (User,), settings)
    with pytest.raises(DeclarationError, match=says):
        +Branch(cls, importer=[])


def test_a_slip_in_a_class_that_takes_any_column_is_refused_too():
    cls = type("User", (Object,), {"_sensitive": ("pasword",)})
    tree = Tree("t", branches={"users": Branch(cls, importer=[{"idnumber": "1", "password": OLD}])})
    with pytest.raises(DeclarationError, match="names 'pasword', which no object has: did you mean 'password'"):
        shown((+tree).users)


values = st.one_of(st.text(min_size=1), st.integers(), st.floats(allow_nan=False), st.none(), st.booleans())


@given(values, values)
def test_no_message_has_any_value(value, old_value):
    class Anything(Object):
        _sensitive = ("secret",)

    source, dest = pair(Anything, [{"idnumber": "1", "secret": value}], [{"idnumber": "1", "secret": old_value}])
    try:
        actions = list(source - dest)
    except DatastoreSyncError as error:
        assert "*** and ***" in str(error)  # noqa: PT017 - most values can be compared
        return
    for action in actions:
        assert action.message == "update_secret(idnumber='1', attr='secret', value=***)"
        given = "value=***, old_value=***" if None not in (value, old_value) else "value=***"
        assert repr(action).startswith("<Action('update', 'users', '1', attr='secret'")
        assert repr(action).count("***") == given.count("***")
    assert "secret: ***" in shown(source - dest) or not actions
