"""Changes applied to tables of a database: in blocks, in one transaction, never over a change by another program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, groupby, islice
from typing import Any, Generic, TypeVar

import attrs

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Change, Outcome, Outcomes, Same, segments_of
from datastoresync.syncers.sql.bulk import FEWEST, BulkWriter
from datastoresync.syncers.sql.catalog import Catalogue, StoredLink
from datastoresync.syncers.sql.database import CommitInterrupt, Database
from datastoresync.syncers.sql.statements import (
    SEGMENT,
    Batch,
    Key,
    KeyedTable,
    RefusalError,
    Row,
    Statements,
    TableLookup,
    Unit,
    blocks_of,
    groups,
)

T = TypeVar("T")

_DONE = Outcome("done")
_GONE = Outcome("conflict", "no longer there: it was deleted since the import")
_SEVERAL = Outcome("conflict", "its key stands in more than one row, so none of them was touched")
_UNDONE = Outcome("undone", "rolled back together with a change that failed")
_UNKNOWN = Outcome("failed", "interrupted during the commit: it may be done all the same, so import again")


class _CulpritError(Exception):
    """The change for which everything is rolled back."""

    def __init__(self, unit: Unit, reason: str) -> None:
        super().__init__(reason)
        self.unit = unit
        self.reason = reason


def apply_changes(database: Database, changes: Iterable[Change], *, same: Same) -> Sequence[Outcome]:
    """Apply changes in one transaction, as `SQLSyncer.apply_changes` describes; they are taken as they come.

    Raises:
        LockedError: Another run is writing to one of the tables.
        SyncerError: A table or column is not there, or the store as a whole gave up. Nothing was written.
        CommitInterrupt: Ctrl-C came too late to undo the changes; it has their ``outcomes``.
    """
    segments = map(Segment, segments_of(changes, SEGMENT, FEWEST))
    first = next(segments, None)
    outcomes = Outcomes()
    if first is None:
        return outcomes
    prefetched = Prefetched(chain([first], segments), lambda segment: segment.prepare(lookup, bulk, len(outcomes)))
    try:
        with database.writing() as connection:
            with database.translated_errors("cannot apply the changes to"):
                lookup = TableLookup(Catalogue(connection, database.name))
            statements = Statements(connection, database.secrets, prefetched.prefetch)
            bulk = BulkWriter(statements, same) if statements.dialect.copies(connection.dialect) else None
            writer = _Writer(statements, same, bulk)
            locked: set[str] = set()
            for segment in prefetched:
                with database.translated_errors("cannot apply the changes to"):
                    found = segment.batches(lookup, bulk, len(outcomes))
                    names = lookup.catalogue.names_to_write()
                database.lock(connection, locked.symmetric_difference(names))
                locked.update(names)
                outcomes.extend(segment.count, _DONE)
                for unit, outcome in chain.from_iterable(map(writer.write, found)):
                    for position, _ in unit.changes:
                        outcomes[position] = outcome
                found.clear()  # before the next ones are made
    except _CulpritError as culprit:
        return _failed(culprit, len(outcomes) + sum(segment.count for segment in prefetched))
    except CommitInterrupt as interrupt:
        interrupt.outcomes = outcomes if interrupt.committed else Outcomes(len(outcomes), _UNKNOWN)
        raise
    except RefusalError as refusal:
        message = f"{database.name} gave up, and nothing was written: {refusal.reason}"
        raise (refusal.blames_store or SyncerError)(message) from None
    return outcomes


class Prefetched(Generic[T]):
    """An iterator whose next item may be made before it is asked for. An error made then is raised when it is.

    Args:
        items: What makes the items.
        prepare: Does to an item what can be done ahead of its time.

    >>> made = Prefetched(iter("ab"), print)
    >>> made.prefetch()
    a
    >>> list(made)
    ['a', 'b']
    """

    def __init__(self, items: Iterable[T], prepare: Callable[[T], object]) -> None:
        self._items = iter(items)
        self._prepare = prepare
        self._made: list[T] = []
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._made.pop() if self._made else next(self._items)

    def prefetch(self) -> None:
        """Make and prepare the next item, unless that was done already. A preparation that fails has no effect."""
        if self._made or self._error is not None:
            return
        try:
            self._made.extend(islice(self._items, 1))
        except Exception as error:  # noqa: BLE001 - it is raised when the item is asked for
            self._error = error
        for item in self._made:
            with suppress(Exception):
                self._prepare(item)


@attrs.define(eq=False)
class Segment:
    """Changes that are looked at together.

    Args:
        parts: The changes, as `segments_of` gives them.
    """

    parts: list[Sequence[Change]]
    count: int = attrs.field(init=False)
    _found: list[Batch | list[Unit]] | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.count = sum(map(len, self.parts))

    def batches(self, lookup: TableLookup, bulk: BulkWriter | None, first: int) -> list[Batch | list[Unit]]:
        """Return the changes ready to be written, and let go of them.

        Raises:
            SyncerError: As for `TableLookup.batches`.
        """
        found, self._found = self._found, None
        if found is None:
            found = list(lookup.batches(self.parts, first, sys.maxsize if bulk is None else FEWEST))
        self.parts.clear()
        return found

    def prepare(self, lookup: TableLookup, bulk: BulkWriter | None, first: int) -> None:
        """Do what can be done before its turn, and without the database."""
        if bulk is not None and lookup.knows(self.parts):
            found = list(lookup.batches(self.parts, first, FEWEST))
            for batch in found:
                if isinstance(batch, Batch):
                    bulk.prepare(batch)
            self._found = found


def _failed(culprit: _CulpritError, count: int) -> Outcomes:
    outcomes = Outcomes(count, _UNDONE)
    for position, _ in culprit.unit.changes:
        outcomes[position] = Outcome("failed", culprit.reason)
    return outcomes


@attrs.frozen(eq=False)
class _Current:
    """The rows of a block, as they are now.

    Args:
        rows: The rows by key.
        members: The members of the link tables that were asked for: by attribute and key.
    """

    rows: Mapping[Key, list[Row]]
    members: Mapping[str, Mapping[Key, Mapping[Key, Any]]]

    def value(self, key: Key, attribute: str) -> Any:
        """Return the raw value of an attribute of the one row of a key."""
        if attribute in self.members:
            return set(self.members[attribute].get(key, {}).values())
        return self.rows[key][0][attribute]


@attrs.frozen(eq=False)
class _Writer:
    """Compares each unit with what its row holds now, and writes those without a conflict."""

    statements: Statements
    same: Same
    bulk: BulkWriter | None

    def write(self, changes: Batch | list[Unit]) -> Iterator[tuple[Unit, Outcome]]:
        """Apply changes; yield the units that were looked at one by one, with their outcomes. All others are done.

        Raises:
            _CulpritError: A unit could not be written.
            RefusalError: The store as a whole gave up.
        """
        left: Iterable[Sequence[Unit]] = groups(changes) if isinstance(changes, list) else [self._left(changes)]
        for block in chain.from_iterable(map(blocks_of, left)):
            yield from zip(block, self._block(block), strict=True)

    def _left(self, batch: Batch) -> list[Unit]:
        return batch.units(range(len(batch.changes)) if self.bulk is None else self.bulk.write(batch))

    def _block(self, block: Sequence[Unit]) -> list[Outcome]:
        """Apply a block; if a statement fails, each half of it, down to the one unit that it fails for."""
        verbs: dict[str, Callable[[KeyedTable, Sequence[Unit]], list[Outcome]]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
            "link": self._link,
            "unlink": self._unlink,
        }
        try:
            with self.statements.savepoint():
                return verbs[block[0].verb](block[0].keyed, block)
        except RefusalError as refusal:
            if refusal.blames_store:
                raise
            if len(block) == 1:
                raise _CulpritError(block[0], refusal.reason) from None
        half = len(block) // 2
        return self._block(block[:half]) + self._block(block[half:])

    def _insert(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        current = self._current(keyed, block, [unit.change.values for unit in block])
        outcomes, new = [], []
        for unit in block:
            outcome = _unless_one_row(current, unit, _DONE)
            if outcome is None:
                different = self._different(current, unit, unit.change, unit.change.values)
                reason = f"already there since the import, and different in {', '.join(different)}"
                outcome = Outcome("conflict", reason) if different else _DONE
            elif outcome is _DONE:
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
            if outcome is not _DONE:
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
            outcome = _unless_one_row(current, unit, _DONE)
            if outcome is None:
                outcome = _changed(self._different(current, unit, unit.change, unit.change.expected))
                if outcome is _DONE:
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
        return [_DONE if unit.key in owners else _GONE for unit in block]

    def _unlink(self, keyed: KeyedTable, block: Sequence[Unit]) -> list[Outcome]:
        link = keyed.target.links[block[0].member[0]]
        self.statements.delete(link.stored, (*link.owners, link.member), [unit.member[1:] for unit in block])
        return [_DONE] * len(block)

    def _current(self, keyed: KeyedTable, block: Sequence[Unit], asked: Iterable[Iterable[str]]) -> _Current:
        attributes = dict.fromkeys(attribute for attributes in asked for attribute in attributes)
        keys = dict.fromkeys(unit.key for unit in block)
        rows = self.statements.rows(keyed, keys, attributes)  # first, as their locks keep new members out
        links = {name: link for name, link in keyed.target.links.items() if name in attributes}
        return _Current(rows, {name: self.statements.members(keyed, link, keys) for name, link in links.items()})

    def _different(self, current: _Current, unit: Unit, change: Change, values: Mapping[str, Any]) -> list[str]:
        """Return the attributes that are not as given."""
        return [
            attribute
            for attribute, value in values.items()
            if not self.same(change, attribute, current.value(unit.key, attribute), value)
        ]

    def _missing_values(self, current: _Current, unit: Unit) -> tuple[Row, list[str]]:
        """Return the values of an update that are not there yet, and the attributes changed since the import."""
        missing_values: Row = {}
        changed: list[str] = []
        for _, change in unit.changes:
            values = {name: change.values[name] for name in self._different(current, unit, change, change.values)}
            expected = {name: change.expected[name] for name in values if name in change.expected}
            changed += self._different(current, unit, change, expected)
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
        return _DONE
    return Outcome("conflict", f"changed since the import: {', '.join(attributes)}")
