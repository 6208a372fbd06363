"""What the benchmarks share: their data, a fresh process a run, and tables."""

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

KEY = "idnumber"
ATTRIBUTES = ("name", "email", "department", "grade", "since")
COLUMNS = (KEY, *ATTRIBUTES)

_FIRST_DAY = datetime.date(1990, 1, 1)


def row(number):
    """Return one row, whose values no other row shares."""
    return {
        KEY: f"u{number:08d}",
        "name": f"Person Number {number}",
        "email": f"person.{number}@school.example",
        "department": f"department {number % 97}",
        "grade": number * 7919 % 100_003,
        "since": _FIRST_DAY + datetime.timedelta(days=number % 12_000),
    }


def _changed(old, attribute):
    value = old[attribute]
    if isinstance(value, str):
        return f"{value} (changed)"
    return value + (datetime.timedelta(days=1) if isinstance(value, datetime.date) else 1)


def source_and_destination(count, *, changed=0.01, new=0.005, old=0.005, seed=7):
    """Return two lists of about ``count`` rows: shares of them changed in one attribute, and on one side only.

    Each is in an order of its own, and made in that order, as rows out of a file or a database are.
    """
    mixed = random.Random(seed)
    added, dropped = round(count * new), round(count * old)
    shared = range(added, added + count - dropped)
    attribute_changed = {
        number: ATTRIBUTES[place % len(ATTRIBUTES)]
        for place, number in enumerate(mixed.sample(shared, round(count * changed)))
    }
    source_numbers = [*range(added), *shared]
    destination_numbers = [*shared, *range(shared.stop, shared.stop + dropped)]
    mixed.shuffle(source_numbers)
    mixed.shuffle(destination_numbers)
    source_rows = [row(number) for number in source_numbers]
    for number, one in zip(source_numbers, source_rows, strict=True):
        if number in attribute_changed:
            attribute = attribute_changed[number]
            one[attribute] = _changed(one, attribute)
    return source_rows, [row(number) for number in destination_numbers]


def start_watching_memory():
    """Let `megabytes` count from here, where the system can do that; what was freed before is then not counted."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def megabytes():
    """Return the highest memory of this process so far.

    On Linux not from ``getrusage``, whose figure a process inherits from the one that started it.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    factor = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor / 2**20


class Stopwatch:
    """Measures named stretches of one process, and its memory above what it had at the start.

    Its clock counts processor seconds, which other processes on the machine disturb least. Where another process does
    part of the work, a database say, give it ``time.perf_counter``.
    """

    def __init__(self, clock=time.process_time):
        self.clock = clock
        self.figures = {}
        start_watching_memory()
        self._before = megabytes()

    def measure(self, name, function, *arguments):
        started = self.clock()
        result = function(*arguments)
        self.figures[name] = self.figures.get(name, 0) + self.clock() - started
        return result

    def best(self, name, function, *arguments, rounds=3):
        """Measure what changes nothing, several times over; the quickest counts, which others disturbed least."""
        found = []
        for _ in range(rounds):
            result = None  # only one at a time counts as memory
            started = self.clock()
            result = function(*arguments)
            found.append(self.clock() - started)
        self.figures[name] = min(found)
        return result

    def done(self, answer):
        """Return the figures, with the answer as counts and a digest that two contestants can be held against."""
        self.figures["memory"] = megabytes() - self._before
        lines = sorted(map(repr, answer))
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return {"figures": self.figures, "answer": f"{len(lines)} differences, {digest[:16]}"}


def in_fresh_process(script, *arguments):
    """Run one contestant of a script and return what it reports."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, script, "--contestant", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def alternating(script, contestants, *arguments, runs=3, once=()):
    """Run every contestant in turn, ``runs`` times over, each time in a process of its own.

    Those in ``once`` run in the first round only. Refuses to go on if two of them give different answers.
    """
    found = {name: [] for name in contestants}
    answers = {}
    for turn in range(runs):
        for name in contestants:
            if turn and name in once:
                continue
            print(f"{name} ({turn + 1}/{runs})", file=sys.stderr, flush=True)
            report = in_fresh_process(script, name, *arguments)
            answers[name] = report["answer"]
            found[name].append(report["figures"])
    if len(set(answers.values())) > 1:
        sys.exit(f"the contestants do not agree: {answers}")
    figures = {
        name: {stretch: statistics.median(run[stretch] for run in runs) for stretch in runs[0]}
        for name, runs in found.items()
    }
    return figures, next(iter(answers.values()))


def times(value, other):
    """Return how many times ``other`` a value is."""
    return f"{value / other:.2f} ×" if value < 10 * other else f"{value / other:.0f} ×"


def table(names, rows):
    """Print a table in Markdown."""
    print(f"| {' | '.join(names)} |")
    print(f"|{'|'.join('---' if place == 0 else '---:' for place in range(len(names)))}|")
    for cells in rows:
        print(f"| {' | '.join(map(str, cells))} |")
    print(flush=True)


def main(description, contestants, compare, sizes):
    """Run one contestant, if asked to by another process, or compare them all for each number of rows."""
    if sys.argv[1:2] == ["--contestant"]:
        name, *arguments = sys.argv[2:]
        print(json.dumps(contestants[name](*arguments)))
        return
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, nargs="+", default=sizes, help="rows a side")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument("--peer", type=int, default=100_000, help="rows up to which slow peers run")
    options = parser.parse_args()
    compare(options)
