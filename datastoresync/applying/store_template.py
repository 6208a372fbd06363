"""The template that writes to the destination's store: all changes at once, in one transaction."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from inspect import Parameter, signature
from itertools import chain, compress, repeat
from operator import attrgetter, is_
from typing import Any, Literal, Unpack

import attrs

from datastoresync.applying.dependents import DependencyTracker, StoredDependencies
from datastoresync.applying.plan import (
    Plan,
    Step,
    by_object,
    member_changes,
    membership_update,
    ordered,
    split_followers,
)
from datastoresync.applying.report import Report, Result, Results, Status
from datastoresync.applying.reporter import Reporter
from datastoresync.applying.side_effects import SideEffect
from datastoresync.applying.template import ApplyKeywords, ApplyOptions, ApplyRun
from datastoresync.conversion.key_forms import formed
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import Streamed
from datastoresync.diffing.common_form import spellings
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.equality import equal, is_membership
from datastoresync.diffing.side import Side
from datastoresync.errors import DatastoreSyncError, DeclarationError
from datastoresync.runtime import interrupting
from datastoresync.syncers.changes import (
    AppliesChanges,
    Change,
    ChangeBatch,
    Column,
    Outcome,
    Outcomes,
    Same,
    Table,
    WriteOptions,
    segmented,
)

_VERBS: Mapping[str, Literal["insert", "update", "delete", "link", "unlink"]] = {
    "new": "insert",
    "update": "update",
    "add": "link",
    "remove": "unlink",
    "old": "delete",
}
_CHANGED_SINCE = (
    "the differences are others since the store was changed, so not all that was done is in memory: import again; "
    "the counts are right"
)


@attrs.frozen(eq=False)
class StoredBranch:
    """The table of a branch in a store, and how its values are converted.

    Args:
        table: The table.
        identifiers: The attributes that make up the key.
        convert: Converts a raw value of an attribute as an import would; its ``column``, if any, converts many.
        whole: Whether all rows of the table were imported, so that a row that is not in the import is newer.
    """

    table: Table
    identifiers: tuple[str, ...]
    convert: Callable[[str, Any], Any]
    whole: bool = False

    def converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return raw values of attributes as an import would have them; one that it would refuse stays as it is."""
        found = {}
        for name, raw in values.items():
            try:
                found[name] = self.convert(name, raw)
            except (ValueError, TypeError):
                found[name] = raw
        return found


class StoredValueEquality:
    """Compares raw values in a store with expected ones, as a diff would.

    Args:
        stored: The tables of the branches, by branch.
        compared: What was compared, by row and attribute, where something else is expected; that is as good.
    """

    def __init__(
        self, stored: Mapping[str, StoredBranch], compared: Mapping[Row, Mapping[str, Any]] | None = None
    ) -> None:
        self._convert = {id(one.table): one.convert for one in stored.values()}
        self._compared = compared

    def __call__(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        """Say whether the raw value of an attribute equals the expected one."""
        if self._equal(change, attribute, raw, expected):
            return True
        compared = self._compared.get((id(change.table), change.key), {}) if self._compared else {}
        if change.expected.get(attribute) is expected and change.values.get(attribute) is not expected:
            return attribute in compared and self._equal(change, attribute, raw, compared[attribute])
        # A store of texts holds the text of a value that only the class's own converter reads again.
        return (
            isinstance(raw, str) and not isinstance(expected, str) and self._reads_as(change, attribute, raw, expected)
        )

    def _reads_as(self, change: Change, attribute: str, raw: str, expected: Any) -> bool:
        """Say whether the class's own converter makes a value of a text."""
        own: Callable[[str, Any], Any] | None = getattr(self._convert[id(change.table)], "own", None)
        try:
            return own is not None and isinstance(raw, str) and equal(own(attribute, raw), expected)
        except Exception:  # noqa: BLE001 - of the user's own code
            return False

    def _equal(self, change: Change, attribute: str, raw: Any, expected: Any) -> bool:
        convert = self._convert[id(change.table)]
        try:
            found = convert(attribute, raw)
        except (ValueError, TypeError):
            found = raw  # which the user's own code may have made another value of
        form: Callable[[str, Any], Any] | None = getattr(convert, "formed", None)
        if form is not None:
            expected = form(attribute, expected)
        if found is None and is_membership(expected):
            found = type(expected)()
        return equal(found, expected)

    def same_column(self, change: Change, attribute: str, raws: Sequence[Any], expected: Sequence[Any]) -> bool:
        """Say whether all raw values of an attribute equal the expected ones, in the table of this change."""
        convert = self._convert[id(change.table)]
        column: Callable[[str, Sequence[Any]], Iterable[Any]] | None = getattr(convert, "column", None)
        try:
            found = map(convert, repeat(attribute), raws) if column is None else column(attribute, raws)
            return all(map(is_, found, expected))  # almost always a value converts to itself
        except (ValueError, TypeError):
            return False


class ChangeSequence(Streamed[Change]):
    """The changes of a diff, built on iteration; many of one kind are built column by column.

    Those of a streamed diff take bounded memory; an index builds them all.

    Args:
        actions: The actions.
        factory: Builds changes from them.
        streamed: Whether another iteration may yield other actions.
    """

    __slots__ = ("_actions", "_all", "_factory", "_seen", "_streamed", "compared")

    def __init__(self, actions: Sequence[Action], factory: ChangeFactory, *, streamed: bool) -> None:
        super().__init__(self._changes, None if streamed else len(actions))
        self._actions = actions
        self._factory = factory
        self._streamed = streamed
        self._seen = array("q")
        self._all: list[Change] = []
        self.compared = factory.compared

    def _changes(self) -> Iterator[Change]:
        return map(self._factory.change, self._actions_to_take())

    def _actions_to_take(self) -> Iterable[Action]:
        return self._marked() if self._streamed else self._actions

    def _marked(self) -> Iterator[Action]:
        self._seen = array("q")
        for action in self._actions:
            self._seen.append(_mark(action))
            yield action

    def __getitem__(self, index: Any) -> Any:
        self._all = self._all or list(self)
        return self._all[index]

    def segments(self, size: int, fewest: int) -> Iterator[list[Sequence[Change]]]:
        """Yield all changes once, in segments; see `datastoresync.syncers.changes.segmented`."""
        return segmented(self._actions_to_take(), self._factory, size, fewest)

    def again(self, warnings: list[str]) -> Iterator[Action | None]:
        """Yield the action of each change again; None, with a warning, from the first that differs.

        A diff of rows in the store itself may differ once the store is changed.
        """
        index = 0
        for mark, action in zip(self._seen, self._actions, strict=False):
            if mark != _mark(action):
                break
            index += 1
            yield action
        if index < len(self._seen):
            warnings.append(_CHANGED_SINCE)
            yield from repeat(None, len(self._seen) - index)


Row = tuple[int, tuple[Any, ...]]
"""A table and the key of a row."""


def _mark(action: Action) -> int:
    return hash((action.verb, action.branch, action.idnumber, action.attr))


class ChangeFactory:
    """Builds changes from the actions of a diff.

    Args:
        diff: The diff.
        stored: The tables of the branches, by branch.
    """

    def __init__(self, diff: Diff, stored: Mapping[str, StoredBranch]) -> None:
        self._stored = stored
        self._sides = {one.name: one.both for one in diff.branch_diffs}
        whole = diff.hierarchies[1].sides
        self._narrowed = {
            name: whole[name]
            for name, (_, right) in self._sides.items()
            if name in whole and whole[name].objects is not right.objects
        }
        self._spellings = spellings(self._sides)
        self.compared: dict[Row, dict[str, Any]] = {}
        """What was compared, by row and attribute, where the store had something else; of the changes built so far."""
        self._streamed = diff.streamed  # there may be too many to remember what was compared

    def change(self, action: Action) -> Change:
        """Build one change."""
        kept = self._stored[action.branch]
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        left, right = self._sides[action.branch]
        key, verb = action.idnumber, action.verb
        if verb == "new" and (reached := self._reached(action)) is not None:
            return reached
        if verb == "new":
            values = {name: left.read(key, action.source, name) for name in left.attributes}
        elif verb == "old":
            read = {name: right.read(key, action.dest, name) for name in right.attributes}
            expected = {name: self._expected(action, name, value) for name, value in read.items()}
        elif verb == "remove":
            written = self._spelled(action, action.attr, action.value)
            values = {action.attr: right.member_spelling(key, action.attr, action.value, written)}
        else:
            values = {action.attr: action.value}
            if verb == "update":
                expected = {action.attr: self._expected(action, action.attr, action.old_value)}
        if verb != "remove" and self._spellings:
            values = {name: self._spelled(action, name, value) for name, value in values.items()}
        return Change(_VERBS[verb], kept.table, kept.identifiers, self._key(action), values, expected)

    def _reached(self, action: Action) -> Change | None:
        """Return the update of a row that is there, though nothing of the destination's ``top_level`` reaches it yet.

        None of an action whose row is not there, or needs no update.
        """
        whole, left = self._narrowed.get(action.branch), self._sides[action.branch][0]
        if whole is None or action.idnumber not in whole.objects:
            return None
        there = whole.objects[action.idnumber]
        values: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        for name in left.attributes:
            value = self._spelled(action, name, left.read(action.idnumber, action.source, name))
            old_value = whole.read(action.idnumber, there, name)
            if not equal(value, old_value):
                values[name] = value
                expected[name] = whole.expected(action.idnumber, there, name)
        kept, spelled = self._stored[action.branch], whole.spelling(action.idnumber)
        key = (spelled,) if len(kept.identifiers) == 1 else spelled
        return Change("update", kept.table, kept.identifiers, key, values, expected) if values else None

    def _key(self, action: Action) -> tuple[Any, ...]:
        """Return the key of an action's row as the store spells it."""
        identifiers, right = self._stored[action.branch].identifiers, self._sides[action.branch][1]
        key = action.idnumber if action.verb == "new" else right.spelling(action.idnumber)
        parts: tuple[Any, ...] = (key,) if len(identifiers) == 1 else key
        if action.verb == "new" and self._spellings:
            return tuple(self._spelled(action, *pair) for pair in zip(identifiers, parts, strict=True))
        return parts

    def _spelled(self, action: Action, attribute: str, value: Any) -> Any:
        """Return a value with the objects that it names as the store spells them."""
        spelling = self._spellings.get(action.branch, {}).get(attribute)
        return value if spelling is None else formed(spelling, value)

    def _expected(self, action: Action, attribute: str, value: Any) -> Any:
        """Return what the store had for a value of the destination."""
        right = self._sides[action.branch][1]
        if right.as_stored or attribute not in right.attributes:
            return value
        held = right.expected(action.idnumber, action.dest, attribute)
        if not self._streamed and not equal(held, value):
            row = (id(self._stored[action.branch].table), self._key(action))
            self.compared.setdefault(row, {})[attribute] = value
        return held

    @property
    def kind(self) -> Callable[[Action], tuple[Any, ...]]:
        """The function that returns the verb and the branch of an action."""
        return attrgetter("verb", "branch")

    def is_batchable(self, action: Action) -> bool:
        """Say whether an action changes an object or an attribute, in a table without tables of members."""
        narrowed = action.verb == "new" and action.branch in self._narrowed
        return not narrowed and action.verb not in ("add", "remove") and not self._stored[action.branch].table.links

    def subject(self, action: Action) -> Any:
        """Return the branch and the idnumber of an action."""
        return action.branch, action.idnumber

    def changes(self, actions: Sequence[Action]) -> Sequence[Change]:
        """Build a change from each action."""
        return list(map(self.change, actions))

    def batch(self, actions: Sequence[Action]) -> ChangeBatch:
        """Build columns from actions of one kind, with one pass in C a column."""
        verb, branch = actions[0].verb, actions[0].branch
        kept, sides = self._stored[branch], self._sides[branch]
        if not sides[1].as_stored or branch in self._spellings:
            return ChangeBatch.of(self.changes(actions))
        keys = [action.idnumber for action in actions]
        values: dict[str, Column] = {}
        expected: dict[str, Column] = {}
        if verb == "new":
            values = _columns(sides[0], keys, [action.source for action in actions])
        elif verb == "old":
            expected = _columns(sides[1], keys, [action.dest for action in actions])
        else:
            values, expected = _updates(actions)
        own = list(zip(keys, strict=True)) if len(kept.identifiers) == 1 else keys
        return ChangeBatch(_VERBS[verb], kept.table, kept.identifiers, own, values, expected)


def _columns(side: Side, keys: Sequence[Any], items: Sequence[Any]) -> dict[str, Column]:
    return {name: Column(values) for name, values in side.columns(keys, items).items()}


def _updates(actions: Sequence[Action]) -> tuple[dict[str, Column], dict[str, Column]]:
    """Return the columns that updates write, and those that they expect, by attribute."""
    attributes = [action.attr for action in actions]
    values: dict[str, Column] = {}
    expected: dict[str, Column] = {}
    for name in dict.fromkeys(attributes):
        flags_of_name = [attribute == name for attribute in attributes]
        new_values: list[Any] = [None] * len(actions)
        old_values = new_values.copy()
        for index in compress(range(len(actions)), flags_of_name):
            new_values[index], old_values[index] = actions[index].value, actions[index].old_value
        flags = None if all(flags_of_name) else flags_of_name
        values[name], expected[name] = Column(new_values, flags), Column(old_values, flags)
    return values, expected


_STATUSES: Mapping[str, Status] = {
    "done": "succeeded",
    "conflict": "conflict",
    "failed": "failed",
    "skipped": "skipped",
    "undone": "pending",
}


_MEMBERS = frozenset({"add", "remove"})


_NAMED = 5
"""Objects that a warning names."""


class StoreTemplate:
    """Applies changes to a syncer with ``apply_changes``: parents first, and all of them or none.

    An object that was changed in the store since the import is a conflict: it is left as it is, and the others are
    written. If a change fails, everything is rolled back, or with ``on_error="continue"`` that change alone, in stores
    that can do that. What the store holds otherwise than it was asked to is in the results, and in memory. The actions
    of a streamed diff are iterated twice: for the changes, and for their results.

    Args:
        syncer: The store.
        stored: The tables of the branches, by branch.
        reporters: Reporters of every run.
        read_again: Imports a branch again, and returns what it held before and what it holds now; None if nothing can.
    """

    def __init__(
        self,
        syncer: AppliesChanges,
        stored: Mapping[str, StoredBranch],
        *,
        reporters: Iterable[Reporter] = (),
        read_again: Callable[[str], tuple[Side, Side]] | None = None,
    ) -> None:
        self.syncer = syncer
        self.stored = stored
        self.reporters = list(reporters)
        self._read_again = read_again

    def apply(self, diff: Diff, **keywords: Unpack[ApplyKeywords]) -> Report:
        """Carry out a diff in one transaction; the keywords are those of `Template.apply`.

        Raises:
            SafeguardError: if the diff exceeds the limits.
            DeclarationError: if the store can neither go on after a failure nor be rehearsed, and was told to.
            LockedError: if another run is writing to the same tables.
            SyncerError: if the store does not exist, or lacks a table or a column.
            SyncInterrupted: on Ctrl-C, SIGTERM or SIGHUP, with everything as it was; if that came too late, the report
                says so.
        """
        options = ApplyOptions(**keywords)
        stop = options.stops("stop")
        if not (stop or self._takes_options):
            message = (
                f"{self._name} takes all changes or none, as its apply_changes has no parameter 'options', so on_error "
                "can only be 'stop'"
            )
            raise DeclarationError(message)
        if options.rehearse and not self._takes_options:
            message = (
                f"{self._name} cannot be rehearsed, as its apply_changes has no parameter 'options': mock=True walks "
                "through the actions without a change"
            )
            raise DeclarationError(message)
        reporters = [*self.reporters, *options.reporters]
        diff = options.checked(diff, reporters, self.side_effects)
        started = time.perf_counter()
        alone, following = split_followers(ordered(diff), diff)
        actions = self._united(alone, diff)
        run = ApplyRun(diff, reporters, mock=options.mock, rehearse=options.rehearse)
        tables = {branch: one.table for branch, one in self.stored.items()}
        write_options = WriteOptions(
            on_error="stop" if stop else "continue",
            rehearse=options.rehearse,
            whole=self._whole,
            tables=list(tables.values()),
            attributes=self._synced(diff),
            along=list(map(ChangeFactory(diff, self.stored).change, (step.actions[0] for step in following))),
            dependencies=None if run.dependents is None else StoredDependencies(run.dependents, diff, tables),
        )
        run.tell("start", Plan(diff, Streamed(lambda: chain(map(self._step, actions), following))))
        blocked: list[Result] = []
        if run.dependents is not None:
            actions, blocked = run.dependents.settle(actions)
            make = ChangeFactory(diff, self.stored).change
            left_out = [make(one.action) for one in blocked if one.action is not None and one.action.verb == "new"]
            write_options = attrs.evolve(write_options, left_out=left_out)
        if run.unobserved and not blocked:
            self._write_together(run, actions, write_options)
        else:
            results = self._results(run, actions, write_options)
            with run.interruptible():  # all is written by now, so that memory must have it too
                run.note(results)
            run.note(blocked)
        for step in following:
            run.note(run.followed(step))
        if run.acts and not (run.mock or run.rehearse or diff.streamed or run.interrupted):
            self._look_again(run)
        return run.finish(started)

    def _look_again(self, run: ApplyRun) -> None:
        """Hold what the store holds against what the results say of it, where it does things by itself.

        A trigger may change rows of a branch that no action is about; what was not done is known to be otherwise.
        """
        results = run.tally.results if run.value_columns is None else run.value_columns
        left = {
            (result.action.branch, result.action.idnumber)
            for result in results
            if result.action is not None and result.status != "succeeded"
        }
        for name in [one.name for one in run.diff.branch_diffs if one.name in self.stored]:
            try:
                before, now = self._read_again(name) if self._read_again is not None else (None, None)
            except DatastoreSyncError as error:
                run.warnings.append(f"{name} could not be read again, so what else the store did is not known: {error}")
                continue
            if before is None or now is None:
                continue
            found = [one for one in Diff.between([(now, before)]) if (one.branch, one.idnumber) not in left]
            if found:
                run.unsettled += len(found)
                keys = list(dict.fromkeys(repr(one.idnumber) for one in found))
                more = f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else ""
                run.warnings.append(
                    f"{name}: {', '.join(keys[:_NAMED])}{more} in the store are not as the results say, but as "
                    "triggers or another program have left them; the branch was imported again for the next run"
                )

    def side_effects(self, diff: Diff) -> Sequence[SideEffect]:
        """Return what the store would do to other rows when a diff is applied; asks it only if something is deleted.

        A store can tell if it has a method ``cascades``; see `datastoresync.syncers.SQLSyncer.cascades`. It is given
        the deletions, and the updates and removals, after which some rows may refer to something else.
        """
        ask = getattr(self.syncer, "cascades", None)
        if not callable(ask) or not diff.counts["old"]:
            return ()
        actions = self._united(ordered(diff), diff)
        tracker = DependencyTracker.of(diff)
        if tracker is not None:
            actions, _ = tracker.settle(actions)
        some = Streamed(lambda: (action for action in actions if action.verb in ("update", "remove", "old")))
        changes = ChangeSequence(some, ChangeFactory(diff, self.stored), streamed=True)
        tables = {branch: one.table for branch, one in self.stored.items()}
        return [SideEffect.of(one, tables) for one in ask(changes, list(tables.values()))]

    @property
    def _name(self) -> str:
        return str(getattr(self.syncer, "name", type(self.syncer).__name__))

    @cached_property
    def _takes_options(self) -> bool:
        """Whether the store takes options, with which it can go on after a failure, and be rehearsed."""
        try:
            parameters = signature(self.syncer.apply_changes).parameters.values()
        except (TypeError, ValueError):
            return False
        return any(one.name == "options" or one.kind is Parameter.VAR_KEYWORD for one in parameters)

    def _whole(self, table: Table) -> bool:
        return any(one.whole for one in self.stored.values() if one.table is table)

    def _synced(self, diff: Diff) -> Callable[[Table], Sequence[str]]:
        """Return what gives the attributes of a table that are synced."""
        synced = {
            id(self.stored[one.name].table): tuple(one.both[1].attributes)
            for one in diff.branch_diffs
            if one.name in self.stored
        }
        return lambda table: synced.get(id(table), ())

    def _step(self, action: Action) -> Step:
        return Step(action.method, self.apply, (action,))

    def _results(self, run: ApplyRun, actions: Sequence[Action], options: WriteOptions) -> Iterator[Result]:
        """Write the changes; return the result of each action."""
        if run.mock or not actions:
            return (Result("planned", "mock", action, action.method) for action in actions)
        streamed = run.diff.streamed
        changes = ChangeSequence(actions, ChangeFactory(run.diff, self.stored), streamed=streamed)
        outcomes = self._outcomes(run, actions, changes, options)
        told: Iterable[Action | None] = changes.again(run.warnings) if streamed else actions
        return (self._result(one, outcome) for one, outcome in zip(told, outcomes, strict=True))

    def _result(self, action: Action | None, outcome: Outcome) -> Result:
        method = "" if action is None else action.method
        held = self._held(action, outcome)
        return Result(_STATUSES[outcome.status], outcome.reason, action, method, held=held)

    def _held(self, action: Action | None, outcome: Outcome) -> dict[str, Any] | None:
        """Return what the store holds instead of what it was asked to, as an import would have it."""
        if outcome.held is None or action is None:
            return None
        return self.stored[action.branch].converted(outcome.held.values)

    def _write_together(self, run: ApplyRun, actions: Sequence[Action], options: WriteOptions) -> None:
        """Write the changes; their results are built only if the report is asked for them."""
        changes = ChangeSequence(actions, ChangeFactory(run.diff, self.stored), streamed=False)
        outcomes = self._outcomes(run, actions, changes, options) if actions else []

        def results() -> Iterator[Result]:
            return (self._result(action, outcome) for action, outcome in zip(actions, outcomes, strict=True))

        statuses = Counter(map(attrgetter("status"), outcomes))
        done = actions
        if statuses != Counter(done=len(actions)):
            done = [action for action, outcome in zip(actions, outcomes, strict=True) if outcome.status == "done"]
        held: list[tuple[Action, Mapping[str, Any]]] = []
        if any(map(attrgetter("held"), outcomes)):
            pairs = zip(actions, outcomes, strict=True)
            held = [(action, values) for action, outcome in pairs if (values := self._held(action, outcome))]
        counts = {_STATUSES[one]: count for one, count in statuses.items()}
        with run.interruptible():  # as above
            run.note_together(Results(counts, results, len(held)), done, held)

    def _outcomes(
        self, run: ApplyRun, actions: Sequence[Action], changes: Sequence[Change], options: WriteOptions
    ) -> Sequence[Outcome]:
        keywords: dict[str, Any] = {"options": options} if self._takes_options else {}
        try:
            with interrupting():
                outcomes = self.syncer.apply_changes(changes, same=self._same(actions, changes), **keywords)
            # The report may be asked for them much later.
            found = outcomes if isinstance(outcomes, Outcomes) else list(outcomes)
        except (KeyboardInterrupt, SystemExit) as interrupt:
            run.interrupted = True
            undone = Outcome("undone", "interrupted, and everything rolled back")
            # If it has outcomes, it came with the commit, or after it: nothing can be undone.
            found = getattr(interrupt, "outcomes", None) or Outcomes(len(actions), undone)
        run.warnings += getattr(found, "warnings", ())
        run.acts = getattr(found, "acts", False)
        return found

    def _same(self, actions: Sequence[Action], changes: Sequence[Change]) -> Same:  # noqa: ARG002 - for subclasses
        return StoredValueEquality(self.stored, getattr(changes, "compared", None))

    def _united(self, actions: Sequence[Action], diff: Diff) -> Sequence[Action]:
        """Return the actions in order; members of an attribute without a table of its own become one update.

        In a streamed diff these stand together, object by object.
        """
        if not diff.streamed and _MEMBERS.isdisjoint(map(attrgetter("verb"), actions)):
            return actions
        sides = {one.name: one for one in diff.branch_diffs}

        def united(some: Sequence[Action]) -> Iterator[Action]:
            together = member_changes(some)
            for action in some:
                attribute = (action.branch, action.idnumber, action.attr)
                if action.verb not in _MEMBERS or action.attr in self.stored[action.branch].table.links:
                    yield action
                elif attribute in together:
                    yield membership_update(sides[action.branch], together.pop(attribute))

        return Streamed(lambda: by_object(actions, united)) if diff.streamed else list(united(actions))
