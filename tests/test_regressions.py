"""What went wrong once, and does not again: each was found by using the library."""

import datetime

import pytest

from datastoresync import (
    Branch,
    ComparisonError,
    DeclarationError,
    Importer,
    ImporterError,
    Limits,
    Object,
    SchemaMismatchError,
    Template,
    Tree,
)


class Deaf(Template):
    def new(self, action):
        pass

    update = old = new


def branch(*rows, cls=Object):
    return +Branch(cls, importer=list(rows))


def test_an_importer_must_name_the_branches_it_reads():
    class Groups(Importer):
        def read(self):
            return [{"idnumber": key, "members": {key}} for key in self.tree.users]

    tree = Tree("source", branches={"users": Branch(importer=[{"idnumber": "1"}]), "groups": Branch(importer=Groups)})
    with pytest.raises(DeclarationError, match=r"groups is derived from users: write after = \('users',\)"):
        +tree


def test_a_column_with_a_dot_is_compared():
    diff = branch({"idnumber": "1", "grade": 7, "grade.real": 8}) - branch(
        {"idnumber": "1", "grade": 7, "grade.real": 9}
    )
    assert [(action.attr, action.value) for action in diff] == [("grade.real", 8)]


@pytest.mark.parametrize(
    "setting", [{"_attributes": ("nmae",)}, {"_attributes": "name"}, {"_references": {"nmae": "x"}}]
)
def test_a_mistyped_setting_is_refused(setting):
    with pytest.raises(DeclarationError, match=r"nmae|must be a tuple of names"):
        type(Object)("Closed", (Object,), {"__annotations__": {"name": str}, **setting})


def test_types_are_checked_where_common_rows_hold_none():
    with pytest.raises(SchemaMismatchError, match=r"grade: str in .* and int in"):
        branch({"idnumber": "1", "grade": "7"}) - branch(
            {"idnumber": "1", "grade": None}, {"idnumber": "2", "grade": 9}
        )


def test_a_float_that_means_a_decimal_is_no_update_every_night():
    from decimal import Decimal

    with pytest.raises(SchemaMismatchError, match=r"pay: .*declare `pay: float`"):
        branch({"idnumber": "1", "pay": 0.1}) - branch({"idnumber": "1", "pay": Decimal("0.1")})


def test_a_diff_is_applied_to_its_own_destination_only():
    source, dest, other = (Tree(name, template=Deaf, branches={"users": Branch()}) for name in ("s", "d", "o"))
    source.users.new("1")
    with pytest.raises(ComparisonError, match=r"the diff changes d\.users, which is not in this tree"):
        other.apply(source - dest)


def test_a_diff_folds_into_what_was_imported_since():
    source = Tree("s", branches={"users": Branch(importer=[{"idnumber": "1"}, {"idnumber": "2"}])})
    dest = Tree("d", branches={"users": Branch(importer=[{"idnumber": "1"}])})
    diff = +source - +dest
    +dest
    diff | Deaf
    assert not source - dest


@pytest.mark.parametrize("name", ["name", "syncer", "_branches"])
def test_a_branch_cannot_take_the_place_of_what_a_tree_has(name):
    with pytest.raises(DeclarationError):
        type("Wrong", (Tree,), {name: Branch()})
    with pytest.raises(DeclarationError):
        Tree().grow(name)


def test_no_time_of_pandas_is_no_time():
    pandas = pytest.importorskip("pandas")
    day = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    assert not branch({"idnumber": "1", "day": pandas.NaT}) - branch({"idnumber": "1", "day": pandas.NaT})
    assert len(branch({"idnumber": "1", "day": pandas.NaT}) - branch({"idnumber": "1", "day": day})) == 1


def test_a_function_that_gives_the_same_iterator_again_is_refused():
    rows = iter([{"idnumber": "1"}])
    users = +Branch(importer=lambda: rows)
    with pytest.raises(ImporterError, match="the function gives the same iterator again"):
        +users
    assert list(users) == ["1"]


def test_a_hook_of_one_importer_alone_is_heard():
    class Rows(Importer):
        def read(self):
            return [{"idnumber": "1"}]

    importer = Rows()
    importer.keep = lambda row: False
    assert len(+Branch(importer=importer)) == 0


def test_a_store_that_takes_no_options_cannot_go_on_after_an_error():
    class Store:
        def apply_changes(self, changes, *, same):
            raise AssertionError

    tree = Tree("d", syncer=Store(), branches={"users": Branch()})
    with pytest.raises(DeclarationError, match="on_error can only be 'stop'"):
        tree.apply(tree - tree, on_error="continue", limits=Limits())
