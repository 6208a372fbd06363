"""Two CSV files to the list of differences: beside the csv module with dictionaries, and with attrs objects."""

import csv
import datetime
import sys
import tempfile
from pathlib import Path

from common import ATTRIBUTES, COLUMNS, Stopwatch, alternating, main, source_and_destination, table, times

OURS, TEXT, ROWS, OBJECTS = "datastoresync, typed", "datastoresync, all text", "csv, dictionaries", "csv, attrs objects"


def datastoresync(source, dest, *, typed):
    from datastoresync import Branch, CSVImporter, Object

    class Typed(Object):
        name: str
        email: str
        department: str
        grade: int
        since: datetime.date

    class Text(Object):
        name: str
        email: str
        department: str
        grade: str
        since: str

    kind = Typed if typed else Text

    def work():
        return +Branch(kind, importer=CSVImporter(source)) - +Branch(kind, importer=CSVImporter(dest))

    watch = Stopwatch()
    diff = watch.measure("all", work)
    return watch.done((action.verb, action.idnumber, action.attr, _text(action.value)) for action in diff)


def _text(value):
    return value if value is None else str(value)


def _difference(source, dest, values):
    found = []
    for key, mine in source.items():
        theirs = dest.get(key)
        if theirs is None:
            found.append(("new", key, "", None))
        elif values(mine) != values(theirs):
            found += [
                ("update", key, attr, value)
                for attr, value, old_value in zip(ATTRIBUTES, values(mine), values(theirs), strict=True)
                if value != old_value
            ]
    return found + [("old", key, "", None) for key in dest if key not in source]


def dictionaries(source, dest):
    def read(path):
        with Path(path).open(encoding="utf-8", newline="") as file:
            return {row["idnumber"]: row for row in csv.DictReader(file)}

    def work():
        return _difference(read(source), read(dest), lambda row: [row[attr] for attr in ATTRIBUTES])

    watch = Stopwatch()
    return watch.done(watch.measure("all", work))


def objects(source, dest):
    import attrs

    @attrs.define(eq=False)
    class Person:
        idnumber: str
        name: str
        email: str
        department: str
        grade: str
        since: str

    def read(path):
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            return {row[0]: Person(*row) for row in rows}

    def work():
        return _difference(
            read(source),
            read(dest),
            lambda one: (one.name, one.email, one.department, one.grade, one.since),
        )

    watch = Stopwatch()
    return watch.done(watch.measure("all", work))


CONTESTANTS = {
    OURS: lambda *files: datastoresync(*files, typed=True),
    TEXT: lambda *files: datastoresync(*files, typed=False),
    ROWS: dictionaries,
    OBJECTS: objects,
}


def _write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def compare(options):
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / "source.csv", Path(folder) / "dest.csv"]
            for path, side in zip(paths, source_and_destination(rows), strict=True):
                _write(path, side)
            size = sum(path.stat().st_size for path in paths) / 2**20
            print(f"{rows:,} rows: {size:.0f} MB written", file=sys.stderr)
            figures, answer = alternating(__file__, CONTESTANTS, *paths, runs=options.runs)
        print(f"{rows:,} rows a file, {size:.0f} MB in all; {answer}, the same from all\n")
        table(
            ["", "processor s", f"÷ {ROWS}", "memory, MB", f"÷ {ROWS}"],
            [
                [
                    name,
                    f"{own['all']:.2f}",
                    times(own["all"], figures[ROWS]["all"]),
                    f"{own['memory']:.0f}",
                    times(own["memory"], figures[ROWS]["memory"]),
                ]
                for name, own in figures.items()
            ],
        )


if __name__ == "__main__":
    main(__doc__, CONTESTANTS, compare, [100_000, 1_000_000])
