"""Ways from tables of PostgreSQL to the list of differences: in one database, beside a file, and on two servers."""

import contest
from generated import ATTRIBUTES, COLUMNS, KEY
from of_files import Found, compared, listed

OURS, JOIN = "datastoresync", "FULL OUTER JOIN by hand"
JOINDIFF, HASHDIFF, FINE = "reladiff, joindiff", "reladiff, hashdiff", "reladiff, hashdiff, segments of 1000"
DATACOMPY = "datacompy, ADBC"
MIXED, POLARS, READING = "datastoresync, file and table", "polars and ADBC by hand", "only reading the table, ADBC"
APART, COPY = "datastoresync, two servers", "only reading a table, COPY"

_BOTH_COLUMNS = ", ".join(f"{side}.{name}" for side in ("s", "d") for name in COLUMNS)
_DIFFERS = " or ".join(f"s.{name} is distinct from d.{name}" for name in ATTRIBUTES)
_MIDNIGHT = " 00:00:00.000000"


def _plain(url):
    """Return a URL of SQLAlchemy as libpq wants it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def _ours(mine, theirs):
    """Return the difference between what two importers read."""
    import datetime

    from datastoresync import Branch, Object

    class Person(Object):
        name: str
        email: str
        department: str
        level: int
        active: bool
        since: datetime.date

    return Found(+Branch(Person, importer=mine) - +Branch(Person, importer=theirs))


def _told(actions):
    return [(one.verb, one.idnumber, one.attr, one.old_value, one.value) for one in actions]


def ours(url, other=None):
    from datastoresync import SQLImporter

    return _ours(SQLImporter(url, table="source"), SQLImporter(other or url, table="dest"))


def mixed(path, url):
    from datastoresync import CSVImporter, SQLImporter

    return _ours(CSVImporter(path), SQLImporter(url, table="dest"))


def join(url):
    import psycopg

    statement = (
        f"select {_BOTH_COLUMNS} from source s full outer join dest d on s.{KEY} = d.{KEY} "
        f"where s.{KEY} is null or d.{KEY} is null or {_DIFFERS}"
    )
    with psycopg.connect(_plain(url)) as connection, connection.cursor(binary=True) as cursor:
        return listed(cursor.execute(statement))


def reladiff(algorithm, **options):
    def work(url, other=None):
        from reladiff import Algorithm, connect, connect_to_table, diff_tables

        def database(url):
            from sqlalchemy import make_url

            parts = make_url(url)
            facts = {"host": parts.host or parts.query["host"], "user": parts.username, "database": parts.database}
            facts |= {"port": parts.port} if parts.port else {}
            return connect({"driver": "postgresql", **facts}, thread_count=2, shared=False)

        mine = database(url)
        theirs = mine if other is None else database(other)
        tables = connect_to_table(mine, "source", KEY), connect_to_table(theirs, "dest", KEY)
        with diff_tables(*tables, algorithm=Algorithm(algorithm), extra_columns=ATTRIBUTES, **options) as found:
            sides = {"-": {}, "+": {}}
            for sign, values in found:
                sides[sign][values[0]] = values
        nothing = (None,) * len(COLUMNS)
        return listed(
            (*sides["-"].get(key, nothing), *sides["+"].get(key, nothing)) for key in sides["-"].keys() | sides["+"]
        )

    return work


def _told_by_reladiff(actions):
    """Return the actions with dates as the file has them; reladiff adds the time of day."""
    return [(*one[:3], *(value and value.removesuffix(_MIDNIGHT) for value in one[3:])) for one in actions]


def _arrow(url, name):
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(_plain(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"select {', '.join(COLUMNS)} from {name}")
        return cursor.fetch_arrow_table()


def datacompy(url):
    import polars

    return compared(*(polars.from_arrow(_arrow(url, name)) for name in ("source", "dest")))


def by_polars(path, url):
    import polars

    types = {"level": polars.Int32, "since": polars.Date}
    mine = polars.scan_csv(path, infer_schema=False).with_columns(
        polars.col("active") == "1",
        *(polars.col(name).cast(kind) for name, kind in types.items()),
    )
    theirs = polars.from_arrow(_arrow(url, "dest")).lazy()
    differs = polars.any_horizontal(
        polars.col(KEY).is_null(),
        polars.col(f"{KEY}_d").is_null(),
        *(polars.col(name).ne_missing(polars.col(f"{name}_d")) for name in ATTRIBUTES),
    )
    found = mine.join(theirs, on=KEY, how="full", suffix="_d", coalesce=False).filter(differs)
    columns = *COLUMNS, *(f"{name}_d" for name in COLUMNS)
    return listed(found.collect(engine="streaming").select(*columns).iter_rows())


def reading(_, url):
    return _arrow(url, "dest")


def copying(url, _):
    import psycopg

    with psycopg.connect(_plain(url)) as connection, connection.cursor().copy("copy source to stdout") as copy:
        return sum(map(len, copy))


_ANY = 10_000_000_000

CONTESTANTS = {
    OURS: contest.Contestant(ours, _told, largest=_ANY),
    JOIN: contest.Contestant(join, largest=_ANY),
    JOINDIFF: contest.Contestant(reladiff("joindiff"), _told_by_reladiff, slow=True),
    HASHDIFF: contest.Contestant(reladiff("hashdiff"), _told_by_reladiff, largest=_ANY, slow=True),
    FINE: contest.Contestant(
        reladiff("hashdiff", bisection_threshold=1000), _told_by_reladiff, largest=_ANY, slow=True
    ),
    DATACOMPY: contest.Contestant(datacompy),
    MIXED: contest.Contestant(mixed, _told, largest=_ANY),
    POLARS: contest.Contestant(by_polars),
    READING: contest.Contestant(reading, None, largest=_ANY),
    APART: contest.Contestant(ours, _told, largest=_ANY),
    COPY: contest.Contestant(copying, None, largest=_ANY),
}
IN_ONE_DATABASE = (OURS, JOIN, JOINDIFF, HASHDIFF, DATACOMPY)
BESIDE_A_FILE = (MIXED, POLARS, READING)
ON_TWO_SERVERS = (APART, HASHDIFF, FINE, COPY)
