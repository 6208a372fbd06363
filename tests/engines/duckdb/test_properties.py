"""Properties of tables: compared in Python where a column differs, or computed as columns where the classes differ."""

import datetime
from decimal import Decimal
from typing import ClassVar
from zoneinfo import ZoneInfo

import pyarrow
import pytest

from datastoresync import Branch, ComparisonError, CSVImporter, Object, Template, Tree
from datastoresync.engines import engine as pairing
from datastoresync.engines.duckdb.connection import DuckDB
from datastoresync.engines.table import TableObjects

DUCKDB = DuckDB(threads=1)
NOON = datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC)
LEFT = "idnumber,email,grade\n1,a@X.org,7\n2,b@x.org,8\n3,c@x.org,9\n"
RIGHT = "grade,idnumber,email\n7,1,a@x.org\n8,2,b@y.org\n9,4,d@x.org\n"


@pytest.fixture(autouse=True, scope="module")
def running():
    held = DUCKDB.opened()
    yield
    del held


class Person(Object):
    """Open."""

    @property
    def domain(self):
        return self.email.partition("@")[2].lower()


class Member(Object):
    """Closed, with the same attributes by other ways."""

    email: str
    grade: str

    @property
    def domain(self):
        item = self
        return str.lower(item.email.split("@")[1])


def tree(tmp_path, name, content, cls, engine=DUCKDB):
    (tmp_path / f"{name}.csv").write_text(content)
    made = +Tree(name, branches={"people": Branch(cls, importer=CSVImporter(tmp_path / f"{name}.csv"), engine=engine)})
    if engine is DUCKDB:
        assert isinstance(made.people.contents.objects, TableObjects)
    return made


def actions(diff):
    return [(one.verb, one.idnumber, one.attr, one.value, one.old_value) for one in diff]


def both(tmp_path, cls, other, left=LEFT, right=RIGHT):
    found = []
    for engine in ("memory", DUCKDB):
        source, dest = tree(tmp_path, "source", left, cls, engine), tree(tmp_path, "dest", right, other, engine)
        found.append(source - dest)
    assert actions(found[0]) == actions(found[1])
    return found[1]


def test_a_property_that_two_sides_share_is_compared_where_a_column_differs(tmp_path):
    diff = both(tmp_path, Person, Person)
    assert ("update", "2", "domain", "x.org", "y.org") in actions(diff)
    assert "domain: compared in Python where a column differs" in diff.explain()
    assert "duckdb engine" in diff.explain()


@pytest.mark.parametrize(("one", "other"), [(Person, Member), (Member, Person)])
def test_other_code_on_the_other_side_is_computed_for_both(tmp_path, one, other):
    diff = both(tmp_path, one, other)
    assert ("update", "2", "domain", "x.org", "y.org") in actions(diff)
    assert not [action for action in diff if action.attr == "domain" and action.idnumber == "1"]
    assert diff.explain().count("domain: computed in Python for 3 rows") == 1


def test_a_property_is_compared_with_a_column(tmp_path):
    right = "idnumber,email,grade,domain\n1,a@X.org,7,x.org\n2,b@x.org,8,x.de\n3,c@x.org,9,x.org\n"
    diff = both(tmp_path, Person, Object, right=right)
    assert actions(diff) == [("update", "2", "domain", "x.org", "x.de")]


class Reaching(Object):
    @property
    def place(self):
        return f"{self.__branch__.tree.name[:0]}{self.__branch__.name} {self.email}"


def test_a_property_may_reach_beyond_its_object(tmp_path):
    diff = both(tmp_path, Reaching, Reaching)
    assert ("update", "2", "place", "people b@x.org", "people b@y.org") in actions(diff)


class Dated(Object):
    email: str
    grade: int

    @property
    def year(self):
        return datetime.date(2000 + self.grade, 1, 1)

    @property
    def half(self):
        return self.grade / 2 if self.grade > 8 else None

    @property
    def next_year(self):
        return self.year.year + 1


def test_properties_may_read_converted_values_and_each_other_and_be_none(tmp_path):
    right = LEFT.replace(",9\n", ",10\n")
    diff = both(tmp_path, Dated, Dated, right=right)
    assert [(one.attr, one.value) for one in diff] == [
        ("grade", 9),
        ("half", 4.5),
        ("next_year", 2010),
        ("year", datetime.date(2009, 1, 1)),
    ]


class Written(Object):
    """Equal numbers may be written in different ways."""

    email: str
    grade: float

    @property
    def shown(self):
        return str(self.grade)


def test_values_that_are_equal_and_not_the_same_are_not_taken_for_alike(tmp_path):
    left, right = LEFT.replace(",7\n", ",-0.0\n"), LEFT.replace(",7\n", ",0.0\n")
    diff = both(tmp_path, Written, Written, left=left, right=right)
    assert actions(diff) == [("update", "1", "shown", "-0.0", "0.0")]


class Failing(Object):
    @property
    def number(self):
        return int(self.grade)


@pytest.mark.parametrize("right", [LEFT, RIGHT])
def test_a_property_that_raises_is_reported_as_in_memory(tmp_path, right):
    left = LEFT.replace(",8\n", ",x\n")
    messages = []
    for engine in ("memory", DUCKDB):
        sides = tree(tmp_path, "source", left, Failing, engine), tree(tmp_path, "dest", right, Failing, engine)
        with pytest.raises(ComparisonError, match=r"people\['2'\]\.number raised ValueError") as caught:
            sides[0] - sides[1]
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


class Varied(Object):
    @property
    def odd(self):
        return int(self.grade) if self.idnumber == "1" else self.grade


class Grouped(Object):
    @property
    def letters(self):
        item = self
        return set(item.email)


@pytest.mark.parametrize(
    ("cls", "other", "why"),
    [
        (Varied, type("Varied", (Varied,), {}), "odd holds values of several types"),
        (Grouped, type("Grouped", (Grouped,), {}), "letters holds values of the type set"),
    ],
)
def test_values_of_no_plain_type_make_everything_objects(tmp_path, cls, other, why):
    diff = both(tmp_path, cls, other, right=LEFT.replace("b@", "q@"))
    assert f"memory engine, since everything became objects: {why}" in diff.explain()


def test_values_of_any_type_may_be_alike(tmp_path):
    diff = both(tmp_path, Varied, Varied, right=LEFT.replace(",8\n", ",88\n"))
    assert actions(diff) == [("update", "2", "grade", "8", "88"), ("update", "2", "odd", "8", "88")]


class Narrow(Object):
    _attributes = ("domain",)

    @property
    def domain(self):
        return self.email.partition("@")[2].lower()


def test_what_is_read_need_not_be_compared(tmp_path):
    diff = both(tmp_path, Narrow, Narrow)
    assert [action[:3] for action in actions(diff)] == [("new", "3", ""), ("update", "2", "domain"), ("old", "4", "")]


class Accepting(Template):
    def new(self, action):
        return None

    update = old = new


def test_what_was_applied_to_a_property_stands_before_it(tmp_path):
    source = tree(tmp_path, "source", LEFT, Person)
    dest = tree(tmp_path, "dest", RIGHT.replace("4,d", "3,c"), Member)
    (source - dest).only(".domain") | Accepting
    assert [action.attr for action in source - dest] == ["email", "email"]
    again = tree(tmp_path, "source", LEFT.replace("b@x", "b@y"), Person)
    assert ("update", "2", "domain", "y.org", "x.org") in actions(again - dest)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_property_goes_back_to_what_it_computes(tmp_path, monkeypatch, streaming):
    def source(domain):
        return tree(tmp_path, "source", f"idnumber,domain\n2,x.org\n3,{domain}\n", Object)

    dest = tree(tmp_path, "dest", LEFT, Narrow)  # that the source has no 1 is nothing to a property of 1
    for before, after in [("x.org", "y.org"), ("y.org", "x.org"), ("x.org", "y.org")]:
        diff = (source(after) - dest).only("update")
        assert actions(diff) == [("update", "3", "domain", after, before)]
        diff | Accepting
        monkeypatch.setattr(pairing, "MANY", 0 if streaming else pairing.MANY)
        assert not (source(after) - dest).only("update")
        assert actions((source("x.de") - dest).only("update")) == [("update", "3", "domain", "x.de", after)]
    gone = tree(tmp_path, "source", "idnumber,domain\n2,x.org\n", Object)
    assert [action[:2] for action in actions(gone - dest)] == [("old", "1"), ("old", "3")]


class Teacher(Object):
    name: str

    @property
    def kind(self):
        return "teacher"


class Pupil(Object):
    name: str

    @property
    def kind(self):
        return "pupil"


@pytest.mark.parametrize("other", [Teacher, Pupil])
def test_a_property_may_read_nothing_of_its_object(tmp_path, other):
    (tmp_path / "people.csv").write_text("idnumber,name\n1,Ann\n2,Bob\n", encoding="utf-8")
    one, two = (
        +Branch(cls, importer=CSVImporter(tmp_path / "people.csv"), engine="duckdb") for cls in (Teacher, other)
    )
    diff = one - two
    assert len(diff) == (0 if other is Teacher else 2)
    assert ("computed in Python for 2 rows" in diff.explain()) == (other is Pupil)


class Placed(Object):
    """With a property that no column decides."""

    @property
    def place(self):
        return f"{self.__branch__.tree.name} {self.email}"


def test_a_property_that_asks_for_its_branch_is_computed_for_all_rows(tmp_path):
    diff = both(tmp_path, Placed, Placed, right=LEFT)
    assert [action[1:4] for action in actions(diff)] == [
        (str(n + 1), "place", f"source {letter}") for n, letter in enumerate(("a@X.org", "b@x.org", "c@x.org"))
    ]
    assert "place: computed in Python for 3 rows" in diff.explain()


class Counting(Object):
    calls: ClassVar[list[str]] = []

    @property
    def domain(self):
        Counting.calls.append(self.idnumber)
        return self.email.partition("@")[2]


def test_a_property_is_not_computed_where_all_columns_are_the_same(tmp_path):
    source = tree(tmp_path, "source", LEFT, Counting)
    dest = tree(tmp_path, "dest", LEFT.replace("b@x", "b@y"), Counting)
    Counting.calls.clear()
    assert [action[1:3] for action in actions(source - dest)] == [("2", "domain"), ("2", "email")]
    assert "3" not in Counting.calls  # but for those of the first row, by which the types are known


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([0.0], [-0.0]),
        ([float("nan")], [float("nan")]),
        ([Decimal("1.0")], [Decimal("1.00")]),
        ([b"a"], [b"b"]),
        ([datetime.time(1)], [datetime.time(1, 0, 1)]),
        (
            [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)],
            [datetime.datetime(2020, 1, 1, tzinfo=ZoneInfo("Etc/GMT-1"))],
        ),
        (pyarrow.array([0.1], pyarrow.float32()), [0.1]),
        ([1], [1.0]),
        ([True], [1]),
        ([None], [0]),
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_a_property_tells_values_apart_that_are_equal(tmp_path, one, other, shared):
    class Shown(Object):
        @property
        def shown(self):
            return repr(self.value)

    found = []
    for engine in ("memory", DUCKDB):
        sides = [
            +Branch(cls, importer=pyarrow.table({"idnumber": ["1"], "value": values}), engine=engine)
            for cls, values in ((Shown, one), (Shown if shared else type("Shown", (Shown,), {}), other))
        ]
        found.append(actions(sides[0] - sides[1]))
    assert found[0] == found[1]
