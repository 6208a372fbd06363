"""References over the database's own ids: read and written as idnumbers, whatever ids look like, or refused."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, DeclarationError, Limits, Link, Object, Ref, SQLSyncer, SyncerError, Table, Tree
from datastoresync.importing.importer import SQLImporter
from datastoresync.syncers.files.csv import CSVSyncer

law = settings(deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
WIDE = Limits(deletions=1000, updates=1000, removals=1000)


class User(Object):
    _identifiers = ("username",)
    username: str
    email: str


class Group(Object):
    _identifiers = ("name",)
    _references = {"members": "auth_user"}
    name: str
    members: set[str]


class Person(Object):
    _references = {"manager": "people"}
    idnumber: str
    manager: str | None = None


_OPENED = []


def opened(url):
    """A syncer that is closed after the test."""
    _OPENED.append(SQLSyncer(url))
    return _OPENED[-1]


@pytest.fixture(autouse=True)
def _closed():
    yield
    while _OPENED:
        _OPENED.pop().close()


IDS = {
    "sqlite": "integer primary key autoincrement",
    "postgresql": "integer generated always as identity primary key",
    "mariadb": "integer auto_increment primary key",
}


def ids(url):
    return next(kind for scheme, kind in IDS.items() if url.startswith(scheme))


def django(url, foreign_keys=True):
    """Two users, one group and one membership, each under an id of another's."""
    to_user, to_group = (
        f", foreign key ({column}) references {table} (id)" if foreign_keys else ""
        for column, table in (("user_id", "auth_user"), ("group_id", "auth_group"))
    )
    return (
        f"create table auth_user (id {ids(url)}, username varchar(50) not null unique, email varchar(50) not null)",
        f"create table auth_group (id {ids(url)}, name varchar(50) not null unique)",
        f"""create table auth_user_groups (id {ids(url)}, user_id integer not null, group_id integer not null,
        unique (user_id, group_id){to_user}{to_group})""",
        # The ids of some are the names of others.
        "insert into auth_user (username, email) values ('2', 'two@x')",
        "insert into auth_user (username, email) values ('1', 'one@x')",
        "insert into auth_group (name) values ('staff')",
        "insert into auth_user_groups (user_id, group_id) values (2, 1)",
    )


MEMBERSHIPS = (
    "select g.name, u.username from auth_user_groups m join auth_user u on u.id = m.user_id "
    "join auth_group g on g.id = m.group_id order by 1, 2"
)


def application(url, link=None, **tables):
    link = link or Link("auth_user_groups", "group_id", "user_id")
    return Tree(
        "app",
        syncer=opened(url),
        branches={
            "auth_group": Branch(Group, table=Table("auth_group", links={"members": link})),
            "auth_user": Branch(User, **tables),
        },
    )


def source(users, groups):
    return +Tree(
        "source",
        branches={
            "auth_group": Branch(
                Group, importer=lambda: [{"name": name, "members": members} for name, members in groups.items()]
            ),
            "auth_user": Branch(User, importer=lambda: [{"username": name, "email": f"{name}@x"} for name in users]),
        },
    )


@pytest.fixture
def url(server_url):
    """The URL of an empty database of each kind."""
    if server_url.startswith("sqlite"):
        sqlite3.connect(server_url.removeprefix("sqlite:///")).close()  # it must be there to be opened
    return server_url


def test_memberships_are_those_of_the_ids(url, execute):
    execute(url, *django(url))
    app = +application(url)
    assert {name: group.members for name, group in app.auth_group.items()} == {"staff": {"1"}}
    wanted = source(["1", "2", "3"], {"staff": {"2", "3"}, "new": {"1", "3"}})
    report = wanted.sync_to(app, limits=WIDE)
    assert report.ok, report
    assert execute(url, MEMBERSHIPS) == [("new", "1"), ("new", "3"), ("staff", "2"), ("staff", "3")]
    assert not (wanted - +application(url))


def test_a_user_goes_with_its_memberships(url, execute):
    execute(url, *django(url), "insert into auth_user_groups (user_id, group_id) values (1, 1)")
    report = source(["2"], {"staff": {"2"}}).sync_to(+application(url), limits=WIDE)
    assert report.ok, report
    assert execute(url, MEMBERSHIPS) == [("staff", "2")]
    assert execute(url, "select username from auth_user") == [("2",)]


def test_a_group_goes_with_its_memberships(url, execute):
    execute(url, *django(url), "insert into auth_group (name) values ('other')")
    report = source(["1", "2"], {"other": set()}).sync_to(+application(url), limits=WIDE)
    assert report.ok, report
    assert execute(url, "select count(*) from auth_user_groups") == [(0,)]


def test_what_was_changed_since_the_import_is_a_conflict(url, execute):
    execute(url, *django(url))
    app = +application(url)
    execute(url, "insert into auth_user_groups (user_id, group_id) values (1, 1)")
    report = source(["1", "2"], {"other": {"1"}}).sync_to(app, limits=WIDE)
    assert [one.status for one in report.results].count("conflict") == 1, report
    assert execute(url, MEMBERSHIPS) == [("other", "1"), ("staff", "1"), ("staff", "2")]


def test_without_foreign_keys_they_are_declared(url, execute):
    execute(url, *django(url, foreign_keys=False))
    link = Link("auth_user_groups", Ref("auth_group", column="group_id"), Ref("auth_user", column="user_id"))
    app = +application(url, link)
    assert app.auth_group["staff"].members == {"1"}
    wanted = source(["1", "2", "3"], {"staff": {"2", "3"}})
    assert wanted.sync_to(app, limits=WIDE).ok
    assert execute(url, MEMBERSHIPS) == [("staff", "2"), ("staff", "3")]


def test_numbers_are_not_taken_for_texts_where_nothing_says_what_they_are(url, execute):
    execute(url, *django(url, foreign_keys=False))
    with pytest.raises(SyncerError, match=r"'group_id' .* seems to have ids .* Ref\('auth_group', column='group_id'\)"):
        +application(url)
    link = Link("auth_user_groups", Ref("auth_group", column="group_id"), "user_id")
    with pytest.raises(SyncerError, match=r"'user_id' .* seems to have ids .* Ref\('auth_user', column='user_id'\)"):
        +application(url, link)


def test_ids_of_rows_outside_of_the_tree_are_refused(url, execute):
    execute(url, *django(url))

    class Names(Object):
        _identifiers = ("name",)
        name: str
        members: set[str]

    groups = Branch(
        Names, table=Table("auth_group", links={"members": Link("auth_user_groups", "group_id", "user_id")})
    )
    with pytest.raises(SyncerError, match=r"'auth_user', which is in no branch of the tree.*key='id'"):
        +Tree("app", syncer=opened(url), branches={"auth_group": groups})

    class Numbers(Object):
        _identifiers = ("name",)
        name: str
        members: set[int]

    link = Link("auth_user_groups", "group_id", Ref("auth_user", column="user_id", key="id"))
    groups = Branch(Numbers, table=Table("auth_group", links={"members": link}))
    app = +Tree("app", syncer=opened(url), branches={"auth_group": groups})
    assert app.auth_group["staff"].members == {2}
    link = Link("auth_user_groups", "group_id", Ref("auth_user", column="user_id", key="email"))
    read = opened(url).read(Table("auth_group", links={"members": link}), ["members"], identifiers=["name"])
    assert list(read) == [{"members": {"one@x"}}]


def test_an_owner_that_leads_elsewhere_is_refused(url, execute):
    execute(url, *django(url))
    with pytest.raises(SyncerError, match="the owner in link table 'auth_user_groups', column 'user_id', leads to"):
        +application(url, Link("auth_user_groups", "user_id", "group_id"))


def test_an_importer_of_a_table_follows_what_the_tree_knows(url, execute):
    execute(url, *django(url))

    class Numbered(Group):
        id: int

    table = Table("auth_group", links={"members": Link("auth_user_groups", "group_id", "user_id")})
    branches = {
        "auth_group": Branch(Numbered, importer=SQLImporter(opened(url), table=table)),
        "auth_user": Branch(User),
    }
    app = +Tree("app", syncer=opened(url), branches=branches)
    assert app.auth_group["staff"].members == {"1"}


def people(url, manager="manager_id", references="references people (id)"):
    constraint = f", foreign key ({manager}) {references}" if references else ""
    return (
        f"create table people (id {ids(url)}, idnumber varchar(20) not null unique, {manager} integer{constraint})",
        "insert into people (idnumber) values ('2')",
        f"insert into people (idnumber, {manager}) values ('1', 1)",
    )


MANAGERS = "select p.idnumber, m.idnumber from people p left join people m on m.id = p.manager_id order by 1"


def staff(url, table=None):
    table = table or Table("people", columns={"manager": "manager_id"})
    return Tree("db", syncer=opened(url), branches={"people": Branch(Person, table=table)})


def wanted_people(managers):
    rows = [{"idnumber": key, "manager": manager} for key, manager in managers.items()]
    return +Tree("source", branches={"people": Branch(Person, importer=lambda: rows)})


def test_a_manager_is_read_and_written_by_idnumber(url, execute):
    execute(url, *people(url))
    db = +staff(url)
    assert {key: one.manager for key, one in db.people.items()} == {"1": "2", "2": None}
    managers = {"1": None, "2": "1", "3": "5", "4": "3", "5": "2"}
    wanted = wanted_people(managers)
    report = wanted.sync_to(db, limits=WIDE)
    assert report.ok, report
    assert dict(execute(url, MANAGERS)) == managers
    assert not (wanted - +staff(url))


def test_a_manager_is_declared_where_there_is_no_foreign_key(url, execute):
    execute(url, *people(url, manager="manager", references=""))
    with pytest.raises(SyncerError, match=r"'manager' .* seems to have ids .* Ref\('people', column='manager'\)"):
        +staff(url, Table("people"))
    db = +staff(url, Table("people", columns={"manager": Ref("people")}))
    assert db.people["1"].manager == "2"
    assert wanted_people({"1": None, "2": "1"}).sync_to(db, limits=WIDE).ok
    assert execute(url, "select idnumber, manager from people order by 1") == [("1", None), ("2", 2)]


def test_an_idnumber_that_is_not_there_fails_alone_and_says_so(url, execute):
    execute(url, *people(url))
    wanted = wanted_people({"1": "gone", "2": None})
    report = wanted.sync_to(+staff(url), limits=Limits(updates=1.0, dangling=1))
    assert [one.status for one in report.results] == ["failed"]
    assert "refers to 'gone', and table 'people' has no row with that 'idnumber'" in report.failures[0].message
    assert dict(execute(url, MANAGERS)) == {"1": "2", "2": None}


def test_a_key_of_references_is_one_of_idnumbers(url, execute):
    execute(url, *django(url))

    class Membership(Object):
        _identifiers = ("user", "group")
        user: str
        group: str

    class Name(Object):
        _identifiers = ("name",)
        name: str

    columns = {"user": "user_id", "group": "group_id"}

    def branches(**importers):
        return {
            "auth_user": Branch(User, importer=importers.get("users")),
            "auth_group": Branch(Name, importer=importers.get("groups")),
            "memberships": Branch(
                Membership, importer=importers.get("memberships"), table=Table("auth_user_groups", columns=columns)
            ),
        }

    app = +Tree("app", syncer=opened(url), branches=branches())
    assert list(app.memberships) == [("1", "staff")]
    rows = {
        "users": [{"username": name, "email": f"{name}@x"} for name in "1234"],
        "groups": [{"name": "staff"}, {"name": "new"}],
        "memberships": [{"user": user, "group": group} for user, group in (("2", "staff"), ("3", "new"), ("1", "new"))],
    }
    report = (+Tree("source", branches=branches(**rows))).sync_to(app, limits=WIDE)
    assert report.ok, report
    assert execute(url, MEMBERSHIPS) == [("new", "1"), ("new", "3"), ("staff", "2")]


def test_a_row_that_shares_the_id_of_another_table_is_followed_through_both(url, execute):
    execute(
        url,
        *django(url),
        "create table student (user_id integer primary key, year integer, "
        "foreign key (user_id) references auth_user (id))",
        f"create table mark (id {ids(url)}, student_id integer, name varchar(20), "
        "foreign key (student_id) references student (user_id))",
        "insert into student values (2, 7)",
        "insert into mark (student_id, name) values (2, 'A')",
    )

    class Student(Object):
        _identifiers = ("user",)
        user: str
        year: int

    class Mark(Object):
        _identifiers = ("name",)
        _references = {"student": "student"}
        name: str
        student: str

    branches = {
        "auth_user": Branch(User),
        "student": Branch(Student, table=Table("student", columns={"user": "user_id"})),
        "mark": Branch(Mark, table=Table("mark", columns={"student": "student_id"})),
    }
    app = +Tree("app", syncer=opened(url), branches=branches)
    assert list(app.student) == ["1"]
    assert app.mark["A"].student == "1"


def test_a_foreign_key_to_the_idnumber_needs_nothing(url, execute):
    execute(
        url,
        "create table people (idnumber varchar(20) primary key, id integer unique, manager varchar(20), "
        "foreign key (manager) references people (idnumber))",
        "insert into people values ('1', 2, null)",
        "insert into people values ('2', 1, '1')",
    )
    db = +staff(url, Table("people"))
    assert {key: one.manager for key, one in db.people.items()} == {"1": None, "2": "1"}


def test_a_foreign_key_of_several_columns_that_are_not_the_idnumber_is_refused(url, execute):
    execute(
        url,
        "create table people (site integer, number integer, idnumber varchar(20) unique, manager_site integer, "
        "manager integer, primary key (site, number), "
        "foreign key (manager_site, manager) references people (site, number))",
    )
    with pytest.raises(SyncerError, match=r"'manager' of table 'people' refers to .* together with other columns"):
        +staff(url, Table("people"))

    class Anyone(Object):
        idnumber: str

    # What nobody asks for is nobody's trouble.
    assert not +Tree("db", syncer=opened(url), branches={"people": Branch(Anyone)}).people


def test_ids_of_rows_with_an_idnumber_of_several_columns_are_refused(url, execute):
    execute(
        url,
        f"create table device (id {ids(url)}, site varchar(20), name varchar(20))",
        f"create table port (id {ids(url)}, idnumber varchar(20), device integer, "
        "foreign key (device) references device (id))",
    )

    class Device(Object):
        _identifiers = ("site", "name")
        site: str
        name: str

    class Port(Object):
        device: str

    with pytest.raises(SyncerError, match=r"'device' .* by 'id', and not by its idnumber, site, name"):
        +Tree("db", syncer=opened(url), branches={"device": Branch(Device), "port": Branch(Port)})


def test_a_ref_names_what_is_missing(url, execute):
    execute(url, *people(url))
    with pytest.raises(SyncerError, match="no column 'nmae'"):
        +staff(url, Table("people", columns={"manager": Ref("people", column="manager_id", key="nmae")}))
    with pytest.raises(SyncerError, match="no table 'poeple'; did you mean 'people'"):
        +staff(url, Table("people", columns={"manager": Ref("poeple", column="manager_id")}))
    with pytest.raises(DeclarationError, match="is a Ref without a column"):
        Link("a", Ref("b"), "c")


def test_an_id_without_a_row_is_a_member_without_a_name(url, execute):
    execute(url, *django(url, foreign_keys=False), "insert into auth_user_groups (user_id, group_id) values (77, 1)")
    link = Link("auth_user_groups", Ref("auth_group", column="group_id"), Ref("auth_user", column="user_id"))
    assert (+application(url, link)).auth_group["staff"].members == {"1"}


def test_an_idnumber_of_two_rows_is_not_written(url, execute):
    execute(
        url,
        *django(url, foreign_keys=False),
        "create table nickname (id integer, name varchar(20))",
        "insert into nickname values (1, 'x'), (2, 'x')",
        "create table person (idnumber varchar(20) primary key, nickname integer)",
        "insert into person values ('1', null)",
    )

    class Named(Object):
        nickname: str | None = None

    columns = {"nickname": Ref("nickname", to="id", key="name")}
    db = +Tree("db", syncer=opened(url), branches={"person": Branch(Named, table=Table("person", columns=columns))})
    rows = [{"idnumber": "1", "nickname": "x"}]
    report = (+Tree("source", branches={"person": Branch(Named, importer=rows)})).sync_to(db, limits=WIDE)
    assert "table 'nickname' has 2 rows with that 'name'" in report.failures[0].message
    assert execute(url, "select nickname from person") == [(None,)]


def test_another_schema_is_found(database, execute):
    execute(
        database,
        "create schema hr",
        "create table hr.people (id serial primary key, idnumber text unique, manager_id integer references hr.people)",
        "create table public.people (id serial primary key, idnumber text unique)",
        "insert into hr.people (idnumber, manager_id) values ('b', null), ('a', 1)",
        "insert into public.people (idnumber) values ('wrong')",
    )
    db = +staff(database, Table("hr.people", columns={"manager": "manager_id"}))
    assert db.people["a"].manager == "b"


def test_a_large_table_with_followed_columns_is_read_into_memory_and_says_why(database, execute):
    execute(
        database,
        *people(database),
        "insert into people (idnumber, manager_id) select 'n' || i, 1 from generate_series(1, 100) i",
    )
    table = Table("people", columns={"manager": "manager_id"})
    branches = {"people": Branch(Person, table=table, engine="database")}
    db = +Tree("db", syncer=opened(database), branches=branches)
    assert db.people["n7"].manager == "2"
    diff = wanted_people({"1": "2"}) - db
    assert "manager is read through a foreign key" in str(diff.explain())


def test_files_refuse_what_they_cannot_follow(tmp_path):
    (tmp_path / "people.csv").write_text("idnumber,manager\n1,2\n")
    table = Table("people", columns={"manager": Ref("people")})
    db = Tree("db", syncer=CSVSyncer(tmp_path), branches={"people": Branch(Person, table=table)})
    with pytest.raises(DeclarationError, match="column 'manager' cannot be a Ref"):
        +db


NAMES = ["001", "01", "1", "2", "2.0", "a"]
"""Texts, some of which are one number to a column of ids."""
names = st.sampled_from(NAMES)


@law
@given(
    before=st.dictionaries(names, st.none() | names, max_size=6),
    after=st.dictionaries(names, st.none() | names, max_size=6),
)
def test_any_hierarchy_becomes_any_other(store_url, execute, before, after):
    """A plain dictionary is what the table is held against."""
    before, after = (
        {key: one if one in managers else None for key, one in managers.items()} for managers in (before, after)
    )
    after = {key: one if one is None or one < key else None for key, one in after.items()}
    execute(
        store_url,
        "drop table if exists people",
        *people(store_url)[:1],
        *(f"insert into people (idnumber) values ('{key}')" for key in before),
        *(
            f"update people set manager_id = (select id from people where idnumber = '{one}') where idnumber = '{key}'"
            for key, one in before.items()
            if one
        ),
    )
    db = +staff(store_url)
    assert {key: one.manager for key, one in db.people.items()} == before
    report = wanted_people(after).sync_to(db, limits=Limits(deletions=1000, updates=1000, empty=["people"]))
    if report.ok:  # what a constraint keeps from being deleted first is not for this test
        assert dict(execute(store_url, MANAGERS)) == after
    else:
        assert dict(execute(store_url, MANAGERS)) == before


@law
@given(
    before=st.dictionaries(names, st.sets(names), max_size=4), after=st.dictionaries(names, st.sets(names), max_size=4)
)
def test_any_memberships_become_any_others(store_url, execute, before, after):
    quoted = [f"('{name}', '{name}@x')" for name in reversed(NAMES)]
    execute(
        store_url,
        *(f"drop table if exists {name}" for name in ("auth_user_groups", "auth_user", "auth_group")),
        *django(store_url)[:3],
        f"insert into auth_user (username, email) values {', '.join(quoted)}",
        *(f"insert into auth_group (name) values ('{name}')" for name in before),
        *(
            "insert into auth_user_groups (user_id, group_id) select u.id, g.id from auth_user u, auth_group g "
            f"where u.username = '{member}' and g.name = '{name}'"
            for name, members in before.items()
            for member in members
        ),
    )
    app = +application(store_url)
    assert {name: group.members for name, group in app.auth_group.items()} == before
    report = source(NAMES, after).sync_to(
        app, limits=Limits(deletions=99, updates=99, removals=99, empty=["auth_group"])
    )
    assert report.ok, report
    assert execute(store_url, MEMBERSHIPS) == sorted((name, one) for name, members in after.items() for one in members)
    assert {name for (name,) in execute(store_url, "select name from auth_group")} == set(after)


def test_a_circle_of_new_people_is_closed(url, execute):
    execute(url, *people(url))
    managers = {"1": "2", "2": None, "3": "4", "4": "5", "5": "3", "6": "6"}
    report = wanted_people(managers).sync_to(+staff(url), limits=WIDE)
    assert report.ok, report
    assert dict(execute(url, MANAGERS)) == managers


def test_sqlite_takes_names_in_any_letters(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table People (id integer primary key, idnumber text unique, manager_id integer references PEOPLE)",
        "insert into people values (1, '2', null), (2, '1', 1)",
    )
    db = +staff(url)
    assert db.people["1"].manager == "2"
    managers = {"1": None, "2": "3", "3": "1"}
    assert wanted_people(managers).sync_to(db, limits=WIDE).ok
    assert dict(execute(url, MANAGERS)) == managers


KEYS = {
    "uuid": "00000000-0000-0000-0000-0000000000AB",
    "char(8)": "x",
    "numeric(10, 2)": "1.5",
    "integer": "007",
    "date": "2024-01-05",
    "inet": "10.0.0.1/32",
    "text": "007",
}


@pytest.mark.parametrize(("kind", "key"), KEYS.items(), ids=KEYS)
def test_what_ids_lead_to_is_compared_in_the_form_of_its_own_column(database, execute, kind, key):
    execute(
        database,
        f"create table auth_user (id serial primary key, username {kind} unique, email text)",
        "create table auth_group (id serial primary key, name text unique)",
        "create table auth_user_groups (group_id integer references auth_group, user_id integer references auth_user)",
    )
    assert source([key], {"staff": {key}}).sync_to(+application(database)).ok
    assert len(execute(database, MEMBERSHIPS)) == 1
    assert not source([key], {"staff": {key}}) - +application(database)
