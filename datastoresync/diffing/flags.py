"""Flags, which leave objects alone: in one run, of one class, or single ones."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import attrs

from datastoresync.diffing.action import Action
from datastoresync.diffing.equality import is_membership
from datastoresync.diffing.hierarchy import Hierarchy, ObjectKey
from datastoresync.diffing.side import Side
from datastoresync.errors import DeclarationError


def _flag(_: object, attribute: Any, value: Any) -> None:
    if value not in (True, False, None) or isinstance(value, (int, float)) != isinstance(value, bool):
        message = f"{attribute.name} is True, False, or None to leave it to the class or the run (got {value!r})"
        raise DeclarationError(message)


@attrs.frozen(kw_only=True)
class Flags:
    """What a sync leaves alone. Give it to a run, or as ``_flags`` to a class or an object; the most specific wins.

    Each flag is True, False, or None: an object leaves it to its class, and a class to the run. ``ignore``,
    ``never_create`` and ``never_delete`` of an object hold for all objects below it.

    Args:
        ignore: Nothing of it is compared, and no membership of it or reference to it is changed; a deleted object still
            takes its own along.
        never_create: It is not created where it is missing.
        never_update: It stays as it is where it differs.
        never_delete: It stays where the source has none.
        leave_children: When it is deleted, its children are not deleted one by one, since they go with it.

    >>> Flags(never_delete=True).over(Flags(never_delete=False, ignore=True))
    Flags(ignore=True, never_delete=True)
    """

    ignore: bool | None = attrs.field(default=None, validator=_flag)
    never_create: bool | None = attrs.field(default=None, validator=_flag)
    never_update: bool | None = attrs.field(default=None, validator=_flag)
    never_delete: bool | None = attrs.field(default=None, validator=_flag)
    leave_children: bool | None = attrs.field(default=None, validator=_flag)

    def over(self, further: Flags | None) -> Flags:
        """Return these flags, with those of the class or the run where these are None."""
        if further is None:
            return self
        pairs = ((getattr(self, name), getattr(further, name)) for name in _NAMES)
        return Flags(
            **{name: default if value is None else value for name, (value, default) in zip(_NAMES, pairs, strict=True)}
        )

    def __repr__(self) -> str:
        flags = [f"{name}={getattr(self, name)}" for name in _NAMES if getattr(self, name) is not None]
        return f"Flags({', '.join(flags)})"


_NAMES = ("ignore", "never_create", "never_update", "never_delete", "leave_children")


class Exclusion:
    """The actions that flags leave out of one comparison, and those on references to what the import left out.

    Args:
        sides: The source's and the destination's sides, by branch.
        hierarchies: The hierarchies of the source and the destination.
        run: The flags of the run.
    """

    def __init__(
        self,
        sides: tuple[dict[str, Side], dict[str, Side]],
        hierarchies: tuple[Hierarchy, Hierarchy],
        run: Flags | None = None,
    ) -> None:
        if run is not None and not isinstance(run, Flags):
            message = f"flags are given as Flags(never_delete=True) and the like (got {run!r})"
            raise DeclarationError(message)
        self.sides = sides
        self.hierarchies = hierarchies
        self.run = run or Flags()
        self.counts: Counter[str] = Counter()
        self.flagged = run is not None or any(one.flagged for both in sides for one in both.values())
        referred = {target for both in sides for one in both.values() for target in one.references.values()}
        self.active = self.flagged or any(one.filtered for name, one in sides[1].items() if name in referred)
        self._out: dict[ObjectKey, bool] = {}
        self._ignored: dict[ObjectKey, bool] = {}
        self._streamed_out: set[tuple[str, str, Any, str, str]] = set()

    def flags(self, which: int, branch: str, key: Any) -> Flags:
        """Return the flags of one object; ``which`` is 0 for the source and 1 for the destination."""
        item = self.sides[which][branch].objects[key]
        flags = self.run
        for specific in self.sides[which][branch].flags_of(item):
            if isinstance(specific, Flags):
                flags = specific.over(flags)
            elif specific is not None and not hasattr(type(specific), "__get__"):
                message = f"_flags of {self.sides[which][branch].name}[{key!r}] must be Flags(…) (got {specific!r})"
                raise DeclarationError(message)
        return flags

    def covers(self, branch: str, key: Any) -> bool:
        """Say whether an object is left alone as a whole, by its own flags or those of an ancestor on either side."""
        return self.flagged and self._reaches((branch, key), self._out, self._is_out)

    def _ignores(self, branch: str, key: Any) -> bool:
        """Say whether an object is ignored, or an ancestor of it on either side."""
        return self.flagged and self._reaches((branch, key), self._ignored, self._is_ignored)

    def _reaches(self, first: ObjectKey, known: dict[ObjectKey, bool], condition: Callable[[str, Any], bool]) -> bool:
        """Say whether a condition holds for an object or an ancestor of it; ``known`` are earlier answers."""
        seen: set[ObjectKey] = set()
        waiting = [first]
        while waiting:
            object_key = waiting.pop()
            if object_key in seen or known.get(object_key) is False:
                continue
            seen.add(object_key)
            if known.get(object_key) or condition(*object_key):
                known[first] = True
                return True
            parents = (hierarchy.parent(*object_key) for hierarchy in self.hierarchies)
            waiting += (parent for parent in parents if parent is not None)
        known.update(dict.fromkeys(seen, False))
        return False

    def _own_flags(self, branch: str, key: Any) -> list[Flags]:
        return [
            self.flags(which, branch, key)
            for which, sides in enumerate(self.sides)
            if branch in sides and key in sides[branch].objects
        ]

    def _is_ignored(self, branch: str, key: Any) -> bool:
        return any(one.ignore for one in self._own_flags(branch, key))

    def _is_out(self, branch: str, key: Any) -> bool:
        """Say whether an object is left alone by its own flags."""
        exists = [branch in sides and key in sides[branch].objects for sides in self.sides]
        flags = self._own_flags(branch, key)
        if any(one.ignore for one in flags):
            return True
        return exists != [True, True] and any(one.never_create if exists[0] else one.never_delete for one in flags)

    def keeps(self, action: Action) -> bool:
        """Say whether an action stands; count it by its verb if not."""
        kept = not self.active or not self._excluded(action)
        if not kept:
            self.counts[action.verb] += 1
        return kept

    def keeps_streamed(self, action: Action) -> bool:
        """Say whether an action stands; count it if not, but only on the first of several passes."""
        if not self._excluded(action):
            return True
        member = repr(action.value) if action.verb in ("add", "remove") else ""
        left_out = (action.verb, action.branch, action.idnumber, action.attr, member)
        if left_out not in self._streamed_out:
            self._streamed_out.add(left_out)
            self.counts[action.verb] += 1
        return False

    def _excluded(self, action: Action) -> bool:
        branch, key = action.branch, action.idnumber
        child = self.hierarchies[0].child_branch(branch, action.attr)
        if child is not None:  # the two actions of a move stand or fall together, others with the child
            covered = any(self.covers(*object_key) for object_key in self._concerned(child, action.value))
            moved = all(action.value in sides[child].objects for sides in self.sides)
            return covered or (moved and self._settled(child, action.value))
        if self.covers(branch, key):
            return True
        if action.verb in ("new", "old"):
            return False
        return self._settled(branch, key) or self._touches_ignored(action)

    def _touches_ignored(self, action: Action) -> bool:
        """Say whether an action changes a membership of an object that is ignored, or a reference to one."""
        target = self._target(action.branch, action.attr)
        if not target:
            return False
        composite = any(target in sides and len(sides[target].identifiers) > 1 for sides in self.sides)
        former = list(_named(action.value if action.verb == "remove" else action.old_value, composite=composite))
        return any(self._unknown(target, one) for one in former) or any(
            self._ignores(target, one) for one in (*former, *_named(action.value, composite=composite))
        )

    def _target(self, branch: str, attribute: str) -> str:
        """Return the branch that an attribute refers to; empty if there is none, or neither side knows it."""
        targets = (sides[branch].references.get(attribute, "") for sides in self.sides if branch in sides)
        return next((name for name in targets if any(name in sides for sides in self.sides)), "")

    def _unknown(self, branch: str, key: Any) -> bool:
        """Say whether the store may hold an object that the destination's import has left out."""
        side = self.sides[1].get(branch)
        return side is not None and side.filtered and key not in side.objects

    def without_ignored(self, left: Side, new: Iterable[Any]) -> Side:
        """Return the source's side, whose new objects have no memberships of what is ignored."""
        references = [name for name in left.attributes if self._target(left.branch, name)] if self.flagged else ()
        overrides: dict[Any, dict[str, Any]] = {}
        reduced: dict[Any, Any] = {}
        for key in new if references else ():
            for name in references:
                members = left.read(key, left.objects[key], name)
                if is_membership(members):
                    out = {
                        one
                        for one in _named(members, composite=False)
                        if self._ignores(self._target(left.branch, name), one)
                    }
                    kept = [one for one in members if one not in out] if out else members
                    if len(kept) < len(members):
                        overrides.setdefault(key, dict(left.overrides.get(key, {})))[name] = type(members)(kept)
                        made = reduced.setdefault(key, copy.copy(left.objects[key]))
                        with suppress(AttributeError):  # of a property, whose value is in the overrides alone
                            object.__setattr__(made, name, type(members)(kept))
        if not overrides:
            return left
        return attrs.evolve(left, overrides={**left.overrides, **overrides}, reduced=reduced)

    def _concerned(self, branch: str, key: Any) -> list[tuple[str, Any]]:
        parents = (hierarchy.parent(branch, key) for hierarchy in self.hierarchies)
        return [(branch, key), *(parent for parent in parents if parent is not None)]

    def _settled(self, branch: str, key: Any) -> bool:
        """Say whether an object is never updated, by its flags on either side."""
        return any(
            bool(self.flags(which, branch, key).never_update)
            for which in (0, 1)
            if self.flagged and key in self.sides[which][branch].objects
        )

    def leaves_children(self, branch: str, key: Any) -> bool:
        """Say whether the children of an object of the destination go with it when it is deleted."""
        return self.flagged and bool(self.flags(1, branch, key).leave_children)


def _named(value: Any, *, composite: bool) -> Iterator[Any]:
    """Yield what a value refers to: itself, or what it holds. A composite idnumber is a tuple that holds no tuples."""
    several = is_membership(value) or (
        isinstance(value, tuple) and not (composite and not any(isinstance(part, tuple) for part in value))
    )
    for one in value if several else (value,):
        with suppress(TypeError):  # what has no hash is no idnumber
            hash(one)
            if one is not None:
                yield one
