"""Changes applied to whole tables in memory, for stores that only write whole tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.errors import SyncerError
from datastoresync.printing.text import shortened
from datastoresync.spelling import nearest
from datastoresync.syncers.changes import Change, Link, Outcome, Outcomes, Same, WriteOptions, orphans_text, same_column
from datastoresync.syncers.row_index import Row, RowIndex, TableContents, lookup_key

_DONE = Outcome("done")
_DELETED = Outcome("conflict", "no longer there: it was deleted since the import")
_AMBIGUOUS = Outcome("conflict", "its key is that of more than one row, so none of them was changed")
_UNDONE = Outcome("undone", "nothing was written, because of a change that failed")
_THERE = Outcome("conflict", "already there just as it is to be, though the import does not have it")
_LINKS = ("link", "unlink")


def table_names(changes: Iterable[Change]) -> list[str]:
    """Return the names of the tables and link tables of changes, each once."""
    tables = {id(change.table): change.table for change in changes}.values()
    links = (link.table for table in tables for link in table.links.values())
    return list(dict.fromkeys([*(table.name for table in tables), *links]))


@attrs.frozen(eq=False)
class Rewrite:
    """What changes make of tables.

    Args:
        outcomes: Of each change, with warnings.
        writer: Has the tables as they are to be.
        units: The positions of changes that were looked at together.
    """

    outcomes: Outcomes
    writer: TableWriter
    units: Sequence[Sequence[int]]

    @property
    def tables(self) -> dict[str, TableContents]:
        """The contents of the tables that changed; none, if a change failed that all depend on."""
        return {name: rows.contents() for name, rows in self.writer.tables.items() if rows.changed}


def apply_to_tables(
    changes: Sequence[Change],
    *,
    same: Same,
    load: Callable[[str], TableContents],
    normalized: Callable[[Any], Any] | None,
    fixed: bool,
    options: WriteOptions | None = None,
) -> Rewrite:
    """Apply changes to copies of tables.

    Conflicts are those of `SQLSyncer.apply_changes`. A value that the store refuses, or that would not come back from
    it as it is, makes its change ``failed``: all such changes are found. With ``on_error="stop"`` all others are
    ``undone`` then, and no table is changed.

    Args:
        changes: Applied in their order, the updates of one object together.
        same: Compares a stored value with an expected one.
        load: Returns the contents of a table, which are not changed; called once for each table.
        normalized: Returns a value as the store keeps it; raises `SyncerError` for one that the store refuses. None if
            that is not known.
        fixed: Whether a table that has columns cannot get others.
        options: How changes are applied; None for the usual ones, with which what is there already is done.

    Raises:
        SyncerError: A column does not exist.
    """
    options = options or WriteOptions(whole=lambda _: True)
    for table in {id(change.table): change.table for change in changes}.values():
        table.check_unreferenced("a store without foreign keys")
    tables = {name: RowIndex(load(name)) for name in table_names(changes)}
    if fixed:
        _check_columns(changes, tables)
    writer = TableWriter(tables, same, normalized or _unchanged, options)
    unfit = {} if normalized is None else _unfit_values(changes, same, normalized)
    outcomes = Outcomes(len(changes), _DONE)
    failed = False
    units = _units(changes)
    for unit in units:
        outcome = writer.outcome([changes[position] for position in unit], _reason(unfit, unit))
        if outcome is _DONE:
            continue
        failed = failed or outcome.status == "failed"
        for position in unit:
            outcomes[position] = outcome
    if failed and options.on_error == "stop":
        for position, outcome in enumerate(outcomes):
            if outcome.status != "failed":
                outcomes[position] = _UNDONE
        tables.clear()
        return Rewrite(outcomes, writer, units)
    outcomes.warnings += writer.warnings()
    return Rewrite(outcomes, writer, units)


def _reason(unfit: Mapping[int, str], unit: Sequence[int]) -> str:
    return next((unfit[position] for position in unit if position in unfit), "") if unfit else ""


def _unchanged(value: Any) -> Any:
    return value


def _unfit_values(changes: Sequence[Change], same: Same, normalized: Callable[[Any], Any]) -> dict[int, str]:
    """Return the changes with a value that the store cannot hold as it is, as positions, each with the reason."""
    columns: dict[tuple[int, str], tuple[list[int], list[Any]]] = {}
    for position, change in enumerate(changes):
        values: Mapping[str, Any] = change.values
        if change.verb == "insert":
            values = dict(zip(change.identifiers, change.key, strict=True)) | dict(values)
        for attribute, value in values.items():
            positions, column = columns.setdefault((id(change.table), attribute), ([], []))
            positions.append(position)
            column.append({value} if change.verb in _LINKS else value)
    unfit: dict[int, str] = {}
    for (_, attribute), (positions, column) in columns.items():
        _check_fit(changes, attribute, positions, column, same, normalized, unfit)
    return unfit


def _check_fit(
    changes: Sequence[Change],
    attribute: str,
    positions: Sequence[int],
    values: Sequence[Any],
    same: Same,
    normalized: Callable[[Any], Any],
    unfit: dict[int, str],
) -> None:
    """Note which values of an attribute would be refused by the store, or not come back from it as they are."""
    table = changes[positions[0]].table
    link = table.links.get(attribute)
    column = table.column(attribute) if link is None else link.member_column
    fit: list[tuple[int, Any, Any]] = []
    for position, value in zip(positions, values, strict=True):
        try:
            stored = normalized(value) if link is None else {normalized(member) for member in value or ()}
        except SyncerError as error:
            unfit.setdefault(position, f"column {column!r}: {error}")
            continue
        fit.append((position, stored, value))
    if not fit:
        return
    _, raws, expected = zip(*fit, strict=True)
    if same_column(same, changes[fit[0][0]], attribute, raws, expected):
        return
    for position, stored, value in fit:
        if not same(changes[position], attribute, stored, value):
            unfit.setdefault(
                position,
                f"column {column!r} of table {table.name!r} cannot hold {shortened(value)} for {attribute}: it would "
                f"come back as {shortened(stored)}, and differ again in every run: give that in the source",
            )


def _check_columns(changes: Sequence[Change], tables: Mapping[str, RowIndex]) -> None:
    needed: dict[tuple[str, str], None] = {}
    for change in changes:
        attributes = (*change.identifiers, *change.values, *change.expected)
        needed |= {
            (change.table.name, change.table.column(name)): None for name in attributes if not _is_link(change, name)
        }
        for link in change.table.links.values():
            needed |= {(link.table, column): None for column in link.columns}
    for name, column in needed:
        columns = tables[name].columns
        if columns and column not in columns:
            message = f"table {name!r} has no column {column!r}: {nearest(column, columns)}"
            raise SyncerError(message)


def _is_link(change: Change, attribute: str) -> bool:
    return attribute in change.table.links


def _units(changes: Sequence[Change]) -> list[list[int]]:
    """Group the updates of one object, as positions, at the position of the first.

    Updates between which the object is created or deleted, or that change one attribute twice, are not grouped.
    """
    units: list[list[int]] = []
    merging: dict[tuple[str, tuple[Any, ...]], tuple[list[int], set[str]]] = {}
    for position, change in enumerate(changes):
        target = (change.table.name, change.key)
        earlier = merging.get(target)
        if change.verb == "update":
            if earlier is not None and earlier[1].isdisjoint(change.values):
                earlier[0].append(position)
                earlier[1].update(change.values)
                continue
            merging[target] = ([position], set(change.values))
            units.append(merging[target][0])
            continue
        if earlier is not None and change.verb in _LINKS:
            earlier[1].update(change.values)
        elif earlier is not None:
            del merging[target]
        units.append([position])
    return units


class TableWriter:
    """Compares each change with the current row, and applies those without a conflict.

    Args:
        tables: The tables, which are changed.
        same: Compares a stored value with an expected one.
        normalized: Returns a value as the store keeps it.
        options: How changes are applied.
    """

    def __init__(
        self, tables: dict[str, RowIndex], same: Same, normalized: Callable[[Any], Any], options: WriteOptions
    ) -> None:
        self.tables = tables
        self.same = same
        self.normalized = normalized
        self._options = options
        self._orphans: Counter[tuple[str, str]] = Counter()

    def with_tables(self, tables: Mapping[str, RowIndex]) -> TableWriter:
        """Return one that reads other tables in the same way."""
        return TableWriter(dict(tables), self.same, self.normalized, self._options)

    def outcome(self, changes: list[Change], unfit: str) -> Outcome:
        """Apply a change, or the updates of one object; return the outcome.

        Args:
            changes: The changes.
            unfit: The reason why a value of theirs cannot be held, if there is one.
        """
        dependencies = self._options.dependencies
        if dependencies is not None and dependencies.active:
            blocked = next(filter(None, map(dependencies.blocked, changes)), "")
            outcome = Outcome("skipped", blocked) if blocked else self._attempt(changes, unfit)
        else:
            outcome = self._attempt(changes, unfit)
        if dependencies is not None and outcome is not _DONE:
            for change in changes:
                dependencies.note(change, outcome)
        return outcome

    def warnings(self) -> list[str]:
        """Return what was done besides, a sentence for each link table."""
        return [orphans_text(link, owners, count) for (link, owners), count in self._orphans.items()]

    def _attempt(self, changes: list[Change], unfit: str) -> Outcome:
        if unfit:
            return Outcome("failed", unfit)
        try:
            return self._write(changes)
        except SyncerError as error:
            return Outcome("failed", str(error))

    def _write(self, changes: list[Change]) -> Outcome:
        change = changes[0]
        if change.verb in _LINKS:
            return self._link(change)
        numbers = self.rows(change)
        if len(numbers) > 1:
            return _AMBIGUOUS
        if change.verb == "insert":
            return self._check_existing(change, numbers[0]) if numbers else self._insert(change)
        if not numbers:
            return _DONE if change.verb == "delete" else _DELETED
        return self._delete(change, numbers[0]) if change.verb == "delete" else self._update(changes, numbers[0])

    def _insert(self, change: Change) -> Outcome:
        values = dict(zip(change.identifiers, change.key, strict=True)) | dict(change.values)
        self.tables[change.table.name].insert(self._stored(change, values))
        for attribute, link in change.table.links.items():
            self._remove_orphans(change, attribute, link, values.get(attribute))
            self._add_members(change, attribute, link, values.get(attribute))
        return _DONE

    def _remove_orphans(self, change: Change, attribute: str, link: Link, members: Iterable[Any] | None) -> None:
        """Remove the members that an earlier owner of this key left behind."""
        rows, wanted = self.tables[link.table], list(members or ())
        for number, raw in self.members(change, link).items():
            # What this run has written may have come from the other side of the same table.
            if number < rows.first_new and not any(self._is_member(change, attribute, raw, each) for each in wanted):
                rows.delete(number)
                self._orphans[link.table, change.table.name] += 1

    def _check_existing(self, change: Change, number: int) -> Outcome:
        differing = self.differing(change, number, change.values)
        if not differing:
            return _DONE if self._options.whole(change.table) else _THERE
        record = self.tables[change.table.name].records[number]
        there = {name: record.get(change.table.column(name)) for name in change.identifiers}
        there |= {name: self.raw(change, number, name) for name in differing}
        holds = ", ".join(f"{name} {shortened(value)}" for name, value in there.items())
        return Outcome("conflict", f"already there, though the import did not have it, and different: it holds {holds}")

    def _update(self, changes: list[Change], number: int) -> Outcome:
        updates: list[tuple[Change, dict[str, Any]]] = []
        changed: list[str] = []
        for change in changes:
            values = {name: change.values[name] for name in self.differing(change, number, change.values)}
            expected = {name: change.expected[name] for name in values if name in change.expected}
            changed += self.differing(change, number, expected)
            updates.append((change, values))
        if changed:
            return _conflict(changed)
        for change, values in updates:
            if stored := self._stored(change, values):
                self.tables[change.table.name].update(number, stored)
            for attribute in change.table.links.keys() & values.keys():
                link, members = change.table.links[attribute], values[attribute]
                for row, raw in self.members(change, link).items():
                    if not any(self._is_member(change, attribute, raw, member) for member in members or ()):
                        self.tables[link.table].delete(row)
                self._add_members(change, attribute, link, members)
        return _DONE

    def _delete(self, change: Change, number: int) -> Outcome:
        if differing := self.differing(change, number, change.expected):
            return _conflict(differing)
        for link in change.table.links.values():
            for row in self.members(change, link):
                self.tables[link.table].delete(row)
        self.tables[change.table.name].delete(number)
        return _DONE

    def _link(self, change: Change) -> Outcome:
        attribute, member = change.linked(change.table.links)
        link = change.table.links[attribute]
        if change.verb == "unlink":
            for row in self.member_rows(change, attribute, link, member):
                self.tables[link.table].delete(row)
            return _DONE
        if not self.rows(change):
            return _DELETED
        self._add_members(change, attribute, link, [member])
        return _DONE

    # Reading.

    def rows(self, change: Change) -> list[int]:
        """Return the rows of the object."""
        return self._matches(change, change.table.name, tuple(map(change.table.column, change.identifiers)))

    def _matches(self, change: Change, table: str, columns: tuple[str, ...], *members: Any) -> list[int]:
        """Return the rows of a table whose columns equal the key; of a link table with a member, perhaps more."""
        rows = self.tables[table]
        parts = list(zip(columns, change.identifiers, change.key, strict=False))
        return [
            number
            for number in rows.find(columns, (*change.key, *members))
            if all(self._equal(change, name, rows.records[number].get(column), value) for column, name, value in parts)
        ]

    def members(self, change: Change, link: Link) -> dict[int, Any]:
        """Return the stored members of the object, by row."""
        records = self.tables[link.table].records
        column = link.member_column
        return {number: records[number].get(column) for number in self._matches(change, link.table, link.owners)}

    def member_rows(self, change: Change, attribute: str, link: Link, member: Any) -> list[int]:
        """Return the rows that hold a member of the object."""
        records = self.tables[link.table].records
        matches = self._matches(change, link.table, link.columns, member)
        column = link.member_column
        return [row for row in matches if self._is_member(change, attribute, records[row].get(column), member)]

    def differing(self, change: Change, number: int, values: Mapping[str, Any]) -> list[str]:
        """Return the attributes that differ from their values."""
        return [
            name for name, value in values.items() if not self.same(change, name, self.raw(change, number, name), value)
        ]

    def raw(self, change: Change, number: int, attribute: str) -> Any:
        """Return what a row holds of an attribute."""
        link = change.table.links.get(attribute)
        if link is not None:
            return set(self.members(change, link).values())
        return self.tables[change.table.name].records[number].get(change.table.column(attribute))

    def _equal(self, change: Change, attribute: str, raw: Any, value: Any) -> bool:
        return bool(raw == self.normalized(value)) or self.same(change, attribute, raw, value)

    def _is_member(self, change: Change, attribute: str, raw: Any, member: Any) -> bool:
        if raw == self.normalized(member):
            return True
        return lookup_key(raw) == lookup_key(member) and self.same(change, attribute, {raw}, {member})

    # Writing.

    def _stored(self, change: Change, values: Mapping[str, Any]) -> Row:
        """Return a row of the values that are not in link tables, as the store keeps them."""
        return {
            change.table.column(attribute): self.normalized(value)
            for attribute, value in values.items()
            if not _is_link(change, attribute)
        }

    def _add_members(self, change: Change, attribute: str, link: Link, members: Iterable[Any] | None) -> None:
        owner = {column: self.normalized(value) for column, value in zip(link.owners, change.key, strict=True)}
        for member in members or ():
            if not self.member_rows(change, attribute, link, member):
                self.tables[link.table].insert(owner | {link.member_column: self.normalized(member)})


def _conflict(attributes: Iterable[str]) -> Outcome:
    return Outcome("conflict", f"changed since the import: {', '.join(attributes)}")
