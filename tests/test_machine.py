"""Imports, edits, differences, applies and failures in any order, against plain dictionaries."""

import copy
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from profiles import examples
from strategies import plain_actions, plain_diff

from datastoresync import Branch, Importer, ImporterError, Limits, Object, Template, Tree, failed

LIMITS = Limits(deletions=10**9, updates=10**9, removals=10**9, dangling=10**9, empty=["users", "groups"])

KEYS = st.sampled_from(["1", "2", "3", "4"])
NAMES = st.sampled_from(["Ann", "Bob", ""])
GRADES = st.integers(0, 2)
MEMBERS = st.sets(st.sampled_from(["1", "2", "5"]))
SIDES = st.sampled_from(["source", "dest"])
USERS = st.dictionaries(KEYS, st.fixed_dictionaries({"name": NAMES, "grade": GRADES, "mail": NAMES}))
GROUPS = st.dictionaries(KEYS, st.fixed_dictionaries({"members": MEMBERS}))


class SourceUser(Object):
    """Open, with a property."""

    @property
    def mail(self):
        return self._mail


class DestUser(Object):
    """Closed, with a property that nothing can be assigned to."""

    name: str
    grade: int
    _mail: str = ""

    @property
    def mail(self):
        return self._mail


class Group(Object):
    members: set[str]


class Store(Importer):
    """Reads rows from a dictionary outside, and fails half-way if it is to."""

    def __init__(self, outside):
        self.outside = outside

    def read(self):
        name = self.branch.name
        for number, (key, values) in enumerate(self.outside[name].items()):
            if self.outside["fails"] == (name, number):
                raise ImporterError("the line was cut")
            carried = {"_mail" if attribute == "mail" else attribute: value for attribute, value in values.items()}
            yield {"idnumber": key, **carried}
        if self.outside["fails"] == (name, "end"):
            raise ImporterError("the line was cut")


class Failing(Template):
    """Fails for some idnumbers, by an exception or by a result; keeps what it was asked for."""

    def __init__(self, failing):
        super().__init__()
        self.failing = failing
        self.calls = []

    def take(self, action):
        self.calls.append(action)
        if action.idnumber not in self.failing:
            return None
        if action.verb == "new":
            return failed("no")
        raise RuntimeError("no")

    new = update = add_members = remove_members = old = take


class TreeMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.outside = {side: {"users": {}, "groups": {}, "fails": None} for side in ("source", "dest")}
        self.held = {side: {"users": {}, "groups": {}} for side in ("source", "dest")}
        self.trees = {
            side: Tree(
                side,
                branches={
                    "users": Branch(user, importer=Store(self.outside[side])),
                    "groups": Branch(Group, importer=Store(self.outside[side])),
                },
            )
            for side, user in (("source", SourceUser), ("dest", DestUser))
        }

    @initialize(source_users=USERS, source_groups=GROUPS, dest_users=USERS, dest_groups=GROUPS)
    def begin(self, source_users, source_groups, dest_users, dest_groups):
        self.outside["source"] |= {"users": source_users, "groups": source_groups}
        self.outside["dest"] |= {"users": dest_users, "groups": dest_groups}
        self.load("source")
        self.load("dest")

    @rule(side=SIDES)
    def load(self, side):
        assert +self.trees[side] is self.trees[side]
        self.held[side] = {name: copy.deepcopy(self.outside[side][name]) for name in ("users", "groups")}

    @rule(side=SIDES, users=USERS, groups=GROUPS)
    def change_outside(self, side, users, groups):
        self.outside[side] |= {"users": users, "groups": groups}

    @rule(side=SIDES, fails=st.tuples(st.sampled_from(["users", "groups"]), st.just("end") | st.integers(0, 1)))
    def fail_to_load(self, side, fails):
        name, number = fails
        if number != "end" and len(self.outside[side][name]) <= number:
            return
        self.outside[side]["fails"] = fails
        with pytest.raises(ImporterError, match="the line was cut"):
            +self.trees[side]
        self.outside[side]["fails"] = None

    @rule(side=SIDES, key=KEYS, name=NAMES, grade=GRADES, mail=NAMES)
    def new_user(self, side, key, name, grade, mail):
        users = self.trees[side].users
        if key in self.held[side]["users"]:
            with pytest.raises(ImporterError, match=f"{key!r} is there already"):
                users.new(key, name=name, grade=grade, _mail=mail)
            return
        assert users.new(key, name=name, grade=grade, _mail=mail) is users[key]
        self.held[side]["users"][key] = {"name": name, "grade": grade, "mail": mail}

    @rule(side=SIDES, branch=st.sampled_from(["users", "groups"]), key=KEYS)
    def remove(self, side, branch, key):
        if self.held[side][branch].pop(key, None) is None:
            with pytest.raises(KeyError, match=f"no {key!r} in {side}.{branch}"):
                self.trees[side][branch].remove(key)
        else:
            self.trees[side][branch].remove(key)

    @rule(side=SIDES, key=KEYS, name=NAMES, grade=GRADES)
    def assign(self, side, key, name, grade):
        if key in self.held[side]["users"]:
            user = self.trees[side].users[key]
            user.name, user.grade = name, grade
            self.held[side]["users"][key] |= {"name": name, "grade": grade}

    @rule(side=SIDES, key=KEYS, member=st.sampled_from(["1", "2", "5"]))
    def join(self, side, key, member):
        if key in self.held[side]["groups"]:
            self.trees[side].groups[key].members.add(member)
            self.held[side]["groups"][key]["members"].add(member)

    def expected(self, left="source", right="dest"):
        found = Counter()
        for name in ("users", "groups"):
            found += plain_diff(name, self.held[left][name], self.held[right][name])
        return found

    @rule(sides=st.permutations(["source", "dest"]))
    def compare(self, sides):
        left, right = sides
        assert plain_actions(self.trees[left] - self.trees[right]) == self.expected(left, right)

    @rule(failing=st.sets(KEYS, max_size=2), mock=st.booleans())
    def apply(self, failing, mock):
        expected = self.expected()
        template = Failing(failing)
        report = template.apply(self.trees["source"] - self.trees["dest"], limits=LIMITS, mock=mock)
        assert report.planned == report.succeeded + report.failed + report.counts["planned"] == expected.total()
        assert plain_actions(template.calls) == (Counter() if mock else expected)
        if mock:
            return
        assert report.failed == sum(count for action, count in expected.items() if action[2] in failing)
        for name in ("users", "groups"):
            source, dest = self.held["source"][name], self.held["dest"][name]
            for key in {*source, *dest} - failing:
                if key in source:
                    dest[key] = copy.deepcopy(source[key])
                else:
                    del dest[key]
        left = self.trees["source"] - self.trees["dest"]
        assert {action.idnumber for action in left} <= failing
        assert len(left) == report.failed

    @rule(only=st.sampled_from(["users", "groups", "new", "old", ".name", "groups.members"]))
    def apply_a_part(self, only):
        diff = self.trees["source"].diff(self.trees["dest"], only=only)
        wanted = plain_actions(diff)
        rest = self.expected() - wanted
        report = Failing(set()).apply(diff, limits=LIMITS)
        assert report.succeeded == wanted.total()
        assert plain_actions(self.trees["source"] - self.trees["dest"]) == rest
        for verb, name, key, attribute, *_ in wanted:
            source, dest = self.held["source"][name], self.held["dest"][name]
            if verb == "old":
                del dest[key]
            elif verb == "new":
                dest[key] = copy.deepcopy(source[key])
            else:
                dest[key][attribute] = copy.deepcopy(source[key][attribute])

    @invariant()
    def trees_hold_what_the_dictionaries_hold(self):
        for side, tree in self.trees.items():
            for name in ("users", "groups"):
                branch = tree[name]
                branch._check()
                assert list(branch) == sorted(self.held[side][name])
                values = {key: branch.side().values(key) for key in branch}
                assert values == self.held[side][name]


TestMachine = TreeMachine.TestCase
TestMachine.settings = settings(deadline=None, max_examples=examples(60), stateful_step_count=25)
