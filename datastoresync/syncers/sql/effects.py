"""What a database did when it was asked to write: read back, compared with what was asked, and explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa

from datastoresync.printing.text import shortened
from datastoresync.syncers.changes import Change, Held, Outcome, Same, orphans_text, same_column
from datastoresync.syncers.sql.catalog import StoredLink, StoredTable
from datastoresync.syncers.sql.dialects import Intervention
from datastoresync.syncers.sql.references import followed_of
from datastoresync.syncers.sql.spellings import Found, Key
from datastoresync.syncers.sql.statements import KeyedTable, RefusalError, Row, Statements, Unit

T = TypeVar("T")

DONE = Outcome("done")


@attrs.frozen(eq=False)
class Current:
    """The rows of some keys, as they are now.

    Args:
        found: The rows.
        members: The members of the link tables that were asked for: by attribute and key.
    """

    found: Found[Row]
    members: Mapping[str, Mapping[Key, Mapping[Key, Any]]]

    def value(self, key: Key, attribute: str) -> Any:
        """Return the raw value of an attribute of the one row of a key."""
        if attribute in self.members:
            return set(self.members[attribute].get(key, {}).values())
        return self.found.exact[key][0][attribute]

    def moved(self, keys: Mapping[Key, Key]) -> Current:
        """Return the same, with what is found under keys under those that they had before."""
        found = Found(_moved(self.found.exact, keys), _moved(self.found.spelled, keys))
        return Current(found, {name: _moved(members, keys) for name, members in self.members.items()})


class EffectError(RefusalError):
    """What was written had no effect; ``failed`` has the units that this is so for, with their outcomes."""

    def __init__(self, failed: Sequence[tuple[Unit, Outcome]]) -> None:
        super().__init__(failed[0][1].reason, None)
        self.failed = failed


@attrs.frozen
class SharedOutcome(Outcome):
    """The outcome of several changes that stand or fall together, with what is to be said of each.

    Args:
        parts: The outcome of each.
    """

    parts: tuple[Outcome, ...] = ()


def outcomes_of(unit: Unit, outcome: Outcome) -> Sequence[Outcome]:
    """Return the outcome of each change of a unit."""
    return outcome.parts if isinstance(outcome, SharedOutcome) else [outcome] * len(unit.changes)


def acting(statements: Statements, stored: StoredTable, *verbs: str) -> list[Intervention]:
    """Return what may act when rows of a table are written in one of these ways."""
    with statements.guarded():
        found = statements.dialect.interventions(statements.connection, stored.table)
    return [one for one in found if not one.verbs.isdisjoint(verbs)]


def probably(found: Iterable[Intervention]) -> str:
    """Return words for what may have acted; empty if there is nothing."""
    names = dict.fromkeys(one.name for one in found)
    return f", probably because of {' or '.join(names)}" if names else ""


@attrs.define(eq=False)
class Effects:
    """Reads what was written, and says what the database did otherwise.

    Args:
        statements: Where the transaction is.
        same: Compares raw values with expected ones.
        attributes: Gives the attributes of a table that are synced.
    """

    statements: Statements
    same: Same
    attributes: Callable[[Any], Iterable[str]] = lambda _: ()
    acts: bool = attrs.field(init=False, default=False)
    """Whether the database does things by itself where one of the tables is written."""
    _interventions: dict[StoredTable, Sequence[Intervention]] = attrs.field(init=False, factory=dict)
    _noted: dict[int, tuple[str, str]] = attrs.field(init=False, factory=dict)
    """The tables of changes that were done otherwise, with the likely reason, by position."""
    _acting: dict[StoredTable, bool] = attrs.field(init=False, factory=dict)
    _updating: dict[StoredTable, Sequence[tuple[str, ...]]] = attrs.field(init=False, factory=dict)
    _referring: dict[tuple[int, str, str], int] = attrs.field(init=False, factory=dict)
    """How many references follow an update, by position, table and the table that they refer to."""
    _orphans: dict[tuple[int, str], tuple[str, int]] = attrs.field(init=False, factory=dict)
    """The table of a new owner, and how many old members of its key were removed, by position and link table."""

    def interventions(self, stored: StoredTable, verb: str) -> list[Intervention]:
        """Return what may do something else when rows of a table are written; asked for once a table."""
        if stored not in self._interventions:
            with self.statements.guarded():
                found = self.statements.dialect.interventions(self.statements.connection, stored.table)
            self._interventions[stored] = found
            self.acts = self.acts or bool(stored.generated) or any(one.changes_rows for one in found)
        return [one for one in self._interventions[stored] if verb in one.verbs]

    def expect(self, stored: StoredTable, verb: str) -> None:
        """Count what is written from now on, if something may happen besides when rows of a table are written."""
        if stored.is_view:
            return
        if stored not in self._acting:
            with self.statements.guarded():
                dialect, connection = self.statements.dialect, self.statements.connection
                self._acting[stored] = dialect.counts_always or dialect.acts_on_others(connection, stored.table)
        # Asked for in any case, as they are what says whether the store acts by itself.
        interventions = self.interventions(stored, verb)
        if self._acting[stored] or any(one.changes_rows for one in interventions):
            self.statements.counts.begin()

    def current(self, keyed: KeyedTable, keys: Iterable[Key], attributes: Iterable[str], *, lock: bool) -> Current:
        """Read the rows of keys, with these attributes.

        Args:
            keyed: Where they are.
            keys: The keys.
            attributes: The attributes.
            lock: Whether nobody else is to change them from now on.
        """
        asked, wanted = dict.fromkeys(attributes), dict.fromkeys(keys)
        found = self.statements.rows(keyed, wanted, asked, lock=lock)  # first, as their locks keep new members out
        hidden = [key for key in wanted if key not in found.exact] if lock else []
        if hidden and not all(one.changes_rows for one in self.interventions(keyed.target.stored, "update")):
            # A row that may be read but not updated cannot be locked, either.
            more = self.statements.rows(keyed, hidden, asked, lock=False)
            found = Found({**found.exact, **more.exact}, {**found.spelled, **more.spelled})
        links = {name: link for name, link in keyed.target.links.items() if name in asked}
        return Current(found, {name: self.statements.members(keyed, link, wanted) for name, link in links.items()})

    def besides(self, keyed: KeyedTable) -> list[str]:
        """Return the attributes that may change together with those that are updated."""
        stored = keyed.target.stored
        names = [name for name in self.attributes(keyed.table) if keyed.table.column(name) in stored.encoders]
        if not names or not any(one.changes_rows for one in self.interventions(stored, "update")):
            return []
        return [name for name in names if name not in keyed.target.links]

    def inserted(self, keyed: KeyedTable, units: Sequence[Unit]) -> list[Outcome]:
        """Return what became of insertions.

        Raises:
            RefusalError: Two of them have keys that the database takes for one.
        """
        self._refuse_doubles(keyed.target.stored, keyed.keys, [unit.key for unit in units])
        return self._written(keyed, units, None)

    def _refuse_doubles(self, stored: StoredTable, columns: Sequence[sa.Column[Any]], keys: Sequence[Key]) -> None:
        names = frozenset(column.name for column in columns)
        if len(keys) > 1 and names != frozenset(stored.primary_key) and names not in stored.unique:
            self.statements.refuse_doubles(columns, keys)

    def updated(
        self,
        keyed: KeyedTable,
        units: Sequence[Unit],
        before: Current | None = None,
        swallowed: Collection[Unit] | None = (),
    ) -> list[Outcome]:
        """Return what became of updates.

        Args:
            keyed: Where they were made.
            units: The updates.
            before: The rows as they were before; if None, they were just as expected.
            swallowed: Those that wrote no row; None, if some did not and it is not known which.

        Raises:
            RefusalError: It has to be known which of them wrote no row.
        """
        return self._written(keyed, units, before, swallowed)

    def deleted(self, keyed: KeyedTable, units: Sequence[Unit]) -> list[Outcome]:
        """Return what became of deletions."""
        now = self.current(keyed, [unit.key for unit in units], keyed.target.links, lock=False)
        return [self._gone(now, unit) for unit in units]

    def _gone(self, now: Current, unit: Unit) -> Outcome:
        if unit.key in now.found.exact:
            return self.failed(unit.keyed.target.stored, "delete", "the row is still there after it was deleted")
        for attribute, members in now.members.items():
            if members.get(unit.key):
                link = unit.keyed.target.links[attribute]
                return self.failed(link.stored, "delete", f"its {attribute} are still there after they were deleted")
        return DONE

    def linked(self, link: StoredLink, units: Sequence[Unit]) -> list[Outcome]:
        """Return what became of new members.

        Raises:
            RefusalError: The database takes two of them for one.
        """
        pairs = [unit.member[1:] for unit in units]
        self._refuse_doubles(link.stored, (*link.owners, link.member), pairs)
        there = self.statements.linked(link, pairs).exact
        failed = self.failed(link.stored, "insert", "the member is not there after it was added")
        return [DONE if unit.member[1:] in there else failed for unit in units]

    def unlinked(self, link: StoredLink, units: Sequence[Unit]) -> list[Outcome]:
        """Return what became of members that were removed."""
        there = self.statements.linked(link, [unit.member[1:] for unit in units]).exact
        failed = self.failed(link.stored, "delete", "the member is still there after it was removed")
        return [failed if unit.member[1:] in there else DONE for unit in units]

    def failed(self, stored: StoredTable, verb: str, message: str) -> Outcome:
        """Return a failure with the likely reason."""
        return Outcome("failed", f"{message}{self._probably(stored, verb)}")

    def _probably(self, stored: StoredTable, verb: str) -> str:
        return probably(self.interventions(stored, verb))

    def _written(
        self,
        keyed: KeyedTable,
        units: Sequence[Unit],
        before: Current | None,
        swallowed: Collection[Unit] | None = (),
    ) -> list[Outcome]:
        verb = units[0].verb
        asked = dict.fromkeys(name for unit in units for _, change in unit.changes for name in change.values)
        unasked = [] if before is None else self.besides(keyed)
        now = self._now(keyed, units, [*asked, *unasked])
        otherwise = self._otherwise(now, units)
        found = []
        for index, unit in enumerate(units):
            rows = now.found.exact.get(unit.key, ())
            if len(rows) != 1 or unit.key in now.found.spelled:
                what = "it is not there" if not rows else "its key stands in more than one row"
                found.append(self.failed(keyed.target.stored, verb, f"{what} after it was written"))
                continue
            wrong = otherwise.get(index, {})
            still = [name for name, change in wrong.items() if self._is_as_before(now, before, unit, change, name)]
            normalized = [
                name for name in still if _spelt_otherwise(now.value(unit.key, name), wrong[name].values[name])
            ]
            if verb == "update" and normalized and swallowed is None:
                message = f"some rows were not written, and perhaps that of {unit.key!r}"
                raise RefusalError(message, None)
            if unit not in (swallowed or ()):
                # A trigger that makes one spelling of all has written it, this night as the last.
                still = [name for name in still if name not in normalized]
            if verb == "update" and still:
                found.append(self._unchanged(keyed, still))
                continue
            besides = [name for name in unasked if name not in unit.asked and _differs(now, before, unit.key, name)]
            found.append(self._held_outcome(now, unit, wrong, besides) if wrong or besides else DONE)
        return found

    def _unchanged(self, keyed: KeyedTable, attributes: Sequence[str]) -> Outcome:
        """Return the failure of an update that left attributes as they were."""
        message = f"not changed by the update: {', '.join(attributes)}"
        stored = self._stored(keyed, attributes[0])
        if computed := [name for name in attributes if keyed.table.column(name) in stored.computed]:
            which = "which the database computes" if len(attributes) == 1 else f"of which it computes {computed[0]}"
            return Outcome("failed", f"{message}, {which}: leave {', '.join(computed)} out of _attributes")
        return self.failed(stored, "update", message)

    def _now(self, keyed: KeyedTable, units: Sequence[Unit], attributes: Sequence[str]) -> Current:
        """Return what stands in the rows of units, by the keys that they had before: an update may change them."""
        keys = [unit.key for unit in units]
        if units[0].verb != "update" or not set(units[0].change.identifiers).intersection(attributes):
            return self.current(keyed, keys, attributes, lock=False)
        after = {unit.key: key for unit in units if (key := _key_after(unit)) != unit.key}
        now = self.current(keyed, [*keys, *after.values()], attributes, lock=False)
        return now.moved({old: new for old, new in after.items() if new in now.found.exact})  # or it stayed

    def _stored(self, keyed: KeyedTable, attribute: str) -> StoredTable:
        links = keyed.target.links
        return links[attribute].stored if attribute in links else keyed.target.stored

    def _otherwise(self, now: Current, units: Sequence[Unit]) -> dict[int, dict[str, Change]]:
        """Return the attributes that are not as they were asked to be, with the change that asked, by index."""
        columns: dict[str, list[tuple[int, Change]]] = {}
        for index, unit in enumerate(units):
            if len(now.found.exact.get(unit.key, ())) == 1:
                for _, change in unit.changes:
                    for name in change.values:
                        columns.setdefault(name, []).append((index, change))
        otherwise: dict[int, dict[str, Change]] = {}
        for name, asked in columns.items():
            link = units[0].keyed.target.links.get(name)
            if link is not None:
                for index, change in asked:
                    if (
                        now.members[name].get(units[index].key, {}).keys()
                        != self.matched(link, change.values[name]).keys()
                    ):
                        otherwise.setdefault(index, {})[name] = change
                continue
            raws = [now.value(units[index].key, name) for index, _ in asked]
            values = [change.values[name] for _, change in asked]
            if same_column(self.same, asked[0][1], name, raws, values):
                continue
            for (index, change), raw, value in zip(asked, raws, values, strict=True):
                if not self.same(change, name, raw, value):
                    otherwise.setdefault(index, {})[name] = change
        return otherwise

    def matched(self, link: StoredLink, members: Iterable[Any] | None) -> dict[Key, None]:
        """Return what a link table's matcher makes of members."""
        match = link.stored.matcher([link.member])
        with self.statements.guarded():
            return dict.fromkeys(match([member]) for member in members or ())

    def _is_as_before(self, now: Current, before: Current | None, unit: Unit, change: Change, name: str) -> bool:
        """Say whether an attribute has its old value."""
        raw = now.value(unit.key, name)
        if before is not None:
            return bool(raw == before.value(unit.key, name))
        return name in change.expected and self.same(change, name, raw, change.expected[name])

    def _held_outcome(self, now: Current, unit: Unit, wrong: Mapping[str, Change], besides: Sequence[str]) -> Outcome:
        """Return what is to be said of changes that were made, but not just as they were asked for."""
        parts = []
        for number, (_, change) in enumerate(unit.changes):
            sentences, held = [], {}
            for name in change.values:
                if wrong.get(name) is change:
                    held[name] = now.value(unit.key, name)
                    asked = shortened(change.values[name])
                    sentences.append(f"{name} is stored as {shortened(held[name])} (asked: {asked})")
            for name in besides if number == 0 else ():
                held[name] = now.value(unit.key, name)
                sentences.append(f"{name} became {shortened(held[name])} with it")
            if held:
                reason = f"{'; '.join(sentences)}{self._probably(unit.keyed.target.stored, unit.verb)}"
                parts.append(Outcome("done", reason, Held(held)))
            else:
                parts.append(DONE)
        if len(parts) == 1:
            return parts[0]
        return SharedOutcome("done", parts=tuple(parts))

    def note(self, unit: Unit, outcome: Outcome) -> None:
        """Remember what a change did otherwise, for `warnings`."""
        for (position, _), one in zip(unit.changes, outcomes_of(unit, outcome), strict=True):
            if one.held is not None:
                stored = unit.keyed.target.stored
                self._noted[position] = (stored.name, self._probably(stored, unit.verb))

    def note_orphans(self, unit: Unit, link: StoredTable, owners: StoredTable, count: int) -> None:
        """Remember how many members without an owner were removed when it was made, for `warnings`."""
        self._orphans[unit.changes[0][0], link.name] = (owners.name, count)

    def note_updating(self, unit: Unit, values: Iterable[str]) -> None:
        """Remember how many references will change with an updated row, where nothing counts them, for `warnings`."""
        stored, keys = unit.keyed.target.stored, unit.keyed.keys
        if stored not in self._updating:
            with self.statements.guarded():
                self._updating[stored] = self.statements.dialect.updating_keys(self.statements.connection, stored.table)
        columns = {unit.keyed.target.column(name).name for name in values}
        for _, group in groupby(self._updating[stored], key=itemgetter(0, 1, 2)):
            (_, schema, name, *_), *_ = parts = list(group)
            if columns.isdisjoint(to for *_, to in parts) or any(followed_of(column) is not None for column in keys):
                continue
            child = sa.table(name, *(sa.column(own) for *_, own, _ in parts), schema=schema).alias("referring")
            pairs = [child.columns[own] == stored.column(to) for *_, own, to in parts]
            own = [column == sa.literal(value, column.type) for column, value in zip(keys, unit.key, strict=True)]
            statement = sa.select(sa.func.count()).select_from(child.join(stored.table, sa.and_(*pairs))).where(*own)
            [(count,)] = self.statements.execute(statement)
            position = unit.changes[0][0], name, stored.name
            self._referring[position] = self._referring.get(position, 0) + count

    def warnings(self, outcomes: Sequence[Outcome]) -> Iterator[str]:
        """Yield a sentence for each column that holds something else than was asked, by the outcomes in the end."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for position, (table, probably) in self._noted.items():
            held = outcomes[position].held
            counts.update((table, name, probably) for name in (held.values if held else ()))
        for (table, name, probably), count in counts.items():
            values = "1 value is" if count == 1 else f"{count:,} values are"
            yield f"table {table!r}: {values} stored otherwise than asked in {name}{probably}"
        followed: Counter[tuple[str, str]] = Counter()
        for (position, child, parent), count in self._referring.items():
            if outcomes[position].status == "done":
                followed[child, parent] += count
        for (child, parent), count in sorted((+followed).items()):
            rows_were = "1 row was" if count == 1 else f"{count:,} rows were"
            yield f"table {child!r}: {rows_were} updated besides, as foreign keys to {parent!r} have it (ON UPDATE)"
        rows: Counter[tuple[str, str]] = Counter()
        for (position, link), (owners, count) in self._orphans.items():
            if outcomes[position].status == "done":
                rows[link, owners] += count
        for (link, owners), count in rows.items():
            yield orphans_text(link, owners, count)


def _key_after(unit: Unit) -> Key:
    """Return the key of an object after its changes."""
    values = dict(zip(unit.change.identifiers, unit.change.key, strict=True))
    written = {name: value for _, change in unit.changes for name, value in change.values.items() if name in values}
    return unit.keyed.match((values | written).values()) if written else unit.key


def _moved(found: Mapping[Key, T], keys: Mapping[Key, Key]) -> dict[Key, T]:
    there = {key: value for key, value in found.items() if key not in keys}
    return there | {old: found[new] for old, new in keys.items() if new in found}


def _spelt_otherwise(raw: Any, asked: Any) -> bool:
    if not (isinstance(raw, str) and isinstance(asked, str)):
        return False
    left, right = ("".join(text.casefold().split()) for text in (raw, asked))
    return left == right


def _differs(now: Current, before: Current | None, key: Key, name: str) -> bool:
    return before is not None and bool(now.value(key, name) != before.value(key, name))
