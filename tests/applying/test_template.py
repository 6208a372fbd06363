"""Applying through a template: what methods return and raise, batches, stopping, mock runs, filters and Ctrl-C."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastoresync import (
    Branch,
    CollectingReporter,
    DeclarationError,
    Diff,
    FilterError,
    Limits,
    Object,
    OnExecutors,
    Result,
    SyncInterrupted,
    Template,
    TemplateError,
    Tree,
    batch,
    failed,
    skipped,
    succeeded,
)
from datastoresync.applying.store_template import StoreTemplate


def pair(count=4, **attributes):
    """Return a source with so many users and a destination without any, or with other values of the attributes."""
    rows = [{"idnumber": number, **attributes} for number in range(count)]
    there = [{"idnumber": number, **dict.fromkeys(attributes, "old")} for number in range(count)] if attributes else []
    return (
        +Tree("source", branches={"users": Branch(Object, importer=rows)}),
        +Tree("dest", branches={"users": Branch(Object, importer=there)}),
    )


def answering(answers, **settings):
    """Return a template whose ``new_users`` returns or raises one answer after the other."""

    class Answering(Template):
        def __init__(self):
            super().__init__()
            self.left = list(answers)
            self.calls = []

        def new_users(self, action):
            self.calls.append(action.idnumber)
            answer = self.left.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer

    for name, value in settings.items():
        setattr(Answering, name, value)
    return Answering()


def batching(answer, size):
    """Return a template whose ``new_users`` takes a batch and answers with what a function makes of it."""

    class Batching(Template):
        calls = []

        @batch(size)
        def new_users(self, actions):
            self.calls.append([action.idnumber for action in actions])
            return answer(actions)

    Batching.calls = []
    return Batching()


# What a method says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (None, "succeeded", ""),
        ("any value", "succeeded", ""),
        ([], "succeeded", ""),
        ([1, 2], "succeeded", ""),
        (succeeded("twice"), "succeeded", "twice"),
        (failed("no room"), "failed", "no room"),
        (skipped("on leave"), "skipped", "on leave"),
        (RuntimeError("the server said no"), "failed", "RuntimeError: the server said no"),
        (KeyError(), "failed", "KeyError"),
        ([succeeded(), skipped("a"), failed("b"), failed("c")], "failed", "b; c"),
        ([succeeded(), skipped("a")], "skipped", "a"),
        ((succeeded("x"), succeeded("y")), "succeeded", "x; y"),
        ([None, failed("b")], "failed", "b"),
        (SystemError("odd"), "failed", "SystemError: odd"),
    ],
)
def test_what_a_method_returns_or_raises_is_the_result(answer, status, reason):
    source, dest = pair(1)
    report = source - dest | answering([answer])
    (result,) = report.results
    assert (result.status, result.reason, result.method) == (status, reason, "new_users")
    assert result.action.idnumber == 0
    assert report.ok == (status != "failed")
    assert len(source - dest) == (0 if status == "succeeded" else 1), "only what succeeded is folded"
    if isinstance(answer, BaseException):
        assert result.error is answer


@given(st.lists(st.sampled_from(["ok", "raise", "fail", "skip"]), max_size=12))
@settings(deadline=None)
def test_counts_add_up_to_the_plan_and_the_rest_is_still_different(kinds):
    made = {"ok": None, "raise": RuntimeError("no"), "fail": failed("no"), "skip": skipped("later")}
    source, dest = pair(len(kinds))
    report = source - dest | answering([made[kind] for kind in kinds])
    assert report.planned == len(kinds) == sum(report.counts.values())
    assert report.succeeded == kinds.count("ok")
    assert report.failed == kinds.count("raise") + kinds.count("fail")
    assert report.skipped == kinds.count("skip")
    assert len(source - dest) == len(kinds) - kinds.count("ok")
    assert report.exit_code == (0 if report.failed == 0 else 1)


def test_every_third_action_fails():
    source, dest = pair(30)

    class Third(Template):
        def new(self, action):
            if action.idnumber % 3 == 2:
                raise OSError(f"no account for {action.idnumber}")

    report = source - dest | Third
    assert (report.succeeded, report.failed, report.planned) == (20, 10, 30)
    assert not report.ok
    assert report.exit_code == 1
    assert [result.action.idnumber for result in report.failures] == list(range(2, 30, 3))
    assert "OSError: no account for 29" in str(report)
    assert [action.idnumber for action in source - dest] == list(range(2, 30, 3))
    again = source - dest | Third
    assert (again.planned, again.failed) == (10, 10), "nothing is done twice"


# Batches ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.lists(st.sampled_from([succeeded(), failed("no"), skipped("later")]), max_size=10))
@settings(deadline=None)
def test_a_batch_has_a_result_for_each_of_its_actions(size, answers):
    source, dest = pair(len(answers))
    report = source - dest | batching(lambda actions: [answers[action.idnumber] for action in actions], size)
    assert [result.status for result in report.results] == [answer.status for answer in answers]
    assert [result.action.idnumber for result in report.results] == list(range(len(answers)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_batch_with_another_number_of_results_has_failed(count):
    source, dest = pair(2)
    report = source - dest | batching(lambda _: [succeeded()] * count, 2)
    assert [result.status for result in report.results] == ["failed", "failed"]
    assert report.results[0].reason == f"new_users returned {count} results for 2 actions"
    assert len(source - dest) == 2


def test_in_a_batch_none_among_results_has_succeeded_and_hides_no_failure():
    source, dest = pair(2)
    report = source - dest | batching(lambda _: [None, failed("no")], 2)
    assert [result.status for result in report.results] == ["succeeded", "failed"]


def test_a_batch_that_takes_its_list_apart_has_a_result_for_each_action():
    source, dest = pair(3)
    report = source - dest | batching(lambda actions: actions.clear(), 2)
    assert [result.status for result in report.results] == ["succeeded"] * 3
    assert [result.action.idnumber for result in report.results] == [0, 1, 2]


@pytest.mark.parametrize("answer", [None, True, "some"])
def test_a_batch_that_says_nothing_has_succeeded(answer):
    source, dest = pair(3)
    report = source - dest | batching(lambda _: answer, 2)
    assert report.succeeded == 3


def test_one_result_stands_for_the_whole_batch():
    source, dest = pair(3)
    report = source - dest | batching(lambda _: skipped("closed today"), 2)
    assert [result.reason for result in report.results] == ["closed today"] * 3


def test_a_batch_that_raises_has_failed_as_a_whole_and_the_next_goes_on():
    source, dest = pair(5)

    def answer(actions):
        if actions[0].idnumber == 0:
            raise ConnectionError("gone")

    template = batching(answer, 2)
    report = source - dest | template
    assert template.calls == [[0, 1], [2, 3], [4]]
    assert [result.status for result in report.results] == ["failed"] * 2 + ["succeeded"] * 3
    assert report.results[1].reason == "ConnectionError: gone"


@pytest.mark.parametrize("size", [0, -1, 1.5, None, "many"])
def test_a_batch_needs_a_size(size):
    with pytest.raises(DeclarationError, match=r"whole number from 1 .*@batch\(100\)"):
        batch(size)


def test_a_batch_without_parentheses_is_refused():
    with pytest.raises(DeclarationError, match=r"write @batch\(100\)"):

        class Slip(Template):
            @batch
            def new(self, actions):
                pass


# Stopping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["argument", "class"])
def test_stopping_leaves_the_rest_pending(where):
    source, dest = pair(4)
    template = answering([None, failed("no"), None, None], **({"on_error": "stop"} if where == "class" else {}))
    report = template.apply(source - dest, on_error="stop" if where == "argument" else None)
    assert template.calls == [0, 1]
    assert [result.status for result in report.results] == ["succeeded", "failed", "pending", "pending"]
    assert report.results[-1].reason == "not come to after a failure"
    assert report.pending == 2
    assert not report.ok
    assert len(source - dest) == 3


def test_the_argument_goes_before_the_template_s_own_choice():
    source, dest = pair(3)
    template = answering([failed("no"), None, None], on_error="stop")
    assert template.apply(source - dest, on_error="continue").counts["pending"] == 0


def test_a_batch_in_which_anything_failed_stops():
    source, dest = pair(4)
    template = batching(lambda _: [failed("no"), succeeded()], 2)
    report = template.apply(source - dest, on_error="stop")
    assert [result.status for result in report.results] == ["failed", "succeeded", "pending", "pending"]


def test_what_is_skipped_or_unhandled_stops_nothing():
    source, dest = pair(2, name="new")
    source.users.new(7, name="n")

    class Skipping(Template):
        on_error = "stop"

        def update(self, action):
            return skipped("later")

    report = source - dest | Skipping
    assert (report.unhandled, report.skipped, report.pending) == (1, 2, 0)


def test_a_mistyped_choice_is_refused_before_anything_is_called():
    source, dest = pair(1)
    template = answering([None])
    with pytest.raises(DeclarationError, match=r"on_error is 'continue' or 'stop' .got 'halt'"):
        template.apply(source - dest, on_error="halt")
    assert template.calls == []


@pytest.mark.parametrize("applier", [Template, OnExecutors, StoreTemplate, Tree])
def test_a_misspelt_keyword_is_a_type_error_wherever_a_diff_is_applied(applier):
    source, dest = pair(1)
    dest.template = template = answering([None])
    appliers = {OnExecutors: OnExecutors(template), StoreTemplate: StoreTemplate(None, {}), Tree: dest}
    with pytest.raises(TypeError, match="unexpected keyword argument 'mok'"):
        appliers.get(applier, template).apply(source - dest, mok=True)
    assert template.calls == []


@pytest.mark.parametrize("left_and_right", [lambda *trees: trees, lambda *trees: [tree.users for tree in trees]])
def test_a_misspelt_keyword_of_a_sync_or_a_preview_is_a_type_error(left_and_right):
    source, dest = pair(1)
    dest.template = template = answering([None])
    left, right = left_and_right(source, dest)
    with pytest.raises(TypeError, match="unexpected keyword argument 'mok'"):
        left.sync_to(right, mok=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'onyl'"):
        left.preview(right, onyl="new")
    assert template.calls == []


def test_a_method_may_say_what_the_system_holds_instead():
    class Shouting(Template):
        def update(self, action):
            return succeeded(held={"name": action.value.upper()})

    source, dest = pair(3, name="new")
    report = source - dest | Shouting()
    assert (report.succeeded, report.changed, report.ok) == (3, 3, False)
    assert {item.name for item in dest.users.values()} == {"NEW"}
    assert {action.old_value for action in source - dest} == {"NEW"}


# Mock runs and filters ----------------------------------------------------------------------------------------------


def test_a_mock_run_calls_nothing_folds_nothing_and_says_so():
    source, dest = pair(3)
    template, heard = answering([]), CollectingReporter()
    before = source - dest
    report = template.apply(before, mock=True, reporters=[heard])
    assert template.calls == []
    assert source - dest == before
    assert len(dest.users) == 0
    assert report.mock
    assert (report.succeeded, report.counts["planned"], report.ok) == (0, 3, True)
    assert report.stat.endswith("pending=0 planned=3 total=3 mock")
    assert heard.report is report
    assert {result.reason for result in report.results} == {"mock"}


def test_a_mock_run_shows_what_no_method_is_there_for():
    source, dest = pair(3, name="new")
    report = Template().apply(source - dest, mock=True)
    assert report.unhandled_methods == {"update_users_name": 3}


def test_a_mock_run_is_refused_like_a_real_one():
    source, dest = pair(3)
    with pytest.raises(RuntimeError, match="refused, and nothing was changed"):
        Template().apply(dest - source, mock=True)


@pytest.mark.parametrize(
    ("filters", "methods"),
    [
        ({}, ["new_users", "update_name", "update_grade", "old_users"]),
        ({"only": "new"}, ["new_users"]),
        ({"only": ["new", "old"]}, ["new_users", "old_users"]),
        ({"only": ".name"}, ["update_name"]),
        ({"only": "users.grade"}, ["update_grade"]),
        ({"exclude": "old"}, ["new_users", "update_name", "update_grade"]),
        ({"exclude": ["users"]}, []),
        ({"only": "users", "exclude": [".name", "old"]}, ["new_users", "update_grade"]),
        ({"only": {"verb": "update", "attr": "name"}}, ["update_name"]),
        ({"only": lambda action: action.idnumber == "new"}, ["new_users"]),
    ],
)
def test_only_and_exclude_choose_the_actions(filters, methods):
    source = +Tree(
        "source",
        branches={"users": Branch(Object, importer=[{"idnumber": "b", "name": 1, "grade": 1}, {"idnumber": "new"}])},
    )
    dest = +Tree(
        "dest",
        branches={"users": Branch(Object, importer=[{"idnumber": "b", "name": 2, "grade": 2}, {"idnumber": "c"}])},
    )

    class Listing(Template):
        def new(self, action):
            self.listed.append(action.method)

        update = old = new

        def __init__(self):
            self.listed = []

    template = Listing()
    report = template.apply(source - dest, **filters)
    assert sorted(template.listed) == sorted(methods)
    assert report.planned == len(methods)


def test_a_mistyped_filter_is_refused_before_anything_is_called():
    source, dest = pair(2)
    template = answering([None, None])
    with pytest.raises(FilterError, match="no branch or verb 'user': did you mean 'users'"):
        template.apply(source - dest, exclude="user")
    assert template.calls == []


# What stands right of the bar ---------------------------------------------------------------------------------------


class Importable(Template):
    """Found by its import string."""

    def new(self, action):
        pass


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (3, r"goes right of `\|` \(got 3\)"),
        (int, "int is no template: make it a subclass of datastoresync.Template"),
        ("Importable", "is no import string: write 'package.module.Template'"),
        ("no.such.Template", "leads nowhere: No module named 'no'"),
        ("datastoresync:Templat", "leads nowhere"),
        ("datastoresync.Object", "Object is no template"),
    ],
)
def test_what_is_no_template_is_refused_with_the_reason(template, message):
    source, dest = pair(1)
    with pytest.raises(TemplateError, match=message):
        source - dest | template


@pytest.mark.parametrize("template", [Template, Template(), "datastoresync.Template", "datastoresync:Template"])
def test_a_class_an_instance_and_an_import_string_are_templates(template):
    source, dest = pair(1)
    assert (source - dest | template).unhandled == 1


def test_an_empty_diff_is_a_report_of_nothing():
    heard = CollectingReporter()
    report = Template().apply(Diff(()), reporters=[heard])
    assert (report.planned, report.ok, report.exit_code) == (0, True, 0)
    assert heard.report is report


# Ctrl-C -------------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_after_the_action_in_flight(ctrl_c):
    source, dest = pair(5)
    heard = CollectingReporter()

    class Pressed(Template):
        done = []

        def new_users(self, action):
            if action.idnumber == 1:
                ctrl_c()
            self.done.append(action.idnumber)

    with pytest.raises(SyncInterrupted) as caught:
        Pressed().apply(source - dest, reporters=[heard])
    report = caught.value.report
    assert Pressed.done == [0, 1], "the action in flight ended"
    assert [result.status for result in report.results] == ["succeeded"] * 2 + ["pending"] * 3
    assert report.interrupted
    assert not report.ok
    assert report.exit_code == 1
    assert report.results[-1].reason == "interrupted before it"
    assert "succeeded=2" in str(caught.value)
    assert "interrupted" in report.stat
    assert [action.idnumber for action in source - dest] == [2, 3, 4], "what was done is folded"
    assert heard.report is report
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_ctrl_c_ends_the_action_in_flight_too(ctrl_c):
    source, dest = pair(3)

    class Stubborn(Template):
        def new_users(self, action):
            ctrl_c()
            ctrl_c()
            pytest.fail("the second one must raise")

    with pytest.raises(SyncInterrupted) as caught:
        source - dest | Stubborn
    assert [result.status for result in caught.value.report.results] == ["failed", "pending", "pending"]
    assert caught.value.report.results[0].reason == "interrupted"
    assert isinstance(caught.value, KeyboardInterrupt)


def test_ctrl_c_during_a_batch_ends_after_the_batch(ctrl_c):
    source, dest = pair(4)
    with pytest.raises(SyncInterrupted) as caught:
        source - dest | batching(lambda _: ctrl_c(), 2)
    assert [result.status for result in caught.value.report.results] == ["succeeded"] * 2 + ["pending"] * 2


def test_a_program_s_own_handler_is_left_in_place():
    source, dest = pair(3)
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    try:

        class Pressed(Template):
            def new(self, action):
                signal.raise_signal(signal.SIGINT)

        assert (source - dest | Pressed).succeeded == 3
        assert len(pressed) == 3
    finally:
        signal.signal(signal.SIGINT, before)


def test_applying_in_another_thread_works():
    source, dest = pair(2)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(source - dest | answering([None, None])))
    thread.start()
    thread.join()
    assert reports[0].succeeded == 2


def test_a_real_ctrl_c_ends_a_process_in_order(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            """
            import signal, sys, time
            from datastoresync import Branch, Object, SyncInterrupted, Template, Tree

            signal.signal(signal.SIGINT, signal.default_int_handler)

            class Slow(Template):
                def new(self, action):
                    print("begin", action.idnumber, flush=True)
                    time.sleep(0.2 if action.idnumber else 1.0)
                    print("done", action.idnumber, flush=True)

            source = +Tree("source", branches={"users": Branch(importer=[{"idnumber": n} for n in range(50)])})
            dest = +Tree("dest", branches={"users": Branch(importer=[])})
            try:
                source - dest | Slow
            except SyncInterrupted as interrupted:
                print(interrupted.report.stat, flush=True)
                sys.exit(interrupted.report.exit_code)
            """
        )
    )
    child = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert child.stdout.readline() == "begin 0\n"
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert rest.splitlines() == [
        "done 0",
        "succeeded=1 failed=0 skipped=0 conflict=0 unhandled=0 pending=49 total=50 unchecked interrupted",
    ]
    assert child.returncode == 1


# Nothing of an earlier run ------------------------------------------------------------------------------------------


def test_a_result_can_be_returned_for_many_actions():
    source, dest = pair(2)
    shared = Result("succeeded", "as before")
    report = source - dest | answering([shared, shared])
    assert [result.action.idnumber for result in report.results] == [0, 1]
    assert shared.action is None


def test_limits_are_those_of_this_run_alone():
    source, dest = pair(20)
    template = type("Deleting", (Template,), {"old": lambda self, action: None})()
    limits = Limits(deletions=20, empty=["users"])
    assert template.apply(dest - source, limits=limits).succeeded == 20
    again, other = pair(20)
    with pytest.raises(RuntimeError, match="refused"):
        template.apply(other - again)
