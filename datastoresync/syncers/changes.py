"""What a store is asked to do, in the store's own terms: tables, keys and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import attrs


@attrs.frozen
class Link:
    """A membership attribute that a store keeps in a table of its own, a row a member.

    Args:
        table: The table's name, with its schema if it has one: ``"public.group_members"``.
        owner: The column that holds the owner's idnumber; several for a composite one.
        member: The column that holds the member.
    """

    table: str
    owner: str | tuple[str, ...]
    member: str

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner's columns, always as a tuple."""
        return (self.owner,) if isinstance(self.owner, str) else tuple(self.owner)


@attrs.frozen
class Table:
    """Where a store keeps the objects of a branch.

    Args:
        name: The table's name, with its schema if it has one: ``"public.users"``.
        columns: For attributes whose column has another name: ``{"idnumber": "icao"}``.
        links: For memberships that have a table of their own.
    """

    name: str
    columns: Mapping[str, str] = attrs.field(factory=dict)
    links: Mapping[str, Link] = attrs.field(factory=dict)

    def column(self, attribute: str) -> str:
        """Return the column that holds an attribute."""
        return self.columns.get(attribute, attribute)


@attrs.frozen(eq=False)
class Change:
    """One change to one record.

    Args:
        verb: ``insert``, ``update`` and ``delete`` are of the record; ``link`` and ``unlink`` of one member.
        table: Where the record is.
        identifiers: The attributes that the key is made of.
        key: Their values, in that order; always a tuple.
        values: What is to be there, by attribute: all for ``insert``, what changes for ``update``,
            ``{attribute: member}`` for ``link`` and ``unlink``, nothing for ``delete``.
        expected: What was there at the import, by attribute: the old values for ``update``, all that
            are synced for ``delete``. Whatever differs from it now was changed by somebody else.
    """

    verb: Literal["insert", "update", "delete", "link", "unlink"]
    table: Table
    identifiers: tuple[str, ...]
    key: tuple[Any, ...]
    values: Mapping[str, Any] = attrs.field(factory=dict)
    expected: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Outcome:
    """What became of a change: ``done``, or a ``conflict`` or ``failed`` for the reason given.

    ``failed`` is the change that made the store give up; the whole transaction is then rolled back and every other
    change comes back as ``undone``.
    """

    status: Literal["done", "conflict", "failed", "undone"]
    reason: str = ""


class Same(Protocol):
    """Says whether a raw value from the store is what was expected, by the one definition of equality."""

    def __call__(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        """Return whether ``raw`` is what was ``expected`` of an attribute."""
        ...


class AppliesChanges(Protocol):
    """A syncer that can change single records, all of them in one transaction."""

    def apply_changes(self, changes: Sequence[Change], *, same: Same) -> list[Outcome]:
        """Carry out all changes, in their order, and return an outcome for each."""
        ...
