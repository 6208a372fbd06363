"""The parents of objects, the order between branches, and the scope of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.diffing.equality import is_membership
from datastoresync.diffing.side import Side
from datastoresync.errors import CircularOrderError, DeclarationError, HierarchyError


def topological_order(
    names: Iterable[Any], after: Mapping[Any, Iterable[Any]], *, circles: bool = False, what: str = ""
) -> list[Any]:
    """Return the names so that each follows those it is ``after``, and otherwise in the given order.

    Args:
        names: The names to order; others in ``after`` are ignored.
        after: For each name, those that must come before it.
        circles: Whether a circle is broken where it closes, rather than refused.
        what: A noun for the names, for the error.

    Raises:
        CircularOrderError: if names wait for each other, unless ``circles`` is true.

    >>> topological_order(["groups", "users"], {"groups": ["users"]})
    ['users', 'groups']
    """
    ordered = list(names)
    positions = {name: position for position, name in enumerate(ordered)}

    def before(name: Any) -> Iterator[Any]:
        # In the given order, since `after` may be a set, whose order changes from run to run.
        return iter(sorted({other for other in after.get(name, ()) if other in positions}, key=positions.__getitem__))

    done: dict[Any, None] = {}
    for first in ordered:
        # Depth first without recursion, since a chain of references may be as long as a branch.
        path: dict[Any, Any] = {}
        if first in done:
            continue
        path[first] = before(first)
        while path:
            name = next(reversed(path))
            missing = next((other for other in path[name] if other not in done), None)
            if missing is None:
                del path[name]
                done[name] = None
            elif missing not in path:
                path[missing] = before(missing)
            elif not circles:
                circle = [*list(path)[list(path).index(missing) :], missing]
                drawn = " → ".join(map(str, circle))
                message = f"{what or 'these'} wait for each other: {drawn} (each is after the next); break the circle"
                raise CircularOrderError(message, circle=[str(name) for name in circle])
    return list(done)


ObjectKey = tuple[str, Any]
"""A branch and an idnumber."""


class Hierarchy:
    """The parents of the objects of one tree, as the ``_children`` of their classes declare them.

    ``parents`` maps branch and idnumber to the branch and idnumber of the parent, for objects that have one.

    Args:
        sides: The sides of one tree by branch. Children in other branches are ignored.

    Raises:
        HierarchyError: if an object has several parents, is below itself, or lists a child that does not exist.
    """

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self.sides = sides
        self.parents: dict[str, dict[Any, ObjectKey]] = {}
        self._held: dict[ObjectKey, str] = {}  # parent's branch and field: branch of the children that the field lists
        self._depths: dict[ObjectKey, int] = {}
        for name, side in sides.items():
            for child, field in side.children.items():
                if child in sides:
                    parents = self.parents.setdefault(child, {})
                    if child in side.held_children:
                        self._held[name, field] = child
                        self._from_parents(side, sides[child], field, parents)
                    else:
                        self._from_children(side, sides[child], field, parents)
        self.recursive = self._recursive()
        self._check_circles()

    def __bool__(self) -> bool:
        return bool(self.parents)

    def _from_parents(self, side: Side, children: Side, field: str, parents: dict[Any, ObjectKey]) -> None:
        objects = children.objects
        # Not the keys of a sorted mapping, whose look-up is slow.
        existing = dict.keys(objects) if isinstance(objects, dict) else objects.keys()
        earlier, count = dict(parents), len(parents)
        for key, item in side.objects.items():
            members = side.read(key, item, field)
            if not members:
                continue
            if not is_membership(members):
                message = (
                    f"{side.name}[{key!r}].{field} must be a set or a list of idnumbers of {children.branch} "
                    f"(got {members!r})"
                )
                raise HierarchyError(message, parents=[(side.branch, key)])
            try:
                parents.update(dict.fromkeys(members, (side.branch, key)))
            except TypeError as error:
                message = f"{side.name}[{key!r}].{field} holds something that can be no idnumber: {error}"
                raise HierarchyError(message, parents=[(side.branch, key)]) from error
            count += len(members)
        if len(parents) < count or not parents.keys() <= existing:  # a child is listed twice, or does not exist
            parents.clear()
            parents.update(earlier)
            self._from_parents_one_by_one(side, children, field, parents)

    def _from_parents_one_by_one(self, side: Side, children: Side, field: str, parents: dict[Any, ObjectKey]) -> None:
        for key, item in side.objects.items():
            parent = (side.branch, key)
            for member in side.read(key, item, field) or ():
                if member not in children.objects:
                    message = (
                        f"{side.name}[{key!r}].{field} names {member!r}, which is not in {children.name}: "
                        "add it there, or take it out here"
                    )
                    raise HierarchyError(message, parents=[parent])
                if parents.setdefault(member, parent) != parent:
                    self._refuse_several(children, member, parents[member], parent)

    def _from_children(self, side: Side, children: Side, field: str, parents: dict[Any, ObjectKey]) -> None:
        items = children.objects.values()
        if side.objects and items and not any(hasattr(item, field) for item in items):
            message = (
                f"{side.name} has children in {children.branch!r} by {field!r}, which neither {side.owner} nor "
                f"{children.owner} has: name the field that holds children there, or names the parent here"
            )
            raise HierarchyError(message)
        for key, item in children.objects.items():
            value = children.read(key, item, field)
            try:
                if value is None or value not in side.objects:
                    continue  # no parent; the safeguards report dangling references
            except TypeError as error:
                message = f"{children.name}[{key!r}].{field} must be the idnumber of a parent (got {value!r})"
                raise HierarchyError(message) from error
            parent = (side.branch, value)
            if parents.setdefault(key, parent) != parent:
                self._refuse_several(children, key, parents[key], parent)

    def _refuse_several(self, children: Side, key: Any, first: ObjectKey, second: ObjectKey) -> None:
        named = " and ".join(f"{branch} {idnumber!r}" for branch, idnumber in (first, second))
        message = f"{children.name}[{key!r}] has several parents, {named}: a child has one, so take it out of the other"
        raise HierarchyError(message, parents=[first, second])

    def _recursive(self) -> frozenset[str]:
        """Return the branches whose objects may be below objects of the same branch."""
        below = {name: {child for child in side.children if child in self.sides} for name, side in self.sides.items()}
        found = set()
        for name, children in below.items():
            seen: set[str] = set()
            waiting = list(children)
            while waiting:
                current = waiting.pop()
                if current not in seen:
                    seen.add(current)
                    waiting += below[current]
            if name in seen:
                found.add(name)
        return frozenset(found)

    def _check_circles(self) -> None:
        object_keys = [(branch, key) for branch in sorted(self.recursive) for key in self.parents.get(branch, ())]
        after = {object_key: [self.parents[object_key[0]][object_key[1]]] for object_key in object_keys}
        try:
            topological_order(object_keys, after)
        except CircularOrderError as error:
            message = f"objects are below themselves: {error}"
            raise HierarchyError(message) from error

    def parent(self, branch: str, key: Any) -> ObjectKey | None:
        """Return the branch and idnumber of an object's parent, or None."""
        return self.parents.get(branch, {}).get(key)

    def ancestors(self, branch: str, key: Any) -> Iterator[ObjectKey]:
        """Yield the parent, its parent, and so on."""
        parent = self.parent(branch, key)
        while parent is not None:
            yield parent
            parent = self.parent(*parent)

    def depth(self, branch: str, key: Any) -> int:
        """Return the number of ancestors."""
        path = [(branch, key)]
        while path[-1] not in self._depths:
            parent = self.parent(*path[-1])
            if parent is None:
                self._depths[path[-1]] = 0
                break
            path.append(parent)
        depth = self._depths[path[-1]]
        for steps, object_key in enumerate(reversed(path)):
            self._depths[object_key] = depth + steps
        return self._depths[branch, key]

    def holder(self, branch: str, key: Any) -> tuple[str, Any, str] | None:
        """Return the parent of an object, and the field that lists it there; None if no parent lists it."""
        parent = self.parent(branch, key)
        if parent is None:
            return None
        side = self.sides[parent[0]]
        return (*parent, side.children[branch]) if branch in side.held_children else None

    def references(self, branch: str) -> dict[str, str]:
        """Return the fields of a branch that name a parent, each with the parent's branch."""
        above = ((side, side.children[branch]) for side in self.sides.values() if branch in side.children)
        return {field: side.branch for side, field in above if branch not in side.held_children}

    def child_branch(self, branch: str, field: str) -> str | None:
        """Return the branch of the children that a field of a branch lists; None for any other field."""
        return self._held.get((branch, field))

    def covers_all(self, top_level: Iterable[str]) -> bool:
        """Say whether every object is in one of these branches or below one: all others have a parent."""
        tops = frozenset(top_level)
        others = (side for name, side in self.sides.items() if name not in tops)
        return all(len(self.parents.get(side.branch, ())) == len(side.objects) for side in others)

    def scope_of(self, top_level: Iterable[str]) -> dict[str, set[Any] | None]:
        """Return by branch the idnumbers of the objects in or below these branches; None for a whole branch."""
        found: dict[str, set[Any] | None] = dict.fromkeys(top_level)
        answers: dict[ObjectKey, bool] = {}

        def in_scope(object_key: ObjectKey) -> bool:
            path = []
            answer: bool | None = None
            current: ObjectKey | None = object_key
            while answer is None:
                if current is None:
                    answer = False
                elif current[0] in found:
                    answer = True
                elif current in answers:
                    answer = answers[current]
                else:
                    path.append(current)
                    current = self.parent(*current)
            answers.update(dict.fromkeys(path, answer))
            return answer

        rest = {
            name: {key for key in self.parents.get(name, ()) if in_scope((name, key))}
            for name in self.sides
            if name not in found
        }
        return {**found, **rest}


Pair = tuple[Side, Side]


def scope_of(
    pairs: Sequence[Pair], hierarchies: tuple[Hierarchy, Hierarchy], tops: tuple[Sequence[str] | None, ...]
) -> list[Pair]:
    """Return each side without the objects that are neither at its top level nor, in its own hierarchy, below it.

    So what a parent of the source has let go of is deleted in the destination, though the source still keeps it.

    Args:
        pairs: The source's and the destination's side of each branch.
        hierarchies: The hierarchies of the source and the destination.
        tops: The top-level branches of the source and of the destination; None for those of the other, or for all.

    Raises:
        DeclarationError: if a top-level branch does not exist.
    """
    if tops[0] is None and tops[1] is None:
        return list(pairs)
    if None not in tops and set(tops[0] or ()) != set(tops[1] or ()):
        message = f"the two trees have different top_level, {tops[0]!r} and {tops[1]!r}: give both the same"
        raise DeclarationError(message)
    tops = tuple(tops[1 - which] if top is None else top for which, top in enumerate(tops))
    found = []
    for which, top in enumerate(tops):
        names = [pair[which].branch for pair in pairs]
        if isinstance(top, str) or not set(names).issuperset(top or ()):
            message = f"top_level must be a tuple of names of branches, of which there are {', '.join(names) or 'none'}"
            raise DeclarationError(f"{pairs[0][which].tree}.{message} (got {top!r})" if pairs else message)
    if all(top is None or hierarchy.covers_all(top) for hierarchy, top in zip(hierarchies, tops, strict=True)):
        return list(pairs)
    for which, top in enumerate(tops):
        names = [pair[which].branch for pair in pairs]
        found.append(hierarchies[which].scope_of(names if top is None else top))
    return [(_narrowed(left, found[0][left.branch]), _narrowed(right, found[1][right.branch])) for left, right in pairs]


def _narrowed(side: Side, keys: set[Any] | None) -> Side:
    if keys is None or keys.issuperset(side.objects):
        return side
    return attrs.evolve(side, objects={key: item for key, item in side.objects.items() if key in keys})
