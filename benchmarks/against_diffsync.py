"""Two lists of rows in memory: loading both and finding the differences, beside diffsync and a loop by hand."""

import datetime

from common import ATTRIBUTES, KEY, Stopwatch, alternating, main, source_and_destination, table, times

OURS, OPEN, PEER, HAND = "datastoresync, closed class", "datastoresync, open class", "diffsync", "by hand"


def datastoresync(count, *, declared):
    from datastoresync import Branch, Object

    class Person(Object):
        name: str
        email: str
        department: str
        grade: int
        since: datetime.date

    rows = source_and_destination(int(count))
    kind = Person if declared else Object
    source, dest = (Branch(kind, importer=side) for side in rows)
    watch = Stopwatch()
    watch.measure("load", source.load)
    watch.measure("load", dest.load)
    diff = watch.measure("difference", source.diff, dest)
    answer = [(action.verb, action.idnumber, action.attr, action.old_value, action.value) for action in diff]
    return watch.done(answer)


def diffsync(count):
    from diffsync import Adapter, DiffSyncModel

    class Person(DiffSyncModel):
        _modelname = "person"
        _identifiers = (KEY,)
        _attributes = ATTRIBUTES

        idnumber: str
        name: str
        email: str
        department: str
        grade: int
        since: datetime.date

    class People(Adapter):
        person = Person
        top_level = ("person",)

        def load(self, rows):
            for row in rows:
                self.add(self.person(**row))

    rows = source_and_destination(int(count))
    source, dest = People(), People()
    watch = Stopwatch()
    watch.measure("load", source.load, rows[0])
    watch.measure("load", dest.load, rows[1])
    diff = watch.measure("difference", dest.diff_from, source)
    answer = []
    for element in diff.get_children():
        if element.action == "update":
            changes = element.get_attrs_diffs()
            (key,) = element.keys.values()
            answer += [("update", key, attr, changes["-"][attr], value) for attr, value in changes["+"].items()]
        elif element.action:
            verb = {"create": "new", "delete": "old"}[element.action]
            answer.append((verb, element.keys[KEY], "", None, None))
    return watch.done(answer)


def by_hand(count):
    def load(rows):
        return {
            row["idnumber"]: (row["name"], row["email"], row["department"], row["grade"], row["since"]) for row in rows
        }

    def difference(source, dest):
        found = []
        for key, values in source.items():
            old_values = dest.get(key)
            if old_values is None:
                found.append(("new", key, "", None, None))
            elif values != old_values:
                found += [
                    ("update", key, attr, old_value, value)
                    for attr, old_value, value in zip(ATTRIBUTES, old_values, values, strict=True)
                    if old_value != value
                ]
        found += [("old", key, "", None, None) for key in dest if key not in source]
        return found

    rows = source_and_destination(int(count))
    watch = Stopwatch()
    source = watch.measure("load", load, rows[0])
    dest = watch.measure("load", load, rows[1])
    return watch.done(watch.measure("difference", difference, source, dest))


CONTESTANTS = {
    OURS: lambda count: datastoresync(count, declared=True),
    OPEN: lambda count: datastoresync(count, declared=False),
    PEER: diffsync,
    HAND: by_hand,
}
STRETCHES = ("load", "difference", "memory")


def compare(options):
    found = {}
    for rows in options.rows:
        here = [name for name in CONTESTANTS if name != PEER or rows <= options.peer]
        once = (PEER,) if rows > 100_000 else ()
        figures, answer = alternating(__file__, here, rows, runs=options.runs, once=once)
        found[rows] = figures
        print(f"{rows:,} rows a side; {answer}, the same from all\n")
        table(
            ["", "load, s", "difference, s", "memory, MB"],
            [
                [name, f"{own['load']:.2f}", f"{own['difference']:.3f}", f"{own['memory']:.0f}"]
                for name, own in figures.items()
            ],
        )
        if PEER in figures:
            ratios = [
                [f"diffsync ÷ {name}", *(times(figures[PEER][part], figures[name][part]) for part in STRETCHES)]
                for name in (OURS, OPEN)
            ]
        else:
            print(f"diffsync was left out: it takes minutes and gigabytes here; `--peer {rows}` runs it once\n")
            ratios = []
        ratios += [
            [f"{name} ÷ by hand", *(times(figures[name][part], figures[HAND][part]) for part in STRETCHES)]
            for name in (OURS, OPEN)
        ]
        table(["ratio", "load", "difference", "memory"], ratios)
    if len(found) > 1:
        few, many = min(found), max(found)
        print(f"Growth of the cost of one row, from {few:,} to {many:,} rows; 1 is linear\n")
        table(
            ["", *STRETCHES],
            [
                [name, *(times(found[many][name][part] / many, found[few][name][part] / few) for part in STRETCHES)]
                for name in CONTESTANTS
                if name in found[few] and name in found[many]
            ],
        )


if __name__ == "__main__":
    main(__doc__, CONTESTANTS, compare, [100_000, 1_000_000])
