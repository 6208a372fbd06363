"""What a store holds after its tables were written as a whole, held against what it was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from datastoresync.printing.text import shortened
from datastoresync.syncers.changes import Change, Held, Outcome
from datastoresync.syncers.row_index import Row, RowIndex, TableContents, lookup_key
from datastoresync.syncers.table_rewrite import Rewrite, TableWriter

_ABSENT = "the store did not keep it: after writing, its row is not there"
_TWICE = "the store holds more than one row with its key after writing"
_STAYED = "the store did not do it: after writing, the row is still there"
_NO_MEMBER = "the store did not keep it: after writing, the member is not there"
_MEMBER = "the store did not do it: after writing, the member is still there"


def read_back(
    changes: Sequence[Change],
    rewrite: Rewrite,
    before: Mapping[str, TableContents],
    after: Mapping[str, TableContents],
) -> None:
    """Correct the outcomes of changes by what a store holds, and add warnings of what it did besides.

    A change that the store did not do is ``failed``. One that was changed on the way is ``done``, with the values that
    it holds.

    Args:
        changes: The changes.
        rewrite: What was to be written.
        before: The tables as they were loaded at first, all of them.
        after: The tables that were written, as they were loaded again.
    """
    written = rewrite.tables
    if all(_is_equal(written[name].records, contents.records) for name, contents in after.items()):
        return
    wanted = rewrite.writer
    held = dict(wanted.tables) | {name: RowIndex(contents) for name, contents in after.items()}
    old = {name: RowIndex(contents) for name, contents in before.items()}
    check = _Check(wanted.with_tables(held), wanted.with_tables(old))
    for positions in reversed(rewrite.units):
        for position in reversed(positions):
            if rewrite.outcomes[position].status == "done" and (outcome := check.outcome(changes[position])):
                rewrite.outcomes[position] = outcome
    rewrite.outcomes.warnings += check.warnings()
    keys = _key_columns(changes)
    for name, contents in after.items():
        besides = _besides(name, keys[name], wanted.tables[name], before[name], contents)
        rewrite.outcomes.warnings += besides
        rewrite.outcomes.acts = rewrite.outcomes.acts or bool(besides)


def _is_equal(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Say whether records are the same, one by one; a column that a record lacks is None."""
    return left == right or (
        len(left) == len(right)
        and all(
            one == other or all(one.get(name) == other.get(name) for name in one.keys() | other.keys())
            for one, other in zip(left, right, strict=True)
        )
    )


@attrs.frozen(eq=False)
class _Check:
    """Looks changes up in what a store holds, the last one first, so that it is held against what was done last.

    Args:
        held: Reads the tables that were loaded again.
        old: Reads the tables as they were at first.
    """

    held: TableWriter
    old: TableWriter
    _settled: set[Hashable] = attrs.field(factory=set)
    _changed: dict[tuple[str, str], list[Any]] = attrs.field(factory=dict)

    def outcome(self, change: Change) -> Outcome | None:
        """Return the outcome of a change that was written, if the store holds something else than it was given."""
        row = (change.table.name, change.key)
        if row in self._settled:
            return None  # a later change made or deleted it
        if change.verb in ("link", "unlink"):
            return self._member(change, row)
        numbers = self.held.rows(change)
        if change.verb == "delete":
            self._settled.add(row)
            return Outcome("failed", _STAYED) if numbers or self._has_members(change) else None
        values = {name: value for name, value in change.values.items() if (*row, name) not in self._settled}
        if change.verb == "insert":
            self._settled.add(row)
        else:
            self._settled.update((*row, name) for name in values)
        if len(numbers) != 1:
            return Outcome("failed", _TWICE if numbers else self._absence(change))
        differing = self.held.differing(change, numbers[0], values)
        return self._differing(change, numbers[0], differing) if differing else None

    def warnings(self) -> list[str]:
        """Return a sentence for each column with values that were changed on the way."""
        return [
            f"table {table!r}, column {column!r}: the store changed {_count(keys, 'value')} on the way, the first in "
            f"{shortened(keys[-1])}"
            for (table, column), keys in self._changed.items()
        ]

    def _differing(self, change: Change, number: int, attributes: Sequence[str]) -> Outcome:
        raws = {name: self.held.raw(change, number, name) for name in attributes}
        earlier = self.old.rows(change) if change.verb == "update" else []
        if len(earlier) == 1 and all(self.old.raw(change, earlier[0], name) == raw for name, raw in raws.items()):
            return Outcome("failed", f"the store did not keep it: {', '.join(attributes)} is as it was before")
        for name in attributes:
            link = change.table.links.get(name)
            place = (change.table.name, change.table.column(name)) if link is None else (link.table, link.member_column)
            self._changed.setdefault(place, []).append(_shown_key(change))
        return Outcome("done", held=Held(raws))

    def _absence(self, change: Change) -> str:
        """Return the reason that a row is not there, with the key under which the store may have put it."""
        columns = tuple(map(change.table.column, change.identifiers))
        rows = self.held.tables[change.table.name]
        for number in rows.find(columns, change.key):
            found = ", ".join(f"{name} {shortened(rows.records[number].get(name))}" for name in columns)
            return f"{_ABSENT}, but one with {found} is"
        return _ABSENT

    def _member(self, change: Change, row: tuple[Hashable, ...]) -> Outcome | None:
        ((attribute, member),) = change.values.items()
        if (*row, attribute) in self._settled or (*row, attribute, lookup_key(member)) in self._settled:
            return None
        self._settled.add((*row, attribute, lookup_key(member)))
        found = self.held.member_rows(change, attribute, change.table.links[attribute], member)
        if change.verb == "link":
            return None if found else Outcome("failed", _NO_MEMBER)
        return Outcome("failed", _MEMBER) if found else None

    def _has_members(self, change: Change) -> bool:
        return any(self.held.members(change, link) for link in change.table.links.values())


def _shown_key(change: Change) -> Any:
    return change.key[0] if len(change.key) == 1 else change.key


def _count(items: Sequence[Any], noun: str) -> str:
    return f"{len(items):,} {noun}{'' if len(items) == 1 else 's'}"


def _key_columns(changes: Iterable[Change]) -> dict[str, tuple[str, ...]]:
    """Return the columns by which the rows of each table are told apart."""
    columns: dict[str, tuple[str, ...]] = {}
    for change in {id(change.table): change for change in changes}.values():
        columns[change.table.name] = tuple(map(change.table.column, change.identifiers))
        for link in change.table.links.values():
            columns.setdefault(link.table, link.columns)
    return columns


def _besides(
    name: str, keys: tuple[str, ...], wanted: RowIndex, before: TableContents, after: TableContents
) -> list[str]:
    """Return sentences about the rows of a table that were not to change, and are not as they were."""
    columns = tuple(dict.fromkeys((*wanted.columns, *after.columns)))
    frozen = _freezer(columns)
    key_of: Callable[[Row], Hashable] = lambda record: tuple(lookup_key(record.get(column)) for column in keys)  # noqa: E731
    kept = [record for number, record in wanted.records.items() if number not in wanted.written]
    forms = list(map(frozen, after.records))
    there = Counter(forms)
    missing = []
    for record in kept:
        form = frozen(record)
        if there[form]:
            there[form] -= 1
        else:
            missing.append(record)
    present = Counter(map(key_of, after.records))
    lost = [record for record in missing if not present[key_of(record)]]
    changed = [record for record in missing if present[key_of(record)]]
    # What was written, and what was to be deleted, is in the outcomes.
    known = set(map(key_of, before.records)) - set(map(key_of, kept))
    known |= {key_of(wanted.records[number]) for number in wanted.written}
    otherwise = Counter(map(key_of, changed))
    added = []
    for record, form in zip(after.records, forms, strict=True):
        if there[form] > 0:  # no kept row is it
            there[form] -= 1
            key = key_of(record)
            if otherwise[key] > 0:
                otherwise[key] -= 1
            elif key not in known:
                added.append(record)
    found = (
        (lost, "that no change was made to, gone"),
        (changed, "that no change was made to, otherwise than it was"),
        (added, "that nobody has written"),
    )
    return [
        f"table {name!r} has {_count(records, 'row')} {text}: the first is "
        + ", ".join(f"{column} {shortened(records[0].get(column))}" for column in keys)
        for records, text in found
        if records
    ]


def _freezer(columns: Sequence[str]) -> Callable[[Row], Hashable]:
    def frozen(record: Row) -> Hashable:
        return tuple(_hashable(record.get(column)) for column in columns)

    return frozen


def _hashable(value: Any) -> Hashable:
    """Return what is equal for equal values; NaN is equal to itself."""
    if isinstance(value, (set, frozenset)):
        return frozenset(map(_hashable, value))
    if isinstance(value, (str, int, bytes)) or value is None:
        return value
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value if value == value else repr(value)  # noqa: PLR0124 - NaN is not
