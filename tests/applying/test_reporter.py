"""Who hears of an apply, when, and what happens if a reporter itself fails."""

import io
import logging

import pytest

from datastoresync import (
    Branch,
    CollectingReporter,
    DeclarationError,
    LoggingReporter,
    Object,
    ProgressReporter,
    Reporter,
    SafeguardError,
    Template,
    Tree,
    failed,
    skipped,
)
from datastoresync.syncers import CSVSyncer


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Mixed(Template):
    """One user is done, one skipped, one fails; updates are not handled."""

    def new_users(self, action):
        return {"a": None, "b": skipped("on leave"), "c": failed("no room")}[action.idnumber]


@pytest.fixture
def diff():
    source = +Tree(
        "source", branches={"users": Branch(Object, importer=[{"idnumber": key, "name": "x"} for key in "abcd"])}
    )
    dest = +Tree("dest", branches={"users": Branch(Object, importer=[{"idnumber": "d", "name": "y"}])})
    return source - dest


class Breaking(Reporter):
    def __init__(self, *events):
        self.heard = []
        for event in events:
            setattr(self, event, self.fail)

    def fail(self, content):
        raise ConnectionError("mail://ann:s3cret@mail.example.org is down")

    def result(self, result):
        self.heard.append(result)


def test_a_reporter_hears_of_the_start_every_result_and_the_end(diff):
    heard = []

    class Listening(Reporter):
        def start(self, plan):
            heard.append(("start", len(plan.actions)))

        def result(self, result):
            heard.append((result.status, result.action.idnumber))

        def end(self, report):
            heard.append(("end", report.planned))

    Mixed().apply(diff, reporters=[Listening()])
    assert heard == [
        ("start", 4),
        ("succeeded", "a"),
        ("skipped", "b"),
        ("failed", "c"),
        ("unhandled", "d"),
        ("end", 4),
    ]


def test_the_template_s_own_reporters_hear_it_first(diff):
    order = []

    class Named(Reporter):
        def __init__(self, name):
            self.name = name

        def end(self, report):
            order.append(self.name)

    class Reporting(Mixed):
        reporters = [Named("own")]

    Reporting().apply(diff, reporters=[Named("argument")])
    assert order == ["own", "argument"]
    assert len(Reporting.reporters) == 1


def test_a_result_is_folded_before_a_reporter_hears_of_it(diff):
    branch = next(iter(diff)).source.__branch__
    dest = diff.branch_diffs[0].right

    class Looking(Reporter):
        there = None

        def result(self, result):
            if result.status == "succeeded":
                self.there = result.action.idnumber in dest.objects

    looking = Looking()
    Mixed().apply(diff, reporters=[looking])
    assert looking.there is True
    assert len(branch) == 4


def test_a_reporter_without_methods_is_silent(diff):
    report = Mixed().apply(diff, reporters=[Reporter()])
    assert report.warnings == ()


def test_collecting_keeps_the_last_run_only(diff):
    collecting = CollectingReporter()
    first = Mixed().apply(diff, reporters=[collecting])
    assert (collecting.plan.diff, collecting.report) == (diff, first)
    assert tuple(collecting.results) == first.results
    second = Mixed().apply(diff[:1], reporters=[collecting])
    assert collecting.report is second
    assert len(collecting.results) == 1


@pytest.mark.parametrize("event", ["start", "result", "end"])
def test_a_reporter_that_raises_disturbs_nothing_and_is_a_warning(diff, event):
    after = CollectingReporter()
    report = Mixed().apply(diff, reporters=[Breaking(event), after])
    assert (report.succeeded, report.skipped, report.failed, report.unhandled) == (1, 1, 1, 1)
    assert len(report.warnings) == 1, "said once, however often it happens"
    assert report.warnings[0] == f"Breaking.{event} raised ConnectionError: mail://ann:***@mail.example.org is down"
    assert report.warnings[0] in str(report)
    assert "s3cret" not in str(report)
    assert len(after.results) == 4
    assert after.report is not None


def test_one_that_is_in_no_list_is_refused_with_what_to_write(diff):
    message = r"reporters is a list, even of one: reporters=\[CollectingReporter\(…\)\]"
    with pytest.raises(DeclarationError, match=message):
        Mixed().apply(diff, reporters=CollectingReporter())
    with pytest.raises(DeclarationError, match=message):
        type("Own", (Mixed,), {"reporters": CollectingReporter()})().apply(diff)


def test_something_that_is_no_reporter_is_a_warning_too(diff):
    report = Mixed().apply(diff, reporters=[object()])
    assert report.succeeded == 1
    assert "object.start raised AttributeError" in report.warnings[0]


# Logs ---------------------------------------------------------------------------------------------------------------


def test_logs_have_a_level_for_each_status(diff, caplog):
    with caplog.at_level(logging.DEBUG, logger="datastoresync"):
        Mixed().apply(diff, reporters=[LoggingReporter()])
    logged = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in logged] == ["INFO", "WARNING", "DEBUG", "INFO", "ERROR", "DEBUG", "ERROR"]
    assert logged[0] == ("INFO", "to apply: new=3 update=1 add=0 remove=0 old=0 total=4")
    assert "update_users_name" in logged[1][1]
    assert logged[4] == ("ERROR", "failed: new_users(idnumber='c'): no room")
    assert logged[-1][1].startswith("applied: succeeded=1 failed=1 skipped=1 conflict=0 unhandled=1 pending=0 total=4")


def test_a_run_without_a_failure_ends_without_an_error(diff, caplog):
    with caplog.at_level(logging.DEBUG):
        Mixed().apply(diff.only(idnumber="a"), reporters=[LoggingReporter(logging.getLogger("mine"))])
    assert {record.name for record in caplog.records} == {"mine"}
    assert max(record.levelno for record in caplog.records) == logging.INFO


def test_percent_signs_in_data_do_not_format_the_log(caplog):
    source = +Tree("source", branches={"users": Branch(Object, importer=[{"idnumber": "100%s %(x)d"}])})
    dest = +Tree("dest", branches={"users": Branch(Object, importer=[])})
    with caplog.at_level(logging.DEBUG):
        Template().apply(source - dest, reporters=[LoggingReporter()])
    assert any("100%s %(x)d" in record.getMessage() for record in caplog.records)


def test_line_breaks_and_escapes_in_data_forge_no_line_of_a_log(caplog):
    class Refusing(Template):
        def new(self, action):
            raise ValueError("bad\nERROR forged \x1b[2J")

    source = +Tree("source", branches={"users": Branch(Object, importer=[{"idnumber": "a\nINFO forged"}])})
    dest = +Tree("dest", branches={"users": Branch(Object, importer=[])})
    with caplog.at_level(logging.DEBUG):
        Refusing().apply(source - dest, reporters=[LoggingReporter()])
    for record in caplog.records:
        assert record.getMessage().isprintable(), record.getMessage()


# Progress -----------------------------------------------------------------------------------------------------------


def test_progress_keeps_one_line_of_a_terminal(diff):
    terminal = Terminal()
    Mixed().apply(diff, reporters=[ProgressReporter(terminal, interval=0)])
    lines = terminal.getvalue().split("\r")
    assert lines[0] == ""
    assert lines[1] == "1 of 4 applied"
    assert lines[-1].startswith("4 of 4 applied, 1 failed")
    assert terminal.getvalue().endswith("\n")
    assert terminal.getvalue().count("\n") == 1


def test_progress_is_shown_at_the_end_however_long_the_interval(diff):
    terminal = Terminal()
    Mixed().apply(diff, reporters=[ProgressReporter(terminal, interval=3600)])
    assert "4 of 4 applied, 1 failed" in terminal.getvalue()


def test_progress_is_quiet_where_there_is_no_terminal(diff, capsys):
    Mixed().apply(diff, reporters=[ProgressReporter()])
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_progress_of_nothing_writes_nothing(diff):
    terminal = Terminal()
    Mixed().apply(diff[:0], reporters=[ProgressReporter(terminal)])
    assert terminal.getvalue() == ""


class Refusals(Reporter):
    def __init__(self):
        self.previews = []

    def start(self, plan):
        raise AssertionError("nothing starts")

    def refused(self, preview):
        self.previews.append(preview)
        raise OSError("no line to the printer")


@pytest.mark.parametrize("stored", [False, True])
def test_a_refusal_is_told_with_what_would_have_been_done_and_a_reporter_cannot_hide_it(tmp_path, stored):
    rows = [{"idnumber": str(number), "name": "Ann"} for number in range(10, 40)]
    store = CSVSyncer(tmp_path)
    store.dump("users", data=rows)

    class Dest(Tree):
        users = Branch(Object, importer=None if stored else rows)
        syncer = store if stored else None
        template = None if stored else Template

    class Source(Tree):
        users = Branch(Object, importer=rows[:1])

    reporter = Refusals()
    with pytest.raises(SafeguardError) as caught:
        (+Source()).sync_to(+Dest(), reporters=iter([reporter]))
    (preview,) = reporter.previews
    assert preview.refused == caught.value.violations
    assert preview.diff.counts["old"] == 29
    assert caught.value.__notes__ == ["Refusals.refused raised OSError: no line to the printer"]
    assert store.load("users") == rows
