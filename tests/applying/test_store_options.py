"""What a store is told about a run, and what becomes of its answers: held values, warnings, a rehearsal."""

import pytest

from datastoresync import (
    Action,
    Branch,
    CollectingReporter,
    DeclarationError,
    Importer,
    Limits,
    Object,
    Table,
    Template,
    Tree,
)
from datastoresync.importing.importer import StoreImporter
from datastoresync.syncers.changes import Held, Outcome, Outcomes

ANYTHING = Limits(deletions=100, updates=100, removals=100, empty=["marks"])
DONE = Outcome("done")


class Mark(Object):
    mark: int
    tags: set[str] = set()


class Store:
    """Holds records, and answers as it is told to; it rounds nothing itself, and writes nothing."""

    name = "the store"

    def __init__(self, answer=lambda change: DONE, *, warnings=(), records=()):
        self.answer = answer
        self.warnings = warnings
        self.records = list(records)
        self.options = []

    def load(self, identifier):
        return self.records

    def dump(self, identifier, *, data):
        raise AssertionError

    def apply_changes(self, changes, *, same, options=None):
        self.options.append(options)
        outcomes = Outcomes()
        for change in changes:
            outcomes.extend(1, self.answer(change))
        outcomes.warnings += self.warnings
        return outcomes


class Plain(Store):
    """Takes no options, as stores from before there were any."""

    def apply_changes(self, changes, *, same):
        return super().apply_changes(changes, same=same)


def over(store, **declared):
    return +Tree("dest", syncer=store, branches={"marks": Branch(Mark, **declared)})


def wanted(*rows):
    return +Tree("source", branches={"marks": Branch(Mark, importer=list(rows))})


TWO = wanted({"idnumber": "1", "mark": 1}, {"idnumber": "2", "mark": 2})


@pytest.mark.parametrize("on_error", [None, "stop", "continue"])
def test_the_store_is_told_what_the_run_was(on_error):
    store = Store()
    dest = over(store)
    assert TWO.sync_to(dest, on_error=on_error).ok
    (options,) = store.options
    assert options.on_error == (on_error or "stop")
    assert not options.rehearse
    assert options.tables == [Table("marks")]
    assert options.whole(options.tables[0])
    assert not options.whole(Table("another"))


def test_on_error_is_one_of_two_words():
    with pytest.raises(DeclarationError, match="'continue' or 'stop'"):
        TWO.sync_to(over(Store()), on_error="ignore")


@pytest.mark.parametrize(
    ("keywords", "words"),
    [({"on_error": "continue"}, "on_error can only be 'stop'"), ({"rehearse": True}, "mock=True walks")],
)
def test_a_store_that_takes_no_options_cannot_go_on_and_not_be_rehearsed(keywords, words):
    store = Plain()
    dest = over(store)
    with pytest.raises(DeclarationError, match=f"the store .*{words}"):
        TWO.sync_to(dest, **keywords)
    assert (store.options, len(dest.marks)) == ([], 0)
    assert TWO.sync_to(dest, on_error="stop").ok


class Kept(StoreImporter):
    def keep(self, row):
        return row["mark"] != 7


class Renamed(StoreImporter):
    def prepare(self, row):
        return {**row, "idnumber": row["idnumber"].lower()}


class Own(Importer):
    def read(self):
        return []


@pytest.mark.parametrize("make", [Kept, Renamed, lambda _: Own()])
def test_only_a_plain_import_from_the_same_store_has_all_its_rows(make):
    store = Store()
    dest = over(store, importer=make(store))
    TWO.sync_to(dest)
    assert not store.options[0].whole(store.options[0].tables[0])


def test_rows_that_were_refused_are_not_newer_than_the_import():
    class Collecting(StoreImporter):
        on_bad_row = "collect"

    store = Store(records=[{"idnumber": "9", "mark": "ill"}])
    assert not over(store, importer=Collecting(store)).marks.holds_all_of(store)


def test_an_import_from_another_store_or_none_says_nothing_of_this_one():
    dest = over(Store())
    assert dest.marks.holds_all_of(dest.syncer)
    assert not dest.marks.holds_all_of(Store())
    assert not Tree("dest", syncer=dest.syncer, branches={"marks": Branch(Mark)}).marks.holds_all_of(dest.syncer)


# What is held instead -------------------------------------------------------------------------------------------------


def rounding(change):
    if change.key != ("1",) or "mark" not in change.values:
        return DONE
    return Outcome("done", "rounded", Held({"mark": "5", "tags": ["x"]}))


@pytest.mark.parametrize("reporters", [[], [CollectingReporter()]])
def test_what_the_store_holds_instead_is_in_the_result_the_branch_and_the_next_diff(reporters):
    store = Store(rounding, warnings=["column marks.mark rounds"])
    dest = over(store)
    report = TWO.sync_to(dest, reporters=reporters)
    assert [(one.status, one.reason, one.held) for one in report.results] == [
        ("succeeded", "rounded", {"mark": 5, "tags": {"x"}}),
        ("succeeded", "", None),
    ]
    assert (report.succeeded, report.changed, report.ok, report.exit_code) == (2, 1, False, 1)
    assert report.warnings == ("column marks.mark rounds",)
    assert (dest.marks["1"].mark, dest.marks["1"].tags) == (5, {"x"})
    assert list(TWO - dest) == [
        Action("update", "marks", "1", "mark", 1, 5),
        Action("remove", "marks", "1", "tags", "x"),
    ]
    dest.marks._check()


def test_a_value_that_no_import_would_take_is_shown_as_it_is():
    dest = over(Store(lambda change: Outcome("done", "", Held({"mark": "ill"}))))
    report = TWO >> dest
    assert report.changed == 2
    assert report.results[0].message == "succeeded: new_marks(idnumber='1'): the store holds mark='ill'"


# A rehearsal ----------------------------------------------------------------------------------------------------------


def refusing(change):
    return Outcome("failed", "no") if change.key == ("2",) else rounding(change)


@pytest.mark.parametrize("reporters", [[], [CollectingReporter()]])
@pytest.mark.parametrize("one_branch", [False, True])
def test_a_rehearsal_reports_what_a_run_would_and_folds_nothing(reporters, one_branch):
    store = Store(refusing, records=[{"idnumber": "3", "mark": 3}])
    dest = over(store)
    before = TWO - dest
    source, whither = (TWO.marks, dest.marks) if one_branch else (TWO, dest)
    report = source.rehearse(whither, reporters=reporters, limits=ANYTHING)
    assert store.options[0].rehearse
    assert [one.status for one in report.results] == ["succeeded", "failed", "succeeded"]
    for reporter in reporters:  # nobody prints a letter
        assert [one.status for one in reporter.results] == ["planned", "failed", "planned"]
    assert report.stat.endswith("total=3 changed=1 rehearsed")
    assert (report.rehearsed, report.deleted) == (True, ())
    assert TWO - dest == before
    assert len(TWO.sync_to(dest, limits=ANYTHING).deleted) == 1
    assert len(dest.marks) == 1


class Careless:
    """Takes any keyword, and would do what it is told not to."""

    def apply(self, diff, **keywords):
        raise AssertionError


class Active(Mark):
    def update(self, attributes):
        raise AssertionError


@pytest.mark.parametrize(
    "dest",
    [
        Tree("dest", template=Template, branches={"marks": Branch(Mark)}),
        Tree("dest", template=Careless(), branches={"marks": Branch(Mark)}),
        Tree("dest", branches={"marks": Branch(Active)}),
    ],
)
def test_what_cannot_be_undone_cannot_be_rehearsed(dest):
    with pytest.raises(DeclarationError, match=r"cannot undo what it did.*mock=True walks"):
        TWO.rehearse(dest)


def test_a_rehearsal_is_not_a_mock_run():
    with pytest.raises(DeclarationError, match="give one of them"):
        TWO.rehearse(over(Store()), mock=True)
