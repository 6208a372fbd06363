"""The template that writes to the destination's store: all changes at once, in one transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from inspect import Parameter, signature
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Unpack

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
from datastoresync.applying.reporter import Reporter, all_reporters
from datastoresync.applying.side_effects import SideEffect
from datastoresync.applying.store_changes import ChangeFactory, ChangeSequence, StoredBranch, StoredValueEquality
from datastoresync.applying.template import ApplyKeywords, ApplyOptions, ApplyRun
from datastoresync.diffing.action import Action
from datastoresync.diffing.branch_diff import Streamed, lists_apart, lists_children
from datastoresync.diffing.diff import Diff
from datastoresync.diffing.side import Side
from datastoresync.errors import DatastoreSyncError, DeclarationError, SyncerError
from datastoresync.printing.text import counted
from datastoresync.runtime import interrupting
from datastoresync.syncers.changes import (
    AppliesChanges,
    Change,
    Held,
    Outcome,
    Outcomes,
    Same,
    Table,
    WriteOptions,
)

_STATUSES: Mapping[str, Status] = {
    "done": "succeeded",
    "conflict": "conflict",
    "failed": "failed",
    "skipped": "skipped",
    "undone": "pending",
}


_MEMBERS = frozenset({"add", "remove"})
_OBJECTS = frozenset({"new", "old"})


class _Listing(Action):
    """A change of a parent's list of children that belongs to the parent's creation or deletion, and is told as that.

    It is a change of its own to the store, since parents come before their children, and go after them.
    """

    __slots__ = ()


_NAMED = 5
"""Objects that a warning names."""


def named(keys: Sequence[Any]) -> str:
    """Return the first of some idnumbers, and how many more there are."""
    more = f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else ""
    return ", ".join(map(repr, keys[:_NAMED])) + more


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
        self.reporters = all_reporters(reporters)
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
        reporters = all_reporters(self.reporters, options.reporters)
        diff = options.checked(diff, reporters, self.side_effects)
        started = time.perf_counter()
        alone, following = split_followers(ordered(diff), diff)
        single = self._with_lists(alone, diff)
        actions = self._united(single, diff)
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
        told = Streamed(lambda: (action for action in actions if not isinstance(action, _Listing)))
        run.tell("start", Plan(diff, Streamed(lambda: chain(map(self._step, told), following))))
        blocked: list[Result] = []
        if run.dependents is not None:
            actions, blocked = run.dependents.settle(actions)
            make = ChangeFactory(diff, self.stored).change
            left_out = [make(one.action) for one in blocked if one.action is not None and one.action.verb == "new"]
            write_options = attrs.evolve(write_options, left_out=left_out)
        if run.unobserved and not blocked and (stop or run.dependents is None):
            self._write_together(run, actions, write_options)
        else:
            results = self._results(run, actions, write_options)
            with run.interruptible():  # all is written by now, so that memory must have it too
                run.note(results)
            run.note(one for one in blocked if not isinstance(one.action, _Listing))
        for step in following:
            run.note(run.followed(step))
        if run.acts and not (run.mock or run.rehearse or diff.streamed or run.interrupted):
            self._look_again(run)
        if not (run.mock or run.rehearse or diff.streamed):
            self._tell_unlisted(run, single)
        return run.finish(started)

    def _tell_unlisted(self, run: ApplyRun, actions: Sequence[Action]) -> None:
        """Say which children the store does not list, or still lists, since what would change that was left out."""
        if not run.diff.nested:
            return
        changed = {(one.branch, one.idnumber, one.attr, one.value) for one in actions if one.verb in _MEMBERS}
        listed: dict[tuple[str, str], list[Any]] = {}
        for result in run.tally.results:
            action = result.action
            if result.status == "succeeded" and action is not None and action.verb in _OBJECTS:
                holder = run.diff.hierarchies[action.verb == "old"].holder(action.branch, action.idnumber)
                if holder is None or holder[0] not in self.stored or (*holder, action.idnumber) in changed:
                    continue
                left, right = (hierarchy.sides[holder[0]] for hierarchy in run.diff.hierarchies)
                gone = action.verb == "old" and holder[:2] in run.done
                if lists_children((left, right), action.branch) and not gone:
                    listed.setdefault((holder[0], holder[2]), []).append(action.idnumber)
        for (parent, field), keys in listed.items():
            run.unsettled += len(keys)
            run.warnings.append(
                f"{parent}.{field} of the store does not say what has become of {named(keys)}: this run leaves "
                f"changes of {parent}.{field} out; run it over both branches, without a filter"
            )

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
                run.unsettled += 1
                run.warnings.append(f"{name} could not be read again, so what else the store did is not known: {error}")
                continue
            if before is None or now is None:
                continue
            found = [one for one in Diff.between([(now, before)]) if (one.branch, one.idnumber) not in left]
            if found:
                run.unsettled += len(found)
                keys = list(dict.fromkeys(one.idnumber for one in found))
                run.warnings.append(
                    f"{name}: {named(keys)} in the store are not as the results say, but as "
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
        actions = self._united(self._with_lists(ordered(diff), diff), diff)
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

    def _with_lists(self, actions: Sequence[Action], diff: Diff) -> Sequence[Action]:
        """Return the actions with those on lists of children that the parents' own creations and deletions bring along.

        New children are listed once they are there; those that go are taken out of the list before.
        """
        if not diff.nested:
            return actions
        sides = {one.name: one.both for one in diff.branch_diffs if one.name in self.stored}
        held = {child for both in sides.values() for side in both for child in side.held_children}

        def listing(action: Action) -> Iterator[Action]:
            which = int(action.verb == "old")
            branch, parent, field = diff.hierarchies[which].holder(action.branch, action.idnumber) or ("", None, "")
            both = sides.get(branch)
            if both is None or not lists_children(both, action.branch) or lists_apart(both, action.branch, parent):
                return
            apart = not which or field in self.stored[branch].table.links  # a column goes with its row
            if apart and parent in both[which].objects:
                items = [side.objects.get(parent) for side in both]
                yield _Listing(("add", "remove")[which], branch, parent, field, action.idnumber, None, *items)

        def found() -> Iterator[Action]:
            for (verb, branch), group in groupby(actions, key=attrgetter("verb", "branch")):
                if verb not in _OBJECTS or branch not in held:
                    yield from group
                    continue
                some = list(group)
                lists = [one for action in some for one in listing(action)]
                yield from (*some, *lists) if verb == "new" else (*lists, *some)

        return Streamed(found) if diff.streamed else list(found())

    def _step(self, action: Action) -> Step:
        return Step(action.method, self.apply, (action,))

    def _results(self, run: ApplyRun, actions: Sequence[Action], options: WriteOptions) -> Iterator[Result]:
        """Write the changes; return the result of each action.

        What became of a list that belongs to a creation or deletion is told only if it alone went wrong.
        """
        if run.mock or not actions:
            told = (action for action in actions if not isinstance(action, _Listing))
            return (Result("planned", "mock", action, action.method) for action in told)
        streamed = run.diff.streamed
        changes = ChangeSequence(actions, ChangeFactory(run.diff, self.stored), streamed=streamed)
        outcomes = self._outcomes(run, actions, changes, options)
        known: Iterable[Action | None] = changes.again(run.warnings) if streamed else actions
        pairs = self._with_shorter_lists(run, zip(known, outcomes, strict=True), options)
        wrong = ("failed", "conflict")
        return (
            self._result(action, outcome)
            for action, outcome in pairs
            if not isinstance(action, _Listing) or outcome.status in wrong or outcome.held
        )

    def _with_shorter_lists(
        self, run: ApplyRun, pairs: Iterable[tuple[Action | None, Outcome]], options: WriteOptions
    ) -> Iterator[tuple[Action | None, Outcome]]:
        """Yield actions with their outcomes; columns with children that could not be created are written without those.

        Nothing is left out of a rehearsal, after which the other children would not be there.
        """
        shorter: list[tuple[Action, Action]] = []
        for action, outcome in pairs:
            found = None
            if outcome.status == "skipped" and action is not None and run.dependents is not None and not run.rehearse:
                found = run.dependents.without_missing(action)
            if action is None or found is None:
                yield action, outcome
            else:
                shorter.append((action, found))
        if shorter:
            actions = [found for _, found in shorter]
            changes = ChangeSequence(actions, ChangeFactory(run.diff, self.stored), streamed=False)
            again = attrs.evolve(options, dependencies=None, along=(), left_out=())
            outcomes = self._outcomes(run, actions, changes, again)
            for (action, found), outcome in zip(shorter, outcomes, strict=True):
                held = outcome.held or (Held({action.attr: found.value}) if outcome.status == "done" else None)
                yield action, attrs.evolve(outcome, held=held)

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

        counted = outcomes.counts() if isinstance(outcomes, Outcomes) else None
        of_each = [(one, 1) for one in outcomes] if counted is None else list(counted.items())
        statuses: Counter[str] = Counter()
        for outcome, count in of_each:
            statuses[outcome.status] += count
        done = actions
        if statuses != Counter(done=len(actions)):
            done = [action for action, outcome in zip(actions, outcomes, strict=True) if outcome.status == "done"]
        held: list[tuple[Action, Mapping[str, Any]]] = []
        if any(outcome.held for outcome, _ in of_each):
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
            found = (
                outcomes
                if isinstance(outcomes, Outcomes)
                else self._checked(outcomes, None if run.diff.streamed else len(changes))
            )
        except (KeyboardInterrupt, SystemExit) as interrupt:
            run.interrupted = True
            undone = Outcome("undone", "interrupted, and everything rolled back")
            # If it has outcomes, it came with the commit, or after it: nothing can be undone.
            found = getattr(interrupt, "outcomes", None) or Outcomes(len(actions), undone)
        run.warnings += getattr(found, "warnings", ())
        run.acts = getattr(found, "acts", False)
        return found

    def _checked(self, outcomes: Any, count: int | None) -> list[Outcome]:
        """Return the outcomes that a store gives, if they are some: without them, nobody knows what it holds."""
        given = outcomes if isinstance(outcomes, (str, bytes)) or not isinstance(outcomes, Iterable) else list(outcomes)
        if not isinstance(given, list):
            fault = "None" if given is None else f"a {type(given).__name__}"
        elif odd := [one for one in given if getattr(one, "status", None) not in _STATUSES]:
            known = ", ".join(map(repr, _STATUSES))
            fault = f"{odd[0]!r}, which is no outcome: an Outcome has one of the statuses {known}"
        elif count is not None and len(given) != count:
            fault = (
                f"{counted(len(given), 'outcome')} for {counted(count, 'change')}: it returns one for each, in order"
            )
        else:
            return given
        message = (
            f"apply_changes of {self._name} returned {fault}; what it has written is not known: look at the store "
            "before the next run"
        )
        raise SyncerError(message)

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
                    members = together.pop(attribute)
                    whole = membership_update(sides[action.branch], members)
                    of_object = all(isinstance(member, _Listing) for member in members)
                    yield _Listing(**attrs.asdict(whole, recurse=False)) if of_object else whole

        return Streamed(lambda: by_object(actions, united)) if diff.streamed else list(united(actions))
