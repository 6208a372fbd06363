"""This library beside its peers: files, tables, a file and a table, two servers; seconds, memory, bytes that travel.

Prints a table a contest, and what was promised beside what was measured. Every contestant runs in a process of its own,
in turn with the others, and all must give the same answer.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import database
import generated
import of_files
import of_tables
import report
from common import ROOT
from contest import compete
from plot import plot
from proxy import Proxy

RESULTS = ROOT / "benchmarks" / "results.json"
DOCUMENT = ROOT / "docs" / "performance.md"
FULL = {"rows": [*report.SIZES, 10_000_000], "table_rows": [1_000_000], "far_rows": [10_000_000]}


@contextlib.contextmanager
def two_files(rows, seed):
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        paths = [Path(folder) / name for name in ("source.csv", "dest.csv")]
        print(f"writing two files of {rows:,} rows", file=sys.stderr, flush=True)
        generated.write(paths, rows, seed=seed)
        yield paths


def files(options):
    for rows in options.rows:
        with two_files(rows, options.seed) as paths:
            yield "files", compete("of_files", list(of_files.CONTESTANTS), *paths, rows=rows, options=options)


def tables(options):
    for rows in options.table_rows:
        with two_files(rows, options.seed) as paths, database.postgresql() as url:
            database.fill(url, **dict(zip(("source", "dest"), paths, strict=True)))
            if "tables" in options.parts:
                yield "tables", compete("of_tables", of_tables.IN_ONE_DATABASE, url, rows=rows, options=options)
            if "mixed" in options.parts:
                names = of_tables.BESIDE_A_FILE
                yield "mixed", compete("of_tables", names, paths[0], url, rows=rows, options=options)


def apart(options):
    for rows in options.far_rows:
        with database.postgresql() as one, database.postgresql() as other:
            print(f"making two tables of {rows:,} rows", file=sys.stderr, flush=True)
            database.generate(one, "source", rows)
            database.generate(other, "dest", rows, changed=50, moved=25)
            with Proxy(one) as mine, Proxy(other) as theirs:

                def travelled(mine=mine, theirs=theirs):
                    return mine.bytes + theirs.bytes

                names, urls = of_tables.ON_TWO_SERVERS, (mine.url, theirs.url)
                yield "apart", compete("of_tables", names, *urls, rows=rows, options=options, meter=travelled)


def measure(options):
    """Run the contests that were chosen; yield each as soon as it is over."""
    if "files" in options.parts:
        yield from files(options)
    if {"tables", "mixed"} & set(options.parts):
        yield from tables(options)
    if "apart" in options.parts:
        yield from apart(options)


def applying(options):
    """Let the script that measures applying print its own tables."""
    script = Path(__file__).resolve().parent / "apply_sql.py"
    rows = sorted({min(rows, 100_000) for rows in options.table_rows})
    command = [sys.executable, script, "--runs", str(options.runs), "--rows", *map(str, rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, flush=True)
    return done.stdout


class Options(argparse.Namespace):
    def chooses(self, name):
        """Say whether a contestant is to take part."""
        wanted = "" if self.only is None else self.only.lower().replace("ours", "datastoresync")
        return any(word.strip() in name.lower() for word in wanted.split(","))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"the contests: {', '.join(report.PARTS)} (all if none is named), applying",
    )
    add("--rows", type=int, nargs="+", default=[100_000], help="rows of a file")
    add("--table-rows", type=int, nargs="+", default=[100_000], help="rows of a table")
    add("--far-rows", type=int, nargs="+", default=[100_000], help="rows of a table on two servers")
    add("--sizes", action="store_true", help=f"files of {', '.join(f'{rows:,}' for rows in report.SIZES)} rows")
    add("--full", action="store_true", help="all contests, with up to ten million rows; takes hours")
    add("--runs", type=int, default=3, help="runs of each; the median counts")
    add("--only", help="contestants to run: parts of their names, with commas between; `ours` for this library's")
    add("--seed", type=int, default=7, help="of the generated rows")
    add("--save", type=Path, help="a JSON file for what was measured")
    add("--read", type=Path, help="such a file, to be printed again instead of measuring")
    add("--write", action="store_true", help="write docs/performance.md and its plot, and save benchmarks/results.json")
    chosen = parser.parse_args(namespace=Options())
    known = [*report.PARTS, "applying"]
    if unknown := set(chosen.parts) - set(known):
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    chosen.parts = chosen.parts or known
    if chosen.sizes:
        chosen.rows = list(report.SIZES)
    if chosen.full:
        vars(chosen).update(FULL)
    if chosen.write:
        chosen.save = chosen.save or RESULTS
    return chosen


def save(results, path):
    """Keep what was measured so far, if a path is given."""
    if path:
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def completed(results, path):
    """Return the figures with those that were measured before and not now, in the order of parts and sizes."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"contests": [], "applying": ""}
    now = {(one["part"], one["rows"]) for one in results["contests"]}
    contests = results["contests"] + [one for one in earlier["contests"] if (one["part"], one["rows"]) not in now]
    contests.sort(key=lambda one: (list(report.PARTS).index(one["part"]), one["rows"]))
    return {**results, "contests": contests, "applying": results["applying"] or earlier["applying"]}


def measured(chosen):
    """Run what was chosen, print each table as soon as there is one, and return the figures."""
    results = {"machine": report.machine(), "contests": [], "applying": ""}
    path = None if chosen.write else chosen.save  # what was measured before is kept until all is over
    for part, contest in measure(chosen):
        results["contests"].append({"part": part, **contest})
        print(report.contest(results["contests"][-1]), flush=True)
        save(results, path)
    if "applying" in chosen.parts:
        results["applying"] = applying(chosen)
    print(report.promises(results), report.engines(results), sep="\n")
    return results


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that no server and no file stays behind
    chosen = options()
    if chosen.read:
        results = json.loads(chosen.read.read_text(encoding="utf-8"))
        print(report.whole(results))
    else:
        results = measured(chosen)
        if chosen.write:
            results = completed(results, RESULTS)
    save(results, chosen.save)
    failed = [name for one in results["contests"] for name, figures in one["figures"].items() if figures is None]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    if chosen.write:
        report.write(results, DOCUMENT)
        plot(results, DOCUMENT.with_suffix(".svg"))


if __name__ == "__main__":
    main()
