"""Cuts changes into blocks of one kind and one table, so that each block takes a few statements.

Needs SQLAlchemy, and is only imported once an `SQLSyncer` opens its database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Change
from datastoresync.syncers.sql_schema import Catalogue, Target

__all__ = ["KEYS", "Keyed", "Unit", "blocks", "units"]

KEYS = 1_000
"""Keys a block: few enough for the parameters that a statement may have, in any database."""

_LINKS = ("link", "unlink")
_ORDER = ("update", "unlink", "link")


class Keyed:
    """A table, and the columns that the keys of its changes are in.

    Raises:
        SyncerError: A table or column is not there, or a link table has another number of owner columns.
    """

    def __init__(self, catalogue: Catalogue, change: Change) -> None:
        self.target = Target(catalogue, change.table)
        self.keys = tuple(self.target.column(attribute) for attribute in change.identifiers)
        self.match = self.target.stored.matcher(self.keys)
        for link in self.target.links.values():
            self.target.owner_columns(link, change.identifiers)


@attrs.define(eq=False)
class Unit:
    """Changes that stand or fall together: the updates of one object, or a single change of another kind.

    Args:
        keyed: Where it is.
        verb: The verb of them all.
        key: The key of the object, as the database compares it.
        changes: The changes with their positions in the batch.
        member: The attribute of a link and its member, as the database compares them; else nothing.
        attributes: Of an update, the attributes that nothing more may be merged for.
    """

    keyed: Keyed
    verb: str
    key: tuple[Any, ...]
    changes: list[tuple[int, Change]]
    member: tuple[Any, ...] = ()
    attributes: frozenset[str] = frozenset()

    @property
    def change(self) -> Change:
        """The change, or the first of them."""
        return self.changes[0][1]


def units(changes: Sequence[Change], catalogue: Catalogue) -> list[Unit]:
    """Put the updates of one object together, at the place of the first.

    Raises:
        SyncerError: A table, column or link table is not there; nothing was written yet.
    """
    places: dict[tuple[int, tuple[str, ...]], Keyed] = {}
    merging: dict[tuple[Keyed, tuple[Any, ...]], Unit] = {}
    found: list[Unit] = []
    for position, change in enumerate(changes):
        place = (id(change.table), change.identifiers)
        if place not in places:
            places[place] = Keyed(catalogue, change)
        keyed = places[place]
        keyed.target.check(change.values)
        keyed.target.check(change.expected)
        unit = Unit(keyed, change.verb, keyed.match(change.key), [(position, change)], _member(keyed, change))
        earlier = merging.get((keyed, unit.key))
        if change.verb == "update":
            unit.attributes = frozenset(change.values)
            if earlier is not None and earlier.attributes.isdisjoint(unit.attributes):
                earlier.changes.append((position, change))
                earlier.attributes |= unit.attributes
                continue
            merging[keyed, unit.key] = unit
        elif earlier is not None and change.verb in _LINKS:
            earlier.attributes |= frozenset(change.values)
        elif earlier is not None:
            del merging[keyed, unit.key]
        found.append(unit)
    return found


def blocks(found: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Yield units in blocks of one verb and table, no key twice in one, at most `KEYS` of them.

    Updates, links and unlinks that follow each other in one table are sorted by verb, as no two of them touch the
    same thing; otherwise changes that come object by object would make a block each.
    """
    run: list[Unit] = []
    claimed: set[tuple[Any, ...]] = set()
    for unit in found:
        claims, rivals = _claims(unit)
        if run and (not _alike(run[0], unit) or not claimed.isdisjoint(rivals)):
            yield from _sorted_by_verb(run)
            run, claimed = [], set()
        run.append(unit)
        claimed |= claims
    yield from _sorted_by_verb(run)


def _member(keyed: Keyed, change: Change) -> tuple[Any, ...]:
    if change.verb not in _LINKS:
        return ()
    attribute, member = next(iter(change.values.items()), ("", None))
    if len(change.values) != 1 or attribute not in keyed.target.links:
        message = (
            f"a {change.verb} in table {keyed.target.stored.name!r} names {', '.join(change.values) or 'nothing'}, "
            "which is not one attribute with a link table: declare it in Table(links=...)"
        )
        raise SyncerError(message)
    link = keyed.target.links[attribute]
    match = link.stored.matcher((*link.owners, link.member))
    return (attribute, *match((*keyed.match(change.key), member)))


def _claims(unit: Unit) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Return what a unit touches, and what no other unit of its run may have touched before."""
    if unit.verb in _LINKS:
        attribute = unit.member[0]
        member = ("member", unit.key, *unit.member)
        return {member, ("members", unit.key, attribute)}, {member, ("whole", unit.key, attribute)}
    row = ("row", unit.key)
    links = unit.keyed.target.links
    whole = [name for _, change in unit.changes for name in change.values if name in links] if links else []
    return (
        {row, *(("whole", unit.key, attribute) for attribute in whole)},
        {row, *(("members", unit.key, attribute) for attribute in whole)},
    )


def _alike(first: Unit, unit: Unit) -> bool:
    return first.keyed is unit.keyed and (first.verb == unit.verb or {first.verb, unit.verb} <= set(_ORDER))


def _sorted_by_verb(run: list[Unit]) -> Iterator[list[Unit]]:
    groups: dict[tuple[str, str], list[Unit]] = {}
    for unit in run:
        groups.setdefault((unit.verb, unit.member[0] if unit.member else ""), []).append(unit)
    for group in sorted(groups, key=lambda group: _ORDER.index(group[0]) if group[0] in _ORDER else 0):
        for start in range(0, len(groups[group]), KEYS):
            yield groups[group][start : start + KEYS]
