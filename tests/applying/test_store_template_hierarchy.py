import contextlib
import csv
import json
import sqlite3
import tempfile

import pytest
from hierarchies import NO_LIMITS
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, Flags, Link, Object, SQLSyncer, Table, Tree
from datastoresync.syncers import CSVSyncer, JSONSyncer

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
    role: str | None


class Listed(Tree):
    sites = Branch(Holder, table=Table("sites", links={"devices": Link("held", "site", "device")}))
    devices = Branch(Held)


TABLES = [
    "create table sites (idnumber varchar primary key)",
    "create table devices (idnumber varchar primary key, role varchar not null)",
    "create table held (site varchar, device varchar)",
]
STRICT = [
    *TABLES[:2],
    "create table held (site varchar not null references sites, device varchar not null unique references devices)",
]
PLACES = {"nyc": "ab", "gone": "cd", "kept": "e"}
WANTED = {"nyc": "ac", "new": "bf", "kept": ""}


def listing(places, loose=(), role="x"):
    tree = Listed("listing")
    for site, devices in places.items():
        tree.sites.new(site, devices=set(devices))
    for device in [*"".join(places.values()), *loose]:
        tree.devices.new(device, role=role)
    return tree


def rows_of(places, loose=()):
    rows = [f"insert into sites values ('{site}')" for site in places]
    rows += [f"insert into devices values ('{device}', 'x')" for device in [*"".join(places.values()), *loose]]
    return rows + [f"insert into held values ('{site}', '{device}')" for site in places for device in places[site]]


@st.composite
def nights(draw):
    """Draw sites with their devices, and devices that no site lists."""
    devices = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    sites = draw(st.lists(st.sampled_from(["nyc", "rdu", "sfo"]), unique=True))
    where = {device: draw(st.sampled_from([*sites, None])) for device in devices}
    places = {site: "".join(device for device in devices if where[device] == site) for site in sites}
    return places, [device for device in devices if where[device] is None]


@settings(max_examples=examples(60), deadline=None)
@given(nights(), nights(), st.sampled_from([TABLES, STRICT]), st.sampled_from(["stop", "continue"]))
def test_the_store_lists_the_children_that_the_source_lists_and_the_second_night_finds_nothing(
    before, after, tables, on_error
):
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(sqlite3.connect(f"{folder}/store.db")) as store:
        store.executescript(";".join([*tables, *rows_of(*before)]))
        with SQLSyncer(f"sqlite:///{folder}/store.db") as syncer:
            source, dest = listing(*after), +Listed("dest", syncer=syncer)
            diff = source - dest
            report = source.sync_to(dest, limits=NO_LIMITS, on_error=on_error)
            assert report.ok
            assert len(report.results) == len(diff)
            assert not source - dest
            assert not source - +Listed("again", syncer=syncer)
        places, loose = after
        held = [(site, device) for site in places for device in places[site]]
        assert sorted(store.execute("select site, device from held")) == sorted(held)
        assert sorted(store.execute("select idnumber from sites")) == [(site,) for site in sorted(places)]
        devices = sorted([device for _, device in held] + loose)
        assert [device for (device,) in sorted(store.execute("select idnumber from devices"))] == devices


def test_lists_are_changed_between_creations_and_deletions_whatever_refers_to_what(store_url, execute, monkeypatch):
    execute(store_url, *STRICT, *rows_of(PLACES))
    source, verbs = listing(WANTED), []
    with SQLSyncer(store_url) as syncer:
        write = syncer.apply_changes
        monkeypatch.setattr(
            syncer,
            "apply_changes",
            lambda changes, **keywords: verbs.append([change.verb for change in changes]) or write(changes, **keywords),
        )
        dest = +Listed("dest", syncer=syncer)
        assert [action.message for action in (source - dest).only(".devices")] == [
            "remove_devices_from_sites(idnumber='gone', attr='devices', value='c')",
            "remove_devices_from_sites(idnumber='kept', attr='devices', value='e')",
            "add_devices_to_sites(idnumber='new', attr='devices', value='b')",
            "add_devices_to_sites(idnumber='nyc', attr='devices', value='c')",
            "remove_devices_from_sites(idnumber='nyc', attr='devices', value='b')",
        ]
        assert source.rehearse(dest, limits=NO_LIMITS).ok
        report = source.sync_to(dest, limits=NO_LIMITS)
        assert report.ok
        assert report.warnings == ()
        assert not source - +Listed("again", syncer=syncer)
    places = {"insert": 0, "link": 1, "unlink": 1, "delete": 2}
    assert [sorted(one, key=places.get) for one in verbs] == verbs
    held = {(site, device) for site in WANTED for device in WANTED[site]}
    assert set(execute(store_url, "select site, device from held")) == held


@pytest.mark.parametrize("parent", ["nyc", "new"])
def test_a_child_that_could_not_be_created_is_listed_nowhere_and_the_others_are(store_url, execute, parent):
    execute(store_url, *TABLES, *rows_of({"nyc": ""}))
    source = listing({"nyc": "", parent: "ab"})
    source.devices["a"].role = None
    with SQLSyncer(store_url) as syncer:
        dest = +Listed("dest", syncer=syncer)
        report = source.sync_to(dest, on_error="continue")
        assert report.failed == 1
        reasons = {"devices 'a' could not be created"} if parent == "nyc" else set()
        assert {result.reason for result in report.results if result.status == "skipped"} == reasons
        assert dest.sites[parent].devices == (+Listed("again", syncer=syncer)).sites[parent].devices == {"b"}


@settings(max_examples=examples(30), deadline=None)
@given(nights(), nights(), st.sets(st.sampled_from("abcdef")))
def test_a_column_lists_all_children_but_those_that_could_not_be_created(before, after, bad):
    branches = {"sites": Branch(Holder), "devices": Branch(Held)}
    there = {*"".join(before[0].values()), *before[1]}
    missing = {device for device in bad & {*"".join(after[0].values()), *after[1]} if device not in there}
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(sqlite3.connect(f"{folder}/store.db")) as store:
        store.execute("create table sites (idnumber varchar primary key, devices json)")
        store.execute(TABLES[1])
        store.executemany(
            "insert into sites values (?, ?)", [(site, json.dumps(list(held))) for site, held in before[0].items()]
        )
        store.executemany("insert into devices values (?, 'x')", [(device,) for device in there])
        store.commit()
        with SQLSyncer(f"sqlite:///{folder}/store.db") as syncer:
            source = listing(*after)
            for device in missing:
                source.devices[device].role = None
            dest = +Tree("dest", syncer=syncer, branches=branches)
            report = source.sync_to(dest, limits=NO_LIMITS, on_error="continue")
            assert (report.failed, report.ok) == (len(missing), not missing)
            held = {site: set(devices) - missing for site, devices in after[0].items()}
            stored = store.execute("select idnumber, devices from sites").fetchall()
            assert {site: set(json.loads(devices or "[]")) for site, devices in stored} == held
            assert {site: set(one.devices) for site, one in dest.sites.items()} == held
            again = +Tree("again", syncer=syncer, branches=branches)
            assert listing(*after).sync_to(again, limits=NO_LIMITS).ok
            assert not listing(*after) - +Tree("third", syncer=syncer, branches=branches)


def test_a_column_of_a_file_lists_the_children_that_are_no_conflict(tmp_path):
    def write(devices):
        (tmp_path / "devices.json").write_text(json.dumps([{"idnumber": one, "role": "x"} for one in devices]))

    sites = [{"idnumber": "nyc", "devices": ["a", "b"]}, {"idnumber": "rdu", "devices": []}]
    (tmp_path / "sites.json").write_text(json.dumps(sites))
    write("ab")
    dest = +Tree("dest", syncer=JSONSyncer(tmp_path), branches={"sites": Branch(Holder), "devices": Branch(Held)})
    write("abce")
    source = listing({"nyc": "ac", "rdu": "b", "new": "ef"}, role="y")
    report = source.sync_to(dest, limits=NO_LIMITS, on_error="continue")
    assert report.counts["conflict"] == 2
    lists = {row["idnumber"]: row["devices"]["$set"] for row in json.loads((tmp_path / "sites.json").read_text())}
    assert lists == {"nyc": ["a"], "rdu": ["b"], "new": ["f"]}


def test_children_that_a_filter_keeps_out_of_the_list_are_told_and_those_that_it_keeps_in_it_stay(store_url, execute):
    execute(store_url, *TABLES, *rows_of({"nyc": "ade"}))
    with SQLSyncer(store_url) as syncer:
        dest = +Listed("dest", syncer=syncer)
        report = listing({"nyc": "af"}).sync_to(dest, limits=NO_LIMITS, only=["new", "old"])
        again = +Listed("again", syncer=syncer)
    assert not report.ok
    assert [" 'f': " in warning for warning in report.warnings] == [True]
    reasons = [(result.action.idnumber, result.reason) for result in report.results if result.status == "skipped"]
    assert reasons == [(device, "sites 'nyc' refers to it, and stays") for device in "de"]
    for tree in (dest, again):
        assert (list(tree.devices), tree.sites["nyc"].devices) == (["a", "d", "e", "f"], {"a", "d", "e"})


def test_files_list_children_in_a_table_of_links_or_in_a_column(tmp_path):
    for name, rows in (
        ("sites", [{"idnumber": site} for site in PLACES]),
        ("devices", [{"idnumber": device, "role": "x"} for device in "".join(PLACES.values())]),
        ("held", [{"site": site, "device": device} for site in PLACES for device in PLACES[site]]),
    ):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    column = tmp_path / "column"
    column.mkdir()
    sites = [{"idnumber": site, "devices": list(devices)} for site, devices in PLACES.items()]
    (column / "sites.json").write_text(json.dumps(sites))
    (column / "devices.json").write_text(json.dumps([{"idnumber": one, "role": "x"} for one in "abcde"]))
    source, branches = listing(WANTED), {"sites": Branch(Holder), "devices": Branch(Held)}
    for dest in (Listed("csv", syncer=CSVSyncer(tmp_path)), Tree("json", syncer=JSONSyncer(column), branches=branches)):
        report = source.sync_to(+dest, limits=NO_LIMITS)
        assert report.ok
        assert not source - +dest
    held = {(site, device) for site in WANTED for device in WANTED[site]}
    with (tmp_path / "held.csv").open(newline="") as file:
        assert {(row["site"], row["device"]) for row in csv.DictReader(file)} == held
    lists = {row["idnumber"]: set(row["devices"]["$set"]) for row in json.loads((column / "sites.json").read_text())}
    assert lists == {site: set(devices) for site, devices in WANTED.items()}
