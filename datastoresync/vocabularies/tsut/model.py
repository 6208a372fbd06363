"""The users and groups of tsut, a native tree under the old names; names are compared without case."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from datastoresync.branch import Branch
from datastoresync.errors import DeclarationError, DuplicateError, ImporterError
from datastoresync.object import Object
from datastoresync.syncers.thoughtspot.principals import FIELDS, caseless, record_of
from datastoresync.tree import Tree
from datastoresync.vocabularies.tsut.principal import Group, User, Visibility, compact_json, item_of
from datastoresync.vocabularies.tsut.tree import problems_of

__all__ = ["Group", "User", "UsersAndGroups", "UsersAndGroupsTree", "Validity", "Visibility"]

T = TypeVar("T", bound=Object)


class CaselessBranch(Branch[T]):
    """A branch whose names are found in any case."""

    _index: tuple[Any, dict[str, str]] | None = None  # the contents, and their names by lower case

    def _spelling_index(self) -> dict[str, str]:
        if self._index is None or self._index[0] is not self.contents:
            self._index = (self.contents, {caseless(name): name for name in self})
        return self._index[1]

    def spelling(self, name: str) -> str | None:
        """Return the name as it is spelled here, or None."""
        return name if name in self else self._spelling_index().get(caseless(name))

    def add(self, item: T) -> None:
        """Add an object."""
        spellings = self._spelling_index()
        self.contents.put(item.name, item)
        spellings[caseless(item.name)] = item.name

    def remove(self, idnumber: Any) -> T:
        """Remove an object and return it."""
        removed = super().remove(idnumber)
        if self._spelling_index().pop(caseless(idnumber), None) != idnumber:  # two names that differ in case only
            self._index = None
        return removed

    def new(self, idnumber: Any = None, **attributes: Any) -> T:
        """Make an object and add it."""
        self._index = None
        return super().new(idnumber, **attributes)

    def fold(self, *arguments: Any) -> None:
        """Apply an action to the objects in memory."""
        self._index = None
        super().fold(*arguments)

    def add_or_resolve(self, item: T, duplicate: int | str) -> None:
        """Add an object, or resolve a duplicate of its name as asked for.

        Raises:
            DuplicateError: if an error is asked for.
            DeclarationError: if ``duplicate`` is unknown.
        """
        names = list(ON_DUPLICATE)
        if duplicate not in (*names, *range(len(names))) or isinstance(duplicate, bool):
            message = f"duplicate is one of {', '.join(names)} of UsersAndGroups (got {duplicate!r})"
            raise DeclarationError(message)
        if self.spelling(item.name) is None:
            self.add(item)
        else:
            ON_DUPLICATE[names[duplicate] if isinstance(duplicate, int) else duplicate](self, item)

    def check_new(self, item: T) -> None:
        """Refuse an object whose name exists already.

        Raises:
            DuplicateError: naming both.
        """
        if self.spelling(item.name) is not None:
            _refuse(self, item)


def _refuse(branch: CaselessBranch[Any], item: Any) -> None:
    kind, existing = type(item).__name__.lower(), branch.spelling(item.name)
    message = f"duplicate {kind} {item.name!r}: {existing!r} exists already; pass duplicate=… to resolve it"
    raise DuplicateError(message, idnumber=item.name)


def _overwrite(branch: CaselessBranch[Any], item: Any) -> None:
    branch.remove(branch.spelling(item.name))
    branch.add(item)


def _update(branch: CaselessBranch[Any], item: Any) -> None:
    """Give the existing object the values of the new one, and the groups of both."""
    existing = branch[branch.spelling(item.name)]
    blank = type(item)(item.name)
    for field in FIELDS.values():
        value = getattr(item, field, None)
        if field not in ("name", "groups") and value != getattr(blank, field, None):
            setattr(existing, field, value)
    for group in item.groups:
        existing.add_group(group)


def _ignore(branch: CaselessBranch[Any], item: Any) -> None:
    """Keep the existing object unchanged."""


ON_DUPLICATE: Mapping[str, Callable[[CaselessBranch[Any], Any], None]] = MappingProxyType(
    {
        "RAISE_ERROR_ON_DUPLICATE": _refuse,
        "OVERWRITE_ON_DUPLICATE": _overwrite,
        "UPDATE_ON_DUPLICATE": _update,
        "IGNORE_ON_DUPLICATE": _ignore,
    }
)
"""The resolutions of duplicates, in the order of their numbers."""


class UsersAndGroupsTree(Tree):
    """The native tree of users and groups."""

    users = CaselessBranch(User)
    groups = CaselessBranch(Group)


class Validity(NamedTuple):
    """Whether users and groups are consistent; its truth is its ``result``.

    Args:
        result: Whether they are.
        issues: A sentence for each problem.
    """

    result: bool
    issues: list[str]

    def __bool__(self) -> bool:
        return self.result


class UsersAndGroups:
    """Users and groups by name, in the order of their names; ``Bob`` and ``bob`` are one.

    They are in a native tree, ``tree``, so that ``everyone.tree >> another`` works as well.

    >>> everyone = UsersAndGroups()
    >>> everyone.add_user(User("Bob", group_names=["staff"]))
    >>> everyone.has_user("BOB"), everyone.is_valid().issues
    (True, ["user 'Bob' is in group 'staff', which does not exist"])
    """

    DO_NOT_ADD = RAISE_ERROR_ON_DUPLICATE = 0
    OVERWRITE_ON_DUPLICATE = 1
    UPDATE_ON_DUPLICATE = 2
    IGNORE_ON_DUPLICATE = 3

    def __init__(self) -> None:
        self.tree = UsersAndGroupsTree()

    def add_user(self, user: User, duplicate: int | str = RAISE_ERROR_ON_DUPLICATE) -> None:
        """Add a user.

        Args:
            user: The user.
            duplicate: The resolution if the name exists: an error, replacement by the new one (overwrite), the
                values of the new one and the groups of both (update), or none (ignore).

        Raises:
            DuplicateError: if the name exists, and no other resolution is asked for.
        """
        self.tree.users.add_or_resolve(_checked(user, User), duplicate)

    def add_group(self, group: Group, duplicate: int | str = RAISE_ERROR_ON_DUPLICATE) -> None:
        """Add a group; see `add_user`."""
        self.tree.groups.add_or_resolve(_checked(group, Group), duplicate)

    def has_user(self, name: str) -> bool:
        """Say whether there is a user of that name."""
        return self.tree.users.spelling(name) is not None

    def has_group(self, name: str) -> bool:
        """Say whether there is a group of that name."""
        return self.tree.groups.spelling(name) is not None

    def get_user(self, name: str) -> User | None:
        """Return the user of that name, or None."""
        return self.tree.users.get(self.tree.users.spelling(name))

    def get_group(self, name: str) -> Group | None:
        """Return the group of that name, or None."""
        return self.tree.groups.get(self.tree.groups.spelling(name))

    def get_users(self) -> list[User]:
        """Return all users."""
        return list(self.tree.users.values())

    def get_groups(self) -> list[Group]:
        """Return all groups."""
        return list(self.tree.groups.values())

    @property
    def users(self) -> CaselessBranch[User]:
        """The users by name."""
        return self.tree.users

    @property
    def groups(self) -> CaselessBranch[Group]:
        """The groups by name."""
        return self.tree.groups

    def get_all_users_in_group(self, group_name: str) -> list[User]:
        """Return the users that are in a group themselves, in the order of their names."""
        wanted = caseless(group_name)
        return [user for user in self.get_users() if wanted in map(caseless, user.groups)]

    def remove_user(self, name: str) -> User | None:
        """Remove a user and return it; None if there is none of that name."""
        spelling = self.tree.users.spelling(name)
        return None if spelling is None else self.tree.users.remove(spelling)

    def remove_group(self, name: str) -> Group | None:
        """Remove a group and return it; its members stay, and still name it. None if there is none of that name."""
        spelling = self.tree.groups.spelling(name)
        return None if spelling is None else self.tree.groups.remove(spelling)

    def number_users(self) -> int:
        """Return the number of users."""
        return len(self.tree.users)

    def number_groups(self) -> int:
        """Return the number of groups."""
        return len(self.tree.groups)

    def is_valid(self) -> Validity:
        """Say whether all groups of users and groups exist, and none contains itself."""
        issues = list(problems_of(self.get_users(), self.get_groups()))
        return Validity(not issues, issues)

    def to_json(self) -> str:
        """Return all as JSON, users first, with passwords."""
        return compact_json(self.records())

    def load_from_json(self, json_str: str) -> None:
        """Add users and groups from JSON, in the format of `to_json` and of ThoughtSpot's own exports.

        Raises:
            ImporterError: if it is not such JSON, or a record is refused; nothing is added then.
        """
        try:
            records = json.loads(json_str)
        except ValueError as error:
            message = f"this is not JSON: {error}"
            raise ImporterError(message) from None
        self.add_records(records)

    @classmethod
    def from_json(cls, json_str: str) -> UsersAndGroups:
        """Return users and groups from JSON; see `load_from_json`."""
        made = cls()
        made.load_from_json(json_str)
        return made

    def records(self) -> list[dict[str, Any]]:
        """Return all as records of ThoughtSpot's own JSON, users first."""
        return [record_of(item, item.principalTypeEnum) for item in (*self.get_users(), *self.get_groups())]

    def add_records(self, records: Any) -> None:
        """Add records of ThoughtSpot's own JSON; all of them, or none if one is refused.

        Raises:
            ImporterError: naming the refused record, with the reason.
        """
        if not isinstance(records, list):
            message = f"a list of users and groups is needed (got {type(records).__name__})"
            raise ImporterError(message)
        added = UsersAndGroups()
        branches: Any = {
            User: (self.tree.users, added.tree.users),
            Group: (self.tree.groups, added.tree.groups),
        }
        for number, record in enumerate(records, 1):
            try:
                item = item_of(record)
                present, new = branches[type(item)]
                present.check_new(item)
                new.add_or_resolve(item, self.RAISE_ERROR_ON_DUPLICATE)
            except ImporterError as error:
                error.where = f"principal {number}"
                raise
        for present, new in branches.values():
            for item in new.values():
                present.add(item)


def _checked(item: Any, cls: type) -> Any:
    if not isinstance(item, cls):
        message = f"a {cls.__name__} is needed (got {type(item).__name__})"
        raise DeclarationError(message)
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not name.strip():
        message = f"a {cls.__name__} needs a name (got {name!r}): write {cls.__name__}(name=…)"
        raise DeclarationError(message)
    return item
