"""Results that are made when somebody looks: they are like a tuple, and cost nothing before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, CollectingReporter, Object, SyncerError, Tree
from datastoresync.applying import store_template as bulk
from datastoresync.applying.report import STATUSES, Report, Result, Results, statuses_of
from datastoresync.syncers.changes import Outcome


def lazily(made):
    looks = []

    def make():
        looks.append(None)
        yield from made

    return Results(statuses_of(made), make), looks


lists_of_results = st.lists(st.sampled_from(STATUSES).map(Result), max_size=5)


@given(lists_of_results, st.integers(-6, 6), st.integers(-6, 6))
def test_they_are_like_a_tuple(made, start, stop):
    results, looks = lazily(made)
    assert len(results) == len(made)
    assert results.counts == statuses_of(made)
    assert not looks, "nobody has looked at one"
    assert results == tuple(made)
    assert results != made, "a tuple is no list"
    more = (Result("failed"),)
    assert results + more == tuple(made) + more
    assert more + results == more + tuple(made)
    assert results + lazily(made)[0] == (*made, *made)
    assert tuple(made) == results
    assert list(results) == made
    assert results[start:stop] == tuple(made[start:stop])
    assert hash(results) == hash(tuple(made))
    assert results != (*made, Result("failed"))
    assert results != 5
    with pytest.raises(TypeError):
        results + made
    with pytest.raises(TypeError):
        made + results
    if -len(made) <= start < len(made):
        assert results[start] is made[start]
    assert len(looks) == 1, "they are made once"


@given(lists_of_results)
def test_a_report_of_them_is_as_one_of_a_tuple(made):
    results, looks = lazily(made)
    mine, other = Report(results), Report(tuple(made))
    assert (mine.stat, mine.ok, mine.planned, mine.complete) == (other.stat, other.ok, other.planned, other.complete)
    assert not looks
    assert mine.failures == other.failures
    assert mine.unhandled_methods == other.unhandled_methods
    assert str(mine) == str(other)
    assert bool(looks) == bool(mine.failed or mine.conflicts or mine.unhandled)


def test_they_say_how_many_there_are_or_what_the_few_are():
    assert repr(Results({"succeeded": 20, "failed": 1}, list)) == "<Results: succeeded=20, failed=1>"
    made = (Result("failed", "why"),)
    assert repr(lazily(made)[0]) == repr(made)
    assert repr(Results({}, list)) == "()"


# What a store did -----------------------------------------------------------------------------------------------------


class User(Object):
    name: str


class Store:
    """Does nothing, and says so in the words it was given."""

    def __init__(self, *outcomes):
        self.outcomes = outcomes

    def apply_changes(self, changes, *, same):
        self.verbs = [change.verb for change in changes]
        return self.outcomes


def run(*outcomes, **options):
    rows = [{"idnumber": key, "name": key} for key in "abc"]
    source = +Tree("source", branches={"users": Branch(User, importer=rows)})
    dest = Tree("dest", syncer=Store(*outcomes), branches={"users": Branch(User, importer=[])})
    return source.sync_to(+dest, **options), dest


DONE = Outcome("done")


def test_nobody_makes_results_of_what_was_done(monkeypatch):
    monkeypatch.setattr(bulk, "Result", None)
    report, dest = run(DONE, DONE, DONE)
    assert report.ok
    assert str(report).startswith("report: succeeded=3 failed=0")
    assert list(dest.users) == ["a", "b", "c"]


def test_each_has_its_own_outcome_whoever_hears_of_it():
    outcomes = (DONE, Outcome("conflict", "somebody else"), DONE)
    (silent, dest), heard = run(*outcomes), CollectingReporter()
    told, other = run(*outcomes, reporters=[heard])
    expected = [("succeeded", "", "a"), ("conflict", "somebody else", "b"), ("succeeded", "", "c")]
    for report in (silent, told, heard.report):
        assert [(one.status, one.reason, one.action.idnumber) for one in report.results] == expected
        assert [one.method for one in report.results] == ["new_users"] * 3
    assert list(dest.users) == list(other.users) == ["a", "c"]


@pytest.mark.parametrize("outcomes", [[DONE] * 2, [DONE] * 4, [DONE] * 3 + [Outcome("conflict")]])
def test_a_store_that_has_lost_count_is_noticed(outcomes):
    with pytest.raises(SyncerError, match=f"returned {len(outcomes)} outcomes for 3 changes: it returns one for each"):
        run(*outcomes)
