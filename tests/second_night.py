"""Generated tables, what their database does besides, and sources; judged by a plain model of the rows.

Nothing here asks the library what a table holds: rows are written and read by SQL, and compared as text and numbers.
"""

from __future__ import annotations

import contextlib
import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import sqlalchemy as sa
from hypothesis import strategies as st

from datastoresync import Branch, Limits, Link, Object, Table, Tree

ALL = Limits(deletions=1.0, updates=1.0, removals=1.0, dangling=1_000, empty=("users", "groups", "devices"))


class Column(NamedTuple):
    """A column: how it is declared in SQL, the class that the object declares, and values for either side."""

    sql: str
    cls: Any
    stored: st.SearchStrategy[Any]
    given: st.SearchStrategy[Any]


TEXTS = st.text(alphabet="aAbBß é'7", max_size=6)
PLAIN = st.text(alphabet="abcxyz", min_size=1, max_size=3)
NUMBERS = st.decimals(-99, 99, places=2, allow_nan=False) | st.decimals(-99, 99, places=3, allow_nan=False)
DAYS = st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1))
MOMENTS = st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2030, 1, 1))  # noqa: DTZ001 - of columns without zones
WHOLE_SECONDS = MOMENTS.map(lambda one: one.replace(microsecond=0))
IDS = st.uuids().map(str)
SPELT = st.sampled_from(["7", "007", "7.0", "-0", "1e1", "", " 7", "x", "2024-01-02", "today", "NaN", "true"])

EVERYWHERE = {
    "text": Column("text", str | None, PLAIN, TEXTS | SPELT | st.none()),
    "varchar": Column("varchar(4)", str | None, PLAIN, TEXTS | st.none()),
    "char": Column("char(4)", str | None, PLAIN, TEXTS),
    "integer": Column("integer", int | None, st.integers(-9, 9), st.integers(-(2**40), 2**40) | st.none()),
    "smallint": Column("smallint", int | None, st.integers(-9, 9), st.integers(-40_000, 40_000)),
    "integer as text": Column("integer", str | None, st.integers(-9, 9), SPELT | st.none()),
    "money": Column("numeric(6,2)", Decimal | None, st.decimals(-9, 9, places=2), NUMBERS | st.none()),
    "date": Column("date", datetime.date | None, DAYS, DAYS | st.none()),
    "date as text": Column("date", str | None, DAYS, SPELT | DAYS.map(str)),
}
POSTGRESQL = EVERYWHERE | {
    "real": Column("real", float | None, st.sampled_from([0.5, 1.0]), st.floats(-9, 9) | st.just(float("nan"))),
    "seconds": Column(
        "timestamp(0)", datetime.datetime | None, MOMENTS.map(lambda one: one.replace(microsecond=0)), MOMENTS
    ),
    "uuid as text": Column(
        "uuid", str | None, st.uuids().map(str), st.uuids().map(str) | st.uuids().map(lambda one: str(one).upper())
    ),
    "inet": Column(
        "inet", str | None, st.just("10.0.0.1"), st.sampled_from(["10.0.0.1", "10.0.0.0/8", "x", "::1", "0:0::1"])
    ),
    "array": Column("integer[]", str | None, st.just("{1,2}"), st.sampled_from(["{1,2}", "{3}", "{ 1, 2}", "x"])),
    "bits": Column("bit(3)", str | None, st.just("101"), st.sampled_from(["101", "1", "0000", "x"])),
    "enum": Column("mood", str | None, st.sampled_from(["sad", "ok"]), st.sampled_from(["sad", "ok", "OK", "great"])),
    "range": Column("int4range", str | None, st.just("[1,3)"), st.sampled_from(["[1,3)", "[1,2]", "empty", "x"])),
}

SQLITE_KEYS = [
    "text primary key",
    "text collate nocase primary key",
    "text collate rtrim primary key",
    "varchar(9) primary key",
]
MARIADB = EVERYWHERE | {
    "seconds": Column("datetime", datetime.datetime | None, WHOLE_SECONDS, MOMENTS),
    "enum": Column(
        "enum('sad', 'ok')", str | None, st.sampled_from(["sad", "ok"]), st.sampled_from(["sad", "ok", "OK", "great"])
    ),
}
MARIADB_KEYS = ["varchar(9) primary key", "varchar(9) collate utf8mb4_bin primary key", "char(5) primary key"]
POSTGRESQL_KEYS = ["text primary key", "char(5) primary key", "varchar(9) primary key"]
KEYS = st.sampled_from(["a", "A", "b", "b ", "B", "c", "d", "ß", "SS", "é", "e", "7", "07"])


def _behaviour(sqlite, body="", when="", returns="NEW", *, mariadb=""):
    """Return what makes a database act: the statement for SQLite, those for PostgreSQL, and that for MariaDB."""
    function = f"CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN {returns}; END $$"
    trigger = f"CREATE TRIGGER acting {when} ON users FOR EACH ROW EXECUTE FUNCTION act()"
    own = [f"CREATE TRIGGER acting {mariadb.replace(' users ', ' users FOR EACH ROW ')}"] if mariadb else []
    return {"sqlite": [f"CREATE TRIGGER acting {sqlite}"], "postgresql": [function, trigger], "mariadb": own}


BEHAVIOURS = {
    "nothing": {"sqlite": [], "postgresql": [], "mariadb": []},
    "changes": _behaviour(
        "AFTER UPDATE ON users BEGIN UPDATE users SET other = 'changed' WHERE idnumber = NEW.idnumber; END",
        "NEW.other := 'changed';",
        "BEFORE UPDATE",
        mariadb="BEFORE UPDATE ON users SET NEW.other = 'changed'",
    ),
    "changes what is new": _behaviour(
        "AFTER INSERT ON users BEGIN UPDATE users SET other = upper(other) WHERE idnumber = NEW.idnumber; END",
        "NEW.other := upper(NEW.other);",
        "BEFORE INSERT",
        mariadb="BEFORE INSERT ON users SET NEW.other = upper(NEW.other)",
    ),
    "swallows deletions": _behaviour(
        "BEFORE DELETE ON users BEGIN SELECT RAISE(IGNORE); END", "", "BEFORE DELETE", "NULL"
    ),
    "swallows some updates": _behaviour(
        "BEFORE UPDATE ON users WHEN OLD.idnumber < 'b' BEGIN SELECT RAISE(IGNORE); END",
        "IF OLD.idnumber < 'b' THEN RETURN NULL; END IF;",
        "BEFORE UPDATE",
        mariadb="BEFORE UPDATE ON users SET NEW.other = if(OLD.idnumber < 'b', OLD.other, NEW.other)",
    ),
    "swallows some creations": _behaviour(
        "BEFORE INSERT ON users WHEN NEW.idnumber > 'b' BEGIN SELECT RAISE(IGNORE); END",
        "IF NEW.idnumber > 'b' THEN RETURN NULL; END IF;",
        "BEFORE INSERT",
    ),
    "adds elsewhere": _behaviour(
        "AFTER UPDATE ON users BEGIN INSERT INTO log VALUES (NEW.idnumber); END",
        "INSERT INTO log VALUES (NEW.idnumber);",
        "AFTER UPDATE",
        mariadb="AFTER UPDATE ON users INSERT INTO log VALUES (NEW.idnumber)",
    ),
    "adds to the table": _behaviour(
        "AFTER DELETE ON users WHEN substr(OLD.idnumber, 1, 1) <> 'z' BEGIN "
        "INSERT INTO users (idnumber) VALUES ('z' || OLD.idnumber); END",
        "IF left(OLD.idnumber, 1) <> 'z' THEN "
        "INSERT INTO users (idnumber) VALUES ('z' || rtrim(OLD.idnumber)); END IF;",
        "AFTER DELETE",
        "OLD",
        mariadb="AFTER DELETE ON users INSERT INTO log VALUES (OLD.idnumber)",
    ),
    "changes others": _behaviour(
        "AFTER DELETE ON users BEGIN UPDATE users SET extra = 'touched', other = 'touched'; END",
        "UPDATE users SET other = 'touched';",
        "AFTER DELETE",
        "OLD",
        mariadb="AFTER INSERT ON users INSERT INTO log VALUES (NEW.idnumber)",
    ),
}
ON_DELETE = ["NO ACTION", "CASCADE", "SET NULL", "SET DEFAULT"]


@st.composite
def nights(draw, columns, keys):
    """Draw a table with its rows, what the database does besides, and a source."""
    one = columns[draw(st.sampled_from(sorted(columns)))]
    stored = draw(
        st.dictionaries(KEYS.filter(lambda key: not key.endswith(" ")), st.tuples(one.stored, PLAIN), max_size=6)
    )
    given = draw(
        st.dictionaries(KEYS | st.sampled_from(sorted(stored) or ["a"]), st.tuples(one.given, PLAIN), max_size=6)
    )
    kept = draw(st.lists(st.sampled_from(sorted(stored)), unique=True)) if stored else []
    for key in kept:
        given[key] = (draw(one.given), stored[key][1])
    return {
        "key": draw(st.sampled_from(keys)),
        "one": one,
        "stored": stored,
        "given": given,
        "behaviour": draw(st.sampled_from(sorted(BEHAVIOURS))),
        "on_delete": draw(st.sampled_from(ON_DELETE)),
        "referring": draw(st.lists(st.sampled_from(sorted(stored)), unique=True)) if stored else [],
        "on_error": draw(st.sampled_from(["stop", "continue"])),
        "default": draw(st.sampled_from(["", "DEFAULT 'usual'"])),
    }


def one_leaves(behaviour):
    """Return a night on which one of three leaves, and the database does something of its own."""
    stored = {key: (key, "x") for key in "abc"}
    return {
        "key": "text primary key",
        "one": EVERYWHERE["text"],
        "stored": stored,
        "given": {key: stored[key] for key in "ab"},
        "behaviour": behaviour,
        "on_delete": "NO ACTION",
        "referring": [],
        "on_error": "stop",
        "default": "",
    }


def create(engine, night):
    """Create the tables of a night, with their rows; what the database takes for a row that is there is left out."""
    kind, of = engine.dialect.name, night["key"].removesuffix(" primary key")
    mark = "?" if kind == "sqlite" else "%s"
    on_delete = night["on_delete"]
    if kind == "mariadb":
        on_delete = on_delete.replace("DEFAULT", "NULL")  # InnoDB has no other one
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:

        def run(statement, *parameters):
            with contextlib.suppress(sa.exc.IntegrityError):
                connection.exec_driver_sql(statement, parameters or None)

        if kind == "postgresql":
            run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        extra = f"extra varchar(40) {night['default']}"
        run(f"CREATE TABLE users (idnumber {night['key']}, one {night['one'].sql}, other varchar(40), {extra})")
        reference = f"of {of} REFERENCES users (idnumber) ON DELETE {on_delete}"
        run(f"CREATE TABLE orders (number integer PRIMARY KEY, {reference})")
        run("CREATE TABLE log (entry varchar(40))")
        for key, (one, other) in night["stored"].items():
            value = str(one) if kind == "sqlite" and isinstance(one, Decimal | datetime.date) else one
            run(f"INSERT INTO users VALUES ({mark}, {mark}, {mark}, 'own')", key, value, other)
        for number, key in enumerate(night["referring"]):
            run(f"INSERT INTO orders VALUES ({mark}, {mark})", number, key)
        for statement in BEHAVIOURS[night["behaviour"]][kind]:
            run(statement)


def rows(engine, table, key):
    """Return the rows of a table by key, as the driver gives them."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {table}").mappings().all()
    return {row[key]: dict(row) for row in found}


_READ = {Decimal: lambda value: Decimal(str(value)), float: lambda value: str(float(value)), int: int}
_PARSED = (datetime.datetime, datetime.date)


def plain(value: Any, cls: Any) -> Any:
    """Return a value as the declared class would have it, by a few lines of plain Python."""
    kind = cls.__args__[0]
    if value is None or (kind is not str and value == ""):
        return None
    if kind in _PARSED:
        return kind.fromisoformat(value) if isinstance(value, str) else value
    if kind is not str:
        return _READ[kind](value)
    if isinstance(value, list):
        return "{" + ",".join(map(str, value)) + "}"
    return f"{value:f}" if isinstance(value, Decimal) else str(value).replace(", ", ",")  # as drivers print ranges


def same(left: Any, right: Any, night: Any, name: str) -> bool:
    """Say whether two values of a column are one, of which either may be as the database gives it."""
    cls = night["one"].cls if name == "one" else str | None
    if name == "one" and night["one"].sql.startswith("char"):
        left, right = (value.rstrip(" ") if isinstance(value, str) else value for value in (left, right))
    try:
        return plain(left, cls) == plain(right, cls)
    except (ValueError, TypeError, InvalidOperation):
        return bool(left == right)


def trees(syncer, night):
    """Return the source and the destination, imported."""
    cls = type("User", (Object,), {"__annotations__": {"idnumber": str, "one": night["one"].cls, "other": str | None}})
    dest = +Tree("dest", syncer=syncer, branches={"users": Branch(cls)})
    given = [{"idnumber": key, "one": one, "other": other} for key, (one, other) in night["given"].items()]
    return Tree("source", branches={"users": Branch(cls, importer=given)}).load(), dest


def told(night, report, rows_before):
    """Return the rows of a table as the report tells them: those before, and what its results say on top."""
    expected = {key: dict(row) for key, row in rows_before.items()}
    for result in report.results:
        action = result.action
        key, held = unpadded(action.idnumber, night), dict(getattr(result, "held", None) or {})
        if result.status != "succeeded":
            continue
        if action.verb == "new":
            assert key not in rows_before, f"{key!r} was there already"
            one, other = night["given"][action.idnumber]
            expected[key] = {"one": one, "other": other} | held
        elif action.verb == "old":
            assert expected.pop(key, None) is not None, f"{key!r} was not there"
        else:
            expected[key] |= {action.attr: action.value} | held
    return expected


def judge(night, report, before, after):
    """Check that the store holds what the report says, and nothing else."""
    users_before, users = (
        {unpadded(key, night): row for key, row in side["users"].items()} for side in (before, after)
    )
    said = " ".join(report.warnings)
    besides = "besides" in said  # SQLite says how many rows, not of which tables
    if "users" not in said.replace("table 'users': ", "") and not besides:
        expected = told(night, report, users_before)
        assert expected.keys() == users.keys()
        for key, row in expected.items():
            for name in row.keys() - {"idnumber"}:
                assert same(row[name], users[key][name], night, name), (key, name, row[name], users[key][name])
    for table in ("orders", "log"):
        assert after[table] == before[table] or table in said or besides, f"{table} was changed without a word"
    if report.ok:
        for key, values in night["given"].items():
            there = users[unpadded(key, night)]
            assert same(values[0], there["one"], night, "one")
            assert same(values[1], there["other"], night, "other")


def judge_memory(night, dest, users):
    """Check that the destination's branch holds what the store holds."""
    users = {unpadded(key, night): row for key, row in users.items()}
    assert set(dest.users) == users.keys()
    for key, row in users.items():
        for name in ("one", "other"):
            assert same(getattr(dest.users[key], name), row[name], night, name), (key, name)


def unpadded(key, night):
    """Return a key without the blanks that the column fills it up with."""
    return key.rstrip() if "char(5)" in night["key"] else key


# --- a tree of several tables, whose foreign keys act -----------------------------------------------------------

PEOPLE, TEAMS, DEVICES = ["ann", "bob", "cid"], ["staff", "admins"], ["d1", "d2"]


class Person(Object):
    """A row of ``users``."""

    idnumber: str
    name: str | None


class Team(Object):
    """A row of ``groups``, with its members in a table of their own."""

    _references = {"members": "users"}
    idnumber: str
    members: set[str]


class Device(Object):
    """A row of ``devices``, which refers to its owner."""

    _references = {"owner": "users"}
    idnumber: str
    owner: str | None


MEMBERS = "team varchar(9) REFERENCES groups ON DELETE {1}, person varchar(9) REFERENCES users ON DELETE {2}"
SCHOOL = (
    "CREATE TABLE users (idnumber varchar(9) PRIMARY KEY, name varchar(9))",
    "CREATE TABLE groups (idnumber varchar(9) PRIMARY KEY)",
    "CREATE TABLE devices (idnumber varchar(9) PRIMARY KEY, owner varchar(9) REFERENCES users ON DELETE {0})",
    f"CREATE TABLE members ({MEMBERS}, PRIMARY KEY (team, person))",
)
FILTERS = [None, "old", "new", "remove", "users", "groups", "devices", {"verb": "old", "branch": "devices"}]


@st.composite
def schools(draw):
    """Draw users, groups with members, and devices: as a set of rows by table."""
    people = draw(st.lists(st.sampled_from(PEOPLE), unique=True))
    teams = draw(st.lists(st.sampled_from(TEAMS), unique=True))
    devices = draw(st.lists(st.sampled_from(DEVICES), unique=True))
    pairs = [(team, person) for team in teams for person in people]
    owners = st.none() | st.sampled_from(people) if people else st.none()
    return {
        "users": {(person, draw(st.sampled_from(["x", "y"]))) for person in people},
        "groups": {(team,) for team in teams},
        "members": set(draw(st.lists(st.sampled_from(pairs), unique=True))) if pairs else set(),
        "devices": {(device, draw(owners)) for device in devices},
    }


def create_school(engine, on_delete, school):
    """Create the tables of a school, whose foreign keys act as said, with its rows."""
    with engine.begin() as connection:
        for statement in SCHOOL:
            connection.exec_driver_sql(statement.format(*on_delete))
    write_school(engine, school)


def write_school(engine, school):
    """Insert rows of a school."""
    with engine.begin() as connection:
        for table in ("users", "groups", "devices", "members"):
            for row in school[table]:
                values = ", ".join("NULL" if value is None else f"'{value}'" for value in row)
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({values})")


def read_school(engine):
    """Return the rows of the school that a database holds."""
    with engine.connect() as connection:
        return {
            table: {tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")}
            for table in ("users", "groups", "devices", "members")
        }


def school_tree(name, syncer=None, school=None):
    """Return a tree over a store, or over the rows of a school."""
    rows = (
        {}
        if school is None
        else {
            "users": [{"idnumber": key, "name": text} for key, text in sorted(school["users"])],
            "groups": [
                {"idnumber": key, "members": {person for team, person in school["members"] if team == key}}
                for (key,) in sorted(school["groups"])
            ],
            "devices": [{"idnumber": key, "owner": owner} for key, owner in sorted(school["devices"], key=str)],
        }
    )
    teams = Table("groups", links={"members": Link("members", "team", "person")})
    branches = {
        "users": Branch(Person, importer=rows.get("users")),
        "groups": Branch(Team, importer=rows.get("groups"), table=teams),
        "devices": Branch(Device, importer=rows.get("devices")),
    }
    return +Tree(name, syncer=syncer, branches=branches)


def school_told(school, report):
    """Return the rows of a school after what a report says was done to it."""
    told = {table: set(rows) for table, rows in school.items()}
    for result in report.results:
        action = result.action
        if result.status != "succeeded":
            continue
        key, table = action.idnumber, action.branch
        if action.verb in ("add", "remove"):
            change = told["members"].add if action.verb == "add" else told["members"].remove
            change((key, action.value))
        elif action.verb == "update":
            told[table].remove((key, action.old_value))
            told[table].add((key, action.value))
        elif action.verb == "old":
            told[table] = {row for row in told[table] if row[0] != key}
            if table == "groups":
                told["members"] = {row for row in told["members"] if row[0] != key}
        elif table == "groups":
            told["groups"].add((key,))
            told["members"] |= {(key, person) for person in action.source.members}
        else:
            told[table].add((key, action.source.name if table == "users" else action.source.owner))
    return told
