"""The dsync vocabulary beside diffsync: the same classes and loops, with another import line."""

import importlib

from common import Stopwatch, alternating, main, source_and_destination, table, times

OURS, PEER = "datastoresync", "diffsync"
MODULES = {OURS: "datastoresync.vocabularies.dsync", PEER: "diffsync"}
SHAPES = ("flat", "sites with devices")
SITES = 1000
ATTRIBUTES = ("name", "email", "department", "grade", "since")


def declare(words, nested):
    import datetime

    class Device(words.DiffSyncModel):
        _modelname = "device"
        _identifiers = ("idnumber",)
        _attributes = ATTRIBUTES
        idnumber: str
        name: str
        email: str
        department: str
        grade: int
        since: datetime.date

    class Site(words.DiffSyncModel):
        _modelname = "site"
        _identifiers = ("name",)
        _children = {"device": "devices"}
        name: str
        devices: list[str] = []

    class Network(words.Adapter):
        site = Site
        device = Device
        top_level = ["site"] if nested else ["device"]

        def load(self, rows):
            if nested:
                for number in range(SITES):
                    self.add(self.site(name=f"site {number}"))
            for row in rows:
                device = self.device(**row)
                self.add(device)
                if nested:
                    self.get("site", f"site {int(row['idnumber'][1:]) % SITES}").add_child(device)

    return Network


def contestant(name, count, shape):
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    words = importlib.import_module(MODULES[name])
    network = declare(words, nested=shape != SHAPES[0])
    rows = source_and_destination(int(count))
    source, dest = network("source"), network("dest")
    watch = Stopwatch()
    watch.measure("load", source.load, rows[0])
    watch.measure("load", dest.load, rows[1])
    watch.figures["models"] = 0
    loaded = watch.done([])["figures"]["memory"]
    diff = watch.best("difference", dest.diff_from, source)
    found = watch.best("dict", diff.dict)
    watch.measure("sync", lambda: dest.sync_from(source, diff=diff))
    flat = [*found.get("device", {}).items()]
    flat += [pair for site in found.get("site", {}).values() for pair in site.get("device", {}).items()]
    answer = [(key, sorted((sign, sorted(values.items())) for sign, values in one.items())) for key, one in flat]
    report = watch.done([*answer, sorted(diff.summary().items()), len(dest)])
    report["figures"]["models"] = loaded
    return report


CONTESTANTS = {
    OURS: lambda count, shape: contestant(OURS, count, shape),
    PEER: lambda count, shape: contestant(PEER, count, shape),
}
STRETCHES = ("load", "difference", "dict", "sync", "models", "memory")


def compare(options):
    for rows in options.rows:
        for shape in SHAPES:
            once = (PEER,) if rows > 100_000 else ()
            figures, answer = alternating(__file__, CONTESTANTS, rows, shape, runs=options.runs, once=once)
            print(f"{shape}, {rows:,} a side; {answer}, the same from both\n")
            table(
                ["", "load, s", "difference, s", "its dict(), s", "sync, s", "models, MB", "all, MB"],
                [[name, *(f"{own[part]:.3g}" for part in STRETCHES)] for name, own in figures.items()],
            )
            ratios = [times(figures[PEER][part], figures[OURS][part]) for part in STRETCHES]
            table(["ratio", *STRETCHES], [[f"{PEER} ÷ {OURS}", *ratios]])


if __name__ == "__main__":
    main(__doc__, CONTESTANTS, compare, [100_000])
