"""The plan of an apply: the methods to call, in order."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import iscoroutinefunction
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

import attrs

from datastoresync.applying.dependents import references_of
from datastoresync.applying.methods import Kind, check_methods, method_names, method_of
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import BranchDiff, Streamed
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import equal, members_of, membership_changes
from datastoresync.diffing.hierarchy import ObjectKey, topological_order


def deleted_with_parent(diff: Diff) -> dict[ObjectKey, ObjectKey]:
    """Return the objects that are deleted along with an ancestor, each with that ancestor."""
    hierarchy, exclusion = diff.hierarchies[1], diff.exclusion
    if not hierarchy or exclusion is None or not exclusion.flagged:
        return {}
    deleted = {(action.branch, action.idnumber): None for action in diff if action.verb == "old"}
    found: dict[ObjectKey, ObjectKey] = {}
    for object_key in deleted:
        for parent in hierarchy.ancestors(*object_key):
            if parent not in deleted:
                break
            if exclusion.leaves_children(*parent):
                found[object_key] = parent
    return found


def is_asynchronous(call: Callable[..., Any] | None) -> bool:
    """Say whether a call has to be awaited: whether it is ``async def``, or an object with such a ``__call__``."""
    return iscoroutinefunction(call) or iscoroutinefunction(vars(type(call)).get("__call__"))


@attrs.frozen(eq=False)
class Step:
    """One call of a method with its actions.

    Args:
        method: The name of the method; of a missing one, the most specific name.
        call: The bound method, or None.
        actions: One action, or several where the method takes a batch.
        batch: Whether the method takes a list of actions.
        follows: The branch and idnumber of what the action is carried out along with, without a call: the ancestor of
            an object that is deleted, or the child that is created or deleted where its parent lists it.
        left_out: Whether the template says that it leaves such actions out.
    """

    method: str
    call: Callable[[Any], Any] | None
    actions: tuple[Action, ...]
    batch: bool = False
    follows: tuple[str, Any] | None = None
    left_out: bool = False


Method = tuple[str, Callable[[Any], Any] | None, bool]
"""The name of a method, the method or None, and whether it is left out on purpose."""


@attrs.frozen(eq=False)
class Plan:
    """The steps that apply a diff.

    Args:
        diff: The diff that is applied.
        steps: The calls, in order. Those of a streamed diff are computed again by each iteration.
    """

    diff: Diff
    steps: Sequence[Step]

    @property
    def actions(self) -> Sequence[Action]:
        """The actions in order; changes of members are united into updates where a template has only those."""
        steps = self.steps
        actions = Streamed(lambda: (action for step in steps for action in step.actions))
        return actions if self.diff.streamed else tuple(actions)

    @property
    def unhandled(self) -> Counter[str]:
        """The missing methods, with the number of actions that each would take."""
        found: Counter[str] = Counter()
        for step in self.steps:
            if step.call is None and step.follows is None and not step.left_out:
                found[step.method] += len(step.actions)
        return found

    @classmethod
    def through(cls, template: Any, diff: Diff) -> Plan:
        """Return the plan that applies a diff through the methods of a template.

        Raises:
            DeclarationError: if one of them is misspelt, or cannot take an action.
        """
        check_methods(template, diff)
        found: dict[Kind, Method] = {}

        def look_up(action: Action) -> Method:
            kind = (action.verb, action.branch, action.attr)
            if kind not in found:
                names = method_names(*kind)
                method = method_of(template, names)
                found[kind] = (names[0], None, False) if method is None else (*method, method[1] is None)
            return found[kind]

        alone, following = split_followers(ordered(diff), diff)

        def steps() -> Iterator[Step]:
            for (name, call, left_out), group in groupby(_united(alone, diff, look_up), key=look_up):
                size = getattr(call, "__batch__", 0)
                if size:
                    yield from (Step(name, call, tuple(some), batch=True) for some in _batches(group, size, diff))
                elif not is_asynchronous(call):
                    yield from (Step(name, call, (action,), left_out=left_out) for action in group)
                else:  # calls that are in flight together need none of each other either
                    kinds = groupby(group, key=attrgetter("branch"))
                    batches = chain.from_iterable(_batches(some, 1, diff) for _, some in kinds)
                    yield from (Step(name, call, tuple(some)) for some in batches)
            yield from following

        return cls(diff, Streamed(steps) if diff.streamed else tuple(steps()))


def _batches(actions: Iterable[Action], size: int, diff: Diff) -> Iterator[list[Action]]:
    """Yield batches of actions; what depends on an action is never in one batch with it, since that may fail."""
    references = references_of(diff)
    needs = (
        (
            action,
            needed_objects(action, diff, references.get(action.branch, {})) if action.verb in ("new", "old") else set(),
        )
        for action in actions
    )
    related: set[ObjectKey | None] = set()
    batch: list[Action] = []
    for action, needed in needs if diff.streamed else _level_by_level(list(needs)):
        object_key = (action.branch, action.idnumber)
        if len(batch) == size or (needed & related if action.verb == "new" else object_key in related):
            yield batch
            batch, related = [], set()
        batch.append(action)
        related |= {object_key} if action.verb == "new" else needed
    yield batch


def _level_by_level(
    needs: Sequence[tuple[Action, set[ObjectKey | None]]],
) -> list[tuple[Action, set[ObjectKey | None]]]:
    """Return actions, each with what it needs, so that those that need none of the others stand together."""
    levels: dict[ObjectKey | None, int] = {}
    found: list[int] = []
    for action, needed in needs:
        object_key = (action.branch, action.idnumber)
        if action.verb == "new":
            level = levels[object_key] = 1 + max((levels.get(one, -1) for one in needed), default=-1)
        else:
            level = levels.get(object_key, 0)
            levels.update({one: max(levels.get(one, 0), level + 1) for one in needed})
        found.append(level)
    order = sorted(range(len(needs)), key=found.__getitem__)
    return [needs[position] for position in order]


def needed_objects(action: Action, diff: Diff, references: Mapping[str, str]) -> set[ObjectKey | None]:
    """Return the parent of an object that is created or deleted, and what it refers to."""
    object_key = (action.branch, action.idnumber)
    parent = diff.hierarchies[0 if action.verb == "new" else 1].parent(*object_key)
    values = diff.values(action) if references else {}
    referred = {(to, member) for name, to in references.items() for member in members_of(values.get(name))}
    return {parent, *referred} - {None, object_key}


def by_object(actions: Iterable[Action], united: Callable[[Sequence[Action]], Iterable[Action]]) -> Iterator[Action]:
    """Yield the actions, those of each object that changes members united by a function."""
    for _, group in groupby(actions, key=attrgetter("branch", "idnumber")):
        object_actions = list(group)
        changes = len(object_actions) > 1 or object_actions[0].verb in ("add", "remove")
        yield from united(object_actions) if changes else object_actions


def split_followers(actions: Sequence[Action], diff: Diff) -> tuple[Sequence[Action], list[Step]]:
    """Return the actions to call methods for, and the steps of objects that are deleted along with an ancestor."""
    parents = deleted_with_parent(diff)
    if not parents:
        return actions, []
    alone: list[Action] = []
    following: list[Step] = []
    for action in actions:
        object_key = parents.get((action.branch, action.idnumber)) if action.verb == "old" else None
        if object_key is None:
            alone.append(action)
        else:
            following.append(Step(action.method, None, (action,), follows=object_key))
    return alone, following


def _united(actions: Sequence[Action], diff: Diff, look_up: Callable[[Action], Method]) -> Iterator[Action]:
    """Unite the changes of an attribute's members into one update, where no method takes them one by one.

    In a streamed diff these stand together, object by object.
    """
    sides = {one.name: one for one in diff.branch_diffs}
    created = _Created(diff)
    if diff.streamed:
        return by_object(actions, lambda some: _united_at_once(some, sides, created, look_up))
    return _united_at_once(actions, sides, created, look_up)


@attrs.frozen(eq=False)
class _Created:
    """The children that a diff creates.

    Args:
        diff: The diff.
    """

    diff: Diff
    keys: set[ObjectKey] = attrs.field(init=False)

    @keys.default
    def _new(self) -> set[ObjectKey]:
        return {(one.branch, one.idnumber) for one in self.diff if one.verb == "new"} if self.diff.nested else set()

    def among(self, members: Iterable[Any], attribute: tuple[str, Any, str]) -> list[Any]:
        """Return those of the members of an attribute that are created as children."""
        child = self.diff.hierarchies[0].child_branch(attribute[0], attribute[2])
        return [one for one in members if child is not None and (child, one) in self.keys]


def _united_at_once(
    actions: Sequence[Action],
    sides: Mapping[str, BranchDiff],
    created: _Created,
    look_up: Callable[[Action], Method],
) -> Iterator[Action]:
    together = member_changes(actions)
    wholes: set[tuple[str, Any, str]] = set()
    for attribute, group in groupby(actions, key=_attribute):
        members = list(group)
        names = {look_up(action)[0] for action in members}
        if members[0].verb not in ("add", "remove") or not any(name.startswith("update") for name in names):
            yield from members
            continue
        first = members[0]
        held = sides[attribute[0]].left.read(attribute[1], first.source, attribute[2]) if first.dest is None else ()
        whole = membership_update(sides[attribute[0]], together[attribute], created.among(held or (), attribute))
        if all(look_up(action)[0].startswith("update") for action in members):
            if attribute not in wholes:  # its members need not stand together
                wholes.add(attribute)
                yield from _without_first(whole, together[attribute], created)
            continue
        # One of `add` and `remove` has a method of its own: the other is left to the update, with what is then there.
        for verb in ("add", "remove"):
            verb_actions = [action for action in members if action.verb == verb]
            if verb_actions and look_up(verb_actions[0])[0].startswith("update"):
                yield whole
            else:
                yield from verb_actions


def _without_first(whole: Action, members: Sequence[Action], created: _Created) -> Iterator[Action]:
    """Yield the update of a list of children without new ones, then with them, as one of these may have failed."""
    new = created.among((one.value for one in members if one.verb == "add"), _attribute(whole))
    if whole.dest is None or not 0 < len(new) < len(members):
        yield whole
        return
    value = type(whole.value)(one for one in whole.value if one not in new)
    yield attrs.evolve(whole, value=value)
    yield attrs.evolve(whole, old_value=value)


def _attribute(action: Action) -> tuple[str, Any, str]:
    return action.branch, action.idnumber, action.attr


def member_changes(actions: Iterable[Action]) -> dict[tuple[str, Any, str], list[Action]]:
    """Return the changes of members by branch, idnumber and attribute."""
    together: dict[tuple[str, Any, str], list[Action]] = {}
    for action in actions:
        if action.verb in ("add", "remove"):
            together.setdefault(_attribute(action), []).append(action)
    return together


def membership_update(branch_diff: BranchDiff, members: Sequence[Action], brought: Iterable[Any] = ()) -> Action:
    """Return the update of a membership that makes these changes of members, and no others.

    Args:
        branch_diff: The branch.
        members: The changes.
        brought: The members that an object has been created with.
    """
    first = members[0]
    source, dest = first.source, first.dest
    value = None if source is None else branch_diff.left.read(first.idnumber, source, first.attr)
    # A copy: the destination's own changes as its members are folded.
    old_value = None if dest is None else copy.copy(branch_diff.right.read(first.idnumber, dest, first.attr))
    if dest is None and value is not None:
        old_value = type(value)(brought)
    if source is None and old_value is not None:
        value = type(old_value)()
    new_members, members_before = list(value or ()), list(old_value or ())
    if len(members) < sum(map(len, membership_changes(value or members_before[:0], old_value or new_members[:0]))):
        kind: Any = type(value if old_value is None else old_value)
        value = kind(_changed(members_before, members))  # some of it is left out
    return Action("update", *_attribute(first), value, old_value, source, dest)


def _changed(members: list[Any], changes: Sequence[Action]) -> list[Any]:
    for action in changes:
        if action.verb == "add":
            members.append(action.value)
        else:
            members.remove(next(member for member in members if equal(member, action.value)))
    return members


def ordered(diff: Diff) -> Sequence[Action]:
    """Return the actions so that objects of a branch that refers to itself are created after those they refer to.

    Deletions go the other way round. A circle is broken where it closes. A streamed diff has no such branch, and keeps
    its order.
    """
    if diff.streamed:
        return Streamed(diff.__iter__, len(diff))
    own = {one.name: one for one in diff.branch_diffs if _own_references(one)}
    if not own or diff.arranged:
        return list(diff)
    actions: list[Action] = []
    for (verb, branch), group in groupby(diff, key=lambda action: (action.verb, action.branch)):
        members = list(group)
        if branch in own and verb in ("new", "old"):
            by_key = {action.idnumber: action for action in members}
            after = {action.idnumber: list(_referred(own[branch], diff.values(action))) for action in members}
            keys = topological_order(by_key, after, circles=True)
            members = [by_key[key] for key in (keys if verb == "new" else reversed(keys))]
        actions += members
    return actions


def _own_references(branch_diff: BranchDiff) -> set[str]:
    references = {**branch_diff.right.references, **branch_diff.left.references}
    return {attr for attr, branch in references.items() if branch == branch_diff.name}


def _referred(branch_diff: BranchDiff, values: dict[str, Any]) -> Iterator[Any]:
    for attr in sorted(_own_references(branch_diff)):
        yield from members_of(values.get(attr))
