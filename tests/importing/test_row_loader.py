"""Rows that lack something: an idnumber, which may be a number, or all but a membership; and the hook behind them."""

import csv
import random

import attrs
import pytest

from datastoresync import (
    Branch,
    ColumnError,
    ConversionError,
    CSVImporter,
    DeclarationError,
    DuplicateError,
    IdnumberError,
    Importer,
    Object,
    Tree,
    TSVImporter,
)


class Rows(Importer):
    def __init__(self, rows):
        self.rows = rows

    def read(self):
        return self.rows


class Club(Object):
    name: str
    level: int = 0
    members: set[str] = set()
    days: list[str] | None = None


# A row that has a membership alone ------------------------------------------------------------------------------------

CLUB_ROWS = [
    {"idnumber": "chess", "members": {"1"}},
    {"idnumber": "chess", "name": "Chess", "members": {"2"}},
    {"idnumber": "chess", "members": ["3", "1"], "days": None},
    {"idnumber": "go", "name": "Go", "level": "7"},
    {"idnumber": "go", "days": "monday"},
    {"idnumber": "chess", "days": ["friday"]},
]


def clubs(rows, cls=Club, importer=Rows):
    branch = +Branch(cls, importer=importer(rows))
    branch._check()
    return {key: (club.name, club.level, club.members, club.days) for key, club in branch.items()}


def test_rows_that_only_add_to_memberships_are_united_in_any_order():
    expected = {"chess": ("Chess", 0, {"1", "2", "3"}, ["friday"]), "go": ("Go", 7, set(), ["monday"])}
    order = random.Random(7)
    for _ in range(30):
        rows = order.sample(CLUB_ROWS, len(CLUB_ROWS))
        assert clubs(rows) == expected, rows


def test_without_a_row_that_has_the_rest_it_is_what_any_row_is():
    with pytest.raises(ColumnError, match=r"Club: row 3: no column 'name', which Club needs"):
        clubs([CLUB_ROWS[3], CLUB_ROWS[4], {"idnumber": "golf", "members": {"1"}}])

    class Named(Club):
        name: str = "unnamed"

    rows = [{"idnumber": "golf", "members": {"1"}}, CLUB_ROWS[1], {"idnumber": "golf", "members": {"2"}}]
    assert clubs(rows, Named)["golf"] == ("unnamed", 0, {"1", "2"}, None)
    assert clubs(rows[::2], Named) == {"golf": ("unnamed", 0, {"1", "2"}, None)}


def test_what_else_a_second_row_says_is_refused_as_before():
    with pytest.raises(DuplicateError, match=r"idnumber 'chess' is already at row 1, and they differ in level"):
        clubs([CLUB_ROWS[1], {"idnumber": "chess", "name": "Chess", "level": 3, "members": {"3"}}])
    with pytest.raises(ColumnError, match=r"row 2: Club has no 'member'.*did you mean 'members'"):
        clubs([CLUB_ROWS[1], {"idnumber": "chess", "member": {"3"}}])


def test_what_a_member_s_type_refuses_is_told_with_its_row():
    class Numbered(Object):
        name: str
        members: set[int]

    rows = [{"idnumber": "1", "name": "a", "members": "1"}, {"idnumber": "1", "members": "x"}]
    with pytest.raises(ConversionError, match=r"row 2: members: 'x' is not an int"):
        +Branch(Numbered, importer=Rows(rows))
    collecting = Rows([*rows, {"idnumber": None, "members": "2"}, {"idnumber": "1", "members": "3"}])
    collecting.on_bad_row = "collect"
    branch = +Branch(Numbered, importer=collecting)
    assert branch["1"].members == {1, 3}
    assert [error.row for error in branch.imported.bad_rows] == collecting.rows[1:3]


def test_prepare_may_leave_only_a_membership_of_a_file_s_row(tmp_path):
    path = tmp_path / "clubs.csv"
    path.write_text("idnumber,name,members\nchess,Chess,1\nchess,,2\n", encoding="utf-8")

    class Filled(CSVImporter):
        def prepare(self, row):
            return {name: value for name, value in row.items() if value}

    assert clubs(path, importer=Filled) == {"chess": ("Chess", 0, {"1", "2"}, None)}
    with pytest.raises(DuplicateError, match="differ in name"):
        clubs(path, importer=CSVImporter)  # an empty text is a value


def test_members_keep_the_spelling_of_the_store_that_is_written_to():
    class User(Object):
        _key = str.casefold

    class Group(Object):
        name: str
        members: set[str]
        _references = {"members": "users"}

    class Accounts(Tree):
        users = Branch(User, importer=[{"idnumber": "Ann"}, {"idnumber": "Bob"}])
        groups = Branch(
            Group,
            importer=[
                {"idnumber": "g", "members": {"Ann"}},
                {"idnumber": "g", "name": "G", "members": {"Bob"}},
            ],
        )

    accounts = +Accounts()
    assert accounts.groups["g"].members == {"ann", "bob"}
    assert sorted(accounts.groups.contents.stored["g"]["members"]) == ["Ann", "Bob"]


# Rows without an idnumber ---------------------------------------------------------------------------------------------


class Numbering(Rows):
    number_from = 1


def test_rows_without_an_idnumber_are_numbered_on_request():
    rows = [{"name": "a"}, {"idnumber": None, "name": "b"}, {"idnumber": 40, "name": "c"}, {"name": "d"}]
    branch = +Branch(Object, importer=Numbering(rows))
    assert [(key, item.name) for key, item in branch.items()] == [(1, "a"), (2, "b"), (3, "d"), (40, "c")]
    with pytest.raises(ColumnError, match="no column 'idnumber'"):
        +Branch(Object, importer=Rows(rows))


def test_only_rows_that_are_kept_are_numbered_and_the_class_says_the_type():
    class Line(Object):
        idnumber: str
        name: str

    class Kept(Numbering):
        number_from = 0

        def keep(self, row):
            return row["name"] != "b"

    branch = +Branch(Line, importer=Kept([{"name": "a"}, {"name": "b"}, {"name": "c"}]))
    assert [(key, item.name) for key, item in branch.items()] == [("0", "a"), ("1", "c")]


def test_a_number_that_is_another_row_s_idnumber_is_refused_though_they_could_be_united():
    rows = [{"idnumber": 1, "groups": {"a"}}, {"groups": {"b"}}]
    for order in (rows, rows[::-1]):
        with pytest.raises(DuplicateError, match="idnumber 1 is the number of a row without one, too: let number_from"):
            +Branch(Object, importer=Numbering(order))

    class Grouped(Object):
        name: str
        groups: set[str]

    with pytest.raises(DuplicateError, match="idnumber 1 is the number"):
        +Branch(Grouped, importer=Numbering([{"name": "a", "groups": {"b"}}, {"idnumber": 1, "groups": {"a"}}]))
    again = [{"idnumber": 7, "groups": {"a"}}, {"idnumber": 7, "groups": {"b"}}, {"groups": {"c"}}]
    assert (+Branch(Object, importer=Numbering(again)))[7].groups == {"a", "b"}


def test_what_cannot_be_numbered_is_told():
    class Pair(Object):
        _identifiers = ("school", "login")

    with pytest.raises(DeclarationError, match="the idnumber of Pair has several parts"):
        +Branch(Pair, importer=Numbering([{"school": "a"}]))
    with pytest.raises(DeclarationError, match=r"number_from is the first number of rows.*got 'yes'"):
        +Branch(Object, importer=CSVImporter("x.csv", number_from="yes"))
    with pytest.raises(DeclarationError, match="did you mean 'number_from'"):
        type("Wrong", (Importer,), {"numbre_from": 1})


@pytest.mark.parametrize("engine", ["auto", "memory", "duckdb"])
def test_a_file_without_header_and_idnumbers_is_read_by_every_engine(tmp_path, engine):
    if engine == "duckdb":
        pytest.importorskip("duckdb")
    path = tmp_path / "log.tsv"
    rows = [["Ann", "7"], ["Bob", "8"], ["", ""], ["Cid", "9"]]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows(rows)
    given = {"header": ("name", "grade"), "number_from": 1}
    with pytest.raises(IdnumberError, match=r"log\.tsv:3: idnumber is None: every row needs an idnumber"):
        +Branch(Object, importer=TSVImporter(path, **given), engine=engine)
    branch = +Branch(Object, importer=TSVImporter(path, blank_rows="skip", **given), engine=engine)
    assert [(key, item.name, item.grade) for key, item in branch.items()] == [
        (1, "Ann", "7"),
        (2, "Bob", "8"),
        (3, "Cid", "9"),
    ]
    if engine == "duckdb":
        assert "rows without an idnumber are numbered" in branch.explain()


@pytest.mark.parametrize("engine", ["auto", "duckdb"])
def test_a_file_without_a_header_stays_what_it_is_in_every_engine(tmp_path, engine):
    if engine == "duckdb":
        pytest.importorskip("duckdb")
    path = tmp_path / "students.tsv"
    path.write_text("1\tx\tAnn\n2\ty\tBob\n", encoding="utf-8")
    importer = TSVImporter(path, header=("idnumber", "", "name"))
    branch = +Branch(Object, importer=importer, engine=engine)
    assert [(key, vars(item)["name"]) for key, item in branch.items()] == [("1", "Ann"), ("2", "Bob")]
    assert branch.find(name="Bob") == [branch["2"]]


# When the objects are there -------------------------------------------------------------------------------------------


def test_imported_sees_the_objects_and_may_change_add_and_remove():
    seen = []

    class Users(Rows):
        def imported(self):
            seen.append((list(self.branch), self.branch["1"].name))
            self.branch["1"].name = "Anna"
            self.branch.new("3", name="Cid")
            self.branch.remove("2")

    class Names(Importer):
        after = ("users",)

        def read(self):
            return [{"idnumber": user.name} for user in self.tree.users.values()]

    class Source(Tree):
        names = Branch(Object, importer=Names)
        users = Branch(Object, importer=Users([{"idnumber": "1", "name": "Ann"}, {"idnumber": "2", "name": "Bob"}]))

    source = +Source()
    assert seen == [(["1", "2"], "Ann")]
    assert [(key, user.name) for key, user in source.users.items()] == [("1", "Anna"), ("3", "Cid")]
    assert list(source.names) == ["Anna", "Cid"]
    assert list((+source).users) == ["1", "3"]
    assert source.users.imported.objects == 2


def test_what_imported_raises_undoes_the_import():
    class Users(Rows):
        def imported(self):
            self.branch.new("9")
            if "2" in self.branch:
                raise RuntimeError("two are too many")

    importer = Users([{"idnumber": "1"}])
    tree = +Tree("source", branches={"users": Branch(importer=importer)})
    assert list(tree.users) == ["1", "9"]
    importer.rows = [{"idnumber": "1"}, {"idnumber": "2"}]
    for load in (tree.load, tree.users.load):
        with pytest.raises(RuntimeError, match="two are too many"):
            load()
        assert list(tree.users) == ["1", "9"]


def test_imported_is_called_where_a_branch_stays_a_table(tmp_path):
    pytest.importorskip("duckdb")
    path = tmp_path / "users.csv"
    path.write_text("idnumber,name\n1,Ann\n2,Bob\n", encoding="utf-8")

    class Users(CSVImporter):
        def imported(self):
            self.branch["1"].name = "Anna"

    branch = +Branch(Object, importer=Users(path), engine="duckdb")
    assert "a table of 2 rows" in branch.explain()
    assert [user.name for user in branch.values()] == ["Anna", "Bob"]


@pytest.mark.parametrize("name", ["on_imported", "importde", "imporetd"])
def test_a_misspelt_imported_is_told(name):
    with pytest.raises(DeclarationError, match=rf"nothing calls Wrong\.{name}: did you mean 'imported'"):
        type("Wrong", (Importer,), {name: lambda self: None})
    with pytest.raises(DeclarationError, match=r"cannot be called with 1 argument: it is \(self, branch\)"):
        type("Wrong", (Importer,), {"imported": lambda self, branch: None})


def test_a_validator_sees_what_a_whole_row_says():
    class Checked(Object):
        name: str
        members: set[str] = attrs.field(factory=set, validator=attrs.validators.instance_of(set))

    rows = [{"idnumber": "1", "members": {"b"}}, {"idnumber": "1", "name": "a"}]
    assert (+Branch(Checked, importer=Rows(rows)))["1"].members == {"b"}
