"""Diffs whose actions may be too many for the memory: they are applied as any other, and never held whole."""

import weakref

import attrs
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, CollectingReporter, Diff, Limits, Object, Table, Template, Tree, batch, failed
from datastoresync.applying import report as reports
from datastoresync.applying.store_template import StoreTemplate
from datastoresync.diffing.branch_diff import Streamed
from datastoresync.syncers.sql import apply as sql_changes
from datastoresync.syncers.sql.syncer import SQLSyncer

ANYTHING = Limits(deletions=10_000, updates=10_000, removals=10_000, dangling=10_000, empty=["users"])


class User(Object):
    name: str
    tags: set[str] = set()


def tree_of(users, **options):
    rows = [{"idnumber": key, "name": name, "tags": tags} for key, (name, tags) in users.items()]
    return +Tree("tree", branches={"users": Branch(User, importer=rows)}, **options)


class Watch:
    """Streams a diff, and knows how many of its actions were alive at once."""

    def __init__(self, diff):
        self.alive = weakref.WeakSet()
        self.most = self.passes = 0
        watch = self

        class Long(Diff):
            streamed = True

            def __iter__(self):
                watch.passes += 1
                for action in diff.actions:
                    made = attrs.evolve(action)
                    watch.alive.add(made)
                    watch.most = max(watch.most, len(watch.alive))
                    yield made

            def __len__(self):
                return len(diff)

            def __bool__(self):
                return bool(diff)

            @property
            def counts(self):
                return diff.counts

            def fold(self, action, created=None):
                diff.fold(action, created)

        self.diff = Long(Streamed(lambda: iter(diff)), diff.branch_diffs, diff.hierarchies)


def streamed(diff):
    return Watch(diff).diff


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(reports, "KEPT", 10)
    monkeypatch.setattr(sql_changes, "SEGMENT", 100)


MANY = {f"{number:05}": ("name", {"a"}) for number in range(2_000)}
OTHERS = {f"{number:05}": ("new name", {"b"}) for number in range(1_000, 3_000)}


# Templates ------------------------------------------------------------------------------------------------------------


class Accounts(Template):
    def __init__(self):
        super().__init__()
        self.done = []

    def new_users(self, action):
        self.done.append(action.message)

    @batch(7)
    def update(self, actions):
        self.done.append([action.message for action in actions])

    def add_tags(self, action):
        self.done.append(action.message)
        return failed("no") if action.idnumber.endswith("7") else None


users = st.dictionaries(
    st.sampled_from("abcdefgh7"), st.tuples(st.sampled_from("xy"), st.sets(st.sampled_from("abc"))), max_size=9
)


def told(report):
    return [(result.status, result.reason, result.method, result.action) for result in report.results]


@given(source=users, dest=users)
def test_a_streamed_diff_is_applied_as_any_other(source, dest):
    reports_, done, trees = [], [], []
    for stream in (lambda diff: diff, streamed):
        template, there, heard = Accounts(), tree_of(dest), CollectingReporter()
        reports_.append(template.apply(stream(tree_of(source) - there), limits=ANYTHING, reporters=[heard]))
        done.append(template.done)
        trees.append([(user.idnumber, user.name, user.tags) for user in there.users.values()])
        assert [result.action for result in heard.results] == [result.action for result in reports_[-1].results]
        assert len(heard.plan.actions) == len(heard.results) == heard.report.planned
        assert heard.plan.unhandled == heard.report.unhandled_methods
    assert told(reports_[0]) == told(reports_[1])
    assert reports_[0].stat == reports_[1].stat
    assert done[0] == done[1]
    assert trees[0] == trees[1]
    assert reports_[1].complete


def test_a_template_never_holds_the_actions(few):
    dest = tree_of(MANY)
    watch = Watch(tree_of(OTHERS) - dest)
    report = Accounts().apply(watch.diff, limits=ANYTHING)
    assert (report.succeeded, report.failed, report.unhandled) == (3_900, 100, 1_000)
    assert report.unhandled_methods == {"old_users": 1_000}
    assert not report.complete
    assert len(report.results) == 10 + 100 + 10
    assert len(report.failures) == 100
    assert f"with 120 of the {report.planned:,} results" in str(report)
    assert watch.most < 200


def test_what_is_not_come_to_is_counted(few):
    class Stops(Accounts):
        on_error = "stop"

    report = Stops().apply(streamed(tree_of(OTHERS) - tree_of(MANY)), limits=ANYTHING)
    assert report.failed == 1
    assert report.planned == report.succeeded + report.failed + report.pending
    assert report.pending > 1_000
    assert not report.ok
    assert len(report.results) == 10 + 1 + 10


# Stores ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def dest(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table users (idnumber text primary key, name text, tags json)")
    engine.dispose()
    with SQLSyncer(url) as syncer:
        yield +Tree("dest", syncer=syncer, branches={"users": Branch(User)})


def test_a_store_takes_a_streamed_diff_without_anybody_holding_it(dest, few):
    assert (tree_of(MANY) >> dest).ok
    source = tree_of(OTHERS)
    watch = Watch(source - dest)
    report = dest.apply(watch.diff, limits=ANYTHING)
    assert report.ok
    assert report.counts["succeeded"] == report.planned == 1_000 + 2 * 1_000 + 1_000, "members become one update"
    assert len(report.results) == 10
    assert watch.most < 350
    assert not source - dest, "it is folded"
    assert not source - +dest, "and it is there"


def test_a_store_that_is_not_changed_hears_of_nothing(dest):
    diff = streamed(tree_of(MANY) - dest)
    heard = CollectingReporter()
    assert dest.apply(diff, mock=True, reporters=[heard], limits=ANYTHING).counts["planned"] == 2_000
    assert len(heard.plan.actions) == 2_000
    assert len(dest.users) == 0
    assert dest.apply(streamed(dest - dest)).planned == 0


def test_a_failure_undoes_all_of_a_streamed_diff(dest, few):
    assert (tree_of(MANY) >> dest).ok
    dest.syncer.update("users", data=[{"idnumber": "01500", "name": "mine"}], key="idnumber")
    report = dest.apply(streamed(tree_of(OTHERS) - dest), limits=ANYTHING)
    assert (report.conflicts, report.succeeded) == (2, 3_998)
    assert [result.action.idnumber for result in report.failures] == ["01500", "01500"]


class Memory:
    """A store that only loads and dumps."""

    name = "memory"

    def __init__(self):
        self.rows = []

    def load(self, identifier):
        return self.rows

    def dump(self, identifier, *, data):
        self.rows = list(data)


def test_a_store_that_takes_changes_by_their_places_gets_them_all():
    store = Memory()
    there = +Tree("dest", syncer=store, branches={"users": Branch(User)})
    assert there.apply(streamed(tree_of({"1": ("x", {"a"}), "2": ("y", set())}) - there), limits=ANYTHING).ok
    assert [row["idnumber"] for row in store.rows] == ["1", "2"]


@pytest.mark.parametrize("change", ["fewer", "others"])
def test_a_diff_that_is_another_one_afterwards_is_counted_and_said(dest, change):
    diff = tree_of({"1": ("x", set()), "2": ("y", set()), "3": ("z", set())}) - dest
    actions = list(diff)

    class Moving(Diff):
        streamed = True

        def __iter__(self):
            return iter(actions)

        def __len__(self):
            return 3

        def fold(self, action, created=None):
            diff.fold(action, created)

    class Store:
        def apply_changes(self, changes, *, same):
            outcomes = [sql_changes.Outcome("done") for _ in changes]
            if change == "fewer":
                actions.pop()
            else:
                actions[2] = attrs.evolve(actions[2], idnumber="4")
            return outcomes

    report = StoreTemplate(Store(), dest.applier().stored).apply(
        Moving(tuple(actions), diff.branch_diffs), limits=ANYTHING
    )
    assert (report.succeeded, report.planned) == (3, 3)
    assert "import again" in report.warnings[0]
    assert list(dest.users) == ["1", "2"]


# Objects with methods -------------------------------------------------------------------------------------------------


class Account(Object):
    name: str
    calls = []

    @classmethod
    def create(cls, tree, ids, attributes):
        cls.calls.append(("create", ids["idnumber"]))

    def update(self, attributes):
        self.calls.append(("update", self.idnumber, attributes))

    def delete(self):
        self.calls.append(("delete", self.idnumber))


def test_objects_with_methods_take_a_streamed_diff():
    def tree(rows):
        return +Tree("tree", branches={"accounts": Branch(Account, importer=rows)})

    Account.calls.clear()
    there = tree([{"idnumber": "1", "name": "a"}, {"idnumber": "2", "name": "b"}])
    source = tree([{"idnumber": "2", "name": "c"}, {"idnumber": "3", "name": "d"}])
    watch = Watch(source - there)
    assert there.apply(watch.diff, limits=ANYTHING).ok
    assert Account.calls == [("create", "3"), ("update", "2", {"name": "c"}), ("delete", "1")]
    assert not source - there


# The sequence itself --------------------------------------------------------------------------------------------------


@given(items=st.lists(st.integers()), places=st.lists(st.integers(-6, 6)), start=st.integers(-6, 6))
def test_a_streamed_sequence_is_like_a_list(items, places, start):
    sequence = Streamed(lambda: iter(items))
    assert bool(sequence) == bool(items)
    assert list(sequence) == items
    assert len(sequence) == len(items)
    assert sequence[start:] == items[start:]
    for place in places:
        if -len(items) <= place < len(items):
            assert sequence[place] == items[place]
        else:
            with pytest.raises(IndexError, match=f"no item {place} of {len(items)}"):
                sequence[place]


def test_a_streamed_sequence_says_how_long_it_is_once_that_is_known():
    sequence = Streamed(lambda: iter("abc"))
    assert repr(sequence) == "<Streamed>"
    assert len(sequence) == 3
    assert repr(sequence) == "<Streamed: 3 items>"
    assert not Diff(()).streamed
    assert Table("users").name == "users"
