"""The users and groups of tsut: a native tree, under the old names."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from datastoresync.app.thoughtspot_tree import problems_of
from datastoresync.errors import DeclarationError, ImporterError
from datastoresync.tree import Tree
from datastoresync.vocabularies.tsut.names import Names
from datastoresync.vocabularies.tsut.principal import Group, User, principal_of, record_of

__all__ = ["UsersAndGroups", "UsersAndGroupsTree", "Validity"]


class UsersAndGroupsTree(Tree):
    """The tree that stands behind users and groups."""

    users = Names(User)
    groups = Names(Group)


class Validity(NamedTuple):
    """Whether users and groups fit together; it is as true as its ``result``.

    Args:
        result: Whether they do.
        issues: A sentence for each reason why not.
    """

    result: bool
    issues: list[str]

    def __bool__(self) -> bool:
        return self.result


class UsersAndGroups:
    """Users and groups by name, in the order of their names; ``Bob`` and ``bob`` are one.

    They stand in a native tree, ``tree``, so that ``everyone.tree >> another`` and all the rest works as well.

    >>> everyone = UsersAndGroups()
    >>> everyone.add_user(User("Bob", group_names=["staff"]))
    >>> everyone.has_user("BOB"), everyone.is_valid().issues
    (True, ["user 'Bob' is in group 'staff', which does not exist"])
    """

    RAISE_ERROR_ON_DUPLICATE = "RAISE_ERROR_ON_DUPLICATE"
    OVERWRITE_ON_DUPLICATE = "OVERWRITE_ON_DUPLICATE"
    UPDATE_ON_DUPLICATE = "UPDATE_ON_DUPLICATE"
    IGNORE_ON_DUPLICATE = "IGNORE_ON_DUPLICATE"

    def __init__(self) -> None:
        self.tree = UsersAndGroupsTree()

    def add_user(self, user: User, duplicate: str = RAISE_ERROR_ON_DUPLICATE) -> None:
        """Add a user.

        Args:
            user: The user.
            duplicate: What happens if the name is there already: an error, the new one instead (overwrite), the old
                one with what the new one says and the groups of both (update), or nothing (ignore).

        Raises:
            DuplicateError: if the name is there already, and nothing else was asked for.
        """
        self.tree.users.settle(_checked(user, User), duplicate)

    def add_group(self, group: Group, duplicate: str = RAISE_ERROR_ON_DUPLICATE) -> None:
        """Add a group; see `add_user`."""
        self.tree.groups.settle(_checked(group, Group), duplicate)

    def has_user(self, name: str) -> bool:
        """Say whether there is a user of that name."""
        return self.tree.users.spelled(name) is not None

    def has_group(self, name: str) -> bool:
        """Say whether there is a group of that name."""
        return self.tree.groups.spelled(name) is not None

    def get_user(self, name: str) -> User | None:
        """Return the user of that name, or None."""
        return self.tree.users.get(self.tree.users.spelled(name))

    def get_group(self, name: str) -> Group | None:
        """Return the group of that name, or None."""
        return self.tree.groups.get(self.tree.groups.spelled(name))

    def get_users(self) -> list[User]:
        """Return all users."""
        return list(self.tree.users.values())

    def get_groups(self) -> list[Group]:
        """Return all groups."""
        return list(self.tree.groups.values())

    def remove_user(self, name: str) -> None:
        """Take a user out.

        Raises:
            KeyError: if there is none of that name.
        """
        self.tree.users.remove(self.tree.users.spelled(name) or name)

    def remove_group(self, name: str) -> None:
        """Take a group out; those that are in it stay, and still name it.

        Raises:
            KeyError: if there is none of that name.
        """
        self.tree.groups.remove(self.tree.groups.spelled(name) or name)

    def number_users(self) -> int:
        """Return how many users there are."""
        return len(self.tree.users)

    def number_groups(self) -> int:
        """Return how many groups there are."""
        return len(self.tree.groups)

    def is_valid(self) -> Validity:
        """Say whether all groups that somebody is in exist, and none is in itself."""
        issues = list(problems_of(self.get_users(), self.get_groups()))
        return Validity(not issues, issues)

    def to_json(self) -> str:
        """Return them all as JSON, users first; passwords too, so that nothing is lost."""
        return json.dumps(self.records(), ensure_ascii=False, indent=2)

    def load_from_json(self, json_str: str) -> None:
        """Add all that JSON holds, in the format of `to_json` and of ThoughtSpot's own exports.

        Raises:
            ImporterError: if it is no such JSON, or what it holds is refused; nothing is added then.
        """
        try:
            records = json.loads(json_str)
        except ValueError as error:
            message = f"this is no JSON: {error}"
            raise ImporterError(message) from None
        self.add_records(records)

    @classmethod
    def from_json(cls, json_str: str) -> UsersAndGroups:
        """Return the users and groups that JSON holds; see `load_from_json`."""
        made = cls()
        made.load_from_json(json_str)
        return made

    def records(self) -> list[dict[str, Any]]:
        """Return them all as records of ThoughtSpot's own JSON, users first."""
        return [record_of(item) for item in (*self.get_users(), *self.get_groups())]

    def add_records(self, records: Any) -> None:
        """Add records of ThoughtSpot's own JSON; all of them, or none if one is refused.

        Raises:
            ImporterError: saying which is refused, and why.
        """
        if not isinstance(records, list):
            message = f"a list of users and groups is wanted (got {type(records).__name__})"
            raise ImporterError(message)
        added = UsersAndGroups()
        places: Any = {
            User: (self.tree.users, added.tree.users),
            Group: (self.tree.groups, added.tree.groups),
        }
        for number, record in enumerate(records, 1):
            try:
                item = principal_of(record)
                here, there = places[type(item)]
                here.check_new(item)
                there.settle(item, self.RAISE_ERROR_ON_DUPLICATE)
            except ImporterError as error:
                error.where = f"principal {number}"
                raise
        for here, there in places.values():
            for item in there.values():
                here.add(item)


def _checked(item: Any, cls: type) -> Any:
    if not isinstance(item, cls):
        message = f"a {cls.__name__} is wanted (got {type(item).__name__})"
        raise DeclarationError(message)
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not name.strip():
        message = f"a {cls.__name__} needs a name (got {name!r}): write {cls.__name__}(name=…)"
        raise DeclarationError(message)
    return item
