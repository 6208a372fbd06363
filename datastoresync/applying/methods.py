"""The methods of a template by their names: those that may take an action, and those that were meant to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from datastoresync.diffing.action import VERBS
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.side import Side
from datastoresync.errors import DeclarationError
from datastoresync.spelling import distance, fault_of_call, member_problems, misspelt, nearest, takes

Kind = tuple[str, str, str]
"""A verb, a branch and an attribute, which is empty for creations and deletions."""

_PREPOSITIONS = {"add": "to", "remove": "from"}
_MISTAKEN = ("to", "from", "in", "into", "of", "for", "on")
_SYNONYMS = {"new": ("create", "insert", "add"), "old": ("delete", "remove")}


def method_names(verb: str, branch: str, attr: str) -> list[str]:
    """Return the names of the methods that may take an action of a kind, the most specific first."""
    if verb in _SYNONYMS:
        return [f"{verb}_{branch}", verb]
    updates = [f"update_{branch}_{attr}", f"update_{attr}", f"update_{branch}", "update"]
    if verb == "update":
        return updates
    return [f"{verb}_{attr}_{_PREPOSITIONS[verb]}_{branch}", f"{verb}_{attr}", *updates]


def method_of(template: Any, names: Iterable[str]) -> tuple[str, Callable[[Any], Any] | None] | None:
    """Return the first of these methods that a template has, or leaves out, which is one that cannot be called."""
    for name in names:
        if callable(call := getattr(template, name, None)):
            return name, call
        if name in template.leaves_out:
            return name, None
    return None


def without_left_out(diff: Diff, template: Any) -> Diff:
    """Return the diff without the actions that a template, or its class, leaves out: they change nothing."""
    if not isinstance(names := getattr(template, "leaves_out", ()), (list, tuple, set, frozenset)) or not names:
        return diff
    kinds = {kind: method_of(template, method_names(*kind)) for kind in dict.fromkeys(_kinds(diff))}
    left_out = {kind for kind, found in kinds.items() if found and found[1] is None}
    return diff.exclude(lambda one: (one.verb, one.branch, one.attr) in left_out) if left_out else diff


def check_methods(template: Any, diff: Diff) -> None:
    """Refuse methods of a template that are nearly named after an action of a diff, or that cannot take one.

    All that is compared counts, whether or not it differs. A method is a helper if its name is not nearly that of one
    which would be called, if it cannot be called with one argument, or if the name begins with an underscore.

    Raises:
        DeclarationError: with a sentence for each of them.
    """
    wanted: dict[str, str] = {}
    known: set[str] = set()
    found: dict[str, Callable[[Any], Any] | None] = {}
    for kind in dict.fromkeys(_kinds(diff)):
        names = method_names(*kind)
        known.update(names)
        name, call = method_of(template, names) or ("", None)
        free = names[: names.index(name)] if name else names
        wanted |= _mistaken(kind, free) | dict.fromkeys(free, "")
        if name:
            found[name] = call
    owner = type(template).__name__
    problems = [f"{owner}.{name} {fault}" for name, call in found.items() if call and (fault := fault_of_call(call, 1))]
    problems += _unknown_left_out(template, diff, known)
    related: set[str] | None = None
    for name in dir(template):
        if name.startswith("_") or name in known or not _begins_like_a_verb(name):
            continue
        meant = name if wanted.get(name) else misspelt(name, wanted)
        if not meant or not _takes_an_action(template, name):
            continue
        related = _related_names(diff) if related is None else related
        if name not in related:
            problems.append(f"no action calls {owner}.{name}: did you mean {wanted[meant] or meant!r}?")
    if problems:
        message = "; ".join(problems) + " (a helper is one with an underscore before its name)" * bool(related)
        raise DeclarationError(message)


def _kinds(diff: Diff) -> Iterator[Kind]:
    for one in diff.branch_diffs:
        for side in one.both:
            yield from _kinds_of(one.name, (*side.attributes, *side.child_fields), side)


def _kinds_of(branch: str, attributes: Iterable[str], side: Side | None = None) -> Iterator[Kind]:
    yield from (("new", branch, ""), ("old", branch, ""))
    for name in attributes:
        yield "update", branch, name
        if side is None or name in side.flexible or not side.declares_document(name):
            yield from (("add", branch, name), ("remove", branch, name))


def _mistaken(kind: Kind, free: Sequence[str]) -> dict[str, str]:
    """Return names that may be mistaken for one that an action of this kind calls, each with that one.

    Args:
        kind: The kind.
        free: The names that it would call, if there were such methods.
    """
    verb, branch, attr = kind
    if verb in _SYNONYMS:  # where `new` calls helpers for each branch, they may be called so
        return {f"{name}_{branch}": f"{verb}_{branch}" for name in _SYNONYMS[verb] if verb in free}
    if not free:
        return {}
    right = free[0]
    between = [f"{verb}_{attr}_{word}_{branch}" for word in _MISTAKEN]
    orders = [f"{verb}_{attr}_{branch}", f"{verb}_{branch}_{attr}"]
    return {name: right for name in (*between, *orders) if name != right}


def _begins_like_a_verb(name: str) -> bool:
    first = name.split("_", maxsplit=1)[0].casefold()
    verbs = (*VERBS, *(name for names in _SYNONYMS.values() for name in names))
    return any(first.startswith(verb) or distance(first, verb) == 1 for verb in verbs)


def _related_names(diff: Diff) -> set[str]:
    """Return the names of methods for the other branches of the two trees, if only some of them are compared."""
    trees = [side.tree_attributes() for one in diff.branch_diffs for side in one.both]
    kinds = {kind for tree in trees for branch, names in tree.items() for kind in _kinds_of(branch, names)}
    return {name for kind in kinds for name in method_names(*kind)}


def _takes_an_action(template: Any, name: str) -> bool:
    if isinstance(inspect.getattr_static(template, name, None), property):
        return False
    call = getattr(template, name, None)
    return callable(call) and not isinstance(call, type) and takes(call, 1)


def _unknown_left_out(template: Any, diff: Diff, known: set[str]) -> Iterator[str]:
    """Yield a sentence for each name in ``leaves_out`` that is no method's, or that of a method which is there."""
    owner, named = type(template).__name__, template.leaves_out
    if isinstance(named, str):
        yield f"{owner}.leaves_out must be a tuple of names: ({named!r},)"
        return
    unseen = any(side.sparse and not side.objects for one in diff.branch_diffs for side in one.both)
    for name in named:
        if callable(getattr(template, name, None)):
            yield f"{owner} leaves out {name}, and has it: take it out of leaves_out, or the method away"
        elif name not in known and diff.branch_diffs:
            names = known | _related_names(diff)
            if name in _PREPOSITIONS:
                yield f"{owner}.leaves_out names {name!r}, which no action calls: 'update' leaves out members as well"
            elif name not in names and (misspelt(name, names) or not unseen):
                yield f"{owner}.leaves_out names {name!r}, which no action calls: {nearest(name, sorted(known))}"


def check_object_methods(classes: Mapping[str, type], base: type) -> None:
    """Refuse classes of objects with a method that is nearly one of those that carry out changes, or cannot be called.

    Args:
        classes: The classes by branch.
        base: Their base.

    Raises:
        DeclarationError: with a sentence for each of them.
    """
    hooks = {"create": 3, "update": 1, "delete": 0, "move": 1}
    problems: list[str] = []
    for cls in classes.values():
        problems += member_problems(cls, base, hooks, {}, awaited=True)
        if inspect.isfunction(inspect.getattr_static(cls, "create", None)):
            problems.append(f"{cls.__name__}.create is called before there is an object: write @classmethod above it")
    if problems:
        raise DeclarationError("; ".join(dict.fromkeys(problems)))
