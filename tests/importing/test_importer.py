"""What an importer may be, what its hooks may do, and what a failing import leaves behind."""

import pytest

from datastoresync import (
    Branch,
    CircularOrderError,
    DeclarationError,
    Importer,
    ImporterError,
    Object,
    RowError,
    Tree,
)
from datastoresync.importing.importer import CallableImporter, IterableImporter
from datastoresync.syncers.records import Records

ROWS = [{"idnumber": "2", "name": "Bob"}, {"idnumber": "1", "name": "Ann"}]


class User(Object):
    name: str


def loaded(importer, object_class=Object):
    return +Tree("source", branches={"users": Branch(object_class, importer=importer)})


def names(tree):
    return {key: user.name for key, user in tree.users.items()}


class Given(Importer):
    """Reads the rows that it was made with."""

    def __init__(self, rows=ROWS):
        self.rows = rows

    def read(self):
        return self.rows


# What is taken wherever an importer is ------------------------------------------------------------------------------


def records():
    return Records(["idnumber", "name"], [[["2", "1"], ["Bob", "Ann"]]], lambda index: f"record {index}")


class Store:
    def load(self, identifier):
        return [dict(row) for row in ROWS] if identifier == "users" else []

    def dump(self, identifier, *, data):
        pytest.fail("an import writes nothing")


@pytest.mark.parametrize(
    "importer",
    [
        ROWS,
        tuple(ROWS),
        lambda: ROWS,
        lambda: iter(ROWS),
        lambda: (row for row in ROWS),
        records(),
        records,
        Given,
        Given(),
        Store(),
        (row for row in ROWS),
    ],
    ids=[
        "list",
        "tuple",
        "function",
        "function of an iterator",
        "generator function",
        "records",
        "function of records",
        "importer class",
        "importer",
        "syncer",
        "generator",
    ],
)
@pytest.mark.parametrize("object_class", [Object, User])
def test_all_of_these_are_importers(importer, object_class):
    if isinstance(importer, Records):
        importer = records()
    elif not hasattr(importer, "__len__") and hasattr(importer, "__next__"):
        importer = (row for row in ROWS)
    assert names(loaded(importer, object_class)) == {"1": "Ann", "2": "Bob"}


@pytest.mark.parametrize(
    ("importer", "message"),
    [
        ("users.csv", r"got 'users.csv'\); for a file write CSVImporter\('users.csv'\)"),
        (b"bytes", "an importer, a function, a syncer, a dataframe or rows are wanted"),
        ({"idnumber": "1"}, "are wanted"),
        (3, r"are wanted \(got 3\)"),
        (list, "are wanted"),
        (type("Needy", (Given,), {"__init__": lambda self, rows: None}), "Needy needs arguments: give an instance"),
    ],
)
def test_what_nothing_can_be_read_from_is_refused_where_it_is_declared(importer, message):
    with pytest.raises(DeclarationError, match=message):
        Branch(importer=importer)


@pytest.mark.parametrize("rows", [None, 7, "text", b"bytes", {"idnumber": "1"}])
def test_what_is_read_must_be_rows(rows):
    with pytest.raises(ImporterError, match=r"source.users: an importer must give rows, each a mapping"):
        loaded(Given(rows))


def test_an_importer_must_read():
    with pytest.raises(DeclarationError, match="Nothing must define read"):
        loaded(type("Nothing", (Importer,), {}))


def test_a_function_is_called_anew_at_every_import():
    calls = []

    def rows():
        calls.append(1)
        return ROWS[: len(calls)]

    tree = loaded(rows)
    assert len(tree.users) == 1
    assert len((+tree).users) == 2


@pytest.mark.parametrize("source", [iter(ROWS), records()])
def test_an_iterator_gives_its_rows_only_once(source):
    tree = loaded(source)
    with pytest.raises(ImporterError, match="gives its rows only once: give the function that makes it"):
        +tree
    assert len(tree.users) == 2, "what was there stays"


def test_one_iterator_cannot_feed_two_trees():
    class Shared(Tree):
        users = Branch(importer=iter(ROWS))

    assert len((+Shared()).users) == 2
    with pytest.raises(ImporterError, match="only once"):
        +Shared()


def test_a_list_can_be_read_again_and_is_left_as_it_was():
    rows = [{"idnumber": "1", "members": {"a"}}, {"idnumber": "1", "members": {"b"}}]
    tree = loaded(rows)
    tree.users["1"].members.add("c")
    assert rows == [{"idnumber": "1", "members": {"a"}}, {"idnumber": "1", "members": {"b"}}]
    assert (+tree).users["1"].members == {"a", "b"}


# Hooks --------------------------------------------------------------------------------------------------------------


class Hooked(Given):
    """Keeps those with a name, and writes names in capitals."""

    def keep(self, row):
        return bool(row["name"])

    def prepare(self, row):
        return {"idnumber": row["idnumber"], "name": row["name"].upper()}


@pytest.mark.parametrize("source", [[*ROWS, {"idnumber": "3", "name": ""}], records()])
def test_keep_and_prepare_see_each_row(source):
    assert names(loaded(Hooked(source), User)) == {"1": "ANN", "2": "BOB"}


def test_prepare_may_rename_and_complete():
    class Renaming(Given):
        def prepare(self, row):
            return {"idnumber": int(row["idnumber"]), "name": f"{row['name']} of {self.tree.name}.{self.branch.name}"}

    assert names(loaded(Renaming)) == {1: "Ann of source.users", 2: "Bob of source.users"}


def test_the_report_counts_what_was_read_and_what_was_made():
    tree = loaded(Hooked([*ROWS, {"idnumber": "3", "name": ""}]))
    report = tree.users.imported
    assert (report.branch, report.rows, report.objects, report.bad_rows) == ("source.users", 3, 2, ())
    assert report.stat == "rows=3 objects=2 bad=0"
    assert report.seconds >= 0
    assert report.ok
    assert "rows=3 objects=2 bad=0" in report._repr_html_() or "rows=" in report._repr_html_()


@pytest.mark.parametrize("hook", ["keep", "prepare"])
def test_a_hook_that_raises_refuses_its_row_with_the_place(hook):
    def fail(self, row):
        if row["idnumber"] == "1":
            raise KeyError("missing")
        return row

    importer = type("Failing", (Given,), {hook: fail})
    with pytest.raises(RowError, match=r"source\.users: row 2: KeyError: 'missing'") as caught:
        loaded(importer)
    assert caught.value.row == ROWS[1]
    assert isinstance(caught.value.__cause__, KeyError)
    collecting = type("Collecting", (importer,), {"on_bad_row": "collect"})
    tree = loaded(collecting)
    assert list(tree.users) == ["2"]
    (bad,) = tree.users.imported.bad_rows
    assert bad.where == "row 2"
    assert not tree.users.imported.ok
    assert "row 2: KeyError" in repr(tree.users.imported)


def test_a_hook_may_refuse_a_row_in_its_own_words():
    class Refusing(Given):
        on_bad_row = "collect"

        def prepare(self, row):
            raise RowError("not this year", row=row)

    tree = loaded(Refusing)
    assert [str(error) for error in tree.users.imported.bad_rows] == ["row 1: not this year", "row 2: not this year"]


def test_finished_comes_last_and_what_it_raises_undoes_the_import():
    class Counting(Given):
        def finished(self):
            if len(self.rows) > 2:
                raise ImporterError("too many")

    tree = loaded(Counting)
    tree.users.importer = Counting([*ROWS, {"idnumber": "3", "name": "x"}])
    with pytest.raises(ImporterError, match=r"source\.users: too many"):
        +tree
    assert names(tree) == {"1": "Ann", "2": "Bob"}
    assert tree.users.imported.rows == 2


def test_a_mistyped_choice_about_bad_rows_is_refused():
    with pytest.raises(DeclarationError, match=r"on_bad_row is 'stop' or 'collect' .got 'skip'"):
        loaded(type("Mistyped", (Given,), {"on_bad_row": "skip"}))


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("as_records", [False, True])
def test_an_import_that_fails_lets_go_of_what_it_reads_from(hooked, as_records):
    events = []

    def reading():
        try:
            for number in range(100_000):
                bad = {"idnumber": ""} if number == 5 else {"idnumber": str(number)}
                yield [[value] for value in bad.values()] if as_records else bad
        finally:
            events.append("closed")

    class Reading(Hooked if hooked else Given):
        keep = Importer.keep
        prepare = Importer.prepare if not hooked else lambda self, row: dict(row)

        def read(self):
            return Records(["idnumber"], reading(), lambda index: f"row {index + 1}") if as_records else reading()

    with pytest.raises(ImporterError, match="row 6") as caught:
        loaded(Reading)
    assert events == ["closed"], "while the error, and so the frame that read, is still alive"
    assert caught.value.where == "row 6"


def test_bad_rows_are_those_of_one_import():
    class Collecting(Given):
        on_bad_row = "collect"

    importer = Collecting([{"idnumber": ""}, {"idnumber": "1"}])
    one, other = loaded(importer), loaded(importer)
    assert len(one.users.imported.bad_rows) == len((+one).users.imported.bad_rows) == 1
    assert len(other.users.imported.bad_rows) == 1


# Derived branches ---------------------------------------------------------------------------------------------------


class FromUsers(Importer):
    after = ("users",)

    def read(self):
        for user in self.tree.users.values():
            yield {"idnumber": user.name[0], "members": {user.idnumber}}


def test_a_branch_is_derived_from_another_whatever_their_order():
    class Source(Tree):
        groups = Branch(importer=FromUsers)
        users = Branch(importer=[*ROWS, {"idnumber": "3", "name": "Bea"}])

    source = +Source()
    assert {key: group.members for key, group in source.groups.items()} == {"A": {"1"}, "B": {"2", "3"}}


@pytest.mark.parametrize("look", [lambda tree: tree.users, lambda tree: tree["users"]])
def test_a_branch_sees_no_other_that_it_is_not_after(look):
    class Hasty(Importer):
        def read(self):
            return [{"idnumber": key} for key in look(self.tree)]

    tree = Tree("school", branches={"groups": Branch(importer=Hasty), "users": Branch(importer=ROWS)})
    with pytest.raises(DeclarationError, match=r"school\.groups is derived from users: write after = \('users',\)"):
        +tree


@pytest.mark.parametrize(
    ("after", "error", "message"),
    [
        (
            {"a": ("b",), "b": ("c",), "c": ("a",)},
            CircularOrderError,
            "branches of Circle wait for each other: a → b → c → a",
        ),
        ({"a": ("a",)}, CircularOrderError, "a → a"),
        ({"a": ("nothing",)}, DeclarationError, "Circle.a is after 'nothing', which is no branch of Circle"),
        ({"a": "b", "b": ()}, DeclarationError, r"Circle.a: after must be a tuple: \('b',\)"),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused(after, error, message):
    branches = {name: Branch(importer=type("After", (Given,), {"after": those})) for name, those in after.items()}
    tree = Tree("Circle", branches=branches)
    with pytest.raises(error, match=message):
        +tree


def test_if_a_later_branch_fails_the_earlier_ones_are_put_back():
    state = {"users": ROWS, "fail": False}

    class Derived(FromUsers):
        def finished(self):
            if state["fail"]:
                raise RuntimeError("no")

    class Source(Tree):
        users = Branch(importer=lambda: state["users"])
        groups = Branch(importer=Derived)

    source = +Source()
    before = source.users.imported
    state.update(users=[{"idnumber": "9", "name": "Zed"}], fail=True)
    with pytest.raises(RuntimeError, match="no"):
        +source
    assert names(source) == {"1": "Ann", "2": "Bob"}
    assert set(source.groups) == {"A", "B"}
    assert source.users.imported is before
    source.users._check()
    state["fail"] = False
    assert names(+source) == {"9": "Zed"}


def test_importers_of_two_trees_do_not_see_each_other():
    class Source(Tree):
        users = Branch(importer=Given)

    one, other = +Source("one"), +Source("other")
    assert one.users["1"] is not other.users["1"]
    assert one.users.importer is other.users.importer, "declared once"
    assert not hasattr(one.users.importer, "tree"), "bound in a copy"


@pytest.mark.parametrize("kind", [CallableImporter, IterableImporter])
def test_the_small_importers_can_be_made_by_hand(kind):
    importer = kind((lambda: ROWS) if kind is CallableImporter else ROWS)
    assert names(loaded(importer)) == {"1": "Ann", "2": "Bob"}
