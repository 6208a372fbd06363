"""A nightly script: makes a PostgreSQL database follow a new release of the world's airports.

Without ``--database`` it starts a PostgreSQL of its own. A database without the tables is filled with last year's
release first, so that there is something to change.
"""

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datastoresync import (
    Branch,
    CSVImporter,
    DatastoreSyncError,
    Link,
    LoggingReporter,
    Object,
    SQLSyncer,
    Table,
    Tree,
)
from datastoresync.syncers import Records
from examples.postgresql import postgresql

HERE = Path(__file__).resolve().parent

log = logging.getLogger("airports")


class Airport(Object):
    """One airport, by its ICAO code."""

    _identifiers = ("icao",)

    icao: str
    iata: str
    name: str
    city: str
    subd: str
    country: str
    elevation: float
    lat: float
    lon: float
    tz: str
    lid: str


class Area(Object):
    """A city with several airports; ``airports`` are their ICAO codes."""

    _references = {"airports": "airports"}

    name: str
    country: str
    airports: set[str]


class Areas(CSVImporter):
    """Reads a row an airport, and looks up its ICAO code by the IATA code of the file."""

    after = ("airports",)

    def read(self) -> Records:
        """Note all IATA codes, then read the file."""
        self.icao = {airport.iata: airport.icao for airport in self.tree.airports.values() if airport.iata}
        return super().read()

    def prepare(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the area with this one airport; the rows of an area are merged."""
        return {
            "idnumber": row["City Code"],
            "name": row["City Name"],
            "country": row["Country"],
            "airports": {self.icao[row["Airport Code"]]},
        }


class Database(Tree):
    """The tables, read and written through a syncer."""

    airports = Branch(Airport)
    areas = Branch(
        Area,
        table=Table(
            "areas",
            columns={"idnumber": "code"},
            links={"airports": Link("area_airports", owner="area", member="airport")},
        ),
    )


TABLES = """
create table airports (
    icao text primary key, iata text not null, name text not null, city text not null, subd text not null,
    country text not null, elevation double precision not null, lat double precision not null,
    lon double precision not null, tz text not null, lid text not null
);
create table areas (code text primary key, name text not null, country text not null);
create table area_airports (
    area text references areas, airport text references airports, primary key (area, airport)
);
"""


def release(name: str) -> Tree:
    """Return the tree of one release's files."""
    return Tree(
        name,
        branches={
            "airports": Branch(Airport, importer=CSVImporter(HERE / name / "airports.csv")),
            "areas": Branch(Area, importer=Areas(HERE / name / "iata_macs.csv")),
        },
    )


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log how long something took."""
    started = time.perf_counter()
    yield
    log.info("%-40s %6.2f s", what, time.perf_counter() - started)


def load(tree: Tree) -> None:
    """Import a tree, and log how much that was."""
    with timed(f"imported {tree.name}"):
        +tree
    log.info("  %s", ", ".join(f"{len(branch):,} {name}" for name, branch in tree.items()))


def fill(url: str) -> None:
    """Make the tables, and put last year's release into them, unless they are there."""
    engine = sqlalchemy.create_engine(url)
    if sqlalchemy.inspect(engine).has_table("area_airports"):
        return
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLES)
    with timed("filled new tables with release 2024-08"):
        +release("2024-08") >> +Database(syncer=SQLSyncer(engine))


def sync(url: str, *, dry_run: bool, verbose: bool) -> int:
    """Make the database like the newest release, and return the exit code."""
    source, dest = release("2025-09"), Database("database", syncer=SQLSyncer(url))
    load(source)
    load(dest)
    with timed("compared them"):
        diff = source - dest
    diff.show(limit=None if verbose else 10, rest="all of it: --verbose")
    report = source.sync_to(dest, mock=dry_run, reporters=[LoggingReporter(log)])
    if dry_run:
        return report.exit_code
    load(dest)
    left = source - dest
    print(f"Left to do: {left.stat}" if left else "Nothing is left to do.")
    return report.exit_code or int(bool(left))


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 if all went well, 1 if something was left undone, 2 if nothing could be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", metavar="URL", help="the database to sync; DATABASE_URL if not given")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    parser.add_argument("--verbose", action="store_true", help="print every action")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    try:
        with postgresql(options.database) as url:
            fill(url)
            return sync(url, dry_run=options.dry_run, verbose=options.verbose)
    except DatastoreSyncError as error:
        log.critical("%s", error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
