"""This tree beside an earlier commit: the same work by both, in turn, each time in a process of its own.

    python benchmarks/before_after.py --base HEAD~10 --rows 100000 1000000 --runs 5

Prints the medians of both and their ratio; 1.03 says that this tree needs three per cent more than the commit did.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import database
import generated
from common import ROOT, table

_PERFORM = "import sys, contest; contest.perform(*sys.argv[1:])"
FILES = ("datastoresync, open class", "datastoresync, typed", "datastoresync, typed, a property")
IN_MEMORY = ("datastoresync in memory, open class", "datastoresync in memory, typed, a property")
TABLES = ("datastoresync",)
OBJECTS = ("datastoresync, closed class", "datastoresync, open class")
LARGEST_IN_MEMORY = 100_000


@contextlib.contextmanager
def checked_out(revision):
    """Yield a folder with the tree of a commit."""
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--force", str(tree), revision], check=True, capture_output=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True, capture_output=True)


def _python(tree, *arguments):
    here = tree / "benchmarks"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(tree)])}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=here, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def in_contest(module, name, *arguments):
    """Return a function that runs a contestant of `compare.py` in a tree, and its processor seconds and memory."""

    def run(tree):
        figures = _python(tree, "-c", _PERFORM, module, name, str(time.monotonic()), *arguments)["figures"]
        return {"seconds": figures["processor"], "MB": figures["megabytes"]}

    return run


def in_script(script, name, *arguments):
    """Return a function that runs a contestant of another script in a tree, and its figures."""
    return lambda tree: _python(tree, script, "--contestant", name, *arguments)["figures"]


def importing(tree):
    """Return the processor seconds that a bare import of all names takes."""
    code = "import json, time; from datastoresync import *; print(json.dumps({'seconds': time.process_time()}))"
    return _python(tree, "-c", code)


def compare(trees, work, runs):
    """Run a function on both trees in turn; return a row a figure."""
    found = [[work(tree) for tree in trees] for _ in range(runs)]
    for part in found[0][0]:
        before, after = (statistics.median(pair[side][part] for pair in found) for side in (0, 1))
        paired = statistics.median(pair[1][part] / pair[0][part] for pair in found)
        yield part, f"{before:.3f}", f"{after:.3f}", f"{after / before:.3f}", f"{paired:.3f}"


def contests(rows, folder, url):
    """Yield a name and a function for each piece of work."""
    paths = [folder / f"{side}-{rows}.csv" for side in ("source", "dest")]
    generated.write(paths, rows, seed=1)
    for name in FILES + (IN_MEMORY if rows <= LARGEST_IN_MEMORY else ()):
        yield f"two files: {name}", in_contest("of_files", name, *paths)
    database.fill(url, **dict(zip(("source", "dest"), paths, strict=True)))
    for name in TABLES:
        yield f"two tables: {name}", in_contest("of_tables", name, url)
    for name in OBJECTS:
        yield f"two lists: {name}", in_script("against_diffsync.py", name, rows)


def main():
    """Measure, and print a table for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--base", default="HEAD", help="the commit to hold this tree against")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rows a side")
    parser.add_argument("--runs", type=int, default=5, help="runs of each; the median counts")
    options = parser.parse_args()
    columns = ["work", "figure", "before", "after", "ratio", "median of the pairs"]
    with checked_out(options.base) as before, tempfile.TemporaryDirectory() as folder, database.postgresql() as url:
        trees = before, ROOT
        table(columns, [["import", *row] for row in compare(trees, importing, 4 * options.runs)])
        for rows in options.rows:
            print(f"\n{rows:,} rows a side\n")
            table(
                columns,
                [
                    [name, *row]
                    for name, work in contests(rows, Path(folder), url)
                    for row in compare(trees, work, options.runs)
                ],
            )


if __name__ == "__main__":
    main()
