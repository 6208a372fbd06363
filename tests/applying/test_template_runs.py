"""Runs of templates: what cannot have done anything has failed, a second run is refused, and the end is in order."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from concurrent.futures import Future
from types import SimpleNamespace

import numpy
import pytest

from datastoresync import (
    Branch,
    CollectingReporter,
    LockedError,
    Object,
    SyncInterrupted,
    Template,
    Tree,
    batch,
    failed,
)


def sides(count=1, dest="dest"):
    rows = [{"idnumber": number} for number in range(count)]
    return (
        +Tree("source", branches={"users": Branch(Object, importer=rows)}),
        +Tree(dest, branches={"users": Branch(Object, importer=[])}),
    )


async def helper(*_):
    pass


async def stream(*_):
    yield


NOTHING = {
    "False": lambda: False,
    "NotImplemented": lambda: NotImplemented,
    "a coroutine": helper,
    "a generator": lambda: (one for one in ()),
    "an asynchronous generator": stream,
    "a map": lambda: map(print, ()),
    "a class": lambda: dict,
    "a class of errors": lambda: ValueError,
    "a function": lambda: helper,
    "a method": lambda: [].append,
    "a result's function": lambda: failed,
    "a partial": lambda: functools.partial(print, 1),
    "an exception": lambda: ValueError("no"),
    "a future": Future,
    "a thread": threading.Thread,
    "a boolean of numpy": lambda: numpy.bool_(0),
    "an answer of requests": lambda: SimpleNamespace(ok=False, status_code=500),
    "an answer of httpx": lambda: SimpleNamespace(is_error=True, status_code=404),
    "an answer without a verdict": lambda: SimpleNamespace(status_code=503),
    "an answer of http.client": lambda: SimpleNamespace(status=404, headers={}),
    "a program that failed": lambda: subprocess.CompletedProcess(["program"], 2),
    "a program that runs": lambda: SimpleNamespace(returncode=None, wait=print),
    "a process that runs": lambda: SimpleNamespace(exitcode=None, join=print),
    "a process that failed": lambda: SimpleNamespace(exitcode=-9, join=print),
    "results by name": lambda: {"ann": failed("no")},
    "a set of results": lambda: {failed("no")},
}


@pytest.mark.parametrize("answer", NOTHING.values(), ids=NOTHING)
def test_what_cannot_have_done_anything_has_failed(answer):
    class Answering(Template):
        def new_users(self, action):
            return answer()

    class Listing(Template):
        @batch(10)
        def new_users(self, actions):
            return [answer() for _ in actions[1:]] + [None]

    class Awaited(Template):
        async def new_users(self, action):
            return answer()

    class Account(Object):
        @classmethod
        def create(cls, *_):
            return answer()

    for template, expected in [
        (Answering, ["failed"] * 2),
        (Listing, ["failed", "succeeded"]),
        (Awaited, ["failed"] * 2),
    ]:
        source, dest = sides(2)
        report = source - dest | template
        assert [result.status for result in report.results] == expected
        assert report.results[0].reason.startswith("returned ")
        assert len(source - dest) == expected.count("failed")
    dest = +Tree("dest", branches={"users": Branch(Account, importer=[])})
    source = +Tree("source", branches={"users": Branch(Account, importer=[{"idnumber": 1}])})
    assert (source >> dest).failed == 1


@pytest.mark.parametrize("action", ["ignore", "error", "default"])
def test_a_coroutine_that_nobody_awaited_is_a_failure_of_the_call_that_made_it(action):
    class Plain(Template):
        def new_users(self, action):
            if action.idnumber != 1:
                helper(action)  # and not even returned

    class Awaited(Template):
        concurrency = 3

        async def new_users(self, action):
            await asyncio.sleep(0.01)
            warnings.warn("another", RuntimeWarning, stacklevel=1)
            if action.idnumber != 1:
                forgotten = helper(action)
                del forgotten
            await asyncio.sleep(0.01)

    for template in (Plain, Awaited):
        source, dest = sides(3)
        with warnings.catch_warnings(record=True) as others:
            warnings.simplefilter(action)
            warnings.filterwarnings("always", "another")
            before = list(warnings.filters)
            report = source - dest | template
            assert warnings.filters == before
        assert [result.status for result in report.results] == ["failed", "succeeded", "failed"]
        assert "coroutine 'helper' was never awaited, so it never ran: await it" in report.results[2].reason
        assert [str(one.message) for one in others] == ["another"] * 3 * (template is Awaited)


def test_a_returned_generator_is_a_failure():
    def lazy(action):
        yield action

    async def later(action):
        yield action

    class Returning(Template):
        def new_users(self, action):
            return self.made(action)

    for made in (lazy, later):
        source, dest = sides()
        Returning.made = staticmethod(made)
        assert (source - dest | Returning).failed == 1


@pytest.mark.parametrize("answer", [None, True, 0, "", {}, [], 3, "yes", object(), ["a", 1], iter(())])
def test_any_other_value_is_as_good_as_none(answer):
    class Answering(Template):
        def new_users(self, action):
            return answer

    source, dest = sides()
    assert (source - dest | Answering).succeeded == 1


# A second run --------------------------------------------------------------------------------------------------------


class Nested(Template):
    """Starts a second run in the middle of the first."""

    def __init__(self, second, dest="dest"):
        super().__init__()
        self.second, self.dest = second, dest

    def new_users(self, action):
        source, dest = sides(1, self.dest)
        self.second.apply(source - dest)


class Other(Template):
    def new_users(self, action):
        pass


def test_a_second_run_into_one_destination_is_refused():
    source, dest = sides()
    report = source - dest | Nested(Nested(Other()))
    (result,) = report.results
    assert isinstance(result.error, LockedError)
    assert f"another run is writing to dest through Nested (process {os.getpid()} of " in result.reason
    assert "wait for it to end, its lock ends with it, even if killed" in result.reason


@pytest.mark.parametrize(("second", "dest"), [(Nested(Other()), "another"), (Other(), "dest")])
def test_other_destinations_and_templates_are_not_locked(second, dest):
    source, target = sides()
    assert (source - target | Nested(second, dest)).ok


def test_a_destination_that_is_named_is_one_for_all_templates():
    first, second = Nested(Other()), Other()
    first.second = second
    first.destination = second.destination = "https://me:secret@here/accounts"
    source, dest = sides()
    report = source - dest | first
    assert "another run is writing to https://" in report.results[0].reason
    assert "secret" not in report.results[0].reason
    assert second.apply(source - dest, mock=True).counts["planned"] == 1
    assert (source - dest | second).ok, "the lock ends with the run"


def test_the_lock_ends_with_its_process(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            """
            import time
            from datastoresync import Branch, Template, Tree

            class Accounts(Template):
                destination = "https://here/accounts"

                def new(self, action):
                    print("begins", flush=True)
                    time.sleep(60)

            source = +Tree("source", branches={"users": Branch(importer=[{"idnumber": 1}])})
            source - +Tree("dest", branches={"users": Branch(importer=[])}) | Accounts
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    template = Other()
    template.destination = "https://here/accounts"
    source, dest = sides()
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as first:
        assert first.stdout.readline() == b"begins\n"
        with pytest.raises(LockedError, match=f"writing to https://here/accounts .process {first.pid} of "):
            template.apply(source - dest)
        first.kill()
    assert template.apply(source - dest).ok


# The end ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("handled", [False, True])
def test_a_signal_ends_after_the_action_in_flight(name, handled):
    number = getattr(signal, name)
    before = signal.signal(number, (lambda *_: sys.exit(0)) if handled else signal.SIG_DFL)
    source, dest = sides(4)
    heard = CollectingReporter()

    class Told(Template):
        done = []

        def new_users(self, action):
            if action.idnumber == 1:
                signal.raise_signal(number)
            self.done.append(action.idnumber)

    try:
        with pytest.raises(SyncInterrupted) as caught:
            Told().apply(source - dest, reporters=[heard])
        assert (signal.getsignal(number) is signal.SIG_DFL) is not handled
    finally:
        signal.signal(number, before)
    assert Told.done == [0, 1]
    report = caught.value.report
    assert heard.report is report
    assert (report.succeeded, report.pending, report.interrupted, report.exit_code) == (2, 2, True, 1)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    source, dest = sides(2)

    class Told(Template):
        def new_users(self, action):
            signal.raise_signal(signal.SIGHUP)

    try:
        assert (source - dest | Told).succeeded == 2
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("code", "reason"), [(0, "SystemExit: 0"), (3, "SystemExit: 3"), (None, "SystemExit")])
def test_system_exit_in_a_method_ends_the_run_with_a_report(code, reason):
    source, dest = sides(3)
    heard = CollectingReporter()

    class Leaving(Template):
        def new_users(self, action):
            if action.idnumber == 1:
                sys.exit(code)

    with pytest.raises(SyncInterrupted) as caught:
        Leaving().apply(source - dest, reporters=[heard])
    report = caught.value.report
    assert [result.status for result in report.results] == ["succeeded", "failed", "pending"]
    assert report.results[1].reason.startswith(reason)
    assert heard.report is report
    assert report.exit_code == 1


def test_a_cancellation_fails_its_action_alone():
    source, dest = sides(2)

    class Cancelled(Template):
        def new_users(self, action):
            if action.idnumber == 0:
                raise asyncio.CancelledError

    report = source - dest | Cancelled
    assert [result.status for result in report.results] == ["failed", "succeeded"]


def test_a_store_is_rolled_back_on_sigterm(tmp_path):
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    rows = [{"idnumber": str(number), "name": "x"} for number in range(3)]

    class Store:
        name = "store"

        def load(self, identifier):
            return []

        def apply_changes(self, changes, *, same):
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("SIGTERM is to interrupt the store")

    source = +Tree("source", branches={"users": Branch(Object, importer=rows)})
    dest = +Tree("dest", syncer=Store(), branches={"users": Branch(Object)})
    try:
        with pytest.raises(SyncInterrupted) as caught:
            source >> dest
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (caught.value.report.pending, caught.value.report.succeeded) == (3, 0)
