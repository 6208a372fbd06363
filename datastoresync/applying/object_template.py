"""The template that calls the methods of the destination's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import groupby
from typing import Any

import attrs

from datastoresync.applying.answers import fault_of
from datastoresync.applying.destination_lock import destination_lock
from datastoresync.applying.plan import (
    Plan,
    Step,
    is_asynchronous,
    member_changes,
    membership_update,
    ordered,
    split_followers,
)
from datastoresync.applying.report import Result, failed, succeeded
from datastoresync.applying.template import Template
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import Streamed
from datastoresync.diffing.diff import Diff


@attrs.frozen(eq=False)
class ObjectMethods:
    """The class of a branch's objects, whose methods carry out changes.

    Args:
        cls: The class.
        identifiers: The attributes that make up the idnumber.
        names: The names of methods that have another name there.
    """

    cls: Any
    identifiers: tuple[str, ...]
    names: Mapping[str, str] = attrs.field(factory=dict)

    def method(self, name: str, default: Any = None) -> Any:
        """Return what the class has for a method of this name."""
        return getattr(self.cls, self.names.get(name, name), default)

    def leaves_out(self, name: str) -> bool:
        """Say whether the class has None for a method of this name, and so leaves such changes out."""
        return self.method(name, self) is None


class ObjectTemplate(Template):
    """Applies a diff through the methods of the destination's objects, one call an object.

    - ``create(cls, tree, ids, attrs)``, a class method: creates the object in the system. It may return an object of
      the class, which the tree then holds; otherwise the tree creates one itself.
    - ``update(self, attrs)``: ``attrs`` has the attributes that change; of a membership, all its new members.
    - ``delete(self)``.
    - ``move(self, parent)``: the object goes below another parent, or below none.

    As with any template, ``async def`` methods are awaited, a method that returns has succeeded, one that raises has
    failed, and it may return `succeeded`, `failed` or `skipped`. What a class has no method for is
    unhandled; ``delete = None`` says that it is left out on purpose.

    Args:
        tree: The destination.
        classes: The classes of its branches.
    """

    def __init__(self, tree: Any, classes: Mapping[str, ObjectMethods]) -> None:
        super().__init__()
        self.tree = tree
        self.classes = classes

    changes_lists = False

    # Hooks for subclasses.

    def call_create(self, cls: Any, ids: dict[str, Any], attributes: dict[str, Any]) -> Any:
        """Create an object."""
        return cls.create(self.tree, ids, attributes)

    def call_update(self, item: Any, attributes: dict[str, Any]) -> Any:
        """Change an object."""
        return item.update(attributes)

    def call_delete(self, item: Any) -> Any:
        """Delete an object."""
        return item.delete()

    def call_move(self, item: Any, parent: Any) -> Any:
        """Move an object below another parent, or below none."""
        return item.move(parent)

    def outcome(self, verb: str, cls: Any, returned: Any) -> Result:
        """Return the result for the return value of a method."""
        if isinstance(returned, Result):
            return returned
        if verb == "create" and isinstance(returned, cls):
            return Result("succeeded", created=returned)
        fault = fault_of(returned)
        return failed(fault) if fault else succeeded()

    def exclusive_run(self, diff: Diff) -> AbstractContextManager[None]:
        """Keep other runs on this machine out of the destination."""
        return destination_lock(type(self.tree), diff, self.destination)

    def plan(self, diff: Diff) -> Plan:
        """Return one call an object, with all its changes; moves of children are calls of the child.

        Where parents list a child that is created or deleted, that goes along with it.
        """
        alone, following = split_followers(ordered(diff), diff)
        listed = {(action.branch, action.idnumber) for action in diff if action.verb in ("new", "old") and diff.nested}

        def steps() -> Iterator[Step]:
            unlisted: list[Step] = []
            for group in _groups(alone, diff):
                child = _moved_child(group[0], diff)
                if child is None or child not in listed:
                    yield from self._steps(group, diff)
                    continue
                follows = Step(group[0].method, None, tuple(group), follows=child)
                if group[0].verb == "add":
                    yield follows
                else:  # its child is deleted later
                    unlisted.append(follows)
            yield from following
            yield from unlisted

        return Plan(diff, Streamed(steps) if diff.streamed else tuple(steps()))

    def _steps(self, group: Sequence[Action], diff: Diff) -> Iterator[Step]:
        first = group[0]
        child = diff.hierarchies[0].child_branch(first.branch, first.attr)
        child = child or diff.hierarchies[1].child_branch(first.branch, first.attr)
        branch = child or first.branch
        verb = "move" if child else {"new": "create", "old": "delete"}.get(first.verb, "update")
        methods = self.classes[branch]
        call: Callable[[Any], Any] | None = None
        if callable(methods.method(verb)):
            how = self._awaited if is_asynchronous(methods.method(verb)) else self._called
            call = partial(how, verb, methods, partial(getattr(self, f"_{verb}"), diff, methods, branch))
        yield Step(f"{verb}_{branch}", call, tuple(group), batch=True, left_out=methods.leaves_out(verb))

    def _called(self, verb: str, methods: ObjectMethods, call: Callable[[Any], Any], actions: Any) -> Result:
        return self.outcome(verb, methods.cls, call(actions))

    async def _awaited(self, verb: str, methods: ObjectMethods, call: Callable[[Any], Any], actions: Any) -> Result:
        return self.outcome(verb, methods.cls, await call(actions))

    def _create(self, diff: Diff, methods: ObjectMethods, _: str, actions: Sequence[Action]) -> Any:
        key = actions[0].idnumber
        parts = key if len(methods.identifiers) > 1 else (key,)
        ids = dict(zip(methods.identifiers, parts, strict=True))
        return self.call_create(methods.cls, ids, diff.values(actions[0]))

    def _update(self, diff: Diff, _: ObjectMethods, branch: str, actions: Sequence[Action]) -> Any:
        changed = {action.attr: action.value for action in actions if action.verb == "update"}
        branch_diff = next(branch_diff for branch_diff in diff.branch_diffs if branch_diff.name == branch)
        for (*__, attr), members in member_changes(actions).items():
            changed[attr] = membership_update(branch_diff, members).value
        return self.call_update(actions[0].dest, changed)

    def _delete(self, _: Diff, __: ObjectMethods, ___: str, actions: Sequence[Action]) -> Any:
        return self.call_delete(actions[0].dest)

    def _move(self, diff: Diff, _: ObjectMethods, branch: str, actions: Sequence[Action]) -> Any:
        key = actions[0].value
        parent = diff.hierarchies[0].parent(branch, key)
        above = None if parent is None else self.tree[parent[0]][parent[1]]
        return self.call_move(self.tree[branch][key], above)


def _groups(actions: Sequence[Action], diff: Diff) -> Iterator[list[Action]]:
    """Yield the actions object by object; the two actions of a move together, in the place of the first."""
    moves: dict[tuple[str, Any], list[Action]] = {}
    for action in actions if diff.nested else ():
        moved = _moved_child(action, diff)
        if moved is not None:
            moves.setdefault(moved, []).append(action)

    def group_key(action: Action) -> tuple[Any, ...]:
        moved = _moved_child(action, diff)
        return ("moves", *moved) if moved else (action.verb in ("new", "old"), action.branch, action.idnumber)

    for key, group in groupby(actions, key=group_key):
        if key[0] != "moves":
            yield list(group)
        elif key[1:] in moves:
            yield moves.pop((key[1], key[2]))


def _moved_child(action: Action, diff: Diff) -> tuple[str, Any] | None:
    for hierarchy in diff.hierarchies:
        child = hierarchy.child_branch(action.branch, action.attr) if action.attr else None
        if child is not None:
            return child, action.value
    return None
