"""Templates with ``async def`` methods: some at a time, in order where that matters, each action once."""

import asyncio
import contextlib
import signal
import sys
import threading
import time

import attrs
import pytest
import web_service

from datastoresync import (
    Branch,
    DeclarationError,
    Diff,
    Limits,
    Object,
    Retry,
    SyncInterrupted,
    Template,
    Tree,
    batch,
    failed,
    skipped,
)


class Person(Object):
    _references = {"boss": "people"}
    boss: str | None = None


class Team(Object):
    _references = {"members": "people"}
    members: set[str]


def sides(people=(), teams=(), there=(), teams_there=()):
    """Return a source with people and teams, and a destination with others."""

    def tree(name, people, teams):
        rows = [one if isinstance(one, dict) else {"idnumber": one} for one in people]
        groups = [{"idnumber": key, "members": set(members)} for key, members in dict(teams).items()]
        return +Tree(name, branches={"people": Branch(Person, importer=rows), "teams": Branch(Team, importer=groups)})

    return tree("source", people, teams), tree("dest", there, teams_there)


class Recording(Template):
    """Notes when calls begin and end, and how many are in flight."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.flying = self.most = 0

    async def take(self, action):
        self.flying += 1
        self.most = max(self.most, self.flying)
        self.events.append(("begins", action.verb, action.branch, action.idnumber))
        await asyncio.sleep(0.001)
        self.events.append(("ends", action.verb, action.branch, action.idnumber))
        self.flying -= 1

    def when(self, *event):
        return self.events.index(event)


class Everything(Recording):
    async def new(self, action):
        await self.take(action)

    async def update(self, action):
        await self.take(action)

    async def old(self, action):
        await self.take(action)


def test_each_action_is_done_once_though_the_service_refuses_now_and_then():
    source, dest = sides([f"p{number:03}" for number in range(150)])
    with web_service.WebService(delay=0.005, refuse_every=17, lose={"p003", "p077"}).running() as service:

        class Accounts(Template):
            concurrency = 30
            retry = Retry()

            async def current(self, action):
                status = await web_service.call(service.port, "GET", action.idnumber)
                return None if status == 404 else {"idnumber": action.idnumber}

            async def new_people(self, action):
                await web_service.call(service.port, "POST", action.idnumber)

        report = source - dest | Accounts
    assert report.ok
    assert report.succeeded == 150
    assert not report.unchecked
    assert set(service.made.values()) == {1}, "what was made and never answered is not made again"
    assert len(service.made) == 150
    assert service.refused > 5
    assert 8 < service.most <= 30
    assert not (source - dest)


def test_no_more_are_in_flight_than_the_template_says_and_results_are_in_the_order_of_the_plan():
    source, dest = sides([f"p{number}" for number in range(9)])

    class Slower(Recording):
        concurrency = 3

        async def new_people(self, action):
            await self.take(action)
            if action.idnumber == "p0":
                await asyncio.sleep(0.01)

    template = Slower()
    report = source - dest | template
    assert template.most == 3
    assert report.ok
    assert [result.action.idnumber for result in report.results] == [f"p{number}" for number in range(9)]


def test_kinds_follow_each_other_and_what_depends_waits():
    source, dest = sides(
        [{"idnumber": "a"}, {"idnumber": "b", "boss": "a"}, {"idnumber": "c", "boss": "b"}, "kept"],
        {"new": ["a"], "old": ["kept"]},
        ["kept", "gone", {"idnumber": "gone too", "boss": "gone"}],
        {"old": ["gone"]},
    )
    template = Everything()
    report = template.apply(source - dest, limits=Limits(deletions=2))
    assert report.failed == report.skipped == 0
    for first, then in [("a", "b"), ("b", "c")]:
        assert template.when("ends", "new", "people", first) < template.when("begins", "new", "people", then)
    assert template.when("ends", "new", "people", "c") < template.when("begins", "new", "teams", "new")
    assert template.when("ends", "new", "teams", "new") < template.when("begins", "update", "teams", "old")
    assert template.when("ends", "update", "teams", "old") < template.when("begins", "old", "people", "gone too")
    assert template.when("ends", "old", "people", "gone too") < template.when("begins", "old", "people", "gone")


def test_calls_about_one_object_follow_each_other():
    source = +Tree("source", branches={"u": Branch(Object, importer=[{"idnumber": 1, "a": 1, "b": 1, "c": 1}])})
    dest = +Tree("dest", branches={"u": Branch(Object, importer=[{"idnumber": 1, "a": 0, "b": 0, "c": 0}])})
    template = Everything()
    assert (source - dest | template).succeeded == 3
    assert template.most == 1


def test_what_depends_on_a_failure_is_left_out():
    source, dest = sides(
        ["a", "b", {"idnumber": "c", "boss": "b"}, {"idnumber": "d", "boss": "c"}], {"x": ["b"], "y": ["a"]}
    )

    class Failing(Everything):
        async def new_people(self, action):
            await self.take(action)
            if action.idnumber == "b":
                raise RuntimeError("no")

    template = Failing()
    report = source - dest | template
    statuses = {result.action.idnumber: result.status for result in report.results}
    assert statuses == {
        "a": "succeeded",
        "b": "failed",
        "c": "skipped",
        "d": "skipped",
        "x": "skipped",
        "y": "succeeded",
    }


def test_a_plain_method_is_called_alone_and_answers_count_as_ever():
    source, dest = sides(["a", "b", "c"], {"x": [], "y": []})

    class Mixed(Recording):
        async def new_people(self, action):
            await self.take(action)
            return {"a": failed("no"), "b": skipped("later"), "c": False}[action.idnumber]

        def new_teams(self, action):
            assert not self.flying
            return asyncio.run(asyncio.sleep(0))  # no loop is running now

    report = source - dest | Mixed
    assert [result.status for result in report.results] == ["failed", "skipped", "failed", "succeeded", "succeeded"]


def test_batches_are_awaited_too():
    source, dest = sides([f"p{number}" for number in range(5)])

    class Batches(Template):
        sizes = []

        @batch(2)
        async def new_people(self, actions):
            await asyncio.sleep(0)
            self.sizes.append(len(actions))

    assert (source - dest | Batches).succeeded == 5
    assert Batches.sizes == [2, 2, 1]


def test_a_run_stops_after_the_first_failure_and_those_in_flight():
    source, dest = sides([f"p{number}" for number in range(20)])

    class Failing(Template):
        concurrency = 4

        async def new_people(self, action):
            await asyncio.sleep(0.001 if action.idnumber == "p0" else 0.01)
            if action.idnumber == "p0":
                raise RuntimeError("no")

    report = Failing().apply(source - dest, on_error="stop")
    assert (report.failed, report.succeeded, report.pending) == (1, 3, 16)


def test_an_apply_in_a_running_event_loop_has_one_of_its_own():
    async def notebook():
        source, dest = sides(["a", "b"])
        template = Everything()
        report = source - dest | template
        return report.succeeded, template.most

    assert asyncio.run(notebook()) == (2, 2)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_lets_those_in_flight_end(ctrl_c, number):
    source, dest = sides([f"p{number}" for number in range(20)])

    class Pressed(Template):
        concurrency = 3

        async def new_people(self, action):
            if action.idnumber == "p1":
                signal.raise_signal(getattr(signal, number))
            await asyncio.sleep(0.01)

    with pytest.raises(SyncInterrupted) as caught:
        source - dest | Pressed
    report = caught.value.report
    assert report.interrupted
    assert (report.succeeded, report.failed, report.pending) == (3, 0, 17)
    assert len(source - dest) == 17, "what ended is folded"


@pytest.mark.parametrize("awaited", [False, True])
def test_a_signal_between_two_calls_ends_the_run_before_the_next_one(ctrl_c, awaited):
    class Steps(list):
        def __iter__(self):
            steps = super().__iter__()
            yield next(steps)
            if signals:
                signal.raise_signal(signals.pop())
            yield from steps

    called, signals = [], [signal.SIGINT]

    class Plain(Template):
        def plan(self, diff):
            plan = super().plan(diff)
            return attrs.evolve(plan, steps=Steps(plan.steps))

        def new(self, action):
            called.append(action.idnumber)

    class Awaited(Plain):
        concurrency = 1

        async def new(self, action):
            called.append(action.idnumber)

    source, dest = sides("abc")
    with pytest.raises(SyncInterrupted) as caught:
        source - dest | (Awaited if awaited else Plain)
    assert len(called) <= 1
    assert caught.value.report.pending == 3 - len(called)


def test_a_signal_ends_the_waits_of_those_in_flight(ctrl_c):
    source, dest = sides([f"p{number}" for number in range(5)])

    class Refused(Template):
        concurrency = 2
        retry = Retry()

        async def new_people(self, action):
            if action.idnumber == "p0":
                raise web_service.RefusedError(429, {"Retry-After": "60"})
            threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
            await asyncio.sleep(0.2)

    begun = time.monotonic()
    with pytest.raises(SyncInterrupted) as caught:
        source - dest | Refused
    assert time.monotonic() - begun < 10
    assert [result.status for result in caught.value.report.results] == ["failed", "succeeded"] + ["pending"] * 3
    assert caught.value.report.results[0].reason == "RefusedError: status 429"


def test_the_second_ctrl_c_breaks_off_those_in_flight(ctrl_c):
    source, dest = sides([f"p{number}" for number in range(5)])

    class Endless(Template):
        concurrency = 3

        async def new_people(self, action):
            if action.idnumber == "p2":
                for delay in (0.05, 0.1):
                    threading.Timer(delay, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
            await asyncio.sleep(0 if action.idnumber == "p0" else 30)

    begun = time.monotonic()
    with pytest.raises(SyncInterrupted) as caught:
        source - dest | Endless
    assert time.monotonic() - begun < 10
    report = caught.value.report
    assert [result.status for result in report.results] == ["succeeded", "failed", "failed", "failed", "pending"]
    assert report.results[1].reason == "interrupted; it may be done all the same"


def test_system_exit_and_cancellation_in_a_call_are_results():
    source, dest = sides(["a", "b", "c", "d"])

    class Leaving(Template):
        concurrency = 2

        async def new_people(self, action):
            await asyncio.sleep(0.005)
            if action.idnumber == "a":
                raise asyncio.CancelledError
            if action.idnumber == "b":
                sys.exit(0)

    with pytest.raises(SyncInterrupted) as caught:
        source - dest | Leaving
    report = caught.value.report
    assert [result.status for result in report.results][:2] == ["failed", "failed"]
    assert report.results[1].reason == "SystemExit: 0"
    assert report.results[3].status == "pending"
    assert report.exit_code == 1


def test_methods_of_objects_are_awaited():
    made = []

    class Account(Object):
        name: str

        @classmethod
        async def create(cls, tree, ids, attributes):
            await asyncio.sleep(0)
            made.append(ids["idnumber"])
            return cls(**ids, **attributes)

    source = +Tree("source", branches={"u": Branch(Account, importer=[{"idnumber": n, "name": "x"} for n in range(3)])})
    dest = +Tree("dest", branches={"u": Branch(Account, importer=[])})
    assert (source >> dest).succeeded == 3
    assert made == [0, 1, 2]


def test_a_child_waits_for_its_parent_and_a_move_is_alone():
    class Place(Object):
        _children = {"places": "parts"}
        parts: set[str]

    def tree(name, parts):
        rows = [{"idnumber": key, "parts": set(some)} for key, some in parts.items()]
        return +Tree(name, branches={"places": Branch(Place, importer=rows)})

    source = tree("source", {"s": "abxy", "a": "c", "b": "", "c": "", "x": "", "y": ""})
    dest = tree("dest", {"x": "", "y": ""})
    template = Everything()
    report = template.apply(source - dest, limits=Limits(updates=99, deletions=99))
    assert report.failed == report.skipped == 0
    for parent, child in ["sa", "sb", "ac"]:
        assert template.when("ends", "new", "places", parent) < template.when("begins", "new", "places", child)
    assert template.most == 2, "a and b"
    moved = [name for name, verb, *_ in template.events if verb not in ("new", "old")]
    assert moved == ["begins", "ends"] * (len(moved) // 2)
    assert moved


def test_methods_with_the_words_of_synctree_are_awaited():
    from datastoresync.vocabularies.synctree import DefaultTemplate, SyncTree

    tree = SyncTree(["source", "destination"], ["students"])
    for number in "123":
        tree.new("source", "students", number)

    class Enrol(DefaultTemplate):
        messages = []

        async def new_students(self, action):
            await asyncio.sleep(0)
            self.messages.append(action.message)

    report = (tree.source > tree.destination) | Enrol
    assert report.succeeded == 3
    assert Enrol.messages == ["new_students"] * 3


@pytest.mark.parametrize("concurrency", [0, -1, "8", 2.5, True, None])
def test_concurrency_is_a_whole_number(concurrency):
    class Wrong(Template):
        pass

    Wrong.concurrency = concurrency
    with pytest.raises(DeclarationError, match="a whole number from 1"):
        Wrong().apply(Diff(()))


def test_a_mock_run_awaits_nothing():
    source, dest = sides(["a"])
    template = Everything()
    assert template.apply(source - dest, mock=True).counts["planned"] == 1
    assert template.events == []


def test_an_event_loop_is_closed_in_the_end():
    source, dest = sides(["a"])
    loops = []

    class Noting(Template):
        async def new(self, action):
            loops.append(asyncio.get_running_loop())

    source - dest | Noting
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
    assert loops[0].is_closed()
