"""What a store would do to other rows when a run deletes some: ON DELETE in a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from datastoresync.printing.text import counted
from datastoresync.syncers.changes import Table


@attrs.frozen
class SideEffect:
    """What becomes of the rows of one table, besides those that the run deletes itself.

    Args:
        table: The table.
        effect: ``deleted``, or what their references would be: ``set to NULL``, ``set to its default``.
        rows: How many rows.
        parent: The table of the rows that are deleted and that they refer to.
        total: How many rows the table has; None if that is not known.
        branch: The branch of the table; empty if it is outside of the tree.
        members: Whether they are memberships of objects of the branch.
    """

    table: str
    effect: str
    rows: int
    parent: str
    total: int | None = None
    branch: str = ""
    members: bool = False

    @classmethod
    def of(cls, cascade: Any, tables: Mapping[str, Table]) -> Self:
        """Return the side effect that a store foresees.

        Args:
            cascade: A `datastoresync.syncers.changes.Cascade`.
            tables: The tables of the branches, by branch.
        """
        branch, members = _owner(cascade.table, tables)
        total = getattr(cascade, "total", None)
        return cls(cascade.table, cascade.effect, cascade.rows, cascade.parent, total, branch, members)

    @property
    def deletes(self) -> bool:
        """Whether the rows would be deleted, rather than changed."""
        return self.effect == "deleted"

    @property
    def sentence(self) -> str:
        """What it is, in words."""
        rows = counted(self.rows, "row")
        if self.deletes:
            return f"{self.table}: {rows} would be deleted along with {self.parent}"
        return f"{self.table}: {rows} would have their references to {self.parent} {self.effect}"


def _owner(table: str, tables: Mapping[str, Table]) -> tuple[str, bool]:
    """Return the branch that has a table, and whether it has its memberships there; an empty name if none has."""
    for branch, own in tables.items():
        if _same(table, own.name):
            return branch, False
    for branch, own in tables.items():
        if any(_same(table, link.table) for link in own.links.values()):
            return branch, True
    return "", False


def _same(one: str, other: str) -> bool:
    """Say whether two names are of one table, of which one may lack the schema."""
    if ("." in one) != ("." in other):
        return one.rpartition(".")[2] == other.rpartition(".")[2]
    return one == other


def rows_by_branch(effects: Iterable[SideEffect]) -> dict[str, Counter[str]]:
    """Return by branch how many rows would be deleted, updated, or removed as memberships besides."""
    found: dict[str, Counter[str]] = {}
    for effect in effects:
        what = "removed" if effect.members else "deleted" if effect.deletes else "updated"
        if effect.branch:
            found.setdefault(effect.branch, Counter())[what] += effect.rows
    return found


def outside(effects: Iterable[SideEffect]) -> dict[str, tuple[int, int]]:
    """Return by table outside of the tree how many rows would be deleted or changed, and how many it has.

    These rows may be all that it has, if that is not known.
    """
    rows: Counter[str] = Counter()
    totals: dict[str, int] = {}
    for effect in effects:
        if not effect.branch:
            rows[effect.table] += effect.rows
            totals[effect.table] = rows[effect.table] if effect.total is None else effect.total
    return {table: (count, totals[table]) for table, count in rows.items()}
