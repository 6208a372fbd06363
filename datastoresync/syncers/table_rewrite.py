"""Changes applied to whole tables in memory: what each of them becomes of, and what the tables then hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.errors import SyncerError
from datastoresync.syncers.changes import Change, Link, Outcome, Same, Table
from datastoresync.syncers.contents import Contents
from datastoresync.syncers.names import nearest
from datastoresync.syncers.rows import Row, Rows, loosened

__all__ = ["names_of_tables", "rewritten"]

_DONE = Outcome("done")
_GONE = Outcome("conflict", "no longer there: it was deleted since the import")
_SEVERAL = Outcome("conflict", "its key stands in more than one row, so none of them was touched")
_UNDONE = Outcome("undone", "nothing was written, because of a change that failed")
_LINKS = ("link", "unlink")


def names_of_tables(changes: Iterable[Change]) -> list[str]:
    """Return the tables that changes touch, each once: those of the objects, and their link tables."""
    tables = {id(change.table): change.table for change in changes}.values()
    return list(dict.fromkeys(name for table in tables for name in (table.name, *_link_tables(table))))


def _link_tables(table: Table) -> Iterator[str]:
    return (link.table for link in table.links.values())


def rewritten(
    changes: Sequence[Change],
    *,
    same: Same,
    load: Callable[[str], Contents],
    normalized: Callable[[Any], Any],
    fixed: bool,
) -> tuple[list[Outcome], dict[str, Contents]]:
    """Apply changes to copies of tables; return the outcomes, and the tables that changed.

    Conflicts are those of `SQLSyncer.apply_changes`. A value that the store refuses makes its change ``failed``, all
    others ``undone``, and no table change.

    Args:
        changes: Carried out in their order, the updates of one object together.
        same: Compares a stored value with an expected one.
        load: Gives the contents of a table, which are not changed; it is asked once for each.
        normalized: Gives what a value is once it is stored; raises `SyncerError` for one that the store refuses.
        fixed: Whether a table that has columns can have no others.

    Raises:
        SyncerError: A column is not there.
    """
    tables = {name: Rows(load(name)) for name in names_of_tables(changes)}
    if fixed:
        _check_columns(changes, tables)
    writer = _Writer(tables, same, normalized)
    outcomes = [_UNDONE] * len(changes)
    for unit in _units(changes):
        try:
            outcome = writer.write([changes[position] for position in unit])
        except SyncerError as error:
            outcomes = [_UNDONE] * len(changes)
            for position in unit:
                outcomes[position] = Outcome("failed", str(error))
            return outcomes, {}
        for position in unit:
            outcomes[position] = outcome
    return outcomes, {name: rows.contents() for name, rows in tables.items() if rows.changed}


def _check_columns(changes: Sequence[Change], tables: Mapping[str, Rows]) -> None:
    wanted: dict[tuple[str, str], None] = {}
    for change in changes:
        attributes = (*change.identifiers, *change.values, *change.expected)
        wanted |= {
            (change.table.name, change.table.column(name)): None for name in attributes if not _is_link(change, name)
        }
        for link in change.table.links.values():
            wanted |= {(link.table, column): None for column in (*link.owners, link.member)}
    for name, column in wanted:
        columns = tables[name].columns
        if columns and column not in columns:
            message = f"table {name!r} has no column {column!r}: {nearest(column, columns)}"
            raise SyncerError(message)


def _is_link(change: Change, attribute: str) -> bool:
    return attribute in change.table.links


def _units(changes: Sequence[Change]) -> list[list[int]]:
    """Put the updates of one object together, as positions, at the place of the first.

    They are apart if the object is made or removed between them, or if they touch an attribute twice.
    """
    found: list[list[int]] = []
    merging: dict[tuple[str, tuple[Any, ...]], tuple[list[int], set[str]]] = {}
    for position, change in enumerate(changes):
        place = (change.table.name, change.key)
        earlier = merging.get(place)
        if change.verb == "update":
            if earlier is not None and earlier[1].isdisjoint(change.values):
                earlier[0].append(position)
                earlier[1].update(change.values)
                continue
            merging[place] = ([position], set(change.values))
            found.append(merging[place][0])
            continue
        if earlier is not None and change.verb in _LINKS:
            earlier[1].update(change.values)
        elif earlier is not None:
            del merging[place]
        found.append([position])
    return found


@attrs.frozen(eq=False)
class _Writer:
    """Decides about each change by what its row holds now, and carries out what has no conflict."""

    tables: Mapping[str, Rows]
    same: Same
    normalized: Callable[[Any], Any]

    def write(self, changes: list[Change]) -> Outcome:
        """Carry out a change, or the updates of one object."""
        change = changes[0]
        if change.verb in _LINKS:
            return self._link(change)
        numbers = self._rows(change)
        if len(numbers) > 1:
            return _SEVERAL
        if change.verb == "insert":
            return self._already_there(change, numbers[0]) if numbers else self._insert(change)
        if not numbers:
            return _DONE if change.verb == "delete" else _GONE
        return self._delete(change, numbers[0]) if change.verb == "delete" else self._update(changes, numbers[0])

    def _insert(self, change: Change) -> Outcome:
        values = dict(zip(change.identifiers, change.key, strict=True)) | dict(change.values)
        self.tables[change.table.name].insert(self._stored(change, values))
        for attribute, link in change.table.links.items():
            self._add_members(change, attribute, link, values.get(attribute))
        return _DONE

    def _already_there(self, change: Change, number: int) -> Outcome:
        different = self._different(change, number, change.values)
        if not different:
            return _DONE
        return Outcome("conflict", f"already there since the import, and different in {', '.join(different)}")

    def _update(self, changes: list[Change], number: int) -> Outcome:
        wanted: list[tuple[Change, dict[str, Any]]] = []
        changed: list[str] = []
        for change in changes:
            values = {name: change.values[name] for name in self._different(change, number, change.values)}
            expected = {name: change.expected[name] for name in values if name in change.expected}
            changed += self._different(change, number, expected)
            wanted.append((change, values))
        if changed:
            return _changed(changed)
        for change, values in wanted:
            if stored := self._stored(change, values):
                self.tables[change.table.name].update(number, stored)
            for attribute in change.table.links.keys() & values.keys():
                link, members = change.table.links[attribute], values[attribute]
                for place, raw in self._members(change, link).items():
                    if not any(self._is_member(change, attribute, raw, member) for member in members or ()):
                        self.tables[link.table].delete(place)
                self._add_members(change, attribute, link, members)
        return _DONE

    def _delete(self, change: Change, number: int) -> Outcome:
        if different := self._different(change, number, change.expected):
            return _changed(different)
        for link in change.table.links.values():
            for place in self._members(change, link):
                self.tables[link.table].delete(place)
        self.tables[change.table.name].delete(number)
        return _DONE

    def _link(self, change: Change) -> Outcome:
        attribute, member = next(iter(change.values.items()), ("", None))
        if len(change.values) != 1 or attribute not in change.table.links:
            message = (
                f"a {change.verb} in table {change.table.name!r} names {', '.join(change.values) or 'nothing'}, which "
                "is not one attribute with a link table: declare it in Table(links=...)"
            )
            raise SyncerError(message)
        link = change.table.links[attribute]
        if change.verb == "unlink":
            for place in self._places(change, attribute, link, member):
                self.tables[link.table].delete(place)
            return _DONE
        if not self._rows(change):
            return _GONE
        self._add_members(change, attribute, link, [member])
        return _DONE

    # What is there.

    def _rows(self, change: Change) -> list[int]:
        """Return the rows of the object."""
        columns = tuple(map(change.table.column, change.identifiers))
        return self._found(change, self.tables[change.table.name], columns)

    def _found(self, change: Change, rows: Rows, columns: tuple[str, ...]) -> list[int]:
        keys = list(zip(columns, change.identifiers, change.key, strict=True))
        return [
            number
            for number in rows.find(columns, change.key)
            if all(self._equal(change, name, rows.records[number].get(column), value) for column, name, value in keys)
        ]

    def _members(self, change: Change, link: Link) -> dict[int, Any]:
        """Return the members of the object as they are stored, by row."""
        rows = self.tables[link.table]
        return {number: rows.records[number].get(link.member) for number in self._found(change, rows, link.owners)}

    def _places(self, change: Change, attribute: str, link: Link, member: Any) -> list[int]:
        """Return the rows in which a member is the object's."""
        rows, columns = self.tables[link.table], (*link.owners, link.member)
        owners = list(zip(link.owners, change.identifiers, change.key, strict=True))
        return [
            number
            for number in rows.find(columns, (*change.key, member))
            if all(self._equal(change, name, rows.records[number].get(column), value) for column, name, value in owners)
            and self._is_member(change, attribute, rows.records[number].get(link.member), member)
        ]

    def _different(self, change: Change, number: int, values: Mapping[str, Any]) -> list[str]:
        """Return the attributes that are not as given."""
        return [
            name
            for name, value in values.items()
            if not self.same(change, name, self._raw(change, number, name), value)
        ]

    def _raw(self, change: Change, number: int, attribute: str) -> Any:
        link = change.table.links.get(attribute)
        if link is not None:
            return set(self._members(change, link).values())
        return self.tables[change.table.name].records[number].get(change.table.column(attribute))

    def _equal(self, change: Change, attribute: str, raw: Any, value: Any) -> bool:
        return bool(raw == self.normalized(value)) or self.same(change, attribute, raw, value)

    def _is_member(self, change: Change, attribute: str, raw: Any, member: Any) -> bool:
        if raw == self.normalized(member):
            return True
        return loosened(raw) == loosened(member) and self.same(change, attribute, {raw}, {member})

    # What is written.

    def _stored(self, change: Change, values: Mapping[str, Any]) -> Row:
        """Return a row of the values that are not in link tables, as they will be read again."""
        row: Row = {}
        for attribute, value in values.items():
            if not _is_link(change, attribute):
                try:
                    row[change.table.column(attribute)] = self.normalized(value)
                except SyncerError as error:
                    message = f"column {change.table.column(attribute)!r}: {error}"
                    raise SyncerError(message) from error
        return row

    def _add_members(self, change: Change, attribute: str, link: Link, members: Iterable[Any] | None) -> None:
        owner = {column: self.normalized(value) for column, value in zip(link.owners, change.key, strict=True)}
        for member in members or ():
            if not self._places(change, attribute, link, member):
                self.tables[link.table].insert(owner | {link.member: self.normalized(member)})


def _changed(attributes: Iterable[str]) -> Outcome:
    return Outcome("conflict", f"changed since the import: {', '.join(attributes)}")
