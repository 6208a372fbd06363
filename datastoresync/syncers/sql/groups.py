"""Units put together in groups that can be written at once, in an order in which none is in the way of another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from datastoresync.syncers.sql.statements import LINKS, Unit

_ORDER = ("update", "unlink", "link")


def groups(found: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Yield units in groups of one verb and table, no key twice in one.

    Updates, links and unlinks that follow each other in one table are sorted by verb, as no two of them touch the
    same thing; otherwise changes that come object by object would make a group each.
    """
    run: list[Unit] = []
    claimed: set[tuple[Any, ...]] = set()
    for unit in found:
        if unit.keyed.target.links:
            claims, rivals = _claims(unit)
            if run and (not _joins(run[0], unit) or not claimed.isdisjoint(rivals)):
                yield from _sorted_by_verb(run)
                run, claimed = [], set()
            claimed |= claims
        else:
            if run and (unit.key in claimed or not _joins(run[0], unit)):
                yield from _sorted_by_verb(run)
                run, claimed = [], set()
            claimed.add(unit.key)
        run.append(unit)
    yield from _sorted_by_verb(run)


def _claims(unit: Unit) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Return what a unit touches, and what no other unit of its run may have touched before."""
    if unit.verb in LINKS:
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


def _joins(first: Unit, unit: Unit) -> bool:
    return first.keyed is unit.keyed and (first.verb == unit.verb or (first.verb in _ORDER and unit.verb in _ORDER))


def _sorted_by_verb(run: list[Unit]) -> Iterator[list[Unit]]:
    found: dict[tuple[str, str], list[Unit]] = {}
    for unit in run:
        found.setdefault((unit.verb, unit.member[0] if unit.member else ""), []).append(unit)
    for attribute in [attribute for verb, attribute in found if verb == "unlink" and ("link", attribute) in found]:
        coming: dict[Any, list[tuple[Any, ...]]] = {}
        for unit in found["link", attribute]:
            coming.setdefault(unit.key, []).append(unit.member[1:])
        for unit in found["unlink", attribute]:
            unit.rivals = coming.get(unit.key, ())
    for kind in sorted(found, key=lambda kind: _ORDER.index(kind[0]) if kind[0] in _ORDER else 0):
        yield found[kind]
