"""Look-ups by an index give what a look at every object gives, whatever was done to the branch before."""

import copy
import csv
import datetime
import pickle
import sqlite3
from contextlib import closing
from decimal import Decimal

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import Branch, CSVImporter, DeclarationError, Limits, Object, SQLImporter, Template, Tree
from datastoresync.syncers import open_syncer


class Closed(Object):
    email: object = None
    shoe: int = 0
    _indexes = ("email",)


class Open(Object):
    _indexes = ("email",)


class Checked(Object):
    email: object = attrs.field(default=None, converter=lambda value: value)
    shoe: int = 0
    _indexes = ("email", "shoe")


VALUES = ["a", "b", "", None, 1, True, 1.0, float("nan"), datetime.date(2024, 1, 2), ("a",), {"a"}]


def same_by_scan(branch):
    """Check each look-up against a loop over the objects with plain comparisons."""
    for value in VALUES:
        found = branch.find(email=value)
        expected = []
        for item in branch.values():
            own = getattr(item, "email", None)
            if own == value or (own != own and value != value):
                expected.append(item)
        assert len(found) == len(expected)
        assert all(one is other for one, other in zip(found, expected, strict=True))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "new", "remove", "delete", "load", "sync", "pickle", "deepcopy", "look"]),
        st.integers(0, 6).map(str),
        st.sampled_from(VALUES),
    ),
    max_size=12,
)


class Anything(Template):
    def new(self, action): ...
    def update(self, action): ...
    def old(self, action): ...
    def add(self, action): ...
    def remove(self, action): ...


def take(branch, step, key, value, read):
    if step == "set" and key in branch:
        branch[key].email = value
    elif step == "new" and key not in branch:
        branch.new(key, email=value)
    elif step == "remove" and key in branch:
        branch.remove(key)
    elif step == "delete" and key in branch and hasattr(branch[key], "email") and branch.schema.open:
        del branch[key].email
    elif step == "load":
        +branch
    elif step == "sync":
        source = +Branch(branch.object_class, importer=read)
        source["0"].email = "b"
        source.new("7", email="a")
        limits = Limits(deletions=1.0, updates=1.0)
        Anything().apply(source - branch, limits=limits)
    elif step == "pickle":
        branch = pickle.loads(pickle.dumps(branch))
    elif step == "deepcopy":
        branch = copy.deepcopy(branch)
    elif step == "look":
        same_by_scan(branch)
    return branch


def rows():
    return [{"idnumber": str(number), "email": "ab"[number % 2]} for number in range(6)]


@pytest.mark.parametrize("cls", [Closed, Open, Checked])
@given(STEPS)
@example([("delete", "0", "a"), ("sync", "0", "a")])
@settings(max_examples=examples(60), deadline=None)
def test_an_index_gives_what_a_scan_gives_after_every_change(cls, steps):
    branch = +Branch(cls, importer=rows)
    same_by_scan(branch)
    for step, key, value in steps:
        if (step, value) != ("sync", value) or all(
            isinstance(one.email, str) for one in branch.values() if hasattr(one, "email")
        ):
            branch = take(branch, step, key, value, rows)
    same_by_scan(branch)
    branch._check()


def test_a_look_up_reads_one_object_and_not_all():
    class Counting(Object):
        email: str
        _indexes = ("email",)
        read = 0

        def __getattribute__(self, name):
            if name == "email":
                Counting.read += 1
            return super().__getattribute__(name)

    branch = +Branch(Counting, importer=[{"idnumber": str(n), "email": f"{n}@x"} for n in range(500)])
    branch.find(email="7@x")
    Counting.read = 0
    assert [item.idnumber for item in branch.find(email="8@x")] == ["8"]
    branch["9"].email = "8@x"
    assert [item.idnumber for item in branch.find(email="8@x")] == ["8", "9"]
    assert Counting.read < 10


def test_further_attributes_narrow_what_an_index_finds_and_the_others_are_scanned():
    branch = +Branch(Closed, importer=[{"idnumber": str(n), "email": "a", "shoe": n} for n in range(4)])
    assert [item.idnumber for item in branch.find(email="a", shoe=2)] == ["2"]
    assert [item.idnumber for item in branch.find(shoe=2)] == ["2"]
    with pytest.raises(ValueError, match="no attribute shoo"):
        branch.find(email="a", shoo=2)


def test_equal_values_of_other_types_are_found_too():
    given = [1, True, 1.0, Decimal(1), "1", None, 2]
    branch = +Branch(Open, importer=[{"idnumber": str(n), "email": value} for n, value in enumerate(given)])
    assert [item.idnumber for item in branch.find(email=1)] == ["0", "1", "2", "3"]
    assert [item.idnumber for item in branch.find(email=1.0)] == ["0", "1", "2", "3"]
    assert [item.idnumber for item in branch.find(email=None)] == ["5"]


def test_what_a_store_carried_out_is_found(tmp_path):
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "users.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table users (idnumber text primary key, email text)")
        connection.executemany("insert into users values (?, ?)", [(str(n), "ab"[n % 2]) for n in range(20)])
    syncer = open_syncer(f"sqlite:///{path}")
    dest = +Tree("dest", syncer=syncer, branches={"users": Branch(Open)})
    assert len(dest.users.find(email="b")) == 10
    wanted = [{"idnumber": str(n), "email": "b" if n == 2 else "ab"[n % 2]} for n in range(1, 22)]
    source = +Tree("source", branches={"users": Branch(Open, importer=wanted)})
    assert (source >> dest).ok
    with closing(sqlite3.connect(path)) as connection:
        stored = [key for (key,) in connection.execute("select idnumber from users where email = 'b' order by 1")]
    assert [item.idnumber for item in dest.users.find(email="b")] == stored
    assert dest.users.find(email="a")[0].idnumber == "10"
    syncer.close()


def test_copies_that_share_their_objects_still_find_them_when_one_is_imported_again():
    branch = +Branch(Closed, importer=rows)
    assert len(branch.find(email="a")) == 3
    other = copy.copy(branch)
    +branch
    other["1"].email = "a"
    assert len(other.find(email="a")) == 4
    assert len(branch.find(email="a")) == 3


def test_an_import_that_fails_leaves_an_index_that_is_right():
    given = rows()
    branch = +Branch(Closed, importer=lambda: given)
    assert len(branch.find(email="b")) == 3
    given.append({"idnumber": "9", "email": "b", "shoe": "x"})
    with pytest.raises(ValueError, match="'x'"):
        +branch
    branch["0"].email = "b"
    assert [item.idnumber for item in branch.find(email="b")] == ["0", "1", "3", "5"]


@pytest.mark.parametrize("cls", [Open, Closed])
def test_a_table_of_duckdb_is_found_in_by_an_index_that_follows_changes(tmp_path, cls):
    pytest.importorskip("duckdb")
    path = tmp_path / "users.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["idnumber", "email"], *([f"{n:04}", f"{n % 1000}@x"] for n in range(3000))])
    branch = +Branch(cls, importer=CSVImporter(path), engine="duckdb")
    assert [item.idnumber for item in branch.find(email="7@x")] == ["0007", "1007", "2007"]
    branch["1007"].email = "new@x"
    branch.remove("2007")
    branch.new("9999", email="7@x")
    assert [item.idnumber for item in branch.find(email="7@x")] == ["0007", "9999"]
    assert branch.find(email="new@x") == [branch["1007"]]
    assert "a table of 3,000 rows" in branch.explain()


def test_a_table_of_a_database_is_found_in_by_an_index(tmp_path):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'users.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("create table users (idnumber text primary key, email text)")
        connection.exec_driver_sql("insert into users values ('1', 'a'), ('2', 'b'), ('3', 'a')")
    branch = +Branch(Open, importer=SQLImporter(engine, table="users"))
    assert [item.idnumber for item in branch.find(email="a")] == ["1", "3"]
    engine.dispose()


@pytest.mark.parametrize("cls", [Open, Closed])
def test_a_table_that_stays_in_postgresql_is_found_in_by_an_index(database, cls, execute):
    execute(
        database,
        "create table users (idnumber text primary key, email text)",
        "insert into users select n::text, n % 3 || '@x' from generate_series(10, 90) n",
    )
    syncer = open_syncer(database)
    branch = +Branch(cls, importer=SQLImporter(syncer, table="users"), engine="database")
    assert "a table of 81 rows" in branch.explain()
    assert [item.idnumber for item in branch.find(email="1@x")] == [str(n) for n in range(10, 91, 3)]
    branch["10"].email = "2@x"
    branch.new("00", email="1@x")
    assert [item.idnumber for item in branch.find(email="1@x")] == ["00", *(str(n) for n in range(13, 91, 3))]
    assert "a table of" in branch.explain()
    branch.contents.objects.relation.close()
    syncer.close()


def test_indexes_are_of_fields_and_misspelt_ones_are_told():
    with pytest.raises(
        DeclarationError, match=r"Wrong\._indexes names 'emial', which is no field: did you mean 'email'"
    ):
        type("Wrong", (Closed,), {"_indexes": ("emial",)})
    with pytest.raises(DeclarationError, match=r"Wrong\._indexes must be a tuple of names, such as \('email',\)"):
        type("Wrong", (Closed,), {"_indexes": "email"})
    with pytest.raises(DeclarationError, match="did you mean '_indexes'"):
        type("Wrong", (Closed,), {"_indexs": ("email",)})
    with pytest.raises(DeclarationError, match=r"_indexes names 'mail', which is no field"):
        type("Wrong", (Closed,), {"_indexes": ("mail",), "mail": property(lambda self: self.email)})
    with pytest.raises(DeclarationError, match=r"names 'emial', which is no field: did you mean 'email'"):
        +Branch(type("Wrong", (Object,), {"_indexes": ("emial",)}), importer=rows)


def test_an_indexed_field_is_a_field_as_any_other(tmp_path):
    class Plain(Object):
        email: str = "none"

    class Indexed(Plain):
        _indexes = ("email",)

    assert Indexed(idnumber="1").email == "none"
    assert repr(Indexed(idnumber="1", email="a")) == "Indexed(idnumber='1', email='a')"
    kept = pickle.loads(pickle.dumps(Closed(idnumber="1", email="a")))
    assert (kept.email, copy.copy(kept).email, copy.deepcopy(kept).email) == ("a", "a", "a")
    item = Open(idnumber="1")
    with pytest.raises(AttributeError, match="'Open' object has no attribute 'email'"):
        item.email
    with pytest.raises(AttributeError, match="email"):
        del item.email
    assert not hasattr(Closed(idnumber="1", email="a"), "__dict__")

    class WithDefault(Object):
        email = "none"
        _indexes = ("email",)

    branch = +Branch(WithDefault, importer=[{"idnumber": "1"}, {"idnumber": "2", "email": "a"}, {"idnumber": "3"}])
    assert [one.idnumber for one in branch.find(email="none")] == ["1", "3"]
