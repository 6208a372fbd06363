"""ThoughtSpot's users and groups as objects of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import attrs

from datastoresync.branch import Branch
from datastoresync.diffing.hierarchy import topological_order
from datastoresync.errors import CircularOrderError, DeclarationError
from datastoresync.object import Object
from datastoresync.syncers.thoughtspot.principals import KINDS, caseless, principal_of
from datastoresync.tree import Tree

Visibility = Literal["DEFAULT", "NON_SHARABLE"]


class _Secret(str):
    """A text with a masked repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _secret(value: str | None) -> _Secret | None:
    return _Secret(value) if value else None


class ThoughtSpotPrincipal(Object):
    """The common attributes of users and groups. ``groups`` are the names of the groups that it is in."""

    _identifiers = ("name",)
    _attributes: ClassVar[tuple[str, ...]] = ("description", "display_name", "groups", "visibility")
    _references = {"groups": "groups"}  # noqa: RUF012 - a setting of the class, which Object declares

    name: str
    display_name: str = ""
    description: str | None = None
    groups: set[str] = set()  # noqa: RUF012 - each object gets its own
    visibility: Visibility = "DEFAULT"


class ThoughtSpotUser(ThoughtSpotPrincipal):
    """A user. ``password`` is for new users, and never compared or shown."""

    _attributes = ("description", "display_name", "groups", "mail", "visibility")

    mail: str | None = None
    password: str | None = attrs.field(default=None, repr=False, converter=_secret)


class ThoughtSpotGroup(ThoughtSpotPrincipal):
    """A group of users, and of other groups. Its ``privileges`` are not compared; none at all say nothing of them."""

    privileges: set[str] = set()  # noqa: RUF012 - each object gets its own


class ThoughtSpotTree(Tree):
    """Users and groups of ThoughtSpot. Give the branches importers, or copy the declaration."""

    users = Branch(ThoughtSpotUser)
    groups = Branch(ThoughtSpotGroup)


_CLASSES: Mapping[str, type[Object]] = {"users": ThoughtSpotUser, "groups": ThoughtSpotGroup}


def objects_of(tree: Tree, name: str) -> list[Any]:
    """Return the users or the groups of any tree as objects of ThoughtSpot's, in the order of their names.

    Raises:
        DeclarationError: if the tree has no such branch, or ``name`` does not identify its objects.
        ImporterError: if an object has an unknown attribute, or a value of another type.
    """
    if name not in tree:
        message = f"{tree.name} has no branch {name!r}: ThoughtSpot takes a tree with branches users and groups"
        raise DeclarationError(message)
    branch = tree[name]
    if issubclass(branch.object_class, _CLASSES[name]):
        return list(branch.values())
    side = branch.side()
    if "name" in side.attributes:
        message = (
            f"{branch.full_name} has names beside its idnumbers, and ThoughtSpot knows users and groups by their names "
            f"alone: declare _identifiers = ('name',), or call them display_name"
        )
        raise DeclarationError(message)
    rows = [{"name": key, **side.values(key)} for key in side.objects]
    return list(Branch(_CLASSES[name], importer=rows).bound(name, tree).load().values())


def problems_of(users: list[Any], groups: list[Any], existing: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield a sentence for each inconsistency of users and groups.

    Args:
        users: The users.
        groups: The groups.
        existing: The names of further groups, which are in ThoughtSpot already.
    """
    known = {caseless(group.name) for group in groups} | set(map(caseless, existing))
    for kind, items in (("user", users), ("group", groups)):
        seen: dict[str, str] = {}
        for item in items:
            first = seen.setdefault(caseless(item.name), item.name)
            if first != item.name:
                yield f"{kind} {item.name!r} and {kind} {first!r} are one for ThoughtSpot, which is blind to case"
            for group in sorted({group for group in item.groups if caseless(group) not in known}):
                yield f"{kind} {item.name!r} is in group {group!r}, which does not exist"
    try:
        _parents_first(groups)
    except CircularOrderError as error:
        yield str(error)


def _parents_first(groups: list[Any]) -> list[Any]:
    by_name = {caseless(group.name): group for group in groups}
    after = {name: [caseless(parent) for parent in group.groups] for name, group in by_name.items()}
    return [by_name[name] for name in topological_order(by_name, after, what="groups")]


def principals_of(users: list[Any], groups: list[Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return users and groups as the user-sync call takes them, parent groups first."""
    return [principal_of(user, KINDS["users"]) for user in users], [
        principal_of(group, KINDS["groups"]) for group in _parents_first(groups)
    ]
