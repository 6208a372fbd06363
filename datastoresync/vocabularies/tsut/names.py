"""Names in whatever case they are written, and what is done with one that is there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from datastoresync.app.thoughtspot_tree import caseless
from datastoresync.branch import Branch
from datastoresync.errors import DeclarationError, DuplicateError
from datastoresync.object import Object
from datastoresync.vocabularies.tsut.principal import FIELDS

__all__ = ["ON_DUPLICATE", "Names"]

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
