"""What a report says: counts that add up, one line to search for, and everything that needs attention."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync import Action, Report, Result
from datastoresync.applying.report import STATUSES


def results(*statuses):
    return tuple(
        Result(status, "why" if status != "succeeded" else "", Action("new", "users", number), "new_users")
        for number, status in enumerate(statuses)
    )


@given(st.lists(st.sampled_from(STATUSES), max_size=30), st.booleans())
@settings(deadline=None)
def test_counts_add_up_and_decide_the_exit_code(statuses, interrupted):
    report = Report(results(*statuses), interrupted=interrupted)
    named = (report.succeeded, report.failed, report.skipped, report.conflicts, report.unhandled, report.pending)
    named += (report.counts["planned"],)
    assert sum(named) == report.planned == len(statuses)
    assert named == tuple(statuses.count(status) for status in STATUSES)
    assert list(report.counts) == list(STATUSES)
    good = not interrupted and not {"failed", "conflict", "pending", "unhandled"} & set(statuses)
    assert report.ok == good
    assert report.exit_code == (not good)
    assert f"total={len(statuses)}" in report.stat
    assert report.stat.endswith("interrupted") == interrupted
    for name, count in zip(STATUSES, named, strict=True):
        assert (f"{name}={count} " in report.stat) == (count > 0 or name != "planned")


def test_the_stat_line_always_has_every_status_in_one_order():
    assert Report(()).stat == "succeeded=0 failed=0 skipped=0 conflict=0 unhandled=0 pending=0 total=0"
    assert Report((), mock=True, interrupted=True).stat.endswith("total=0 mock interrupted")
    assert Report((), rehearsed=True).stat.endswith("total=0 rehearsed")


@pytest.mark.parametrize("count", [1, 40])
def test_what_the_store_holds_otherwise_is_counted_shown_and_not_well(count):
    done = [
        Result("succeeded", "", Action("update", "users", number, "mark", "1.5"), held={"mark": 2})
        for number in range(count)
    ]
    report = Report((*results("succeeded", "failed"), *done))
    assert (report.changed, report.succeeded) == (count, count + 1)
    assert report.stat.endswith(f" changed={count}")
    assert not Report(tuple(done)).ok
    assert Report(results("succeeded")).changed == 0
    assert "succeeded: ~ users 0  mark: None → '1.5': the store holds mark=2" in str(report)
    assert f"asked to of {count} action" in repr(report)


def test_text_names_failures_conflicts_missing_methods_and_warnings_but_no_success():
    report = Report(results("succeeded", "failed", "conflict", "unhandled", "unhandled"), warnings=("mail is down",))
    shown = str(report)
    assert shown.startswith("report: succeeded=1 failed=1 skipped=0 conflict=1 unhandled=2 pending=0 total=5")
    assert "failed: + users 1: why" in shown
    assert "conflict: + users 2: why" in shown
    assert "unhandled: new_users" in shown
    assert "2 actions" in shown
    assert "mail is down" in shown
    assert "users 0" not in shown
    assert [result.action.idnumber for result in report.failures] == [1, 2]
    assert report.unhandled_methods == {"new_users": 2}


def test_the_repr_is_short_and_the_text_is_whole():
    report = Report(results(*["failed"] * 500))
    assert len(repr(report).splitlines()) <= 25
    assert str(report).count("failed: + users") == 500
    assert "failed=500" in repr(report)
    assert "failed: + 500 users  (0, 1, 2, 3, 4, …): why" in repr(report)


def test_escapes_and_markup_in_data_are_shown_as_text():
    bad = Action("new", "users", "\x1b[31m<script>alert(1)</script>\n[red]")
    report = Report((Result("failed", "\x1b]0;x\x07 <b>", bad, "new_users"),))
    for shown in (str(report), repr(report)):
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[red]" in shown
    assert "<script>" not in report._repr_html_()
    assert "<b>&" not in report._repr_html_()


def test_a_report_cannot_be_applied_again():
    with pytest.raises(TypeError, match=r"applied this already.*source - dest \| Template"):
        Report(()) | object()


def test_a_report_is_frozen():
    with pytest.raises(AttributeError):
        Report(()).results = ()
