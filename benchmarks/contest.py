"""Contestants against each other, each in a fresh process: seconds and memory from its start to its answer."""

import compileall
import contextlib
import hashlib
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import ROOT, megabytes

_PERFORM = "import sys, contest; contest.perform(*sys.argv[1:])"


class Contestant:
    """One way to do the work.

    Args:
        work: Does it with the arguments of the contest, and returns what it found, in its own form.
        told: Makes of that the actions ``(verb, key, attribute, old value, new value)``; not counted. None where
            the work has no answer, as in reading alone.
        largest: The most rows that it is tried with.
        slow: Whether it runs but once where there are more than 100,000 rows.
    """

    def __init__(self, work, told=list, *, largest=1_000_000, slow=False):
        self.work = work
        self.told = told
        self.largest = largest
        self.slow = slow


def perform(module, name, started, *arguments):
    """Be one contestant, in the process that `_run` started, and print what was measured."""
    contestant = importlib.import_module(module).CONTESTANTS[name]
    found = contestant.work(*arguments)
    seconds = time.monotonic() - float(started)
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {
        "seconds": seconds,
        "processor": sum(one.ru_utime + one.ru_stime for one in used),
        "megabytes": megabytes() + _children(),
    }
    answer = None
    if contestant.told is not None:
        lines = sorted(repr((*action[:3], *map(_text, action[3:]))) for action in contestant.told(found))
        answer = f"{len(lines):,} differences, {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}"
    explain = getattr(found, "explain", None)
    print()  # ends the line that a progress bar may have begun
    print(json.dumps({"figures": report, "answer": answer, "note": str(explain()) if explain else ""}))


def _text(value):
    """Return a value as the file has it."""
    return value if value is None else str(int(value) if isinstance(value, bool) else value)


def _children():
    """Return the highest memory of the processes that this one started, if there are any."""
    found = 0.0
    for place in Path("/proc/self/task").glob("*/children"):
        for child in place.read_text(encoding="ascii").split():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{child}/status").read_text(encoding="ascii", errors="replace")
                found += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
    return found


def _run(module, name, arguments):
    here = str(Path(__file__).resolve().parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, str(ROOT), os.environ.get("PYTHONPATH", "")])}
    started = str(time.monotonic())
    command = [sys.executable, "-c", _PERFORM, module, name, started, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(f"{name} failed with {done.returncode}: {done.stderr}", file=sys.stderr, flush=True)
        return {"figures": None, "answer": None, "note": ""}
    return json.loads(done.stdout.splitlines()[-1])


def compete(module, names, *arguments, rows, options, meter=None):
    """Run contestants in turn, several rounds over, and return the medians of what they need.

    A contestant that fails is reported as failed, and is not tried again.

    Args:
        module: The module that has the ``CONTESTANTS``.
        names: Those of them that take part, if the options choose them and they can do so many rows.
        arguments: What they are given.
        rows: How many rows a side has.
        options: Those of the command: ``runs``, ``only``.
        meter: Returns a count that grows while they work, of bytes say.

    Raises:
        SystemExit: if two of them give different answers.
    """
    compileall.compile_dir(ROOT / "datastoresync", quiet=2)  # as pip compiles those of the others
    contestants = importlib.import_module(module).CONTESTANTS
    waiting = [name for name in names if options.chooses(name) and rows <= contestants[name].largest]
    found, answers, notes = {name: [] for name in waiting}, {}, {}
    for turn in range(options.runs):
        for name in list(waiting):
            print(f"{rows:,} rows: {name} ({turn + 1}/{options.runs})", file=sys.stderr, flush=True)
            before = meter() if meter else 0
            done = _run(module, name, arguments)
            notes[name] = done["note"]
            if done["figures"] is None:
                found[name] = None
            else:
                found[name].append(done["figures"] | ({"bytes": meter() - before} if meter else {}))
            if done["figures"] is None or (contestants[name].slow and rows > 100_000):
                waiting.remove(name)
            if done["answer"] is not None:
                answers.setdefault(done["answer"], name)
            if len(answers) > 1:
                sys.exit(f"the contestants do not agree: {json.dumps(answers, indent=2)}")
    return {
        "rows": rows,
        "answer": next(iter(answers), ""),
        "figures": {
            name: runs and {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for name, runs in found.items()
        },
        "runs": {name: len(runs or ()) for name, runs in found.items()},
        "notes": notes,
    }
