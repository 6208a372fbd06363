"""What a store is asked to do, in the store's own terms: tables, keys and values."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, overload

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


class Outcomes(Sequence[Outcome]):
    """Outcomes by the positions of their changes: four bytes each, as almost all of them are the same few.

    Equal to any sequence of the same outcomes. A slice is a list.

    Args:
        count: How many there are at first.
        outcome: What each of these is.

    >>> outcomes = Outcomes(2, Outcome("done"))
    >>> outcomes[1] = Outcome("conflict", "changed since the import: name")
    >>> [outcome.status for outcome in outcomes]
    ['done', 'conflict']
    """

    __slots__ = ("_codes", "_kinds", "_places")

    def __init__(self, count: int = 0, outcome: Outcome | None = None) -> None:
        self._kinds: list[Outcome] = []
        self._places: dict[Outcome, int] = {}
        self._codes = array("I")
        if outcome is not None:
            self.extend(count, outcome)

    def extend(self, count: int, outcome: Outcome) -> None:
        """Add an outcome so many times."""
        self._codes.extend(array("I", [self._code(outcome)]) * count)

    def __setitem__(self, position: int, outcome: Outcome) -> None:
        self._codes[position] = self._code(outcome)

    def _code(self, outcome: Outcome) -> int:
        code = self._places.setdefault(outcome, len(self._kinds))
        if code == len(self._kinds):
            self._kinds.append(outcome)
        return code

    def __len__(self) -> int:
        return len(self._codes)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> list[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | list[Outcome]:
        if isinstance(index, slice):
            return [self._kinds[code] for code in self._codes[index]]
        return self._kinds[self._codes[index]]

    def __iter__(self) -> Iterator[Outcome]:
        return map(self._kinds.__getitem__, self._codes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        counts = {outcome: self._codes.count(code) for code, outcome in enumerate(self._kinds)}
        shown = ", ".join(f"{count:,} × {outcome!r}" for outcome, count in counts.items() if count)
        return f"<Outcomes: {shown or 'none'}>"


class Same(Protocol):
    """Says whether a raw value from the store is what was expected, by the one definition of equality.

    It may also have ``same_column(change, attribute, raws, expected)``, which says at once whether all the raw values
    of an attribute are what was expected of it, in the table of this change.
    """

    def __call__(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        """Return whether ``raw`` is what was ``expected`` of an attribute."""
        ...


class AppliesChanges(Protocol):
    """A syncer that can change single records, all of them in one transaction."""

    def apply_changes(self, changes: Sequence[Change], *, same: Same) -> Sequence[Outcome]:
        """Carry out all changes, in their order, and return an outcome for each.

        There may be too many for the memory: whoever goes through them once, from the first to the last, has one at a
        time. Any other use of them makes a list.

        Raises:
            KeyboardInterrupt: Everything was undone; or else, if the exception has ``outcomes``, these are what became
                of the changes.
        """
        ...
