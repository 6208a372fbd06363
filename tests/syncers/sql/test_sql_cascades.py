"""What ON DELETE does besides: foreseen, counted, said, and kept from what the run keeps."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Flags, Limits, Link, Object, SQLSyncer, Table, Tree
from datastoresync.syncers.changes import Cascade, Change, WriteOptions

law = settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])

WIDE = Limits(deletions=10_000, updates=10_000, removals=10_000)
KEY = ("idnumber",)
SITES = Table("sites", keys={"sites": KEY, "devices": KEY})
DEVICES = Table("devices", keys={"sites": KEY, "devices": KEY})


@pytest.fixture
def url(server_url):
    """The URL of an empty database of each kind."""
    if server_url.startswith("sqlite"):
        sqlite3.connect(server_url.removeprefix("sqlite:///")).close()  # it must be there to be opened
    return server_url


@pytest.fixture
def syncer(url):
    with SQLSyncer(url) as opened:
        yield opened


class Site(Object):
    name: str


class Device(Object):
    site: str | None


class Kept(Device):
    _manual: bool = False

    @property
    def _flags(self):
        return Flags(never_delete=True) if self._manual else None


def inventory(rule, devices=("d1", "d2", "d3"), outside=""):
    """Three sites with a device each, and one that was made by hand at the last."""
    return (
        "create table sites (idnumber varchar(20) primary key, name varchar(20))",
        f"""create table devices (idnumber varchar(20) primary key, site varchar(20), manual boolean not null,
        foreign key (site) references sites (idnumber) {rule})""",
        *([outside] if outside else ()),
        *(f"insert into sites values ('s{number}', 'x')" for number in (1, 2, 3)),
        *(f"insert into devices values ('{name}', 's{name[1:]}', false)" for name in devices),
        "insert into devices values ('by-hand', 's3', true)",
    )


def trees(syncer, sites, devices):
    branches = {
        "sites": Branch(Site),
        "devices": Branch(Kept, table=Table("devices", columns={"_manual": "manual"})),
    }
    own = {
        "sites": Branch(Site, importer=[{"idnumber": key, "name": "x"} for key in sites]),
        "devices": Branch(Device, importer=[{"idnumber": key, "site": site} for key, site in devices.items()]),
    }
    return +Tree("source", branches=own), +Tree("db", syncer=syncer, branches=branches)


def messages(report, status):
    return [one.message for one in report.results if one.status == status]


@pytest.mark.parametrize(
    ("rule", "said"),
    [("on delete cascade", "it would be deleted along"), ("on delete set null", "the reference would be set to NULL")],
)
def test_what_is_kept_keeps_what_it_refers_to(url, syncer, execute, rule, said):
    execute(url, *inventory(rule))
    source, db = trees(syncer, ["s1"], {"d1": "s1"})
    report = source.sync_to(db, limits=WIDE)
    [message] = messages(report, "conflict")
    assert f"devices 'by-hand' refers to it and is kept, but {said}" in message
    assert execute(url, "select idnumber, site from devices order by 1") == [("by-hand", "s3"), ("d1", "s1")]
    assert execute(url, "select idnumber from sites order by 1") == [("s1",), ("s3",)]


@pytest.mark.parametrize("rule", ["on delete cascade", "on delete set null"])
def test_what_came_since_the_import_keeps_what_it_refers_to(url, syncer, execute, rule):
    execute(url, *inventory(rule), "delete from devices where idnumber = 'by-hand'")
    source, db = trees(syncer, ["s1"], {"d1": "s1"})
    execute(url, "insert into devices values ('new', 's2', false)")
    report = source.sync_to(db, limits=WIDE)
    assert ["sites" in one for one in messages(report, "conflict")] == [True]
    assert execute(url, "select idnumber, site from devices order by 1") == [("d1", "s1"), ("new", "s2")]
    assert execute(url, "select idnumber from sites order by 1") == [("s1",), ("s2",)]


OTHERWISE = {
    "sqlite": ("text collate nocase", "text", "ZE"),
    "postgresql": ("varchar(20) collate folded", "varchar(20)", "ZÉ"),
    "mariadb": ("varchar(20)", "varchar(20)", "zé"),
}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)])
@pytest.mark.parametrize("rule", ["on delete cascade", "on delete set null"])
def test_a_reference_in_another_spelling_keeps_the_row_that_the_database_takes_it_for(
    request, tmp_path, kind, execute, rule
):
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'store.db'}"
        execute(url, "create table made (one integer)")
    else:
        url = request.getfixturevalue("full_postgresql" if kind == "postgresql" else "mariadb")
    parent, child, key = OTHERWISE[kind]
    collation = "create collation folded (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
    execute(
        url,
        *([collation] if kind == "postgresql" else []),
        f"create table sites (idnumber {parent} primary key, name varchar(20))",
        f"""create table devices (idnumber varchar(20) primary key, site {parent if kind == "postgresql" else child},
        manual boolean not null, foreign key (site) references sites (idnumber) {rule})""",
        f"insert into sites values ('a-first', 'x'), ('{key}', 'x'), ('s1', 'x')",
        "insert into devices values ('by-hand', 'ze', true)",
    )
    with SQLSyncer(url) as syncer:
        source, db = trees(syncer, ["s1"], {})
        report = source.sync_to(db, limits=WIDE)
    [message] = messages(report, "conflict")
    assert repr(key) in message
    assert "devices 'by-hand' refers to it and is kept" in message
    assert execute(url, "select idnumber, site from devices") == [("by-hand", "ze")]
    assert sorted(execute(url, "select idnumber from sites")) == sorted([("s1",), (key,)])


@pytest.mark.parametrize("rule", ["on delete cascade", "on delete set null"])
def test_what_would_go_with_two_rows_keeps_both(url, syncer, execute, rule):
    execute(
        url,
        "create table sites (idnumber varchar(20) primary key, name varchar(20))",
        """create table racks (number integer primary key, one varchar(20), two varchar(20),
        foreign key (one) references sites (idnumber) on delete cascade,
        foreign key (two) references sites (idnumber) on delete cascade)""",
        f"""create table devices (idnumber varchar(20) primary key, site varchar(20), rack integer,
        manual boolean not null, foreign key (rack) references racks (number) {rule})""",
        "insert into sites values ('s1', 'x'), ('s2', 'x'), ('s3', 'x')",
        "insert into racks values (1, 's2', 's3')",
        "insert into devices values ('by-hand', 's1', 1, true)",
    )
    source, db = trees(syncer, ["s1"], {})
    report = source.sync_to(db, limits=Limits(deletions=10, updates=10, cascades=10))
    assert len(messages(report, "conflict")) == 2
    assert execute(url, "select idnumber, rack from devices") == [("by-hand", 1)]
    assert execute(url, "select * from racks") == [(1, "s2", "s3")]


def test_what_moves_away_keeps_nothing(url, syncer, execute):
    execute(url, *inventory("on delete cascade"), "delete from devices where idnumber = 'by-hand'")
    source, db = trees(syncer, ["s1"], {"d1": "s1", "d2": "s1", "d3": "s1"})
    assert source.sync_to(db, limits=WIDE).ok
    assert execute(url, "select idnumber, site from devices order by 1") == [("d1", "s1"), ("d2", "s1"), ("d3", "s1")]


OUTSIDE = (
    "create table orders (number integer primary key, device varchar(20), "
    "foreign key (device) references devices (idnumber) on delete cascade)"
)
LINES = (
    "create table order_lines (number integer primary key, order_number integer, "
    "foreign key (order_number) references orders (number) on delete cascade)"
)
NOTES = (
    "create table notes (number integer primary key, order_number integer, "
    "foreign key (order_number) references orders (number) on delete set null)"
)


def orders(url, execute):
    execute(
        url,
        *inventory("on delete cascade", outside=OUTSIDE),
        LINES,
        NOTES,
        *(f"insert into orders values ({number}, 'd{number % 3 + 1}')" for number in range(9)),
        *(f"insert into order_lines values ({number}, {number % 9})" for number in range(18)),
        *(f"insert into notes values ({number}, {number % 9})" for number in range(9)),
    )


def test_what_goes_outside_of_the_tree_is_foreseen_and_said(url, syncer, execute):
    orders(url, execute)
    source, db = trees(syncer, ["s1", "s2", "s3"], {"d1": "s1"})
    deletions = [Change("delete", DEVICES, KEY, (key,)) for key in ("d2", "d3")]
    assert syncer.cascades(deletions, [SITES, DEVICES]) == [
        Cascade("notes", "set to NULL", 6, "orders", 9),
        Cascade("order_lines", "deleted", 12, "orders", 18),
        Cascade("orders", "deleted", 6, "devices", 9),
    ]
    report = source.sync_to(db, limits=Limits(deletions=10, updates=10, cascades=100))
    assert report.ok, report
    said = sorted(str(one) for one in report.warnings)
    assert said == [
        "12 rows of table 'order_lines' went with the deleted rows of 'orders' that they referred to",
        "6 rows of table 'notes' referred to deleted rows of 'orders', and these references were set to NULL",
        "6 rows of table 'orders' went with the deleted rows of 'devices' that they referred to",
    ]
    assert execute(url, "select count(*) from orders") == [(3,)]
    assert execute(url, "select count(*) from order_lines") == [(6,)]
    assert execute(url, "select count(*) from notes where order_number is null") == [(6,)]


def test_what_is_in_the_tree_is_foreseen_unless_the_run_deletes_or_changes_it(url, syncer, execute):
    execute(url, *inventory("on delete cascade"))
    sites = [Change("delete", SITES, KEY, (key,)) for key in ("s2", "s3")]
    tables = [SITES, DEVICES]
    assert syncer.cascades(sites, tables) == [Cascade("devices", "deleted", 3, "sites", 4)]
    devices = [Change("delete", DEVICES, KEY, ("d2",)), Change("update", DEVICES, KEY, ("d3",), {"site": "s1"})]
    assert syncer.cascades([*devices, *sites], tables) == [Cascade("devices", "deleted", 1, "sites", 4)]
    renamed = Change("update", DEVICES, KEY, ("by-hand",), {"manual": False})
    assert syncer.cascades([renamed, *devices, *sites], tables) == [Cascade("devices", "deleted", 1, "sites", 4)]
    assert syncer.cascades(sites) == [Cascade("devices", "deleted", 3, "sites", 4)]
    assert syncer.cascades([], tables) == []


def test_no_action_is_no_cascade(url, syncer, execute):
    execute(url, *inventory(""))
    assert syncer.cascades([Change("delete", SITES, KEY, ("s3",))], [SITES, DEVICES]) == []


class Group(Object):
    """Without ``_references``, so that only the database knows what it refers to."""

    _identifiers = ("name",)
    name: str
    members: set[str]
    _fixed: bool = False

    @property
    def _flags(self):
        return Flags(ignore=True) if self._fixed else None


class User(Object):
    name: str


def groups(url):
    number = {"sqlite": "integer primary key", "postgres": "serial primary key"}.get(
        url.partition(":")[0].removesuffix("ql+psycopg"), "integer auto_increment primary key"
    )
    return (
        f"create table users (id {number}, idnumber varchar(20) unique, name varchar(20))",
        f"create table team (id {number}, name varchar(20) unique, fixed boolean not null)",
        """create table memberships (team integer, user_id integer, primary key (team, user_id),
        foreign key (team) references team (id) on delete cascade,
        foreign key (user_id) references users (id) on delete cascade)""",
        *(f"insert into users (idnumber, name) values ('u{number}', 'x')" for number in (3, 2, 1)),
        "insert into team (name, fixed) values ('open', false), ('fixed', true), ('old', false)",
        "insert into memberships select t.id, u.id from team t, users u",
    )


MEMBERSHIPS = (
    "select t.name, u.idnumber from memberships m join team t on t.id = m.team join users u on u.id = m.user_id "
    "order by 1, 2"
)


def test_members_of_what_is_left_alone_are_kept(url, syncer, execute):
    execute(url, *groups(url))
    table = Table("team", columns={"_fixed": "fixed"}, links={"members": Link("memberships", "team", "user_id")})
    db = +Tree("db", syncer=syncer, branches={"users": Branch(User), "team": Branch(Group, table=table)})
    source = +Tree(
        "source",
        branches={
            "users": Branch(User, importer=[{"idnumber": key, "name": "x"} for key in ("u1",)]),
            "team": Branch(Group, importer=[{"name": "open", "members": {"u1"}}, {"name": "fixed", "members": {"u1"}}]),
        },
    )
    users = [Change("delete", db.users.stored_table, KEY, (key,)) for key in ("u2", "u3")]
    old = [
        Change("unlink", db.team.stored_table, ("name",), ("open",), {"members": "u2"}),
        Change("delete", db.team.stored_table, ("name",), ("old",)),
    ]
    tables = [db.users.stored_table, db.team.stored_table]
    assert syncer.cascades([*old, *users], tables) == [Cascade("memberships", "deleted", 3, "users", 9)]
    report = source.sync_to(db, limits=WIDE)
    conflicts = messages(report, "conflict")
    assert len(conflicts) == 2
    assert all("team 'fixed' has it in members and is kept" in one for one in conflicts)
    assert execute(url, MEMBERSHIPS) == [("fixed", "u1"), ("fixed", "u2"), ("fixed", "u3"), ("open", "u1")]


def test_a_team_of_deleted_people_goes_in_any_order(url, syncer, execute):
    """References that the database has and the classes do not name decide on no order, but nothing is lost by it."""
    execute(url, *inventory("on delete cascade"), "delete from devices where idnumber = 'by-hand'")
    changes = [
        Change("delete", SITES, KEY, ("s3",)),
        Change("delete", DEVICES, KEY, ("d3",)),
        Change("delete", SITES, KEY, ("s2",)),
    ]
    outcomes = syncer.apply_changes(
        changes, same=lambda *_: True, options=WriteOptions(tables=[SITES, DEVICES], on_error="continue")
    )
    assert [one.status for one in outcomes] == ["done", "done", "conflict"]
    assert execute(url, "select idnumber from devices order by 1") == [("d1",), ("d2",)]


def test_managers_and_their_people_go_together(url, syncer, execute):
    execute(
        url,
        "create table people (idnumber varchar(20) primary key, manager varchar(20), "
        "foreign key (manager) references people (idnumber) on delete cascade)",
        "insert into people values ('1', null)",
        "insert into people values ('2', '1')",
        "insert into people values ('3', '2')",
        "insert into people values ('4', null)",
        "insert into people values ('5', '4')",
    )
    people = Table("people", keys={"people": KEY})
    changes = [Change("delete", people, KEY, (key,)) for key in ("1", "2", "3", "4")]
    outcomes = syncer.apply_changes(changes, same=lambda *_: True, options=WriteOptions(tables=[people]))
    assert [one.status for one in outcomes] == ["done", "done", "done", "conflict"]
    assert execute(url, "select idnumber from people order by 1") == [("4",), ("5",)]


def test_a_ring_goes_together(url, syncer, execute):
    if url.startswith("sqlite"):
        pytest.skip("SQLite adds no constraints to a table")
    execute(
        url,
        *inventory("on delete cascade"),
        "delete from devices where idnumber = 'by-hand'",
        "alter table sites add main varchar(20)",
        "alter table sites add foreign key (main) references devices (idnumber) on delete cascade",
        "update sites set main = 'd1' where idnumber = 's1'",
    )
    changes = [Change("delete", SITES, KEY, ("s1",)), Change("delete", DEVICES, KEY, ("d1",))]
    options = WriteOptions(tables=[SITES, DEVICES])
    assert [one.status for one in syncer.apply_changes(changes, same=lambda *_: True, options=options)] == ["done"] * 2
    assert execute(url, "select idnumber from sites order by 1") == [("s2",), ("s3",)]


def test_many_are_deleted_in_bulk_but_for_what_is_referred_to(url, syncer, execute):
    execute(
        url,
        *inventory("on delete cascade", outside=OUTSIDE),
        "insert into sites select concat('n', d.idnumber, e.idnumber, f.idnumber, a.idnumber, b.idnumber, c.idnumber), "
        "'x' from sites a, sites b, sites c, sites d, sites e, sites f"
        if not url.startswith("sqlite")
        else "insert into sites select 'n' || d.idnumber || e.idnumber || f.idnumber || a.idnumber || b.idnumber || "
        "c.idnumber, 'x' from sites a, sites b, sites c, sites d, sites e, sites f",
        "insert into orders values (1, 'd1'), (2, 'd2')",
    )
    assert execute(url, "select count(*) from sites") == [(732,)]
    source, db = trees(syncer, [], {"d1": None})
    limits = Limits(deletions=1.0, updates=1.0, cascades=1.0, empty=["sites"])
    report = source.sync_to(db, limits=limits)
    assert ["'s3'" in one for one in messages(report, "conflict")] == [True]
    assert execute(url, "select idnumber from sites") == [("s3",)]
    assert execute(url, "select idnumber from devices order by 1") == [("by-hand",), ("d1",)]
    assert [str(one) for one in report.warnings] == [
        "1 row of table 'orders' went with the deleted rows of 'devices' that they referred to"
    ]


def test_other_schemas_are_seen(database, execute):
    execute(
        database,
        *inventory("on delete cascade"),
        "create schema shop",
        "create table shop.orders (site text references public.sites on delete cascade, "
        "other text references public.sites on delete set default)",
        "insert into shop.orders values ('s3', 's1'), ('s1', 's3')",
        "create table shop.parted (site text references public.sites on delete cascade) partition by list (site)",
        "create table shop.part partition of shop.parted for values in ('s3')",
        "insert into shop.parted values ('s3')",
    )
    with SQLSyncer(database) as syncer:
        assert syncer.cascades([Change("delete", SITES, KEY, ("s3",))], [SITES]) == [
            Cascade("devices", "deleted", 2, "sites", 4),
            Cascade("shop.orders", "deleted", 1, "sites", 2),
            Cascade("shop.orders", "set to its default", 1, "sites", 2),
            Cascade("shop.parted", "deleted", 1, "sites", 1),
        ]


def test_sqlite_heeds_foreign_keys_only_if_it_is_told_to(tmp_path, execute):
    import sqlalchemy

    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(url, *inventory("on delete cascade"))
    engine = sqlalchemy.create_engine(url)
    changes = [Change("delete", SITES, KEY, ("s3",))]
    assert SQLSyncer(engine).cascades(changes, [SITES, DEVICES]) == []
    [outcome] = SQLSyncer(engine).apply_changes(changes, same=lambda *_: True)
    engine.dispose()
    assert outcome.status == "done"
    assert execute(url, "select count(*) from devices") == [(4,)]


def test_sqlite_has_foreign_keys_that_name_no_column(tmp_path, execute):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    execute(
        url,
        "create table sites (country text, idnumber text, primary key (idnumber, country))",
        "create table devices (site text, land text, foreign key (site, land) references SITES on delete set null)",
        "insert into sites values ('x', 's3')",
        "insert into devices values ('s3', 'x'), ('s3', 'y'), (null, 'x')",
    )
    sites = Table("sites")
    change = Change("delete", sites, ("idnumber", "country"), ("s3", "x"))
    with SQLSyncer(url) as syncer:
        assert syncer.cascades([change], [sites]) == [Cascade("devices", "set to NULL", 1, "sites", 3)]


rules = st.sampled_from(["on delete cascade", "on delete set null", "on delete set default"])
sites = st.sampled_from(["s1", "s2", "s3"])


@law
@given(
    rules=st.tuples(rules, rules),
    devices=st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.none() | sites, st.booleans()), max_size=6),
    ports=st.lists(st.sampled_from("abcdef"), max_size=8),
    wanted=st.tuples(st.sets(sites), st.sets(st.sampled_from("abcdef"))),
    known=st.booleans(),
)
def test_nothing_that_is_kept_goes_and_all_that_goes_besides_is_said(
    store_url, execute, rules, devices, ports, wanted, known
):
    """Plain dictionaries are what the tables are held against."""
    ports = {number: device for number, device in enumerate(ports) if device in devices}
    execute(
        store_url,
        *(f"drop table if exists {name}" for name in ("ports", "devices", "sites")),
        "create table sites (idnumber varchar(20) primary key, name varchar(20))",
        f"""create table devices (idnumber varchar(20) primary key, site varchar(20), manual boolean not null,
        foreign key (site) references sites (idnumber) {rules[0]})""",
        f"""create table ports (idnumber varchar(20) primary key, device varchar(20),
        foreign key (device) references devices (idnumber) {rules[1]})""",
        *(f"insert into sites values ('s{number}', 'x')" for number in (1, 2, 3)),
        *(
            f"insert into devices values ('{key}', {'null' if site is None else repr(site)}, {manual})"
            for key, (site, manual) in devices.items()
        ),
        *(f"insert into ports values ('{key}', '{device}')" for key, device in ports.items()),
    )
    kept = {key: site for key, (site, manual) in devices.items() if manual or key in wanted[1]}
    own = {key: site for key, site in kept.items() if key in wanted[1]}
    with SQLSyncer(store_url) as syncer:
        branches = {
            "sites": Branch(Site),
            "devices": Branch(Kept, table=Table("devices", columns={"_manual": "manual"})),
        }
        if known:  # in the tree, where they stay as they are
            branches["ports"] = Branch(Port)
        db = +Tree("db", syncer=syncer, branches=branches)
        rows = {
            "sites": Branch(Site, importer=[{"idnumber": key, "name": "x"} for key in wanted[0]]),
            "devices": Branch(Device, importer=[{"idnumber": key, "site": site} for key, site in own.items()]),
        }
        if known:
            stay = [{"idnumber": str(key), "device": device} for key, device in ports.items()]
            rows["ports"] = Branch(Port, importer=stay)
        limits = Limits(deletions=99, updates=99, cascades=99, dangling=99, empty=list(rows))
        report = (+Tree("source", branches=rows)).sync_to(db, limits=limits)
    if known:
        kept |= {device: devices[device][0] for device in ports.values()}
        ports_after = {str(key): device for key, device in ports.items()}
    elif rules[1] == "on delete cascade":
        ports_after = {str(key): device for key, device in ports.items() if device in kept}
    else:
        ports_after = {str(key): device if device in kept else None for key, device in ports.items()}
    assert dict(execute(store_url, "select idnumber, site from devices")) == kept
    sites_after = wanted[0] | {site for site in kept.values() if site is not None}
    assert {key for (key,) in execute(store_url, "select idnumber from sites")} == sites_after
    assert dict(execute(store_url, "select idnumber, device from ports")) == ports_after
    gone = sum(device not in kept for device in ports.values())
    assert [int(one.split()[0]) for one in map(str, report.warnings)] == [gone] * bool(gone)
    assert report.ok is (report.counts["succeeded"] == len(report.results))


class Port(Object):
    device: str | None
