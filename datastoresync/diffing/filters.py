"""Filters of actions: by verb, branch, attribute, idnumber, or a predicate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from datastoresync.diffing.action import VERBS, Action
from datastoresync.errors import FilterError
from datastoresync.spelling import nearest

Predicate = Callable[[Action], bool]

Filter = str | Predicate | Mapping[str, Any] | Iterable[Any] | None
"""What `only` and `exclude` take.

A verb (``"old"``), a branch (``"users"``), an attribute of any branch (``".name"``) or of one (``"users.name"``), a
mapping whose entries must all hold (``{"verb": "old", "branch": ["users", "groups"]}``), a function of an action, or
several of these, of which one must hold.
"""

_NAMES = ("verb", "branch", "attr", "idnumber")


def predicate(terms: Filter, *, branches: Collection[str], attributes: Mapping[str, Collection[str]]) -> Predicate:
    """Return a predicate that says whether an action matches any of the terms.

    Args:
        terms: See `Filter`.
        branches: The names of the branches.
        attributes: The names of the synced attributes, by branch.

    Raises:
        FilterError: if a term names an unknown verb, branch or attribute: a typo must not let everything through.
    """
    every = sorted({name for names in attributes.values() for name in names})
    if terms is None:
        return lambda _: False
    if callable(terms):
        return terms
    if isinstance(terms, str):
        if terms in VERBS:
            return lambda action: action.verb == terms
        branch, dot, attribute = terms.partition(".")
        if branch:
            if not dot and branch in every and branch not in branches:
                raise FilterError(f"no branch or verb {branch!r}: the attribute is {'.' + branch!r}")
            _check_name(branch, branches if dot else [*branches, *VERBS], "branch" if dot else "branch or verb")
        if not dot:
            return lambda action: action.branch == branch
        _check_name(attribute, attributes[branch] if branch else every, "attribute")
        return lambda action: action.attr == attribute and branch in {"", action.branch}
    if isinstance(terms, Mapping):
        tests = []
        for name, accepted in terms.items():
            _check_name(name, _NAMES, "filter")
            values = (
                set(accepted)
                if isinstance(accepted, Iterable) and not isinstance(accepted, (str, bytes, tuple))
                else {accepted}
            )
            names = {"verb": VERBS, "branch": branches, "attr": every}.get(name)
            for value in values if names is not None else ():
                _check_name(value, names, name)
            tests.append((name, values))
        return lambda action: all(getattr(action, name) in values for name, values in tests)
    if isinstance(terms, Iterable):
        predicates = [predicate(term, branches=branches, attributes=attributes) for term in terms]
        return lambda action: any(matches(action) for matches in predicates)
    message = f"a filter is a name, a mapping, a function or several of them (got {terms!r})"
    raise FilterError(message)


def attributes_of(terms: Filter) -> set[tuple[str, str]]:
    """Return the attributes of which terms match every action, as branch and name; of an empty branch, those of all."""
    if isinstance(terms, str):
        branch, dot, attribute = terms.partition(".")
        return {(branch, attribute)} if dot else set()
    if isinstance(terms, Mapping):
        branches, names = (
            [found] if isinstance(found := terms.get(name, default), str) else list(found)
            for name, default in (("branch", ""), ("attr", ()))
        )
        return set() if {*terms} - {"branch", "attr"} else {(branch, name) for branch in branches for name in names}
    if terms is None or callable(terms):
        return set()
    return {found for term in terms for found in attributes_of(term)}


def hides(hidden: Collection[tuple[str, str]], branch: str, attribute: str) -> bool:
    """Say whether an attribute is among those that `attributes_of` returns."""
    return (branch, attribute) in hidden or ("", attribute) in hidden


def _check_name(name: str, names: Collection[str] | None, what: str) -> None:
    names = list(names or ())
    if name not in names:
        message = f"no {what} {name!r}: {nearest(name, names)}"
        raise FilterError(message)
