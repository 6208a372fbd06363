"""What was carried out is in a branch whenever somebody looks, however late it is taken in."""

import copy
import pickle
import signal
import threading

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Action, Branch, Object, Tree
from datastoresync.applying.preview import Preview
from datastoresync.importing import object_set as module
from datastoresync.runtime import uninterrupted


class Person(Object):
    name: str
    tags: list[str] = []


class Counting(Object):
    name: str
    number: int = attrs.field(factory=iter(range(1000)).__next__)
    _attributes = ("name",)


def tree(names, cls=Person, **options):
    return +Tree("t", branches={"people": Branch(cls, importer=rows(names), **options)})


def rows(names):
    return [{"idnumber": key, "name": name} for key, name in names.items()]


def carried_out(source, dest):
    """Let the destination's branch note all that makes it like the source; return the branch and what it holds."""
    diff = source - dest
    assert list(diff.fold_all(diff.actions)) == []
    return dest.people, dest.people._contents


STATES = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")), min_size=2, max_size=6)


@given(STATES, st.sampled_from([Person, Object]), st.lists(st.booleans(), min_size=6, max_size=6))
def test_it_is_the_same_whenever_somebody_looks(states, cls, looked):
    """One diff is carried out after another; the branch is looked at only now and then in between."""
    dest, known = tree(states[0], cls), states[0]
    for state, look in zip(states[1:], looked, strict=False):
        actions = (tree(state, cls) - tree(known, cls)).actions
        held = dest.people._contents
        for verb in ("new", "update", "old"):
            some = [action for action in actions if action.verb == verb]
            columns = {"name": [action.source.name for action in some]} if verb == "new" else {}
            assert not some or held.fold_all(verb, some, columns)
        known = state
        if look:
            assert {key: item.name for key, item in dest.people.items()} == known
            dest.people._check()
    assert {key: item.name for key, item in dest.people.items()} == known
    dest.people._check()


@pytest.mark.parametrize(
    "look",
    [
        len,
        repr,
        list,
        lambda people: "n" in people,
        lambda people: people["n"],
        lambda people: people.side(),
        lambda people: list(people.range("k")),
        lambda people: people.contents,
        lambda people: people.remove("n"),
    ],
)
def test_whoever_looks_finds_it(look):
    people, held = carried_out(tree({"n": "x", "k": "x"}), tree({"k": "x", "g": "x"}))
    assert len(held.noted) == 2
    look(people)
    assert held.noted == []


def test_whoever_does_not_look_does_not_wait():
    people, held = carried_out(tree({"n": "x", "k": "x"}), tree({"k": "x", "g": "x"}))
    assert (list(held.objects), len(held.noted)) == (["g", "k"], 2)
    assert list(people) == ["k", "n"]


def test_an_object_that_somebody_has_is_updated_at_once():
    dest = tree({"k": "x"})
    kept = dest.people["k"]
    _, held = carried_out(tree({"k": "y", "n": "x"}), dest)
    assert (kept.name, len(held.noted)) == ("y", 1)


def test_what_is_new_is_as_it_was_when_it_was_created():
    source, dest = tree({"n": "x"}), tree({})
    source.people["n"].tags.append("before")
    people, _ = carried_out(source, dest)
    source.people["n"].name = "other"
    source.people["n"].tags.append("after")
    assert (people["n"].name, people["n"].tags) == ("x", ["before"])


def test_another_import_knows_better():
    source, dest = tree({"n": "x"}), tree({"g": "x"})
    people, held = carried_out(source, dest)
    assert held.noted
    +dest
    assert list(people) == ["g"]


def test_a_copy_has_it_too():
    people, held = carried_out(tree({"n": "x"}), tree({"g": "x"}))
    copied = copy.deepcopy(held)
    copied.settle()
    assert (list(copied.objects), list(held.objects)) == (["n"], ["g"])
    assert list(people) == ["n"]
    assert pickle.loads(pickle.dumps(people["n"])).name == "x"


def nodes(diff):
    return {node.idnumber: (node.source and node.source.name, node.dest and node.dest.name) for node in diff.children}


def test_the_tree_of_a_diff_shows_what_is_there():
    diff = tree({"n": "x"}) - tree({"g": "x"})
    assert nodes(diff) == {"n": ("x", None), "g": (None, "x")}
    assert list(diff.fold_all(diff.actions)) == []
    assert nodes(diff) == {"n": ("x", "x"), "g": (None, None)}


def test_so_does_that_of_its_inverse():
    diff = tree({"n": "x"}) - tree({"g": "x"})
    assert list(diff.fold_all(diff.actions)) == []
    assert nodes(-diff) == {"n": ("x", "x"), "g": (None, None)}


def test_so_does_that_of_a_diff_from_before_another_import():
    dest = tree({"g": "x"})
    diff = tree({"n": "x"}) - dest
    assert list(diff.fold_all(diff.actions)) == []
    +dest
    assert nodes(diff) == {"n": ("x", "x"), "g": (None, None)}


class Group(Object):
    _references = {"owner": "people"}
    owner: str | None = None


def school(names, owners):
    groups = [{"idnumber": key, "owner": owner} for key, owner in owners.items()]
    return +Tree(
        "t", branches={"people": Branch(Person, importer=rows(names)), "groups": Branch(Group, importer=groups)}
    )


@pytest.mark.parametrize(("there", "wanted", "left_out"), [("k", "kn", False), ("kn", "k", True)])
def test_references_are_to_what_is_there(there, wanted, left_out):
    """The groups were compared before the people changed, whom they refer to."""
    dest = school(dict.fromkeys(there, "x"), {"1": "k"})
    groups = school(dict.fromkeys("kn", "x"), {"1": "k", "2": "n"}).groups - dest.groups
    people = tree(dict.fromkeys(wanted, "x")).people - dest.people
    assert bool(Preview.of(groups).left_out) is (not left_out)
    assert list(people.fold_all(people.actions)) == []
    assert dest.people._contents.noted
    assert bool(Preview.of(groups).left_out) is left_out


def test_a_default_that_is_made_by_a_function_is_made_at_once():
    _, held = carried_out(tree({"n": "x"}, Counting), tree({}, Counting))
    assert (held.noted, [type(item.number) for item in held.objects.values()]) == ([], [int])


def test_keys_that_are_no_texts_are_taken_in_at_once():
    source, dest = tree({1: "x"}, Object), tree({2: "x"}, Object)
    _, held = carried_out(source, dest)
    assert (held.noted, list(held.objects)) == ([], [1])


def test_an_open_class_has_the_columns_of_its_last_object():
    people, held = carried_out(tree({}, Object), tree({"g": "x"}, Object))
    assert held.columns == set()
    assert people.contents.columns == {"idnumber", "name"}


def test_who_looks_at_the_same_time_waits(monkeypatch):
    people, _ = carried_out(tree({f"{number:03d}": "x" for number in range(300)}), tree({}))
    attached, waiting = threading.Event(), threading.Event()
    take_in = module.ObjectSet._take_in

    def slowly(self, noted):
        if not attached.is_set():
            attached.set()
            waiting.wait(5)
        take_in(self, noted)

    monkeypatch.setattr(module.ObjectSet, "_take_in", slowly)
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(people))) for _ in range(4)]
    threads[0].start()
    assert attached.wait(5)
    for thread in threads[1:]:
        thread.start()
    for thread in threads[1:]:
        thread.join(0.1)
    assert found == []
    waiting.set()
    for thread in threads:
        thread.join()
    assert found == [300] * 4


def test_ctrl_c_leaves_nothing_half_done(monkeypatch, ctrl_c):
    people, held = carried_out(tree({"n": "x", "o": "x"}), tree({"g": "x"}))
    take_in = module.ObjectSet._take_in

    def interrupted(self, noted):
        ctrl_c()
        take_in(self, noted)

    monkeypatch.setattr(module.ObjectSet, "_take_in", interrupted)
    with pytest.raises(KeyboardInterrupt):
        len(people)
    assert (held.noted, list(held.objects)) == ([], ["n", "o"])
    people._check()


def test_ctrl_c_is_left_to_who_takes_care_of_it():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    try:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            assert heard == [True]
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_looks_in_the_course_of_it_finds_what_is_there_so_far(monkeypatch):
    people, held = carried_out(tree({"n": "x", "o": "x"}), tree({"g": "x"}))
    take_in = module.ObjectSet._take_in
    looked = []

    def interrupted(self, noted):
        looked.append(len(people))
        take_in(self, noted)

    monkeypatch.setattr(module.ObjectSet, "_take_in", interrupted)
    assert list(people) == ["n", "o"]
    assert (looked, held.noted) == ([1, 3], [])


class TooLateError(Exception):
    pass


def test_a_signal_that_raises_loses_no_objects(monkeypatch):
    people, held = carried_out(tree({"k": "x"}), tree({"g": "x", "k": "x"}))
    update = module.SortedDict.update
    raised = []

    def late(self, *given):
        if not raised:
            raised.append(True)
            raise TooLateError
        return update(self, *given)

    monkeypatch.setattr(module.SortedDict, "update", late)
    with pytest.raises(TooLateError):
        len(people)
    assert list(held.objects) == ["k"]
    assert list(people) == ["k"]
    people._check()


def test_an_action_of_something_new_can_still_follow():
    people, held = carried_out(tree({"n": "x"}), tree({}))
    assert held.fold_all("update", [Action("update", "people", "n", "name", "y", "x")], {})
    assert people["n"].name == "y"


def test_a_copy_of_the_branch_has_it_too():
    people, _ = carried_out(tree({"n": "x"}), tree({"g": "x"}))
    copied = copy.deepcopy(people)
    assert list(copied) == list(people) == ["n"]
    assert copied["n"].__branch__ is copied
