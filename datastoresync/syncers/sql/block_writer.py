"""Blocks of changes written to a table: each compared with what its row holds now, written, and its effects read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import attrs

from datastoresync.syncers.changes import Change, Outcome, Same, WriteOptions
from datastoresync.syncers.sql.catalog import StoredLink, StoredTable
from datastoresync.syncers.sql.statements import Key, KeyedTable, Row, Statements, Unit

DONE = Outcome("done")
_GONE = Outcome("conflict", "no longer there: it was deleted since the import")
_SEVERAL = Outcome("conflict", "its key stands in more than one row, so none of them was touched")


@attrs.frozen(eq=False)
class _Current:
    """The rows of a block, as they are now.

    Args:
        rows: The rows by key.
        members: The members of the link tables that were asked for: by attribute and key.
        parked: The values in whose place this run has put others for the time being, by key.
    """

    rows: Mapping[Key, list[Row]]
    members: Mapping[str, Mapping[Key, Mapping[Key, Any]]]
    parked: Mapping[Key, Row]

    def value(self, key: Key, attribute: str) -> Any:
        """Return the raw value of an attribute of the one row of a key."""
        if attribute in self.members:
            return set(self.members[attribute].get(key, {}).values())
        return self.rows[key][0][attribute]

    def value_before(self, key: Key, attribute: str) -> Any:
        """Return the raw value that it had before this run."""
        parked = self.parked.get(key, {})
        return parked[attribute] if attribute in parked else self.value(key, attribute)


@attrs.frozen(eq=False)
class BlockWriter:
    """Writes blocks of units of one verb and one table, those without a conflict.

    Args:
        statements: The statements, with their transaction.
        same: Compares raw values with expected ones.
        options: How the changes are applied.
        parked: The values in whose place this run has put others for the time being, by table and key.
    """

    statements: Statements
    same: Same
    options: WriteOptions
    parked: dict[StoredTable, dict[Key, Row]] = attrs.field(init=False, factory=dict)

    def write(self, block: Sequence[Unit]) -> list[Outcome]:
        """Write a block; return an outcome for each unit.

        Raises:
            RefusalError: The database refused a statement; what was written before it is the caller's to undo.
        """
        verbs: dict[str, Callable[[KeyedTable, Sequence[Unit]], list[Outcome]]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
            "link": self._link,
            "unlink": self._unlink,
        }
        return verbs[block[0].verb](block[0].keyed, block)

    def _insert(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        current = self._current(keyed, block, [unit.change.values for unit in block])
        outcomes, new = [], []
        for unit in block:
            outcome = _unless_one_row(current, unit, DONE)
            if outcome is None:
                different = self._different(current, unit, unit.change, unit.change.values)
                reason = f"already there since the import, and different in {', '.join(different)}"
                outcome = Outcome("conflict", reason) if different else DONE
            elif outcome is DONE:
                new.append(unit)
            outcomes.append(outcome)
        # Rows with the same columns go together only as long as they follow each other: parents must stay first.
        for columns, rows in groupby((_new_row(unit) for unit in new), key=tuple):
            self.statements.insert(keyed.target.stored, columns, [tuple(row.values()) for row in rows])
        for attribute in current.members:
            members = [(unit.key, unit.change.values[attribute]) for unit in new if attribute in unit.change.values]
            self._add_members(keyed.target.links[attribute], current.members[attribute], members)
        return outcomes

    def _update(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        current = self._current(keyed, block, [change.values for unit in block for _, change in unit.changes])
        outcomes = []
        rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        members: dict[str, list[tuple[Key, Any]]] = {}
        for unit in block:
            outcome = _unless_one_row(current, unit, _GONE)
            values: Row = {}
            if outcome is None:
                values, changed = self._missing_values(current, unit)
                outcome = _changed(changed)
            outcomes.append(outcome)
            if outcome is not DONE:
                continue
            for attribute in keyed.target.links.keys() & values.keys():
                members.setdefault(attribute, []).append((unit.key, values.pop(attribute)))
            if values:
                columns = tuple(keyed.target.column(attribute).name for attribute in values)
                rows.setdefault(columns, []).append((*values.values(), *unit.key))
        for columns, table_rows in rows.items():
            self.statements.update(keyed.target.stored, columns, keyed.keys, table_rows)
        for attribute, pairs in members.items():
            link, there = keyed.target.links[attribute], current.members[attribute]
            self._remove_members(link, there, pairs)
            self._add_members(link, there, pairs)
        return outcomes

    def _delete(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        # All link tables are read, expected or not, as the rows of the owner go from each of them.
        current = self._current(keyed, block, [keyed.target.links, *(unit.change.expected for unit in block)])
        outcomes, old = [], []
        for unit in block:
            outcome = _unless_one_row(current, unit, DONE)
            if outcome is None:
                outcome = _changed(self._different_before(current, unit, unit.change, unit.change.expected))
                if outcome is DONE:
                    old.append(unit.key)
            outcomes.append(outcome)
        for attribute, link in keyed.target.links.items():
            owners = [key for key in old if key in current.members[attribute]]
            self.statements.delete(link.stored, link.owners, owners)
        self.statements.delete(keyed.target.stored, keyed.keys, old)
        return outcomes

    def _link(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        owners = self.statements.rows(keyed, [unit.key for unit in block], ())
        link = keyed.target.links[block[0].member[0]]
        pairs = [unit.member[1:] for unit in block if unit.key in owners]
        there = self.statements.linked(link, pairs)
        columns = [column.name for column in (*link.owners, link.member)]
        self.statements.insert(link.stored, columns, [pair for pair in pairs if pair not in there])
        return [DONE if unit.key in owners else _GONE for unit in block]

    def _unlink(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        link = keyed.target.links[block[0].member[0]]
        self.statements.delete(link.stored, (*link.owners, link.member), [unit.member[1:] for unit in block])
        return [DONE] * len(block)

    def _current(self, keyed: KeyedTable, block: Sequence[Unit], asked: Iterable[Iterable[str]]) -> _Current:
        attributes = dict.fromkeys(attribute for attributes in asked for attribute in attributes)
        keys = dict.fromkeys(unit.key for unit in block)
        rows = self.statements.rows(keyed, keys, attributes)  # first, as their locks keep new members out
        links = {name: link for name, link in keyed.target.links.items() if name in attributes}
        members = {name: self.statements.members(keyed, link, keys) for name, link in links.items()}
        return _Current(rows, members, self.parked.get(keyed.target.stored, {}))

    def _different(self, current: _Current, unit: Unit, change: Change, values: Mapping[str, Any]) -> list[str]:
        """Return the attributes that are not as given."""
        return [
            attribute
            for attribute, value in values.items()
            if not self.same(change, attribute, current.value(unit.key, attribute), value)
        ]

    def _different_before(
        self, current: _Current, unit: Unit, change: Change, expected: Mapping[str, Any]
    ) -> list[str]:
        """Return the attributes that were not as expected before this run."""
        return [
            attribute
            for attribute, value in expected.items()
            if not self.same(change, attribute, current.value_before(unit.key, attribute), value)
        ]

    def _missing_values(self, current: _Current, unit: Unit) -> tuple[Row, list[str]]:
        """Return the values of an update that are not there yet, and the attributes changed since the import."""
        missing_values: Row = {}
        changed: list[str] = []
        for _, change in unit.changes:
            values = {name: change.values[name] for name in self._different(current, unit, change, change.values)}
            expected = {name: change.expected[name] for name in values if name in change.expected}
            changed += self._different_before(current, unit, change, expected)
            missing_values |= values
        return missing_values, changed

    def _add_members(self, link: StoredLink, there: Mapping[Key, Any], owners: Iterable[tuple[Key, Any]]) -> None:
        columns = [column.name for column in (*link.owners, link.member)]
        rows = [
            (*key, *member)
            for key, members in owners
            for member in self._matched(link, members)
            if member not in there.get(key, ())
        ]
        self.statements.insert(link.stored, columns, rows)

    def _remove_members(self, link: StoredLink, there: Mapping[Key, Any], owners: Iterable[tuple[Key, Any]]) -> None:
        keys = []
        for key, members in owners:
            kept = self._matched(link, members)
            keys += [(*key, *member) for member in there.get(key, ()) if member not in kept]
        self.statements.delete(link.stored, (*link.owners, link.member), keys)

    def _matched(self, link: StoredLink, members: Iterable[Any] | None) -> dict[Key, None]:
        match = link.stored.matcher([link.member])
        with self.statements.guarded():
            return dict.fromkeys(match([member]) for member in members or ())


def _unless_one_row(current: _Current, unit: Unit, missing: Outcome) -> Outcome | None:
    """Return None if the unit has one row; else the outcome."""
    rows = current.rows.get(unit.key)
    if rows is None:
        return missing
    return _SEVERAL if len(rows) > 1 else None


def _new_row(unit: Unit) -> Row:
    """Return what to insert, by column: the key, and every value that is not in a link table."""
    change, target = unit.change, unit.keyed.target
    values = dict(zip(change.identifiers, change.key, strict=True)) | dict(change.values)
    return {target.column(name).name: value for name, value in values.items() if name not in target.links}


def _changed(attributes: Sequence[str]) -> Outcome:
    """Return a conflict that names the attributes that were changed since the import; done, if there are none."""
    if not attributes:
        return DONE
    return Outcome("conflict", f"changed since the import: {', '.join(attributes)}")
