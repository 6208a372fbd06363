"""What Spark costs on one machine: two files of a million rows compared in local mode, the first time and again."""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import common
import generated

from datastoresync import Object
from datastoresync.engines.relation import Work
from datastoresync.engines.spark.relation import SparkRelation
from datastoresync.object import schema_of

SCHEMA = ", ".join(f"{name} string" for name in generated.COLUMNS)


class Person(Object):
    idnumber: str
    name: str
    email: str
    department: str
    level: int
    active: bool
    since: str


def session(folder, memory, cores):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": memory,
        "spark.local.dir": str(folder),
        "spark.sql.shuffle.partitions": "8",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "OFF",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("benchmark")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def frames(spark, paths, kind):
    if kind == "parquet":
        return [spark.read.parquet(str(path.with_suffix(".parquet"))) for path in paths]
    options = {"header": True, "schema": SCHEMA, "mode": "FAILFAST", "escape": '"', "multiLine": False}
    return [spark.read.csv(str(path), **options) for path in paths]


def compare(spark, paths, kind):
    """Return the seconds for opening both sides and for comparing them, and how many rows differ."""
    layout = schema_of(Person)
    converters = {name: field.converter for name, field in layout.fields.items()}
    started = time.perf_counter()
    left, right = (SparkRelation(frame, layout) for frame in frames(spark, paths, kind))
    opened = time.perf_counter()
    attributes = [name for name in generated.COLUMNS if name != "idnumber"]
    compared = left.differing(right, Work(attributes, converters, converters))
    differing = sum(len(columns[0]) for rows in (compared.left, compared.right) for columns in rows)
    done = time.perf_counter()
    left.close()
    return opened - started, done - opened, differing


def processes():
    """Yield the name, the processor seconds and the highest memory in MB of this process and all below it."""
    parents, found = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines = (folder / "status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:15]
            parents[int(folder.name)] = int(fields["PPid"])
            seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
            memory = int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
            found[int(folder.name)] = (fields["Name"].strip(), seconds, memory)
    for process, figures in found.items():
        above = process
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid():
            yield figures


def processor_seconds():
    return sum(seconds for _, seconds, _ in processes())


def measure(count, kind, memory, cores, runs):
    """Return one row of the table, as a fresh process measures it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("source.csv", "destination.csv")]
        generated.write(paths, int(count))
        started = time.perf_counter()
        spark = session(folder, memory, cores)
        begun = time.perf_counter() - started
        if kind == "parquet":
            for path in paths:
                spark.read.csv(str(path), header=True, schema=SCHEMA).write.parquet(str(path.with_suffix(".parquet")))
        common.start_watching_memory()
        cold = compare(spark, paths, kind)
        before = processor_seconds()
        warm = [compare(spark, paths, kind) for _ in range(int(runs))]
        used = (processor_seconds() - before) / len(warm)
        opening, comparing = (statistics.median(run[place] for run in warm) for place in (0, 1))
        java = max(highest for name, _, highest in processes() if name == "java")
        row = [f"{int(count):,}", kind, f"{begun:.1f} s", f"{cold[0]:.1f} + {cold[1]:.1f} s"]
        row += [f"{opening:.1f} + {comparing:.1f} s", f"{used:.1f} s", f"{cold[2]:,}"]
        row += [f"{common.megabytes():.0f} MB", f"{java:.0f} MB"]
        spark.stop()
    return row


NAMES = [
    "rows a side",
    "files",
    "session",
    "first: opening + comparing",
    "again, median",
    "of processors",
    "rows that differ",
    "driver",
    "JVM",
]

if __name__ == "__main__":
    if sys.argv[1:2] == ["--contestant"]:
        print(json.dumps(measure(*sys.argv[2:])))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rows a side")
    parser.add_argument("--runs", type=int, default=3, help="runs after the first")
    parser.add_argument("--memory", default="2g", help="heap of the JVM")
    parser.add_argument("--cores", type=int, default=2, help="cores that Spark uses")
    parser.add_argument("--kinds", nargs="+", default=["csv", "parquet"], choices=["csv", "parquet"])
    chosen = parser.parse_args()
    common.table(
        NAMES,
        (
            common.in_fresh_process(__file__, count, kind, chosen.memory, chosen.cores, chosen.runs)
            for count in chosen.rows
            for kind in chosen.kinds
        ),
    )
