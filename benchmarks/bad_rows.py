"""Many changes to a PostgreSQL table, a few of which it refuses: what finding and leaving them out costs."""

import sys
import time
from functools import partial
from operator import eq

from common import ROOT, Stopwatch, alternating, main, table, times

sys.path.insert(0, str(ROOT / "examples"))

from postgresql import postgresql

TABLE = (
    "create table people (id integer primary key, name text not null unique, grade integer not null check (grade >= 0))"
)
BAD = {
    "none": {},
    "one refused": {0.45: ("grade", -1)},
    "one late": {0.999: ("grade", -1)},
    "one taken": {0.45: ("name", "taken")},
    "one a half": {0.3: ("grade", -1), 0.8: ("grade", -1)},
}


class Same:
    """The definition of equality, of whole columns as well."""

    def __call__(self, _change, _attribute, raw, expected):
        return raw == expected

    def same_column(self, _change, _attribute, raws, expected):
        return all(map(eq, raws, expected))


def run(verb, bad, url, rows):
    import psycopg

    from datastoresync.syncers.changes import Change, Table, WriteOptions
    from datastoresync.syncers.sql.syncer import SQLSyncer

    rows, people = int(rows), Table("people")
    values = [{"name": f"name {key}", "grade": key} for key in range(1, rows + 1)]
    wanted = [{"name": f"new {key}", "grade": key + 1} for key in range(1, rows + 1)]
    for share, (name, value) in BAD[bad].items():
        wanted[int(share * rows)][name] = value
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("drop table if exists people")
        connection.execute(TABLE)
        connection.execute("insert into people values (0, 'taken', 0)")
        if verb == "update":
            series = f"select n, 'name ' || n, n from generate_series(1, {rows}) n"
            connection.execute(f"insert into people {series}")
        connection.execute("vacuum analyze people")
        connection.execute("checkpoint")
    new = {"insert": ({}, wanted), "update": (values, wanted)}[verb]
    changes = [
        Change(verb, people, ("id",), (key,), after, new[0][key - 1] if new[0] else {})
        for key, after in enumerate(new[1], 1)
    ]
    with SQLSyncer(url) as syncer:
        syncer.tables()
        watch = Stopwatch(time.perf_counter)
        options = WriteOptions(on_error="continue")
        outcomes = watch.measure("apply", lambda: syncer.apply_changes(changes, same=Same(), options=options))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if len(failed) != len(BAD[bad]):
        sys.exit(f"{len(failed)} failed: {failed[:3]}")
    return watch.done(())


CONTESTANTS = {f"{verb}, {bad}": partial(run, verb, bad) for verb in ("insert", "update") for bad in BAD}


def compare(options):
    with postgresql() as url:
        for rows in options.rows:
            figures, _ = alternating(__file__, CONTESTANTS, url, rows, runs=options.runs)
            print(f"{rows:,} changes\n")
            table(
                ["bad rows", "s", "÷ none"],
                [
                    [
                        name,
                        f"{own['apply']:.2f}",
                        times(own["apply"], figures[f"{name.partition(',')[0]}, none"]["apply"]),
                    ]
                    for name, own in figures.items()
                ],
            )


if __name__ == "__main__":
    main(__doc__, CONTESTANTS, compare, [100_000])
