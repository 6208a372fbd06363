import pytest
from hierarchies import NO_LIMITS

from datastoresync import Branch, Flags, Link, Object, SQLSyncer, Table, Tree

sqlalchemy = pytest.importorskip("sqlalchemy")


class Site(Object):
    _children = {"devices": "site"}
    phone: str


class Device(Object):
    _references = {"site": "sites"}
    site: str
    role: str


class Stored(Tree):
    sites = Branch(Site)
    devices = Branch(Device)


@pytest.fixture
def engine(store_url):
    engine = sqlalchemy.create_engine(store_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table sites (idnumber varchar primary key, phone varchar not null)")
        connection.exec_driver_sql(
            "create table devices (idnumber varchar primary key, role varchar not null, "
            "site varchar not null references sites (idnumber) on delete cascade)"
        )
        connection.exec_driver_sql("insert into sites values ('nyc', '1'), ('rdu', '2'), ('gone', '3')")
        connection.exec_driver_sql(
            "insert into devices values ('r1', 'x', 'nyc'), ('r2', 'x', 'rdu'), ('r3', 'x', 'gone')"
        )
    yield engine
    engine.dispose()


def wanted():
    tree = Tree("wanted", branches={"devices": Branch(Device), "sites": Branch(Site)})
    for site in ("nyc", "sfo"):
        tree.sites.new(site, phone="1")
    for device, site in (("r1", "nyc"), ("r2", "sfo"), ("r9", "sfo")):
        tree.devices.new(device, role="x", site=site)
    return tree


@pytest.mark.parametrize("flags", [None, Flags(leave_children=True)])
def test_a_hierarchy_goes_into_tables_parents_first_and_comes_out_children_first(engine, store_url, flags):
    with SQLSyncer(store_url) as syncer:
        dest = +Stored("stored", syncer=syncer)
        report = wanted().sync_to(dest, limits=NO_LIMITS, flags=flags)
        assert report.ok
        followed = [(result.action.idnumber, result.reason) for result in report.results if result.reason]
        assert followed == ([("r3", "went with sites 'gone'")] if flags else [])
        assert [item.idnumber for item in report.deleted][-1] == ("r3" if flags else "rdu")
        assert not wanted() - dest
        assert not wanted() - +Stored("again", syncer=syncer)


def test_when_all_is_rolled_back_nothing_went_with_anything(engine, store_url):
    source = wanted()
    source.devices["r9"].role = None
    with SQLSyncer(store_url) as syncer:
        dest = +Stored("stored", syncer=syncer)
        report = source.sync_to(dest, limits=NO_LIMITS, flags=Flags(leave_children=True))
        assert (report.succeeded, report.failed, report.skipped) == (0, 1, 1)
        assert report.deleted == ()
        assert len(+Stored("again", syncer=syncer).devices) == 3


class Spare(Object):
    site: str | None = None
    role: str = ""
    tags: set[str] = set()


class Town(Object):
    _children = {"devices": "site"}


class Top(Tree):
    top_level = ("towns",)
    towns = Branch(Town)
    devices = Branch(Spare, table=Table("devices", links={"tags": Link("tags", "device", "tag")}))


@pytest.mark.parametrize("changed", [False, True])
def test_a_row_that_the_destination_keeps_below_nothing_is_updated_and_not_inserted(store_url, changed):
    engine = sqlalchemy.create_engine(store_url)
    with engine.begin() as connection:
        for statement in (
            "create table towns (idnumber varchar primary key)",
            "create table devices (idnumber varchar primary key, site varchar, role varchar)",
            "create table tags (device varchar, tag varchar)",
            "insert into towns values ('nyc')",
            "insert into devices values ('loose', null, 'x'), ('same', null, 'x'), ('spare', null, 'x')",
            "insert into tags values ('loose', 'old'), ('loose', 'both'), ('spare', 'old')",
        ):
            connection.exec_driver_sql(statement)
    rows = [{"idnumber": "loose", "site": "nyc", "role": "y", "tags": {"new", "both"}}]
    rows += [{"idnumber": name, "site": "nyc", "role": "x"} for name in ("same", "added")]
    source = Top("source")
    source.towns.new("nyc")
    for row in rows:
        source.devices.new(**row)
    with SQLSyncer(store_url) as syncer:
        dest = +Top("dest", syncer=syncer)
        assert {action.verb for action in source - dest} == {"new"}
        assert list(-(source - dest)) == list(dest - source)
        with engine.begin() as connection:
            if changed:
                connection.exec_driver_sql("update devices set role = 'z' where idnumber = 'loose'")
        report = source.sync_to(dest, limits=NO_LIMITS)
        assert (report.succeeded, report.conflicts) == ((2, 1) if changed else (3, 0))
        with engine.connect() as connection:
            assert connection.exec_driver_sql("select * from devices order by 1").fetchall() == [
                ("added", "nyc", "x"),
                ("loose", None, "z") if changed else ("loose", "nyc", "y"),
                ("same", "nyc", "x"),
                ("spare", None, "x"),
            ]
            tags = {"old", "both"} if changed else {"new", "both"}
            found = connection.exec_driver_sql("select tag from tags where device = 'loose'").scalars()
            assert set(found) == tags
        assert bool(source - +dest) is changed
    engine.dispose()


class Holder(Object):
    _children = {"devices": "devices"}
    devices: set[str] = set()


class Held(Object):
    role: str


class Listed(Tree):
    sites = Branch(Holder, table=Table("sites", links={"devices": Link("held", "site", "device")}))
    devices = Branch(Held)


def listing(devices):
    tree = Listed("listing")
    tree.sites.new("nyc", devices=set(devices))
    for device in devices:
        tree.devices.new(device, role="x")
    return tree


@pytest.mark.parametrize(("devices", "unlisted"), [("ab", "'b'"), ("b", "'b', 'a'"), ("a", None)])
def test_children_that_the_store_does_not_list_as_asked_are_told(store_url, execute, devices, unlisted):
    execute(
        store_url,
        "create table sites (idnumber varchar primary key)",
        "create table devices (idnumber varchar primary key, role varchar not null)",
        "create table held (site varchar, device varchar)",
        "insert into sites values ('nyc')",
        "insert into devices values ('a', 'x')",
        "insert into held values ('nyc', 'a')",
    )
    with SQLSyncer(store_url) as syncer:
        dest = +Listed("dest", syncer=syncer)
        report = listing(devices).sync_to(dest, limits=NO_LIMITS)
    held = {device for _, device in execute(store_url, "select * from held")}
    assert (held == set(devices)) is report.ok is (unlisted is None)
    assert [f" {unlisted}: " in warning for warning in report.warnings] == [True] * bool(unlisted)
