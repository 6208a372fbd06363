"""Changes to a store, in its own terms: tables, keys and values."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, overload

import attrs


@attrs.frozen
class Link:
    """A membership attribute that a store keeps in a table of its own, a row a member.

    Args:
        table: The name of the table, with its schema if it has one: ``"public.group_members"``.
        owner: The column with the idnumber of the owner; several columns for a composite one.
        member: The column with the member.
    """

    table: str
    owner: str | tuple[str, ...]
    member: str

    @property
    def owners(self) -> tuple[str, ...]:
        """The columns of the owner, always as a tuple."""
        return (self.owner,) if isinstance(self.owner, str) else tuple(self.owner)


@attrs.frozen
class Table:
    """The table in which a store keeps the objects of a branch.

    Args:
        name: The name of the table, with its schema if it has one: ``"public.users"``.
        columns: The columns of attributes that have another name there: ``{"idnumber": "icao"}``.
        links: The link tables of memberships, by attribute.
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
        table: The table of the record.
        identifiers: The attributes of the key.
        key: Their values, in that order; always a tuple.
        values: The new values by attribute: all for ``insert``, the changed ones for ``update``,
            ``{attribute: member}`` for ``link`` and ``unlink``, none for ``delete``.
        expected: The values at the import, by attribute: the old values for ``update``, all synced ones for
            ``delete``. A value that differs now was changed by another writer.
    """

    verb: Literal["insert", "update", "delete", "link", "unlink"]
    table: Table
    identifiers: tuple[str, ...]
    key: tuple[Any, ...]
    values: Mapping[str, Any] = attrs.field(factory=dict)
    expected: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Outcome:
    """The outcome of a change: ``done``, or ``conflict`` or ``failed`` for a reason.

    ``failed`` is the change that the store refused; the whole transaction is then rolled back, and every other change
    is ``undone``.
    """

    status: Literal["done", "conflict", "failed", "undone"]
    reason: str = ""


class Outcomes(Sequence[Outcome]):
    """Outcomes by the positions of their changes, four bytes each, as almost all of them are the same few.

    Equal to any sequence of the same outcomes. A slice is a list.

    Args:
        count: The number of outcomes at first.
        outcome: Each of these.

    >>> outcomes = Outcomes(2, Outcome("done"))
    >>> outcomes[1] = Outcome("conflict", "changed since the import: name")
    >>> [outcome.status for outcome in outcomes]
    ['done', 'conflict']
    """

    __slots__ = ("_codes", "_kinds", "_known_codes")

    def __init__(self, count: int = 0, outcome: Outcome | None = None) -> None:
        self._kinds: list[Outcome] = []
        self._known_codes: dict[Outcome, int] = {}
        self._codes = array("I")
        if outcome is not None:
            self.extend(count, outcome)

    def extend(self, count: int, outcome: Outcome) -> None:
        """Append an outcome ``count`` times."""
        self._codes.extend(array("I", [self._code(outcome)]) * count)

    def __setitem__(self, position: int, outcome: Outcome) -> None:
        self._codes[position] = self._code(outcome)

    def _code(self, outcome: Outcome) -> int:
        code = self._known_codes.setdefault(outcome, len(self._kinds))
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
        return len(self) == len(other) and all(left == right for left, right in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        counts = {outcome: self._codes.count(code) for code, outcome in enumerate(self._kinds)}
        text = ", ".join(f"{count:,} × {outcome!r}" for outcome, count in counts.items() if count)
        return f"<Outcomes: {text or 'none'}>"


class Same(Protocol):
    """Compares a raw value of the store with an expected one, by the one definition of equality.

    It may also have ``same_column(change, attribute, raws, expected)``, which compares all raw values of an attribute
    with the expected ones at once, in the table of this change.
    """

    def __call__(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        """Return whether the ``raw`` value of an attribute equals the ``expected`` one."""
        ...


class AppliesChanges(Protocol):
    """A syncer that changes single records, all of them in one transaction."""

    def apply_changes(self, changes: Sequence[Change], *, same: Same) -> Sequence[Outcome]:
        """Apply all changes, in their order, and return an outcome for each.

        There may be too many for the memory: a single iteration, from the first to the last, has one at a time. Any
        other use of them makes a list.

        Raises:
            KeyboardInterrupt: Everything was undone, unless the exception has ``outcomes``: then these are those of
                the changes.
        """
        ...
