"""Changes for a store, in the store's own terms: tables, keys and values, one by one or in batches of one kind."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import compress, groupby, islice
from typing import Any, Literal, Protocol, TypeVar, overload

import attrs

from datastoresync.errors import SyncerError
from datastoresync.printing.text import counted
from datastoresync.syncers.table_layout import Link as Link  # noqa: PLC0414 - changes are told with these
from datastoresync.syncers.table_layout import Ref as Ref  # noqa: PLC0414 - as above
from datastoresync.syncers.table_layout import Table as Table  # noqa: PLC0414 - as above


@attrs.frozen
class Cascade:
    """What a database does to rows that refer to deleted ones, by ON DELETE.

    Args:
        table: The table of these rows.
        effect: What becomes of the rows, or of their references.
        rows: How many rows.
        parent: The table of the rows that they refer to.
        total: How many rows the table has, where they are not too many to be counted; None if that is not known.
    """

    table: str
    effect: Literal["deleted", "set to NULL", "set to its default"]
    rows: int
    parent: str
    total: int | None = None


@attrs.frozen(eq=False)
class Change:
    """One change to one record.

    Args:
        verb: ``insert``, ``update`` and ``delete`` are of the record; ``link`` and ``unlink`` of one member.
        table: The table of the record.
        identifiers: The attributes of the key.
        key: Their values, in that order; always a tuple.
        values: The new values by attribute: all for ``insert``, the changed ones for ``update``,
            ``{attribute: member}`` for ``link`` and ``unlink``, none for ``delete``.
        expected: The values at the import, by attribute: the old values for ``update``, all synced ones for
            ``delete``. A value that differs now was changed by another writer.
    """

    verb: Literal["insert", "update", "delete", "link", "unlink"]
    table: Table
    identifiers: tuple[str, ...]
    key: tuple[Any, ...]
    values: Mapping[str, Any] = attrs.field(factory=dict)
    expected: Mapping[str, Any] = attrs.field(factory=dict)

    def linked(self, links: Container[str]) -> tuple[str, Any]:
        """Return the attribute and the member of a ``link`` or ``unlink``.

        Args:
            links: The attributes that have a link table.

        Raises:
            SyncerError: It is not about one member of one of these.
        """
        attribute, member = next(iter(self.values.items()), ("", None))
        if len(self.values) != 1 or attribute not in links:
            message = (
                f"a {self.verb} in table {self.table.name!r} names {', '.join(self.values) or 'nothing'}, which is not "
                "one attribute with a link table: declare it in Table(links=...)"
            )
            raise SyncerError(message)
        return attribute, member


@attrs.frozen(eq=False, repr=False)
class Held:
    """The raw values that a store holds after a change, of the attributes that it holds otherwise than it was asked.

    Args:
        values: The values by attribute, as the store gives them.
    """

    values: Mapping[str, Any]


@attrs.frozen
class Outcome:
    """The outcome of a change.

    ``done`` says that the store holds what the change says, but for the values in ``held``. ``conflict`` and ``failed``
    were left alone or refused, and ``skipped`` depends on one that was. ``undone`` was rolled back together with a
    change that failed, or not come to.

    Args:
        status: One of these.
        reason: Why; of one that is done, what else is to be said of it.
        held: What the store holds instead of what it was asked to hold; None if there is no such thing.
    """

    status: Literal["done", "conflict", "failed", "skipped", "undone"]
    reason: str = ""
    held: Held | None = attrs.field(default=None, repr=False)


class Dependencies(Protocol):
    """Knows which changes depend on which, so that what depends on a failure is left out."""

    @property
    def active(self) -> bool:
        """Whether any change may be blocked; until then no change is asked about."""
        ...

    def note(self, change: Change, outcome: Outcome) -> None:
        """Take note of a change that was not done."""
        ...

    def blocked(self, change: Change) -> str:
        """Return the reason why a change has to be left out; empty if it can be made."""
        ...


def _no_table(table: Table) -> bool:  # noqa: ARG001 - the signature of the option
    return False


def _no_attributes(table: Table) -> Sequence[str]:  # noqa: ARG001 - as above
    return ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WriteOptions:
    """How a store applies changes.

    Args:
        on_error: ``"stop"`` rolls everything back if a change fails, and names all that fail; ``"continue"`` leaves
            those out and keeps the rest.
        rehearse: Whether everything is rolled back at the end, with the outcomes of a real run.
        whole: Says whether an import read all rows of a table, so that a row that is not in the import is newer.
        tables: The tables of all branches of the destination, those without changes too.
        attributes: Gives the attributes of a table that are synced, so that it is seen if others change with one.
        dependencies: Which changes depend on which; None if none do.
        along: Deletions that are not among the changes, as the store makes them itself with those of the parents.
        left_out: New objects that are not among the changes, whose rows in another spelling are not deleted either.
    """

    on_error: Literal["stop", "continue"] = "stop"
    rehearse: bool = False
    whole: Callable[[Table], bool] = _no_table
    tables: Sequence[Table] = ()
    attributes: Callable[[Table], Sequence[str]] = _no_attributes
    dependencies: Dependencies | None = None
    along: Sequence[Change] = ()
    left_out: Sequence[Change] = ()


def ownerless_text(link: str, owners: str, keys: Collection[tuple[Any, ...]]) -> str:
    """Return the warning about members whose owners, by these keys, are not in the table of owners."""
    key: Any = min(keys, key=repr)
    return (
        f"table {link!r} has members of {counted(len(keys), 'owner')} not in table {owners!r} (such as "
        f"{key[0] if len(key) == 1 else key}): they have no owner, and are left out; in a destination, "
        "a run that makes one of that key removes them"
    )


def orphans_text(link: str, owners: str, count: int) -> str:
    """Return the warning about members that an earlier owner left behind, and that were removed with a new one."""
    rows = "1 row had" if count == 1 else f"{count:,} rows had"
    return (
        f"table {link!r}: {rows} no owner in {owners!r} any more, and went when one of the same key was made, so that "
        "it does not get the members of an older one"
    )


class Outcomes(Sequence[Outcome]):
    """Outcomes by the positions of their changes, four bytes each, as almost all of them are the same few.

    Equal to any sequence of the same outcomes. A slice is a list.

    Args:
        count: The number of outcomes at first.
        outcome: Each of these.

    >>> outcomes = Outcomes(2, Outcome("done"))
    >>> outcomes[1] = Outcome("conflict", "changed since the import: name")
    >>> [outcome.status for outcome in outcomes]
    ['done', 'conflict']
    """

    __slots__ = ("_codes", "_kinds", "_known_codes", "acts", "warnings")

    def __init__(self, count: int = 0, outcome: Outcome | None = None) -> None:
        self.warnings: list[str] = []
        """What the store did besides, a sentence each."""
        self.acts = False
        """Whether the store does things by itself when it is written, so that what it holds has to be read again."""
        self._kinds: list[Outcome] = []
        self._known_codes: dict[Outcome, int] = {}
        self._codes = array("I")
        if outcome is not None:
            self.extend(count, outcome)

    def extend(self, count: int, outcome: Outcome) -> None:
        """Append an outcome ``count`` times."""
        self._codes.extend(array("I", [self._code(outcome)]) * count)

    def __setitem__(self, position: int, outcome: Outcome) -> None:
        self._codes[position] = self._code(outcome)

    def _code(self, outcome: Outcome) -> int:
        code = self._known_codes.setdefault(outcome, len(self._kinds))
        if code == len(self._kinds):
            self._kinds.append(outcome)
        return code

    def __len__(self) -> int:
        return len(self._codes)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> list[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | list[Outcome]:
        if isinstance(index, slice):
            return [self._kinds[code] for code in self._codes[index]]
        return self._kinds[self._codes[index]]

    def __iter__(self) -> Iterator[Outcome]:
        return map(self._kinds.__getitem__, self._codes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(left == right for left, right in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it changes

    def counts(self) -> dict[Outcome, int]:
        """Return how often there is each outcome."""
        counts = {outcome: self._codes.count(code) for code, outcome in enumerate(self._kinds)}
        return {outcome: count for outcome, count in counts.items() if count}

    def __repr__(self) -> str:
        text = ", ".join(f"{count:,} × {outcome!r}" for outcome, count in self.counts().items())
        return f"<Outcomes: {text or 'none'}>"


class Same(Protocol):
    """Compares a raw value of the store with an expected one, by the one definition of equality.

    It may also have ``same_column(change, attribute, raws, expected)``, which compares all raw values of an attribute
    with the expected ones at once, in the table of this change.
    """

    def __call__(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        """Return whether the ``raw`` value of an attribute equals the ``expected`` one."""
        ...


def same_column(same: Same, change: Change, attribute: str, raws: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Say whether all raw values of an attribute equal the expected ones, if ``same`` can tell at once; else False."""
    compare: Callable[..., bool] | None = getattr(same, "same_column", None)
    return compare is not None and compare(change, attribute, raws, expected)


class AppliesChanges(Protocol):
    """A syncer that changes single records, all of them in one transaction."""

    def apply_changes(
        self, changes: Sequence[Change], *, same: Same, options: WriteOptions | None = None
    ) -> Sequence[Outcome]:
        """Apply all changes, in their order, and return an outcome for each.

        A store without the parameter ``options`` is called without it, and stops at a failure.

        There may be too many for the memory: a single iteration, from the first to the last, has one at a time. Any
        other use of them makes a list.

        Raises:
            KeyboardInterrupt: Everything was undone, unless the exception has ``outcomes``: then these are those of
                the changes.
        """
        ...


T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@attrs.frozen(eq=False, repr=False)
class Column:
    """One attribute of many changes.

    Args:
        values: A value for each change; None for one that does not concern the attribute.
        concerns: Which changes concern the attribute; None if all do.
    """

    values: Sequence[Any]
    concerns: Sequence[bool] | None = None

    def at(self, indexes: Sequence[int]) -> Column:
        """Return the column of the changes with some indexes."""
        concerns = self.concerns and [self.concerns[index] for index in indexes]
        values = [self.values[index] for index in indexes]
        return Column(values, None if concerns is None or all(concerns) else concerns)

    def concerns_one_of(self, indexes: Sequence[int]) -> bool:
        """Say whether one of the changes with some indexes concerns the attribute."""
        return self.concerns is None or any(self.concerns[index] for index in indexes)

    def where(self, other: Column) -> Column:
        """Return the column as it is for the changes that concern another one too."""
        if other.concerns is None or self.concerns is other.concerns:
            return self
        concerns = self.concerns or [True] * len(self.values)
        return Column(self.values, [left and right for left, right in zip(concerns, other.concerns, strict=True)])

    @property
    def concerned(self) -> Sequence[Any]:
        """The values of the changes that concern the attribute."""
        return self.values if self.concerns is None else list(compress(self.values, self.concerns))


@attrs.frozen(eq=False)
class ChangeBatch(Sequence[Change]):
    """Changes of one verb to one table, column by column; each is made when it is asked for.

    Insertions all have the same attributes, and so have deletions.

    Args:
        verb: ``insert``, ``update`` or ``delete``.
        table: Where the records are.
        identifiers: The attributes that the keys are made of.
        keys: The key of each.
        values: What is to be there, by attribute.
        expected: What was there, by attribute.
    """

    verb: Any
    table: Table
    identifiers: tuple[str, ...]
    keys: Sequence[tuple[Any, ...]]
    values: Mapping[str, Column] = attrs.field(factory=dict)
    expected: Mapping[str, Column] = attrs.field(factory=dict)

    @classmethod
    def of(cls, changes: Sequence[Change]) -> ChangeBatch:
        """Return changes as columns."""
        first = changes[0]
        values = _columns([change.values for change in changes])
        expected = _columns([change.expected for change in changes])
        return cls(first.verb, first.table, first.identifiers, [change.key for change in changes], values, expected)

    def at(self, indexes: Sequence[int]) -> ChangeBatch:
        """Return the changes with some indexes, which are in order."""
        if len(indexes) == len(self.keys):
            return self
        values, expected = (
            {name: column.at(indexes) for name, column in columns.items() if column.concerns_one_of(indexes)}
            for columns in (self.values, self.expected)
        )
        return attrs.evolve(self, keys=[self.keys[index] for index in indexes], values=values, expected=expected)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> list[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | list[Change]:
        if isinstance(index, slice):
            return [self[index] for index in range(*index.indices(len(self)))]
        values, expected = _row(self.values, index), _row(self.expected, index)
        return Change(self.verb, self.table, self.identifiers, self.keys[index], values, expected)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        concerns = [name in row for row in rows]
        found[name] = Column([row.get(name) for row in rows], None if all(concerns) else concerns)
    return found


def _row(columns: Mapping[str, Column], index: int) -> dict[str, Any]:
    return {
        name: column.values[index]
        for name, column in columns.items()
        if column.concerns is None or column.concerns[index]
    }


class BatchRules(Protocol[T_contra]):
    """Says which items can be a batch of changes, and makes changes of them."""

    @property
    def kind(self) -> Callable[[T_contra], tuple[Any, ...]]:
        """Returns the verb of an item, and what else the changes of a batch have in common."""
        ...

    def is_batchable(self, item: T_contra) -> bool:
        """Say whether items of this kind can be a batch at all."""
        ...

    def subject(self, item: T_contra) -> Any:
        """Return the table and the key of an item: what it is a change of."""
        ...

    def batch(self, items: Sequence[T_contra]) -> ChangeBatch:
        """Make a batch of items of one kind."""
        ...

    def changes(self, items: Sequence[T_contra]) -> Sequence[Change]:
        """Make changes of items of any kind."""
        ...


def segmented(items: Iterable[T], rules: BatchRules[T], size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
    """Yield changes in segments of about one size, as they come; each in parts: a `ChangeBatch`, or any changes.

    Changes of one object that follow each other stay together in a segment; and in a part, unless of several verbs.

    Args:
        items: What changes are made of, in order.
        rules: Makes batches and changes of them.
        size: Items in a segment.
        fewest: Items of a kind that must follow each other to be a batch.
    """
    for segment in _segments(items, size, rules):
        yield list(_parts(segment, rules, fewest))
        segment.clear()  # before the next ones are made


def segments_of(changes: Iterable[Change], size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
    """Yield changes as `segmented` does; by their own ``segments``, if they have such a method."""
    give: Callable[..., Iterator[list[Sequence[Change]]]] | None = getattr(changes, "segments", None)
    return segmented(changes, _OneByOne(), size, fewest) if give is None else give(size, fewest)


class _OneByOne:
    """Makes batches of changes that come one by one."""

    def kind(self, change: Change) -> tuple[Any, ...]:
        shape = None if change.verb == "update" else (*change.values, None, *change.expected)
        return change.verb, id(change.table), change.identifiers, shape

    def is_batchable(self, change: Change) -> bool:
        return not change.table.links and change.verb not in ("link", "unlink")

    def subject(self, change: Change) -> Any:
        return id(change.table), change.key

    def batch(self, changes: Sequence[Change]) -> ChangeBatch:
        return ChangeBatch.of(changes)

    def changes(self, changes: Sequence[Change]) -> Sequence[Change]:
        return changes


def _segments(items: Iterable[T], size: int, rules: BatchRules[T]) -> Iterator[list[T]]:
    """Yield segments that end where a kind does, if that is not too early, and else where what is done to an object."""
    waiting = iter(items)
    segment = list(islice(waiting, size))
    while segment:
        following: list[T] = []
        end = _last_kind(segment, rules.kind) if len(segment) == size else 0
        if end and end >= size // 2 and rules.subject(segment[end - 1]) != rules.subject(segment[end]):
            following = segment[end:]
            del segment[end:]
        else:
            for item in waiting:
                if rules.subject(item) != rules.subject(segment[-1]):
                    following = [item]
                    break
                segment.append(item)
        yield segment
        segment = following + list(islice(waiting, size - len(following)))


def _last_kind(segment: Sequence[T], kind: Callable[[T], Any]) -> int:
    """Return the index from which on all items are of the last kind."""
    last = kind(segment[-1])
    if kind(segment[0]) == last:
        return 0
    return next(index for index in range(len(segment), 0, -1) if kind(segment[index - 1]) != last)


def _parts(segment: Sequence[T], rules: BatchRules[T], fewest: int) -> Iterator[Sequence[Change]]:
    runs = [(kind, list(run)) for kind, run in groupby(segment, key=rules.kind)]
    updated = Counter(kind for kind, _ in runs if kind[0] == "update")
    apart = any(count > 1 for count in updated.values())  # updates of one object may be, and are done together
    alone: list[T] = []
    for _, run in runs:
        if apart or len(run) < fewest or not rules.is_batchable(run[0]):
            alone += run
            continue
        if alone:
            yield rules.changes(alone)
            alone = []
        yield rules.batch(run)
    if alone:
        yield rules.changes(alone)
