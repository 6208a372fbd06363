"""``datastoresync diff`` of two CSV files, beside csv-diff, daff and git: whole processes, from start to end."""

import argparse
import compileall
import csv
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import COLUMNS, KEY, ROOT, source_and_destination, table, times

OURS = "datastoresync diff"


def _counts(text):
    """Return how many rows the first line of an output says were changed, added and removed."""
    found = dict.fromkeys(("changed", "added", "removed"), 0)
    for count, what in re.findall(r"([\d,]+) (?:rows? )?(changed|added|removed)", text.partition("\n")[0]):
        found[what] = int(count.replace(",", ""))
    return tuple(found.values())


def _daff_counts(text):
    marks = [line.partition(",")[0] for line in text.splitlines()]
    return sum("->" in mark for mark in marks), marks.count("+++"), marks.count("---")


def _program(name):
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _contestants(old, new):
    """Return the command of each, what reads its counts, and the most rows that it is given."""
    daff, git, other = _program("daff"), _program("git"), _program("csv-diff")
    ours = [sys.executable, "-m", "datastoresync", "diff", old, new, "--key", KEY]
    found = {OURS: (ours, _counts, None)}
    if other:
        found["csv-diff"] = ([other, old, new, f"--key={KEY}"], _counts, None)
    if daff:
        found["daff"] = ([daff, "diff", "--id", KEY, "--ordered", "--context", "0", old, new], _daff_counts, 100_000)
    if git:
        found["git diff --no-index, which knows no keys"] = ([git, "diff", "--no-index", old, new], None, None)
    return found


def _run(command):
    """Run a command; return its seconds, its processor seconds and its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return seconds, processor, done.stdout


def _write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([row[name] for name in COLUMNS] for row in sorted(rows, key=lambda row: row[KEY]))


def _compare(folder, count, runs):
    old, new = str(folder / "old.csv"), str(folder / "new.csv")
    after, before = source_and_destination(count)
    _write(Path(old), before)
    _write(Path(new), after)
    taking_part = {name: one for name, one in _contestants(old, new).items() if count <= (one[2] or count)}
    seconds, answers = {name: [] for name in taking_part}, {}
    for _ in range(runs):
        for name, (command, counts_of, _most) in taking_part.items():
            spent, _processor, output = _run(command)
            seconds[name].append(spent)
            if counts_of is not None:
                answers[name] = counts_of(output)
    if len(set(answers.values())) > 1:
        sys.exit(f"the contestants do not agree: {answers}")
    changed, added, removed = answers[OURS]
    print(f"{count:,} rows a side; {changed:,} changed, {added:,} added, {removed:,} removed, the same from all\n")
    medians = {name: statistics.median(spent) for name, spent in seconds.items()}
    table(
        ["", "seconds", f"÷ {OURS}"],
        [[name, f"{spent:.2f}", times(spent, medians[OURS])] for name, spent in medians.items()],
    )


def _start(folder, runs):
    """Print what starting a command costs beside the bare interpreter, each at its best."""
    old, new = folder / "old.csv", folder / "new.csv"
    for path, grade in ((old, "7"), (new, "8")):
        path.write_text(f"id,name,grade\n1,Ann,{grade}\n2,Bob,8\n", encoding="utf-8")
    ours = [sys.executable, "-m", "datastoresync"]
    commands = {
        "the bare interpreter": [sys.executable, "-c", "pass"],
        "`datastoresync --version`": [*ours, "--version"],
        "`datastoresync diff --help`": [*ours, "diff", "--help"],
        "`datastoresync diff` of two files of two rows": [*ours, "diff", str(old), str(new), "--key", "id"],
    }
    if other := _program("csv-diff"):
        commands["`csv-diff` of the same"] = [other, str(old), str(new), "--key=id"]
    best = {name: min(_run(command)[1] for _ in range(runs)) for name, command in commands.items()}
    table(["", f"processor seconds, best of {runs}"], [[name, f"{spent:.2f}"] for name, spent in best.items()])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rows a side")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; the median counts")
    options = parser.parse_args()
    compileall.compile_dir(ROOT / "datastoresync", quiet=2)  # as an installation is
    with tempfile.TemporaryDirectory() as name:
        _start(Path(name), 3 * options.runs)
        for count in options.rows:
            _compare(Path(name), count, options.runs)


if __name__ == "__main__":
    main()
