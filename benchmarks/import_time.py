"""Importing names of `datastoresync` in an interpreter that sees nothing but attrs and sortedcontainers."""

import argparse
import compileall
import importlib.util
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import ROOT, table, times

NEEDED = ("attr", "attrs", "sortedcontainers")
SOME, ALL = "from datastoresync import Branch, CSVImporter, Object", "from datastoresync import *"


def _packages(folder):
    """Copy the package and what it needs into a folder of their own, compiled as an installation is."""
    for name in NEEDED:
        found = importlib.util.find_spec(name)
        shutil.copytree(Path(found.origin).parent, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "datastoresync", folder / "datastoresync", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(folder, quiet=2)


def _start(folder, code, *options):
    """Start an interpreter without site-packages; return its processor seconds, and what it said of its imports."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-I", "-S", *options, "-c", program], check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


def _imports(folder):
    """Return each import's own time and its time with all that it imported, in milliseconds, by name."""
    lines = _start(folder, ALL, "-X", "importtime")[1].splitlines()
    found = []
    for line in lines:
        own, _, rest = line.removeprefix("import time:").partition("|")
        total, _, name = rest.partition("|")
        if own.strip().isdigit():
            found.append((int(own) / 1000, int(total) / 1000, name.strip()))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="starts of each; the median counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _packages(folder)
        _start(folder, ALL)
        bare, needed, some, full = [], [], [], []
        for _ in range(options.runs):
            bare.append(_start(folder, "pass")[0])
            needed.append(_start(folder, "import attrs, sortedcontainers")[0])
            some.append(_start(folder, SOME)[0])
            full.append(_start(folder, ALL)[0])
        imports = _imports(folder)
    start, base, part, whole = (statistics.median(runs) * 1000 for runs in (bare, needed, some, full))
    table(
        ["", f"processor ms, median of {options.runs}", "÷ interpreter"],
        [
            ["starting the bare interpreter", f"{start:.0f}", times(start, start)],
            ["`import attrs, sortedcontainers` in it", f"{base - start:.0f}", times(base - start, start)],
            [f"`{SOME}` in it, with both", f"{part - start:.0f}", times(part - start, start)],
            [f"`{ALL}` in it, with both", f"{whole - start:.0f}", times(whole - start, start)],
        ],
    )
    spent = sum(own for own, _, _ in imports) or 1
    slowest = sorted(imports, reverse=True)[:10]
    table(
        ["slowest imports", "of the whole", "with all they import"],
        [[f"`{module}`", f"{own / spent:.0%}", f"{total / spent:.0%}"] for own, total, module in slowest],
    )


if __name__ == "__main__":
    main()
