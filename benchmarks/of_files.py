"""Ways from two CSV files to the list of differences: every key that is new, old or changed, with both values."""

import contest
from generated import ATTRIBUTES, COLUMNS, KEY

OPEN, TYPED, DERIVED = "datastoresync, open class", "datastoresync, typed", "datastoresync, typed, a property"
OPEN_MEMORY, DERIVED_MEMORY = "datastoresync in memory, open class", "datastoresync in memory, typed, a property"
DUCKDB, POLARS, CSV = "DuckDB by hand", "polars by hand", "csv by hand"
DIFFSYNC, DATACOMPY, CSV_DIFF = "diffsync", "datacompy, polars", "csv-diff"

_ALL_COLUMNS = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
_BOTH_COLUMNS = ", ".join(f"{side}.{name}" for side in ("s", "d") for name in COLUMNS)
_DIFFERS = " or ".join(f"s.{name} is distinct from d.{name}" for name in ATTRIBUTES)


def ours(*, declared=True, derived=False, engine=None):
    """Return the way of this library. ``engine`` forces one."""

    def work(source, dest):
        import datetime

        from datastoresync import Branch, CSVImporter, Object

        class Typed(Object):
            name: str
            email: str
            department: str
            level: int
            active: bool
            since: datetime.date

        class Derived(Typed):
            @property
            def label(self):
                return f"{self.name} <{self.email}>"

        kind = Object if not declared else Derived if derived else Typed
        mine, theirs = (Branch(kind, importer=CSVImporter(path), engine=engine) for path in (source, dest))
        diff = +mine - +theirs
        return Found(diff)

    return work


class Found(list):
    """The actions, and the diff that they are of."""

    def __init__(self, diff):
        super().__init__(diff)
        self.explain = getattr(diff, "explain", lambda: "")


def _told(actions):
    """Return the actions, without those of the property, which must be those that its two attributes imply."""
    told = [(one.verb, one.idnumber, one.attr, one.old_value, one.value) for one in actions]
    derived = {one[1] for one in told if one[2] == "label"}
    if derived and derived != {one[1] for one in told if one[2] in ("name", "email")}:
        message = "the property differs elsewhere than the attributes that it is made of"
        raise AssertionError(message)
    return [one for one in told if one[2] != "label"]


def duckdb(source, dest):
    """Join the files by key, and list what differs in the few rows that come out.

    Of several ways this is the best: comparing hashes, grouping by all columns and a query an attribute take longer.
    """
    import duckdb

    def file(path):
        options = f"auto_detect=false, header=true, delim=',', quote='\"', escape='\"', columns={{{_ALL_COLUMNS}}}"
        return f"read_csv('{path}', {options})"

    connection = duckdb.connect()
    connection.execute("set preserve_insertion_order=false; set enable_progress_bar=false")
    found = connection.execute(
        f"select {_BOTH_COLUMNS} from {file(source)} s full join {file(dest)} d on s.{KEY} = d.{KEY} "
        f"where s.{KEY} is null or d.{KEY} is null or {_DIFFERS}",
    )
    return listed(found.fetchall())


def listed(rows):
    """Return the actions of rows that hold the source's columns and then the destination's."""
    width = len(COLUMNS)
    actions = []
    for row in rows:
        if row[width] is None:
            actions.append(("new", row[0], "", None, None))
        elif row[0] is None:
            actions.append(("old", row[width], "", None, None))
        else:
            actions += [
                ("update", row[0], attribute, old_value, value)
                for attribute, value, old_value in zip(ATTRIBUTES, row[1:width], row[width + 1 :], strict=True)
                if value != old_value
            ]
    return actions


def polars(source, dest):
    import polars

    def file(path):
        return polars.scan_csv(path, infer_schema=False)

    differs = polars.any_horizontal(
        polars.col(KEY).is_null(),
        polars.col(f"{KEY}_d").is_null(),
        *(polars.col(name).ne_missing(polars.col(f"{name}_d")) for name in ATTRIBUTES),
    )
    joined = file(source).join(file(dest), on=KEY, how="full", suffix="_d", coalesce=False)
    found = joined.filter(differs).collect(engine="streaming")
    return listed(found.select(*COLUMNS, *(f"{name}_d" for name in COLUMNS)).iter_rows())


def csv(source, dest):
    import csv

    with open(dest, encoding="utf-8", newline="") as file:  # noqa: PTH123 - as one writes it by hand
        rows = csv.reader(file)
        next(rows)
        theirs = {row[0]: row for row in rows}
    actions = []
    with open(source, encoding="utf-8", newline="") as file:  # noqa: PTH123 - as above
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            old = theirs.pop(row[0], None)
            if old is None:
                actions.append(("new", row[0], "", None, None))
            elif row != old:
                actions += [
                    ("update", row[0], attribute, old_value, value)
                    for attribute, value, old_value in zip(ATTRIBUTES, row[1:], old[1:], strict=True)
                    if value != old_value
                ]
    return actions + [("old", key, "", None, None) for key in theirs]


def diffsync(source, dest):
    import csv

    from diffsync import Adapter, DiffSyncModel

    class Person(DiffSyncModel):
        _modelname = "person"
        _identifiers = (KEY,)
        _attributes = ATTRIBUTES

        idnumber: str
        name: str
        email: str
        department: str
        level: str
        active: str
        since: str

    class People(Adapter):
        person = Person
        top_level = ("person",)

        def load(self, path):
            with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 - as one writes it by hand
                for row in csv.DictReader(file):
                    self.add(self.person(**row))

    mine, theirs = People(), People()
    mine.load(source)
    theirs.load(dest)
    actions = []
    for element in theirs.diff_from(mine).get_children():
        (key,) = element.keys.values()
        if element.action == "update":
            values = element.get_attrs_diffs()
            actions += [("update", key, name, values["-"][name], value) for name, value in values["+"].items()]
        elif element.action:
            actions.append(({"create": "new", "delete": "old"}[element.action], key, "", None, None))
    return actions


def compared(mine, theirs):
    """Return the actions that datacompy finds between two dataframes of polars."""
    from datacompy import PolarsCompare

    found = PolarsCompare(mine, theirs, join_columns=KEY)
    actions = [("new", key, "", None, None) for key in found.df1_unq_rows[KEY]]
    actions += [("old", key, "", None, None) for key in found.df2_unq_rows[KEY]]
    shared = found.intersect_rows
    for name in ATTRIBUTES:
        differing = shared.filter(~shared[f"{name}_match"]).select(KEY, f"{name}_df2", f"{name}_df1")
        actions += [("update", key, name, old_value, value) for key, old_value, value in differing.iter_rows()]
    return actions


def datacompy(source, dest):
    import polars

    return compared(*(polars.read_csv(path, infer_schema=False) for path in (source, dest)))


def csv_diff(source, dest):
    import csv_diff

    def load(path):
        with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 - as its documentation has it
            return csv_diff.load_csv(file, key=KEY)

    found = csv_diff.compare(load(dest), load(source))
    actions = [("new", row[KEY], "", None, None) for row in found["added"]]
    actions += [("old", row[KEY], "", None, None) for row in found["removed"]]
    for row in found["changed"]:
        actions += [
            ("update", row["key"], name, old_value, value) for name, (old_value, value) in row["changes"].items()
        ]
    return actions


_ANY = 10_000_000_000

CONTESTANTS = {
    OPEN: contest.Contestant(ours(declared=False), _told, largest=_ANY),
    TYPED: contest.Contestant(ours(), _told, largest=_ANY),
    DERIVED: contest.Contestant(ours(derived=True), _told, largest=_ANY),
    OPEN_MEMORY: contest.Contestant(ours(declared=False, engine="memory"), _told),
    DERIVED_MEMORY: contest.Contestant(ours(derived=True, engine="memory"), _told),
    DUCKDB: contest.Contestant(duckdb, largest=_ANY),
    POLARS: contest.Contestant(polars, largest=_ANY),
    CSV: contest.Contestant(csv),
    DATACOMPY: contest.Contestant(datacompy, largest=10_000_000),
    CSV_DIFF: contest.Contestant(csv_diff, slow=True),
    DIFFSYNC: contest.Contestant(diffsync, slow=True),
}
