"""Templates that look what is there: what changed since the import is a conflict, and is kept."""

import sqlite3
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from datastoresync import Branch, DeclarationError, Limits, Object, Template, Tree, batch, failed


class Person(Object):
    _sensitive = ("password",)
    name: str = ""
    password: str = ""


class Team(Object):
    members: set[str]


MANY = Limits(updates=100, deletions=100)


def people(name, rows):
    return +Tree(name, branches={"people": Branch(Person, importer=[{"idnumber": key, **row} for key, row in rows])})


class Store(Template):
    """Keeps rows in a dictionary, and notes what it was asked to do."""

    def __init__(self, rows):
        super().__init__()
        self.rows = {key: dict(row) for key, row in rows}
        self.asked = []

    def new_people(self, action):
        self.asked.append(("new", action.idnumber))
        self.rows[action.idnumber] = {"name": action.source.name}

    def update_people(self, action):
        self.asked.append(("update", action.idnumber))
        self.rows[action.idnumber][action.attr] = action.value

    def old_people(self, action):
        self.asked.append(("old", action.idnumber))
        del self.rows[action.idnumber]


class Looking(Store):
    def current(self, action):
        return self.rows.get(action.idnumber)


BEFORE = [(key, {"name": "old"}) for key in "abcdefgh"]
WANTED = [(key, {"name": "new"}) for key in "abcde"] + [(key, {"name": "x"}) for key in "xyz"]


def test_what_changed_since_the_import_is_a_conflict_and_is_kept():
    source, dest = people("source", WANTED), people("dest", BEFORE)
    template = Looking(BEFORE)
    template.rows["a"] = {"name": "by hand"}
    template.rows["b"] = {"name": "new"}
    del template.rows["c"]
    template.rows["f"] = {"name": "by hand"}
    del template.rows["g"]
    template.rows["x"] = {"name": "by hand"}
    before = {key: dict(row) for key, row in template.rows.items()}
    report = template.apply(source - dest, limits=MANY)
    found = {result.action.idnumber: (result.status, result.reason) for result in report.results}
    deleted = "no longer there: it was deleted since the import"
    assert found == {
        "a": ("conflict", "changed since the import: name is now 'by hand'"),
        "b": ("succeeded", "it is so already"),
        "c": ("conflict", deleted),
        "d": ("succeeded", ""),
        "e": ("succeeded", ""),
        "f": ("conflict", "changed since the import: name"),
        "g": ("conflict", deleted),
        "h": ("succeeded", ""),
        "x": ("conflict", "already there, though the import did not have it: it holds name 'by hand'"),
        "y": ("succeeded", ""),
        "z": ("succeeded", ""),
    }
    assert {key for _, key in template.asked} == set("dehyz"), "nothing else was called"
    assert all(template.rows.get(key) == before.get(key) for key in "abcfgx")
    assert not report.ok
    assert not report.unchecked
    assert "unchecked" not in report.stat


def test_without_a_look_the_report_says_that_nothing_was_checked():
    source, dest = people("source", WANTED), people("dest", BEFORE)
    template = Store(BEFORE)
    template.rows["a"] = {"name": "by hand"}
    report = template.apply(source - dest, limits=MANY)
    assert template.rows["a"] == {"name": "new"}
    assert report.unchecked
    assert report.stat.endswith(" unchecked")
    assert "what had changed there since the import was not looked for" in str(report)
    assert "unchecked" not in Store({}).apply(source - dest, mock=True, limits=MANY).stat


def test_memberships_are_looked_up_member_by_member():
    def teams(name, members):
        return +Tree(name, branches={"teams": Branch(Team, importer=[{"idnumber": "t", "members": members}])})

    source, dest = teams("source", {"a", "b", "c"}), teams("dest", {"c", "d", "e"})

    class Members(Template):
        there = {"b", "c", "d", "somebody"}
        asked = []

        def current(self, action):
            return list(self.there)

        def add_members(self, action):
            self.asked.append(("add", action.value))

        def remove_members(self, action):
            self.asked.append(("remove", action.value))

    report = source - dest | Members
    assert Members.asked == [("add", "a"), ("remove", "d")], "b is in already, and e is out"
    assert report.succeeded == 4


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ({"idnumber": "a", "name": "old"}, "succeeded"),
        ({"idnumber": "a", "name": "other"}, "conflict"),
        ({"idnumber": "a"}, "conflict"),
        (SimpleNamespace(name="old"), "succeeded"),
        (SimpleNamespace(name="other"), "conflict"),
        (Person(idnumber="a", name="old"), "succeeded"),
        (Person(idnumber="a", name="other"), "conflict"),
        ("old", "succeeded"),
        ("other", "conflict"),
        (None, "conflict"),
        ([], "conflict"),
    ],
)
def test_a_look_gives_a_mapping_an_object_or_the_value(found, status):
    class Answering(Store):
        def current(self, action):
            return found

    template = Answering([("a", {})])
    report = people("source", [("a", {"name": "new"})]) - people("dest", [("a", {"name": "old"})]) | template
    assert report.results[0].status == status
    assert bool(template.asked) is (status == "succeeded")


def test_rows_of_a_database_are_mappings():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute("create table people (idnumber text, name text)")
    connection.execute("insert into people values ('a', 'by hand')")

    class Rows(Store):
        def current(self, action):
            return connection.execute("select * from people where idnumber = ?", (action.idnumber,)).fetchone()

    report = people("source", [("a", {"name": "new"})]) - people("dest", [("a", {"name": "old"})]) | Rows({})
    connection.close()
    assert report.results[0].reason == "changed since the import: name is now 'by hand'"


def test_a_look_that_fails_leaves_its_action_alone():
    class Broken(Store):
        def current(self, action):
            raise OSError("no route")

    template = Broken(BEFORE)
    report = people("source", WANTED[:1]) - people("dest", BEFORE[:1]) | template
    assert report.results[0].reason == "what is there could not be read: OSError: no route"
    assert report.failed == 1
    assert template.asked == []


def test_a_look_that_is_none_is_an_error():
    async def later():
        pass

    class Plain(Store):
        def current(self, action):
            return later()

    diff = people("source", [("x", {})]) - people("dest", [])
    template = Plain({})
    assert template.apply(diff, mock=True).ok
    report = diff | template
    assert report.results[0].reason.startswith("what is there could not be read: TypeError: returned a coroutine")
    assert template.asked == []

    with pytest.raises(DeclarationError, match="current cannot be called with 2 arguments"):

        class Without(Store):
            def current(self):
                raise OSError


def test_of_a_batch_only_what_has_not_changed_is_called():
    class Batches(Looking):
        @batch(10)
        def update_people(self, actions):
            self.asked.append([action.idnumber for action in actions])
            return [failed("no") if action.idnumber == "c" else None for action in actions]

    template = Batches(BEFORE)
    template.rows["b"] = {"name": "by hand"}
    report = people("source", [(key, {"name": "new"}) for key in "abcd"]) - people("dest", BEFORE[:4]) | template
    assert template.asked == [["a", "c", "d"]]
    assert [result.status for result in report.results] == ["succeeded", "conflict", "failed", "succeeded"]


def test_a_secret_is_in_no_conflict():
    template = Looking([("a", {"name": "old", "password": "hunter2"}), ("b", {"name": "x", "password": "hunter2"})])
    source = people("source", [("a", {"name": "old", "password": "new"}), ("b", {"name": "x"})])
    report = source - people("dest", [("a", {"name": "old", "password": "before"})]) | template
    assert report.conflicts == 2
    assert "hunter2" not in str(report) + repr(report.results)


class Pupil(Object):
    born: date
    fee: Decimal | None = None
    room: str = ""


@pytest.mark.parametrize(
    ("there", "statuses"),
    [
        ({"born": "2012-04-06", "fee": "1.50", "room": 7}, ["succeeded", "succeeded"]),
        ({"born": "2012-04-07", "fee": "1.50", "room": 7}, ["conflict", "conflict"]),
        ({"born": "soon", "fee": "1.50", "room": 7}, ["conflict", "conflict"]),
        ({"born": "2012-04-06", "fee": "1.25", "room": 7}, ["succeeded", "conflict"]),
    ],
)
def test_a_row_as_the_system_has_it_is_taken_as_the_import_takes_it(there, statuses):
    class Service(Template):
        def current(self, action):
            return there

        def update_pupils(self, action):
            pass

        old_pupils = update_pupils

    row = {"born": "2012-04-06", "fee": "1.50", "room": 7}
    dest = +Tree("dest", branches={"pupils": Branch(Pupil, importer=[{"idnumber": key, **row} for key in "ab"])})
    row["born"] = "2010-12-31"
    source = +Tree("source", branches={"pupils": Branch(Pupil, importer=[{"idnumber": "a", **row}])})
    report = Service().apply(source - dest, limits=Limits(deletions=1))
    assert [result.status for result in report.results] == statuses
