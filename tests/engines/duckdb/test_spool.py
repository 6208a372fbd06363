"""Tables in different places, and tables beside objects: brought together, with as few objects as can be."""

import pytest

from datastoresync import Branch, CSVImporter, Importer, Object, Template, Tree
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.duckdb.parquet import Spool
from datastoresync.engines.duckdb.relation import LocalRelation
from datastoresync.engines.engine import TableEngine
from datastoresync.engines.relation import CannotPushDown
from datastoresync.engines.table import TableObjects
from datastoresync.object import schema_of

DUCKDB = DuckDB(threads=1)


@pytest.fixture(autouse=True, scope="module")
def running():
    held = DUCKDB.opened()
    yield
    del held


class Person(Object):
    """Open."""


def rows_of(count, changed=()):
    return [(f"k{number:02}", f"name {number}{'!' * (number in changed)}") for number in range(count)]


def csv(tmp_path, name, rows, header="idnumber,name"):
    path = tmp_path / f"{name}.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return CSVImporter(path)


def tree(name, importer, cls=Person, engine=DUCKDB):
    return +Tree(name, branches={"people": Branch(cls, importer=importer, engine=engine)})


def actions(diff):
    return [(one.verb, one.idnumber, one.attr, one.value, one.old_value) for one in diff]


class Elsewhere:
    """Rows in some place that cannot compare with others."""

    engine = "elsewhere"

    def __init__(self, rows, place, columns=("idnumber", "name")):
        self.rows_there, self.location, self.columns, self.count = rows, place, columns, len(rows)
        self.asked = 0
        self.refuses = True

    def rows(self, page=None):
        self.asked += page is None
        assert page is None or page.limit
        yield list(zip(*sorted(self.rows_there), strict=True))

    def find(self, keys):
        found = [row for row in self.rows_there if row[0] in keys]
        if found:
            yield list(zip(*found, strict=True))

    def present(self, keys):
        return {row[0] for row in self.rows_there} & set(keys)

    def differing(self, other, work):
        raise CannotPushDown("it cannot")

    def close(self):
        pass


def elsewhere(name, rows, place="a", cls=Person, **options):
    """A tree with a branch whose rows are in some other place."""
    made = Tree(name, branches={"people": Branch(cls, engine=DUCKDB)})
    relation = Elsewhere(rows, place, **options)
    made.people.contents.objects = TableObjects(relation, made.people.description(), TableEngine(DUCKDB))
    return made, relation


# Different places ---------------------------------------------------------------------------------------------------


def test_rows_that_are_elsewhere_are_brought_in_once(tmp_path):
    source = tree("source", csv(tmp_path, "a", rows_of(9, {3})))
    dest, relation = elsewhere("dest", rows_of(8))
    diff = source - dest
    assert actions(diff) == [("new", "k08", "", None, None), ("update", "k03", "name", "name 3!", "name 3")]
    assert "8 rows came from elsewhere" in diff.explain()
    asked = relation.asked
    assert actions(dest - source) == actions(-diff)
    assert relation.asked == asked


@pytest.mark.parametrize("places", [("a", "a"), ("a", "b")])
def test_both_are_brought_in_where_neither_can_compare(places):
    source, _ = elsewhere("source", rows_of(9, {3}), places[0])
    dest, _ = elsewhere("dest", rows_of(8), places[1])
    diff = source - dest
    assert [action[:2] for action in actions(diff)] == [("new", "k08"), ("update", "k03")]
    assert diff.explain().count("came from elsewhere") == 2
    assert ("it cannot" in diff.explain()) == (places[0] == places[1])


def test_rows_that_cannot_be_brought_in_become_objects():
    source, _ = elsewhere("source", [("1", ["a"]), ("2", ["b"])])
    dest, _ = elsewhere("dest", [("1", ["a"]), ("3", ["b"])], "b")
    diff = source - dest
    assert [action[:2] for action in actions(diff)] == [("new", "2"), ("old", "3")]
    assert "memory engine, since everything became objects: name holds values of the type list" in diff.explain()
    assert next(iter(diff)).source is source.people["2"]


def test_another_moment_is_brought_in_anew():
    relation = Elsewhere(rows_of(3), "a")
    spool = Spool(DUCKDB)
    one = spool.local(relation, schema_of(Person))
    assert isinstance(one, LocalRelation)
    assert spool.local(relation, schema_of(Person)) is one
    assert spool.local(one, schema_of(Person)) is one
    relation.snapshot = object()
    assert spool.local(relation, schema_of(Person)) is not one


class Shouting(Object):
    @property
    def shout(self):
        return self.name.upper()


def test_properties_of_rows_elsewhere_are_computed_of_what_was_brought_in(tmp_path):
    source = tree("source", csv(tmp_path, "a", rows_of(9, {3})), Shouting)
    dest, _ = elsewhere("dest", rows_of(8), cls=Shouting)
    assert [action[2:] for action in actions(source - dest)][1:] == [
        ("name", "name 3!", "name 3"),
        ("shout", "NAME 3!", "NAME 3"),
    ]


@pytest.mark.parametrize("engine", ["elsewhere", "another"])
def test_two_places_of_one_engine_are_compared_apart_or_brought_in(monkeypatch, engine):
    asked = []

    def differing_apart(*given):
        asked.append(given[:2])
        raise CannotPushDown("too much differs")

    monkeypatch.setattr(Elsewhere, "differing_apart", differing_apart, raising=False)
    source, one = elsewhere("source", rows_of(3), "a")
    dest, other = elsewhere("dest", rows_of(2), "b")
    other.engine = engine
    diff = source - dest
    assert asked == ([(one, other)] if engine == one.engine else [])
    assert ("too much differs" in diff.explain()) == bool(asked)
    assert [action[:2] for action in actions(diff)] == [("new", "k02")]


# Beside objects -----------------------------------------------------------------------------------------------------


class Prepared(Importer):
    def __init__(self, rows):
        self.rows = rows

    def read(self):
        return [dict(zip(("idnumber", "name"), row, strict=True)) for row in self.rows]

    def prepare(self, row):
        return dict(row)


@pytest.mark.parametrize("backwards", [False, True])
def test_rows_pass_by_objects_and_only_those_that_differ_stay(tmp_path, backwards):
    table = tree("source", csv(tmp_path, "a", [*rows_of(9, {3}), ("z", "last")]))
    objects = tree("dest", Prepared([("a", "first"), *rows_of(8)]))
    sides = (objects, table) if backwards else (table, objects)
    diff = sides[0] - sides[1]
    verbs = {("new", "k08"), ("new", "z"), ("update", "k03"), ("old", "a")}
    if backwards:
        verbs = {({"new": "old", "old": "new"}.get(verb, verb), key) for verb, key in verbs}
    assert {action[:2] for action in actions(diff)} == verbs
    assert "is in memory, and the rows of the other side passed by" in diff.explain()
    assert "8 in both, 1 of them worth a look" in diff.explain()
    held = table.people.contents.objects
    assert set(held.recent) == {"k08", "z", "k03"}
    action = next(action for action in diff if action.verb == "update")
    assert (action.dest if backwards else action.source) is table.people["k03"]


def test_what_was_changed_by_hand_meets_objects_too(tmp_path):
    table = tree("source", csv(tmp_path, "a", rows_of(6)))
    objects = tree("dest", Prepared(rows_of(6)))
    assert not table - objects
    table.people["k01"].name = "other"
    table.people.new("k99", name="new")
    table.people.remove("k02")
    assert actions(table - objects) == [
        ("new", "k99", "", None, None),
        ("update", "k01", "name", "other", "name 1"),
        ("old", "k02", "", None, None),
    ]


class Accepting(Template):
    def new(self, action):
        return None

    update = old = new


def test_what_was_applied_is_folded_into_a_table_beside_objects(tmp_path):
    table = tree("dest", csv(tmp_path, "a", rows_of(6, {1, 2})), Shouting)
    objects = tree("source", Prepared(rows_of(7)), Shouting)
    diff = objects - table
    diff | Accepting
    assert not objects - table
    table.people._check()
