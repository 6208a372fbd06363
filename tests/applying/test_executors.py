from __future__ import annotations

from collections import Counter

import pytest
from spark_session import started
from spark_templates import Building, House, Loose, Pupil, Room, Writing

from datastoresync import Branch, Limits, Object, SafeguardError, SyncInterrupted, Template, Tree
from datastoresync.applying import executors
from datastoresync.applying.executors import OnExecutors
from datastoresync.applying.reporter import CollectingReporter
from datastoresync.errors import DeclarationError, MissingDependencyError, TemplateError

pytestmark = [
    pytest.mark.spark,
    # PySpark warns of every pandas that is newer than itself.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return started(tmp_path_factory.mktemp("spark"))


@pytest.fixture
def template(session, tmp_path):
    return Writing(tmp_path)


@pytest.fixture
def written(tmp_path):
    def read():
        lines = [line for path in tmp_path.glob("*.txt") for line in path.read_text(encoding="utf-8").splitlines()]
        return sorted(lines)

    return read


def tree(name, rows, cls=Pupil, branch="pupils"):
    made = Tree(name, branches={branch: Branch(cls, importer=[dict(row) for row in rows])})
    return +made


def pupils(name, *rows):
    return tree(name, [dict(zip(("idnumber", "name", "room"), row, strict=False)) for row in rows])


ALL = Limits(deletions=1.0, updates=10**6)


def test_all_is_carried_out_elsewhere_and_folded(session, template, written):
    source = pupils("source", *[(f"{number:02}", f"n{number}", "a") for number in range(20)])
    dest = pupils("dest", *[(f"{number:02}", "old", "b") for number in range(10, 30)])
    reporter = CollectingReporter()
    diff = source - dest
    how = OnExecutors(template, batch=4, session=session)
    report = how.apply(diff, limits=ALL, reporters=[reporter])
    assert report.ok
    assert report.succeeded == len(diff) == 40
    assert [result.action.message for result in report.results] == [action.message for action in diff]
    assert len(reporter.results) == 40
    lines = written()
    assert len(lines) == 40
    assert "new pupils 03  N3" in lines
    assert "update pupils 12 name old>n12" in lines
    assert "update pupils 12 room a" in lines
    assert "old pupils 25  old" in lines
    assert not source - dest


def test_the_stages_follow_each_other(session, tmp_path, template):
    source = pupils("source", ("1", "new"), ("2", "fails"), ("3", "kept"))
    dest = pupils("dest", ("3", "other"), ("4", "gone"))
    report = OnExecutors(template, session=session).apply(source - dest, limits=ALL, on_error="stop")
    assert [result.status for result in report.results] == ["succeeded", "failed", "pending", "pending"]
    assert report.results[-1].reason == "not come to after a failure"


def test_what_fails_elsewhere_fails_here_without_passwords(session, template, written):
    source = pupils("source", ("1", "fails"), ("2", "skipped"), ("3", "fine", "full"), ("4", "fine", "ok"))
    dest = pupils("dest", ("3", "fine"), ("4", "fine"))
    report = (source - dest) | OnExecutors(template, session=session)
    assert [(result.status, result.reason) for result in report.results] == [
        ("failed", "RuntimeError: no such account at mysql://me:***@host/db"),
        ("skipped", "on purpose"),
        ("failed", "full"),
        ("succeeded", ""),
    ]
    assert [action.idnumber for action in source - dest] == ["1", "2", "3"]


def test_a_task_ends_with_its_first_failure_if_it_is_to_stop(session, template):
    source = pupils("source", ("1", "fails"), ("2", "fine"))
    report = OnExecutors(template, session=session).apply(source - pupils("dest"), on_error="stop")
    assert [result.status for result in report.results] == ["failed", "pending"]


@pytest.mark.parametrize("given", [Writing, "spark_templates.Writing"])
def test_a_class_or_an_import_string_is_made_on_the_executor(session, monkeypatch, tmp_path, given):
    monkeypatch.setenv("DATASTORESYNC_TEST", str(tmp_path))  # here; the executors have a folder of their own
    report = (pupils("source", ("1", "n")) - pupils("dest")) | OnExecutors(given, session=session)
    assert report.succeeded == 1
    assert not list(tmp_path.iterdir())


def test_open_objects_arrive_too(session, template, written):
    for cls in (Object, Loose):
        source, dest = tree("source", [{"idnumber": "1", "name": "n"}], cls, "loose"), tree("dest", [], cls, "loose")
        assert ((source - dest) | OnExecutors(template, session=session)).succeeded == 1
    assert written() == ["new loose 1  N", "new loose 1  n"]


def test_an_executor_answers_for_every_action(template, monkeypatch):
    serializer = pytest.importorskip("pyspark.serializers").CloudPickleSerializer()
    source = tree("source", [{"idnumber": "1", "name": "fails"}, {"idnumber": "2", "name": "n"}], Loose, "loose")
    actions = [executors._detached(action) for action in source - tree("dest", [], Loose, "loose")]
    packed = serializer.dumps([("new_loose", False, [action]) for action in actions])
    answers = {stop: executors._carried_out(serializer.dumps((template, stop)), packed) for stop in (False, True)}
    assert [status for ((status, _, _),) in answers[False]] == ["failed", "succeeded"]
    assert [status for ((status, _, _),) in answers[True]] == ["failed", "pending"]


def test_nothing_is_sent_over_a_limit(session, template, written):
    source, dest = pupils("source", ("1", "n")), pupils("dest", *[(str(number), "n") for number in range(1, 30)])
    with pytest.raises(SafeguardError, match="over the limit"):
        (source - dest) | OnExecutors(template, session=session)
    assert written() == []


def test_a_rehearsal_needs_no_session(template, written, monkeypatch):
    monkeypatch.setattr(OnExecutors, "_context", lambda _: pytest.fail("asked for a session"))
    report = OnExecutors(template).apply(pupils("source", ("1", "n")) - pupils("dest"), mock=True)
    assert (report.mock, report.counts["planned"]) == (True, 1)
    assert written() == []


class Node(Object):
    _references = {"above": "nodes"}
    idnumber: str
    above: str | None


class Below(Template):
    """Notes the order in which it is called, in this process."""

    def __init__(self):
        super().__init__()
        self.called = []

    def new_nodes(self, action):
        self.called.append(action.idnumber)


def test_where_order_matters_all_is_done_here_in_order(session):
    rows = [{"idnumber": "a", "above": "b"}, {"idnumber": "b", "above": "c"}, {"idnumber": "c", "above": None}]
    source, dest = tree("source", rows, Node, "nodes"), tree("dest", [], Node, "nodes")
    here = Below()
    assert ((source - dest) | OnExecutors(here, session=session)).succeeded == 3
    assert here.called == ["c", "b", "a"]


def test_what_no_method_takes_is_unhandled_and_not_sent(session, monkeypatch):
    monkeypatch.setattr(executors, "_detached", lambda _: pytest.fail("sent"))
    report = (pupils("source", ("1", "n")) - pupils("dest")) | OnExecutors(Below(), session=session)
    assert report.unhandled_methods == Counter({"new_pupils": 1})


def test_what_is_below_a_failure_is_left_alone(session, tmp_path):

    def made(name, houses, rooms):
        branches = {
            "houses": Branch(House, importer=[{"idnumber": house} for house in houses]),
            "rooms": Branch(Room, importer=[{"idnumber": room, "house": house} for room, house in rooms]),
        }
        return +Tree(name, branches=branches)

    source = made("source", ["fails", "h"], [("1", "fails"), ("2", "h")])
    report = (source - made("dest", [], [])) | OnExecutors(Building(tmp_path), session=session)
    assert [result.status for result in report.results] == ["failed", "succeeded", "skipped", "succeeded"]


def test_a_job_that_breaks_off_says_that_nobody_knows(session, template):
    source = pupils("source", ("1", "dies"), ("2", "n"))
    report = OnExecutors(template, session=session).apply(source - pupils("dest"))
    assert [result.status for result in report.results] == ["failed", "failed"]
    assert report.results[0].reason.startswith("the Spark job broke off (")
    assert report.results[0].reason.endswith("it may be done all the same")


def test_ctrl_c_ends_it_with_a_report(session, template, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    rdd = type(session.sparkContext.parallelize([1]).map(str))
    monkeypatch.setattr(rdd, "collect", interrupted)
    source = pupils("source", ("1", "n"), ("2", "n"))
    dest = pupils("dest", ("1", "m"))
    with pytest.raises(SyncInterrupted) as caught:
        (source - dest) | OnExecutors(template, session=session)
    assert [(one.status, one.reason) for one in caught.value.report.results] == [
        ("failed", "interrupted: it may be done all the same"),
        ("pending", "interrupted before it"),
    ]


@pytest.mark.parametrize("batch", [0, True, "1"])
def test_a_batch_is_a_number(batch):
    with pytest.raises(DeclarationError, match="whole number from 1"):
        OnExecutors(Writing, batch=batch)


def test_slips_are_named(session, template, monkeypatch):
    diff = pupils("source", ("1", "n")) - pupils("dest")
    with pytest.raises(TemplateError, match="leads nowhere"):
        diff | OnExecutors("no.such.Template")
    with pytest.raises(DeclarationError, match="not a OnExecutors"):
        diff | OnExecutors(OnExecutors(template))
    with pytest.raises(DeclarationError, match="on_error"):
        OnExecutors(template).apply(diff, on_error="never")
    with pytest.raises(DeclarationError, match="there is no Spark session"):
        OnExecutors(template, session=object()).apply(diff)

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(executors, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[spark\]'"):
        OnExecutors(template).apply(diff)
