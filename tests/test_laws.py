"""The laws of the difference, over generated trees of closed, open and mixed classes."""

import os
import subprocess
import sys
from collections import Counter

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from strategies import (
    KINDS,
    NO_LIMITS,
    TEMPLATES,
    contents,
    halves,
    plain_actions,
    plain_diff,
    shapes,
    shuffled,
    tree_of,
    worlds,
)

from datastoresync import Branch, Diff, Importer, Object

law = settings(deadline=None, max_examples=examples(60))

PHASES = {"new": 0, "update": 1, "add": 1, "remove": 1, "old": 2}


def messages(diff):
    return [action.message for action in diff]


@law
@given(worlds())
def test_a_tree_does_not_differ_from_itself(world):
    for tree in world.trees():
        assert list(tree - tree) == []
        for branch in tree.values():
            assert list(branch - branch) == []
            for item in branch.values():
                assert list(item - item) == []


@law
@given(worlds(), st.data())
def test_a_tree_does_not_differ_from_another_one_with_the_same_contents(world, data):
    twins = {
        name: attrs.evolve(
            half,
            closed=data.draw(st.booleans()),
            properties=frozenset(one for one, _ in half.shape.attributes if data.draw(st.booleans())),
        )
        for name, half in world.source.items()
    }
    assert list(tree_of("source", world.source) - tree_of("twin", twins)) == []


@law
@given(worlds(), st.sampled_from(TEMPLATES))
def test_applying_a_difference_leaves_none(world, template):
    source, dest = world.trees()
    diff = source - dest
    report = template().apply(diff, limits=NO_LIMITS)
    assert report.ok
    assert report.unhandled == 0
    assert list(source - dest) == []
    for branch in dest.values():
        branch._check()
    again = template().apply(source - dest, limits=NO_LIMITS)
    assert again.planned == 0


@law
@given(worlds(), st.sampled_from(TEMPLATES))
def test_applying_a_difference_twice_does_nothing_the_second_time(world, template):
    source, dest = world.trees()
    diff = source - dest
    template().apply(diff, limits=NO_LIMITS)
    held = {name: {key: branch.side().values(key) for key in branch} for name, branch in dest.items()}
    creations = diff.only("new")
    template().apply(creations, limits=NO_LIMITS)
    for name, branch in dest.items():
        assert plain_diff(name, held[name], {key: branch.side().values(key) for key in branch}) == Counter()


@law
@given(worlds(), st.data())
def test_applying_a_part_of_a_difference_leaves_the_rest(world, data):
    source, dest = world.trees()
    diff = source - dest
    done = set(data.draw(st.sets(st.sampled_from(range(len(diff)))))) if diff else set()
    rest = Diff(tuple(action for place, action in enumerate(diff) if place not in done), diff.branch_diffs)
    for place in sorted(done):
        diff.fold(diff[place])
    assert plain_actions(source - dest) == plain_actions(rest)


@law
@given(worlds())
def test_the_inverse_is_the_difference_the_other_way_round(world):
    source, dest = world.trees()
    assert -(source - dest) == dest - source
    for name in source.branches:
        assert -(source[name] - dest[name]) == dest[name] - source[name]
        for key in source[name].keys() & dest[name].keys():
            assert -(source[name][key] - dest[name][key]) == dest[name][key] - source[name][key]


@law
@given(worlds())
def test_the_inverse_of_the_inverse_is_the_difference(world):
    source, dest = world.trees()
    diff = source - dest
    assert -(-diff) == diff
    assert messages(-(-diff)) == messages(diff)


@law
@given(worlds(), st.data())
def test_the_order_of_rows_changes_nothing(world, data):
    source, dest = world.trees()
    other_source, other_dest = data.draw(shuffled(world)).trees()
    assert source - dest == other_source - other_dest
    assert messages(source - dest) == messages(other_source - other_dest)


@law
@given(worlds())
def test_two_imports_give_the_same_difference(world):
    first, second = world.trees(), world.trees()
    assert first[0] - first[1] == second[0] - second[1]


@law
@given(worlds())
def test_creations_come_first_and_deletions_last_each_in_the_order_of_the_keys(world):
    source, dest = world.trees()
    diff = source - dest
    phases = [PHASES[action.verb] for action in diff]
    assert phases == sorted(phases)
    for name in source.branches:
        for phase in range(3):
            keys = [action.idnumber for action in diff if action.branch == name and PHASES[action.verb] == phase]
            assert keys == sorted(keys)
    # All of a branch stand together within their phase.
    places = [(phase, action.branch) for phase, action in zip(phases, diff, strict=True)]
    assert len(set(places)) == sum(one != other for one, other in zip([None, *places], places, strict=False))


@law
@given(worlds())
def test_a_referred_branch_is_created_first_and_deleted_last(world):
    source, dest = world.trees()
    refers = {
        (name, target) for name, half in world.source.items() for _, target in half.shape.references if target != name
    }
    after = {name: {target for one, target in refers if one == name} for name in world.source}
    if any(name in after[target] for name in after for target in after[name]) or len(refers) > 2:
        return  # a circle, which is broken somewhere
    for verb, direction in (("new", 1), ("old", -1)):
        order = list(dict.fromkeys(action.branch for action in source - dest if action.verb == verb))[::direction]
        for name, target in refers:
            if name in order and target in order:
                assert order.index(target) < order.index(name)


TERMS = st.sampled_from(["new", "update", "add", "remove", "old", {"verb": ["new", "old"]}, lambda one: one.attr == ""])


@law
@given(worlds(), st.lists(TERMS, max_size=3), st.data())
def test_filters_part_a_difference_in_two(world, terms, data):
    source, dest = world.trees()
    diff = source - dest
    names = [*source.branches, *(f"{name}.{one}" for name in source.branches for one in source[name].side().attributes)]
    terms += data.draw(st.lists(st.sampled_from(names), max_size=2))
    only, rest = diff.only(*terms), diff.exclude(*terms)
    assert len(only) + len(rest) == len(diff)
    assert sorted([*map(id, only), *map(id, rest)]) == sorted(map(id, diff))
    assert only.counts + rest.counts == +diff.counts
    assert list(only.exclude(*terms)) == []


@law
@given(worlds())
def test_the_difference_of_a_tree_is_that_of_its_branches(world):
    source, dest = world.trees()
    apart = [action for name in source.branches for action in source[name] - dest[name]]
    assert plain_actions(source - dest) == plain_actions(apart)


@settings(deadline=None, max_examples=examples(200))
@given(worlds())
def test_the_engine_finds_what_a_comparison_of_dictionaries_finds(world):
    source, dest = world.trees()
    expected = Counter()
    for name in world.source:
        expected += plain_diff(name, world.source[name].contents, world.dest[name].contents)
    assert plain_actions(source - dest) == expected


@law
@given(st.data())
def test_rows_of_one_member_each_are_united_in_any_order(data):
    members = data.draw(st.dictionaries(st.sampled_from("abc"), KINDS["members"].values.filter(bool), min_size=1))
    rows = [
        {"idnumber": key, "members": type(values)([member])} for key, values in members.items() for member in values
    ]
    whole = +Branch(Object, importer=[{"idnumber": key, "members": values} for key, values in members.items()])
    apart = +Branch(Object, importer=data.draw(st.permutations(rows)))
    assert list(whole - apart) == []
    assert list(apart - whole) == []


@law
@given(st.data())
def test_an_import_that_fails_leaves_what_was_there(data):
    half = data.draw(shapes().flatmap(halves))
    branch = +half.branch()
    held, before = dict(branch), plain_diff("", half.contents, {})
    coming = list(attrs.evolve(half, contents=data.draw(contents(half.shape))).rows())
    half.contents = {}

    class Failing(Importer):
        def read(self):
            yield from coming
            raise OSError("the line was cut")

    branch.importer = Failing()
    try:
        +branch
    except OSError:
        pass
    else:
        raise AssertionError
    assert dict(branch) == held
    assert Counter(dict.fromkeys(branch, 1)) == Counter(key for _, _, key, *_ in before)
    branch._check()


ORDER = """
from datastoresync import Branch, Object, Tree
names = [f"branch{number}" for number in range(9)]
class First(Object):
    _references = {f"attribute{number}": name for number, name in enumerate(names[1:])}
def tree(rows):
    classes = {name: First if name == names[0] else Object for name in names}
    return +Tree("tree", branches={name: Branch(one, importer=rows) for name, one in classes.items()})
referring = dict.fromkeys(First._references)
members = {"idnumber": "1", "members": set("abcdefgh"), "mixed": {1, "1", None, b"1", (1, "1")}, **referring}
empty = {"idnumber": "1", "members": set(), "mixed": set(), **referring}
one, other, none = tree([members]), tree([empty]), tree([])
for diff in (one - other, other - one, one - none, none - one):
    print("\\n".join(action.message for action in diff))
"""


def test_the_order_of_actions_does_not_depend_on_hashes():
    outputs = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", ORDER]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.add(run.stdout)
    (output,) = outputs
    created = [line.partition("(")[0] for line in output.splitlines() if line.startswith("new_")]
    assert created == [*(f"new_branch{number}" for number in range(1, 9)), "new_branch0"]
