"""Mixed changes to a PostgreSQL table of as many rows: `source >> dest`, beside COPY by hand and dbmerge."""

import sys
import time

from common import ATTRIBUTES, COLUMNS, KEY, ROOT, Stopwatch, alternating, main, source_and_destination, table, times

sys.path.insert(0, str(ROOT / "examples"))

from postgresql import postgresql

OURS, ALONE, COPY, DBMERGE, CORE = (
    "datastoresync, `source >> dest`",
    "datastoresync, the diff applied",
    "COPY and set statements by hand",
    "dbmerge",
    "SQLAlchemy Core, executemany",
)
COLUMN_LIST = ", ".join(COLUMNS)
TABLE = (
    "create table {} (idnumber text primary key, name text not null, email text not null, department text not null, "
    "grade integer not null, since date not null)"
)


def _sides(rows):
    """Return two sides so that a third of the changes is new, a third changed, and a third old."""
    share = 1 / 3
    return source_and_destination(int(rows), changed=share, new=share, old=share)


def _changes(rows):
    """Return what is to be inserted, updated (attribute, key, value) and deleted, known beforehand."""
    source, dest = ({row[KEY]: row for row in side} for side in _sides(rows))
    return (
        [row for key, row in source.items() if key not in dest],
        [
            (attr, key, row[attr])
            for key, row in source.items()
            if key in dest
            for attr in ATTRIBUTES
            if row[attr] != dest[key][attr]
        ],
        [key for key in dest if key not in source],
    )


def _after(url):
    """Return the table as it is now."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute(f"select {COLUMN_LIST} from people").fetchall()


def datastoresync(url, rows, *, alone):
    import datetime

    import sqlalchemy  # noqa: F401 - as in the others, imports are not what is measured

    from datastoresync import Branch, Limits, Object, Tree
    from datastoresync.applying import object_template, store_template  # noqa: F401 - as above
    from datastoresync.syncers.sql import apply  # noqa: F401 - as above
    from datastoresync.syncers.sql.syncer import SQLSyncer

    class Person(Object):
        name: str
        email: str
        department: str
        grade: int
        since: datetime.date

    class Source(Tree):
        people = Branch(Person, importer=lambda: _sides(rows)[0])

    class Dest(Tree):
        people = Branch(Person)

    with SQLSyncer(url) as syncer:
        source, dest = +Source(), +Dest(syncer=syncer)
        limits = Limits(deletions=1.0, updates=1.0)
        watch = Stopwatch(time.perf_counter)
        if alone:
            diff = source - dest
            report = watch.measure("apply", lambda: dest.apply(diff, limits=limits))
        else:
            report = watch.measure("apply", lambda: source.sync_to(dest, limits=limits))
    if not report.ok:
        sys.exit(str(report))
    return watch.done(_after(url))


def core(url, rows):
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    people = sqlalchemy.Table("people", sqlalchemy.MetaData(), autoload_with=engine)
    new, changed, old = _changes(rows)

    def apply():
        with engine.begin() as connection:
            connection.execute(people.insert(), new)
            for attr in ATTRIBUTES:
                statement = (
                    people.update()
                    .where(people.c.idnumber == sqlalchemy.bindparam("wanted"))
                    .values({attr: sqlalchemy.bindparam("value")})
                )
                some = [{"wanted": key, "value": value} for name, key, value in changed if name == attr]
                connection.execute(statement, some)
            statement = people.delete().where(people.c.idnumber == sqlalchemy.bindparam("wanted"))
            connection.execute(statement, [{"wanted": key} for key in old])

    watch = Stopwatch(time.perf_counter)
    watch.measure("apply", apply)
    engine.dispose()
    return watch.done(_after(url))


def copy(url, rows):
    """Do it by hand: the changes known, each old value checked, all in one transaction."""
    import psycopg

    source, dest = ({row[KEY]: row for row in side} for side in _sides(rows))
    new, changed, old = _changes(rows)
    new = [tuple(row.values()) for row in new]
    old = [tuple(dest[key].values()) for key in old]
    changed = {
        attr: [(key, value, dest[key][attr]) for name, key, value in changed if name == attr] for attr in ATTRIBUTES
    }
    del source

    def staged(cursor, name, columns, values):
        cursor.execute(f"create temp table {name} on commit drop as select {columns} from people with no data")
        with cursor.copy(f"copy {name} from stdin") as stream:
            for row in values:
                stream.write_row(row)
        cursor.execute(f"analyze {name}")

    def checked(cursor, statement, count):
        cursor.execute(statement)
        if cursor.rowcount != count:
            sys.exit(f"{cursor.rowcount} rows instead of {count}: {statement}")

    def apply():
        with psycopg.connect(url.replace("+psycopg", "")) as connection, connection.cursor() as cursor:
            staged(cursor, "new_people", COLUMN_LIST, new)
            checked(cursor, f"insert into people ({COLUMN_LIST}) select {COLUMN_LIST} from new_people", len(new))
            for attr, some in changed.items():
                staged(cursor, f"changed_{attr}", f"idnumber, {attr} as new, {attr} as old", some)
                checked(
                    cursor,
                    f"update people t set {attr} = s.new from changed_{attr} s "
                    f"where t.idnumber = s.idnumber and t.{attr} is not distinct from s.old",
                    len(some),
                )
            staged(cursor, "old_people", COLUMN_LIST, old)
            same = " and ".join(f"t.{attr} is not distinct from s.{attr}" for attr in ATTRIBUTES)
            checked(
                cursor, f"delete from people t using old_people s where t.idnumber = s.idnumber and {same}", len(old)
            )

    watch = Stopwatch(time.perf_counter)
    watch.measure("apply", apply)
    return watch.done(_after(url))


def dbmerge(url, rows):
    """Let dbmerge find out what has changed, and write it; it looks for no changes by others."""
    import sqlalchemy
    from dbmerge import dbmerge

    engine = sqlalchemy.create_engine(url)
    data = _sides(rows)[0]

    def apply():
        with dbmerge(engine=engine, data=data, table_name="people", delete_mode="delete", key=[KEY]) as merge:
            merge.exec(commit_all_steps=False)

    watch = Stopwatch(time.perf_counter)
    watch.measure("apply", apply)
    engine.dispose()
    return watch.done(_after(url))


def _fresh(function):
    """Let a contestant begin with the table as it was."""

    def run(url, rows, *arguments):
        import psycopg

        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("drop table if exists people")
            connection.execute(TABLE.format("people"))
            connection.execute("insert into people select * from original")
            connection.execute("vacuum analyze people")
            connection.execute("checkpoint")
        return function(url, rows, *arguments)

    return run


CONTESTANTS = {
    OURS: _fresh(lambda *arguments: datastoresync(*arguments, alone=False)),
    ALONE: _fresh(lambda *arguments: datastoresync(*arguments, alone=True)),
    COPY: _fresh(copy),
    DBMERGE: _fresh(dbmerge),
    CORE: _fresh(core),
}


def compare(options):
    import psycopg

    with postgresql() as url:
        for rows in options.rows:
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                connection.execute("drop table if exists original")
                connection.execute(TABLE.format("original"))
                with connection.cursor().copy(f"copy original ({COLUMN_LIST}) from stdin") as copy:
                    for row in _sides(rows)[1]:
                        copy.write_row(tuple(row.values()))
            figures, _ = alternating(__file__, CONTESTANTS, url, rows, runs=options.runs)
            count = sum(map(len, _changes(rows)))
            print(f"{count:,} changes to a table of {rows:,} rows; the table is the same after all of them\n")
            table(
                ["", "s", f"÷ {COPY}", f"÷ {DBMERGE}", "memory, MB"],
                [
                    [
                        name,
                        f"{own['apply']:.2f}",
                        times(own["apply"], figures[COPY]["apply"]),
                        times(own["apply"], figures[DBMERGE]["apply"]),
                        f"{own['memory']:.0f}",
                    ]
                    for name, own in figures.items()
                ],
            )


if __name__ == "__main__":
    main(__doc__, CONTESTANTS, compare, [10_000, 100_000])
