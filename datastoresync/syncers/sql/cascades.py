"""What a database does to rows that refer to deleted ones, by ON DELETE: foreseen, and kept from what is to stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, islice
from typing import Any, Literal

import attrs
import sqlalchemy as sa

from datastoresync.printing.text import counted
from datastoresync.syncers.changes import Cascade, Change, ChangeBatch, Table, segments_of
from datastoresync.syncers.sql.catalog import Catalogue, StoredTable, Target
from datastoresync.syncers.sql.database import Database
from datastoresync.syncers.sql.dialects import dialect_of
from datastoresync.syncers.sql.references import Joins, followed_of
from datastoresync.syncers.sql.row_counts import RowCount
from datastoresync.syncers.sql.spellings import Key, among, compared
from datastoresync.syncers.sql.statements import SEGMENT, KeyedTable

Execute = Callable[[sa.Executable], Sequence[Any]]
Effect = Literal["deleted", "set to NULL", "set to its default"]

_EFFECTS: Mapping[str, Effect] = {
    "CASCADE": "deleted",
    "SET NULL": "set to NULL",
    "SET DEFAULT": "set to its default",
}
_ROWS = 1_000
"""Rows whose followers are looked for at a time."""
_MOST = 1_000_000
"""Rows of a table that are counted."""


@attrs.frozen
class CascadingKey:
    """A foreign key that does something to the rows that have it when those are deleted that it refers to.

    Args:
        table: The table that has it, with its schema.
        columns: Its columns.
        parent: The table that it refers to, with its schema.
        to: The columns there.
        effect: What becomes of the rows, or of their references.
    """

    table: str
    columns: tuple[str, ...]
    parent: str
    to: tuple[str, ...]
    effect: Effect


def cascading_keys(connection: sa.Connection, *, heeded: bool = False) -> list[CascadingKey]:
    """Return all foreign keys of a database that do something on deletion; none if they are not heeded.

    Args:
        connection: Where to look.
        heeded: Whether they are heeded in writing, if they are not on this connection.
    """
    dialect = dialect_of(connection.dialect)
    if not (heeded or dialect.heeds_foreign_keys(connection)):
        return []
    return [
        CascadingKey(table, tuple(columns), parent, tuple(to), _EFFECTS[rule.upper()])
        for table, columns, parent, to, rule in dialect.foreign_keys(connection)
        if rule.upper() in _EFFECTS
    ]


@attrs.frozen(eq=False)
class KnownTable:
    """A table of the tree: that of a branch, or of the memberships of one of its attributes.

    Args:
        stored: The table.
        columns: What identifies a row: the columns of its key, or the owner's and that of the member.
        table: The branch's table, as it was declared.
        owner: The table of the branch, with its schema.
        attribute: The attribute with the memberships; empty for the table of the branch.
    """

    stored: StoredTable
    columns: tuple[sa.Column[Any], ...]
    table: Table
    owner: str
    attribute: str = ""

    def owner_of(self, key: Key) -> Key:
        """Return the key of the object that a row is of, or that has it among its memberships."""
        return key[: len(key) - 1] if self.attribute else key

    def attributes(self, columns: Iterable[str]) -> set[str]:
        """Return the attributes that columns of the branch's table have."""
        names = self.table.attributes
        return {names.get(column, column) for column in columns}


@attrs.frozen(eq=False)
class Affected:
    """A row that the database deletes or changes along with a deleted one; or several, if only their number matters.

    Args:
        by: The foreign key by which it is affected.
        root: The key of the deleted row with which this began; empty if that is not asked for.
        rows: How many rows there are.
        known: What the tree knows of the table of the row; None if the tree does not have that table.
        key: The key of the row; empty for several.
    """

    by: CascadingKey
    root: Key
    rows: int = 1
    known: KnownTable | None = None
    key: Key = ()


Spared = Callable[[KnownTable, CascadingKey, Key], bool]
"""Says whether a row of the tree is not affected: the run deletes it itself, or has it refer to another row by then."""


class CascadeWalk:
    """Follows foreign keys from rows that are to be deleted to all rows that something becomes of.

    Args:
        connection: Where to look.
        store: The store's name, for messages.
        execute: Runs a statement there, and returns its rows.
        tables: The tables of the tree.
        heeded: Whether foreign keys are heeded when it comes to deleting, if they are not on this connection.
        by_root: Whether it is asked for which deleted row something becomes of a row.
    """

    def __init__(
        self,
        connection: sa.Connection,
        store: str,
        execute: Execute,
        tables: Iterable[Table],
        *,
        heeded: bool = False,
        by_root: bool = True,
    ) -> None:
        self._by_root = by_root
        self._execute = execute
        self._dialect = dialect_of(connection.dialect)
        self._catalogue = Catalogue(connection, store, indexes=False)
        self._tables = list(tables)
        self._keys: dict[str, list[CascadingKey]] = {}
        for key in cascading_keys(connection, heeded=heeded):
            self._keys.setdefault(self._plain(key.parent), []).append(key)
        self._known: dict[str, list[KnownTable]] | None = None

    @property
    def follows_nothing(self) -> bool:
        """Whether no foreign key does anything on deletion."""
        return not self._keys

    def concerns(self, full_name: str) -> bool:
        """Say whether deleting rows of a table can do anything to others."""
        return self._plain(full_name) in self._keys

    def shown(self, full_name: str) -> str:
        """Return the name of a table as users write it."""
        return full_name.removeprefix(f"{self._catalogue.default_schema}.")

    def objects(self, changes: Iterable[Change]) -> Iterator[tuple[str, Key]]:
        """Yield the table and the key of what changes are about."""
        found: dict[tuple[int, tuple[str, ...]], KeyedTable] = {}
        for change in changes:
            keyed = _keyed(found, self._catalogue, change)
            yield keyed.target.stored.full_name, keyed.match(change.key)

    def total(self, full_name: str) -> int:
        """Return how many rows a table has, up to a number from which on counting takes long."""
        some = sa.select(sa.literal(1)).select_from(self._catalogue.find(full_name).table).limit(_MOST).subquery()
        [(count,)] = self._execute(sa.select(sa.func.count()).select_from(some))
        return int(count)

    def _plain(self, name: str) -> str:
        return name.casefold() if self._dialect.folds_names else name

    def _knowledge(self, full_name: str) -> list[KnownTable]:
        if self._known is None:
            self._known = {}
            for one in chain.from_iterable(map(self._of_branch, self._tables)):
                self._known.setdefault(self._plain(one.stored.full_name), []).append(one)
        return self._known.get(self._plain(full_name), [])

    def _of_branch(self, table: Table) -> Iterator[KnownTable]:
        if self._catalogue.locate(table.name) is None:
            return
        target = Target(self._catalogue, table)
        own = table.keys.get(table.name) or target.stored.primary_key
        full_name = target.stored.full_name
        yield KnownTable(target.stored, tuple(map(target.stored.column, own)), table, full_name)
        for attribute, link in target.links.items():
            yield KnownTable(link.stored, (*link.owners, link.member), table, full_name, attribute)

    def run(
        self, stored: StoredTable, columns: Sequence[sa.Column[Any]], keys: Iterable[Key], spared: Spared
    ) -> Iterator[Affected]:
        """Yield what becomes of rows if those with some keys are deleted.

        Args:
            stored: Their table.
            columns: The columns of the keys.
            keys: The keys.
            spared: Says which rows of the tree are not meant; what refers to these is not followed either.
        """
        referring = self._keys.get(self._plain(stored.full_name), [])
        for some in _blocks(keys if referring else ()):
            yield from self._follow(referring, self._rows(stored, columns, some, _needed(referring)), spared)

    def _rows(
        self, stored: StoredTable, columns: Sequence[sa.Column[Any]], keys: Sequence[Key], needed: Sequence[str]
    ) -> Sequence[_Parent]:
        """Return the rows of some keys, with the values that others refer to them by."""
        names = [column.name for column in columns]
        if set(needed) <= set(names) and all(followed_of(column) is None for column in columns):
            return [(dict(zip(names, key, strict=True)), key) for key in keys]  # nobody refers to one that is not there
        joins, match = Joins(stored.table), stored.matcher(columns)
        own = list(map(joins.column, columns))
        statement = sa.select(*own, *(stored.column(name) for name in needed)).select_from(joins.source)
        return [
            (dict(zip(needed, row[len(columns) :], strict=True)), match(row[: len(columns)]))
            for row in map(tuple, self._execute(statement.where(self._among(own, keys))))
        ]

    def _follow(self, referring: Sequence[CascadingKey], rows: Sequence[_Parent], spared: Spared) -> Iterator[Affected]:
        waiting = [(referring, rows, False)]
        seen: dict[tuple[str, Key], set[Key]] = {}
        while waiting:
            keys, parents, again = waiting.pop()
            for key in keys:
                further = self._keys.get(self._plain(key.table), []) if key.effect == "deleted" else []
                found: tuple[list[_Parent], list[_Parent]] = ([], [])
                for affected, row in self._children(key, parents, _needed(further), spared):
                    if affected.known is not None or not again:
                        yield affected
                    roots = seen.setdefault((key.table, tuple(row.values())), set()) if further else {affected.root}
                    if affected.root not in roots:
                        # What goes with two of the deleted rows is counted once, and keeps both of them if it is kept.
                        found[bool(roots)].append((row, affected.root))
                        roots.add(affected.root)
                waiting += [(further, some, again or some is found[True]) for some in found if some]

    def _children(
        self, key: CascadingKey, parents: Sequence[_Parent], needed: Sequence[str], spared: Spared
    ) -> Iterator[tuple[Affected, dict[str, Any]]]:
        """Yield the rows that refer to some by a foreign key, with the values that others refer to them by."""
        stored, known = self._catalogue.find(key.table), self._knowledge(key.table)
        joins = Joins(stored.table)
        own = [stored.column(name) for name in key.columns]
        selected: list[sa.ColumnElement[Any]] = [*own, *(stored.column(name) for name in needed)]
        for one in known:
            selected += map(joins.column, one.columns)
        counted = not (known or needed)
        if counted:
            selected.append(sa.func.count())
        roots = _roots(parents, key.to)
        for some in _blocks(roots):
            source, condition = self._referring(key, joins.source, own, some)
            statement = sa.select(*selected).select_from(source).where(condition)
            if counted and not self._by_root:
                [(rows,)] = self._execute(sa.select(sa.func.count()).select_from(source).where(condition))
                if rows:
                    yield Affected(key, (), rows), {}
                continue
            children = list(map(tuple, self._execute(statement.group_by(*own) if counted else statement)))
            meant = self._meant(key, {row[: len(own)] for row in children}, {values: roots[values] for values in some})
            for row in children:
                of_row, rest = meant[row[: len(own)]], row[len(own) :]
                if counted:
                    yield Affected(key, of_row[0], rest[0]), {}
                    continue
                referred, rest = dict(zip(needed, rest, strict=False)), rest[len(needed) :]
                identities = []
                for one in known:
                    identities.append(one.stored.matcher(one.columns)(rest[: len(one.columns)]))
                    rest = rest[len(one.columns) :]
                if any(spared(one, key, identity) for one, identity in zip(known, identities, strict=True)):
                    continue
                for root in of_row:
                    yield Affected(key, root, 1, *((known[0], identities[0]) if known else ())), referred

    def _referring(
        self, key: CascadingKey, source: sa.FromClause, own: Sequence[sa.Column[Any]], values: Sequence[Key]
    ) -> tuple[sa.FromClause, sa.ColumnElement[bool]]:
        """Return where to look for rows that refer to these values, and the condition for one."""
        if not self._dialect.compares_as_referred:
            return source, self._among(own, values)
        stored = self._catalogue.find(key.parent)
        parent = stored.table.alias("referred")
        to = [parent.columns[stored.column(name).key] for name in key.to]
        pairs = [referred == column for referred, column in zip(to, own, strict=True)]  # the left one says how
        return source.join(parent, sa.and_(*pairs)), self._among(to, values)

    def _meant(
        self, key: CascadingKey, children: AbstractSet[Key], roots: Mapping[Key, list[Key]]
    ) -> dict[Key, list[Key]]:
        """Return the deleted rows for the values of a foreign key, in the spelling that these have where it is.

        Only the database knows which value of another spelling it takes for them; if that does not tell, it is all.
        """
        meant = {values: roots[values] for values in children if values in roots}
        others = [values for values in children if values not in roots]
        if not others:
            return meant
        stored = self._catalogue.find(key.parent)
        to = [stored.column(name) for name in key.to]
        match = stored.matcher(to)
        matched = {match(values): of_values for values, of_values in roots.items()}
        for values, raw in compared(self._execute, self._dialect, to, others):
            meant[values] = list(dict.fromkeys([*meant.get(values, []), *matched.get(match(raw), [])]))
        every = list(dict.fromkeys(chain.from_iterable(roots.values())))
        return {values: meant.get(values) or every for values in children}

    def _among(self, columns: Sequence[sa.ColumnElement[Any]], keys: Sequence[Key]) -> sa.ColumnElement[bool]:
        return among(self._dialect, columns, keys)


_Parent = tuple[dict[str, Any], Key]
"""The values of a row that others refer to it by, and the key of the deleted row that it comes from."""


def _roots(parents: Iterable[_Parent], columns: Sequence[str]) -> dict[Key, list[Key]]:
    """Return the deleted rows by the values of columns by which others refer to them, or to what goes with them."""
    roots: dict[Key, dict[Key, None]] = {}
    for row, root in parents:
        values = tuple(row[name] for name in columns)
        if None not in values:
            roots.setdefault(values, {})[root] = None
    return {values: list(found) for values, found in roots.items()}


def _needed(keys: Iterable[CascadingKey]) -> list[str]:
    return list(dict.fromkeys(name for key in keys for name in key.to))


def _blocks(keys: Iterable[Key]) -> Iterator[list[Key]]:
    waiting = iter(keys)
    while block := list(islice(waiting, _ROWS)):
        yield block


def foreseen(database: Database, changes: Iterable[Change], tables: Iterable[Table]) -> list[Cascade]:
    """Return what deletions would do besides, as `SQLSyncer.cascades` describes it."""
    with database.reading() as connection, database.translated_errors("cannot read the foreign keys of"):

        def execute(statement: sa.Executable) -> Sequence[Any]:
            return connection.execute(statement).all()

        found = CascadeWalk(connection, database.name, execute, tables, heeded=database.foreign_keys, by_root=False)
        if found.follows_nothing:  # before the changes are made, since there may be many
            return []
        plan = _Plan(Catalogue(connection, database.name, indexes=False), changes)
        counts: Counter[tuple[str, Effect, str]] = Counter()
        seen: set[tuple[str, Effect, Key]] = set()
        for stored, columns, keys in plan.deletions():
            for one in found.run(stored, columns, keys, plan.spares):
                identity = (one.by.table, one.by.effect, one.key)
                if one.known is None or identity not in seen:
                    counts[one.by.table, one.by.effect, one.by.parent] += one.rows
                    seen.add(identity)
        totals = {table: found.total(table) for table, _, _ in counts}
        return [
            Cascade(found.shown(table), effect, rows, found.shown(parent), max(rows, totals[table]))
            for (table, effect, parent), rows in sorted(counts.items())
        ]


def _keyed(
    found: dict[tuple[int, tuple[str, ...]], KeyedTable], catalogue: Catalogue, change: Change | ChangeBatch
) -> KeyedTable:
    identity = (id(change.table), change.identifiers)
    if identity not in found:
        found[identity] = KeyedTable(catalogue, change)
    return found[identity]


class _Plan:
    """The changes of a run, as far as they decide on what deletions do besides.

    Args:
        catalogue: Where to look tables up.
        changes: The changes.
    """

    def __init__(self, catalogue: Catalogue, changes: Iterable[Change]) -> None:
        self._deleted: dict[str, dict[Key, None]] = {}
        self._updated: dict[str, dict[Key, set[str]]] = {}
        self._unlinked: set[tuple[str, Key]] = set()
        self._targets: dict[str, tuple[StoredTable, tuple[sa.Column[Any], ...]]] = {}
        found: dict[tuple[int, tuple[str, ...]], KeyedTable] = {}
        for part in chain.from_iterable(segments_of(changes, SEGMENT, _ROWS)):
            if isinstance(part, ChangeBatch) and part.verb == "delete":
                self._note_deletions(_keyed(found, catalogue, part), part.keys)
                continue
            for change in part:
                if change.verb in ("delete", "update", "unlink"):
                    self._note(_keyed(found, catalogue, change), change)

    def _note_deletions(self, keyed: KeyedTable, keys: Sequence[Key]) -> None:
        stored = keyed.target.stored
        self._targets[stored.full_name] = (stored, keyed.keys)
        self._deleted.setdefault(stored.full_name, {}).update(dict.fromkeys(stored.matched(keyed.keys, keys)))

    def _note(self, keyed: KeyedTable, change: Change) -> None:
        target, key = keyed.target, keyed.match(change.key)
        name = target.stored.full_name
        if change.verb == "delete":
            self._note_deletions(keyed, [change.key])
        elif change.verb == "update":
            self._updated.setdefault(name, {}).setdefault(key, set()).update(change.values)
        else:
            for attribute, member in change.values.items():
                if attribute in target.links:
                    link = target.links[attribute]
                    match = link.stored.matcher((*link.owners, link.member))
                    self._unlinked.add((f"{name}.{attribute}", match((*key, member))))

    def deletions(self) -> Iterator[tuple[StoredTable, tuple[sa.Column[Any], ...], Iterable[Key]]]:
        """Yield the tables that rows are deleted from, with the columns of their keys, and the keys."""
        for name, keys in self._deleted.items():
            yield (*self._targets[name], keys)

    def spares(self, known: KnownTable, by: CascadingKey, key: Key) -> bool:
        """Say whether a row is deleted by the run itself, or refers to something else by then."""
        owner = known.owner_of(key)
        if owner in self._deleted.get(known.owner, ()):
            return True
        changed = self._updated.get(known.owner, {}).get(owner, ())
        if known.attribute:
            return known.attribute in changed or (f"{known.owner}.{known.attribute}", key) in self._unlinked
        return not known.attributes(by.columns).isdisjoint(changed)


@attrs.define(eq=False)
class CascadeGuard:
    """Keeps deletions from taking along, or changing, what the run keeps; and counts what else they do.

    Args:
        connection: Where the transaction is.
        store: The store's name, for messages.
        execute: Runs a statement there, and returns its rows.
        tables: The tables of the tree; those that something is deleted from are, too.
        along: Deletions that the database is left to make.
    """

    connection: sa.Connection
    store: str
    execute: Execute
    tables: list[Table]
    along: Sequence[Change] = ()
    _found: CascadeWalk | None = attrs.field(init=False, default=None)
    _along: frozenset[tuple[str, Key]] = attrs.field(init=False, default=frozenset())
    _counts: dict[tuple[str, Key], Counter[CascadingKey]] = attrs.field(init=False, factory=dict)
    _taken: dict[tuple[str, CascadingKey, Key], None] = attrs.field(init=False, factory=dict)
    """What is deleted by the run itself, but goes or changes before, with something else."""

    def kept(
        self, keyed: KeyedTable, keys: Iterable[Key], together: AbstractSet[tuple[str, Key]] = frozenset()
    ) -> dict[Key, str]:
        """Return the rows that cannot be deleted, by key, each with what refers to it and is kept.

        Args:
            keyed: Their table.
            keys: The keys of the rows to be deleted.
            together: The tables and keys of what else is deleted at the same time.
        """
        if all(table.name != keyed.table.name for table in self.tables):
            self.tables.append(keyed.table)
            self._found = None
        if self._found is None:
            self._found = CascadeWalk(self.connection, self.store, self.execute, self.tables)
            self._along = frozenset(self._found.objects(self.along))
        stored = keyed.target.stored
        if not self._found.concerns(stored.full_name):
            return {}
        going, kept = dict.fromkeys(keys), dict[Key, str]()
        for key in going:
            self._counts.pop((stored.full_name, key), None)
        while more := self._kept(keyed, going, together):
            kept |= more  # which in turn keeps what it refers to
            going = {key: None for key in going if key not in more}
        return kept

    def _kept(
        self, keyed: KeyedTable, keys: Mapping[Key, None], together: AbstractSet[tuple[str, Key]]
    ) -> dict[Key, str]:
        """Return the rows that cannot be deleted, if all the others are; count what else goes if there are none."""
        assert self._found is not None
        stored = keyed.target.stored
        taken: dict[tuple[str, CascadingKey, Key], None] = {}

        def spared(known: KnownTable, by: CascadingKey, key: Key) -> bool:
            owner = known.owner_of(key)
            at_once = known.owner == stored.full_name and owner in keys
            found = at_once or (known.owner, owner) in together
            if found and not known.attribute and not (at_once and by.effect == "deleted"):
                taken[known.stored.full_name, by, key] = None
            return found

        kept: dict[Key, str] = {}
        counts: dict[tuple[str, Key], Counter[CascadingKey]] = {}
        for one in self._found.run(stored, keyed.keys, keys, spared):
            if one.known is not None and (one.known.owner, one.known.owner_of(one.key)) in self._along:
                taken[one.known.stored.full_name, one.by, one.key] = None
                continue
            if one.known is None:
                counts.setdefault((stored.full_name, one.root), Counter())[one.by] += one.rows
            elif one.root not in kept:
                kept[one.root] = _reason(one, one.known)
        if not kept:
            self._counts |= counts
            self._taken |= taken
        return kept

    def forget(self, full_name: str, key: Key) -> None:
        """Take note that a row was not deleted in the end."""
        self._counts.pop((full_name, key), None)

    def done(self) -> Counter[RowCount]:
        """Return the rows that deletions have deleted or changed besides."""
        found: Counter[RowCount] = Counter()
        for table, by, _ in self._taken:
            found[table, _done(by)] += 1
        for counts in self._counts.values():
            for by, rows in counts.items():
                found[by.table, _done(by)] += rows
        return found

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each table outside of the tree in which something was done besides."""
        total: Counter[tuple[str, Effect, str]] = Counter()
        for counts in self._counts.values():
            for by, rows in counts.items():
                total[by.table, by.effect, by.parent] += rows
        for (table, effect, parent), rows in sorted(total.items()):
            shown = str if self._found is None else self._found.shown
            what = f"{counted(rows, 'row')} of table {shown(table)!r}"
            if effect == "deleted":
                yield f"{what} went with the deleted rows of {shown(parent)!r} that they referred to"
            else:
                yield f"{what} referred to deleted rows of {shown(parent)!r}, and these references were {effect}"


def _done(by: CascadingKey) -> str:
    return "deleted" if by.effect == "deleted" else "updated"


def _reason(one: Affected, known: KnownTable) -> str:
    owner = known.owner_of(one.key)
    shown = f"{known.table.name} {(owner[0] if len(owner) == 1 else owner)!r}"
    refers = f"{shown} has it in {known.attribute}" if known.attribute else f"{shown} refers to it"
    would = "it would be deleted along" if one.by.effect == "deleted" else f"the reference would be {one.by.effect}"
    return f"{refers} and is kept, but {would}, by ON DELETE {_RULES[one.by.effect]}"


_RULES: Mapping[Effect, str] = {effect: rule for rule, effect in _EFFECTS.items()}
