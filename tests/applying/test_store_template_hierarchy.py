import pytest
from hierarchies import NO_LIMITS

from datastoresync import Branch, Flags, Object, SQLSyncer, Tree

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
