"""What depends on what: objects on those that they refer to and on their parents, deletions on what still refers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import attrs

from datastoresync.applying.report import Result
from datastoresync.conversion.key_forms import formed
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import lists_children
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import members_of
from datastoresync.diffing.hierarchy import Hierarchy, ObjectKey
from datastoresync.diffing.side import Side
from datastoresync.errors import ComparisonError
from datastoresync.syncers.changes import Change, Outcome, Table

_MOST = 100_000
"""Objects that a streamed run remembers as not created, or as kept."""
_NOT_DONE = frozenset({"failed", "skipped", "conflict"})

Sides = Mapping[str, Side]


def sides_of(diff: Diff) -> tuple[Sides, Sides]:
    """Return the sides of the source and of the destination by branch: those compared, and those around them."""
    found: list[dict[str, Side]] = []
    for which, hierarchy in enumerate(diff.hierarchies):
        compared = {one.name: one.both[which] for one in diff.branch_diffs}
        found.append({**compared, **hierarchy.sides})
    return found[0], found[1]


def references_of(diff: Diff) -> dict[str, dict[str, str]]:
    """Return by branch, of those that refer to others, the branch that each attribute refers to.

    Fields that name a parent are among them.
    """
    found: dict[str, dict[str, str]] = {}
    left, right = sides_of(diff)
    for name in dict.fromkeys((*left, *right)):
        references: dict[str, str] = {}
        for hierarchy in diff.hierarchies:
            references |= hierarchy.references(name)
        for sides in (right, left):
            references |= sides[name].references if name in sides else {}
        if references:
            found[name] = references
    return found


class DependencyTracker:
    """Tracks what was not done in one run, and which actions that blocks.

    An object is not created, and a reference or membership not written, if what it refers to could not be created or
    is left out of the run; nor is an object below such a parent. An object is kept if one that stays still refers to
    it, or is below it: since that could not be deleted or changed, or since a flag or a filter leaves it alone.

    A new object whose membership names a missing object is left out as a whole, as its members come with it. What is
    left out is not looked for in a streamed diff, where limits refuse references to nothing, and only so many failures
    of one are remembered.

    Args:
        diff: The actions of the run.
        left_out: Whether what the run leaves out is looked for, too.
        lists: Whether a child is not deleted while a parent that stays lists it.
    """

    def __init__(self, diff: Diff, *, left_out: bool = True, lists: bool = True) -> None:
        self._left, self._right = diff.hierarchies
        self._lists = {one.name for one in diff.branch_diffs if lists}
        self._sides = sides_of(diff)
        self._references = references_of(diff)
        self._most = _MOST if diff.streamed else None
        self._missing: dict[ObjectKey, str] = {}
        self._closed: dict[ObjectKey, str] = {}
        self._kept: dict[ObjectKey, str] = {}
        self._stuck: dict[ObjectKey, str] = {}
        if left_out and not diff.streamed and self._leaves_out(diff):
            self._note_left_out(diff)

    @classmethod
    def of(cls, diff: Diff, *, left_out: bool = True, lists: bool = True) -> Self | None:
        """Return a tracker for a diff; None if nothing in it depends on anything."""
        return cls(diff, left_out=left_out, lists=lists) if diff.nested or references_of(diff) else None

    @property
    def active(self) -> bool:
        """Whether any action may be blocked."""
        return bool(self._missing or self._closed or self._kept)

    # What the run leaves out from the start.

    def _leaves_out(self, diff: Diff) -> bool:
        """Say whether the diff may be less than the whole comparison of all branches."""
        compared = {one.name: one for one in diff.branch_diffs}
        narrowed = (
            name not in compared or compared[name].both[which].objects is not side.objects
            for which, hierarchy in enumerate(diff.hierarchies)
            for name, side in hierarchy.sides.items()
        )
        referred = {target for targets in self._references.values() for target in targets.values()}
        return diff.partial or bool(diff.left_out.total()) or not referred <= compared.keys() or any(narrowed)

    def _note_left_out(self, diff: Diff) -> None:
        """Note what will be missing, and what stays and refers to what is to be deleted."""
        named: defaultdict[str, set[Any]] = defaultdict(set)
        # Of earlier parts of the same diff, too: not all sides show what was done since they were made.
        created = {(one.name, key) for one in diff.branch_diffs for key in one.carried_out["new"]}
        gone = {(one.name, key) for one in diff.branch_diffs for key in one.carried_out["old"]}
        deleted: defaultdict[str, set[Any]] = defaultdict(set)
        changed: set[tuple[Any, ...]] = set()
        for action in diff:
            branch, key = action.branch, action.idnumber
            if action.verb == "old":
                deleted[branch].add(key)
                continue
            if action.verb == "new":
                created.add((branch, key))
            else:
                changed.add((branch, key, action.attr, *((action.value,) if action.verb == "remove" else ())))
            for target, member in self._written(action, None):
                named[target].add(member)
            for parent, parent_key in self._left.ancestors(*(self._child(action) or (branch, key))):
                named[parent].add(parent_key)
        for target, members in named.items():
            source, dest = (self._existing(which, target, members) for which in (0, 1))
            for member in members:
                if member in source and member not in dest and (target, member) not in created:
                    self._missing[target, member] = "is not created in this run"
        if deleted:
            for object_key, referrer in self._referrers(deleted, changed):
                if referrer in gone:
                    continue
                self._kept.setdefault(object_key, f"{_display_name(referrer)} refers to it, and stays")

    def _existing(self, which: int, target: str, members: set[Any]) -> Collection[Any]:
        """Return a collection that has those of the members that one side has; all, if it does not know its own."""
        side = self._sides[which].get(target)
        keys: Any = None if side is None else side.objects
        for one in self._sides[which].values() if keys is None else ():
            keys = one.referenced_keys.get(target, keys)
        return members if keys is None else existing(keys, members)

    def _referrers(
        self, deleted: Mapping[str, set[Any]], changed: Collection[tuple[Any, ...]]
    ) -> Iterator[tuple[ObjectKey, ObjectKey]]:
        """Yield objects that are to be deleted, each with one that stays and refers to it as the source does not."""
        sources, dests = self._sides
        for branch, side in dests.items():
            named = {**self._references.get(branch, {}), **self._child_fields(branch)}
            targets = {attr: to for attr, to in named.items() if to in deleted}
            for key, item in side.objects.items() if targets else ():
                if key in deleted.get(branch, ()):
                    continue
                for attr, target in targets.items():
                    if (branch, key, attr) in changed:
                        continue
                    for member in _referred(side, key, item, attr):
                        going = member in deleted[target] and (branch, key, attr, member) not in changed
                        if going and not self._refers(sources.get(branch), key, attr, member):
                            yield (target, member), (branch, key)
        for branch, parents in self._right.parents.items():
            for key, parent in parents.items():
                if parent[1] not in deleted.get(parent[0], ()) or key in deleted.get(branch, ()):
                    continue
                holder = self._right.holder(branch, key)
                if holder is not None and (*holder, key) not in changed and holder not in changed:
                    yield parent, (branch, key)

    def _child_fields(self, branch: str) -> dict[str, str]:
        """Return the branch of the children that each field of a branch lists, where changes of lists are actions."""
        both = [sides[branch] for sides in self._sides if branch in sides]
        if branch not in self._lists or len(both) < 2:
            return {}
        return {field: child for child, field in both[1].children.items() if lists_children((both[0], both[1]), child)}

    def _refers(self, side: Side | None, key: Any, attr: str, member: Any) -> bool:
        item = None if side is None else side.objects.get(key)
        return side is not None and item is not None and member in list(_referred(side, key, item, attr))

    def settle(self, actions: Sequence[Action]) -> tuple[Sequence[Action], list[Result]]:
        """Return the actions that are not blocked by what the run leaves out, and the results of the others."""
        if not self.active:
            return actions, []
        results = [self.left(action, action.method) for action in actions]
        for noted in (self._missing, self._closed, self._kept, self._stuck):
            noted.clear()  # from here on only what happens can block anything
        rest = [action for action, result in zip(actions, results, strict=True) if result is None]
        return rest, [result for result in results if result is not None]

    # What happens.

    def note(
        self, action: Action, status: str, *, values: Mapping[str, Any] | None = None, skip_children: bool = False
    ) -> None:
        """Take note of what became of an action.

        Args:
            action: The action.
            status: The status of its result.
            values: The values of its object, by attribute; None to read them from the object.
            skip_children: Whether it blocks the actions of objects below this one, whatever its verb.
        """
        full = self._most is not None and len(self._missing) + len(self._kept) >= self._most
        if status not in _NOT_DONE or full:
            return
        object_key = (action.branch, action.idnumber)
        if action.verb == "new":
            self._missing[object_key] = "could not be created"
        else:
            self._keep(action, values)
        if status == "failed" and skip_children:
            self._closed[object_key] = f"could not be {_PARTICIPLES[action.verb]}"

    def left(self, action: Action, method: str) -> Result | None:
        """Return the result of an action that is blocked; None if it is not."""
        reason = self.blocked(action)
        return Result("skipped", reason, action, method) if reason else None

    def blocked(self, action: Action, values: Mapping[str, Any] | None = None) -> str:
        """Return why an action is blocked, and take note of it; empty if it is not."""
        if not self.active:
            return ""
        object_key = (action.branch, action.idnumber)
        child = self._child(action)
        if action.verb == "old":
            reason = self._kept.get(object_key, "") or self._above(self._right, object_key, (self._closed,))
        else:
            # Below an object that did not move, this one might come to be below itself.
            stuck = () if child is None else (self._stuck,)
            reason = self._above(self._left, child or object_key, (*stuck, self._missing, self._closed))
            if not reason and self._missing:
                written = (one for one in self._written(action, values) if one in self._missing)
                reason = next((f"{_display_name(one)} {self._missing[one]}" for one in written), "")
        if reason:
            self.note(action, "skipped", values=values)
        return reason

    def without_missing(self, action: Action) -> Action | None:
        """Return an update of a list of children without those that could not be created; None if more blocks it."""
        child = self._child_branch(action) if action.verb == "update" else None
        object_key, before = (action.branch, action.idnumber), list(members_of(action.old_value))
        if child is None or object_key in self._missing:
            return None
        members = [one for one in members_of(action.value) if one in before or (child, one) not in self._missing]
        blocked = self._above(self._left, object_key, (self._missing, self._closed))
        if blocked or len(members) == len(action.value) or members == before:
            return None
        return attrs.evolve(action, value=type(action.value)(members))

    def _written(self, action: Action, values: Mapping[str, Any] | None) -> Iterator[ObjectKey]:
        """Yield what an action makes its object refer to."""
        if action.verb == "new":
            for attr, target in self._references.get(action.branch, {}).items():
                yield from ((target, member) for member in self._members(0, action, attr, values))
        elif action.verb in ("add", "update") and (branch := self._target(action)):
            before = list(members_of(action.old_value)) if action.verb == "update" else ()
            for member in members_of(action.value):
                if member is not None and member not in before:
                    yield branch, member

    def _members(self, which: int, action: Action, attr: str, values: Mapping[str, Any] | None) -> Iterable[Any]:
        """Return what an attribute of an action's object refers to."""
        if values is not None:
            return (member for member in members_of(values.get(attr)) if member is not None)
        item = action.dest if which else action.source
        return _referred(self._sides[which][action.branch], action.idnumber, item, attr)

    def _above(self, hierarchy: Hierarchy, object_key: ObjectKey, closed: Sequence[Mapping[ObjectKey, str]]) -> str:
        """Return why an ancestor blocks an action, or ``""``."""
        ancestors = hierarchy.ancestors(*object_key)
        found = ((parent, reasons[parent]) for parent in ancestors for reasons in closed if parent in reasons)
        parent, reason = next(found, (None, ""))
        return "" if parent is None else f"its parent {_display_name(parent)} {reason}"

    def _child(self, action: Action) -> ObjectKey | None:
        """Return the child that an action adds to a parent, or removes from one."""
        branch = self._child_branch(action) if action.verb in ("add", "remove") else None
        return None if branch is None else (branch, action.value)

    def _child_branch(self, action: Action) -> str | None:
        """Return the branch of the children that an action's attribute lists, if it does."""
        branches = (hierarchy.child_branch(action.branch, action.attr) for hierarchy in (self._left, self._right))
        return next(filter(None, branches), None)

    def _target(self, action: Action) -> str | None:
        """Return the branch of what an action's attribute names."""
        return self._references.get(action.branch, {}).get(action.attr) or self._child_branch(action)

    def _keep(self, action: Action, values: Mapping[str, Any] | None) -> None:
        """Note that what an object is below, or refers to, must be kept, since it could not be deleted or changed."""
        object_key = (action.branch, action.idnumber)
        references = self._references.get(action.branch, {})
        child = self._child(action)
        if child is not None:
            self._stuck[child] = "could not be moved"
        if action.verb == "old":
            parent = self._right.parent(*object_key)
            if parent is not None:
                self._kept[parent] = f"its child {_display_name(object_key)} could not be deleted"
            for attr, target in references.items():
                for member in self._members(1, action, attr, values):
                    self._refer((target, member), object_key, "and could not be deleted")
        elif child is not None:
            self._kept[object_key] = f"its child {_display_name(child)} could not be moved"
        elif self._right.child_branch(action.branch, action.attr):
            self._kept[object_key] = "its children could not be moved"
        if action.verb in ("update", "remove") and (branch := self._target(action)):
            kept = list(members_of(action.value)) if action.verb == "update" else ()
            before = action.old_value if action.verb == "update" else action.value
            for member in members_of(before):
                if member not in kept:
                    self._refer((branch, member), object_key, "and could not be changed")

    def _refer(self, target: ObjectKey, referrer: ObjectKey, reason: str) -> None:
        if target != referrer:
            self._kept.setdefault(target, f"{_display_name(referrer)} refers to it, {reason}")


def _referred(side: Side, key: Any, item: Any, attr: str) -> Iterator[Any]:
    """Yield what an attribute of an object refers to; nothing where it has no such attribute."""
    with suppress(ComparisonError):
        yield from (member for member in members_of(side.read(key, item, attr)) if member is not None)


_PARTICIPLES = {"new": "created", "old": "deleted", "update": "updated", "add": "updated", "remove": "updated"}


def _display_name(object_key: ObjectKey) -> str:
    return f"{object_key[0]} {object_key[1]!r}"


def existing(keys: Collection[Any], members: set[Any]) -> Collection[Any]:
    """Return a collection that has those of the members that exist; a table looks them up in one query."""
    look_up = getattr(keys, "present", None)
    return keys if look_up is None else look_up(members)


_VERBS = {"insert": "new", "update": "update", "link": "add", "unlink": "remove", "delete": "old"}


class StoredDependencies:
    """Tells a store which of its changes depend on others that were not made; see `syncers.changes.Dependencies`.

    Keys and what refers to them are written as the store spells them, and tracked in the form of the comparison.

    Args:
        tracker: Knows it of actions.
        diff: The diff.
        tables: The tables of the branches, by branch.
    """

    def __init__(self, tracker: DependencyTracker, diff: Diff, tables: Mapping[str, Table]) -> None:
        self._tracker = tracker
        self._branches = {id(table): branch for branch, table in tables.items()}
        self._forms = {one.name: one.right.forms for one in diff.branch_diffs}

    @property
    def active(self) -> bool:
        """Whether any change may be blocked."""
        return self._tracker.active

    def note(self, change: Change, outcome: Outcome) -> None:
        """Take note of a change that was not made."""
        values = self._values(change)
        for action in self._actions(change):
            self._tracker.note(action, outcome.status, values=values)

    def blocked(self, change: Change) -> str:
        """Return why a change has to be left out; empty if it can be made."""
        values = self._values(change)
        return next(filter(None, (self._tracker.blocked(action, values) for action in self._actions(change))), "")

    def _actions(self, change: Change) -> Iterator[Action]:
        """Yield what the change is made of, without the objects."""
        verb, branch, key = _VERBS[change.verb], self._branches[id(change.table)], self._key(change)
        if verb in ("new", "old"):
            yield Action(verb, branch, key)
            return
        expected = self._formed(branch, change.expected)
        for name, value in self._formed(branch, change.values).items():
            yield Action(verb, branch, key, name, value, expected.get(name))

    def _key(self, change: Change) -> Any:
        key = change.key if len(change.identifiers) > 1 else change.key[0]
        form = self._forms[self._branches[id(change.table)]].key
        return key if form is None else form(key)

    def _formed(self, branch: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        forms = self._forms[branch].attributes
        if forms.keys().isdisjoint(values):
            return values
        return {name: formed(forms[name], value) if name in forms else value for name, value in values.items()}

    def _values(self, change: Change) -> dict[str, Any]:
        """Return the values of the object of a change: those to come, or for a deletion those that there were."""
        key = self._key(change)
        parts = key if len(change.identifiers) > 1 else (key,)
        values = change.expected if change.verb == "delete" else change.values
        own = dict(zip(change.identifiers, parts, strict=True))
        return {**own, **self._formed(self._branches[id(change.table)], values)}
