"""Applying to the store that the destination came from: one transaction, conflicts kept, all or nothing."""

from types import SimpleNamespace

import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from datastoresync import (
    Branch,
    CollectingReporter,
    Limits,
    Link,
    LockedError,
    Object,
    SafeguardError,
    SyncerError,
    SyncInterrupted,
    Table,
    Tree,
)
from datastoresync.applying.store_template import StoreTemplate
from datastoresync.diffing.action import Action
from datastoresync.diffing.diff import Diff
from datastoresync.syncers.changes import Outcome
from datastoresync.syncers.sql.syncer import SQLSyncer

ANYTHING = Limits(deletions=10_000, updates=10_000, removals=10_000, dangling=10_000, empty=["users", "groups"])

TABLES = """
create table users (
    idnumber varchar(20) primary key, name varchar(40) not null, grade integer, mail varchar(40) unique
);
create table groups (code varchar(20) primary key, title varchar(40));
create table group_members (
    group_code varchar(20) references groups (code),
    user_id varchar(20) references users (idnumber),
    primary key (group_code, user_id)
);
"""


class User(Object):
    name: str
    grade: int | None = None
    mail: str | None = None


class Group(Object):
    title: str
    members: set[str] = set()
    _references = {"members": "users"}


GROUPS = Table(
    "groups", columns={"idnumber": "code"}, links={"members": Link("group_members", "group_code", "user_id")}
)

USERS = [{"idnumber": str(number), "name": f"name {number}", "grade": number} for number in range(12)]


def source_of(users=USERS, groups=()):
    return +Tree(
        "source",
        branches={"users": Branch(User, importer=list(users)), "groups": Branch(Group, importer=list(groups))},
    )


@pytest.fixture
def engine(store_url):
    engine = sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        for statement in TABLES.split(";"):
            if statement.strip():
                connection.execute(sqlalchemy.text(statement))
    return engine


@pytest.fixture
def dest(engine, store_url):
    with SQLSyncer(store_url) as syncer:
        yield tree_over(syncer)


def tree_over(syncer):
    return +Tree("dest", syncer=syncer, branches={"users": Branch(User), "groups": Branch(Group, table=GROUPS)})


def run(engine, *statements):
    with engine.begin() as connection:
        return [connection.execute(sqlalchemy.text(statement)) for statement in statements]


def table(engine, name):
    with engine.connect() as connection:
        return sorted(map(tuple, connection.execute(sqlalchemy.text(f"select * from {name}"))))


# All of it ----------------------------------------------------------------------------------------------------------


def test_all_verbs_go_back_to_the_tables_and_the_links(engine, dest):
    first = source_of(USERS, [{"idnumber": "g", "title": "G", "members": {"1", "2"}}, {"idnumber": "h", "title": "H"}])
    heard = CollectingReporter()
    report = first.sync_to(dest, reporters=[heard])
    assert report.ok
    assert report.succeeded == report.planned == 14
    assert heard.report is report
    assert len(heard.results) == 14
    assert heard.plan.unhandled == {}
    assert table(engine, "group_members") == [("g", "1"), ("g", "2")]
    assert not first - dest, "it is folded"
    assert not first - +dest, "and it is there"

    changed = [
        {**row, "name": "new name"} if row["idnumber"] == "3" else row for row in USERS if row["idnumber"] != "11"
    ]
    second = source_of(
        changed, [{"idnumber": "g", "title": "G", "members": {"2", "3"}}, {"idnumber": "i", "title": "I"}]
    )
    report = second.sync_to(dest, limits=ANYTHING)
    assert sorted(result.action.message for result in report.results) == [
        "add_members_to_groups(idnumber='g', attr='members', value='3')",
        "new_groups(idnumber='i')",
        "old_groups(idnumber='h')",
        "old_users(idnumber='11')",
        "remove_members_from_groups(idnumber='g', attr='members', value='1')",
        "update_name(idnumber='3', attr='name', value='new name')",
    ]
    assert report.ok
    assert not second - dest
    assert not second - +dest
    assert table(engine, "group_members") == [("g", "2"), ("g", "3")]
    assert (second >> dest).planned == 0, "the second time there is nothing to do"


@st.composite
def worlds(draw):
    names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5)
    users = draw(
        st.dictionaries(st.sampled_from("abcdef"), st.tuples(names, st.none() | st.integers(-9, 9)), max_size=6)
    )
    groups = draw(
        st.dictionaries(st.sampled_from("gh"), st.sets(st.sampled_from(sorted(users))) if users else st.just(set()))
    )
    return (
        [{"idnumber": key, "name": name, "grade": grade} for key, (name, grade) in users.items()],
        [{"idnumber": key, "title": key, "members": members} for key, members in groups.items()],
    )


@given(st.lists(worlds(), min_size=1, max_size=3))
@settings(max_examples=examples(25), deadline=None)
def test_what_was_applied_is_what_is_read_again(tmp_path_factory, states):
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path_factory.mktemp('law')}/store.db", poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as connection:
        for statement in TABLES.split(";")[:-1]:
            connection.execute(sqlalchemy.text(statement))
    with SQLSyncer(engine) as syncer:
        dest = tree_over(syncer)
        for users, groups in states:
            source = source_of(users, groups)
            assert source.sync_to(dest, limits=ANYTHING).ok
            assert not source - dest
            assert not source - +dest
            assert (source >> dest).planned == 0
            dest.users._check()
            dest.groups._check()


def test_a_mock_run_writes_nothing_and_folds_nothing(engine, dest):
    source = source_of()
    report = source.sync_to(dest, mock=True)
    assert (report.mock, report.succeeded, report.counts["planned"]) == (True, 0, 12)
    assert table(engine, "users") == []
    assert len(source - dest) == 12


def test_nothing_to_do_asks_the_store_nothing(dest):
    dest.syncer.apply_changes = None  # would fail if it were called
    applier = StoreTemplate(dest.syncer, {})
    assert applier.apply(source_of([]) - dest).planned == 0


def test_filters_and_limits_are_those_of_any_template(engine, dest):
    source_of() >> dest
    with pytest.raises(SafeguardError, match=r"dest\.users: 9 deletions"):
        source_of(USERS[:3]) >> dest
    assert len(table(engine, "users")) == 12
    report = source_of([*USERS[:3], {"idnumber": "x", "name": "x"}]).sync_to(dest, only="new")
    assert report.planned == 1
    assert len(table(engine, "users")) == 13


def test_a_branch_can_be_synced_alone(engine, dest):
    assert (source_of().users >> dest.users).ok
    assert len(table(engine, "users")) == 12


# Foreign keys -------------------------------------------------------------------------------------------------------


def test_parents_are_written_first_and_children_deleted_first(engine, store_url):
    run(
        engine,
        "create table people (idnumber varchar(9) primary key, manager varchar(9) references people (idnumber))",
    )

    class Person(Object):
        manager: str | None
        _references = {"manager": "people"}

    rows = [
        {"idnumber": name, "manager": manager} for name, manager in [("a", "c"), ("b", "a"), ("c", "z"), ("z", None)]
    ]
    with SQLSyncer(store_url) as syncer:
        dest = +Tree("dest", syncer=syncer, branches={"people": Branch(Person)})
        source = +Tree("source", branches={"people": Branch(Person, importer=rows)})
        assert (source >> dest).ok
        assert table(engine, "people") == [("a", "c"), ("b", "a"), ("c", "z"), ("z", None)]
        nobody = +Tree("nobody", branches={"people": Branch(Person, importer=[])})
        assert nobody.sync_to(dest, limits=Limits(deletions=4, empty="people")).ok
        assert table(engine, "people") == []


# Conflicts ----------------------------------------------------------------------------------------------------------


def test_what_was_changed_meanwhile_is_kept_and_the_rest_goes_on(engine, dest):
    source_of() >> dest
    run(
        engine,
        "update users set name = 'by hand' where idnumber = '3'",
        "update users set name = 'by hand' where idnumber = '10'",
        "delete from users where idnumber = '4'",
        "insert into users (idnumber, name) values ('new', 'by hand')",
    )
    rows = [{**row, "name": row["name"].upper(), "grade": 100} for row in USERS if row["idnumber"] not in ("10", "11")]
    source = source_of([*rows, {"idnumber": "new", "name": "from the file"}])
    report = source.sync_to(dest, limits=ANYTHING)
    conflicts = {result.action.idnumber for result in report.results if result.status == "conflict"}
    assert conflicts == {"3", "4", "10", "new"}
    assert report.conflicts == 2 + 2 + 1 + 1, "both updates of one object, a deletion, a creation"
    assert report.succeeded == report.planned - 6
    assert not report.ok
    assert report.exit_code == 1
    there = {row[0]: row for row in table(engine, "users")}
    assert there["3"][1] == there["10"][1] == there["new"][1] == "by hand"
    assert there["3"][2] == 3, "nothing else of that object is changed either"
    assert "4" not in there
    assert "11" not in there
    assert there["0"][1:3] == ("NAME 0", 100)
    assert {action.idnumber for action in source - dest} == conflicts, "only what was done is folded"
    reasons = {result.action.idnumber: result.reason for result in report.failures}
    assert "name is 'by hand' (asked: 'from the file')" in reasons["new"], "what is there is shown"


def test_what_is_there_already_is_done(engine, dest):
    run(engine, "insert into users (idnumber, name, grade) values ('1', 'name 1', 1)")
    report = source_of(USERS[:2]) >> dest
    assert (report.succeeded, report.conflicts) == (2, 0)


def test_a_value_that_the_class_cannot_take_any_more_is_a_conflict(engine, store_url):
    run(
        engine,
        "create table marks (idnumber varchar(9) primary key, mark varchar(9))",
        "insert into marks values ('1', '7')",
    )

    class Mark(Object):
        mark: int

    with SQLSyncer(store_url) as syncer:
        dest = +Tree("dest", syncer=syncer, branches={"marks": Branch(Mark)})
        run(engine, "update marks set mark = 'ill'")
        report = +Tree("source", branches={"marks": Branch(Mark, importer=[{"idnumber": "1", "mark": 8}])}) >> dest
        assert report.conflicts == 1
        assert table(engine, "marks") == [("1", "ill")]


# Failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_statement_that_fails_undoes_everything_and_folds_nothing(engine, dest, place):
    run(engine, "insert into users (idnumber, name, mail) values ('someone', 'x', 'taken@example.org')")
    +dest
    rows = [{**row, "mail": "taken@example.org"} if number == place else row for number, row in enumerate(USERS)]
    source = source_of([{"idnumber": "someone", "name": "x", "mail": "taken@example.org"}, *rows])
    report = source >> dest
    assert report.planned == 12
    assert report.failed == 1
    assert report.pending == 11
    assert report.succeeded == 0
    assert report.exit_code == 1
    (failure,) = report.failures
    assert failure.action.idnumber == str(place)
    assert len(table(engine, "users")) == 1
    assert len(source - dest) == 12
    assert "taken@example.org" not in str(report) + repr(report) + failure.reason
    run(engine, "delete from users where idnumber = 'someone'")
    +dest
    assert source.sync_to(dest).failed == 1, "still both want it"
    assert source_of().sync_to(dest).ok


def test_a_table_that_is_not_there_is_an_error_before_anything_is_written(engine, dest):
    run(engine, "drop table group_members")
    with pytest.raises(SyncerError, match="group_members"):
        source_of(USERS, [{"idnumber": "g", "title": "G", "members": {"1"}}]) >> dest
    assert table(engine, "users") == []


def test_a_second_run_at_once_is_refused(engine, dest, store_url):
    source_of(USERS[:2]) >> dest
    with SQLSyncer(store_url) as other:
        slow = tree_over(other)
        changed = source_of([{**row, "name": "second"} for row in USERS[:2]])
        inner = []

        class Meddling(StoreTemplate):
            def _same(self, actions, changes):
                same = super()._same(actions, changes)

                def slow_same(*arguments):
                    if not inner:
                        inner.append(None)
                        with pytest.raises(LockedError, match="another run"):
                            changed.sync_to(slow)
                    return same(*arguments)

                return slow_same

        applier = dest.applier()
        report = Meddling(dest.syncer, applier.stored).apply(
            source_of([{**row, "name": "first"} for row in USERS[:2]]) - dest
        )
        assert inner
        assert report.ok
        assert changed.sync_to(+slow).ok, "the lock went with the run that had it"
    assert {row[1] for row in table(engine, "users")} == {"second"}


def test_ctrl_c_leaves_everything_as_it_was(engine, dest, ctrl_c):
    source_of(USERS[:2]) >> dest
    source = source_of([{**row, "name": "changed"} for row in USERS[:2]])

    class Pressed(StoreTemplate):
        def _same(self, actions, changes):
            return lambda *_: ctrl_c()

    with pytest.raises(SyncInterrupted) as caught:
        Pressed(dest.syncer, dest.applier().stored).apply(source - dest)
    report = caught.value.report
    assert (report.pending, report.planned, report.interrupted) == (2, 2, True)
    assert {row[1] for row in table(engine, "users")} == {"name 0", "name 1"}
    assert len(source - dest) == 2


# Columns of lists ---------------------------------------------------------------------------------------------------


def test_members_in_a_column_of_their_owner_are_one_update(database):
    engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)
    run(
        engine,
        "create table teams (idnumber text primary key, members text[], facts jsonb)",
        "insert into teams values ('t', '{a,b}', '{\"size\": 2}'), ('u', null, null)",
    )

    class Team(Object):
        members: list[str]
        facts: dict | None = None

    with SQLSyncer(database) as syncer:
        dest = +Tree("dest", syncer=syncer, branches={"teams": Branch(Team)})
        assert dest.teams["t"].members == ["a", "b"]
        assert dest.teams["u"].members == []
        rows = [
            {"idnumber": "t", "members": ["b", "c", "d"], "facts": {"size": 3}},
            {"idnumber": "u", "members": ["x"]},
            {"idnumber": "v", "members": [], "facts": {}},
        ]
        source = +Tree("source", branches={"teams": Branch(Team, importer=rows)})
        assert len(source - dest) == 6
        report = source >> dest
        assert report.ok
        assert sorted(result.action.method for result in report.results) == [
            "new_teams",
            "update_facts",
            "update_members",
            "update_members",
        ]
        assert not source - dest
        assert not source - +dest


# Any other syncer that takes changes --------------------------------------------------------------------------------


class Store:
    """Keeps records in memory, and gives up where it is told to."""

    def __init__(self, records, answer=lambda change: Outcome("done")):
        self.records = records
        self.answer = answer
        self.changes = []

    def load(self, identifier):
        return self.records

    def dump(self, identifier, *, data):
        self.records = data

    def apply_changes(self, changes, *, same):
        self.changes += changes
        return [self.answer(change) for change in changes]


def over(store, object_class=Object, **options):
    return +Tree("dest", syncer=store, branches={"users": Branch(object_class, **options)})


def test_a_change_names_the_record_what_is_to_be_there_and_what_was():
    store = Store([{"idnumber": "1", "name": "a", "grade": 1}, {"idnumber": "2", "name": "b", "grade": 2}])
    dest = over(store)
    rows = [{"idnumber": "1", "name": "A", "grade": 1}, {"idnumber": "3", "name": "c", "grade": 3}]
    source = +Tree("source", branches={"users": Branch(importer=rows)})
    assert source.sync_to(dest, limits=ANYTHING).ok
    said = [(change.verb, change.key, dict(change.values), dict(change.expected)) for change in store.changes]
    assert said == [
        ("insert", ("3",), {"name": "c", "grade": 3}, {}),
        ("update", ("1",), {"name": "A"}, {"name": "a"}),
        ("delete", ("2",), {}, {"name": "b", "grade": 2}),
    ]
    assert {change.table.name for change in store.changes} == {"users"}
    assert {change.identifiers for change in store.changes} == {("idnumber",)}


def test_composite_keys_are_passed_part_by_part():
    class Course(Object):
        _identifiers = ("school", "code")
        school: str
        code: int
        title: str

    store = Store([])
    dest = over(store, Course)
    source = +Tree("source", branches={"users": Branch(Course, importer=[{"school": "s", "code": "7", "title": "t"}])})
    source >> dest
    assert [(change.identifiers, change.key) for change in store.changes] == [(("school", "code"), ("s", 7))]


@pytest.mark.parametrize(
    ("status", "counted"),
    [("done", "succeeded"), ("conflict", "conflicts"), ("failed", "failed"), ("undone", "pending")],
)
def test_every_outcome_has_a_status(status, counted):
    store = Store([], lambda change: Outcome(status, "why"))
    source = +Tree("source", branches={"users": Branch(importer=[{"idnumber": "1"}, {"idnumber": "2"}])})
    dest = over(store)
    report = source >> dest
    assert getattr(report, counted) == report.planned == 2
    assert report.results[0].reason == "why"
    assert len(source - dest) == (0 if status == "done" else 2)


def test_a_tree_that_takes_no_changes_says_what_to_do():
    class ReadOnly:
        def load(self, identifier):
            return []

        def dump(self, identifier, *, data):
            pytest.fail("never called")

    assert not hasattr(ReadOnly, "name")  # so it is no syncer
    source = +Tree("source", branches={"users": Branch(importer=[{"idnumber": "1"}])})
    with pytest.raises(TypeError, match="dest has no template, no syncer, and no objects with create"):
        source >> over(ReadOnly())


# After it is written ------------------------------------------------------------------------------------------------


PLAIN = [{"idnumber": str(number), "name": "before"} for number in range(4)]


def wanted(name="after"):
    rows = [{"idnumber": str(number), "name": name} for number in range(4)]
    return +Tree("source", branches={"users": Branch(Object, importer=rows)})


@pytest.mark.parametrize("reporters", [[], [CollectingReporter()]])
def test_ctrl_c_after_it_is_written_does_not_lose_what_was_done(monkeypatch, ctrl_c, reporters):
    source, dest = wanted(), over(Store(PLAIN))
    told = []
    fold, fold_all = Diff.fold, Diff.fold_all

    def interrupting(*arguments):
        if not told:
            told.append(None)
            ctrl_c()
        return (fold if isinstance(arguments[1], Action) else fold_all)(*arguments)

    monkeypatch.setattr(Diff, "fold", interrupting)
    monkeypatch.setattr(Diff, "fold_all", interrupting)
    with pytest.raises(SyncInterrupted) as caught:
        source.sync_to(dest, reporters=reporters, limits=ANYTHING)
    assert caught.value.report.succeeded == 4
    assert {item.name for item in dest.users.values()} == {"after"}


class Uncopied:
    def __init__(self, text):
        self.text = text

    def __eq__(self, other):
        return isinstance(other, Uncopied) and self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def __copy__(self):
        raise RuntimeError("no copies")

    __deepcopy__ = __copy__


@pytest.mark.parametrize("reporters", [[], [CollectingReporter()]])
def test_what_is_written_and_cannot_be_in_memory_is_a_warning(reporters):
    dest = over(Store(PLAIN))
    rows = [{"idnumber": "9", "name": Uncopied("x")}, *PLAIN]
    source = +Tree("source", branches={"users": Branch(Object, importer=rows)})
    report = source.sync_to(dest, reporters=reporters, limits=ANYTHING)
    assert (report.succeeded, report.failed) == (1, 0)
    assert "9" in dest.users or "import again" in " ".join(report.warnings)


def test_outcomes_that_come_one_by_one_are_kept():
    class Streaming(Store):
        def apply_changes(self, changes, *, same):
            return iter(super().apply_changes(changes, same=same))

    report = wanted().sync_to(over(Streaming(PLAIN)), limits=ANYTHING)
    assert [result.status for result in report.results] == ["succeeded"] * 4


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "returned None"),
        ("done", "returned a str"),
        (3, "returned a int"),
        (["done"] * 4, "'done', which is no outcome"),
        ([Outcome("succeeded")] * 4, "status='succeeded'.*, which is no outcome.*'done', 'conflict'"),
        ([Outcome("done")] * 3, "returned 3 outcomes for 4 changes"),
        ([Outcome("done")] * 5, "returned 5 outcomes for 4 changes"),
    ],
)
def test_what_is_no_outcome_for_each_change_is_refused(answer, fault):
    class Odd(Store):
        def apply_changes(self, changes, *, same):
            return answer

    with pytest.raises(SyncerError, match=f"{fault}.*; what it has written is not known: look at the store"):
        wanted().sync_to(over(Odd(PLAIN)), limits=ANYTHING)


@pytest.mark.parametrize("reporters", [[], [CollectingReporter()]])
def test_ctrl_c_with_the_commit_keeps_what_the_store_says_of_it(reporters):
    class Committed(Store):
        def apply_changes(self, changes, *, same):
            interrupt = KeyboardInterrupt()
            interrupt.outcomes = super().apply_changes(changes, same=same)
            raise interrupt

    dest = over(Committed(PLAIN))
    with pytest.raises(SyncInterrupted) as caught:
        wanted().sync_to(dest, reporters=reporters, limits=ANYTHING)
    assert (caught.value.report.succeeded, caught.value.report.pending) == (4, 0)
    assert {item.name for item in dest.users.values()} == {"after"}


def test_outcomes_of_a_store_may_be_of_any_kind():
    class Told:
        name = "told"

        def load(self, table):
            return [{"idnumber": "1", "name": "a"}]

        def apply_changes(self, changes, *, same):
            return [SimpleNamespace(status="done", reason="", held=None) for _ in changes]  # which have no hash

    dest = +Tree("dest", syncer=Told(), branches={"users": Branch(Object)})
    report = +Tree("source", branches={"users": Branch(Object, importer=[{"idnumber": "1", "name": "b"}])}) >> dest
    assert (report.ok, report.succeeded) == (True, 1)
