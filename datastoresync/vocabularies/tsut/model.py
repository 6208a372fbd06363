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
from datastoresync.vocabularies.tsut.principal import Group, User, item_of
from datastoresync.vocabularies.tsut.tree import problems_of

T = TypeVar("T", bound=Object)


class Names(Branch[T]):
    """A branch that finds a name in whatever case it is written."""

    _found: tuple[Any, dict[str, str]] | None = None  # the contents that it is of, and each name by its lower case

    def _spellings(self) -> dict[str, str]:
        if self._found is None or self._found[0] is not self.contents:
            self._found = (self.contents, {caseless(name): name for name in self})
        return self._found[1]

    def spelled(self, name: str) -> str | None:
        """Return the name as it is written here, or None if it is not."""
        return name if name in self else self._spellings().get(caseless(name))

    def add(self, item: T) -> None:
        """Put an object in."""
        spellings = self._spellings()
        self.contents.put(item.name, item)
        spellings[caseless(item.name)] = item.name

    def remove(self, idnumber: Any) -> T:
        """Take an object out and return it."""
        removed = super().remove(idnumber)
        if self._spellings().pop(caseless(idnumber), None) != idnumber:  # somebody else put in two that look alike
            self._found = None
        return removed

    def new(self, idnumber: Any = None, **attributes: Any) -> T:
        """Make an object and put it in."""
        self._found = None
        return super().new(idnumber, **attributes)

    def fold(self, *arguments: Any) -> None:
        """Note an action that was carried out."""
        self._found = None
        super().fold(*arguments)

    def settle(self, item: T, duplicate: str) -> None:
        """Put an object in, or do what is asked for if its name is there already.

        Raises:
            DuplicateError: if an error is asked for.
            DeclarationError: if nothing is asked for that can be done.
        """
        if duplicate not in ON_DUPLICATE:
            message = f"duplicate is one of {', '.join(ON_DUPLICATE)} (got {duplicate!r})"
            raise DeclarationError(message)
        if self.spelled(item.name) is None:
            self.add(item)
        else:
            ON_DUPLICATE[duplicate](self, item)

    def check_new(self, item: T) -> None:
        """Refuse an object whose name is there already.

        Raises:
            DuplicateError: naming both.
        """
        if self.spelled(item.name) is not None:
            _refuse(self, item)


def _refuse(branch: Names[Any], item: Any) -> None:
    kind, there = type(item).__name__.lower(), branch.spelled(item.name)
    message = f"duplicate {kind} {item.name!r}: {there!r} is there already; say duplicate=… if that is meant"
    raise DuplicateError(message, idnumber=item.name)


def _overwrite(branch: Names[Any], item: Any) -> None:
    branch.remove(branch.spelled(item.name))
    branch.add(item)


def _update(branch: Names[Any], item: Any) -> None:
    """Let the object that is there say what the new one says, and be in the groups of both."""
    there = branch[branch.spelled(item.name)]
    blank = type(item)(item.name)
    for field in FIELDS.values():
        value = getattr(item, field, None)
        if field not in ("name", "groups") and value != getattr(blank, field, None):
            setattr(there, field, value)
    for group in item.groups:
        there.add_group(group)


def _ignore(branch: Names[Any], item: Any) -> None:
    """Leave the object that is there as it is."""


ON_DUPLICATE: Mapping[str, Callable[[Names[Any], Any], None]] = MappingProxyType(
    {
        "RAISE_ERROR_ON_DUPLICATE": _refuse,
        "OVERWRITE_ON_DUPLICATE": _overwrite,
        "UPDATE_ON_DUPLICATE": _update,
        "IGNORE_ON_DUPLICATE": _ignore,
    }
)
"""What is done with an object whose name is there already."""


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
        return [record_of(item, item.principalTypeEnum) for item in (*self.get_users(), *self.get_groups())]

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
                item = item_of(record)
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
