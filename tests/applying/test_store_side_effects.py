"""What ON DELETE takes along in a database: foreseen in previews and limits, done and said in runs."""

import pytest
import sqlalchemy
from engine_statements import execute

from datastoresync import Branch, Flags, Limits, Object, SafeguardError, Tree

TABLES = """
create table sites (idnumber varchar(9) primary key, name varchar(9));
create table devices (
    idnumber varchar(9) primary key, site varchar(9) references sites (idnumber) on delete cascade, role varchar(9)
);
create table orders (number integer primary key, device varchar(9) references devices (idnumber) on delete cascade);
create table visits (number integer primary key, site varchar(9) references sites (idnumber) on delete set null);
"""


class Site(Object):
    name: str = "x"


class Device(Object):
    site: str | None = None
    role: str = "x"


@pytest.fixture
def engine(store_url):
    engine = sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool)
    execute(engine, *TABLES.split(";")[:-1])
    for number in range(10):
        execute(
            engine,
            f"insert into sites values ('s{number}', 'x')",
            f"insert into devices values ('d{number}', 's{number}', 'x')",
            *(f"insert into orders values ({number}{one}, 'd{number}')" for one in range(5)),
            f"insert into visits values ({number}, 's{number}')",
        )
    return engine


def count(engine, table):
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"select count(*) from {table}").scalar()


def tree(syncer):
    return +Tree("dest", syncer=syncer, branches={"sites": Branch(Site), "devices": Branch(Device)})


def source(sites, devices):
    rows = {
        "sites": [{"idnumber": f"s{one}"} for one in sites],
        "devices": [{"idnumber": f"d{one}", "site": f"s{site}"} for one, site in devices.items()],
    }
    branches = {"sites": Branch(Site, importer=rows["sites"]), "devices": Branch(Device, importer=rows["devices"])}
    return +Tree("source", branches=branches)


@pytest.mark.parametrize("gone", [1, 2])
def test_rows_outside_of_the_tree_are_shown_and_held_against_their_limit(engine, syncer, gone, capsys):
    dest, kept = tree(syncer), range(gone, 10)
    wanted = source(kept, {one: one for one in kept})
    limits = Limits(cascades=5)
    preview = wanted.preview(dest, limits=limits)
    assert f"orders: {gone * 5} rows would be deleted along with devices" in capsys.readouterr().out
    assert [one.sentence for one in preview.side_effects] == [
        f"orders: {gone * 5} rows would be deleted along with devices",
        f"visits: {gone} row{'s' * (gone > 1)} would have their references to sites set to NULL",
    ]
    assert [one.total for one in preview.side_effects] == [50, 10]
    if gone > 1:
        with pytest.raises(SafeguardError, match=r"orders: 10 rows deleted or changed along with others"):
            wanted.sync_to(dest, limits=limits)
        assert count(engine, "orders") == 50
    else:
        report = wanted.sync_to(dest, limits=limits)
        assert report.ok
        assert any("orders" in warning for warning in report.warnings)
        assert count(engine, "orders") == 45


def test_what_moved_before_is_not_taken_along(engine, syncer):
    wanted = source(range(1, 10), {0: 1, **{one: one for one in range(1, 10)}})
    dest = tree(syncer)
    assert [one.table for one in wanted.preview(dest).side_effects] == ["visits"]
    assert wanted.sync_to(dest).ok
    assert (count(engine, "devices"), count(engine, "orders")) == (10, 50)
    assert not wanted - +dest


@pytest.mark.parametrize("keywords", [{"exclude": "devices"}, {"flags": Flags(never_delete=None)}])
def test_a_branch_that_is_left_out_keeps_its_rows(engine, syncer, keywords):
    wanted = source(range(1, 10), {one: one for one in range(1, 10)})
    dest = tree(syncer)
    report = wanted.sync_to(dest, limits=Limits(cascades=50), **keywords)
    if "exclude" in keywords:
        assert (report.succeeded, count(engine, "devices"), count(engine, "sites")) == (0, 10, 10)
    else:
        assert (report.succeeded, count(engine, "devices"), count(engine, "sites")) == (2, 9, 9)
