"""A workbook to a list of rows: beside openpyxl, which streams, and python-calamine, which loads whole sheets."""

import importlib.util
import sys
import tempfile
from pathlib import Path

from common import COLUMNS, KEY, Stopwatch, alternating, main, source_and_destination, table, times

OURS, OPENPYXL, CALAMINE = "datastoresync", "openpyxl, by hand", "python-calamine, by hand"


def _named(rows):
    rows = iter(rows)
    names = next(rows)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _answer(rows):
    return (
        (row[KEY], *(str(row[name])[:10] for name in COLUMNS[1:4]), int(row["grade"]), str(row["since"])[:10])
        for row in rows
    )


def datastoresync(path):
    from datastoresync.syncers import open_syncer

    watch = Stopwatch()
    return watch.done(_answer(watch.measure("all", lambda: open_syncer(f"xlsx:{path}").load("one"))))


def openpyxl(path):
    import openpyxl

    def work():
        return _named(openpyxl.load_workbook(path, read_only=True)["one"].iter_rows(values_only=True))

    watch = Stopwatch()
    return watch.done(_answer(watch.measure("all", work)))


def calamine(path):
    from python_calamine import CalamineWorkbook

    def work():
        return _named(CalamineWorkbook.from_path(path).get_sheet_by_name("one").to_python())

    watch = Stopwatch()
    return watch.done(_answer(watch.measure("all", work)))


CONTESTANTS = {OURS: datastoresync, OPENPYXL: openpyxl}
if importlib.util.find_spec("python_calamine"):
    CONTESTANTS[CALAMINE] = calamine


def compare(options):
    from datastoresync.syncers import open_syncer

    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "book.xlsx"
            open_syncer(f"xlsx:{path}").dump("one", data=source_and_destination(rows)[0])
            size = path.stat().st_size / 2**20
            print(f"{rows:,} rows: {size:.0f} MB written", file=sys.stderr)
            figures, _ = alternating(__file__, CONTESTANTS, path, runs=options.runs)
        print(f"{rows:,} rows of {len(COLUMNS)} columns, {size:.0f} MB; the same rows from all\n")
        table(
            ["", "processor s", f"÷ {OURS}", "memory, MB", f"÷ {OURS}"],
            [
                [
                    name,
                    f"{own['all']:.2f}",
                    times(own["all"], figures[OURS]["all"]),
                    f"{own['memory']:.0f}",
                    times(own["memory"], figures[OURS]["memory"]),
                ]
                for name, own in figures.items()
            ],
        )


if __name__ == "__main__":
    main(__doc__, CONTESTANTS, compare, [10_000, 100_000])
