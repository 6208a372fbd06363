"""Calls that are repeated: what was refused for now, and what is safe to repeat, but nothing that may be done."""

import math
import signal
import sys
import threading
import time
import urllib.error
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from datastoresync import (
    Branch,
    DeclarationError,
    Diff,
    MissingDependencyError,
    Object,
    Retry,
    SyncInterrupted,
    Template,
    Tree,
    batch,
    retry,
)
from datastoresync.applying.retry import outcome_of


def sides(count=1):
    rows = [{"idnumber": number} for number in range(count)]
    return (
        +Tree("source", branches={"users": Branch(Object, importer=rows)}),
        +Tree("dest", branches={"users": Branch(Object, importer=[])}),
    )


def answer(status, **headers):
    """Return an error as urllib raises it."""
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return urllib.error.HTTPError("http://here", status, "no", message, None)


def caused(error, cause):
    error.__cause__ = cause
    return error


class LibraryError(Exception):
    """What a library might raise."""

    def __init__(self, **attributes):
        super().__init__("no")
        vars(self).update(attributes)


class Answering(Template):
    """Raises one error after the other, then does it."""

    retry = Retry(first_wait=0.001, longest_wait=0.001)

    def __init__(self, *errors):
        super().__init__()
        self.errors = list(errors)
        self.calls = []

    def new_users(self, action):
        self.calls.append(action.idnumber)
        if self.errors:
            raise self.errors.pop(0)


class Looking(Answering):
    """Does it before it raises, and can tell."""

    does = True

    def __init__(self, *errors):
        super().__init__(*errors)
        self.there = set()

    def current(self, action):
        return {"idnumber": action.idnumber} if action.idnumber in self.there else None

    def new_users(self, action):
        if self.does:
            self.there.add(action.idnumber)
        super().new_users(action)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (answer(429), "refused"),
        (answer(503, Retry_After="1"), "refused"),
        (answer(503), "unknown"),
        (answer(502), "unknown"),
        (answer(400), "failed"),
        (answer(401), "failed"),
        (answer(409), "failed"),
        (LibraryError(response=SimpleNamespace(status_code=429, headers={})), "refused"),
        (LibraryError(response=SimpleNamespace(status_code=404, headers={"Retry-After": "1"})), "failed"),
        (LibraryError(response={"ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {}}}), "refused"),
        (LibraryError(status=504), "unknown"),
        (ConnectionRefusedError(), "refused"),
        (urllib.error.URLError(ConnectionRefusedError()), "refused"),
        (urllib.error.URLError(TimeoutError()), "unknown"),
        (TimeoutError(), "unknown"),
        (ConnectionResetError(), "unknown"),
        (caused(RuntimeError("wrapped"), answer(429)), "refused"),
        (ExceptionGroup("several", [TimeoutError()]), "unknown"),
        (type("ReadTimeout", (type("TransportError", (Exception,), {}),), {})(), "unknown"),
        (ValueError("no"), "failed"),
        (FileNotFoundError("no"), "failed"),
        (KeyError("no"), "failed"),
    ],
)
def test_an_error_says_whether_it_may_be_done(error, outcome):
    assert outcome_of(error) == outcome


def test_what_was_refused_is_repeated_when_the_server_says():
    source, dest = sides()
    template = Answering(*[answer(429, Retry_After="0.05")] * 7)
    begun = time.monotonic()
    report = source - dest | template
    assert report.ok
    assert len(template.calls) == 8, "those that were told when to come again do not count"
    assert time.monotonic() - begun >= 0.35


def test_a_date_says_when_to_come_again():
    soon, late = (format_datetime(datetime.now(UTC) + timedelta(seconds=one), usegmt=True) for one in (1, 3600))
    how = Retry()
    assert 0 <= how.wait_after(answer(429, Retry_After=soon), 1, time.monotonic()) <= 1
    assert how.wait_after(answer(429, Retry_After=late), 1, time.monotonic()) is None, "longer than the timeout"
    assert how.wait_after(answer(429, retry_after="a while"), 1, time.monotonic()) is True
    assert how.wait_after(answer(429, retry_after="-5"), 1, time.monotonic()) == 0


@pytest.mark.parametrize(("error", "calls"), [(answer(429), 5), (answer(400), 1), (ValueError("no"), 1)])
def test_attempts_are_counted_and_what_surely_failed_is_not_repeated(error, calls):
    source, dest = sides()
    template = Answering(*[error] * 9)
    report = source - dest | template
    assert len(template.calls) == calls
    assert report.results[0].error is error


def test_what_may_be_done_is_not_repeated_unless_that_is_safe():
    source, dest = sides()
    template = Answering(TimeoutError("late"))
    report = source - dest | template
    assert template.calls == [0]
    assert report.results[0].reason.startswith("TimeoutError: late; it may be done all the same, so it is not repeated")

    class Safe(Answering):
        @retry(safe=True, first_wait=0.001)
        def new_users(self, action):
            super().new_users(action)

    template = Safe(TimeoutError("late"), ConnectionResetError())
    assert (source - dest | template).ok
    assert template.calls == [0, 0, 0]


def test_what_may_be_done_is_looked_up_before_it_is_repeated():
    source, dest = sides()
    template = Looking(TimeoutError("late"))
    report = source - dest | template
    assert report.ok
    assert template.calls == [0], "it was done, though the answer came too late"
    assert report.results[0].reason == "done all the same, though it ended in TimeoutError: late"

    template, (source, dest) = Looking(TimeoutError("late")), sides()
    template.does = False
    assert (source - dest | template).ok
    assert template.calls == [0, 0], "it was not done"

    template.retry, (source, dest) = None, sides()
    template.errors, template.does = [TimeoutError("late")], True
    assert (source - dest | template).ok, "without a retry, too, what is there counts"


def test_what_was_done_by_half_is_no_success():
    class Halfway(Looking):
        def current(self, action):
            return super().current(action) and {"idnumber": action.idnumber, "name": "An"}

    source, dest = sides()
    source.users[0].name = "Ann"
    template = Halfway(TimeoutError("late"))
    (result,) = (source - dest | template).results
    assert (result.status, template.calls) == ("conflict", [0])
    assert result.reason == "there now, but with another name"


def test_of_a_batch_only_what_is_not_done_is_repeated():
    source, dest = sides(4)

    class Batches(Looking):
        sizes = []

        @batch(10)
        def new_users(self, actions):
            self.sizes.append([action.idnumber for action in actions])
            self.there |= {action.idnumber for action in actions[:3]}
            if len(self.sizes) == 1:
                raise TimeoutError("late")

    report = source - dest | Batches()
    assert report.succeeded == 4
    assert Batches.sizes == [[0, 1, 2, 3], [3]]


def test_an_error_of_a_library_s_own_can_be_declared_a_refusal():
    source, dest = sides()
    template = Answering(LibraryError())
    template.retry = Retry(refusals=[LibraryError], first_wait=0.001)
    assert (source - dest | template).ok
    assert template.calls == [0, 0]


def test_a_mark_of_a_method_concerns_no_other():
    class Marked(Answering):
        retry = Retry(attempts=2, first_wait=0.001)

        @retry(attempts=3)
        def new_users(self, action):
            super().new_users(action)

        @retry
        def update(self, action):
            pass

    source, dest = sides()
    template = Marked(*[answer(429)] * 9)
    assert (source - dest | template).failed == 1
    assert template.calls == [0, 0, 0]
    assert Marked.update.__retry__ is Marked.retry
    template, template.retry = Answering(answer(429)), None
    assert (source - dest | template).failed == 1
    assert template.calls == [0]


def test_a_signal_ends_the_wait():
    source, dest = sides(2)
    template = Answering(answer(429, Retry_After="60"))

    def press():
        while not template.calls:  # before, nobody waits for it yet
            time.sleep(0.01)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

    threading.Thread(target=press).start()
    begun = time.monotonic()
    with pytest.raises(SyncInterrupted) as caught:
        source - dest | template
    assert time.monotonic() - begun < 10
    assert [result.status for result in caught.value.report.results] == ["failed", "pending"]
    assert "429" in caught.value.report.results[0].reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"timeout": -1},
        {"first_wait": "1"},
        {"refusals": (3,)},
        {"attempts": True},
        {"attempts": 2.5},
        {"timeout": math.nan},
    ],
)
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(DeclarationError):
        Retry(**wrong)


def test_a_wrong_declaration_is_refused_before_the_first_action(monkeypatch):
    template = Answering()
    template.retry = 3
    with pytest.raises(DeclarationError, match=r"Answering\.retry is a Retry: write `retry = Retry\(\)` \(got 3\)"):
        template.apply(Diff(()))
    with pytest.raises(DeclarationError, match="@retry marks a method"):
        retry(3)
    template.retry = lambda call: call  # a helper of the user's own
    assert template.apply(Diff(())).ok
    template.retry = Retry()
    monkeypatch.setitem(sys.modules, "stamina", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'datastoresync\[retry\]'"):
        template.apply(Diff(()))
