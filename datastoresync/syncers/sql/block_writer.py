"""Blocks of changes written to a table: each compared with what its row holds now, written, and its effects read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import attrs

from datastoresync.printing.text import shortened
from datastoresync.syncers.changes import Change, Outcome, Same, WriteOptions
from datastoresync.syncers.sql.catalog import StoredLink, StoredTable
from datastoresync.syncers.sql.effects import DONE, Current, EffectError, Effects
from datastoresync.syncers.sql.spellings import Key, how_to_declare, key_text
from datastoresync.syncers.sql.statements import LINKS, KeyedTable, Row, Statements, Unit, blocks_of

_GONE = Outcome("conflict", "no longer there: it was deleted since the import")
_SEVERAL = Outcome("conflict", "its key stands in more than one row, so none of them was touched")
_SHOWN = 5
"""Attributes whose values a reason shows."""


@attrs.define(eq=False)
class BlockWriter:
    """Writes blocks of units of one verb and one table, those without a conflict.

    Args:
        statements: The statements, with their transaction.
        same: Compares raw values with expected ones.
        options: How the changes are applied.
        effects: Reads what was written.
        parked: The values in whose place this run has put others for the time being, by table and key.
    """

    statements: Statements
    same: Same
    options: WriteOptions
    effects: Effects
    parked: dict[StoredTable, dict[Key, Row]] = attrs.field(init=False, factory=dict)
    _met: dict[tuple[StoredTable, Key], Key] = attrs.field(init=False, factory=dict)
    """The keys that the store takes for one that was to be written, which stands beside it; they are let be."""
    _sides: dict[StoredTable, tuple[str, ...]] = attrs.field(init=False, factory=dict)
    """The columns of the owners in link tables, of the side that this run has written first."""
    _own: set[tuple[StoredTable, Key]] = attrs.field(init=False, factory=set)
    """What was inserted and cannot be undone alone, so that it is met again."""

    def write(self, block: Sequence[Unit]) -> list[Outcome]:
        """Write a block; return an outcome for each unit.

        Raises:
            EffectError: Some of it had no effect.
            RefusalError: The database refused a statement; what was written before it is the caller's to undo.
        """
        verbs: dict[str, Callable[[KeyedTable, Sequence[Unit]], list[Outcome]]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
            "link": self._link,
            "unlink": self._unlink,
        }
        for stored, verb in _written_by(block[0]):
            self.effects.expect(stored, verb)
        counts = self.statements.counts
        mark = counts.mark()
        outcomes = verbs[block[0].verb](block[0].keyed, block)
        if block[0].keyed.target.stored.is_view:
            counts.undo(mark)  # whatever is written for it was asked for
        failed = [(unit, one) for unit, one in zip(block, outcomes, strict=True) if one.status == "failed"]
        if failed:
            raise EffectError(failed)
        return outcomes

    def _insert(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        current = self._current(keyed, block, [unit.change.values for unit in block])
        outcomes = {}
        for unit in block:
            outcome = self._unless_one_row(current, unit, DONE)
            outcomes[unit] = self._already_there(current, unit) if outcome is None else outcome
        new = [unit for unit in block if outcomes[unit] is DONE and unit.key not in current.found.exact]
        members: dict[str, list[tuple[Unit, Any]]] = {
            name: [(unit, unit.change.values[name]) for unit in new if name in unit.change.values]
            for name in current.members
        }
        outcomes |= self._met_members(keyed, current, members)
        new = [unit for unit in new if outcomes[unit] is DONE]
        # Rows with the same columns go together only as long as they follow each other: parents must stay first.
        for columns, rows in groupby((_new_row(unit) for unit in new), key=tuple):
            self.statements.insert(keyed.target.stored, columns, [tuple(row.values()) for row in rows])
        for attribute, pairs in members.items():
            owners = [(unit.key, value) for unit, value in pairs if outcomes[unit] is DONE]
            link, there = keyed.target.links[attribute], current.members[attribute]
            owner_names = _names(link.owners)
            if there and self._sides.get(link.stored, owner_names) == owner_names:  # else the other side wrote some
                self._remove_orphans(keyed, link, there, [pair for pair in pairs if outcomes[pair[0]] is DONE])
            self._add_members(link, there, owners)
        if not self.statements.dialect.has_savepoints:
            self._own.update((keyed.target.stored, unit.key) for unit in new)
        return self._with(outcomes, new, lambda: self.effects.inserted(keyed, new))

    def _update(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        asked = [change.values for unit in block for _, change in unit.changes]
        current = self._current(keyed, block, [*asked, self.effects.besides(keyed)])
        outcomes = {}
        changed: dict[Unit, Row] = {}
        members: dict[str, list[tuple[Unit, Any]]] = {}
        for unit in block:
            outcome = self._unless_one_row(current, unit, _GONE)
            if outcome is None:
                values, other = self._missing_values(current, unit)
                outcome = _changed(other)
                if outcome is DONE and values:
                    changed[unit] = values
                    for attribute in keyed.target.links.keys() & values.keys():
                        members.setdefault(attribute, []).append((unit, values.pop(attribute)))
            outcomes[unit] = outcome
        outcomes |= self._met_members(keyed, current, members)
        rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        written = [unit for unit in changed if outcomes[unit] is DONE]
        for unit in written:
            by_column = {keyed.target.column(attribute).name: value for attribute, value in changed[unit].items()}
            if given := {name: value for name, value in by_column.items() if name not in keyed.target.stored.computed}:
                rows.setdefault(tuple(given), []).append((*given.values(), *unit.key))
        for unit in written:
            self.effects.note_updating(unit, changed[unit])
        missing = sum(
            self.statements.update(keyed.target.stored, columns, keyed.keys, table_rows)
            for columns, table_rows in rows.items()
        )
        every = missing == sum(map(len, rows.values()))
        swallowed = (written if every else None) if missing else ()
        for attribute, pairs in members.items():
            link, there = keyed.target.links[attribute], current.members[attribute]
            owners = [(unit.key, value) for unit, value in pairs if outcomes[unit] is DONE]
            self._remove_members(link, there, owners)
            self._add_members(link, there, owners)
        return self._with(outcomes, written, lambda: self.effects.updated(keyed, written, current, swallowed))

    def _delete(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        # All link tables are read, expected or not, as the rows of the owner go from each of them.
        current = self._current(keyed, block, [keyed.target.links, *(unit.change.expected for unit in block)])
        outcomes, old = {}, []
        for unit in block:
            outcome = self._unless_one_row(current, unit, DONE)
            if outcome is None:
                outcome = _changed(self._different_before(current, unit, unit.change, unit.change.expected))
                if outcome is DONE:
                    old.append(unit)
            outcomes[unit] = outcome
        for attribute, link in keyed.target.links.items():
            owners = [unit.key for unit in old if unit.key in current.members[attribute]]
            self.statements.delete(link.stored, link.owners, owners)
        self.statements.delete(keyed.target.stored, keyed.keys, [unit.key for unit in old])
        return self._with(outcomes, old, lambda: self.effects.deleted(keyed, old))

    def _link(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        current = self._current(keyed, block, ())
        outcomes = {unit: self._unless_one_row(current, unit, _GONE) or DONE for unit in block}
        attribute = block[0].member[0]
        link = keyed.target.links[attribute]
        found = self.statements.linked(link, [unit.member[1:] for unit in block if outcomes[unit] is DONE])
        outcomes |= self._met_pairs(link, found.spelled, ((unit, unit.member) for unit in block))
        new = [unit for unit in block if outcomes[unit] is DONE and unit.member[1:] not in found.exact]
        columns = [column.name for column in (*link.owners, link.member)]
        self._sides.setdefault(link.stored, _names(link.owners))
        self.statements.insert(link.stored, columns, [unit.member[1:] for unit in new])
        return self._with(outcomes, new, lambda: self.effects.linked(link, new))

    def _unlink(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        attribute = block[0].member[0]
        link = keyed.target.links[attribute]
        match = link.stored.matcher([link.member])
        # Members that come in another spelling are looked for first: those that they meet stay.
        rivals = dict.fromkeys(pair for unit in block for pair in unit.rivals)
        if rivals:
            coming = self.statements.linked(link, rivals)
            self._met_pairs(link, coming.spelled, ((None, (attribute, *pair)) for pair in rivals))
        found = self.statements.linked(link, [unit.member[1:] for unit in block])
        outcomes = {}
        for unit in block:
            pair = unit.member[1:]
            met = self._met.get((link.stored, pair))
            if met is not None:
                outcomes[unit] = _other_member(attribute, met, pair)
            elif other := next(
                (raw for raw in found.spelled.get(pair, ()) if match(raw[-1:]) != match(pair[-1:])), None
            ):
                outcomes[unit] = _other_member(attribute, pair, other)
            else:  # an owner in another spelling is the same owner
                outcomes[unit] = DONE
        there = found.exact.keys() | found.spelled.keys()
        old = [unit for unit in block if outcomes[unit] is DONE and unit.member[1:] in there]
        self.statements.delete(link.stored, (*link.owners, link.member), [unit.member[1:] for unit in old])
        return self._with(outcomes, old, lambda: self.effects.unlinked(link, old))

    def _with(
        self, outcomes: dict[Unit, Outcome], written: Sequence[Unit], effects: Callable[[], list[Outcome]]
    ) -> list[Outcome]:
        """Return outcomes, those of what was written as they were found afterwards."""
        if written:
            outcomes |= dict(zip(written, effects(), strict=True))
        return list(outcomes.values())

    def _current(self, keyed: KeyedTable, block: Sequence[Unit], asked: Iterable[Iterable[str]]) -> Current:
        attributes = dict.fromkeys(attribute for attributes in asked for attribute in attributes)
        return self.effects.current(keyed, [unit.key for unit in block], attributes, lock=True)

    def _unless_one_row(self, current: Current, unit: Unit, missing: Outcome) -> Outcome | None:
        """Return None if the unit has one row, and no other one that the store takes for it; else the outcome."""
        stored = unit.keyed.target.stored
        others = current.found.spelled.get(unit.key)
        if others:
            if unit.verb == "insert":
                self._met.update(((stored, unit.keyed.match(raw)), unit.key) for raw in others)
            return _other_key(unit.key, others[0])
        if self._met and unit.verb != "insert" and (stored, unit.key) in self._met:
            return _other_key(self._met[stored, unit.key], unit.key)
        rows = current.found.exact.get(unit.key)
        if rows is None:
            return missing
        return _SEVERAL if len(rows) > 1 else None

    def meet(self, units: Iterable[Unit]) -> None:
        """Remember what is there under another spelling of new objects that are left out: it is let be, too."""
        by_table: dict[KeyedTable, list[Unit]] = {}
        for unit in units:
            if unit.verb == "insert":
                by_table.setdefault(unit.keyed, []).append(unit)
        for keyed, some in by_table.items():
            for block in blocks_of(some):
                found = self.statements.rows(keyed, [unit.key for unit in block], (), lock=False)
                for key, others in found.spelled.items():
                    self._met.update(((keyed.target.stored, keyed.match(raw)), key) for raw in others)

    def _already_there(self, current: Current, unit: Unit) -> Outcome:
        """Return the outcome of an insertion that meets its own row."""
        change = unit.change
        whole = self.options.whole(change.table)
        reason = f"already there{' since the import' if whole else ', although the import did not have it'}"
        different = self._different(current, unit, change, change.values)
        if different:
            there = [
                f"{name} is {shortened(current.value(unit.key, name))} (asked: {shortened(change.values[name])})"
                for name in different[:_SHOWN]
            ]
            more = f", and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
            return Outcome("conflict", f"{reason}: {', '.join(there)}{more}")
        if whole or (unit.keyed.target.stored, unit.key) in self._own:
            return DONE
        return Outcome("conflict", f"{reason}, with just these values")

    def _met_members(
        self, keyed: KeyedTable, current: Current, members: Mapping[str, Sequence[tuple[Unit, Any]]]
    ) -> dict[Unit, Outcome]:
        """Return a conflict for each owner of members that are there under another spelling."""
        outcomes: dict[Unit, Outcome] = {}
        for attribute, owners in members.items():
            link, there = keyed.target.links[attribute], current.members[attribute]
            pairs = [
                (unit, (attribute, *unit.key, *member))
                for unit, value in owners
                if there.get(unit.key)
                for member in self.effects.matched(link, value)
                if member not in there[unit.key]
            ]
            if pairs:
                found = self.statements.linked(link, [pair[1:] for _, pair in pairs])
                outcomes |= self._met_pairs(link, found.spelled, pairs)
        return outcomes

    def _met_pairs(
        self, link: StoredLink, spelled: Mapping[Key, list[Key]], pairs: Iterable[tuple[Any, Key]]
    ) -> dict[Any, Outcome]:
        """Remember the members that are there under another spelling; return a conflict for each that was to come."""
        match = link.stored.matcher((*link.owners, link.member))
        outcomes = {}
        for unit, (attribute, *pair) in pairs if spelled else ():
            others = spelled.get(tuple(pair))
            if others:
                self._met.update(((link.stored, match(raw)), tuple(pair)) for raw in others)
                outcomes[unit] = _other_member(attribute, tuple(pair), others[0])
        return outcomes

    def _different(self, current: Current, unit: Unit, change: Change, values: Mapping[str, Any]) -> list[str]:
        """Return the attributes that are not as given."""
        return [
            attribute
            for attribute, value in values.items()
            if not self.same(change, attribute, current.value(unit.key, attribute), value)
        ]

    def _different_before(self, current: Current, unit: Unit, change: Change, expected: Mapping[str, Any]) -> list[str]:
        """Return the attributes that were not as expected before this run."""
        parked = self.parked.get(unit.keyed.target.stored, {}).get(unit.key, {})
        return [
            attribute
            for attribute, value in expected.items()
            if not self.same(
                change,
                attribute,
                parked[attribute] if attribute in parked else current.value(unit.key, attribute),
                value,
            )
        ]

    def _missing_values(self, current: Current, unit: Unit) -> tuple[Row, list[str]]:
        """Return the values of an update that are not there yet, and the attributes changed since the import."""
        missing_values: Row = {}
        changed: list[str] = []
        for _, change in unit.changes:
            values = {name: change.values[name] for name in self._different(current, unit, change, change.values)}
            expected = {name: change.expected[name] for name in values if name in change.expected}
            changed += self._different_before(current, unit, change, expected)
            missing_values |= values
        return missing_values, changed

    def _remove_orphans(
        self, keyed: KeyedTable, link: StoredLink, there: Mapping[Key, Any], new: Iterable[tuple[Unit, Any]]
    ) -> None:
        """Remove the members that earlier owners of the keys of new ones have left behind."""
        for unit, value in new:
            kept = self.effects.matched(link, value)
            if old := [(*unit.key, *member) for member in there.get(unit.key, ()) if member not in kept]:
                self.statements.delete(link.stored, (*link.owners, link.member), old)
                self.effects.note_orphans(unit, link.stored, keyed.target.stored, len(old))

    def _add_members(self, link: StoredLink, there: Mapping[Key, Any], owners: Iterable[tuple[Key, Any]]) -> None:
        columns = [column.name for column in (*link.owners, link.member)]
        rows = [
            (*key, *member)
            for key, members in owners
            for member in self.effects.matched(link, members)
            if member not in there.get(key, ())
        ]
        self._sides.setdefault(link.stored, _names(link.owners))
        self.statements.insert(link.stored, columns, rows)

    def _remove_members(self, link: StoredLink, there: Mapping[Key, Any], owners: Iterable[tuple[Key, Any]]) -> None:
        keys = []
        for key, members in owners:
            kept = self.effects.matched(link, members)
            keys += [(*key, *member) for member in there.get(key, ()) if member not in kept]
        self.statements.delete(link.stored, (*link.owners, link.member), keys)


def _written_by(unit: Unit) -> Iterator[tuple[StoredTable, str]]:
    """Yield the tables that are written for units of a kind, and how."""
    if unit.verb not in LINKS:
        yield unit.keyed.target.stored, unit.verb
    for name, link in unit.keyed.target.links.items():
        if unit.verb not in LINKS or name == unit.member[0]:
            yield from ((link.stored, verb) for verb in ("insert", "delete"))


def _names(columns: Iterable[Any]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def _other_key(key: Key, other: Key) -> Outcome:
    """Return the conflict of two keys of which the store thinks that they are one."""
    return Outcome(
        "conflict",
        f"the store takes {key_text(key)} for {key_text(other)}, which is there, so nothing was done to either: "
        f"{how_to_declare(key, other, 'their class')}",
    )


def _other_member(attribute: str, pair: Key, other: Key) -> Outcome:
    member, there = (pair[-1:], other[-1:]) if pair[:-1] == other[:-1] else (pair, other)
    return Outcome(
        "conflict",
        f"the store takes {key_text(member)} for {key_text(there)}, which is in {attribute}, so nothing was done to "
        f"either: {how_to_declare(member, there, 'the class of members')}",
    )


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
